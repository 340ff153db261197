"""Reason phrases: those of the standards, whatever the interpreter's version knows."""

from __future__ import annotations

import pytest

from caldavd.errors import CONDITIONS
from caldavd.statuses import with_phrase
from caldavd.xml.multistatus import status_line


@pytest.mark.parametrize(
    "line", ["413 Content Too Large", "422 Unprocessable Content", "207 Multi-Status", "423 Locked"]
)
def test_the_phrases_of_rfc_9110_and_4918(line: str) -> None:
    assert with_phrase(int(line[:3])) == line
    assert status_line(int(line[:3])) == f"HTTP/1.1 {line}"


@pytest.mark.parametrize("status", sorted({one.status for one in CONDITIONS.values()}))
def test_every_precondition_has_a_status_that_there_is(status: int) -> None:
    assert len(with_phrase(status)) > len("403 ")


def test_a_status_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="299"):
        with_phrase(299)
