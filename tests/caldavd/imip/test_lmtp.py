"""LMTP: who is taken, what is said for each recipient, and what if the server is killed or the database busy."""

from __future__ import annotations

import re
import smtplib
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from scheduling.imip import lmtp
from scheduling.imip.fates import Fate, Outcome
from scheduling.imip.lmtp import Listener, Place
from storage.errors import Busy
from tests.caldavd.imip.scene import CARL, Office, mail_bytes, meeting, reply


@contextmanager
def listening(
    office: Office, place: str = "127.0.0.1:0", *, size: int = 1_000_000, mode: int = 0o660
) -> Iterator[Listener]:
    listener = Listener(office.reception, Place.of(place, mode=mode), size)
    listener.start()
    try:
        assert listener.listening.wait(10)
        yield listener
    finally:
        listener.stop()


@contextmanager
def connected(listener: Listener) -> Iterator[smtplib.LMTP]:
    place = listener.place
    client = smtplib.LMTP(place.path) if place.path else smtplib.LMTP(place.host, place.port)
    client.timeout = 10
    try:
        client.ehlo("mx.example.org")
        yield client
    finally:
        with suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()


def deliver(
    client: smtplib.LMTP, raw: bytes, *recipients: str, sender: str = "x@else.example"
) -> dict[str, tuple[int, str]]:
    """What is said for each recipient, to RCPT or after the mail."""
    assert client.docmd("MAIL", f"FROM:<{sender}>")[0] == 250
    said: dict[str, tuple[int, str]] = {}
    for one in recipients:
        code, text = client.docmd("RCPT", f"TO:<{one}>")
        said[one] = (code, text.decode())
    taken = [one for one in recipients if said[one][0] == 250]
    if not taken:
        client.docmd("RSET")
        return said
    assert client.docmd("DATA")[0] == 354
    client.send(re.sub(rb"(?m)^\.", b"..", raw.rstrip(b"\r\n")) + b"\r\n.\r\n")
    for one in taken:
        code, text = client.getreply()
        said[one] = (code, text.decode())
    return said


def codes(said: Mapping[str, tuple[int, str]]) -> list[int]:
    return [code for code, _ in said.values()]


def test_each_recipient_has_an_answer(office: Office) -> None:
    office.put(meeting("u2@example.org", CARL))
    tagged = office.tagged(CARL)
    with listening(office) as listener, connected(listener) as client:
        said = deliver(client, reply(CARL), "nobody@example.org", tagged, "staff@example.org", "u2@example.org")
        assert codes(said) == [550, 250, 550, 250]
        assert said["nobody@example.org"][1].startswith("5.1.1")
        assert "PARTSTAT=ACCEPTED" in office.line(CARL, user="u2")
        said = deliver(client, mail_bytes("somebody-writes-back.eml"), "u1@example.org", tagged)
        assert codes(said) == [554, 250], "one connection takes many mails"
        forged = deliver(client, reply(CARL, author="evil@else.example"), "u1@example.org")
        believed = deliver(client, reply(CARL, stamp="20260309T080000Z"), "u1@example.org")
        assert forged == believed, "who forges learns nothing"


def test_the_sender_of_reports_is_empty(mailing: Office) -> None:
    mailing.put(meeting(CARL))
    with listening(mailing) as listener, connected(listener) as client:
        said = deliver(client, mail_bytes("bounce-no-such-user.eml"), mailing.tagged(CARL, kind="b"), sender="")
    assert codes(said) == [250]


def test_what_cannot_be_read(office: Office) -> None:
    broken = (
        b"From: a@else.example\r\nContent-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n"
    )
    with listening(office) as listener, connected(listener) as client:
        said = deliver(client, broken, "u1@example.org", "u2@example.org")
        assert codes(said) == [554, 554]
        assert codes(deliver(client, b"\r\n\r\nx", "u1@example.org")) == [554]


def test_what_is_too_large(office: Office) -> None:
    office.put(meeting(CARL))
    with listening(office, size=5000) as listener, connected(listener) as client:
        said = deliver(client, b"From: a@b\r\n\r\n" + b"text text text\r\n" * 1000, "u1@example.org", "u2@example.org")
        assert codes(said) == [552, 552], "RFC 2033 4.2: a reply for each of them"
        assert codes(deliver(client, reply(CARL), "u1@example.org")) == [250]


def test_long_lines_and_lines_with_dots(office: Office) -> None:
    office.put(meeting(CARL))
    mail = reply(CARL).replace(b"\r\n\r\n", b"\r\nX-Long: " + b"y" * 5000 + b"\r\n\r\n", 1)
    with listening(office) as listener, connected(listener) as client:
        assert codes(deliver(client, mail, "u1@example.org")) == [250]
    assert "PARTSTAT=ACCEPTED" in office.line(CARL)


