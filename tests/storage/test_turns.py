"""Threads take turns on SQLite, and nobody waits long for somebody who is slow."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.errors import NameTaken
from storage.rows import CollectionKind
from storage.sql import turns
from storage.sql.turns import TURNS, Turns
from storage.store import Transaction
from tests.storage.conftest import House, find


def test_the_next_one_waits_until_the_turn_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 30)
    places, order = Turns(), []

    def other() -> None:
        turn = places.take()
        order.append("other")
        turn.release()

    turn = places.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other)
        time.sleep(0.05)
        order.append("first")
        turn.release()
        waiting.result(30)
    assert order == ["first", "other"]


def test_who_is_slow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Turns()
    slow = places.take()
    second = places.take()
    second.release()
    monkeypatch.setattr(turns, "PATIENCE", 30)
    assert places.take() is second
    slow.release()


def _taken() -> bool:
    """Whether somebody has the turn now."""
    return TURNS._current.locked()


def _read(tx: Transaction) -> bool:
    tx.principals.all(limit=1)
    return _taken()


def _write(tx: Transaction) -> bool:
    tx.homes.lock_of(["anna"])
    tx.collections.add(find(tx, "anna").collection, "turns", kind=CollectionKind.CALENDAR)
    return _taken()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_transaction_has_the_turn_until_it_ends(house: House) -> None:
    assert house.read(_read)
    assert not _taken()
    assert house.write(_write)
    assert not _taken()
    with pytest.raises(NameTaken):
        house.write(_write)
    assert not _taken()
    with pytest.raises(ZeroDivisionError):
        house.read(lambda tx: 1 // len(tx.principals.by_names([])))
    assert not _taken()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_transaction_that_takes_long_does_not_keep_the_others(house: House) -> None:
    ended = threading.Event()
    begun = threading.Event()

    def slow(tx: Transaction) -> None:
        tx.principals.all(limit=1)
        begun.set()
        assert ended.wait(30)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(house.read, slow)
        assert begun.wait(30)
        assert len(list(pool.map(lambda _: house.read(_read), range(20)))) == 20
        house.put("meanwhile")
        ended.set()
        first.result(30)
    assert not _taken()
