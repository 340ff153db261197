"""A client that speaks to the application in the same process, and the accounts that tests find there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import webob
from lxml import etree

from caldavd.app import Application
from caldavd.auth import Authenticated, Challenge, Expected
from caldavd.auth.authenticator import revision_of
from storage.store import Store

#: Prefixes for XPath expressions in tests.
NS = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:caldav",
    "CS": "http://calendarserver.org/ns/",
    "A": "http://apple.com/ns/ical/",
}
DECLARATIONS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def xml(self) -> etree._Element:
        """The body's root element."""
        return etree.fromstring(self.body)

    def xpath(self, expression: str) -> Any:
        """An XPath over the body with the prefixes of ``NS``."""
        return self.xml.xpath(expression, namespaces=NS)

    @cached_property
    def hrefs(self) -> list[str]:
        """The hrefs of the responses of a multistatus, in order."""
        return [str(text) for text in self.xpath("/D:multistatus/D:response/D:href/text()")]

    def prop(self, href: str, name: str) -> etree._Element | None:
        """The element of a property (``D:getetag``) with status 200 of one response."""
        for response in self.xpath("/D:multistatus/D:response"):
            if response.findtext("{DAV:}href") == href:
                found = response.xpath(f"D:propstat[contains(D:status, ' 200 ')]/D:prop/{name}", namespaces=NS)
                return found[0] if found else None
        return None

    def status_of(self, href: str, name: str | None = None) -> int | None:
        """The status of a response (without propstats), or of one property of it."""
        for response in self.xpath("/D:multistatus/D:response"):
            if response.findtext("{DAV:}href") == href:
                path = "D:status" if name is None else f"D:propstat[D:prop/{name}]/D:status"
                found = response.xpath(path, namespaces=NS)
                return int(found[0].text.split()[1]) if found else None
        return None

    @property
    def conditions(self) -> list[str]:
        """The local names of the preconditions in a ``D:error`` body."""
        return [
            etree.QName(element).localname
            for element in self.xpath("/D:error/*")
            if etree.QName(element).localname != "responsedescription"
        ]


@dataclass
class Client:
    """Sends requests as one user; ``None`` sends no credentials."""

    application: Application
    user: str | None = "u1"
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: bytes | str = b"", /, **headers: str) -> Answer:
        """Header names are written with underscores: ``If_Match="…"``."""
        raw = body.encode() if isinstance(body, str) else body
        request = webob.Request.blank(path, method=method, body=raw)
        request.headers.pop("Content-Type", None)
        request.environ["REMOTE_ADDR"] = "127.0.0.1"
        if self.user is not None:
            request.headers["Authorization"] = basic(self.user)
        for name, value in (self.headers | headers).items():
            request.headers[name.replace("_", "-")] = value
        response = request.get_response(self.application)
        return Answer(response.status_code, dict(response.headers), response.body)

    def propfind(self, path: str, props: str, *, depth: int | str = 0, **headers: str) -> Answer:
        """``props`` are elements: ``<D:getetag/>``."""
        body = f"<D:propfind {DECLARATIONS}><D:prop>{props}</D:prop></D:propfind>"
        return self.request("PROPFIND", path, body, Depth=str(depth), **headers)

    def proppatch(self, path: str, *, set: str = "", remove: str = "", **headers: str) -> Answer:
        """``set`` and ``remove`` are property elements."""
        inner = f"<D:set><D:prop>{set}</D:prop></D:set>" if set else ""
        inner += f"<D:remove><D:prop>{remove}</D:prop></D:remove>" if remove else ""
        body = f"<D:propertyupdate {DECLARATIONS}>{inner}</D:propertyupdate>"
        return self.request("PROPPATCH", path, body, **headers)

    def report(self, path: str, root: str, inner: str, *, depth: int | str | None = None, **headers: str) -> Answer:
        """``root`` is the report's element name with its prefix (``C:calendar-query``)."""
        if depth is not None:
            headers["Depth"] = str(depth)
        return self.request("REPORT", path, f"<{root} {DECLARATIONS}>{inner}</{root}>", **headers)

    def sync(self, path: str, token: str = "", *, limit: int | None = None, level: str = "1") -> Answer:
        """A sync-collection report that asks for the ETag."""
        nresults = f"<D:limit><D:nresults>{limit}</D:nresults></D:limit>" if limit else ""
        inner = f"<D:sync-token>{token}</D:sync-token><D:sync-level>{level}</D:sync-level>{nresults}"
        return self.report(path, "D:sync-collection", f"{inner}<D:prop><D:getetag/></D:prop>", depth=1)

    def put(self, path: str, body: bytes | str, **headers: str) -> Answer:
        """PUT of text/calendar, unless ``Content_Type`` says otherwise."""
        return self.request("PUT", path, body, **{"Content_Type": "text/calendar; charset=utf-8", **headers})


def basic(user: str, password: str | None = None) -> str:
    """An ``Authorization`` header; the tests' accounts have their name as password."""
    return "Basic " + base64.b64encode(f"{user}:{user if password is None else password}".encode()).decode()


@dataclass(frozen=True)
class NamesAreEnough:
    """An authenticator for tests of everything but authentication: whoever exists is let in by name."""

    store: Store

    def expected(self, *, authorization: str | None, remote_address: str) -> Expected | None:
        """Whoever exists was here a moment ago."""
        if not authorization:
            return None
        name = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]
        found = self.store.run(lambda tx: tx.principals.for_login(name), write=False)
        if found is None:
            return None
        return Expected(name, revision_of(self.store.epoch, found[0].id, found[1].revision), self.store)

    def authenticate(
        self, *, authorization: str | None, remote_address: str, environ: Mapping[str, object]
    ) -> Authenticated | Challenge:
        """The principal with the name in the header."""
        if not authorization:
            return Challenge("tests")
        name = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]
        found = self.store.run(lambda tx: tx.principals.by_name(name), write=False)
        return Authenticated(found) if found is not None else Challenge("tests")


def event(uid: str, *, summary: str = "Lunch", start: str = "20260310T120000Z", extra: str = "") -> str:
    """A small VEVENT of one hour as a calendar object; ``extra`` are further content lines with their line ends."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\nSUMMARY:{summary}\r\n{extra}"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def question(
    *attendees: str,
    organizer: str = "mailto:u2@example.org",
    start: str = "20260310",
    end: str = "20260311",
    more: str = "",
) -> str:
    """Asks an outbox who is busy (RFC 6638 section 5) on the days from ``start`` until ``end``.

    Attendees are URIs, or ``;CN=One:mailto:...`` with their parameters; ``more`` are further content lines.
    """
    lines = "".join(f"ATTENDEE{one if one.startswith(';') else ':' + one}\r\n" for one in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\nUID:q\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART:{start}T000000Z\r\nDTEND:{end}T000000Z\r\nORGANIZER:{organizer}\r\n"
        f"{lines}{more}END:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    )


def todo(uid: str, *, summary: str = "Buy milk", extra: str = "") -> str:
    """A small VTODO as a calendar object."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VTODO\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:{summary}\r\n{extra}END:VTODO\r\nEND:VCALENDAR\r\n"
    )
