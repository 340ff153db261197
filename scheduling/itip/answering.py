"""An attendee who answers without a calendar of their own: what they are invited to, and the REPLY that they send.

Owns what somebody with a link sees of the organizer's object (RFC 6638 3.2.6: the instances that name them, and no
others), and the REPLY (RFC 5546 3.2.3, 3.4.3) made out of it, where there is no copy of theirs to make it from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.lines import escape, line_text, text
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.itip.copying import derived, moment_line, named, raw, with_params
from scheduling.itip.message import SUCCESS, Message, envelope, organizer_lines, party_line, stamped
from scheduling.itip.ownership import ATTENDEE_COMMENT, PRIVATE_COMMENT, REPLIED
from scheduling.itip.revision import sequence_of
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import STEPS
from scheduling.itip.views import views

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from scheduling.ical.timing import Instance
    from scheduling.itip.snapshot import Party, Rid, Snapshot

#: What a reply tells of the instance, so that a person knows what was answered (RFC 6638 B.4 has these).
_TOLD: Final = frozenset({"DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY", "RECURRENCE-ID"})


@dataclass(frozen=True)
class Invitation:
    """What the attendee ``address`` (in normal form) has to do with the meeting of an organizer."""

    snapshot: Snapshot
    address: str

    @cached_property
    def rids(self) -> tuple[Rid, ...]:
        """The components that invite them, without cancelled ones; empty: they are not invited (any more)."""
        view = views(self.snapshot, leave_out=frozenset()).get(self.address)
        return () if view is None else view.rids

    @property
    def whole(self) -> bool:
        """They are invited to the series, or to what does not recur."""
        return None in self.rids

    def partstat(self, rid: Rid) -> str | None:
        """Their answer to an instance, or with None to the whole; None where they are not invited to it."""
        part = self.snapshot.describing(rid)
        if part is None or part.cancelled or not self.snapshot.has_instance(rid):
            return None
        return answer(self.snapshot, rid, self.address)

    def comment(self, rid: Rid) -> str:
        """What they wrote to the organizer with their answer (caldav-privatecomments 3.2)."""
        part = self.snapshot.describing(rid)
        lines = () if part is None else part.component.all(ATTENDEE_COMMENT)
        ours = (one for one in lines if normal(one.param("X-CALENDARSERVER-ATTENDEE-REF") or "") == self.address)
        return next((text(one.value) for one in ours), "")

    def coming(self, *, now: int, limit: int) -> list[Instance]:
        """The next instances that they are invited to and that are not over at the instant ``now``."""
        if not self.snapshot.recurs and self.whole:
            return []
        instances = self.snapshot.recurrence.near(now, None, Budget(STEPS))
        found = (
            one
            for one in instances
            if one.recurrence_id is not None and (one.end or one.order) > now and self._invites(one.recurrence_id)
        )
        try:
            return list(islice(found, limit))
        except TooManyInstances:
            return []

    def _invites(self, rid: int) -> bool:
        return rid in self.rids if rid in self.snapshot.parts else self.whole

    def reply(self, partstat: str, rids: Collection[Rid], *, now: datetime, comment: str = "") -> Message | None:
        """The REPLY that says ``partstat`` to ``rids``; an answer to the whole is one to its overrides as well.

        None where they are not invited to that. ``now`` becomes DTSTAMP, later where a reply with a later one is known:
        whoever clicks now means it now.
        """
        organizer = self.snapshot.organizer
        asked = [*rids, *(self.rids if None in rids else ())]
        wanted = [rid for rid in dict.fromkeys(asked) if self.partstat(rid) is not None]
        if organizer is None or not wanted:
            return None
        at = max([now.replace(microsecond=0), *(self._stamp(rid) for rid in wanted)])
        parts = [part for rid in wanted if (part := self._component(rid, partstat, at, comment)) is not None]
        made = envelope(self.snapshot, "REPLY", parts)
        sequence = max(sequence_of(self.snapshot, rid) for rid in wanted)
        return Message(
            "REPLY", self.snapshot.uid, self.address, organizer.address, made, sequence, at, tuple(wanted),
            in_order=False,
        )  # fmt: skip

    def _party(self, rid: Rid) -> Party | None:
        part = self.snapshot.describing(rid)
        return None if part is None else part.by_address.get(self.address)

    def _stamp(self, rid: Rid) -> datetime:
        """The DTSTAMP of the reply that is known (see ``replies``)."""
        party = self._party(rid)
        _, _, stamp = ((party and party.line.param(REPLIED)) or "").partition("-")
        try:
            return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)

    def _component(self, rid: Rid, partstat: str, at: datetime, comment: str) -> list[str] | None:
        party, organizer = self._party(rid), self.snapshot.organizer
        if party is None or organizer is None:
            return None
        kind, source = self.snapshot.kind, self.snapshot.source
        out = [f"BEGIN:{kind}", f"UID:{escape(self.snapshot.uid)}", f"DTSTAMP:{stamped(at)}"]
        out.append(f"SEQUENCE:{sequence_of(self.snapshot, rid)}")
        out += self._told(rid)
        out += organizer_lines(self.snapshot)
        out.append(with_params(party_line(source, party.line), {"PARTSTAT": partstat}))
        out.append(f"REQUEST-STATUS:{SUCCESS}")
        if comment:
            # For people, and for the organizer's object, where Apple's clients show it (caldav-privatecomments).
            out += [f"COMMENT:{escape(comment)}", f"{PRIVATE_COMMENT}:{escape(comment)}"]
        return [*out, f"END:{kind}"]

    def _told(self, rid: Rid) -> Sequence[str]:
        part = self.snapshot.parts.get(rid)
        if part is not None:
            return [raw(self.snapshot.source, line) for line in part.component.properties if line.name in _TOLD]
        assert rid is not None
        made = derived(self.snapshot, rid) or [line_text(moment_line(self.snapshot, "RECURRENCE-ID", rid))]
        return [line for line in made if named(line) in _TOLD]
