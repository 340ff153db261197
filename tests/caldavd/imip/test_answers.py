"""Answers that come in by mail: who is believed, and what comes of the same, late, strange and forged ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduling.imip.fates import Fate
from tests.caldavd.imip.scene import CARL, DORA, Office, itip, mail_bytes, meeting, reply
from tests.scheduling.mail.smtp import Sink

PASS = "Authentication-Results: mx.example.org; dmarc=pass header.from=gmail.example\r\n"
FAIL = "Authentication-Results: mx.example.org; dmarc=fail header.from=gmail.example\r\n"


def partstat(office: Office, who: str = CARL, *, user: str = "u1") -> str:
    line = office.line(who, user=user)
    return line.partition("PARTSTAT=")[2].partition(";")[0].partition(":")[0]


def test_the_same_mail_twice_changes_nothing(office: Office) -> None:
    office.put(meeting("u2@example.org", CARL))
    assert office.receive(reply(CARL)).fate is Fate.APPLIED
    first, other = office.object(), office.object("u2")
    inbox = office.objects("u1", collection="inbox")
    assert office.receive(reply(CARL)).fate is Fate.APPLIED
    assert (office.object(), office.object("u2")) == (first, other)
    assert office.objects("u1", collection="inbox") == inbox
    assert office.log()[-1].destination == "calendar of u1: stays as it is"


def test_the_same_mail_by_two_ways(office: Office) -> None:
    office.put(meeting(CARL))
    assert office.receive(reply(CARL), "u1@example.org").fate is Fate.APPLIED
    before = office.object()
    assert office.receive(reply(CARL), office.tagged(CARL)).fate is Fate.APPLIED
    assert office.object() == before


def test_answers_out_of_order(office: Office) -> None:
    office.put(meeting(CARL))
    office.receive(reply(CARL, "DECLINED", stamp="20260302T100000Z"))
    office.receive(reply(CARL, "ACCEPTED", stamp="20260302T090000Z"))
    assert partstat(office) == "DECLINED"
    assert "older" in office.log()[-1].reason
    office.receive(reply(CARL, "TENTATIVE", stamp="20260302T110000Z"))
    assert partstat(office) == "TENTATIVE"


def test_an_answer_to_a_revision_that_has_been_replaced(mailing: Office) -> None:
    mailing.put(meeting(CARL))
    moved = meeting(CARL, sequence=1).replace("T120000Z", "T150000Z")
    mailing.put(moved)
    assert mailing.receive(reply(CARL, sequence=0)).fate is Fate.APPLIED
    assert partstat(mailing) == "NEEDS-ACTION"
    assert "replaced" in next(one for one in mailing.log() if one.method == "REPLY").reason


def test_an_instance_that_does_not_exist(office: Office) -> None:
    office.put(meeting(CARL, extra="RRULE:FREQ=WEEKLY;COUNT=3\r\n"))
    before = office.object()
    body = (
        "RECURRENCE-ID:20260311T120000Z\r\nORGANIZER:mailto:u1@example.org\r\n"
        f"ATTENDEE;PARTSTAT=DECLINED:mailto:{CARL}\r\n"
    )
    assert office.receive(itip("REPLY", body, author=CARL)).fate is Fate.APPLIED
    assert office.object() == before
    assert office.log()[-1].reason.endswith("The meeting has no such instance.")


def test_a_meeting_that_does_not_exist(office: Office) -> None:
    outcome = office.receive(reply(CARL, uid="nothing"))
    assert outcome.fate is Fate.APPLIED
    assert office.objects("u1") == []
    assert office.log("nothing")[-1].status == "5.2"


def test_nobody_gets_in_by_answering(office: Office) -> None:
    """RFC 5546 3.2.2.6: whether a party crasher is let in is the organizer's to say."""
    office.put(meeting(CARL))
    before = office.object()
    assert office.receive(reply("zoe@else.example")).fate is Fate.APPLIED
    assert office.object() == before
    assert "not invited" in office.log()[-1].reason
    (item,) = office.objects("u1", collection="inbox")
    assert "zoe@else.example" in item


# --- who is speaking -------------------------------------------------------------------------------------------------


