"""Recurrences made up: rules that RFC 5545 allows, and whole objects around the places where calendars go wrong.

Everything is drawn from a ``Random``: a seeded one, or Hypothesis' own, which then makes what fails small.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from tests.scheduling.ical.recurring.definition import (
    DAY,
    FAR,
    WEEKDAYS,
    Change,
    Extra,
    Length,
    Time,
    Until,
    Values,
    expand,
    instant_of,
    starts,
    wall_of,
)
from tests.scheduling.ical.writing import source

#: The zones, each with the days on which its clocks change, in years that are used here; +05:45 never does.
ZONES: Final = {
    "Europe/Berlin": ("20240331T020000", "20241027T020000", "19960331T020000"),
    "America/New_York": ("20240310T020000", "20241103T010000", "20070311T020000"),
    "Australia/Lord_Howe": ("20240407T013000", "20241006T020000", "20280402T013000"),
    "Asia/Kathmandu": ("20240101T000000",),
}
FORMS: Final = (*ZONES, "UTC", "FLOATING", "DATE")
#: What the zones' VTIMEZONEs say: from when on each offset counts, every year.
_OBSERVANCES: Final = {
    "Europe/Berlin": (
        ("DAYLIGHT", "19970330T020000", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "+0100", "+0200"),
        ("STANDARD", "19961027T030000", "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "+0200", "+0100"),
    ),
    "America/New_York": (
        ("DAYLIGHT", "20070311T020000", "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "-0500", "-0400"),
        ("STANDARD", "20071104T020000", "FREQ=YEARLY;BYMONTH=11;BYDAY=1SU", "-0400", "-0500"),
    ),
    "Australia/Lord_Howe": (
        ("STANDARD", "20080406T020000", "FREQ=YEARLY;BYMONTH=4;BYDAY=1SU", "+1100", "+1030"),
        ("DAYLIGHT", "20081005T020000", "FREQ=YEARLY;BYMONTH=10;BYDAY=1SU", "+1030", "+1100"),
    ),
    "Asia/Kathmandu": (("STANDARD", "19860101T001500", "", "+0530", "+0545"),),
}
#: Times of day around which clocks change, and some others.
_CLOCK: Final = ((0, 0), (0, 30), (1, 0), (1, 30), (1, 45), (2, 0), (2, 15), (2, 30), (3, 0), (3, 30), (9, 0), (23, 45))
#: Days at the edges of months, leap years and of years whose weeks are numbered otherwise than one expects.
_EDGES: Final = (
    "20240229", "20230228", "20240131", "20231231", "20240101", "20201231", "20210104", "20260101", "19961230",
    "20000229", "20251229", "20240430", "20161225",
)  # fmt: skip


def clock(text: str) -> datetime:
    """A local time: "20240229T090000", or "20240229" for its midnight."""
    return datetime.strptime(text.ljust(15, "0") if "T" in text else f"{text}T000000", "%Y%m%dT%H%M%S")  # noqa: DTZ007


# --- rules -----------------------------------------------------------------------------------------------------------


class _Parts:
    """A rule in the making."""

    def __init__(self, rng: Random, frequency: str) -> None:
        self._rng = rng
        self.parts = [f"FREQ={frequency}"]

    def add(self, name: str, values: list[str], *, one_in: int, most: int = 3) -> bool:
        """Some of ``values``, in one rule of ``one_in``."""
        if self._rng.randrange(one_in):
            return False
        some = dict.fromkeys(self._rng.choice(values) for _ in range(self._rng.randint(1, most)))
        self.parts.append(f"{name}={','.join(some)}")
        return True


def _numbers(most: int, *, signed: bool = True, least: int = 1) -> list[str]:
    return [str(at) for at in range(least, most + 1)] + [str(-at) for at in range(1, most + 1) if signed]


def _numbered(numbers: tuple[int, ...]) -> list[str]:
    return [f"{number or ''}{day}" for number in numbers for day in WEEKDAYS]


def rule(rng: Random, frequency: str | None = None) -> str:
    """A rule without COUNT and UNTIL that RFC 5545 allows: nothing that its table calls N/A."""
    frequency = rng.choice(list(FAR)) if frequency is None else frequency
    made = _Parts(rng, frequency)
    made.add("INTERVAL", [str(at) for at in (*range(1, 8), 12, 24, 30, 45)], one_in=3, most=1)
    made.add("WKST", list(WEEKDAYS), one_in=4, most=1)
    limited = made.add("BYMONTH", _numbers(12, signed=False), one_in=4, most=5)
    by_month, weeks = limited, False
    if frequency == "YEARLY":
        weeks = made.add("BYWEEKNO", [*_numbers(53), "1", "52", "53", "-1"], one_in=5)
    if frequency not in ("DAILY", "WEEKLY", "MONTHLY"):
        limited |= made.add("BYYEARDAY", [*_numbers(366), "1", "60", "366", "-366"], one_in=6)
    if frequency != "WEEKLY":
        limited |= made.add("BYMONTHDAY", [*_numbers(31), "29", "30", "31"], one_in=4, most=6)
    numbers: tuple[int, ...] = (0,)
    if frequency == "MONTHLY" or (frequency == "YEARLY" and by_month and not weeks):
        numbers = (0, 1, 2, 4, 5, -1, -2, -5)
    elif frequency == "YEARLY" and not weeks:
        numbers = (0, 1, 2, 20, 52, 53, -1, -53)
    limited |= made.add("BYDAY", _numbered(numbers), one_in=2, most=4)
    limited |= made.add("BYHOUR", _numbers(23, signed=False, least=0), one_in=6)
    limited |= made.add("BYMINUTE", _numbers(59, signed=False, least=0), one_in=7)
    limited |= made.add("BYSECOND", _numbers(59, signed=False, least=0), one_in=9)
    if limited or weeks:
        made.add("BYSETPOS", ["1", "2", "3", "7", "-1", "-2", "-5"], one_in=4)
    if frequency in ("YEARLY", "MONTHLY") and not rng.randrange(8):
        skippable = [part for part in made.parts if part.split("=")[0] not in ("BYYEARDAY", "BYWEEKNO", "BYDAY")]
        if not any(part.startswith("BYMONTHDAY=") and "-" in part for part in skippable):
            made.parts = ["RSCALE=GREGORIAN", *skippable, f"SKIP={rng.choice(('BACKWARD', 'FORWARD'))}"]
            if len(skippable) == 2 and "BYSETPOS" in skippable[1]:
                made.parts.remove(skippable[1])
    return ";".join(made.parts)


def begin(rng: Random, form: str) -> datetime:
    """A local time for DTSTART: some days before the clocks change, at an edge of the calendar, or anywhere."""
    kind = rng.randrange(4)
    if kind == 0:
        day = clock(rng.choice(ZONES.get(form) or ZONES["Europe/Berlin"])) - DAY * rng.choice((0, 1, 7, 14, 30))
    elif kind == 1:
        day = clock(rng.choice(_EDGES))
    else:
        day = datetime(rng.randint(1997, 2030), 1, 1) + DAY * rng.randrange(366)  # noqa: DTZ001 (local time)
    day = day.replace(hour=0, minute=0, second=0)
    if form == "DATE":
        return day
    hour, minute = rng.choice(_CLOCK)
    return day.replace(hour=hour, minute=minute, second=rng.choice((0, 0, 0, 59)))


# --- objects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An object: its values, its text, the zone that it is looked at in, and how far it is walked through."""

    values: Values
    text: bytes
    floating: str
    last: datetime

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.floating)

    @property
    def form(self) -> str:
        return self.values.start.form


