"""From a question to a ``Wish``: busy times, habits and places of the people and rooms that may be asked.

Owns what is read for it, in a number of statements and of questions to the index that does not grow with the number of
people, and what whoever asks may learn: of others only when they are busy (RFC 6638 section 6.1.4), and where somebody
is only by calendars that they may read.

The order: one question to the index for the joined maps of all who have to come, which tell where a meeting can lie at
all; then the exact busy times there, and a few weeks before for habits; then the rows (without texts) of those weeks,
and the texts of calendars that may be read, for places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scheduling.finding import habits, search, whereabouts
from scheduling.finding.askable import Askable, RoomOffer, name_of
from scheduling.finding.slots import NOWHERE, Answered, Attendee, Engagement, NotAWish, Room, Wish
from scheduling.freebusy.availability import Availability
from scheduling.freebusy.busy import BusyCalendar, BusyTimes
from scheduling.freebusy.diaries import Diary, FreeBusy
from scheduling.freebusy.index import QUARTER, WEEK, week_start
from scheduling.freebusy.working_hours import filled, hours_of
from scheduling.ical.periods import Busy, clip, merge
from scheduling.ical.timezones import UTC, Zone
from scheduling.ical.values import DAY
from storage.rows import ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

if TYPE_CHECKING:
    from scheduling.finding.finder import Finder, Question

#: Where less than so many seconds of the window need not be looked at, all of it is.
_WORTH_IT: Final = WEEK
#: Calendars of which texts are read for where people are: those of whoever asks come first.
_MOST_READ: Final = 20
_TEXT: Final = frozenset({"collection_id", "uid", "component", "body"})

#: The ids of those calendars, of the homes with these ids, that whoever asks may read.
Readable = Callable[[Collection[int]], Collection[int]]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What does not depend on where busy times are known: by the id of the person, or of the calendar."""

    names: Mapping[int, str]
    readable: Collection[int]
    learned: tuple[int, int] | None
    rows: Mapping[int, Sequence[ObjectRow]]
    engagements: Mapping[int, Sequence[Engagement]]


