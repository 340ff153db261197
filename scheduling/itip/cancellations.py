"""CANCEL, as it comes to an attendee: the copy goes, or some of its instances.

Owns RFC 6638 4.1 for cancellations, RFC 5546 3.2.5, 3.4.5, 3.5.3 (with RANGE=THISANDFUTURE) and 4.2.9 (out of order).

Decisions where the RFCs leave a choice:

- A meeting that is cancelled as a whole is deleted from the attendee's calendar, and the message in the inbox says so;
  a cancelled instance becomes an EXDATE. When no instance is left, the copy goes.
- A CANCEL without STATUS that names others only takes these off the meeting (RFC 5546 4.2.10); it is not for us.
- A CANCEL for what is not there is left in the inbox where it came by a transport that does not keep order and its
  SEQUENCE is not 0 (RFC 5546 5.2.1: "held and not discarded"), else it is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import line_text
from scheduling.ical.values import Period, moment_of, moments_of
from scheduling.itip.amending import Amendments
from scheduling.itip.copying import anchor, before, moment_line
from scheduling.itip.outcome import DELIVERED, NO_AUTHORITY, REJECTED, Applied
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from scheduling.itip.message import Message
    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Snapshot

_ENDS: Final = re.compile(r";?(?:COUNT|UNTIL)=[^;]*", re.IGNORECASE)


def cancel(message: Message, incoming: Snapshot, stored: Snapshot | None, recipient: Actor) -> Applied:
    """A CANCEL (RFC 5546 3.2.5)."""
    organizer = incoming.organizer
    assert organizer is not None
    if message.sender != organizer.address and message.sender not in organizer.addresses("SENT-BY"):
        reason = f"{message.sender} is not the organizer {organizer.address} (RFC 5546 6.1.1)."
        return Applied("ignore", NO_AUTHORITY, reason)
    if organizer.address in recipient.addresses:
        return Applied("ignore", REJECTED, "The recipient organizes this meeting; only they can cancel it.")
    if stored is None:
        held = not message.in_order and message.sequence > 0
        return Applied("ignore", DELIVERED, "The recipient does not have what is cancelled.", inbox=held)
    if stored.organizer is None or stored.organizer.address != organizer.address:
        reason = "Somebody else organizes the meeting that the recipient has (RFC 5546 6.1.3)."
        return Applied("ignore", NO_AUTHORITY, reason, inbox=True)
    if stored.organizer.agent != "SERVER":
        return Applied("ignore", DELIVERED, "The recipient's client handles this meeting itself.", inbox=True)
    parts = [part for part in incoming.parts.values() if _concerns(part, recipient.addresses)]
    if not parts:
        return Applied("ignore", DELIVERED, "Others were taken off the meeting, not the recipient.")
    if not message.in_order:
        parts = [part for part in parts if part.sequence >= _known(stored, part)]
        if not parts:
            return Applied(
                "ignore", DELIVERED, "The cancellation is older than what the recipient has (RFC 5546 4.2.9)."
            )
    if any(part.rid is None for part in parts):
        return _delete("The meeting was cancelled and taken out of the recipient's calendar.")
    return _cancel_instances(stored, parts)


def _delete(reason: str) -> Applied:
    return Applied("delete", DELIVERED, reason, inbox=True, significant=True)


def _concerns(part: Part, me: AbstractSet[str]) -> bool:
    """Whether everybody is meant, or the recipient is among those who are (RFC 5546 3.2.5, 4.2.10)."""
    return part.cancelled or not part.attendees or bool(me & part.by_address.keys())


def _known(stored: Snapshot, part: Part) -> int:
    own = stored.describing(part.rid)
    return 0 if own is None else own.sequence


def _cancel_instances(stored: Snapshot, parts: list[Part]) -> Applied:
    work = Amendments(stored.source)
    master = stored.master
    gone = {part.rid for part in parts if part.rid is not None and not part.future}
    since = min((part.rid for part in parts if part.rid is not None and part.future), default=None)
    if master is not None and since is not None and since <= _first(stored, master):
        return _delete("All instances were cancelled; the meeting was taken out of the recipient's calendar.")
    out = {rid for rid in gone if stored.has_instance(rid)}
    for rid, own in stored.overrides.items():
        if rid in gone or (since is not None and rid >= since):
            work.remove(own.component)
            out.add(rid)
    if master is not None:
        _leave_out(work, stored, master, out & gone - stored.exdates)
        if since is not None:
            _end_series(work, stored, master, since)
    news = bool(work)
    sequence = max(part.sequence for part in parts)
    if master is not None and (news or gone & stored.exdates) and sequence > master.sequence:
        work.property(master.component, "SEQUENCE", str(sequence))
    if not work:
        return Applied("ignore", DELIVERED, "The recipient does not have the instances that are cancelled.")
    text = work.made()
    if not news:
        reason = "The recipient had left out what is cancelled; the revision was written down."
        return Applied("update", DELIVERED, reason, text)
    after = read(text) if stored.parts.keys() - out else None
    if after is None or after.is_empty():
        return _delete("The last instance was cancelled; the meeting was taken out of the recipient's calendar.")
    reason = "Cancelled instances were taken out of the recipient's copy."
    return Applied("update", DELIVERED, reason, text, inbox=True, significant=True)


def _first(stored: Snapshot, master: Part) -> int:
    line = anchor(master.component)
    return 0 if line is None else stored.rid_of(moment_of(line))


def _leave_out(work: Amendments, stored: Snapshot, master: Part, rids: set[int]) -> None:
    """The series gets an EXDATE for each of ``rids``."""
    lines = [line_text(moment_line(stored, "EXDATE", rid)) for rid in sorted(rids)]
    at = master.component.first("EXDATE") or master.component.first("RRULE") or master.component.first("DTSTART")
    if lines:
        work.put(master.component.body if at is None else at.end, lines)


def _end_series(work: Amendments, stored: Snapshot, master: Part, since: int) -> None:
    """RANGE=THISANDFUTURE: the series ends before ``since`` (RFC 5546 3.2.5)."""
    timing = stored.timing(master)
    for line in master.component.properties:
        if line.name == "RRULE" and timing is not None:
            rule = _ENDS.sub("", line.value).strip(";")
            work.value(line, f"{rule};UNTIL={before(since, timing.form, timing.zone)}")
        elif line.name == "RDATE":
            values = line.value.split(",")
            kept = [
                text
                for text, value in zip(values, moments_of(line), strict=False)
                if stored.rid_of(value.start if isinstance(value, Period) else value) < since
            ]
            if not kept:
                work.remove(line)
            elif len(kept) < len(values):
                work.value(line, ",".join(kept))
