"""The events that every server is filled with: always the same for the same number.

Of ten, one recurs weekly, one lasts all day, one recurs with an override, and seven are single meetings with a time
zone, an alarm and some text. They are spread over ``DAYS`` days, so that a week holds the more of them the more there
are; ``WEEK`` and ``MONTH`` are what is asked for. Where it is asked what a calendar costs that grows, there are older
ones beside them, of the same kinds, years before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

#: The first day of the first event, and over how many days they are spread.
FIRST: Final = datetime(2025, 1, 1, tzinfo=UTC)
DAYS: Final = 3 * 365
#: When the first of the older ones is, and over how many days they are spread: the last ends years before ``FIRST``.
OLDEST: Final = datetime(2005, 1, 1, tzinfo=UTC)
OLD_DAYS: Final = 15 * 365
WEEK: Final = ("20260601T000000Z", "20260608T000000Z")
MONTH: Final = ("20260601T000000Z", "20260701T000000Z")
PAST_MONTH: Final = ("20250601T000000Z", "20250701T000000Z")
#: Up to a day behind all events.
ONWARD: Final = ("20270601T000000Z", "20380101T000000Z")

_BERLIN: Final = ZoneInfo("Europe/Berlin")
_ZONE: Final = (
    "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n"
    "BEGIN:DAYLIGHT\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nDTSTART:19700329T020000\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\n"
    "BEGIN:STANDARD\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nDTSTART:19701025T030000\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
_WORDS: Final = "What was said last time\\, what has been done since\\, and what comes next. "


def name_of(number: int) -> str:
    """The last segment of an event's URL."""
    return f"event-{number:06}.ics"


def events(count: int) -> Iterator[tuple[str, bytes]]:
    """``count`` events as (name, text)."""
    for number in range(count):
        yield name_of(number), event(number, count)


def event(number: int, count: int, *, summary: str = "Meeting") -> bytes:
    """One of ``count`` events."""
    day = FIRST + timedelta(days=number * DAYS // max(count, 1))
    return _event(number, f"{number:06}@bench.example", day, summary)


def older_name_of(number: int) -> str:
    """The last segment of an older event's URL, which is its UID as well: so ``caldavd calendar import`` names it."""
    return f"older-{number:06}.ics"


def older(number: int, count: int, *, summary: str = "Meeting") -> bytes:
    """One of ``count`` older events."""
    day = OLDEST + timedelta(days=number * OLD_DAYS // max(count, 1))
    return _event(number, f"older-{number:06}", day, summary)


def _event(number: int, uid: str, day: datetime, summary: str) -> bytes:
    hour = 7 + number % 10
    kind = number % 10
    if kind == 0:
        body = _meeting(uid, day, hour, summary, "RRULE:FREQ=WEEKLY;COUNT=10\r\n")
    elif kind == 1:
        after = day + timedelta(days=1)
        body = _component(uid, f"DTSTART;VALUE=DATE:{day:%Y%m%d}\r\nDTEND;VALUE=DATE:{after:%Y%m%d}\r\n", summary)
    elif kind == 2:
        moved = day + timedelta(days=1)
        rid = f"RECURRENCE-ID;TZID=Europe/Berlin:{moved:%Y%m%d}T{hour:02}0000\r\n"
        body = _meeting(uid, day, hour, summary, "RRULE:FREQ=DAILY;COUNT=3\r\n")
        body += _meeting(uid, moved, hour + 1, f"{summary}, later", rid)
    else:
        body = _meeting(uid, day, hour, summary, "")
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//bench//EN\r\n{_ZONE}{body}END:VCALENDAR\r\n"
    return text.encode()


def _meeting(uid: str, day: datetime, hour: int, summary: str, more: str) -> str:
    start = f"DTSTART;TZID=Europe/Berlin:{day:%Y%m%d}T{hour:02}0000\r\n"
    return _component(uid, f"{start}DURATION:PT45M\r\n{more}", summary)


def _component(uid: str, times: str, summary: str) -> str:
    return (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n{times}SUMMARY:{summary} {uid[:6]}\r\n"
        f"LOCATION:Room {uid[4:6]}\r\nDESCRIPTION:{_folded(_WORDS * 4)}\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Soon\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\n"
    )


def _folded(text: str) -> str:
    return "\r\n ".join(text[place : place + 60] for place in range(0, len(text), 60))


# --- what is right ---------------------------------------------------------------------------------------------------


def instants(number: int, count: int) -> list[tuple[datetime, datetime]]:
    """The instances of an event, as the generator knows them: from and to, UTC."""
    day = FIRST + timedelta(days=number * DAYS // max(count, 1))
    hour = 7 + number % 10
    kind = number % 10
    if kind == 1:
        return [(day, day + timedelta(days=1))]
    days = {0: [7 * week for week in range(10)], 2: [0, 1, 2]}.get(kind, [0])
    found = []
    for after in days:
        late = kind == 2 and after == 1  # the override
        local = (day + timedelta(days=after)).replace(hour=hour + late, tzinfo=_BERLIN)
        start = local.astimezone(UTC)
        found.append((start, start + timedelta(minutes=45)))
    return found


def instant(text: str) -> datetime:
    """A UTC DATE-TIME of iCalendar."""
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def matching(count: int, span: tuple[str, str]) -> dict[str, int]:
    """The names of the events with an instance in ``span``, and how many VEVENTs each has."""
    start, end = map(instant, span)
    return {
        name_of(number): 1 + (number % 10 == 2)
        for number in range(count)
        if any(low < end and high > start for low, high in instants(number, count))
    }


def busy(count: int, span: tuple[str, str]) -> list[tuple[datetime, datetime]]:
    """The busy time within ``span``, disjoint and in order."""
    start, end = map(instant, span)
    found = sorted(
        (max(low, start), min(high, end))
        for number in range(count)
        for low, high in instants(number, count)
        if low < end and high > start
    )
    return joined(found)


def joined(periods: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Periods in order, with those that touch made one."""
    told: list[tuple[datetime, datetime]] = []
    for low, high in sorted(periods):
        if told and low <= told[-1][1]:
            told[-1] = told[-1][0], max(told[-1][1], high)
        else:
            told.append((low, high))
    return told
