"""The free/busy index in the memory of one process: the default, and the rules of ``index`` in their plainest form.

Every process of a server has its own, and knows by the versions what the others wrote.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from scheduling.freebusy.index import (
    MAP_BYTES,
    MAX_PERIODS,
    Entry,
    FreeMap,
    Lookup,
    Verdict,
    Version,
    Weeks,
    map_of,
    on_fill,
    on_write,
    weeks_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scheduling.freebusy.index import Fill, IndexedPeriod, Write

#: Calendars that are kept; those that nobody asked for the longest go first.
MAX_CALENDARS: Final = 10_000


#: Periods that are kept in all, about a hundred bytes each; a known week without any counts as some.
MAX_KEPT: Final = 500_000
_A_WEEK: Final = 4


class _Kept:
    __slots__ = ("maps", "size", "version", "weeks")

    def __init__(self, version: Version) -> None:
        self.version = version
        self.weeks: Weeks = {}
        self.maps: dict[int, bytes] = {}
        self.size = 0

    def put(self, week: int, periods: Sequence[IndexedPeriod]) -> None:
        self.drop(week)
        self.weeks[week] = list(periods)
        self.maps[week] = map_of(periods, week)
        self.size += _A_WEEK + len(periods)

    def drop(self, week: int) -> None:
        periods = self.weeks.pop(week, None)
        if periods is not None:
            del self.maps[week]
            self.size -= _A_WEEK + len(periods)


class MemoryIndex:
    """See ``FreeBusyIndex``."""

    def __init__(self, max_calendars: int = MAX_CALENDARS, max_kept: int = MAX_KEPT) -> None:
        self._max = max_calendars
        self._max_kept = max_kept
        self._size = 0
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = Lock()

    def ping(self) -> bool:
        """See ``FreeBusyIndex``."""
        return True

    def lookup(self, wanted: Mapping[int, Version], start: int, end: int) -> Lookup:
        """See ``FreeBusyIndex``."""
        weeks = weeks_of(start, end)
        hits: dict[int, Weeks] = {}
        misses: dict[int, list[int]] = {}
        with self._lock:
            for calendar, version in wanted.items():
                kept = self._believed(calendar, version)
                known = kept.weeks if kept is not None else {}
                hits[calendar] = {week: known[week] for week in weeks if week in known}
                missing = [week for week in weeks if week not in known]
                if missing:
                    misses[calendar] = missing
        return Lookup(hits, misses)

    def fill(self, fills: Sequence[Fill]) -> None:
        """See ``FreeBusyIndex``."""
        with self._lock:
            for one in fills:
                kept = self._kept.get(one.calendar)
                verdict = on_fill(kept.version if kept is not None else None, one.version)
                if verdict is Verdict.KEEP:
                    continue
                if kept is None or verdict is Verdict.REPLACE:
                    self._forget(one.calendar)
                    kept = self._kept[one.calendar] = _Kept(one.version)
                self._kept.move_to_end(one.calendar)
                before = kept.size
                for week, periods in one.weeks.items():
                    if len(periods) <= MAX_PERIODS:
                        kept.put(week, periods)
                self._size += kept.size - before
            while len(self._kept) > self._max or self._size > self._max_kept:
                self._forget(next(iter(self._kept)))

    def written(self, epoch: str, writes: Sequence[Write]) -> None:
        """See ``FreeBusyIndex``."""
        with self._lock:
            for write in writes:
                kept = self._kept.get(write.calendar)
                if kept is None:
                    continue
                verdict = on_write(kept.version, epoch, write)
                if verdict is Verdict.REPLACE:
                    self._forget(write.calendar)
                elif verdict is Verdict.ADD:
                    kept.version = kept.version._replace(revision=write.after)
                    before = kept.size
                    for week in [week for week in kept.weeks if any(one.touches(week) for one in write.touched)]:
                        kept.drop(week)
                    self._size += kept.size - before

    def free_map(self, wanted: Mapping[int, Version], start: int, end: int) -> FreeMap:
        """See ``FreeBusyIndex``."""
        weeks = weeks_of(start, end)
        joined = dict.fromkeys(weeks, 0)
        missing = set()
        with self._lock:
            for calendar, version in wanted.items():
                kept = self._believed(calendar, version)
                if kept is None or any(week not in kept.maps for week in weeks):
                    missing.add(calendar)
                    continue
                for week in weeks:
                    joined[week] |= int.from_bytes(kept.maps[week], "little")
        return FreeMap({week: bits.to_bytes(MAP_BYTES, "little") for week, bits in joined.items()}, frozenset(missing))

    def entries(self, calendars: Collection[int]) -> Mapping[int, Entry]:
        """See ``FreeBusyIndex``."""
        with self._lock:
            return {
                calendar: Entry(kept.version, _copied(kept.weeks), dict(kept.maps))
                for calendar in calendars
                if (kept := self._kept.get(calendar)) is not None
            }

    def _forget(self, calendar: int) -> None:
        kept = self._kept.pop(calendar, None)
        if kept is not None:
            self._size -= kept.size

    def _believed(self, calendar: int, version: Version) -> _Kept | None:
        kept = self._kept.get(calendar)
        if kept is None or kept.version != version:
            return None
        self._kept.move_to_end(calendar)
        return kept


def _copied(weeks: Weeks) -> dict[int, Sequence[IndexedPeriod]]:
    return {week: list(periods) for week, periods in weeks.items()}
