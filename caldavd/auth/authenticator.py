"""Who is asking: from a header to a principal, once for every request.

The usual case is one statement and one MAC: a MAC of login and password is found among those that were right a short
while ago, and the statement brings the principal as it is now and the revision of its credentials, which has to be the
same. A password that was changed or revoked has another revision, so it stops at once in every worker. An
authentication outside knows no revisions: what it accepted stays accepted for ``cache_seconds``.

Where such a login only reads, the statement is run in the transaction of what is asked for (``expected``), which then
is the only one.

Otherwise the password is checked, at the same cost whether the user exists or not, unless too many logins have failed
(:mod:`caldavd.auth.limits`). Neither a password nor a name that nobody has is written to the log: people type one for
the other.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from caldavd.auth import basic, passwords
from caldavd.auth.answers import Authenticated, Challenge, TooMany
from caldavd.auth.limits import Keys, Limits, Standing
from caldavd.auth.memory import Mac, Memory, Ticks
from caldavd.auth.passwords import Cost
from caldavd.auth.slots import Slots
from storage.errors import Busy, NameTaken, UnstorableText
from storage.rows import Credentials, Principal, PrincipalKind
from storage.store import Store, Transaction

if TYPE_CHECKING:
    from caldavd.auth.external import External

log = logging.getLogger("caldavd.auth")

Answer = Authenticated | Challenge | TooMany
Found = tuple[Principal, Credentials]
#: Makes an account for somebody whom an authentication outside accepted; ``None`` where the name cannot be one.
Provision = Callable[[str], Principal | None]

#: How many logins, failures and addresses a worker remembers; about 200 bytes each.
_CAPACITY: Final = 10_000
#: How long a login waits for a place among those that compute hashes, in seconds.
_PATIENCE: Final = 10.0
#: How long a wrong password is remembered where nobody tells that it has become right, in seconds.
_WRONG_OUTSIDE: Final = 30.0
#: How often a success is noted in the database, in seconds.
_NOTE_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One login: what was sent, whom it is for, and under which keys it counts."""

    login: str
    password: str = field(repr=False)
    name: str
    remote_address: str
    keys: Keys
    found: Found | None
    mac: bytes = field(repr=False)
    revision: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A login that was right a short while ago, when the credentials had this ``revision``."""

    name: str
    revision: str
    store: Store = field(repr=False)

    def confirmed(self, tx: Transaction) -> Principal:
        """The principal as it is now. Raises :class:`Unconfirmed` where its credentials are others by now."""
        found = tx.principals.for_login(self.name)
        if found is None:
            raise Unconfirmed
        self.confirm(found[0].id, found[1].revision)
        return found[0]

    def confirm(self, principal_id: int, revision: int) -> None:
        """Of a principal and its credentials that were read: raises :class:`Unconfirmed` where they are others."""
        if self.revision != revision_of(self.store.epoch, principal_id, revision):
            raise Unconfirmed


class Unconfirmed(Exception):
    """The credentials are others than when a login was right: ``Authenticator.authenticate`` has to judge it anew."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an installation decides.

    ``realm`` is that of every challenge, ``cache_seconds`` how long a right password is remembered,
    ``hashes_at_once`` how many argon2 hashes are computed at the same time (``None``: one for each processor).
    """

    realm: str
    cost: Cost
    limits: Limits
    cache_seconds: float
    hashes_at_once: int | None = None


class Authenticator:
    """Checks logins against the store, or against ``external`` and the app passwords in the store.

    ``provision`` is asked for an account for whoever ``external`` accepts and the store does not know; without it they
    are refused.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        *,
        external: External | None = None,
        provision: Provision | None = None,
        ticks: Ticks = time.monotonic,
    ) -> None:
        limits = policy.limits
        self._store = store
        self._challenge = Challenge(policy.realm)
        self._cost = policy.cost
        self._dummy = passwords.dummy_hash(cost=policy.cost)
        self._limits = limits
        self._external = external
        self._provision = provision
        self._hashing = Slots(policy.hashes_at_once or os.cpu_count() or 1, patience=_PATIENCE)
        self._mac = Mac()
        wrong_seconds = float(limits.seconds) if external is None else min(_WRONG_OUTSIDE, float(limits.seconds))
        self._right: Memory[bytes, Expected] = Memory(seconds=policy.cache_seconds, capacity=_CAPACITY, ticks=ticks)
        self._wrong: Memory[tuple[bytes, str], None] = Memory(seconds=wrong_seconds, capacity=_CAPACITY, ticks=ticks)
        self._failing: Memory[str, None] = Memory(seconds=limits.seconds, capacity=_CAPACITY, ticks=ticks)
        self._noted: Memory[str, None] = Memory(seconds=_NOTE_SECONDS, capacity=_CAPACITY, ticks=ticks)

    def authenticate(self, *, authorization: str | None, remote_address: str, environ: Mapping[str, object]) -> Answer:
        """Says who sent a request with this ``Authorization`` header.

        ``remote_address`` is the client's, seen through trusted proxies; ``environ`` is the WSGI environment as the
        server made it (its ``REMOTE_ADDR`` is the peer).

        Raises:
            Busy: it cannot be said now (:class:`caldavd.auth.answers.Unavailable`, or the store is busy): 503.
        """
        if self._external is not None:
            told = self._external.told(environ, remote_address=remote_address)
            if told is not None:
                return self._welcome(told, None)
        sent = basic.parse(authorization)
        if sent is None:
            return self._challenge
        name = sent.login if self._external is None else self._external.name_of(sent.login)
        found = self._find(name)
        keys = Keys.of(name=name, remote_address=remote_address)
        mac, revision = self._mac.of(sent.login, sent.password), self._revision(found)
        return self._judge(_Attempt(sent.login, sent.password, name, remote_address, keys, found, mac, revision))

    def expected(self, *, authorization: str | None, remote_address: str) -> Expected | None:
        """What is left of a login that was right a short while ago: whether it still is, its ``confirmed`` tells.

        ``None`` where only :meth:`authenticate` can say something, which has the same arguments.
        """
        if self._external is not None:
            return None
        sent = basic.parse(authorization)
        found = self._right.get(self._mac.of(sent.login, sent.password)) if sent is not None else None
        if found is None or len(self._failing) == 0:
            return found
        seen = self._has_seen_failures(Keys.of(name=found.name, remote_address=remote_address))
        return None if seen else found

    def _judge(self, attempt: _Attempt) -> Answer:
        """The order matters: at a limit even a remembered password is refused, or guessing could go on in the cache."""
        if self._has_seen_failures(attempt.keys) and self._standing(attempt.keys).over:
            return self._too_many()
        remembered = self._right.get(attempt.mac)
        if remembered is not None and remembered.revision == attempt.revision:
            return self._welcome(remembered.name, attempt.found)
        if (attempt.mac, attempt.revision) in self._wrong:
            # The same wrong password again is a program that was not told of the new one, and no guess: not counted.
            return self._challenge
        with self._hashing.one():
            standing = self._standing(attempt.keys)
            if standing.over:
                return self._too_many()
            name = self._check_here(attempt)
            if name is None and self._external is None:
                return self._failed(attempt)
        if name is None and self._external is not None:
            name = self._external.check(attempt.login, attempt.password, remote_address=attempt.remote_address)
        if name is None:
            return self._failed(attempt)
        answer = self._welcome(name, attempt.found)
        if isinstance(answer, Authenticated):
            self._right.put(attempt.mac, Expected(name, attempt.revision, self._store))
            self._note_success(attempt.keys, standing)
        return answer

    def _check_here(self, attempt: _Attempt) -> str | None:
        """The app passwords, then the password itself; one hash for a failure, whoever it is for."""
        principal, credentials = attempt.found or (None, None)
        for app in credentials.app_passwords if credentials else ():
            if passwords.may_match(app.hash, attempt.password) and self._matches(
                app.hash, attempt, f"app {app.name!r}"
            ):
                return principal.name if principal else None
        if self._external is not None:
            return None
        stored = credentials.password_hash if credentials else None
        matches = self._matches(stored or self._dummy, attempt, "account")
        if not (matches and stored and principal):
            return None
        if passwords.needs_rehash(stored, cost=self._cost):
            self._rehash(principal, attempt.password, old=stored)
        return principal.name

    def _matches(self, stored: str, attempt: _Attempt, what: str) -> bool:
        try:
            return passwords.verify(stored, attempt.password)
        except ValueError:
            log.error("The password hash of %s of %r cannot be checked: set a new password.", what, attempt.name)  # noqa: TRY400
            return False

    def _rehash(self, principal: Principal, password: str, *, old: str) -> None:
        new = passwords.hash_password(password, cost=self._cost)
        try:
            self._store.run(lambda tx: tx.principals.rehash_password(principal.id, old=old, new=new), write=True)
        except Busy:
            log.warning("The password hash of %r could not be renewed now; the next login will.", principal.name)

    def _failed(self, attempt: _Attempt) -> Answer:
        self._store.run(lambda tx: self._limits.failed(tx, attempt.keys), write=True)
        self._wrong.put((attempt.mac, attempt.revision), None)
        for key in (attempt.keys.address, attempt.keys.user, attempt.keys.pair):
            self._failing.put(key, None)
        who = repr(attempt.name) if attempt.found else "nobody known here"
        log.warning("A login from %s failed, for %s.", attempt.remote_address or "a local address", who)
        return self._challenge

    def _note_success(self, keys: Keys, standing: Standing) -> None:
        if keys.pair in self._noted and not standing.pair:
            return
        try:
            self._store.run(lambda tx: self._limits.succeeded(tx, keys), write=True)
        except Busy:
            log.warning("A successful login could not be noted now; the next one will be.")
        else:
            self._noted.put(keys.pair, None)

    def _has_seen_failures(self, keys: Keys) -> bool:
        """Whether this worker knows of failures under these keys: if not, the statements for the counts are saved.

        Whoever guesses fails here before succeeding here, so this spares one guess for each worker at most.
        """
        return any(key in self._failing for key in (keys.address, keys.user, keys.pair))

    def _standing(self, keys: Keys) -> Standing:
        standing = self._store.run(lambda tx: self._limits.standing(tx, keys), write=False)
        if standing.clean:
            for key in (keys.address, keys.user, keys.pair):
                self._failing.drop(key)
        return standing

    def _too_many(self) -> TooMany:
        return TooMany(self._limits.seconds)

    def _revision(self, found: Found | None) -> str:
        epoch = self._store.epoch
        return revision_of(epoch, found[0].id, found[1].revision) if found else epoch

    def _find(self, name: str) -> Found | None:
        try:
            return self._store.run(lambda tx: tx.principals.for_login(name), write=False)
        except UnstorableText:
            return None

    def _welcome(self, name: str, found: Found | None) -> Answer:
        """The principal of a name that was accepted."""
        if found is None or found[0].name != name:
            found = self._find(name)
        principal = found[0] if found else self._new(name)
        if principal is None:
            log.warning("%r was accepted outside and has no account here.", name)
            return self._challenge
        if self._external is not None and principal.kind is PrincipalKind.GROUP:
            log.warning("%r was accepted outside and is a group here.", name)
            return self._challenge
        return Authenticated(principal)

    def _new(self, name: str) -> Principal | None:
        if self._provision is None:
            return None
        try:
            return self._provision(name)
        except NameTaken:
            found = self._find(name)
            return found[0] if found else None


def revision_of(epoch: str, principal_id: int, revision: int) -> str:
    """What stays the same as long as the credentials of a principal do. A restore of the database gives a new epoch."""
    return f"{epoch} {principal_id} {revision}"
