"""Five people who invite, change, answer and cancel at the same time, in several processes on each database.

No request ends in an error, and in the end all copies agree with the organizer's, nothing is missing and nothing came
twice. Then the bad days: a process that is killed in the middle, and a database that asks for the work to be run again.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context

import pytest
from sqlalchemy import exc

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.delivery.scheduler import Scheduler
from scheduling.mail.posting import MAIL, Postbox
from storage.open import open_store
from storage.rows import CollectionKind
from storage.sql.backend import Backend, Verdict
from storage.sql.journal import SqlJournal
from storage.store import Store, Transaction
from tests.caldavd.client import Answer, Client, NamesAreEnough
from tests.storage.databases import KINDS, Databases
from tests.storage.workers import in_processes

PEOPLE = ("anna", "bert", "carl", "dora", "emil")
PROCESSES, ROUNDS = 4, 20
ANSWERS = ("ACCEPTED", "DECLINED", "TENTATIVE")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, databases: Databases) -> str:
    made = databases.url(request.param)
    store = open_store(made)

    def furnish(tx: Transaction) -> None:
        for name in PEOPLE:
            new = provision.NewPrincipal(name=name, addresses=(f"mailto:{name}@example.org",), schedules=True)
            provision.create(tx, new, Provisioning())

    store.run(furnish, write=True)
    store.close()
    return made


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def server(store: Store, postbox: Postbox | None = None) -> Callable[[str], Client]:
    application = Application(
        store=store,
        authenticator=NamesAreEnough(store),  # type: ignore[arg-type]
        scheduler=Scheduler(postbox),
    )
    return lambda name: Client(application, name)


def meeting(organizer: str, uid: str, summary: str, *attendees: str) -> str:
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{name}@example.org\r\n" for name in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260310T120000Z\r\nDURATION:PT1H\r\nSUMMARY:{summary}\r\n"
        f"ORGANIZER:mailto:{organizer}@example.org\r\n{who}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


# --- playing


@dataclass
class Played:
    """What one process did that was acknowledged: meetings by their UID, each change by what it was called."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def play(url: str, seed: int) -> Played:
    """One process of a server; whoever acts is drawn anew for each action, and so acts in others as well."""
    store = open_store(url, wait_seconds=60, pool_size=2)
    clients, chance, done = server(store), random.Random(seed), Played()
    for turn in range(ROUNDS):
        client = clients(chance.choice(PEOPLE))
        mark = f"{seed}-{turn}"
        match chance.choice(("invite", "change", "change", "answer", "answer", "answer", "cancel")):
            case "invite":
                others = [name for name in PEOPLE if name != client.user]
                text = meeting(str(client.user), mark, mark, *chance.sample(others, chance.randint(1, 4)))
                answer = client.put(calendar(client) + f"{mark}.ics", text, If_None_Match="*")
                assert answer.status == 201, (answer.status, answer.body)
                done.changes.append((mark, mark))
            case "change":
                _change(client, chance, mark, done)
            case "answer":
                _answer(client, chance)
            case "cancel":
                _cancel(client, chance, done)
    store.close()
    return done


def calendar(client: Client) -> str:
    return f"/calendars/{client.user}/calendar/"


def _one(client: Client, chance: random.Random, *, own: bool) -> tuple[str, Answer] | None:
    """One of the meetings of a person, that they organize or are invited to."""
    hrefs = [one for one in client.propfind(calendar(client), "<D:getetag/>", depth=1).hrefs if one.endswith(".ics")]
    chance.shuffle(hrefs)
    for href in hrefs:
        answer = client.request("GET", href)
        assert answer.status in (200, 404), answer.body
        is_own = f":mailto:{client.user}@" in next(
            (line for line in unfolded(answer).splitlines() if line.startswith("ORGANIZER")), ""
        )
        if answer.status == 200 and is_own is own:
            return href, answer
    return None


def unfolded(answer: Answer) -> str:
    return answer.body.decode().replace("\r\n ", "")


def _change(client: Client, chance: random.Random, mark: str, done: Played) -> None:
    found = _one(client, chance, own=True)
    if found is None:
        return
    href, before = found
    text = re.sub(r"SUMMARY:[^\r]*", f"SUMMARY:{mark}", unfolded(before))
    if chance.random() < 0.3:
        text = re.sub(r"DTSTART:\w*", f"DTSTART:202603{chance.randint(10, 28)}T120000Z", text)
    answer = client.put(href, text, If_Match=before.headers["ETag"])
    assert answer.status in (204, 412), (answer.status, answer.body)
    if answer.status == 204:
        done.changes.append((value(text, "UID"), mark))


def _answer(client: Client, chance: random.Random) -> None:
    found = _one(client, chance, own=False)
    if found is None:
        return
    href, before = found
    mine = re.compile(rf"(ATTENDEE[^\r]*PARTSTAT=)[A-Z-]+([^\r]*:mailto:{client.user}@)")
    text = mine.sub(rf"\g<1>{chance.choice(ANSWERS)}\g<2>", unfolded(before))
    answer = client.put(href, text, If_Schedule_Tag_Match=before.headers["Schedule-Tag"])
    assert answer.status in (204, 412), (answer.status, answer.body)


def _cancel(client: Client, chance: random.Random, done: Played) -> None:
    found = _one(client, chance, own=True)
    if found is None:
        return
    href, before = found
    answer = client.request("DELETE", href, If_Match=before.headers["ETag"])
    assert answer.status in (204, 404, 412), (answer.status, answer.body)
    if answer.status == 204:
        done.removed.append(value(unfolded(before), "UID"))


