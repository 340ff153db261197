"""The clock: a callable that gives the time, handed to whoever needs it, so that tests can hand in a fixed one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: Gives the present as an aware datetime in UTC.
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The computer's own clock, in UTC."""
    return datetime.now(UTC)
