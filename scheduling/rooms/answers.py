"""A room's answer, written into its copy of the meeting; and the REPLY that says why.

Owns which answer the series gets and which of its instances get one of their own (an override with another PARTSTAT,
RFC 6638 3.2.6, RFC 5546 3.2.3), TRANSP of what is booked, and how the reason travels: as COMMENT in the REPLY (RFC 5546
3.2.3) and as the private comment that the organizer's copy shows (caldav-privatecomments 3.2). What is answered to
which instance is decided in ``rules``.

- A series gets the answer that most of its instances get, the others become overrides, at most ``Rules.exceptions``
  and ``MOST_TEXT``: where more would be needed the series is declined as a whole.
- Instances of a RANGE=THISANDFUTURE (RFC 5545 3.2.13) are accepted together or not at all.
- A series that reaches beyond what can be checked is declined, and what can be accepted of it becomes overrides: the
  first ``Rules.exceptions``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.lines import ContentLine, escape, insert_properties, line_text, parse
from scheduling.itip.amending import Amendments
from scheduling.itip.ownership import PRIVATE_COMMENT
from scheduling.itip.revision import same_time
from scheduling.itip.snapshot import read
from scheduling.rooms.rules import ACCEPTED, DECLINED, UNSET, judged
from scheduling.rooms.words import TOO_OFTEN, Why, cut, nothing, summary, too_many
from storage.rows import BookingPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet

    from scheduling.itip.message import Message
    from scheduling.itip.snapshot import Part, Rid, Snapshot
    from scheduling.rooms.rules import Case, Diary, Request, Slot, Verdict

#: Bytes that a meeting may have with its overrides: every attendee's copy gets them.
MOST_TEXT: Final = 1024 * 1024
#: Which answer a series gets where two are as frequent.
_RANK: Final = (ACCEPTED, "TENTATIVE", UNSET, DECLINED)


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the room's copy with its answers. ``reason`` is a phrase for the scheduling log.

    ``waits``: some instances are left to a person.
    """

    text: bytes
    reason: str
    waits: bool = False


class _Said(NamedTuple):
    """What is said to an instance, or to all that have no answer of their own."""

    partstat: str
    reasons: tuple[Why, ...] = ()


@dataclass(slots=True)
class _Settled:
    """By component, and by instance where it gets a component of its own; ``slots`` is what came out of each."""

    parts: dict[Rid, _Said]
    own: dict[int, _Said]
    slots: list[_Said]


def answered(case: Case, request: Request, diary: Diary) -> Answer:
    """The room's answer; ``diary`` knows the room within ``request.stretch``."""
    settled = _settled(case, request, judged(case, request, diary))
    text = _written(case, request.snapshot, settled)
    if text is None:  # an instance was found in the room's zone that the meeting does not have
        settled = _all_the_same(request.snapshot, _Said(DECLINED, (TOO_OFTEN,)))
        text = _written(case, request.snapshot, settled) or case.text
    return Answer(text, _told(request, settled), any(said.partstat == UNSET for said in settled.slots))


def _settled(case: Case, request: Request, verdicts: Sequence[Verdict]) -> _Settled:
    snapshot = request.snapshot
    if request.refused is not None:
        return _all_the_same(snapshot, _Said(DECLINED, (request.refused,)))
    if case.rules.policy is BookingPolicy.ACCEPT:
        return _all_the_same(snapshot, _Said(ACCEPTED))
    found = _Settled({}, {}, [_Said(one.partstat, (one.why,) if one.why else ()) for one in verdicts])
    groups: dict[Rid, list[tuple[Slot, _Said]]] = {}
    for slot, said in zip(request.slots, found.slots, strict=True):
        groups.setdefault(slot.part.rid, []).append((slot, said))
    reaches = () if request.reaches is None else (request.reaches,)
    own: list[tuple[Slot, _Said]] = []
    for rid, part in snapshot.parts.items():
        group = groups.get(rid, [])
        if _is_single(snapshot, part):
            found.parts[rid] = group[0][1] if group else _out_of_sight(case, request, part)
            continue
        usual = DECLINED if reaches else _most([said for _, said in group] or found.slots)
        if part.future and any(said.partstat != usual for _, said in group):
            usual = DECLINED
            # Who has such a component does not expect exceptions from it: all or nothing.
            group = [(slot, said if said.partstat == DECLINED else _Said(DECLINED)) for slot, said in group]
            found.slots = _replaced(request, found.slots, {slot.rid: said for slot, said in group})
        reasons = (one for _, said in group if said.partstat == usual for one in said.reasons)
        found.parts[rid] = _Said(usual, (*reaches, *reasons))
        own += [(slot, said) for slot, said in group if said.partstat != usual]
    most = min(case.rules.exceptions, _room_for(snapshot))
    if len(own) > most and not reaches:
        return _all_the_same(snapshot, _Said(DECLINED, (too_many(len(own), len(request.slots), most),)))
    own.sort(key=lambda pair: pair[0].start)
    found.own = {slot.rid: said for slot, said in own[:most] if slot.rid is not None}
    if len(own) > most:
        rest = dict.fromkeys((slot.rid for slot, _ in own[most:]), _Said(DECLINED, (cut(most),)))
        found.slots = _replaced(request, found.slots, rest)
    return found


