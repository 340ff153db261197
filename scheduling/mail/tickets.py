"""The signed links in mails: who holds one may answer one invitation, or decide on one proposal, for some time.

Owns what such a link says and how it is signed. A ticket is all that is needed to find the meeting again, so nothing is
kept for a mail that goes out; what it says is no secret to whoever got the mail, and cannot be changed by them: it is
signed with HMAC-SHA-256 (RFC 2104), cut to 16 bytes, and compared in constant time. The pages are in
``caldavd.public.rsvp``.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.values import DAY
from scheduling.itip.snapshot import STEPS, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduling.itip.message import Message
    from scheduling.itip.snapshot import Rid, Snapshot

#: What the key is for (``Store.secret``).
PURPOSE: Final = "rsvp"
#: Characters of a link's last part: what is longer gets no link. URLs of 2,000 characters arrive everywhere.
MOST: Final = 1500
_FORMAT: Final = 1
_SIGNATURE: Final = 16
#: How long links to a meeting without an end are good, seconds after the mail was made.
_ENDLESS: Final = 400 * DAY

Task = Literal["answer", "decide"]
#: The last part of the path of each button of a mail; the page shows what was clicked first, and acts on none of them.
ANSWERS: Final = ("accept", "maybe", "decline", "propose")
DECISIONS: Final = ("agree", "refuse")


class BadTicket(ValueError):
    """The text is no ticket that was made here."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link says.

    ``owner`` is the id of the principal who organizes the meeting ``uid``, ``address`` the attendee (in normal form):
    who answers, or who proposed what is to be decided. ``rid`` is the one instance that it is about (None: what the
    attendee is invited to), ``sequence`` the revision that the mail told of, ``language`` that of the mail, ``expires``
    the instant after which it is good for nothing. ``item`` is the name of the proposal in the owner's inbox.
    """

    task: Task
    owner: int
    uid: str
    address: str
    rid: Rid
    sequence: int
    language: str
    expires: int
    item: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes and reads tickets with a key of 32 bytes."""

    key: bytes

    def signed(self, ticket: Ticket) -> str:
        """The ticket as it stands in a link: letters, digits, ``-`` and ``_``."""
        said = [
            _FORMAT, ticket.task, ticket.owner, ticket.uid, ticket.address, ticket.rid, ticket.sequence,
            ticket.language, ticket.expires, ticket.item,
        ]  # fmt: skip
        payload = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        return urlsafe_b64encode(self._signature(payload) + payload).rstrip(b"=").decode()

    def read(self, token: str) -> Ticket:
        """The ticket that ``token`` is. Raises BadTicket for what was not signed here; says nothing of its time."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (ValueError, binascii.Error) as error:
            raise BadTicket("This is no ticket.") from error
        signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
        # Several texts are one value in base64; only the one that was handed out counts.
        if urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
            raise BadTicket("This is no ticket.")
        if not hmac.compare_digest(signature, self._signature(payload)):
            raise BadTicket("This ticket was not made here.")
        said: list[Any] = json.loads(payload)
        if said[0] != _FORMAT:
            raise BadTicket("This ticket is of another version.")
        return Ticket(*said[1:])

    def _signature(self, payload: bytes) -> bytes:
        return hmac.new(self.key, payload, hashlib.sha256).digest()[:_SIGNATURE]


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of mails. ``base`` is the URL that the server is reached by, without a slash at its end.

    ``days`` is how long links are good after the meeting has ended.
    """

    base: str
    signer: Signer
    days: int

    def of(self, message: Message, *, owner: int, language: str) -> Mapping[str, str]:
        """The links by what they are called, for a mail with ``message``; none where there is nothing to answer.

        ``owner`` is the id of who organizes the meeting. The same for the same message.
        """
        snapshot = read(message.text)
        if snapshot is None or snapshot.kind not in ("VEVENT", "VTODO"):
            return {}
        rid = message.recurrence_ids[0] if len(message.recurrence_ids) == 1 else None
        made = int(message.dtstamp.timestamp())
        expires = max(_end_of(snapshot, made), made) + self.days * DAY
        task: Task
        names: tuple[str, ...]
        match message.method:
            case "REQUEST" | "ADD":
                task, address, item = "answer", message.recipient, ""
                names = ANSWERS if snapshot.kind == "VEVENT" else ANSWERS[:-1]
            case "COUNTER":
                task, address, item, names = "decide", message.sender, item_name(message), DECISIONS
            case _:
                return {}
        ticket = Ticket(task, owner, message.uid, address, rid, snapshot.sequence, language, expires, item)
        token = self.signer.signed(ticket)
        return {name: f"{self.base}/rsvp/{token}/{name}" for name in names} if len(token) <= MOST else {}


def item_name(message: Message) -> str:
    """The name of a message in an inbox: the same for the same message, so that it is left there once."""
    head = f"{message.method}\0{message.uid}\0{message.sender}\0".encode()
    return f"{hashlib.sha256(head + message.text).hexdigest()[:32]}.ics"


def _end_of(snapshot: Snapshot, made: int) -> int:
    """When the meeting is over, an instant; for one without an end, some time after the mail was ``made``."""
    try:
        _, end = snapshot.recurrence.extent(Budget(STEPS))
    except TooManyInstances:
        end = None
    return made + _ENDLESS if end is None else end
