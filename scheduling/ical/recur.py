"""RECUR values: what a recurrence rule says, read from its text.

Owns RFC 5545 3.3.10 (RECUR) and RFC 7529 section 4 (RSCALE and SKIP, for the Gregorian calendar; any other calendar
system is refused by name). The starts that a rule makes are generated in ``rrule``.

Decisions where RFC 5545 leaves a choice or files in the wild differ: unknown rule parts are passed over; a rule may
have both COUNT and UNTIL; BYSECOND=60 is read as 59, as everywhere (3.3.5); rule parts may be in lower case; a COUNT
below 1 is none, an INTERVAL of 0 is 1, and an empty RRULE is none (each is in exports of real calendars).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ICalendarError
from scheduling.ical.values import Moment, moment

if TYPE_CHECKING:
    from scheduling.ical.lines import ContentLine


class UnsupportedScale(ICalendarError):
    """RSCALE names a calendar system that is not known here (RFC 7529 section 10, ``supported-rscale``)."""

    def __init__(self, scale: str, line: int | None = None) -> None:
        super().__init__(f'The calendar system RSCALE="{scale[:40]}" is not supported.', line, "supported-rscale")


class Frequency(IntEnum):
    """FREQ, the longest first."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


class Skip(Enum):
    """What becomes of a date that does not exist (RFC 7529 4.1)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


@dataclass(frozen=True, slots=True)
class Rule:
    """A RECUR value. Lists are sorted and hold no value twice; an empty one means that the rule part is absent.

    ``by_day`` holds (n, weekday) with n = 0 for "every"; weekdays are 0 (MO) to 6 (SU).
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    by_month: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_second: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0
    skip: Skip = Skip.OMIT

    @property
    def infinite(self) -> bool:
        """Neither COUNT nor UNTIL ends it."""
        return self.count is None and self.until is None


# --- reading ---------------------------------------------------------------------------------------------------------

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

#: RFC 5545 3.3.10: the lists of numbers, the field of Rule, least and greatest absolute value, whether it is signed.
_LISTS: Final = {
    "BYSECOND": ("by_second", 0, 60, False),
    "BYMINUTE": ("by_minute", 0, 59, False),
    "BYHOUR": ("by_hour", 0, 23, False),
    "BYMONTHDAY": ("by_month_day", 1, 31, True),
    "BYYEARDAY": ("by_year_day", 1, 366, True),
    "BYWEEKNO": ("by_week_no", 1, 53, True),
    "BYMONTH": ("by_month", 1, 12, False),
    "BYSETPOS": ("by_set_pos", 1, 366, True),
}
_GREATEST: Final = 10**12  # no COUNT or INTERVAL above this has a second instance before the year 10000


def parse(text: str, *, line: int | None = None) -> Rule:
    """The rule that ``text``, the value of RRULE, is; ``line`` is for the error.

    Raises UnsupportedScale for an RSCALE other than GREGORIAN, ICalendarError for what is no rule.
    """
    parts: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.strip().partition("=")
        if not name:
            continue
        if not equals:
            raise ICalendarError(f'"{part[:40]}" is no part of a recurrence rule.', line)
        if name in parts:
            raise ICalendarError(f"A recurrence rule has {name[:40]} twice.", line)
        parts[name] = value.strip()
    try:
        return _rule(parts, line)
    except ICalendarError:
        raise
    except ValueError as problem:
        raise ICalendarError(f'The recurrence rule "{text[:80]}" cannot be read: {problem}.', line) from None


def rule_of(line: ContentLine) -> Rule | None:
    """The rule that is the value of ``line``, None where it is empty. Raises as ``parse`` does."""
    return parse(line.value, line=line.line) if line.value.strip() else None


def _rule(parts: dict[str, str], line: int | None) -> Rule:
    """Raises ValueError with the end of a sentence."""
    scale = parts.get("RSCALE", "GREGORIAN")
    if scale not in ("GREGORIAN", "GREGORY"):  # CLDR's name and its alias
        raise UnsupportedScale(scale, line)
    if "FREQ" not in parts:
        raise ValueError("it has no FREQ")
    try:
        frequency = Frequency[parts["FREQ"]]
    except KeyError:
        raise ValueError(f"FREQ={parts['FREQ'][:20]} is not known") from None
    week_start = parts.get("WKST", "MO")
    if week_start not in WEEKDAYS:
        raise ValueError(f"WKST={week_start[:20]} is no day of the week")
    skip = parts.get("SKIP", "OMIT")
    if skip not in Skip.__members__:
        raise ValueError(f"SKIP={skip[:20]} is not known")
    lists = {
        field: _numbers(name, parts[name], low, high, signed)
        for name, (field, low, high, signed) in _LISTS.items()
        if name in parts
    }
    if "by_second" in lists:
        lists["by_second"] = tuple(sorted({min(second, 59) for second in lists["by_second"]}))
    return Rule(
        frequency,
        interval=_interval(parts.get("INTERVAL", "1")),
        count=_count(parts.get("COUNT", "0")),
        until=moment(parts["UNTIL"], line=line) if "UNTIL" in parts else None,
        by_day=_weekdays(parts["BYDAY"]) if "BYDAY" in parts else (),
        week_start=WEEKDAYS.index(week_start),
        skip=Skip[skip] if "RSCALE" in parts else Skip.OMIT,  # RFC 7529 4: SKIP counts only beside RSCALE
        **lists,
    )


def _number(text: str, name: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 30:
        raise ValueError(f'"{text[:20]}" in {name} is no number')
    return int(text)


def _interval(text: str) -> int:
    number = _number(text, "INTERVAL")
    if number < 0:
        raise ValueError("INTERVAL must be 1 or more")
    return min(max(1, number), _GREATEST)


def _count(text: str) -> int | None:
    number = _number(text, "COUNT")
    return min(number, _GREATEST) if number > 0 else None


def _numbers(name: str, text: str, low: int, high: int, signed: bool) -> tuple[int, ...]:  # noqa: FBT001 (a table row)
    found = set()
    for one in text.split(","):
        number = _number(one.strip(), name)
        if not low <= abs(number) <= high or (number < 0 and not signed):
            raise ValueError(f"{name} cannot hold {one[:20]}")
        found.add(number)
    return tuple(sorted(found))


def _weekdays(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for one in text.split(","):
        day = one.strip()
        if day[-2:] not in WEEKDAYS:
            raise ValueError(f'"{one[:20]}" in BYDAY is no day of the week')
        number = _number(day[:-2], "BYDAY") if day[:-2] else 0
        if abs(number) > 53 or (number == 0 and day[:-2]):
            raise ValueError(f"BYDAY cannot hold {one[:20]}")
        found.add((number, WEEKDAYS.index(day[-2:])))
    return tuple(sorted(found))
