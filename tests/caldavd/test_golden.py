"""The golden requests: what real clients send and need, one file a number (`golden/README.md` describes the files)."""

from __future__ import annotations

from pathlib import Path

import pytest

from caldavd.app import Application
from tests.caldavd.client import Client, basic, event
from tests.caldavd.golden import Player, read

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.http"))
RFC_FILES = sorted((FOLDER / "rfc").glob("*.http"))
CALENDAR = "/calendars/u1/calendar/"
SYMBOLS = {
    "root": "/",
    "princ": "/principals/u1/",
    "home": "/calendars/u1/",
    "cal": CALENDAR,
    "tasks": "/calendars/u1/tasks/",
    "inbox": "/calendars/u1/inbox/",
    "outbox": "/calendars/u1/outbox/",
    "ev": CALENDAR + "abc@example.org.ics",
    "u2home": "/calendars/u2/",
}
NUMBERS = range(1, 63)  # clients.md section 15 without push


@pytest.mark.parametrize("path", FILES + RFC_FILES, ids=lambda path: path.stem)
def test_golden(application: Application, path: Path) -> None:
    made = Client(application).put(SYMBOLS["ev"], event("abc@example.org", start="20270301T100000Z"))
    assert made.status == 201, made
    Player(application, basic, SYMBOLS).play(path)


def test_every_number_has_its_file() -> None:
    numbers = [int(path.name[:2]) for path in FILES]
    assert sorted(set(numbers)) == list(NUMBERS)
    assert all(read(path) for path in FILES)
