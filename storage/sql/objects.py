"""Objects: named bytes in collections, with the index columns that the floor above derives from them."""

from __future__ import annotations

from collections.abc import Collection as Members, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Select,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from storage.batches import batches
from storage.errors import NameTaken, NotFound, QuotaExceeded, UidTaken
from storage.rows import KEY_COLUMNS, OBJECT_COLUMNS, Collection, NewObject, ObjectRow, Put, Spared
from storage.sql.bulk import ROWS, rewrite
from storage.sql.direct import Direct, DirectAmong, DirectWrite
from storage.sql.extents import ALWAYS, choosing, chosen
from storage.sql.names import checked_name, checked_text, findable, joined, storable
from storage.sql.schema import OBJECT_VALUES, collections, objects, removals
from storage.sql.types import key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A row as it was just written: the columns of ``OBJECT_COLUMNS``."""

    id: int
    home_id: int
    collection_id: int
    name: str
    uid: str
    component: str
    content_type: str
    etag: str
    schedule_tag: str
    number: int
    size: int
    created: int
    modified: int
    starts_at: int | None
    ends_at: int | None
    recurs: bool
    transparent: bool
    organizer: str
    digest_version: int


_WRITTEN = tuple(StoredObject.__slots__[1:])

#: What stands in the way of a new member: an object or collection of its name, an object with its UID. Beside it,
#: whether a removal of such an object is to be forgotten.
_IN_THE_WAY = Direct(
    select(literal("name"), objects.c.name)
    .where(objects.c.collection_id == bindparam("collection"), objects.c.name == bindparam("name"))
    .union_all(
        select(literal("uid"), objects.c.name).where(
            objects.c.collection_id == bindparam("collection"), objects.c.uid_hash == bindparam("uid_hash")
        ),
        select(literal("name"), collections.c.path).where(
            collections.c.home_id == bindparam("home"), collections.c.path == bindparam("path")
        ),
        select(literal("removal"), removals.c.name).where(
            removals.c.collection_id == bindparam("collection"),
            removals.c.name == bindparam("name"),
            removals.c.was_collection.is_(false()),
        ),
    )
)
_UID_HOLDER = select(objects.c.name).where(
    objects.c.collection_id == bindparam("collection"), objects.c.uid_hash == bindparam("uid_hash")
)
_INSERT = insert(objects)
_ADD = DirectWrite(_INSERT, OBJECT_VALUES)
# Which columns these set follows from the parameters that they are run with.
_UPDATE = update(objects).where(objects.c.id == bindparam("object"))
_UID = frozenset({"uid", "uid_hash"})
_PLACE = _UID | {"home_id", "collection_id", "name", "created"}
_DIGEST_COLUMNS = ("component", "starts_at", "ends_at", "recurs", "transparent", "organizer", "spans", "digest_version")
#: What is set where a row is replaced by its whole content.
_REWRITTEN = tuple(name for name in OBJECT_VALUES if name not in _PLACE)
#: Of the index on time; an object that is replaced mostly keeps them.
_WHEN = frozenset({"component", "starts_at", "ends_at"})
_REMOVE = DirectWrite(delete(objects).where(objects.c.id == bindparam("object")))
_REMOVE_MANY = delete(objects).where(objects.c.id.in_(bindparam("ids", expanding=True)))
_ADD_REMOVALS = insert(removals)
_ADD_REMOVAL = DirectWrite(_ADD_REMOVALS, [column.name for column in removals.c])
_FORGET_REMOVAL = delete(removals).where(
    removals.c.collection_id == bindparam("collection"),
    removals.c.name == bindparam("name"),
    removals.c.was_collection.is_(false()),
)
#: Rows that ``stream`` reads at a time, with their bodies.
_BUFFERED = 50
#: Collections in one statement of ``scan``, which names each of them for every extent.
_SCANNED = 200
_COUNT = select(func.count()).select_from(objects).where(objects.c.collection_id == bindparam("collection"))
_TAKEN_NAMES = select(objects.c.name).where(
    objects.c.collection_id == bindparam("collection"), objects.c.name.in_(bindparam("names", expanding=True))
)
_TAKEN_PATHS = select(collections.c.path).where(
    collections.c.home_id == bindparam("home"), collections.c.path.in_(bindparam("paths", expanding=True))
)
_TAKEN_UIDS = select(objects.c.uid, objects.c.name).where(
    objects.c.collection_id == bindparam("collection"), objects.c.uid_hash.in_(bindparam("hashes", expanding=True))
)
_FORGET_REMOVALS = delete(removals).where(
    removals.c.collection_id == bindparam("collection"),
    removals.c.name.in_(bindparam("names", expanding=True)),
    removals.c.was_collection.is_(false()),
)


@lru_cache(maxsize=256)
def columns_of(columns: frozenset[str], always: frozenset[str] = KEY_COLUMNS) -> tuple[Any, ...]:
    """The columns to select, in a fixed order so that equal questions are equal statements."""
    return tuple(objects.c[name] for name in sorted(columns | always))


@lru_cache(maxsize=256)
def _reading(by: str, columns: frozenset[str]) -> Select[Any]:
    statement = select(*columns_of(columns))
    if by == "name":
        return statement.where(objects.c.collection_id == bindparam("collection"), objects.c.name == bindparam("name"))
    if by == "uid":
        return statement.where(
            objects.c.collection_id == bindparam("collection"), objects.c.uid_hash == bindparam("uid_hash")
        )
    if by == "homes":
        return statement.join(collections, collections.c.id == objects.c.collection_id).where(
            collections.c.home_id.in_(bindparam("homes", expanding=True)), objects.c.uid_hash == bindparam("uid_hash")
        )
    of_home = select(collections.c.id).where(collections.c.home_id == bindparam("home"))
    return statement.where(objects.c.collection_id.in_(of_home), objects.c.uid_hash == bindparam("uid_hash"))


@lru_cache(maxsize=4)
def _rewriting(kept: frozenset[str]) -> DirectWrite:
    """Sets all but what is as it was: SQLite writes every index of which a column is set."""
    return DirectWrite(_UPDATE, [name for name in OBJECT_VALUES if name not in kept])


@lru_cache(maxsize=64)
def _by_names(columns: frozenset[str]) -> DirectAmong:
    # ``size`` is in no index. Where the index of the change log has all columns that are asked for, SQLite would read
    # all that it holds of the collection instead of looking the names up.
    statement = select(*columns_of(columns, frozenset({"name", "size"})))
    return DirectAmong(statement.where(objects.c.collection_id == bindparam("collection")), objects.c.name)


@lru_cache(maxsize=64)
def _each(columns: frozenset[str]) -> Direct:
    # In the order of the change log, whose index has the name and the ETag.
    statement = select(*columns_of(columns, frozenset({"name", "number"})))
    return Direct(statement.where(objects.c.collection_id == bindparam("collection")).order_by(objects.c.number))


@lru_cache(maxsize=64)
def _by_ids(columns: frozenset[str]) -> DirectAmong:
    statement = select(*columns_of(columns, frozenset({"collection_id"})))
    return DirectAmong(statement.order_by(objects.c.id), objects.c.id)


@lru_cache(maxsize=256)
def _paging(columns: frozenset[str]) -> Select[Any]:
    return (
        select(*columns_of(columns, frozenset({"id", "name"})))
        .where(objects.c.collection_id == bindparam("collection"), objects.c.name > bindparam("after"))
        # There is an index on it: in another order each page would sort the whole collection.
        .order_by(objects.c.name)
        .limit(bindparam("limit"))
    )


def _of_spans(first: int) -> ColumnElement[bytes]:
    """Eight bytes of ``spans``, which compare bytewise on all databases."""
    place: ColumnElement[int] = literal_column(str(first))
    length: ColumnElement[int] = literal_column("8")
    return func.substr(objects.c.spans, place, length, type_=LargeBinary)


_BODY_UNLESS_SPARED = case(
    (
        and_(
            objects.c.digest_version == bindparam("spared_digest_version"),
            _of_spans(1) == bindparam("spared_mark", type_=LargeBinary),
            _of_spans(9) <= bindparam("spared_start", type_=LargeBinary),
            _of_spans(17) >= bindparam("spared_end", type_=LargeBinary),
        ),
        literal(b"", LargeBinary),
    ),
    else_=objects.c.body,
).label("body")


@lru_cache(maxsize=64)
def _scanning(columns: frozenset[str], groups: int, *, sparing: Literal[True, False] = False) -> Select[Any]:
    selected = columns_of(columns, frozenset({"collection_id"}))
    if sparing:
        selected = (*(column for column in selected if column.name != "body"), _BODY_UNLESS_SPARED)
    found = chosen(
        objects.c.collection_id.in_(bindparam("collections", expanding=True)),
        objects.c.component.in_(bindparam("components", expanding=True)),
    ).subquery("found")
    statement = select(*selected).join_from(found, objects, objects.c.id == found.c.id)
    if groups == 1:
        return statement
    # Not called after the other lists: the elements of those are numbered behind their names.
    return statement.where(
        or_(
            *(
                and_(
                    objects.c.collection_id.in_(bindparam(f"having_{at}", expanding=True)),
                    objects.c.component.in_(bindparam(f"kinds_{at}", expanding=True)),
                )
                for at in range(groups)
            )
        )
    )


def _scans(wanted: Mapping[str, Members[int]], *, start: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The parameters of each statement, and in how many groups its collections are.

    A group are those in which the same components are looked for: mostly there is one.
    """
    sought: dict[int, dict[str, None]] = {}
    for component, ids in wanted.items():
        for id_ in ids:
            sought.setdefault(id_, {})[component] = None
    for batch in batches(sought, _SCANNED):
        groups: dict[tuple[str, ...], list[int]] = {}
        for id_ in batch:
            groups.setdefault(tuple(sought[id_]), []).append(id_)
        components = [component for component, ids in wanted.items() if ids]
        where: dict[str, Any] = {"collections": batch, "components": components, "start": start, "end": end}
        if len(groups) > 1:
            for at, (names, ids) in enumerate(groups.items()):
                where |= {f"having_{at}": ids, f"kinds_{at}": names}
        yield len(groups), where


