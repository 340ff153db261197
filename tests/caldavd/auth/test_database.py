"""Logins against the store: passwords, app passwords, the cache, revocation across workers, rehashing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from caldavd.auth import Authenticated, Authenticator, Challenge, Unavailable, passwords
from caldavd.auth.passwords import Cost, hash_password, new_app_password
from storage.errors import Busy, UnstorableText
from tests.caldavd.auth.fake import CHEAP, REALM, FakeStore, Ticks, log_in, log_in_anew, policy

CHALLENGE = Challenge(REALM)


@dataclass
class Hashes:
    """Which hashes were checked, in their order: what a login costs."""

    checked: list[str] = field(default_factory=list)

    def taken(self) -> int:
        count = len(self.checked)
        self.checked.clear()
        return count


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Hashes:
    seen = Hashes()
    real = passwords.verify

    def spy(stored: str, password: str) -> bool:
        seen.checked.append(stored)
        return real(stored, password)

    monkeypatch.setattr(passwords, "verify", spy)
    return seen


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def test_a_right_password(store: FakeStore) -> None:
    u1 = store.add("u1", "pa:ss")
    assert log_in(Authenticator(store.store, policy()), "u1", "pa:ss") == Authenticated(u1)


@pytest.mark.parametrize("authorization", [None, "", "Basic ?", "Bearer abc", "Basic " + "QQ=="])
def test_what_is_no_login_is_challenged_without_any_statement(store: FakeStore, authorization: str | None) -> None:
    worker = Authenticator(store.store, policy())
    answer = worker.authenticate(authorization=authorization, remote_address="192.0.2.1", environ={})
    assert answer == CHALLENGE
    assert (store.principals.reads, store.logins.reads, store.logins.writes) == (0, 0, 0)


@pytest.mark.parametrize(
    ("login", "password"), [("u1", "wrong"), ("U1", "right"), ("nobody", "right"), ("u2", "right"), ("u1", "right ")]
)
def test_every_other_login_gets_the_same_challenge(store: FakeStore, login: str, password: str) -> None:
    store.add("u1", "right")
    store.add("u2")
    assert log_in(Authenticator(store.store, policy()), login, password) == CHALLENGE


def test_the_name_of_a_dummy_cannot_be_guessed_in(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add("u1")
    monkeypatch.setattr(passwords, "verify", lambda _stored, _password: True)
    worker = Authenticator(store.store, policy())
    assert log_in(worker, "u1", "x") == CHALLENGE
    assert log_in(worker, "nobody", "x") == CHALLENGE


def test_a_failure_costs_the_same_whoever_it_is_for(store: FakeStore, hashes: Hashes) -> None:
    store.add("plain", "right")
    store.add("without a password")
    several = store.add("several", "right")
    for number in range(5):
        _, stored = new_app_password(cost=CHEAP)
        store.principals.add_app_password(several.id, name=f"phone {number}", password_hash=stored)
    worker = Authenticator(store.store, policy(per_address=1000))
    for login in ("plain", "without a password", "several", "nobody", "x" * 5000):
        assert log_in(worker, login, "a wrong one") == CHALLENGE
        assert hashes.taken() == 1, login


def test_a_dummy_costs_what_a_hash_costs(store: FakeStore, hashes: Hashes) -> None:
    store.add("u1", "right", cost=Cost(memory=16, time=2))
    worker = Authenticator(store.store, policy(cost=Cost(memory=16, time=2)))
    log_in(worker, "u1", "wrong")
    log_in(worker, "nobody", "wrong")
    real, dummy = hashes.checked
    assert real.split("$")[:4] == dummy.split("$")[:4]


#: A login that was judged before is confirmed in the transaction that reads, or found again by whoever writes.
BOTH_WAYS = pytest.mark.parametrize("ask", [log_in, log_in_anew])


@BOTH_WAYS
def test_a_right_password_is_hashed_once_and_then_costs_one_statement(
    store: FakeStore, hashes: Hashes, ask: Callable[..., object]
) -> None:
    store.add("u1", "right")
    worker = Authenticator(store.store, policy())
    assert isinstance(log_in(worker, "u1", "right"), Authenticated)
    assert hashes.taken() == 1
    store.principals.reads = store.logins.reads = store.logins.writes = 0
    for _ in range(10):
        assert isinstance(ask(worker, "u1", "right", "198.51.100.7"), Authenticated)
    assert hashes.taken() == 0
    assert (store.principals.reads, store.logins.reads, store.logins.writes) == (10, 0, 0)


def test_the_cache_ends(store: FakeStore, hashes: Hashes) -> None:
    store.add("u1", "right")
    ticks = Ticks()
    worker = Authenticator(store.store, policy(cache_seconds=120), ticks=ticks)
    log_in(worker, "u1", "right")
    ticks.now += 119.9
    log_in(worker, "u1", "right")
    assert hashes.taken() == 1
    ticks.now += 0.1
    log_in(worker, "u1", "right")
    assert hashes.taken() == 1


def test_no_cache_at_all(store: FakeStore, hashes: Hashes) -> None:
    store.add("u1", "right")
    worker = Authenticator(store.store, policy(cache_seconds=0))
    for _ in range(3):
        log_in(worker, "u1", "right")
    assert hashes.taken() == 3


def test_the_principal_is_the_one_that_the_database_has_now(store: FakeStore) -> None:
    u1 = store.add("u1", "right")
    worker = Authenticator(store.store, policy())
    log_in(worker, "u1", "right")
    store.principals.rows["u1"] = (replace(u1, admin=True), store.principals.rows["u1"][1])
    answer = log_in(worker, "u1", "right")
    assert isinstance(answer, Authenticated)
    assert answer.principal.admin


@BOTH_WAYS
def test_a_changed_password_stops_at_once_in_every_worker(store: FakeStore, ask: Callable[..., object]) -> None:
    u1 = store.add("u1", "old")
    workers = [Authenticator(store.store, policy()) for _ in range(2)]
    assert all(isinstance(log_in(worker, "u1", "old"), Authenticated) for worker in workers)
    store.principals.set_password(u1.id, hash_password("new", cost=CHEAP))
    assert [ask(worker, "u1", "old") for worker in workers] == [CHALLENGE, CHALLENGE]
    assert all(isinstance(ask(worker, "u1", "new"), Authenticated) for worker in workers)


def test_a_password_that_was_wrong_may_become_right(store: FakeStore) -> None:
    u1 = store.add("u1", "old")
    worker = Authenticator(store.store, policy())
    assert log_in(worker, "u1", "new") == CHALLENGE
    store.principals.set_password(u1.id, hash_password("new", cost=CHEAP))
    assert isinstance(log_in(worker, "u1", "new"), Authenticated)


def test_a_user_who_is_removed_and_comes_again_is_somebody_else(store: FakeStore) -> None:
    store.add("u0", "x")
    store.add("u1", "old")
    worker = Authenticator(store.store, policy())
    log_in(worker, "u1", "old")
    store.add("u2", "x")
    del store.principals.rows["u1"]
    assert log_in(worker, "u1", "old") == CHALLENGE
    store.add("u1", "other")  # with the same revision
    assert log_in(worker, "u1", "old") == CHALLENGE


def test_after_a_restore_nothing_is_remembered(store: FakeStore, hashes: Hashes) -> None:
    store.add("u1", "right")
    worker = Authenticator(store.store, policy())
    log_in(worker, "u1", "right")
    store.epoch = "epoch2"
    log_in(worker, "u1", "right")
    assert hashes.taken() == 2


def test_app_passwords_work_and_are_revoked_one_by_one(store: FakeStore, hashes: Hashes) -> None:
    u1 = store.add("u1", "right")
    made = {name: new_app_password(cost=CHEAP) for name in ("phone", "laptop")}
    for name, (_, stored) in made.items():
        store.principals.add_app_password(u1.id, name=name, password_hash=stored)
    workers = [Authenticator(store.store, policy()) for _ in range(2)]
    for worker in workers:
        for password, _ in made.values():
            assert log_in(worker, "u1", password) == Authenticated(u1)
            assert hashes.taken() == 1
    store.principals.revoke_app_password(u1.id, "phone")
    for worker in workers:
        assert log_in(worker, "u1", made["phone"][0]) == CHALLENGE
        assert log_in(worker, "u1", made["laptop"][0]) == Authenticated(u1)
        assert log_in(worker, "u1", "right") == Authenticated(u1)


def test_an_app_password_is_not_another_user_s(store: FakeStore) -> None:
    u1 = store.add("u1")
    store.add("u2", "x")
    password, stored = new_app_password(cost=CHEAP)
    store.principals.add_app_password(u1.id, name="phone", password_hash=stored)
    worker = Authenticator(store.store, policy())
    assert log_in(worker, "u2", password) == CHALLENGE
    assert log_in(worker, "u1", password) == Authenticated(u1)


def test_an_app_password_hashed_elsewhere_works_too(store: FakeStore) -> None:
    u1 = store.add("u1")
    store.principals.add_app_password(u1.id, name="old", password_hash=hash_password("chosen", cost=CHEAP))
    assert log_in(Authenticator(store.store, policy()), "u1", "chosen") == Authenticated(u1)


def test_other_parameters_renew_the_hash_and_nothing_else(store: FakeStore, hashes: Hashes) -> None:
    store.add("u1", "right", cost=CHEAP)
    before = store.principals.rows["u1"][1]
    dearer = Cost(memory=16, time=1)
    worker = Authenticator(store.store, policy(cost=dearer))
    assert log_in(worker, "u1", "wrong") == CHALLENGE
    assert store.principals.rows["u1"][1] == before
    assert isinstance(log_in(worker, "u1", "right"), Authenticated)
    after = store.principals.rows["u1"][1]
    assert after.password_hash is not None
    assert not passwords.needs_rehash(after.password_hash, cost=dearer)
    assert after.revision == before.revision
    hashes.taken()
    assert isinstance(log_in(worker, "u1", "right"), Authenticated)
    assert hashes.taken() == 0


def test_renewing_does_not_set_back_a_password_that_was_changed_meanwhile(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    u1 = store.add("u1", "old", cost=CHEAP)
    dearer = Cost(memory=16, time=1)
    worker = Authenticator(store.store, policy(cost=dearer))
    real = passwords.verify

    def slow(stored: str, password: str) -> bool:
        matches = real(stored, password)
        store.principals.set_password(u1.id, hash_password("new", cost=dearer))
        return matches

    monkeypatch.setattr(passwords, "verify", slow)
    log_in(worker, "u1", "old")
    monkeypatch.setattr(passwords, "verify", real)
    assert log_in(worker, "u1", "old") == CHALLENGE
    assert isinstance(log_in(worker, "u1", "new"), Authenticated)


def test_what_cannot_be_written_now_does_not_keep_anybody_out(
    store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    u1 = store.add("u1", "right", cost=Cost(memory=16, time=1))
    store.refuse_writes = Busy("The database is busy.")
    assert log_in(Authenticator(store.store, policy()), "u1", "right") == Authenticated(u1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]


def test_a_failure_that_cannot_be_counted_is_not_a_challenge(store: FakeStore) -> None:
    store.add("u1", "right")
    store.refuse_writes = Busy("The database is busy.")
    with pytest.raises(Busy):
        log_in(Authenticator(store.store, policy()), "u1", "wrong")


def test_a_hash_that_is_none_is_told_to_the_log(store: FakeStore, caplog: pytest.LogCaptureFixture) -> None:
    u1 = store.add("u1")
    store.principals.set_password(u1.id, "{SSHA}secret")
    assert log_in(Authenticator(store.store, policy()), "u1", "secret") == CHALLENGE
    assert "'u1' cannot be checked" in caplog.text
    assert "secret" not in caplog.text


def test_a_name_that_no_database_keeps_is_nobody(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object, _name: str) -> None:
        raise UnstorableText("too long")

    monkeypatch.setattr(type(store.principals), "for_login", refuse)
    assert log_in(Authenticator(store.store, policy()), "u1", "x") == CHALLENGE


def test_the_log_holds_neither_passwords_nor_names_of_nobody(
    store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store.add("u1", "right-secret")
    worker = Authenticator(store.store, policy())
    log_in(worker, "u1", "wrong-secret")
    log_in(worker, "u1", "right-secret")
    log_in(worker, "typed-secret-as-name", "x")
    assert "A login from 192.0.2.1 failed, for 'u1'." in caplog.text
    assert "nobody known here" in caplog.text
    assert "secret" not in caplog.text
    assert "secret" not in repr(vars(worker))
    assert "secret" not in repr(store.logins)


def test_hashes_are_computed_only_so_many_at_once(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add("u1", "right")
    running = most = 0
    lock = threading.Lock()
    two_are_in = threading.Event()

    def counted(_stored: str, _password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                two_are_in.set()
        two_are_in.wait(5)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "verify", counted)
    worker = Authenticator(store.store, policy(hashes_at_once=2, per_user=1000, per_address=1000))
    threads = [threading.Thread(target=log_in, args=(worker, "u1", f"guess {n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 2


def test_who_waits_too_long_is_told_to_come_again(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch, blocked: threading.Event
) -> None:
    store.add("u1", "right")
    monkeypatch.setattr("caldavd.auth.authenticator._PATIENCE", 0.05)
    started = threading.Event()

    def slow(_stored: str, _password: str) -> bool:
        started.set()
        return not blocked.wait(10)

    worker = Authenticator(store.store, policy(hashes_at_once=1))
    monkeypatch.setattr(passwords, "verify", slow)
    first = threading.Thread(target=log_in, args=(worker, "u1", "one"))
    first.start()
    assert started.wait(5)
    with pytest.raises(Unavailable):
        log_in(worker, "u1", "two")
    blocked.set()
    first.join(10)


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """Is set at the end, whatever the test does, so that no thread waits for ever."""
    event = threading.Event()
    yield event
    event.set()
