"""The one door for scheduling: what follows from a PUT or DELETE, carried out in the same transaction.

Owns the order of things (RFC 6638 section 3): groups are expanded, the rules are asked what follows, messages are
delivered, the Schedule-Tag is drawn. The rules themselves are pure and in ``itip``, what is done with messages is in
``deliveries``.

Whoever runs the transaction has locked homes by then. Where a delivery needs another one that cannot be locked now,
``NeedHomes`` says which, and the work is run again from its start with those locked as well (``running``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal

from scheduling import itip
from scheduling.delivery import invited_groups, second_chances
from scheduling.delivery.copies import Copies, Copy, scheduled_row
from scheduling.delivery.deliveries import FORWARDED, Delivery
from scheduling.delivery.people import Person, Site, find
from scheduling.delivery.placing import DEFAULT_CALENDAR, INBOX, OUTBOX
from scheduling.delivery.running import NeedHomes
from scheduling.ical.lines import ICalendarError
from scheduling.itip import Message, crowds, groups
from scheduling.itip.outcome import DELIVERED, INVALID_USER, PARAM_IGNORED, Refusal
from scheduling.itip.snapshot import read
from scheduling.mail.posting import Postbox
from scheduling.rooms import bookings
from storage.rows import JournalEntry, ObjectRow, Principal, PrincipalKind
from storage.store import Transaction

__all__ = [
    "DEFAULT_CALENDAR",
    "INBOX",
    "OUTBOX",
    "Changed",
    "NeedHomes",
    "Person",
    "Received",
    "Refused",
    "Scheduler",
    "scheduled_row",
]

#: RFC 4791 section 5.3.2.1; here: of the members of groups.
TOO_MANY: Final = "max-attendees-per-instance"


class Refused(Exception):
    """The rules forbid the change (RFC 6638 section 3.2.4)."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change.

    ``text`` is what is to be stored (``None``: nothing), ``schedule_tag`` the tag that goes with it; empty where the
    object takes no part in scheduling.
    """

    text: bytes | None
    schedule_tag: str


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
class Scheduler:
    """Carries out what follows from a change. It has no state of its own; one serves all requests.

    ``postbox`` takes what is for people elsewhere (``None``: no mail is set up, and they are not reached), ``site``
    says which URLs are principals here, ``rooms`` how rooms answer of which nothing else is said. ``most_attendees`` is
    how many ATTENDEEs a component may have with the members of groups (``None``: any number), ``most_shown`` up to how
    many everybody is told of everybody (``crowds``).
    """

    postbox: Postbox | None = None
    site: Site = field(default_factory=Site)
    rooms: bookings.Defaults = field(default_factory=bookings.Defaults)
    most_attendees: int | None = None
    most_shown: int = crowds.MOST_SHOWN

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
        run = self._delivery(tx, held)
        was = before.body if before is not None else None
        person = Person.of(owner, self.site.names_of(owner, was, after))
        text, forwarded = self._expanded(run, person, was, after)
        out = itip.outgoing(was, text, person.actor, now=run.now, reply=reply)
        if out.refused is not None:
            raise Refused(out.refused)
        if out.role == "none":
            return Changed(after, "")
        run.reason = out.reason
        copy = run.copies.open(person, before, out.text if after is not None else None)
        statuses = run.deliver(copy, out.messages, before=was)
        if text is not None and copy.text is not None:
            side: Literal["attendee", "organizer"] = "attendee" if out.role == "organizer" else "organizer"
            # Not where a mail is on its way: what becomes of it says more.
            delivered = {one for one in itip.misunderstood(text, on=side) if statuses.get(one, DELIVERED) == DELIVERED}
            copy.text = itip.with_statuses(copy.text, dict.fromkeys(delivered, PARAM_IGNORED), on=side)
        if forwarded and copy.text is not None:
            copy.text = itip.with_statuses(copy.text, dict.fromkeys(forwarded, FORWARDED), on="attendee")
        run.finish()
        if out.role == "organizer" and before is not None and copy.text is not None:
            another = partial(self._delivery, tx, held, second_chances.REASON)
            second_chances.given(run, another, person, before, copy.text)
        kept = before.schedule_tag if before is not None else ""
        tag = kept if kept and not (out.significant or copy.significant) else run.copies.tag
        return Changed(copy.text, tag if copy.text is not None else "")

    def _expanded(
        self, run: Delivery, person: Person, was: bytes | None, after: bytes | None
    ) -> tuple[bytes | None, Sequence[str]]:
        """``after`` with the members of the groups that it invites, and the groups whose members are invited."""
        if after is None or itip.role(after, person.actor) != "organizer":
            return after, ()
        snapshot = read(after)
        assert snapshot is not None
        inside = invited_groups.members(run.tx, run.copies.principals(snapshot.addresses), snapshot.addresses)
        if not inside:
            return after, ()
        text = groups.expanded(after, inside, before=was)
        again = read(text)
        assert again is not None
        most = max(len(part.attendees) for part in again.parts.values())
        if self.most_attendees is not None and most > self.most_attendees:
            sentence = (
                f"With the members of the groups there would be {most} attendees; {self.most_attendees} is the most."
            )
            raise Refused(Refusal(TOO_MANY, sentence))
        served = {party.address for part in again.parts.values() for party in part.attendees if party.agent == "SERVER"}
        return text, [one for one, several in inside.items() if several and one in served]

    def hold(self, tx: Transaction, texts: Iterable[bytes], *, held: frozenset[str]) -> None:
        """For a change of many meetings at once: asks for the homes of all who are named in ``texts`` together.

        One after the other they would be asked for, the work would be run again for each.

        Raises:
            NeedHomes: some of them are not locked.
        """
        addresses: set[str] = set()
        for text in texts:
            with suppress(ICalendarError):  # it is said when it is scheduled
                snapshot = read(text)
                addresses |= set() if snapshot is None else {*snapshot.addresses, *snapshot.organizers}
        found = find(tx, addresses, self.site).values()
        missing = frozenset(one.name for one in found if one.kind is not PrincipalKind.GROUP) - held
        if missing and not tx.homes.lock_more(missing):
            raise NeedHomes(held | missing)

    def receive(
        self,
        tx: Transaction,
        message: Message,
        *,
        held: frozenset[str],
        reason: str = "A message came in from outside.",
    ) -> Received:
        """A message from outside (mail, a web page) for somebody who lives here, applied as a delivery.

        In this transaction: the recipient's object, the inbox item, what follows for others (their copies here, mail
        to those elsewhere), the scheduling log, in which ``reason`` says why the message was believed. Who may send
        what has been looked at before; what the message may do (a reply only for its sender, a change only by the
        organizer) is judged here. The same message a second time changes nothing. ``held`` are the names whose homes
        are locked.

        Raises:
            NeedHomes: more homes have to be locked (see ``running.run_locked``).
        """
        run = self._delivery(tx, held, reason)
        found = run.receive(message)
        if found is None:
            sentence = "Nobody here has this address."
            entry = (message.uid, message.sender, message.recipient, message.method, INVALID_USER, "nowhere", sentence)
            tx.journal.add([JournalEntry(tx.now, *entry)])
            return Received(INVALID_USER, sentence, "ignore", "")
        run.finish()
        applied, principal = found
        return Received(applied.status, applied.reason, applied.action, principal.name)

    def send(
        self,
        tx: Transaction,
        owner: Principal,
        messages: Sequence[Message],
        *,
        held: frozenset[str],
        reason: str,
    ) -> Mapping[str, str]:
        """Messages of ``owner`` about one UID that change nothing in their own calendar (a proposal, a question).

        Delivered like others: here to objects and inboxes, elsewhere by mail. ``reason`` is for the scheduling log.
        Returns the statuses by recipient.

        Raises:
            NeedHomes: more homes have to be locked.
        """
        run = self._delivery(tx, held, reason)
        statuses = run.deliver(Copy(Person.of(owner)), messages)
        run.finish()
        return statuses

    def _delivery(self, tx: Transaction, held: frozenset[str], reason: str = "") -> Delivery:
        now = datetime.fromtimestamp(tx.now, UTC)
        return Delivery(tx, held, now, Copies(tx, self.site), self.postbox, self.rooms, reason, self.most_shown)
