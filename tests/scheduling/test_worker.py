"""The worker: once, in order, later, never, and what is written down of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduling import worker as module
from scheduling.mail.mailer import Connection, Refused, Sendable, Unavailable
from scheduling.mail.posting import Status
from scheduling.worker import write_statuses
from storage.errors import Busy
from storage.rows import Address, NewJob, PrincipalKind
from storage.store import Transaction
from tests.scheduling.mail.posting_scene import ANNA, BERT, CARL, DAY, Scene, meeting
from tests.scheduling.mail.smtp import Sink, listening
from tests.storage.databases import KINDS, Databases

HOUR = 3600


@pytest.fixture
def scene(databases: Databases) -> Iterator[Scene]:
    made = Scene(databases.url("sqlite"))
    yield made
    assert list(made.store.check()) == []
    made.store.close()


def test_an_invitation_goes_out_once(scene: Scene, sink: Sink) -> None:
    scene.write(meeting(BERT, CARL))
    assert scene.woken == 1
    assert scene.statuses() == {ANNA: None, BERT: "1.0", CARL: "1.0"}
    before = scene.stored()
    worker = scene.worker(sink)
    assert worker.drain() == 4  # two mails, two results
    assert worker.drain() == 0
    assert sink.recipients == ["bert@else.example", "carl@else.example"]
    assert sink.senders == ["calendar@here.example"] * 2
    assert scene.statuses() == {ANNA: None, BERT: "1.1", CARL: "1.1"}
    after = scene.stored()
    assert after.schedule_tag == before.schedule_tag == "tag"
    assert after.number == before.number + 1, "two results are one change"
    assert scene.counts() == {"done": 2}
    assert scene.counts("status") == {"done": 2}


def test_every_step_is_in_the_scheduling_log(scene: Scene, sink: Sink) -> None:
    sink.rcpt["carl@else.example"] = "550 5.1.1 no such user"
    scene.write(meeting(BERT, CARL, "urn:uuid:1"))
    scene.worker(sink).drain()
    told = [(line.actor, line.recipient, line.method, line.status) for line in scene.log()]
    assert told == [
        (ANNA, BERT, "REQUEST", "1.0"),
        (ANNA, CARL, "REQUEST", "1.0"),
        (ANNA, "urn:uuid:1", "REQUEST", "5.2"),
        (ANNA, BERT, "REQUEST", "1.1"),
        (ANNA, CARL, "REQUEST", "5.1"),
    ]
    queued, _, nowhere, sent, refused = scene.log()
    assert queued.destination == "queued for mail"
    assert nowhere.destination.startswith("nowhere")
    assert sent.destination == refused.destination == f"mail server {sink.host}:{sink.port}"
    assert sent.reason == f"{sink.mails[0][1]['Message-ID']}: 250 OK, queued"
    assert refused.reason == "550 5.1.1 no such user"


def test_a_recipient_who_is_refused_is_told_to_the_organizer(scene: Scene, sink: Sink) -> None:
    sink.rcpt["carl@else.example"] = "550 5.1.1 no such user"
    scene.write(meeting(BERT, CARL, "urn:uuid:1"))
    worker = scene.worker(sink)
    worker.drain()
    assert sink.recipients == ["bert@else.example"]
    assert scene.statuses() == {ANNA: None, BERT: "1.1", CARL: "5.1", "urn:uuid:1": "5.2"}
    assert scene.counts() == {"done": 1, "failed": 1}
    scene.clock.forward(DAY)
    assert worker.drain() == 0


@pytest.mark.parametrize("answer", ["450 greylisted", "452 too many recipients"])
def test_what_is_refused_for_now_is_tried_again(scene: Scene, sink: Sink, answer: str) -> None:
    sink.rcpt["bert@else.example"] = answer
    scene.write(meeting(BERT))
    worker = scene.worker(sink)
    worker.drain()
    scene.clock.forward(59)
    worker.drain()
    assert scene.statuses()[BERT] == "1.0"
    assert [line.reason for line in scene.log()][1:] == [answer], "noted once"
    del sink.rcpt["bert@else.example"]
    scene.clock.forward(1)
    worker.drain()
    assert sink.recipients == ["bert@else.example"]
    assert scene.statuses()[BERT] == "1.1"


def test_a_mail_that_is_refused_after_its_data(scene: Scene, sink: Sink) -> None:
    sink.data = lambda mail: "554 5.7.1 looks like spam" if "bert" in mail["To"] else None
    scene.write(meeting(BERT, CARL))
    scene.worker(sink).drain()
    assert sink.recipients == ["carl@else.example"]
    assert scene.statuses() == {ANNA: None, BERT: "5.1", CARL: "1.1"}


def test_smtp_is_down_for_an_hour(scene: Scene) -> None:
    sink = Sink()
    with listening(sink):
        pass  # it has a port now, and is away
    scene.write(meeting(BERT, CARL))
    worker = scene.worker(sink)
    for _ in range(60):
        worker.drain()
        scene.clock.forward(60)
    scene.write(meeting(BERT, CARL, hour=16))
    worker.drain()
    assert scene.counts() == {"waiting": 4}
    assert scene.statuses() == {ANNA: None, BERT: "1.0", CARL: "1.0"}
    with listening(sink):
        scene.clock.forward(module.LAST_PAUSE_OF_SERVER)
        worker.drain()
    assert sink.recipients == ["bert@else.example", "carl@else.example"] * 2, (
        "each once, the change after the invitation"
    )
    assert [mail["Subject"] for _, mail in sink.mails] == ["Invitation: Plan"] * 2 + ["Updated: Plan"] * 2
    assert scene.statuses() == {ANNA: None, BERT: "1.1", CARL: "1.1"}


def test_after_days_a_mail_is_given_up(scene: Scene) -> None:
    sink = Sink()
    with listening(sink):
        pass
    scene.write(meeting(BERT))
    worker = scene.worker(sink)
    scene.clock.forward(3 * DAY - 1)
    worker.drain()
    assert scene.statuses()[BERT] == "1.0"
    scene.clock.forward(DAY)
    worker.drain()
    assert scene.statuses()[BERT] == "5.1"
    assert scene.counts() == {"failed": 1}
    assert scene.log()[-1].status == "5.1"


def test_pauses_grow_to_an_hour() -> None:
    assert [module.pause(attempts) for attempts in (1, 2, 3, 6, 7, 8, 1000)] == [60, 120, 240, 1920, 3600, 3600, 3600]


def test_killed_between_250_and_the_mark(scene: Scene, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one window in which a second copy goes out: it is the same mail, with the same Message-ID."""
    scene.write(meeting(BERT))

    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(module.Worker, "_mark", killed)
        with pytest.raises(SystemExit):
            scene.worker(sink).drain()
    assert len(sink.mails) == 1
    worker = scene.worker(sink)
    worker.drain()
    assert len(sink.mails) == 1, "it is leased still"
    scene.clock.forward(module.LEASE)
    worker.drain()
    first, second = (mail for _, mail in sink.mails)
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert scene.statuses()[BERT] == "1.1"


