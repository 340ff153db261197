"""Links to free/busy time: who has one sees when somebody is busy, and nothing else; and nobody else does."""

from __future__ import annotations

import pytest

from caldavd.app import Application
from caldavd.errors import DavError
from caldavd.public import freebusy
from caldavd.public.freebusy import MOST_A_MINUTE, Rate, asked
from scheduling.freebusy.links import PURPOSE, is_token, principal_in, token_of
from scheduling.ical.values import DAY
from storage.store import Store, Transaction
from tests.caldavd.client import Answer, Client, event
from tests.caldavd.sharing import principal
from tests.caldavd.test_availability import hours, put_property

NOW = 1772452800  # 2026-03-02T12:00:00Z
TODAY = 1772409600
MARCH = "?start=2026-03-01T00:00:00Z&end=2026-04-01T00:00:00Z"
BUSY = "FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T130000Z"


@pytest.fixture(autouse=True)
def rate(monkeypatch: pytest.MonkeyPatch) -> Rate:
    fresh = Rate(MOST_A_MINUTE)
    monkeypatch.setattr(freebusy, "RATE", fresh)
    return fresh


@pytest.fixture
def anybody(application: Application) -> Client:
    return Client(application, None)


def renew(store: Store, name: str) -> str:
    """Opens a link and returns its path."""
    who = principal(store, name)
    serial = store.run(lambda tx: tx.freebusy_links.renew(who.id), write=True)
    return "/freebusy/" + token_of(store.secret(PURPOSE), who.id, serial)


def lines(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return answer.body.decode().replace("\r\n ", "").split("\r\n")


def test_who_has_the_link_sees_when_and_nothing_else(u1: Client, anybody: Client, store: Store) -> None:
    secret = "LOCATION:Hideout\r\nATTENDEE:mailto:friend@example.org\r\nORGANIZER:mailto:u1@example.org\r\n"
    u1.put("/calendars/u1/calendar/a.ics", event("a", summary="Secret", extra=secret))
    put_property(u1, hours())
    url = renew(store, "u1")
    answer = anybody.request("GET", url + MARCH)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    found = lines(answer)
    assert {"METHOD:PUBLISH", "BEGIN:VFREEBUSY", BUSY, "ORGANIZER:mailto:u1@example.org"} <= set(found)
    assert {"DTSTART:20260301T000000Z", "DTEND:20260401T000000Z"} <= set(found)
    assert any(line.startswith("FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:") for line in found)
    for word in (b"Secret", b"Hideout", b"friend", b"UID:a\r", b"secret"):
        assert word not in answer.body
    for suffix in (".ifb", ".vfb", ".ics"):
        assert BUSY in lines(anybody.request("GET", url + suffix + MARCH))
    assert anybody.request("HEAD", url).status == 200
    assert anybody.request("PUT", url, "x").status == 405


def test_a_new_link_replaces_the_old_one_and_none_is_none(u1: Client, anybody: Client, store: Store) -> None:
    u1.put("/calendars/u1/calendar/a.ics", event("a"))
    old = renew(store, "u1")
    assert anybody.request("GET", old).status == 200
    new = renew(store, "u1")
    assert new != old
    assert (anybody.request("GET", old).status, anybody.request("GET", new).status) == (404, 200)
    who = principal(store, "u1")
    store.run(lambda tx: tx.freebusy_links.remove(who.id), write=True)
    gone = anybody.request("GET", new)
    assert gone.status == 404

    def again(tx: Transaction) -> int | None:
        return tx.freebusy_links.serial(who.id)

    assert store.run(again, write=False) is None
    # One answer for all that is no link, whoever exists.
    token = new.rpartition("/")[2]
    wrong = token_of(b"another secret", who.id, 1)
    nobody = token_of(store.secret(PURPOSE), 99_999, 1)
    for other in (token[:-1], token + "A", wrong, nobody, "x", "%00", "..", "A" * 200, f"{token}/{token}", ""):
        answer = anybody.request("GET", f"/freebusy/{other}")
        assert answer.status in (400, 404), other
        if answer.status == 404:
            assert answer.body == gone.body


def test_a_link_is_of_one_person_alone(u1: Client, u2: Client, anybody: Client, store: Store) -> None:
    u2.put("/calendars/u2/calendar/a.ics", event("a"))
    assert BUSY not in lines(anybody.request("GET", renew(store, "u1") + MARCH))
    assert BUSY in lines(anybody.request("GET", renew(store, "u2") + MARCH))


def test_tokens() -> None:
    token = token_of(b"s", 7, 1 << 61)
    assert len(token) == 40
    assert principal_in(token) == 7
    assert is_token(token, b"s", 7, 1 << 61)
    for other in (
        token_of(b"t", 7, 1 << 61),
        token_of(b"s", 8, 1 << 61),
        token_of(b"s", 7, 5),
        token.lower(),
        f" {token}",
    ):
        assert not is_token(other, b"s", 7, 1 << 61)
    assert [principal_in(one) for one in ("", "a", "ä" * 40, "*" * 40, "A" * 44, "_" * 40)] == [None] * 6


# --- what is asked


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ({}, TODAY, TODAY + 42 * DAY),
        ({"days": "7"}, TODAY, TODAY + 7 * DAY),
        ({"period": "P1W"}, TODAY, TODAY + 7 * DAY),
        ({"start": "2026-03-10"}, TODAY + 8 * DAY, TODAY + 50 * DAY),
        ({"start": "20260310T000000Z", "end": "20260311T000000Z"}, TODAY + 8 * DAY, TODAY + 9 * DAY),
        ({"start": "2026-03-10T01:00:00+01:00", "end": "2026-03-11T01:00:00+0100"}, TODAY + 8 * DAY, TODAY + 9 * DAY),
        ({"start": "2026-03-10T01:00:00 01:00", "days": "1"}, TODAY + 8 * DAY, TODAY + 9 * DAY),
        ({"start": "2026-03-09T19:00:00-05:00", "period": "PT1H"}, TODAY + 8 * DAY, TODAY + 8 * DAY + 3600),
        ({"start": "2026-03-10T00:00:00.5Z", "days": "1", "user": "x"}, TODAY + 8 * DAY, TODAY + 9 * DAY),
        ({"start": "", "end": " ", "days": ""}, TODAY, TODAY + 42 * DAY),
    ],
)  # fmt: skip
def test_what_programs_ask(query: dict[str, str], start: int, end: int) -> None:
    assert asked(query, NOW) == (start, end)


