"""The days on which a recurrence rule has starts: of one year, month or week, or one day at a time.

Owns the rows BYMONTH to BYDAY of the table in RFC 5545 3.3.10 with its two notes, and SKIP (RFC 7529 4.1). Times of
day, BYSETPOS, COUNT and UNTIL are in ``rrule``.

Days are whole numbers, counted from 1970-01-01 as day 0.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from scheduling.ical.recur import Frequency, Skip
from scheduling.ical.values import EPOCH_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scheduling.ical.recur import Rule

_MONTH_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BEFORE: Final = tuple(
    tuple(sum(_MONTH_LENGTHS[:month]) + (leap if month > 1 else 0) for month in range(13)) for leap in (0, 1)
)
_EVERY_MONTH: Final = tuple(range(1, 13))


def weekday(day: int) -> int:
    """0 (MO) to 6 (SU)."""
    return (day + 3) % 7  # 1970-01-01 was a Thursday


def first_of_year(year: int) -> int:
    """The day number of 1 January; any year, also 0 and 10000."""
    past = year - 1
    return 365 * past + past // 4 - past // 100 + past // 400 + 1 - EPOCH_ORDINAL


def is_leap(year: int) -> bool:
    """Whether ``year`` has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_bounds(year: int, month: int) -> tuple[int, int]:
    """The first day of the month, and the first day after it."""
    before = _BEFORE[is_leap(year)]
    first = first_of_year(year)
    return first + before[month - 1], first + before[month]


def calendar_date(day: int) -> date:
    """The date of a day number in the years 1 to 9999."""
    return date.fromordinal(day + EPOCH_ORDINAL)


def never(rule: Rule) -> bool:
    """BYMONTH and BYMONTHDAY name only dates that no year has (30 February)."""
    if not (rule.by_month and rule.by_month_day) or rule.skip is not Skip.OMIT:
        return False
    shortest = min(map(abs, rule.by_month_day))
    return all(shortest > _LONGEST[month - 1] for month in rule.by_month)