def value(text: str, name: str) -> str:
    found = re.search(rf"^{name}(?:;[^:]*)?:(.*?)\r?$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


def answers(text: str) -> dict[str, str]:
    """Everybody's answer."""
    lines = [line for line in text.splitlines() if line.startswith("ATTENDEE")]
    return {
        line.rpartition("mailto:")[2]: (re.search(r"PARTSTAT=([A-Z-]+)", line) or ("", "NEEDS-ACTION"))[1]
        for line in lines
    }


def everything(store: Store) -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    """The texts by UID and person, and the messages in each inbox."""
    texts: dict[str, dict[str, str]] = {}
    inboxes: dict[str, list[str]] = {}

    def work(tx: Transaction) -> None:
        homes = {one.home_id: name for name, one in tx.principals.by_names(PEOPLE).items()}
        kinds = (CollectionKind.CALENDAR, CollectionKind.INBOX)
        for home, collection, _ in tx.collections.of_homes(list(homes), kinds=kinds):
            for row in tx.objects.page(collection.id, columns=frozenset({"body", "uid"}), limit=10_000):
                text = row.body.decode().replace("\r\n ", "")
                if collection.kind is CollectionKind.INBOX:
                    inboxes.setdefault(homes[home.id], []).append(text)
                else:
                    assert homes[home.id] not in texts.setdefault(row.uid, {}), "twice in one home"
                    texts[row.uid][homes[home.id]] = text

    store.run(work, write=False)
    return texts, inboxes


def test_all_copies_agree_in_the_end(url: str, store: Store) -> None:
    played: list[Played] = in_processes([(play, (url, seed)) for seed in range(PROCESSES)], seconds=240)
    texts, inboxes = everything(store)
    assert len([change for one in played for change in one.changes]) > PROCESSES * 3, "they hardly did anything"
    removed = {uid for one in played for uid in one.removed}
    changes = [change for one in played for change in one.changes]
    assert {uid for uid, _ in changes} - removed == set(texts), "what was not cancelled is there, and nothing else"
    for uid, copies in texts.items():
        organizer = value(next(iter(copies.values())), "ORGANIZER").removeprefix("mailto:").partition("@")[0]
        theirs = copies[organizer]
        assert set(copies) == {organizer, *(address.partition("@")[0] for address in answers(theirs))}, uid
        for name, text in copies.items():
            for what in ("SUMMARY", "DTSTART"):
                assert value(text, what) == value(theirs, what), (uid, name)
            assert answers(text) == answers(theirs), (uid, name)
    told = {
        name: Counter((value(text, "UID"), value(text, "SUMMARY")) for text in items if "METHOD:REQUEST" in text)
        for name, items in inboxes.items()
    }
    for uid, mark in changes:
        invited = [name for name in PEOPLE if any((uid, one) in told.get(name, ()) for one in [mark])]
        assert invited, (uid, mark)
        assert all(told[name][uid, mark] == 1 for name in invited), "each change is told once"
        if uid in texts:
            addresses = answers(next(iter(texts[uid].values())))
            assert set(invited) == {address.partition("@")[0] for address in addresses}, "and to everybody"
    assert list(store.check()) == []


# --- bad days


def _put_and_die(url: str, when: str) -> None:
    """A server process that is killed while, or right after, it commits."""

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if when == "before":
        SqlJournal.add = lambda *_: kill()  # type: ignore[method-assign]
    server(open_store(url), Postbox(wake=kill))("anna").put(HREF, TEXT)


HREF = "/calendars/anna/calendar/m.ics"
TEXT = meeting("anna", "m", "Plan", "bert", "carl").replace(
    "END:VEVENT", "ATTENDEE:mailto:x@else.example\r\nEND:VEVENT"
)


def state(store: Store) -> tuple[list[str], list[str], int]:
    """Who has the meeting, who has a message in the inbox, and how many mails wait."""
    texts, inboxes = everything(store)
    mails = store.run(lambda tx: tx.queue.counts(MAIL).get("waiting", 0), write=False)
    return sorted(texts.get("m", ())), sorted(name for name, items in inboxes.items() for _ in items), mails


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_killed(url: str, store: Store, when: str) -> None:
    process = get_context("spawn").Process(target=_put_and_die, args=(url, when))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    everybody = (["anna", "bert", "carl"], ["bert", "carl"], 1)
    assert state(store) == (everybody if when == "after" else ([], [], 0)), "all of it or nothing"
    # The client never got an answer, and sends it again.
    answer = server(store, Postbox())("anna").put(HREF, TEXT)
    assert answer.status == (204 if when == "after" else 201)
    assert state(store) == everybody
    assert list(store.check()) == []


def test_work_that_is_run_again_delivers_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True, True])
    add, verdict = SqlJournal.add, Backend.verdict

    def fail_twice(self: SqlJournal, *arguments: object) -> None:
        add(self, *arguments)  # type: ignore[arg-type]
        if next(failures, False):
            raise exc.OperationalError("the database asks for a retry", None, Exception())

    def retry(self: Backend, error: exc.DBAPIError) -> Verdict:
        return Verdict.RETRY if "asks for a retry" in str(error) else verdict(self, error)

    monkeypatch.setattr(SqlJournal, "add", fail_twice)
    monkeypatch.setattr(Backend, "verdict", retry)
    assert server(store, Postbox())("anna").put(HREF, TEXT).status == 201
    assert next(failures, None) is None
    assert state(store) == (["anna", "bert", "carl"], ["bert", "carl"], 1)
    assert list(store.check()) == []
