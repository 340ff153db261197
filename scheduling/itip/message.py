"""iTIP messages: what travels, and how the texts are made.

Owns RFC 5546 3.1 (what a message is), 3.2 and 3.4 (what each method holds) and RFC 6638 3.2.5 and 7.1 to 7.3 (DTSTAMP;
which parameters never travel). Who gets which is in ``organizer`` and ``attendee``; proposals and questions (ADD,
REFRESH, COUNTER, DECLINECOUNTER, PUBLISH) are in ``proposals``.

A text is made once for all recipients that see the same, so that ten thousand invitations hold one text.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.join import PRODID
from scheduling.ical.lines import ContentLine, ICalendarError, amend, escape, fold, line_text, parse, text as unescape
from scheduling.ical.zone_text import vtimezone
from scheduling.itip.copying import derived, moment_line, named, raw, raw_lines, with_params
from scheduling.itip.ownership import LOCAL_PARAMS, PARTIES, PERSONAL_COMPONENTS, is_private
from scheduling.itip.snapshot import SCHEDULED, Snapshot, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scheduling.itip.snapshot import Part, Rid

#: RFC 5546 1.4.
ORGANIZER_METHODS: Final = frozenset({"PUBLISH", "REQUEST", "ADD", "CANCEL", "DECLINECOUNTER"})
ATTENDEE_METHODS: Final = frozenset({"REPLY", "REFRESH", "COUNTER"})
METHODS: Final = ORGANIZER_METHODS | ATTENDEE_METHODS

#: RFC 5546 3: which kinds of component a method is for.
_ALL: Final = frozenset(SCHEDULED)
_ANSWERED: Final = frozenset({"VEVENT", "VTODO"})
KINDS_OF: Final = {
    "PUBLISH": _ALL,
    "REQUEST": _ANSWERED,
    "REFRESH": _ANSWERED,
    "CANCEL": _ALL,
    "ADD": _ALL,
    "REPLY": _ANSWERED,
    "COUNTER": _ANSWERED,
    "DECLINECOUNTER": _ANSWERED,
}

SUCCESS: Final = "2.0;Success"  # RFC 5546 3.6.1


@dataclass(frozen=True, slots=True)
class Message:
    """One iTIP message to one recipient.

    ``sender`` and ``recipient`` are addresses in normal form; ``recurrence_ids`` are the instances it is about
    (instants, None for the whole); ``dtstamp`` is when it was made. ``in_order`` says that what the sender sent before
    has been applied: true inside one database, not so by mail. ``forced`` says that the sender asked for it by
    SCHEDULE-FORCE-SEND (RFC 6638 7.2), ``quiet`` that it only tells what somebody else has answered: copies here
    follow, but nobody wants a mail for each answer.
    """

    method: str
    uid: str
    sender: str
    recipient: str
    text: bytes = field(repr=False)
    sequence: int
    dtstamp: datetime
    recurrence_ids: tuple[Rid, ...] = (None,)
    in_order: bool = True
    forced: bool = False
    quiet: bool = False

    @property
    def key(self) -> str:
        """The same for the same message, and for no other: by it a second delivery is known."""
        head = f"{self.method}\0{self.uid}\0{self.sender}\0{self.recipient}".encode()
        return hashlib.sha256(head + b"\0" + self.text).hexdigest()


def received(text: bytes, *, sender: str, recipient: str, now: datetime) -> Message:
    """The message that came in from elsewhere as ``text``. Raises ICalendarError for what is none.

    ``sender`` and ``recipient`` are what the transport says, and are what counts.
    """
    calendar = parse(text)
    method = calendar.first("METHOD")
    if method is None:
        raise ICalendarError("There is no METHOD: this is no scheduling message (RFC 5546 3).", calendar.line)
    name = method.value.strip().upper()
    if name not in METHODS:
        raise ICalendarError(f'METHOD "{name[:40]}" is not known (RFC 5546 1.4).', method.line)
    snapshot = read(text)
    if snapshot is None:
        raise ICalendarError("There is neither ORGANIZER nor ATTENDEE in this message.", calendar.line)
    check(snapshot, name)
    stamp = max(part.dtstamp for part in snapshot.parts.values())
    return Message(
        name,
        snapshot.uid,
        normal(sender),
        normal(recipient),
        text,
        snapshot.sequence,
        _instant(stamp) or now,
        tuple(snapshot.parts),
        in_order=False,
    )


def _instant(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp.removesuffix("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def check(snapshot: Snapshot, method: str) -> None:
    """What every message of ``method`` must be (RFC 5546 3.2, 3.4, 3.5). Raises ICalendarError with a sentence.

    What only makes it poorer (no DTSTAMP, no SUMMARY) is let through: RFC 5546 4 itself has such messages.
    """
    if snapshot.kind not in KINDS_OF[method]:
        raise ICalendarError(f"{method} is not for {snapshot.kind} (RFC 5546 3).")
    if not snapshot.uid.strip():
        raise ICalendarError("The message has no UID.", snapshot.calendar.line)
    for part in snapshot.parts.values():
        component = part.component
        if component.name != snapshot.kind:
            raise ICalendarError("A message has components of one kind (RFC 5546 1.4).", component.line)
        uid = component.first("UID")
        if uid is None or unescape(uid.value) != snapshot.uid:
            raise ICalendarError("A message has components of one UID (RFC 5546 3.2.2).", component.line)
    if len(snapshot.organizers) > 1:
        raise ICalendarError("The components of the message have different ORGANIZERs.", snapshot.calendar.line)
    if method in ATTENDEE_METHODS and not snapshot.addresses:
        raise ICalendarError(f"A {method} says with ATTENDEE who sends it (RFC 5546 3.2.3).", snapshot.calendar.line)
    if method in ORGANIZER_METHODS and snapshot.organizer is None:
        raise ICalendarError(f"A {method} has an ORGANIZER (RFC 5546 3.2.2).", snapshot.calendar.line)


def stamped(now: datetime) -> str:
    """``now`` as DTSTAMP (RFC 5545 3.8.7.2)."""
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


# --- making texts ----------------------------------------------------------------------------------------------------


def party_line(source: bytes, line: ContentLine) -> str:
    """An ORGANIZER or ATTENDEE as it may travel (RFC 6638 7.1, 7.2, 7.3)."""
    local = {key: None for key, _ in line.params if key in LOCAL_PARAMS}
    if not local:
        return raw(source, line)
    new = amend(source, line, local).new[0]
    assert isinstance(new, str)
    return new


def organizer_lines(snapshot: Snapshot) -> list[str]:
    """ORGANIZER as it may travel; every component of a message has it (RFC 5546 3.2), unlike those of an object."""
    organizer = snapshot.organizer
    return [] if organizer is None else [party_line(snapshot.source, organizer.line)]


def shown(snapshot: Snapshot, part: Part, now: datetime, *, exdates: Iterable[int] = ()) -> list[str]:
    """``part`` as others see it, line by line: without what belongs to its owner, with DTSTAMP ``now``.

    ``exdates`` are instances of the series that the recipient has no part in (RFC 6638 3.2.6).
    """
    source, component = snapshot.source, part.component
    out = [f"BEGIN:{component.name}", f"DTSTAMP:{stamped(now)}"]
    for line in component.properties:
        if line.name == "DTSTAMP" or is_private(line):
            continue
        out.append(party_line(source, line) if line.name in PARTIES else raw(source, line))
    out += [line_text(moment_line(snapshot, "EXDATE", rid)) for rid in exdates]
    if part.organizer is None:
        out += organizer_lines(snapshot)
    if component.first("SUMMARY") is None:  # RFC 5546 3.2.2: "1, can be null"
        out.append("SUMMARY:")
    if component.name == "VTODO" and component.first("PRIORITY") is None:  # RFC 5546 3.4.2
        out.append("PRIORITY:0")
    for inner in component.components:
        if inner.name not in PERSONAL_COMPONENTS:
            out += raw_lines(source, inner)
    return [*out, f"END:{component.name}"]


#: What a CANCEL tells of the instance besides who and which, so that a person knows what is meant (RFC 5546 3.2.5).
_TOLD: Final = frozenset({"DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY", "LOCATION"})


def cancelled(
    snapshot: Snapshot, rid: Rid, now: datetime, *, sequence: int, attendees: Collection[str], whole: bool
) -> list[str]:
    """The component of a CANCEL for ``rid`` (RFC 5546 3.2.5).

    ``whole``: the instance is cancelled for everybody and STATUS says so; otherwise the ``attendees`` (addresses in
    normal form, the only ones that are named then) are taken off it.
    """
    part = snapshot.parts.get(rid)
    base = part or snapshot.master
    assert base is not None
    source = snapshot.source
    kind = base.component.name
    out = [f"BEGIN:{kind}", f"UID:{escape(snapshot.uid)}", f"DTSTAMP:{stamped(now)}", f"SEQUENCE:{sequence}"]
    if part is None:
        assert rid is not None
        made = derived(snapshot, rid) or [line_text(moment_line(snapshot, "RECURRENCE-ID", rid))]
        out += [one for one in made if named(one) in _TOLD or named(one) == "RECURRENCE-ID"]
    else:
        told = [line for line in part.component.properties if line.name in _TOLD or line.name == "RECURRENCE-ID"]
        out += [
            with_params(raw(source, line), {"RANGE": None}) if line.param("RANGE") else raw(source, line)
            for line in told
        ]
    out += organizer_lines(snapshot)
    out += [
        party_line(source, party.line)
        for party in base.attendees
        if kind != "VJOURNAL" and (whole or party.address in attendees)
    ]
    if whole:
        out.append("STATUS:CANCELLED")
    return [*out, f"END:{kind}"]


_TZID: Final = re.compile(r';TZID=("[^"]*"|[^";:]*)', re.IGNORECASE)


def envelope(snapshot: Snapshot, method: str, components: Sequence[Sequence[str]]) -> bytes:
    """The text of a message: METHOD first, then the time zones that the components refer to, then these.

    A zone of the IANA database that ``snapshot`` names without a definition gets one: it "MUST be present" (RFC 5546
    3.1.2), and not everybody has that database.
    """
    source, calendar = snapshot.source, snapshot.calendar
    out = ["BEGIN:VCALENDAR", f"METHOD:{method}", "VERSION:2.0", f"PRODID:{escape(PRODID)}"]
    scale = calendar.first("CALSCALE")
    if scale is not None:
        out.append(raw(source, scale))
    used = {match[1].strip('"') for component in components for line in component for match in _TZID.finditer(line)}
    for zone in calendar.components:
        if zone.name == "VTIMEZONE" and any(line.value.strip() in used for line in zone.all("TZID")):
            out += raw_lines(source, zone)
            used -= {line.value.strip() for line in zone.all("TZID")}
    for tzid in sorted(used):
        with suppress(ValueError):
            out += vtimezone(tzid)
    for component in components:
        out += component
    out.append("END:VCALENDAR")
    return b"".join(map(fold, out))
