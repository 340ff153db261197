"""What an owner asks for most, with what confirms the login, in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, select

from storage.rows import Owned, OwnedObject
from storage.sql.direct import Direct
from storage.sql.names import findable, storable
from storage.sql.schema import collections, homes, object_properties, objects, principals
from storage.sql.values import COLLECTION_COLUMNS, collection_of

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

_member = objects.c
_OBJECT_COLUMNS = (
    _member.etag,
    _member.modified,
    _member.schedule_tag,
    _member.body,
    exists().where(object_properties.c.owner_id == _member.id).label("has_properties"),
)
_OWNED = Direct(
    select(principals.c.id, principals.c.credentials_revision, *COLLECTION_COLUMNS, *_OBJECT_COLUMNS)
    .select_from(principals)
    .join(homes, homes.c.principal_id == principals.c.id)
    .join(collections, and_(collections.c.home_id == homes.c.id, collections.c.path == bindparam("path")))
    .outerjoin(objects, and_(_member.collection_id == collections.c.id, _member.name == bindparam("member")))
    .where(principals.c.name == bindparam("owner"))
)


def owned(tx: SqlTransaction, owner: str, calendar: str, member: str) -> Owned | None:
    """See :class:`storage.store.Collections`."""
    if not (storable(owner) and findable(calendar) and storable(member)):
        return None
    rows = _OWNED.all(tx, {"owner": owner, "path": calendar, "member": member})
    if not rows:
        return None
    principal_id, revision, *_ = row = rows[0]
    etag, modified, schedule_tag, body, has_properties = row[-len(_OBJECT_COLUMNS) :]
    found = None if etag is None else OwnedObject(etag, modified, schedule_tag, body, bool(has_properties))
    return Owned(principal_id, revision, collection_of(row, 2), found)
