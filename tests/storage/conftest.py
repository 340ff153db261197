"""Stores on every database that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from storage.open import open_store
from storage.rows import Collection, CollectionKind, Found, Home, NewObject, ObjectRow, PrincipalKind
from storage.store import Store, Transaction
from tests.storage.databases import KINDS, Databases

T = TypeVar("T")


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def forward(self, seconds: int) -> None:
        self.instant += timedelta(seconds=seconds)

    @property
    def now(self) -> int:
        return int(self.instant.timestamp())


class House:
    """A store with one principal, its home and two calendars, and short ways to write and read it."""

    def __init__(self, store: Store, url: str, clock: Watch) -> None:
        self.store = store
        self.url = url
        self.clock = clock
        self.work = self.write(self._furnish)
        self.home_id = self.work.home_id
        self.principal_id = self.home().principal_id

    @staticmethod
    def _furnish(tx: Transaction) -> Collection:
        tx.principals.add(name="anna", kind=PrincipalKind.INDIVIDUAL)
        root = find(tx, "anna").collection
        tx.collections.add(root, "private", kind=CollectionKind.CALENDAR)
        return tx.collections.add(root, "work", kind=CollectionKind.CALENDAR, components=("VEVENT", "VTODO"))

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self.store.run(work, write=True)

    def read(self, work: Callable[[Transaction], T]) -> T:
        return self.store.run(work, write=False)

    def locked(self, work: Callable[[Transaction], T], *owners: str) -> T:
        def inner(tx: Transaction) -> T:
            tx.homes.lock_of(owners or ("anna",))
            return work(tx)

        return self.write(inner)

    def add_person(self, name: str) -> Home:
        def work(tx: Transaction) -> Home:
            principal = tx.principals.add(name=name, kind=PrincipalKind.INDIVIDUAL)
            tx.collections.add(find(tx, name).collection, "work", kind=CollectionKind.CALENDAR)
            return tx.homes.get(principal.home_id)

        return self.write(work)

    def home(self) -> Home:
        return self.read(lambda tx: tx.homes.get(self.home_id))

    def collection(self, *names: str, owner: str = "anna") -> Collection:
        return self.read(lambda tx: find(tx, owner, *names).collection)

    def put(self, name: str, body: bytes = b"body", *, uid: str | None = None, into: str = "work") -> ObjectRow:
        return self.locked(lambda tx: put(tx, into, name, body=body, uid=uid))

    def remove(self, name: str, *, from_: str = "work") -> None:
        def work(tx: Transaction) -> None:
            found = tx.collections.find("anna", (from_, name))
            assert found is not None
            assert found.object is not None
            tx.objects.remove(found.collection, found.object)

        self.locked(work)

    def complaints(self) -> list[str]:
        return list(self.store.check())


def find(tx: Transaction, owner: str, *names: str) -> Found:
    found = tx.collections.find(owner, names)
    assert found is not None
    assert not found.missing
    return found


def put(tx: Transaction, collection: str, name: str, *, body: bytes = b"body", uid: str | None = None) -> ObjectRow:
    found = tx.collections.find("anna", (collection, name))
    assert found is not None
    new = NewObject(body=body, content_type="text/calendar", uid=f"uid of {name}" if uid is None else uid)
    return tx.objects.put(found.collection, name, new, replaces=found.object)


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, databases: Databases) -> str:
    return databases.url(request.param)


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture
def store(url: str, clock: Watch) -> Iterator[Store]:
    opened = open_store(url, clock=clock, pool_size=5, wait_seconds=10)
    yield opened
    opened.close()


@pytest.fixture
def house(store: Store, url: str, clock: Watch) -> Iterator[House]:
    """Whatever a test did to it, a house is in order afterwards."""
    made = House(store, url, clock)
    yield made
    assert made.complaints() == []
