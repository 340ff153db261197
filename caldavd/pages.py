"""What a collection answers to GET: a calendar as one .ics (a subscription link), anything else as a short page."""

from __future__ import annotations

from html import escape
from typing import Final

from caldavd.conditional import not_modified
from caldavd.context import Context
from caldavd.methods.propfind import members
from caldavd.properties.registry import load_stored
from caldavd.resources import Resource
from caldavd.response import Response, quoted
from caldavd.spool import spooled
from caldavd.sync_tokens import ctag, revision_of
from caldavd.xml.names import DAV_NS
from caldavd.xml.parse import parse, text_of
from scheduling.ical.join import join
from scheduling.ical.split import Metadata
from storage.members import every_member

_PAGE: Final = 200
_BODY: Final = frozenset({"body"})


def whole_calendar(context: Context, resource: Resource) -> Response:
    """All objects of a calendar in one VCALENDAR, with an ETag from the calendar's revision."""
    etag = ctag(context.store.epoch, resource.collection, revision_of(resource))
    headers = {"ETag": quoted(etag)}
    if not_modified(context, etag):
        return Response(304, headers)
    load_stored(context, [resource], [(DAV_NS, "displayname")])
    rows = every_member(context.tx, resource.collection.id, columns=_BODY, together=_PAGE)
    body = spooled(join((row.body for row in rows), metadata=Metadata(name=displayname(resource))))
    return Response(200, headers | {"Content-Type": "text/calendar; charset=utf-8"}, body)


def displayname(resource: Resource) -> str:
    """The stored display name, or the last path segment. The stored properties have to be loaded."""
    kept = resource.stored.get((DAV_NS, "displayname"))
    name = text_of(parse(kept.xml)) if kept is not None else ""
    return name or (resource.names[-1] if resource.names else resource.owner)


_HTML: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem }}
code {{ background: #f2f2f2; padding: .1rem .3rem }}</style></head>
<body><h1>{title}</h1>
<p>This is a calendar server. To see your calendars in Thunderbird, Apple Calendar, DAVx5 or another CalDAV client, give
it this address and your user name: <code>{address}</code></p>
<ul>{items}</ul>
</body></html>
"""


def collection_page(context: Context, resource: Resource) -> Response:
    """A short page that a person can read: what is here, and what to type into a client."""
    below = list(members(context, resource))
    load_stored(context, below, [(DAV_NS, "displayname")])
    items = "".join(f'<li><a href="{escape(one.href)}">{escape(displayname(one))}</a></li>' for one in below)
    title = f"Calendars of {resource.owner}" if resource.owner else "caldavd"
    address = f"{context.request.base_url}{context.router.prefix}/"
    page = _HTML.format(title=escape(title), address=escape(address), items=items)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    }
    return Response(200, headers, page.encode())
