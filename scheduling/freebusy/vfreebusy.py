"""When somebody is busy: from calendar objects to busy periods, and to the VFREEBUSY that tells them.

Owns RFC 4791 7.10 (free-busy-query): what blocks time. The arithmetic of periods is in ``ical.periods``; which
calendars count and who may ask is decided by whoever calls.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from scheduling.addresses import normal
from scheduling.ical.lines import Component, ContentLine, ICalendarError, escape, fold, line_text, parse, text
from scheduling.ical.periods import OF_FBTYPE, Busy, BusyPeriod, clip
from scheduling.ical.recurrence import instances
from scheduling.ical.rrule import Budget
from scheduling.ical.spans import Blocking
from scheduling.ical.timerange import period_instants
from scheduling.ical.timezones import Zones
from scheduling.ical.values import Period, moments_of, write_utc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from scheduling.ical.timezones import Zone

PRODID: Final = "-//caldavd//caldavd//EN"
#: So that no content line of an answer about a busy year grows without bound.
_PERIODS_A_LINE: Final = 20

#: PARTSTAT of the calendar's owner (RFC 5545 3.2.12): who declined or handed on is not there; who has not answered, or
#: not firmly, may be.
_BY_PARTSTAT: Final = {
    "DECLINED": None,
    "DELEGATED": None,
    "NEEDS-ACTION": Busy.TENTATIVE,
    "TENTATIVE": Busy.TENTATIVE,
}


def busy(
    body: bytes,
    start: int,
    end: int,
    zone: Zone,
    *,
    owner: Collection[str] = frozenset(),
    mask_uid: str | None = None,
    budget: Budget | None = None,
) -> Iterator[BusyPeriod]:
    """The busy periods of one stored object between two instants, neither merged nor in order.

    ``zone`` is that of dates and floating times; ``owner`` are the normal addresses of the calendar's owner, whose
    PARTSTAT counts in a meeting; ``mask_uid`` is left out (X-CALENDARSERVER-MASK-UID: the meeting that is being moved).
    A recurrence beyond ``budget`` (its own, where none is given) counts as far as the budget goes; a text that cannot
    be read blocks nothing.
    """
    try:
        yield from busy_in(parse(body), start, end, zone, owner=owner, mask_uid=mask_uid, budget=budget)
    except ICalendarError:  # TooManyInstances is one
        return


def busy_in(
    calendar: Component,
    start: int,
    end: int,
    zone: Zone,
    *,
    owner: Collection[str] = frozenset(),
    mask_uid: str | None = None,
    budget: Budget | None = None,
) -> Iterator[BusyPeriod]:
    """As ``busy``, of an object that was parsed. Raises ICalendarError, TooManyInstances where it cannot go on."""
    if mask_uid is not None and _uid(calendar) == mask_uid:
        return
    yield from clip(_of_events(calendar, start, end, zone, owner, budget or Budget()), start, end)
    yield from clip(_of_freebusy(calendar, zone), start, end)


def _uid(calendar: Component) -> str | None:
    for component in calendar.components:
        line = component.first("UID")
        if line is not None:
            return text(line.value)
    return None


def _of_events(
    calendar: Component, start: int, end: int, zone: Zone, owner: Collection[str], budget: Budget
) -> Iterator[BusyPeriod]:
    for instance in instances(calendar, start, end, zone, budget):
        component = instance.component
        if component.name != "VEVENT" or instance.start is None or instance.end is None:
            continue
        kind = kind_of(component, owner)
        if kind is not None:
            yield BusyPeriod(instance.start, instance.end, kind)


def kind_of(event: Component, owner: Collection[str] = frozenset()) -> Busy | None:
    """How busy a VEVENT makes (RFC 4791 7.10, the table): None where it blocks no time."""
    transp = event.first("TRANSP")
    if transp is not None and transp.value.strip().upper() == "TRANSPARENT":
        return None
    status_line = event.first("STATUS")
    status = status_line.value.strip().upper() if status_line is not None else "CONFIRMED"
    if status == "CANCELLED":
        return None
    kind = Busy.TENTATIVE if status == "TENTATIVE" else Busy.BUSY
    mine = _partstat(event, owner) if owner else None
    if mine in _BY_PARTSTAT:
        by_answer = _BY_PARTSTAT[mine]
        return None if by_answer is None else min(kind, by_answer)
    return kind


def blocking_of(event: Component) -> Blocking | None:
    """How busy a VEVENT makes whom: ``kind_of`` for every possible owner at once, for the packed spans."""
    kind = kind_of(event)
    if kind is None:
        return None
    organizer = event.first("ORGANIZER")
    if organizer is None:
        return Blocking(kind)
    others: dict[str, int] = {normal(organizer.value): kind}
    for attendee in event.all("ATTENDEE"):
        by_answer = _BY_PARTSTAT.get((attendee.param("PARTSTAT") or "NEEDS-ACTION").upper(), kind)
        others.setdefault(normal(attendee.value), 0 if by_answer is None else min(kind, by_answer))
    return Blocking(kind, tuple(others.items()))


def _partstat(event: Component, owner: Collection[str]) -> str | None:
    """The owner's PARTSTAT, where the owner is an attendee and not the organizer; None where no answer counts."""
    organizer = event.first("ORGANIZER")
    if organizer is None or normal(organizer.value) in owner:
        return None
    for attendee in event.all("ATTENDEE"):
        if normal(attendee.value) in owner:
            return (attendee.param("PARTSTAT") or "NEEDS-ACTION").upper()
    return None


