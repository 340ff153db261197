"""Creating and migrating the schema, one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, insert, select, text

from storage import migrations
from storage.errors import Busy, SchemaMismatch
from storage.sql.backend import Backend, check_server
from storage.sql.schema import meta

#: How long a second process waits for the one that is upgrading, seconds; and the name they meet at.
_PATIENCE = 60
_LOCK_NAME = "caldavd upgrade"
_LOCK_NUMBER = 0x63616C646176


def upgrade(backend: Backend) -> None:
    """Brings the schema to the newest version and draws the first epoch and the secret."""
    with _alone(backend) as connection:
        check_server(connection)
        configuration = Config()
        folder = Path(migrations.__file__).parent
        # A percent sign is special to the parser behind it.
        configuration.set_main_option("script_location", str(folder).replace("%", "%%"))
        configuration.set_main_option("path_separator", "os")
        configuration.attributes["connection"] = connection
        try:
            command.upgrade(configuration, "head")
        except CommandError as error:
            # The one reason for which it does not even begin: it does not know the version that it finds.
            raise SchemaMismatch(
                f"The database was upgraded with another version of caldavd, which has to be installed again: {error}"
            ) from error
        known = set(connection.execute(select(meta.c.name)).scalars())
        for name, value in (("epoch", token_hex(4)), ("groups", ""), ("secret", token_hex(32))):
            if name not in known:
                connection.execute(insert(meta), {"name": name, "value": value})
        if connection.in_transaction():
            connection.commit()


@contextmanager
def _alone(backend: Backend) -> Iterator[Connection]:
    with backend.writer.connect() as connection:
        if backend.name == "mysql":
            with _mysql_lock(connection):
                yield connection
            return
        if backend.name == "sqlite":
            # Migrations that rebuild a table would otherwise cascade; it can be changed outside a transaction only.
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA foreign_keys = OFF")
            try:
                connection.begin()
                yield connection
            finally:
                connection.rollback()
                raw.execute("PRAGMA foreign_keys = ON")
            return
        connection.begin()
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        yield connection


@contextmanager
def _mysql_lock(connection: Connection) -> Iterator[None]:
    # Held by the session: DDL statements commit, and a transaction's lock would end with the first of them.
    where = {"name": _LOCK_NAME, "patience": _PATIENCE}
    if connection.execute(text("SELECT GET_LOCK(:name, :patience)"), where).scalar() != 1:
        raise Busy("Another process is upgrading the database.")
    connection.commit()
    try:
        yield
    finally:
        if connection.in_transaction():
            connection.rollback()
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
        connection.commit()
