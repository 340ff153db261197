"""Which parts of a mail are scheduling messages (RFC 6047 2.4, 2.6)."""

from __future__ import annotations

import pytest

from scheduling.imip.mime import read
from scheduling.imip.objects import MAX_OBJECTS, Objects, objects_in
from tests.scheduling.imip.test_mime import CALENDAR, multipart


def found(*parts: bytes) -> Objects:
    return objects_in(read(b"From: a@b\r\n" + multipart(*parts)))


def part(head: str, text: bytes = CALENDAR) -> bytes:
    return f"Content-Type: {head}\r\n\r\n".encode() + text


def test_the_message_and_not_the_file_beside_it() -> None:
    other = CALENDAR.replace(b"UID:u", b"UID:other")
    assert found(part("text/calendar; method=REPLY"), part("application/ics; name=invite.ics", other)).texts == (
        CALENDAR,
    )
    assert found(part("application/ics", CALENDAR), part("text/calendar; method=reply")).texts == (CALENDAR,)


def test_the_same_twice_is_once() -> None:
    assert found(part("text/calendar; method=REPLY"), part("text/calendar; method=REPLY; name=x")).texts == (CALENDAR,)


@pytest.mark.parametrize("kind", ["text/calendar", "application/ics", "TEXT/Calendar; charset=UTF-8"])
def test_without_the_parameter(kind: str) -> None:
    assert found(part(kind)).texts == (CALENDAR,)


@pytest.mark.parametrize("kind", ["text/plain; name=invite.ics", "application/octet-stream; name=invite.ics"])
def test_the_media_type_counts_and_not_the_name_of_the_file(kind: str) -> None:
    """RFC 6047 2.6."""
    assert found(part(kind)) == Objects()


def test_a_calendar_that_was_sent_along_is_no_message() -> None:
    assert found(part("text/calendar", CALENDAR.replace(b"METHOD:REPLY\r\n", b""))) == Objects()


def test_the_method_of_the_mail_where_the_calendar_has_none() -> None:
    (text,) = found(part("text/calendar; method=reply", CALENDAR.replace(b"METHOD:REPLY\r\n", b""))).texts
    assert text.startswith(b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n")
    assert text.replace(b"METHOD:REPLY\r\n", b"") == CALENDAR.replace(b"METHOD:REPLY\r\n", b"")


def test_two_methods_that_differ() -> None:
    """RFC 6047 2.4: "the value MUST be the same"."""
    both = found(part("text/calendar; method=CANCEL"))
    assert both.texts == ()
    assert 'method "CANCEL"' in both.problems[0]


def test_several_messages() -> None:
    other = CALENDAR.replace(b"UID:u", b"UID:other")
    assert found(part("text/calendar; method=REPLY"), part("text/calendar; method=REPLY", other)).texts == (
        CALENDAR,
        other,
    )
    assert found(part("text/calendar; method=REPLY", CALENDAR + other)).texts == (CALENDAR, other), (
        "one after the other"
    )


def test_several_meetings_in_one_object() -> None:
    """RFC 6047 4.4."""
    event = CALENDAR[CALENDAR.index(b"BEGIN:VEVENT") : CALENDAR.index(b"END:VCALENDAR")]
    zone = b"BEGIN:VTIMEZONE\r\nTZID:X\r\nEND:VTIMEZONE\r\n"
    both = CALENDAR.replace(b"BEGIN:VEVENT", zone + event.replace(b"UID:u", b"UID:other") + b"BEGIN:VEVENT", 1)
    texts = found(part("text/calendar; method=REPLY", both)).texts
    assert [one.count(b"BEGIN:VEVENT") for one in texts] == [1, 1]
    assert all(b"METHOD:REPLY" in one and zone in one for one in texts)
    assert b"UID:other" in texts[0]
    assert b"UID:u\r\n" in texts[1]


def test_instances_of_one_series_stay_together() -> None:
    event = CALENDAR[CALENDAR.index(b"BEGIN:VEVENT") : CALENDAR.index(b"END:VCALENDAR")]
    both = CALENDAR.replace(
        b"END:VCALENDAR", event.replace(b"UID:u", b"UID:u\r\nRECURRENCE-ID:20260101T000000Z") + b"END:VCALENDAR"
    )
    assert found(part("text/calendar; method=REPLY", both)).texts == (both,)


def test_more_than_any_mail_has() -> None:
    many = b"".join(CALENDAR.replace(b"UID:u", b"UID:%d" % number) for number in range(MAX_OBJECTS + 1))
    assert found(part("text/calendar; method=REPLY", many)).texts == ()


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("utf-8", "SUMMARY:Grüße €".encode()),
        ("iso-8859-1", "SUMMARY:Grüße".encode("latin-1")),
        ("windows-1252", "SUMMARY:Grüße €".encode("cp1252")),
        ("us-ascii", "SUMMARY:Grüße".encode("cp1252")),
        ("utf-8", "SUMMARY:Grüße".encode("latin-1")),
        ("UTF-16", "SUMMARY:Grüße €".encode("utf-16")),
        ("x-unknown", "SUMMARY:Grüße".encode()),
    ],
)
def test_charsets(charset: str, data: bytes) -> None:
    line = data.decode("utf-16").encode() if charset == "UTF-16" else data
    text = CALENDAR.replace(b"END:VEVENT", line + b"\r\nEND:VEVENT")
    if charset == "UTF-16":
        text = text.decode().encode("utf-16")
    (read_text,) = found(part(f"text/calendar; method=REPLY; charset={charset}", text)).texts
    assert "SUMMARY:Grüße" in read_text.decode()


def test_a_line_that_is_none_is_left_out() -> None:
    """A description whose line breaks were not folded."""
    broken = CALENDAR.replace(b"END:VEVENT", b"DESCRIPTION:one\r\ntwo words\r\nEND:VEVENT")
    (text,) = found(part("text/calendar; method=REPLY", broken)).texts
    assert text == CALENDAR.replace(b"END:VEVENT", b"DESCRIPTION:one\r\nEND:VEVENT")


def test_what_cannot_be_read_says_why() -> None:
    unbalanced = found(part("text/calendar; method=REPLY", CALENDAR.replace(b"END:VEVENT", b"END:X")))
    assert unbalanced.texts == ()
    assert "END:X where END:VEVENT is due" in unbalanced.problems[0]
    broken = found(part("text/calendar; method=REPLY\r\nContent-Transfer-Encoding: base64", b"A"))
    assert broken.texts == ()
    assert "base64" in broken.problems[0]
