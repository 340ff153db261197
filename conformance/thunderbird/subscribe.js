// Arguments: user, password, location, path of the calendar to subscribe to (null: only say what was found).
// The "new calendar > on the network" dialog: detect, take the wanted one, register it.
const [user, password, location, want] = a;
const found = await cal.provider.detection.detect(user, password, location, true, [], {});
const list = [...found.values()].flat();
const names = list.map(c => ({name: c.name, uri: c.uri.spec, color: c.getProperty("color"), readOnly: c.readOnly, type: c.type}));
if (!want) { return names; }
const c = list.find(x => decodeURI(x.uri.pathQueryRef).replace(/\/$/, "") == want.replace(/\/$/, ""));
if (!c) { throw new Error("detection did not find " + want + " but " + JSON.stringify(names)); }
c.setProperty("cache.enabled", true);
globalThis.wantedUri = c.uri.spec;
cal.manager.registerCalendar(c);
const r = calendar();
await until("first sync", () => inner(r).checkedServerInfo && !r.wrappedJSObject.mPendingSync &&
  (inner(r).mWebdavSyncToken || inner(r).mCtag || inner(r).mFirstRefreshDone) ||
  r.getProperty("disabled"), 60000);
await sleep(500);
return names;
