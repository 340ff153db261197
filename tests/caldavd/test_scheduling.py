"""Implicit scheduling over HTTP (RFC 6638): invitation, answer, change, cancellation, inbox, tags, free/busy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.caldavd.client import Answer, Client, question

CAL1, CAL2, CAL3 = (f"/calendars/u{number}/calendar/" for number in (1, 2, 3))


@pytest.fixture
def scheduling(as_user: Callable[[str | None], Client]) -> Callable[[str | None], Client]:
    """Clients of a server that schedules; people have inbox and outbox."""
    return as_user


def meeting(*lines: str, uid: str = "m", start: str = "20260310T120000Z", attendees: tuple[str, ...] = ("u2",)) -> str:
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{name}@example.org\r\n" for name in attendees)
    extra = "".join(f"{line}\r\n" for line in lines)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\nSUMMARY:Plan\r\n"
        f"ORGANIZER:mailto:u1@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org\r\n{who}{extra}"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def only(client: Client, calendar: str) -> tuple[str, str]:
    """Href and unfolded text of the only object in a calendar."""
    hrefs = [href for href in client.propfind(calendar, "<D:getetag/>", depth=1).hrefs if href != calendar]
    assert len(hrefs) == 1, hrefs
    return hrefs[0], client.request("GET", hrefs[0]).body.decode().replace("\r\n ", "")


def count(client: Client, path: str) -> int:
    return len(client.propfind(path, "<D:getetag/>", depth=1).hrefs) - 1


def methods(client: Client) -> list[str]:
    """The METHODs of the messages in the inbox."""
    inbox = f"/calendars/{client.user}/inbox/"
    items = [href for href in client.propfind(inbox, "<D:getetag/>", depth=1).hrefs if href != inbox]
    texts = [client.request("GET", href).body.decode() for href in items]
    return [text.split("METHOD:")[1].split("\r")[0] for text in texts]


def test_discovery(scheduling: Callable[[str | None], Client]) -> None:
    u1 = scheduling("u1")
    answer = u1.propfind("/principals/u1/", "<C:schedule-inbox-URL/><C:schedule-outbox-URL/>")
    assert "calendar-auto-schedule" in answer.headers["DAV"]
    assert answer.xpath("string(//C:schedule-inbox-URL/D:href)") == "/calendars/u1/inbox/"
    assert answer.xpath("string(//C:schedule-outbox-URL/D:href)") == "/calendars/u1/outbox/"
    home = u1.propfind("/calendars/u1/", "<D:resourcetype/>", depth=1)
    assert home.prop("/calendars/u1/inbox/", "D:resourcetype/C:schedule-inbox") is not None
    assert home.prop("/calendars/u1/outbox/", "D:resourcetype/C:schedule-outbox") is not None
    default = u1.propfind("/calendars/u1/inbox/", "<C:schedule-default-calendar-URL/>")
    assert default.xpath("string(//C:schedule-default-calendar-URL/D:href)") == CAL1
    assert u1.put("/calendars/u1/inbox/x.ics", meeting()).status == 403


def test_without_scheduling_nothing_is_promised(without_scheduling: Callable[[str | None], Client]) -> None:
    u1 = without_scheduling("u1")
    answer = u1.propfind("/principals/u1/", "<C:schedule-inbox-URL/><C:schedule-outbox-URL/>")
    assert "schedule" not in answer.headers["DAV"]
    assert answer.status_of("/principals/u1/", "C:schedule-inbox-URL") == 404
    assert u1.put(CAL1 + "m.ics", meeting()).headers.get("Schedule-Tag") is None


def test_invite_accept_change_cancel(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2 = scheduling("u1"), scheduling("u2")
    made = u1.put(CAL1 + "m.ics", meeting(), If_None_Match="*")
    assert made.status == 201, made.body
    assert "Schedule-Tag" in made.headers
    assert "ETag" not in made.headers  # the server has written a SCHEDULE-STATUS
    mine = u1.request("GET", CAL1 + "m.ics")
    assert b"SCHEDULE-STATUS" in mine.body
    assert mine.headers["Schedule-Tag"] == made.headers["Schedule-Tag"]

    href, text = only(u2, CAL2)
    assert "PARTSTAT=NEEDS-ACTION" in text
    assert "METHOD" not in text
    assert "SCHEDULE-STATUS" not in text
    assert count(u2, "/calendars/u2/inbox/") == 1
    inbox = u2.propfind("/calendars/u2/inbox/", "<D:getetag/>", depth=1).hrefs
    item = next(href for href in inbox if href.endswith(".ics"))
    assert b"METHOD:REQUEST" in u2.request("GET", item).body
    assert u2.request("DELETE", item).status == 204

    tag = u2.request("GET", href).headers["Schedule-Tag"]
    accepted = text.replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED")
    answer = u2.put(href, accepted, If_Schedule_Tag_Match=tag)
    assert answer.status == 204, answer.body
    after = u1.request("GET", CAL1 + "m.ics")
    assert (
        b"PARTSTAT=ACCEPTED"
        in after.body.replace(b"\r\n ", b"").split(b"mailto:u2@example.org")[0].rpartition(b"ATTENDEE")[2]
    )
    assert after.headers["Schedule-Tag"] == made.headers["Schedule-Tag"]  # only a PARTSTAT came in (3.2.10)
    assert count(u1, "/calendars/u1/inbox/") == 1

    moved = after.body.decode().replace("DTSTART:20260310T120000Z", "DTSTART:20260311T120000Z")
    assert u1.put(CAL1 + "m.ics", moved, If_Match=after.headers["ETag"]).status == 204
    _, text = only(u2, CAL2)
    assert "DTSTART:20260311T120000Z" in text

    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0
    assert "CANCEL" in methods(u2)


def test_three_people_see_each_others_answers(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2, u3 = (scheduling(name) for name in ("u1", "u2", "u3"))
    u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3")))
    href, text = only(u2, CAL2)
    mine = text.replace(
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:u2@", "ATTENDEE;PARTSTAT=DECLINED;RSVP=TRUE:mailto:u2@"
    )
    assert mine != text
    assert u2.put(href, mine).status == 204
    _, seen = only(u3, CAL3)
    assert "PARTSTAT=DECLINED" in seen


def test_an_attendee_may_not_move_the_meeting(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2 = scheduling("u1"), scheduling("u2")
    u1.put(CAL1 + "m.ics", meeting())
    href, text = only(u2, CAL2)
    answer = u2.put(href, text.replace("20260310T120000Z", "20260312T120000Z"))
    assert answer.status == 403
    assert answer.conditions == ["allowed-attendee-scheduling-object-change"]


def test_one_meeting_in_one_place(scheduling: Callable[[str | None], Client]) -> None:
    u1 = scheduling("u1")
    u1.request("MKCALENDAR", "/calendars/u1/second/")
    u1.put(CAL1 + "m.ics", meeting())
    answer = u1.put("/calendars/u1/second/m.ics", meeting())
    assert answer.status == 403
    assert answer.conditions == ["unique-scheduling-object-resource"]
    assert answer.xpath("string(//D:href)") == CAL1 + "m.ics"


def test_nobody_here_has_the_address(scheduling: Callable[[str | None], Client]) -> None:
    u1 = scheduling("u1")
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("stranger",))).status == 201
    assert b'SCHEDULE-STATUS="5.2' in u1.request("GET", CAL1 + "m.ics").body.replace(b"\r\n ", b"") or (
        b"SCHEDULE-STATUS=5.2" in u1.request("GET", CAL1 + "m.ics").body.replace(b"\r\n ", b"")
    )


def test_deleting_the_calendar_cancels_its_meetings(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2 = scheduling("u1"), scheduling("u2")
    work = "/calendars/u1/work/"
    assert u1.request("MKCALENDAR", work).status == 201
    assert u1.put(work + "m.ics", meeting()).status == 201
    assert count(u2, CAL2) == 1
    assert u1.request("DELETE", work).status == 204
    assert count(u2, CAL2) == 0
    assert "CANCEL" in methods(u2)


def ask(client: Client, *attendees: str, mask: str = "") -> Answer:
    them = (f"mailto:{name}@example.org" for name in attendees)
    body = question(*them, organizer="mailto:u1@example.org", more=mask)
    return client.request("POST", "/calendars/u1/outbox/", body, Content_Type="text/calendar; charset=utf-8")


def test_free_busy(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2 = scheduling("u1"), scheduling("u2")
    u1.put(CAL1 + "m.ics", meeting())
    answer = ask(u1, "u2", "nobody", "u3")
    assert answer.status == 200
    assert [one.text for one in answer.xpath("//C:request-status")] == [
        "2.0;Success", "3.7;Invalid calendar user", "2.0;Success",
    ]  # fmt: skip
    texts = [one.text for one in answer.xpath("//C:calendar-data")]
    assert "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260310T120000Z/20260310T130000Z" in texts[0].replace("\r\n ", "")
    assert "FREEBUSY" not in texts[1].replace("VFREEBUSY", "")
    masked = ask(u1, "u2", mask="X-CALENDARSERVER-MASK-UID:m\r\n")
    assert "FBTYPE" not in masked.xpath("string(//C:calendar-data)")
    assert u2.request("POST", "/calendars/u1/outbox/", "x", Content_Type="text/calendar").status in (403, 404)


ROOM = "/calendars/room1/calendar/"


def test_a_room_accepts_while_it_is_free(scheduling: Callable[[str | None], Client]) -> None:
    u1, u2, admin = scheduling("u1"), scheduling("u2"), scheduling("admin")
    assert u1.put(CAL1 + "a.ics", meeting(uid="a", attendees=("room1", "u2"))).status == 201
    text = u1.request("GET", CAL1 + "a.ics").body.decode().replace("\r\n ", "")
    line = next(line for line in text.splitlines() if "room1@" in line)
    assert "PARTSTAT=ACCEPTED" in line  # already when the PUT returns
    assert "PARTSTAT=ACCEPTED" in only(admin, ROOM)[1]
    seen = only(u2, CAL2)[1]
    assert "PARTSTAT=ACCEPTED" in next(line for line in seen.splitlines() if "room1@" in line)


def test_a_room_is_not_booked_twice(scheduling: Callable[[str | None], Client]) -> None:
    u1, admin = scheduling("u1"), scheduling("admin")

    def answer(uid: str, start: str, *lines: str) -> str:
        name = f"{CAL1}{uid}.ics"
        assert u1.put(name, meeting(*lines, uid=uid, start=start, attendees=("room1",))).status in (201, 204)
        text = u1.request("GET", name).body.decode().replace("\r\n ", "")
        line = next(line for line in text.splitlines() if "room1@" in line)
        return line.split("PARTSTAT=")[1].split(";")[0].split(":")[0]

    assert answer("a", "20260310T120000Z") == "ACCEPTED"
    assert answer("b", "20260310T123000Z") == "DECLINED"
    assert answer("c", "20260310T130000Z") == "ACCEPTED"
    # The first line is that of the series: the room is free on two of three days (test_rooms.py).
    assert answer("r", "20260309T123000Z", "RRULE:FREQ=DAILY;COUNT=3") == "ACCEPTED"
    assert answer("n", "20260401T120000Z", "RRULE:FREQ=DAILY") == "DECLINED"  # it never ends
    assert answer("s", "20260320T120000Z", "RRULE:FREQ=DAILY;COUNT=3") == "ACCEPTED"
    assert answer("c", "20260310T140000Z") == "ACCEPTED"  # moved
    assert answer("b", "20260310T130000Z") == "ACCEPTED"  # what c has left
    assert count(admin, ROOM) >= 4
