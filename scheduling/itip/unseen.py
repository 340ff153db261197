"""Answers that arrived after the client last looked: they go into what it sends.

Owns RFC 6638 3.2.10.1 for the organizer: when If-Schedule-Tag-Match holds, "the server MUST take any ATTENDEE property
changes for all Attendees other than the owner" into the new text. An attendee's text gets the others' lines in any case
(see ``own_copy``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import insert_properties
from scheduling.itip.amending import Amendments
from scheduling.itip.comparing import PARTSTAT, content
from scheduling.itip.copying import derived, parsed, raw
from scheduling.itip.ownership import ATTENDEE_COMMENT, REPLIED
from scheduling.itip.personal import is_private_override
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from scheduling.itip.snapshot import Part, Party, Snapshot

#: What replies change on an ATTENDEE line (RFC 6638 4.2, RFC 5546 3.2.3).
_REPLIED_PARAMS: Final = ("PARTSTAT", "SCHEDULE-STATUS", "DELEGATED-TO", REPLIED)


def with_unseen(stored: Snapshot, sent: Snapshot, own: AbstractSet[str]) -> bytes:
    """``sent`` with the answers that ``stored`` has of everybody but ``own``; the very same text where it has them."""
    missing = [rid for rid in stored.overrides if rid not in sent.parts and _holds_answers_only(stored, sent, rid)]
    base = sent.with_override(*missing) if missing else None
    base = base or sent
    work = Amendments(base.source)
    for rid, part in base.parts.items():
        known = stored.describing(rid)
        if known is not None:
            _take_answers(work, stored, known, part, own)
    return work.made()


def _holds_answers_only(stored: Snapshot, sent: Snapshot, rid: int) -> bool:
    """Whether the override says nothing but who answered what: then the client may not have seen it yet."""
    return (
        rid not in sent.exdates
        and sent.has_instance(rid)
        and says_as_series(stored, rid)
        and not is_private_override(stored, rid)
    )


def says_as_series(snapshot: Snapshot, rid: int) -> bool:
    """Whether an override says the same to everybody as its series, but for answers."""
    alone = snapshot.series_without(rid)
    lines = None if alone is None else derived(alone, rid)
    if lines is None:
        return False
    own = content(snapshot.source, snapshot.parts[rid].component, without=PARTSTAT)
    return own == content(*parsed(lines), without=PARTSTAT)


def _take_answers(work: Amendments, stored: Snapshot, known: Part, part: Part, own: AbstractSet[str]) -> None:
    for address, party in known.by_address.items():
        if address in own:
            continue
        sent = part.by_address.get(address)
        if sent is not None and sent.agent == "SERVER":
            _take_answer(work, party, sent)
    delegates = _new_delegates(known, part)
    if delegates:
        last = max((one.line.end for one in part.attendees), default=insert_properties(part.component).start)
        work.put(last, [raw(stored.source, one.line) for one in delegates])
    said = {line.value for line in part.component.all(ATTENDEE_COMMENT)}
    comments = [raw(stored.source, line) for line in known.component.all(ATTENDEE_COMMENT) if line.value not in said]
    if comments and part.rid == known.rid:
        work.put(insert_properties(part.component).start, comments)


def _take_answer(work: Amendments, known: Party, sent: Party) -> None:
    for name in _REPLIED_PARAMS:
        there = next((values for key, values in known.line.params if key == name), None)
        here = next((values for key, values in sent.line.params if key == name), None)
        if name == "PARTSTAT" and known.partstat == sent.partstat:
            continue
        if there != here:
            work.param(sent.line, name, there)


def _new_delegates(known: Part, part: Part) -> list[Party]:
    """The delegates that the client has not seen: their delegator is there, and does not name them."""
    found: dict[str, Party] = {}
    waiting = [party for party in known.attendees if party.address not in part.by_address]
    while True:
        more = [
            party
            for party in waiting
            if party.address not in found
            and any(
                one in found
                or (one in part.by_address and party.address not in part.by_address[one].addresses("DELEGATED-TO"))
                for one in party.addresses("DELEGATED-FROM")
            )
        ]
        if not more:
            return list(found.values())
        found.update((party.address, party) for party in more)


def unseen(stored: bytes, sent: bytes, own: AbstractSet[str]) -> bytes:
    """``with_unseen`` for texts; ``sent`` as it is where one of them is no meeting."""
    old, new = read(stored), read(sent)
    if old is None or new is None or old.organizer is None or old.organizer.address not in own:
        return sent
    return with_unseen(old, new, own)
