"""The SQL store: runs transactions, again where the database asks for it, and keeps the schema.

Design section 4, "Retry": a deadlock, a serialization failure, a lost race and a failure at commit run the work again
from its start, a bounded number of times; then :class:`~storage.errors.Busy`. After a connection lost during COMMIT the
outcome is unknown: the transaction's own row in ``commits`` tells.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import uniform
from secrets import token_hex
from threading import local
from typing import TypeVar, cast

from sqlalchemy import Connection, bindparam, delete, exc, insert, inspect, select, text, update

from config.clock import Clock
from storage.errors import Busy, Misuse, SchemaMismatch, Unreachable
from storage.rows import Moved
from storage.sql.backend import Backend, Verdict, check_server
from storage.sql.cleaning import forget_removals, forget_the_rest, homes_with_old_removals
from storage.sql.schema import HEAD, commits, meta
from storage.sql.transaction import SqlTransaction
from storage.store import Transaction

T = TypeVar("T")
_log = logging.getLogger(__name__)

#: How often the same work is run before the caller is told to come again, by what went wrong (RETRY is a setting).
_ATTEMPTS = {Verdict.RACE: 3, Verdict.LOST: 3, Verdict.BUSY: 1, Verdict.BUG: 1}
#: The longest pauses between attempts, seconds: they double from the first to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.5
#: Marks of commits are kept this long, seconds; who lost a connection asks at once or never.
_MARKS_KEPT = 3600
#: A process drops old marks once in so many write transactions.
_MARKS_DROPPED_EVERY = 1000

_EPOCH = select(meta.c.value).where(meta.c.name == "epoch")
_SECRET = select(meta.c.value).where(meta.c.name == "secret")
_MARK = insert(commits)
_FORGET_MARKS = delete(commits).where(commits.c.at < bindparam("before"))


@dataclass(slots=True)
class _Outcome:
    """How far an attempt came."""

    #: Of a transaction that a network lies before: what tells later whether it was committed.
    mark: str = ""
    result: object = None
    hooks: tuple[Callable[[], None], ...] = ()
    moved: Sequence[Moved] = ()
    #: COMMIT was sent: until it is answered nobody here knows whether it happened.
    committing: bool = False


class SqlStore:
    """See :class:`storage.store.Store`."""

    def __init__(self, backend: Backend, *, clock: Clock, default_quota: int | None, attempts: int) -> None:
        self._backend = backend
        self._clock = clock
        self._default_quota = default_quota
        self._attempts = {**_ATTEMPTS, Verdict.RETRY: attempts}
        self._thread = local()
        self._epoch: str | None = None
        self._secret: bytes | None = None
        self._written = 0
        self._watching: list[Callable[[str, Sequence[Moved]], None]] = []

    @property
    def epoch(self) -> str:
        """See :class:`storage.store.Store`."""
        if self._epoch is None:
            with self._reading() as connection:
                self._epoch = connection.execute(_EPOCH).scalar_one()
        return self._epoch

    def secret(self, purpose: str) -> bytes:
        """See :class:`storage.store.Store`."""
        if self._secret is None:
            with self._reading() as connection:
                self._secret = bytes.fromhex(connection.execute(_SECRET).scalar_one())
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        """See :class:`storage.store.Store`."""
        with self._one_a_thread():
            outcome = self._persist(work, write=write)
        self._follow_up(outcome, write=write)
        return outcome.result  # type: ignore[return-value]

    @contextmanager
    def transaction_without_retry(self, *, write: bool) -> Iterator[Transaction]:
        """One transaction around code that cannot be run again: what ``run`` would have tried again is ``Busy``.

        For plugins into other servers, whose requests are such blocks; everything else uses ``run``.
        """
        outcome = _Outcome()
        with self._one_a_thread():
            try:
                with self._begun(outcome, write=write) as transaction:
                    yield transaction
            except exc.TimeoutError as error:
                raise Busy("Too many others are using the database; please try again.") from error
            except exc.DBAPIError as error:
                verdict = self._backend.verdict(error)
                if verdict is Verdict.BUG:
                    raise
                if not (verdict is Verdict.LOST and outcome.committing and write and self._arrived(outcome.mark)):
                    raise Busy("The database could not finish this in time; please try again.") from error
        self._follow_up(outcome, write=write)

    @contextmanager
    def _one_a_thread(self) -> Iterator[None]:
        if getattr(self._thread, "busy", False):
            raise Misuse("A transaction is open in this thread already: it is one transaction a request.")
        self._thread.busy = True
        try:
            yield
        finally:
            self._thread.busy = False

    def _follow_up(self, outcome: _Outcome, *, write: bool) -> None:
        moved = [partial(told, self.epoch, outcome.moved) for told in self._watching] if outcome.moved else ()
        for hook in (*moved, *outcome.hooks):
            try:
                hook()
            except Exception:  # noqa: BLE001 - what was committed stays, whatever a hook thinks of it
                _log.exception("After a commit, something that should have followed from it failed.")
        if write and self._backend.networked:
            self._tidy()

    def _persist(self, work: Callable[[Transaction], T], *, write: bool) -> _Outcome:
        attempt = 0
        while True:
            attempt += 1
            outcome = _Outcome()
            try:
                with self._begun(outcome, write=write) as transaction:
                    outcome.result = work(transaction)
            except exc.TimeoutError as error:
                raise Busy("Too many others are using the database; please try again.") from error
            except exc.DBAPIError as error:
                verdict = self._backend.verdict(error)
                if verdict is Verdict.LOST and outcome.committing and write and self._arrived(outcome.mark):
                    return outcome
                if verdict is Verdict.BUG or (verdict is Verdict.RACE and attempt >= self._attempts[verdict]):
                    raise
                if attempt >= self._attempts[verdict]:
                    raise Busy("The database could not finish this in time; please try again.") from error
                _log.info("Attempt %d failed (%s) and is run again: %s", attempt, verdict.value, error.orig)
                _pause(attempt)
            else:
                return outcome

    @contextmanager
    def _begun(self, outcome: _Outcome, *, write: bool) -> Iterator[SqlTransaction]:
        """A transaction that is committed at the end of the block, or rolled back."""
        with (self._backend.writer if write else self._backend.reader).begin() as connection:
            now = int(self._clock().timestamp())
            transaction = SqlTransaction(
                connection, self._backend, now=now, write=write, default_quota=self._default_quota
            )
            yield transaction
            if write:
                transaction.flush()
                if self._backend.networked:
                    outcome.mark = token_hex(16)
                    connection.execute(_MARK, {"id": outcome.mark, "at": now})
                outcome.moved = transaction.moved()
            outcome.hooks = tuple(transaction.hooks)
            outcome.committing = True

    def _arrived(self, mark: str) -> bool:
        """Whether the transaction with this mark was committed, although nobody said so.

        Writing the same mark waits for a transaction that is still being committed and fails if it was; if it
        succeeds, the other one can never be committed any more.
        """
        for attempt in range(1, _ATTEMPTS[Verdict.LOST] + 1):
            try:
                with self._backend.writer.begin() as connection:
                    connection.execute(_MARK, {"id": mark, "at": int(self._clock().timestamp())})
            except exc.IntegrityError:
                return True
            except exc.DBAPIError as error:
                if self._backend.verdict(error) is Verdict.BUG:
                    raise
                _pause(attempt + 3)
            else:
                return False
        raise Busy("The connection to the database was lost while it was committing.")

    def _tidy(self) -> None:
        self._written += 1
        if self._written % _MARKS_DROPPED_EVERY:
            return
        try:
            with self._backend.writer.begin() as connection:
                self._forget_marks(connection)
        except exc.SQLAlchemyError as error:
            _log.warning("Old marks of commits could not be dropped now: %s", error)

    def _forget_marks(self, connection: Connection) -> None:
        connection.execute(_FORGET_MARKS, {"before": int(self._clock().timestamp()) - _MARKS_KEPT})

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._backend.reader.begin() as connection:
            yield connection

    def watch(self, told: Callable[[str, Sequence[Moved]], None]) -> None:
        """See :class:`storage.store.Store`."""
        self._watching.append(told)

    def check(self) -> Iterator[str]:
        """See :class:`storage.store.Store`."""
        from storage.sql.checking import check  # noqa: PLC0415 - it is needed once in a while

        with self._backend.reader.connect() as connection:
            if self._backend.networked:
                # One state for all questions, however long they take and whatever is written meanwhile.
                connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            with connection.begin():
                yield from check(connection)

    def clean(self, *, removals_before: int) -> None:
        """See :class:`storage.store.Store`."""
        homes = self._run_here(lambda tx: homes_with_old_removals(tx, removals_before), write=False)
        for home in homes:
            self._run_here(partial(forget_removals, home_id=home, before=removals_before), write=True)
        self._run_here(forget_the_rest, write=True)
        if self._backend.networked:
            with self._backend.writer.begin() as connection:
                self._forget_marks(connection)

    def _run_here(self, work: Callable[[SqlTransaction], T], *, write: bool) -> T:
        return self.run(cast("Callable[[Transaction], T]", work), write=write)

    def check_schema(self) -> None:
        """See :class:`storage.store.Store`."""
        with _reached(), self._reading() as connection:
            check_server(connection)
            version = None
            if inspect(connection).has_table("alembic_version"):
                version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            if version == HEAD:
                self._epoch = connection.execute(_EPOCH).scalar()
        if version is None:
            raise SchemaMismatch("The database is empty. Run: caldavd db upgrade")
        if version != HEAD:
            raise SchemaMismatch(
                f"The database has schema {version} and this version of caldavd needs {HEAD}. Run: caldavd db upgrade "
                "(or install the version of caldavd that the database was upgraded with)."
            )

    def upgrade(self) -> None:
        """See :class:`storage.store.Store`."""
        # Imported here: alembic takes longer to import than a server to start.
        from storage.sql.upgrade import upgrade  # noqa: PLC0415

        with _reached():
            upgrade(self._backend)
        self._epoch = None

    def new_epoch(self) -> str:
        """See :class:`storage.store.Store`."""
        epoch = token_hex(4)
        with self._backend.writer.begin() as connection:
            if connection.execute(update(meta).where(meta.c.name == "epoch"), {"value": epoch}).rowcount == 0:
                connection.execute(insert(meta), {"name": "epoch", "value": epoch})
        self._epoch = epoch
        return epoch

    def close(self) -> None:
        """See :class:`storage.store.Store`."""
        self._backend.dispose()


@contextmanager
def _reached() -> Iterator[None]:
    """A sentence where the database refuses the first connection, or cannot be found."""
    try:
        yield
    except exc.OperationalError as error:
        if error.statement is not None:
            raise  # it let us in, so this is about something else
        answer = " ".join(str(error.orig).split())
        raise Unreachable(f"The database cannot be reached: {answer}") from error


def _pause(attempt: int) -> None:
    time.sleep(uniform(0, min(_LAST_PAUSE, _FIRST_PAUSE * 2**attempt)))  # noqa: S311 - not a secret
