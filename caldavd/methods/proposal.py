"""POST of a COUNTER, DECLINECOUNTER or REFRESH to the outbox: what a change of one's own object cannot say.

RFC 6638 sends messages by storing objects, and these three change nothing of whoever sends them (RFC 5546 sections
3.2.6 to 3.2.8); the drafts before it had them posted to the outbox, which is what is taken here (docs/decisions/0012).
They are about a meeting that the outbox's owner has: as attendee for the first and the last, as organizer for the
other. Everything else is scheduled by PUT.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from caldavd.bodies import of_icalendar
from caldavd.context import Context
from caldavd.errors import SUPPORTED_CALENDAR_DATA, VALID_ORGANIZER, VALID_SCHEDULING_MESSAGE, failed, not_found
from caldavd.privileges import SCHEDULE_SEND_INVITE, SCHEDULE_SEND_REPLY
from caldavd.resources import Resource
from caldavd.response import Response, xml
from caldavd.xml.fragment import document, element, href, text
from caldavd.xml.names import caldav
from scheduling.addresses import normal
from scheduling.delivery.people import Person, Site
from scheduling.ical.lines import ICalendarError
from scheduling.itip import Message, received
from scheduling.itip.snapshot import Snapshot, read

#: Seen before the body is parsed: whether the request writes decides how its transaction begins.
_METHOD: Final = re.compile(
    rb"^METHOD:[ \t]*(?:COUNTER|DECLINECOUNTER|REFRESH)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_HEAD: Final = 4096
_SUCCESS: Final = "2.0;Success"
_COLUMNS: Final = frozenset({"body", "organizer"})
REASON: Final = "The message was posted to the outbox."


def is_proposal(body: bytes) -> bool:
    """Whether this is one of the messages that are taken here. METHOD stands near the beginning (RFC 5546 3.7.2)."""
    return _METHOD.search(body, 0, _HEAD) is not None


def run(context: Context, resource: Resource) -> Response:
    """200 with a ``C:schedule-response``: what became of the message, by recipient."""
    if context.request.media_type not in ("", "text/calendar"):
        raise failed(SUPPORTED_CALENDAR_DATA, message="An outbox takes text/calendar.")
    try:
        sent = read(context.request.body)
        messages = [] if sent is None else _messages(context, resource, sent)
    except ICalendarError as error:
        raise of_icalendar(error) from error
    if sent is None or not messages:
        raise failed(VALID_SCHEDULING_MESSAGE, message="The message has neither ORGANIZER nor ATTENDEE.")
    owner = context.tx.principals.by_name(resource.owner)
    if context.scheduler is None or owner is None:
        raise not_found()
    statuses = context.scheduler.send(context.tx, owner, messages, held=context.held, reason=REASON)
    responses = (_response(message.recipient, statuses.get(message.recipient, "")) for message in messages)
    return xml(200, document(caldav("schedule-response"), "".join(responses)))


def _messages(context: Context, resource: Resource, sent: Snapshot) -> list[Message]:
    owner = context.tx.principals.by_name(resource.owner)
    organizer = sent.organizer
    if owner is None or organizer is None:
        raise failed(VALID_ORGANIZER, message="The message needs the ORGANIZER of the meeting that it is about.")
    site = context.scheduler.site if context.scheduler is not None else Site()
    mine = Person.of(owner, site.names_of(owner, context.request.body)).actor.addresses
    stored = _stored(context, owner.home_id, sent.uid)
    if stored.organizer is None or stored.organizer.address != organizer.address:
        raise failed(VALID_ORGANIZER, message="The meeting that the message is about has another ORGANIZER.")
    method = sent.calendar.first("METHOD")
    assert method is not None
    if method.value.strip().upper() == "DECLINECOUNTER":
        context.access.require(resource, SCHEDULE_SEND_INVITE)
        if organizer.address not in mine:
            raise failed(VALID_ORGANIZER, message="Only the organizer of a meeting declines proposals.")
        sender, recipients = organizer.address, _declined(context, sent, stored, mine)
    else:
        context.access.require(resource, SCHEDULE_SEND_REPLY)
        sender = next((one for one in sorted(sent.addresses & mine) if one in stored.addresses), "")
        if not sender:
            message = "The message has to name the owner of the outbox as ATTENDEE, who has to be invited."
            raise failed(VALID_SCHEDULING_MESSAGE, message=message)
        recipients = [organizer.address]
    now = datetime.fromtimestamp(context.tx.now, UTC)
    body = context.request.body
    return [replace(received(body, sender=sender, recipient=one, now=now), in_order=True) for one in recipients]


def _stored(context: Context, home_id: int, uid: str) -> Snapshot:
    """The owner's object of the meeting. Raises ``valid-scheduling-message`` where there is none."""
    rows = context.tx.objects.by_uid_in_home(home_id, uid, columns=_COLUMNS)
    row = next((one for one in rows if one.organizer), None)
    found = read(row.body) if row is not None else None
    if found is None:
        message = "The owner of the outbox has no meeting with the UID of this message."
        raise failed(VALID_SCHEDULING_MESSAGE, message=message)
    return found


def _declined(context: Context, sent: Snapshot, stored: Snapshot, mine: frozenset[str]) -> list[str]:
    """Whose proposal is declined: the ``Recipient`` header of the drafts, else the only ATTENDEE."""
    named = {normal(one) for one in (context.request.header("Recipient") or "").split(",") if one.strip()}
    found = sorted((named or sent.addresses) & stored.addresses - mine)
    if len(found) != 1:
        message = "A DECLINECOUNTER goes to who made the proposal: name them as the only ATTENDEE, or in Recipient."
        raise failed(VALID_SCHEDULING_MESSAGE, message=message)
    return found


def _response(recipient: str, status: str) -> str:
    """The delivery status (RFC 6638 section 3.2.9) as a request status (RFC 5546 section 3.6)."""
    code = _SUCCESS if status.startswith("1.") or not status else status
    said = code if ";" in code else f"{code};Not delivered"
    inner = element(caldav("recipient"), href(recipient)) + element(caldav("request-status"), text(said))
    return element(caldav("response"), inner)
