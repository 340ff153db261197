"""Homes: the rows that are locked."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from storage.batches import batches
from storage.errors import Misuse, NotFound
from storage.rows import Home
from storage.sql.direct import Direct
from storage.sql.names import storable
from storage.sql.schema import homes
from storage.sql.values import HOME_COLUMNS, home_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_BY_ID = select(*HOME_COLUMNS).where(homes.c.id == bindparam("id"))
_OF_OWNER = Direct(select(*HOME_COLUMNS).where(homes.c.owner == bindparam("owner")))
_BY_IDS = select(*HOME_COLUMNS).where(homes.c.id.in_(bindparam("ids", expanding=True))).order_by(homes.c.id)
_BY_OWNERS = select(*HOME_COLUMNS).where(homes.c.owner.in_(bindparam("owners", expanding=True)))
_IDS_BY_OWNERS = select(homes.c.id).where(homes.c.owner.in_(bindparam("owners", expanding=True)))


class SqlHomes:
    """See :class:`storage.store.Homes`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def get(self, home_id: int) -> Home:
        """See :class:`storage.store.Homes`."""
        held = self._tx.held.get(home_id)
        if held is not None:
            return held.home()
        row = self._tx.execute(_BY_ID, {"id": home_id}).first()
        if row is None:
            raise NotFound(f"There is no home {home_id}.")
        return home_of(row)

    def of(self, owner: str) -> Home | None:
        """See :class:`storage.store.Homes`."""
        rows = _OF_OWNER.all(self._tx, {"owner": owner}) if storable(owner) else ()
        if not rows:
            return None
        held = self._tx.held.get(rows[0].id)
        return home_of(rows[0]) if held is None else held.home()

    def lock(self, home_ids: Members[int]) -> Mapping[int, Home]:
        """See :class:`storage.store.Homes`."""
        wanted = sorted(set(home_ids))
        # Homes that this transaction has made are held already.
        free = [home_id for home_id in wanted if home_id not in self._tx.held]
        if free:
            self._may_lock()
            for batch in batches(free):  # each batch in ascending order, and so all of them
                for row in self._tx.execute(self._tx.backend.locking(_BY_IDS), {"ids": batch}):
                    self._tx.hold(home_of(row))
        missing = [home_id for home_id in wanted if home_id not in self._tx.held]
        if missing:
            raise NotFound(f"There is no home {missing[0]}.")
        return {home_id: self._tx.held[home_id].home() for home_id in wanted}

    def lock_of(self, owners: Members[str]) -> Mapping[str, Home]:
        """See :class:`storage.store.Homes`."""
        self._tx.writing()
        names = {owner for owner in owners if storable(owner)}
        free = names - {held.owner for held in self._tx.held.values()}
        if len(free) > 1:
            # Ids first, rows after: a lock through the index of names would be taken in the order of the names.
            self.lock(
                [
                    home_id
                    for batch in batches(sorted(free))
                    for home_id in self._tx.execute(_IDS_BY_OWNERS, {"owners": batch}).scalars()
                ]
            )
        elif free:
            self._may_lock()
            for row in _OF_OWNER.locked(self._tx, {"owner": free.pop()}):
                self._tx.hold(home_of(row))
        return {held.owner: held.home() for held in self._tx.held.values() if held.owner in names}

    def lock_more(self, owners: Members[str]) -> bool:
        """See :class:`storage.store.Homes`."""
        if self._tx.backend.networked:
            return False
        self._tx.writing()
        # On SQLite nobody else writes while this transaction does: locking is taking note, in whatever order.
        free = {owner for owner in owners if storable(owner)} - {held.owner for held in self._tx.held.values()}
        for batch in batches(sorted(free)):
            for row in self._tx.execute(_BY_OWNERS, {"owners": batch}):
                self._tx.hold(home_of(row))
        return True

    def _may_lock(self) -> None:
        self._tx.writing()
        if self._tx.has_locked:
            raise Misuse("Homes are locked once a transaction, all together: a second lock may wait for ever.")
        self._tx.has_locked = True

    def left(self, home_id: int) -> int | None:
        """See :class:`storage.store.Homes`."""
        return self._tx.left(home_id)

    def set_quota(self, home_id: int, quota: int | None) -> None:
        """See :class:`storage.store.Homes`."""
        held = self._tx.own(home_id)
        held.quota = quota
        held.changed = True
