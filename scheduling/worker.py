"""The worker: does what transactions have left in the queue, and the housekeeping.

Owns the sending side of RFC 6638 section 3.2.9 (delivery status of what goes by mail) and when a mail is tried again.
What goes in is in ``posting``, what a mail is made of in ``mailer``.

Any number of workers may run, in any number of processes: a job is leased to one of them at a time. A mail goes out at
least once. Its job is marked right after the server has said 250; a process that is killed between the two leaves a job
that another one will send again, with the same Message-ID. That is the only window in which a second copy can go out.

What became of a mail is written on the sender's object as a job of its own, queued in the transaction that marks the
mail: many results for one object become one change of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Final

from config.clock import Clock, system_clock
from scheduling import itip
from scheduling.addresses import mailbox, normal
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.imip.forwarding import FORWARD, forward_of
from scheduling.imip.tags import TagKind, Tags
from scheduling.indexing import indexed
from scheduling.itip.message import ORGANIZER_METHODS, Message
from scheduling.itip.outcome import NOT_DELIVERED, PENDING
from scheduling.itip.snapshot import read
from scheduling.mail.mailer import (
    Connection,
    Letterhead,
    Refused,
    Transport,
    Unavailable,
    compose,
    language_of,
    recipient_of,
)
from scheduling.mail.posting import MAIL, STATUS, Mail, Status, decoded, decoded_status, post_status, written_on
from storage.errors import Busy, QuotaExceeded, StoreError
from storage.rows import Job, JournalEntry, NewJob, Principal
from storage.store import Store, Transaction

if TYPE_CHECKING:
    from email.message import EmailMessage

    from scheduling.mail.tickets import Links

_log = logging.getLogger(__name__)

#: RFC 6638 section 3.2.9.
SENT: Final = "1.1"

#: How many mails are sent over one connection, and how many results are written down together.
MAILS_AT_ONCE: Final = 20
STATUSES_AT_ONCE: Final = 500
#: How long mails are leased, and how much of that has to be left for one more to be begun, seconds: SMTP takes five
#: answers, of which the server may take ``timeout`` seconds each.
LEASE: Final = 900
_LEFT: Final = 300
#: The first pause before a mail is tried again, doubled each time up to the last, seconds; the last one where it is not
#: this mail that is refused, but the server that is away: then one attempt is for many.
FIRST_PAUSE: Final = 60
LAST_PAUSE: Final = 3600
LAST_PAUSE_OF_SERVER: Final = 300
#: After so many broken connections in a row the server is taken to be away; after one it may have been the mail.
_BREAKS: Final = 3
#: How long what is done by nobody else's order (housekeeping) waits, and how long it may take, seconds.
CLEAN: Final = "clean"
CLEAN_EVERY: Final = 86_400
_CLEAN_LEASE: Final = 3600
_STATUS_LEASE: Final = 120
#: How long a worker without anything to do waits before it looks again, seconds: another process may have queued.
POLL: Final = 5
#: How often a result is tried to be marked, and the pause between, seconds.
_MARK_ATTEMPTS: Final = 5
_MARK_PAUSE: Final = 2


def pause(attempts: int, *, last: int = LAST_PAUSE) -> int:
    """How long to wait after so many attempts, seconds."""
    return int(min(FIRST_PAUSE * 2 ** min(attempts - 1, 30), last))


class _Broken(Exception):
    """The connection broke while a mail was being sent; whether it went out is not known."""


@dataclass(slots=True)
class Worker:
    """Drains the queue.

    ``transport`` is ``None`` where no mail is set up: then it only keeps house. ``give_up`` is for how long a mail is
    tried, ``remember_removals`` what ``Store.clean`` keeps, both in seconds. ``tags`` makes the addresses that answers
    and delivery reports come to; None: they go to the sender, and to the address that mails come from.
    """

    store: Store
    transport: Transport | None
    letterhead: Letterhead
    give_up: int
    remember_removals: int
    clock: Clock = system_clock
    links: Links | None = None
    tags: Tags | None = None
    _awake: Event = field(default_factory=Event)
    _stopped: Event = field(default_factory=Event)

    # --- running

    def run(self) -> None:
        """Works until ``stop``. What goes wrong is logged and tried again."""
        while not self._stopped.is_set():
            try:
                self.drain()
            except StoreError as error:
                _log.warning("The queue cannot be worked on now: %s", error)
            except Exception:  # noqa: BLE001 - a worker that has died sends nothing any more, and nobody notices
                _log.exception("The worker failed, and goes on.")
            self._awake.wait(POLL)
            self._awake.clear()

    def wake(self) -> None:
        """There is something to do."""
        self._awake.set()

    def stop(self) -> None:
        """``run`` returns soon: after the mail that is being sent."""
        self._stopped.set()
        self._awake.set()

    def drain(self) -> int:
        """Does what is due; returns how many mails were sent or refused, and results were written down."""
        self._keep_house()
        done = 0
        while not self._stopped.is_set():
            handled = self._mails() + self._statuses() + self._forwards()
            if not handled:
                break
            done += handled
        return done

    @property
    def _now(self) -> int:
        return int(self.clock().timestamp())

    def _leased(self, kind: str, *, limit: int, seconds: int) -> Sequence[Job]:
        """Jobs that are due. Looked for in a transaction that only reads, since mostly there are none."""
        at = self.store.run(lambda tx: tx.queue.next_at(kind), write=False)
        if at is None or at > self._now:
            return ()
        return self.store.run(lambda tx: tx.queue.lease(kind, limit=limit, until=tx.now + seconds), write=True)

    # --- mails

    def _mails(self) -> int:
        """Sends a batch over one connection; 0: there is none, or the server is away."""
        if self.transport is None:
            return 0
        jobs = list(self._leased(MAIL, limit=MAILS_AT_ONCE, seconds=LEASE))
        if not jobs:
            return 0
        before, breaks = len(jobs), 0
        while jobs and self._time_for(jobs[0]):
            try:
                with self.transport.connected() as connection:
                    while jobs and self._time_for(jobs[0]):
                        self._mail(connection, jobs[0])
                        jobs.pop(0)
                        breaks = 0
            except _Broken as error:
                breaks += 1
                self._put_off([jobs.pop(0)], str(error))
                if breaks < _BREAKS:
                    continue
                self._put_off(jobs, str(error))
                return 0
            except Unavailable as error:
                _log.warning("Mail waits: %s", error)
                self._put_off(jobs, str(error))
                return 0
        self._give_back(jobs)
        return before - len(jobs)

    def _time_for(self, job: Job) -> bool:
        return not self._stopped.is_set() and self._now + _LEFT < job.leased_until

    def _mail(self, connection: Connection, job: Job) -> None:
        """Sends one mail and marks its job. Raises ``_Broken``: the connection is of no use any more."""
        mail: Mail | None = None
        try:
            mail = decoded(job.payload, job.text)
            composed, recipient, sender = self._composed(mail)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one mail, the others go out
            _log.exception("No mail can be made of job %s.", job.key)
            code = NOT_DELIVERED if isinstance(error, ValueError) or self._too_old(job) else ""
            self._mark(job, mail, error=f"No mail can be made of it: {error}", code=code)
            return
        try:
            answer = connection.send(composed, recipient=recipient, sender=sender)
        except Unavailable as error:
            raise _Broken(str(error)) from error
        except Refused as error:
            code = NOT_DELIVERED if error.permanent or self._too_old(job) else ""
            self._mark(job, mail, error=str(error), code=code)
            return
        _log.info("Mail %s is sent: %s", composed["Message-ID"], answer)
        self._mark(job, mail, answer=f"{composed['Message-ID']}: {answer}", code=SENT)

    def _composed(self, mail: Mail) -> tuple[EmailMessage, str, str]:
        """The mail, the address that it goes to, and the one that delivery reports go to (empty: the usual one)."""
        message = mail.message
        recipient = recipient_of(message)
        if recipient is None:
            raise ValueError("The recipient's address is none that mail can be sent to.")
        others = unmailable(message.text)
        mailtos = self.store.run(lambda tx: mail_addresses(tx, others), write=False) if others else {}
        links = self._links(mail)
        answers: str | None = None
        if message.method in ORGANIZER_METHODS:  # whoever answers an answer writes to a person
            answers = self._tagged("r", message) or None
        composed = compose(mail, self.letterhead, mailtos=mailtos, links=links, reply_to=answers)
        return composed, recipient, self._tagged("b", message)

    def _links(self, mail: Mail) -> Mapping[str, str]:
        """The links for the recipient; none where the organizer does not live here, or the server has no URL."""
        links, organizer = self.links, organizer_of(mail.message.text)
        owner = self.store.run(lambda tx: _principal(tx, organizer), write=False) if links and organizer else None
        if links is None or owner is None:
            return {}
        return links.of(mail.message, owner=owner.id, language=language_of(mail, self.letterhead).tag)

    def _tagged(self, kind: TagKind, message: Message) -> str:
        """A signed address of the server for one mail; empty where there is none."""
        tags = self.tags
        sender = None if tags is None else self.store.run(lambda tx: _principal(tx, message.sender), write=False)
        if tags is None or sender is None or (kind == "b" and not tags.bounces):
            return ""
        return tags.made(kind, principal_id=sender.id, uid=message.uid, recipient=message.recipient)

    def _too_old(self, job: Job) -> bool:
        return self._now - job.created >= self.give_up

    def _mark(
        self, job: Job, mail: Mail | None, *, error: str = "", answer: str = "", code: str, last: int = LAST_PAUSE
    ) -> None:
        """Writes down what became of a mail: ``code`` is the SCHEDULE-STATUS, empty where it is to be tried again."""

        def work(tx: Transaction) -> bool:
            if code == SENT:
                mine = tx.queue.done(job)
            elif code:
                mine = tx.queue.fail(job, error=error)
            else:
                mine = tx.queue.retry(job, at=tx.now + pause(job.attempts, last=last), error=error)
            if mine and mail is not None:
                self._note(tx, job, mail, code=code, said=answer or error)
            return mine

        if not self._marked(work):
            _log.warning("The lease of mail %s had run out when it was marked: it may go out a second time.", job.key)
        elif error:
            _log.warning("Mail %s was not sent (attempt %d): %s", job.key, job.attempts, error)

    def _marked(self, work: Callable[[Transaction], bool]) -> bool:
        """Runs ``work``, more than once where the database is busy: what was sent must not be forgotten."""
        for _ in range(_MARK_ATTEMPTS - 1):
            try:
                return self.store.run(work, write=True)
            except Busy as error:
                _log.warning("A mail cannot be marked now: %s", error)
                self._stopped.wait(_MARK_PAUSE)
        return self.store.run(work, write=True)

    def _note(self, tx: Transaction, job: Job, mail: Mail, *, code: str, said: str) -> None:
        """The result for the sender's object and for the log; of many attempts that failed alike, the first."""
        message = mail.message
        if code and not mail.notice:
            found = Status(message.uid, message.sender, message.recipient, written_on(message), code)
            post_status(tx, job.key, found)
        elif not code and job.attempts > 1:
            return
        place = f"mail server {self.transport.name}" if self.transport is not None else ""
        parties = (message.sender, message.recipient)
        entry = JournalEntry(tx.now, message.uid, *parties, message.method, code or PENDING, place, said)
        tx.journal.add([entry])

    def _put_off(self, jobs: Sequence[Job], error: str) -> None:
        """The mail server is away: the jobs wait, or are given up after days of that."""
        for job in jobs:
            try:
                mail = decoded(job.payload, job.text)
            except (ValueError, KeyError):
                mail = None  # found out, and said, when it is sent
            code = NOT_DELIVERED if self._too_old(job) else ""
            self._mark(job, mail, error=error, code=code, last=LAST_PAUSE_OF_SERVER)

    def _give_back(self, jobs: Sequence[Job]) -> None:
        """Jobs that there was no time for."""
        if jobs:
            self.store.run(
                lambda tx: [tx.queue.retry(job, at=tx.now, error=job.last_error) for job in jobs], write=True
            )

    # --- what people write back

    def _forwards(self) -> int:
        """Sends on what came back to the address of an invitation and was meant for a person."""
        jobs = () if self.transport is None else self._leased(FORWARD, limit=MAILS_AT_ONCE, seconds=LEASE)
        if not jobs or self.transport is None:
            return 0
        try:
            with self.transport.connected() as connection:
                for job in jobs:
                    self._forward(connection, job)
        except Unavailable as error:
            _log.warning("Mail waits: %s", error)
            self._finish_forwards(jobs, error=str(error), permanent=False)
            return 0
        return len(jobs)

    def _forward(self, connection: Connection, job: Job) -> None:
        try:
            mail = forward_of(job, address=self.letterhead.address, now=self.clock())
            connection.send(mail, recipient=mail.recipient)
        except (Refused, ValueError) as error:
            permanent = not isinstance(error, Refused) or error.permanent
            self._finish_forwards([job], error=str(error), permanent=permanent)
        else:
            self._marked(lambda tx: tx.queue.done(job))

    def _finish_forwards(self, jobs: Sequence[Job], *, error: str, permanent: bool) -> None:
        """They did not go out. ``done`` jobs are not ours any more, and stay as they are."""
        for job in jobs:
            if permanent or self._too_old(job):
                _log.warning("A mail that was to be sent on is given up: %s", error)
                self._marked(lambda tx, job=job: tx.queue.fail(job, error=error))  # type: ignore[misc]
            else:
                at = pause(job.attempts)
                self._marked(lambda tx, job=job, at=at: tx.queue.retry(job, at=tx.now + at, error=error))  # type: ignore[misc]

    # --- what became of them

    def _statuses(self) -> int:
        """Writes a batch of results on the senders' objects."""
        jobs = self._leased(STATUS, limit=STATUSES_AT_ONCE, seconds=_STATUS_LEASE)
        groups: dict[tuple[str, str, str], list[tuple[Job, Status]]] = {}
        for job in jobs:
            status = decoded_status(job.payload)
            groups.setdefault((status.sender, status.uid, status.on), []).append((job, status))
        for group in groups.values():
            self._write_back(group)
        return len(jobs)

    def _write_back(self, group: Sequence[tuple[Job, Status]]) -> None:
        def work(tx: Transaction) -> None:
            write_statuses(tx, [status for _, status in group])
            for job, _ in group:
                tx.queue.done(job)

        try:
            self.store.run(work, write=True)
        except (QuotaExceeded, ICalendarError) as error:
            text = f"The status could not be written on the object: {error}"
            _log.warning("%s", text)
            self.store.run(lambda tx: [tx.queue.fail(job, error=text) for job, _ in group], write=True)

    # --- housekeeping

    def _keep_house(self) -> None:
        """Once a day one of all workers runs ``Store.clean``."""
        at = self.store.run(lambda tx: tx.queue.next_at(CLEAN), write=False)
        if at is None:
            self.store.run(lambda tx: tx.queue.add(CLEAN, [NewJob(CLEAN, b"")], not_before=tx.now), write=True)
        for job in self._leased(CLEAN, limit=1, seconds=_CLEAN_LEASE):
            self.store.clean(removals_before=self._now - self.remember_removals)
            self.store.run(
                lambda tx, job=job: tx.queue.retry(job, at=tx.now + CLEAN_EVERY, error=""),  # type: ignore[misc]
                write=True,
            )


