"""The shorter way gives the answers of the usual way, and is taken where it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from caldavd import express
from caldavd.app import Application
from caldavd.response import Response
from tests.caldavd.client import DECLARATIONS, Answer, Client, event

CALENDAR = "/calendars/u1/calendar/"
MEETING = "ORGANIZER:mailto:u1@example.org\r\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:u2@example.org\r\n"


def _poll(*names: str) -> str:
    return f"<D:propfind {DECLARATIONS}><D:prop>{''.join(f'<{name}/>' for name in names)}</D:prop></D:propfind>"


BOTH = _poll("CS:getctag", "D:sync-token")


@pytest.fixture
def u1(application: Application) -> Client:
    """u1, whose calendar has a plain event, a meeting, a long one, one with a property and one with a language."""
    client = Client(application)
    client.put(CALENDAR + "a.ics", event("a"))
    client.put(CALENDAR + "b%20%C3%BC.ics", event("b", extra=MEETING))
    client.put(CALENDAR + "long.ics", event("long", extra="DESCRIPTION:" + "word " * 2000 + "\r\n"))
    client.put(CALENDAR + "told.ics", event("told"))
    client.proppatch(CALENDAR + "told.ics", set="<D:displayname>Told</D:displayname>")
    client.put(CALENDAR + "german.ics", event("german"), Content_Language="de")
    assert client.request("MKCOL", "/calendars/u1/files/").status == 201
    client.put("/calendars/u1/files/x.txt", "text", Content_Type="text/plain")
    return client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Response]:
    """The answers that were given on the shorter way."""
    given: list[Response] = []
    real = express.answer

    def noted(*arguments: object) -> Response | None:
        found = real(*arguments)  # type: ignore[arg-type]
        if found is not None:
            given.append(found)
        return found

    monkeypatch.setattr(express, "answer", noted)
    return given


Ask = Callable[[Client], Answer]


def _get(path: str, **headers: str) -> Ask:
    return lambda client: client.request("GET", path, **headers)


def _propfind(path: str, body: str = BOTH, *, depth: str = "0", **headers: str) -> Ask:
    return lambda client: client.request("PROPFIND", path, body, Depth=depth, **headers)


ON_THE_SHORTER_WAY = {
    "an event": _get(CALENDAR + "a.ics"),
    "a meeting with a name in UTF-8": _get(CALENDAR + "b%20%C3%BC.ics"),
    "what is long": _get(CALENDAR + "long.ics"),
    "what is long, compressed": _get(CALENDAR + "long.ics", Accept_Encoding="gzip"),
    "a type that is had": _get(CALENDAR + "a.ics", Accept="text/calendar, */*;q=0.5"),
    "jCal, but rather iCalendar": _get(CALENDAR + "a.ics", Accept="application/calendar+json;q=0.5, text/calendar"),
    "both tags": _propfind(CALENDAR),
    "without the slash": _propfind(CALENDAR.rstrip("/")),
    "the ctag": _propfind(CALENDAR, _poll("CS:getctag")),
    "the token, and the ctag twice": _propfind(CALENDAR, _poll("D:sync-token", "CS:getctag", "CS:getctag")),
    "the tasks": _propfind("/calendars/u1/tasks/"),
}
ON_THE_USUAL_WAY = {
    "HEAD": lambda client: client.request("HEAD", CALENDAR + "a.ics"),
    "what has a property": _get(CALENDAR + "told.ics"),
    "what has a language": _get(CALENDAR + "german.ics"),
    "what is not there": _get(CALENDAR + "none.ics"),
    "in a calendar that is not there": _get("/calendars/u1/none/a.ics"),
    "with a slash": _get(CALENDAR + "a.ics/"),
    "a file": _get("/calendars/u1/files/x.txt"),
    "a calendar": _get(CALENDAR),
    "a home": _get("/calendars/u1/"),
    "what is not changed": _get(CALENDAR + "a.ics", If_None_Match="*"),
    "not since": _get(CALENDAR + "a.ics", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT"),
    "a part": _get(CALENDAR + "a.ics", Range="bytes=0-4"),
    "jCal": _get(CALENDAR + "a.ics", Accept="application/calendar+json"),
    "jCal, unnamed": _get(CALENDAR + "a.ics", Accept="application/*"),
    "anything but iCalendar": _get(CALENDAR + "a.ics", Accept="*/*, text/calendar;q=0"),
    "a GET with a body": lambda client: client.request("GET", CALENDAR + "a.ics", "body"),
    "If": _propfind(CALENDAR, If='(["no such tag"])'),
    "Brief": _propfind(CALENDAR, _poll("CS:getctag"), Brief="t"),
    "Prefer": _propfind(CALENDAR, Prefer="return=minimal"),
    "members": _propfind(CALENDAR, depth="1"),
    "a Depth that is none": _propfind(CALENDAR, depth="2"),
    "another property": _propfind(CALENDAR, _poll("CS:getctag", "D:displayname")),
    "nothing": _propfind(CALENDAR, _poll()),
    "everything": _propfind(CALENDAR, ""),
    "no XML": _propfind(CALENDAR, "<"),
    "another body": _propfind(CALENDAR, '<D:other xmlns:D="DAV:"/>'),
    "the tags of an event": _propfind(CALENDAR + "a.ics"),
    "the tags of the inbox": _propfind("/calendars/u1/inbox/"),
    "the tags of a folder": _propfind("/calendars/u1/files/"),
    "the tags of the home": _propfind("/calendars/u1/"),
    "the tags of nothing": _propfind("/calendars/u1/none/"),
    "another's calendar": _propfind("/calendars/u2/calendar/"),
    "another's event": _get("/calendars/u2/calendar/a.ics"),
}


def _usual(client: Client, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> Answer:
    with monkeypatch.context() as patched:
        patched.setattr(express, "answer", lambda *_: None)
        return ask(client)


def _same(answer: Answer, other: Answer) -> None:
    def told(one: Answer) -> Answer:
        return replace(one, headers={name: value for name, value in one.headers.items() if name != "X-Request-Id"})

    assert told(answer) == told(other)


@pytest.mark.parametrize("ask", ON_THE_SHORTER_WAY.values(), ids=ON_THE_SHORTER_WAY)
def test_the_shorter_way_is_taken_and_says_the_same(
    u1: Client, quick: list[Response], monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    answer = ask(u1)
    assert len(quick) == 1
    assert answer.status in (200, 207)
    _same(answer, _usual(u1, monkeypatch, ask))


@pytest.mark.parametrize("ask", ON_THE_USUAL_WAY.values(), ids=ON_THE_USUAL_WAY)
def test_the_shorter_way_is_left_to_the_usual_one(
    u1: Client, quick: list[Response], monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    answer = ask(u1)
    assert quick == []
    _same(answer, _usual(u1, monkeypatch, ask))


def test_a_sync_token_of_the_shorter_way_is_taken(u1: Client, quick: list[Response]) -> None:
    token = u1.propfind(CALENDAR, "<D:sync-token/>").xpath("string(//D:sync-token)")
    assert len(quick) == 1
    u1.put(CALENDAR + "new.ics", event("new"))
    assert u1.sync(CALENDAR, token).hrefs == [CALENDAR + "new.ics"]


def test_behind_a_prefix_the_href_has_it(application: Application, quick: list[Response]) -> None:
    client = Client(replace(application, proxies=replace(application.proxies, prefix="/dav")))
    assert client.propfind(f"/dav{CALENDAR}", "<CS:getctag/>").hrefs == [f"/dav{CALENDAR}"]
    assert len(quick) == 1
