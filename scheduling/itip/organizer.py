"""What the organizer's own change means for the attendees: REQUEST, CANCEL, or nothing.

Owns RFC 6638 3.2.1 (organizer scheduling object resources) and 3.2.7 (SCHEDULE-FORCE-SEND). What the server changes in
the organizer's text is in ``rewriting``, who may know of what in ``views``, what a reply does in ``replies``.

Decisions where RFC 6638 leaves a choice:

- The table of 3.2.1.2 allows REQUEST or ADD: it is always REQUEST, which can be understood without what came before.
- Instances that are taken out of a series are cancelled one by one, and where nothing else changed that is all; beyond
  ``views.MOST_CANCELS`` at once the REQUEST with the new series says it alone. A rule that ends earlier is a change of
  the rule: REQUEST.
- STATUS:CANCELLED cancels: a REQUEST cannot say it (RFC 5546 3.2.2).
- SCHEDULE-AGENT=CLIENT or NONE on the organizer's own ORGANIZER stops all messages (Evolution writes it there).
- A delegator with RSVP=FALSE gets no more updates (RFC 5546 4.2.5), but is told of a cancellation, and of all again
  when a delegate has declined.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.itip.message import Message, cancelled, envelope, shown
from scheduling.itip.outcome import Outgoing, Refusal
from scheduling.itip.revision import sequence_of
from scheduling.itip.rewriting import CONDITION, forbidden, forced_addresses, rewritten
from scheduling.itip.snapshot import read
from scheduling.itip.views import View, expanded_groups, gone_for, said, views, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set as AbstractSet
    from datetime import datetime

    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Rid, Snapshot

#: The texts for one change together, in bytes: what a meeting with very many different views may cost.
MOST_TEXT: Final = 64 * 1024 * 1024


class TooMuchText(Exception):
    """The messages would have more than ``MOST_TEXT`` bytes."""


def changes(before: Snapshot | None, after: Snapshot | None, actor: Actor, *, now: datetime) -> Outgoing:
    """What follows when the organizer ``actor`` creates, modifies or removes (3.2.1.1, 3.2.1.2, 3.2.1.3)."""
    try:
        return _changes(before, after, actor, now)
    except TooMuchText:
        sentence = (
            "The attendees of this meeting see so many different parts of it that their invitations would be too large."
        )
        return Outgoing("organizer", refused=Refusal(CONDITION, sentence))


def _changes(before: Snapshot | None, after: Snapshot | None, actor: Actor, now: datetime) -> Outgoing:
    if after is None:
        assert before is not None
        messages = tuple(_Sender(before, None, actor, now).messages()) if _is_sent(before) else ()
        return Outgoing("organizer", messages, significant=True, reason="The organizer removed the meeting.")
    if not _is_sent(after):
        return Outgoing(
            "organizer",
            significant=True,
            text=after.source,
            reason="The client sends the messages itself (RFC 6638 7.1).",
        )
    refusal = forbidden(before, after, actor)
    if refusal is not None:
        return Outgoing("organizer", refused=refusal)
    text = rewritten(before, after, actor)
    if text is not after.source:
        again = read(text)
        assert again is not None
        forced, after = forced_addresses(after), again
    else:
        forced = frozenset()
    sender = _Sender(before if before is not None and _is_sent(before) else None, after, actor, now, forced)
    messages = tuple(sender.messages())
    reason = "The organizer created the meeting." if before is None else "The organizer changed the meeting."
    return Outgoing("organizer", messages, significant=True, text=text, reason=reason)


def _is_sent(snapshot: Snapshot) -> bool:
    """Whether the server sends for the organizer at all."""
    return snapshot.organizer is None or snapshot.organizer.agent == "SERVER"


def refresh(
    snapshot: Snapshot, actor: Actor, *, now: datetime, to: AbstractSet[str] | None = None
) -> tuple[Message, ...]:
    """The meeting as it stands, for every attendee or those in ``to`` (RFC 5546 3.2.2, "update the status").

    What brings attendees up to date after replies, at once or for many replies together.
    """
    return tuple(_Sender(None, snapshot, actor, now).messages(to))


def announced(
    before: Snapshot | None,
    after: Snapshot,
    actor: Actor,
    *,
    to: AbstractSet[str],
    forced: AbstractSet[str],
    now: datetime,
) -> tuple[Message, ...]:
    """The messages for a change that was found right, to some of the attendees, when others have answered already.

    ``after`` is the organizer's object with those answers in it; empty where the texts would be too large.
    """
    known = before if before is not None and _is_sent(before) else None
    try:
        return tuple(_Sender(known, after, actor, now, forced).messages(to))
    except TooMuchText:
        return ()


# --- what is sent ----------------------------------------------------------------------------------------------------


class _Transition(NamedTuple):
    """From which view to which; whether the sender asks for a message in any case."""

    before: View | None
    after: View | None
    forced: bool


class _Sender:
    """The messages for one change. Attendees whose views are the same get the same text."""

    def __init__(
        self,
        before: Snapshot | None,
        after: Snapshot | None,
        actor: Actor,
        now: datetime,
        forced: AbstractSet[str] = frozenset(),
    ) -> None:
        self.before, self.after = before, after
        self.now = now.replace(microsecond=0)
        self.forced = forced
        self.size = 0
        some = after or before
        assert some is not None
        self.uid = some.uid
        self.kind = some.kind
        organizer = some.organizer
        assert organizer is not None
        self.sender = organizer.address
        own = actor.addresses | {organizer.address}
        self.old = {} if before is None else views(before, leave_out=own)
        self.new = {} if after is None else views(after, leave_out=own)
        groups = frozenset() if after is None else expanded_groups(after)
        self.addresses = [one for one in dict.fromkeys([*self.new, *self.old]) if one not in groups]

    def messages(self, to: AbstractSet[str] | None = None) -> Iterator[Message]:
        """CANCEL and REQUEST for every attendee concerned, in the order in which they are named."""
        transitions: dict[_Transition, list[str]] = {}
        moves: dict[str, _Transition] = {}
        for address in self.addresses:
            if to is None or address in to:
                move = _Transition(self.old.get(address), self.new.get(address), address in self.forced)
                moves[address] = move
                transitions.setdefault(move, []).append(address)
        made = {move: list(self._made(move, addresses)) for move, addresses in transitions.items()}
        for address, move in moves.items():
            for method, text, sequence, rids in made[move]:
                if method == "REQUEST" and move.before is not None and not move.forced and self._has_left(address):
                    continue
                forced = move.forced and method == "REQUEST"
                yield Message(method, self.uid, self.sender, address, text, sequence, self.now, rids, forced=forced)

    def _made(self, move: _Transition, addresses: list[str]) -> Iterator[tuple[str, bytes, int, tuple[Rid, ...]]]:
        gone: list[Rid] = []
        if move.before is not None and self.before is not None:
            gone = gone_for(self.before, move.before, self.after, move.after)
        if gone:
            yield self._cancel(gone, addresses)
        if move.after is not None and self.after is not None and self._is_news(move, gone):
            after = self.after
            parts = [
                shown(after, after.parts[rid], self.now, exdates=self._exdates(move.after) if rid is None else ())
                for rid in move.after.rids
            ]
            sequence = max(after.parts[rid].sequence for rid in move.after.rids)
            yield "REQUEST", self._counted(envelope(after, "REQUEST", parts)), sequence, move.after.rids

    def _exdates(self, view: View) -> list[int]:
        assert self.after is not None
        known = self.after.exdates
        return [rid for rid in view.hidden if rid not in known]

    def _is_news(self, move: _Transition, gone: list[Rid]) -> bool:
        """Whether ``move`` holds more than the cancellations that are sent for it."""
        if move.forced or move.before is None or self.before is None or None in gone:
            return True
        if any(rid in self.before.parts and self.before.parts[rid].future for rid in gone):
            return True  # with this instance goes what was said of those after it
        assert self.after is not None
        assert move.after is not None
        old, new = said(self.before, move.before), said(self.after, move.after)
        if not gone:
            return old != new
        left = without(old, (rid for rid in gone if rid is not None))
        return left._replace(sequences=_of_overrides(left.sequences)) != new._replace(
            sequences=_of_overrides(new.sequences)
        )

    def _cancel(self, gone: list[Rid], addresses: list[str]) -> tuple[str, bytes, int, tuple[Rid, ...]]:
        before = self.before
        assert before is not None
        sequence = self._sequence(gone)
        parts = [
            cancelled(
                before,
                rid,
                self.now,
                sequence=sequence,
                attendees=frozenset(addresses),
                whole=not _goes_on(self.after, rid),
            )
            for rid in gone
        ]
        return "CANCEL", self._counted(envelope(before, "CANCEL", parts)), sequence, tuple(gone)

    def _sequence(self, gone: list[Rid]) -> int:
        """One that is higher than what the recipient has, and not higher than what comes next (RFC 5546 2.1.4)."""
        assert self.before is not None
        known = max(sequence_of(self.before, rid) for rid in gone)
        if self.after is None:
            return known + 1
        series = 0 if self.after.master is None else self.after.master.sequence
        return max(known + 1, series, *(sequence_of(self.after, rid) for rid in gone))

    def _has_left(self, address: str) -> bool:
        """Whether this is a delegator who wants no updates, and whose delegates have not declined (RFC 5546 4.2.5)."""
        assert self.after is not None
        found = [(part, party) for part in self.after.parts.values() if (party := part.by_address.get(address))]
        return bool(found) and all(
            party.partstat == "DELEGATED"
            and (party.line.param("RSVP") or "").upper() == "FALSE"
            and not any(part.answer(one) == "DECLINED" for one in party.addresses("DELEGATED-TO"))
            for part, party in found
        )

    def _counted(self, text: bytes) -> bytes:
        self.size += len(text)
        if self.size > MOST_TEXT:
            raise TooMuchText
        return text


def _of_overrides(sequences: Mapping[Rid, int]) -> dict[Rid, int]:
    return {rid: number for rid, number in sequences.items() if rid is not None}


def _goes_on(after: Snapshot | None, rid: Rid) -> bool:
    """Whether ``rid`` takes place, with or without the recipient."""
    if after is None or (after.master is not None and after.master.cancelled):
        return False
    part = after.parts.get(rid)
    if part is not None:
        return not part.cancelled
    return rid is not None and rid not in after.exdates and after.has_instance(rid)


def updates_for_others(
    before: Snapshot, after: Snapshot, actor: Actor, *, leave_out: AbstractSet[str], now: datetime
) -> tuple[Message, ...]:
    """What the attendees must be told after replies changed ``before`` to ``after``, but for ``leave_out`` (4.2).

    Quiet messages, but to a delegator whose delegate has declined: they "MUST" be told (RFC 5546 4.2.5).
    """
    if not _is_sent(after):
        return ()
    sender = _Sender(before, after, actor, now)
    awaited = _deserted(after) - _deserted(before)
    try:
        found = tuple(sender.messages(frozenset(sender.addresses) - leave_out))
    except TooMuchText:
        return ()
    return tuple(one if one.recipient in awaited else replace(one, quiet=True) for one in found)


def _deserted(snapshot: Snapshot) -> frozenset[str]:
    """The delegators of whose delegates one has declined."""
    found: set[str] = set()
    for part in snapshot.parts.values():
        declined = {party.address for party in part.attendees if party.partstat == "DECLINED"}
        for party in part.attendees:
            if party.address in declined:
                found |= party.addresses("DELEGATED-FROM")
            elif party.addresses("DELEGATED-TO") & declined:
                found.add(party.address)
    return frozenset(found)
