"""Many clients at once on three workers, one of which is killed: no update is lost, and no token tells a wrong story.

Programs on one user's two calendars, each over a connection of its own:

- *counters* add one to their place in an event that all of them change, with ``If-Match``;
- *makers* make, change, move and remove events of their own, and look whether what was acknowledged is there;
- *walkers* follow a calendar by sync-collection, in pages of any size, also from a token and a listing that they read;
- *observers* list a calendar and note which content a ctag stands for.

``CALDAVD_TEST_LOAD_SECONDS`` makes it longer.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from conformance import server as throwaway
from tests.caldavd.client import DECLARATIONS, Answer, basic, event
from tests.caldavd.mirror import Mirror
from tests.storage.databases import KINDS, Databases

SECONDS: Final = float(os.environ.get("CALDAVD_TEST_LOAD_SECONDS", "3"))
WORKERS: Final = 3
HOME: Final = "/calendars/user01/"
CALENDARS: Final = (f"{HOME}calendar/", f"{HOME}second/")
COUNTER: Final = f"{CALENDARS[0]}counter.ics"
_AUTH: Final = basic("user01")
#: How long the server may take to answer, and to start a worker anew.
_PATIENCE: Final = 60
#: Who only reads lets the others come to their writes, seconds.
_PAUSE: Final = 0.02
#: granian gives up where a worker ends so soon after it was started anew, seconds.
_BETWEEN_KILLS: Final = 7

pytestmark = pytest.mark.timeout(SECONDS + 240)


class Lost(Exception):
    """No answer came: whatever was asked for may have been done."""


@dataclass
class Program:
    """A client with one connection; the same ``seed`` makes the same choices."""

    port: int
    seed: int
    over: Event
    chance: random.Random = field(init=False)
    _connection: http.client.HTTPConnection | None = None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def ask(self, method: str, path: str, body: str = "", /, **headers: str) -> Answer:
        """Asks, again where the server is busy. Raises Lost."""
        named = {"Authorization": _AUTH} | {name.replace("_", "-"): value for name, value in headers.items()}
        while True:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
            try:
                self._connection.request(method, path, body.encode() or None, named)
                response = self._connection.getresponse()
                titled = {name.title(): value for name, value in response.headers.items()}
                answer = Answer(response.status, titled, response.read())
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise Lost from error
            assert answer.status < 500 or answer.status in (503, 507), (method, path, answer)
            if answer.status != 503:
                return answer

    def read(self, method: str, path: str, body: str = "", /, **headers: str) -> Answer:
        """Asks what changes nothing, as often as it takes."""
        for _ in range(20):
            try:
                return self.ask(method, path, body, **headers)
            except Lost:
                time.sleep(0.1)
        raise AssertionError("the server does not answer any more")

    def put(self, path: str, text: str, **headers: str) -> Answer:
        """PUT of an event. Raises Lost."""
        return self.ask("PUT", path, text, Content_Type="text/calendar; charset=utf-8", **headers)

    def propfind(self, path: str, props: str, depth: int) -> Answer:
        body = f"<D:propfind {DECLARATIONS}><D:prop>{props}</D:prop></D:propfind>"
        answer = self.read("PROPFIND", path, body, Depth=str(depth), Content_Type="application/xml")
        assert answer.status == 207, answer
        return answer

    def etags(self, calendar: str) -> dict[str, str]:
        """What a listing says."""
        found = {}
        for response in self.propfind(calendar, "<D:getetag/>", 1).xpath("/D:multistatus/D:response"):
            href = response.findtext("{DAV:}href")
            if href != calendar:
                found[href] = response.findtext("{DAV:}propstat/{DAV:}prop/{DAV:}getetag")
        return found

    def told(self, calendar: str, name: str) -> str:
        """The text of one property of a calendar."""
        prop = self.propfind(calendar, f"<{name}/>", 0).prop(calendar, name)
        assert prop is not None
        assert prop.text
        return str(prop.text)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# --- counters --------------------------------------------------------------------------------------------------------


def _counting(places: list[int]) -> str:
    return event("counter", extra="".join(f"X-COUNT:{number}\r\n" for number in places))


def _counted(answer: Answer) -> list[int]:
    assert answer.status == 200, answer
    return [int(number) for number in re.findall(rb"X-COUNT:(\d+)", answer.body)]


def add(program: Program, place: int) -> int:
    """Adds one to a place of the counter, again and again; returns how often that was acknowledged."""
    done = 0
    doubtful = False  # whether one more may have been written, without an answer
    while not program.over.is_set():
        answer = program.read("GET", COUNTER)
        places = _counted(answer)
        if doubtful and places[place] == done + 1:
            done, doubtful = done + 1, False
        assert places[place] == done, f"place {place}: {places[place]} is there, {done} were acknowledged"
        places[place] += 1
        try:
            answer = program.put(COUNTER, _counting(places), If_Match=answer.headers["Etag"])
        except Lost:
            doubtful = True
            continue
        assert answer.status in (204, 412), answer
        if answer.status == 204:
            # One that was in doubt cannot be written any more: the ETag that it asked for is gone.
            done, doubtful = done + 1, False
    if doubtful:
        done = _counted(program.read("GET", COUNTER))[place]
    return done


# --- makers ----------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """What one maker has: URL to text, and the URLs of which it does not know."""

    texts: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    acknowledged: int = 0


def make(program: Program, other: Program) -> Made:
    """Makes, changes, moves and removes events of its own; ``other`` looks whether it is so."""
    made = Made()
    fresh = 0
    while not program.over.is_set():
        fresh += 1
        known = sorted(made.texts)
        action = program.chance.choice(("new", "change", "move", "remove")) if len(known) > 5 else "new"
        if action == "new":
            url = f"{program.chance.choice(CALENDARS)}m{program.seed}-{fresh}.ics"
            touched, step = [url], _new(url, event(url.rpartition("/")[2], summary=f"version {fresh}"))
        else:
            url = program.chance.choice(known)
            target = f"{program.chance.choice(CALENDARS)}m{program.seed}-{fresh}.ics"
            touched = [url, target] if action == "move" else [url]
            step = {
                "change": _change(url, re.sub(r"version \d+", f"version {fresh}", made.texts[url])),
                "move": _move(url, target),
                "remove": _remove(url),
            }[action]
        try:
            step(program, made)
        except Lost:
            for one in touched:
                made.texts.pop(one, None)
            made.doubtful.update(touched)
            continue
        made.acknowledged += 1
        for one in touched:
            _is_there(other, one, made.texts.get(one))
    return made


Step = Callable[[Program, Made], None]


def _new(url: str, text: str) -> Step:
    def step(program: Program, made: Made) -> None:
        assert program.put(url, text, If_None_Match="*").status == 201
        made.texts[url] = text

    return step


def _change(url: str, text: str) -> Step:
    def step(program: Program, made: Made) -> None:
        etag = program.read("HEAD", url).headers["Etag"]
        assert program.put(url, text, If_Match=etag).status == 204
        made.texts[url] = text

    return step


def _move(url: str, target: str) -> Step:
    def step(program: Program, made: Made) -> None:
        answer = program.ask("MOVE", url, Destination=f"http://127.0.0.1:{program.port}{target}", Overwrite="F")
        assert answer.status == 201, answer
        made.texts[target] = made.texts.pop(url)

    return step


def _remove(url: str) -> Step:
    def step(program: Program, made: Made) -> None:
        assert program.ask("DELETE", url).status == 204
        del made.texts[url]

    return step


def _is_there(program: Program, url: str, text: str | None) -> None:
    answer = program.read("GET", url)
    found = answer.body.decode() if answer.status == 200 else None
    assert found == text, f"{url}: {answer.status}"


# --- walkers and observers -------------------------------------------------------------------------------------------


def walk(program: Program, calendar: str) -> dict[str, str]:
    """Follows a calendar until all is over, and then once more; returns what it has."""
    mirror = Mirror(calendar, level="1")
    while True:
        last = program.over.wait(_PAUSE)
        begin = program.chance.random()
        if begin < 0.1:
            mirror = Mirror(calendar, level="1")
        elif begin < 0.2:
            # As clients do that list first: the token is older than what they list.
            mirror.token = program.told(calendar, "D:sync-token")
            mirror.has = program.etags(calendar)
        limit = program.chance.choice((None, 1, 3, 20))
        while _page(program, mirror, limit):
            pass
        if last:
            return mirror.has


def _page(program: Program, mirror: Mirror, limit: int | None) -> bool:
    nresults = f"<D:limit><D:nresults>{limit}</D:nresults></D:limit>" if limit else ""
    body = (
        f"<D:sync-collection {DECLARATIONS}><D:sync-token>{mirror.token}</D:sync-token><D:sync-level>1</D:sync-level>"
        f"{nresults}<D:prop><D:getetag/></D:prop></D:sync-collection>"
    )
    answer = program.read("REPORT", mirror.path, body, Depth="0", Content_Type="application/xml")
    assert answer.status == 207, answer
    return mirror.take(answer)


def observe(program: Program, calendar: str) -> dict[str, dict[str, str]]:
    """Lists a calendar; returns what there was of it at each ctag. A ctag that is gone does not come back."""
    seen: dict[str, dict[str, str]] = {}
    now = ""
    while not program.over.wait(_PAUSE):
        before = program.told(calendar, "CS:getctag")
        if before != now:
            assert before not in seen, "a ctag came back"
            now = before
        listed = program.etags(calendar)
        if program.told(calendar, "CS:getctag") == before:
            assert seen.setdefault(before, listed) == listed, "one ctag for two contents"
    return seen


# --- the test --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    found = Databases(tmp_path_factory.mktemp("databases"))
    yield found
    found.drop()


def _workers(pid: int) -> list[int]:
    """The processes of a server that answer requests."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [int(child) for child in children if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]


