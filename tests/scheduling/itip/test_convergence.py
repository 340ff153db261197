"""The meeting of ``machine``, in memory."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.scheduling.itip.machine import Meeting, Watched
from tests.scheduling.itip.test_scripts import Memory


class InMemory(Meeting):
    """With the pure rules."""

    def make_stage(self) -> Watched:
        return Memory()


TestConvergence = InMemory.TestCase
TestConvergence.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
