"""One text of many events, as calendars are exported, cut into calendar object resources.

Owns the importer's side of RFC 4791 4.1: components with one UID make one object (the master and its overrides
together, from several VCALENDARs if need be), with exactly the VTIMEZONEs that they use, with VERSION, PRODID and
CALSCALE as sent and without METHOD. The other way is ``join``; what is done about broken text is in ``lenient``.

The content lines of an object are those of the file, folded as they were; the line ends become CRLF. The same file
gives the same bytes each time, and an event without UID the same UID each time, so that a second import finds what the
first one made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scheduling.ical import lenient, values
from scheduling.ical.lenient import Fault
from scheduling.ical.lines import STREAM_LIMITS, Component, ContentLine, ICalendarError, escape, fold, line_text, text
from scheduling.ical.validate import (
    KINDS,
    OBJECT_COMPONENTS,
    check,
    check_component,
    check_header,
    check_values,
    check_zone,
    is_known_zone,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scheduling.ical.lines import Limits


@dataclass(frozen=True, slots=True)
class ObjectText:
    """One calendar object resource: ``data`` is its text, ``line`` where its first component stands in the source."""

    uid: str
    kind: str
    data: bytes
    line: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A component that makes no object, and a sentence why. ``uid`` is empty where it has none."""

    line: int
    kind: str
    uid: str
    message: str


@dataclass(slots=True)
class Metadata:
    """What a file says of the calendar as a whole; empty where it says nothing.

    ``color`` is as written (a CSS name or ``#rrggbb[aa]``), ``others`` the remaining properties of the VCALENDARs.
    """

    name: str = ""
    description: str = ""
    timezone: str = ""
    color: str = ""
    others: list[ContentLine] = field(default_factory=list)


@dataclass(slots=True)
class Split:
    """The objects in the order of the text; what made none; and what was wrong or was changed, with its line."""

    objects: list[ObjectText] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    metadata: Metadata = field(default_factory=Metadata)


#: Properties of a VCALENDAR, and the field of Metadata that they fill (RFC 7986 5.1, 5.2, 5.9; the others are
#: conventions).
_METADATA: Final = {
    "NAME": "name",
    "X-WR-CALNAME": "name",
    "DESCRIPTION": "description",
    "X-WR-CALDESC": "description",
    "X-WR-TIMEZONE": "timezone",
    "COLOR": "color",
    "X-APPLE-CALENDAR-COLOR": "color",
}
#: Properties of a VCALENDAR that go with every object.
_HEADER: Final = ("VERSION", "PRODID", "CALSCALE")
_DEFAULTS: Final = {
    "VERSION": ContentLine.make("VERSION", "2.0"),
    "PRODID": ContentLine.make("PRODID", "-//caldavd//import//EN"),
}
#: Properties that change when the same event is exported again.
_VOLATILE: Final = frozenset({"UID", "DTSTAMP", "CREATED", "LAST-MODIFIED", "SEQUENCE"})


def split(data: bytes, *, supported: Collection[str] = KINDS, limits: Limits = STREAM_LIMITS) -> Split:
    """The objects in ``data``. ``supported`` are the kinds of component that the collection takes.

    Raises ICalendarError only where ``data`` is beyond ``limits``.
    """
    reading = lenient.read(data, limits=limits)
    return _Splitter(reading, supported).run()


@dataclass(slots=True)
class _Piece:
    """A component on its way into an object; ``calendar`` is the VCALENDAR that it was found in."""

    component: Component
    calendar: Component
    uid: str

    @property
    def line(self) -> int:
        return self.component.line


