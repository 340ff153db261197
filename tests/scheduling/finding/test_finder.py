"""Finding a time on a real store: what is offered is free by the stored objects, whatever the index knows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from scheduling.finding.finder import Answer, Finder, Question
from scheduling.finding.slots import Candidate, NotAWish, Ranking, Settings, Wish
from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index import WEEK
from scheduling.freebusy.vfreebusy import busy
from scheduling.freebusy.working_hours import shifts
from scheduling.ical.periods import BusyPeriod, merge
from scheduling.ical.timezones import named
from scheduling.ical.validate import validate
from scheduling.ical.values import DAY
from scheduling.indexing import indexed
from storage.open import open_store
from storage.rows import Address, Booking, CollectionKind, PrincipalKind
from storage.store import Transaction
from tests.scheduling.freebusy.busy_world import COMPONENTS, HOUR, MONDAY, random_object

PEOPLE = {"ann": "Europe/Berlin", "ben": "America/New_York", "cleo": "Pacific/Apia", "den": ""}
#: Who has no zone is where the asker is.
ZONES = {name: zone or "UTC" for name, zone in PEOPLE.items()}
STEP = 1800
NOTHING_LEARNED = Finder(usual=shifts("Mo-Fr 09:00-17:00"), learn="nothing", step=STEP, most_slots=1000)


def flat(_candidate: Candidate, _wish: Wish, _settings: Settings) -> Ranking:
    return Ranking(0.5)


class Place:
    """Four people and a room in a store whose clock stands on a Sunday."""

    def __init__(self, folder: Path) -> None:
        sunday = dt.datetime.fromtimestamp(MONDAY - DAY, dt.UTC)
        self.store = open_store(f"sqlite:///{folder}/place.db", clock=lambda: sunday)
        self.store.upgrade()
        self.freebusy = FreeBusy()
        self.store.watch(self.freebusy.written)
        self.bodies: dict[str, dict[str, bytes]] = {name: {} for name in (*PEOPLE, "room")}
        self.store.run(self._make, write=True)

    def _make(self, tx: Transaction) -> None:
        for name in self.bodies:
            kind = PrincipalKind.ROOM if name == "room" else PrincipalKind.INDIVIDUAL
            addresses = [Address(f"mailto:{name}@example.org", preferred=True)]
            made = tx.principals.add(name=name, kind=kind, addresses=addresses, timezone=PEOPLE.get(name, ""))
            found = tx.collections.find(name, ())
            assert found is not None
            tx.collections.add(found.collection, "c", kind=CollectionKind.CALENDAR, components=COMPONENTS)
            if name == "room":
                tx.bookings.set(Booking(principal_id=made.id, capacity=5))

    def put(self, owner: str, name: str, body: bytes) -> None:
        def work(tx: Transaction) -> None:
            tx.homes.lock_of([owner])
            found = tx.collections.find(owner, ("c",))
            assert found is not None
            columns = frozenset({"component", "starts_at", "ends_at", "created", "size"})
            old = tx.objects.get(found.collection.id, name, columns=columns)
            tx.objects.put(found.collection, name, indexed(validate(body, supported=COMPONENTS), body), replaces=old)

        self.store.run(work, write=True)
        self.bodies[owner][name] = body

    def find(self, question: Question, finder: Finder = NOTHING_LEARNED) -> Answer:
        def work(tx: Transaction) -> Answer:
            epoch = self.store.epoch
            return finder.find(tx, self.freebusy, question, asker=None, readable=frozenset, epoch=epoch)

        return self.store.run(work, write=False)

    def busy(self, name: str, start: int, end: int) -> list[BusyPeriod]:
        """By the texts alone."""
        zone = named(PEOPLE.get(name, "") or "UTC")
        assert zone is not None
        owner = {f"mailto:{name}@example.org"}
        texts = self.bodies[name].values()
        return merge(one for text in texts for one in busy(text, start, end, zone, owner=owner))

    def is_free(self, names: Sequence[str], start: int, end: int) -> bool:
        return not any(self.busy(name, start, end) for name in names)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.store.close()


def at_work(name: str, start: int, end: int) -> bool:
    """From nine to five on weekdays, by the standard library."""
    zone = ZoneInfo(ZONES[name])
    begin, finish = (dt.datetime.fromtimestamp(one, zone) for one in (start, end))
    first = begin.replace(hour=9, minute=0, second=0)
    return begin.weekday() < 5 and first <= begin and finish <= begin.replace(hour=17, minute=0, second=0)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_offered_is_free_and_nothing_is_left_out(place: Place, seed: int) -> None:
    """Random calendars, written while the index knows them; the answer is compared with every slot tried by hand."""
    random = Random(seed)
    for round_ in range(6):
        for number in range(3):
            owner = random.choice(list(place.bodies))
            uid = f"{round_}-{number}" if random.random() < 0.7 else "again"
            place.put(owner, f"{uid}.ics", random_object(random, uid, owner))
        required = random.sample(list(PEOPLE), random.randrange(1, 3))
        optional = [name for name in PEOPLE if name not in required and random.random() < 0.5]
        start = MONDAY + random.randrange(-DAY, 20 * DAY, 60)
        length = random.choice((900, 1500, HOUR, 3 * HOUR))
        question = Question(
            start=start,
            end=start + random.randrange(length, 12 * DAY, 60),
            duration=length,
            required=required,
            optional=optional,
            rooms=() if random.random() < 0.5 else None,
            needs_room=True,
            count=1000,
            zone=named("UTC"),
        )
        check(place, question, beyond=random.random() < 0.5)


def check(place: Place, question: Question, *, beyond: bool) -> None:
    settings = Settings(beyond_hours=beyond, most_candidates=100_000)
    answer = place.find(question, replace(NOTHING_LEARNED, settings=settings, ranker=flat))
    who = [*question.required, *(["room"] if question.rooms is not None else [])]
    begins = range(-(-max(question.start, MONDAY - DAY) // STEP) * STEP, question.end - question.duration + 1, STEP)
    possible = [at for at in begins if place.is_free(who, at, at + question.duration)]
    within = [at for at in possible if all(at_work(name, at, at + question.duration) for name in question.required)]
    expected: list[int] = []
    for at in within or (possible if beyond else []):
        if not expected or at >= expected[-1] + question.duration:
            expected.append(at)
    assert [one.start for one in answer.suggestions] == expected
    for one in answer.suggestions:
        away = [name for name in question.optional if not place.is_free([name], one.start, one.end)]
        late = [name for name in question.optional if not at_work(name, one.start, one.end)]
        assert {who.name for who in one.candidate.absent} == {*away, *late}
    for one in answer.alternatives:
        assert one.start not in possible
        assert {who.name for who in one.candidate.busy} == {
            name for name in question.required if not place.is_free([name], one.start, one.end)
        }
        room = question.rooms is not None and place.is_free(["room"], one.start, one.end)
        assert bool(one.rooms) is room


def test_what_the_index_leaves_out_is_asked_for_where_nothing_is_found(place: Place) -> None:
    """Three weeks without a moment: the joined maps leave nothing to look at but the fourth, which has no hours."""
    lines = (f"DTSTART:{stamp(MONDAY)}", f"DTEND:{stamp(MONDAY + 2 * WEEK + 5 * DAY)}")
    place.put("ann", "x.ics", event(*lines))
    question = Question(
        start=MONDAY, end=MONDAY + 3 * WEEK - 2 * DAY, duration=HOUR, required=["ann"], zone=named("UTC")
    )
    place.find(question)  # and now the index knows
    strict = replace(NOTHING_LEARNED, settings=Settings(beyond_hours=False))
    assert place.find(question, strict).suggestions == []
    nearest = place.find(question, strict).alternatives
    assert nearest
    assert all(one.reasons[0] == "only ann is busy" for one in nearest)
    later = replace(question, end=question.end + 7 * DAY)
    assert min(one.start for one in place.find(later, strict).suggestions) >= MONDAY + 2 * WEEK + 7 * DAY


def test_the_maps_spare_what_cannot_be(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is busy for two weeks of three: exact times are asked of the third alone, and the answer is the same."""
    place.put("ann", "x.ics", event(f"DTSTART:{stamp(MONDAY)}", f"DTEND:{stamp(MONDAY + 2 * WEEK)}"))
    question = Question(start=MONDAY, end=MONDAY + 3 * WEEK, duration=HOUR, required=["ann", "ben"], zone=named("UTC"))
    cold = place.find(question)
    asked: list[tuple[int, int]] = []
    ask = FreeBusy.ask

    def noted(self: FreeBusy, tx: Transaction, people: object, start: int, end: int, **more: object) -> object:
        asked.append((start, end))
        return ask(self, tx, people, start, end, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(FreeBusy, "ask", noted)
    warm = place.find(question)
    assert [one.start for one in warm.suggestions] == [one.start for one in cold.suggestions]
    assert [one.score for one in warm.suggestions] == [one.score for one in cold.suggestions]
    assert asked == [(MONDAY + 2 * WEEK - DAY, MONDAY + 3 * WEEK + DAY)]


def stamp(instant: int) -> str:
    return f"{dt.datetime.fromtimestamp(instant, dt.UTC):%Y%m%dT%H%M%SZ}"


def event(*lines: str) -> bytes:
    inner = "\r\n".join(("BEGIN:VEVENT", "UID:x", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\n{inner}\r\nEND:VCALENDAR\r\n".encode()


def test_somebody_without_a_zone_is_where_the_asker_is(place: Place) -> None:
    question = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, required=["den"], zone=named("Asia/Tokyo"))
    assert {one.start // HOUR % 24 for one in place.find(question).suggestions} <= set(range(8))


def test_names_of_two_who_are_called_the_same_are_told_apart(place: Place) -> None:
    def rename(tx: Transaction) -> None:
        for name in ("ann", "ben"):
            found = tx.principals.by_name(name)
            assert found is not None
            tx.principals.update(replace(found, displayname="Kim"))

    place.store.run(rename, write=True)
    place.put("ben", "x.ics", event(f"DTSTART:{stamp(MONDAY)}", f"DTEND:{stamp(MONDAY + DAY)}"))
    question = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, required=["ann", "ben"])
    assert place.find(question).alternatives[0].reasons[0] == "only Kim (ben) is busy"


def test_people_are_bounded(place: Place) -> None:
    question = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, required=["ann", "ben"])
    with pytest.raises(NotAWish, match="1 at most"):
        place.find(question, replace(NOTHING_LEARNED, most_people=1))


def test_who_is_named_twice_comes_once_and_has_to(place: Place) -> None:
    names = ["ann", "mailto:ann@example.org", "MAILTO:Ann@Example.org", "/principals/ann/"]
    question = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, required=names[:3], optional=names[3:])
    found = place.find(question)
    assert [(who.name, who.required) for who in found.people] == [("ann", True)]
    assert found.unknown == {}


def test_nobody_has_to_come(place: Place) -> None:
    place.put("ann", "x.ics", event(f"DTSTART:{stamp(MONDAY)}", f"DTEND:{stamp(MONDAY + DAY // 2)}"))
    question = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, optional=["ann"], count=3)
    assert all(one.start >= MONDAY + DAY // 2 for one in place.find(question).suggestions)
    room = Question(start=MONDAY, end=MONDAY + DAY, duration=HOUR, rooms=["room"], zone=named("UTC"))
    assert len(place.find(room).suggestions) == 5
