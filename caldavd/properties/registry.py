"""The table of live properties, and how a set of asked names becomes rendered XML.

A family of properties is a module here that registers rows with :func:`live` and :func:`stored`. The answer to
``propname``, ``allprop``, 404 propstats and "is it protected?" comes out of this table. A name that is not in the table
is a dead property (RFC 4918 section 4.2): stored and returned as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from caldavd.context import Context
from caldavd.kinds import KINDS, Kind
from caldavd.resources import Resource
from caldavd.xml.fragment import element
from caldavd.xml.multistatus import prop_response
from caldavd.xml.names import dav, split, tag
from caldavd.xml.parse import Element
from storage.batches import batches
from storage.rows import Owner

#: Returns the fragment inside the property's element; ``None`` means that the resource does not have it (404).
Reader = Callable[[Context, Resource], str | None]
#: Checks a new value; raises ``DavError`` where it cannot be set. ``None`` as the element means removal.
Validator = Callable[[Context, Resource, Element | None], None]


#: Makes a new value what the resource has, once all of a PROPPATCH can be done; ``None`` removes it.
Writer = Callable[[Context, Resource, Element | None], None]
#: Reads at once what the reader will need for each resource of a listing.
Preload = Callable[[Context, Sequence[Resource]], None]


class PropertyForbidden(Exception):
    """The user may see the resource but not this property: a 403 propstat."""


@dataclass(frozen=True, slots=True)
class Property:
    """A row of the table.

    ``on``: the kinds that have it; ``read`` is ``None`` for a property that is only stored; ``validate`` is ``None``
    for a protected one; ``allprop``: whether ``D:allprop`` names it (RFC 4918 section 9.1); ``section``: where it is
    defined; ``write``: what PROPPATCH does with the sent element instead of storing it; ``instead_of``: another name
    for the same, which is no longer stored when this one is, and from which ``read`` computes this one.
    """

    name: str
    on: frozenset[Kind]
    read: Reader | None
    validate: Validator | None
    allprop: bool
    section: str
    write: Writer | None = None
    preload: Preload | None = None
    instead_of: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether its value is the element that PROPPATCH stored."""
        return self.validate is not None and self.write is None


@dataclass(slots=True)
class Registry:
    """All live properties by name (one name may have several rows, for different kinds)."""

    rows: dict[tuple[str, Kind], Property] = field(default_factory=dict)

    def add(self, row: Property) -> None:
        """Registers a row; two rows for the same name and kind are a mistake."""
        for kind in row.on:
            assert (row.name, kind) not in self.rows, (row.name, kind.name)
            self.rows[row.name, kind] = row

    def find(self, name: str, kind: Kind) -> Property | None:
        """The row of ``name`` on ``kind``."""
        return self.rows.get((name, kind))

    def names(self, kind: Kind, *, only_allprop: bool) -> tuple[str, ...]:
        """The names that a kind has, in the order of registration."""
        return tuple(name for (name, on), row in self.rows.items() if on is kind and (row.allprop or not only_allprop))


REGISTRY = Registry()
ANY: frozenset[Kind] = frozenset(KINDS)


def live(
    name: str, *, on: Iterable[Kind] = ANY, section: str, allprop: bool = False, preload: Preload | None = None
) -> Callable[[Reader], Reader]:
    """Registers a computed, protected property."""

    def register(read: Reader) -> Reader:
        REGISTRY.add(Property(name, frozenset(on), read, None, allprop, section, preload=preload))
        return read

    return register


def written(
    name: str,
    *,
    on: Iterable[Kind],
    section: str,
    validate: Validator,
    write: Writer,
    allprop: bool = False,
    preload: Preload | None = None,
) -> Callable[[Reader], Reader]:
    """Registers a computed property that PROPPATCH can change: ``write`` knows what the new value means."""

    def register(read: Reader) -> Reader:
        REGISTRY.add(Property(name, frozenset(on), read, validate, allprop, section, write=write, preload=preload))
        return read

    return register


def accept(context: Context, resource: Resource, value: Element | None) -> None:
    """The validator of what may hold anything."""


