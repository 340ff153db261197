"""OPTIONS (RFC 9110 section 9.3.7, RFC 4918 section 10.1): status 200 and the same ``DAV:`` header everywhere."""

from __future__ import annotations

from caldavd import kinds
from caldavd.context import Context
from caldavd.errors import not_found
from caldavd.resources import Resource
from caldavd.response import Response


def run(context: Context, resource: Resource) -> Response:
    """``Allow`` names all methods: clients ask a collection what they may do with members (clients.md section 13)."""
    context.access.require_view(resource)
    if resource.kind is kinds.UNMAPPED:
        raise not_found()
    return Response(200, {"Allow": ", ".join(kinds.ALL_METHODS), "Content-Length": "0"})
