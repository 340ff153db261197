"""Rooms and resources answer by themselves: they accept while they are free and decline while they are not.

Pure: the room's new copy and its other objects come in, the copy with the room's PARTSTAT goes out. The booking is
atomic because whoever calls holds the lock of the room's home from the reading of those objects to the commit: of two
bookings for one slot the second one reads the first.

A booking is checked over all its instances inside a window. One that overlaps anywhere, or that never ends, is declined
as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from scheduling import freebusy
from scheduling.amending import Amendments
from scheduling.ical.digest import digest
from scheduling.ical.lines import parse
from scheduling.ical.periods import BusyPeriod, merge
from scheduling.ical.timezones import Zone
from scheduling.ical.values import DAY
from scheduling.snapshot import read

#: How far ahead a room can be booked, seconds; it has to be checked over all of that.
WINDOW: Final = 2 * 366 * DAY
#: Floating times and dates of a booking may lie in any zone.
_MARGIN: Final = 2 * DAY


@dataclass(frozen=True, slots=True)
class Slot:
    """The instants between which all instances of a booking lie; ``None`` for an end: it has none."""

    start: int
    end: int | None

    @property
    def bookable(self) -> bool:
        """Whether it ends, inside the window."""
        return self.end is not None and self.end - self.start <= WINDOW


def slot_of(text: bytes) -> Slot | None:
    """The bounds of a booking, ``None`` where nothing of it has a time. Raises ICalendarError."""
    told = digest(parse(text))
    return (
        Slot(told.starts_at - _MARGIN, None if told.ends_at is None else told.ends_at + _MARGIN)
        if (told.starts_at is not None)
        else None
    )


def is_free(text: bytes, others: Iterable[bytes], slot: Slot, zone: Zone, room: AbstractSet[str]) -> bool:
    """Whether no instance of the booking ``text`` overlaps a busy period of ``others``, the room's other objects.

    What the room is asked for counts whatever it answered to it before; what it declined of ``others`` does not.
    """
    if slot.end is None:
        return False
    wanted = merge(freebusy.busy(text, slot.start, slot.end, zone))
    taken = merge(one for other in others for one in freebusy.busy(other, slot.start, slot.end, zone, owner=room))
    return not _overlap(wanted, taken)


def _overlap(ones: list[BusyPeriod], others: list[BusyPeriod]) -> bool:
    """Whether two lists of disjoint periods in order meet anywhere."""
    place = 0
    for one in ones:
        while place < len(others) and others[place].end <= one.start:
            place += 1
        if place < len(others) and others[place].start < one.end:
            return True
    return False


def answered(text: bytes, room: AbstractSet[str], partstat: str) -> bytes:
    """The room's copy with its answer on every component; lines that say so already stay as they are."""
    snapshot = read(text)
    if snapshot is None:
        return text
    work = Amendments(snapshot.source)
    for part in snapshot.parts.values():
        for attendee in part.attendees:
            if attendee.address in room and (attendee.line.param("PARTSTAT") or "") != partstat:
                work.param(attendee.line, "PARTSTAT", partstat)
    return work.made()
