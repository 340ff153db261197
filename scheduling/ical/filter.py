"""The filter of a calendar query, as a tree of values, and whether a calendar object matches it.

Owns RFC 4791 9.7 (comp-filter, prop-filter, param-filter, is-not-defined, text-match) and what of 9.9 makes a filter
valid. When something overlaps a time range is for ``timerange`` to say, when texts match for ``textmatch``; the XML is
``caldavd.filters``.

Decisions where RFC 4791 leaves a choice:

- A property that occurs several times matches if one of its lines does, also with ``negate-condition``; a property
  that is not there matches no text-match, negated or not (9.7.2: "the property value").
- Everything inside one comp-filter is asked of one component: with a time range, of a component that describes an
  instance in it (the master or an override).
- A time range, and filters of properties that a VCALENDAR does not have, right below VCALENDAR are asked of the
  object's own components: python-caldav searches so when it does not know the kind of component.
- A known component where it cannot be (VEVENT in VTODO) and a time range where it means nothing (SUMMARY) are
  ``valid-filter``; unknown names are simply not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical import timerange
from scheduling.ical.lines import text
from scheduling.ical.textmatch import (
    DEFAULT_COLLATION,
    MatchType,
    UnknownCollationError,
    folding,
    matches as text_matches,
)
from scheduling.ical.validate import OBJECT_COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scheduling.ical.lines import Component, ContentLine
    from scheduling.ical.timezones import Zone


class FilterError(ValueError):
    """The filter cannot be answered; ``condition`` is the plain name of the precondition of RFC 4791 7.8."""

    def __init__(self, message: str, condition: str = "valid-filter") -> None:
        super().__init__(message)
        self.message = message
        self.condition = condition


@dataclass(frozen=True, slots=True)
class IsNotDefined:
    """There is no such component, property or parameter (RFC 4791 9.7.4)."""


@dataclass(frozen=True, slots=True)
class TextMatch:
    """The value holds ``text``, or with ``negate`` does not (RFC 4791 9.7.5)."""

    text: str
    collation: str = DEFAULT_COLLATION
    negate: bool = False
    match_type: MatchType = MatchType.CONTAINS

    def __post_init__(self) -> None:
        """Raises FilterError for an unknown collation."""
        try:
            folding(self.collation)
        except UnknownCollationError as error:
            raise FilterError(str(error), error.condition) from None

    def matches(self, value: str) -> bool:
        """Whether ``value``, as people see it, is what is asked for."""
        found = text_matches(value, self.text, collation=self.collation, match_type=self.match_type)
        return found is not self.negate


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Instants (epoch seconds) from ``start``, included, to ``end``, not included; None is open (RFC 4791 9.9)."""

    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        """Raises FilterError for a range without bounds and for one that ends before it starts."""
        if self.start is None and self.end is None:
            raise FilterError("A time range has a start, an end, or both (RFC 4791 9.9).")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise FilterError("The end of a time range is after its start (RFC 4791 9.9).")

    def seen_in(self, zone: Zone) -> timerange.TimeRange:
        """The range, with the zone that dates and floating times are in."""
        return timerange.TimeRange(self.start, self.end, zone)


@dataclass(frozen=True, slots=True)
class ParamFilter:
    """A parameter is there, or is not, or has a value that matches (RFC 4791 9.7.3). ``name`` is in upper case."""

    name: str
    test: IsNotDefined | TextMatch | None = None


@dataclass(frozen=True, slots=True)
class PropFilter:
    """A property is there, or is not, or has a value that matches (RFC 4791 9.7.2). ``name`` is in upper case.

    Raises FilterError where the name and the test do not go together.
    """

    name: str
    test: IsNotDefined | TimeRange | TextMatch | None = None
    params: tuple[ParamFilter, ...] = ()

    def __post_init__(self) -> None:
        """See the class."""
        if isinstance(self.test, TimeRange) and self.name not in TIMED_PROPERTIES:
            raise FilterError(f"A time range means nothing for the property {self.name[:40]} (RFC 4791 9.9).")
        if isinstance(self.test, IsNotDefined) and self.params:
            raise FilterError("is-not-defined stands alone (RFC 4791 9.7.2).")


@dataclass(frozen=True, slots=True)
class CompFilter:
    """A component is there, or is not, or has what is asked of it (RFC 4791 9.7.1). ``name`` is in upper case.

    Raises FilterError where the parts do not go together.
    """

    name: str
    test: IsNotDefined | TimeRange | None = None
    props: tuple[PropFilter, ...] = ()
    comps: tuple[CompFilter, ...] = ()

    def __post_init__(self) -> None:
        """See the class."""
        if isinstance(self.test, TimeRange) and self.name not in TIMED_COMPONENTS:
            raise FilterError(f"A time range means nothing for the component {self.name[:40]} (RFC 4791 9.9).")
        if isinstance(self.test, IsNotDefined) and (self.props or self.comps):
            raise FilterError("is-not-defined stands alone (RFC 4791 9.7.1).")
        for inner in self.comps:
            places = PLACES.get(inner.name)
            if (places is not None and self.name not in places) or self.name in LEAVES:
                raise FilterError(f"There is no {inner.name[:40]} in a {self.name[:40]} (RFC 4791 7.8).")
            if self.name != "VCALENDAR" and any(isinstance(prop.test, TimeRange) for prop in inner.props):
                raise FilterError(
                    f"Time ranges of properties in a {inner.name[:40]} cannot be searched for.", "supported-filter"
                )

    @property
    def time_range(self) -> TimeRange | None:
        """The time range, where there is one."""
        return self.test if isinstance(self.test, TimeRange) else None


