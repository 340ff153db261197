"""Who is busy when, for many people at once: what the index knows, and the stored objects for all else.

Owns the service behind VFREEBUSY (RFC 6638 5), ``free-busy-query`` (RFC 4791 7.10) and finding a time: one round trip
to the index, one statement for what it does not know, the arithmetic, and one more round trip to fill the index. What
makes an object busy is in ``vfreebusy``, what an index is in ``index``, working hours in ``availability``. Which
calendars count, and who may ask, is for the caller: ``tx.collections.of_homes`` has what is needed for that in one
statement.

The index looks only so far (``Horizon``); beyond, and where it is away, the answer comes from the store and is
the same.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from scheduling.freebusy.availability import Availability, availability
from scheduling.freebusy.index import (
    WEEK,
    Fill,
    IndexedPeriod,
    Version,
    basis_of,
    cut,
    hash_of,
    week_of,
    week_start,
    weeks_of,
)
from scheduling.freebusy.remembered import PERIOD_BYTES, Remembered
from scheduling.freebusy.vfreebusy import busy_in
from scheduling.ical.digest import DIGEST_VERSION
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.periods import OF_NUMBER, BusyPeriod, clip, merge
from scheduling.ical.rrule import DEFAULT_STEPS, Budget, TooManyInstances
from scheduling.ical.spans import Span, covering, read_spans
from scheduling.ical.timezones import UTC
from scheduling.ical.tzdata import tzdata_version
from scheduling.ical.values import DAY
from storage.rows import Spared

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from scheduling.freebusy.index import FreeBusyIndex, Lookup
    from scheduling.ical.timezones import Zone
    from storage.rows import ObjectRow
    from storage.store import Transaction

#: The components whose objects block time by themselves (RFC 4791 7.10).
BLOCKING: Final = ("VEVENT", "VFREEBUSY")
AVAILABILITY: Final = "VAVAILABILITY"
#: What is read of an object for it.
COLUMNS: Final = frozenset({"collection_id", "uid", "component", "digest_version", "spans", "body"})
#: Moves on with every change of how periods are computed from a text: what older code put into the index is a miss.
_RULES: Final = "1"

#: What one question may cost, and what one calendar in it: a step is about three microseconds (see ``rrule.Budget``).
STEPS: Final = 2_000_000
STEPS_OF_ONE: Final = 400_000
#: Calendars that are read in one statement.
_TOGETHER: Final = 200
#: What a row costs beside its recurrences, and what its bytes do.
_STEPS_A_ROW: Final = 10
_STEPS_A_TEXT: Final = 15
_BYTES_A_STEP: Final = 200


class Horizon(NamedTuple):
    """How far the index looks: instants, in whole weeks around them."""

    start: int
    end: int

    @classmethod
    def around(cls, now: int, *, days_back: int = 366, days_ahead: int = 366) -> Horizon:
        """So many days before and after ``now``."""
        return cls(now - days_back * DAY, now + days_ahead * DAY)

    def weeks(self, start: int, end: int) -> range:
        """The weeks of a question that lie within it."""
        asked = weeks_of(start, end)
        return range(max(asked.start, week_of(self.start)), min(asked.stop, week_of(self.end) + 1))


@dataclass(frozen=True, slots=True)
class BusyCalendar:
    """A calendar that counts.

    ``zone`` is that of dates and floating times, ``owner`` the normal addresses of the owner. ``has_availability``: it
    takes VAVAILABILITY, so that those are looked for in it. ``version`` is that of the database, see ``version_of``.
    """

    id: int
    version: Version
    zone: Zone = UTC
    owner: frozenset[str] = frozenset()
    has_availability: bool = False


def version_of(epoch: str, revision: int, *, zone: str, owner: Iterable[str], transparent: str = "") -> Version:
    """The version of a calendar as the index knows it.

    ``epoch`` is the store's, ``revision`` the calendar's; ``zone`` says which zone floating times are in: its IANA
    name, or the text of its VTIMEZONE; ``owner`` are the normal addresses; ``transparent`` is what
    ``schedule-calendar-transp`` says.
    """
    rules = f"{_RULES} {DIGEST_VERSION} {tzdata_version()}"
    return Version(epoch, revision, basis_of(rules, zone, transparent, *sorted(owner)))


@dataclass(frozen=True, slots=True)
class Whose:
    """Somebody whose time is asked: the calendars that count, and the text of ``calendar-availability``, if any."""

    calendars: Sequence[BusyCalendar]
    availability: bytes = b""
    zone: Zone = UTC


@dataclass(frozen=True, slots=True)
class BusyTimes:
    """The answer about one: ``events`` is what the calendars say, in order and disjoint; ``hours`` VAVAILABILITY.

    It is not ``complete`` where there is more in that time than a question may cost: who is told so asks for less.
    """

    events: Sequence[BusyPeriod] = ()
    hours: Availability | None = None
    complete: bool = True

    @property
    def periods(self) -> list[BusyPeriod]:
        """Both together, as VFREEBUSY tells them (RFC 7953 section 5)."""
        return list(self.events) if self.hours is None else merge([*self.events, *self.hours.unavailable])


K = TypeVar("K", bound="Hashable")


def busy_of(
    tx: Transaction,
    index: FreeBusyIndex,
    people: Mapping[K, Whose],
    start: int,
    end: int,
    *,
    horizon: Horizon,
    mask_uid: str | None = None,
    steps: int = STEPS,
) -> dict[K, BusyTimes]:
    """When each of many people is busy between two instants.

    One statement at most (for every 200 calendars that the index does not know), two round trips to the index.
    ``mask_uid`` leaves a meeting out (X-CALENDARSERVER-MASK-UID). ``steps`` is what the whole question may cost.
    """
    calendars = {one.id: one for whose in people.values() for one in whose.calendars}
    found = _Question(tx, index, calendars, start, end, horizon, Effort(steps)).answer()
    masked = None if mask_uid is None else hash_of(mask_uid)
    answers: dict[K, BusyTimes] = {}
    for key, whose in people.items():
        ids = {one.id for one in whose.calendars}
        periods = [
            BusyPeriod(begin, finish, kind)
            for id_ in ids
            for begin, finish, kind, uid in found.periods[id_]
            if uid != masked
        ]
        texts = [*([whose.availability] if whose.availability else []), *(t for id_ in ids for t in found.hours[id_])]
        hours = availability(texts, start, end, whose.zone) if texts else None
        complete = found.cut.isdisjoint(ids)
        answers[key] = BusyTimes(merge(clip(periods, start, end)), hours, complete=complete)
    return answers


class Effort:
    """What is left of the budget of a question, so that nobody's calendars take all of it, or for ever."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps: Final = steps
        self.left = steps
        self._spent: dict[int, int] = {}

    def spend(self, calendar: int, steps: int) -> bool:
        """Takes steps for a calendar; False: there are none left, for it or at all."""
        self.left -= steps
        spent = self._spent[calendar] = self._spent.get(calendar, 0) + steps
        return self.left >= 0 and spent <= STEPS_OF_ONE


