"""The two forms of a calendar object over HTTP: iCalendar as it is stored, and jCal (RFC 7265) made from it.

Content negotiation is RFC 9110 section 12.5.1; iCalendar is what a client gets that says nothing or likes both. jCal
has an ETag of its own, since its bytes are others; both count in ``If-Match``, because both are of the same state.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from scheduling.ical import jcal
from scheduling.ical.lines import parse

ICALENDAR: Final = "text/calendar"
JCAL: Final = jcal.MEDIA_TYPE
_SUFFIX: Final = "-jcal"


def etag_of_jcal(etag: str) -> str:
    """The entity tag of the jCal form of a state."""
    return etag + _SUFFIX


@lru_cache(maxsize=256)
def wants_jcal(accept: str) -> bool:
    """Whether an ``Accept`` header likes jCal better than iCalendar."""
    return bool(accept) and _quality(accept, JCAL) > _quality(accept, ICALENDAR)


def _quality(accept: str, media_type: str) -> float:
    """The weight of a type: that of the most specific range that names it (RFC 9110 section 12.5.1)."""
    ranges = {media_type: 3, media_type.partition("/")[0] + "/*": 2, "*/*": 1}
    best, weight = 0, 0.0
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        specific = ranges.get(name, 0)
        if specific > best:
            best, weight = specific, _weight(parameters)
    return weight


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def to_jcal(body: bytes) -> bytes:
    """The jCal form of a stored object."""
    return jcal.to_json(parse(body))