#: RFC 4791 9.9, RFC 7953 7.2.2: the components and properties for which a time range means something; VCALENDAR stands
#: for those in it.
TIMED_COMPONENTS: Final = frozenset(
    {"VCALENDAR", "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY", "VALARM"}
)
TIMED_PROPERTIES: Final = frozenset({"COMPLETED", "CREATED", "DTEND", "DTSTAMP", "DTSTART", "DUE", "LAST-MODIFIED"})
#: RFC 5545 3.6 and 3.6.5, RFC 7953 3.1: which components can be where.
PLACES: Final[dict[str, frozenset[str]]] = {
    "VCALENDAR": frozenset(),
    "VEVENT": frozenset({"VCALENDAR"}),
    "VTODO": frozenset({"VCALENDAR"}),
    "VJOURNAL": frozenset({"VCALENDAR"}),
    "VFREEBUSY": frozenset({"VCALENDAR"}),
    "VTIMEZONE": frozenset({"VCALENDAR"}),
    "VAVAILABILITY": frozenset({"VCALENDAR"}),
    "VALARM": frozenset({"VEVENT", "VTODO"}),
    "STANDARD": frozenset({"VTIMEZONE"}),
    "DAYLIGHT": frozenset({"VTIMEZONE"}),
    "AVAILABLE": frozenset({"VAVAILABILITY"}),
}
LEAVES: Final = frozenset({"STANDARD", "DAYLIGHT"})
#: The properties of a VCALENDAR itself (RFC 5545 3.7, RFC 7986 5); any other one asked of it is asked of the
#: components.
_CALENDAR_PROPERTIES: Final = frozenset(
    {"VERSION", "PRODID", "CALSCALE", "METHOD", "NAME", "REFRESH-INTERVAL", "SOURCE"}
)


# --- does it match? --------------------------------------------------------------------------------------------------


def matches(query: CompFilter, calendar: Component, zone: Zone) -> bool:
    """Whether the object ``calendar`` matches ``query``, whose name is VCALENDAR.

    ``zone`` is that of dates and floating times (RFC 4791 7.3). Raises ICalendarError where a value that decides cannot
    be read.
    """
    if isinstance(query.test, IsNotDefined):
        return False
    own = [one for one in query.props if one.name in _CALENDAR_PROPERTIES]
    if not all(_has_property(one, calendar) for one in own):
        return False
    anywhere = _asked_of_components(query)
    if anywhere is not None:
        names = sorted({item.name for item in calendar.components} & OBJECT_COMPONENTS)
        if not any(_has_component(replace(anywhere, name=name), calendar, zone) for name in names):
            return False
    return all(_has_component(one, calendar, zone) for one in query.comps)


def _asked_of_components(query: CompFilter) -> CompFilter | None:
    """What right below VCALENDAR is meant of the components in it, whatever their name."""
    props = tuple(one for one in query.props if one.name not in _CALENDAR_PROPERTIES)
    return CompFilter("VCALENDAR", query.test, props) if query.test is not None or props else None


def _has_component(query: CompFilter, calendar: Component, zone: Zone) -> bool:
    """Whether a component right below VCALENDAR matches. What costs least is asked first."""
    found = [item for item in calendar.components if item.name == query.name]
    if isinstance(query.test, IsNotDefined):
        return not found
    for prop in query.props:
        if not isinstance(prop.test, TimeRange):
            found = [item for item in found if _has_property(prop, item)]
    for inner in query.comps:
        if inner.time_range is None:
            found = [item for item in found if _has_inner(inner, item)]
    for prop in query.props:
        if found and isinstance(prop.test, TimeRange):
            timed = prop.test.seen_in(zone).with_property(calendar, query.name, prop.name)
            found = [item for item in _among(found, timed) if _has_params(prop, item)]
    for inner in query.comps:
        if found and inner.time_range is not None:
            found = _with_alarm(inner, query.name, found, calendar, zone)
    if found and query.time_range is not None:
        if query.name == "VEVENT" and any(item.first("DTSTART") is None for item in found):
            return True  # a message in an inbox: "such components MUST always match" (RFC 6638 2.3)
        return any(True for _ in _among(found, query.time_range.seen_in(zone).components(calendar, query.name)))
    return bool(found)


