"""What must be true of the rows whatever was written, killed or restored: ``caldavd doctor``.

Each rule is a query for the rows that break it and a sentence about one of them; what a query cannot compute (hashes of
texts and bodies) is computed here, page by page.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Select, and_, false, func, or_, select, text, true, union_all

from storage.rows import CollectionKind
from storage.sql.schema import (
    aces,
    addresses,
    collection_properties,
    collections,
    homes,
    journal,
    locks,
    object_properties,
    objects,
    principal_properties,
    principals,
    queue,
    removals,
)
from storage.sql.types import key_hash

_PAGE = 500


def _numbers() -> Any:
    """Every number that stands in a home: (home_id, number)."""
    return union_all(
        select(collections.c.home_id, collections.c.number),
        select(collections.c.home_id, objects.c.number).join(objects, objects.c.collection_id == collections.c.id),
        select(collections.c.home_id, removals.c.number).join(removals, removals.c.collection_id == collections.c.id),
    ).subquery()


_NUMBERS = _numbers()
_LOST_REVISIONS = union_all(
    select(objects.c.collection_id.label("id"), objects.c.number.label("number")),
    select(removals.c.collection_id, removals.c.number),
    select(collections.c.parent_id, collections.c.revision).where(collections.c.parent_id.is_not(None)),
    select(collections.c.id, collections.c.number),
    select(collections.c.id, collections.c.floor),
).subquery()
_USED = (
    select(collections.c.home_id, func.sum(objects.c.size).label("used"))
    .join(objects, objects.c.collection_id == collections.c.id)
    .group_by(collections.c.home_id)
    .subquery()
)
_KINDS = [kind.value for kind in CollectionKind]

#: (rows that break the rule, the sentence about one of them).
RULES: tuple[tuple[Select[Any], str], ...] = (
    (
        select(principals.c.name).outerjoin(homes, homes.c.principal_id == principals.c.id).where(homes.c.id.is_(None)),
        "The principal {0} has no home.",
    ),
    (
        select(homes.c.id, homes.c.owner, principals.c.name)
        .join(principals, principals.c.id == homes.c.principal_id)
        .where(homes.c.owner != principals.c.name),
        "Home {0} says that it belongs to {1}, but it belongs to {2}.",
    ),
    (
        select(homes.c.id)
        .outerjoin(collections, and_(collections.c.home_id == homes.c.id, collections.c.path == ""))
        .where(or_(collections.c.id.is_(None), collections.c.kind != "home")),
        "Home {0} has no root collection.",
    ),
    (
        select(homes.c.id, homes.c.used, func.coalesce(_USED.c.used, 0))
        .outerjoin(_USED, _USED.c.home_id == homes.c.id)
        .where(homes.c.used != func.coalesce(_USED.c.used, 0)),
        "Home {0} counts {1} bytes of objects; there are {2}.",
    ),
    (
        select(homes.c.id, homes.c.counter, func.max(collections.c.revision))
        .join(collections, collections.c.home_id == homes.c.id)
        .group_by(homes.c.id, homes.c.counter)
        .having(func.max(collections.c.revision) > homes.c.counter),
        "The counter of home {0} stands at {1}, but the revision {2} was drawn.",
    ),
    (
        select(_NUMBERS.c.home_id, _NUMBERS.c.number, func.count())
        .group_by(_NUMBERS.c.home_id, _NUMBERS.c.number)
        .having(func.count() > 1),
        "In home {0} the number {1} was given {2} times.",
    ),
    (
        select(collections.c.id, collections.c.revision, func.max(_LOST_REVISIONS.c.number))
        .join(_LOST_REVISIONS, _LOST_REVISIONS.c.id == collections.c.id)
        .group_by(collections.c.id, collections.c.revision)
        .having(func.max(_LOST_REVISIONS.c.number) > collections.c.revision),
        "Collection {0} has the revision {1}, but number {2} was drawn in it.",
    ),
    (
        select(collections.c.id, collections.c.path).where(
            or_(
                and_(collections.c.parent_id.is_(None), collections.c.path != ""),
                and_(collections.c.parent_id.is_not(None), collections.c.path == ""),
                collections.c.kind.not_in(_KINDS),
            )
        ),
        "Collection {0} ({1!r}) is neither the root of a home nor below one, or of no known kind.",
    ),
    (
        select(objects.c.id, objects.c.home_id, collections.c.home_id)
        .join(collections, collections.c.id == objects.c.collection_id)
        .where(objects.c.home_id != collections.c.home_id),
        "Object {0} says that it is in home {1}; its collection is in home {2}.",
    ),
    (
        select(objects.c.id, objects.c.name, objects.c.starts_at, objects.c.ends_at).where(
            objects.c.starts_at > objects.c.ends_at
        ),
        "Object {0} ({1!r}) begins at {2}, after it ends ({3}).",
    ),
    (
        select(objects.c.collection_id, objects.c.name).join(
            removals,
            and_(
                removals.c.collection_id == objects.c.collection_id,
                removals.c.name == objects.c.name,
                removals.c.was_collection.is_(false()),
            ),
        ),
        "In collection {0}, {1!r} is both there and removed.",
    ),
    (
        select(removals.c.collection_id, removals.c.name, removals.c.number, collections.c.floor)
        .join(collections, collections.c.id == removals.c.collection_id)
        .where(removals.c.number < collections.c.floor),
        "In collection {0}, the removal of {1!r} ({2}) lies below the floor ({3}).",
    ),
    (
        select(aces.c.collection_id, aces.c.position).where(
            or_(
                and_(aces.c.who == "principal", aces.c.principal_id.is_(None)),
                and_(aces.c.who == "property", aces.c.property == ""),
            )
        ),
        "ACE {1} of collection {0} names nobody.",
    ),
    (
        select(locks.c.token)
        .outerjoin(principals, principals.c.id == locks.c.principal_id)
        .where(principals.c.id.is_(None)),
        "The lock {0} belongs to nobody.",
    ),
    (
        select(queue.c.id, queue.c.kind, queue.c.state).where(
            or_(
                queue.c.state.not_in(["waiting", "done", "failed"]),
                and_(queue.c.state == "waiting", queue.c.finished.is_not(None)),
                and_(queue.c.state != "waiting", or_(queue.c.finished.is_(None), queue.c.lease != "")),
            )
        ),
        "Job {0} of the queue ({1}) is neither waiting nor done nor failed: {2}.",
    ),
    (
        select(queue.c.id, queue.c.kind, queue.c.leased_until).where(
            or_(
                and_(queue.c.lease == "", queue.c.leased_until != 0),
                and_(queue.c.lease != "", or_(queue.c.leased_until == 0, queue.c.attempts == 0)),
            )
        ),
        "Job {0} of the queue ({1}) is leased until {2}, to nobody.",
    ),
)


def check(connection: Connection) -> Iterator[str]:
    """A sentence for each thing that is wrong; nothing where all is well."""
    if connection.dialect.name == "sqlite":
        yield from _check_file(connection)
    for statement, sentence in RULES:
        for row in connection.execute(statement):
            yield sentence.format(*row)
    yield from _check_tree(connection)
    yield from _check_objects(connection)
    yield from _check_hashes(connection)


def _check_file(connection: Connection) -> Iterator[str]:
    for (sentence,) in connection.execute(text("PRAGMA integrity_check")):
        if sentence != "ok":
            yield f"SQLite says: {sentence}."
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"A row of {row[0]} points to a row of {row[2]} that is not there."


def _check_tree(connection: Connection) -> Iterator[str]:
    """Every collection lies where its parent is, and no name is there twice, or there and removed."""
    columns = (collections.c.id, collections.c.home_id, collections.c.parent_id, collections.c.path)
    rows = {row.id: row for row in connection.execute(select(*columns))}
    for row in rows.values():
        if row.parent_id is None:
            continue
        parent = rows[row.parent_id]
        above, _, name = row.path.rpartition("/")
        if parent.home_id != row.home_id or parent.path != above:
            yield f"Collection {row.id} ({row.path!r}) does not lie in its parent ({parent.path!r})."
        twin = select(objects.c.id).where(objects.c.collection_id == parent.id, objects.c.name == name)
        if connection.execute(twin).first() is not None:
            yield f"Collection {row.id} ({row.path!r}) has the name of an object beside it."
        removal = select(removals.c.number).where(
            removals.c.collection_id == parent.id, removals.c.name == name, removals.c.was_collection.is_(true())
        )
        if connection.execute(removal).first() is not None:
            yield f"Collection {row.id} ({row.path!r}) is both there and removed."


def _check_objects(connection: Connection) -> Iterator[str]:
    """Sizes and ETags follow from the bytes, hashes from the UIDs."""
    after = 0
    while True:
        columns = (objects.c.id, objects.c.name, objects.c.uid, objects.c.uid_hash)
        statement = select(*columns, objects.c.size, objects.c.etag, objects.c.body).where(objects.c.id > after)
        rows = connection.execute(statement.order_by(objects.c.id).limit(_PAGE)).all()
        for row in rows:
            if row.size != len(row.body):
                yield f"Object {row.id} ({row.name!r}) should have {row.size} bytes; there are {len(row.body)}."
            if row.etag != blake2b(row.body, digest_size=16).hexdigest():
                yield f"The ETag of object {row.id} ({row.name!r}) is not that of its bytes."
            if row.uid_hash != (key_hash(row.uid) if row.uid else None):
                yield f"Object {row.id} ({row.name!r}) cannot be found by its UID."
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def _check_hashes(connection: Connection) -> Iterator[str]:
    for uri, uri_hash in connection.execute(select(addresses.c.uri, addresses.c.uri_hash)):
        if uri_hash != key_hash(uri):
            yield f"The address {uri} cannot be found."
    for id_, uid, uid_hash in connection.execute(select(journal.c.id, journal.c.uid, journal.c.uid_hash)):
        if uid_hash != key_hash(uid):
            yield f"Entry {id_} of the scheduling log cannot be found by its UID."
    known = set(connection.execute(select(principals.c.id)).scalars()) | {0}
    for table in (principal_properties, collection_properties, object_properties):
        columns = (table.c.owner_id, table.c.principal_id, table.c.namespace, table.c.name, table.c.name_hash)
        for row in connection.execute(select(*columns)):
            if row.name_hash != key_hash(row.namespace, row.name):
                yield f"In {table.name}, {{{row.namespace}}}{row.name} of {row.owner_id} cannot be found."
            if row.principal_id not in known:
                yield f"In {table.name}, {{{row.namespace}}}{row.name} of {row.owner_id} belongs to nobody."
