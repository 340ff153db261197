"""Who has opened a link to their free/busy: a serial for each, drawn at random, so that no old link comes back."""

from __future__ import annotations

from secrets import randbits
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from storage.sql.schema import freebusy_links

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_OF = select(freebusy_links.c.serial).where(freebusy_links.c.principal_id == bindparam("principal"))
_UPDATE = update(freebusy_links).where(freebusy_links.c.principal_id == bindparam("principal"))
_INSERT = insert(freebusy_links)
_REMOVE = delete(freebusy_links).where(freebusy_links.c.principal_id == bindparam("principal"))


class SqlFreeBusyLinks:
    """See :class:`storage.store.FreeBusyLinks`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def serial(self, principal_id: int) -> int | None:
        """See :class:`storage.store.FreeBusyLinks`."""
        return self._tx.execute(_OF, {"principal": principal_id}).scalar()

    def renew(self, principal_id: int) -> int:
        """See :class:`storage.store.FreeBusyLinks`."""
        self._tx.writing()
        serial = randbits(62)
        if self._tx.execute(_UPDATE, {"principal": principal_id, "serial": serial}).rowcount == 0:
            self._tx.execute(_INSERT, {"principal_id": principal_id, "serial": serial})
        return serial

    def remove(self, principal_id: int) -> None:
        """See :class:`storage.store.FreeBusyLinks`."""
        self._tx.writing()
        self._tx.execute(_REMOVE, {"principal": principal_id})
