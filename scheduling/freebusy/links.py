"""The secret in a free/busy link: for whom it is, and that this server gave it out.

Owns the token of ``/freebusy/TOKEN``: the id of the principal and an HMAC over that and the serial of the link, in
base64url. Nothing of it is kept but the serial (``tx.freebusy_links``): a new serial makes a new link, and the old one
means nothing any more. Pure.
"""

from __future__ import annotations

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

#: What ``Store.secret`` is asked for.
PURPOSE: Final = "free-busy link"
_ID: Final = struct.Struct(">Q")
_MAC_BYTES: Final = 22  # with the id as many bytes as make 40 characters without padding


def token_of(secret: bytes, principal_id: int, serial: int) -> str:
    """The token of a principal's link with this serial."""
    named = _ID.pack(principal_id)
    mac = hmac.digest(secret, named + _ID.pack(serial), "sha256")[:_MAC_BYTES]
    return urlsafe_b64encode(named + mac).decode()


def principal_in(token: str) -> int | None:
    """The id of the principal that a token names, whoever made it; None: it is no token."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (UnicodeError, binascii.Error):
        return None
    found: int | None = _ID.unpack_from(raw)[0] if len(raw) == _ID.size + _MAC_BYTES else None
    return found if found is not None and found < 1 << 63 else None


def is_token(token: str, secret: bytes, principal_id: int, serial: int) -> bool:
    """Whether ``token`` is that of this link; takes as long for a wrong one."""
    return hmac.compare_digest(token.encode(), token_of(secret, principal_id, serial).encode())
