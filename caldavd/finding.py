"""Finding a time, put together: from the settings to the ``Finder``, and from privileges to what the asker may read."""

from __future__ import annotations

from collections.abc import Collection

from caldavd.access import READ, Access
from caldavd.resources import of_collection
from caldavd.router import Router
from config.settings import FindTime, Rooms
from scheduling.finding.finder import Finder
from scheduling.finding.gathering import Readable
from scheduling.finding.ranking import named_ranker, rank
from scheduling.finding.slots import Settings, Weights
from scheduling.freebusy.working_hours import shifts
from scheduling.rooms.bookings import Defaults
from storage.rows import CollectionKind
from storage.store import Transaction

_KINDS = (CollectionKind.HOME, CollectionKind.CALENDAR)
_MINUTE = 60


def finder_of(settings: FindTime, rooms: Rooms) -> Finder:
    """What finds times by these settings. Raises ValueError with a sentence where they cannot be used."""
    ways = {
        tuple(part.strip() for part in key.split("<>")): minutes for key, minutes in settings.travel_minutes.items()
    }
    return Finder(
        settings=Settings(
            Weights(**settings.weights),
            tentative=settings.tentative,
            beyond_hours=settings.beyond_hours,
            buffer=settings.buffer_minutes * _MINUTE,
            useful=settings.useful_minutes * _MINUTE,
            travel={(one, other): minutes for (one, other), minutes in ways.items()},
            kilometres_an_hour=settings.kilometres_an_hour,
        ),
        ranker=named_ranker(settings.ranker) if settings.ranker else rank,
        usual=shifts(settings.working_hours),
        learn=settings.learn,
        weeks=settings.learn_weeks,
        step=settings.step_minutes * _MINUTE,
        slots=min(settings.slots, settings.max_slots),
        most_people=settings.max_people,
        most_days=settings.max_days,
        most_slots=settings.max_slots,
        booking=Defaults.of(rooms),
    )


def readable(tx: Transaction, access: Access) -> Readable:
    """Which calendars of many homes the asker may read: three statements at most, whatever their number."""

    def found(home_ids: Collection[int]) -> Collection[int]:
        rows = tx.collections.of_homes(home_ids, kinds=_KINDS)
        access.preload(collection for _, collection, _ in rows)
        roots = {home.id: collection for home, collection, _ in rows if collection.kind is CollectionKind.HOME}
        return {
            collection.id
            for home, collection, _ in rows
            if collection.kind is CollectionKind.CALENDAR  # these lie directly in a home
            and access.has(of_collection(Router(), home.owner, home, (roots[home.id], collection)), READ)
        }

    return found
