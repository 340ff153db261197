"""Where meetings are that somebody has: LOCATION and GEO of stored events, for the way from one to the next.

Owns RFC 5545 3.8.1.6 (GEO) and 3.8.1.7 (LOCATION) for finding a time, and Apple's X-APPLE-STRUCTURED-LOCATION. Only of
calendars that whoever asks may read: for that the caller has to see. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scheduling.finding.slots import Engagement, Place
from scheduling.freebusy.vfreebusy import kind_of
from scheduling.ical.lines import ICalendarError, parse, text
from scheduling.ical.recurrence import instances
from scheduling.ical.rrule import Budget

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone

_NUMBER: Final = r"[+-]?\d{1,3}(?:\.\d{1,12})?"
_GEO: Final = re.compile(rf"\s*({_NUMBER})\s*;\s*({_NUMBER})\s*", re.ASCII)
#: ``geo:37.331,-122.030`` (RFC 5870), as Apple's clients write beside LOCATION.
_GEO_URI: Final = re.compile(rf"geo:({_NUMBER}),({_NUMBER})(?:[,;].*)?", re.ASCII | re.IGNORECASE)
#: Steps of a recurrence: a calendar full of daily meetings shall not hold up who asks for a time.
_STEPS: Final = 2_000


def engagements(body: bytes, start: int, end: int, zone: Zone, owner: Collection[str]) -> Iterator[Engagement]:
    """The meetings of a stored object between two instants of which it is known where they are.

    ``zone`` is that of floating times, ``owner`` the addresses of the calendar's owner: what they declined, and what
    blocks no time, takes them nowhere. A text that cannot be read has none.
    """
    if b"LOCATION" not in body.upper() and b"GEO" not in body.upper():
        return
    try:
        for instance in instances(parse(body), start, end, zone, Budget(_STEPS)):
            event = instance.component
            if event.name != "VEVENT" or instance.start is None or instance.end is None:
                continue
            place = place_of(event)
            if place is not None and kind_of(event, owner) is not None:
                yield Engagement(instance.start, instance.end, place)
    except ICalendarError:  # TooManyInstances is one: as far as the budget goes
        return


def place_of(event: Component) -> Place | None:
    """Where an event is; None where it does not say."""
    location, geo, apple = (event.first(name) for name in ("LOCATION", "GEO", "X-APPLE-STRUCTURED-LOCATION"))
    name = " ".join(text(location.value).split()) if location is not None else ""
    found = _GEO.fullmatch(geo.value) if geo is not None else None
    if found is None and apple is not None:
        found = _GEO_URI.fullmatch(text(apple.value).strip())
    position = geo_of(found[1], found[2]) if found is not None else None
    return Place(name, position) if name or position is not None else None


def geo_of(latitude: str, longitude: str) -> tuple[float, float] | None:
    """Two numbers as a position in degrees; None where there is no such place."""
    north, east = float(latitude), float(longitude)
    return (north, east) if abs(north) <= 90 and abs(east) <= 180 else None


def geo_in(value: str) -> tuple[float, float] | None:
    """The position that the text of a GEO is, None where it is none."""
    found = _GEO.fullmatch(value)
    return geo_of(found[1], found[2]) if found is not None else None
