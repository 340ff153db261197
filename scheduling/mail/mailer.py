"""From a scheduling message to an e-mail, and from there to a mail server.

Owns RFC 6047 (iMIP) on the way out: the media type and its parameters (2.4), the transfer encoding (2.5), mail
addresses for calendar user addresses (2.3); RFC 3834 (Auto-Submitted); the SMTP side of RFC 5321. What the mail says to
people is in ``mailtext``; when it is sent, and what follows, in ``worker``.

``compose`` is pure, and gives the same mail for the same message each time: a mail that has to be sent again is known
by its Message-ID. What people wrote comes into header fields as one line without control characters and without
encoded words (RFC 2047): the library would decode those, and write the line breaks in them as they are. Every field is
looked at once more as it will be sent.

The form is the one that Gmail, Outlook and Apple Mail take for an invitation: ``multipart/mixed`` with
``multipart/alternative`` (plain text, HTML, ``text/calendar`` with ``method``) and the same object once more as a file.
The calendar is always in base64: its bytes arrive as they are, with their line ends, through any server.
"""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import Final, Literal, Protocol

from scheduling.addresses import mailbox, mailbox_as_written, mailto
from scheduling.ical.lines import with_crlf
from scheduling.ical.timezones import UTC, named
from scheduling.itip.amending import Amendments
from scheduling.itip.message import Message
from scheduling.itip.snapshot import Party, Snapshot, read
from scheduling.mail.mailtext import Reader, letter, one_line
from scheduling.mail.posting import Mail
from scheduling.mail.tls import client_context
from scheduling.mail.wording import Language, language

Security = Literal["none", "starttls", "tls"]

#: Hexadecimal digits of a message's key in its Message-ID, of the UID's hash in the one that its mails refer to.
_KEY_DIGITS: Final = 40
#: Characters of a name and of a subject in a header field.
_NAME: Final = 100
_SUBJECT: Final = 240
#: What an SMTP server may say at most, in characters, before it is cut in logs.
_ANSWER: Final = 500


