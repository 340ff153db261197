"""The queue: leases by a conditional UPDATE, which is the same on every database and needs no SKIP LOCKED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from sqlalchemy import Update, bindparam, case, exists, func, insert, literal, select, update

from storage.batches import batches
from storage.rows import Job, NewJob
from storage.sql.names import checked_text
from storage.sql.schema import queue, queue_texts
from storage.sql.types import HASH_LENGTH, LONG_TEXT_BYTES, NAME_LENGTH, Bytes, key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_earlier = queue.alias("earlier")
#: No unfinished job of the same stream stands before it; true where there is no stream.
_FIRST_OF_STREAM = ~exists(
    select(1).where(
        _earlier.c.stream_hash == queue.c.stream_hash,
        _earlier.c.kind == queue.c.kind,
        _earlier.c.state == "waiting",
        _earlier.c.id < queue.c.id,
    )
)
_KNOWN = select(queue.c.key).where(
    queue.c.kind == bindparam("kind"), queue.c.key.in_(bindparam("keys", expanding=True))
)
_ADD = insert(queue)
_KNOWN_TEXTS = select(queue_texts.c.hash).where(queue_texts.c.hash.in_(bindparam("hashes", expanding=True)))
_ADD_TEXT = insert(queue_texts)
_DUE = (
    select(queue.c.id)
    .where(
        queue.c.kind == bindparam("kind"),
        queue.c.state == "waiting",
        queue.c.not_before <= bindparam("now"),
        queue.c.leased_until <= bindparam("now"),
        _FIRST_OF_STREAM,
    )
    .order_by(queue.c.id)
    .limit(bindparam("limit"))
)
# The conditions again: somebody else may have taken it since it was read, and both wait for the row here.
_TAKE = (
    update(queue)
    .where(
        queue.c.id.in_(bindparam("ids", expanding=True)),
        queue.c.state == "waiting",
        queue.c.not_before <= bindparam("now"),
        queue.c.leased_until <= bindparam("now"),
    )
    .values(lease=bindparam("token"), leased_until=bindparam("until"), attempts=queue.c.attempts + 1)
)
_TAKEN = (
    select(
        queue.c.id,
        queue.c.kind,
        queue.c.key,
        queue.c.payload,
        queue.c.created,
        queue.c.attempts,
        queue.c.last_error,
        queue.c.lease,
        queue.c.leased_until,
        func.coalesce(queue_texts.c.body, literal(b"", Bytes)),
    )
    .outerjoin_from(queue, queue_texts, queue_texts.c.hash == queue.c.text_hash)
    .where(queue.c.id.in_(bindparam("ids", expanding=True)), queue.c.lease == bindparam("token"))
    .order_by(queue.c.id)
)
_MINE = update(queue).where(
    queue.c.id == bindparam("job"), queue.c.lease == bindparam("token"), queue.c.state == "waiting"
)
_FREE = {"lease": "", "leased_until": 0}
_DONE = _MINE.values(state="done", finished=bindparam("at"), payload=b"", text_hash=None, **_FREE)
_RETRY = _MINE.values(not_before=bindparam("at"), last_error=bindparam("error"), **_FREE)
_FAIL = _MINE.values(state="failed", finished=bindparam("at"), last_error=bindparam("error"), **_FREE)
_NEXT = select(
    func.min(case((queue.c.leased_until > queue.c.not_before, queue.c.leased_until), else_=queue.c.not_before))
).where(queue.c.kind == bindparam("kind"), queue.c.state == "waiting", _FIRST_OF_STREAM)
_COUNTS = select(queue.c.state, func.count()).where(queue.c.kind == bindparam("kind")).group_by(queue.c.state)


class SqlQueue:
    """See :class:`storage.store.Queue`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def add(self, kind: str, jobs: Sequence[NewJob], *, not_before: int = 0) -> None:
        """See :class:`storage.store.Queue`."""
        self._tx.writing()
        # Of two that bring the same key at the same time, one violates the constraint and is run again.
        new = {checked_text(job.key, "key of a job", length=NAME_LENGTH): job for job in reversed(jobs)}
        for batch in batches(list(new)):
            for key in self._tx.execute(_KNOWN, {"kind": kind, "keys": batch}).scalars():
                del new[key]
        texts = self._keep_texts(list(new.values()))
        rows = [
            {
                "kind": kind,
                "key": key,
                "stream_hash": key_hash(job.stream) if job.stream else None,
                "state": "waiting",
                "not_before": not_before,
                "lease": "",
                "leased_until": 0,
                "attempts": 0,
                "last_error": "",
                "created": self._tx.now,
                "finished": None,
                "text_hash": texts.get(job.text),
                "payload": job.payload,
            }
            for key, job in reversed(new.items())
        ]
        if rows:
            self._tx.execute(_ADD, rows)

    def _keep_texts(self, jobs: Sequence[NewJob]) -> Mapping[bytes, bytes]:
        """Hashes of the jobs' texts, all of which are kept then."""
        hashes = {
            text: blake2b(text, digest_size=HASH_LENGTH).digest() for text in {job.text for job in jobs if job.text}
        }
        known: set[bytes] = set()
        for batch in batches(list(hashes.values())):
            known.update(map(bytes, self._tx.execute(_KNOWN_TEXTS, {"hashes": batch}).scalars()))
        rows = [{"hash": hash_, "body": text} for text, hash_ in hashes.items() if hash_ not in known]
        if rows:
            self._tx.execute(_ADD_TEXT, rows)
        return hashes

    def lease(self, kind: str, *, limit: int, until: int) -> Sequence[Job]:
        """See :class:`storage.store.Queue`."""
        self._tx.writing()
        now = self._tx.now
        due = self._tx.execute(_DUE, {"kind": kind, "now": now, "limit": limit}).scalars().all()
        token = token_hex(16)
        taken: list[Job] = []
        for ids in batches(due):
            where: dict[str, Any] = {"ids": ids, "token": token}
            self._tx.execute(_TAKE, {**where, "now": now, "until": until})
            taken += [Job(*tuple(row)) for row in self._tx.execute(_TAKEN, where)]
        return taken

    def done(self, job: Job) -> bool:
        """See :class:`storage.store.Queue`."""
        return self._mine(_DONE, job, at=self._tx.now)

    def retry(self, job: Job, *, at: int, error: str) -> bool:
        """See :class:`storage.store.Queue`."""
        return self._mine(_RETRY, job, at=at, error=shortened(error))

    def fail(self, job: Job, *, error: str) -> bool:
        """See :class:`storage.store.Queue`."""
        return self._mine(_FAIL, job, at=self._tx.now, error=shortened(error))

    def _mine(self, statement: Update, job: Job, **values: object) -> bool:
        self._tx.writing()
        return self._tx.execute(statement, {"job": job.id, "token": job.lease, **values}).rowcount == 1

    def next_at(self, kind: str) -> int | None:
        """See :class:`storage.store.Queue`."""
        found = self._tx.execute(_NEXT, {"kind": kind}).scalar()
        return None if found is None else int(found)

    def counts(self, kind: str) -> Mapping[str, int]:
        """See :class:`storage.store.Queue`."""
        return {row[0]: row[1] for row in self._tx.execute(_COUNTS, {"kind": kind})}


def shortened(text: str) -> str:
    """``text`` as a column of text takes it, for what is only told to people: without NUL, and not too long."""
    storable = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    return storable[:LONG_TEXT_BYTES].decode(errors="ignore")
