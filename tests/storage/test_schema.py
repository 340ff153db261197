"""The schema: migrations and tables agree, and every database compares as SQLite does."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from storage import migrations
from storage.errors import SchemaMismatch
from storage.open import open_store
from storage.rows import NewObject
from storage.sql.schema import ENDLESS, HEAD, metadata
from storage.store import Store, Transaction
from tests.storage.conftest import House


def test_the_migrations_make_the_tables_of_the_schema(store: Store, url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
        for table in metadata.sorted_tables:
            found = {column["name"]: column for column in inspect(connection).get_columns(table.name)}
            assert list(found) == [column.name for column in table.columns]
            for column in table.columns:
                wanted = column.type.compile(connection.dialect).split(" COLLATE")[0].split(" CHARACTER SET")[0]
                made = found[column.name]["type"].compile(connection.dialect).split(" COLLATE")[0]
                assert made.split(" CHARACTER SET")[0].replace("TINYINT(1)", "BOOL").replace(
                    "INTEGER(11)", "INTEGER"
                ) in (
                    wanted,
                    wanted.replace("BIGINT", "BIGINT(20)"),
                ), (table.name, column.name)
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(migrations.__file__).parent))
    configuration.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(configuration).get_current_head() == HEAD


def test_an_empty_database_is_told_what_to_run(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(SchemaMismatch, match="caldavd db upgrade"):
        store.check_schema()
    store.close()


def test_a_database_of_another_version_is_refused(store: Store, url: str) -> None:
    store.check_schema()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="9999"):
        store.check_schema()
    with pytest.raises(SchemaMismatch, match="9999"):
        store.upgrade()
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))
    engine.dispose()


def test_upgrading_again_changes_nothing(store: Store) -> None:
    epoch = store.epoch
    store.upgrade()
    store.check_schema()
    assert store.epoch == epoch


def test_an_older_database_keeps_what_is_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    store = open_store(url)
    store.upgrade()
    epoch = store.epoch
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE queue",
            "DROP TABLE queue_texts",
            "DROP TABLE journal",
            "DROP TABLE bookings",
            "DROP TABLE freebusy_links",
            "DROP TABLE held_mails",
            "DELETE FROM meta WHERE name = 'secret'",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            connection.execute(text(statement))
    with pytest.raises(SchemaMismatch, match="0001"):
        store.check_schema()
    store.upgrade()
    store.check_schema()
    assert store.epoch == epoch
    assert len(store.secret("links")) == 32
    assert {"queue", "journal", "bookings", "freebusy_links", "held_mails"} <= set(inspect(engine).get_table_names())
    engine.dispose()
    store.close()


def test_the_objects_of_an_older_database_are_found_by_time(house: House, url: str) -> None:
    bounds: dict[str, tuple[int | None, int | None]] = {"short": (0, 60), "long": (0, 10**8), "endless": (0, None)}

    def fill(tx: Transaction) -> None:
        new = [(name, NewObject(b"x", "text/calendar", name, "VEVENT", *known)) for name, known in bounds.items()]
        tx.objects.put_many(house.work, new)

    def found(tx: Transaction) -> list[str]:
        return [row.name for row in tx.objects.within(house.work.id, columns=frozenset({"name"}), start=100, end=200)]

    house.locked(fill)
    engine = create_engine(url)
    index = "ix_objects_collection_id_extent_starts_at_ends_at_component"
    with engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {index}" + (" ON objects" if engine.name == "mysql" else "")))
        connection.execute(text("ALTER TABLE objects DROP COLUMN extent"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    house.store.upgrade()
    house.store.check_schema()
    assert house.read(found) == ["long", "endless"]
    assert index in {one["name"] for one in inspect(engine).get_indexes("objects")}
    with engine.connect() as connection:
        assert set(connection.execute(text("SELECT name, extent FROM objects")).all()) == {
            ("short", 0),
            ("long", 3),
            ("endless", ENDLESS),
        }
    engine.dispose()


def _upgrade(url: str) -> None:
    store = open_store(url)
    store.upgrade()
    store.close()


def test_several_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_upgrade, args=(url,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_secrets_are_kept_and_differ_by_purpose_and_store(store: Store, url: str, tmp_path: Path) -> None:
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    other.upgrade()
    again = open_store(url)
    again.upgrade()
    store.new_epoch()
    assert store.secret("links") == again.secret("links")
    assert len({store.secret("links"), store.secret("mail"), other.secret("links")}) == 3
    other.close()
    again.close()


def test_a_new_epoch_is_another_one(store: Store) -> None:
    before = store.epoch
    after = store.new_epoch()
    assert after != before
    assert store.epoch == after


def test_a_sqlite_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "private.db"
    store = open_store(f"sqlite:///{file}")
    store.upgrade()
    store.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_sqlite_survives_power_loss_and_keeps_its_references(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'settings.db'}")
    with store._backend.writer.connect() as connection:  # type: ignore[attr-defined]
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    store.close()


@pytest.mark.parametrize(
    "url",
    ["oracle://x", "sqlite+unknown:///x", "no url at all", "postgresql+asyncpg://h/d"],
)
def test_a_url_of_no_store_is_refused_with_the_choices(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite"):
        open_store(url)
