"""``caldavd doctor`` compares the whole free/busy index with the database and prints the drift."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caldavd.cli.session import Session
from config.settings import FreeBusy as Settings
from scheduling.freebusy.busy import spans_of
from scheduling.freebusy.index import Fill, week_of
from scheduling.freebusy.index_open import free_busy_of
from scheduling.freebusy.index_redis import RedisIndex
from storage.open import open_store
from storage.rows import NewObject
from storage.store import Store, Transaction
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.client import event
from tests.scheduling.freebusy.redis_servers import Server

NOW = int(time.time())
TOMORROW = time.strftime("%Y%m%dT120000Z", time.gmtime(NOW + 86_400))


@pytest.fixture
def filled(ready: Cli) -> Cli:
    """Somebody with events, one of which never ends."""
    ready("user", "add", "alice", "--no-password", "--timezone", "Europe/Berlin")
    for uid, extra in (("a", ""), ("b", "RRULE:FREQ=WEEKLY\r\n")):
        Path(f"{uid}.ics").write_text(event(uid, start=TOMORROW, extra=extra), newline="")
    ready("calendar", "import", "alice/calendar", "a.ics", "b.ics")
    return ready


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{folder}/caldavd.db")
    yield opened
    opened.close()


def test_nothing_drifts(filled: Cli) -> None:
    found = filled("doctor").output
    assert "weeks of 1 calendars compared; drift 0." in found
    assert "All is well." in found


def test_packed_times_that_are_not_those_of_the_text(filled: Cli, store: Store) -> None:
    def spoil(tx: Transaction) -> None:
        tx.homes.lock_of(["alice"])
        found = tx.collections.find("alice", ("calendar",))
        assert found is not None
        columns = frozenset(
            {"body", "component", "starts_at", "ends_at", "recurs", "organizer", "spans", "digest_version"}
        )
        row = tx.objects.by_uid(found.collection.id, "a", columns=columns)
        assert row is not None
        new = NewObject(
            row.body, "text/calendar", "a", "VEVENT", row.starts_at, row.ends_at,
            spans=row.spans[:-19], digest_version=row.digest_version,
        )  # fmt: skip
        tx.objects.redigest(row.id, new)

    store.run(spoil, write=True)
    found = filled("doctor", status=1).output
    assert "alice/calendar, the week of " in found
    assert "drift 1." in found
    filled("reindex")
    assert "drift 0." in filled("doctor").output


def test_what_is_in_redis(filled: Cli, store: Store, folder: Path) -> None:
    with Server(folder) as server, closing(RedisIndex(server.url, timeout=2)) as index:
        Path("caldavd.toml").write_text(f'[freebusy]\nredis = "{server.url}"\n')
        assert "0 weeks of 0 calendars compared; drift 0." in filled("doctor").output
        service = free_busy_of(Settings(redis=server.url, timeout_milliseconds=2000))
        alice = store.run(lambda tx: tx.principals.by_name("alice"), write=False)
        assert alice is not None
        store.run(lambda tx: service.busy_times(tx, [alice], NOW, NOW + 30 * 86_400, epoch=store.epoch), write=False)
        found = filled("doctor").output
        assert f"Free/busy in Redis ({server.url}): " in found
        assert found.count("weeks of 1 calendars compared; drift 0.") == 2
        paths = store.run(lambda tx: service.calendars(tx, [alice], epoch=store.epoch), write=False)
        calendar = paths["alice/calendar"]
        index.fill([Fill(calendar.id, calendar.version, {week_of(NOW + 86_400): []})])
        found = filled("doctor", status=1).output
        assert "In Redis: alice/calendar, the week of " in found
        assert "drift 1." in found
        filled("calendar", "import", "alice/calendar", "-", stdin=event("c", start=TOMORROW))
        assert "1 entries are old and count for nothing; drift 0." in filled("doctor").output
        server.stop()
        assert "does not answer" in filled("doctor", status=1).output


def test_passwords_are_not_shown(filled: Cli) -> None:
    Path("caldavd.toml").write_text('[freebusy]\nredis = "redis://:secret@127.0.0.1:1/0"\n')
    assert "secret" not in filled("doctor", status=1).output
    assert "secret" not in filled("config", "check").output
    assert Session(None).settings.freebusy.redis.endswith("secret@127.0.0.1:1/0")


def test_a_client_that_is_not_installed(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("caldavd.toml").write_text('[freebusy]\nredis = "redis://127.0.0.1:1/0"\n')
    monkeypatch.setitem(__import__("sys").modules, "scheduling.freebusy.index_redis", None)
    assert "pip install" in filled("doctor", status=1).output


def test_reindex_moves_the_packed_times_on(filled: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no end is packed for a year; a year later the texts are read, until the index is rewritten."""
    later = NOW + 500 * 86_400

    def covered(at: int) -> bool:
        def work(tx: Transaction) -> bool:
            alice = tx.principals.by_name("alice")
            assert alice is not None
            calendar = free_busy_of(Settings()).calendars(tx, [alice], epoch=store.epoch)["alice/calendar"]
            row = tx.objects.by_uid(calendar.id, "b", columns=frozenset({"spans", "digest_version"}))
            assert row is not None
            return spans_of(row, calendar, at, at + 86_400) is not None

        return store.run(work, write=False)

    assert (covered(NOW), covered(later)) == (True, False)
    monkeypatch.setattr("scheduling.indexing.system_clock", lambda: datetime.fromtimestamp(later, UTC))
    filled("reindex")
    assert (covered(NOW), covered(later)) == (False, True)
