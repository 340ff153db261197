"""How a room answers: every rule by itself, on texts, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduling.ical.periods import BusyPeriod
from scheduling.ical.timezones import named
from scheduling.ical.values import DAY
from scheduling.itip import Actor, outgoing
from scheduling.itip.ownership import PRIVATE_COMMENT
from scheduling.itip.snapshot import read
from scheduling.rooms.answers import Answer, answered, with_comments
from scheduling.rooms.rules import Case, Diary, Rules, requested
from scheduling.rooms.words import summary, taken_by_other
from storage.rows import Beyond, BookingPolicy

ROOM = "mailto:room@example.org"
BERLIN = named("Europe/Berlin")
assert BERLIN is not None


def instant(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())


NOW = instant("20270101T000000Z")


def component(*lines: str, kind: str = "VEVENT", partstat: str = "NEEDS-ACTION") -> str:
    room = f"ATTENDEE;CUTYPE=ROOM;PARTSTAT={partstat}:{ROOM}"
    parties = ("ORGANIZER:mailto:anna@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@example.org", room)
    inner = "".join(f"{line}\r\n" for line in ("UID:u", "DTSTAMP:20261231T000000Z", *lines, *parties))
    return f"BEGIN:{kind}\r\n{inner}END:{kind}\r\n"


def meeting(*components: str) -> bytes:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{''.join(components)}END:VCALENDAR\r\n".encode()


def single(start: str = "20270111T100000Z", *lines: str) -> bytes:
    return meeting(component(f"DTSTART:{start}", "DURATION:PT1H", *lines))


def weekly(rule: str = "COUNT=5", *lines: str) -> bytes:
    """Mondays at 10:00 UTC from 2027-01-11."""
    ends = f";{rule}" if rule else ""
    return single("20270111T100000Z", f"RRULE:FREQ=WEEKLY{ends}", *lines)


def case(text: bytes, *, before: bytes | None = None, exempt: bool = False, **rules: Any) -> Case:
    said = Rules(**rules)
    assert BERLIN is not None
    return Case(text=text, before=before, room={ROOM}, rules=said, zone=BERLIN, now=NOW, exempt=exempt)


def periods(times: Iterable[tuple[str, str]]) -> list[BusyPeriod]:
    return sorted(BusyPeriod(instant(start), instant(end)) for start, end in times)


def ask(asked: Case, *taken: tuple[str, str], closed: Sequence[tuple[str, str]] = ()) -> Answer:
    request = requested(asked)
    assert request is not None
    return answered(asked, request, Diary(periods(taken), periods(closed)))


def partstats(text: bytes) -> dict[str, str]:
    """The room's answer to the series ("") and to what has a component of its own, by RECURRENCE-ID."""
    snapshot = read(text)
    assert snapshot is not None
    found = {}
    for part in snapshot.parts.values():
        line = part.component.first("RECURRENCE-ID")
        found["" if line is None else line.value] = part.answer(ROOM) or "is not invited"
    return found


def comments(text: bytes) -> dict[str, str]:
    snapshot = read(text)
    assert snapshot is not None
    found = {}
    for part in snapshot.parts.values():
        said, line = part.component.first(PRIVATE_COMMENT), part.component.first("RECURRENCE-ID")
        if said is not None:
            found["" if line is None else line.value] = said.value
    return found


def around(day: str, *, hour: int = 10) -> tuple[str, str]:
    """A booking of somebody else that meets one at that hour."""
    return f"{day}T{hour:02}3000Z", f"{day}T{hour + 1:02}3000Z"


# --- one time


def test_free_is_accepted() -> None:
    answer = ask(case(single()))
    assert (partstats(answer.text), answer.reason, answer.waits) == ({"": "ACCEPTED"}, "accepted", False)


@pytest.mark.parametrize(
    ("start", "end", "free"),
    [
        ("20270111T090000Z", "20270111T100000Z", True),  # ends when it begins
        ("20270111T110000Z", "20270111T120000Z", True),
        ("20270111T090000Z", "20270111T100001Z", False),
        ("20270111T105959Z", "20270111T120000Z", False),
        ("20270111T101500Z", "20270111T101600Z", False),  # within
        ("20270101T000000Z", "20270201T000000Z", False),  # around
    ],
)
def test_half_open_periods(start: str, end: str, free: bool) -> None:
    answer = ask(case(single()), (start, end))
    assert partstats(answer.text) == {"": "ACCEPTED" if free else "DECLINED"}


