"""What changed since: pages of the change log (RFC 6578).

The change log is the rows themselves: every object and collection holds the number of its last change, and a removed
member leaves one row in ``removals``. Every statement here is bounded by the revision that the first one read, so that
what is written meanwhile waits for a later page instead of being half seen. The floor is read in the statement that
reads the removals: where they were forgotten in between, it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import Row, Select, and_, bindparam, false, or_, select

from storage.errors import NotFound, TokenTooOld
from storage.rows import Collection, CollectionKind, Delta, HomeDelta, ObjectRow, Walk
from storage.sql.direct import Direct
from storage.sql.names import below, joined, split
from storage.sql.objects import columns_of
from storage.sql.schema import collections, objects, removals
from storage.sql.values import COLLECTION_COLUMNS, collection_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_ALWAYS = frozenset({"name", "number"})
#: As good as no limit, and a number that every database takes for one.
_ALL = 2**62
#: Rows that ``walk`` reads at a time.
_PAGE = 2000

_REMOVED = (
    select(collections.c.revision, collections.c.floor, removals.c.number, removals.c.name, removals.c.was_collection)
    .select_from(
        collections.outerjoin(
            removals,
            and_(
                removals.c.collection_id == collections.c.id,
                removals.c.number > bindparam("after"),
                removals.c.was_collection.in_(
                    [false(), bindparam("with_collections", type_=removals.c.was_collection.type)]
                ),
            ),
        )
    )
    .where(collections.c.id == bindparam("collection"))
    .order_by(removals.c.number)
    .limit(bindparam("limit"))
)
_BELOW = and_(
    collections.c.home_id == bindparam("home"),
    or_(
        # The collection itself: its members count, its own row does not.
        collections.c.id == bindparam("collection"),
        # Everything below; a home's root has the empty path, below which is everything.
        bindparam("everything", type_=collections.c.id.type) == 1,
        and_(collections.c.path >= bindparam("low"), collections.c.path < bindparam("high")),
    ),
)
_STATE = select(collections.c.revision, collections.c.floor).where(collections.c.id == bindparam("collection"))
_REMOVED_BELOW = (
    select(removals.c.number, collections.c.path, removals.c.name, removals.c.was_collection)
    .join(collections, collections.c.id == removals.c.collection_id)
    .where(_BELOW, removals.c.number > bindparam("after"), removals.c.number <= bindparam("revision"))
    .order_by(removals.c.number)
    .limit(bindparam("limit"))
)
_COLLECTIONS_BELOW = (
    select(*COLLECTION_COLUMNS)
    .where(
        _BELOW,
        collections.c.id != bindparam("collection"),
        collections.c.number > bindparam("cursor"),
        collections.c.number <= bindparam("revision"),
    )
    .order_by(collections.c.number)
    .limit(bindparam("limit"))
)
_CHILDREN = (
    select(*COLLECTION_COLUMNS)
    .where(
        collections.c.parent_id == bindparam("collection"),
        collections.c.revision > bindparam("cursor"),
        collections.c.revision <= bindparam("revision"),
    )
    .order_by(collections.c.revision)
    .limit(bindparam("limit"))
)


@lru_cache(maxsize=256)
def _changed(columns: frozenset[str]) -> Direct:
    return Direct(
        select(*columns_of(columns, _ALWAYS))
        .where(
            objects.c.collection_id == bindparam("collection"),
            objects.c.number > bindparam("cursor"),
            objects.c.number <= bindparam("revision"),
        )
        .order_by(objects.c.number)
        .limit(bindparam("limit"))
    )


@lru_cache(maxsize=256)
def _changed_below(columns: frozenset[str]) -> Select[Any]:
    return (
        select(*columns_of(columns, _ALWAYS), collections.c.path.label("collection_path"))
        .join(collections, collections.c.id == objects.c.collection_id)
        .where(
            _BELOW,
            collections.c.revision > bindparam("cursor"),
            objects.c.number > bindparam("cursor"),
            objects.c.number <= bindparam("revision"),
        )
        .order_by(objects.c.number)
        .limit(bindparam("limit"))
    )


class SqlChanges:
    """See :class:`storage.store.Changes`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def since(self, collection_id: int, *, base: int, cursor: int, limit: int | None, columns: frozenset[str]) -> Delta:
        """See :class:`storage.store.Changes`."""
        self._tx.flush()
        ask = _ALL if limit is None else limit + 1
        revision, removed = self._removed(collection_id, base=base, cursor=cursor, ask=ask)
        where = {"collection": collection_id, "cursor": cursor, "revision": revision, "limit": ask}
        changed = _changed(columns).all(self._tx, where)
        if limit is None or len(changed) + len(removed) <= limit:
            return Delta(
                changed=cast("Sequence[ObjectRow]", changed),
                removed=[name for _, name, _ in removed],
                reached=revision,
                truncated=False,
            )
        last = _last_of_page([row.number for row in changed], [number for number, _, _ in removed], limit=limit)
        return Delta(
            changed=cast("Sequence[ObjectRow]", [row for row in changed if row.number <= last]),
            removed=[name for number, name, _ in removed if number <= last],
            reached=last,
            truncated=True,
        )

    def walk(self, collection_id: int, *, base: int, cursor: int, columns: frozenset[str]) -> Walk:
        """See :class:`storage.store.Changes`."""
        self._tx.flush()
        revision, removed = self._removed(collection_id, base=base, cursor=cursor, ask=_ALL)
        where = {"collection": collection_id, "cursor": cursor, "revision": revision, "limit": _PAGE}
        return Walk(self._pages(columns, where), [name for _, name, _ in removed], revision)

    def _pages(self, columns: frozenset[str], where: dict[str, int]) -> Iterator[ObjectRow]:
        """What is written between two pages lies above the revision, and so in none of them."""
        while True:
            rows = cast("Sequence[ObjectRow]", _changed(columns).all(self._tx, where))
            yield from rows
            if len(rows) < _PAGE:
                return
            where = {**where, "cursor": rows[-1].number}

    def _removed(
        self, collection_id: int, *, base: int, cursor: int, ask: int, with_collections: Literal[True, False] = False
    ) -> tuple[int, list[tuple[int, str, bool]]]:
        """The collection's revision, and its removals as (number, name, whether it was a collection)."""
        where = {
            "collection": collection_id,
            "after": max(base, cursor),
            "limit": ask,
            "with_collections": with_collections,
        }
        rows = self._tx.execute(_REMOVED, where).all()
        if not rows:
            raise NotFound(f"There is no collection {collection_id}.")
        revision, floor = rows[0][0], rows[0][1]
        _check_base(base, floor=floor, revision=revision)
        return revision, [(row[2], row[3], row[4]) for row in rows if row[2] is not None]

    def since_below(
        self,
        collection: Collection,
        *,
        base: int,
        cursor: int,
        limit: int | None,
        infinite: bool,
        columns: frozenset[str],
    ) -> HomeDelta:
        """See :class:`storage.store.Changes`."""
        self._tx.flush()
        ask = _ALL if limit is None else limit + 1
        low, high = below(joined(collection.path))
        where: dict[str, object] = {
            "collection": collection.id,
            "home": collection.home_id,
            "everything": int(collection.kind is CollectionKind.HOME),
            "low": low,
            "high": high,
            "cursor": cursor,
            "after": max(base, cursor),
            "limit": ask,
        }
        removed: list[tuple[int, tuple[str, ...], bool]]
        if infinite:
            where["revision"] = revision = self._state(collection.id, base=base)
            rows = self._tx.execute(_REMOVED_BELOW, where)
            removed = [(number, (*split(path), name), was) for number, path, name, was in rows]
            # Once more, after the removals were read: they may have been forgotten in between.
            self._state(collection.id, base=base)
        else:
            revision, names = self._removed(collection.id, base=base, cursor=cursor, ask=ask, with_collections=True)
            where["revision"] = revision
            removed = [(number, (*collection.path, name), was) for number, name, was in names]
        found = self._collections(where, infinite=infinite)
        members = self._objects(collection, where, infinite=infinite, columns=columns)
        return _home_delta(found, members, removed, limit=limit, revision=revision)

    def _state(self, collection_id: int, *, base: int) -> int:
        row = self._tx.execute(_STATE, {"collection": collection_id}).first()
        if row is None:
            raise NotFound(f"There is no collection {collection_id}.")
        _check_base(base, floor=row.floor, revision=row.revision)
        return cast("int", row.revision)

    def _collections(self, where: dict[str, object], *, infinite: bool) -> list[tuple[int, Collection]]:
        rows = self._tx.execute(_COLLECTIONS_BELOW if infinite else _CHILDREN, where)
        found = [collection_of(row) for row in rows]
        return [(one.number if infinite else one.revision, one) for one in found]

    def _objects(
        self, collection: Collection, where: dict[str, object], *, infinite: bool, columns: frozenset[str]
    ) -> list[tuple[int, tuple[tuple[str, ...], Row[Any]]]]:
        if not infinite:
            path = collection.path
            return [(row.number, (path, row)) for row in _changed(columns).all(self._tx, where)]
        rows = self._tx.execute(_changed_below(columns), where)
        return [(row.number, (split(row.collection_path), row)) for row in rows]


