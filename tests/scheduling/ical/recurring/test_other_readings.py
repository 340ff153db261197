"""Where dateutil and recurring-ical-events read RFC 5545 otherwise than it is written, each case with its section.

Each test shows what this server makes of it, which is what the RFC says, and what the library makes of it. Where the
library reads it as the RFC does, or in a third way, the test says so and is skipped. Once all versions of it do as the
RFC says, the case can be taken out of here, and out of ``as_dateutil`` or ``as_the_other`` in ``test_large``.
"""

from __future__ import annotations

from datetime import UTC as UTC_TZ, datetime
from itertools import islice
from typing import NamedTuple

import icalendar
import pytest
import recurring_ical_events
from dateutil.rrule import rrulestr

from scheduling.ical.lines import parse
from scheduling.ical.recur import parse as parse_rule
from scheduling.ical.recurrence import instances
from scheduling.ical.rrule import starts
from scheduling.ical.values import moment, wall
from tests.scheduling.ical.recurring.cases import clock
from tests.scheduling.ical.writing import BERLIN, source, utc


def differs(library: str, theirs: str, known: str, ours: str) -> None:
    """Skips where the library does not say what it was known to say."""
    if theirs == ours:
        pytest.skip(f"{library} now reads this as RFC 5545 does: this case can be taken out")
    if theirs != known:
        pytest.skip(f"{library} now reads this in a third way: {theirs}")


# --- dateutil


class Rule(NamedTuple):
    section: str
    start: str
    rule: str
    ours: str
    theirs: str


RULES = [
    Rule(
        '3.3.10 COUNT: "The DTSTART property value always counts as the first occurrence."',
        "19970902",
        "FREQ=MONTHLY;BYMONTHDAY=13;COUNT=3",
        "19970902 19970913 19971013",
        "19970913 19971013 19971113",
    ),
    Rule(
        '3.8.5.3: "The DTSTART property value defines the first instance in the recurrence set."',
        "20240101",
        "FREQ=WEEKLY;BYDAY=TU;UNTIL=20240110",
        "20240101 20240102 20240109",
        "20240102 20240109",
    ),
    Rule(
        "3.3.10 BYWEEKNO without BYDAY: what the rule does not say, here the day of the week, is that of DTSTART",
        "19970512",
        "FREQ=YEARLY;BYWEEKNO=20;COUNT=3",
        "19970512 19980511 19990517",
        "19970512 19970513 19970514",
    ),
    Rule(
        "3.3.10 BYWEEKNO: 2 January 2022 is in week 52 of 2021, which has no 53rd (ISO 8601)",
        "20210103",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU",
        "20210103",
        "20210103 20220102",
    ),
    Rule(
        "3.3.10 BYDAY: days with a number are added to those without, they do not limit them",
        "20240101",
        "FREQ=YEARLY;INTERVAL=100;BYDAY=MO,1TU;COUNT=3",
        "20240101 20240102 20240108",
        "",
    ),
    Rule(
        '3.3.10 BYSETPOS: "A set of recurrence instances starts at the beginning of the interval"; the first week too',
        "20000101",
        "FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1;COUNT=3",
        "20000101 20000103 20000110",
        "20000102 20000103 20000110",
    ),
    Rule(
        "3.3.10 UNTIL bounds the rule, and 3.8.5.3: DTSTART is the first instance in any case",
        "20240110",
        "FREQ=DAILY;UNTIL=20240101",
        "20240110",
        "",
    ),
    Rule(
        '3.3.10: "BYSECOND, BYMINUTE and BYHOUR … MUST be ignored" where DTSTART is a DATE',
        "20240101",
        "FREQ=DAILY;BYHOUR=9;COUNT=2",
        "20240101 20240102",
        "20240101T090000 20240102T090000",
    ),
    Rule(
        "RFC 7529 4.1: SKIP=FORWARD",
        "20230131",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD;COUNT=3",
        "20230131 20230301 20230331",
        "ValueError",
    ),
    Rule(
        "3.3.10: BYSECOND may be 60, and 3.3.5: who does not know leap seconds reads it as 59",
        "20240101T000059",
        "FREQ=MINUTELY;BYSECOND=60;COUNT=2",
        "20240101T000059 20240101T000159",
        "ValueError",
    ),
]


@pytest.mark.parametrize("case", RULES, ids=[case.rule for case in RULES])
def test_rule_that_dateutil_reads_otherwise(case: Rule) -> None:
    first = moment(case.start)
    rule = parse_rule(case.rule)
    until = rule.until.local if rule.until is not None else None
    made = starts(rule, first.local, dates="T" not in case.start, until=until, before=first.local + 3 * 366 * 86_400)
    ours = shown([wall(one) for one in islice(made, 3)])
    assert ours == case.ours
    differs("dateutil", by_dateutil(case), case.theirs, ours)


