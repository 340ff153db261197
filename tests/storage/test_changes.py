"""Changes since: every page is a consistent place to stop, and nothing is lost between pages (RFC 6578)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.errors import NotFound, TokenTooOld
from storage.rows import Collection, CollectionKind, Delta, HomeDelta, NewObject
from storage.sql import changes
from storage.store import Transaction
from tests.storage.conftest import House, find, put

NONE: frozenset[str] = frozenset()


def _since(house: House, base: int, cursor: int | None = None, limit: int | None = None) -> Delta:
    at = base if cursor is None else cursor
    return house.read(lambda tx: tx.changes.since(house.work.id, base=base, cursor=at, limit=limit, columns=NONE))


def _below(
    house: House, collection: Collection, base: int, *, cursor: int | None = None, limit: int | None = None, deep: bool
) -> HomeDelta:
    at = base if cursor is None else cursor
    return house.read(
        lambda tx: tx.changes.since_below(
            collection, base=base, cursor=at, limit=limit, infinite=deep, columns=frozenset({"etag"})
        )
    )


def _names(delta: Delta) -> list[str]:
    return [row.name for row in delta.changed]


def test_each_change_is_told_once_in_the_order_of_the_numbers(house: House) -> None:
    start = house.collection("work").revision
    for name in ("a", "b", "c"):
        house.put(name)
    house.put("a", b"again")
    delta = _since(house, start)
    assert (_names(delta), delta.removed, delta.truncated) == (["b", "c", "a"], [], False)
    assert [row.number for row in delta.changed] == [start + 2, start + 3, start + 4]
    assert delta.reached == start + 4 == house.collection("work").revision
    assert _since(house, delta.reached) == Delta([], [], delta.reached, truncated=False)

    house.remove("b")
    house.remove("c")
    house.put("c", b"back")
    delta = _since(house, delta.reached)
    assert (_names(delta), delta.removed) == (["c"], ["b"])


def test_a_walk_and_one_statement_tell_the_same_as_a_list(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_PAGE", 3)
    start = house.collection("work").revision
    for number in range(8):
        house.put(f"{number}")
    house.remove("4")
    for base in (start, start + 2, start + 8, start + 9):

        def walked(tx: Transaction, base: int = base) -> tuple[list[str], list[str], int]:
            walk = tx.changes.walk(house.work.id, base=base, cursor=base, columns=frozenset({"etag"}))
            return [row.name for row in walk.changed if row.etag], list(walk.removed), walk.reached

        delta = _since(house, base)
        assert house.read(walked) == (_names(delta), list(delta.removed), delta.reached)
    columns = frozenset({"etag", "recurs"})
    assert house.read(lambda tx: [row.name for row in tx.objects.each(house.work.id, columns=columns)]) == [*"0123567"]


def test_only_the_collection_itself_is_looked_at(house: House) -> None:
    start = house.collection("work").revision
    house.put("a", into="private")
    assert _since(house, start) == Delta([], [], start, truncated=False)


def test_a_removal_that_the_client_never_saw_is_told_all_the_same_but_not_in_an_initial_sync(house: House) -> None:
    start = house.collection("work").revision
    house.put("a")
    house.remove("a")
    assert _since(house, start).removed == ["a"]
    now = house.collection("work").revision
    assert _since(house, now, cursor=0) == Delta([], [], now, truncated=False)


def test_pages_of_any_size_add_up(house: House) -> None:
    start = house.collection("work").revision
    for number in range(20):
        house.put(f"{number}")
    for number in range(0, 20, 3):
        house.remove(f"{number}")
    for limit in (1, 2, 3, 7, 19, 20, 21, 100):
        changed: list[str] = []
        removed: list[str] = []
        cursor, pages = start, 0
        while True:
            delta = _since(house, start, cursor, limit)
            assert len(delta.changed) + len(delta.removed) <= limit
            changed += _names(delta)
            removed += delta.removed
            cursor = delta.reached
            pages += 1
            if not delta.truncated:
                break
            assert len(delta.changed) + len(delta.removed) == limit
        assert pages == -(-20 // limit)
        assert sorted(changed + removed, key=int) == [f"{number}" for number in range(20)]
        assert sorted(removed, key=int) == [f"{number}" for number in range(0, 20, 3)]
        assert cursor == house.collection("work").revision


def test_an_initial_walk_loses_nothing_that_is_written_between_its_pages(house: House) -> None:
    for number in range(6):
        house.put(f"{number}")
    base = house.collection("work").revision
    client: dict[str, bytes] = {}

    def page(cursor: int) -> Delta:
        return house.read(
            lambda tx: tx.changes.since(house.work.id, base=base, cursor=cursor, limit=2, columns=frozenset({"body"}))
        )

    writes: list[Callable[[], object]] = [
        lambda: house.put("5", b"changed before it was seen"),
        lambda: house.remove("0"),
        lambda: house.put("1", b"changed after it was seen"),
        lambda: house.remove("4"),
        lambda: house.put("new"),
    ]
    cursor = 0
    while True:
        delta = page(cursor)
        for row in delta.changed:
            client[row.name] = row.body
        for name in delta.removed:
            client.pop(name, None)
        cursor = delta.reached
        if writes:
            writes.pop(0)()
        elif not delta.truncated:
            break
    delta = page(cursor)
    assert not delta.changed
    assert client == {
        "1": b"changed after it was seen",
        "2": b"body",
        "3": b"body",
        "5": b"changed before it was seen",
        "new": b"body",
    }


def test_tokens_from_elsewhere_are_refused(house: House) -> None:
    start = house.collection("work")
    with pytest.raises(TokenTooOld):
        _since(house, start.floor - 1)
    with pytest.raises(TokenTooOld):
        _since(house, start.revision + 1)
    with pytest.raises(TokenTooOld):
        _below(house, start, start.floor - 1, deep=True)
    with pytest.raises(TokenTooOld):
        _below(house, start, start.revision + 1, deep=False)
    with pytest.raises(NotFound):
        house.read(lambda tx: tx.changes.since(0, base=0, cursor=0, limit=None, columns=NONE))


def test_below_the_home_one_level_tells_children_by_their_revision(house: House) -> None:
    root = house.collection()
    start = root.revision
    house.put("a")
    delta = _below(house, root, start, deep=False)
    assert [found.path for found in delta.collections] == [("work",)]
    assert (delta.objects, delta.removed, delta.reached) == ([], [], house.home().counter)

    def more(tx: Transaction) -> None:
        plain = tx.collections.add(root, "plain", kind=CollectionKind.PLAIN)
        tx.objects.put(root, "file", NewObject(b"x", "text/plain"), replaces=None)
        inner = tx.collections.add(plain, "inner", kind=CollectionKind.PLAIN)
        tx.objects.put(inner, "deep", NewObject(b"x", "text/plain"), replaces=None)
        tx.collections.remove(find(tx, "anna", "private").collection)

    house.locked(more)
    delta = _below(house, root, delta.reached, deep=False)
    assert [found.path for found in delta.collections] == [("plain",)]
    assert [(path, row.name) for path, row in delta.objects] == [((), "file")]
    assert delta.removed_collections == [("private",)]

    plain = house.collection("plain")
    below_plain = _below(house, plain, plain.floor, deep=False)
    assert [found.path for found in below_plain.collections] == [("plain", "inner")]


def test_below_the_home_at_any_depth(house: House) -> None:
    root = house.collection()
    start = root.revision

    def work(tx: Transaction) -> None:
        plain = tx.collections.add(root, "plain", kind=CollectionKind.PLAIN)
        inner = tx.collections.add(plain, "inner", kind=CollectionKind.PLAIN)
        tx.collections.add(root, "plain2", kind=CollectionKind.PLAIN)
        tx.objects.put(inner, "deep", NewObject(b"x", "text/plain"), replaces=None)
        put(tx, "work", "a.ics")
        row = put(tx, "work", "b.ics")
        tx.objects.remove(house.work, row)
        tx.collections.touch(house.work)

    house.locked(work)
    delta = _below(house, root, start, deep=True)
    assert [found.path for found in delta.collections] == [("plain",), ("plain", "inner"), ("plain2",), ("work",)]
    assert [(*path, row.name) for path, row in delta.objects] == [("plain", "inner", "deep"), ("work", "a.ics")]
    assert all(row.etag for _, row in delta.objects)
    assert delta.removed == [("work", "b.ics")]

    everything = {*(found.path for found in delta.collections), *delta.removed}
    everything |= {(*path, row.name) for path, row in delta.objects}
    for limit in (1, 2, 3, 50):
        told: list[tuple[str, ...]] = []
        cursor = start
        while True:
            page = _below(house, root, start, cursor=cursor, limit=limit, deep=True)
            told += [found.path for found in page.collections]
            told += [(*path, row.name) for path, row in page.objects] + list(page.removed)
            cursor = page.reached
            if not page.truncated:
                break
        assert sorted(told) == sorted(everything)

    plain = house.collection("plain")
    inside = _below(house, plain, plain.floor, deep=True)
    assert [found.path for found in inside.collections] == [("plain", "inner")]
    assert [(*path, row.name) for path, row in inside.objects] == [("plain", "inner", "deep")]
    assert inside.removed == []


def test_forgotten_removals_move_the_floor_up_to_the_home(house: House) -> None:
    house.put("a")
    house.put("b")
    house.put("kept")
    before = house.collection("work").revision
    house.remove("a")
    house.remove("b")
    known = house.collection("work").revision
    house.clock.forward(1000)
    house.put("c")
    house.remove("c")
    house.store.clean(removals_before=house.clock.now - 10)

    with pytest.raises(TokenTooOld):
        _since(house, before)
    with pytest.raises(TokenTooOld):
        _since(house, known - 1)
    with pytest.raises(TokenTooOld):
        _below(house, house.collection(), before, deep=True)
    with pytest.raises(TokenTooOld):
        _below(house, house.collection(), before, deep=False)
    assert _since(house, known).removed == ["c"]
    now = house.collection("work").revision
    assert _names(_since(house, now, cursor=0)) == ["kept"]

    house.store.clean(removals_before=house.clock.now + 1)
    with pytest.raises(TokenTooOld):
        _since(house, known)
    assert _since(house, now).removed == []


def test_cleaning_does_not_trust_the_clock(house: House) -> None:
    house.put("a")
    house.put("b")
    house.clock.forward(1000)
    house.remove("a")
    house.clock.forward(-1000)
    house.remove("b")
    house.store.clean(removals_before=house.clock.now + 1)
    # b was removed later, with a lower time: what was removed before it goes as well.
    floor = house.collection("work").floor
    assert floor == house.collection("work").revision
    assert house.complaints() == []


def test_cleaning_keeps_what_is_young(house: House) -> None:
    house.put("a")
    start = house.collection("work").revision
    house.remove("a")
    house.store.clean(removals_before=house.clock.now)
    assert _since(house, start).removed == ["a"]