def test_a_declined_booking_says_when_and_nothing_of_the_other() -> None:
    answer = ask(case(single()), around("20270111"))
    assert answer.reason == "declined: busy with another booking on 2027-01-11 11:00-12:00 (Europe/Berlin)"
    assert comments(answer.text) == {
        "": "Busy with another booking on 2027-01-11 11:00-12:00 (Europe/Berlin)."
    }  # fmt: skip
    again = ask(case(answer.text, before=answer.text))
    assert (partstats(again.text), comments(again.text)) == ({"": "ACCEPTED"}, {})


def test_an_instance_without_duration_takes_no_time() -> None:
    text = meeting(component("DTSTART:20270111T103000Z"))
    assert partstats(ask(case(text), around("20270111", hour=10)).text) == {"": "ACCEPTED"}


def test_transparency_is_no_way_around_a_booking() -> None:
    asked = case(single("20270111T100000Z", "TRANSP:TRANSPARENT"))
    assert partstats(ask(asked, around("20270111")).text) == {"": "DECLINED"}
    assert b"TRANSP" not in ask(asked).text


@pytest.mark.parametrize("status", ["TENTATIVE", "CONFIRMED"])
def test_whatever_its_status_it_takes_the_time(status: str) -> None:
    asked = case(single("20270111T100000Z", f"STATUS:{status}"))
    assert partstats(ask(asked).text) == {"": "ACCEPTED"}
    assert partstats(ask(asked, around("20270111")).text) == {"": "DECLINED"}


def test_a_todo_is_not_for_rooms() -> None:
    answer = ask(case(meeting(component("DTSTART:20270111T100000Z", kind="VTODO"))))
    assert (partstats(answer.text), answer.reason) == ({"": "DECLINED"}, "declined: only events can be booked here")


def test_days_and_floating_times_are_those_of_the_room() -> None:
    # In Berlin the day is 2027-01-10T23:00Z to 2027-01-11T23:00Z, and 10:00 is 09:00Z.
    day = meeting(component("DTSTART;VALUE=DATE:20270111"))
    assert partstats(ask(case(day), ("20270111T230000Z", "20270112T000000Z")).text) == {"": "ACCEPTED"}
    busy = ask(case(day), ("20270110T233000Z", "20270110T234500Z"))
    assert (partstats(busy.text), busy.reason) == (
        {"": "DECLINED"},
        "declined: busy with another booking on 2027-01-11",
    )
    floating = meeting(component("DTSTART:20270111T100000", "DURATION:PT1H"))
    assert partstats(ask(case(floating), ("20270111T100000Z", "20270111T110000Z")).text) == {"": "ACCEPTED"}
    assert partstats(ask(case(floating), ("20270111T090000Z", "20270111T091000Z")).text) == {"": "DECLINED"}


# --- policies


@pytest.mark.parametrize(
    ("policy", "free", "busy"),
    [
        (BookingPolicy.AUTOMATIC, "ACCEPTED", "DECLINED"),
        (BookingPolicy.ACCEPT, "ACCEPTED", "ACCEPTED"),
        (BookingPolicy.DECLINE, "DECLINED", "DECLINED"),
        (BookingPolicy.DELEGATE, "NEEDS-ACTION", "DECLINED"),
    ],
)
def test_policies(policy: BookingPolicy, free: str, busy: str) -> None:
    asked = case(single(), policy=policy)
    assert partstats(ask(asked).text) == {"": free}
    assert ask(asked).waits is (policy is BookingPolicy.DELEGATE)
    assert partstats(ask(asked, around("20270111")).text) == {"": busy}


def test_a_room_that_does_not_answer() -> None:
    assert requested(case(single(), policy=BookingPolicy.NONE)) is None
    assert requested(case(single().replace(b"room@", b"other@"))) is None


def test_always_is_always() -> None:
    endless = ask(case(weekly(""), policy=BookingPolicy.ACCEPT, notice=DAY * 100), around("20270118"))
    assert (partstats(endless.text), endless.reason) == ({"": "ACCEPTED"}, "accepted")


def test_a_closed_room_keeps_what_it_has_promised() -> None:
    promised = ask(case(weekly())).text
    longer = promised.replace(b"COUNT=5", b"COUNT=6")
    closed = ask(case(longer, before=promised, policy=BookingPolicy.DECLINE))
    assert partstats(closed.text) == {"": "ACCEPTED", "20270215T100000Z": "DECLINED"}
    assert closed.reason == "accepted 5 of 6 times; declined: it takes no bookings"


