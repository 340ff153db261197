"""Whose messages an inbox takes (RFC 6638 sections 6.1 and 11.2): compared with the access control of HTTP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from caldavd import provision
from caldavd.access import Access
from caldavd.resources import of_collection
from caldavd.router import Router
from config.settings import Provisioning
from scheduling.delivery.deliverable import Right, may_deliver, right_for
from storage.open import open_store
from storage.rows import Ace, PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.sharing import principal, set_aces, statements

_C: Final = "{urn:ietf:params:xml:ns:caldav}"
NAMES: Final = ("u1", "u2", "u3", "u4")
PRIVILEGES: Final = (
    "{DAV:}all",
    "{DAV:}read",
    f"{_C}schedule-deliver",
    f"{_C}schedule-send",
    *(right.value for right in Right),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/caldavd.db")
    opened.upgrade()

    def work(tx: Transaction) -> None:
        ids = [
            provision.create(tx, provision.NewPrincipal(name=name, schedules=True), Provisioning()).id for name in NAMES
        ]
        group = provision.NewPrincipal(name="staff", kind=PrincipalKind.GROUP)
        tx.principals.set_members(provision.create(tx, group, Provisioning()).id, ids[2:3])
        provision.create(tx, provision.NewPrincipal(name="unboxed"), Provisioning())

    opened.run(work, write=True)
    yield opened
    opened.close()


def allowed(store: Store, sender: str, right: Right) -> set[str]:
    """Into whose inboxes ``sender`` may deliver."""

    def work(tx: Transaction) -> set[str]:
        one = tx.principals.by_name(sender)
        assert one is not None
        everybody = tx.principals.by_names([*NAMES, "unboxed"]).values()
        ids = may_deliver(tx, one, everybody, right)
        return {found.name for found in everybody if found.id in ids}

    return store.run(work, write=False)


def by_access(store: Store, sender: str, right: Right) -> set[str]:
    """The same by the access control of the server."""

    def work(tx: Transaction) -> set[str]:
        one = tx.principals.by_name(sender)
        assert one is not None
        found = set()
        for name in NAMES:
            inbox = tx.collections.find(name, ("inbox",))
            assert inbox is not None
            if Access(tx, one).has(of_collection(Router(), name, inbox.home, inbox.chain), right):
                found.add(name)
        return found

    return store.run(work, write=False)


def test_everybody_may_at_first(store: Store) -> None:
    for right in Right:
        assert allowed(store, "u1", right) == {*NAMES, "unboxed"}


def test_one_kind_of_message_is_kept_out(store: Store) -> None:
    set_aces(store, "u2/inbox", Ace("authenticated", True, (Right.REPLY,)))
    assert "u2" not in allowed(store, "u1", Right.INVITE)
    assert "u2" in allowed(store, "u1", Right.REPLY)
    assert "u2" not in allowed(store, "u1", Right.FREEBUSY)
    assert "u2" in allowed(store, "u2", Right.INVITE)  # one's own inbox


def test_one_person_is_kept_out(store: Store) -> None:
    nobody = Ace("principal", False, (f"{_C}schedule-deliver",), principal_id=principal(store, "u1").id)
    set_aces(store, "u2/inbox", nobody, Ace("authenticated", True, (f"{_C}schedule-deliver",)))
    assert allowed(store, "u1", Right.INVITE) == {"u1", "u3", "u4", "unboxed"}
    assert allowed(store, "u3", Right.INVITE) == {*NAMES, "unboxed"}


def test_it_says_what_the_access_control_says(store: Store) -> None:
    """Random lists on inboxes and homes: inverted ones, denials, groups, the owner by the property."""
    random_ = random.Random(7)
    ids = [principal(store, name).id for name in (*NAMES, "staff")]

    def ace() -> Ace:
        privileges = tuple(random_.sample(PRIVILEGES, random_.randint(1, 3)))
        who = random_.choice(["all", "authenticated", "principal", "principal", "principal", "property"])
        named = random_.choice(ids) if who == "principal" else None
        prop = random_.choice(["{DAV:}owner", "{DAV:}group"]) if who == "property" else ""
        invert = random_.random() < 0.2
        return Ace(who, random_.random() < 0.7, privileges, principal_id=named, property=prop, invert=invert)  # type: ignore[arg-type]

    seen = set()
    for _ in range(60):
        for name in NAMES:
            set_aces(store, name, *(ace() for _ in range(random_.randint(0, 2))))
            set_aces(store, f"{name}/inbox", *(ace() for _ in range(random_.randint(0, 4))))
        for sender in NAMES:
            for right in Right:
                found = allowed(store, sender, right) - {"unboxed"}
                assert found == by_access(store, sender, right)
                seen.add(len(found))
    assert seen >= {1, 2, 3}


def test_the_number_of_statements_does_not_grow(store: Store) -> None:
    def count() -> int:
        with statements() as seen:
            allowed(store, "u1", Right.INVITE)
        return len(seen)

    few = count()
    for name in NAMES:
        set_aces(store, f"{name}/inbox", *(Ace("principal", True, (right,), principal_id=1) for right in Right))
    assert count() == few + 1  # the sender's groups


def test_what_has_been_read_is_not_read_again(store: Store) -> None:
    def work(tx: Transaction) -> None:
        found = tx.principals.by_names(NAMES)
        places = {name: tx.collections.find(name, ("inbox",)) for name in NAMES}
        chains = {found[name].id: place.chain for name, place in places.items() if place is not None}
        assert len(may_deliver(tx, found["u1"], found.values(), Right.FREEBUSY, chains=chains)) == len(NAMES)

    with statements() as seen:
        store.run(work, write=False)
    assert len(seen) == 1 + len(NAMES) + 1  # who they are, where their inboxes are, and who may do what there


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("REQUEST", Right.INVITE), ("ADD", Right.INVITE), ("CANCEL", Right.INVITE), ("REPLY", Right.REPLY),
        ("COUNTER", Right.REPLY), ("REFRESH", Right.REPLY), ("DECLINECOUNTER", Right.INVITE),
    ],
)  # fmt: skip
def test_the_right_for_a_method(method: str, right: Right) -> None:
    """RFC 6638 appendix A.1."""
    assert right_for(method) is right
