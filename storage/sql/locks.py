"""WebDAV locks (RFC 4918 section 6)."""

from __future__ import annotations

from collections.abc import Collection as Members, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from storage.batches import batches
from storage.errors import NameTaken, NotFound
from storage.rows import Lock
from storage.sql.direct import Direct, DirectWrite
from storage.sql.names import below, checked_text, joined, split
from storage.sql.schema import locks

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_OF_HOME = Direct(
    select(
        locks.c.token,
        locks.c.home_id,
        locks.c.path,
        locks.c.principal_id,
        locks.c.exclusive,
        locks.c.infinite,
        locks.c.owner_xml,
        locks.c.expires,
    )
    .where(locks.c.home_id == bindparam("home"), locks.c.expires > bindparam("now"))
    .order_by(locks.c.id)
)
_TOKEN = select(locks.c.home_id).where(locks.c.token == bindparam("wanted"))
_ADD = insert(locks)
_REFRESH = update(locks).where(locks.c.token == bindparam("wanted"))
_REMOVE = delete(locks).where(locks.c.token == bindparam("wanted"))
_REMOVE_ALL = delete(locks).where(locks.c.home_id == bindparam("home"))
_REMOVE_EXPIRED = delete(locks).where(locks.c.home_id == bindparam("home"), locks.c.expires <= bindparam("now"))
_IN_HOMES = select(locks.c.id, locks.c.home_id, locks.c.path).where(
    locks.c.home_id.in_(bindparam("homes", expanding=True))
)
_REMOVE_MANY = delete(locks).where(locks.c.id.in_(bindparam("ids", expanding=True)))
_REMOVE_BELOW = DirectWrite(
    delete(locks).where(
        locks.c.home_id == bindparam("home"),
        or_(
            locks.c.path == bindparam("path"),
            and_(locks.c.path >= bindparam("low"), locks.c.path < bindparam("high")),
        ),
    )
)


class SqlLocks:
    """See :class:`storage.store.Locks`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def of_home(self, home_id: int) -> Sequence[Lock]:
        """See :class:`storage.store.Locks`."""
        rows = _OF_HOME.all(self._tx, {"home": home_id, "now": self._tx.now})
        return [
            Lock(
                token=row.token,
                home_id=row.home_id,
                path=split(row.path),
                principal_id=row.principal_id,
                exclusive=row.exclusive,
                infinite=row.infinite,
                owner_xml=row.owner_xml,
                expires=row.expires,
            )
            for row in rows
        ]

    def add(self, lock: Lock) -> None:
        """See :class:`storage.store.Locks`."""
        self._tx.own(lock.home_id)
        self._tx.execute(_REMOVE_EXPIRED, {"home": lock.home_id, "now": self._tx.now})
        token = checked_text(lock.token, "lock token", length=255)
        if self._tx.execute(_TOKEN, {"wanted": token}).first() is not None:
            raise NameTaken(token)
        row = {
            "token": token,
            "home_id": lock.home_id,
            "path": checked_text(joined(lock.path), "path"),
            "principal_id": lock.principal_id,
            "exclusive": lock.exclusive,
            "infinite": lock.infinite,
            "owner_xml": lock.owner_xml,
            "expires": lock.expires,
        }
        self._tx.execute(_ADD, row)

    def refresh(self, token: str, *, expires: int) -> None:
        """See :class:`storage.store.Locks`."""
        self._tx.own_some()
        if self._tx.execute(_REFRESH, {"wanted": token, "expires": expires}).rowcount == 0:
            raise NotFound(f"There is no lock {token!r}.")

    def remove(self, token: str) -> None:
        """See :class:`storage.store.Locks`."""
        self._tx.own_some()
        self._tx.execute(_REMOVE, {"wanted": token})

    def remove_below(self, home_id: int, path: tuple[str, ...]) -> None:
        """See :class:`storage.store.Locks`."""
        self._tx.own(home_id)
        if not path:
            self._tx.execute(_REMOVE_ALL, {"home": home_id})
            return
        low, high = below(joined(path))
        _REMOVE_BELOW.run(self._tx, {"home": home_id, "path": joined(path), "low": low, "high": high})

    def remove_at(self, places: Members[tuple[int, tuple[str, ...]]]) -> None:
        """See :class:`storage.store.Locks`."""
        paths = {(home_id, joined(path)) for home_id, path in places}
        homes = dict.fromkeys(home_id for home_id, _ in paths)
        for home_id in homes:
            self._tx.own(home_id)
        found: list[int] = []
        for batch in batches(homes):
            rows = self._tx.execute(_IN_HOMES, {"homes": batch})
            found += [row.id for row in rows if (row.home_id, row.path) in paths]
        for ids in batches(found):
            self._tx.execute(_REMOVE_MANY, {"ids": ids})
