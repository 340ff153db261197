"""The tree of privileges (RFC 3744 sections 3 and 5.3, RFC 4791 section 6.1.1) and its arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caldavd.kinds import CALENDAR, INBOX, OUTBOX, Kind
from caldavd.methods import METHODS as HANDLERS
from caldavd.privileges import (
    ALL,
    BIND,
    CONTAINS,
    EVERYTHING,
    METHODS,
    NAMES,
    READ,
    READ_ACL,
    READ_CURRENT_USER_PRIVILEGE_SET,
    READ_FREE_BUSY,
    SCHEDULE_DELIVER,
    SCHEDULE_DELIVER_INVITE,
    SCHEDULE_DELIVER_REPLY,
    SCHEDULE_QUERY_FREEBUSY,
    SCHEDULE_SEND,
    SCHEDULE_SEND_FREEBUSY,
    SCHEDULE_SEND_INVITE,
    SCHEDULE_SEND_REPLY,
    TREE,
    UNBIND,
    WRITE,
    WRITE_ACL,
    WRITE_CONTENT,
    WRITE_PROPERTIES,
    atoms,
    held_with,
    in_order,
    on,
)

TREE_OF_FILES = Path(__file__).parents[2]

# RFC 3744 section 3.12: what must not contain what.
FORBIDDEN = {
    READ_ACL: {READ, WRITE, WRITE_ACL, WRITE_PROPERTIES, WRITE_CONTENT, READ_CURRENT_USER_PRIVILEGE_SET},
    WRITE_ACL: {WRITE, READ, READ_ACL, READ_CURRENT_USER_PRIVILEGE_SET},
    READ_CURRENT_USER_PRIVILEGE_SET: {WRITE, READ, READ_ACL, WRITE_ACL},
    WRITE: {READ, READ_ACL, READ_CURRENT_USER_PRIVILEGE_SET},
    READ: {WRITE, WRITE_ACL, WRITE_PROPERTIES, WRITE_CONTENT},
}


@pytest.mark.parametrize("outer", FORBIDDEN)
def test_aggregation_is_limited(outer: str) -> None:
    assert not CONTAINS[outer] & FORBIDDEN[outer]


def test_aggregation_that_is_demanded() -> None:
    assert {BIND, UNBIND, WRITE_PROPERTIES, WRITE_CONTENT} < CONTAINS[WRITE]  # RFC 3744 section 3.12
    assert READ_FREE_BUSY in CONTAINS[READ]  # RFC 4791 section 6.1.1
    assert CONTAINS[ALL] == EVERYTHING == {node.name for node in TREE.walk()}


def test_no_privilege_is_twice_in_the_tree() -> None:
    names = [node.name for node in TREE.walk()]
    assert len(names) == len(set(names))


def test_an_aggregate_of_nothing_but_its_parts_is_held_with_all_parts() -> None:
    parts = (BIND, UNBIND, WRITE_PROPERTIES, WRITE_CONTENT)
    assert WRITE in held_with(atoms(parts))
    assert WRITE not in held_with(atoms(parts[1:]))


def test_read_is_more_than_its_parts() -> None:
    assert held_with(atoms((READ_FREE_BUSY, READ_CURRENT_USER_PRIVILEGE_SET))) == {
        READ_FREE_BUSY,
        READ_CURRENT_USER_PRIVILEGE_SET,
    }


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_granting_a_privilege_is_holding_it_and_what_it_contains(name: str) -> None:
    assert held_with(atoms((name,))) == CONTAINS[name]


@pytest.mark.parametrize(
    ("kind", "family", "parts"),
    [
        (INBOX, SCHEDULE_DELIVER, {SCHEDULE_DELIVER_INVITE, SCHEDULE_DELIVER_REPLY, SCHEDULE_QUERY_FREEBUSY}),
        (OUTBOX, SCHEDULE_SEND, {SCHEDULE_SEND_INVITE, SCHEDULE_SEND_REPLY, SCHEDULE_SEND_FREEBUSY}),
    ],
)
def test_aggregation_of_scheduling_privileges(kind: Kind, family: str, parts: set[str]) -> None:
    """RFC 6638 section 6.3: DAV:all contains the family, the family its three; nothing is abstract (section 6)."""
    supported = on(kind)
    assert supported.contains[ALL] - EVERYTHING == {family, *parts}
    assert supported.contains[family] == {family, *parts}
    assert family in supported.held_with(supported.atoms(tuple(sorted(parts))))
    assert family not in supported.held_with(supported.atoms(tuple(sorted(parts))[1:]))
    assert not any(node.abstract for node in supported.tree.walk())
    assert on(CALENDAR).atoms((family,)) == frozenset()  # "ignored if applied to a resource other than"


def test_unsupported_names_count_for_nothing() -> None:
    assert atoms(("{urn:x}what", "{DAV:}write-acl")) == {WRITE_ACL}


def test_the_order_is_that_of_the_tree() -> None:
    assert in_order([UNBIND, READ, ALL]) == [ALL, READ, UNBIND]


def test_the_document_about_sharing_explains_every_privilege() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", (TREE_OF_FILES / "docs" / "sharing.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(name.rpartition("}")[2] for name in NAMES)


def test_every_method_is_in_the_table() -> None:
    assert {need.method for need in METHODS} == set(HANDLERS)
