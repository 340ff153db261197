"""free-busy-query: what each Depth and each target does, and who may ask."""

from __future__ import annotations

from collections.abc import Callable

from tests.caldavd.client import Answer, Client, event

CAL = "/calendars/u1/calendar/"
RANGE = '<C:time-range start="20260310T000000Z" end="20260311T000000Z"/>'


def ask(client: Client, path: str, *, depth: str | None = None) -> Answer:
    return client.report(path, "C:free-busy-query", RANGE, depth=depth)


def test_on_a_calendar(u1: Client) -> None:
    u1.put(CAL + "a.ics", event("a"))
    u1.put(CAL + "b.ics", event("b", start="20260310T123000Z"))
    u1.put(CAL + "t.ics", event("t", start="20260310T180000Z", extra="TRANSP:TRANSPARENT\r\n"))
    for depth in (None, "0", "1", "infinity"):
        answer = ask(u1, CAL, depth=depth)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/calendar")
        assert b"FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T133000Z\r\n" in answer.body
        assert answer.body.count(b"FREEBUSY;") == 1
        assert answer.body.count(b"\r\nUID:") == 1


def test_on_home_and_principal(u1: Client) -> None:
    u1.put(CAL + "a.ics", event("a"))
    u1.request("MKCALENDAR", "/calendars/u1/other/")
    u1.put("/calendars/u1/other/b.ics", event("b", start="20260310T200000Z"))
    u1.request("MKCALENDAR", "/calendars/u1/free/")
    u1.put("/calendars/u1/free/c.ics", event("c", start="20260310T220000Z"))
    transparent = "<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>"
    assert u1.proppatch("/calendars/u1/free/", set=transparent).status == 207
    both = b"FBTYPE=BUSY:20260310T120000Z/20260310T130000Z,20260310T200000Z/20260310T210000Z\r\n"
    for path, depth in (
        ("/calendars/u1/", "1"),
        ("/calendars/u1/", "infinity"),
        ("/principals/u1/", "infinity"),
        ("/principals/u1/", None),
    ):
        assert both in ask(u1, path, depth=depth).body.replace(b"\r\n ", b"")
    # It is no busy time of its owner (RFC 6638 section 9.1); who asks the calendar itself is told what is in it.
    assert b"FBTYPE=BUSY:20260310T220000Z/20260310T230000Z\r\n" in ask(u1, "/calendars/u1/free/").body
    assert b"FREEBUSY;" not in ask(u1, "/calendars/u1/", depth="0").body
    assert b"T220000Z" in ask(u1, "/calendars/u1/free/").body


def test_who_may_ask(u1: Client, u2: Client, as_user: Callable[[str], Client]) -> None:
    u1.put(CAL + "a.ics", event("a"))
    assert ask(u2, CAL).status == 404
    acl = (
        "<D:ace><D:principal><D:href>/principals/u2/</D:href></D:principal>"
        "<D:grant><D:privilege><C:read-free-busy/></D:privilege></D:grant></D:ace>"
    )
    assert u1.report(CAL, "D:acl", acl).status == 403  # not a report
    body = f'<D:acl xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">{acl}</D:acl>'
    assert u1.request("ACL", CAL, body).status == 200
    assert b"20260310T120000Z/" in ask(u2, CAL).body
    assert b"20260310T120000Z/" in ask(u2, "/principals/u1/").body
    assert u2.request("GET", CAL + "a.ics").status == 403
    assert b"FREEBUSY;" not in ask(as_user("u3"), "/principals/u1/").body


def test_malformed(u1: Client) -> None:
    assert u1.report(CAL, "C:free-busy-query", "").conditions == ["valid-filter"]
    assert u1.report(CAL, "C:free-busy-query", '<C:time-range start="20260310T000000Z"/>').status == 400
    odd = '<C:time-range start="20260310" end="20260311T000000Z"/>'
    assert u1.report(CAL, "C:free-busy-query", odd).conditions == ["valid-filter"]
