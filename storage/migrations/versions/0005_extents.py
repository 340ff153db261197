"""An index for what lies in a stretch of time, and how long objects last, by which it is read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.steps import index

revision = "0005"
down_revision = "0004"

_EXTENT = (
    "CASE WHEN starts_at IS NULL THEN 6 WHEN ends_at IS NULL THEN 5 WHEN ends_at - starts_at <= 262144 THEN 0 "
    "WHEN ends_at - starts_at <= 2097152 THEN 1 WHEN ends_at - starts_at <= 16777216 THEN 2 "
    "WHEN ends_at - starts_at <= 134217728 THEN 3 WHEN ends_at - starts_at <= 1073741824 THEN 4 ELSE 5 END"
)


def upgrade() -> None:
    bind = op.get_bind()
    # PostgreSQL and MariaDB keep the value in the row and fill it in now; SQLite, which cannot add such a column,
    # computes it for the index.
    stored = None if bind.dialect.name == "sqlite" else True
    if "extent" not in {one["name"] for one in sa.inspect(bind).get_columns("objects")}:
        column = sa.Column("extent", sa.Integer(), sa.Computed(_EXTENT, persisted=stored), nullable=True)
        op.add_column("objects", column)
    index("objects", "collection_id", "extent", "starts_at", "ends_at", "component")
