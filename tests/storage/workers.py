"""What the processes of the concurrency tests do. Each opens the store for itself and returns what it saw."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.synchronize import Event
from typing import Any

from storage.errors import NameTaken, TokenTooOld, UidTaken
from storage.open import open_store
from storage.rows import Collection, CollectionKind, Found, NewObject
from storage.store import Store, Transaction

OWNERS = ("anna", "bert")
CALENDARS = ("work", "private")
#: Names that all writers fight for.
SHARED = ("s1", "s2", "s3")
NONE: frozenset[str] = frozenset()
ETAG = frozenset({"etag"})


@dataclass(frozen=True)
class Written:
    """An acknowledged change: the number it drew in its home, and the ETag it left (``None``: removed)."""

    home: int
    collection: int
    name: str
    number: int
    etag: str | None


@dataclass
class Client:
    """What a client that only syncs believes."""

    base: int = -1
    cursor: int = 0
    members: dict[tuple[str, ...], str] = field(default_factory=dict)

    def restart(self, revision: int) -> None:
        """Forgets everything: the next walk is an initial sync."""
        self.base, self.cursor = revision, 0
        self.members.clear()

    def drop(self, path: tuple[str, ...]) -> None:
        """Forgets a member with all below it."""
        for known in [known for known in self.members if known[: len(path)] == path]:
            del self.members[known]


Job = tuple[Callable[..., Any], tuple[Any, ...]]


def in_processes(writers: Sequence[Job], readers: Sequence[Job] = (), *, seconds: float = 90) -> list[Any]:
    """Runs each job in a process of its own; the answers in the order of the jobs, those of the writers first.

    Readers get an event as their last argument, which is set when the last writer has ended. An exception in a process
    is one here.
    """
    context = get_context("spawn")
    done = context.Event()
    jobs = [*writers, *((function, (*arguments, done)) for function, arguments in readers)]
    running = [_start(context, *job) for job in jobs]
    pending = {pipe: position for position, (_, pipe) in enumerate(running)}
    answers: dict[int, Any] = {}
    try:
        while pending:
            ready = wait(list(pending), timeout=seconds)
            assert ready, "the processes did not end in time"
            for pipe in ready:
                assert isinstance(pipe, Connection)
                answers[pending.pop(pipe)] = pipe.recv()
            if all(position in answers for position in range(len(writers))):
                done.set()
    finally:
        done.set()
        for process, _ in running:
            process.join(1 if pending else 10)
            if process.is_alive():
                process.kill()
    failures = [answer for answer in answers.values() if isinstance(answer, BaseException)]
    if failures:
        raise failures[0]
    return [answers[position] for position in range(len(jobs))]


def _start(context: SpawnContext, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _report(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is raised in the process that waits
        answer = RuntimeError(f"{type(error).__name__}: {error}")
    pipe.send(answer)
    pipe.close()


def _found(tx: Transaction, owner: str, *names: str) -> Found:
    found = tx.collections.find(owner, names)
    assert found is not None
    return found


def write(url: str, seed: int, rounds: int) -> list[Written]:
    """Puts, replaces, moves and removes at random; returns what was acknowledged."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    chance = random.Random(seed)
    acknowledged: list[Written] = []
    for turn in range(rounds):
        name = chance.choice((*SHARED, f"w{seed}-{chance.randrange(8)}"))
        here = (chance.choice(OWNERS), chance.choice(CALENDARS))
        body = b"%d %d" % (seed, turn)
        action = chance.choice(("put", "put", "put", "remove", "move", "many"))
        if action == "put":
            acknowledged += store.run(lambda tx: _put(tx, *here, name, body), write=True)  # noqa: B023
        elif action == "remove":
            acknowledged += store.run(lambda tx: _remove(tx, *here, name), write=True)  # noqa: B023
        elif action == "move":
            there = (chance.choice(OWNERS), chance.choice(CALENDARS))
            acknowledged += store.run(lambda tx: _move(tx, here, there, name), write=True)  # noqa: B023
        else:
            names = [f"m{seed}-{turn}-{number}" for number in range(3)]
            acknowledged += store.run(lambda tx: _put_many(tx, *here, names), write=True)  # noqa: B023
    store.close()
    return acknowledged


