"""The instances of calendar objects."""

from __future__ import annotations

from datetime import UTC as UTC_TZ, date, datetime
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from hypothesis import given, settings, strategies as st

from scheduling.ical.lines import ICalendarError, parse_stream
from scheduling.ical.recurrence import instances, recurrence_sets
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.timezones import UTC
from scheduling.ical.values import DAY, write_date, write_local, write_utc
from tests.scheduling.ical.writing import BERLIN, DATA, calendar, shown, source, utc

if TYPE_CHECKING:
    from pathlib import Path

    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone


def listed(
    found: Component, start: str | None = None, end: str | None = None, zone: Zone = BERLIN, most: int = 30
) -> list[str]:
    made = instances(found, utc(start) if start else None, utc(end) if end else None, zone)
    return [f"{shown(one.start)} {shown(one.end)[-5:]}" for one in islice(made, most)]


# --- one component


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("DTSTART:20240101T100000Z\nDTEND:20240101T110000Z", "2024-01-01 10:00 11:00"),
        ("DTSTART:20240101T100000Z\nDURATION:PT90M", "2024-01-01 10:00 11:30"),
        ("DTSTART:20240101T100000Z", "2024-01-01 10:00 10:00"),
        ("DTSTART;TZID=America/New_York:20240701T100000\nDURATION:PT1H", "2024-07-01 14:00 15:00"),
        (
            "DTSTART;TZID=America/New_York:20240701T100000\nDTEND;TZID=Europe/Berlin:20240701T170000",
            "2024-07-01 14:00 15:00",
        ),
        # floating times and dates take the zone that is given
        ("DTSTART:20240701T100000\nDURATION:PT1H", "2024-07-01 08:00 09:00"),
        ("DTSTART;VALUE=DATE:20240701", "2024-06-30 22:00 22:00"),
        ("DTSTART;VALUE=DATE:20240701\nDTEND;VALUE=DATE:20240701", "2024-06-30 22:00 22:00"),
        ("DTSTART;VALUE=DATE:20240331\nDTEND;VALUE=DATE:20240401", "2024-03-30 23:00 22:00"),
        # wrong, but from real calendars: both ends, an end before the start, an end of the other type
        ("DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\nDURATION:PT0S", "2024-01-01 10:00 11:00"),
        ("DTSTART:20240101T100000Z\nDTEND:20240101T090000Z", "2024-01-01 10:00 10:00"),
        ("DTSTART:20240101T100000Z\nDURATION:-PT1H", "2024-01-01 10:00 10:00"),
        ("DTSTART:20240101T100000Z\nDTEND;VALUE=DATE:20240102", "2024-01-01 10:00 23:00"),
        ("DTSTART;VALUE=DATE:20240101\nDTEND:20240101T120000Z", "2023-12-31 23:00 11:00"),
    ],
)
def test_when_one_event_is(lines: str, wanted: str) -> None:
    assert listed(calendar(f"VEVENT\n{lines}")) == [wanted]


def test_with_dtend_every_instance_lasts_equally_many_seconds() -> None:
    # RFC 5545 3.8.5.3; the night of 31 March 2024 has 23 hours in Berlin
    found = calendar(
        "VEVENT\nDTSTART;TZID=Europe/Berlin:20240329T200000\nDTEND;TZID=Europe/Berlin:20240330T200000\nRRULE:FREQ=DAILY;COUNT=3"
    )
    assert listed(found) == ["2024-03-29 19:00 19:00", "2024-03-30 19:00 19:00", "2024-03-31 18:00 18:00"]


def test_with_duration_days_are_days_of_the_calendar() -> None:
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240329T200000\nDURATION:P1D\nRRULE:FREQ=DAILY;COUNT=3")
    assert listed(found) == ["2024-03-29 19:00 19:00", "2024-03-30 19:00 18:00", "2024-03-31 18:00 18:00"]


def test_duration_of_days_and_hours_counts_the_days_first() -> None:
    # RFC 5545 3.3.6: from 30 March 20:00 one day, then six hours: 1 April 02:00
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240330T200000\nDURATION:P1DT6H")
    assert listed(found) == ["2024-03-30 19:00 00:00"]


def test_local_time_stays_when_the_clocks_change() -> None:
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240328T090000\nRRULE:FREQ=WEEKLY;COUNT=2")
    assert listed(found) == ["2024-03-28 08:00 08:00", "2024-04-04 07:00 07:00"]