def shown(times: list[datetime]) -> str:
    return " ".join(f"{one:%Y%m%dT%H%M%S}".removesuffix("T000000") for one in times)


def by_dateutil(case: Rule) -> str:
    try:
        found = rrulestr(case.rule, dtstart=clock(case.start))
        return shown([one for one in islice(found, 3) if one.year < clock(case.start).year + 3])
    except ValueError:
        return "ValueError"


# --- recurring-ical-events


class Event(NamedTuple):
    section: str
    lines: str
    overrides: tuple[str, ...]
    ours: str
    theirs: str


MOVED = "VEVENT\nRECURRENCE-ID:20240102T100000Z\nDTSTART:20240102T200000Z\nDURATION:PT1H"
EVENTS = [
    Event(
        '3.8.5.3: "the same exact duration will apply" with DTEND, also in a night that has 23 hours',
        "DTSTART;TZID=Europe/Berlin:20240329T200000\nDTEND;TZID=Europe/Berlin:20240330T200000\nRRULE:FREQ=DAILY;COUNT=2",
        (),
        "0329T1900/0330T1900 0330T1900/0331T1900",
        "0329T1900/0330T1900 0330T1900/0331T1800",
    ),
    Event(
        "3.3.10 UNTIL bounds in an inclusive manner: as a DATE, that day is still in",
        "DTSTART;TZID=Europe/Berlin:20240101T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20240102",
        (),
        "0101T0900/0101T1000 0102T0900/0102T1000",
        "0101T0900/0101T1000",
    ),
    Event(
        "3.8.4.4, 3.8.5.1: EXDATE takes the instance out of the set, and an override is there all the same",
        "DTSTART:20240101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20240102T100000Z",
        (MOVED,),
        "0101T1000/0101T1100 0102T2000/0102T2100",
        "0101T1000/0101T1100",
    ),
    Event(
        "3.3.10 COUNT: DTSTART counts, also where it does not fit the rule",
        "DTSTART:20240101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYDAY=TU;COUNT=2",
        (),
        "0101T1000/0101T1100 0102T1000/0102T1100",
        "0101T1000/0101T1100 0102T1000/0102T1100 0109T1000/0109T1100",
    ),
    Event(
        "3.8.5.2 a DATE in RDATE beside a DATE-TIME: the instance of that day, as everywhere (Evolution writes it)",
        "DTSTART:20240101T100000Z\nDURATION:PT1H\nRDATE;VALUE=DATE:20240105",
        (),
        "0101T1000/0101T1100 0105T1000/0105T1100",
        "0101T1000/0101T1100 0105T0000/0105T0100",
    ),
    Event(
        "3.6.1: a DTEND that is not later than its DTSTART is wrong; it lasts no time",
        "DTSTART:20240101T100000Z\nDTEND:20240101T090000Z",
        (),
        "0101T1000/0101T1000",
        "0101T0900/0101T1000",
    ),
    Event(
        "3.3.10 BYWEEKNO without BYDAY",
        "DTSTART:20240108T100000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYWEEKNO=2;COUNT=2",
        (),
        "0108T1000/0108T1100",
        "0108T1000/0108T1100 0109T1000/0109T1100",
    ),
    Event(
        '3.8.5.3: "Duplicate instances are ignored"; 02:30 does not exist, and is the instant of 03:30 (3.3.5)',
        "DTSTART;TZID=Europe/Berlin:20240331T013000\nDURATION:PT15M\nRRULE:FREQ=HOURLY;COUNT=4",
        (),
        "0331T0030/0331T0045 0331T0130/0331T0145 0331T0230/0331T0245",
        "0331T0030/0331T0045 0331T0130/0331T0145 0331T0130/0331T0145 0331T0230/0331T0245",
    ),
]


@pytest.mark.parametrize("case", EVENTS, ids=[case.section.split(":")[0] for case in EVENTS])
def test_event_that_recurring_ical_events_reads_otherwise(case: Event) -> None:
    body = source(f"VEVENT\n{case.lines}", *case.overrides)
    start, end = utc("20231201"), utc("20241201")
    made = sorted((one.start or 0, one.end or 0) for one in instances(parse(body), start, end, BERLIN))
    ours = between(made)
    assert ours == case.ours
    whole = datetime.fromtimestamp(start, UTC_TZ), datetime.fromtimestamp(end, UTC_TZ)
    found = recurring_ical_events.of(icalendar.Calendar.from_ical(body)).between(*whole)
    theirs = between(sorted((instant(one.start), instant(one.end)) for one in found))
    differs("recurring-ical-events", theirs, case.theirs, ours)


def between(found: list[tuple[int, int]]) -> str:
    return " ".join(f"{wall(start):%m%dT%H%M}/{wall(end):%m%dT%H%M}" for start, end in found)


def instant(value: object) -> int:
    if isinstance(value, datetime):
        return round(value.timestamp())
    return BERLIN.to_instant(utc(f"{value:%Y%m%d}"))
