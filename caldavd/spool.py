"""Answers that are long: complete in a file before the first byte goes out, and sent from there in pieces.

A handler runs in one transaction that may be run again from its start, and that must not stay open while somebody reads
slowly. So what it says is written down first: in memory while it is short, else in a file without a name in the folder
for temporary files (``TMPDIR``). Nothing goes out that is not whole: its length is known, and what goes wrong before is
a status (``docs/decisions/0018-spooled-answers.md``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from tempfile import TemporaryFile
from threading import Semaphore
from typing import Final

from caldavd.errors import DavError
from storage.batches import batches

log = logging.getLogger(__name__)

#: A body of up to so many bytes stays in memory.
IN_MEMORY: Final = 1 << 20
#: So many bytes are read from a file and handed to the server at a time.
PIECE: Final = 1 << 16
#: So many of what is told (responses, objects) are put together before they are weighed: the weighing costs more.
_TOGETHER: Final = 256


class NoRoom(DavError):
    """The folder for temporary files takes no more. That passes, so 503: the client asks again by itself."""

    def __init__(self, error: OSError) -> None:
        log.error("An answer could not be written into the folder for temporary files (TMPDIR): %s", error)
        super().__init__(
            503,
            "The server has no room to put so long an answer together; please try again later.",
            headers={"Retry-After": "60"},
        )


class Spool:
    """A body in a file that has no name: it is gone once it is closed, forgotten, or the process ends.

    ``len`` is its size in bytes. Raises :class:`NoRoom` where the file cannot be made or does not fit.
    """

    __slots__ = ("_file", "_size")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._size = 0
        try:
            self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - whoever sends it closes it
        except OSError as error:
            raise NoRoom(error) from error
        try:
            for piece in pieces:
                self._append(piece)
        except BaseException:
            self.close()
            raise

    def _append(self, piece: bytes) -> None:
        left = memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise NoRoom(error) from error
        self._size += len(piece)

    def __len__(self) -> int:
        return self._size

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """The body from its start, ``size`` bytes at a time."""
        self._file.seek(0)
        while piece := self._file.read(size):
            yield piece

    def close(self) -> None:
        """Gives the room back. A second call does nothing."""
        self._file.close()

    def __del__(self) -> None:
        # An attempt that is run again, or fails, leaves its spool behind.
        if hasattr(self, "_file"):
            self._file.close()


def spooled(pieces: Iterable[bytes]) -> bytes | Spool:
    """A body of these pieces: in memory, or in a file where it is longer than ``IN_MEMORY``."""
    return _kept(map(b"".join, batches(pieces, _TOGETHER)))


def spooled_text(pieces: Iterable[str]) -> bytes | Spool:
    """The same of text, in UTF-8."""
    return _kept("".join(some).encode() for some in batches(pieces, _TOGETHER))


def _kept(pieces: Iterator[bytes]) -> bytes | Spool:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            return Spool(chain(kept, pieces))
    return b"".join(kept)


class Outlets:
    """How many spools go out piece by piece at a time.

    Each occupies a thread until its client has read it. Where clients are slow and many, the rest is handed to the
    server whole: that takes memory, but threads stay free for others.
    """

    def __init__(self, most: int = 4) -> None:
        self._free = Semaphore(most)

    def send(self, spool: Spool) -> Iterator[bytes]:
        """The body for a WSGI server, which closes it at its end and where the client goes away."""
        has_place = self._free.acquire(blocking=False)
        try:
            yield from spool.pieces(PIECE if has_place else len(spool))
        finally:
            spool.close()
            if has_place:
                self._free.release()
