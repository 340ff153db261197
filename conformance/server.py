"""A throw-away server on the loopback interface, with fixed accounts, for anybody's conformance suite.

`make conform-server` runs one until Ctrl-C; a driver writes `with server.start() as running: …` and has `running.url`.
Accounts: user01 to user40, group01 to group10 with four of them each, location01 to location10 (rooms), resource01 to
resource10, and admin (all privileges everywhere). The password of each is its name, the address is NAME@example.com.
Beside them mail01@example.com to mail04@example.com, whose names are their addresses.

Everything is in a temporary folder that goes when the server stops. Hashes are cheap and failed logins are not counted
out here: it is no server for anything but tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from conformance.target import Target

_START_SECONDS = 60
_STOP_SECONDS = 20
_TREE = Path(__file__).parents[1]

_SETTINGS = """\
[server]
host = "127.0.0.1"
port = {port}
workers = {workers}
[storage]
url = "{database}"
[auth]
argon2_memory = "8 KiB"
argon2_time = 1
failures_per_user = 100000
failures_per_address = 100000
[provisioning]
mail_domain = "example.com"
"""


class NotStarted(Exception):
    """The server did not come up; the message has the end of its log."""


@dataclass(slots=True)
class Server:
    """A running server. `folder` has its settings, its database and its log (`server.log`)."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    keep: bool = False
    _stopped: bool = field(default=False, repr=False)

    @property
    def target(self) -> Target:
        """The server as the suites see it."""
        return Target(self.url)

    @property
    def config(self) -> Path:
        """The config file, for `caldavd --config`."""
        return self.folder / "caldavd.toml"

    def stop(self) -> None:
        """End the server and remove its folder (unless `keep`). A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_SECONDS)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self.stop()


def start(
    port: int = 0,
    *,
    database: str = "",
    workers: int = 1,
    variables: Mapping[str, str] | None = None,
    keep: bool = False,
) -> Server:
    """Start a server with the fixed accounts and wait until it answers.

    `port` 0 takes a free one; `database` is an SQLAlchemy URL (default: SQLite in the folder); `variables` are more
    settings, as in `CALDAVD_LIMITS__QUOTA`; `keep` leaves the folder when the server stops.
    Raises NotStarted.
    """
    port = port or free_port()
    folder = Path(tempfile.mkdtemp(prefix="caldavd-conform-"))
    database = database or f"sqlite:///{folder}/caldavd.db"
    text = _SETTINGS.format(port=port, workers=workers, database=database)
    (folder / "caldavd.toml").write_text(text, "utf-8")
    (folder / "accounts.toml").write_text(accounts(), "utf-8")
    try:
        environment = environment_of(variables)
        _run(folder, environment, "db", "upgrade")
        _run(folder, environment, "user", "import", str(folder / "accounts.toml"))
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                _command(folder, "serve"),
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
    except NotStarted:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    server = Server(f"http://127.0.0.1:{port}/", folder, process, keep)
    try:
        wait_for(server, port)
    except BaseException:
        server.stop()
        raise
    return server


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accounts() -> str:
    """The fixed accounts as a file for `caldavd user import`."""
    people = [f"user{number:02}" for number in range(1, 41)]
    parts = [_entry("person", name, name.replace("user", "User ")) for name in people]
    parts += [_entry("person", f"mail{number:02}@example.com", f"Mail {number:02}") for number in range(1, 5)]
    parts.append(_entry("person", "admin", "Administrator") + "admin = true\n")
    for number in range(1, 11):
        members = ", ".join(f'"{name}"' for name in people[4 * number - 4 : 4 * number])
        parts.append(_entry("group", f"group{number:02}", f"Group {number:02}") + f"members = [{members}]\n")
        parts.append(_entry("room", f"location{number:02}", f"Location {number:02}"))
        parts.append(_entry("resource", f"resource{number:02}", f"Resource {number:02}"))
    return "\n".join(parts)


def _entry(kind: str, name: str, displayname: str) -> str:
    email = name if "@" in name else f"{name}@example.com"
    values = {"name": name, "displayname": displayname, "email": email, "password": name}
    return f"[[{kind}]]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


def _command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "caldavd", "--config", str(folder / "caldavd.toml"), *arguments]


def environment_of(variables: Mapping[str, str] | None) -> dict[str, str]:
    """Ours, without settings that would change the server, and with this tree first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CALDAVD_")}
    return kept | {"PYTHONPATH": str(_TREE)} | dict(variables or {})


def _run(folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
    done = subprocess.run(
        _command(folder, *arguments),
        env=environment,
        cwd=folder,
        capture_output=True,
        timeout=_START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NotStarted(f"`caldavd {' '.join(arguments)}` failed:\n{done.stdout.decode()}{done.stderr.decode()}")


def wait_for(server: Server, port: int) -> None:
    """Until the port answers."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(b"OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if client.recv(16).startswith(b"HTTP/1.1"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    tail = (server.folder / "server.log").read_text("utf-8", "replace")[-2000:]
    raise NotStarted(f"The server did not answer on port {port}. The end of its log:\n{tail}")


def main() -> int:
    """The command line: run one server until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m conformance.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the TCP port (default: a free one)")
    parser.add_argument("--database", default="", help="an SQLAlchemy URL (default: SQLite in a temporary folder)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder when the server stops")
    chosen = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with start(chosen.port, database=chosen.database, workers=chosen.workers, keep=chosen.keep) as server:
        print(f"url       {server.url}")
        print(f"port      {server.url.rsplit(':', 1)[1].strip('/')}")
        print("accounts  user01 to user40, mail01@example.com to mail04@example.com, admin, group01 to group10,")
        print("          location01 to location10, resource01 to resource10")
        print("password  the name; address NAME@example.com")
        print("paths     /principals/NAME/  /calendars/NAME/calendar/  /calendars/NAME/tasks/  /.well-known/caldav")
        print(f"config    {server.config}")
        print(f"log       {server.folder / 'server.log'}", flush=True)
        while not ended.wait(1):
            if server.process.poll() is not None:
                print("The server has ended by itself; its log says why.", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
