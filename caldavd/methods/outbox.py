"""POST to the outbox: asks when people are busy (RFC 6638 section 5).

``Originator`` and ``Recipient`` are headers of old drafts: the ATTENDEEs count (clients.md rule 31). Each attendee gets
one ``C:response``, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from caldavd.context import Context
from caldavd.errors import VALID_CALENDAR_DATA, DavError, failed
from caldavd.properties.registry import load_stored
from caldavd.reports.free_busy_query import is_transparent
from caldavd.reports.scope import calendars_in, objects_in, zone_of_calendar
from caldavd.request import INFINITY
from caldavd.resources import Resource, resolve
from caldavd.response import Response, xml
from caldavd.router import Location, Space
from caldavd.xml.fragment import document, element, href, text
from caldavd.xml.names import caldav
from scheduling import freebusy
from scheduling.addresses import normal
from scheduling.ical.lines import Component, ContentLine, ICalendarError, parse, text as unescape
from scheduling.ical.periods import BusyPeriod
from scheduling.ical.timezones import UTC, Zones
from scheduling.ical.values import moment_of
from scheduling.scheduler import Person
from storage.rows import KEY_COLUMNS, Principal

_BODY: Final = KEY_COLUMNS | {"body"}
_COMPONENTS: Final = frozenset({"VEVENT", "VFREEBUSY"})
#: RFC 6638 section 5, RFC 5546 section 3.6.
_SUCCESS: Final = "2.0;Success"
_UNKNOWN: Final = "3.7;Invalid calendar user"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, for which instants; ``masked`` is the UID of a meeting that is left out because it is being moved."""

    organizer: ContentLine
    attendees: list[ContentLine]
    start: int
    end: int
    uid: str | None
    masked: str | None


def run(context: Context, resource: Resource) -> Response:
    """200 with a ``C:schedule-response``."""
    if resource.owner != context.user.name and not context.user.admin:
        raise DavError(403, "An outbox is used by its owner.")
    owner = context.tx.principals.by_name(resource.owner)
    assert owner is not None
    question = _question(context.request.body)
    if normal(question.organizer.value) not in Person.of(owner).actor.addresses:
        raise DavError(403, "The ORGANIZER of the question has to be the outbox's owner.")
    people = context.tx.principals.by_addresses(frozenset(normal(one.value) for one in question.attendees))
    known = {normal(uri): principal for uri, principal in people.items()}
    responses = [_response(context, question, one, known.get(normal(one.value))) for one in question.attendees]
    return xml(200, document(caldav("schedule-response"), "".join(responses)))


def _question(body: bytes) -> Question:
    """The VFREEBUSY of the body. Raises ``valid-calendar-data`` for anything else."""
    try:
        calendar = parse(body)
        method = calendar.first("METHOD")
        found = next((one for one in calendar.components if one.name == "VFREEBUSY"), Component("NONE"))
        organizer, start, end = found.first("ORGANIZER"), found.first("DTSTART"), found.first("DTEND")
        attendees = found.all("ATTENDEE")
        asked = method is not None and method.value.strip().upper() == "REQUEST"
        if not asked or organizer is None or start is None or end is None or not attendees:
            message = (
                "An outbox takes a VFREEBUSY with METHOD:REQUEST, ORGANIZER, ATTENDEEs, DTSTART and DTEND; everything "
                "else is scheduled by PUT."
            )
            raise failed(VALID_CALENDAR_DATA, message=message)
        zones = Zones(calendar, UTC)
        return Question(
            organizer,
            attendees,
            zones.instant(moment_of(start)),
            zones.instant(moment_of(end)),
            _text(found.first("UID")),
            _text(found.first("X-CALENDARSERVER-MASK-UID")),
        )
    except ICalendarError as error:
        raise failed(VALID_CALENDAR_DATA, message=str(error)) from error


def _text(line: ContentLine | None) -> str | None:
    return unescape(line.value) if line is not None else None


def _response(context: Context, question: Question, attendee: ContentLine, principal: Principal | None) -> str:
    recipient = element(caldav("recipient"), href(attendee.value))
    if principal is None:
        return _closed(recipient, _UNKNOWN)
    answer = freebusy.answer(
        list(_busy(context, principal, question)),
        question.start,
        question.end,
        now=context.tx.now,
        uid=question.uid,
        method="REPLY",
        properties=[question.organizer, attendee],
    )
    return _closed(recipient, _SUCCESS, f"<C:calendar-data>{text(answer.decode())}</C:calendar-data>")


def _closed(recipient: str, status: str, data: str = "") -> str:
    return element(caldav("response"), recipient + element(caldav("request-status"), status) + data)


def _busy(context: Context, principal: Principal, question: Question) -> Iterator[BusyPeriod]:
    """Busy time of a person: for scheduling everybody who is logged in may ask (RFC 6638 section 6.1.1)."""
    home = resolve(context.tx, context.router, Location(Space.HOME, principal.name))
    addresses = Person.of(principal).actor.addresses
    calendars = list(calendars_in(context, home, depth=INFINITY, privilege=None))
    load_stored(context, calendars, None)
    start, end = question.start, question.end
    for calendar in calendars:
        if is_transparent(calendar):
            continue
        zone = zone_of_calendar(context, calendar)
        for one in objects_in(context, calendar, columns=_BODY, components=_COMPONENTS, start=start, end=end):
            yield from freebusy.busy(one.row.body, start, end, zone, owner=addresses, mask_uid=question.masked)
