"""expand, limit-recurrence-set, limit-freebusy-set and selection, with the examples of RFC 4791 7.8 and 9.6."""

from __future__ import annotations

from scheduling.ical.expand import Selection, expand, limit_freebusy_set, limit_recurrence_set, select
from scheduling.ical.lines import parse
from scheduling.ical.timezones import UTC, named
from scheduling.ical.values import moment

# RFC 4791 appendix B, abcd2.ics
ABCD2 = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Example Corp.//CalDAV Client//EN\r
BEGIN:VTIMEZONE\r
LAST-MODIFIED:20040110T032845Z\r
TZID:US/Eastern\r
BEGIN:DAYLIGHT\r
DTSTART:20000404T020000\r
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4\r
TZNAME:EDT\r
TZOFFSETFROM:-0500\r
TZOFFSETTO:-0400\r
END:DAYLIGHT\r
BEGIN:STANDARD\r
DTSTART:20001026T020000\r
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r
TZNAME:EST\r
TZOFFSETFROM:-0400\r
TZOFFSETTO:-0500\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
DTSTAMP:20060206T001121Z\r
DTSTART;TZID=US/Eastern:20060102T120000\r
DURATION:PT1H\r
RRULE:FREQ=DAILY;COUNT=5\r
SUMMARY:Event #2\r
UID:00959BC664CA650E933C892C@example.com\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTAMP:20060206T001121Z\r
DTSTART;TZID=US/Eastern:20060104T140000\r
DURATION:PT1H\r
RECURRENCE-ID;TZID=US/Eastern:20060104T120000\r
SUMMARY:Event #2 bis\r
UID:00959BC664CA650E933C892C@example.com\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTAMP:20060206T001121Z\r
DTSTART;TZID=US/Eastern:20060106T140000\r
DURATION:PT1H\r
RECURRENCE-ID;TZID=US/Eastern:20060106T120000\r
SUMMARY:Event #2 bis bis\r
UID:00959BC664CA650E933C892C@example.com\r
END:VEVENT\r
END:VCALENDAR\r
"""


def at(text: str) -> int:
    return moment(text).local


def wrapped(*lines: str, kind: str = "VEVENT") -> bytes:
    inner = "\r\n".join((f"BEGIN:{kind}", "UID:u", "DTSTAMP:20060101T000000Z", *lines, f"END:{kind}"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{inner}\r\nEND:VCALENDAR\r\n".encode()


def test_the_example_of_7_8_3() -> None:
    text = expand(ABCD2, at("20060103T000000Z"), at("20060105T000000Z"), UTC, most=100)
    events = parse(text).components
    assert [one.name for one in events] == ["VEVENT", "VEVENT"]
    shown = [[one.first(name).value for name in ("DTSTART", "DURATION", "RECURRENCE-ID", "SUMMARY")] for one in events]  # type: ignore[union-attr]
    assert shown == [
        ["20060103T170000Z", "PT1H", "20060103T170000Z", "Event #2"],
        ["20060104T190000Z", "PT1H", "20060104T170000Z", "Event #2 bis"],
    ]
    assert b"RRULE" not in text
    assert b"TZID" not in text


def test_dates_and_floating_times_stay_what_they_are() -> None:
    berlin = named("Europe/Berlin")
    assert berlin is not None
    days = wrapped("DTSTART;VALUE=DATE:20060301", "DTEND;VALUE=DATE:20060302", "RRULE:FREQ=DAILY;COUNT=3")
    text = expand(days, at("20060301T230000Z"), at("20060302T220000Z"), berlin, most=100)
    assert text.count(b"BEGIN:VEVENT") == 1
    assert b"DTSTART;VALUE=DATE:20060302\r\n" in text
    assert b"DTEND;VALUE=DATE:20060303\r\n" in text
    assert b"RECURRENCE-ID;VALUE=DATE:20060302\r\n" in text
    floating = expand(
        wrapped("DTSTART:20060301T080000"), at("20060301T000000Z"), at("20060302T000000Z"), berlin, most=9
    )
    assert b"DTSTART:20060301T080000\r\n" in floating
    assert b"RECURRENCE-ID" not in floating


def test_what_does_not_end_is_cut() -> None:
    bomb = wrapped("DTSTART:20060301T080000Z", "RRULE:FREQ=SECONDLY")
    text = expand(bomb, at("20060301T000000Z"), at("20260301T000000Z"), UTC, most=50)
    assert text.count(b"BEGIN:VEVENT") == 50
    never = wrapped("DTSTART:20060301T080000Z", "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30")
    assert expand(never, at("20060301T000000Z"), at("20260301T000000Z"), UTC, most=50).count(b"BEGIN:VEVENT") <= 1


def test_todos() -> None:
    due = wrapped("DUE:20060301T080000Z", "RRULE:FREQ=DAILY;COUNT=3", kind="VTODO")
    text = expand(due, at("20060302T000000Z"), at("20060303T000000Z"), UTC, most=9)
    assert b"DUE:20060302T080000Z\r\n" in text
    assert text.count(b"BEGIN:VTODO") == 1
    assert b"BEGIN:VTODO" in expand(wrapped(kind="VTODO"), 0, 1, UTC, most=9)


def test_the_example_of_7_8_2() -> None:
    text = limit_recurrence_set(ABCD2, at("20060103T000000Z"), at("20060105T000000Z"), UTC)
    assert b"SUMMARY:Event #2\r\n" in text
    assert b"SUMMARY:Event #2 bis\r\n" in text
    assert b"SUMMARY:Event #2 bis bis\r\n" not in text
    kept = [line for line in ABCD2.split(b"\r\n") if line in text.split(b"\r\n")]
    assert text.split(b"\r\n")[:20] == kept[:20]


def test_an_override_that_was_moved_out_or_into_the_range_stays() -> None:
    moved = ABCD2.replace(b"DTSTART;TZID=US/Eastern:20060106T140000", b"DTSTART;TZID=US/Eastern:20060103T140000")
    assert b"bis bis" in limit_recurrence_set(moved, at("20060103T000000Z"), at("20060104T000000Z"), UTC)
    out = limit_recurrence_set(moved, at("20060106T000000Z"), at("20060107T000000Z"), UTC)
    assert b"bis bis" in out
    ranged = ABCD2.replace(
        b"RECURRENCE-ID;TZID=US/Eastern:20060104", b"RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=US/Eastern:20060104"
    )
    assert b"#2 bis\r\n" in limit_recurrence_set(ranged, at("20060106T000000Z"), at("20060107T000000Z"), UTC)


def test_limit_freebusy_set() -> None:
    body = wrapped(
        "FREEBUSY;X-A=1:20060102T100000Z/20060102T120000Z,20060103T100000Z/PT2H",
        "FREEBUSY:20060105T100000Z/20060105T120000Z",
        kind="VFREEBUSY",
    )
    text = limit_freebusy_set(body, at("20060102T000000Z"), at("20060103T000000Z"), UTC)
    assert b"FREEBUSY;X-A=1:20060102T100000Z/20060102T120000Z\r\n" in text
    assert text.count(b"FREEBUSY;") + text.count(b"FREEBUSY:2") == 1


def test_selection_of_9_6() -> None:
    wanted = Selection(
        "VCALENDAR",
        {"VERSION": False},
        (Selection("VEVENT", {"SUMMARY": False, "UID": False, "DTSTART": True}, ()), Selection("VTIMEZONE")),
    )
    text = select(ABCD2, wanted)
    assert b"PRODID" not in text
    assert b"DTSTART;TZID=US/Eastern:\r\n" in text
    assert b"SUMMARY:Event #2\r\n" in text
    assert b"DTSTAMP" not in text
    assert b"BEGIN:DAYLIGHT" in text
    assert select(ABCD2, Selection("VCALENDAR")) == ABCD2


def first_event(text: bytes, number: int = 0) -> dict[str, str]:
    return {line.name: line.value for line in parse(text).components[number].properties}


def test_in_utc_a_day_has_24_hours() -> None:
    # in the night of 26 March 2006 the clocks change in Berlin
    body = wrapped("DTSTART;TZID=Europe/Berlin:20060325T120000", "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=2")
    text = expand(body, at("20060325T000000Z"), at("20060328T000000Z"), UTC, most=9)
    assert [first_event(text, number)["DURATION"] for number in (0, 1)] == ["PT23H", "P1D"]
    assert first_event(text)["DTSTART"] == "20060325T110000Z"


def test_periods_have_their_own_end() -> None:
    times = "DTSTART:20060325T120000Z", "RDATE;VALUE=PERIOD:20060326T120000Z/PT3H"
    for end, name, value in [
        ("DTEND:20060325T130000Z", "DTEND", "20060326T150000Z"),
        ("DURATION:PT1H", "DURATION", "PT3H"),
        ("X-NO:end", "DTEND", "20060326T150000Z"),
    ]:
        text = expand(wrapped(*times, end), at("20060325T000000Z"), at("20060328T000000Z"), UTC, most=9)
        assert first_event(text, 1)[name] == value


def test_recurrence_id_has_the_value_type_of_the_series() -> None:
    body = wrapped("DTSTART;VALUE=DATE:20060301", "RRULE:FREQ=DAILY").replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID;VALUE=DATE:20060302\r\nDTSTART:20060302T080000Z\r\nEND:VEVENT\r\n"
        b"END:VCALENDAR",
    )
    text = expand(body, at("20060302T000000Z"), at("20060303T000000Z"), UTC, most=9)
    assert b"DTSTART:20060302T080000Z\r\nRECURRENCE-ID;VALUE=DATE:20060302\r\n" in text


def test_the_range_is_that_of_the_table_of_the_component() -> None:
    todo = wrapped("DUE:20060301T080000Z", kind="VTODO")
    assert b"VTODO" in expand(todo, at("20060301T070000Z"), at("20060301T080000Z"), UTC, most=9)
    assert b"VTODO" not in expand(todo, at("20060301T080000Z"), at("20060301T090000Z"), UTC, most=9)
    created = wrapped("CREATED:20060301T080000Z", kind="VTODO")
    assert b"VTODO" not in expand(created, at("20060301T070000Z"), at("20060301T080000Z"), UTC, most=9)


def test_an_override_stays_where_the_instance_that_it_replaces_would_have_lasted_into_the_range() -> None:
    body = wrapped("DTSTART:20060301T080000Z", "DURATION:PT10H", "RRULE:FREQ=DAILY").replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID:20060302T080000Z\r\nDTSTART:20060401T080000Z\r\nDURATION:PT1H\r\n"
        b"END:VEVENT\r\nEND:VCALENDAR",
    )
    assert limit_recurrence_set(body, at("20060302T170000Z"), at("20060302T173000Z"), UTC) == body
    assert b"RECURRENCE-ID" not in limit_recurrence_set(body, at("20060302T180000Z"), at("20060302T190000Z"), UTC)


def test_empty_periods_are_passed_over() -> None:
    body = wrapped("FREEBUSY:20060102T100000Z/PT1H,,20060103T100000Z/PT2H,", kind="VFREEBUSY")
    text = limit_freebusy_set(body, at("20060102T000000Z"), at("20060103T000000Z"), UTC)
    assert b"FREEBUSY:20060102T100000Z/PT1H\r\n" in text


def test_without_value_the_parameters_stay() -> None:
    text = select(ABCD2, Selection("VCALENDAR", {}, (Selection("VEVENT", {"DTSTART": True}, ()),)))
    assert b"DTSTART;TZID=US/Eastern:\r\n" in text
