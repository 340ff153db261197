"""Opening the free/busy index that the settings name: in memory, or in Redis where a URL is given."""

from __future__ import annotations

from typing import Protocol

from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index import FreeBusyIndex
from scheduling.freebusy.index_memory import MemoryIndex


class Settings(Protocol):
    """The section ``[freebusy]``."""

    @property
    def redis(self) -> str:
        """The URL of Redis; empty for none."""

    @property
    def prefix(self) -> str:
        """What keys begin with."""

    @property
    def timeout_milliseconds(self) -> int:
        """How long Redis may take."""

    @property
    def pause_seconds(self) -> int:
        """How long it is left alone after it failed."""

    @property
    def days_ahead(self) -> int:
        """How far the index looks."""

    @property
    def days_back(self) -> int:
        """The same for the past."""


def free_busy_of(settings: Settings) -> FreeBusy:
    """What answers who is busy when, by these settings. Raises ValueError as ``open_index``."""
    index = open_index(
        settings.redis,
        prefix=settings.prefix,
        timeout=settings.timeout_milliseconds / 1000,
        pause=float(settings.pause_seconds),
    )
    return FreeBusy(index, days_back=settings.days_back, days_ahead=settings.days_ahead)


def open_index(redis: str = "", *, prefix: str = "caldavd", timeout: float = 0.25, pause: float = 5.0) -> FreeBusyIndex:
    """The index in Redis at this URL (``redis``, ``rediss``, ``unix``, ``redis+cluster`` …), or in memory.

    ``timeout`` and ``pause`` are seconds. Nothing is connected yet. Raises ValueError where the client for Redis is not
    installed or the URL is none of these.
    """
    if not redis:
        return MemoryIndex()
    if not redis.startswith(("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")):
        raise ValueError("The URL of Redis looks like redis://127.0.0.1:6379/0.")
    try:
        from scheduling.freebusy.index_redis import RedisIndex  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise ValueError(
            f"The client for Redis ({error.name}) is not installed: pip install 'caldavd[redis]'."
        ) from None
    return RedisIndex(redis, prefix=prefix, timeout=timeout, pause=pause)
