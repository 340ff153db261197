"""How rooms are booked, the links to free/busy that people have opened, and mails that wait for a look."""

from __future__ import annotations

import sqlalchemy as sa

from storage.migrations.steps import index, table
from storage.sql.types import Bytes, Bytewise, Id, LongText

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    table(
        "bookings",
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", Bytewise(20), nullable=False),
        sa.Column("beyond", Bytewise(20), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("equipment", LongText, nullable=False),
        sa.Column("place", LongText, nullable=False),
        sa.Column("latitude", sa.Integer(), nullable=True),
        sa.Column("longitude", sa.Integer(), nullable=True),
        sa.Column("delegate_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("principal_id", name="pk_bookings"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_bookings_principal_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["delegate_id"], ["principals.id"], name="fk_bookings_delegate_id", ondelete="SET NULL"
        ),
    )
    index("bookings", "delegate_id")
    table(
        "freebusy_links",
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", name="pk_freebusy_links"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_freebusy_links_principal_id", ondelete="CASCADE"
        ),
    )
    table(
        "held_mails",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sender", LongText, nullable=False),
        sa.Column("recipient", LongText, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("body", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_held_mails"),
    )
    index("held_mails", "received")
