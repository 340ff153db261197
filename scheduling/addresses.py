"""Calendar user addresses: which two are the same, and which of them mail can reach.

Owns the comparison of the CAL-ADDRESS values in ORGANIZER, ATTENDEE and their parameters (RFC 5545 3.3.3, RFC 6638
2.4.1). Who an address belongs to is for the store to say.

Decisions where the RFCs leave a choice:

- ``mailto:`` addresses are compared without regard to case, also in front of the ``@`` (RFC 5321 would allow a server
  to tell them apart, none does), after percent-decoding, without ``?subject=`` and the like (RFC 6068).
- An address without a scheme that has an ``@`` is a mail address (RFC 5546 4.4.1 has some, and clients send them).
- A path or an http(s) URL is the same with and without a slash at its end.
- Percent-encoded control characters stay encoded, so that an address is always one line.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import Final
from urllib.parse import quote

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ENCODED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
#: An addr-spec (RFC 5322 3.4.1) without comments, quoted strings and address literals. RFC 5321 4.5.3.1.1 has 64 octets
#: in front of the ``@``, and a server MAY take more: where answers to iCloud's invitations go (imip.me.com) it is 80.
_MAILBOX: Final = re.compile(r"[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,128}@[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,255}")
_CACHED: Final = 200  # longer addresses are not remembered, so that the cache stays small


def normal(uri: str) -> str:
    """``uri`` in the form in which addresses are compared; equal texts mean the same calendar user."""
    return _known(uri) if len(uri) <= _CACHED else _normal(uri)


def _normal(uri: str) -> str:
    text = uri.strip().strip("\"'<>").strip()
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    rest = text[match.end() :] if match else text
    if scheme == "mailto" or (not scheme and "@" in rest and not rest.startswith("/")):
        return "mailto:" + _mail_address(rest)
    if scheme == "urn":
        return f"urn:{rest.lower()}"
    if scheme in ("http", "https"):
        host, slash, path = rest.removeprefix("//").partition("/")
        return f"{scheme}://{host.lower()}{slash}{_decoded(path)}".rstrip("/")
    if not scheme:
        return _decoded(rest).rstrip("/") if rest.startswith("/") else rest
    return f"{scheme}:{rest}"


_known = lru_cache(maxsize=8192)(_normal)


def _mail_address(text: str) -> str:
    address = _decoded(text.partition("?")[0].removeprefix("//")).strip().strip("<>")
    local, at, domain = unicodedata.normalize("NFC", address).casefold().rpartition("@")
    if not domain.isascii() and len(domain) <= 255:
        with suppress(UnicodeError):  # not a domain: compared as it is
            domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}"


def _decoded(text: str) -> str:
    return _ENCODED.sub(_decode, text) if "%" in text else text


def _decode(match: re.Match[str]) -> str:
    try:
        found = bytes.fromhex(match[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return match[0].upper()
    return match[0].upper() if _CONTROL.search(found) else found


def mailto(address: str) -> str:
    """The ``mailto:`` URI of a mail address (RFC 6068 2), for use in an iCalendar property."""
    return "mailto:" + quote(address.strip(), safe="@!$'*+-._~/=^`{|}")


def mailbox_as_written(uri: str) -> str | None:
    """As ``mailbox``, but in front of the ``@`` as it is written: there case belongs to the server (RFC 5321 2.4)."""
    known = mailbox(uri)
    match = _SCHEME.match(uri.strip())
    rest = uri.strip()[match.end() :] if match else uri.strip()
    local = unicodedata.normalize("NFC", _decoded(rest.partition("?")[0])).rpartition("@")[0].strip(" <'\"/")
    if known is None or local.casefold() != known.rpartition("@")[0]:
        return known
    return f"{local}@{known.rpartition('@')[2]}"


def mailbox(uri: str) -> str | None:
    """The mail address that ``uri`` is; None where it is none that mail may be sent to.

    What would not be one plain addr-spec (line breaks, several addresses, quoted strings), or holds characters that
    nobody sees (writing from right to left), is None.
    """
    text = normal(uri)
    if not text.startswith("mailto:"):
        return None
    address = text.removeprefix("mailto:")
    return address if _MAILBOX.fullmatch(address) and address.isprintable() else None
