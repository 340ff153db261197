"""Collections: the tree below a home, and how a path is followed in it."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Collection as Members, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import BindParameter, and_, bindparam, delete, insert, literal, or_, select, true, update

from storage.batches import batches
from storage.errors import Misuse, NameTaken, NotFound
from storage.rows import KEY_COLUMNS, Collection, CollectionKind, Found, Home, ObjectRow, Owned, Owner, StoredProperty
from storage.sql.copying import copy_members, copy_properties
from storage.sql.direct import Direct, DirectAmong
from storage.sql.names import below, checked_name, checked_text, findable, joined, storable, upward
from storage.sql.owned import owned
from storage.sql.properties import EVERYONE
from storage.sql.schema import collection_properties, collections, homes, locks, objects, removals
from storage.sql.types import key_hash
from storage.sql.values import COLLECTION_COLUMNS, HOME_COLUMNS, collection_of, home_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_BY_ID = select(*COLLECTION_COLUMNS).where(collections.c.id == bindparam("id"))
_CHILDREN = select(*COLLECTION_COLUMNS).where(collections.c.parent_id == bindparam("id")).order_by(collections.c.path)
_ROOTS = (
    select(*HOME_COLUMNS, *COLLECTION_COLUMNS)
    .join(collections, collections.c.home_id == homes.c.id)
    .where(homes.c.id.in_(bindparam("ids", expanding=True)), collections.c.path == "")
    .order_by(homes.c.owner)
)
_OF_HOME = select(*COLLECTION_COLUMNS).where(collections.c.home_id == bindparam("home")).order_by(collections.c.path)


@lru_cache(maxsize=16)
def _of_homes(kinds: frozenset[CollectionKind], names: frozenset[tuple[str, str]]) -> DirectAmong:
    """Collections of these kinds with those of their properties, among homes."""
    stored = collection_properties.c
    hashes = [literal(key_hash(*name), stored.name_hash.type) for name in sorted(names)]
    owners = and_(
        stored.owner_id == collections.c.id,
        # No hash is empty.
        stored.name_hash.in_(hashes or [literal(b"", stored.name_hash.type)]),
        or_(stored.principal_id == EVERYONE, stored.principal_id == homes.c.principal_id),
    )
    properties = (stored.principal_id, stored.namespace, stored.name, stored.xml)
    statement = (
        select(*HOME_COLUMNS, *COLLECTION_COLUMNS, *properties)
        .select_from(homes.join(collections, collections.c.home_id == homes.c.id))
        .outerjoin(collection_properties, owners)
        .where(collections.c.kind.in_([literal(kind.value) for kind in sorted(kinds)]))
        .order_by(homes.c.id, collections.c.path, stored.principal_id)
    )
    return DirectAmong(statement, homes.c.id)


_ADD = insert(collections)
# Which columns these set follows from the parameters that they are run with.
_UPDATE = update(collections).where(collections.c.id == bindparam("collection"))
_UPDATE_OBJECT = update(objects).where(objects.c.id == bindparam("object"))
_OCCUPIED = (
    select(objects.c.id)
    .where(objects.c.collection_id == bindparam("parent"), objects.c.name == bindparam("name"))
    .union_all(
        select(collections.c.id).where(
            collections.c.parent_id == bindparam("parent"), collections.c.path == bindparam("path")
        )
    )
)
_FORGET_REMOVAL = delete(removals).where(
    removals.c.collection_id == bindparam("parent"),
    removals.c.name == bindparam("name"),
    removals.c.was_collection.is_(true()),
)
_ADD_REMOVAL = insert(removals)
_RAISE_FLOOR = update(collections).where(
    collections.c.home_id == bindparam("home"),
    collections.c.path.in_(bindparam("paths", expanding=True)),
    collections.c.floor < bindparam("above"),
)
#: Removals that no token will ask for any more.
_FORGET_BELOW = delete(removals).where(
    removals.c.collection_id.in_(
        select(collections.c.id).where(
            collections.c.home_id == bindparam("home"), collections.c.path.in_(bindparam("paths", expanding=True))
        )
    ),
    removals.c.number <= bindparam("above"),
)
_WITHIN = and_(
    collections.c.home_id == bindparam("home"),
    or_(
        collections.c.path == bindparam("path"),
        and_(collections.c.path >= bindparam("low"), collections.c.path < bindparam("high")),
    ),
)
_SUBTREE = select(*COLLECTION_COLUMNS).where(_WITHIN).order_by(collections.c.path)
_SIZES_WITHIN = select(objects.c.size).join(collections, collections.c.id == objects.c.collection_id).where(_WITHIN)
_OBJECTS_WITHIN = (
    select(objects.c.id, objects.c.collection_id, objects.c.size)
    .join(collections, collections.c.id == objects.c.collection_id)
    .where(_WITHIN)
    .order_by(objects.c.number)
)
_REMOVE = delete(collections).where(collections.c.id == bindparam("collection"))
_LOCKS_WITHIN = delete(locks).where(
    locks.c.home_id == bindparam("home"),
    or_(locks.c.path == bindparam("path"), and_(locks.c.path >= bindparam("low"), locks.c.path < bindparam("high"))),
)
_FORGET_REMOVALS = delete(removals).where(removals.c.collection_id == bindparam("collection"))


@lru_cache(maxsize=256)
def _finding(depth: int, columns: frozenset[str]) -> tuple[Direct, Callable[[Sequence[Any]], Any]]:
    """One statement for the home, the chain of collections and the object at the end of a path of ``depth`` names."""
    names = sorted(columns | KEY_COLUMNS)
    paths: list[BindParameter[str]] = [bindparam(f"path_{level}") for level in range(depth + 1)]
    statement = select(*HOME_COLUMNS, *COLLECTION_COLUMNS, *(objects.c[name].label(f"object_{name}") for name in names))
    source = homes.join(collections, and_(collections.c.home_id == homes.c.id, collections.c.path.in_(paths)))
    at_the_end = and_(
        objects.c.collection_id == collections.c.id,
        objects.c.name == bindparam("last"),
        collections.c.path == bindparam("parent"),
    )
    statement = statement.select_from(source.outerjoin(objects, at_the_end))
    statement = statement.where(homes.c.owner == bindparam("owner")).order_by(collections.c.path)
    # A row class of its own, so that a column that was not asked for is an AttributeError here as well.
    return Direct(statement), cast("Any", namedtuple("ObjectRow", names))._make  # noqa: PYI024


def _finding_parameters(owner: str, names: tuple[str, ...]) -> dict[str, object]:
    paths = upward(names)
    parameters: dict[str, object] = {f"path_{level}": path for level, path in enumerate(paths)}
    parameters["owner"] = owner
    parameters["last"] = names[-1] if names else ""
    parameters["parent"] = paths[-2] if names else None
    return parameters


class SqlCollections:
    """See :class:`storage.store.Collections`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def find(self, owner: str, names: Sequence[str], *, columns: frozenset[str] = frozenset()) -> Found | None:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        asked = tuple(names)
        # A name that no member can have ("a/b" above all, which would look like a path) ends the search before it.
        names = tuple(takewhile(findable, asked))
        statement, make = _finding(len(names), columns)
        rows = statement.all(self._tx, _finding_parameters(owner, names)) if storable(owner) else []
        if not rows:
            return None
        chain = tuple(self._tx.seen(collection_of(row, len(HOME_COLUMNS))) for row in rows)
        last = rows[-1]
        missing = asked[len(chain) - 1 :]
        found = None
        if len(missing) == 1 and last.object_id is not None:
            found = cast("ObjectRow", make(last[len(HOME_COLUMNS) + len(COLLECTION_COLUMNS) :]))
            missing = ()
        return Found(home=home_of(last), chain=chain, object=found, missing=missing)

    def owned(self, owner: str, calendar: str, member: str = "") -> Owned | None:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        return owned(self._tx, owner, calendar, member)

    def get(self, collection_id: int) -> Collection | None:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        row = self._tx.execute(_BY_ID, {"id": collection_id}).first()
        return None if row is None else self._tx.seen(collection_of(row))

    def roots(self, home_ids: Members[int]) -> Sequence[tuple[Home, Collection]]:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        found = [
            (home_of(row), collection_of(row, len(HOME_COLUMNS)))
            for batch in batches(dict.fromkeys(home_ids))
            for row in self._tx.execute(_ROOTS, {"ids": batch})
        ]
        return sorted(found, key=lambda pair: pair[0].owner)

    def children(self, collection_id: int) -> Sequence[Collection]:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        return [collection_of(row) for row in self._tx.execute(_CHILDREN, {"id": collection_id})]

    def of_home(self, home_id: int) -> Sequence[Collection]:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        return [self._tx.seen(collection_of(row)) for row in self._tx.execute(_OF_HOME, {"home": home_id})]

    def of_homes(
        self, home_ids: Members[int], *, kinds: Members[CollectionKind], names: Members[tuple[str, str]] = ()
    ) -> Sequence[tuple[Home, Collection, Sequence[StoredProperty]]]:
        """See :class:`storage.store.Collections`."""
        self._tx.flush()
        statement = _of_homes(frozenset(kinds), frozenset(names))
        found: dict[int, tuple[Home, Collection, dict[tuple[str, str], StoredProperty]]] = {}
        known: dict[int, Home] = {}
        for batch in batches(dict.fromkeys(home_ids)):
            for row in statement.all(self._tx, {}, batch):
                id_ = row[len(HOME_COLUMNS)]
                if id_ not in found:
                    collection = self._tx.seen(collection_of(row, len(HOME_COLUMNS)))
                    if collection.home_id not in known:
                        known[collection.home_id] = home_of(row)
                    found[id_] = known[collection.home_id], collection, {}
                principal_id, namespace, name, xml = row[-4:]
                if name is not None:
                    owner = Owner("collection", id_)
                    # Everyone's come first: the principal's own value of the same name replaces it.
                    found[id_][2][namespace, name] = StoredProperty(owner, principal_id, namespace, name, xml)
        return [(home, collection, list(stored.values())) for home, collection, stored in found.values()]

    def add_root(self, home: Home) -> Collection:
        """The home's own collection; part of making a home."""
        self._tx.hold(home)
        return self._insert(home.id, parent=None, path=(), kind=CollectionKind.HOME, components=())

    def add(self, parent: Collection, name: str, *, kind: CollectionKind, components: Sequence[str] = ()) -> Collection:
        """See :class:`storage.store.Collections`."""
        self._tx.own(parent.home_id)
        path = (*parent.path, checked_name(name))
        self._take(parent, name)
        collection = self._insert(parent.home_id, parent=parent, path=path, kind=kind, components=components)
        self._forget_removal(parent, name, number=collection.number)
        return collection

    def _insert(
        self,
        home_id: int,
        *,
        parent: Collection | None,
        path: tuple[str, ...],
        kind: CollectionKind,
        components: Sequence[str],
    ) -> Collection:
        now = self._tx.now
        draft = Collection(
            id=0,
            home_id=home_id,
            parent_id=None if parent is None else parent.id,
            path=path,
            kind=kind,
            components=tuple(components),
            number=0,
            revision=0,
            floor=0,
            created=now,
            modified=now,
        )
        number = self._tx.draw(draft)
        values = {
            "home_id": home_id,
            "parent_id": draft.parent_id,
            "path": joined(path),
            "kind": kind.value,
            "components": checked_text(",".join(components), "component set", length=255),
            "number": number,
            "revision": number,
            # A token of a collection that stood here before is refused.
            "floor": number,
            "created": now,
            "modified": now,
        }
        key = self._tx.execute(_ADD, values).inserted_primary_key
        return replace(draft, id=key[0] if key else 0, number=number, revision=number, floor=number)

    def _take(self, parent: Collection, name: str) -> None:
        parameters = {"parent": parent.id, "name": name, "path": joined((*parent.path, name))}
        if self._tx.execute(_OCCUPIED, parameters).first() is not None:
            raise NameTaken(name)

    def _forget_removal(self, parent: Collection, name: str, *, number: int) -> None:
        if self._tx.execute(_FORGET_REMOVAL, {"parent": parent.id, "name": name}).rowcount:
            # Whoever follows the collections above would not learn that the members of the former one are gone.
            self.raise_floor(parent, number)

    def raise_floor(self, collection: Collection, number: int) -> None:
        """Refuses older tokens of the collection and of those above it."""
        paths = [joined(collection.path[:depth]) for depth in range(len(collection.path) + 1)]
        where = {"home": collection.home_id, "paths": paths, "above": number}
        self._tx.execute(_RAISE_FLOOR, {**where, "floor": number})
        self._tx.execute(_FORGET_BELOW, where)

    def touch(self, collection: Collection) -> None:
        """See :class:`storage.store.Collections`."""
        number = self._tx.draw(collection, ())
        if self._tx.execute(_UPDATE, {"collection": collection.id, "number": number}).rowcount == 0:
            raise NotFound(f"The collection {joined(collection.path)!r} has gone.")

    def remove(self, collection: Collection) -> None:
        """See :class:`storage.store.Collections`."""
        parent = self._parent_of(collection)
        within = _within(collection)
        sizes = self._tx.execute(_SIZES_WITHIN, within).scalars().all()
        self._tx.occupy(collection.home_id, more=-sum(sizes))
        # Deepest first: a collection is the foreign key of what it contains. The objects go by cascade.
        for inner in reversed(self._subtree(collection)):
            self._tx.execute(_REMOVE, {"collection": inner.id})
        self._tx.execute(_LOCKS_WITHIN, within)
        self._leave_removal(parent, collection.name)

    def _leave_removal(self, parent: Collection, name: str) -> None:
        self._tx.execute(
            _ADD_REMOVAL,
            {
                "collection_id": parent.id,
                "name": name,
                "number": self._tx.draw(parent),
                "removed": self._tx.now,
                "was_collection": True,
            },
        )

    def _parent_of(self, collection: Collection) -> Collection:
        self._tx.own(collection.home_id)
        if collection.parent_id is None:
            raise Misuse("The root of a home goes only with the home: principals.remove.")
        parent = self.get(collection.parent_id)
        if parent is None:
            raise NotFound(f"The collection {joined(collection.path)!r} has gone.")
        return parent

    def _subtree(self, collection: Collection) -> list[Collection]:
        found = [collection_of(row) for row in self._tx.execute(_SUBTREE, _within(collection))]
        if not found or found[0].id != collection.id:
            raise NotFound(f"The collection {joined(collection.path)!r} has gone.")
        return found

    def move(self, collection: Collection, parent: Collection, name: str) -> Collection:
        """See :class:`storage.store.Collections`."""
        old_parent = self._parent_of(collection)
        self._tx.own(parent.home_id)
        if parent.home_id == collection.home_id and parent.path[: len(collection.path)] == collection.path:
            raise Misuse("A collection cannot be moved into itself.")
        checked_name(name)
        self._take(parent, name)
        subtree = self._subtree(collection)
        moved = [_placed(inner, collection, parent=parent, name=name) for inner in subtree]
        members = self._tx.execute(_OBJECTS_WITHIN, _within(collection)).all()
        if parent.home_id != collection.home_id:
            size = sum(member.size for member in members)
            self._tx.occupy(parent.home_id, more=size)
            self._tx.occupy(collection.home_id, more=-size)
        self._tx.execute(_LOCKS_WITHIN, _within(collection))
        self._leave_removal(old_parent, collection.name)
        numbers = [self._place(inner) for inner in moved]
        self._renumber(members, {inner.id: inner for inner in moved})
        self._forget_removal(parent, name, number=numbers[0])
        for home_id in {collection.home_id, parent.home_id}:
            held = self._tx.own(home_id)
            held.generation += 1
            held.changed = True
        revision = self._tx.own(parent.home_id).revisions[joined(moved[0].path)]
        return replace(moved[0], number=numbers[0], floor=numbers[0], revision=revision, modified=self._tx.now)

    def copy(self, collection: Collection, parent: Collection, name: str, *, infinite: bool) -> Collection:
        """See :class:`storage.store.Collections`."""
        # Read before anything is added, so that a copy below its own source comes to an end.
        sources = self._subtree(collection) if infinite else [collection]
        made = {collection.path: self.add(parent, name, kind=collection.kind, components=collection.components)}
        for source in sources:
            if source.path not in made:
                above = made[source.path[:-1]]
                made[source.path] = self._insert(
                    above.home_id,
                    parent=above,
                    path=(*above.path, source.name),
                    kind=source.kind,
                    components=source.components,
                )
            copy_properties(self._tx, source, made[source.path])
            if infinite:
                copy_members(self._tx, source, made[source.path])
        return made[collection.path]

    def _place(self, collection: Collection) -> int:
        """Writes a moved collection's row. What was removed in it is forgotten: older tokens speak of other paths."""
        number = self._tx.draw(collection)
        self._tx.execute(_FORGET_REMOVALS, {"collection": collection.id})
        self._tx.execute(
            _UPDATE,
            {
                "collection": collection.id,
                "home_id": collection.home_id,
                "parent_id": collection.parent_id,
                "path": joined(collection.path),
                "number": number,
                # A token from before the move is refused.
                "floor": number,
            },
        )
        return number

    def _renumber(self, members: Sequence[Any], moved: Mapping[int, Collection]) -> None:
        """Gives the members of moved collections numbers of their new home, in the order they had."""
        changes = [
            {
                "object": member.id,
                "home_id": moved[member.collection_id].home_id,
                "number": self._tx.draw(moved[member.collection_id]),
                "modified": self._tx.now,
            }
            for member in members
        ]
        if changes:
            self._tx.execute(_UPDATE_OBJECT, changes)


def _placed(inner: Collection, source: Collection, *, parent: Collection, name: str) -> Collection:
    """A collection of the moved tree as it will be: ``source`` becomes ``name`` below ``parent``."""
    path = (*parent.path, name, *inner.path[len(source.path) :])
    joined(path)
    parent_id = parent.id if inner.id == source.id else inner.parent_id
    return replace(inner, home_id=parent.home_id, parent_id=parent_id, path=path)


def _within(collection: Collection) -> dict[str, Any]:
    """Parameters for the collection and all below it."""
    path = joined(collection.path)
    low, high = below(path)
    return {"home": collection.home_id, "path": path, "low": low, "high": high}
