"""What texts were found to say, kept in memory by all that it was computed from: a text that comes again is not read.

An entry cannot be wrong, since its key is everything that decides it, the text included. It is for what no index keeps:
working hours, and recurrences that go further than what is packed beside their rows.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of all entries together, about, and of one that is kept at all.
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_ENTRY: Final = 64 * 1024
#: Of an entry beside what it says, and of a period in it.
_ENTRY_BYTES: Final = 400
PERIOD_BYTES: Final = 130

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by their keys, of which ``size`` says how many bytes they are, about; threads may share it.

    Those that nobody asked for the longest go first.
    """

    def __init__(self, size: Callable[[K, V], int], most: int = MAX_BYTES) -> None:
        self._size = size
        self._left = most
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value for ``key``: the known one, or the one that ``compute`` makes."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = compute()
        size = _ENTRY_BYTES + self._size(key, value)
        if size <= MAX_ENTRY:
            with self._lock:
                if key not in self._kept:
                    self._left -= size
                    self._kept[key] = value
                while self._left < 0:
                    self._left += _ENTRY_BYTES + self._size(*self._kept.popitem(last=False))
        return value
