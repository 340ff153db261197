"""Busy time: the table of RFC 4791 7.10, recurrences, kinds, and the arithmetic of periods."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from scheduling.freebusy import vfreebusy
from scheduling.ical.periods import Busy, BusyPeriod, clip, merge, subtract
from scheduling.ical.timezones import UTC, named
from scheduling.ical.values import moment
from tests.scheduling.ical.writing import APPENDIX_B

DAY = 86400
START = 1772409600  # 2026-03-02T00:00:00Z
HOUR = 3600


def calendar(*lines: str, kind: str = "VEVENT") -> bytes:
    inner = "\r\n".join((f"BEGIN:{kind}", "UID:u", "DTSTAMP:20260101T000000Z", *lines, f"END:{kind}"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{inner}\r\nEND:VCALENDAR\r\n".encode()


def periods(body: bytes, **options: object) -> list[BusyPeriod]:
    return merge(vfreebusy.busy(body, START, START + 7 * DAY, UTC, **options))  # type: ignore[arg-type]


ONE = ("DTSTART:20260303T100000Z", "DURATION:PT1H")
TEN = START + DAY + 10 * HOUR


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((), Busy.BUSY),
        (("TRANSP:OPAQUE", "STATUS:CONFIRMED"), Busy.BUSY),
        (("STATUS:TENTATIVE",), Busy.TENTATIVE),
        (("STATUS:CANCELLED",), None),
        (("TRANSP:TRANSPARENT",), None),
        (("TRANSP:TRANSPARENT", "STATUS:TENTATIVE"), None),
    ],
)
def test_the_table_of_7_10(lines: tuple[str, ...], kind: Busy | None) -> None:
    expected = [] if kind is None else [BusyPeriod(TEN, TEN + HOUR, kind)]
    assert periods(calendar(*ONE, *lines)) == expected


@pytest.mark.parametrize(
    ("partstat", "kind"),
    [
        ("ACCEPTED", Busy.BUSY),
        ("TENTATIVE", Busy.TENTATIVE),
        ("NEEDS-ACTION", Busy.TENTATIVE),
        ("DECLINED", None),
        ("DELEGATED", None),
    ],
)
def test_the_owners_answer_counts(partstat: str, kind: Busy | None) -> None:
    body = calendar(*ONE, "ORGANIZER:mailto:o@example.org", f"ATTENDEE;PARTSTAT={partstat}:MAILTO:Me@example.org")
    found = periods(body, owner=frozenset({"mailto:me@example.org"}))
    assert [one.kind for one in found] == ([] if kind is None else [kind])


def test_the_organizers_own_answer_does_not_count() -> None:
    body = calendar(*ONE, "ORGANIZER:mailto:me@example.org", "ATTENDEE;PARTSTAT=DECLINED:mailto:me@example.org")
    assert [one.kind for one in periods(body, owner=frozenset({"mailto:me@example.org"}))] == [Busy.BUSY]


def test_recurrence_is_clipped_to_the_range() -> None:
    found = periods(calendar("DTSTART:20260101T230000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY"))
    assert found[0] == BusyPeriod(START, START + HOUR)
    assert found[-1] == BusyPeriod(START + 7 * DAY - HOUR, START + 7 * DAY)
    assert len(found) == 8


def test_all_day_events_are_in_the_zone_of_the_calendar() -> None:
    berlin = named("Europe/Berlin")
    assert berlin is not None
    found = list(vfreebusy.busy(calendar("DTSTART;VALUE=DATE:20260303"), START, START + 7 * DAY, berlin))
    assert found == [BusyPeriod(START + DAY - HOUR, START + 2 * DAY - HOUR)]


def test_the_masked_meeting_is_left_out() -> None:
    assert periods(calendar(*ONE), mask_uid="u") == []
    assert len(periods(calendar(*ONE), mask_uid="other")) == 1


def test_stored_vfreebusy_counts() -> None:
    body = calendar(
        "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260303T080000Z/PT1H",
        "FREEBUSY;FBTYPE=FREE:20260303T100000Z/PT1H",
        "FREEBUSY;FBTYPE=X-NEW:20260303T120000Z/20260303T130000Z",
        kind="VFREEBUSY",
    )
    assert [(one.start - START - DAY, one.kind) for one in periods(body)] == [
        (8 * HOUR, Busy.UNAVAILABLE),
        (12 * HOUR, Busy.BUSY),
    ]


def test_what_cannot_be_read_blocks_nothing() -> None:
    assert periods(b"BEGIN:VCALENDAR") == []
    assert periods(calendar(*ONE, "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30")) in ([], periods(calendar(*ONE)))


def test_the_answer() -> None:
    spans = [BusyPeriod(START, START + HOUR), BusyPeriod(START + HOUR, START + 2 * HOUR, Busy.TENTATIVE)]
    text = vfreebusy.answer(spans, START, START + DAY, now=START).decode()
    assert "DTSTART:20260302T000000Z\r\nDTEND:20260303T000000Z\r\n" in text
    assert "FREEBUSY;FBTYPE=BUSY:20260302T000000Z/20260302T010000Z\r\n" in text
    assert "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260302T010000Z/20260302T020000Z\r\n" in text


def test_every_answer_has_a_uid() -> None:
    """RFC 5545 3.6.4. What says something else has another one, and what says the same the same."""
    one, other = [BusyPeriod(START, START + HOUR)], [BusyPeriod(START, START + 2 * HOUR)]
    said = [vfreebusy.answer(spans, START, START + DAY, now=START) for spans in (one, one, other)]
    uids = [re.findall(rb"UID:(\S+)", text) for text in said]
    assert uids[0] == uids[1] != uids[2]
    assert all(len(found) == 1 for found in uids)
    assert b"UID:a\\,b\r\n" in vfreebusy.answer(one, START, START + DAY, now=START, uid="a,b")


PERIODS = st.lists(
    st.builds(
        lambda start, length, kind: BusyPeriod(start, start + length, kind),
        st.integers(0, 40),
        st.integers(-2, 12),
        st.sampled_from(Busy),
    ),
    max_size=12,
)


def at(spans: list[BusyPeriod], moment: int) -> int:
    return max((one.kind for one in spans if one.start <= moment < one.end), default=0)


def test_busy_counts_more_than_unavailable_and_that_more_than_tentative() -> None:
    # RFC 7953 section 4
    spans = [BusyPeriod(0, 9, Busy.TENTATIVE), BusyPeriod(2, 7, Busy.UNAVAILABLE), BusyPeriod(4, 5, Busy.BUSY)]
    assert [one.kind.fbtype for one in merge(spans)] == [
        "BUSY-TENTATIVE",
        "BUSY-UNAVAILABLE",
        "BUSY",
        "BUSY-UNAVAILABLE",
        "BUSY-TENTATIVE",
    ]


def test_the_example_of_7_10_1() -> None:
    # On the collection of appendix B. The RFC's request ends a day later than its text says and its answer shows ("9:00
    # A.M. and 5:00 P.M. EST … on the January 4, 2006"); Event #2 is on 5 January as well.
    start, end = (moment(text).local for text in ("20060104T140000Z", "20060104T220000Z"))
    eastern = named("US/Eastern")
    assert eastern is not None
    found = [
        one
        for file in sorted(APPENDIX_B.glob("*.ics"))
        for one in vfreebusy.busy(file.read_bytes(), start, end, eastern)
    ]
    text = vfreebusy.answer(merge(found), start, end, now=moment("20050125T090000Z").local).decode()
    # The answer there has no UID, which RFC 5545 3.6.4 demands (it was written before).
    assert re.fullmatch(r"UID:[0-9a-f]{32}@caldavd", text.splitlines()[4])
    assert [line for line in text.splitlines()[3:-1] if not line.startswith("UID:")] == [
        "BEGIN:VFREEBUSY",
        "DTSTAMP:20050125T090000Z",
        "DTSTART:20060104T140000Z",
        "DTEND:20060104T220000Z",
        "FREEBUSY;FBTYPE=BUSY:20060104T190000Z/20060104T200000Z",
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20060104T150000Z/20060104T160000Z",
        "END:VFREEBUSY",
    ]


@given(PERIODS)
def test_merge_says_the_same_for_each_moment(spans: list[BusyPeriod]) -> None:
    merged = merge(spans)
    assert [at(merged, instant) for instant in range(60)] == [at(spans, instant) for instant in range(60)]
    for one, following in pairwise(merged):
        assert one.end < following.start or (one.end == following.start and one.kind != following.kind)


@given(PERIODS, PERIODS)
def test_subtract_says_the_same_for_each_moment(spans: list[BusyPeriod], others: list[BusyPeriod]) -> None:
    left = subtract(spans, others)
    for instant in range(60):
        assert at(left, instant) == (0 if at(others, instant) else at(spans, instant))


@given(PERIODS, st.integers(0, 30), st.integers(0, 30))
def test_clip(spans: list[BusyPeriod], start: int, length: int) -> None:
    clipped = list(clip(spans, start, start + length))
    for instant in range(70):
        assert at(clipped, instant) == (at(spans, instant) if start <= instant < start + length else 0)
