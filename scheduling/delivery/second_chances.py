"""A room that a shortened series gives free is asked again for the rest of it.

A client that changes a series from one instance on makes another meeting of the rest. Where it stores the rest before
it shortens the series, the room is still taken by the series and declines. When the series is shortened, the room gets
the request for the rest once more, in the same transaction, and the organizer's copy of it gets the answer.

That is all: only what the same organizer has asked for within ``RECENT``, and what begins where the series ends now.
Otherwise a room that is given free is free for whoever comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection as Members, Mapping
from dataclasses import replace
from typing import Final

from scheduling import itip
from scheduling.addresses import normal
from scheduling.delivery.deliveries import Delivery
from scheduling.delivery.people import Person
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.timezones import UTC
from scheduling.ical.values import DAY
from scheduling.itip.snapshot import Snapshot, read
from scheduling.rooms.bookings import ANSWERING
from scheduling.rooms.rules import DECLINED, slots_of
from storage.rows import CollectionKind, ObjectRow, Principal
from storage.store import Transaction

REASON: Final = "The series before it has given the room free."
#: Seconds since the room was asked.
RECENT: Final = 600
#: Meetings that are asked for again at once.
_MOST: Final = 3
_COLUMNS: Final = frozenset({"uid", "organizer", "modified", "starts_at"})
_EVER: Final = 1 << 40


def given(run: Delivery, another: Callable[[], Delivery], person: Person, before: ObjectRow, after: bytes) -> None:
    """Asks again for the rest where ``person`` has shortened the series ``before`` to ``after``; ``run`` has delivered.

    ``another`` makes a delivery for another meeting. Two statements where a series with rooms was shortened, else none.

    Raises:
        NeedHomes: more homes have to be locked.
    """
    old, new = read(before.body), read(after)
    if old is None or new is None or new.kind != "VEVENT" or not old.recurs:
        return
    found = run.copies.principals(new.addresses)
    rooms = {address: one for address, one in found.items() if one.kind in ANSWERING}
    if not rooms:
        return
    try:
        was, ends = _end(old), _end(new)
    except TooManyInstances:
        return
    if ends is None or (was is not None and was <= ends):
        return
    waiting = _waiting(run.tx, rooms.values(), person.actor.addresses, start=ends, end=was)
    for uid in [one for one in waiting if one != old.uid][:_MOST]:
        _ask_again(another(), person, rooms, uid)


def _end(snapshot: Snapshot) -> int | None:
    """When the last instance ends; None where there is no end."""
    _, bound = snapshot.recurrence.extent(Budget())
    return None if bound is None else max((slot.end for slot in slots_of(snapshot, UTC, None, bound)), default=None)


def _waiting(
    tx: Transaction, rooms: Members[Principal], organizer: Members[str], *, start: int, end: int | None
) -> list[str]:
    """The UIDs of what the organizer has asked these rooms for lately and that begins between two instants."""
    homes = {room.home_id for room in rooms}
    calendars = [one.id for _, one, _ in tx.collections.of_homes(homes, kinds=(CollectionKind.CALENDAR,))]
    if not calendars:
        return []
    rows = tx.objects.scan({"VEVENT": calendars}, columns=_COLUMNS, start=start, end=_EVER if end is None else end)
    return list(
        dict.fromkeys(
            row.uid
            for row in rows
            if row.starts_at is not None
            and row.starts_at >= start - DAY  # its alarms may come before
            and row.modified >= tx.now - RECENT
            and normal(row.organizer) in organizer
        )
    )


def _ask_again(run: Delivery, person: Person, rooms: Mapping[str, Principal], uid: str) -> None:
    run.copies.load([person], uid)
    copy = run.copies.of(person)
    text = copy.text
    snapshot = None if text is None else read(text)
    if text is None or snapshot is None or itip.role(text, person.actor) != "organizer":
        return
    declined = {one for one in rooms if any(part.answer(one) == DECLINED for part in snapshot.parts.values())}
    requests = itip.refresh(text, person.actor, to=declined, now=run.now) if declined else ()
    run.deliver(copy, [replace(one, forced=True) for one in requests], before=text)
    if copy.text is not None and copy.text != text:
        others = snapshot.addresses - declined
        told = itip.announced(text, copy.text, person.actor, to=others, now=run.now)
        run.deliver(copy, [replace(one, quiet=True) for one in told], before=text)
    run.finish()
