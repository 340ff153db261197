"""Long series a part at a time: what is asked or told for many at once, and is too much for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

#: Items of one IN list: well below the parameters that any of the databases allows a statement (older SQLite: 999).
BATCH: Final = 500


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of ``size``, the last one shorter; taken from ``items`` no sooner than they are wanted."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
