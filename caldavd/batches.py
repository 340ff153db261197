"""Long series a part at a time: what is read for many at once, and is too much for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

#: Resources whose properties are read together: as many as the store asks for in one statement.
TOGETHER: Final = 500


def batches(items: Iterable[T], size: int = TOGETHER) -> Iterator[list[T]]:
    """The items in lists of ``size``, the last one shorter; taken from ``items`` no sooner than they are wanted."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
