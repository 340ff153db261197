"""Guessing: limits by address and by user, over several workers, without locking people out of their own places."""

from __future__ import annotations

import pytest

from caldavd.auth import Authenticated, Authenticator, Challenge, TooMany, passwords
from caldavd.auth.limits import KNOWN_SECONDS, Keys, place, user_key
from tests.caldavd.auth.fake import NOW, REALM, FakeStore, Ticks, log_in, policy

CHALLENGE = Challenge(REALM)
WAIT = TooMany(300)
HOME, CAFE = "198.51.100.1", "203.0.113.9"


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    store.add("u1", "right")
    store.add("u2", "right too")
    return store


def _guess(worker: Authenticator, login: str, times: int, address: str, *, words: str = "guess") -> list[object]:
    return [log_in(worker, login, f"{words} {number}", address) for number in range(times)]


def _elsewhere(worker: Authenticator, login: str, times: int, *, words: str = "guess") -> list[object]:
    """Guesses from an address each."""
    return [log_in(worker, login, f"{words} {number}", f"10.0.0.{number}") for number in range(times)]


def test_the_limit_by_user(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    assert _elsewhere(worker, "u1", 5) == [CHALLENGE] * 5
    assert log_in(worker, "u1", "another guess", CAFE) == WAIT
    assert log_in(worker, "u2", "right too", CAFE) == Authenticated(store.principals.rows["u2"][0])


def test_the_limit_by_address(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5, per_address=8))
    assert [log_in(worker, f"name {n}", "123456", CAFE) for n in range(8)] == [CHALLENGE] * 8
    assert log_in(worker, "u1", "guess", CAFE) == WAIT
    assert log_in(worker, "u1", "guess", HOME) == CHALLENGE


def test_a_right_password_is_refused_at_the_limit(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    _elsewhere(worker, "u1", 5)
    assert log_in(worker, "u1", "right", CAFE) == WAIT


def test_users_who_do_not_exist_have_the_same_limit(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    assert _elsewhere(worker, "nobody", 6) == _elsewhere(worker, "u1", 6)


def test_the_limits_count_over_all_workers(store: FakeStore) -> None:
    workers = [Authenticator(store.store, policy(per_user=5)) for _ in range(3)]
    answers = [log_in(workers[n % 3], "u1", f"guess {n}", f"10.0.0.{n}") for n in range(9)]
    assert answers == [CHALLENGE] * 5 + [WAIT] * 4
    assert log_in(Authenticator(store.store, policy(per_user=5)), "u1", "right", CAFE) == WAIT


def test_what_was_refused_costs_no_hash_and_does_not_count(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    _elsewhere(worker, "u1", 5)
    monkeypatch.setattr(passwords, "verify", lambda *_: pytest.fail("A refused login was checked."))
    store.logins.writes = 0
    assert _elsewhere(worker, "u1", 50, words="more") == [WAIT] * 50
    assert store.logins.writes == 0


def test_the_limit_ends_although_the_guessing_does_not(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5, seconds=300))
    _elsewhere(worker, "u1", 5)
    for _ in range(10):
        store.now += 29
        assert log_in(worker, "u1", "a guess more", CAFE) == WAIT
    store.now = NOW + 300
    assert isinstance(log_in(worker, "u1", "right", HOME), Authenticated)


def test_where_a_user_always_is_the_failures_from_elsewhere_do_not_count(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5, cache_seconds=0))
    other = Authenticator(store.store, policy(per_user=5, cache_seconds=0))
    log_in(worker, "u1", "right", HOME)
    _elsewhere(worker, "u1", 6)
    for each in (worker, other):
        assert isinstance(log_in(each, "u1", "right", HOME), Authenticated)
        assert log_in(each, "u1", "right", CAFE) == WAIT


def test_a_neighbour_behind_the_same_address_locks_nobody_out(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=50, per_address=8, cache_seconds=0))
    log_in(worker, "u1", "right", HOME)
    _guess(worker, "someone", 9, HOME)
    assert isinstance(log_in(worker, "u1", "right", HOME), Authenticated)
    assert log_in(worker, "u2", "right too", HOME) == WAIT


