"""max-instances."""

from __future__ import annotations

import time

import pytest

from scheduling.ical.bounds import check_instances
from scheduling.ical.rrule import TooManyInstances
from tests.scheduling.ical.test_rrule import BOMBS
from tests.scheduling.ical.writing import calendar


def event(*lines: str) -> str:
    return "\n".join(["VEVENT", "DTSTART:20240101T000000Z", *lines])


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("RRULE:FREQ=DAILY;COUNT=100",),
        ("RRULE:FREQ=DAILY;UNTIL=20240409",),
        ("RRULE:FREQ=DAILY;COUNT=99", "RDATE:20200101T000000Z"),
        ("RRULE:FREQ=DAILY;COUNT=101;UNTIL=20240409",),
        ("RRULE:FREQ=YEARLY",),  # a birthday has no end
        ("RRULE:FREQ=DAILY;COUNT=1000;UNTIL=20240301",),
    ],
)
def test_within_the_limit(lines: tuple[str, ...]) -> None:
    check_instances(calendar(event(*lines)), "VEVENT", 100)


@pytest.mark.parametrize(
    "lines",
    [
        ("RRULE:FREQ=DAILY;COUNT=101",),
        ("RRULE:FREQ=DAILY;UNTIL=20240410",),
        ("RRULE:FREQ=DAILY;COUNT=100", "RDATE:20200101T000000Z"),
        ("RRULE:FREQ=SECONDLY;COUNT=1000000000",),
        ("RRULE:FREQ=SECONDLY;UNTIL=99991231",),
        ("RRULE:FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1;COUNT=1000000000",),
    ],
)
def test_beyond_the_limit(lines: tuple[str, ...]) -> None:
    with pytest.raises(TooManyInstances) as refused:
        check_instances(calendar(event(*lines)), "VEVENT", 100)
    assert (refused.value.condition, refused.value.line) == ("max-instances", 4)


@pytest.mark.parametrize("rule", BOMBS, ids=[text[:60] for text in BOMBS])
@pytest.mark.parametrize("end", ["", ";COUNT=1000000000", ";UNTIL=99991231T000000Z"])
def test_the_answer_is_soon_there(rule: str, end: str) -> None:
    if "COUNT" in rule and "COUNT" in end:
        return
    begun = time.process_time()
    try:
        check_instances(calendar(event(f"RRULE:{rule}{end}")), "VEVENT", 20_000)
    except TooManyInstances:
        assert end or "COUNT" in rule
    assert time.process_time() - begun < 0.4  # some tens of milliseconds of processor time here