# --- composing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all mails of an installation have in common.

    ``address`` is the mail address that they come from, and that bounces go to; ``language`` (RFC 5646) counts where
    neither the recipient's nor the sender's is known.
    """

    address: str
    language: str = ""

    @property
    def domain(self) -> str:
        """The domain of ``address``."""
        return self.address.rpartition("@")[2]


def compose(
    mail: Mail,
    letterhead: Letterhead,
    *,
    mailtos: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    reply_to: str | None = None,
) -> EmailMessage:
    """The e-mail for ``mail``.

    ``mailtos`` are mail addresses for calendar user addresses that are none (in normal form), such as the path of a
    principal; outside of this server nobody can answer to those. ``links``: see ``mailtext.Reader``.
    ``reply_to`` is the address that answers are to come to; None: that of the sender.

    Raises ICalendarError for a text that cannot be read, ValueError where the recipient is no mail address.
    """
    message = mail.message
    recipient = recipient_of(message)
    snapshot = read(message.text)
    if recipient is None or snapshot is None:
        raise ValueError(f"{message.recipient[:100]!r} is no address that mail can be sent to.")
    parties = {one.address: one for one in _parties(snapshot)}
    reader = _reader(mail, letterhead, links or {})
    said = letter(message, reader, sender=mail.name, before=mail.before)
    text = with_crlf(_with_mail_addresses(snapshot, mailtos or {}))

    policy = SMTP if (recipient + letterhead.address).isascii() else SMTPUTF8
    out = EmailMessage(policy=policy)
    sender = parties.get(message.sender)
    name = _header_text(mail.name or _cn(sender))
    out["From"] = _address(name, letterhead.address)
    out["To"] = _address(_header_text(_cn(parties.get(message.recipient))), recipient)
    answers_to = reply_to or mailbox((mailtos or {}).get(message.sender, message.sender))
    if answers_to is not None and (answers_to.isascii() or policy is SMTPUTF8):
        out["Reply-To"] = _address(name, answers_to)
    out["Subject"] = _header_text(said.subject, length=_SUBJECT)
    out["Date"] = message.dtstamp
    out["Message-ID"] = message_id(message, letterhead)
    thread = _thread_id(message, letterhead)
    if mail.before is not None or message.method != "REQUEST":
        out["In-Reply-To"] = thread
    out["References"] = thread
    out["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: out-of-office replies have nobody to go to
    out.set_content(said.plain)
    out.add_alternative(said.html, subtype="html")
    out.add_alternative(
        text,
        maintype="text",
        subtype="calendar",
        cte="base64",
        # RFC 6047 2.4: method as in METHOD, charset always, component by choice.
        params={"charset": "utf-8", "method": message.method, "component": snapshot.kind.lower()},
    )
    out.add_attachment(text, maintype="application", subtype="ics", cte="base64", filename=_file_name(message))
    out["Content-Language"] = reader.language.tag
    _tidy(out, message.key)
    _check_fields(out)
    return out


def recipient_of(message: Message) -> str | None:
    """The mail address that ``message`` goes to, as it is written in it; None where that is none.

    Signed addresses, such as other servers have for the answers to them, may tell upper from lower case.
    """
    snapshot = read(message.text)
    parties = () if snapshot is None else _parties(snapshot)
    written = next((one.line.value for one in parties if one.address == message.recipient), message.recipient)
    return mailbox_as_written(written)


def message_id(message: Message, letterhead: Letterhead) -> str:
    """The Message-ID (RFC 5322 3.6.4): the same for the same message, whenever and however often it is sent."""
    return f"<{message.key[:_KEY_DIGITS]}@{letterhead.domain}>"


def _thread_id(message: Message, letterhead: Letterhead) -> str:
    """What all mails about one UID refer to, so that mail programs show them together. No mail has it itself."""
    return f"<{hashlib.sha256(message.uid.encode()).hexdigest()[:_KEY_DIGITS]}@{letterhead.domain}>"


def language_of(mail: Mail, letterhead: Letterhead) -> Language:
    """The language that ``mail`` is written in: the recipient's where it is known, else the sender's, else ours."""
    snapshot = read(mail.message.text)
    parties = {} if snapshot is None else {one.address: one for one in _parties(snapshot)}
    recipient = parties.get(mail.message.recipient)
    # RFC 5545 3.2.10: the LANGUAGE of an ATTENDEE is that of its CN, which is the best guess there is.
    known = (recipient.line.param("LANGUAGE") or "") if recipient is not None else ""
    return language((mail.reader_language, known, mail.language, letterhead.language))


def _reader(mail: Mail, letterhead: Letterhead, links: Mapping[str, str]) -> Reader:
    own = named(mail.timezone) if mail.timezone else None
    theirs = named(mail.reader_timezone) if mail.reader_timezone else None
    return Reader(language_of(mail, letterhead), zone=theirs, fallback=own or UTC, links=links)


def _parties(snapshot: Snapshot) -> Iterator[Party]:
    for part in snapshot.parts.values():
        yield from part.attendees
        if part.organizer is not None:
            yield part.organizer


def _cn(party: Party | None) -> str:
    return "" if party is None else party.line.param("CN") or ""


def _header_text(text: str, *, length: int = _NAME) -> str:
    """``text`` for a header field: one line in which nothing is an encoded word."""
    return one_line(text, length=length).replace("=?", "= ?")


def _check_fields(mail: EmailMessage) -> None:
    """Raises ValueError where a field would begin another one as it is sent (RFC 5322 2.2.3)."""
    for name, value in mail.items():
        lines = mail.policy.fold(name, value).splitlines()
        if not all(line[:1] in (" ", "\t") and line.strip() for line in lines[1:]):
            raise ValueError(f"The field {name} of the mail has a line break in it.")


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


def _file_name(message: Message) -> str:
    return "cancel.ics" if message.method == "CANCEL" else "invite.ics" if message.method == "REQUEST" else "reply.ics"


def _with_mail_addresses(snapshot: Snapshot, mailtos: Mapping[str, str]) -> bytes:
    """The text with ``mailto:`` for every party whose mail address is known (RFC 6047 2.3)."""
    work = Amendments(snapshot.source)
    for party in _parties(snapshot):
        found = mailtos.get(party.address)
        if found is not None:
            work.value(party.line, mailto(found.removeprefix("mailto:")))
    return work.made()


def _tidy(mail: EmailMessage, key: str) -> None:
    """The same boundaries each time. Nobody can know one beforehand and write it into a description: it is a hash."""
    multiparts = [part for part in mail.walk() if part.is_multipart()]
    for number, part in enumerate(multiparts):
        part.set_boundary(f"=_{key[:_KEY_DIGITS]}_{number}")
    for part in mail.walk():
        if part is not mail:  # RFC 2045 4: the field is for whole messages
            del part["MIME-Version"]


# --- sending ---------------------------------------------------------------------------------------------------------


class Unavailable(Exception):
    """The mail server cannot be reached, does not let us in, or has gone: it is about no mail in particular."""


class Refused(Exception):
    """The mail server does not take this mail; ``permanent``: and never will (RFC 5321 4.2.1)."""

    def __init__(self, answer: str, *, permanent: bool) -> None:
        super().__init__(answer)
        self.permanent = permanent


class Sendable(Protocol):
    """A mail that is made."""

    def as_bytes(self) -> bytes:
        """As it is sent."""


class Connection(Protocol):
    """An open connection to a mail server."""

    def send(self, mail: Sendable, *, recipient: str, sender: str = "") -> str:
        """Sends ``mail`` to ``recipient`` (a mail address) and returns what the server said to it.

        ``sender`` is where delivery reports go; empty: the address that all mails come from.

        Raises ``Refused`` or ``Unavailable``. After ``Unavailable`` it is not known whether the mail went out.
        """


class Transport(Protocol):
    """A way to send mail."""

    @property
    def name(self) -> str:
        """The server, for people."""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Connects. Raises ``Unavailable``."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server that is reached by SMTP. ``timeout`` is in seconds, for each answer."""

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    username: str = ""
    password: str = ""
    timeout: float = 30
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """See ``Transport``."""
        return f"{self.host}:{self.port}"

    @contextmanager
    def connected(self) -> Iterator[SmtpConnection]:
        """See ``Transport``."""
        try:
            client = self._client()
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise Unavailable(f"{self.name}: {_said(error)}") from error
        try:
            yield SmtpConnection(client, self)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
            client.close()

    def _client(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = client_context(self.ca_file)
            client: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        else:
            client = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        try:
            if self.security == "starttls":
                client.starttls(context=client_context(self.ca_file))
            client.ehlo_or_helo_if_needed()
            if self.username:
                client.login(self.username, self.password)
        except BaseException:
            client.close()
            raise
        return client


class SmtpConnection:
    """See ``Connection``. One mail after another, one recipient each."""

    def __init__(self, client: smtplib.SMTP, server: Smtp) -> None:
        self._client = client
        self._server = server

    def send(self, mail: Sendable, *, recipient: str, sender: str = "") -> str:
        """See ``Connection``."""
        try:
            return self._send(mail, recipient, sender or self._server.sender)
        except smtplib.SMTPResponseException as error:  # DATA was answered with something else than 354
            raise self._refused(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"{self._server.name}: {_said(error)}") from error

    def _send(self, mail: Sendable, recipient: str, sender: str) -> str:
        client, data = self._client, mail.as_bytes()
        options = [f"size={len(data)}"] if client.has_extn("size") else []
        if not recipient.isascii() or not sender.isascii():
            if not client.has_extn("smtputf8"):
                raise Refused("The mail server takes no addresses with such characters.", permanent=True)
            options += ["SMTPUTF8", "BODY=8BITMIME"]  # RFC 6531 3.4
            client.command_encoding = "utf-8"
        code, answer = client.mail(sender, options)
        if code != 250:
            # Our own address is refused, and would be for every mail; but 552 is about this one's size (RFC 1870 6).
            self._reset()
            if code == 552:
                raise self._refused(code, answer)
            raise Unavailable(f"{self._server.name} refuses mail from {sender}: {_answer(code, answer)}")
        code, answer = client.rcpt(recipient)
        if code not in (250, 251):
            self._reset()
            raise self._refused(code, answer)
        code, answer = client.data(data)
        if code != 250:
            self._reset()
            raise self._refused(code, answer)
        return _answer(code, answer)

    def _reset(self) -> None:
        with suppress(OSError, smtplib.SMTPException):
            self._client.rset()

    def _refused(self, code: int, answer: bytes | str) -> Refused | Unavailable:
        text = _answer(code, answer)
        if code == 421:  # RFC 5321 3.8: the server is closing the connection
            return Unavailable(f"{self._server.name}: {text}")
        return Refused(text, permanent=500 <= code < 600)


def _answer(code: int, answer: bytes | str) -> str:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return one_line(f"{code} {text}", length=_ANSWER)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    return one_line(str(error) or type(error).__name__, length=_ANSWER)
