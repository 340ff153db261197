"""How the C library keeps memory in a process that serves."""

from __future__ import annotations

import ctypes
from typing import Final

#: ``M_ARENA_MAX`` of glibc's <malloc.h>.
_M_ARENA_MAX: Final = -8
#: Python's threads take turns, so that more arenas would hardly be used at the same time.
_ARENAS: Final = 2


def share() -> None:
    """Lets threads share few arenas: each else has its own, and keeps in it what its largest request needed.

    Does nothing where the C library has no such setting (musl, macOS).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