def _among(found: list[Component], others: Iterable[Component]) -> Iterator[Component]:
    """Those of ``others`` that are in ``found``, being the very same."""
    ids = {id(item) for item in found}
    return (item for item in others if id(item) in ids)


def _with_alarm(
    query: CompFilter, kind: str, found: list[Component], calendar: Component, zone: Zone
) -> list[Component]:
    """Those of ``found`` with an alarm that is in the range of ``query`` and matches the rest of it as well."""
    span = query.time_range
    if span is None:
        return found
    rest = replace(query, test=None)
    reduced: dict[int, Component] = {}
    components = []
    for item in calendar.components:
        kept = [inner for inner in item.components if inner.name == query.name and _is_inner(rest, inner)]
        other = item if item.name != kind else replace(item, components=kept)
        components.append(other)
        reduced[id(other)] = item
    changed = replace(calendar, components=components)
    timed = span.seen_in(zone).with_alarm(changed, kind)
    return list(_among(found, (reduced[id(item)] for item in timed)))


def _has_inner(query: CompFilter, component: Component) -> bool:
    """Whether a component in ``component`` matches ``query``, which has no time range."""
    if isinstance(query.test, IsNotDefined):
        return all(item.name != query.name for item in component.components)
    return any(item.name == query.name and _is_inner(query, item) for item in component.components)


def _is_inner(query: CompFilter, component: Component) -> bool:
    return all(_has_property(prop, component) for prop in query.props) and all(
        _has_inner(inner, component) for inner in query.comps
    )


def _has_property(query: PropFilter, component: Component) -> bool:
    """Whether a property of ``component`` matches ``query``, which has no time range."""
    lines = component.all(query.name)
    match query.test:
        case IsNotDefined():
            return not lines
        case TextMatch() as test:
            return any(test.matches(text(line.value)) and _params_match(query, line) for line in lines)
    return any(_params_match(query, line) for line in lines)


def _has_params(query: PropFilter, component: Component) -> bool:
    return not query.params or any(_params_match(query, line) for line in component.all(query.name))


def _params_match(query: PropFilter, line: ContentLine) -> bool:
    return all(_has_param(one, line) for one in query.params)


def _has_param(query: ParamFilter, line: ContentLine) -> bool:
    values = next((values for name, values in line.params if name == query.name), None)
    match query.test:
        case IsNotDefined():
            return values is None
        case TextMatch() as test:
            return values is not None and any(test.matches(value) for value in values)
    return values is not None


# --- before any text is read -----------------------------------------------------------------------------------------

#: Seconds by which a range is widened: the tables of RFC 4791 9.9 include some edges that a store leaves out.
_EDGE: Final = 1


class Bounds(NamedTuple):
    """What rows of an index can match: ``components`` (empty: any kind) whose bounds meet ``start`` to ``end``.

    Instants in epoch seconds; None is open.
    """

    components: frozenset[str]
    start: int | None
    end: int | None


def bounds(query: CompFilter) -> Bounds | None:
    """What an object must be like to match ``query`` at all; None where none can.

    It may let through what does not match, and never holds back what does, if the index bounds all instances and
    alarms of an object in whatever zone (``digest``) and lets through objects whose bounds are not known.
    """
    if isinstance(query.test, IsNotDefined):
        return None
    kinds = OBJECT_COMPONENTS
    span = query.time_range
    for inner in query.comps:
        if inner.name in OBJECT_COMPONENTS:
            kinds = kinds - {inner.name} if isinstance(inner.test, IsNotDefined) else kinds & {inner.name}
            alarms = (alarm.time_range for alarm in inner.comps)
            span = span or inner.time_range or next(filter(None, alarms), None)
    if not kinds:
        return None
    start = None if span is None or span.start is None else span.start - _EDGE
    end = None if span is None or span.end is None else span.end + _EDGE
    return Bounds(frozenset() if kinds == OBJECT_COMPONENTS else kinds, start, end)


def only_time(query: CompFilter) -> tuple[str, TimeRange | None] | None:
    """The component of a query and the range that it is asked for in, if any; None where more is asked, or less.

    Clients look for what is in a calendar in this way: all events, or those of a week; see ``lies_within``.
    """
    if query.test is not None or query.props or len(query.comps) != 1:
        return None
    inner = query.comps[0]
    if inner.name not in OBJECT_COMPONENTS or inner.props or inner.comps or isinstance(inner.test, IsNotDefined):
        return None
    return inner.name, inner.time_range


def lies_within(span: TimeRange, starts_at: int | None, ends_at: int | None) -> bool:
    """Whether what has these bounds (``digest``) overlaps ``span`` for certain, without a look at its text.

    True only where the bounds, which may be wider than the object, lie wholly inside. It is said of an object with one
    instance; one that recurs may have lost all of those that its bounds speak of (EXDATE).
    """
    if starts_at is None or ends_at is None:
        return False
    # Bounds are included, the end of a range is not (RFC 4791 9.9).
    return (span.start is None or starts_at >= span.start) and (span.end is None or ends_at < span.end)