def test_at_a_known_address_guessing_has_a_limit_too(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    log_in(worker, "u1", "right", HOME)
    assert _guess(worker, "u1", 6, HOME) == [CHALLENGE] * 5 + [WAIT]


def test_a_remembered_password_is_no_way_round_the_limit(store: FakeStore) -> None:
    """Else every guess could be tried against the cache, at full speed."""
    worker = Authenticator(store.store, policy(per_user=5))
    log_in(worker, "u1", "right", HOME)
    _guess(worker, "u1", 5, HOME)
    assert log_in(worker, "u1", "right", HOME) == WAIT
    _elsewhere(worker, "u1", 5)
    assert log_in(worker, "u1", "right", CAFE) == WAIT


def test_a_success_clears_one_s_own_failures(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5, per_address=1000, cache_seconds=0))
    for round_ in range(4):
        assert _guess(worker, "u1", 4, HOME, words=f"typo {round_}") == [CHALLENGE] * 4
        assert isinstance(log_in(worker, "u1", "right", HOME), Authenticated)


def test_a_success_does_not_clear_guesses_at_others(store: FakeStore) -> None:
    """Else whoever has an account logs in between two guesses at another one."""
    worker = Authenticator(store.store, policy(per_user=100, per_address=8, cache_seconds=0))
    answers = []
    for number in range(9):
        answers.append(log_in(worker, "u1", f"guess {number}", CAFE))
        log_in(worker, "u2", "right too", CAFE)
    assert answers == [CHALLENGE] * 8 + [WAIT]


def test_the_same_wrong_password_again_is_no_guess(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with an old password asks again and again, Thunderbird once for each of its calendars."""
    worker = Authenticator(store.store, policy(per_user=5))
    assert log_in(worker, "u1", "old", HOME) == CHALLENGE
    with monkeypatch.context() as patched:
        patched.setattr(passwords, "verify", lambda *_: pytest.fail("The same wrong password was checked again."))
        assert [log_in(worker, "u1", "old", HOME) for _ in range(30)] == [CHALLENGE] * 30
    assert isinstance(log_in(worker, "u1", "right", HOME), Authenticated)


def test_an_address_is_known_for_thirty_days(store: FakeStore) -> None:
    for days, expected in ((29, Authenticated), (31, TooMany)):
        log_in(Authenticator(store.store, policy()), "u1", "right", HOME)
        store.now += days * 86400
        worker = Authenticator(store.store, policy(per_user=5))
        _elsewhere(worker, "u1", 5)
        assert isinstance(log_in(worker, "u1", "right", HOME), expected)
        store.now += 300
    assert KNOWN_SECONDS == 30 * 86400


def test_a_known_address_is_noted_once_a_day(store: FakeStore) -> None:
    ticks = Ticks()
    worker = Authenticator(store.store, policy(cache_seconds=10), ticks=ticks)
    for _ in range(100):
        log_in(worker, "u1", "right", HOME)
        ticks.now += 60
    assert store.logins.writes == 1
    ticks.now += 86400
    log_in(worker, "u1", "right", HOME)
    assert store.logins.writes == 2


def test_when_no_failure_counts_any_more_the_counts_are_not_read_any_more(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy())
    log_in(worker, "u1", "right", HOME)
    log_in(worker, "u1", "wrong", HOME)
    store.now += 300
    log_in(worker, "u1", "right", HOME)
    store.logins.reads = 0
    log_in(worker, "u1", "right", HOME)
    assert store.logins.reads == 0


def test_an_administrator_can_clear_a_user(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_user=5))
    _elsewhere(worker, "u1", 5)
    store.logins.clear([user_key("u1")])
    assert isinstance(log_in(worker, "u1", "right", CAFE), Authenticated)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "local"),
        ("/run/socket", "local"),
    ],
)
def test_one_place(address: str, expected: str) -> None:
    assert place(address) == expected


def test_another_address_of_the_same_network_is_the_same_place(store: FakeStore) -> None:
    worker = Authenticator(store.store, policy(per_address=8))
    answers = [log_in(worker, f"name {n}", "x", f"2001:db8::{n:x}:1") for n in range(9)]
    assert answers == [CHALLENGE] * 8 + [WAIT]
    assert log_in(worker, "u1", "x", "2001:db8:0:1::1") == CHALLENGE


def test_keys_are_short_ascii_and_show_no_names() -> None:
    keys = Keys.of(name="sécret" * 1000, remote_address="192.0.2.1")
    for key in (keys.address, keys.user, keys.pair):
        assert len(key) <= 64
        assert key.isascii()
        assert "cret" not in key
    assert len({keys.address, keys.user, keys.pair}) == 3
    assert keys.user == user_key("sécret" * 1000)
    assert Keys.of(name="a", remote_address="192.0.2.2").pair != Keys.of(name="a", remote_address="192.0.2.1").pair
