"""Verdicts of the outside suites: what a test said, what was expected of it, and the summary that is kept.

A suite yields one `Verdict` a test. `expected/<suite>.txt` lists the tests that are known not to pass, each with
the reason; every other test is expected to pass. A listed test that passes after all is a surprise too, so that the
list cannot outlive its reasons. Running the suites is in `conformance.run` and the modules of the suites.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Outcome(StrEnum):
    """What a test said. WARN is a pass with a complaint: it has to be listed like a failure."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one test; `test` holds no white space, `note` is one line for people."""

    test: str
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A test that is known to end otherwise than with PASS, and why that is right for now."""

    test: str
    outcomes: frozenset[Outcome]
    reason: str


class ExpectationError(ValueError):
    """A line of an expectations file that cannot be read; names the file and the line."""


def named(text: str) -> str:
    """`text` as the name of a test: letters, digits and `._-`, everything else a hyphen."""
    return re.sub(r"[^\w.]+", "-", text.strip()).strip("-")


def read_deviations(path: Path) -> dict[str, Deviation]:
    """The deviations of one suite, by test; none when the file does not exist.

    A line is `OUTCOME[|OUTCOME…] test reason…`; an empty line and one that begins with `#` say nothing.

    Raises ExpectationError: a line without a reason, with an outcome that does not exist, or a test listed twice.
    """
    deviations: dict[str, Deviation] = {}
    if not path.exists():
        return deviations
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 2)
        if len(parts) != 3:
            raise ExpectationError(f"{path.name}:{number}: a line is OUTCOME, test and reason")
        try:
            outcomes = frozenset(Outcome(part) for part in parts[0].split("|"))
        except ValueError as error:
            raise ExpectationError(f"{path.name}:{number}: {error}") from error
        if parts[1] in deviations:
            raise ExpectationError(f"{path.name}:{number}: {parts[1]} is listed twice")
        deviations[parts[1]] = Deviation(parts[1], outcomes, parts[2].strip())
    return deviations


def surprises(verdicts: Iterable[Verdict], deviations: Mapping[str, Deviation]) -> list[str]:
    """One sentence for every verdict that was not expected, in the order of the verdicts."""
    found = []
    for verdict in verdicts:
        deviation = deviations.get(verdict.test)
        expected = deviation.outcomes if deviation else frozenset({Outcome.PASS})
        if verdict.outcome not in expected:
            wanted = " or ".join(sorted(expected))
            found.append(f"{verdict.test}: {verdict.outcome}, expected {wanted}. {verdict.note}".rstrip())
    return found


def tally(verdicts: Iterable[Verdict]) -> str:
    """The figures as `12 passed, 1 failed, 0 with warnings, 2 skipped`."""
    count = Counter(verdict.outcome for verdict in verdicts)
    return (
        f"{count[Outcome.PASS]} passed, {count[Outcome.FAIL]} failed, "
        f"{count[Outcome.WARN]} with warnings, {count[Outcome.SKIP]} skipped"
    )


def summary(suite: str, about: str, verdicts: Sequence[Verdict], deviations: Mapping[str, Deviation]) -> str:
    """The text kept in `results/<suite>.txt`: the figures, then a line a test.

    Nothing in it depends on the run (no times, no ports), so that two runs with the same outcome give the same file.
    """
    lines = [f"{suite}: {tally(verdicts)}", about, ""]
    for verdict in verdicts:
        line = f"{verdict.outcome} {verdict.test}"
        deviation = deviations.get(verdict.test)
        if verdict.outcome is not Outcome.PASS:
            line += f"  ({deviation.reason})" if deviation else "  (unexpected)"
        lines.append(line)
    return "\n".join(lines) + "\n"
