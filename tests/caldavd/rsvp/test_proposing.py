"""Another time is proposed, carried to the organizer, and decided (RFC 5546 sections 3.2.7 and 3.2.8), each way."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scheduling.delivery.running import run_locked
from scheduling.itip import received
from tests.caldavd.client import Answer
from tests.caldavd.rsvp.conftest import CARLA, Office, Page, links_in, meeting

Invited = Callable[..., Page]
DAILY = "RRULE:FREQ=DAILY;COUNT=5\r\n"
U1 = "u1@example.org"
U2 = "u2@example.org"
FAR = "far@far.example"
LATER = {"begin_date": "2027-03-11", "begin_time": "09:30", "end_date": "2027-03-11", "end_time": "10:15"}


def proposed(invited: Invited, office: Office, *attendees: str, more: str = "", **changed: str) -> dict[str, str]:
    """Carla proposes; the links in the organizer's mail."""
    after = invited(*attendees, link="propose", more=more).send(**({"do": "propose"} | LATER | changed))
    assert after.status == 200, after.text
    assert "Your proposal has been passed on to Name of u1." in after.text
    return office.links(U1)


def lines(text: str, *names: str) -> list[str]:
    """Those of the calendar and its events; not of the time zones, which come with a message."""
    text = re.sub(r"BEGIN:VTIMEZONE\n.*?END:VTIMEZONE\n", "", text, flags=re.DOTALL)
    return [line for line in text.splitlines() if line.startswith(names)]


def methods(office: Office, user: str) -> list[str]:
    return sorted(line for item in office.inbox(user) for line in lines(item, "METHOD:"))


# --- proposing on the page


def test_the_form_has_the_time_of_the_meeting(invited: Invited, office: Office) -> None:
    page = invited(link="propose")
    assert page.status == 200
    assert {name: page.fields[name] for name in LATER} == {
        "begin_date": "2027-03-10", "begin_time": "14:00", "end_date": "2027-03-10", "end_time": "15:00",
    }  # fmt: skip
    assert "Time zone: Europe/Berlin." in page.text
    there = office.page(f"{page.path}?zone=America/New_York")
    assert (there.fields["begin_time"], there.fields["zone"]) == ("08:00", "America/New_York")


def test_a_proposal_waits_in_the_inbox_and_is_mailed_to_the_organizer(invited: Invited, office: Office) -> None:
    page = invited(U2, link="propose")
    before = (office.text(), office.text("u2"))
    page.send(do="propose", comment="Rather on Thursday", **LATER)
    assert (office.text(), office.text("u2")) == before
    (item,) = office.inbox("u1")
    assert lines(item, "METHOD", "DTSTART", "DTEND", "COMMENT") == [
        "METHOD:COUNTER",
        "DTSTART;TZID=Europe/Berlin:20270311T093000",
        "DTEND;TZID=Europe/Berlin:20270311T101500",
        "COMMENT:Rather on Thursday",
    ]
    ((to, mail),) = office.mails()
    assert (to, mail["Reply-To"], mail["Subject"]) == (U1, f"Carla <{CARLA}>", "Another time proposed: Plan <b>A</b>")
    plain = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Thursday, 11 March 2027, 09:30" in plain
    assert "was: Wednesday, 10 March 2027, 14:00" in plain
    assert "Rather on Thursday" in plain
    assert set(links_in(mail)) == {"agree", "refuse"}
    (calendar,) = (part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert calendar.get_param("method") == "COUNTER"
    statuses = [entry.status for entry in office.log() if entry.method == "COUNTER"]
    assert "inbox of u1" in {entry.destination for entry in office.log() if entry.method == "COUNTER"}
    assert sorted(statuses) == ["1.0", "1.1", "1.2"]
    assert office.text() == before[0]  # what became of the mail to the organizer is written on nobody's object


def test_in_another_zone(invited: Invited, office: Office) -> None:
    page = office.page(f"{invited(link='propose').path}?zone=America/New_York")
    page.send(do="propose", **LATER)
    assert "DTSTART;TZID=Europe/Berlin:20270311T153000" in office.inbox("u1")[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"begin_date": "11.3.2027"}, "write both dates like 2027-01-31"),
        ({"begin_time": ""}, "write both dates like 2027-01-31"),
        ({"end_time": "25:00"}, "write both dates like 2027-01-31"),
        ({"begin_time": "09:30+01:00"}, "write both dates like 2027-01-31"),
        ({"end_time": "09:30"}, "The end has to be after the beginning."),
        ({"end_date": "2027-03-10"}, "The end has to be after the beginning."),
        ({"begin_date": "2020-03-11", "end_date": "2020-03-11"}, "is over already"),
        ({"begin_date": "2127-03-11", "end_date": "2127-03-11"}, "too far away"),
        ({"begin_date": "2027-03-28", "begin_time": "02:30", "end_date": "2027-03-28"}, "clocks are put forward"),
        ({"begin_date": "2027-03-10", "begin_time": "14:00", "end_date": "2027-03-10", "end_time": "15:00"}, "is now"),
        ({"comment": "x" * 3000}, "2000 characters"),
    ],
)
def test_what_cannot_be_proposed_is_said_and_the_form_is_kept(
    invited: Invited, office: Office, changed: dict[str, str], said: str
) -> None:
    after = invited(link="propose").send(**({"do": "propose", "comment": "please"} | LATER | changed))
    assert after.status == 422
    assert said in after.text
    assert after.tree.xpath("//*[@role='alert']")
    kept = LATER | {"comment": "please"} | changed
    assert {name: after.fields[name] for name in kept} == kept
    assert office.inbox("u1") == []


