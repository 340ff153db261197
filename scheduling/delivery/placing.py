"""Where deliveries go in somebody's home: the calendar for a new invitation, and the inbox.

Owns ``schedule-default-calendar-URL`` (RFC 6638 section 9.2) on the side of delivery. It is stored as the client wrote
it; where it leads nowhere (the calendar was deleted, it is another person's, it takes no such component) the calendar
named ``calendar`` counts, then the first one that takes the component. To-dos go to a calendar that takes to-dos.
"""

from __future__ import annotations

from collections.abc import Collection as Members, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.etree import ElementTree as ET

from storage.rows import Collection, CollectionKind, StoredProperty
from storage.store import Transaction

#: Names of collections that every home of a person has.
DEFAULT_CALENDAR: Final = "calendar"
INBOX: Final = "inbox"
OUTBOX: Final = "outbox"
#: The property of the inbox (namespace, name).
DEFAULT_CALENDAR_URL: Final = ("urn:ietf:params:xml:ns:caldav", "schedule-default-calendar-URL")
#: Where homes are below the prefix (design section 2, URL space).
_CALENDARS: Final = "calendars"


@dataclass(frozen=True, slots=True)
class Places:
    """What of a home deliveries may write to. ``default`` is the path of the calendar that its owner has chosen."""

    calendars: tuple[Collection, ...] = ()
    inbox: Collection | None = None
    default: tuple[str, ...] | None = None
    root: Collection | None = None

    @property
    def chain(self) -> tuple[Collection, ...]:
        """The root of the home and the inbox in it, whose ACLs count there; empty where there is no inbox."""
        return (self.root, self.inbox) if self.root is not None and self.inbox is not None else ()

    def calendar_for(self, component: str) -> Collection | None:
        """Where a new ``component`` is put; ``None`` where no calendar takes it."""
        return next(self._taking(component), None)

    def _taking(self, component: str) -> Iterator[Collection]:
        able = [one for one in self.calendars if not one.components or component in one.components]
        for path in (self.default, (DEFAULT_CALENDAR,)):
            yield from (one for one in able if one.path == path)
        yield from able

    def collection(self, collection_id: int) -> Collection | None:
        """One of the calendars by its id."""
        return next((one for one in self.calendars if one.id == collection_id), None)


def places_of(tx: Transaction, home_ids: Members[int]) -> dict[int, Places]:
    """The places in many homes, by home; one statement a batch. Homes that are not there are missing."""
    roots: dict[int, Collection] = {}
    calendars: dict[int, list[Collection]] = {}
    inboxes: dict[int, Collection] = {}
    defaults: dict[int, tuple[str, ...] | None] = {}
    kinds = (CollectionKind.HOME, CollectionKind.CALENDAR, CollectionKind.INBOX)
    for home, collection, stored in tx.collections.of_homes(home_ids, kinds=kinds, names=[DEFAULT_CALENDAR_URL]):
        if collection.kind is CollectionKind.HOME:
            roots[home.id] = collection
        elif collection.kind is CollectionKind.CALENDAR:
            calendars.setdefault(home.id, []).append(collection)
        elif collection.path == (INBOX,):
            inboxes[home.id] = collection
            defaults[home.id] = default_of(stored, home.owner)
    return {
        home_id: Places(tuple(calendars.get(home_id, ())), inboxes.get(home_id), defaults.get(home_id), root)
        for home_id, root in roots.items()
    }


def default_of(stored: Sequence[StoredProperty], owner: str) -> tuple[str, ...] | None:
    """The path below the home of ``owner`` to which the stored ``schedule-default-calendar-URL`` leads."""
    for prop in stored:
        if (prop.namespace, prop.name) == DEFAULT_CALENDAR_URL:
            return _path_in(prop.xml, owner)
    return None


@lru_cache(maxsize=1024)
def _path_in(xml: bytes, owner: str) -> tuple[str, ...] | None:
    """The path below the home of ``owner`` to which a property of their inbox leads that holds an href."""
    try:
        href = ET.fromstring(xml).findtext("{DAV:}href") or ""  # noqa: S314 - written by this server
        path = urlsplit(urljoin(f"/{_CALENDARS}/{quote(owner)}/{INBOX}/", href.strip())).path
    except (ET.ParseError, ValueError):
        return None
    names = [unquote(name) for name in path.split("/")]
    for place in range(len(names) - 1):  # the prefix may be anything
        if names[place : place + 2] == [_CALENDARS, owner]:
            return tuple(name for name in names[place + 2 :] if name)
    return None
