"""Everything that the first release keeps."""

from __future__ import annotations

import sqlalchemy as sa

from storage.migrations.steps import index, table
from storage.sql.types import Bytes, Bytewise, Folded, Hash, Id, LongText, Name, Path

revision = "0001"
down_revision = None


def upgrade() -> None:
    table(
        "commits",
        sa.Column("id", Bytewise(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_commits"),
    )
    index("commits", "at")
    table(
        "login_failures",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("key_hash", Hash, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_failures"),
    )
    index("login_failures", "at")
    index("login_failures", "key_hash", "at")
    table(
        "login_successes",
        sa.Column("key_hash", Hash, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_login_successes"),
    )
    index("login_successes", "at")
    table(
        "meta",
        sa.Column("name", Name, nullable=False),
        sa.Column("value", Name, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    table(
        "principals",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("name", Name, nullable=False),
        sa.Column("name_folded", Folded, nullable=False),
        sa.Column("kind", Bytewise(20), nullable=False),
        sa.Column("displayname", LongText, nullable=False),
        sa.Column("displayname_folded", Folded, nullable=False),
        sa.Column("timezone", Name, nullable=False),
        sa.Column("language", Name, nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("credentials_revision", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_principals"),
        sa.UniqueConstraint("name", name="uq_principals_name"),
    )
    table(
        "addresses",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("uri", LongText, nullable=False),
        sa.Column("uri_hash", Hash, nullable=False),
        sa.Column("uri_folded", Folded, nullable=False),
        sa.Column("preferred", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_addresses"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_addresses_principal_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("uri_hash", name="uq_addresses_uri_hash"),
    )
    index("addresses", "principal_id")
    table(
        "app_passwords",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("hash", LongText, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_app_passwords"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_app_passwords_principal_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("principal_id", "name", name="uq_app_passwords_principal_id_name"),
    )
    table(
        "homes",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("owner", Name, nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_homes"),
        sa.ForeignKeyConstraint(["principal_id"], ["principals.id"], name="fk_homes_principal_id", ondelete="CASCADE"),
        sa.UniqueConstraint("owner", name="uq_homes_owner"),
        sa.UniqueConstraint("principal_id", name="uq_homes_principal_id"),
    )
    table(
        "memberships",
        sa.Column("group_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("group_id", "member_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(["group_id"], ["principals.id"], name="fk_memberships_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["member_id"], ["principals.id"], name="fk_memberships_member_id", ondelete="CASCADE"),
    )
    index("memberships", "member_id")
    table(
        "principal_properties",
        sa.Column("owner_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name_hash", Hash, nullable=False),
        sa.Column("namespace", LongText, nullable=False),
        sa.Column("name", LongText, nullable=False),
        sa.Column("xml", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "principal_id", "name_hash", name="pk_principal_properties"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["principals.id"], name="fk_principal_properties_owner_id", ondelete="CASCADE"
        ),
    )
    index("principal_properties", "principal_id")
    table(
        "collections",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("home_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("path", Path, nullable=False),
        sa.Column("kind", Bytewise(20), nullable=False),
        sa.Column("components", Name, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.ForeignKeyConstraint(["home_id"], ["homes.id"], name="fk_collections_home_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["collections.id"], name="fk_collections_parent_id", ondelete="CASCADE"),
        sa.UniqueConstraint("home_id", "path", name="uq_collections_home_id_path"),
    )
    index("collections", "parent_id")
    table(
        "locks",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("token", Name, nullable=False),
        sa.Column("home_id", sa.BigInteger(), nullable=False),
        sa.Column("path", LongText, nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("infinite", sa.Boolean(), nullable=False),
        sa.Column("owner_xml", Bytes, nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_locks"),
        sa.ForeignKeyConstraint(["home_id"], ["homes.id"], name="fk_locks_home_id", ondelete="CASCADE"),
        sa.UniqueConstraint("token", name="uq_locks_token"),
    )
    index("locks", "home_id")
    table(
        "aces",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("collection_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("who", Bytewise(20), nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=True),
        sa.Column("property", LongText, nullable=False),
        sa.Column("privileges", LongText, nullable=False),
        sa.Column("grants", sa.Boolean(), nullable=False),
        sa.Column("inverts", sa.Boolean(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aces"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name="fk_aces_collection_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["principal_id"], ["principals.id"], name="fk_aces_principal_id", ondelete="CASCADE"),
        sa.UniqueConstraint("collection_id", "position", name="uq_aces_collection_id_position"),
    )
    index("aces", "principal_id")
    table(
        "collection_properties",
        sa.Column("owner_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name_hash", Hash, nullable=False),
        sa.Column("namespace", LongText, nullable=False),
        sa.Column("name", LongText, nullable=False),
        sa.Column("xml", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "principal_id", "name_hash", name="pk_collection_properties"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["collections.id"], name="fk_collection_properties_owner_id", ondelete="CASCADE"
        ),
    )
    index("collection_properties", "principal_id")
    table(
        "objects",
        sa.Column("id", Id, nullable=False, autoincrement=True),
        sa.Column("home_id", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.BigInteger(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("uid", LongText, nullable=False),
        sa.Column("uid_hash", Hash, nullable=True),
        sa.Column("component", Bytewise(40), nullable=False),
        sa.Column("content_type", Name, nullable=False),
        sa.Column("etag", Bytewise(40), nullable=False),
        sa.Column("schedule_tag", Name, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("recurs", sa.Boolean(), nullable=False),
        sa.Column("transparent", sa.Boolean(), nullable=False),
        sa.Column("organizer", LongText, nullable=False),
        sa.Column("digest_version", sa.Integer(), nullable=False),
        sa.Column("spans", Bytes, nullable=False),
        sa.Column("body", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_objects"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name="fk_objects_collection_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("collection_id", "name", name="uq_objects_collection_id_name"),
        sa.UniqueConstraint("collection_id", "uid_hash", name="uq_objects_collection_id_uid_hash"),
    )
    index("objects", "collection_id", "number")
    table(
        "removals",
        sa.Column("collection_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("was_collection", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "name", "was_collection", name="pk_removals"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name="fk_removals_collection_id", ondelete="CASCADE"
        ),
    )
    index("removals", "collection_id", "number")
    table(
        "object_properties",
        sa.Column("owner_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name_hash", Hash, nullable=False),
        sa.Column("namespace", LongText, nullable=False),
        sa.Column("name", LongText, nullable=False),
        sa.Column("xml", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "principal_id", "name_hash", name="pk_object_properties"),
        sa.ForeignKeyConstraint(["owner_id"], ["objects.id"], name="fk_object_properties_owner_id", ondelete="CASCADE"),
    )
    index("object_properties", "principal_id")
