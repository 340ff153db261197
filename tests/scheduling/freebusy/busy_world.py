"""People with calendars in a real store: their busy times asked through an index, and computed from the objects."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scheduling.freebusy.busy import BusyCalendar, BusyTimes, Horizon, Whose, busy_of, version_of
from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index import (
    WEEK,
    Entry,
    Fill,
    FreeBusyIndex,
    FreeMap,
    Lookup,
    Version,
    Write,
    map_of,
    week_start,
)
from scheduling.freebusy.index_check import Comparison, compare
from scheduling.freebusy.vfreebusy import busy
from scheduling.ical.periods import BusyPeriod, clip, merge
from scheduling.ical.timezones import named
from scheduling.ical.validate import validate
from scheduling.ical.values import DAY, write_date, write_local, write_utc
from scheduling.indexing import indexed
from storage.open import open_store
from storage.rows import CollectionKind, Moved, PrincipalKind
from storage.store import Transaction

MONDAY = 1772409600  # 2026-03-02T00:00:00Z
HOUR = 3600
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")
COMPONENTS = ("VEVENT", "VFREEBUSY", "VTODO", "VAVAILABILITY")
BODY = frozenset({"body", "component"})


class Recording:
    """An index that remembers what was filled into it, and whether it was any use."""

    def __init__(self, index: FreeBusyIndex) -> None:
        self.index = index
        self.fills: list[Fill] = []
        self.hits = 0

    def ping(self) -> bool:
        return self.index.ping()

    def lookup(self, wanted: Mapping[int, Version], start: int, end: int) -> Lookup:
        found = self.index.lookup(wanted, start, end)
        self.hits += sum(len(weeks) for weeks in found.hits.values())
        return found

    def fill(self, fills: Sequence[Fill]) -> None:
        self.fills += fills
        self.index.fill(fills)

    def written(self, epoch: str, writes: Sequence[Write]) -> None:
        self.index.written(epoch, writes)

    def free_map(self, wanted: Mapping[int, Version], start: int, end: int) -> FreeMap:
        return self.index.free_map(wanted, start, end)

    def entries(self, calendars: Members[int]) -> Mapping[int, Entry]:
        return self.index.entries(calendars)


@dataclass
class Calendar:
    id: int
    home: int
    owner: str
    zone: str = "UTC"
    addresses: frozenset[str] = field(default=frozenset())
    has_availability: bool = False


class World:
    def __init__(self, folder: Path, people: int, calendars: int = 2) -> None:
        self.store = open_store(f"sqlite:///{folder}/world.db")
        self.store.upgrade()
        self.calendars: list[Calendar] = []
        self.told: Sequence[Moved] = ()
        self.store.run(lambda tx: self._people(tx, people, calendars), write=True)
        self.store.watch(self._tell)

    def _tell(self, _epoch: str, moved: Sequence[Moved]) -> None:
        self.told = moved

    def _people(self, tx: Transaction, people: int, calendars: int) -> None:
        for number in range(people):
            name = f"u{number}"
            principal = tx.principals.add(name=name, kind=PrincipalKind.INDIVIDUAL)
            found = tx.collections.find(name, ())
            assert found is not None
            for at in range(calendars):
                made = tx.collections.add(
                    found.collection, f"c{at}", kind=CollectionKind.CALENDAR, components=COMPONENTS
                )
                addresses = frozenset({f"mailto:{name}@example.org"})
                self.calendars.append(Calendar(made.id, principal.home_id, name, ZONES[number % len(ZONES)], addresses))

    def of(self, tx: Transaction, calendar: Calendar) -> BusyCalendar:
        collection = tx.collections.get(calendar.id)
        assert collection is not None
        return self.at(calendar, collection.revision)

    def at(self, calendar: Calendar, revision: int) -> BusyCalendar:
        zone = named(calendar.zone)
        assert zone is not None
        version = version_of(self.store.epoch, revision, zone=calendar.zone, owner=calendar.addresses)
        return BusyCalendar(calendar.id, version, zone, calendar.addresses, calendar.has_availability)

    def put(self, calendar: Calendar, name: str, body: bytes | None, index: FreeBusyIndex | None = None) -> Hook:
        """Stores or removes an object, and returns what an index is to be told; ``index`` is told at once."""

        def work(tx: Transaction) -> None:
            tx.homes.lock((calendar.home,))
            collection = tx.collections.get(calendar.id)
            assert collection is not None
            old = tx.objects.get(calendar.id, name, columns=frozenset())
            if body is not None:
                new = indexed(validate(body, supported=COMPONENTS), body)
                tx.objects.put(collection, name, new, replaces=old)
            elif old is not None:
                tx.objects.remove(collection, old)

        self.told = ()
        self.store.run(work, write=True)
        hook = Hook(self.store.epoch, self.told)
        if index is not None:
            hook.tell(index)
        return hook

    def expected(self, tx: Transaction, calendar: Calendar, start: int, end: int, mask: str | None) -> list[BusyPeriod]:
        one = self.of(tx, calendar)
        rows = tx.objects.page(calendar.id, columns=BODY, limit=10_000)
        found = (busy(row.body, start, end, one.zone, owner=one.owner, mask_uid=mask) for row in rows)
        return merge(clip((period for periods in found for period in periods), start, end))

    def check(
        self,
        index: FreeBusyIndex,
        calendars: Sequence[Calendar],
        start: int,
        end: int,
        horizon: Horizon,
        mask: str | None,
    ) -> None:
        """Asks through the index, and compares with what the stored objects say in the same transaction."""

        def work(tx: Transaction) -> tuple[dict[int, BusyTimes], dict[int, list[BusyPeriod]]]:
            asked = {one.id: Whose([self.of(tx, one)]) for one in calendars}
            answers = busy_of(tx, index, asked, start, end, horizon=horizon, mask_uid=mask)
            return answers, {one.id: self.expected(tx, one, start, end, mask) for one in calendars}

        answers, expected = self.store.run(work, write=False)
        assert {id_: list(answer.events) for id_, answer in answers.items()} == expected

    def check_map(self, index: FreeBusyIndex, calendars: Sequence[Calendar], week: int) -> int:
        """Compares the joined map of one week, and returns how many calendars are in it."""
        start = week_start(week)

        def work(tx: Transaction) -> tuple[FreeMap, dict[int, list[BusyPeriod]]]:
            found = index.free_map({one.id: self.of(tx, one).version for one in calendars}, start, start + WEEK)
            return found, {one.id: self.expected(tx, one, start, start + WEEK, None) for one in calendars}

        found, expected = self.store.run(work, write=False)
        known = [periods for id_, periods in expected.items() if id_ not in found.missing]
        assert found.weeks == {week: map_of((one for periods in known for one in periods), week)}
        return len(known)

    def drift(self, index: FreeBusyIndex) -> list[str]:
        found = Comparison()
        self.store.run(lambda tx: compare(tx, index, [self.of(tx, one) for one in self.calendars], found), write=False)
        return found.drift


@dataclass
class Hook:
    """What is to be told of a commit: at once, late, or never."""

    epoch: str
    moved: Sequence[Moved]

    def tell(self, index: FreeBusyIndex) -> None:
        FreeBusy(index).written(self.epoch, self.moved)


def object_of(uid: str, *lines: str, kind: str = "VEVENT") -> bytes:
    inner = "\r\n".join((f"BEGIN:{kind}", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, f"END:{kind}"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\n{inner}\r\nEND:VCALENDAR\r\n".encode()


def random_object(random: Random, uid: str, owner: str) -> bytes:
    """Of every sort that matters: single, endless, zoned, floating, all-day, tentative, invited to, VFREEBUSY."""
    start = MONDAY + random.randrange(-3 * 7, 6 * 7) * DAY + random.randrange(0, DAY, 60)
    lasts = random.choice((900, HOUR, 5 * HOUR, 3 * DAY, 9 * DAY))
    lines: list[str] = []
    form = random.randrange(5)
    if form == 0:
        lines += [f"DTSTART:{write_utc(start)}", f"DTEND:{write_utc(start + lasts)}"]
    elif form == 1:
        lines += [f"DTSTART:{write_local(start)}", f"DTEND:{write_local(start + lasts)}"]
    elif form == 2:
        days = 1 + lasts // DAY
        lines += [f"DTSTART;VALUE=DATE:{write_date(start)}", f"DTEND;VALUE=DATE:{write_date(start + days * DAY)}"]
    elif form == 3:
        zone = random.choice(("Europe/Berlin", "Asia/Tokyo"))
        lines += [f"DTSTART;TZID={zone}:{write_local(start)}", f"DURATION:PT{min(lasts, 20 * HOUR)}S"]
    else:
        return object_of(
            uid,
            f"DTSTART:{write_utc(start)}",
            f"DTEND:{write_utc(start + 2 * DAY)}",
            f"FREEBUSY;FBTYPE=BUSY-TENTATIVE:{write_utc(start + 7)}/PT{lasts}S",
            kind="VFREEBUSY",
        )
    rules = ("FREQ=WEEKLY", "FREQ=DAILY;COUNT=5", "FREQ=MONTHLY;BYDAY=1MO,-1FR", "FREQ=DAILY;INTERVAL=3")
    if random.random() < 0.4:
        lines.append(f"RRULE:{random.choice(rules)}")
    lines += random.choice(((), (), ("TRANSP:TRANSPARENT",), ("STATUS:TENTATIVE",), ("STATUS:CANCELLED",)))
    if random.random() < 0.3:
        partstat = random.choice(("ACCEPTED", "DECLINED", "NEEDS-ACTION", "TENTATIVE"))
        lines += ["ORGANIZER:mailto:boss@example.org", f"ATTENDEE;PARTSTAT={partstat}:mailto:{owner}@example.org"]
    return object_of(uid, *lines)
