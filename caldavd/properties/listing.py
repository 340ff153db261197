"""Listings of thousands of members, from rows straight to text.

What a client asks of every member when it looks for changes is their ETags, sometimes with the type (PROPFIND Depth 1,
``sync-collection``). For those few properties the table of properties is gone round: no resource is made for a row, and
only the columns that are shown are read. The text is the same to the byte as that of
:func:`caldavd.properties.registry.responses`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Final

from caldavd.kinds import FILE, ICALENDAR, Kind
from caldavd.properties.registry import REGISTRY
from caldavd.router import encode
from caldavd.xml.fragment import element, text
from caldavd.xml.multistatus import prop_response
from caldavd.xml.names import dav
from storage.rows import ObjectRow

#: Stands for the name and for each value while the text around them is made; no href, ETag or type holds it.
_SLOT: Final = "\ue000"


def _etag(_: Kind) -> tuple[str, str, str]:
    return "etag", f'"{_SLOT}"', ""


def _content_type(kind: Kind) -> tuple[str, str, str]:
    if kind in ICALENDAR:
        return "component", f"text/calendar; charset=utf-8{_SLOT}", "; component="
    return "content_type", _SLOT, ""


def _resource_type(_: Kind) -> tuple[str, str, str]:
    return "", "", ""


#: For each property the column it shows, its text with a slot for the value, and what stands before a value that is
#: not empty.
DIRECT: Final[dict[str, Callable[[Kind], tuple[str, str, str]]]] = {
    dav("getetag"): _etag,
    dav("getcontenttype"): _content_type,
    dav("resourcetype"): _resource_type,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """How the members of one kind are told: ``columns`` are those that are read."""

    columns: frozenset[str]
    _pieces: tuple[str, ...]
    _values: tuple[tuple[str, str], ...]

    def responses(self, base: str, rows: Iterable[ObjectRow]) -> Iterator[str]:
        """A ``D:response`` a row; ``base`` is the href of the collection, with its slash."""
        head, *rest = self._pieces
        head += text(base)
        if len(self._values) == 1 and self._values[0] == ("etag", ""):  # what is asked nearly always
            middle, tail = rest
            for row in rows:
                yield f"{head}{encode(row.name)}{middle}{row.etag}{tail}"
            return
        readers = [(attrgetter(column), before) for column, before in self._values]
        for row in rows:
            parts = [head, encode(row.name), rest[0]]
            for (read, before), after in zip(readers, rest[1:], strict=True):
                value = read(row)
                parts += (before, text(value), after) if value else (after,)
            yield "".join(parts)

    def until(self, place: str) -> tuple[Listing, str]:
        """The listing up to a place in what follows the properties, and what stands behind that place."""
        *pieces, last = self._pieces
        before, _, after = last.partition(place)
        return replace(self, _pieces=(*pieces, before)), after


@lru_cache(maxsize=64)
def listing(kind: Kind, asked: tuple[str, ...], more: str = "") -> Listing | None:
    """How members of ``kind`` are told by the properties ``asked`` (Clark names); ``None``: not by this way.

    ``more`` is a fragment that follows the properties of every member.
    """
    if kind not in (*ICALENDAR, FILE) or not (asked or more) or any(name not in DIRECT for name in asked):
        return None
    found, values = [], []
    for name in asked:
        assert REGISTRY.find(name, kind) is not None, name
        column, inner, before = DIRECT[name](kind)
        found.append(element(name, inner))
        if column:
            values.append((column, before))
    pieces = prop_response(_SLOT, "".join(found) + more).split(_SLOT)
    columns = frozenset({"name", *(column for column, _ in values)})
    return Listing(columns, tuple(pieces), tuple(values))
