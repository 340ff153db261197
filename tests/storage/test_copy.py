"""Copies of collections: what comes along, and what does not. That the database adds up is asked after each test."""

from __future__ import annotations

import pytest

from storage.errors import NameTaken, QuotaExceeded
from storage.rows import (
    OBJECT_COLUMNS,
    Ace,
    Collection,
    CollectionKind,
    Lock,
    NewObject,
    ObjectRow,
    Owner,
    PrincipalKind,
    StoredProperty,
)
from storage.store import Transaction
from tests.storage.conftest import House, find

ALL = OBJECT_COLUMNS | {"body", "spans"}


def _fill(tx: Transaction) -> Collection:
    """``tree/`` of two collections with two objects each, a property, an ACE and a lock."""
    tree = tx.collections.add(find(tx, "anna").collection, "tree", kind=CollectionKind.PLAIN)
    deep = tx.collections.add(tree, "deep", kind=CollectionKind.CALENDAR, components=("VTODO",))
    for collection in (tree, deep):
        tx.objects.put_many(
            collection,
            [
                (
                    name,
                    NewObject(name.encode(), "text/x", uid=f"{name}-uid", component="VTODO", starts_at=1, spans=b"s"),
                )
                for name in ("one", "two")
            ],
        )
    row = _object(tx, "anna", "tree", "deep", "two")
    tx.properties.set(StoredProperty(Owner("object", row.id), 0, "urn:x", "p", b"<p/>"))
    tx.properties.set(StoredProperty(Owner("collection", deep.id), 0, "urn:x", "q", b"<q/>"))
    tx.properties.set(StoredProperty(Owner("collection", tree.id), 0, "urn:x", "r", b"<r/>"))
    tx.acls.set(tree, [Ace("all", grant=True, privileges=("{DAV:}read",))])
    owner = find(tx, "anna").home.principal_id
    tx.locks.add(
        Lock("urn:l", tree.home_id, ("tree",), owner, exclusive=True, infinite=True, owner_xml=b"", expires=tx.now + 99)
    )
    return tree


def _object(tx: Transaction, owner: str, *path: str) -> ObjectRow:
    row = tx.objects.get(find(tx, owner, *path[:-1]).collection.id, path[-1], columns=ALL)
    assert row is not None
    return row


def _names(tx: Transaction, owner: Owner) -> list[str]:
    return [prop.name for prop in tx.properties.of([owner], principal_id=0).get(owner, ())]


def test_everything_below_comes_along(house: House) -> None:
    tree = house.locked(_fill)
    house.clock.forward(60)
    revision = house.home().counter

    def copy(tx: Transaction) -> Collection:
        return tx.collections.copy(tree, find(tx, "anna").collection, "copy", infinite=True)

    made = house.locked(copy)
    assert (made.path, made.kind, made.created) == (("copy",), CollectionKind.PLAIN, house.clock.now)

    def check(tx: Transaction) -> None:
        deep = find(tx, "anna", "copy", "deep").collection
        assert (deep.kind, deep.components) == (CollectionKind.CALENDAR, ("VTODO",))
        numbers = []
        for path in ("copy",), ("copy", "deep"):
            for name in ("one", "two"):
                old, new = _object(tx, "anna", "tree", *path[1:], name), _object(tx, "anna", *path, name)
                kept = ALL - {"id", "collection_id", "number", "created", "modified"}
                assert {column: getattr(old, column) for column in kept} == {c: getattr(new, c) for c in kept}
                assert new.created == new.modified == house.clock.now
                numbers.append(new.number)
        assert len(set(numbers)) == 4
        assert min(numbers) > revision
        assert find(tx, "anna", "copy").collection.revision == max(numbers)
        two = _object(tx, "anna", "copy", "deep", "two")
        assert _names(tx, Owner("object", two.id)) == ["p"]
        assert _names(tx, Owner("collection", deep.id)) == ["q"]
        assert _names(tx, Owner("collection", made.id)) == ["r"]
        assert not tx.acls.of([made.id, deep.id]).get(made.id)
        assert [lock.path for lock in tx.locks.of_home(made.home_id)] == [("tree",)]

    house.read(check)


def test_without_what_is_below(house: House) -> None:
    tree = house.locked(_fill)
    made = house.locked(lambda tx: tx.collections.copy(tree, find(tx, "anna").collection, "copy", infinite=False))

    def check(tx: Transaction) -> None:
        assert tx.objects.count(made.id) == 0
        assert not tx.collections.children(made.id)
        assert _names(tx, Owner("collection", made.id)) == ["r"]

    house.read(check)


def test_into_another_home_and_below_itself(house: House) -> None:
    tree = house.locked(_fill)
    size = house.home().used
    house.write(lambda tx: tx.principals.add(name="ben", kind=PrincipalKind.INDIVIDUAL))

    def work(tx: Transaction) -> None:
        tx.collections.copy(tree, find(tx, "ben").collection, "theirs", infinite=True)
        tx.collections.copy(tree, tree, "again", infinite=True)

    house.locked(work, "anna", "ben")

    def check(tx: Transaction) -> None:
        home = find(tx, "ben").home
        assert _object(tx, "ben", "theirs", "deep", "one").home_id == home.id
        assert home.used == size
        assert find(tx, "anna").home.used == 2 * size
        assert _object(tx, "anna", "tree", "again", "deep", "one").body == b"one"
        assert [found.name for found in tx.collections.children(find(tx, "anna", "tree", "again").collection.id)] == [
            "deep"
        ]

    house.read(check)


def test_a_taken_name_and_a_full_home(house: House) -> None:
    tree = house.locked(_fill)

    def taken(tx: Transaction) -> None:
        tx.collections.copy(tree, find(tx, "anna").collection, "work", infinite=True)

    with pytest.raises(NameTaken):
        house.locked(taken)

    def full(tx: Transaction) -> None:
        tx.homes.set_quota(tree.home_id, find(tx, "anna").home.used + 1)
        tx.collections.copy(tree, find(tx, "anna").collection, "copy", infinite=True)

    with pytest.raises(QuotaExceeded):
        house.locked(full)


def test_a_removed_name_comes_back(house: House) -> None:
    tree = house.locked(_fill)

    def work(tx: Transaction) -> None:
        tx.collections.remove(find(tx, "anna", "private").collection)
        tx.collections.copy(tree, find(tx, "anna").collection, "private", infinite=True)

    house.locked(work)


def test_removals_below_a_raised_floor_are_forgotten(house: House) -> None:
    def work(tx: Transaction) -> None:
        root = find(tx, "anna").collection
        tx.collections.remove(find(tx, "anna", "private").collection)
        tx.collections.remove(find(tx, "anna", "work").collection)
        tx.collections.add(root, "private", kind=CollectionKind.PLAIN)

    house.locked(work)
