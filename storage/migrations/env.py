"""What alembic runs around the migrations: the store hands its connection in (``SqlStore.upgrade``)."""

from __future__ import annotations

from alembic import context

from storage.sql.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=connection.dialect.name != "mysql",
    transaction_per_migration=connection.dialect.name == "mysql",
)
with context.begin_transaction():
    context.run_migrations()
