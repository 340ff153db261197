"""Every row of the tables in RFC 4791 9.9 and RFC 7953 7.2.2, alarms, properties, recurrences."""

from __future__ import annotations

import pytest

from scheduling.ical.lines import parse
from scheduling.ical.timerange import TimeRange
from scheduling.ical.timezones import UTC
from tests.scheduling.ical.ranges import alarm_overlaps, component_overlaps, property_overlaps
from tests.scheduling.ical.writing import APPENDIX_B, BERLIN, NEW_YORK, calendar, utc


def span(text: str, zone: object = UTC) -> TimeRange:
    """A range written as "12-13" (hours of 10 January 2024, ".5" for half past), "-13", "12-", or with whole times."""
    start, end = (instant(part) for part in text.split("-"))
    return TimeRange(start, end, BERLIN if zone is BERLIN else NEW_YORK if zone is NEW_YORK else UTC)


def instant(text: str) -> int | None:
    if not text:
        return None
    if "T" in text or len(text) == 8:
        return utc(text)
    return utc("20240110") + round(float(text) * 3600)


def at(hour: float) -> str:
    return f"20240110T{int(hour):02}{round(hour % 1 * 60):02}00Z"


S, E = f"DTSTART:{at(10)}", f"DTEND:{at(12)}"

# (component, the ranges that it overlaps, the ranges that it does not). Each range stands at one edge.
ROWS = {
    "VEVENT Y N N *": (f"VEVENT\n{S}\n{E}", "9-10.5 11.5-13 10-12 9-13 -11 11- 10.5-11", "8-10 12-13 -10 12-"),
    "VEVENT N Y Y *": (f"VEVENT\n{S}\nDURATION:PT2H", "9-10.5 11.5-13 10-12 9-13 -11 11-", "8-10 12-13 -10 12-"),
    "VEVENT N Y N *": (f"VEVENT\n{S}\nDURATION:PT0S", "10-11 9-10.5 10- -10.5", "8-10 10.5-11 -10 10.5-"),
    "VEVENT N N N Y": (f"VEVENT\n{S}", "10-11 9-10.5 10- -10.5", "8-10 10.5-11 -10 10.5-"),
    "VEVENT N N N N": (
        "VEVENT\nDTSTART;VALUE=DATE:20240110",
        "23-24 0-1 20240109-20240111 -1 23-",
        "24-25 20240109-20240110 -0 24-",
    ),
    "VTODO Y Y N": (f"VTODO\n{S}\nDURATION:PT2H", "12-13 11-13 9-10.5 9-13 12- -10.5", "8-10 12.5-13 12.5- -10"),
    "VTODO Y Y N, no time": (f"VTODO\n{S}\nDURATION:PT0S", "10-11 9-10 9-10.5 10- -10", "8-9 10.5-11 10.5- -9"),
    "VTODO Y N Y": (f"VTODO\n{S}\nDUE:{at(12)}", "11.5-13 9-10.5 9-13 11- -11", "8-10 12-13 12- -10"),
    "VTODO Y N Y, no time": (f"VTODO\n{S}\nDUE:{at(10)}", "10-11 9-10 9-10.5 10- -10", "8-9 10.5-11 10.5- -9"),
    "VTODO Y N N": (f"VTODO\n{S}", "10-11 9-10.5 10- -10.5", "8-10 10.5-11 -10 10.5-"),
    "VTODO N N Y": (f"VTODO\nDUE:{at(12)}", "11-12 11-13 11- -12", "12-13 10-11 12- -11"),
    "VTODO N N N Y Y": (
        f"VTODO\nCREATED:{at(10)}\nCOMPLETED:{at(12)}",
        "10-11 9-10 10.5-11 12-13 12- -10",
        "8-9 12.5-13 12.5- -9",
    ),
    "VTODO N N N Y N": (f"VTODO\nCOMPLETED:{at(12)}", "12-13 11-12 12- -12", "12.5-13 10-11 12.5- -11"),
    "VTODO N N N N Y": (f"VTODO\nCREATED:{at(10)}", "10-11 12-13 9-10.5 12- -11", "8-9 9-10 -10"),
    "VTODO N N N N N": ("VTODO\nSUMMARY:x", "10-11 8- -8", ""),
    "VTODO that Google created in the year 0": ("VTODO\nCREATED:00001231T000000Z", "10-11", ""),
    "VJOURNAL Y Y": (f"VJOURNAL\n{S}", "10-11 9-10.5 10- -10.5", "8-10 10.5-11 -10 10.5-"),
    "VJOURNAL Y N": ("VJOURNAL\nDTSTART;VALUE=DATE:20240110", "23-24 0-1 -1 23-", "24-25 20240109-20240110 -0 24-"),
    "VJOURNAL N *": ("VJOURNAL\nSUMMARY:x", "", "0-24 0- -24"),
    "VFREEBUSY Y *": (
        f"VFREEBUSY\n{S}\n{E}\nFREEBUSY:{at(20)}/PT1H",
        "12-13 9-10.5 11-11.5 12- -10.5",
        "8-10 12.5-13 20-21 12.5- -10",
    ),
    "VFREEBUSY N Y": (
        f"VFREEBUSY\n{S}\nDURATION:PT9H\nFREEBUSY;FBTYPE=FREE:{at(8)}/{at(9)},{at(20)}/PT1H",
        "8.5-8.6 20-21 7-9 20.5- -8.5",
        "10-12 9-20 21-22 21- -8",
    ),
    "VFREEBUSY N N": (f"VFREEBUSY\n{S}", "", "0-24 0- -24"),
    "VAVAILABILITY Y Y N": (f"VAVAILABILITY\n{S}\n{E}", "9-10.5 11.5-13 10-12 -11 11-", "8-10 12-13 -10 12-"),
    "VAVAILABILITY Y N Y": (f"VAVAILABILITY\n{S}\nDURATION:PT2H", "9-10.5 11.5-13 -11 11-", "8-10 12-13 -10 12-"),
    "VAVAILABILITY Y N N": (f"VAVAILABILITY\n{S}", "9-10.5 12-13 -11 11-", "8-10 -10"),
    "VAVAILABILITY N Y N": (f"VAVAILABILITY\n{E}", "9-10.5 -11 11-", "12-13 12-"),
    "VAVAILABILITY N N *": ("VAVAILABILITY\nDURATION:PT1H", "9-10.5 -11 11-", ""),
    # not RFC 5545, but from real calendars: an end that is the start is none
    "VEVENT whose DTEND is DTSTART": (f"VEVENT\n{S}\nDTEND:{at(10)}", "10-11 9-10.5 9-11", "8-10 10.5-11"),
    "VEVENT without DTSTART": ("VEVENT\nSUMMARY:x", "", "0-24 0- -24"),
}


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    text, inside, outside = ROWS[row]
    found, kind = calendar(text), text.split("\n", 1)[0]
    assert [one for one in inside.split() if not component_overlaps(found, kind, span(one))] == []
    assert [one for one in outside.split() if component_overlaps(found, kind, span(one))] == []


