"""The free/busy index in Redis, shared by all processes and machines of a server.

Owns what is kept where, and the scripts that change it at once. For the calendar 7 there are, below a prefix:

- ``caldavd:{7}``: a hash of ``e`` (epoch and basis), ``r`` (revision), and a field for each known week: its periods.
- ``caldavd:{7}:1234``: the map of week 1234, a string of its own so that ``BITOP OR`` joins those of many people.

The tag in braces keeps a calendar's keys together on Redis Cluster; there the maps of many calendars lie on different
nodes and are fetched in one pipeline and joined here. A map counts only beside its week in the hash, so whatever Redis
evicts is a miss and never a wrong answer. Everything expires when nobody fills it for ``KEPT_SECONDS``.

Redis away or slow is no error: a short time-out, then a miss; after a few of them the circuit opens (``breaker``).
"""

from __future__ import annotations

import logging
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from scheduling.freebusy.breaker import Breaker
from scheduling.freebusy.index import (
    MAP_BYTES,
    MAX_PERIODS,
    Entry,
    FreeMap,
    IndexedPeriod,
    Lookup,
    Version,
    Weeks,
    map_of,
    week_of,
    week_start,
    weeks_of,
)
from scheduling.ical.periods import OF_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from scheduling.freebusy.index import Fill, Write

_log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 30 * 86_400
#: How long Redis may take for anything; SQL would have the answer in a few times this.
TIMEOUT_SECONDS: Final = 0.25
#: How long it is left alone after it failed.
PAUSE_SECONDS: Final = 5.0
#: Answers that take longer than so many time-outs count as failures, even if every piece of them came in time.
_PATIENCE: Final = 2
CLUSTER_SCHEMES: Final = ("redis+cluster://", "rediss+cluster://")
_PERIOD: Final = struct.Struct(">IIB8s")

