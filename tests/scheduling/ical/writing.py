"""Short ways to write calendar objects and times in tests."""

from __future__ import annotations

from pathlib import Path

from scheduling.ical.lines import Component, parse
from scheduling.ical.timezones import IanaZone
from scheduling.ical.values import moment, write_utc

#: Files that other projects collected; beside the repository, not in it.
DATA = Path(__file__).parents[4] / "shared" / "data" / "ics"
#: The calendar collection of RFC 4791 appendix B.
APPENDIX_B = Path(__file__).parent / "rfc4791"
BERLIN = IanaZone("Europe/Berlin")
NEW_YORK = IanaZone("America/New_York")


def source(*components: str, uid: str = "1") -> bytes:
    """A VCALENDAR with components written as "VEVENT DTSTART:… RRULE:…": name, and one property a line."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for component in components:
        name, *properties = (line.strip() for line in component.strip().splitlines())
        lines += [f"BEGIN:{name}", f"UID:{uid}", *properties, f"END:{name}"]
    return ("\r\n".join([*lines, "END:VCALENDAR"]) + "\r\n").encode()


def calendar(*components: str) -> Component:
    """The same, parsed."""
    return parse(source(*components))


def utc(text: str) -> int:
    """An instant: "20240101T120000Z", or "20240101" for its midnight."""
    return moment(text).local


def shown(instant: int | None) -> str:
    """An instant as people read it, without seconds: "2024-01-01 12:00"; a dash where there is none."""
    if instant is None:
        return "-"
    text = write_utc(instant)
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[9:11]}:{text[11:13]}"
