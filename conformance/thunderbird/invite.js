// Arguments: title, address of the organizer, address of the attendee.
const [title, organizer, attendee] = a;
const e = newEvent(title, '20270320T100000', '20270320T110000');
const org = new CalAttendee();
org.id = 'mailto:' + organizer; org.commonName = 'Organizer'; org.isOrganizer = true;
org.role = 'REQ-PARTICIPANT'; org.participationStatus = 'ACCEPTED';
e.organizer = org;
const me = new CalAttendee();
me.id = 'mailto:' + organizer; me.role = 'REQ-PARTICIPANT'; me.participationStatus = 'ACCEPTED';
e.addAttendee(me);
const guest = new CalAttendee();
guest.id = 'mailto:' + attendee; guest.commonName = 'Guest'; guest.role = 'REQ-PARTICIPANT';
guest.participationStatus = 'NEEDS-ACTION'; guest.rsvp = 'TRUE';
e.addAttendee(guest);
e.setProperty('X-MOZ-SEND-INVITATIONS', 'TRUE');
await tx('add', e, null, {responseMode: Ci.calIItipItem.AUTO});
await sleep(2500);
