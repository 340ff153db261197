"""``caldavd imip-receive`` and ``caldavd mail held``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caldavd.cli.incoming import EXITS, exit_status
from caldavd.cli.session import Session
from scheduling.imip.fates import Fate, Outcome
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.imip.scene import CARL, mail_bytes, meeting, reply
from tests.scheduling.imip.imap import Store, serving

FORGED = reply(CARL, author="evil@else.example")


@pytest.fixture
def people(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """u1 has invited Carl and u2."""
    monkeypatch.setenv("CALDAVD_MAIL__ADDRESS", "calendar@example.org")
    monkeypatch.setenv("CALDAVD_INCOMING__REPLY_ADDRESS", "calendar@example.org")
    for variable in ("ORIGINAL_RECIPIENT", "RECIPIENT"):
        monkeypatch.delenv(variable, raising=False)
    for name in ("u1", "u2"):
        ready("user", "add", name, "--email", f"{name}@example.org", "--no-password")
    Path("meeting.ics").write_text(meeting("u2@example.org", CARL), "utf-8", newline="")
    ready("calendar", "import", "u1/calendar", "meeting.ics")
    return ready


def exported(cli: Cli) -> str:
    return cli("calendar", "export", "u1/calendar").output.replace("\r\n ", "").replace("\n ", "")


def test_an_answer_of_gmail_by_a_pipe(people: Cli) -> None:
    told = people("imip-receive", "u1@example.org", stdin=mail_bytes("gmail-reply-accepted.eml"))
    assert told.output == "u1@example.org: u1: update. The answer was written into the organizer's object.\n"
    assert "PARTSTAT=ACCEPTED;RSVP=TRUE;SCHEDULE-STATUS=2.0" in exported(people)
    line = people("why", "meeting-1", CARL).output.splitlines()[1]
    assert "REPLY" in line
    assert "calendar of u1: update" in line
    assert "From is the attendee who answers" in line


def test_whom_the_mail_names(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "u1@example.org: u1: update" in people("imip-receive", stdin=reply(CARL)).output
    assert "u1: ignore" in people("imip-receive", stdin=b"Delivered-To: u1@example.org\r\n" + reply(CARL)).output
    monkeypatch.setenv("ORIGINAL_RECIPIENT", "nobody@example.org")
    people("imip-receive", stdin=reply(CARL), status=67)


@pytest.mark.parametrize(
    ("mail", "address", "status"),
    [
        (reply(CARL), "u1@example.org", 0),
        (FORGED, "u1@example.org", 0),
        (reply(CARL), "nobody@example.org", 67),
        (b"From: a@b\r\nTo: c@d\r\n\r\nHello\r\n", "", 67),
        (b"From: a@b\r\nTo: u1@example.org\r\n\r\nHello\r\n", "u1@example.org", 65),
        (b"", "u1@example.org", 65),
        (b"\x00\xff" * 100, "u1@example.org", 65),
        (b"From: a@b\r\nContent-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\n", "u1@example.org", 65),
        (mail_bytes("out-of-office.eml"), "calendar@example.org", 0),
    ],
)
def test_exit_statuses_that_a_mail_server_reads(people: Cli, mail: bytes, address: str, status: int) -> None:
    people("imip-receive", *filter(None, [address]), stdin=mail, status=status)
    if status in (65, 67):
        people("imip-receive", "--copy", *filter(None, [address]), stdin=mail, status=0)


def test_what_is_too_large(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_INCOMING__MAX_MAIL_SIZE", "2000")
    people("imip-receive", "u1@example.org", stdin=reply(CARL) + b"x" * 2000, status=65)


def test_several_recipients() -> None:
    def status(*fates: Fate, copy: bool = False) -> int:
        return exit_status([Outcome(one, "") for one in fates], copy=copy)

    assert status(Fate.NOBODY, Fate.APPLIED) == 0, "it is not to come again"
    assert status(Fate.NOBODY, Fate.NOT_FOR_US) == 67
    assert status() == 67
    assert status(copy=True) == 0
    assert set(EXITS) == set(Fate)


def test_a_server_that_is_not_set_up_keeps_the_mail(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong here, the mail server is to try again (75): it is not the mail's fault."""
    assert "There is no database" in cli("imip-receive", "u1@example.org", stdin=b"x", status=75).output
    monkeypatch.setenv("CALDAVD_INCOMING__AUTHENTICATION", "require")
    assert "needs authserv_id" in cli("imip-receive", "u1@example.org", stdin=b"x", status=75).output