def case(rng: Random) -> Case:
    """An event that recurs, with additions, exceptions, and overrides that stay, move a little or far away."""
    form = rng.choice(FORMS)
    # Every other object is one that people have, not one of the corners of the table.
    plain = ("DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "YEARLY")
    frequency = rng.choice(plain) if form == "DATE" or rng.randrange(5) else rng.choice(list(FAR))
    text = f"FREQ={frequency}" if rng.randrange(3) == 0 else rule(rng, frequency)
    if form == "DATE" or rng.randrange(3):
        text = ";".join(part for part in text.split(";") if part[:6] not in ("BYHOUR", "BYMINU", "BYSECO"))
    first = begin(rng, form)
    if rng.randrange(5):  # mostly a DTSTART that fits its rule
        fitting = starts(text, first, first + FAR[frequency], dates=form == "DATE")[1:2]
        first = fitting[0] if fitting else first
    last = first + FAR[frequency] / 2
    floating = rng.choice(("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"))
    if rng.randrange(2):
        text += f";COUNT={rng.choice((1, 2, 3, 5, 10, 40))}"
    start = Time(first, form)
    until = _until(rng, start, text, floating, last) if "COUNT" not in text and rng.randrange(2) else None
    rules = [(text, until)] if rng.randrange(12) else []
    bare = Values(start, _length(rng, start), rules, [], [], [])
    known = [wall_of(one.original, start.zone(ZoneInfo(floating))) for one in expand(bare, ZoneInfo(floating), last)]
    values = _around(rng, bare, known, floating)
    return Case(values, written(values, defined=bool(rng.randrange(2))), floating, last)


def _length(rng: Random, start: Time, *, odd: bool = True) -> Length:
    kind = rng.randrange(5)
    if kind == 0:
        return Length()
    if start.form == "DATE":
        days = rng.choice((1, 1, 2, 7, 40))
        return Length(Time(start.wall + DAY * days, "DATE")) if kind < 3 else Length(duration=(days, 0))
    if kind < 3:
        form = start.form
        if odd and form in ZONES and not rng.randrange(6):
            form = rng.choice(("UTC", *ZONES))
        lasts = timedelta(minutes=rng.choice((0, 15, 30, 60, 90, 24 * 60, 25 * 60, 40 * 24 * 60)))
        if form == start.form:
            end = start.wall + lasts
            return Length(Time(end, form))
        zone = Time(start.wall, form).zone(ZoneInfo("UTC"))
        return Length(Time(wall_of(start.instant(ZoneInfo("UTC")) + int(lasts.total_seconds()), zone), form))
    return Length(duration=rng.choice(((0, 0), (0, 900), (0, 3600), (0, 86_400), (1, 0), (1, 21_600), (35, 0))))


def _until(rng: Random, start: Time, text: str, floating: str, last: datetime) -> Until:
    """Of the type that RFC 5545 wants, or a DATE, as many write it; mostly the very start that it ends with."""
    made = starts(text, start.wall, last, dates=start.form == "DATE")
    wall = rng.choice(made[: rng.choice((2, 8, 100))]) + rng.choice((timedelta(),) * 4 + (timedelta(0, -1), DAY))
    if start.form == "DATE" or not rng.randrange(4):
        return Until(wall.replace(hour=0, minute=0, second=0), "DATE")
    if start.form == "FLOATING":
        return Until(wall, "LOCAL")
    at = instant_of(wall, start.zone(ZoneInfo(floating)))
    return Until(wall_of(at, ZoneInfo("UTC")), "UTC")


def _around(rng: Random, bare: Values, known: list[datetime], floating: str) -> Values:
    """What is added, taken away and moved."""
    start, form = bare.start, bare.start.form
    step = DAY if form == "DATE" else timedelta(minutes=30)
    extras = []
    changes: list[Change] = []
    for _ in range(rng.choice((0, 0, 1, 3))):
        wall = rng.choice([*known, start.wall + DAY * rng.randrange(60) + step])
        lasts = (0, rng.choice((0, 1800, 90_000))) if form != "DATE" and not rng.randrange(3) else None
        extras.append(Extra(_named(rng, Time(wall, form), floating, days=lasts is None), lasts))
    some = [Time(rng.choice([*known, start.wall + DAY]), form) for _ in range(rng.choice((0, 0, 1, 3)))]
    gone = [_named(rng, one, floating) for one in some]
    for wall in dict.fromkeys(rng.choice(known) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))) if known else ():
        change = _change(rng, Time(wall, form), step, floating)
        if not any(change.original == other.original for other in changes):
            changes.append(change)
    return bare._replace(extras=extras, gone=gone, changes=changes)


