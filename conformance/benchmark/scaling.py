"""`make bench BENCH="--scaling"`: what several workers and several connections are worth.

A server for each number of workers and each database, with the same 1,000 events; every round goes from server to
server, and each workload runs on one connection and at once on eight. The client shares the cores with the server, so
what it takes of them is taken off the clock: on one connection nothing runs beside it, so the clock is shorter by the
client's CPU; on eight it took its CPU from all cores, so the clock is shorter by that divided by the number of cores.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from conformance import databases
from conformance.benchmark import workloads
from conformance.benchmark.peers import caldavd
from conformance.benchmark.wire import Spent
from conformance.benchmark.workloads import Stage

#: Where databases are made and dropped unless another server is named.
POSTGRESQL: Final = "postgresql+psycopg://postgres@127.0.0.1/"
WORKERS: Final = (1, 2, 3)
_EVENTS: Final = 1_000
_CORES: Final = os.cpu_count() or 1


class _Pair(NamedTuple):
    """The same requests on one connection and on eight."""

    title: str
    one: Callable[[Stage], Spent]
    eight: Callable[[Stage], Spent]


_PAIRS: Final = (
    _Pair("GET", workloads.get_1, workloads.get_8),
    _Pair("poll", workloads.poll_1, workloads.poll_8),
    _Pair("PUT, new", workloads.put_new, workloads.put_new_8),
)


class Run(NamedTuple):
    """A series, the CPU that the server took for it (seconds), and on how many cores the client's CPU lay."""

    spent: Spent
    server: float
    cores: int

    @property
    def rate(self) -> float:
        """Requests a second, by the clock."""
        return len(self.spent.each) / self.spent.wall

    @property
    def net(self) -> float:
        """Requests a second without what the client took."""
        return len(self.spent.each) / (self.spent.wall - self.spent.client / self.cores)

    @property
    def cost(self) -> float:
        """The server's CPU for a request, milliseconds."""
        return 1000 * self.server / len(self.spent.each)


@dataclass(frozen=True, slots=True)
class _Server:
    """A server, and of each workload the rounds: on one connection, and on eight."""

    database: str
    workers: int
    stage: Stage
    rounds: dict[str, list[tuple[Run, Run]]] = field(default_factory=dict)

    def measure(self, pair: _Pair) -> None:
        """A round of one workload. Raises WrongAnswer."""
        runs = []
        for series, cores in ((pair.one, 1), (pair.eight, _CORES)):
            before = self.stage.server.cpu()
            spent = series(self.stage)
            runs.append(Run(spent, self.stage.server.cpu() - before, cores))
        self.rounds.setdefault(pair.title, []).append((runs[0], runs[1]))

    def line(self, title: str) -> str:
        """Its line of the table of a workload."""
        rounds = self.rounds[title]
        one, eight = ([pair[place] for pair in rounds] for place in (0, 1))
        cells = [
            f"{statistics.median(run.rate for run in one):,.0f}/s",
            f"{statistics.median(run.rate for run in eight):,.0f}/s",
            f"{statistics.median(b.rate / a.rate for a, b in rounds):.1f} x",
            f"{statistics.median(b.net / a.net for a, b in rounds):.1f} x",
            f"{statistics.median(run.cost for run in one):.2f}",
            f"{statistics.median(run.cost for run in eight):.2f}",
        ]
        return f"{f'{title}, {self.database}, workers: {self.workers}':34}" + "".join(f"{cell:>14}" for cell in cells)


def told(rounds: int, scale: float, postgresql: str, progress: Callable[[str, int, int], None]) -> list[str]:
    """The report. ``postgresql`` is the URL of a server on which databases can be made. Raises WrongAnswer."""
    lines = [
        f"{_EVENTS:,} events in one calendar, median of {rounds} rounds. `net`: `8 / 1` without the client's own share",
        f"of the {_CORES} cores (conformance/benchmark/scaling.py says how). `CPU`: caldavd's own, ms a request.",
    ]
    with ExitStack() as stack:
        servers = []
        for workers in WORKERS:
            servers.append(_served(stack, "SQLite", "", workers, scale))
            progress("starting", len(servers), 2 * len(WORKERS))
        try:
            for workers in WORKERS:
                url = stack.enter_context(_database(postgresql))
                servers.append(_served(stack, "PostgreSQL", url, workers, scale))
                progress("starting", len(servers), 2 * len(WORKERS))
        except SQLAlchemyError as error:
            lines.append(f"Not measured: PostgreSQL: {str(getattr(error, 'orig', error)).splitlines()[0]}")
        _measure(servers, rounds, progress)
        columns = ("1 connection", "8 connections", "8 / 1", "net", "CPU, 1", "CPU, 8")
        lines += ["", f"{'':34}" + "".join(f"{name:>14}" for name in columns)]
        lines += [one.line(pair.title) for pair in _PAIRS for one in servers]
    return lines


def _served(stack: ExitStack, name: str, url: str, workers: int, scale: float) -> _Server:
    stage = Stage(stack.enter_context(caldavd(workers, database=url, busy=False)), _EVENTS, scale)
    stage.fill(lambda _: None)
    return _Server(name, workers, stage)


def _measure(servers: Sequence[_Server], rounds: int, progress: Callable[[str, int, int], None]) -> None:
    for number in range(rounds):
        for pair in _PAIRS:
            for one in servers:
                one.measure(pair)
        progress("rounds", number + 1, rounds)


@contextmanager
def _database(server: str) -> Iterator[str]:
    """A database of a PostgreSQL server for the time of the block. Raises SQLAlchemyError."""
    name = f"caldavd_bench_{uuid4().hex[:12]}"
    databases.execute(server, f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        databases.execute(server, f"DROP DATABASE {name} WITH (FORCE)")
