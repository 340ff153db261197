"""From a PUT to the mail of somebody elsewhere, and what becomes of it (RFC 6638 section 3.2.9, RFC 6047)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caldavd.app import Application
from caldavd.mail import postbox_of, worker_of
from config.settings import Mail, Settings
from scheduling.delivery.scheduler import Scheduler
from scheduling.worker import Worker
from storage.rows import JournalEntry
from storage.store import Store
from tests.caldavd.client import Client
from tests.scheduling.mail.smtp import Sink

CALENDAR = "/calendars/u1/calendar/"


class Office:
    """A server that schedules and mails, as its settings say."""

    def __init__(self, application: Application, store: Store, sink: Sink) -> None:
        mail = Mail(smtp_host=sink.host, smtp_port=sink.port, security="none", address="calendar@example.org")
        settings = Settings(mail=mail)
        self.store = store
        self.worker: Worker = worker_of(settings, store)
        self.application = replace(application, scheduler=Scheduler(postbox_of(settings, self.worker)))

    def client(self, name: str) -> Client:
        return Client(self.application, name)

    def text(self, href: str = f"{CALENDAR}m.ics") -> str:
        return self.client("u1").request("GET", href).body.decode().replace("\r\n ", "")

    def log(self) -> list[JournalEntry]:
        return [line for _, line in self.store.run(lambda tx: tx.journal.of_uid("m", limit=100), write=False)]


@pytest.fixture
def office(application: Application, store: Store, sink: Sink) -> Office:
    return Office(application, store, sink)


def meeting(*attendees: str, summary: str = "Plan", hour: int = 12) -> str:
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{one}\r\n" for one in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\nUID:m\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART:20260310T{hour}0000Z\r\nDURATION:PT1H\r\nSUMMARY:{summary}\r\n"
        f"ORGANIZER:mailto:u1@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org\r\n{who}"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def put(office: Office, text: str, **headers: str) -> None:
    answer = office.client("u1").request("PUT", f"{CALENDAR}m.ics", text, **headers)
    assert answer.status in (201, 204), answer.body


def test_people_here_get_it_at_once_and_people_elsewhere_by_mail(office: Office, sink: Sink) -> None:
    put(office, meeting("u2@example.org", "bert@else.example"))
    assert "SCHEDULE-STATUS=1.0:mailto:bert@else.example" in office.text()
    assert "SCHEDULE-STATUS=1.2:mailto:u2@example.org" in office.text()
    tag = office.client("u1").request("GET", f"{CALENDAR}m.ics").headers["Schedule-Tag"]
    office.worker.drain()
    assert "SCHEDULE-STATUS=1.1:mailto:bert@else.example" in office.text()
    assert office.client("u1").request("GET", f"{CALENDAR}m.ics").headers["Schedule-Tag"] == tag
    ((recipient, mail),) = sink.mails
    assert recipient == "bert@else.example"
    assert mail["From"] == "Name of u1 <calendar@example.org>"
    assert mail["Subject"] == "Invitation: Plan"
    body = mail.get_body(("plain",))
    assert body is not None
    assert "When: Tuesday, 10 March 2026, 13:00" in body.get_content(), "a time in UTC is told in the sender's zone"


def test_changes_and_cancellations_follow(office: Office, sink: Sink) -> None:
    put(office, meeting("bert@else.example"))
    put(office, meeting("bert@else.example", hour=14))
    assert office.client("u1").request("DELETE", f"{CALENDAR}m.ics").status == 204
    office.worker.drain()
    assert [mail["Subject"] for _, mail in sink.mails] == ["Invitation: Plan", "Updated: Plan", "Cancelled: Plan"]
    assert len({mail["References"] for _, mail in sink.mails}) == 1


def test_who_delegates_to_somebody_elsewhere_is_told_what_became_of_it(office: Office, sink: Sink) -> None:
    put(office, meeting("u2@example.org"))
    u2 = office.client("u2")
    href = u2.propfind("/calendars/u2/calendar/", "<D:getetag/>", depth=1).hrefs[1]
    sent = u2.request("GET", href).body.decode().replace("\r\n ", "").replace(
        "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:u2",
        'PARTSTAT=DELEGATED;DELEGATED-TO="mailto:bert@else.example":mailto:u2',
    )  # fmt: skip
    assert u2.put(href, sent).status == 204
    for code in ("1.0", "1.1"):
        text = u2.request("GET", href).body.decode().replace("\r\n ", "")
        assert f"SCHEDULE-STATUS={code}:mailto:bert@else.example" in text
        assert "ORGANIZER;SCHEDULE-STATUS=1.2:" in text
        office.worker.drain()
    assert len(sink.mails) == 1


def test_a_force_send_that_is_not_known_does_not_hide_what_becomes_of_the_mail(office: Office) -> None:
    loud = "ATTENDEE;SCHEDULE-FORCE-SEND=X-LOUD;PARTSTAT=NEEDS"
    put(office, meeting("bert@else.example").replace("ATTENDEE;PARTSTAT=NEEDS", loud))
    for code in ("1.0", "1.1"):
        assert f"SCHEDULE-STATUS={code}:mailto:bert@else.example" in office.text()
        office.worker.drain()


def test_an_answer_of_somebody_here_is_no_mail_to_everybody_elsewhere(office: Office, sink: Sink) -> None:
    put(office, meeting("u2@example.org", "bert@else.example"))
    office.worker.drain()
    u2 = office.client("u2")
    href = next(one for one in u2.propfind("/calendars/u2/calendar/", "<D:getetag/>", depth=1).hrefs if ".ics" in one)
    text = u2.request("GET", href).body.decode().replace("\r\n ", "")
    accepted = text.replace(
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:u2", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:u2"
    )
    assert accepted != text
    assert u2.request("PUT", href, accepted).status == 204
    office.worker.drain()
    assert len(sink.mails) == 1
    assert "PARTSTAT=ACCEPTED" in next(line for line in office.text().splitlines() if line.endswith("u2@example.org"))
    assert "SCHEDULE-STATUS=1.1:mailto:bert@else.example" in office.text()


def test_a_put_that_fails_leaves_neither_mail_nor_log(office: Office, sink: Sink) -> None:
    text = meeting("bert@else.example")
    answer = office.client("u1").request("PUT", f"{CALENDAR}m.ics", text, **{"If-Match": '"other"'})
    assert answer.status == 412
    assert office.worker.drain() == 0
    assert office.log() == []


def test_the_log_says_why(office: Office, sink: Sink) -> None:
    sink.rcpt["carl@else.example"] = "550 5.1.1 unknown"
    put(office, meeting("u2@example.org", "bert@else.example", "carl@else.example"))
    office.worker.drain()
    told = {(line.recipient, line.status): line for line in office.log()}
    assert set(told) == {
        ("mailto:u2@example.org", "1.2"),
        ("mailto:bert@else.example", "1.0"),
        ("mailto:bert@else.example", "1.1"),
        ("mailto:carl@else.example", "1.0"),
        ("mailto:carl@else.example", "5.1"),
    }
    assert told["mailto:u2@example.org", "1.2"].destination == "calendar of u2: create"
    assert told["mailto:carl@else.example", "5.1"].reason == "550 5.1.1 unknown"
    assert all(line.reason for line in told.values())


def test_without_mail_people_elsewhere_are_not_reached(application: Application, store: Store, office: Office) -> None:
    assert postbox_of(Settings()) is None
    assert worker_of(Settings(), store).transport is None
    office.application = replace(application, scheduler=Scheduler())
    put(office, meeting("bert@else.example"))
    assert "SCHEDULE-STATUS=5.2:mailto:bert@else.example" in office.text()
    (line,) = office.log()
    assert (line.status, line.destination) == ("5.2", "nowhere: nobody here has this address, and no mail is set up")


def test_many_people_elsewhere(office: Office, sink: Sink) -> None:
    put(office, meeting(*(f"p{number}@else.example" for number in range(300))))
    office.worker.drain()
    assert len(sink.mails) == len(set(sink.recipients)) == 300
    assert office.text().count("SCHEDULE-STATUS=1.1") == 300
