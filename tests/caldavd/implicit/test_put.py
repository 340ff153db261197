"""PUT and POST of scheduling objects: the table of RFC 6638 section 3.2.3.1 and the preconditions of section 3.2.4."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.caldavd.client import Answer, Client, event
from tests.caldavd.implicit.scene import (
    answered,
    calendar,
    copy_of,
    empty_inbox,
    line,
    meeting,
    members,
    messages,
    only,
    param,
    reply,
    text,
)

AsUser = Callable[[str | None], Client]
CAL1, CAL2 = calendar("u1"), calendar("u2")
HREF = CAL1 + "m.ics"
WORK = "/calendars/u1/work/"
OVERRIDE = (
    "BEGIN:VEVENT\r\nUID:m\r\nRECURRENCE-ID:20270311T120000Z\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20270311T140000Z\r\n"
    "DURATION:PT1H\r\nSUMMARY:Plan\r\nORGANIZER:mailto:{}@example.org\r\n"
    "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:u2@example.org\r\nEND:VEVENT\r\n"
)


@pytest.fixture
def u3(as_user: AsUser) -> Client:
    return as_user("u3")


@pytest.fixture
def work(u1: Client) -> str:
    """A second calendar of u1."""
    assert u1.request("MKCALENDAR", WORK).status == 201
    return WORK


def refused(answer: Answer, condition: str) -> None:
    assert (answer.status, answer.conditions) == (403, [condition]), answer
    assert answer.xpath("string(/D:error/D:responsedescription)")


# What PUT leads to (the table of section 3.2.3.1)


def test_a_force_send_that_is_not_known(u1: Client, u2: Client) -> None:
    """Section 7.2: SCHEDULE-STATUS "MUST" be 2.3, also where the message was delivered; a failure is told as one."""
    sent = meeting("u2", "nobody").replace("ATTENDEE;PARTSTAT=N", "ATTENDEE;SCHEDULE-FORCE-SEND=X-LOUD;PARTSTAT=N")
    assert u1.put(HREF, sent).status == 201
    body = text(u1, HREF)
    assert "FORCE-SEND" not in body
    assert [param(body, one, "SCHEDULE-STATUS") for one in ("u2", "nobody")] == ["2.3", "5.2"]
    assert u1.put(HREF, body.replace("SUMMARY:Plan", "SUMMARY:Else")).status == 204
    assert param(text(u1, HREF), "u2", "SCHEDULE-STATUS") == "1.2"
    mine = only(u2, CAL2)
    sent = answered(text(u2, mine), "u2", "ACCEPTED").replace("ORGANIZER", "ORGANIZER;SCHEDULE-FORCE-SEND=X-LOUD")
    assert u2.put(mine, sent).status == 204
    assert param(text(u2, mine), "u1", "SCHEDULE-STATUS", of="ORGANIZER") == "2.3"
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "ACCEPTED"


def test_nothing_to_calendar_object(u1: Client, u2: Client) -> None:
    answer = u1.put(HREF, event("m"))
    assert ("ETag" in answer.headers, "Schedule-Tag" in answer.headers) == (True, False)
    assert messages(u2) == []


def test_nothing_to_scheduling_object(u1: Client, u2: Client) -> None:
    answer = u1.put(HREF, meeting("u2"))
    assert ("ETag" in answer.headers, "Schedule-Tag" in answer.headers) == (False, True)
    assert messages(u2) == ["REQUEST"]


def test_calendar_object_to_scheduling_object(u1: Client, u2: Client) -> None:
    u1.put(HREF, event("m"))
    assert "Schedule-Tag" in u1.put(HREF, meeting("u2")).headers
    assert messages(u2) == ["REQUEST"]


def test_scheduling_object_to_calendar_object(u1: Client, u2: Client) -> None:
    """Remove: everybody is told, and what is left has no tag and no status."""
    u1.put(HREF, meeting("u2"))
    empty_inbox(u2)
    answer = u1.put(HREF, event("m"))
    assert (answer.status, "Schedule-Tag" in answer.headers, "ETag" in answer.headers) == (204, False, True)
    assert messages(u2) == ["CANCEL"]
    assert members(u2, CAL2) == []
    assert "Schedule-Tag" not in u1.request("GET", HREF).headers
    assert u1.request("GET", HREF).body.decode() == event("m")


def test_an_attendees_copy_becomes_their_own_event(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    assert u2.put(only(u2, CAL2), event("m")).status == 204
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "DECLINED"


def test_scheduling_object_to_scheduling_object(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(HREF, meeting("u2"))
    empty_inbox(u2)
    assert u1.put(HREF, meeting("u3", more="SEQUENCE:1\r\n")).status == 204
    assert (messages(u2), messages(u3)) == (["CANCEL"], ["REQUEST"])


def test_a_member_added_by_post_is_scheduled_as_well(u1: Client, u2: Client) -> None:
    """RFC 5995 section 3.2: what is demanded of PUT is demanded of POST."""
    answer = u1.request("POST", CAL1, meeting("u2"), Content_Type="text/calendar", Slug="plan")
    assert (answer.status, answer.headers["Location"]) == (201, CAL1 + "plan.ics")
    assert answer.headers["Schedule-Tag"] == u1.request("GET", CAL1 + "plan.ics").headers["Schedule-Tag"]
    assert "ETag" not in answer.headers
    assert messages(u2) == ["REQUEST"]
    again = u1.request("POST", CAL1, meeting("u2"), Content_Type="text/calendar")
    refused(again, "no-uid-conflict")
    assert again.xpath("string(//C:no-uid-conflict/D:href)") == CAL1 + "plan.ics"


def test_return_representation_gives_what_was_stored(u1: Client) -> None:
    """RFC 7240: the client that asks for it needs no GET although the server has written a status."""
    answer = u1.put(HREF, meeting("u2"), Prefer="return=representation")
    assert answer.status == 201
    assert answer.body == u1.request("GET", HREF).body
    assert b"SCHEDULE-STATUS" in answer.body
    assert answer.headers["ETag"] == u1.request("GET", HREF).headers["ETag"]
    assert answer.headers["Schedule-Tag"]


def test_who_is_neither_organizer_nor_attendee_keeps_a_plain_event(u1: Client, u2: Client) -> None:
    """Section 3.1: for instance a meeting of others out of a mail."""
    body = meeting("u2", organizer="u3")
    answer = u1.put(HREF, body)
    assert ("ETag" in answer.headers, "Schedule-Tag" in answer.headers) == (True, False)
    assert u1.request("GET", HREF).body.decode() == body
    assert messages(u2) == []
    assert u1.propfind(HREF, "<C:schedule-tag/>").status_of(HREF, "C:schedule-tag") == 404


def test_no_message_to_the_organizer_who_attends(u1: Client) -> None:
    """Section 3.2.1."""
    u1.put(HREF, meeting("u2"))
    assert messages(u1) == []
    assert param(text(u1, HREF), "u1", "SCHEDULE-STATUS") is None


def test_the_attendees_write_a_meeting_out_of_a_mail(u1: Client, u2: Client) -> None:
    """Section 3.2.2.2: created by the attendee, with an answer in it; the organizer hears of it."""
    u1.put(HREF, meeting("u2"))
    u2.request("DELETE", only(u2, CAL2), Schedule_Reply="F")
    body = answered(meeting("u2"), "u2", "TENTATIVE")
    assert "Schedule-Tag" in u2.put(CAL2 + "mail.ics", body).headers
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "TENTATIVE"
    assert (
        param(text(u2, CAL2 + "mail.ics"), "u1", "SCHEDULE-STATUS", of="ORGANIZER") == "2.0"
        or param(text(u2, CAL2 + "mail.ics"), "u1", "SCHEDULE-STATUS", of="ORGANIZER") == "1.2"
    )


# Preconditions


def test_unique_scheduling_object_resource(u1: Client, work: str) -> None:
    """Section 3.2.4.1, with the URL of the one that is there."""
    u1.put(HREF, meeting("u2"))
    answer = u1.put(work + "other.ics", meeting("u2"))
    refused(answer, "unique-scheduling-object-resource")
    assert answer.xpath("string(//C:unique-scheduling-object-resource/D:href)") == HREF
    assert members(u1, work) == []


def test_an_attendee_finds_what_was_put_there_for_them(u1: Client, u2: Client) -> None:
    """clients.md rule 32: Evolution accepts an invitation out of a mail, which is in the calendar already."""
    u1.put(HREF, meeting("u2"))
    there = only(u2, CAL2)
    accepted = answered(meeting("u2"), "u2", "ACCEPTED")
    answer = u2.put(CAL2 + "m.ics", accepted, If_None_Match="*")
    refused(answer, "no-uid-conflict")
    assert answer.xpath("string(//C:no-uid-conflict/D:href)") == there
    u2.request("MKCALENDAR", "/calendars/u2/work/")
    answer = u2.put("/calendars/u2/work/m.ics", accepted, If_None_Match="*")
    refused(answer, "unique-scheduling-object-resource")
    assert answer.xpath("string(//C:unique-scheduling-object-resource/D:href)") == there


def test_the_same_uid_elsewhere_is_fine_for_what_is_no_scheduling_object(u1: Client, work: str) -> None:
    """clients.md rule 22: Thunderbird copies by PUT of the same UID into another calendar."""
    u1.put(HREF, meeting("u2"))
    assert u1.put(work + "plain.ics", event("m")).status == 201
    assert u1.put(work + "others.ics", meeting("u2", organizer="u3", uid="x")).status == 201
    assert u1.put(CAL1 + "others.ics", meeting("u2", organizer="u3", uid="x")).status == 201
    # A plain event of that UID does not stand in the way of the meeting, either.
    assert u1.put(CAL1 + "y.ics", event("y")).status == 201
    assert u1.put(work + "y.ics", meeting("u2", uid="y")).status == 201


def test_same_organizer_in_all_components(u1: Client) -> None:
    """Section 3.2.4.2."""
    body = meeting("u2", more="RRULE:FREQ=DAILY;COUNT=3\r\n", after=OVERRIDE.format("u3"))
    refused(u1.put(HREF, body), "same-organizer-in-all-components")
    assert u1.put(HREF, meeting("u2", more="RRULE:FREQ=DAILY;COUNT=3\r\n", after=OVERRIDE.format("u1"))).status == 201


def test_allowed_organizer_scheduling_object_change(u1: Client, u2: Client) -> None:
    """Section 3.2.1: the organizer cannot answer for others, nor make somebody else the organizer."""
    u1.put(HREF, meeting("u2"))
    etag = u1.request("GET", HREF).headers["ETag"]
    for_others = answered(text(u1, HREF), "u2", "DECLINED")
    refused(u1.put(HREF, for_others, If_Match=etag), "allowed-organizer-scheduling-object-change")
    handed_over = text(u1, HREF).replace("ORGANIZER:mailto:u1@", "ORGANIZER:mailto:u2@")
    for headers in ({}, {"If_Match": etag}):
        refused(u1.put(HREF, handed_over, **headers), "allowed-organizer-scheduling-object-change")
    assert param(text(u2, only(u2, CAL2)), "u2", "PARTSTAT") == "NEEDS-ACTION"


def test_without_a_condition_the_answers_that_are_known_count(u1: Client, u2: Client) -> None:
    """A client that says nothing of what it knows may have an old answer: it is neither refused nor believed."""
    u1.put(HREF, meeting("u2"))
    reply(u2, "ACCEPTED")
    assert u1.put(HREF, answered(text(u1, HREF), "u2", "DECLINED")).status == 204
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "ACCEPTED"


def test_who_is_new_has_not_answered(u1: Client, u2: Client) -> None:
    """Section 3.2.1, SHOULD: not refused but begun anew, since Evolution copies answers when it splits a series."""
    assert u1.put(HREF, answered(meeting("u2"), "u2", "ACCEPTED")).status == 201
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "NEEDS-ACTION"
    assert param(text(u2, only(u2, CAL2)), "u2", "PARTSTAT") == "NEEDS-ACTION"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SUMMARY:Plan", "SUMMARY:Mine"),
        ("DTSTART:20270310T120000Z", "DTSTART:20270310T130000Z"),
        ("DURATION:PT1H", "DURATION:PT2H"),
        ("SUMMARY:Plan", "SUMMARY:Plan\r\nLOCATION:Here"),
        ("SUMMARY:Plan", "SUMMARY:Plan\r\nRRULE:FREQ=DAILY"),
        ("ORGANIZER:mailto:u1@", "ORGANIZER:mailto:u2@"),
    ],
)
def test_allowed_attendee_scheduling_object_change(u1: Client, u2: Client, old: str, new: str) -> None:
    """Section 3.2.2.1."""
    u1.put(HREF, meeting("u2"))
    href = only(u2, CAL2)
    before = text(u2, href)
    refused(u2.put(href, before.replace(old, new)), "allowed-attendee-scheduling-object-change")
    assert text(u2, href) == before


def test_what_an_attendee_may_change(u1: Client, u2: Client) -> None:
    """The list of section 3.2.2.1."""
    u1.put(HREF, meeting("u2", more="RRULE:FREQ=DAILY;COUNT=5\r\n"))
    href = only(u2, CAL2)
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"
    for old, new in (
        ("END:VEVENT", "TRANSP:TRANSPARENT\r\nEND:VEVENT"),
        ("END:VEVENT", alarm + "END:VEVENT"),
        ("PRODID:", "PRODID:other "),
        ("VERSION:2.0", "VERSION:2.0\r\nCALSCALE:GREGORIAN"),
        ("END:VEVENT", "LAST-MODIFIED:20260102T000000Z\r\nEND:VEVENT"),
        ("END:VEVENT", "EXDATE:20270312T120000Z\r\nEND:VEVENT"),
    ):
        body = text(u2, href)
        assert old in body
        assert u2.put(href, body.replace(old, new, 1)).status == 204, new
    assert "X" not in text(u1, HREF).split("BEGIN:VEVENT")[0]
    # The EXDATE of the attendee is a declined instance with the organizer.
    declined = text(u1, HREF).split("RECURRENCE-ID:20270312T120000Z")[1]
    assert param(declined, "u2", "PARTSTAT") == "DECLINED"


def test_an_attendee_who_stole_a_uid(u1: Client, u2: Client, u3: Client) -> None:
    """Section 11.2, item 5: a UID that is in use with another ORGANIZER."""
    u1.put(HREF, meeting("u2"))
    before = text(u2, only(u2, CAL2))
    answer = u3.put(calendar("u3") + "m.ics", meeting("u2", organizer="u3"))
    assert answer.status == 201
    assert text(u2, only(u2, CAL2)) == before
    assert param(text(u3, calendar("u3") + "m.ics"), "u2", "SCHEDULE-STATUS") not in ("1.2", "2.0")
    # In one's own home it is refused.
    answer = u2.put("/calendars/u2/calendar/x.ics", meeting("u3", organizer="u2"))
    refused(answer, "no-uid-conflict")


def test_nobody_organizes_in_somebody_elses_name(u1: Client, u2: Client, u3: Client) -> None:
    """Section 11.2, item 4: with an ORGANIZER who is not the owner it is no organizer's object, and nothing goes."""
    assert u1.put(HREF, meeting("u2", organizer="u3")).status == 201
    assert (messages(u2), messages(u3)) == ([], [])


