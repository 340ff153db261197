"""Busy times of many: right whatever becomes of the index, and cheap."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest

from scheduling.freebusy.busy import BusyTimes, Horizon, Whose, busy_of
from scheduling.freebusy.index import WEEK, Fill, FreeBusyIndex, Write, week_of
from scheduling.freebusy.index_memory import MemoryIndex
from scheduling.freebusy.index_redis import RedisIndex
from scheduling.freebusy.vfreebusy import blocking_of
from scheduling.ical.digest import DIGEST_VERSION, digest
from scheduling.ical.lines import parse
from scheduling.ical.periods import Busy, BusyPeriod
from scheduling.ical.values import DAY
from storage.rows import CollectionKind, NewObject
from storage.store import Transaction
from tests.caldavd.sharing import statements
from tests.scheduling.freebusy.busy_world import HOUR, MONDAY, Calendar, Recording, World, object_of, random_object
from tests.scheduling.freebusy.redis_servers import Cluster, Server, Wire, mishaps

HORIZON = Horizon(MONDAY - 2 * WEEK, MONDAY + 5 * WEEK)
MONTH = 31 * DAY
STEPS = 250


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, people=2)
    yield made
    made.store.close()


class Trouble:
    """What befalls an index: nothing, for one in memory."""

    indexes: list[Recording]
    mishaps: list[Callable[[Random], None]]

    def __init__(self, *indexes: FreeBusyIndex) -> None:
        self.indexes = [Recording(index) for index in indexes]
        self.mishaps = []
        self.mapped = 0


class Play:
    """Random writes, of which the index is told at once, late, or never; and questions, through any of its clients."""

    def __init__(self, world: World, trouble: Trouble, seed: int) -> None:
        self.world = world
        self.trouble = trouble
        self.random = Random(seed)
        self.late: list[Callable[[FreeBusyIndex], None]] = []
        steps = {
            self.write: 30, self.tell_late: 4, self.fill_with_old_copies: 4, self.change_zone: 3,
            self.change_addresses: 2, self.mishap: 7, self.ask_for_a_map: 10, self.ask: 40,
        }  # fmt: skip
        for step in self.random.choices(list(steps), list(steps.values()), k=STEPS):
            step(self.random.choice(trouble.indexes), self.random.choice(world.calendars))
        for one in trouble.indexes:
            assert world.drift(one.index) == []

    def write(self, index: Recording, calendar: Calendar) -> None:
        name = f"{self.random.randrange(6)}.ics"
        body = random_object(self.random, name, calendar.owner) if self.random.random() < 0.8 else None
        hook = self.world.put(calendar, name, body)
        told = self.random.random()
        if told < 0.6:
            hook.tell(index)
        elif told < 0.8:
            self.late.append(hook.tell)

    def tell_late(self, index: Recording, _calendar: Calendar) -> None:
        if self.late:
            self.late.pop(self.random.randrange(len(self.late)))(index)

    def fill_with_old_copies(self, index: Recording, _calendar: Calendar) -> None:
        fills = [fill for one in self.trouble.indexes for fill in one.fills]
        index.index.fill(self.random.sample(fills, min(5, len(fills))))

    def change_zone(self, _index: Recording, calendar: Calendar) -> None:
        calendar.zone = self.random.choice(("UTC", "Europe/Berlin", "Pacific/Apia"))

    def change_addresses(self, _index: Recording, calendar: Calendar) -> None:
        calendar.addresses ^= {"mailto:boss@example.org"}

    def mishap(self, _index: Recording, _calendar: Calendar) -> None:
        if self.trouble.mishaps:
            self.random.choice(self.trouble.mishaps)(self.random)

    def ask_for_a_map(self, index: Recording, _calendar: Calendar) -> None:
        week = week_of(MONDAY) + self.random.randrange(3)
        self.trouble.mapped += self.world.check_map(index, self.world.calendars, week)

    def ask(self, index: Recording, _calendar: Calendar) -> None:
        start = MONDAY + self.random.randrange(-4 * WEEK, 6 * WEEK)
        end = start + self.random.choice((1, HOUR, DAY, 10 * DAY, MONTH, 12 * WEEK))
        mask = f"{self.random.randrange(6)}.ics" if self.random.random() < 0.3 else None
        asked = self.random.sample(self.world.calendars, self.random.randrange(1, len(self.world.calendars) + 1))
        self.world.check(index, asked, start, end, HORIZON, mask)


@pytest.mark.parametrize("seed", range(3))
def test_memory_is_right_whatever_is_written(world: World, seed: int) -> None:
    trouble = Trouble(MemoryIndex(), MemoryIndex(max_calendars=2))
    Play(world, trouble, seed)
    assert all(one.hits > 20 for one in trouble.indexes), "otherwise nothing was tried"
    assert trouble.mapped > 5


@pytest.mark.parametrize("seed", range(3))
def test_redis_is_right_flushed_restarted_slowed_cut_off_and_filled_with_old_copies(
    world: World, tmp_path: Path, seed: int
) -> None:
    with Server(tmp_path) as server, closing(Wire(server.port)) as wire:
        indexes = [RedisIndex(wire.url, timeout=0.2, pause=0.02), RedisIndex(server.url, timeout=0.2, pause=0.02)]
        trouble = Trouble(*indexes)
        trouble.mishaps = mishaps(server, wire)
        try:
            Play(world, trouble, seed)
            assert trouble.indexes[1].hits > 20, "otherwise nothing was tried"
        finally:
            for index in indexes:
                index.close()


def test_a_cluster_is_right_as_well(world: World, tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        indexes = [RedisIndex(cluster.url, timeout=1, pause=0.02) for _ in range(2)]
        trouble = Trouble(*indexes)
        trouble.mishaps = [lambda _random: cluster.flush()]
        try:
            Play(world, trouble, 7)
            assert all(one.hits > 20 for one in trouble.indexes), "otherwise nothing was tried"
        finally:
            for index in indexes:
                index.close()


def test_the_doctor_finds_drift(world: World) -> None:
    index = MemoryIndex()
    calendar = world.calendars[0]
    world.put(calendar, "a.ics", object_of("a", "DTSTART:20260303T090000Z", "DTEND:20260303T100000Z"))
    world.check(index, world.calendars, MONDAY, MONDAY + WEEK, HORIZON, None)
    assert world.drift(index) == []
    version = world.store.run(lambda tx: world.of(tx, calendar).version, write=False)
    index.fill([Fill(calendar.id, version, {week_of(MONDAY): []})])
    assert len(world.drift(index)) == 1


# --- what it costs ---------------------------------------------------------------------------------------------------


def fifty(tmp_path: Path) -> World:
    made = World(tmp_path, people=50, calendars=1)
    random = Random(5)
    for calendar in made.calendars:
        for at in range(4):
            made.put(calendar, f"{at}.ics", random_object(random, f"{at}.ics", calendar.owner))
    return made


def test_fifty_attendees_over_a_month_cost_four_statements_and_two_round_trips(tmp_path: Path) -> None:
    """From their names on: principals, calendars with their settings, what the index does not know."""
    made = fifty(tmp_path)
    names = {one.owner: one for one in made.calendars}
    transparent = ("urn:ietf:params:xml:ns:caldav", "schedule-calendar-transp")

    def question(tx: Transaction, index: FreeBusyIndex) -> int:
        principals = tx.principals.by_names(list(names))
        homes = [one.home_id for one in principals.values()]
        rows = tx.collections.of_homes(homes, kinds=[CollectionKind.CALENDAR], names=[transparent])
        found = {home.owner: Whose([made.at(names[home.owner], collection.revision)]) for home, collection, _ in rows}
        return len(busy_of(tx, index, found, MONDAY, MONDAY + MONTH, horizon=HORIZON))

    with Server(tmp_path) as server, closing(RedisIndex(server.url, timeout=2)) as index:
        for most_statements, round_trips in ((4, 2), (3, 1)):
            before = index.round_trips
            with statements() as seen:
                assert made.store.run(lambda tx: question(tx, index), write=False) == 50
            assert len(seen) <= most_statements, seen
            assert index.round_trips - before == round_trips
    made.store.close()


# --- what counts -----------------------------------------------------------------------------------------------------


def ask(world: World, index: FreeBusyIndex, whose: Callable[[Transaction], Whose], days: int = 1) -> BusyTimes:
    def work(tx: Transaction) -> BusyTimes:
        return busy_of(tx, index, {"x": whose(tx)}, MONDAY, MONDAY + days * DAY, horizon=HORIZON)["x"]

    return world.store.run(work, write=False)


NINE = ("DTSTART:20260302T090000Z", "DTEND:20260302T100000Z")
HOURS = object_of(
    "h",
    "BEGIN:AVAILABLE",
    "UID:a",
    "DTSTAMP:20260101T000000Z",
    "DTSTART:20260302T080000Z",
    "DTEND:20260302T160000Z",
    "END:AVAILABLE",
    kind="VAVAILABILITY",
)


def test_working_hours_in_the_inbox_and_in_calendars_count(world: World) -> None:
    first, second = world.calendars[:2]
    world.put(first, "a.ics", object_of("a", *NINE))
    index = MemoryIndex()
    expected = [
        BusyPeriod(MONDAY, MONDAY + 8 * HOUR, Busy.UNAVAILABLE),
        BusyPeriod(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR),
        BusyPeriod(MONDAY + 16 * HOUR, MONDAY + DAY, Busy.UNAVAILABLE),
    ]
    for _ in range(2):
        answer = ask(world, index, lambda tx: Whose([world.of(tx, first), world.of(tx, second)], HOURS))
        assert answer.periods == expected
    assert ask(world, index, lambda tx: Whose([world.of(tx, first)])).hours is None
    second.has_availability = True
    world.put(second, "h.ics", HOURS, index)
    for _ in range(2):
        assert ask(world, index, lambda tx: Whose([world.of(tx, first), world.of(tx, second)])).periods == expected


def test_of_nobody_and_of_no_time(world: World) -> None:
    assert ask(world, MemoryIndex(), lambda _tx: Whose([])).periods == []
    assert ask(world, MemoryIndex(), lambda tx: Whose([world.of(tx, world.calendars[0])]), days=0).periods == []


def test_what_recurs_beyond_the_budget_is_never_taken_for_complete(world: World) -> None:
    calendar = world.calendars[0]
    body = object_of("a", "DTSTART:20200101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;BYSECOND=1,3")
    world.put(calendar, "a.ics", body)
    index = Recording(MemoryIndex())
    assert ask(world, index, lambda tx: Whose([world.of(tx, calendar)]), days=7).events
    assert index.fills == []
    # A question that is within the budget has the same answer, although the index is filled by whole weeks.
    for start in (MONDAY, MONDAY + 5 * DAY):
        world.check(index, [calendar], start, start + HOUR, HORIZON, None)
    assert index.fills == []


def test_packed_spans_count_and_no_text_is_read(world: World) -> None:
    """The text says another hour than the spans, so that it can be seen which of the two was read."""
    calendar = world.calendars[0]

    def answer(version: int) -> list[int]:
        told = digest(parse(object_of("a", *NINE)), horizon=(MONDAY, MONDAY + DAY), blocking_of=blocking_of)
        body = object_of("a", "DTSTART:20260302T120000Z", "DTEND:20260302T130000Z")

        def work(tx: Transaction) -> None:
            tx.homes.lock((calendar.home,))
            row = tx.objects.get(calendar.id, "a.ics", columns=frozenset())
            assert row is not None
            new = NewObject(body, "text/calendar", "a", "VEVENT", spans=told.spans, digest_version=version)
            tx.objects.redigest(row.id, new)

        world.put(calendar, "a.ics", body)
        world.store.run(work, write=True)
        events = ask(world, MemoryIndex(), lambda tx: Whose([world.of(tx, calendar)])).events
        return [one.start - MONDAY for one in events]

    assert answer(DIGEST_VERSION) == [9 * HOUR]
    assert answer(DIGEST_VERSION - 1) == [12 * HOUR]


def test_the_doctor_believes_the_texts_alone(world: World) -> None:
    calendar = world.calendars[0]
    index = MemoryIndex()
    world.put(calendar, "a.ics", object_of("a", *NINE))
    told = digest(parse(object_of("a", *NINE)), horizon=(MONDAY, MONDAY), blocking_of=blocking_of)

    def spoil(tx: Transaction) -> None:
        tx.homes.lock((calendar.home,))
        row = tx.objects.get(calendar.id, "a.ics", columns=frozenset({"body"}))
        assert row is not None
        wrong = NewObject(
            row.body, "text/calendar", "a", "VEVENT", spans=told.spans[:-19], digest_version=DIGEST_VERSION
        )
        tx.objects.redigest(row.id, wrong)

    world.store.run(spoil, write=True)
    assert ask(world, index, lambda tx: Whose([world.of(tx, calendar)])).events == []
    assert len(world.drift(index)) == 1


def test_what_is_read_in_a_transaction_that_fails_is_never_kept(world: World) -> None:
    """A revision that is rolled back comes again, for something else."""
    calendar = world.calendars[0]
    index = Recording(MemoryIndex())

    def work(tx: Transaction, *, fails: bool) -> None:
        busy_of(tx, index, {1: Whose([world.of(tx, calendar)])}, MONDAY, MONDAY + DAY, horizon=HORIZON)
        assert index.fills == []
        if fails:
            raise KeyError(calendar.id)

    with pytest.raises(KeyError):
        world.store.run(partial(work, fails=True), write=True)
    assert index.fills == []
    world.store.run(partial(work, fails=False), write=True)
    assert [fill.calendar for fill in index.fills] == [calendar.id]


def test_what_is_asked_twice_in_one_transaction_is_read_once(world: World) -> None:
    calendar = world.calendars[0]
    index = Recording(MemoryIndex())

    def work(tx: Transaction) -> None:
        for _ in range(2):
            busy_of(tx, index, {1: Whose([world.of(tx, calendar)])}, MONDAY, MONDAY + DAY, horizon=HORIZON)

    world.store.run(work, write=False)
    assert [fill.calendar for fill in index.fills] == [calendar.id]


def test_a_question_has_a_budget_and_says_so(world: World) -> None:
    first, second = world.calendars[:2]
    for at in range(30):
        rule = "RRULE:FREQ=MINUTELY;BYSECOND=0"
        world.put(first, f"{at}.ics", object_of(f"{at}", f"DTSTART:20260301T0000{at:02}Z", "DURATION:PT1S", rule))
    world.put(second, "a.ics", object_of("a", *NINE))
    index = Recording(MemoryIndex())

    def work(tx: Transaction) -> tuple[BusyTimes, BusyTimes]:
        people = {one.id: Whose([world.of(tx, one)]) for one in (first, second)}
        found = busy_of(tx, index, people, MONDAY, MONDAY + 50 * 366 * DAY, horizon=HORIZON)
        return found[first.id], found[second.id]

    began = time.process_time()
    much, little = world.store.run(work, write=False)
    assert time.process_time() - began < 5
    assert (much.complete, little.complete) == (False, True)
    assert [one.start for one in little.events] == [MONDAY + 9 * HOUR]
    assert {fill.calendar for fill in index.fills} == {second.id}, "what is not all there is never kept"
    assert ask(world, index, lambda tx: Whose([world.of(tx, first)])).complete


def test_rows_cost_as_well_as_recurrences(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with a hundred thousand events, seen from afar."""
    calendar = world.calendars[0]
    for at in range(40):
        world.put(calendar, f"{at}.ics", object_of(f"{at}", f"DTSTART:2026{1 + at % 12:02}02T090000Z", "DURATION:PT1H"))

    def complete(days: int) -> bool:
        return ask(world, MemoryIndex(), lambda tx: Whose([world.of(tx, calendar)]), days=days).complete

    assert complete(36500)
    monkeypatch.setattr("scheduling.freebusy.busy.STEPS_OF_ONE", 200)
    assert complete(1)
    assert not complete(36500)


