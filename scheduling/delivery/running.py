"""Work that finds out only on its way whose calendars it reaches: run with their homes locked, and again with more.

Homes are locked once a transaction, all together and in ascending id (design section 4), or two people who invite each
other would wait for one another. Who an answer has to be told to is known only when the organizer's object has been
read under its lock. So the work raises :class:`NeedHomes`, the transaction is rolled back, and it is run again from its
start with those homes locked as well. On SQLite, where one transaction at a time writes, nobody can wait for one
another, and they are locked on the way (``Homes.lock_more``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from storage.errors import Busy
from storage.store import Store, Transaction

T = TypeVar("T")

#: How often work may find out that it needs more homes (request, reply, update; each may once, and others meanwhile).
WIDENINGS: Final = 6


class NeedHomes(Exception):
    """The homes of these principals have to be locked, too: run the work again from its start."""

    def __init__(self, owners: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(owners)))
        self.owners = owners


def run_locked(
    store: Store, owners: Iterable[str], work: Callable[[Transaction, frozenset[str]], T], *, write: bool = True
) -> T:
    """Runs ``work(tx, held)`` in one transaction of ``store`` with the homes of ``owners`` locked.

    ``owners`` are names of principals (those of nobody lock nothing), ``held`` are all that were asked for. Without
    ``write`` nothing is locked. Errors of ``work`` pass through.

    Raises:
        Busy: others change the same meeting all the time.
    """
    held = frozenset(owners)

    def attempt(tx: Transaction) -> T:
        if write and held:
            tx.homes.lock_of(held)
        return work(tx, held)

    for _ in range(WIDENINGS):
        try:
            return store.run(attempt, write=write)
        except NeedHomes as more:
            held |= more.owners
    raise Busy("The people of this meeting are being changed by others all the time; please try again.")