def _change(rng: Random, original: Time, step: timedelta, floating: str) -> Change:
    """An override, moved by nothing, a little, across midnight, or by months to either side."""
    shift = step * rng.choice((0, 0, 1, -1, 3, 47, -49)) + DAY * rng.choice((0, 0, 0, 1, -3, 400, -200))
    moved = Time(original.wall + shift, original.form)
    if not rng.randrange(6):
        moved = Time(moved.wall, rng.choice(FORMS))
    if moved.form == "DATE":
        moved = Time(moved.wall.replace(hour=0, minute=0, second=0), "DATE")
    name = _named(rng, original, floating, days=False)
    return Change(name, moved, _length(rng, moved), future=not rng.randrange(8))


def _named(rng: Random, time: Time, floating: str, *, days: bool = True) -> Time:
    """Mostly as DTSTART is written, else in UTC, in another zone or, where ``days``, as the DATE."""
    how = rng.randrange(8)
    if time.form in ("DATE", "FLOATING") or how > 2:
        return time
    if how == 0 and days:
        return Time(time.wall.replace(hour=0, minute=0, second=0), "DATE")
    other = "UTC" if how == 1 else "America/New_York"
    there = Time(time.wall, other).zone(ZoneInfo(floating))
    wall = wall_of(time.instant(ZoneInfo(floating)), there)
    # A time that the other zone has twice would name the first of the two.
    return Time(wall, other) if instant_of(wall, there) == time.instant(ZoneInfo(floating)) else time


