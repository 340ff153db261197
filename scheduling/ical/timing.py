"""When one component is: its start, and how long it and each of its recurrences last.

Owns the meaning of DTSTART, DTEND, DUE and DURATION together (RFC 5545 3.6.1, 3.6.2, 3.8.2.2 to 3.8.2.5) and the
difference between exact and nominal durations (3.3.6, 3.8.5.3): with DTEND or DUE all recurrences last equally many
seconds; with DURATION, days are days of the calendar, also where one of them has 23 or 25 hours. Which recurrences
there are is for ``series`` and ``recurrence``.

What RFC 5545 does not allow and is read all the same: DTEND beside DURATION (DTEND counts: Thunderbird writes overrides
with DTEND and DURATION:PT0S); an end before the start (it lasts no time); a DTEND that is the same DATE as DTSTART (one
day); a DTEND of the other value type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scheduling.ical.values import DAY, Duration, Form, Moment, duration_of, moment_of

if TYPE_CHECKING:
    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone, Zones


class Timing(NamedTuple):
    """When a component is.

    ``local`` is DTSTART, or DUE in a VTODO that has no DTSTART (``has_start`` is False then), as local seconds in
    ``zone``. How long it lasts is ``exact`` seconds or a ``nominal`` duration; both are None where it has no end.
    """

    form: Form
    zone: Zone
    local: int
    has_start: bool
    exact: int | None
    nominal: Duration | None

    @property
    def instant(self) -> int:
        """The instant of ``local``."""
        return self.zone.to_instant(self.local)

    @property
    def reach(self) -> int:
        """An upper bound of how many seconds after its start a recurrence ends."""
        if self.exact is not None:
            return self.exact
        if self.nominal is None or self.nominal.total <= 0:
            return 0
        exact = not self.nominal.days and self.form in (Form.UTC, Form.ZONED)
        return self.nominal.total + (0 if exact else DAY)

    def end(self, local: int, instant: int) -> tuple[int | None, int | None]:
        """The end of what starts at ``local``, which is ``instant``: local time, and instant. None: it has no end."""
        if self.exact is not None:
            return local + self.exact, instant + self.exact
        if self.nominal is None:
            return None, None
        return lasting(self.nominal, self.form, self.zone, local, instant)


def lasting(nominal: Duration, form: Form, zone: Zone, local: int, instant: int) -> tuple[int, int]:
    """The end of what starts at ``local``, which is ``instant`` in ``zone``, and lasts ``nominal``.

    Never before the start.
    """
    if nominal.total <= 0:
        return local, instant
    end_local = local + nominal.total
    if form in (Form.DATE, Form.FLOATING):  # without a zone there is only the time on the wall
        return end_local, zone.to_instant(end_local)
    if not nominal.days:
        return end_local, instant + nominal.seconds
    return end_local, zone.to_instant(local + nominal.days * DAY) + nominal.seconds


def timing_of(component: Component, zones: Zones) -> Timing | None:
    """When ``component`` is; None where it has neither DTSTART nor, being a VTODO, DUE. Raises ICalendarError."""
    todo = component.name == "VTODO"
    start_line = end_line = duration_line = None
    end_name = "DUE" if todo else "DTEND"
    for line in component.properties:
        if line.name == "DTSTART":
            start_line = start_line or line
        elif line.name == end_name:
            end_line = end_line or line
        elif line.name == "DURATION":
            duration_line = duration_line or line
    if start_line is None:
        if end_line is None or not todo:
            return None
        due = moment_of(end_line)
        return Timing(due.form, zones.zone(due), due.local, False, None, None)  # noqa: FBT003 (has_start)
    start = moment_of(start_line)
    zone = zones.zone(start)
    exact, nominal = None, None
    if end_line is not None and component.name != "VJOURNAL":
        exact, nominal = _until(start, moment_of(end_line), zones, 0 if todo else 1)
    elif duration_line is not None and component.name != "VJOURNAL":
        nominal = duration_of(duration_line)
    elif component.name != "VTODO":
        # RFC 5545 3.6.1: a DATE lasts one day, a DATE-TIME no time; RFC 4791 9.9 says the same of VJOURNAL.
        nominal = Duration(1 if start.form is Form.DATE else 0, 0)
    return Timing(start.form, zone, start.local, True, exact, nominal)  # noqa: FBT003 (has_start)


def _until(start: Moment, end: Moment, zones: Zones, least: int) -> tuple[int | None, Duration | None]:
    """How long it is from ``start`` to ``end``: exact seconds, or nominal where there is no zone.

    ``least`` days, where both are dates: a DUE may be the DTSTART, a DTEND may not (RFC 5545 3.8.2.2, 3.8.2.3).
    """
    if start.form is Form.DATE:
        if end.form is Form.DATE:
            return None, Duration(max(least, (end.local - start.local) // DAY), 0)
        return None, Duration(0, max(0, end.local - start.local))
    if start.form is Form.FLOATING and end.form in (Form.FLOATING, Form.DATE):
        return None, Duration(0, max(0, end.local - start.local))
    return max(0, zones.instant(end) - zones.instant(start)), None


class Instance(NamedTuple):
    """One instance of a calendar component.

    ``component`` describes it: the master, or the override that counts for it. ``start`` and ``end`` are instants;
    ``start`` is None in a VTODO without DTSTART, ``end`` in a VTODO without DUE and DURATION (then both, where it has
    neither). The ``…local`` ones are the same as local time, which is what counts where ``form`` is DATE or FLOATING.
    ``recurrence_id`` is the original start as an instant, ``recurrence_local`` as local time; None for what does not
    recur. ``zone`` is that of its start.
    """

    component: Component
    form: Form
    start: int | None
    end: int | None
    start_local: int | None
    end_local: int | None
    recurrence_id: int | None
    recurrence_local: int | None
    zone: Zone

    @property
    def all_day(self) -> bool:
        """It is bound to dates."""
        return self.form is Form.DATE

    @property
    def floating(self) -> bool:
        """When it is depends on the zone of who looks."""
        return self.form is Form.DATE or self.form is Form.FLOATING

    @property
    def timeless(self) -> bool:
        """It has neither start nor end."""
        return self.start is None and self.end is None

    @property
    def order(self) -> int:
        """The instant by which instances are put in order."""
        return self.start if self.start is not None else self.end or 0

    def touches(self, start: int | None, end: int | None) -> bool:
        """Whether it overlaps ``start`` to ``end`` (None is open) or meets an edge of it, or has no time at all."""
        if self.timeless:
            return True
        begin = self.order
        return (end is None or begin <= end) and (start is None or max(begin, self.end or begin) >= start)


def instance_of(
    component: Component, timing: Timing, *, local: int, instant: int, rid: tuple[int, int] | None
) -> Instance:
    """The instance that starts at ``local``, which is ``instant``; ``rid``: its original start, local and instant."""
    rid_local, rid_instant = rid or (None, None)
    if not timing.has_start:
        return Instance(component, timing.form, None, instant, None, local, rid_instant, rid_local, timing.zone)
    end_local, end = timing.end(local, instant)
    return Instance(component, timing.form, instant, end, local, end_local, rid_instant, rid_local, timing.zone)
