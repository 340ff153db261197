"""Time zones as text: the VTIMEZONE of a zone that is known by its name (RFC 7809 3.1.5), and the name in a definition.

Owns the writing of RFC 5545 3.6.5: onsets in local time as it was before them, one observance for each change of the
clock, a rule where the last years follow one, dates for the others. Reading definitions is in ``timezones``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scheduling.ical.join import PRODID
from scheduling.ical.lines import fold, parse
from scheduling.ical.timezones import tzid_of

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
#: Clocks are not changed twice within that.
_STEP: Final = timedelta(days=7)
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: After so many years of one rule it is taken to go on.
_LASTING: Final = 5


class _Change(NamedTuple):
    """A kind of change of the clock: to what, from which offset to which."""

    name: str
    daylight: bool
    before: timedelta
    after: timedelta


@lru_cache(maxsize=64)
def definition(name: str) -> str:
    """A VCALENDAR with the VTIMEZONE of an IANA zone, from 1970 on.

    Raises ValueError: there is no such zone.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}", *vtimezone(name), "END:VCALENDAR"]
    return b"".join(map(fold, lines)).decode()


@lru_cache(maxsize=64)
def vtimezone(name: str) -> tuple[str, ...]:
    """The VTIMEZONE of an IANA zone, line by line, from 1970 on. Raises ValueError: there is no such zone."""
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"There is no time zone {name!r}.") from error
    onsets: dict[_Change, list[datetime]] = {}
    for change, onset in _changes(zone):
        onsets.setdefault(change, []).append(onset)
    out = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    for change, found in onsets.items():
        out += _observances(change, found)
    return (*out, "END:VTIMEZONE")


def _changes(zone: ZoneInfo) -> Iterator[tuple[_Change, datetime]]:
    """Every change of the clock, with its local time before it; the first is what holds in the beginning."""
    begin = _FIRST.astimezone(zone)
    offset = begin.utcoffset() or timedelta()
    yield _Change(begin.tzname() or "", bool(begin.dst()), offset, offset), _FIRST.replace(tzinfo=None)
    at = _FIRST
    while at < _LAST:
        low, at = at, at + _STEP
        if _state(zone, low) == _state(zone, at):
            continue
        high = at
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (low, middle) if _state(zone, middle) != _state(zone, low) else (middle, high)
        high = high.replace(microsecond=0)
        before = _state(zone, low)[0]
        after, daylight, name = _state(zone, high)
        yield _Change(name, daylight, before, after), high.replace(tzinfo=None) + before


def _state(zone: ZoneInfo, at: datetime) -> tuple[timedelta, bool, str]:
    local = at.astimezone(zone)
    return local.utcoffset() or timedelta(), bool(local.dst()), local.tzname() or ""


def _observances(change: _Change, onsets: list[datetime]) -> Iterator[str]:
    """One for those that follow a rule till today, and one for those before."""
    regular = _regular(onsets)
    rest = onsets[: len(onsets) - len(regular)]
    if rest:
        yield from _observance(change, rest, "")
    if regular:
        first = regular[0]
        week = -1 if all(_week(one) == -1 for one in regular) else (first.day - 1) // 7 + 1
        rule = f"RRULE:FREQ=YEARLY;BYMONTH={first.month};BYDAY={week}{_DAYS[first.weekday()]}"
        yield from _observance(change, regular[:1], rule)


def _observance(change: _Change, onsets: list[datetime], rule: str) -> Iterator[str]:
    kind = "DAYLIGHT" if change.daylight else "STANDARD"
    yield f"BEGIN:{kind}"
    yield f"DTSTART:{onsets[0]:%Y%m%dT%H%M%S}"
    if rule:
        yield rule
    elif onsets[1:]:
        yield "RDATE:" + ",".join(f"{one:%Y%m%dT%H%M%S}" for one in onsets[1:])
    yield from (f"TZOFFSETFROM:{_offset(change.before)}", f"TZOFFSETTO:{_offset(change.after)}")
    yield from (f"TZNAME:{change.name}", f"END:{kind}")


def _regular(onsets: list[datetime]) -> list[datetime]:
    """The last of ``onsets`` that one yearly rule describes, if it does so up to the end and for long enough."""
    if onsets[-1].year < _LAST.year - 1:
        return []
    found = onsets[-1:]
    for later, earlier in pairwise(reversed(onsets)):
        same = (earlier.month, earlier.weekday(), earlier.time()) == (later.month, later.weekday(), later.time())
        week = {_week(one) for one in [earlier, *found]} == {-1} or len(
            {(one.day - 1) // 7 for one in [earlier, *found]}
        ) == 1
        if earlier.year != later.year - 1 or not same or not week:
            break
        found.insert(0, earlier)
    return found if len(found) >= _LASTING else []


def _week(onset: datetime) -> int:
    """-1 in the last seven days of a month, else 0."""
    return -1 if (onset + timedelta(days=7)).month != onset.month else 0


def _offset(offset: timedelta) -> str:
    seconds = int(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    text = f"{'-' if seconds < 0 else '+'}{hours:02}{rest // 60:02}"
    return f"{text}{rest % 60:02}" if rest % 60 else text


def name_in(text: str) -> str:
    """The TZID of the VTIMEZONE in a VCALENDAR.

    Raises ICalendarError: it cannot be read.
    """
    return next((tzid_of(one) for one in parse(text.encode()).components if one.name == "VTIMEZONE"), "")
