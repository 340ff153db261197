"""How rooms and resources answer, in a transaction: for all rooms of a message at once.

Owns the rules that are set for each (``tx.bookings`` and the installation's defaults), who answers for it, and the
REPLY with its reason. The rules are carried out in ``rules`` and written down in ``answers``, both pure; when a
room cannot be had is read in ``diaries``.

Whoever calls holds the locks of the rooms' homes since before the reading and until the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from scheduling import itip
from scheduling.freebusy.diaries import zone_of_principal
from scheduling.ical.lines import ICalendarError
from scheduling.ical.values import DAY
from scheduling.itip.message import Message
from scheduling.itip.outcome import Actor
from scheduling.rooms.answers import Answer, answered, with_comments, with_reply_forced
from scheduling.rooms.diaries import Question, diaries_of
from scheduling.rooms.rules import Case, Diary, Rules, requested
from storage.rows import Beyond, Booking, BookingPolicy, ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

#: Who answers by itself.
ANSWERING: Final = frozenset({PrincipalKind.ROOM, PrincipalKind.RESOURCE})
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
    questions = [_question(one, desk, sender, now=tx.now) for one in asked]
    diaries = diaries_of(tx, [one for one in questions if one is not None])
    now = datetime.fromtimestamp(tx.now, UTC)
    out = []
    for one, question in zip(asked, questions, strict=True):
        if question is None:
            out.append(Answered(one.text, reason="left to who keeps this calendar"))
        else:
            answer = answered(question.case, question.request, diaries.get(one.room.id, Diary()))
            out.append(_told(one, answer, desk.delegates.get(one.room.id), now))
    return out


def _question(asked: Asked, desk: Desk, sender: Principal | None, *, now: int) -> Question | None:
    room = asked.room
    rules = desk.rules.get(room.id, Rules())
    by_person = rules.policy is BookingPolicy.DELEGATE
    delegate = desk.delegates.get(room.id)
    if by_person and sender is not None and delegate is not None and sender.id == delegate.id:
        rules = replace(rules, policy=BookingPolicy.AUTOMATIC)  # they need not ask themselves
    case = Case(
        text=asked.text,
        before=None if asked.stored is None else asked.stored.body,
        room=asked.addresses,
        rules=rules,
        zone=zone_of_principal(room),
        now=now,
        exempt=sender is not None and sender.admin,
    )
    try:
        request = requested(case)
    except ICalendarError:  # it was read when it was sent: what is stored has grown beyond a limit
        _log.warning("The room %s cannot read an invitation that it was sent.", room.name, exc_info=True)
        return None
    return None if request is None else Question(room, asked.stored, case, request, by_person)


def _told(asked: Asked, answer: Answer, delegate: Principal | None, now: datetime) -> Answered:
    """The answer as the organizer gets it; ``delegate`` is who answers for the room where that is left open."""
    reason = answer.reason
    if not answer.waits:
        delegate = None
    elif delegate is not None:
        reason = f"{reason} ({delegate.name} answers for it)"
        delegate = None if delegate.kind is PrincipalKind.GROUP else delegate
    # Where the room has answered all of it, all of it is told: the organizer's copy may lack what this one has.
    text = answer.text if answer.waits else with_reply_forced(answer.text)
    out = itip.outgoing(asked.text, text, Actor(asked.addresses), now=now)
    if out.refused is not None or out.text is None:  # what the message made of the copy is no meeting of the room's
        _log.warning("The room %s cannot answer: %s", asked.room.name, out.refused)
        return Answered(asked.text, reason="cannot be answered")
    replies = tuple(with_comments(message) for message in out.messages if message.method == "REPLY")
    return Answered(out.text, replies, reason, delegate)
