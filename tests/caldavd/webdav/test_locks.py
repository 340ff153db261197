"""Which locks cover which paths: no server needed."""

from __future__ import annotations

from caldavd.locks import covering, covers, rooted_below
from storage.rows import Lock


def lock(*path: str, infinite: bool) -> Lock:
    return Lock("urn:x", 1, path, 1, exclusive=True, infinite=infinite, owner_xml=b"", expires=0)


def test_a_lock_covers_its_root() -> None:
    assert covers(lock("a", infinite=False), ("a",))
    assert covers(lock("a", infinite=True), ("a",))


def test_depth_0_covers_nothing_else() -> None:
    assert not covers(lock("a", infinite=False), ("a", "b"))
    assert not covers(lock("a", infinite=False), ())


def test_depth_infinity_covers_all_below() -> None:
    assert covers(lock("a", infinite=True), ("a", "b", "c"))
    assert covers(lock(infinite=True), ("a",))


def test_names_are_whole_segments() -> None:
    assert not covers(lock("a", infinite=True), ("ab",))
    assert not covers(lock("a", "b", infinite=True), ("a",))


def test_covering_and_below() -> None:
    one, two, three = lock("a", infinite=True), lock("a", "b", infinite=False), lock("c", infinite=True)
    assert covering([one, two, three], ("a", "b")) == [one, two]
    assert rooted_below([one, two, three], ("a",)) == [two]
    assert rooted_below([one, two, three], ()) == [one, two, three]
