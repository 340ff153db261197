"""What every command needs: the settings, the open store, ways to fail with a sentence, passwords, progress.

Exit statuses: 0 done; 1 not done, or something was found; 2 the command line or the settings are wrong.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import click

from caldavd.auth import cost_of
from caldavd.auth.passwords import Cost
from caldavd.stores import store_of
from config.load import SettingsError, find, load
from config.settings import Settings
from storage.errors import StoreError
from storage.rows import Collection, Home, Principal
from storage.store import Store, Transaction

T = TypeVar("T")

#: The command line does one thing at a time; a store may need a second connection to look something up meanwhile.
_CONNECTIONS = 5
#: From so many things on, a bar shows how far it is.
_WORTH_A_BAR = 50


class Failure(click.ClickException):
    """The command could not do it; the message is a sentence (exit status 1)."""


class SettingsRefused(click.ClickException):
    """The settings cannot be used; a line for each mistake (exit status 2)."""

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002
        """Only the lines: each names its place itself."""
        click.echo(self.message, err=True)


@dataclass(slots=False)
class Session:
    """One run of the command line. The settings and the store are opened when they are first needed."""

    named: Path | None
    closing: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def file(self) -> Path | None:
        """The config file, if there is one."""
        found = find(self.named, os.environ)
        return found.absolute() if found else None

    @cached_property
    def settings(self) -> Settings:
        """Raises ``SettingsRefused``."""
        try:
            return load(self.file, os.environ)
        except SettingsError as error:
            raise SettingsRefused(str(error)) from error

    @cached_property
    def store(self) -> Store:
        """The store with a schema that fits. Raises ``Failure``."""
        missing = self.missing_file()
        if missing:
            raise Failure(
                f"There is no database at {missing}. Make it with `caldavd db upgrade`, or say where the settings are "
                "with `caldavd --config FILE`."
            )
        store = self.raw_store
        try:
            store.check_schema()
        except StoreError as error:
            raise Failure(str(error)) from error
        return store

    @cached_property
    def raw_store(self) -> Store:
        """The store, whatever its schema, for the commands that change that."""
        try:
            store = store_of(self.settings, connections=_CONNECTIONS)
        except (StoreError, ImportError, ValueError) as error:
            raise Failure(f"The database {self.settings.secret_url} cannot be opened: {error}") from error
        self.closing.append(store.close)
        return store

    def missing_file(self) -> str | None:
        """The name of the SQLite file, if the database is one and it is not there yet."""
        named = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", self.settings.storage.url)
        if self.settings.storage.type != "sql" or not named or named[1] == ":memory:":
            return None
        return None if Path(named[1]).exists() else named[1]

    @property
    def cost(self) -> Cost:
        """What a password hash costs by the settings."""
        return cost_of(self.settings)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Runs ``work`` in a transaction that only reads."""
        return self._run(work, write=False)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Runs ``work`` in a transaction; it may be run again from its start."""
        return self._run(work, write=True)

    def _run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        try:
            return self.store.run(work, write=write)
        except StoreError as error:
            raise Failure(str(error)) from error

    def close(self) -> None:
        """Closes what was opened."""
        while self.closing:
            self.closing.pop()()


pass_session = click.make_pass_decorator(Session)


def principal_named(tx: Transaction, name: str) -> Principal:
    """The principal, or a ``Failure`` that says that there is none."""
    principal = tx.principals.by_name(name)
    if principal is None:
        raise Failure(f"There is no user {name!r}. `caldavd user list` shows who there is.")
    return principal


def all_principals(tx: Transaction) -> Iterator[Principal]:
    """Everybody, in the order of their names."""
    after = ""
    while page := tx.principals.all(after=after):
        yield from page
        after = page[-1].name


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """``alice/work`` as the owner and the names below the home; slashes at the ends do not matter."""
    owner, *names = path.strip("/").split("/")
    if not owner:
        raise Failure("Name a calendar as USER/CALENDAR, for example alice/calendar.")
    return owner, tuple(names)


def locked_home(tx: Transaction, owner: str) -> Home:
    """The home of ``owner``, locked for writing."""
    home = tx.homes.lock_of([owner]).get(owner)
    if home is None:
        raise Failure(f"There is no user {owner!r}. `caldavd user list` shows who there is.")
    return home


def collection_at(tx: Transaction, path: str) -> Collection:
    """The collection that ``USER/CALENDAR`` names."""
    owner, names = split_path(path)
    found = tx.collections.find(owner, names)
    if found is None:
        raise Failure(f"There is no user {owner!r}. `caldavd user list` shows who there is.")
    if found.missing or found.object is not None:
        raise Failure(f"There is no calendar {path!r}. `caldavd calendar list {owner}` shows which there are.")
    return found.collection


def read_password(prompt: str) -> str:
    """A new password: asked twice at a terminal, else the first line of standard input. Never an argument."""
    if sys.stdin.isatty():
        password: str = click.prompt(prompt, hide_input=True, confirmation_prompt="The same again")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Failure("An empty password is none: nothing was changed.")
    return password


def confirm(question: str, *, agreed: bool) -> None:
    """Asks at a terminal; without one only ``--yes`` goes on."""
    if agreed:
        return
    if not sys.stdin.isatty():
        raise Failure(f"{question} Say --yes to go on.")
    click.confirm(question, abort=True)


@contextmanager
def progress(
    items: Sequence[T], label: str, *, steps: int = 0, size: Callable[[T], int] | None = None
) -> Iterator[Iterable[T]]:
    """The items, with a bar on standard error while a person is looking and there is something to wait for.

    Args:
        items: what is gone through.
        label: what the bar is called.
        steps: how many things the items are in sum, where an item is more than one; ``size`` says how many one is.
        size: see ``steps``.
    """
    length = steps or len(items)
    if length < _WORTH_A_BAR or not sys.stderr.isatty():
        yield items
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True) as bar:

        def counted() -> Iterator[T]:
            for item in items:
                yield item
                bar.update(size(item) if size else 1)

        yield counted()


def table(rows: Iterable[Sequence[str]], head: Sequence[str]) -> str:
    """Columns under their heads, as wide as they have to be."""
    whole = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[place]) for row in whole) for place in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in whole)
    return "\n".join(lines)
