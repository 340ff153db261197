"""All members of a collection, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.rows import ObjectRow
    from storage.store import Transaction


def every_member(tx: Transaction, collection_id: int, *, columns: frozenset[str], together: int) -> Iterator[ObjectRow]:
    """The members in the order of their names, as ``Objects.page`` gives them: ``together`` rows are read at a time.

    Between two pages the transaction may be asked other things and may write.
    """
    after = ""
    while True:
        rows = tx.objects.page(collection_id, columns=columns, after=after, limit=together)
        yield from rows
        if len(rows) < together:
            return
        after = rows[-1].name