def _replaced(request: Request, slots: Sequence[_Said], others: Mapping[Rid, _Said]) -> list[_Said]:
    return [others.get(slot.rid, said) for slot, said in zip(request.slots, slots, strict=True)]


def _out_of_sight(case: Case, request: Request, part: Part) -> _Said:
    """The answer to an override that is not among the slots: as before where it is where it was, else no."""
    known = None if case.before is None else read(case.before)
    old = None if known is None else known.parts.get(part.rid)
    if known is not None and old is not None and same_time(known, request.snapshot, part.rid):
        mine = old.own(case.room)
        if mine is not None and mine.partstat != UNSET:
            return _Said(mine.partstat)
    return _Said(DECLINED, (request.reaches or nothing(),))


def _room_for(snapshot: Snapshot) -> int:
    """How many overrides a text may get."""
    largest = max(part.component.end - part.component.start for part in snapshot.parts.values())
    return max(0, MOST_TEXT - len(snapshot.source)) // largest


def _is_single(snapshot: Snapshot, part: Part) -> bool:
    return not part.future and (part.rid is not None or not snapshot.recurs)


def _all_the_same(snapshot: Snapshot, said: _Said) -> _Settled:
    return _Settled(dict.fromkeys(snapshot.parts, said), {}, [said])


def _most(answers: Iterable[_Said]) -> str:
    counts = Counter(said.partstat for said in answers)
    return min(counts, key=lambda one: (-counts[one], _RANK.index(one) if one in _RANK else 0), default=ACCEPTED)


def _told(request: Request, settled: _Settled) -> str:
    """The answer as a phrase: what was accepted, what was not, and why."""
    slots, reaches = settled.slots, request.reaches
    counts = Counter(said.partstat for said in slots)
    declined = [one for said in slots if said.partstat == DECLINED for one in said.reasons]
    pieces = []
    for partstat, words in ((ACCEPTED, "accepted"), ("TENTATIVE", "accepted tentatively"), (UNSET, "left open")):
        if counts[partstat]:
            of = f" {counts[partstat]} of {len(slots)} times" if counts[partstat] < len(slots) else ""
            pieces.append(words + (f" {counts[partstat]} times" if reaches is not None else of))
    if reaches is not None or counts[DECLINED]:
        reason = summary([*([reaches] if reaches is not None else []), *declined])
        word = "declined the rest" if reaches is not None and pieces else "declined"
        pieces.append(f"{word}: {reason}" if reason else word)
    return "; ".join(pieces)


# --- writing ---------------------------------------------------------------------------------------------------------


def _written(case: Case, snapshot: Snapshot, settled: _Settled) -> bytes | None:
    """The text; None where an instance that is to get an answer of its own is not one of the meeting's."""
    missing = sorted(rid for rid in settled.own if rid not in snapshot.parts)
    base = snapshot.with_override(*missing) if missing else snapshot
    if base is None:
        return None
    work = Amendments(base.source)
    for rid, part in base.parts.items():
        said = settled.own.get(rid) if rid is not None else None
        said = said or settled.parts.get(rid)
        if said is not None and not part.cancelled and part.by_address.keys() & case.room:
            _write(work, part, said, case.room, keep_comment=case.rules.policy is BookingPolicy.DELEGATE)
    return work.made()


def _write(work: Amendments, part: Part, said: _Said, room: AbstractSet[str], *, keep_comment: bool) -> None:
    for party in part.attendees:
        if party.address in room and party.partstat != said.partstat:
            work.param(party.line, "PARTSTAT", said.partstat)
    transparency = part.component.first("TRANSP")
    if said.partstat != DECLINED and transparency is not None and transparency.value.strip().upper() == "TRANSPARENT":
        work.remove(transparency)
    comment = part.component.first(PRIVATE_COMMENT)
    value = escape(comment_of(said.reasons))
    if comment is not None and not (keep_comment and not value) and comment.value != value:
        work.remove(comment)
    if value and (comment is None or comment.value != value):
        at = insert_properties(part.component).start if comment is None else comment.start
        work.put(at, [line_text(ContentLine.make(PRIVATE_COMMENT, value))])


def comment_of(reasons: Iterable[Why]) -> str:
    """The reasons as a sentence for the organizer; empty where there are none."""
    phrase = summary(reasons)
    return f"{phrase[0].upper()}{phrase[1:]}." if phrase else ""


def with_reply_forced(text: bytes) -> bytes:
    """The copy with the wish that every answer in it is told (RFC 6638 7.2): it is not kept."""
    snapshot = read(text)
    work = Amendments(text)
    for part in () if snapshot is None else snapshot.parts.values():
        if part.organizer is not None:
            work.param(part.organizer.line, "SCHEDULE-FORCE-SEND", "REPLY")
    return work.made()


def with_comments(reply: Message) -> Message:
    """``reply`` with its private comments as COMMENT as well: for people whose program knows only that."""
    work = Amendments(reply.text)
    for component in parse(reply.text).components:
        for line in component.all(PRIVATE_COMMENT):
            if line.value:
                work.put(line.end, [line_text(ContentLine.make("COMMENT", line.value))])
    return replace(reply, text=work.made()) if work else reply
