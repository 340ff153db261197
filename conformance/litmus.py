"""litmus, the WebDAV test suite (Debian package `litmus`): basic, copymove, props, locks, http.

It makes and removes a plain collection `litmus/` in the home of its account. Every suite is run even when an earlier
one fails; a warning counts as a deviation, because the aim is 100 % without warnings.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conformance.dav import Dav
from conformance.target import Target
from conformance.verdicts import Outcome, Verdict, named

SUITES = ("basic", "copymove", "props", "locks", "http")
ACCOUNT = 1
TIMEOUT = 300  # seconds for one suite
# " 3. put_get............... pass"; after a warning the outcome stands on a line of its own, without number and name.
LINE = re.compile(r"^\s*(?:(\d+)\. (\w+))?\.* (pass|FAIL|SKIPPED|XFAIL|WARNING:)(.*)$")
OUTCOMES = {
    "pass": Outcome.PASS,
    "FAIL": Outcome.FAIL,
    "XFAIL": Outcome.FAIL,
    "SKIPPED": Outcome.SKIP,
}


def version(_: Path) -> str:
    """The version of litmus."""
    return subprocess.run(["litmus", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def run(target: Target, folder: Path) -> Iterator[Verdict]:
    """The verdicts of all suites; a suite that does not come to its end is a failure of its own."""
    account = target.account(ACCOUNT)
    home = Dav(target.url, user=account.name, password=account.password).home()
    for suite in SUITES:
        work = folder / suite
        work.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["litmus", "-k", target.origin + home, account.name, account.password],
            cwd=work,
            env={**os.environ, "TESTS": suite},
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        (work / "output.txt").write_bytes(done.stdout + done.stderr)
        text = printable(done.stdout + done.stderr)
        verdicts = list(read(suite, text))
        yield from verdicts
        if not any(verdict.test.endswith("-finish") for verdict in verdicts):
            yield Verdict(f"{suite}.to-the-end", Outcome.FAIL, text.strip()[-300:])


def printable(output: bytes) -> str:
    """The output as lines: litmus rewrites a line after a carriage return, and prints bytes that are no text."""
    lines = []
    for line in output.replace(b"\r\n", b"\n").split(b"\n"):
        final = line.split(b"\r")[-1]
        lines.append("".join(chr(byte) for byte in final if 32 <= byte < 127))
    return "\n".join(lines)


def read(suite: str, text: str) -> Iterator[Verdict]:
    """The verdicts in the printed text of one suite; names repeat in it, so the number is part of the test's name."""
    test = ""
    warning = ""
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        number, name, word, rest = found.groups()
        if name:
            test = named(f"{suite}.{int(number):02}-{name}")
        if word == "WARNING:":
            warning = rest.strip()
            continue
        outcome = OUTCOMES[word]
        if outcome is Outcome.PASS and warning:
            outcome = Outcome.WARN
        yield Verdict(test, outcome, (warning or rest).strip())
        warning = ""
