"""Radicale's own server on the plugin: it starts with one line in its configuration and serves what clients ask for."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from storage import open_store
from storage.rows import CollectionKind, Owner
from storage.store import Transaction

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}.users
htpasswd_encryption = plain
[logging]
level = warning
[storage]
type = caldavd.radicale_storage
filesystem_folder = {folder}
"""
EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//test//EN\r
BEGIN:VEVENT\r
UID:{uid}\r
DTSTAMP:20260101T000000Z\r
DTSTART:2026{month:02}01T100000Z\r
DTEND:2026{month:02}01T110000Z\r
SUMMARY:{summary}\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Server:
    """A Radicale in a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder = folder
        Path(f"{folder}.users").write_text("anna:x\nbert:x\n")
        configuration = folder.parent / "radicale.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port, folder=folder))
        command = [sys.executable, "-m", "radicale", "--config", str(configuration)]
        self.log = (folder.parent / "radicale.log").open("ab")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=self.log)
        self._wait()

    def _wait(self) -> None:
        for _ in range(200):
            assert self.process.poll() is None, self.complaints()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("Radicale did not start: " + self.complaints())

    def complaints(self) -> str:
        return (self.folder.parent / "radicale.log").read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def ask(
        self, method: str, path: str, body: str = "", *, user: str = "anna", **headers: str
    ) -> tuple[HTTPResponse, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:x".encode()).decode()
        connection.request(method, path, body.encode() or None, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def put(self, path: str, uid: str, summary: str = "", month: int = 1, **headers: str) -> HTTPResponse:
        text = EVENT.format(uid=uid, summary=summary, month=month)
        return self.ask("PUT", path, text, Content_Type="text/calendar", **headers)[0]

    def sync(self, token: str = "") -> tuple[int, str, set[str], set[str]]:
        """Status, new token, what is there, what is gone."""
        body = (
            f'<D:sync-collection xmlns:D="DAV:"><D:sync-token>{token}</D:sync-token>'
            "<D:prop><D:getetag/></D:prop></D:sync-collection>"
        )
        answer, text = self.ask("REPORT", "/anna/work/", body, Content_Type="text/xml")
        responses = re.findall(r"<response>.*?</response>", text, re.DOTALL)
        names = {re.findall(r"<href>(.*?)</href>", one)[0]: "404 Not Found" in one for one in responses}
        new = "".join(re.findall(r"<sync-token>(.*?)</sync-token>", text))
        return (
            answer.status,
            new,
            {href.rpartition("/")[2] for href, gone in names.items() if not gone},
            {href.rpartition("/")[2] for href, gone in names.items() if gone},
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "collections"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    started = Server(folder)
    yield started
    started.stop()
    assert "Traceback" not in started.complaints()


@pytest.fixture
def calendar(server: Server) -> Server:
    """With anna's calendar "work"."""
    body = (
        '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
        "<D:displayname>Wörk &amp; play</D:displayname>"
        '<C:supported-calendar-component-set><C:comp name="VEVENT"/></C:supported-calendar-component-set>'
        "</D:prop></D:set></C:mkcalendar>"
    )
    assert server.ask("MKCALENDAR", "/anna/work/", body)[0].status == 201
    return server


