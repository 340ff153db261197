"""The server and its worker as processes: in a folder, with the settings that a test gives and no others."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from conformance.server import free_port

TREE = Path(__file__).parents[3]
Serve = Callable[..., "Served"]


def environment() -> dict[str, str]:
    """That of the tests, without settings, and with this tree to import from."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CALDAVD_")}
    return kept | {"PYTHONPATH": str(TREE)}


class Served:
    """A server process with its output in a file."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.port = free_port()
        self.log = folder / "serve.log"
        usual = {"CALDAVD_AUTH__ARGON2_MEMORY": "8 KiB", "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "caldavd", "serve", "--port", str(self.port), *arguments],
                env=environment() | usual | variables,
                cwd=folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that its workers can be ended with it
            )

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8")

    def ready(self) -> Served:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(self.output)

    def ended(self) -> int:
        return self.process.wait(40)

    def login(self) -> tuple[str, str]:
        name = re.search(r"user name +(\S+)", self.output)
        password = re.search(r"password +(\S+)\n", self.output)
        assert name
        assert password
        return name[1], password[1]

    def propfind(self, path: str, login: tuple[str, str], *, tls: bool = False) -> tuple[int, bytes]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: HTTPConnection = (
            HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
            if tls
            else HTTPConnection("127.0.0.1", self.port, timeout=20)
        )
        token = base64.b64encode(":".join(login).encode()).decode()
        connection.request("PROPFIND", path, headers={"Depth": "0", "Authorization": f"Basic {token}"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body


@contextmanager
def worker(folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """``caldavd worker``, which is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "caldavd", "worker"],
        env=environment() | variables,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def ends_well(process: subprocess.Popen[bytes]) -> None:
    """It is told to end, and does, and nothing went wrong before."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0, output
    assert b"Traceback" not in output
