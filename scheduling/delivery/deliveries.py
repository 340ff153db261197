"""The deliveries of one change: messages applied to the objects of those who live here, written all at once.

Owns the rim of RFC 6638 section 4: who gets what, the status that each recipient gives back (3.2.9), the order in which
answers reach others. The rules are pure and in ``itip``; where things go in a home is in ``placing``, how rooms answer
in ``bookings``, the way to people elsewhere in ``posting``.

**Statements.** Objects of the meeting are read for all recipients together, changed in memory, and written once, all
together, at the end (``finish``, ``copies``). An answer to a meeting of 500 is read, written into the organizer's
object and told to 499 copies in one go.

**Elsewhere.** Who of the recipients is in another database, once homes are spread over several (design section 3), is
where people without an account are now: not among ``persons``, and reached by a row of the queue that is keyed by the
message (``posting``).

**Rooms first.** Who answers by itself gets its invitation before the others do, and what they get has the answer in it:
one request, not two.

**What a delivery does not fail on.** A recipient whose home is full, who has no calendar for such a component, or whose
inbox does not take messages of the sender, gives a status back; everybody else gets theirs. A WebDAV lock on a
recipient's object does not hold a delivery up: locks are between clients (RFC 4918 section 6), and this is the server's
own change; the lock's holder sees it by the ETag, and a PUT with an older one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from scheduling import itip
from scheduling.delivery.copies import Copies, Copy, component_in, is_group
from scheduling.delivery.deliverable import Right, may_deliver, right_for
from scheduling.delivery.people import Person, people
from scheduling.delivery.running import NeedHomes
from scheduling.itip import Applied, Message, crowds
from scheduling.itip.message import ATTENDEE_METHODS
from scheduling.itip.outcome import DELIVERED, NO_AUTHORITY, NO_WAY, NOT_DELIVERED, REJECTED
from scheduling.itip.snapshot import read
from scheduling.mail.posting import PROPOSING, Mail, Postbox, post_notice
from scheduling.rooms import bookings
from storage.rows import JournalEntry, Principal, PrincipalKind
from storage.store import Transaction

#: How often an answer may lead to messages that lead to answers: request, reply, update.
_ROUNDS: Final = 4
#: What rooms answer.
_ASKING: Final = frozenset({"REQUEST", "ADD"})
#: RFC 5546 section 3.6.15, unsupported capability: no calendar of the recipient takes such a component.
UNSUPPORTED: Final = "3.14"
#: RFC 5546 section 3.6.8, request forwarded: what a group gives back whose members get the message.
FORWARDED: Final = "2.7"
_FULL: Final = "The recipient's calendars have reached their quota."


@dataclass(slots=True)
class Delivery:
    """The deliveries of one transaction that are about one UID.

    ``held`` are the names whose homes are locked, ``reason`` is the rule that all this follows from, for the log.
    """

    tx: Transaction
    held: frozenset[str]
    now: datetime
    copies: Copies
    postbox: Postbox | None = None
    rooms: bookings.Defaults = field(default_factory=bookings.Defaults)
    reason: str = ""
    most_shown: int = crowds.MOST_SHOWN
    _notes: list[JournalEntry] = field(default_factory=list)

    def _recipients(self, messages: Sequence[Message], sender: Copy | None) -> tuple[dict[str, Person], bookings.Desk]:
        """Who of the recipients lives here, and how the rooms among them answer; their homes have to be locked."""
        found = self.copies.principals(message.recipient for message in messages)
        here = {one: found[one] for one in dict.fromkeys(message.recipient for message in messages) if one in found}
        desk = bookings.desk_for(self.tx, here.values(), self.rooms)
        persons = people(here)
        homes = {one.principal.name for one in persons.values() if not is_group(one)}
        missing = (homes | desk.owners) - self.held
        if missing and not self.tx.homes.lock_more(missing):
            raise NeedHomes(self.held | missing | self._told_next(messages, sender))
        self.held |= missing
        return persons, desk

    def _told_next(self, messages: Sequence[Message], sender: Copy | None) -> frozenset[str]:
        """Who is going to be told of an answer: everybody whom the copy of who answers names.

        The work is run again anyway; with these homes locked as well it is run again once and not twice.
        """
        text = None if sender is None else sender.text or sender.before
        if text is None or messages[0].method != "REPLY":
            return frozenset()
        snapshot = read(text)
        found = self.copies.principals(() if snapshot is None else snapshot.addresses)
        return frozenset(one.name for one in found.values() if one.kind is not PrincipalKind.GROUP)

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
        persons, desk = self._recipients(messages, sender)
        self.copies.load(persons.values(), messages[0].uid)
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
        here = {one: person.principal for one, person in persons.items() if not is_group(person)}
        if not here:
            return messages, {}
        chains = {persons[one].principal.id: self.copies.places(persons[one]).chain for one in here}
        chains = {id_: chain for id_, chain in chains.items() if chain}
        asked: dict[Right, set[str]] = {}  # an attendee who delegates sends a REPLY and a REQUEST
        for message in messages:
            if message.recipient in here:
                asked.setdefault(right_for(message.method), set()).add(message.recipient)
        refused: dict[str, str] = {}
        for right, whom in asked.items():
            principals = [here[one] for one in whom]
            allowed = may_deliver(self.tx, sender.person.principal, principals, right, chains=chains)
            refused |= {one: NO_AUTHORITY for one in whom if here[one].id not in allowed}
        if not refused:
            return messages, {}
        for message in messages:
            if message.recipient in refused:
                self._note(message, NO_AUTHORITY, "nowhere", "The recipient's inbox takes nothing from this sender.")
        self._write_statuses(sender, refused, messages)
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
        self._write_statuses(sender, statuses, messages)
        for copy, following in onward:
            self.deliver(copy, following, rounds=rounds - 1)
        return statuses

    def _speaking(self, person: Person, applied: Applied) -> Copy:
        """Whose text takes the statuses of what follows: an object that stays as it is, is not written for them."""
        copy = self.copies.of(person)
        return copy if applied.action != "ignore" else replace(copy)

    def _write_statuses(self, sender: Copy, statuses: Mapping[str, str], messages: Sequence[Message]) -> None:
        """The organizer's line gets those of answers, the lines of ATTENDEEs those of what is for attendees."""
        answered = {one.recipient for one in messages if one.method in ATTENDEE_METHODS}
        for on, whom in (("organizer", answered), ("attendee", statuses.keys() - answered)):
            told = {one: statuses[one] for one in whom & statuses.keys()}
            if sender.text is not None and told:
                sender.text = itip.with_statuses(sender.text, told, on=on)  # type: ignore[arg-type]

    def _apply(self, message: Message, person: Person) -> Applied:
        """Applies a message to what the recipient has; what is returned has the status for the sender."""
        applied = self._applied(message, person)
        self._note(message, applied.status, _where(applied, person), applied.reason)
        if is_group(person):
            return applied
        copy = self.copies.of(person)
        if applied.action != "ignore":
            copy.text = applied.text
            copy.significant = copy.significant or applied.significant
        if applied.inbox:
            self._leave_in_inbox(message, person)
        return applied

    def _applied(self, message: Message, person: Person) -> Applied:
        if is_group(person):
            return self._for_group(person)
        copy = self.copies.of(person)
        if copy.text is None and copy.own:
            return Applied("ignore", DELIVERED, "The recipient is removing the meeting.")
        addresses = person.actor.addresses | self.copies.site.names_of(person.principal, copy.text)
        applied = itip.incoming(message, copy.text, replace(person.actor, addresses=addresses), now=self.now)
        if applied.text is None:
            return applied
        if applied.action == "create":
            component = component_in(applied.text)
            places = self.copies.places(person)
            if places.calendar_for(component) is None:
                code = UNSUPPORTED if places.calendars else NOT_DELIVERED
                reason = f"The recipient has no calendar that takes a {component}."
                return replace(applied, action="ignore", text=None, status=code, reason=reason, onward=())
        if not self.copies.has_room(copy, applied.text):
            return Applied("ignore", NOT_DELIVERED, _FULL, inbox=applied.inbox)
        return applied

    def _for_group(self, person: Person) -> Applied:
        """A group gets nothing itself: its members were invited when the organizer stored the meeting (``groups``)."""
        if self.copies.members(person):
            return Applied("ignore", FORWARDED, "The members of the group have been invited one by one.")
        return Applied("ignore", NOT_DELIVERED, "There is nobody in this group.")

    def _leave_in_inbox(self, message: Message, person: Person) -> None:
        text = self.copies.of(person).text
        if self.copies.leave_in_inbox(message, person) and message.method in PROPOSING and text is not None:
            post_notice(self.tx, self.postbox, message, person.principal, before=text)

    # --- answers of rooms

    def _answered(
        self, sender: Copy | None, messages: Sequence[Message], persons: Mapping[str, Person], desk: bookings.Desk
    ) -> bool:
        """Rooms answer what they were asked; whether the sender's text has changed by it."""
        asked: dict[int, Copy] = {}
        requests: dict[int, Message] = {}
        for message in messages:
            copy = self.copies.of(persons[message.recipient])
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
            request = requests[copy.person.home_id]
            if not self.copies.has_room(copy, answered.text):
                copy.undo()
                self._note(request, NOT_DELIVERED, f"nowhere: calendar of {copy.person.principal.name}", _FULL)
                if sender is not None:
                    self._write_statuses(sender, {request.recipient: NOT_DELIVERED}, [request])
                continue
            copy.text = answered.text
            if answered.delegate is not None:
                delegate = Person.of(answered.delegate)
                self.copies.load([delegate], request.uid)
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
        persons, desk = self._recipients([message], None)
        person = persons.get(message.recipient)
        if person is None:
            return None
        if is_group(person):
            reason = "This is the address of a group, which has no calendar: its members can be invited."
            self._note(message, REJECTED, "nowhere", reason)
            return Applied("ignore", REJECTED, reason), person.principal
        self.copies.load([person], message.uid)
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
        self.copies.write()
        self.tx.journal.add(self._notes)


def _where(applied: Applied, person: Person) -> str:
    """Where a message went, for who reads the log."""
    if applied.action != "ignore":
        return f"calendar of {person.principal.name}: {applied.action}"
    if applied.inbox:
        return f"inbox of {person.principal.name}"
    return f"calendar of {person.principal.name}: stays as it is"


def _answers(person: Person) -> bool:
    return person.principal.kind in bookings.ANSWERING
