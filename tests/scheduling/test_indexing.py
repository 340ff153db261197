"""What may be stored, and what of its text goes into the index."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

import pytest

from config.settings import Limits
from scheduling.ical.digest import DIGEST_VERSION
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import validate
from scheduling.indexing import differences, indexed, object_row
from storage.rows import NewObject


def text(*lines: str, kind: str = "VEVENT", start: str = "DTSTART:20260102T100000Z") -> bytes:
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", f"BEGIN:{kind}", "UID:u", "DTSTAMP:20260101T000000Z"]
    return "\r\n".join([*whole, start, *lines, f"END:{kind}", "END:VCALENDAR", ""]).encode()


def row(body: bytes, **limits: object) -> NewObject:
    return object_row(body, supported=("VEVENT", "VTODO"), limits=Limits.model_validate(limits))


def refused(body: bytes, **limits: object) -> str:
    with pytest.raises(ICalendarError) as caught:
        row(body, **limits)
    return caught.value.condition


def at(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


def test_the_row_says_what_the_text_says() -> None:
    body = text("DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "ORGANIZER:mailto:A@example.org", "TRANSP:TRANSPARENT")
    found = row(body)
    assert (found.body, found.uid, found.component, found.content_type) == (
        body,
        "u",
        "VEVENT",
        "text/calendar; charset=utf-8",
    )
    assert (found.recurs, found.transparent, found.organizer) == (True, True, "mailto:A@example.org")
    assert found.starts_at is not None
    assert found.ends_at is not None
    assert found.starts_at <= at(2026, 1, 2, 10)
    assert found.ends_at >= at(2026, 1, 4, 11)
    assert found.ends_at - found.starts_at < 5 * 86400
    assert found.digest_version == DIGEST_VERSION


def test_one_without_an_end_has_no_upper_bound() -> None:
    found = row(text("RRULE:FREQ=DAILY"))
    assert found.ends_at is None
    assert found.starts_at is not None


@pytest.mark.parametrize(
    ("body", "limits", "condition"),
    [
        (text("SUMMARY:" + "x" * 500), {"max_resource_size": 300}, "max-resource-size"),
        (text(start="DTSTART:18991231T235959Z"), {"min_date_time": "19000101T000000Z"}, "min-date-time"),
        (text(start="DTSTART:21010101T000000Z"), {"max_date_time": "21001231T235959Z"}, "max-date-time"),
        (text("RRULE:FREQ=DAILY;COUNT=11"), {"max_instances": 10}, "max-instances"),
        (text("RRULE:FREQ=DAILY;UNTIL=20260131T000000Z"), {"max_instances": 10}, "max-instances"),
        (text("RRULE:FREQ=SECONDLY;COUNT=1000000000"), {}, "max-instances"),
        (
            text("ATTENDEE:mailto:a@b", "ATTENDEE:mailto:c@d"),
            {"max_attendees_per_instance": 1},
            "max-attendees-per-instance",
        ),
        (text(kind="VJOURNAL"), {}, "supported-calendar-component"),
        (b"nonsense", {}, "valid-calendar-data"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_by_its_name(body: bytes, limits: dict[str, object], condition: str) -> None:
    assert refused(body, **limits) == condition


@pytest.mark.parametrize(
    "body",
    [
        text("RRULE:FREQ=DAILY;COUNT=10"),
        text("RRULE:FREQ=YEARLY"),
        text("RRULE:FREQ=SECONDLY"),
        text(start="DTSTART;VALUE=DATE:16040229"),
    ],
)
def test_what_is_within_the_limits_is_taken(body: bytes) -> None:
    assert row(body, max_instances=10).uid == "u"


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;COUNT=1000000000",
        "FREQ=SECONDLY;UNTIL=99991231T235959Z",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1000000",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        "FREQ=YEARLY;BYDAY=MO;BYMONTHDAY=13;BYMONTH=1;BYHOUR=3;BYSETPOS=366;COUNT=99999",
        "FREQ=HOURLY;INTERVAL=8761;COUNT=99999999",
    ],
)
def test_a_recurrence_bomb_costs_little(rule: str) -> None:
    started = monotonic()
    try:
        row(text(f"RRULE:{rule}"))
    except ICalendarError as error:
        assert error.condition == "max-instances"  # noqa: PT017
    assert monotonic() - started < 5


def test_differences_name_the_column() -> None:
    body = text()
    found = indexed(validate(body), body)
    assert list(differences(found, found)) == []  # type: ignore[arg-type]
    other = indexed(validate(text("RRULE:FREQ=DAILY")), body)
    assert {column for column, _, _ in differences(found, other)} >= {"ends_at", "recurs"}  # type: ignore[arg-type]
