"""When two content lines say the same, however they are written.

Owns no RFC, but reads the ones that give values several spellings: RFC 5545 3.2 (default values and case of
parameters), 3.3.11 (escaping) and 3.3.5. Clients write an object afresh on each change; only what differs by these
rules is a change.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical import recur, values
from scheduling.ical.lines import ContentLine, ICalendarError, split_list, text
from scheduling.itip.copying import raw_lines
from scheduling.itip.ownership import BOOKKEEPING, LOCAL_PARAMS, PARTIES, PERSONAL_COMPONENTS, is_personal, is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from scheduling.ical.lines import Component, Params

#: Parameters whose value is what counts where they are absent (RFC 5545 3.2.3, 3.2.12, 3.2.15 to 3.2.17).
_DEFAULTS: Final = {
    "CUTYPE": "INDIVIDUAL",
    "PARTSTAT": "NEEDS-ACTION",
    "ROLE": "REQ-PARTICIPANT",
    "RSVP": "FALSE",
    "RELTYPE": "PARENT",
}
#: Parameters that hold addresses (RFC 5545 3.2.4, 3.2.5, 3.2.11, 3.2.18; RFC 7986 6.2).
_ADDRESSES: Final = frozenset({"DELEGATED-FROM", "DELEGATED-TO", "MEMBER", "SENT-BY", "EMAIL", "DIR"})
#: Parameters whose values have no case (RFC 5545 3.2).
_CASELESS: Final = frozenset({*_DEFAULTS, "ENCODING", "FBTYPE", "RANGE", "LANGUAGE", "FEATURE", "DISPLAY"})
_MOMENTS: Final = frozenset({"DTSTART", "DTEND", "DUE", "RECURRENCE-ID", "COMPLETED", "CREATED", "DTSTAMP"})
_MOMENT_LISTS: Final = frozenset({"EXDATE", "RDATE"})
_LISTS: Final = frozenset({"CATEGORIES", "RESOURCES"})
#: Values that have no case (RFC 5545 3.8.1.3, 3.8.1.11, 3.8.2.7, 3.7.1; RFC 7986 5.9).
_WORDS: Final = frozenset({"CLASS", "STATUS", "TRANSP", "CALSCALE", "COLOR"})
_URIS: Final = frozenset({"URL", "CONFERENCE", "IMAGE", "ATTACH", "GEO", "TZID"})


#: Longer lines are not remembered, so that the cache stays small.
_CACHED: Final = 300


def line_key(line: ContentLine, *, without: frozenset[str] = frozenset()) -> Hashable:
    """What ``line`` says; lines with equal keys say the same. The parameters ``without`` are left out of it."""
    make = _known_key if len(line.value) <= _CACHED else _key
    return make(line.name, line.params, line.value, without)


def same(one: ContentLine, other: ContentLine) -> bool:
    """Whether both lines say the same."""
    return (one.value == other.value and one.params == other.params) or line_key(one) == line_key(other)


def _key(name: str, params: Params, value: str, without: frozenset[str]) -> Hashable:
    line = ContentLine(name, params, value)
    return name, _params(line, without), _value(line)


# The copies of a meeting hold the same lines.
_known_key = lru_cache(maxsize=16_384)(_key)


PARTSTAT: Final = frozenset({"PARTSTAT"})

#: What is compared apart from the rest of a component, or not at all.
_APART: Final = frozenset({"EXDATE", "SEQUENCE"}) | BOOKKEEPING


def content(source: bytes, component: Component, *, without: frozenset[str] = frozenset()) -> frozenset[Hashable]:
    """What ``component`` says to everybody, without EXDATE and SEQUENCE; the parameters ``without`` are left out."""
    found: set[Hashable] = {
        line_key(line, without=without)
        for line in component.properties
        if line.name not in _APART and not is_personal(line.name) and not is_private(line) and not says_nothing(line)
    }
    found.update(
        ("\n".join(raw_lines(source, inner)),)
        for inner in component.components
        if inner.name not in PERSONAL_COMPONENTS
    )
    return frozenset(found)


def says_nothing(line: ContentLine) -> bool:
    """What a message has because it must have it (RFC 5546 3.2.2, 3.4.2), and PRIORITY 0, which is none."""
    return (line.name == "PRIORITY" and line.value.strip() == "0") or (
        not line.value.strip() and line.name in ("SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT")
    )


def _params(line: ContentLine, without: frozenset[str]) -> Hashable:
    if not line.params:
        return ()
    found = []
    dated = line.name in _MOMENTS or line.name in _MOMENT_LISTS
    for name, given in line.params:
        if name in without or (line.name in PARTIES and name in LOCAL_PARAMS):
            continue
        if name == "VALUE" or (dated and name == "TZID"):  # the form of the value says it (see ``values``)
            continue
        kept: tuple[str, ...] = given
        if name in _CASELESS:
            kept = tuple(sorted(value.strip().upper() for value in given))
            if kept == (_DEFAULTS.get(name),):
                continue
        elif name in _ADDRESSES:
            kept = tuple(sorted(map(normal, given)))
        found.append((name, kept))
    return tuple(sorted(found))


def _value(line: ContentLine) -> Hashable:
    name, value = line.name, line.value
    if name in PARTIES:
        return normal(value)
    if name in _URIS:
        return value.strip()
    if name in _WORDS:
        return value.strip().upper()
    reader = _READERS.get(name)
    if reader is not None:
        try:
            return reader(line)
        except (ICalendarError, ValueError):
            return value
    if name in _LISTS:
        return frozenset(text(one).strip() for one in split_list(value))
    return text(value).strip()


def _whole(line: ContentLine) -> int:
    return int(line.value)


def _moments(line: ContentLine) -> Hashable:
    return frozenset(values.moments_of(line))


def _rule(line: ContentLine) -> Hashable:
    return _known_rule(line.value)


@lru_cache(maxsize=512)
def _known_rule(value: str) -> Hashable:
    return recur.parse(value)


_READERS: Final[dict[str, Callable[[ContentLine], Hashable]]] = {
    **dict.fromkeys(_MOMENTS, values.moment_of),
    **dict.fromkeys(_MOMENT_LISTS, _moments),
    **dict.fromkeys(("SEQUENCE", "PRIORITY", "PERCENT-COMPLETE"), _whole),
    "RRULE": _rule,
    "DURATION": values.duration_of,
}
