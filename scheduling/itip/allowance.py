"""What an attendee may change in a meeting that somebody else organizes.

Owns RFC 6638 3.2.2.1 and 3.2.4.4 (``allowed-attendee-scheduling-object-change``).

Refused is what would make a copy lie about the meeting: another time or rule, instances that the organizer does not
have, another SUMMARY, LOCATION or ORGANIZER, an event that is cancelled or is so no more, people added (but by
delegation). Allowed is what the list of 3.2.2.1 has, and what clients change without being asked: they drop what they
do not know, write text and lists anew, add properties of their own. Such changes stay until the organizer's next
update. What others have answered, who is invited, and SEQUENCE are put back as they were (see ``own_copy``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import text
from scheduling.ical.rrule import TooManyInstances
from scheduling.itip.outcome import Refusal
from scheduling.itip.revision import new_instances, same_time

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from scheduling.ical.lines import Component
    from scheduling.itip.snapshot import Part, Rid, Snapshot

CONDITION: Final = "allowed-attendee-scheduling-object-change"  # RFC 6638 3.2.4.4
#: So many instances may be left out by one change, each with a reply.
MOST_DECLINES: Final = 1_000

#: "key properties such as start time, end time, location, and summary" (3.2.2.1); times are compared as times.
_TEXTS: Final = ("SUMMARY", "LOCATION")
_SPACE: Final = re.compile(r"\s+")
_RULES: Final = frozenset({"RRULE", "RDATE"})


def refusal(before: Snapshot, after: Snapshot, own: AbstractSet[str]) -> Refusal | None:
    """Why the attendee with the addresses ``own`` may not change ``before`` to ``after``; None where they may."""
    problem = _series_problem(before, after)
    for rid, part in after.parts.items():
        if problem is not None:
            break
        problem = _part_problem(before, after, rid, part, own)
    if problem is None:
        return None
    return Refusal(CONDITION, f"{problem} (RFC 6638 3.2.2.1).")


def _series_problem(before: Snapshot, after: Snapshot) -> str | None:
    if (before.master is None) is not (after.master is None):
        return "Only the organizer can invite you to the series, or from the series to single instances"
    gone = before.overrides.keys() - after.overrides.keys()
    if after.master is not None and any(before.parts[rid].future for rid in gone):
        return "An instance that changes those after it, too, cannot be left out; you can decline it"
    for rid in gone - after.exdates:
        if after.master is not None and not same_time(before, after, rid):
            return "An instance that the organizer moved cannot be moved back by leaving it out"
    if before.master is None or after.master is None:
        return None
    if len(after.exdates - before.exdates) > MOST_DECLINES:
        return f"More than {MOST_DECLINES} instances cannot be declined at once"
    back = before.exdates - after.exdates
    if any(after.has_instance(rid) for rid in sorted(back)[:MOST_DECLINES]):
        return "An instance that was taken out of the series cannot be put back by an attendee"
    if _rules(before.master) == _rules(after.master):
        return None
    try:
        added = new_instances(before, after)
        lost = new_instances(after, before) - after.exdates - after.overrides.keys()
    except TooManyInstances:
        return "Only the organizer can change when the meeting recurs"
    return "Only the organizer can change when the meeting recurs" if added or lost else None


def _rules(part: Part) -> frozenset[str]:
    return frozenset(
        f"{line.name}{line.params}{line.value}" for line in part.component.properties if line.name in _RULES
    )


def _part_problem(before: Snapshot, after: Snapshot, rid: Rid, part: Part, own: AbstractSet[str]) -> str | None:
    base = before.parts.get(rid)
    if base is None:
        instance = None if rid is None else before.instance(rid)
        if instance is None or before.master is None:
            return "The meeting has no such instance"
        base = before.master
        for future in before.parts.values():
            if future.component is instance.component:
                base = future
    if not same_time(before, after, rid):
        return "Only the organizer can change the time of the meeting"
    for name in _TEXTS:
        if _text(base.component, name) != _text(part.component, name):
            return f"Only the organizer can change {name} of the meeting"
    if part.cancelled is not base.cancelled:
        return "Only the organizer can cancel the meeting"
    if _organizer(base) != _organizer(part):
        return "Only the organizer can hand the meeting over to another organizer"
    return _attendee_problem(base, part, own)


def _attendee_problem(base: Part, part: Part, own: AbstractSet[str]) -> str | None:
    me = part.own(own)
    if me is None:
        return "You are no longer among the attendees; delete the meeting to decline it"
    delegates = frozenset(one for address in own & part.by_address.keys() for one in _delegates(part, address))
    for address in part.by_address:
        if address not in base.by_address and address not in own and address not in delegates:
            return f"Only the organizer can invite {address.removeprefix('mailto:')[:100]}"
    return None


def _delegates(part: Part, address: str) -> frozenset[str]:
    party = part.by_address[address]
    return party.addresses("DELEGATED-TO") if party.partstat == "DELEGATED" else frozenset()


def _organizer(part: Part) -> str:
    return "" if part.organizer is None else part.organizer.address


def _text(component: Component, name: str) -> str:
    line = component.first(name)
    return "" if line is None else _SPACE.sub(" ", text(line.value)).strip()
