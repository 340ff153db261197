"""Working hours (RFC 7953) over HTTP: ``calendar-availability`` by both names, VAVAILABILITY in calendars, answers."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pytest

from tests.caldavd.client import Answer, Client, event, question
from tests.caldavd.sharing import ace, acl

INBOX = "/calendars/u1/inbox/"
WORK = "/calendars/u1/work/"
DAY = '<C:time-range start="20260302T000000Z" end="20260303T000000Z"/>'  # a Monday
OUTSIDE = "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260302T000000Z/20260302T080000Z,20260302T160000Z/20260303T000000Z"


def hours(*lines: str, before: str = "", uid: str = "h", priority: str = "") -> str:
    """From nine to five in Berlin on working days, unless ``lines`` say otherwise."""
    inner = "\r\n".join(
        lines
        or (
            "BEGIN:AVAILABLE",
            "UID:a",
            "DTSTAMP:20260101T000000Z",
            "SUMMARY:secret",
            "DTSTART;TZID=Europe/Berlin:20260105T090000",
            "DTEND;TZID=Europe/Berlin:20260105T170000",
            "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            "END:AVAILABLE",
        )
    )
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\n{before}BEGIN:VAVAILABILITY\r\nUID:{uid}\r\n"
        f"DTSTAMP:20260101T000000Z\r\n{priority}{inner}\r\nEND:VAVAILABILITY\r\nEND:VCALENDAR\r\n"
    )


def put_property(client: Client, text: str, name: str = "C:calendar-availability", path: str = INBOX) -> Answer:
    return client.proppatch(path, set=f"<{name}>{escape(text)}</{name}>")


def value(client: Client, name: str) -> str | None:
    found = client.propfind(INBOX, f"<{name}/>").prop(INBOX, name)
    return None if found is None else (found.text or "").replace("\r\n", "\n")


def ask(client: Client, attendee: str) -> str:
    """The answer to a question to the outbox, unfolded."""
    me = f"mailto:{client.user}@example.org"
    asked = question(f"mailto:{attendee}@example.org", organizer=me, start="20260302", end="20260303")
    answer = client.request("POST", f"/calendars/{client.user}/outbox/", asked, Content_Type="text/calendar")
    assert answer.status == 200, answer.body
    found = answer.xpath("string(//C:calendar-data)")
    return str(found).replace("\r\n", "\n").replace("\n ", "")


def report(client: Client, path: str, depth: str = "1") -> str:
    answer = client.report(path, "C:free-busy-query", DAY, depth=depth)
    assert answer.status == 200, answer.body
    return answer.body.decode().replace("\r\n", "\n").replace("\n ", "")


@pytest.mark.parametrize("name", ["C:calendar-availability", "CS:calendar-availability"])
def test_one_value_with_two_names(u1: Client, name: str) -> None:
    other = {
        "C:calendar-availability": "CS:calendar-availability",
        "CS:calendar-availability": "C:calendar-availability",
    }
    assert value(u1, name) is None
    answer = put_property(u1, hours(), name)
    assert answer.status_of(INBOX, name) == 200
    assert value(u1, name) == value(u1, other[name]) == hours().replace("\r\n", "\n")
    changed = hours(priority="PRIORITY:5\r\n")
    put_property(u1, changed, other[name])
    assert value(u1, name) == value(u1, other[name]) == changed.replace("\r\n", "\n")
    u1.proppatch(INBOX, remove=f"<{name}/>")
    assert value(u1, name) is value(u1, other[name]) is None


def test_allprop_does_not_return_it_and_propname_does(u1: Client) -> None:
    """RFC 7953 section 7.2.4: SHOULD NOT be returned by allprop."""
    put_property(u1, hours())
    assert b"calendar-availability" not in u1.request("PROPFIND", INBOX, Depth="0").body
    names = u1.request("PROPFIND", INBOX, '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>', Depth="0")
    assert names.body.count(b"calendar-availability") == 2


def test_the_header_says_so_where_there_are_inboxes(
    u1: Client, without_scheduling: Callable[[str | None], Client]
) -> None:
    """RFC 7953 section 7.2.1."""
    tokens = u1.request("OPTIONS", "/calendars/u1/").headers["DAV"].split(", ")
    assert {"calendar-availability", "inbox-availability"} <= set(tokens)
    assert "availability" not in without_scheduling("u1").request("OPTIONS", "/calendars/u1/").headers["DAV"]


def test_in_answers_of_the_outbox(u1: Client, u2: Client) -> None:
    """RFC 7953 sections 5 and 7.2.5; nothing but the times is told (section 9)."""
    assert "FREEBUSY;" not in ask(u2, "u1")
    put_property(u1, hours())
    u1.put("/calendars/u1/calendar/a.ics", event("a", start="20260302T090000Z"))
    u1.put("/calendars/u1/calendar/b.ics", event("b", start="20260302T153000Z"))
    told = ask(u2, "u1")
    assert "FREEBUSY;FBTYPE=BUSY:20260302T090000Z/20260302T100000Z,20260302T153000Z/20260302T163000Z\n" in told
    outside = "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260302T000000Z/20260302T080000Z,20260302T163000Z/20260303T000000Z"
    assert outside in told
    assert "secret" not in told
    # seen at once
    u1.proppatch(INBOX, remove="<CS:calendar-availability/>")
    assert "UNAVAILABLE" not in ask(u2, "u1")


def test_in_calendars_with_priorities(u1: Client, u2: Client) -> None:
    """RFC 7953 sections 4, 7.1 and 7.2.3."""
    made = u1.request(
        "MKCALENDAR",
        WORK,
        '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
        '<C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VAVAILABILITY"/>'
        "</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>",
    )
    assert made.status == 201, made.body
    assert b'name="VAVAILABILITY"' in u1.propfind(WORK, "<C:supported-calendar-component-set/>").body
    assert u1.put(WORK + "h.ics", hours()).status == 201
    assert OUTSIDE in ask(u2, "u1")
    assert OUTSIDE in report(u1, WORK)
    assert OUTSIDE in report(u1, "/calendars/u1/")
    holiday = hours("DTSTART:20260301T000000Z", "DTEND:20260308T000000Z", uid="off", priority="PRIORITY:1\r\n")
    assert u1.put(WORK + "off.ics", holiday).status == 201
    for told in (ask(u2, "u1"), report(u1, WORK)):
        assert "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260302T000000Z/20260303T000000Z" in told
    assert u1.request("DELETE", WORK + "off.ics").status == 204
    assert OUTSIDE in ask(u2, "u1")
    # Both count: the inbox's says nothing of its own here, since one of the same priority says "available".
    put_property(u1, hours())
    assert OUTSIDE in ask(u2, "u1")
    # ... and a report on a calendar is about what is in it (7.2.3), one on a person about all.
    u1.request("DELETE", WORK + "h.ics")
    assert "UNAVAILABLE" not in report(u1, WORK)
    assert OUTSIDE in report(u1, "/principals/u1/", depth="0")


def test_a_calendar_takes_it_only_where_it_was_made_for_it(u1: Client) -> None:
    assert u1.put("/calendars/u1/calendar/h.ics", hours()).conditions == ["supported-calendar-component"]


def test_only_the_owner_says_it(u1: Client, u2: Client) -> None:
    """RFC 7953 section 8: only authorized users can modify it."""
    assert put_property(u2, hours()).status in (403, 404)
    assert value(u1, "C:calendar-availability") is None


def test_hours_are_shared_without_what_is_written_in_them(u1: Client, u2: Client) -> None:
    """RFC 7953 section 9: who is granted read-free-busy sees the times, without SUMMARY, LOCATION and the like."""
    made = u1.request(
        "MKCALENDAR",
        WORK,
        '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
        '<C:supported-calendar-component-set><C:comp name="VAVAILABILITY"/></C:supported-calendar-component-set>'
        "</D:prop></D:set></C:mkcalendar>",
    )
    assert made.status == 201
    u1.put(WORK + "h.ics", hours())
    assert u2.report(WORK, "C:free-busy-query", DAY).status == 404
    assert u1.request("ACL", WORK, acl(ace("u2", "C:read-free-busy"))).status == 200
    told = report(u2, WORK)
    assert OUTSIDE in told
    assert "secret" not in told
    assert u2.request("GET", WORK + "h.ics").status == 403


ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Here\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\n"
    "TZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)


def test_time_zones_may_be_in_it(u1: Client, u2: Client) -> None:
    text = hours(before=ZONE).replace("Europe/Berlin", "Here")
    assert put_property(u1, text).status_of(INBOX, "C:calendar-availability") == 200
    assert OUTSIDE in ask(u2, "u1")


#: Another one beside the first, with the same UID.
SECOND = "END:VAVAILABILITY\r\nBEGIN:VAVAILABILITY\r\nUID:h\r\nRECURRENCE-ID:20260101T000000Z\r\nEND:VAV"
BESIDE = "END:VAVAILABILITY\r\nBEGIN:VEVENT\r\nUID:h\r\nDTSTART:20260101T000000Z\r\nEND:VEVENT\r\n"


def available(*lines: str) -> tuple[str, ...]:
    return ("BEGIN:AVAILABLE", *lines, "END:AVAILABLE")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nonsense", "Line 1"),
        (event("a"), "Line 4"),
        (hours().replace("END:VAVAILABILITY\r\n", BESIDE), "Line 16"),
        (hours().replace("VERSION", "METHOD:X\r\nVERSION"), "Line 2"),
        (hours().replace("END:VAV", SECOND), "Line 16"),
        (hours("DTSTART;VALUE=DATE:20260101"), "Line 7"),
        (hours("DTSTART:20260101T000000"), "Line 7"),
        (hours("DURATION:P1D"), "Line 7"),
        (hours("DTSTART:20260102T000000Z", "DTEND:20260101T000000Z"), "Line 8"),
        (hours("DTSTART:20260102T000000Z", "DTEND:20260103T000000Z", "DURATION:P1D"), "Line 9"),
        (hours("DTSTART:20260102T000000Z", "DTSTART:20260103T000000Z"), "Line 8"),
        (hours("PRIORITY:high"), "Line 7"),
        (hours(*available("UID:a")), "Line 7"),
        (hours(*available("DTSTART:20260101T080000Z")), "Line 7"),
        (hours(*available("UID:a", "DTSTART;TZID=Nowhere/Middle:20260101T080000")), "Line 9"),
        (hours(*available("UID:a", "DTSTART:20260101T080000Z", "RRULE:FREQ=SOMETIMES")), "Line 10"),
        (hours(*available("UID:a", "DTSTART:20260101T080000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY")), "Line 11"),
        (hours(*(line for n in range(501) for line in available(f"UID:{n}", "DTSTART:20260101T080000Z"))), "Line 2007"),
        (hours(f"COMMENT:{'x' * 300_000}"), ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["C:calendar-availability", "CS:calendar-availability"])
def test_what_is_no_availability_is_refused_with_its_line(u1: Client, name: str, text: str, line: str) -> None:
    answer = put_property(u1, text, name)
    assert answer.status_of(INBOX, name) == 403
    assert answer.xpath("boolean(//D:error/C:valid-calendar-data)"), answer.body
    assert line in answer.xpath("string(//D:responsedescription)")
    assert value(u1, name) is None


def test_many_hours_cost_little(u1: Client, u2: Client, as_user: Callable[[str], Client]) -> None:
    """RFC 7953 section 8: the complexity is limited, and an answer comes all the same."""
    often = (
        available(f"UID:{n}", f"DTSTART:20260101T0000{n % 60:02}Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;INTERVAL=7")
        for n in range(400)
    )
    put_property(u1, hours(*(line for one in often for line in one)))
    assert "BUSY-UNAVAILABLE" in ask(u2, "u1")
