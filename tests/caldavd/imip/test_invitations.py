"""Invitations from outside: into the calendar, and the answer out again; what is not believed, asked for or wanted."""

from __future__ import annotations

from collections.abc import Callable

from scheduling.imip.fates import Fate
from tests.caldavd.imip.scene import CARL, Office, accept, itip, reply
from tests.scheduling.mail.smtp import Sink

#: An address with a signature in it, as another server makes them: it may tell upper from lower case.
SIGNED = "2_GEYDAMZSGUZTEMJZHAYTAMBTGIHBWKBU5KW77255PCEUBRBCUM6JCZTL4M6OFWEBGARO3XW5VISXU@imip.me.example"


def invitation(
    method: str = "REQUEST", *, sequence: int = 0, extra: str = "", author: str = CARL, hour: int = 12, **more: object
) -> bytes:
    body = (
        f"ORGANIZER;CN=Carl:mailto:{CARL}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{CARL}\r\n"
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:u2@example.org\r\nSUMMARY:Lunch\r\n{extra}"
    )
    times = f"DTSTART:20260310T{hour}0000Z\r\nDURATION:PT1H\r\n"
    return itip(method, body, author=author, uid="lunch", sequence=sequence, times=times, **more)  # type: ignore[arg-type]


def test_the_whole_round(mailing: Office, sink: Sink) -> None:
    """Invited from outside, accepted here, answered by mail, moved and cancelled from outside."""
    assert mailing.receive(invitation(), "u2@example.org").fate is Fate.APPLIED
    assert "SUMMARY:Lunch" in mailing.object("u2")
    accept(mailing)
    mailing.worker.drain()
    ((recipient, mail),) = sink.mails
    assert recipient == CARL
    assert mail["Reply-To"] == "Name of u2 <u2@example.org>", "whoever answers an answer writes to a person"
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert calendar.get_param("method") == "REPLY"
    assert "PARTSTAT=ACCEPTED" in calendar.get_content()
    assert "SCHEDULE-STATUS=1.1" in mailing.line(CARL, user="u2", name="ORGANIZER")
    assert (
        mailing.receive(invitation(hour=15, sequence=1, stamp="20260303T080000Z"), "u2@example.org").fate
        is Fate.APPLIED
    )
    assert "DTSTART:20260310T150000Z" in mailing.object("u2")
    assert (
        mailing.receive(invitation("CANCEL", sequence=2, stamp="20260304T080000Z"), "u2@example.org").fate
        is Fate.APPLIED
    )
    assert mailing.objects("u2") == []
    assert len(sink.mails) == 1


def test_a_signed_address_of_another_server_is_answered_as_it_is_written(mailing: Office, sink: Sink) -> None:
    body = (
        f"ORGANIZER;CN=Frida;EMAIL=frida@icloud.example:mailto:{SIGNED}\r\n"
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:u2@example.org\r\nSUMMARY:Coffee\r\n"
    )
    assert mailing.receive(itip("REQUEST", body, author=SIGNED, uid="lunch"), "u2@example.org").fate is Fate.APPLIED
    accept(mailing)
    mailing.worker.drain()
    ((recipient, mail),) = sink.mails
    assert recipient == SIGNED
    assert mail["To"] == f"Frida <{SIGNED}>"
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert f"mailto:{SIGNED}" in calendar.get_content().replace("\r\n ", "").replace("\n ", "")


def test_the_same_invitation_twice_and_late(office: Office) -> None:
    office.receive(invitation(sequence=1, hour=15), "u2@example.org")
    first = office.object("u2")
    office.receive(invitation(sequence=1, hour=15), "u2@example.org")
    office.receive(invitation(sequence=0, hour=12), "u2@example.org")
    assert office.object("u2") == first
    assert len(office.objects("u2", collection="inbox")) == 1


def test_a_cancellation_that_comes_before_its_invitation(office: Office) -> None:
    """RFC 5546 5.2.1, 4.2.9."""
    assert office.receive(invitation("CANCEL", sequence=1), "u2@example.org").fate is Fate.APPLIED
    assert office.objects("u2") == []


def test_somebody_else_invites_in_their_name(office: Office) -> None:
    assert office.receive(invitation(author="evil@else.example"), "u2@example.org").fate is Fate.HELD
    assert office.objects("u2") == []
    office.receive(invitation(), "u2@example.org")
    before = office.object("u2")
    assert (
        office.receive(invitation("CANCEL", sequence=1, author="evil@else.example"), "u2@example.org").fate is Fate.HELD
    )
    forged = invitation("CANCEL", sequence=1, author="evil@else.example").replace(
        f"ORGANIZER;CN=Carl:mailto:{CARL}".encode(), b"ORGANIZER:mailto:evil@else.example"
    )
    assert office.receive(forged, "u2@example.org").fate is Fate.APPLIED, "of a meeting of their own, which u2 has not"
    assert office.log("lunch")[-1].status == "3.8"
    by_email = invitation("CANCEL", sequence=1, author="evil@else.example").replace(
        b"ORGANIZER;CN=Carl", b"ORGANIZER;EMAIL=evil@else.example"
    )
    assert office.receive(by_email, "u2@example.org").fate is Fate.HELD
    sent_by = invitation("CANCEL", sequence=1, author="evil@else.example").replace(
        b"ORGANIZER;CN=Carl", b'ORGANIZER;SENT-BY="mailto:evil@else.example"'
    )
    assert office.receive(sent_by, "u2@example.org").fate is Fate.HELD
    assert office.object("u2") == before


