"""Twice the attendees cost twice the work, counted in calls: for every change and message of a large meeting."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from scheduling import itip

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2030, 1, 1, tzinfo=UTC)
A = itip.Actor(frozenset({"mailto:a@example.com"}))
P1 = itip.Actor(frozenset({"mailto:p1@example.com"}))
#: More than twice, for what is sorted.
TWICE = 2.2
Deed = tuple[str, "Callable[[], object]"]


def meeting(people: int, overrides: int, mark: str) -> bytes:
    """``mark`` makes each text another one, so that nothing is remembered from the measurement before."""
    who = [f"ATTENDEE;CN={mark} {i};PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:p{i}@example.com" for i in range(people)]
    first = datetime(2030, 2, 1, 10, tzinfo=UTC)
    days = [(first + timedelta(days=day)).strftime("%Y%m%dT%H%M%SZ") for day in range(overrides + 1)]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for day in days:
        own = [f"RECURRENCE-ID:{day}", f"LOCATION:{day}"] if day != days[0] else ["RRULE:FREQ=DAILY;COUNT=200"]
        lines += ["BEGIN:VEVENT", f"UID:{mark}", "DTSTAMP:20300101T000000Z", f"DTSTART:{day}", "DURATION:PT1H", *own]
        lines += ["SUMMARY:Plan", "ORGANIZER:mailto:a@example.com", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@example.com"]
        lines += [*who, "END:VEVENT"]
    return "".join(f"{line}\r\n" for line in [*lines, "END:VCALENDAR"]).encode()


def calls(work: Callable[[], object]) -> int:
    """How many calls ``work`` makes, those of generators and of C functions included, with nothing remembered."""
    count = 0
    for name, module in list(sys.modules.items()):
        if name.startswith("scheduling."):
            for one in vars(module).values():
                if hasattr(one, "cache_clear"):
                    one.cache_clear()

    def seen(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def deeds(people: int, overrides: int) -> list[Deed]:
    """What happens to a meeting of ``people`` with ``overrides``, by name."""
    text = meeting(people, overrides, f"m{people}-{overrides}")
    out = itip.outgoing(None, text, A, now=NOW)
    stored = itip.with_statuses(text, {one.recipient: "1.2" for one in out.messages}, on="attendee")
    request = next(one for one in out.messages if one.recipient in P1.addresses)
    copy = itip.incoming(request, None, P1, now=NOW).text
    assert copy is not None
    answer = copy.replace(b" 1;PARTSTAT=NEEDS-ACTION", b" 1;PARTSTAT=ACCEPTED")
    (reply,) = itip.outgoing(copy, answer, P1, now=NOW).messages
    applied = itip.incoming(reply, stored, A, now=NOW)
    update = next(one for one in applied.onward if one.recipient == "mailto:p2@example.com")
    p2 = itip.Actor(frozenset({update.recipient}))
    answered = applied.text
    assert answered is not None
    renamed, moved = stored.replace(b"SUMMARY:Plan", b"SUMMARY:Plot"), stored.replace(b"T100000Z", b"T110000Z")
    fewer = b"".join(line for line in stored.splitlines(keepends=True) if b"@" not in line or b"2@example" not in line)
    fresh = meeting(people, overrides, f"n{people}-{overrides}")
    return [
        ("create", lambda: itip.outgoing(None, fresh, A, now=NOW)),
        ("rename", lambda: itip.outgoing(stored, renamed, A, now=NOW)),
        ("move", lambda: itip.outgoing(stored, moved, A, now=NOW)),
        ("take a tenth off", lambda: itip.outgoing(stored, fewer, A, now=NOW)),
        ("remove", lambda: itip.outgoing(stored, None, A, now=NOW)),
        ("answer", lambda: itip.outgoing(copy, answer, P1, now=NOW)),
        ("take an answer", lambda: itip.incoming(reply, stored, A, now=NOW)),
        ("tell an answer", lambda: itip.incoming(update, copy, p2, now=NOW)),
        ("merge an answer", lambda: itip.merged_with_unseen(answered, renamed, A)),
    ]


@pytest.mark.parametrize(("small", "large"), [((200, 0), (400, 0)), ((20, 20), (40, 20)), ((20, 20), (20, 40))])
def test_twice_as_much_is_twice_the_work(small: tuple[int, int], large: tuple[int, int]) -> None:
    few = {name: calls(deed) for name, deed in deeds(*small)}
    many = {name: calls(deed) for name, deed in deeds(*large)}
    ratios = {name: many[name] / few[name] for name in few}
    assert max(ratios.values()) < TWICE, ratios
