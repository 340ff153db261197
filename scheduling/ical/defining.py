"""VTIMEZONE for a zone that is only named: what programs need that do not know the name (RFC 5545 3.6.5, 3.2.19).

The definition is exact for a span of time. Where the clocks are changed by the same rule every year, it is two
observances with a yearly rule, which every program reads (Outlook reads nothing else); else each change is one.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.timezones import Zone, named, tzid_of
from scheduling.ical.values import DAY, wall, write_local

if TYPE_CHECKING:
    from datetime import datetime

    from scheduling.ical.lines import Component

_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: Names that are written alike as a parameter and as a property.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_+. -]{1,100}")
#: Changes are looked for in steps of so many seconds: no zone has had two that were nearer to each other since 1970.
_STEP: Final = 5 * DAY
#: How many years of one meeting are defined at most.
MOST_YEARS: Final = 20


class _Change(NamedTuple):
    """The clocks go from one offset to another (seconds); ``at`` is what they show before, as local seconds."""

    at: int
    before: int
    after: int

    @property
    def wall(self) -> datetime:
        return wall(self.at)


def missing(calendar: Component, *, first_year: int, last_year: int) -> list[str]:
    """The VTIMEZONEs that ``calendar`` refers to and has not, as unfolded lines; only of names that are known."""
    have = {tzid_of(one) for one in calendar.components if one.name == "VTIMEZONE"}
    inside = (one for one in _all(calendar) if one.name != "VTIMEZONE")
    used = {line.param("TZID") or "" for one in inside for line in one.properties}
    lines: list[str] = []
    for tzid in sorted(one for one in used - have if _PLAIN.fullmatch(one)):
        lines += definition(tzid, first_year=first_year, last_year=last_year) or ()
    return lines


def _all(component: Component) -> Iterator[Component]:
    yield component
    for inner in component.components:
        yield from _all(inner)


def definition(tzid: str, *, first_year: int, last_year: int) -> tuple[str, ...] | None:
    """The VTIMEZONE of ``tzid`` as unfolded lines, right for these years; None where the name is not known."""
    return _definition(tzid, first_year, min(last_year, first_year + MOST_YEARS))


@lru_cache(maxsize=256)
def _definition(tzid: str, first_year: int, last_year: int) -> tuple[str, ...] | None:
    zone = named(tzid)
    if zone is None:
        return None
    begin = _instant(first_year - 1)
    changes = _changes(zone, begin, _instant(last_year + 1))
    known = _offset(zone, begin)
    rules = _rules(changes, first_year - 1, last_year)
    if rules is not None:
        parts = [_observance(change, rule) for change, rule in rules]
    else:
        parts = [_observance(_Change(begin + known, known, known), ""), *(_observance(one, "") for one in changes)]
    return ("BEGIN:VTIMEZONE", f"TZID:{tzid}", *(line for part in parts for line in part), "END:VTIMEZONE")


def _instant(year: int) -> int:
    """The first second of a year in UTC."""
    return timegm((max(1970, min(year, 9998)), 1, 1, 0, 0, 0))


def _offset(zone: Zone, instant: int) -> int:
    return zone.to_local(instant) - instant


def _changes(zone: Zone, begin: int, end: int) -> list[_Change]:
    found = []
    low = begin
    while low < end:
        high = min(low + _STEP, end)
        before, after = _offset(zone, low), _offset(zone, high)
        if before != after:
            earlier, later = low, high
            while later - earlier > 1:
                middle = (earlier + later) // 2
                earlier, later = (middle, later) if _offset(zone, middle) == before else (earlier, middle)
            found.append(_Change(later + before, before, after))
        low = high
    return found


def _rules(changes: Sequence[_Change], first: int, last: int) -> list[tuple[_Change, str]] | None:
    """The two changes of the first year with the rule that all years follow; None where there is none."""
    years: dict[int, list[_Change]] = {year: [] for year in range(first, last + 1)}
    for change in changes:
        years.setdefault(change.wall.year, []).append(change)
    if any(len(found) != 2 for found in years.values()):
        return None
    rules = []
    for place, change in enumerate(years[first]):
        alike = [found[place] for found in years.values()]
        rule = _rule(alike)
        if rule is None or len({(one.at % DAY, one.before, one.after) for one in alike}) != 1:
            return None
        rules.append((change, rule))
    return rules


def _rule(changes: Iterable[_Change]) -> str | None:
    """BYMONTH and BYDAY of one change of each year (RFC 5545 3.3.10), where they have one rule."""
    common: set[str] | None = None
    for change in changes:
        at = change.wall
        day = _DAYS[at.weekday()]
        found = {f"BYMONTH={at.month};BYDAY={(at.day + 6) // 7}{day}"}
        if at.day + 7 > monthrange(at.year, at.month)[1]:
            found.add(f"BYMONTH={at.month};BYDAY=-1{day}")
        common = found if common is None else common & found
    return min(common) if common else None  # "-1" comes first where both fit: it is what is meant


def _observance(change: _Change, rule: str) -> list[str]:
    name = "DAYLIGHT" if change.after > change.before else "STANDARD"
    lines = [f"BEGIN:{name}", f"DTSTART:{write_local(change.at)}"]
    lines += [f"TZOFFSETFROM:{_written(change.before)}", f"TZOFFSETTO:{_written(change.after)}"]
    if rule:
        lines.append(f"RRULE:FREQ=YEARLY;{rule}")
    return [*lines, f"END:{name}"]


def _written(offset: int) -> str:
    """UTC-OFFSET (RFC 5545 3.3.14)."""
    minutes, seconds = divmod(abs(offset), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}{minutes:02}" + (f"{seconds:02}" if seconds else "")