def test_a_delegate_is_not_asked_twice_about_the_same_time() -> None:
    for said, asks, comes_out in (
        ("ACCEPTED", "NEEDS-ACTION", "ACCEPTED"),
        ("TENTATIVE", "TENTATIVE", "TENTATIVE"),
        ("DECLINED", "DECLINED", "DECLINED"),
        ("DECLINED", "NEEDS-ACTION", "NEEDS-ACTION"),  # asked again
    ):
        before = single().replace(b"NEEDS-ACTION", said.encode())
        asked = single().replace(b"NEEDS-ACTION", asks.encode())
        answer = ask(case(asked, before=before, policy=BookingPolicy.DELEGATE))
        assert (partstats(answer.text), answer.waits) == ({"": comes_out}, comes_out == "NEEDS-ACTION")
    moved = single("20270112T100000Z")
    answer = ask(case(moved, before=single().replace(b"NEEDS-ACTION", b"ACCEPTED"), policy=BookingPolicy.DELEGATE))
    assert partstats(answer.text) == {"": "NEEDS-ACTION"}


# --- limits


def test_how_far_ahead() -> None:
    rules: dict[str, Any] = {"window": 30 * DAY}
    assert partstats(ask(case(single("20270130T230000Z"), **rules)).text) == {"": "ACCEPTED"}
    late = ask(case(single("20270130T233000Z"), **rules))
    assert (partstats(late.text), late.reason) == (
        {"": "DECLINED"},
        "declined: it cannot be booked beyond 2027-01-31",
    )
    assert partstats(ask(case(single("20270130T233000Z"), beyond=Beyond.CUT, **rules)).text) == {"": "DECLINED"}
    assert partstats(ask(case(single("20330130T233000Z"), exempt=True, **rules)).text) == {"": "ACCEPTED"}


def test_notice() -> None:
    rules: dict[str, Any] = {"notice": 2 * 3600}
    soon, later = single("20270101T015959Z"), single("20270101T020000Z")
    assert ask(case(soon, **rules)).reason == "declined: it has to be booked 120 minutes before"
    assert partstats(ask(case(later, **rules)).text) == {"": "ACCEPTED"}
    assert partstats(ask(case(soon, exempt=True, **rules)).text) == {"": "ACCEPTED"}
    # What is over, or under way, is no question of notice.
    assert partstats(ask(case(single("20261231T233000Z"))).text) == {"": "ACCEPTED"}
    assert partstats(ask(case(single("20261201T100000Z"), **rules)).text) == {"": "ACCEPTED"}


def test_hours() -> None:
    weekend = [("20270116T000000Z", "20270118T110000Z")]
    answer = ask(case(weekly()), closed=weekend)
    assert partstats(answer.text) == {"": "ACCEPTED", "20270118T100000Z": "DECLINED"}
    assert answer.reason == (
        "accepted 4 of 5 times; declined: outside of its hours on 2027-01-18 11:00-12:00 (Europe/Berlin)"
    )
    assert partstats(ask(case(weekly(), exempt=True), closed=weekend).text) == {"": "ACCEPTED"}
    promised = ask(case(weekly())).text
    assert ask(case(promised, before=promised), closed=weekend).text == promised


def test_capacity_counts_people_who_may_come() -> None:
    people = (
        "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@example.org",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:carol@example.org",
        "ATTENDEE;ROLE=NON-PARTICIPANT:mailto:dan@example.org",
        "ATTENDEE;CUTYPE=RESOURCE:mailto:beamer@example.org",
    )
    text = single("20270111T100000Z", *people)
    assert partstats(ask(case(text, capacity=2)).text) == {"": "ACCEPTED"}
    full = ask(case(text, capacity=1))
    assert (partstats(full.text), full.reason) == ({"": "DECLINED"}, "declined: 2 people are invited, and 1 fit in")
    assert partstats(ask(case(text, capacity=1, exempt=True)).text) == {"": "ACCEPTED"}
    # Also when they come later.
    promised = ask(case(single(), capacity=1)).text
    assert partstats(ask(case(text, before=promised, capacity=1)).text) == {"": "DECLINED"}


def test_what_recurs_too_often_is_not_promised() -> None:
    answer = ask(case(single("20270111T100000Z", "RRULE:FREQ=SECONDLY;COUNT=100000")))
    assert answer.reason == "declined: it recurs too often to be checked"