@dataclass(slots=True)
class _Found:
    """By calendar: its periods, unclipped, and the texts of its VAVAILABILITYs. ``cut`` are those with too many."""

    periods: dict[int, list[IndexedPeriod]]
    hours: dict[int, list[bytes]]
    cut: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Question:
    tx: Transaction
    index: FreeBusyIndex
    calendars: Mapping[int, BusyCalendar]
    start: int
    end: int
    horizon: Horizon
    effort: Effort

    def answer(self) -> _Found:
        found = _Found({id_: [] for id_ in self.calendars}, {id_: [] for id_ in self.calendars})
        if self.start >= self.end:
            return found
        weeks = self.horizon.weeks(self.start, self.end)
        known = self._known(weeks)
        needed = self._needed(weeks, known)
        self._take_known(found, known, needed)
        hours = [id_ for id_, calendar in self.calendars.items() if calendar.has_availability]
        partial = self._read(found, needed, hours)
        unfinished = found.cut | partial
        self._fill(found, known, needed, without=unfinished)
        self._read_again(found, unfinished, needed, hours)
        return found

    def _read_again(
        self, found: _Found, unfinished: set[int], needed: Mapping[int, tuple[int, int]], hours: Sequence[int]
    ) -> None:
        """What was too much in whole weeks is tried for the asked time alone, so that the index changes no answer."""
        again = {id_: (self.start, self.end) for id_ in unfinished if needed.get(id_) != (self.start, self.end)}
        if not again:
            return
        for id_ in again:
            found.periods[id_], found.hours[id_] = [], []
        found.cut.difference_update(again)
        self.effort = Effort(self.effort.steps)
        self._read(found, again, [id_ for id_ in hours if id_ in again])

    def _known(self, weeks: range) -> Lookup | None:
        if not weeks:
            return None
        wanted = {id_: calendar.version for id_, calendar in self.calendars.items()}
        return self.index.lookup(wanted, week_start(weeks[0]), week_start(weeks[-1] + 1))

    def _needed(self, weeks: range, known: Lookup | None) -> dict[int, tuple[int, int]]:
        """The stretch of time for which the store has to be asked, by calendar."""
        if known is None:
            return dict.fromkeys(self.calendars, (self.start, self.end))
        outside = []
        if self.start < week_start(weeks[0]):
            outside.append((self.start, week_start(weeks[0])))
        if self.end > week_start(weeks[-1] + 1):
            outside.append((week_start(weeks[-1] + 1), self.end))
        needed = {}
        for id_ in self.calendars:
            missing = known.misses.get(id_, ())
            pieces = [*outside, *((week_start(week), week_start(week) + WEEK) for week in missing)]
            if pieces:
                needed[id_] = min(low for low, _ in pieces), max(high for _, high in pieces)
        return needed

    def _take_known(self, found: _Found, known: Lookup | None, needed: Mapping[int, tuple[int, int]]) -> None:
        """The weeks that the index knows, but for those that are computed all the same."""
        for id_, weeks in known.hits.items() if known is not None else ():
            stretch = needed.get(id_)
            for week, periods in weeks.items():
                begin = week_start(week)
                if stretch is None or begin + WEEK <= stretch[0] or begin >= stretch[1]:
                    found.periods[id_] += periods

    def _read(self, found: _Found, needed: Mapping[int, tuple[int, int]], hours: Sequence[int]) -> set[int]:
        """Computes what the store has to be asked for; returns calendars that are not all there.

        Those have an object whose recurrence goes beyond its own budget, and it counts as far as that goes. ``hours``
        are the calendars in which VAVAILABILITYs are looked for.
        """
        partial: set[int] = set()
        waiting = list(dict.fromkeys((*needed, *hours)))
        # Some at a time, and those whole: where the budget ends, they are known from then on, and the next question
        # gets further.
        while waiting and self.effort.left >= 0:
            some, waiting = waiting[:_TOGETHER], waiting[_TOGETHER:]
            within = set(some)
            stretches = {id_: stretch for id_, stretch in needed.items() if id_ in within}
            partial |= self._read_some(found, stretches, [id_ for id_ in hours if id_ in within])
        found.cut |= set(waiting)
        return partial

    def _read_some(self, found: _Found, needed: Mapping[int, tuple[int, int]], hours: Sequence[int]) -> set[int]:
        low = min([self.start, *(low for low, _ in needed.values())])
        high = max([self.end, *(high for _, high in needed.values())])
        wanted = {**{name: list(needed) for name in BLOCKING}, AVAILABILITY: hours}
        spared = Spared(DIGEST_VERSION, *covering(low, high))
        readers: dict[int, _Reader] = {}
        with closing(self.tx.objects.stream(wanted, columns=COLUMNS, start=low, end=high, spared=spared)) as rows:
            for row in rows:
                id_ = row.collection_id
                if id_ in found.cut:
                    continue
                if id_ not in readers:
                    readers[id_] = _Reader(self.calendars[id_], *needed.get(id_, (low, high)))
                reader = readers[id_]
                if row.component == AVAILABILITY:
                    found.hours[id_].append(row.body)
                    cost = _STEPS_A_TEXT + len(row.body) // _BYTES_A_STEP
                else:
                    cost = reader.read(row, found.periods[id_])
                if not self.effort.spend(id_, cost):
                    found.cut.add(id_)
                    if self.effort.left < 0:
                        found.cut |= {*needed, *hours}
                        break
        return {id_ for id_, reader in readers.items() if not reader.complete}

    def _fill(
        self, found: _Found, known: Lookup | None, needed: Mapping[int, tuple[int, int]], *, without: set[int]
    ) -> None:
        """Tells the index what was computed where it did not know it; what is not all there never."""
        fills = []
        for id_ in needed:
            missing = known.misses.get(id_, ()) if known is not None else ()
            if missing and id_ not in without:
                weeks = cut(sorted(found.periods[id_]), missing)
                fills.append(Fill(id_, self.calendars[id_].version, weeks))
        if fills and self.tx.write:
            # A revision that is rolled back comes again, for something else: only what is committed is kept.
            self.tx.after_commit(partial(self.index.fill, fills))
        elif fills:
            self.index.fill(fills)


