"""Recurrences of many kinds: what this server makes of them, against expansions that share no code with it.

Four opinions: the words of RFC 5545 (``definition``), dateutil, recurring-ical-events, and this server's own full
expansion. The answers that come without a full expansion (a window entered in its middle, the bounds of the digest, the
packed busy spans, a time range, ``expand``) are compared with it. Where a library reads RFC 5545 otherwise, there is a
test for each case in ``test_other_readings``, and ``as_dateutil`` or ``as_the_other`` leaves it out here.

``make test`` looks at some hundreds of objects, always the same, and some that Hypothesis makes up. Many more:

    CALDAVD_RECURRENCES=20000 CALDAVD_RECURRENCES_FROM=1000000 pytest tests/scheduling/ical/recurring
"""

from __future__ import annotations

import os
from datetime import UTC as UTC_TZ, date, datetime, tzinfo
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import icalendar
import pytest
import recurring_ical_events
from dateutil.rrule import rruleset, rrulestr
from hypothesis import given, settings, strategies as st

from scheduling.ical.digest import digest
from scheduling.ical.expand import expand as expanded
from scheduling.ical.lines import parse
from scheduling.ical.recur import parse as parse_rule
from scheduling.ical.recurrence import recurrence_sets
from scheduling.ical.rrule import Budget, starts
from scheduling.ical.spans import Blocking, is_within, read_spans
from scheduling.ical.timerange import TimeRange
from scheduling.ical.timezones import IanaZone
from scheduling.ical.values import DAY, wall
from tests.scheduling.ical.recurring import cases, definition
from tests.scheduling.ical.recurring.definition import Recur, Told, instant_of, wall_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scheduling.ical.lines import Component
    from tests.scheduling.ical.recurring.cases import Case

#: How many objects, and as many rules, from which number of the generator on; a chunk of them is one test.
HOW_MANY: Final = int(os.environ.get("CALDAVD_RECURRENCES", "300"))
FIRST: Final = int(os.environ.get("CALDAVD_RECURRENCES_FROM", "0"))
CHUNK: Final = 100
CHUNKS = pytest.mark.parametrize("first", range(FIRST, FIRST + HOW_MANY, CHUNK))
RANDOMS = st.randoms(use_true_random=False)
#: More than any object here may cost.
STEPS: Final = 10**7


def local(at: datetime) -> int:
    return round((at - wall(0)).total_seconds())


# --- rules -----------------------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    rule: str
    start: datetime
    last: datetime


def a_rule(rng: Random) -> Drawn:
    text, start = cases.rule(rng), cases.begin(rng, "UTC")
    frequency = Recur(text).frequency
    if not rng.randrange(3):
        text += f";COUNT={rng.choice((1, 2, 3, 5, 10, 40, 200))}"
    return Drawn(text, start, start + definition.FAR[frequency])


def as_dateutil(text: str) -> bool:
    """Whether dateutil reads a rule, whose DTSTART fits it, as RFC 5545 does, and comes to an end of it."""
    rule = Recur(text)
    if rule.frequency not in ("YEARLY", "MONTHLY", "WEEKLY") and (rule.frequency != "DAILY" or rule.at):
        return False
    numbers = {bool(number) for number, _ in rule.days}
    last_weeks = any(abs(week) > 51 for week in rule.weeks)
    other = "RSCALE" in text or len(numbers) > 1 or last_weeks or (rule.weeks and not rule.days)
    return not other and not (rule.frequency == "WEEKLY" and rule.at)


def by_dateutil(text: str, start: datetime, last: datetime) -> list[datetime]:
    """The starts that dateutil makes. With UNTIL always: what COUNT asks for it seeks until the year 9999."""
    endless = ";".join(part for part in text.split(";") if not part.startswith("COUNT="))
    try:
        made = rrulestr(f"{endless};UNTIL={last:%Y%m%dT%H%M%S}", dtstart=start)
    except ValueError:  # "Invalid rrule byxxx generates an empty set"
        return []
    return list(islice(made, Recur(text).count))


def fits(text: str, start: datetime, last: datetime) -> bool:
    """Whether dateutil reads a rule as RFC 5545 does, with this DTSTART, which it leaves out where it does not fit."""
    return as_dateutil(text) and next(iter(by_dateutil(text, start, last)), None) == start


def check_rule(drawn: Drawn, rng: Random) -> None:
    text, start, last = drawn
    wanted = definition.starts(text, start, last)
    rule, first, end = parse_rule(text), local(start), local(last) + 1
    assert [wall(one) for one in starts(rule, first, before=end, budget=Budget(STEPS))] == wanted, drawn
    for _ in range(3):
        since = first + rng.randrange(end - first)
        before = min(end, since + rng.choice((1, 3600, DAY, 7 * DAY, 40 * DAY, 400 * DAY)))
        made = list(starts(rule, first, since=since, before=before, budget=Budget(STEPS)))
        assert made == [at for one in wanted if since <= (at := local(one)) < before], (drawn, since, before)
    if fits(text, start, last):
        assert by_dateutil(text, start, last) == wanted, drawn


