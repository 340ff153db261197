"""Which locks cover which paths (RFC 4918 section 6.1), and the locks of the homes that a request touches.

A lock is a row with a path below a home. It covers its root and, with depth infinity, all below; what is covered is
computed from the paths, so a resource that is put or moved below a locked collection is locked without another row
(section 7.4). What a request may do with that is decided in :mod:`caldavd.locking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.rows import Lock
from storage.store import Transaction

Path = tuple[str, ...]


def covers(lock: Lock, path: Path) -> bool:
    """Whether the resource at ``path`` is locked by ``lock``, directly or indirectly (section 6.1)."""
    return lock.path == path or (lock.infinite and path[: len(lock.path)] == lock.path)


def covering(locks: Iterable[Lock], path: Path) -> list[Lock]:
    """Those of ``locks`` that the resource at ``path`` is locked by."""
    return [lock for lock in locks if covers(lock, path)]


def rooted_below(locks: Iterable[Lock], path: Path) -> list[Lock]:
    """Those of ``locks`` whose root lies strictly below ``path``."""
    return [lock for lock in locks if len(lock.path) > len(path) and lock.path[: len(path)] == path]


class HeldLocks:
    """The locks of homes, read once a home and transaction: a listing asks for them for every row."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._of_home: dict[int, Sequence[Lock]] = {}

    def of_home(self, home_id: int) -> Sequence[Lock]:
        """All locks of the home that have not expired."""
        if home_id not in self._of_home:
            self._of_home[home_id] = self._tx.locks.of_home(home_id)
        return self._of_home[home_id]

    def forget(self) -> None:
        """After locks were taken, refreshed or removed."""
        self._of_home.clear()