def test_an_object_that_cannot_be_read_leaves_everything_as_it_is(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    broken = meeting("u2").replace("DTSTART:20270310T120000Z", "DTSTART:never")
    assert u1.put(HREF, broken).conditions == ["valid-calendar-data"]
    assert messages(u2) == ["REQUEST"]


def test_too_many_attendees(with_limits: Callable[..., Client], u2: Client) -> None:
    """RFC 4791 section 5.3.2.1, which RFC 6638 section 11.1 wants enforced."""
    client = with_limits(max_attendees_per_instance=2)
    refused(client.put(HREF, meeting("u2", "u3")), "max-attendees-per-instance")
    assert messages(u2) == []


def test_a_journal_is_not_scheduled(u1: Client, u2: Client) -> None:
    """RFC 6638 schedules events and to-dos; a VJOURNAL with attendees is stored as it is."""
    body = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VJOURNAL\r\nUID:j\r\nDTSTAMP:20260101T000000Z\r\n"
        "ORGANIZER:mailto:u1@example.org\r\nATTENDEE:mailto:u2@example.org\r\nEND:VJOURNAL\r\nEND:VCALENDAR\r\n"
    )
    u1.request("MKCALENDAR", WORK)
    answer = u1.put(WORK + "j.ics", body)
    assert (answer.status, "ETag" in answer.headers, "Schedule-Tag" in answer.headers) == (201, True, False)
    assert messages(u2) == []


def test_the_same_put_again_sends_nothing_again(u1: Client, u2: Client) -> None:
    """clients.md 2.3: many clients write what they have read, without a change."""
    u1.put(HREF, meeting("u2"))
    empty_inbox(u2)
    before = text(u2, only(u2, CAL2))
    for body in (text(u1, HREF), meeting("u2")):
        assert u1.put(HREF, body).status == 204
    assert text(u2, only(u2, CAL2)) == before
    assert messages(u2) == []
    assert param(text(u1, HREF), "u2", "SCHEDULE-STATUS") == "1.2"


def test_two_people_answer_and_each_sees_the_other(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(HREF, meeting("u2", "u3"))
    reply(u2, "ACCEPTED")
    reply(u3, "DECLINED")
    for client in (u1, u2, u3):
        href = copy_of(client)
        assert href is not None
        body = text(client, href)
        assert (param(body, "u2", "PARTSTAT"), param(body, "u3", "PARTSTAT")) == ("ACCEPTED", "DECLINED")
    assert line(text(u1, HREF), "u1")
    assert messages(u1) == ["REPLY", "REPLY"]
