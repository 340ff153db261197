"""What an update does to a copy, and whether that is news to its owner.

Owns the rules of RFC 6638 3.2.10 for an attendee's copy: the Schedule-Tag changes unless an update "only specifies
changes in the participation status" of other attendees. How the update is written is in ``merging``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from scheduling.itip.comparing import PARTSTAT, content
from scheduling.itip.copying import derived, parsed
from scheduling.itip.merging import Merge
from scheduling.itip.revision import sequence_of
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import read
from scheduling.itip.unseen import says_as_series

if TYPE_CHECKING:
    from collections.abc import Hashable, Set as AbstractSet

    from scheduling.itip.snapshot import Rid, Snapshot


def merged(
    stored: Snapshot,
    update: Snapshot,
    me: AbstractSet[str],
    *,
    in_order: bool,
    outdated: AbstractSet[Rid] = frozenset(),
) -> tuple[bytes, bool]:
    """The text of ``stored``, the copy of the attendee with the addresses ``me``, after ``update`` (see ``merging``).

    Also whether the change is consequential: more than what other attendees have answered.
    """
    # The copies of those who changed nothing are one text: it is merged once for all of them.
    if in_order and not outdated and stored.kind != "VTODO" and not _left_out(stored, update):
        change = _change_for_all(stored, update)
    else:
        change = _change(stored, update, me, in_order=in_order, outdated=outdated)
    if not change.touches and not change.answered & me:
        return change.text, False
    if change.news:
        return change.text, True
    after = read(change.text)
    assert after is not None
    rids = stored.parts.keys() | after.parts.keys()
    return change.text, any(answer(stored, rid, one) != answer(after, rid, one) for rid in rids for one in me)


def _left_out(stored: Snapshot, update: Snapshot) -> bool:
    """Whether there may be instances that the attendee took out of their copy."""
    return bool(stored.exdates - update.exdates or stored.exdates & update.overrides.keys())


class _Change(NamedTuple):
    """A merged text; how much it changed besides answers, whose answers, and whether that is news to anybody."""

    text: bytes
    touches: int
    answered: frozenset[str]
    news: bool


def _change(
    stored: Snapshot, update: Snapshot, me: AbstractSet[str], *, in_order: bool, outdated: AbstractSet[Rid]
) -> _Change:
    work = Merge(stored, update, me, in_order=in_order, outdated=outdated)
    text = work.text()
    answered = frozenset(work.answered)
    if not work.touches or text == stored.source:
        return _Change(text, 0, answered, news=False)
    unseen = outdated | work.declined
    news = any(_is_newer(stored, update, rid) for rid in update.parts if rid not in unseen)
    if not news:
        after = read(text)
        assert after is not None
        news = is_consequential(stored, after)
    return _Change(text, work.touches, answered, news)


@lru_cache(maxsize=8)
def _change_for_all(stored: Snapshot, update: Snapshot) -> _Change:
    """What an update changes where nothing depends on whose copy it is."""
    return _change(stored, update, frozenset(), in_order=True, outdated=frozenset())


def is_consequential(before: Snapshot, after: Snapshot) -> bool:
    """Whether ``after`` says more than ``before`` than what attendees have answered (RFC 6638 3.2.10)."""
    if before.exdates != after.exdates:
        return True
    return any(_differs(before, after, rid) for rid in before.parts.keys() | after.parts.keys())


def _differs(before: Snapshot, after: Snapshot, rid: Rid) -> bool:
    if _is_newer(before, after, rid) or _is_newer(after, before, rid):
        return True
    old, new = _said(before, rid), _said(after, rid)
    return old is None or new is None or old != new


def _is_newer(one: Snapshot, other: Snapshot, rid: Rid) -> bool:
    """Whether ``other`` has a later revision of an instance than ``one``."""
    if sequence_of(one, rid) >= sequence_of(other, rid):
        return False
    return _revision(one, rid) < _revision(other, rid)


def _revision(snapshot: Snapshot, rid: Rid) -> int:
    """SEQUENCE; that of the series, too, for an override that holds only answers, or its owner's things."""
    own, master = sequence_of(snapshot, rid), snapshot.master
    if rid is None or master is None or rid not in snapshot.parts or not says_as_series(snapshot, rid):
        return own
    return max(own, master.sequence)


def _said(snapshot: Snapshot, rid: Rid) -> frozenset[Hashable] | None:
    """What ``snapshot`` says of an instance, by a component of its own or by the series."""
    part = snapshot.parts.get(rid)
    if part is not None:
        return content(snapshot.source, part.component, without=PARTSTAT)
    lines = None if rid is None else derived(snapshot, rid)
    return None if lines is None else content(*parsed(lines), without=PARTSTAT)
