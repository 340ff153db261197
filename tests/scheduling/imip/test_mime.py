"""Mails as parts, and mails that are meant to do harm: bounded time, never another error than ``Unreadable``."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from scheduling.imip import mime
from scheduling.imip.bounces import is_automatic, report_in, uid_in
from scheduling.imip.mime import Unreadable, read
from scheduling.imip.objects import objects_in

CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n"
    b"ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def multipart(*parts: bytes, boundary: bytes = b"x", kind: bytes = b"mixed", eol: bytes = b"\r\n") -> bytes:
    body = b"".join(b"--" + boundary + eol + one + eol for one in parts)
    return (
        b"Content-Type: multipart/"
        + kind
        + b'; boundary="'
        + boundary
        + b'"'
        + eol
        + eol
        + body
        + b"--"
        + boundary
        + b"--"
        + eol
    )


def nested(depth: int) -> bytes:
    mail = b"Content-Type: text/calendar; method=REPLY\r\n\r\n" + CALENDAR
    for level in range(depth):
        mail = multipart(b"\r\ntext", mail, boundary=b"b%d" % level, kind=b"alternative")
    return b"From: a@b\r\n" + mail


def test_parts_in_their_order() -> None:
    mail = read(
        b"From: a@b\r\n" + multipart(b"\r\none", multipart(b"\r\ntwo", b"\r\nthree", boundary=b"y"), b"\r\nfour")
    )
    assert [one.body for one in mail.parts] == [b"one", b"two", b"three", b"four"]
    assert mail.type == "multipart/mixed"


def test_nested_as_deep_as_mails_are() -> None:
    assert objects_in(read(nested(mime.MAX_DEPTH))).texts == (CALENDAR,)
    with pytest.raises(Unreadable, match="nested"):
        read(nested(mime.MAX_DEPTH + 1))


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\r\n" + text,
        lambda text: b"Content-Transfer-Encoding: 8bit\r\n\r\n" + text,
        lambda text: b"Content-Transfer-Encoding: BASE64\r\n\r\n" + base64.encodebytes(text),
        lambda text: (
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            + text.replace(b"=", b"=3D").replace(b"TENDEE", b"TEN=\r\nDEE")
        ),
    ],
)
def test_transfer_encodings(encode: Callable[[bytes], bytes], eol: bytes) -> None:
    part = b"Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n" + encode(CALENDAR)
    mail = (b"From: a@b\r\n" + multipart(b"\r\ntext", part)).replace(b"\r\n", eol)
    (text,) = objects_in(read(mail)).texts
    assert text.replace(b"\r\n", b"\n") == CALENDAR.replace(b"\r\n", b"\n")


def test_a_mail_in_a_mail_is_not_what_its_sender_says() -> None:
    inner = b"From: c@d\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n" + CALENDAR
    assert objects_in(read(b"From: a@b\r\n" + multipart(b"Content-Type: message/rfc822\r\n\r\n" + inner))).texts == ()


def test_what_a_pipe_puts_in_front() -> None:
    assert read(b"From a@b Mon Jan  1 00:00:00 2026\nFrom: a@b\n\ntext").head.mailboxes("from") == ("a@b",)


def test_a_mail_that_was_cut_off() -> None:
    mail = b"From: a@b\r\n" + multipart(b"\r\none", b"\r\ntwo").removesuffix(b"--x--\r\n")
    assert [one.body.strip() for one in read(mail).parts] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("Carl C. Smith <c@x.example>", ("c@x.example",)),
        ('"a@b.example" <c@x.example>', ("c@x.example",)),
        ("foo@bar.example <foo@bar.example>", ("foo@bar.example",)),
        ("=?utf-8?Q?a_=C3=A4?=<c@x.example>", ("c@x.example",)),
        ("Jürgen <c@x.example>", ("c@x.example",)),
        ("a@x.example <b@x.example>", ("b@x.example",)),
        ("a@x.example, b <c@x.example>", ("a@x.example", "c@x.example")),
        ("<a@x.example> <b@x.example>", ()),
        ("nobody", ()),
    ],
)
def test_mailboxes(field: str, found: tuple[str, ...]) -> None:
    assert read(f"From: {field}\r\n\r\n".encode()).head.mailboxes("from") == found


CALENDAR_HEAD = b"From: a@b\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
REPORT = b"Content-Type: message/delivery-status\r\n\r\n"
MAIL = b"Content-Type: message/rfc822\r\n\r\nFrom: a@b\r\n"
HOSTILE = {
    "nothing": b"",
    "empty lines": b"\r\n" * 1000,
    "no mail": b"\x00\xff" * 5000,
    "one long line": b"From: a@b\r\n\r\n" + b"x" * 5_000_000,
    "comments in From": b"From: " + b"(" * 100_000 + b"\r\n\r\n",
    "comments that fit": b"From: " + b"(" * 3_900 + b"\r\n\r\n",
    "quotes": b"From: " + b'"' * 3_900 + b"\r\n\r\n",
    "brackets": b"From: " + b"[" * 3_900 + b"\r\n\r\n",
    "addresses": b"From: " + b"a@b," * 970 + b"\r\n\r\n",
    "encoded words": b"From: " + b"=?utf-8?q?a?=" * 300 + b"\r\n\r\n",
    "a type of comments": b"Content-Type: " + b"((" * 490 + b"\r\n\r\n",
    "parameters": b"Content-Type: text/plain; " + b"a*0=b;" * 160 + b"\r\n\r\n",
    "a broken continuation": b"Content-Type: text/calendar; x*0*=\r\n\r\n",
    "fields": b"From: a@b\r\n" * 200_000 + b"\r\n",
    "folds": b"From: a@b" + b"\r\n " * 200_000 + b"\r\n\r\n",
    "parts": b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * 1_000_000,
    "parts in parts": nested(400),
    "the same boundary": b"From: a@b\r\n" + multipart(*[multipart(b"\r\n", boundary=b"x")] * 300, boundary=b"x"),
    "a boundary of dashes": b"From: a@b\r\nContent-Type: multipart/mixed; boundary=-\r\n\r\n" + b"---\r\n" * 500_000,
    "fields in parts": b"From: a@b\r\n" + multipart(*[b"Content-Type: " + b"(" * 980 + b"\r\n\r\n"] * 99),
    "base64": b"From: a@b\r\nContent-Type: text/calendar; method=REPLY\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"A" * 999_999,
    "a charset": b"From: a@b\r\nContent-Type: text/calendar; method=REPLY; charset=punycode\r\n\r\n"
    + b"\xff" * 200_000,
    "calendar lines": b"From: a@b\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n" + b"nothing\r\n" * 200_000,
    "calendars": b"From: a@b\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    + b"".join(CALENDAR.replace(b"UID:u", b"UID:%d" % n) for n in range(5000)),
    "components": CALENDAR_HEAD + b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 100_000,
    "reports": b"From: a@b\r\n" + multipart(REPORT + b"Action: x\r\n\r\n" * 100_000, kind=b"report"),
    "a report in a report": b"From: a@b\r\n" + multipart(MAIL + multipart(MAIL + nested(5)), kind=b"report"),
}


def digest(raw: bytes) -> None:
    """All that is done with a mail before anybody looks anything up."""
    try:
        mail = read(raw)
    except Unreadable:
        return
    mail.head.mailboxes("from")
    mail.head.many_mailboxes("to")
    is_automatic(mail.head)
    report_in(mail)
    uid_in(mail)
    objects_in(mail)


@pytest.mark.parametrize("name", HOSTILE)
def test_harm_takes_bounded_time(name: str) -> None:
    started = time.process_time()
    digest(HOSTILE[name])
    assert time.process_time() - started < 5


def test_what_is_larger_than_the_limit() -> None:
    with pytest.raises(Unreadable, match="limit"):
        read(b"From: a@b\r\n\r\n" + b"x" * 100, limit=50)


PIECES = st.sampled_from(
    [
        b"From: ", b"a@b", b"Content-Type: ", b"multipart/mixed; boundary=x", b"text/calendar; method=REPLY", b"--x",
        b"--x--", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\t", b"Content-Transfer-Encoding: base64", b"quoted-printable",
        b"=", b"=3D", b"message/delivery-status", b"Action: failed", b"Status: 5.1.1", b"message/rfc822",
        b"multipart/report; report-type=delivery-status", b"BEGIN:VCALENDAR", b"END:VCALENDAR", b"METHOD:REPLY",
        b"BEGIN:VEVENT", b"UID:u", b"charset=utf-16",
        b"\xff", b"\x00", b'"', b"(", b"<", b";", b"=?utf-8?q?a?=", CALENDAR,
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES | st.binary(max_size=8), max_size=60).map(b"".join))
@example(b"From: a@b\r\nContent-Type: text/calendar; method=REPLY; charset=utf-16\r\n\r\n\xff")
def test_any_mail(raw: bytes) -> None:
    digest(raw)
