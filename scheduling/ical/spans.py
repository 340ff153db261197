"""Packed busy time: when an object is, and what of it blocks time, in a few bytes beside its text.

Owns the form of ``spans`` in the index of an object (see ``digest``). They are an index and never the truth: where they
do not cover a question, or were packed by other code or with other rules of time zones, ``read_spans`` (who is busy
when) and ``is_within`` (whether the object is there at all, RFC 4791 9.9) say None and the text is asked. How busy a
component makes, and whom, is for the floor above to say (``Blocking``).

An object whose instances come to an end is packed whole and covers all time; one that goes on, a stretch around now,
which ``caldavd reindex`` moves on: a year, or as far as ``MAX_SPANS`` go. What would cost too much is not packed.

What is packed: a head; tables of who makes it what, one for each different answer; and the spans in the order of their
starts. Instances that do not block time are among them, as busy in no way, unless they would leave room for less of
those that do. The head also has the rhythm of a series that goes on for ever (``Series.rhythm``): a daily event is in
every week to come, however far away. Dates and floating times are kept as local time and read in the zone of the
calendar, so they are packed only where everything that decides when the object is, is local time: a UTC time in UNTIL
would mean another set of instances in each zone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from scheduling.ical.lines import Component, ContentLine, ICalendarError
from scheduling.ical.recur import parse as parse_rule
from scheduling.ical.recurrence import RecurrenceSet
from scheduling.ical.rrule import Budget, TooManyInstances
from scheduling.ical.timezones import Zone
from scheduling.ical.tzdata import tzdata_version
from scheduling.ical.values import DAY, MAX_LOCAL, MIN_LOCAL, Form, Period, moments_of

#: Moves on with every change of what is packed.
_FORM: Final = "3"
#: Spans of one object, and entries of all its tables: at most some ten kilobytes, and a millisecond of every PUT.
MAX_SPANS: Final = 100
MAX_ENTRIES: Final = 1_000
#: For finding the instances.
_STEPS: Final = 1_000
#: What a stretch is worth being packed that is shorter than it was to be.
_LEAST: Final = 80 * DAY
#: A mark; the first and the last instant that are covered, so that their bytes compare as the instants do (see
#: ``covering``); the longest span; flags; how many tables there are; the rhythm: from when on, and how long it may be
#: without an instance (0: there is none).
_HEAD: Final = struct.Struct(">8sQQqBHqq")
#: Flags: it is local time; and there is no instance without a span.
_LOCAL: Final = 1
_WHOLE: Final = 2
_INSTANT: Final = struct.Struct(">Q")
_BIAS: Final = 1 << 63
_COUNT: Final = struct.Struct(">H")
_ENTRY: Final = struct.Struct(">8sB")
_SPAN: Final = struct.Struct(">qqBH")
#: Covers all time that there is.
_ALWAYS: Final = (MIN_LOCAL - 2 * DAY, MAX_LOCAL + 2 * DAY)
_DATED: Final = frozenset({"DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID"})


class Span(NamedTuple):
    """Busy from ``start`` up to, and without, ``end`` (instants), and how."""

    start: int
    end: int
    kind: int


@dataclass(frozen=True, slots=True)
class Blocking:
    """How busy a component makes (1 to 255), and those whom it makes busy in another way.

    ``others`` are addresses in normal form with what it is for them, 0 for not at all; the first one that is somebody's
    counts.
    """

    kind: int
    others: Sequence[tuple[str, int]] = ()


#: What a VEVENT blocks; None: no time of anybody.
BlockingOf = Callable[[Component], Blocking | None]
_FREE: Final = Blocking(0)


def address_hash(address: str) -> bytes:
    """How an address in normal form is named in the tables."""
    return blake2b(address.encode("utf-8", "surrogatepass"), digest_size=8).digest()


_known_hash = lru_cache(maxsize=4096)(address_hash)


def _stamp() -> bytes:
    return _stamp_of(tzdata_version())


@cache
def _stamp_of(version: str) -> bytes:
    return blake2b(f"{_FORM} {version}".encode(), digest_size=8).digest()


# --- packing


def pack_spans(
    sets: Sequence[RecurrenceSet],
    components: Sequence[Component],
    stretch: tuple[int, int],
    blocking_of: BlockingOf,
    *,
    ends: bool,
    floating: bool,
) -> bytes:
    """The busy time of ``sets`` (the instances of ``components``), at least in ``stretch``; empty: it is not packed.

    ``ends``: there is a last instance; ``floating``: when it is depends on the zone of who looks.
    """
    if floating and not all(map(_is_local, components)):
        return b""
    waiting = [(stretch, True), (_ALWAYS, True)] if ends else [(stretch, True)]
    while waiting:
        (low, high), whole = waiting.pop()
        packing = _Packing(components, blocking_of, floating=floating, whole=whole)
        try:
            packing.take(sets, low, high)
        except TooManyInstances:
            continue
        except _Unpackable:
            return b""
        except _TooMany as many:
            if packing.idle:
                waiting.append(((low, high), False))  # what blocks time alone
            elif (low, high) == stretch and many.until - low >= _LEAST:
                waiting.append(((low, many.until), whole))
            continue
        return packing.packed(low, high, sets[0].rhythm() if len(sets) == 1 else None)
    return b""


class _Unpackable(Exception):
    """It would take too many bytes, or some of it is in local time and some is not."""


class _TooMany(Exception):
    """There are more instances than are packed; up to ``until`` there would not be, if they come in their order."""

    def __init__(self, until: int) -> None:
        super().__init__(until)
        self.until = until


class _Packing:
    """``whole``: also what blocks no time is packed. ``idle``: some of what was taken blocks none."""

    def __init__(
        self, components: Sequence[Component], blocking_of: BlockingOf, *, floating: bool, whole: bool
    ) -> None:
        self._blocking_of = blocking_of
        self._floating = floating
        self._all = whole
        # A component without a start has no instance, and is there at any time (RFC 6638 2.3).
        self._whole = whole and all(one.first("DTSTART") is not None for one in components)
        self.idle = False
        self._known: dict[int, tuple[int, int]] = {}
        self._tables: dict[tuple[tuple[str, int], ...], int] = {}
        self._entries = 0
        self._spans: list[tuple[int, int, int, int]] = []

    def take(self, sets: Sequence[RecurrenceSet], low: int, high: int) -> None:
        """Notes what there is between two instants. Raises TooManyInstances, _Unpackable, _TooMany."""
        budget = Budget(_STEPS)
        for one in sets:
            for instance in one.near(low - DAY, high + DAY, budget):
                if instance.floating is not self._floating:
                    raise _Unpackable
                first, last = instance.start, instance.end
                if self._floating:
                    first, last = instance.start_local, instance.end_local
                if first is None or last is None:
                    continue
                kind, table = self._blocks(instance.component) if last > first else (0, self._table(()))
                self.idle = self.idle or (self._all and not kind)
                if kind or self._all:
                    self._spans.append((first, last, kind, table))
                    if len(self._spans) > MAX_SPANS:
                        raise _TooMany(first - 2 * DAY)

    def _blocks(self, component: Component) -> tuple[int, int]:
        """How busy a component makes, and the number of the table that says for whom it is otherwise."""
        key = id(component)
        if key not in self._known:
            blocking = self._blocking_of(component) or _FREE
            self._known[key] = blocking.kind, self._table(tuple(blocking.others))
        return self._known[key]

    def _table(self, others: tuple[tuple[str, int], ...]) -> int:
        if others not in self._tables:
            self._entries += len(others)
            if self._entries > MAX_ENTRIES:
                raise _Unpackable
            self._tables[others] = len(self._tables)
        return self._tables[others]

    def packed(self, low: int, high: int, rhythm: tuple[int, int] | None) -> bytes:
        """All of it, which covers the time between two instants."""
        spans = sorted(self._spans)
        longest = max((last - first for first, last, _, _ in spans), default=0)
        flags = (_LOCAL if self._floating else 0) | (_WHOLE if self._whole else 0)
        covered = low + _BIAS, high + _BIAS
        parts = [_HEAD.pack(_stamp(), *covered, longest, flags, len(self._tables), *(rhythm or (0, 0)))]
        for others in self._tables:
            parts.append(_COUNT.pack(len(others)))
            parts += [_ENTRY.pack(_known_hash(address), kind) for address, kind in others]
        parts += [_SPAN.pack(*one) for one in spans]
        return b"".join(parts)


def _is_local(component: Component) -> bool:
    """Whether all that decides when a component is, is a date or a floating time."""
    return all(map(_is_local_line, component.properties))


def _is_local_line(line: ContentLine) -> bool:
    try:
        if line.name == "RRULE" and line.value.strip():
            until = parse_rule(line.value).until
            return until is None or until.form in (Form.DATE, Form.FLOATING)
        if line.name not in _DATED:
            return True
        moments = [one.start if isinstance(one, Period) else one for one in moments_of(line)]
    except ICalendarError:
        return False
    return all(one.form in (Form.DATE, Form.FLOATING) for one in moments)


# --- reading


def covering(start: int, end: int) -> tuple[bytes, bytes, bytes]:
    """What spans begin with that cover ``start`` to ``end``, for whoever chooses rows without unpacking them.

    A mark of 8 bytes; then 8 bytes that are not above the second, and 8 that are not below the third of these.
    """
    return _stamp(), _INSTANT.pack(max(0, start + _BIAS)), _INSTANT.pack(max(0, end + _BIAS))


def read_spans(packed: bytes, start: int, end: int, zone: Zone, owner: Collection[str] = ()) -> list[Span] | None:
    """What touches ``start`` to ``end`` (instants), as it makes ``owner`` busy; None: the text has to be asked.

    ``zone`` is that of dates and floating times, ``owner`` are addresses in normal form.
    """
    if len(packed) < _HEAD.size:
        return None
    stamp, first, last, longest, flags, tables, _, _ = _HEAD.unpack_from(packed)
    if stamp != _stamp() or start < first - _BIAS or end > last - _BIAS:
        return None
    floating = flags & _LOCAL
    kinds, at = _kinds(packed, tables, owner)
    slack = DAY if floating else 0
    spans = []
    for begin, finish, kind, table in _within(packed, at, start - longest - slack, end + slack):
        told = kinds[table]
        found = kind if told is None else told
        if found:
            span = (
                Span(zone.to_instant(begin), zone.to_instant(finish), found) if floating else Span(begin, finish, found)
            )
            spans.append(span)
    return spans


def is_within(packed: bytes, start: int | None, end: int | None, zone: Zone) -> bool | None:
    """Whether an instance overlaps ``start`` to ``end`` (instants, None is open); None: the text has to be asked.

    It overlaps as in RFC 4791 9.9: it ends behind ``start`` or begins there or later, and begins before ``end``.
    ``zone`` is that of dates and floating times. Instances that are packed are there, even where the spans do not cover
    all that is asked.
    """
    if len(packed) < _HEAD.size:
        return None
    stamp, first, last, longest, flags, tables, since, gap = _HEAD.unpack_from(packed)
    if stamp != _stamp():
        return None
    low, high = _ALWAYS[0] if start is None else start, _ALWAYS[1] if end is None else end
    if gap and max(low, since) + gap <= high and max(low, since) + 2 * gap <= _ALWAYS[1]:
        return True
    local = flags & _LOCAL
    slack = DAY if local else 0
    _, at = _kinds(packed, tables, ())
    for first_second, after, _, _ in _within(packed, at, low - longest - slack, high + slack):
        begin, finish = (zone.to_instant(first_second), zone.to_instant(after)) if local else (first_second, after)
        if begin < high and (finish > low or begin >= low):
            return True
    return False if flags & _WHOLE and first - _BIAS <= low and high <= last - _BIAS else None


def _kinds(packed: bytes, tables: int, owner: Collection[str]) -> tuple[list[int | None], int]:
    """For each table what it says of the owner (None: nothing), and where the spans begin."""
    at = _HEAD.size
    kinds: list[int | None] = []
    hashes: frozenset[bytes] = frozenset()
    for _ in range(tables):
        (count,) = _COUNT.unpack_from(packed, at)
        at += _COUNT.size
        if not count:
            kinds.append(None)
            continue
        hashes = hashes or frozenset(map(_known_hash, owner))
        end = at + count * _ENTRY.size
        entries = _ENTRY.iter_unpack(memoryview(packed)[at:end])
        kinds.append(next((kind for hashed, kind in entries if hashed in hashes), None))
        at = end
    return kinds, at


def _within(packed: bytes, at: int, low: int, high: int) -> Iterable[tuple[int, int, int, int]]:
    """The spans that start at ``low`` or later and before ``high``."""
    if len(packed) == at + _SPAN.size:  # as most objects have one
        only = _SPAN.unpack_from(packed, at)
        return (only,) if low <= only[0] < high else ()
    first, last = _place(packed, at, low), _place(packed, at, high)
    return _SPAN.iter_unpack(memoryview(packed)[at + first * _SPAN.size : at + last * _SPAN.size])


def _place(packed: bytes, at: int, start: int) -> int:
    """The number of the first span that starts at ``start`` or later."""
    low, high = 0, (len(packed) - at) // _SPAN.size
    while low < high:
        middle = (low + high) // 2
        if _SPAN.unpack_from(packed, at + middle * _SPAN.size)[0] < start:
            low = middle + 1
        else:
            high = middle
    return low
