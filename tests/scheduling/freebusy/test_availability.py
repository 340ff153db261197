"""RFC 7953: its examples, priorities, and what can be wrong with a VAVAILABILITY."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from scheduling.freebusy.availability import Availability, availability
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.ical.timezones import UTC, Zone, named
from scheduling.ical.values import moment

HOUR = 3600
DAY = 24 * HOUR
LETTERS = {Busy.BUSY: "B", Busy.UNAVAILABLE: "U", Busy.TENTATIVE: "T"}


def zone(name: str) -> Zone:
    found = named(name)
    assert found is not None
    return found


MONTREAL = zone("America/Montreal")


def calendar(*components: str) -> bytes:
    text = "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *components, "END:VCALENDAR", ""))
    return re.sub(r"\n\s*", "\r\n", text).encode()


def hours(*properties: str, available: tuple[str, ...] = (), uid: str = "a") -> str:
    inner = "\n".join(f"BEGIN:AVAILABLE\nUID:{uid}{at}\n{one}\nEND:AVAILABLE" for at, one in enumerate(available))
    return "\n".join(("BEGIN:VAVAILABILITY", f"UID:{uid}", *properties, inner, "END:VAVAILABILITY"))


def row(found: Availability | None, start: int, *others: BusyPeriod, step: int = 2 * HOUR) -> str:
    """A day as the tables of section 5.1 have it."""
    busy = merge([*(found.unavailable if found else ()), *others])
    cells = (
        next((one.kind for one in busy if one.start <= at < one.end), None) for at in range(start, start + DAY, step)
    )
    return "".join("F" if kind is None else LETTERS[kind] for kind in cells)


def local(text: str, where: Zone = MONTREAL) -> int:
    return where.to_instant(moment(text).local)


APPENDIX_A = calendar(
    hours(
        "DTSTART;TZID=America/Montreal:20111002T000000",
        available=(
            (
                "DTSTART;TZID=America/Montreal:20111002T080000\nDTEND;TZID=America/Montreal:20111002T180000\n"
                "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
            ),
        ),
    )
)


def test_the_simple_example_of_section_5_1_1() -> None:
    """The RFC says Monday, 6 November 2011 and means Monday the 7th: the 6th was a Sunday, and clocks changed on it."""
    start = local("20111107T000000")
    meeting = BusyPeriod(start + 12 * HOUR, start + 14 * HOUR)
    found = availability([APPENDIX_A], start, start + DAY, UTC)
    assert row(found, start) == "UUUUFFFFFUUU"
    assert row(found, start, meeting) == "UUUUFFBFFUUU"
    assert found is not None
    assert found.available == (BusyPeriod(start + 8 * HOUR, start + 18 * HOUR),)


def test_the_further_example_of_section_5_1_2() -> None:
    denver = hours(
        "DTSTART;TZID=America/Denver:20111023T000000",
        "DTEND;TZID=America/Denver:20111030T000000",
        "PRIORITY:1",
        available=(
            (
                "DTSTART;TZID=America/Denver:20111023T080000\nDTEND;TZID=America/Denver:20111023T180000\n"
                "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
            ),
        ),
    )
    start = local("20111024T000000")
    lunch = BusyPeriod(start + 14 * HOUR, start + 16 * HOUR)
    found = availability([APPENDIX_A, calendar(denver)], start, start + DAY, UTC)
    assert row(found, start, lunch) == "UUUUUFFBFFUU"


def test_the_travelling_worker_of_section_3_1() -> None:
    """Out of the RFC itself, where it is at hand; on Wednesdays, since its AVAILABLEs start on a Sunday."""
    file = Path(__file__).parents[3] / "shared/standards/rfc/rfc7953-vavailability.txt"
    if not file.exists():
        pytest.skip("the text of RFC 7953 is not beside this tree")
    text = re.sub(r"\n\n+Daboo.*?August 2016\n\n?", "\n", file.read_text(), flags=re.DOTALL)
    found = re.findall(r"^ *BEGIN:VAVAILABILITY\n.*?END:VAVAILABILITY", text, re.DOTALL | re.MULTILINE)
    whole = calendar(*(one.strip() for one in found[2:5]))
    for day, expected in (("20111012", 9), ("20111026", 11), ("20111102", 9)):
        start = local(f"{day}T000000")
        said = availability([whole], start, start + DAY, UTC)
        assert said is not None
        assert said.available == (BusyPeriod(start + expected * HOUR, start + (expected + 8) * HOUR),)


START = 1772409600  # Monday, 2026-03-02T00:00:00Z
NINE_TO_FIVE = "DTSTART:20260302T090000Z\nDTEND:20260302T170000Z\nRRULE:FREQ=DAILY"


def said(*components: str, start: int = START, end: int = START + DAY, where: Zone = UTC) -> Availability | None:
    return availability([calendar(*components)], start, end, where)


def test_nobody_said_anything() -> None:
    assert availability([], START, START + DAY, UTC) is None
    assert availability([b"nonsense", calendar()], START, START + DAY, UTC) is None


def test_a_holiday_of_a_higher_priority_within_the_working_hours_is_not_free() -> None:
    holiday = hours("DTSTART:20260302T120000Z", "DTEND:20260303T000000Z", "PRIORITY:5", "BUSYTYPE:BUSY", uid="b")
    base = hours(available=(NINE_TO_FIVE,))
    assert row(said(base, holiday), START) == row(said(holiday, base), START) == "UUUUUFBBBBBB"


def test_time_outside_of_a_bounded_component_is_free_and_nobodys_working_time() -> None:
    found = said(hours("DTSTART:20260302T080000Z", "DURATION:PT8H", available=(NINE_TO_FIVE,)))
    assert row(found, START) == "FFFFUFFFFFFF"
    assert found is not None
    assert found.available == (BusyPeriod(START + 9 * HOUR, START + 16 * HOUR),)


@pytest.mark.parametrize(
    ("priorities", "free"),
    [
        (("PRIORITY:0", "PRIORITY:9"), False),
        (("PRIORITY:1", "PRIORITY:9"), True),
        (("PRIORITY:x", "PRIORITY:9"), False),
    ],
)
def test_priorities_run_from_nought_over_nine_to_one(priorities: tuple[str, str], free: bool) -> None:
    found = said(hours(priorities[0], available=(NINE_TO_FIVE,)), hours(priorities[1], uid="b"))
    assert found is not None
    assert bool(found.available) is free


def test_of_one_priority_the_strongest_kind_counts_and_available_is_available() -> None:
    tentative, busy = hours("BUSYTYPE:BUSY-TENTATIVE", available=(NINE_TO_FIVE,)), hours("BUSYTYPE:busy", uid="b")
    assert row(said(tentative, busy), START) == "BBBBBFFFFBBB"
    assert row(said(tentative, hours("BUSYTYPE:X-OTHER", uid="b")), START) == "UUUUUFFFFUUU"


def test_an_instance_of_available_is_replaced_and_taken_out() -> None:
    moved = "RECURRENCE-ID:20260302T090000Z\nDTSTART:20260302T140000Z\nDTEND:20260302T180000Z"
    text = hours(available=(NINE_TO_FIVE + "\nEXDATE:20260303T090000Z", moved)).replace("UID:a1", "UID:a0")
    assert row(said(text), START) == "UUUUUUUFFUUU"
    assert row(said(text, start=START + DAY, end=START + 2 * DAY), START + DAY) == "U" * 12


def test_floating_hours_are_in_the_zone_of_the_owner() -> None:
    text = hours(available=("DTSTART:20260301T090000\nDTEND:20260301T170000\nRRULE:FREQ=DAILY",))
    found = said(text, where=zone("Europe/Berlin"))
    assert found is not None
    assert found.available == (BusyPeriod(START + 8 * HOUR, START + 16 * HOUR),)


@pytest.mark.parametrize(
    "broken",
    ["DTSTART:nonsense\nDTEND:20260302T100000Z", "DTEND:20260302T100000Z", "DTSTART:20260302T090000Z\nRRULE:x"],
)
def test_what_cannot_be_read_frees_nothing_and_spoils_nothing(broken: str) -> None:
    assert row(said(hours(available=(broken, NINE_TO_FIVE))), START) == "UUUUUFFFFUUU"


def test_available_times_without_end_of_work_are_bounded() -> None:
    found = said(
        hours(available=("DTSTART:19000101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;BYSECOND=1,3",)),
        end=START + 400 * DAY,
    )
    assert found is not None
    assert found.unavailable[0].start == START


def test_too_much_later_in_the_week_is_nothing_to_the_asked_time() -> None:
    """Whole weeks are remembered; where these go beyond what is looked at, the asked time alone is."""
    many = "DTSTART:20260304T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;INTERVAL=2"
    for _ in range(2):
        assert row(said(hours(available=(many, NINE_TO_FIVE))), START) == "UUUUUFFFFUUU"


SPAN = st.tuples(st.integers(0, 20), st.integers(1, 10))


@given(st.lists(st.tuples(st.integers(0, 9), SPAN, st.lists(SPAN, max_size=3)), max_size=5))
def test_every_hour_is_as_the_highest_priority_that_speaks_of_it_says(
    parts: list[tuple[int, tuple[int, int], list[tuple[int, int]]]],
) -> None:
    def line(name: str, hour: int) -> str:
        return f"{name}:202603{2 + hour // 24:02}T{hour % 24:02}0000Z"

    texts = [
        hours(
            line("DTSTART", at),
            line("DTEND", at + length),
            f"PRIORITY:{priority}",
            uid=f"u{number}-",
            available=tuple(f"{line('DTSTART', first)}\n{line('DTEND', first + long)}" for first, long in free),
        )
        for number, (priority, (at, length), free) in enumerate(parts)
    ]
    found = said(*texts, end=START + 2 * DAY)
    for hour in range(40):
        speaking = [
            (10 if priority == 0 else priority, any(f <= hour < f + n for f, n in free))
            for priority, (at, length), free in parts
            if at <= hour < at + length
        ]
        highest = min((level for level, _ in speaking), default=None)
        expected = None if highest is None else any(free for level, free in speaking if level == highest)
        instant = START + hour * HOUR
        available = any(one.start <= instant < one.end for one in (found.available if found else ()))
        unavailable = any(one.start <= instant < one.end for one in (found.unavailable if found else ()))
        assert (available, unavailable) == (expected is True, expected is False)
