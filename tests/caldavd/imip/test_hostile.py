"""Mails that are meant to do harm, all the way to the database: an outcome in bounded time, never a traceback."""

from __future__ import annotations

import time

import pytest

from scheduling.imip.fates import Fate
from storage.store import Transaction
from tests.caldavd.imip.scene import CARL, Office, itip, meeting, reply
from tests.scheduling.imip.test_mime import HOSTILE

#: Content lines of an invitation to u2.
PARTIES = f"ORGANIZER:mailto:{CARL}\r\nATTENDEE;RSVP=TRUE:mailto:u2@example.org\r\n"
#: What is in it besides.
BODIES = {
    "10,000 attendees": "".join(f"ATTENDEE;RSVP=TRUE:mailto:p{number}@else.example\r\n" for number in range(10_000)),
    "every second": "RRULE:FREQ=SECONDLY\r\n",
    "a rule that never matches": "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\r\n",
    "a rule that is none": "RRULE:FREQ=NEVER\r\n",
    "a huge sequence": "SEQUENCE:" + "9" * 5000 + "\r\n",
    "no dates": "DTSTAMP:now\r\nRECURRENCE-ID:then\r\n",
    "100,000 exceptions": "EXDATE:" + ",".join(["20260310T120000Z"] * 100_000) + "\r\n",
    "addresses that are none": "ATTENDEE:mailto:a@b\\r\\nBcc: x@y\r\nATTENDEE:javascript:alert(1)\r\nATTENDEE:\r\n",
    "parameters": "ATTENDEE" + ";X=1" * 199 + ":mailto:x@y\r\n",
    "a class of everything": 'ATTENDEE;CN="' + "x" * 100_000 + '":mailto:x@y\r\n',
    "alarms": "BEGIN:VALARM\r\nACTION:EMAIL\r\nATTENDEE:mailto:x@y\r\nTRIGGER:-PT1M\r\nEND:VALARM\r\n" * 1000,
    "controls": "SUMMARY:\x01\x1b[31m\u202e\r\n",
}
UIDS = [
    "x" * 5000,
    "../../etc/passwd",
    "a\u202eb",
    "<script>",
    "%00%0a",
    "'; DROP TABLE objects; --",
    " ",
    "\x1b[31m",
    "é" * 300,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail(office: Office, name: str) -> None:
    office.put(meeting(CARL))
    before = office.object()
    started = time.process_time()
    for address in ("u1@example.org", office.tagged(CARL), office.tagged(CARL, kind="b")):
        assert office.receive(HOSTILE[name], address).fate is not Fate.NOBODY
    assert time.process_time() - started < 10
    assert office.object() == before


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_invitation(office: Office, name: str) -> None:
    started = time.process_time()
    mail = itip("REQUEST", PARTIES + BODIES[name], author=CARL, uid="bad")
    outcome = office.receive(mail, "u2@example.org")
    assert outcome.fate in (Fate.APPLIED, Fate.UNREADABLE, Fate.HELD), outcome
    assert time.process_time() - started < 10
    assert len(office.objects("u2")) <= 1
    answer = office.client("u2").report(
        "/calendars/u2/calendar/",
        "C:calendar-query",
        '<D:prop><D:getetag/></D:prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">'
        '<C:time-range start="20260301T000000Z" end="20260401T000000Z"/></C:comp-filter></C:comp-filter></C:filter>',
        depth=1,
    )
    assert answer.status == 207, "what was taken can be asked for"


@pytest.mark.parametrize("uid", UIDS)
def test_a_hostile_uid(office: Office, uid: str) -> None:
    for method in ("REQUEST", "CANCEL", "REPLY"):
        outcome = office.receive(itip(method, PARTIES, author=CARL, uid=uid), "u2@example.org")
        assert outcome.fate in (Fate.APPLIED, Fate.HELD, Fate.UNREADABLE), outcome


@pytest.mark.parametrize("who", ["a@b c", "a@b,c@d", "x" * 300 + "@else.example", "%0d%0aBcc:x@y", "@", ""])
def test_a_hostile_address(office: Office, who: str) -> None:
    office.put(meeting(CARL))
    before = office.object()
    for address in ("u1@example.org", office.tagged(CARL)):
        assert office.receive(reply(who), address).fate in (Fate.APPLIED, Fate.HELD, Fate.UNREADABLE)
    assert office.object() == before


@pytest.mark.parametrize(
    "address", ["", "@", "x" * 5000, "u1@example.org\r\n", "<u1@example.org>", "calendar+@example.org", "\x00"]
)
def test_a_hostile_recipient(office: Office, address: str) -> None:
    assert office.reception.receive(reply(CARL), [address])[address].fate in (Fate.NOBODY, Fate.APPLIED)


def test_whose_calendar_is_full(office: Office) -> None:
    office.store.run(_full, write=True)
    outcome = office.receive(itip("REQUEST", PARTIES, author=CARL, uid="more"), "u2@example.org")
    assert outcome.fate is Fate.APPLIED, "the mail is not brought again and again"
    assert office.objects("u2") == []


def _full(tx: Transaction) -> None:
    found = tx.principals.by_name("u2")
    assert found is not None
    tx.homes.lock_of(["u2"])
    tx.homes.set_quota(found.home_id, 1)
