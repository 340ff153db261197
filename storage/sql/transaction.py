"""One transaction: its connection, the homes it holds, and the numbers it has drawn.

The counters of the locked homes and the revisions of their collections are kept here and written once, before the
commit or before something reads them. A home that is not locked cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from sqlalchemy import BindParameter, Connection, bindparam, update

from storage.errors import Misuse, QuotaExceeded
from storage.rows import Bounds, Collection, Home, Moved
from storage.sql.acls import SqlAcls
from storage.sql.backend import Backend
from storage.sql.bookings import SqlBookings
from storage.sql.bulk import rewrite, write_revisions
from storage.sql.changes import SqlChanges
from storage.sql.collections import SqlCollections
from storage.sql.direct import DirectWrite, driver_of
from storage.sql.freebusy_links import SqlFreeBusyLinks
from storage.sql.held_mails import SqlHeldMails
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

if TYPE_CHECKING:
    from storage.rows import NewObject, ObjectRow

#: So many objects of one collection are told one by one; where more were written, any may have changed.
_TOLD = 100

#: Of so many homes each is written by statements of its own: two people, and a meeting of three.
_FEW = 3

#: What of a home's row changes.
_COUNTED = ("counter", "generation", "quota", "used")
_WRITE_HOME = DirectWrite(update(homes).where(homes.c.id == bindparam("home")), _COUNTED)


@lru_cache(maxsize=64)
def _write_revision(paths: int) -> DirectWrite:
    names: list[BindParameter[str]] = [bindparam(f"path_{position}") for position in range(paths)]
    of_home = update(collections).where(collections.c.home_id == bindparam("home"), collections.c.path.in_(names))
    return DirectWrite(of_home, ("revision", "modified"))


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


class _Touched:
    """What this transaction has done to a collection."""

    __slots__ = ("after", "before", "bounds")

    def __init__(self, before: int | None) -> None:
        self.before = before
        self.after = 0
        self.bounds: dict[Bounds, None] | None = {}


P = TypeVar("P")


class _Part(Generic[P]):
    """A part of a transaction, made when it is first used: a request uses a few of them."""

    def __init__(self, make: Callable[[SqlTransaction], P]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, transaction: None, owner: type) -> Self: ...
    @overload
    def __get__(self, transaction: SqlTransaction, owner: type) -> P: ...
    def __get__(self, transaction: SqlTransaction | None, owner: type) -> Self | P:
        if transaction is None:
            return self
        # From now on it is found in the transaction itself, and nobody comes by here.
        made = transaction.__dict__[self._name] = self._make(transaction)
        return made


class SqlTransaction:
    """See :class:`storage.store.Transaction`."""

    principals = _Part(SqlPrincipals)
    homes = _Part(SqlHomes)
    collections = _Part(SqlCollections)
    objects = _Part(SqlObjects)
    changes = _Part(SqlChanges)
    properties = _Part(SqlProperties)
    acls = _Part(SqlAcls)
    locks = _Part(SqlLocks)
    logins = _Part(SqlLogins)
    queue = _Part(SqlQueue)
    journal = _Part(SqlJournal)
    bookings = _Part(SqlBookings)
    freebusy_links = _Part(SqlFreeBusyLinks)
    held_mails = _Part(SqlHeldMails)

    def __init__(
        self, connection: Connection, backend: Backend, *, now: int, write: bool, default_quota: int | None
    ) -> None:
        self.connection = connection
        self.execute = connection.execute
        #: Where SQLite can be asked without a detour (see ``direct``).
        self.driver = driver_of(connection)
        self.backend = backend
        self.now = now
        self.write = write
        self.hooks: list[Callable[[], None]] = []
        self.held: dict[int, HeldHome] = {}
        #: ``{collection: its revision when it was first read under the lock}``
        self._seen: dict[int, int] = {}
        self._touched: dict[int, _Touched] = {}
        self.has_locked = False
        self._default_quota = default_quota

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

    @contextmanager
    def block(self) -> Iterator[None]:
        """For a cursor of the server's: it lives in a transaction block, which reads need not be in."""
        if self.write or not self.backend.reads_outside_of_blocks:
            yield
            return
        self.connection.exec_driver_sql("BEGIN")
        try:
            yield
        finally:
            self.connection.exec_driver_sql("COMMIT")

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

    def draw(self, collection: Collection, touched: Sequence[ObjectRow | NewObject] | None = None) -> int:
        """The next number of the home, as the revision of the collection and of those above it.

        Every change of a collection passes here, and ``moved`` tells of it. ``touched`` are the objects that are
        written, as they were and as they will be; ``None``: any of them.
        """
        held = self.own(collection.home_id)
        held.counter += 1
        held.changed = True
        for path in upward(collection.path):
            held.revisions[path] = held.counter
        self._touch(collection.id, held.counter, touched)
        return held.counter

    def _touch(self, collection_id: int, number: int, touched: Sequence[ObjectRow | NewObject] | None) -> None:
        if not collection_id:  # it is being made: nobody has anything of it yet
            return
        noted = self._touched.get(collection_id)
        if noted is None:
            noted = self._touched[collection_id] = _Touched(self._seen.get(collection_id))
        noted.after = number
        if touched is None:
            noted.bounds = None
        elif noted.bounds is not None:
            noted.bounds.update((Bounds(one.component, one.starts_at, one.ends_at), None) for one in touched)
            if len(noted.bounds) > _TOLD:
                noted.bounds = None

    def seen(self, collection: Collection) -> Collection:
        """Takes note of the revision of a collection that was read; only what was read under the lock is believed."""
        if collection.home_id in self.held:
            self._seen.setdefault(collection.id, collection.revision)
        return collection

    def moved(self) -> Sequence[Moved]:
        """What this transaction has moved on, to be told once it is committed."""
        return [
            Moved(id_, one.before, one.after, None if one.bounds is None else tuple(one.bounds))
            for id_, one in self._touched.items()
        ]

    def occupy(self, home_id: int, *, more: int) -> None:
        """Counts bytes in (or out, below 0); raises ``QuotaExceeded`` where a home grows above its quota."""
        held = self.own(home_id)
        left = self.left(home_id)
        if more > 0 and left is not None and more > left:
            raise QuotaExceeded(
                f"The calendars of {held.owner} may have {held.used + left} bytes; {held.used + more} are too many."
            )
        held.used += more
        held.changed = True

    def left(self, home_id: int) -> int | None:
        """Bytes that a locked home may still take (below 0: it has too many); ``None`` where it has no quota."""
        held = self.own(home_id)
        quota = self._default_quota if held.quota is None else held.quota
        return None if quota is None else quota - held.used

    def flush(self) -> None:
        """Writes what is kept of counters and revisions."""
        changed = [held for held in self.held.values() if held.changed]
        if len(changed) > _FEW:
            self._flush_many(changed)
            return
        for held in changed:
            by_number: dict[int, list[str]] = {}
            for path, number in held.revisions.items():
                by_number.setdefault(number, []).append(path)
            for number, paths in by_number.items():
                parameters: dict[str, object] = {"home": held.id, "revision": number, "modified": self.now}
                parameters.update((f"path_{position}", path) for position, path in enumerate(paths))
                _write_revision(len(paths)).run(self, parameters)
            _WRITE_HOME.run(
                self,
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

    def _flush_many(self, changed: Sequence[HeldHome]) -> None:
        write_revisions(self, {(held.id, path): number for held in changed for path, number in held.revisions.items()})
        rows = [asdict(held.home()) for held in changed]
        rewrite(self, homes, rows, columns=_COUNTED)
        for held in changed:
            held.revisions.clear()
            held.changed = False
