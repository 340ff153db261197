"""litmus, all suites, against the server; the longer suites and the real clients are `make conform`'s."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import litmus, server
from conformance.run import SUITES
from conformance.verdicts import read_deviations, surprises

EXPECTED = Path(__file__).parents[2] / "conformance/expected/litmus.txt"


@pytest.mark.skipif(
    not SUITES["litmus"].present(), reason="apt-get install --no-install-recommends litmus to run the WebDAV suite"
)
def test_litmus(tmp_path: Path) -> None:
    with server.start() as running:
        verdicts = list(litmus.run(running.target, tmp_path))
    assert len(verdicts) > 100
    assert surprises(verdicts, read_deviations(EXPECTED)) == []
