"""Whether a free/busy index says what the stored objects say (``caldavd doctor``): the drift, which has to be 0.

Only entries of the version that the database has now are compared, since nobody believes the others. The texts are read
for it, not the packed spans, so that those are checked as well.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scheduling.freebusy.busy import BLOCKING, COLUMNS, periods_of
from scheduling.freebusy.index import MAX_PERIODS, WEEK, cut, map_of, week_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduling.freebusy.busy import BusyCalendar
    from scheduling.freebusy.index import Entry, FreeBusyIndex, IndexedPeriod
    from storage.store import Transaction

_OTHER: Final = "the index has other busy times than the objects."
_MAP: Final = "the map of the index is not that of its busy times."


@dataclass(slots=True)
class Comparison:
    """What was compared: ``weeks`` of ``calendars``; ``old`` entries are of a version that nobody believes.

    ``unknown`` weeks are such as cost too much to be computed, which no index keeps. ``drift`` has a sentence for each
    week that is wrong.
    """

    calendars: int = 0
    weeks: int = 0
    old: int = 0
    unknown: int = 0
    drift: list[str] = field(default_factory=list)


def compare(
    tx: Transaction,
    index: FreeBusyIndex,
    calendars: Sequence[BusyCalendar],
    into: Comparison,
    names: Mapping[int, str] | None = None,
) -> None:
    """Adds the comparison of these calendars to ``into``; ``names`` are what the sentences call them."""
    by_id = {one.id: one for one in calendars}
    for id_, entry in index.entries(list(by_id)).items():
        calendar = by_id[id_]
        if entry.version != calendar.version:
            into.old += 1
        elif entry.weeks:
            found = list(_of_calendar(tx, calendar, entry, into))
            now = tx.collections.get(id_) if found else None
            if found and (now is None or now.revision != calendar.version.revision):
                continue  # it was written meanwhile: what was read is newer than the entry
            into.calendars += 1
            name = (names or {}).get(id_, f"Calendar {id_}")
            into.drift += [f"{name}, the week of {_day(week)}: {what}" for week, what in found]


def _of_calendar(tx: Transaction, calendar: BusyCalendar, entry: Entry, into: Comparison) -> Sequence[tuple[int, str]]:
    low, high = week_start(min(entry.weeks)), week_start(max(entry.weeks)) + WEEK
    wanted = {name: [calendar.id] for name in BLOCKING}
    with closing(tx.objects.stream(wanted, columns=COLUMNS, start=low, end=high)) as rows:
        computed, complete = periods_of(rows, calendar, low, high, trusting=False)
    if not complete:
        into.unknown += len(entry.weeks)
        return []
    by_week = cut(computed, entry.weeks)
    into.weeks += len(by_week)
    found = ((week, _difference(entry, week, by_week[week])) for week in sorted(by_week))
    return [(week, what) for week, what in found if what]


def _difference(entry: Entry, week: int, computed: Sequence[IndexedPeriod]) -> str:
    if len(computed) > MAX_PERIODS:
        return ""
    if sorted(entry.weeks[week]) != sorted(computed):
        return _OTHER
    return _MAP if week in entry.maps and entry.maps[week] != map_of(computed, week) else ""


def _day(week: int) -> str:
    return datetime.fromtimestamp(week_start(week), UTC).date().isoformat()
