"""Whose time may be asked: the people and rooms of a question about a time, and what the asker may know of them.

Owns the privileges of RFC 6638 section 6.1 for finding a time: of whom free/busy may be asked (6.1.4), and which rooms
take an invitation (6.1.2) and when. Statements do not grow with the number of people.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from scheduling.delivery.deliverable import Right, may_deliver
from scheduling.finding.guests import Guests, looked_up
from scheduling.finding.slots import NotAWish, Place
from scheduling.freebusy.diaries import Diary, FreeBusy
from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.rooms.bookings import ANSWERING, Defaults
from scheduling.rooms.rules import Rules
from storage.rows import Booking, BookingPolicy, Principal, PrincipalKind
from storage.store import Transaction

#: Rooms that are looked at where any would do.
MOST_ROOMS: Final = 100
_NOT_TOLD: Final = "You may not ask when they are busy."


@dataclass(frozen=True, slots=True)
class RoomOffer:
    """A room that could be taken, what it offers, and the rules by which it answers."""

    diary: Diary
    rules: Rules
    booking: Booking

    @property
    def place(self) -> Place:
        """Where it is: without words of its own, by its name."""
        said = self.booking
        position = None
        if said.latitude is not None and said.longitude is not None:
            position = (said.latitude, said.longitude)
        return Place(said.place or name_of(self.diary.principal), position)

    def closed(self, now: int, start: int, end: int) -> list[BusyPeriod]:
        """When it takes no booking that is made now, between two instants: too soon, or too far ahead."""
        soon, late = now + self.rules.notice, now + self.rules.window
        periods = (BusyPeriod(start, min(soon, end), Busy.BUSY), BusyPeriod(max(late, start), end, Busy.BUSY))
        return [one for one in periods if one.start < one.end]


@dataclass(frozen=True, slots=True)
class Askable:
    """Those whose time may be asked; ``unknown`` says of each of the others, by address, why nothing is known."""

    required: Sequence[Diary]
    optional: Sequence[Diary]
    rooms: Sequence[RoomOffer]
    unknown: dict[str, str]

    @property
    def people(self) -> Sequence[Diary]:
        """All who are to come."""
        return (*self.required, *self.optional)


def askable(
    tx: Transaction,
    freebusy: FreeBusy,
    guests: Guests,
    rooms: Sequence[str] | None,
    *,
    asker: Principal | None,
    defaults: Defaults,
    epoch: str,
) -> Askable:
    """Those of ``guests``, and of ``rooms`` (None: none; empty: all that there are), whose time ``asker`` may ask.

    ``asker`` None may ask everybody's. Raises ``NotAWish`` for a room that is named and cannot be had.
    """
    wanted = _rooms(tx, rooms)
    people = (*guests.required.values(), *guests.optional.values())
    diaries = freebusy.diaries(tx, (*people, *wanted), epoch=epoch)
    allowed = _allowed(tx, asker, diaries.values(), Right.FREEBUSY)
    unknown = dict(guests.unknown)
    unknown |= {address_of(one): _NOT_TOLD for one in people if one.id not in allowed}
    return Askable(
        [diaries[id_] for id_ in guests.required if id_ in allowed],
        [diaries[id_] for id_ in guests.optional if id_ in allowed],
        _offers(tx, [diaries[one.id] for one in wanted], allowed, asker, defaults, named=bool(rooms)),
        unknown,
    )


def _rooms(tx: Transaction, rooms: Sequence[str] | None) -> list[Principal]:
    if rooms is None:
        return []
    if not rooms:
        everything = tx.principals.search(
            text="", fields=["name"], match="contains", kinds=[PrincipalKind.ROOM], limit=MOST_ROOMS
        )
        return list(everything)
    if len(rooms) > MOST_ROOMS:
        raise NotAWish("rooms", f"These are too many rooms: ask for {MOST_ROOMS} at most, or for any that fits.")
    found = looked_up(tx, rooms)
    for text in rooms:
        if text not in found or found[text].kind not in ANSWERING:
            raise NotAWish("rooms", f"There is no room {text[:200]!r} here.")
    return list({one.id: one for one in found.values()}.values())


def _offers(
    tx: Transaction,
    diaries: Sequence[Diary],
    allowed: Collection[int],
    asker: Principal | None,
    defaults: Defaults,
    *,
    named: bool,
) -> list[RoomOffer]:
    """The rooms that would take an invitation of the asker's."""
    if not diaries:
        return []
    invited = _allowed(tx, asker, diaries, Right.INVITE)
    said = tx.bookings.of([one.principal.id for one in diaries])
    offers = []
    for diary in diaries:
        id_ = diary.principal.id
        rules = defaults.rules(said.get(id_))
        if id_ in allowed and id_ in invited and rules.policy is not BookingPolicy.DECLINE:
            offers.append(RoomOffer(diary, rules, said.get(id_) or Booking(principal_id=id_)))
        elif named:
            raise NotAWish("rooms", f"You cannot book {name_of(diary.principal)}.")
    return offers


def _allowed(tx: Transaction, asker: Principal | None, of: Collection[Diary], right: Right) -> Collection[int]:
    principals = [one.principal for one in of]
    if asker is None:
        return {one.id for one in principals}
    chains = {one.principal.id: (one.root, one.inbox) for one in of if one.root is not None and one.inbox is not None}
    return may_deliver(tx, asker, principals, right, chains=chains)


def name_of(principal: Principal) -> str:
    """What people call somebody, or a room."""
    return principal.displayname or principal.name


def address_of(principal: Principal) -> str:
    """The calendar user address to invite somebody by: the preferred one, or the path of the principal."""
    preferred = sorted(principal.addresses, key=lambda one: not one.preferred)
    return preferred[0].uri if preferred else f"/principals/{principal.name}/"
