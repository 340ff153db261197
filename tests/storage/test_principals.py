"""The directory: names and addresses are unique, groups nest, passwords have a revision."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from storage.errors import AddressTaken, Misuse, NameTaken, NotFound, UnstorableText
from storage.rows import Ace, Address, CollectionKind, Lock, Owner, Principal, PrincipalKind, StoredProperty
from storage.store import MatchType, Store, Transaction
from tests.storage.conftest import House, find

PERSON = PrincipalKind.INDIVIDUAL
Field = Literal["name", "displayname", "address"]


def _add(tx: Transaction, name: str, *uris: str, kind: PrincipalKind = PERSON, displayname: str = "") -> Principal:
    addresses = [Address(uri, preferred=position == 0) for position, uri in enumerate(uris)]
    return tx.principals.add(name=name, kind=kind, displayname=displayname, addresses=addresses)


def test_a_principal_comes_with_a_home(store: Store) -> None:
    def work(tx: Transaction) -> None:
        added = tx.principals.add(
            name="anna",
            kind=PrincipalKind.ROOM,
            displayname="Änna 😀",
            addresses=[Address("mailto:b@x", preferred=False), Address("mailto:a@x", preferred=True)],
            timezone="Europe/Berlin",
            language="de-AT",
            admin=True,
            quota=100,
        )
        assert added.addresses == (Address("mailto:b@x", preferred=False), Address("mailto:a@x", preferred=True))
        assert (added.kind, added.timezone, added.language, added.admin) == (
            PrincipalKind.ROOM,
            "Europe/Berlin",
            "de-AT",
            True,
        )
        assert added.displayname == "Änna 😀"
        assert tx.principals.by_name("anna") == tx.principals.by_id(added.id) == added
        assert tx.principals.by_names(["anna", "nobody", "\0"]) == {"anna": added}
        home = tx.homes.get(added.home_id)
        assert (home.owner, home.principal_id, home.quota, home.used) == ("anna", added.id, 100, 0)
        root = find(tx, "anna").collection
        assert (root.kind, root.path, root.parent_id) == (CollectionKind.HOME, (), None)
        # The new home is held already.
        tx.collections.add(root, "calendar", kind=CollectionKind.CALENDAR)
        assert tx.collections.roots([home.id])[0][1].path == ()

    store.run(work, write=True)
    assert list(store.check()) == []


def test_names_and_addresses_are_unique_bytewise(store: Store) -> None:
    def work(tx: Transaction) -> None:
        _add(tx, "anna", "mailto:anna@x")
        _add(tx, "Anna", "mailto:Anna@x")
        with pytest.raises(NameTaken):
            _add(tx, "anna")
        with pytest.raises(AddressTaken) as raised:
            _add(tx, "bert", "mailto:bert@x", "mailto:anna@x")
        assert raised.value.address == "mailto:anna@x"
        with pytest.raises(AddressTaken):
            _add(tx, "cleo", "mailto:cleo@x", "mailto:cleo@x")
        assert tx.principals.by_name("bert") is None
        found = tx.principals.by_addresses(["mailto:anna@x", "mailto:Anna@x", "mailto:ANNA@x", "\0"])
        assert {uri: principal.name for uri, principal in found.items()} == {
            "mailto:anna@x": "anna",
            "mailto:Anna@x": "Anna",
        }
        for name in ("", "a/b", "\0", "\ud800"):
            with pytest.raises(UnstorableText):
                _add(tx, name)
            assert tx.principals.by_name(name) is None
            assert tx.principals.credentials(name) is None
            assert tx.principals.for_login(name) is None

    store.run(work, write=True)
    assert list(store.check()) == []


def test_updating(store: Store) -> None:
    def work(tx: Transaction) -> None:
        _add(tx, "bert", "mailto:bert@x")
        anna = _add(tx, "anna", "mailto:anna@x", "mailto:a@x")
        changed = replace(
            anna,
            displayname="Other",
            timezone="UTC",
            language="en",
            admin=True,
            addresses=(Address("mailto:a@x", preferred=True), Address("mailto:new@x", preferred=False)),
        )
        tx.principals.update(changed)
        assert tx.principals.by_name("anna") == changed
        with pytest.raises(AddressTaken):
            tx.principals.update(replace(changed, addresses=(Address("mailto:bert@x", preferred=True),)))
        with pytest.raises(NotFound):
            tx.principals.update(replace(changed, id=0))

    store.run(work, write=True)


def test_searching_ignores_case(store: Store) -> None:
    def work(tx: Transaction) -> None:
        _add(tx, "anna", "mailto:anna@example.org", displayname="Anna Öhm")
        _add(tx, "bert", "mailto:bert@example.org", displayname="Bert 100% _x")
        _add(tx, "room", "mailto:room@example.org", displayname="Room of ANNA", kind=PrincipalKind.ROOM)

        def names(
            text: str, *fields: Field, match: MatchType = "contains", kinds: tuple[PrincipalKind, ...] = ()
        ) -> list[str]:
            found = tx.principals.search(text=text, fields=fields, match=match, kinds=kinds, limit=10)
            return [principal.name for principal in found]

        assert names("ANNA", "displayname") == ["anna", "room"]
        assert names("öHM", "displayname", match="ends-with") == ["anna"]
        assert names("anna", "displayname", match="starts-with") == ["anna"]
        assert names("anna öhm", "displayname", match="equals") == ["anna"]
        assert names("anna", "name", "address", match="equals") == ["anna"]
        assert names("MAILTO:B", "address", match="starts-with") == ["bert"]
        assert names("0% _", "displayname") == ["bert"]
        assert names("%", "name", "address") == []
        assert names("anna", "displayname", kinds=(PrincipalKind.ROOM,)) == ["room"]
        assert names("", "name") == ["anna", "bert", "room"]
        assert names("anna") == []
        assert names("\0", "name") == []
        assert len(tx.principals.search(text="example", fields=["address"], match="contains", limit=2)) == 2

    store.run(work, write=True)


def test_all_in_pages_by_name(store: Store) -> None:
    names = ["B", "a", "b", "z", "ä"]

    def work(tx: Transaction) -> None:
        for name in reversed(names):
            _add(tx, name, f"mailto:{name}@x", f"mailto:{name}@y")
        found: list[str] = []
        while page := tx.principals.all(after=found[-1] if found else "", limit=2):
            found += [principal.name for principal in page]
        assert found == names

    store.run(work, write=True)


def test_groups_nest_and_a_circle_ends(store: Store) -> None:
    def work(tx: Transaction) -> None:
        ids = {name: _add(tx, name).id for name in ("anna", "bert")}
        ids |= {name: _add(tx, name, kind=PrincipalKind.GROUP).id for name in ("staff", "team", "world")}
        tx.principals.set_members(ids["team"], [ids["anna"], ids["bert"]])
        tx.principals.set_members(ids["staff"], [ids["team"]])
        tx.principals.set_members(ids["world"], [ids["staff"], ids["anna"]])
        tx.principals.set_members(ids["team"], [ids["anna"], ids["world"]])

        def groups(name: str, *, transitive: bool) -> list[str]:
            return [group.name for group in tx.principals.groups(ids[name], transitive=transitive)]

        assert groups("anna", transitive=False) == ["team", "world"]
        assert groups("anna", transitive=True) == ["staff", "team", "world"]
        assert groups("bert", transitive=True) == []
        assert groups("world", transitive=True) == ["staff", "team"]
        assert [found.name for found in tx.principals.members(ids["team"])] == ["anna", "world"]
        members = tx.principals.members_of([ids["team"], ids["anna"]])
        assert {id_: [one.name for one in several] for id_, several in members.items()} == {
            ids["team"]: ["anna", "world"],
            ids["anna"]: [],
        }
        of = tx.principals.groups_of([ids["anna"]])
        assert [group.name for group in of[ids["anna"]]] == ["team", "world"]

    store.run(work, write=True)


def test_a_change_of_members_moves_the_generation_of_all_it_reaches(store: Store) -> None:
    def work(tx: Transaction) -> None:
        ids = {name: _add(tx, name).id for name in ("anna", "bert", "cleo")}
        ids |= {name: _add(tx, name, kind=PrincipalKind.GROUP).id for name in ("staff", "team")}

        def generations() -> dict[str, int]:
            return {found.name: found.generation for found in tx.principals.by_ids(ids.values()).values()}

        tx.principals.set_members(ids["team"], [ids["anna"], ids["bert"]])
        before = generations()
        tx.principals.set_members(ids["staff"], [ids["team"]])
        after = generations()
        assert {name for name in ids if after[name] != before[name]} == {"team", "anna", "bert"}
        tx.principals.set_members(ids["team"], [ids["bert"], ids["cleo"]])
        last = generations()
        assert {name for name in ids if last[name] != after[name]} == {"anna", "cleo"}
        tx.principals.set_members(ids["team"], [ids["cleo"], ids["bert"]])
        assert generations() == last

    store.run(work, write=True)


def test_a_principal_goes_with_all_that_is_its_own(house: House) -> None:
    bert = house.add_person("bert")

    def furnish(tx: Transaction) -> None:
        group = _add(tx, "staff", kind=PrincipalKind.GROUP).id
        tx.principals.set_members(group, [bert.principal_id])
        tx.acls.set(
            house.work, [Ace("principal", grant=True, privileges=("{DAV:}read",), principal_id=bert.principal_id)]
        )
        tx.properties.set(StoredProperty(Owner("collection", house.work.id), bert.principal_id, "D", "p", b"<p/>"))
        lock = Lock("t", house.home_id, ("work",), bert.principal_id, True, False, b"", tx.now + 9)
        tx.locks.add(lock)

    house.locked(furnish, "anna", "bert")
    house.write(lambda tx: tx.principals.remove(bert.principal_id))

    def work(tx: Transaction) -> None:
        assert tx.principals.by_name("bert") is None
        assert tx.homes.of("bert") is None
        assert tx.collections.find("bert", ()) is None
        assert tx.acls.of([house.work.id]) == {}
        assert tx.locks.of_home(house.home_id) == []
        staff = tx.principals.by_name("staff")
        assert staff is not None
        assert tx.principals.members(staff.id) == []

    house.read(work)
    with pytest.raises(NotFound):
        house.write(lambda tx: tx.principals.remove(bert.principal_id))
    namesake = house.add_person("bert")
    assert namesake.id > bert.id
    assert namesake.principal_id > bert.principal_id


def test_passwords_have_a_revision(store: Store) -> None:
    def work(tx: Transaction) -> None:
        anna = _add(tx, "anna", "mailto:a@x", "mailto:b@x")
        revisions = []

        def credentials() -> tuple[str | None, list[str]]:
            found = tx.principals.credentials("anna")
            assert found is not None
            login = tx.principals.for_login("anna")
            assert login == (tx.principals.by_name("anna"), found)
            revisions.append(found.revision)
            return found.password_hash, [password.name for password in found.app_passwords]

        assert credentials() == (None, [])
        tx.principals.set_password(anna.id, "$argon2id$…")
        assert credentials() == ("$argon2id$…", [])
        phone = tx.principals.add_app_password(anna.id, name="phone", password_hash="h1")
        tx.principals.add_app_password(anna.id, name="tablet", password_hash="h2")
        assert (phone.name, phone.hash, phone.created) == ("phone", "h1", tx.now)
        assert credentials() == ("$argon2id$…", ["phone", "tablet"])
        with pytest.raises(NameTaken):
            tx.principals.add_app_password(anna.id, name="phone", password_hash="h3")
        assert tx.principals.revoke_app_password(anna.id, "phone")
        assert not tx.principals.revoke_app_password(anna.id, "phone")
        assert credentials() == ("$argon2id$…", ["tablet"])
        assert len(set(revisions)) == len(revisions) == 4
        assert not tx.principals.rehash_password(anna.id, old="another", new="x")
        assert tx.principals.rehash_password(anna.id, old="$argon2id$…", new="better")
        assert credentials() == ("better", ["tablet"])
        assert revisions[-1] == revisions[-2]
        with pytest.raises(NotFound):
            tx.principals.set_password(0, None)

    store.run(work, write=True)


def test_the_directory_is_not_written_in_a_reading_transaction(store: Store) -> None:
    for work in (
        lambda tx: tx.principals.add(name="x", kind=PERSON),
        lambda tx: tx.principals.set_password(1, None),
        lambda tx: tx.principals.set_members(1, []),
        lambda tx: tx.logins.fail(["x"], at=0),
    ):
        with pytest.raises(Misuse):
            store.run(work, write=False)
