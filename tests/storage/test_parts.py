"""Stored properties, ACEs, locks, logins."""

from __future__ import annotations

import pytest

from storage.errors import Misuse, NameTaken, NotFound, UnstorableText
from storage.rows import Ace, Lock, Owner, PrincipalKind, StoredProperty
from storage.store import Store, Transaction
from tests.storage.conftest import House

LONG = "x" * 1000


def test_properties_are_keyed_by_resource_person_and_name(house: House) -> None:
    row = house.put("a.ics")
    bert = house.add_person("bert").principal_id
    work, item = Owner("collection", house.work.id), Owner("object", row.id)
    person = Owner("principal", bert)

    def write(tx: Transaction) -> None:
        for owner, who, namespace, name, xml in [
            (work, 0, "DAV:", "displayname", b"<everyone/>"),
            (work, bert, "DAV:", "displayname", b"<bert/>"),
            (work, bert, "DAV:", "Displayname", b"<other/>"),
            (work, 0, "urn:" + LONG, "y" + LONG, "<ä\0/>".encode()),
            (work, 0, "urn:" + LONG + "y", LONG, b"<not-the-same/>"),
            (item, 0, "DAV:", "displayname", b"<item/>"),
            (person, 0, "DAV:", "displayname", b"<person/>"),
        ]:
            tx.properties.set(StoredProperty(owner, who, namespace, name, xml))
        tx.properties.set(StoredProperty(work, 0, "DAV:", "displayname", b"<everyone again/>"))
        tx.properties.set(StoredProperty(work, 0, "DAV:", "displayname", b"<everyone again/>"))

    house.locked(write)

    def values(tx: Transaction, principal: int, *names: tuple[str, str]) -> dict[tuple[Owner, str], bytes]:
        found = tx.properties.of([work, item, person], principal_id=principal, names=names or None)
        return {(owner, prop.name): prop.xml for owner, props in found.items() for prop in props}

    def read(tx: Transaction) -> None:
        assert values(tx, 0, ("DAV:", "displayname")) == {
            (work, "displayname"): b"<everyone again/>",
            (item, "displayname"): b"<item/>",
            (person, "displayname"): b"<person/>",
        }
        assert values(tx, bert, ("DAV:", "displayname"))[work, "displayname"] == b"<bert/>"
        assert values(tx, bert)[work, "Displayname"] == b"<other/>"
        assert values(tx, 0)[work, "y" + LONG] == "<ä\0/>".encode()
        assert len(tx.properties.of([work], principal_id=0)[work]) == 3
        assert tx.properties.of([], principal_id=0) == {}

    house.read(read)

    def remove(tx: Transaction) -> None:
        tx.properties.remove(work, principal_id=bert, namespace="DAV:", name="displayname")
        tx.properties.remove(work, principal_id=bert, namespace="DAV:", name="never there")
        assert values(tx, bert, ("DAV:", "displayname"))[work, "displayname"] == b"<everyone again/>"
        tx.properties.copy(work, item)
        copied = tx.properties.of([item], principal_id=bert)[item]
        original = tx.properties.of([work], principal_id=bert)[work]
        assert [(prop.name, prop.xml) for prop in copied] == [(prop.name, prop.xml) for prop in original]
        with pytest.raises(UnstorableText):
            tx.properties.set(StoredProperty(work, 0, "DAV:", "\0", b""))

    house.locked(remove)
    with pytest.raises(Misuse):
        house.write(lambda tx: tx.properties.set(StoredProperty(work, 0, "DAV:", "x", b"")))


def test_properties_of_many_owners(house: House) -> None:
    def work(tx: Transaction) -> None:
        for number in range(600):
            tx.properties.set(StoredProperty(Owner("collection", house.work.id), 0, "n", f"{number}", b"%d" % number))
        owners = [Owner("collection", house.work.id), *(Owner("object", number) for number in range(1, 1300))]
        found = tx.properties.of(owners, principal_id=0)
        assert list(found) == owners[:1]
        assert len(found[owners[0]]) == 600

    house.locked(work)


def test_aces_keep_their_order(house: House) -> None:
    bert = house.add_person("bert").principal_id
    aces = [
        Ace("principal", grant=False, privileges=("{DAV:}write",), principal_id=bert),
        Ace("property", grant=True, privileges=("{DAV:}read", "{DAV:}write"), property="{DAV:}owner", invert=True),
        Ace("all", grant=True, privileges=("{urn:ietf:params:xml:ns:caldav}read-free-busy",), protected=True),
    ]

    def work(tx: Transaction) -> None:
        before = tx.homes.get(house.home_id).generation
        tx.acls.set(house.work, aces[:1])
        tx.acls.set(house.work, aces)
        assert tx.acls.of([house.work.id, 0]) == {house.work.id: aces}
        assert tx.homes.get(house.home_id).generation == before + 2
        assert [found.path for found in tx.acls.granted_to([bert])] == [("work",)]
        assert tx.acls.granted_to([0]) == []
        tx.acls.set(house.work, [])
        assert tx.acls.of([house.work.id]) == {}

    house.locked(work)
    with pytest.raises(Misuse):
        house.write(lambda tx: tx.acls.set(house.work, aces))


