"""Copying a collection inside the database: a few statements a collection, whatever it holds. Bodies stay there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, insert, literal_column, select

from storage.rows import Collection, Owner
from storage.sql.schema import OBJECT_VALUES, object_properties, objects

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

#: Columns that a copy has of its own; the id is drawn by the database.
_OWN = ("home_id", "collection_id", "number", "created", "modified")
_KEPT = tuple(name for name in OBJECT_VALUES if name not in _OWN)
_EXTENT = select(func.count(), func.coalesce(func.sum(objects.c.size), 0)).where(
    objects.c.collection_id == bindparam("source")
)
_COPY_OBJECTS = insert(objects).from_select(
    [*_OWN, *_KEPT],
    select(
        bindparam("home", type_=objects.c.home_id.type),
        bindparam("target", type_=objects.c.collection_id.type),
        # In the order of their ids, each with a number of its own (design section 4).
        literal_column("ROW_NUMBER() OVER (ORDER BY id)") + bindparam("base", type_=objects.c.number.type),
        bindparam("now", type_=objects.c.created.type),
        bindparam("now", type_=objects.c.modified.type),
        *(objects.c[name] for name in _KEPT),
    ).where(objects.c.collection_id == bindparam("source")),
)
_old = objects.alias("old")
_new = objects.alias("new")
_COPY_PROPERTIES = insert(object_properties).from_select(
    [column.name for column in object_properties.columns],
    select(_new.c.id, *(column for column in object_properties.columns if column.name != "owner_id"))
    .join(_old, _old.c.id == object_properties.c.owner_id)
    .join(_new, _new.c.name == _old.c.name)
    .where(_old.c.collection_id == bindparam("source"), _new.c.collection_id == bindparam("target")),
)


def copy_members(tx: SqlTransaction, source: Collection, target: Collection) -> None:
    """Copies the objects of ``source`` with their properties into ``target``, which is empty.

    They are new there: created now, with numbers of their own; bytes, ETag and index columns are the same.
    Raises ``QuotaExceeded``.
    """
    count, size = tx.execute(_EXTENT, {"source": source.id}).one()
    if not count:
        return
    tx.occupy(target.home_id, more=int(size))
    base = tx.draw(target) - 1
    for _ in range(count - 1):
        tx.draw(target)
    tx.execute(
        _COPY_OBJECTS,
        {"home": target.home_id, "target": target.id, "base": base, "now": tx.now, "source": source.id},
    )
    tx.execute(_COPY_PROPERTIES, {"source": source.id, "target": target.id})


def copy_properties(tx: SqlTransaction, source: Collection, target: Collection) -> None:
    """Copies the collection's own stored properties."""
    tx.properties.copy(Owner("collection", source.id), Owner("collection", target.id))
