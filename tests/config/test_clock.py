from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from config.clock import fixed_clock, system_clock


def test_the_systems_clock_is_aware_and_goes_on() -> None:
    first = system_clock()
    assert first.tzinfo is UTC
    assert timedelta() <= system_clock() - first < timedelta(minutes=1)


def test_a_fixed_clock_tells_the_same_instant_in_utc() -> None:
    clock = fixed_clock(datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock() == clock() == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert clock().tzinfo is UTC


def test_a_clock_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        fixed_clock(datetime(2026, 3, 1))  # noqa: DTZ001
