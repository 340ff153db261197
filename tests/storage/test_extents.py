"""What lies in a stretch of time is found in an index, and is what a comparison of every row finds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from storage.rows import NewObject
from storage.sql.extents import choosing
from storage.sql.schema import ENDLESS, LONGEST, STARTLESS
from storage.sql.store import SqlStore
from storage.store import Store, Transaction
from tests.storage.conftest import House, Watch, find

_COLUMNS = frozenset({"name", "starts_at", "ends_at", "component"})
_KINDS = ("VEVENT", "VTODO", "VFREEBUSY")
#: Where one extent ends and the next begins.
_EDGES = [length for longest in LONGEST for length in (longest - 1, longest, longest + 1)]

Bounds = tuple[int | None, int | None]


def _bounds(chosen: random.Random) -> Bounds:
    """Of any length: none, less than none, all edges, as good as for ever, and without a start or an end."""
    start = chosen.choice([0, chosen.randrange(-(10**6), 10**6), chosen.randrange(-(10**10), 10**10), -(1 << 60)])
    length = chosen.choice([0, -1, -chosen.randrange(10**7), *_EDGES, chosen.randrange(1 << chosen.randrange(1, 40))])
    end = start + length
    return chosen.choice([(start, end)] * 8 + [(None, end), (start, None), (None, None), (start, 1 << 60)])


def _meets(bounds: Bounds, start: int | None, end: int | None) -> bool:
    first, last = bounds
    return (last is None or start is None or last >= start) and (first is None or end is None or first <= end)


def _fill(house: House, collection: str, rows: Iterable[tuple[str, str, Bounds]]) -> None:
    new = [
        (name, NewObject(name.encode(), "text/calendar", f"{collection} {name}", component, *bounds))
        for name, component, bounds in rows
    ]
    house.locked(lambda tx: tx.objects.put_many(find(tx, "anna", collection).collection, new))


@pytest.fixture
def shed(store: Store, url: str, clock: Watch) -> House:
    """A house in which what ends before it begins may lie about."""
    return House(store, url, clock)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_rows_as_by_looking_at_each(shed: House, seed: int) -> None:
    chosen = random.Random(seed)
    rows = [(f"{n}", chosen.choice(_KINDS), _bounds(chosen)) for n in range(700)]
    _fill(shed, "work", rows)
    _fill(shed, "private", rows[::2])
    ids = shed.work.id, shed.collection("private").id
    limits = sorted({edge for _, _, bounds in rows for edge in bounds if edge is not None})

    def ask(tx: Transaction) -> None:
        found = 0
        for _ in range(40):
            # At the very edges of an object, beside them, and elsewhere.
            ends: list[int | None] = [
                None if chosen.random() < 0.1 else chosen.choice(limits) + chosen.choice([-1, 0, 1]) for _ in range(2)
            ]
            start, end = ends if None in ends else sorted(one for one in ends if one is not None)
            kinds = chosen.sample(_KINDS, chosen.randrange(len(_KINDS) + 1))
            right = [name for name, kind, bounds in rows if (not kinds or kind in kinds) and _meets(bounds, start, end)]
            told = [
                row.name for row in tx.objects.within(ids[0], columns=_COLUMNS, components=kinds, start=start, end=end)
            ]
            assert told == right
            found += len(told)
            if start is None or end is None:
                continue
            wanted = {"VEVENT": ids, "VTODO": ids[:1], "VFREEBUSY": ids[1:]}
            scanned = sorted(
                (row.collection_id, row.name) for row in tx.objects.scan(wanted, columns=_COLUMNS, start=start, end=end)
            )
            assert scanned == sorted(
                (id_, name)
                for id_, held in zip(ids, (rows, rows[::2]), strict=True)
                for name, kind, bounds in held
                if id_ in wanted[kind] and _meets(bounds, start, end)
            )
            with closing(tx.objects.stream(wanted, columns=_COLUMNS, start=start, end=end)) as streamed:
                assert sorted((row.collection_id, row.name) for row in streamed) == scanned
        assert found

    shed.read(ask)


def test_the_database_says_how_long_an_object_lasts(shed: House) -> None:
    wanted: dict[str, tuple[Bounds, int]] = {
        "no start": ((None, 5), STARTLESS),
        "nothing": ((None, None), STARTLESS),
        "no end": ((5, None), ENDLESS),
        "for ever": ((0, 1 << 60), ENDLESS),
        "a moment": ((5, 5), 0),
        "less": ((5, 4), 0),
        **{f"{longest}": ((7, 7 + longest), extent) for extent, longest in enumerate(LONGEST)},
        **{f"above {longest}": ((7, 8 + longest), extent + 1) for extent, longest in enumerate(LONGEST)},
    }
    _fill(shed, "work", ((name, "VEVENT", bounds) for name, (bounds, _) in wanted.items()))

    def told(tx: Transaction) -> dict[str, int]:
        rows = tx.connection.execute(text("SELECT name, extent FROM objects"))  # type: ignore[attr-defined]
        return dict(rows.all())

    assert shed.read(told) == {name: extent for name, (_, extent) in wanted.items()}
    # Also where an object becomes another, and where only its index columns do.
    row = shed.put("a moment", b"now without bounds")
    assert shed.read(told)["a moment"] == STARTLESS
    new = NewObject(b"", "text/calendar", component="VEVENT", starts_at=0, ends_at=LONGEST[1])
    shed.locked(lambda tx: tx.objects.redigest(row.id, new))
    assert shed.read(told)["a moment"] == 1


def test_members_of_another_collection_are_not_found(house: House) -> None:
    _fill(house, "work", [("here", "VEVENT", (0, 10))])
    _fill(house, "private", [("there", "VEVENT", (0, 10))])
    rows = house.read(lambda tx: list(tx.objects.within(house.work.id, columns=_COLUMNS, start=0, end=10)))
    assert [row.name for row in rows] == ["here"]


def test_more_than_are_read_at_a_time(house: House) -> None:
    _fill(house, "work", [(f"{n}", "VEVENT", (n, n)) for n in range(1_203)])
    rows = house.read(lambda tx: list(tx.objects.within(house.work.id, columns=_COLUMNS, start=1, end=1_201)))
    assert [row.name for row in rows] == [f"{n}" for n in range(1, 1_202)]


@pytest.mark.parametrize("components", [0, 1, 2])
def test_sqlite_reads_one_range_of_the_index_for_each_extent(store: SqlStore, components: int) -> None:
    if store._backend.name != "sqlite":
        pytest.skip("the other databases choose by what is in the tables")
    statement = choosing(components)._statement.compile(dialect=sqlite.dialect())
    values = [0 for _ in statement.positiontup or ()]
    with store._backend.reader.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(values))]
    searches = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    index = "ix_objects_collection_id_extent_starts_at_ends_at_component"
    bounded = [step for step in searches if "starts_at>? AND starts_at<?" in step]
    assert len(searches) == STARTLESS + 1
    assert all(index in step and "collection_id=? AND extent=?" in step for step in searches)
    assert len(bounded) == len(LONGEST)


def test_an_object_is_found_where_it_is_moved_to(house: House) -> None:
    """What is as it was is not written again, and what is not, is."""

    def found(start: int, end: int, kind: str) -> list[str]:
        rows = house.read(
            lambda tx: list(
                tx.objects.within(house.work.id, columns=_COLUMNS, components=(kind,), start=start, end=end)
            )
        )
        return [row.name for row in rows]

    def put(body: bytes, kind: str, bounds: Bounds) -> None:
        def work(tx: Transaction) -> None:
            there = find(tx, "anna", "work")
            before = tx.objects.get(house.work.id, "a", columns=frozenset())
            new = NewObject(body, "text/calendar", "a", kind, *bounds)
            tx.objects.put(there.collection, "a", new, replaces=before)

        house.locked(work)

    put(b"1", "VEVENT", (0, 10))
    put(b"2", "VEVENT", (0, 10))
    assert found(0, 10, "VEVENT") == ["a"]
    put(b"3", "VEVENT", (100, 110))
    assert (found(0, 10, "VEVENT"), found(105, 105, "VEVENT")) == ([], ["a"])
    put(b"4", "VEVENT", (100, LONGEST[2]))
    assert (found(0, 10, "VEVENT"), found(LONGEST[2], LONGEST[3], "VEVENT")) == ([], ["a"])
    put(b"5", "VTODO", (100, LONGEST[2]))
    assert (found(105, 105, "VEVENT"), found(105, 105, "VTODO")) == ([], ["a"])
