"""KDE's way to ask when somebody is busy: a POST to their inbox (clients.md section 12.4)."""

from __future__ import annotations

import pytest

from tests.caldavd.client import Answer, Client, event
from tests.caldavd.implicit.scene import calendar, inbox, messages
from tests.caldavd.sharing import ace, acl

ORGANIZER = "ORGANIZER:mailto:u1@example.org\r\n"


def ask(client: Client, name: str, *attendees: str, organizer: str = "", method: str = "REQUEST") -> Answer:
    lines = "".join(f"ATTENDEE:mailto:{one}@example.org\r\n" for one in attendees or (name,))
    body = (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:{method}\r\nBEGIN:VFREEBUSY\r\nUID:q\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART:20260310T000000Z\r\nDTEND:20260311T000000Z\r\n{organizer}{lines}"
        "END:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    )
    return client.request("POST", inbox(name), body, Content_Type="text/calendar")


@pytest.mark.parametrize("organizer", ["", ORGANIZER])
def test_it_is_answered_about_its_owner(u1: Client, u2: Client, organizer: str) -> None:
    u2.put(calendar("u2") + "a.ics", event("a"))
    answer = ask(u1, "u2", organizer=organizer)
    assert answer.status == 200, answer
    data = answer.xpath("string(//C:calendar-data)")
    assert "FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T130000Z" in data
    assert ("ORGANIZER" in data) == bool(organizer)
    assert "Lunch" not in data
    assert messages(u2) == []


def test_about_nobody_else(u1: Client) -> None:
    answer = ask(u1, "u2", "u2", "u3", "stranger")
    assert [one.text.split(";")[0] for one in answer.xpath("//C:request-status")] == ["2.0", "3.8", "3.7"]
    assert len(answer.xpath("//C:calendar-data")) == 1


def test_it_needs_the_privilege(u1: Client, u2: Client) -> None:
    """RFC 6638 section 6.1.4."""
    u2.request("ACL", inbox("u2"), acl(ace("<D:authenticated/>", "C:schedule-deliver-invite")))
    answer = ask(u1, "u2")
    assert answer.conditions == ["need-privileges"]
    assert answer.xpath("string(//D:resource/D:href)") == inbox("u2")
    assert answer.xpath("//D:privilege/C:schedule-query-freebusy")
    u2.request("ACL", inbox("u2"), acl(ace("u1", "C:schedule-query-freebusy")))
    assert ask(u1, "u2").status == 200
    u2.request("ACL", inbox("u2"), acl())
    assert ask(u1, "u2").status == 404


def test_nothing_else_is_taken(u1: Client) -> None:
    assert ask(u1, "u2", method="REPLY").conditions == ["valid-scheduling-message"]
    assert ask(u1, "u2", method="COUNTER").conditions == ["valid-scheduling-message"]
    answer = u1.request("POST", inbox("u2"), "<x/>", Content_Type="application/xml")
    assert answer.conditions == ["supported-calendar-data"]
