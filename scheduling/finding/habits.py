"""When somebody is in the habit of meeting: what they accepted and declined, learned from columns and busy times alone.

Owns how much of the past counts, and what it is taken for. Pure, and no text of a meeting is read: a firm busy time of
ordinary length is a meeting that was accepted; what was declined is known by the packed busy time of an object
(``ical.spans``), which says whom it blocks no time of. What is not packed says nothing.

What comes out is about weekdays and halves of days. Who asks for a time may know of others only when they are busy;
that habits go no further is for ``ranking`` to see to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.finding.slots import Answered
from scheduling.ical.digest import DIGEST_VERSION
from scheduling.ical.periods import Busy
from scheduling.ical.spans import address_hash, read_spans
from scheduling.ical.values import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scheduling.freebusy.busy import BusyCalendar
    from scheduling.ical.periods import BusyPeriod
    from storage.rows import ObjectRow

#: What of a row is looked at.
COLUMNS: Final = frozenset({"collection_id", "organizer", "digest_version", "spans"})
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


def accepted(busy: Iterable[BusyPeriod]) -> Iterator[Answered]:
    """The meetings that these busy times are."""
    for one in busy:
        if one.kind is Busy.BUSY and one.end - one.start <= LONGEST:
            yield Answered(one.start, accepted=True)


def declined(rows: Iterable[ObjectRow], calendar: BusyCalendar, start: int, end: int) -> Iterator[Answered]:
    """The instances of ``rows``, VEVENTs of ``calendar``, between two instants that its owner does not come to."""
    named = [address_hash(one) for one in calendar.owner]
    for row in rows:
        if not row.organizer or row.digest_version != DIGEST_VERSION or not any(one in row.spans for one in named):
            continue
        everybody = read_spans(row.spans, start, end, calendar.zone)
        mine = read_spans(row.spans, start, end, calendar.zone, calendar.owner)
        if everybody is None or mine is None:
            continue
        blocked = {one.start for one in mine}
        for one in everybody:
            if one.start not in blocked and start <= one.start < end and one.end - one.start <= LONGEST:
                yield Answered(one.start, accepted=False)


def history(
    busy: Iterable[BusyPeriod],
    rows: Iterable[tuple[BusyCalendar, Sequence[ObjectRow]]],
    start: int,
    end: int,
) -> tuple[Answered, ...]:
    """What somebody answered between two instants: their busy times in it, and the VEVENTs of their calendars."""
    refused = (one for calendar, of_it in rows for one in declined(of_it, calendar, start, end))
    return (*accepted(busy), *refused)
