"""``caldavd user import-radicale``: the calendars of a Radicale storage folder, read through Radicale's own storage.

Radicale tells which collections there are and what they are called; the items are read as the bytes that lie there,
since Radicale's own reading parses, rewrites and, where an item is broken, fails. Its lock is held meanwhile, so that a
running Radicale does not write in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import radicale.config
import radicale.pathutils
import radicale.storage

from caldavd import provision
from caldavd.cli.calendar import create_at
from caldavd.cli.importing import Outcome, Piece, report, take
from caldavd.cli.session import Failure, Session, collection_at, locked_home
from caldavd.properties.calendars import COMPONENTS
from caldavd.router import RESERVED_HOME
from caldavd.xml.fragment import element, href
from caldavd.xml.names import apple, caldav, cs, dav
from scheduling.ical.lines import ICalendarError
from scheduling.ical.split import split
from storage.errors import NameTaken
from storage.rows import Collection, CollectionKind, Owner, StoredProperty
from storage.store import Transaction

#: Radicale's names of properties that are plain text, and ours.
_TEXTS: Final = {
    "D:displayname": dav("displayname"),
    "C:calendar-description": caldav("calendar-description"),
    "C:calendar-timezone": caldav("calendar-timezone"),
    "ICAL:calendar-color": apple("calendar-color"),
    "ICAL:calendar-order": apple("calendar-order"),
}
_COMPONENT_SET: Final = "C:supported-calendar-component-set"
_CALENDAR, _SUBSCRIBED, _ADDRESS_BOOK = "VCALENDAR", "VSUBSCRIBED", "VADDRESSBOOK"


@dataclass(frozen=True, slots=True)
class Found:
    """A collection of Radicale's: whose, where, what (its tag), its properties, and the folder with its items."""

    owner: str
    names: tuple[str, ...]
    tag: str
    properties: Mapping[str, str]
    folder: Path

    @property
    def path(self) -> str:
        """As the command line writes it."""
        return "/".join((self.owner, *self.names))


def run(session: Session, folder: Path, *, dry_run: bool) -> None:
    """Carries out the command. Raises ``Failure``; exits with 1 where something was not taken."""
    if not (folder / "collection-root").is_dir():
        raise Failure(f"{folder} is no storage folder of Radicale: there is no collection-root in it.")
    outcome = Outcome()
    with TemporaryDirectory() as cache:
        storage = _storage(folder, Path(cache))
        with storage.acquire_lock("r"):
            collections = list(_collections(storage, folder / "collection-root"))
            for owner in sorted({one.owner for one in collections}):
                _account(session, owner, outcome, dry_run=dry_run)
            for one in collections:
                _take(session, one, outcome, dry_run=dry_run)
    report(outcome, dry_run=dry_run)


def _storage(folder: Path, cache: Path) -> Any:
    """Radicale's storage on the folder; what it caches goes elsewhere and is thrown away."""
    settings = {
        "type": "multifilesystem",
        "filesystem_folder": str(folder),
        "filesystem_cache_folder": str(cache),
        "use_cache_subfolder_for_item": "True",
        "use_cache_subfolder_for_history": "True",
        "use_cache_subfolder_for_synctoken": "True",
    }
    (cache / "collection-cache").mkdir()
    logging.getLogger("radicale").setLevel(logging.ERROR)
    configuration = radicale.config.load()
    configuration.update({"storage": settings}, "caldavd")
    return radicale.storage.load(configuration)


def _collections(storage: Any, root: Path) -> Iterator[Found]:
    """Everything with a tag or with a principal's place, outer ones first."""
    waiting = ["/"]
    while waiting:
        path = waiting.pop(0)
        for found in storage.discover(path, depth="1"):
            if not isinstance(found, radicale.storage.BaseCollection):
                continue
            inner = radicale.pathutils.unstrip_path(found.path, trailing_slash=True)
            if inner == path:
                continue
            waiting.append(inner)
            owner, *names = found.path.split("/")
            folder = Path(radicale.pathutils.path_to_filesystem(str(root), found.path))
            yield Found(owner, tuple(names), found.tag, dict(found.get_meta()), folder)


def _account(session: Session, owner: str, outcome: Outcome, *, dry_run: bool) -> None:
    """Makes the account, without a password, if there is none."""
    if session.read(lambda tx: tx.principals.by_name(owner)):
        return
    if not provision.valid_name(owner):
        raise Failure(
            f"{owner!r} cannot be a name here: it has to be {provision.NAME_RULE}. Nothing was changed for it."
        )
    outcome.notes.append(f"{owner}: a new account, without a password")
    if not dry_run:
        new = provision.NewPrincipal(name=owner, empty=True, schedules=session.settings.scheduling.enabled)
        session.write(lambda tx: provision.create(tx, new, session.settings.provisioning))


