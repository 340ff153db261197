"""Inbox and outbox: made with their principal or later, hidden while scheduling is off (RFC 6638 section 2)."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest

from caldavd import provision
from caldavd.boxes import ensure_boxes
from caldavd.wsgi import build
from config.settings import Provisioning, Settings
from storage.open import open_store
from storage.rows import Ace, CollectionKind, PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import Client, event
from tests.caldavd.sharing import statements
from tests.storage.databases import KINDS, Databases

HOME = "/calendars/u1/"
CAL, INBOX, OUTBOX = HOME + "calendar/", HOME + "inbox/", HOME + "outbox/"
TYPES = "<D:resourcetype/>"
AsUser = Callable[[str | None], Client]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """An empty database of each kind."""
    return databases.url(request.param)


def people(store: Store, count: int) -> None:
    """Accounts as they were made while scheduling was off, a room and a group among them."""

    def work(tx: Transaction) -> None:
        for number in range(count):
            provision.create(tx, provision.NewPrincipal(name=f"p{number:04}"), Provisioning())
        provision.create(tx, provision.NewPrincipal(name="room", kind=PrincipalKind.ROOM), Provisioning())
        provision.create(tx, provision.NewPrincipal(name="team", kind=PrincipalKind.GROUP), Provisioning())

    store.run(work, write=True)


def boxes(store: Store) -> dict[str, list[str]]:
    """The names of the boxes, by home, of those who have any."""

    def work(tx: Transaction) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        ids = [one.home_id for one in tx.principals.all(limit=10_000)]
        kinds = (CollectionKind.INBOX, CollectionKind.OUTBOX)
        for home, collection, _ in tx.collections.of_homes(ids, kinds=kinds):
            found.setdefault(home.owner, []).append(collection.name)
        return found

    return store.run(work, write=False)


def test_those_who_were_there_before_get_them(url: str) -> None:
    store = open_store(url)
    people(store, 3)
    assert boxes(store) == {}
    assert ensure_boxes(store) == 4
    everybody = ("p0000", "p0001", "p0002", "room")  # a group has none
    assert boxes(store) == {name: ["inbox", "outbox"] for name in everybody}
    assert ensure_boxes(store) == 0
    store.close()


def start(url: str) -> None:
    """A worker of the server that starts."""
    store = open_store(url)
    build(Settings(), store=store)
    store.close()


def test_several_workers_start_at_once(url: str) -> None:
    store = open_store(url)
    people(store, 120)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=start, args=(url,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = boxes(store)
    assert len(found) == 121
    assert set(map(tuple, found.values())) == {("inbox", "outbox")}
    assert not list(store.check())
    store.close()


def test_a_server_that_does_not_schedule_makes_none(store: Store) -> None:
    store.run(lambda tx: provision.create(tx, provision.NewPrincipal(name="late"), Provisioning()), write=True)
    build(Settings.model_validate({"scheduling": {"enabled": False}}), store=store)
    assert "late" not in boxes(store)
    build(Settings(), store=store)
    assert boxes(store)["late"] == ["inbox", "outbox"]


def test_where_nothing_is_missing_three_statements_are_enough(store: Store) -> None:
    with statements() as seen:
        assert ensure_boxes(store) == 0
    assert len(seen) == 3, seen


def test_half_a_pair_is_completed_and_its_acl_kept(store: Store) -> None:
    def without_outbox(tx: Transaction) -> None:
        tx.homes.lock_of(["u1"])
        found, inbox = tx.collections.find("u1", ("outbox",)), tx.collections.find("u1", ("inbox",))
        assert found is not None
        assert inbox is not None
        tx.collections.remove(found.collection)
        tx.acls.set(inbox.collection, [])

    store.run(without_outbox, write=True)
    assert ensure_boxes(store) == 1
    assert boxes(store)["u1"] == ["inbox", "outbox"]
    found = store.run(lambda tx: tx.collections.find("u1", ("inbox",)), write=False)
    assert found is not None
    assert store.run(lambda tx: tx.acls.of([found.collection.id]), write=False) == {}


def test_something_else_of_that_name_is_left_alone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Clients cannot make it, but an import from another server may have."""

    def work(tx: Transaction) -> None:
        provision.create(tx, provision.NewPrincipal(name="old"), Provisioning())
        found = tx.collections.find("old", ())
        assert found is not None
        tx.collections.add(found.collection, "inbox", kind=CollectionKind.CALENDAR)

    store.run(work, write=True)
    ensure_boxes(store)
    assert boxes(store)["old"] == ["outbox"]
    assert "something else is called inbox" in caplog.text


