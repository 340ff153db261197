"""Failed logins, counted for all workers together."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select, update

from storage.batches import batches
from storage.sql.cleaning import FAILURES_KEPT
from storage.sql.schema import login_failures, login_successes
from storage.sql.types import key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_COUNT = (
    select(login_failures.c.key_hash, func.count().label("failures"))
    .where(
        login_failures.c.key_hash.in_(bindparam("hashes", expanding=True)), login_failures.c.at >= bindparam("since")
    )
    .group_by(login_failures.c.key_hash)
)
_ADD = insert(login_failures)
_FORGET = delete(login_failures).where(login_failures.c.at < bindparam("before"))
_CLEAR = delete(login_failures).where(login_failures.c.key_hash.in_(bindparam("hashes", expanding=True)))
# Which column it sets follows from the parameters that it is run with.
_SUCCEED_AGAIN = update(login_successes).where(login_successes.c.key_hash == bindparam("hash"))
_SUCCEED = insert(login_successes)
_SUCCEEDED = select(login_successes.c.key_hash).where(
    login_successes.c.key_hash.in_(bindparam("hashes", expanding=True)), login_successes.c.at >= bindparam("since")
)


class SqlLogins:
    """See :class:`storage.store.Logins`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def failures(self, keys: Members[str], *, since: int) -> Mapping[str, int]:
        """See :class:`storage.store.Logins`."""
        hashes = {_hash(key): key for key in keys}
        found = dict.fromkeys(hashes.values(), 0)
        for batch in batches(hashes):
            for row in self._tx.execute(_COUNT, {"hashes": batch, "since": since}):
                found[hashes[bytes(row.key_hash)]] = row.failures
        return found

    def fail(self, keys: Members[str], *, at: int) -> None:
        """See :class:`storage.store.Logins`."""
        self._tx.writing()
        self._tx.execute(_FORGET, {"before": at - FAILURES_KEPT})
        rows = [{"key_hash": _hash(key), "at": at} for key in keys]
        if rows:
            self._tx.execute(_ADD, rows)

    def clear(self, keys: Members[str]) -> None:
        """See :class:`storage.store.Logins`."""
        self._tx.writing()
        for batch in batches(keys):
            self._tx.execute(_CLEAR, {"hashes": [_hash(key) for key in batch]})

    def succeed(self, key: str, *, at: int) -> None:
        """See :class:`storage.store.Logins`."""
        self._tx.writing()
        if self._tx.execute(_SUCCEED_AGAIN, {"hash": _hash(key), "at": at}).rowcount == 0:
            self._tx.execute(_SUCCEED, {"key_hash": _hash(key), "at": at})

    def succeeded(self, keys: Members[str], *, since: int) -> Members[str]:
        """See :class:`storage.store.Logins`."""
        hashes = {_hash(key): key for key in keys}
        return {
            hashes[bytes(found)]
            for batch in batches(hashes)
            for found in self._tx.execute(_SUCCEEDED, {"hashes": batch, "since": since}).scalars()
        }


def _hash(key: str) -> bytes:
    # What was typed for a name may be anything, also half of a surrogate pair.
    return key_hash(key.encode(errors="surrogatepass").hex())