def _put(tx: Transaction, owner: str, calendar: str, name: str, body: bytes) -> list[Written]:
    tx.homes.lock_of([owner])
    found = _found(tx, owner, calendar, name)
    new = NewObject(body, "text/calendar", uid=f"uid of {name}")
    row = tx.objects.put(found.collection, name, new, replaces=found.object)
    return [Written(row.home_id, row.collection_id, name, row.number, row.etag)]


def _put_many(tx: Transaction, owner: str, calendar: str, names: list[str]) -> list[Written]:
    home = tx.homes.lock_of([owner])[owner]
    collection = _found(tx, owner, calendar).collection
    tx.objects.put_many(collection, [(name, NewObject(name.encode(), "text/calendar")) for name in names])
    rows = tx.objects.by_names(collection.id, names, columns=ETAG | {"number"})
    return [Written(home.id, collection.id, name, row.number, row.etag) for name, row in rows.items()]


def _remove(tx: Transaction, owner: str, calendar: str, name: str) -> list[Written]:
    tx.homes.lock_of([owner])
    found = _found(tx, owner, calendar, name)
    if found.object is None:
        return []
    tx.objects.remove(found.collection, found.object)
    return [Written(found.home.id, found.collection.id, name, tx.homes.get(found.home.id).counter, None)]


def _move(tx: Transaction, here: tuple[str, str], there: tuple[str, str], name: str) -> list[Written]:
    tx.homes.lock_of({here[0], there[0]})
    found = _found(tx, *here, name)
    target = _found(tx, *there).collection
    if found.object is None:
        return []
    before = tx.homes.get(found.home.id).counter
    try:
        row = tx.objects.move(found.collection, found.object, target, name)
    except (NameTaken, UidTaken):
        return []
    return [
        Written(found.home.id, found.collection.id, name, before + 1, None),
        Written(row.home_id, row.collection_id, name, row.number, row.etag),
    ]


def write_and_say(url: str, seed: int) -> None:
    """Puts objects one after the other and says so after each commit, until it is killed."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    for turn in range(100_000):
        owner, calendar = OWNERS[turn % 2], CALENDARS[seed % 2]
        name = f"k{seed}-{os.getpid()}-{turn}"
        (row,) = store.run(lambda tx: _put(tx, owner, calendar, name, b"x" * 2000), write=True)  # noqa: B023
        print(row.collection, row.name, flush=True)  # noqa: T201


def read_calendar(url: str, seed: int, owner: str, calendar: str, done: Event) -> dict[tuple[str, ...], str]:
    """Syncs one calendar in pages, now and then from the start, until the writers are done; then once more."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    chance = random.Random(seed)
    client = Client()
    while True:
        last = done.is_set()
        if client.base < 0 or chance.random() < 0.1:
            client.restart(store.run(lambda tx: _found(tx, owner, calendar).collection.revision, write=False))
        _sync_calendar(store, client, (owner, calendar), chance.choice((1, 2, 5, 50, None)))
        if last:
            break
    store.close()
    return client.members


def _sync_calendar(store: Store, client: Client, path: tuple[str, str], limit: int | None) -> None:
    id_ = store.run(lambda tx: _found(tx, *path).collection.id, write=False)
    while True:
        delta = store.run(
            lambda tx: tx.changes.since(id_, base=client.base, cursor=client.cursor, limit=limit, columns=ETAG),
            write=False,
        )
        for name in delta.removed:
            client.members.pop((name,), None)
        for row in delta.changed:
            client.members[row.name,] = row.etag
        client.cursor = delta.reached
        if not delta.truncated:
            client.base = delta.reached
            return


