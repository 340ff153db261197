// Accept the invitation to "Meeting".
const o = await until('invitation', () => byTitle('Meeting'));
if (!cal.itip.isInvitation(o)) { throw new Error('not seen as an invitation'); }
const n = o.clone();
const mine = cal.itip.getInvitedAttendee(o);
const accepted = mine.clone();
accepted.participationStatus = 'ACCEPTED';
n.removeAttendee(mine);
n.addAttendee(accepted);
await tx('modify', n, o, {responseMode: Ci.calIItipItem.AUTO});
await sleep(1500);
