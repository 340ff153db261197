"""The command line of ``make bench``."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from conformance import server
from conformance.benchmark import growth, scaling
from conformance.benchmark.peers import PEERS, Missing, Running, caldavd, running
from conformance.benchmark.report import Figures, chart, ratio, table
from conformance.benchmark.wire import Connection, Login, Spent, WrongAnswer, one_by_one, side_by_side
from conformance.benchmark.workloads import WORKLOADS, Stage, Workload

RESULTS: Final = Path(__file__).parents[1] / "results"
_HELLO: Final = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


def progress(words: str, done: int, of: int) -> None:
    """One line that is written over, on a terminal; a line each elsewhere, when something is done."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // max(of, 1))
        print(f"\r{words:50} [{bar:30}] {done}/{of} ", end="" if done < of else "\n", file=sys.stderr, flush=True)
    elif done >= of:
        print(f"{words}: {of}", file=sys.stderr, flush=True)


def machine(seconds: float) -> list[str]:
    """What this machine can do at the most: a two-line WSGI application, and durable commits of one small row."""
    port = server.free_port()
    with tempfile.TemporaryDirectory(prefix="caldavd-bench-") as folder:
        (Path(folder) / "hello.py").write_text(_HELLO, "utf-8")
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--no-access-log"]
        with running([*command, "--log-level", "error", "hello:application"], Path(folder), port):
            request = Login(port, "user01", "user01").request("GET", "/")
            one, _ = one_by_one(Connection(port), [request] * 10**6, seconds=seconds)
            eight, _ = side_by_side([Connection(port) for _ in range(8)], [request] * 10**6, seconds=seconds)
        commits = _commits(Path(folder) / "rows.db", seconds)
    rates = [f"{len(spent.each) / spent.wall:,.0f}/s" for spent in (one, eight)]
    return [
        f"A two-line WSGI application under granian answers {rates[0]} on one connection, {rates[1]} on eight.",
        f"SQLite (WAL, synchronous=FULL) commits {commits:,.0f} small rows a second.",
    ]


def _commits(path: Path, seconds: float) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        database.execute("INSERT INTO t (x) VALUES ('some words')")
        count += 1
    database.close()
    return count / seconds


def filled(found: Running, count: int, scale: float) -> Stage:
    """The server with its events. Raises WrongAnswer."""
    stage = Stage(found, count, scale)
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress(f"filling {found.name}", done, count)

    stage.fill(told)
    return stage


def measure(stages: Sequence[Stage], rounds: int, chosen: Sequence[Workload]) -> dict[str, dict[str, Figures]]:
    """All workloads in ``rounds`` rounds, each going from server to server."""
    results: dict[str, dict[str, Figures]] = {workload.title: {} for workload in chosen}
    steps = rounds * len(chosen)
    for number in range(rounds):
        for place, workload in enumerate(chosen):
            if number >= max(1, round(rounds * workload.share)):
                continue
            for stage in stages:
                if not workload.needs or workload.needs in stage.server.can:
                    _once(stage, workload, results[workload.title].setdefault(stage.server.name, Figures()))
            progress(f"round {number + 1}: {workload.title}", number * len(chosen) + place + 1, steps)
    return results


def _once(stage: Stage, workload: Workload, figures: Figures) -> None:
    if figures.wrong:
        return
    try:
        spent: Spent = workload.run(stage)
    except (WrongAnswer, OSError, ValueError) as error:
        figures.wrong = str(error) or type(error).__name__
        for connection in (stage.one, *stage.eight):
            connection.close()
    else:
        figures.rounds.append(spent)


def grown(sizes: Sequence[int], rounds: int, scale: float, only: str) -> list[str]:
    """The report about calendars that grow: a server with one worker for each size."""
    with ExitStack() as stack:
        stages = [growth.filled(stack.enter_context(caldavd(1)), size, scale, progress) for size in sizes]
        chosen = [one for one in (*growth.EVEN, *growth.LISTINGS) if only.lower() in one.title.lower()]
        costs: dict[str, dict[str, Figures]] = {}
        results = measure(stages, rounds, [growth.watched(one, costs) for one in chosen])
        return [
            *growth.told(results, costs, stages, chosen),
            "",
            "Resident memory of the worker:",
            *growth.memory(stages),
        ]


