"""Rows of homes and collections as the values of :mod:`storage.rows`.

The same row comes with every request to a calendar until it is written, and looking up the value of a row takes a
quarter of making it: the last few thousand are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from storage.rows import Collection, CollectionKind, Home
from storage.sql.names import split
from storage.sql.schema import collections, homes

#: In the order that :func:`home_of` reads.
HOME_COLUMNS = (
    homes.c.id,
    homes.c.principal_id,
    homes.c.owner,
    homes.c.counter,
    homes.c.generation,
    homes.c.quota,
    homes.c.used,
)
#: In the order that :func:`collection_of` reads.
COLLECTION_COLUMNS = (
    collections.c.id,
    collections.c.home_id,
    collections.c.parent_id,
    collections.c.path,
    collections.c.kind,
    collections.c.components,
    collections.c.number,
    collections.c.revision,
    collections.c.floor,
    collections.c.created,
    collections.c.modified,
)
_KINDS = {kind.value: kind for kind in CollectionKind}


def home_of(row: Sequence[Any]) -> Home:
    """The first columns of a row as a home."""
    return _home(tuple(row[: len(HOME_COLUMNS)]))


def collection_of(row: Sequence[Any], start: int = 0) -> Collection:
    """The columns of a row from ``start`` on as a collection."""
    return _collection(tuple(row[start : start + len(COLLECTION_COLUMNS)]))


@lru_cache(maxsize=2048)
def _home(row: tuple[Any, ...]) -> Home:
    id_, principal_id, owner, counter, generation, quota, used = row
    return Home(id_, principal_id, owner, counter, generation, quota=quota, used=used)


@lru_cache(maxsize=4096)
def _collection(row: tuple[Any, ...]) -> Collection:
    id_, home_id, parent_id, path, kind, components, number, revision, floor, created, modified = row
    return Collection(
        id=id_,
        home_id=home_id,
        parent_id=parent_id,
        path=split(path),
        kind=_KINDS[kind],
        components=tuple(components.split(",")) if components else (),
        number=number,
        revision=revision,
        floor=floor,
        created=created,
        modified=modified,
    )