@dataclass(slots=True)
class _Reader:
    """From rows of one calendar to its busy periods that touch the time between two instants.

    ``trusting``: packed spans count; ``complete``: no recurrence went beyond its budget.
    """

    calendar: BusyCalendar
    start: int
    end: int
    trusting: bool = True
    complete: bool = True

    def read(self, row: ObjectRow, into: list[IndexedPeriod]) -> int:
        """Appends the periods of a row, and returns what that cost."""
        uid = hash_of(row.uid)
        spans = _spans_of(row, self.calendar, self.start, self.end) if self.trusting else None
        if spans is not None:
            into += [IndexedPeriod(begin, finish, OF_NUMBER[kind], uid) for begin, finish, kind in spans]
            return _STEPS_A_ROW + len(spans)
        if not row.body:
            raise AssertionError(f"The text of {row.uid!r} was not read, and its spans do not say when it is.")
        told = self._said_by(row.body)
        into += [IndexedPeriod(begin, finish, kind, uid) for begin, finish, kind in told.periods]
        self.complete = self.complete and told.complete
        return told.cost

    def _said_by(self, body: bytes) -> _Told:
        zone, owner, start, end = self.calendar.zone, self.calendar.owner, self.start, self.end
        if not self.trusting:
            return _told_by(body, start, end, zone, owner)
        key = (body, zone, owner, start, end)
        return _TOLD.get(key, lambda: _told_by(body, start, end, zone, owner))


