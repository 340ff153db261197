"""A mail as its parts: header fields, MIME structure, transfer encodings.

Owns RFC 5322 2 (the form of a message), RFC 2045 and 2046 (MIME) as far as scheduling needs them. The values of header
fields are read by the modern parsers of the ``email`` package, and only those that are asked for; the structure is cut
up here, because the package goes over each line once for every multipart around it and reads some fields unasked, so
that a mail of a few megabytes can take it minutes, or end in a RecursionError. Time here is linear in the size of the
mail, whatever is in it.

Messages in messages (``message/rfc822``) are not looked into: what somebody forwards is not what they say.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.errors import InvalidHeaderDefect, MessageError
from email.headerregistry import HeaderRegistry
from email.utils import getaddresses
from types import MappingProxyType
from typing import Final

#: The size of a mail, bytes.
MAX_SIZE: Final = 25 * 1024 * 1024
#: Parts of a mail, and how deep multiparts may be nested.
MAX_PARTS: Final = 100
MAX_DEPTH: Final = 10
#: All header fields of a mail or part, in bytes and in number; and one field that is looked at, in characters.
MAX_HEAD: Final = 512 * 1024
MAX_FIELDS: Final = 2000
MAX_FIELD: Final = 4_000
MAX_TYPE_FIELD: Final = 1_000
MAX_ADDRESSES_FIELD: Final = 64_000

_HEAD_ENDS: Final = re.compile(rb"(?:\A|\n)\r?\n")
#: A field and its continuation lines (RFC 5322 2.2); what is none is passed over.
_FIELD: Final = re.compile(rb"^([!-9;-~]{1,100})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
#: Anything but another address, and then one in angle brackets.
_ONE_ANGLE: Final = re.compile(r"[^<>,;]*<([^<>,;:\s\"()]+@[^<>,;:\s\"()@]+)>\s*")
_BOUNDARY: Final = re.compile(r"[\x20-\x7e]{1,200}")
_UNFOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_NEITHER: Final = re.compile(r"[\r\n\0]")
#: What the header parsers of the package are known to raise for broken fields.
_BROKEN: Final = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError, MessageError)
_registry = HeaderRegistry()


class Unreadable(Exception):
    """This is no mail, or larger or more intricate than any mail has to be; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Head:
    """Header fields, in the order in which they stand; ``fields`` are (name in lower case, value on one line)."""

    fields: Sequence[tuple[str, str]]

    def first(self, name: str, *, length: int = MAX_FIELD) -> str:
        """The topmost field ``name``; empty where there is none, or it is longer than ``length`` characters."""
        return next((value for value in self.all(name) if len(value) <= length), "")

    def all(self, name: str) -> Iterator[str]:
        """Every field ``name`` (lower case), from the top."""
        return (value for key, value in self.fields if key == name)

    def mailboxes(self, name: str) -> tuple[str, ...]:
        """The addr-specs in the fields ``name`` as they are written; what is none is left out.

        Of a field that is broken before its one ``<address>`` (an ``@`` in a name without quotes is common), that one.
        """
        found: list[str] = []
        for value in self.all(name):
            try:
                header = _registry(name, value) if len(value) <= MAX_FIELD else None
            except _BROKEN:
                continue
            if any(isinstance(one, InvalidHeaderDefect) for one in getattr(header, "defects", ())):
                match = _ONE_ANGLE.fullmatch(value)
                found += [match[1]] if match is not None else []
                continue
            addresses = getattr(header, "addresses", ())
            found += [str(one.addr_spec) for one in addresses if one.username and one.domain]
        return tuple(found)

    def many_mailboxes(self, name: str) -> tuple[str, ...]:
        """As ``mailboxes``, for fields that may name thousands: quicker, and less exact."""
        values = [value for value in self.all(name) if len(value) <= MAX_ADDRESSES_FIELD]
        try:
            return tuple(address for _, address in getaddresses(values) if "@" in address)
        except _BROKEN:
            return ()

    def content_type(self) -> tuple[str, MappingProxyType[str, str]]:
        """The media type in lower case and its parameters (names in lower case); text/plain where it is broken."""
        value = self.first("content-type", length=MAX_TYPE_FIELD)
        try:
            header = _registry("content-type", value) if value else None
        except _BROKEN:
            header = None
        given = getattr(header, "params", {})
        params = {str(key).lower(): str(value) for key, value in given.items()}
        return str(getattr(header, "content_type", "text/plain")).lower(), MappingProxyType(params)


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is no multipart: its media type (lower case) with its parameters; ``body`` is still encoded."""

    head: Head
    type: str
    params: MappingProxyType[str, str]
    body: bytes = field(repr=False)

    def content(self) -> bytes:
        """The bytes without their transfer encoding (RFC 2045 6). Raises ``Unreadable``."""
        match self.head.first("content-transfer-encoding").strip().lower():
            case "base64":
                try:
                    return binascii.a2b_base64(self.body)
                except binascii.Error as error:
                    raise Unreadable(f"The base64 of a {self.type} part cannot be read: {error}.") from error
            case "quoted-printable":
                return binascii.a2b_qp(self.body)
        return self.body


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail: its head, and its parts in the order of the text."""

    head: Head
    parts: Sequence[Part]
    type: str
    params: MappingProxyType[str, str]


