"""The starts that a recurrence rule makes.

Owns RFC 5545 3.3.10 from BYHOUR to UNTIL, and 3.8.5.3. Reading the rule is in ``recur``, the days of a period in
``recur_days``; RDATE, EXDATE, overrides and time zones are in ``recurrence``: everything here is local time in seconds
(see ``values``).

A rule costs no more than its ``Budget``. Where it has no COUNT, or all its periods hold the same number of starts, the
generator goes to the range that is asked for by arithmetic; days, hours and minutes that the rule excludes are passed
over as a whole; what remains is counted in steps. A rule that cannot match (30 February) ends at once where its months
and days show it, else in ``TooManyInstances`` when the budget is used up.

Decisions where RFC 5545 leaves a choice:

- DTSTART is always the first start, and COUNT counts it, also where it does not fit the rule ("The DTSTART property
  value always counts as the first occurrence"), and where UNTIL is earlier.
- BYYEARDAY, BYMONTHDAY and BYWEEKNO in a frequency for which the table of 3.3.10 says N/A limit it; a number in BYDAY
  outside of MONTHLY and YEARLY, or beside BYWEEKNO, is passed over.
- HOURLY, MINUTELY and SECONDLY of a DATE are read as DAILY, with the whole days of their interval.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ICalendarError
from scheduling.ical.recur import Frequency, Skip
from scheduling.ical.recur_days import Days, calendar_date, never
from scheduling.ical.values import DAY, MAX_LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scheduling.ical.recur import Rule

#: What one call may cost unless the caller says otherwise: at most 50 ms of one core of a 2020s machine.
DEFAULT_STEPS: Final = 15_000


class TooManyInstances(ICalendarError):
    """Generating the recurrence set would cost more than the budget (RFC 4791 5.3.2.1, ``max-instances``)."""

    def __init__(self, line: int | None = None) -> None:
        super().__init__("This recurrence makes too many instances to be generated.", line, "max-instances")


class Budget:
    """How many steps may still be taken: periods and days looked at, starts made. One may serve many rules."""

    __slots__ = ("left",)

    def __init__(self, steps: int = DEFAULT_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take ``steps`` steps. Raises TooManyInstances when there were fewer left."""
        self.left -= steps
        if self.left < 0:
            raise TooManyInstances


def starts(
    rule: Rule,
    start: int,
    *,
    dates: bool = False,
    since: int | None = None,
    before: int | None = None,
    until: int | None = None,
    budget: Budget | None = None,
) -> Iterator[int]:
    """The starts of the recurrence set that ``rule`` and DTSTART make, in order, each once.

    All times are local seconds. ``start`` is DTSTART, and with ``dates`` a DATE; only starts in ``since`` to ``before``
    (not included) are made. ``until`` is the UNTIL of the rule as local time (included): the caller knows the time zone
    in which a UTC time is to be read, so ``rule.until`` is not looked at. Raises TooManyInstances.
    """
    last = MAX_LOCAL if before is None else min(before - 1, MAX_LOCAL)
    least = start if since is None else max(since, start)
    if start == least <= last:
        yield start
    if until is not None:
        last = min(last, until)
    if least > last:
        return
    if never(rule) or rule.count == 1:
        return
    if dates:
        rule = _for_dates(rule)
    work = _Generator(rule, start, Budget() if budget is None else budget, dates)
    if not work.misses_every_position:
        yield from work.run(least, last)


