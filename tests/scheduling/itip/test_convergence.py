"""The meeting of ``machine``, in memory."""

from __future__ import annotations

from tests.scheduling.itip.machine import Meeting, Watched, bounded
from tests.scheduling.itip.test_scripts import Memory


class InMemory(Meeting):
    """With the pure rules."""

    def make_stage(self) -> Watched:
        return Memory()


TestConvergence = InMemory.TestCase
TestConvergence.settings = bounded(60, 25)
