"""GET and HEAD (RFC 9110 sections 9.3.1 and 14; RFC 4791 section 5.3.4)."""

from __future__ import annotations

from typing import Final

from caldavd import formats, kinds, ranges
from caldavd.access import READ
from caldavd.compression import coding_of
from caldavd.conditional import not_modified, range_holds
from caldavd.context import Context
from caldavd.errors import DavError
from caldavd.language import language_of
from caldavd.pages import collection_page, whole_calendar
from caldavd.properties.webdav import content_type, http_date
from caldavd.resources import Resource
from caldavd.response import Response, quoted
from storage.rows import ObjectRow

EVENT_TYPE: Final = "text/calendar; charset=utf-8"


def run(context: Context, resource: Resource) -> Response:
    """An object's bytes as they were sent, a calendar as one .ics, any other collection as a page for people."""
    context.access.require(resource, READ)
    if resource.kind is kinds.CALENDAR:
        return whole_calendar(context, resource)
    if resource.kind not in kinds.MEMBERS:
        return collection_page(context, resource)
    if resource.kind is kinds.OBJECT and formats.wants_jcal(context.request.header("Accept") or ""):
        return _as_jcal(context, resource.row)
    answer = whole(context, resource)
    if not_modified(context, resource.row.etag, modified=resource.row.modified):
        kept = ("ETag", "Last-Modified", "Schedule-Tag", "Vary")
        return Response(304, {name: answer.headers[name] for name in kept if name in answer.headers})
    return _part(context, answer, resource.row)


def event_headers(etag: str, modified: int, schedule_tag: str | None) -> dict[str, str]:
    """What a member of a calendar is sent with; ``modified`` in epoch seconds."""
    return _tags(etag, modified, schedule_tag) | {"Content-Type": EVENT_TYPE, "Vary": "Accept"}


def _tags(etag: str, modified: int, schedule_tag: str | None) -> dict[str, str]:
    headers = {"ETag": quoted(etag), "Last-Modified": http_date(modified)}
    if schedule_tag:
        headers["Schedule-Tag"] = quoted(schedule_tag)
    return headers


def whole(context: Context, resource: Resource) -> Response:
    """A member as it is stored, with its headers. Its row has to have its body."""
    row = resource.row
    if resource.kind is kinds.OBJECT:
        headers = event_headers(row.etag, row.modified, row.schedule_tag)
    else:
        headers = _tags(row.etag, row.modified, row.schedule_tag) | {"Content-Type": content_type(resource)}
    language = language_of(context, row)
    if language:
        headers["Content-Language"] = language
    if resource.kind is kinds.FILE:
        # Files are whatever somebody stored: nothing in them runs as part of this site.
        headers["Content-Security-Policy"] = "sandbox"
    return Response(200, headers, row.body)


def _as_jcal(context: Context, row: ObjectRow) -> Response:
    """The object in JSON, with an ETag of its own (RFC 7265; RFC 9110 section 8.8.3)."""
    etag = formats.etag_of_jcal(row.etag)
    headers = _tags(etag, row.modified, row.schedule_tag) | {"Vary": "Accept"}
    if not_modified(context, etag, modified=row.modified):
        return Response(304, headers)
    return Response(200, headers | {"Content-Type": formats.JCAL}, formats.to_jcal(row.body))


def _part(context: Context, whole: Response, row: ObjectRow) -> Response:
    """The bytes that ``Range`` asks for (RFC 9110 section 14.2), or the whole.

    Offsets count in the bytes that were stored, so a client that would get the whole compressed gets no parts: both
    have the same ETag, and parts of one must never be joined with parts of the other.
    """
    accepted = context.request.header("Accept-Encoding") or ""
    if coding_of(whole.headers["Content-Type"], row.size, accepted) is not None:
        return whole
    whole.headers["Accept-Ranges"] = "bytes"
    asked = context.request.header("Range")
    if asked is None or context.request.method != "GET" or not range_holds(context, row.etag):
        return whole
    try:
        found = ranges.parse(asked, row.size)
    except ranges.NotSatisfiable as error:
        message = f"The range lies outside of the {row.size} bytes that there are."
        raise DavError(416, message, headers={"Content-Range": f"bytes */{row.size}"}) from error
    if found is None:
        return whole
    start, end = found
    headers = whole.headers | {"Content-Range": f"bytes {start}-{end - 1}/{row.size}"}
    return Response(206, headers, row.body[start:end])
