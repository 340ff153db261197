"""A storage plugin for Radicale: an existing Radicale server keeps its collections in the SQL store.

    [storage]
    type = caldavd.radicale_storage

The database is ``caldavd.db`` in Radicale's ``filesystem_folder``, or what ``url`` in the same section names; it is
made when it is not there. The first name of a path is a principal of the store, the rest leads into its home, so that
caldavd can serve the same database. A request is one transaction, one that writes with the homes locked that its
paths name: two that write to the same home wait for each other, and one that fails leaves nothing behind.

``docs/storage-plugin.md`` says what is different from Radicale's own storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import local
from typing import Any, Final, TypeVar, overload

from radicale import config, item as radicale_item, pathutils, types, xmlutils
from radicale.log import logger
from radicale.storage import BaseCollection, BaseStorage

from caldavd.xml.fragment import attribute, text
from caldavd.xml.names import split
from caldavd.xml.parse import MalformedXML, parse, text_of
from scheduling import indexing
from scheduling.ical.lines import ICalendarError
from storage import open_store
from storage.errors import SchemaMismatch, StoreError, TokenTooOld
from storage.rows import Collection, CollectionKind, NewObject, ObjectRow, Owner, PrincipalKind, StoredProperty
from storage.sql.store import SqlStore
from storage.store import Transaction

T = TypeVar("T")

PLUGIN_CONFIG_SCHEMA: Final = {
    "storage": {"url": {"value": "", "type": str, "help": "database, as in caldavd (default: in filesystem_folder)"}}
}
_SYNC: Final = "http://radicale.org/ns/sync/"
_COLUMNS: Final = frozenset({"name", "uid", "etag", "modified", "component", "body"})
_PAGE: Final = 500
#: Radicale's tags and the kinds of collection that stand for them; an address book is a plain collection with a tag.
_KINDS: Final = {"VCALENDAR": CollectionKind.CALENDAR, "VSUBSCRIBED": CollectionKind.SUBSCRIBED}
_TAGS: Final = {kind: tag for tag, kind in _KINDS.items()}
_SUFFIXES: Final = {"VCALENDAR": ".ics", "VADDRESSBOOK": ".vcf"}
#: Where a tag and a component set are kept that the collection's own columns do not say.
_OURS: Final = "http://radicale.org/ns/"
_COMPONENT_SET: Final = "C:supported-calendar-component-set"


class _RollBack(Exception):
    """Leaves the transaction of a request that answers with an error."""


class Stored(BaseCollection):
    """A collection of the store, as Radicale sees one."""

    def __init__(self, storage: Storage, owner: str, row: Collection) -> None:
        self._storage = storage
        self._owner = owner
        self.row = row
        # As long as a request, like the object itself: Radicale asks for the tag again and again.
        self._meta: Mapping[str, str] | None = None

    @property
    def path(self) -> str:
        """The path without slashes at its ends."""
        return "/".join((self._owner, *self.row.path))

    @property
    def etag(self) -> str:
        """A quoted string that changes with everything in the collection."""
        return f'"{self._storage.store.epoch}-{self.row.id}-{self._renewed().revision}"'

    @property
    def last_modified(self) -> str:
        """An HTTP date."""
        return _http_date(self._renewed().modified)

    def _renewed(self) -> Collection:
        return self._storage.ask(lambda tx: tx.collections.get(self.row.id)) or self.row

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        """The token of now, and what changed since the old one. Raises ``ValueError`` where that is no good."""
        row = self._renewed()
        prefix = f"{_SYNC}{self._storage.store.epoch}-{row.home_id}-{row.id}-"
        number = old_token.removeprefix(prefix)
        if old_token and not (old_token.startswith(prefix) and number.isascii() and number.isdigit()):
            raise ValueError(f"Malformed or foreign token: {old_token!r}")
        base, cursor = (int(number), int(number)) if old_token else (row.revision, 0)
        try:
            delta = self._storage.ask(
                lambda tx: tx.changes.since(row.id, base=base, cursor=cursor, limit=None, columns=frozenset())
            )
        except TokenTooOld as error:
            raise ValueError(str(error)) from error
        return f"{prefix}{delta.reached}", [*(changed.name for changed in delta.changed), *delta.removed]

    def get_multi(self, hrefs: Iterable[str]) -> Iterable[tuple[str, radicale_item.Item | None]]:
        """The items with these names, ``None`` for those that are not there."""
        wanted = list(hrefs)
        rows = self._storage.ask(lambda tx: tx.objects.by_names(self.row.id, wanted, columns=_COLUMNS))
        for name in wanted:
            row = rows.get(name)
            yield name, None if row is None else self.item(row)

    def get_all(self) -> Iterator[radicale_item.Item]:
        """All items, read in pages."""

        def page(tx: Transaction, after: str) -> Sequence[ObjectRow]:
            return tx.objects.page(self.row.id, columns=_COLUMNS, after=after, limit=_PAGE)

        after = ""
        while rows := self._storage.ask(partial(page, after=after)):
            yield from map(self.item, rows)
            after = rows[-1].name

    def get(self, href: str) -> radicale_item.Item | None:
        """One item."""
        row = self._storage.ask(lambda tx: tx.objects.get(self.row.id, href, columns=_COLUMNS))
        return None if row is None else self.item(row)

    def item(self, row: ObjectRow) -> radicale_item.Item:
        """A row as Radicale's item; what it does not say Radicale finds in the text."""
        body = row.body.decode(errors="replace")
        return radicale_item.Item(
            collection=self,
            href=row.name,
            last_modified=_http_date(row.modified),
            text=body,
            etag=f'"{row.etag}"',
            uid=row.uid or None,
            name="VCARD" if body.lstrip("\ufeff \r\n").upper().startswith("BEGIN:VCARD") else "VCALENDAR",
            component_name=row.component or None,
        )

    def has_uid(self, uid: str) -> bool:
        """Whether an item has this UID."""
        found = self._storage.ask(lambda tx: tx.objects.by_uid(self.row.id, uid, columns=frozenset())) if uid else None
        return found is not None

    def upload(self, href: str, item: radicale_item.Item) -> tuple[radicale_item.Item, radicale_item.Item | None]:
        """Stores an item; returns it as it was stored, and the one that it replaced."""
        if not pathutils.is_safe_path_component(href):
            raise pathutils.UnsafePathError(href)
        old = self._storage.tx.objects.get(self.row.id, href, columns=_COLUMNS)
        replaced = None if old is None else self.item(old)
        with self._storage.all_or_nothing(f"Failed to store item {href!r} in collection {self.path!r}"):
            self._storage.tx.objects.put(self.row, href, _content(item), replaces=old)
        stored = self.get(href)
        if stored is None:
            raise ValueError(f"Failed to store item {href!r} in collection {self.path!r}")
        return stored, replaced

    def delete(self, href: str | None = None) -> None:
        """Removes an item, or the collection; of a home, what is in it: accounts are removed with ``caldavd user``."""
        tx = self._storage.tx
        if href is not None:
            row = tx.objects.get(self.row.id, href, columns=frozenset())
            if row is None:
                raise ValueError(f"Component doesn't exist: {href!r}")
            tx.objects.remove(self.row, row)
        elif self.row.parent_id is not None:
            tx.collections.remove(self.row)
        else:
            self._storage.empty(self)

    @overload
    def get_meta(self, key: None = None) -> Mapping[str, str]: ...

    @overload
    def get_meta(self, key: str) -> str | None: ...

    def get_meta(self, key: str | None = None) -> Mapping[str, str] | str | None:
        """Radicale's properties of the collection, by the names that they have in its files."""
        if self._meta is None:
            self._meta = self._storage.ask(self._read_meta)
        return self._meta if key is None else self._meta.get(key)

    def _read_meta(self, tx: Transaction) -> Mapping[str, str]:
        owner = Owner("collection", self.row.id)
        meta = {} if self.row.kind not in _TAGS else {"tag": _TAGS[self.row.kind]}
        if self.row.components:
            meta[_COMPONENT_SET] = ",".join(self.row.components)
        for prop in tx.properties.of([owner], principal_id=0).get(owner, ()):
            name = _human(prop)
            value = _value(prop)
            if name == _COMPONENT_SET and prop.namespace != _OURS:
                continue
            if value is not None:
                meta[name] = value
        return meta

    def set_meta(self, props: Mapping[str, str]) -> None:
        """Replaces the properties by these."""
        tx = self._storage.tx
        self._meta = None
        owner = Owner("collection", self.row.id)
        self._storage.own(self._owner)
        current = tx.properties.of([owner], principal_id=0).get(owner, ())
        wanted = {_stored(name): value for name, value in props.items() if not self._is_said_by_columns(name, value)}
        for prop in current:
            # What Radicale cannot show it cannot have meant to remove.
            if (prop.namespace, prop.name) not in wanted and _value(prop) is not None:
                tx.properties.remove(owner, principal_id=0, namespace=prop.namespace, name=prop.name)
        for (namespace, name), value in wanted.items():
            xml = f"<P:{name} xmlns:P={attribute(namespace)}>{text(value)}</P:{name}>"
            tx.properties.set(StoredProperty(owner, 0, namespace, name, xml.encode()))
        tx.collections.touch(self.row)

    def _is_said_by_columns(self, name: str, value: str) -> bool:
        if name == "tag":
            return value == _TAGS.get(self.row.kind, "")
        return name == _COMPONENT_SET and value == ",".join(self.row.components)