def test_only_components_of_the_kind_are_asked() -> None:
    assert not component_overlaps(calendar(f"VEVENT\n{S}\n{E}"), "VTODO", span("9-13"))
    assert not component_overlaps(calendar(f"VEVENT\n{S}\n{E}"), "VTIMEZONE", span("9-13"))


@pytest.mark.parametrize(
    ("zone", "inside", "outside"), [(BERLIN, "9-10 10-11", "11-12 12-13"), (NEW_YORK, "15-16 16-17", "11-12 17-18")]
)
def test_floating_times_take_the_zone_of_the_query(zone: object, inside: str, outside: str) -> None:
    found = calendar("VEVENT\nDTSTART:20240110T100000\nDTEND:20240110T120000")
    assert all(component_overlaps(found, "VEVENT", span(one, zone)) for one in inside.split())
    assert not any(component_overlaps(found, "VEVENT", span(one, zone)) for one in outside.split())


def test_dates_take_the_zone_of_the_query() -> None:
    found = calendar("VEVENT\nDTSTART;VALUE=DATE:20240110")
    assert component_overlaps(found, "VEVENT", span("20240109T230000Z-20240109T233000Z", BERLIN))
    assert not component_overlaps(found, "VEVENT", span("23-24", BERLIN))
    assert component_overlaps(found, "VEVENT", span("24-25", NEW_YORK))


