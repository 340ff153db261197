"""One object in many homes: found, written and removed in statements whose number does not grow with the homes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage.errors import NotFound
from storage.rows import Collection, CollectionKind, Lock, NewObject, ObjectRow, PrincipalKind, Put
from storage.sql.transaction import SqlTransaction
from storage.store import Transaction
from tests.caldavd.sharing import statements
from tests.storage.conftest import House, find

COLUMNS = frozenset({"body", "etag", "schedule_tag"})
#: More than one statement of rows takes.
PEOPLE = [f"p{number:03}" for number in range(230)]


@pytest.fixture
def calendars(house: House) -> list[Collection]:
    """A calendar of each person, under a name of its own, so that no two have the same path."""

    def work(tx: Transaction) -> list[Collection]:
        made = []
        for name in PEOPLE:
            tx.principals.add(name=name, kind=PrincipalKind.INDIVIDUAL)
            root = find(tx, name).collection
            made.append(tx.collections.add(root, f"of-{name}", kind=CollectionKind.CALENDAR))
        return made

    return house.write(work)


def content(body: str, **columns: str) -> NewObject:
    return NewObject(body.encode(), "text/calendar", uid="meeting", component="VEVENT", **columns)  # type: ignore[arg-type]


def puts(calendars: Sequence[Collection], new: NewObject, rows: dict[int, ObjectRow] | None = None) -> list[Put]:
    return [Put(one, f"{one.id}.ics", new, None if rows is None else rows[one.home_id]) for one in calendars]


def copies(tx: Transaction, calendars: Sequence[Collection]) -> dict[int, ObjectRow]:
    found = tx.objects.by_uid_in_homes([one.home_id for one in calendars], "meeting", columns=COLUMNS)
    assert all(len(rows) == 1 for rows in found.values())
    return {home_id: rows[0] for home_id, rows in found.items()}


def test_an_object_of_many_people(house: House, calendars: list[Collection]) -> None:
    def create(tx: Transaction) -> None:
        tx.homes.lock_of(PEOPLE)
        assert tx.objects.put_across(puts(calendars, content("one", schedule_tag="a"))) == [True] * len(PEOPLE)

    def change(tx: Transaction) -> None:
        tx.homes.lock_of(PEOPLE)
        rows = copies(tx, calendars)
        new = [Put(put.collection, put.name, content(f"two {put.name}"), put.replaces)
               for put in puts(calendars, content(""), rows)]  # fmt: skip
        assert all(tx.objects.put_across(new))

    def remove(tx: Transaction) -> None:
        tx.homes.lock_of(PEOPLE)
        rows = copies(tx, calendars)
        tx.objects.remove_across([(one, rows[one.home_id]) for one in calendars])

    for work in (create, change, remove):
        with statements() as seen:
            house.write(work)
        assert len(seen) <= 14, seen
        state = house.read(lambda tx: copies(tx, calendars))
        for one in calendars:
            now = house.read(lambda tx, one=one: tx.collections.get(one.id))  # type: ignore[misc]
            home = house.read(lambda tx, one=one: tx.homes.get(one.home_id))  # type: ignore[misc]
            assert now.revision == home.counter == one.revision + (create, change, remove).index(work) + 1
            if work is remove:
                assert one.home_id not in state
                assert home.used == 0
                continue
            row = state[one.home_id]
            assert row.number == home.counter
            assert row.name == f"{one.id}.ics"
            assert row.body == (b"one" if work is create else b"two " + row.name.encode())
            assert row.schedule_tag == ("a" if work is create else "")
            assert home.used == len(row.body)
    delta = house.read(
        lambda tx: tx.changes.since(
            calendars[7].id, base=calendars[7].revision, cursor=calendars[7].revision, limit=None, columns=frozenset()
        )
    )
    assert (list(delta.changed), list(delta.removed)) == ([], [f"{calendars[7].id}.ics"])


def test_who_has_no_room_left_goes_without(house: House, calendars: list[Collection]) -> None:
    few = calendars[:5]

    def work(tx: Transaction) -> None:
        tx.homes.lock([one.home_id for one in few])
        tx.homes.set_quota(few[3].home_id, 2)
        assert tx.objects.put_across(puts(few, content("four"))) == [True, True, True, False, True]
        assert tx.homes.left(few[3].home_id) == 2
        assert tx.homes.left(few[0].home_id) is None
        assert tx.objects.put_across([Put(few[3], "x", NewObject(b"12", "text/plain"))]) == [True]
        assert tx.homes.left(few[3].home_id) == 0

    house.write(work)
    assert house.read(lambda tx: tx.homes.get(few[3].home_id)).used == 2
    assert few[3].home_id not in house.read(lambda tx: copies(tx, few))


def test_copies_of_nobody_and_of_no_uid(house: House) -> None:
    assert house.read(lambda tx: tx.objects.by_uid_in_homes([], "meeting", columns=COLUMNS)) == {}
    assert house.read(lambda tx: tx.objects.by_uid_in_homes([house.home_id], "a\0", columns=COLUMNS)) == {}

    def nothing(tx: Transaction) -> None:
        assert tx.objects.put_across([]) == []
        tx.objects.remove_across([])

    house.locked(nothing)


def test_what_has_gone_is_not_removed_again(house: House) -> None:
    house.put("a.ics", uid="meeting")

    def work(tx: Transaction) -> None:
        row = tx.objects.get(house.work.id, "a.ics", columns=COLUMNS)
        assert row is not None
        tx.objects.remove(house.work, row)
        with pytest.raises(NotFound):
            tx.objects.remove_across([(house.work, row)])

    house.locked(work)


def test_a_batch_is_one_question_to_the_server(house: House, calendars: list[Collection]) -> None:
    """MariaDB's driver sends a list of parameters row by row where the statement is an UPDATE; here it never is."""
    if not house.url.startswith("mysql"):
        pytest.skip("only this driver does so")

    def asked(tx: Transaction) -> int:
        assert isinstance(tx, SqlTransaction)
        return int(tx.connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Questions'").one()[1])

    def create(tx: Transaction) -> None:
        tx.homes.lock_of(PEOPLE)
        tx.objects.put_across(puts(calendars, content("one")))

    def change(tx: Transaction) -> int:
        before = asked(tx)
        tx.homes.lock_of(PEOPLE)
        rows = copies(tx, calendars)
        tx.objects.put_across(puts(calendars, content("two"), rows))
        tx.flush()  # type: ignore[attr-defined]
        return asked(tx) - before

    house.write(create)
    assert house.write(change) <= 20


def test_the_locks_of_what_has_gone(house: House, calendars: list[Collection]) -> None:
    few = calendars[:3]

    def work(tx: Transaction) -> None:
        tx.homes.lock_of(PEOPLE)
        for number, one in enumerate(few):
            for path in ((*one.path, "x"), one.path, (*few[0].path, "y")):
                tx.locks.add(
                    Lock(f"{number}{path[-1]}", one.home_id, path, house.principal_id, True, False, b"", tx.now + 60)
                )
        with statements() as seen:
            tx.locks.remove_at([(one.home_id, (*one.path, "x")) for one in calendars])
        assert len(seen) == 2
        tx.locks.remove_at([(few[1].home_id, (*few[0].path, "y")), (few[0].home_id, ("nothing",))])
        left = [[lock.path[len(one.path) :] for lock in tx.locks.of_home(one.home_id)] for one in few]
        assert left == [[(), ("y",)], [()], [(), ("y",)]]
        tx.locks.remove_at([])

    house.write(work)
