"""What the organizer may write for others, and what the server writes in the organizer's own text.

Owns RFC 6638 3.2.4.3 (``allowed-organizer-scheduling-object-change``) and the carrying out of 3.2.8 (PARTSTAT starts
again), 3.2.5 (SEQUENCE grows) and 7.2 (SCHEDULE-FORCE-SEND is not kept). What is a reschedule is in ``revision``.

Decisions where RFC 6638 leaves a choice:

- An answer that the organizer writes for somebody else is refused where it differs from the one that is known; an
  attendee who is new begins with NEEDS-ACTION whatever was written (Evolution copies answers when it splits a series).
- RANGE=THISANDFUTURE has to invite the same people as the series: who may know which instances could not be told.
- ORGANIZER may be written as any address of the same user; the one that the attendees know stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.itip.amending import Amendments
from scheduling.itip.outcome import PARAM_IGNORED, Refusal
from scheduling.itip.ownership import ATTENDEE_COMMENT, REPLIED
from scheduling.itip.revision import rescheduled, revised, sequence_of
from scheduling.itip.views import View, gone_for, views

if TYPE_CHECKING:
    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Party, Rid, Snapshot

CONDITION: Final = "allowed-organizer-scheduling-object-change"  # RFC 6638 3.2.4.3
_UNSET: Final = "NEEDS-ACTION"
_RANGE: Final = (
    "RANGE=THISANDFUTURE can neither cancel instances nor invite others than the series does: let the series end before"
    " and make a new one (RFC 6638 3.2.6)."
)


def forbidden(before: Snapshot | None, after: Snapshot, actor: Actor) -> Refusal | None:
    """An answer that the organizer gives for somebody else (3.2.1, SHOULD reject); a range that cannot be told."""
    for part in after.parts.values():
        if part.future and not _is_for_all(after, part):
            return Refusal(CONDITION, _RANGE)
    if before is None:
        return None
    moved: set[Rid] | None = None
    for rid, part in after.parts.items():
        for party in part.attendees:
            if party.address in actor.addresses or party.agent != "SERVER" or party.partstat == _UNSET:
                continue
            known = answer(before, rid, party.address)
            if known is None or known == party.partstat:
                continue
            moved = rescheduled(before, after) if moved is None else moved
            if rid not in moved:
                return Refusal(
                    CONDITION,
                    f"Only {party.address.removeprefix('mailto:')} can answer {party.partstat} to this invitation;"
                    f" the answer that is known is {known} (RFC 6638 3.2.1).",
                )
    return None


def _is_for_all(snapshot: Snapshot, part: Part) -> bool:
    """Whether ``part``, a change of this and all future instances, takes place, and for all who are in the series."""
    master = snapshot.master
    return not part.cancelled and (master is None or master.by_address.keys() == part.by_address.keys())


def answer(snapshot: Snapshot, rid: Rid, address: str) -> str | None:
    """The PARTSTAT of ``address`` at an instance; None where they are not invited to it."""
    if rid not in snapshot.parts and (rid is None or rid in snapshot.exdates):
        return None
    part = snapshot.describing(rid)
    return None if part is None else part.answer(address)


def forced_addresses(after: Snapshot) -> frozenset[str]:
    """Whom the organizer wants to get a REQUEST in any case (RFC 6638 7.2)."""
    return frozenset(
        party.address for part in after.parts.values() for party in part.attendees if party.forced == "REQUEST"
    )


def rewritten(before: Snapshot | None, after: Snapshot, actor: Actor) -> bytes:
    """The organizer's text with PARTSTAT, SEQUENCE and SCHEDULE-FORCE-SEND as they must be."""
    work = Amendments(after.source)
    moved = set() if before is None else rescheduled(before, after)
    for rid, part in after.parts.items():
        _keep_organizer(work, before, part)
        for party in part.attendees:
            _revise_party(work, party, actor, again=before is None or rid in moved or _is_new(before, rid, party))
        for line in part.component.properties:
            if (
                line.name == ATTENDEE_COMMENT
                and _author(line.param("X-CALENDARSERVER-ATTENDEE-REF")) not in part.by_address
            ):
                work.remove(line)
    if before is not None:
        _raise_sequences(work, before, after, actor)
    return work.made()


def _author(ref: str | None) -> str:
    return normal(ref or "")


def _is_new(before: Snapshot, rid: Rid, party: Party) -> bool:
    return answer(before, rid, party.address) is None


def _revise_party(work: Amendments, party: Party, actor: Actor, *, again: bool) -> None:
    line = party.line
    if party.forced:
        work.param(line, "SCHEDULE-FORCE-SEND", None)  # RFC 6638 7.2: "MUST NOT preserve"
        if party.forced not in ("REQUEST", "REPLY") and party.agent == "SERVER":
            work.param(line, "SCHEDULE-STATUS", PARAM_IGNORED)
    if party.address in actor.addresses or party.agent != "SERVER":
        return
    if again and party.partstat != _UNSET:
        work.param(line, "PARTSTAT", _UNSET)
    if again or party.partstat == _UNSET:
        work.param(line, REPLIED, None)


def _keep_organizer(work: Amendments, before: Snapshot | None, part: Part) -> None:
    """The address of the organizer stays the one that the attendees know."""
    old = None if before is None else before.organizer
    if old is not None and part.organizer is not None and part.organizer.address != old.address:
        work.value(part.organizer.line, old.line.value)


def _raise_sequences(work: Amendments, before: Snapshot, after: Snapshot, actor: Actor) -> None:
    """RFC 5546 2.1.4: SEQUENCE grows with the times, with STATUS, and with every CANCEL; it never falls."""
    due = revised(before, after) | _uninviting(before, after, actor)
    highest = before.sequence + 1
    for rid, part in after.parts.items():
        known = sequence_of(before, rid) if before.describing(rid) is not None else before.sequence
        wanted = max(known, part.sequence)
        if rid in due and part.sequence <= known:
            wanted = highest
        if wanted != part.sequence:
            work.property(part.component, "SEQUENCE", str(wanted))


def _uninviting(before: Snapshot, after: Snapshot, actor: Actor) -> set[Rid]:
    """The components of ``after`` that somebody is taken off; with an override also its series."""
    old, new = views(before, leave_out=actor.addresses), views(after, leave_out=actor.addresses)
    found: set[Rid] = set()
    seen: set[tuple[View, View | None]] = set()
    for address, view in old.items():
        move = view, new.get(address)
        if move not in seen:
            seen.add(move)
            found.update(gone_for(before, view, after, move[1]))
    if any(rid is not None for rid in found):
        found.add(None)
    return found & after.parts.keys()
