"""`make bench BENCH="--growth"`: what a calendar costs that grows, while the answers stay as they are.

Three calendars have the same ``NEAR`` events, put over HTTP; two have many more, years before (``events.older``), which
``caldavd calendar import`` takes in. Every question of ``EVEN`` is answered by the same number of events in each
calendar, so that it should cost the same; ``LISTINGS`` tell of all members, so that they grow with their number.

What a request costs is told by the clock and in CPU of the server: the second says it also on a machine that has other
things to do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from conformance.benchmark import events, workloads
from conformance.benchmark.peers import Running
from conformance.benchmark.report import Figures, Results, growth_table
from conformance.benchmark.wire import Spent, WrongAnswer
from conformance.benchmark.workloads import Stage, Workload
from conformance.server import environment_of

#: Events that the questions are about, and in the whole calendar.
NEAR: Final = 1_000
SIZES: Final = (1_000, 10_000, 100_000)
#: Events in one import.
_TOGETHER: Final = 5_000

EVEN: Final = (
    Workload("poll", "rate", workloads.poll_1),
    Workload("GET", "rate", workloads.get_1),
    Workload("PUT, new", "rate", workloads.put_new),
    Workload("PUT, changed, If-Match", "rate", workloads.put_update),
    Workload("DELETE", "rate", workloads.delete),
    Workload("multiget of 50", "time", workloads.multiget_50),
    Workload("sync, one change", "time", workloads.sync_one),
    Workload("sync, nothing new", "time", workloads.sync_none),
    Workload("query of a week, data", "time", workloads.query_week),
    Workload("query of a month, ETags", "time", workloads.query_month),
    Workload("query from a day on, ETags", "time", workloads.query_onward),
    Workload("free-busy-query of a month", "time", workloads.free_busy),
    Workload("free-busy-query, month past", "time", workloads.free_busy_past),
    Workload("free/busy POST, 50 people", "time", workloads.free_busy_50),
)
LISTINGS: Final = (
    Workload("PROPFIND Depth 1, all ETags", "time", workloads.propfind, share=0.34),
    Workload("sync, from the beginning", "time", workloads.sync_initial, share=0.34),
)


def filled(found: Running, size: int, scale: float, progress: Callable[[str, int, int], None]) -> Stage:
    """A caldavd with a calendar of so many events. Raises WrongAnswer."""
    found.name = f"{size:,}"
    stage = Stage(found, NEAR, scale, older=size - NEAR)
    stage.fill(lambda _: None)
    done = NEAR
    progress(f"filling {found.name}", done, size)
    with tempfile.TemporaryDirectory(prefix="caldavd-bench-") as folder:
        file = Path(folder) / "older.ics"
        for first in range(0, stage.older, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, stage.older))
            file.write_bytes(b"".join(events.older(number, stage.older) for number in numbers))
            _import(found, file)
            done += len(numbers)
            progress(f"filling {found.name}", done, size)
    return stage


def _import(found: Running, file: Path) -> None:
    calendar = found.calendar.removeprefix("/calendars/").rstrip("/")
    command = [sys.executable, "-m", "caldavd", "--config", str(found.config), "calendar", "import", calendar]
    done = subprocess.run([*command, str(file)], env=environment_of(None), capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswer(f"caldavd calendar import: {done.stdout[-300:]}{done.stderr[-300:]}")


def watched(workload: Workload, costs: dict[str, dict[str, Figures]]) -> Workload:
    """The workload, which also notes in ``costs`` what CPU of the server a request took, with what prepares it."""

    def run(stage: Stage) -> Spent:
        before = stage.server.cpu()
        spent = workload.run(stage)
        used = stage.server.cpu() - before
        figures = costs.setdefault(workload.title, {}).setdefault(stage.server.name, Figures())
        figures.rounds.append(Spent([used / len(spent.each)], used, spent.client))
        return spent

    return replace(workload, run=run)


def memory(stages: Sequence[Stage]) -> list[str]:
    """What each worker had before a listing of all members, and the most that it had meanwhile; a line each."""
    lines = []
    for stage in stages:
        for workload in LISTINGS:
            stage.server.forget_peak()
            before = stage.server.memory()
            workload.run(Stage(stage.server, stage.count, 0, older=stage.older))
            grown = stage.server.peak() - before
            lines.append(
                f"{stage.server.name:>9} events, {workload.title}: {before / 2**20:.0f} MB before, "
                f"{grown / 2**20:+.0f} MB at the most"
            )
    return lines


def told(results: Results, costs: Results, stages: Sequence[Stage], chosen: Sequence[Workload]) -> list[str]:
    """The tables of the ``chosen`` workloads, and what is to be known of them."""
    names = [stage.server.name for stage in stages]
    even, listings = ([one for one in some if one in chosen] for some in (EVEN, LISTINGS))
    cpu = [replace(one, measure="time") for one in (*even, *listings) if one.title in costs]
    return [
        f"Of these events {NEAR:,} are what is asked about; the others lie years before (taken in by an import).",
        "`ratio`: what the largest calendar costs, in what the smallest does.",
        "",
        "The same answer from each:",
        growth_table(even, results, names),
        "",
        f"An answer about every member ({stages[-1].count + stages[-1].older:,} of them in the last):",
        growth_table(listings, results, names),
        "",
        "CPU of the server for a request, with what prepares it (the PUT before a sync, the GET before a change):",
        growth_table(cpu, costs, names),
    ]
