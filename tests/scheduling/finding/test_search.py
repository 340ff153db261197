"""Finding a time: the worked example, what is possible at all, and that nothing better was left out."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from scheduling.finding.ranking import CONSIDERATIONS, rank
from scheduling.finding.search import alternatives, find_time, first_quarter, reach
from scheduling.finding.slots import (
    Answered,
    Attendee,
    Candidate,
    Engagement,
    NotAWish,
    Place,
    Ranking,
    Room,
    Settings,
    Suggestion,
    Weights,
    Wish,
)
from scheduling.freebusy.availability import Availability, availability
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.ical.timezones import UTC, Zone, named
from tests.scheduling.freebusy.busy_world import object_of

HOUR = 3600
DAY = 24 * HOUR
MONDAY = 1772409600  # 2026-03-02T00:00:00Z


def zone(name: str) -> Zone:
    found = named(name)
    assert found is not None
    return found


def nine_to_five(where: str, start: int, end: int, hours: tuple[int, int] = (9, 17)) -> Availability:
    """Working hours from Monday to Friday, as a client stores them."""
    lines = (
        "BEGIN:AVAILABLE", "UID:a", "DTSTAMP:20260101T000000Z",
        f"DTSTART;TZID={where}:20260105T{hours[0]:02}0000",
        f"DTEND;TZID={where}:20260105T{hours[1]:02}0000",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "END:AVAILABLE",
    )  # fmt: skip
    found = availability([object_of("w", *lines, kind="VAVAILABILITY")], start, end, UTC)
    assert found is not None
    return found


class TestTheWorkedExample:
    """Section 5 of the system's design: Alice, Bob, Carol, Dave and the organizer, in three zones.

    Its text says that Carol works 9-5 CET, and then that all overlap at 18:00 to 21:00 CET, which cannot both be; the
    overlap is taken, so Carol works until 21:00 here. Its scores are taken for their order.
    """

    PACIFIC = ZoneInfo("America/Los_Angeles")
    START = int(datetime(2026, 1, 12, tzinfo=PACIFIC).timestamp())  # a Monday
    END = START + 5 * DAY

    def at(self, day: int, hour: int, minute: int = 0) -> int:
        return self.START + day * DAY + hour * HOUR + minute * 60

    def busy(self, *spans: tuple[int, tuple[int, int], tuple[int, int]]) -> list[BusyPeriod]:
        return [BusyPeriod(self.at(day, *start), self.at(day, *end)) for day, start, end in spans]

    def history(self) -> list[Answered]:
        """Mornings are accepted; but Fridays are often cancelled, and on Monday mornings there is often something."""
        accepted = {0: 5, 1: 8, 2: 8, 3: 8, 4: 1}  # of the last eight weeks
        return [
            Answered(self.at(day, 9, 30) - week * 7 * DAY, week < often)
            for day, often in accepted.items()
            for week in range(8)
        ]

    def wish(self, carol: tuple[int, int] = (12, 21), count: int = 5) -> Wish:
        def person(name: str, where: str, busy: list[BusyPeriod], hours: tuple[int, int] = (9, 17)) -> Attendee:
            working = nine_to_five(where, self.START, self.END, hours)
            busy = merge([*busy, *self.busy((0, (9, 30), (10, 15)))])  # all of them, every Monday
            return Attendee(name, zone=zone(where), busy=busy, hours=working, history=self.history())

        west, east = "America/Los_Angeles", "America/New_York"
        attendees = (
            person("Alice", west, self.busy((0, (9, 30), (10, 30)), (3, (8, 30), (9, 15)), (3, (10, 0), (12, 0)))),
            person("Bob", east, self.busy((0, (11, 0), (12, 0)), (1, (9, 30), (12, 0)), (4, (10, 30), (12, 0)))),
            person("Carol", "Europe/Berlin", self.busy((2, (9, 0), (11, 0)), (4, (9, 0), (10, 0))), carol),
            person("Dave", west, self.busy((2, (11, 30), (14, 0)))),
            person("Olga", west, self.busy((3, (9, 0), (9, 30)))),
        )
        room = Room("Boardroom", 6, busy=self.busy((0, (9, 0), (10, 30)), (2, (11, 0), (12, 0))))
        return Wish(attendees, self.START, self.END, 1800, rooms=(room,), step=1800, count=count)

    def test_the_free_slots_and_their_order(self) -> None:
        found = find_time(self.wish())
        every = find_time(self.wish(count=99))
        assert sorted(one.start for one in every) == [
            self.at(0, 9), self.at(0, 10, 30), self.at(1, 9), self.at(2, 11), self.at(3, 9, 30), self.at(4, 10)
        ]  # fmt: skip
        assert [one.start for one in found] == [
            self.at(1, 9), self.at(3, 9, 30), self.at(0, 10, 30), self.at(2, 11), self.at(4, 10)
        ]  # fmt: skip
        assert all(one.score > other.score for one, other in pairwise(found))
        assert [room_of(one) for one in found] == ["Boardroom", "Boardroom", "Boardroom", None, "Boardroom"]

    def test_the_reasons_are_in_words(self) -> None:
        tuesday, _, _, wednesday, friday = find_time(self.wish())
        assert {"at a time that everybody likes", "Boardroom is free"} <= set(tuesday.reasons)
        assert "no suitable room is free" in wednesday.reasons
        assert "at 20:00 for Carol, who has the hardest hour" in wednesday.reasons
        assert any("seldom takes meetings on Friday" in why for why in friday.reasons)

    def test_with_the_hours_as_they_are_written_nobody_works_at_the_same_time(self) -> None:
        """What is offered then lies outside of somebody's working hours, and says so."""
        wish = self.wish(carol=(9, 17))
        found = find_time(wish)
        assert all(one.candidate.outside for one in found)
        assert any("outside of the working hours of Carol (18:00 there)" in one.reasons for one in found)
        assert find_time(wish, Settings(beyond_hours=False)) == []


