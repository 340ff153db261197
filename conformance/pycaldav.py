"""python-caldav's own functional tests (from its source distribution), synchronous and asynchronous.

The library expects all of RFC 4791, scheduling and principal search; the feature profile adds what it does not expect
by itself (``CLAIMED``), without which it would leave tests out, and takes away the one feature that RFC 6638 forbids
(``NOT_DONE``). It runs with an
environment of its own and with three more accounts for its scheduling tests. All of them have names that are mail
addresses, which some tests ask for.
"""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from conformance.environments import HERE, environment, sources
from conformance.target import Target
from conformance.verdicts import Outcome, Verdict, named

ACCOUNT = 1
SCHEDULING = (2, 3, 4)
#: What the library takes to be missing, or not known, unless a profile says so.
CLAIMED = (
    "scheduling.freebusy-query",
    "scheduling.schedule-tag",
    "search.text.comp-type-optional",
    "search.time-range.comp-type-optional",
)
#: An attendee's PUT is a direct change, after which the Schedule-Tag is another one whatever it changes (RFC 6638
#: section 3.2.10, rule 3 for attendees): with the old one a second device would undo the answer of the first.
NOT_DONE = ("scheduling.schedule-tag.stable-partstat",)
TIMEOUT = 900  # seconds
NAME = "Caldavd"
FILES = ("tests/test_caldav.py", "tests/test_async_integration.py")
SELECTED = "ForServer or TestAsyncFor or TestScheduling"


def requirement() -> str:
    """`caldav==VERSION`, as the environment has it."""
    lines = (HERE / "requirements/pycaldav.txt").read_text("utf-8").splitlines()
    return next(line for line in lines if line.startswith("caldav[")).replace("[test]", "")


def version(_: Path) -> str:
    """The version of the tests."""
    return f"the tests of {requirement().replace('==', ' ')} with a feature profile that claims more than its own"


def configuration(target: Target) -> str:
    """What the tests read: the server, the account and those for scheduling. JSON would do as well: it is YAML."""
    account = target.mail_account(ACCOUNT)
    lines = ["test-servers:", f"  {NAME}:", "    type: external", "    enabled: true", f"    url: {target.url}"]
    lines += [f"    username: {account.name}", f"    password: {account.password}", "    features:"]
    lines += [f"      {name}: {{support: full}}" for name in CLAIMED]
    lines += [f"      {name}: {{support: unsupported}}" for name in NOT_DONE]
    lines.append("    scheduling_users:")
    for number in SCHEDULING:
        person = target.mail_account(number)
        lines.append(f"      - {{url: '{target.url}', username: {person.name}, password: {person.password}}}")
    return "\n".join(lines) + "\n"


def run(target: Target, folder: Path) -> Iterator[Verdict]:
    """The verdicts of all tests that run against an external server."""
    source = sources("pycaldav", requirement())
    written = source / "tests/caldav_test_servers.yaml"
    written.write_text(configuration(target), "utf-8")
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [str(environment("pycaldav") / "python"), "-m", "pytest", *FILES, "-k", SELECTED]
    command += ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["-W", "ignore::pytest.PytestDeprecationWarning", "-o", "asyncio_default_fixture_loop_scope=function"]
    # testPrincipals calls a method that the library itself has deprecated, and the suite makes errors of warnings.
    command += ["-W", "ignore:principals:DeprecationWarning"]
    closed = {"PYTHON_CALDAV_TEST_EMBEDDED": "0", "PYTHON_CALDAV_TEST_DOCKER": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=source,
            env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder), **closed},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        written.unlink()
    (folder / "output.txt").write_text(done.stdout + done.stderr, "utf-8")
    if not report.exists():
        yield Verdict("to-the-end", Outcome.FAIL, (done.stdout + done.stderr).strip()[-300:])
        return
    yield from read(report)


def read(report: Path) -> Iterator[Verdict]:
    """The verdicts in a JUnit report."""
    for case in ET.parse(report).getroot().iter("testcase"):
        test = named(f"{case.get('classname', '').rsplit('.', 1)[-1]}.{case.get('name', '')}")
        outcome, note = Outcome.PASS, ""
        for tag, meaning in (("failure", Outcome.FAIL), ("error", Outcome.FAIL), ("skipped", Outcome.SKIP)):
            element = case.find(tag)
            if element is not None:
                outcome, note = meaning, " ".join(element.get("message", "").split())[:300]
        yield Verdict(test, outcome, note)
