"""What differs between the databases: how to connect, how to lock a row, what an error means.

Isolation (design section 4): READ COMMITTED on PostgreSQL and MariaDB; :mod:`storage.sql.sqlite` for SQLite.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, Select, create_engine, exc
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.pool import QueuePool

from storage.errors import SchemaMismatch
from storage.sql import sqlite

#: Drivers by the bare name of a database, and the extra that installs each.
_DRIVERS = {
    "sqlite": ("sqlite+pysqlite", ""),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "postgres": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "mysql"),
}
#: The oldest servers that have what is used here (binary collations without padding, SKIP-free row locks, CTEs).
_OLDEST = {"PostgreSQL": (12,), "MariaDB": (10, 5), "MySQL": (8, 0, 17), "SQLite": (3, 35)}


class Verdict(Enum):
    """What an error of the database means for the transaction that met it."""

    #: Deadlock, serialization failure, failure at commit: the same work may succeed at once.
    RETRY = "retry"
    #: A constraint was violated: either a lost race, which the next attempt will see, or a bug.
    RACE = "race"
    #: The connection is gone.
    LOST = "lost"
    #: The database did not get round to it in the time allowed.
    BUSY = "busy"
    #: Nothing that running again would cure.
    BUG = "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How many connections a process keeps and how long anything may take, seconds."""

    size: int
    pre_ping: bool
    wait_seconds: float
    connect_seconds: float


@dataclass(frozen=True, slots=True)
class Backend:
    """The name of the dialect; what begins transactions that read, and what begins those that write."""

    name: str
    reader: Engine | sqlite.Readers
    writer: Engine

    def dispose(self) -> None:
        """Closes the connections that are not in use."""
        self.reader.dispose()
        self.writer.dispose()

    @property
    def networked(self) -> bool:
        """Whether a COMMIT can be sent and its answer be lost."""
        return self.name != "sqlite"

    @property
    def reads_outside_of_blocks(self) -> bool:
        """Whether transactions that only read are none for the database (see ``connect``)."""
        return self.name == "postgresql"

    @property
    def upserts(self) -> bool:
        """Whether many rows are rewritten in one trip only by an INSERT of rows that exist (see ``bulk``)."""
        return self.name in ("mysql", "mariadb")

    def locking(self, select: Select[Any]) -> Select[Any]:
        """The query with a lock on each row it returns, held until the transaction ends.

        PostgreSQL: ``FOR NO KEY UPDATE``, which foreign keys that point to the row do not wait for. SQLite has locked
        the whole database already.
        """
        if self.name == "sqlite":
            return select
        return _locked(select, key_share=self.name == "postgresql")

    def verdict(self, error: exc.DBAPIError) -> Verdict:
        """What an error means; see :class:`Verdict`."""
        if isinstance(error.orig, sqlite3.Error):
            return _sqlite_verdict(error.orig)
        if error.connection_invalidated:
            return Verdict.LOST
        if self.name == "postgresql":
            return _POSTGRESQL.get(getattr(error.orig, "sqlstate", None) or "08000", Verdict.BUG)
        arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
        return _MYSQL.get(arguments[0] if arguments else 0, Verdict.BUG)


@lru_cache(maxsize=32)
def _locked(select: Select[Any], *, key_share: bool) -> Select[Any]:
    return select.with_for_update(key_share=key_share)


#: SQLSTATE, PostgreSQL's documentation appendix A.
_POSTGRESQL = {
    "40001": Verdict.RETRY,  # serialization_failure
    "40P01": Verdict.RETRY,  # deadlock_detected
    "23505": Verdict.RACE,  # unique_violation
    "23503": Verdict.RACE,  # foreign_key_violation
    "55P03": Verdict.BUSY,  # lock_not_available: the lock time-out
    "57014": Verdict.BUSY,  # query_canceled: the statement time-out
    "53300": Verdict.BUSY,  # too_many_connections
    "57P01": Verdict.LOST,  # admin_shutdown
    "57P02": Verdict.LOST,  # crash_shutdown
    "57P03": Verdict.LOST,  # cannot_connect_now
    "57P05": Verdict.LOST,  # idle_session_timeout
    "25P03": Verdict.LOST,  # idle_in_transaction_session_timeout
    "08000": Verdict.LOST,  # connection_exception, and an error without SQLSTATE: the server was not reached
    "08001": Verdict.LOST,
    "08003": Verdict.LOST,
    "08006": Verdict.LOST,
}
#: Error numbers of MariaDB and MySQL; 0 and 2xxx are the driver's own.
_MYSQL = {
    1213: Verdict.RETRY,  # ER_LOCK_DEADLOCK, also certification failure at commit (Galera)
    1020: Verdict.RETRY,  # ER_CHECKREAD: record has changed since last read (snapshot isolation)
    1180: Verdict.RETRY,  # ER_ERROR_DURING_COMMIT
    1047: Verdict.RETRY,  # ER_UNKNOWN_COM_ERROR: a Galera node that is not ready
    1062: Verdict.RACE,  # ER_DUP_ENTRY
    1452: Verdict.RACE,  # ER_NO_REFERENCED_ROW_2
    1451: Verdict.RACE,  # ER_ROW_IS_REFERENCED_2
    1205: Verdict.BUSY,  # ER_LOCK_WAIT_TIMEOUT
    1040: Verdict.BUSY,  # ER_CON_COUNT_ERROR
    1203: Verdict.BUSY,  # ER_TOO_MANY_USER_CONNECTIONS
    3024: Verdict.BUSY,  # ER_QUERY_TIMEOUT
    1969: Verdict.BUSY,  # ER_STATEMENT_TIMEOUT
    1053: Verdict.LOST,  # ER_SERVER_SHUTDOWN
    1927: Verdict.LOST,  # ER_CONNECTION_KILLED
    4031: Verdict.LOST,  # ER_CLIENT_INTERACTION_TIMEOUT
    0: Verdict.LOST,
    2003: Verdict.LOST,
    2006: Verdict.LOST,
    2013: Verdict.LOST,
    2014: Verdict.LOST,
    2055: Verdict.LOST,
}


