"""Signed addresses."""

from __future__ import annotations

import string

from hypothesis import given, strategies as st

from scheduling.imip.tags import MAX_LOCAL, Tags

TAGS = Tags("calendar@example.org", b"k" * 32)
CARL = "mailto:carl@else.example"


@given(st.integers(0, 2**32 - 1), st.text(), st.text())
def test_what_was_signed_is_read(principal: int, uid: str, recipient: str) -> None:
    address = TAGS.made("r", principal_id=principal, uid=uid, recipient=recipient)
    local, _, domain = address.rpartition("@")
    assert len(local) <= 64, "RFC 5321 4.5.3.1.1"
    assert set(local) <= set(string.ascii_lowercase + string.digits + "+")
    assert domain == "example.org"
    for written in (address, address.upper(), f" {address} "):
        tag = TAGS.read(written)
        assert tag is not None
        assert (tag.kind, tag.principal_id) == ("r", principal)
        assert TAGS.is_about(tag, uid)
        assert not TAGS.is_about(tag, uid + "x")


def test_the_recipient_is_found_among_those_who_are_invited() -> None:
    tag = TAGS.read(TAGS.made("r", principal_id=1, uid="u", recipient=CARL))
    assert tag is not None
    assert TAGS.recipient(tag, ["mailto:dora@else.example", CARL]) == CARL
    assert TAGS.recipient(tag, ["mailto:dora@else.example"]) is None


def test_nobody_else_signs() -> None:
    address = TAGS.made("r", principal_id=1, uid="u", recipient=CARL)
    assert Tags("calendar@example.org", b"x" * 32).read(address) is None
    assert Tags("calendar@other.example", b"k" * 32).read(address) is None
    assert Tags("other@example.org", b"k" * 32).read(address) is None
    assert Tags("calendar@example.org", b"k" * 32, "-").read(address) is None
    for index in range(len("calendar+"), len(address) - len("@example.org")):
        changed = address[:index] + ("a" if address[index] != "a" else "b") + address[index + 1 :]
        found = TAGS.read(changed)
        assert found is None, "each character counts"


def test_what_is_for_answers_is_not_for_reports() -> None:
    address = TAGS.made("r", principal_id=1, uid="u", recipient=CARL)
    assert TAGS.read(address.replace("+r", "+b")) is None
    report = TAGS.read(TAGS.made("b", principal_id=1, uid="u", recipient=CARL))
    assert report is not None
    assert report.kind == "b"


def test_the_longest_address() -> None:
    tags = Tags("a" * MAX_LOCAL + "@example.org", b"k" * 32)
    assert len(tags.made("b", principal_id=1, uid="u", recipient=CARL).partition("@")[0]) == 64


def test_what_is_the_servers_own() -> None:
    assert TAGS.is_own("Calendar@EXAMPLE.org")
    assert TAGS.is_own("calendar+anything@example.org")
    assert not TAGS.is_own("calendars@example.org")
    assert not TAGS.is_own("calendar@example.com")
