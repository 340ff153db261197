"""RFC 6638 sections 2 and 9: inbox and outbox of a principal, the default calendar, the Schedule-Tag.

Where scheduling is off none of them is there (404): clients take a URL for a promise (clients.md rule 35).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caldavd.context import Context
from caldavd.default_calendar import default_calendar, set_default, takes_events
from caldavd.errors import DEFAULT_CALENDAR_NEEDED, VALID_CALENDAR_DATA, VALID_SCHEDULE_DEFAULT_CALENDAR_URL, failed
from caldavd.kinds import INBOX, OBJECT, PRINCIPAL
from caldavd.properties.registry import Reader, live, stored, written
from caldavd.resources import Resource
from caldavd.response import quoted
from caldavd.router import BadPath, OtherServer, Space
from caldavd.xml.fragment import href, text
from caldavd.xml.names import caldav, cs, dav, split
from caldavd.xml.parse import Element, child, parse, text_of
from scheduling.freebusy.availability import check_property
from scheduling.ical.lines import ICalendarError
from storage.rows import Collection, CollectionKind


def _load_boxes(context: Context, resources: Sequence[Resource]) -> None:
    if context.scheduler is not None:
        context.directory.load_boxes(one.principal for one in resources if one.principal is not None)


def _box(context: Context, resource: Resource, kind: CollectionKind) -> str | None:
    """``None`` for who has none: an account whose inbox is 404 does not work at all with Apple (clients.md 1.2)."""
    principal = resource.principal
    if context.scheduler is None or principal is None or not context.directory.has_box(principal, kind):
        return None
    return href(context.router.below_home(resource.owner, (kind.value,), collection=True))


@live(caldav("schedule-inbox-URL"), on=(PRINCIPAL,), section="RFC 6638 2.2.1", preload=_load_boxes)
def schedule_inbox_url(context: Context, resource: Resource) -> str | None:
    return _box(context, resource, CollectionKind.INBOX)


@live(caldav("schedule-outbox-URL"), on=(PRINCIPAL,), section="RFC 6638 2.1.1", preload=_load_boxes)
def schedule_outbox_url(context: Context, resource: Resource) -> str | None:
    return _box(context, resource, CollectionKind.OUTBOX)


@live(caldav("schedule-tag"), on=(OBJECT,), section="RFC 6638 9.3")
def schedule_tag(context: Context, resource: Resource) -> str | None:
    tag = resource.row.schedule_tag
    return quoted(tag) if tag else None


def _calendar_at(context: Context, resource: Resource, value: Element | None) -> Collection:
    """The calendar of the same home that a new ``schedule-default-calendar-URL`` names."""
    sent = text_of(child(value, dav("href"))) if value is not None else ""
    if not sent:
        message = "Invitations have to go somewhere: name another calendar instead of none."
        raise failed(DEFAULT_CALENDAR_NEEDED, message=message)
    try:
        place = context.router.locate_href(sent, base=resource.href, authorities=context.request.authorities)
    except (BadPath, OtherServer):
        place = None
    found = None
    if place is not None and place.space is Space.HOME and place.owner == resource.owner:
        found = context.tx.collections.find(place.owner, place.names)
    if found is None or found.missing or found.object is not None or not takes_events(found.collection):
        message = "The default calendar has to be one of the same person's calendars, and to take events."
        raise failed(VALID_SCHEDULE_DEFAULT_CALENDAR_URL, message=message)
    return found.collection


def _check_default_calendar(context: Context, resource: Resource, value: Element | None) -> None:
    _calendar_at(context, resource, value)


def _set_default_calendar(context: Context, resource: Resource, value: Element | None) -> None:
    set_default(context, resource.owner, _calendar_at(context, resource, value))


# Not stored as it was sent: it has to follow where the calendar is moved to.
@written(
    caldav("schedule-default-calendar-URL"),
    on=(INBOX,),
    section="RFC 6638 9.2",
    validate=_check_default_calendar,
    write=_set_default_calendar,
)
def schedule_default_calendar_url(context: Context, resource: Resource) -> str:
    """Empty where no calendar takes events (section 9.2: then there is no default calendar)."""
    found = default_calendar(context, resource.collection.home_id)
    return href(context.router.below_home(resource.owner, found.path, collection=True)) if found is not None else ""


_AVAILABILITY: Final = (caldav("calendar-availability"), cs("calendar-availability"))


def _check_availability(context: Context, resource: Resource, value: Element | None) -> None:
    """A VCALENDAR with one VAVAILABILITY: working hours (RFC 7953 section 7.2.4)."""
    if value is None:
        return
    try:
        check_property((value.text or "").encode())
    except ICalendarError as error:
        raise failed(VALID_CALENDAR_DATA, message=f"calendar-availability: {error}") from error


def _availability_called(name: str) -> Reader:
    def read(context: Context, resource: Resource) -> str | None:
        kept = resource.stored.get(split(name))
        return text(parse(kept.xml).text or "") if kept is not None else None

    return read


# One value with two names, of which one is stored: that of the RFC, and the one that Apple's programs had before there
# was an RFC and still ask for (clients.md section 1.10).
for _name, _other in (_AVAILABILITY, _AVAILABILITY[::-1]):
    stored(
        _name,
        on=(INBOX,),
        section="RFC 7953 7.2.4",
        validate=_check_availability,
        default=_availability_called(_other),
        instead_of=_other,
    )
