"""Many calendar object resources as one VCALENDAR: a whole calendar as one .ics, as subscribers and exports want it.

The other way is ``split``. Every time zone comes once, before the first component that uses it; what is in the
components stays as the clients sent it, with CRLF. Only BEGIN and END lines are looked at, unless two objects mean
different things by one TZID: then the second is renamed, except where the name is known (RFC 5545 3.2.19; the
definitions that clients send for ``Europe/Berlin`` differ in how far back they go, not in what they mean).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ContentLine, amend, edit, escape, fold, line_text, parse, unfold, with_crlf
from scheduling.ical.validate import is_known_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scheduling.ical.split import Metadata

PRODID: Final = "-//caldavd//caldavd//EN"

_PAIR: Final = re.compile(rb"^(BEGIN|END):([A-Za-z0-9_.-]+)[ \t]*\r?\n?", re.IGNORECASE | re.MULTILINE)
_TZID: Final = re.compile(rb"^TZID[^:\r\n]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


def join(objects: Iterable[bytes], *, metadata: Metadata | None = None, prodid: str = PRODID) -> Iterator[bytes]:
    """The chunks of one VCALENDAR that holds the components of all ``objects``, each a valid calendar object resource.

    The first chunk is the header, the last one the END; between them is one chunk an object.
    """
    yield b"".join(fold(line_text(line)) for line in _header(metadata, prodid))
    zones = _Zones()
    for source in objects:
        yield b"".join(zones.pass_on(source))
    yield b"END:VCALENDAR\r\n"


def _header(metadata: Metadata | None, prodid: str) -> Iterator[ContentLine]:
    yield ContentLine.make("BEGIN", "VCALENDAR")
    yield ContentLine.make("VERSION", "2.0")
    yield ContentLine.make("PRODID", escape(prodid))
    yield ContentLine.make("CALSCALE", "GREGORIAN")
    if metadata is None:
        return
    for names, value in (
        (("NAME", "X-WR-CALNAME"), metadata.name),  # RFC 7986 5.1, and what was there before it
        (("DESCRIPTION", "X-WR-CALDESC"), metadata.description),  # RFC 7986 5.2
        (("X-WR-TIMEZONE",), metadata.timezone),
        # RFC 7986 5.9 allows only the names of CSS, clients have colours as numbers
        (("X-APPLE-CALENDAR-COLOR",) if metadata.color.startswith("#") else ("COLOR",), metadata.color),
    ):
        for name in names if value else ():
            yield ContentLine.make(name, escape(value))


class _Zones:
    """The time zones that were passed on already, by TZID."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}

    def pass_on(self, source: bytes) -> Iterator[bytes]:
        """What is in ``source`` besides the VCALENDAR around it and the time zones that were there before."""
        parts = _parts(source)
        names: dict[str, str] = {}
        for name, raw in parts:
            if name == b"VTIMEZONE":
                names |= {tzid: self._own_name(tzid, raw) for tzid in _tzids(raw) if self._is_other(tzid, raw)}
        if names:
            parts = _parts(_renamed(source, names))
        for name, raw in parts:
            if name != b"VTIMEZONE":
                yield raw
            elif not self.written.keys() >= set(_tzids(raw)):
                self.written.update(dict.fromkeys(_tzids(raw), raw))
                yield raw

    def _is_other(self, tzid: str, raw: bytes) -> bool:
        return self.written.get(tzid, raw) != raw and not is_known_zone(tzid)

    @staticmethod
    def _own_name(tzid: str, raw: bytes) -> str:
        """The same name for the same definition, whichever object it comes with."""
        return f"{tzid} {hashlib.sha256(raw).hexdigest()[:8]}"


def _parts(source: bytes) -> list[tuple[bytes, bytes]]:
    """The components in the VCALENDAR that ``source`` is: their names in upper case and their text."""
    source = with_crlf(source)
    parts: list[tuple[bytes, bytes]] = []
    stack: list[re.Match[bytes]] = []
    for match in _PAIR.finditer(source):
        if match[1].upper() == b"BEGIN":
            stack.append(match)
        elif stack and stack[-1][2].upper() == match[2].upper():
            begun = stack.pop()
            if len(stack) == 1:
                parts.append((begun[2].upper(), source[begun.start() : match.end()]))
        else:
            stack.append(match)  # not as simple as it looked
            break
    if stack or not parts:
        return [(item.name.encode(), source[item.start : item.end]) for item in parse(source).components]
    return parts


def _tzids(zone: bytes) -> list[str]:
    return [name.decode() for name in _TZID.findall(unfold(zone))]


def _renamed(source: bytes, names: dict[str, str]) -> bytes:
    """``source`` with other TZIDs, in the time zones and wherever they are used."""
    edits = []
    for item in parse(source).walk():
        for line in item.properties:
            tzid = line.param("TZID")
            if tzid in names:
                edits.append(amend(source, line, {"TZID": names[tzid]}))
            elif item.name == "VTIMEZONE" and line.name == "TZID" and line.value in names:
                edits.append(amend(source, line, {}, value=names[line.value]))
    return edit(source, edits)
