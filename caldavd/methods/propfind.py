"""PROPFIND (RFC 4918 section 9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

from caldavd import kinds
from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import PROPFIND_FINITE_DEPTH, bad_request, failed
from caldavd.kinds import CALENDAR, HOME, HOMES, INBOX, PLAIN, PRINCIPALS, ROOT
from caldavd.properties.listing import listing
from caldavd.properties.registry import REGISTRY, load_stored, names_response, plan, render, responses
from caldavd.request import INFINITY, Request, read_xml
from caldavd.resources import Resource, of_collection, of_object, of_principal, resolve
from caldavd.response import Response, xml
from caldavd.router import Location, Space
from caldavd.xml.multistatus import multistatus, prop_response
from caldavd.xml.names import clark, dav
from caldavd.xml.parse import Element, child, children, tag_of
from storage.batches import batches
from storage.members import every_member
from storage.rows import OBJECT_COLUMNS, Principal

_PAGE: Final = 1000


def run(context: Context, resource: Resource) -> Response:
    """A multistatus of the resource and, with Depth 1, its members."""
    context.access.require_view(resource)
    depth = context.request.depth(default=INFINITY)
    if depth == INFINITY and resource.kind.is_collection:
        message = 'PROPFIND with Depth "infinity" (or none) is not done on collections: use "0" or "1".'
        raise failed(PROPFIND_FINITE_DEPTH, message=message)
    preferences = context.request.preferences
    itself = () if preferences.depth_noroot and depth else (resource,)
    asked = asked_of(context.request)
    told = _told(context, resource, asked) if depth else None
    resources = chain(itself, members(context, resource)) if depth and told is None else itself
    body = multistatus(chain(_answer(context, resources, asked, minimal=preferences.minimal), told or ()))
    headers = preferences.applied("return=minimal", "depth-noroot") | {"Vary": "Brief, Prefer"}
    return xml(207, body, headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a ``D:propfind`` asks for (RFC 4918 section 14.20).

    ``form`` is the Clark name of ``D:prop``, ``D:allprop`` or ``D:propname``; ``names`` are those in ``D:prop``, or in
    the ``D:include`` beside ``D:allprop``.
    """

    form: str
    names: tuple[str, ...] = ()


PROP: Final = dav("prop")
_ALLPROP: Final = dav("allprop")
_FORMS: Final = frozenset({PROP, _ALLPROP, dav("propname")})
#: A client asks with the same few bytes each time, every few minutes: bodies up to this size are read once.
_OFTEN: Final = 4096


def asked_of(request: Request) -> Asked:
    """What the body of a PROPFIND asks for. Raises 400."""
    if len(request.body) <= _OFTEN:
        return _read_before(request.body)
    return _read(request.xml())


@lru_cache(maxsize=256)
def _read_before(body: bytes) -> Asked:
    return _read(read_xml(body))


def _read(root: Element | None) -> Asked:
    """Reads the body; without one, everything is asked for. Raises 400."""
    if root is None:
        return Asked(_ALLPROP)
    if root.tag != dav("propfind"):
        raise bad_request("The body of a PROPFIND has to be a D:propfind element.")
    forms = [found for found in children(root) if tag_of(found) in _FORMS]
    if len(forms) != 1:
        raise bad_request("D:propfind has to hold exactly one of D:prop, D:allprop and D:propname.")
    form = tag_of(forms[0])
    named = child(root, dav("include")) if form == _ALLPROP else forms[0]
    return Asked(form, asked_names(named) if named is not None else ())


def _told(context: Context, resource: Resource, asked: Asked) -> Iterator[str] | None:
    """The members of a calendar or inbox without a resource for each, where so little is asked of them."""
    if asked.form != PROP or resource.kind not in (CALENDAR, INBOX) or not context.access.has(resource, READ):
        return None
    how = listing(kinds.OF_MEMBER[resource.collection.kind], asked.names)
    if how is None:
        return None
    return how.responses(resource.href, context.tx.objects.each(resource.collection.id, columns=how.columns))


