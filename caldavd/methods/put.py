"""PUT (RFC 9110 section 9.3.4, RFC 4918 section 9.7, RFC 4791 section 5.3.2)."""

from __future__ import annotations

from caldavd.access import BIND, WRITE_CONTENT
from caldavd.bodies import content_of, put
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import DavError, bad_request
from caldavd.language import keep_language
from caldavd.locking import check_locks
from caldavd.methods.delete import parent_of
from caldavd.resources import Resource, parent_exists
from caldavd.response import Response, quoted
from caldavd.router import RESERVED_HOME
from caldavd.scheduled import before_put
from storage.rows import ObjectRow


def run(context: Context, resource: Resource) -> Response:
    """Creates or replaces a calendar object or a plain file."""
    parent = parent_of(resource)
    if resource.object is None:
        context.access.require(parent, BIND)
        check_new_name(resource)
    else:
        context.access.require(resource, WRITE_CONTENT)
    check_preconditions(context, resource)
    check_locks(context, resource)
    if context.request.header("Content-Range") is not None:
        # RFC 9110 section 14.5: a part must not be taken for the whole.
        raise bad_request("PUT takes a whole representation: send it without Content-Range.")
    content = content_of(context, parent, context.request.body, context.request.header("Content-Type") or "")
    content = before_put(context, parent, resource.object, content)
    row = put(context, parent, resource.names[-1], content.new, replaces=resource.object)
    keep_language(context, row)
    return written(context, resource, row, content.as_sent)


def check_new_name(resource: Resource) -> None:
    """Raises 409 where the parent does not exist, 403 for names that are not free for the asking."""
    if not parent_exists(resource):
        raise DavError(409, "The collection that this would be put into does not exist.")
    if len(resource.names) == 1 and resource.names[0] in RESERVED_HOME:
        raise DavError(403, f"The name {resource.names[0]!r} is reserved in a home.")
    if resource.collection.kind not in ("home", "plain", "calendar"):
        raise DavError(403, "A subscribed calendar holds nothing of its own.")


def written(context: Context, resource: Resource, row: ObjectRow, as_sent: bool) -> Response:  # noqa: FBT001
    """201 or 204; an ETag only where GET returns the bytes that were sent (clients.md rule 20)."""
    created = resource.object is None
    headers = {"ETag": quoted(row.etag)} if as_sent else {}
    if row.schedule_tag:
        headers["Schedule-Tag"] = quoted(row.schedule_tag)
    preferences = context.request.preferences
    if preferences.representation and resource.names:
        stored = context.tx.objects.get(row.collection_id, row.name, columns=frozenset({"body", "etag"}))
        assert stored is not None
        headers |= {"ETag": quoted(row.etag), "Content-Location": resource.href} | preferences.applied(
            "return=representation"
        )
        kind = "text/calendar; charset=utf-8" if row.uid else row.content_type
        return Response(201 if created else 200, headers | {"Content-Type": kind}, stored.body)
    return Response(201 if created else 204, headers | preferences.applied("return=minimal"))
