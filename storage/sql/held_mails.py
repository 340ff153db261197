"""Mails that were not believed, kept for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, literal, select

from storage.rows import HeldMail
from storage.sql.queue import shortened
from storage.sql.schema import held_mails
from storage.sql.types import Bytes

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

#: How long after the first the same mail is known to be the same, seconds: for so long mail servers try again.
_SAME = 7 * 86_400
_SMALL = (
    held_mails.c.id,
    held_mails.c.received,
    held_mails.c.sender,
    held_mails.c.recipient,
    held_mails.c.reason,
)
_SAME_ONE = select(held_mails.c.id).where(
    held_mails.c.received >= bindparam("since"),
    held_mails.c.recipient == bindparam("recipient"),
    held_mails.c.body == bindparam("body"),
)
_ADD = insert(held_mails)
_GET = select(*_SMALL, held_mails.c.body).where(held_mails.c.id == bindparam("mail"))
_PAGE = (
    select(*_SMALL, literal(b"", Bytes).label("body"))
    .where(held_mails.c.id > bindparam("after"))
    .order_by(held_mails.c.id)
    .limit(bindparam("limit"))
)
_REMOVE = delete(held_mails).where(held_mails.c.id == bindparam("mail"))
_OLDEST_KEPT = select(held_mails.c.id).order_by(held_mails.c.id.desc()).limit(1).offset(bindparam("most"))
_REMOVE_UP_TO = delete(held_mails).where(held_mails.c.id <= bindparam("mail"))


class SqlHeldMails:
    """See :class:`storage.store.HeldMails`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def add(self, *, sender: str, recipient: str, reason: str, body: bytes, most: int) -> int:
        """See :class:`storage.store.HeldMails`."""
        self._tx.writing()
        values = {
            "received": self._tx.now,
            "sender": shortened(sender),
            "recipient": shortened(recipient),
            "reason": shortened(reason),
            "body": body,
        }
        same = {"since": self._tx.now - _SAME, "recipient": values["recipient"], "body": body}
        known = self._tx.execute(_SAME_ONE, same).scalar()
        if known is not None:
            return int(known)
        key = self._tx.execute(_ADD, values).inserted_primary_key
        assert key is not None
        too_old = self._tx.execute(_OLDEST_KEPT, {"most": most}).scalar()
        if too_old is not None:
            self._tx.execute(_REMOVE_UP_TO, {"mail": too_old})
        return int(key[0])

    def get(self, mail_id: int) -> HeldMail | None:
        """See :class:`storage.store.HeldMails`."""
        row = self._tx.execute(_GET, {"mail": mail_id}).one_or_none()
        return None if row is None else _mail(row)

    def page(self, *, after: int = 0, limit: int) -> Sequence[HeldMail]:
        """See :class:`storage.store.HeldMails`."""
        return [_mail(row) for row in self._tx.execute(_PAGE, {"after": after, "limit": limit})]

    def remove(self, mail_id: int) -> bool:
        """See :class:`storage.store.HeldMails`."""
        self._tx.writing()
        return self._tx.execute(_REMOVE, {"mail": mail_id}).rowcount == 1


def _mail(row: Any) -> HeldMail:
    return HeldMail(row.id, row.received, row.sender, row.recipient, row.reason, bytes(row.body))
