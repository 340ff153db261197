"""Transactions: run again where the database asks for it, a bounded number of times, and nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, exc, text
from sqlalchemy.engine import Connection

from storage.errors import Busy, Misuse, NameTaken
from storage.open import open_store
from storage.rows import NewObject, PrincipalKind
from storage.sql.store import SqlStore
from storage.store import Store, Transaction
from tests.storage.conftest import House, find, put


def _sql(tx: Transaction) -> Connection:
    connection: Connection = tx.connection  # type: ignore[attr-defined]
    return connection


def test_an_error_rolls_back_and_passes_through(house: House) -> None:
    before = house.home()
    ran: list[str] = []

    def work(tx: Transaction) -> None:
        put(tx, "work", "a.ics")
        tx.after_commit(lambda: ran.append("hook"))
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        house.locked(work)
    assert house.home() == before
    assert ran == []
    assert house.put("a.ics").number == before.counter + 1


def test_hooks_run_once_after_the_commit_and_may_use_the_store(house: House, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def hook() -> None:
        seen.append(house.home().counter)

    def broken() -> None:
        raise LookupError("a hook's own trouble")

    def work(tx: Transaction) -> int:
        tx.after_commit(broken)
        tx.after_commit(hook)
        return put(tx, "work", "a.ics").number

    assert [house.locked(work)] == seen
    assert "a hook's own trouble" in caplog.text


def test_one_transaction_a_thread(house: House) -> None:
    with pytest.raises(Misuse, match="open"):
        house.locked(lambda tx: house.home())
    assert house.home().counter > 0


def test_homes_are_locked_once_and_in_the_order_of_their_ids(house: House) -> None:
    bert = house.add_person("bert")

    def work(tx: Transaction) -> None:
        assert list(tx.homes.lock([bert.id, house.home_id])) == sorted([bert.id, house.home_id])
        # Those that are held may be asked for again.
        assert tx.homes.lock([bert.id]).keys() == {bert.id}
        assert tx.homes.lock_of(["bert", "anna"]).keys() == {"anna", "bert"}

    house.write(work)

    def twice(tx: Transaction) -> None:
        tx.homes.lock_of(["bert"])
        tx.homes.lock_of(["anna"])

    with pytest.raises(Misuse, match="once"):
        house.write(twice)
    assert house.write(lambda tx: tx.homes.lock_of(["nobody", "\0"])) == {}


def test_more_homes_are_locked_where_nobody_can_be_waiting(house: House) -> None:
    house.add_person("bert")

    def work(tx: Transaction) -> bool:
        tx.homes.lock_of(["anna"])
        locked = tx.homes.lock_more(["anna", "bert", "nobody"])
        place = find(tx, "bert", "work").collection
        new = NewObject(b"body", "text/calendar", uid="a")
        if locked:
            tx.objects.put(place, "a.ics", new, replaces=None)
        else:
            with pytest.raises(Misuse, match="without its lock"):
                tx.objects.put(place, "a.ics", new, replaces=None)
        with pytest.raises(Misuse, match="once"):
            tx.homes.lock_of(["cleo"])
        return locked

    assert house.write(work) == house.url.startswith("sqlite")


def _failing(times: int, raise_: Callable[[Transaction], None]) -> tuple[list[int], Callable[[Transaction], int]]:
    runs: list[int] = []

    def work(tx: Transaction) -> int:
        runs.append(len(runs))
        tx.homes.lock_of(["anna"])
        number = put(tx, "work", f"{len(runs)}.ics").number
        if len(runs) <= times:
            raise_(tx)
        return number

    return runs, work


def _deadlock(url: str) -> Callable[[Transaction], None]:
    """An error as each database would report a deadlock."""
    if url.startswith("sqlite"):
        pytest.skip("SQLite knows no deadlocks: there is one writer")

    def raise_(tx: Transaction) -> None:
        if url.startswith("postgresql"):
            _sql(tx).execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        else:
            _sql(tx).execute(text("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'deadlock'"))

    return raise_


def test_a_deadlock_runs_the_work_again_from_its_start(house: House) -> None:
    before = house.home().counter
    runs, work = _failing(3, _deadlock(house.url))
    assert house.write(work) == before + 1
    assert len(runs) == 4
    # What the failed attempts wrote is gone.
    names = [
        row.name for row in house.read(lambda tx: tx.objects.page(house.work.id, columns=frozenset({"name"}), limit=9))
    ]
    assert names == ["4.ics"]


def test_deadlocks_without_end_are_busy(house: House) -> None:
    raise_ = _deadlock(house.url)
    store = open_store(house.url, attempts=3)
    runs, work = _failing(100, raise_)
    with pytest.raises(Busy):
        store.run(work, write=True)
    assert len(runs) == 3
    store.close()


def test_a_race_is_run_again_but_a_bug_is_not_hidden(house: House) -> None:
    def violate(tx: Transaction) -> None:
        _sql(tx).execute(text("INSERT INTO meta (name, value) VALUES ('epoch', 'x')"))

    runs, work = _failing(2, violate)
    assert house.write(work) > 0
    assert len(runs) == 3
    runs, work = _failing(100, violate)
    with pytest.raises(exc.IntegrityError):
        house.write(work)
    assert len(runs) == 3


def test_nonsense_is_not_run_again(house: House) -> None:
    def ask(tx: Transaction) -> None:
        _sql(tx).execute(text("SELECT nothing FROM nowhere"))

    runs, work = _failing(100, ask)
    with pytest.raises(exc.DBAPIError):
        house.write(work)
    assert len(runs) == 1


def test_two_who_add_the_same_name_are_told_apart(house: House) -> None:
    both = threading.Barrier(2, timeout=10)
    results: list[object] = []

    def add() -> None:
        waited: list[bool] = []

        def work(tx: Transaction) -> int:
            assert tx.principals.by_name("cleo") is None or waited
            if not waited and not house.url.startswith("sqlite"):
                waited.append(True)
                both.wait()
            return tx.principals.add(name="cleo", kind=PrincipalKind.INDIVIDUAL).id

        try:
            results.append(house.write(work))
        except (NameTaken, AssertionError) as error:
            results.append(type(error))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 2
    assert sum(isinstance(result, int) for result in results) == 1


def _kill(store: SqlStore, connection: Connection) -> None:
    """Cuts a connection from the server's side."""
    with store._backend.writer.connect() as other:
        if connection.dialect.name == "postgresql":
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            other.execute(text(f"SELECT pg_terminate_backend({pid})"))
        else:
            pid = connection.execute(text("SELECT connection_id()")).scalar()
            other.execute(text(f"KILL {pid}"))
        other.rollback()
    time.sleep(0.2)


