"""The rules of scheduling, as a whole: what follows from a change, and what becomes of a message.

Owns RFC 6638 3.1 (whose scheduling object is it?), 3.2.3.1 (create, modify or remove), 3.2.4.2
(``same-organizer-in-all-components``), 3.2.10.1 (merging what arrived meanwhile) and 7.3 (SCHEDULE-STATUS). Pure: texts
and the time come in, texts and messages go out. Finding the recipients' objects, privileges, delivery and inboxes are
the scheduler's, and so are ``unique-scheduling-object-resource`` and ``default-calendar-needed``.

The package is the door; one module of it is one rule. ``snapshot`` is a meeting as all of them see it, ``outcome`` and
``message`` what they say. Changes: ``organizer`` (``rewriting``, ``revision``, ``views``, ``crowds``, ``groups``) and
``attendee`` (``own_copy``, ``allowance``, ``unseen``, ``answering``). What comes in: ``inbound``, and from there
``updates`` (``merging``, ``consequences``), ``cancellations``, ``replies``, ``proposals``. To whom a line belongs, and
how it is carried over: ``ownership``, ``personal``, ``comparing``, ``copying``, ``amending``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from scheduling.itip import allowance, attendee, organizer, rewriting
from scheduling.itip.amending import Amendments
from scheduling.itip.inbound import incoming
from scheduling.itip.message import Message, received
from scheduling.itip.outcome import Actor, Applied, Outgoing, Refusal
from scheduling.itip.snapshot import read
from scheduling.itip.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import Mapping, Set as AbstractSet
    from datetime import datetime

    from scheduling.itip.snapshot import Snapshot

__all__ = [
    "Actor",
    "Applied",
    "Message",
    "Outgoing",
    "Refusal",
    "announced",
    "incoming",
    "merged_with_unseen",
    "misunderstood",
    "outgoing",
    "received",
    "refresh",
    "role",
    "with_statuses",
]

Role = Literal["none", "organizer", "attendee"]

SAME_ORGANIZER: Final = "same-organizer-in-all-components"  # RFC 6638 3.2.4.2
#: The kinds that RFC 6638 schedules ("events … to-dos", 1); a VJOURNAL is only published (RFC 5546 3.5).
_KINDS: Final = frozenset({"VEVENT", "VTODO"})


def role(text: bytes | None, actor: Actor) -> Role:
    """What ``actor`` is in the object ``text`` (RFC 6638 3.1): "none" where it is no scheduling object of theirs."""
    return _role(None if text is None else read(text), actor)


def _role(snapshot: Snapshot | None, actor: Actor) -> Role:
    if snapshot is None or snapshot.organizer is None or snapshot.kind not in _KINDS:
        return "none"
    if snapshot.organizer.address in actor.addresses:
        return "organizer"
    return "attendee" if snapshot.addresses & actor.addresses else "none"


def outgoing(before: bytes | None, after: bytes | None, actor: Actor, *, now: datetime, reply: bool = True) -> Outgoing:
    """What follows when ``actor``'s object changes from ``before`` to ``after``; None: it was, or is, not there.

    ``now`` becomes DTSTAMP. ``reply`` is the Schedule-Reply header (RFC 6638 8.1). Raises ICalendarError for a text
    that cannot be read.
    """
    old = None if before is None else read(before)
    new = None if after is None else read(after)
    was, becomes = _role(old, actor), _role(new, actor)
    refusal = _refusal(old, new, was, becomes, actor)
    if refusal is not None:
        return Outgoing(was if was != "none" else becomes, refused=refusal)
    match (was, becomes):
        case ("none", "none"):
            out = Outgoing("none", reason="This is no meeting of the owner's.")
        case (_, "organizer"):
            out = organizer.changes(old if was == "organizer" else None, new, actor, now=now)
        case (_, "attendee"):
            out = attendee.changes(old if was == "attendee" else None, new, actor, now=now, reply=reply)
        case ("organizer", _):  # RFC 6638 3.2.3.1: from scheduling object to calendar object is Remove
            out = organizer.changes(old, None, actor, now=now)
        case _:
            out = attendee.changes(old, None, actor, now=now, reply=reply)
    # Texts are read once and remembered, so that an equal one may be another object.
    return replace(out, text=after) if out.text is None or out.text == after else out


def _refusal(old: Snapshot | None, new: Snapshot | None, was: Role, becomes: Role, actor: Actor) -> Refusal | None:
    """What no change of a meeting may do to its ORGANIZER."""
    if new is None:
        return None
    concerned = was != "none" or becomes != "none" or any(one in actor.addresses for one in new.organizers)
    if len(new.organizers) > 1 and concerned:
        names = " and ".join(new.organizers[:2])
        sentence = f"The components have different organizers, {names} (RFC 6638 3.2.4.2)."
        return Refusal(SAME_ORGANIZER, sentence)
    if old is None or new.organizer is None:
        return None
    if was == "organizer" and becomes != "organizer":
        sentence = "A meeting cannot be handed over by naming another organizer; they send an invitation of their own."
        return Refusal(rewriting.CONDITION, sentence)
    if was == "attendee" and becomes == "organizer":
        return Refusal(allowance.CONDITION, "An attendee cannot make themselves the organizer (RFC 6638 3.2.2.1).")
    return None


def merged_with_unseen(stored: bytes, sent: bytes, actor: Actor) -> bytes:
    """``sent`` with the answers that reached ``stored`` meanwhile (RFC 6638 3.2.10.1), to be given to ``outgoing``.

    For a PUT whose If-Schedule-Tag-Match holds, and for one without any condition. The very same text where the client
    knows them all.
    """
    return unseen(stored, sent, actor.addresses)


def refresh(text: bytes, actor: Actor, *, now: datetime, to: AbstractSet[str] | None = None) -> tuple[Message, ...]:
    """The meeting that ``actor`` organizes, as it stands, for all attendees or for ``to`` (RFC 5546 3.2.2).

    For many replies that were written down without their ``onward``. Empty where it is no meeting of theirs.
    """
    snapshot = read(text)
    if snapshot is None or _role(snapshot, actor) != "organizer":
        return ()
    return organizer.refresh(snapshot, actor, now=now, to=to)


def announced(
    before: bytes | None,
    after: bytes,
    actor: Actor,
    *,
    to: AbstractSet[str],
    forced: AbstractSet[str] = frozenset(),
    now: datetime,
) -> tuple[Message, ...]:
    """The messages to the attendees ``to`` for the organizer's change from ``before`` to ``after``.

    ``after`` is what ``outgoing`` gave, with what others have answered at once written into it (rooms do). ``forced``
    are those to whom the organizer wants to send in any case (RFC 6638 7.2).
    """
    old, new = None if before is None else read(before), read(after)
    if new is None:
        return ()
    known = old if _role(old, actor) == "organizer" else None
    return organizer.announced(known, new, actor, to=to, forced=forced, now=now)


def misunderstood(text: bytes, *, on: Literal["attendee", "organizer"]) -> frozenset[str]:
    """Whose lines in ``text``, as a client sent it, have a SCHEDULE-FORCE-SEND that is not known (RFC 6638 7.2).

    Their SCHEDULE-STATUS "MUST" say so (``outcome.PARAM_IGNORED``), also where a message has been delivered to them.
    """
    snapshot = read(text)
    found: set[str] = set()
    for part in () if snapshot is None else snapshot.parts.values():
        for party in part.attendees if on == "attendee" else (part.organizer,):
            if party is not None and party.agent == "SERVER" and party.forced not in ("", "REQUEST", "REPLY"):
                found.add(party.address)
    return frozenset(found)


def with_statuses(text: bytes, statuses: Mapping[str, str], *, on: Literal["attendee", "organizer"]) -> bytes:
    """``text`` with SCHEDULE-STATUS on the lines of the addresses in ``statuses`` (RFC 6638 7.3).

    ``statuses`` are by address in normal form; several codes are separated by commas. Lines that say so already stay as
    they are written.
    """
    snapshot = read(text)
    if snapshot is None:
        return text
    work = Amendments(snapshot.source)
    for part in snapshot.parts.values():
        parties = part.attendees if on == "attendee" else (part.organizer,)
        for party in parties:
            status = None if party is None else statuses.get(party.address)
            if party is not None and status and party.line.param("SCHEDULE-STATUS") != status:
                work.param(party.line, "SCHEDULE-STATUS", status)
    return work.made()
