"""Every free/busy index: the same rules, the same answers; and Redis away, slow, full or cut off."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from scheduling.freebusy.breaker import Breaker
from scheduling.freebusy.index import (
    EVERYTHING,
    MAP_BYTES,
    MAX_PERIODS,
    QUARTER,
    WEEK,
    Fill,
    FreeBusyIndex,
    IndexedPeriod,
    Touched,
    Version,
    Write,
    basis_of,
    cut,
    hash_of,
    map_of,
    week_of,
    week_start,
    weeks_of,
)
from scheduling.freebusy.index_memory import MemoryIndex
from scheduling.freebusy.index_open import open_index
from scheduling.freebusy.index_redis import RedisIndex
from scheduling.ical.periods import Busy
from tests.scheduling.freebusy.redis_servers import Cluster, Server, Wire

MONDAY = 1772409600  # 2026-03-02T00:00:00Z
W = week_of(MONDAY)
HOUR = 3600
NEXT = MONDAY + WEEK
V1, V2, V3 = (Version("e", number, "b") for number in (1, 2, 3))
UID = hash_of("u")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(params=["memory", "redis", "cluster"])
def index(request: pytest.FixtureRequest) -> Iterator[FreeBusyIndex]:
    if request.param == "memory":
        yield MemoryIndex()
        return
    place = request.getfixturevalue("server" if request.param == "redis" else "cluster")
    if request.param == "redis":
        with closing(place.client()) as client:
            client.flushall()
    else:
        place.flush()
    with closing(RedisIndex(place.url, timeout=2)) as made:
        yield made


def period(start: int, end: int, kind: Busy = Busy.BUSY, uid: bytes = UID) -> IndexedPeriod:
    return IndexedPeriod(start, end, kind, uid)


NINE = period(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR + 1)
LATER = period(NEXT + 60, NEXT + 120, Busy.TENTATIVE, hash_of("v"))


def fill(index: FreeBusyIndex, version: Version = V1, calendar: int = 7) -> None:
    index.fill([Fill(calendar, version, cut([NINE, LATER], [W, W + 1]))])


def known(index: FreeBusyIndex, version: Version, calendar: int = 7) -> list[int]:
    """The weeks that are known of three."""
    found = index.lookup({calendar: version}, MONDAY, MONDAY + 3 * WEEK)
    weeks = sorted(found.hits[calendar])
    assert sorted([*weeks, *found.misses.get(calendar, ())]) == [W, W + 1, W + 2]
    return weeks


class TestArithmetic:
    def test_a_week_begins_on_monday(self) -> None:
        assert week_start(W) == MONDAY
        assert (week_of(MONDAY - 1), week_of(MONDAY + WEEK - 1), week_of(0), week_start(0)) == (W - 1, W, -1, 345600)
        assert list(weeks_of(MONDAY, MONDAY + WEEK)) == [W]
        assert list(weeks_of(MONDAY - 1, MONDAY + WEEK + 1)) == [W - 1, W, W + 1]
        assert not weeks_of(MONDAY, MONDAY)

    def test_a_map_has_a_bit_for_each_quarter_of_which_any_second_is_busy(self) -> None:
        bits = int.from_bytes(map_of([NINE, LATER], W), "little")
        assert [at for at in range(672) if bits >> at & 1] == [36, 37, 38, 39, 40]
        assert int.from_bytes(map_of([LATER], W + 1), "little") == 1
        assert map_of([period(MONDAY - 5, NEXT + 5)], W) == b"\xff" * MAP_BYTES
        assert map_of([], W) == bytes(MAP_BYTES)

    def test_periods_are_cut_where_a_week_ends(self) -> None:
        found = cut([period(NEXT - 10, NEXT + 10)], [W, W + 1, W + 2])
        assert found == {W: [period(NEXT - 10, NEXT)], W + 1: [period(NEXT, NEXT + 10)], W + 2: []}

    def test_what_an_answer_depends_on_is_told_apart(self) -> None:
        assert len({basis_of("a", "b"), basis_of("ab"), basis_of("a", "", "b"), basis_of("b", "a")}) == 4


class TestEntries:
    def test_what_was_filled_is_found(self, index: FreeBusyIndex) -> None:
        fill(index)
        found = index.lookup({7: V1, 8: V1}, MONDAY + 1, NEXT + 1)
        assert found.hits == {7: {W: [NINE], W + 1: [LATER]}, 8: {}}
        assert found.misses == {8: [W, W + 1]}

    @pytest.mark.parametrize(
        "other", [V2, Version("e", 0, "b"), Version("other", 1, "b"), Version("e", 1, "other"), Version("e b", 1, "")]
    )
    def test_an_entry_of_another_version_is_not_believed(self, index: FreeBusyIndex, other: Version) -> None:
        fill(index)
        assert known(index, other) == []
        assert index.free_map({7: other}, MONDAY, NEXT).missing == {7}

    def test_a_newer_fill_replaces_all(self, index: FreeBusyIndex) -> None:
        fill(index)
        index.fill([Fill(7, V2, {W + 2: []})])
        assert (known(index, V1), known(index, V2)) == ([], [W + 2])
        assert index.free_map({7: V2}, NEXT + WEEK, NEXT + 2 * WEEK).missing == set()
        assert index.free_map({7: V2}, MONDAY, NEXT).missing == {7}

    def test_a_fill_of_the_same_version_adds(self, index: FreeBusyIndex) -> None:
        fill(index)
        index.fill([Fill(7, V1, {W + 2: [period(NEXT + WEEK, NEXT + WEEK + 5)]})])
        assert known(index, V1) == [W, W + 1, W + 2]

    def test_an_older_fill_is_dropped(self, index: FreeBusyIndex) -> None:
        fill(index, V2)
        index.fill([Fill(7, V1, {W + 2: []})])
        assert (known(index, V1), known(index, V2)) == ([], [W, W + 1])

    @pytest.mark.parametrize("other", [Version("new", 1, "b"), Version("e", 1, "new zone")])
    def test_a_fill_of_another_epoch_or_basis_replaces_whatever_its_number(
        self, index: FreeBusyIndex, other: Version
    ) -> None:
        fill(index, V3)
        index.fill([Fill(7, other, {W + 2: []})])
        assert (known(index, V3), known(index, other)) == ([], [W + 2])

    def test_a_week_with_too_many_periods_is_not_kept(self, index: FreeBusyIndex) -> None:
        many = [period(MONDAY + at, MONDAY + at + 1) for at in range(MAX_PERIODS + 1)]
        index.fill([Fill(7, V1, {W: many, W + 1: []})])
        assert known(index, V1) == [W + 1]

    def test_entries_tell_all_for_the_doctor(self, index: FreeBusyIndex) -> None:
        fill(index)
        entries = index.entries([7, 8])
        assert list(entries) == [7]
        assert entries[7].version == V1
        assert entries[7].weeks == {W: [NINE], W + 1: [LATER]}
        assert entries[7].maps == {W: map_of([NINE], W), W + 1: map_of([LATER], W + 1)}


class TestWrites:
    def test_a_write_drops_the_weeks_it_touches_and_moves_the_others_on(self, index: FreeBusyIndex) -> None:
        fill(index)
        index.written("e", [Write(7, 1, 2, [Touched(MONDAY + 5, MONDAY + 6)])])
        assert (known(index, V1), known(index, V2)) == ([], [W + 1])
        assert index.free_map({7: V2}, NEXT, NEXT + 1).weeks == {W + 1: map_of([LATER], W + 1)}

    @pytest.mark.parametrize(
        ("touched", "left"),
        [
            ([], [W, W + 1, W + 2]),
            ([EVERYTHING], []),
            ([Touched(NEXT + 1, None)], [W]),
            ([Touched(None, NEXT - 1)], [W + 1, W + 2]),
            ([Touched(None, MONDAY - 1), Touched(NEXT + 1, NEXT + 1)], [W, W + 2]),
            ([Touched(NEXT, NEXT)], [W + 2]),  # both ends are included, whichever week they are counted to
            ([Touched(MONDAY - 9 * WEEK, MONDAY - 8 * WEEK), Touched(NEXT + 5 * WEEK, None)], [W, W + 1, W + 2]),
        ],
    )
    def test_what_is_touched(self, index: FreeBusyIndex, touched: list[Touched], left: list[int]) -> None:
        index.fill([Fill(7, V1, {W: [], W + 1: [], W + 2: []})])
        index.written("e", [Write(7, 1, 2, touched)])
        assert known(index, V2) == left

    def test_where_the_version_does_not_follow_on_all_goes(self, index: FreeBusyIndex) -> None:
        fill(index)
        index.written("e", [Write(7, 2, 3, [])])
        assert (known(index, V1), known(index, V2), known(index, V3)) == ([], [], [])
        fill(index)  # nothing stands in its way
        assert known(index, V1) == [W, W + 1]

    def test_a_write_need_not_know_what_else_the_entry_was_computed_from(self, index: FreeBusyIndex) -> None:
        fill(index, Version("e", 1, "other zone"))
        index.written("e", [Write(7, 1, 2, [Touched(MONDAY, MONDAY)])])
        assert known(index, Version("e", 2, "other zone")) == [W + 1]
        assert known(index, V2) == []

    @pytest.mark.parametrize(("epoch", "before"), [("f", 1), ("", 1), ("e", None), ("e", 0)])
    def test_what_does_not_follow_on_drops_all(self, index: FreeBusyIndex, epoch: str, before: int | None) -> None:
        fill(index)
        index.written(epoch, [Write(7, before, 2, [])])
        assert (known(index, V1), known(index, V2)) == ([], [])

    def test_many_are_told_at_once(self, index: FreeBusyIndex) -> None:
        index.fill([Fill(calendar, V1, {W: [NINE]}) for calendar in range(9)])
        index.written("e", [Write(calendar, 1, 2, []) for calendar in range(5)])
        index.written("e", [])
        assert not index.lookup(dict.fromkeys(range(5), V2), MONDAY, NEXT).misses
        assert not index.lookup(dict.fromkeys(range(5, 9), V1), MONDAY, NEXT).misses

    def test_a_write_that_is_told_late_harms_nothing(self, index: FreeBusyIndex) -> None:
        fill(index, V2)
        index.written("e", [Write(7, 1, 2, [EVERYTHING])])
        assert known(index, V2) == [W, W + 1]
        fill(index, V3)
        index.written("e", [Write(7, 1, 2, [EVERYTHING])])
        assert known(index, V3) == [W, W + 1]

    def test_a_write_to_what_is_not_kept_keeps_nothing(self, index: FreeBusyIndex) -> None:
        index.written("e", [Write(7, 1, 2, [])])
        assert index.entries([7]) == {}


class TestFreeMap:
    def test_the_maps_of_many_are_joined(self, index: FreeBusyIndex) -> None:
        random = Random(1)
        wanted, expected = {}, [0, 0]
        for calendar in range(1, 61):
            wanted[calendar] = Version("e", calendar, "b")
            starts = [MONDAY + random.randrange(2 * WEEK) for _ in range(2)]
            periods = sorted(period(at, at + random.randrange(1, 3 * HOUR)) for at in starts)
            weeks = cut(periods, [W, W + 1])
            index.fill([Fill(calendar, wanted[calendar], weeks)])
            for at in range(2):
                expected[at] |= int.from_bytes(map_of(weeks[W + at], W + at), "little")
        found = index.free_map(wanted, MONDAY, MONDAY + 2 * WEEK)
        assert found.missing == set()
        assert {week: int.from_bytes(bits, "little") for week, bits in found.weeks.items()} == {
            W: expected[0],
            W + 1: expected[1],
        }

    def test_a_calendar_of_which_a_week_is_missing_is_in_no_map(self, index: FreeBusyIndex) -> None:
        fill(index)
        index.fill([Fill(8, V1, {W: [period(MONDAY, MONDAY + QUARTER)]})])
        found = index.free_map({7: V1, 8: V1, 9: V1}, MONDAY, MONDAY + 2 * WEEK)
        assert found.missing == {8, 9}
        assert found.weeks == {W: map_of([NINE], W), W + 1: map_of([LATER], W + 1)}

    def test_of_nobody_everybody_is_free(self, index: FreeBusyIndex) -> None:
        assert index.free_map({}, MONDAY, NEXT).weeks == {W: bytes(MAP_BYTES)}
        assert index.free_map({9: V1}, MONDAY, NEXT).weeks == {W: bytes(MAP_BYTES)}


def test_memory_forgets_whom_nobody_asked_for_the_longest() -> None:
    index = MemoryIndex(max_calendars=2)
    fill(index, calendar=1)
    fill(index, calendar=2)
    assert known(index, V1, 1)
    fill(index, calendar=3)
    assert [bool(known(index, V1, calendar)) for calendar in (1, 2, 3)] == [True, False, True]


def test_memory_is_bounded_by_what_is_kept_in_all() -> None:
    index = MemoryIndex(max_kept=60)
    many = [IndexedPeriod(MONDAY + at * 60, MONDAY + at * 60 + 30, Busy.BUSY, UID) for at in range(20)]
    for calendar in range(5):
        index.fill([Fill(calendar, V1, {W: many, W + 1: []})])
    assert set(index.entries(range(5))) == {3, 4}, "a week of twenty and an empty one count as 28"
    index.written("e", [Write(3, 1, 2, [Touched(MONDAY, MONDAY)])])
    index.fill([Fill(5, V1, {W: many})])
    assert set(index.entries(range(9))) == {3, 4, 5}, "what is forgotten makes room"
    for _ in range(9):
        index.fill([Fill(5, V1, {W: many})])
    assert set(index.entries(range(9))) == {3, 4, 5}, "the same again is no more"
    index.fill([Fill(6, V1, {W: many * 4})])
    assert not index.entries(range(9)), "what alone is too much is not kept"


# --- Redis on a bad day ----------------------------------------------------------------------------------------------


@pytest.fixture
def redis(server: Server) -> Iterator[RedisIndex]:
    with closing(server.client()) as client:
        client.flushall()
    with closing(RedisIndex(server.url, timeout=2, pause=0.1)) as made:
        yield made


def test_many_calendars_are_one_round_trip(redis: RedisIndex) -> None:
    wanted = dict.fromkeys(range(50), V1)
    redis.fill([Fill(calendar, V1, {W: [NINE]}) for calendar in wanted])
    assert redis.round_trips == 1
    assert redis.lookup(wanted, MONDAY, NEXT).misses == {}
    assert redis.round_trips == 2
    assert redis.free_map(wanted, MONDAY, NEXT).missing == set()
    assert redis.round_trips == 3


@pytest.mark.parametrize(
    "evicted", ["caldavd:{7}", f"caldavd:{{7}}:{W}", f"caldavd:{{7}}:{W + 1}"], ids=["entry", "map", "another map"]
)
def test_whatever_redis_evicts_is_a_miss(server: Server, redis: RedisIndex, evicted: str) -> None:
    fill(redis)
    with closing(server.client()) as client:
        client.delete(evicted)
        assert redis.free_map({7: V1}, MONDAY, MONDAY + 2 * WEEK).missing == {7}
        # What is left of an evicted entry does not count for the next one.
        redis.fill([Fill(7, V2, {W: [LATER]})])
        assert redis.free_map({7: V2}, MONDAY, MONDAY + 2 * WEEK).missing == {7}
        assert client.ttl("caldavd:{7}") > 0


def test_what_nobody_packed_is_a_miss(server: Server, redis: RedisIndex) -> None:
    fill(redis)
    with closing(server.client()) as client:
        client.hset("caldavd:{7}", str(W), b"nonsense")
        client.set(f"caldavd:{{7}}:{W + 1}", b"short")
        assert known(redis, V1) == [W + 1]
        assert redis.free_map({7: V1}, NEXT, NEXT + 1).missing == {7}
        client.set("caldavd:{8}", b"no hash")
        assert known(redis, V1, 8) == []


def test_two_installations_in_one_redis_are_apart(server: Server, redis: RedisIndex) -> None:
    fill(redis)
    with closing(RedisIndex(server.url, prefix="other", timeout=2)) as other:
        assert known(other, V1) == []


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_redis_away_is_a_miss_and_one_warning_and_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    with Server(tmp_path) as server, closing(RedisIndex(server.url, timeout=2, pause=5, clock=lambda: now[0])) as index:
        fill(index)
        server.stop()
        for _ in range(5):
            assert known(index, V1) == []
            fill(index)
            index.written("e", [Write(7, 1, 2, [])])
            assert index.free_map({7: V1}, MONDAY, NEXT).missing == {7}
            assert index.entries([7]) == {}
        assert len(warnings(caplog)) == 1
        tried = index.round_trips
        now[0] += 4
        assert known(index, V1) == []
        assert index.round_trips == tried, "it is left alone"
        server.start()
        now[0] += 2
        fill(index)
        assert known(index, V1) == [W, W + 1]
        assert len(warnings(caplog)) == 1


def test_slow_redis_costs_little(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(server.port)
    with closing(wire), closing(RedisIndex(wire.url, timeout=0.1, pause=60)) as index:
        fill(index)
        assert known(index, V1) == [W, W + 1]
        wire.delay = 0.5
        began = time.monotonic()
        for _ in range(100):
            assert known(index, V1) == []
        assert time.monotonic() - began < 2
        assert len(warnings(caplog)) == 1


def test_an_answer_that_is_cut_off_is_a_miss_at_every_byte(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(server.port)
    now = [0.0]
    with closing(wire), closing(RedisIndex(wire.url, timeout=1, pause=1, clock=lambda: now[0])) as index:
        fill(index)
        for remaining in range(0, 400, 7):
            now[0] += 10
            wire.remaining = remaining
            assert known(index, V1) in ([], [W, W + 1])
            wire.remaining = None
            wire.cut()
            now[0] += 10
            assert known(index, V1) in ([], [W, W + 1])
        now[0] += 10
        assert known(index, V1) == [W, W + 1]


def test_on_a_cluster_as_well_nothing_is_asked_for_each_calendar(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster, closing(RedisIndex(cluster.url, timeout=2)) as index:
        wanted = dict.fromkeys(range(50), V1)
        index.fill([Fill(calendar, V1, {W: [NINE]}) for calendar in wanted])
        index.written("e", [Write(7, 1, 2, [])])
        assert index.lookup(wanted, MONDAY, NEXT).misses == {7: [W]}
        assert index.free_map(wanted, MONDAY, NEXT).missing == {7}
        assert len(index.entries(list(wanted))) == 50
        assert index.round_trips == 5
        for node in cluster.nodes:
            with closing(node.client()) as client:
                assert not [name for name in client.info("commandstats") if "getkeys" in name.lower()]


def test_a_cluster_that_moved_its_slots_is_found_again(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster, closing(RedisIndex(cluster.url, timeout=2, pause=0)) as index:
        wanted = dict.fromkeys(range(30), V1)
        fills = [Fill(calendar, V1, {W: [NINE]}) for calendar in wanted]
        index.fill(fills)
        cluster.flush()
        cluster.move_slots()
        for _ in range(5):
            index.fill(fills)
            hits = index.lookup(wanted, MONDAY, NEXT).hits
            assert all(weeks in ({}, {W: [NINE]}) for weeks in hits.values())
        assert index.lookup(wanted, MONDAY, NEXT).misses == {}
        assert index.free_map(wanted, MONDAY, NEXT).missing == set()


def test_a_node_of_the_cluster_goes(tmp_path: Path) -> None:
    """What lies on it is a miss, and so may be the rest; what is told is right."""
    with Cluster(tmp_path) as cluster, closing(RedisIndex(cluster.url, timeout=0.5, pause=0)) as index:
        wanted = dict.fromkeys(range(30), V1)
        index.fill([Fill(calendar, V1, {W: [NINE]}) for calendar in wanted])
        assert index.lookup(wanted, MONDAY, NEXT).misses == {}
        cluster.nodes[2].stop()
        for _ in range(3):
            found = index.lookup(wanted, MONDAY, NEXT)
            assert found.misses
            assert all(weeks in ({}, {W: [NINE]}) for weeks in found.hits.values())
            index.free_map(wanted, MONDAY, NEXT)


class TestBreaker:
    def test_one_caller_tries_again(self) -> None:
        now = [0.0]
        breaker = Breaker("x", seconds=5, clock=lambda: now[0])
        breaker.failed("once")
        assert breaker.closed(), "once is not enough"
        breaker.failed("twice")
        assert not breaker.closed()
        now[0] = 5.0
        assert [breaker.closed() for _ in range(3)] == [True, False, False]
        breaker.succeeded()
        assert breaker.closed()


class TestOpening:
    def test_in_memory_unless_a_url_is_given(self) -> None:
        assert isinstance(open_index(), MemoryIndex)
        index = open_index("redis+cluster://127.0.0.1:1")
        assert isinstance(index, RedisIndex)
        assert index.cluster

    def test_what_is_no_url_of_redis(self) -> None:
        with pytest.raises(ValueError, match="redis://127"):
            open_index("http://127.0.0.1")
