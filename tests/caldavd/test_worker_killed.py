"""`caldavd serve` is killed in the middle of sending: nothing is lost, nothing comes twice to a calendar here."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from threading import Event

from caldavd.mail import worker_of
from config import load
from scheduling.worker import LEASE
from storage.open import open_store
from storage.store import Transaction
from tests.caldavd.client import basic
from tests.scheduling.mail.smtp import Sink, listening

_SETTINGS = """\
[server]
port = {port}
base_url = "https://calendar.example.org"
[storage]
url = "sqlite:///{folder}/caldavd.db"
[auth]
argon2_memory = "8 KiB"
argon2_time = 1
[mail]
smtp_host = "127.0.0.1"
smtp_port = {smtp}
security = "none"
address = "calendar@example.org"
"""
_MEETING = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\nUID:m\r\n"
    "DTSTAMP:20260101T000000Z\r\nDTSTART:20270310T120000Z\r\nDURATION:PT1H\r\nSUMMARY:Plan\r\n"
    "ORGANIZER:mailto:u1@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org\r\n"
    "ATTENDEE;RSVP=TRUE:mailto:u2@example.org\r\nATTENDEE;RSVP=TRUE:mailto:bert@else.example\r\n"
    "ATTENDEE;RSVP=TRUE:mailto:carl@else.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def _command(config: Path, *arguments: str, stdin: str = "") -> None:
    line = [sys.executable, "-m", "caldavd", "--config", str(config), *arguments]
    subprocess.run(line, input=stdin, text=True, check=True, capture_output=True, timeout=60)


@contextmanager
def _serving(config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-m", "caldavd", "--config", str(config), "serve"]
    with (config.parent / "log").open("ab") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            with suppress(OSError, http.client.HTTPException):
                _request(port, "OPTIONS", "/", "u1")
                break
            time.sleep(0.1)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _request(port: int, method: str, path: str, user: str, body: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": basic(user), "Content-Type": "text/calendar"}
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode().replace("\r\n ", "")
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _holding(tx: Transaction) -> dict[str, int]:
    """How many objects there are in each of u2's calendars, and in the inbox."""
    found = tx.principals.by_name("u2")
    assert found is not None
    return {one.path[-1]: tx.objects.count(one.id) for one in tx.collections.of_home(found.home_id) if one.path}


def test_killed_while_a_mail_is_on_its_way(tmp_path: Path) -> None:
    arrived, killed = Event(), Event()

    def hang_once(_mail: EmailMessage) -> str | None:
        if not killed.is_set():
            arrived.set()
            killed.wait(30)
            return "451 too late"  # nobody hears it
        return None

    with listening(Sink(data=hang_once)) as sink:
        port, config = _free_port(), tmp_path / "caldavd.toml"
        config.write_text(_SETTINGS.format(port=port, folder=tmp_path, smtp=sink.port))
        _command(config, "db", "upgrade")
        for name in ("u1", "u2"):
            _command(config, "user", "add", name, "--email", f"{name}@example.org", stdin=f"{name}\n")
        with _serving(config, port) as process:
            assert _request(port, "PUT", "/calendars/u1/calendar/m.ics", "u1", _MEETING)[0] == 201
            assert arrived.wait(30), "the worker inside `caldavd serve` sends by default"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        killed.set()
        assert sink.mails == []

        with _serving(config, port):  # another one, before the loan of the killed one is over
            status, text = _request(port, "GET", "/calendars/u1/calendar/m.ics", "u1")
            assert status == 200
            assert text.count("SCHEDULE-STATUS=1.0") == 2, "both mails still wait"
            assert text.count("SCHEDULE-STATUS=1.2") == 1

        later = datetime.now(UTC) + timedelta(seconds=LEASE + 60)
        store = open_store(f"sqlite:///{tmp_path}/caldavd.db", clock=lambda: later)
        worker = worker_of(load.load(config, {}), store)
        worker.clock = lambda: later
        worker.drain()
        assert sorted(sink.recipients) == ["bert@else.example", "carl@else.example"]
        worker.drain()
        assert len(sink.mails) == 2
        assert store.run(_holding, write=False) == {"calendar": 1, "inbox": 1, "outbox": 0, "tasks": 0}
        assert store.run(lambda tx: tx.queue.counts("mail"), write=False) == {"done": 2}
        path, columns = ("calendar", "m.ics"), frozenset({"body"})
        found = store.run(lambda tx: tx.collections.find("u1", path, columns=columns), write=False)
        assert found is not None
        assert found.object is not None
        assert found.object.body.count(b"SCHEDULE-STATUS=1.1") == 2
        store.close()
