"""``caldavd serve`` as a process: what is printed, what it answers, how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.caldavd.cli.processes import Serve


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
