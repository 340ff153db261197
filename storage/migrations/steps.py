"""The steps that migrations are made of: one DDL statement each, and safe to run again.

MariaDB and MySQL commit every DDL statement by itself, so a migration that was cut off begins anew in its middle.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.sql.types import Id


def table(name: str, *parts: Any) -> None:
    """Creates a table, unless it is there."""
    has_id = any(isinstance(part, sa.Column) and part.name == "id" and part.type is Id for part in parts)
    op.create_table(name, *parts, if_not_exists=True, sqlite_autoincrement=has_id, mysql_engine="InnoDB")


def index(on: str, *columns: str) -> None:
    """Creates an index with the name that the tables' naming convention gives it, unless it is there."""
    name = "_".join(("ix", on, *columns))
    if name not in {one["name"] for one in sa.inspect(op.get_bind()).get_indexes(on)}:
        op.create_index(name, on, columns)
