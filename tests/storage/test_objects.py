"""Objects: bytes are kept, names and UIDs are unique bytewise, every change draws a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from storage.errors import Misuse, NameTaken, NotFound, QuotaExceeded, UidTaken, UnstorableText
from storage.rows import KEY_COLUMNS, OBJECT_COLUMNS, NewObject, ObjectRow, Owner, StoredProperty
from storage.store import Transaction
from tests.storage.conftest import House, find, put

ALL = OBJECT_COLUMNS | {"body", "spans"}


def _event(body: bytes = b"body", uid: str = "", **more: object) -> NewObject:
    return NewObject(body, "text/calendar", uid=uid, **more)  # type: ignore[arg-type]


def test_the_bytes_come_back_as_they_were_sent(house: House) -> None:
    body = bytes(range(256)) * 400  # longer than MariaDB's BLOB
    spans = b"\0\xff" * 50_000
    new = NewObject(
        body,
        "text/calendar; charset=utf-8; component=VEVENT",
        uid="Ünïque\n日本 😀",
        component="VEVENT",
        starts_at=-(2**40),
        ends_at=2**40,
        recurs=True,
        transparent=True,
        organizer="mailto:anna@example.org",
        spans=spans,
        digest_version=7,
        schedule_tag="tag",
    )
    written = house.locked(lambda tx: tx.objects.put(house.work, "a.ics", new, replaces=None))
    read = house.read(lambda tx: tx.objects.get(house.work.id, "a.ics", columns=ALL))
    assert read is not None
    for column in OBJECT_COLUMNS:
        assert getattr(read, column) == getattr(written, column), column
    assert (read.body, read.spans) == (body, spans)
    assert isinstance(read.body, bytes)
    assert read.size == len(body)
    assert read.created == read.modified == house.clock.now
    assert (read.recurs, read.transparent, read.starts_at, read.ends_at) == (True, True, -(2**40), 2**40)
    assert read.number == house.home().counter == house.collection("work").revision
    assert house.home().used == len(body)


def test_replacing_keeps_id_and_creation_and_changes_etag_and_number(house: House) -> None:
    first = house.put("a.ics", b"one")
    house.clock.forward(60)
    second = house.put("a.ics", b"three")
    assert (second.id, second.created) == (first.id, first.created)
    assert second.modified == first.modified + 60
    assert second.etag != first.etag
    assert second.number == first.number + 1
    assert house.home().used == 5
    again = house.put("a.ics", b"one")
    assert again.etag == first.etag
    assert house.read(lambda tx: tx.objects.count(house.work.id)) == 1


def test_ids_are_never_used_again(house: House) -> None:
    first = house.put("a.ics")
    house.remove("a.ics")
    assert house.put("a.ics").id > first.id


def test_only_the_columns_asked_for_are_there(house: House) -> None:
    house.put("a.ics")
    row = house.read(lambda tx: tx.objects.get(house.work.id, "a.ics", columns=frozenset({"etag"})))
    assert row is not None
    assert all(hasattr(row, column) for column in KEY_COLUMNS | {"etag"})
    with pytest.raises(AttributeError):
        _ = row.body


def test_uids_are_unique_bytewise_in_a_collection(house: House) -> None:
    def work(tx: Transaction) -> None:
        for number, uid in enumerate(["a", "A", "a ", "ä", "a\u0308", "x" * 3000, "x" * 3000 + "y"]):
            tx.objects.put(house.work, f"{number}.ics", _event(uid=uid), replaces=None)
        with pytest.raises(UidTaken) as raised:
            tx.objects.put(house.work, "new.ics", _event(uid="A"), replaces=None)
        assert (raised.value.uid, raised.value.name) == ("A", "1.ics")
        # The transaction goes on after it.
        found = tx.objects.by_uid(house.work.id, "x" * 3000 + "y", columns=frozenset())
        assert found is not None
        assert found.name == "6.ics"
        row = tx.objects.get(house.work.id, "0.ics", columns=frozenset())
        with pytest.raises(UidTaken):
            tx.objects.put(house.work, "0.ics", _event(uid="A"), replaces=row)
        tx.objects.put(house.work, "0.ics", _event(uid="b"), replaces=row)
        tx.objects.put(house.work, "c.ics", _event(uid="a"), replaces=None)
        # Plain files have none, and do not collide.
        tx.objects.put(house.work, "f1", _event(), replaces=None)
        tx.objects.put(house.work, "f2", _event(), replaces=None)
        # Another collection is another matter.
        tx.objects.put(find(tx, "anna", "private").collection, "a.ics", _event(uid="A"), replaces=None)
        in_home = tx.objects.by_uid_in_home(house.home_id, "A", columns=frozenset())
        assert sorted(found.name for found in in_home) == ["1.ics", "a.ics"]
        assert tx.objects.by_uid(house.work.id, "nowhere", columns=frozenset()) is None
        assert tx.objects.by_uid(house.work.id, "\0", columns=frozenset()) is None
        assert tx.objects.by_uid_in_home(house.home_id, "\ud800", columns=frozenset()) == []

    house.locked(work)


@pytest.mark.parametrize("new", [_event(uid="a\0b"), _event(uid="\ud800"), _event(uid="x" * 70_000)])
def test_text_that_cannot_be_kept_is_refused_and_changes_nothing(house: House, new: NewObject) -> None:
    before = house.home()
    with pytest.raises(UnstorableText):
        house.locked(lambda tx: tx.objects.put(house.work, "a.ics", new, replaces=None))
    assert house.home() == before


def test_a_taken_name_is_refused(house: House) -> None:
    house.put("a.ics")
    with pytest.raises(NameTaken):
        house.locked(lambda tx: tx.objects.put(house.work, "a.ics", _event(uid="other"), replaces=None))
    house.put("A.ics")
    assert house.read(lambda tx: tx.objects.count(house.work.id)) == 2


def test_the_quota_counts_bytes_and_lets_a_full_home_shrink(house: House) -> None:
    house.locked(lambda tx: tx.homes.set_quota(house.home_id, 10))
    house.put("a.ics", b"1234567890")
    with pytest.raises(QuotaExceeded):
        house.put("b.ics", b"1")
    assert house.home().used == 10
    house.locked(lambda tx: tx.homes.set_quota(house.home_id, 5))
    house.put("a.ics", b"123456789")
    with pytest.raises(QuotaExceeded):
        house.put("a.ics", b"1234567890")
    house.remove("a.ics")
    assert house.home().used == 0
    with pytest.raises(QuotaExceeded):
        house.locked(lambda tx: tx.objects.put_many(house.work, [("a", _event(b"123")), ("b", _event(b"456"))]))


def test_many_at_once(house: House) -> None:
    house.put("499.ics")
    house.remove("499.ics")
    new = [(f"{number}.ics", _event(b"%d" % number, uid=f"uid {number}")) for number in range(1200)]
    before = house.home()
    house.locked(lambda tx: tx.objects.put_many(house.work, new))
    after = house.home()
    assert after.counter == before.counter + 1200
    assert after.used == sum(len(content.body) for _, content in new)

    def work(tx: Transaction) -> None:
        rows = tx.objects.by_names(house.work.id, [name for name, _ in new] + ["none"], columns=ALL)
        assert {name: row.body for name, row in rows.items()} == {name: content.body for name, content in new}
        assert sorted(row.number for row in rows.values()) == list(range(before.counter + 1, after.counter + 1))

    house.read(work)
    for more in (
        [("1199.ics", _event())],
        [("x", _event(uid="uid 700"))],
        [("x", _event()), ("x", _event())],
        [("x", _event(uid="u")), ("y", _event(uid="u"))],
    ):
        with pytest.raises((NameTaken, UidTaken)):
            house.locked(lambda tx, more=more: tx.objects.put_many(house.work, more))  # type: ignore[misc]
    assert house.home() == after


def test_pages_are_in_the_order_of_the_names(house: House) -> None:
    house.locked(lambda tx: tx.objects.put_many(house.work, [(f"{n:x}", _event(uid=f"{n}")) for n in range(30)]))
    found: list[str] = []

    def page(tx: Transaction, after: str) -> Sequence[ObjectRow]:
        return tx.objects.page(house.work.id, columns=frozenset({"name"}), after=after, limit=7)

    while rows := house.read(partial(page, after=found[-1] if found else "")):
        assert len(rows) <= 7
        found += [row.name for row in rows]
    assert found == sorted(f"{number:x}" for number in range(30))


def test_touch_draws_a_number_and_keeps_the_etag(house: House) -> None:
    before = house.put("a.ics")
    house.locked(lambda tx: tx.objects.touch(house.work, before))
    after = house.read(lambda tx: tx.objects.get(house.work.id, "a.ics", columns=OBJECT_COLUMNS))
    assert after is not None
    assert after.number == before.number + 1
    assert (after.etag, after.modified) == (before.etag, before.modified)
    assert house.collection("work").revision == after.number


def test_redigest_changes_the_index_and_nothing_else(house: House) -> None:
    before = house.put("a.ics")
    new = _event(uid="another", component="VTODO", starts_at=1, ends_at=2, spans=b"s", digest_version=3, recurs=True)
    house.locked(lambda tx: tx.objects.redigest(before.id, new))
    after = house.read(lambda tx: tx.objects.get(house.work.id, "a.ics", columns=ALL))
    assert after is not None
    assert (after.component, after.starts_at, after.spans, after.digest_version) == ("VTODO", 1, b"s", 3)
    assert (after.uid, after.body, after.etag, after.number) == (before.uid, b"body", before.etag, before.number)


def _redigested(object_id: int, new: NewObject, tx: Transaction) -> None:
    tx.objects.redigest(object_id, new)


def test_redigest_gives_a_schedule_tag_and_takes_none(house: House) -> None:
    before = house.put("a.ics")
    for new, tag in ((_event(), ""), (_event(schedule_tag="t"), "t"), (_event(), "t"), (_event(schedule_tag="u"), "u")):
        house.locked(partial(_redigested, before.id, new))
        after = house.read(lambda tx: tx.objects.get(house.work.id, "a.ics", columns=OBJECT_COLUMNS))
        assert after is not None
        assert (after.schedule_tag, after.number) == (tag, before.number)


def test_removing(house: House) -> None:
    row = house.put("a.ics")
    house.locked(
        lambda tx: tx.properties.set(StoredProperty(Owner("object", row.id), 0, "DAV:", "displayname", b"<x/>"))
    )
    house.remove("a.ics")
    assert house.read(lambda tx: tx.objects.count(house.work.id)) == 0
    assert house.home().counter == row.number + 1
    assert house.home().used == 0
    with pytest.raises(NotFound):
        house.locked(lambda tx: tx.objects.remove(house.work, row))


def test_moving_keeps_the_object_and_leaves_a_removal(house: House) -> None:
    bert = house.add_person("bert")
    row = house.put("a.ics", b"12345")
    owner = Owner("object", row.id)
    house.locked(lambda tx: tx.properties.set(StoredProperty(owner, 0, "DAV:", "displayname", b"<x/>")))
    house.clock.forward(100)

    def rename(tx: Transaction) -> None:
        moved = tx.objects.move(house.work, row, house.work, "b.ics")
        assert (moved.id, moved.etag, moved.created, moved.modified) == (row.id, row.etag, row.created, tx.now)
        assert moved.number == row.number + 2
        delta = tx.changes.since(house.work.id, base=row.number, cursor=row.number, limit=1, columns=frozenset())
        # The removal comes first: no prefix of the changes has the object twice.
        assert (delta.removed, delta.changed, delta.truncated) == (["a.ics"], [], True)

    house.locked(rename)

    def across(tx: Transaction) -> None:
        found = find(tx, "anna", "work", "b.ics")
        assert found.object is not None
        target = find(tx, "bert", "work").collection
        moved = tx.objects.move(found.collection, found.object, target, "c.ics")
        assert (moved.home_id, moved.collection_id, moved.name) == (bert.id, target.id, "c.ics")
        assert len(tx.properties.of([owner], principal_id=0)[owner]) == 1

    house.locked(across, "anna", "bert")
    assert house.home().used == 0
    assert house.read(lambda tx: tx.homes.get(bert.id)).used == 5

    def refused(tx: Transaction) -> None:
        other = put(tx, "work", "x.ics", uid="uid of a.ics")
        target = find(tx, "bert", "work").collection
        with pytest.raises(NameTaken):
            tx.objects.move(house.work, other, target, "c.ics")
        with pytest.raises(UidTaken):
            tx.objects.move(house.work, other, target, "d.ics")
        with pytest.raises(UnstorableText):
            tx.objects.move(house.work, other, house.work, "d/e")

    house.locked(refused, "anna", "bert")


def test_a_home_that_is_not_locked_cannot_be_written(house: House) -> None:
    row = house.put("a.ics")
    house.add_person("bert")
    with pytest.raises(Misuse, match="lock"):
        house.write(lambda tx: tx.objects.put(house.work, "b.ics", _event(), replaces=None))
    with pytest.raises(Misuse, match="lock"):
        house.locked(lambda tx: tx.objects.remove(house.work, row), "bert")
    with pytest.raises(Misuse, match="reading"):
        house.read(lambda tx: tx.objects.put(house.work, "b.ics", _event(), replaces=None))
    with pytest.raises(Misuse, match="reading"):
        house.read(lambda tx: tx.homes.lock([house.home_id]))
    with pytest.raises(Misuse, match="lock"):
        house.write(lambda tx: tx.objects.redigest(row.id, _event()))
