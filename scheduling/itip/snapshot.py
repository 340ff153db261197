"""A calendar object as scheduling sees it: organizer, components by instance, attendees of each.

Owns RFC 6638 3.1 (is it a scheduling object, and whose?) and the reading of ORGANIZER and ATTENDEE (RFC 5545 3.8.4.1,
3.8.4.3, RFC 6638 7.1 to 7.3). What to make of it is in ``organizer``, ``attendee`` and ``inbound``.

Instances are named by the instant of their original start (RECURRENCE-ID), whatever zone it is written in; floating
times and dates are counted as if they were UTC, which is the same in every copy. The master is ``None``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, Literal

from scheduling.addresses import normal
from scheduling.ical.lines import Component, ContentLine, ICalendarError, edit, parse, text
from scheduling.ical.recurrence import RecurrenceSet
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.timezones import UTC, Zones
from scheduling.ical.timing import timing_of
from scheduling.ical.values import DAY, Form, Period, moment_of, moments_of
from scheduling.itip.comparing import content
from scheduling.itip.copying import derived, end_of_components, put_in
from scheduling.itip.ownership import STAMP

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Set as AbstractSet

    from scheduling.ical.series import Override
    from scheduling.ical.timing import Instance, Timing
    from scheduling.ical.values import Moment

#: An instance by the instant of its RECURRENCE-ID; None is the master, or what does not recur.
Rid = int | None
Agent = Literal["SERVER", "CLIENT", "NONE"]

#: The components that iTIP schedules (RFC 5546 3); VFREEBUSY has no copies to keep.
SCHEDULED: Final = ("VEVENT", "VTODO", "VJOURNAL")
#: What one question about instances may cost.
STEPS: Final = 50_000
#: Longer texts are remembered apart, so that the cache stays small: this is an invitation to 3,000 people.
_CACHED: Final = 1 << 18
#: How far RANGE=THISANDFUTURE is taken to move an instance when it is looked for.
_SHIFT: Final = 400 * DAY


@dataclass(frozen=True, slots=True)
class Party:
    """One ORGANIZER or ATTENDEE line; ``address`` is in normal form."""

    line: ContentLine
    address: str

    @property
    def partstat(self) -> str:
        """PARTSTAT in upper case, NEEDS-ACTION where there is none (RFC 5545 3.2.12)."""
        return (self.line.param("PARTSTAT") or "NEEDS-ACTION").strip().upper()

    @property
    def agent(self) -> Agent:
        """Who sends messages to this party (RFC 6638 7.1); what is not known counts as NONE."""
        given = self.line.param("SCHEDULE-AGENT")
        if given is None:
            return "SERVER"
        match given.strip().upper():
            case "SERVER" | "":
                return "SERVER"
            case "CLIENT":
                return "CLIENT"
        return "NONE"

    @property
    def stamp(self) -> str:
        """The DTSTAMP of the last message that came out of order (see ``updates``); empty where there is none."""
        return (self.line.param(STAMP) or "").strip().upper()

    @property
    def forced(self) -> str:
        """SCHEDULE-FORCE-SEND in upper case, empty where there is none (RFC 6638 7.2)."""
        return (self.line.param("SCHEDULE-FORCE-SEND") or "").strip().upper()

    @property
    def role(self) -> str:
        """ROLE in upper case (RFC 5545 3.2.16)."""
        return (self.line.param("ROLE") or "REQ-PARTICIPANT").strip().upper()

    @property
    def is_group(self) -> bool:
        """It stands for several calendar users (RFC 5545 3.2.3; X-SERVER-GROUP is Apple's name for the same)."""
        return (self.line.param("CUTYPE") or "").strip().upper() in ("GROUP", "X-SERVER-GROUP")

    def addresses(self, param: str) -> frozenset[str]:
        """The addresses in DELEGATED-TO, DELEGATED-FROM, MEMBER or SENT-BY."""
        return frozenset(normal(one) for key, given in self.line.params if key == param for one in given if one.strip())


@dataclass(slots=True)
class Part:
    """One component: the master (``rid`` None) or an override. ``future`` is RANGE=THISANDFUTURE."""

    component: Component
    rid: Rid
    future: bool
    organizer: Party | None
    attendees: tuple[Party, ...]
    by_address: dict[str, Party] = field(default_factory=dict)

    @property
    def sequence(self) -> int:
        """SEQUENCE, 0 where there is none (RFC 5545 3.8.7.4)."""
        return _whole(self.component.first("SEQUENCE"))

    @property
    def cancelled(self) -> bool:
        """STATUS is CANCELLED (RFC 5545 3.8.1.11)."""
        line = self.component.first("STATUS")
        return line is not None and line.value.strip().upper() == "CANCELLED"

    @property
    def dtstamp(self) -> str:
        """DTSTAMP as it is written: UTC times in this form are in order when their texts are."""
        line = self.component.first("DTSTAMP")
        return "" if line is None else line.value.strip().upper()

    def answer(self, address: str) -> str | None:
        """The PARTSTAT of ``address``; None where they are not named."""
        party = self.by_address.get(address)
        return None if party is None else party.partstat

    def own(self, addresses: AbstractSet[str]) -> Party | None:
        """The first attendee among ``addresses``."""
        return next((self.by_address[one] for one in self.by_address if one in addresses), None)

    def lines_of(self, address: str) -> Iterator[ContentLine]:
        """Every ATTENDEE line of ``address``: some clients write one twice."""
        return (party.line for party in self.attendees if party.address == address)


class Snapshot:
    """One calendar object. ``source`` is its text; ``parts`` are its components by instance, in the order of the text.

    Not to be changed, since it is shared. ``series_of``, where there is no series here, is the object whose series the
    RECURRENCE-IDs are about.
    """

    def __init__(
        self, source: bytes, calendar: Component, components: list[Component], series_of: Snapshot | None = None
    ) -> None:
        self._series_of = series_of
        self.source: Final = source
        self.calendar: Final = calendar
        self.kind: Final = components[0].name
        self.zones: Final = Zones(calendar, UTC)
        self.recurrence: Final = RecurrenceSet(components, self.zones)
        self._components = components
        self._contents: dict[Rid, frozenset[Hashable]] = {}
        self.parts: Final[dict[Rid, Part]] = {}
        for component in components:
            part = self._read(component)
            if part.rid in self.parts:
                line = component.first("RECURRENCE-ID") or component
                raise ICalendarError("Two components mean the same instance.", line.line)
            self.parts[part.rid] = part

    def _read(self, component: Component) -> Part:
        line = component.first("RECURRENCE-ID")
        rid = None if line is None else self.rid_of(moment_of(line))
        future = line is not None and (line.param("RANGE") or "").upper() == "THISANDFUTURE"
        parties = [Party(one, normal(one.value)) for one in component.properties if one.name == "ATTENDEE"]
        organizer = component.first("ORGANIZER")
        part = Part(
            component,
            rid,
            future,
            Party(organizer, normal(organizer.value)) if organizer is not None and organizer.value.strip() else None,
            tuple(parties),
        )
        for party in parties:
            part.by_address.setdefault(party.address, party)
        return part

    @cached_property
    def uid(self) -> str:
        """The UID."""
        line = self._components[0].first("UID")
        return "" if line is None else text(line.value)

    @property
    def master(self) -> Part | None:
        """The component without RECURRENCE-ID."""
        return self.parts.get(None)

    def series_without(self, rid: int) -> Snapshot | None:
        """The series as it would be for ``rid`` without its component; None where there is no series.

        What RANGE=THISANDFUTURE changes in it counts as the series.
        """
        if self.master is None:
            return None
        if rid not in self._ranges:
            return self._series_alone
        return Snapshot(self.source, self.calendar, self._of_series(leave_out=rid))

    @cached_property
    def _series_alone(self) -> Snapshot:
        return Snapshot(self.source, self.calendar, self._of_series())

    def _of_series(self, leave_out: Rid = None) -> list[Component]:
        assert self.master is not None
        return [self.master.component, *(self.parts[rid].component for rid in self._ranges if rid != leave_out)]

    @cached_property
    def overrides(self) -> dict[int, Part]:
        """The components with RECURRENCE-ID."""
        return {rid: part for rid, part in self.parts.items() if rid is not None}

    @cached_property
    def organizers(self) -> tuple[str, ...]:
        """Every different ORGANIZER, in normal form; one where the object is right (RFC 6638 3.2.4.2)."""
        return tuple(dict.fromkeys(part.organizer.address for part in self.parts.values() if part.organizer))

    @property
    def organizer(self) -> Party | None:
        """The ORGANIZER."""
        return next((part.organizer for part in self.parts.values() if part.organizer), None)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Every attendee of any instance, in normal form."""
        return frozenset(one for part in self.parts.values() for one in part.by_address)

    @property
    def sequence(self) -> int:
        """The highest SEQUENCE of any component."""
        return max(part.sequence for part in self.parts.values())

    # --- instances

    def rid_of(self, value: Moment) -> int:
        """The instance that a RECURRENCE-ID, EXDATE or RDATE means: a DATE in a series of times means that day's."""
        series = self.recurrence.series
        if not series and self._series_of is not None:
            if value.form is not Form.DATE and value.form is not Form.FLOATING:
                return self.zones.instant(value)
            return self._series_of.rid_of(value)
        return series[0].original(value)[1] if series else self.zones.instant(value)

    def about(self, other: Snapshot | None) -> Snapshot:
        """The same, with the instances named as in the series of ``other``.

        Without its series a DATE, or a time without a zone, does not tell which instance is meant. Raises
        ICalendarError where two components turn out to mean the same one.
        """
        if self.master is not None or other is None or other.master is None:
            return self
        return Snapshot(self.source, self.calendar, self._components, other)

    @cached_property
    def exdates(self) -> frozenset[int]:
        """The instances that EXDATE takes out of the series."""
        if self.master is None:
            return frozenset()
        return frozenset(
            self.rid_of(value.start if isinstance(value, Period) else value)
            for line in self.master.component.all("EXDATE")
            for value in moments_of(line)
        )

    @property
    def recurs(self) -> bool:
        """There is a series."""
        master = self.master
        return master is not None and any(line.name in ("RRULE", "RDATE") for line in master.component.properties)

    def instance(self, rid: int) -> Instance | None:
        """The instance with that original start; None where there is none, or finding it costs too much."""
        own = self.parts.get(rid)
        if own is not None:
            override = self._overrides.get(own.component.start)
            return None if override is None else self.recurrence.described(override)
        shift = _SHIFT if any(part.future for part in self.parts.values()) else 1
        budget = Budget(STEPS)
        try:
            for series in self.recurrence.series:
                for found in series.near(rid - shift, rid + shift, budget):
                    if found.recurrence_id == rid or (found.recurrence_id is None and found.start == rid):
                        return found
        except TooManyInstances:
            pass
        return None

    @cached_property
    def _overrides(self) -> dict[int, Override]:
        """The overrides by where they begin in the text."""
        return {one.component.start: one for one in self.recurrence.overrides}

    def has_instance(self, rid: Rid) -> bool:
        """Whether there is such an instance, by itself or in the series."""
        return rid in self.parts or (rid is not None and self.master is not None and self.instance(rid) is not None)

    def is_empty(self) -> bool:
        """Whether no instance is left. False where finding that out costs too much."""
        try:
            return next(iter(self.recurrence.near(None, None, Budget(STEPS))), None) is None
        except TooManyInstances:
            return False

    def describing(self, rid: Rid) -> Part | None:
        """The component that describes an instance: its own, one with RANGE=THISANDFUTURE before it, or the master.

        Whether there is such an instance is not looked up.
        """
        own = self.parts.get(rid)
        if own is not None or rid is None or not self._ranges:
            return own or self.master
        at = bisect_right(self._ranges, rid)
        return self.parts[self._ranges[at - 1]] if at and self.master is not None else self.master

    def base_of(self, rid: int) -> Rid:
        """Which component would describe an instance that had none of its own."""
        at = bisect_left(self._ranges, rid)
        return self._ranges[at - 1] if at else None

    @cached_property
    def _ranges(self) -> list[int]:
        """Since when the components with RANGE=THISANDFUTURE count."""
        return sorted(rid for rid, part in self.overrides.items() if part.future)

    def content(self, part: Part) -> frozenset[Hashable]:
        """What ``part`` says to everybody (see ``comparing``)."""
        found = self._contents.get(part.rid)
        if found is None:
            found = self._contents[part.rid] = content(self.source, part.component)
        return found

    def with_override(self, *rids: int) -> Snapshot | None:
        """The same with components of their own for ``rids`` that say what the series says.

        None where there is no such instance.
        """
        at, lines = end_of_components(self.calendar), list[str]()
        for rid in rids:
            made = derived(self, rid)
            if made is None:
                return None
            lines += made
        return _read(edit(self.source, [put_in(at, lines)]))

    def timing(self, part: Part) -> Timing | None:
        """When ``part`` is."""
        return timing_of(part.component, self.zones)


def _whole(line: ContentLine | None) -> int:
    if line is None:
        return 0
    try:
        return max(0, int(line.value))
    except ValueError:
        return 0


def read(source: bytes) -> Snapshot | None:
    """What scheduling sees in ``source``; None where no component has an ORGANIZER or ATTENDEE.

    Raises ICalendarError for a text that cannot be read, or in which two components mean the same instance.
    """
    return _known(source) if len(source) <= _CACHED else _large(source)


def _read(source: bytes) -> Snapshot | None:
    calendar = parse(source)
    components = [one for one in calendar.components if one.name in SCHEDULED]
    if not any(line.name in ("ORGANIZER", "ATTENDEE") for one in components for line in one.properties):
        return None
    return Snapshot(source, calendar, components)


# One message goes to many recipients: it is read once.
_known = lru_cache(maxsize=32)(_read)
_large = lru_cache(maxsize=4)(_read)