def test_an_organizer_who_lives_here_does_not_invite_by_mail(office: Office) -> None:
    mail = invitation(author="u1@example.org").replace(CARL.encode(), b"u1@example.org")
    assert office.receive(mail, "u2@example.org").fate is Fate.HELD
    vouched = b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.org\r\n" + mail
    assert office.receive(vouched, "u2@example.org").fate is Fate.APPLIED


def test_whom_it_does_not_name(office: Office) -> None:
    """It may have come over a list: the person decides."""
    assert office.receive(invitation(), "u3@example.org").fate is Fate.APPLIED
    assert office.objects("u3") == []
    assert len(office.objects("u3", collection="inbox")) == 1


def test_mail_for_the_server_itself_finds_the_one_who_is_invited(office: Office) -> None:
    assert office.receive(invitation(), "calendar@example.org").fate is Fate.APPLIED
    assert "SUMMARY:Lunch" in office.object("u2")
    two = invitation(extra="ATTENDEE;RSVP=TRUE:mailto:u3@example.org\r\n")
    assert office.receive(two, "calendar@example.org").fate is Fate.HELD, "one of two, and nobody says which"
    assert office.receive(two.replace(b"To: u1@", b"To: u3@"), "calendar@example.org").fate is Fate.APPLIED
    assert "SUMMARY:Lunch" in office.object("u3")


def test_what_is_published_is_put_into_nobodys_calendar(office: Office) -> None:
    """RFC 5546 3.2.1."""
    mail = itip("PUBLISH", f"ORGANIZER:mailto:{CARL}\r\nSUMMARY:Buy this\r\n", author=CARL, uid="lunch")
    assert office.receive(mail, "u2@example.org").fate is Fate.APPLIED
    assert office.objects("u2") == []
    assert office.objects("u2", collection="inbox") == []
    assert office.log("lunch")[-1].destination == "nowhere"


def test_invitations_can_be_looked_at_first(office_with: Callable[..., Office]) -> None:
    office = office_with(invitations="hold")
    assert office.receive(invitation(), "u2@example.org").fate is Fate.HELD
    (held,) = office.held()
    assert office.reception.apply_held(invitation(), held.recipient).fate is Fate.APPLIED
    assert office.receive(invitation(hour=15, sequence=1), "u2@example.org").fate is Fate.APPLIED, "it is known by now"
    assert "T150000Z" in office.object("u2")


def test_an_instance_is_added_and_a_proposal_is_declined(office: Office) -> None:
    office.receive(invitation(extra="RRULE:FREQ=WEEKLY;COUNT=2\r\n"), "u2@example.org")
    added = itip(
        "ADD",
        f"ORGANIZER:mailto:{CARL}\r\nATTENDEE:mailto:u2@example.org\r\nSUMMARY:Lunch\r\n",
        author=CARL,
        uid="lunch",
        sequence=1,
        times="DTSTART:20260312T120000Z\r\nDURATION:PT1H\r\n",
    )
    assert office.receive(added, "u2@example.org").fate is Fate.APPLIED
    assert "20260312T120000Z" in office.object("u2")
    declined = invitation("DECLINECOUNTER", sequence=1)
    before = office.object("u2")
    assert office.receive(declined, "u2@example.org").fate is Fate.APPLIED
    assert office.object("u2") == before
    assert any("METHOD:DECLINECOUNTER" in one for one in office.objects("u2", collection="inbox"))


def test_a_room_is_booked_by_mail(mailing: Office, sink: Sink) -> None:
    mail = invitation().replace(b"mailto:u2@example.org", b"mailto:room1@example.org")
    assert mailing.receive(mail, "room1@example.org").fate is Fate.APPLIED
    mailing.worker.drain()
    ((recipient, answer),) = sink.mails
    assert recipient == CARL
    calendar = next(part for part in answer.walk() if part.get_content_type() == "text/calendar")
    assert "PARTSTAT=ACCEPTED" in calendar.get_content()


def test_several_meetings_in_one_mail(office: Office) -> None:
    """RFC 6047 2.4, 4.4, 4.5: all of them are processed."""
    other = invitation()
    calendar = other.partition(b"\r\n\r\n")[2]
    second = calendar.replace(b"UID:lunch", b"UID:dinner").replace(b"SUMMARY:Lunch", b"SUMMARY:Dinner")
    event = second[second.index(b"BEGIN:VEVENT") : second.index(b"END:VCALENDAR")]
    both = other.replace(b"END:VCALENDAR", event + b"END:VCALENDAR")
    assert office.receive(both, "u2@example.org").fate is Fate.APPLIED
    assert sorted("SUMMARY:Dinner" in one for one in office.objects("u2")) == [False, True]
    assert all(one.count("BEGIN:VEVENT") == 1 for one in office.objects("u2"))


def test_mail_to_a_group_is_for_its_members(office: Office) -> None:
    assert not office.reception.accepts("staff@example.org")
    assert office.receive(reply(CARL), "staff@example.org").fate is Fate.NOBODY