def test_local_time_that_does_not_exist_is_taken_with_the_offset_from_before() -> None:
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240330T023000\nRRULE:FREQ=DAILY;COUNT=3")
    assert listed(found) == ["2024-03-30 01:30 01:30", "2024-03-31 01:30 01:30", "2024-04-01 00:30 00:30"]


def test_two_local_times_that_are_one_instant_are_one_instance() -> None:
    # RFC 5545 3.8.5.3: "Duplicate instances are ignored"; 02:30 does not exist and is the instant of 03:30 (3.3.5)
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240331T003000\nRRULE:FREQ=HOURLY;COUNT=5")
    assert [line[11:16] for line in listed(found)] == ["23:30", "00:30", "01:30", "02:30"]


@pytest.mark.parametrize(
    ("until", "wanted"),
    [
        # In the night when the clocks go back: 02:30 is the first of two, and earlier than the second 02:15.
        ("20241027T001500Z", 1),
        ("20241027T003000Z", 2),
        ("20241027T011500Z", 2),
    ],
)
def test_until_in_the_hour_that_comes_twice_is_an_instant(until: str, wanted: int) -> None:
    found = calendar(f"VEVENT\nDTSTART;TZID=Europe/Berlin:20241026T023000\nRRULE:FREQ=DAILY;UNTIL={until}")
    assert len(listed(found)) == wanted


def test_until_in_the_hour_that_does_not_exist_is_an_instant() -> None:
    found = calendar("VEVENT\nDTSTART;TZID=Europe/Berlin:20240330T023000\nRRULE:FREQ=DAILY;UNTIL=20240331T010000Z")
    assert listed(found) == ["2024-03-30 01:30 01:30"]


# --- the recurrence set

DAILY = "DTSTART;TZID=Europe/Berlin:20240101T100000\nDTEND;TZID=Europe/Berlin:20240101T110000\nRRULE:FREQ=DAILY;COUNT=4"


def days(found: Component, zone: Zone = BERLIN) -> list[str]:
    return [line[8:16] for line in listed(found, zone=zone)]


@pytest.mark.parametrize(
    "exdate",
    [
        "EXDATE;TZID=Europe/Berlin:20240102T100000",
        "EXDATE:20240102T090000Z",
        "EXDATE;TZID=America/New_York:20240102T040000",
        "EXDATE:20240102T100000",
        "EXDATE;VALUE=DATE:20240102",
        "EXDATE:20240102",
        "EXDATE:20200101T000000Z,20240102T090000Z,",
    ],
)
def test_exdate(exdate: str) -> None:
    assert days(calendar(f"VEVENT\n{DAILY}\n{exdate}")) == ["01 09:00", "03 09:00", "04 09:00"]


def test_exdate_may_take_dtstart_away() -> None:
    assert days(calendar(f"VEVENT\n{DAILY}\nEXDATE:20240101T090000Z")) == ["02 09:00", "03 09:00", "04 09:00"]


@pytest.mark.parametrize("exdate", ["EXDATE;VALUE=DATE:20240102", "EXDATE:20240102T000000Z", "EXDATE:20240102T093000"])
def test_exdate_in_a_series_of_dates(exdate: str) -> None:
    found = calendar(f"VEVENT\nDTSTART;VALUE=DATE:20240101\nRRULE:FREQ=DAILY;COUNT=3\n{exdate}")
    assert days(found, UTC) == ["01 00:00", "03 00:00"]


@pytest.mark.parametrize(
    ("until", "wanted"),
    [
        ("20240103T090000Z", 3),
        ("20240103T085959Z", 2),
        ("20240103T100000", 3),
        ("20240103", 3),
        ("20240102", 2),
        ("20231231", 1),  # DTSTART is there in any case
    ],
)
def test_until(until: str, wanted: int) -> None:
    assert len(days(calendar("VEVENT\n" + DAILY.replace("COUNT=4", f"UNTIL={until}")))) == wanted


@pytest.mark.parametrize(("until", "wanted"), [("20240103", 3), ("20240103T000000Z", 3), ("20240102T225959Z", 2)])
def test_until_in_a_series_of_dates(until: str, wanted: int) -> None:
    found = calendar(f"VEVENT\nDTSTART;VALUE=DATE:20240101\nRRULE:FREQ=DAILY;UNTIL={until}")
    assert len(listed(found)) == wanted


