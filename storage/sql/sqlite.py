"""SQLite: one file, many readers, one writer at a time.

Two engines: the writer's has one connection, for which the threads of a process queue in order, and every transaction
on it begins with ``BEGIN IMMEDIATE``. What a transaction begins with is the dialect's business (``do_begin``): an event
for it would cost each statement a look at its listeners. Between processes there is no queue: who waits looks again and
again. SQLite does so ever more seldom, and then who waits longest waits for ever, so it is done here, evenly.

Connections for reading are kept open by :class:`Readers` from one transaction to the next: a question is answered in
five microseconds, and SQLAlchemy's pool takes thirty to hand a connection out and to take it back.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Lock
from types import TracebackType
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool, QueuePool

from storage.sql.turns import TURNS

#: Who waits for another process to have written looks again after so many seconds: less than a short write takes.
_LOOK_AGAIN = 0.0002
#: Memory for pages of the database, in each connection, KiB. What is not in it comes from the system's cache.
_CACHE = 2_000


class ReadingDialect(SQLiteDialect_pysqlite):
    """Begins transactions that read: what they see is the database as of their first question."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begins a transaction (the driver, in autocommit mode, does not), unless :class:`Readers` has begun it."""
        if not dbapi_connection.in_transaction:
            dbapi_connection.execute("BEGIN")


class WritingDialect(SQLiteDialect_pysqlite):
    """Begins transactions that write: a deferred one that reads first fails when another writes in between.

    There is one connection for it (``connect``), so one turn at a time (:mod:`storage.sql.turns`).
    """

    supports_statement_cache = True
    #: How long another process may write, seconds.
    wait_seconds = 0.0
    _turn: Lock | None = None

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begins a transaction with the one lock for writing."""
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                dbapi_connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_LOOK_AGAIN)
        self._turn = TURNS.take()

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commits; others go on while the disk is waited for."""
        self._end_turn()
        dbapi_connection.commit()

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Takes everything back."""
        self._end_turn()
        dbapi_connection.rollback()

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()


registry.register("sqlite.caldavd_reading", __name__, "ReadingDialect")
registry.register("sqlite.caldavd_writing", __name__, "WritingDialect")


class Readers:
    """The connections of a process for reading: ``size`` at most, opened when they are first needed.

    ``take`` gives one on which nothing has begun, ``give`` keeps it for the next transaction.
    """

    def __init__(self, engine: Engine, *, size: int, wait_seconds: float) -> None:
        self._engine = engine
        self._size = size
        self._wait_seconds = wait_seconds
        self._fill()

    def _fill(self) -> None:
        self._process = os.getpid()
        #: ``None`` is a place for a connection that is not open yet. The last one given is the next one taken.
        self._kept: LifoQueue[Connection | None] = LifoQueue()
        for _ in range(self._size):
            self._kept.put(None)

    def begin(self) -> Reading:
        """A transaction that reads, for a ``with`` statement, which gets its connection."""
        return Reading(self)

    def take(self) -> Connection:
        """A connection on which nothing has begun. Raises ``sqlalchemy.exc.TimeoutError`` where none comes free."""
        if self._process != os.getpid():
            self._fill()  # SQLite's connections must not be carried into a child process
        try:
            kept = self._kept.get(timeout=self._wait_seconds)
        except Empty:
            raise exc.TimeoutError("No connection for reading came free.") from None
        if kept is not None:
            return kept
        try:
            return self._engine.connect()
        except BaseException:
            self._kept.put(None)
            raise

    def give(self, connection: Connection, *, broken: bool) -> None:
        """Takes a connection back; a broken one is closed."""
        try:
            if broken:
                connection.close()
        finally:
            self._kept.put(None if broken else connection)

    def connect(self) -> Connection:
        """A connection beside the kept ones, closed by who asked for it."""
        return self._engine.connect()

    def dispose(self) -> None:
        """Closes the connections that are not in use."""
        kept: list[Connection | None] = []
        with contextlib.suppress(Empty):
            while True:
                kept.append(self._kept.get_nowait())
        for connection in kept:
            if connection is not None and self._process == os.getpid():
                connection.close()
            self._kept.put(None)


class Reading:
    """One transaction that reads: what it sees is the database as of its first question."""

    __slots__ = ("_connection", "_readers", "_turn")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> Connection:
        self._connection = connection = self._readers.take()
        self._turn = TURNS.take()
        try:
            _driver(connection).execute("BEGIN")
        except BaseException:
            self._readers.give(connection, broken=True)
            self._turn.release()
            raise
        return connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        connection = self._connection
        broken = True
        try:
            if connection.in_transaction():  # SQLAlchemy was asked as well, and keeps a transaction of its own
                connection.rollback()
            else:
                _driver(connection).rollback()
            # A question that work left in its middle lives as long as its error, and with it what it saw: a transaction
            # on the same connection would see that, too.
            broken = error is not None
        finally:
            self._turn.release()
            self._readers.give(connection, broken=broken)


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def connect(url: URL, *, readers: int, wait_seconds: float) -> tuple[Readers | None, Engine]:
    """The connections for reading, and the engine for writing."""
    writer = _engine(
        url.set(drivername="sqlite+caldavd_writing"),
        wait_seconds=wait_seconds,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=wait_seconds,
        pool_use_lifo=True,
    )
    cast("WritingDialect", writer.dialect).wait_seconds = wait_seconds
    event.listen(writer, "connect", _waits_itself)
    if url.database in {None, "", ":memory:"}:
        # A database in memory lives in its one connection.
        return None, writer
    reader = _engine(url.set(drivername="sqlite+caldavd_reading"), wait_seconds=wait_seconds, poolclass=NullPool)
    return Readers(reader, size=readers, wait_seconds=wait_seconds), writer


def _engine(url: URL, *, wait_seconds: float, **pool: Any) -> Engine:
    engine = create_engine(
        url,
        query_cache_size=1000,
        connect_args={
            # None: the driver begins no transactions of its own.
            "isolation_level": None,
            # A connection is used by one thread at a time.
            "check_same_thread": False,
            "timeout": wait_seconds,
            "cached_statements": 256,
        },
        **pool,
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


def _waits_itself(connection: sqlite3.Connection, _record: object) -> None:
    """A transaction that writes waits when it begins, and does it itself; behind that nothing stands in its way."""
    connection.execute("PRAGMA busy_timeout = 0")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code: the low byte, above which stands the extended one. 0 for what the driver itself refuses."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
