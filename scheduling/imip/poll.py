"""IMAP: a mailbox that is looked into for mails, where no mail server can bring them.

Owns RFC 3501 (or 9051) as far as it is needed: what is new in one folder is fetched, taken in, and marked or moved. A
mail is marked after it was taken: one whose process is killed between the two is taken once more, and changes nothing.

What is new is told by a keyword of ours where the folder keeps keywords, so that a person may read along; else by
the flag Seen. Of all workers one at a time looks (a job of the queue is the turn).
"""

from __future__ import annotations

import imaplib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final, Literal

from scheduling.imip.fates import Fate
from scheduling.mail.tls import client_context
from storage.errors import StoreError
from storage.rows import NewJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduling.imip.reception import Reception
    from storage.store import Store

_log = logging.getLogger(__name__)

#: The job that is the turn to look, and how long it may take, seconds.
TURN: Final = "imap"
_TURN_SECONDS: Final = 900
#: Mails that are taken in one look; the others wait for the next.
AT_ONCE: Final = 100
#: The keyword of what was taken.
KEYWORD: Final = "$CaldavdTaken"
_TIMEOUT: Final = 60
_SIZE: Final = re.compile(rb"RFC822\.SIZE (\d+)")
_UID: Final = re.compile(rb"\d{1,10}")