class SqlObjects:
    """See :class:`storage.store.Objects`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def get(self, collection_id: int, name: str, *, columns: frozenset[str]) -> ObjectRow | None:
        """See :class:`storage.store.Objects`."""
        if not findable(name):
            return None
        row = self._tx.execute(_reading("name", columns), {"collection": collection_id, "name": name}).first()
        return cast("ObjectRow | None", row)

    def by_names(self, collection_id: int, names: Members[str], *, columns: frozenset[str]) -> Mapping[str, ObjectRow]:
        """See :class:`storage.store.Objects`."""
        statement = _by_names(columns)
        found: dict[str, ObjectRow] = {}
        for batch in batches(dict.fromkeys(filter(findable, names))):
            found |= {row.name: row for row in statement.all(self._tx, {"collection": collection_id}, batch)}
        return found

    def by_uid(self, collection_id: int, uid: str, *, columns: frozenset[str]) -> ObjectRow | None:
        """See :class:`storage.store.Objects`."""
        if not storable(uid):
            return None
        where = {"collection": collection_id, "uid_hash": _uid_hash(uid)}
        return cast("ObjectRow | None", self._tx.execute(_reading("uid", columns), where).first())

    def by_uid_in_home(self, home_id: int, uid: str, *, columns: frozenset[str]) -> Sequence[ObjectRow]:
        """See :class:`storage.store.Objects`."""
        if not storable(uid):
            return []
        where = {"home": home_id, "uid_hash": _uid_hash(uid)}
        return cast("Sequence[ObjectRow]", self._tx.execute(_reading("home", columns), where).all())

    def by_uid_in_homes(
        self, home_ids: Members[int], uid: str, *, columns: frozenset[str]
    ) -> Mapping[int, Sequence[ObjectRow]]:
        """See :class:`storage.store.Objects`."""
        found: dict[int, list[ObjectRow]] = {}
        for batch in batches(dict.fromkeys(home_ids) if storable(uid) else ()):
            for row in self._tx.execute(_reading("homes", columns), {"homes": batch, "uid_hash": _uid_hash(uid)}):
                found.setdefault(row.home_id, []).append(cast("ObjectRow", row))
        return found

    def page(self, collection_id: int, *, columns: frozenset[str], after: str = "", limit: int) -> Sequence[ObjectRow]:
        """See :class:`storage.store.Objects`."""
        where = {"collection": collection_id, "after": after, "limit": limit}
        return cast("Sequence[ObjectRow]", self._tx.execute(_paging(columns), where).all())

    def each(self, collection_id: int, *, columns: frozenset[str]) -> Iterator[ObjectRow]:
        """See :class:`storage.store.Objects`."""
        return cast("Iterator[ObjectRow]", _each(columns).each(self._tx, {"collection": collection_id}))

    def within(
        self,
        collection_id: int,
        *,
        columns: frozenset[str],
        components: Members[str] = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[ObjectRow]:
        """See :class:`storage.store.Objects`."""
        where: dict[str, Any] = {f"component_{at}": name for at, name in enumerate(components)}
        where["collection"] = collection_id
        where["start"] = ALWAYS[0] if start is None else start
        where["end"] = ALWAYS[1] if end is None else end
        ids = sorted(row.id for row in choosing(len(components)).all(self._tx, where))
        for batch in batches(ids):
            rows = _by_ids(columns).all(self._tx, {}, batch)
            # Not asked of the database: SQLite would then look through the collection, and not for the ids.
            yield from (row for row in rows if row.collection_id == collection_id)

    def scan(
        self, wanted: Mapping[str, Members[int]], *, columns: frozenset[str], start: int, end: int
    ) -> Sequence[ObjectRow]:
        """See :class:`storage.store.Objects`."""
        found: list[ObjectRow] = []
        for groups, where in _scans(wanted, start=start, end=end):
            found += cast("Sequence[ObjectRow]", self._tx.execute(_scanning(columns, groups), where).all())
        return found

    def stream(
        self,
        wanted: Mapping[str, Members[int]],
        *,
        columns: frozenset[str],
        start: int,
        end: int,
        spared: Spared | None = None,
    ) -> Generator[ObjectRow, None, None]:
        """See :class:`storage.store.Objects`."""
        # On PostgreSQL and MariaDB a cursor of the server's, without which the client would read all rows at once.
        options = {"stream_results": True, "max_row_buffer": _BUFFERED}
        for groups, where in _scans(wanted, start=start, end=end):
            statement = _scanning(columns, groups, sparing=spared is not None)
            if spared is not None:
                where |= {f"spared_{name}": value for name, value in spared._asdict().items()}
            with self._tx.block(), self._tx.execute(statement, where, execution_options=options) as rows:
                for row in rows:
                    yield cast("ObjectRow", row)

    def count(self, collection_id: int) -> int:
        """See :class:`storage.store.Objects`."""
        return self._tx.execute(_COUNT, {"collection": collection_id}).scalar_one()

    def put(self, collection: Collection, name: str, new: NewObject, *, replaces: ObjectRow | None) -> ObjectRow:
        """See :class:`storage.store.Objects`."""
        self._tx.own(collection.home_id)
        checked_name(name)
        values = _values(new)
        if replaces is None:
            self._make_room(collection, name, uid=new.uid, uid_hash=values["uid_hash"])
        elif replaces.uid != new.uid:
            self._check_uid(collection, new.uid, values["uid_hash"])
        self._tx.occupy(collection.home_id, more=values["size"] - (replaces.size if replaces else 0))
        now = self._tx.now
        values |= {
            "home_id": collection.home_id,
            "collection_id": collection.id,
            "name": name,
            "number": self._tx.draw(collection, (new,) if replaces is None else (replaces, new)),
            "created": replaces.created if replaces else now,
            "modified": now,
        }
        if replaces is None:
            object_id = _ADD.run(self._tx, values).id
        else:
            object_id = replaces.id
            kept = _PLACE if replaces.uid == new.uid else _PLACE - _UID
            if all(getattr(replaces, column) == values[column] for column in _WHEN):
                kept |= _WHEN
            update_ = _rewriting(kept)
            changes = {column: values[column] for column in update_.columns}
            if update_.run(self._tx, {**changes, "object": object_id}).rows == 0:
                raise NotFound(f"The object {name!r} has gone.")
        return cast("ObjectRow", StoredObject(object_id, *[values[column] for column in _WRITTEN]))

    def _make_room(self, collection: Collection, name: str, *, uid: str, uid_hash: bytes | None) -> None:
        where = {
            "collection": collection.id,
            "name": name,
            "uid_hash": uid_hash,
            "home": collection.home_id,
            "path": joined((*collection.path, name)),
        }
        for obstacle, holder in _IN_THE_WAY.all(self._tx, where):
            if obstacle == "name":
                raise NameTaken(name)
            if obstacle == "uid":
                raise UidTaken(uid=uid, name=holder)
            self._tx.execute(_FORGET_REMOVAL, {"collection": collection.id, "name": name})

    def _check_uid(self, collection: Collection, uid: str, uid_hash: bytes | None) -> None:
        holder = self._tx.execute(_UID_HOLDER, {"collection": collection.id, "uid_hash": uid_hash}).scalar()
        if holder is not None:
            raise UidTaken(uid=uid, name=holder)

    def put_many(self, collection: Collection, new: Sequence[tuple[str, NewObject]]) -> None:
        """See :class:`storage.store.Objects`."""
        self._tx.own(collection.home_id)
        rows = [{**_values(content), "name": checked_name(name)} for name, content in new]
        _check_among_themselves(rows)
        self._check_many(collection, rows)
        self._tx.occupy(collection.home_id, more=sum(row["size"] for row in rows))
        now = self._tx.now
        for row, (_, content) in zip(rows, new, strict=True):
            row |= {
                "home_id": collection.home_id,
                "collection_id": collection.id,
                "number": self._tx.draw(collection, (content,)),
                "created": now,
                "modified": now,
            }
        for batch in batches(rows):
            names = [row["name"] for row in batch]
            self._tx.execute(_FORGET_REMOVALS, {"collection": collection.id, "names": names})
            self._tx.execute(_INSERT, batch)

    def _check_many(self, collection: Collection, rows: Sequence[dict[str, Any]]) -> None:
        for batch in batches(rows):
            names = [row["name"] for row in batch]
            paths = {joined((*collection.path, name)): name for name in names}
            for taken in self._tx.execute(_TAKEN_NAMES, {"collection": collection.id, "names": names}).scalars():
                raise NameTaken(taken)
            for taken in self._tx.execute(_TAKEN_PATHS, {"home": collection.home_id, "paths": list(paths)}).scalars():
                raise NameTaken(paths[taken])
            hashes = [row["uid_hash"] for row in batch if row["uid_hash"] is not None]
            for uid, name in self._tx.execute(_TAKEN_UIDS, {"collection": collection.id, "hashes": hashes}):
                raise UidTaken(uid=uid, name=name)

    def put_across(self, puts: Sequence[Put]) -> Sequence[bool]:
        """See :class:`storage.store.Objects`."""
        contents: dict[int, dict[str, Any]] = {}
        stored: list[bool] = []
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        for put in puts:
            # The copies of a meeting have few contents, and each is hashed once.
            values = contents.get(id(put.new)) or contents.setdefault(id(put.new), _values(put.new))
            checked_name(put.name)
            fits = self._fits(put, values["size"])
            stored.append(fits)
            if fits:
                (new if put.replaces is None else changed).append({**values, **self._place(put)})
        for batch in batches(new, ROWS):
            self._tx.execute(_INSERT, batch)
        rewrite(self._tx, objects, changed, columns=_REWRITTEN)
        return stored

    def _fits(self, put: Put, size: int) -> bool:
        try:
            self._tx.occupy(put.collection.home_id, more=size - (put.replaces.size if put.replaces else 0))
        except QuotaExceeded:
            return False
        return True

    def _place(self, put: Put) -> dict[str, Any]:
        """The columns of a row that do not follow from its content."""
        now = self._tx.now
        row = {
            "home_id": put.collection.home_id,
            "collection_id": put.collection.id,
            "name": put.name,
            "number": self._tx.draw(put.collection, (put.new,) if put.replaces is None else (put.replaces, put.new)),
            "created": put.replaces.created if put.replaces else now,
            "modified": now,
        }
        return row if put.replaces is None else {**row, "id": put.replaces.id}

    def remove_across(self, members: Sequence[tuple[Collection, ObjectRow]]) -> None:
        """See :class:`storage.store.Objects`."""
        removed = []
        for batch in batches(members):
            if self._tx.execute(_REMOVE_MANY, {"ids": [row.id for _, row in batch]}).rowcount != len(batch):
                raise NotFound("Some of the objects have gone.")
            for collection, row in batch:
                self._tx.occupy(collection.home_id, more=-row.size)
                removed.append(self._removal(collection, row))
        for part in batches(removed):
            self._tx.execute(_ADD_REMOVALS, part)

    def redigest(self, object_id: int, new: NewObject) -> None:
        """See :class:`storage.store.Objects`."""
        self._tx.own_some()
        values = {name: getattr(new, name) for name in _DIGEST_COLUMNS}
        if new.schedule_tag:
            values["schedule_tag"] = new.schedule_tag
        self._tx.execute(_UPDATE, {**values, "object": object_id})

    def touch(self, collection: Collection, row: ObjectRow) -> None:
        """See :class:`storage.store.Objects`."""
        self._tx.execute(_UPDATE, {"object": row.id, "number": self._tx.draw(collection, ())})

    def remove(self, collection: Collection, row: ObjectRow) -> None:
        """See :class:`storage.store.Objects`."""
        self._tx.own(collection.home_id)
        if _REMOVE.run(self._tx, {"object": row.id}).rows == 0:
            raise NotFound(f"The object {row.name!r} has gone.")
        self._tx.occupy(collection.home_id, more=-row.size)
        self._leave_removal(collection, row)

    def _leave_removal(self, collection: Collection, row: ObjectRow) -> None:
        _ADD_REMOVAL.run(self._tx, self._removal(collection, row))

    def _removal(self, collection: Collection, row: ObjectRow) -> dict[str, Any]:
        return {
            "collection_id": collection.id,
            "name": row.name,
            "number": self._tx.draw(collection, (row,)),
            "removed": self._tx.now,
            "was_collection": False,
        }

    def move(self, source: Collection, row: ObjectRow, target: Collection, name: str) -> ObjectRow:
        """See :class:`storage.store.Objects`."""
        self._tx.own(source.home_id)
        self._tx.own(target.home_id)
        checked_name(name)
        # Within its own collection the object does not stand in its own way.
        uid_hash = None if source.id == target.id else _uid_hash(row.uid)
        self._make_room(target, name, uid=row.uid, uid_hash=uid_hash)
        if source.home_id != target.home_id:
            self._tx.occupy(target.home_id, more=row.size)
            self._tx.occupy(source.home_id, more=-row.size)
        # First the removal, so that no prefix of the changes has the object twice.
        self._leave_removal(source, row)
        where = {
            "object": row.id,
            "home_id": target.home_id,
            "collection_id": target.id,
            "name": name,
            "number": self._tx.draw(target, (row,)),
            "modified": self._tx.now,
        }
        if self._tx.execute(_UPDATE, where).rowcount == 0:
            raise NotFound(f"The object {row.name!r} has gone.")
        moved = self.get(target.id, name, columns=OBJECT_COLUMNS)
        if moved is None:
            raise NotFound(f"The object {name!r} has gone.")
        return moved


def _uid_hash(uid: str) -> bytes | None:
    return key_hash(uid) if uid else None


def _values(new: NewObject) -> dict[str, Any]:
    """The columns that follow from the content alone."""
    uid = checked_text(new.uid, "UID")
    return {
        "uid": uid,
        "uid_hash": _uid_hash(uid),
        "component": new.component,
        "content_type": checked_text(new.content_type, "content type", length=255),
        "etag": blake2b(new.body, digest_size=16).hexdigest(),
        "schedule_tag": new.schedule_tag,
        "size": len(new.body),
        "starts_at": new.starts_at,
        "ends_at": new.ends_at,
        "recurs": new.recurs,
        "transparent": new.transparent,
        "organizer": checked_text(new.organizer, "organizer"),
        "digest_version": new.digest_version,
        "spans": new.spans,
        "body": new.body,
    }


def _check_among_themselves(rows: Sequence[dict[str, Any]]) -> None:
    names: set[str] = set()
    uids: dict[bytes, str] = {}
    for row in rows:
        if row["name"] in names:
            raise NameTaken(row["name"])
        names.add(row["name"])
        if row["uid_hash"] is not None:
            if row["uid_hash"] in uids:
                raise UidTaken(uid=row["uid"], name=uids[row["uid_hash"]])
            uids[row["uid_hash"]] = row["name"]
