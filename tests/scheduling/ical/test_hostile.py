"""Objects that are broken or bombs: nothing but ICalendarError comes of them, soon."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.bounds import check_instances
from scheduling.ical.digest import digest
from scheduling.ical.expand import expand, limit_freebusy_set, limit_recurrence_set
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.recurrence import instances
from scheduling.ical.spans import Blocking
from scheduling.ical.timerange import TimeRange
from scheduling.ical.timezones import UTC
from tests.scheduling.ical.ranges import alarm_overlaps, component_overlaps, property_overlaps
from tests.scheduling.ical.test_rrule import BOMBS
from tests.scheduling.ical.writing import APPENDIX_B, BERLIN, source, utc

if TYPE_CHECKING:
    from collections.abc import Callable

START, END = utc("20240101"), utc("20250101")
SPANS = [TimeRange(START, END, BERLIN), TimeRange(START, None, UTC), TimeRange(None, START, UTC)]
KINDS = ("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY")


def calls(body: bytes) -> list[Callable[[], object]]:
    """Everything that is asked of an object, one call each."""
    calendar = parse(body)
    found: list[Callable[[], object]] = [
        lambda: digest(calendar, horizon=(START, END), blocking_of=lambda _: Blocking(2)),
        lambda: list(instances(calendar, START, END, BERLIN)),
        lambda: check_instances(calendar, "VEVENT", 20_000),
        lambda: expand(body, START, END, BERLIN, most=1000),
        lambda: limit_recurrence_set(body, START, END, BERLIN),
        lambda: limit_freebusy_set(body, START, END, BERLIN),
    ]
    for span in SPANS:
        for kind in KINDS:
            found.append(lambda kind=kind, span=span: component_overlaps(calendar, kind, span))  # type: ignore[misc]
            found.append(lambda kind=kind, span=span: alarm_overlaps(calendar, kind, span))  # type: ignore[misc]
            found.append(lambda kind=kind, span=span: property_overlaps(calendar, kind, "DTEND", span))  # type: ignore[misc]
    return found


ALARM = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:{}\nREPEAT:999999999\nDURATION:PT1S\nEND:VALARM"
MANY = ",".join(
    f"{year:04}{month:02}{day:02}T000000Z" for year in range(1900, 2100) for month in range(1, 13) for day in (1, 9)
)
HOSTILE = {
    "far starts": "VEVENT\nDTSTART:00010101T000000Z\nRRULE:FREQ=SECONDLY",
    "last second": "VEVENT\nDTSTART:99991231T235959Z\nDURATION:P99999999D\nRRULE:FREQ=SECONDLY",
    "first second in a zone": "VEVENT\nDTSTART;TZID=Asia/Tokyo:00010101T000000\nRRULE:FREQ=DAILY",
    "last date": "VEVENT\nDTSTART;VALUE=DATE:99991231\nRRULE:FREQ=DAILY",
    "long instances": "VEVENT\nDTSTART:20000101T000000Z\nDURATION:P9999999W\nRRULE:FREQ=MINUTELY",
    "rdates": f"VEVENT\nDTSTART:20000101T000000Z\nRDATE:{MANY}\nEXDATE:{MANY}",
    "repeats": f"VEVENT\nDTSTART:20000101T000000Z\nRRULE:FREQ=HOURLY\n{ALARM.format('-P9999999W')}",
    "alarm far ahead": f"VEVENT\nDTSTART:20000101T000000Z\nRRULE:FREQ=HOURLY\n{ALARM.format('P9999999W')}",
    "many rules": "VEVENT\nDTSTART:20000101T000000Z\n" + "RRULE:FREQ=SECONDLY;INTERVAL=7\n" * 500,
    "this and future": "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20240101T000000Z\nDTSTART:99991231T000000Z",
    "until before start": "VEVENT\nDTSTART:20240101T000000Z\nRRULE:FREQ=DAILY;UNTIL=00010101T000000Z",
    "periods": f"VFREEBUSY\nFREEBUSY:{MANY.replace('Z,', 'Z/P9999W,')}/PT1H",
}
for rule in BOMBS:
    HOSTILE[rule] = f"VEVENT\nDTSTART;TZID=Europe/Berlin:20000101T000000\nDURATION:PT1H\nRRULE:{rule}"


@pytest.mark.parametrize("case", HOSTILE, ids=[name[:40] for name in HOSTILE])
def test_each_question_is_soon_answered(case: str) -> None:
    for call in calls(source(HOSTILE[case])):
        begun = time.process_time()
        with suppress(ICalendarError):
            call()
        assert time.process_time() - begun < 1  # some tens of milliseconds of processor time here


def test_many_overrides() -> None:
    overrides = [
        f"VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:2024{month:02}{day:02}T{hour:02}0000Z\nDTSTART:20240101T000000Z"
        for month in range(1, 13)
        for day in range(1, 29)
        for hour in (1, 2, 3)
    ]
    body = source("VEVENT\nDTSTART:20240101T000000Z\nRRULE:FREQ=HOURLY", *overrides)
    for call in calls(body):
        begun = time.process_time()
        with suppress(ICalendarError):
            call()
        assert time.process_time() - begun < 3


SEEDS = [file.read_bytes() for file in sorted(APPENDIX_B.glob("*.ics"))]
SEEDS += [source(text) for text in HOSTILE.values() if len(text) < 300]
SCRAPS = (
    b"DTSTART DTEND DUE RRULE EXDATE RDATE RECURRENCE-ID ;RANGE=THISANDFUTURE ;VALUE=DATE ;TZID=US/Eastern FREQ=DAILY "
    b"COUNT= UNTIL= BYSETPOS=-1 P1D -PT15M 20060104 T120000Z T240000 9999 0000 0 -1 , ; : / Z VTODO VEVENT VALARM"
).split()
SCRAPS += [b"", b"\r\n"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        at, width = draw(st.integers(0, len(body))), draw(st.integers(0, 12))
        body = body[:at] + draw(st.sampled_from(SCRAPS)) + body[at + width :]
    return body


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_a_mutated_object_gives_nothing_but_icalendar_errors(body: bytes) -> None:
    try:
        questions = calls(body)
    except ICalendarError:
        return
    for call in questions:
        with suppress(ICalendarError):
            call()
