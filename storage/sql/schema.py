"""The tables, their types and their indexes.

``storage/migrations`` creates them; a test asserts that a migrated database and this module agree. Every name, UID and
address compares bytewise: SQLite does so by itself, PostgreSQL by the collation ``C``, MariaDB and MySQL by a binary
collation that does not pad with spaces. What may be long and must be found (UIDs, property names) is found by a hash
beside it. Ids are never used again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from storage.sql.types import Bytes, Bytewise, Folded, Hash, Id, LongText, Name, Path

#: The newest migration; ``check_schema`` compares the database with it.
HEAD = "0005"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, sqlite_autoincrement=_has_id(parts), mysql_engine="InnoDB")


def _has_id(parts: tuple[Any, ...]) -> bool:
    return any(isinstance(part, Column) and part.name == "id" for part in parts)


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _to(column: str, *, cascade: bool = True) -> ForeignKey:
    return ForeignKey(column, ondelete="CASCADE" if cascade else None)


#: One row a fact about the whole store: ``epoch``; ``secret``, which signs links and addresses; ``groups`` is locked by
#: who changes the members of a group.
meta = _table("meta", Column("name", Name, primary_key=True), Column("value", Name, nullable=False))

principals = _table(
    "principals",
    _id(),
    Column("name", Name, nullable=False),
    Column("name_folded", Folded, nullable=False),
    Column("kind", Bytewise(20), nullable=False),
    Column("displayname", LongText, nullable=False),
    Column("displayname_folded", Folded, nullable=False),
    Column("timezone", Name, nullable=False),
    Column("language", Name, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    # Random, drawn anew with every change of a password: it never comes again, not even for a namesake.
    Column("credentials_revision", BigInteger, nullable=False),
    Column("password_hash", LongText, nullable=True),
    UniqueConstraint("name"),
)

addresses = _table(
    "addresses",
    _id(),
    Column("principal_id", BigInteger, _to("principals.id"), nullable=False),
    Column("uri", LongText, nullable=False),
    Column("uri_hash", Hash, nullable=False),
    Column("uri_folded", Folded, nullable=False),
    Column("preferred", Boolean, nullable=False),
    UniqueConstraint("uri_hash"),
    Index(None, "principal_id"),
)

app_passwords = _table(
    "app_passwords",
    _id(),
    Column("principal_id", BigInteger, _to("principals.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("hash", LongText, nullable=False),
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("principal_id", "name"),
)

memberships = _table(
    "memberships",
    Column("group_id", BigInteger, _to("principals.id"), primary_key=True, autoincrement=False),
    Column("member_id", BigInteger, _to("principals.id"), primary_key=True, autoincrement=False),
    Index(None, "member_id"),
)

homes = _table(
    "homes",
    _id(),
    Column("principal_id", BigInteger, _to("principals.id"), nullable=False),
    # The principal's name again, so that a path is followed without the directory.
    Column("owner", Name, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("quota", BigInteger, nullable=True),
    Column("used", BigInteger, nullable=False),
    UniqueConstraint("principal_id"),
    UniqueConstraint("owner"),
)

collections = _table(
    "collections",
    _id(),
    Column("home_id", BigInteger, _to("homes.id"), nullable=False),
    Column("parent_id", BigInteger, _to("collections.id"), nullable=True),
    # The names below the home joined by "/", which no name contains; empty for the home itself.
    Column("path", Path, nullable=False),
    Column("kind", Bytewise(20), nullable=False),
    Column("components", Name, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    UniqueConstraint("home_id", "path"),
    Index(None, "parent_id"),
)

#: How long the bounds of an object are at most, seconds, by ``objects.extent`` (three days, 24 days, half a year, four
#: years, 34 years); behind them those that are longer or have no end, and those that have no start. See ``extents``.
LONGEST = (1 << 18, 1 << 21, 1 << 24, 1 << 27, 1 << 30)
ENDLESS = len(LONGEST)
STARTLESS = ENDLESS + 1
_EXTENT = (
    f"CASE WHEN starts_at IS NULL THEN {STARTLESS} WHEN ends_at IS NULL THEN {ENDLESS} "
    + " ".join(f"WHEN ends_at - starts_at <= {longest} THEN {extent}" for extent, longest in enumerate(LONGEST))
    + f" ELSE {ENDLESS} END"
)

objects = _table(
    "objects",
    _id(),
    Column("home_id", BigInteger, nullable=False),
    Column("collection_id", BigInteger, _to("collections.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("uid", LongText, nullable=False),
    # Null for plain files, which have no UID: nulls do not collide.
    Column("uid_hash", Hash, nullable=True),
    Column("component", Bytewise(40), nullable=False),
    Column("content_type", Name, nullable=False),
    Column("etag", Bytewise(40), nullable=False),
    Column("schedule_tag", Name, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("starts_at", BigInteger, nullable=True),
    Column("ends_at", BigInteger, nullable=True),
    Column("recurs", Boolean, nullable=False),
    Column("transparent", Boolean, nullable=False),
    Column("organizer", LongText, nullable=False),
    Column("digest_version", Integer, nullable=False),
    Column("spans", Bytes, nullable=False),
    # Last, because SQLite reads a row from its start: what stands before the body is read without it.
    Column("body", Bytes, nullable=False),
    # Computed by the database, so that it is never otherwise; SQLite keeps it in the index only.
    Column("extent", Integer, Computed(_EXTENT), nullable=True),
    UniqueConstraint("collection_id", "name"),
    UniqueConstraint("collection_id", "uid_hash"),
    # What lies in a stretch of time.
    Index(None, "collection_id", "extent", "starts_at", "ends_at", "component"),
    # The change log: with the name and the ETag, which are all that a sync asks of nearly every member.
    Index(None, "collection_id", "number", "name", "etag"),
)

#: The columns of an object that are written; the others the database fills in.
OBJECT_VALUES = tuple(column.name for column in objects.c if column.name != "id" and column.computed is None)

removals = _table(
    "removals",
    Column("collection_id", BigInteger, _to("collections.id"), primary_key=True, autoincrement=False),
    Column("name", Name, primary_key=True),
    # An object and a collection of one name have different URLs: one may be gone while the other is there. What was in
    # a collection is not told one by one.
    Column("was_collection", Boolean, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Index(None, "collection_id", "number"),
)

aces = _table(
    "aces",
    _id(),
    Column("collection_id", BigInteger, _to("collections.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("who", Bytewise(20), nullable=False),
    Column("principal_id", BigInteger, _to("principals.id"), nullable=True),
    Column("property", LongText, nullable=False),
    Column("privileges", LongText, nullable=False),
    Column("grants", Boolean, nullable=False),
    Column("inverts", Boolean, nullable=False),
    Column("protected", Boolean, nullable=False),
    UniqueConstraint("collection_id", "position"),
    Index(None, "principal_id"),
)

locks = _table(
    "locks",
    _id(),
    Column("token", Name, nullable=False),
    Column("home_id", BigInteger, _to("homes.id"), nullable=False),
    Column("path", LongText, nullable=False),
    Column("principal_id", BigInteger, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("infinite", Boolean, nullable=False),
    Column("owner_xml", Bytes, nullable=False),
    Column("expires", BigInteger, nullable=False),
    UniqueConstraint("token"),
    Index(None, "home_id"),
)

login_failures = _table(
    "login_failures",
    _id(),
    # A hash, because what people type into the field for their name is now and then their password.
    Column("key_hash", Hash, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "key_hash", "at"),
    Index(None, "at"),
)

login_successes = _table(
    "login_successes",
    Column("key_hash", Hash, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)

#: One row a write transaction on databases that are reached over a network: the answer to "did my COMMIT arrive?".
commits = _table(
    "commits",
    Column("id", Bytewise(32), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)

#: What many jobs of the queue have in common, kept once; housekeeping drops what no job refers to.
queue_texts = _table("queue_texts", Column("hash", Hash, primary_key=True), Column("body", Bytes, nullable=False))

#: What has to be done outside the database, written in the transaction that it follows from (design section 3, Queue).
queue = _table(
    "queue",
    _id(),
    Column("kind", Bytewise(20), nullable=False),
    Column("key", Name, nullable=False),
    # Null: in no order with others.
    Column("stream_hash", Hash, nullable=True),
    Column("state", Bytewise(20), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    # Random and of one lease only, so that who had it too long cannot speak for the next; empty: nobody has it.
    Column("lease", Bytewise(32), nullable=False),
    Column("leased_until", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("last_error", LongText, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("finished", BigInteger, nullable=True),
    Column("text_hash", Hash, _to("queue_texts.hash", cascade=False), nullable=True),
    Column("payload", Bytes, nullable=False),
    UniqueConstraint("kind", "key"),
    Index(None, "kind", "state", "not_before"),
    Index(None, "stream_hash"),
    Index(None, "text_hash"),
    Index(None, "finished"),
)

#: The scheduling log: what became of each message.
journal = _table(
    "journal",
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("uid", LongText, nullable=False),
    Column("uid_hash", Hash, nullable=False),
    Column("actor", LongText, nullable=False),
    Column("recipient", LongText, nullable=False),
    Column("method", Bytewise(40), nullable=False),
    Column("status", Name, nullable=False),
    Column("destination", LongText, nullable=False),
    Column("reason", LongText, nullable=False),
    Index(None, "uid_hash", "id"),
    Index(None, "at"),
)


#: How a room or resource answers and what it offers; one without a row does as ``BookingRules`` says by default.
bookings = _table(
    "bookings",
    Column("principal_id", BigInteger, _to("principals.id"), primary_key=True, autoincrement=False),
    Column("policy", Bytewise(20), nullable=False),
    Column("beyond", Bytewise(20), nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("capacity", Integer, nullable=True),
    # One name a line.
    Column("equipment", LongText, nullable=False),
    Column("place", LongText, nullable=False),
    # Millionths of a degree.
    Column("latitude", Integer, nullable=True),
    Column("longitude", Integer, nullable=True),
    Column("delegate_id", BigInteger, ForeignKey("principals.id", ondelete="SET NULL"), nullable=True),
    Index(None, "delegate_id"),
)

#: Who has opened a link to their free/busy; a new serial makes a new link, and the old one is nobody's.
freebusy_links = _table(
    "freebusy_links",
    Column("principal_id", BigInteger, _to("principals.id"), primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False),
)

#: Mails that were not believed, whole, for somebody to look at.
held_mails = _table(
    "held_mails",
    _id(),
    Column("received", BigInteger, nullable=False),
    Column("sender", LongText, nullable=False),
    Column("recipient", LongText, nullable=False),
    Column("reason", LongText, nullable=False),
    Column("body", Bytes, nullable=False),
    Index(None, "received"),
)


def _properties_of(owner: Table) -> Table:
    """Stored properties in a table for each kind of owner, so that they go when the owner goes."""
    return _table(
        f"{owner.name.removesuffix('s')}_properties",
        Column("owner_id", BigInteger, _to(f"{owner.name}.id"), primary_key=True, autoincrement=False),
        # 0: everyone.
        Column("principal_id", BigInteger, primary_key=True, autoincrement=False),
        Column("name_hash", Hash, primary_key=True),
        Column("namespace", LongText, nullable=False),
        Column("name", LongText, nullable=False),
        Column("xml", Bytes, nullable=False),
        Index(None, "principal_id"),
    )


principal_properties = _properties_of(principals)
collection_properties = _properties_of(collections)
object_properties = _properties_of(objects)