class Storage(BaseStorage):
    """What Radicale loads; see the module."""

    _is_collision_free = True
    _supports_unicode = True
    _supports_trailing_whitespace = True
    _supports_problematic_chars = True

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration.copy(PLUGIN_CONFIG_SCHEMA))
        url = self.configuration.get("storage", "url")
        if not url:
            folder = Path(self.configuration.get("storage", "filesystem_folder"))
            folder.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{folder / 'caldavd.db'}"
        connections = max(2, self.configuration.get("server", "max_connections"))
        store = open_store(url, pool_size=connections)
        if not isinstance(store, SqlStore):
            raise TypeError("This plugin needs the SQL store.")
        self.store = store
        try:
            store.check_schema()
        except SchemaMismatch:
            store.upgrade()
            store.check_schema()
        if self.configuration.get("storage", "hook"):
            logger.warning("[storage] hook is not run: there are no files for it to look at.")
        self._thread = local()

    @property
    def tx(self) -> Transaction:
        """The transaction of the request that this thread works on."""
        tx: Transaction | None = getattr(self._thread, "tx", None)
        if tx is None:
            raise RuntimeError("Radicale used its storage without acquire_lock.")
        return tx

    def ask(self, question: Callable[[Transaction], T]) -> T:
        """Asks the transaction of the request, or, since Radicale renders after it gave its lock back, a new one."""
        tx: Transaction | None = getattr(self._thread, "tx", None)
        return self.store.run(question, write=False) if tx is None else question(tx)

    @types.contextmanager
    def acquire_lock(self, mode: str, user: str = "", *_args: Any, **request: Any) -> Iterator[None]:
        """One transaction around the block; a block within another one that reads is part of it."""
        if getattr(self._thread, "tx", None) is not None:
            yield
            return
        with self._transaction(write=mode == "w"):
            if mode == "w":
                paths = [request.get("path", ""), request.get("to_path", ""), f"/{user}/"]
                owners = {path.strip("/").split("/")[0] for path in paths} - {""}
                self.tx.homes.lock_of(owners)
            yield

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[None]:
        self._thread.failed = False
        try:
            with self.store.transaction_without_retry(write=write) as transaction:
                self._thread.tx = transaction
                yield
                if self._thread.failed:
                    raise _RollBack
        except _RollBack:
            logger.debug("Nothing of this request was kept.")
        finally:
            self._thread.tx = None

    @contextmanager
    def all_or_nothing(self, what: str) -> Iterator[None]:
        """Turns what the store refuses into the ``ValueError`` that Radicale answers, and rolls the request back."""
        try:
            yield
        except (StoreError, ValueError) as error:
            self._thread.failed = True
            raise ValueError(f"{what}: {error}") from error

    def own(self, owner: str) -> Collection:
        """The root of a home that may be written; made, with a principal without a password, if there is none."""
        if self.tx.homes.of(owner) is None:
            self.tx.principals.add(name=owner, kind=PrincipalKind.INDIVIDUAL, displayname=owner)
        self.tx.homes.lock_of([owner])
        found = self.tx.collections.find(owner, ())
        if found is None:
            raise ValueError(f"The collection {owner!r} could not be made.")
        return found.collection

    def empty(self, stored: Stored) -> None:
        """Removes everything from a home."""
        for child in self.tx.collections.children(stored.row.id):
            self.tx.collections.remove(child)
        while rows := self.tx.objects.page(stored.row.id, columns=frozenset({"name", "size"}), limit=_PAGE):
            for row in rows:
                self.tx.objects.remove(stored.row, row)
        stored.set_meta({})

    def discover(
        self,
        path: str,
        depth: str = "0",
        child_context_manager: Any = None,
        user_groups: set[str] = frozenset(),  # type: ignore[assignment]  # noqa: ARG002 - folders for groups are files
    ) -> Iterator[types.CollectionOrItem]:
        """What is at the path, and with another depth than 0 what is directly in it."""
        names = pathutils.strip_path(path).split("/") if pathutils.strip_path(path) else []
        if not names:
            yield from self._discover_homes(depth, child_context_manager)
            return
        found = self.tx.collections.find(names[0], names[1:], columns=_COLUMNS)
        if found is None or found.missing:
            return
        collection = Stored(self, names[0], found.collection)
        if found.object is not None:
            yield collection.item(found.object)
            return
        yield collection
        if depth == "0":
            return
        for item in collection.get_all():
            with _child(child_context_manager, collection.path, item.href):
                yield item
        for row in self.tx.collections.children(found.collection.id):
            child = Stored(self, names[0], row)
            with _child(child_context_manager, child.path, None):
                yield child

    def _discover_homes(self, depth: str, child_context_manager: Any) -> Iterator[types.CollectionOrItem]:
        yield Root()
        if depth == "0":
            return
        after = ""
        while principals := self.tx.principals.all(after=after, limit=_PAGE):
            for home, row in self.tx.collections.roots([principal.home_id for principal in principals]):
                child = Stored(self, home.owner, row)
                with _child(child_context_manager, child.path, None):
                    yield child
            after = principals[-1].name

    def move(self, item: radicale_item.Item, to_collection: BaseCollection, to_href: str) -> None:
        """Moves an item, over another one if there is one of that name."""
        source = item.collection
        if not isinstance(source, Stored) or not isinstance(to_collection, Stored) or item.href is None:
            raise TypeError("Items are moved between collections of this storage.")
        if not pathutils.is_safe_path_component(to_href):
            raise pathutils.UnsafePathError(to_href)
        row = self.tx.objects.get(source.row.id, item.href, columns=frozenset())
        there = self.tx.objects.get(to_collection.row.id, to_href, columns=frozenset())
        if row is None or (there is not None and there.id == row.id):
            return
        with self.all_or_nothing(f"Failed to move {item.href!r}"):
            if there is not None:
                self.tx.objects.remove(to_collection.row, there)
            self.tx.objects.move(source.row, row, to_collection.row, to_href)

    def create_collection(
        self,
        href: str,
        items: Iterable[radicale_item.Item] | None = None,
        props: Mapping[str, str] | None = None,
    ) -> tuple[Stored, dict[str, radicale_item.Item], list[str]]:
        """Makes a collection; with ``props`` in place of the one that is there. Tells what it replaced, what is new."""
        owner, *names = pathutils.strip_path(href).split("/")
        with self.all_or_nothing(f"Failed to create collection {href!r}"):
            parent = self.own(owner)
            if not props:
                for name in names:
                    parent = self._below(parent, owner, name)
                return Stored(self, owner, parent), {}, []
            for name in names[:-1]:
                parent = self._below(parent, owner, name)
            made, old = self._replace(owner, parent, names, props)
            made.set_meta(props)
            put = self._fill(made, items or (), props.get("tag", ""))
            return made, {name: old[name] for name in put if name in old}, [name for name in put if name not in old]

    def _below(self, parent: Collection, owner: str, name: str) -> Collection:
        found = self.tx.collections.find(owner, (*parent.path, name))
        if found is not None and not found.missing and found.object is None:
            return found.collection
        return self.tx.collections.add(parent, name, kind=CollectionKind.PLAIN)

    def _replace(
        self, owner: str, parent: Collection, names: Sequence[str], props: Mapping[str, str]
    ) -> tuple[Stored, dict[str, radicale_item.Item]]:
        """The new collection, empty, and the items of the one that stood there."""
        found = self.tx.collections.find(owner, names)
        old: dict[str, radicale_item.Item] = {}
        if found is not None and not found.missing and found.object is None:
            there = Stored(self, owner, found.collection)
            old = {item.href: item for item in there.get_all() if item.href is not None}
            there.delete()
            if not names:
                return there, old
        components = tuple(name.strip() for name in props.get(_COMPONENT_SET, "").split(",") if name.strip())
        kind = _KINDS.get(props.get("tag", ""), CollectionKind.PLAIN)
        return Stored(self, owner, self.tx.collections.add(parent, names[-1], kind=kind, components=components)), old

    def _fill(self, collection: Stored, items: Iterable[radicale_item.Item], tag: str) -> list[str]:
        suffix = _SUFFIXES.get(tag)
        if suffix is None:
            return []
        contents: dict[str, NewObject] = {}
        for item in items:
            contents[_free_name(item.uid, suffix, contents)] = _content(item)
        self.tx.objects.put_many(collection.row, list(contents.items()))
        return list(contents)

    def verify(self) -> bool:
        """Looks for what should not be (``caldavd doctor``)."""
        sentences = list(self.store.check())
        for sentence in sentences:
            logger.error("%s", sentence)
        return not sentences


