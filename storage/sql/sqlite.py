"""SQLite: one file, many readers, one writer at a time.

Two engines: the writer's has one connection, for which the threads of a process queue in order (SQLite's own queue
between processes is a poll), and every transaction on it begins with ``BEGIN IMMEDIATE``. What a transaction begins
with is the dialect's business (``do_begin``): an event for it would cost each statement a look at its listeners.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

#: Memory for pages of the database, in each connection, KiB.
_CACHE = 16_000


class Reading(SQLiteDialect_pysqlite):
    """Begins transactions that read: what they see is the database as of their first question."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begins a transaction (the driver, in autocommit mode, does not)."""
        dbapi_connection.execute("BEGIN")


class Writing(SQLiteDialect_pysqlite):
    """Begins transactions that write: a deferred one that reads first fails when another writes in between."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begins a transaction with the one lock for writing."""
        dbapi_connection.execute("BEGIN IMMEDIATE")


registry.register("sqlite.caldavd_reading", __name__, "Reading")
registry.register("sqlite.caldavd_writing", __name__, "Writing")


def connect(url: URL, *, readers: int, wait_seconds: float) -> tuple[Engine, Engine]:
    """The engine for reading and the one for writing."""
    writer = _engine(url.set(drivername="sqlite+caldavd_writing"), size=1, wait_seconds=wait_seconds)
    if url.database in {None, "", ":memory:"}:
        # A database in memory lives in its one connection.
        return writer, writer
    return _engine(url.set(drivername="sqlite+caldavd_reading"), size=readers, wait_seconds=wait_seconds), writer


def _engine(url: URL, *, size: int, wait_seconds: float) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_seconds,
        pool_use_lifo=True,
        query_cache_size=1000,
        connect_args={
            # None: the driver begins no transactions of its own.
            "isolation_level": None,
            # The pool hands a connection to one thread at a time.
            "check_same_thread": False,
            "timeout": wait_seconds,
            "cached_statements": 256,
        },
    )
    event.listen(engine, "do_connect", _connecting)
    event.listen(engine, "connect", _connected)
    return engine


def _connecting(_dialect: object, _record: object, arguments: list[Any], _options: object) -> None:
    """Makes a new file for its owner only: calendars are nobody else's business. Its journal inherits the mode."""
    file = Path(arguments[0])
    if str(file) != ":memory:" and not str(file).startswith("file:") and not file.exists():
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))


def _connected(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on the disk before it is acknowledged.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")