class _Splitter:
    def __init__(self, reading: lenient.Reading, supported: Collection[str]) -> None:
        self.data = reading.data
        self.calendars = reading.calendars
        self.supported = supported
        self.split = Split(faults=list(reading.faults))
        self.zones: dict[int, dict[str, Component]] = {}  # by start of the VCALENDAR, by TZID
        self.all_zones: dict[str, Component] = {}  # by TZID, the first one in the text
        self.unknown_zones: set[str] = set()

    def run(self) -> Split:
        pieces: list[_Piece] = []
        for calendar in self.calendars:
            self._read_header(calendar)
            zones = self.zones[calendar.start] = self._zones_of(calendar)
            for tzid, zone in zones.items():
                self.all_zones.setdefault(tzid, zone)
            pieces += self._pieces_of(calendar)
        groups: dict[str, list[_Piece]] = {}
        for piece in pieces:
            groups.setdefault(piece.uid, []).append(piece)
        objects = [found for uid, group in groups.items() for found in self._objects(uid, group)]
        self.split.objects = sorted(objects, key=lambda found: found.line)
        self.split.rejections.sort(key=lambda rejection: rejection.line)
        self.split.faults.sort(key=lambda fault: fault.line)
        return self.split

    # --- VCALENDAR

    def _read_header(self, calendar: Component) -> None:
        metadata = self.split.metadata
        for line in calendar.properties:
            target = _METADATA.get(line.name)
            if target is not None:
                if not getattr(metadata, target):
                    setattr(metadata, target, text(line.value).strip())
            elif line.name == "METHOD":
                if line.value.strip().upper() != "PUBLISH":
                    self._note(line.line, f"METHOD:{line.value[:40]} was taken out; what is stored has none.")
            elif line.name not in _HEADER:
                metadata.others.append(line)

    def _zones_of(self, calendar: Component) -> dict[str, Component]:
        zones: dict[str, Component] = {}
        for zone in calendar.components:
            if zone.name != "VTIMEZONE":
                continue
            try:
                check_zone(zone, is_known_zone)
            except ICalendarError as error:
                self._note(error.line or zone.line, f"A time zone was left out: {error.message}", lost=True)
                continue
            for line in zone.all("TZID"):
                zones.setdefault(line.value, zone)
                zones.setdefault(text(line.value).strip(), zone)
        return zones

    def _pieces_of(self, calendar: Component) -> Iterator[_Piece]:
        try:
            check_header(calendar)
            refused = ""
        except ICalendarError as error:
            refused = error.message
        for found in calendar.components:
            if found.name == "VTIMEZONE":
                continue
            component = self._without_broken_alarms(found)
            line = component.first("UID")
            uid = text(line.value) if line is not None else ""
            reason = refused or self._reason_against(component)
            if reason:
                self._reject(component, uid, reason)
            elif uid.strip():
                yield _Piece(component, calendar, uid)
            else:
                made = _fingerprint(component)
                self._note(component.line, f"This {component.name} has no UID; it was given {made}.")
                yield _Piece(_with_uid(component, made), calendar, made)

    def _without_broken_alarms(self, component: Component) -> Component:
        kept: list[Component] = []
        for inner in component.components:
            try:
                if inner.name == "VALARM":
                    check_values(inner)
                kept.append(inner)
            except ICalendarError as error:
                self._note(error.line or inner.line, f"An alarm was left out. {error.message}", lost=True)
        return component if len(kept) == len(component.components) else replace(component, components=kept)

    def _reason_against(self, component: Component) -> str:
        if component.name not in OBJECT_COMPONENTS:
            return f"{component.name[:40]} is no kind of component that can be stored."
        if component.name not in self.supported:
            return f"This calendar takes no {component.name}."
        try:
            check_component(component)
        except ICalendarError as error:
            return str(error)
        return ""

    # --- objects

    def _objects(self, uid: str, group: list[_Piece]) -> Iterator[ObjectText]:
        """Usually one; more where different events have the same UID."""
        kind = group[0].component.name
        masters: list[_Piece] = []
        overrides: dict[values.Moment, _Piece] = {}
        for piece in group:
            if piece.component.name != kind:
                self._reject(piece.component, uid, f"The {kind} in line {group[0].line} has the same UID.")
                continue
            instance = piece.component.first("RECURRENCE-ID")
            if instance is None:
                masters.append(piece)
            else:
                which = values.moment_of(instance)
                other = overrides.get(which)
                overrides[which] = piece if other is None else self._newer(other, piece)
        distinct = self._distinct(masters)
        members = distinct[:1] + sorted(overrides.values(), key=lambda piece: piece.line)
        yield from self._object(uid, kind, members)
        for piece in distinct[1:]:
            made = _fingerprint(piece.component, uid)
            other_line = distinct[0].line
            self._note(piece.line, f"The {kind} in line {other_line} is another one with this UID; this got {made}.")
            yield from self._object(made, kind, [replace(piece, component=_with_uid(piece.component, made), uid=made)])

    def _distinct(self, masters: list[_Piece]) -> list[_Piece]:
        """The different events among ``masters``, which have one UID: of several versions of one event the newest.

        Versions of one event differ in SEQUENCE (RFC 5546 2.1.5), or else have the same DTSTART and SUMMARY. Which of
        several events keeps the UID does not depend on their order, so that it is the same one in another export.
        """
        newest = max((_sequence(piece.component) for piece in masters), default=0)
        latest = next((piece for piece in masters if _sequence(piece.component) == newest), None)
        by_look: dict[tuple[str, ...], _Piece] = {}
        for piece in masters:
            if latest is not None and _sequence(piece.component) < newest:
                self._superseded(piece, latest)
                continue
            look = tuple(line_text(line) for line in piece.component.properties if line.name in {"DTSTART", "SUMMARY"})
            other = by_look.get(look)
            by_look[look] = piece if other is None else self._newer(other, piece)
        return sorted(by_look.values(), key=lambda piece: _fingerprint(piece.component))

    def _newer(self, one: _Piece, two: _Piece) -> _Piece:
        if _fingerprint(one.component) == _fingerprint(two.component):
            self._note(two.line, f"This is the same as what begins in line {one.line}.")
            return one
        older, newer = (two, one) if _version(one.component) > _version(two.component) else (one, two)
        self._superseded(older, newer)
        return newer

    def _superseded(self, piece: _Piece, by: _Piece) -> None:
        self._reject(piece.component, piece.uid, f"What begins in line {by.line} is a newer version of it.")

    def _object(self, uid: str, kind: str, members: list[_Piece]) -> Iterator[ObjectText]:
        """Nothing where the members make no valid object, which cannot be seen from any one of them."""
        zones: dict[str, Component] = {}
        for piece in members:
            for line, tzid in _zones_in(piece.component):
                zone = self._zone(piece.calendar, tzid)
                if zone is not None:
                    zones.setdefault(tzid, zone)
                elif tzid not in self.unknown_zones and not is_known_zone(tzid):
                    self.unknown_zones.add(tzid)
                    message = f'The time zone "{tzid[:60]}" is neither defined nor known; its times are taken as local.'
                    self._note(line.line, message)
        unique = {zone.start: zone for zone in zones.values()}
        made = Component(
            "VCALENDAR",
            _header_of(members[0].calendar),
            [*(unique[start] for start in sorted(unique)), *(piece.component for piece in members)],
            members[0].line,
        )
        try:
            check(made, supported=OBJECT_COMPONENTS, known_zone=lambda _: True)
        except ICalendarError as error:
            for piece in members:
                self._reject(piece.component, uid, str(error))
            return
        yield ObjectText(uid, kind, b"".join(_written(made, self.data)), members[0].line)

    def _zone(self, calendar: Component, tzid: str) -> Component | None:
        """That of the VCALENDAR itself before those of the others."""
        return self.zones[calendar.start].get(tzid) or self.all_zones.get(tzid)

    # --- the report

    def _reject(self, component: Component, uid: str, message: str) -> None:
        self.split.rejections.append(Rejection(component.line, component.name, uid, message))

    def _note(self, line: int, message: str, *, lost: bool = False) -> None:
        self.split.faults.append(Fault(line, message, lost))


