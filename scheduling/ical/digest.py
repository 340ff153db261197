"""What the store must know of a calendar object, so that a question reads rows and parses no text.

Owns which columns an object has in the index and what they mean (design: ``Digest``). The text stays the truth: a
reader that meets another ``DIGEST_VERSION`` computes from it, and ``caldavd reindex`` writes the columns anew.

The bounds are for choosing rows before a time range is asked of their text: an object whose bounds do not touch the
range cannot match a ``C:time-range`` on its component or on an alarm in it (RFC 4791 9.9), in whatever zone dates and
floating times are read. They may be wider than the object is, never narrower. Both are *included*: a row is to be read
where ``starts_at <= end`` and ``ends_at >= start``, and where one is None there is no bound on that side. They say
nothing of properties that are no part of *when* the object is (CREATED, DTSTAMP, COMPLETED …), so that a time range on
those must not be chosen by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduling.ical.alarms import alarms_of
from scheduling.ical.lines import ICalendarError, text
from scheduling.ical.recurrence import RECURRING, RecurrenceSet, recurrence_sets
from scheduling.ical.rrule import Budget
from scheduling.ical.spans import pack_spans
from scheduling.ical.timerange import availability_bounds, freebusy_periods, utc_of
from scheduling.ical.timezones import Zones
from scheduling.ical.values import DAY, MAX_LOCAL, MIN_LOCAL, Moment, moment_of

if TYPE_CHECKING:
    from scheduling.ical.lines import Component
    from scheduling.ical.spans import BlockingOf

#: Goes up with every change of what the columns mean or how they are computed.
DIGEST_VERSION: Final = 3
#: For the end of a COUNT; where that is not found, the end is open.
_STEPS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Digest:
    """What the store must know of a calendar object.

    ``component`` is its kind (upper case), ``starts_at`` and ``ends_at`` are instants (see above), ``floating`` says
    that when it is depends on the zone of who asks. ``transparent``: nothing in it blocks time by its TRANSP.
    ``organizer`` is the calendar user address as it is written, empty where there is none; ``attendees`` the most in
    one component. ``spans`` is the packed busy time in the horizon that was given (see ``read_spans``), empty where
    there was none.
    """

    uid: str
    component: str
    starts_at: int | None
    ends_at: int | None
    recurs: bool
    floating: bool
    transparent: bool
    organizer: str
    attendees: int
    spans: bytes = b""


class _Probe:
    """A zone for dates and floating times that notes whether it was asked."""

    name: Final = "floating"

    def __init__(self) -> None:
        self.asked = False

    def to_instant(self, local: int) -> int:
        self.asked = True
        return local

    def to_local(self, instant: int) -> int:
        self.asked = True
        return instant


def digest(
    calendar: Component,
    *,
    horizon: tuple[int, int] | None = None,
    blocking_of: BlockingOf | None = None,
) -> Digest:
    """The digest of ``calendar``, which holds one calendar object (RFC 4791 4.1).

    ``horizon`` (instants) and ``blocking_of`` are for the busy spans of a VEVENT: see ``spans``. Raises ICalendarError
    for values that decide when the object is and cannot be read.
    """
    main = next((one for one in calendar.components if one.name != "VTIMEZONE"), None)
    if main is None:
        raise ICalendarError("There is no calendar component in this object.", calendar.line)
    parts = [one for one in calendar.components if one.name == main.name]
    probe = _Probe()
    sets = recurrence_sets(calendar, probe, (main.name,)) if main.name in RECURRING else []
    low, high = _bounds(calendar, main.name, parts, sets, probe)
    uid, organizer = main.first("UID"), main.first("ORGANIZER")
    return Digest(
        uid="" if uid is None else text(uid.value),
        component=main.name,
        starts_at=low,
        ends_at=high if high is None or low is None else max(low, high),
        recurs=any(one.recurs for one in sets),
        floating=probe.asked,
        transparent=main.name != "VFREEBUSY" and all(map(_is_transparent, parts)),
        organizer="" if organizer is None else organizer.value.strip(),
        attendees=max(sum(line.name == "ATTENDEE" for line in one.properties) for one in parts),
        spans=_spans(sets, parts, horizon, blocking_of, ends=high is not None, floating=probe.asked),
    )


def _spans(
    sets: list[RecurrenceSet],
    parts: list[Component],
    horizon: tuple[int, int] | None,
    blocking_of: BlockingOf | None,
    *,
    ends: bool,
    floating: bool,
) -> bytes:
    if horizon is None or blocking_of is None or parts[0].name != "VEVENT":
        return b""
    return pack_spans(sets, parts, horizon, blocking_of, ends=ends, floating=floating)


def _is_transparent(component: Component) -> bool:
    line = component.first("TRANSP")
    return component.name != "VEVENT" or (line is not None and line.value.strip().upper() == "TRANSPARENT")


# --- bounds

_Bounds = tuple[int | None, int | None]


def _bounds(
    calendar: Component, kind: str, parts: list[Component], sets: list[RecurrenceSet], probe: _Probe
) -> _Bounds:
    zones = Zones(calendar, probe)
    if kind in RECURRING:
        found = [_with_alarms(_joined([_of_set(one, kind) for one in sets]), parts, zones)]
    elif kind == "VFREEBUSY":
        found = [_of_freebusy(one, zones) for one in parts]
    elif kind == "VAVAILABILITY":
        found = [availability_bounds(one, zones) for one in parts]
    else:
        return None, None
    low, high = _joined(found)
    spare = DAY if probe.asked else 0  # no zone is further from UTC (RFC 5545 3.3.14)
    low = None if low is None or low < MIN_LOCAL else low - spare
    high = None if high is None or high > MAX_LOCAL else high + spare
    return low, high


def _of_set(one: RecurrenceSet, kind: str) -> _Bounds:
    if kind == "VTODO" and one.timeless and not one.overrides:
        found: list[_Bounds] = [_of_timeless_todo(part) for part in one.timeless]
        return _joined(found + [series.extent(Budget(_STEPS)) for series in one.series])
    return one.extent(Budget(_STEPS))


def _joined(found: list[_Bounds]) -> _Bounds:
    lows, highs = [low for low, _ in found if low is not None], [high for _, high in found if high is not None]
    return min(lows) if len(lows) == len(found) else None, max(highs) if len(highs) == len(found) else None


def _of_timeless_todo(part: Component) -> _Bounds:
    """The last four rows of the VTODO table in RFC 4791 9.9."""
    created, completed = (utc_of(part, name) for name in ("CREATED", "COMPLETED"))
    if completed is None:
        return created, None
    return (completed if created is None else min(created, completed)), max(completed, created or completed)


def _of_freebusy(part: Component, zones: Zones) -> _Bounds:
    times = [at for period in freebusy_periods(part, zones) for at in period]
    times += [zones.instant(moment_of(line)) for name in ("DTSTART", "DTEND") if (line := part.first(name))]
    return (min(times), max(times)) if times else (None, None)


def _with_alarms(bounds: _Bounds, parts: list[Component], zones: Zones) -> _Bounds:
    low, high = bounds
    for part in parts:
        if not part.components:
            continue
        for alarm in alarms_of(part):
            if isinstance(alarm.trigger, Moment):
                first = zones.instant(alarm.trigger)
                low = None if low is None else min(low, first)
                high = None if high is None else max(high, first + alarm.last_after_first)
            else:
                last = alarm.offset + alarm.last_after_first + DAY
                low = None if low is None else min(low, (bounds[0] or 0) + alarm.offset - DAY)
                high = None if high is None else max(high, (bounds[1] or 0) + last)
    return low, high
