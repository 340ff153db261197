"""How many instances an object may make (RFC 4791 5.2.8, ``max-instances``).

The other bounds of RFC 4791 5.2 are in ``validate``: they are about values that are written, this one is about what a
rule makes of them.

A recurrence without end is taken, as every server takes it: a birthday has no end, and what is asked of it later has a
budget (``rrule``). One with an end, by COUNT or UNTIL, must not make more instances than the limit; where finding that
out costs more than the limit is worth, it is refused as well, since it asked for more than it may have or for a search
that nobody should have to repeat.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from scheduling.ical.recurrence import recurrence_sets
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.timezones import UTC

if TYPE_CHECKING:
    from scheduling.ical.lines import Component
    from scheduling.ical.series import Series

#: How many steps may be taken for each instance that is allowed.
_STEPS_EACH = 2
#: And how many at the least, so that rules which seldom match are not refused under a small limit.
_LEAST_STEPS = 20_000


def check_instances(calendar: Component, kind: str, limit: int) -> None:
    """See that no series of components named ``kind`` has more than ``limit`` instances. Raises TooManyInstances.

    Starts are counted as the rules make them: those that EXDATE takes away and overrides replace count too.
    """
    for one in recurrence_sets(calendar, UTC, (kind,)):
        for series in one.series:
            if not series.endless and _exceeds(series, limit):
                raise TooManyInstances(series.master.line)


def _exceeds(series: Series, limit: int) -> bool:
    if series.most is not None and series.most <= limit:
        return False
    budget = Budget(max(_LEAST_STEPS, (limit + 1) * _STEPS_EACH))
    try:
        return sum(1 for _ in islice(series.starts(budget), limit + 1)) > limit
    except TooManyInstances:
        return True