def test_somebody_else_answers(office: Office) -> None:
    office.put(meeting(CARL))
    outcome = office.receive(reply(CARL, author="evil@else.example"))
    assert outcome.fate is Fate.HELD
    assert partstat(office) == "NEEDS-ACTION"
    (held,) = office.held()
    assert held.sender == "evil@else.example"
    last = office.log()[-1]
    assert (last.method, last.actor, last.status) == ("REPLY", "mailto:evil@else.example", "")
    assert last.destination == f"held for a look: mail {held.id}"
    assert office.receive(reply(CARL, author="evil@else.example")).fate is Fate.HELD
    assert len(office.held()) == 1, "the same mail is held once"


@pytest.mark.parametrize(
    "author",
    [
        f'"{CARL}" <evil@else.example>',
        f"{CARL} <evil@else.example>",
        f"{CARL}, evil@else.example",
        f"evil@else.example ({CARL})",
        f"{CARL}\r\nFrom: evil@else.example",
        f"{CARL}\r\nFrom: <",
        f"{CARL}\r\nFrom: " + "x" * 5000 + " <evil@else.example>",
        "undisclosed:;",
        f"{CARL} <{CARL}> <evil@else.example>",
        f"{CARL}, x@y <evil@else.example>",
        "",
        "=?utf-8?q?carl=2Ec=40gmail=2Eexample?= <evil@else.example>",
    ],
)
def test_tricks_with_from(office: Office, author: str) -> None:
    office.put(meeting(CARL))
    assert office.receive(reply(CARL, author=author or " ")).fate is Fate.HELD
    assert partstat(office) == "NEEDS-ACTION"


def test_the_mail_server_says_that_it_is_not_from_them(office: Office) -> None:
    office.put(meeting(CARL))
    assert office.receive(reply(CARL, head=FAIL)).fate is Fate.HELD
    assert office.receive(reply(CARL, head=FAIL), office.tagged(CARL)).fate is Fate.HELD, "nor does the address help"
    assert partstat(office) == "NEEDS-ACTION"
    assert office.receive(reply(CARL, head=PASS)).fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"


def test_only_the_topmost_word_of_our_own_mail_server_counts(office_with: Callable[..., Office]) -> None:
    office = office_with(authentication="require")
    office.put(meeting(CARL))
    assert office.receive(reply(CARL, head=FAIL + PASS)).fate is Fate.HELD
    other = PASS.replace("mx.example.org", "mx.evil.example")
    assert office.receive(reply(CARL, head=other)).fate is Fate.HELD
    assert office.receive(reply(CARL, head=other + PASS)).fate is Fate.HELD, "ours is not on top"
    assert office.receive(reply(CARL)).fate is Fate.HELD
    assert partstat(office) == "NEEDS-ACTION"
    assert office.receive(reply(CARL, head=PASS + FAIL)).fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"


def test_nothing_is_asked_of_the_mail_server(office_with: Callable[..., Office]) -> None:
    office = office_with(authentication="off")
    office.put(meeting(CARL))
    assert office.receive(reply(CARL, head=FAIL)).fate is Fate.APPLIED
    assert office.receive(reply(CARL, author="evil@else.example")).fate is Fate.HELD, "From has to fit all the same"


def test_the_address_that_only_our_mail_had_stands_for_a_signature(office_with: Callable[..., Office]) -> None:
    office = office_with(authentication="require")
    office.put(meeting(CARL, DORA))
    assert office.receive(reply(CARL), office.tagged(DORA)).fate is Fate.HELD, "it is Dora's"
    assert office.receive(reply(CARL), office.tagged(CARL, uid="another")).fate is Fate.HELD
    assert office.receive(reply(CARL), office.tagged(CARL)).fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"
    assert partstat(office, DORA) == "NEEDS-ACTION"


def test_an_alias_answers_to_the_address_that_only_our_mail_had(office: Office) -> None:
    office.put(meeting("u2@example.org", CARL))
    alias = reply("carl@home.example")
    assert office.receive(alias, office.tagged(CARL)).fate is Fate.APPLIED
    assert partstat(office) == partstat(office, user="u2") == "ACCEPTED"
    assert "carl@home.example" not in office.object()
    last = [one for one in office.log() if one.method == "REPLY"][-1]
    assert last.actor == f"mailto:{CARL}"
    assert "only the mail to carl.c@gmail.example had" in last.reason


def test_who_is_invited_cannot_answer_for_another_who_is(office: Office) -> None:
    office.put(meeting(CARL, DORA))
    assert office.receive(reply(DORA, author=CARL), office.tagged(CARL)).fate is Fate.HELD
    assert (partstat(office, CARL), partstat(office, DORA)) == ("NEEDS-ACTION", "NEEDS-ACTION")


