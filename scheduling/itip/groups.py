"""Groups among the attendees: their members are invited one by one.

Owns RFC 5546 3.7.2 and RFC 5545 3.2.11 (MEMBER) on the organizer's side. Who is in a group is for the directory to say.

A group's own line stays; it gets no message (``views.expanded_groups``) and may carry SCHEDULE-STATUS 2.7 ("request
forwarded"). Who has left a group since stays invited, for the organizer to take off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduling.addresses import normal
from scheduling.ical.lines import ContentLine, line_text
from scheduling.itip.amending import Amendments
from scheduling.itip.copying import raw
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduling.itip.snapshot import Part, Party, Snapshot


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group: the URI to invite them by, their name, and their calendar user type (RFC 5545 3.2.3)."""

    uri: str
    name: str = ""
    cutype: str = "INDIVIDUAL"


def expanded(text: bytes, members: Mapping[str, Sequence[Member]], *, before: bytes | None = None) -> bytes:
    """``text`` with an ATTENDEE line for every member of the groups in ``members`` (by address in normal form).

    Whoever is invited by name already is left as they are; whose answer is known from ``before`` keeps it. The very
    same text where nobody is to be added.
    """
    snapshot = read(text)
    if snapshot is None:
        return text
    known = None if before is None else read(before)
    work = Amendments(snapshot.source)
    for part in snapshot.parts.values():
        _expand(work, part, members, known)
    return work.made()


def _expand(work: Amendments, part: Part, members: Mapping[str, Sequence[Member]], known: Snapshot | None) -> None:
    there = set(part.by_address)
    if part.organizer is not None:
        there.add(part.organizer.address)
    for address, group in part.by_address.items():
        if group.agent != "SERVER":
            continue
        lines = []
        for member in members.get(address, ()):
            one = normal(member.uri)
            if one not in there:
                there.add(one)
                lines.append(_line(member, one, group, known, part))
        if lines:
            work.put(group.line.end, lines)


def _line(member: Member, address: str, group: Party, known: Snapshot | None, part: Part) -> str:
    old = None if known is None else known.describing(part.rid)
    party = None if old is None else old.by_address.get(address)
    if party is not None and known is not None and group.address in party.addresses("MEMBER"):
        return raw(known.source, party.line)
    params = {"CUTYPE": member.cutype, "PARTSTAT": "NEEDS-ACTION", "ROLE": group.role, "RSVP": "TRUE"}
    if member.name:
        params["CN"] = member.name
    return line_text(ContentLine.make("ATTENDEE", member.uri, {**params, "MEMBER": group.line.value}))
