"""Authentication-Results (RFC 8601): whose word counts, and what it says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from scheduling.imip.authenticity import Verdict, verdict
from scheduling.imip.mime import Head

OURS = "mx.here.example"


def said(*fields: str, domain: str = "gmail.example") -> Verdict:
    return verdict(Head([("authentication-results", one) for one in fields]), domain, authserv_id=OURS)


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ("dmarc=pass (p=NONE sp=NONE) header.from=gmail.example", Verdict.PASS),
        ("dmarc=pass", Verdict.PASS),
        ("dmarc=pass header.from=other.example", Verdict.NONE),
        ("dmarc=fail header.from=gmail.example", Verdict.CONTRADICTION),
        ("dmarc=fail; dkim=pass header.d=gmail.example", Verdict.CONTRADICTION),
        ("dkim=pass header.d=gmail.example header.i=@gmail.example", Verdict.PASS),
        ("dkim=pass header.i=carl@gmail.example", Verdict.PASS),
        ("dkim = pass header.d = gmail.example", Verdict.PASS),
        ("DKIM=Pass Header.D=Gmail.Example", Verdict.PASS),
        ("dkim=pass header.d=evil.example", Verdict.NONE),
        ("dkim=pass header.d=example", Verdict.NONE),
        ("dkim=fail header.d=gmail.example", Verdict.NONE),
        ("dkim=fail header.d=evil.example; dkim=pass header.d=gmail.example", Verdict.PASS),
        ("spf=pass smtp.mailfrom=carl@gmail.example", Verdict.PASS),
        ("spf=pass (a comment (in a comment; dkim=pass)) smtp.mailfrom=gmail.example", Verdict.PASS),
        ("spf=pass smtp.mailfrom=evil.example", Verdict.NONE),
        ("spf=fail smtp.mailfrom=carl@gmail.example", Verdict.CONTRADICTION),
        ("spf=softfail smtp.mailfrom=carl@gmail.example", Verdict.NONE),
        ("spf=fail smtp.mailfrom=carl@gmail.example; dkim=pass header.d=gmail.example", Verdict.PASS),
        ("none", Verdict.NONE),
        ("", Verdict.NONE),
        ("dkim=none; spf=none; dmarc=none", Verdict.NONE),
    ],
)
def test_what_it_says(results: str, found: Verdict) -> None:
    assert said(f"{OURS}; {results}") is found
    assert said(f"MX.Here.Example 1; {results}") is found
    assert said(f"mx.evil.example; {results}") is Verdict.NONE


def test_a_domain_below_the_one_that_signed() -> None:
    assert said(f"{OURS}; dkim=pass header.d=firm.example", domain="mail.firm.example") is Verdict.PASS
    assert said(f"{OURS}; dkim=pass header.d=mail.firm.example", domain="firm.example") is Verdict.NONE
    assert said(f"{OURS}; dkim=pass header.d=irm.example", domain="firm.example") is Verdict.NONE


def test_only_the_topmost_counts() -> None:
    ours, forged = f"{OURS}; dmarc=fail", f"{OURS}; dmarc=pass"
    assert said(ours, forged) is Verdict.CONTRADICTION
    assert said("mx.else.example; dmarc=pass", forged) is Verdict.NONE
    assert said(f"{OURS}; dmarc=fail ({'x' * 5000})", forged) is Verdict.NONE, "also where it is too long to be read"


@pytest.mark.parametrize(
    "results",
    [
        'spf=none smtp.mailfrom="x; dmarc=pass header.from=gmail.example"@evil.example',
        'dkim=fail reason="dkim=pass; dkim=pass header.d=gmail.example" header.d=evil.example',
        "dkim=pass (header.d=gmail.example) header.d=evil.example",
        'dkim=pass header.d=evil.example header.b="header.d=gmail.example"',
        r'spf=pass smtp.mailfrom="a\" header.d=gmail.example; dmarc=pass"@evil.example',
        "spf=pass smtp.mailfrom=x=header.d=gmail.example@evil.example",
        "dkim=pass header.d=evil.example header.d=gmail.example",
    ],
)
def test_what_the_sender_chose_is_no_result(results: str) -> None:
    assert said(f"{OURS}; {results}") is Verdict.NONE


def test_nobody_is_named() -> None:
    head = Head([("authentication-results", "; dmarc=pass")])
    assert verdict(head, "gmail.example", authserv_id="") is Verdict.NONE
    assert verdict(head, "", authserv_id=OURS) is Verdict.NONE


@given(st.text(max_size=300))
def test_any_field(field: str) -> None:
    said(field)
    assert said(f"{OURS}x; {field}") is Verdict.NONE


def test_a_field_that_is_meant_to_take_long() -> None:
    started = time.process_time()
    for field in ("(" * 3900, ";" * 3900, "a=b " * 970, '"' * 3900, "\\" * 3900, "a=" * 1900):
        said(f"{OURS}; {field}")
    assert time.process_time() - started < 1
