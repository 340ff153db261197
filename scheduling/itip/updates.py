"""REQUEST, ADD and PUBLISH, as they come to an attendee: is it applied, and what becomes of their copy?

Owns RFC 6638 4.1, RFC 5546 2.1.5 (message sequencing), 3.2.1, 3.2.2, 3.2.4 and their like for VTODO and VJOURNAL, 4.7.2
(bad RECURRENCE-ID). How an update is written into a copy is in ``merging``.

Decisions where the RFCs leave a choice:

- Only the organizer that the copy names can change it; another one is left in the inbox for a person to decide
  (RFC 5546 3.2.2.4 speaks of out-of-band mechanisms, 6.1.3 of the danger).
- Inside one database messages come in order. Elsewhere the higher SEQUENCE counts, then the later DTSTAMP, which is
  kept beside ORGANIZER (X-CALDAVD-STAMP), because clients write DTSTAMP anew on every change of their own.
- A meeting that the attendee has declined and removed does not come back with the next update, unless the organizer
  asks again by SCHEDULE-FORCE-SEND, or anew after a reschedule.
- Nor does one come back that they removed without a word (Schedule-Reply: F) because somebody else has answered.
- A REQUEST from an attendee is a delegation or nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import line_text
from scheduling.ical.values import moment_of
from scheduling.itip.amending import Amendments
from scheduling.itip.consequences import merged
from scheduling.itip.copying import anchor, end_of_components, moment_line, named
from scheduling.itip.outcome import DELIVERED, NO_AUTHORITY, REJECTED, Applied
from scheduling.itip.personal import arriving
from scheduling.itip.proposals import refresh_request
from scheduling.itip.rewriting import answer

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from scheduling.itip.message import Message
    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Rid, Snapshot

_BOTH_MISSING: Final = "The message does not name its recipient among the attendees; a person may know why it came."


def request(message: Message, update: Snapshot, stored: Snapshot | None, recipient: Actor, *, now: datetime) -> Applied:
    """A REQUEST (RFC 5546 3.2.2, 3.4.2), or a PUBLISH (3.2.1, 3.4.1, 3.5.1)."""
    refused = _not_from_organizer(message, update, stored, recipient)
    if refused is not None:
        return refused
    me = recipient.addresses & update.addresses
    if message.method == "REQUEST" and not me:
        return Applied("ignore", DELIVERED, _BOTH_MISSING, inbox=True)
    if stored is None:
        return _create(message, update, me)
    if stored.organizer is not None and stored.organizer.agent != "SERVER":
        return Applied("ignore", DELIVERED, "The recipient's client handles this meeting itself.", inbox=True)
    orders = {} if message.in_order else _orders(update, stored)
    outdated = frozenset(rid for rid, order in orders.items() if order < 0)
    if outdated and 1 not in orders.values():
        return Applied("ignore", DELIVERED, "The message is older than what the recipient has (RFC 5546 2.1.5).")
    if update.master is None and stored.master is not None:
        missing = [rid for rid in update.overrides if not stored.has_instance(rid) and rid not in stored.exdates]
        if missing:
            onward = refresh_request(stored, recipient, now=now)
            reason = (
                "The message is about an instance that the recipient does not have; the organizer is asked (4.7.2)."
            )
            return Applied("ignore", DELIVERED, reason, onward=onward)
    text, news = merged(stored, update, me, in_order=message.in_order, outdated=outdated)
    return _updated(message, stored, text, news=news)


def _updated(message: Message, stored: Snapshot, text: bytes, *, news: bool) -> Applied:
    if text == stored.source:
        return Applied("ignore", DELIVERED, "The recipient has this already.", inbox=message.forced)
    reason = (
        "The recipient's copy was updated." if news else "Answers of others were written into the recipient's copy."
    )
    return Applied("update", DELIVERED, reason, text, inbox=news or message.forced, significant=news)


def _create(message: Message, update: Snapshot, me: AbstractSet[str]) -> Applied:
    answers = {answer(update, rid, one) for rid in update.parts for one in me} - {None}
    if answers == {"DECLINED"} and not message.forced:
        return Applied(
            "ignore", DELIVERED, "The recipient declined this meeting and removed it; it does not come back."
        )
    if message.quiet:
        return Applied("ignore", DELIVERED, "The recipient does not have the meeting that others have answered.")
    if all(part.cancelled for part in update.parts.values()):
        return Applied("ignore", DELIVERED, "The meeting is cancelled, and the recipient does not have it.")
    text = stored_text(update, in_order=message.in_order)
    reason = "The invitation was put into the recipient's calendar."
    return Applied("create", DELIVERED, reason, text, inbox=True, significant=True)


@lru_cache(maxsize=4)
def stored_text(update: Snapshot, *, in_order: bool) -> bytes:
    """What a message is as a calendar object: without METHOD (RFC 4791 4.1) and what its sender should have kept."""
    work = Amendments(update.source)
    for line in update.calendar.properties:
        if line.name == "METHOD":
            work.remove(line)
    if not in_order:  # what is made here has nothing to take out
        for part in update.parts.values():
            work.remove(part.component)
            work.put(part.component.start, arriving(update, part, in_order=False, personal=True))
    return work.made()[update.calendar.start :]


def _not_from_organizer(
    message: Message, update: Snapshot, stored: Snapshot | None, recipient: Actor
) -> Applied | None:
    """What is done about a message whose sender may not say this; None where they may."""
    organizer = update.organizer
    assert organizer is not None
    if organizer.address in recipient.addresses:
        return Applied("ignore", REJECTED, "The recipient organizes this meeting; only they can change it.")
    if stored is not None and (stored.organizer is None or stored.organizer.address != organizer.address):
        was = "nobody" if stored.organizer is None else stored.organizer.address
        reason = f"The message names {organizer.address} as organizer, the recipient's copy {was} (RFC 5546 6.1.3)."
        return Applied("ignore", NO_AUTHORITY, reason, inbox=True)
    if message.sender == organizer.address or message.sender in organizer.addresses("SENT-BY"):
        return None
    if message.method == "REQUEST" and _is_delegation(message, update):
        if stored is None:
            return None
        return Applied("ignore", DELIVERED, "The recipient is invited already; the organizer will tell more.")
    reason = f"{message.sender} is not the organizer {organizer.address} (RFC 5546 6.1.1)."
    return Applied("ignore", NO_AUTHORITY, reason)


def _is_delegation(message: Message, update: Snapshot) -> bool:
    """Whether the sender has delegated every instance in the message to the recipient (RFC 5546 3.2.2.3)."""
    for part in update.parts.values():
        delegator, delegate = part.by_address.get(message.sender), part.by_address.get(message.recipient)
        if delegator is None or delegate is None or delegator.partstat != "DELEGATED":
            return False
        if message.recipient not in delegator.addresses("DELEGATED-TO"):
            return False
    return True


def _orders(update: Snapshot, stored: Snapshot) -> dict[Rid, int]:
    """Which components of ``update`` are newer (1) or older (-1) than what is there (RFC 5546 2.1.5)."""
    orders = {rid: _order(part, stored.parts[rid]) for rid, part in update.parts.items() if rid in stored.parts}
    if not orders and stored.master is not None:
        orders = {rid: _order(part, stored.master) for rid, part in update.parts.items()}
    return orders


def _order(new: Part, old: Part) -> int:
    if new.sequence != old.sequence:
        return 1 if new.sequence > old.sequence else -1
    stamp = old.organizer.stamp if old.organizer is not None else ""
    if not stamp or not new.dtstamp or stamp == new.dtstamp:
        return 0
    return 1 if new.dtstamp > stamp else -1


# --- ADD -------------------------------------------------------------------------------------------------------------


def add(message: Message, update: Snapshot, stored: Snapshot | None, recipient: Actor, *, now: datetime) -> Applied:
    """An ADD: its component counts as if an RDATE in the series named it (RFC 5546 3.2.4, 3.4.4, 3.5.2)."""
    refused = _not_from_organizer(message, update, stored, recipient)
    if refused is not None:
        return refused
    part = update.master
    if part is None:
        return Applied("ignore", DELIVERED, "An ADD has no RECURRENCE-ID (RFC 5546 3.2.4).")
    if stored is None:
        if update.kind == "VJOURNAL":  # RFC 5546 3.5.2: MAY treat the ADD as a PUBLISH
            return _create(message, update, frozenset())
        onward = refresh_request(update, recipient, now=now)
        reason = "An instance is added to a series that the recipient does not have; the organizer is asked."
        return Applied("ignore", DELIVERED, reason, onward=onward)
    master = stored.master
    if master is None:
        onward = refresh_request(stored, recipient, now=now)
        return Applied(
            "ignore", DELIVERED, "The recipient has no series to add to; the organizer is asked.", onward=onward
        )
    if part.sequence <= master.sequence:
        return Applied("ignore", DELIVERED, "The instance was added before (RFC 5546 2.1.4).")
    line = anchor(part.component)
    if line is None:
        return Applied("ignore", DELIVERED, "An ADD says with DTSTART when the instance is (RFC 5546 3.2.4).")
    text = _with_instance(stored, update, part, stored.rid_of(moment_of(line)), in_order=message.in_order)
    return _updated(message, stored, text, news=True)


def _with_instance(stored: Snapshot, update: Snapshot, part: Part, rid: int, *, in_order: bool) -> bytes:
    master = stored.master
    assert master is not None
    work = Amendments(stored.source)
    if not stored.has_instance(rid):
        at = anchor(master.component)
        assert at is not None
        work.put(at.end, [line_text(moment_line(stored, "RDATE", rid))])
    work.property(master.component, "SEQUENCE", str(part.sequence))
    lines = arriving(update, part, in_order=in_order, personal=True)
    at_start = next(index for index, one in enumerate(lines) if named(one) in ("DTSTART", "DUE"))
    lines.insert(at_start, line_text(moment_line(stored, "RECURRENCE-ID", rid)))
    known = stored.parts.get(rid)
    if known is not None:
        work.remove(known.component)
    work.put(end_of_components(stored.calendar), lines)
    return work.made()
