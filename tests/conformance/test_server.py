"""The throw-away server: it starts with its accounts, answers, and leaves nothing behind."""

from __future__ import annotations

import base64
import subprocess
import sys
import tomllib
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conformance import server


def test_the_accounts_are_those_that_are_promised() -> None:
    told = tomllib.loads(server.accounts())
    names = [entry["name"] for entries in told.values() for entry in entries]
    assert len(names) == len(set(names)) == 40 + 4 + 1 + 30
    assert all(entry["password"] == entry["name"] for entries in told.values() for entry in entries)
    members = [name for group in told["group"] for name in group["members"]]
    assert sorted(members) == [f"user{number:02}" for number in range(1, 41)]


@pytest.mark.timeout(180)
def test_it_starts_answers_and_goes() -> None:
    with server.start(variables={"CALDAVD_AUTH__REALM": "Mine"}) as running:
        assert running.folder.exists()
        parts = urlsplit(running.url)
        for name, path, status in (
            ("user01", "/calendars/user01/tasks/", 207),
            ("admin", "/calendars/user40/calendar/", 207),
            ("user02", "/calendars/user01/calendar/", 404),
            ("room", "/", 401),
        ):
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
            token = base64.b64encode(f"{name}:{name}".encode()).decode()
            connection.request("PROPFIND", path, headers={"Depth": "0", "Authorization": f"Basic {token}"})
            response = connection.getresponse()
            response.read()
            assert (path, response.status) == (path, status)
            if status == 401:
                assert 'realm="Mine"' in (response.headers["WWW-Authenticate"] or "")
            connection.close()
    assert running.process.poll() is not None
    assert not running.folder.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(server.NotStarted, match="cannot be reached"):
        server.start(database="postgresql+psycopg://nobody@127.0.0.1:1/x")


@pytest.mark.timeout(180)
def test_the_command_prints_where_it_is_and_stops_at_a_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance.server"],
        cwd=Path(server.__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = dict(process.stdout.readline().split(maxsplit=1) for _ in range(7))
    try:
        assert told["url"].strip() == f"http://127.0.0.1:{told['port'].strip()}/"
        assert Path(told["config"].strip()).exists()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
    assert process.returncode == 0
    assert not Path(told["config"].strip()).exists()
