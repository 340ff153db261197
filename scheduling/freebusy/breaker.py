"""A circuit breaker: a service that is away or slow is left alone for a while, and told of once.

Owns when to ask it again and the warning; what it is asked, and what its errors are, is for whoever uses it.
"""

from __future__ import annotations

import logging
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

#: Failures one after the other until the circuit opens.
FAILURES: Final = 2


class Breaker:
    """Whether a service is to be asked.

    ``seconds`` is how long it is left alone; after that one caller at a time tries, and while none has succeeded the
    others go without.
    """

    def __init__(self, name: str, *, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._again = 0.0
        self._warned = False

    def closed(self) -> bool:
        """Whether the service may be asked now."""
        if self._failures < FAILURES:
            return True
        with self._lock:
            now = self._clock()
            if now < self._again:
                return False
            self._again = now + self._seconds  # this caller tries; the others wait for what comes of it
            return True

    def succeeded(self) -> None:
        """It answered in time."""
        if not self._failures and not self._warned:
            return
        with self._lock:
            self._failures = 0
            warned, self._warned = self._warned, False
        if warned:
            _log.info("%s answers again.", self._name)

    def failed(self, why: object) -> None:
        """It did not answer, or not in time."""
        with self._lock:
            self._failures += 1
            self._again = self._clock() + self._seconds
            warned, self._warned = self._warned, True
        if not warned:
            _log.warning("%s does not answer and is done without until it does: %s", self._name, why)
