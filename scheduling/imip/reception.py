"""Mails that come in: for whom they are, what they say, and what becomes of them.

The rim of iMIP on the way in (RFC 6047): looks up who lives here and what they have, asks ``judging`` who is speaking,
and hands what is believed to the scheduler, in one transaction for each message and recipient. What is not believed is
kept for a person to look at. Both stand in the scheduling log. A mail that comes a second time (the process was killed
between the commit and the 250) changes nothing.

Whose object an answer is about follows from the signed address that it came to, else from its ORGANIZER, else from the
recipient: Exchange leaves ORGANIZER out of its answers (RFC 5546 3.2.3 has it there).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from scheduling import itip
from scheduling.addresses import mailbox, normal
from scheduling.amending import Amendments
from scheduling.ical.lines import ICalendarError
from scheduling.ical.rrule import TooManyInstances
from scheduling.imip import bounces, mime
from scheduling.imip.authenticity import verdict
from scheduling.imip.forwarding import MARK, post_forward
from scheduling.imip.judging import Author, Case, Judgement, Policy, judge, taken_on_trust
from scheduling.imip.mime import Mail, Unreadable
from scheduling.imip.objects import objects_in
from scheduling.imip.tags import Tag, Tags
from scheduling.message import ATTENDEE_METHODS, METHODS
from scheduling.posting import Status, post_status
from scheduling.running import NeedHomes, run_locked
from scheduling.scheduler import Scheduler
from scheduling.snapshot import Snapshot, read
from storage.rows import CollectionKind, JournalEntry, ObjectRow, Principal, PrincipalKind
from storage.store import Store, Transaction

_log = logging.getLogger(__name__)

#: The most mails that are kept for a look, and what of one of them is kept, bytes.
MAX_HELD: Final = 1000
MAX_HELD_SIZE: Final = 256 * 1024
#: The most recipients of one mail that are looked at where the mail itself says who they are.
MAX_RECIPIENTS: Final = 100
#: How many people in To are asked whether the meeting is theirs.
_ASKED: Final = 5
_PAGE: Final = 1000
_BODY: Final = frozenset({"body", "organizer"})
_UIDS: Final = frozenset({"uid", "organizer"})
#: Who has mail: a group's is for its members, and comes to them.
_PEOPLE: Final = frozenset({PrincipalKind.INDIVIDUAL, PrincipalKind.ROOM, PrincipalKind.RESOURCE})
#: The log's word for a delivery report, where others have their METHOD.
DSN: Final = "DSN"


class Fate(Enum):
    """What becomes of a mail for one recipient; how it is told is up to who brought it."""

    APPLIED = "applied"
    """The message was taken: something changed, or there was nothing to change."""
    HELD = "held"
    """It is not believed, and kept for a look."""
    FORWARDED = "forwarded"
    """It is from one person to another, and goes on to them."""
    NOTED = "noted"
    """It was a report, or from a program; nothing else is to be done."""
    NOT_FOR_US = "not for us"
    """There is no scheduling message in it."""
    UNREADABLE = "unreadable"
    """It is no mail, or no calendar, or larger than is allowed."""
    NOBODY = "nobody"
    """Nobody here has the address."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``sentence`` says to people what was done and why."""

    fate: Fate
    sentence: str


