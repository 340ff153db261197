"""Questions about the calendars of many homes at once: their settings, and their objects in a range of time."""

from __future__ import annotations

from contextlib import closing

from storage.rows import CollectionKind, NewObject, Owner, Spared, StoredProperty
from storage.store import Transaction
from tests.caldavd.sharing import statements
from tests.storage.conftest import House, find

TRANSP, ZONE = ("urn:ietf:params:xml:ns:caldav", "schedule-calendar-transp"), ("urn:ietf:params:xml:ns:caldav", "zone")
COLUMNS = frozenset({"name", "component", "body"})


def test_calendars_come_with_what_everyone_and_their_owner_has_set(house: House) -> None:
    other = house.add_person("bob")
    work = house.work

    def furnish(tx: Transaction) -> None:
        for principal_id, name, xml in (
            (0, TRANSP, b"<for-all/>"),
            (house.principal_id, TRANSP, b"<mine/>"),
            (other.principal_id, TRANSP, b"<of-somebody-else/>"),
            (0, ZONE, b"<zone/>"),
            (0, ("x:", "not-asked"), b"<x/>"),
        ):
            tx.properties.set(StoredProperty(Owner("collection", work.id), principal_id, *name, xml))

    house.locked(furnish)

    def ask(tx: Transaction) -> None:
        found = tx.collections.of_homes(
            [other.id, house.home_id, house.home_id, 999_999], kinds=[CollectionKind.CALENDAR], names=[TRANSP, ZONE]
        )
        assert [(home.owner, collection.path) for home, collection, _ in found] == [
            ("anna", ("private",)),
            ("anna", ("work",)),
            ("bob", ("work",)),
        ]
        assert [sorted((one.name, one.xml) for one in stored) for _, _, stored in found] == [
            [],
            [("schedule-calendar-transp", b"<mine/>"), ("zone", b"<zone/>")],
            [],
        ]
        assert found[1][1] == tx.collections.get(work.id)
        bare = tx.collections.of_homes([house.home_id], kinds=[CollectionKind.HOME, CollectionKind.CALENDAR])
        assert [(collection.path, stored) for _, collection, stored in bare] == [
            ((), []), (("private",), []), (("work",), [])
        ]  # fmt: skip
        assert tx.collections.of_homes([], kinds=[CollectionKind.CALENDAR]) == []

    house.read(ask)
    with statements() as seen:
        house.read(ask)
    assert len([one for one in seen if "collections" in one]) == 3


def test_objects_of_many_collections_by_component_and_time(house: House) -> None:
    house.add_person("bob")

    def furnish(tx: Transaction) -> tuple[int, int, int]:
        ids = []
        for owner, names in (("anna", ("work",)), ("anna", ("private",)), ("bob", ("work",))):
            collection = find(tx, owner, *names).collection
            ids.append(collection.id)
            for name, component, starts, ends in (
                ("early", "VEVENT", 10, 20), ("late", "VEVENT", 100, 200), ("endless", "VEVENT", 15, None),
                ("todo", "VTODO", 10, 200), ("hours", "VAVAILABILITY", None, None),
            ):  # fmt: skip
                new = NewObject(name.encode(), "text/calendar", name, component, starts, ends)
                tx.objects.put(collection, name, new, replaces=None)
        return ids[0], ids[1], ids[2]

    one, two, three = house.locked(furnish, "anna", "bob")

    def ask(tx: Transaction) -> None:
        wanted = {"VEVENT": [one, three], "VAVAILABILITY": [two, three], "VJOURNAL": []}
        with statements() as seen:
            rows = tx.objects.scan(wanted, columns=COLUMNS, start=21, end=99)
        assert len(seen) == 1
        assert {(row.collection_id, row.name, row.body) for row in rows} == {
            (one, "endless", b"endless"),
            (two, "hours", b"hours"),
            (three, "endless", b"endless"),
            (three, "hours", b"hours"),
        }
        assert len(rows) == 4
        touching = tx.objects.scan({"VEVENT": [one]}, columns=COLUMNS, start=20, end=100)
        assert sorted(row.name for row in touching) == ["early", "endless", "late"]
        assert tx.objects.scan({"VEVENT": []}, columns=COLUMNS, start=0, end=1) == []
        many = tx.objects.scan({"VEVENT": [one, *range(10**6, 10**6 + 450)]}, columns=COLUMNS, start=0, end=500)
        assert len(many) == 3

    def stream(tx: Transaction) -> None:
        """Row by row, in a transaction that reads as in one that writes; nothing is left over where it ends early."""
        wanted = {"VEVENT": [one, three], "VAVAILABILITY": [two, three]}
        rows = {(row.collection_id, row.name) for row in tx.objects.scan(wanted, columns=COLUMNS, start=0, end=300)}
        for _ in range(2):
            with closing(tx.objects.stream(wanted, columns=COLUMNS, start=0, end=300)) as found:
                assert {(row.collection_id, row.name) for row in found} == rows
            with closing(tx.objects.stream(wanted, columns=COLUMNS, start=0, end=300)) as found:
                next(found)
        assert tx.homes.of("bob") is not None

    house.read(ask)
    house.read(stream)
    house.read(stream)
    house.write(stream)


def test_bodies_are_spared_where_the_spans_say_all(house: House) -> None:
    def head(mark: bytes, start: int, end: int) -> bytes:
        return mark + start.to_bytes(8, "big") + end.to_bytes(8, "big") + b"more"

    mark, other, top = b"\x00\xff'mark\x80", b"\x00\xff'mark\x81", 1 << 63
    rows = {
        "covers": (head(mark, top - 900, top + 900), 2),
        "just": (head(mark, top - 5, top + 5), 2),
        "late": (head(mark, top - 4, top + 900), 2),
        "early": (head(mark, top - 900, top + 4), 2),
        "other": (head(other, top - 900, top + 900), 2),
        "old": (head(mark, top - 900, top + 900), 1),
        "none": (b"", 2),
        "short": (mark, 2),
    }

    def furnish(tx: Transaction) -> int:
        collection = find(tx, "anna", "work").collection
        for name, (spans, version) in rows.items():
            new = NewObject(name.encode(), "text/calendar", name, "VEVENT", 1, 2, spans=spans, digest_version=version)
            tx.objects.put(collection, name, new, replaces=None)
        return collection.id

    id_ = house.locked(furnish)
    spared = Spared(2, mark, (top - 5).to_bytes(8, "big"), (top + 5).to_bytes(8, "big"))

    def ask(tx: Transaction) -> None:
        found = tx.objects.stream({"VEVENT": [id_]}, columns=COLUMNS | {"spans"}, start=0, end=9, spared=spared)
        bodies = {row.name: (bytes(row.spans), bytes(row.body)) for row in found}
        assert {name for name, (_, body) in bodies.items() if not body} == {"covers", "just"}
        assert all(body in (b"", name.encode()) for name, (_, body) in bodies.items())
        assert {name: spans for name, (spans, _) in bodies.items()} == {
            name: spans for name, (spans, _) in rows.items()
        }

    house.read(ask)
    house.write(ask)
