"""What tests of all floors are given: databases of every kind, and a mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scheduling.mail.smtp import Sink, listening
from tests.storage.databases import Databases


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The databases of this session; ``url`` gives one that is empty."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.drop()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server that takes everything."""
    with listening(Sink()) as one:
        yield one
