"""Messages that come in: to whom they matter, and by which rules they are applied.

Owns RFC 6638 4 (processing incoming scheduling messages) and the table of methods; REQUEST, ADD and PUBLISH are in
``updates``, CANCEL in ``cancellations``, REPLY in ``replies``. COUNTER, DECLINECOUNTER and REFRESH change nothing and
are answered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ICalendarError
from scheduling.ical.rrule import TooManyInstances
from scheduling.ical.validate import validate
from scheduling.itip.cancellations import cancel
from scheduling.itip.message import KINDS_OF, METHODS, check
from scheduling.itip.outcome import DELIVERED, NO_AUTHORITY, NO_WAY, REJECTED, Applied
from scheduling.itip.proposals import answer_to_refresh
from scheduling.itip.replies import reply
from scheduling.itip.snapshot import read
from scheduling.itip.updates import add, request

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scheduling.itip.message import Message
    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Snapshot

_UNREADABLE: Final = "3.1"  # RFC 5546 3.6.14: invalid property value


def incoming(message: Message, stored: bytes | None, recipient: Actor, *, now: datetime) -> Applied:
    """What becomes of ``message`` in the calendar of ``recipient``, who has ``stored``, or nothing, under that UID."""
    if message.method not in METHODS:
        return Applied("ignore", REJECTED, f'METHOD "{message.method[:40]}" is not known (RFC 5546 1.4).')
    try:
        return _incoming(message, stored, recipient, now)
    except TooManyInstances:
        return Applied(
            "ignore", REJECTED, "The recurrence in this message costs too much to be worked out.", inbox=True
        )
    except ICalendarError as error:
        return Applied("ignore", _UNREADABLE, f"The message cannot be read: {error}")


def _incoming(message: Message, stored: bytes | None, recipient: Actor, now: datetime) -> Applied:
    arrived = read(message.text)
    if arrived is None:
        return Applied("ignore", _UNREADABLE, "There is neither ORGANIZER nor ATTENDEE in the message.")
    check(arrived, message.method)
    known = None if stored is None else read(stored)
    if stored is not None and known is None:
        reason = "The recipient has an object of their own with the same UID, which is no meeting."
        return Applied("ignore", REJECTED, reason, inbox=True)
    if known is not None and known.kind != arrived.kind:
        reason = f"The message is about a {arrived.kind}, the recipient has a {known.kind} with the same UID."
        return Applied("ignore", REJECTED, reason)
    applied = _apply(message, arrived if message.in_order else arrived.about(known), known, recipient, now)
    if applied.text is not None and not message.in_order:
        validate(applied.text, supported=KINDS_OF["PUBLISH"])  # what is stored can be read by everybody
    return applied


def _apply(message: Message, arrived: Snapshot, stored: Snapshot | None, recipient: Actor, now: datetime) -> Applied:
    match message.method:
        case "REQUEST" | "PUBLISH":
            return request(message, arrived, stored, recipient, now=now)
        case "ADD":
            return add(message, arrived, stored, recipient, now=now)
        case "CANCEL":
            return cancel(message, arrived, stored, recipient)
        case "REPLY":
            return reply(message, arrived, stored, recipient, now=now)
    return _ASKED[message.method](message, arrived, stored, recipient, now)


def _refresh(message: Message, arrived: Snapshot, stored: Snapshot | None, recipient: Actor, now: datetime) -> Applied:
    """RFC 5546 3.2.6, 3.4.6: the organizer's present view is sent."""
    refused = _not_for_organizer(message, arrived, stored, recipient)
    if refused is not None:
        return refused
    assert stored is not None
    onward = answer_to_refresh(stored, recipient, message.sender, now=now)
    reason = "The attendee gets the meeting as it stands." if onward else "The sender is not invited; nothing is sent."
    return Applied("ignore", DELIVERED, reason, onward=onward)


def _counter(message: Message, arrived: Snapshot, stored: Snapshot | None, recipient: Actor, _now: datetime) -> Applied:
    """RFC 5546 3.2.7: the organizer decides, by rescheduling or by DECLINECOUNTER."""
    refused = _not_for_organizer(message, arrived, stored, recipient)
    if refused is not None:
        return refused
    assert stored is not None
    if message.sender not in stored.addresses:
        return Applied("ignore", DELIVERED, "The sender of this proposal is not invited.", inbox=True)
    if not any(stored.has_instance(rid) for rid in arrived.parts):
        return Applied("ignore", NO_WAY, "The proposal is about an instance that does not exist.")
    if arrived.sequence < max(part.sequence for rid in arrived.parts if (part := stored.describing(rid)) is not None):
        onward = answer_to_refresh(stored, recipient, message.sender, now=_now)
        reason = "The proposal is about a revision that has been replaced; the sender gets the present one."
        return Applied("ignore", DELIVERED, reason, inbox=True, onward=onward)
    return Applied("ignore", DELIVERED, "A proposal for another time waits for the organizer.", inbox=True)


def _not_for_organizer(
    message: Message, arrived: Snapshot, stored: Snapshot | None, recipient: Actor
) -> Applied | None:
    if stored is None:
        return Applied("ignore", NO_WAY, "The recipient does not have the meeting that is asked about.")
    if stored.organizer is None or stored.organizer.address not in recipient.addresses:
        return Applied("ignore", REJECTED, "The recipient does not organize the meeting that is asked about.")
    if message.sender not in arrived.addresses:
        return Applied("ignore", NO_AUTHORITY, f"{message.sender} speaks for somebody else (RFC 5546 6.1.2).")
    return None


def _decline_counter(
    message: Message, arrived: Snapshot, stored: Snapshot | None, recipient: Actor, _now: datetime
) -> Applied:
    """RFC 5546 3.2.8: nothing changes; the attendee is told."""
    organizer = arrived.organizer
    assert organizer is not None
    if message.sender != organizer.address and message.sender not in organizer.addresses("SENT-BY"):
        return Applied("ignore", NO_AUTHORITY, f"{message.sender} is not the organizer {organizer.address}.")
    if stored is None or stored.organizer is None or stored.organizer.address != organizer.address:
        return Applied("ignore", DELIVERED, "The recipient does not have the meeting whose proposal is declined.")
    if not recipient.addresses & stored.addresses:
        return Applied("ignore", DELIVERED, "The recipient is not invited to the meeting whose proposal is declined.")
    return Applied("ignore", DELIVERED, "The organizer declined the proposal.", inbox=True)


_ASKED: Final[dict[str, Callable[[Message, Snapshot, Snapshot | None, Actor, datetime], Applied]]] = {
    "REFRESH": _refresh,
    "COUNTER": _counter,
    "DECLINECOUNTER": _decline_counter,
}