# --- components ------------------------------------------------------------------------------------------------------


def _header_of(calendar: Component) -> list[ContentLine]:
    return [
        line for name in _HEADER if (line := calendar.first(name) or _DEFAULTS.get(name)) is not None and line.value
    ]


def _with_uid(component: Component, uid: str) -> Component:
    kept = [line for line in component.properties if line.name != "UID"]
    return replace(component, properties=[ContentLine.make("UID", escape(uid)), *kept])


def _fingerprint(component: Component, salt: str = "") -> str:
    """A UID made of what the component says; the same when it is exported again at another time."""
    found = hashlib.sha256(salt.encode())
    for text_line in _stable_lines(component):
        found.update(text_line.encode() + b"\n")
    return found.hexdigest()[:40]


def _stable_lines(component: Component) -> Iterator[str]:
    yield f"BEGIN:{component.name}"
    for line in component.properties:
        if line.name not in _VOLATILE:
            yield line_text(line)
    for inner in component.components:
        yield from _stable_lines(inner)


def _sequence(component: Component) -> int:
    line = component.first("SEQUENCE")
    return int(line.value) if line is not None else 0


def _version(component: Component) -> tuple[int, str, str]:
    """What is greater in the newer one of two versions."""
    changed, stamped = component.first("LAST-MODIFIED"), component.first("DTSTAMP")
    return (_sequence(component), changed.value if changed else "", stamped.value if stamped else "")


def _zones_in(component: Component) -> Iterator[tuple[ContentLine, str]]:
    for item in component.walk():
        for line in item.properties:
            if line.params and (tzid := line.param("TZID")):
                yield line, tzid


def _written(component: Component, source: bytes) -> Iterator[bytes]:
    """``component`` as it stands in ``source``, line by line; lines that were made are printed."""
    yield _sent(source, component.start, component.body) or fold(f"BEGIN:{component.name}")
    for line in component.properties:
        yield _sent(source, line.start, line.end) or fold(line_text(line))
    for inner in component.components:
        yield from _written(inner, source)
    yield fold(f"END:{component.name}")


def _sent(source: bytes, start: int, end: int) -> bytes:
    """One content line of a source that has CRLF; empty for a line that was made."""
    raw = source[start:end]
    if not raw.endswith(b"\n") and raw:
        raw += b"\r\n"
    return raw.replace(b"\r\n\r\n", b"\r\n") if b"\n\r" in raw else raw
