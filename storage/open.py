"""Opening a store: the SQL store that comes with the server, or somebody else's.

``[storage] type`` is ``sql`` or ``module:factory``: a callable with the arguments of :func:`open_store` that returns a
:class:`storage.store.Store`. See ``docs/storage-plugin.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from config.clock import Clock, system_clock

if TYPE_CHECKING:
    from storage.store import Store


class StoreFactory(Protocol):
    """What ``[storage] type = "module:factory"`` names; the arguments are those of :func:`open_store`."""

    def __call__(  # noqa: D102, PLR0913 - they are settings, by keyword
        self,
        url: str,
        *,
        clock: Clock,
        default_quota: int | None,
        pool_size: int,
        pre_ping: bool,
        wait_seconds: float,
        connect_seconds: float,
        attempts: int,
        options: Mapping[str, Any],
    ) -> Store: ...


def open_store(  # noqa: PLR0913 - they are settings, by keyword
    url: str,
    *,
    type: str = "sql",  # noqa: A002 - the name of the setting
    clock: Clock = system_clock,
    default_quota: int | None = None,
    pool_size: int = 10,
    pre_ping: bool = False,
    wait_seconds: float = 10,
    connect_seconds: float = 5,
    attempts: int = 8,
    options: Mapping[str, Any] | None = None,
) -> Store:
    """Opens a store; nothing is read or written yet (``check_schema`` and ``upgrade`` do that).

    Args:
        url: ``sqlite:////var/lib/caldavd/caldavd.db``, ``postgresql://user@host/database``, ``mariadb://user@host/database``.
        type: ``sql``, or ``module:factory`` of another store.
        clock: Gives the time of each transaction.
        default_quota: Bytes of a home that has no quota of its own; ``None``: no limit.
        pool_size: Connections that this process keeps at most: as many as it has threads.
        pre_ping: Asks each connection whether it lives before it is used. Not needed: work on a dead one is run again.
        wait_seconds: How long a transaction waits for a row, for its turn to write (SQLite) or for a free connection.
        connect_seconds: How long the database may take to answer the first time.
        attempts: How often a transaction that lost a race or a deadlock is run before it is ``Busy``.
        options: Settings of a plugin; the SQL store has none.

    Raises:
        ValueError: The URL, the type or the options are not such as can be opened.
    """
    factory = _sql_store if type == "sql" else _plugged_in(type)
    return factory(
        url,
        clock=clock,
        default_quota=default_quota,
        pool_size=pool_size,
        pre_ping=pre_ping,
        wait_seconds=wait_seconds,
        connect_seconds=connect_seconds,
        attempts=attempts,
        options=options or {},
    )


def _sql_store(  # noqa: PLR0913 - they are settings, by keyword
    url: str,
    *,
    clock: Clock,
    default_quota: int | None,
    pool_size: int,
    pre_ping: bool,
    wait_seconds: float,
    connect_seconds: float,
    attempts: int,
    options: Mapping[str, Any],
) -> Store:
    # Imported here: who uses another store needs none of it.
    from storage.sql.backend import Pool, connect  # noqa: PLC0415
    from storage.sql.store import SqlStore  # noqa: PLC0415

    if options:
        raise ValueError(f"The SQL store has no options; there are {', '.join(sorted(options))}.")
    pool = Pool(size=pool_size, pre_ping=pre_ping, wait_seconds=wait_seconds, connect_seconds=connect_seconds)
    backend = connect(url, pool)
    return SqlStore(backend, clock=clock, default_quota=default_quota, attempts=attempts)


def _plugged_in(type_: str) -> StoreFactory:
    module, colon, name = type_.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"[storage] type is 'sql' or 'module:factory', not {type_!r}.")
    try:
        factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"[storage] type = {type_!r} cannot be loaded: {error}") from error
    return cast("StoreFactory", factory)
