"""Groups among the attendees (RFC 5546 3.7.2, RFC 5545 3.2.11)."""

from __future__ import annotations

from datetime import UTC, datetime

from scheduling import itip
from scheduling.itip.groups import Member, expanded
from scheduling.itip.snapshot import read
from tests.scheduling.itip.world import lines_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
A = itip.Actor(frozenset({"mailto:a@example.com"}))
STAFF = "mailto:staff@example.com"
MEMBERS = {
    STAFF: [Member("mailto:a@example.com"), Member("mailto:b@example.com", "Bert"), Member("mailto:C@example.com")]
}


def meeting(*attendees: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:m", "DTSTAMP:20300101T000000Z"]
    lines += ["DTSTART:20300201T100000Z", "SUMMARY:Plan", "ORGANIZER:mailto:a@example.com"]
    lines += [*attendees, "END:VEVENT", "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in lines).encode()


GROUP = f"ATTENDEE;CUTYPE=GROUP;ROLE=OPT-PARTICIPANT:{STAFF}"


def attendees(text: bytes) -> list[str]:
    return [line for line in lines_of(text) if line.startswith("ATTENDEE")]


def test_members_are_invited_one_by_one() -> None:
    text = expanded(meeting(GROUP), MEMBERS)
    assert attendees(text)[0] == GROUP
    bert, carl = attendees(text)[1:]
    for said in ("CN=Bert", "CUTYPE=INDIVIDUAL", "PARTSTAT=NEEDS-ACTION", "ROLE=OPT-PARTICIPANT", f'MEMBER="{STAFF}"'):
        assert said in bert
    assert carl.endswith(":mailto:C@example.com")
    out = itip.outgoing(None, text, A, now=NOW)
    assert [one.recipient for one in out.messages] == ["mailto:b@example.com", "mailto:c@example.com"]


def test_nobody_is_invited_twice_and_answers_stay() -> None:
    by_name = "ATTENDEE;PARTSTAT=TENTATIVE:mailto:b@example.com"
    before = expanded(meeting(GROUP), MEMBERS).replace(b"PARTSTAT=NEEDS-ACTION", b"PARTSTAT=ACCEPTED")
    text = expanded(meeting(GROUP, by_name), MEMBERS, before=before)
    assert len(attendees(text)) == 3
    assert by_name in attendees(text)
    carl = next(line for line in attendees(text) if line.lower().endswith("c@example.com"))
    assert "PARTSTAT=ACCEPTED" in carl


def test_the_same_text_where_there_is_nothing_to_do() -> None:
    for text in (
        meeting("ATTENDEE:mailto:b@example.com"),
        expanded(meeting(GROUP), MEMBERS),
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    ):
        assert expanded(text, MEMBERS) == text


def test_which_lines_say_that_they_are_groups() -> None:
    snapshot = read(
        meeting(GROUP, "ATTENDEE;CUTYPE=X-SERVER-GROUP:mailto:all@example.com", "ATTENDEE:mailto:c@example.com")
    )
    assert snapshot is not None
    invited = snapshot.parts[None].attendees
    assert [one.address for one in invited if one.is_group] == [STAFF, "mailto:all@example.com"]


def test_a_group_that_the_client_invites_is_left_to_it() -> None:
    other = "ATTENDEE;CUTYPE=GROUP;SCHEDULE-AGENT=CLIENT:mailto:list@example.com"
    assert expanded(meeting(other), {"mailto:list@example.com": [Member("mailto:b@example.com")]}) == meeting(other)