def test_nothing_is_left_of_it() -> None:
    text = single("20270111T100000Z", "RRULE:FREQ=DAILY;COUNT=1", "EXDATE:20270111T100000Z")
    assert ask(case(text)).reason == "declined: there is no time in it that could be booked"


# --- series


def test_free_instances_are_accepted_and_the_others_are_not() -> None:
    answer = ask(case(weekly()), around("20270118"), around("20270208"))
    assert partstats(answer.text) == {
        "": "ACCEPTED",
        "20270118T100000Z": "DECLINED",
        "20270208T100000Z": "DECLINED",
    }  # fmt: skip
    assert answer.reason == (
        "accepted 3 of 5 times; declined: busy with another booking on 2027-01-18 11:00-12:00, 2027-02-08 11:00-12:00"
        " (Europe/Berlin)"
    )
    assert set(comments(answer.text)) == {"20270118T100000Z", "20270208T100000Z"}


def test_the_series_gets_the_answer_of_most() -> None:
    days = ("20270111", "20270118", "20270125", "20270201")
    answer = ask(case(weekly()), *map(around, days))
    assert partstats(answer.text) == {"": "DECLINED", "20270208T100000Z": "ACCEPTED"}
    assert comments(answer.text) == {
        "": "Busy with another booking on 2027-01-11 11:00-12:00\\, 2027-01-18 11:00-12:00\\, "
        "2027-01-25 11:00-12:00 and 1 more (Europe/Berlin)."
    }
    assert partstats(ask(case(weekly()), *map(around, (*days, "20270208"))).text) == {"": "DECLINED"}


def test_times_change_with_the_zone_of_the_series() -> None:
    text = meeting(
        component("DTSTART;TZID=Europe/Berlin:20270322T100000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=2")
    )
    # 09:00Z in winter, 08:00Z in summer.
    assert partstats(ask(case(text), ("20270322T080000Z", "20270322T090000Z")).text) == {"": "ACCEPTED"}
    assert partstats(ask(case(text), ("20270329T080000Z", "20270329T090000Z")).text) == {
        "": "ACCEPTED",
        "20270329T100000": "DECLINED",
    }


@pytest.mark.parametrize(
    ("start", "rid"),
    [("DTSTART;VALUE=DATE:20270111", "20270112"), ("DTSTART:20270111T000000", "20270112T000000")],
)
def test_series_without_a_zone(start: str, rid: str) -> None:
    text = meeting(component(start, "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=3"))
    answer = ask(case(text), ("20270112T100000Z", "20270112T110000Z"))
    assert partstats(answer.text) == {"": "ACCEPTED", rid: "DECLINED"}


def test_overrides_are_answered_where_they_are() -> None:
    moved = component("RECURRENCE-ID:20270118T100000Z", "DTSTART:20270119T150000Z", "DURATION:PT1H")
    master = component("DTSTART:20270111T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=3")
    text = meeting(master, moved)
    assert partstats(ask(case(text), around("20270118")).text) == {"": "ACCEPTED", "20270118T100000Z": "ACCEPTED"}
    assert partstats(ask(case(text), around("20270119", hour=15)).text) == {
        "": "ACCEPTED",
        "20270118T100000Z": "DECLINED",
    }
    alone = meeting(moved)
    assert partstats(ask(case(alone), around("20270119", hour=15)).text) == {"20270118T100000Z": "DECLINED"}


def test_instances_without_the_room_or_cancelled_are_no_question() -> None:
    master = component("DTSTART:20270111T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=3")
    when = ("DTSTART:20270118T100000Z", "DURATION:PT1H")
    without = component("RECURRENCE-ID:20270118T100000Z", *when).replace("room@", "other@")
    cancelled = component("RECURRENCE-ID:20270118T100000Z", *when, "STATUS:CANCELLED")
    for other, said in ((without, "is not invited"), (cancelled, "NEEDS-ACTION")):
        answer = ask(case(meeting(master, other)), around("20270118"))
        assert partstats(answer.text) == {"": "ACCEPTED", "20270118T100000Z": said}
        assert answer.reason == "accepted"


