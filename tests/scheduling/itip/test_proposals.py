"""Messages that ask and propose (RFC 5546 3.2, 3.4): COUNTER, DECLINECOUNTER, REFRESH; ADD and PUBLISH by others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduling import itip
from scheduling.itip.message import Message, envelope, shown
from scheduling.itip.proposals import counter, decline_counter, refresh_request
from scheduling.itip.snapshot import Snapshot, read
from tests.scheduling.itip.world import check_message, lines_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
A = itip.Actor(frozenset({"mailto:a@example.com"}))
B = itip.Actor(frozenset({"mailto:b@example.com"}))
C = itip.Actor(frozenset({"mailto:c@example.com"}))
TEN = int(datetime(2030, 2, 2, 10, tzinfo=UTC).timestamp())


def meeting(kind: str = "VEVENT", *lines: str) -> Snapshot:
    out = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", f"BEGIN:{kind}", "UID:m", "DTSTAMP:20300101T000000Z"]
    out += ["SEQUENCE:4", "DTSTART:20300201T100000Z", "RRULE:FREQ=DAILY;COUNT=4", "SUMMARY:Plan"]
    out += ["ORGANIZER:mailto:a@example.com", "ATTENDEE;SCHEDULE-STATUS=1.2:mailto:b@example.com", *lines]
    out += [f"END:{kind}", "END:VCALENDAR"]
    found = read("".join(f"{line}\r\n" for line in out).encode())
    assert found is not None
    return found


def addition(stored: Snapshot, rid: int) -> Message:
    """An ADD of one instance to B, as other servers send it (RFC 5546 3.2.4): this one sends a REQUEST."""
    made = stored.with_override(rid)
    assert made is not None
    left_out = ("RECURRENCE-ID", "RRULE", "RDATE", "EXDATE")
    lines = [line for line in shown(made, made.parts[rid], NOW) if not line.startswith(left_out)]
    text = envelope(stored, "ADD", [lines])
    return Message(
        "ADD", stored.uid, "mailto:a@example.com", "mailto:b@example.com", text, stored.sequence, NOW, (rid,)
    )


def publication(stored: Snapshot) -> Message:
    """A PUBLISH of the meeting without its attendees (RFC 5546 3.2.1), which no change here leads to."""
    parts = [
        [line for line in shown(stored, part, NOW) if not line.startswith("ATTENDEE")] for part in stored.parts.values()
    ]
    text, rids = envelope(stored, "PUBLISH", parts), tuple(stored.parts)
    return Message("PUBLISH", stored.uid, "mailto:a@example.com", "mailto:z@example.org", text, 4, NOW, rids)


LENGTH = {"VEVENT": "DTEND:20300201T110000Z", "VTODO": "DUE:20300201T110000Z"}


@pytest.mark.parametrize("kind", ["VEVENT", "VTODO"])
def test_a_proposal_for_one_instance(kind: str) -> None:
    message = counter(
        meeting(kind, LENGTH[kind]),
        B,
        start=TEN + 3600,
        end=TEN + 7200,
        now=NOW,
        rid=TEN,
        comment="Later?",
        location="B1",
    )
    assert message is not None
    check_message(message, NOW)
    said = lines_of(message.text)
    assert "SEQUENCE:4" in said, "it echoes the original (3.2.7)"
    for line in ("RECURRENCE-ID:20300202T100000Z", "DTSTART:20300202T110000Z", "COMMENT:Later?", "LOCATION:B1"):
        assert line in said
    assert f"{LENGTH[kind].partition(':')[0]}:20300202T120000Z" in said
    assert not any(line.startswith("RRULE") for line in said)


def test_a_proposal_is_made_by_who_is_invited_for_what_exists() -> None:
    assert counter(meeting(), C, start=TEN, end=None, now=NOW, rid=TEN) is None
    assert counter(meeting(), B, start=TEN, end=None, now=NOW, rid=TEN + 1) is None


def test_a_proposal_is_declined_to_whom_it_came_from() -> None:
    stored = meeting("VEVENT", LENGTH["VEVENT"])
    proposal = counter(stored, B, start=TEN + 3600, end=TEN + 7200, now=NOW, rid=TEN)
    assert proposal is not None
    message = decline_counter(proposal, stored, now=NOW, comment="Sorry")
    assert message is not None
    check_message(message, NOW)
    assert (message.method, message.recipient) == ("DECLINECOUNTER", "mailto:b@example.com")
    said = lines_of(message.text)
    assert "SEQUENCE:4" in said
    assert "RECURRENCE-ID:20300202T100000Z" in said
    assert "COMMENT:Sorry" in said
    told = itip.incoming(message, stored.source, B, now=NOW)
    assert (told.action, told.inbox) == ("ignore", True)
    (request,) = itip.refresh(stored.source, A, now=NOW)
    assert decline_counter(request, stored, now=NOW) is None, "only a COUNTER is declined"


@pytest.mark.parametrize("kind", ["VEVENT", "VTODO"])
def test_a_refresh_is_answered_with_the_meeting(kind: str) -> None:
    stored = meeting(kind)
    (message,) = refresh_request(stored, B, now=NOW, rid=TEN)
    check_message(message, NOW)
    organizers = [line for line in lines_of(message.text) if line.startswith("ORGANIZER")]
    assert bool(organizers) is (kind == "VEVENT"), "RFC 5546 3.4.6: ORGANIZER 0"
    assert not any(line.startswith(("SUMMARY", "DTSTART", "SEQUENCE")) for line in lines_of(message.text))
    assert refresh_request(stored, C, now=NOW) == ()
    answer = itip.incoming(message, stored.source, A, now=NOW)
    assert [one.method for one in answer.onward] == ["REQUEST"]


@pytest.mark.parametrize("kind", ["VEVENT", "VTODO", "VJOURNAL"])
def test_an_instance_is_added(kind: str) -> None:
    stored = meeting(kind)
    message = addition(stored, TEN)
    check_message(message, NOW)
    older = stored.source.replace(b"SEQUENCE:4", b"SEQUENCE:1").replace(b"COUNT=4", b"COUNT=1")
    added = itip.incoming(message, older, B, now=NOW)
    assert added.action == "update"
    assert added.text is not None
    assert "RDATE:20300202T100000Z" in lines_of(added.text)
    again = itip.incoming(message, added.text, B, now=NOW)
    assert again.action == "ignore"


def test_an_added_journal_entry_is_made_where_there_is_none() -> None:
    message = addition(meeting("VJOURNAL"), TEN)
    assert itip.incoming(message, None, B, now=NOW).action == "create", "RFC 5546 3.5.2: MAY treat the ADD as a PUBLISH"


@pytest.mark.parametrize("kind", ["VEVENT", "VTODO", "VJOURNAL"])
def test_what_is_published_is_taken_in(kind: str) -> None:
    message = publication(meeting(kind))
    check_message(message, NOW)
    created = itip.incoming(message, None, itip.Actor(frozenset({"mailto:z@example.org"})), now=NOW)
    assert created.action == "create"
