"""The application on a SQLite database with accounts, in the same process.

People ``u1``, ``u2``, ``u3`` (``NAME@example.org``), the group ``staff`` of u1 and u2, the room ``room1``, the
administrator ``admin``. The database is made once a session and copied for each test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from caldavd import provision
from caldavd.app import Application
from caldavd.context import Limits
from config.settings import Provisioning
from scheduling.delivery.scheduler import Scheduler
from storage.open import open_store
from storage.rows import PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import Client, NamesAreEnough

PEOPLE = ("u1", "u2", "u3")


def _accounts(tx: Transaction) -> None:
    def make(name: str, kind: PrincipalKind = PrincipalKind.INDIVIDUAL, *, admin: bool = False) -> int:
        new = provision.NewPrincipal(
            name=name,
            kind=kind,
            displayname=f"Name of {name}",
            addresses=(f"mailto:{name}@example.org",),
            timezone="Europe/Berlin",
            admin=admin,
            schedules=True,
        )
        return provision.create(tx, new, Provisioning()).id

    ids = {name: make(name) for name in PEOPLE}
    make("admin", admin=True)
    make("room1", PrincipalKind.ROOM)
    tx.principals.set_members(make("staff", PrincipalKind.GROUP), [ids["u1"], ids["u2"]])


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the accounts, to be copied."""
    file = tmp_path_factory.mktemp("template") / "caldavd.db"
    store = open_store(f"sqlite:///{file}")
    store.upgrade()
    store.run(_accounts, write=True)
    store.close()
    return file


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    file = tmp_path / "caldavd.db"
    for part in template.parent.glob(template.name + "*"):
        shutil.copy(part, tmp_path / part.name)
    opened = open_store(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture
def application(store: Store) -> Application:
    """The server as it is by default: it schedules, and mails nobody."""
    return Application(store=store, authenticator=NamesAreEnough(store), scheduler=Scheduler())  # type: ignore[arg-type]


@pytest.fixture
def without_scheduling(application: Application) -> Callable[[str | None], Client]:
    """Clients of a server on the same database whose scheduling is switched off."""
    server = replace(application, scheduler=None)
    return lambda user: Client(server, user)


@pytest.fixture
def as_user(application: Application) -> Callable[[str | None], Client]:
    """A client of a user by name; ``None`` sends no credentials."""
    return lambda user: Client(application, user)


@pytest.fixture
def u1(application: Application) -> Client:
    """The client of ``u1``."""
    return Client(application, "u1")


@pytest.fixture
def u2(application: Application) -> Client:
    """The client of ``u2``."""
    return Client(application, "u2")


@pytest.fixture
def admin(application: Application) -> Client:
    """The client of the administrator."""
    return Client(application, "admin")


@pytest.fixture
def with_limits(application: Application) -> Callable[..., Client]:
    """``u1`` on a server with other limits: ``with_limits(max_resource_size=1000)``."""

    def make(**limits: object) -> Client:
        return Client(replace(application, limits=Limits.model_validate(limits)), "u1")

    return make
