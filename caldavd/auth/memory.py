"""What a worker remembers for a short time, without keeping a password: entries are found by a keyed MAC."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Seconds that only ever go forward, as ``time.monotonic`` gives them.
Ticks = Callable[[], float]


class Mac:
    """A MAC under a random key that never leaves this process: BLAKE2b keyed (RFC 7693 section 2.9)."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, *parts: str) -> bytes:
        """The MAC of the parts in their order. Each goes in with its length, so that ("ab", "c") is not ("a", "bc")."""
        mac = hashlib.blake2b(key=self._key, digest_size=32)
        for part in parts:
            octets = part.encode("utf-8")
            mac.update(len(octets).to_bytes(8, "big"))
            mac.update(octets)
        return mac.digest()


class Memory(Generic[K, V]):
    """At most ``capacity`` entries for ``seconds`` each; the one that was not used for longest goes first.

    A look-up compares keys in variable time. That tells nothing where the keys are MACs under a key that nobody knows.
    """

    def __init__(self, *, seconds: float, capacity: int, ticks: Ticks) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._ticks = ticks
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: K, value: V) -> None:
        """Remembers ``value`` from now on."""
        if self._seconds <= 0:
            return
        with self._lock:
            self._entries[key] = (value, self._ticks() + self._seconds)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def get(self, key: K) -> V | None:
        """What is remembered; ``None`` where it is not, or no longer. Being asked for does not prolong an entry."""
        with self._lock:
            if not self._is_live(key):
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return self._is_live(key)

    def __len__(self) -> int:
        """How many there are at the most: some may have had their time."""
        return len(self._entries)

    def drop(self, key: K) -> None:
        """Forgets the entry, if there is one."""
        with self._lock:
            self._entries.pop(key, None)

    def _is_live(self, key: K) -> bool:
        entry = self._entries.get(key)
        if entry is not None and entry[1] <= self._ticks():
            del self._entries[key]
            return False
        return entry is not None