def _for_dates(rule: Rule) -> Rule:
    """The rule as it is for a DTSTART that is a DATE: "BYSECOND, BYMINUTE and BYHOUR … MUST be ignored" (3.3.10)."""
    frequency, interval = rule.frequency, rule.interval
    if frequency > Frequency.DAILY:
        frequency, interval = Frequency.DAILY, max(1, interval * _UNITS[frequency] // DAY)
    return replace(rule, frequency=frequency, interval=interval, by_hour=(), by_minute=(), by_second=())


#: Seconds in one period of the frequencies that are a whole number of them.
_UNITS: Final = {
    Frequency.WEEKLY: 7 * DAY,
    Frequency.DAILY: DAY,
    Frequency.HOURLY: 3600,
    Frequency.MINUTELY: 60,
    Frequency.SECONDLY: 1,
}


def is_regular(rule: Rule, day: int) -> bool:
    """Whether every period but that of DTSTART, which is on ``day``, surely holds the same number of starts."""
    if rule.by_year_day or rule.by_week_no or rule.skip is not Skip.OMIT:
        return False
    if rule.frequency <= Frequency.MONTHLY:
        if rule.by_month and rule.frequency == Frequency.MONTHLY:
            return False
        # A day counted from the beginning and one counted from the end may be the same day in some months only.
        if rule.by_day:
            within_months = rule.frequency == Frequency.MONTHLY or bool(rule.by_month)
            return not rule.by_month_day and within_months and _on_one_side([at for at, _ in rule.by_day], 4)
        return _on_one_side(rule.by_month_day or (calendar_date(day).day,), 28)
    if rule.by_month or rule.by_month_day or (rule.by_day and rule.frequency > Frequency.WEEKLY):
        return False
    limited = (rule.by_hour, rule.by_minute, rule.by_second)[: rule.frequency - Frequency.DAILY]
    return rule.frequency < Frequency.HOURLY or not any(limited)


def _on_one_side(numbers: Sequence[int], most: int) -> bool:
    """Whether all count from the beginning, or all from the end, and no further than ``most``."""
    return all(0 < at <= most for at in numbers) or all(0 < -at <= most for at in numbers)


def last_of(rule: Rule, start: int, *, dates: bool = False, budget: Budget | None = None) -> int | None:
    """The last start of a rule with COUNT whose DTSTART is ``start``; None where finding it means to make them all.

    Raises TooManyInstances.
    """
    if rule.count == 1:
        return start
    if dates:
        rule = _for_dates(rule)
    if not is_regular(rule, start // DAY):
        return None
    return _Generator(rule, start, Budget() if budget is None else budget, dates).last()


class _Generator:
    """One rule at work. Periods have an index: the year, the month, the week, … counted from the epoch."""

    def __init__(self, rule: Rule, start: int, budget: Budget, dates: bool) -> None:  # noqa: FBT001 (private)
        self._rule = rule
        self._start = start
        self._budget = budget
        self._day, self._time = divmod(start, DAY)
        self._days = Days(rule, self._day, budget.spend)
        self._unit = _UNITS.get(rule.frequency, 0)
        # Weeks begin on WKST; day 0 was a Thursday, so that week 0 begins on the WKST on or before it.
        self._shift = ((rule.week_start - 3) % 7 - 7) % -7 * DAY if rule.frequency == Frequency.WEEKLY else 0
        self._times = (0,) if dates else self._times_in_period()
        budget.spend(len(self._times) // 10)

    def run(self, least: int, last: int) -> Iterator[int]:
        """The starts after DTSTART in ``least`` to ``last`` (included)."""
        first_index = self._index(self._start)
        step = self._rule.interval
        index, made = first_index, 1
        end_index = self._index(last)
        if self._rule.count is None:
            # One period earlier than needed, since SKIP=FORWARD may move a day into the next period.
            index += max(0, (self._index(least) - first_index) // step - 1) * step
        elif is_regular(self._rule, self._day):
            index, made = self._count_to(first_index, self._index(least))
        count = self._rule.count
        newest = max(self._start, least - 1) if count is None else self._start
        budget = self._budget
        next_allowed = self._next_allowed(last)
        while index <= end_index:
            budget.spend()
            if next_allowed is not None:
                allowed = next_allowed(index)
                if allowed != index:
                    index += -((index - allowed) // step) * step
                    continue
            for value in self._period(index, newest):
                if value > last:
                    return
                budget.spend()
                newest = value
                made += 1
                if value >= least:
                    yield value
                if made == count:
                    return
            index += step

    def last(self) -> int:
        """The last start of a regular rule with COUNT, or the last before the year 10000."""
        end_index = self._index(MAX_LOCAL)
        index, made = self._count_to(self._index(self._start), end_index)
        newest = self._start
        while index <= end_index and made < self._count:
            for value in islice(self._period(index, newest), self._count - made):
                newest, made = value, made + 1
            self._budget.spend()
            index += self._rule.interval
        return newest

    @property
    def misses_every_position(self) -> bool:
        """BYSETPOS asks for positions that no period of a day or less has."""
        size = len(self._times)
        return self._rule.frequency >= Frequency.DAILY and all(abs(at) > size for at in self._rule.by_set_pos or (1,))

    # --- going ahead

    def _count_to(self, first_index: int, wanted: int) -> tuple[int, int]:
        """For a regular rule with COUNT: the index of the period to begin with, and the starts made before it."""
        step = self._rule.interval
        periods = (wanted - first_index) // step - 1
        if periods < 1:
            return first_index, 1
        made = 1 + sum(1 for _ in self._period(first_index, self._start))
        each = sum(1 for _ in self._period(first_index + step, self._start))
        self._budget.spend(made + each)
        # At least one start is left to make, so that run() finds the end of COUNT by itself.
        periods = min(periods, (self._count - made - 1) // each) if each else periods
        if periods < 0:
            return first_index, 1
        return first_index + (periods + 1) * step, made + periods * each

    @property
    def _count(self) -> int:
        return self._rule.count or 0

    def _next_allowed(self, last: int) -> Callable[[int], int] | None:
        """What leads from the index of a period to that of the next one, itself included, not excluded as a whole.

        None where there is no rule part that excludes periods, or a period is longer than a day.
        """
        rule = self._rule
        if rule.frequency < Frequency.DAILY:
            return None
        limits = (rule.by_hour, rule.by_minute, rule.by_second)[: max(0, rule.frequency - Frequency.DAILY)]
        by_days = bool(rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_no or rule.by_day)
        if not by_days and not any(limits):
            return None
        unit = self._unit
        sizes = tuple(zip(limits, (3600, 60, 1), (DAY, 3600, 60), strict=False))
        known_day, last_day = -(10**9), last // DAY

        def next_allowed(index: int) -> int:
            nonlocal known_day
            local = index * unit
            if by_days and (day := local // DAY) != known_day:
                known_day = self._next_day(day, last_day)
                if known_day != day:
                    return known_day * DAY // unit
            for wanted, size, whole in sizes:
                if not wanted:
                    continue
                number = local % whole // size
                at = bisect_left(wanted, number)
                if at == len(wanted):
                    return (local // whole + 1) * whole // unit
                if wanted[at] != number:
                    return (local // whole * whole + wanted[at] * size) // unit
            return index

        return next_allowed

    def _next_day(self, day: int, last: int) -> int:
        """The next day, ``day`` included, on which the rule has starts; one after ``last`` where there is none."""
        days = self._days
        while day <= last:
            day = days.next_month_allowed(day)
            if day > last or days.allows(day):
                break
            self._budget.spend()
            day += 1
        return day

    # --- one period

    def _index(self, local: int) -> int:
        frequency = self._rule.frequency
        if frequency > Frequency.MONTHLY:
            return (local - self._shift) // self._unit
        at = calendar_date(local // DAY)
        return at.year if frequency == Frequency.YEARLY else at.year * 12 + at.month - 1

    def _times_in_period(self) -> tuple[int, ...]:
        """BYHOUR, BYMINUTE and BYSECOND where they expand.

        Seconds from the beginning of the day, or of the period where that is shorter.
        """
        rule = self._rule
        hour, minute, second = self._time // 3600, self._time // 60 % 60, self._time % 60
        hours: Sequence[int] = rule.by_hour or (hour,)
        minutes: Sequence[int] = rule.by_minute or (minute,)
        seconds: Sequence[int] = rule.by_second or (second,)
        if rule.frequency >= Frequency.HOURLY:
            hours = (0,)
        if rule.frequency >= Frequency.MINUTELY:
            minutes = (0,)
        if rule.frequency == Frequency.SECONDLY:
            seconds = (0,)
        return tuple(h * 3600 + m * 60 + s for h in hours for m in minutes for s in seconds)

    def _bases(self, index: int) -> Sequence[int]:
        """The local seconds to which the times of the period are added: its days, or its own beginning."""
        match self._rule.frequency:
            case Frequency.YEARLY:
                days = self._days.of_year(index)
            case Frequency.MONTHLY:
                days = self._days.of_month(index // 12, index % 12 + 1)
            case Frequency.WEEKLY:
                days = self._days.of_week((index * self._unit + self._shift) // DAY)
            case _:
                return (index * self._unit,)
        self._budget.spend(len(days))
        return [day * DAY for day in days]

    def _period(self, index: int, newest: int) -> Iterator[int]:
        """The starts in one period that are later than ``newest``, in order."""
        bases, times = self._bases(index), self._times
        if self._rule.by_set_pos:
            size = len(bases) * len(times)
            chosen = {at - 1 if at > 0 else size + at for at in self._rule.by_set_pos}
            for at in sorted(chosen):
                if 0 <= at < size and (value := bases[at // len(times)] + times[at % len(times)]) > newest:
                    yield value
            return
        for base in bases:
            if base + times[-1] <= newest:
                continue
            if len(times) == 1:
                yield base + times[0]
                continue
            for at in range(bisect_right(times, newest - base), len(times)):
                yield base + times[at]