def test_days_are_proposed_for_what_is_bound_to_days(office: Office) -> None:
    text = meeting().replace("DTSTART;TZID=Europe/Berlin:20270310T140000", "DTSTART;VALUE=DATE:20270310")
    office.put(text.replace("DTEND;TZID=Europe/Berlin:20270310T150000", "DTEND;VALUE=DATE:20270312"))
    page = office.page(office.links()["propose"])
    assert (page.fields["begin_date"], page.fields["end_date"]) == ("2027-03-10", "2027-03-11")
    assert "begin_time" not in page.fields
    page.send(do="propose", begin_date="2027-03-17", end_date="2027-03-17")
    assert lines(office.inbox("u1")[0], "DTSTART", "DTEND") == [
        "DTSTART;VALUE=DATE:20270317",
        "DTEND;VALUE=DATE:20270318",
    ]
    office.page(office.links(U1)["agree"]).send(do="agree")
    assert lines(office.text(), "DTSTART", "DTEND") == ["DTSTART;VALUE=DATE:20270317", "DTEND;VALUE=DATE:20270318"]


def test_what_has_been_changed_meanwhile_is_shown_again(invited: Invited, office: Office) -> None:
    page = invited(link="propose")
    office.put(meeting(start="20270312T140000", end="20270312T150000"))
    after = page.send(do="propose", **LATER)
    assert after.status == 409
    assert "has just been changed" in after.text
    assert office.inbox("u1") == []


def test_not_without_end(invited: Invited, office: Office) -> None:
    page = invited(link="propose")
    answers = [
        page.send(**({"do": "propose"} | LATER | {"end_time": f"{n // 60 + 10}:{n % 60:02}"})) for n in range(40)
    ]
    assert [one.status for one in answers[:20]] == [200] * 20
    assert (answers[-1].status, "write a mail to Name of u1." in answers[-1].text) == (429, True)
    assert len(office.inbox("u1")) < 40


# --- deciding


def test_the_organizer_agrees(invited: Invited, office: Office) -> None:
    links = proposed(invited, office, U2)
    page = office.page(links["agree"])
    assert page.status == 200
    assert "Carla proposes another time" in page.text
    assert "Thursday, 11 March 2027, 09:30-10:15" in page.text
    after = page.send(do="agree")
    assert "has been moved" in after.text
    assert lines(office.text(), "DTSTART", "DTEND", "SEQUENCE") == [
        "SEQUENCE:1",
        "DTSTART;TZID=Europe/Berlin:20270311T093000",
        "DTEND;TZID=Europe/Berlin:20270311T101500",
    ]
    assert "DTSTART;TZID=Europe/Berlin:20270311T093000" in office.text("u2")
    ((to, mail),) = office.mails()
    assert (to, mail["Subject"]) == (CARLA, "Updated: Plan <b>A</b>")
    assert methods(office, "u1") == []
    again = page.send(do="agree")
    assert (again.status, "not waiting any more" in again.text) == (410, True)
    assert office.page(links["refuse"]).status == 410
    assert "SEQUENCE:1" in office.text()
    assert office.mails() == []


def test_the_organizer_declines(invited: Invited, office: Office) -> None:
    links = proposed(invited, office, U2)
    before = office.text()
    after = office.page(links["refuse"]).send(do="refuse")
    assert "Carla has been told that the meeting stays as it is" in after.text
    assert office.text() == before
    ((to, mail),) = office.mails()
    assert (to, mail["Subject"]) == (CARLA, "Proposal declined: Plan <b>A</b>")
    assert methods(office, "u1") == []
    assert office.page(links["refuse"]).status == 410
    assert office.page(links["agree"]).status == 410
    assert [one.recipient for one in office.log() if one.method == "DECLINECOUNTER"] == [f"mailto:{CARLA}"] * 2


