"""How much is done at once: a flood of logins waits, and takes neither all memory nor all threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from caldavd.auth.answers import Unavailable


class Slots:
    """At most ``count`` at a time; who waits longer than ``patience`` seconds gets ``Unavailable``."""

    def __init__(self, count: int, *, patience: float) -> None:
        self._semaphore = threading.BoundedSemaphore(count)
        self._patience = patience

    @contextmanager
    def one(self) -> Iterator[None]:
        """Holds a slot for the length of the block."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> None:
        """Takes a slot, to be given back by whoever ends up with it."""
        if not self._semaphore.acquire(timeout=self._patience):
            raise Unavailable("Too many logins are being checked at the moment: try again in some seconds.")

    def give_back(self) -> None:
        """Ends what ``take`` began."""
        self._semaphore.release()