def stored(
    name: str,
    *,
    on: Iterable[Kind],
    section: str,
    validate: Validator = accept,
    default: Reader | None = None,
    allprop: bool = False,
    instead_of: str = "",
) -> None:
    """Registers a property whose value is what PROPPATCH stored; ``default`` computes it while nothing is stored."""
    REGISTRY.add(Property(name, frozenset(on), default, validate, allprop, section, instead_of=instead_of))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for each asked name on resources of one kind: computed once, used for every row of a listing."""

    steps: tuple[tuple[str, tuple[str, str], str, str, Property | None], ...]
    needs_stored: bool
    preloads: tuple[Preload, ...]


@lru_cache(maxsize=1024)
def plan(kind: Kind, asked: tuple[str, ...]) -> Plan:
    """The plan for ``asked`` (Clark names) on ``kind``."""
    steps = []
    preloads = []
    needs_stored = False
    for name in asked:
        row = REGISTRY.find(name, kind)
        needs_stored |= row is None or row.is_stored
        steps.append((name, split(name), *tag(name), row))
        if row is not None and row.preload is not None:
            preloads.append(row.preload)
    return Plan(tuple(steps), needs_stored, tuple(preloads))


#: What somebody sees of a collection who may only read something that lies in it
#: (:meth:`caldavd.access.Access.passes`); everything else is a 403 propstat there.
SEEN_IN_PASSING = frozenset(
    map(
        dav,
        (
            "resourcetype",
            "displayname",
            "owner",
            "current-user-principal",
            "current-user-privilege-set",
            "principal-collection-set",
            "supported-privilege-set",
            "supported-report-set",
        ),
    )
)


@dataclass(slots=True)
class Rendered:
    """The properties of one resource: fragments found, names missing and forbidden."""

    found: str
    missing: list[str]
    forbidden: list[str]


def render(context: Context, resource: Resource, plan: Plan) -> Rendered:
    """Carries out a plan for one resource."""
    found: list[str] = []
    missing: list[str] = []
    forbidden: list[str] = []
    values = resource.stored
    limited = context.access.limited(resource)
    for name, key, start, end, row in plan.steps:
        if limited and name not in SEEN_IN_PASSING:
            forbidden.append(name)
            continue
        if row is None or row.is_stored:
            kept = values.get(key)
            if kept is not None:
                found.append(kept.xml.decode())
                continue
            if row is None or row.read is None:
                missing.append(name)
                continue
        assert row.read is not None
        try:
            inner = row.read(context, resource)
        except PropertyForbidden:
            forbidden.append(name)
            continue
        if inner is None:
            missing.append(name)
        elif inner:
            found.append(f"<{start}>{inner}</{end}>")
        else:
            found.append(f"<{start}/>")
    return Rendered("".join(found), missing, forbidden)


def load_stored(context: Context, resources: Sequence[Resource], names: Iterable[tuple[str, str]] | None) -> None:
    """Reads the stored properties of many resources in one statement a batch. ``names``: only these."""
    owners: dict[Owner, Resource] = {}
    for resource in resources:
        owner = resource.property_owner
        if owner is not None:
            owners[owner] = resource
    if not owners:
        return
    wanted = None if names is None else set(names)
    found = context.tx.properties.of(list(owners), principal_id=context.user.id, names=wanted)
    for owner, values in found.items():
        mine: dict[tuple[str, str], object] = {}
        for value in sorted(values, key=lambda value: value.principal_id):  # one's own value wins over everyone's
            mine[value.namespace, value.name] = value
        owners[owner].stored = mine  # type: ignore[assignment]


def prepare(context: Context, resources: Sequence[Resource], asked: tuple[str, ...]) -> Mapping[Kind, Plan]:
    """The plan of each kind among the resources, with all read that its readers need: a few statements in all."""
    by_kind: dict[Kind, list[Resource]] = {}
    for resource in resources:
        by_kind.setdefault(resource.kind, []).append(resource)
    plans = {kind: plan(kind, asked) for kind in by_kind}
    stored_ones = [one for kind, several in by_kind.items() if plans[kind].needs_stored for one in several]
    if stored_ones:
        rows = [step[-1] for one in plans.values() for step in one.steps]
        related = {row.instead_of for row in rows if row is not None and row.instead_of}
        load_stored(context, stored_ones, [split(name) for name in (*asked, *related)])
    for kind, several in by_kind.items():
        for preload in plans[kind].preloads:
            preload(context, several)
    return plans


def responses(
    context: Context,
    resources: Iterable[Resource],
    asked: tuple[str, ...],
    *,
    minimal: bool,
    extra: Callable[[Resource], str] | None = None,
) -> Iterator[str]:
    """One ``D:response`` a resource, in order; ``extra`` renders what a report adds to the properties found."""
    for together in batches(resources):
        plans = prepare(context, together, asked)
        for resource in together:
            result = render(context, resource, plans[resource.kind])
            missing = () if minimal else result.missing
            found = result.found + extra(resource) if extra is not None else result.found
            yield prop_response(resource.href, found, missing, forbidden=result.forbidden)


def names_response(context: Context, resource: Resource) -> str:
    """The names that a resource has, without values (``propname``, RFC 4918 section 9.1)."""
    names = REGISTRY.names(resource.kind, only_allprop=False)
    if context.access.limited(resource):
        return prop_response(resource.href, "".join(element(name) for name in names if name in SEEN_IN_PASSING))
    rendered = plan(resource.kind, names)
    present = [
        name
        for name, _, _, _, row in rendered.steps
        if split(name) in resource.stored or _readable(context, resource, row)
    ]
    known = set(present)
    for namespace, local in resource.stored:
        name = f"{{{namespace}}}{local}" if namespace else local
        if name not in known:
            present.append(name)
    return prop_response(resource.href, "".join(element(name) for name in present))


def _readable(context: Context, resource: Resource, row: Property | None) -> bool:
    if row is None or row.read is None:
        return False
    try:
        return row.read(context, resource) is not None
    except PropertyForbidden:
        return True
