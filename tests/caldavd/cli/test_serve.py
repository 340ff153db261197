"""``caldavd serve`` as a process: what is printed, what it answers, how it ends."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from conformance.server import free_port

TREE = Path(__file__).parents[3]
Serve = Callable[..., "Served"]


class Served:
    """A server process with its output in a file."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.port = free_port()
        self.log = folder / "serve.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CALDAVD_")}
        usual = {"CALDAVD_AUTH__ARGON2_MEMORY": "8 KiB", "PYTHONPATH": str(TREE), "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "caldavd", "serve", "--port", str(self.port), *arguments],
                env=kept | usual | variables,
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


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    running: list[Served] = []

    def start(*arguments: str, **variables: str) -> Served:
        served = Served(tmp_path, *arguments, **variables)
        running.append(served)
        return served

    yield start
    for served in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait(20)


def test_the_first_run_makes_a_database_and_a_user_who_can_log_in(serve: Serve, tmp_path: Path) -> None:
    served = serve("--first-run").ready()
    login = served.login()
    assert f"http://127.0.0.1:{served.port}/" in served.output
    status, body = served.propfind(f"/calendars/{login[0]}/calendar/", login)
    assert status == 207, body
    assert served.propfind("/", (login[0], "wrong"))[0] == 401
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0
    assert "Traceback" not in served.output
    assert (tmp_path / "caldavd.db").exists()

    again = serve("--first-run").ready()
    assert "password" not in again.output
    assert again.propfind("/", login)[0] == 207
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0


def test_as_many_workers_as_are_asked_for(serve: Serve) -> None:
    served = serve("--first-run", "--workers", "3").ready()
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
    deadline = time.monotonic() + 20
    while len(children.read_text("ascii").split()) < 3:
        assert time.monotonic() < deadline, served.output
        time.sleep(0.05)
    assert served.propfind("/", served.login())[0] == 207


def test_passwords_are_never_the_same(serve: Serve, tmp_path: Path) -> None:
    first = serve("--first-run").ready().login()
    (tmp_path / "caldavd.db").rename(tmp_path / "old.db")
    assert serve("--first-run").ready().login()[1] != first[1]


def test_without_first_run_nothing_is_made(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    assert served.ended() == 1
    assert "There is no database at" in served.output
    assert not (tmp_path / "caldavd.db").exists()


def test_a_port_in_use_is_a_sentence(serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        served = serve("--first-run", "--port", port)
        assert served.ended() == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in served.output
    assert "Traceback" not in served.output


def test_an_authentication_that_cannot_be_set_up_is_a_sentence(serve: Serve) -> None:
    served = serve("--first-run", CALDAVD_AUTH__TYPE="no.such.module")
    assert served.ended() == 1
    assert "no.such.module" in served.output
    assert "Traceback" not in served.output


def test_tls_in_the_server_itself(serve: Serve, tmp_path: Path) -> None:
    request = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(request.split(), cwd=tmp_path, check=True, capture_output=True, timeout=60)
    served = serve("--first-run", CALDAVD_SERVER__TLS_KEY="key.pem", CALDAVD_SERVER__TLS_CERTIFICATE="cert.pem").ready()
    assert f"https://127.0.0.1:{served.port}/" in served.output
    assert served.propfind("/", served.login(), tls=True)[0] == 207


def test_a_tls_file_that_cannot_be_read_is_a_sentence(serve: Serve, tmp_path: Path) -> None:
    served = serve("--first-run", CALDAVD_SERVER__TLS_KEY="k.pem", CALDAVD_SERVER__TLS_CERTIFICATE="c.pem")
    assert served.ended() == 1
    assert f"The file {tmp_path}/c.pem for TLS cannot be read." in served.output


def test_a_tls_key_that_cannot_be_used_is_a_sentence(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("no key", "utf-8")
    served = serve("--first-run", CALDAVD_SERVER__TLS_KEY="pem", CALDAVD_SERVER__TLS_CERTIFICATE="pem")
    assert served.ended() == 1
    assert "TLS cannot use the certificate" in served.output
    assert "Traceback" not in served.output


def test_a_prefix_is_in_the_url_and_in_the_answers(serve: Serve) -> None:
    served = serve("--first-run", CALDAVD_SERVER__PREFIX="/dav").ready()
    assert f"http://127.0.0.1:{served.port}/dav/" in served.output
    status, body = served.propfind("/dav/", served.login())
    assert status == 207
    assert b"<D:href>/dav/" in body


def test_several_workers_serve(serve: Serve) -> None:
    served = serve("--first-run", CALDAVD_SERVER__WORKERS="2").ready()
    login = served.login()
    assert {served.propfind("/", login)[0] for _ in range(20)} == {207}
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0


def test_the_log_can_be_json(serve: Serve) -> None:
    served = serve("--first-run", CALDAVD_LOGGING__FORMAT="json").ready()
    served.propfind("/", served.login())
    deadline = time.monotonic() + 10
    while '"request"' not in served.output and time.monotonic() < deadline:
        time.sleep(0.05)
    (line,) = [line for line in served.output.splitlines() if line.startswith("{") and "PROPFIND" in line]
    assert '"level": "INFO"' in line
