"""What a worker remembers."""

from __future__ import annotations

from caldavd.auth.memory import Mac, Memory
from tests.caldavd.auth.fake import Ticks


def test_the_parts_of_a_mac_do_not_run_into_each_other() -> None:
    mac = Mac()
    assert mac.of("ab", "c") == mac.of("ab", "c")
    assert len({mac.of("ab", "c"), mac.of("a", "bc"), mac.of("abc"), mac.of("abc", ""), mac.of("", "abc")}) == 5


def test_every_process_has_a_key_of_its_own() -> None:
    assert Mac().of("x") != Mac().of("x")


def test_an_entry_ends_and_being_asked_for_does_not_prolong_it() -> None:
    ticks = Ticks(0)
    memory: Memory[str, int] = Memory(seconds=10, capacity=5, ticks=ticks)
    memory.put("a", 1)
    ticks.now = 9.9
    assert memory.get("a") == 1
    assert "a" in memory
    ticks.now = 10
    assert memory.get("a") is None
    assert "a" not in memory


def test_the_one_that_was_not_used_for_longest_goes_first() -> None:
    memory: Memory[str, int] = Memory(seconds=10, capacity=2, ticks=Ticks())
    memory.put("a", 1)
    memory.put("b", 2)
    memory.get("a")
    memory.put("c", 3)
    assert [memory.get(key) for key in "abc"] == [1, None, 3]


def test_an_entry_can_be_dropped_twice() -> None:
    memory: Memory[str, int] = Memory(seconds=10, capacity=2, ticks=Ticks())
    memory.put("a", 1)
    memory.drop("a")
    memory.drop("a")
    assert memory.get("a") is None


def test_no_time_means_no_memory() -> None:
    memory: Memory[str, int] = Memory(seconds=0, capacity=2, ticks=Ticks())
    memory.put("a", 1)
    assert memory.get("a") is None
