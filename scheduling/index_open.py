"""Opening the free/busy index that the settings name: in memory, or in Redis where a URL is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduling.index_memory import MemoryIndex

if TYPE_CHECKING:
    from scheduling.index import FreeBusyIndex


def open_index(redis: str = "", *, prefix: str = "caldavd") -> FreeBusyIndex:
    """The index in Redis at this URL (``redis``, ``rediss``, ``unix``, ``redis+cluster`` …), or in memory.

    Nothing is connected yet. Raises ValueError where the client for Redis is not installed or the URL is none of these.
    """
    if not redis:
        return MemoryIndex()
    if not redis.startswith(("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")):
        raise ValueError("The URL of Redis looks like redis://127.0.0.1:6379/0.")
    try:
        from scheduling.index_redis import RedisIndex  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise ValueError(
            f"The client for Redis ({error.name}) is not installed: pip install 'caldavd[redis]'."
        ) from None
    return RedisIndex(redis, prefix=prefix)
