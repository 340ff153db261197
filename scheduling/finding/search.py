"""Finding a time for a meeting: the best slots, ranked, each with its reasons.

Pure: values in (``slots.Wish``), values out. First the quarter hours in which nobody who has to come is busy or off
work are found in bitmaps, as the index has them; what is left is checked to the second, rooms are looked for, and
``ranking`` (or another ranker) says what is best. Where the values come from is in ``gathering``; who asks, and by
which protocol, is for the floor above.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from math import gcd
from typing import TYPE_CHECKING, Final

from scheduling.finding.ranking import rank, who_is_busy
from scheduling.finding.slots import Attendee, Candidate, NotAWish, Settings, Suggestion, local
from scheduling.freebusy.index import QUARTER, bits_of
from scheduling.ical.periods import Busy, BusyPeriod, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scheduling.finding.slots import Ranker, Ranking, Room, Wish
    from scheduling.freebusy.availability import Availability

#: So many rooms of a slot are compared, where it matters which one it is, and named.
_ROOMS: Final = 3


def find_time(wish: Wish, settings: Settings | None = None, ranker: Ranker = rank) -> list[Suggestion]:
    """The best times for a meeting, the best first; at most ``wish.count``, and none that overlaps a better one.

    Empty where all who have to come are never free together (or never have a room they need). Raises ``NotAWish`` for
    a duration or step that is none.
    """
    settings = settings if settings is not None else Settings()
    search = _checked(wish, settings, keep_hours=True)
    candidates = list(search.candidates())
    if not candidates and settings.beyond_hours:
        candidates = list(_checked(wish, settings, keep_hours=False).candidates())
    return _best(wish, settings, ranker, _thinned(candidates, settings.most_candidates))


def alternatives(wish: Wish, settings: Settings | None = None, ranker: Ranker = rank) -> list[Suggestion]:
    """What comes nearest where there is no time for all: the fewest of those who have to come are busy.

    Each says first who is (``Suggestion.busy``), or that it is the room that is missing. Within the working hours,
    where there is anything within them. Raises as ``find_time``.
    """
    settings = settings if settings is not None else Settings()
    missing = list(_checked(wish, settings, keep_hours=True).compromises())
    if not missing and settings.beyond_hours:
        missing = list(_checked(wish, settings, keep_hours=False).compromises())
    counts = Counter(cost for _, cost in missing)
    wanted, most = 0, 0
    for cost in sorted(counts):  # the cheapest, and as many as there may be suggestions
        most, wanted = cost, wanted + counts[cost]
        if wanted >= wish.count:
            break
    found: list[Suggestion] = []
    for cost in sorted(cost for cost in counts if cost <= most):
        group = _thinned([one for one, price in missing if price == cost], settings.most_candidates)
        found += _best(wish, settings, ranker, group, taken=found)
    return found[: wish.count]


def first_quarter(wish: Wish) -> int:
    """The instant of the first quarter hour of a map for ``reach``."""
    return wish.start // QUARTER * QUARTER


def reach(wish: Wish, blocked: int) -> tuple[int, int] | None:
    """Between which instants a meeting can lie at all, by bitmaps alone; None: nowhere.

    ``blocked`` are quarter hours from ``first_quarter`` on in which somebody who has to come is busy, as an index tells
    them for many people at once; of the wish, only what is in it counts. Raises as ``find_time``.
    """
    found = list(_checked(wish, Settings(), keep_hours=False).open_to_all(blocked))
    return (found[0], found[-1] + wish.duration) if found else None


def _checked(wish: Wish, settings: Settings, *, keep_hours: bool) -> _Search:
    if wish.duration <= 0 or wish.step <= 0:
        raise NotAWish("duration", "A meeting lasts some time, and begins at multiples of some time.")
    return _Search(wish, settings, keep_hours=keep_hours)


def _thinned(candidates: list[Candidate], most: int) -> list[Candidate]:
    """At most so many, evenly, so that the end of the window has its chance."""
    if len(candidates) <= most:
        return candidates
    return [candidates[at * len(candidates) // most] for at in range(most)]


def _best(
    wish: Wish, settings: Settings, ranker: Ranker, candidates: list[Candidate], taken: Sequence[Suggestion] = ()
) -> list[Suggestion]:
    """The best of the candidates that overlap neither a better one nor one that is taken."""
    travels = any(one.engagements for one in wish.attendees)
    ranked: list[tuple[Ranking, Candidate]] = []
    for one in candidates:
        variants = _in_each_place(one) if travels else [one]
        ranked.append(max(((ranker(each, wish, settings), each) for each in variants), key=lambda pair: pair[0].score))
    ranked.sort(key=lambda pair: (-pair[0].score, pair[1].start))
    chosen: list[Suggestion] = []
    for ranking, one in ranked:
        if len(chosen) >= wish.count:
            break
        if all(one.end <= better.start or better.end <= one.start for better in (*taken, *chosen)):
            chosen.append(_suggestion(wish, ranking, one))
    return chosen


def _in_each_place(candidate: Candidate) -> list[Candidate]:
    """The candidate with each of its rooms, the best fitting one of each place: not all are equally far away."""
    by_place: dict[object, Room] = {}
    for room in candidate.rooms:
        by_place.setdefault(room.place, room)
    rooms = list(by_place.values())[:_ROOMS]
    return [replace(candidate, room=room) for room in rooms] if rooms else [candidate]


def _suggestion(wish: Wish, ranking: Ranking, one: Candidate) -> Suggestion:
    reasons = list(ranking.reasons)
    if one.busy:
        reasons.insert(0, who_is_busy(one.busy))
    elif wish.needs_room and one.room is None:
        missing = "no suitable room is free"
        reasons = [missing, *(why for why in reasons if why != missing)]
    rooms = [one.room, *(room for room in one.rooms if room is not one.room)] if one.room is not None else []
    return Suggestion(one, ranking.score, tuple(reasons), tuple(rooms[:_ROOMS]))


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
        rooms = sorted(
            filter(wish.fits, wish.rooms),
            key=lambda room: (room.capacity is None, room.capacity, len(room.equipment), room.name),
        )
        self._rooms = [(room, _Diary([*room.busy, *_off(room.hours)])) for room in rooms]

    def open_to_all(self, blocked: int = 0) -> Iterator[int]:
        """Where a meeting may begin by bitmaps alone; ``blocked`` are more quarter hours that are taken.

        The quarters that lie in the slot as a whole are looked at; what is left at its edges is not.
        """
        base = first_quarter(self._wish)
        quarters = -(-(self._wish.end - base) // QUARTER)
        for attendee, diary in [*self._busy, *(self._off if self._keep_hours else ())]:
            if attendee.required:
                blocked |= bits_of(diary.periods, base, quarters)
        for start in self._starts():
            first, last = -(-(start - base) // QUARTER), (start + self._wish.duration - base) // QUARTER
            if first >= last or not blocked >> first & ((1 << last - first) - 1):
                yield start

    def candidates(self) -> Iterator[Candidate]:
        """The times at which all who have to come can, and there is a room if one is needed."""
        wish = self._wish
        for start in self.open_to_all():
            found = self._candidate(start, start + wish.duration)
            if not found.busy and (found.room is not None or not wish.needs_room) and self._within_hours(found):
                yield found

    def compromises(self) -> Iterator[tuple[Candidate, int]]:
        """The times at which somebody or the room is missing, and how many are."""
        for start in self._starts():
            found = self._candidate(start, start + self._wish.duration)
            if self._within_hours(found):
                cost = len(found.busy) + (found.room is None and self._wish.needs_room)
                if cost:
                    yield found, cost

    def _starts(self) -> Iterator[int]:
        """When a meeting may begin: multiples of the step on the wall, which moves where summer time begins or ends."""
        wish = self._wish
        # No clock in use today differs from UTC by anything but quarters of an hour.
        grain = gcd(wish.step, QUARTER)
        low, high = wish.known or (wish.start, wish.end)
        low, high = max(low, wish.start), min(high, wish.end)
        for at in range(-(-low // grain) * grain, high - wish.duration + 1, grain):
            if local(wish.zone, at) % wish.step == 0:
                yield at

    def _within_hours(self, candidate: Candidate) -> bool:
        return not self._keep_hours or not candidate.outside

    def _candidate(self, start: int, end: int) -> Candidate:
        away = _who(self._busy, start, end)
        off = _who(self._off, start, end)
        rooms = tuple(room for room, diary in self._rooms if not diary.meets(start, end))
        absent = tuple(dict.fromkeys(one for one in (*away, *off) if not one.required))
        maybe = tuple(one for one in _who(self._maybe, start, end) if one not in absent)
        return Candidate(
            start,
            end,
            rooms[0] if rooms else None,
            absent,
            tuple(one for one in off if one.required),
            maybe,
            rooms,
            tuple(one for one in away if one.required),
        )


def _who(diaries: Sequence[tuple[Attendee, _Diary]], start: int, end: int) -> list[Attendee]:
    return [one for one, diary in diaries if diary.meets(start, end)]


def _off(hours: Availability | None) -> Sequence[BusyPeriod]:
    return hours.unavailable if hours is not None else ()
