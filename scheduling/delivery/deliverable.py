"""Whose messages an inbox takes (RFC 6638 sections 6.1 and 11.2, item 3): asked for many recipients at once.

The ACL of the inbox decides, and that of the home above it. The privileges are those that ``caldavd.privileges`` has;
here only whether a scheduling privilege is granted is evaluated, by the same rules (RFC 3744 section 6): the first ACE
that is about the sender and names the privilege, or one that contains it, decides. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from storage.rows import Ace, Collection, CollectionKind, Principal
from storage.store import Transaction

_CALDAV: Final = "{urn:ietf:params:xml:ns:caldav}"
#: What contains each of the privileges below (RFC 6638 section 6.3).
_CONTAINING: Final = frozenset({"{DAV:}all", f"{_CALDAV}schedule-deliver"})
_KINDS: Final = (CollectionKind.HOME, CollectionKind.INBOX)
_OWNER: Final = "{DAV:}owner"


class Right(StrEnum):
    """What a sender may do with an inbox; the values are the privileges' Clark names."""

    INVITE = f"{_CALDAV}schedule-deliver-invite"  # 6.1.2: messages of an organizer
    REPLY = f"{_CALDAV}schedule-deliver-reply"  # 6.1.3: messages of an attendee
    FREEBUSY = f"{_CALDAV}schedule-query-freebusy"  # 6.1.4


#: Methods that attendees send. RFC 6638 appendix A.1 names REPLY; these two ask the organizer in the same way.
_OF_ATTENDEES: Final = frozenset({"REPLY", "COUNTER", "REFRESH"})


def right_for(method: str) -> Right:
    """The right that a message of this method needs, for VEVENT and VTODO (RFC 6638 appendix A.1)."""
    return Right.REPLY if method.upper() in _OF_ATTENDEES else Right.INVITE


def may_deliver(
    tx: Transaction,
    sender: Principal,
    recipients: Iterable[Principal],
    right: Right,
    *,
    chains: Mapping[int, Sequence[Collection]] | None = None,
) -> frozenset[int]:
    """The ids of those ``recipients`` whose inbox takes such messages from ``sender``.

    ``sender`` is the owner of the calendar that a change is made in, or of the outbox that is asked, whoever does it
    for them. Who has no inbox is as if they had one that takes from everybody here. Three statements at most (a batch),
    and none where nobody else is asked.

    ``chains``: for who has read them already, the root of the home and the inbox, by the principal's id; that saves one
    statement. Who is not in it has no inbox.
    """
    found = {one.id: one for one in recipients}
    asked = {id_: one for id_, one in found.items() if id_ != sender.id}
    if sender.admin or not asked:
        return frozenset(found)
    if chains is None:
        chains = _chains(tx, asked.values())
    lists = _lists(tx, {id_: chains[id_] for id_ in asked if id_ in chains})
    identities: frozenset[int] | None = None
    allowed = set(found) - set(asked)
    for id_ in asked:
        aces = lists.get(id_)
        if aces is not None and any(ace.who in ("principal", "property") for ace in aces):
            identities = identities or frozenset({sender.id, *_groups(tx, sender)})
        if aces is None or _granted(aces, right, identities or frozenset({sender.id}), id_):
            allowed.add(id_)
    return frozenset(allowed)


def _chains(tx: Transaction, recipients: Iterable[Principal]) -> dict[int, Sequence[Collection]]:
    """The root of the home and the inbox of those who have one."""
    owners = {one.home_id: one.id for one in recipients}
    found: dict[int, list[Collection]] = {}
    # In the order of their paths: the root comes first.
    for home, collection, _ in tx.collections.of_homes(owners, kinds=_KINDS):
        found.setdefault(owners[home.id], []).append(collection)
    return {id_: chain for id_, chain in found.items() if chain[-1].kind is CollectionKind.INBOX}


def _lists(tx: Transaction, chains: Mapping[int, Sequence[Collection]]) -> dict[int, list[Ace]]:
    """The ACEs that count on each inbox, its own ones before those of the home."""
    ids = [one.id for chain in chains.values() for one in chain]
    aces = tx.acls.of(ids) if ids else {}
    return {id_: [ace for one in reversed(chain) for ace in aces.get(one.id, ())] for id_, chain in chains.items()}


def _groups(tx: Transaction, sender: Principal) -> list[int]:
    return [group.id for group in tx.principals.groups(sender.id, transitive=True)]


def _granted(aces: Iterable[Ace], right: Right, identities: frozenset[int], owner_id: int) -> bool:
    for ace in aces:
        if (right in ace.privileges or not _CONTAINING.isdisjoint(ace.privileges)) and _is_about(
            ace, identities, owner_id
        ):
            return ace.grant
    return False


def _is_about(ace: Ace, identities: frozenset[int], owner_id: int) -> bool:
    """Whether the sender is one of those whom the ACE is about (RFC 3744 section 5.5.1)."""
    match ace.who:
        case "all" | "authenticated":
            found = True
        case "principal":
            found = ace.principal_id in identities
        case "property":
            found = ace.property == _OWNER and owner_id in identities
        case _:
            found = False
    return found != ace.invert
