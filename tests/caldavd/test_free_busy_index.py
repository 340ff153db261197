"""The free/busy index behind running servers: whatever is written and whatever becomes of it, answers are right.

Two workers (applications with stores of their own on one database) take random requests of three people: objects are
put, moved, copied, removed, imported, delivered to attendees and answered; zones, transparency, working hours and
addresses change. Questions go to either worker, and every answer is compared with the one computed from the texts of
the stored objects. Redis is meanwhile flushed, restarted, filled with old copies, slowed and cut off in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from caldavd.app import Application
from caldavd.wsgi import build
from config.settings import Settings
from scheduling.delivery.scheduler import Scheduler
from scheduling.freebusy import availability, vfreebusy
from scheduling.freebusy.diaries import CALENDAR_PROPERTIES, FreeBusy, addresses_of, availability_in, is_transparent
from scheduling.freebusy.index import WEEK, FreeBusyIndex
from scheduling.freebusy.index_memory import MemoryIndex
from scheduling.freebusy.index_redis import RedisIndex
from scheduling.freebusy.links import PURPOSE, token_of
from scheduling.ical.lines import parse
from scheduling.ical.periods import OF_FBTYPE, Busy, BusyPeriod, clip, merge
from scheduling.ical.timezones import UTC, Zone, named
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.ical.values import DAY, moment, write_utc
from scheduling.indexing import indexed
from storage.open import open_store
from storage.rows import Address, CollectionKind, Owner, Principal, StoredProperty
from storage.store import Store, Transaction
from tests.caldavd.client import Client, NamesAreEnough
from tests.caldavd.conftest import _accounts
from tests.caldavd.sharing import principal
from tests.scheduling.freebusy.busy_world import HOUR, MONDAY, Recording, object_of, random_object
from tests.scheduling.freebusy.redis_servers import Cluster, Server, Wire, mishaps
from tests.storage.databases import KINDS, Databases

PEOPLE = ("u1", "u2", "u3")
STEPS = 200
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")
AVAILABILITY = (
    ("urn:ietf:params:xml:ns:caldav", "calendar-availability"),
    ("http://calendarserver.org/ns/", "calendar-availability"),
)


# --- what is right


def expected(tx: Transaction, name: str, start: int, end: int, mask: str | None) -> list[BusyPeriod]:
    """When somebody is busy, from the text of every object in every calendar: without index, bounds and spans."""
    who = tx.principals.by_name(name)
    assert who is not None
    texts: list[bytes] = []
    periods: list[BusyPeriod] = []
    for collection in tx.collections.of_home(who.home_id):
        stored = _stored(tx, collection.id, who.id)
        if collection.kind is CollectionKind.INBOX and availability_in(stored):
            texts.append(availability_in(stored))
        if collection.kind is not CollectionKind.CALENDAR or is_transparent(stored):
            continue
        zone = _zone(stored, who.timezone)
        for row in tx.objects.page(collection.id, columns=frozenset({"body", "component"}), limit=10_000):
            if row.component == "VAVAILABILITY":
                texts.append(row.body)
            else:
                periods += vfreebusy.busy(row.body, start, end, zone, owner=addresses_of(who), mask_uid=mask)
    home = named(who.timezone) or UTC
    hours = availability.availability(texts, start, end, home) if texts else None
    return merge([*clip(periods, start, end), *(hours.unavailable if hours is not None else ())])


def _stored(tx: Transaction, collection_id: int, principal_id: int) -> dict[tuple[str, str], StoredProperty]:
    owner = Owner("collection", collection_id)
    names = (*CALENDAR_PROPERTIES, *AVAILABILITY)
    found = tx.properties.of([owner], principal_id=principal_id, names=names).get(owner, ())
    return {(one.namespace, one.name): one for one in found}


def _zone(stored: dict[tuple[str, str], StoredProperty], otherwise: str) -> Zone:
    kept = stored.get(("urn:ietf:params:xml:ns:caldav", "calendar-timezone-id"))
    name = kept.xml.partition(b">")[2].partition(b"<")[0].decode() if kept is not None else otherwise
    return named(name) or UTC


def read(text: bytes) -> list[BusyPeriod]:
    """The periods that a VFREEBUSY tells."""
    found = []
    for component in parse(text).components:
        for line in component.all("FREEBUSY"):
            for one in line.value.split(","):
                start, end = one.split("/")
                kind = OF_FBTYPE[line.param("FBTYPE") or "BUSY"]
                found.append(BusyPeriod(moment(start).local, moment(end).local, kind))
    return merge(found)


# --- the play


@dataclass
class Worker:
    """A server process: an application with its own store and index."""

    store: Store
    application: Application
    index: Recording


@dataclass
class Play:
    workers: list[Worker]
    random: Random
    mishaps: list[Callable[[Random], None]] = field(default_factory=list)
    calendars: dict[str, list[str]] = field(default_factory=lambda: {name: ["calendar", "second"] for name in PEOPLE})
    number: int = 0

    def run(self) -> None:
        for name in PEOPLE:
            made = self.client(name).request(
                "MKCALENDAR",
                f"/calendars/{name}/second/",
                '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
                '<C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VFREEBUSY"/>'
                '<C:comp name="VAVAILABILITY"/></C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>',
            )
            assert made.status == 201, made.body
        steps = {
            self.put: 30, self.delete: 8, self.move: 6, self.copy: 3, self.bring_in: 4, self.invite: 8, self.answer: 6,
            self.change_zone: 4, self.change_transparency: 4, self.change_hours: 4, self.change_person: 4,
            self.remove_calendar: 1, self.mishap: 10, self.fill_with_old_copies: 5, self.ask: 50, self.ask_by_report: 8,
            self.ask_by_link: 5,
        }  # fmt: skip
        for step in self.random.choices(list(steps), list(steps.values()), k=STEPS):
            step(self.random.choice(PEOPLE))

    def client(self, name: str) -> Client:
        return Client(self.random.choice(self.workers).application, name)

    def place(self, name: str) -> str:
        return f"/calendars/{name}/{self.random.choice(self.calendars[name])}/"

    def some(self, name: str) -> str | None:
        """The href of one of somebody's objects."""
        found = [
            href
            for calendar in self.calendars[name]
            for href in self.client(name).propfind(f"/calendars/{name}/{calendar}/", "<D:getetag/>", depth=1).hrefs
            if not href.endswith("/")
        ]
        return self.random.choice(found) if found else None

    def uid(self) -> str:
        self.number += 1
        return f"uid-{self.number}"

    def put(self, name: str) -> None:
        existing = self.some(name) if self.random.random() < 0.7 else None
        client = self.client(name)
        if existing is not None:
            text = client.request("GET", existing).body.decode().replace("\r\n ", "")
            uid = text.split("UID:")[1].split("\r")[0]
            client.put(existing, random_object(self.random, uid, name))
            return
        uid = self.uid()
        client.put(f"{self.place(name)}{uid}.ics", random_object(self.random, uid, name))

    def delete(self, name: str) -> None:
        href = self.some(name)
        if href is not None:
            assert self.client(name).request("DELETE", href).status == 204

    def move(self, name: str) -> None:
        href = self.some(name)
        if href is not None:
            target = f"http://localhost{self.place(name)}{self.uid()}.ics"
            self.client(name).request("MOVE", href, Destination=target)

    def copy(self, name: str) -> None:
        self.number += 1
        made = f"copy{self.number}"
        answer = self.client(name).request(
            "COPY", self.place(name), Destination=f"http://localhost/calendars/{name}/{made}/"
        )
        if answer.status == 201:
            self.calendars[name].append(made)

    def remove_calendar(self, name: str) -> None:
        if len(self.calendars[name]) > 2:
            gone = self.calendars[name].pop()
            assert self.client(name).request("DELETE", f"/calendars/{name}/{gone}/").status == 204

    def bring_in(self, name: str) -> None:
        """As the importer does it, in a process that knows of no index."""
        texts = [random_object(self.random, self.uid(), name) for _ in range(self.random.choice((1, 5)))]

        def work(tx: Transaction) -> None:
            tx.homes.lock_of([name])
            found = tx.collections.find(name, ("second",))
            assert found is not None
            rows = [indexed(validate(text, supported=OBJECT_COMPONENTS), text) for text in texts]
            tx.objects.put_many(found.collection, [(f"{row.uid}.ics", row) for row in rows])

        importer = open_store(self.url)
        importer.run(work, write=True)
        importer.close()

    url: str = ""

    def invite(self, name: str) -> None:
        others = "".join(f"ATTENDEE;RSVP=TRUE:mailto:{one}@example.org\r\n" for one in PEOPLE if one != name)
        start = MONDAY + self.random.randrange(-7, 21) * DAY + self.random.randrange(24) * HOUR
        uid = self.uid()
        lines = f"DTSTART:{write_utc(start)}\r\nDURATION:PT90M\r\nORGANIZER:mailto:{name}@example.org\r\n{others}"
        rule = "RRULE:FREQ=WEEKLY;COUNT=3\r\n" if self.random.random() < 0.4 else ""
        body = object_of(uid, *(lines + rule).rstrip().split("\r\n"))
        assert self.client(name).put(f"{self.place(name)}{uid}.ics", body).status == 201

    def answer(self, name: str) -> None:
        href = self.some(name)
        if href is None:
            return
        client = self.client(name)
        text = client.request("GET", href).body.decode().replace("\r\n ", "")
        answer = self.random.choice(("ACCEPTED", "DECLINED", "TENTATIVE"))
        for old in ("NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE"):
            for mine in (
                line for line in text.split("\r\n") if line.startswith("ATTENDEE") and f"mailto:{name}@" in line
            ):
                text = text.replace(mine, mine.replace(f"PARTSTAT={old}", f"PARTSTAT={answer}"))
        client.put(href, text)

    def change_zone(self, name: str) -> None:
        path = self.place(name)
        if self.random.random() < 0.3:
            self.client(name).proppatch(path, remove="<C:calendar-timezone-id/>")
        else:
            zone = f"<C:calendar-timezone-id>{self.random.choice(ZONES)}</C:calendar-timezone-id>"
            assert self.client(name).proppatch(path, set=zone).status == 207

    def change_transparency(self, name: str) -> None:
        how = self.random.choice(("opaque", "transparent"))
        value = f"<C:schedule-calendar-transp><C:{how}/></C:schedule-calendar-transp>"
        assert self.client(name).proppatch(self.place(name), set=value).status == 207

    def change_hours(self, name: str) -> None:
        begin = self.random.randrange(6, 12)
        hours = object_of(
            self.uid(),
            *((f"PRIORITY:{self.random.randrange(10)}",) if self.random.random() < 0.5 else ()),
            "BEGIN:AVAILABLE",
            "UID:a",
            "DTSTAMP:20260101T000000Z",
            f"DTSTART;TZID=Europe/Berlin:20260302T{begin:02}0000",
            "DURATION:PT8H",
            "RRULE:FREQ=DAILY",
            "END:AVAILABLE",
            kind="VAVAILABILITY",
        )
        spelling = self.random.choice(("C", "CS"))
        inbox = f"/calendars/{name}/inbox/"
        how = self.random.randrange(3)
        if how == 0:
            self.client(name).proppatch(inbox, remove=f"<{spelling}:calendar-availability/>")
        elif how == 1:
            element = f"<{spelling}:calendar-availability>{escape(hours.decode())}</{spelling}:calendar-availability>"
            assert b"200 OK" in self.client(name).proppatch(inbox, set=element).body
        else:
            assert self.client(name).put(f"/calendars/{name}/second/{self.uid()}.ics", hours).status == 201

    def change_person(self, name: str) -> None:
        """As the command line does it: neither index nor server is told."""
        store = self.workers[0].store
        who = principal(store, name)
        own = Address(f"mailto:{name}@example.org", preferred=True)
        more = (Address(f"mailto:boss-{name}@example.org", preferred=False),) if self.random.random() < 0.5 else ()
        changed = replace(who, timezone=self.random.choice(ZONES), addresses=(own, *more))
        store.run(lambda tx: tx.principals.update(changed), write=True)

    def mishap(self, _name: str) -> None:
        if self.mishaps:
            self.random.choice(self.mishaps)(self.random)

    def fill_with_old_copies(self, _name: str) -> None:
        fills = [fill for one in self.workers for fill in one.index.fills]
        self.random.choice(self.workers).index.index.fill(self.random.sample(fills, min(8, len(fills))))

    def window(self) -> tuple[int, int]:
        if self.random.random() < 0.4:
            return MONDAY - 4 * WEEK, MONDAY + 8 * WEEK  # all that there is
        start = MONDAY + self.random.randrange(-5 * WEEK, 8 * WEEK)
        return start, start + self.random.choice((900, HOUR, DAY, WEEK, 31 * DAY, 100 * DAY))

    def right(self, names: list[str], start: int, end: int, mask: str | None = None) -> list[list[BusyPeriod]]:
        store = self.workers[0].store
        return store.run(lambda tx: [expected(tx, name, start, end, mask) for name in names], write=False)

    def ask(self, name: str) -> None:
        start, end = self.window()
        asked = self.random.choices(PEOPLE, k=self.random.randrange(1, 6))
        mask = f"uid-{self.random.randrange(1, self.number + 2)}" if self.random.random() < 0.3 else None
        lines = [f"ATTENDEE:mailto:{one}@example.org" for one in asked]
        lines += [f"X-CALENDARSERVER-MASK-UID:{mask}"] if mask is not None else []
        body = object_of(
            "q",
            f"DTSTART:{write_utc(start)}",
            f"DTEND:{write_utc(end)}",
            f"ORGANIZER:mailto:{name}@example.org",
            *lines,
            kind="VFREEBUSY",
        ).replace(b"VERSION:2.0", b"VERSION:2.0\r\nMETHOD:REQUEST")
        for worker in self.random.sample(self.workers, len(self.workers)):
            client = Client(worker.application, name)
            answer = client.request("POST", f"/calendars/{name}/outbox/", body, Content_Type="text/calendar")
            assert answer.status == 200, answer.body
            statuses = [str(one) for one in answer.xpath("//C:request-status/text()")]
            assert statuses == ["2.0;Success"] * len(asked)
            found = [read(str(one).encode()) for one in answer.xpath("//C:calendar-data/text()")]
            assert found == self.right(asked, start, end, mask)

    def ask_by_report(self, name: str) -> None:
        start, end = self.window()
        span = f'<C:time-range start="{write_utc(start)}" end="{write_utc(end)}"/>'
        answer = self.client(name).report(f"/principals/{name}/", "C:free-busy-query", span)
        assert answer.status == 200, answer.body
        assert [read(answer.body)] == self.right([name], start, end)

    def ask_by_link(self, name: str) -> None:
        start, end = self.window()
        worker = self.random.choice(self.workers)
        who = principal(worker.store, name)
        serial = worker.store.run(lambda tx: tx.freebusy_links.renew(who.id), write=True)
        token = token_of(worker.store.secret(PURPOSE), who.id, serial)
        path = f"/freebusy/{token}?start={write_utc(start)}&end={write_utc(end)}"
        answer = Client(worker.application, None).request("GET", path)
        assert answer.status == 200, answer.body
        assert [read(answer.body)] == self.right([name], start, end)


