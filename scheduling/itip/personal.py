"""What in a text belongs to one person, and what to all: read apart, and left out of what arrives.

The tables are in ``ownership``; how an update leaves what is personal where it is, in ``merging``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduling.itip.comparing import line_key
from scheduling.itip.copying import raw, raw_lines, with_params
from scheduling.itip.message import party_line
from scheduling.itip.ownership import ATTENDEE_COMMENT, PARTIES, PERSONAL_COMPONENTS, STAMP, is_personal, is_private

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scheduling.ical.lines import Component
    from scheduling.itip.snapshot import Part, Snapshot


def shared_components(component: Component) -> list[Component]:
    """What is in ``component`` for everybody: all but alarms."""
    return [one for one in component.components if one.name not in PERSONAL_COMPONENTS]


def personal_lines(source: bytes, component: Component) -> list[str]:
    """What in ``component`` belongs to its owner, line by line."""
    out = [raw(source, line) for line in component.properties if is_personal(line.name)]
    for one in component.components:
        if one.name in PERSONAL_COMPONENTS:
            out += raw_lines(source, one)
    return out


def _keys(source: bytes, component: Component) -> frozenset[Hashable]:
    # What attendees have written to the organizer came with their answers.
    lines = (line for line in component.properties if is_personal(line.name) and line.name != ATTENDEE_COMMENT)
    keys: set[Hashable] = {line_key(line) for line in lines}
    keys.update(tuple(raw_lines(source, one)) for one in component.components if one.name in PERSONAL_COMPONENTS)
    return frozenset(keys)


def is_private_override(snapshot: Snapshot, rid: int) -> bool:
    """Whether an override holds other things of its owner than the series: another alarm, another TRANSP."""
    master = snapshot.master
    return master is not None and _keys(snapshot.source, snapshot.parts[rid].component) != _keys(
        snapshot.source, master.component
    )


def arriving(update: Snapshot, part: Part, *, in_order: bool, personal: bool) -> list[str]:
    """A component of a message as it is stored, line by line, without what its sender should have kept.

    ``personal``: with the first values for TRANSP and CATEGORIES that an invitation carries.
    """
    source, component = update.source, part.component
    out = [f"BEGIN:{component.name}"]
    for line in component.properties:
        if is_private(line) or (not personal and is_personal(line.name)):
            continue
        text = party_line(source, line) if line.name in PARTIES else raw(source, line)
        if line.name == "ORGANIZER" and not in_order and part.dtstamp:
            text = with_params(text, {STAMP: part.dtstamp})
        out.append(text)
    for inner in shared_components(component):
        out += raw_lines(source, inner)
    return [*out, f"END:{component.name}"]
