"""A server with accounts ``a`` to ``e``, in a database of each test's own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from storage.open import open_store
from tests.caldavd.itip.stage import Office, Watch, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the accounts, to be copied."""
    folder = tmp_path_factory.mktemp("itip")
    prepare(folder)
    return folder


@pytest.fixture
def office(prepared: Path, tmp_path: Path) -> Iterator[Office]:
    """A server of the test's own."""
    for part in prepared.iterdir():
        shutil.copy(part, tmp_path / part.name)
    watch = Watch()
    store = open_store(f"sqlite:///{tmp_path / 'caldavd.db'}", clock=watch)
    yield Office(store, watch)
    store.close()
