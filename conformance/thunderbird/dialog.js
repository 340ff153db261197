// Open the event dialog, type a title into it, and press "Save and Close".
win.createEventWithDialog(calendar(), dt('20270308T100000', 'Europe/Berlin'), dt('20270308T110000', 'Europe/Berlin'), null);
const dlg = await until('dialog', () => {
  for (const w of Services.wm.getEnumerator(null)) {
    if (w.location.href.includes('calendar-event-dialog') && w.document.readyState == 'complete') { return w; }
  }
});
const frame = await until('iframe', () => {
  const f = dlg.document.getElementById('calendar-item-panel-iframe') || dlg.document.querySelector('iframe');
  return f && f.contentDocument && f.contentDocument.getElementById('item-title') ? f : null;
});
await sleep(500);
const t = frame.contentDocument.getElementById('item-title');
t.focus();
t.value = 'Typed in dialog';
t.dispatchEvent(new frame.contentWindow.Event('input', {bubbles: true}));
await sleep(200);
dlg.document.getElementById('cmd_accept').doCommand();
await until('saved', () => byTitle('Typed in dialog'), 15000);
await until('dialog closed', () => dlg.closed, 5000).catch(() => dlg.close());
