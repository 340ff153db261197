"""VTIMEZONE for a zone that is only named: exact, and by a rule where there is one."""

from __future__ import annotations

import calendar

import pytest

from scheduling.ical.defining import definition, missing
from scheduling.ical.lines import parse
from scheduling.ical.timezones import defined, named


def text(lines: tuple[str, ...] | list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in ("BEGIN:VCALENDAR", *lines, "END:VCALENDAR")).encode()


@pytest.mark.parametrize(
    ("tzid", "rules"),
    [
        ("Europe/Berlin", ["BYMONTH=3;BYDAY=-1SU", "BYMONTH=10;BYDAY=-1SU"]),
        ("America/New_York", ["BYMONTH=3;BYDAY=2SU", "BYMONTH=11;BYDAY=1SU"]),
        ("Australia/Sydney", ["BYMONTH=4;BYDAY=1SU", "BYMONTH=10;BYDAY=1SU"]),
        ("W. Europe Standard Time", ["BYMONTH=3;BYDAY=-1SU", "BYMONTH=10;BYDAY=-1SU"]),
        ("Asia/Tokyo", []),
        ("Africa/Casablanca", []),  # by the moon: each change is told
        ("Etc/UTC", []),
    ],
)
def test_a_definition_says_what_the_name_means(tzid: str, rules: list[str]) -> None:
    lines = definition(tzid, first_year=2026, last_year=2030)
    assert lines is not None
    assert [line.removeprefix("RRULE:FREQ=YEARLY;") for line in lines if line.startswith("RRULE")] == rules
    made, meant = defined(parse(text(lines)).components[0]), named(tzid)
    assert made is not None
    assert meant is not None
    begin, end = (calendar.timegm((year, 1, 1, 0, 0, 0)) for year in (2026, 2031))
    for instant in range(begin, end, 3 * 3600 + 1):
        assert made.to_local(instant) == meant.to_local(instant), instant


def test_nothing_is_made_up() -> None:
    assert definition("Customized Time Zone", first_year=2026, last_year=2027) is None
    lines = definition("Europe/Berlin", first_year=2026, last_year=2027)
    assert lines is not None
    event = ["BEGIN:VEVENT", "DTSTART;TZID=Europe/Berlin:20260101T000000", "END:VEVENT"]
    assert missing(parse(text([*lines, *event])), first_year=2026, last_year=2027) == []
    assert missing(parse(text(event)), first_year=2026, last_year=2027) == list(lines)
    strange = ["BEGIN:VEVENT", 'DTSTART;TZID="Europe/Berlin;X=1":20260101T000000', "END:VEVENT"]
    assert missing(parse(text(strange)), first_year=2026, last_year=2027) == []


def test_a_meeting_without_end_is_not_defined_for_ever() -> None:
    lines = definition("Africa/Casablanca", first_year=2026, last_year=9999)
    assert lines is not None
    assert len(lines) < 400
