"""A mail server for tests, on a port of its own, that can refuse, break off and be away."""

from __future__ import annotations

import email
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from threading import Lock
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass
class Sink:
    """What arrived; ``rcpt`` answers addresses with something else than 250, ``data`` mails."""

    host: str = "127.0.0.1"
    port: int = 0
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: Callable[[EmailMessage], str | None] = lambda mail: None
    logins: list[bytes] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    async def handle_RCPT(  # noqa: N802 - named by the library
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        answer = self.data(mail)
        if answer is not None:
            return answer
        with self.lock:
            self.mails += [(recipient, mail) for recipient in envelope.rcpt_tos]
            self.senders.append(envelope.mail_from or "")
        return "250 OK, queued"

    def authenticated(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append(data.login)
        return AuthResult(success=(data.login, data.password) == (b"caldavd", b"secret"), handled=False)

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.mails]


@contextmanager
def listening(
    sink: Sink, *, tls: ssl.SSLContext | None = None, implicit_tls: bool = False, auth: bool = False
) -> Iterator[Sink]:
    """``sink`` behind a port, for the length of the block; where it had one before, the same."""
    options: dict[str, Any] = {"enable_SMTPUTF8": True}
    if auth:
        options |= {"authenticator": sink.authenticated, "auth_required": True}
    if tls is not None:
        options |= {"ssl_context": tls} if implicit_tls else {"tls_context": tls, "require_starttls": True}
    controller = Controller(sink, hostname=sink.host, port=sink.port or _free_port(), **options)
    controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        controller.stop()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