def test_from_one_instance_on() -> None:
    """RANGE=THISANDFUTURE (RFC 5545 3.2.13): one component for many instances, which get one answer."""
    master = component("DTSTART:20270111T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=5")
    when = ("DTSTART:20270125T140000Z", "DURATION:PT1H")
    later = component("RECURRENCE-ID;RANGE=THISANDFUTURE:20270125T100000Z", *when)
    text = meeting(master, later)
    assert partstats(ask(case(text)).text) == {"": "ACCEPTED", "20270125T100000Z": "ACCEPTED"}
    for day in ("20270125", "20270201"):
        answer = ask(case(text), around(day, hour=14))
        assert partstats(answer.text) == {"": "ACCEPTED", "20270125T100000Z": "DECLINED"}
        assert answer.reason.startswith("accepted 2 of 5 times; declined: busy")
    endless = text.replace(b"FREQ=WEEKLY;COUNT=5", b"FREQ=WEEKLY")
    cut = ask(case(endless, beyond=Beyond.CUT, window=60 * DAY))
    assert partstats(cut.text) == {
        "": "DECLINED",
        "20270111T100000Z": "ACCEPTED",
        "20270118T100000Z": "ACCEPTED",
        "20270125T100000Z": "DECLINED",
    }


def test_so_many_exceptions() -> None:
    taken = [around("20270118"), around("20270201")]
    assert partstats(ask(case(weekly("COUNT=9"), exceptions=2), *taken).text)[""] == "ACCEPTED"
    whole = ask(case(weekly("COUNT=9"), exceptions=1), *taken)
    assert partstats(whole.text) == {"": "DECLINED"}
    assert whole.reason == "declined: 2 of the 9 times would need an answer of their own, and at most 1 get one"


def test_overrides_do_not_make_a_text_grow_without_bound() -> None:
    large = weekly("COUNT=40", *(f"X-LONG-{number}:{'x' * 900}" for number in range(100)))
    taken = [around(day) for day in ("20270118", "20270125", "20270201", "20270208", "20270215", "20270222")]
    assert partstats(ask(case(large), *taken).text)[""] == "ACCEPTED"
    many = [(f"2027{month}", day) for month, days in (("01", (18, 25)), ("02", (1, 8, 15, 22))) for day in days]
    many += [("202703", day) for day in (1, 8, 15, 22, 29)]
    answer = ask(case(large), *(around(f"{month}{day:02}") for month, day in many))
    assert partstats(answer.text) == {"": "DECLINED"}
    assert len(answer.text) < 1_100_000


def test_a_series_that_never_ends_is_declined_or_cut() -> None:
    assert ask(case(weekly(""))).reason == "declined: it cannot be booked without an end"
    cut = ask(case(weekly(""), beyond=Beyond.CUT, window=30 * DAY), around("20270118"))
    assert partstats(cut.text) == {"": "DECLINED", "20270111T100000Z": "ACCEPTED", "20270125T100000Z": "ACCEPTED"}
    assert cut.reason == (
        "accepted 2 times; declined the rest: it cannot be booked without an end; "
        "busy with another booking on 2027-01-18 11:00-12:00 (Europe/Berlin)"
    )
    few = ask(case(weekly(""), beyond=Beyond.CUT, exceptions=1))
    assert partstats(few.text) == {"": "DECLINED", "20270111T100000Z": "ACCEPTED"}
    # Those who administer the server have no other calendar: it cannot be kept for ever.
    assert partstats(ask(case(weekly(""), exempt=True)).text) == {"": "DECLINED"}


def test_a_series_that_reaches_beyond() -> None:
    assert partstats(ask(case(weekly("UNTIL=20270301T000000Z"), window=30 * DAY)).text) == {"": "DECLINED"}
    cut = ask(case(weekly("UNTIL=20270301T000000Z"), window=30 * DAY, beyond=Beyond.CUT))
    assert partstats(cut.text) == {
        "": "DECLINED",
        "20270111T100000Z": "ACCEPTED",
        "20270118T100000Z": "ACCEPTED",
        "20270125T100000Z": "ACCEPTED",
    }
    exempt = ask(case(weekly("UNTIL=20270301T000000Z"), window=30 * DAY, exempt=True))
    assert partstats(exempt.text) == {"": "ACCEPTED"}


def test_an_override_beyond_is_not_promised_with_its_series() -> None:
    master = component("DTSTART:20270111T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=3")
    far = component("RECURRENCE-ID:20270118T100000Z", "DTSTART:20280119T150000Z", "DURATION:PT1H")
    promised = ask(case(meeting(master))).text
    asked = promised.replace(b"END:VCALENDAR", far.encode() + b"END:VCALENDAR")
    for beyond in Beyond:
        answer = ask(case(asked, before=promised, window=60 * DAY, beyond=beyond))
        assert partstats(answer.text)["20270118T100000Z"] == "DECLINED"


