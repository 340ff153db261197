"""When somebody is in the habit of meeting: what they accepted and declined, learned from columns and busy times alone.

Owns how much of the past counts, and what it is taken for. Pure, and no text of a meeting is read: a firm busy time of
ordinary length is a meeting that was accepted; a meeting that somebody else organizes, and that is in the calendar and
blocks no time there, was declined (or called off, which is as good a reason not to try that time again).

What comes out is about weekdays and halves of days. Who asks for a time may know of others only when they are busy;
that habits go no further is for ``ranking`` to see to.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.ical.values import DAY
from scheduling.slots import Answered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from storage.rows import ObjectRow

#: What of a row is looked at.
COLUMNS: Final = frozenset({"collection_id", "starts_at", "ends_at", "recurs", "transparent", "organizer"})
#: What lasts longer is a journey or a holiday, and says nothing of when somebody likes to meet.
LONGEST: Final = 6 * 3600


def range_of(now: int, start: int, *, weeks: int) -> tuple[int, int]:
    """What is learned from for a meeting that is to begin at ``start`` or later: so many weeks, up to now.

    Where the meeting is so far off that what lies between is longer than that, it is the weeks before it: then one
    question covers both. Instants.
    """
    length = weeks * 7 * DAY
    end = min(now, start) if start - now <= 2 * length else start
    return end - length, end


def history(busy: Sequence[BusyPeriod], rows: Iterable[ObjectRow], owner: Collection[str]) -> tuple[Answered, ...]:
    """What somebody answered in a stretch of time.

    ``busy`` are all busy times of their calendars in it, in order and disjoint, ``rows`` their VEVENTs whose bounds
    touch it, and ``owner`` their addresses in normal form.
    """
    return (
        *(
            Answered(one.start, accepted=True)
            for one in busy
            if one.kind is Busy.BUSY and one.end - one.start <= LONGEST
        ),
        *(Answered(at, accepted=False) for at in _declined(busy, rows, owner)),
    )


def _declined(busy: Sequence[BusyPeriod], rows: Iterable[ObjectRow], owner: Collection[str]) -> Iterator[int]:
    """Instants in meetings that do not block the time that they are in."""
    starts = [one.start for one in busy]
    for row in rows:
        at = _middle(row)
        if at is None or row.transparent or not row.organizer or normal(row.organizer) in owner:
            continue
        before = bisect_right(starts, at) - 1
        if before < 0 or busy[before].end <= at:
            yield at


def _middle(row: ObjectRow) -> int | None:
    """About when a meeting is that does not recur; None where its bounds do not tell.

    An alarm, and a time that depends on a zone, widen the bounds by a day on either side (see ``ical.digest``).
    """
    if row.recurs or row.starts_at is None or row.ends_at is None:
        return None
    length = row.ends_at - row.starts_at
    if 0 < length <= LONGEST or 2 * DAY < length <= 2 * DAY + LONGEST:
        return (row.starts_at + row.ends_at) // 2
    return None
