"""The parts of a store that logins need, in memory; and what the tests of this folder share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from caldavd.auth import Authenticated, Authenticator, Policy, Unconfirmed
from caldavd.auth.limits import Limits
from caldavd.auth.passwords import Cost, hash_password
from storage.errors import NameTaken
from storage.rows import AppPassword, Credentials, Principal, PrincipalKind
from storage.store import Store, Transaction

T = TypeVar("T")

CHEAP = Cost(memory=8, time=1, parallelism=1)
REALM = "Calendars"
NOW = 1_800_000_000


@dataclass
class FakePrincipals:
    rows: dict[str, tuple[Principal, Credentials]] = field(default_factory=dict)
    reads: int = 0

    def add(self, *, name: str, kind: PrincipalKind = PrincipalKind.INDIVIDUAL) -> Principal:
        if name in self.rows:
            raise NameTaken(name)
        number = 1 + max((principal.id for principal, _ in self.rows.values()), default=0)
        principal = Principal(number, name, kind, name, "", "", False, number, 0, NOW)
        self.rows[name] = (principal, Credentials(number, 1, None))
        return principal

    def for_login(self, name: str) -> tuple[Principal, Credentials] | None:
        self.reads += 1
        return self.rows.get(name)

    def _change(self, principal_id: int, change: Callable[[Credentials], Credentials]) -> None:
        for name, (principal, credentials) in self.rows.items():
            if principal.id == principal_id:
                changed = replace(change(credentials), revision=credentials.revision + 1)
                self.rows[name] = (principal, changed)

    def set_password(self, principal_id: int, password_hash: str | None) -> None:
        self._change(principal_id, lambda was: replace(was, password_hash=password_hash))

    def rehash_password(self, principal_id: int, *, old: str, new: str) -> bool:
        for name, (principal, credentials) in self.rows.items():
            if principal.id == principal_id and credentials.password_hash == old:
                self.rows[name] = (principal, replace(credentials, password_hash=new))
                return True
        return False

    def add_app_password(self, principal_id: int, *, name: str, password_hash: str) -> AppPassword:
        made = AppPassword(0, name, password_hash, NOW)
        self._change(principal_id, lambda was: replace(was, app_passwords=(*was.app_passwords, made)))
        return made

    def revoke_app_password(self, principal_id: int, name: str) -> bool:
        self._change(
            principal_id,
            lambda was: replace(was, app_passwords=tuple(app for app in was.app_passwords if app.name != name)),
        )
        return True


@dataclass
class FakeLogins:
    failed: list[tuple[str, int]] = field(default_factory=list)
    successes: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0

    def failures(self, keys: Collection[str], *, since: int) -> Mapping[str, int]:
        self.reads += 1
        counts: dict[str, int] = {}
        for key, at in self.failed:
            if key in keys and at >= since:
                counts[key] = counts.get(key, 0) + 1
        return counts

    def fail(self, keys: Collection[str], *, at: int) -> None:
        self.writes += 1
        self.failed.extend((key, at) for key in keys)

    def clear(self, keys: Collection[str]) -> None:
        self.failed = [(key, at) for key, at in self.failed if key not in keys]

    def succeed(self, key: str, *, at: int) -> None:
        self.writes += 1
        self.successes[key] = at

    def succeeded(self, keys: Collection[str], *, since: int) -> Collection[str]:
        return {key for key in keys if self.successes.get(key, -1) >= since}


@dataclass
class FakeStore:
    """One store; several authenticators on it are several workers."""

    epoch: str = "epoch1"
    now: int = NOW
    principals: FakePrincipals = field(default_factory=FakePrincipals)
    logins: FakeLogins = field(default_factory=FakeLogins)
    refuse_writes: Exception | None = None

    def run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        if write and self.refuse_writes is not None:
            raise self.refuse_writes
        return work(cast("Transaction", self))

    def add(self, name: str, password: str | None = None, *, cost: Cost = CHEAP) -> Principal:
        principal = self.principals.add(name=name)
        if password is not None:
            self.principals.set_password(principal.id, hash_password(password, cost=cost))
        return principal

    @property
    def store(self) -> Store:
        return cast("Store", self)


@dataclass
class Ticks:
    """A clock that the test winds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def policy(
    *,
    cost: Cost = CHEAP,
    per_user: int = 5,
    per_address: int = 10,
    seconds: int = 300,
    cache_seconds: float = 120,
    hashes_at_once: int = 2,
) -> Policy:
    return Policy(REALM, cost, Limits(per_user, per_address, seconds), cache_seconds, hashes_at_once)


def header(login: str, password: str) -> str:
    return f"Basic {b64encode(f'{login}:{password}'.encode()).decode()}"


def log_in(worker: Authenticator, login: str, password: str, address: str = "192.0.2.1", **environ: object) -> object:
    """As a request that only reads is answered: by what is remembered, where that is confirmed."""
    sent = header(login, password)
    expected = worker.expected(authorization=sent, remote_address=address)
    if expected is not None:
        with suppress(Unconfirmed):
            return Authenticated(worker._store.run(expected.confirmed, write=False))
    return log_in_anew(worker, login, password, address, **environ)


def log_in_anew(
    worker: Authenticator, login: str, password: str, address: str = "192.0.2.1", **environ: object
) -> object:
    """As a request that writes is answered."""
    return worker.authenticate(
        authorization=header(login, password), remote_address=address, environ={"REMOTE_ADDR": address, **environ}
    )
