"""How a room or resource answers when it is invited: instance by instance, by its rules and by what it has promised.

Pure: the room's copy as the invitation left it, the copy as it was, and when the room is taken by others come in; what
it answers to each instance comes out. The booking is atomic because whoever calls holds the lock of the room's home
from the reading of the room's other objects to the commit: of two bookings for one time the second one reads the first.
How answers are written into the copy is in ``answers``; what is stored of rooms, and read for them, in
``bookings``.

Decisions (docs/decisions says why):

- What the room has accepted and what is not moved stays accepted, whatever else changes in the meeting or in the
  room's rules, as long as the people fit in. What it has declined is looked at again with every request.
- TRANSP is no way around a booking; STATUS:TENTATIVE takes the time as well; an instance without duration takes none.
- Instances that are over are checked like those to come, so that the answer depends on the meeting alone; but of a
  series of many years only those since ``LOOK_BACK``.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.recurrence import recurrence_sets
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.values import DAY
from scheduling.itip.revision import rescheduled
from scheduling.itip.snapshot import read
from scheduling.rooms.words import (
    TOO_OFTEN,
    Why,
    beyond,
    closed,
    endless,
    full,
    late,
    nothing,
    only_events,
    outside_hours,
    taken_by_other,
)
from storage.rows import Beyond, BookingPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set as AbstractSet

    from scheduling.ical.periods import BusyPeriod
    from scheduling.ical.timezones import Zone
    from scheduling.itip.snapshot import Part, Rid, Snapshot

ACCEPTED: Final = "ACCEPTED"
DECLINED: Final = "DECLINED"
UNSET: Final = "NEEDS-ACTION"
#: A series that is not longer is checked whole, another one since ``LOOK_BACK`` before now.
_WHOLE: Final = 2 * 366 * DAY
LOOK_BACK: Final = 366 * DAY
#: How far ahead they may book for whom the room's own window does not count.
_EXEMPT: Final = 10 * 366 * DAY
#: What a person may have answered for the room.
_PROMISES: Final = frozenset({ACCEPTED, "TENTATIVE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a room answers.

    ``window`` (seconds) is how far ahead it can be booked, ``beyond`` what it does with a booking that reaches further.
    ``notice`` (seconds) is how long before its start a booking has to be made, ``capacity`` how many people fit in
    (None: it is not looked at), ``exceptions`` how many instances of a series are answered otherwise than the series.
    """

    policy: BookingPolicy = BookingPolicy.AUTOMATIC
    beyond: Beyond = Beyond.DECLINE
    window: int = 730 * DAY
    notice: int = 0
    capacity: int | None = None
    exceptions: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a room is asked.

    ``text`` is its copy with the invitation in it, ``before`` its copy as it was (None: there was none), ``room`` its
    addresses in normal form, ``zone`` that of dates and floating times, ``now`` in epoch seconds. ``exempt``: who asks
    is not bound to ``window``, ``notice``, ``capacity`` and the room's hours.
    """

    text: bytes
    before: bytes | None
    room: AbstractSet[str]
    rules: Rules
    zone: Zone
    now: int
    exempt: bool = False


class Slot(NamedTuple):
    """An instance that the room is asked for, from ``start`` up to, and without, ``end`` (instants).

    ``part`` is the component that describes it, ``rid`` which one it is (None: it does not recur).
    """

    part: Part
    rid: Rid
    start: int
    end: int
    all_day: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    ``refused`` is why nothing of it can be accepted. ``reaches`` is why instances that are not among ``slots`` can not,
    ``ahead`` the instant up to which the room can be booked.
    """

    snapshot: Snapshot
    slots: tuple[Slot, ...] = ()
    ahead: int = 0
    reaches: Why | None = None
    refused: Why | None = None

    @property
    def stretch(self) -> tuple[int, int] | None:
        """Between which instants it counts when the room is taken; None where it does not."""
        if self.refused is not None or not self.slots:
            return None
        return min(slot.start for slot in self.slots), max(slot.end for slot in self.slots)


