"""The command line as a person uses it: in a folder of its own, with a database there, in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from caldavd.__main__ import main

Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one; no setting comes from outside."""
    for variable in [name for name in os.environ if name.startswith("CALDAVD_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("CALDAVD_AUTH__ARGON2_MEMORY", "8 KiB")
    monkeypatch.setenv("CALDAVD_AUTH__ARGON2_TIME", "1")
    monkeypatch.setattr("config.load.USUAL_PLACES", (Path("caldavd.toml"),))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(folder: Path) -> Cli:
    """``cli("user", "list")`` in an empty folder: output, exit status. ``status`` is the one that has to come."""

    def run(*arguments: str, stdin: str | bytes = "", status: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments), input=stdin, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """The command line on a database without anybody."""
    cli("db", "upgrade")
    return cli