def test_both_buttons_at_once(invited: Invited, office: Office) -> None:
    page = office.page(proposed(invited, office, U2)["agree"])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda do: page.send(do=do).status, ["agree", "refuse", "agree", "refuse"]))
    assert sorted(answers) == [200, 410, 410, 410]


def test_a_proposal_to_what_has_been_changed_is_out_of_date(invited: Invited, office: Office) -> None:
    links = proposed(invited, office, U2)
    page = office.page(links["agree"])
    office.put(meeting(U2, start="20270312T140000", end="20270312T150000"))
    office.mails()
    for after in (page.send(do="agree"), office.page(links["agree"])):
        assert (after.status, "out of date" in after.text) == (409, True)
    assert "20270312T140000" in office.text()


def test_one_date_of_a_series_is_moved(invited: Invited, office: Office) -> None:
    page = invited(U2, link="propose", more=DAILY)
    third = next(value for name, value in page.options.items() if "12 March" in name)
    page.send(**{"do": "propose", "for": third} | LATER)
    after = office.page(office.links(U1)["agree"]).send(do="agree")
    assert after.status == 200
    assert lines(office.text(), "DTSTART", "RECURRENCE-ID", "RRULE") == [
        "DTSTART;TZID=Europe/Berlin:20270310T140000",
        "RRULE:FREQ=DAILY;COUNT=5",
        "DTSTART;TZID=Europe/Berlin:20270311T093000",
        "RECURRENCE-ID;TZID=Europe/Berlin:20270312T140000",
    ]
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20270312T140000" in office.text("u2")


def test_a_room_that_is_not_free_then_is_named(invited: Invited, office: Office) -> None:
    taken = meeting("room1@example.org", start="20270311T093000", end="20270311T101500").replace("UID:m", "UID:n")
    office.put(taken.replace(f"ATTENDEE;RSVP=TRUE;CN=Carla:mailto:{CARLA}\r\n", ""), name="n.ics")
    links = proposed(invited, office, "room1@example.org", U2)
    page = office.page(links["agree"])
    # The organizer has the other meeting, too.
    assert "Not free at that time: Name of u1, room1@example.org." in page.text.replace(U1, "Name of u1")
    after = page.send(do="agree")
    assert "has been moved" in after.text
    assert "Not free at that time: room1@example.org." in after.text


def test_only_when_and_where_are_taken_over(office: Office) -> None:
    office.put(meeting(U2))
    office.mails()
    text = meeting(U2, start="20270311T093000", end="20270311T101500").replace("Plan <b>A</b>", "Plan B")
    arrived(office, text.replace("Room 5", "Room 6"), "COUNTER", sender=CARLA, recipient=U1)
    page = office.page(office.links(U1)["agree"])
    assert "Plan <b>A</b>" in page.text
    assert "Plan B" not in page.text
    assert "Room 6 (was: Room 5)" in page.text
    page.send(do="agree")
    assert lines(office.text(), "SUMMARY", "LOCATION") == ["SUMMARY:Plan <b>A</b>", "LOCATION:Room 6"]


def test_what_a_proposal_leaves_out_is_no_change(office: Office) -> None:
    office.put(meeting(U2, more="DESCRIPTION:Bring numbers\r\n").replace("LOCATION:Room 5\r\n", ""))
    office.mails()
    # Exchange has a title of its own, the proposer alone, and neither description nor place.
    text = meeting(start="20270311T093000", end="20270311T101500").replace(
        "SUMMARY:Plan", "SUMMARY:New Time Proposed: Plan"
    )
    arrived(office, text.replace("LOCATION:Room 5\r\n", ""), "COUNTER", sender=CARLA, recipient=U1)
    ((_, mail),) = office.mails()
    assert mail["Subject"] == "Another time proposed: Plan <b>A</b>"
    plain = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Changed: When." in plain.splitlines()
    assert "Bring numbers" in plain
    page = office.page(links_in(mail)["agree"])
    assert page.text.count("was:") == 1
    page.send(do="agree")
    assert lines(office.text(), "SUMMARY", "DESCRIPTION") == ["SUMMARY:Plan <b>A</b>", "DESCRIPTION:Bring numbers"]


def test_a_place_is_proposed_where_there_was_none(office: Office) -> None:
    office.put(meeting(U2).replace("LOCATION:Room 5\r\n", ""))
    office.mails()
    arrived(office, meeting(U2).replace("Room 5", r"Room 6\, left"), "COUNTER", sender=CARLA, recipient=U1)
    page = office.page(office.links(U1)["agree"])
    assert "Room 6, left (was: nothing)" in page.text
    page.send(do="agree")
    assert lines(office.text(), "LOCATION") == [r"LOCATION:Room 6\, left"]