def test_a_mistake_of_ours_keeps_the_mail(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("dear me")

    monkeypatch.setattr("scheduling.imip.reception.Reception.receive", broken)
    told = people("imip-receive", "u1@example.org", stdin=reply(CARL), status=75).output
    assert told == "The mail could not be taken: ZeroDivisionError: dear me\n"


def test_switched_off(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_SCHEDULING__ENABLED", "false")
    assert "Scheduling is off" in people("imip-receive", "u1@example.org", stdin=reply(CARL), status=75).output


def test_a_process_of_its_own(people: Cli, folder: Path) -> None:
    """As a mail server runs it."""
    command = [sys.executable, "-m", "caldavd", "imip-receive", "u1@example.org"]
    found = subprocess.run(command, input=reply(CARL), capture_output=True, check=False, timeout=60, cwd=folder)
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"u1: update" in found.stdout


# --- held mails ------------------------------------------------------------------------------------------------------


def test_held_mails_are_listed_shown_applied_and_dropped(people: Cli) -> None:
    assert people("mail", "held", "list").output == "No mail is held.\n"
    people("imip-receive", "u1@example.org", stdin=FORGED)
    people("imip-receive", "u1@example.org", stdin=FORGED.replace(b"ACCEPTED", b"DECLINED"))
    lines = people("mail", "held", "list").output.splitlines()
    assert lines[0].split() == ["id", "came", "from", "to", "why", "it", "is", "held"]
    assert "The mail is from evil@else.example, and answers for carl.c@gmail.example." in lines[1]
    shown = people("mail", "held", "show", "1").output
    assert "from: evil@else.example" in shown
    assert "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carl.c@gmail.example" in shown
    assert people("mail", "held", "show", "1", "--raw").stdout_bytes == FORGED
    people("mail", "held", "drop", "2")
    assert "no held mail 2" in people("mail", "held", "drop", "2", status=1).output
    assert "no held mail 2" in people("mail", "held", "show", "2", status=1).output
    assert "1: u1: update" in people("mail", "held", "apply", "1").output
    assert "PARTSTAT=ACCEPTED" in exported(people)
    assert people("mail", "held", "list").output == "No mail is held.\n"


def test_what_cannot_be_applied_stays(people: Cli) -> None:
    ambiguous = FORGED.replace(b"END:VEVENT", b"ATTENDEE;PARTSTAT=DECLINED:mailto:u2@example.org\r\nEND:VEVENT")
    people("imip-receive", "u1@example.org", stdin=ambiguous)
    told = people("mail", "held", "apply", "1", status=1).output
    assert "names several attendees" in told
    assert len(people("mail", "held", "list").output.splitlines()) == 2


def test_a_terminal_only_shows(people: Cli) -> None:
    people("imip-receive", "u1@example.org", stdin=FORGED.replace(b"Subject: x", b"Subject: \x1b[31m\xe2\x80\xaex"))
    assert "\x1b" not in people("mail", "held", "show", "1").output


def test_there_are_many(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(None)
    for number in range(5):
        body = str(number).encode()
        session.write(
            lambda tx, body=body: tx.held_mails.add(sender="a", recipient="b", reason="c", body=body, most=10)  # type: ignore[misc]
        )
    session.close()
    monkeypatch.setattr("caldavd.cli.incoming._PAGE", 2)
    assert len(people("mail", "held", "list").output.splitlines()) == 6


def test_the_password_of_the_mailbox_is_not_shown(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_INCOMING__IMAP_PASSWORD", "hush")
    output = ready("config", "check").output
    assert "hush" not in output
    assert '[incoming] imap_password = "…"' in output


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"REPLY_ADDRESS": "a-very-long-local-part@example.org"}, "at most 17 characters in front of the @"),
        ({"REPLY_ADDRESS": "nobody"}, "or a mail address"),
        ({"AUTHENTICATION": "require"}, "needs authserv_id"),
        ({"IMAP_HOST": "imap.example.org"}, "imap_host needs imap_username"),
        ({"IMAP_HOST": "i.example", "IMAP_USERNAME": "x", "IMAP_SECURITY": "none"}, "not sent in the clear"),
        ({"LMTP": "somewhere"}, "HOST:PORT"),
        ({"SERVICES": "a b@c d"}, "a list of mail addresses and domains"),
    ],
)
def test_what_cannot_be_set_up_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CALDAVD_INCOMING__{name}", value)
    assert sentence in cli("config", "check", status=2).output


def test_a_worker_that_is_run_once_looks_into_the_mailbox(people: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Store()) as box:
        box.put(b"Delivered-To: u1@example.org\r\n" + reply(CARL))
        for key, value in {"HOST": "127.0.0.1", "PORT": str(box.port), "SECURITY": "none", "USERNAME": "x"}.items():
            monkeypatch.setenv(f"CALDAVD_INCOMING__IMAP_{key}", value)
        assert "The mailbox cannot be looked into" in people("worker", "--once", status=1).output
        monkeypatch.setenv("CALDAVD_INCOMING__IMAP_PASSWORD", "secret")
        assert "1 mails and results done." in people("worker", "--once").output
    assert "PARTSTAT=ACCEPTED" in exported(people)
