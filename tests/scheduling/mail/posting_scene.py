"""Anna, who lives here, and what goes out in her name by mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from scheduling import itip
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.indexing import indexed
from scheduling.itip import Actor
from scheduling.mail.mailer import Letterhead, Smtp, Transport
from scheduling.mail.posting import Mail, Postbox
from scheduling.worker import Worker
from storage.open import open_store
from storage.rows import Address, CollectionKind, JournalEntry, ObjectRow, PrincipalKind
from storage.store import Store, Transaction
from tests.scheduling.mail.smtp import Sink

ANNA = "mailto:anna@here.example"
BERT = "mailto:bert@else.example"
CARL = "mailto:carl@else.example"
LETTERHEAD = Letterhead("calendar@here.example")
DAY = 86_400


def meeting(*attendees: str, uid: str = "u1", summary: str = "Plan", hour: int = 14, organizer: str = ANNA) -> bytes:
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//test//test//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
        f"DTSTART;TZID=Europe/Berlin:20260305T{hour:02}0000",
        f"DTEND;TZID=Europe/Berlin:20260305T{hour + 1:02}0000",
        f"SUMMARY:{summary}",
        f"ORGANIZER;CN=Anna:{organizer}",
        f"ATTENDEE;CN=Anna;PARTSTAT=ACCEPTED:{organizer}",
        *(f"ATTENDEE;RSVP=TRUE:{one}" for one in attendees),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def forward(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


class Scene:
    """A store with Anna in it; what she writes goes into the queue as the scheduler would do it."""

    def __init__(self, url: str) -> None:
        self.clock = Watch()
        self.store: Store = open_store(url, clock=self.clock, pool_size=5)
        self.woken = 0
        self.postbox = Postbox(self._wake)
        self.store.run(self._furnish, write=True)

    def _wake(self) -> None:
        self.woken += 1

    @staticmethod
    def _furnish(tx: Transaction) -> None:
        tx.principals.add(name="anna", kind=PrincipalKind.INDIVIDUAL, addresses=[Address(ANNA, preferred=True)])
        found = tx.collections.find("anna", ())
        assert found is not None
        tx.collections.add(found.collection, "work", kind=CollectionKind.CALENDAR)

    def worker(self, sink: Sink | None = None, *, transport: Transport | None = None) -> Worker:
        if sink is not None:
            transport = Smtp(sink.host, sink.port, "calendar@here.example", security="none", timeout=5)
        return Worker(self.store, transport, LETTERHEAD, give_up=3 * DAY, remember_removals=180 * DAY, clock=self.clock)

    def write(self, after: bytes | None, *, name: str = "x.ics", uid: str = "u1", actor: str = ANNA) -> None:
        """Anna's PUT or DELETE."""
        self.store.run(lambda tx: self._write(tx, after, name, actor), write=True)

    def _write(self, tx: Transaction, after: bytes | None, name: str, actor: str) -> None:
        tx.homes.lock_of(["anna"])
        found = tx.collections.find("anna", ("work", name), columns=frozenset({"body", "schedule_tag"}))
        assert found is not None
        row = found.object
        before = None if row is None else row.body
        now = datetime.fromtimestamp(tx.now, UTC)
        out = itip.outgoing(before, after, Actor(frozenset({actor})), now=now)
        mails = [Mail(message, name="Anna Example", language="en", before=before) for message in out.messages]
        statuses = self.postbox.post(tx, mails, reason=out.reason)
        if out.text is None or after is None:
            assert row is not None
            tx.objects.remove(found.collection, row)
            return
        text = itip.with_statuses(out.text, statuses, on="attendee")
        new = replace(indexed(validate(text, supported=OBJECT_COMPONENTS), text), schedule_tag="tag")
        tx.objects.put(found.collection, name, new, replaces=row)

    def stored(self, name: str = "x.ics") -> ObjectRow:
        def work(tx: Transaction) -> ObjectRow:
            found = tx.collections.find("anna", ("work", name), columns=frozenset({"body", "schedule_tag", "number"}))
            assert found is not None
            assert found.object is not None
            return found.object

        return self.store.run(work, write=False)

    def statuses(self, name: str = "x.ics") -> dict[str, str | None]:
        calendar = validate(self.stored(name).body, supported=OBJECT_COMPONENTS).calendar
        lines = [line for part in calendar.components for line in part.all("ATTENDEE")]
        return {line.value: line.param("SCHEDULE-STATUS") for line in lines}

    def counts(self, kind: str = "mail") -> dict[str, int]:
        return dict(self.store.run(lambda tx: tx.queue.counts(kind), write=False))

    def log(self, uid: str = "u1") -> list[JournalEntry]:
        return [line for _, line in self.store.run(lambda tx: tx.journal.of_uid(uid, limit=100), write=False)]
