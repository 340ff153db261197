"""Who is busy when, for many people at once: what the index knows, and the stored objects for all else.

Owns the service behind VFREEBUSY (RFC 6638 5), ``free-busy-query`` (RFC 4791 7.10) and finding a time: one round trip
to the index, one statement for what it does not know, the arithmetic, and one more round trip to fill the index. What
makes an object busy is in ``freebusy``, what an index is in ``index``, working hours in ``availability``. Which
calendars count, and who may ask, is for the caller: ``tx.collections.of_homes`` has what is needed for that in one
statement.

The index looks only so far (``Horizon``); beyond, and where it is away, the answer comes from the store and is
the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from scheduling.addresses import normal
from scheduling.availability import Availability, availability
from scheduling.freebusy import busy_in
from scheduling.ical.digest import DIGEST_VERSION, read_spans, spans_cover
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.periods import Busy, BusyPeriod, clip, merge
from scheduling.ical.rrule import TooManyInstances
from scheduling.ical.timezones import UTC
from scheduling.ical.tzdata import tzdata_version
from scheduling.ical.values import DAY
from scheduling.index import (
    MAX_PERIODS,
    WEEK,
    Fill,
    IndexedPeriod,
    Touched,
    Version,
    basis_of,
    cut,
    hash_of,
    map_of,
    week_of,
    week_start,
    weeks_of,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from scheduling.ical.timezones import Zone
    from scheduling.index import FreeBusyIndex, Lookup
    from storage.rows import ObjectRow
    from storage.store import Transaction

#: The components whose objects block time by themselves (RFC 4791 7.10).
BLOCKING: Final = ("VEVENT", "VFREEBUSY")
_COLUMNS: Final = frozenset({"collection_id", "uid", "component", "organizer", "digest_version", "spans", "body"})
#: Moves on with every change of how periods are computed from a text: what older code put into the index is a miss.
_RULES: Final = "1"


class Horizon(NamedTuple):
    """How far the index looks: instants, in whole weeks around them."""

    start: int
    end: int

    @classmethod
    def around(cls, now: int, *, days_back: int = 31, days_ahead: int = 366) -> Horizon:
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
    """The answer about one: ``events`` is what the calendars say, in order and disjoint; ``hours`` VAVAILABILITY."""

    events: Sequence[BusyPeriod] = ()
    hours: Availability | None = None

    @property
    def periods(self) -> list[BusyPeriod]:
        """Both together, as VFREEBUSY tells them (RFC 7953 section 5)."""
        return merge([*self.events, *(self.hours.unavailable if self.hours is not None else ())])


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
) -> dict[K, BusyTimes]:
    """When each of many people is busy between two instants.

    One statement at most (for every 200 calendars that the index does not know), two round trips to the index.
    ``mask_uid`` leaves a meeting out (X-CALENDARSERVER-MASK-UID).
    """
    calendars = {one.id: one for whose in people.values() for one in whose.calendars}
    found = _Question(tx, index, calendars, start, end, horizon).answer()
    masked = None if mask_uid is None else hash_of(mask_uid)
    answers: dict[K, BusyTimes] = {}
    for key, whose in people.items():
        ids = {one.id for one in whose.calendars}
        periods = (one.busy for id_ in ids for one in found.periods[id_] if one.uid != masked)
        texts = [*([whose.availability] if whose.availability else []), *(t for id_ in ids for t in found.hours[id_])]
        hours = availability(texts, start, end, whose.zone) if texts else None
        answers[key] = BusyTimes(merge(clip(periods, start, end)), hours)
    return answers


@dataclass(slots=True)
class _Found:
    """By calendar: its periods, unclipped, and the texts of its VAVAILABILITYs."""

    periods: dict[int, list[IndexedPeriod]]
    hours: dict[int, list[bytes]]


@dataclass(slots=True)
class _Question:
    tx: Transaction
    index: FreeBusyIndex
    calendars: Mapping[int, BusyCalendar]
    start: int
    end: int
    horizon: Horizon
    _fills: list[Fill] = field(default_factory=list)

    def answer(self) -> _Found:
        found = _Found({id_: [] for id_ in self.calendars}, {id_: [] for id_ in self.calendars})
        if self.start >= self.end:
            return found
        weeks = self.horizon.weeks(self.start, self.end)
        known = self._known(weeks)
        needed = self._needed(weeks, known)
        rows = self._scan(needed)
        for id_, calendar in self.calendars.items():
            stretch = needed.get(id_)
            for week, periods in known.hits.get(id_, {}).items() if known is not None else ():
                begin = week_start(week)
                if stretch is None or begin + WEEK <= stretch[0] or begin >= stretch[1]:
                    found.periods[id_] += periods
            found.hours[id_] = [row.body for row in rows.get(id_, ()) if row.component == "VAVAILABILITY"]
            if stretch is not None:
                computed, complete = periods_of(rows.get(id_, ()), calendar, *stretch)
                found.periods[id_] += computed
                missing = known.misses.get(id_, ()) if known is not None else ()
                if complete and missing:
                    self._fills.append(Fill(id_, calendar.version, cut(computed, missing)))
        if self._fills:
            self.index.fill(self._fills)
        return found

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

    def _scan(self, needed: Mapping[int, tuple[int, int]]) -> dict[int, list[ObjectRow]]:
        """The rows of all calendars that the store has to be asked for, by calendar, in one statement."""
        hours = [id_ for id_, calendar in self.calendars.items() if calendar.has_availability]
        if not needed and not hours:
            return {}
        low = min([self.start, *(low for low, _ in needed.values())])
        high = max([self.end, *(high for _, high in needed.values())])
        wanted = {**{name: list(needed) for name in BLOCKING}, "VAVAILABILITY": hours}
        rows: dict[int, list[ObjectRow]] = {}
        for row in self.tx.objects.scan(wanted, columns=_COLUMNS, start=low, end=high):
            rows.setdefault(row.collection_id, []).append(row)
        return rows


def periods_of(
    rows: Iterable[ObjectRow], calendar: BusyCalendar, start: int, end: int
) -> tuple[list[IndexedPeriod], bool]:
    """The busy periods of stored objects between two instants, in order, and whether these are all.

    They are not where a recurrence went beyond the budget: then it counts as far as that goes.
    """
    found: list[IndexedPeriod] = []
    complete = True
    for row in rows:
        if row.component not in BLOCKING:
            continue
        uid = hash_of(row.uid)
        try:
            for one in _of_row(row, calendar, start, end):
                found.append(IndexedPeriod(one.start, one.end, one.kind, uid))  # noqa: PERF401 (it may break off)
        except TooManyInstances:
            complete = False
        except ICalendarError:  # a text that cannot be read blocks nothing
            continue
    return sorted(found), complete


def _of_row(row: ObjectRow, calendar: BusyCalendar, start: int, end: int) -> Iterator[BusyPeriod]:
    if _spans_count(row, calendar.owner) and spans_cover(row.spans, start, end):
        spans = (BusyPeriod(one.start, one.end, Busy(one.kind)) for one in read_spans(row.spans, calendar.zone))
        return clip(spans, start, end)
    return busy_in(parse(row.body), start, end, calendar.zone, owner=calendar.owner)


def _spans_count(row: ObjectRow, owner: frozenset[str]) -> bool:
    """Whether the packed spans of a row say how busy *this* owner is: not where it depends on what they answered."""
    if row.digest_version != DIGEST_VERSION or row.component != "VEVENT":
        return False
    return not row.organizer or normal(row.organizer) in owner


# --- writing, and checking -------------------------------------------------------------------------------------------


class _Bounded(Protocol):
    """A row of an object, stored or to be stored."""

    @property
    def component(self) -> str: ...
    @property
    def starts_at(self) -> int | None: ...
    @property
    def ends_at(self) -> int | None: ...


def touched_by(*rows: _Bounded | None) -> tuple[Touched, ...]:
    """The time that a write touches: that of the object as it was, and of the object as it is (None: there is none)."""
    return tuple(Touched(row.starts_at, row.ends_at) for row in rows if row is not None and row.component in BLOCKING)


def drift(tx: Transaction, index: FreeBusyIndex, calendars: Sequence[BusyCalendar]) -> Iterator[str]:
    """Where the index says something else than the stored objects, a sentence each (``caldavd doctor``).

    Only entries of the version that the database has: nobody believes the others.
    """
    by_id = {one.id: one for one in calendars}
    for id_, entry in index.entries(list(by_id)).items():
        calendar = by_id[id_]
        if entry.version != calendar.version or not entry.weeks:
            continue
        low, high = week_start(min(entry.weeks)), week_start(max(entry.weeks)) + WEEK
        rows = tx.objects.scan({name: [id_] for name in BLOCKING}, columns=_COLUMNS, start=low, end=high)
        for week, periods in sorted(entry.weeks.items()):
            begin = week_start(week)
            computed, complete = periods_of(rows, calendar, begin, begin + WEEK)
            if not complete or len(computed) > MAX_PERIODS:
                continue
            if sorted(periods) != computed:
                yield f"Calendar {id_}, the week of {begin}: the index has other busy times than the stored objects."
            elif week in entry.maps and entry.maps[week] != map_of(computed, week):
                yield f"Calendar {id_}, the week of {begin}: the map of the index is not that of its busy times."
