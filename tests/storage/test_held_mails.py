"""Mails that were not believed: kept once, looked at, dropped; never more than so many, never for ever."""

from __future__ import annotations

from storage.rows import HeldMail
from storage.store import Transaction
from tests.storage.conftest import House

DAY = 86_400


def hold(
    house: House, body: bytes = b"From: a\r\n\r\n\xff", *, recipient: str = "anna@here.example", most: int = 100
) -> int:
    def work(tx: Transaction) -> int:
        return tx.held_mails.add(sender="x@else.example", recipient=recipient, reason="why", body=body, most=most)

    return house.write(work)


def listed(house: House) -> list[HeldMail]:
    return list(house.read(lambda tx: tx.held_mails.page(limit=100)))


def test_all_of_it_comes_back(house: House) -> None:
    key = hold(house)
    whole = HeldMail(key, house.clock.now, "x@else.example", "anna@here.example", "why", b"From: a\r\n\r\n\xff")
    assert house.read(lambda tx: tx.held_mails.get(key)) == whole
    assert [(one.id, one.body) for one in listed(house)] == [(key, b"")]
    assert house.write(lambda tx: tx.held_mails.remove(key))
    assert not house.write(lambda tx: tx.held_mails.remove(key))
    assert house.read(lambda tx: tx.held_mails.get(key)) is None


def test_the_same_mail_is_kept_once(house: House) -> None:
    key = hold(house)
    house.clock.forward(3 * DAY)
    assert hold(house) == key
    assert hold(house, recipient="bert@here.example") != key
    assert hold(house, b"another") != key
    assert len(listed(house)) == 3


def test_of_more_than_so_many_the_oldest_go(house: House) -> None:
    keys = [hold(house, str(number).encode(), most=3) for number in range(5)]
    assert [one.id for one in listed(house)] == keys[2:]


def test_a_page_goes_on_where_the_last_one_ended(house: House) -> None:
    keys = [hold(house, str(number).encode()) for number in range(5)]
    first = house.read(lambda tx: tx.held_mails.page(limit=2))
    assert [one.id for one in first] == keys[:2]
    assert [one.id for one in house.read(lambda tx: tx.held_mails.page(after=keys[1], limit=9))] == keys[2:]


def test_nobody_looked_for_90_days(house: House) -> None:
    hold(house)
    house.clock.forward(89 * DAY)
    new = hold(house, b"newer")
    house.store.clean(removals_before=0)
    assert len(listed(house)) == 2
    house.clock.forward(2 * DAY)
    house.store.clean(removals_before=0)
    assert [one.id for one in listed(house)] == [new]
