"""A stage for iTIP scripts on the real server: HTTP requests in, stored rows out.

The same scripts are played in memory with the pure rules (``tests.scheduling.itip``). Here a client puts with
``If-Match``, or with ``If-Schedule-Tag-Match`` where the script says "merge"; who has no account is reached through the
queue of mails; a message from elsewhere comes in by the door that mail uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.addresses import mailbox, normal
from scheduling.delivery.running import run_locked
from scheduling.delivery.scheduler import Scheduler
from scheduling.ical.lines import ICalendarError, parse
from scheduling.itip import received
from scheduling.mail.posting import Postbox
from storage.open import open_store
from storage.rows import CollectionKind, JournalEntry, PrincipalKind
from tests.caldavd.client import Answer, Client, NamesAreEnough

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.rows import ObjectRow
    from storage.store import Store, Transaction

CALENDAR: Final = "calendar"
SECOND: Final = "second"
NAMES: Final = ("a", "b", "c", "d", "e")
_COLUMNS: Final = frozenset({"body", "uid", "schedule_tag", "etag", "name"})
_MOST: Final = 100
_MOST_LINES: Final = 1000


class Watch:
    """A clock that the script sets."""

    def __init__(self) -> None:
        self.instant = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant


def make_account(tx: Transaction, name: str, addresses: Iterable[str]) -> None:
    """Somebody with inbox, outbox and two calendars that take every kind of component."""
    new = provision.NewPrincipal(
        name=name,
        kind=PrincipalKind.INDIVIDUAL,
        addresses=[normal(one) for one in addresses],
        timezone="Europe/Berlin",
        empty=True,
        schedules=True,
    )
    provision.create(tx, new, Provisioning())
    home = tx.collections.find(name, ())
    assert home is not None
    for calendar in (CALENDAR, SECOND):
        tx.collections.add(home.collection, calendar, kind=CollectionKind.CALENDAR)


def prepare(folder: Path) -> None:
    """Makes a database with the accounts in ``folder``, to be copied."""
    store = open_store(f"sqlite:///{folder / 'caldavd.db'}")
    store.upgrade()

    def work(tx: Transaction) -> None:
        for name in NAMES:
            make_account(tx, name, [f"mailto:{name}@example.com"])

    store.run(work, write=True)
    store.close()


@dataclass(frozen=True)
class Kept:
    """An object as it is stored."""

    href: str
    body: bytes
    tag: str
    etag: str
    id: int


class Office:
    """The server with its accounts, seen from outside by HTTP and from inside by its rows."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self.store, self.watch = store, watch
        self.application = Application(store=store, authenticator=NamesAreEnough(store), scheduler=Scheduler(Postbox()))  # type: ignore[arg-type]
        self.accounts: set[str] = set(NAMES)
        self.people: set[str] = set(NAMES)
        self.known: dict[tuple[str, str], list[Kept]] = {}
        self.boxes: dict[str, list[bytes]] = {}
        #: The lines of the scheduling log of the last action, and the number of the last line.
        self.news: list[JournalEntry] = []
        self.last_line = 0
        self.uids: set[str] = set()
        self.puts = 0
        #: Whether the next PUT of a client that merges comes without any condition.
        self.unconditional = False
        #: The message from elsewhere that came in last.
        self.came = ""
        self.condition: str | None = None
        self.trouble: list[str] = []
        self._read()

    # --- what a script says

    def account(self, name: str, addresses: list[str]) -> None:
        uris = [normal(one) for one in addresses]

        def work(tx: Transaction) -> None:
            found = tx.principals.by_name(name)
            if found is None:
                make_account(tx, name, addresses)
            elif [one.uri for one in found.addresses] != uris:
                tx.principals.update(replace(found, addresses=provision.addresses(uris)))

        self.store.run(work, write=True)
        self.accounts.add(name)
        self.people.update(short(uri) for uri in uris)
        self.boxes.setdefault(name, [])

    def at(self, now: datetime) -> None:
        self.watch.instant = now

    def client(self, name: str) -> Client:
        return Client(self.application, name)

    def put(self, name: str, text: bytes, *, merge: bool) -> None:
        known = self.kept(name, _uid(text))
        client = self.client(name)
        if known is None:
            self.puts += 1
            answer = client.put(f"/calendars/{name}/{CALENDAR}/{self.puts}.ics", text, If_None_Match="*")
        elif not merge:
            answer = client.put(known.href, text, If_Match=f'"{known.etag}"')
        elif known.tag and not self.unconditional:
            answer = client.put(known.href, text, If_Schedule_Tag_Match=f'"{known.tag}"')
        else:
            self.unconditional = False
            answer = client.put(known.href, text)
        self.done(answer)
        now = self.kept(name, _uid(text))
        if self.condition is None and now is not None:
            assert answer.headers.get("Schedule-Tag", "").strip('"') == now.tag
            assert ("ETag" in answer.headers) is (now.body == text), "an ETag is for the bytes that were sent"

    def delete(self, name: str, uid: str, *, reply: bool) -> None:
        known = self.kept(name, uid)
        assert known is not None, f"{name} has no {uid}"
        headers = {} if reply else {"Schedule_Reply": "F"}
        self.done(self.client(name).request("DELETE", known.href, **headers))

    def receive(self, sender: str, recipient: str, text: bytes) -> None:
        self.condition, self.trouble = None, []
        self.came = ""
        try:
            message = received(text, sender=sender, recipient=recipient, now=self.watch.instant)
            self.uids.add(message.uid)
            self.came = f"{message.method} {short(message.sender)} -> {short(message.recipient)}"
            scheduler = self.application.scheduler
            assert scheduler is not None
            run_locked(self.store, (), lambda tx, held: scheduler.receive(tx, message, held=held))
        except ICalendarError as error:
            self.trouble = [f"unreadable: {error}"]
        self._read()

    def done(self, answer: Answer) -> None:
        """A request was answered: is it a refusal, and what is stored now?"""
        self.condition, self.trouble, self.came = None, [], ""
        if answer.status == 403 and answer.conditions:
            self.condition = answer.conditions[0]
        else:
            assert answer.status in (200, 201, 204), f"{answer.status} {answer.body.decode()}"
        self._read()

    # --- what a script asks

    def kept(self, name: str, uid: str) -> Kept | None:
        """The one object of a UID."""
        found = self.known.get((name, uid), [])
        assert len(found) <= 1, f"{name} has {uid} {len(found)} times"
        return found[0] if found else None

    def stored(self, name: str, uid: str) -> bytes | None:
        known = self.kept(name, uid)
        return None if known is None else known.body

    def tag(self, name: str, uid: str) -> object:
        known = self.kept(name, uid)
        return None if known is None or not known.tag else known.tag

    def inbox(self, name: str) -> list[str]:
        return [_method(text) for text in self.boxes[name]]

    def newest(self, name: str) -> bytes | None:
        return self.boxes[name][-1] if self.boxes[name] else None

    def born(self, name: str, uid: str) -> object:
        known = self.kept(name, uid)
        return None if known is None else known.id

    def sent(self) -> list[tuple[str, str, str]]:
        return [(one.method, one.actor, one.recipient) for one in self.news]

    def refused(self) -> str | None:
        return self.condition

    def reasons(self) -> list[str] | None:
        return [one.reason for one in self.news] + self.trouble

    def status(self, expected: str, uri: str) -> str:
        """Who has no account is told by mail: what becomes of that is known later."""
        if expected not in ("1.1", "3.7"):
            return expected
        return "1.0" if mailbox(uri) is not None else "5.2"

    def check_messages(self, expected: list[str]) -> None:
        """By the scheduling log, which knows no instances.

        Nobody elsewhere gets a mail for each answer of somebody else: the REQUESTs that follow from a REPLY stay here.
        """
        wanted = [" ".join(line.split()[:4]) for line in expected]
        replied = {line.split()[1] for line in [*wanted, self.came] if line.startswith("REPLY")}
        if replied:
            told = self.people | replied
            wanted = [line for line in wanted if not line.startswith("REQUEST") or line.split()[3] in told]
        found = [f"{one.method} {short(one.actor)} -> {short(one.recipient)}" for one in self.news]
        found = [line for line in found if line != self.came]  # a proposal is told by mail as well
        assert sorted(found) == sorted(wanted), "\n".join(["messages were:", *found])

    # --- rows

    def _read(self) -> None:
        """Everything that is stored, once after each action."""

        def work(tx: Transaction) -> list[_Listed]:
            out: list[_Listed] = []
            for name, principal in tx.principals.by_names(self.accounts).items():
                for one in tx.collections.of_home(principal.home_id):
                    if one.kind in (CollectionKind.CALENDAR, CollectionKind.INBOX):
                        rows = sorted(tx.objects.page(one.id, columns=_COLUMNS, limit=_MOST), key=attrgetter("id"))
                        out.append((name, one.path, one.kind, rows))
            return out

        self.known = {}
        self.boxes = {name: [] for name in self.accounts}
        for name, path, kind, rows in self.store.run(work, write=False):
            for row in rows:
                if kind is CollectionKind.INBOX:
                    self.boxes[name].append(row.body)
                    continue
                href = "/".join(["/calendars", name, *path, row.name])
                self.known.setdefault((name, row.uid), []).append(
                    Kept(href, row.body, row.schedule_tag, row.etag, row.id)
                )
        self._read_journal()

    def _read_journal(self) -> None:
        uids = self.uids | {uid for _, uid in self.known}
        self.uids = uids

        def work(tx: Transaction) -> list[tuple[int, JournalEntry]]:
            return [one for uid in sorted(uids) for one in tx.journal.of_uid(uid, limit=_MOST_LINES)]

        lines = sorted(self.store.run(work, write=False), key=lambda one: one[0])
        self.news = [entry for number, entry in lines if number > self.last_line]
        self.last_line = max([self.last_line, *(number for number, _ in lines)])


_Listed = tuple[str, tuple[str, ...], CollectionKind, list["ObjectRow"]]


def _method(text: bytes) -> str:
    line = parse(text).first("METHOD")
    assert line is not None
    return line.value


def _uid(text: bytes) -> str:
    line = next(line for one in parse(text).components for line in one.all("UID"))
    return line.value


def short(address: str) -> str:
    """An address as the scripts write it."""
    local, _, domain = address.removeprefix("mailto:").partition("@")
    return local if domain in ("example.com", "example.org", "invalid.example") else address.removeprefix("mailto:")
