"""Delivery reports, out-of-office notes, and what people write back."""

from __future__ import annotations

import pytest

from caldavd.app import Application
from caldavd.mail import worker_of
from scheduling.imip.fates import Fate
from storage.store import Store
from tests.caldavd.imip.scene import CARL, Office, accept, itip, mail_bytes, meeting, reply
from tests.scheduling.mail.smtp import Sink


def statuses(office: Office, who: str = CARL, *, name: str = "ATTENDEE", user: str = "u1") -> str:
    return office.line(who, name=name, user=user).partition("SCHEDULE-STATUS=")[2].partition(":")[0].partition(";")[0]


def test_every_mail_has_its_own_addresses(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL, "dora@firm.example"))
    mailing.worker.drain()
    assert len(set(sink.senders)) == len({mail["Reply-To"] for _, mail in sink.mails}) == 2
    assert all(mailing.reception.accepts(one) for one in sink.senders)
    for recipient, mail in sink.mails:
        assert mailing.tagged(recipient) in mail["Reply-To"]
        assert mail["From"] == "Name of u1 <calendar@example.org>"


def test_bounces_can_be_left_where_they_were(application: Application, store: Store, sink: Sink) -> None:
    office = Office(application, store, sink, bounces=False)
    office.put(meeting(CARL))
    office.worker.drain()
    assert sink.senders == ["calendar@example.org"]
    assert office.tagged(CARL) in sink.mails[0][1]["Reply-To"]


def test_without_an_address_for_answers_they_go_to_the_person(
    application: Application, store: Store, sink: Sink
) -> None:
    office = Office(application, store, sink, reply_address="")
    office.put(meeting(CARL))
    office.worker.drain()
    assert sink.senders == ["calendar@example.org"]
    assert sink.mails[0][1]["Reply-To"] == "Name of u1 <u1@example.org>"
    assert office.receive(reply(CARL)).fate is Fate.APPLIED


@pytest.mark.parametrize(("file", "code"), [("bounce-no-such-user.eml", "3.7"), ("bounce-over-quota.eml", "5.1")])
def test_a_mail_bounces(mailing: Office, sink: Sink, file: str, code: str) -> None:
    mailing.put(meeting(CARL, "dora@firm.example"))
    mailing.worker.drain()
    assert statuses(mailing) == "1.1"
    came_from = sink.senders[sink.recipients.index(CARL)]
    for _ in range(2):  # the same report twice
        assert mailing.receive(file, came_from).fate is Fate.NOTED
        mailing.worker.drain()
        assert statuses(mailing) == code
        assert statuses(mailing, "dora@firm.example") == "1.1"
    told = next(one for one in mailing.log() if one.method == "DSN")
    assert (told.actor, told.recipient, told.status) == ("mailto:u1@example.org", f"mailto:{CARL}", code)
    assert told.reason.startswith("A delivery report: failed. 5")


def test_a_mail_is_delayed(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    assert mailing.receive("bounce-delayed.eml", sink.senders[0]).fate is Fate.NOTED
    mailing.worker.drain()
    assert statuses(mailing) == "1.1"
    assert "delayed" in mailing.log()[-1].reason


def test_who_has_answered_has_got_it(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    mailing.receive(reply(CARL))
    mailing.receive("bounce-no-such-user.eml", sink.senders[0])
    mailing.worker.drain()
    assert statuses(mailing) == "2.0"


def test_an_answer_that_bounces_is_told_to_who_answered(mailing: Office, sink: Sink) -> None:
    body = f"ORGANIZER:mailto:{CARL}\r\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:u2@example.org\r\n"
    mailing.receive(itip("REQUEST", body, author=CARL), "u2@example.org")
    accept(mailing)
    mailing.worker.drain()
    mailing.receive("bounce-no-such-user.eml", sink.senders[0])
    mailing.worker.drain()
    assert statuses(mailing, name="ORGANIZER", user="u2") == "3.7"


def test_a_report_that_came_to_no_signed_address_is_not_believed(mailing: Office) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    for address in ("calendar@example.org", "u1@example.org", mailing.tagged(CARL)):
        assert mailing.receive("bounce-no-such-user.eml", address).fate is Fate.NOTED
    mailing.worker.drain()
    assert statuses(mailing) == "1.1"


def test_a_report_about_what_has_gone(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    came_from = sink.senders[0]
    mailing.put(meeting())
    assert mailing.receive("bounce-no-such-user.eml", came_from).fate is Fate.NOTED
    assert mailing.client().request("DELETE", "/calendars/u1/calendar/m.ics").status == 204
    outcome = mailing.receive("bounce-no-such-user.eml", came_from)
    assert "not there any more" in outcome.sentence


def test_a_report_with_the_mail_in_it(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    report = mail_bytes("bounce-no-such-user.eml")
    start = report.index(b"Content-Type: text/rfc822-headers")
    whole = (
        report[:start]
        + b"Content-Type: message/rfc822\r\n\r\n"
        + sink.mails[0][1].as_bytes()
        + b"\r\n--4T1AAA.1772438410/mx.example.org--\r\n"
    )
    assert mailing.receive(whole, sink.senders[0]).fate is Fate.NOTED
    mailing.worker.drain()
    assert statuses(mailing) == "3.7"


def test_somebody_is_away(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    for address in (sink.senders[0], mailing.tagged(CARL), "calendar@example.org", "u1@example.org"):
        assert mailing.receive("out-of-office.eml", address).fate is Fate.NOTED
    mailing.worker.drain()
    assert statuses(mailing) == "1.1"
    assert len(sink.mails) == 1


def test_what_people_write_back_goes_on_to_the_person(mailing: Office, sink: Sink) -> None:
    mailing.put(meeting(CARL))
    mailing.worker.drain()
    for _ in range(2):
        assert mailing.receive("somebody-writes-back.eml", mailing.tagged(CARL)).fate is Fate.FORWARDED
        mailing.worker.drain()
    assert len(sink.mails) == 2, "the same mail goes on once"
    recipient, mail = sink.mails[1]
    assert recipient == "u1@example.org"
    assert mail["From"] == f"Carl C <{CARL}>"
    assert mail["Resent-To"] == "u1@example.org"
    assert "cake" in mail.get_content()
    assert mailing.receive(mail.as_bytes(), mailing.tagged(CARL)).fate is Fate.NOTED, "it was here before"
    assert mailing.receive("somebody-writes-back.eml", "u1@example.org").fate is Fate.NOT_FOR_US


def test_forwarded_mail_waits_while_the_mail_server_is_away(mailing: Office, sink: Sink) -> None:
    sink.rcpt["u1@example.org"] = "450 later"
    assert mailing.receive("somebody-writes-back.eml", mailing.tagged(CARL)).fate is Fate.FORWARDED
    mailing.worker.drain()
    assert mailing.store.run(lambda tx: tx.queue.counts("forward"), write=False) == {"waiting": 1}
    settings = mailing.settings.model_copy(update={"mail": mailing.settings.mail.model_copy(update={"smtp_port": 9})})
    worker_of(settings, mailing.store).drain()
    assert mailing.store.run(lambda tx: tx.queue.counts("forward"), write=False) == {"waiting": 1}
