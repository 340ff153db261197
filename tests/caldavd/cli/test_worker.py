"""``caldavd worker`` and ``caldavd why``; the worker inside ``caldavd serve``."""

from __future__ import annotations

import base64
import signal
import sqlite3
import threading
import time
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path

import pytest

from caldavd.cli.session import Session
from storage.rows import JournalEntry
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.cli.processes import Serve, ends_well, worker
from tests.scheduling.mail.posting_scene import BERT, meeting
from tests.scheduling.mail.smtp import Sink


def mail_of(sink: Sink) -> dict[str, str]:
    return {
        "CALDAVD_SCHEDULING__ENABLED": "true",
        "CALDAVD_MAIL__SMTP_HOST": sink.host,
        "CALDAVD_MAIL__SMTP_PORT": str(sink.port),
        "CALDAVD_MAIL__SECURITY": "none",
        "CALDAVD_MAIL__ADDRESS": "calendar@here.example",
    }


def noted(*entries: JournalEntry) -> None:
    session = Session(None)
    session.write(lambda tx: tx.journal.add(entries))
    session.close()


def entry(recipient: str, *, status: str = "1.0", reason: str = "This is new.", at: int = 0) -> JournalEntry:
    return JournalEntry(at, "u", "mailto:anna@here.example", recipient, "REQUEST", status, "queued for mail", reason)


def test_why_shows_the_log_of_a_meeting(ready: Cli) -> None:
    noted(
        entry(BERT),
        entry("mailto:carl@else.example"),
        entry(BERT, status="5.1", at=86_400, reason="550 5.1.1\nno\x1b[31m such user"),
    )
    lines = ready("why", "u").output.splitlines()
    assert lines[0].split() == ["time", "method", "from", "to", "status", "went", "to", "why"]
    assert len(lines) == 4
    assert "\x1b" not in lines[3]
    told = ready("why", "u", "MAILTO:Bert@else.example").output.splitlines()[1:]
    assert [line.split("  ")[0] for line in told] == ["1970-01-01 00:00:00", "1970-01-02 00:00:00"]
    assert "1.0 pending" in told[0]
    assert "5.1 not delivered" in told[1]
    assert "anna@here.example" in told[1]


def test_why_knows_all_addresses_of_somebody_here(ready: Cli) -> None:
    ready("user", "add", "bob", "--no-password", "--email", "bob@here.example", "--email", "robert@here.example")
    theirs = ["mailto:bob@here.example", "mailto:robert@here.example", "/principals/bob"]
    noted(*(entry(one) for one in [*theirs, BERT]))
    for who in ("bob", "robert@here.example", "BOB@here.example"):
        told = ready("why", "u", who).output.splitlines()[1:]
        assert [line.split()[4] for line in told] == [one.removeprefix("mailto:") for one in theirs]


def test_why_pages_through_a_long_log(ready: Cli) -> None:
    noted(*(entry(f"mailto:p{number}@else.example") for number in range(1100)))
    assert len(ready("why", "u").output.splitlines()) == 1101


def test_why_of_what_nobody_knows(ready: Cli) -> None:
    assert "no message about 'x'" in ready("why", "x", status=1).output
    noted(entry(BERT))
    assert "no message from or to dora@x.example about 'u'" in ready("why", "u", "dora@x.example", status=1).output


def test_a_worker_that_is_run_once(ready: Cli, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no mail to send: [mail] smtp_host is not set." in ready("worker", "--once").output
    for name, value in mail_of(sink).items():
        monkeypatch.setenv(name, value)
    assert ready("worker", "--once").output == "Nothing to do.\n"


def test_the_password_is_not_shown(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_MAIL__PASSWORD", "hush")
    output = ready("config", "check").output
    assert "hush" not in output
    assert '[mail] password = "…"' in output


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SMTP_HOST": "mail.example.org"}, "smtp_host needs address"),
        ({"SMTP_HOST": "m", "ADDRESS": "a@b.org", "SECURITY": "none", "USERNAME": "x"}, "not sent in the clear"),
        ({"ADDRESS": "a@b\nBcc: c@d"}, 'must be a mail address such as "calendar@example.org"'),
    ],
)
def test_mail_that_cannot_be_set_up_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CALDAVD_MAIL__{name}", value)
    assert sentence in cli("config", "check", status=2).output


def wait_for_mail(sink: Sink, number: int) -> None:
    limit = time.monotonic() + 40
    while len(sink.mails) < number and time.monotonic() < limit:
        time.sleep(0.05)
    assert len(sink.mails) == number


def put(port: int, login: tuple[str, str], organizer: str) -> int:
    text = meeting(BERT, organizer=organizer)
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    token = base64.b64encode(":".join(login).encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "text/calendar"}
    connection.request("PUT", f"/calendars/{login[0]}/calendar/m.ics", text, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_serve_sends_the_mail_itself(serve: Serve, sink: Sink) -> None:
    served = serve("--first-run", CALDAVD_PROVISIONING__MAIL_DOMAIN="here.example", **mail_of(sink)).ready()
    login = served.login()
    assert put(served.port, login, f"mailto:{login[0]}@here.example") == 201
    wait_for_mail(sink, 1)
    assert sink.recipients == ["bert@else.example"]
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0
    assert "Traceback" not in served.output


def test_serve_leaves_it_to_a_worker_where_it_is_told_to(serve: Serve, sink: Sink, tmp_path: Path) -> None:
    variables = mail_of(sink) | {"CALDAVD_MAIL__WORKER": "false"}
    served = serve("--first-run", CALDAVD_PROVISIONING__MAIL_DOMAIN="here.example", **variables).ready()
    login = served.login()
    assert put(served.port, login, f"mailto:{login[0]}@here.example") == 201
    with worker(tmp_path, **variables) as process:
        wait_for_mail(sink, 1)
        ends_well(process)


def test_a_server_that_is_stopped_marks_the_mail_that_it_is_sending(serve: Serve, sink: Sink, tmp_path: Path) -> None:
    begun = threading.Event()

    def slow(mail: EmailMessage) -> None:
        begun.set()
        time.sleep(2)

    sink.data = slow
    served = serve("--first-run", CALDAVD_PROVISIONING__MAIL_DOMAIN="here.example", **mail_of(sink)).ready()
    login = served.login()
    assert put(served.port, login, f"mailto:{login[0]}@here.example") == 201
    assert begun.wait(40)
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0
    assert sink.recipients == ["bert@else.example"]
    with sqlite3.connect(tmp_path / "caldavd.db") as connection:
        states = connection.execute("SELECT state FROM queue WHERE kind = 'mail'").fetchall()
    connection.close()
    assert states == [("done",)]