def room_of(one: Suggestion) -> str | None:
    return one.candidate.room.name if one.candidate.room is not None else None


def busy(*hours: tuple[float, float], kind: Busy = Busy.BUSY) -> list[BusyPeriod]:
    return [BusyPeriod(MONDAY + int(first * HOUR), MONDAY + int(last * HOUR), kind) for first, last in hours]


def wish(*attendees: Attendee, duration: int = HOUR, end: int = MONDAY + DAY, **more: object) -> Wish:
    return Wish(attendees, MONDAY, end, duration, **more)  # type: ignore[arg-type]


def starts(asked: Wish, settings: Settings | None = None) -> list[float]:
    return sorted((one.start - MONDAY) / HOUR for one in find_time(asked, settings))


class TestWhatIsPossible:
    def test_nobody_is_busy_in_any_suggestion(self) -> None:
        one, other = Attendee("a", busy=busy((0, 9), (10, 24))), Attendee("b", busy=busy((0, 9.25)))
        assert starts(wish(one, other, duration=1800)) == [9.25]
        every = find_time(wish(one, other, duration=1800, step=300), ranker=lambda *_: Ranking(0.5))
        assert [(one.start - MONDAY) / 60 for one in every] == [9.25 * 60], "9:20, 9:25 and 9:30 overlap it"
        assert starts(wish(one, other, duration=HOUR)) == []

    def test_it_is_checked_to_the_second(self) -> None:
        """25 minutes fit before a meeting at 10:28 although its quarter of an hour is taken."""
        one = Attendee("a", busy=[*busy((0, 10)), BusyPeriod(MONDAY + 10 * HOUR + 28 * 60, MONDAY + DAY)])
        assert starts(wish(one, duration=25 * 60)) == [10]
        assert starts(wish(one, duration=28 * 60)) == [10]
        assert starts(wish(one, duration=28 * 60 + 1)) == []

    def test_a_window_that_begins_in_the_middle_of_a_quarter(self) -> None:
        asked = Wish((Attendee("a", busy=busy((2, 24))),), MONDAY + 61, MONDAY + DAY, 1800, count=99)
        assert starts(asked)[0] == 0.25

    def test_optional_attendees_are_missed_and_not_waited_for(self) -> None:
        boss, guest = (
            Attendee("boss", busy=busy((0, 9), (11, 24))),
            Attendee("guest", required=False, busy=busy((10, 24))),
        )
        found = find_time(wish(boss, guest))
        assert [(one.start, tuple(who.name for who in one.candidate.absent)) for one in found] == [
            (MONDAY + 9 * HOUR, ()), (MONDAY + 10 * HOUR, ("guest",))
        ]  # fmt: skip
        assert "without guest" in found[1].reasons

    def test_what_is_tentative_is_in_the_way_or_counts_against_a_time(self) -> None:
        one = Attendee("a", busy=[*busy((0, 9), (11, 24)), *busy((9, 10), kind=Busy.TENTATIVE)])
        assert starts(wish(one)) == [10]
        found = find_time(wish(one, step=HOUR), Settings(tentative="counts against it"))
        assert [(one.start - MONDAY) / HOUR for one in found] == [10, 9]
        assert "a may have something else then" in found[1].reasons

    def test_working_hours_of_zones_are_kept(self) -> None:
        one = Attendee("a", hours=nine_to_five("Europe/Berlin", MONDAY, MONDAY + DAY))
        other = Attendee("b", hours=nine_to_five("America/New_York", MONDAY, MONDAY + DAY))
        assert starts(wish(one, other, step=HOUR)) == [14, 15]

    def test_the_smallest_room_that_is_free_and_has_what_is_needed(self) -> None:
        rooms = (
            Room("Hall", 100, frozenset({"screen", "phone"})),
            Room("Den", 4, frozenset({"screen"}), busy=busy((0, 12))),
            Room("Cell", 4),
            Room("Booth", 1, frozenset({"screen"})),
        )
        people = (Attendee("a", busy=busy((0, 11), (13, 24))), Attendee("b"))
        asked = wish(*people, rooms=rooms, equipment=frozenset({"screen"}), step=HOUR)
        assert {one.start - MONDAY: room_of(one) for one in find_time(asked)} == {11 * HOUR: "Hall", 12 * HOUR: "Den"}
        many = wish(*people, rooms=rooms, people=5, equipment=frozenset({"screen"}))
        assert {room_of(one) for one in find_time(many)} == {"Hall"}
        none = wish(*people, rooms=rooms, equipment=frozenset({"piano"}))
        assert {room_of(one) for one in find_time(none)} == {None}
        assert find_time(wish(*people, rooms=rooms, equipment=frozenset({"piano"}), needs_room=True)) == []

    def test_a_room_has_working_hours_too(self) -> None:
        room = Room("Den", 4, hours=nine_to_five("UTC", MONDAY, MONDAY + DAY))
        assert min(starts(wish(Attendee("a"), rooms=(room,), needs_room=True, count=99))) == 9

    def test_no_suggestion_overlaps_a_better_one(self) -> None:
        found = find_time(wish(Attendee("a"), count=5))
        assert len(found) == 5
        ordered = sorted(found, key=lambda one: one.start)
        assert all(one.end <= following.start for one, following in pairwise(ordered))

    @pytest.mark.parametrize(("duration", "step"), [(0, 900), (-5, 900), (900, 0)])
    def test_what_lasts_no_time_is_refused(self, duration: int, step: int) -> None:
        with pytest.raises(ValueError, match="lasts some time"):
            find_time(wish(Attendee("a"), duration=duration, step=step))

    def test_more_than_the_window_holds(self) -> None:
        assert find_time(wish(Attendee("a"), duration=2 * DAY)) == []
        assert find_time(Wish((Attendee("a"),), MONDAY, MONDAY - DAY, HOUR)) == []