def _sqlite_verdict(error: sqlite3.Error) -> Verdict:
    code = sqlite.primary_code(error)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Verdict.BUSY
    return Verdict.RACE if code == sqlite3.SQLITE_CONSTRAINT else Verdict.BUG


def connect(url: str, pool: Pool) -> Backend:
    """Makes the engines; no connection is opened yet.

    Raises:
        ValueError: The URL names no database that this store knows, or its driver is not installed.
    """
    parsed = _with_driver(url)
    name = parsed.get_backend_name()
    if name == "sqlite":
        reading, writer = sqlite.connect(parsed, readers=pool.size, wait_seconds=pool.wait_seconds)
        return Backend(name, reading or writer, writer)
    try:
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            poolclass=QueuePool,
            pool_size=pool.size,
            max_overflow=0,
            pool_timeout=pool.wait_seconds,
            pool_use_lifo=True,
            pool_pre_ping=pool.pre_ping,
            # Every transaction here is ended by who began it; a rollback to be sure would be one more way to and fro.
            pool_reset_on_return=None,
            query_cache_size=1000,
            connect_args=_postgresql_arguments(pool) if name == "postgresql" else _mysql_arguments(pool),
        )
    except ModuleNotFoundError as error:
        extra = next(extra for driver, extra in _DRIVERS.values() if driver == parsed.drivername)
        raise ValueError(
            f"The driver {error.name} for this database is not installed: pip install 'caldavd[{extra}]'."
        ) from error
    # On READ COMMITTED a transaction that only reads sees no more than its statements would alone. psycopg then leaves
    # BEGIN and COMMIT out; PyMySQL would have to say so to the server each time.
    reader = engine.execution_options(isolation_level="AUTOCOMMIT") if name == "postgresql" else engine
    return Backend(name, reader, engine)


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ValueError("A store's URL looks like sqlite:////var/lib/caldavd/caldavd.db.") from None
    if "+" not in parsed.drivername:
        if parsed.drivername not in _DRIVERS:
            raise ValueError(f"There is no store for {parsed.drivername!r}: sqlite, postgresql, mariadb or mysql.")
        parsed = parsed.set(drivername=_DRIVERS[parsed.drivername][0])
    if parsed.drivername not in {driver for driver, _ in _DRIVERS.values()}:
        raise ValueError(f"There is no store for {parsed.drivername!r}: sqlite, postgresql, mariadb or mysql.")
    return parsed


def _postgresql_arguments(pool: Pool) -> dict[str, Any]:
    return {
        "connect_timeout": max(1, round(pool.connect_seconds)),
        "options": f"-c lock_timeout={round(pool.wait_seconds * 1000)} -c timezone=UTC",
        "application_name": "caldavd",
    }


def _mysql_arguments(pool: Pool) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "connect_timeout": max(1, round(pool.connect_seconds)),
        # STRICT: a text that does not fit is an error, not a shorter text.
        "init_command": "SET SESSION innodb_lock_wait_timeout = "
        f"{max(1, round(pool.wait_seconds))}, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    }


def check_server(connection: Connection) -> None:
    """Raises :class:`~storage.errors.SchemaMismatch` where the database server is too old for this store."""
    dialect = connection.dialect
    product = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(dialect.name, "MySQL")
    if getattr(dialect, "is_mariadb", False):
        product = "MariaDB"
    version = tuple(part for part in (dialect.server_version_info or ()) if isinstance(part, int))
    if version < _OLDEST[product]:
        needed = ".".join(map(str, _OLDEST[product]))
        raise SchemaMismatch(f"This is {product} {'.'.join(map(str, version))}; {needed} or newer is needed.")
