"""What each attendee of a very large meeting is told, as texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduling import itip
from scheduling.itip import Actor, Message, crowds
from scheduling.itip.crowds import is_crowd, reduced, told
from scheduling.itip.snapshot import read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOSS = Actor(frozenset({"mailto:boss@x.example"}))


def component(who: str, *lines: str) -> str:
    fixed = ("UID:m", "DTSTAMP:20260101T000000Z", "DURATION:PT1H", "SUMMARY:All", "ORGANIZER:mailto:boss@x.example")
    return "\r\n".join(["BEGIN:VEVENT", *fixed, *lines, *who.split(), "END:VEVENT"]) + "\r\n"


def calendar(*components: str) -> bytes:
    return ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n" + "".join(components) + "END:VCALENDAR\r\n").encode()


def attendee(name: str, *params: str) -> str:
    return ";".join(["ATTENDEE", *params]) + f":mailto:{name}@x.example"


def sent(text: bytes) -> dict[str, Message]:
    """The reduced messages of the boss's meeting, by the recipients' names."""
    out = itip.outgoing(None, text, BOSS, now=NOW)
    assert out.refused is None
    return {one.recipient.removeprefix("mailto:").partition("@")[0]: one for one in reduced(out.messages, set(), 2)}


def names(message: Message) -> list[list[str]]:
    """Whom each component of a message names."""
    snapshot = read(message.text)
    assert snapshot is not None
    return [
        [one.removeprefix("mailto:").partition("@")[0] for one in part.by_address] for part in snapshot.parts.values()
    ]


def test_each_is_told_of_themselves() -> None:
    everybody = " ".join(attendee(name) for name in ("a", "b", "c"))
    found = sent(calendar(component(everybody, "DTSTART:20260310T120000Z", "DESCRIPTION:" + "long " * 40)))
    assert {name: names(message) for name, message in found.items()} == {"a": [["a"]], "b": [["b"]], "c": [["c"]]}
    for message in found.values():
        whole = message.text.replace(b"\r\n ", b"")
        assert b"DESCRIPTION:" + b"long " * 40 in whole
        assert b"ORGANIZER:mailto:boss@x.example" in whole
    assert len({message.key for message in found.values()}) == 3


def test_up_to_the_bound_everybody_sees_everybody() -> None:
    text = calendar(component(f"{attendee('a')} {attendee('b')}", "DTSTART:20260310T120000Z"))
    assert not is_crowd(text, 2)
    assert {name: names(message) for name, message in sent(text).items()} == {"a": [["a", "b"]], "b": [["a", "b"]]}


def test_copies_that_would_be_too_large_together(monkeypatch: pytest.MonkeyPatch) -> None:
    who = " ".join(attendee(name) for name in ("a", "b", "c"))
    text = calendar(component(who, "DTSTART:20260310T120000Z", "DESCRIPTION:" + "x" * 1000))
    assert not is_crowd(text, 10)
    monkeypatch.setattr(crowds, "MOST_BYTES", 3 * len(text))
    assert not is_crowd(text, 10)
    monkeypatch.setattr(crowds, "MOST_BYTES", 3 * len(text) - 1)
    assert is_crowd(text, 10)


def test_instances_and_folded_lines() -> None:
    long = "CN=" + "x" * 100
    master = component(" ".join(attendee(name, long) for name in ("a", "b", "c")), "DTSTART:20260310T120000Z",
                       "RRULE:FREQ=DAILY;COUNT=3")  # fmt: skip
    other = component(" ".join(attendee(name, long) for name in ("c", "d")), "RECURRENCE-ID:20260311T120000Z",
                      "DTSTART:20260311T130000Z")  # fmt: skip
    folded = calendar(master, other).replace(b"x" * 60, b"x" * 30 + b"\r\n " + b"x" * 30)
    found = sent(folded)
    assert names(found["a"]) == [["a"]]
    assert names(found["c"]) == [["c"], ["c"]]
    assert names(found["d"]) == [["c", "d"]], "an instance of two people is no crowd"
    assert found["c"].text.count(b"x" * 30) == 2 * 3


def test_rooms_and_delegates_are_shown() -> None:
    room = attendee("room", "CUTYPE=ROOM", "PARTSTAT=ACCEPTED")
    delegate = attendee("d", 'DELEGATED-FROM="mailto:a@x.example"')
    delegator = attendee("a", "PARTSTAT=DELEGATED", 'DELEGATED-TO="mailto:d@x.example"')
    text = calendar(component(f"{delegator} {attendee('b')} {room} {delegate}", "DTSTART:20260310T120000Z"))
    found = sent(text)
    assert [sorted(one) for one in names(found["b"])] == [["b", "room"]]
    assert [sorted(one) for one in names(found["d"])] == [["a", "d", "room"]]
    out = itip.outgoing(None, text, BOSS, now=NOW)
    whole = reduced(out.messages, {"mailto:room@x.example"}, 2)
    (asked,) = [one for one in whole if one.recipient == "mailto:room@x.example"]
    assert len(names(asked)[0]) == 4, "a room counts who comes"


def test_nobody_is_told_of_the_others_answers() -> None:
    text = calendar(component(" ".join(attendee(name) for name in ("a", "b", "c")), "DTSTART:20260310T120000Z"))
    reply = itip.outgoing(text, text.replace(b"ATTENDEE:mailto:a@", b"ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@"),
                          Actor(frozenset({"mailto:a@x.example"})), now=NOW)  # fmt: skip
    applied = itip.incoming(reply.messages[0], text, BOSS, now=NOW)
    assert [one.recipient[7] for one in applied.onward] == ["b", "c"]
    assert list(told(applied.onward, 2)) == []
    assert list(told(applied.onward, 3)) == list(applied.onward)
    out = itip.outgoing(None, text, BOSS, now=NOW)
    assert list(told(out.messages, 2)) == list(out.messages), "what is no answer is told"
