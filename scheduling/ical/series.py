"""One master with its rules: the starts of its series, and the instances that no override replaces.

Owns RRULE, RDATE and EXDATE of one component (RFC 5545 3.8.5) and what RANGE=THISANDFUTURE (3.2.13) makes of the
instances after it. The overrides themselves are in ``recurrence``, which also says what is decided where RFC 5545
leaves a choice.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import merge
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.recur import Frequency, Rule, rule_of
from scheduling.ical.rrule import Budget, TooManyInstances, is_regular, last_of, starts
from scheduling.ical.timing import Instance, Timing, instance_of, lasting
from scheduling.ical.values import DAY, MAX_LOCAL, Duration, Form, Moment, Period, moments_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone, Zones

#: The longest that a period of a rule is.
_LENGTHS: Final = {
    Frequency.YEARLY: 366 * DAY,
    Frequency.MONTHLY: 31 * DAY,
    Frequency.WEEKLY: 7 * DAY,
    Frequency.DAILY: DAY,
}
#: No clocks change by more (RFC 5545 3.3.14).
_SHIFTS: Final = 2 * DAY
#: Up to so many starts the last one is looked for, where it takes making them all.
_FEW: Final = 60


def _longest(rule: Rule) -> int:
    """How much later the next start of a regular rule is, at the most, as local time."""
    if rule.frequency == Frequency.WEEKLY and rule.by_day:
        days = sorted((day - rule.week_start) % 7 for _, day in rule.by_day)
        return max(later - day for day, later in pairwise([*days, 7 * rule.interval + days[0]])) * DAY
    # A weekday of a month may come six days later in the next one.
    weekday_of_month = bool(rule.by_day) and rule.frequency <= Frequency.MONTHLY
    return rule.interval * _LENGTHS[rule.frequency] + (6 * DAY if weekday_of_month else 0)


def _earliest(zone: Zone, instant: int) -> int:
    """A local time before which nothing starts that is not before ``instant``."""
    return _local(zone, instant, to_spare=-DAY)


def _latest(zone: Zone, instant: int) -> int:
    """A local time after which nothing starts that is not after ``instant``."""
    return _local(zone, instant, to_spare=DAY)


def _local(zone: Zone, instant: int, *, to_spare: int) -> int:
    """The local time of an instant; local time runs as instants do, unless the clocks change within a day."""
    local = zone.to_local(instant)
    steady = zone.to_local(instant - DAY) + DAY == local == zone.to_local(instant + DAY) - DAY
    return local if steady else local + to_spare


def by_order(instance: Instance) -> int:
    """The key to sort instances by."""
    return instance.order


class Override(NamedTuple):
    """An override: where it stands in the series, and when it is."""

    component: Component
    original: Moment
    timing: Timing | None
    this_and_future: bool


class _Era(NamedTuple):
    """From which original start on (local time in the series), by what, how much later, and how long instances are."""

    since: int
    component: Component
    shift: int
    timing: Timing


class _Extra(NamedTuple):
    """An RDATE: its original start, and its own end where it is a PERIOD."""

    local: int
    instant: int
    end: Moment | Duration | None


class Series:
    """A master with its rules, and what the overrides leave of it."""

    def __init__(self, master: Component, timing: Timing, zones: Zones, overrides: list[Override]) -> None:
        self.master = master
        self.timing = timing
        self._zones = zones
        self._rules: list[Rule] = []
        self._extras: list[_Extra] = []
        # Original starts that are not to be made: by instant, and by local day.
        self._gone: set[int] = set()
        self._gone_days: set[int] = set()
        self.recurs = False
        self._read_lines()
        self._eras = [_Era(timing.local, master, 0, timing)]
        for override in overrides:
            self._leave_out(override.original)
            if override.this_and_future:
                self._begin_era(override)
        self._eras.sort(key=lambda era: era.since)
        gone, days = self._gone, self._gone_days
        self._extras = [one for one in self._extras if one.instant not in gone and one.local // DAY not in days]
        gone.update(one.instant for one in self._extras)

    def _read_lines(self) -> None:
        extras: dict[int, _Extra] = {}
        for line in self.master.properties:
            if line.name == "RRULE":
                if not line.value.strip():  # Calendar Labs writes empty ones
                    continue
                rule = rule_of(line)
                if rule is not None:
                    self._rules.append(rule)
            elif line.name == "EXDATE":
                for value in moments_of(line):
                    self._leave_out(value.start if isinstance(value, Period) else value)
            elif line.name == "RDATE":
                for value in moments_of(line):
                    whole = isinstance(value, Period)
                    local, instant = self.original(value.start if isinstance(value, Period) else value)
                    if instant not in extras or whole:
                        extras[instant] = _Extra(local, instant, value.end if isinstance(value, Period) else None)
            else:
                continue
            self.recurs = True
        self._extras = sorted(extras.values())

    def original(self, value: Moment) -> tuple[int, int]:
        """The start that a RECURRENCE-ID or an RDATE names: local time in the series, and instant."""
        timing = self.timing
        local = value.local
        if timing.form is Form.DATE:
            local = local // DAY * DAY
        elif value.form is Form.DATE:
            local += timing.local % DAY
        elif value.form is not Form.FLOATING:
            instant = self._zones.instant(value)
            return timing.zone.to_local(instant), instant
        return local, timing.zone.to_instant(local)

    def original_instance(self, value: Moment) -> Instance:
        """The instance that a RECURRENCE-ID names, as the master describes it."""
        local, instant = self.original(value)
        return instance_of(self.master, self.timing, local=local, instant=instant, rid=(local, instant))

    def _leave_out(self, value: Moment) -> None:
        if value.form is Form.DATE and self.timing.form is not Form.DATE:
            self._gone_days.add(value.local // DAY)
        else:
            self._gone.add(self.original(value)[1])

    def _begin_era(self, override: Override) -> None:
        timing = override.timing
        if timing is None or (timing.form is Form.DATE) is not (self.timing.form is Form.DATE):
            return
        since, _ = self.original(override.original)
        local = timing.local if timing.form is Form.DATE else self.timing.zone.to_local(timing.instant)
        moved = timing._replace(zone=self.timing.zone, form=self.timing.form)
        self._eras.append(_Era(since, override.component, local - since, moved))

    # --- making instances

    def near(self, start: int | None, end: int | None, budget: Budget) -> Iterator[Instance]:
        """The instances that overlap or touch ``start`` to ``end``, about in their order."""
        if not self.recurs and len(self._eras) == 1:
            timing = self.timing
            if timing.instant not in self._gone and timing.local // DAY not in self._gone_days:
                only = instance_of(self.master, timing, local=timing.local, instant=timing.instant, rid=None)
                if only.touches(start, end):
                    yield only
            return
        streams = [self._of_era(at, start, end, budget) for at in range(len(self._eras))]
        if self._extras:
            streams.append(iter(sorted(self._of_extras(start, end, budget), key=by_order)))
        yield from streams[0] if len(streams) == 1 else merge(*streams, key=by_order)

    def _of_era(self, at: int, start: int | None, end: int | None, budget: Budget) -> Iterator[Instance]:
        era = self._eras[at]
        timing, zone, shift, reach = era.timing, self.timing.zone, era.shift, era.timing.reach
        gone, days = self._gone, self._gone_days
        since = None if start is None else _earliest(zone, start - reach) - shift
        before = None if end is None else _latest(zone, end) - shift + 1
        if at:
            since = era.since if since is None else max(since, era.since)
        if at + 1 < len(self._eras):
            following = self._eras[at + 1].since
            before = following if before is None else min(before, following)
        made_already: set[int] = set()
        for rid_local in self._starts(since, before, budget):
            rid = zone.to_instant(rid_local)
            if rid in gone or rid in made_already or (days and rid_local // DAY in days):
                continue
            made_already.add(rid)  # 02:30 may be the same instant as 03:30 as the clocks change (RFC 5545 3.8.5.3)
            local = rid_local + shift
            instant = zone.to_instant(local) if shift else rid
            if (end is not None and instant > end) or (start is not None and instant + reach < start):
                continue  # the same as below, before anything is made
            made = instance_of(era.component, timing, local=local, instant=instant, rid=(rid_local, rid))
            if start is None or instant >= start or made.touches(start, end):
                yield made

    def _starts(self, since: int | None, before: int | None, budget: Budget) -> Iterator[int]:
        """The original starts that the rules make; without a rule DTSTART alone."""
        local = self.timing.local
        if not self._rules:
            if (since is None or local >= since) and (before is None or local < before):
                yield local
            return
        streams = [self._of_rule(rule, since, before, budget) for rule in self._rules]
        if len(streams) == 1:
            yield from streams[0]
            return
        newest = None
        for one in merge(*streams):
            if one != newest:
                yield one
            newest = one

    def _of_rule(self, rule: Rule, since: int | None, before: int | None, budget: Budget) -> Iterator[int]:
        local, dates = self.timing.local, self.timing.form is Form.DATE
        until = self._until(rule)
        made = starts(rule, local, dates=dates, since=since, before=before, until=until, budget=budget)
        value, zone = rule.until, self.timing.zone
        if value is None or value.form is not Form.UTC or dates or until == zone.to_local(value.local):
            return made
        # The clocks change around UNTIL: local times are not in the order of instants.
        return (one for one in made if one == local or zone.to_instant(one) <= value.local)

    def _until(self, rule: Rule) -> int | None:
        """A local time in the series after which the UNTIL of the rule allows no start; mostly UNTIL itself."""
        value = rule.until
        if value is None:
            return None
        if self.timing.form is Form.DATE:
            return value.local // DAY * DAY
        if value.form is Form.DATE:
            return value.local + DAY - 1
        return _latest(self.timing.zone, value.local) if value.form is Form.UTC else value.local

    def _of_extras(self, start: int | None, end: int | None, budget: Budget) -> Iterator[Instance]:
        """The instances of RDATE."""
        sinces = [era.since for era in self._eras]
        for extra in self._extras:
            budget.spend()
            era = self._eras[max(0, bisect_right(sinces, extra.local) - 1)]
            local = extra.local + era.shift
            instant = self.timing.zone.to_instant(local) if era.shift else extra.instant
            rid = (extra.local, extra.instant)
            made = instance_of(era.component, era.timing, local=local, instant=instant, rid=rid)
            if extra.end is not None:
                end_local, end_instant = self._end_of(extra, local, instant)
                made = made._replace(end=end_instant, end_local=end_local)
            if made.touches(start, end):
                yield made

    def _end_of(self, extra: _Extra, local: int, instant: int) -> tuple[int, int]:
        """The end of a PERIOD whose start is now ``local`` and ``instant``: local time, and instant."""
        timing, end = self.timing, extra.end
        if isinstance(end, Duration):
            return lasting(end, timing.form, timing.zone, local, instant)
        if end is None:
            return local, instant
        moved = max(instant, self._zones.instant(end) + instant - extra.instant)
        return timing.zone.to_local(moved), moved

    # --- numbers and bounds

    @property
    def endless(self) -> bool:
        """It has a rule without COUNT and UNTIL."""
        return any(rule.infinite for rule in self._rules)

    @property
    def most(self) -> int | None:
        """A number of starts that it surely does not exceed; None where none is plain to see."""
        counts = [rule.count for rule in self._rules]
        return None if None in counts else sum(count or 0 for count in counts) + len(self._extras) + 1

    def starts(self, budget: Budget) -> Iterator[int]:
        """All original starts, also those that EXDATE takes away and overrides replace: first those of the rules."""
        yield from self._starts(None, None, budget)
        yield from (one.local for one in self._extras)

    def rhythm(self) -> tuple[int, int] | None:
        """From which instant on, and after how many seconds at the latest, there always is another instance.

        None where it does not go on for ever, or that is not plain to see.
        """
        timing = self.timing
        endless = [rule for rule in self._rules if rule.infinite and rule.frequency <= Frequency.DAILY]
        steady = [rule for rule in endless if is_regular(rule, timing.local // DAY) and not rule.by_set_pos]
        if not steady or len(self._eras) > 1 or not timing.has_start:
            return None
        gap = min(map(_longest, steady)) + _SHIFTS
        gone = max(self._gone, default=timing.instant), (max(self._gone_days, default=0) + 1) * DAY
        since = max(timing.instant, *gone) + gap + _SHIFTS
        return (since, gap) if since + gap < MAX_LOCAL else None

    def extent(self, budget: Budget) -> tuple[int, int | None]:
        """See ``RecurrenceSet.extent``; the overrides are not in it."""
        timing, zone = self.timing, self.timing.zone
        if not self.recurs and len(self._eras) == 1:
            instant = timing.instant
            _, end = timing.end(timing.local, instant)
            return instant, instant if end is None else max(end, instant)
        shifts = [era.shift for era in self._eras]
        locals_ = [timing.local, *(one.local for one in self._extras)]
        first = zone.to_instant(min(locals_) + min(shifts)) - DAY
        last = max(locals_)
        for rule in self._rules:
            ended = self._last_start(rule, budget)
            if ended is None:
                return first, None
            last = max(last, ended)
        reach = max(era.timing.reach for era in self._eras)
        ends = [zone.to_instant(last + max(shifts)) + reach]
        ends += [self._end_of(one, one.local, one.instant)[1] + max(shifts) for one in self._extras]
        return first, max(ends) + DAY

    def _last_start(self, rule: Rule, budget: Budget) -> int | None:
        """A local time after which ``rule`` has no start; None where it goes on, or nobody knows."""
        until = self._until(rule)
        if rule.count is None or until is not None:
            return until
        local, dates = self.timing.local, self.timing.form is Form.DATE
        try:
            last = last_of(rule, local, dates=dates, budget=budget)
            if last is None and rule.count <= _FEW:
                last = max(starts(rule, local, dates=dates, budget=budget))
        except TooManyInstances:
            return None
        return last