def test_what_cannot_be_agreed_to_is_not_mailed(office: Office) -> None:
    office.put(meeting(U2))
    office.put(meeting(U2, start="20270312T140000", end="20270312T150000"))
    office.mails()
    moved = meeting(U2, start="20270311T093000", end="20270311T101500")
    arrived(office, moved, "COUNTER", sender=CARLA, recipient=U1)  # to the first revision
    assert U1 not in [to for to, _ in office.mails()]
    stranger = moved.replace(CARLA, "eve@far.example").replace("SUMMARY", "SEQUENCE:9\r\nSUMMARY")
    arrived(office, stranger, "COUNTER", sender="eve@far.example", recipient=U1)
    assert office.mails() == []


def test_an_attendee_cannot_decide(invited: Invited, office: Office) -> None:
    page = invited(link="accept")
    assert page.send(do="agree").status == 400
    office.page(page.path.replace("accept", "propose")).send(do="propose", **LATER)
    links = office.links(U1)
    assert links["agree"].split("/")[2] != page.path.split("/")[2]
    assert "14:00-15:00" in office.page(page.path.replace("accept", "agree")).text
    assert page.send(do="agree").status == 400
    assert "20270310T140000" in office.text()


# --- other ways


def posted(office: Office, user: str, method: str, text: str, **headers: str) -> Answer:
    """POST of an iTIP message, made of a whole object, to the outbox of ``user``."""
    body = text.replace("VERSION:2.0", f"VERSION:2.0\r\nMETHOD:{method}", 1)
    return office.client(user).request(
        "POST", f"/calendars/{user}/outbox/", body, Content_Type="text/calendar", **headers
    )


def test_somebody_here_proposes_by_the_outbox_and_is_declined(office: Office) -> None:
    office.put(meeting(U2))
    office.mails()
    answer = posted(office, "u2", "COUNTER", meeting(U2, start="20270311T093000", end="20270311T101500"))
    assert answer.status == 200, answer.body
    assert answer.xpath("string(//C:request-status)") == "2.0;Success"
    assert methods(office, "u1") == ["METHOD:COUNTER"]
    office.page(office.links(U1)["refuse"]).send(do="refuse")
    assert methods(office, "u2") == ["METHOD:DECLINECOUNTER", "METHOD:REQUEST"]
    ((to, mail),) = office.mails()
    assert (to, mail["Subject"]) == (U2, "Proposal declined: Plan <b>A</b>")
    assert {one.status for one in office.log() if one.method == "DECLINECOUNTER"} == {"1.0", "1.1", "1.2"}


def test_who_proposes_is_called_as_in_the_organizers_meeting(office: Office) -> None:
    """Clients leave CN out of what they post."""
    office.put(meeting(U2).replace(f"RSVP=TRUE:mailto:{U2}", f"RSVP=TRUE;CN=Bob Brown:mailto:{U2}"))
    office.mails()
    later = meeting(U2, start="20270311T093000", end="20270311T101500")
    assert posted(office, "u2", "COUNTER", later).status == 200
    ((to, mail),) = office.mails()
    assert (to, mail["From"].partition(" <")[0]) == (U1, "Bob Brown")
    assert mail.get_body(("plain",)).get_content().startswith("Bob Brown proposes a change.")  # type: ignore[union-attr]


def test_the_same_proposal_by_the_outbox_twice_is_one(office: Office) -> None:
    office.put(meeting(U2))
    office.mails()
    text = meeting(U2, start="20270311T093000", end="20270311T101500")
    assert [posted(office, "u2", "COUNTER", text).status for _ in range(2)] == [200, 200]
    assert methods(office, "u1") == ["METHOD:COUNTER"]
    assert len(office.mails()) == 1


def test_the_organizer_declines_by_the_outbox(office: Office) -> None:
    office.put(meeting(U2, "u3@example.org"))
    office.mails()
    text = meeting(U2, "u3@example.org")
    answer = posted(office, "u1", "DECLINECOUNTER", text)
    assert answer.status == 400  # to whom?
    assert answer.conditions == ["valid-scheduling-message"]
    assert posted(office, "u1", "DECLINECOUNTER", text, Recipient=f"mailto:{U2}").status == 200
    assert methods(office, "u2") == ["METHOD:DECLINECOUNTER", "METHOD:REQUEST"]
    assert methods(office, "u3") == ["METHOD:REQUEST"]


