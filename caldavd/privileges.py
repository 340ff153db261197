"""The privileges of this server (RFC 3744 section 3, RFC 4791 section 6.1) and which of them each method needs.

:data:`TREE` is what ``supported-privilege-set`` shows and what aggregation is computed from; :data:`METHODS` is the
table of RFC 3744 appendix B with the additions of RFC 4791 appendix A. Who holds what is decided in
:mod:`caldavd.access`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

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

#: Each privilege with all that it contains, itself included.
CONTAINS: Final[Mapping[str, frozenset[str]]] = {
    node.name: frozenset(inner.name for inner in node.walk()) for node in TREE.walk()
}
EVERYTHING: Final = CONTAINS[ALL]
#: Each privilege as what evaluation counts with: the leaves below it, and itself where it allows something of its own.
_ATOMS: Final[Mapping[str, frozenset[str]]] = {
    node.name: frozenset(inner.name for inner in node.walk() if inner.own or not inner.contains) for node in TREE.walk()
}


@cache
def atoms(privileges: tuple[str, ...]) -> frozenset[str]:
    """What granting or denying these is equivalent to (RFC 3744 section 3); unsupported names count for nothing."""
    return frozenset().union(*(_ATOMS.get(name, frozenset()) for name in privileges))


@cache
def held_with(granted: frozenset[str]) -> frozenset[str]:
    """All privileges that somebody holds who was granted these atoms: an aggregate is held where all of it is."""
    return frozenset(name for name, parts in _ATOMS.items() if parts <= granted)


def in_order(names: Iterable[str]) -> list[str]:
    """These privileges in the order of the tree."""
    wanted = set(names)
    return [node.name for node in TREE.walk() if node.name in wanted]


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
