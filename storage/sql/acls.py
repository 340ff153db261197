"""Stored ACEs of collections (RFC 3744 section 5.5)."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select

from storage.batches import batches
from storage.rows import Ace, Collection
from storage.sql.direct import DirectAmong
from storage.sql.names import checked_text
from storage.sql.schema import aces, collections
from storage.sql.values import COLLECTION_COLUMNS, collection_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_OF = DirectAmong(
    select(
        aces.c.collection_id,
        aces.c.who,
        aces.c.grants,
        aces.c.privileges,
        aces.c.principal_id,
        aces.c.property,
        aces.c.inverts,
        aces.c.protected,
    ).order_by(aces.c.collection_id, aces.c.position),
    aces.c.collection_id,
)
_CLEAR = delete(aces).where(aces.c.collection_id == bindparam("collection"))
_ADD = insert(aces)
_GRANTED = (
    select(*COLLECTION_COLUMNS)
    .where(
        collections.c.id.in_(
            select(aces.c.collection_id).where(aces.c.principal_id.in_(bindparam("ids", expanding=True)))
        )
    )
    .order_by(collections.c.home_id, collections.c.path)
)


class SqlAcls:
    """See :class:`storage.store.Acls`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def of(self, collection_ids: Members[int]) -> Mapping[int, Sequence[Ace]]:
        """See :class:`storage.store.Acls`."""
        found: dict[int, list[Ace]] = {}
        for batch in batches(dict.fromkeys(collection_ids)):
            for id_, who, grant, privileges, principal_id, prop, invert, protected in _OF.all(self._tx, {}, batch):
                ace = Ace(
                    who=who,
                    grant=grant,
                    privileges=tuple(privileges.split(" ")) if privileges else (),
                    principal_id=principal_id,
                    property=prop,
                    invert=invert,
                    protected=protected,
                )
                found.setdefault(id_, []).append(ace)
        return found

    def set(self, collection: Collection, aces: Sequence[Ace]) -> None:
        """See :class:`storage.store.Acls`."""
        held = self._tx.own(collection.home_id)
        self._tx.execute(_CLEAR, {"collection": collection.id})
        rows = [
            {
                "collection_id": collection.id,
                "position": position,
                "who": ace.who,
                "grants": ace.grant,
                # A Clark name has no space: a namespace is a URI, a name is a name.
                "privileges": checked_text(" ".join(ace.privileges), "privileges"),
                "principal_id": ace.principal_id,
                "property": checked_text(ace.property, "property"),
                "inverts": ace.invert,
                "protected": ace.protected,
            }
            for position, ace in enumerate(aces)
        ]
        if rows:
            self._tx.execute(_ADD, rows)
        held.generation += 1
        held.changed = True

    def granted_to(self, principal_ids: Members[int]) -> Sequence[Collection]:
        """See :class:`storage.store.Acls`."""
        self._tx.flush()
        return [
            collection_of(row)
            for batch in batches(dict.fromkeys(principal_ids))
            for row in self._tx.execute(_GRANTED, {"ids": batch})
        ]
