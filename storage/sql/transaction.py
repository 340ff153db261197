"""One transaction: its connection, the homes it holds, and the numbers it has drawn.

The counters of the locked homes and the revisions of their collections are kept here and written once, before the
commit or before something reads them. A home that is not locked cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import BindParameter, Connection, Update, bindparam, update

from storage.errors import Misuse, QuotaExceeded
from storage.rows import Collection, Home
from storage.sql.acls import SqlAcls
from storage.sql.backend import Backend
from storage.sql.bookings import SqlBookings
from storage.sql.changes import SqlChanges
from storage.sql.collections import SqlCollections
from storage.sql.homes import SqlHomes
from storage.sql.journal import SqlJournal
from storage.sql.locks import SqlLocks
from storage.sql.logins import SqlLogins
from storage.sql.names import upward
from storage.sql.objects import SqlObjects
from storage.sql.principals import SqlPrincipals
from storage.sql.properties import SqlProperties
from storage.sql.queue import SqlQueue
from storage.sql.schema import collections, homes

# Which columns an UPDATE sets follows from the parameters that it is run with.
_WRITE_HOME = update(homes).where(homes.c.id == bindparam("home"))


@lru_cache(maxsize=64)
def _write_revision(paths: int) -> Update:
    names: list[BindParameter[str]] = [bindparam(f"path_{position}") for position in range(paths)]
    return update(collections).where(collections.c.home_id == bindparam("home"), collections.c.path.in_(names))


class HeldHome:
    """A locked home, with what this transaction has changed of its row and not yet written."""

    __slots__ = ("changed", "counter", "generation", "id", "owner", "principal_id", "quota", "revisions", "used")

    def __init__(self, home: Home) -> None:
        self.id = home.id
        self.principal_id = home.principal_id
        self.owner = home.owner
        self.counter = home.counter
        self.generation = home.generation
        self.quota = home.quota
        self.used = home.used
        self.changed = False
        #: ``{path: the last number drawn there}`` of collections whose revision is not yet written.
        self.revisions: dict[str, int] = {}

    def home(self) -> Home:
        """As a value."""
        return Home(
            self.id, self.principal_id, self.owner, self.counter, self.generation, quota=self.quota, used=self.used
        )


class SqlTransaction:
    """See :class:`storage.store.Transaction`."""

    def __init__(
        self, connection: Connection, backend: Backend, *, now: int, write: bool, default_quota: int | None
    ) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.backend = backend
        self.now = now
        self.write = write
        self.hooks: list[Callable[[], None]] = []
        self.held: dict[int, HeldHome] = {}
        self.has_locked = False
        self._default_quota = default_quota
        self.principals = SqlPrincipals(self)
        self.homes = SqlHomes(self)
        self.collections = SqlCollections(self)
        self.objects = SqlObjects(self)
        self.changes = SqlChanges(self)
        self.properties = SqlProperties(self)
        self.acls = SqlAcls(self)
        self.locks = SqlLocks(self)
        self.logins = SqlLogins(self)
        self.queue = SqlQueue(self)
        self.journal = SqlJournal(self)
        self.bookings = SqlBookings(self)

    def after_commit(self, hook: Callable[[], None]) -> None:
        """See :class:`storage.store.Transaction`."""
        self.hooks.append(hook)

    def writing(self) -> None:
        """Raises :class:`~storage.errors.Misuse` in a transaction that only reads."""
        if not self.write:
            raise Misuse("This transaction was opened for reading: Store.run(work, write=True) writes.")

    def hold(self, home: Home) -> None:
        """Takes note of a home whose row this transaction has locked or created."""
        self.held[home.id] = HeldHome(home)

    def own(self, home_id: int) -> HeldHome:
        """The locked home; raises :class:`~storage.errors.Misuse` where it was not locked."""
        try:
            return self.held[home_id]
        except KeyError:
            self.writing()
            raise Misuse(f"Home {home_id} is written without its lock: call tx.homes.lock first.") from None

    def own_some(self) -> None:
        """For writes that do not name their home: some home must be locked."""
        self.writing()
        if not self.held:
            raise Misuse("A home is written without its lock: call tx.homes.lock first.")

    def draw(self, collection: Collection) -> int:
        """The next number of the home, as the revision of the collection and of those above it."""
        held = self.own(collection.home_id)
        held.counter += 1
        held.changed = True
        for path in upward(collection.path):
            held.revisions[path] = held.counter
        return held.counter

    def occupy(self, home_id: int, *, more: int) -> None:
        """Counts bytes in (or out, below 0); raises ``QuotaExceeded`` where a home grows above its quota."""
        held = self.own(home_id)
        quota = self._default_quota if held.quota is None else held.quota
        if more > 0 and quota is not None and held.used + more > quota:
            raise QuotaExceeded(
                f"The calendars of {held.owner} may have {quota} bytes; {held.used + more} are too many."
            )
        held.used += more
        held.changed = True

    def flush(self) -> None:
        """Writes what is kept of counters and revisions."""
        for held in self.held.values():
            if not held.changed:
                continue
            by_number: dict[int, list[str]] = {}
            for path, number in held.revisions.items():
                by_number.setdefault(number, []).append(path)
            for number, paths in by_number.items():
                parameters: dict[str, object] = {"home": held.id, "revision": number, "modified": self.now}
                parameters.update((f"path_{position}", path) for position, path in enumerate(paths))
                self.execute(_write_revision(len(paths)), parameters)
            self.execute(
                _WRITE_HOME,
                {
                    "home": held.id,
                    "counter": held.counter,
                    "generation": held.generation,
                    "quota": held.quota,
                    "used": held.used,
                },
            )
            held.revisions.clear()
            held.changed = False
