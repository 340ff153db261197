"""POST to the outbox: asks when people are busy (RFC 6638 section 5).

``Originator`` and ``Recipient`` are headers of old drafts: the ATTENDEEs count (clients.md rule 31). Each attendee gets
one ``C:response``, in their order. Who may ask whom is in ``scheduling.delivery.deliverable``, what makes somebody busy
in ``scheduling.freebusy.diaries``. However many attendees there are, it is four statements: the people, their
calendars, the ACEs of their inboxes, and what the index does not know.

KDE asks in another way (clients.md section 12.4): it sends its question, which names nobody who asks, to the *inbox* of
whom it is about. Who may ask there is answered the same for the inbox's owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from caldavd.bodies import of_icalendar
from caldavd.context import Context
from caldavd.errors import (
    MAX_ATTENDEES_PER_INSTANCE,
    SUPPORTED_CALENDAR_DATA,
    VALID_ORGANIZER,
    VALID_SCHEDULING_MESSAGE,
    failed,
)
from caldavd.methods import find_time
from caldavd.privileges import SCHEDULE_QUERY_FREEBUSY, SCHEDULE_SEND_FREEBUSY
from caldavd.resources import Resource
from caldavd.response import Response, xml
from caldavd.router import BadPath, OtherServer, Space
from caldavd.xml.fragment import document, element, href, text
from caldavd.xml.names import caldav, dav
from scheduling.addresses import normal
from scheduling.delivery.deliverable import Right, may_deliver
from scheduling.freebusy import vfreebusy
from scheduling.freebusy.busy import BusyTimes, Whose
from scheduling.freebusy.diaries import Diary
from scheduling.ical.lines import Component, ContentLine, ICalendarError, parse, text as unescape
from scheduling.ical.timezones import UTC, Zones
from scheduling.ical.values import duration_of, moment_of
from storage.rows import Principal, PrincipalKind

#: Types that a question may be sent as; some programs send none.
_MEDIA_TYPES: Final = frozenset({"", "text/calendar", "text/plain", "application/octet-stream"})
#: RFC 5546 section 3.6.
_SUCCESS: Final = "2.0;Success"
_UNKNOWN: Final = "3.7;Invalid calendar user"
_GROUP: Final = "5.3;No scheduling support for user"
_FORBIDDEN: Final = "3.8;No authority"
_TOO_MUCH: Final = "3.10;Request entity too large"
_LESS: Final = "There is too much in this person's calendars for an answer about so long a time: ask for a shorter one."
_MALFORMED: Final = (
    "An outbox takes a VFREEBUSY with METHOD:REQUEST, ORGANIZER, ATTENDEEs, DTSTART and DTEND; everything else is "
    "scheduled by PUT."
)


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, for which instants; ``masked`` is the UID of a meeting that is left out because it is being moved."""

    organizer: ContentLine | None
    attendees: list[ContentLine]
    start: int
    end: int
    uid: str | None
    masked: str | None

    @property
    def parties(self) -> frozenset[str]:
        """Everybody's address, in normal form."""
        return frozenset(normal(one.value) for one in (self.organizer, *self.attendees) if one is not None)


def run(context: Context, resource: Resource) -> Response:
    """200 with a ``C:schedule-response``."""
    context.access.require(resource, SCHEDULE_SEND_FREEBUSY)
    if context.request.media_type in find_time.MEDIA_TYPES:
        return find_time.run(context, resource)
    question = _question(context)
    people = _people(context, question.parties)
    assert question.organizer is not None
    asker = people.get(normal(question.organizer.value))
    if asker is None or asker.name != resource.owner:
        raise failed(VALID_ORGANIZER, message="The ORGANIZER of the question has to be the outbox's owner.")
    found = (people.get(normal(one.value)) for one in question.attendees)
    asked = {one.id: one for one in found if one is not None}
    diaries = context.freebusy.diaries(context.tx, asked.values(), epoch=context.store.epoch)
    allowed = _allowed(context, asker, diaries)
    return _answer(context, question, people, {id_: one.whose for id_, one in diaries.items() if id_ in allowed})


def run_on_inbox(context: Context, resource: Resource) -> Response:
    """200 with a ``C:schedule-response`` about the inbox's owner; about others nothing is said here."""
    context.access.require(resource, SCHEDULE_QUERY_FREEBUSY)
    question = _question(context, organizer=False)
    people = _people(context, question.parties)
    owners = {one.id: one for one in people.values() if one.name == resource.owner}
    diaries = context.freebusy.diaries(context.tx, owners.values(), epoch=context.store.epoch)
    return _answer(context, question, people, {id_: one.whose for id_, one in diaries.items()})


def _answer(
    context: Context, question: Question, people: Mapping[str, Principal], whose: Mapping[int, Whose]
) -> Response:
    """What is said of each attendee; ``whose`` are those of ``people`` whose time is told, by id."""
    times = context.freebusy.ask(context.tx, whose, question.start, question.end, mask_uid=question.masked)
    responses = (_response(context, question, one, people.get(normal(one.value)), times) for one in question.attendees)
    return xml(200, document(caldav("schedule-response"), "".join(responses)))