@pytest.fixture
def make(template: Path, tmp_path: Path, store: Store) -> Iterator[Callable[..., Play]]:
    """A play with a worker for each index."""
    opened: list[Store] = []
    now = int(time.time())
    # So that the index looks from two weeks before to five weeks after, and questions go beyond it on both sides.
    back, ahead = (now - MONDAY) // DAY + 14, (MONDAY - now) // DAY + 35

    def play(seed: int, *indexes: FreeBusyIndex, url: str = f"sqlite:///{tmp_path}/caldavd.db") -> Play:
        workers = []
        for index in indexes:
            one = open_store(url)
            opened.append(one)
            recording = Recording(index)
            service = FreeBusy(recording, days_back=back, days_ahead=ahead)
            one.watch(service.written)
            authenticator = NamesAreEnough(one)
            application = Application(one, authenticator, scheduler=Scheduler(), freebusy=service)  # type: ignore[arg-type]
            workers.append(Worker(one, application, recording))
        made = Play(workers, Random(seed))
        made.url = url
        return made

    yield play
    for one in opened:
        one.close()


@pytest.fixture(autouse=True)
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from caldavd.public import freebusy as link

    monkeypatch.setattr(link, "RATE", link.Rate(10**6))


@pytest.mark.parametrize("seed", range(2))
def test_two_workers_with_memories_of_their_own(make: Callable[..., Play], seed: int) -> None:
    play = make(seed, MemoryIndex(), MemoryIndex(max_calendars=4))
    play.run()
    assert all(worker.index.hits > 20 for worker in play.workers), "otherwise nothing was tried"


