"""A server that sends mail with links, and somebody elsewhere who clicks on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import EmailMessage
from urllib.parse import urlencode, urlsplit

import pytest
from lxml import html

from caldavd.app import Application
from caldavd.mail import postbox_of, worker_of
from config.settings import Mail, Server, Settings
from scheduling.delivery.scheduler import Scheduler
from scheduling.worker import Worker
from storage.rows import JournalEntry
from storage.store import Store
from tests.caldavd.client import Answer, Client
from tests.scheduling.mail.smtp import Sink

BASE = "https://calendar.example.org"
CALENDAR = "/calendars/u1/calendar/"
CARLA = "carla@far.example"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Page:
    """A page as a visitor sees it."""

    office: Office
    path: str
    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def tree(self) -> html.HtmlElement:
        return html.fromstring(self.answer.body)

    @property
    def text(self) -> str:
        found = self.tree.xpath("//main")[0]
        for zones in found.xpath(".//details"):
            zones.drop_tree()
        return re.sub(r"\s+", " ", " ".join(found.itertext())).strip().replace("\N{EN DASH}", "-")

    @property
    def fields(self) -> dict[str, str]:
        (form,) = (one for one in self.tree.forms if one.method == "POST")
        # A browser leaves out the line break after <textarea>; this parser does not.
        return {name: value.removeprefix("\n") for name, value in form.form_values() if value is not None}

    @property
    def options(self) -> dict[str, str]:
        """What can be chosen for ``for``, by what it is called."""
        return {
            one.text.replace("\N{EN DASH}", "-"): one.get("value")
            for one in self.tree.xpath("//select[@name='for']/option")
        }

    def send(self, **changed: str) -> Page:
        """Fills in the form, sends it, and follows where it leads."""
        (form,) = (one for one in self.tree.forms if one.method == "POST")
        body = urlencode(self.fields | changed)
        answer = self.office.visitor.request("POST", form.action, body, Content_Type=FORM)
        if answer.status == 303:
            return self.office.page(answer.headers["Location"])
        return Page(self.office, form.action, answer)


class Office:
    """A server that schedules and mails, as its settings say."""

    def __init__(self, application: Application, store: Store, sink: Sink) -> None:
        mail = Mail(smtp_host=sink.host, smtp_port=sink.port, security="none", address="calendar@example.org")
        self.settings = Settings(mail=mail, server=Server(base_url=BASE))
        self.store, self.sink = store, sink
        self.worker: Worker = worker_of(self.settings, store)
        scheduler = Scheduler(postbox_of(self.settings, self.worker))
        self.application = replace(application, scheduler=scheduler)
        self.visitor = Client(self.application, None)

    def client(self, name: str) -> Client:
        return Client(self.application, name)

    def put(self, text: str, name: str = "m.ics", **headers: str) -> None:
        answer = self.client("u1").put(f"{CALENDAR}{name}", text, **headers)
        assert answer.status in (201, 204), answer.body

    def text(self, user: str = "u1", name: str = "m.ics") -> str:
        """The object of the meeting, unfolded; of others than the organizer, whatever its name is."""
        if user == "u1":
            return _unfolded(self.client(user).request("GET", f"{CALENDAR}{name}"))
        return _unfolded(self.client(user).request("GET", f"/calendars/{user}/calendar/"))

    def mails(self) -> list[tuple[str, EmailMessage]]:
        """What has gone out since the last call."""
        self.worker.drain()
        found, self.sink.mails[:] = list(self.sink.mails), []
        return found

    def links(self, recipient: str = CARLA) -> dict[str, str]:
        """The paths that the only mail to ``recipient`` leads to, by what they are for."""
        (mail,) = (mail for to, mail in self.mails() if to == recipient)
        return links_in(mail)

    def page(self, path: str, **headers: str) -> Page:
        return Page(self, path, self.visitor.request("GET", path, **headers))

    def inbox(self, user: str) -> list[str]:
        """The messages in an inbox, unfolded."""
        listing = self.client(user).propfind(f"/calendars/{user}/inbox/", "<D:getetag/>", depth=1)
        return [_unfolded(self.client(user).request("GET", href)) for href in listing.hrefs if href.endswith(".ics")]

    def log(self, uid: str = "m") -> list[JournalEntry]:
        return [line for _, line in self.store.run(lambda tx: tx.journal.of_uid(uid, limit=500), write=False)]


def links_in(mail: EmailMessage) -> dict[str, str]:
    """The paths of the links in a mail, which has the same ones in both of its forms."""
    texts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]  # type: ignore[union-attr]
    found = [re.findall(rf"{re.escape(BASE)}(/rsvp/[\w-]+/(\w+))", text) for text in texts]
    assert found[0] == found[1]
    return {name: urlsplit(path).path for path, name in found[0]}


def _unfolded(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.body.decode().replace("\r\n ", "").replace("\r\n", "\n")


def meeting(*attendees: str, start: str = "20270310T140000", end: str = "20270310T150000", more: str = "") -> str:
    """A meeting of u1 in Berlin with Carla and ``attendees``; ``more`` are lines of it."""
    who = "".join(f"ATTENDEE;RSVP=TRUE:mailto:{one}\r\n" for one in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\nUID:m\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART;TZID=Europe/Berlin:{start}\r\nDTEND;TZID=Europe/Berlin:{end}\r\n"
        "SUMMARY:Plan <b>A</b>\r\nLOCATION:Room 5\r\nORGANIZER;CN=Una:mailto:u1@example.org\r\n"
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org\r\n"
        f"ATTENDEE;RSVP=TRUE;CN=Carla:mailto:{CARLA}\r\n{who}{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


@pytest.fixture
def office(application: Application, store: Store, sink: Sink) -> Office:
    """The server."""
    return Office(application, store, sink)


@pytest.fixture
def invited(office: Office) -> Callable[..., Page]:
    """Carla, who is invited, and opens the link: ``invited("u2@example.org", link="decline")``."""

    def visit(*attendees: str, link: str = "accept", more: str = "") -> Page:
        office.put(meeting(*attendees, more=more))
        return office.page(office.links()[link])

    return visit
