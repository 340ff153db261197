"""What the rules of scheduling say: of a change that somebody makes, and of a message that comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from scheduling.itip.message import Message

#: Delivery status codes (RFC 6638 3.2.9) and reply status codes (RFC 5546 3.6) that are given here.
PENDING: Final = "1.0"
DELIVERED: Final = "1.2"
SUCCESS: Final = "2.0"
PARAM_IGNORED: Final = "2.3"
INVALID_USER: Final = "3.7"
NO_AUTHORITY: Final = "3.8"
NOT_DELIVERED: Final = "5.1"
NO_WAY: Final = "5.2"
REJECTED: Final = "5.3"


@dataclass(frozen=True, slots=True)
class Actor:
    """The user in whose calendar the object is: every address of theirs, in normal form."""

    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """``condition`` is the plain name of the precondition (RFC 6638 3.2.4), ``sentence`` is for a person."""

    condition: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What follows from a change that ``actor`` makes to an object of theirs.

    ``text`` is what is to be stored: ``after``, the very same object, where the rules change nothing in it.
    ``messages`` are in a stable order; one recipient may get two (a CANCEL of some instances, then a REQUEST).
    ``significant``: the Schedule-Tag of the object changes (RFC 6638 3.2.10). ``reason`` is a sentence for the
    scheduling log. With ``refused`` nothing else counts.
    """

    role: Literal["none", "organizer", "attendee"]
    messages: tuple[Message, ...] = ()
    refused: Refusal | None = None
    significant: bool = False
    text: bytes | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What becomes of a message in the calendar of its recipient.

    ``text`` is the new text of their object; None where it is to be deleted, or nothing is to be stored (``ignore``).
    ``inbox``: the message is left in the inbox. ``significant``: the Schedule-Tag of the object changes (RFC 6638
    3.2.10). ``status`` is the SCHEDULE-STATUS that the sender gets (RFC 6638 3.2.9), ``reason`` a sentence for the
    scheduling log, ``onward`` what is to be sent then.
    """

    action: Literal["create", "update", "delete", "ignore"]
    status: str
    reason: str
    text: bytes | None = None
    inbox: bool = False
    significant: bool = False
    onward: tuple[Message, ...] = ()