def test_put_get_propfind_report_delete(calendar: Server) -> None:
    created = calendar.put("/anna/work/a.ics", "uid-a", "First", If_None_Match="*")
    assert created.status == 201
    etag = created.headers["ETag"]
    answer, text = calendar.ask("GET", "/anna/work/a.ics")
    assert (answer.status, answer.headers["ETag"]) == (200, etag)
    assert "SUMMARY:First" in text
    assert answer.headers["Content-Type"].startswith("text/calendar")

    assert calendar.put("/anna/work/b.ics", "uid-a").status == 409
    assert calendar.put("/anna/work/a.ics", "uid-a", If_None_Match="*").status == 412
    assert calendar.put("/anna/work/a.ics", "uid-a", If_Match='"other"').status == 412
    assert calendar.put("/anna/work/a.ics", "uid-a", "Second", If_Match=etag).status in (201, 204)
    assert calendar.put("/anna/work/b.ics", "uid-b", "Summer", month=7).status == 201

    body = '<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><D:displayname/><D:getlastmodified/></D:prop></D:propfind>'
    answer, text = calendar.ask("PROPFIND", "/anna/work/", body, Depth="1")
    assert answer.status == 207
    hrefs = re.findall(r"<href>(.*?)</href>", text)
    assert hrefs == ["/anna/work/", "/anna/work/a.ics", "/anna/work/b.ics"]
    assert "<displayname>Wörk &amp; play</displayname>" in text
    _, text = calendar.ask("PROPFIND", "/anna/", body, Depth="1")
    assert "/anna/work/" in text

    query = (
        '<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop>'
        '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">'
        '<C:time-range start="20260615T000000Z" end="20260801T000000Z"/>'
        "</C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"
    )
    _, text = calendar.ask("REPORT", "/anna/work/", query, Depth="1")
    assert "SUMMARY:Summer" in text
    assert "SUMMARY:Second" not in text
    multiget = (
        '<C:calendar-multiget xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/>'
        "</D:prop><D:href>/anna/work/a.ics</D:href><D:href>/anna/work/none.ics</D:href></C:calendar-multiget>"
    )
    _, text = calendar.ask("REPORT", "/anna/work/", multiget)
    assert "SUMMARY:Second" in text
    assert "404 Not Found" in text

    assert calendar.ask("DELETE", "/anna/work/a.ics")[0].status == 200
    assert calendar.ask("GET", "/anna/work/a.ics")[0].status == 404
    assert calendar.ask("DELETE", "/anna/work/")[0].status == 200
    assert calendar.ask("PROPFIND", "/anna/work/", Depth="0")[0].status == 404


def test_syncing_tells_changes_and_removals(calendar: Server) -> None:
    status, token, there, gone = calendar.sync()
    assert (status, there, gone) == (207, set(), set())
    calendar.put("/anna/work/a.ics", "uid-a")
    calendar.put("/anna/work/b.ics", "uid-b")
    status, second, there, gone = calendar.sync(token)
    assert (there, gone) == ({"a.ics", "b.ics"}, set())
    calendar.ask("DELETE", "/anna/work/a.ics")
    calendar.put("/anna/work/b.ics", "uid-b", "changed")
    status, third, there, gone = calendar.sync(second)
    assert (there, gone) == ({"b.ics"}, {"a.ics"})
    assert calendar.sync(third)[1:] == (third, set(), set())
    assert calendar.sync(token + "0")[0] == 403
    assert calendar.sync("http://radicale.org/ns/sync/nonsense")[0] == 403


def test_moving_and_whole_calendars(calendar: Server) -> None:
    calendar.put("/anna/work/a.ics", "uid-a", "moved")
    to = f"http://127.0.0.1:{calendar.port}/anna/work/b.ics"
    assert calendar.ask("MOVE", "/anna/work/a.ics", Destination=to)[0].status == 201
    assert calendar.ask("GET", "/anna/work/a.ics")[0].status == 404
    assert "SUMMARY:moved" in calendar.ask("GET", "/anna/work/b.ics")[1]

    whole = EVENT.format(uid="w1", summary="one", month=1).replace("END:VCALENDAR\r\n", "")
    whole += EVENT.format(uid="w/2", summary="two", month=2).partition("PRODID:-//test//test//EN\r\n")[2]
    assert calendar.ask("PUT", "/anna/work/", whole, Content_Type="text/calendar")[0].status == 201
    text = calendar.ask("GET", "/anna/work/")[1]
    assert "SUMMARY:one" in text
    assert "SUMMARY:two" in text
    assert "SUMMARY:moved" not in text


