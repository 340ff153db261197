"""Outgoing XML as escaped text: joined, not built as a tree (design section 1, item 5).

A *fragment* is a ``str`` of well-formed XML content whose prefixes are those of :data:`caldavd.xml.names.PREFIXES`.
"""

from __future__ import annotations

import re

from caldavd.xml.names import PREFIXES, tag

#: Characters that XML 1.0 section 2.2 does not allow; they are left out (clients.md rule 10).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

#: The bytes of UTF-8 that are not, and are no part of, characters that XML does not allow (U+FFFE and U+FFFF aside).
_ALLOWED = bytes(set(range(256)) - {*range(9), 0x0B, 0x0C, *range(0x0E, 0x20)})

DECLARATIONS = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in PREFIXES.items())


def text(value: str) -> str:
    """Character data: markup escaped, CR kept as a character reference (a parser would turn it into LF)."""
    if _FORBIDDEN.search(value):
        value = _FORBIDDEN.sub("", value)
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if ">" in value:
        value = value.replace(">", "&gt;")
    if "\r" in value:
        value = value.replace("\r", "&#13;")
    return value


def text_of_utf8(value: bytes) -> bytes:
    """As :func:`text`, from UTF-8 to UTF-8: for long texts several times as fast. Raises UnicodeDecodeError."""
    if value.translate(None, _ALLOWED):
        return text(value.decode()).encode()
    if not value.isascii():
        decoded = value.decode()
        if b"\xef\xbf" in value:  # U+FFFE and U+FFFF begin so
            return text(decoded).encode()
    return value.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b"\r", b"&#13;")


def attribute(value: str) -> str:
    """A quoted attribute value."""
    escaped = text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return f'"{escaped}"'


def element(name: str, inner: str = "", /, **attributes: str) -> str:
    """``<prefix:local attr="…">inner</prefix:local>`` for a Clark name; ``inner`` is a fragment."""
    start, end = tag(name)
    for key, value in attributes.items():
        start += f" {key}={attribute(value)}"
    return f"<{start}>{inner}</{end}>" if inner else f"<{start}/>"


def href(value: str) -> str:
    """``D:href`` with a path that :meth:`caldavd.router.Router.href` has encoded."""
    return f"<D:href>{text(value)}</D:href>"


def document(name: str, inner: str) -> bytes:
    """A whole document with the declarations on its root."""
    start, end = tag(name)
    return (f'<?xml version="1.0" encoding="utf-8"?>\n<{start} {DECLARATIONS}>{inner}</{end}>').encode()
