"""A meeting of 500 people who all live here: the statements are bounded by batches, not by people, on each database.

A server is a store with people ``p000`` to ``p500``; ``p000`` organizes. What is counted are the statements that the
server runs, each with all its rows (what that means on MariaDB is in ``tests/storage/test_across_homes.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.delivery.scheduler import Scheduler
from storage.open import open_store
from storage.store import Store, Transaction
from tests.caldavd.client import Client, NamesAreEnough
from tests.caldavd.sharing import statements
from tests.storage.databases import KINDS, Databases

PEOPLE = [f"p{number:03}" for number in range(501)]
MEETING = "/calendars/p000/calendar/m.ics"
#: Of one request: a dozen for the request itself, three runs of it at most (with more and more homes locked), and
#: batches of 200 and of 500 rows.
MOST = 75


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Store]:
    opened = open_store(databases.url(request.param), wait_seconds=60)

    def furnish(tx: Transaction) -> None:
        for name in PEOPLE:
            new = provision.NewPrincipal(name=name, addresses=(f"mailto:{name}@example.org",), schedules=True)
            provision.create(tx, new, Provisioning())

    opened.run(furnish, write=True)
    yield opened
    opened.close()


@pytest.fixture
def application(store: Store) -> Application:
    return Application(store=store, authenticator=NamesAreEnough(store), scheduler=Scheduler())  # type: ignore[arg-type]


def meeting(start: str, *, without: str = "") -> str:
    who = "".join(
        f"ATTENDEE;CN=Number {name};PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{name}@example.org\r\n"
        for name in PEOPLE[1:]
        if name != without
    )
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:m\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\nSUMMARY:Everybody\r\n"
        f"ORGANIZER:mailto:p000@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:p000@example.org\r\n{who}"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def copies(store: Store, uid: str = "m") -> dict[str, str]:
    """The unfolded text of everybody's copy."""

    def work(tx: Transaction) -> dict[str, str]:
        homes = {one.home_id: name for name, one in tx.principals.by_names(PEOPLE).items()}
        found = tx.objects.by_uid_in_homes(list(homes), uid, columns=frozenset({"body"}))
        assert all(len(rows) == 1 for rows in found.values()), "nobody has it twice"
        return {homes[home_id]: rows[0].body.decode().replace("\r\n ", "") for home_id, rows in found.items()}

    return store.run(work, write=False)


def in_inboxes(store: Store) -> list[int]:
    """How many messages lie in each inbox."""

    def work(tx: Transaction) -> list[int]:
        found = [tx.collections.find(name, ("inbox",)) for name in PEOPLE]
        return [tx.objects.count(one.collection.id) for one in found if one is not None]

    return store.run(work, write=False)


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.endswith(f":mailto:{name}@example.org"))


def test_500_people(store: Store, application: Application) -> None:
    boss = Client(application, "p000")

    with statements() as seen:
        assert boss.put(MEETING, meeting("20260310T120000Z")).status == 201
    assert len(seen) <= MOST, len(seen)
    found = copies(store)
    assert set(found) == set(PEOPLE)
    assert len({found[name] for name in PEOPLE[1:]}) == 1
    assert found["p000"].count("SCHEDULE-STATUS=1.2") == 500
    assert in_inboxes(store) == [0] + [1] * 500

    one = Client(application, "p123")
    hrefs = one.propfind("/calendars/p123/calendar/", "<D:getetag/>", depth=1).hrefs
    href = next(href for href in hrefs if href.endswith(".ics"))
    line = line_of(found["p123"], "p123")
    accepted = found["p123"].replace(line, line.replace("NEEDS-ACTION", "ACCEPTED").replace(";RSVP=TRUE", ""))
    with statements() as seen:
        assert one.put(href, accepted).status == 204
    assert len(seen) <= MOST, len(seen)
    found = copies(store)
    assert all("PARTSTAT=ACCEPTED" in line_of(text, "p123") for text in found.values())
    assert in_inboxes(store) == [1] * 501, "the organizer is told; the others only see it"

    with statements() as seen:
        assert boss.put(MEETING, meeting("20260311T120000Z", without="p007")).status == 204
    assert len(seen) <= MOST, len(seen)
    found = copies(store)
    assert set(found) == set(PEOPLE) - {"p007"}
    assert all("DTSTART:20260311T120000Z" in text for text in found.values())
    assert in_inboxes(store) == [1] + [2] * 500

    with statements() as seen:
        assert boss.request("DELETE", MEETING).status == 204
    assert len(seen) <= MOST, len(seen)
    assert copies(store) == {}
    assert in_inboxes(store) == [1] + [2 if name == "p007" else 3 for name in PEOPLE[1:]]
    assert list(store.check()) == []


def test_more_people_are_more_rows_in_the_same_statements(store: Store, application: Application) -> None:
    boss = Client(application, "p000")
    counts = []
    for uid, people in (("few", 20), ("more", 190)):
        text = meeting("20260310T120000Z").replace("UID:m", f"UID:{uid}")
        for name in PEOPLE[people + 1 :]:
            text = text.replace(
                f"ATTENDEE;CN=Number {name};PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{name}@example.org\r\n", ""
            )
        with statements() as seen:
            assert boss.put(f"/calendars/p000/calendar/{uid}.ics", text).status == 201
        counts.append(len(seen))
        assert set(copies(store, uid)) == set(PEOPLE[: people + 1])
    # One batch more of collections (two and the home of each), one of copies and inbox items.
    assert counts[1] - counts[0] <= 6, counts