# --- as text ---------------------------------------------------------------------------------------------------------


def written(values: Values, *, kind: str = "VEVENT", defined: bool = False) -> bytes:
    """The object as iCalendar; ``defined``: with VTIMEZONEs."""
    lines = [kind, _line("DTSTART", values.start), *_length_lines(values.length)]
    for text, until in values.rules:
        lines.append(f"RRULE:{text}{'' if until is None else ';UNTIL=' + _text(until.wall, until.form)}")
    lines += [_addition(one) for one in values.extras]
    lines += [_line("EXDATE", one) for one in values.gone]
    parts = ["\n".join(lines)]
    for change in values.changes:
        rid = _line("RECURRENCE-ID", change.original)
        if change.future:
            rid = rid.replace("RECURRENCE-ID", "RECURRENCE-ID;RANGE=THISANDFUTURE", 1)
        parts.append("\n".join([kind, rid, _line("DTSTART", change.start), *_length_lines(change.length)]))
    made = source(*parts)
    if not defined:
        return made
    zones = "".join(_definition(name) for name in ZONES if name.encode() in made)
    return made.replace(b"BEGIN:" + kind.encode(), zones.encode() + b"BEGIN:" + kind.encode(), 1)


def _text(wall: datetime, form: str) -> str:
    return f"{wall:%Y%m%d}" if form == "DATE" else f"{wall:%Y%m%dT%H%M%S}{'Z' if form == 'UTC' else ''}"


def _line(name: str, time: Time) -> str:
    params = ";VALUE=DATE" if time.form == "DATE" else f";TZID={time.form}" if time.form in ZONES else ""
    return f"{name}{params}:{_text(*time)}"


def _addition(extra: Extra) -> str:
    if extra.length is None:
        return _line("RDATE", extra.start)
    name, _, value = _line("RDATE;VALUE=PERIOD", extra.start).partition(":")
    return f"{name}:{value}/{_duration(extra.length)}"


def _duration(length: tuple[int, int]) -> str:
    days, seconds = length
    return f"P{days}D" + (f"T{seconds}S" if seconds else "") if days else f"PT{seconds}S"


def _length_lines(length: Length) -> list[str]:
    if length.end is not None:
        return [_line("DTEND", length.end)]
    return [f"DURATION:{_duration(length.duration)}"] if length.duration is not None else []


def _definition(name: str) -> str:
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    for kind, first, text, before, after in _OBSERVANCES[name]:
        lines += [f"BEGIN:{kind}", f"DTSTART:{first}", *([f"RRULE:{text}"] if text else [])]
        lines += [f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", f"END:{kind}"]
    return "".join(line + "\r\n" for line in [*lines, "END:VTIMEZONE"])
