"""What is remembered of texts: nothing is computed twice, nothing grows without bound."""

from __future__ import annotations

from collections.abc import Callable

from scheduling.freebusy.remembered import MAX_ENTRY, Remembered


def test_what_comes_again_is_not_computed_again() -> None:
    computed: list[str] = []
    memory: Remembered[str, str] = Remembered(lambda key, value: len(key) + len(value))
    assert [memory.get(key, _of(key, computed)) for key in ("a", "b", "a", "b")] == ["A", "B", "A", "B"]
    assert computed == ["a", "b"]


def test_those_that_nobody_asked_for_the_longest_go_first() -> None:
    computed: list[str] = []
    memory: Remembered[str, str] = Remembered(lambda *_: 1_000, most=3 * 1_500)
    for key in ("a", "b", "c", "a", "d"):  # "b" goes for "d"
        memory.get(key, _of(key, computed))
    computed.clear()
    for key in ("a", "c", "d", "b"):
        memory.get(key, _of(key, computed))
    assert computed == ["b"]


def test_what_is_too_large_is_not_kept() -> None:
    computed: list[str] = []
    memory: Remembered[str, str] = Remembered(lambda *_: MAX_ENTRY)
    assert [memory.get("a", _of("a", computed)) for _ in range(2)] == ["A", "A"]
    assert computed == ["a", "a"]


def _of(key: str, computed: list[str]) -> Callable[[], str]:
    def compute() -> str:
        computed.append(key)
        return key.upper()

    return compute
