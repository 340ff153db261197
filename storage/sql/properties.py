"""Stored properties, keyed (resource, principal or everyone, namespace, name)."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Delete, Insert, Select, Table, Update, bindparam, delete, insert, literal, select, update

from storage.batches import batches
from storage.rows import Owner, OwnerKind, StoredProperty
from storage.sql.direct import Direct
from storage.sql.names import checked_text
from storage.sql.schema import collection_properties, object_properties, principal_properties
from storage.sql.types import key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_TABLES: Mapping[OwnerKind, Table] = {
    "principal": principal_properties,
    "collection": collection_properties,
    "object": object_properties,
}
#: The principal that stands for everyone.
EVERYONE = 0
#: Names that a statement is told; of more, all rows are read and sorted out here (databases bound their variables).
_MOST_NAMES = 500


@lru_cache(maxsize=16)
def _reading(kind: OwnerKind, *, by_name: bool) -> Select[Any]:
    table = _TABLES[kind]
    statement = (
        select(table.c.owner_id, table.c.principal_id, table.c.namespace, table.c.name, table.c.xml)
        .where(
            table.c.owner_id.in_(bindparam("owners", expanding=True)),
            table.c.principal_id.in_([literal(EVERYONE), bindparam("principal")]),
        )
        # Everyone's first: the principal's own value of the same name replaces it. Then as they were named.
        .order_by(table.c.owner_id, table.c.principal_id, table.c.name_hash)
    )
    return statement.where(table.c.name_hash.in_(bindparam("hashes", expanding=True))) if by_name else statement


@lru_cache(maxsize=16)
def _reading_one(kind: OwnerKind) -> Direct:
    """One property of one owner, as nearly every GET asks for it."""
    table = _TABLES[kind]
    return Direct(
        select(table.c.principal_id, table.c.xml)
        .where(
            table.c.owner_id == bindparam("owner"),
            table.c.principal_id.in_([literal(EVERYONE), bindparam("principal")]),
            table.c.name_hash == bindparam("hash"),
        )
        .order_by(table.c.principal_id)
    )


@lru_cache(maxsize=16)
def _key(kind: OwnerKind) -> tuple[Any, ...]:
    table = _TABLES[kind]
    return (
        table.c.owner_id == bindparam("owner"),
        table.c.principal_id == bindparam("principal"),
        table.c.name_hash == bindparam("hash"),
    )


@lru_cache(maxsize=16)
def _writing(kind: OwnerKind) -> tuple[Update, Insert, Delete]:
    table = _TABLES[kind]
    return update(table).where(*_key(kind)), insert(table), delete(table).where(*_key(kind))


class SqlProperties:
    """See :class:`storage.store.Properties`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def of(
        self, owners: Members[Owner], *, principal_id: int, names: Members[tuple[str, str]] | None = None
    ) -> Mapping[Owner, Sequence[StoredProperty]]:
        """See :class:`storage.store.Properties`."""
        if names is not None and len(owners) == len(names) == 1:
            return self._one(next(iter(owners)), next(iter(names)), principal_id)
        by_kind: dict[OwnerKind, dict[int, Owner]] = {}
        for owner in owners:
            by_kind.setdefault(owner.kind, {})[owner.id] = owner
        where: dict[str, Any] = {"principal": principal_id}
        wanted = None if names is None else frozenset(names)
        by_name = wanted is not None and len(wanted) <= _MOST_NAMES
        if wanted is not None and by_name:
            where["hashes"] = [key_hash(namespace, name) for namespace, name in wanted]
        found: dict[Owner, dict[tuple[str, str], StoredProperty]] = {}
        for kind, by_id in by_kind.items():
            statement = _reading(kind, by_name=by_name)
            for batch in batches(by_id):
                for id_, principal, namespace, name, xml in self._tx.execute(statement, where | {"owners": batch}):
                    if wanted is not None and not by_name and (namespace, name) not in wanted:
                        continue
                    owner = by_id[id_]
                    value = StoredProperty(owner, principal, namespace, name, xml)
                    found.setdefault(owner, {})[namespace, name] = value
        return {owner: list(values.values()) for owner, values in found.items()}

    def _one(self, owner: Owner, name: tuple[str, str], principal_id: int) -> Mapping[Owner, Sequence[StoredProperty]]:
        where = {"owner": owner.id, "principal": principal_id, "hash": key_hash(*name)}
        rows = _reading_one(owner.kind).all(self._tx, where)
        if not rows:
            return {}
        principal, xml = rows[-1]
        return {owner: [StoredProperty(owner, principal, *name, xml)]}

    def set(self, prop: StoredProperty) -> None:
        """See :class:`storage.store.Properties`."""
        self._writing(prop.owner)
        changing, adding, _ = _writing(prop.owner.kind)
        namespace = checked_text(prop.namespace, "namespace")
        name = checked_text(prop.name, "property name")
        hash_ = key_hash(namespace, name)
        where = {"owner": prop.owner.id, "principal": prop.principal_id, "hash": hash_}
        if self._tx.execute(changing, {**where, "xml": prop.xml}).rowcount == 0:
            row = {
                "owner_id": prop.owner.id,
                "principal_id": prop.principal_id,
                "name_hash": hash_,
                "namespace": namespace,
                "name": name,
                "xml": prop.xml,
            }
            self._tx.execute(adding, row)

    def remove(self, owner: Owner, *, principal_id: int, namespace: str, name: str) -> None:
        """See :class:`storage.store.Properties`."""
        self._writing(owner)
        where = {"owner": owner.id, "principal": principal_id, "hash": key_hash(namespace, name)}
        self._tx.execute(_writing(owner.kind)[2], where)

    def copy(self, source: Owner, target: Owner) -> None:
        """See :class:`storage.store.Properties`."""
        self._writing(target)
        here, there = _TABLES[source.kind], _TABLES[target.kind]
        columns = ["owner_id", "principal_id", "name_hash", "namespace", "name", "xml"]
        old = select(literal(target.id), *(here.c[name] for name in columns[1:])).where(here.c.owner_id == source.id)
        self._tx.execute(delete(there).where(there.c.owner_id == target.id))
        self._tx.execute(insert(there).from_select(columns, old))

    def _writing(self, owner: Owner) -> None:
        if owner.kind == "principal":
            self._tx.writing()
        else:
            self._tx.own_some()
