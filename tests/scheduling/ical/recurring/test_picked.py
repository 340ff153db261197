"""Recurrences picked by hand, each at a place where calendars go wrong, seen through all that ``test_large`` compares.

The definition walks through half a century, so that what is asked of a window far away is compared as well.
"""

from __future__ import annotations

from random import Random

import pytest

from scheduling.ical.timerange import TimeRange
from scheduling.ical.values import DAY
from tests.scheduling.ical.recurring import definition
from tests.scheduling.ical.recurring.cases import Case, clock, written
from tests.scheduling.ical.recurring.definition import Change, Extra, Length, Time, Until, Values
from tests.scheduling.ical.recurring.test_large import Seen, check, overlaps
from tests.scheduling.ical.writing import utc

HALF_AN_HOUR = Length(duration=(0, 1800))
A_DAY = Length(duration=(1, 0))

#: Form, DTSTART and rule.
RULES = [
    # the nights when clocks change: in the gap, in the hour that comes twice, by half an hour, and never
    ("Europe/Berlin", "20240330T023000", "FREQ=DAILY;COUNT=5"),
    ("Europe/Berlin", "20241026T023000", "FREQ=DAILY;COUNT=5"),
    ("Europe/Berlin", "20240331T003000", "FREQ=HOURLY;COUNT=8"),
    ("Europe/Berlin", "20240331T013000", "FREQ=MINUTELY;INTERVAL=15;COUNT=20"),
    ("America/New_York", "20241103T003000", "FREQ=HOURLY;COUNT=8"),
    ("America/New_York", "20240303T023000", "FREQ=WEEKLY;BYDAY=SU"),
    ("Australia/Lord_Howe", "20241005T021500", "FREQ=DAILY;COUNT=4"),
    ("Australia/Lord_Howe", "20240406T014500", "FREQ=DAILY;COUNT=4"),
    ("Asia/Kathmandu", "20240101T001500", "FREQ=DAILY;INTERVAL=10"),
    ("UTC", "20240331T010000", "FREQ=HOURLY;INTERVAL=25;COUNT=40"),
    ("FLOATING", "20240330T023000", "FREQ=DAILY;COUNT=3"),
    ("DATE", "20240330", "FREQ=DAILY;COUNT=3"),
    # leap days and the ends of months
    ("DATE", "19960229", "FREQ=YEARLY"),
    ("DATE", "19960229", "RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD"),
    ("DATE", "19960229", "RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=BACKWARD"),
    ("UTC", "20240131T090000", "FREQ=MONTHLY"),
    ("UTC", "20240131T090000", "FREQ=MONTHLY;BYMONTHDAY=-1"),
    ("UTC", "20240130T090000", "FREQ=MONTHLY;BYMONTHDAY=30,-1"),
    ("UTC", "20240320T090000", "FREQ=MONTHLY;BYMONTHDAY=20,-12;COUNT=100"),
    ("UTC", "20241231T090000", "FREQ=YEARLY;BYYEARDAY=366,-366"),
    ("UTC", "20240301T090000", "FREQ=YEARLY;BYYEARDAY=60"),
    # BYSETPOS
    ("Europe/Berlin", "20240131T090000", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
    ("Europe/Berlin", "20240101T090000", "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=2,-2;COUNT=300"),
    ("Europe/Berlin", "20240101T090000", "FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1"),
    ("UTC", "20240101T000000", "FREQ=DAILY;BYHOUR=1,5,9;BYMINUTE=0,30;BYSETPOS=2,-1"),
    ("UTC", "20240101T000000", "FREQ=YEARLY;BYMONTH=1,12;BYDAY=MO;BYSETPOS=1,-1"),
    # weeks with numbers
    ("DATE", "20201228", "FREQ=YEARLY;BYWEEKNO=53"),
    ("DATE", "20201228", "FREQ=YEARLY;BYWEEKNO=53,1;BYDAY=MO,SU"),
    ("DATE", "20240101", "FREQ=YEARLY;BYWEEKNO=1;WKST=SU;BYDAY=SU,MO"),
    ("DATE", "20241230", "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO,TU,WE,TH,FR,SA,SU"),
    # weekdays that count
    ("UTC", "20240129T090000", "FREQ=MONTHLY;BYDAY=5MO"),
    ("UTC", "20240101T090000", "FREQ=MONTHLY;BYDAY=1MO,-1FR,WE"),
    ("UTC", "20241229T090000", "FREQ=YEARLY;BYDAY=-1SU,53MO"),
    ("UTC", "20240913T090000", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"),
    ("UTC", "19961105T090000", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8"),
    ("UTC", "20240101T090000", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU"),
    ("UTC", "20240101T090000", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO"),
    # without end, for long
    ("Europe/Berlin", "19900101T100000", "FREQ=DAILY"),
    ("Europe/Berlin", "19900101T100000", "FREQ=DAILY;INTERVAL=7;COUNT=2000"),
    ("Europe/Berlin", "19900101T100000", "FREQ=MONTHLY;BYDAY=4MO,2WE;COUNT=1000"),
    ("DATE", "19900101", "FREQ=WEEKLY;BYDAY=MO,WE,FR"),
]


def case_of(form: str, start: str, rule: str, *, last: str | None = None) -> Case:
    first = clock(start)
    long = definition.FAR[definition.Recur(rule).frequency]
    values = Values(Time(first, form), A_DAY if form == "DATE" else HALF_AN_HOUR, [(rule, None)], [], [], [])
    return Case(values, written(values, defined=True), "Europe/Berlin", clock(last) if last else first + long)


@pytest.mark.parametrize(("form", "start", "rule"), RULES, ids=[f"{rule} {start}" for _, start, rule in RULES])
def test_rule(form: str, start: str, rule: str) -> None:
    check(case_of(form, start, rule), Random(start + rule))


FAR_AWAY = [case for case in RULES if not any(name in case[2] for name in ("HOURLY", "MINUTELY"))]


@pytest.mark.parametrize(("form", "start", "rule"), FAR_AWAY, ids=[f"{rule} {start}" for _, start, rule in FAR_AWAY])
def test_far_away(form: str, start: str, rule: str) -> None:
    """Weeks and months around 2045, when nothing of the packed spans is left, with the budget of a request."""
    seen = Seen(case_of(form, start, rule, last="20460201"))
    late = [one for one in seen.wanted if one.end > utc("20441101")]
    for day in range(0, 400, 16):
        since = utc("20441115") + day * DAY
        for before in (since + 7 * DAY, since + 31 * DAY):
            wanted = any(overlaps(one, since, before) for one in late)
            assert any(TimeRange(since, before, seen.zone).components(seen.calendar, "VEVENT")) is wanted
            made = [one for one in seen.told(since, before) if overlaps(one, since, before)]
            assert made == [one for one in late if overlaps(one, since, before)]


def berlin(text: str) -> Time:
    return Time(clock(text), "Europe/Berlin")


DAILY = Values(berlin("20240325T100000"), HALF_AN_HOUR, [("FREQ=DAILY;COUNT=20", None)], [], [], [])
OBJECTS = {
    "UNTIL as a DATE": DAILY._replace(rules=[("FREQ=DAILY", Until(clock("20240331"), "DATE"))]),
    "UNTIL in UTC, on the very start": DAILY._replace(rules=[("FREQ=DAILY", Until(clock("20240402T080000"), "UTC"))]),
    "UNTIL in the hour that comes twice": Values(
        berlin("20241020T023000"), HALF_AN_HOUR, [("FREQ=DAILY", Until(clock("20241027T011500"), "UTC"))], [], [], []
    ),
    "UNTIL before DTSTART": DAILY._replace(rules=[("FREQ=DAILY", Until(clock("20240101T000000"), "UTC"))]),
    "UNTIL as a DATE of DATEs": Values(
        Time(clock("20240325"), "DATE"), A_DAY, [("FREQ=DAILY", Until(clock("20240402"), "DATE"))], [], [], []
    ),
    "RDATE before DTSTART, on an instance, and as a PERIOD": DAILY._replace(
        extras=[
            Extra(berlin("20240101T120000")),
            Extra(berlin("20240327T100000")),
            Extra(berlin("20240328T100000"), (0, 90_000)),
            Extra(Time(clock("20240501T020000"), "UTC"), (0, 0)),
        ]
    ),
    "RDATE without a rule": DAILY._replace(rules=[], extras=[Extra(berlin("20240331T023000"))]),
    "EXDATE in UTC, in another zone, as a DATE, and of nothing": DAILY._replace(
        gone=[
            Time(clock("20240326T090000"), "UTC"),
            Time(clock("20240327T050000"), "America/New_York"),
            Time(clock("20240401"), "DATE"),
            berlin("20240402T110000"),
        ]
    ),
    "EXDATE of DTSTART and of an RDATE": DAILY._replace(
        extras=[Extra(berlin("20240601T100000"))], gone=[berlin("20240325T100000"), berlin("20240601T100000")]
    ),
    "moved out of the window, and into it": DAILY._replace(
        changes=[
            Change(berlin("20240327T100000"), berlin("20250327T100000"), HALF_AN_HOUR),
            Change(berlin("20240328T100000"), berlin("20230101T100000"), HALF_AN_HOUR),
            Change(berlin("20240410T100000"), berlin("20240325T090000"), Length(duration=(0, 600))),
        ]
    ),
    "moved into the night when the clocks change, and a day long": DAILY._replace(
        changes=[
            Change(berlin("20240330T100000"), berlin("20240331T023000"), Length(duration=(1, 0))),
            Change(berlin("20240331T100000"), berlin("20240330T230000"), Length(berlin("20240331T230000"))),
        ]
    ),
    "made a DATE": DAILY._replace(
        changes=[Change(berlin("20240330T100000"), Time(clock("20240330"), "DATE"), Length())]
    ),
    "of no instance": DAILY._replace(
        changes=[Change(berlin("20260101T100000"), berlin("20260102T100000"), HALF_AN_HOUR)]
    ),
    "all that follow, twice": DAILY._replace(
        changes=[
            Change(berlin("20240329T100000"), berlin("20240329T120000"), HALF_AN_HOUR, future=True),
            Change(berlin("20240403T100000"), berlin("20240402T080000"), Length(duration=(1, 0)), future=True),
            Change(berlin("20240405T100000"), berlin("20240405T200000"), HALF_AN_HOUR),
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize("floating", ["Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("name", OBJECTS)
def test_object(name: str, floating: str) -> None:
    values = OBJECTS[name]
    for seed in range(5):
        case = Case(values, written(values, defined=seed % 2 == 0), floating, clock("20280101"))
        check(case, Random(seed))
