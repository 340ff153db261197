"""What of an object a report returns: expanded, limited to a range, or some of its properties.

Owns RFC 4791 9.6.5 (``expand``), 9.6.6 (``limit-recurrence-set``), 9.6.7 (``limit-freebusy-set``) and 9.6.1 to 9.6.4
(selection of components and properties). All take the stored bytes and give bytes; lines that stay are as the client
sent them. Ranges are instants in seconds, the start included and the end not.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import (
    Component,
    ContentLine,
    ICalendarError,
    amend,
    edit,
    fold,
    line_end,
    line_text,
    parse,
    remove,
    render,
    split_list,
)
from scheduling.ical.recurrence import RECURRING, recurrence_sets
from scheduling.ical.rrule import TooManyInstances
from scheduling.ical.timerange import TimeRange, period_instants
from scheduling.ical.timezones import Zones
from scheduling.ical.values import (
    DAY,
    Form,
    Moment,
    Period,
    duration_of,
    moment_of,
    moments_of,
    write_date,
    write_duration,
    write_local,
    write_utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduling.ical.lines import Edit
    from scheduling.ical.series import Override
    from scheduling.ical.timezones import Zone
    from scheduling.ical.timing import Instance

#: What an instance does not have any more (RFC 4791 9.6.5), and what is written anew.
_RULES: Final = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"})
_ENDS: Final = frozenset({"DTEND", "DUE"})
_DATES: Final = {"VALUE": "DATE"}


class TooMuch(Exception):
    """One request asks for more expanded text than it may have."""


@dataclass(slots=True)
class Allowance:
    """What one request may still have of expanded instances, in all objects together."""

    instances: int = 50_000
    size: int = 32 * 1024 * 1024

    def take(self, instance: Instance) -> None:
        """Count an instance in. Raises TooMuch."""
        self.instances -= 1
        self.size -= instance.component.end - instance.component.start
        if self.instances < 0 or self.size < 0:
            raise TooMuch


# --- expand ----------------------------------------------------------------------------------------------------------


def expand(body: bytes, start: int, end: int, zone: Zone, *, most: int, allowance: Allowance | None = None) -> bytes:
    """The instances between two instants as components of their own, with times in UTC (RFC 4791 9.6.5).

    ``zone`` is that of dates and floating times when they are compared; they are written as they are. Every instance of
    what recurs has a RECURRENCE-ID, also the first, which may have one. No more than ``most`` instances are written,
    and no more than the budget of a recurrence allows. Raises ICalendarError, and TooMuch beyond the ``allowance``.
    """
    calendar = parse(body)
    zones = Zones(calendar, zone)
    span = TimeRange(start, end, zone)
    kept = [one for one in calendar.components if one.name not in RECURRING and one.name != "VTIMEZONE"]
    kinds = dict.fromkeys(one.name for one in calendar.components if one.name in RECURRING)
    made: list[Component] = []
    with suppress(TooManyInstances):  # as far as the budget goes, as for a time-range
        found = chain.from_iterable(span.instances(calendar, kind) for kind in kinds)
        for instance in islice(found, most):
            if allowance is not None:
                allowance.take(instance)
            made.append(_of_instance(instance, zones))
    return render(replace(calendar, components=kept + made))


def _of_instance(instance: Instance, zones: Zones) -> Component:
    lines: list[ContentLine] = []
    ends = False
    for line in instance.component.properties:
        if line.name in _RULES:
            continue
        if line.name == "DTSTART" and instance.start is not None and instance.start_local is not None:
            lines.append(_time("DTSTART", instance.form, instance.start, instance.start_local))
            lines += _recurrence_id(instance)
        elif line.name in _ENDS and instance.end is not None and instance.end_local is not None:
            ends = True
            lines.append(_time(line.name, instance.form, instance.end, instance.end_local))
            if instance.start is None:
                lines += _recurrence_id(instance)
        elif line.name == "DURATION":
            ends = True
            lines.append(_duration(line, instance))
        else:
            lines.append(_in_utc(line, zones))
    if not ends:
        lines += _own_end(instance)
    return Component(instance.component.name, lines, instance.component.components)


def _duration(line: ContentLine, instance: Instance) -> ContentLine:
    """DURATION, which may be that of a PERIOD; and in UTC a day has 24 hours, where the instance may have had 23."""
    if instance.start is None or instance.end is None or instance.start_local is None or instance.end_local is None:
        return line
    walls = instance.end_local - instance.start_local
    seconds = walls if instance.floating else instance.end - instance.start
    if max(0, duration_of(line).total) == seconds:
        return line
    days = instance.all_day and seconds % DAY == 0
    return ContentLine.make("DURATION", f"P{seconds // DAY}D" if days else write_duration(seconds))


def _own_end(instance: Instance) -> Iterator[ContentLine]:
    """The end that a PERIOD gives to an instance of a VEVENT that has none (RFC 5545 3.8.5.2)."""
    if instance.component.name != "VEVENT" or instance.start_local is None or instance.end_local is None:
        return
    default = DAY if instance.all_day else 0
    if instance.end is not None and instance.end_local - instance.start_local != default:
        yield _time("DTEND", instance.form, instance.end, instance.end_local)


def _recurrence_id(instance: Instance) -> list[ContentLine]:
    if instance.recurrence_id is None or instance.recurrence_local is None:
        return []
    # An override may have another value type than the series; its RECURRENCE-ID has that of the series.
    own = instance.component.first("RECURRENCE-ID")
    form = instance.form if own is None else moment_of(own).form
    return [_time("RECURRENCE-ID", form, instance.recurrence_id, instance.recurrence_local)]


def _time(name: str, form: Form, instant: int, local: int) -> ContentLine:
    match form:
        case Form.DATE:
            return ContentLine.make(name, write_date(local), _DATES)
        case Form.FLOATING:
            return ContentLine.make(name, write_local(local))
    return ContentLine.make(name, write_utc(instant))


def _in_utc(line: ContentLine, zones: Zones) -> ContentLine:
    """Any other property with a TZID, whose VTIMEZONE is not there any more."""
    if line.param("TZID") is None:
        return line
    try:
        value = moment_of(line)
    except ICalendarError:
        return line
    if value.form is not Form.ZONED:
        return line
    params = {name: values for name, values in line.params if name != "TZID"}
    return ContentLine.make(line.name, write_utc(zones.instant(value)), params)


# --- limits ----------------------------------------------------------------------------------------------------------


def limit_recurrence_set(body: bytes, start: int, end: int, zone: Zone) -> bytes:
    """Without the overrides that touch no instance between two instants (RFC 4791 9.6.6). Raises ICalendarError.

    An override stays where it lies in the range itself, where the instance that it replaces would, and with
    RANGE=THISANDFUTURE where it begins before the range ends.
    """
    calendar = parse(body)
    span = TimeRange(start, end, zone)
    elsewhere = [
        override.component
        for one in recurrence_sets(calendar, zone)
        for override in one.overrides
        if not (span.holds(one.described(override)) or _replaces(one.replaced(override), override, span))
    ]
    return edit(body, [remove(one) for one in elsewhere])


def _replaces(original: Instance, override: Override, span: TimeRange) -> bool:
    return span.holds(original) or (override.this_and_future and original.order < span.span.end)


def limit_freebusy_set(body: bytes, start: int, end: int, zone: Zone) -> bytes:
    """Without the FREEBUSY values that do not overlap two instants (RFC 4791 9.6.7). Raises ICalendarError."""
    calendar = parse(body)
    zones = Zones(calendar, zone)
    edits: list[Edit] = []
    for component in calendar.components:
        if component.name == "VFREEBUSY":
            edits += _fewer_periods(body, component, start, end, zones)
    return edit(body, edits)


def _fewer_periods(body: bytes, component: Component, start: int, end: int, zones: Zones) -> Iterator[Edit]:
    for line in component.all("FREEBUSY"):
        texts = [text for text in split_list(line.value) if text.strip()]
        stay = [text for text, value in zip(texts, moments_of(line), strict=True) if _meets(value, start, end, zones)]
        if not stay:
            yield remove(line)
        elif len(stay) < len(texts):
            yield amend(body, line, {}, value=",".join(stay))


def _meets(value: Moment | Period, start: int, end: int, zones: Zones) -> bool:
    if isinstance(value, Moment):
        return False
    begin, finish = period_instants(value, zones)
    return begin < end and finish > start


# --- selection -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a component is wanted (RFC 4791 9.6.1): ``None`` for ``props`` or ``comps`` is all of them.

    ``props`` maps a name to whether its value is left out (``novalue``, 9.6.4). Names are in upper case.
    """

    name: str
    props: dict[str, bool] | None = None
    comps: tuple[Selection, ...] | None = None


def select(body: bytes, selection: Selection) -> bytes:
    """What of the object was selected; ``selection`` is that of VCALENDAR. Raises ICalendarError."""
    return b"".join(_selected(body, parse(body), selection))


def _selected(body: bytes, component: Component, selection: Selection) -> Iterator[bytes]:
    if selection.props is None and selection.comps is None:
        yield body[component.start : component.end]
        return
    eol = line_end(body)
    yield f"BEGIN:{component.name}".encode() + eol
    for line in component.properties:
        if selection.props is None:
            yield body[line.start : line.end]
        elif line.name in selection.props:
            if selection.props[line.name]:  # RFC 4791 9.6.4: the name, any parameters and a colon
                yield fold(line_text(replace(line, value="")), eol=eol)
            else:
                yield body[line.start : line.end]
    for inner in component.components:
        wanted = _wanted(inner, selection)
        if wanted is not None:
            yield from _selected(body, inner, wanted)
    yield f"END:{component.name}".encode() + eol


def _wanted(component: Component, selection: Selection) -> Selection | None:
    if selection.comps is None:
        return Selection(component.name)
    return next((one for one in selection.comps if one.name == component.name), None)
