"""principal-match (RFC 3744 section 9.3): members of a collection that are the asker, or name it in a property."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from caldavd import kinds
from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import bad_request
from caldavd.methods.propfind import all_principals, homes, objects_of
from caldavd.properties.registry import prepare, render
from caldavd.reports.principals import answer, limit_of, require_depth_zero
from caldavd.resources import Resource, of_collection, of_principal
from caldavd.response import Response
from caldavd.router import BadPath, OtherServer, Space
from caldavd.xml.hrefs import hrefs_in
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, child, children, tag_of
from storage.batches import batches

#: Members that are looked at before the search gives up, and says so.
MAX_LOOKED_AT: Final = 20_000
_BATCH: Final = 500


def run(context: Context, resource: Resource, root: Element) -> Response:
    """A multistatus of the members that match, at any depth."""
    context.access.require(resource, READ)
    require_depth_zero(context)
    itself, prop = child(root, dav("self")), child(root, dav("principal-property"))
    if (itself is None) == (prop is None):
        raise bad_request("A principal-match holds either D:self or D:principal-property.")
    limit = limit_of(context, root)
    if prop is None:
        found = list(_asker(context, resource))
        return answer(context, resource, root, found[:limit], limited=len(found) > limit)
    named = children(prop)
    if len(named) != 1:
        raise bad_request("D:principal-property names exactly one property.")
    found, limited = _with_property(context, resource, tag_of(named[0]), limit=limit)
    return answer(context, resource, root, found, limited=limited)


def _asker(context: Context, resource: Resource) -> Iterator[Resource]:
    """The principals among the members that the asker is, or is a member of; a principal is its own only member."""
    ids = context.access.identities
    if resource.principal is not None:
        if resource.principal.id in ids:
            yield resource
    elif resource.kind in (kinds.ROOT, kinds.PRINCIPALS):
        principals = sorted(context.directory.with_ids(ids).values(), key=lambda one: one.name)
        yield from (of_principal(context.router, one) for one in principals)


def _with_property(context: Context, resource: Resource, name: str, *, limit: int) -> tuple[list[Resource], bool]:
    mine = {one.name for one in context.directory.with_ids(context.access.identities).values()}
    found: list[Resource] = []
    looked_at = 0
    members = _members(context, resource)
    for batch in batches(members, _BATCH):
        found += (one for one, value in _values(context, batch, name) if _names_one_of(context, value, mine))
        looked_at += len(batch)
        if len(found) > limit:
            return found[:limit], True
        if looked_at >= MAX_LOOKED_AT:
            return found, next(members, None) is not None
    return found, False


def _values(context: Context, resources: list[Resource], name: str) -> Iterator[tuple[Resource, str]]:
    plans = prepare(context, resources, (name,))
    for one in resources:
        yield one, render(context, one, plans[one.kind]).found


def _names_one_of(context: Context, value: str, names: set[str]) -> bool:
    for sent in hrefs_in(value):
        try:
            location = context.router.locate_href(sent, authorities=context.request.authorities)
        except (BadPath, OtherServer):
            continue
        if location.space is Space.PRINCIPAL and location.owner in names:
            return True
    return False


def _members(context: Context, resource: Resource) -> Iterator[Resource]:
    """All members that the asker may read, at any depth; a resource without members counts itself."""
    if resource.kind is kinds.ROOT or resource.kind is kinds.PRINCIPALS:
        yield from (of_principal(context.router, one) for one in all_principals(context))
    if resource.kind is kinds.ROOT or resource.kind is kinds.HOMES:
        for home in homes(context):
            yield home
            yield from _below(context, home)
    elif resource.kind in kinds.STORED_COLLECTIONS:
        yield from _below(context, resource)
    elif resource.kind is not kinds.PRINCIPALS:
        yield resource


def _below(context: Context, top: Resource) -> Iterator[Resource]:
    by_path = {found.path: found for found in context.tx.collections.of_home(top.collection.home_id)}
    context.access.preload(by_path.values())
    if context.access.has(top, READ):
        yield from objects_of(context, top)
    for path in _inside(by_path, top.names):
        chain = tuple(by_path[path[:depth]] for depth in range(len(path) + 1))
        if chain[-1].kind not in kinds.OF_COLLECTION:
            continue
        found = of_collection(context.router, top.owner, top.home, chain)
        if context.access.has(found, READ):
            yield found
            yield from objects_of(context, found)


def _inside(paths: Iterable[tuple[str, ...]], top: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [path for path in paths if len(path) > len(top) and path[: len(top)] == top]
