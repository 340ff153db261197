"""Finding a time, for who asks: the question, its bounds, and the answer.

Owns what can be asked and how much of it (the settings ``[find_time]``), free of any protocol: the command line, the
outbox and whoever comes later ask ``Finder``. What is read for an answer is in ``gathering``, the search in
``search``, what is good in ``ranking``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from scheduling.finding import search
from scheduling.finding.askable import askable
from scheduling.finding.gathering import Gathering, Readable
from scheduling.finding.guests import Guests
from scheduling.finding.ranking import rank
from scheduling.finding.slots import NOWHERE, Attendee, NotAWish, Place, Ranker, Room, Settings, Suggestion
from scheduling.freebusy.diaries import FreeBusy, zone_of_principal
from scheduling.freebusy.index import QUARTER
from scheduling.freebusy.working_hours import Shift
from scheduling.ical.timezones import UTC, Zone
from scheduling.ical.values import DAY
from scheduling.rooms.bookings import Defaults
from storage.rows import Principal
from storage.store import Transaction

#: Times at which a meeting could begin, of one question: three months of quarter hours, or a week of minutes.
MOST_STARTS: Final = 10_080


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
        gathering = Gathering(self, tx, freebusy, question, may_ask, asker, readable, zone)
        wish = gathering.wish()
        found = search.find_time(wish, self.settings, self.ranker)
        nearest: list[Suggestion] = []
        if not found or any(one.candidate.outside for one in found):
            wish = gathering.wish(everywhere=True) if wish.known is not None else wish
            nearest = search.alternatives(wish, self.settings, self.ranker)
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
