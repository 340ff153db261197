"""Passwords: argon2id with the cost that was asked for, generated ones, app passwords."""

from __future__ import annotations

import re
import threading

import argon2
import pytest

from caldavd.auth import passwords
from caldavd.auth.passwords import Cost

CHEAP = Cost(memory=8, time=1, parallelism=1)


def test_a_hash_is_argon2id_with_the_default_cost() -> None:
    stored = passwords.hash_password("secret", cost=Cost())
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(stored, "secret")
    assert not passwords.verify(stored, "Secret")


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.hash_password("x", cost=CHEAP) != passwords.hash_password("x", cost=CHEAP)


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("pa\u00dfwort", "pa\u00dfwort"),
        ("\u00fcber", "u\u0308ber"),
        ("a b", "a\u00a0b"),
        ("日本", "日本"),
        ("a:b", "a:b"),
    ],
)
def test_the_same_characters_are_the_same_password(stored: str, sent: str) -> None:
    assert passwords.verify(passwords.hash_password(stored, cost=CHEAP), sent)


@pytest.mark.parametrize(
    "stored", ["", "x", "$argon2id$", "$2y$05$abcdefghijklmnopqrstuu", "$argon2id$v=19$m=8,t=1,p=1$$"]
)
def test_what_is_no_hash_is_an_error_and_not_a_mismatch(stored: str) -> None:
    assert not passwords.is_hash(stored)
    with pytest.raises(ValueError, match="hash"):
        passwords.verify(stored, "x")


def test_hashes_from_elsewhere() -> None:
    assert passwords.is_hash(argon2.PasswordHasher(memory_cost=64, type=argon2.Type.I).hash("x"))
    assert not passwords.is_hash(passwords.dummy_hash(cost=Cost(memory=4 * 1024 * 1024 + 8)))


def test_a_hash_of_another_cost_is_to_be_renewed() -> None:
    stored = passwords.hash_password("x", cost=CHEAP)
    assert not passwords.needs_rehash(stored, cost=CHEAP)
    assert passwords.needs_rehash(stored, cost=Cost(memory=16, time=1))


def test_the_dummy_has_the_shape_of_a_real_hash_and_matches_nothing() -> None:
    dummy, real = passwords.dummy_hash(cost=CHEAP), passwords.hash_password("x", cost=CHEAP)
    assert argon2.extract_parameters(dummy) == argon2.extract_parameters(real)
    assert len(dummy) == len(real)
    assert not passwords.verify(dummy, "x")


def test_a_generated_password_is_readable_and_long_enough() -> None:
    generated = {passwords.generate_password() for _ in range(100)}
    assert len(generated) == 100
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{5}-){4}[a-hjkmnp-z2-9]{5}", password) for password in generated)
    assert passwords.GENERATED_BITS - 16 >= 100


def test_a_batch_keeps_its_order_and_uses_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    together = threading.Barrier(2, timeout=10)
    real = passwords.hash_password

    def spy(password: str, *, cost: Cost) -> str:
        together.wait()
        seen.add(threading.current_thread().name)
        return real(password, cost=cost)

    monkeypatch.setattr(passwords, "hash_password", spy)
    words = [f"password {n}" for n in range(20)]
    hashes = list(passwords.hash_passwords(words, cost=CHEAP, threads=2))
    assert all(passwords.verify(stored, word) for stored, word in zip(hashes, words, strict=True))
    assert len(seen) == 2


def test_an_app_password_matches_its_hash_only() -> None:
    made = [passwords.new_app_password(cost=CHEAP) for _ in range(50)]
    for password, stored in made:
        assert passwords.verify(stored, password)
        assert passwords.may_match(stored, password)
        assert password not in stored
    tried = sum(passwords.may_match(stored, "a wrong one") for _, stored in made)
    assert tried <= 1  # one in 65,536 has the tag by chance


def test_a_hash_without_a_tag_is_always_tried() -> None:
    assert passwords.may_match(passwords.hash_password("x", cost=CHEAP), "y")
    assert passwords.may_match("broken", "y")
