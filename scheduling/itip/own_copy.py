"""The attendee's own text, as they change it: what is theirs stays as sent, what is not is put back.

Owns the carrying out of RFC 6638 3.2.2.1 beside ``allowance`` (what is refused): SEQUENCE, the lines of the other
attendees and the organizer's overrides, whatever the client has made of them; RFC 6638 7.2 for ORGANIZER; and what
follows for their own line: the answer from how much of a to-do is done (RFC 5545 3.2.12), the delegate's line from
DELEGATED-TO (RFC 5546 3.2.2.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.lines import ContentLine, insert_properties, line_text
from scheduling.itip.amending import Amendments
from scheduling.itip.comparing import line_key
from scheduling.itip.copying import end_of_components, raw, raw_lines
from scheduling.itip.outcome import PARAM_IGNORED
from scheduling.itip.ownership import COMPLETION
from scheduling.itip.personal import is_private_override
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import read
from scheduling.itip.unseen import says_as_series

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Part, Party, Snapshot

_UNSET: Final = "NEEDS-ACTION"


def amended(before: Snapshot | None, after: Snapshot, actor: Actor) -> bytes:
    """``after`` with what is not the attendee's as it was, and their answer where it follows from something else."""
    if before is not None:
        after = _with_overrides_of_others(before, after, actor)
    work = Amendments(after.source)
    for rid, part in after.parts.items():
        if part.organizer is not None and part.organizer.forced:
            work.param(part.organizer.line, "SCHEDULE-FORCE-SEND", None)  # RFC 6638 7.2: "MUST NOT preserve"
            if part.organizer.forced not in ("REQUEST", "REPLY"):
                work.param(part.organizer.line, "SCHEDULE-STATUS", PARAM_IGNORED)
        base = None if before is None else before.describing(rid)
        if before is not None and base is not None:
            _put_back(work, before, base, part, actor)
        for address in actor.addresses & part.by_address.keys():
            _answer_by_completion(work, before, after, part, address)
            _name_delegates(work, base, part, address)
    return work.made()


def _with_overrides_of_others(before: Snapshot, after: Snapshot, actor: Actor) -> Snapshot:
    """``after`` with the overrides that it lacks and that are not the attendee's to take away.

    They tell what others have answered, or say something else than the series; the client may not know them yet.
    """
    missing = [
        rid
        for rid in before.overrides
        if rid not in after.parts and rid not in after.exdates and after.has_instance(rid)
    ]
    answers = [rid for rid in missing if says_as_series(before, rid) and not _is_own_override(before, rid, actor)]
    others = [rid for rid in missing if not says_as_series(before, rid)]
    if answers:
        after = after.with_override(*answers) or after
    return _with_parts_of(before, after, others, actor) if others else after


def _with_parts_of(before: Snapshot, after: Snapshot, rids: list[int], actor: Actor) -> Snapshot:
    """``after`` with components of ``before``; where the attendee answered as for the series, they still do."""
    work = Amendments(after.source)
    end = end_of_components(after.calendar)
    for rid in rids:
        work.put(end, raw_lines(before.source, before.parts[rid].component))
    made = read(work.made())
    assert made is not None
    work = Amendments(made.source)
    for rid in rids:
        for address in actor.addresses & made.parts[rid].by_address.keys():
            now = answer(after, None, address)
            if now is not None and answer(before, rid, address) == answer(before, None, address):
                work.param(made.parts[rid].by_address[address].line, "PARTSTAT", now)
    again = read(work.made())
    assert again is not None
    return again


def _is_own_override(snapshot: Snapshot, rid: int, actor: Actor) -> bool:
    """Whether the attendee has answered this instance differently, or has things of their own on it."""
    return is_private_override(snapshot, rid) or any(
        answer(snapshot, rid, one) != answer(snapshot, None, one) for one in actor.addresses
    )


def _put_back(work: Amendments, before: Snapshot, base: Part, part: Part, actor: Actor) -> None:
    """SEQUENCE and the other attendees as they were: only the organizer changes them."""
    if part.sequence != base.sequence:
        work.property(part.component, "SEQUENCE", str(base.sequence))
    end = insert_properties(part.component).start
    for address, party in base.by_address.items():
        if address in actor.addresses:
            continue
        now = part.by_address.get(address)
        if now is None:
            work.put(end, [raw(before.source, party.line)])
        elif line_key(party.line) != line_key(now.line):
            work.remove(now.line)
            work.put(now.line.start, [raw(before.source, party.line)])


def _answer_by_completion(work: Amendments, before: Snapshot | None, after: Snapshot, part: Part, address: str) -> None:
    if after.kind != "VTODO":
        return
    party = part.by_address[address]
    base = None if before is None else before.describing(part.rid)
    known = None if before is None else answer(before, part.rid, address)
    if (known is not None and known != party.partstat) or (
        base is not None and completion_of(base) == completion_of(part)
    ):
        return
    follows = _partstat_of(part)
    if follows is None and party.partstat in ("COMPLETED", "IN-PROCESS"):
        follows = "ACCEPTED"
    if follows is not None and follows != party.partstat:
        work.param(party.line, "PARTSTAT", follows)


def completion_of(part: Part) -> frozenset[Hashable]:
    """What a component says of how much is done."""
    return frozenset(line_key(line) for line in part.component.properties if line.name in COMPLETION)


def _partstat_of(part: Part) -> str | None:
    """What the completion of a to-do says as PARTSTAT (RFC 5545 3.2.12)."""
    values = {line.name: line.value.strip().upper() for line in part.component.properties if line.name in COMPLETION}
    percent, status = values.get("PERCENT-COMPLETE", "0"), values.get("STATUS", "")
    if status == "COMPLETED" or "COMPLETED" in values or percent == "100":
        return "COMPLETED"
    return "IN-PROCESS" if status == "IN-PROCESS" or percent.strip("0") else None


def _name_delegates(work: Amendments, base: Part | None, part: Part, address: str) -> None:
    """Who is delegated to gets a line; not again, where the organizer has taken them off since."""
    me = part.by_address[address]
    if me.partstat != "DELEGATED":
        return
    known = None if base is None else base.by_address.get(address)
    old = known.addresses("DELEGATED-TO") if known is not None and known.partstat == "DELEGATED" else frozenset()
    for line_values in (values for key, values in me.line.params if key == "DELEGATED-TO"):
        for uri in line_values:
            if normal(uri) not in old:
                _name_delegate(work, part, me, uri)


def _name_delegate(work: Amendments, part: Part, me: Party, uri: str) -> None:
    known = next((party for party in part.attendees if party.address == normal(uri)), None)
    if known is None:
        rsvp = (me.line.param("RSVP") or "TRUE").upper()
        line = ContentLine.make("ATTENDEE", uri, {"PARTSTAT": _UNSET, "RSVP": rsvp, "DELEGATED-FROM": me.line.value})
        work.put(me.line.end, [line_text(line)])
    elif me.address not in known.addresses("DELEGATED-FROM"):
        work.param(known.line, "DELEGATED-FROM", me.line.value)
