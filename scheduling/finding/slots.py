"""What is asked and answered when a time is looked for: values that ``search`` and ``ranking`` share.

Instants are epoch seconds, durations seconds. Nothing here knows where the values come from: busy times are those of
``busy.busy_of``, working hours those of ``availability``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

from scheduling.freebusy.index import QUARTER
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.ical.timezones import UTC
from scheduling.ical.values import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from scheduling.freebusy.availability import Availability
    from scheduling.ical.timezones import Zone

_EARTH_KM: Final = 6371.0
#: 1970-01-01 was one; Monday is 0.
_THURSDAY: Final = 3


class NotAWish(ValueError):
    """What is asked for cannot be a meeting; the message is a sentence for people, ``about`` what it is about."""

    def __init__(self, about: Literal["duration", "window", "attendees", "rooms", "number"], sentence: str) -> None:
        super().__init__(sentence)
        self.about = about


def local(zone: Zone, instant: int) -> int:
    """What the clock on the wall shows there. Every consideration asks it of the same few instants."""
    return _local(cast("Hashable", zone), instant)


@lru_cache(maxsize=8192)
def _local(zone: Hashable, instant: int) -> int:
    return cast("Zone", zone).to_local(instant)


@dataclass(frozen=True, slots=True)
class Place:
    """A LOCATION by its name, and where it is: latitude and longitude in degrees (GEO, RFC 5545 3.8.1.6)."""

    name: str = ""
    geo: tuple[float, float] | None = None


#: Nobody has said where it is.
NOWHERE: Final = Place()


class Engagement(NamedTuple):
    """A meeting of somebody of which it is known where it is."""

    start: int
    end: int
    place: Place


def _begin(engagement: Engagement) -> int:
    return engagement.start


class Answered(NamedTuple):
    """An invitation of the past: when it was for, and whether it was accepted."""

    start: int
    accepted: bool


@dataclass(frozen=True, slots=True, eq=False)
class Attendee:
    """Somebody who is to come. ``hours`` are the working hours (None: none stated), ``history`` what is learned from.

    ``told``: whoever asks may know what this one is in the habit of. Of others only a coarse idea of what they like
    goes into the score, and no name is said with it. Meetings that somebody simply has count as accepted in the
    history. What follows from these values alone is worked out once: ``engaged`` and ``closed`` are disjoint and in
    order, firm meetings without and with the time off work;
    ``answers`` counts the history by weekday (Monday is 0), whether it was after noon, and whether it was accepted;
    ``liked`` is where a ranker keeps what it made of that, by weekday and half of the day.
    """

    name: str
    required: bool = True
    zone: Zone = UTC
    busy: Sequence[BusyPeriod] = ()
    hours: Availability | None = None
    prefers: Literal["morning", "afternoon"] | None = None
    history: Sequence[Answered] = ()
    engagements: Sequence[Engagement] = ()
    told: bool = True
    engaged: Sequence[BusyPeriod] = field(init=False, repr=False)
    closed: Sequence[BusyPeriod] = field(init=False, repr=False)
    answers: Mapping[tuple[int, bool, bool], int] = field(init=False, repr=False)
    liked: dict[tuple[int, bool], float] = field(init=False, repr=False, default_factory=dict)
    _longest: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        firm = [BusyPeriod(one.start, one.end) for one in self.busy if one.kind is not Busy.TENTATIVE]
        off = [BusyPeriod(one.start, one.end) for one in (self.hours.unavailable if self.hours is not None else ())]
        object.__setattr__(self, "engaged", merge(firm))
        object.__setattr__(self, "closed", merge([*firm, *off]))
        counted = Counter((*self.half_day(one.start), one.accepted) for one in self.history)
        object.__setattr__(self, "answers", counted)
        object.__setattr__(self, "engagements", sorted(self.engagements, key=_begin))
        object.__setattr__(self, "_longest", max((one.end - one.start for one in self.engagements), default=0))

    def engaged_near(self, start: int, end: int) -> Sequence[Engagement]:
        """The engagements that end less than a day before ``start``, or begin less than a day after ``end``."""
        first = bisect_right(self.engagements, start - DAY - self._longest, key=_begin)
        last = bisect_right(self.engagements, end + DAY - 1, key=_begin)
        return [one for one in self.engagements[first:last] if one.end > start - DAY]

    def half_day(self, instant: int) -> tuple[int, bool]:
        """The weekday of an instant where this attendee is (Monday is 0), and whether it is after noon."""
        there = local(self.zone, instant)
        return (there // DAY + _THURSDAY) % 7, there % DAY >= DAY // 2


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """A room or resource that could be taken. ``capacity`` None: nobody has said how many it holds."""

    name: str
    capacity: int | None
    equipment: frozenset[str] = frozenset()
    busy: Sequence[BusyPeriod] = ()
    hours: Availability | None = None
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Wish:
    """The meeting that a time is looked for: ``duration`` seconds between ``start`` and ``end``.

    It begins at a multiple of ``step`` seconds on the wall of ``zone``. ``people`` is how many have to fit into the
    room (None: all attendees); ``needs_room``: not without one of ``rooms``, else one is taken where one is free.
    ``place`` is where it is without a room. ``known``: nothing is offered outside of these instants, because busy times
    were not looked for there (None: of all of the window).
    """

    attendees: Sequence[Attendee]
    start: int
    end: int
    duration: int
    rooms: Sequence[Room] = ()
    equipment: frozenset[str] = frozenset()
    people: int | None = None
    needs_room: bool = False
    place: Place = Place()
    step: int = QUARTER
    count: int = 5
    zone: Zone = UTC
    known: tuple[int, int] | None = None

    def fits(self, room: Room) -> bool:
        """Whether the room holds all who come and has what is needed; one of unknown size does while nobody asks."""
        if not self.equipment <= room.equipment:
            return False
        return self.people is None if room.capacity is None else room.capacity >= self.heads

    @property
    def heads(self) -> int:
        """How many have to fit into the room."""
        return len(self.attendees) if self.people is None else self.people


@dataclass(frozen=True, slots=True)
class Candidate:
    """A time at which all who have to can come; ``absent`` are the optional ones who cannot.

    ``outside``: for whom it is outside of the working hours; ``tentative``: who may have something else then. ``rooms``
    are all that fit and are free, the best fitting first, and ``room`` is the one that is taken. ``busy`` are who have
    to come and cannot: there are none but in an alternative where nothing else was found.
    """

    start: int
    end: int
    room: Room | None = None
    absent: tuple[Attendee, ...] = ()
    outside: tuple[Attendee, ...] = ()
    tentative: tuple[Attendee, ...] = ()
    rooms: tuple[Room, ...] = ()
    busy: tuple[Attendee, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each consideration of the ranking counts; only their proportions matter, and 0 leaves one out."""

    preference: float = 3.0
    hours: float = 4.0
    fairness: float = 2.0
    travel: float = 2.0
    attendance: float = 2.0
    buffer: float = 1.5
    fragmentation: float = 1.0
    tentative: float = 1.0
    room: float = 1.0
    sooner: float = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How times are looked for.

    ``tentative``: whether what is tentative is in the way, or counts against a time. ``beyond_hours``: where no time
    lies within everybody's working hours, times outside of them are offered, and it is said for whom. ``buffer``
    seconds between meetings are good, and less than ``useful`` seconds between them good for nothing. ``travel`` is a
    table of minutes from one named place to another, either way; between other places with positions it is as long as
    ``kilometres_an_hour`` make it.
    """

    weights: Weights = field(default=Weights())
    tentative: Literal["busy", "counts against it"] = "busy"
    beyond_hours: bool = True
    buffer: int = 600
    useful: int = 3600
    travel: Mapping[tuple[str, str], float] = field(default_factory=dict)
    kilometres_an_hour: float = 30.0
    most_candidates: int = 1000

    def seconds_between(self, one: Place, other: Place) -> int | None:
        """How long it takes from one place to the other; None: nobody knows."""
        if one is other or one == other:
            return 0
        minutes = self.travel.get((one.name, other.name), self.travel.get((other.name, one.name)))
        if minutes is not None:
            return round(minutes * 60)
        if one.geo is None or other.geo is None:
            return None
        return round(kilometres(one.geo, other.geo) / self.kilometres_an_hour * 3600)


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance on a great circle between two positions in degrees (the haversine formula)."""
    (north, east), (north2, east2) = ((radians(lat), radians(lon)) for lat, lon in (one, other))
    square = sin((north2 - north) / 2) ** 2 + cos(north) * cos(north2) * sin((east2 - east) / 2) ** 2
    return 2 * _EARTH_KM * asin(min(1.0, sqrt(square)))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a ranker says of a candidate: 0 is worst and 1 is best, and why, in words, what weighs most first."""

    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A time that is offered, its score and its reasons in words.

    ``rooms`` are those of the candidate that could be taken, the one of the score first, and no more than are of use.
    """

    candidate: Candidate
    score: float
    reasons: tuple[str, ...]
    rooms: tuple[Room, ...] = ()

    @property
    def start(self) -> int:
        """The instant at which it begins."""
        return self.candidate.start

    @property
    def end(self) -> int:
        """The instant at which it ends."""
        return self.candidate.end


#: What ranks: ``ranking.rank``, or a plug-in with the same arguments.
Ranker: TypeAlias = "Callable[[Candidate, Wish, Settings], Ranking]"