def test_what_went_to_a_list_does_not_speak_for_it(office: Office) -> None:
    text = meeting("list@else.example").replace("RSVP=TRUE:mailto:list", "RSVP=TRUE;CUTYPE=GROUP:mailto:list")
    office.put(text)
    assert office.receive(reply("member@else.example"), office.tagged("list@else.example")).fate is Fate.APPLIED
    assert partstat(office, "list@else.example") == "NEEDS-ACTION"
    assert "not invited" in office.log()[-1].reason


def test_an_address_that_was_not_signed_here(office: Office) -> None:
    office.put(meeting(CARL))
    tagged = office.tagged(CARL)
    for broken in (tagged[:15] + "aaaa" + tagged[19:], tagged.replace("+r", "+b"), "calendar+r@example.org"):
        assert not office.reception.accepts(broken), broken
        assert office.receive(reply(CARL), broken).fate is Fate.NOBODY
    assert office.reception.accepts(tagged.upper())
    assert office.receive(reply(CARL), tagged.upper()).fate is Fate.APPLIED


def test_the_organizer_is_called_by_the_address_of_the_server(office: Office) -> None:
    """Some programs take Reply-To for the organizer."""
    office.put(meeting(CARL))
    body = f"ORGANIZER:mailto:{office.tagged(CARL)}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{CARL}\r\n"
    assert office.receive(itip("REPLY", body, author=CARL), "calendar@example.org").fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"
    assert "ORGANIZER:mailto:u1@example.org" in office.object()


