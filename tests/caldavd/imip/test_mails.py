"""Mails as Gmail, Exchange, Outlook, Apple, Zimbra and Thunderbird send them (``tests/mails``, one case a file)."""

from __future__ import annotations

import pytest

from caldavd.app import Application
from scheduling.imip.fates import Fate
from scheduling.imip.mime import read
from scheduling.imip.objects import objects_in
from storage.store import Store
from tests.caldavd.imip.scene import CARL, DORA, EMIL, GERD, HANNA, IDA, MAILS, Office, mail_bytes, meeting

#: Answers: the file, who answers, what the organizer's object says then.
ANSWERS = [
    ("gmail-reply-accepted.eml", CARL, "ACCEPTED"),
    ("gmail-reply-declined-with-comment.eml", CARL, "DECLINED"),
    ("exchange-online-reply-accepted.eml", DORA, "ACCEPTED"),
    ("outlook-reply-accepted.eml", EMIL, "ACCEPTED"),
    ("apple-mail-reply-accepted.eml", GERD, "ACCEPTED"),
    ("zimbra-reply-accepted.eml", HANNA, "ACCEPTED"),
    ("thunderbird-reply-declined.eml", IDA, "DECLINED"),
]
#: Proposals, left in the inbox of the organizer.
COUNTERS = [("exchange-online-counter.eml", DORA), ("zimbra-counter.eml", HANNA)]
#: Invitations to u2: the file, whose (as the ORGANIZER line ends), the summary, the first DTSTART.
INVITATIONS = [
    ("gmail-invitation.eml", "mailto:carl.c@gmail.example", "Lunch", "20260310T120000Z"),
    ("exchange-online-invitation.eml", "mailto:dora@firm.example", "Jahresplanung", "20260310T130000"),
    ("outlook-invitation-latin1.eml", "mailto:emil@firm.example", "Übergabe", "20260310T130000"),
]


def test_every_file_has_a_test() -> None:
    source = "".join(one.read_text("utf-8") for one in MAILS.parent.rglob("test_*.py"))
    missing = [one.name for one in MAILS.glob("*.eml") if one.name not in source]
    assert not missing
    told = (MAILS / "README.md").read_text("utf-8")
    assert [one.name for one in MAILS.glob("*.eml") if one.name not in told] == []


@pytest.mark.parametrize(("file", "who", "partstat"), ANSWERS)
def test_an_answer(office: Office, file: str, who: str, partstat: str) -> None:
    office.put(meeting("u2@example.org", who))
    outcome = office.receive(file, office.tagged(who))
    assert outcome.fate is Fate.APPLIED, outcome
    assert f"PARTSTAT={partstat};" in office.line(who)
    assert "SCHEDULE-STATUS=2.0" in office.line(who)
    if partstat == "ACCEPTED":
        assert f"PARTSTAT={partstat}" in office.line(who, user="u2"), "the other attendee sees it"
    told = [one for one in office.log() if one.method == "REPLY"]
    assert [(one.actor, one.recipient, one.status) for one in told] == [
        (f"mailto:{who}", "mailto:u1@example.org", "1.2")
    ]
    assert told[0].destination == "calendar of u1: update"
    assert told[0].reason.startswith("By mail. From is the attendee who answers.")


@pytest.mark.parametrize(("file", "who", "partstat"), [one for one in ANSWERS if "exchange" not in one[0]])
def test_an_answer_to_the_organizers_own_address(office: Office, file: str, who: str, partstat: str) -> None:
    office.put(meeting(who))
    assert office.receive(file, "u1@example.org").fate is Fate.APPLIED
    assert f"PARTSTAT={partstat};" in office.line(who)


def test_exchange_says_no_organizer_and_is_understood_by_the_recipient(office: Office) -> None:
    """Exchange leaves ORGANIZER out of its answers: nextcloud/server#53949, nextcloud/server#58904."""
    assert b"ORGANIZER" not in text_in("exchange-online-reply-accepted.eml")
    office.put(meeting(DORA))
    assert office.receive("exchange-online-reply-accepted.eml", "u1@example.org").fate is Fate.APPLIED
    assert "PARTSTAT=ACCEPTED" in office.line(DORA)


