"""Odd UIDs and addresses in meetings over HTTP: the client gets a status it can show, and nothing else breaks."""

from __future__ import annotations

import pytest

from scheduling.mail.posting import MAIL, decoded
from storage.store import Transaction
from tests.caldavd.itip.stage import CALENDAR, Office
from tests.scheduling.itip.world import lines_of


def meeting(*attendees: str, uid: str = "m", organizer: str = "mailto:a@example.com") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20300101T000000Z"]
    lines += ["DTSTART:20300201T100000Z", "SUMMARY:Plan", f"ORGANIZER:{organizer}"]
    lines += [f"ATTENDEE;RSVP=TRUE:{one}" for one in attendees]
    return "".join(f"{line}\r\n" for line in [*lines, "END:VEVENT", "END:VCALENDAR"]).encode()


def recipients(office: Office) -> list[str]:
    """Whom mails wait for."""

    def work(tx: Transaction) -> list[str]:
        jobs = tx.queue.lease(MAIL, limit=100, until=tx.now + 10)
        return [decoded(job.payload, job.text).message.recipient for job in jobs]

    return office.store.run(work, write=True)


ADDRESSES = [
    "mailto:x@example.org%0D%0ABcc:%20evil@example.org",
    "mailto:x@example.org,y@example.org",
    "mailto:x@example.org;y@example.org",
    "mailto:%22a%20b%22@example.org",
    "mailto:<x@example.org>",
    "mailto:x@example.org?bcc=evil@example.org",
    "mailto:x@exa mple.org",
    "mailto:@",
    "mailto:" + "x" * 70_000 + "@example.org",
    "mailto:\N{GREEK SMALL LETTER ALPHA}\N{COMBINING ACUTE ACCENT}@b\N{LATIN SMALL LETTER U WITH DIAERESIS}ch.example",
    "mailto:\N{RIGHT-TO-LEFT OVERRIDE}gro.elpmaxe@x",
    "javascript:alert(1)",
    "../../principals/b/",
    "/principals/b/../c/",
    "tel:+1-201-555-0123",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "https://b@example.com/",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=[ascii(one[:40]) for one in ADDRESSES])
def test_an_odd_address_gets_a_status_and_others_their_invitation(office: Office, address: str) -> None:
    office.put("a", meeting(address, "mailto:b@example.com"), merge=False)
    assert office.refused() is None
    stored = office.stored("a", "m")
    assert stored is not None
    told = [line for line in lines_of(stored) if line.startswith("ATTENDEE")]
    assert all("SCHEDULE-STATUS=" in line for line in told), told
    assert "SCHEDULE-STATUS=1.2" in told[1]
    assert office.inbox("b") == ["REQUEST"]
    for recipient in recipients(office):
        assert recipient.isprintable()
        assert recipient.count("@") == 1
        assert "evil" not in recipient
        assert not set(recipient) & set(" ,;<>\r\n")


UIDS = [
    "../../b/calendar/x",
    "a/b\\\\c",
    "%2e%2e%2f",
    "'; DROP TABLE objects; --",
    "\N{PILE OF POO}\N{COMBINING ACUTE ACCENT}",
    "x" * 20_000,
    " leading and trailing ",
    "<script>alert(1)</script>",
    "\\n\\nBEGIN:VCALENDAR",
    "M",
]


@pytest.mark.parametrize("uid", UIDS, ids=[ascii(one[:30]) for one in UIDS])
def test_an_odd_uid_goes_to_and_fro(office: Office, uid: str) -> None:
    text = meeting("mailto:b@example.com", uid=uid)
    office.uids.add(uid)
    answer = office.client("a").put(f"/calendars/a/{CALENDAR}/m.ics", text)
    office.done(answer)
    assert office.condition is None
    ((_, (copy,)),) = [(key, found) for key, found in office.known.items() if key[0] == "b"]
    assert copy.href.count("/") == 4, "the name of the copy does not come from the UID"
    accepted = copy.body.replace(b"ATTENDEE;RSVP=TRUE", b"ATTENDEE;PARTSTAT=ACCEPTED;RSVP=TRUE")
    assert accepted != copy.body
    office.done(office.client("b").put(copy.href, accepted))
    ((_, (mine,)),) = [(key, found) for key, found in office.known.items() if key[0] == "a"]
    assert any("PARTSTAT=ACCEPTED" in line for line in lines_of(mine.body))
    office.done(office.client("a").request("DELETE", mine.href))
    assert not any(name == "b" for name, _ in office.known)
    assert office.inbox("b") == ["REQUEST", "CANCEL"]


def test_two_uids_that_differ_by_case_are_two_meetings(office: Office) -> None:
    for uid in ("meeting", "MEETING"):
        office.put("a", meeting("mailto:b@example.com", uid=uid), merge=False)
    office.delete("a", "meeting", reply=True)
    assert office.stored("b", "meeting") is None
    assert office.stored("b", "MEETING") is not None


def test_nobody_invites_in_the_name_of_somebody_else(office: Office) -> None:
    """An object that names another organizer is at most an attendee's: it tells only that organizer."""
    office.put("b", meeting("mailto:b@example.com", "mailto:c@example.com"), merge=False)
    assert office.stored("a", "m") is None
    assert office.stored("c", "m") is None
    assert office.inbox("c") == []


def test_an_answer_to_a_meeting_that_is_gone_is_told(office: Office) -> None:
    office.put("a", meeting("mailto:b@example.com"), merge=False)
    copy = office.stored("b", "m")
    assert copy is not None
    office.store.run(_forget, write=True)
    office.put("b", copy.replace(b"ATTENDEE;RSVP", b"ATTENDEE;PARTSTAT=ACCEPTED;RSVP"), merge=False)
    assert office.refused() is None
    stored = office.stored("b", "m")
    assert stored is not None
    assert b"ORGANIZER;SCHEDULE-STATUS=5.2:" in stored, "the organizer has no such meeting (RFC 6638 4.2)"


def _forget(tx: Transaction) -> None:
    """The organizer's object goes without a word, as by restoring an older backup."""
    tx.homes.lock_of(["a"])
    found = tx.collections.find("a", (CALENDAR,))
    assert found is not None
    row = tx.objects.by_uid(found.collection.id, "m", columns=frozenset({"name"}))
    assert row is not None
    tx.objects.remove(found.collection, row)
