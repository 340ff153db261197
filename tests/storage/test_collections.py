"""Collections: the tree, the path, and what becomes of everything below when one goes or moves."""

from __future__ import annotations

import pytest

from storage.errors import Misuse, NameTaken, NotFound, QuotaExceeded, TokenTooOld, UnstorableText
from storage.rows import Ace, Collection, CollectionKind, Lock, NewObject, Owner, StoredProperty
from storage.store import Transaction
from tests.storage.conftest import House, find, put

PLAIN = CollectionKind.PLAIN


def _add(tx: Transaction, parent: Collection, *names: str) -> Collection:
    for name in names:
        parent = tx.collections.add(parent, name, kind=PLAIN)
    return parent


def test_what_an_owner_asks_for_comes_with_what_confirms_the_login(house: House) -> None:
    house.put("a.ics")
    house.put("b.ics")

    def mark(tx: Transaction) -> None:
        found = find(tx, "anna", "work", "b.ics")
        assert found.object is not None
        tx.properties.set(StoredProperty(Owner("object", found.object.id), 0, "urn:x", "mark", b"<x/>"))

    house.locked(mark)

    def work(tx: Transaction) -> None:
        login = tx.principals.for_login("anna")
        assert login is not None
        found = tx.collections.find("anna", ("work", "a.ics"), columns=frozenset({"etag", "modified", "schedule_tag"}))
        assert found is not None
        assert found.object is not None
        owned = tx.collections.owned("anna", "work", "a.ics")
        assert owned is not None
        assert owned[:3] == (login[0].id, login[1].revision, found.collection)
        row = found.object
        assert owned.object == (row.etag, row.modified, row.schedule_tag, b"body", False)

        marked = tx.collections.owned("anna", "work", "b.ics")
        assert marked is not None
        assert marked.object is not None
        assert marked.object.has_properties

        for member in ("", "none.ics", "a.ics/", "\ud800"):
            nothing = tx.collections.owned("anna", "work", member)
            assert nothing is None if member == "\ud800" else nothing is not None and nothing.object is None
        for calendar in ("", "none", "work/a.ics", "\ud800"):
            assert tx.collections.owned("anna", calendar, "a.ics") is None
        for owner in ("nobody", "Anna", "\ud800"):
            assert tx.collections.owned(owner, "work", "a.ics") is None

    house.read(work)


def test_a_path_is_followed_as_far_as_it_leads(house: House) -> None:
    house.put("a.ics")

    def work(tx: Transaction) -> None:
        found = tx.collections.find("anna", ("work", "a.ics"), columns=frozenset({"etag", "body"}))
        assert found is not None
        assert found.home.owner == "anna"
        assert [collection.path for collection in found.chain] == [(), ("work",)]
        assert found.object is not None
        assert (found.object.name, found.object.body, found.missing) == ("a.ics", b"body", ())
        with pytest.raises(AttributeError):
            _ = found.object.organizer

        nowhere = tx.collections.find("anna", ("work", "b.ics"))
        assert nowhere is not None
        assert (nowhere.object, nowhere.missing, nowhere.collection.name) == (None, ("b.ics",), "work")

        deeper = tx.collections.find("anna", ("work", "a.ics", "x"))
        assert deeper is not None
        assert (deeper.object, deeper.missing) == (None, ("a.ics", "x"))

        home = tx.collections.find("anna", ())
        assert home is not None
        assert (home.object, home.missing, home.collection.kind) == (None, (), CollectionKind.HOME)
        assert tx.collections.find("nobody", ("work",)) is None

    house.read(work)


@pytest.mark.parametrize("name", ["", "work/a.ics", "a\0", "\ud800", "Work", "work ", "WORK"])
def test_names_compare_bytewise_and_impossible_ones_lead_nowhere(house: House, name: str) -> None:
    house.put("a.ics")

    def work(tx: Transaction) -> None:
        found = tx.collections.find("anna", (name,))
        assert found is not None
        assert (found.object, found.missing) == (None, (name,))
        assert tx.collections.find(name, ()) is None
        assert tx.objects.get(found.collection.id, name, columns=frozenset()) is None
        assert tx.objects.by_names(found.collection.id, [name], columns=frozenset()) == {}

    house.read(work)


@pytest.mark.parametrize("name", ["", "a/b", "a\0", "\ud800", "x" * 256])
def test_names_that_cannot_be_kept_are_refused(house: House, name: str) -> None:
    with pytest.raises(UnstorableText):
        house.locked(lambda tx: tx.collections.add(find(tx, "anna").collection, name, kind=PLAIN))


def test_names_in_any_script_and_trailing_spaces_are_names_of_their_own(house: House) -> None:
    names = ["ä", "Ä", "a", "a ", "日本", "😀" * 60, "x" * 255, "%2F", "a_b", "a%b"]

    def work(tx: Transaction) -> None:
        for name in names:
            tx.collections.add(find(tx, "anna").collection, name, kind=PLAIN)
        assert {found.name for found in tx.collections.children(find(tx, "anna").collection.id)} >= set(names)
        for name in names:
            assert find(tx, "anna", name).collection.name == name

    house.locked(work)


