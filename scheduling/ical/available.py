"""What a VAVAILABILITY must be to be stored (RFC 7953 section 3.1), in a calendar and as ``calendar-availability``.

The properties' values are judged by ``validate`` like those of all components; here is what the component demands of
them together. DTSTAMP is not asked for, as nowhere here: nothing is read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ICalendarError
from scheduling.ical.values import Form, moment_of

if TYPE_CHECKING:
    from scheduling.ical.lines import Component, ContentLine

#: AVAILABLE components in one VAVAILABILITY (RFC 7953 section 8: "servers MUST limit the complexity of such data").
MAX_AVAILABLE: Final = 500
#: MUST NOT occur more than once. The others that may not are nothing that the server reads.
_ONCE: Final = ("UID", "DTSTART", "DTEND", "DURATION", "PRIORITY", "BUSYTYPE", "RECURRENCE-ID", "RRULE")


def check_availability(component: Component) -> None:
    """Raises ICalendarError with the line where ``component``, a VAVAILABILITY, is none."""
    _check_times(component)
    available = [one for one in component.components if one.name == "AVAILABLE"]
    if len(available) > MAX_AVAILABLE:
        message = f"A VAVAILABILITY has at most {MAX_AVAILABLE} AVAILABLE components here."
        raise ICalendarError(message, available[MAX_AVAILABLE].line)
    for one in available:
        for name in ("UID", "DTSTART"):
            if one.first(name) is None:
                raise ICalendarError(f"An AVAILABLE has no {name} (RFC 7953 section 3.1).", one.line)
        _check_times(one)


def _check_times(component: Component) -> None:
    for name in _ONCE:
        found = component.all(name)
        if len(found) > 1:
            message = f"There is more than one {name} in {_a(component)} (RFC 7953 section 3.1)."
            raise ICalendarError(message, found[1].line)
    start, end, lasts = (component.first(name) for name in ("DTSTART", "DTEND", "DURATION"))
    if end is not None and lasts is not None:
        message = f"There are a DTEND and a DURATION in {_a(component)} (RFC 7953 section 3.1)."
        raise ICalendarError(message, lasts.line)
    if lasts is not None and start is None:
        message = "A DURATION without a DTSTART says nothing (RFC 7953 section 3.1)."
        raise ICalendarError(message, lasts.line)
    for line in (start, end):
        if line is not None:
            _check_zoned(line)
    if start is not None and end is not None and _surely_before(end, start):
        raise ICalendarError("The DTEND is before the DTSTART (RFC 7953 section 7.2.2).", end.line)


def _check_zoned(line: ContentLine) -> None:
    if moment_of(line).form not in (Form.UTC, Form.ZONED):
        message = f"{line.name} has to be a time in UTC or with a TZID (RFC 7953 section 3.1)."
        raise ICalendarError(message, line.line)


def _surely_before(one: ContentLine, other: ContentLine) -> bool:
    """Whether a time is before another one of the same zone, for which no zone has to be known."""
    return one.param("TZID") == other.param("TZID") and moment_of(one).local < moment_of(other).local


def _a(component: Component) -> str:
    return f"{'an' if component.name == 'AVAILABLE' else 'a'} {component.name}"
