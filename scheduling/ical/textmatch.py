"""Text matching by collations.

Owns RFC 4791 7.5 (which collations a CalDAV server has) and, of RFC 4790 and RFC 5051, the equality and substring
operations of three collations: ``i;octet`` and ``i;ascii-casemap``, which RFC 4791 7.5.1 demands, and
``i;unicode-casemap``, which python-caldav and others ask for. Where the text comes from is for the caller to know
(``filter`` for calendar data; the principal reports use this as well).
"""

from __future__ import annotations

import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_COLLATION: Final = "i;ascii-casemap"  # RFC 4791 9.7.5


class UnknownCollationError(ValueError):
    """A collation is asked for that is not among ``COLLATIONS``."""

    condition: Final = "supported-collation"  # RFC 4791 7.5.1

    def __init__(self, name: str) -> None:
        super().__init__(f'The collation "{name[:60]}" is not supported; there are {", ".join(COLLATIONS)}.')
        self.name = name


class MatchType(Enum):
    """Where in the text the pattern is to be found (RFC 6352 10.5.4; CalDAV itself only knows CONTAINS)."""

    CONTAINS = "contains"
    EQUALS = "equals"
    STARTS_WITH = "starts-with"
    ENDS_WITH = "ends-with"


def _octet(text: str) -> str:
    """RFC 4790 9.3.1. Comparing code points is the same as comparing the octets of UTF-8."""
    return text


_ASCII_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def _ascii_casemap(text: str) -> str:
    """RFC 4790 9.2.1: a-z become A-Z, nothing else changes."""
    return text.upper() if text.isascii() else text.translate(_ASCII_UPPER)


def _unicode_casemap(text: str) -> str:
    """RFC 5051 2: every character in title case (where that is one character), then decomposed."""
    if text.isascii():
        return text.upper()
    titled = "".join(title if len(title := character.title()) == 1 else character for character in text)
    return unicodedata.normalize("NFKD", titled)


#: What RFC 4791 7.5.1 names ``supported-collation-set``: by name, what makes texts that count as equal the same.
COLLATIONS: Final[dict[str, Callable[[str], str]]] = {
    "i;ascii-casemap": _ascii_casemap,
    "i;octet": _octet,
    "i;unicode-casemap": _unicode_casemap,
}


def folding(collation: str) -> Callable[[str], str]:
    """What to apply to both texts before they are compared; "default" is the server's choice (RFC 4790 3.1).

    Raises UnknownCollationError.
    """
    found = COLLATIONS.get(DEFAULT_COLLATION if collation == "default" else collation)
    if found is None:
        raise UnknownCollationError(collation)
    return found


def matches(
    text: str, pattern: str, *, collation: str = DEFAULT_COLLATION, match_type: MatchType = MatchType.CONTAINS
) -> bool:
    """Whether ``pattern`` is found in ``text``. Raises UnknownCollationError."""
    fold = folding(collation)
    there, wanted = fold(text), fold(pattern)
    match match_type:
        case MatchType.CONTAINS:
            return wanted in there
        case MatchType.EQUALS:
            return wanted == there
        case MatchType.STARTS_WITH:
            return there.startswith(wanted)
        case MatchType.ENDS_WITH:
            return there.endswith(wanted)
