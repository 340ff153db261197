"""LOCK (RFC 4918 section 9.10): takes a write lock, or refreshes one.

What the RFC leaves open is decided like this:

* A lock that conflicts with one further down is 423 with ``no-conflicting-lock`` (section 7.4 demands it of exactly
  this case), not the 207 of section 9.10.3; 207 names the collections below that the user may not write to.
* A name that maps to nothing becomes an empty plain file, 201 (section 9.10.4). In a calendar that cannot be: an empty
  calendar object is no valid calendar data (RFC 4791 section 5.3.2.1), so the answer is 403 ``valid-calendar-data``.
  ``PUT`` with ``If-None-Match: *`` creates an object without overwriting, and it can be locked then.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from caldavd import bodies, kinds
from caldavd.access import BIND, WRITE_CONTENT
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import (
    LOCK_TOKEN_MATCHES_REQUEST_URI,
    NO_CONFLICTING_LOCK,
    VALID_CALENDAR_DATA,
    DavError,
    bad_request,
    failed,
)
from caldavd.locking import check_if, if_holds, if_of, locks_on, require_tokens, root_href
from caldavd.locks import covering, rooted_below
from caldavd.methods.delete import parent_of
from caldavd.methods.put import check_new_name
from caldavd.properties.locks import active_locks
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, of_object
from caldavd.response import Response, xml
from caldavd.xml.fragment import document, element, href
from caldavd.xml.multistatus import multistatus, status_response
from caldavd.xml.names import dav
from caldavd.xml.parse import child, children, serialize, tag_of
from storage.rows import Lock

#: Seconds that a lock lasts where the client asks for no time (section 6.6 leaves it to the server).
DEFAULT_SECONDS: Final = 3600
#: Bytes of ``D:owner``, which is shown again for every resource below the lock.
MAX_OWNER: Final = 16_384
#: Locks of one home; each write there looks at all of them.
MAX_LOCKS: Final = 1000

_SCOPES: Final = {dav("exclusive"): True, dav("shared"): False}


@dataclass(frozen=True, slots=True)
class LockInfo:
    """What a ``D:lockinfo`` asks for (section 14.11)."""

    exclusive: bool
    owner_xml: bytes


def run(context: Context, resource: Resource) -> Response:
    """A new lock where there is a body, else the refreshed one."""
    if resource.kind is kinds.UNMAPPED:
        context.access.require(parent_of(resource), BIND)
    else:
        context.access.require(resource, WRITE_CONTENT)
    info = _lockinfo(context)
    return _refresh(context, resource) if info is None else _create(context, resource, info)


def _lockinfo(context: Context) -> LockInfo | None:
    root = context.request.xml()
    if root is None:
        return None
    if root.tag != dav("lockinfo"):
        raise bad_request("The body of a LOCK has to be a D:lockinfo element.")
    scope, kind = child(root, dav("lockscope")), child(root, dav("locktype"))
    scopes = [tag_of(found) for found in children(scope)] if scope is not None else []
    types = [tag_of(found) for found in children(kind)] if kind is not None else []
    if len(scopes) != 1 or len(types) != 1:
        raise bad_request("D:lockinfo has to hold one D:lockscope and one D:locktype.")
    if scopes[0] not in _SCOPES or types[0] != dav("write"):
        raise DavError(422, "Locks here are write locks, exclusive or shared.")
    owner = child(root, dav("owner"))
    owner_xml = serialize(owner) if owner is not None else b""
    if len(owner_xml) > MAX_OWNER:
        raise DavError(413, f"D:owner is larger than {MAX_OWNER} bytes.")
    return LockInfo(_SCOPES[scopes[0]], owner_xml)


def _seconds(context: Context) -> int:
    """How long the lock will last (section 10.7): what was asked for, up to the server's limit."""
    asked = context.request.lock_timeout
    return max(1, min(DEFAULT_SECONDS if asked is None else asked, context.limits.max_lock_seconds))


def _refresh(context: Context, resource: Resource) -> Response:
    """Section 9.10.2: Depth is ignored, other locks do not matter, no ``Lock-Token`` in the answer."""
    header = if_of(context)
    if header is None:
        raise bad_request("A LOCK without a body refreshes a lock, and names it by its token in an If header.")
    found = [lock for lock in covering(locks_on(context, resource), resource.names) if lock.token in header.submitted]
    if not found or not if_holds(context, resource, header):
        message = "There is no lock with this token on this resource (any more)."
        raise failed(LOCK_TOKEN_MATCHES_REQUEST_URI, message=message, status=412)
    if len(found) > 1:
        raise bad_request("Only one lock can be refreshed at a time.")
    if found[0].principal_id != context.user.id:
        raise DavError(403, "Only who took the lock can refresh it.")
    context.tx.locks.refresh(found[0].token, expires=context.tx.now + _seconds(context))
    context.locks.forget()
    return _answer(context, resource, 200)


