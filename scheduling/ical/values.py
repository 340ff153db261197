"""The value types of RFC 5545 that say *when*: DATE, DATE-TIME, DURATION, PERIOD and UTC-OFFSET.

Owns RFC 5545 3.3.4 (DATE), 3.3.5 (DATE-TIME), 3.3.6 (DURATION), 3.3.9 (PERIOD) and 3.3.14 (UTC-OFFSET). RECUR is in
``rrule``; which instant a local time is, is for ``timezones`` to say.

Times are whole numbers, because that is what is compared, added and stored: *local* seconds are what the clock on the
wall shows, counted from 1970-01-01T00:00:00 on that wall; *instants* are seconds since 1970-01-01T00:00:00Z.

What RFC 5545 does not allow and is read all the same: lower-case letters, white space around the value, weeks beside
other parts of a duration and weeks or days behind its T, a DATE with a "Z" behind it (Google's birthday calendars), and
a value whose form differs from its VALUE parameter (the form of the text counts).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.lines import ICalendarError, split_list

if TYPE_CHECKING:
    from scheduling.ical.lines import ContentLine

DAY: Final = 86_400
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
#: The first and the last local second that RFC 5545 3.3.4 can write (four digits of a year; year 0 does not exist).
MIN_LOCAL: Final = (1 - EPOCH_ORDINAL) * DAY
MAX_LOCAL: Final = (date.max.toordinal() - EPOCH_ORDINAL + 1) * DAY - 1


class Form(Enum):
    """How a value is bound to time (RFC 5545 3.3.4 and the three forms of 3.3.5)."""

    DATE = "DATE"
    FLOATING = "local time"
    UTC = "UTC time"
    ZONED = "local time with a time zone reference"


class Moment(NamedTuple):
    """A DATE or DATE-TIME as it is written: ``local`` seconds, its form, and the TZID where the form is ZONED."""

    local: int
    form: Form
    tzid: str = ""


class Duration(NamedTuple):
    """A DURATION: ``days`` are nominal (the same time of day later), ``seconds`` exact (RFC 5545 3.3.6).

    Both have the same sign.
    """

    days: int
    seconds: int

    @property
    def total(self) -> int:
        """Seconds, every day counted as 24 hours."""
        return self.days * DAY + self.seconds


class Period(NamedTuple):
    """A PERIOD as it is written: a start, and either its end or how long it lasts (RFC 5545 3.3.9)."""

    start: Moment
    end: Moment | Duration


# --- text to value ---------------------------------------------------------------------------------------------------

_DATE_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[Tt](\d\d)(\d\d)(\d\d)([Zz]?)|[Zz])?", re.ASCII)
_DURATION: Final = re.compile(
    r"([+-]?)P(?:(\d{1,7})W)?(?:(\d{1,8})D)?"
    r"(?:T(?:(\d{1,7})W)?(?:(\d{1,8})D)?(?:(\d{1,9})H)?(?:(\d{1,11})M)?(?:(\d{1,13})S)?)?",
    re.ASCII | re.IGNORECASE,
)
_OFFSET: Final = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?", re.ASCII)


def moment(text: str, tzid: str | None = None, *, line: int | None = None) -> Moment:
    """The DATE or DATE-TIME that ``text`` is; ``tzid`` is the TZID parameter beside it. ``line`` is for the error.

    A TZID beside a DATE or a UTC time has no meaning (RFC 5545 3.2.19) and is dropped. The second 60 is read as 59
    (RFC 5545 3.3.5). Raises ICalendarError.
    """
    match = _DATE_TIME.fullmatch(text) or _DATE_TIME.fullmatch(text.strip())
    if match is None:
        raise ICalendarError(f'"{text[:40]}" is neither a DATE nor a DATE-TIME.', line)
    year, month, day, hour, minute, second, utc = match.groups()
    try:
        local = (date(int(year), int(month), int(day)).toordinal() - EPOCH_ORDINAL) * DAY
    except ValueError:
        raise ICalendarError(f'There is no such date as "{text[:40]}".', line) from None
    if hour is None:
        return Moment(local, Form.DATE)
    hours, minutes, seconds = int(hour), int(minute), int(second)
    if hours > 23 or minutes > 59 or seconds > 60:
        raise ICalendarError(f'There is no such time of day as in "{text[:40]}".', line)
    local += hours * 3600 + minutes * 60 + min(seconds, 59)
    if utc:
        return Moment(local, Form.UTC)
    if tzid:
        return Moment(local, Form.ZONED, tzid)
    return Moment(local, Form.FLOATING)


def duration(text: str, *, line: int | None = None) -> Duration:
    """The DURATION that ``text`` is. Raises ICalendarError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()[1:]):
        raise ICalendarError(f'"{text[:40]}" is no DURATION.', line)
    parts = [int(part) if part else 0 for part in match.groups()[1:]]
    weeks, days = parts[0] + parts[2], parts[1] + parts[3]
    hours, minutes, seconds = parts[4:]
    sign = -1 if match[1] == "-" else 1
    return Duration(sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds))


