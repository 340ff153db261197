"""The table of RFC 5546 3: which method is for which component; and what each method must hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduling import itip
from scheduling.ical.lines import ICalendarError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
#: RFC 5546 3; VFREEBUSY has no copies to keep, and comes by POST (RFC 6638 5).
TABLE = {
    "PUBLISH": ("VEVENT", "VTODO", "VJOURNAL"),
    "REQUEST": ("VEVENT", "VTODO"),
    "REFRESH": ("VEVENT", "VTODO"),
    "CANCEL": ("VEVENT", "VTODO", "VJOURNAL"),
    "ADD": ("VEVENT", "VTODO", "VJOURNAL"),
    "REPLY": ("VEVENT", "VTODO"),
    "COUNTER": ("VEVENT", "VTODO"),
    "DECLINECOUNTER": ("VEVENT", "VTODO"),
}
KINDS = ("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY")


def message(method: str, kind: str, *leave_out: str) -> bytes:
    lines = {
        "DTSTAMP": "20300101T000000Z",
        "UID": "meeting",
        "SEQUENCE": "1",
        "DTSTART": "20300201T100000Z",
        "SUMMARY": "Plan",
        "ORGANIZER": "mailto:x@example.org",
        "ATTENDEE": "mailto:b@example.com",
    }
    head = f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:{kind}\r\n"
    body = "".join(f"{name}:{value}\r\n" for name, value in lines.items() if name not in leave_out)
    return f"{head}{body}END:{kind}\r\nEND:VCALENDAR\r\n".encode()


def received(text: bytes) -> itip.Message:
    return itip.received(text, sender="mailto:x@example.org", recipient="mailto:b@example.com", now=NOW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", TABLE)
def test_the_table_of_methods(method: str, kind: str) -> None:
    if kind in TABLE[method]:
        assert received(message(method, kind)).method == method
    else:
        with pytest.raises(ICalendarError):
            received(message(method, kind))


@pytest.mark.parametrize("method", TABLE)
def test_every_message_is_about_a_uid(method: str) -> None:
    with pytest.raises(ICalendarError):
        received(message(method, "VEVENT", "UID"))


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL", "ADD", "DECLINECOUNTER"])
def test_what_changes_copies_names_its_organizer(method: str) -> None:
    with pytest.raises(ICalendarError):
        received(message(method, "VEVENT", "ORGANIZER"))


@pytest.mark.parametrize("method", ["REPLY", "REFRESH", "COUNTER"])
def test_an_answer_names_who_answers(method: str) -> None:
    with pytest.raises(ICalendarError):
        received(message(method, "VEVENT", "ATTENDEE"))


@pytest.mark.parametrize("name", ["DTSTAMP", "SUMMARY", "SEQUENCE"])
def test_a_poorer_message_is_let_through(name: str) -> None:
    """RFC 5546 4 itself has such messages."""
    assert received(message("REQUEST", "VEVENT", name)).uid == "meeting"