@pytest.mark.parametrize(
    "query",
    [
        {"days": "0"},
        {"days": "-1"},
        {"days": "401"},
        {"days": "99999999999999"},
        {"days": "1e3"},
        {"period": "P99999W"},
        {"period": "-P1W"},
        {"period": "soon"},
        {"start": "yesterday"},
        {"start": "2026-02-30"},
        {"start": "2026-03-10", "end": "2026-03-10"},
        {"start": "2026-03-10", "end": "2026-03-09"},
        {"start": "1970-01-01", "days": "1"},
        {"start": "9999-12-31", "days": "1"},
        {"start": "0001-01-01", "days": "1"},
    ],
)
def test_what_is_too_much_or_nothing_is_said_in_a_sentence(query: dict[str, str]) -> None:
    with pytest.raises(DavError) as caught:
        asked(query, NOW)
    assert caught.value.status == 400
    assert caught.value.message.endswith((".", ")."))


def test_how_often(u1: Client, anybody: Client, store: Store) -> None:
    url = renew(store, "u1")
    found = [anybody.request("GET", url).status for _ in range(MOST_A_MINUTE + 5)]
    assert found == [200] * MOST_A_MINUTE + [429] * 5
    assert anybody.request("GET", url).headers["Retry-After"] == "60"
    assert u1.request("GET", "/calendars/u1/").status == 200, "nobody else notices"


def test_the_rate_comes_back_and_keeps_little() -> None:
    now = [0.0]
    rate = Rate(2, clock=lambda: now[0], kept=3)
    assert [rate.take("a") for _ in range(3)] == [True, True, False]
    now[0] += 29
    assert not rate.take("a")
    now[0] += 2
    assert [rate.take("a"), rate.take("a"), rate.take("b")] == [True, False, True]
    for other in "cdef":
        rate.take(other)
    assert rate.take("a"), "who has not come for long is forgotten"


def test_too_much_is_said_in_a_sentence(u1: Client, anybody: Client, store: Store) -> None:
    for at in range(40):
        u1.put(f"/calendars/u1/calendar/{at}.ics", event(f"o{at}", extra="RRULE:FREQ=MINUTELY\r\n"))
    answer = anybody.request("GET", renew(store, "u1") + "?start=2026-04-01&days=400")
    assert answer.status == 507
    assert b"ask for less" in answer.body