class Root(BaseCollection):
    """The collection that contains the homes."""

    path = ""
    last_modified = "Thu, 01 Jan 1970 00:00:00 GMT"

    def get_all(self) -> Iterator[radicale_item.Item]:
        """Nothing lies in the root itself."""
        return iter(())

    def get_multi(self, hrefs: Iterable[str]) -> Iterable[tuple[str, radicale_item.Item | None]]:
        """Nothing lies in the root itself."""
        return ((href, None) for href in hrefs)

    @overload
    def get_meta(self, key: None = None) -> Mapping[str, str]: ...

    @overload
    def get_meta(self, key: str) -> str | None: ...

    def get_meta(self, key: str | None = None) -> Mapping[str, str] | str | None:
        """The root has no properties."""
        return {} if key is None else None


def _child(child_context_manager: Any, path: str, href: str | None) -> Any:
    return _nothing() if child_context_manager is None else child_context_manager(path, href)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _http_date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def _content(item: radicale_item.Item) -> NewObject:
    """The row of an item: as caldavd would index it, or where it would not take the text, with what Radicale knows."""
    body = item.serialize().encode()
    if item.name == "VCARD":
        return NewObject(body, "text/vcard; charset=utf-8", uid=item.uid, component="VCARD")
    try:
        return indexing.object_row(body, supported=(item.component_name,), limits=None)
    except ICalendarError as error:
        logger.debug("An item is stored without an index: %s", error)
        return NewObject(body, indexing.CONTENT_TYPE, uid=item.uid, component=item.component_name)