class Verdict(NamedTuple):
    """What the room answers to an instance (a PARTSTAT), and why it is declined."""

    partstat: str
    why: Why | None = None


def requested(case: Case) -> Request | None:
    """What ``case`` asks for; None where the room does not answer. Raises ICalendarError."""
    snapshot = read(case.text)
    policy = case.rules.policy
    if snapshot is None or policy is BookingPolicy.NONE or not snapshot.addresses & case.room:
        return None
    if snapshot.kind != "VEVENT":
        return Request(snapshot, refused=only_events())
    if policy is BookingPolicy.ACCEPT:
        return Request(snapshot)
    if policy is BookingPolicy.DECLINE and case.before is None:
        return Request(snapshot, refused=closed())
    try:
        return _looked_at(case, snapshot)
    except TooManyInstances:
        return Request(snapshot, refused=TOO_OFTEN)


def _looked_at(case: Case, snapshot: Snapshot) -> Request:
    first, last = _extent(snapshot, case.zone)
    furthest = case.now + max(case.rules.window, _EXEMPT)
    ahead = furthest if case.exempt and last is not None else case.now + case.rules.window
    promised = _is_promised(case, snapshot)
    reaches = endless() if last is None and not promised else None
    slots = []
    for slot in slots_of(snapshot, case.zone, *_range(case.now, first, last, ahead)):
        if slot.start > (furthest if promised else ahead):
            reaches = reaches or (None if promised else beyond(ahead, case.zone))
            break
        if not slot.part.by_address.keys() & case.room:
            continue
        if slot.end <= ahead or promised:
            slots.append(slot)
        else:
            reaches = reaches or beyond(ahead, case.zone)
    if reaches is not None and case.rules.beyond is Beyond.DECLINE:
        return Request(snapshot, refused=reaches)
    if not slots and reaches is None:
        return Request(snapshot, refused=nothing())
    return Request(snapshot, tuple(slots), ahead, reaches)


def _range(now: int, first: int | None, last: int | None, ahead: int) -> tuple[int | None, int]:
    """Between which instants instances are looked for."""
    if last is not None and (first is None or last - first <= _WHOLE):
        return None, last + 1
    low = now - LOOK_BACK
    return (low if first is None else max(low, first)), (ahead + DAY if last is None else last + 1)


def _extent(snapshot: Snapshot, zone: Zone) -> tuple[int | None, int | None]:
    """Between which instants all instances lie; None for an end that is not, or not known."""
    found = [one.extent(Budget()) for one in recurrence_sets(snapshot.calendar, zone, ("VEVENT",))]
    lows, highs = [low for low, _ in found if low is not None], [high for _, high in found if high is not None]
    return min(lows, default=None), max(highs) if highs and len(highs) == len(found) else None


def slots_of(snapshot: Snapshot, zone: Zone, start: int | None, end: int | None) -> Iterator[Slot]:
    """The instances that take place between two instants (None is open), about in their order.

    Raises TooManyInstances where finding them costs too much.
    """
    parts = {part.component.start: part for part in snapshot.parts.values()}
    budget = Budget()
    for one in recurrence_sets(snapshot.calendar, zone, ("VEVENT",)):
        for found in one.near(start, end, budget):
            part = parts.get(found.component.start)
            if part is None or part.cancelled or found.start is None:
                continue
            rid: Rid = part.rid
            if found.recurrence_id is not None and (rid is None or part.future):
                # Snapshots count floating times and dates as if they were UTC.
                rid = found.recurrence_local if found.floating else found.recurrence_id
            yield Slot(part, rid, found.start, found.start if found.end is None else found.end, found.all_day)


def _is_promised(case: Case, snapshot: Snapshot) -> bool:
    """Whether the room has accepted the series before, and it has no new instances since."""
    known = None if case.before is None else read(case.before)
    if known is None or known.master is None or snapshot.master is None:
        return False
    mine = known.master.own(case.room)
    return mine is not None and mine.partstat in _PROMISES and None not in rescheduled(known, snapshot)


