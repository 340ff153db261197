"""DELETE (RFC 4918 section 9.6): 204, also for whole collections (207 is a failure to DAVx5, clients.md rule 25)."""

from __future__ import annotations

from caldavd import kinds
from caldavd.access import UNBIND
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.default_calendar import check_not_default
from caldavd.errors import DavError, bad_request
from caldavd.locking import check_locks
from caldavd.request import INFINITY
from caldavd.resources import Resource
from caldavd.response import Response, empty
from caldavd.scheduled import before_delete
from caldavd.scheduled_collections import before_delete_all


def run(context: Context, resource: Resource) -> Response:
    """Removes an object, or a collection with all that is in it."""
    parent = parent_of(resource)
    context.access.require(parent, UNBIND)
    if resource.kind not in kinds.MEMBERS and context.request.depth(default=INFINITY) != INFINITY:
        raise bad_request('DELETE of a collection is always done with Depth "infinity".')
    check_preconditions(context, resource)
    check_locks(context, resource, removes=True)
    if resource.object is not None:
        before_delete(context, resource)
        context.tx.objects.remove(resource.collection, resource.object)
    else:
        check_not_default(context, resource)
        before_delete_all(context, resource)
        context.tx.collections.remove(resource.collection)
    context.tx.locks.remove_below(resource.collection.home_id, resource.names)
    return empty(204)


def parent_of(resource: Resource) -> Resource:
    """The collection that the resource is a member of. Raises 403 for a home, which has no parent to remove it from."""
    if not resource.names:
        raise DavError(403, "A home is made and removed with its principal.")
    chain = resource.chain if resource.object is not None or resource.kind is kinds.UNMAPPED else resource.chain[:-1]
    location = type(resource.location)(resource.location.space, resource.owner, chain[-1].path)
    href = resource.href.rstrip("/").rpartition("/")[0] + "/"
    return Resource(kinds.OF_COLLECTION[chain[-1].kind], location, href, home=resource.home, chain=chain)
