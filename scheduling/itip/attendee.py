"""What an attendee's own change means for the organizer: a REPLY, or nothing.

Owns RFC 6638 3.2.2 (attendee scheduling object resources), 8.1 (Schedule-Reply) and 7.2 for ORGANIZER, RFC 5546 3.2.3
and 3.4.3 (REPLY), 3.2.2.3 and 3.4.2.3 (delegation), and the attendee's side of caldav-privatecomments. What may be
changed is in ``allowance``, what becomes of the attendee's text in ``own_copy``.

Decisions where the RFCs leave a choice:

- An attendee who stores an invitation with an answer in it (out of a mail) replies with it; without one nothing goes.
- An answer to the series goes with all answers to instances that differ from it: the organizer may not have them.
- Removing a meeting declines it, with every instance that has an answer of its own; not where it is cancelled anyway.
- To-do clients know nothing of PARTSTAT: who completes a to-do, or begins it, is COMPLETED or IN-PROCESS.
- A delegate that is named in DELEGATED-TO only gets an ATTENDEE line (RFC 5546 3.2.2.3: "MUST").
- SCHEDULE-AGENT=CLIENT or NONE on ORGANIZER: nothing is sent, and everything is allowed (3.2.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ContentLine, escape, line_text
from scheduling.itip.allowance import refusal
from scheduling.itip.comparing import line_key
from scheduling.itip.copying import derived, moment_line, named, raw, with_params
from scheduling.itip.message import SUCCESS, Message, envelope, organizer_lines, party_line, shown, stamped
from scheduling.itip.outcome import Outgoing
from scheduling.itip.own_copy import amended, completion_of
from scheduling.itip.ownership import COMPLETION, PRIVATE_COMMENT
from scheduling.itip.revision import sequence_of
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Party, Rid, Snapshot

#: What a REPLY tells of the instance besides the answer (RFC 6638 B.4, B.7 have these).
_TOLD: Final = frozenset({"DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY", "RECURRENCE-ID"})
_DECLINED: Final = "DECLINED"
_UNSET: Final = "NEEDS-ACTION"


def changes(before: Snapshot | None, after: Snapshot | None, actor: Actor, *, now: datetime, reply: bool) -> Outgoing:
    """What follows when the attendee ``actor`` creates, modifies or removes (3.2.2.2, 3.2.2.3, 3.2.2.4).

    ``reply`` is the Schedule-Reply header, which counts for removing only (8.1).
    """
    known = before if before is not None and _is_sent(before) else None
    if after is None:
        if known is None or not reply:
            return Outgoing("attendee", significant=True, reason="The attendee removed the meeting without a reply.")
        messages = tuple(_Replies(known, None, actor, now).messages())
        return Outgoing("attendee", messages, significant=True, reason="The attendee removed the meeting.")
    if not _is_sent(after):
        reason = "The client sends the messages itself (RFC 6638 7.1)."
        return Outgoing("attendee", significant=True, text=after.source, reason=reason)
    if known is not None:
        refused = refusal(known, after, actor.addresses)
        if refused is not None:
            return Outgoing("attendee", refused=refused)
    forced = _forced(after)
    text = amended(known, after, actor)
    if text is not after.source:
        again = read(text)
        assert again is not None
        after = again
    messages = tuple(_Replies(known, after, actor, now, forced=forced).messages())
    return Outgoing("attendee", messages, significant=True, text=text, reason="The attendee changed their copy.")


def _is_sent(snapshot: Snapshot) -> bool:
    return snapshot.organizer is not None and snapshot.organizer.agent == "SERVER"


def _forced(snapshot: Snapshot) -> bool:
    return any(part.organizer is not None and part.organizer.forced == "REPLY" for part in snapshot.parts.values())


class _Replies:
    """The messages for one change: a REPLY for each address of the attendee, and a REQUEST for each new delegate."""

    def __init__(
        self, before: Snapshot | None, after: Snapshot | None, actor: Actor, now: datetime, *, forced: bool = False
    ) -> None:
        self.before, self.after, self.forced = before, after, forced
        some = after or before
        assert some is not None
        self.some = some
        self.now = now.replace(microsecond=0)
        self.own = [one for part in some.parts.values() for one in part.by_address if one in actor.addresses]

    def messages(self) -> Iterator[Message]:
        """In the order in which the addresses are named."""
        organizer = self.some.organizer
        assert organizer is not None
        for address in dict.fromkeys(self.own):
            answers = dict(self._answers(address))
            if not answers:
                continue
            parts = [self._component(rid, address, partstat) for rid, partstat in answers.items()]
            sequence = max(self._sequence(rid) for rid in answers)
            text = envelope(self.some, "REPLY", parts)
            rids = tuple(answers)
            yield Message("REPLY", self.some.uid, address, organizer.address, text, sequence, self.now, rids)
            yield from self._to_delegates(address)

    def _answers(self, address: str) -> Iterator[tuple[Rid, str]]:
        """Which instances are answered, and how."""
        if self.after is None:
            yield from self._declined_all(address)
            return
        after, before = self.after, self.before
        now = {rid: party.partstat for rid, part in after.parts.items() if (party := part.by_address.get(address))}
        changed = set()
        for rid, partstat in now.items():
            known = None if before is None else answer(before, rid, address)
            if partstat != (known or _UNSET) or self.forced or self._says_more(after.parts[rid], address):
                changed.add(rid)
        for rid, partstat in now.items():
            base = None if rid is None else after.base_of(rid)
            if rid in changed or (rid is not None and base in changed and partstat != now[base]):
                yield rid, partstat
        if before is None:
            return
        for rid in sorted(after.exdates - before.exdates):
            if before.has_instance(rid) and answer(before, rid, address) is not None:
                yield rid, _DECLINED
        for rid in before.overrides:
            if rid in after.overrides or rid in after.exdates or address not in before.parts[rid].by_address:
                continue
            left = answer(after, rid, address) if after.master is not None else _DECLINED
            if left is not None and left != answer(before, rid, address):
                yield rid, left

    def _declined_all(self, address: str) -> Iterator[tuple[Rid, str]]:
        assert self.before is not None
        for rid, part in self.before.parts.items():
            if address in part.by_address and not part.cancelled:
                yield rid, _DECLINED

    def _says_more(self, part: Part, address: str) -> bool:
        """Whether something besides the answer is new: a comment, how much is done, a delegate."""
        base = None if self.before is None else self.before.describing(part.rid)
        comment = part.component.first(PRIVATE_COMMENT)
        if base is None:
            return comment is not None
        old = base.component.first(PRIVATE_COMMENT)
        if (comment.value if comment is not None else "") != (old.value if old is not None else ""):
            return True
        if part.component.name == "VTODO" and completion_of(base) != completion_of(part):
            return True
        known = base.by_address.get(address)
        return known is not None and known.addresses("DELEGATED-TO") != part.by_address[address].addresses(
            "DELEGATED-TO"
        )

    def _sequence(self, rid: Rid) -> int:
        """The revision that is answered: the one that the organizer sent (RFC 5546 2.1.4)."""
        return sequence_of(self.before if self.before is not None else self.some, rid)

    def _component(self, rid: Rid, address: str, partstat: str) -> list[str]:
        part = self.some.parts.get(rid)
        base = part or (None if self.before is None else self.before.parts.get(rid)) or self.some.master
        assert base is not None
        source = self._source_of(base)
        kind = base.component.name
        uid = escape(self.some.uid)
        out = [f"BEGIN:{kind}", f"UID:{uid}", f"DTSTAMP:{stamped(self.now)}", f"SEQUENCE:{self._sequence(rid)}"]
        if part is None and rid is not None:
            out += self._instance_lines(rid)
        else:
            out += [raw(source, line) for line in base.component.properties if line.name in _TOLD]
        out += organizer_lines(self.some)
        me = base.by_address[address]
        out.append(_with_partstat(source, me, partstat))
        if partstat == "DELEGATED":
            delegates = me.addresses("DELEGATED-TO")
            out += [party_line(source, party.line) for party in base.attendees if party.address in delegates]
        out.append(f"REQUEST-STATUS:{SUCCESS}")
        told = {PRIVATE_COMMENT, *(COMPLETION if kind == "VTODO" else ())}
        out += [raw(source, line) for line in base.component.properties if line.name in told]
        out += [raw(source, line) for line in self._new_comments(base)]
        return [*out, f"END:{kind}"]

    def _new_comments(self, part: Part) -> Iterator[ContentLine]:
        """What the attendee adds to their answer in words (RFC 5546 3.2.3)."""
        old = None if self.before is None else self.before.describing(part.rid)
        if old is not None:
            known = {line_key(line) for line in old.component.all("COMMENT")}
            yield from (line for line in part.component.all("COMMENT") if line_key(line) not in known)

    def _source_of(self, part: Part) -> bytes:
        if self.some.parts.get(part.rid) is part:
            return self.some.source
        assert self.before is not None
        return self.before.source

    def _instance_lines(self, rid: int) -> list[str]:
        """What tells which instance is meant that has no component (any more)."""
        for snapshot in (self.before, self.after):
            own = None if snapshot is None else snapshot.parts.get(rid)
            if snapshot is not None and own is not None:
                return [raw(snapshot.source, line) for line in own.component.properties if line.name in _TOLD]
            made = None if snapshot is None else derived(snapshot, rid)
            if made is not None:
                return [line for line in made if named(line) in _TOLD]
        return [line_text(moment_line(self.some, "RECURRENCE-ID", rid))]

    def _to_delegates(self, address: str) -> Iterator[Message]:
        """RFC 5546 3.2.2.3: the delegator forwards the request to the delegate.

        Not one that they have put here themselves: anybody could invite in the name of anybody else by it.
        """
        after = self.after
        if after is None or self.before is None:
            return
        delegates: dict[str, list[Rid]] = {}
        for rid, part in after.parts.items():
            party = part.by_address.get(address)
            if party is None or party.partstat != "DELEGATED":
                continue
            known = self.before.describing(rid)
            for delegate in party.addresses("DELEGATED-TO") & part.by_address.keys():
                if known is None or delegate not in known.by_address:
                    delegates.setdefault(delegate, []).append(rid)
        for delegate, rids in sorted(delegates.items()):
            text = envelope(after, "REQUEST", [shown(after, after.parts[rid], self.now) for rid in rids])
            sequence = max(after.parts[rid].sequence for rid in rids)
            yield Message("REQUEST", after.uid, address, delegate, text, sequence, self.now, tuple(rids))


def _with_partstat(source: bytes, me: Party, partstat: str) -> str:
    line = party_line(source, me.line)
    if me.partstat == partstat and me.line.param("PARTSTAT"):
        return line
    return with_params(line, {"PARTSTAT": partstat})
