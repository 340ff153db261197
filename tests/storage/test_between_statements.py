"""What is written between two statements of one page is told in a later page, and never lost.

On READ COMMITTED each statement sees what was committed before it. The races are too short to be met by chance, so the
other transaction is put between the statements here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from storage.errors import TokenTooOld
from storage.store import Transaction
from tests.storage.conftest import House, find, put
from tests.storage.workers import Client

NONE: frozenset[str] = frozenset()


def _then(tx: Transaction, statement: int, meanwhile: Callable[[], object]) -> None:
    """Lets somebody else commit after the transaction's statement of this number (1 is the first)."""
    original = tx.execute  # type: ignore[attr-defined]
    count = 0

    def execute(*arguments: Any) -> Any:
        nonlocal count
        result = original(*arguments)
        count += 1
        if count == statement:
            # The result is read before the other one writes, as it is without this test.
            result = result.freeze()()
            other = threading.Thread(target=meanwhile)
            other.start()
            other.join(30)
        return result

    tx.execute = execute  # type: ignore[attr-defined]
    tx.driver = None  # type: ignore[attr-defined] # so that every statement comes by here


@pytest.mark.parametrize("statement", [1, 2])
def test_a_page_of_a_calendar(house: House, statement: int) -> None:
    house.put("a")
    base = house.collection("work").revision
    house.put("b")
    client = Client(base, base, {("a",): ""})
    first = True

    def write(tx: Transaction) -> None:
        row = find(tx, "anna", "work", "a").object
        assert row is not None
        tx.objects.remove(house.work, row)
        put(tx, "work", "c")
        put(tx, "work", "d")

    def page(tx: Transaction) -> None:
        nonlocal first
        if first:
            first = False
            _then(tx, statement, lambda: house.locked(write))
        delta = tx.changes.since(house.work.id, base=base, cursor=client.cursor, limit=2, columns=NONE)
        for name in delta.removed:
            client.members.pop((name,), None)
        client.members.update({(row.name,): "" for row in delta.changed})
        client.cursor = delta.reached

    for _ in range(5):
        house.read(page)
    assert set(client.members) == {("b",), ("c",), ("d",)}
    assert client.cursor == house.collection("work").revision


@pytest.mark.parametrize("statement", [1, 2, 3, 4, 5])
def test_a_page_of_a_home(house: House, statement: int) -> None:
    house.put("a")
    root = house.collection()
    house.put("b")
    client = Client(root.revision, root.revision, {("work", "a"): ""})

    def write(tx: Transaction) -> None:
        row = find(tx, "anna", "work", "a").object
        assert row is not None
        tx.objects.remove(house.work, row)
        tx.collections.touch(find(tx, "anna", "private").collection)
        put(tx, "work", "c")
        put(tx, "private", "d")

    first = True

    def page(tx: Transaction) -> None:
        nonlocal first
        if first:
            first = False
            _then(tx, statement, lambda: house.locked(write))
        delta = tx.changes.since_below(
            root, base=client.base, cursor=client.cursor, limit=2, infinite=True, columns=NONE
        )
        for path in delta.removed:
            client.drop(tuple(path))
        client.members.update({found.path: "" for found in delta.collections})
        client.members.update({(*path, row.name): "" for path, row in delta.objects})
        client.cursor = delta.reached

    for _ in range(7):
        house.read(page)
    assert set(client.members) == {("private",), ("work", "b"), ("work", "c"), ("private", "d")}


@pytest.mark.parametrize("statement", [1, 2, 3, 4, 5])
def test_removals_that_are_forgotten_meanwhile(house: House, statement: int) -> None:
    """Either the removal is told or the token is refused."""
    root = house.collection()
    house.put("a")
    base = house.collection().revision
    house.remove("a")
    house.clock.forward(100)

    def clean() -> None:
        house.store.clean(removals_before=house.clock.now)

    def page(tx: Transaction) -> list[tuple[str, ...]]:
        _then(tx, statement, clean)
        delta = tx.changes.since_below(root, base=base, cursor=base, limit=None, infinite=True, columns=NONE)
        return list(delta.removed)

    try:
        assert house.read(page) == [("work", "a")]
    except TokenTooOld:
        assert house.collection().floor > base
