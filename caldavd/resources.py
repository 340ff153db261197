"""What a path leads to: a resource with the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caldavd import kinds
from caldavd.errors import not_found
from caldavd.kinds import Kind
from caldavd.router import Location, Router, Space
from storage.rows import OBJECT_COLUMNS, Collection, Home, ObjectRow, Owner, Principal, StoredProperty
from storage.store import Transaction

WITH_BODY = OBJECT_COLUMNS | {"body"}


@dataclass(slots=True)
class Resource:
    """A resource and the rows that were read for it.

    ``chain`` are the collections from the home down to the resource (or to the parent of an object or unmapped name).
    ``principal`` is set for principals. ``stored`` are its stored properties where a listing has read them.
    """

    kind: Kind
    location: Location
    href: str
    home: Home | None = None
    chain: tuple[Collection, ...] = ()
    object: ObjectRow | None = None
    principal: Principal | None = None
    stored: Mapping[tuple[str, str], StoredProperty] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The name of the principal that owns it; empty for what belongs to the server."""
        return self.location.owner

    @property
    def collection(self) -> Collection:
        """The collection itself, or the parent of an object or unmapped name."""
        return self.chain[-1]

    @property
    def row(self) -> ObjectRow:
        """The object's row. Only for members."""
        assert self.object is not None, self.href
        return self.object

    @property
    def property_owner(self) -> Owner | None:
        """Whose stored properties are this resource's; ``None`` where none are stored (root, containers)."""
        if self.principal is not None:
            return Owner("principal", self.principal.id)
        if self.object is not None:
            return Owner("object", self.object.id)
        if self.chain and self.kind in kinds.STORED_COLLECTIONS:
            return Owner("collection", self.chain[-1].id)
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The segments below the home."""
        return self.location.names


def resolve(
    tx: Transaction, router: Router, location: Location, *, columns: frozenset[str] = OBJECT_COLUMNS
) -> Resource:
    """The resource at ``location``; a name that maps to nothing in an existing collection is of kind ``UNMAPPED``.

    Raises 404 where there is no such principal or home, or where the parent does not exist.
    """
    href = router.href(location)
    match location.space:
        case Space.ROOT | Space.WELL_KNOWN:
            return Resource(kinds.ROOT, location, href)
        case Space.PRINCIPALS:
            return Resource(kinds.PRINCIPALS, location, href)
        case Space.HOMES:
            return Resource(kinds.HOMES, location, href)
        case Space.PRINCIPAL:
            principal = tx.principals.by_name(location.owner)
            if principal is None:
                raise not_found()
            return Resource(kinds.PRINCIPAL, location, href, principal=principal)
        case Space.HOME:
            return _below_home(tx, router, location, columns)
        case Space.NOWHERE | Space.PUBLIC:
            raise not_found()


def of_principal(router: Router, principal: Principal) -> Resource:
    """The resource of a principal."""
    location = Location(Space.PRINCIPAL, principal.name)
    return Resource(kinds.PRINCIPAL, location, router.principal(principal.name), principal=principal)


def _below_home(tx: Transaction, router: Router, location: Location, columns: frozenset[str]) -> Resource:
    found = tx.collections.find(location.owner, location.names, columns=columns)
    if found is None:
        raise not_found()
    if found.object is not None:
        return of_object(router, location.owner, found.home, found.chain, found.object)
    if found.missing:
        href = router.below_home(location.owner, location.names, collection=location.slash)
        return Resource(kinds.UNMAPPED, location, href, home=found.home, chain=found.chain)
    return of_collection(router, location.owner, found.home, found.chain)


def parent_exists(resource: Resource) -> bool:
    """Whether an unmapped name lies directly in an existing collection."""
    return len(resource.location.names) == len(resource.collection.path) + 1


def of_collection(router: Router, owner: str, home: Home | None, chain: Sequence[Collection]) -> Resource:
    """The resource of a stored collection."""
    collection = chain[-1]
    location = Location(Space.HOME, owner, collection.path)
    return Resource(
        kinds.OF_COLLECTION[collection.kind],
        location,
        router.below_home(owner, collection.path, collection=True),
        home=home,
        chain=tuple(chain),
    )


def of_object(router: Router, owner: str, home: Home | None, chain: Sequence[Collection], row: ObjectRow) -> Resource:
    """The resource of a member."""
    names = (*chain[-1].path, row.name)
    location = Location(Space.HOME, owner, names, slash=False)
    kind = kinds.OF_MEMBER.get(chain[-1].kind, kinds.FILE)
    href = router.below_home(owner, names, collection=False)
    return Resource(kind, location, href, home=home, chain=tuple(chain), object=row)