@CHUNKS
def test_rules(first: int) -> None:
    for seed in range(first, first + CHUNK):
        rng = Random(seed)
        check_rule(a_rule(rng), rng)


@settings(max_examples=80, deadline=None)
@given(RANDOMS)
def test_rules_made_up(rng: Random) -> None:
    check_rule(a_rule(rng), rng)


# --- objects ---------------------------------------------------------------------------------------------------------


class Seen:
    """An object as this server sees it, and all its instances of which this server and the definition are sure."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.calendar = parse(case.text)
        self.zone = IanaZone(case.floating)
        self.components = [one for one in self.calendar.components if one.name == "VEVENT"]
        self.wanted = definition.expand(case.values, case.zone, case.last)
        #: What starts, or first started, later than that, may be missing in ``wanted``.
        self.until = instant_of(case.last, case.values.start.zone(case.zone)) - 2 * DAY

    def number(self, component: Component) -> int:
        return next(at for at, one in enumerate(self.components) if one is component)

    def told(self, start: int | None, end: int | None) -> list[Told]:
        """What this server says between two instants, in order."""
        made = [
            one for each in recurrence_sets(self.calendar, self.zone) for one in each.near(start, end, Budget(STEPS))
        ]
        originals = [one.order if one.recurrence_id is None else one.recurrence_id for one in made]
        return sorted(
            Told(one.order, one.end or 0, original, self.number(one.component))
            for one, original in zip(made, originals, strict=True)
        )

    def sure(self, found: list[Told]) -> list[Told]:
        return [one for one in found if one.original <= self.until]

    def windows(self, rng: Random) -> Iterable[tuple[int, int]]:
        """Around edges of instances, of those that were moved too, and anywhere."""
        edges = [edge for one in self.wanted for edge in (one.start, one.end, one.original)] or [self.until]
        for _ in range(4):
            start = rng.choice(edges) + rng.choice((0, 0, 0, 1, -1, 3600, -DAY, -30 * DAY))
            width = rng.choice((1, 1, 3600, DAY, 7 * DAY, 31 * DAY, 400 * DAY))
            yield (start, start + width) if rng.randrange(2) else (start - width, start)


def overlaps(one: Told, start: int, end: int) -> bool:
    """RFC 4791 9.9, VEVENT: start < DTEND AND end > DTSTART; without duration start <= DTSTART AND end > DTSTART."""
    return start < one.end and end > one.start if one.end > one.start else start <= one.start < end


def check_instances(seen: Seen) -> None:
    assert seen.sure(seen.told(None, seen.until)) == [
        one for one in seen.sure(seen.wanted) if one.start <= seen.until
    ], seen.case


def _complete(seen: Seen, end: int) -> bool:
    """Whether ``wanted`` surely holds all that overlaps a window which ends at ``end``: overrides move by 400 days."""
    moved = any(change.future for change in seen.case.values.changes)
    return end <= seen.until - (0 if not moved else 420 * DAY)


def check_windows(seen: Seen, rng: Random) -> None:
    told = digest(seen.calendar)
    for start, end in seen.windows(rng):
        if not _complete(seen, end):
            continue
        wanted = [one for one in seen.wanted if overlaps(one, start, end)]
        made = [one for one in seen.told(start, end) if overlaps(one, start, end)]
        assert made == wanted, (seen.case, start, end)
        matching = TimeRange(start, end, seen.zone, STEPS)
        assert any(matching.components(seen.calendar, "VEVENT")) is bool(wanted), (seen.case, start, end)
        bodies = parse(expanded(seen.case.text, start, end, seen.zone, most=10**6))
        assert sum(one.name == "VEVENT" for one in bodies.components) == len(wanted), (seen.case, start, end)
        if wanted:
            assert told.starts_at is None or told.starts_at <= end
            assert told.ends_at is None or told.ends_at >= start


def check_bounds(seen: Seen) -> None:
    """All instances lie within the bounds of the digest, whichever zone dates and floating times are seen in."""
    told = digest(seen.calendar)
    assert told.starts_at is not None
    assert told.starts_at <= min((one.start for one in seen.wanted), default=told.starts_at), seen.case
    last = max((max(one.start, one.end) for one in seen.wanted), default=told.starts_at)
    assert told.ends_at is None or told.ends_at >= last, seen.case
    endless = any("COUNT" not in text and until is None for text, until in seen.case.values.rules)
    assert told.ends_at is None or not endless, seen.case


def check_spans(seen: Seen, rng: Random) -> None:
    begin = seen.case.values.start.instant(seen.case.zone) - 40 * DAY
    horizon = (begin, begin + rng.choice((90, 420)) * DAY)
    blocking = rng.choice((Blocking(3), None))
    packed = digest(seen.calendar, horizon=horizon, blocking_of=lambda _: blocking).spans
    for start, end in seen.windows(rng):
        if not _complete(seen, end):
            continue
        there = [one for one in seen.wanted if overlaps(one, start, end)]
        assert is_within(packed, start, end, seen.zone) in (bool(there), None), (seen.case, horizon, start, end)
        spans = read_spans(packed, start, end, seen.zone)
        if spans is not None:
            made = sorted((one.start, one.end) for one in spans if one.start < end and one.end > start)
            wanted = [one for one in there if blocking and one.end > one.start]
            assert made == sorted((one.start, one.end) for one in wanted), (seen.case, horizon, start, end)


def check_dateutil(seen: Seen) -> None:
    """The set without its overrides, which dateutil knows nothing of, as local times."""
    values = seen.case.values._replace(changes=[])
    named = [*values.gone, *(one.start for one in values.extras)]
    if len(values.rules) != 1 or any(one.form != values.start.form for one in named):
        return
    (text, until), start, last = values.rules[0], values.start.wall, seen.case.last
    if until is not None or not fits(text, start, last):
        return
    made = rruleset()
    for at in by_dateutil(text, start, last):
        made.rdate(at)
    for extra in values.extras:
        made.rdate(extra.start.wall)
    for one in values.gone:
        made.exdate(one.wall)
    zone = values.start.zone(seen.case.zone)
    if any(wall_of(instant_of(at, zone), zone) != at for at in made):
        return  # an EXDATE may name the same instant by another local time, which dateutil cannot know
    told = definition.expand(values, seen.case.zone, last)
    rdates = {one.start.wall for one in values.extras}
    theirs = {instant_of(at, zone) for at in made if at <= last or at in rdates}
    assert theirs == {one.original for one in told}, seen.case


def check(case: Case, rng: Random) -> None:
    seen = Seen(case)
    check_instances(seen)
    check_windows(seen, rng)
    check_bounds(seen)
    check_spans(seen, rng)
    check_dateutil(seen)


@CHUNKS
def test_objects(first: int) -> None:
    for seed in range(first, first + CHUNK):
        rng = Random(seed)
        check(cases.case(rng), rng)


@settings(max_examples=60, deadline=None)
@given(RANDOMS)
def test_objects_made_up(rng: Random) -> None:
    check(cases.case(rng), rng)


# --- recurring-ical-events -------------------------------------------------------------------------------------------


def as_the_other(seen: Seen) -> bool:
    """Whether recurring-ical-events reads an object as RFC 5545 does."""
    values, zone, last = seen.case.values, seen.case.zone, seen.case.last
    dates = seen.case.form == "DATE"
    if len(values.rules) != 1:
        return False
    ((text, until),) = values.rules
    if Recur(text).frequency in ("HOURLY", "MINUTELY", "SECONDLY") or "BYHOUR" in text or "BYMINUTE" in text:
        return False
    if (until is not None and until.form == "DATE" and not dates) or not fits(text, values.start.wall, last):
        return False
    named = [*values.gone, *(one.start for one in values.extras), *(one.original for one in values.changes)]
    named += [one.start for one in values.changes]
    if any((one.form == "DATE") is not dates for one in named) or any(one.future for one in values.changes):
        return False
    made = {one.original for one in definition.expand(values._replace(changes=[]), zone, last)}
    return {one.original.instant(zone) for one in values.changes} <= made


def instant(value: date, floating: tzinfo) -> int:
    if not isinstance(value, datetime):
        return instant_of(datetime(value.year, value.month, value.day), floating)  # noqa: DTZ001 (local time)
    return round((value if value.tzinfo else value.replace(tzinfo=floating)).timestamp())


def check_the_other(case: Case) -> bool:
    """Compares starts, and where days have 24 hours ends too. Returns whether there was something to compare."""
    seen = Seen(case)
    if not as_the_other(seen):
        return False
    start, end = case.values.start.instant(case.zone) - 420 * DAY, seen.until - 420 * DAY
    between = datetime.fromtimestamp(start, UTC_TZ), datetime.fromtimestamp(end, UTC_TZ)
    found = recurring_ical_events.of(icalendar.Calendar.from_ical(case.text)).between(*between)
    theirs = sorted((instant(one.start, case.zone), instant(one.end, case.zone)) for one in found)
    # At the edges it asks a DATE by the day, whichever zone it is looked at in.
    theirs = [one for one in theirs if start + DAY < one[0] < end - DAY]
    ours = sorted((one.start, one.end) for one in seen.told(start, end) if start + DAY < one.start < end - DAY)
    if case.form in ("UTC", "Asia/Kathmandu"):
        assert theirs == ours, case
    else:  # it lets DTEND be a time on the wall
        assert [one[0] for one in theirs] == [one[0] for one in ours], case
    return True


@CHUNKS
def test_as_recurring_ical_events(first: int) -> None:
    compared = sum(check_the_other(cases.case(Random(seed))) for seed in range(first, first + CHUNK // 4))
    assert compared > 3