def _home_delta(
    found: Sequence[tuple[int, Collection]],
    members: Sequence[tuple[int, tuple[tuple[str, ...], Row[Any]]]],
    removed: Sequence[tuple[int, tuple[str, ...], bool]],
    *,
    limit: int | None,
    revision: int,
) -> HomeDelta:
    truncated = limit is not None and len(found) + len(members) + len(removed) > limit
    last = revision
    if truncated and limit is not None:
        first = itemgetter(0)
        last = _last_of_page([*map(first, found), *map(first, members)], list(map(first, removed)), limit=limit)
    return HomeDelta(
        collections=[collection for number, collection in found if number <= last],
        objects=cast(
            "Sequence[tuple[tuple[str, ...], ObjectRow]]", [member for number, member in members if number <= last]
        ),
        removed=[path for number, path, was in removed if not was and number <= last],
        removed_collections=[path for number, path, was in removed if was and number <= last],
        reached=last,
        truncated=truncated,
    )


def _check_base(base: int, *, floor: int, revision: int) -> None:
    if base < floor:
        raise TokenTooOld(f"Changes before {floor} are no longer known here; {base} was asked for.")
    if base > revision:
        raise TokenTooOld(f"Nothing has the number {base} here yet; the last one is {revision}.")


def _last_of_page(changed: Sequence[int], removed: Sequence[int], *, limit: int) -> int:
    """The number of the last item of a full page."""
    return sorted((*changed, *removed))[limit - 1]
