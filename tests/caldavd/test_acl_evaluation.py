"""How access control lists are evaluated (RFC 3744 section 6), as a pure function and over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caldavd.access import GROUP, OWNER, granted
from caldavd.privileges import (
    ALL,
    BIND,
    CONTAINS,
    EVERYTHING,
    READ,
    READ_ACL,
    READ_FREE_BUSY,
    WRITE,
    WRITE_CONTENT,
)
from storage.rows import Ace
from storage.store import Store
from tests.caldavd.client import Client, event
from tests.caldavd.sharing import principal, set_aces, statements

CAL = "/calendars/u1/calendar/"


def everybody(verb: str, *privileges: str) -> Ace:
    return Ace("all", verb == "grant", privileges)


@pytest.mark.parametrize(
    ("aces", "held"),
    [
        ([], set()),
        ([everybody("grant", READ)], CONTAINS[READ]),
        ([everybody("deny", READ), everybody("grant", READ)], set()),
        ([everybody("grant", READ), everybody("deny", READ)], CONTAINS[READ]),
        ([everybody("deny", WRITE), everybody("grant", ALL)], EVERYTHING - CONTAINS[WRITE] - {ALL}),
        ([everybody("deny", BIND), everybody("grant", WRITE)], CONTAINS[WRITE] - {WRITE, BIND}),
        ([everybody("grant", BIND), everybody("deny", WRITE)], {BIND}),
        # Who may not see when somebody is busy may not read, either: read contains it (RFC 4791 section 6.1.1).
        ([everybody("deny", READ_FREE_BUSY), everybody("grant", READ)], CONTAINS[READ] - {READ, READ_FREE_BUSY}),
        ([everybody("deny", READ), everybody("grant", READ_FREE_BUSY)], set()),
        ([everybody("grant", READ_FREE_BUSY), everybody("deny", READ)], {READ_FREE_BUSY}),
    ],
)
def test_the_first_ace_that_matches_decides_each_privilege(aces: list[Ace], held: set[str]) -> None:
    assert granted(aces, lambda _: True) == held


def test_aces_that_do_not_match_do_not_count() -> None:
    aces = [everybody("deny", ALL), Ace("authenticated", True, (READ,))]
    assert granted(aces, lambda ace: ace.who == "authenticated") == CONTAINS[READ]


def test_it_is_not_asked_who_matches_where_it_makes_no_difference() -> None:
    asked: list[Ace] = []

    def matches(ace: Ace) -> bool:
        asked.append(ace)
        return True

    aces = [everybody("grant", ALL), everybody("deny", READ), everybody("grant", WRITE)]
    granted(aces, matches)
    assert asked == aces[:1]


# RFC 3744 section 6: Unix permissions "r--rw-r--". (The example in the RFC does not close its D:all.)
UNIX = [
    Ace("property", True, (READ,), property=OWNER),
    Ace("property", False, (ALL,), property=OWNER),
    Ace("property", True, (READ, WRITE), property=GROUP),
    Ace("property", False, (ALL,), property=GROUP),
    Ace("all", True, (READ,)),
]


@pytest.mark.parametrize(
    ("mine", "held"),
    [
        ({OWNER}, CONTAINS[READ]),
        ({OWNER, GROUP}, CONTAINS[READ]),
        ({GROUP}, CONTAINS[READ] | CONTAINS[WRITE]),
        (set(), CONTAINS[READ]),
    ],
)
def test_the_example_of_unix_permissions(mine: set[str], held: set[str]) -> None:
    assert granted(UNIX, lambda ace: ace.who == "all" or ace.property in mine) == held


# Whom an ACE is about (section 5.5.1), over HTTP: u2 is a member of staff, u3 of nothing; the owner is u1.

AsUser = Callable[[str | None], Client]


def reads(client: Client) -> bool:
    status = client.propfind(CAL, "<D:resourcetype/>").status
    assert status in (207, 403, 404)
    return status == 207


@pytest.mark.parametrize(
    ("who", "u2", "u3"),
    [
        ("principal:u2", True, False),
        ("principal:staff", True, False),
        ("principal:room1", False, False),
        ("all", True, True),
        ("authenticated", True, True),
        ("unauthenticated", False, False),
        ("self", False, False),
        ("property:{DAV:}owner", False, False),
        ("property:{DAV:}group", False, False),
        ("property:{urn:x}reviewer", False, False),
    ],
)
@pytest.mark.parametrize("invert", [False, True])
def test_whom_an_ace_is_about(store: Store, as_user: AsUser, who: str, u2: bool, u3: bool, invert: bool) -> None:
    kind, _, name = who.partition(":")
    ace = Ace(
        kind,  # type: ignore[arg-type]
        True,
        (READ,),
        principal_id=principal(store, name).id if kind == "principal" else None,
        property=name if kind == "property" else "",
        invert=invert,
    )
    set_aces(store, "u1/calendar", ace)
    assert (reads(as_user("u2")), reads(as_user("u3"))) == (u2 != invert, u3 != invert)
    assert reads(as_user("u1"))
    assert reads(as_user("admin"))


def test_groups_count_at_any_depth(store: Store, as_user: AsUser) -> None:
    outer, staff = principal(store, "staff"), principal(store, "staff")
    made = store.run(lambda tx: tx.principals.add(name="company", kind=staff.kind), write=True)
    store.run(lambda tx: tx.principals.set_members(made.id, [outer.id]), write=True)
    set_aces(store, "u1/calendar", Ace("principal", True, (READ,), principal_id=made.id))
    assert reads(as_user("u2"))
    assert not reads(as_user("u3"))


def test_a_change_of_members_counts_at_once(store: Store, as_user: AsUser) -> None:
    staff = principal(store, "staff").id
    u2, u3 = principal(store, "u2").id, principal(store, "u3").id
    set_aces(store, "u1/calendar", Ace("principal", True, (READ,), principal_id=staff))
    assert (reads(as_user("u2")), reads(as_user("u3"))) == (True, False)
    store.run(lambda tx: tx.principals.set_members(staff, [u3]), write=True)
    assert (reads(as_user("u2")), reads(as_user("u3"))) == (False, True)
    store.run(lambda tx: tx.principals.set_members(staff, [u2, u3]), write=True)
    assert (reads(as_user("u2")), reads(as_user("u3"))) == (True, True)


def test_nearer_aces_come_before_inherited_ones(store: Store, as_user: AsUser) -> None:
    to = principal(store, "u2").id
    set_aces(store, "u1", Ace("principal", True, (READ, WRITE), principal_id=to))
    assert as_user("u2").put(CAL + "a.ics", event("a")).status == 201
    set_aces(store, "u1/calendar", Ace("principal", False, (WRITE_CONTENT,), principal_id=to))
    assert as_user("u2").put(CAL + "a.ics", event("a", summary="Other")).status == 403
    assert as_user("u2").put(CAL + "b.ics", event("b")).status == 201


def test_the_owner_and_administrators_cannot_be_denied(store: Store, as_user: AsUser) -> None:
    set_aces(store, "u1", Ace("all", False, (ALL,)))
    assert reads(as_user("u1"))
    assert reads(as_user("admin"))
    assert not reads(as_user("u2"))


def test_a_property_names_the_owner_also_where_it_is_a_group(store: Store, as_user: AsUser) -> None:
    """A home of a group belongs to no member by itself; an ACE for DAV:owner is one for all members (section 5.5.1)."""
    home = "/calendars/staff/"
    set_aces(store, "staff")
    assert as_user("u2").propfind(home, "<D:owner/>").status == 404
    set_aces(store, "staff", Ace("property", True, (READ,), property=OWNER))
    assert as_user("u2").propfind(home, "<D:owner/>").status == 207
    assert as_user("u3").propfind(home, "<D:owner/>").status == 404


# What it costs


def test_the_owner_costs_no_statement(as_user: AsUser) -> None:
    client = as_user("u1")
    client.propfind("/calendars/u1/", "<D:getetag/>", depth=1)
    with statements() as seen:
        assert client.propfind("/calendars/u1/", "<D:current-user-privilege-set/>", depth=1).status == 207
    assert not [one for one in seen if "aces" in one or "memberships" in one]


def test_a_sharee_costs_one_statement(store: Store, as_user: AsUser) -> None:
    client = as_user("u2")
    set_aces(store, "u1/calendar", Ace("principal", True, (READ, READ_ACL), principal_id=principal(store, "staff").id))
    assert reads(client)
    with statements() as seen:
        assert reads(client)
    assert len([one for one in seen if "aces" in one]) == 1
    assert not [one for one in seen if "memberships" in one]
