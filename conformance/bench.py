"""`make bench`: what requests cost, here and on Radicale beside it, on the same machine one after the other.

One client on one connection writes and reads a calendar of EVENTS events, then four clients write at once. Each server
has an empty store of its own; authentication is on (each with a cheap hash, so that the calendar work is measured). The
figures go to `conformance/results/bench.txt`; they say something of this machine at that moment, and which server is
faster.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from conformance import server

EVENTS = 500
WRITERS = 4
RESULTS = Path(__file__).parent / "results" / "bench.txt"
_DAV = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'


@dataclass
class Client:
    """One kept connection of one user."""

    port: int
    user: str = "user01"
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        """Connects."""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> bytes:
        """The body of an answer. Raises RuntimeError for a status that is no success."""
        credentials = base64.b64encode(f"{self.user}:{self.user}".encode()).decode()
        sent = {"Authorization": f"Basic {credentials}", **headers}
        self.connection.request(method, path, body.encode(), sent)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status}: {answer[:300]!r}")
        return answer


def event(number: int, owner: str) -> str:
    """An event as clients send them: a zone, an alarm, some text; every tenth recurs."""
    day = 1 + number % 28
    rule = "RRULE:FREQ=WEEKLY;COUNT=20\r\n" if number % 10 == 0 else ""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n"
        "BEGIN:DAYLIGHT\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nDTSTART:19700329T020000\r\n"
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nBEGIN:STANDARD\r\nTZOFFSETFROM:+0200\r\n"
        "TZOFFSETTO:+0100\r\nTZNAME:CET\r\nDTSTART:19701025T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\n"
        "END:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n"
        f"UID:{owner}-{number}@bench\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART;TZID=Europe/Berlin:2026{1 + number % 12:02}{day:02}T{8 + number % 10:02}0000\r\nDURATION:PT1H\r\n"
        f"{rule}SUMMARY:Meeting {number}\r\nDESCRIPTION:{'Some words about it. ' * 10}\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Soon\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def measure(port: int, home: str) -> dict[str, float]:
    """Milliseconds a request (median), and writes a second of several clients at once; `home` is a path with `%s`."""
    client = Client(port)
    path = home % client.user + "bench/"
    client.ask("MKCALENDAR", path)
    figures: dict[str, float] = {}

    def timed(name: str, times: int, work: Callable[[int], object]) -> None:
        spent = []
        for number in range(times):
            began = time.perf_counter()
            work(number)
            spent.append((time.perf_counter() - began) * 1000)
        figures[name] = statistics.median(spent)

    calendar = {"Content-Type": "text/calendar; charset=utf-8"}
    xml = {"Content-Type": "application/xml; charset=utf-8", "Depth": "1"}
    etag = "<D:prop><D:getetag/></D:prop>"
    timed("PUT, new", EVENTS, lambda n: client.ask("PUT", f"{path}{n}.ics", event(n, "one"), **calendar))
    timed(
        "PUT, changed",
        200,
        lambda n: client.ask("PUT", f"{path}{n}.ics", event(n, "one").replace("Some", "Other"), **calendar),
    )
    timed("GET", 200, lambda n: client.ask("GET", f"{path}{n}.ics"))
    timed(
        "PROPFIND, all ETags",
        10,
        lambda _: client.ask("PROPFIND", path, f"<D:propfind {_DAV}>{etag}</D:propfind>", **xml),
    )
    level = "<D:sync-level>1</D:sync-level>"
    sync = f"<D:sync-collection {_DAV}><D:sync-token>%s</D:sync-token>{level}{etag}</D:sync-collection>"
    timed("sync, from the beginning", 10, lambda _: client.ask("REPORT", path, sync % "", **xml))
    token = client.ask("REPORT", path, sync % "", **xml).decode().rpartition("sync-token>")[0].rpartition(">")[2]
    token = token.removesuffix("</").partition("<")[0]
    timed("sync, nothing new", 50, lambda _: client.ask("REPORT", path, sync % token, **xml))
    hrefs = "".join(f"<D:href>{path}{n}.ics</D:href>" for n in range(100))
    multiget = (
        f"<C:calendar-multiget {_DAV}><D:prop><D:getetag/><C:calendar-data/></D:prop>{hrefs}</C:calendar-multiget>"
    )
    timed("multiget of 100", 20, lambda _: client.ask("REPORT", path, multiget, **xml))
    span = '<C:time-range start="20260601T000000Z" end="20260608T000000Z"/>'
    comp = f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{span}</C:comp-filter></C:comp-filter>'
    query = f"<C:calendar-query {_DAV}>{etag}<C:filter>{comp}</C:filter></C:calendar-query>"
    timed("query of a week", 10, lambda _: client.ask("REPORT", path, query, **xml))
    figures[f"PUTs a second, {WRITERS} clients"] = _parallel(port, home)
    return figures


def _parallel(port: int, home: str) -> float:
    clients = [Client(port, f"user{number:02}") for number in range(2, 2 + WRITERS)]
    paths = [home % client.user + "bench/" for client in clients]
    for client, path in zip(clients, paths, strict=True):
        client.ask("MKCALENDAR", path)

    def write(place: int) -> None:
        client, path = clients[place], paths[place]
        for number in range(EVENTS // WRITERS):
            text = event(number, client.user)
            client.ask("PUT", f"{path}{number}.ics", text, **{"Content-Type": "text/calendar; charset=utf-8"})

    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    return EVENTS / (time.perf_counter() - began)


@contextmanager
def radicale() -> Iterator[int]:
    """Radicale with its own file storage and its defaults, plain passwords, on a free port."""
    folder = Path(tempfile.mkdtemp(prefix="caldavd-bench-"))
    port = server.free_port()
    users = "".join(f"user{number:02}:user{number:02}\n" for number in range(1, 41))
    (folder / "users").write_text(users, "utf-8")
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\n"
        f"htpasswd_encryption = plain\n[storage]\nfilesystem_folder = {folder}/collections\n[logging]\nlevel = error\n",
        "utf-8",
    )
    process = subprocess.Popen([sys.executable, "-m", "radicale", "--config", str(folder / "config")])
    try:
        for _ in range(200):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).request("GET", "/.web/")
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """The command line."""
    argparse.ArgumentParser(prog="python -m conformance.bench", description=__doc__).parse_args()
    columns: dict[str, dict[str, float]] = {}
    with server.start() as running:
        columns["caldavd"] = measure(int(urlsplit(running.url).port or 0), "/calendars/%s/")
    with radicale() as port:
        columns[f"Radicale {version('Radicale')}"] = measure(port, "/%s/")
    lines = [
        f"{EVENTS} events of about 1.1 KB; Python {platform.python_version()}, one process each.",
        "caldavd keeps them in SQLite with synchronous=FULL, Radicale in files.",
        "Milliseconds a request (median) on one connection; the last line is requests a second.",
        "",
        f"{'':28}" + "".join(f"{name:>18}" for name in columns),
    ]
    names = next(iter(columns.values()))
    lines += [f"{name:28}" + "".join(f"{figures[name]:18.2f}" for figures in columns.values()) for name in names]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