def organizer_of(text: bytes) -> str:
    """The organizer's address in ``text``, in normal form; empty where there is none."""
    snapshot = read(text)
    organizer = None if snapshot is None else snapshot.organizer
    return "" if organizer is None else organizer.address


def unmailable(text: bytes) -> list[str]:
    """The parties in ``text`` that are named by something else than a mail address."""
    snapshot = read(text)
    parties = set() if snapshot is None else set(snapshot.addresses) | set(snapshot.organizers)
    return sorted(address for address in parties if mailbox(address) is None)


def mail_addresses(tx: Transaction, others: Iterable[str]) -> Mapping[str, str]:
    """The mail addresses of those of ``others`` who live here, by the address that they are named by."""
    found = {}
    for address in others:
        principal = _principal(tx, address)
        uris = sorted(principal.addresses, key=lambda one: not one.preferred) if principal is not None else ()
        mail = next((one.uri for one in uris if mailbox(one.uri) is not None), None)
        if mail is not None:
            found[address] = normal(mail)
    return found


def _principal(tx: Transaction, address: str) -> Principal | None:
    """Who has ``address`` (in normal form): one of theirs, or the path of their principal."""
    found = tx.principals.by_addresses([address])
    if found:
        return next(iter(found.values()))
    _, principals, name = address.partition("/principals/")
    return tx.principals.by_name(name.rstrip("/")) if principals else None