def _of_freebusy(calendar: Component, zone: Zone) -> Iterator[BusyPeriod]:
    """The FREEBUSY properties of stored VFREEBUSY components count as they are (RFC 4791 7.10)."""
    zones = Zones(calendar, zone)
    for component in calendar.components:
        if component.name != "VFREEBUSY":
            continue
        for line in component.all("FREEBUSY"):
            fbtype = (line.param("FBTYPE") or "BUSY").upper()
            if fbtype == "FREE":
                continue
            for value in moments_of(line):
                if isinstance(value, Period):
                    begin, finish = period_instants(value, zones)
                    yield BusyPeriod(begin, finish, OF_FBTYPE.get(fbtype, Busy.BUSY))


def answer(
    periods: Iterable[BusyPeriod],
    start: int,
    end: int,
    *,
    now: int,
    uid: str | None = None,
    method: str | None = None,
    properties: Sequence[ContentLine] = (),
) -> bytes:
    """A VCALENDAR with one VFREEBUSY that tells ``periods`` between two instants (RFC 4791 7.10, RFC 5546 3.3).

    The periods are disjoint, in order and between the two, as ``clip`` and ``merge`` leave them (RFC 5545 3.8.2.6).
    ``now`` is the DTSTAMP; ``method`` is for iTIP; ``properties`` (ORGANIZER, ATTENDEE) are added as they are. Every
    VFREEBUSY has a UID (RFC 5545 3.6.4; the example of RFC 4791 7.10.1 has none): without ``uid`` one of what it says.
    """
    said = [
        f"DTSTAMP:{write_utc(now)}",
        f"DTSTART:{write_utc(start)}",
        f"DTEND:{write_utc(end)}",
        *map(line_text, properties),
    ]
    by_kind: dict[Busy, list[str]] = {}
    for begin, finish, kind in periods:
        by_kind.setdefault(kind, []).append(f"{write_utc(begin)}/{write_utc(finish)}")
    for kind in sorted(by_kind, reverse=True):
        spans, name = by_kind[kind], f"FREEBUSY;FBTYPE={kind.fbtype}:"
        said += [name + ",".join(spans[at : at + _PERIODS_A_LINE]) for at in range(0, len(spans), _PERIODS_A_LINE)]
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}", *([f"METHOD:{method}"] if method is not None else [])]
    named = line_text(ContentLine.make("UID", escape(uid or _uid_of(said))))
    return b"".join(map(fold, (*head, "BEGIN:VFREEBUSY", named, *said, "END:VFREEBUSY", "END:VCALENDAR")))


def _uid_of(lines: Iterable[str]) -> str:
    said = blake2b("\0".join(lines).encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{said.hexdigest()}@caldavd"
