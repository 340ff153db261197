"""The way of a message to people without an account here: into the queue, and out of it again.

Owns the rows of kind ``mail`` (a message to one recipient) and ``status`` (what became of it, to be written on the
sender's object; RFC 6638 section 3.2.9). ``mailer`` makes the e-mail, ``worker`` sends it.

Mails about one UID to one recipient are a stream: a change never overtakes the invitation that it changes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from scheduling.addresses import mailbox, normal
from scheduling.itip.message import ATTENDEE_METHODS, Message
from scheduling.itip.outcome import NO_WAY, PENDING
from scheduling.itip.snapshot import read
from storage.rows import JournalEntry, NewJob, Principal
from storage.store import Transaction

#: The kinds of jobs of the queue.
MAIL: Final = "mail"
STATUS: Final = "status"
#: The methods of which people here are told by mail as well: no client shows them in an inbox.
PROPOSING: Final = frozenset({"COUNTER", "DECLINECOUNTER"})
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Mail:
    """A message on its way by mail.

    ``name`` is the sender's, ``language`` (RFC 5646) and ``timezone`` (IANA) are theirs, too, and count where the
    recipient's are not known; each may be empty. ``before`` is the sender's object as it was before the change, so that
    the recipient is told what is different (``None``: there was none, or nothing is to be compared).

    ``reader_language`` and ``reader_timezone`` are the recipient's own, empty where they are not known. ``notice``: the
    recipient lives here and has the message in their inbox; the mail is to tell them of it, and what becomes of it is
    written on nobody's object.
    """

    message: Message
    name: str = ""
    language: str = ""
    timezone: str = ""
    before: bytes | None = None
    reader_language: str = ""
    reader_timezone: str = ""
    notice: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a message, by the address of who sent it and of who was to get it."""

    uid: str
    sender: str
    recipient: str
    on: Literal["attendee", "organizer"]
    code: str


def written_on(message: Message) -> Literal["attendee", "organizer"]:
    """On whose line of the sender's object the SCHEDULE-STATUS of ``message`` stands (RFC 6638 7.3)."""
    return "organizer" if message.method in ATTENDEE_METHODS else "attendee"


@dataclass(frozen=True, slots=True)
class Postbox:
    """Takes messages for the mail. ``wake`` is called after the commit: there is something to send."""

    wake: Callable[[], None] = lambda: None

    def post(self, tx: Transaction, mails: Sequence[Mail], *, reason: str = "") -> dict[str, str]:
        """Queues ``mails`` in the sender's transaction and notes each in the scheduling log.

        Returns the SCHEDULE-STATUS of each recipient: 1.0 (pending), or 5.2 where the address is none that mail goes
        to. The same message (``Message.key``) is taken once.
        """
        sendable = [mail for mail in mails if mailbox(mail.message.recipient) is not None]
        if sendable:
            tx.queue.add(MAIL, jobs(sendable))
            tx.after_commit(self.wake)
        statuses = {mail.message.recipient: NO_WAY for mail in mails}
        statuses.update((mail.message.recipient, PENDING) for mail in sendable)
        tx.journal.add([_noted(tx, mail.message, statuses[mail.message.recipient], reason) for mail in mails])
        return statuses


def post_notice(
    tx: Transaction, postbox: Postbox | None, message: Message, reader: Principal, *, before: bytes
) -> None:
    """Queues a mail that tells ``reader``, who lives here, of a ``message`` that was left in their inbox.

    For what no client shows there: a proposal for another time and the answer to it. ``before`` is their copy of the
    meeting. Nothing where there is no mail, where they have no mail address, and for a proposal that cannot be agreed
    to: by somebody who is not invited, or to what has been changed since.
    """
    address = next((uri for uri in _preferred_first(reader) if mailbox(uri) is not None), None)
    if postbox is None or address is None or (message.method == "COUNTER" and not _is_open(message, before)):
        return
    own = replace(message, recipient=normal(address))
    mail = Mail(
        own,
        name=_known_as(message.sender, before),
        before=before,
        reader_language=reader.language,
        reader_timezone=reader.timezone,
        notice=True,
    )
    tx.queue.add(MAIL, jobs([mail]))
    tx.after_commit(postbox.wake)
    where = "queued for mail, beside the inbox item"
    why = "Hardly any client shows a proposal, or the answer to one, in an inbox."
    tx.journal.add([JournalEntry(tx.now, own.uid, own.sender, own.recipient, own.method, PENDING, where, why)])


