"""Signed addresses: what an answer or a bounce comes back to, so that it finds its meeting.

``calendar+rTAG@example.org`` is the Reply-To of one mail, ``calendar+bTAG@example.org`` its envelope sender (VERP). A
tag names who sent it (the id of the principal), the UID and the recipient (as keyed hashes), and is signed; so whoever
has it got that mail, or was given the address by somebody who did. It keeps nothing in the database, does not run out
(a series may be answered after years), and says nothing to who reads it.

What stands in front of the ``@`` has at most 64 characters (RFC 5321 4.5.3.1.1), and some servers turn it into lower
case: so it is base32 in lower case, and short.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from scheduling.addresses import normal

#: What the address is for: answers, or delivery reports.
TagKind = Literal["r", "b"]

#: The purpose of the key (``Store.secret``).
PURPOSE: Final = "reply-address"
_ID: Final = 4
_UID: Final = 8
_RECIPIENT: Final = 6
_SIGNATURE: Final = 10
_LENGTH: Final = _ID + _UID + _RECIPIENT + _SIGNATURE
#: Characters of a tag with its kind.
TAG_CHARACTERS: Final = 1 + -(-_LENGTH * 8 // 5)
#: What is left of the 64 characters for the address in front of it, the sign between them included.
MAX_LOCAL: Final = 64 - TAG_CHARACTERS - 1
_TAG: Final = re.compile(rf"[rb][a-z2-7]{{{TAG_CHARACTERS - 1}}}")


@dataclass(frozen=True, slots=True)
class Tag:
    """What a signed address says: ``principal_id`` sent the mail; the hashes are compared by ``Tags``."""

    kind: TagKind
    principal_id: int
    uid: bytes
    recipient: bytes


@dataclass(frozen=True, slots=True)
class Tags:
    """Makes and reads the addresses of one installation.

    ``address`` is the mail address that all of them are (``calendar@example.org``), ``separator`` what stands between
    its local part and the tag, ``key`` signs them. ``bounces``: whether delivery reports are to come to them, too.
    """

    address: str
    key: bytes = field(repr=False)
    separator: str = "+"
    bounces: bool = True

    def made(self, kind: TagKind, *, principal_id: int, uid: str, recipient: str) -> str:
        """The address for answers to (or reports of) one mail. ``recipient`` is in normal form."""
        body = principal_id.to_bytes(_ID) + self._hash("uid", uid, _UID) + self._hash("to", recipient, _RECIPIENT)
        signed = body + self._signature(kind, body)
        local, _, domain = self.address.rpartition("@")
        return f"{local}{self.separator}{kind}{_text(signed)}@{domain}"

    def read(self, address: str) -> Tag | None:
        """The tag in ``address``; None where there is none, or it was not signed here."""
        own, own_domain = self.address.casefold().rsplit("@", 1)
        local, _, domain = address.strip().casefold().rpartition("@")
        prefix = own + self.separator
        tag = local.removeprefix(prefix)
        if domain != own_domain or not local.startswith(prefix) or not _TAG.fullmatch(tag):
            return None
        kind: TagKind = "r" if tag[0] == "r" else "b"
        try:
            signed = base64.b32decode(tag[1:].upper() + "=" * (-len(tag[1:]) % 8))
        except binascii.Error:
            return None
        body, signature = signed[:-_SIGNATURE], signed[-_SIGNATURE:]
        if (
            len(signed) != _LENGTH
            or _text(signed) != tag[1:]
            or not hmac.compare_digest(signature, self._signature(kind, body))
        ):
            return None
        return Tag(kind, int.from_bytes(body[:_ID]), body[_ID : _ID + _UID], body[_ID + _UID :])

    def is_own(self, address: str) -> bool:
        """Whether ``address`` is the one of this server, with or without something behind the separator."""
        own, own_domain = self.address.casefold().rsplit("@", 1)
        local, _, domain = address.strip().casefold().rpartition("@")
        return domain == own_domain and (local == own or local.startswith(own + self.separator))

    def is_about(self, tag: Tag, uid: str) -> bool:
        """Whether the mail with ``tag`` was about the object ``uid``."""
        return hmac.compare_digest(tag.uid, self._hash("uid", uid, _UID))

    def recipient(self, tag: Tag, addresses: Iterable[str]) -> str | None:
        """Which of ``addresses`` (in normal form) the mail with ``tag`` went to."""
        return next((one for one in addresses if self._hash("to", normal(one), _RECIPIENT) == tag.recipient), None)

    def _hash(self, what: str, text: str, length: int) -> bytes:
        return hmac.digest(self.key, f"{what}\0{text}".encode("utf-8", "replace"), "sha256")[:length]

    def _signature(self, kind: TagKind, body: bytes) -> bytes:
        return hmac.digest(self.key, b"tag\0" + kind.encode() + body, "sha256")[:_SIGNATURE]


def _text(signed: bytes) -> str:
    return base64.b32encode(signed).decode().rstrip("=").lower()
