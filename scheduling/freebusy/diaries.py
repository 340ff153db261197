"""Whose time is asked, and what makes them busy: from principals to the answer, for everybody who asks.

Owns which calendars count: all of the principal's home that hold what blocks time, but for those that are set
transparent (``schedule-calendar-transp``, RFC 6638 section 9.1); in which zone their dates and floating times are
(RFC 4791 section 5.2.2, else the owner's, else UTC); and where working hours are kept (``calendar-availability``,
RFC 7953 section 7.2.4). The outbox, ``free-busy-query``, the free/busy links and finding a time ask ``FreeBusy``; who
may ask is for them to know. The arithmetic is in ``busy``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from scheduling.addresses import normal
from scheduling.freebusy.availability import PROPERTIES as AVAILABILITY_PROPERTIES
from scheduling.freebusy.busy import (
    AVAILABILITY as HOURS,
    BLOCKING,
    BusyCalendar,
    BusyTimes,
    Horizon,
    Whose,
    busy_of,
    version_of,
)
from scheduling.freebusy.index import EVERYTHING, FreeBusyIndex, Touched, Write
from scheduling.freebusy.index_memory import MemoryIndex
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.timezones import UTC, Zone, named, zone_of
from storage.rows import Collection, CollectionKind, Home, Moved, Principal, StoredProperty
from storage.store import Transaction

_CALDAV: Final = "urn:ietf:params:xml:ns:caldav"
TRANSPARENCY: Final = (_CALDAV, "schedule-calendar-transp")
ZONE: Final = (_CALDAV, "calendar-timezone")
ZONE_ID: Final = (_CALDAV, "calendar-timezone-id")
#: What ``calendar_of`` looks at of a calendar's stored properties, as (namespace, name).
CALENDAR_PROPERTIES: Final = (TRANSPARENCY, ZONE, ZONE_ID)
_KINDS: Final = (CollectionKind.HOME, CollectionKind.CALENDAR, CollectionKind.INBOX)

Stored = Mapping[tuple[str, str], StoredProperty]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Diary:
    """What is known of a principal whose time may be asked.

    ``root`` and ``inbox`` are the collections of its home that privileges belong to; ``None`` where there is none.
    """

    principal: Principal
    whose: Whose
    home: Home | None = None
    root: Collection | None = None
    inbox: Collection | None = None


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """The one place where busy times are asked for; one serves all requests of a process.

    The index looks ``days_back`` and ``days_ahead`` from now; what lies beyond is answered by the store.
    """

    index: FreeBusyIndex = field(default_factory=MemoryIndex)
    days_back: int = 366
    days_ahead: int = 366

    def busy_times(
        self,
        tx: Transaction,
        principals: Iterable[Principal],
        start: int,
        end: int,
        *,
        epoch: str,
        mask_uid: str | None = None,
    ) -> dict[int, BusyTimes]:
        """When each principal is busy between two instants (epoch seconds), by the principal's id.

        Two statements, for every few hundred people and calendars, and two round trips to the index. ``epoch`` is the
        store's; ``mask_uid`` leaves a meeting out, because it is the one that is being moved. Who has too much in
        that time for an answer has one that is not ``complete``.
        """
        diaries = self.diaries(tx, principals, epoch=epoch)
        return self.ask(tx, {id_: diary.whose for id_, diary in diaries.items()}, start, end, mask_uid=mask_uid)

    def diaries(self, tx: Transaction, principals: Iterable[Principal], *, epoch: str) -> dict[int, Diary]:
        """What makes these principals busy, by id; one statement for every few hundred of them."""
        by_home = {one.home_id: one for one in principals}
        calendars: dict[int, list[BusyCalendar]] = {home_id: [] for home_id in by_home}
        homes: dict[int, Home] = {}
        roots: dict[int, Collection] = {}
        inboxes: dict[int, tuple[Collection, bytes]] = {}
        names = (*CALENDAR_PROPERTIES, *AVAILABILITY_PROPERTIES)
        for home, collection, properties in tx.collections.of_homes(by_home, kinds=_KINDS, names=names):
            stored = {(one.namespace, one.name): one for one in properties}
            homes[home.id] = home
            if collection.kind is CollectionKind.HOME:
                roots[home.id] = collection
            elif collection.kind is CollectionKind.INBOX:
                inboxes[home.id] = collection, availability_in(stored)
            elif blocks(collection) and not is_transparent(stored):
                calendars[home.id].append(calendar_of(collection, stored, by_home[home.id], epoch=epoch))
        found = {}
        for home_id, principal in by_home.items():
            inbox, text = inboxes.get(home_id, (None, b""))
            whose = Whose(calendars[home_id], text, zone_of_principal(principal))
            found[principal.id] = Diary(principal, whose, homes.get(home_id), roots.get(home_id), inbox)
        return found

    def calendars(self, tx: Transaction, principals: Iterable[Principal], *, epoch: str) -> dict[str, BusyCalendar]:
        """All calendars of these principals that can block time, transparent or not, by path (OWNER/CALENDAR)."""
        by_home = {one.home_id: one for one in principals}
        rows = tx.collections.of_homes(by_home, kinds=(CollectionKind.CALENDAR,), names=CALENDAR_PROPERTIES)
        found = {}
        for home, collection, properties in rows:
            if blocks(collection):
                stored = {(one.namespace, one.name): one for one in properties}
                path = "/".join((home.owner, *collection.path))
                found[path] = calendar_of(collection, stored, by_home[home.id], epoch=epoch)
        return found

    def ask(
        self, tx: Transaction, people: Mapping[K, Whose], start: int, end: int, *, mask_uid: str | None = None
    ) -> dict[K, BusyTimes]:
        """As ``busy_times``, of calendars that are known already; one statement for every 200 of them."""
        return busy_of(tx, self.index, people, start, end, horizon=self.horizon(tx.now), mask_uid=mask_uid)

    def horizon(self, now: int) -> Horizon:
        """How far the index looks."""
        return Horizon.around(now, days_back=self.days_back, days_ahead=self.days_ahead)

    def written(self, epoch: str, moved: Sequence[Moved]) -> None:
        """Moves the index on after a commit (``Store.watch``); without it the entries are only passed over."""
        self.index.written(epoch, [_write(one) for one in moved])


def _write(moved: Moved) -> Write:
    if moved.touched is None:
        return Write(moved.collection_id, moved.before, moved.after, (EVERYTHING,))
    touched = [Touched(one.starts_at, one.ends_at) for one in moved.touched if one.component in BLOCKING]
    return Write(moved.collection_id, moved.before, moved.after, touched)


def calendar_of(collection: Collection, stored: Stored, owner: Principal | None, *, epoch: str) -> BusyCalendar:
    """A calendar as the index and the arithmetic know it.

    ``stored`` holds those of ``CALENDAR_PROPERTIES`` that are set; ``owner`` is the principal of its home.
    """
    zone, said = _zone(stored, owner)
    addresses = addresses_of(owner) if owner is not None else frozenset()
    version = version_of(epoch, collection.revision, zone=said, owner=addresses)
    return BusyCalendar(collection.id, version, zone, addresses, HOURS in collection.components)


def addresses_of(principal: Principal) -> frozenset[str]:
    """All addresses by which an ATTENDEE can mean this principal, in normal form: also its own path."""
    return frozenset({*(normal(one.uri) for one in principal.addresses), f"/principals/{principal.name}"})


def zone_of_principal(principal: Principal) -> Zone:
    """The zone that somebody lives in, UTC where none is known."""
    return (named(principal.timezone) if principal.timezone else None) or UTC


def blocks(collection: Collection) -> bool:
    """Whether a calendar can hold anything that makes busy (a task list cannot)."""
    taken = collection.components
    return not taken or HOURS in taken or not set(BLOCKING).isdisjoint(taken)


def is_transparent(stored: Stored) -> bool:
    """Whether a calendar is set not to make its owner busy (RFC 6638 section 9.1)."""
    kept = stored.get(TRANSPARENCY)
    return kept is not None and any(one.tag == f"{{{_CALDAV}}}transparent" for one in _element(kept.xml))


def availability_in(stored: Stored) -> bytes:
    """The text of ``calendar-availability``, by whichever of its names; empty where none is set."""
    kept = next((stored[name] for name in AVAILABILITY_PROPERTIES if name in stored), None)
    return (_element(kept.xml).text or "").encode() if kept is not None else b""


def _zone(stored: Stored, owner: Principal | None) -> tuple[Zone, str]:
    """The zone of dates and floating times, and the text that names or defines it; what cannot be read is passed."""
    by_id, by_text = stored.get(ZONE_ID), stored.get(ZONE)
    if by_id is not None:
        name = (_element(by_id.xml).text or "").strip()
        zone = named(name)
        if zone is not None:
            return zone, name
    defined = _defined(by_text.xml) if by_text is not None else None
    if defined is not None:
        return defined
    if owner is not None and owner.timezone:
        zone = named(owner.timezone)
        if zone is not None:
            return zone, owner.timezone
    return UTC, UTC.name


@lru_cache(maxsize=256)
def _defined(xml: bytes) -> tuple[Zone, str] | None:
    """The zone that a ``calendar-timezone`` defines, and its text; None where it cannot be read."""
    text = _element(xml).text or ""
    try:
        return zone_of(parse(text.encode())), text
    except ICalendarError:
        return None


def _element(xml: bytes) -> ET.Element:
    # The server wrote this itself out of a tree without a document type, so that nothing in it can grow.
    return ET.fromstring(xml)  # noqa: S314
