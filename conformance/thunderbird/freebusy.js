// Argument: the address whose busy time in March 2027 is wanted.
const intervals = await new Promise((resolve, reject) => {
  win.setTimeout(() => reject(new Error('free/busy timeout')), 15000);
  cal.freeBusyService.getFreeBusyIntervals('mailto:' + a[0], dt('20270301T000000', 'UTC'), dt('20270401T000000', 'UTC'),
    Ci.calIFreeBusyInterval.BUSY_ALL, { onResult(op, r) { if (!op || !op.isPending || r) { resolve(r); } } });
});
return (intervals || []).map(i => [i.freeBusyType, i.interval.start.icalString, i.interval.end.icalString]);