#: KEYS: the hash. ARGV: era, revision, seconds to live, then week, periods, map for each week. See ``index.on_fill``.
_FILL: Final = """
local old = redis.call('HMGET', KEYS[1], 'e', 'r')
local same = old[1] == ARGV[1]
if same and tonumber(old[2]) > tonumber(ARGV[2]) then return 0 end
if not (same and old[2] == ARGV[2]) then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('DEL', KEYS[1] .. ':' .. field) end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 'r', ARGV[2])
end
for at = 4, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  redis.call('SET', KEYS[1] .. ':' .. ARGV[at], ARGV[at + 2], 'EX', ARGV[3])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
#: KEYS: the hash. ARGV: epoch, revision before ('' is unknown), revision after, then first and last week of each
#: stretch that was touched ('' is open). See ``index.on_write``.
_WRITTEN: Final = """
local old = redis.call('HMGET', KEYS[1], 'e', 'r')
if not old[1] then return 0 end
local same = string.sub(old[1], 1, #ARGV[1] + 1) == ARGV[1] .. ' '
if same and tonumber(old[2]) >= tonumber(ARGV[3]) then return 0 end
local follows = same and old[2] == ARGV[2]
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local week = tonumber(field)
  if week then
    local gone = not follows
    for at = 4, #ARGV, 2 do
      local first, last = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
      if (not first or week >= first) and (not last or week <= last) then gone = true end
    end
    if gone then
      redis.call('HDEL', KEYS[1], field)
      redis.call('DEL', KEYS[1] .. ':' .. field)
    end
  end
end
if follows then redis.call('HSET', KEYS[1], 'r', ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 1
"""
#: KEYS: a scratch key, then the hashes. ARGV: first and last week, then era and revision for each calendar. Returns the
#: positions of the calendars that are not known, and the joined maps.
_FREE_MAP: Final = """
local first, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local missing, sources = {}, {}
for at = 2, #KEYS do
  local asked = {'e', 'r'}
  for week = first, last do asked[#asked + 1] = string.format('%d', week) end
  local found = redis.call('HMGET', KEYS[at], unpack(asked))
  local known = found[1] == ARGV[2 * at - 1] and found[2] == ARGV[2 * at]
  for week = first, last do
    known = known and found[week - first + 3] and redis.call('EXISTS', KEYS[at] .. ':' .. asked[week - first + 3]) == 1
  end
  if known then sources[#sources + 1] = KEYS[at] else missing[#missing + 1] = at - 2 end
end
local maps = {}
if #sources > 0 then
  for week = first, last do
    redis.call('DEL', KEYS[1])
    for from = 1, #sources, 1000 do
      local names = {}
      for at = from, math.min(from + 999, #sources) do names[#names + 1] = sources[at] .. ':' .. week end
      redis.call('BITOP', 'OR', KEYS[1], KEYS[1], unpack(names))
    end
    maps[#maps + 1] = redis.call('GET', KEYS[1])
  end
  redis.call('DEL', KEYS[1])
end
return {missing, maps}
"""

#: The same for one calendar, on a cluster. KEYS: the hash. ARGV: era, revision, first and last week. Returns its maps,
#: fewer than were asked for where it is not known.
_MAPS: Final = """
local maps = {}
local found = redis.call('HMGET', KEYS[1], 'e', 'r')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return maps end
for week = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  local name = string.format('%d', week)
  local map = redis.call('HEXISTS', KEYS[1], name) == 1 and redis.call('GET', KEYS[1] .. ':' .. name)
  if not map then return maps end
  maps[#maps + 1] = map
end
return maps
"""

#: All that is kept of one calendar. KEYS: the hash. Returns era, revision, and week, periods, map ('' if gone) of each.
_ENTRY: Final = """
local found = redis.call('HMGET', KEYS[1], 'e', 'r')
if not found[1] or not found[2] then return {} end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if tonumber(name) then
    found[#found + 1] = {name, redis.call('HGET', KEYS[1], name), redis.call('GET', KEYS[1] .. ':' .. name) or ''}
  end
end
return found
"""


class RedisIndex:
    """See ``FreeBusyIndex``; ``url`` as ``redis://host:6379/0``, ``unix://…``, or ``redis+cluster://host:6379``."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "caldavd",
        timeout: float = TIMEOUT_SECONDS,
        pause: float = PAUSE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._clock = clock
        self.cluster: Final = url.startswith(CLUSTER_SCHEMES)
        self._breaker = Breaker("Redis (the free/busy index)", seconds=pause, clock=clock)
        # Untyped, because the client's types promise str or bytes, now or later, of everything.
        self._client: Any = None
        #: How often Redis was asked, in round trips (on a cluster: pipelines).
        self.round_trips = 0

    def close(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def ping(self) -> bool:
        """See ``FreeBusyIndex``."""
        return self._ask(lambda pipe: pipe.ping()) is not None

    def lookup(self, wanted: Mapping[int, Version], start: int, end: int) -> Lookup:
        """See ``FreeBusyIndex``."""
        weeks = weeks_of(start, end)
        if not weeks or not wanted:
            return Lookup({calendar: {} for calendar in wanted}, {})
        fields = ["e", "r", *map(str, weeks)]
        answers = self._ask(lambda pipe: [pipe.hmget(self._key(calendar), fields) for calendar in wanted])
        hits: dict[int, Weeks] = {}
        misses: dict[int, list[int]] = {}
        for (calendar, version), answer in zip(wanted.items(), answers or [None] * len(wanted), strict=True):
            known = hits[calendar] = _known(answer, version, weeks)
            missing = [week for week in weeks if week not in known]
            if missing:
                misses[calendar] = missing
        return Lookup(hits, misses)

    def fill(self, fills: Sequence[Fill]) -> None:
        """See ``FreeBusyIndex``."""

        def work(pipe: Any) -> None:
            for one in fills:
                arguments: list[object] = [one.version.era, one.version.revision, KEPT_SECONDS]
                for week, periods in one.weeks.items():
                    if len(periods) <= MAX_PERIODS:
                        arguments += [week, _packed(periods, week), map_of(periods, week)]
                self._script(pipe, _FILL, one.calendar, *arguments)

        if fills:
            self._ask(work)

    def written(self, epoch: str, writes: Sequence[Write]) -> None:
        """See ``FreeBusyIndex``."""

        def work(pipe: Any) -> None:
            for write in writes:
                stretches: list[object] = []
                for one in write.touched:
                    # Both ends are included: what ends with a week touches the next one as well.
                    stretches.append("" if one.start is None else week_of(one.start - 1))
                    stretches.append("" if one.end is None else week_of(one.end))
                before = "" if write.before is None else write.before
                self._script(pipe, _WRITTEN, write.calendar, epoch, before, write.after, *stretches)

        if writes:
            self._ask(work)

    def free_map(self, wanted: Mapping[int, Version], start: int, end: int) -> FreeMap:
        """See ``FreeBusyIndex``."""
        weeks = weeks_of(start, end)
        if not weeks or not wanted:
            return FreeMap(dict.fromkeys(weeks, bytes(MAP_BYTES)))
        return self._free_map_of_cluster(wanted, weeks) if self.cluster else self._free_map(wanted, weeks)

    def _free_map(self, wanted: Mapping[int, Version], weeks: range) -> FreeMap:
        calendars = list(wanted)
        keys = [f"{self._prefix}:scratch", *map(self._key, calendars)]
        versions = [part for version in wanted.values() for part in (version.era, version.revision)]
        answers = self._ask(
            lambda pipe: pipe.execute_command("EVAL", _FREE_MAP, len(keys), *keys, weeks[0], weeks[-1], *versions)
        )
        joined = dict.fromkeys(weeks, bytes(MAP_BYTES))
        if not answers or isinstance(answers[0], Exception):
            return FreeMap(joined, frozenset(wanted))
        missing, maps = answers[0]
        joined.update(zip(weeks, maps, strict=False))
        if any(len(one) != MAP_BYTES for one in joined.values()):
            return FreeMap(dict.fromkeys(weeks, bytes(MAP_BYTES)), frozenset(wanted))
        return FreeMap(joined, frozenset(calendars[at] for at in missing))

    def _free_map_of_cluster(self, wanted: Mapping[int, Version], weeks: range) -> FreeMap:
        def work(pipe: Any) -> None:
            for calendar, version in wanted.items():
                asked = (version.era, version.revision, weeks[0], weeks[-1])
                self._script(pipe, _MAPS, calendar, *asked)

        answers = self._ask(work) or [None] * len(wanted)
        joined = dict.fromkeys(weeks, 0)
        missing = set()
        for calendar, maps in zip(wanted, answers, strict=True):
            if not isinstance(maps, list) or [len(one) for one in maps] != [MAP_BYTES] * len(weeks):
                missing.add(calendar)
                continue
            for week, one in zip(weeks, maps, strict=True):
                joined[week] |= int.from_bytes(one, "little")
        return FreeMap({week: bits.to_bytes(MAP_BYTES, "little") for week, bits in joined.items()}, frozenset(missing))

    def entries(self, calendars: Collection[int]) -> Mapping[int, Entry]:
        """See ``FreeBusyIndex``."""
        wanted = list(calendars)

        def work(pipe: Any) -> None:
            for calendar in wanted:
                self._script(pipe, _ENTRY, calendar)

        answers = self._ask(work)
        found: dict[int, Entry] = {}
        for calendar, answer in zip(wanted, answers or (), strict=False):
            if isinstance(answer, list) and answer:
                (epoch, _, basis), revision, *weeks = answer[0].decode().partition(" "), answer[1], *answer[2:]
                entry = found[calendar] = Entry(Version(epoch, int(revision), basis), {}, {})
                for name, packed, bits in weeks:
                    periods = _unpacked(packed, int(name))
                    if periods is not None:
                        entry.weeks[int(name)] = periods
                    if bits:
                        entry.maps[int(name)] = bits
        return found

    def _key(self, calendar: int) -> str:
        return f"{self._prefix}:{{{calendar}}}"

    def _script(self, pipe: Any, script: str, calendar: int, *arguments: object) -> None:
        """Puts a script on one calendar into the pipeline."""
        key = self._key(calendar)
        # Without being told the node, the client asks the cluster for the keys of each EVAL: a round trip for each.
        options = {"target_nodes": self._client.get_node_from_key(key)} if self.cluster else {}
        pipe.execute_command("EVAL", script, 1, key, *arguments, **options)

    def _ask(self, work: Callable[[Any], object]) -> list[Any] | None:
        """The answers to the commands that ``work`` puts into a pipeline; None where there was no answer in time."""
        if not self._breaker.closed():
            return None
        began = self._clock()
        try:
            pipe = self._connected().pipeline(transaction=False)
            work(pipe)
            self.round_trips += 1
            answers = cast("list[Any]", pipe.execute(raise_on_error=False))
        except (RedisError, RedisClusterException, OSError) as error:
            self._breaker.failed(error)
            return None
        failure = next((one for one in answers if isinstance(one, Exception)), None)
        took = self._clock() - began
        if failure is not None:
            self._breaker.failed(failure)
        elif took > _PATIENCE * self._timeout:
            self._breaker.failed(f"its answer took {took:.1f} seconds")
        else:
            self._breaker.succeeded()
        return answers

    def _connected(self) -> Any:
        if self._client is None:
            options: dict[str, Any] = {
                "socket_timeout": self._timeout,
                "socket_connect_timeout": self._timeout,
                # Never again by itself: whoever waits would rather have the answer from the database.
                "retry": Retry(NoBackoff(), 0),
            }
            if self.cluster:
                url = self._url.replace("+cluster", "", 1)
                self._client = RedisCluster.from_url(url, require_full_coverage=False, **options)
            else:
                self._client = Redis.from_url(self._url, **options)
        return self._client


def _packed(periods: Sequence[IndexedPeriod], week: int) -> bytes:
    begin = week_start(week)
    return b"".join(_PERIOD.pack(one.start - begin, one.end - begin, one.kind, one.uid) for one in periods)


def _unpacked(packed: bytes, week: int) -> list[IndexedPeriod] | None:
    """The periods of a week; None for what nobody packed."""
    begin = week_start(week)
    try:
        found = _PERIOD.iter_unpack(packed)
        return [IndexedPeriod(begin + first, begin + last, OF_NUMBER[kind], uid) for first, last, kind, uid in found]
    except (struct.error, KeyError):
        return None


def _known(answer: object, version: Version, weeks: Sequence[int]) -> Weeks:
    """The weeks in the answer to an HMGET of era, revision and weeks, where it is of this version."""
    if not isinstance(answer, list) or answer[:2] != [version.era.encode(), b"%d" % version.revision]:
        return {}
    found: Weeks = {}
    for week, packed in zip(weeks, answer[2:], strict=True):
        periods = None if packed is None else _unpacked(packed, week)
        if periods is not None:
            found[week] = periods
    return found