def test_depth_ends_in_an_error_of_its_own(house: House) -> None:
    def work(tx: Transaction) -> None:
        _add(tx, find(tx, "anna").collection, *["x" * 200] * 5)

    with pytest.raises(UnstorableText, match="deep"):
        house.locked(work)


def test_a_collection_begins_with_a_number_and_moves_all_above_it(house: House) -> None:
    before = house.home()
    added = house.locked(lambda tx: _add(tx, find(tx, "anna").collection, "a", "b"))
    assert (added.number, added.revision, added.floor) == (before.counter + 2,) * 3
    assert house.collection("a").revision == added.number
    assert house.collection().revision == added.number
    assert house.collection("a").number == before.counter + 1
    assert house.home().counter == added.number
    assert house.collection("work").revision < added.number


def test_a_name_is_given_once(house: House) -> None:
    house.put("a.ics")

    def twice(tx: Transaction) -> None:
        work = find(tx, "anna", "work").collection
        with pytest.raises(NameTaken):
            tx.collections.add(work, "a.ics", kind=PLAIN)
        with pytest.raises(NameTaken):
            tx.collections.add(find(tx, "anna").collection, "work", kind=PLAIN)
        tx.collections.add(work, "b", kind=PLAIN)
        with pytest.raises(NameTaken):
            tx.objects.put(work, "b", NewObject(b"", "text/plain"), replaces=None)
        with pytest.raises(NameTaken):
            tx.objects.put_many(work, [("b", NewObject(b"", "text/plain"))])

    house.locked(twice)


def test_of_home_lists_parents_first(house: House) -> None:
    house.locked(lambda tx: _add(tx, find(tx, "anna").collection, "a", "b"))
    house.locked(lambda tx: _add(tx, find(tx, "anna").collection, "a-b"))
    paths = [found.path for found in house.read(lambda tx: tx.collections.of_home(house.home_id))]
    assert paths == [(), ("a",), ("a-b",), ("a", "b"), ("private",), ("work",)]
    root = house.collection()
    children = house.read(lambda tx: tx.collections.children(root.id))
    assert [child.name for child in children] == ["a", "a-b", "private", "work"]


def test_touch_moves_number_and_revision(house: House) -> None:
    def work(tx: Transaction) -> None:
        before = find(tx, "anna", "work").collection
        tx.collections.touch(before)
        after = tx.collections.get(before.id)
        assert after is not None
        assert after.number == after.revision == tx.homes.get(house.home_id).counter > before.revision
        assert after.floor == before.floor

    house.locked(work)


def test_what_was_drawn_is_seen_before_the_commit(house: House) -> None:
    def work(tx: Transaction) -> None:
        row = put(tx, "work", "a.ics")
        assert find(tx, "anna", "work").collection.revision == row.number
        assert tx.homes.get(house.home_id).counter == row.number
        of_name = tx.homes.of("anna")
        assert of_name is not None
        assert of_name.counter == row.number
        delta = tx.changes.since(house.work.id, base=house.work.revision, cursor=0, limit=None, columns=frozenset())
        assert [changed.name for changed in delta.changed] == ["a.ics"]

    house.locked(work)


def _fill(tx: Transaction) -> None:
    """work/inner/deep with objects, a property of each kind, ACEs and locks."""
    deep = _add(tx, find(tx, "anna", "work").collection, "inner", "deep")
    row = put(tx, "work", "a.ics", body=b"12345")
    below = tx.objects.put(deep, "b.ics", NewObject(b"678", "text/calendar", uid="b"), replaces=None)
    for owner in (Owner("object", row.id), Owner("object", below.id), Owner("collection", deep.id)):
        tx.properties.set(StoredProperty(owner, 0, "DAV:", "displayname", b"<x/>"))
    tx.acls.set(deep, [Ace("all", grant=True, privileges=("{DAV:}read",))])
    anna = tx.principals.by_name("anna")
    assert anna is not None
    for number, path in enumerate([("work",), ("work", "inner", "deep"), ("private",), ("work2",)]):
        lock = Lock(
            f"opaquelocktoken:{number}",
            deep.home_id,
            path,
            anna.id,
            exclusive=True,
            infinite=False,
            owner_xml=b"",
            expires=tx.now + 60,
        )
        tx.locks.add(lock)


def test_remove_takes_everything_below_and_leaves_one_removal(house: House) -> None:
    house.locked(_fill)
    before = house.home()
    assert before.used == 8
    house.locked(lambda tx: tx.collections.remove(find(tx, "anna", "work").collection))
    after = house.home()
    assert (after.used, after.counter) == (0, before.counter + 1)

    def work(tx: Transaction) -> None:
        assert [lock.path for lock in tx.locks.of_home(house.home_id)] == [("private",), ("work2",)]
        root = find(tx, "anna").collection
        delta = tx.changes.since_below(
            root, base=before.counter, cursor=before.counter, limit=None, infinite=False, columns=frozenset()
        )
        assert (delta.removed_collections, delta.removed, delta.collections) == ([("work",)], [], [])
        assert tx.collections.get(house.work.id) is None

    house.read(work)
    with pytest.raises(NotFound):
        house.locked(lambda tx: tx.collections.remove(house.work))