def test_rdate() -> None:
    found = calendar(
        f"VEVENT\n{DAILY}\nRDATE:20240102T090000Z,20240101T200000Z\nRDATE;VALUE=DATE:20240110\nEXDATE:20240101T200000Z"
    )
    assert days(found) == ["01 09:00", "02 09:00", "03 09:00", "04 09:00", "10 09:00"]


def test_rdate_without_rule_adds_to_dtstart() -> None:
    found = calendar("VEVENT\nDTSTART:20240101T100000Z\nDURATION:PT1H\nRDATE:20240103T120000Z,20231231T120000Z")
    assert listed(found) == ["2023-12-31 12:00 13:00", "2024-01-01 10:00 11:00", "2024-01-03 12:00 13:00"]


def test_rdate_with_period_has_its_own_end() -> None:
    found = calendar(
        f"VEVENT\n{DAILY}\nRDATE;VALUE=PERIOD:20240102T090000Z/PT3H,20240105T080000Z/20240105T083000Z\nRDATE:20240102T090000Z"
    )
    assert listed(found) == [
        "2024-01-01 09:00 10:00",
        "2024-01-02 09:00 12:00",
        "2024-01-03 09:00 10:00",
        "2024-01-04 09:00 10:00",
        "2024-01-05 08:00 08:30",
    ]


def test_two_rules_add_up() -> None:
    found = calendar(
        "VEVENT\nDTSTART:20240101T100000Z\nRRULE:FREQ=DAILY;COUNT=3\nRRULE:FREQ=DAILY;INTERVAL=2;COUNT=3\nRRULE:"
    )
    assert days(found) == ["01 10:00", "02 10:00", "03 10:00", "05 10:00"]


# --- overrides


@pytest.mark.parametrize(
    "rid",
    [
        "RECURRENCE-ID;TZID=Europe/Berlin:20240102T100000",
        "RECURRENCE-ID:20240102T090000Z",
        "RECURRENCE-ID:20240102T100000",
        "RECURRENCE-ID;VALUE=DATE:20240102",
    ],
)
def test_override(rid: str) -> None:
    found = calendar(f"VEVENT\n{DAILY}", f"VEVENT\n{rid}\nDTSTART:20240108T120000Z\nDURATION:PT2H")
    assert listed(found) == [
        "2024-01-01 09:00 10:00",
        "2024-01-03 09:00 10:00",
        "2024-01-04 09:00 10:00",
        "2024-01-08 12:00 14:00",
    ]
    last = list(instances(found, utc("20240105"), None, BERLIN))
    assert [shown(one.recurrence_id) for one in last] == ["2024-01-02 09:00"]
    assert last[0].component is found.components[1]


def test_override_of_a_date_by_a_time() -> None:
    found = calendar(
        "VEVENT\nDTSTART;VALUE=DATE:20240101\nRRULE:FREQ=DAILY;COUNT=2",
        "VEVENT\nRECURRENCE-ID;VALUE=DATE:20240102\nDTSTART:20240102T120000Z\nDURATION:PT2H",
    )
    assert listed(found, zone=UTC) == ["2024-01-01 00:00 00:00", "2024-01-02 12:00 14:00"]


def test_override_without_master() -> None:
    found = calendar(
        "VEVENT\nRECURRENCE-ID:20240102T100000Z\nDTSTART:20240102T120000Z\nDURATION:PT2H\nRRULE:FREQ=DAILY"
    )
    assert listed(found) == ["2024-01-02 12:00 14:00"]
    assert recurrence_sets(found, BERLIN)[0].recurs


def test_override_that_is_no_instance_of_the_master_is_one_all_the_same() -> None:
    found = calendar(f"VEVENT\n{DAILY}", "VEVENT\nRECURRENCE-ID:20250102T090000Z\nDTSTART:20250102T120000Z")
    assert listed(found, "20250101") == ["2025-01-02 12:00 12:00"]


def test_this_and_future() -> None:
    found = calendar(
        f"VEVENT\n{DAILY}",
        "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20240102T090000Z\nDTSTART:20240102T110000Z\nDURATION:PT3H",
        "VEVENT\nRECURRENCE-ID:20240103T090000Z\nDTSTART:20240103T200000Z\nDURATION:PT5M",
    )
    assert listed(found) == [
        "2024-01-01 09:00 10:00",
        "2024-01-02 11:00 14:00",
        "2024-01-03 20:00 20:05",
        "2024-01-04 11:00 14:00",
    ]


