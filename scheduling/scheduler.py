"""The one door for scheduling: what follows from a PUT or DELETE, carried out in the same transaction.

Owns the rim of RFC 6638 section 3: finding recipients, delivery to those who live here (their object, their inbox
item), the status that each of them gives back, and the Schedule-Tag. The rules themselves are pure and in ``itip``.

Whoever runs the transaction has locked homes by then. Where a delivery needs another one, ``NeedHomes`` says which, and
the work is run again from its start with those locked as well: homes are locked once, in ascending id, or two people
who invite each other would wait for one another (design section 4).

A WebDAV lock on a recipient's object does not hold a delivery up: locks are between clients (RFC 4918 section 6), and
this is the server's own change; the lock's holder sees it by the ETag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final, Literal

from scheduling import itip, rooms
from scheduling.addresses import normal
from scheduling.ical.timezones import UTC as UTC_ZONE, named
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.indexing import CONTENT_TYPE, indexed
from scheduling.itip import Actor, Message
from scheduling.message import ATTENDEE_METHODS
from scheduling.outcome import INVALID_USER, NO_WAY, Refusal
from scheduling.posting import Mail, Postbox
from scheduling.running import NeedHomes
from storage.rows import Collection, CollectionKind, JournalEntry, NewObject, ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

#: How often an answer may lead to messages that lead to answers: request, reply, update.
_ROUNDS: Final = 4
_COPY_COLUMNS: Final = frozenset({"body", "component", "organizer", "schedule_tag", "etag"})
_BUSY_COLUMNS: Final = frozenset({"body"})
_PAGE: Final = 500
#: Who answers by itself.
_ANSWERING: Final = frozenset({PrincipalKind.ROOM, PrincipalKind.RESOURCE})
#: Where invitations are put while nothing else is set (``schedule-default-calendar-URL``, RFC 6638 section 9.2).
DEFAULT_CALENDAR: Final = "calendar"
INBOX: Final = "inbox"
OUTBOX: Final = "outbox"


class Refused(Exception):
    """The rules forbid the change (RFC 6638 section 3.2.4)."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change.

    ``text`` is what is to be stored (``None``: nothing), ``schedule_tag`` the tag that goes with it; empty where the
    object takes no part in scheduling. ``takes_part``: it is (or was) a scheduling object of its owner.
    """

    text: bytes | None
    schedule_tag: str
    takes_part: bool


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message from outside.

    ``status`` is the status that its sender may be told (RFC 6638 section 3.2.9, RFC 5546 section 3.6), ``reason`` a
    sentence for people, ``action`` what was done to the recipient's object. ``owner`` is the name of the principal who
    has the recipient's address, empty where nobody here has it (status 3.7).
    """

    status: str
    reason: str
    action: Literal["create", "update", "delete", "ignore"]
    owner: str


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as scheduling sees it."""

    principal: Principal
    actor: Actor

    @classmethod
    def of(cls, principal: Principal) -> Person:
        """With all addresses in normal form, and the principal's own path."""
        addresses = {normal(one.uri) for one in principal.addresses}
        return cls(principal, Actor(frozenset(addresses | {f"/principals/{principal.name}"})))


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Carries out what follows from a change. It has no state of its own; one serves all requests.

    ``postbox`` takes what is for people elsewhere; ``None``: no mail is set up, and they are not reached.
    """

    postbox: Postbox | None = None

    def changed(
        self,
        tx: Transaction,
        owner: Principal,
        *,
        held: frozenset[str],
        before: ObjectRow | None,
        after: bytes | None,
        reply: bool,
    ) -> Changed:
        """``owner``'s object goes from ``before`` (a row with its body) to ``after``; ``None``: it was, is, not there.

        ``held`` are the names whose homes are locked, ``reply`` is the Schedule-Reply header (RFC 6638 section 8.1).

        Raises:
            NeedHomes: more homes have to be locked.
            Refused: the rules forbid the change.
        """
        now = datetime.fromtimestamp(tx.now, UTC)
        person = Person.of(owner)
        was = before.body if before is not None else None
        out = itip.outgoing(was, after, person.actor, now=now, reply=reply)
        if out.refused is not None:
            raise Refused(out.refused)
        if out.role == "none":
            return Changed(after, "", takes_part=False)
        run = Delivery(tx, held, now, self.postbox, out.reason)
        text = out.text if after is not None else None
        text = run.deliver(person, out.messages, text, before=was)
        tx.journal.add(run.notes)
        kept = before.schedule_tag if before is not None else ""
        tag = kept if kept and not out.significant else new_tag()
        return Changed(text, tag if text is not None else "", takes_part=True)

    def receive(self, tx: Transaction, message: Message, *, held: frozenset[str]) -> Received:
        """A message from outside (mail, a web page) for somebody who lives here, applied as a delivery.

        In this transaction: the recipient's object, the inbox item, what follows for others (their copies here, mail
        to those elsewhere), the scheduling log. Who may send what has been looked at before; what the message may do
        (a reply only for its sender, a change only by the organizer) is judged here. The same message a second time
        changes nothing. ``held`` are the names whose homes are locked.

        Raises:
            NeedHomes: more homes have to be locked (see ``running.run_locked``).
        """
        now = datetime.fromtimestamp(tx.now, UTC)
        run = Delivery(tx, held, now, self.postbox, "A message came in from outside.")
        result = run.receive(message)
        tx.journal.add(run.notes)
        return result


def new_tag() -> str:
    """A Schedule-Tag that was never given before (RFC 6638 section 3.2.10)."""
    return token_hex(8)


@dataclass(slots=True)
class Delivery:
    """The deliveries of one transaction. ``reason`` is the rule that they follow from; ``notes`` are for the log."""

    tx: Transaction
    held: frozenset[str]
    now: datetime
    postbox: Postbox | None = None
    reason: str = ""
    notes: list[JournalEntry] = field(default_factory=list)

    def deliver(
        self,
        sender: Person,
        messages: Sequence[Message],
        text: bytes | None,
        rounds: int = _ROUNDS,
        *,
        before: bytes | None = None,
        mailing: bool = True,
    ) -> bytes | None:
        """Delivers, and returns the sender's ``text`` with the recipients' statuses written on it.

        A recipient may answer at once (a room does); the answer is applied to ``text`` as well. ``before`` is the
        sender's object before the change. Without ``mailing`` nothing goes to people elsewhere: who else has answered
        changes copies here, but nobody wants a mail for each answer.
        """
        if not messages:
            return text
        people = self._people(message.recipient for message in messages)
        copies = self._copies(messages, people)
        statuses: dict[str, str] = {}
        answers: list[Message] = []
        remote: list[Message] = []
        for message in messages:
            person = people.get(message.recipient)
            if person is None:
                if not message.quiet:
                    remote.append(message)
                continue
            _, statuses[message.recipient] = self._local(message, person, copies, rounds)
            answer = self._answer_of_room(message, person, copies)
            if answer is not None:
                answers.append(answer)
        if mailing:
            statuses.update(self._remote(sender, remote, before))
        if text is None:
            return None
        from_attendee = messages[0].method in ATTENDEE_METHODS
        text = itip.with_statuses(text, statuses, on="organizer" if from_attendee else "attendee")
        return self._with_answers(sender, answers, text, rounds) if answers else text

    def receive(self, message: Message) -> Received:
        """Applies a message from elsewhere; see ``Scheduler.receive``."""
        people = self._people([message.recipient])
        person = people.get(message.recipient)
        if person is None:
            reason = "Nobody here has this address."
            self._note(message, INVALID_USER, "nowhere", reason)
            return Received(INVALID_USER, reason, "ignore", "")
        copies = self._copies([message], people)
        applied, status = self._local(message, person, copies, _ROUNDS)
        answer = self._answer_of_room(message, person, copies)
        if answer is not None:
            self.deliver(person, [answer], None)
        return Received(status, applied.reason, applied.action, person.principal.name)

    def _with_answers(self, sender: Person, answers: Sequence[Message], text: bytes, rounds: int) -> bytes:
        """The organizer's text with the rooms' answers in it; the other attendees are told of all of them at once."""
        for answer in answers:
            applied = itip.incoming(answer, text, sender.actor, now=self.now)
            text = applied.text if applied.text is not None else text
        rooms_of = {answer.sender for answer in answers}
        told = [one for one in itip.refresh(text, sender.actor, now=self.now) if one.recipient not in rooms_of]
        if told and rounds > 0:
            self.deliver(sender, told, None, rounds - 1, mailing=False)
        return text

    def _people(self, addresses: Iterable[str]) -> Mapping[str, Person]:
        """Who of the recipients lives here; their homes have to be locked."""
        found = self.tx.principals.by_addresses(frozenset(addresses))
        people = {normal(uri): Person.of(principal) for uri, principal in found.items()}
        missing = frozenset(person.principal.name for person in people.values()) - self.held
        if missing:
            raise NeedHomes(self.held | missing)
        return people

    def _copies(self, messages: Sequence[Message], people: Mapping[str, Person]) -> dict[int, ObjectRow | None]:
        """The recipients' objects of this UID, by home."""
        copies: dict[int, ObjectRow | None] = {}
        uid = messages[0].uid
        for person in people.values():
            home_id = person.principal.home_id
            if home_id not in copies:
                rows = self.tx.objects.by_uid_in_home(home_id, uid, columns=_COPY_COLUMNS)
                copies[home_id] = _scheduled(rows)
        return copies

    def _local(
        self, message: Message, person: Person, copies: dict[int, ObjectRow | None], rounds: int
    ) -> tuple[itip.Applied, str]:
        """Applies a message to the recipient's calendar; returns what was done, and the status for the sender."""
        home_id = person.principal.home_id
        stored = copies.get(home_id)
        applied = itip.incoming(message, stored.body if stored is not None else None, person.actor, now=self.now)
        text = applied.text
        self._note(message, applied.status, f"calendar of {person.principal.name}: {applied.action}", applied.reason)
        if applied.onward and rounds > 0:
            text = self.deliver(person, applied.onward, text, rounds - 1)
        match applied.action:
            case "create":
                calendar = self._default_calendar(person)
                if calendar is None or text is None:
                    return applied, INVALID_USER
                copies[home_id] = self._put(calendar, _free_name(), text, new_tag(), replaces=None)
            case "update" if stored is not None and text is not None:
                calendar = self._collection(stored)
                tag = stored.schedule_tag if stored.schedule_tag and not applied.significant else new_tag()
                copies[home_id] = self._put(calendar, stored.name, text, tag, replaces=stored)
            case "delete" if stored is not None:
                self.tx.objects.remove(self._collection(stored), stored)
                copies[home_id] = None
        if applied.inbox:
            self._leave_in_inbox(message, person)
        return applied, applied.status

    def _answer_of_room(self, message: Message, person: Person, copies: dict[int, ObjectRow | None]) -> Message | None:
        """A room's or resource's own answer to a request, written into its calendar; ``None`` where nobody answers."""
        stored = copies.get(person.principal.home_id)
        if person.principal.kind not in _ANSWERING or message.method not in ("REQUEST", "ADD") or stored is None:
            return None
        slot = rooms.slot_of(stored.body)
        free = slot is not None and slot.bookable and self._is_free(person, stored, slot)
        text = rooms.answered(stored.body, person.actor.addresses, "ACCEPTED" if free else "DECLINED")
        if text == stored.body:
            return None
        out = itip.outgoing(stored.body, text, person.actor, now=self.now)
        calendar = self._collection(stored)
        kept = out.text if out.text is not None else text
        copies[person.principal.home_id] = self._put(calendar, stored.name, kept, new_tag(), replaces=stored)
        return next(iter(out.messages), None)

    def _is_free(self, person: Person, stored: ObjectRow, slot: rooms.OldSlot) -> bool:
        """Whether the room's other objects leave the slot free; the room's home is locked until the commit."""
        bodies: list[bytes] = []
        for calendar in self.tx.collections.of_home(person.principal.home_id):
            after = 0
            while calendar.kind is CollectionKind.CALENDAR:
                rows = self.tx.objects.page(
                    calendar.id, columns=_BUSY_COLUMNS, after=after, limit=_PAGE, start=slot.start, end=slot.end
                )
                # What the room has declined blocks nothing.
                bodies += [row.body for row in rows if row.id != stored.id]
                if len(rows) < _PAGE:
                    break
                after = rows[-1].id
        zone = named(person.principal.timezone) if person.principal.timezone else None
        return rooms.is_free(stored.body, bodies, slot, zone or UTC_ZONE, person.actor.addresses)

    def _remote(self, sender: Person, messages: Sequence[Message], before: bytes | None) -> Mapping[str, str]:
        """Nobody here has the recipients' addresses: they go by mail."""
        if self.postbox is None:
            for message in messages:
                self._note(message, NO_WAY, "nowhere: nobody here has this address, and no mail is set up", "")
            return {message.recipient: NO_WAY for message in messages}
        one = sender.principal
        mails = [Mail(message, one.displayname, one.language, one.timezone, before) for message in messages]
        return self.postbox.post(self.tx, mails, reason=self.reason)

    def _note(self, message: Message, status: str, destination: str, reason: str) -> None:
        parties = (message.sender, message.recipient)
        words = " ".join(filter(None, (self.reason, reason)))
        self.notes.append(JournalEntry(self.tx.now, message.uid, *parties, message.method, status, destination, words))

    def _put(self, calendar: Collection, name: str, text: bytes, tag: str, *, replaces: ObjectRow | None) -> ObjectRow:
        new = scheduled_row(text, tag)
        row = self.tx.objects.put(calendar, name, new, replaces=replaces)
        stored = self.tx.objects.get(calendar.id, row.name, columns=_COPY_COLUMNS)
        assert stored is not None
        return stored

    def _leave_in_inbox(self, message: Message, person: Person) -> None:
        """The inbox item (RFC 6638 section 4.1): without a UID in its row, since several messages have the same."""
        inbox = self._child(person, INBOX)
        if inbox is not None:
            item = NewObject(message.text, CONTENT_TYPE, component=_component(message.text))
            self.tx.objects.put(inbox, f"{token_hex(16)}.ics", item, replaces=None)

    def _default_calendar(self, person: Person) -> Collection | None:
        """Where an invitation goes: the default calendar, else the first that takes events."""
        chosen = self._child(person, DEFAULT_CALENDAR)
        if chosen is not None and chosen.kind is CollectionKind.CALENDAR:
            return chosen
        for one in self.tx.collections.of_home(person.principal.home_id):
            if one.kind is CollectionKind.CALENDAR and (not one.components or "VEVENT" in one.components):
                return one
        return None

    def _child(self, person: Person, name: str) -> Collection | None:
        found = self.tx.collections.find(person.principal.name, (name,))
        return found.collection if found is not None and not found.missing and found.object is None else None

    def _collection(self, row: ObjectRow) -> Collection:
        found = self.tx.collections.get(row.collection_id)
        assert found is not None
        return found


def scheduled_row(text: bytes, tag: str) -> NewObject:
    """The row of a scheduling object that the server has written."""
    return replace(indexed(validate(text, supported=OBJECT_COMPONENTS), text), schedule_tag=tag)


def _scheduled(rows: Sequence[ObjectRow]) -> ObjectRow | None:
    """The scheduling object among the objects of one UID in a home; else any of them (it may be no meeting)."""
    return next((row for row in rows if row.organizer), rows[0] if rows else None)


def _free_name() -> str:
    """A name for a new object: random, since the UID may be anything and its name be taken."""
    return f"{token_hex(16)}.ics"


def _component(text: bytes) -> str:
    for name in (b"VEVENT", b"VTODO", b"VJOURNAL", b"VFREEBUSY"):
        if b"BEGIN:" + name in text:
            return name.decode()
    return ""
