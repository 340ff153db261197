"""May this text be stored as a calendar object resource?

Owns RFC 4791 4.1 and the preconditions of 5.3.2.1 that a text alone decides: ``supported-calendar-data``,
``valid-calendar-data``, ``valid-calendar-object-resource``, ``supported-calendar-component``,
``max-attendees-per-instance``, and, by ``check_dates``, ``min-date-time`` and ``max-date-time``. What needs the
collection (``no-uid-conflict``) is the store's, ``max-instances`` is the recurrence side's (``recurrence``), the media
type is HTTP's.

Whoever reads a stored object may rely on this: it is one VCALENDAR; its components besides VTIMEZONE are of one kind
and have one UID; at most one of them has no RECURRENCE-ID and no two have the same; every property in ``CHECKS`` can be
read by the functions named there, except that RRULE may be empty; every VEVENT has a DTSTART.

What clients send against the letter of the RFCs and a reader can still make sense of is stored as sent (each with a
test; "collection" is that of real .ics files):

- no DTSTAMP, PRODID or VERSION: many files of the collection, DAVx5's time zones (davx5-ose#1246); nothing is read
  from them;
- DTSTAMP, CREATED or LAST-MODIFIED that is no date: Google writes 00001231T000000Z (nextcloud/calendar#2213); the
  property counts as absent;
- DTEND and DURATION in one VEVENT: Thunderbird, with DURATION:PT0S (clients.md 2.4); DTEND counts;
- VALUE=DATE with a DATE-TIME or the reverse: a festival's feed in the collection; the form of the text counts;
- EXDATE as DATE where DTSTART is a DATE-TIME: Evolution (clients.md 4); RECURRENCE-ID so: Exchange; UNTIL so: Google
  (collection); what they mean is in ``recurrence``;
- RDATE:20131210Z: Google's birthday calendars (collection); a DATE. DURATION:PT1W (collection); a week;
- an empty RRULE: Calendar Labs (collection); no rule. Several RRULEs, which RFC 5545 3.8.5.3 says SHOULD NOT be: Zimbra
  and others (collection);
- a VTODO with RRULE and DUE but no DTSTART: task lists (vobject#104, xandikos#663);
- TZID without VTIMEZONE where ``timezones`` knows the name: RFC 7809 clients, Outlook, Google (collection); VTIMEZONE
  without STANDARD and DAYLIGHT where it knows the name: ical.net (ical.net#58);
- an absolute TRIGGER without VALUE=DATE-TIME: the examples of RFC 2445 (collection); the form of the text counts;
- VALARM without TRIGGER or ACTION (collection); it never goes off. ACTION:NONE, which is Apple's "no alarm";
- ATTENDEE and ORGANIZER that are no URI (collection); scheduling passes over them;
- unknown components and properties, and control characters except NUL: kept.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scheduling.ical import recur, timezones, values
from scheduling.ical.available import check_availability
from scheduling.ical.lines import OBJECT_LIMITS, ContentLine, ICalendarError, parse, text
from scheduling.ical.values import Moment, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from scheduling.ical.lines import Component, Limits

#: The kinds of component that a calendar object resource may be of, where nothing narrower is asked (RFC 4791 4.1).
KINDS: Final = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"})
#: All that make an object and have a UID; VAVAILABILITY (RFC 7953) is accepted only where it is asked for.
OBJECT_COMPONENTS: Final = KINDS | {"VAVAILABILITY"}


@dataclass(frozen=True, slots=True)
class CalendarObject:
    """What was found: the UID, the kind of component (upper case), and the parsed text."""

    uid: str
    kind: str
    calendar: Component

    @property
    def components(self) -> list[Component]:
        """The components that carry the UID: the master and its overrides, in the order of the text."""
        return [item for item in self.calendar.components if item.name == self.kind]


class NotStorableError(ICalendarError):
    """The text is iCalendar, but not a calendar object resource that may be stored here; ``condition`` says why."""


def _refuse(
    message: str, at: Component | ContentLine | None, condition: str = "valid-calendar-data"
) -> NotStorableError:
    return NotStorableError(message, at.line if at is not None else None, condition)


def validate(
    data: bytes,
    *,
    supported: Collection[str] = KINDS,
    max_attendees: int | None = None,
    known_zone: Callable[[str], bool] | None = None,
    limits: Limits = OBJECT_LIMITS,
) -> CalendarObject:
    """The calendar object resource that ``data`` is. Raises ICalendarError with ``condition``, sentence and line.

    ``supported`` are the kinds of component that the collection takes (RFC 4791 5.2.3); ``max_attendees`` the most
    ATTENDEEs that one component may have (RFC 4791 5.2.9); ``known_zone`` says whether a TZID needs no VTIMEZONE.
    """
    return check(parse(data, limits=limits), supported=supported, max_attendees=max_attendees, known_zone=known_zone)


def check(
    calendar: Component,
    *,
    supported: Collection[str] = KINDS,
    max_attendees: int | None = None,
    known_zone: Callable[[str], bool] | None = None,
) -> CalendarObject:
    """``validate`` for a text that is parsed already."""
    check_header(calendar)
    method = calendar.first("METHOD")
    if method is not None:
        raise _refuse("A stored calendar object has no METHOD (RFC 4791 4.1).", method, condition=_OBJECT)
    _check_lists(calendar)
    kind, components = _one_kind(calendar, supported)
    uid = _one_uid(components)
    _check_instances(components)
    known = is_known_zone if known_zone is None else known_zone
    for component in components:
        check_component(component)
        if max_attendees is not None and len(component.all("ATTENDEE")) > max_attendees:
            raise _refuse(
                f"There are more than {max_attendees} attendees.", component, condition="max-attendees-per-instance"
            )
    defined = _check_zones(calendar, known)
    for component in components:
        _check_references(component, defined, known)
    return CalendarObject(uid, kind, calendar)


# --- the object ------------------------------------------------------------------------------------------------------


_OBJECT: Final = "valid-calendar-object-resource"
#: Values in lists of times of one object, time zones included. The dates that are excluded count as much as those that
#: are made (max-instances, RFC 4791 5.2.8), since each is read again wherever the object is looked at.
MAX_LISTED: Final = 20_000
_LISTS: Final = frozenset({"RDATE", "EXDATE", "FREEBUSY"})


def _check_lists(calendar: Component) -> None:
    """How many values there are, before any is read. Raises ICalendarError."""
    left = MAX_LISTED
    waiting = [calendar]
    while waiting:
        component = waiting.pop()
        waiting += component.components
        for line in component.properties:
            if line.name in _LISTS:
                left -= line.value.count(",") + 1
                if left < 0:
                    message = f"An object lists at most {MAX_LISTED} dates and periods."
                    raise _refuse(message, line, condition="max-instances")


def check_header(calendar: Component) -> None:
    """VERSION and CALSCALE (RFC 5545 3.7.1, 3.7.4). Raises ICalendarError."""
    version = calendar.first("VERSION")
    if version is not None and "2.0" not in version.value.split(";"):  # RFC 5545 3.7.4: "min;max" is allowed
        raise _refuse(
            f"This is version {version.value[:20]} of iCalendar; only 2.0 can be read.",
            version,
            condition="supported-calendar-data",
        )
    scale = calendar.first("CALSCALE")
    if scale is not None and scale.value.strip().upper() not in {"GREGORIAN", ""}:
        raise _refuse("The calendar scale is not GREGORIAN, the only one there is (RFC 5545 3.7.1).", scale)


def _one_kind(calendar: Component, supported: Collection[str]) -> tuple[str, list[Component]]:
    components = [item for item in calendar.components if item.name in OBJECT_COMPONENTS]
    if not components:
        other = next((item for item in calendar.components if item.name != "VTIMEZONE"), None)
        if other is not None:
            raise _refuse(
                f"{other.name[:40]} is no kind of component that can be stored here.",
                other,
                condition="supported-calendar-component",
            )
        raise _refuse(
            "There is no component besides time zones in this calendar.",
            calendar,
            condition=_OBJECT,
        )
    kind = components[0].name
    for item in components:
        if item.name != kind:
            raise _refuse(
                f"There is a {item.name} beside a {kind}; one object has components of one kind (RFC 4791 4.1).",
                item,
                condition=_OBJECT,
            )
    if kind not in supported:
        raise _refuse(
            f"This collection takes no {kind}, only {', '.join(sorted(supported))}.",
            components[0],
            condition="supported-calendar-component",
        )
    return kind, components


def _one_uid(components: list[Component]) -> str:
    uid = ""
    for component in components:
        line = component.first("UID")
        if line is None or not line.value.strip():
            raise _refuse(f"A {component.name} has no UID.", line or component, condition=_OBJECT)
        if not uid:
            uid = text(line.value)
        elif text(line.value) != uid:
            raise _refuse(
                f'The UID "{line.value[:60]}" differs from that of the first component; one object has one UID'
                " (RFC 4791 4.1).",
                line,
                condition=_OBJECT,
            )
    return uid


def _check_instances(components: list[Component]) -> None:
    """At most one component without RECURRENCE-ID, and none of them twice (RFC 4791 4.1, RFC 5545 3.8.4.4)."""
    seen: set[Moment | None] = set()
    for component in components:
        line = component.first("RECURRENCE-ID")
        which = values.moment_of(line) if line is not None else None
        if which in seen:
            said = "no RECURRENCE-ID" if line is None else f"the RECURRENCE-ID {line.value}"
            raise _refuse(
                f"Two components with the same UID have {said}.",
                line or component,
                condition=_OBJECT,
            )
        seen.add(which)


# --- properties ------------------------------------------------------------------------------------------------------

_INTEGER: Final = re.compile(r"\s*[+-]?\d{1,10}\s*", re.ASCII)


def _integer(value: str) -> None:
    if _INTEGER.fullmatch(value) is None:
        raise ICalendarError(f'"{value[:40]}" is no whole number.')


def _rule(value: str) -> None:
    if value.strip():
        recur.parse(value)


def _moments(value: str) -> list[Moment | Period]:
    return values.moments_of(ContentLine("", (), value))


def _trigger(value: str) -> None:
    if "P" in value.upper():
        values.duration(value)
    else:
        values.moment(value)


def _periods(value: str) -> None:
    if not all(isinstance(one, Period) for one in _moments(value)):
        raise ICalendarError("FREEBUSY holds periods, each with a start and an end.")


#: The properties whose values are judged, wherever they stand, and by what: the others decide nothing on the server.
CHECKS: Final[dict[str, Callable[[str], object]]] = {
    "DTSTART": values.moment,  # RFC 5545 3.8.2.4
    "DTEND": values.moment,  # 3.8.2.2
    "DUE": values.moment,  # 3.8.2.3
    "COMPLETED": values.moment,  # 3.8.2.1
    "DURATION": values.duration,  # 3.8.2.5
    "FREEBUSY": _periods,  # 3.8.2.6
    "RECURRENCE-ID": values.moment,  # 3.8.4.4
    "EXDATE": _moments,  # 3.8.5.1
    "RDATE": _moments,  # 3.8.5.2
    "RRULE": _rule,  # 3.8.5.3
    "TRIGGER": _trigger,  # 3.8.6.3
    "REPEAT": _integer,  # 3.8.6.2
    "SEQUENCE": _integer,  # 3.8.7.4
    "PRIORITY": _integer,  # 3.8.1.9
    "PERCENT-COMPLETE": _integer,  # 3.8.1.8
    "TZOFFSETFROM": values.offset,  # 3.8.3.3
    "TZOFFSETTO": values.offset,  # 3.8.3.4
}


def _judge(name: str, value: str) -> None:
    CHECKS[name](value)


_judge_cached = lru_cache(maxsize=4096)(_judge)  # the same time zones come with every object
_CACHED_VALUE: Final = 100


def check_component(component: Component) -> None:
    """What one VEVENT, VTODO … must be by itself. Raises ICalendarError."""
    if component.name == "VEVENT" and component.first("DTSTART") is None:
        raise _refuse("A VEVENT has no DTSTART (RFC 5545 3.6.1).", component)
    _check_once(component)
    check_values(component)
    if component.name == "VAVAILABILITY":
        check_availability(component)


def check_values(component: Component) -> None:
    """Every value in ``component``, and in those inside it, that ``CHECKS`` names. Raises ICalendarError."""
    for item in component.walk():
        for line in item.properties:
            if line.name in CHECKS:
                try:
                    (_judge_cached if len(line.value) < _CACHED_VALUE else _judge)(line.name, line.value)
                except ICalendarError as error:
                    raise NotStorableError(f"{line.name}: {error.message}", line.line, error.condition) from None


#: Properties that decide what the object is, and so may not contradict themselves (RFC 5545 3.6.1 to 3.6.4).
_ONCE: Final = frozenset({"UID", "DTSTART", "DTEND", "DUE", "DURATION", "RECURRENCE-ID", "ORGANIZER"})


def _check_once(component: Component) -> None:
    if len(component.properties) == len({line.name for line in component.properties}):
        return
    counts = Counter(line.name for line in component.properties if line.name in _ONCE)
    for name, count in counts.items():
        found = component.all(name)
        if count > 1 and any((line.value, line.params) != (found[0].value, found[0].params) for line in found):
            raise _refuse(f"A {component.name} has two different {name} properties.", found[1])


# --- time zones ------------------------------------------------------------------------------------------------------

#: The properties in which a TZID means a time zone (RFC 5545 3.2.19).
_ZONED: Final = frozenset({"DTSTART", "DTEND", "DUE", "RECURRENCE-ID", "EXDATE", "RDATE"})
#: RFC 5545 3.6.5: what every STANDARD and DAYLIGHT has.
_OBSERVANCE: Final = ("DTSTART", "TZOFFSETFROM", "TZOFFSETTO")


def _check_zones(calendar: Component, known: Callable[[str], bool]) -> set[str]:
    """The TZIDs that the VTIMEZONEs of ``calendar`` define."""
    defined: set[str] = set()
    for zone in calendar.components:
        if zone.name == "VTIMEZONE":
            check_zone(zone, known)
            defined.update(name for line in zone.all("TZID") for name in (line.value, text(line.value).strip()))
    return defined


def check_zone(zone: Component, known: Callable[[str], bool]) -> None:
    """What a VTIMEZONE must be (RFC 5545 3.6.5). Raises ICalendarError."""
    tzid = zone.first("TZID")
    if tzid is None:
        raise _refuse("A VTIMEZONE has no TZID (RFC 5545 3.6.5).", zone)
    observances = [item for item in zone.components if item.name in {"STANDARD", "DAYLIGHT"}]
    if not observances and not known(tzid.value):
        raise _refuse("A VTIMEZONE has neither STANDARD nor DAYLIGHT (RFC 5545 3.6.5).", zone)
    check_values(zone)
    for item in observances:
        for name in _OBSERVANCE:
            if item.first(name) is None:
                raise _refuse(f"A {item.name} of a VTIMEZONE has no {name} (RFC 5545 3.6.5).", item)


def _check_references(component: Component, defined: set[str], known: Callable[[str], bool]) -> None:
    for item in component.walk():
        for line in item.properties:
            if not line.params or line.name not in _ZONED:
                continue
            tzid = line.param("TZID")
            if tzid and tzid not in defined and not known(tzid):
                raise _refuse(
                    f'The time zone "{tzid[:60]}" has no VTIMEZONE here and no name that is known (RFC 5545 3.2.19).',
                    line,
                )


def is_known_zone(tzid: str) -> bool:
    """Whether ``tzid`` names a zone that needs no VTIMEZONE (see ``timezones``)."""
    return timezones.named(tzid) is not None


# --- bounds ----------------------------------------------------------------------------------------------------------


def check_dates(found: CalendarObject, *, earliest: datetime | None, latest: datetime | None) -> None:
    """``min-date-time`` and ``max-date-time`` (RFC 4791 5.2.6, 5.2.7) for the dates that are written in the object.

    ``earliest`` and ``latest`` are aware datetimes; the first is allowed, the second is not. Values are compared by
    what the clock on the wall shows, so that a local time less than a day from a bound may fall on either side of it.
    CREATED and other dates that say nothing about *when* the object takes place are not judged (Google writes the year
    0 there), nor alarms (Apple's "no alarm" is a TRIGGER in 1976), nor VTIMEZONEs (which begin in 1601). Instances that
    a rule makes are the recurrence side's. Raises NotStorableError.
    """
    low = values.MIN_LOCAL if earliest is None else int(earliest.timestamp())
    high = values.MAX_LOCAL + 1 if latest is None else int(latest.timestamp())
    for component in found.components:
        for line in component.properties:
            if line.name not in _ZONED:
                continue
            for local in _locals(line):
                if local < low:
                    raise _refuse(f"{line.name} is before the earliest date that can be stored.", line, "min-date-time")
                if local >= high:
                    raise _refuse(f"{line.name} is after the latest date that can be stored.", line, "max-date-time")


def _locals(line: ContentLine) -> list[int]:
    return [value.start.local if isinstance(value, Period) else value.local for value in values.moments_of(line)]
