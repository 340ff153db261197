"""Finding a time for a meeting: the best slots, ranked, each with its reasons.

Pure: values in (``slots.Wish``), values out. First the quarter hours in which nobody who has to come is busy or off
work are found in bitmaps, as the index has them; what is left is checked to the second, a room is chosen, and
``ranking`` (or another ranker) says what is best. Who asks, and by which protocol, is for the floor above.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.index import QUARTER, bits_of
from scheduling.ranking import rank
from scheduling.slots import Attendee, Candidate, Settings, Suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scheduling.availability import Availability
    from scheduling.slots import Ranking, Wish


def find_time(
    wish: Wish,
    settings: Settings | None = None,
    ranker: Callable[[Candidate, Wish, Settings], Ranking] = rank,
) -> list[Suggestion]:
    """The best times for a meeting, the best first; at most ``wish.count``, and none that overlaps a better one.

    Empty where all who have to come are never free together (or never have a room they need). Raises ValueError for a
    duration or step that is none.
    """
    if wish.duration <= 0 or wish.step <= 0:
        raise ValueError("A meeting lasts some time, and begins at multiples of some time.")
    settings = settings if settings is not None else Settings()
    search = _Search(wish, settings, keep_hours=True)
    candidates = list(search.candidates())
    if not candidates and settings.beyond_hours:
        candidates = list(_Search(wish, settings, keep_hours=False).candidates())
    if len(candidates) > settings.most_candidates:  # thinned evenly, so that the end of the window has its chance
        every = len(candidates) / settings.most_candidates
        candidates = [candidates[int(at * every)] for at in range(settings.most_candidates)]
    ranked = sorted(((ranker(one, wish, settings), one) for one in candidates), key=lambda r: (-r[0].score, r[1].start))
    chosen: list[Suggestion] = []
    for ranking, one in ranked:
        if len(chosen) >= wish.count:
            break
        if all(one.end <= better.start or better.end <= one.start for better in chosen):
            chosen.append(_suggestion(ranking, one))
    return chosen


def _suggestion(ranking: Ranking, one: Candidate) -> Suggestion:
    return Suggestion(
        one.start,
        one.end,
        ranking.score,
        ranking.reasons,
        one.room.name if one.room is not None else None,
        tuple(attendee.name for attendee in one.absent),
        tuple(attendee.name for attendee in one.outside),
    )


class _Diary:
    """Disjoint periods, and whether anything of a slot lies in them."""

    def __init__(self, periods: Iterable[BusyPeriod]) -> None:
        self.periods = merge(BusyPeriod(one.start, one.end) for one in periods)
        self._ends = [one.end for one in self.periods]

    def meets(self, start: int, end: int) -> bool:
        at = bisect_left(self._ends, start + 1)
        return at < len(self.periods) and self.periods[at].start < end


class _Search:
    """The candidates of a wish; with ``keep_hours`` only such as lie in the working hours of all who have to come."""

    def __init__(self, wish: Wish, settings: Settings, *, keep_hours: bool) -> None:
        self._wish = wish
        self._keep_hours = keep_hours
        soft = settings.tentative != "busy"
        kinds = (Busy.BUSY, Busy.UNAVAILABLE) if soft else tuple(Busy)
        self._busy = [(one, _Diary(p for p in one.busy if p.kind in kinds)) for one in wish.attendees]
        self._maybe = [(one, _Diary(p for p in one.busy if p.kind is Busy.TENTATIVE)) for one in wish.attendees if soft]
        self._off = [(one, _Diary(_off(one.hours))) for one in wish.attendees if one.hours is not None]
        fitting = (one for one in wish.rooms if one.capacity >= wish.heads and wish.equipment <= one.equipment)
        rooms = sorted(fitting, key=lambda room: (room.capacity, len(room.equipment), room.name))
        self._rooms = [(room, _Diary([*room.busy, *_off(room.hours)])) for room in rooms]

    def candidates(self) -> Iterator[Candidate]:
        wish = self._wish
        base = wish.start // QUARTER * QUARTER
        blocked = self._blocked(base, -(-(wish.end - base) // QUARTER))
        for start in range(-(-wish.start // wish.step) * wish.step, wish.end - wish.duration + 1, wish.step):
            # The quarters that lie in the slot as a whole; what is left at its edges is checked below.
            first, last = -(-(start - base) // QUARTER), (start + wish.duration - base) // QUARTER
            if first < last and blocked >> first & ((1 << last - first) - 1):
                continue
            found = self._candidate(start, start + wish.duration)
            if found is not None:
                yield found

    def _blocked(self, base: int, quarters: int) -> int:
        """The quarter hours in which somebody who has to come cannot."""
        bits = 0
        for attendee, diary in [*self._busy, *(self._off if self._keep_hours else ())]:
            if attendee.required:
                bits |= bits_of(diary.periods, base, quarters)
        return bits

    def _candidate(self, start: int, end: int) -> Candidate | None:
        away = _who(self._busy, start, end)
        outside = _who(self._off, start, end)
        if any(one.required for one in away) or (self._keep_hours and any(one.required for one in outside)):
            return None
        room = next((room for room, diary in self._rooms if not diary.meets(start, end)), None)
        if room is None and self._wish.needs_room:
            return None
        absent = tuple(dict.fromkeys([*away, *(one for one in outside if not one.required)]))
        late = tuple(one for one in outside if one.required)
        maybe = tuple(one for one in _who(self._maybe, start, end) if one not in absent)
        return Candidate(start, end, room, absent, late, maybe)


def _who(diaries: Sequence[tuple[Attendee, _Diary]], start: int, end: int) -> list[Attendee]:
    return [one for one, diary in diaries if diary.meets(start, end)]


def _off(hours: Availability | None) -> Sequence[BusyPeriod]:
    return hours.unavailable if hours is not None else ()