def _free_name(uid: str, suffix: str, taken: Mapping[str, object]) -> str:
    """A name for an item: from its UID where that is one, else from a hash."""
    name = uid if uid.lower().endswith(suffix) else uid + suffix
    if pathutils.is_safe_filesystem_path_component(name) and len(name) < 200 and name not in taken:
        return name
    name = sha256(uid.encode()).hexdigest() + suffix
    return name if name not in taken else radicale_item.find_available_uid(taken.__contains__, suffix)


def _stored(name: str) -> tuple[str, str]:
    """Namespace and name of one of Radicale's properties."""
    if name in {"tag", _COMPONENT_SET}:
        return _OURS, name.rpartition(":")[2]
    namespace, local_name = split(xmlutils.make_clark(name))
    return namespace, local_name


def _human(prop: StoredProperty) -> str:
    """The opposite of :func:`_stored`."""
    if prop.namespace == _OURS:
        return "tag" if prop.name == "tag" else _COMPONENT_SET
    return xmlutils.make_human_tag(f"{{{prop.namespace}}}{prop.name}")


def _value(prop: StoredProperty) -> str | None:
    """The text of a property; ``None`` where it is more than text, which Radicale has no place for."""
    try:
        element = parse(prop.xml)
    except MalformedXML:
        return None
    return None if len(element) else text_of(element)