def test_a_refresh_by_the_outbox_brings_the_meeting_again(office: Office) -> None:
    office.put(meeting(U2))
    answer = posted(office, "u2", "REFRESH", meeting(U2))
    assert answer.status == 200, answer.body
    assert methods(office, "u1") == []
    assert [entry.recipient for entry in office.log() if entry.method == "REFRESH"] == [f"mailto:{U1}"]


def test_nobody_proposes_for_others(office: Office) -> None:
    office.put(meeting(U2))
    moved = meeting(U2, start="20270311T093000", end="20270311T101500")
    for user, method, text, condition in (
        ("u3", "COUNTER", moved, "valid-scheduling-message"),  # has no such meeting
        ("u2", "COUNTER", moved.replace(U1, "u3@example.org"), "valid-organizer"),
        ("u2", "DECLINECOUNTER", moved, "valid-organizer"),
        ("u2", "COUNTER", moved.replace(U2, "u3@example.org"), "valid-scheduling-message"),
        ("u2", "COUNTER", moved.replace("ORGANIZER;CN=Una:mailto:u1@example.org\r\n", ""), "valid-organizer"),
        ("u2", "COUNTER", moved.replace("END:VEVENT", "END:VTODO"), "valid-calendar-data"),
    ):
        answer = posted(office, user, method, text)
        assert (answer.status in (400, 403), answer.conditions) == (True, [condition]), (user, method, answer.body)
    assert methods(office, "u1") == []
    answer = office.client("u3").request(
        "POST", "/calendars/u2/outbox/", moved.replace("VERSION:2.0", "METHOD:COUNTER"), Content_Type="text/calendar"
    )
    assert answer.status in (403, 404)


def test_somebody_here_proposes_to_an_organizer_elsewhere(office: Office) -> None:
    theirs = meeting(U2).replace(U1, FAR)
    arrived(office, theirs, "REQUEST", sender=FAR, recipient=U2)
    moved = theirs.replace("20270310T", "20270311T")
    assert posted(office, "u2", "COUNTER", moved).status == 200
    ((to, mail),) = office.mails()
    assert (to, mail["Subject"], mail["Reply-To"]) == (
        FAR, "Another time proposed: Plan <b>A</b>", f"Name of u2 <{U2}>",
    )  # fmt: skip
    assert "/rsvp/" not in mail.as_string()  # the meeting is not kept here
    arrived(office, theirs, "DECLINECOUNTER", sender=FAR, recipient=U2)
    assert methods(office, "u2") == ["METHOD:DECLINECOUNTER", "METHOD:REQUEST"]
    assert [to for to, _ in office.mails()] == [U2]


def arrived(office: Office, text: str, method: str, *, sender: str, recipient: str) -> str:
    """A message from elsewhere; returns its status."""
    body = text.replace("VERSION:2.0", f"VERSION:2.0\r\nMETHOD:{method}", 1).encode()
    message = received(body, sender=f"mailto:{sender}", recipient=f"mailto:{recipient}", now=datetime.now(UTC))
    scheduler = office.application.scheduler
    assert scheduler is not None
    return run_locked(office.store, (), lambda tx, held: scheduler.receive(tx, message, held=held)).status


def test_a_proposal_that_comes_by_mail_is_decided_on_the_page(office: Office) -> None:
    office.put(meeting(U2))
    office.mails()
    # As Outlook writes them: in UTC, with DURATION.
    text = meeting(U2).replace("DTSTART;TZID=Europe/Berlin:20270310T140000", "DTSTART:20270311T083000Z")
    text = text.replace("DTEND;TZID=Europe/Berlin:20270310T150000", "DURATION:PT45M")
    assert [arrived(office, text, "COUNTER", sender=CARLA, recipient=U1) for _ in range(2)] == ["1.2", "1.2"]
    assert methods(office, "u1") == ["METHOD:COUNTER"]
    office.page(office.links(U1)["agree"]).send(do="agree")
    assert lines(office.text(), "DTSTART", "DTEND") == [
        "DTSTART;TZID=Europe/Berlin:20270311T093000",
        "DTEND;TZID=Europe/Berlin:20270311T101500",
    ]


def test_without_mail_a_proposal_waits_in_the_inbox(office: Office) -> None:
    assert office.application.scheduler is not None
    office.application = replace(office.application, scheduler=replace(office.application.scheduler, postbox=None))
    office.put(meeting(U2))
    assert posted(office, "u2", "COUNTER", meeting(U2, start="20270311T093000", end="20270311T101500")).status == 200
    assert methods(office, "u1") == ["METHOD:COUNTER"]
    assert office.mails() == []
