"""Groups of this server among the attendees: who is in them, when the organizer stores the meeting.

Owns the rim of ``groups`` (RFC 5546 section 3.7.2, RFC 5545 section 3.2.11): which addresses are groups here, and their
members at any depth. docs/decisions/0008 says what becomes of changes of the members.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from scheduling.addresses import mailbox, normal
from scheduling.delivery.people import PRINCIPALS
from scheduling.itip.groups import Member
from storage.rows import Principal, PrincipalKind
from storage.store import Transaction

#: How deep groups are looked into that are members of groups, and how many people are found in all of them.
_DEPTH: Final = 10
MOST_MEMBERS: Final = 20_000
#: Calendar user types (RFC 5545 section 3.2.3).
_CUTYPES: Final = {
    PrincipalKind.INDIVIDUAL: "INDIVIDUAL",
    PrincipalKind.GROUP: "GROUP",
    PrincipalKind.ROOM: "ROOM",
    PrincipalKind.RESOURCE: "RESOURCE",
}


def members(tx: Transaction, found: Mapping[str, Principal], named: Iterable[str]) -> dict[str, Sequence[Member]]:
    """Who is in the groups among ``found`` (principals by address), by the group's address.

    ``named`` are the addresses (in normal form) that the meeting names: whoever it names is a member by that address,
    and so is not invited twice. A statement or two for each level of groups in groups, and a batch of groups.
    """
    groups = {one: principal for one, principal in found.items() if principal.kind is PrincipalKind.GROUP}
    if not groups:
        return {}
    inside = _direct_members(tx, [principal.id for principal in groups.values()])
    known = frozenset(named)
    return {
        one: [_member(person, known) for person in _people_in(principal.id, inside)]
        for one, principal in groups.items()
    }


def _direct_members(tx: Transaction, group_ids: Iterable[int]) -> dict[int, Sequence[Principal]]:
    """The direct members of groups, and of the groups in them."""
    inside: dict[int, Sequence[Principal]] = {}
    level = set(group_ids)
    for _ in range(_DEPTH):
        if not level or sum(map(len, inside.values())) > MOST_MEMBERS:
            break
        more = tx.principals.members_of(level)
        inside.update(more)
        level = {
            one.id for several in more.values() for one in several if one.kind is PrincipalKind.GROUP
        } - inside.keys()
    return inside


def _people_in(group_id: int, inside: Mapping[int, Sequence[Principal]]) -> list[Principal]:
    """Everybody in a group at any depth, each once, in the order of the groups and their names."""
    found: dict[int, Principal] = {}
    seen = {group_id}
    waiting = [group_id]
    while waiting:
        for one in inside.get(waiting.pop(0), ()):
            if one.kind is not PrincipalKind.GROUP:
                found.setdefault(one.id, one)
            elif one.id not in seen:
                seen.add(one.id)
                waiting.append(one.id)
    return list(found.values())[:MOST_MEMBERS]


def _member(principal: Principal, named: frozenset[str]) -> Member:
    uris = [one.uri for one in sorted(principal.addresses, key=lambda one: not one.preferred)]
    uris.append(f"/{PRINCIPALS}/{principal.name}/")
    uri = next((one for one in uris if normal(one) in named), None)
    uri = uri or next((one for one in uris if mailbox(one) is not None), uris[0])
    return Member(uri, principal.displayname, _CUTYPES[principal.kind])
