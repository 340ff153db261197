"""Reading broken text for the importer, with a report of everything that was wrong.

Owns what to do with lines that are no content lines, with BEGIN and END that do not pair, and with text that is not
UTF-8 (RFC 5545 3.1, 3.1.4, 3.4). A PUT is never read like this: it is refused with its line number (``validate``). A
file that somebody imports by hand comes from where it comes from, and one broken line is no reason to lose the other
events.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import STREAM_LIMITS, Component, ContentLine, ICalendarError, is_name, scan, with_crlf

if TYPE_CHECKING:
    from scheduling.ical.lines import Limits

#: The components that stand directly in a VCALENDAR and in nothing else (RFC 5545 3.6, RFC 7953 3.1).
TOP_LEVEL: Final = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VAVAILABILITY"})
#: The other names that an END may have without being a misspelt one.
_INNER: Final = frozenset({"VCALENDAR", "VALARM", "STANDARD", "DAYLIGHT", "AVAILABLE"})
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence about what was wrong and what came of it; ``lost`` where something of the text was left out."""

    line: int
    message: str
    lost: bool


@dataclass(slots=True)
class Reading:
    """What was read: ``data`` is the text that the offsets in ``calendars`` point into (UTF-8, CRLF, without NUL)."""

    data: bytes
    calendars: list[Component] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read(data: bytes, *, limits: Limits = STREAM_LIMITS) -> Reading:
    """Every VCALENDAR in ``data``, as far as it can be read, and the faults in the order of the lines.

    Raises ICalendarError only where ``data`` is beyond ``limits``.
    """
    faults: list[Fault] = []
    data = with_crlf(_without_nul(_as_utf8(data, faults), faults))
    data, items = _readable_lines(data, limits, faults)
    calendars = _Builder(limits, faults).build(items)
    return Reading(data, calendars, sorted(faults, key=lambda fault: fault.line))


def _as_utf8(data: bytes, faults: list[Fault]) -> bytes:
    """Text in UTF-16 (Windows writes it) as UTF-8; single lines in another coding are for ``_readable_lines``."""
    if not data.startswith(_UTF16):
        return data
    faults.append(Fault(1, "The text is in UTF-16, not in UTF-8; it was converted.", lost=False))
    return data.decode("utf-16", errors="replace").encode("utf-8", errors="replace")


def _without_nul(data: bytes, faults: list[Fault]) -> bytes:
    if b"\0" not in data:
        return data
    line = data.count(b"\n", 0, data.index(b"\0")) + 1
    faults.append(Fault(line, "There are NUL characters from this line on; they were taken out.", lost=True))
    return data.replace(b"\0", b"")


def _readable_lines(data: bytes, limits: Limits, faults: list[Fault]) -> tuple[bytes, list[ContentLine]]:
    """The content lines. Those in an older coding are read as Windows-1252; those that are none are left out."""
    wrong: list[tuple[ICalendarError, int, int]] = []
    items = list(scan(data, limits=limits, on_fault=lambda error, start, end: wrong.append((error, start, end))))
    parts: list[bytes] = []
    at = 0
    runs: list[_Run] = []
    for error, start, end in wrong:
        recoded = _from_windows(data[start:end])
        if recoded is not None:
            parts += [data[at:start], recoded]
            at = end
            faults.append(Fault(error.line or 1, "This line is not UTF-8; it was read as Windows-1252.", lost=False))
        elif runs and runs[-1].end == start:
            runs[-1].more += 1
            runs[-1].end = end
        else:
            runs.append(_Run(error, end))
    faults += [run.fault() for run in runs]
    if not parts:
        return data, items
    data = b"".join([*parts, data[at:]])
    return data, list(scan(data, limits=limits, on_fault=lambda *_: None))


@dataclass(slots=True)
class _Run:
    """Lines in a row that were left out, so that a web page makes one fault and not a thousand."""

    error: ICalendarError
    end: int
    more: int = 0

    def fault(self) -> Fault:
        after = f", as were the {self.more} lines after it" if self.more else ""
        return Fault(self.error.line or 1, f"{self.error.message} It was left out{after}.", lost=True)


def _from_windows(raw: bytes) -> bytes | None:
    """``raw`` as UTF-8 if it was in Windows-1252 and is a content line then."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        recoded = raw.decode("cp1252", errors="replace").encode()
        try:
            list(scan(recoded))
        except ICalendarError:
            return None
        return recoded
    return None


class _Builder:
    """Components out of content lines whose BEGIN and END need not pair."""

    def __init__(self, limits: Limits, faults: list[Fault]) -> None:
        self.limits = limits
        self.faults = faults
        self.found: list[Component] = []
        self.stack: list[Component] = []
        self.strays = 0  # lines in a row outside of any component, the first of which made the last fault

    def build(self, items: list[ContentLine]) -> list[Component]:
        """The calendars that ``items`` make."""
        for item in items:
            if item.name == "BEGIN":
                self._begin(item)
            elif item.name == "END":
                self._end(item)
            elif self.stack:
                self.stack[-1].properties.append(item)
            else:
                self._stray(item)
                continue
            self.strays = 0
        if len(self.stack) > 1:
            cut = self.stack[1]
            self.stack[0].components.remove(cut)
            self._note(cut.line, f"The text ends before END:{cut.name}; this {cut.name} was left out.", lost=True)
        if self.stack:
            self._note(self.stack[0].line, "END:VCALENDAR is missing.")
        return self.found

    def _begin(self, item: ContentLine) -> None:
        name = item.value.strip().upper()
        if not is_name(name):
            self._note(item.line, "This BEGIN names no component; it was left out.", lost=True)
            return
        if name == "VCALENDAR":
            self._close(0, item.line)
        elif not self.stack:
            self._note(item.line, f"BEGIN:{name} stands outside of any VCALENDAR; it was read as if one began here.")
            self._open("VCALENDAR", item)
        elif name in TOP_LEVEL:
            self._close(1, item.line)
        if len(self.stack) >= self.limits.depth:
            raise ICalendarError(f"Components are nested more than {self.limits.depth} deep.", item.line)
        self._open(name, item)

    def _open(self, name: str, item: ContentLine) -> None:
        opened = Component(name, [], [], item.line, item.start, item.end, item.end)
        (self.stack[-1].components if self.stack else self.found).append(opened)
        self.stack.append(opened)

    def _end(self, item: ContentLine) -> None:
        name = item.value.strip().upper()
        names = [component.name for component in self.stack]
        if name in names:
            self._close(len(names) - names[::-1].index(name), item.line)
            self.stack.pop().end = item.end
        elif names and is_name(name) and name not in TOP_LEVEL | _INNER:
            closed = self.stack.pop()
            closed.end = item.end
            self._note(item.line, f"END:{name} was read as END:{closed.name}.")
        else:
            self._note(item.line, f"END:{name} without its BEGIN was passed over.")

    def _close(self, depth: int, line: int) -> None:
        """The components below ``depth`` were not ended before ``line``."""
        while len(self.stack) > depth:
            closed = self.stack.pop()
            self._note(
                line, f"END:{closed.name} is missing before this line; the {closed.name} began in line {closed.line}."
            )

    def _stray(self, item: ContentLine) -> None:
        self.strays += 1
        message = "This line stands outside of any component and was left out"
        if self.strays == 1:
            self._note(item.line, f"{message}.", lost=True)
        else:
            first = self.faults.pop()
            self._note(first.line, f"{message}, as were the {self.strays - 1} lines after it.", lost=True)

    def _note(self, line: int, message: str, *, lost: bool = False) -> None:
        self.faults.append(Fault(line, message, lost))
