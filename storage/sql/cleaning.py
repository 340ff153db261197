"""Housekeeping: what is kept for a while and then forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, func, select

from storage.errors import NotFound
from storage.sql.schema import (
    collections,
    held_mails,
    journal,
    locks,
    login_failures,
    login_successes,
    queue,
    queue_texts,
    removals,
)
from storage.sql.values import COLLECTION_COLUMNS, collection_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

#: How long failed logins and the places of successful ones are kept, seconds.
FAILURES_KEPT = 86_400
SUCCESSES_KEPT = 60 * 86_400
#: How long it is known that a job was done (so that it is not taken again), and what failed for good, seconds.
DONE_KEPT = 7 * 86_400
FAILED_KEPT = 30 * 86_400
#: How long the scheduling log goes back, seconds.
JOURNAL_KEPT = 90 * 86_400
#: How long a mail that was not believed waits for somebody to look at it, seconds.
HELD_KEPT = 90 * 86_400

_HOMES = (
    select(collections.c.home_id)
    .join(removals, removals.c.collection_id == collections.c.id)
    .where(removals.c.removed < bindparam("before"))
    .distinct()
    .order_by(collections.c.home_id)
)
_OLD = (
    select(*COLLECTION_COLUMNS, func.max(removals.c.number).label("newest"))
    .join(removals, removals.c.collection_id == collections.c.id)
    .where(collections.c.home_id == bindparam("home"), removals.c.removed < bindparam("before"))
    .group_by(collections.c.id)
)
# By number, not by time: a clock that was set back must not leave an older removal behind a higher floor.
_FORGET = delete(removals).where(
    removals.c.collection_id == bindparam("collection"), removals.c.number <= bindparam("newest")
)


def homes_with_old_removals(tx: SqlTransaction, before: int) -> Sequence[int]:
    """The homes in which something was removed before this time (epoch seconds)."""
    return tx.execute(_HOMES, {"before": before}).scalars().all()


def forget_removals(tx: SqlTransaction, home_id: int, *, before: int) -> None:
    """Forgets what was removed in the home before this time, and refuses the tokens that would have needed it."""
    try:
        tx.homes.lock([home_id])
    except NotFound:
        return
    for row in tx.execute(_OLD, {"home": home_id, "before": before}).all():
        collection = collection_of(row)
        tx.execute(_FORGET, {"collection": collection.id, "newest": row.newest})
        tx.collections.raise_floor(collection, row.newest)


def forget_the_rest(tx: SqlTransaction) -> None:
    """Drops expired locks, what is known of logins, finished jobs, and old lines of the scheduling log."""
    tx.execute(delete(locks).where(locks.c.expires <= tx.now))
    tx.execute(delete(login_failures).where(login_failures.c.at < tx.now - FAILURES_KEPT))
    tx.execute(delete(login_successes).where(login_successes.c.at < tx.now - SUCCESSES_KEPT))
    for state, kept in (("done", DONE_KEPT), ("failed", FAILED_KEPT)):
        tx.execute(delete(queue).where(queue.c.state == state, queue.c.finished < tx.now - kept))
    # Of one that a job takes up meanwhile, the foreign key says so, and this is run again.
    tx.execute(delete(queue_texts).where(~exists(select(queue.c.id).where(queue.c.text_hash == queue_texts.c.hash))))
    tx.execute(delete(journal).where(journal.c.at < tx.now - JOURNAL_KEPT))
    tx.execute(delete(held_mails).where(held_mails.c.received < tx.now - HELD_KEPT))
