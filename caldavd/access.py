"""Who may do what (RFC 3744 sections 5.5 and 6): the access control lists of resources, and their evaluation.

The rule that every handler follows: who holds no privilege at all on a resource gets 404, who holds some gets 403 with
``need-privileges``. The owner of a home holds ``DAV:all`` in it by a protected ACE, an administrator everywhere. Stored
ACEs belong to collections and are inherited by all below them; nearer ones come first. Who may read something below a
home or a plain collection may look into it on the way there (:meth:`Access.passes`).

Which privileges there are is in :mod:`caldavd.privileges`; the ACL method is in :mod:`caldavd.methods.acl`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from caldavd import kinds
from caldavd.errors import NEED_PRIVILEGES, DavError, failed, not_found
from caldavd.privileges import (
    ALL,
    BIND,
    CONTAINS,
    EVERYTHING,
    READ,
    READ_ACL,
    READ_CURRENT_USER_PRIVILEGE_SET,
    READ_FREE_BUSY,
    TREE,
    UNBIND,
    UNLOCK,
    USUAL,
    WRITE,
    WRITE_ACL,
    WRITE_CONTENT,
    WRITE_PROPERTIES,
    Privilege,
    Supported,
    on,
)
from caldavd.resources import Resource
from caldavd.xml.fragment import element, href
from caldavd.xml.names import dav
from storage.rows import Ace, Collection, Principal, PrincipalKind
from storage.store import Transaction

__all__ = [
    "ALL",
    "BIND",
    "CONTAINS",
    "EVERYTHING",
    "GROUP",
    "OWNER",
    "READ",
    "READ_ACL",
    "READ_CURRENT_USER_PRIVILEGE_SET",
    "READ_FREE_BUSY",
    "TREE",
    "UNBIND",
    "UNLOCK",
    "WRITE",
    "WRITE_ACL",
    "WRITE_CONTENT",
    "WRITE_PROPERTIES",
    "Access",
    "Entry",
    "Memberships",
    "Privilege",
    "granted",
    "missing_privileges",
    "need_privileges",
]

OWNER: Final = dav("owner")  # RFC 3744 section 5.1
GROUP: Final = dav("group")  # RFC 3744 section 5.2

#: The owner's ACE: always there, and before all others, so that nobody locks themselves out.
_OWNER_HOLDS_ALL: Final = Ace("property", grant=True, privileges=(ALL,), property=OWNER, protected=True)
#: What everybody who is logged in may do with what belongs to the server, and with principals: look at it. Whom to
#: invite or to share with has to be found, so group members are seen as well.
_SEEN_BY_ALL: Final = Ace("authenticated", grant=True, privileges=(READ,), protected=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """An ACE as it counts on a resource; ``inherited`` is the collection further up that it belongs to."""

    ace: Ace
    inherited: Collection | None = None


def granted(aces: Iterable[Ace], matches: Callable[[Ace], bool], supported: Supported = USUAL) -> frozenset[str]:
    """The privileges that ACEs give to the user whom ``matches`` tells (RFC 3744 section 6).

    For each privilege the first matching ACE that names it, or something that contains it, decides. ``matches`` is
    asked only where the answer makes a difference. ``supported``: which privileges there are on the resource.
    """
    allowed: set[str] = set()
    denied: set[str] = set()
    for ace in aces:
        undecided = supported.atoms(ace.privileges) - allowed - denied
        if undecided and matches(ace):
            (allowed if ace.grant else denied).update(undecided)
    return supported.held_with(frozenset(allowed))


class Memberships:
    """Who is in which groups, kept for as long as the principal's generation stays the same.

    One for the whole process. Every change of memberships moves the generations of all it touches, and every request
    reads its user anew, so that what is kept here is never what was.
    """

    def __init__(self, *, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, int, int], frozenset[int]] = OrderedDict()
        self._lock = Lock()

    def get(self, epoch: str, user: Principal) -> frozenset[int] | None:
        """The ids of the user and its groups, if they are known."""
        return self._kept.get((epoch, user.id, user.generation))

    def keep(self, epoch: str, user: Principal, ids: frozenset[int]) -> None:
        """Takes note; what was noted first is forgotten first."""
        with self._lock:
            self._kept[epoch, user.id, user.generation] = ids
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)


class Access:
    """The privileges of one user in one transaction.

    For the owner and for administrators nothing is read. For others the ACEs of a collection and of those above it are
    read once, in one statement; ``memberships`` spares the statement for the user's groups. ``hidden`` are kinds that
    are not there for anybody, because what they belong to is switched off.
    """

    def __init__(
        self,
        tx: Transaction,
        user: Principal,
        *,
        epoch: str = "",
        memberships: Memberships | None = None,
        hidden: frozenset[kinds.Kind] = frozenset(),
    ) -> None:
        self._tx = tx
        self._hidden = hidden
        self._user = user
        self._epoch = epoch
        self._memberships = memberships
        self._identities: frozenset[int] | None = None
        self._aces: dict[int, tuple[Ace, ...]] = {}
        self._granted: dict[tuple[Supported, tuple[int, ...]], frozenset[str]] = {}
        self._passes: dict[int, bool] = {}
        self._groups: dict[int, bool] = {}
        self._shared: frozenset[int] | None = None

    def privileges(self, resource: Resource) -> frozenset[str]:
        """All privileges that the user holds on the resource, contained ones included."""
        if self._hidden and any(kinds.OF_COLLECTION[one.kind] in self._hidden for one in resource.chain[1:]):
            return frozenset()
        if self._user.admin or resource.owner == self._user.name:
            return on(resource.kind).everything
        if not resource.chain:
            return granted((entry.ace for entry in self.acl(resource)), lambda ace: self._matches(ace, resource))
        held = self._on_chain(resource)
        if READ not in held and self.passes(resource):
            held |= {READ_CURRENT_USER_PRIVILEGE_SET}
        return held

    def has(self, resource: Resource, privilege: str) -> bool:
        """Whether the user holds ``privilege``."""
        return privilege in self.privileges(resource)

    def visible(self, resource: Resource) -> bool:
        """Whether the user may know that the resource exists."""
        return bool(self.privileges(resource))

    def listed(self, resource: Resource) -> bool:
        """Whether the resource is told of in listings of its parent: the user may read it, or something in it."""
        return self.has(resource, READ) or self.passes(resource)

    def limited(self, resource: Resource) -> bool:
        """Whether the user may only pass: sees that the collection is there, and nothing of what it says."""
        return resource.kind in _ON_THE_WAY and not self.has(resource, READ)

    def require(self, resource: Resource, *privileges: str) -> None:
        """Raises 404 where the user may not know of the resource, 403 ``need-privileges`` where one is missing."""
        if not privileges and not self.visible(resource):
            raise not_found()
        self.require_each(*((resource, name) for name in privileges))

    def require_each(self, *needs: tuple[Resource, str]) -> None:
        """As :meth:`require` for several resources; one answer names all that is missing (RFC 3744 section 7.1.1)."""
        missing = []
        for resource, name in needs:
            held = self.privileges(resource)
            if not held:
                raise not_found()
            if name not in held:
                missing.append((resource.href, name))
        if missing:
            raise missing_privileges(missing)

    def require_view(self, resource: Resource) -> None:
        """What OPTIONS and PROPFIND need: ``read``, or to be on the way to what the user may read."""
        if not self.passes(resource):
            self.require(resource, READ)

    def passes(self, resource: Resource) -> bool:
        """Whether the user, without ``read`` on a home or plain collection, may read something that lies in it."""
        if resource.kind not in _ON_THE_WAY or self._user.admin or resource.owner == self._user.name:
            return False
        key = resource.collection.id
        if key not in self._passes:
            self._passes[key] = READ not in self._on_chain(resource) and self._may_read_below(resource)
        return self._passes[key]

    def shared_homes(self) -> frozenset[int]:
        """The ids of the homes in which ACEs that name the user or one of its groups let it read something.

        What is granted to everybody who is logged in does not count: it would be in everybody's list.
        """
        if self._shared is None:
            shared = self._tx.acls.granted_to(self.identities)
            self.load_acls(shared)
            self._shared = frozenset(one.home_id for one in shared if READ in self._granted_by_name(one))
        return self._shared

    def _granted_by_name(self, collection: Collection) -> frozenset[str]:
        named = (ace for ace in self._aces[collection.id] if ace.who == "principal" and not ace.invert)
        return granted(named, lambda ace: self._is(ace.principal_id))

    def preload(self, collections: Iterable[Collection]) -> None:
        """Reads what privileges on many collections depend on in one statement; for the owner that is nothing."""
        if not self._user.admin:
            self.load_acls(found for found in collections if found.home_id != self._user.home_id)

    def load_acls(self, collections: Iterable[Collection]) -> None:
        """Reads the ACEs of many collections in one statement."""
        wanted = [found.id for found in collections if found.id not in self._aces]
        if wanted:
            rows = self._tx.acls.of(wanted)
            self._aces.update({key: tuple(rows.get(key, ())) for key in wanted})

    def acl(self, resource: Resource) -> list[Entry]:
        """The resource's access control list in the order of evaluation."""
        if not resource.chain:
            owned = resource.principal is not None and not self._is_group(resource.principal.id, resource.principal)
            return [Entry(_OWNER_HOLDS_ALL), Entry(_SEEN_BY_ALL)] if owned else [Entry(_SEEN_BY_ALL)]
        owned = resource.home is not None and not self._is_group(resource.home.principal_id)
        entries = [Entry(_OWNER_HOLDS_ALL)] if owned else []
        self.load_acls(resource.chain)
        itself = resource.chain[-1] if resource.kind in kinds.STORED_COLLECTIONS else None
        for collection in reversed(resource.chain):
            inherited = None if collection is itself else collection
            entries += [Entry(ace, inherited) for ace in self._aces[collection.id]]
        return entries

    def forget(self) -> None:
        """To be called by whoever changes ACEs or memberships: nothing that was read before counts any more.

        The memberships are not kept for later, either: they could be those of a transaction that is rolled back.
        """
        self._memberships = self._identities = None
        self._aces.clear()
        self._granted.clear()
        self._shared = None
        self._passes.clear()

    @property
    def identities(self) -> frozenset[int]:
        """The ids of the user and of all groups that it is a member of (RFC 3744 section 2)."""
        if self._identities is None and self._memberships is not None:
            self._identities = self._memberships.get(self._epoch, self._user)
        if self._identities is None:
            groups = self._tx.principals.groups(self._user.id, transitive=True)
            self._identities = frozenset({self._user.id, *(group.id for group in groups)})
            if self._memberships is not None:
                self._memberships.keep(self._epoch, self._user, self._identities)
        return self._identities

    def _is_group(self, principal_id: int, known: Principal | None = None) -> bool:
        """Whether this owner is a group.

        A group holds nothing by owning it, or each member would hold it as well (RFC 3744 section 5.5.1: who is a
        member of a principal matches it). What members may do is an ACE.
        """
        if principal_id not in self._groups:
            found = known or self._tx.principals.by_id(principal_id)
            self._groups[principal_id] = found is not None and found.kind is PrincipalKind.GROUP
        return self._groups[principal_id]

    def _on_chain(self, resource: Resource) -> frozenset[str]:
        supported = on(resource.kind)
        key = (supported, tuple(collection.id for collection in resource.chain))
        if key not in self._granted:
            self.load_acls(resource.chain)
            stored = (ace for collection in reversed(resource.chain) for ace in self._aces[collection.id])
            self._granted[key] = granted(stored, lambda ace: self._matches(ace, resource), supported)
        return self._granted[key]

    def _may_read_below(self, resource: Resource) -> bool:
        if resource.kind is kinds.HOME and resource.collection.home_id in (self._shared or ()):
            return True
        top = resource.collection.path
        by_path = {found.path: found for found in self._tx.collections.of_home(resource.collection.home_id)}
        below = [path for path in by_path if len(path) > len(top) and path[: len(top)] == top]
        self.load_acls(by_path[path] for path in below)
        for path in below:
            chain = tuple(by_path[path[:depth]] for depth in range(len(path) + 1))
            found = Resource(kinds.PLAIN, resource.location, resource.href, home=resource.home, chain=chain)
            if READ in self._on_chain(found):
                return True
        return False

    def _matches(self, ace: Ace, resource: Resource) -> bool:
        """Whether the user is one of those whom the ACE is about (RFC 3744 section 5.5.1)."""
        found = False  # also for unauthenticated: who is not logged in gets 401 before anything is evaluated
        match ace.who:
            case "all" | "authenticated":
                found = True
            case "principal":
                found = self._is(ace.principal_id)
            case "property":
                found = ace.property == OWNER and self._owns(resource)  # DAV:group is always empty here
            case "self":
                found = resource.principal is not None and self._is(resource.principal.id)
        return found != ace.invert

    def _owns(self, resource: Resource) -> bool:
        if resource.principal is not None:  # nobody is a member of a person, and a group has no owner
            return resource.principal.id == self._user.id
        return self._is(resource.home.principal_id if resource.home is not None else None)

    def _is(self, principal_id: int | None) -> bool:
        return principal_id is not None and (principal_id == self._user.id or principal_id in self.identities)


#: Where something that the user may read can lie further down.
_ON_THE_WAY: Final = frozenset({kinds.HOME, kinds.PLAIN})


def need_privileges(path: str, *names: str) -> DavError:
    """403 with the resource and the privileges that are missing there (RFC 3744 section 7.1.1)."""
    return missing_privileges((path, name) for name in names)


def missing_privileges(missing: Iterable[tuple[str, str]]) -> DavError:
    """403 for several resources: pairs of an href and a privilege (RFC 3744 section 7.1.1)."""
    pairs = list(missing)
    inner = "".join(
        element(dav("resource"), href(path) + element(dav("privilege"), element(name))) for path, name in pairs
    )
    words = ", ".join(dict.fromkeys(name.rpartition("}")[2] for _, name in pairs))
    return failed(NEED_PRIVILEGES, inner, message=f"This needs the privilege {words}, which you do not hold here.")