# --- recurrences

DAILY = f"VEVENT\n{S}\n{E}\nRRULE:FREQ=DAILY"


def test_any_instance_counts() -> None:
    found = calendar(f"{DAILY};COUNT=5\nEXDATE:20240112T100000Z")
    assert component_overlaps(found, "VEVENT", span("20240114T110000Z-20240114T113000Z"))
    assert not component_overlaps(found, "VEVENT", span("20240115T110000Z-20240115T113000Z"))
    assert not component_overlaps(found, "VEVENT", span("20240112T000000Z-20240113T000000Z"))
    assert component_overlaps(calendar(DAILY), "VEVENT", span("20990101-"))


def test_the_component_that_describes_the_instance_is_found() -> None:
    found = calendar(DAILY, f"VEVENT\nRECURRENCE-ID:20240112T100000Z\nDTSTART:{at(20)}\nDURATION:PT1H")
    master, override = found.components
    for text, wanted in [
        ("10-11", [master]),
        ("20-21", [override]),
        ("10-21", [master, override]),
        ("20240112T100000Z-20240112T110000Z", []),
    ]:
        assert [one is two for one, two in zip(span(text).components(found, "VEVENT"), wanted, strict=True)] == [
            True for _ in wanted
        ]


def test_overrides_without_master() -> None:
    found = calendar(f"VEVENT\nRECURRENCE-ID:20240112T100000Z\nDTSTART:{at(20)}\nDURATION:PT1H")
    assert component_overlaps(found, "VEVENT", span("20-21"))
    assert not component_overlaps(found, "VEVENT", span("20240112-20240113"))


def test_recurring_todos() -> None:
    found = calendar(f"VTODO\n{S}\nDUE:{at(12)}\nRRULE:FREQ=WEEKLY", "VTODO\nRECURRENCE-ID:20240117T100000Z\nSUMMARY:x")
    assert component_overlaps(found, "VTODO", span("20240124T110000Z-20240124T120000Z"))
    assert not component_overlaps(
        calendar(f"VTODO\n{S}\nDUE:{at(12)}\nRRULE:FREQ=WEEKLY"), "VTODO", span("20240125-20240126")
    )
    # the override has no times and so is in any range (N N N N N)
    assert component_overlaps(found, "VTODO", span("20240125-20240126"))


def test_todo_that_recurs_by_its_due_alone() -> None:
    found = calendar(f"VTODO\nDUE:{at(12)}\nRRULE:FREQ=DAILY")
    assert component_overlaps(found, "VTODO", span("20240113T110000Z-20240113T120000Z"))
    assert not component_overlaps(found, "VTODO", span("20240113T120000Z-20240113T130000Z"))


def test_what_lies_behind_the_budget_is_as_if_it_were_not_there() -> None:
    found = calendar("VEVENT\nDTSTART:20000101T000000Z\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=5MO")
    assert not component_overlaps(found, "VEVENT", span("20240101-"))


# --- alarms


def with_alarm(trigger: str, *more: str, event: str = f"VEVENT\n{S}\n{E}") -> bytes:
    alarm = "\n".join(["BEGIN:VALARM", "ACTION:DISPLAY", trigger, *more, "END:VALARM"])
    return f"{event}\n{alarm}".encode()


