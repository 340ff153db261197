"""Status codes with their reason phrases, for the start of a response and for the lines in a multistatus."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Final

#: The phrases of RFC 9110 section 15 that Python has only since 3.13.
_PHRASES: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


@lru_cache(maxsize=100)
def with_phrase(code: int) -> str:
    """``404 Not Found``. Raises ValueError for a code that is none."""
    return f"{code} {_PHRASES.get(code) or HTTPStatus(code).phrase}"