class TestAlternatives:
    """Where there is no time for all: the fewest are missing, and it is said who."""

    def test_the_fewest_are_busy(self) -> None:
        people = [
            Attendee("ann", busy=busy((0, 24))),
            Attendee("ben", busy=busy((0, 9), (10, 24))),
            Attendee("cleo", busy=busy((0, 9), (11, 24))),
        ]
        asked = wish(*people, step=HOUR, count=2)
        assert find_time(asked) == []
        first, second = alternatives(asked)
        assert (first.start, first.reasons[0]) == (MONDAY + 9 * HOUR, "only ann is busy")
        assert (second.start, second.reasons[0]) == (MONDAY + 10 * HOUR, "ann and ben are busy")
        assert [who.name for who in second.candidate.busy] == ["ann", "ben"]

    def test_it_may_be_the_room_that_is_missing(self) -> None:
        room = Room("Den", 4, busy=busy((0, 23)))
        asked = wish(Attendee("ann", busy=busy((0, 10), (11, 24))), rooms=(room,), needs_room=True, step=HOUR, count=1)
        (only,) = alternatives(asked)
        assert (only.start, only.reasons[0]) in {
            (MONDAY + 10 * HOUR, "no suitable room is free"),
            (MONDAY + 23 * HOUR, "only ann is busy"),
        }
        assert only.reasons.count("no suitable room is free") <= 1

    def test_they_lie_within_the_working_hours_where_anything_does(self) -> None:
        hours = nine_to_five("UTC", MONDAY, MONDAY + DAY)
        one = Attendee("ann", busy=busy((0, 24)), hours=hours)
        found = alternatives(wish(one, step=HOUR, count=99))
        assert sorted((one.start - MONDAY) / HOUR for one in found) == list(range(9, 17))

    def test_nobody_works_at_the_same_time(self) -> None:
        ann = Attendee("ann", busy=busy((0, 24)), hours=nine_to_five("UTC", MONDAY, MONDAY + DAY))
        tom = Attendee("tom", hours=nine_to_five("Asia/Tokyo", MONDAY, MONDAY + DAY))
        assert alternatives(wish(ann, tom), Settings(beyond_hours=False)) == []
        found = alternatives(wish(ann, tom))
        assert {one.reasons[0] for one in found} == {"only ann is busy"}

    def test_nothing_is_missing(self) -> None:
        assert alternatives(wish(Attendee("ann"))) == []

    def test_a_duration_that_is_none(self) -> None:
        with pytest.raises(NotAWish, match="lasts some time"):
            alternatives(wish(Attendee("a"), duration=0))