def test_this_and_future_is_later_by_the_same_local_time_when_the_clocks_change() -> None:
    found = calendar(
        "VEVENT\nDTSTART;TZID=Europe/Berlin:20240329T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4",
        "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20240330T100000\n"
        "DTSTART;TZID=Europe/Berlin:20240330T120000\nDURATION:PT1H",
    )
    assert listed(found) == [
        "2024-03-29 09:00 10:00",
        "2024-03-30 11:00 12:00",
        "2024-03-31 10:00 11:00",
        "2024-04-01 10:00 11:00",
    ]


def test_this_and_future_twice() -> None:
    found = calendar(
        "VEVENT\nDTSTART:20240101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nRDATE:20240103T150000Z",
        "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20240104T100000Z\nDTSTART:20240106T100000Z\nDURATION:PT2H",
        "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20240102T100000Z\nDTSTART:20240102T090000Z\nDURATION:PT1H",
    )
    assert listed(found, None, "20240108") == [
        "2024-01-01 10:00 11:00",
        "2024-01-02 09:00 10:00",
        "2024-01-03 09:00 10:00",
        "2024-01-03 14:00 15:00",
        "2024-01-06 10:00 12:00",
        "2024-01-07 10:00 12:00",
    ]


# --- VTODO


def test_todo_that_recurs_by_its_due_alone() -> None:
    found = calendar("VTODO\nDUE:20240101T100000Z\nRRULE:FREQ=DAILY;COUNT=2")
    assert listed(found) == ["- 10:00", "- 10:00"]


def test_todo_without_times_is_no_instance_in_time() -> None:
    assert listed(calendar("VTODO\nSUMMARY:x")) == []


# --- ranges and budgets


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("20240101T100000Z", "20240101T110000Z", 0),  # touches the end of the first
        ("20240101T095959Z", "20240101T110000Z", 1),
        ("20240101T080000Z", "20240101T090000Z", 0),  # touches its start
        ("20240101T080000Z", "20240101T090001Z", 1),
        (None, "20240103T090001Z", 3),
        ("20240103T000000Z", None, 2),
    ],
)
def test_range(start: str | None, end: str | None, wanted: int) -> None:
    assert len(listed(calendar(f"VEVENT\n{DAILY}"), start, end)) == wanted


def test_long_instances_that_began_before_the_range() -> None:
    found = calendar("VEVENT\nDTSTART:20240101T000000Z\nDURATION:P30D\nRRULE:FREQ=DAILY")
    assert len(listed(found, "20240301", "20240302", most=100)) == 30


def test_far_away_costs_nothing() -> None:
    found = calendar("VEVENT\nDTSTART:19000101T000000Z\nRRULE:FREQ=SECONDLY;INTERVAL=10")
    budget = Budget(100)
    assert len(list(instances(found, utc("20240101T000000Z"), utc("20240101T000100Z"), UTC, budget))) == 6


def test_a_bomb_is_an_error_and_not_a_long_wait() -> None:
    found = calendar("VEVENT\nDTSTART:20000101T000000Z\nRRULE:FREQ=SECONDLY")
    with pytest.raises(TooManyInstances):
        list(instances(found, utc("20240101"), utc("20250101"), UTC))


@pytest.mark.parametrize(
    "lines", ["DTSTART:x", "DTSTART:20240101\nDTEND:x", "DTSTART:20240101\nRRULE:x", "DTSTART:20240101\nEXDATE:x"]
)
def test_what_cannot_be_read_is_an_error_with_its_line(lines: str) -> None:
    with pytest.raises(ICalendarError) as refused:
        list(instances(calendar(f"VEVENT\n{lines}"), None, None, UTC))
    assert refused.value.line == 5 + lines.count("\n") + 1


# --- against itself, and a second opinion

