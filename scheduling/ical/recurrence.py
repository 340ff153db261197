"""The instances of a calendar object: RRULE, RDATE and EXDATE of the master, and the overrides.

Owns RFC 5545 3.8.5 (the recurrence set) and 3.8.4.4 (RECURRENCE-ID). What one master makes is in ``series``, the starts
of a rule in ``rrule``, how long an instance lasts in ``timing``, and the time zones are in ``timezones``.

Instances are made one after the other within a budget and a range; nothing is ever expanded as a whole.

Decisions where RFC 5545 leaves a choice or files in the wild differ:

- RECURRENCE-ID, EXDATE and RDATE name an instant, whatever zone they are written in; floating ones are in the zone of
  DTSTART. A DATE in a series of DATE-TIMEs means the instances of that day (Evolution writes such EXDATEs); a DATE-TIME
  in a series of DATEs means its date.
- A UTC time in UNTIL of a series of DATEs counts as its date; UNTIL as a DATE counts until the end of that day.
- An override whose RECURRENCE-ID is no instance of the master is an instance all the same, and so are overrides without
  a master (RFC 4791 4.1: an attendee is invited to one instance).
- Rules in an override are passed over, and so is EXRULE, which RFC 5545 took away.
- RANGE=THISANDPRIOR (RFC 2445) and a THISANDFUTURE that turns DATE into DATE-TIME or back count for their own instance.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Final

from scheduling.ical.rrule import Budget
from scheduling.ical.series import Override, Series, by_order
from scheduling.ical.timezones import Zones
from scheduling.ical.timing import Instance, instance_of, timing_of
from scheduling.ical.values import Form, moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scheduling.ical.lines import Component, ContentLine
    from scheduling.ical.timezones import Zone

#: The components that may recur (RFC 5545 3.6).
RECURRING: Final = ("VEVENT", "VTODO", "VJOURNAL")


def instances(
    calendar: Component, start: int | None, end: int | None, zone: Zone, budget: Budget | None = None
) -> Iterator[Instance]:
    """The instances in ``calendar`` that overlap ``start`` to ``end`` (instants; None is open), about in their order.

    ``zone`` is that of dates and floating times. An instance without duration overlaps where it starts in the range.
    VTODOs without DTSTART and DUE are not in it. Raises ICalendarError, TooManyInstances.
    """
    budget = Budget() if budget is None else budget
    for one in recurrence_sets(calendar, zone):
        for instance in one.near(start, end, budget):
            if not instance.timeless and _overlaps(instance, start, end):
                yield instance


def _overlaps(instance: Instance, start: int | None, end: int | None) -> bool:
    begin = instance.order
    finish = begin if instance.end is None else instance.end
    return (end is None or begin < end) and (start is None or finish > start or begin >= start)


def recurrence_sets(calendar: Component, zone: Zone, names: Iterable[str] = RECURRING) -> list[RecurrenceSet]:
    """What recurs in ``calendar``, taken together by component name and UID. Raises ICalendarError."""
    zones = Zones(calendar, zone)
    groups: dict[tuple[str, str], list[Component]] = {}
    for component in calendar.components:
        if component.name in names:
            uid = component.first("UID")
            groups.setdefault((component.name, "" if uid is None else uid.value), []).append(component)
    return [RecurrenceSet(group, zones) for group in groups.values()]


class RecurrenceSet:
    """The components of one UID: masters (one, where the object is right) and overrides."""

    def __init__(self, components: list[Component], zones: Zones) -> None:
        self.zones = zones
        #: How many components there are.
        self.size = len(components)
        self.overrides: list[Override] = []
        self.series: list[Series] = []
        self.timeless: list[Component] = []
        masters = []
        for component in components:
            line = component.first("RECURRENCE-ID")
            if line is None:
                masters.append(component)
            else:
                self.overrides.append(self._read_override(component, line))
        for component in masters:
            timing = timing_of(component, zones)
            if timing is None:
                self.timeless.append(component)
            else:
                self.series.append(Series(component, timing, zones, [] if self.series else self.overrides))

    @property
    def recurs(self) -> bool:
        """There may be more than one instance, or one that belongs to a series."""
        return bool(self.overrides) or any(one.recurs for one in self.series)

    def near(self, start: int | None, end: int | None, budget: Budget) -> Iterator[Instance]:
        """The instances that overlap or touch ``start`` to ``end``, and all that have no time, about in their order.

        What a question about the edges of the range needs; ``instances`` is for everybody else.
        """
        for one in self.timeless:
            yield Instance(one, Form.FLOATING, None, None, None, None, None, None, self.zones.floating)
        streams = [one.near(start, end, budget) for one in self.series]
        if self.overrides:
            streams.append(iter(sorted((one for one in self.detached() if one.touches(start, end)), key=by_order)))
        if len(streams) == 1:
            yield from streams[0]
        else:
            yield from merge(*streams, key=by_order)

    def detached(self) -> Iterator[Instance]:
        """The instances that overrides describe."""
        for one in self.overrides:
            yield self.described(one)

    def described(self, override: Override) -> Instance:
        """The instance that ``override`` describes."""
        timing, original = override.timing, override.original
        rid = self.series[0].original(original) if self.series else (original.local, self.zones.instant(original))
        if timing is None:
            nowhere = self.zones.floating
            return Instance(override.component, Form.FLOATING, None, None, None, None, rid[1], rid[0], nowhere)
        return instance_of(override.component, timing, local=timing.local, instant=timing.instant, rid=rid)

    def replaced(self, override: Override) -> Instance:
        """The instance that there would be without ``override``; where there is no master, one that lasts as long."""
        if self.series:
            return self.series[0].original_instance(override.original)
        local, instant = override.original.local, self.zones.instant(override.original)
        if override.timing is None:
            return self.described(override)
        return instance_of(override.component, override.timing, local=local, instant=instant, rid=(local, instant))

    def rhythm(self) -> tuple[int, int] | None:
        """See ``Series.rhythm``."""
        found = (one.rhythm() for one in self.series)
        return next((one for one in found if one is not None), None)

    def extent(self, budget: Budget) -> tuple[int | None, int | None]:
        """Instants between which all instances lie; None where there is no bound or none is known.

        It may be wider than the instances are, never narrower.
        """
        if self.timeless or any(one.timing is None for one in self.overrides):
            return None, None
        found: list[tuple[int, int | None]] = [one.extent(budget) for one in self.series]
        found += [(one.order, max(one.order, one.end or one.order)) for one in self.detached()]
        if not found:
            return None, None
        ends = [last for _, last in found if last is not None]
        return min(first for first, _ in found), max(ends) if len(ends) == len(found) else None

    def _read_override(self, component: Component, line: ContentLine) -> Override:
        future = (line.param("RANGE") or "").upper() == "THISANDFUTURE"
        return Override(component, moment_of(line), timing_of(component, self.zones), future)
