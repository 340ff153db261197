// What every script of the driver starts with: the calendar modules, the calendar under test, and ways to wait.
const { cal } = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");
const { CalEvent } = ChromeUtils.importESModule("resource:///modules/CalEvent.sys.mjs");
const { CalTodo } = ChromeUtils.importESModule("resource:///modules/CalTodo.sys.mjs");
const { CalAlarm } = ChromeUtils.importESModule("resource:///modules/CalAlarm.sys.mjs");
const { CalAttendee } = ChromeUtils.importESModule("resource:///modules/CalAttendee.sys.mjs");
const { CalRecurrenceInfo } = ChromeUtils.importESModule("resource:///modules/CalRecurrenceInfo.sys.mjs");
const win = Services.wm.getMostRecentWindow("mail:3pane");
const sleep = ms => new Promise(r => win.setTimeout(r, ms));
const calendar = () => cal.manager.getCalendars().find(c => c.type == "caldav" &&
  (!globalThis.wantedUri || c.uri.spec == globalThis.wantedUri));
async function until(what, f, ms = 20000) {
  const t = Date.now();
  for (;;) {
    const v = await f();
    if (v) { return v; }
    if (Date.now() - t > ms) { throw new Error("timeout: " + what); }
    await sleep(50);
  }
}
function inner(c) { return (c.wrappedJSObject.mUncachedCalendar || c).wrappedJSObject; }
function onLoad(c, go, ms = 30000) {
  return new Promise((resolve, reject) => {
    const errors = [];
    const end = (f, v) => { c.removeObserver(o); win.clearTimeout(timer); f(v); };
    const o = {
      QueryInterface: ChromeUtils.generateQI(["calIObserver"]),
      onStartBatch() {}, onEndBatch() {}, onAddItem() {}, onModifyItem() {}, onDeleteItem() {},
      onPropertyChanged() {}, onPropertyDeleting() {},
      onError(_c, no, msg) { errors.push(no + " " + msg); },
      onLoad() { end(resolve, errors); },
    };
    const timer = win.setTimeout(() => end(reject, new Error("no onLoad; errors: " + errors.join(" | "))), ms);
    c.addObserver(o);
    go();
  });
}
// Refresh, and wait until Thunderbird has finished: the cached calendar's pending
// sync is resolved after replay.
async function refresh(c = calendar()) {
  const w = c.wrappedJSObject;
  await onLoad(c, () => c.refresh());
  await until("sync end", () => !w.mPendingSync, 20000);
  await sleep(150);
}
const items = (c = calendar()) => c.getItemsAsArray(Ci.calICalendar.ITEM_FILTER_ALL_ITEMS, 0, null, null);
const byTitle = async t => (await items()).find(i => i.title == t);
const dt = (s, tz) => { const d = cal.createDateTime(s); if (tz) { d.timezone = cal.timezoneService.getTimezone(tz); } return d; };
// What the calendar window does when the user saves/deletes (including iTIP).
const tx = (action, item, old = null, ext = null) => win.doTransaction(action, item, calendar(), old, null, ext);
function newEvent(title, start, end, tz = "Europe/Berlin") {
  const e = new CalEvent();
  e.title = title;
  const allDay = start.length == 8;   // floating, as the event dialog does
  e.startDate = dt(start, allDay ? null : tz);
  e.endDate = dt(end, allDay ? null : tz);
  e.calendar = calendar();
  return e;
}
