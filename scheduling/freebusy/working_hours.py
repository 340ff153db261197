"""Working hours of who has stated none: a line of text such as ``Mo-Fr 09:00-17:00``, as the settings have it.

What somebody states by VAVAILABILITY (RFC 7953, ``availability``) always counts more; this fills the time of which that
says nothing. Weekdays are those of RFC 5545 3.3.10. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.freebusy.availability import Availability
from scheduling.ical.periods import Busy, BusyPeriod, clip, merge, subtract
from scheduling.ical.values import DAY

if TYPE_CHECKING:
    from scheduling.ical.timezones import Zone

_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: 1970-01-01 was one.
_THURSDAY: Final = 3
_PART: Final = re.compile(r"([A-Z]{2})(?:-([A-Z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")


class Shift(NamedTuple):
    """On a weekday (0 is Monday) from ``begin`` up to ``end``: seconds of that day on the wall, or of the next one."""

    day: int
    begin: int
    end: int


def shifts(text: str) -> tuple[Shift, ...]:
    """``Mo-Th 09:00-17:00, Fr 09:00-13:00``; what ends before it begins ends on the next day. Empty: none.

    Raises ValueError with a sentence.
    """
    found: list[Shift] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        match = _PART.fullmatch(part.upper())
        if match is None or match[1] not in _DAYS or (match[2] or match[1]) not in _DAYS:
            raise ValueError(f"{part!r} are no working hours: write them as in Mo-Fr 09:00-17:00.")
        begin, end = _seconds(match[3], match[4]), _seconds(match[5], match[6])
        if max(begin, end) > DAY or begin == end:
            raise ValueError(f"{part!r} are no working hours: a day is from 00:00 to 24:00.")
        first, last = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
        days = range(first, last + 1) if first <= last else [*range(first, 7), *range(last + 1)]
        found += [Shift(day, begin, end if end > begin else end + DAY) for day in days]
    return tuple(found)


def _seconds(hours: str, minutes: str) -> int:
    return int(hours) * 3600 + int(minutes) * 60


def hours_of(usual: tuple[Shift, ...], zone: Zone, start: int, end: int) -> Availability | None:
    """What ``usual`` shifts say of ``start`` to ``end`` (instants) to who is in ``zone``; None where there are none."""
    if not usual:
        return None
    first, last = zone.to_local(start) // DAY - 2, zone.to_local(end) // DAY + 1
    working = [
        BusyPeriod(zone.to_instant(day * DAY + one.begin), zone.to_instant(day * DAY + one.end), Busy.UNAVAILABLE)
        for day in range(first, last + 1)
        for one in usual
        if one.day == (day + _THURSDAY) % 7
    ]
    available = merge(clip(working, start, end))
    return Availability(tuple(available), tuple(subtract([BusyPeriod(start, end, Busy.UNAVAILABLE)], available)))


def filled(stated: Availability | None, usual: Availability | None) -> Availability | None:
    """What was ``stated``, and the ``usual`` for the time of which that says nothing, as a holiday does of most."""
    if stated is None or usual is None:
        return stated or usual
    said = merge([*stated.available, *stated.unavailable])
    return Availability(
        tuple(merge([*stated.available, *subtract(list(usual.available), said)])),
        tuple(merge([*stated.unavailable, *subtract(list(usual.unavailable), said)])),
    )
