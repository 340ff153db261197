"""Range requests (RFC 9110 section 14): one range of bytes of a plain file or a calendar object.

Several ranges in one request are answered with the whole, which section 14.2 leaves to the server.
"""

from __future__ import annotations

import re
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes\s*=[\s,]*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))[\s,]*", re.IGNORECASE)


class NotSatisfiable(ValueError):
    """No byte of the range exists (RFC 9110 section 15.5.17)."""


def parse(value: str, size: int) -> tuple[int, int] | None:
    """The half-open range of bytes that ``Range`` asks for of a body of ``size`` bytes.

    ``None`` where the header is to be ignored: another unit, several ranges, no range at all, or an empty body.
    Raises :class:`NotSatisfiable`.
    """
    found = _ONE_RANGE.fullmatch(value.strip())
    if found is None or size == 0:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise NotSatisfiable
        return max(0, size - int(suffix)), size
    start = int(first)
    end = size if last is None else min(size, int(last) + 1)
    if last is not None and int(last) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return start, end
