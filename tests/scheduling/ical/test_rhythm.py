"""A series that goes on for ever: whether it is in a stretch of time, told from a few bytes, however far away."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.digest import digest
from scheduling.ical.lines import Component
from scheduling.ical.recurrence import instances, recurrence_sets
from scheduling.ical.rrule import Budget
from scheduling.ical.spans import Blocking, is_within
from scheduling.ical.timezones import UTC, IanaZone
from scheduling.ical.values import DAY
from tests.scheduling.ical.writing import BERLIN, calendar, utc

HORIZON = (utc("20240101"), utc("20250301"))
EVENT = "VEVENT\nDTSTART;TZID=Europe/Berlin:19900101T100000\nDTEND;TZID=Europe/Berlin:19900101T103000\n"


def told(found: Component, start: str, days: int, blocking: Blocking | None = None) -> bool | None:
    packed = digest(found, horizon=HORIZON, blocking_of=lambda _: blocking).spans
    return is_within(packed, utc(start), utc(start) + days * DAY, BERLIN)


@pytest.mark.parametrize("blocking", [None, Blocking(3)])
@pytest.mark.parametrize("start", ["20240610", "20250101", "20450605", "99981201"])
def test_a_daily_event_is_in_every_week(start: str, blocking: Blocking | None) -> None:
    assert told(calendar(f"{EVENT}RRULE:FREQ=DAILY"), start, 7, blocking) is True


def test_before_its_start_it_is_not_known_by_its_rhythm() -> None:
    assert told(calendar(f"{EVENT}RRULE:FREQ=DAILY"), "19891201", 10) is None


@pytest.mark.parametrize(
    ("lines", "start", "days", "wanted"),
    [
        ("RRULE:FREQ=WEEKLY", "20240610", 7, True),
        ("RRULE:FREQ=YEARLY", "20240610", 7, False),
        ("RRULE:FREQ=YEARLY", "20450605", 7, None),
        ("RRULE:FREQ=MONTHLY;BYDAY=1MO", "20240610", 7, False),
        ("RRULE:FREQ=MONTHLY;BYDAY=1MO", "20450605", 60, True),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR", "20450605", 7, True),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", "20450605", 7, None),
        ("RRULE:FREQ=WEEKLY", "20450605", 7, None),
        ("RRULE:FREQ=YEARLY;INTERVAL=9999999999999999999", "20450605", 7, None),
        ("RRULE:FREQ=DAILY;UNTIL=20440101T000000Z", "20450605", 7, None),
        ("RRULE:FREQ=DAILY;COUNT=10000", "20450605", 7, None),
        ("RRULE:FREQ=DAILY;BYMONTH=6", "20450605", 7, None),
        ("RRULE:FREQ=DAILY;BYDAY=MO", "20450605", 7, None),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=31", "20450605", 60, None),
        ("RRULE:FREQ=DAILY;BYHOUR=1,2;BYSETPOS=3", "20450605", 10, None),
        ("RRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20450607T100000", "20450605", 10, None),
        ("RRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20450607", "20450605", 10, None),
        ("RRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20400607", "20450605", 10, True),
        ("RRULE:FREQ=DAILY;UNTIL=20000101T000000Z\nRRULE:FREQ=WEEKLY", "20450605", 20, True),
    ],
)
def test_what_is_known(lines: str, start: str, days: int, wanted: bool | None) -> None:
    found = calendar(f"{EVENT}{lines}")
    assert told(found, start, days) is wanted
    assert wanted in (None, any(instances(found, utc(start), utc(start) + days * DAY, BERLIN)))


def test_an_override_that_moves_what_follows_ends_the_rhythm() -> None:
    override = "VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20240101T090000Z\nDTSTART:20240101T100000Z"
    assert told(calendar(f"{EVENT}RRULE:FREQ=DAILY", override), "20450605", 30) is None


def test_an_instance_without_duration_is_where_it_starts() -> None:
    found = calendar("VEVENT\nDTSTART:20240610T100000Z\nRRULE:FREQ=YEARLY")
    packed = digest(found, horizon=HORIZON, blocking_of=lambda _: None).spans
    at = utc("20240610T100000Z")
    assert is_within(packed, at, at + 1, UTC) is True
    assert is_within(packed, at - 1, at, UTC) is False
    assert is_within(packed, at + 1, at + 2, UTC) is False


def test_open_ranges() -> None:
    once = digest(calendar("VEVENT\nDTSTART:20240610"), horizon=HORIZON, blocking_of=lambda _: None).spans
    for_ever = digest(calendar(f"{EVENT}RRULE:FREQ=DAILY"), horizon=HORIZON, blocking_of=lambda _: None).spans
    assert is_within(once, None, utc("20240101"), UTC) is False
    assert is_within(once, utc("20240101"), None, UTC) is True
    assert is_within(once, utc("20250101"), None, UTC) is False
    assert is_within(for_ever, utc("20450101"), None, UTC) is True


RULES = st.builds(
    "FREQ={};INTERVAL={}".format,
    st.sampled_from(
        [
            "DAILY",
            "DAILY;BYHOUR=2,3",
            "WEEKLY",
            "WEEKLY;BYDAY=SA,MO,WE;WKST=SU",
            "WEEKLY;BYDAY=SU,MO",
            "WEEKLY;BYDAY=TU;WKST=TH",
            "MONTHLY",
            "MONTHLY;BYMONTHDAY=-28,-1",
            "MONTHLY;BYDAY=4SU,1MO",
            "YEARLY;BYMONTH=2,3;BYDAY=-1SU",
            "YEARLY;BYMONTH=10,2;BYMONTHDAY=27,28",
        ]
    ),
    st.integers(1, 5),
)
FORMS = st.sampled_from(
    ["{}T023000Z", "{}T020000", ";TZID=Europe/Berlin:{}T023000", ";TZID=Pacific/Apia:{}T120000", ";VALUE=DATE:{}"]
)


@settings(max_examples=150, deadline=None)
@given(RULES, FORMS, st.integers(0, 400), st.lists(st.integers(0, 40), max_size=3), st.integers(0, 20_000))
def test_it_is_there_after_each_gap(rule: str, form: str, first: int, gone: list[int], later: int) -> None:
    def line(name: str, day: int) -> str:
        text = form.format(f"{2010 + day // 336}{day // 28 % 12 + 1:02}{day % 28 + 1:02}")
        return f"{name}{text}" if text.startswith(";") else f"{name}:{text}"

    exceptions = "\n".join(line("EXDATE", first + day) for day in gone)
    found = calendar(f"VEVENT\n{line('DTSTART', first)}\nRRULE:{rule}\n{exceptions}")
    for zone in (UTC, BERLIN, IanaZone("Pacific/Apia")):
        (one,) = recurrence_sets(found, zone)
        rhythm = one.rhythm()
        assert rhythm is not None or ("MONTHLY" in rule and ";BY" not in rule)
        if rhythm is not None:
            since, gap = rhythm
            for start in (since, since + later * 3600, utc("20110101"), utc("20111225")):
                if start >= since:
                    assert any(instances(found, start, start + gap, zone, Budget(10**6)))
