"""Steps: what a user does in the calendar window, each of which must arrive on the server."""

from __future__ import annotations

from conformance.steps import check
from conformance.thunderbird.scene import SCENARIO, Scene

OCCURRENCES = (
    "const o = await byTitle('Weekly'); const occ = o.recurrenceInfo.getOccurrences("
    "dt('20270301T000000', 'UTC'), dt('20270501T000000', 'UTC'), 0);"
)


@SCENARIO.step
def create(scene: Scene) -> str:
    scene.run(
        "const e = newEvent('Lunch äöü €', '20270302T120000', '20270302T130000');"
        "e.setProperty('LOCATION', 'Café; Room, 1'); e.setCategories(['Work', 'Lunch']);"
        "e.descriptionText = 'long line '.repeat(30) + '\\nsecond line';"
        "await tx('add', e); await sleep(300)"
    )
    text = scene.arrived("SUMMARY:Lunch äöü €")
    check(scene.last_put().request_header("If-None-Match") == "*", "PUT without If-None-Match: *")
    check("DTSTART;TZID=Europe/Berlin:20270302T120000" in text, text)
    scene.lunch = scene.path("SUMMARY:Lunch äöü €")
    return scene.told()


@SCENARIO.step
def modify(scene: Scene) -> str:
    scene.run(
        "const o = await byTitle('Lunch äöü €'); const n = o.clone(); n.title = 'Lunch later';"
        "n.startDate = dt('20270302T123000', 'Europe/Berlin'); n.endDate = dt('20270302T133000', 'Europe/Berlin');"
        "await tx('modify', n, o); await sleep(300)"
    )
    text = scene.arrived("SUMMARY:Lunch later", scene.lunch)
    check(scene.last_put().request_header("If-Match"), "PUT without If-Match")
    check("T123000" in text, text)
    return scene.told()


@SCENARIO.step
def undo(scene: Scene) -> str:
    scene.run("await win.undo(); await sleep(800)")
    scene.arrived("SUMMARY:Lunch äöü €")
    scene.run("await win.redo(); await sleep(800)")
    scene.arrived("SUMMARY:Lunch later")
    return scene.told()


@SCENARIO.step
def all_day_with_alarm(scene: Scene) -> str:
    scene.run(
        "const e = newEvent('Holiday', '20270310', '20270312');"
        "const al = new CalAlarm(); al.related = Ci.calIAlarm.ALARM_RELATED_START;"
        "al.offset = cal.createDuration('-PT15M'); al.action = 'DISPLAY'; al.description = 'x';"
        "e.addAlarm(al); await tx('add', e); await sleep(300)"
    )
    text = scene.arrived("SUMMARY:Holiday")
    check("DTSTART;VALUE=DATE:20270310" in text and "BEGIN:VALARM" in text, text)
    scene.run(  # dismissing the alarm writes X-MOZ-LASTACK
        "const o = await byTitle('Holiday'); const n = o.clone();"
        "n.alarmLastAck = cal.dtz.now(); await calendar().modifyItem(n, o); await sleep(300)"
    )
    scene.arrived("X-MOZ-LASTACK")
    return scene.told()


@SCENARIO.step
def recurring(scene: Scene) -> str:
    scene.run(
        "const e = newEvent('Weekly', '20270301T090000', '20270301T100000');"
        "e.recurrenceInfo = new CalRecurrenceInfo(e);"
        "e.recurrenceInfo.appendRecurrenceItem(cal.createRecurrenceRule('RRULE:FREQ=WEEKLY;COUNT=6'));"
        "await tx('add', e); await sleep(300)"
    )
    text = scene.arrived("SUMMARY:Weekly")
    check("RRULE:" in text and "COUNT=6" in text and "BEGIN:VTIMEZONE" in text, text)
    scene.weekly = scene.path("SUMMARY:Weekly")
    return scene.told()


@SCENARIO.step
def exception(scene: Scene) -> str:
    scene.run(
        OCCURRENCES + "const n = occ[2].clone(); n.title = 'Weekly moved';"
        "n.startDate = dt('20270315T140000', 'Europe/Berlin'); n.endDate = dt('20270315T150000', 'Europe/Berlin');"
        "await tx('modify', n, occ[2]); await sleep(400)"
    )
    text = scene.arrived("SUMMARY:Weekly moved", scene.weekly)
    check("RECURRENCE-ID;TZID=Europe/Berlin:20270315T090000" in text, text)
    check(text.count("BEGIN:VEVENT") == 2, text)
    return scene.told()


@SCENARIO.step
def deleted_occurrence(scene: Scene) -> str:
    scene.run(
        OCCURRENCES + "const n = o.clone(); n.recurrenceInfo.removeOccurrenceAt(occ[4].recurrenceId);"
        "await tx('modify', n, o); await sleep(400)"
    )
    text = scene.arrived("EXDATE", scene.weekly)
    check("EXDATE;TZID=Europe/Berlin:20270329T090000" in text, text)
    left = scene.run(OCCURRENCES + "return occ.length")
    check(left == 5, f"{left} occurrences")
    return scene.told()


@SCENARIO.step
def task(scene: Scene) -> str:
    scene.run(
        "const t = new CalTodo(); t.title = 'Buy milk'; t.dueDate = dt('20270305T180000', 'Europe/Berlin');"
        "t.calendar = calendar(); t.priority = 1; await tx('add', t); await sleep(300)"
    )
    check("BEGIN:VTODO" in scene.arrived("SUMMARY:Buy milk"), "it is no VTODO")
    scene.run(
        "const o = await byTitle('Buy milk'); const n = o.clone(); n.isCompleted = true;"
        "await tx('modify', n, o); await sleep(300)"
    )
    text = scene.arrived("SUMMARY:Buy milk")
    check("STATUS:COMPLETED" in text and "PERCENT-COMPLETE:100" in text and "COMPLETED:" in text, text)
    return scene.told()


@SCENARIO.step
def odd_uid(scene: Scene) -> str:
    scene.run(
        "const e = newEvent('Odd', '20270306T100000', '20270306T110000');"
        "e.id = 'odd uid/ä@host?x=1#%25'; await tx('add', e); await sleep(300)"
    )
    scene.arrived("SUMMARY:Odd")
    return scene.path("SUMMARY:Odd")


@SCENARIO.step
def event_dialog(scene: Scene) -> str:
    """Type a title into the real event dialog, save and close."""
    scene.thunderbird.file("dialog.js")
    scene.arrived("SUMMARY:Typed in dialog")
    return scene.told()


@SCENARIO.step
def import_file(scene: Scene) -> str:
    """An .ics file with five events, as the import dialog stores them: all at once."""
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:imp-{number}@example.org\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART:202704{number + 1:02}T080000Z\r\nDURATION:PT30M\r\nSUMMARY:Imported {number}\r\nEND:VEVENT\r\n"
        for number in range(5)
    )
    scene.run(
        'const parser = Cc["@mozilla.org/calendar/ics-parser;1"].createInstance(Ci.calIIcsParser);'
        "parser.parseString(a[0]);"
        "await Promise.all(parser.getItems().map(i => calendar().addItem(i))); await sleep(500);",
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{events}END:VCALENDAR\r\n",
    )
    for number in range(5):
        scene.arrived(f"SUMMARY:Imported {number}")
    return scene.told()