class TestTheClock:
    """Meetings begin at multiples of the step on the wall of who asks, also where summer time begins or ends."""

    NIGHT = int(datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    AUTUMN = int(datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())

    def walls(self, start: int, step: int, where: str = "Europe/Berlin", duration: int = 900) -> list[str]:
        asked = Wish((Attendee("a"),), start, start + 6 * HOUR, duration, step=step, count=99, zone=zone(where))
        every = find_time(asked, ranker=lambda *_: Ranking(0.5))
        return [f"{datetime.fromtimestamp(one.start, ZoneInfo(where)):%H:%M}" for one in every]

    def test_an_hour_that_there_is_not(self) -> None:
        assert self.walls(self.NIGHT, HOUR) == ["00:00", "01:00", "03:00", "04:00", "05:00", "06:00"]

    def test_an_hour_that_comes_twice(self) -> None:
        assert self.walls(self.AUTUMN, HOUR) == ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]

    def test_steps_of_more_than_an_hour(self) -> None:
        assert self.walls(self.NIGHT, 2 * HOUR) == ["00:00", "04:00", "06:00"]
        assert self.walls(self.AUTUMN, 2 * HOUR) == ["00:00", "02:00", "02:00", "04:00"]

    def test_half_hours_from_utc(self) -> None:
        assert self.walls(MONDAY, HOUR, "Asia/Kolkata") == [f"{hour:02}:00" for hour in range(6, 12)]
        assert self.walls(MONDAY, HOUR, "Asia/Kathmandu") == [f"{hour:02}:00" for hour in range(6, 12)]
        assert self.walls(MONDAY, 1200, "Asia/Kathmandu")[:3] == ["06:00", "06:20", "06:40"]

    def test_working_hours_of_the_day_on_which_the_clock_is_moved(self) -> None:
        """Eight hours of work on either side; the night between is an hour shorter."""
        hours = nine_to_five("Europe/Berlin", self.NIGHT - 2 * DAY, self.NIGHT + 2 * DAY)
        asked = Wish(
            (Attendee("a", hours=hours),), self.NIGHT - 2 * DAY, self.NIGHT + 2 * DAY, 8 * HOUR, step=HOUR, count=9
        )
        found = sorted(one.start for one in find_time(asked))
        assert found == [self.NIGHT - 2 * DAY + 9 * HOUR, self.NIGHT + DAY - HOUR + 9 * HOUR], "Friday and Monday"

    def test_over_the_end_of_a_year(self) -> None:
        start = int(datetime(2026, 12, 31, 20, tzinfo=ZoneInfo("UTC")).timestamp())
        asked = Wish((Attendee("a"),), start, start + 8 * HOUR, 6 * HOUR, step=HOUR, count=9)
        every = find_time(asked, ranker=lambda *_: Ranking(0.5))
        assert [one.start for one in every] == [start]


