"""The ``Authorization`` header of the Basic scheme: RFC 7617, and the scheme's syntax from RFC 9110 section 11.4.

Pure. What is not Basic, or is Basic and broken, is ``None``: the answer to it is a challenge and never an error.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

#: Neither a user-id nor a password may hold control characters (RFC 7617 section 2; CTL of RFC 5234, and the C1 set).
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Basic:
    """A user-id and a password as the client sent them; the user-id in NFC (RFC 7617 section 2.1). Neither is empty."""

    login: str
    password: str = field(repr=False)


def parse(authorization: str | None) -> Basic | None:
    """Reads the header's value; ``None`` where there is none, it is another scheme, or it cannot be read.

    The octets are UTF-8, which our challenges ask for; what is not UTF-8 is taken for latin-1, as older programs send
    (RFC 7617 section 3 leaves it open). The first colon ends the user-id: passwords may hold more of them.
    An empty password is refused here, because a directory takes it for an anonymous bind and says yes
    (RFC 4513 section 5.1.2).
    """
    scheme, _, token = (authorization or "").strip(" \t").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        octets = base64.b64decode(token.strip(" \t").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    try:
        user_pass = octets.decode("utf-8")
    except UnicodeDecodeError:
        user_pass = octets.decode("latin-1")
    login, colon, password = user_pass.partition(":")
    if not (login and colon and password) or _CONTROL.search(user_pass):
        return None
    return Basic(unicodedata.normalize("NFC", login), password)
