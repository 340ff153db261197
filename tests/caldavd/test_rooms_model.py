"""Random bookings, moves, exceptions and cancellations: whatever happens, no room is promised twice.

And the organizers' copies say of every instance what the rooms' copies say.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from scheduling.freebusy.vfreebusy import busy
from scheduling.ical.timezones import UTC
from scheduling.itip.snapshot import read
from scheduling.rooms.rules import slots_of
from tests.caldavd.test_rooms import MONDAY, House, house

__all__ = ["house"]  # the fixture

ROOMS = ("room1", "room2")
STEPS = 40


def stamp(days: float = 0, hours: float = 0) -> str:
    return (MONDAY + timedelta(days=days, hours=hours)).strftime("%Y%m%dT%H%M%SZ")


class Organizer:
    """Somebody with two meetings, who sends each time the whole of one."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.chance = chance
        self.etags: dict[str, str] = {}

    def uid(self) -> str:
        return f"{self.name}-{self.chance.randrange(2)}"

    def text(self, uid: str) -> str:
        """A meeting of one or some days or weeks, perhaps with an instance that is moved or left out."""
        chance = self.chance
        start = chance.randrange(5) + chance.randrange(4) * 0.5 / 24
        every, count = chance.choice((("DAILY", 1), ("DAILY", 4), ("WEEKLY", 3), ("DAILY", 9)))
        step = 7 if every == "WEEKLY" else 1
        room = chance.choice(ROOMS)
        rule = f"RRULE:FREQ={every};COUNT={count}\r\n" if count > 1 else ""
        kind = chance.randrange(4)
        if kind == 0 and count > 1:
            rule += f"EXDATE:{stamp(start + step * chance.randrange(count))}\r\n"
        parts = [self.component(uid, room, f"DTSTART:{stamp(start)}\r\n{rule}")]
        if kind == 1 and count > 1:
            rid = stamp(start + step * chance.randrange(count))
            moved = stamp(chance.randrange(9) + chance.randrange(4) * 0.5 / 24)
            other = chance.choice((room, room, *ROOMS))
            parts.append(self.component(uid, other, f"RECURRENCE-ID:{rid}\r\nDTSTART:{moved}\r\n"))
        return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{''.join(parts)}END:VCALENDAR\r\n"

    def component(self, uid: str, room: str, when: str) -> str:
        status = "STATUS:TENTATIVE\r\n" if self.chance.randrange(9) == 0 else ""
        return (
            f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n{when}DURATION:PT1H\r\n{status}"
            f"SUMMARY:{self.chance.randrange(9)}\r\n"
            f"ORGANIZER:mailto:{self.name}@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{self.name}@example.org\r\n"
            f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{room}@example.org\r\nEND:VEVENT\r\n"
        )

    def act(self, house: House) -> str:
        client, uid = house.client(self.name), self.uid()
        path = f"/calendars/{self.name}/calendar/{uid}.ics"
        known = client.request("GET", path)
        what = self.chance.randrange(10)
        if what == 0:
            assert client.request("DELETE", path).status in (204, 404)
            return f"{uid} deleted"
        text = self.text(uid)
        if known.status == 200 and what <= 3:
            # As it is, with another name; perhaps without its exceptions, by a client that knows what it does.
            text = re.sub(r"SUMMARY:\d", f"SUMMARY:{self.chance.randrange(9)}", known.body.decode())
            if what == 1:
                head, *parts = text.removesuffix("END:VCALENDAR\r\n").split("BEGIN:VEVENT\r\n")
                kept = [part for part in parts if "RECURRENCE-ID" not in part]
                text = "BEGIN:VEVENT\r\n".join([head, *kept]) + "END:VCALENDAR\r\n"
        headers = {"If_Match": known.headers["ETag"]} if known.status == 200 and self.chance.randrange(2) else {}
        answer = client.put(path, text, **headers)
        assert answer.status in (201, 204), (answer.body, text)
        return f"{uid} stored:\n{text}"


def said(text: str, room: str) -> dict[tuple[int, int], str]:
    """What ``room`` has answered, by the time that it is about."""
    snapshot = read(text.encode())
    assert snapshot is not None
    found: dict[tuple[int, int], str] = {}
    for slot in slots_of(snapshot, UTC, None, None):
        answer = slot.part.answer(f"mailto:{room}@example.org")
        if answer is not None:
            found[slot.start, slot.end] = answer
    return found


def copies(house: House) -> Iterator[tuple[str, str, str]]:
    """Room, UID and text of all that rooms have."""
    for room in ROOMS:
        for text in house.copies(room):
            yield room, text.split("UID:")[1].split("\r\n")[0], text


@pytest.mark.parametrize("seed", range(8))
def test_no_room_is_promised_twice(house: House, seed: int) -> None:
    chance = random.Random(seed)
    house.rules(most_exceptions=3 if seed % 2 else 100)
    people = [Organizer(name, chance) for name in ("u1", "u2", "u3")]
    accepted = declined = 0
    for _ in range(STEPS):
        done = chance.choice(people).act(house)
        taken: dict[str, list[tuple[int, int, str]]] = {room: [] for room in ROOMS}
        theirs: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
        for room, uid, text in copies(house):
            theirs[room, uid] = said(text, room)
            address = {f"mailto:{room}@example.org"}
            taken[room] += [(one.start, one.end, uid) for one in busy(text.encode(), 0, 1 << 40, UTC, owner=address)]
        for room, periods in taken.items():
            # A meeting may meet itself where one of its instances was moved.
            met = [(one, other) for one in periods for other in periods if one[0] < other[1] and other[0] < one[1]]
            assert all(one[2] == other[2] for one, other in met), (room, done)
        mine: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
        for person in people:
            for text in house.copies(person.name):
                for room in ROOMS:
                    found = said(text, room)
                    if found:
                        mine[room, text.split("UID:")[1].split("\r\n")[0]] = found
        assert mine == theirs, done
        answers = [one for found in mine.values() for one in found.values()]
        assert set(answers) <= {"ACCEPTED", "DECLINED"}, done
        accepted, declined = accepted + answers.count("ACCEPTED"), declined + answers.count("DECLINED")
    assert accepted > STEPS
    assert declined > STEPS / 2
