"""One message of a mail, for one recipient: whose meeting it is about, who says it, and then it is applied or held.

Runs in one transaction, with the homes locked that it writes to (``running.run_locked``); may be run again.

Whose object an answer is about follows from the signed address that it came to, else from its ORGANIZER, else from the
recipient: Exchange leaves ORGANIZER out of its answers (RFC 5546 3.2.3 has it there). Where the recipient is the server
itself, To and the scheduling log are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from scheduling import itip
from scheduling.addresses import mailbox, normal
from scheduling.delivery.running import NeedHomes
from scheduling.imip.authenticity import verdict
from scheduling.imip.fates import Fate, Outcome
from scheduling.imip.judging import Author, Case, Judgement, Policy, judge, taken_on_trust
from scheduling.imip.objects import objects_in
from scheduling.imip.people import PEOPLE, Recipient, addresses_of, person
from scheduling.itip.amending import Amendments
from scheduling.itip.message import ATTENDEE_METHODS
from scheduling.itip.snapshot import Snapshot, read
from storage.rows import JournalEntry

if TYPE_CHECKING:
    from scheduling.delivery.scheduler import Scheduler
    from scheduling.imip.mime import Mail
    from scheduling.imip.tags import Tag, Tags
    from storage.rows import Principal
    from storage.store import Transaction

#: The most mails that are kept for a look, and what of one of them is kept, bytes.
MAX_HELD: Final = 1000
MAX_HELD_SIZE: Final = 256 * 1024
#: The most recipients of one mail that are looked at where the mail itself says who they are.
MAX_RECIPIENTS: Final = 100
#: How many people in To are asked whether the meeting is theirs.
_ASKED: Final = 5
#: How many lines of the scheduling log are looked at.
_LINES: Final = 50
#: The columns of an object that are needed.
BODY: Final = frozenset({"body", "organizer"})


class Ways(Protocol):
    """What a ``Reception`` has that is needed here."""

    @property
    def scheduler(self) -> Scheduler:
        """Applies what is believed."""

    @property
    def policy(self) -> Policy:
        """Who is believed."""

    @property
    def tags(self) -> Tags | None:
        """The signed addresses."""

    @property
    def own(self) -> frozenset[str]:
        """The addresses of the server itself."""


@dataclass(frozen=True, slots=True)
class Taking:
    """One message of a mail, on its way to one recipient's calendar."""

    reception: Ways
    raw: bytes
    mail: Mail
    recipient: Recipient
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
            found = None if organizer is None else person(tx, organizer.address)
            found = found or self._of_tag_in_organizer(tx) or self.recipient.principal
            return found or self._addressed_organizer(tx) or self._organizer_in_log(tx)
        if self.recipient.principal is not None or tag is None:
            return self.recipient.principal or self._only_attendee_here(tx)
        return tx.principals.by_id(tag.principal_id)

    def _addressed(self, tx: Transaction) -> dict[str, Principal]:
        """Who lives here and is named in To, by address: for mail that was sent on to the server's own address."""
        names = ("delivered-to", "x-original-to", "to", "cc")
        named = [normal(f"mailto:{one}") for name in names for one in self.mail.head.many_mailboxes(name)]
        found = tx.principals.by_addresses(frozenset(named[:MAX_RECIPIENTS]))
        return {normal(uri): one for uri, one in found.items() if one.kind in PEOPLE}

    def _addressed_organizer(self, tx: Transaction) -> Principal | None:
        """Whose meeting it is among those in To, where the answer does not say."""
        for one in list(self._addressed(tx).values())[:_ASKED]:
            stored = self._stored(tx, one)
            if stored is not None and stored.organizer is not None and stored.organizer.address in addresses_of(one):
                return one
        return None

    def _organizer_in_log(self, tx: Transaction) -> Principal | None:
        """Who sent the meeting to the author of the answer, which came to the address that all our mails are from."""
        author = self._author().uri
        told = tx.journal.of_uid(self.said.uid, address=author, limit=_LINES) if author else ()
        senders = dict.fromkeys(one.actor for _, one in told if one.recipient == author)
        return next((found for one in senders if (found := person(tx, one)) is not None), None)

    def _of_tag_in_organizer(self, tx: Transaction) -> Principal | None:
        """Some programs take Reply-To for the organizer."""
        tag = self._tag()
        return None if tag is None else tx.principals.by_id(tag.principal_id)

    def _only_attendee_here(self, tx: Transaction) -> Principal | None:
        """For mail that came to the server's own address."""
        invited = tx.principals.by_addresses(self.said.addresses)
        found = {one.id: one for one in invited.values() if one.kind in PEOPLE}
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
        rows = tx.objects.by_uid_in_home(target.home_id, self.said.uid, columns=BODY)
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
        own = addresses_of(target)
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


def _kept(raw: bytes, mail: Mail) -> bytes:
    """What is kept of a mail: all of it, or of a large one the header and the calendars."""
    if len(raw) <= MAX_HELD_SIZE:
        return raw
    dropped = ("content-type", "content-transfer-encoding", "content-length")
    fields = [f"{name}: {value}" for name, value in mail.head.fields if name not in dropped]
    head = "\r\n".join([*fields, "Content-Type: text/calendar; charset=utf-8"]).encode("utf-8", "replace")
    return (head + b"\r\n\r\n" + b"".join(objects_in(mail).texts))[: 40 * MAX_HELD_SIZE]
