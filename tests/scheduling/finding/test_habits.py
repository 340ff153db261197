"""What is learned of when somebody meets: from busy times and packed spans, without a text."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from scheduling.finding import habits
from scheduling.finding.slots import Answered
from scheduling.freebusy.busy import BusyCalendar
from scheduling.freebusy.index import Version
from scheduling.ical.digest import DIGEST_VERSION
from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.ical.timezones import UTC, named
from scheduling.ical.validate import validate
from scheduling.ical.values import DAY
from scheduling.indexing import indexed
from tests.scheduling.freebusy.busy_world import HOUR, MONDAY, object_of

ANN = "mailto:ann@example.org"
BERLIN = named("Europe/Berlin") or UTC
CALENDAR = BusyCalendar(7, Version("e", 1, ""), BERLIN, frozenset({ANN}))
INVITED = ("ORGANIZER:mailto:boss@example.org", f"ATTENDEE;PARTSTAT=%s:{ANN}", "ATTENDEE:mailto:eve@example.org")
ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:x", "TRIGGER:-P1D", "END:VALARM")


class Row(NamedTuple):
    """The columns that are read."""

    organizer: str
    spans: bytes
    digest_version: int = DIGEST_VERSION
    collection_id: int = 7


def row(*lines: str, partstat: str = "DECLINED", start: str = "DTSTART:20260302T090000Z") -> Row:
    invited = tuple(line.replace("%s", partstat) for line in INVITED)
    body = object_of("x", start, "DURATION:PT1H", *invited, *lines)
    made = indexed(validate(body, supported=("VEVENT",)), body)
    return Row(made.organizer, made.spans, made.digest_version)


def declined(*rows: Row, days: int = 7) -> list[float]:
    found = habits.declined(rows, CALENDAR, MONDAY, MONDAY + days * DAY)  # type: ignore[arg-type]
    return [(one.start - MONDAY) / HOUR for one in found if not one.accepted]


def test_the_columns_have_no_text() -> None:
    assert "body" not in habits.COLUMNS


def test_what_was_declined() -> None:
    assert declined(row()) == [9]
    assert declined(row(*ALARM)) == [9]
    assert declined(row(start="DTSTART:20260302T090000")) == [8], "floating, in the zone of the calendar"
    assert declined(row("RRULE:FREQ=DAILY;COUNT=3")) == [9, 33, 57]


@pytest.mark.parametrize("partstat", ["ACCEPTED", "TENTATIVE", "NEEDS-ACTION"])
def test_what_was_not(partstat: str) -> None:
    assert declined(row(partstat=partstat)) == []


def test_what_blocks_nobody_says_nothing() -> None:
    assert declined(row("TRANSP:TRANSPARENT")) == []
    assert declined(row("STATUS:CANCELLED")) == []
    assert declined(Row("", row().spans)) == [], "nobody has invited"
    assert declined(Row("mailto:boss@example.org", b"")) == []
    assert declined(row()._replace(digest_version=DIGEST_VERSION - 1)) == []
    assert declined(row()._replace(spans=b"\xff" * 40)) == []


def test_one_instance_of_a_series() -> None:
    invited = tuple(line.replace("%s", "ACCEPTED") for line in INVITED)
    other = tuple(line.replace("%s", "DECLINED") for line in INVITED)
    body = object_of(
        "x", "DTSTART:20260302T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", *invited, "END:VEVENT",
        "BEGIN:VEVENT", "UID:x", "DTSTAMP:20260101T000000Z", "RECURRENCE-ID:20260303T090000Z",
        "DTSTART:20260303T140000Z", "DURATION:PT1H", *other,
    )  # fmt: skip
    made = indexed(validate(body, supported=("VEVENT",)), body)
    assert declined(Row(made.organizer, made.spans)) == [38]


def test_outside_of_the_time_that_is_learned_from() -> None:
    assert declined(row(), days=0) == []
    assert declined(row(start="DTSTART:20260301T090000Z")) == []


def test_firm_meetings_of_ordinary_length_were_accepted() -> None:
    busy = [
        BusyPeriod(MONDAY, MONDAY + HOUR),
        BusyPeriod(MONDAY + 2 * HOUR, MONDAY + 3 * HOUR, Busy.TENTATIVE),
        BusyPeriod(MONDAY + 4 * HOUR, MONDAY + 5 * HOUR, Busy.UNAVAILABLE),
        BusyPeriod(MONDAY + DAY, MONDAY + 3 * DAY),
    ]
    assert list(habits.accepted(busy)) == [Answered(MONDAY, accepted=True)]


def test_a_history_is_both() -> None:
    found = habits.history([BusyPeriod(MONDAY, MONDAY + HOUR)], [(CALENDAR, [row()])], MONDAY, MONDAY + DAY)  # type: ignore[list-item]
    assert found == (Answered(MONDAY, accepted=True), Answered(MONDAY + 9 * HOUR, accepted=False))


@pytest.mark.parametrize(
    ("start", "expected"),
    [(0, (-28, 0)), (-3, (-31, -3)), (7, (-28, 0)), (56, (-28, 0)), (57, (29, 57)), (365, (337, 365))],
)
def test_the_time_that_is_learned_from(start: int, expected: tuple[int, int]) -> None:
    found = habits.range_of(MONDAY, MONDAY + start * DAY, weeks=4)
    assert tuple((one - MONDAY) // DAY for one in found) == expected
