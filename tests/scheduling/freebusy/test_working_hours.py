"""Working hours of who has stated none: how they are written, and what they are across zones and clock changes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from scheduling.freebusy.availability import Availability
from scheduling.freebusy.working_hours import Shift, filled, hours_of, shifts
from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.ical.timezones import UTC as UTC_ZONE, named
from scheduling.ical.values import DAY

HOUR = 3600
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
WEEK = shifts("Mo-Fr 09:00-17:00")


def off(start: int, end: int) -> BusyPeriod:
    return BusyPeriod(start, end, Busy.UNAVAILABLE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("Mo 09:00-17:00", (Shift(0, 9 * HOUR, 17 * HOUR),)),
        ("mo-tu 00:00-24:00", (Shift(0, 0, DAY), Shift(1, 0, DAY))),
        ("Su 22:00-06:00", (Shift(6, 22 * HOUR, 30 * HOUR),)),
        ("Sa-Mo 10:00-11:00", tuple(Shift(day, 10 * HOUR, 11 * HOUR) for day in (5, 6, 0))),
        ("Mo 08:00-12:00,  Mo 13:00-17:00", (Shift(0, 8 * HOUR, 12 * HOUR), Shift(0, 13 * HOUR, 17 * HOUR))),
    ],
)
def test_how_they_are_written(text: str, expected: tuple[Shift, ...]) -> None:
    assert shifts(text) == expected


@pytest.mark.parametrize("text", ["nine to five", "Mo 9-17", "Xx 09:00-17:00", "Mo 09:00-09:00", "Mo 09:00-25:00"])
def test_what_are_no_working_hours(text: str) -> None:
    with pytest.raises(ValueError, match="are no working hours"):
        shifts(text)


def test_nothing_is_usual() -> None:
    assert hours_of((), UTC_ZONE, MONDAY, MONDAY + DAY) is None


def test_a_week() -> None:
    found = hours_of(WEEK, UTC_ZONE, MONDAY, MONDAY + 7 * DAY)
    assert found is not None
    assert [(one.start - MONDAY) // HOUR for one in found.available] == [9, 33, 57, 81, 105]
    assert found.unavailable[0] == off(MONDAY, MONDAY + 9 * HOUR)
    assert found.unavailable[-1] == off(MONDAY + 4 * DAY + 17 * HOUR, MONDAY + 7 * DAY), "the weekend in one piece"


def test_the_wall_counts_where_somebody_is_and_when_the_clock_is_moved() -> None:
    zone = named("America/New_York")
    assert zone is not None
    found = hours_of(WEEK, zone, MONDAY, MONDAY + 14 * DAY)
    assert found is not None
    walls = {f"{datetime.fromtimestamp(one.start, ZoneInfo('America/New_York')):%H:%M}" for one in found.available}
    assert walls == {"09:00"}
    assert {one.start % DAY // HOUR for one in found.available} == {13, 14}, "summer time begins on the 8th"


def test_nights() -> None:
    found = hours_of(shifts("Mo-Su 22:00-06:00"), UTC_ZONE, MONDAY, MONDAY + DAY)
    assert found is not None
    assert [((one.start - MONDAY) // HOUR, (one.end - MONDAY) // HOUR) for one in found.available] == [(0, 6), (22, 24)]


def test_a_holiday_that_is_stated_leaves_the_usual_hours_of_other_days() -> None:
    holiday = Availability(unavailable=(off(MONDAY, MONDAY + DAY),))
    usual = hours_of(WEEK, UTC_ZONE, MONDAY, MONDAY + 2 * DAY)
    both = filled(holiday, usual)
    assert both is not None
    assert [(one.start - MONDAY) // HOUR for one in both.available] == [33]
    assert both.unavailable[0] == off(MONDAY, MONDAY + DAY + 9 * HOUR)


def test_what_is_stated_counts_more() -> None:
    late = Availability((off(MONDAY + 20 * HOUR, MONDAY + 22 * HOUR),), (off(MONDAY, MONDAY + 20 * HOUR),))
    both = filled(late, hours_of(WEEK, UTC_ZONE, MONDAY, MONDAY + DAY))
    assert both is not None
    assert both.available == late.available
    assert both.unavailable == (off(MONDAY, MONDAY + 20 * HOUR), off(MONDAY + 22 * HOUR, MONDAY + DAY))
    assert filled(late, None) is late
    assert filled(None, late) is late
    assert filled(None, None) is None