class _Told(NamedTuple):
    """What a text says of a stretch of time: not ``complete`` where that goes beyond its budget; what it has cost."""

    periods: tuple[BusyPeriod, ...]
    complete: bool
    cost: int


def _told_by(body: bytes, start: int, end: int, zone: Zone, owner: frozenset[str]) -> _Told:
    budget = Budget(DEFAULT_STEPS)
    periods: list[BusyPeriod] = []
    complete = True
    try:
        for one in busy_in(parse(body), start, end, zone, owner=owner, budget=budget):
            periods.append(one)  # noqa: PERF402 (it may break off)
    except TooManyInstances:
        complete = False
    except ICalendarError:  # a text that cannot be read blocks nothing
        pass
    cost = _STEPS_A_TEXT + len(body) // _BYTES_A_STEP + DEFAULT_STEPS - max(0, budget.left)
    return _Told(tuple(periods), complete, cost)


def _weight(key: tuple[bytes, Zone, frozenset[str], int, int], told: _Told) -> int:
    return len(key[0]) + PERIOD_BYTES * len(told.periods)


#: By text, zone, owner and stretch of time.
_TOLD: Final = Remembered(_weight)


def periods_of(
    rows: Iterable[ObjectRow], calendar: BusyCalendar, start: int, end: int, *, trusting: bool = True
) -> tuple[list[IndexedPeriod], bool]:
    """The busy periods of stored objects between two instants, in order, and whether these are all.

    They are not where a recurrence went beyond the budget: then it counts as far as that goes. Without ``trusting`` the
    texts are read, whatever the packed spans say.
    """
    found: list[IndexedPeriod] = []
    reader = _Reader(calendar, start, end, trusting)
    for row in rows:
        if row.component in BLOCKING:
            reader.read(row, found)
    return sorted(found), reader.complete


def spans_of(row: ObjectRow, calendar: BusyCalendar, start: int, end: int) -> list[BusyPeriod] | None:
    """What the packed spans of a row say of the time between two instants; None: its text has to be asked."""
    spans = _spans_of(row, calendar, start, end)
    if spans is None:
        return None
    return list(clip([BusyPeriod(begin, finish, OF_NUMBER[kind]) for begin, finish, kind in spans], start, end))


def _spans_of(row: ObjectRow, calendar: BusyCalendar, start: int, end: int) -> list[Span] | None:
    """The same, not clipped."""
    if row.digest_version != DIGEST_VERSION or row.component != "VEVENT":
        return None
    return read_spans(row.spans, start, end, calendar.zone, calendar.owner)