def read_home(url: str, seed: int, owner: str, done: Event) -> dict[tuple[str, ...], str]:
    """Syncs a whole home at infinite depth, in pages, until the writers are done; then once more."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    chance = random.Random(seed)
    client = Client()
    while True:
        last = done.is_set()
        root = store.run(lambda tx: _found(tx, owner).collection, write=False)
        if client.base < 0 or chance.random() < 0.05:
            client.restart(root.revision)
        limit = chance.choice((1, 3, 50, None))
        try:
            _sync_home(store, client, root, limit)
        except TokenTooOld:
            client.base = -1
            continue
        if last:
            break
    store.close()
    return client.members


def _sync_home(store: Store, client: Client, root: Collection, limit: int | None) -> None:
    while True:
        delta = store.run(
            lambda tx: tx.changes.since_below(
                root, base=client.base, cursor=client.cursor, limit=limit, infinite=True, columns=ETAG
            ),
            write=False,
        )
        for path in (*delta.removed, *delta.removed_collections):
            client.drop(tuple(path))
        for collection in delta.collections:
            client.members[collection.path] = ""
        for path, row in delta.objects:
            client.members[*path, row.name] = row.etag
        client.cursor = delta.reached
        if not delta.truncated:
            client.base = delta.reached
            return


def build(url: str, seed: int, rounds: int) -> int:
    """Makes, fills, moves and removes collections in the first home; returns how often."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    chance = random.Random(seed)
    names = ("p1", "p2", "p3")
    done = 0
    for turn in range(rounds):
        parent, name, other = chance.choice((*names, None)), chance.choice(names), chance.choice(names)
        action = chance.choice((_make, _make, _remove_collection, _move_collection))
        done += store.run(lambda tx: action(tx, parent, name, other, b"%d" % turn), write=True)  # noqa: B023
    store.close()
    return done


def _make(tx: Transaction, parent: str | None, name: str, _other: str, body: bytes) -> int:
    tx.homes.lock_of(["anna"])
    found = _found(tx, "anna", *([parent] if parent else []))
    if found.missing:
        return 0
    try:
        made = tx.collections.add(found.collection, name, kind=CollectionKind.PLAIN)
    except NameTaken:
        return 0
    tx.objects.put(made, "file", NewObject(body, "text/plain"), replaces=None)
    return 1


def _remove_collection(tx: Transaction, parent: str | None, name: str, _other: str, _body: bytes) -> int:
    tx.homes.lock_of(["anna"])
    found = _found(tx, "anna", *([parent] if parent else []), name)
    if found.missing:
        return 0
    tx.collections.remove(found.collection)
    return 1


def _move_collection(tx: Transaction, parent: str | None, name: str, other: str, _body: bytes) -> int:
    tx.homes.lock_of(["anna"])
    source = _found(tx, "anna", name)
    target = _found(tx, "anna", *([parent] if parent else []))
    if source.missing or target.missing or parent == name:
        return 0
    try:
        tx.collections.move(source.collection, target.collection, other)
    except NameTaken:
        return 0
    return 1


def join_groups(url: str, seed: int, rounds: int) -> int:
    """Changes members of two groups in one transaction, in either order: what a deadlock is made of."""
    store = open_store(url, wait_seconds=30, pool_size=1)
    chance = random.Random(seed)

    def work(tx: Transaction, groups: list[str], people: list[str]) -> None:
        found = tx.principals.by_names([*groups, *people])
        for group in groups:
            tx.principals.set_members(found[group].id, [found[person].id for person in people])

    for _ in range(rounds):
        groups = ["g1", "g2"]
        chance.shuffle(groups)
        people = chance.sample(["anna", "bert", "cleo"], 2)
        store.run(lambda tx: work(tx, groups, people), write=True)  # noqa: B023
    store.close()
    return rounds


if __name__ == "__main__":
    write_and_say(sys.argv[1], int(sys.argv[2]))
