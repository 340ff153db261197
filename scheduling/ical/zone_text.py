"""Time zones as text: the VTIMEZONE of a zone that is known by its name (RFC 7809 3.1.5), and the name in a definition.

Reading definitions is in ``timezones``.
"""

from __future__ import annotations

from functools import lru_cache

from icalendar import Calendar, Timezone

from scheduling.ical.lines import parse
from scheduling.ical.timezones import tzid_of


@lru_cache(maxsize=64)
def definition(name: str) -> str:
    """A VCALENDAR with the VTIMEZONE of an IANA zone, from 1970 to 2038.

    Raises ValueError: there is no such zone.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//caldavd//timezones//EN")
    calendar.add("version", "2.0")
    calendar.add_component(Timezone.from_tzid(name))
    return str(calendar.to_ical(), "utf-8")


def name_in(text: str) -> str:
    """The TZID of the VTIMEZONE in a VCALENDAR.

    Raises ICalendarError: it cannot be read.
    """
    return next((tzid_of(one) for one in parse(text.encode()).components if one.name == "VTIMEZONE"), "")