# --- the verdicts ----------------------------------------------------------------------------------------------------


class Diary:
    """When a room cannot be had: ``taken`` by others, or ``closed`` by its hours. Each is disjoint and in order."""

    def __init__(self, taken: Sequence[BusyPeriod] = (), closed: Sequence[BusyPeriod] = ()) -> None:
        self._taken = taken, [one.end for one in taken]
        self._closed = closed, [one.end for one in closed]

    def is_taken(self, slot: Slot) -> bool:
        """Whether somebody else has the room for a part of ``slot``."""
        return _meets(*self._taken, slot)

    def is_closed(self, slot: Slot) -> bool:
        """Whether a part of ``slot`` is outside of the room's hours."""
        return _meets(*self._closed, slot)


def _meets(periods: Sequence[BusyPeriod], ends: Sequence[int], slot: Slot) -> bool:
    at = bisect_right(ends, slot.start)
    return slot.start < slot.end and at < len(periods) and periods[at].start < slot.end


def judged(case: Case, request: Request, diary: Diary) -> list[Verdict]:
    """What the room answers to each of ``request.slots``."""
    known = _known(case, request)
    return [
        _verdict(case, slot, diary, known.get((slot.start, slot.end)), ahead=request.ahead) for slot in request.slots
    ]


def _verdict(case: Case, slot: Slot, diary: Diary, known: str | None, *, ahead: int) -> Verdict:
    rules = case.rules
    heads = heads_of(slot.part, case.room) if rules.capacity is not None and not case.exempt else 0
    if rules.capacity is not None and heads > rules.capacity:
        return Verdict(DECLINED, full(heads, rules.capacity))
    if known in _PROMISES:
        return Verdict(known)
    if rules.policy is BookingPolicy.DECLINE:
        return Verdict(DECLINED, closed())
    if slot.end > ahead:
        return Verdict(DECLINED, beyond(ahead, case.zone))
    if rules.notice and not case.exempt and case.now < slot.end and slot.start < case.now + rules.notice:
        return Verdict(DECLINED, late(rules.notice))
    if not case.exempt and diary.is_closed(slot):
        return Verdict(DECLINED, outside_hours(slot.start, slot.end, case.zone, all_day=slot.all_day))
    if diary.is_taken(slot):
        return Verdict(DECLINED, taken_by_other(slot.start, slot.end, case.zone, all_day=slot.all_day))
    if rules.policy is BookingPolicy.DELEGATE:
        return Verdict(known if known is not None and _answer(slot.part, case.room) != UNSET else UNSET)
    return Verdict(ACCEPTED)


def _known(case: Case, request: Request) -> Mapping[tuple[int, int], str]:
    """What the room has answered before, by the time that it was about. Without what it cannot have promised."""
    snapshot = None if case.before is None else read(case.before)
    stretch = request.stretch
    if snapshot is None or stretch is None:
        return {}
    try:
        return {
            (slot.start, slot.end): _answer(slot.part, case.room)
            for slot in slots_of(snapshot, case.zone, *stretch)
            if slot.part.by_address.keys() & case.room
        }
    except TooManyInstances:
        return {}


def _answer(part: Part, room: AbstractSet[str]) -> str:
    party = part.own(room)
    return UNSET if party is None else party.partstat


def heads_of(part: Part, room: AbstractSet[str]) -> int:
    """How many people are expected: who organizes, and every attendee who has not declined and is no room or thing."""
    people = set() if part.organizer is None else {part.organizer.address}
    for party in part.attendees:
        kind = (party.line.param("CUTYPE") or "").strip().upper()
        if kind not in ("ROOM", "RESOURCE") and party.partstat != DECLINED and party.role != "NON-PARTICIPANT":
            people.add(party.address)
        elif party.partstat == DECLINED:
            people.discard(party.address)
    return len(people - room)
