"""LMTP: the mail server in front of us hands over mails, and is told for each recipient what became of them.

Owns RFC 2033 (LMTP) with the reply codes of RFC 5321 4.2 and RFC 3463. A recipient is refused before the mail is sent
(RCPT), a mail for each recipient after it (DATA). What cannot be done now is 451: the mail server keeps it and tries
again. The 250 is said after the commit; a process that is killed between the two gets the mail once more, and finds
nothing to change.

Backpressure: so many connections, so many mails at work at once; the others wait, and the mail server with them.
Several processes may be told to listen at the same place: one does, and when it ends another one takes over.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from scheduling.imip.fates import Fate
from storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scheduling.imip.fates import Outcome
    from scheduling.imip.reception import Reception

_log = logging.getLogger(__name__)

#: Connections at a time, mails that are worked on at a time, recipients of one mail.
MAX_CONNECTIONS: Final = 50
AT_ONCE: Final = 2
MAX_RECIPIENTS: Final = 100
#: How long a connection may be silent, seconds.
SILENCE: Final = 300
#: How long before it is tried again to listen where another process does, seconds.
_AGAIN: Final = 5
#: How long a process that ends waits for the mails that are at work, seconds.
_GRACE: Final = 10
#: The longest line; RFC 5321 allows 1,000, and mails with longer ones come.
_LINE: Final = 1 << 18

_LATER: Final = "451 4.3.0 The calendar cannot take it now; please try again."
#: What is said for what became of a mail; the sentence follows.
REPLIES: Final = {
    Fate.APPLIED: "250 2.1.5",
    Fate.HELD: "250 2.1.5",
    Fate.FORWARDED: "250 2.1.5",
    Fate.NOTED: "250 2.1.5",
    Fate.NOT_FOR_US: "554 5.6.1",
    Fate.UNREADABLE: "554 5.6.0",
    Fate.NOBODY: "550 5.1.1",
}
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_REPLY: Final = 400


def reply_of(outcome: Outcome) -> str:
    """The reply line for ``outcome``: one line of ASCII. Whether a mail that was taken is believed is not told."""
    code = REPLIES[outcome.fate]
    return f"{code} Ok" if code.startswith("2") else f"{code} {_UNPRINTABLE.sub(' ', outcome.sentence)}"[:_REPLY]


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: an address and port, or the file of a socket (then ``mode`` is its file mode)."""

    host: str = ""
    port: int = 0
    path: str = ""
    mode: int = 0o660

    @classmethod
    def of(cls, text: str, *, mode: int = 0o660) -> Place:
        """``HOST:PORT``, ``[ADDRESS]:PORT`` or ``unix:PATH``."""
        if text.startswith("unix:"):
            return cls(path=text.removeprefix("unix:"), mode=mode)
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


class _Handler:
    """What aiosmtpd calls."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def handle_RCPT(  # noqa: N802 - named by the library
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients."
        try:
            accepted = await self._run(self._reception.accepts, address)
        except StoreError as error:
            _log.warning("LMTP: whether there is %r cannot be found out now: %s", address, error)
            return _LATER
        if not accepted:
            return "550 5.1.1 Nobody here has this address."
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.original_content or b""
        replies = []
        for address in envelope.rcpt_tos:
            try:
                outcome = (await self._run(self._reception.receive, raw, [address]))[address]
            except StoreError as error:
                _log.warning("LMTP: a mail for %r cannot be taken now: %s", address, error)
                replies.append(_LATER)
            except Exception:  # noqa: BLE001 - the mail server keeps it, and the next one is taken
                _log.exception("LMTP: a mail for %r could not be taken.", address)
                replies.append(_LATER)
            else:
                _log.info("LMTP: mail for %s: %s", address, outcome.sentence)
                replies.append(reply_of(outcome))
        return "\r\n".join(replies)

    async def handle_exception(self, error: Exception) -> str:
        _log.warning("LMTP: %s", error)
        return _LATER

    async def _run(self, work: Callable[..., Any], *args: object) -> Any:
        async with self._turn:
            return await asyncio.to_thread(work, *args)


class _Protocol(LMTP):
    """LMTP as the library has it, with an answer for each recipient also where the mail is too large."""

    line_length_limit = _LINE

    def __init__(self, handler: _Handler, *, size: int, open_ones: set[_Protocol]) -> None:
        super().__init__(
            handler,
            data_size_limit=size,
            enable_SMTPUTF8=True,
            hostname=socket.gethostname(),
            ident="caldavd",
            timeout=SILENCE,
        )
        self._open = open_ones
        self._due = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._open) >= MAX_CONNECTIONS and isinstance(transport, asyncio.WriteTransport):
            transport.write(b"421 4.3.2 Too many connections, please try again.\r\n")
            transport.close()
            return
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._open:
            self._open.discard(self)
            super().connection_lost(error)

    async def push(self, status: Any) -> None:
        """RFC 2033 4.2: after the mail, as many replies as there were recipients."""
        text = status if isinstance(status, str) else status.decode()
        if text.startswith("354"):
            assert self.envelope is not None
            self._due = len(self.envelope.rcpt_tos)
        elif self._due:
            text = text if "\r\n" in text else "\r\n".join([text] * self._due)
            self._due = 0
        await super().push(text)


@dataclass(slots=True)
class Listener:
    """Listens at ``place`` in a thread of its own. ``size``: the largest mail, bytes."""

    reception: Reception
    place: Place
    size: int
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: Thread | None = None
    _lock: int | None = None
    listening: Event = field(default_factory=Event)

    def start(self) -> None:
        """Returns at once; ``listening`` is set when the first mail can come."""
        self._thread = Thread(target=self._run, name="lmtp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more connections, and waits for the mails that are at work."""
        if self._thread is None:
            return
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop_all)
        self._thread.join(_GRACE)
        self._thread = None

    def _stop_all(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._release()

    async def _serve(self) -> None:
        server = await self._listen()
        _log.info("LMTP: listening at %s.", self.place)
        self.listening.set()
        async with server:
            await server.serve_forever()

    async def _listen(self) -> asyncio.Server:
        handler, open_ones = _Handler(self.reception), set[_Protocol]()

        def factory() -> _Protocol:
            return _Protocol(handler, size=self.size, open_ones=open_ones)

        told = False
        while True:
            try:
                if not self.place.path:
                    server = await self._loop.create_server(factory, self.place.host, self.place.port)
                    if not self.place.port:
                        self.place = Place(self.place.host, server.sockets[0].getsockname()[1])
                    return server
                self._claim()
                return await self._loop.create_unix_server(factory, sock=self._socket())
            except OSError as error:
                if not told:
                    taken = error.errno in (errno.EADDRINUSE, errno.EWOULDBLOCK)
                    said = "another process listens there" if taken else error
                    level = logging.INFO if taken else logging.WARNING
                    _log.log(level, "LMTP: not listening at %s for now: %s.", self.place, said)
                told = True
            await asyncio.sleep(_AGAIN)

    def _claim(self) -> None:
        """Makes this the one process that has the socket's file; what is there was left by one that was killed."""
        self._release()
        self._lock = os.open(f"{self.place.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(self.place.path).unlink(missing_ok=True)

    def _socket(self) -> socket.socket:
        """The socket with its mode; nobody can connect before it listens."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(self.place.path)
        except OSError:
            made.close()
            raise
        Path(self.place.path).chmod(self.place.mode)
        return made

    def _release(self) -> None:
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None
