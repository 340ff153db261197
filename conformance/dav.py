"""A small CalDAV client for the drivers: they use it to look at the server and to play "another client".

It goes straight to the server, past the logging proxy, and knows as little as it can: requests, the home, the members
of a collection. Only the standard library, because the drivers also run under Debian's own Python.
"""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import re
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 15.4
XML = "application/xml; charset=utf-8"
CALENDAR = "text/calendar; charset=utf-8"
TIMEOUT = 60  # seconds for one answer


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the server. Header names are lower-cased; several headers of one name are joined with commas."""

    status: int
    headers: dict[str, str]
    text: str


class DavError(RuntimeError):
    """The server did not answer as the driver needs it to go on."""


def unfold(text: str) -> str:
    """ICalendar text with its folded lines joined (RFC 5545 3.1) and line feeds only."""
    return re.sub(r"\r?\n[ \t]", "", text).replace("\r\n", "\n")


def vevent(
    uid: str, summary: str, *, start: str = "20270301T100000Z", end: str = "20270301T110000Z", extra: str = ""
) -> str:
    """A calendar object with one event, as a client other than the one under test would write it."""
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//conformance//EN\r\n"
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:{stamp}\r\nDTSTART:{start}\r\nDTEND:{end}\r\n"
        f"SUMMARY:{summary}\r\n{extra}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def path_of(href: str) -> str:
    """The path of an href, which may be a whole URL."""
    return urllib.parse.urlsplit(href.strip()).path


class Dav:
    """A client for one account. Paths are absolute and percent-encoded, as hrefs are."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        """`url` is where the account starts, for example the root of the server."""
        parts = urllib.parse.urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80
        self.base = parts.path or "/"
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def request(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request; redirects are not followed."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else body.encode(),
                headers={"Authorization": self.authorization, **(headers or {})},
            )
            response = connection.getresponse()
            found: dict[str, str] = {}
            for name, value in response.getheaders():
                key = name.lower()
                found[key] = f"{found[key]}, {value}" if key in found else value
            return Answer(response.status, found, response.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """GET."""
        return self.request("GET", path)

    def put(self, path: str, text: str, headers: dict[str, str] | None = None) -> Answer:
        """PUT of a calendar object."""
        return self.request("PUT", path, text, {"Content-Type": CALENDAR, **(headers or {})})

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.request("DELETE", path)

    def propfind(self, path: str, properties: str, *, depth: str) -> ET.Element:
        """The multistatus of a PROPFIND, redirects followed; `properties` is XML with the prefixes D, C and A.

        Raises DavError: any other answer.
        """
        body = (
            '<D:propfind xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">'
            f"<D:prop>{properties}</D:prop></D:propfind>"
        )
        headers = {"Depth": depth, "Content-Type": XML}
        answer = self.request("PROPFIND", path, body, headers)
        for _ in range(5):
            if answer.status not in REDIRECTS:
                break
            path = path_of(answer.headers["location"])
            answer = self.request("PROPFIND", path, body, headers)
        if answer.status != 207:
            raise DavError(f"PROPFIND {path}: {answer.status} {answer.text[:200]}")
        return ET.fromstring(answer.text)

    def hrefs(self, path: str, prefixed: str, name: str) -> list[str]:
        """The paths in one href property at Depth 0; empty when it has none."""
        tree = self.propfind(path, f"<{prefixed}/>", depth="0")
        return [path_of(href.text) for prop in tree.iter(name) for href in prop.iter(DAV + "href") if href.text]

    def principal(self) -> str:
        """The path of the own principal (RFC 5397 3), found from the start URL or the well-known one (RFC 6764 5).

        Raises DavError: there is none.
        """
        for start in (self.base, "/.well-known/caldav"):
            for found in self.hrefs(start, "D:current-user-principal", DAV + "current-user-principal"):
                return found
        raise DavError(f"no current-user-principal from {self.base}")

    def home(self) -> str:
        """The path of the calendar home (RFC 4791 6.2.1), with a slash at the end.

        Raises DavError: there is none.
        """
        principal = self.principal()
        for found in self.hrefs(principal, "C:calendar-home-set", CALDAV + "calendar-home-set"):
            return found.rstrip("/") + "/"
        raise DavError(f"no calendar-home-set at {principal}")

    def calendars(self, home: str) -> list[str]:
        """The paths of the calendars in a home."""
        tree = self.propfind(home, "<D:resourcetype/>", depth="1")
        return [
            path_of(response.findtext(DAV + "href", ""))
            for response in tree.iter(DAV + "response")
            if response.find(f".//{CALDAV}calendar") is not None
        ]

    def make_calendar(self, path: str, *, name: str, components: tuple[str, ...] = ("VEVENT", "VTODO")) -> None:
        """MKCALENDAR (RFC 4791 5.3.1).

        Raises DavError: any answer but 201.
        """
        allowed = "".join(f'<C:comp name="{component}"/>' for component in components)
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">'
            f"<D:set><D:prop><D:displayname>{name}</D:displayname><A:calendar-color>#FF7700FF</A:calendar-color>"
            f"<C:supported-calendar-component-set>{allowed}</C:supported-calendar-component-set>"
            "</D:prop></D:set></C:mkcalendar>"
        )
        answer = self.request("MKCALENDAR", path, body, {"Content-Type": XML})
        if answer.status != 201:
            raise DavError(f"MKCALENDAR {path}: {answer.status} {answer.text[:200]}")

    def features(self, path: str) -> list[str]:
        """The tokens of the DAV: header (RFC 4918 10.1)."""
        answer = self.request("OPTIONS", path)
        return [token.strip() for token in answer.headers.get("dav", "").split(",")]

    def members(self, collection: str) -> list[str]:
        """The paths of the members of a collection that are not collections themselves."""
        tree = self.propfind(collection, "<D:getetag/><D:resourcetype/>", depth="1")
        return [
            path_of(response.findtext(DAV + "href", ""))
            for response in tree.iter(DAV + "response")
            if response.find(f".//{DAV}collection") is None
        ]

    def texts(self, collection: str) -> dict[str, str]:
        """The members of a collection with their unfolded text, by path."""
        found = {}
        for path in self.members(collection):
            answer = self.get(path)
            if answer.status == 200:
                found[path] = unfold(answer.text)
        return found

    def find(self, collection: str, text: str) -> tuple[str, str] | None:
        """Path and unfolded text of the first member that holds `text`."""
        return next(((path, body) for path, body in self.texts(collection).items() if text in body), None)

    def uids(self, collection: str) -> set[str]:
        """The UIDs in a collection."""
        return {
            uid for body in self.texts(collection).values() for uid in re.findall(r"^UID:(.*)$", body, re.MULTILINE)
        }
