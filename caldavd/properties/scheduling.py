"""RFC 6638 sections 2 and 9: inbox and outbox of a principal, the default calendar, the Schedule-Tag.

Where scheduling is off none of them is there (404): clients take a URL for a promise (clients.md rule 35).
"""

from __future__ import annotations

from caldavd.context import Context
from caldavd.errors import VALID_SCHEDULE_DEFAULT_CALENDAR_URL, failed
from caldavd.kinds import INBOX, OBJECT, PRINCIPAL
from caldavd.properties.registry import live, stored
from caldavd.resources import Resource
from caldavd.response import quoted
from caldavd.router import BadPath, OtherServer, Space
from caldavd.xml.fragment import href
from caldavd.xml.names import caldav, dav
from caldavd.xml.parse import Element, child, text_of
from scheduling import scheduler
from storage.rows import PrincipalKind


def _box(context: Context, resource: Resource, name: str) -> str | None:
    principal = resource.principal
    if context.scheduler is None or principal is None or principal.kind is PrincipalKind.GROUP:
        return None
    return href(context.router.below_home(resource.owner, (name,), collection=True))


@live(caldav("schedule-inbox-URL"), on=(PRINCIPAL,), section="RFC 6638 2.2.1")
def schedule_inbox_url(context: Context, resource: Resource) -> str | None:
    return _box(context, resource, scheduler.INBOX)


@live(caldav("schedule-outbox-URL"), on=(PRINCIPAL,), section="RFC 6638 2.1.1")
def schedule_outbox_url(context: Context, resource: Resource) -> str | None:
    return _box(context, resource, scheduler.OUTBOX)


@live(caldav("schedule-tag"), on=(OBJECT,), section="RFC 6638 9.3")
def schedule_tag(context: Context, resource: Resource) -> str | None:
    tag = resource.row.schedule_tag
    return quoted(tag) if tag else None


def _default_calendar(context: Context, resource: Resource) -> str:
    return href(context.router.below_home(resource.owner, (scheduler.DEFAULT_CALENDAR,), collection=True))


def check_default_calendar(context: Context, resource: Resource, value: Element | None) -> None:
    """It has to be a calendar of the same home (RFC 6638 section 9.2)."""
    sent = text_of(child(value, dav("href"))) if value is not None else ""
    if not sent:
        return
    try:
        place = context.router.locate_href(sent, base=resource.href, authorities=context.request.authorities)
    except (BadPath, OtherServer):
        place = None
    found = None
    if place is not None and place.space is Space.HOME and place.owner == resource.owner:
        found = context.tx.collections.find(place.owner, place.names)
    if found is None or found.missing or found.object is not None or found.collection.kind != "calendar":
        message = "The default calendar has to be one of the same person's calendars."
        raise failed(VALID_SCHEDULE_DEFAULT_CALENDAR_URL, message=message)


stored(
    caldav("schedule-default-calendar-URL"),
    on=(INBOX,),
    section="RFC 6638 9.2",
    validate=check_default_calendar,
    default=_default_calendar,
)
# A VAVAILABILITY in a VCALENDAR: working hours (RFC 7953 section 7.2.4; Apple's older spelling beside it).
stored(caldav("calendar-availability"), on=(INBOX,), section="RFC 7953 7.2.4")
