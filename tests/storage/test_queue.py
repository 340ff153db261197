"""The queue and the scheduling log."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from storage.errors import Misuse, UnstorableText
from storage.rows import Job, JournalEntry, NewJob
from storage.store import Transaction
from tests.storage.conftest import House

MINUTE = 60


def add(house: House, *jobs: NewJob, kind: str = "mail", not_before: int = 0) -> None:
    house.write(lambda tx: tx.queue.add(kind, jobs, not_before=not_before))


def leased(house: House, *, limit: int = 10, kind: str = "mail") -> list[Job]:
    return house.write(lambda tx: list(tx.queue.lease(kind, limit=limit, until=tx.now + MINUTE)))


def keys(jobs: list[Job]) -> list[str]:
    return [job.key for job in jobs]


def test_a_job_is_leased_once_and_done(house: House) -> None:
    add(house, NewJob("a", b"payload \0\xff"), NewJob("b", b""), NewJob("c", b"c"))
    first = leased(house, limit=2)
    assert keys(first) == ["a", "b"]
    assert (first[0].payload, first[0].attempts, first[0].created) == (b"payload \0\xff", 1, house.clock.now)
    assert keys(leased(house)) == ["c"]
    assert leased(house) == []
    assert house.write(lambda tx: tx.queue.done(first[0])) is True
    assert house.write(lambda tx: tx.queue.done(first[0])) is False
    assert house.read(lambda tx: tx.queue.counts("mail")) == {"waiting": 2, "done": 1}
    assert house.read(lambda tx: tx.queue.counts("push")) == {}


def test_a_key_is_taken_once_for_each_kind(house: House) -> None:
    add(house, NewJob("a", b"first"), NewJob("a", b"second"))
    add(house, NewJob("a", b"third"), NewJob("A", b"another key"))
    add(house, NewJob("a", b"a push"), kind="push")
    jobs = leased(house)
    assert [(job.key, job.payload) for job in jobs] == [("a", b"first"), ("A", b"another key")]
    house.write(lambda tx: [tx.queue.done(job) for job in jobs])
    add(house, NewJob("a", b"after it was done"))
    assert leased(house) == []
    assert keys(leased(house, kind="push")) == ["a"]


def test_many_at_once(house: House) -> None:
    add(house, *(NewJob(f"{number}", b"%d" % number) for number in range(1200)))
    add(house, *(NewJob(f"{number}", b"again") for number in range(1201)))
    jobs = leased(house, limit=2000)
    assert [int(job.payload) for job in jobs[:1200]] == list(range(1200))
    assert keys(jobs[1200:]) == ["1200"]


def test_a_text_is_kept_once_and_dropped_when_nobody_needs_it(house: House) -> None:
    add(house, NewJob("a", b"a", text=b"text"), NewJob("b", b"b", text=b"text"), NewJob("c", b"c"))
    add(
        house,
        NewJob("d", b"d", text=b"text"),
        NewJob("e", b"e", text=b"other \0\xff"),
        NewJob("a", b"", text=b"not taken"),
    )
    engine = create_engine(house.url)

    def texts() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT COUNT(*) FROM queue_texts")).scalar_one())

    assert texts() == 2
    jobs = leased(house)
    assert [job.text for job in jobs] == [b"text", b"text", b"", b"text", b"other \0\xff"]
    for finished, left in ((0, 2), (1, 2), (4, 1), (3, 0)):
        house.write(lambda tx, finished=finished: tx.queue.done(jobs[finished]))  # type: ignore[misc]
        house.store.clean(removals_before=0)
        assert texts() == left
    engine.dispose()


def test_not_before_its_time_and_again_after_an_error(house: House) -> None:
    add(house, NewJob("a", b""), not_before=house.clock.now + 10)
    assert leased(house) == []
    assert house.read(lambda tx: tx.queue.next_at("mail")) == house.clock.now + 10
    house.clock.forward(10)
    (job,) = leased(house)
    assert house.read(lambda tx: tx.queue.next_at("mail")) == job.leased_until
    at = house.clock.now + 5
    assert house.write(lambda tx: tx.queue.retry(job, at=at, error="451 later\0, please"))
    assert leased(house) == []
    house.clock.forward(5)
    (again,) = leased(house)
    assert (again.attempts, again.last_error) == (2, "451 later\N{REPLACEMENT CHARACTER}, please")
    assert house.write(lambda tx: tx.queue.fail(again, error="550 never"))
    assert house.read(lambda tx: tx.queue.counts("mail")) == {"failed": 1}
    assert house.read(lambda tx: tx.queue.next_at("mail")) is None


def test_who_comes_back_too_late_has_nothing_to_say(house: House) -> None:
    add(house, NewJob("a", b""))
    (slow,) = leased(house)
    house.clock.forward(MINUTE)
    (quick,) = leased(house)
    assert quick.attempts == 2
    late: list[Callable[[Transaction], bool]] = [
        lambda tx: tx.queue.done(slow),
        lambda tx: tx.queue.retry(slow, at=0, error="late"),
        lambda tx: tx.queue.fail(slow, error="late"),
    ]
    assert [house.write(work) for work in late] == [False, False, False]
    assert house.write(lambda tx: tx.queue.done(quick))


def test_a_stream_is_done_in_order(house: House) -> None:
    add(house, NewJob("a1", b"", "a"), NewJob("a2", b"", "a"), NewJob("b1", b"", "b"), NewJob("free", b""))
    first = leased(house)
    assert keys(first) == ["a1", "b1", "free"]
    house.write(lambda tx: tx.queue.retry(first[0], at=tx.now + 30, error="later"))
    assert leased(house) == []
    assert house.read(lambda tx: tx.queue.next_at("mail")) == house.clock.now + 30, "a2 waits for a1"
    house.clock.forward(30)
    (again,) = leased(house)
    assert again.key == "a1"
    house.write(lambda tx: tx.queue.fail(again, error="never"))
    assert keys(leased(house)) == ["a2"]


def test_many_workers_share_the_jobs(house: House) -> None:
    add(house, *(NewJob(f"{number}", b"", stream=f"{number % 50}") for number in range(200)))

    def work(_: int) -> list[str]:
        mine: list[str] = []
        for _attempt in range(200):
            jobs = leased(house, limit=7)
            if not jobs and house.read(lambda tx: tx.queue.counts("mail")) == {"done": 200}:
                break
            for job in jobs:
                assert house.write(lambda tx, job=job: tx.queue.done(job))  # type: ignore[misc]
            mine += keys(jobs)
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, range(4)))
    assert sorted(int(key) for share in shares for key in share) == list(range(200))


def test_a_transaction_that_fails_leaves_no_job(house: House) -> None:
    def work(tx: Transaction) -> None:
        tx.queue.add("mail", [NewJob("a", b"")])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        house.write(work)
    assert leased(house) == []
    with pytest.raises(Misuse):
        house.read(lambda tx: tx.queue.add("mail", []))
    for key in ("k" * 256, "\0"):
        with pytest.raises(UnstorableText):
            add(house, NewJob(key, b""))


def test_what_is_finished_is_forgotten_after_some_time(house: House) -> None:
    add(house, NewJob("done", b""), NewJob("failed", b"kept"), NewJob("waiting", b""))
    done, failed, _ = leased(house)
    house.write(lambda tx: [tx.queue.done(done), tx.queue.fail(failed, error="no")])
    house.write(lambda tx: tx.journal.add([entry(tx)]))
    days = 86_400
    for forward, left, lines in [
        (6, {"done": 1, "failed": 1, "waiting": 1}, 1),
        (2, {"failed": 1, "waiting": 1}, 1),
        (30, {"waiting": 1}, 1),
        (60, {"waiting": 1}, 0),
    ]:
        house.clock.forward(forward * days)
        house.store.clean(removals_before=0)
        assert house.read(lambda tx: tx.queue.counts("mail")) == left
        assert len(house.read(lambda tx: tx.journal.of_uid("u", limit=9))) == lines


def entry(tx: Transaction) -> JournalEntry:
    return JournalEntry(
        tx.now, "u", "mailto:anna@x.org", "mailto:bert@x.org", "REQUEST", "1.2", "calendar of bert", "invited"
    )


def test_the_scheduling_log_is_read_by_uid_and_address(house: House) -> None:
    def work(tx: Transaction) -> None:
        one = entry(tx)
        reply = replace(one, actor=one.recipient, recipient=one.actor, method="REPLY", reason="accepted")
        other = replace(one, recipient="mailto:carl@x.org")
        tx.journal.add([one, reply, other, replace(one, uid="U")])
        found = tx.journal.of_uid("u", limit=10)
        assert [line for _, line in found] == [one, reply, other]
        assert [line for _, line in tx.journal.of_uid("u", after=found[0][0], limit=1)] == [reply]
        assert [line for _, line in tx.journal.of_uid("u", address="mailto:bert@x.org", limit=10)] == [one, reply]
        assert tx.journal.of_uid("u", address="mailto:dora@x.org", limit=10) == []
        tx.journal.add([])

    house.write(work)


def test_the_scheduling_log_takes_everything(house: House) -> None:
    hostile = "\0\ud800\N{PILE OF POO}" + "x" * 70_000

    def work(tx: Transaction) -> None:
        tx.journal.add([JournalEntry(0, hostile, hostile, hostile, hostile, hostile, hostile, hostile)])
        ((_, found),) = tx.journal.of_uid(hostile, address=hostile, limit=10)
        assert found.uid.startswith("\N{REPLACEMENT CHARACTER}?\N{PILE OF POO}xx")
        assert len(found.method) == 40

    house.write(work)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE queue SET state = 'lost'", "neither waiting nor done nor failed"),
        ("UPDATE queue SET state = 'done'", "neither waiting nor done nor failed"),
        ("UPDATE queue SET leased_until = 5", "leased until 5, to nobody"),
        ("UPDATE journal SET uid = 'other'", "cannot be found by its UID"),
    ],
)
def test_the_doctor_sees_what_cannot_be(house: House, statement: str, sentence: str) -> None:
    add(house, NewJob("a", b""))
    house.write(lambda tx: tx.journal.add([entry(tx)]))
    assert house.complaints() == []
    engine = create_engine(house.url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    assert any(sentence in complaint for complaint in house.complaints())
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM queue"))
        connection.execute(text("DELETE FROM journal"))
    engine.dispose()
