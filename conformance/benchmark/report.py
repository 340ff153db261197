"""The table and the chart of a run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from conformance.benchmark.wire import Spent
from conformance.benchmark.workloads import Workload

_WIDTH: Final = 22


@dataclass(slots=True)
class Figures:
    """What one server needed for one workload; ``wrong`` says why its figure does not count."""

    rounds: list[Spent] = field(default_factory=list)
    wrong: str = ""

    def value(self, workload: Workload) -> float | None:
        """Requests a second or milliseconds a request: the median of the rounds; ``None``: there is none."""
        if self.wrong or not self.rounds:
            return None
        if workload.measure == "rate":
            return statistics.median(len(one.each) / one.wall for one in self.rounds)
        return statistics.median(1000 * statistics.median(one.each) for one in self.rounds)

    def p95(self) -> float:
        """Milliseconds that 95 of 100 requests stayed under."""
        every = sorted(1000 * one for spent in self.rounds for one in spent.each)
        return every[min(len(every) - 1, len(every) * 95 // 100)]

    def client(self) -> float:
        """What the client's own CPU took of it: milliseconds a request."""
        requests = sum(len(one.each) for one in self.rounds)
        return 1000 * sum(one.client for one in self.rounds) / requests


Results = Mapping[str, Mapping[str, Figures]]


def ratio(workload: Workload, results: Results, ours: str, servers: Sequence[str]) -> float | None:
    """How many times better than the best of the others we are; ``None`` where there is nobody to compare with."""
    row = results[workload.title]
    own = row[ours].value(workload) if ours in row else None
    others = [value for name in servers if name != ours and name in row and (value := row[name].value(workload))]
    if own is None or not others:
        return None
    return own / max(others) if workload.measure == "rate" else min(others) / own


def growth(workload: Workload, results: Results, sizes: Sequence[str]) -> float | None:
    """How many times what the first size costs the last one does; ``None`` where one of them is not known."""
    row = results[workload.title]
    first, last = (row[name].value(workload) if name in row else None for name in (sizes[0], sizes[-1]))
    if first is None or last is None:
        return None
    return first / last if workload.measure == "rate" else last / first


def table(workloads: Sequence[Workload], results: Results, servers: Sequence[str]) -> str:
    """A line a workload: each server's median and 95th percentile, and our ratio to the best other one."""
    return _table(workloads, results, servers, lambda workload: ratio(workload, results, servers[0], servers))


def growth_table(workloads: Sequence[Workload], results: Results, sizes: Sequence[str]) -> str:
    """The same for one server with calendars of several sizes, and what the last costs of what the first does."""
    return _table(workloads, results, sizes, lambda workload: growth(workload, results, sizes))


def _table(
    workloads: Sequence[Workload],
    results: Results,
    servers: Sequence[str],
    compared: Callable[[Workload], float | None],
) -> str:
    ours = servers[0]
    lines = [f"{'':30}" + "".join(f"{name:>{_WIDTH}}" for name in servers) + f"{'client':>9}{'ratio':>9}"]
    for workload in workloads:
        row = results[workload.title]
        cells = [_cell(workload, row.get(name)) for name in servers]
        times = compared(workload)
        own = row.get(ours)
        client = f"{own.client():.2f}" if own is not None and own.rounds else ""
        lines.append(
            f"{workload.title:30}"
            + "".join(f"{cell:>{_WIDTH}}" for cell in cells)
            + f"{client:>9}"
            + f"{'' if times is None else f'{times:.1f} x':>9}"
        )
    wrong = [
        f"{name}, {workload.title}: {found.wrong}"
        for workload in workloads
        for name, found in results[workload.title].items()
        if found.wrong
    ]
    return "\n".join([*lines, *(["", "Not counted, because the answer was wrong:", *wrong] if wrong else [])])


def _cell(workload: Workload, figures: Figures | None) -> str:
    if figures is None:
        return "-"
    value = figures.value(workload)
    if value is None:
        return "wrong" if figures.wrong else "-"
    if workload.measure == "rate":
        return f"{value:,.0f}/s ({figures.p95():.1f})"
    return f"{value:,.1f} ms ({figures.p95():.1f})"


_BAR: Final = 22
_LEFT: Final = 230
_SCALE: Final = 400
_COLOURS: Final = ("#1f6feb", "#8b949e", "#d29922", "#a371f7", "#3fb950")


def chart(workloads: Sequence[Workload], results: Results, servers: Sequence[str]) -> str:
    """An SVG: a group a workload, a bar a server; the longest is the best, the others in proportion."""
    parts: list[str] = []
    top = 60
    for workload in workloads:
        values = {
            name: value
            for name in servers
            if name in results[workload.title] and (value := results[workload.title][name].value(workload))
        }
        if not values:
            continue
        speed = {name: value if workload.measure == "rate" else 1 / value for name, value in values.items()}
        best = max(speed.values())
        parts.append(_text(_LEFT - 8, top + _BAR * len(values) / 2 - 2, workload.title, "end"))
        for name, value in values.items():
            length = max(1.0, _SCALE * speed[name] / best)
            colour = _COLOURS[servers.index(name) % len(_COLOURS)]
            parts.append(
                f'<rect x="{_LEFT}" y="{top}" width="{length:.0f}" height="{_BAR - 6}" rx="2" fill="{colour}"/>'
            )
            told = f"{value:,.0f}/s" if workload.measure == "rate" else f"{value:,.1f} ms"
            parts.append(_text(_LEFT + length + 6, top + _BAR - 10, told, "start"))
            top += _BAR
        top += 10
    legend = "".join(
        f'<rect x="{20 + 150 * place}" y="20" width="12" height="12" rx="2" fill="{_COLOURS[place % len(_COLOURS)]}"/>'
        + _text(38 + 150 * place, 30, name, "start")
        for place, name in enumerate(servers)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{top + 10}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>{legend}{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#24292f">{escape(words)}</text>'
