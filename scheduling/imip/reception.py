"""Mails that come in: for whom they are, what they say, and what becomes of them.

The rim of iMIP on the way in (RFC 6047): looks up who lives here and what they have, asks ``judging`` who is speaking,
and hands what is believed to the scheduler, in one transaction for each message and recipient. What is not believed is
kept for a person to look at. Both stand in the scheduling log. A mail that comes a second time (the process was killed
between the commit and the 250) changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from scheduling import itip
from scheduling.addresses import normal
from scheduling.delivery.running import run_locked
from scheduling.delivery.scheduler import Scheduler
from scheduling.ical.lines import ICalendarError
from scheduling.ical.rrule import TooManyInstances
from scheduling.imip import bounces, mime
from scheduling.imip.fates import Fate, Outcome
from scheduling.imip.forwarding import MARK, post_forward
from scheduling.imip.judging import Policy
from scheduling.imip.mime import Mail, Unreadable
from scheduling.imip.objects import objects_in
from scheduling.imip.people import Recipient, addresses_of, mail_address, person
from scheduling.imip.tags import Tag, Tags
from scheduling.imip.taking import BODY, MAX_RECIPIENTS, Taking
from scheduling.itip.message import METHODS
from scheduling.itip.snapshot import read
from scheduling.mail.posting import Status, post_status
from storage.members import every_member
from storage.rows import CollectionKind, JournalEntry, ObjectRow, Principal
from storage.store import Store, Transaction

_log = logging.getLogger(__name__)

_PAGE: Final = 1000
_UIDS: Final = frozenset({"uid", "organizer"})
#: The log's word for a delivery report, where others have their METHOD.
DSN: Final = "DSN"


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

    def _recipient(self, address: str) -> Recipient | None:
        tag = None if self.tags is None else self.tags.read(address)
        if tag is not None:
            return Recipient(address, tag=tag)
        if address.casefold() in self.own or (self.tags is not None and address.casefold() == self.tags.address):
            return Recipient(address)
        principal = self.store.run(lambda tx: person(tx, normal(f"mailto:{address}")), write=False)
        return None if principal is None else Recipient(address, principal=principal)

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

    def _without_message(self, raw: bytes, mail: Mail, recipient: Recipient) -> Outcome:
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
            target = None if principal is None else mail_address(principal)
            if target is not None:
                post_forward(tx, raw, target)
                tx.after_commit(self.wake)
            return target

        target = self.store.run(work, write=True)
        if target is None:
            return Outcome(Fate.NOT_FOR_US, "There is no scheduling message in this mail.")
        return Outcome(Fate.FORWARDED, f"It has no scheduling message, and goes on to {target}.")

    # --- scheduling messages

    def _message(self, raw: bytes, mail: Mail, recipient: Recipient, text: bytes, *, trusted: bool = False) -> Outcome:
        try:
            said = read(text)
            if said is None:
                return Outcome(Fate.UNREADABLE, "There is neither ORGANIZER nor ATTENDEE in this message.")
            line = said.calendar.first("METHOD")
            method = "" if line is None else line.value.strip().upper()
            if method not in METHODS:
                return Outcome(Fate.UNREADABLE, f'METHOD "{method[:40]}" is not known (RFC 5546 1.4).')
            itip.received(text, sender="", recipient="", now=datetime.now(UTC))  # whether it is one
            run = Taking(self, raw, mail, recipient, said, method, trusted)
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
        own = addresses_of(principal)
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


def _object(tx: Transaction, principal: Principal, tags: Tags, tag: Tag, uid: str | None) -> ObjectRow | None:
    """The object that a signed address is about. A report that does not enclose our mail names it by a hash only."""
    if uid is None or not tags.is_about(tag, uid):
        uid = next((one for one in _uids(tx, principal) if tags.is_about(tag, one)), None)
    if uid is None:
        return None
    rows = tx.objects.by_uid_in_home(principal.home_id, uid, columns=BODY)
    return next((one for one in rows if one.organizer), None)


def _uids(tx: Transaction, principal: Principal) -> Iterable[str]:
    for calendar in tx.collections.of_home(principal.home_id):
        if calendar.kind is CollectionKind.CALENDAR:
            rows = every_member(tx, calendar.id, columns=_UIDS, together=_PAGE)
            yield from (row.uid for row in rows if row.organizer)
