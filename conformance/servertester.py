"""caldav-server-tester (PyPI): probes which features of CalDAV a server has, one verdict a feature.

`full` is a pass. Anything less (quirk, fragile, unsupported …) has to be listed with its reason, also where the
feature is one that a server should not have.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conformance.environments import environment, version_of
from conformance.target import Target
from conformance.verdicts import Outcome, Verdict, named

#: The first is the one that is probed, the others are for what takes several people.
ACCOUNTS = (1, 2)
TIMEOUT = 600  # seconds
FEATURE = re.compile(
    r"^## (?P<name>\S+)\nFeature support level found: (?P<level>\S+)\n"
    r"(?:Extra check information:\n(?P<extra>(?:  .*\n)*))?",
    re.MULTILINE,
)
OUTCOMES = {"full": Outcome.PASS, "quirk": Outcome.WARN, "fragile": Outcome.WARN}
OUTCOMES |= {"unknown": Outcome.SKIP, "?": Outcome.SKIP}


def version(_: Path) -> str:
    """The version of the tester and of the library it uses."""
    tester, library = (version_of("pycaldav", package) for package in ("caldav-server-tester", "caldav"))
    return f"caldav-server-tester {tester} with caldav {library}"


def run(target: Target, folder: Path) -> Iterator[Verdict]:
    """The verdicts of all its probes."""
    sections = {}
    for number in ACCOUNTS:
        account = target.mail_account(number)
        names = ("caldav_url", "caldav_username", "caldav_password")
        sections[f"account{number}"] = dict(zip(names, (target.url, account.name, account.password), strict=True))
    (folder / "caldav.json").write_text(json.dumps(sections), "utf-8")
    chosen = [word for name in sections for word in ("--config-section", name)]
    done = subprocess.run(
        [environment("pycaldav") / "caldav-server-tester", *chosen, "--verbose"],
        env={**os.environ, "CALDAV_CONFIG_FILE": str(folder / "caldav.json")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=folder,
    )
    (folder / "report.txt").write_text(done.stdout, "utf-8")
    (folder / "errors.txt").write_text(done.stderr, "utf-8")
    verdicts = list(read(done.stdout))
    yield from verdicts
    if done.returncode or not verdicts:
        yield Verdict("to-the-end", Outcome.FAIL, done.stderr.strip()[-300:])


def read(report: str) -> Iterator[Verdict]:
    """The verdicts in the tester's long report."""
    for found in FEATURE.finditer(report):
        level = found["level"]
        extra = " ".join((found["extra"] or "").split())
        yield Verdict(named(found["name"]), OUTCOMES.get(level, Outcome.FAIL), f"{level} {extra}".strip())