def test_all_rooms_that_are_free_are_named_and_the_nearest_is_taken() -> None:
    near, far = Place("Castle"), Place("Harbour")
    rooms = (
        Room("Small", 2, place=far),
        Room("Large", 9, place=near),
        Room("Larger", 10, place=near),
        Room("Hall", 99),
    )
    before = Engagement(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR, near)
    ann = Attendee("ann", busy=busy((0, 10), (11, 24)), engagements=[before])
    (only,) = find_time(wish(ann, rooms=rooms), Settings(travel={("Castle", "Harbour"): 40}))
    assert [room.name for room in only.rooms] == ["Large", "Small", "Larger"]
    assert only.candidate.room is only.rooms[0]
    (only,) = find_time(wish(Attendee("ann", busy=busy((0, 10), (11, 24))), rooms=rooms))
    assert [room.name for room in only.rooms] == ["Small", "Large", "Larger"]


def test_a_room_of_which_nobody_knows_how_many_it_holds_comes_last() -> None:
    rooms = (Room("Cave", None), Room("Den", 4))
    asked = wish(Attendee("a", busy=busy((1, 24))), rooms=rooms)
    assert [room.name for room in find_time(asked)[0].rooms] == ["Den", "Cave"]
    assert [room.name for room in find_time(replace(asked, people=2))[0].rooms] == ["Den"]


def test_nothing_is_offered_where_nothing_is_known() -> None:
    asked = wish(Attendee("a"), step=HOUR, known=(MONDAY + 3 * HOUR, MONDAY + 5 * HOUR), count=99)
    assert starts(asked) == [3, 4]


def test_reach_is_told_by_bitmaps() -> None:
    asked = wish(Attendee("a"), duration=HOUR)
    everything = (1 << 96) - 1
    assert reach(asked, 0) == (MONDAY, MONDAY + DAY)
    assert reach(asked, everything) is None
    hole = everything & ~(((1 << 8) - 1) << 36)
    assert reach(asked, hole) == (MONDAY + 9 * HOUR, MONDAY + 11 * HOUR)
    shifted = Wish(asked.attendees, MONDAY + 100, MONDAY + DAY, HOUR)
    assert first_quarter(shifted) == MONDAY
    assert reach(shifted, hole) == (MONDAY + 9 * HOUR, MONDAY + 11 * HOUR)


@pytest.mark.parametrize("seed", range(8))
def test_no_slot_with_a_better_score_is_left_out(seed: int) -> None:
    """By trying every one: its score by the ranker alone, and the best of those that do not overlap a better one."""
    random = Random(seed)
    people = []
    for at in range(4):
        begins = [MONDAY + random.randrange(0, 2 * DAY, 300) for _ in range(6)]
        taken = merge(BusyPeriod(begin, begin + random.randrange(600, 2 * HOUR, 300)) for begin in begins)
        past = [Answered(MONDAY - random.randrange(60) * DAY + 9 * HOUR, random.random() < 0.5) for _ in range(20)]
        where = random.choice(("UTC", "Europe/Berlin", "Asia/Kolkata"))
        people.append(
            Attendee(f"p{at}", required=at < 2, zone=zone(where), busy=taken, history=past, told=random.random() < 0.5)
        )
    rooms = [Room(f"r{at}", 4 + at, busy=people[at].busy) for at in range(2)]
    length = random.choice((900, 1800, 4500))
    asked = Wish(people, MONDAY, MONDAY + 2 * DAY, length, rooms, step=1800, count=6)

    def free(one: Attendee | Room, begin: int) -> bool:
        return all(begin + length <= period.start or period.end <= begin for period in one.busy)

    tried = []
    for begin in range(MONDAY, MONDAY + 2 * DAY - length + 1, 1800):
        if all(free(one, begin) for one in people[:2]):
            open_rooms = tuple(room for room in rooms if free(room, begin))
            absent = tuple(one for one in people[2:] if not free(one, begin))
            room = open_rooms[0] if open_rooms else None
            candidate = Candidate(begin, begin + length, room, absent, rooms=open_rooms)
            tried.append((-rank(candidate, asked, Settings()).score, begin))
    best: list[tuple[float, int]] = []
    for score, begin in sorted(tried):
        if len(best) < 6 and all(abs(begin - other) >= length for _, other in best):
            best.append((score, begin))
    assert [(-one.score, one.start) for one in find_time(asked)] == best


