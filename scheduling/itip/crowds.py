"""Meetings of very many people: each attendee is told of the organizer, of themselves and of the rooms.

With the whole list in every copy, a meeting of n people is n times n lines, and each of n answers rewrites n copies:
with 10,000 people these are gigabytes a PUT, and as much for every answer (docs/decisions/0007). The organizer's object
has everybody and every answer; rooms get all of it, since they count who comes. RFC 5546 section 3.2.2 asks for the
attendees in a REQUEST and leaves open that it is all of them; section 3.2.5 names only some in a CANCEL.
"""

from __future__ import annotations

from collections.abc import Sequence, Set as AbstractSet
from dataclasses import replace
from typing import Final

from scheduling.ical.lines import ContentLine
from scheduling.itip.message import ORGANIZER_METHODS, Message
from scheduling.itip.snapshot import Part, Party, Snapshot, read

#: Attendees of a component up to which everybody is told of everybody.
MOST_SHOWN: Final = 1000
#: What the copies of all attendees may have together, bytes: those of 1,000 people of an event, or of 100 people of a
#: series with 100 overrides. Beyond it the meeting is a crowd as well.
MOST_BYTES: Final = 128 * 1024 * 1024
#: Calendar user types that everybody is told of (RFC 5545 section 3.2.3), and how many of them.
_SHOWN: Final = frozenset({"ROOM", "RESOURCE"})
_MOST_PLACES: Final = 50


def is_crowd(text: bytes, most: int) -> bool:
    """Whether a component of ``text`` has more than ``most`` attendees, or copies for all would be too large."""
    lines = text.count(b"\n")
    if lines <= most and lines * len(text) <= MOST_BYTES:  # nothing is read for it
        return False
    snapshot = read(text)
    if snapshot is None:
        return False
    largest = max(len(part.attendees) for part in snapshot.parts.values())
    return largest > most or len(snapshot.addresses) * len(text) > MOST_BYTES


def told(messages: Sequence[Message], most: int = MOST_SHOWN) -> Sequence[Message]:
    """``messages`` without those that tell a crowd of somebody's answer: nobody in it sees the others' answers."""
    crowds = {text for text in {one.text for one in messages if one.quiet} if is_crowd(text, most)}
    return [one for one in messages if not (one.quiet and one.text in crowds)] if crowds else messages


def reduced(messages: Sequence[Message], whole: AbstractSet[str], most: int = MOST_SHOWN) -> Sequence[Message]:
    """``messages`` of an organizer with what each recipient is told of a crowd; those for ``whole`` stay whole."""
    texts = {one.text for one in messages if one.method in ORGANIZER_METHODS}
    makers = {text: _Maker(text) for text in texts if is_crowd(text, most)}
    if not makers:
        return messages
    return [
        replace(one, text=makers[one.text].text_for(one.recipient))
        if one.text in makers and one.recipient not in whole
        else one
        for one in messages
    ]


class _Maker:
    """Makes the texts for all recipients out of one: what they have in common is cut out of it once."""

    def __init__(self, text: bytes) -> None:
        snapshot = read(text)
        assert snapshot is not None
        self._source = text
        #: What all have in common, and between two such pieces the component whose attendees stand there.
        self._pieces = list(_pieces(snapshot))

    def text_for(self, recipient: str) -> bytes:
        out = []
        for common, part in self._pieces:
            out.append(common)
            if part is not None:
                out += [self._source[line.start : line.end] for line in _lines_for(part, recipient)]
        return b"".join(out)


def _pieces(snapshot: Snapshot) -> list[tuple[bytes, Part | None]]:
    found: list[tuple[bytes, Part | None]] = []
    source, at = snapshot.source, 0
    for part in sorted(snapshot.parts.values(), key=lambda one: one.component.start):
        places = [party.line.start for party in part.attendees if _is_place(party)]
        kept = frozenset(places[:_MOST_PLACES])
        left_out = [party.line for party in part.attendees if party.line.start not in kept]
        for number, line in enumerate(left_out):
            if number == 0 or line.start > at:
                found.append((source[at : line.start], part if number == 0 else None))
            at = line.end
    found.append((source[at:], None))
    return found


def _is_place(party: Party) -> bool:
    return (party.line.param("CUTYPE") or "").strip().upper() in _SHOWN


def _lines_for(part: Part, recipient: str) -> list[ContentLine]:
    """The lines of the recipient, and of those by whom or to whom their part was delegated (RFC 5545 3.2.4, 3.2.5)."""
    own = part.by_address.get(recipient)
    if own is None:
        return []
    others = own.addresses("DELEGATED-FROM") | own.addresses("DELEGATED-TO")
    shown = {recipient, *others} & part.by_address.keys()
    return [part.by_address[one].line for one in sorted(shown) if not _is_place(part.by_address[one])]
