"""The deliveries of one change: messages applied to the objects of those who live here, written all at once.

Owns the rim of RFC 6638 section 4: who gets what, the status that each recipient gives back (3.2.9), the order in which
answers reach others. The rules are pure and in ``itip``; where things go in a home is in ``placing``, how rooms answer
in ``bookings``, the way to people elsewhere in ``posting``.

**Statements.** Objects of the meeting are read for all recipients together, changed in memory, and written once, all
together, at the end (``finish``): the statements grow with batches of some hundred recipients, not with recipients. An
answer to a meeting of 500 is read, written into the organizer's object and told to 499 copies in one go.

**Rooms first.** Who answers by itself gets its invitation before the others do, and what they get has the answer in it:
one request, not two.

**What a delivery does not fail on.** A recipient whose home is full, who has no calendar for such a component, or whose
inbox does not take messages of the sender, gives a status back; everybody else gets theirs. A WebDAV lock on a
recipient's object does not hold a delivery up: locks are between clients (RFC 4918 section 6), and this is the server's
own change; the lock's holder sees it by the ETag, and a PUT with an older one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from secrets import token_hex
from typing import Final

from scheduling import bookings, crowds, itip
from scheduling.deliverable import may_deliver, right_for
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.indexing import CONTENT_TYPE, indexed
from scheduling.itip import Applied, Message
from scheduling.message import ATTENDEE_METHODS
from scheduling.outcome import DELIVERED, NO_AUTHORITY, NO_WAY
from scheduling.people import Person, Site, find, people
from scheduling.placing import Places, places_of
from scheduling.posting import PROPOSING, Mail, Postbox, post_notice
from scheduling.running import NeedHomes
from scheduling.tickets import item_name
from storage.rows import Collection, JournalEntry, NewObject, ObjectRow, Principal, PrincipalKind, Put
from storage.store import Transaction

#: How often an answer may lead to messages that lead to answers: request, reply, update.
_ROUNDS: Final = 4
_COLUMNS: Final = frozenset({"body", "component", "organizer", "schedule_tag", "etag"})
#: Who answers by itself, and to what.
_ANSWERING: Final = frozenset({PrincipalKind.ROOM, PrincipalKind.RESOURCE})
_ASKING: Final = frozenset({"REQUEST", "ADD"})
#: RFC 6638 section 3.2.9: could not complete delivery. Here: the home is full, or has no calendar at all.
UNDELIVERED: Final = "5.1"
#: RFC 5546 section 3.6.15, unsupported capability: no calendar of the recipient takes such a component.
UNSUPPORTED: Final = "3.14"
#: RFC 5546 section 3.6.8, request forwarded: what a group gives back whose members get the message.
FORWARDED: Final = "2.7"


@dataclass(slots=True)
class Copy:
    """Somebody's object of the meeting while messages are applied to it.

    ``row`` is what is stored, ``text`` what it has become (``None``: there is none). ``own``: it is the one whose
    change all this follows from; whoever changes it stores it.
    """

    person: Person
    row: ObjectRow | None = None
    text: bytes | None = None
    own: bool = False
    significant: bool = False

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.text != (None if self.row is None else self.row.body)

    def growth(self, text: bytes) -> int:
        """Bytes by which the home grows where this object becomes ``text``."""
        return len(text) - (0 if self.row is None else self.row.size)


@dataclass(slots=True)
class Delivery:
    """The deliveries of one transaction that are about one UID.

    ``held`` are the names whose homes are locked, ``reason`` is the rule that all this follows from, for the log.
    """

    tx: Transaction
    held: frozenset[str]
    now: datetime
    postbox: Postbox | None = None
    site: Site = field(default_factory=Site)
    rooms: bookings.Defaults = field(default_factory=bookings.Defaults)
    reason: str = ""
    most_shown: int = crowds.MOST_SHOWN
    #: A Schedule-Tag that was never given before (RFC 6638 section 3.2.10), for every object that gets a new one.
    tag: str = field(default_factory=lambda: token_hex(8))
    _known: dict[str, Principal | None] = field(default_factory=dict)
    _copies: dict[int, Copy] = field(default_factory=dict)
    _members: dict[int, Sequence[Principal]] = field(default_factory=dict)
    _places: dict[int, Places] = field(default_factory=dict)
    _items: list[tuple[Person, Message]] = field(default_factory=list)
    _reserved: dict[int, int] = field(default_factory=dict)
    _notes: list[JournalEntry] = field(default_factory=list)

    # --- who, and what they have

    def principals(self, addresses: Iterable[str]) -> dict[str, Principal]:
        """Who of ``addresses`` (in normal form) lives here, by address."""
        wanted = set(addresses)
        unknown = wanted - self._known.keys()
        if unknown:
            found = find(self.tx, unknown, self.site)
            self._known.update((one, found.get(one)) for one in unknown)
        return {one: principal for one in wanted if (principal := self._known[one]) is not None}

    def open(self, person: Person, row: ObjectRow | None, text: bytes | None) -> Copy:
        """The object whose change the deliveries follow from."""
        copy = self._copies[person.home_id] = Copy(person, row, text, own=True)
        return copy

    def _recipients(self, messages: Sequence[Message]) -> tuple[dict[str, Person], bookings.Desk]:
        """Who of the recipients lives here, and how the rooms among them answer; their homes have to be locked."""
        found = self.principals(message.recipient for message in messages)
        here = {one: found[one] for one in dict.fromkeys(message.recipient for message in messages) if one in found}
        desk = bookings.desk_for(self.tx, here.values(), self.rooms)
        persons = people(here)
        homes = {one.principal.name for one in persons.values() if one.principal.kind is not PrincipalKind.GROUP}
        missing = (homes | desk.owners) - self.held
        if missing:
            raise NeedHomes(self.held | missing)
        return persons, desk

    def _load(self, persons: Iterable[Person], uid: str) -> None:
        """Reads the places and the objects of this UID of those whose are not known yet."""
        persons = list(persons)
        groups = {one.principal.id for one in persons if one.principal.kind is PrincipalKind.GROUP}
        if groups - self._members.keys():
            self._members.update(self.tx.principals.members_of(groups - self._members.keys()))
        new = {one.home_id: one for one in persons if one.principal.kind is not PrincipalKind.GROUP}
        unplaced = [home_id for home_id in new if home_id not in self._places]
        if unplaced:
            found = places_of(self.tx, unplaced)
            self._places.update((home_id, found.get(home_id, Places())) for home_id in unplaced)
        uncopied = [home_id for home_id in new if home_id not in self._copies]
        if uncopied:
            rows = self.tx.objects.by_uid_in_homes(uncopied, uid, columns=_COLUMNS)
            for home_id in uncopied:
                row = _scheduled(rows.get(home_id, ()))
                self._copies[home_id] = Copy(new[home_id], row, None if row is None else row.body)

    # --- handing out

    def deliver(
        self, sender: Copy, messages: Sequence[Message], *, before: bytes | None = None, rounds: int = _ROUNDS
    ) -> Mapping[str, str]:
        """Delivers what ``sender`` sends; the recipients' statuses and answers are written on the sender's text.

        ``before`` is the sender's object before the change. Returns the statuses by recipient.
        """
        messages = crowds.told(messages, self.most_shown)
        if not messages or rounds <= 0:
            return {}
        persons, desk = self._recipients(messages)
        self._load(persons.values(), messages[0].uid)
        messages, statuses = self._permitted(sender, messages, persons)
        asking = [one for one in messages if one.recipient in persons and _answers(persons[one.recipient])]
        if asking:
            rooms = {one.recipient for one in asking}
            statuses |= self._hand_out(sender, asking, persons, before, rounds)
            told = self._answered(sender, asking, persons, desk)
            messages = [one for one in messages if one.recipient not in rooms]
            if told and messages:
                messages = self._with_answers(sender, messages, before)
        return statuses | self._hand_out(sender, messages, persons, before, rounds)

    def _permitted(
        self, sender: Copy, messages: Sequence[Message], persons: Mapping[str, Person]
    ) -> tuple[Sequence[Message], dict[str, str]]:
        """The messages that the recipients' inboxes take from ``sender`` (RFC 6638 6.1), and who was refused."""
        here = {one: person.principal for one, person in persons.items()}
        here = {one: principal for one, principal in here.items() if principal.kind is not PrincipalKind.GROUP}
        if not here:
            return messages, {}
        allowed = may_deliver(self.tx, sender.person.principal, here.values(), right_for(messages[0].method))
        refused = {one: NO_AUTHORITY for one, principal in here.items() if principal.id not in allowed}
        if not refused:
            return messages, {}
        for message in messages:
            if message.recipient in refused:
                self._note(message, NO_AUTHORITY, "nowhere", "The recipient's inbox takes nothing from this sender.")
        self._write_statuses(sender, refused, messages[0].method)
        return [one for one in messages if one.recipient not in refused], refused

    def _hand_out(
        self,
        sender: Copy,
        messages: Sequence[Message],
        persons: Mapping[str, Person],
        before: bytes | None,
        rounds: int,
    ) -> dict[str, str]:
        whole = {one for one, person in persons.items() if _answers(person)}
        messages = crowds.reduced(messages, whole, self.most_shown)
        statuses: dict[str, str] = {}
        remote: list[Message] = []
        onward: list[tuple[Copy, Sequence[Message]]] = []
        for message in messages:
            person = persons.get(message.recipient)
            if person is None:
                remote.append(message)
                continue
            applied = self._apply(message, person)
            statuses[message.recipient] = applied.status
            if applied.onward:
                onward.append((self._speaking(person, applied), applied.onward))
        statuses.update(self._remote(sender, [one for one in remote if not one.quiet], before))
        if messages:
            self._write_statuses(sender, statuses, messages[0].method)
        for copy, following in onward:
            self.deliver(copy, following, rounds=rounds - 1)
        return statuses

    def _speaking(self, person: Person, applied: Applied) -> Copy:
        """Whose text takes the statuses of what follows: an object that stays as it is, is not written for them."""
        copy = self._copies[person.home_id]
        return copy if applied.action != "ignore" else replace(copy)

    def _write_statuses(self, sender: Copy, statuses: Mapping[str, str], method: str) -> None:
        if sender.text is not None and statuses:
            on = "organizer" if method in ATTENDEE_METHODS else "attendee"
            sender.text = itip.with_statuses(sender.text, statuses, on=on)  # type: ignore[arg-type]

    def _apply(self, message: Message, person: Person) -> Applied:
        """Applies a message to what the recipient has; what is returned has the status for the sender."""
        applied = self._applied(message, person)
        where = f"calendar of {person.principal.name}: {applied.action}"
        self._note(message, applied.status, where, applied.reason)
        if person.principal.kind is PrincipalKind.GROUP:
            return applied
        copy = self._copies[person.home_id]
        if applied.action != "ignore":
            copy.text = applied.text
            copy.significant = copy.significant or applied.significant
        if applied.inbox:
            self._leave_in_inbox(message, person)
        return applied

    def _applied(self, message: Message, person: Person) -> Applied:
        if person.principal.kind is PrincipalKind.GROUP:
            return self._for_group(person)
        copy = self._copies[person.home_id]
        if copy.text is None and copy.own:
            return Applied("ignore", DELIVERED, "The recipient is removing the meeting.")
        if copy.text is None and message.quiet:
            return Applied("ignore", DELIVERED, "The recipient does not have the meeting that others have answered.")
        addresses = person.actor.addresses | self.site.names_of(person.principal, copy.text)
        applied = itip.incoming(message, copy.text, replace(person.actor, addresses=addresses), now=self.now)
        if applied.text is None:
            return applied
        if applied.action == "create":
            component = _component(applied.text)
            places = self._places[person.home_id]
            if places.calendar_for(component) is None:
                code = UNSUPPORTED if places.calendars else UNDELIVERED
                reason = f"The recipient has no calendar that takes a {component}."
                return replace(applied, action="ignore", text=None, status=code, reason=reason, onward=())
        if not self._has_room(person.home_id, copy.growth(applied.text)):
            reason = "The recipient's calendars have reached their quota."
            return Applied("ignore", UNDELIVERED, reason, inbox=applied.inbox)
        return applied

    def _for_group(self, person: Person) -> Applied:
        """A group gets nothing itself: its members were invited when the organizer stored the meeting (``groups``)."""
        if self._members[person.principal.id]:
            return Applied("ignore", FORWARDED, "The members of the group have been invited one by one.")
        return Applied("ignore", UNDELIVERED, "There is nobody in this group.")

    def _has_room(self, home_id: int, more: int) -> bool:
        left = self.tx.homes.left(home_id)
        return left is None or more <= 0 or more + self._reserved.get(home_id, 0) <= left

    def _leave_in_inbox(self, message: Message, person: Person) -> None:
        """The inbox item (RFC 6638 section 4.1), where there is an inbox with room for it."""
        inbox = self._places[person.home_id].inbox
        copy = self._copies[person.home_id]
        growth = 0 if copy.text is None or copy.own else copy.growth(copy.text)
        if inbox is None or not self._has_room(person.home_id, growth + len(message.text)):
            return
        if _comes_again(message) and self.tx.objects.get(inbox.id, item_name(message), columns=frozenset()) is not None:
            return  # the same mail, which came again
        if message.method in PROPOSING and copy.text is not None:
            post_notice(self.tx, self.postbox, message, person.principal, before=copy.text)
        self._reserved[person.home_id] = self._reserved.get(person.home_id, 0) + len(message.text)
        self._items.append((person, message))

    # --- answers of rooms

    def _answered(
        self, sender: Copy | None, messages: Sequence[Message], persons: Mapping[str, Person], desk: bookings.Desk
    ) -> bool:
        """Rooms answer what they were asked; whether the sender's text has changed by it."""
        asked: dict[int, Copy] = {}
        requests: dict[int, Message] = {}
        for message in messages:
            copy = self._copies[persons[message.recipient].home_id]
            if message.method in _ASKING and copy.text is not None and (copy.significant or message.forced):
                asked[copy.person.home_id], requests[copy.person.home_id] = copy, message
        if not asked:
            return False
        principal = None if sender is None else sender.person.principal
        questions = [
            bookings.Asked(copy.person.principal, copy.person.actor.addresses, copy.row, copy.text or b"")
            for copy in asked.values()
        ]
        answers = bookings.answers(self.tx, questions, desk=desk, sender=principal)
        told = False
        for copy, answered in zip(asked.values(), answers, strict=True):
            copy.text = answered.text
            request = requests[copy.person.home_id]
            if answered.delegate is not None:
                delegate = Person.of(answered.delegate)
                self._load([delegate], request.uid)
                self._leave_in_inbox(request, delegate)
            self._note_answer(request, answered)
            for reply in answered.replies:
                told = self._take_answer(sender, copy, reply) or told
        return told

    def _note_answer(self, request: Message, answered: bookings.Answered) -> None:
        """What a room said, or why it said nothing, is a line of the log."""
        of = (request.uid, request.recipient, request.sender, "REPLY", DELIVERED)
        where = "the request that is being answered" if answered.replies else "nowhere: there is no answer"
        self._notes.append(JournalEntry(self.tx.now, *of, where, answered.reason))

    def _take_answer(self, sender: Copy | None, room: Copy, reply: Message) -> bool:
        if sender is None:
            self.deliver(room, [reply], rounds=_ROUNDS - 1)
            return False
        if sender.text is None:
            return False
        applied = itip.incoming(reply, sender.text, sender.person.actor, now=self.now)
        if applied.text is None or applied.text == sender.text:
            return False
        sender.text = applied.text
        return True

    def _with_answers(self, sender: Copy, messages: Sequence[Message], before: bytes | None) -> Sequence[Message]:
        """``messages`` again, made of the sender's text with the rooms' answers in it."""
        assert sender.text is not None
        to = frozenset(one.recipient for one in messages)
        forced = frozenset(one.recipient for one in messages if one.forced)
        quiet = all(one.quiet for one in messages)
        made = itip.announced(before, sender.text, sender.person.actor, to=to, forced=forced, now=self.now)
        return [replace(one, quiet=quiet) for one in made] or messages

    # --- people elsewhere

    def _remote(self, sender: Copy, messages: Sequence[Message], before: bytes | None) -> Mapping[str, str]:
        """Nobody here has the recipients' addresses: they go by mail."""
        if not messages:
            return {}
        if self.postbox is None:
            for message in messages:
                self._note(message, NO_WAY, "nowhere: nobody here has this address, and no mail is set up", "")
            return {message.recipient: NO_WAY for message in messages}
        one = sender.person.principal
        mails = [Mail(message, one.displayname, one.language, one.timezone, before) for message in messages]
        return self.postbox.post(self.tx, mails, reason=self.reason)

    # --- messages from elsewhere

    def receive(self, message: Message) -> tuple[Applied, Principal] | None:
        """Applies a message from elsewhere; ``None`` where nobody here has the recipient's address."""
        persons, desk = self._recipients([message])
        person = persons.get(message.recipient)
        if person is None:
            return None
        self._load([person], message.uid)
        applied = self._apply(message, person)
        if _answers(person):
            self._answered(None, [message], persons, desk)
        if applied.onward:
            self.deliver(self._speaking(person, applied), applied.onward)
        return applied, person.principal

    # --- writing

    def _note(self, message: Message, status: str, destination: str, reason: str) -> None:
        parties = (message.sender, message.recipient)
        words = " ".join(filter(None, (self.reason, reason)))
        self._notes.append(JournalEntry(self.tx.now, message.uid, *parties, message.method, status, destination, words))

    def finish(self) -> None:
        """Writes what has become of all objects but the sender's own, the inbox items, and the log."""
        rows: dict[tuple[bytes, str], NewObject] = {}
        puts: list[Put] = []
        removed: list[tuple[Collection, ObjectRow]] = []
        for copy in self._copies.values():
            if copy.own or not copy.changed:
                continue
            if copy.text is None:
                assert copy.row is not None
                removed.append((self._collection(copy.row), copy.row))
                continue
            kept = "" if copy.row is None or copy.significant else copy.row.schedule_tag
            key = copy.text, kept or self.tag
            new = rows.get(key) or rows.setdefault(key, scheduled_row(*key))
            puts.append(self._put(copy, new))
        self.tx.objects.remove_across(removed)
        self.tx.objects.put_across([*puts, *self._inbox_items()])
        self.tx.journal.add(self._notes)

    def _put(self, copy: Copy, new: NewObject) -> Put:
        if copy.row is not None:
            return Put(self._collection(copy.row), copy.row.name, new, copy.row)
        calendar = self._places[copy.person.home_id].calendar_for(new.component)
        assert calendar is not None
        # Random, since the UID may be anything and its name be taken.
        return Put(calendar, f"{token_hex(16)}.ics", new)

    def _inbox_items(self) -> list[Put]:
        items: dict[bytes, NewObject] = {}
        puts = []
        for person, message in self._items:
            inbox = self._places[person.home_id].inbox
            assert inbox is not None
            text = message.text
            # Without a UID in its row, since several messages have the same.
            item = items.get(text) or items.setdefault(text, NewObject(text, CONTENT_TYPE, component=_component(text)))
            name = item_name(message) if _comes_again(message) else f"{token_hex(16)}.ics"
            puts.append(Put(inbox, name, item))
        return puts

    def _collection(self, row: ObjectRow) -> Collection:
        found = self._places[row.home_id].collection(row.collection_id) if row.home_id in self._places else None
        found = found or self.tx.collections.get(row.collection_id)
        assert found is not None
        return found


def scheduled_row(text: bytes, tag: str) -> NewObject:
    """The row of a scheduling object that the server has written."""
    return replace(indexed(validate(text, supported=OBJECT_COMPONENTS), text), schedule_tag=tag)


def _answers(person: Person) -> bool:
    return person.principal.kind in _ANSWERING


def _scheduled(rows: Sequence[ObjectRow]) -> ObjectRow | None:
    """The scheduling object among the objects of one UID in a home; else any of them (it may be no meeting)."""
    return next((row for row in rows if row.organizer), rows[0] if rows else None)


def _comes_again(message: Message) -> bool:
    """Whether the same message may come twice, or is looked for by its name: it is left in an inbox once."""
    return not message.in_order or message.method in PROPOSING


def _component(text: bytes) -> str:
    for name in (b"VEVENT", b"VTODO", b"VJOURNAL", b"VFREEBUSY"):
        if b"BEGIN:" + name in text:
            return name.decode()
    return ""