def read(raw: bytes, *, limit: int = MAX_SIZE) -> Mail:
    """The mail that ``raw`` is, of at most ``limit`` bytes. Raises ``Unreadable``."""
    if len(raw) > limit:
        raise Unreadable(f"The mail is larger than {limit} bytes, which is the limit.")
    if raw.startswith(b"From "):  # the mbox habit of pipes
        raw = raw.partition(b"\n")[2]
    head, body = _cut(raw)
    if not any(True for _ in head.all("from")) and not any(True for _ in head.all("content-type")):
        raise Unreadable("This is no mail: it has neither From nor Content-Type.")
    kind, params = head.content_type()
    return Mail(head, tuple(_parts(head, body)), kind, params)


def head_of(raw: bytes) -> Head:
    """The header fields alone, as a delivery report encloses them."""
    return _cut(raw)[0]


def _cut(raw: bytes) -> tuple[Head, bytes]:
    """The header fields and the body behind the first empty line."""
    ends = _HEAD_ENDS.search(raw)
    start, body = (len(raw), b"") if ends is None else (ends.start() + 1, raw[ends.end() :])
    if ends is not None and ends.start() == 0 and raw[:1] in (b"\r", b"\n"):
        start = 0
    if start > MAX_HEAD:
        raise Unreadable(f"The header of the mail, or of a part, has {start} bytes; the limit is {MAX_HEAD}.")
    fields = [(match[1].decode().lower(), _one_line(match[2])) for match in _FIELD.finditer(raw[:start])]
    if len(fields) > MAX_FIELDS:
        raise Unreadable(f"The mail has {len(fields)} header fields; the limit is {MAX_FIELDS}.")
    return Head(fields), body


def _one_line(value: bytes) -> str:
    return _NEITHER.sub(" ", _UNFOLD.sub("", value.decode("utf-8", "replace"))).strip()


def _parts(head: Head, body: bytes) -> Iterator[Part]:
    """The parts that are no multiparts, in the order of the text; one that goes on for too long raises."""
    waiting, seen = [(head, body, 0)], 0
    while waiting:
        head, body, depth = waiting.pop()
        seen += 1
        if seen > MAX_PARTS:
            raise Unreadable(f"The mail has more than {MAX_PARTS} parts.")
        kind, params = head.content_type()
        boundary = params.get("boundary", "").rstrip(" ")
        if not kind.startswith("multipart/") or not _BOUNDARY.fullmatch(boundary):
            yield Part(head, kind, params, body)
            continue
        if depth >= MAX_DEPTH:
            raise Unreadable(f"The parts of the mail are nested more than {MAX_DEPTH} deep.")
        inner = [(*_cut(one), depth + 1) for one in _between(body, boundary.encode())]
        waiting += reversed(inner)


def _between(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the lines with ``boundary`` (RFC 2046 5.1.1)."""
    found, start = [], None
    lines = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    for match in lines.finditer(body):
        if start is not None:
            found.append(body[start : match.start()].removesuffix(b"\n").removesuffix(b"\r"))
            if len(found) > MAX_PARTS:
                raise Unreadable(f"The mail has more than {MAX_PARTS} parts.")
        start = match.end()
        if match[1] is not None:
            return found
    if start is not None:  # the last line is missing, as in a mail that was cut off
        found.append(body[start:])
    return found
