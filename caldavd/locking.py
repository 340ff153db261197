"""What a write may do where there are locks, and the ``If`` header (RFC 4918 sections 7 and 10.4).

Which locks cover a path is computed in :mod:`caldavd.locks`, the grammar of ``If`` is in :mod:`caldavd.if_header`;
taking, refreshing and removing locks is in :mod:`caldavd.methods.lock` and :mod:`caldavd.methods.unlock`.
"""

from __future__ import annotations

from collections.abc import Sequence

from caldavd import if_header, kinds
from caldavd.context import Context
from caldavd.errors import LOCK_TOKEN_SUBMITTED, DavError, bad_request, failed
from caldavd.if_header import IfHeader, MalformedIf, State
from caldavd.locks import covering, rooted_below
from caldavd.resources import Resource, resolve
from caldavd.router import BadPath, OtherServer
from caldavd.sync_tokens import SYNCED, current_token
from caldavd.xml.fragment import href
from storage.rows import Lock


def locks_on(context: Context, resource: Resource) -> Sequence[Lock]:
    """The locks of the resource's home; none where it lies in no home."""
    return context.locks.of_home(resource.home.id) if resource.home is not None else ()


def check_locks(context: Context, resource: Resource, *, removes: bool = False) -> None:
    """Raises 412 where the ``If`` header does not hold, 423 where the write meets a lock whose token was not submitted.

    ``removes``: the URL will not map to the resource any more, with all below it (DELETE, MOVE).
    """
    check_if(context, resource)
    require_tokens(context, resource, removes=removes)


def if_of(context: Context) -> IfHeader | None:
    """The request's ``If`` header. Raises 400 where it is malformed."""
    value = context.request.header("If")
    if value is None:
        return None
    try:
        return if_header.parse(value)
    except MalformedIf as error:
        raise bad_request(str(error)) from error


def check_if(context: Context, resource: Resource) -> None:
    """Raises 412 where the ``If`` header does not hold (section 10.4.3)."""
    header = if_of(context)
    if header is not None and not if_holds(context, resource, header):
        raise DavError(412, "The If header does not hold: another ETag, or not the lock that it names.")


def if_holds(context: Context, resource: Resource, header: IfHeader) -> bool:
    """Whether the header holds, ``resource`` being what the Request-URI identifies."""
    return header.holds(lambda tag: _state(context, resource if tag is None else _tagged(context, tag)))


def _tagged(context: Context, tag: str) -> Resource | None:
    try:
        location = context.router.locate_href(tag, base=context.request.path, authorities=context.request.authorities)
        return resolve(context.tx, context.router, location)
    except (BadPath, OtherServer):
        return None
    except DavError as error:
        if error.status != 404:
            raise
        return None


def _state(context: Context, resource: Resource | None) -> State:
    """The state to compare with; what is unmapped, or not for the user's eyes, has none (section 10.4.4).

    State tokens are those of locks and, on a collection, its sync token (RFC 6578 section 5).
    """
    if resource is None or not context.access.visible(resource):
        return State(None, frozenset())
    tokens = {lock.token for lock in covering(locks_on(context, resource), resource.names)}
    if resource.kind in SYNCED:
        tokens.add(current_token(context, resource))
    return State(resource.object.etag if resource.object is not None else None, frozenset(tokens))


def require_tokens(context: Context, resource: Resource, *, removes: bool = False) -> None:
    """Raises 423 ``lock-token-submitted`` with the roots of the locks that stand in the way (sections 7.4, 7.5)."""
    locks = locks_on(context, resource)
    if not locks:
        return
    paths = [resource.names]
    if resource.names and (removes or resource.kind is kinds.UNMAPPED):
        paths.append(resource.names[:-1])
    if removes:
        paths += dict.fromkeys(lock.path for lock in rooted_below(locks, resource.names))
    header = if_of(context)
    submitted = header.submitted if header is not None else frozenset[str]()
    missing = {lock.path: lock for path in paths for lock in _unsubmitted(context, covering(locks, path), submitted)}
    if missing:
        hrefs = "".join(href(root_href(context, resource, lock)) for lock in missing.values())
        message = "This is locked: only who took the lock may write, with its token in an If header."
        raise failed(LOCK_TOKEN_SUBMITTED, hrefs, message=message)


def _unsubmitted(context: Context, found: Sequence[Lock], submitted: frozenset[str]) -> Sequence[Lock]:
    """The locks, unless one of them is the user's own and submitted.

    One is enough: several locks on one resource are shared ones, and who holds one of those may write (section 6.2).
    """
    if any(lock.token in submitted and lock.principal_id == context.user.id for lock in found):
        return []
    return found


def root_href(context: Context, resource: Resource, lock: Lock) -> str:
    """The URL of a lock's root (``D:lockroot``, section 14.12), in the home that ``resource`` lies in."""
    if lock.path == resource.names:
        is_collection = resource.kind.is_collection
    elif any(collection.path == lock.path for collection in resource.chain):
        is_collection = True
    else:
        found = context.tx.collections.find(resource.owner, lock.path)
        is_collection = found is not None and found.object is None
    return context.router.below_home(resource.owner, lock.path, collection=is_collection)