def _answer(context: Context, resources: Iterable[Resource], asked: Asked, *, minimal: bool) -> Iterable[str]:
    if asked.form == PROP:
        return responses(context, resources, asked.names, minimal=minimal)
    if asked.form == _ALLPROP:
        return all_properties(context, resources, include=asked.names)
    return property_names(context, resources)


def asked_names(prop: Element) -> tuple[str, ...]:
    """The names in ``D:prop`` or ``D:include``, each once, in their order."""
    return tuple(dict.fromkeys(tag_of(found) for found in children(prop)))


def all_properties(context: Context, resources: Iterable[Resource], *, include: tuple[str, ...] = ()) -> Iterator[str]:
    """A response each with all dead properties, the live ones that ``allprop`` covers, and what ``include`` adds."""
    for resource in _with_stored(context, resources):
        names = REGISTRY.names(resource.kind, only_allprop=True)
        dead = tuple(
            name for name in (clark(*key) for key in resource.stored) if REGISTRY.find(name, resource.kind) is None
        )
        asked = tuple(dict.fromkeys((*names, *dead, *include)))
        result = render(context, resource, plan(resource.kind, asked))
        missing = [name for name in result.missing if name in include]
        yield prop_response(resource.href, result.found, missing, forbidden=result.forbidden)


def property_names(context: Context, resources: Iterable[Resource]) -> Iterator[str]:
    """A response each with the names of all its properties (``propname``)."""
    for resource in _with_stored(context, resources):
        yield names_response(context, resource)


def _with_stored(context: Context, resources: Iterable[Resource]) -> Iterator[Resource]:
    for together in batches(resources):
        load_stored(context, together, None)
        yield from together


def members(context: Context, resource: Resource) -> Iterator[Resource]:
    """The members that the asker may know of, read as they are wanted."""
    router = context.router
    if resource.kind is ROOT:
        for place in (Location(Space.PRINCIPALS), Location(Space.HOMES)):
            yield resolve(context.tx, router, place)
    if resource.kind is PRINCIPALS:
        for principal in all_principals(context):
            yield of_principal(router, principal)
    if resource.kind is HOMES:
        yield from homes(context)
    if resource.kind in (HOME, PLAIN):
        below = context.tx.collections.children(resource.collection.id)
        context.access.preload([*resource.chain, *below])
        for one in below:
            if one.kind in kinds.OF_COLLECTION:
                found_one = of_collection(router, resource.owner, resource.home, (*resource.chain, one))
                if context.access.listed(found_one):
                    yield found_one
    if resource.kind in (HOME, PLAIN, CALENDAR, INBOX) and context.access.has(resource, READ):
        yield from objects_of(context, resource)


def all_principals(context: Context) -> Iterator[Principal]:
    """Everybody, in the order of their names, read a page at a time."""
    after = ""
    while page := context.tx.principals.all(after=after, limit=_PAGE):
        yield from page
        after = page[-1].name


def homes(context: Context) -> list[Resource]:
    """The asker's own home, and those in which something names the asker or one of its groups; to an administrator all.

    What is shared with everybody who is logged in is found in the home that it lies in, but makes nobody's list longer.
    """
    if context.user.admin:
        ids = {one.home_id for one in all_principals(context)}
    else:
        ids = {context.user.home_id, *context.access.shared_homes()}
    roots = context.tx.collections.roots(ids)
    context.access.preload(root for _, root in roots)
    return [of_collection(context.router, home.owner, home, (root,)) for home, root in roots]


def objects_of(context: Context, resource: Resource, *, columns: frozenset[str] = OBJECT_COLUMNS) -> Iterator[Resource]:
    """The objects of a collection, read a page at a time."""
    for row in every_member(context.tx, resource.collection.id, columns=columns, together=_PAGE):
        yield of_object(context.router, resource.owner, resource.home, resource.chain, row)
