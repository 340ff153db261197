"""An independent expansion: RFC 5545 3.3.10 and 3.8.5 taken at their words, one period and one day after the other.

It shares no code with ``scheduling.ical``, reads no calendar text (``cases`` has the values before they are written),
knows no budget and no window, and is as slow as that. Where the RFC leaves a choice, it takes the one that is written
down in ``scheduling.ical.rrule`` and ``scheduling.ical.recurrence``.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY: Final = timedelta(days=1)
_UNITS: Final = {
    "DAILY": DAY,
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}
#: How long the set of a rule is looked at: far enough to see every rule part work, near enough to be walked through.
FAR: Final = {
    "YEARLY": timedelta(days=9 * 366),
    "MONTHLY": timedelta(days=4 * 366),
    "WEEKLY": timedelta(days=3 * 366),
    "DAILY": timedelta(days=2 * 366),
    "HOURLY": timedelta(days=30),
    "MINUTELY": timedelta(days=2),
    "SECONDLY": timedelta(hours=1),
}


# --- a rule ----------------------------------------------------------------------------------------------------------


class Recur:
    """The parts of a RECUR value that is written as RFC 5545 wants it."""

    def __init__(self, text: str) -> None:
        parts = dict(part.split("=") for part in text.split(";"))
        self.frequency = parts["FREQ"]
        self.interval = int(parts.get("INTERVAL", "1"))
        self.count = int(parts["COUNT"]) if "COUNT" in parts else None
        self.first_day = WEEKDAYS.index(parts.get("WKST", "MO"))
        self.skip = parts.get("SKIP", "OMIT") if "RSCALE" in parts else "OMIT"
        self.days = [(int(one[:-2] or 0), WEEKDAYS.index(one[-2:])) for one in _listed(parts, "BYDAY")]
        self.months, self.weeks, self.year_days, self.month_days, self.hours, self.minutes, self.seconds, self.at = (
            sorted({int(one) for one in _listed(parts, name)})
            for name in "BYMONTH BYWEEKNO BYYEARDAY BYMONTHDAY BYHOUR BYMINUTE BYSECOND BYSETPOS".split()
        )


def _listed(parts: dict[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def starts(text: str, start: datetime, last: datetime, *, dates: bool = False) -> list[datetime]:
    """The recurrence set of DTSTART and one rule up to ``last``, without UNTIL: local times in order.

    DTSTART is the first and counts, whether it fits the rule or not.
    """
    rule = Recur(text)
    if dates:
        rule.hours, rule.minutes, rule.seconds = [], [], []
    found = [start]
    for period in _periods(rule, start, last):
        group = sorted(set(_times(rule, start, period)))
        if rule.at:
            group = [one for at, one in enumerate(group) if at + 1 in rule.at or at - len(group) in rule.at]
        found += [one for one in group if one > found[-1]]
        if rule.count is not None and len(found) >= rule.count:
            del found[rule.count :]
            break
    return [one for one in found if one <= last or one is start]


class _Period(NamedTuple):
    """One interval of the FREQ: its days, or the moment that it begins with where it is a part of a day."""

    days: list[date]
    begin: datetime | None = None


def _periods(rule: Recur, start: datetime, last: datetime) -> Iterator[_Period]:
    first, end = start.date(), last.date()
    if rule.frequency in _UNITS:
        unit = _UNITS[rule.frequency]
        begin = start - (start - start.min) % unit
        while begin <= last:
            yield _Period([begin.date()] if _fits(rule, start, begin.date()) else [], begin)
            begin += unit * rule.interval
    elif rule.frequency == "WEEKLY":
        week = first - DAY * ((first.weekday() - rule.first_day) % 7)
        while week <= end:
            yield _Period([day for at in range(7) if _fits(rule, start, day := week + DAY * at)])
            week += 7 * DAY * rule.interval
    elif rule.frequency == "MONTHLY":
        month = first.year * 12 + first.month - 1
        while (month // 12, month % 12 + 1) <= (end.year, end.month):
            yield _Period(_days_of_month(rule, start, month // 12, month % 12 + 1))
            month += rule.interval
    else:
        for year in range(first.year, end.year + 1, rule.interval):
            yield _Period(_days_of_year(rule, start, year))


def _times(rule: Recur, start: datetime, period: _Period) -> Iterator[datetime]:
    """BYHOUR, BYMINUTE and BYSECOND: they expand what is longer than they are, and limit what is not."""
    begin, order = period.begin, list(_UNITS)
    below = order.index(rule.frequency) if begin is not None else 0
    if begin is not None:
        limits = ((rule.hours, begin.hour), (rule.minutes, begin.minute), (rule.seconds, begin.second))
        if any(wanted and at not in wanted for wanted, at in limits[:below]):
            return
    hours, minutes, seconds = (
        [getattr(begin, name)] if at < below else wanted or [getattr(start, name)]
        for at, (name, wanted) in enumerate((("hour", rule.hours), ("minute", rule.minutes), ("second", rule.seconds)))
    )
    for day in period.days:
        for hour in hours:
            for minute in minutes:
                for second in seconds:
                    yield datetime.combine(day, time(hour, minute, second))


# --- the days of a period


def _days_of_month(rule: Recur, start: datetime, year: int, month: int) -> list[date]:
    if rule.months and month not in rule.months:
        return []
    if rule.skip != "OMIT" and (rule.month_days or not rule.days):
        return _moved(rule, start, year, [month])
    return [day for at in range(monthrange(year, month)[1]) if _fits(rule, start, day := date(year, month, at + 1))]


def _days_of_year(rule: Recur, start: datetime, year: int) -> list[date]:
    if rule.skip != "OMIT" and (rule.month_days or not (rule.days or rule.weeks or rule.year_days)):
        some = rule.months or (list(range(1, 13)) if rule.month_days else [start.month])
        return _moved(rule, start, year, some)
    return [day for at in range(366 if isleap(year) else 365) if _fits(rule, start, day := date(year, 1, 1) + DAY * at)]


def _moved(rule: Recur, start: datetime, year: int, months: list[int]) -> list[date]:
    """RFC 7529 4.1: what SKIP makes of days that their month does not have. BYDAY limits what comes of it."""
    found = set()
    for month in months:
        length = monthrange(year, month)[1]
        for number in rule.month_days or [start.day]:
            wanted = number if number > 0 else length + 1 + number
            if 1 <= wanted <= length:
                found.add(date(year, month, wanted))
            elif rule.skip == "BACKWARD":
                found.add(date(year, month, length))
            else:
                found.add(date(year, month, length) + DAY)
    return sorted(day for day in found if not rule.days or _is_week_day(rule, day))


def _fits(rule: Recur, start: datetime, day: date) -> bool:
    """Whether the rule parts from BYMONTH to BYDAY have ``day``; what the rule does not say is that of DTSTART."""
    yearly, monthly = rule.frequency == "YEARLY", rule.frequency == "MONTHLY"
    length = 366 if isleap(day.year) else 365
    of_year, of_month = day.timetuple().tm_yday, monthrange(day.year, day.month)[1]
    if rule.months and day.month not in rule.months:
        return False
    if rule.weeks and not _is_week(rule, day):
        return False
    if rule.year_days and not {of_year, of_year - length - 1} & set(rule.year_days):
        return False
    if rule.month_days and not {day.day, day.day - of_month - 1} & set(rule.month_days):
        return False
    if rule.days:
        return _is_week_day(rule, day)
    if rule.year_days or rule.month_days:
        return True
    if rule.frequency == "WEEKLY" or rule.weeks:
        return day.weekday() == start.weekday()
    if yearly or monthly:
        return day.day == start.day and (monthly or bool(rule.months) or day.month == start.month)
    return True


def _is_week_day(rule: Recur, day: date) -> bool:
    """BYDAY, whose numbers count within the month, or within the year in a YEARLY rule without BYMONTH."""
    numbered = rule.frequency == "MONTHLY" or (rule.frequency == "YEARLY" and not rule.weeks)
    if rule.frequency == "YEARLY" and not rule.months:
        first, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    else:
        first, length = day.day, monthrange(day.year, day.month)[1]
    names = {0, (first - 1) // 7 + 1, -((length - first) // 7) - 1} if numbered else {0, *(n for n, _ in rule.days)}
    return any(which == day.weekday() and number in names for number, which in rule.days)


def _is_week(rule: Recur, day: date) -> bool:
    """BYWEEKNO: the weeks of ISO 8601, but that they begin on WKST. A week is of the year of its fourth day."""
    middle = day - DAY * ((day.weekday() - rule.first_day) % 7) + 3 * DAY
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    following = date(middle.year, 12, 31)
    weeks = (following.timetuple().tm_yday - (following - middle).days % 7 - 1) // 7 + 1
    return number in rule.weeks or number - weeks - 1 in rule.weeks


# --- a component -----------------------------------------------------------------------------------------------------


class Time(NamedTuple):
    """A local time, and how it is bound: "DATE", "FLOATING", "UTC" or the name of a zone."""

    wall: datetime
    form: str

    def zone(self, floating: tzinfo) -> tzinfo:
        if self.form in ("DATE", "FLOATING"):
            return floating
        return UTC if self.form == "UTC" else ZoneInfo(self.form)

    def instant(self, floating: tzinfo) -> int:
        """RFC 5545 3.3.5: the first of two; in a gap with the offset from before it."""
        return instant_of(self.wall, self.zone(floating))


class Length(NamedTuple):
    """DTEND (or DUE), or the days and seconds of a DURATION; neither: it has none."""

    end: Time | None = None
    duration: tuple[int, int] | None = None


class Until(NamedTuple):
    """UNTIL: a local time, and whether it is a UTC time, one without zone or a DATE."""

    wall: datetime
    form: str


class Change(NamedTuple):
    """An override: which start it replaces, and what by."""

    original: Time
    start: Time
    length: Length
    future: bool = False


class Extra(NamedTuple):
    """An RDATE, as PERIOD where it has a length."""

    start: Time
    length: tuple[int, int] | None = None


class Told(NamedTuple):
    """An instance: start, end and original start as instants, and which component tells of it, 0 the master."""

    start: int
    end: int
    original: int
    component: int


class Values(NamedTuple):
    """One component that recurs, with its overrides."""

    start: Time
    length: Length
    rules: list[tuple[str, Until | None]]
    extras: list[Extra]
    gone: list[Time]
    changes: list[Change]


def instant_of(wall: datetime, zone: tzinfo) -> int:
    return round((wall.replace(tzinfo=zone, fold=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def wall_of(instant: int, zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant)).astimezone(zone).replace(tzinfo=None)


#: What makes the starts of one rule up to a local time.
Engine = Callable[[str, datetime, datetime, bool], Iterable[datetime]]


def by_definition(text: str, start: datetime, last: datetime, dates: bool) -> Iterable[datetime]:
    """See ``starts``."""
    return starts(text, start, last, dates=dates)


def expand(values: Values, floating: tzinfo, last: datetime, engine: Engine = by_definition) -> list[Told]:
    """All instances whose original start is not after the local time ``last``, in order; overrides in any case."""
    series = _Series(values, floating)
    # 3.8.5.3: a start that two rules make, or that comes twice as the clocks change, is one instance.
    walls: dict[int, tuple[datetime, tuple[int, int] | None]] = {}
    for text, until in values.rules or [("", None)]:
        for wall in engine(text, values.start.wall, last, series.dates) if text else [values.start.wall]:
            at = instant_of(wall, series.zone)
            if wall == values.start.wall or until is None or series.within(wall, at, until):
                walls.setdefault(at, (wall, None))
    extras: dict[int, tuple[datetime, tuple[int, int] | None]] = {}
    for extra in values.extras:
        wall, at = series.original(extra.start)
        if at not in extras or extra.length is not None:
            extras[at] = (wall, extra.length)
    walls |= extras
    gone = [series.original(one)[1] for one in values.gone if not series.is_day(one)]
    gone += [series.original(one.original)[1] for one in values.changes if not series.is_day(one.original)]
    days = {one.wall.date() for one in values.gone if series.is_day(one)}
    days |= {one.original.wall.date() for one in values.changes if series.is_day(one.original)}
    told = [
        series.told(wall, at, length)
        for at, (wall, length) in walls.items()
        if at not in gone and wall.date() not in days
    ]
    for number, change in enumerate(values.changes, 1):
        _, original = series.original(change.original)
        at = change.start.instant(floating)
        told.append(Told(at, end_of(change.start, change.start, change.length, floating), original, number))
    return sorted(told)


class _Series:
    def __init__(self, values: Values, floating: tzinfo) -> None:
        self.values = values
        self.floating = floating
        self.zone = values.start.zone(floating)
        self.dates = values.start.form == "DATE"
        # RANGE=THISANDFUTURE: from which original start on, how much later, and which component tells it.
        eras = []
        for number, change in enumerate(values.changes, 1):
            if change.future and (change.start.form == "DATE") is self.dates:
                since = self.original(change.original)[0]
                wall = change.start.wall if self.dates else wall_of(change.start.instant(floating), self.zone)
                eras.append((since, number, wall - since))
        self.eras = sorted([(values.start.wall, 0, timedelta()), *eras], key=lambda era: era[0])

    def is_day(self, named: Time) -> bool:
        """It names the instances of a day in a series of times."""
        return named.form == "DATE" and not self.dates

    def original(self, named: Time) -> tuple[datetime, int]:
        """The start that an EXDATE, RDATE or RECURRENCE-ID names: local time in the series, and instant."""
        wall = named.wall
        if self.dates:
            wall = datetime.combine(wall.date(), time())
        elif named.form == "DATE":
            wall = datetime.combine(wall.date(), self.values.start.wall.time())
        elif named.form != "FLOATING":
            at = named.instant(self.floating)
            return wall_of(at, self.zone), at
        return wall, instant_of(wall, self.zone)

    def within(self, wall: datetime, at: int, until: Until) -> bool:
        if self.dates or until.form == "DATE":
            return wall.date() <= until.wall.date()
        return at <= instant_of(until.wall, UTC) if until.form == "UTC" else wall <= until.wall

    def told(self, wall: datetime, at: int, length: tuple[int, int] | None) -> Told:
        """The instance with the original start ``wall``; ``length`` is that of an RDATE with a PERIOD."""
        values = self.values
        _, number, shift = self.eras[max(0, bisect_right([era[0] for era in self.eras], wall) - 1)]
        start = at if not shift else instant_of(wall + shift, self.zone)
        moved = Time(wall + shift, values.start.form)
        if length is not None:
            return Told(start, end_of(moved, moved, Length(None, length), self.floating), at, number)
        source = values.changes[number - 1] if number else None
        first, lasts = (source.start, source.length) if source else (values.start, values.length)
        return Told(start, end_of(moved, first, lasts, self.floating), at, number)


def end_of(start: Time, first: Time, length: Length, floating: tzinfo) -> int:
    """When that ends which starts at ``start``, being a recurrence of what starts ``first`` and lasts ``length``.

    RFC 5545 3.8.5.3: with DTEND equally many seconds each time, with DURATION the same nominal duration.
    """
    at = start.instant(floating)
    local = start.form in ("DATE", "FLOATING")
    if length.end is not None:
        if local and (length.end.form in ("DATE", "FLOATING")):
            return instant_of(start.wall + max(timedelta(), length.end.wall - first.wall), start.zone(floating))
        return at + max(0, length.end.instant(floating) - first.instant(floating))
    days, seconds = length.duration if length.duration is not None else (int(start.form == "DATE"), 0)
    if local:
        return instant_of(start.wall + timedelta(days, seconds), start.zone(floating))
    if not days:
        return at + seconds
    return instant_of(start.wall + timedelta(days), start.zone(floating)) + seconds
