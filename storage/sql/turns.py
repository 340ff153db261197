"""One thread of a process at a time works on a transaction of SQLite, so that they do not hinder one another.

Every call into SQLite lets go of Python's global interpreter lock, for a few microseconds. Where another thread waits
for it, the lock changes hands each time, and a request is interrupted dozens of times: eight threads then do half of
the work of one. So a thread takes its turn before it works on a transaction, and gives it back where it waits (for the
lock of the database, for the disk) and at the end.

A turn is a courtesy and protects nothing: who has waited for ``PATIENCE`` goes ahead, and whoever comes next waits for
that one, and no longer for who has something long to do.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

#: How long a thread waits for its turn at the most, seconds: as long as for the interpreter's lock
#: (``sys.getswitchinterval``), which is several usual requests. With more, short requests wait for long ones.
PATIENCE: Final = 0.005


class Turns:
    """Whose turn it is. The interpreter's lock is one for the process, and so are its turns: ``TURNS``."""

    __slots__ = ("_current",)

    def __init__(self) -> None:
        self._current = Lock()

    def take(self) -> Lock:
        """Waits for a turn; it ends when what is returned is released."""
        turn = self._current
        if not turn.acquire(timeout=PATIENCE):
            # Its holder may keep it: there is another one from now on.
            turn = Lock()
            turn.acquire()
            self._current = turn
        return turn


TURNS: Final = Turns()
