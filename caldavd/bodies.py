"""From the bytes of a PUT to what is stored: the one door for PUT, POST, COPY and MOVE into a collection.

The bytes stay as they were sent (design section 1, item 8); what is checked and what is indexed is decided in
``scheduling.ical``. jCal is turned into iCalendar here, since the store keeps one format (RFC 7265).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caldavd import errors, kinds
from caldavd.context import Context
from caldavd.errors import CONDITIONS, DavError, failed
from caldavd.properties.calendars import components_of
from caldavd.resources import Resource
from caldavd.xml.fragment import href
from scheduling.ical import jcal
from scheduling.ical.lines import ICalendarError
from scheduling.indexing import object_row
from storage.errors import UidTaken
from storage.rows import NewObject, ObjectRow

#: Types that a calendar object may be sent as; some programs send none, or the one of a plain text.
_ICALENDAR: Final = frozenset({"", "text/calendar", "text/plain", "application/octet-stream"})


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be stored; ``as_sent``: whether GET will return the very bytes of the request."""

    new: NewObject
    as_sent: bool


def content_of(context: Context, parent: Resource, body: bytes, content_type: str) -> Content:
    """Checks ``body`` as a new member of ``parent``. Raises the precondition of RFC 4791 section 5.3.2.1 violated."""
    if len(body) > context.limits.max_resource_size:
        limit = context.limits.max_resource_size
        raise failed(errors.MAX_RESOURCE_SIZE, message=f"An object may have at most {limit} bytes here.")
    if parent.kind is not kinds.CALENDAR:
        _check_framing(context, body)
        return Content(NewObject(body, content_type or "application/octet-stream"), as_sent=True)
    media_type, charset = _media_type(content_type)
    if media_type == jcal.MEDIA_TYPE:
        return Content(calendar_object(context, parent, _from_jcal(body)), as_sent=False)
    if media_type not in _ICALENDAR or charset not in ("", "utf-8", "us-ascii"):
        message = "A calendar takes text/calendar in UTF-8 and application/calendar+json."
        raise failed(errors.SUPPORTED_CALENDAR_DATA, message=message)
    return Content(calendar_object(context, parent, body), as_sent=True)


def _check_framing(context: Context, body: bytes) -> None:
    """Raises 411 for a file of which nothing says how long it is.

    When a client goes away in the middle of a chunked body, granian ends it as if it were complete; half a calendar
    object is refused by its text, but half a file would take the place of the whole (RFC 9112 section 8).
    """
    header = context.request.header
    unknown = header("Content-Length") is None and (body or header("Transfer-Encoding") is not None)
    if unknown and context.request.method in ("PUT", "POST"):
        raise DavError(411, "Send a file with its Content-Length: else a part of it could be taken for the whole.")


def calendar_object(context: Context, parent: Resource, body: bytes) -> NewObject:
    """The row of a calendar object. Raises the precondition that it violates."""
    try:
        return object_row(body, supported=components_of(parent), limits=context.limits)
    except ICalendarError as error:
        raise of_icalendar(error) from error


def _from_jcal(body: bytes) -> bytes:
    try:
        return jcal.from_json(body)
    except ICalendarError as error:
        raise of_icalendar(error) from error


def of_icalendar(error: ICalendarError) -> DavError:
    """The precondition that a text violates, with the sentence and the number of the line."""
    return failed(CONDITIONS.get(error.condition, errors.VALID_CALENDAR_DATA), message=str(error))


def put(context: Context, parent: Resource, name: str, new: NewObject, *, replaces: ObjectRow | None) -> ObjectRow:
    """Stores a member; a UID that another member has is ``no-uid-conflict`` with the other one's href."""
    if replaces is not None and new.uid and replaces.uid != new.uid:
        raise uid_conflict(context, parent, name, "The object at this URL has another UID, and keeps it.")
    try:
        return context.tx.objects.put(parent.collection, name, new, replaces=replaces)
    except UidTaken as error:
        raise uid_conflict(context, parent, error.name, str(error)) from error


def uid_conflict(context: Context, parent: Resource, name: str, message: str) -> DavError:
    """``no-uid-conflict`` with the href of the member that has the UID (RFC 4791 section 5.3.2.1)."""
    path = context.router.below_home(parent.owner, (*parent.collection.path, name), collection=False)
    return failed(errors.NO_UID_CONFLICT, href(path), message=message)


def _media_type(content_type: str) -> tuple[str, str]:
    """Type and charset in lower case, empty where they are missing."""
    kind, *parameters = content_type.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset
