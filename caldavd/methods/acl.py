"""ACL (RFC 3744 section 8): replaces the ACEs of a collection that are neither protected nor inherited.

Calendars, other collections and homes have ACEs of their own. Objects have those of their collection; principals and
what belongs to the server have fixed ones: the method is 405 there.
"""

from __future__ import annotations

from caldavd.access import WRITE_ACL
from caldavd.aces import MAX_ACES, Rules, check, read_acl, settle
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import LIMITED_NUMBER_OF_ACES, failed
from caldavd.locking import check_locks
from caldavd.privileges import on
from caldavd.properties.principals import principals_at
from caldavd.resources import Resource
from caldavd.response import Response, empty


def run(context: Context, resource: Resource) -> Response:
    """200 without a body (section 8.1.2). Sync-tokens of others than the owner end where something changes."""
    context.access.require(resource, WRITE_ACL)
    check_preconditions(context, resource)
    check_locks(context, resource)
    sent = read_acl(context.request.required_xml())
    if len(sent) > 10 * MAX_ACES:  # inherited ones that are sent back are not counted, but not looked up without end
        raise failed(LIMITED_NUMBER_OF_ACES, message=f"An ACL has at most {MAX_ACES} entries.")
    named = principals_at(context, [one.href for one in sent if one.href], base=resource.href)
    existing = context.access.acl(resource)
    aces = settle(sent, named, existing)
    protected = [entry.ace for entry in existing if entry.ace.protected and entry.inherited is None]
    assert resource.home is not None
    check(aces, Rules(protected=protected, owner_id=resource.home.principal_id, supported=on(resource.kind)))
    if aces != [entry.ace for entry in existing if not entry.ace.protected and entry.inherited is None]:
        context.tx.acls.set(resource.collection, aces)
        context.access.forget()
    return empty(200, {"Content-Length": "0"})
