"""The scheduling log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, or_, select

from storage.rows import JournalEntry
from storage.sql.queue import shortened
from storage.sql.schema import journal
from storage.sql.types import NAME_LENGTH, key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_METHOD_LENGTH = 40
_ADD = insert(journal)
_OF_UID = (
    select(
        journal.c.id,
        journal.c.at,
        journal.c.uid,
        journal.c.actor,
        journal.c.recipient,
        journal.c.method,
        journal.c.status,
        journal.c.destination,
        journal.c.reason,
    )
    .where(journal.c.uid_hash == bindparam("hash"), journal.c.id > bindparam("after"))
    .order_by(journal.c.id)
    .limit(bindparam("limit"))
)
_OF_UID_AND_ADDRESS = _OF_UID.where(
    or_(journal.c.actor == bindparam("address"), journal.c.recipient == bindparam("address"))
)


class SqlJournal:
    """See :class:`storage.store.Journal`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def add(self, entries: Sequence[JournalEntry]) -> None:
        """See :class:`storage.store.Journal`."""
        self._tx.writing()
        rows = []
        for entry in entries:
            uid = shortened(entry.uid)
            rows.append(
                {
                    "at": entry.at,
                    "uid": uid,
                    "uid_hash": key_hash(uid),
                    "actor": shortened(entry.actor),
                    "recipient": shortened(entry.recipient),
                    "method": shortened(entry.method)[:_METHOD_LENGTH],
                    "status": shortened(entry.status)[:NAME_LENGTH],
                    "destination": shortened(entry.destination),
                    "reason": shortened(entry.reason),
                }
            )
        if rows:
            self._tx.execute(_ADD, rows)

    def of_uid(self, uid: str, *, address: str = "", after: int = 0, limit: int) -> Sequence[tuple[int, JournalEntry]]:
        """See :class:`storage.store.Journal`."""
        where: dict[str, object] = {"hash": key_hash(shortened(uid)), "after": after, "limit": limit}
        if address:
            where["address"] = shortened(address)
        rows = self._tx.execute(_OF_UID_AND_ADDRESS if address else _OF_UID, where)
        return [(row[0], JournalEntry(*row[1:])) for row in rows]