def test_another_ranker_takes_its_place() -> None:
    def latest(candidate: Candidate, _wish: Wish, _settings: Settings) -> Ranking:
        return Ranking(candidate.start / (MONDAY + DAY), ("the later the better",))

    found = find_time(wish(Attendee("a"), count=2), ranker=latest)
    assert [(one.start - MONDAY) / HOUR for one in found] == [23, 22]
    assert found[0].reasons == ("the later the better",)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_slots_as_by_trying_every_one(seed: int) -> None:
    random = Random(seed)

    def periods() -> list[BusyPeriod]:
        starting = [MONDAY + random.randrange(0, 3 * DAY, 60) for _ in range(12)]
        return merge(
            BusyPeriod(at, at + random.randrange(60, 3 * HOUR, 60), random.choice(list(Busy))) for at in starting
        )

    attendees = [Attendee(f"a{at}", required=at < 2, busy=periods()) for at in range(3)]
    rooms = tuple(Room(f"r{at}", 3 + at, busy=periods()) for at in range(2))
    step, duration = random.choice((300, 900, 1800)), random.choice((600, 1500, 1800, 2700, 5400))
    asked = Wish(attendees, MONDAY + 420, MONDAY + 3 * DAY, duration, rooms, needs_room=True, step=step, count=10_000)
    found: list[tuple[int, str | None]] = []
    find_time(
        asked,
        Settings(most_candidates=10_000),
        lambda one, _wish, _settings: (
            found.append((one.start, one.room.name if one.room else None)),  # type: ignore[func-returns-value]
            Ranking(0.5),
        )[1],
    )

    def free(at: int, taken: object) -> bool:
        return all(at + duration <= one.start or one.end <= at for one in taken)  # type: ignore[attr-defined]

    expected = []
    for at in range(0, 3 * DAY, 60):
        begin = MONDAY + at
        if begin % step or begin < asked.start or begin + duration > asked.end:
            continue
        room = next((room.name for room in rooms if free(begin, room.busy)), None)
        if room is not None and all(free(begin, one.busy) for one in attendees if one.required):
            expected.append((begin, room))
    assert found == expected


def test_fifty_people_and_a_month_take_little_time() -> None:
    random = Random(1)
    end = MONDAY + 31 * DAY
    off = nine_to_five("Europe/Berlin", MONDAY, end)
    attendees = []
    for number in range(50):
        starting = [MONDAY + random.randrange(0, 31 * DAY, 900) for _ in range(40)]
        history = [Answered(MONDAY - random.randrange(200) * DAY, random.random() < 0.7) for _ in range(100)]
        attendees.append(
            Attendee(
                f"p{number}",
                required=number < 5,
                zone=zone("Europe/Berlin"),
                busy=merge(BusyPeriod(at, at + 1800) for at in starting),
                hours=off,
                history=history,
            )
        )
    began = time.process_time()
    found = find_time(Wish(attendees, MONDAY, end, 1800, rooms=[Room("r", 60)], count=5))
    assert len(found) == 5
    assert time.process_time() - began < 10, "bounded; it is about a second"


def test_the_default_weights_are_positive_and_named_as_the_considerations() -> None:
    assert set(Weights.__slots__) == set(CONSIDERATIONS)
    assert all(getattr(Weights(), name) > 0 for name in CONSIDERATIONS)
