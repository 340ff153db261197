from __future__ import annotations

from datetime import UTC, timedelta

from config.clock import system_clock


def test_the_systems_clock_is_aware_and_goes_on() -> None:
    first = system_clock()
    assert first.tzinfo is UTC
    assert timedelta() <= system_clock() - first < timedelta(minutes=1)