@dataclass(frozen=True, slots=True)
class _Recipient:
    """Somebody a mail is for: a signed address (``tag``), a person here (``principal``), or the server itself."""

    address: str
    tag: Tag | None = None
    principal: Principal | None = None
    is_server: bool = False


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes mails in. It has no state of its own.

    ``tags`` is None where no address for answers is set. ``own`` are further addresses of this server, in lower case.
    ``max_size``: the largest mail, bytes. ``wake`` is called after something was queued.
    """

    store: Store
    scheduler: Scheduler
    policy: Policy = field(default_factory=Policy)
    tags: Tags | None = None
    own: frozenset[str] = frozenset()
    max_size: int = mime.MAX_SIZE
    wake: Callable[[], None] = field(default=lambda: None)

    # --- for whom it is

    def accepts(self, address: str) -> bool:
        """Whether mail for ``address`` (a mail address as it is written) is taken."""
        return self._recipient(address) is not None

    def recipients_in(self, raw: bytes) -> tuple[str, ...]:
        """The recipients whom the mail itself names and who are taken here, where nobody says who they are."""
        try:
            head = mime.read(raw, limit=self.max_size).head
        except Unreadable:
            return ()
        names = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")
        found = dict.fromkeys(one for name in names for one in head.many_mailboxes(name))
        taken = [one for one in list(found)[:MAX_RECIPIENTS] if self.accepts(one)]
        tagged = [one for one in taken if self.tags is not None and self.tags.read(one) is not None]
        return tuple(tagged or taken)

    def _recipient(self, address: str) -> _Recipient | None:
        tag = None if self.tags is None else self.tags.read(address)
        if tag is not None:
            return _Recipient(address, tag=tag)
        if address.casefold() in self.own or (self.tags is not None and address.casefold() == self.tags.address):
            return _Recipient(address, is_server=True)
        principal = self.store.run(lambda tx: _person(tx, normal(f"mailto:{address}")), write=False)
        return None if principal is None else _Recipient(address, principal=principal)

    # --- what becomes of it

    def receive(self, raw: bytes, recipients: Sequence[str]) -> Mapping[str, Outcome]:
        """Takes a mail in for each of ``recipients`` (mail addresses as they are written).

        Raises StoreError where the database cannot be used now: then it is to be brought again.
        """
        try:
            mail = mime.read(raw, limit=self.max_size)
        except Unreadable as error:
            return dict.fromkeys(recipients, Outcome(Fate.UNREADABLE, str(error)))
        return {one: self._receive(raw, mail, one) for one in recipients}

    def _receive(self, raw: bytes, mail: Mail, address: str) -> Outcome:
        recipient = self._recipient(address)
        if recipient is None:
            return Outcome(Fate.NOBODY, f"Nobody here has the address {address}.")
        if recipient.tag is not None and recipient.tag.kind == "b":
            return self._bounced(mail, recipient.tag)
        if bounces.report_in(mail) is not None:
            return Outcome(Fate.NOTED, "A delivery report that came to no signed address says nothing.")
        found = objects_in(mail)
        if not found.texts:
            if found.problems:
                return Outcome(Fate.UNREADABLE, found.problems[0])
            return self._without_message(raw, mail, recipient)
        outcomes = [self._message(raw, mail, recipient, text) for text in found.texts]
        return next((one for one in outcomes if one.fate is Fate.HELD), outcomes[0])

    def apply_held(self, raw: bytes, address: str) -> Outcome:
        """Applies a mail that was held, because a person says so."""
        mail = mime.read(raw)
        recipient = self._recipient(address)
        if recipient is None:
            return Outcome(Fate.NOBODY, f"Nobody here has the address {address} any more.")
        found = objects_in(mail)
        outcomes = [self._message(raw, mail, recipient, text, trusted=True) for text in found.texts]
        return next((one for one in outcomes if one.fate is not Fate.APPLIED), (*outcomes, _nothing(found.problems))[0])

    def _without_message(self, raw: bytes, mail: Mail, recipient: _Recipient) -> Outcome:
        """A mail from a person (or a program) that is no scheduling message."""
        if bounces.is_automatic(mail.head):
            return Outcome(Fate.NOTED, "A program sent it by itself, and there is no scheduling message in it.")
        tag = recipient.tag
        if tag is None:
            return Outcome(Fate.NOT_FOR_US, "There is no scheduling message in this mail.")
        if mail.head.first(MARK) or len(list(mail.head.all("received"))) > _HOPS:
            return Outcome(Fate.NOTED, "It went in a circle.")

        def work(tx: Transaction) -> str | None:
            principal = tx.principals.by_id(tag.principal_id)
            target = None if principal is None else _mail_address(principal)
            if target is not None:
                post_forward(tx, raw, target)
                tx.after_commit(self.wake)
            return target

        target = self.store.run(work, write=True)
        if target is None:
            return Outcome(Fate.NOT_FOR_US, "There is no scheduling message in this mail.")
        return Outcome(Fate.FORWARDED, f"It has no scheduling message, and goes on to {target}.")

    # --- scheduling messages

    def _message(self, raw: bytes, mail: Mail, recipient: _Recipient, text: bytes, *, trusted: bool = False) -> Outcome:
        try:
            said = read(text)
            if said is None:
                return Outcome(Fate.UNREADABLE, "There is neither ORGANIZER nor ATTENDEE in this message.")
            line = said.calendar.first("METHOD")
            method = "" if line is None else line.value.strip().upper()
            if method not in METHODS:
                return Outcome(Fate.UNREADABLE, f'METHOD "{method[:40]}" is not known (RFC 5546 1.4).')
            itip.received(text, sender="", recipient="", now=datetime.now(UTC))  # whether it is one
            run = _Taking(self, raw, mail, recipient, said, method, trusted)
            return run_locked(self.store, (), run.work)
        except (ICalendarError, TooManyInstances) as error:
            return Outcome(Fate.UNREADABLE, str(error) or "Its recurrence costs too much to be worked out.")

    # --- delivery reports

    def _bounced(self, mail: Mail, tag: Tag) -> Outcome:
        report = bounces.report_in(mail)
        if report is None:
            return Outcome(Fate.NOTED, "It came to the address for delivery reports and is none.")
        uid = bounces.uid_in(mail)
        return self.store.run(lambda tx: self._note_report(tx, tag, report, uid), write=True)

    def _note_report(self, tx: Transaction, tag: Tag, report: bounces.Report, uid: str | None) -> Outcome:
        assert self.tags is not None
        principal = tx.principals.by_id(tag.principal_id)
        row = None if principal is None else _object(tx, principal, self.tags, tag, uid)
        stored = None if row is None else read(row.body)
        if principal is None or stored is None or stored.organizer is None:
            return Outcome(Fate.NOTED, "The delivery report is about a meeting that is not there any more.")
        own = _addresses(principal)
        organizes = stored.organizer.address in own
        sender = stored.organizer.address if organizes else next(iter(stored.addresses & own), "")
        recipient = self.tags.recipient(tag, stored.addresses | {stored.organizer.address})
        if recipient is None or not sender:
            return Outcome(Fate.NOTED, "The delivery report is about somebody who is not in the meeting any more.")
        if report.code:
            on = "attendee" if organizes else "organizer"
            key = f"bounce {tag.principal_id} {tag.uid.hex()} {tag.recipient.hex()} {tx.now // 60}"
            post_status(
                tx,
                key,
                Status(stored.uid, sender, recipient, "attendee" if on == "attendee" else "organizer", report.code),
            )
            tx.after_commit(self.wake)
        words = f"A delivery report: {report.action}. {report.said}".strip()
        entry = JournalEntry(tx.now, stored.uid, sender, recipient, DSN, report.code, "came back by mail", words)
        tx.journal.add([entry])
        return Outcome(Fate.NOTED, f"{recipient.removeprefix('mailto:')}: {words}")


#: More than so many servers on its way: it goes round in a circle (RFC 5321 6.3).
_HOPS: Final = 50


def _nothing(problems: Sequence[str]) -> Outcome:
    return Outcome(Fate.UNREADABLE, problems[0] if problems else "There is no scheduling message in this mail.")


# --- one message for one recipient -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taking:
    """One message of a mail, on its way to one recipient's calendar."""

    reception: Reception
    raw: bytes
    mail: Mail
    recipient: _Recipient
    said: Snapshot
    method: str
    trusted: bool

    def work(self, tx: Transaction, held: frozenset[str]) -> Outcome:
        """In one transaction; may be run again. Raises NeedHomes."""
        target = self._target(tx)
        author = self._author()
        if target is None:
            return self._hold(tx, author, "", "Nobody here has the meeting that it is about.")
        if target.name not in held:
            raise NeedHomes(held | {target.name})
        stored = self._stored(tx, target)
        tagged = self._tagged(stored)
        case = Case(self.method, self.said, author, stored, tagged, self._here(tx, author, stored))
        recipient = self._recipient_address(target, stored)
        if not self.trusted:
            refusal = self._unwanted(stored)
            if refusal is not None:
                return self._ignore(tx, author, recipient, refusal)
        judgement = taken_on_trust(case) if self.trusted else self._judged(case)
        if judgement.sender is None:
            return self._hold(tx, author, recipient, judgement.reason)
        text = self._for_organizer(judgement, stored)
        message = itip.received(text, sender=judgement.sender, recipient=recipient, now=_now(tx))
        received = self.reception.scheduler.receive(tx, message, held=held, reason=f"By mail. {judgement.reason}")
        return Outcome(Fate.APPLIED, f"{received.owner}: {received.action}. {received.reason}")

    def _judged(self, case: Case) -> Judgement:
        policy = self.reception.policy
        if policy.hold_invitations and self.method in ("REQUEST", "PUBLISH") and case.stored is None:
            return Judgement(None, "Invitations to new meetings are looked at first, by the settings.")
        return judge(case, policy)

    def _unwanted(self, stored: Snapshot | None) -> str | None:
        """RFC 5546 3.2.1: a PUBLISH is for who asked for it; by mail it changes what is there and adds nothing."""
        if self.method == "PUBLISH" and stored is None:
            return "What somebody publishes by mail is put into nobody's calendar (RFC 5546 3.2.1)."
        return None

    def _author(self) -> Author:
        head = self.mail.head
        fields = list(head.all("from"))
        found = head.mailboxes("from") if len(fields) == 1 else ()
        address = found[0] if len(found) == 1 and mailbox(f"mailto:{found[0]}") is not None else None
        if address is None:
            return Author(None)
        domain = address.rpartition("@")[2]
        return Author(address, verdict(head, domain, authserv_id=self.reception.policy.authserv_id))

    def _target(self, tx: Transaction) -> Principal | None:
        """Whose calendar it is for."""
        tag, organizer = self.recipient.tag, self.said.organizer
        if self.method in ATTENDEE_METHODS:
            if tag is not None:
                return tx.principals.by_id(tag.principal_id)
            found = None if organizer is None else _person(tx, organizer.address)
            return found or self._of_tag_in_organizer(tx) or self.recipient.principal or self._addressed_organizer(tx)
        if self.recipient.principal is not None or tag is None:
            return self.recipient.principal or self._only_attendee_here(tx)
        return tx.principals.by_id(tag.principal_id)

    def _addressed(self, tx: Transaction) -> dict[str, Principal]:
        """Who lives here and is named in To, by address: for mail that was sent on to the server's own address."""
        names = ("delivered-to", "x-original-to", "to", "cc")
        named = [normal(f"mailto:{one}") for name in names for one in self.mail.head.many_mailboxes(name)]
        found = tx.principals.by_addresses(frozenset(named[:MAX_RECIPIENTS]))
        return {normal(uri): one for uri, one in found.items() if one.kind in _PEOPLE}

    def _addressed_organizer(self, tx: Transaction) -> Principal | None:
        """Whose meeting it is among those in To, where the answer does not say."""
        for one in list(self._addressed(tx).values())[:_ASKED]:
            stored = self._stored(tx, one)
            if stored is not None and stored.organizer is not None and stored.organizer.address in _addresses(one):
                return one
        return None

    def _of_tag_in_organizer(self, tx: Transaction) -> Principal | None:
        """Some programs take Reply-To for the organizer."""
        tag = self._tag()
        return None if tag is None else tx.principals.by_id(tag.principal_id)

    def _only_attendee_here(self, tx: Transaction) -> Principal | None:
        """For mail that came to the server's own address."""
        invited = tx.principals.by_addresses(self.said.addresses)
        found = {one.id: one for one in invited.values() if one.kind in _PEOPLE}
        if len(found) > 1:
            meant = {one.id for one in self._addressed(tx).values()}
            found = {key: one for key, one in found.items() if key in meant}
        return next(iter(found.values())) if len(found) == 1 else None

    def _tag(self) -> Tag | None:
        """The signed address that it came to, or that it names as the organizer's."""
        tags, organizer = self.reception.tags, self.said.organizer
        if self.recipient.tag is not None or tags is None or organizer is None:
            return self.recipient.tag
        found = tags.read(organizer.address.removeprefix("mailto:"))
        return found if found is not None and found.kind == "r" else None

    def _stored(self, tx: Transaction, target: Principal) -> Snapshot | None:
        rows = tx.objects.by_uid_in_home(target.home_id, self.said.uid, columns=_BODY)
        row = next((one for one in rows if one.organizer), None)
        return None if row is None else read(row.body)

    def _tagged(self, stored: Snapshot | None) -> str | None:
        """Who got the mail that had the signed address."""
        tags, tag = self.reception.tags, self._tag()
        if tags is None or tag is None or tag.kind != "r" or stored is None or not tags.is_about(tag, stored.uid):
            return None
        return tags.recipient(tag, stored.addresses)

    def _here(self, tx: Transaction, author: Author, stored: Snapshot | None) -> frozenset[str]:
        """Which of the addresses that may be speaking belong to people here."""
        asked = {author.uri, *self.said.addresses, *self.said.organizers} - {""}
        if stored is not None and self.method in ATTENDEE_METHODS:
            asked -= set(stored.organizers) - {author.uri}
        return frozenset(normal(one) for one in tx.principals.by_addresses(asked))

    def _recipient_address(self, target: Principal, stored: Snapshot | None) -> str:
        own = _addresses(target)
        if self.method in ATTENDEE_METHODS:
            organizer = stored.organizer if stored is not None else self.said.organizer
            if organizer is not None and organizer.address in own:
                return organizer.address
        else:
            invited = [one for part in self.said.parts.values() for one in part.by_address if one in own]
            if invited:
                return invited[0]
        came_to = normal(f"mailto:{self.recipient.address}")
        return came_to if came_to in own else next(iter(sorted(own)), f"/principals/{target.name}")

    def _for_organizer(self, judgement: Judgement, stored: Snapshot | None) -> bytes:
        """The answer with the organizer's own address, where a program put that of this server into ORGANIZER."""
        organizer = None if stored is None else stored.organizer
        said = read(judgement.text)
        if self.method not in ATTENDEE_METHODS or organizer is None or said is None:
            return judgement.text
        work = Amendments(said.source)
        for part in said.parts.values():
            if part.organizer is not None and self._is_server(part.organizer.address):
                work.value(part.organizer.line, organizer.line.value)
        return work.made()

    def _is_server(self, uri: str) -> bool:
        address, tags = mailbox(uri) or "", self.reception.tags
        return address in self.reception.own or (tags is not None and "@" in address and tags.is_own(address))

    # --- what is not applied

    def _hold(self, tx: Transaction, author: Author, recipient: str, reason: str) -> Outcome:
        if self.trusted:
            return Outcome(Fate.HELD, reason)
        kept = tx.held_mails.add(
            sender=author.shown,
            recipient=self.recipient.address,
            reason=reason,
            body=_kept(self.raw, self.mail),
            most=MAX_HELD,
        )
        destination = f"held for a look: mail {kept}"
        to = recipient or normal(f"mailto:{self.recipient.address}")
        tx.journal.add([JournalEntry(tx.now, self.said.uid, author.uri, to, self.method, "", destination, reason)])
        return Outcome(Fate.HELD, f"Held as mail {kept}. {reason}")

    def _ignore(self, tx: Transaction, author: Author, recipient: str, reason: str) -> Outcome:
        tx.journal.add([JournalEntry(tx.now, self.said.uid, author.uri, recipient, self.method, "", "nowhere", reason)])
        return Outcome(Fate.APPLIED, reason)