def period(text: str, tzid: str | None = None, *, line: int | None = None) -> Period:
    """The PERIOD that ``text`` is. Raises ICalendarError."""
    start, slash, end = text.partition("/")
    if not slash:
        raise ICalendarError(f'"{text[:40]}" is no PERIOD: it has no "/".', line)
    first = moment(start, tzid, line=line)
    if "P" in end.upper():
        return Period(first, duration(end, line=line))
    return Period(first, moment(end, tzid, line=line))


def offset(text: str, *, line: int | None = None) -> int:
    """The UTC-OFFSET that ``text`` is, in seconds; positive is east of Greenwich. Raises ICalendarError."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise ICalendarError(f'"{text[:40]}" is no UTC offset.', line)
    sign, hours, minutes, seconds = match.groups()
    value = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
    if value >= DAY:
        raise ICalendarError(f'"{text[:40]}" is an offset of a day or more.', line)
    return -value if sign == "-" else value


def moment_of(line: ContentLine) -> Moment:
    """The one DATE or DATE-TIME that is the value of ``line``. Raises ICalendarError."""
    return moment(line.value, line.param("TZID") if line.params else None, line=line.line)


def moments_of(line: ContentLine) -> list[Moment | Period]:
    """Every DATE, DATE-TIME or PERIOD in the list that is the value of ``line`` (RDATE, EXDATE, FREEBUSY).

    Empty items are passed over. Raises ICalendarError.
    """
    tzid = line.param("TZID") if line.params else None
    found: list[Moment | Period] = []
    for text in split_list(line.value):
        if "/" in text:
            found.append(period(text, tzid, line=line.line))
        elif text and not text.isspace():
            found.append(moment(text, tzid, line=line.line))
    return found


def duration_of(line: ContentLine) -> Duration:
    """The DURATION that is the value of ``line``. Raises ICalendarError."""
    return duration(line.value, line=line.line)


# --- value to text ---------------------------------------------------------------------------------------------------

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (local time has no zone)
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001


def wall(local: int) -> datetime:
    """``local`` seconds as a datetime without a zone. Raises ICalendarError outside of the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(seconds=local)
    except OverflowError:
        raise ICalendarError("This lies outside of the years 1 to 9999.") from None


def nearest_wall(local: int) -> datetime:
    """``wall`` for showing: of what lies outside of the years 1 to 9999 the first or the last moment of them.

    A time within these years may be outside of them in another zone.
    """
    try:
        return _EPOCH + timedelta(seconds=local)
    except OverflowError:
        return _FIRST if local < 0 else _LAST


def write_date(local: int) -> str:
    """``local`` seconds as DATE."""
    at = wall(local)
    return f"{at.year:04}{at.month:02}{at.day:02}"


def write_local(local: int) -> str:
    """``local`` seconds as DATE-TIME without zone (form 1 of RFC 5545 3.3.5)."""
    at = wall(local)
    return f"{at.year:04}{at.month:02}{at.day:02}T{at.hour:02}{at.minute:02}{at.second:02}"


@lru_cache(maxsize=4096)
def write_utc(instant: int) -> str:
    """An ``instant`` as DATE-TIME in UTC (form 2 of RFC 5545 3.3.5).

    Those of an answer about when people are busy come again: most meetings begin and end at a quarter of an hour.
    """
    return write_local(instant) + "Z"


def write_duration(seconds: int) -> str:
    """An exact DURATION of ``seconds``: PT1H30M. Never in days, since those would be nominal."""
    if not seconds:
        return "PT0S"
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    parts = [
        f"{hour}H" if hour else "",
        f"{minute}M" if minute or (hour and second) else "",
        f"{second}S" if second else "",
    ]
    return ("-" if seconds < 0 else "") + "PT" + "".join(parts)
