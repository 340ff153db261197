"""The server of ``scene`` on the accounts of ``tests.caldavd``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caldavd.app import Application
from storage.store import Store
from tests.caldavd.imip.scene import Office
from tests.scheduling.mail.smtp import Sink


@pytest.fixture
def office(application: Application, store: Store) -> Office:
    return Office(application, store)


@pytest.fixture
def office_with(application: Application, store: Store) -> Callable[..., Office]:
    """``office_with(authentication="require")``."""
    return lambda **incoming: Office(application, store, **incoming)


@pytest.fixture
def mailing(application: Application, store: Store, sink: Sink) -> Office:
    """A server whose mail goes out, into ``sink``."""
    return Office(application, store, sink)
