"""What watchers are told of a commit: every change of a collection, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage.rows import Bounds, CollectionKind, Moved, NewObject, Owner, StoredProperty
from storage.store import Store, Transaction
from tests.storage.conftest import House

E = Bounds("VEVENT", 10, 20)


def event(uid: str, start: int | None = 10, end: int | None = 20) -> NewObject:
    body = f"{uid} {start}".encode()
    return NewObject(body, "text/calendar", uid=uid, component="VEVENT", starts_at=start, ends_at=end)


@pytest.fixture
def told(store: Store, house: House) -> list[tuple[str, Sequence[Moved]]]:
    found: list[tuple[str, Sequence[Moved]]] = []
    store.watch(lambda epoch, moved: found.append((epoch, moved)))
    return found


def revision(store: Store, collection_id: int) -> int:
    found = store.run(lambda tx: tx.collections.get(collection_id), write=False)
    assert found is not None
    return found.revision


def put(tx: Transaction, house: House, name: str, new: NewObject) -> None:
    found = tx.collections.find("anna", ("work", name))
    assert found is not None
    tx.objects.put(found.collection, name, new, replaces=found.object)


def test_put_replace_and_remove(store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]) -> None:
    before = revision(store, house.work.id)
    house.locked(lambda tx: put(tx, house, "a.ics", event("a")))
    first = revision(store, house.work.id)
    assert told == [(store.epoch, [Moved(house.work.id, before, first, (E,))])]
    house.locked(lambda tx: put(tx, house, "a.ics", event("a", 30, None)))
    second = revision(store, house.work.id)
    assert told[1][1] == [Moved(house.work.id, first, second, (E, Bounds("VEVENT", 30, None)))]

    def remove(tx: Transaction) -> None:
        found = tx.collections.find("anna", ("work", "a.ics"))
        assert found is not None
        assert found.object is not None
        tx.objects.remove(found.collection, found.object)

    house.locked(remove)
    third = revision(store, house.work.id)
    assert told[2][1] == [Moved(house.work.id, second, third, (Bounds("VEVENT", 30, None),))]


def test_many_at_once(store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]) -> None:
    def work(number: int) -> None:
        def many(tx: Transaction) -> None:
            found = tx.collections.get(house.work.id)
            assert found is not None
            new = [(f"{number}-{at}.ics", event(f"{number}-{at}", at, at)) for at in range(number)]
            tx.objects.put_many(found, new)

        house.locked(many)

    work(3)
    work(500)
    assert [one.touched and len(one.touched) for _, moved in told for one in moved] == [3, None]


def test_a_move_is_told_of_both(store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]) -> None:
    house.locked(lambda tx: put(tx, house, "a.ics", event("a")))

    def work(tx: Transaction) -> int:
        found = tx.collections.find("anna", ("work", "a.ics"))
        assert found is not None
        assert found.object is not None
        target = tx.collections.add(found.chain[0], "other", kind=CollectionKind.CALENDAR)
        tx.objects.move(found.collection, found.object, target, "a.ics")
        return target.id

    other = house.locked(work)
    by_id = {one.collection_id: one for one in told[-1][1]}
    assert by_id[house.work.id].touched == (E,)
    assert by_id[other].touched == (E,)
    assert by_id[other].before is None, "nobody read it before"


def test_properties_touch_nothing_and_copies_everything(
    store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]
) -> None:
    house.locked(lambda tx: put(tx, house, "a.ics", event("a")))

    def touch(tx: Transaction) -> None:
        found = tx.collections.find("anna", ("work",))
        assert found is not None
        tx.properties.set(StoredProperty(Owner("collection", house.work.id), 0, "x", "y", b"<y xmlns='x'/>"))
        tx.collections.touch(found.collection)

    house.locked(touch)
    assert [one.touched for one in told[-1][1]] == [()]

    def copy(tx: Transaction) -> None:
        found = tx.collections.find("anna", ("work",))
        assert found is not None
        tx.collections.copy(found.collection, found.chain[0], "copy", infinite=True)

    house.locked(copy)
    assert [one.touched for one in told[-1][1] if one.collection_id != found_home(store)] == [None]


def found_home(store: Store) -> int:
    found = store.run(lambda tx: tx.collections.find("anna", ()), write=False)
    assert found is not None
    return found.collection.id


def test_what_was_read_before_the_lock_is_not_believed(
    store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]
) -> None:
    stale = house.work  # as it was in another transaction
    house.locked(lambda tx: tx.objects.put(stale, "a.ics", event("a"), replaces=None))
    assert [one.before for one in told[-1][1]] == [None]


def test_nothing_is_told_of_what_was_not_committed(
    store: Store, house: House, told: list[tuple[str, Sequence[Moved]]]
) -> None:
    def work(tx: Transaction) -> None:
        put(tx, house, "a.ics", event("a"))
        raise KeyError("no")

    with pytest.raises(KeyError):
        house.locked(work)
    store.run(lambda tx: tx.collections.get(house.work.id), write=False)
    assert told == []


def test_a_watcher_that_fails_harms_nobody(store: Store, house: House) -> None:
    def fails(_epoch: str, _moved: Sequence[Moved]) -> None:
        raise RuntimeError("broken")

    found: list[int] = []
    store.watch(fails)
    store.watch(lambda _epoch, moved: found.append(len(moved)))
    house.locked(lambda tx: put(tx, house, "a.ics", event("a")))
    assert found == [1]
