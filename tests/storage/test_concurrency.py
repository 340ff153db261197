"""Several processes on one database: nothing acknowledged is lost, and everybody who syncs ends with what is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.rows import CollectionKind, PrincipalKind
from storage.store import Transaction
from tests.storage import workers
from tests.storage.conftest import House, find
from tests.storage.workers import CALENDARS, OWNERS, Written, in_processes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def town(house: House) -> House:
    """anna and bert, each with two calendars."""

    def work(tx: Transaction) -> None:
        tx.principals.add(name="bert", kind=PrincipalKind.INDIVIDUAL)
        for calendar in CALENDARS:
            tx.collections.add(find(tx, "bert").collection, calendar, kind=CollectionKind.CALENDAR)

    house.write(work)
    return house


def _counters(house: House) -> dict[str, int]:
    def work(tx: Transaction) -> dict[str, int]:
        homes = {owner: tx.homes.of(owner) for owner in OWNERS}
        return {owner: home.counter for owner, home in homes.items() if home is not None}

    return house.read(work)


def _members(house: House, owner: str) -> dict[tuple[str, ...], str]:
    """The state of a home: paths and ETags, empty for collections."""

    def work(tx: Transaction) -> dict[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        for collection in tx.collections.of_home(find(tx, owner).home.id):
            if collection.path:
                found[collection.path] = ""
            rows = tx.objects.page(collection.id, columns=frozenset({"name", "etag"}), limit=10_000)
            found.update({(*collection.path, row.name): row.etag for row in rows})
        return found

    return house.read(work)


def _calendar_ids(house: House) -> dict[tuple[str, str], int]:
    return {(owner, name): house.collection(name, owner=owner).id for owner in OWNERS for name in CALENDARS}


def test_writers_and_syncing_clients(town: House) -> None:
    before = _counters(town)
    writers = [(workers.write, (town.url, seed, 60)) for seed in range(4)]
    watched = [("anna", "work"), ("anna", "work"), ("bert", "private")]
    readers: list[workers.Job] = [
        (workers.read_calendar, (town.url, 10 + position, *path)) for position, path in enumerate(watched)
    ]
    readers.append((workers.read_home, (town.url, 20, "anna")))
    answers = in_processes(writers, readers)
    written: list[Written] = [change for answer in answers[:4] for change in answer]
    after = _counters(town)
    assert len(written) > 150

    # No number was skipped and none was given twice.
    for owner in OWNERS:
        home = town.collection(owner=owner).home_id
        numbers = sorted(change.number for change in written if change.home == home)
        assert numbers == list(range(before[owner] + 1, after[owner] + 1))

    # The last acknowledged change of each name is what is there.
    last: dict[tuple[int, str], Written] = {}
    for change in sorted(written, key=lambda change: change.number):
        last[change.collection, change.name] = change
    for path, id_ in _calendar_ids(town).items():
        kept = {name: change.etag for (where, name), change in last.items() if where == id_ and change.etag}
        assert _calendar(town, *path) == kept

    # Every client has what is there.
    for (owner, calendar), client in zip(watched, answers[4:7], strict=True):
        assert {path[0]: etag for path, etag in client.items()} == _calendar(town, owner, calendar)
    assert answers[7] == _members(town, "anna")


def _calendar(house: House, owner: str, calendar: str) -> dict[str, str]:
    return {path[1]: etag for path, etag in _members(house, owner).items() if len(path) == 2 and path[0] == calendar}


def test_collections_come_and_go_under_syncing_clients(town: House) -> None:
    writers = [(workers.build, (town.url, seed, 120)) for seed in range(3)]
    answers = in_processes(writers, [(workers.read_home, (town.url, seed, "anna")) for seed in range(2)])
    assert sum(answers[:3]) > 30
    assert answers[3] == answers[4] == _members(town, "anna")


def test_deadlocks_do_not_reach_the_caller(town: House) -> None:
    def work(tx: Transaction) -> None:
        for name in ("g1", "g2", "cleo"):
            tx.principals.add(name=name, kind=PrincipalKind.GROUP)

    town.write(work)
    assert in_processes([(workers.join_groups, (town.url, seed, 40)) for seed in range(4)]) == [40] * 4


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_writer_leaves_what_it_said_and_nothing_half_done(town: House, seed: int) -> None:
    command = [sys.executable, "-m", "tests.storage.workers", town.url, str(seed)]
    said: set[tuple[str, str]] = set()
    chance = random.Random(seed)
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.add(tuple(line.split()))  # type: ignore[arg-type]
                if len(said) % 20 == 0:
                    time.sleep(chance.random() / 50)
                    process.send_signal(signal.SIGKILL)
                    break
            # What it said before it died was still in the pipe.
            said.update(tuple(line.split()) for line in process.stdout if line.endswith("\n"))  # type: ignore[misc]
        assert process.returncode == -signal.SIGKILL
    assert len(said) >= 60
    ids = _calendar_ids(town)
    there = {(str(id_), name) for path, id_ in ids.items() for name in _calendar(town, *path)}
    assert said <= there
    # At most the one that was being acknowledged was not said.
    assert len(there) <= len(said) + 3
    assert town.complaints() == []
    assert town.put("after").number == _counters(town)["anna"]
