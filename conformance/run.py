"""`make conform`: start a server on loopback with a fresh database, run the suites against it, compare, keep a summary.

    python -m conformance.run [SUITE…] [--database URL | --url URL] [--only STEP,…]

Each suite is one row of `SUITES`. A verdict that is not in `expected/<suite>.txt` (or PASS, when not listed) makes the
run fail. A suite whose Debian package is missing says which one to install, and is skipped. With `--url` the suites
run against a server that is already up on this machine (its accounts as in `conformance.target`), with `--database` on
an empty database of another kind than SQLite. No summary is kept of such runs, nor with `--only`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance import evolution, gunicorn, litmus, pycaldav, server, servertester, vdirsyncer
from conformance.environments import FOLDER, HERE, InstallError
from conformance.target import Target
from conformance.thunderbird import driver as thunderbird
from conformance.verdicts import Verdict, read_deviations, summary, surprises, tally


@dataclass(frozen=True, slots=True)
class Suite:
    """An outside suite or a real client: what it needs from Debian, and how to run it."""

    name: str
    packages: str
    present: Callable[[], bool]
    version: Callable[[Path], str]
    run: Callable[[Target, Path, Sequence[str]], Iterator[Verdict]]


def whole(
    run: Callable[[Target, Path], Iterator[Verdict]],
) -> Callable[[Target, Path, Sequence[str]], Iterator[Verdict]]:
    """A suite that has no steps to choose from."""
    return lambda target, folder, _: run(target, folder)


def always() -> bool:
    """Nothing from Debian is needed."""
    return True


def program(*names: str) -> Callable[[], bool]:
    """All these programs are there."""
    return lambda: all(shutil.which(name) for name in names)


SUITES = {
    suite.name: suite
    for suite in (
        Suite("litmus", "litmus", program("litmus"), litmus.version, whole(litmus.run)),
        Suite("litmus-gunicorn", "litmus", program("litmus"), litmus.version, whole(gunicorn.run_litmus)),
        Suite("servertester", "", always, servertester.version, whole(servertester.run)),
        Suite("pycaldav", "", always, pycaldav.version, whole(pycaldav.run)),
        Suite("vdirsyncer", "", always, vdirsyncer.version, vdirsyncer.run),
        Suite("thunderbird", "thunderbird", thunderbird.present, thunderbird.version, thunderbird.run),
        Suite("evolution", evolution.PACKAGES, evolution.present, evolution.version, evolution.run),
    )
}


def conform(suite: Suite, target: Target, *, only: Sequence[str], keep: bool) -> bool:
    """Run one suite, print what was not expected, write the summary if it is to be kept; whether all was expected."""
    if not suite.present():
        print(f"SKIPPED {suite.name}: apt-get install --no-install-recommends {suite.packages}", flush=True)
        return True
    print(f"== {suite.name}", flush=True)
    folder = FOLDER / "work" / suite.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        about = suite.version(folder)
        verdicts = list(suite.run(target, folder, only))
    except (InstallError, subprocess.TimeoutExpired) as error:
        print(f"FAILED {suite.name}: {error}", flush=True)
        return False
    deviations = read_deviations(HERE / "expected" / f"{suite.name}.txt")
    unexpected = surprises(verdicts, deviations)
    unrun = sorted(set(deviations) - {verdict.test for verdict in verdicts}) if keep else []
    unexpected += [f"{test}: listed as a deviation, but there is no such test" for test in unrun]
    print(f"{suite.name}: {tally(verdicts)}, {len(unexpected)} unexpected", flush=True)
    for sentence in unexpected:
        print(f"   {sentence}", flush=True)
    if keep:
        text = summary(suite.name, about, verdicts, deviations)
        (HERE / "results" / f"{suite.name}.txt").write_text(text, "utf-8")
    return not unexpected


@contextlib.contextmanager
def serving(url: str, database: str) -> Iterator[Target]:
    """The target: the server at `url`, or one started for this run and ended with it."""
    if url:
        yield Target(url if url.endswith("/") else url + "/")
        return
    with server.start(database=database) as running:
        yield running.target


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when every verdict was expected, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m conformance.run", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"which to run: {', '.join(SUITES)} (default: all)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", default="", help="a server that is already up on this machine")
    where.add_argument("--database", default="", help="SQLAlchemy URL of an empty database (default: SQLite)")
    parser.add_argument("--only", default="", help="the steps to run in the drivers that have steps, with commas")
    options = parser.parse_args(arguments)
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    only = [step for step in options.only.split(",") if step]
    keep = not only and not options.url and not options.database
    with serving(options.url, options.database) as target:
        fine = [conform(SUITES[name], target, only=only, keep=keep) for name in options.suites or SUITES]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
