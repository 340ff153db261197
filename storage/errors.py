"""What the store raises.

These are statements about rows, not about HTTP: one table in ``caldavd.errors`` says which status and which
precondition element each becomes. A deadlock or a race that another attempt may win stays inside: ``Store.run`` runs
the work again, and only :class:`Busy` leaves the store.
"""

from __future__ import annotations


class StoreError(Exception):
    """The root of everything that the store raises on purpose."""


class NotFound(StoreError):
    """The row that was named does not exist (any more)."""


class NameTaken(StoreError):
    """A collection already has a member of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The name {name!r} is taken in this collection.")
        self.name = name


class UidTaken(StoreError):
    """Another object of the same collection holds this UID (RFC 4791 section 5.3.2.1, no-uid-conflict)."""

    def __init__(self, *, uid: str, name: str) -> None:
        super().__init__(f"The UID {uid!r} is in use by the object {name!r} of this collection.")
        self.uid = uid
        self.name = name


class AddressTaken(StoreError):
    """Another principal already has this calendar user address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The address {address!r} belongs to another principal.")
        self.address = address


class TokenTooOld(StoreError):
    """Changes that far back are no longer known: the number lies below the collection's floor (RFC 6578 3.8)."""


class QuotaExceeded(StoreError):
    """The write would put the home above its quota in bytes (RFC 4331)."""


class Busy(StoreError):
    """The bounded number of attempts is used up, or the database does not answer in time: try again later."""


class UnstorableText(StoreError):
    """A name, UID or other text that no database keeps: empty, too long, with NUL, or not encodable as UTF-8."""


class Unreachable(StoreError):
    """The database does not let us in, or is not there: found out at start, the message says what it answered."""


class SchemaMismatch(StoreError):
    """The database's schema is not the one that this version needs; the message says what to run."""


class Misuse(RuntimeError):
    """The caller broke a rule of transactions (wrote without the home's lock, nested two of them): a bug."""
