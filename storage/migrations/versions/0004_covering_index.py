"""The index of the change log holds what a sync tells of each member, so that it reads no rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.steps import index

revision = "0004"
down_revision = "0003"

_NARROW = "ix_objects_collection_id_number"


def upgrade() -> None:
    # The new one first: on MariaDB a foreign key needs one of the two at any time.
    index("objects", "collection_id", "number", "name", "etag")
    if _NARROW in {one["name"] for one in sa.inspect(op.get_bind()).get_indexes("objects")}:
        op.drop_index(_NARROW, "objects")
