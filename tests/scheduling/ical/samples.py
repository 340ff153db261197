"""The collection of real .ics files beside the tree, where it is there, and texts made for a test."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "ics"
FILES = sorted(FOLDER.glob("*/*.ics"))


def sample_id(path: object) -> str:
    """``node-ical/easter.ics`` and the like; what pytest shows and what tables of expectations are keyed by."""
    assert isinstance(path, Path)
    return str(path.relative_to(FOLDER))


def calendar(body: str) -> bytes:
    """A VCALENDAR around ``body`` (LF line ends become CRLF)."""
    lines = ["BEGIN:VCALENDAR", *body.strip("\n").split("\n"), "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def event(properties: str = "UID:1") -> str:
    """A VEVENT that starts at the beginning of 2026 (UTC) and has ``properties``."""
    return f"BEGIN:VEVENT\n{properties}\nDTSTART:20260101T000000Z\nEND:VEVENT\n"