def _take(session: Session, found: Found, outcome: Outcome, *, dry_run: bool) -> None:
    items = _items(found.folder)
    if found.tag == _ADDRESS_BOOK:
        outcome.refused.append(f"{found.path}: an address book with {len(items)} contacts; this server keeps calendars")
    elif not found.names or not found.tag:
        outcome.refused += [f"{found.path}/{item.name}: it lies outside of a calendar" for item in items]
    elif found.names[0] in RESERVED_HOME:
        outcome.refused.append(f"{found.path}: this name is reserved; rename it in Radicale and run this again")
    elif found.tag in (_CALENDAR, _SUBSCRIBED):
        if not dry_run:
            session.write(lambda tx: _collection(tx, found))
        pieces = list(_pieces(found, items, outcome))
        if dry_run and not _exists(session, found):
            outcome.new += len(pieces)
        else:
            outcome.add(take(session, found.path, pieces, dry_run=dry_run))
    else:
        outcome.refused.append(f"{found.path}: Radicale calls it {found.tag}, which is not known here")


def _exists(session: Session, found: Found) -> bool:
    def work(tx: Transaction) -> bool:
        there = tx.collections.find(found.owner, found.names)
        return there is not None and not there.missing

    return session.read(work)


def _items(folder: Path) -> list[Path]:
    """The files that Radicale takes for items."""
    safe = radicale.pathutils.is_safe_filesystem_path_component
    return sorted(entry for entry in folder.iterdir() if entry.is_file() and safe(entry.name))


def _pieces(found: Found, items: Sequence[Path], outcome: Outcome) -> Iterator[Piece]:
    """The items with their names and bytes; one that holds several objects, or that needs mending, is cut up."""
    for item in items:
        place = f"{found.path}/{item.name}"
        data = item.read_bytes()
        try:
            parts = split(data)
        except ICalendarError as error:
            outcome.refused.append(f"{place}: {error}")
            continue
        outcome.refused += [f"{place}:{one.line}: {one.kind}: {one.message}" for one in parts.rejections]
        outcome.notes += [f"{place}:{fault.line}: {fault.message}" for fault in parts.faults]
        if not parts.objects and not parts.rejections:
            outcome.refused.append(f"{place}: there is no event, task or journal in it")
        whole = len(parts.objects) == 1 and not parts.rejections and not parts.faults
        for one in parts.objects:
            yield Piece(place, one.uid, data if whole else one.data, item.name if len(parts.objects) == 1 else "")


def _collection(tx: Transaction, found: Found) -> Collection:
    """The collection of ours, made if it is not there, with Radicale's properties."""
    locked_home(tx, found.owner)
    there = tx.collections.find(found.owner, found.names)
    current: set[tuple[str, str]] = set()
    if there is not None and not there.missing:
        made = collection_at(tx, found.path)
        stored = tx.properties.of([_owner(made)], principal_id=0).get(_owner(made), ())
        current = {(value.namespace, value.name) for value in stored}
    elif found.tag == _SUBSCRIBED:
        made = _subscribed(tx, found)
    else:
        asked = found.properties.get(_COMPONENT_SET, "").split(",")
        components = tuple(name.strip() for name in asked if name.strip() in COMPONENTS)
        made = create_at(tx, found.path, components=components)
    for theirs, ours in _TEXTS.items():
        value = found.properties.get(theirs)
        namespace, _, local = ours[1:].partition("}")
        if value and (namespace, local) not in current:
            provision.set_text(tx, made, ours, value)
    return made


def _owner(collection: Collection) -> Owner:
    return Owner("collection", collection.id)


def _subscribed(tx: Transaction, found: Found) -> Collection:
    parent = collection_at(tx, "/".join((found.owner, *found.names[:-1])))
    try:
        made = tx.collections.add(parent, found.names[-1], kind=CollectionKind.SUBSCRIBED)
    except NameTaken as error:
        raise Failure(f"There is something named {found.path!r} already.") from error
    source = found.properties.get("CS:source")
    if source:
        declared = {"xmlns:CS": "http://calendarserver.org/ns/", "xmlns:D": "DAV:"}
        xml = element(cs("source"), href(source), **declared)
        tx.properties.set(StoredProperty(_owner(made), 0, "http://calendarserver.org/ns/", "source", xml.encode()))
    return made