@pytest.mark.parametrize(
    ("alarm", "inside", "outside"),
    [
        (("TRIGGER:-PT15M",), "9.75-10 9.5-9.8 9.75- -9.8", "9.5-9.75 9.8-10 10- -9.75"),
        (("TRIGGER;RELATED=START:-PT15M",), "9.75-10", "9.8-10"),
        (("TRIGGER;RELATED=END:PT15M",), "12.25-13", "12.5-13 10-12"),
        (("TRIGGER:PT0S",), "10-11", "9-10"),
        (("TRIGGER:-P1D",), "20240109T100000Z-20240109T110000Z", "9-13"),
        (("TRIGGER:-P2W",), "20231227T100000Z-20231227T110000Z", "9-13"),
        (("TRIGGER;VALUE=DATE-TIME:20230101T000000Z",), "20230101-20230102", "9-13"),
        (("TRIGGER:-PT1H", "REPEAT:3", "DURATION:PT30M"), "9-9.1 9.5-9.6 10-10.1 10.5-10.6", "9.1-9.5 10.6-11 11-"),
        (("TRIGGER:-PT1H", "REPEAT:1000000000", "DURATION:PT1S"), "11-11.1 20240111-20240112", "8-9 20250110-"),
        (("TRIGGER:-PT1H", "REPEAT:3"), "9-9.1", "9.5-11"),
        (("TRIGGER:-PT1H", "REPEAT:x", "DURATION:PT30M"), "9-9.1", "9.5-11"),
        (("SUMMARY:no trigger",), "", "0-24"),
    ],
)
def test_alarm(alarm: tuple[str, ...], inside: str, outside: str) -> None:
    found = calendar(with_alarm(*alarm).decode())
    assert [one for one in inside.split() if not alarm_overlaps(found, "VEVENT", span(one))] == []
    assert [one for one in outside.split() if alarm_overlaps(found, "VEVENT", span(one))] == []


def test_alarm_that_apple_writes_where_there_is_to_be_none() -> None:
    text = with_alarm("TRIGGER;VALUE=DATE-TIME:19760401T005545Z").decode().replace("ACTION:DISPLAY", "ACTION:NONE")
    assert not alarm_overlaps(calendar(text), "VEVENT", span("19760101-19770101"))


def test_alarms_of_every_instance() -> None:
    found = calendar(with_alarm("TRIGGER:-P1D", event=DAILY).decode())
    assert alarm_overlaps(found, "VEVENT", span("20240320T100000Z-20240320T100001Z"))
    assert not alarm_overlaps(found, "VEVENT", span("20240320T100001Z-20240321T100000Z"))
    assert alarm_overlaps(found, "VEVENT", span("20240109T100000Z-20240109T100001Z"))
    assert not alarm_overlaps(found, "VEVENT", span("-20240109T100000Z"))


def test_days_of_a_trigger_are_days_of_the_calendar() -> None:
    # the clocks change in the night before; a day earlier it is 20:00 as well
    event = "VEVENT\nDTSTART;TZID=Europe/Berlin:20240331T200000"
    found = calendar(with_alarm("TRIGGER:-P1D", event=event).decode())
    assert alarm_overlaps(found, "VEVENT", span("20240330T190000Z-20240330T190001Z"))


def test_alarm_of_a_todo_without_start_is_relative_to_its_due() -> None:
    found = calendar(with_alarm("TRIGGER;RELATED=START:-PT10M", event=f"VTODO\nDUE:{at(12)}").decode())
    assert alarm_overlaps(found, "VTODO", span("11.5-12"))
    assert not alarm_overlaps(found, "VTODO", span("12-13"))
    timeless = calendar(with_alarm("TRIGGER;RELATED=START:-PT10M", event="VTODO").decode())
    assert not alarm_overlaps(timeless, "VTODO", span("0-"))


def test_alarm_of_an_override() -> None:
    override = with_alarm(
        "TRIGGER:-PT15M", event=f"VEVENT\nRECURRENCE-ID:20240112T100000Z\nDTSTART:{at(20)}\nDURATION:PT1H"
    )
    found = calendar(DAILY, override.decode())
    assert alarm_overlaps(found, "VEVENT", span("19.5-20"))
    assert not alarm_overlaps(found, "VEVENT", span("20240111T093000Z-20240111T100000Z"))


# --- properties