def _lock(house: House, token: str, *path: str, seconds: int = 60) -> Lock:
    return Lock(
        token,
        house.home_id,
        path,
        house.principal_id,
        exclusive=True,
        infinite=True,
        owner_xml=b"<D:href>me</D:href>",
        expires=house.clock.now + seconds,
    )


def test_locks_expire_and_are_refreshed(house: House) -> None:
    locks = [
        _lock(house, "t1", "work"),
        _lock(house, "t2", "work", "a.ics"),
        _lock(house, "t3", "workshop", seconds=10),
    ]

    def add(tx: Transaction) -> None:
        for lock in locks:
            tx.locks.add(lock)
        with pytest.raises(NameTaken):
            tx.locks.add(locks[0])

    house.locked(add)
    assert house.read(lambda tx: list(tx.locks.of_home(house.home_id))) == locks
    house.clock.forward(10)
    assert house.read(lambda tx: [lock.token for lock in tx.locks.of_home(house.home_id)]) == ["t1", "t2"]
    house.locked(lambda tx: tx.locks.refresh("t1", expires=tx.now + 500))
    house.clock.forward(100)
    assert house.read(lambda tx: [lock.token for lock in tx.locks.of_home(house.home_id)]) == ["t1"]
    with pytest.raises(NotFound):
        house.locked(lambda tx: tx.locks.refresh("t9", expires=0))
    house.locked(lambda tx: tx.locks.remove("t1"))
    assert house.read(lambda tx: tx.locks.of_home(house.home_id)) == []
    house.locked(lambda tx: tx.locks.add(_lock(house, "t1", "work")))


def test_locks_below_a_path(house: House) -> None:
    paths = [(), ("work",), ("work", "a.ics"), ("work2",), ("wor",), ("work", "x", "y")]

    def work(tx: Transaction) -> None:
        for number, path in enumerate(paths):
            tx.locks.add(Lock(f"t{number}", house.home_id, path, 1, True, False, b"", tx.now + 60))
        tx.locks.remove_below(house.home_id, ("work",))
        assert [lock.path for lock in tx.locks.of_home(house.home_id)] == [(), ("work2",), ("wor",)]
        tx.locks.remove_below(house.home_id, ())
        assert tx.locks.of_home(house.home_id) == []

    house.locked(work)


def test_expired_locks_are_cleaned_away(house: House) -> None:
    house.locked(lambda tx: tx.locks.add(_lock(house, "t1", "work", seconds=10)))
    house.clock.forward(11)
    house.store.clean(removals_before=0)
    house.clock.forward(-11)
    assert house.read(lambda tx: tx.locks.of_home(house.home_id)) == []


def test_failed_logins_are_counted_for_everybody(store: Store) -> None:
    def work(tx: Transaction) -> None:
        for at in (100, 110, 120):
            tx.logins.fail(["user:anna", "address:192.0.2.1"], at=at)
        tx.logins.fail(["user:\0\ud800"], at=120)
        counted = tx.logins.failures(["user:anna", "address:192.0.2.1", "user:\0\ud800", "other"], since=110)
        assert {key: count for key, count in counted.items() if count} == {
            "user:anna": 2,
            "address:192.0.2.1": 2,
            "user:\0\ud800": 1,
        }
        tx.logins.clear(["user:anna"])
        counted = tx.logins.failures(["user:anna", "address:192.0.2.1"], since=0)
        assert (counted.get("user:anna", 0), counted["address:192.0.2.1"]) == (0, 3)
        assert tx.logins.failures([], since=0) == {}

    store.run(work, write=True)


def test_places_of_successful_logins(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.logins.succeed("a", at=100)
        tx.logins.succeed("a", at=200)
        tx.logins.succeed("b", at=100)
        assert set(tx.logins.succeeded(["a", "b", "c"], since=150)) == {"a"}
        assert set(tx.logins.succeeded(["a", "b", "c"], since=100)) == {"a", "b"}

    store.run(work, write=True)
    store.clean(removals_before=0)
    assert store.run(lambda tx: set(tx.logins.succeeded(["a", "b"], since=0)), write=False) == set()


def test_a_group_that_is_removed_changes_what_its_members_see(store: Store) -> None:
    def work(tx: Transaction) -> None:
        anna = tx.principals.add(name="anna", kind=PrincipalKind.INDIVIDUAL)
        group = tx.principals.add(name="staff", kind=PrincipalKind.GROUP)
        tx.principals.set_members(group.id, [anna.id])
        before = tx.principals.by_id(anna.id)
        tx.principals.remove(group.id)
        after = tx.principals.by_id(anna.id)
        assert before is not None
        assert after is not None
        assert after.generation > before.generation

    store.run(work, write=True)
