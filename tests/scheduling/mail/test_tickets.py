"""Signed links: what they say comes back, nothing else does, and they end."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from scheduling import itip
from scheduling.itip import Actor, Message
from scheduling.mail.mailer import compose
from scheduling.mail.posting import Mail
from scheduling.mail.tickets import MOST, BadTicket, Links, Signer, Ticket, item_name
from tests.scheduling.mail.posting_scene import ANNA, BERT, DAY, LETTERHEAD, meeting

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNER = Signer(b"k" * 32)
LINKS = Links("https://calendar.example.org/dav", SIGNER, days=30)
TICKET = Ticket("answer", 7, "uid-1@example.org", BERT, None, 2, "de", 1_800_000_000)
#: 5 March 2026, 15:00 in Berlin.
END = 1772719200


def invitation(text: bytes) -> Message:
    (message,) = itip.outgoing(None, text, Actor(frozenset({ANNA})), now=NOW).messages
    return message


def ticket_in(links: dict[str, str]) -> Ticket:
    tickets = {SIGNER.read(url.split("/")[-2]) for url in links.values()}
    (ticket,) = tickets
    return ticket


@given(
    st.builds(
        Ticket,
        st.sampled_from(["answer", "decide"]),
        st.integers(1, 2**62),
        st.text(),
        st.text(),
        st.none() | st.integers(-(2**62), 2**62),
        st.integers(0, 2**31),
        st.text(),
        st.integers(0, 2**62),
        st.text(),
    )
)
def test_what_is_signed_comes_back(ticket: Ticket) -> None:
    token = SIGNER.signed(ticket)
    assert SIGNER.read(token) == ticket
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.data())
def test_what_is_changed_does_not(data: st.DataObject) -> None:
    token = SIGNER.signed(TICKET)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABXYZabxyz0189-_"))
    changed = token[:place] + other + token[place + 1 :]
    if changed != token:
        with pytest.raises(BadTicket):
            SIGNER.read(changed)


@pytest.mark.parametrize("token", ["", "A", "AAAA", "é", "a b", "=" * 40, "A" * 1400, "....", "\x00"])
def test_what_was_never_signed(token: str) -> None:
    with pytest.raises(BadTicket):
        SIGNER.read(token)


def test_another_key_another_spelling_another_version() -> None:
    token = SIGNER.signed(TICKET)
    with pytest.raises(BadTicket):
        Signer(b"x" * 32).read(token)
    padded = token + "=" * (-len(token) % 4)
    if padded != token:
        with pytest.raises(BadTicket):
            SIGNER.read(padded)
    payload = urlsafe_b64decode(token + "=" * (-len(token) % 4))[16:].replace(b"[1,", b"[2,", 1)
    signature = SIGNER._signature(payload)
    with pytest.raises(BadTicket, match="another version"):
        SIGNER.read(urlsafe_b64encode(signature + payload).rstrip(b"=").decode())


def test_links_name_the_meeting_and_end_after_it() -> None:
    links = dict(LINKS.of(invitation(meeting(BERT)), owner=7, language="de"))
    assert list(links) == ["accept", "maybe", "decline", "propose"]
    assert all(url.startswith("https://calendar.example.org/dav/rsvp/") for url in links.values())
    assert ticket_in(links) == Ticket("answer", 7, "u1", BERT, None, 0, "de", END + 30 * DAY)


def test_without_an_end_a_link_ends_all_the_same() -> None:
    text = meeting(BERT).replace(b"SUMMARY", b"RRULE:FREQ=DAILY\r\nSUMMARY")
    ticket = ticket_in(dict(LINKS.of(invitation(text), owner=7, language="")))
    assert ticket.expires == int(NOW.timestamp()) + 430 * DAY


def test_a_meeting_that_is_over_can_be_answered_for_a_while() -> None:
    late = replace(invitation(meeting(BERT)), dtstamp=datetime(2026, 6, 1, tzinfo=UTC))
    ticket = ticket_in(dict(LINKS.of(late, owner=7, language="")))
    assert ticket.expires == int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())


def test_a_uid_that_is_too_long_gets_no_link() -> None:
    assert LINKS.of(invitation(meeting(BERT, uid="u" * 200)), owner=7, language="")
    assert LINKS.of(invitation(meeting(BERT, uid="u" * MOST)), owner=7, language="") == {}


@pytest.mark.parametrize("uid", ["a/b?c#d", "ä ö", "%2F..", '"><script>', "a&b=c"])
def test_hostile_uids_stay_inside(uid: str) -> None:
    links = dict(LINKS.of(invitation(meeting(BERT, uid=uid)), owner=7, language=""))
    assert ticket_in(links).uid == uid


def test_a_cancellation_has_nothing_to_answer() -> None:
    (message,) = itip.outgoing(meeting(BERT), None, Actor(frozenset({ANNA})), now=NOW).messages
    assert LINKS.of(message, owner=7, language="") == {}


def test_a_mail_with_links_is_the_same_each_time() -> None:
    message = invitation(meeting(BERT))
    first, second = (
        compose(Mail(message), LETTERHEAD, links=LINKS.of(message, owner=7, language="en")).as_bytes() for _ in range(2)
    )
    assert first == second


def test_an_item_is_named_by_what_it_says_and_who_says_it() -> None:
    message = invitation(meeting(BERT))
    assert item_name(message) == item_name(replace(message, recipient=ANNA))
    others = [replace(message, sender=BERT), replace(message, method="COUNTER"), replace(message, text=b"x")]
    assert len({item_name(one) for one in [message, *others]}) == 4