@pytest.mark.parametrize("seed", range(2))
def test_redis_flushed_restarted_filled_with_old_copies_slowed_and_cut_off(
    make: Callable[..., Play], tmp_path: Path, seed: int
) -> None:
    with Server(tmp_path) as server, closing(Wire(server.port)) as wire:
        indexes = [RedisIndex(wire.url, timeout=0.2, pause=0.02), RedisIndex(server.url, timeout=0.2, pause=0.02)]
        play = make(seed, *indexes)
        play.mishaps = mishaps(server, wire)
        try:
            play.run()
            assert play.workers[1].index.hits > 20, "otherwise nothing was tried"
        finally:
            for index in indexes:
                index.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sqlite"])
def test_on_other_databases(make: Callable[..., Play], databases: Databases, kind: str) -> None:
    url = databases.url(kind)
    store = open_store(url)
    store.upgrade()
    store.run(_accounts, write=True)
    store.close()
    play = make(3, MemoryIndex(), MemoryIndex(), url=url)
    play.run()
    assert all(worker.index.hits > 20 for worker in play.workers), "otherwise nothing was tried"


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once(make: Callable[..., Play], databases: Databases, kind: str) -> None:
    """Writes and questions of several threads of two workers, which share what is between a read and its fill."""
    url = databases.url(kind)
    store = open_store(url)
    store.upgrade()
    store.run(_accounts, write=True)
    store.close()
    shared = MemoryIndex()
    play = make(9, shared, shared, url=url)
    failures: list[BaseException] = []

    def act(number: int) -> None:
        random, name = Random(number), PEOPLE[number % len(PEOPLE)]
        try:
            for at in range(25):
                worker = random.choice(play.workers)
                client = Client(worker.application, name)
                path = f"/calendars/{name}/calendar/{random.randrange(5)}.ics"
                if at % 2:
                    who = principal(worker.store, name)
                    start = MONDAY + random.randrange(-2 * WEEK, 4 * WEEK)

                    def ask(tx: Transaction, worker: Worker = worker, who: Principal = who, start: int = start) -> None:
                        service = worker.application.freebusy
                        service.busy_times(tx, [who], start, start + 3 * WEEK, epoch=worker.store.epoch)

                    worker.store.run(ask, write=False)
                elif random.random() < 0.3:
                    assert client.request("DELETE", path).status in (204, 404)
                else:
                    start = MONDAY + random.randrange(-7, 28) * DAY
                    body = object_of(path, f"DTSTART:{write_utc(start)}", "DURATION:PT3H")
                    assert client.put(path, body).status in (201, 204)
        except BaseException as error:  # noqa: BLE001 - told below, in the thread that tests
            failures.append(error)

    threads = [Thread(target=act, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for worker in play.workers:

        def whole(tx: Transaction, worker: Worker = worker) -> None:
            service = worker.application.freebusy
            people = tx.principals.by_names(PEOPLE)
            start, end = MONDAY - 4 * WEEK, MONDAY + 8 * WEEK
            found = service.busy_times(tx, people.values(), start, end, epoch=worker.store.epoch)
            for name, who in people.items():
                assert found[who.id].periods == expected(tx, name, start, end, None)

        worker.store.run(whole, write=False)
    assert play.workers[0].index.hits + play.workers[1].index.hits > 20, "otherwise nothing was tried"


def test_a_cluster_of_redis(make: Callable[..., Play], tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        indexes = [RedisIndex(cluster.url, timeout=1, pause=0.02) for _ in range(2)]
        play = make(5, *indexes)
        play.mishaps = [lambda _random: cluster.flush()]
        try:
            play.run()
            assert all(worker.index.hits > 20 for worker in play.workers), "otherwise nothing was tried"
        finally:
            for index in indexes:
                index.close()


def test_the_play_notices_a_lie(make: Callable[..., Play]) -> None:
    """An index that forgets to forget is found out: the comparison is worth something."""

    class Forgetful(MemoryIndex):
        def lookup(self, wanted, start, end):  # type: ignore[no-untyped-def]
            known = {id_: entry.version for id_, entry in self.entries(list(wanted)).items()}
            return super().lookup({id_: known.get(id_, version) for id_, version in wanted.items()}, start, end)

        def written(self, epoch: str, writes: object) -> None:
            pass

    with pytest.raises(AssertionError):
        make(1, Forgetful()).run()


def test_busy_kinds_are_told_apart() -> None:
    assert read(vfreebusy.answer([BusyPeriod(0, 9, Busy.TENTATIVE)], 0, 9, now=0)) == [BusyPeriod(0, 9, Busy.TENTATIVE)]


def test_the_server_moves_its_index_on(store: Store) -> None:
    """As it is put together from the settings: a write forgets what it touched, and the rest stays known."""
    freebusy_settings = {"days_ahead": 400, "days_back": 400}
    application = replace(
        build(Settings.model_validate({"freebusy": freebusy_settings}), store=store),
        authenticator=NamesAreEnough(store),  # type: ignore[arg-type]
    )
    client, now = Client(application, "u1"), int(time.time())
    assert (application.freebusy.days_ahead, application.freebusy.days_back) == (400, 400)
    who = principal(store, "u1")

    def known() -> int:
        return sum(len(one.weeks) for one in application.freebusy.index.entries(range(1000)).values())

    store.run(
        lambda tx: application.freebusy.busy_times(tx, [who], now, now + 20 * WEEK, epoch=store.epoch), write=False
    )
    before = known()
    assert before >= 20
    body = object_of("a", f"DTSTART:{write_utc(now + 5 * WEEK)}", "DURATION:PT1H")
    assert client.put("/calendars/u1/calendar/a.ics", body).status == 201
    assert before - 3 <= known() < before
    assert client.proppatch("/calendars/u1/calendar/", set="<D:displayname>x</D:displayname>").status == 207
    assert before - 3 <= known() < before