def test_a_busy_database_does_not_lose_a_mark(scene: Scene, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MARK_PAUSE", 0)
    scene.write(meeting(BERT))
    worker = scene.worker(sink)
    run, failures = scene.store.run, [Busy(), Busy()]

    def sometimes(work: Callable[[Transaction], object], *, write: bool) -> object:
        if write and sink.mails and failures:
            raise failures.pop()
        return run(work, write=write)

    monkeypatch.setattr(scene.store, "run", sometimes)
    worker.drain()
    assert failures == []
    assert len(sink.mails) == 1
    assert scene.statuses()[BERT] == "1.1"


def test_who_was_too_slow_does_not_mark(scene: Scene, sink: Sink) -> None:
    class Slow:
        name = "slow"

        @contextmanager
        def connected(self) -> Iterator[Connection]:
            yield self

        def send(self, mail: Sendable, *, recipient: str, sender: str = "") -> str:
            scene.clock.forward(module.LEASE)
            scene.worker(sink).drain()
            raise Refused("550 this is known too late", permanent=True)

    scene.write(meeting(BERT))
    scene.worker(transport=Slow()).drain()
    assert scene.counts() == {"done": 1}
    assert [line.status for line in scene.log()] == ["1.0", "1.1"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_send_once(databases: Databases, kind: str) -> None:
    scene = Scene(databases.url(kind))
    people = [f"mailto:p{number}@else.example" for number in range(60)]
    with listening(Sink()) as sink:
        scene.write(meeting(*people))
        workers = [scene.worker(sink) for _ in range(3)]

        def work(number: int) -> None:
            limit = time.monotonic() + 60
            while scene.counts() != {"done": 60} and time.monotonic() < limit:
                workers[number].drain()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        assert sorted(sink.recipients) == sorted(person.removeprefix("mailto:") for person in people)
        for worker in workers:
            worker.drain()
    assert set(scene.statuses().values()) == {None, "1.1"}
    assert list(scene.store.check()) == []
    scene.store.close()


def test_a_cancellation_follows_its_invitation(scene: Scene, sink: Sink) -> None:
    sink.rcpt["bert@else.example"] = "450 later"
    scene.write(meeting(BERT))
    worker = scene.worker(sink)
    worker.drain()
    scene.write(None)
    sink.rcpt.clear()
    worker.drain()
    assert sink.mails == [], "the invitation is not due yet, and the cancellation waits for it"
    scene.clock.forward(60)
    worker.drain()
    assert [mail["Subject"] for _, mail in sink.mails] == ["Invitation: Plan", "Cancelled: Plan"]


def test_a_broken_connection_is_about_one_mail(scene: Scene) -> None:
    class Breaking:
        name = "breaking"
        sent: list[str]
        connections = 0

        def __init__(self) -> None:
            self.sent = []

        @contextmanager
        def connected(self) -> Iterator[Connection]:
            self.connections += 1
            yield self

        def send(self, mail: Sendable, *, recipient: str, sender: str = "") -> str:
            if recipient.startswith("bert"):
                raise Unavailable("it hung up")
            self.sent.append(recipient)
            return "250"

    transport = Breaking()
    scene.write(meeting(BERT, CARL))
    worker = scene.worker(transport=transport)
    worker.drain()
    assert transport.sent == ["carl@else.example"]
    assert scene.statuses() == {ANNA: None, BERT: "1.0", CARL: "1.1"}
    for number in range(10):
        scene.write(meeting(f"mailto:bert{number}@else.example", uid=f"b{number}"), name=f"b{number}.ics")
    transport.connections = 0
    worker.drain()
    assert transport.connections == 3, "after three in a row the server is taken to be away"


def test_what_no_mail_can_be_made_of_stops_nothing(scene: Scene, sink: Sink) -> None:
    scene.store.run(lambda tx: tx.queue.add("mail", [NewJob("broken", b"no mail")]), write=True)
    scene.write(meeting(BERT))
    scene.worker(sink).drain()
    assert sink.recipients == ["bert@else.example"]
    assert scene.counts() == {"done": 1, "failed": 1}


def test_an_answer_that_came_first_stays(scene: Scene, sink: Sink) -> None:
    text = meeting(BERT, CARL)
    scene.write(text)
    results = [Status("u1", ANNA, one, "attendee", code) for one, code in ((BERT, "2.0"), (CARL, "1.1"))]
    assert scene.store.run(lambda tx: write_statuses(tx, results), write=True)
    scene.worker(sink).drain()
    assert scene.statuses() == {ANNA: None, BERT: "2.0", CARL: "1.1"}


def test_the_object_may_have_gone_meanwhile(scene: Scene, sink: Sink) -> None:
    scene.write(meeting(BERT))
    scene.write(None)
    scene.worker(sink).drain()
    assert [mail["Subject"] for _, mail in sink.mails] == ["Invitation: Plan", "Cancelled: Plan"]
    assert scene.counts("status") == {"done": 2}
    gone = [Status("u1", "mailto:nobody@here.example", BERT, "attendee", "1.1")]
    assert scene.store.run(lambda tx: write_statuses(tx, gone), write=True) is False


def test_an_organizer_who_is_a_path_is_answered_by_mail(scene: Scene, sink: Sink) -> None:
    path = "/principals/anna"
    scene.write(meeting(BERT, organizer=f"{path}/"), actor=path)
    scene.worker(sink).drain()
    ((_, mail),) = sink.mails
    assert mail["Reply-To"] == "Anna Example <anna@here.example>"
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar").get_content()
    assert "ORGANIZER;CN=Anna:mailto:anna@here.example\r\n" in calendar.replace("\n", "\r\n").replace("\r\r", "\r")
    assert path not in calendar
    assert scene.statuses()[BERT] == "1.1"


def test_housekeeping_is_done_once_a_day_by_one_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[int] = []
    monkeypatch.setattr(scene.store, "clean", lambda *, removals_before: cleaned.append(removals_before))
    workers = [scene.worker(), scene.worker()]
    for expected in (1, 1, 2):
        for worker in workers:
            worker.drain()
        assert len(cleaned) == expected
        scene.clock.forward(DAY / 2)
    assert cleaned[1] - cleaned[0] == DAY
    assert cleaned[0] == int(scene.clock().timestamp()) - int(1.5 * DAY) - 180 * DAY


def test_without_mail_nothing_is_taken(scene: Scene) -> None:
    scene.write(meeting(BERT))
    scene.worker().drain()
    assert scene.counts() == {"waiting": 1}


def test_a_running_worker_is_woken_and_stopped(scene: Scene, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 60)
    worker = scene.worker(sink)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        limit = time.monotonic() + 20
        while not scene.counts("clean") and time.monotonic() < limit:
            time.sleep(0.05)  # until it has looked once and waits
        scene.write(meeting(BERT))
        worker.wake()
        while not sink.mails and time.monotonic() < limit:
            time.sleep(0.05)
        assert sink.recipients == ["bert@else.example"]
    finally:
        worker.stop()
        thread.join(20)
    assert not thread.is_alive()


def test_a_worker_survives_what_goes_wrong(scene: Scene, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    worker = scene.worker(sink)
    errors: list[Exception] = [Busy("busy"), ZeroDivisionError()]
    drain = module.Worker.drain

    def sometimes(self: module.Worker) -> int:
        if errors:
            raise errors.pop()
        worker.stop()
        return drain(self)

    monkeypatch.setattr(module.Worker, "drain", sometimes)
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert errors == []


def test_a_person_with_two_addresses(scene: Scene, sink: Sink, tmp_path: Path) -> None:
    def work(tx: Transaction) -> None:
        addresses = [Address("urn:uuid:7", preferred=True), Address("mailto:dora@here.example", preferred=False)]
        tx.principals.add(name="dora", kind=PrincipalKind.INDIVIDUAL, addresses=addresses)

    scene.store.run(work, write=True)
    scene.write(meeting(BERT, "urn:uuid:7"))
    scene.worker(sink).drain()
    ((_, mail),) = sink.mails
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar").get_content()
    assert "mailto:dora@here.example" in calendar