def _known_as(address: str, stored: bytes) -> str:
    """The name that somebody has in the reader's copy of a meeting; empty where there is none."""
    snapshot = read(stored)
    parts = snapshot.parts.values() if snapshot is not None else ()
    parties = (one for part in parts for one in (part.organizer, *part.attendees) if one is not None)
    return next((name for one in parties if one.address == address and (name := one.line.param("CN"))), "")


def _is_open(proposal: Message, stored: bytes) -> bool:
    snapshot = read(stored)
    return snapshot is not None and proposal.sender in snapshot.addresses and proposal.sequence >= snapshot.sequence


def _preferred_first(principal: Principal) -> list[str]:
    return [one.uri for one in sorted(principal.addresses, key=lambda one: not one.preferred)]


def _noted(tx: Transaction, message: Message, status: str, reason: str) -> JournalEntry:
    where = "queued for mail" if status == PENDING else "nowhere: this is no address that mail can be sent to"
    return JournalEntry(tx.now, message.uid, message.sender, message.recipient, message.method, status, where, reason)


def _stream(message: Message) -> str:
    return f"{message.recipient}\n{message.uid}"


# --- rows ------------------------------------------------------------------------------------------------------------


def jobs(mails: Sequence[Mail]) -> list[NewJob]:
    """The jobs for ``mails``; those that hold the same texts have them packed once, and kept once."""
    packed: dict[tuple[bytes, bytes | None], bytes] = {}
    made = []
    for mail in mails:
        texts = (mail.message.text, mail.before)
        if texts not in packed:
            # Two versions of a meeting are alike: together they are hardly more than one.
            packed[texts] = zlib.compress(mail.message.text + (mail.before or b""))
        made.append(NewJob(mail.message.key, _head(mail), _stream(mail.message), packed[texts]))
    return made


def _head(mail: Mail) -> bytes:
    message = mail.message
    head = {
        "format": _FORMAT,
        "method": message.method,
        "uid": message.uid,
        "sender": message.sender,
        "recipient": message.recipient,
        "sequence": message.sequence,
        "dtstamp": message.dtstamp.isoformat(),
        "recurrence_ids": message.recurrence_ids,
        "forced": message.forced,
        "name": mail.name,
        "language": mail.language,
        "timezone": mail.timezone,
        "reader_language": mail.reader_language,
        "reader_timezone": mail.reader_timezone,
        "notice": mail.notice,
        "text": len(message.text),
        "before": mail.before is not None,
    }
    return json.dumps(head).encode()


def decoded(payload: bytes, text: bytes) -> Mail:
    """The mail that a job is, by its payload and its text. Raises ValueError for what is none."""
    try:
        head: dict[str, Any] = json.loads(payload)
        rest = zlib.decompress(text)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"This is no mail of the queue: {error}.") from error
    if head["format"] != _FORMAT:
        raise ValueError(f"A mail of the queue has the format {head['format']}, which is not known here.")
    message = Message(
        head["method"],
        head["uid"],
        head["sender"],
        head["recipient"],
        rest[: head["text"]],
        head["sequence"],
        datetime.fromisoformat(head["dtstamp"]),
        tuple(head["recurrence_ids"]),
        forced=head["forced"],
    )
    before = rest[head["text"] :] if head["before"] else None
    return Mail(
        message,
        head["name"],
        head["language"],
        head["timezone"],
        before,
        # A mail that an older version queued has none of these.
        head.get("reader_language", ""),
        head.get("reader_timezone", ""),
        notice=head.get("notice", False),
    )


def post_status(tx: Transaction, key: str, status: Status) -> None:
    """Queues what is to be written on the sender's object; ``key`` is that of the message."""
    fields = [status.uid, status.sender, status.recipient, status.on, status.code]
    tx.queue.add(STATUS, [NewJob(f"{key} {status.code}", json.dumps(fields).encode())])


def decoded_status(payload: bytes) -> Status:
    """The opposite of what ``post_status`` writes."""
    return Status(*json.loads(payload))
