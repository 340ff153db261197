"""Finding a time, for who asks: from names to people, rooms, busy times and habits, and to the answer.

Owns what is read for it, in a number of statements and of questions to the index that does not grow with the number of
people, and what whoever asks may learn: of others only when they are busy (RFC 6638 section 6.1.4), and where somebody
is only by calendars that they may read. The search is in ``find_time``, what is good in ``ranking``, by which protocol
it is asked is for the floor above.

The order: people and rooms, their calendars, who may be asked; then one question to the index for the joined maps of
all who have to come, which tell where a meeting can lie at all; then the exact busy times there, and a few weeks before
for habits; then the rows (without texts) of those weeks, and the texts of calendars that may be read, for places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from scheduling import find_time, habits, whereabouts
from scheduling.askable import Askable, RoomOffer, askable, name_of
from scheduling.availability import Availability
from scheduling.bookings import Defaults
from scheduling.busy import BusyCalendar, BusyTimes
from scheduling.diaries import Diary, FreeBusy, zone_of_principal
from scheduling.guests import Guests
from scheduling.ical.periods import Busy, clip, merge
from scheduling.ical.timezones import UTC, Zone
from scheduling.ical.values import DAY
from scheduling.index import QUARTER, WEEK, week_start
from scheduling.ranking import rank
from scheduling.slots import (
    NOWHERE,
    Answered,
    Attendee,
    Engagement,
    NotAWish,
    Place,
    Ranker,
    Room,
    Settings,
    Suggestion,
    Wish,
)
from scheduling.working_hours import Shift, filled, hours_of
from storage.rows import ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

#: Where less than so many seconds of the window need not be looked at, all of it is.
_WORTH_IT: Final = WEEK
#: Times at which a meeting could begin, of one question: three months of quarter hours, or a week of minutes.
MOST_STARTS: Final = 10_080
#: Calendars of which texts are read for where people are: those of whoever asks come first.
_MOST_READ: Final = 20
_TEXT: Final = frozenset({"collection_id", "uid", "component", "body"})

#: The ids of those calendars, of the homes with these ids, that whoever asks may read.
Readable = Callable[[Collection[int]], Collection[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked. People and rooms are named by calendar user addresses, or by their names here.

    ``start`` and ``end`` are instants, ``duration`` and ``step`` seconds. ``rooms``: None for none, empty for any that
    fits. ``people`` is how many have to fit into it (None: those who come). ``masked`` is the UID of the meeting that
    is to be moved. ``step`` and ``count`` None: as the settings say; ``zone`` None: that of whoever asks.
    """

    start: int
    end: int
    duration: int
    required: Sequence[str] = ()
    optional: Sequence[str] = ()
    rooms: Sequence[str] | None = None
    needs_room: bool = False
    people: int | None = None
    equipment: frozenset[str] = frozenset()
    place: Place = NOWHERE
    step: int | None = None
    count: int | None = None
    masked: str | None = None
    zone: Zone | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    ``alternatives`` are there where no suggestion lies within everybody's working hours: somebody who has to come is
    busy then, or there is no room. ``unknown`` says for each address of which nothing is known why that is; ``people``
    and ``rooms`` are the principals behind those of the suggestions; ``zone`` is where whoever asks is.
    """

    suggestions: Sequence[Suggestion]
    alternatives: Sequence[Suggestion]
    unknown: Mapping[str, str]
    people: Mapping[Attendee, Principal]
    rooms: Mapping[Room, Principal]
    zone: Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """What finds times; one serves all requests of a process.

    ``usual`` are the working hours of who has stated none; ``learn`` is what habits are learned from, for ``weeks``. A
    question may be about ``most_people`` and ``most_days`` and ask for ``most_slots`` times; it gets ``slots`` in steps
    of ``step`` seconds where it does not say. ``booking`` are the rules of rooms that have none of their own.
    """

    settings: Settings = field(default_factory=Settings)
    ranker: Ranker = rank
    usual: tuple[Shift, ...] = ()
    learn: Literal["answers", "free-busy", "nothing"] = "answers"
    weeks: int = 4
    step: int = QUARTER
    slots: int = 5
    most_people: int = 100
    most_days: int = 92
    most_slots: int = 20
    booking: Defaults = field(default_factory=Defaults)

    def find(
        self,
        tx: Transaction,
        freebusy: FreeBusy,
        question: Question,
        *,
        asker: Principal | None,
        readable: Readable,
        epoch: str,
    ) -> Answer:
        """The best times, and what comes nearest where there are none.

        ``asker`` None: somebody who may know everything, and then ``readable`` is not asked. ``epoch`` is the store's.
        Raises ``NotAWish``.
        """
        question = self._checked(question, tx.now)
        guests = Guests(tx, self.most_people)
        guests.invite(question.required, question.optional)
        may_ask = askable(tx, freebusy, guests, question.rooms, asker=asker, defaults=self.booking, epoch=epoch)
        zone = _zone_of(question, asker, guests)
        gathering = _Gathering(self, tx, freebusy, question, may_ask, asker, readable, zone)
        wish = gathering.wish()
        found = find_time.find_time(wish, self.settings, self.ranker)
        nearest: list[Suggestion] = []
        if not found or any(one.candidate.outside for one in found):
            wish = gathering.wish(everywhere=True) if wish.known is not None else wish
            nearest = find_time.alternatives(wish, self.settings, self.ranker)
        return Answer(found, nearest, may_ask.unknown, gathering.people, gathering.rooms, zone)

    def _checked(self, question: Question, now: int) -> Question:
        """The question without the time that is over. Raises ``NotAWish`` for what cannot be asked."""
        checked = replace(
            question,
            start=max(question.start, now),
            count=self.slots if question.count is None else question.count,
            step=self.step if question.step is None else question.step,
        )
        self._check_numbers(checked)
        if question.end <= question.start:
            raise NotAWish("window", "The time to look in ends before it begins.")
        if question.end <= checked.start:
            raise NotAWish("window", "The time to look in is over.")
        if question.end - checked.start > self.most_days * DAY:
            raise NotAWish("window", f"The time to look in is too long: ask for {self.most_days} days at most.")
        if checked.step is not None and (question.end - checked.start) // checked.step > MOST_STARTS:
            raise NotAWish(
                "window", "These are too many times to look at: ask for longer steps, or for a shorter time."
            )
        if question.duration > question.end - checked.start:
            raise NotAWish("duration", "The meeting is longer than the time to look in.")
        if not question.required and not question.optional and question.rooms is None:
            raise NotAWish("attendees", "Say who is to come, or that a room is wanted.")
        return checked

    def _check_numbers(self, question: Question) -> None:
        if question.count is None or not 1 <= question.count <= self.most_slots:
            raise NotAWish("number", f"Ask for 1 to {self.most_slots} times.")
        if question.duration <= 0:
            raise NotAWish("duration", "A meeting has to last some time.")
        if question.step is None or not 60 <= question.step <= DAY:
            raise NotAWish("duration", "Meetings begin at multiples of one minute to one day.")
        if question.people is not None and question.people < 1:
            raise NotAWish("rooms", "A room has to hold somebody.")


def _zone_of(question: Question, asker: Principal | None, guests: Guests) -> Zone:
    if question.zone is not None:
        return question.zone
    first = next(iter((*guests.required.values(), *guests.optional.values())), None)
    known = asker if asker is not None and asker.timezone else first
    return UTC if known is None else zone_of_principal(known)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What does not depend on where busy times are known: by the id of the person, or of the calendar."""

    names: Mapping[int, str]
    readable: Collection[int]
    learned: tuple[int, int] | None
    rows: Mapping[int, Sequence[ObjectRow]]
    engagements: Mapping[int, Sequence[Engagement]]


@dataclass(slots=True)
class _Gathering:
    """One question, on its way to a ``Wish``."""

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
        base = find_time.first_quarter(plain)
        blocked = 0
        for week, bits in joined.weeks.items():
            shift = (week_start(week) - base) // QUARTER
            taken = int.from_bytes(bits, "little")
            blocked |= taken << shift if shift >= 0 else taken >> -shift
        found = find_time.reach(plain, blocked)
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
