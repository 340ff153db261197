"""What is asked of SQLite's driver directly has the rows that SQLAlchemy would have given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, event, insert, literal_column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.rows import (
    OBJECT_COLUMNS,
    Ace,
    Address,
    CollectionKind,
    Found,
    Lock,
    NewObject,
    Owner,
    PrincipalKind,
    StoredProperty,
)
from storage.sql.direct import Direct, DirectWrite, driver_of
from storage.sql.schema import collections, objects, removals
from storage.sql.transaction import SqlTransaction
from storage.store import Transaction
from tests.storage.conftest import House, find


@contextmanager
def listening() -> Iterator[list[str]]:
    """Somebody listens, so that every statement goes through SQLAlchemy."""
    heard: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _furnish(tx: Transaction) -> None:
    addresses = [Address("mailto:bert@example.org", preferred=True), Address("urn:bert", preferred=False)]
    bert = tx.principals.add(
        name="bert", kind=PrincipalKind.ROOM, displayname="Bért", addresses=addresses, admin=True, quota=7
    )
    tx.principals.set_password(bert.id, "a hash")
    tx.principals.add_app_password(bert.id, name="phone", password_hash="x")
    tx.principals.add_app_password(bert.id, name="tablet", password_hash="y")


def _answers(tx: Transaction) -> list[Any]:
    anna = tx.principals.by_name("anna")
    assert anna is not None
    found = tx.collections.find("anna", ("work", "a.ics"), columns=OBJECT_COLUMNS | {"body", "spans"})
    assert found is not None
    assert found.object is not None
    owner, name = Owner("object", found.object.id), ("DAV:", "x")
    return [
        found.home,
        found.chain,
        [(column, getattr(found.object, column)) for column in sorted(OBJECT_COLUMNS | {"body", "spans"})],
        tx.collections.find("anna", ("work", "none"), columns=OBJECT_COLUMNS),
        tx.collections.find("anna", ("none", "a.ics")),
        tx.collections.find("nobody", ()),
        tx.principals.for_login("bert"),
        tx.principals.for_login("anna"),
        tx.principals.for_login("nobody"),
        *(tx.properties.of([owner], principal_id=who, names=[name]) for who in (0, anna.id, anna.id + 1)),
        tx.properties.of([owner], principal_id=anna.id, names=[("DAV:", "y")]),
        tx.principals.by_addresses({"mailto:bert@example.org", "urn:bert", "mailto:nobody@example.org"}),
        tx.collections.of_homes([anna.home_id, 999], kinds=list(CollectionKind), names=[("DAV:", "x"), ("DAV:", "y")]),
        tx.collections.of_homes([anna.home_id], kinds=[CollectionKind.CALENDAR]),
        tx.acls.of([one.id for one in found.chain]),
    ]


def test_both_ways_give_the_same(house: House) -> None:
    row = house.put("a.ics", uid="a", body=b"bytes \x00\xff")
    house.write(_furnish)

    def stored(tx: Transaction) -> None:
        for who, xml in ((0, b"<x>all</x>"), (house.principal_id, b"<x>mine</x>")):
            tx.properties.set(StoredProperty(Owner("object", row.id), who, "DAV:", "x", xml))
            tx.properties.set(StoredProperty(Owner("collection", house.work.id), who, "DAV:", "x", xml))
        tx.acls.set(house.work, [Ace("all", True, ("{DAV:}read",)), Ace("self", False, ("{DAV:}all",), invert=True)])

    house.locked(stored)
    direct = house.read(_answers)
    again = house.read(_answers)
    with listening() as heard:
        usual = house.read(_answers)
    assert heard
    assert direct == again == usual
    types = [type(value) for _, value in direct[2]]
    assert types == [type(value) for _, value in usual[2]]


@pytest.mark.parametrize("columns", [frozenset({"etag"}), frozenset({"body", "recurs"}), OBJECT_COLUMNS | {"spans"}])
def test_both_ways_find_the_same_names(house: House, columns: frozenset[str]) -> None:
    names = [f"{number}.ics" for number in range(1100)]
    new = [(name, NewObject(name.encode(), "text/calendar", uid=name, recurs=name < "5")) for name in names]
    house.locked(lambda tx: tx.objects.put_many(house.work, new))

    def rows(tx: Transaction, asked: list[str]) -> dict[str, list[Any]]:
        found = tx.objects.by_names(house.work.id, asked, columns=columns)
        return {name: [getattr(row, column) for column in sorted(columns | {"name"})] for name, row in found.items()}

    for size in (0, 1, 2, 3, 5, 8, 9, 499, 500, 501, 1100):
        asked = [*names[:size], "none", "n\0ne", *names[: size // 2]]
        direct = house.read(partial(rows, asked=asked))
        with listening():
            usual = house.read(partial(rows, asked=asked))
        assert direct == usual
        assert set(direct) == set(names[:size])


def test_names_are_looked_up(house: House) -> None:
    """Also where an index that holds all columns could be read as a whole."""

    def work(tx: Transaction) -> list[str]:
        assert isinstance(tx, SqlTransaction)
        if tx.driver is None:
            return []
        asked: list[str] = []
        tx.driver.set_trace_callback(asked.append)
        for columns in (frozenset[str](), frozenset({"etag"}), frozenset({"etag", "number"}), frozenset({"body"})):
            for size in (1, 2, 3, 50, 500):
                tx.objects.by_names(house.work.id, list(map(str, range(size))), columns=columns)
        tx.driver.set_trace_callback(None)
        assert asked
        return [tx.driver.execute(f"EXPLAIN QUERY PLAN {one}").fetchone()[3] for one in asked]

    assert all("(collection_id=? AND name=?)" in plan for plan in house.read(work))


def test_what_the_driver_refuses_is_the_usual_error(house: House) -> None:
    def work(tx: Transaction) -> None:
        assert isinstance(tx, SqlTransaction)
        is_sqlite = tx.backend.name == "sqlite"
        assert (driver_of(tx.connection) is not None) == is_sqlite
        Direct(select(literal_column("1")).select_from(text("no_such_table"))).all(tx, {})

    with pytest.raises(DBAPIError, match="no_such_table"):
        house.read(work)


def test_columns_of_one_name_are_told_apart_by_their_places(house: House) -> None:
    statement = Direct(
        select(collections.c.id, objects.c.id, objects.c.recurs, objects.c.name)
        .join(collections, collections.c.id == objects.c.collection_id)
        .where(objects.c.name == bindparam("name"))
    )
    row = house.put("a.ics", uid="a")

    def work(tx: Transaction) -> Any:
        assert isinstance(tx, SqlTransaction)
        return statement.all(tx, {"name": "a.ics"})

    ((first, second, recurs, name),) = house.read(work)
    assert (first, second, name) == (row.collection_id, row.id, "a.ics")
    assert recurs is False
    assert house.read(work)[0].name == "a.ics"


def _change(tx: Transaction, calendar: str) -> None:
    """Every statement that writes a row of its own: new, replaced, with another UID, removed, and there again."""

    def found() -> Found:
        return find(tx, "anna", calendar)

    def put(name: str, new: NewObject) -> None:
        place = tx.collections.find("anna", (calendar, name))
        assert place is not None
        tx.objects.put(place.collection, name, new, replaces=place.object)

    whole = NewObject(
        b"bytes \x00\xff", "text/calendar", uid="ü", component="VEVENT", schedule_tag="tag", starts_at=-5,
        ends_at=2**40, recurs=True, transparent=True, organizer="mailto:a@example.org", spans=b"\xff\x00",
        digest_version=3,
    )  # fmt: skip
    put("whole.ics", whole)
    put("plain", NewObject(b"", "text/plain"))
    put("same.ics", replace(whole, uid="same"))
    put("same.ics", replace(whole, uid="same", recurs=False, ends_at=None, spans=b"", body=b"another"))
    put("other.ics", replace(whole, uid="before"))
    put("other.ics", replace(whole, uid="after"))
    for name in ("gone", "again"):
        put(name, replace(whole, uid=name))
        row = tx.objects.get(found().collection.id, name, columns=OBJECT_COLUMNS)
        assert row is not None
        tx.objects.remove(found().collection, row)
    put("again", replace(whole, uid="again"))
    home = tx.homes.of("anna")
    assert home is not None
    tx.locks.remove_below(home.id, (calendar,))


def _left(tx: Transaction, calendar: str) -> list[Any]:
    """What ``_change`` has left behind, without what differs between two calendars."""
    assert isinstance(tx, SqlTransaction)
    place = find(tx, "anna", calendar).collection
    tables = {
        objects: {"id", "home_id", "collection_id", "number"},
        removals: {"collection_id", "number"},
    }
    rows: list[Any] = [
        [
            {column: value for column, value in row.items() if column not in own}
            for row in tx.execute(
                select(table).where(table.c.collection_id == place.id).order_by(table.c.name)
            ).mappings()
        ]
        for table, own in tables.items()
    ]
    home = tx.homes.of("anna")
    assert home is not None
    return [*rows, home.counter == place.revision, place.modified, home.used, tx.locks.of_home(home.id)]


def _lock(tx: Transaction, path: tuple[str, ...]) -> None:
    home = tx.homes.of("anna")
    assert home is not None
    tx.locks.add(
        Lock(
            token=f"lock of {path}",
            home_id=home.id,
            path=path,
            principal_id=home.principal_id,
            exclusive=True,
            infinite=True,
            owner_xml=b"<o/>",
            expires=tx.now + 60,
        )
    )


def test_both_ways_leave_the_same(house: House) -> None:
    house.locked(lambda tx: _lock(tx, ("kept",)))

    def run(calendar: str) -> list[Any]:
        before = house.home().used
        house.locked(lambda tx: _lock(tx, (calendar, "whole.ics")))
        house.locked(lambda tx: _change(tx, calendar))
        *rows, used, locks = house.read(lambda tx: _left(tx, calendar))
        return [*rows, used - before, [lock.path for lock in locks]]

    direct = run("work")
    with listening() as heard:
        usual = run("private")
    assert any(statement.startswith("INSERT INTO objects") for statement in heard)
    assert direct == usual
    assert [row["name"] for row in direct[0]] == ["again", "other.ics", "plain", "same.ics", "whole.ics"]
    assert [row["name"] for row in direct[1]] == ["gone"]
    assert direct[-1] == [("kept",)]


def test_a_constraint_that_the_driver_finds_is_the_usual_error(house: House) -> None:
    add = DirectWrite(insert(removals), [column.name for column in removals.c])
    row = {"collection_id": house.work.id, "name": "x", "was_collection": False, "number": 1, "removed": 1}

    def twice(tx: Transaction) -> None:
        assert isinstance(tx, SqlTransaction)
        add.run(tx, row)
        with pytest.raises(IntegrityError, match="removals"):
            add.run(tx, row)
        raise _Enough

    for listen in (nullcontext(), listening()):
        with listen, pytest.raises(_Enough):
            house.locked(twice)


def test_a_value_that_is_missing_is_an_error(house: House) -> None:
    add = DirectWrite(insert(removals), [column.name for column in removals.c])

    def work(tx: Transaction) -> None:
        assert isinstance(tx, SqlTransaction)
        add.run(tx, {"collection_id": house.work.id, "name": "x", "was_collection": False, "number": 1})

    with pytest.raises((KeyError, DBAPIError)):
        house.locked(work)


class _Enough(Exception):
    """Ends a transaction."""
