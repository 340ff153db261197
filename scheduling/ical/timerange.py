"""Time ranges: which components, alarms and properties of a calendar object overlap one.

Owns RFC 4791 9.9 with all its tables, and that of RFC 7953 7.2.2 (VAVAILABILITY). The rest of a filter (9.7) is in
``filter``. Ranges are instants, the start included and the end not; None is open. Every recurrence instance is asked;
``zone`` is that of dates and floating times (RFC 4791 7.3).

``TimeRange`` finds *components*, so that a filter can ask for one component that is in the range and has a property
besides; the functions ``…_overlaps`` say whether there is any.

A recurrence that costs more than the budget is asked as far as the budget goes: what lies behind is as if it were not
there (RFC 4791 5.2.7: "the server MAY simply ignore those instances outside of the acceptable range"). PUT refuses such
objects (``bounds``), so that this is about what was stored otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.alarms import alarms_of
from scheduling.ical.lines import ICalendarError
from scheduling.ical.recurrence import RECURRING, recurrence_sets
from scheduling.ical.rrule import DEFAULT_STEPS, Budget, TooManyInstances
from scheduling.ical.timezones import Zones
from scheduling.ical.values import DAY, Moment, Period, duration_of, moment_of, moments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scheduling.ical.alarms import Alarm
    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone
    from scheduling.ical.timing import Instance

#: Before and after everything.
_NEVER: Final = 10**18


class Span(NamedTuple):
    """A time range with both ends: instants, the start included and the end not."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A ``C:time-range`` and the zone to read dates and floating times in.

    ``start`` and ``end`` are instants, None is open. ``steps`` bounds what one object may cost.
    """

    start: int | None
    end: int | None
    zone: Zone
    steps: int = DEFAULT_STEPS

    @property
    def span(self) -> Span:
        """The range with something before and after everything where it is open."""
        return Span(-_NEVER if self.start is None else self.start, _NEVER if self.end is None else self.end)

    def components(self, calendar: Component, kind: str) -> Iterator[Component]:
        """The components named ``kind``, each once, that have an instance in the range. Raises ICalendarError.

        Of a recurring object the master or the override that describes the instance.
        """
        span = self.span
        if kind in RECURRING:
            test = _TESTS[kind]
            yield from self._described(calendar, kind, span, lambda instance: test(instance, span))
        elif kind in _STATIC_TESTS:
            zones = Zones(calendar, self.zone)
            yield from (
                one for one in calendar.components if one.name == kind and _STATIC_TESTS[kind](one, span, zones)
            )

    def instances(self, calendar: Component, kind: str) -> Iterator[Instance]:
        """The instances of components named ``kind`` in the range, about in their order.

        Raises ICalendarError, and TooManyInstances where they cost more than ``steps``.
        """
        budget = Budget(self.steps)
        for one in recurrence_sets(calendar, self.zone, (kind,)):
            for instance in one.near(self.start, self.end, budget):
                if self.holds(instance):
                    yield instance

    def holds(self, instance: Instance) -> bool:
        """Whether ``instance`` overlaps the range by the table of its component."""
        return _TESTS[instance.component.name](instance, self.span)

    def with_alarm(self, calendar: Component, kind: str) -> Iterator[Component]:
        """The components named ``kind``, each once, that have an alarm in the range. Raises ICalendarError."""
        if kind not in RECURRING:
            return
        span, zones = self.span, Zones(calendar, self.zone)
        relative: dict[int, list[Alarm]] = {}
        low = high = 0
        for component in calendar.components:
            if component.name != kind:
                continue
            alarms = alarms_of(component)
            if any(_absolute_goes_off(alarm, span, zones) for alarm in alarms):
                yield component
                continue
            relative[id(component)] = [alarm for alarm in alarms if alarm.relative]
            for alarm in relative[id(component)]:
                low, high = min(low, alarm.offset - DAY), max(high, alarm.offset + alarm.last_after_first + DAY)
        if not any(relative.values()):
            return

        def goes_off(instance: Instance) -> bool:
            return any(
                (first := alarm.first(instance)) is not None and alarm.goes_off(first, span.start, span.end)
                for alarm in relative.get(id(instance.component), ())
            )

        yield from self._described(calendar, kind, Span(span.start - high, span.end - low), goes_off)

    def with_property(self, calendar: Component, kind: str, name: str) -> Iterator[Component]:
        """The components named ``kind``, each once, whose property ``name`` lies in the range. Raises ICalendarError.

        DTSTART, DTEND and DUE are the effective ones of each instance, also where a DURATION stands for the end.
        """
        span = self.span
        which = _EFFECTIVE.get((kind, name))
        if which is not None:
            yield from self._described(calendar, kind, span, lambda instance: _lies_in(which(instance), span))
            return
        zones = Zones(calendar, self.zone)
        for component in calendar.components:
            if component.name == kind and any(_lies_in(at, span) for at in _values(component, name, zones)):
                yield component

    def _described(
        self, calendar: Component, kind: str, span: Span, test: Callable[[Instance], bool]
    ) -> Iterator[Component]:
        """The components, each once, that describe an instance for which ``test`` is true."""
        budget = Budget(self.steps)
        start = None if span.start <= -_NEVER // 2 else span.start
        end = None if span.end >= _NEVER // 2 else span.end
        found: set[int] = set()
        for one in recurrence_sets(calendar, self.zone, (kind,)):
            left = one.size
            try:
                for instance in one.near(start, end, budget):
                    if id(instance.component) not in found and test(instance):
                        found.add(id(instance.component))
                        yield instance.component
                        left -= 1
                        if not left:
                            break
            except TooManyInstances:
                continue


# --- the tables of RFC 4791 9.9


def _event(instance: Instance, span: Span) -> bool:
    """VEVENT and VJOURNAL: the same condition, since ``timing`` knows the length of what has no DTEND."""
    begin, finish = instance.start, instance.end
    if begin is None:
        return False  # RFC 4791 9.9: a VJOURNAL without DTSTART never does; in a VEVENT DTSTART is required
    if finish is not None and finish > begin:
        return span.start < finish and span.end > begin
    return span.start <= begin < span.end


def _todo(instance: Instance, span: Span) -> bool:
    """VTODO, the eight rows in their order."""
    begin, finish = instance.start, instance.end
    if begin is not None and finish is not None:
        if instance.component.first("DUE") is None:  # Y Y N
            return span.start <= finish and (span.end > begin or span.end >= finish)
        return (span.start < finish or span.start <= begin) and (span.end > begin or span.end >= finish)  # Y N Y
    if begin is not None:  # Y N N
        return span.start <= begin < span.end
    if finish is not None:  # N N Y
        return span.start < finish <= span.end
    created, completed = (utc_of(instance.component, name) for name in ("CREATED", "COMPLETED"))
    if created is not None and completed is not None:  # N N N Y Y
        return (span.start <= created or span.start <= completed) and (span.end >= created or span.end >= completed)
    if completed is not None:  # N N N Y N
        return span.start <= completed <= span.end
    return created is None or span.end > created  # N N N N Y, and N N N N N


def utc_of(component: Component, name: str) -> int | None:
    """A property that is in UTC by definition; None where it is absent or unreadable (Google writes the year 0)."""
    line = component.first(name)
    try:
        return None if line is None else moment_of(line).local
    except ICalendarError:
        return None


def _freebusy(component: Component, span: Span, zones: Zones) -> bool:
    """VFREEBUSY."""
    start, end = component.first("DTSTART"), component.first("DTEND")
    if start is not None and end is not None:
        return span.start <= zones.instant(moment_of(end)) and span.end > zones.instant(moment_of(start))
    return any(span.start < last and span.end > first for first, last in freebusy_periods(component, zones))


def freebusy_periods(component: Component, zones: Zones) -> Iterator[tuple[int, int]]:
    """The periods of all FREEBUSY properties of ``component``, as instants. Raises ICalendarError."""
    for line in component.all("FREEBUSY"):
        for value in moments_of(line):
            if isinstance(value, Period):
                yield period_instants(value, zones)


def period_instants(period: Period, zones: Zones) -> tuple[int, int]:
    """Start and end of a PERIOD as instants."""
    start = zones.instant(period.start)
    if isinstance(period.end, Moment):
        return start, zones.instant(period.end)
    zone = zones.zone(period.start)
    return start, zone.to_instant(period.start.local + period.end.days * DAY) + period.end.seconds


def _availability(component: Component, span: Span, zones: Zones) -> bool:
    """VAVAILABILITY (RFC 7953 7.2.2)."""
    first, last = availability_bounds(component, zones)
    return (last is None or span.start < last) and (first is None or span.end > first)


def availability_bounds(component: Component, zones: Zones) -> tuple[int | None, int | None]:
    """Start and end of a VAVAILABILITY as instants; None is open (RFC 7953 3.1). Raises ICalendarError."""
    start_line, end_line, duration_line = (component.first(name) for name in ("DTSTART", "DTEND", "DURATION"))
    start = None if start_line is None else moment_of(start_line)
    first = None if start is None else zones.instant(start)
    if end_line is not None:
        return first, zones.instant(moment_of(end_line))
    if start is None or duration_line is None:
        return first, None
    return first, period_instants(Period(start, duration_of(duration_line)), zones)[1]


_TESTS: Final[dict[str, Callable[[Instance, Span], bool]]] = {"VEVENT": _event, "VTODO": _todo, "VJOURNAL": _event}
_STATIC_TESTS: Final[dict[str, Callable[[Component, Span, Zones], bool]]] = {
    "VFREEBUSY": _freebusy,
    "VAVAILABILITY": _availability,
}


# --- alarms and properties


def _absolute_goes_off(alarm: Alarm, span: Span, zones: Zones) -> bool:
    trigger = alarm.trigger
    return isinstance(trigger, Moment) and alarm.goes_off(zones.instant(trigger), span.start, span.end)


def _effective_end(instance: Instance) -> int | None:
    """DTEND or DUE, or what DURATION makes of them; None where there is neither."""
    component = instance.component
    name = "DUE" if component.name == "VTODO" else "DTEND"
    return instance.end if component.first(name) or component.first("DURATION") else None


#: By component and property.
_EFFECTIVE: Final[dict[tuple[str, str], Callable[[Instance], int | None]]] = {
    ("VEVENT", "DTSTART"): lambda instance: instance.start,
    ("VEVENT", "DTEND"): _effective_end,
    ("VTODO", "DTSTART"): lambda instance: instance.start,
    ("VTODO", "DUE"): _effective_end,
    ("VJOURNAL", "DTSTART"): lambda instance: instance.start,
}


def _lies_in(at: int | None, span: Span) -> bool:
    return at is not None and span.start <= at < span.end


def _values(component: Component, name: str, zones: Zones) -> Iterable[int]:
    """The dates of a property as instants; what is none is passed over."""
    for line in component.all(name):
        try:
            values = moments_of(line)
        except ICalendarError:
            continue
        for value in values:
            yield zones.instant(value.start if isinstance(value, Period) else value)
