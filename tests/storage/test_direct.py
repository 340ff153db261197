"""What is asked of SQLite's driver directly has the rows that SQLAlchemy would have given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, event, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from storage.rows import OBJECT_COLUMNS, Owner, PrincipalKind, StoredProperty
from storage.sql.direct import Direct, driver_of
from storage.sql.schema import collections, objects
from storage.sql.transaction import SqlTransaction
from storage.store import Transaction
from tests.storage.conftest import House


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
    bert = tx.principals.add(name="bert", kind=PrincipalKind.ROOM, displayname="Bért", admin=True, quota=7)
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
    ]


def test_both_ways_give_the_same(house: House) -> None:
    row = house.put("a.ics", uid="a", body=b"bytes \x00\xff")
    house.write(_furnish)

    def stored(tx: Transaction) -> None:
        for who, xml in ((0, b"<x>all</x>"), (house.principal_id, b"<x>mine</x>")):
            tx.properties.set(StoredProperty(Owner("object", row.id), who, "DAV:", "x", xml))

    house.locked(stored)
    direct = house.read(_answers)
    again = house.read(_answers)
    with listening() as heard:
        usual = house.read(_answers)
    assert heard
    assert direct == again == usual
    types = [type(value) for _, value in direct[2]]
    assert types == [type(value) for _, value in usual[2]]


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
