"""The privileges of this server (RFC 3744 section 3, RFC 4791 section 6.1, RFC 6638 section 6) and what methods need.

:data:`TREE` is what ``supported-privilege-set`` shows and what aggregation is computed from. An inbox and an outbox
have more, which count nowhere else (RFC 6638 section 6.1): :func:`on` gives the privileges of a kind of resource.
:data:`METHODS` is the table of RFC 3744 appendix B with the additions of RFC 4791 appendix A. Who holds what is decided
in :mod:`caldavd.access`; whose messages are delivered also below, in ``scheduling.delivery.deliverable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from caldavd.kinds import INBOX, OUTBOX, Kind
from caldavd.xml.names import caldav, dav

ALL: Final = dav("all")  # RFC 3744 section 3.11
READ: Final = dav("read")  # 3.1
WRITE: Final = dav("write")  # 3.2
WRITE_PROPERTIES: Final = dav("write-properties")  # 3.3
WRITE_CONTENT: Final = dav("write-content")  # 3.4
UNLOCK: Final = dav("unlock")  # 3.5
READ_ACL: Final = dav("read-acl")  # 3.6
READ_CURRENT_USER_PRIVILEGE_SET: Final = dav("read-current-user-privilege-set")  # 3.7
WRITE_ACL: Final = dav("write-acl")  # 3.8
BIND: Final = dav("bind")  # 3.9
UNBIND: Final = dav("unbind")  # 3.10
READ_FREE_BUSY: Final = caldav("read-free-busy")  # RFC 4791 section 6.1.1
SCHEDULE_DELIVER: Final = caldav("schedule-deliver")  # RFC 6638 section 6.1.1
SCHEDULE_DELIVER_INVITE: Final = caldav("schedule-deliver-invite")  # 6.1.2
SCHEDULE_DELIVER_REPLY: Final = caldav("schedule-deliver-reply")  # 6.1.3
SCHEDULE_QUERY_FREEBUSY: Final = caldav("schedule-query-freebusy")  # 6.1.4
SCHEDULE_SEND: Final = caldav("schedule-send")  # 6.2.1
SCHEDULE_SEND_INVITE: Final = caldav("schedule-send-invite")  # 6.2.2
SCHEDULE_SEND_REPLY: Final = caldav("schedule-send-reply")  # 6.2.3
SCHEDULE_SEND_FREEBUSY: Final = caldav("schedule-send-freebusy")  # 6.2.4


@dataclass(frozen=True, slots=True)
class Privilege:
    """A node of ``supported-privilege-set`` (RFC 3744 section 5.3).

    ``own``: it allows something that none of the contained ones allows, so that holding all of those is not yet holding
    it. An ``abstract`` one cannot be granted or denied by itself.
    """

    name: str
    description: str
    contains: tuple[Privilege, ...] = ()
    own: bool = False
    abstract: bool = False

    def walk(self) -> Iterator[Privilege]:
        """The node and all below it, in the order of the tree."""
        yield self
        for inner in self.contains:
            yield from inner.walk()


#: ``read`` contains ``read-current-user-privilege-set``, as in the tree of section 5.3.1: a client that was granted
#: ``read`` and cannot see what it holds takes the calendar for writable (DAVx5) or for none (Thunderbird).
TREE: Final = Privilege(
    ALL,
    "Any operation",
    (
        Privilege(
            READ,
            "Read content and properties",
            (
                Privilege(READ_FREE_BUSY, "See when the calendar is busy"),
                Privilege(READ_CURRENT_USER_PRIVILEGE_SET, "See one's own privileges"),
            ),
            own=True,
        ),
        Privilege(
            WRITE,
            "Change content, properties and members",
            (
                Privilege(WRITE_PROPERTIES, "Change properties"),
                Privilege(WRITE_CONTENT, "Change content"),
                Privilege(BIND, "Add members"),
                Privilege(UNBIND, "Remove members"),
            ),
        ),
        Privilege(UNLOCK, "Remove the locks of others"),
        Privilege(READ_ACL, "Read the access control list"),
        Privilege(WRITE_ACL, "Change the access control list"),
    ),
)

#: RFC 6638 section 6.1: who may deliver into an inbox. All of its privileges are non-abstract (section 6).
_DELIVER: Final = Privilege(
    SCHEDULE_DELIVER,
    "Deliver all kinds of scheduling messages",
    (
        Privilege(SCHEDULE_DELIVER_INVITE, "Invite, and change and cancel what one has invited to"),
        Privilege(SCHEDULE_DELIVER_REPLY, "Answer invitations"),
        Privilege(SCHEDULE_QUERY_FREEBUSY, "Ask for free and busy time"),
    ),
)
#: RFC 6638 section 6.2: who may send in the name of an outbox's owner.
_SEND: Final = Privilege(
    SCHEDULE_SEND,
    "Send all kinds of scheduling messages in the owner's name",
    (
        Privilege(SCHEDULE_SEND_INVITE, "Invite in the owner's name"),
        Privilege(SCHEDULE_SEND_REPLY, "Answer invitations in the owner's name"),
        Privilege(SCHEDULE_SEND_FREEBUSY, "Ask for free and busy time in the owner's name"),
    ),
)


class Supported:
    """The privileges that there are on a kind of resource, and their arithmetic.

    ``tree`` is the root of ``supported-privilege-set``, ``everything`` the names in it, ``contains`` each of them with
    all that it contains, itself included.
    """

    def __init__(self, tree: Privilege) -> None:
        self.tree = tree
        self.contains: Mapping[str, frozenset[str]] = {
            node.name: frozenset(inner.name for inner in node.walk()) for node in tree.walk()
        }
        self.everything = self.contains[tree.name]
        # Each as what evaluation counts with: the leaves below it, and itself where it allows something of its own.
        self._atoms: Mapping[str, frozenset[str]] = {
            node.name: frozenset(inner.name for inner in node.walk() if inner.own or not inner.contains)
            for node in tree.walk()
        }
        self._of_names: dict[tuple[str, ...], frozenset[str]] = {}
        self._held: dict[frozenset[str], frozenset[str]] = {}

    def atoms(self, privileges: tuple[str, ...]) -> frozenset[str]:
        """What granting or denying these is equivalent to (RFC 3744 section 3); others count for nothing."""
        found = self._of_names.get(privileges)
        if found is None:
            found = frozenset().union(*(self._atoms.get(name, frozenset()) for name in privileges))
            self._of_names[privileges] = found
        return found

    def held_with(self, granted: frozenset[str]) -> frozenset[str]:
        """All that somebody holds who was granted these atoms: an aggregate is held where all of it is."""
        found = self._held.get(granted)
        if found is None:
            found = frozenset(name for name, parts in self._atoms.items() if parts <= granted)
            self._held[granted] = found
        return found

    def in_order(self, names: Iterable[str]) -> list[str]:
        """These privileges in the order of the tree."""
        wanted = set(names)
        return [node.name for node in self.tree.walk() if node.name in wanted]


USUAL: Final = Supported(TREE)
_OF_INBOX: Final = Supported(replace(TREE, contains=(*TREE.contains, _DELIVER)))
_OF_OUTBOX: Final = Supported(replace(TREE, contains=(*TREE.contains, _SEND)))
_SPECIAL: Final[Mapping[Kind, Supported]] = {INBOX: _OF_INBOX, OUTBOX: _OF_OUTBOX}


def on(kind: Kind) -> Supported:
    """The privileges that there are on resources of this kind."""
    return _SPECIAL.get(kind, USUAL)


CONTAINS: Final = USUAL.contains
EVERYTHING: Final = USUAL.everything
#: All names that an ACE can hold anywhere.
NAMES: Final = frozenset().union(*(one.everything for one in (USUAL, _OF_INBOX, _OF_OUTBOX)))
atoms = USUAL.atoms
held_with = USUAL.held_with
in_order = USUAL.in_order


class On(StrEnum):
    """The resource that a method needs a privilege on."""

    RESOURCE = "resource"
    PARENT = "parent"
    DESTINATION = "destination"
    DESTINATION_PARENT = "destination's parent"


@dataclass(frozen=True, slots=True)
class Need:
    """A row of the table: what a method needs, all of it. ``state``: what it is that the method meets."""

    method: str
    state: str
    privileges: tuple[tuple[On, str], ...]
    section: str = "RFC 3744 appendix B"


#: Handlers ask for these privileges by themselves; a test walks every row with each privilege alone and with each
#: taken away. Stricter than the appendix: a MOVE to another collection also needs ``read``, since there the mover may
#: read it; and where COPY replaces a resource by a new one, not content by other content, it needs ``unbind``.
METHODS: Final = (
    Need("OPTIONS", "", ((On.RESOURCE, READ),)),
    Need("GET", "", ((On.RESOURCE, READ),)),
    Need("HEAD", "", ((On.RESOURCE, READ),)),
    Need("PROPFIND", "", ((On.RESOURCE, READ),)),
    Need("REPORT", "", ((On.RESOURCE, READ),)),
    Need("REPORT", "free-busy-query", ((On.RESOURCE, READ_FREE_BUSY),), "RFC 4791 appendix A"),
    Need("PROPPATCH", "", ((On.RESOURCE, WRITE_PROPERTIES),)),
    Need("ACL", "", ((On.RESOURCE, WRITE_ACL),)),
    Need("PUT", "target exists", ((On.RESOURCE, WRITE_CONTENT),)),
    Need("PUT", "no target exists", ((On.PARENT, BIND),)),
    Need("POST", "", ((On.RESOURCE, BIND),), "RFC 5995 section 5"),
    Need("DELETE", "", ((On.PARENT, UNBIND),)),
    Need("MKCOL", "", ((On.PARENT, BIND),)),
    Need("MKCALENDAR", "", ((On.PARENT, BIND),), "RFC 4791 appendix A"),
    Need("COPY", "no target exists", ((On.RESOURCE, READ), (On.DESTINATION_PARENT, BIND))),
    Need(
        "COPY",
        "target exists",
        ((On.RESOURCE, READ), (On.DESTINATION, WRITE_CONTENT), (On.DESTINATION, WRITE_PROPERTIES)),
    ),
    Need(
        "MOVE",
        "no target exists",
        ((On.PARENT, UNBIND), (On.RESOURCE, READ), (On.DESTINATION_PARENT, BIND)),
    ),
    Need(
        "MOVE",
        "target exists",
        ((On.PARENT, UNBIND), (On.RESOURCE, READ), (On.DESTINATION_PARENT, BIND), (On.DESTINATION_PARENT, UNBIND)),
    ),
    Need("MOVE", "in the same collection", ((On.PARENT, UNBIND), (On.DESTINATION_PARENT, BIND))),
    Need("LOCK", "target exists", ((On.RESOURCE, WRITE_CONTENT),)),
    Need("LOCK", "no target exists", ((On.PARENT, BIND),)),
    Need("UNLOCK", "another's lock", ((On.RESOURCE, UNLOCK),)),
)
