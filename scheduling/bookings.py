"""How rooms and resources answer, in a transaction: their rules, and when they are taken, for all rooms of a message.

Owns the reading that goes before ``rooms`` (the rules) and ``room_answers`` (the text): the rows of ``tx.bookings`` and
the installation's defaults, the delegates, and the room's other objects. The statements do not grow with the number of
rooms or of bookings. Bodies are read only of objects that lie where the booking does and whose packed busy time does
not say enough.

Whoever calls holds the locks of the rooms' homes since before the reading and until the commit.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from scheduling import itip
from scheduling.availability import PROPERTIES, availability
from scheduling.busy import BLOCKING, BusyCalendar, spans_of
from scheduling.diaries import availability_in, zone_of_principal
from scheduling.freebusy import busy
from scheduling.ical.lines import ICalendarError
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.ical.values import DAY
from scheduling.index import Version
from scheduling.message import Message
from scheduling.outcome import Actor
from scheduling.room_answers import answered, with_comments, with_reply_forced
from scheduling.rooms import Case, Diary, Request, Rules, requested
from storage.rows import Beyond, Booking, BookingPolicy, CollectionKind, ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

#: Who answers by itself.
ANSWERING: Final = frozenset({PrincipalKind.ROOM, PrincipalKind.RESOURCE})
_COLUMNS: Final = frozenset(
    {"id", "collection_id", "name", "component", "organizer", "starts_at", "ends_at", "digest_version", "spans"}
)
_BODY: Final = frozenset({"body"})
#: Nobody keeps what is computed here.
_NO_VERSION: Final = Version("", 0, "")

_log = logging.getLogger(__name__)


class RoomSettings(Protocol):
    """The section ``[rooms]``, whose words for policies are those of ``storage.rows``."""

    @property
    def policy(self) -> str:
        """A ``BookingPolicy``."""

    @property
    def beyond(self) -> str:
        """A ``Beyond``."""

    @property
    def window_days(self) -> int:
        """How far ahead."""

    @property
    def notice_minutes(self) -> int:
        """How long before."""

    @property
    def check_capacity(self) -> bool:
        """Whether a room declines more people than fit in."""

    @property
    def most_exceptions(self) -> int:
        """Instances of a series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """How rooms answer of which nothing else is set, and what counts for all of them (the section ``[rooms]``)."""

    policy: BookingPolicy = BookingPolicy.AUTOMATIC
    beyond: Beyond = Beyond.DECLINE
    window_days: int = 730
    notice_minutes: int = 0
    check_capacity: bool = False
    most_exceptions: int = 100

    @classmethod
    def of(cls, settings: RoomSettings) -> Defaults:
        """As the settings have it."""
        return cls(
            policy=BookingPolicy(settings.policy),
            beyond=Beyond(settings.beyond),
            window_days=settings.window_days,
            notice_minutes=settings.notice_minutes,
            check_capacity=settings.check_capacity,
            most_exceptions=settings.most_exceptions,
        )

    def rules(self, booking: Booking | None) -> Rules:
        """The rules of a room, by what is set for it (``None``: nothing)."""
        said = booking if booking is not None else Booking(principal_id=0)
        return Rules(
            policy=said.policy or self.policy,
            beyond=said.beyond or self.beyond,
            window=(said.window_days or self.window_days) * DAY,
            notice=self.notice_minutes * 60,
            capacity=said.capacity if self.check_capacity else None,
            exceptions=self.most_exceptions,
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """How the rooms of a message answer, by the principal's id; and who answers for some of them."""

    rules: Mapping[int, Rules] = field(default_factory=dict)
    delegates: Mapping[int, Principal] = field(default_factory=dict)

    @property
    def owners(self) -> frozenset[str]:
        """The names of those whose homes have to be locked as well: they get the requests. Groups have no inbox."""
        return frozenset(one.name for one in self.delegates.values() if one.kind is not PrincipalKind.GROUP)


@dataclass(frozen=True, slots=True)
class Asked:
    """A room that is asked.

    ``addresses`` are the room's in normal form, ``stored`` its copy as it is stored (with its body; None: it has none),
    ``text`` its copy with all that the message says in it, not yet stored.
    """

    room: Principal
    addresses: frozenset[str]
    stored: ObjectRow | None
    text: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What a room answers.

    ``text`` is what is to be stored, the very same where it says nothing. ``replies`` go to the organizer, one for each
    address by which the room is invited. ``reason`` is a phrase for the scheduling log. ``delegate`` is to find the
    request in their inbox as well.
    """

    text: bytes
    replies: tuple[Message, ...] = ()
    reason: str = ""
    delegate: Principal | None = None


def desk_for(tx: Transaction, principals: Iterable[Principal], defaults: Defaults) -> Desk:
    """How the rooms and resources among ``principals`` answer; two statements at most, none where there are none."""
    rooms = {one.id for one in principals if one.kind in ANSWERING}
    if not rooms:
        return Desk()
    said = tx.bookings.of(rooms)
    rules = {room: defaults.rules(said.get(room)) for room in rooms}
    wanted = {
        room: one.delegate_id
        for room, one in said.items()
        if one.delegate_id is not None and rules[room].policy is BookingPolicy.DELEGATE
    }
    found = tx.principals.by_ids(frozenset(wanted.values())) if wanted else {}
    return Desk(rules, {room: found[delegate] for room, delegate in wanted.items() if delegate in found})


def answers(tx: Transaction, asked: Sequence[Asked], *, desk: Desk, sender: Principal | None) -> list[Answered]:
    """What the rooms answer, in the order of ``asked``; three statements at most, and one more a room with long series.

    ``sender`` asks (None: somebody elsewhere); whoever administers this server is bound to no window.
    """
    exempt = sender is not None and sender.admin
    questions = [_question(tx, one, desk, exempt=exempt) for one in asked]
    diaries = _diaries(tx, [one for one in questions if one is not None and one.request.stretch is not None])
    now = datetime.fromtimestamp(tx.now, UTC)
    out = []
    for one, question in zip(asked, questions, strict=True):
        if question is None:
            out.append(Answered(one.text, reason="left to who keeps this calendar"))
        else:
            out.append(_answer(question, diaries.get(one.room.id, Diary()), desk, now))
    return out


@dataclass(frozen=True, slots=True)
class _Question:
    asked: Asked
    case: Case
    request: Request


def _question(tx: Transaction, asked: Asked, desk: Desk, *, exempt: bool) -> _Question | None:
    room = asked.room
    case = Case(
        text=asked.text,
        before=None if asked.stored is None else asked.stored.body,
        room=asked.addresses,
        rules=desk.rules.get(room.id, Rules()),
        zone=zone_of_principal(room),
        now=tx.now,
        exempt=exempt,
    )
    try:
        request = requested(case)
    except ICalendarError:  # it was read when it was sent: what is stored has grown beyond a limit
        _log.warning("The room %s cannot read an invitation that it was sent.", room.name, exc_info=True)
        return None
    return None if request is None else _Question(asked, case, request)


def _answer(question: _Question, diary: Diary, desk: Desk, now: datetime) -> Answered:
    asked = question.asked
    answer = answered(question.case, question.request, diary)
    delegate = desk.delegates.get(asked.room.id) if answer.waits else None
    reason = f"{answer.reason} ({delegate.name} answers for it)" if delegate is not None else answer.reason
    if delegate is not None and delegate.kind is PrincipalKind.GROUP:
        delegate = None
    # Where the room has answered all of it, all of it is told: the organizer's copy may lack what this one has.
    text = answer.text if answer.waits else with_reply_forced(answer.text)
    out = itip.outgoing(asked.text, text, Actor(asked.addresses), now=now)
    if out.refused is not None or out.text is None:  # what the message made of the copy is no meeting of the room's
        _log.warning("The room %s cannot answer: %s", asked.room.name, out.refused)
        return Answered(asked.text, reason="cannot be answered")
    replies = tuple(with_comments(message) for message in out.messages if message.method == "REPLY")
    return Answered(out.text, replies, reason, delegate)


# --- when rooms are taken --------------------------------------------------------------------------------------------


class _Wanted:
    """The times that are asked for, to be compared with many others: disjoint and in order."""

    def __init__(self, request: Request) -> None:
        self.periods = merge(BusyPeriod(slot.start, slot.end) for slot in request.slots)
        self._ends = [one.end for one in self.periods]

    def meets(self, start: int | None, end: int | None) -> bool:
        """Whether some of it may lie between two instants (None is open)."""
        at = 0 if start is None else bisect_right(self._ends, start)
        return at < len(self.periods) and (end is None or self.periods[at].start <= end)

    def of(self, periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
        """Those of many others that it meets."""
        return [one for one in periods if self.meets(one.start, one.end)]


def _diaries(tx: Transaction, questions: Sequence[_Question]) -> dict[int, Diary]:
    """When each room cannot be had, as far as it matters; by principal."""
    if not questions:
        return {}
    by_home = {one.asked.room.home_id: one for one in questions}
    calendars: dict[int, int] = {}
    hours: dict[int, bytes] = {}
    kinds = (CollectionKind.CALENDAR, CollectionKind.INBOX)
    for home, collection, stored in tx.collections.of_homes(list(by_home), kinds=kinds, names=PROPERTIES):
        if collection.kind is CollectionKind.CALENDAR:
            calendars[collection.id] = home.id
        elif stored:
            hours[home.id] = availability_in({(one.namespace, one.name): one for one in stored})
    taken = _taken(tx, by_home, calendars)
    return {
        one.asked.room.id: Diary(taken[home_id], _closed(one, hours.get(home_id, b"")))
        for home_id, one in by_home.items()
    }


def _closed(question: _Question, hours: bytes) -> Sequence[BusyPeriod]:
    """When the room's hours do not let anybody in; ``hours`` is the text of ``calendar-availability``, if any."""
    stretch = question.request.stretch
    found = availability([hours], *stretch, question.case.zone) if hours and stretch is not None else None
    return () if found is None else merge(BusyPeriod(one.start, one.end) for one in found.unavailable)


def _taken(
    tx: Transaction, by_home: Mapping[int, _Question], calendars: Mapping[int, int]
) -> dict[int, list[BusyPeriod]]:
    """When each room is taken by its other objects, disjoint and in order; by home. ``calendars`` are by id."""
    wanted = {home_id: _Wanted(one.request) for home_id, one in by_home.items()}
    stretches = [stretch for one in by_home.values() if (stretch := one.request.stretch) is not None]
    start, end = min(first for first, _ in stretches), max(last for _, last in stretches)
    found: dict[int, list[BusyPeriod]] = {home_id: [] for home_id in by_home}
    unsaid: dict[int, list[str]] = {}
    rows = tx.objects.scan({name: list(calendars) for name in BLOCKING}, columns=_COLUMNS, start=start, end=end)
    for row in rows:
        home_id = calendars[row.collection_id]
        question = by_home[home_id]
        stored = question.asked.stored
        if (stored is not None and row.id == stored.id) or not wanted[home_id].meets(row.starts_at, row.ends_at):
            continue
        low = start if row.starts_at is None else max(start, row.starts_at)
        high = end if row.ends_at is None else min(end, row.ends_at + 1)
        said = spans_of(row, _calendar(question, row.collection_id), low, high)
        if said is None:
            unsaid.setdefault(row.collection_id, []).append(row.name)
        else:
            found[home_id] += wanted[home_id].of(said)
    for collection_id, names in unsaid.items():
        home_id = calendars[collection_id]
        case = by_home[home_id].case
        for row in tx.objects.by_names(collection_id, names, columns=_BODY).values():
            told = busy(row.body, start, end, case.zone, owner=frozenset(case.room))
            found[home_id] += wanted[home_id].of(told)
    return {home_id: _counting(by_home[home_id], periods) for home_id, periods in found.items()}


def _calendar(question: _Question, collection_id: int) -> BusyCalendar:
    return BusyCalendar(collection_id, _NO_VERSION, question.case.zone, frozenset(question.case.room))


def _counting(question: _Question, periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """The times that nobody else gets: taken is taken, also tentatively; but a person decides between two requests."""
    least = Busy.BUSY if question.case.rules.policy is BookingPolicy.DELEGATE else Busy.TENTATIVE
    return merge(BusyPeriod(one.start, one.end) for one in periods if one.kind >= least)
