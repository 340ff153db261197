"""The hours of a room as a person writes them (``Mon-Fri 08:00-18:00; Sat 09:00-12:00``), as VAVAILABILITY (RFC 7953).

Pure: texts in, texts out. Where they are kept (``calendar-availability`` of the inbox) is in ``room_rules``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from caldavd.xml.parse import parse as parse_xml, text_of
from scheduling.ical.lines import ICalendarError, escape, parse, text
from scheduling.ical.zone_text import definition

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
RULE: Final = "days and times such as Mon-Fri 08:00-18:00; Sat,Sun 09:00-12:00"
#: What the hours begin with; 2024-01-01 is a Monday.
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_PART: Final = re.compile(r"([A-Za-z,\s-]+?)\s+(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)")


def checked(hours: str) -> str:
    """``hours`` in one way of writing them; empty for none. Raises ValueError for what says no hours."""
    parts = [part.strip() for part in hours.split(";") if part.strip()]
    return "; ".join(f"{_shown(days)} {_time(start)}-{_time(end)}" for days, start, end in map(_read, parts))


def _read(part: str) -> tuple[tuple[int, ...], int, int]:
    """Days (Monday is 0), and minutes of the day; the end may lie on the next one."""
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"hours = {part!r}: write {RULE}")
    first, last, start, end = (60 * int(match[at]) + int(match[at + 1]) for at in (2, 4, 2, 4))
    if first > 24 * 60 or last > 24 * 60 or int(match[3]) > 59 or int(match[5]) > 59 or first == last:
        raise ValueError(f"hours = {part!r}: write {RULE}")
    return _days(match[1], part), start, end if end > start else end + 24 * 60


def _days(words: str, part: str) -> tuple[int, ...]:
    found: set[int] = set()
    for word in filter(None, re.split(r"[,\s]+", words.replace(" -", "-").replace("- ", "-"))):
        ends = [day[:3].title() for day in word.split("-")]
        if len(ends) > 2 or any(day not in DAYS for day in ends):
            raise ValueError(f"hours = {part!r}: the days are {', '.join(DAYS)}")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return tuple(sorted(found))


def _shown(days: tuple[int, ...]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] + (f"-{DAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)


def _time(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def availability(hours: str, zone: str) -> str:
    """The VAVAILABILITY of ``hours`` (as ``checked`` gives them) in an IANA zone, or UTC where it is empty."""
    head, _, tail = (definition(zone) if zone else "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n").rpartition(
        "END:"
    )
    lines = ["BEGIN:VAVAILABILITY", "UID:hours", "DTSTAMP:20240101T000000Z", f"SUMMARY:{escape(hours)}"]
    for number, (days, start, end) in enumerate(_read(part.strip()) for part in hours.split(";")):
        day = _MONDAY + timedelta(days=days[0])
        by_day = ",".join(DAYS[one][:2].upper() for one in days)
        lines += [
            "BEGIN:AVAILABLE",
            f"UID:hours-{number}",
            "DTSTAMP:20240101T000000Z",
            _moment("DTSTART", day + timedelta(minutes=start), zone),
            _moment("DTEND", day + timedelta(minutes=end), zone),
            f"RRULE:FREQ=WEEKLY;BYDAY={by_day}",
            "END:AVAILABLE",
        ]
    return head + "".join(f"{line}\r\n" for line in [*lines, "END:VAVAILABILITY"]) + f"END:{tail}"


def _moment(name: str, at: datetime, zone: str) -> str:
    return f"{name};TZID={zone}:{at:%Y%m%dT%H%M%S}" if zone else f"{name}:{at:%Y%m%dT%H%M%SZ}"


def shown(xml: bytes) -> str:
    """The hours in a stored ``calendar-availability``; where they were not written here, that there are some."""
    try:
        for component in parse((text_of(parse_xml(xml)) or "").encode()).components:
            line = component.first("SUMMARY")
            if component.name == "VAVAILABILITY" and line is not None and checked(text(line.value)) == text(line.value):
                return text(line.value)
    except (ICalendarError, ValueError):
        pass
    return "set by a calendar program"