def described(rounds: int) -> list[str]:
    """The machine and what the figures are, in words."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores = f"{os.cpu_count()} cores ({model}), {memory / 2**20:.0f} GiB"
    return [
        f"{cores}, Linux {platform.release()}, Python {platform.python_version()}.",
        f"Median of {rounds} rounds and, in brackets, the milliseconds that 95 of 100 requests stayed under.",
        "`client`: what of the first figure is the client's own CPU, ms a request.",
    ]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def main() -> int:
    """Starts the servers, fills them, measures, prints and keeps the table and the chart."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 events and short series: about two minutes")
    parser.add_argument("--events", type=int, default=10_000, help="events in the calendar (default 10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all servers (default 5)")
    parser.add_argument("--servers", default=",".join(PEERS), help=f"which of {', '.join(PEERS)} (default: all)")
    parser.add_argument("--growth", action="store_true", help="caldavd alone, with calendars of several sizes")
    parser.add_argument("--scaling", action="store_true", help="caldavd alone, with several workers and connections")
    parser.add_argument(
        "--postgresql", default=scaling.POSTGRESQL, help="for --scaling: a server where databases can be made"
    )
    parser.add_argument("--only", default="", help="workloads whose title holds this text")
    parser.add_argument("--keep", action="store_true", help="keep the table and the chart in conformance/results/")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended in this case, too
    count, rounds = (1000, 2) if chosen.quick else (chosen.events, chosen.rounds)
    unknown = set(chosen.servers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"there is no server {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if chosen.growth:
        sizes = growth.SIZES[:2] if chosen.quick else growth.SIZES
        lines = [*described(rounds), *grown(sizes, rounds, 0.3 if chosen.quick else 1, chosen.only)]
        return _done(lines, "growth", keep=chosen.keep)
    if chosen.scaling:
        scale = 0.3 if chosen.quick else 1
        lines = [*described(rounds)[:1], *scaling.told(rounds, scale, chosen.postgresql, progress)]
        return _done(lines, "scaling", keep=chosen.keep)
    workloads = [one for one in WORKLOADS if chosen.only.lower() in one.title.lower()]
    lines = [f"{count:,} events in one calendar. `ratio`: to the best of the others.", *described(rounds)]
    lines += machine(1 if chosen.quick else 3)
    with ExitStack() as stack:
        stages = []
        for name in chosen.servers.split(","):
            try:
                found = stack.enter_context(PEERS[name]())
                stages.append(filled(found, count, 0.3 if chosen.quick else 1))
            except (Missing, WrongAnswer, OSError, subprocess.SubprocessError) as error:
                lines.append(f"Not measured: {name}: {error}")
        results = measure(stages, rounds, workloads)
        names = [stage.server.name for stage in stages]
        memory = ", ".join(f"{stage.server.name} {stage.server.memory() / 2**20:.0f} MB" for stage in stages)
        lines += ["", table(workloads, results, names), "", f"Memory of the largest process after the run: {memory}."]
        ratios = [times for one in workloads if (times := ratio(one, results, names[0], names)) is not None]
        if ratios:
            lines.append(f"Median ratio {statistics.median(ratios):.1f} x, smallest {min(ratios):.1f} x.")
    if chosen.keep:
        (RESULTS / "bench.svg").write_text(chart(workloads, results, names), "utf-8")
    return _done(lines, "bench", keep=chosen.keep)


def _done(lines: Sequence[str], name: str, *, keep: bool) -> int:
    text = "\n".join(lines) + "\n"
    print(text)
    if keep:
        (RESULTS / f"{name}.txt").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