def test_properties(calendar: Server) -> None:
    body = (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:I="http://apple.com/ns/ical/" xmlns:X="urn:x"><D:set><D:prop>'
        "<I:calendar-color>#ff0000</I:calendar-color><X:own>a &lt; b</X:own><D:displayname>New</D:displayname>"
        "</D:prop></D:set></D:propertyupdate>"
    )
    assert calendar.ask("PROPPATCH", "/anna/work/", body)[0].status == 207
    ask = (
        '<D:propfind xmlns:D="DAV:" xmlns:I="http://apple.com/ns/ical/" xmlns:X="urn:x" '
        'xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><I:calendar-color/><X:own/><D:displayname/>'
        "<C:supported-calendar-component-set/></D:prop></D:propfind>"
    )
    _, text = calendar.ask("PROPFIND", "/anna/work/", ask, Depth="0")
    assert "#ff0000" in text
    assert "a &lt; b" in text
    assert "<displayname>New</displayname>" in text
    assert 'name="VEVENT"' in text
    assert 'name="VTODO"' not in text
    body = (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:X="urn:x"><D:remove><D:prop><X:own/></D:prop></D:remove>'
        "</D:propertyupdate>"
    )
    assert calendar.ask("PROPPATCH", "/anna/work/", body)[0].status == 207
    assert "a &lt; b" not in calendar.ask("PROPFIND", "/anna/work/", ask, Depth="0")[1]


def test_address_books(server: Server) -> None:
    body = (
        '<D:mkcol xmlns:D="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"><D:set><D:prop><D:resourcetype>'
        "<D:collection/><CR:addressbook/></D:resourcetype></D:prop></D:set></D:mkcol>"
    )
    assert server.ask("MKCOL", "/anna/people/", body)[0].status == 201
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c1\r\nFN:Bert\r\nN:Bert;;;;\r\nEND:VCARD\r\n"
    assert server.ask("PUT", "/anna/people/c.vcf", card, Content_Type="text/vcard")[0].status == 201
    answer, text = server.ask("GET", "/anna/people/c.vcf")
    assert "FN:Bert" in text
    assert answer.headers["Content-Type"].startswith("text/vcard")
    text = server.ask("PROPFIND", "/anna/people/", Depth="0")[1]
    assert "addressbook" in text


def test_what_is_stored_outlives_the_server_and_is_caldavds(calendar: Server, folder: Path) -> None:
    calendar.put("/anna/work/a.ics", "uid-a", "kept")
    calendar.stop()
    again = Server(folder)
    try:
        assert "SUMMARY:kept" in again.ask("GET", "/anna/work/a.ics")[1]
        # Other people see nothing of it.
        assert again.ask("GET", "/anna/work/a.ics", user="bert")[0].status == 403
    finally:
        again.stop()
    store = open_store(f"sqlite:///{folder / 'caldavd.db'}")

    def work(tx: Transaction) -> None:
        found = tx.collections.find("anna", ("work", "a.ics"), columns=frozenset({"component", "body"}))
        assert found is not None
        assert found.object is not None
        assert (found.object.uid, found.object.component) == ("uid-a", "VEVENT")
        assert (found.collection.kind, found.collection.components) == (CollectionKind.CALENDAR, ("VEVENT",))
        owner = Owner("collection", found.collection.id)
        names = {prop.name for prop in tx.properties.of([owner], principal_id=0)[owner]}
        assert names == {"displayname"}
        assert tx.principals.by_name("bert") is not None

    store.run(work, write=False)
    assert list(store.check()) == []
    store.close()


def test_verify(calendar: Server, folder: Path) -> None:
    calendar.put("/anna/work/a.ics", "uid-a")
    command = [sys.executable, "-m", "radicale", "--config", str(folder.parent / "radicale.conf"), "--verify-storage"]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=60, capture_output=True).returncode == 0