@pytest.mark.parametrize(
    ("text", "name", "inside", "outside"),
    [
        (f"VEVENT\n{S}\n{E}", "DTSTART", "10-11 10- -11", "9-10 11-12 -10"),
        (f"VEVENT\n{S}\n{E}", "DTEND", "12-13", "11-12"),
        (f"VEVENT\n{S}\nDURATION:PT2H", "DTEND", "12-13", "11-12 10-11"),
        (f"VEVENT\n{S}", "DTEND", "", "9-13"),
        (f"VTODO\n{S}\nDURATION:PT2H", "DUE", "12-13", "11-12"),
        (f"VTODO\n{S}\nDUE:{at(12)}", "DUE", "12-13", "11-12"),
        (f"VTODO\n{S}", "DUE", "", "9-13"),
        (f"VTODO\nCOMPLETED:{at(12)}\nCREATED:{at(10)}", "COMPLETED", "12-13", "10-12"),
        (f"VTODO\nCOMPLETED:{at(12)}\nCREATED:{at(10)}", "CREATED", "10-11", "11-12"),
        (f"VEVENT\n{S}\nDTSTAMP:{at(12)}\nLAST-MODIFIED:{at(13)}", "DTSTAMP", "12-13", "10-12"),
        (f"VEVENT\n{S}\nDTSTAMP:{at(12)}\nLAST-MODIFIED:{at(13)}", "LAST-MODIFIED", "13-14", "10-13"),
        (f"VEVENT\n{S}\nSUMMARY:x", "SUMMARY", "", "0-"),
        (f"VFREEBUSY\n{S}\n{E}", "DTEND", "12-13", "11-12"),
        (f"{DAILY}", "DTSTART", "20240210T100000Z-20240210T110000Z", "20240210T110000Z-20240211T000000Z"),
        (f"{DAILY}", "DTEND", "20240210T120000Z-20240210T130000Z", "20240210T000000Z-20240210T120000Z"),
    ],
)
def test_property(text: str, name: str, inside: str, outside: str) -> None:
    found, kind = calendar(text), text.split("\n", 1)[0]
    assert [one for one in inside.split() if not property_overlaps(found, kind, name, span(one))] == []
    assert [one for one in outside.split() if property_overlaps(found, kind, name, span(one))] == []


# --- RFC 4791 chapter 7 on the collection of appendix B


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("VEVENT", "20060104T000000Z-20060105T000000Z", ["abcd2", "abcd3"]),  # 7.8.1
        ("VEVENT", "20060103T000000Z-20060105T000000Z", ["abcd2", "abcd3"]),  # 7.8.2, 7.8.3
        ("VFREEBUSY", "20060102T000000Z-20060103T000000Z", ["abcd8"]),  # 7.8.4
        ("VTODO", "20060104T000000Z-20060105T000000Z", []),  # DUE at midnight is not later than the start of the range
        ("VTODO", "20060103T000000Z-20060105T000000Z", ["abcd4"]),
        ("VJOURNAL", "20060101-", []),
    ],
)
def test_appendix_b(kind: str, text: str, wanted: list[str]) -> None:
    files = sorted(APPENDIX_B.glob("*.ics"))
    assert [file.stem for file in files if component_overlaps(parse(file.read_bytes()), kind, span(text))] == wanted


def test_to_dos_by_alarm() -> None:
    # RFC 4791 7.8.5. The answer there is of abcd5 with a DUE that appendix B does not have (and under the name abcd4):
    # with the DUE of the appendix, the alarm is on the day before.
    body = (APPENDIX_B / "abcd5.ics").read_bytes()
    asked = span("20060106T100000Z-20060107T100000Z")
    assert not alarm_overlaps(parse(body), "VTODO", asked)
    assert alarm_overlaps(parse(body), "VTODO", span("20060105T234500Z-20060106T000000Z"))
    answered = body.replace(b"DUE;VALUE=DATE:20060106", b"DUE;TZID=US/Eastern:20060106T120000")
    assert alarm_overlaps(parse(answered), "VTODO", asked)