def text_in(file: str) -> bytes:
    (text,) = objects_in(read(mail_bytes(file))).texts
    return text


def test_an_answer_to_one_instance_in_a_zone_with_a_windows_name(office: Office) -> None:
    office.put(meeting("u2@example.org", DORA, uid="series-1", extra="RRULE:FREQ=WEEKLY;COUNT=3\r\n"))
    file = "exchange-online-reply-tentative-one-instance.eml"
    outcome = office.receive(file, office.tagged(DORA, uid="series-1"))
    assert outcome.fate is Fate.APPLIED, outcome
    text = office.object()
    assert text.count("BEGIN:VEVENT") == 2
    assert "RECURRENCE-ID:20260317T120000Z" in text, "13:00 in W. Europe Standard Time"
    assert "PARTSTAT=NEEDS-ACTION" in office.line(DORA)
    assert "PARTSTAT=TENTATIVE" in office.line(DORA, part=1)


@pytest.mark.parametrize(("file", "who"), COUNTERS)
def test_a_proposal_waits_in_the_inbox(office: Office, file: str, who: str) -> None:
    office.put(meeting(who))
    before = office.object()
    outcome = office.receive(file, office.tagged(who))
    assert outcome.fate is Fate.APPLIED, outcome
    assert office.object() == before
    (item,) = office.objects("u1", collection="inbox")
    assert "METHOD:COUNTER" in item


@pytest.mark.parametrize(("file", "organizer", "summary", "start"), INVITATIONS)
def test_an_invitation_from_outside(office: Office, file: str, organizer: str, summary: str, start: str) -> None:
    outcome = office.receive(file, "u2@example.org")
    assert outcome.fate is Fate.APPLIED, outcome
    text = office.object("u2")
    assert "METHOD" not in text
    assert summary in text
    assert start in text
    assert next(one for one in text.splitlines() if one.startswith("ORGANIZER")).endswith(organizer)
    assert "BEGIN:VALARM" not in text, "whoever invites does not set the alarms of others"
    assert len(office.objects("u2", collection="inbox")) == 1


def test_a_cancellation_from_outside(office: Office) -> None:
    office.receive("exchange-online-invitation.eml", "u2@example.org")
    assert len(office.objects("u2")) == 1
    for _ in range(2):  # cancelled twice
        outcome = office.receive("exchange-online-cancellation.eml", "u2@example.org")
        assert outcome.fate is Fate.APPLIED, outcome
        assert office.objects("u2") == []
        inbox = office.objects("u2", collection="inbox")
        assert sorted(one.split("METHOD:")[1].split()[0] for one in inbox) == ["CANCEL", "REQUEST"]


def test_what_sends_for_others_is_believed_only_as_a_service_that_is_vouched_for(
    office: Office, application: Application, store: Store
) -> None:
    """iCloud writes From and ORGANIZER with different addresses; both are its own."""
    mail = mail_bytes("icloud-invitation.eml")
    assert office.receive(mail, "u2@example.org").fate is Fate.HELD
    assert office.objects("u2") == []
    vouched = b"Authentication-Results: mx.example.org; dkim=pass header.d=email.apple.example\r\n" + mail
    assert office.receive(vouched, "u2@example.org").fate is Fate.HELD
    trusting = Office(application, store, services=["noreply@email.apple.example"])
    assert trusting.receive(mail, "u2@example.org").fate is Fate.HELD
    outcome = trusting.receive(vouched, "u2@example.org")
    assert outcome.fate is Fate.APPLIED, outcome
    assert "2_GEYDAMZSGUZTEMJZHAYTAMBTGIHBWKBU5KW77255PCEUBRBCUM6JCZTL4M6OFWEBGARO3XW5VISXU@imip.me.example" in (
        office.object("u2")
    )
