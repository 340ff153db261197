"""Members with their texts, as reports tell them, from rows straight to UTF-8.

What a client asks for when it fetches is ``getetag`` and ``calendar-data``, whole and as it was stored. What stands
before a text is written by :mod:`caldavd.properties.listing`, the text beside it without being decoded into one long
``str`` with all others. As there, no resource is made for a row, and the bytes are those of the usual way
(:func:`caldavd.properties.registry.responses`); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from caldavd.kinds import Kind
from caldavd.properties.listing import Listing, listing
from caldavd.xml.fragment import element, text_of_utf8
from caldavd.xml.names import caldav
from storage.rows import ObjectRow

#: Where the text goes.
_PLACE: Final = "\ue001"


@dataclass(frozen=True, slots=True)
class DataListing:
    """How the members of one kind are told: ``columns`` are those that are read."""

    columns: frozenset[str]
    _before: Listing
    #: What stands behind the text; ``None`` where no text is told.
    _after: bytes | None

    def responses(self, base: str, rows: Sequence[ObjectRow]) -> Iterator[bytes]:
        """A ``D:response`` a row; ``base`` is the href of the collection, with its slash."""
        told = map(str.encode, self._before.responses(base, rows))
        after = self._after
        if after is None:
            return told
        return (b"".join((before, text_of_utf8(row.body), after)) for before, row in zip(told, rows, strict=True))


@lru_cache(maxsize=64)
def data_listing(kind: Kind, asked: tuple[str, ...], *, data: bool) -> DataListing | None:
    """How members of ``kind`` are told by ``asked`` and, with ``data``, their texts; ``None``: not by this way."""
    how = listing(kind, asked, element(caldav("calendar-data"), _PLACE) if data else "")
    if how is None:
        return None
    if not data:
        return DataListing(how.columns, how, None)
    before, after = how.until(_PLACE)
    return DataListing(how.columns | {"body"}, before, after.encode())
