"""``C:filter`` of a calendar query, from XML to the tree that ``scheduling.ical.filter`` evaluates (RFC 4791 9.7).

Owns the shapes of the elements; what the parts may say is checked where the tree is made. Every malformed shape is an
error with a precondition of RFC 4791 7.8: ``valid-filter``, ``supported-filter`` or ``supported-collation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caldavd.errors import CONDITIONS, MAX_DATE_TIME, MIN_DATE_TIME, failed
from caldavd.xml.names import caldav, split
from caldavd.xml.parse import children, tag_of
from scheduling.ical.filter import (
    CompFilter,
    FilterError,
    IsNotDefined,
    ParamFilter,
    PropFilter,
    TextMatch,
    TimeRange,
)
from scheduling.ical.lines import ICalendarError, is_name
from scheduling.ical.textmatch import DEFAULT_COLLATION, MatchType
from scheduling.ical.values import Form, moment

if TYPE_CHECKING:
    from caldavd.xml.parse import Element

#: How many comp-filters may be nested; VCALENDAR, VEVENT, VALARM are three.
MAX_DEPTH: Final = 8
#: How many elements a filter may have: each costs a look at each object.
MAX_ELEMENTS: Final = 200

FILTER: Final = caldav("filter")
COMP_FILTER: Final = caldav("comp-filter")
PROP_FILTER: Final = caldav("prop-filter")
PARAM_FILTER: Final = caldav("param-filter")
IS_NOT_DEFINED: Final = caldav("is-not-defined")
#: The element of the drafts before RFC 4791; old clients send it for an empty filter.
IS_DEFINED: Final = caldav("is-defined")
TIME_RANGE: Final = caldav("time-range")
TEXT_MATCH: Final = caldav("text-match")
#: The elements that specify a range of time (RFC 4791 7.8, 7.9).
RANGES: Final = (TIME_RANGE, caldav("expand"), caldav("limit-recurrence-set"), caldav("limit-freebusy-set"))


def read_filter(element: Element, *, max_depth: int = MAX_DEPTH) -> CompFilter:
    """The filter that the ``C:filter`` ``element`` is; its name is VCALENDAR. ``max_depth`` comp-filters may be nested.

    Raises DavError (403) with the precondition that the filter violates.
    """
    try:
        if sum(1 for _ in element.iter()) > MAX_ELEMENTS:
            raise FilterError(f"The filter has more than {MAX_ELEMENTS} elements.", "supported-filter")
        inner = _known_children(element, COMP_FILTER)
        if len(inner) != 1:
            raise FilterError("A filter holds exactly one comp-filter (RFC 4791 9.7).")
        found = _comp_filter(inner[0], 1, max_depth)
        if found.name != "VCALENDAR":
            raise FilterError("The outermost comp-filter is that of VCALENDAR (RFC 4791 9.7.1).")
    except FilterError as error:
        raise failed(CONDITIONS[error.condition], message=error.message) from error
    return found


def read_time_range(element: Element) -> TimeRange:
    """The ``C:time-range`` of a free-busy-query. Raises DavError (403) as ``read_filter``."""
    try:
        return _time_range(element)
    except FilterError as error:
        raise failed(CONDITIONS[error.condition], message=str(error)) from error


def check_ranges(root: Element, *, earliest: str, latest: str) -> None:
    """All ranges of a report, which were read already, lie between two UTC texts (``20260131T230000Z``).

    Raises DavError (403): ``min-date-time`` and ``max-date-time`` of RFC 4791 7.8 and 7.9. The texts compare as the
    instants do, since years have four digits.
    """
    for element in root.iter(*RANGES):
        for name in ("start", "end"):
            value = (element.get(name) or "").strip()
            if value and value < earliest:
                raise failed(MIN_DATE_TIME, message=f"The {name} of a range is before {earliest}, the earliest here.")
            if value > latest:
                raise failed(MAX_DATE_TIME, message=f"The {name} of a range is after {latest}, the latest here.")


def _known_children(element: Element, *names: str) -> list[Element]:
    """The children, each of which has one of ``names``; elements of other namespaces are passed over (RFC 4918 17)."""
    namespace, local = split(tag_of(element))
    found = []
    for inner in children(element):
        if tag_of(inner) in names:
            found.append(inner)
        elif split(tag_of(inner))[0] == namespace:
            raise FilterError(f"There is no {split(tag_of(inner))[1]} in a {local} (RFC 4791 9.7).")
    return found


def _name_of(element: Element) -> str:
    name = element.get("name")
    if name is None or not is_name(name):
        raise FilterError(f"The name of a {split(tag_of(element))[1]} is missing or is none (RFC 4791 9.7).")
    return name.upper()


def _one_test(found: list[Element], *names: str) -> Element | None:
    """The one child that has one of ``names``, None where there is none."""
    tests = [inner for inner in found if tag_of(inner) in names]
    if len(tests) > 1:
        raise FilterError("A filter has one test beside those nested in it (RFC 4791 9.7).")
    return tests[0] if tests else None


def _comp_filter(element: Element, depth: int, max_depth: int) -> CompFilter:
    if depth > max_depth:
        raise FilterError(f"There are more than {max_depth} comp-filters in one another.", "supported-filter")
    found = _known_children(element, IS_NOT_DEFINED, IS_DEFINED, TIME_RANGE, PROP_FILTER, COMP_FILTER)
    test = _one_test(found, IS_NOT_DEFINED, TIME_RANGE)
    return CompFilter(
        _name_of(element),
        None if test is None else IsNotDefined() if tag_of(test) == IS_NOT_DEFINED else _time_range(test),
        tuple(_prop_filter(inner) for inner in found if tag_of(inner) == PROP_FILTER),
        tuple(_comp_filter(inner, depth + 1, max_depth) for inner in found if tag_of(inner) == COMP_FILTER),
    )


def _prop_filter(element: Element) -> PropFilter:
    found = _known_children(element, IS_NOT_DEFINED, IS_DEFINED, TIME_RANGE, TEXT_MATCH, PARAM_FILTER)
    test = _one_test(found, IS_NOT_DEFINED, TIME_RANGE, TEXT_MATCH)
    return PropFilter(
        _name_of(element),
        _time_range(test) if test is not None and tag_of(test) == TIME_RANGE else _text_test(test),
        tuple(_param_filter(inner) for inner in found if tag_of(inner) == PARAM_FILTER),
    )


def _param_filter(element: Element) -> ParamFilter:
    found = _known_children(element, IS_NOT_DEFINED, IS_DEFINED, TEXT_MATCH)
    return ParamFilter(_name_of(element), _text_test(_one_test(found, IS_NOT_DEFINED, TEXT_MATCH)))


def _text_test(element: Element | None) -> IsNotDefined | TextMatch | None:
    if element is None:
        return None
    return IsNotDefined() if tag_of(element) == IS_NOT_DEFINED else _text_match(element)


_NEGATE: Final = {"yes": True, "no": False}
_MATCH_TYPES: Final = {kind.value: kind for kind in MatchType}


def _text_match(element: Element) -> TextMatch:
    if len(element):
        raise FilterError("A text-match holds text alone (RFC 4791 9.7.5).")
    negate = _NEGATE.get(element.get("negate-condition", "no"))
    if negate is None:
        raise FilterError('The value of negate-condition is "yes" or "no" (RFC 4791 9.7.5).')
    # RFC 6352 10.5.4 has match-type, RFC 4791 has not; who sends it all the same means it.
    match_type = _MATCH_TYPES.get(element.get("match-type", "contains"))
    if match_type is None:
        raise FilterError(f"The value of match-type is one of {', '.join(_MATCH_TYPES)}.")
    return TextMatch(
        element.text or "", element.get("collation", DEFAULT_COLLATION), negate=negate, match_type=match_type
    )


def _time_range(element: Element) -> TimeRange:
    _known_children(element)
    return TimeRange(_instant(element, "start"), _instant(element, "end"))


def _instant(element: Element, name: str) -> int | None:
    value = element.get(name)
    if value is None:
        return None
    try:
        found = moment(value)
    except ICalendarError as error:
        raise FilterError(f"The {name} of a time range: {error.message}") from None
    if found.form is not Form.UTC:
        raise FilterError(f"The {name} of a time range is a UTC time, such as 20260131T230000Z (RFC 4791 9.9).")
    return found.local
