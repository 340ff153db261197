"""Rows of many homes rewritten at once, each with values of its own: one trip to the database for a batch of rows.

SQLite runs in this process, and the driver of PostgreSQL sends a list of parameters down in one go (its pipeline mode).
The driver of MariaDB and MySQL would send an UPDATE a row; what it does send in one go is INSERT, whose rows exist
already: the homes that they belong to are locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, Table, Update, bindparam, select, update
from sqlalchemy.dialects import mysql

from storage.batches import batches
from storage.sql.schema import collections

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

#: Rows in one statement: of objects, these are the megabytes that are under way at once.
ROWS = 200

_BY_PATH = update(collections).where(
    collections.c.home_id == bindparam("home"), collections.c.path == bindparam("place")
)
_OF_HOMES = select(collections).where(collections.c.home_id.in_(bindparam("homes", expanding=True)))


@lru_cache(maxsize=16)
def _upsert(table: Table, columns: tuple[str, ...]) -> Insert:
    statement = mysql.insert(table)
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in columns})


@lru_cache(maxsize=16)
def _by_id(table: Table) -> Update:
    return update(table).where(table.c.id == bindparam("row_id"))


def rewrite(tx: SqlTransaction, table: Table, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> None:
    """Sets ``columns`` of rows that exist. ``rows`` are whole: with ``id`` and every other column of ``table``."""
    for batch in batches(rows, ROWS):
        if tx.backend.upserts:
            tx.execute(_upsert(table, tuple(columns)), batch)
        else:
            changes = [{"row_id": row["id"], **{name: row[name] for name in columns}} for row in batch]
            tx.execute(_by_id(table), changes)


def write_revisions(tx: SqlTransaction, revisions: Mapping[tuple[int, str], int]) -> None:
    """Sets the revision of collections, by their home and path, and that they were modified now."""
    if not tx.backend.upserts:
        changes = [
            {"home": home_id, "place": path, "revision": revision, "modified": tx.now}
            for (home_id, path), revision in revisions.items()
        ]
        for part in batches(changes, ROWS):
            tx.execute(_BY_PATH, part)
        return
    for homes in batches(dict.fromkeys(home_id for home_id, _ in revisions)):
        found = [row._asdict() for row in tx.execute(_OF_HOMES, {"homes": homes})]
        rows = [
            {**row, "revision": revisions[row["home_id"], row["path"]], "modified": tx.now}
            for row in found
            if (row["home_id"], row["path"]) in revisions
        ]
        rewrite(tx, collections, rows, columns=("revision", "modified"))