def test_an_answer_that_says_nothing_of_the_organizer(mailing: Office) -> None:
    """Exchange names none; the answer goes to where our mail came from: the scheduling log knows whose it was."""
    mailing.put(meeting(DORA))
    mail = mail_bytes("exchange-online-reply-accepted.eml")
    unknown = itip("REPLY", f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{DORA}\r\n", author=DORA, uid="unknown")
    assert mailing.receive(unknown, "calendar@example.org").fate is Fate.HELD
    stranger = itip("REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:x@y.example\r\n", author="x@y.example")
    assert mailing.receive(stranger.replace(b"To: u1@", b"To: x@"), "calendar@example.org").fate is Fate.HELD
    assert mailing.receive(mail, "calendar@example.org").fate is Fate.APPLIED
    assert partstat(mailing, DORA) == "ACCEPTED"


def test_an_answer_that_was_sent_on_to_the_server(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Sieve script redirects to the server's own address: To says whose it is."""
    monkeypatch.setattr("scheduling.imip.taking.Taking._organizer_in_log", lambda *_: None)
    office.put(meeting(DORA))
    mail = mail_bytes("exchange-online-reply-accepted.eml")
    assert office.receive(mail, "calendar@example.org").fate is Fate.HELD, "nobody is named"
    named = mail.replace(b"u1 <calendar@example.org>", b"u3@example.org, u1@example.org")
    assert office.receive(named, "calendar@example.org").fate is Fate.APPLIED
    assert partstat(office, DORA) == "ACCEPTED"


def test_a_secretary(office: Office, office_with: Callable[..., Office]) -> None:
    """RFC 6047 2.2.1: that somebody may act for another is not theirs to say."""
    body = (
        "ORGANIZER:mailto:u1@example.org\r\n"
        f'ATTENDEE;SENT-BY="mailto:sec@firm.example";PARTSTAT=ACCEPTED:mailto:{DORA}\r\n'
    )
    mail = itip("REPLY", body, author="sec@firm.example")
    office.put(meeting(DORA))
    assert office.receive(mail).fate is Fate.HELD
    firm = office_with(delegate_domains=["firm.example"])
    assert firm.receive(mail.replace(b"sec@firm", b"sec@other")).fate is Fate.HELD
    assert firm.receive(mail).fate is Fate.APPLIED
    assert partstat(office, DORA) == "ACCEPTED"


def test_a_secretary_whom_the_meeting_names(office: Office) -> None:
    text = meeting(DORA).replace("RSVP=TRUE:mailto:dora", 'RSVP=TRUE;SENT-BY="mailto:sec@else.example":mailto:dora')
    office.put(text)
    body = (
        "ORGANIZER:mailto:u1@example.org\r\n"
        f'ATTENDEE;SENT-BY="mailto:sec@else.example";PARTSTAT=ACCEPTED:mailto:{DORA}\r\n'
    )
    assert office.receive(itip("REPLY", body, author="sec@else.example")).fate is Fate.APPLIED
    assert partstat(office, DORA) == "ACCEPTED"


def test_people_here_do_not_answer_by_mail_unless_it_is_vouched_for(office: Office) -> None:
    office.put(meeting("u2@example.org"))
    forged = reply("u2@example.org")
    assert office.receive(forged).fate is Fate.HELD
    assert "lives here" in office.held()[0].reason
    assert partstat(office, "u2@example.org") == "NEEDS-ACTION"
    head = b"Authentication-Results: mx.example.org; dkim=pass header.d=example.org\r\n"
    assert office.receive(head + forged).fate is Fate.APPLIED
    assert partstat(office, "u2@example.org") == "ACCEPTED"


def test_a_delegation(mailing: Office) -> None:
    """RFC 5546 3.2.2.3: the delegator says so; then the delegate answers."""
    mailing.put(meeting(CARL))
    early = reply("zoe@else.example")
    assert mailing.receive(early).fate is Fate.APPLIED
    assert "zoe@else.example" not in mailing.object()
    body = (
        "ORGANIZER:mailto:u1@example.org\r\n"
        f'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:zoe@else.example":mailto:{CARL}\r\n'
        f'ATTENDEE;PARTSTAT=NEEDS-ACTION;DELEGATED-FROM="mailto:{CARL}":mailto:zoe@else.example\r\n'
    )
    assert mailing.receive(itip("REPLY", body, author=CARL)).fate is Fate.APPLIED
    assert partstat(mailing) == "DELEGATED"
    later = reply("zoe@else.example", stamp="20260302T120000Z")
    assert mailing.receive(later).fate is Fate.APPLIED
    assert partstat(mailing, "zoe@else.example") == "ACCEPTED"


def test_a_question_is_answered_to_who_is_invited(mailing: Office, sink: Sink) -> None:
    """REFRESH (RFC 5546 3.2.6)."""
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    time.sleep(1.1)  # what is sent is known by its text, which has the time in it
    ask = itip("REFRESH", f"ORGANIZER:mailto:u1@example.org\r\nATTENDEE:mailto:{CARL}\r\n", author=CARL, times="")
    assert mailing.receive(ask, mailing.tagged(CARL)).fate is Fate.APPLIED
    mailing.worker.drain()
    assert [one for one, _ in sink.mails] == [CARL, CARL]
    stranger = ask.replace(CARL.encode(), b"spy@else.example")
    assert mailing.receive(stranger).fate is Fate.APPLIED
    mailing.worker.drain()
    assert len(sink.mails) == 2, "whoever knows a UID learns nothing by it"


# --- held mails ------------------------------------------------------------------------------------------------------


def test_a_person_has_a_look_and_applies_it(office: Office) -> None:
    office.put(meeting(CARL))
    mail = reply(CARL, author="carl@home.example")
    assert office.receive(mail).fate is Fate.HELD
    (held,) = office.held()
    outcome = office.reception.apply_held(mail, held.recipient)
    assert outcome.fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"
    assert office.log()[-1].reason.startswith("By mail. A person had a look")


def test_a_large_mail_is_held_without_what_is_not_the_calendar(office: Office) -> None:
    office.put(meeting(CARL))
    calendar = reply(CARL, author="evil@else.example").partition(b"\r\n\r\n")[2]
    mail = (
        b"From: evil@else.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n"
        + b"a line of text that is no calendar\r\n" * 20_000
        + b"--x\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
        + calendar
        + b"\r\n--x--\r\n"
    )
    assert office.receive(mail).fate is Fate.HELD
    (held,) = office.held()
    body = office.store.run(lambda tx: tx.held_mails.get(held.id), write=False)
    assert body is not None
    assert len(body.body) < 2000
    assert office.reception.apply_held(body.body, held.recipient).fate is Fate.APPLIED
    assert partstat(office) == "ACCEPTED"


def test_many_answers_at_once(office: Office) -> None:
    """Each of them changes the organizer's object and everybody's copy; none is lost."""
    people = [f"p{number}@else.example" for number in range(12)]
    office.put(meeting("u2@example.org", "u3@example.org", *people))
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda who: office.receive(reply(who), office.tagged(who)), people))
    assert {one.fate for one in outcomes} == {Fate.APPLIED}
    assert all(partstat(office, who, user=user) == "ACCEPTED" for who in people for user in ("u1", "u2", "u3"))