def _create(context: Context, resource: Resource, info: LockInfo) -> Response:
    depth = context.request.depth(default=INFINITY)
    if depth not in (0, INFINITY):
        raise bad_request('The Depth of a LOCK is "0" or "infinity".')
    if resource.kind is kinds.UNMAPPED:
        check_new_name(resource)
    check_preconditions(context, resource)
    check_if(context, resource)
    infinite = depth == INFINITY
    _refuse_conflicts(context, resource, exclusive=info.exclusive, infinite=infinite)
    refused = _not_writable_below(context, resource) if infinite else []
    if refused:
        return _forbidden_below(context, resource, refused)
    status = 200
    if resource.kind is kinds.UNMAPPED:
        require_tokens(context, resource)
        resource, status = _empty_file(context, resource), 201
    assert resource.home is not None
    lock = Lock(
        token=uuid.uuid4().urn,
        home_id=resource.home.id,
        path=resource.names,
        principal_id=context.user.id,
        exclusive=info.exclusive,
        infinite=infinite,
        owner_xml=info.owner_xml,
        expires=context.tx.now + _seconds(context),
    )
    context.tx.locks.add(lock)
    context.locks.forget()
    return _answer(context, resource, status, {"Lock-Token": f"<{lock.token}>"})


def _refuse_conflicts(context: Context, resource: Resource, *, exclusive: bool, infinite: bool) -> None:
    """Raises 423 by the table of section 9.10.5."""
    locks = locks_on(context, resource)
    if len(locks) >= MAX_LOCKS:
        raise DavError(507, f"There are {len(locks)} locks in this home already, which is as many as there may be.")
    met = covering(locks, resource.names)
    if infinite:
        met += rooted_below(locks, resource.names)
    conflicting = {lock.path: lock for lock in met if exclusive or lock.exclusive}
    if conflicting:
        hrefs = "".join(href(root_href(context, resource, lock)) for lock in conflicting.values())
        raise failed(NO_CONFLICTING_LOCK, hrefs, message="There is a lock already that does not go with this one.")


def _not_writable_below(context: Context, resource: Resource) -> list[Resource]:
    """The collections below that the user may not write to: nothing is locked then (section 9.10.3)."""
    if resource.kind not in (kinds.HOME, kinds.PLAIN):
        return []
    return [found for found in collections_below(context, resource) if not context.access.has(found, WRITE_CONTENT)]


def collections_below(context: Context, resource: Resource) -> list[Resource]:
    """All collections strictly below a collection, from the top downward, with the ACEs of all of them read."""
    path = resource.names
    every = {found.path: found for found in context.tx.collections.of_home(resource.collection.home_id)}
    inner = [found for found in every.values() if len(found.path) > len(path) and found.path[: len(path)] == path]
    context.access.preload([*resource.chain, *inner])
    return [
        of_collection(
            context.router,
            resource.owner,
            resource.home,
            [every[found.path[:depth]] for depth in range(len(found.path) + 1)],
        )
        for found in inner
        if found.kind in kinds.OF_COLLECTION
    ]


def _forbidden_below(context: Context, resource: Resource, refused: list[Resource]) -> Response:
    """207 that names those of ``refused`` that the user may know of."""
    named = [found.href for found in refused if context.access.visible(found)]
    responses = [status_response(path, 403) for path in named]
    return xml(207, multistatus([*responses, status_response(resource.href, 424 if named else 403)]))


def _empty_file(context: Context, resource: Resource) -> Resource:
    """The empty resource that a lock on an unmapped URL creates (section 7.3)."""
    parent = parent_of(resource)
    if parent.kind is kinds.CALENDAR:
        message = (
            "An empty calendar object cannot exist. "
            "Create it by PUT with If-None-Match: * (which overwrites nothing), then lock it."
        )
        raise failed(VALID_CALENDAR_DATA, message=message)
    content = bodies.content_of(context, parent, b"", "")
    row = bodies.put(context, parent, resource.names[-1], content.new, replaces=None)
    return of_object(context.router, resource.owner, resource.home, resource.chain, row)


def _answer(context: Context, resource: Resource, status: int, headers: dict[str, str] | None = None) -> Response:
    """``D:prop`` with ``lockdiscovery`` (section 9.10.1)."""
    return xml(status, document(dav("prop"), element(dav("lockdiscovery"), active_locks(context, resource))), headers)
