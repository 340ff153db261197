"""The queue of what is to be done outside the database, and the scheduling log."""

from __future__ import annotations

import sqlalchemy as sa

from storage.migrations.steps import index, table
from storage.sql.types import Bytes, Bytewise, Hash, Id, LongText, Name

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    table(
        "queue_texts",
        sa.Column("hash", Hash, nullable=False),
        sa.Column("body", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_queue_texts"),
    )
    table(
        "queue",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("kind", Bytewise(20), nullable=False),
        sa.Column("key", Name, nullable=False),
        sa.Column("stream_hash", Hash, nullable=True),
        sa.Column("state", Bytewise(20), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("lease", Bytewise(32), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("last_error", LongText, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.Column("text_hash", Hash, nullable=True),
        sa.Column("payload", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
        sa.ForeignKeyConstraint(["text_hash"], ["queue_texts.hash"], name="fk_queue_text_hash"),
        sa.UniqueConstraint("kind", "key", name="uq_queue_kind_key"),
    )
    index("queue", "kind", "state", "not_before")
    index("queue", "stream_hash")
    index("queue", "text_hash")
    index("queue", "finished")
    table(
        "journal",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("uid", LongText, nullable=False),
        sa.Column("uid_hash", Hash, nullable=False),
        sa.Column("actor", LongText, nullable=False),
        sa.Column("recipient", LongText, nullable=False),
        sa.Column("method", Bytewise(40), nullable=False),
        sa.Column("status", Name, nullable=False),
        sa.Column("destination", LongText, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    index("journal", "uid_hash", "id")
    index("journal", "at")