def _kill_one(running: throwaway.Server, chance: random.Random) -> None:
    """Kills a worker, and waits until there is another one."""
    before = _workers(running.process.pid)
    assert len(before) == WORKERS
    os.kill(chance.choice(before), signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE
    while len(now := _workers(running.process.pid)) < WORKERS or now == before:
        assert time.monotonic() < deadline, "no worker was started anew"
        time.sleep(0.1)


def _disturb(running: throwaway.Server, tasks: Sequence[Future[Any]]) -> None:
    """Lets the programs run for a while; a worker is killed in the middle of it, in a longer run again and again."""
    chance = random.Random(7)
    end = time.monotonic() + SECONDS
    time.sleep(SECONDS / 2 if SECONDS < 2 * _BETWEEN_KILLS else _BETWEEN_KILLS)
    while not any(task.done() for task in tasks):
        _kill_one(running, chance)
        time.sleep(max(0.5, min(_BETWEEN_KILLS, end - time.monotonic())))
        if time.monotonic() >= end:
            break


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost(kind: str, databases: Databases) -> None:
    written, over = Event(), Event()
    quiet = {"CALDAVD_LOGGING__ACCESS": "false"}
    with (
        throwaway.start(workers=WORKERS, database=databases.url(kind), variables=quiet) as running,
        ExitStack() as ends,
    ):
        log = running.folder / "server.log"
        ends.callback(lambda: print(log.read_text("utf-8")))  # noqa: T201 - seen where this fails
        port = int(urlsplit(running.url).port or 0)
        seeds = count()

        def program(until: Event = over) -> Program:
            made = Program(port, next(seeds), until)
            ends.callback(made.close)
            return made

        judge = program()
        assert judge.ask("MKCALENDAR", CALENDARS[1]).status == 201
        assert judge.put(COUNTER, _counting([0, 0, 0])).status == 201
        with ThreadPoolExecutor(12) as pool:
            counters = [pool.submit(add, program(written), place) for place in range(3)]
            makers = [pool.submit(make, program(written), program()) for _ in range(3)]
            walkers = [(calendar, pool.submit(walk, program(), calendar)) for calendar in (*CALENDARS, CALENDARS[0])]
            observers = [pool.submit(observe, program(), CALENDARS[0]) for _ in range(2)]
            try:
                _disturb(running, [*counters, *makers, *(task for _, task in walkers), *observers])
                written.set()
                counted = [task.result() for task in counters]
                made = [task.result() for task in makers]
            finally:
                written.set()
                over.set()

        assert sum(counted) > 0
        assert sum(one.acknowledged for one in made) > 0
        assert _counted(judge.read("GET", COUNTER)) == counted

        there = {calendar: judge.etags(calendar) for calendar in CALENDARS}
        everything = {href for etags in there.values() for href in etags}
        known = {href for one in made for href in one.texts}
        doubtful = {href for one in made for href in one.doubtful}
        assert everything - doubtful == known | {COUNTER}
        for one in made:
            for href, text in one.texts.items():
                _is_there(judge, href, text)
        for calendar, task in walkers:
            assert task.result() == there[calendar]
        contents: dict[str, dict[str, str]] = {}
        for seen in (task.result() for task in observers):
            for ctag, content in seen.items():
                assert contents.setdefault(ctag, content) == content, "one ctag for two contents"
        assert len(contents) > 1
        assert "Traceback" not in log.read_text("utf-8")
