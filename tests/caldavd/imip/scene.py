"""u1 invites people elsewhere; their answers, and invitations of theirs, come in as mails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from caldavd.app import Application
from caldavd.incoming import reception_of, tags_of
from caldavd.mail import postbox_of, worker_of
from config.settings import Incoming, Mail, Provisioning, Settings
from scheduling.delivery.scheduler import Scheduler
from scheduling.imip.fates import Outcome
from scheduling.imip.reception import Reception
from scheduling.imip.tags import Tags
from storage.rows import HeldMail, JournalEntry
from storage.store import Store
from tests.caldavd.client import Client
from tests.scheduling.mail.smtp import Sink

MAILS = Path(__file__).parents[2] / "mails"
OUR_SERVER = "mx.example.org"

#: Who answers in ``tests/mails``.
CARL = "carl.c@gmail.example"
DORA = "dora@firm.example"
EMIL = "emil@firm.example"
GERD = "gerd@mac.example"
HANNA = "hanna@zimbra.example"
IDA = "ida@mail.example"


def settings_of(sink: Sink | None = None, **incoming: object) -> Settings:
    return Settings(
        mail=Mail(
            smtp_host=sink.host if sink is not None else "127.0.0.1",
            smtp_port=sink.port if sink is not None else 9,
            security="none",
            address="calendar@example.org",
        ),
        provisioning=Provisioning(),
        incoming=Incoming.model_validate(
            {"reply_address": "calendar@example.org", "authserv_id": OUR_SERVER} | incoming
        ),
    )


def meeting(
    *attendees: str, uid: str = "meeting-1", extra: str = "", organizer: str = "u1@example.org", sequence: int = 0
) -> str:
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{one}\r\n" for one in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260301T000000Z\r\nDTSTART:20260310T120000Z\r\nDURATION:PT1H\r\nSUMMARY:Plan\r\n"
        f"SEQUENCE:{sequence}\r\n{extra}ORGANIZER:mailto:{organizer}\r\n"
        f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}\r\n{who}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


class Office:
    """A server that takes mails in."""

    def __init__(self, application: Application, store: Store, sink: Sink | None = None, **incoming: object) -> None:
        self.settings = settings_of(sink, **incoming)
        self.store = store
        self.worker = worker_of(self.settings, store)
        self.postbox = postbox_of(self.settings, self.worker)
        self.application = replace(application, scheduler=Scheduler(self.postbox))
        self.reception: Reception = reception_of(self.settings, store, self.postbox, wake=self.worker.wake)

    def client(self, name: str = "u1") -> Client:
        return Client(self.application, name)

    def put(self, text: str, *, name: str = "m.ics", user: str = "u1") -> None:
        answer = self.client(user).put(f"/calendars/{user}/calendar/{name}", text)
        assert answer.status in (201, 204), answer.body

    # --- mails

    def receive(self, mail: bytes | str, *recipients: str) -> Outcome:
        raw = mail_bytes(mail)
        to = recipients or ("u1@example.org",)
        outcomes = self.reception.receive(raw, to)
        return outcomes[to[0]]

    def tagged(self, recipient: str, *, uid: str = "meeting-1", user: str = "u1", kind: str = "r") -> str:
        """The signed address of a mail from ``user`` to ``recipient``."""
        tags = tags_of(self.settings, self.store)
        assert isinstance(tags, Tags)
        found = self.store.run(lambda tx: tx.principals.by_name(user), write=False)
        assert found is not None
        return tags.made("r" if kind == "r" else "b", principal_id=found.id, uid=uid, recipient=f"mailto:{recipient}")

    # --- what there is

    def objects(self, user: str, *, collection: str = "calendar") -> list[str]:
        client = self.client(user)
        path = f"/calendars/{user}/{collection}/"
        found = client.propfind(path, "<D:getetag/>", depth=1).hrefs
        texts = [client.request("GET", one).body.decode() for one in found if one.endswith(".ics")]
        return [text.replace("\r\n ", "").replace("\r\n\t", "") for text in texts]

    def object(self, user: str = "u1") -> str:
        (text,) = self.objects(user)
        return text

    def line(self, address: str, *, user: str = "u1", name: str = "ATTENDEE", part: int = 0) -> str:
        """The line of ``address`` in the one object of ``user``."""
        text = self.object(user)
        lines = [one for one in text.splitlines() if one.lower().endswith(f"mailto:{address}".lower())]
        return [one for one in lines if one.startswith(name)][part]

    def log(self, uid: str = "meeting-1") -> list[JournalEntry]:
        return [one for _, one in self.store.run(lambda tx: tx.journal.of_uid(uid, limit=500), write=False)]

    def held(self) -> list[HeldMail]:
        return list(self.store.run(lambda tx: tx.held_mails.page(limit=100), write=False))


def accept(office: Office, user: str = "u2") -> None:
    """The attendee accepts what is in the calendar."""
    client = office.client(user)
    hrefs = client.propfind(f"/calendars/{user}/calendar/", "<D:getetag/>", depth=1).hrefs
    href = next(one for one in hrefs if one.endswith(".ics"))
    text = client.request("GET", href).body.decode().replace("\r\n ", "")
    accepted = text.replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED")
    assert accepted != text
    assert client.put(href, accepted).status in (201, 204)


def mail_bytes(mail: bytes | str) -> bytes:
    """A file of ``tests/mails``, or what is given."""
    if isinstance(mail, bytes):
        return mail
    return (MAILS / mail).read_bytes()


def itip(
    method: str,
    body: str,
    *,
    author: str,
    uid: str = "meeting-1",
    stamp: str = "20260302T080000Z",
    sequence: int = 0,
    head: str = "",
    times: str = "DTSTART:20260310T120000Z\r\nDURATION:PT1H\r\n",
) -> bytes:
    """A mail with one VEVENT; ``body`` are further content lines, ``head`` header fields on top of the others."""
    return (
        f"{head}From: {author}\r\nTo: u1@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/calendar; method={method}; charset=utf-8\r\n\r\n"
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//else//EN\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
        f"DTSTAMP:{stamp}\r\nSEQUENCE:{sequence}\r\n{times}{body}END:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


def reply(who: str, partstat: str = "ACCEPTED", *, author: str = "", **more: object) -> bytes:
    body = f"ORGANIZER:mailto:u1@example.org\r\nATTENDEE;PARTSTAT={partstat}:mailto:{who}\r\n"
    return itip("REPLY", body, author=author or who, **more)  # type: ignore[arg-type]