def test_a_lost_connection_is_replaced_and_the_work_run_again(house: House) -> None:
    if house.url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to lose")
    store = house.store
    assert isinstance(store, SqlStore)
    before = house.home().counter
    runs, work = _failing(1, lambda tx: _kill(store, _sql(tx)))
    assert house.write(work) == before + 1
    assert len(runs) == 2
    runs, work = _failing(100, lambda tx: _kill(store, _sql(tx)))
    with pytest.raises(Busy):
        house.write(work)
    assert 1 < len(runs) < 10


@pytest.mark.parametrize("arrives", [True, False])
def test_after_a_connection_lost_in_commit_the_outcome_is_looked_up(
    house: House, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    if house.url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to lose")
    store = house.store
    assert isinstance(store, SqlStore)
    dialect = store._backend.writer.dialect
    original = dialect.do_commit
    lost: list[bool] = []

    def do_commit(dbapi_connection: Any) -> None:
        if lost:
            original(dbapi_connection)
            return
        lost.append(True)
        if arrives:
            original(dbapi_connection)
        dbapi_connection.dbapi_connection.close()
        error = dialect.dbapi.OperationalError  # type: ignore[union-attr]
        raise error(2013, "Lost connection") if dialect.name == "mysql" else error("server closed the connection")

    before = house.home().counter
    monkeypatch.setattr(dialect, "do_commit", do_commit)
    hooks: list[int] = []
    runs, work = _failing(0, lambda tx: None)

    def with_hook(tx: Transaction) -> int:
        tx.after_commit(lambda: hooks.append(1))
        return work(tx)

    assert house.write(with_hook) == before + 1
    assert lost
    assert house.home().counter == before + 1
    assert len(runs) == (1 if arrives else 2)
    assert hooks == [1]


def test_waiting_ends(house: House) -> None:
    """A transaction that waits for another one's lock gives up with Busy."""
    impatient = open_store(house.url, wait_seconds=1)
    release = threading.Event()
    held = threading.Event()

    def hold(tx: Transaction) -> None:
        put(tx, "work", "held.ics")
        held.set()
        release.wait(20)

    holder = threading.Thread(target=lambda: house.locked(hold))
    holder.start()
    assert held.wait(10)
    try:
        with pytest.raises(Busy):
            impatient.run(lambda tx: tx.homes.lock_of(["anna"]), write=True)
        # Reading waits for nobody and sees what was committed.
        found = impatient.run(lambda tx: tx.collections.find("anna", ("work", "held.ics")), write=False)
        assert found is not None
        assert found.object is None
    finally:
        release.set()
        holder.join(20)
        impatient.close()


def test_more_threads_than_connections_wait_or_are_busy(house: House) -> None:
    small = open_store(house.url, pool_size=1, wait_seconds=1)
    release, held = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        held.set()
        release.wait(20)

    holder = threading.Thread(target=lambda: small.run(hold, write=False))
    holder.start()
    assert held.wait(10)
    try:
        with pytest.raises(Busy):
            small.run(lambda tx: None, write=False)
    finally:
        release.set()
        holder.join(20)
    small.run(lambda tx: None, write=False)
    small.close()


def test_marks_of_commits_are_forgotten(house: House, store: Store) -> None:
    def marks(tx: Transaction) -> int:
        return int(_sql(tx).execute(text("SELECT count(*) FROM commits")).scalar_one())

    assert (house.read(marks) > 0) == (not house.url.startswith("sqlite"))
    house.clock.forward(4000)
    store.clean(removals_before=0)
    assert house.read(marks) <= 1


def test_each_transaction_has_one_time(house: House) -> None:
    assert house.read(lambda tx: tx.now) == house.clock.now


def test_a_database_in_memory(clock: Callable[[], object]) -> None:
    store = open_store("sqlite://", pool_size=4)
    store.upgrade()
    store.run(lambda tx: tx.principals.add(name="anna", kind=PrincipalKind.INDIVIDUAL), write=True)
    assert store.run(lambda tx: tx.principals.by_name("anna"), write=False) is not None
    assert list(store.check()) == []
    store.close()


def test_a_database_that_is_away_is_busy() -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/x", "mariadb://nobody@127.0.0.1:1/x"):
        store = open_store(url, connect_seconds=1)
        with pytest.raises(Busy):
            store.run(lambda tx: None, write=False)
        store.close()


def test_who_waits_for_another_process_looks_again_evenly(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own wait grows to 100 ms: beside a process that writes all the time, that is as good as for ever."""
    if not house.url.startswith("sqlite"):
        pytest.skip("other databases have a queue")
    pauses: list[float] = []
    other = create_engine(house.url).raw_connection()
    other.driver_connection.isolation_level = None  # type: ignore[union-attr]
    other.execute("BEGIN IMMEDIATE")

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            other.execute("COMMIT")

    monkeypatch.setattr("storage.sql.sqlite.time.sleep", sleep)
    house.put("a.ics")
    other.close()
    assert len(pauses) == 20
    assert set(pauses) == {pauses[0]}
    assert pauses[0] < 0.001


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_an_error_left_half_read_is_not_what_the_next_one_sees(house: House) -> None:
    """SQLite keeps what a question saw as long as it is open, past the end of its transaction."""
    names = ["a.ics", "b.ics", "c.ics"]
    for name in names[:2]:
        house.put(name)
    store = open_store(house.url, pool_size=1)
    rows: list[object] = []

    def half(tx: Transaction) -> None:
        rows.append(members := tx.objects.each(house.work.id, columns=frozenset({"etag"})))
        next(members)
        raise LookupError

    with pytest.raises(LookupError):
        store.run(half, write=False)
    house.put(names[2])
    found = store.run(
        lambda tx: [row.name for row in tx.objects.each(house.work.id, columns=frozenset({"etag"}))], write=False
    )
    rows.clear()
    store.close()
    assert sorted(found) == names
