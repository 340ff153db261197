"""What a free/busy index is: its values, the interface, and the rules by which an entry counts.

Owns the ``FreeBusyIndex`` of the design: for each calendar a version, and for each week that is known the exact busy
periods (they answer VFREEBUSY to the second, RFC 6638 5, with MASK-UID) and a map of its 672 quarter hours (joined over
many people it says when all are free). The implementations are in ``index_memory`` and ``index_redis``; who asks the
index, and computes what it does not know, is ``busy``.

An index may forget everything at any time and may hold what is long past; it cannot be wrong, because **a reader
believes an entry only where its version equals the one that the database has now**:

- A fill states the version that it was computed from. Where the entry is older (or of another epoch or basis) it is
  replaced, where it is equal the weeks are added, where it is newer the fill is dropped.
- A write names the revision before and after it and what time it touched. Where the entry has the revision before, the
  touched weeks go and it moves to the revision after; where it is there already (a reader was faster) it stays; else it
  goes as a whole. What else the entry was computed from stays what it was: a write need not know it.

A week begins on Monday 00:00 UTC, as the weeks of ISO 8601 do, and has a number: week 0 begins 1970-01-05. Instants are
epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.ical.values import DAY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

WEEK: Final = 7 * DAY
QUARTER: Final = 900
QUARTERS: Final = WEEK // QUARTER
#: Bytes of a map of one week: quarter ``n`` is bit ``n % 8`` of byte ``n // 8``, the lowest bit first.
MAP_BYTES: Final = QUARTERS // 8
_FIRST_MONDAY: Final = 4 * DAY
_HASH_BYTES: Final = 8
#: A week with more periods is not kept: an object that recurs every minute shall not fill the memory of everybody.
MAX_PERIODS: Final = 3_000


def week_of(instant: int) -> int:
    """The number of the week in which ``instant`` lies."""
    return (instant - _FIRST_MONDAY) // WEEK


def week_start(week: int) -> int:
    """The instant at which a week begins."""
    return week * WEEK + _FIRST_MONDAY


def weeks_of(start: int, end: int) -> range:
    """The weeks in which ``start`` up to, and without, ``end`` lies."""
    return range(week_of(start), week_of(max(start, end - 1)) + 1) if start < end else range(0)


class Version(NamedTuple):
    """What an entry was computed from.

    ``epoch`` is the store's, ``revision`` the calendar's, ``basis`` names all else that the answer depends on and that
    no revision counts: see ``basis_of``.
    """

    epoch: str
    revision: int
    basis: str

    @property
    def era(self) -> str:
        """What has to be the same for two revisions to be compared."""
        return f"{self.epoch} {self.basis}"


@lru_cache(maxsize=1024)
def basis_of(*parts: str) -> str:
    """A short name for what an answer depends on beside the calendar's revision.

    To name are the zone of floating times, the owner's addresses (whose PARTSTAT counts), whether the calendar is
    transparent, the version of the digest and that of tzdata.
    """
    hashed = blake2b(digest_size=9)
    for part in parts:
        hashed.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return hashed.hexdigest()


def hash_of(uid: str) -> bytes:
    """The hash by which the index knows the meeting that is to be left out (MASK-UID)."""
    return blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()


class IndexedPeriod(NamedTuple):
    """Busy from ``start`` up to, and without, ``end``, by the meeting with this ``hash_of`` its UID."""

    start: int
    end: int
    kind: Busy
    uid: bytes

    @property
    def busy(self) -> BusyPeriod:
        """Without the UID."""
        return BusyPeriod(self.start, self.end, self.kind)


def cut(periods: Iterable[IndexedPeriod], weeks: Collection[int]) -> dict[int, list[IndexedPeriod]]:
    """The periods by the weeks in which they lie, each cut where a week ends; a week without any is there as well."""
    found: dict[int, list[IndexedPeriod]] = {week: [] for week in weeks}
    for one in periods:
        for week in weeks_of(one.start, one.end):
            if week in found:
                begin = week_start(week)
                found[week].append(IndexedPeriod(max(one.start, begin), min(one.end, begin + WEEK), one.kind, one.uid))
    return found


def bits_of(periods: Iterable[IndexedPeriod | BusyPeriod], begin: int, quarters: int) -> int:
    """The quarter hours from ``begin`` on in which somebody is busy, of whatever kind, for any part of the quarter."""
    bits = 0
    end = begin + quarters * QUARTER
    for one in periods:
        first = (max(one.start, begin) - begin) // QUARTER
        last = -((begin - min(one.end, end)) // QUARTER)
        if first < last:
            bits |= (1 << last) - (1 << first)
    return bits


def map_of(periods: Iterable[IndexedPeriod | BusyPeriod], week: int) -> bytes:
    """The map of ``week``: see ``bits_of``."""
    return bits_of(periods, week_start(week), QUARTERS).to_bytes(MAP_BYTES, "little")


class Touched(NamedTuple):
    """A stretch of time that a write touched, both ends included; None is open, as in ``Digest``."""

    start: int | None
    end: int | None

    def touches(self, week: int) -> bool:
        """Whether some of it lies in ``week``."""
        begin = week_start(week)
        return (self.start is None or self.start <= begin + WEEK) and (self.end is None or self.end >= begin)


EVERYTHING: Final = Touched(None, None)

#: ``{week: its periods}``
Weeks = dict[int, list[IndexedPeriod]]


@dataclass(frozen=True, slots=True)
class Fill:
    """Weeks of one calendar, and the version of the calendar that they were computed from."""

    calendar: int
    version: Version
    weeks: Mapping[int, Sequence[IndexedPeriod]]


@dataclass(frozen=True, slots=True)
class Write:
    """A committed write moved a calendar from one revision to the next and touched these stretches of time.

    ``before`` is None where it is not known; then the entry goes as a whole.
    """

    calendar: int
    before: int | None
    after: int
    touched: Sequence[Touched]


@dataclass(frozen=True, slots=True)
class Lookup:
    """What an index knows: ``hits`` by calendar and week; ``misses`` are the weeks of a calendar that it does not."""

    hits: Mapping[int, Mapping[int, Sequence[IndexedPeriod]]]
    misses: Mapping[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class FreeMap:
    """The maps of many calendars in one, by week; ``missing`` are the calendars that are not in it, in any week."""

    weeks: Mapping[int, bytes]
    missing: frozenset[int] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Entry:
    """All that an index holds of a calendar: for ``caldavd doctor``, which compares it with the database."""

    version: Version
    weeks: dict[int, Sequence[IndexedPeriod]]
    maps: dict[int, bytes]


class FreeBusyIndex(Protocol):
    """Where busy times are kept ready. Calendars are ids of collections. No method raises where it cannot be asked."""

    def ping(self) -> bool:
        """Whether it can be asked now."""

    def lookup(self, wanted: Mapping[int, Version], start: int, end: int) -> Lookup:
        """What is known of many calendars between two instants, in whole weeks and in one round trip."""

    def fill(self, fills: Sequence[Fill]) -> None:
        """Keeps what was computed, where nothing newer is there; one round trip."""

    def written(self, epoch: str, writes: Sequence[Write]) -> None:
        """What a committed transaction wrote, in the store's ``epoch``; one round trip."""

    def free_map(self, wanted: Mapping[int, Version], start: int, end: int) -> FreeMap:
        """When all of many calendars are free, in whole weeks and one round trip: a bit that is set is busy time.

        A calendar of which any week is not known is in ``missing`` and in no map.
        """

    def entries(self, calendars: Collection[int]) -> Mapping[int, Entry]:
        """What is kept of these calendars, whatever its version."""


class Verdict(Enum):
    """What becomes of an entry."""

    KEEP = "keep"
    ADD = "add"
    REPLACE = "replace"


def on_fill(stored: Version | None, offered: Version) -> Verdict:
    """What a fill does to an entry with the version ``stored``."""
    if stored is None or stored.era != offered.era or stored.revision < offered.revision:
        return Verdict.REPLACE
    return Verdict.ADD if stored.revision == offered.revision else Verdict.KEEP


def on_write(stored: Version, epoch: str, write: Write) -> Verdict:
    """What a write does to an entry: ADD moves it on without the touched weeks, REPLACE drops it whole."""
    if stored.epoch == epoch and stored.revision >= write.after:
        return Verdict.KEEP
    return Verdict.ADD if stored.epoch == epoch and stored.revision == write.before else Verdict.REPLACE
