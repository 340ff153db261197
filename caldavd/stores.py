"""From the settings to an open store: for the server and for the command line alike."""

from __future__ import annotations

from config.settings import Settings
from storage.open import open_store
from storage.store import Store


def store_of(settings: Settings, *, connections: int) -> Store:
    """The store that the settings name, with at most ``connections`` connections to its database in this process.

    Raises ``ValueError`` where the settings name nothing that can be opened.
    """
    storage = settings.storage
    return open_store(
        storage.url,
        type=storage.type,
        default_quota=int(settings.limits.quota) or None,
        pool_size=connections,
        wait_seconds=storage.wait_seconds,
        attempts=storage.attempts,
        options=storage.options,
    )
