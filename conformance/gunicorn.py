"""The same application under gunicorn, beside a throw-away server and on its settings and database.

granian is what `caldavd serve` runs; what an HTTP server keeps from the application (a fragment in a request target)
shows only under another one.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conformance import litmus, server
from conformance.target import Target
from conformance.verdicts import Verdict


@contextlib.contextmanager
def beside(running: server.Server, *, workers: int = 2) -> Iterator[Target]:
    """Gunicorn on a free port with the settings of `running`. Raises NotStarted."""
    port = server.free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", "4",
        "caldavd.wsgi:application",
    ]  # fmt: skip
    environment = server.environment_of({"CALDAVD_CONFIG": str(running.config)})
    log = running.folder / "gunicorn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stderr=output, cwd=Path(__file__).parents[1])
    try:
        server.wait_for(server.Server(f"http://127.0.0.1:{port}/", running.folder, process), port)
        yield Target(f"http://127.0.0.1:{port}/")
    finally:
        process.terminate()
        process.wait(30)


def run_litmus(_: Target, folder: Path) -> Iterator[Verdict]:
    """Litmus against gunicorn, on a fresh server of its own."""
    with server.start() as running, beside(running) as target:
        yield from litmus.run(target, folder)