def test_a_long_series_is_checked_since_a_year_ago() -> None:
    long = single("20200106T100000Z", "RRULE:FREQ=WEEKLY;UNTIL=20271231T000000Z")
    answer = ask(case(long), around("20200113"), around("20260914"), around("20270111"))
    assert partstats(answer.text) == {"": "ACCEPTED", "20260914T100000Z": "DECLINED", "20270111T100000Z": "DECLINED"}


# --- changes


def test_what_is_not_moved_stays_accepted() -> None:
    promised = ask(case(weekly())).text
    changed = promised.replace(b"UID:u", b"UID:u\r\nSUMMARY:Now with a name")
    # Somebody who may write into the calendar has put something there by hand.
    assert ask(case(changed, before=promised), around("20270118")).text == changed
    others: list[dict[str, Any]] = [{"window": DAY}, {"notice": 900 * DAY}, {"policy": BookingPolicy.DECLINE}]
    for rules in others:
        assert ask(case(changed, before=promised, **rules)).text == changed


def test_a_moved_instance_is_looked_at_again_and_only_that_one() -> None:
    promised = ask(case(weekly())).text
    moved = component("RECURRENCE-ID:20270118T100000Z", "DTSTART:20270119T150000Z", "DURATION:PT1H")
    asked = promised.replace(b"END:VCALENDAR", moved.encode() + b"END:VCALENDAR")
    answer = ask(case(asked, before=promised), around("20270119", hour=15), around("20270111"))
    assert partstats(answer.text) == {"": "ACCEPTED", "20270118T100000Z": "DECLINED"}


def test_what_was_declined_is_looked_at_again() -> None:
    declined = ask(case(weekly()), around("20270118")).text
    assert partstats(ask(case(declined, before=declined)).text) == {"": "ACCEPTED", "20270118T100000Z": "ACCEPTED"}
    moved = weekly().replace(b"T100000Z", b"T110000Z")
    assert partstats(ask(case(moved, before=declined), around("20270125", hour=11)).text) == {
        "": "ACCEPTED",
        "20270125T110000Z": "DECLINED",
    }


def test_an_answer_that_somebody_else_wrote_into_the_invitation_is_none() -> None:
    forged = single().replace(b"PARTSTAT=NEEDS-ACTION", b"PARTSTAT=ACCEPTED")
    assert partstats(ask(case(forged), around("20270111")).text) == {"": "DECLINED"}
    assert partstats(ask(case(forged, policy=BookingPolicy.DELEGATE)).text) == {"": "NEEDS-ACTION"}


def test_the_same_question_gets_the_same_text() -> None:
    once = ask(case(weekly()), around("20270118")).text
    assert ask(case(once, before=once), around("20270118")).text == once


def test_two_addresses_of_one_room() -> None:
    text = single("20270111T100000Z", "ATTENDEE:mailto:ROOM@example.org", "ATTENDEE:mailto:alias@example.org")
    asked = case(text)
    both = Case(
        text=text, before=None, room={ROOM, "mailto:alias@example.org"}, rules=asked.rules, zone=asked.zone, now=NOW
    )
    answer = ask(both).text
    assert answer.count(b"PARTSTAT=ACCEPTED") == 4  # with the organizer's


# --- the reply


def test_the_reply_says_why() -> None:
    asked = weekly()
    text = ask(case(asked), around("20270118")).text
    out = outgoing(asked, text, Actor(frozenset({ROOM})), now=datetime.fromtimestamp(NOW, UTC))
    assert out.refused is None
    assert out.text == text
    (reply,) = (with_comments(one) for one in out.messages)
    found = reply.text.replace(b"\r\n ", b"").decode()
    assert (reply.method, reply.recipient) == ("REPLY", "mailto:anna@example.org")
    assert found.count("BEGIN:VEVENT") == 2
    assert found.count("\r\nCOMMENT:Busy with another booking on 2027-01-18") == 1
    assert found.count("PARTSTAT=DECLINED") == 1


def test_words() -> None:
    assert BERLIN is not None
    night = taken_by_other(instant("20270111T220000Z"), instant("20270112T000000Z"), BERLIN, all_day=False)
    days = taken_by_other(instant("20270110T230000Z"), instant("20270113T230000Z"), BERLIN, all_day=True)
    assert str(night) == "busy with another booking on 2027-01-11 23:00-2027-01-12 01:00 (Europe/Berlin)"
    assert str(days) == "busy with another booking on 2027-01-11 to 2027-01-13"
    assert summary([None, days, None]) == str(days)
    reasons: Sequence[None] = ()
    assert summary(reasons) == ""
