"""Time zones: from local time to instants and back, by VTIMEZONE definition or by name.

Owns RFC 5545 3.6.5 (VTIMEZONE), the rule of 3.3.5 for local times that occur twice or not at all, and what a TZID means
that has no definition beside it (RFC 7809, and files in the wild). Local times and instants are seconds (see
``values``).

**The definition that was sent wins** for the object that it was sent with: RFC 5545 3.2.19 binds TZID to the VTIMEZONE
in the same object, and who sent it computed with it. It is read once for each different text (a cache keyed by a digest
of its content), and then answers by bisection in a table, faster than ``zoneinfo``; so there is no shorter path for
definitions that agree with their IANA name. Where it says nothing, the IANA zone counts if TZID names one: before the
first onset (3.6.5: it "MUST" cover the times in use, but many begin in 1970 or 2007), and behind the last one where no
rule goes on (calendars are exported with the two onsets around some event, and then have events years later). Where
TZID names none, the TZOFFSETFROM of the first onset counts before it and the offset of the last one behind it.

A TZID without definition is looked for as: an IANA name, whatever its case; a Windows name (CLDR's list, from
``icalendar``); the tail of a path (``/mozilla.org/20050126_1/Europe/Berlin``); what Outlook shows to people
(``(UTC+01:00) Amsterdam, Berlin``); a plain offset (``GMT+0100``). What remains unknown is floating: it takes the zone
of the calendar.

A definition costs bounded time and memory: observances, onsets and steps beyond the limits below are cut off.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, available_timezones

from scheduling.ical.lines import ICalendarError, text
from scheduling.ical.recur import Frequency, Rule, parse
from scheduling.ical.rrule import Budget, TooManyInstances, starts
from scheduling.ical.values import (
    DAY,
    MAX_LOCAL,
    MIN_LOCAL,
    Form,
    Moment,
    Period,
    moment_of,
    moments_of,
    offset,
    wall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduling.ical.lines import Component

#: What one VTIMEZONE may cost. Lisbon since 1911, as Thunderbird sends it, has 69 observances and 188 onsets.
MAX_OBSERVANCES: Final = 500
MAX_ONSETS: Final = 2_000
MAX_STEPS: Final = 10_000
CACHED_DEFINITIONS: Final = 256
CACHED_BLOCKS: Final = 32

_YEAR: Final = 366 * DAY
_FIRST: Final = MIN_LOCAL + 2 * DAY
_LAST: Final = MAX_LOCAL - 2 * DAY


class Zone(Protocol):
    """A time zone."""

    @property
    def name(self) -> str:
        """The TZID, or the IANA name."""
        ...

    def to_instant(self, local: int) -> int:
        """The instant at which the clock on the wall shows ``local`` (RFC 5545 3.3.5).

        The first of two; in a gap, with the offset from before the gap.
        """
        ...

    def to_local(self, instant: int) -> int:
        """What the clock on the wall shows at ``instant``."""
        ...


class FixedZone:
    """A zone with one offset, in seconds east of Greenwich."""

    __slots__ = ("_offset", "name")

    def __init__(self, name: str, offset: int) -> None:
        self.name: Final = name
        self._offset = offset

    def to_instant(self, local: int) -> int:
        """See ``Zone``."""
        return local - self._offset

    def to_local(self, instant: int) -> int:
        """See ``Zone``."""
        return instant + self._offset


UTC: Final = FixedZone("UTC", 0)


class IanaZone:
    """A zone of the IANA database, as the machine or the ``tzdata`` package has it."""

    __slots__ = ("_info", "name")

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self._info = ZoneInfo(name)

    def to_instant(self, local: int) -> int:
        """See ``Zone``."""
        at = wall(min(max(local, _FIRST), _LAST)).replace(tzinfo=self._info)  # fold=0 is the rule of RFC 5545 3.3.5
        shift = at.utcoffset()
        return local if shift is None else local - shift.days * DAY - shift.seconds

    def to_local(self, instant: int) -> int:
        """See ``Zone``."""
        at = self._info.fromutc(wall(min(max(instant, _FIRST), _LAST)).replace(tzinfo=self._info))
        shift = at.utcoffset()
        return instant if shift is None else instant + shift.days * DAY + shift.seconds


# --- VTIMEZONE -------------------------------------------------------------------------------------------------------


class _Onset(NamedTuple):
    instant: int
    before: int
    after: int


class _Endless(NamedTuple):
    """An observance whose rule has no end."""

    rule: Rule
    start: int
    before: int
    after: int


class _Block(NamedTuple):
    """The onsets around one stretch of time: when they are, from which local time on they count, the offset then."""

    instants: list[int]
    locals: list[int]
    offsets: list[int]


class DefinedZone:
    """A zone that a VTIMEZONE defines. ``cut`` tells that it went beyond the limits and was not read to its end."""

    _SHIFT: Final = 29  # a block is 2^29 seconds, 17 years: 1970-01-01, 1987-01-05, 2004-01-10, 2021-01-14 …

    def __init__(self, name: str, fixed: list[_Onset], endless: list[_Endless], *, cut: bool) -> None:
        self.name: Final = name
        self.cut = cut
        self._fixed = sorted(fixed)
        self._endless = endless
        self._blocks: dict[int, _Block] = {}
        first = self._fixed[0]
        known = named(name)
        self._early: Zone = known or FixedZone(name, first.before)
        # Behind the last onset: the zone that counts then, from which instant and which local time on.
        last = self._fixed[-1]
        self._late = None if endless else known
        self._late_instant = last.instant
        self._late_local = last.instant + max(last.before, last.after)

    def to_instant(self, local: int) -> int:
        """See ``Zone``."""
        if self._late is not None and local >= self._late_local:
            return self._late.to_instant(local)
        block = self._block(local)
        at = bisect_right(block.locals, local)
        return local - block.offsets[at - 1] if at else self._early.to_instant(local)

    def to_local(self, instant: int) -> int:
        """See ``Zone``."""
        if self._late is not None and instant >= self._late_instant:
            return self._late.to_local(instant)
        block = self._block(instant)
        at = bisect_right(block.instants, instant)
        return instant + block.offsets[at - 1] if at else self._early.to_local(instant)

    def _block(self, seconds: int) -> _Block:
        index = min(max(seconds, _FIRST), _LAST) >> self._SHIFT
        found = self._blocks.get(index)
        if found is None:
            if len(self._blocks) >= CACHED_BLOCKS:
                self._blocks.clear()
            found = self._blocks[index] = self._make_block(index << self._SHIFT, (index + 1) << self._SHIFT)
        return found

    def _make_block(self, begin: int, end: int) -> _Block:
        """The onsets from the last one before ``begin`` until after ``end``, with two days to spare on either side."""
        begin, end = begin - 2 * DAY, end + 2 * DAY
        after_begin = bisect_right(self._fixed, (begin,))
        onsets = [one for one in self._fixed[max(0, after_begin - 1) :] if one.instant < end]
        budget = Budget(MAX_STEPS)
        for one in self._endless:
            # Far enough back to meet the last onset before ``begin``.
            margin = (one.rule.interval + 1 if one.rule.frequency == Frequency.YEARLY else 2) * _YEAR
            local = starts(
                one.rule, one.start, since=begin + one.before - margin, before=end + one.before, budget=budget
            )
            room = MAX_ONSETS - len(onsets)
            try:
                onsets += [_Onset(at - one.before, one.before, one.after) for at in islice(local, room)]
            except TooManyInstances:
                self.cut = True
            self.cut |= len(onsets) >= MAX_ONSETS
        onsets.sort()
        block = _Block([], [], [])
        before = onsets[0].before if onsets else 0
        for onset in onsets:
            # From a gap or an overlap on, the new offset counts for what the clock shows when both have passed it.
            local_onset = onset.instant + max(before, onset.after)
            block.instants.append(onset.instant)
            block.locals.append(max(local_onset, block.locals[-1]) if block.locals else local_onset)
            block.offsets.append(onset.after)
            before = onset.after
        return block


_definitions: dict[bytes, DefinedZone | None] = {}
#: By the identity of the component: many objects share one (``lines``).
_of_components: dict[int, tuple[Component, DefinedZone | None]] = {}


def defined(component: Component) -> Zone | None:
    """The zone that the VTIMEZONE ``component`` defines; None where it defines none that can be read.

    Cached by content.
    """
    known = _of_components.get(id(component))
    if known is None or known[0] is not component:
        if len(_of_components) >= CACHED_DEFINITIONS:
            _of_components.clear()
        known = _of_components[id(component)] = component, _by_content(component)
    return known[1]


def _by_content(component: Component) -> DefinedZone | None:
    hashed = blake2b(digest_size=16)
    for part in component.walk():
        hashed.update(
            "\n".join([part.name, *(f"{line.name}{line.params}:{line.value}" for line in part.properties)]).encode()
        )
    key = hashed.digest()
    if key not in _definitions:
        while len(_definitions) >= CACHED_DEFINITIONS:  # the oldest goes first
            _definitions.pop(next(iter(_definitions)), None)
        _definitions[key] = _define(component)
    return _definitions[key]


def tzid_of(component: Component) -> str:
    """The TZID of a VTIMEZONE; empty where it has none."""
    line = component.first("TZID")
    return "" if line is None else text(line.value).strip()


def _define(component: Component) -> DefinedZone | None:
    fixed: list[_Onset] = []
    endless: list[_Endless] = []
    budget = Budget(MAX_STEPS)
    cut = False
    observances = [part for part in component.components if part.name in ("STANDARD", "DAYLIGHT")]
    for part in observances[:MAX_OBSERVANCES]:
        try:
            fixed += islice(_onsets(part, endless, budget), MAX_ONSETS - len(fixed))
        except TooManyInstances:
            cut = True
        except ICalendarError:
            continue  # an observance that cannot be read leaves the others as they are
    if not fixed:
        return None
    cut = cut or len(observances) > MAX_OBSERVANCES or len(fixed) >= MAX_ONSETS
    return DefinedZone(tzid_of(component), fixed, endless, cut=cut)


def _onsets(part: Component, endless: list[_Endless], budget: Budget) -> Iterator[_Onset]:
    """The onsets of one STANDARD or DAYLIGHT; a rule without end goes into ``endless``. Raises ICalendarError."""
    start_line, to_line = part.first("DTSTART"), part.first("TZOFFSETTO")
    if start_line is None or to_line is None:
        raise ICalendarError(f"{part.name} needs DTSTART and TZOFFSETTO (RFC 5545 3.6.5).", part.line)
    after = offset(to_line.value, line=to_line.line)
    from_line = part.first("TZOFFSETFROM")
    before = after if from_line is None else offset(from_line.value, line=from_line.line)
    start = _local(moment_of(start_line), before)
    yield _Onset(start - before, before, after)
    for line in part.all("RDATE"):
        for value in moments_of(line):
            budget.spend()
            yield _Onset(_local(value.start if isinstance(value, Period) else value, before) - before, before, after)
    for line in part.all("RRULE"):
        rule = parse(line.value, line=line.line)
        if rule.infinite:
            endless.append(_Endless(rule, start, before, after))
            continue
        until = None if rule.until is None else _local(rule.until, before)
        if rule.until is not None and rule.until.form is Form.DATE:
            until = rule.until.local + DAY - 1
        for local in starts(rule, start, until=until, budget=budget):
            yield _Onset(local - before, before, after)


def _local(value: Moment, before: int) -> int:
    """A time in an observance as local time before its onset (RFC 5545 3.6.5: UNTIL is in UTC, all else is local)."""
    return value.local + before if value.form is Form.UTC else value.local


# --- names -----------------------------------------------------------------------------------------------------------

_OFFSET_NAME: Final = re.compile(r"\(?(?:UTC|GMT)? ?([+-])(\d\d?):?([0-5]\d)?\)?", re.IGNORECASE | re.ASCII)
_SHOWN_NAME: Final = re.compile(r"\((?:UTC|GMT) ?([+-]\d\d:\d\d)?\) *(.+)", re.IGNORECASE | re.ASCII)


@cache
def _iana_names() -> dict[str, str]:
    """The IANA names by their lower-case spelling."""
    return {name.lower(): name for name in available_timezones() if not name.startswith(("posix/", "right/"))}


@cache
def _windows_names() -> dict[str, str]:
    # Imported here: the table comes with a library of 90 modules, and few calendars need it.
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415

    return {windows.lower(): iana for windows, iana in WINDOWS_TO_OLSON.items()}


@cache
def _cities() -> dict[str, str]:
    """IANA names by their last part: "berlin" is Europe/Berlin."""
    areas = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    names = sorted(name for name in _iana_names().values() if name.startswith(areas))
    return {name.rpartition("/")[2].lower().replace("_", " "): name for name in reversed(names)}


def named(tzid: str) -> Zone | None:
    """The zone that ``tzid`` names without a definition, None where it names none that is known."""
    return _named(tzid) if len(tzid) < 256 else None


@lru_cache(maxsize=1024)
def _named(tzid: str) -> Zone | None:
    name = _known_name(tzid.strip().strip('"'))
    if name is not None:
        return UTC if name == "UTC" else IanaZone(name)
    match = _OFFSET_NAME.fullmatch(tzid.strip())
    if match is not None:
        seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
        if seconds <= 14 * 3600:
            return FixedZone(tzid, -seconds if match[1] == "-" else seconds)
    return None


def _known_name(tzid: str) -> str | None:
    """The IANA name that is meant by ``tzid``."""
    lower = tzid.lower()
    if lower in ("z", "utc", "etc/utc", "gmt", "etc/gmt"):
        return "UTC"
    found = _iana_names().get(lower) or _windows_names().get(lower) or _iana_names().get(lower.replace(" ", "_"))
    if found is not None:
        return found
    if "/" in lower:
        return _known_name(tzid.partition("/")[2])
    match = _SHOWN_NAME.fullmatch(tzid)
    if match is None:
        return None
    shown = match[2].lower()
    windows = shown.replace(" and ", " & ").replace(" (us & canada)", "").replace(" time", " standard time")
    if windows in _windows_names():
        return _windows_names()[windows]
    return next((_cities()[city] for city in map(str.strip, shown.split(",")) if city in _cities()), None)


# --- for one object --------------------------------------------------------------------------------------------------


class Zones:
    """The time zones of one calendar object: its own definitions, names, and ``floating`` for what has neither."""

    def __init__(self, calendar: Component, floating: Zone) -> None:
        self.floating = floating
        self._calendar = calendar
        self._known: dict[str, Zone] = {}

    def of(self, tzid: str) -> Zone:
        """The zone that the TZID parameter ``tzid`` refers to."""
        found = self._known.get(tzid)
        if found is None:
            wanted = tzid.strip()
            part = next(
                (one for one in self._calendar.components if one.name == "VTIMEZONE" and tzid_of(one) == wanted), None
            )
            found = (part and defined(part)) or named(tzid) or self.floating
            self._known[tzid] = found
        return found

    def zone(self, value: Moment) -> Zone:
        """The zone of a value; of a DATE and a floating time that of the calendar (RFC 4791 7.3)."""
        match value.form:
            case Form.ZONED:
                return self.of(value.tzid)
            case Form.UTC:
                return UTC
        return self.floating

    def instant(self, value: Moment) -> int:
        """The instant that ``value`` is; of a DATE its first."""
        return value.local if value.form is Form.UTC else self.zone(value).to_instant(value.local)


def zone_of(calendar: Component) -> Zone:
    """The zone of a VCALENDAR that holds one VTIMEZONE (RFC 4791 5.2.2 ``calendar-timezone``, 9.8 ``timezone``).

    Raises ICalendarError where there is none that can be read.
    """
    parts = [one for one in calendar.components if one.name == "VTIMEZONE"]
    if len(parts) != 1:
        raise ICalendarError("A time zone is given as a VCALENDAR with exactly one VTIMEZONE.", calendar.line)
    found = defined(parts[0]) or named(tzid_of(parts[0]))
    if found is None:
        raise ICalendarError("This VTIMEZONE has no STANDARD or DAYLIGHT that can be read.", parts[0].line)
    return found
