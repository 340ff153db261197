"""Logins with an authentication outside: mapping to principals, app passwords beside it, the cache, newcomers."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field

import pytest

from caldavd.auth import Authenticated, Authenticator, Challenge, TooMany, Unavailable, passwords
from caldavd.auth.authenticator import Provision
from caldavd.auth.external import External
from caldavd.auth.passwords import hash_password, new_app_password
from storage.errors import NameTaken
from storage.rows import PrincipalKind
from tests.caldavd.auth.fake import CHEAP, REALM, FakeStore, Ticks, log_in, policy

CHALLENGE = Challenge(REALM)
PROXY = "127.0.0.1"


@dataclass
class Directory:
    """Who is let in, and how often it was asked."""

    accounts: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    away: bool = False

    def login(self, login: str, password: str) -> str:
        self.asked += 1
        if self.away:
            raise RuntimeError("away")
        return self.renamed.get(login, login) if self.accounts.get(login) == password else ""


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    import radicale.auth

    directory = Directory({"u1": "outside", "u2": "outside too"})

    class Auth(radicale.auth.BaseAuth):
        def _login(self, login: str, password: str) -> str:
            return directory.login(login, password)

    module = types.ModuleType("house.login")
    module.Auth = Auth  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "house", types.ModuleType("house"))
    monkeypatch.setitem(sys.modules, "house.login", module)
    return directory


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    store.add("u1")
    return store


def _worker(
    store: FakeStore, *, kind: str = "house.login", provision: Provision | None = None, ticks: Ticks | None = None
) -> Authenticator:
    external = External(kind, {}, trusted=lambda peer: peer == PROXY, patience=0.05)
    return Authenticator(store.store, policy(), external=external, provision=provision, ticks=ticks or Ticks())


def test_who_is_accepted_outside_is_the_principal_of_this_name(store: FakeStore, directory: Directory) -> None:
    worker = _worker(store)
    assert log_in(worker, "u1", "outside") == Authenticated(store.principals.rows["u1"][0])
    assert log_in(worker, "u1", "wrong") == CHALLENGE


def test_the_database_s_own_password_does_not_count_beside_it(store: FakeStore, directory: Directory) -> None:
    store.principals.set_password(1, hash_password("inside", cost=CHEAP))
    assert log_in(_worker(store), "u1", "inside") == CHALLENGE


def test_the_directory_may_say_another_name(store: FakeStore, directory: Directory) -> None:
    second = store.add("second")
    directory.renamed["u1"] = "second"
    worker = _worker(store)
    for _ in range(2):
        assert log_in(worker, "u1", "outside") == Authenticated(second)
    assert directory.asked == 1


def test_what_was_accepted_stays_so_for_the_time_of_the_cache(store: FakeStore, directory: Directory) -> None:
    ticks = Ticks()
    worker = _worker(store, ticks=ticks)
    log_in(worker, "u1", "outside")
    directory.accounts["u1"] = "changed"
    ticks.now += 119
    assert isinstance(log_in(worker, "u1", "outside"), Authenticated)
    ticks.now += 1
    assert log_in(worker, "u1", "outside") == CHALLENGE
    assert directory.asked == 2


def test_what_was_wrong_is_asked_again_after_half_a_minute(store: FakeStore, directory: Directory) -> None:
    ticks = Ticks()
    worker = _worker(store, ticks=ticks)
    assert [log_in(worker, "u1", "new") for _ in range(20)] == [CHALLENGE] * 20
    assert directory.asked == 1
    directory.accounts["u1"] = "new"
    ticks.now += 30
    assert isinstance(log_in(worker, "u1", "new"), Authenticated)


def test_app_passwords_are_looked_at_first_and_stop_at_once(store: FakeStore, directory: Directory) -> None:
    password, stored = new_app_password(cost=CHEAP)
    store.principals.add_app_password(1, name="phone", password_hash=stored)
    workers = [_worker(store) for _ in range(2)]
    directory.away = True
    for worker in workers:
        assert isinstance(log_in(worker, "u1", password), Authenticated)
    assert directory.asked == 0
    directory.away = False
    store.principals.revoke_app_password(1, "phone")
    assert [log_in(worker, "u1", password) for worker in workers] == [CHALLENGE] * 2


def test_failures_outside_have_the_same_limits(store: FakeStore, directory: Directory) -> None:
    workers = [_worker(store), _worker(store)]
    answers = [log_in(workers[n % 2], "u1", f"guess {n}", f"10.0.0.{n}") for n in range(6)]
    assert answers == [CHALLENGE] * 5 + [TooMany(300)]
    assert directory.asked == 5


def test_a_directory_that_is_away_is_no_failure(store: FakeStore, directory: Directory) -> None:
    directory.away = True
    worker = _worker(store)
    for _ in range(20):
        with pytest.raises(Unavailable):
            log_in(worker, "u1", "outside")
    directory.away = False
    assert isinstance(log_in(worker, "u1", "outside"), Authenticated)
    assert not store.logins.failed


def test_no_hash_is_computed_for_a_failure_outside(
    store: FakeStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stored = new_app_password(cost=CHEAP)
    store.principals.add_app_password(1, name="phone", password_hash=stored)
    monkeypatch.setattr(passwords, "verify", lambda *_: pytest.fail("That tells who has app passwords."))
    assert log_in(_worker(store), "u1", "wrong") == CHALLENGE


def test_a_newcomer_is_refused_or_gets_an_account(store: FakeStore, directory: Directory) -> None:
    assert log_in(_worker(store), "u2", "outside too") == CHALLENGE
    worker = _worker(store, provision=lambda name: store.principals.add(name=name))
    answer = log_in(worker, "u2", "outside too")
    assert answer == Authenticated(store.principals.rows["u2"][0])
    assert not store.logins.failed
    assert log_in(worker, "u3", "x") == CHALLENGE
    assert "u3" not in store.principals.rows


def test_a_newcomer_in_two_workers_at_once(store: FakeStore, directory: Directory) -> None:
    def slower(name: str) -> None:
        store.add(name)
        raise NameTaken(name)

    assert log_in(_worker(store, provision=slower), "u2", "outside too") == Authenticated(
        store.principals.rows["u2"][0]
    )


def test_a_name_that_cannot_be_one_is_refused(store: FakeStore, directory: Directory) -> None:
    assert log_in(_worker(store, provision=lambda _name: None), "u2", "outside too") == CHALLENGE


def test_nobody_becomes_a_group(store: FakeStore, directory: Directory) -> None:
    store.principals.add(name="staff", kind=PrincipalKind.GROUP)
    directory.accounts["staff"] = "x"
    assert log_in(_worker(store), "staff", "x") == CHALLENGE


def test_a_trusted_proxy_says_who_it_is(store: FakeStore) -> None:
    worker = _worker(store, kind="http_x_remote_user")
    u1 = Authenticated(store.principals.rows["u1"][0])

    def asked(peer: str, authorization: str | None = None) -> object:
        environ = {"REMOTE_ADDR": peer, "HTTP_X_REMOTE_USER": "u1"}
        return worker.authenticate(authorization=authorization, remote_address="192.0.2.1", environ=environ)

    assert asked(PROXY) == u1
    assert asked(PROXY, "Basic bm9ib2R5Ong=") == u1
    assert asked("192.0.2.66") == CHALLENGE
    assert log_in(worker, "u1", "anything") == CHALLENGE


def test_beside_a_proxy_app_passwords_work_too(store: FakeStore) -> None:
    password, stored = new_app_password(cost=CHEAP)
    store.principals.add_app_password(1, name="phone", password_hash=stored)
    worker = _worker(store, kind="http_x_remote_user")
    assert isinstance(log_in(worker, "u1", password), Authenticated)
