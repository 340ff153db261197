"""Databases for tests: one of each kind a session, with the schema, emptied before each test and dropped at the end."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, delete
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from conformance.databases import execute
from storage.open import open_store
from storage.sql.schema import meta, metadata

#: Where the servers are: (environment variable, the usual local default).
SERVERS = {
    "postgresql": ("CALDAVD_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/"),
    "mysql": ("CALDAVD_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1/"),
}
KINDS = ("sqlite", *SERVERS)


@dataclass
class Databases:
    """The databases of this session."""

    folder: Path
    urls: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def url(self, kind: str) -> str:
        """The address of an empty database of this kind; skips (or fails, where it is required) if none answers."""
        if kind == "sqlite":
            return self._sqlite()
        if kind not in self.urls and kind not in self.refused:
            self._create(kind)
        if kind in self.refused:
            required = os.environ.get("CALDAVD_TEST_REQUIRE", "").split(",")
            (pytest.fail if kind in required else pytest.skip)(self.refused[kind])
        self._empty(self.urls[kind])
        return self.urls[kind]

    def _sqlite(self) -> str:
        template = self.folder / "template.db"
        if not template.exists():
            store = open_store(f"sqlite:///{template}")
            store.upgrade()
            store.close()
        file = self.folder / f"{uuid4().hex}.db"
        shutil.copy(template, file)
        return f"sqlite:///{file}"

    def _create(self, kind: str) -> None:
        variable, default = SERVERS[kind]
        server = make_url(os.environ.get(variable) or default)
        name = f"caldavd_test_{uuid4().hex[:12]}"
        try:
            execute(server.render_as_string(hide_password=False), f"CREATE DATABASE {name}")
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            self.refused[kind] = f"{kind} does not answer at {server.host} ({variable} names another): {reason}"
            return
        self.urls[kind] = server.set(database=name).render_as_string(hide_password=False)
        store = open_store(self.urls[kind])
        store.upgrade()
        store.close()

    @staticmethod
    def _empty(url: str) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not meta:
                    connection.execute(delete(table))
        engine.dispose()

    def drop(self) -> None:
        """Drops what was created on servers."""
        for kind, url in self.urls.items():
            parsed = make_url(url)
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            server = parsed.set(database="").render_as_string(hide_password=False)
            execute(server, f"DROP DATABASE {parsed.database}{force}")
