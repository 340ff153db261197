"""Random series with exceptions, in random zones, against random diaries.

Instance by instance the room's copy says what the diary says, and so does the organizer's once the replies are in it;
also after changes, where what was promised and is not moved stays promised.
"""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from scheduling.ical.lines import ICalendarError
from scheduling.ical.periods import BusyPeriod, merge
from scheduling.ical.timezones import UTC as UTC_ZONE, Zone, named
from scheduling.ical.values import DAY
from scheduling.itip import Actor, incoming, merged_with_unseen, outgoing
from scheduling.itip.snapshot import read
from scheduling.rooms.answers import answered, with_comments, with_reply_forced
from scheduling.rooms.rules import Case, Diary, Rules, Slot, requested, slots_of
from tests.scheduling.rooms.test_rules import BERLIN, NOW, ROOM, component, meeting

FORMS = ("UTC", "DATE", "floating", "Europe/Berlin", "America/New_York")
ANNA = Actor(frozenset({"mailto:anna@example.org"}))


class Maker:
    """Makes one meeting, its times all in one form."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.form = chance.choice(FORMS)
        self.length = chance.choice(("P1D", "P2D") if self.form == "DATE" else ("PT1H", "PT30M", "P1D", "PT26H"))

    def zone(self) -> Zone:
        assert BERLIN is not None
        return BERLIN if self.form in ("DATE", "floating") else named(self.form) or UTC_ZONE

    def line(self, name: str, at: datetime) -> str:
        match self.form:
            case "UTC":
                return f"{name}:{at:%Y%m%dT%H%M%SZ}"
            case "DATE":
                return f"{name};VALUE=DATE:{at:%Y%m%d}"
            case "floating":
                return f"{name}:{at:%Y%m%dT%H%M%S}"
        return f"{name};TZID={self.form}:{at:%Y%m%dT%H%M%S}"

    def text(self) -> bytes:
        chance = self.chance
        start = datetime(2027, chance.choice((1, 2, 3, 10)), chance.randrange(1, 28), chance.randrange(24), tzinfo=UTC)
        start = start.replace(hour=0) if self.form == "DATE" else start
        frequency = chance.choice(("DAILY", "WEEKLY", "MONTHLY", "DAILY" if self.form == "DATE" else "HOURLY"))
        rule = f"RRULE:FREQ={frequency};INTERVAL={chance.randrange(1, 4)};COUNT={chance.randrange(1, 30)}"
        master = [self.line("DTSTART", start), f"DURATION:{self.length}", rule]
        others = []
        instances = slots(meeting(component(*master)))
        for slot in chance.sample(instances, min(len(instances), chance.randrange(4))):
            at = datetime.fromtimestamp(self.zone().to_local(slot.start), UTC)
            kind = chance.randrange(4)
            if kind == 0:
                master.append(self.line("EXDATE", at))
            elif kind == 1:
                master.append(self.line("RDATE", at + timedelta(days=chance.randrange(1, 3))))
            else:
                moved = self.line("DTSTART", at + timedelta(days=chance.randrange(-2, 9)))
                others.append(component(self.line("RECURRENCE-ID", at), moved, f"DURATION:{self.length}"))
        return meeting(component(*master), *others)


def slots(text: bytes) -> list[Slot]:
    snapshot = read(text)
    assert snapshot is not None
    assert BERLIN is not None
    return list(slots_of(snapshot, BERLIN, None, None))


def said(text: bytes) -> dict[tuple[int | None, int, int], str | None]:
    return {(slot.rid, slot.start, slot.end): slot.part.answer(ROOM) for slot in slots(text)}


@pytest.mark.parametrize("seed", range(150))
def test_what_the_diary_says(seed: int) -> None:
    chance = random.Random(seed)
    text = Maker(chance).text()
    try:
        instances = [slot for slot in slots(text) if slot.start < slot.end]
    except ICalendarError:  # two components of one instance
        return
    taken = merge(
        BusyPeriod(slot.start + chance.choice((-1800, 0, 1800, 7200)), slot.end + chance.choice((0, 600)))
        for slot in chance.sample(instances, min(len(instances), chance.randrange(12)))
    )
    diary, most = Diary(taken), chance.choice((3, 100, 100))
    assert BERLIN is not None
    case = Case(
        text=text, before=None, room={ROOM}, rules=Rules(exceptions=most, window=3650 * DAY), zone=BERLIN, now=NOW
    )
    request = requested(case)
    assert request is not None
    answer = answered(case, request, diary)
    wanted = {
        (slot.rid, slot.start, slot.end): "DECLINED" if diary.is_taken(slot) else "ACCEPTED" for slot in slots(text)
    }
    if set(said(answer.text).values()) == {"DECLINED"} and "need an answer of their own" in answer.reason:
        assert most == 3
    elif wanted:
        assert said(answer.text) == wanted
    now = datetime.fromtimestamp(NOW, UTC)
    out = outgoing(text, with_reply_forced(answer.text), Actor(frozenset({ROOM})), now=now)
    assert (out.refused, out.text) == (None, answer.text)
    theirs = text
    for message in out.messages:
        applied = incoming(with_comments(message), theirs, ANNA, now=now)
        assert applied.text is not None, applied.reason
        theirs = applied.text
    assert said(theirs) == said(answer.text)


class Scene:
    """The organizer's object and the room's copy, while the organizer changes the meeting again and again."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.maker = Maker(self.chance)
        self.now = datetime.fromtimestamp(NOW, UTC)
        self.mine: bytes | None = None
        self.room: bytes | None = None

    def changed(self) -> bytes:
        """What the organizer's client sends next."""
        kind = self.chance.randrange(5)
        if self.mine is None or kind > 2:
            sent = self.maker.text()
        elif kind == 0:
            sent = self.mine.replace(b"UID:u\r\n", b"UID:u\r\nX-NOTE:more\r\n")
        elif kind == 1:  # as if the answers were not known
            sent = re.sub(rb"PARTSTAT=[A-Z]+;SCHEDULE-STATUS=2.0", b"PARTSTAT=NEEDS-ACTION", self.mine)
        else:  # without its exceptions
            head, *parts = self.mine.removesuffix(b"END:VCALENDAR\r\n").split(b"BEGIN:VEVENT\r\n")
            kept = [head, *(part for part in parts if b"RECURRENCE-ID" not in part)]
            sent = b"BEGIN:VEVENT\r\n".join(kept) + b"END:VCALENDAR\r\n"
        known = self.mine is not None and self.chance.randrange(2)
        return merged_with_unseen(self.mine, sent, ANNA) if known and self.mine is not None else sent

    def step(self) -> None:
        """One change, as it is delivered and answered."""
        out = outgoing(self.mine, self.changed(), ANNA, now=self.now)
        if out.refused is not None:
            return
        before, asked, news = self.room, self.room, False
        for message in out.messages:
            applied = incoming(message, asked, Actor(frozenset({ROOM})), now=self.now)
            if applied.action != "ignore":
                asked, news = applied.text, news or applied.significant
        self.mine, self.room = out.text, asked
        if asked is not None and news:
            self.answer(asked, before)

    def answer(self, asked: bytes, before: bytes | None) -> None:
        instances = [slot for slot in slots(asked) if slot.start < slot.end]
        taken = self.chance.sample(instances, min(len(instances), self.chance.randrange(8)))
        shift = self.chance.choice((-1800, 0, 1800))
        diary = Diary(
            merge(BusyPeriod(slot.start + shift, slot.end) for slot in taken if slot.start + shift < slot.end)
        )
        assert BERLIN is not None
        rules = Rules(window=3650 * DAY)
        case = Case(text=asked, before=before, room={ROOM}, rules=rules, zone=BERLIN, now=NOW)
        request = requested(case)
        assert request is not None
        answer = answered(case, request, diary)
        out = outgoing(asked, with_reply_forced(answer.text), Actor(frozenset({ROOM})), now=self.now)
        assert out.text is not None
        promised = {at[1:] for at, partstat in (said(before) if before else {}).items() if partstat == "ACCEPTED"}
        assert said(out.text) == {
            (slot.rid, slot.start, slot.end): (
                "ACCEPTED" if (slot.start, slot.end) in promised or not diary.is_taken(slot) else "DECLINED"
            )
            for slot in slots(asked)
        }
        self.room = out.text
        for message in out.messages:
            assert self.mine is not None
            self.mine = incoming(with_comments(message), self.mine, ANNA, now=self.now).text or self.mine


@pytest.mark.parametrize("seed", range(80))
def test_changes(seed: int) -> None:
    scene = Scene(seed)
    for _ in range(4):
        try:
            scene.step()
        except ICalendarError:  # two components of one instance
            return
        if scene.mine is not None and scene.room is not None:
            assert said(scene.mine) == said(scene.room)