RULES = st.sampled_from(
    [
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH,SU;WKST=SU",
        "FREQ=MONTHLY",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
        "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30",
        "FREQ=HOURLY;INTERVAL=5",
    ]
)


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Events with rule, exceptions, additions and overrides, in a zone, in UTC, floating or of dates."""
    form = draw(st.sampled_from([";TZID=Europe/Berlin", ";TZID=America/New_York", "UTC", "", ";VALUE=DATE"]))
    base = utc("20240101") + draw(st.integers(0, 366)) * DAY + draw(st.integers(0, 47)) * 1800

    def line(name: str, local: int) -> str:
        if form == ";VALUE=DATE":
            return f"{name}{form}:{write_date(local)}"
        return f"{name}:{write_utc(local)}" if form == "UTC" else f"{name}{form}:{write_local(local)}"

    rule = draw(RULES)
    if form == ";VALUE=DATE" and ("HOUR" in rule):
        rule = "FREQ=DAILY"
    end = draw(st.sampled_from([";COUNT=5", ";COUNT=25", ""]))
    first = calendar(f"VEVENT\n{line('DTSTART', base)}\nRRULE:{rule}")
    base = [one.start_local or 0 for one in islice(instances(first, None, None, BERLIN), 2)][
        1
    ]  # one that fits the rule
    step = DAY if form == ";VALUE=DATE" else 1800
    master = [
        "VEVENT",
        line("DTSTART", base),
        line("DTEND", base + step * draw(st.integers(1, 3))),
        f"RRULE:{rule}{end}",
    ]
    original = calendar("\n".join(master))
    made = [one.recurrence_local or 0 for one in islice(instances(original, None, None, BERLIN), 6)]
    some = st.lists(st.sampled_from(made), max_size=2, unique=True)
    gone, moved = draw(some), draw(some)
    master += [line("EXDATE", one) for one in gone]
    master += [line("RDATE", base + at * DAY + step) for at in draw(st.lists(st.integers(0, 40), max_size=2))]
    overrides = [
        "\n".join(
            [
                "VEVENT",
                line("RECURRENCE-ID", one),
                line("DTSTART", one + shift * step),
                line("DTEND", one + (shift + 2) * step),
            ]
        )
        for one, shift in zip(moved, (7, -5), strict=False)
        if one not in gone
    ]
    return source("\n".join(master), *overrides)


@settings(max_examples=200, deadline=None)
@given(objects(), st.integers(0, 500), st.integers(1, 200))
def test_a_part_of_the_range_has_the_same_instances(data: bytes, day: int, width: int) -> None:
    found = parse_stream(data)[0]
    start = utc("20231215") + day * DAY
    end = start + width * DAY // 4
    whole = instances(found, None, utc("20260101"), BERLIN, Budget(10**6))
    wanted = [
        one[2:]
        for one in whole
        if one.start is not None and one.end is not None and one.start < end and one.end > start
    ]
    assert [one[2:] for one in instances(found, start, end, BERLIN)] == wanted


@settings(max_examples=200, deadline=None)
@given(objects())
def test_all_instances_lie_within_the_extent(data: bytes) -> None:
    found = parse_stream(data)[0]
    one = recurrence_sets(found, BERLIN)[0]
    first, last = one.extent(Budget(1000))
    made = list(instances(found, None, utc("20260101"), BERLIN, Budget(10**6)))
    assert first is not None
    assert min(one.start or 0 for one in made) >= first
    assert last is None or max(one.end or 0 for one in made) <= last
    assert (last is None) == (b"COUNT" not in data)


def instant(value: date | datetime) -> int:
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=ZoneInfo("Europe/Berlin"))).timestamp())
    return BERLIN.to_instant((value - date(1970, 1, 1)).days * DAY)


def their_instances(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    found = []
    for one in icalendar.Calendar.from_ical(data, multiple=True):
        between = recurring_ical_events.of(one).between(
            datetime.fromtimestamp(start, UTC_TZ), datetime.fromtimestamp(end, UTC_TZ)
        )
        found += [(instant(event.start), instant(event.end)) for event in between]
    return sorted(found)


def our_instances(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    return sorted(
        (one.start or 0, one.end or 0)
        for calendar in parse_stream(data)
        for one in instances(calendar, start, end, BERLIN, Budget(10**6))
        if one.component.name == "VEVENT"
    )


@settings(max_examples=60, deadline=None)
@given(objects())
def test_as_recurring_ical_events(data: bytes) -> None:
    if b"BYHOUR" in data or b"HOURLY" in data:
        return  # it merges and drops instances around the hour that does not exist
    start, end = utc("20231215"), utc("20250701")
    ours, theirs = (
        [one for one in found(data, start, end) if start + DAY < one[0] < end - DAY]
        for found in (our_instances, their_instances)
    )
    if b"TZID" in data:  # it lets DTEND be a time on the wall, where the RFC wants the same exact duration
        assert [one[0] for one in ours] == [one[0] for one in theirs]
    else:
        assert ours == theirs


#: Where the two differ, and why that is right.
DIFFERENT = {
    "Germany_Holidays.ics": "a DTEND that is DTSTART: one day, not none",
    "Office-2012-owa.ics": "names of zones as Outlook shows them",
    "alarm_absolute_edited.ics": "two masters with one UID",
    "biweekly-exdate-until.ics": "X-WR-TIMEZONE says nothing of UTC times",
    "daily-count-exdate-recurrence-id.ics": "an end before the start: none, not swapped",
    "day_long_recur_yearly.ics": "the last day of the range, in a zone",
    "duplicate-rrule-sequence.ics": "two masters with one UID",
    "duplicate-uid-sequence.ics": "two masters with one UID",
    "end_before_start_event.ics": "an end before the start: none, not swapped",
    "issue_117_until_before_dtstart.ics": "DTSTART is always there",
    "issue_132_swapped_start_and_end.ics": "an end before the start: none, not swapped",
    "issue_148_edge_case_1.ics": "two masters with one UID",
    "issue_148_edge_case_2.ics": "two masters with one UID",
    "issue_148_exdate_and_rdate_updated.ics": "two masters with one UID",
    "issue_148_ignored_exdate.ics": "two masters with one UID",
    "issue_163_deleted_modification.ics": "two masters with one UID",
    "issue_164_duplicated_event.ics": "two overrides of one instance",
    "issue_173_only_modifications_error.ics": "the last day of the range, in a zone",
    "issue_201_mixed_datetime_and_date.ics": "DTSTART as DATE, DTEND as DATE-TIME",
    "issue_253_additional_recurrence_id.ics": "an override that is no instance of the master",
    "issue_75_range_parameter.ics": "the day of UNTIL=<date> counts",
    "mixed-timezone-handling.ics": "X-WR-TIMEZONE says nothing of floating times here",
    "multiple_rrule.ics": "DTSTART is the first start that COUNT counts",
    "music-school-weekly-until.ics": "(GMT +01:00) is an offset",
    "non-utc-until-ny.ics": "the day of UNTIL=<date> counts",
    "one_day_event_repeat_every_day.ics": "the last day of the range, in a zone",
    "recurrence-sequence.ics": "two masters with one UID",
    "tv-show-episode.ics": "X-WR-TIMEZONE says nothing of floating times here",
    "windows-quoted-tz-rrule.ics": "names of zones as Outlook shows them",
}


def unreadable(file: Path) -> bool:
    try:
        parse_stream(file.read_bytes())
    except ICalendarError:
        return True
    return False


#: What one of the two cannot read.
UNREADABLE = {
    "RDATE_test.ics",
    "RDATE_utc_test.ics",
    "base64.ics",
    "attendee-with-url.ics",
    "badRRULE.ics",
    "bad_custom_ms_tz.ics",
    "bad_custom_ms_tz2.ics",
    "bad_rrule_missing_until_event.ics",
    "component.ics",
    "event-with-category.ics",
    "google_birthday.ics",
    "large-file-with-late-error.ics",
    "multi-event-basic.ics",
    "test_date_duration.ics",
    "test_with_multiple_tzids_in_vtimezone.ics",
}
FILES = sorted(
    file
    for file in DATA.rglob("*.ics")
    if file.name not in UNREADABLE and b"BEGIN:VEVENT" in file.read_bytes() and not unreadable(file)
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_collected_file_as_recurring_ical_events(file: Path) -> None:
    data = file.read_bytes()
    calendars = parse_stream(data)
    years = [
        int(line.value[:4])
        for one in calendars
        for component in one.components
        if component.name == "VEVENT" and (line := component.first("DTSTART")) is not None
    ]
    first = max(1900, min(years))
    start, end = utc(f"{first}0101"), utc(f"{min(2100, max(years) + 3, first + 15)}0101")
    assert (our_instances(data, start, end) == their_instances(data, start, end)) is (file.name not in DIFFERENT)
