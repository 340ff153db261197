"""IN lists in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

#: Items of one IN list: well below the parameters that any of the databases allows a statement (older SQLite: 999).
BATCH = 500


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists short enough for one IN list."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
