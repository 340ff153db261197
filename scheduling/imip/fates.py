"""What becomes of a mail for one recipient. How that is told is up to who brought it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What becomes of a mail for one recipient."""

    APPLIED = "applied"
    """The message was taken: something changed, or there was nothing to change."""
    HELD = "held"
    """It is not believed, and kept for a look."""
    FORWARDED = "forwarded"
    """It is from one person to another, and goes on to them."""
    NOTED = "noted"
    """It was a report, or from a program; nothing else is to be done."""
    NOT_FOR_US = "not for us"
    """There is no scheduling message in it."""
    UNREADABLE = "unreadable"
    """It is no mail, or no calendar, or larger than is allowed."""
    NOBODY = "nobody"
    """Nobody here has the address."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``sentence`` says to people what was done and why."""

    fate: Fate
    sentence: str