def test_what_cannot_be_done_now_is_tried_again_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.put(meeting(CARL))
    kind = type(office.reception)

    def busy(*_: object) -> None:
        raise Busy("too much to do")

    with listening(office) as listener, connected(listener) as client:
        with monkeypatch.context() as patch:
            patch.setattr(kind, "receive", busy)
            assert codes(deliver(client, reply(CARL), "u1@example.org", "u2@example.org")) == [451, 451]
        with monkeypatch.context() as patch:
            patch.setattr(kind, "accepts", busy)
            assert codes(deliver(client, reply(CARL), "u1@example.org")) == [451]
        assert codes(deliver(client, reply(CARL), "u1@example.org")) == [250]


def test_a_mistake_of_ours_loses_no_mail(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Mapping[str, Outcome]:
        raise ZeroDivisionError

    with listening(office) as listener, connected(listener) as client:
        monkeypatch.setattr(type(office.reception), "receive", broken)
        assert codes(deliver(client, reply(CARL), "u1@example.org")) == [451]


def test_killed_between_the_commit_and_the_250(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail server has no answer, and brings it again."""
    office.put(meeting("u2@example.org", CARL))
    receive = type(office.reception).receive
    with listening(office) as listener, monkeypatch.context() as patch, connected(listener) as client:
        patch.setattr(type(office.reception), "receive", lambda *args: _then_lost(receive, client, *args))
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError, ValueError)):
            deliver(client, reply(CARL), "u1@example.org")
    before, log = office.object(), len(office.log())
    assert "PARTSTAT=ACCEPTED" in before
    inboxes = [office.objects(user, collection="inbox") for user in ("u1", "u2")]
    with listening(office) as listener, connected(listener) as client:
        assert codes(deliver(client, reply(CARL), "u1@example.org")) == [250]
    assert office.object() == before
    assert [office.objects(user, collection="inbox") for user in ("u1", "u2")] == inboxes
    assert [one.destination for one in office.log()[log:]] == ["calendar of u1: stays as it is"]


def _then_lost(
    receive: Callable[..., Mapping[str, Outcome]], client: smtplib.LMTP, *args: object
) -> Mapping[str, Outcome]:
    outcome = receive(*args)
    assert client.sock is not None
    client.sock.shutdown(socket.SHUT_RDWR)
    return outcome


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "_AGAIN", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_socket_has_its_mode_and_is_taken_over(office: Office, tmp_path: Path) -> None:
    place = f"unix:{tmp_path / 'lmtp'}"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "lmtp"))
    stale.close()
    with listening(office, place, mode=0o600) as first:
        assert stat.S_IMODE((tmp_path / "lmtp").stat().st_mode) == 0o600
        second = Listener(office.reception, Place.of(place), 1000)
        second.start()
        assert not second.listening.wait(0.5), "one process has it"
        with connected(first) as client:
            assert codes(deliver(client, reply(CARL), "nobody@example.org")) == [550]
    try:
        assert second.listening.wait(10), "and when it ends another one takes over"
        with connected(second) as client:
            assert codes(deliver(client, reply(CARL), "nobody@example.org")) == [550]
    finally:
        second.stop()


@pytest.mark.usefixtures("impatient")
def test_two_processes_at_one_port(office: Office) -> None:
    with listening(office) as first:
        second = Listener(office.reception, first.place, 1000)
        second.start()
        assert not second.listening.wait(0.5)
    try:
        assert second.listening.wait(10)
    finally:
        second.stop()


def test_only_so_many_connections(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "MAX_CONNECTIONS", 1)
    with listening(office) as listener, connected(listener) as client:
        with socket.create_connection((listener.place.host, listener.place.port), timeout=10) as other:
            assert other.recv(100).startswith(b"421")
        assert codes(deliver(client, reply(CARL), "nobody@example.org")) == [550]


def test_only_so_many_mails_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.put(meeting(CARL))
    receive, at_work, most = type(office.reception).receive, [0], [0]

    def slow(*args: object) -> Mapping[str, Outcome]:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        time.sleep(0.1)
        try:
            return receive(*args)  # type: ignore[arg-type]
        finally:
            at_work[0] -= 1

    monkeypatch.setattr(type(office.reception), "receive", slow)

    def one(_: int) -> list[int]:
        with connected(listener) as client:
            return codes(deliver(client, reply(CARL), "u1@example.org"))

    with listening(office) as listener, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [[250]] * 8
    assert most[0] == lmtp.AT_ONCE


def test_only_so_many_recipients(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "MAX_RECIPIENTS", 1)
    office.put(meeting(CARL))
    with listening(office) as listener, connected(listener) as client:
        assert codes(deliver(client, reply(CARL), "u1@example.org", "u2@example.org")) == [250, 452]


def test_every_fate_has_a_reply_on_one_line() -> None:
    for fate in Fate:
        line = lmtp.reply_of(Outcome(fate, "ä\r\n250 ok " + "x" * 1000))
        assert re.fullmatch(r"[245]\d\d [245]\.\d\.\d [ -~]+", line)
        assert len(line) <= 400