class Days:
    """The days of a rule whose DTSTART lies on the day ``start``.

    ``spend`` is called with the number of days that are about to be looked at, and raises where that is too many.
    """

    def __init__(self, rule: Rule, start: int, spend: Callable[[int], None]) -> None:
        self._rule = rule
        self._spend = spend
        self._start = start
        self._start_date = calendar_date(start)
        plain = rule.frequency > Frequency.MONTHLY or (rule.frequency == Frequency.YEARLY and rule.by_week_no)
        # RFC 5545 3.3.10: a number in BYDAY is for MONTHLY, and for YEARLY without BYWEEKNO.
        self._by_day = frozenset((0 if plain else number, day) for number, day in rule.by_day)
        self._weekdays = frozenset(day for number, day in self._by_day if number == 0)
        self._numbered = len(self._weekdays) < len(self._by_day)
        tests: dict[str, Callable[[int], bool]] = {}
        if rule.by_day:
            tests["BYDAY"] = self._is_by_day
        if rule.by_month:
            months = frozenset(rule.by_month)
            tests["BYMONTH"] = lambda day: calendar_date(day).month in months
        if rule.by_month_day:
            tests["BYMONTHDAY"] = self._is_month_day
        if rule.by_year_day:
            tests["BYYEARDAY"] = self._is_year_day
        if rule.by_week_no:
            tests["BYWEEKNO"] = self._is_week
        self._tests = tests
        self._every_test = tuple(tests.values())

    # --- a whole period, for YEARLY, MONTHLY and WEEKLY

    def of_year(self, year: int) -> list[int]:
        """The days of a YEARLY rule in ``year``, in order (RFC 5545 3.3.10, note 2)."""
        rule = self._rule
        months = rule.by_month or _EVERY_MONTH
        if rule.by_month_day:
            found = self._month_days(year, months, rule.by_month_day)
            return self._only(found, "BYWEEKNO", "BYYEARDAY", "BYDAY")
        if rule.by_year_day:
            return self._only(self._year_days(year), "BYMONTH", "BYWEEKNO", "BYDAY")
        if rule.by_week_no:
            return self._only(self._week_days(year), "BYMONTH")
        if rule.by_day:
            return self._expand(self._year_scopes(year))
        if not rule.by_month:
            months = (self._start_date.month,)
        return self._month_days(year, months, (self._start_date.day,))

    def of_month(self, year: int, month: int) -> list[int]:
        """The days of a MONTHLY rule in ``month``, in order (RFC 5545 3.3.10, note 1)."""
        rule = self._rule
        if rule.by_month and month not in rule.by_month:
            return []
        if rule.by_month_day:
            found = self._month_days(year, (month,), rule.by_month_day)
            return self._only(found, "BYWEEKNO", "BYYEARDAY", "BYDAY")
        if rule.by_day:
            return self._only(self._expand([month_bounds(year, month)]), "BYWEEKNO", "BYYEARDAY")
        if rule.by_year_day or rule.by_week_no:
            return self._only(range(*month_bounds(year, month)), "BYWEEKNO", "BYYEARDAY")
        return self._month_days(year, (month,), (self._start_date.day,))

    def of_week(self, first: int) -> list[int]:
        """The days of a WEEKLY rule in the week that begins with the day ``first``, in order."""
        rule = self._rule
        whole = rule.by_month_day or rule.by_year_day or rule.by_week_no
        wanted = self._weekdays or (() if whole else (weekday(self._start),))
        found = [day for day in range(first, first + 7) if not wanted or weekday(day) in wanted]
        if whole or rule.by_month:
            return self._only(found, "BYMONTH", "BYMONTHDAY", "BYWEEKNO", "BYYEARDAY")
        return found

    # --- one day at a time, for DAILY and the frequencies below

    def allows(self, day: int) -> bool:
        """Whether no rule part excludes ``day``."""
        return all(test(day) for test in self._every_test)

    def next_month_allowed(self, day: int) -> int:
        """``day`` where BYMONTH allows its month, else the first day of the next month that it allows."""
        months = self._rule.by_month
        at = calendar_date(day)
        if not months or at.month in months:
            return day
        later = next((month for month in months if month > at.month), None)
        if later is None:
            return month_bounds(at.year + 1, months[0])[0]
        return month_bounds(at.year, later)[0]

    # --- the single rule parts

    def _only(self, days: Sequence[int], *parts: str) -> list[int]:
        """Those of ``days`` that the named rule parts, where the rule has them, do not exclude."""
        tests = [self._tests[part] for part in parts if part in self._tests]
        self._spend(len(days) * len(tests))
        return [day for day in days if all(test(day) for test in tests)]

    def _month_days(self, year: int, months: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """BYMONTHDAY, with SKIP."""
        self._spend(len(months) * len(wanted))
        found = set()
        for month in months:
            first, end = month_bounds(year, month)
            for number in wanted:
                day = first + number - 1 if number > 0 else end + number
                if first <= day < end:
                    found.add(day)
                else:
                    found.update(self._skipped(first, end, day))
        return sorted(found)

    def _year_days(self, year: int) -> list[int]:
        """BYYEARDAY, with SKIP."""
        first, end = first_of_year(year), first_of_year(year + 1)
        found = set()
        self._spend(len(self._rule.by_year_day))
        for number in self._rule.by_year_day:
            day = first + number - 1 if number > 0 else end + number
            if first <= day < end:
                found.add(day)
            else:
                found.update(self._skipped(first, end, day))
        return sorted(found)

    def _skipped(self, first: int, end: int, day: int) -> Iterator[int]:
        """What SKIP makes of ``day``, which is not in ``first`` to ``end`` (RFC 7529 4.1)."""
        if self._rule.skip is Skip.FORWARD:
            yield end if day >= end else first
        elif self._rule.skip is Skip.BACKWARD:
            yield end - 1 if day >= end else first - 1

    def _week_days(self, year: int) -> list[int]:
        """BYWEEKNO with BYDAY, or with the weekday of DTSTART; the days that lie in ``year``.

        The weeks at both ends of a year may carry a number of the year beside it.
        """
        weekdays = self._weekdays or {weekday(self._start)}
        jan1, end = first_of_year(year), first_of_year(year + 1)
        first, last = self._first_week(year), self._first_week(year + 1)
        weeks = (last - first) // 7
        wanted = {number - 1 if number > 0 else weeks + number for number in self._rule.by_week_no}
        starts = [first + 7 * week for week in wanted if 0 <= week < weeks]
        starts += [start for start in (first - 7, last) if self._is_week(start)]
        self._spend(7 * len(starts))
        return [
            day
            for start in sorted(starts)
            for day in range(max(start, jan1), min(start + 7, end))
            if weekday(day) in weekdays
        ]

    def _first_week(self, year: int) -> int:
        """The day on which week 1 of ``year`` begins: the first week with four days in the year."""
        jan1 = first_of_year(year)
        past = (weekday(jan1) - self._rule.week_start) % 7
        return jan1 - past if past <= 3 else jan1 + 7 - past

    def _is_week(self, day: int) -> bool:
        """Whether BYWEEKNO names the week of ``day``."""
        middle = day + 3 - (weekday(day) - self._rule.week_start) % 7
        year = calendar_date(max(_FIRST_DAY, min(middle, _LAST_DAY))).year
        first, after = self._first_week(year), self._first_week(year + 1)
        number = (day - first) // 7 + 1
        return number in self._rule.by_week_no or number - 1 - (after - first) // 7 in self._rule.by_week_no

    def _is_month_day(self, day: int) -> bool:
        at = calendar_date(day)
        first, end = month_bounds(at.year, at.month)
        return at.day in self._rule.by_month_day or first + at.day - 1 - end in self._rule.by_month_day

    def _is_year_day(self, day: int) -> bool:
        year = calendar_date(day).year
        first, end = first_of_year(year), first_of_year(year + 1)
        return day - first + 1 in self._rule.by_year_day or day - end in self._rule.by_year_day

    def _is_by_day(self, day: int) -> bool:
        """BYDAY where it limits: the numbers count within the month or, for YEARLY without BYMONTH, the year."""
        which = weekday(day)
        if which in self._weekdays:
            return True
        if not self._numbered:
            return False
        at = calendar_date(day)
        if self._rule.frequency == Frequency.YEARLY and not self._rule.by_month:
            first, end = first_of_year(at.year), first_of_year(at.year + 1)
        else:
            first, end = month_bounds(at.year, at.month)
        return ((day - first) // 7 + 1, which) in self._by_day or (-((end - 1 - day) // 7) - 1, which) in self._by_day

    def _year_scopes(self, year: int) -> list[tuple[int, int]]:
        """Within what BYDAY counts: the months that BYMONTH names, else the year."""
        if self._rule.by_month:
            return [month_bounds(year, month) for month in self._rule.by_month]
        return [(first_of_year(year), first_of_year(year + 1))]

    def _expand(self, scopes: Sequence[tuple[int, int]]) -> list[int]:
        """BYDAY where it expands: the days that it names within each scope."""
        found: set[int] = set()
        self._spend(len(scopes) * len(self._by_day))
        for first, end in scopes:
            for number, which in self._by_day:
                if number == 0:
                    found.update(range(first + (which - weekday(first)) % 7, end, 7))
                    continue
                if number > 0:
                    day = first + (which - weekday(first)) % 7 + 7 * (number - 1)
                else:
                    day = end - 1 - (weekday(end - 1) - which) % 7 + 7 * (number + 1)
                if first <= day < end:
                    found.add(day)
        return sorted(found)


_FIRST_DAY: Final = 1 - EPOCH_ORDINAL
_LAST_DAY: Final = date.max.toordinal() - EPOCH_ORDINAL