@dataclass(slots=True)
class Gathering:
    """One question, on its way to a ``Wish``; ``people`` and ``rooms`` are the principals behind those in it."""

    finder: Finder
    tx: Transaction
    freebusy: FreeBusy
    question: Question
    askable: Askable
    asker: Principal | None
    readable: Readable
    zone: Zone
    people: dict[Attendee, Principal] = field(default_factory=dict)
    rooms: dict[Room, Principal] = field(default_factory=dict)
    _facts: _Facts | None = None
    _usual_hours: dict[str, Availability | None] = field(default_factory=dict)

    def wish(self, *, everywhere: bool = False) -> Wish:
        """What is asked, with all that is known; without ``everywhere`` only of where a meeting can lie at all."""
        question = self.question
        plain = Wish(
            (),
            question.start,
            question.end,
            question.duration,
            equipment=question.equipment,
            people=question.people,
            needs_room=question.needs_room and question.rooms is not None,
            place=question.place,
            step=question.step or self.finder.step,
            count=question.count or self.finder.slots,
            zone=self.zone,
        )
        known = None if everywhere else self._reach(plain)
        facts = self._facts = self._facts or self._learned_facts()
        times = self._times(*(known or (question.start, question.end)), facts)
        required = {one.principal.id for one in self.askable.required}
        people = {
            self._attendee(one, times[one.principal.id], facts, required=one.principal.id in required): one.principal
            for one in self.askable.people
        }
        rooms = {self._room(one, times[one.diary.principal.id]): one.diary.principal for one in self.askable.rooms}
        self.people, self.rooms = people, rooms
        strangers = len(self.askable.unknown)
        heads = len(people) + strangers if question.people is None and strangers else question.people
        return replace(plain, attendees=tuple(people), rooms=tuple(rooms), people=heads, known=known)

    # --- busy times

    def _reach(self, plain: Wish) -> tuple[int, int] | None:
        """Where a meeting can lie, by the joined maps of the index; None: everywhere, or it is not known.

        One question to the index. Not known maps count as free, and what is tentative as busy: where that is not in the
        way, or a meeting is to be left out, the maps do not say enough.
        """
        if self.finder.settings.tentative != "busy" or self.question.masked is not None:
            return None
        versions = {one.id: one.version for diary in self.askable.required for one in diary.whose.calendars}
        weeks = self.freebusy.horizon(self.tx.now).weeks(plain.start, plain.end)
        if not versions or not weeks:
            return None
        first, last = week_start(weeks[0]), week_start(weeks[-1] + 1)
        joined = self.freebusy.index.free_map(versions, first, last)
        base = search.first_quarter(plain)
        blocked = 0
        for week, bits in joined.weeks.items():
            shift = (week_start(week) - base) // QUARTER
            taken = int.from_bytes(bits, "little")
            blocked |= taken << shift if shift >= 0 else taken >> -shift
        found = search.reach(plain, blocked)
        if found is None or (plain.end - plain.start) - (found[1] - found[0]) < _WORTH_IT:
            return None
        return found

    def _times(self, start: int, end: int, facts: _Facts) -> dict[int, BusyTimes]:
        """Busy times, with a day more on either side for what lies around a meeting, and where habits are learned."""
        low = min(start - DAY, facts.learned[0] if facts.learned is not None else start)
        diaries = [*self.askable.people, *(one.diary for one in self.askable.rooms)]
        asked = {one.principal.id: one.whose for one in diaries}
        times = self.freebusy.ask(self.tx, asked, low, end + DAY, mask_uid=self.question.masked)
        for one in diaries:
            if not times[one.principal.id].complete:
                name = name_of(one.principal)
                raise NotAWish("window", f"{name} has too much in that time for an answer: ask for less of it.")
        return times

    # --- what else is known

    def _learned_facts(self) -> _Facts:
        people = self.askable.people
        calendars = {one.id: one for diary in people for one in diary.whose.calendars}
        readable: Collection[int] = calendars.keys()
        if self.asker is not None:
            readable = frozenset(self.readable({diary.principal.home_id for diary in people}))
        learned, rows = None, {}
        if self.finder.learn != "nothing":
            learned = habits.range_of(self.tx.now, self.question.start, weeks=self.finder.weeks)
            rows = self._rows(calendars, learned) if self.finder.learn == "answers" else {}
        return _Facts(self._names(), readable, learned, rows, self._engagements(calendars, readable))

    def _names(self) -> dict[int, str]:
        """What each is called in the reasons; where two are called the same, with their names here."""
        principals = [one.principal for one in (*self.askable.people, *(one.diary for one in self.askable.rooms))]
        often = Counter(map(name_of, principals))
        return {
            one.id: name_of(one) if often[name_of(one)] == 1 else f"{name_of(one)} ({one.name})" for one in principals
        }

    def _rows(self, calendars: Collection[int], learned: tuple[int, int]) -> dict[int, list[ObjectRow]]:
        """What lies where habits are learned: columns, no texts; one statement for every 200 calendars."""
        rows: dict[int, list[ObjectRow]] = {}
        if calendars:
            wanted = {"VEVENT": list(calendars)}
            for row in self.tx.objects.scan(wanted, columns=habits.COLUMNS, start=learned[0], end=learned[1]):
                rows.setdefault(row.collection_id, []).append(row)
        return rows

    def _engagements(
        self, calendars: Mapping[int, BusyCalendar], readable: Collection[int]
    ) -> dict[int, list[Engagement]]:
        """Where people are, by calendars that may be read, the asker's own ones first; one statement."""
        found: dict[int, list[Engagement]] = {}
        somewhere = self.question.place != NOWHERE or self.askable.rooms
        if not somewhere or self.finder.settings.weights.travel <= 0:
            return found
        mine = self.asker.id if self.asker is not None else None
        people = sorted(self.askable.people, key=lambda one: one.principal.id != mine)
        ids = [one.id for diary in people for one in diary.whose.calendars if one.id in readable][:_MOST_READ]
        start, end = self.question.start - DAY, self.question.end + DAY
        for row in self.tx.objects.scan({"VEVENT": ids}, columns=_TEXT, start=start, end=end) if ids else ():
            if row.uid != self.question.masked:
                calendar = calendars[row.collection_id]
                there = whereabouts.engagements(row.body, start, end, calendar.zone, calendar.owner)
                found.setdefault(row.collection_id, []).extend(there)
        return found

    # --- people and rooms

    def _attendee(self, diary: Diary, times: BusyTimes, facts: _Facts, *, required: bool) -> Attendee:
        calendars = [one.id for one in diary.whose.calendars]
        zone = self._zone(diary)
        stated = times.hours
        hours = stated
        if diary.principal.kind is PrincipalKind.INDIVIDUAL:
            hours = filled(
                stated, hours_of(self.finder.usual, zone, self.question.start - DAY, self.question.end + DAY)
            )
        away = [one for one in stated.unavailable if one.kind is Busy.BUSY] if stated is not None else []
        return Attendee(
            facts.names[diary.principal.id],
            required=required,
            zone=zone,
            busy=merge([*times.events, *away]),
            hours=hours,
            history=self._history(diary, times, facts),
            engagements=[one for id_ in calendars for one in facts.engagements.get(id_, ())],
            told=set(calendars) <= set(facts.readable),
        )

    def _usual(self, zone: Zone) -> Availability | None:
        if zone.name not in self._usual_hours:
            start, end = self.question.start - DAY, self.question.end + DAY
            self._usual_hours[zone.name] = hours_of(self.finder.usual, zone, start, end)
        return self._usual_hours[zone.name]

    def _zone(self, diary: Diary) -> Zone:
        """Where somebody is: what is set for them, else what a client has set for a calendar, else as the asker."""
        if diary.principal.timezone:
            return diary.whose.zone
        return next((one.zone for one in diary.whose.calendars if one.zone is not UTC), self.zone)

    def _history(self, diary: Diary, times: BusyTimes, facts: _Facts) -> Sequence[Answered]:
        if facts.learned is None or diary.principal.kind is not PrincipalKind.INDIVIDUAL:
            return ()
        rows = [(one, facts.rows.get(one.id, ())) for one in diary.whose.calendars]
        return habits.history(clip(times.events, *facts.learned), rows, *facts.learned)

    def _room(self, offer: RoomOffer, times: BusyTimes) -> Room:
        closed = offer.closed(self.tx.now, self.question.start, self.question.end)
        return Room(
            name_of(offer.diary.principal),
            offer.booking.capacity,
            frozenset(offer.booking.equipment),
            merge([*times.events, *closed]),
            times.hours,
            offer.place,
        )
