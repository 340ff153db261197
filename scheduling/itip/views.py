"""What each attendee may know of a meeting: the instances that name them, and no others.

Owns RFC 6638 3.2.6 (restrict recurrence instances sent to attendees) and the reading of the table in 3.2.1.2: attendees
whose SCHEDULE-AGENT is not SERVER, and instances that are cancelled, count as absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Set as AbstractSet

    from scheduling.itip.snapshot import Rid, Snapshot


#: So many instances are cancelled one by one.
MOST_CANCELS: Final = 100


class View(NamedTuple):
    """The components that somebody is shown, and the instances of the series that they are not shown."""

    rids: tuple[Rid, ...]
    hidden: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """The series, or what does not recur, is in it."""
        return None in self.rids


def views(snapshot: Snapshot, *, leave_out: AbstractSet[str]) -> dict[str, View]:
    """The view of every attendee to whom the server sends, by address, in the order in which they are first named.

    ``leave_out`` are the organizer's own addresses.
    """
    shown: dict[str, list[Rid]] = {}
    master = snapshot.master
    if master is None or not master.cancelled:
        for rid, part in snapshot.parts.items():
            if part.cancelled:
                continue
            for address, party in part.by_address.items():
                if address not in leave_out and party.agent == "SERVER":
                    shown.setdefault(address, []).append(rid)
    overrides = [rid for rid in snapshot.parts if rid is not None]
    made: dict[tuple[Rid, ...], View] = {}
    out: dict[str, View] = {}
    for address, rids in shown.items():
        key = tuple(rids)
        view = made.get(key)
        if view is None:
            known = set(key)
            hidden = tuple(rid for rid in overrides if rid not in known) if None in known else ()
            view = made[key] = View(key, hidden)
        out[address] = view
    return out


def expanded_groups(snapshot: Snapshot) -> frozenset[str]:
    """The groups whose members are attendees themselves (RFC 5545 3.2.11): they get no message of their own."""
    return frozenset(
        group for part in snapshot.parts.values() for party in part.attendees for group in party.addresses("MEMBER")
    )


class Said(NamedTuple):
    """What a view says: of each component, which instances are out of the series, and the revision of each."""

    contents: dict[Rid, frozenset[Hashable]]
    exdates: frozenset[int]
    sequences: dict[Rid, int]


def said(snapshot: Snapshot, view: View) -> Said:
    """What ``view`` of ``snapshot`` says."""
    exdates = snapshot.exdates | frozenset(view.hidden) if view.whole else frozenset()
    return Said(
        {rid: snapshot.content(snapshot.parts[rid]) for rid in view.rids},
        frozenset(exdates) - frozenset(rid for rid in view.rids if rid is not None),
        {rid: snapshot.parts[rid].sequence for rid in view.rids},
    )


def without(one: Said, gone: Iterable[int]) -> Said:
    """What is left of ``one`` when the instances ``gone`` have been cancelled."""
    out = frozenset(gone)
    return Said(
        {rid: content for rid, content in one.contents.items() if rid not in out},
        one.exdates | out if None in one.contents else one.exdates,
        {rid: number for rid, number in one.sequences.items() if rid not in out},
    )


def gone_for(before: Snapshot, old: View, after: Snapshot | None, new: View | None) -> list[Rid]:
    """The instances that somebody had and has no more; [None] where all are gone, or the series is."""
    if after is None or new is None:
        return [None] if old.whole else list(old.rids)
    if not old.whole:
        return [] if new.whole else [rid for rid in old.rids if rid not in set(new.rids)]
    if not new.whole:
        return [None]
    out = sorted((after.exdates | set(new.hidden)) - (before.exdates | set(old.hidden)))
    if len(out) > MOST_CANCELS:
        return []
    return [rid for rid in out if before.has_instance(rid)]
