"""RFC 6638 appendix B.5; the other examples are scripts (``tests/itip``) and B.6 is in ``test_rights``."""

from __future__ import annotations

from tests.caldavd.client import Client, event
from tests.caldavd.implicit.scene import calendar, outbox


def test_requesting_busy_time(u1: Client, u2: Client) -> None:
    """Cyrus (u1) asks for Wilfredo (u2), Bernard (u3), and Mike, whom nobody here knows. UIDs and dates are theirs."""
    for number, start in enumerate(("20090602T110000Z", "20090603T170000Z")):
        assert u2.put(f"{calendar('u2')}{number}.ics", event(str(number), start=start)).status == 201
    body = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example Corp.//CalDAV Client//EN\r\nMETHOD:REQUEST\r\n"
        "BEGIN:VFREEBUSY\r\nUID:4FD3AD926350\r\nDTSTAMP:20090602T190420Z\r\nDTSTART:20090602T000000Z\r\n"
        'DTEND:20090604T000000Z\r\nORGANIZER;CN="Cyrus Daboo":mailto:u1@example.org\r\n'
        'ATTENDEE;CN="Wilfredo Sanchez Vega":mailto:u2@example.org\r\n'
        'ATTENDEE;CN="Bernard Desruisseaux":mailto:u3@example.org\r\n'
        'ATTENDEE;CN="Mike Douglass":mailto:mike@example.net\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n'
    )
    answer = u1.request("POST", outbox("u1"), body, Content_Type='text/calendar; charset="utf-8"')
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    responses = answer.xpath("/C:schedule-response/C:response")
    recipients = [one.findtext("{*}recipient/{DAV:}href") for one in responses]
    assert recipients == ["mailto:u2@example.org", "mailto:u3@example.org", "mailto:mike@example.net"]
    statuses = [one.findtext("{*}request-status") for one in responses]
    assert [status.split(";")[0] for status in statuses] == ["2.0", "2.0", "3.7"]
    wilfredo, bernard, mike = (one.findtext("{*}calendar-data") for one in responses)
    assert mike is None
    lines = wilfredo.replace("\r\n ", "").replace("\n ", "").splitlines()
    for line in (
        "METHOD:REPLY",
        "UID:4FD3AD926350",
        "DTSTART:20090602T000000Z",
        "DTEND:20090604T000000Z",
        'ORGANIZER;CN="Cyrus Daboo":mailto:u1@example.org',
        'ATTENDEE;CN="Wilfredo Sanchez Vega":mailto:u2@example.org',
    ):
        assert line.replace('"', "") in [one.replace('"', "") for one in lines], line  # quotes are optional here
    busy = [period for line in lines if line.startswith("FREEBUSY;") for period in line.split(":", 1)[1].split(",")]
    assert busy == ["20090602T110000Z/20090602T120000Z", "20090603T170000Z/20090603T180000Z"]
    assert "FREEBUSY;" not in bernard
