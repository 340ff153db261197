"""When rooms cannot be had: their hours, and what their other objects say, for all rooms of a message at once.

Owns the reading of the rooms' calendars. The statements do not grow with the number of rooms or of bookings. Of objects
that lie where the booking does the packed busy time is asked; a body is read only where that does not say enough.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduling.freebusy.availability import PROPERTIES, availability
from scheduling.freebusy.busy import BLOCKING, BusyCalendar, spans_of
from scheduling.freebusy.diaries import availability_in
from scheduling.freebusy.index import Version
from scheduling.freebusy.vfreebusy import busy
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.rooms.rules import Diary
from storage.rows import CollectionKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scheduling.rooms.rules import Case, Request
    from storage.rows import ObjectRow, Principal
    from storage.store import Transaction

_COLUMNS: Final = frozenset(
    {"id", "collection_id", "name", "component", "organizer", "starts_at", "ends_at", "digest_version", "spans"}
)
_BODY: Final = frozenset({"body"})
#: Nobody keeps what is computed here.
_NO_VERSION: Final = Version("", 0, "")


@dataclass(frozen=True, slots=True)
class Question:
    """What a room is asked; ``stored`` is its own copy of that (None: it has none), which is no obstacle.

    ``by_person``: between requests that wait for an answer a person decides, so that they are no obstacle either.
    """

    room: Principal
    stored: ObjectRow | None
    case: Case
    request: Request
    by_person: bool


class _Wanted:
    """The times that are asked for, to be compared with many others: disjoint and in order."""

    def __init__(self, request: Request) -> None:
        self.periods = merge(BusyPeriod(slot.start, slot.end) for slot in request.slots)
        self._ends = [one.end for one in self.periods]

    def meets(self, start: int | None, end: int | None) -> bool:
        """Whether some of it may lie between two instants (None is open)."""
        at = 0 if start is None else bisect_right(self._ends, start)
        return at < len(self.periods) and (end is None or self.periods[at].start <= end)

    def of(self, periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
        """Those of many others that it meets."""
        return [one for one in periods if self.meets(one.start, one.end)]


def diaries_of(tx: Transaction, questions: Sequence[Question]) -> dict[int, Diary]:
    """When each room cannot be had, as far as it matters, by principal; three statements at most, and one more a room.

    The rooms' homes are locked.
    """
    by_home = {one.room.home_id: one for one in questions if one.request.stretch is not None}
    if not by_home:
        return {}
    calendars: dict[int, int] = {}
    hours: dict[int, bytes] = {}
    kinds = (CollectionKind.CALENDAR, CollectionKind.INBOX)
    for home, collection, stored in tx.collections.of_homes(list(by_home), kinds=kinds, names=PROPERTIES):
        if collection.kind is CollectionKind.CALENDAR:
            calendars[collection.id] = home.id
        elif stored:
            hours[home.id] = availability_in({(one.namespace, one.name): one for one in stored})
    taken = _taken(tx, by_home, calendars)
    return {
        one.room.id: Diary(taken[home_id], _closed(one, hours.get(home_id, b""))) for home_id, one in by_home.items()
    }


def _closed(question: Question, hours: bytes) -> Sequence[BusyPeriod]:
    """When the room's hours do not let anybody in; ``hours`` is the text of ``calendar-availability``, if any."""
    stretch = question.request.stretch
    found = availability([hours], *stretch, question.case.zone) if hours and stretch is not None else None
    return () if found is None else merge(BusyPeriod(one.start, one.end) for one in found.unavailable)


def _taken(
    tx: Transaction, by_home: Mapping[int, Question], calendars: Mapping[int, int]
) -> dict[int, list[BusyPeriod]]:
    """When each room is taken by its other objects, disjoint and in order; by home. ``calendars`` are by id."""
    wanted = {home_id: _Wanted(one.request) for home_id, one in by_home.items()}
    stretches = [stretch for one in by_home.values() if (stretch := one.request.stretch) is not None]
    start, end = min(first for first, _ in stretches), max(last for _, last in stretches)
    found: dict[int, list[BusyPeriod]] = {home_id: [] for home_id in by_home}
    unsaid: dict[int, list[str]] = {}
    rows = tx.objects.scan({name: list(calendars) for name in BLOCKING}, columns=_COLUMNS, start=start, end=end)
    for row in rows:
        home_id = calendars[row.collection_id]
        question = by_home[home_id]
        stored = question.stored
        if (stored is not None and row.id == stored.id) or not wanted[home_id].meets(row.starts_at, row.ends_at):
            continue
        low = start if row.starts_at is None else max(start, row.starts_at)
        high = end if row.ends_at is None else min(end, row.ends_at + 1)
        said = spans_of(row, _calendar(question, row.collection_id), low, high)
        if said is None:
            unsaid.setdefault(row.collection_id, []).append(row.name)
        else:
            found[home_id] += wanted[home_id].of(said)
    for collection_id, names in unsaid.items():
        home_id = calendars[collection_id]
        case = by_home[home_id].case
        for row in tx.objects.by_names(collection_id, names, columns=_BODY).values():
            told = busy(row.body, start, end, case.zone, owner=frozenset(case.room))
            found[home_id] += wanted[home_id].of(told)
    return {home_id: _counting(by_home[home_id], periods) for home_id, periods in found.items()}


def _calendar(question: Question, collection_id: int) -> BusyCalendar:
    return BusyCalendar(collection_id, _NO_VERSION, question.case.zone, frozenset(question.case.room))


def _counting(question: Question, periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """The times that nobody else gets: taken is taken, also tentatively; but a person decides between two requests."""
    least = Busy.BUSY if question.by_person else Busy.TENTATIVE
    return merge(BusyPeriod(one.start, one.end) for one in periods if one.kind >= least)
