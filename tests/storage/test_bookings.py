"""How rooms answer and what they offer: kept whole, read for many rooms in one statement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.errors import UnstorableText
from storage.rows import Beyond, Booking, BookingPolicy, PrincipalKind
from storage.store import Transaction
from tests.storage.conftest import House


def room(house: House, name: str) -> int:
    return house.write(lambda tx: tx.principals.add(name=name, kind=PrincipalKind.ROOM)).id


def test_all_of_it_comes_back(house: House) -> None:
    whole = Booking(
        principal_id=room(house, "blue"),
        policy=BookingPolicy.DELEGATE,
        beyond=Beyond.CUT,
        window_days=180,
        capacity=12,
        equipment=("screen", "phone  for\nconferences"),
        place="Haus 2, Ärztezimmer",
        latitude=-33.856784,
        longitude=151.215297,
        delegate_id=house.principal_id,
    )
    house.write(lambda tx: tx.bookings.set(whole))
    kept = replace(whole, equipment=("screen", "phone for conferences"))
    assert house.read(lambda tx: tx.bookings.of([whole.principal_id])) == {whole.principal_id: kept}
    # Set again, also with the very same values, it is replaced and not doubled.
    for again in (kept, Booking(principal_id=whole.principal_id), Booking(principal_id=whole.principal_id)):
        house.write(lambda tx, again=again: tx.bookings.set(again))  # type: ignore[misc]
        assert house.read(lambda tx: tx.bookings.of([whole.principal_id]))[whole.principal_id] == again


def test_a_room_of_which_nothing_was_set_is_not_there(house: House) -> None:
    blue, red = room(house, "blue"), room(house, "red")
    house.write(lambda tx: tx.bookings.set(Booking(principal_id=blue, capacity=0)))
    assert house.read(lambda tx: dict(tx.bookings.of([red, blue, red, 999]))) == {
        blue: Booking(principal_id=blue, capacity=0)
    }
    assert house.read(lambda tx: dict(tx.bookings.of([]))) == {}


def test_it_goes_with_the_room_and_outlives_the_delegate(house: House) -> None:
    blue, keeper = room(house, "blue"), room(house, "keeper")
    said = Booking(principal_id=blue, policy=BookingPolicy.DELEGATE, delegate_id=keeper)
    house.write(lambda tx: tx.bookings.set(said))

    def remove(tx: Transaction, name: str) -> None:
        found = tx.principals.by_name(name)
        assert found is not None
        tx.homes.lock([found.home_id])
        tx.principals.remove(found.id)

    house.write(lambda tx: remove(tx, "keeper"))
    assert house.read(lambda tx: tx.bookings.of([blue]))[blue] == replace(said, delegate_id=None)
    house.write(lambda tx: remove(tx, "blue"))
    assert not house.read(lambda tx: tx.bookings.of([blue]))


def test_what_no_database_keeps_is_refused(house: House) -> None:
    blue = room(house, "blue")
    with pytest.raises(UnstorableText):
        house.write(lambda tx: tx.bookings.set(Booking(principal_id=blue, place="a\0b")))