def _now(tx: Transaction) -> datetime:
    return datetime.fromtimestamp(tx.now, UTC)


def _person(tx: Transaction, uri: str) -> Principal | None:
    found = next(iter(tx.principals.by_addresses([uri]).values()), None)
    return found if found is not None and found.kind in _PEOPLE else None


def _addresses(principal: Principal) -> frozenset[str]:
    return frozenset(normal(one.uri) for one in principal.addresses)


def _mail_address(principal: Principal) -> str | None:
    uris = sorted(principal.addresses, key=lambda one: not one.preferred)
    return next((found for one in uris if (found := mailbox(one.uri)) is not None), None)


def _object(tx: Transaction, principal: Principal, tags: Tags, tag: Tag, uid: str | None) -> ObjectRow | None:
    """The object that a signed address is about. A report that does not enclose our mail names it by a hash only."""
    if uid is None or not tags.is_about(tag, uid):
        uid = next((one for one in _uids(tx, principal) if tags.is_about(tag, one)), None)
    if uid is None:
        return None
    rows = tx.objects.by_uid_in_home(principal.home_id, uid, columns=_BODY)
    return next((one for one in rows if one.organizer), None)


def _uids(tx: Transaction, principal: Principal) -> Iterable[str]:
    for calendar in tx.collections.of_home(principal.home_id):
        after = 0
        while calendar.kind is CollectionKind.CALENDAR:
            rows = tx.objects.page(calendar.id, columns=_UIDS, after=after, limit=_PAGE)
            yield from (row.uid for row in rows if row.organizer)
            if len(rows) < _PAGE:
                break
            after = rows[-1].id


def _kept(raw: bytes, mail: Mail) -> bytes:
    """What is kept of a mail: all of it, or of a large one the header and the calendars."""
    if len(raw) <= MAX_HELD_SIZE:
        return raw
    dropped = ("content-type", "content-transfer-encoding", "content-length")
    fields = [f"{name}: {value}" for name, value in mail.head.fields if name not in dropped]
    head = "\r\n".join([*fields, "Content-Type: text/calendar; charset=utf-8"]).encode("utf-8", "replace")
    return (head + b"\r\n\r\n" + b"".join(objects_in(mail).texts))[: 40 * MAX_HELD_SIZE]
