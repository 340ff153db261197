"""POST to a collection: adds a member whose name the server makes (RFC 5995).

The collection's own URL is its ``DAV:add-member`` URI. What PUT demands of a new member is demanded here, with the same
answers.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from typing import Final
from urllib.parse import unquote_to_bytes

from caldavd import bodies, kinds
from caldavd.access import BIND
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import DavError
from caldavd.language import keep_language
from caldavd.locking import check_if, require_tokens
from caldavd.methods import outbox, proposal
from caldavd.methods.put import written
from caldavd.resources import Resource
from caldavd.response import Response
from caldavd.router import Location, Space
from caldavd.scheduled import before_put
from scheduling.delivery.scheduler import INBOX, OUTBOX

#: Characters of a ``Slug`` that are taken over into a name (RFC 5995 section 3.3, RFC 5023 section 9.7).
_NOT_IN_A_NAME: Final = re.compile(r"[^\w.@+-]+")
_MAX_SLUG: Final = 80
#: Bodies that ask a calendar for something else than to be stored: sharing and push, which are not there yet.
_REQUESTS: Final = frozenset({"application/xml", "text/xml"})
_BOXES: Final = frozenset({(INBOX,), (OUTBOX,)})


def only_reads(location: Location, body: bytes) -> bool:
    """Whether the request is a question: to an outbox or inbox, which clients store nothing in."""
    return location.space is Space.HOME and location.names in _BOXES and not proposal.is_proposal(body)


def run(context: Context, resource: Resource) -> Response:
    """201 with ``Location``; to an outbox, who is busy when."""
    if resource.kind is kinds.OUTBOX:
        asks = only_reads(resource.location, context.request.body)
        return outbox.run(context, resource) if asks else proposal.run(context, resource)
    if resource.kind is kinds.INBOX:
        return outbox.run_on_inbox(context, resource)
    if only_reads(resource.location, b""):
        raise DavError(403, "This name is reserved for a box, and what is here is none.")
    context.access.require(resource, BIND)
    if resource.kind is kinds.CALENDAR and context.request.media_type in _REQUESTS:
        raise DavError(415, "A calendar takes calendar objects by POST; XML requests are not known here.")
    check_preconditions(context, resource)
    check_if(context, resource)
    content = bodies.content_of(context, resource, context.request.body, context.request.header("Content-Type") or "")
    member = _unmapped(context, resource, _name(context, resource))
    require_tokens(context, member)
    content = before_put(context, resource, None, content)
    row = bodies.put(context, resource, member.names[-1], content.new, replaces=None)
    keep_language(context, row)
    answer = written(context, member, row, content.as_sent)
    answer.headers["Location"] = member.href
    return answer


def _name(context: Context, resource: Resource) -> str:
    """A free name: what the ``Slug`` header suggests where that is free, else a random one.

    Names are not made from the content: that could give it away (RFC 5995 section 7).
    """
    suffix = ".ics" if resource.kind is kinds.CALENDAR else ""
    slug = _slug(context.request.header("Slug") or "", suffix=suffix)
    if slug:
        found = context.tx.collections.find(resource.owner, (*resource.names, slug))
        if found is not None and found.missing:
            return slug
    return f"{uuid.uuid4()}{suffix}"


def _slug(value: str, *, suffix: str) -> str:
    """The name that a ``Slug`` (percent-encoded UTF-8) suggests; empty where nothing of it can be used."""
    try:
        text = unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeError:
        return ""
    name = _NOT_IN_A_NAME.sub("-", unicodedata.normalize("NFC", text)).strip("-.")[:_MAX_SLUG]
    return name if not name or name.lower().endswith(suffix) else name + suffix


def _unmapped(context: Context, resource: Resource, name: str) -> Resource:
    location = Location(Space.HOME, resource.owner, (*resource.names, name), slash=False)
    return Resource(kinds.UNMAPPED, location, context.router.href(location), home=resource.home, chain=resource.chain)
