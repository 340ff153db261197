"""What is asked of every server, and what the right answer is. A new workload is a new row of ``WORKLOADS``.

A workload gets a stage (a server with its filled calendar) and returns what its requests took. It raises
``WrongAnswer`` where a server answers something else than it should: that server's figure does not count.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from conformance.benchmark import events
from conformance.benchmark.peers import Running
from conformance.benchmark.wire import Answer, Connection, Spent, WrongAnswer, one_by_one, side_by_side

_CONNECTIONS: Final = 8
#: No series goes on for longer, seconds.
_SECONDS: Final = 3.0
_XML: Final = "application/xml; charset=utf-8"
_DAV: Final = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
_RESPONSE: Final = re.compile(rb"</(?:[\w.-]+:)?response>")
_HREF: Final = re.compile(rb"<(?:[\w.-]+:)?href[^>]*>([^<]+)</")
_TOKEN: Final = re.compile(rb"<(?:[\w.-]+:)?sync-token[^>]*>([^<]+)</")
_PERIOD: Final = re.compile(r"(\d{8}T\d{6}Z)/(\d{8}T\d{6}Z|P[\dWDTHMS]+)")
_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


@dataclass(slots=True)
class Stage:
    """A server with ``count`` events in its calendar; ``scale`` shortens every series (1: as long as it should be).

    ``older`` are events beside them that lie years before all that is asked about.
    """

    server: Running
    count: int
    scale: float = 1
    older: int = 0
    one: Connection = field(init=False)
    eight: list[Connection] = field(init=False)
    new: list[str] = field(default_factory=list)
    made: int = 0
    turn: int = 0

    def __post_init__(self) -> None:
        self.one = Connection(self.server.login.port)
        self.eight = [Connection(self.server.login.port) for _ in range(_CONNECTIONS)]

    def times(self, wanted: int) -> int:
        """How many requests a series has."""
        return max(3, round(wanted * self.scale))

    def path(self, name: str = "") -> str:
        """The path of the calendar, or of an object in it."""
        return self.server.calendar + name

    def some(self, wanted: int) -> list[str]:
        """Names of events, others in every turn and the same for every server."""
        self.turn += 1
        chosen = random.Random(self.turn)
        return [self._name(chosen.randrange(self.count + self.older)) for _ in range(wanted)]

    def _name(self, number: int) -> str:
        return events.name_of(number) if number < self.count else events.older_name_of(number - self.count)

    def names(self) -> set[str]:
        """The names of all events."""
        return set(map(self._name, range(self.count + self.older)))

    def text(self, name: str, summary: str) -> bytes:
        """An event as it was put, with another summary."""
        number = int(name[6:12])
        if name == events.name_of(number):
            return events.event(number, self.count, summary=summary)
        return events.older(number, self.older, summary=summary)

    def put(self, name: str, body: bytes, **headers: str) -> bytes:
        """A PUT into the calendar."""
        sent = {"Content_Type": "text/calendar; charset=utf-8", **headers}
        return self.server.login.request("PUT", self.path(name), body, **sent)

    def xml(self, method: str, body: str, depth: str) -> bytes:
        """A PROPFIND or REPORT on the calendar."""
        return self.server.login.request(method, self.path(), body, Content_Type=_XML, Depth=depth)

    def fill(self, report: Callable[[int], None]) -> None:
        """Makes the calendar and puts the events into it. Raises WrongAnswer."""
        self.server.make_calendar(self.one)
        batch: list[bytes] = []
        for number, (name, body) in enumerate(events.events(self.count), 1):
            batch.append(self.put(name, body))
            if len(batch) == 200 or number == self.count:
                _, answers = side_by_side(self.eight[:2], batch)
                expect(answers, {201, 204})
                report(len(batch))
                batch = []


def expect(answers: Sequence[Answer], statuses: set[int]) -> None:
    """Raises WrongAnswer where an answer has another status."""
    for answer in answers:
        if answer.status not in statuses:
            raise WrongAnswer(f"{answer.status}: {answer.body[:200].decode('utf-8', 'replace')}")


def _expect_members(answers: Sequence[Answer], names: set[str] | None, count: int, vevents: int | None = None) -> None:
    """Every answer is a multistatus about ``names`` (None: any) with ``count`` responses, and so many VEVENTs."""
    expect(answers, {207})
    for answer in answers:
        found = len(_RESPONSE.findall(answer.body))
        if found != count:
            raise WrongAnswer(f"{found} responses instead of {count}")
        if vevents is not None and answer.body.count(b"BEGIN:VEVENT") != vevents:
            raise WrongAnswer(f"{answer.body.count(b'BEGIN:VEVENT')} VEVENTs instead of {vevents}")
    if names is not None:
        told = {href.decode().rpartition("/")[2] for href in _HREF.findall(answers[0].body)} - {""}
        if told != names:
            raise WrongAnswer(f"{len(told - names)} members too many, {len(names - told)} missing")


# --- writing ---------------------------------------------------------------------------------------------------------


def _new(stage: Stage, wanted: int) -> list[bytes]:
    requests = []
    for _ in range(wanted):
        stage.made += 1
        # Far from the weeks that are asked for, so that their answers stay what they are.
        body = events.event(3, 10**6).replace(b"000003@bench", f"new-{stage.made}@bench".encode())
        requests.append(stage.put(f"new-{stage.made:06}.ics", body, If_None_Match="*"))
    return requests


def put_new(stage: Stage) -> Spent:
    """PUT of events that are not there yet, on one connection."""
    first = stage.made
    spent, answers = one_by_one(stage.one, _new(stage, stage.times(150)), seconds=_SECONDS)
    stage.new += [f"new-{first + number + 1:06}.ics" for number in range(len(answers))]
    expect(answers, {201})
    return spent


def put_new_8(stage: Stage) -> Spent:
    """The same on eight connections."""
    first = stage.made
    spent, answers = side_by_side(stage.eight, _new(stage, stage.times(300)), seconds=_SECONDS)
    stage.new += [f"new-{first + number + 1:06}.ics" for number in range(len(answers))]
    expect(answers, {201})
    return spent


def put_update(stage: Stage) -> Spent:
    """PUT over an event with If-Match; its ETag is asked for before, outside the clock."""
    names = list(dict.fromkeys(stage.some(stage.times(150))))
    _, known = one_by_one(stage.one, [stage.server.login.request("GET", stage.path(name)) for name in names])
    expect(known, {200})
    requests = []
    for name, answer in zip(names, known, strict=True):
        body = stage.text(name, f"Changed {stage.turn}")
        requests.append(stage.put(name, body, If_Match=answer.header("ETag") or "*"))
    spent, answers = one_by_one(stage.one, requests, seconds=_SECONDS)
    expect(answers, {200, 201, 204})
    return spent


def delete(stage: Stage) -> Spent:
    """DELETE of what the series of new ones have left."""
    names, stage.new = stage.new, []
    requests = [stage.server.login.request("DELETE", stage.path(name)) for name in names]
    kept = len(requests)
    spent, answers = one_by_one(stage.one, requests[: stage.times(150)], seconds=_SECONDS)
    expect(answers, {200, 204})
    _, rest = side_by_side(stage.eight[:2], requests[len(answers) : kept])
    expect(rest, {200, 204})
    return spent


# --- reading ---------------------------------------------------------------------------------------------------------


def get_1(stage: Stage) -> Spent:
    """GET of events, on one connection."""
    requests = [stage.server.login.request("GET", stage.path(name)) for name in stage.some(stage.times(600))]
    spent, answers = one_by_one(stage.one, requests, seconds=_SECONDS)
    _expect_event(answers)
    return spent


def get_8(stage: Stage) -> Spent:
    """The same on eight connections."""
    requests = [stage.server.login.request("GET", stage.path(name)) for name in stage.some(stage.times(2000))]
    spent, answers = side_by_side(stage.eight, requests, seconds=_SECONDS)
    _expect_event(answers)
    return spent


def _expect_event(answers: Sequence[Answer]) -> None:
    expect(answers, {200})
    if not all(b"END:VCALENDAR" in answer.body for answer in answers):
        raise WrongAnswer("a GET without the event")


_POLL: Final = f"<D:propfind {_DAV}><D:prop><CS:getctag/><D:sync-token/></D:prop></D:propfind>"


def poll_1(stage: Stage) -> Spent:
    """PROPFIND Depth 0 for ctag and sync-token: what every client asks every few minutes."""
    spent, answers = one_by_one(stage.one, [stage.xml("PROPFIND", _POLL, "0")] * stage.times(500), seconds=_SECONDS)
    _expect_members(answers, None, 1)
    return spent


def poll_8(stage: Stage) -> Spent:
    """The same on eight connections."""
    spent, answers = side_by_side(
        stage.eight, [stage.xml("PROPFIND", _POLL, "0")] * stage.times(2000), seconds=_SECONDS
    )
    _expect_members(answers, None, 1)
    return spent


def propfind(stage: Stage) -> Spent:
    """PROPFIND Depth 1: the ETags of all events."""
    body = f"<D:propfind {_DAV}><D:prop><D:getetag/></D:prop></D:propfind>"
    spent, answers = one_by_one(stage.one, [stage.xml("PROPFIND", body, "1")] * stage.times(3), seconds=_SECONDS)
    expect(answers, {207})
    own = stage.server.calendar.rstrip("/").rpartition("/")[2]
    told = {href.decode().rstrip("/").rpartition("/")[2] for href in _HREF.findall(answers[0].body)} - {own}
    if told != stage.names():
        raise WrongAnswer(f"{len(told)} members instead of {stage.count + stage.older}")
    return spent


def _multiget(stage: Stage, names: Sequence[str]) -> bytes:
    hrefs = "".join(f"<D:href>{stage.path(name)}</D:href>" for name in names)
    body = f"<C:calendar-multiget {_DAV}><D:prop><D:getetag/><C:calendar-data/></D:prop>{hrefs}</C:calendar-multiget>"
    return stage.xml("REPORT", body, "1")


def _multigets(stage: Stage, size: int, times: int) -> Spent:
    size = min(size, stage.count)
    chosen = random.Random(size)
    names = [events.name_of(number) for number in chosen.sample(range(stage.count), size)]
    vevents = sum(1 + (int(name[6:12]) % 10 == 2) for name in names)
    spent, answers = one_by_one(stage.one, [_multiget(stage, names)] * stage.times(times), seconds=_SECONDS)
    _expect_members(answers, set(names), size, vevents)
    return spent


def multiget_50(stage: Stage) -> Spent:
    """calendar-multiget of 50 events with their data."""
    return _multigets(stage, 50, 40)


def multiget_1000(stage: Stage) -> Spent:
    """calendar-multiget of 1,000 events with their data."""
    return _multigets(stage, 1000, 5)


def _query(stage: Stage, prop: str, span: tuple[str, str]) -> bytes:
    end = f' end="{span[1]}"' if span[1] else ""
    times = f'<C:time-range start="{span[0]}"{end}/>'
    inner = f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{times}</C:comp-filter></C:comp-filter>'
    body = f"<C:calendar-query {_DAV}><D:prop>{prop}</D:prop><C:filter>{inner}</C:filter></C:calendar-query>"
    return stage.xml("REPORT", body, "1")


def query_week(stage: Stage) -> Spent:
    """calendar-query for the events of a week, with their data."""
    right = events.matching(stage.count, events.WEEK)
    request = _query(stage, "<D:getetag/><C:calendar-data/>", events.WEEK)
    spent, answers = one_by_one(stage.one, [request] * stage.times(8), seconds=_SECONDS)
    _expect_members(answers, set(right), len(right), sum(right.values()))
    return spent


def query_onward(stage: Stage) -> Spent:
    """calendar-query for the ETags of all events from a day on."""
    right = events.matching(stage.count, events.ONWARD)
    request = _query(stage, "<D:getetag/>", (events.ONWARD[0], ""))
    spent, answers = one_by_one(stage.one, [request] * stage.times(8), seconds=_SECONDS)
    _expect_members(answers, set(right), len(right))
    return spent


def query_month(stage: Stage) -> Spent:
    """calendar-query for the ETags of the events of a month."""
    right = events.matching(stage.count, events.MONTH)
    spent, answers = one_by_one(
        stage.one, [_query(stage, "<D:getetag/>", events.MONTH)] * stage.times(8), seconds=_SECONDS
    )
    _expect_members(answers, set(right), len(right))
    return spent


def free_busy(stage: Stage) -> Spent:
    """free-busy-query for a month."""
    return _free_busy(stage, events.MONTH)


def free_busy_past(stage: Stage) -> Spent:
    """free-busy-query for a month that is past: no server keeps an answer to that in stock."""
    return _free_busy(stage, events.PAST_MONTH)


def _free_busy(stage: Stage, span: tuple[str, str]) -> Spent:
    start, end = span
    body = f'<C:free-busy-query {_DAV}><C:time-range start="{start}" end="{end}"/></C:free-busy-query>'
    spent, answers = one_by_one(stage.one, [stage.xml("REPORT", body, "1")] * stage.times(8), seconds=_SECONDS)
    expect(answers, {200})
    if _busy_in(answers[0].body) != events.busy(stage.count, span):
        raise WrongAnswer("other busy periods than the events have")
    return spent


def _busy_in(body: bytes) -> list[tuple[datetime, datetime]]:
    text = body.decode().replace("\r\n ", "").replace("\n ", "")
    lines = [line for line in text.splitlines() if line.startswith("FREEBUSY")]
    return events.joined([_period(*found) for line in lines for found in _PERIOD.findall(line)])


def _period(start: str, end: str) -> tuple[datetime, datetime]:
    low = events.instant(start)
    if not end.startswith("P"):
        return low, events.instant(end)
    found = _DURATION.fullmatch(end)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0,) * 5
    return low, low + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


# --- sync ------------------------------------------------------------------------------------------------------------


def _sync(stage: Stage, token: str) -> bytes:
    body = (
        f"<D:sync-collection {_DAV}><D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level>"
        "<D:prop><D:getetag/></D:prop></D:sync-collection>"
    )
    return stage.xml("REPORT", body, "0")


def _token_of(answer: Answer) -> str:
    found = _TOKEN.findall(answer.body)
    if not found:
        raise WrongAnswer("no sync-token")
    return str(found[-1].decode())


def sync_initial(stage: Stage) -> Spent:
    """sync-collection from the beginning: the ETags of all events."""
    spent, answers = one_by_one(stage.one, [_sync(stage, "")] * stage.times(3), seconds=_SECONDS)
    expect(answers, {207})
    told = {href.decode().rpartition("/")[2] for href in _HREF.findall(answers[0].body)} - {""}
    if told != stage.names():
        raise WrongAnswer(f"{len(told)} members instead of {stage.count + stage.older}")
    return spent


def sync_one(stage: Stage) -> Spent:
    """sync-collection after one change, which is made outside the clock."""
    each: list[float] = []
    wall = client = 0.0
    token = _token_of(stage.one.ask(stage.xml("PROPFIND", _POLL, "0")))
    for name in stage.some(stage.times(20)):
        expect([stage.one.ask(stage.put(name, stage.text(name, f"Synced {stage.turn}")))], {200, 201, 204})
        spent, answers = one_by_one(stage.one, [_sync(stage, token)])
        _expect_members(answers, {name}, 1)
        token = _token_of(answers[0])
        each += spent.each
        wall, client = wall + spent.wall, client + spent.client
    return Spent(each, wall, client)


def sync_none(stage: Stage) -> Spent:
    """sync-collection when nothing has changed."""
    token = _token_of(stage.one.ask(stage.xml("PROPFIND", _POLL, "0")))
    spent, answers = one_by_one(stage.one, [_sync(stage, token)] * stage.times(40), seconds=_SECONDS)
    _expect_members(answers, set(), 0)
    return spent


def first_sync(stage: Stage) -> Spent:
    """All that a new client does: sync-collection, then every event in batches of 50."""
    names = sorted(stage.names())
    requests = [_sync(stage, "")]
    requests += [_multiget(stage, names[place : place + 50]) for place in range(0, len(names), 50)]
    spent, answers = one_by_one(stage.one, requests)
    expect(answers, {207})
    found = sum(answer.body.count(b"BEGIN:VEVENT") for answer in answers)
    wanted = sum(1 + (int(name[6:12]) % 10 == 2) for name in names)
    if found != wanted:
        raise WrongAnswer(f"{found} VEVENTs instead of {wanted}")
    return Spent([spent.wall], spent.wall, spent.client)


def free_busy_50(stage: Stage) -> Spent:
    """POST of a VFREEBUSY to the outbox about 50 people and a month."""
    people = stage.server.people
    start, end = events.MONTH
    asked = "".join(f"ATTENDEE:{address}\r\n" for address in people)
    body = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//bench//EN\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\n"
        f"UID:bench-free-busy\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDTEND:{end}\r\n"
        f"ORGANIZER:{people[0]}\r\n{asked}END:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    )
    request = stage.server.login.request("POST", stage.server.outbox, body, Content_Type="text/calendar; charset=utf-8")
    spent, answers = one_by_one(stage.one, [request] * stage.times(10), seconds=_SECONDS)
    expect(answers, {200})
    for answer in answers:
        told = answer.body.count(b"BEGIN:VFREEBUSY"), len(_RESPONSE.findall(answer.body))
        if told != (len(people), len(people)):
            raise WrongAnswer(f"{told[0]} answers about {len(people)} people")
    return spent


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """A line of the table: ``rate`` counts requests a second, ``time`` milliseconds a request."""

    title: str
    measure: Literal["rate", "time"]
    run: Callable[[Stage], Spent]
    #: What a server has to be able to do for it.
    needs: str = ""
    #: Rounds are so many of those asked for, at least one.
    share: float = 1


WORKLOADS: Final = (
    Workload("PUT, new, 1 connection", "rate", put_new),
    Workload("PUT, new, 8 connections", "rate", put_new_8),
    Workload("PUT, changed, If-Match", "rate", put_update),
    Workload("DELETE", "rate", delete),
    Workload("GET, 1 connection", "rate", get_1),
    Workload("GET, 8 connections", "rate", get_8),
    Workload("poll, 1 connection", "rate", poll_1),
    Workload("poll, 8 connections", "rate", poll_8),
    Workload("PROPFIND Depth 1, all ETags", "time", propfind),
    Workload("multiget of 50", "time", multiget_50),
    Workload("multiget of 1,000", "time", multiget_1000),
    Workload("query of a week, data", "time", query_week),
    Workload("query of a month, ETags", "time", query_month),
    Workload("free-busy-query of a month", "time", free_busy),
    Workload("sync, from the beginning", "time", sync_initial, needs="sync"),
    Workload("sync, one change", "time", sync_one, needs="sync"),
    Workload("sync, nothing new", "time", sync_none, needs="sync"),
    Workload("whole first sync", "time", first_sync, needs="sync", share=0.34),
    Workload("free/busy POST, 50 people", "time", free_busy_50, needs="scheduling"),
)
