"""acl-principal-prop-set (RFC 3744 section 9.2): properties of the principals that an access control list names."""

from __future__ import annotations

from caldavd.access import OWNER, READ, READ_ACL
from caldavd.context import Context
from caldavd.reports.principals import answer, limit_of, require_depth_zero
from caldavd.resources import Resource, of_principal
from caldavd.response import Response
from caldavd.xml.parse import Element


def run(context: Context, resource: Resource, root: Element) -> Response:
    """Each principal once, in the order of the ACEs: those named by an href, and the owner where ``property`` names it.

    Who may not read the ACL is not told whom it names, either.
    """
    context.access.require(resource, READ, READ_ACL)
    require_depth_zero(context)
    ids: dict[int, None] = {}
    for entry in context.access.acl(resource):
        if entry.ace.who == "principal" and entry.ace.principal_id is not None:
            ids[entry.ace.principal_id] = None
        elif entry.ace.property == OWNER and (owner := _owner(resource)) is not None:
            ids[owner] = None
    limit = limit_of(context, root)
    principals = context.directory.with_ids(list(ids)[:limit])
    found = [of_principal(context.router, one) for one in principals.values()]
    return answer(context, resource, root, found, limited=len(ids) > limit)


def _owner(resource: Resource) -> int | None:
    if resource.principal is not None:
        return resource.principal.id
    return resource.home.principal_id if resource.home is not None else None