def _allowed(context: Context, asker: Principal, diaries: Mapping[int, Diary]) -> frozenset[int]:
    """Those who let the outbox's owner ask (``schedule-query-freebusy`` on their inboxes, RFC 6638 section 6.1.4)."""
    chains = {
        id_: (diary.root, diary.inbox)
        for id_, diary in diaries.items()
        if diary.root is not None and diary.inbox is not None
    }
    asked = [diary.principal for diary in diaries.values()]
    return may_deliver(context.tx, asker, asked, Right.FREEBUSY, chains=chains)


def _people(context: Context, addresses: frozenset[str]) -> Mapping[str, Principal]:
    """The principals by the addresses in normal form: those of the directory, and the URLs of principals."""
    found = {normal(uri): one for uri, one in context.tx.principals.by_addresses(addresses).items()}
    names = {}
    for address in addresses - found.keys():
        if "/" not in address or address.startswith("mailto:"):
            continue
        try:
            place = context.router.locate_href(address, authorities=context.request.authorities)
        except (BadPath, OtherServer):
            continue
        if place.space is Space.PRINCIPAL:
            names[address] = place.owner
    by_name = context.tx.principals.by_names(frozenset(names.values())) if names else {}
    return found | {address: by_name[name] for address, name in names.items() if name in by_name}


def _question(context: Context, *, organizer: bool = True) -> Question:
    """The VFREEBUSY of the body; ``organizer``: it has to say who asks. Raises what RFC 6638 section 5.2 names."""
    if context.request.media_type not in _MEDIA_TYPES:
        raise failed(SUPPORTED_CALENDAR_DATA, message="An outbox is asked in text/calendar.")
    try:
        question = _read(parse(context.request.body))
        if organizer and question.organizer is None:
            raise failed(VALID_SCHEDULING_MESSAGE, message=_MALFORMED)
    except ICalendarError as error:
        raise of_icalendar(error) from error
    most = context.limits.max_attendees_per_instance
    if len(question.attendees) > most:
        raise failed(MAX_ATTENDEES_PER_INSTANCE, message=f"One question is about at most {most} people.")
    return question


def _read(calendar: Component) -> Question:
    method = calendar.first("METHOD")
    found = [one for one in calendar.components if one.name == "VFREEBUSY"]
    if method is None or method.value.strip().upper() != "REQUEST" or len(found) != 1:
        raise failed(VALID_SCHEDULING_MESSAGE, message=_MALFORMED)
    asked = found[0]
    organizer, start, attendees = asked.first("ORGANIZER"), asked.first("DTSTART"), asked.all("ATTENDEE")
    end, lasts = asked.first("DTEND"), asked.first("DURATION")
    if start is None or (end is None and lasts is None) or not attendees:
        raise failed(VALID_SCHEDULING_MESSAGE, message=_MALFORMED)
    zones = Zones(calendar, UTC)
    begin = zones.instant(moment_of(start))
    finish = zones.instant(moment_of(end)) if end is not None else begin
    if end is None and lasts is not None:
        finish += duration_of(lasts).total
    if finish <= begin:
        raise failed(VALID_SCHEDULING_MESSAGE, message="The DTEND of the question has to be after its DTSTART.")
    uid, masked = _text(asked.first("UID")), _text(asked.first("X-CALENDARSERVER-MASK-UID"))
    return Question(organizer, attendees, begin, finish, uid, masked)


def _text(line: ContentLine | None) -> str | None:
    return unescape(line.value) if line is not None else None


def _response(
    context: Context,
    question: Question,
    attendee: ContentLine,
    principal: Principal | None,
    times: Mapping[int, BusyTimes],
) -> str:
    recipient = element(caldav("recipient"), href(attendee.value))
    if principal is None:
        return _closed(recipient, _UNKNOWN)
    if (
        principal.kind is PrincipalKind.GROUP
    ):  # its own calendars say nothing of who is in it: "free" would be no answer
        return _closed(recipient, _GROUP)
    if principal.id not in times:
        return _closed(recipient, _FORBIDDEN)
    known = times[principal.id]
    if not known.complete:
        return _closed(recipient, _TOO_MUCH, element(dav("responsedescription"), text(_LESS)))
    answer = vfreebusy.answer(
        known.periods,
        question.start,
        question.end,
        now=context.tx.now,
        uid=question.uid,
        method="REPLY",
        properties=[attendee] if question.organizer is None else [question.organizer, attendee],
    )
    return _closed(recipient, _SUCCESS, element(caldav("calendar-data"), text(answer.decode())))


def _closed(recipient: str, status: str, more: str = "") -> str:
    return element(caldav("response"), recipient + element(caldav("request-status"), text(status)) + more)