def test_where_the_budget_of_many_ends_the_next_question_gets_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fifty(tmp_path)
    monkeypatch.setattr("scheduling.freebusy.busy._TOGETHER", 10)
    index = MemoryIndex()

    def complete() -> int:
        def work(tx: Transaction) -> int:
            people = {one.id: Whose([made.of(tx, one)]) for one in made.calendars}
            found = busy_of(tx, index, people, MONDAY, MONDAY + WEEK, horizon=HORIZON, steps=500)
            return sum(one.complete for one in found.values())

        return made.store.run(work, write=False)

    found = [complete() for _ in range(9)]
    assert 0 < found[0] < 50
    assert found == sorted(found)
    assert found[-1] == 50
    made.check(index, made.calendars, MONDAY, MONDAY + WEEK, HORIZON, None)
    made.store.close()


def test_other_rules_of_time_zones_are_seen_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = world.calendars[0]
    world.put(calendar, "a.ics", object_of("a", "DTSTART:20260302T090000", "DTEND:20260302T100000"))
    index = Recording(MemoryIndex())

    def hits() -> int:
        before = index.hits
        world.check(index, [calendar], MONDAY, MONDAY + DAY, HORIZON, None)
        return index.hits - before

    assert [hits(), hits()] == [0, 1]
    monkeypatch.setattr("scheduling.freebusy.busy.tzdata_version", lambda: "2099z")
    assert [hits(), hits()] == [0, 1]


def test_what_a_write_touches(world: World) -> None:
    calendar = world.calendars[0]
    writes: list[Write] = []

    class Noting(MemoryIndex):
        def written(self, epoch: str, told: Sequence[Write]) -> None:
            assert epoch == world.store.epoch
            writes.extend(told)

    index = Noting()
    world.put(calendar, "a.ics", object_of("a", *NINE, "RRULE:FREQ=DAILY"), index)
    world.put(calendar, "a.ics", object_of("a", *NINE), index)
    world.put(calendar, "t.ics", object_of("t", "DUE:20260302T090000Z", kind="VTODO"), index)
    first, second, third = writes
    assert [one.end for one in first.touched] == [None]
    assert set(second.touched) == {first.touched[0], (MONDAY + 9 * HOUR, MONDAY + 10 * HOUR)}
    assert list(third.touched) == []
    assert second.before == first.after
