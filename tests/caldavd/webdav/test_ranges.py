"""The Range header (RFC 9110 sections 14.1 and 14.2)."""

from __future__ import annotations

import pytest

from caldavd.ranges import NotSatisfiable, parse


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 1000)),
        ("bytes=-500", (9500, 10000)),
        ("bytes=9500-", (9500, 10000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=-1", (9999, 10000)),
        ("bytes=9990-20000", (9990, 10000)),
        ("bytes=-20000", (0, 10000)),
        ("Bytes = 1-2 ", (1, 3)),
        ("bytes= , 1-2 ,", (1, 3)),
        # Not ours, several, or nonsense: the whole.
        ("lines=1-2", None),
        ("bytes=0-0,-1", None),
        ("bytes=5-3", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes", None),
        ("", None),
        ("bytes=1-2x", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    assert parse(header, 10000) == expected


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0"])
def test_not_satisfiable(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        parse(header, 10000)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=3-4"])
def test_of_an_empty_body(header: str) -> None:
    assert parse(header, 0) is None