class Unavailable(Exception):
    """The IMAP server is away, lets us not in, or has not what it is asked for."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A folder of an IMAP server. ``done``: where what was taken is moved; empty: it stays and is marked."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    security: Literal["none", "starttls", "tls"] = "tls"
    folder: str = "INBOX"
    done: str = ""
    ca_file: Path | None = None

    @contextmanager
    def opened(self) -> Iterator[Folder]:
        """The folder, selected. Raises ``Unavailable``."""
        try:
            client = self._client()
        except (OSError, imaplib.IMAP4.error, ValueError) as error:
            raise Unavailable(f"{self.host}:{self.port}: {error}") from error
        try:
            yield Folder(client, self)
        except (OSError, imaplib.IMAP4.error) as error:
            raise Unavailable(f"{self.host}:{self.port}: {error}") from error
        finally:
            with suppress(OSError, imaplib.IMAP4.error):
                client.logout()

    def _client(self) -> imaplib.IMAP4:
        if self.security == "tls":
            context = client_context(self.ca_file)
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(self.host, self.port, ssl_context=context, timeout=_TIMEOUT)
        else:
            client = imaplib.IMAP4(self.host, self.port, timeout=_TIMEOUT)
        try:
            if self.security == "starttls":
                client.starttls(client_context(self.ca_file))
            client.login(self.username, self.password)
            status, said = client.select(_quoted(self.folder))
            if status != "OK":
                raise Unavailable(f"{self.host}:{self.port}: the folder {self.folder!r} cannot be opened: {said!r}")
        except BaseException:
            with suppress(OSError, imaplib.IMAP4.error):
                client.logout()
            raise
        return client


class Folder:
    """A folder that is open."""

    def __init__(self, client: imaplib.IMAP4, mailbox: Mailbox) -> None:
        self._client = client
        self._mailbox = mailbox
        flags = b" ".join(one for one in client.response("PERMANENTFLAGS")[1] if isinstance(one, bytes))
        self._keywords = rb"\*" in flags or KEYWORD.encode().lower() in flags.lower()

    def new(self) -> Sequence[bytes]:
        """The UIDs of what was not taken yet, the oldest first."""
        asked = ("UNDELETED", "UNKEYWORD", KEYWORD) if self._keywords else ("UNDELETED", "UNSEEN")
        found = self._ask("SEARCH", *asked)
        return [one for line in found if isinstance(line, bytes) for one in line.split() if _UID.fullmatch(one)]

    def size(self, uid: bytes) -> int:
        """The size of a mail, bytes; 0 where it has gone."""
        for line in self._ask("FETCH", uid.decode(), "(RFC822.SIZE)"):
            match = _SIZE.search(line if isinstance(line, bytes) else b"")
            if match is not None:
                return int(match[1])
        return 0

    def mail(self, uid: bytes) -> bytes | None:
        """A mail, without marking it as read; None where it has gone."""
        found = self._ask("FETCH", uid.decode(), "(BODY.PEEK[])")
        return next((line[1] for line in found if isinstance(line, tuple) and isinstance(line[1], bytes)), None)

    def taken(self, uid: bytes) -> None:
        """Marks a mail, and moves it where the settings say so."""
        self._mark(uid)
        if not self._mailbox.done:
            return
        done = _quoted(self._mailbox.done)
        if "MOVE" in self._client.capabilities:
            self._ask("MOVE", uid.decode(), done)
        else:
            self._ask("COPY", uid.decode(), done)
            self._ask("STORE", uid.decode(), "+FLAGS.SILENT", r"(\Deleted)")

    def left(self, uid: bytes) -> None:
        """Marks a mail that is none of ours, and leaves it to people: where we have a keyword, it stays unread."""
        self._mark(uid, seen=not self._keywords)

    def _mark(self, uid: bytes, *, seen: bool = True) -> None:
        flags = [*([r"\Seen"] if seen else []), *([KEYWORD] if self._keywords else [])]
        self._ask("STORE", uid.decode(), "+FLAGS.SILENT", f"({' '.join(flags)})")

    def _ask(self, command: str, *arguments: str) -> Sequence[bytes | tuple[bytes, bytes] | None]:
        status, found = self._client.uid(command, *arguments)
        if status != "OK":
            raise Unavailable(f"{self._mailbox.host}: {command} was answered with {status}: {found!r}")
        return found


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(slots=True)
class Poller:
    """Looks into ``mailbox`` every ``seconds``. ``max_size``: larger mails are left alone, bytes."""

    store: Store
    reception: Reception
    mailbox: Mailbox
    seconds: int
    max_size: int
    _stopped: Event = field(default_factory=Event)

    def run(self) -> None:
        """Looks until ``stop``. What goes wrong is logged and tried again."""
        while not self._stopped.is_set():
            try:
                self.in_turn()
            except (StoreError, Unavailable) as error:
                _log.warning("IMAP: %s", error)
            except Exception:  # noqa: BLE001 - a thread that has died looks never again, and nobody notices
                _log.exception("IMAP: failed, and goes on.")
            self._stopped.wait(min(self.seconds, 30))

    def stop(self) -> None:
        """``run`` returns soon: after the mail that is being taken."""
        self._stopped.set()

    def in_turn(self) -> int:
        """Looks, if it is time and nobody else does; returns how many mails there were."""
        store = self.store
        at = store.run(lambda tx: tx.queue.next_at(TURN), write=False)
        if at is None:
            store.run(lambda tx: tx.queue.add(TURN, [NewJob(TURN, b"")], not_before=tx.now), write=True)
        jobs = store.run(lambda tx: tx.queue.lease(TURN, limit=1, until=tx.now + _TURN_SECONDS), write=True)
        for job in jobs:
            try:
                return self.look()
            finally:
                store.run(lambda tx, job=job: tx.queue.retry(job, at=tx.now + self.seconds, error=""), write=True)  # type: ignore[misc]
        return 0

    def look(self) -> int:
        """Takes in what is new; returns how many mails that were. Raises ``Unavailable``, StoreError."""
        with self.mailbox.opened() as folder:
            uids = folder.new()[:AT_ONCE]
            for uid in uids:
                if self._stopped.is_set():
                    break
                self._take(folder, uid)
            return len(uids)

    def _take(self, folder: Folder, uid: bytes) -> None:
        size = folder.size(uid)
        raw = folder.mail(uid) if 0 < size <= self.max_size else None
        if raw is None:
            if size:
                _log.warning("IMAP: mail %s has %d bytes and is left alone.", uid.decode(), size)
            folder.left(uid)
            return
        recipients = self.reception.recipients_in(raw)
        outcomes = self.reception.receive(raw, recipients)
        for address, outcome in outcomes.items():
            _log.info("IMAP: mail %s for %s: %s", uid.decode(), address, outcome.sentence)
        taken = {Fate.APPLIED, Fate.HELD, Fate.NOTED, Fate.FORWARDED}
        if any(one.fate in taken for one in outcomes.values()):
            folder.taken(uid)
        else:
            folder.left(uid)