#: What a later result does not replace: the recipient has answered, or the message has reached a calendar here.
_FINAL: Final = ("1.2", "2.", "3.", "4.")


def write_statuses(tx: Transaction, statuses: Sequence[Status]) -> bool:
    """Writes what became of messages of one sender about one UID on the sender's object; whether that changed it.

    Locks the sender's home. The Schedule-Tag stays (RFC 6638 section 3.2.10). Raises QuotaExceeded.
    """
    first = statuses[0]
    principal = _principal(tx, first.sender)
    if principal is None or not tx.homes.lock_of([principal.name]):
        return False
    columns = frozenset({"body", "organizer", "schedule_tag"})
    rows = tx.objects.by_uid_in_home(principal.home_id, first.uid, columns=columns)
    row = next((one for one in rows if one.organizer), None)
    collection = tx.collections.get(row.collection_id) if row is not None else None
    if row is None or collection is None:
        return False
    codes = _current(row.body, {one.recipient: one.code for one in statuses}, on=first.on)
    text = itip.with_statuses(row.body, codes, on=first.on)
    if text == row.body:
        return False
    new = replace(indexed(validate(text, supported=OBJECT_COMPONENTS), text), schedule_tag=row.schedule_tag)
    tx.objects.put(collection, row.name, new, replaces=row)
    return True


def _current(text: bytes, codes: Mapping[str, str], *, on: str) -> dict[str, str]:
    """Those of ``codes`` that say more than what stands there: an answer may have come before the result."""
    snapshot = read(text)
    if snapshot is None:
        return {}
    known = set()
    for part in snapshot.parts.values():
        for party in part.attendees if on == "attendee" else (part.organizer,):
            if party is not None and (party.line.param("SCHEDULE-STATUS") or "").startswith(_FINAL):
                known.add(party.address)
    return {address: code for address, code in codes.items() if address not in known}
