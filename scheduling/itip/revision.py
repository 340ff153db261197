"""What a change by the organizer does to answers and revisions: PARTSTAT starts again, SEQUENCE grows.

Owns RFC 6638 3.2.8 (participation status after a reschedule), 3.2.5 and RFC 5546 2.1.4 (SEQUENCE).

Decisions where the RFCs leave a choice:

- A time is compared by the instants it means, not by how it is written: DTEND and DURATION, one zone by two names.
- A rule that makes fewer instances is no reschedule; whether there are new ones is looked up in the first
  ``COMPARED`` instances and in the ends of both series. What costs too much to find out counts as rescheduled.
- An instance that was cancelled by STATUS and takes place after all is reinstated, as by a removed EXDATE.
- A raised SEQUENCE is one above the highest in the object, so that all components keep one order; a client that raised
  it by itself is left alone.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.values import DAY, Form
from scheduling.itip.comparing import line_key
from scheduling.itip.ownership import REVISING
from scheduling.itip.snapshot import STEPS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Set as AbstractSet

    from scheduling.ical.timing import Instance, Timing
    from scheduling.itip.snapshot import Part, Rid, Snapshot

#: So many instances of two series are compared one by one.
COMPARED: Final = 1_000
_SAMPLES: Final = tuple(days * DAY for days in range(0, 800, 40))


def rescheduled(before: Snapshot, after: Snapshot) -> set[Rid]:
    """The components of ``after`` in which an instance is new, or at another time than in ``before`` (3.2.8)."""
    found: set[Rid] = set()
    for rid in after.parts:
        if rid is None:
            if before.master is not None and _series_rescheduled(before, after):
                found.add(None)
        elif _moved(before, after, rid) or _takes_place_again(before, after, rid):
            found.add(rid)
    if after.master is not None and any(_takes_place_again(before, after, rid) for rid in _dropped(before, after)):
        found.add(None)
    return found


def _takes_place_again(before: Snapshot, after: Snapshot, rid: int) -> bool:
    """Whether an instance that was cancelled by STATUS is not so any more: it is reinstated, as by EXDATE (3.2.8)."""
    old, new = before.parts.get(rid), after.describing(rid)
    return old is not None and old.cancelled and new is not None and not new.cancelled and after.has_instance(rid)


def _dropped(before: Snapshot, after: Snapshot) -> AbstractSet[int]:
    return before.overrides.keys() - after.overrides.keys() - after.exdates


def revised(before: Snapshot, after: Snapshot) -> set[Rid]:
    """The components of ``after`` whose SEQUENCE must be higher than before (RFC 5546 2.1.4)."""
    found: set[Rid] = set()
    for rid, part in after.parts.items():
        old = before.parts.get(rid)
        if old is not None:
            if _revising(old) != _revising(part) or not same_time(before, after, rid):
                found.add(rid)
        elif rid is not None and (_moved(before, after, rid) or _status(part) != _status(before.master)):
            found.add(rid)
    if before.overrides.keys() - after.overrides.keys() and after.master is not None:
        found.add(None)
    return found


def _revising(part: Part) -> frozenset[Hashable]:
    return frozenset(line_key(line) for line in part.component.properties if line.name in REVISING)


def _status(part: Part | None) -> str:
    line = None if part is None else part.component.first("STATUS")
    return "" if line is None else line.value.strip().upper()


def _moved(before: Snapshot, after: Snapshot, rid: int) -> bool:
    """Whether the instance ``rid`` is at another time in ``after`` than it was, or was not there."""
    instance = before.instance(rid)
    new = after.instance(rid)
    if instance is None or new is None:
        return True
    return (instance.all_day, instance.start, instance.end) != (new.all_day, new.start, new.end)


def _series_rescheduled(before: Snapshot, after: Snapshot) -> bool:
    assert before.master is not None
    assert after.master is not None
    if not _same_master_time(before, after):  # also by a time zone that means something else now
        return True
    if _revising(before.master) == _revising(after.master):
        return False
    try:
        return _has_new_instances(before, after)
    except TooManyInstances:
        return True


def _same_master_time(one: Snapshot, other: Snapshot) -> bool:
    assert one.master is not None
    assert other.master is not None
    zoned = one.recurs and other.recurs
    return _when(one, one.master, zoned=zoned) == _when(other, other.master, zoned=zoned)


def _when(snapshot: Snapshot, part: Part, *, zoned: bool) -> Hashable:
    """When a master is: its start, how long it lasts, and, where it recurs, how its zone counts."""
    timing = snapshot.timing(part)
    if timing is None:
        return None
    local_end, end = timing.end(timing.local, timing.instant) if timing.has_start else (None, None)
    length = (local_end if timing.form is Form.DATE or timing.form is Form.FLOATING else end, timing.has_start)
    form = timing.form if timing.form in (Form.DATE, Form.FLOATING) else None
    return form, timing.instant, length, _zone_of(timing) if zoned else None


def _zone_of(timing: Timing) -> Hashable:
    return tuple(timing.zone.to_local(timing.instant + later) - timing.instant for later in _SAMPLES)


def _has_new_instances(before: Snapshot, after: Snapshot) -> bool:
    if new_instances(before, after):
        return True
    budget = Budget(STEPS)
    if sum(1 for _ in islice(after.recurrence.near(None, None, budget), COMPARED + 1)) <= COMPARED:
        return False
    _, old_end = before.recurrence.extent(budget)
    _, new_end = after.recurrence.extent(budget)
    return old_end is not None and (new_end is None or new_end > old_end)


def new_instances(before: Snapshot, after: Snapshot) -> frozenset[int]:
    """The instances among the first ``COMPARED`` of ``after`` that ``before`` has not. Raises TooManyInstances."""
    budget = Budget(STEPS)
    rids = _rids(islice(after.recurrence.near(None, None, budget), COMPARED)) - before.overrides.keys()
    if not rids:
        return frozenset()
    known: set[int] = set()
    for series in before.recurrence.series:
        known |= _rids(series.near(min(rids) - 1, max(rids) + 1, budget))
    return frozenset(rids - known)


def _rids(found: Iterable[Instance]) -> set[int]:
    """Which instances they are; what does not recur is one by its start."""
    rids = (one.start if one.recurrence_id is None else one.recurrence_id for one in found)
    return {rid for rid in rids if rid is not None}


def same_time(one: Snapshot, other: Snapshot, rid: Rid) -> bool:
    """Whether an instance, or with None the master, is at the same time in both."""
    if rid is not None:
        return not _moved(one, other, rid)
    if one.master is None or other.master is None:
        return one.master is other.master
    return _same_master_time(one, other)


def sequence_of(snapshot: Snapshot, rid: Rid) -> int:
    """The SEQUENCE that counts for an instance."""
    part = snapshot.describing(rid)
    return snapshot.sequence if part is None else part.sequence
