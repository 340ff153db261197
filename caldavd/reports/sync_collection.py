"""sync-collection (RFC 6578) on calendars, plain collections and the home.

Depth 0, 1 and none are taken alike and a missing sync-level is read from Depth: Thunderbird and Apple send Depth 1, old
Apple builds no level (clients.md rule 11; recorded in conformance/rfc/6578.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from caldavd import kinds
from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, SYNC_TRAVERSAL_SUPPORTED, bad_request, failed
from caldavd.kinds import CALENDAR, INBOX
from caldavd.methods.propfind import asked_names
from caldavd.properties.listing import listing
from caldavd.properties.registry import responses
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, of_object
from caldavd.response import Response, xml
from caldavd.sync_tokens import SyncToken, read_token, revision_of, write_token
from caldavd.xml.fragment import element, text
from caldavd.xml.multistatus import multistatus, status_response
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, child, text_of
from storage.rows import OBJECT_COLUMNS, Collection, Delta, Walk


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer tells: resources that changed, hrefs that are gone, and where it ends.

    ``told`` are the responses about what changed, where they were made without resources.
    """

    changed: Iterable[Resource]
    removed: list[str]
    token: SyncToken
    truncated: bool
    told: Iterable[str] = ()


def run(context: Context, resource: Resource, root: Element) -> Response:
    """A multistatus of what changed since the token, and the token to go on from."""
    context.access.require(resource, READ)
    level = _level(context, root)
    if level == INFINITY and resource.kind is kinds.SUBSCRIBED:
        raise failed(SYNC_TRAVERSAL_SUPPORTED)
    sent = child(root, dav("sync-token"))
    if sent is None:
        raise bad_request("A sync-collection report needs a D:sync-token element (empty at first).")
    given = text_of(sent)
    prop = child(root, dav("prop"))
    asked = asked_names(prop) if prop is not None else ()
    start = read_token(context, resource, given) if given else SyncToken(revision_of(resource), 0)
    limit = _limit(root)
    page = _page(context, resource, start, limit, level, asked)
    body = multistatus(_answer(context, resource, page, asked), tail=_tail(context, resource, page))
    return xml(207, body, context.request.preferences.applied("return=minimal") | {"Vary": "Brief, Prefer"})


def _level(context: Context, root: Element) -> int:
    """``sync-level``; where it is missing (early drafts) the Depth header counts."""
    value = text_of(child(root, dav("sync-level"))).lower()
    if not value:
        return INFINITY if context.request.depth(default=1) == INFINITY else 1
    if value not in ("1", "infinite", "infinity"):
        raise bad_request('D:sync-level has to be "1" or "infinite".')
    return 1 if value == "1" else INFINITY


def _limit(root: Element) -> int | None:
    """``D:limit`` / ``D:nresults`` (RFC 5323 section 5.17): at least 1, so that a walk always gets on."""
    limit = child(root, dav("limit"))
    if limit is None:
        return None
    value = text_of(child(limit, dav("nresults")))
    if not value.isascii() or not value.isdigit() or int(value[:9]) == 0:
        raise bad_request("D:nresults has to be a positive number.")
    return int(value[:9])


def _page(
    context: Context, resource: Resource, start: SyncToken, limit: int | None, level: int, asked: tuple[str, ...]
) -> Page:
    if resource.kind in (CALENDAR, INBOX):
        how = listing(kinds.OF_MEMBER[resource.collection.kind], asked)
        columns = OBJECT_COLUMNS if how is None else how.columns
        delta = _changes(context, resource, start, limit, columns)
        gone = [
            context.router.below_home(resource.owner, (*resource.names, name), collection=False)
            for name in delta.removed
        ]
        truncated = isinstance(delta, Delta) and delta.truncated
        reached = _reached(start, delta.reached, truncated)
        if how is not None:
            return Page((), gone, reached, truncated, how.responses(resource.href, delta.changed))
        changed = (
            of_object(context.router, resource.owner, resource.home, resource.chain, row) for row in delta.changed
        )
        return Page(changed, gone, reached, truncated)
    return _page_below(context, resource, start, limit, level)


def _changes(
    context: Context, resource: Resource, start: SyncToken, limit: int | None, columns: frozenset[str]
) -> Delta | Walk:
    changes, id_ = context.tx.changes, resource.collection.id
    if limit is None:
        return changes.walk(id_, base=start.base, cursor=start.cursor, columns=columns)
    return changes.since(id_, base=start.base, cursor=start.cursor, limit=limit, columns=columns)


def _reached(start: SyncToken, reached: int, truncated: bool) -> SyncToken:  # noqa: FBT001
    """The token after a page: the base moves on only when the walk is at its end."""
    return SyncToken(start.base, reached) if truncated else SyncToken(reached, reached)


def _page_below(context: Context, resource: Resource, start: SyncToken, limit: int | None, level: int) -> Page:
    delta = context.tx.changes.since_below(
        resource.collection,
        base=start.base,
        cursor=start.cursor,
        limit=limit,
        infinite=level == INFINITY,
        columns=OBJECT_COLUMNS,
    )
    by_path = {found.path: found for found in resource.chain}
    if delta.collections or delta.objects or delta.removed or delta.removed_collections:
        by_path |= {found.path: found for found in context.tx.collections.of_home(resource.collection.home_id)}
    context.access.preload(by_path.values())
    changed: list[Resource] = []
    for collection in delta.collections:
        if collection.kind in kinds.OF_COLLECTION:
            chain = _chain(by_path, collection.path)
            changed.append(of_collection(context.router, resource.owner, resource.home, chain))
    for path, row in delta.objects:
        changed.append(of_object(context.router, resource.owner, resource.home, _chain(by_path, path), row))
    changed = [one for one in changed if context.access.has(one, READ)]
    gone = [
        context.router.below_home(resource.owner, path, collection=collection)
        for paths, collection in ((delta.removed, False), (delta.removed_collections, True))
        for path in paths
        if _may_know(context, resource, by_path, path)
    ]
    return Page(changed, gone, _reached(start, delta.reached, delta.truncated), delta.truncated)


def _may_know(
    context: Context, resource: Resource, by_path: dict[tuple[str, ...], Collection], path: tuple[str, ...]
) -> bool:
    """Whether the asker may read the collection that something was removed from."""
    if path[:-1] not in by_path:
        return True
    chain = _chain(by_path, path[:-1])
    return context.access.has(of_collection(context.router, resource.owner, resource.home, chain), READ)


def _chain(by_path: dict[tuple[str, ...], Collection], path: tuple[str, ...]) -> tuple[Collection, ...]:
    return tuple(by_path[path[:length]] for length in range(len(path) + 1))


def _answer(context: Context, resource: Resource, page: Page, asked: tuple[str, ...]) -> Iterator[str]:
    # What is gone comes first: where a collection took the place of a file (or the reverse), a client to which "c" and
    # "c/" are one name would else remove what has just come.
    for path in page.removed:
        yield status_response(path, 404)
    yield from page.told
    yield from responses(context, page.changed, asked, minimal=context.request.preferences.minimal)
    if page.truncated:
        # RFC 6578 section 3.6: 507 on the request-URI itself tells that there is more.
        yield status_response(resource.href, 507, error=element(NUMBER_OF_MATCHES_WITHIN_LIMITS.name))


def _tail(context: Context, resource: Resource, page: Page) -> str:
    return element(dav("sync-token"), text(write_token(context, resource, page.token)))
