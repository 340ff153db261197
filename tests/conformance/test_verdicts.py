"""The readers of the outside suites' reports, and the comparison with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import litmus, pycaldav, servertester
from conformance.run import SUITES
from conformance.target import Target
from conformance.verdicts import ExpectationError, Outcome, Verdict, named, read_deviations, summary, surprises

EXPECTED = Path(__file__).parents[2] / "conformance/expected"

LITMUS = (
    b"-> running `basic':\n"
    b"\r 0. init.................. \r 0. init.................. pass\n"
    b"\r 4. put_get_utf8_segment.. \r 4. put_get_utf8_segment.. FAIL (PUT of `\x04\xcd\x01' failed: 400 Bad Request)\n"
    b"\r 9. delete_fragment....... WARNING: DELETE removed collection resource\n"
    b"    ....................... \r    ....................... pass (with 1 warning)\n"
    b"\r18. cond_put_corrupt_token \r18. cond_put_corrupt_token SKIPPED\n"
    b"<- summary for `basic': of 4 tests run: 3 passed, 1 failed. 75.0%\n"
)


def test_litmus_lines() -> None:
    verdicts = list(litmus.read("basic", litmus.printable(LITMUS)))
    assert [(verdict.test, verdict.outcome) for verdict in verdicts] == [
        ("basic.00-init", Outcome.PASS),
        ("basic.04-put_get_utf8_segment", Outcome.FAIL),
        ("basic.09-delete_fragment", Outcome.WARN),
        ("basic.18-cond_put_corrupt_token", Outcome.SKIP),
    ]
    assert verdicts[2].note == "DELETE removed collection resource"


def test_server_tester_report() -> None:
    report = (
        "## calendar-color\nFeature support level found: full\nDescription of the feature: text\n\n"
        "## sync-token.limit\nFeature support level found: unsupported\nExtra check information:\n"
        "  behaviour=DAV:limit is ignored\nDescription of the feature: text\n\n"
        "## well-known\nFeature support level found: unknown\n"
    )
    assert list(servertester.read(report)) == [
        Verdict("calendar-color", Outcome.PASS, "full"),
        Verdict("sync-token.limit", Outcome.FAIL, "unsupported behaviour=DAV:limit is ignored"),
        Verdict("well-known", Outcome.SKIP, "unknown"),
    ]


def test_junit_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.test_caldav.TestA" name="one"/>'
        '<testcase classname="tests.test_caldav.TestA" name="two"><failure message="no&#10;good"/></testcase>'
        '<testcase classname="tests.test_caldav.TestA" name="three[x y]"><skipped message="later"/></testcase>'
        "</testsuite></testsuites>"
    )
    assert list(pycaldav.read(report)) == [
        Verdict("TestA.one", Outcome.PASS),
        Verdict("TestA.two", Outcome.FAIL, "no good"),
        Verdict("TestA.three-x-y", Outcome.SKIP, "later"),
    ]


def test_what_is_listed_is_expected_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "suite.txt"
    path.write_text("# a comment\n\nFAIL one because of this\nSKIP|FAIL two depends on the day\n")
    deviations = read_deviations(path)
    verdicts = [Verdict("one", Outcome.FAIL), Verdict("two", Outcome.SKIP), Verdict("three", Outcome.PASS)]
    assert surprises(verdicts, deviations) == []
    assert surprises([Verdict("one", Outcome.PASS)], deviations) == ["one: PASS, expected FAIL."]
    assert surprises([Verdict("three", Outcome.WARN, "hm")], deviations) == ["three: WARN, expected PASS. hm"]
    text = summary("suite", "suite 1.0", verdicts, deviations)
    assert text.splitlines()[0] == "suite: 1 passed, 1 failed, 0 with warnings, 1 skipped"
    assert "FAIL one  (because of this)" in text


@pytest.mark.parametrize("line", ["FAIL one", "MAYBE one reason", "FAIL one reason\nSKIP one again"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "suite.txt"
    path.write_text(line + "\n")
    with pytest.raises(ExpectationError, match=r"suite\.txt:\d"):
        read_deviations(path)


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_the_expectations_can_be_read(suite: str) -> None:
    assert (EXPECTED / f"{suite}.txt").exists()
    deviations = read_deviations(EXPECTED / f"{suite}.txt")
    assert all(named(test) == test for test in deviations)


def test_only_this_machine_is_a_target() -> None:
    assert Target("http://127.0.0.1:5232/x/").origin == "http://127.0.0.1:5232"
    with pytest.raises(ValueError, match="loopback"):
        Target("http://192.0.2.1/")
