"""REPLY, as it comes to the organizer: one attendee's answer, written into the organizer's object.

Owns RFC 6638 4.2, RFC 5546 3.2.3, 3.4.3, 2.1.5 for replies, 5.2.2 (unknown delegates) and the organizer's side of
caldav-privatecomments.

Decisions where the RFCs leave a choice:

- What is changed is PARTSTAT, DELEGATED-TO and SCHEDULE-STATUS of whoever sent it, on their line; an answer to one
  instance of a series makes an override where it differs from their answer to the series.
- Nobody gets in by a reply (party crashers, RFC 5546 3.2.2.6): it is left in the inbox for the organizer to decide. A
  delegate gets in when the delegator says so.
- A reply to a revision that has been replaced does not count; the sender gets the present one (RFC 5546 5.2.2). Of two
  replies to one revision the one with the later DTSTAMP counts; it is kept beside ATTENDEE (X-CALDAVD-REPLIED) for
  those that come by a transport that does not keep order.
- PERCENT-COMPLETE and COMPLETED in the reply to a to-do are about the attendee's part of it; they stay in the message,
  which the inbox has. The organizer's own values are the organizer's (RFC 5546 4.5.6).
- REQUEST-STATUS without PARTSTAT (RFC 5546 4.4.10) tells of an error and changes no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.lines import OBJECT_LIMITS, ContentLine, insert_properties, line_text
from scheduling.itip.amending import Amendments
from scheduling.itip.copying import with_params
from scheduling.itip.message import party_line, stamped
from scheduling.itip.organizer import updates_for_others
from scheduling.itip.outcome import DELIVERED, NO_AUTHORITY, NO_WAY, REJECTED, SUCCESS, Applied
from scheduling.itip.ownership import ATTENDEE_COMMENT, PRIVATE_COMMENT, REPLIED
from scheduling.itip.proposals import answer_to_refresh
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from datetime import datetime

    from scheduling.itip.message import Message
    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Party, Rid, Snapshot

_TOKEN: Final = re.compile(r"[A-Z0-9-]{1,40}")
_CODE: Final = re.compile(r"\s*(\d{1,2}(?:\.\d{1,2}){1,2})")
#: So many people one reply may bring along as delegates.
MOST_DELEGATES: Final = 5
#: So many codes of REQUEST-STATUS are kept.
_MOST_CODES: Final = 5
_NO_COPY: Final = "The recipient does not have the meeting that is answered (RFC 6638 4.2)."


def reply(message: Message, incoming: Snapshot, stored: Snapshot | None, recipient: Actor, *, now: datetime) -> Applied:
    """A REPLY (RFC 6638 4.2)."""
    if stored is None:
        return Applied("ignore", NO_WAY, _NO_COPY)
    organizer = stored.organizer
    if organizer is None or organizer.address not in recipient.addresses:
        return Applied("ignore", REJECTED, "The recipient does not organize the meeting that is answered.")
    if incoming.organizer is not None and incoming.organizer.address not in recipient.addresses | {organizer.address}:
        return Applied("ignore", REJECTED, "The reply is for another organizer.")
    work = _Reply(message, incoming, stored, now)
    for rid, part in incoming.parts.items():
        work.take(rid, part)
    return work.applied(recipient)


@dataclass(slots=True)
class _Answer:
    """What the reply says of one instance."""

    rid: Rid
    part: Part
    party: Party
    partstat: str | None


@dataclass(slots=True)
class _Reply:
    """One reply at work."""

    message: Message
    incoming: Snapshot
    stored: Snapshot
    now: datetime
    answers: list[_Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: To a revision that has been replaced; and before an answer that is known.
    outdated: bool = False
    overtaken: bool = False
    crashed: bool = False
    forged: bool = False

    def take(self, rid: Rid, part: Part) -> None:
        """Judge one component of the reply."""
        sender = self.message.sender
        party = part.by_address.get(sender) or next(
            (one for one in part.attendees if sender in one.addresses("SENT-BY")), None
        )
        if party is None:
            self.forged = True
            self.problems.append(f"{sender} answers for somebody else (RFC 5546 6.1.2).")
            return
        base = self.stored.describing(rid)
        if base is None or not self.stored.has_instance(rid):
            self.problems.append("The meeting has no such instance.")
            return
        known = base.by_address.get(party.address)
        if known is None:
            self.crashed = True
            self.problems.append(f"{party.address} is not invited to this (RFC 5546 3.2.2.6).")
            return
        if not self.message.in_order:
            if part.sequence < base.sequence:
                self.outdated = True
                self.problems.append("The reply is to a revision that has been replaced (RFC 5546 2.1.5).")
                return
            # What was answered to the series is no answer to this instance (RFC 5546 2.1.5, item 1).
            if base.rid == rid and _stamp_of(part) < (known.line.param(REPLIED) or ""):
                self.overtaken = True
                self.problems.append("The reply is older than the one that is known (RFC 5546 2.1.5).")
                return
        given = (party.line.param("PARTSTAT") or "").strip().upper()
        partstat = given if _TOKEN.fullmatch(given) else None
        self.answers.append(_Answer(rid, part, party, partstat))

    def applied(self, recipient: Actor) -> Applied:
        """What comes of it."""
        trouble = " ".join(dict.fromkeys(self.problems))
        if not self.answers:
            if self.forged:
                return Applied("ignore", NO_AUTHORITY, trouble)
            if self.crashed:
                return Applied("ignore", DELIVERED, trouble, inbox=True)
            onward = (
                answer_to_refresh(self.stored, recipient, self.message.sender, now=self.now) if self.outdated else ()
            )
            status = DELIVERED if self.outdated or self.overtaken else NO_WAY
            return Applied("ignore", status, trouble, onward=onward)
        text = self._text()
        if len(text) > OBJECT_LIMITS.size or text.count(b"\n") > OBJECT_LIMITS.lines:
            return Applied("ignore", REJECTED, "With this answer the meeting's text would be too large.", inbox=True)
        if text == self.stored.source:
            return Applied("ignore", DELIVERED, f"The answer is known already. {trouble}".strip(), inbox=self._tells())
        after = read(text)
        assert after is not None
        changed = self._changed(after)
        onward = updates_for_others(self.stored, after, recipient, leave_out=self._informed(after), now=self.now)
        reason = "The answer was written into the organizer's object." if changed else "The status was written down."
        return Applied("update", DELIVERED, f"{reason} {trouble}".strip(), text, inbox=True, onward=onward)

    def _tells(self) -> bool:
        """Whether the reply says something that the object does not hold: a comment, how much is done."""
        told = ("COMMENT", "PERCENT-COMPLETE", "COMPLETED")
        return any(one.part.component.first(name) is not None for one in self.answers for name in told)

    def _changed(self, after: Snapshot) -> bool:
        return any(
            answer(self.stored, one.rid, one.party.address) != answer(after, one.rid, one.party.address)
            for one in self.answers
        )

    def _informed(self, after: Snapshot) -> frozenset[str]:
        """Who knows already: the sender, and a new delegate, whom the delegator invites (RFC 5546 3.2.2.3)."""
        return frozenset({one.party.address for one in self.answers}) | (after.addresses - self.stored.addresses)

    # --- writing

    def _text(self) -> bytes:
        base = self.stored
        missing = self._missing_overrides()
        if missing:
            made = base.with_override(*missing)
            if made is not None:
                base = made
        work = Amendments(base.source)
        for one in self.answers:
            part = base.parts.get(one.rid)
            if part is not None:
                self._write(work, part, one)
        return work.made()

    def _missing_overrides(self) -> list[int]:
        """The instances that get a component of their own, because the answer is not the one to the series."""
        given = {(one.party.address, one.rid): one.partstat for one in self.answers}
        out = []
        for one in self.answers:
            if one.rid is None or one.rid in self.stored.parts:
                continue
            base = self.stored.describing(one.rid)
            series = None if base is None else given.get((one.party.address, base.rid))
            known = series or answer(self.stored, one.rid, one.party.address)
            # An instance that is declined by itself stays so when the series is accepted later.
            alone = series is None and one.partstat == "DECLINED"
            if alone or one.partstat not in (None, known) or one.part.component.first(PRIVATE_COMMENT) is not None:
                out.append(one.rid)
        return out

    def _write(self, work: Amendments, part: Part, one: _Answer) -> None:
        status = _codes(one.part)
        for line in part.lines_of(one.party.address):
            if one.partstat is not None:
                _set(work, line, "PARTSTAT", one.partstat, default="NEEDS-ACTION")
                delegates = [
                    given for key, values in one.party.line.params if key == "DELEGATED-TO" for given in values
                ]
                if delegates or line.param("DELEGATED-TO") is not None:
                    work.param(line, "DELEGATED-TO", delegates[:MOST_DELEGATES] or None)
                for name in ("RSVP", "ROLE") if delegates else ():  # RFC 5546 4.2.5 C, 3.2.2.3
                    said = (one.party.line.param(name) or "").upper()
                    if _TOKEN.fullmatch(said):
                        _set(work, line, name, said)
            _set(work, line, "SCHEDULE-STATUS", status)
            if not self.message.in_order and one.part.dtstamp:
                _set(work, line, REPLIED, _stamp_of(one.part))
        if one.partstat == "DELEGATED":
            self._add_delegates(work, part, one)
        self._write_comment(work, part, one)

    def _add_delegates(self, work: Amendments, part: Part, one: _Answer) -> None:
        known = part.by_address[one.party.address]
        lines = []
        for uri, address in list(_delegates(one.party).items())[:MOST_DELEGATES]:
            if address in part.by_address:
                continue
            said = one.part.by_address.get(address)
            params = {"PARTSTAT": "NEEDS-ACTION", "DELEGATED-FROM": known.line.value}
            if said is not None:
                lines.append(with_params(party_line(self.incoming.source, said.line), params))
            else:
                rsvp = (known.line.param("RSVP") or "TRUE").upper()
                lines.append(line_text(ContentLine.make("ATTENDEE", uri, {"RSVP": rsvp, **params})))
        if lines:
            work.put(known.line.end, lines)

    def _write_comment(self, work: Amendments, part: Part, one: _Answer) -> None:
        """caldav-privatecomments 3.2, notes 1 to 3."""
        said = one.part.component.first(PRIVATE_COMMENT)
        known = next(
            (line for line in part.component.all(ATTENDEE_COMMENT) if _author(line) == one.party.address), None
        )
        value = "" if said is None else said.value
        if (known is None and said is None) or (known is not None and known.value == value):
            return
        address = part.by_address[one.party.address].line.value
        params = {"X-CALENDARSERVER-ATTENDEE-REF": address, "X-CALENDARSERVER-DTSTAMP": stamped(self.now)}
        new = line_text(ContentLine.make(ATTENDEE_COMMENT, value, params))
        if known is not None:
            work.remove(known)
            work.put(known.start, [new])
        else:
            work.put(insert_properties(part.component).start, [new])


def _delegates(party: Party) -> dict[str, str]:
    """The addresses in DELEGATED-TO: as written, and in normal form."""
    return {
        given: normal(given) for key, values in party.line.params if key == "DELEGATED-TO" for given in values if given
    }


def _author(line: ContentLine) -> str:
    return normal(line.param("X-CALENDARSERVER-ATTENDEE-REF") or "")


def _set(work: Amendments, line: ContentLine, name: str, value: str, *, default: str = "") -> None:
    """A line that says so already stays as it is written."""
    if (line.param(name) or default) != value:
        work.param(line, name, value)


def _stamp_of(part: Part) -> str:
    """What puts the replies of one attendee in order (RFC 5546 2.1.5): SEQUENCE, then DTSTAMP."""
    return f"{part.sequence:010}-{part.dtstamp[:16]}"


def _codes(part: Part) -> str:
    """SCHEDULE-STATUS for a reply (RFC 6638 4.2): its REQUEST-STATUS codes, or 2.0."""
    found = [
        match[1] for line in part.component.all("REQUEST-STATUS") if (match := _CODE.match(line.value)) is not None
    ]
    return ",".join(dict.fromkeys(found[:_MOST_CODES])) or SUCCESS