def test_everybody_may_deliver_at_first(store: Store) -> None:
    def work(tx: Transaction) -> dict[str, list[Ace]]:
        found = {name: tx.collections.find("u1", (name,)) for name in ("inbox", "outbox")}
        ids = {name: one.collection.id for name, one in found.items() if one is not None}
        lists = tx.acls.of(list(ids.values()))
        return {name: list(lists.get(id_, ())) for name, id_ in ids.items()}

    deliver = ("{urn:ietf:params:xml:ns:caldav}schedule-deliver",)
    assert store.run(work, write=False) == {"inbox": [Ace("authenticated", True, deliver)], "outbox": []}


# While scheduling is off


@pytest.mark.parametrize("path", [INBOX, OUTBOX, INBOX + "item.ics", "/calendars/u1/inbox"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PROPFIND", "REPORT", "PROPPATCH", "ACL", "LOCK", "DELETE", "POST"])
def test_nothing_is_found_while_it_is_off(without_scheduling: AsUser, path: str, method: str) -> None:
    for user in ("u1", "u2", "admin"):
        answer = without_scheduling(user).request(method, path, b"", Depth="0")
        expected = (403, 404) if method == "LOCK" else (404,)
        assert answer.status in expected, (user, answer)


def test_no_listing_has_them_while_it_is_off(without_scheduling: AsUser) -> None:
    u1 = without_scheduling("u1")
    tasks = HOME + "tasks/"
    assert u1.propfind(HOME, TYPES, depth=1).hrefs == [HOME, CAL, tasks]
    assert u1.sync(HOME).hrefs == [CAL, tasks]
    assert u1.sync(HOME, level="infinite").hrefs == [CAL, tasks]
    owner = "<D:principal-property><D:owner/></D:principal-property>"
    assert u1.report(HOME, "D:principal-match", owner, depth=0).hrefs == [CAL, tasks]
    assert "inbox" not in u1.request("GET", HOME).body.decode()
    multiget = f"<D:prop><D:getetag/></D:prop><D:href>{INBOX}x.ics</D:href>"
    assert u1.report(HOME, "C:calendar-multiget", multiget).status_of(INBOX + "x.ics") == 404


def test_nothing_is_delivered_while_it_is_off(without_scheduling: AsUser, as_user: AsUser) -> None:
    guests = "ORGANIZER:mailto:u1@example.org\r\nATTENDEE:mailto:u2@example.org\r\n"
    made = without_scheduling("u1").put(CAL + "m.ics", event("m", extra=guests))
    assert (made.status, "ETag" in made.headers, "Schedule-Tag" in made.headers) == (201, True, False)
    for path in ("/calendars/u2/calendar/", "/calendars/u2/inbox/"):
        assert as_user("u2").propfind(path, TYPES, depth=1).hrefs == [path]


# Nobody makes or removes them (RFC 6638 section 2: "clients have no way to create or delete them")


@pytest.mark.parametrize("box", [INBOX, OUTBOX])
def test_they_stay_where_they_are(u1: Client, admin: Client, box: str) -> None:
    for client in (u1, admin):
        assert client.request("DELETE", box).status == 405
        assert client.request("MOVE", box, Destination=HOME + "elsewhere/").status == 405
        assert client.request("COPY", box, Destination=HOME + "elsewhere/").status == 405
        assert client.request("MKCOL", box).status == 405
        assert client.request("MKCALENDAR", box).status == 405
    assert u1.propfind(box, TYPES).status == 207


@pytest.mark.parametrize("box", [INBOX, OUTBOX])
def test_nothing_is_put_into_them(u1: Client, box: str) -> None:
    """An inbox holds no collections (section 2.2), the members of an outbox are "reserved" (section 2.1)."""
    assert u1.put(CAL + "a.ics", event("a")).status == 201
    assert u1.put(box + "a.ics", event("b")).status == 403
    assert u1.request("MKCOL", box + "sub/").status == 403
    assert u1.request("MKCALENDAR", box + "sub/").status == 403
    for method in ("COPY", "MOVE"):
        assert u1.request(method, CAL + "a.ics", Destination=box + "a.ics").status == 403
        assert u1.request(method, CAL, Destination=box + "cal/").status == 403
        assert u1.request(method, CAL, Destination=box).status == 403
    assert u1.propfind(box, TYPES, depth=1).hrefs == [box]
    assert u1.request("GET", CAL + "a.ics").status == 200
    answer = u1.request("POST", box, event("b"), Content_Type="text/calendar")
    assert answer.conditions == ["valid-scheduling-message"]
    assert u1.propfind(box, TYPES, depth=1).hrefs == [box]
