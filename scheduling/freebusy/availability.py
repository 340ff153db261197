"""When somebody can be met at all: VAVAILABILITY, working hours (RFC 7953).

Owns how VAVAILABILITY components are combined (section 4) and what becomes of them in a free/busy answer (section 5).
Where they are stored (``calendar-availability`` of the inbox, under the name of RFC 7953 or the older one of Apple's
CalendarServer, and calendars) is for the caller to know; the text is the same under both names.

Decisions where RFC 7953 leaves a choice, or says two things:

- Components are combined level by level as section 4 has it. The procedure of section 5 frees the available times of
  *all* components at the end, so that a holiday of a higher priority that covers a part of the working hours would be
  free; it is called an example, and section 4 is followed.
- Among components of one priority time is available where one of them says so; how busy the rest is, the strongest
  says (section 4).
- Floating times, which section 3.1 does not allow, are read in the zone of the owner.
- An AVAILABLE that cannot be read frees nothing; one that recurs beyond the budget frees as far as that goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.freebusy.index import WEEK
from scheduling.freebusy.remembered import PERIOD_BYTES, Remembered
from scheduling.ical.lines import Component, ICalendarError, parse
from scheduling.ical.periods import OF_FBTYPE, Busy, BusyPeriod, clip, merge, subtract
from scheduling.ical.recurrence import recurrence_sets
from scheduling.ical.rrule import Budget
from scheduling.ical.timerange import availability_bounds
from scheduling.ical.timezones import Zones
from scheduling.ical.validate import validate
from scheduling.ical.values import MAX_LOCAL, MIN_LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scheduling.ical.timezones import Zone

#: (namespace, name) of the property of the scheduling inbox: RFC 7953 7.2.4, and Apple's before there was an RFC.
PROPERTIES: Final = (
    ("urn:ietf:params:xml:ns:caldav", "calendar-availability"),
    ("http://calendarserver.org/ns/", "calendar-availability"),
)
#: Components and their AVAILABLEs that are looked at (RFC 7953 section 8: the complexity MUST be limited).
MAX_PARTS: Final = 500
#: What the recurrences of all of somebody's VAVAILABILITYs may cost together, a fifth of a second.
_STEPS: Final = 60_000
#: A PRIORITY of 0, or none, is the lowest level (RFC 7953 section 4).
_LOWEST: Final = 10


#: Bytes of the text in ``calendar-availability``, which is read for every question.
MAX_SIZE: Final = 256 * 1024


def check_property(body: bytes) -> None:
    """Whether a text may be the value of ``calendar-availability`` (RFC 7953 7.2.4).

    Raises ICalendarError, with the line, for everything but one VAVAILABILITY and the time zones that it needs.
    """
    if len(body) > MAX_SIZE:
        raise ICalendarError(f"It has {len(body)} bytes, and working hours may have at most {MAX_SIZE} here.")
    calendar = validate(body, supported=("VAVAILABILITY",)).calendar
    found = [one for one in calendar.components if one.name != "VTIMEZONE"]
    if len(found) > 1:
        message = "calendar-availability holds one VAVAILABILITY and time zones, nothing else (RFC 7953 section 7.2.4)."
        raise ICalendarError(message, found[1].line)


@dataclass(frozen=True, slots=True)
class Availability:
    """What VAVAILABILITY components say of a range of time: two disjoint sets of periods, each in order.

    What lies in neither, nothing is said of: such time counts as free (RFC 7953 section 5, step 1), but it is nobody's
    stated working time.
    """

    available: tuple[BusyPeriod, ...] = ()
    unavailable: tuple[BusyPeriod, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layer:
    """One VAVAILABILITY, clipped to the range."""

    level: int
    covered: BusyPeriod
    free: tuple[BusyPeriod, ...]


def availability(bodies: Iterable[bytes], start: int, end: int, zone: Zone) -> Availability | None:
    """What the VAVAILABILITYs in these texts say of ``start`` to ``end`` (instants); None: there is none.

    ``zone`` is that of floating times. A text that cannot be read says nothing.
    """
    texts = tuple(bodies)
    # Whole weeks are remembered, since the next question will be about nearly the same time.
    low, high = min(start, max(start // WEEK * WEEK, MIN_LOCAL)), max(end, min(-(-end // WEEK) * WEEK, MAX_LOCAL))
    told = _TOLD.get((texts, low, high, zone), lambda: _combined(texts, low, high, zone))
    if not told.complete:  # the asked time alone may be less
        told = _combined(texts, start, end, zone)
    available, unavailable = tuple(clip(told.available, start, end)), tuple(clip(told.unavailable, start, end))
    # Whatever a component covers is in one of the two.
    return Availability(available, unavailable) if available or unavailable else None


class _Told(NamedTuple):
    """As ``Availability``; not ``complete``: there is more than is looked at."""

    available: Sequence[BusyPeriod]
    unavailable: Sequence[BusyPeriod]
    complete: bool


def _combined(bodies: Iterable[bytes], start: int, end: int, zone: Zone) -> _Told:
    budget = Budget(_STEPS)
    found = [layer for body in bodies for layer in _layers(body, start, end, zone, budget)]
    layers = found[:MAX_PARTS]
    unavailable: list[BusyPeriod] = []
    available: list[BusyPeriod] = []
    for level in sorted({one.level for one in layers}, reverse=True):
        covered = [one.covered for one in layers if one.level == level]
        free = [period for one in layers if one.level == level for period in one.free]
        unavailable = merge([*subtract(unavailable, covered), *subtract(covered, free)])
        available = merge([*subtract(available, covered), *free])
    return _Told(available, unavailable, complete=budget.left >= 0 and len(found) <= MAX_PARTS)


def _bytes_of(key: tuple[tuple[bytes, ...], int, int, Zone], told: _Told) -> int:
    return sum(map(len, key[0])) + PERIOD_BYTES * (len(told.available) + len(told.unavailable))


#: By texts, stretch of time and zone.
_TOLD: Final = Remembered(_bytes_of)


def _layers(body: bytes, start: int, end: int, zone: Zone, budget: Budget) -> Iterator[_Layer]:
    try:
        calendar = parse(body)
    except ICalendarError:
        return
    zones = Zones(calendar, zone)
    for component in calendar.components[:MAX_PARTS]:
        if component.name != "VAVAILABILITY":
            continue
        try:
            first, last = availability_bounds(component, zones)
        except ICalendarError:
            continue
        low, high = start if first is None else max(start, first), end if last is None else min(end, last)
        if low < high:
            free = merge(clip(_free(component, calendar, low, high, zone, budget), low, high))
            yield _Layer(_level(component), BusyPeriod(low, high, _kind(component)), tuple(free))


def _level(component: Component) -> int:
    """The priority as a number: 1 is the highest, 10 the lowest (RFC 7953 section 4)."""
    line = component.first("PRIORITY")
    text = "" if line is None else line.value.strip()
    return int(text) if text in {"1", "2", "3", "4", "5", "6", "7", "8", "9"} else _LOWEST


def _kind(component: Component) -> Busy:
    """BUSYTYPE; an unknown one counts as the default (RFC 7953 3.2)."""
    line = component.first("BUSYTYPE")
    return OF_FBTYPE.get("" if line is None else line.value.strip().upper(), Busy.UNAVAILABLE)


def _free(
    component: Component, calendar: Component, start: int, end: int, zone: Zone, budget: Budget
) -> Iterator[BusyPeriod]:
    """The times of the AVAILABLE components, with their overrides (RFC 7953 section 5, 3.A)."""
    definitions = [one for one in calendar.components if one.name == "VTIMEZONE"]
    groups: dict[str, list[Component]] = {}
    for one in component.components[:MAX_PARTS]:
        if one.name == "AVAILABLE":
            uid = one.first("UID")
            groups.setdefault("" if uid is None else uid.value, []).append(one)
    for group in groups.values():
        try:
            for recurring in recurrence_sets(Component("VCALENDAR", [], [*definitions, *group]), zone, ("AVAILABLE",)):
                for instance in recurring.near(start, end, budget):
                    if instance.start is not None and instance.end is not None:
                        yield BusyPeriod(instance.start, instance.end)
        except ICalendarError:  # TooManyInstances is one
            continue
