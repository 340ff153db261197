"""RFC 4791 sections 5.2 and 6.2, RFC 7809 section 5.2, ``schedule-calendar-transp`` of RFC 6638 section 9.1."""

from __future__ import annotations

from typing import Final
from zoneinfo import available_timezones

from caldavd import errors
from caldavd.context import Context
from caldavd.kinds import CALENDAR, HOME, INBOX, OUTBOX
from caldavd.properties.registry import live, stored
from caldavd.resources import Resource
from caldavd.xml.fragment import element, text
from caldavd.xml.names import CALDAV_NS, caldav
from caldavd.xml.parse import Element, children, parse as parse_xml, tag_of
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.timezones import zone_of
from scheduling.ical.zone_text import definition, name_in

#: The components that a calendar takes when it was made without ``supported-calendar-component-set``.
COMPONENTS: Final = ("VEVENT", "VTODO", "VJOURNAL")
#: What may be asked for in ``supported-calendar-component-set``: also stored busy times (RFC 4791 section 4.1) and
#: working hours (RFC 7953 section 7.1), which only questions about busy times read and which no client expects in a
#: calendar that it did not make so.
MAKEABLE: Final = (*COMPONENTS, "VFREEBUSY", "VAVAILABILITY")
#: The media types of ``supported-calendar-data``: type and version.
CALENDAR_DATA: Final = (("text/calendar", "2.0"), ("application/calendar+json", "2.0"))
COLLATIONS: Final = ("i;ascii-casemap", "i;octet", "i;unicode-casemap")  # RFC 4791 section 7.5, RFC 5051

_CALENDARS = (CALENDAR,)
#: RFC 6638 sections 2.1 and 2.2 allow these on the boxes, for messages. A component set would be allowed there as well;
#: it is left out because clients may take what has one for a calendar.
_LIMITED = (CALENDAR, INBOX, OUTBOX)


def components_of(resource: Resource) -> tuple[str, ...]:
    """What the calendar takes: its exact set, or all where none was given."""
    return resource.collection.components or COMPONENTS


@live(caldav("supported-calendar-component-set"), on=_CALENDARS, section="RFC 4791 5.2.3")
def supported_calendar_component_set(context: Context, resource: Resource) -> str:
    return "".join(element(caldav("comp"), name=name) for name in components_of(resource))


@live(caldav("supported-calendar-component-sets"), on=(HOME,), section="draft-daboo-caldav-extensions 3")
def supported_calendar_component_sets(context: Context, resource: Resource) -> str:
    sets = [(name,) for name in COMPONENTS] + [COMPONENTS]
    return "".join(
        element(
            caldav("supported-calendar-component-set"),
            "".join(element(caldav("comp"), name=name) for name in names),
        )
        for names in sets
    )


@live(caldav("supported-calendar-data"), on=_CALENDARS, section="RFC 4791 5.2.4")
def supported_calendar_data(context: Context, resource: Resource) -> str:
    return "".join(
        element(caldav("calendar-data"), **{"content-type": kind, "version": version})
        for kind, version in CALENDAR_DATA
    )


@live(caldav("supported-calendar-data"), on=(INBOX, OUTBOX), section="RFC 6638 2.1, 2.2")
def supported_data_of_messages(context: Context, resource: Resource) -> str:
    kind, version = CALENDAR_DATA[0]
    return element(caldav("calendar-data"), **{"content-type": kind, "version": version})


@live(caldav("max-resource-size"), on=_LIMITED, section="RFC 4791 5.2.5")
def max_resource_size(context: Context, resource: Resource) -> str:
    return str(context.limits.max_resource_size)


@live(caldav("min-date-time"), on=_LIMITED, section="RFC 4791 5.2.6")
def min_date_time(context: Context, resource: Resource) -> str:
    return context.limits.min_date_time


@live(caldav("max-date-time"), on=_LIMITED, section="RFC 4791 5.2.7")
def max_date_time(context: Context, resource: Resource) -> str:
    return context.limits.max_date_time


@live(caldav("max-instances"), on=(CALENDAR, INBOX), section="RFC 4791 5.2.8")
def max_instances(context: Context, resource: Resource) -> str:
    return str(context.limits.max_instances)


@live(caldav("max-attendees-per-instance"), on=_LIMITED, section="RFC 4791 5.2.9")
def max_attendees_per_instance(context: Context, resource: Resource) -> str:
    return str(context.limits.max_attendees_per_instance)


@live(caldav("supported-collation-set"), on=(HOME, CALENDAR), section="RFC 4791 7.5.1")
def supported_collation_set(context: Context, resource: Resource) -> str:
    return "".join(element(caldav("supported-collation"), name) for name in COLLATIONS)


def check_timezone(context: Context, resource: Resource, value: Element | None) -> None:
    """``calendar-timezone`` is an iCalendar object with exactly one VTIMEZONE (RFC 4791 section 5.2.2)."""
    if value is None:
        return
    try:
        found = parse((value.text or "").encode())
        zone_of(found)
        others = [one for one in found.components if one.name != "VTIMEZONE"]
        if others:
            raise ICalendarError(f"A time zone is given without a {others[0].name[:100]} beside it.", others[0].line)
    except ICalendarError as error:
        raise errors.failed(errors.VALID_CALENDAR_TIMEZONE, message=f"calendar-timezone: {error}") from error


def check_timezone_id(context: Context, resource: Resource, value: Element | None) -> None:
    """``calendar-timezone-id`` names a zone that this server knows (RFC 7809 section 5.2)."""
    if value is not None and (value.text or "").strip() not in available_timezones():
        raise errors.failed(
            errors.VALID_TIMEZONE, message="calendar-timezone-id has to be a known IANA time zone name."
        )


def _stored_text(resource: Resource, name: str) -> str:
    value = resource.stored.get((CALDAV_NS, name))
    return parse_xml(value.xml).text or "" if value is not None else ""


def _timezone_of_id(context: Context, resource: Resource) -> str | None:
    name = _stored_text(resource, "calendar-timezone-id").strip()
    return text(definition(name)) if name else None


def _id_of_timezone(context: Context, resource: Resource) -> str | None:
    defined = _stored_text(resource, "calendar-timezone")
    return text(name_in(defined)) if defined else None


def check_transp(context: Context, resource: Resource, value: Element | None) -> None:
    """``opaque`` or ``transparent`` (RFC 6638 section 9.1)."""
    if value is None:
        return
    if [tag_of(found) for found in children(value)] not in ([caldav("opaque")], [caldav("transparent")]):
        raise errors.DavError(409, "schedule-calendar-transp is either opaque or transparent.")


def _opaque(context: Context, resource: Resource) -> str:
    return element(caldav("opaque"))


stored(caldav("calendar-description"), on=_CALENDARS, section="RFC 4791 5.2.1")
# One of the two is stored, the other one follows from it (RFC 7809 section 3.1.5).
stored(
    caldav("calendar-timezone"),
    on=_CALENDARS,
    section="RFC 4791 5.2.2",
    validate=check_timezone,
    default=_timezone_of_id,
    instead_of=caldav("calendar-timezone-id"),
)
stored(
    caldav("calendar-timezone-id"),
    on=_CALENDARS,
    section="RFC 7809 5.2",
    validate=check_timezone_id,
    default=_id_of_timezone,
    instead_of=caldav("calendar-timezone"),
)
stored(
    caldav("schedule-calendar-transp"),
    on=_CALENDARS,
    section="RFC 6638 9.1",
    validate=check_transp,
    default=_opaque,
)
