"""What a PUT does not do: it asks no calendar library, and reads no VTIMEZONE that it has read before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dateutil.rrule
import icalendar
import pytest
import recurring_ical_events

from scheduling.ical import lines, timezones
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import OBJECT_COMPONENTS
from scheduling.indexing import object_row
from tests.scheduling.ical.writing import DATA

GOLDEN = Path(__file__).parents[2] / "caldavd" / "golden"
ZONE = """BEGIN:VTIMEZONE\r
TZID:Europe/Berlin\r
BEGIN:DAYLIGHT\r
DTSTART:19810329T020000\r
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0200\r
END:DAYLIGHT\r
{more}BEGIN:STANDARD\r
DTSTART:19961027T030000\r
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
"""
#: As Thunderbird sends them: one observance for each change of the clocks since 1970.
MANY = "".join(
    f"BEGIN:STANDARD\r\nDTSTART:{1970 + at // 4}{at % 4 + 1:02}01T000000\r\nTZOFFSETFROM:+0100\r\n"
    "TZOFFSETTO:+0100\r\nEND:STANDARD\r\n"
    for at in range(120)
)


CALENDAR = re.compile(rb"^BEGIN:VCALENDAR\r?\n.*?^END:VCALENDAR\r?\n", re.DOTALL | re.MULTILINE)


def bodies() -> Iterator[bytes]:
    for file in sorted(GOLDEN.glob("*.http")):
        yield from CALENDAR.findall(file.read_bytes())
    for file in sorted(DATA.rglob("*.ics")):
        yield file.read_bytes()


def put(body: bytes) -> None:
    """What a PUT does between the body and the row."""
    object_row(body, supported=OBJECT_COMPONENTS, limits=None)


def test_no_library_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("A general library was asked.")

    monkeypatch.setattr(icalendar.Component, "from_ical", refuse)
    monkeypatch.setattr(icalendar.Calendar, "from_ical", refuse)
    monkeypatch.setattr(recurring_ical_events, "of", refuse)
    monkeypatch.setattr(dateutil.rrule, "rrulestr", refuse)
    taken = 0
    for body in bodies():
        try:
            put(body)
        except ICalendarError:
            continue
        taken += 1
    assert taken > 3


class Counted:
    """How many content lines were read, and how many definitions of zones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines = self.zones = 0
        read, define = lines._lines, timezones._define

        def reading(*arguments: object) -> Iterator[lines.ContentLine]:
            for line in read(*arguments):  # type: ignore[arg-type]
                self.lines += 1
                yield line

        def defining(component: lines.Component) -> object:
            self.zones += 1
            return define(component)

        monkeypatch.setattr(lines, "_lines", reading)
        monkeypatch.setattr(timezones, "_define", defining)


@pytest.mark.parametrize("more", ["", MANY], ids=["short", "long"])
def test_a_zone_that_was_read_is_not_read_again(more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    zone = ZONE.format(more=more).replace("TZID:Europe/Berlin", f"TZID:/once/{len(more)}/Europe/Berlin")

    def event(number: int) -> bytes:
        text = (
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//once//EN\r\n{zone}BEGIN:VEVENT\r\nUID:{number}\r\n"
            f"DTSTAMP:20240101T000000Z\r\nDTSTART;TZID=/once/{len(more)}/Europe/Berlin:20240{number}01T100000\r\n"
            "RRULE:FREQ=WEEKLY;COUNT=3\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        return text.encode()

    put(event(1))
    assert (counted.lines, counted.zones) == (event(1).count(b"\r\n"), 1)
    counted.lines = counted.zones = 0
    put(event(2))
    assert (counted.lines, counted.zones) == (7, 0)


def test_the_same_zone_elsewhere_in_a_text_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    zone = ZONE.format(more="").replace("Europe/Berlin", "/elsewhere/Europe/Berlin")
    event = (
        "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20240101T000000Z\r\n"
        "DTSTART;TZID=/elsewhere/Europe/Berlin:20240101T100000\r\nEND:VEVENT\r\n"
    )
    for parts in (zone + event, event + zone, f"X-THING:1\r\n{zone}{event}"):
        put(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//once//EN\r\n{parts}END:VCALENDAR\r\n".encode())
    assert counted.zones == 1
