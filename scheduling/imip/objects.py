"""The scheduling messages in a mail, each as the text of one calendar object in UTF-8.

Owns RFC 6047 2.4 (which parts are messages, ``method``, ``charset``, several objects in one mail) and 2.6 (the media
type counts, not the file name).

Decisions where the RFC leaves a choice, or mails in the wild do otherwise:

- Where a part is ``text/calendar`` with ``method``, only such parts count; the ``.ics`` beside it says the same once
  more. Where none is, any ``text/calendar`` or ``application/ics`` with a METHOD inside counts (some gateways drop the
  parameters).
- ``method`` outside and no METHOD inside: the one outside is put in. Two that differ: the part is not read, since
  nobody knows which its sender meant.
- Several components of different UIDs in one object (RFC 6047 4.4, 4.5) are several messages.
- What is not UTF-8 is read by its ``charset``, whatever RFC 6047 says that must be.
- A line that is no content line (a description whose line breaks were not folded) is left out, and the rest is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scheduling.ical.lines import Component, ICalendarError, fold, parse_stream, scan, text as unescape
from scheduling.imip.mime import Mail, Part, Unreadable
from scheduling.itip.copying import raw, raw_lines

#: The most messages that one mail may hold.
MAX_OBJECTS: Final = 20
#: The most lines that are left out because they cannot be read.
_MAX_FAULTS: Final = 100
_TYPES: Final = frozenset({"text/calendar", "application/ics"})
_METHOD: Final = re.compile(r"[A-Za-z-]{1,40}")
#: Charsets that text is read by. Not every codec that Python has under some name: some take quadratic time.
_CHARSET: Final = re.compile(
    r"(?:utf-?(?:8|7|16(?:le|be)?)|(?:us-)?ascii|iso-?8859-?\d{1,2}|latin-?\d|(?:windows-?|cp)\d{3,4}|koi8-[ru]|gb\w{4,6}"
    r"|big5|euc-(?:jp|kr)|shift_jis|iso-2022-(?:jp|kr)|mac(?:intosh|-roman))"
)


@dataclass(frozen=True, slots=True)
class Objects:
    """What was found: the texts of messages, and a sentence for each part that could not be read."""

    texts: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Search:
    texts: list[bytes] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take(self, part: Part) -> None:
        try:
            for one in _messages(_utf8(part), part.params.get("method", "")):
                if one not in self.texts:
                    self.texts.append(one)
        except (ICalendarError, Unreadable) as error:
            self.problems.append(str(error))


def objects_in(mail: Mail) -> Objects:
    """The scheduling messages in ``mail``; none where it has no calendar part with a method."""
    parts = [part for part in mail.parts if part.type in _TYPES]
    said = [part for part in parts if part.type == "text/calendar" and part.params.get("method")]
    search = _Search()
    for part in said or parts:
        search.take(part)
    if len(search.texts) > MAX_OBJECTS:
        return Objects((), (f"The mail has {len(search.texts)} scheduling messages; the limit is {MAX_OBJECTS}.",))
    return Objects(tuple(search.texts), tuple(dict.fromkeys(search.problems)))


def _utf8(part: Part) -> bytes:
    data = part.content()
    charset = part.params.get("charset", "utf-8").strip().lower()
    if charset in ("utf-8", "utf8", "us-ascii", "ascii", ""):
        try:
            data.decode()
        except UnicodeDecodeError:
            charset = "windows-1252"  # what text that says it is ASCII or UTF-8 and is neither mostly is
        else:
            return data
    if not _CHARSET.fullmatch(charset):
        return data
    try:
        return data.decode(charset, "replace").encode()
    except LookupError:
        return data


def _messages(text: bytes, method: str) -> Iterator[bytes]:
    text, calendars = _read(text)
    for calendar in calendars:
        said = calendar.first("METHOD")
        within = "" if said is None else said.value.strip()
        if within and method and within.upper() != method.strip().upper():
            raise Unreadable(
                f'The mail says method "{method[:40]}" and the calendar in it METHOD "{within[:40]}" (RFC 6047 2.4).'
            )
        if not within and not _METHOD.fullmatch(method.strip()):
            continue  # a calendar that was sent along is no scheduling message
        yield from _by_uid(text, calendar, within, method.strip().upper())


def _read(text: bytes) -> tuple[bytes, list[Component]]:
    try:
        return text, parse_stream(text)
    except ICalendarError as error:
        faults: list[tuple[int, int]] = []
        for _ in scan(text, on_fault=lambda _, start, end: faults.append((start, end))):
            if len(faults) > _MAX_FAULTS:
                break
        if not faults or len(faults) > _MAX_FAULTS:
            raise
        for start, end in reversed(faults):
            text = text[:start] + text[end:]
        try:
            return text, parse_stream(text)
        except ICalendarError:
            raise error from None


def _by_uid(source: bytes, calendar: Component, within: str, method: str) -> Iterator[bytes]:
    zones = [one for one in calendar.components if one.name == "VTIMEZONE"]
    groups: dict[str, list[Component]] = {}
    for one in calendar.components:
        if one.name != "VTIMEZONE":
            uid = one.first("UID")
            groups.setdefault("" if uid is None else unescape(uid.value), []).append(one)
    if len(groups) == 1 and within:
        yield source[calendar.start : calendar.end]
        return
    head = [raw(source, line) for line in calendar.properties]
    if not within:
        head.insert(0, f"METHOD:{method}")
    for components in groups.values():
        lines = ["BEGIN:VCALENDAR", *head]
        for one in [*zones, *components]:
            lines += raw_lines(source, one)
        yield b"".join(map(fold, [*lines, "END:VCALENDAR"]))
