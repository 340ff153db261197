"""Opening stores: ours by its URL, somebody else's by the name of a factory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import storage
from config.clock import system_clock
from storage import open_store

MODULE = """
calls = []

def factory(url, **settings):
    calls.append((url, settings))
    return "a store"
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of somebody else's with a factory."""
    (tmp_path / "their_store.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import their_store  # type: ignore[import-not-found]

    yield their_store
    del sys.modules["their_store"]


def test_storage_comes_from_this_tree() -> None:
    assert Path(storage.__file__).is_relative_to(Path(__file__).parents[2])


def test_a_plugin_gets_the_settings_by_name(plugin: Any) -> None:
    opened: object = open_store("their://url", type="their_store:factory", pool_size=3, options={"shard": 7})
    assert opened == "a store"
    assert plugin.calls == [
        (
            "their://url",
            {
                "clock": system_clock,
                "default_quota": None,
                "pool_size": 3,
                "pre_ping": False,
                "wait_seconds": 10,
                "connect_seconds": 5,
                "attempts": 8,
                "options": {"shard": 7},
            },
        )
    ]


@pytest.mark.parametrize("type_", ["nothing", "their_store:", ":factory", "no_such_module:x", "their_store:none"])
def test_a_plugin_that_is_not_there_is_named(plugin: Any, type_: str) -> None:
    with pytest.raises(ValueError, match="type"):
        open_store("x", type=type_)


def test_the_sql_store_has_no_options() -> None:
    with pytest.raises(ValueError, match="speed"):
        open_store("sqlite://", options={"speed": 1})


@pytest.mark.parametrize("url", ["oracle://x", "sqlite+unknown:///x", "no url at all", "postgresql+asyncpg://h/d"])
def test_a_url_of_no_store_is_refused_with_the_choices(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite"):
        open_store(url)


def test_the_drivers_may_be_left_out_of_the_url() -> None:
    for url in ("postgres://h/d", "postgresql://h/d", "mysql://h/d", "mariadb://h/d", "sqlite://"):
        open_store(url).close()
