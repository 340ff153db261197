"""DATE, DATE-TIME, DURATION, PERIOD and UTC-OFFSET, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from scheduling.ical.lines import ContentLine, ICalendarError
from scheduling.ical.values import (
    DAY,
    MAX_LOCAL,
    MIN_LOCAL,
    Duration,
    Form,
    Moment,
    Period,
    duration,
    moment,
    moments_of,
    offset,
    period,
    wall,
    write_date,
    write_duration,
    write_local,
    write_utc,
)


@pytest.mark.parametrize(
    ("text", "tzid", "value"),
    [
        ("19700101", None, Moment(0, Form.DATE)),
        ("19700102T030405", None, Moment(DAY + 3 * 3600 + 4 * 60 + 5, Form.FLOATING)),
        ("19700101T000000Z", None, Moment(0, Form.UTC)),
        ("19700101T000000", "Europe/Berlin", Moment(0, Form.ZONED, "Europe/Berlin")),
        ("19691231T235959Z", None, Moment(-1, Form.UTC)),
        ("19700101T000060Z", None, Moment(59, Form.UTC)),  # RFC 5545 3.3.5: read as 59
        ("19700101", "Europe/Berlin", Moment(0, Form.DATE)),  # TZID has no meaning there
        ("19700101T000000Z", "Europe/Berlin", Moment(0, Form.UTC)),
        (" 19700101t000000z ", None, Moment(0, Form.UTC)),
        ("00010101", None, Moment(MIN_LOCAL, Form.DATE)),
        ("99991231T235959", None, Moment(MAX_LOCAL, Form.FLOATING)),
    ],
)
def test_moment(text: str, tzid: str | None, value: Moment) -> None:
    assert moment(text, tzid) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "2024", "20240230", "20241301", "00000101", "20240101T", "20240101T2400", "20240101T240000",
     "20240101T006000", "20240101T000061", "2024-01-01", "19980119T230000-0800",
     "\N{FULLWIDTH DIGIT TWO}0240101", "20240101T000000ZZ"],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ICalendarError) as refused:
        moment(text, line=3)
    assert refused.value.line == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P15DT5H0M20S", Duration(15, 5 * 3600 + 20)),
        ("P7W", Duration(49, 0)),
        ("-PT15M", Duration(0, -900)),
        ("+P1D", Duration(1, 0)),
        ("-P1DT12H", Duration(-1, -12 * 3600)),
        ("pt1h", Duration(0, 3600)),
        ("P1W2D", Duration(9, 0)),
        ("PT1W", Duration(7, 0)),
        ("PT0S", Duration(0, 0)),
        ("PT36H", Duration(0, 36 * 3600)),
    ],
)
def test_duration(text: str, value: Duration) -> None:
    assert duration(text) == value


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1H", "P1Y", "P1M", "PT1H2", "P-1D", "PT" + "9" * 5000 + "S", "PT\N{FULLWIDTH DIGIT ONE}H"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ICalendarError):
        duration(text)


def test_period() -> None:
    assert period("19700101T000000Z/PT1H") == Period(Moment(0, Form.UTC), Duration(0, 3600))
    assert period("19700101T000000/19700101T000001", "X") == Period(
        Moment(0, Form.ZONED, "X"), Moment(1, Form.ZONED, "X")
    )
    for text in ("19700101T000000Z", "/", "19700101T000000Z/x"):
        with pytest.raises(ICalendarError):
            period(text)


@pytest.mark.parametrize(("text", "value"), [("+0100", 3600), ("-0500", -18000), ("+0530", 19800), ("-003015", -1815)])
def test_offset(text: str, value: int) -> None:
    assert offset(text) == value


@pytest.mark.parametrize("text", ["", "0100", "+1", "+2400", "+01:00", "one"])
def test_what_is_no_offset(text: str) -> None:
    with pytest.raises(ICalendarError):
        offset(text)


def test_lists() -> None:
    line = ContentLine("RDATE", (("TZID", ("X",)),), "19700101T000000,,19700101T000001/PT1S, ")
    assert moments_of(line) == [
        Moment(0, Form.ZONED, "X"),
        Period(Moment(1, Form.ZONED, "X"), Duration(0, 1)),
    ]


@given(st.integers(MIN_LOCAL, MAX_LOCAL))
def test_times_there_and_back(local: int) -> None:
    assert moment(write_local(local)) == Moment(local, Form.FLOATING)
    assert moment(write_utc(local)) == Moment(local, Form.UTC)
    assert moment(write_date(local)) == Moment(local // DAY * DAY, Form.DATE)


@given(st.integers(-(10**10), 10**10))
def test_durations_there_and_back(seconds: int) -> None:
    assert duration(write_duration(seconds)) == Duration(0, seconds)


@pytest.mark.parametrize("local", [MIN_LOCAL - 1, MAX_LOCAL + 1, 10**18, -(10**18)])
def test_what_no_text_can_say(local: int) -> None:
    with pytest.raises(ICalendarError):
        wall(local)
