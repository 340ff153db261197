"""The command line as a person uses it: in a folder of its own, in this process, or as a server of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from caldavd.__main__ import main
from tests.caldavd.cli.processes import Serve, Served

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


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """``serve("--first-run", CALDAVD_SERVER__WORKERS="2")`` in the folder of the test; all end with it."""
    running: list[Served] = []

    def start(*arguments: str, **variables: str) -> Served:
        served = Served(tmp_path, *arguments, **variables)
        running.append(served)
        return served

    yield start
    for served in running:
        with suppress(ProcessLookupError):
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait(20)