def test_the_root_of_a_home_stays(house: House) -> None:
    with pytest.raises(Misuse):
        house.locked(lambda tx: tx.collections.remove(find(tx, "anna").collection))
    with pytest.raises(Misuse):
        house.locked(
            lambda tx: tx.collections.move(
                find(tx, "anna", "work").collection, find(tx, "anna", "work").collection, "x"
            )
        )


def test_a_successor_refuses_the_tokens_of_its_predecessor(house: House) -> None:
    house.put("a.ics")
    old = house.collection("work").revision
    root_before = house.collection().revision
    house.locked(lambda tx: tx.collections.remove(find(tx, "anna", "work").collection))
    house.locked(lambda tx: tx.collections.add(find(tx, "anna").collection, "work", kind=CollectionKind.CALENDAR))

    def work(tx: Transaction) -> None:
        found = find(tx, "anna", "work").collection
        for base in (0, old, root_before):
            with pytest.raises(TokenTooOld):
                tx.changes.since(found.id, base=base, cursor=base, limit=None, columns=frozenset())
        # Below the home it would not be told that work/a.ics is gone.
        root = find(tx, "anna").collection
        with pytest.raises(TokenTooOld):
            tx.changes.since_below(
                root, base=root_before, cursor=root_before, limit=None, infinite=True, columns=frozenset()
            )

    house.read(work)


def test_moving_within_the_home_renumbers_all_that_moves(house: House) -> None:
    house.locked(_fill)
    before = house.home()
    moved = house.locked(
        lambda tx: tx.collections.move(
            find(tx, "anna", "work").collection, find(tx, "anna", "private").collection, "new"
        )
    )
    assert moved.path == ("private", "new")
    assert moved.id == house.work.id
    assert moved == house.collection("private", "new")
    after = house.home()
    # A removal, three collections and two objects.
    assert after.counter == before.counter + 6
    assert after.generation > before.generation
    assert after.used == before.used

    def work(tx: Transaction) -> None:
        assert find(tx, "anna", "private", "new", "inner", "deep", "b.ics").object is not None
        root = find(tx, "anna").collection
        delta = tx.changes.since_below(
            root, base=before.counter, cursor=before.counter, limit=None, infinite=True, columns=frozenset()
        )
        assert delta.removed_collections == [("work",)]
        assert {found.path for found in delta.collections} == {
            ("private", "new"),
            ("private", "new", "inner"),
            ("private", "new", "inner", "deep"),
        }
        assert {(*path, row.name) for path, row in delta.objects} == {
            ("private", "new", "a.ics"),
            ("private", "new", "inner", "deep", "b.ics"),
        }
        deep = find(tx, "anna", "private", "new", "inner", "deep").collection
        assert len(tx.properties.of([Owner("collection", deep.id)], principal_id=0)) == 1
        assert len(tx.acls.of([deep.id])[deep.id]) == 1
        assert [lock.path for lock in tx.locks.of_home(house.home_id)] == [("private",), ("work2",)]
        with pytest.raises(TokenTooOld):
            tx.changes.since(moved.id, base=house.work.revision, cursor=0, limit=None, columns=frozenset())

    house.read(work)


def test_moving_into_another_home_takes_bytes_and_numbers_along(house: House) -> None:
    bert = house.add_person("bert")
    house.locked(_fill)
    before = house.home()

    def move(tx: Transaction) -> Collection:
        return tx.collections.move(find(tx, "anna", "work").collection, find(tx, "bert").collection, "guests")

    moved = house.locked(move, "anna", "bert")
    assert moved.home_id == bert.id
    assert moved == house.collection("guests", owner="bert")
    assert house.home().used == 0
    assert house.home().counter == before.counter + 1
    there = house.read(lambda tx: tx.homes.get(bert.id))
    assert (there.used, there.counter) == (8, bert.counter + 5)
    row = house.read(lambda tx: find(tx, "bert", "guests", "inner", "deep", "b.ics").object)
    assert row is not None
    assert row.home_id == bert.id


def test_a_move_does_not_pass_the_quota_of_the_new_home(house: House) -> None:
    bert = house.add_person("bert")
    house.locked(_fill)
    house.locked(lambda tx: tx.homes.set_quota(bert.id, 7), "bert")
    with pytest.raises(QuotaExceeded):
        house.locked(
            lambda tx: tx.collections.move(find(tx, "anna", "work").collection, find(tx, "bert").collection, "guests"),
            "anna",
            "bert",
        )


def test_a_move_needs_both_homes_and_a_free_name(house: House) -> None:
    house.add_person("bert")
    with pytest.raises(Misuse):
        house.locked(
            lambda tx: tx.collections.move(find(tx, "anna", "work").collection, find(tx, "bert").collection, "x")
        )
    with pytest.raises(NameTaken):
        house.locked(
            lambda tx: tx.collections.move(find(tx, "anna", "work").collection, find(tx, "anna").collection, "private")
        )
