"""The rim of deliveries over HTTP: where they go, whom an address means, what does not stop the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling import itip
from scheduling.delivery.people import Site
from scheduling.delivery.placing import DEFAULT_CALENDAR_URL, default_of
from scheduling.delivery.running import run_locked
from scheduling.delivery.scheduler import Received, Scheduler
from storage.rows import Ace, Address, Owner, PrincipalKind, StoredProperty
from storage.store import Store, Transaction
from tests.caldavd.client import Client
from tests.caldavd.sharing import principal, remove, set_aces
from tests.caldavd.test_scheduling import count, meeting, methods, only

CAL1, CAL2, CAL3 = (f"/calendars/u{number}/calendar/" for number in (1, 2, 3))
INBOX1 = "/calendars/u1/inbox/"


@pytest.fixture
def as_user(application: Application) -> Callable[[str], Client]:
    scheduling = replace(application, scheduler=Scheduler(site=Site(authorities=frozenset({"cal.example.org"}))))
    return lambda name: Client(scheduling, name)


@pytest.fixture
def u1(as_user: Callable[[str], Client]) -> Client:
    return as_user("u1")


@pytest.fixture
def u2(as_user: Callable[[str], Client]) -> Client:
    return as_user("u2")


@pytest.fixture
def u3(as_user: Callable[[str], Client]) -> Client:
    return as_user("u3")


def stored(client: Client, href: str = CAL1 + "m.ics") -> str:
    return client.request("GET", href).body.decode().replace("\r\n ", "")


def line_of(text: str, address: str) -> str:
    found = [line for line in text.splitlines() if line.startswith("ATTENDEE") and line.endswith(":" + address)]
    assert len(found) == 1, text
    return found[0]


def invited(*addresses: str, uid: str = "m", component: str = "VEVENT", lines: str = "") -> str:
    """A meeting of ``u1`` with attendees by whole URIs."""
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:{address}\r\n" for address in addresses)
    text = meeting(uid=uid, attendees=()).replace("END:VEVENT", who + lines + "END:VEVENT")
    return text.replace("VEVENT", component).replace("DURATION:PT1H", "X-A:B") if component == "VTODO" else text


# --- where invitations go


def set_default(client: Client, href: str) -> int:
    inbox = f"/calendars/{client.user}/inbox/"
    value = f"<C:schedule-default-calendar-URL><D:href>{href}</D:href></C:schedule-default-calendar-URL>"
    return client.proppatch(inbox, set=value).status


def test_the_default_calendar_is_where_invitations_go(u1: Client, u2: Client) -> None:
    assert u2.request("MKCALENDAR", "/calendars/u2/m%C3%A9/").status == 201
    assert set_default(u2, "/calendars/u2/m%C3%A9/") == 207
    assert u1.put(CAL1 + "m.ics", meeting()).status == 201
    assert count(u2, CAL2) == 0
    only(u2, "/calendars/u2/m%C3%A9/")
    assert u2.request("DELETE", "/calendars/u2/m%C3%A9/").status in (204, 403)  # C2: default-calendar-needed


def test_a_default_calendar_that_has_gone_is_none(store: Store, u1: Client, u2: Client) -> None:
    def leave_behind(tx: Transaction) -> None:
        tx.homes.lock_of(["u2"])
        found = tx.collections.find("u2", ("inbox",))
        assert found is not None
        xml = b'<x xmlns:D="DAV:"><D:href>/calendars/u2/gone/</D:href></x>'
        tx.properties.set(StoredProperty(Owner("collection", found.collection.id), 0, *DEFAULT_CALENDAR_URL, xml))

    store.run(leave_behind, write=True)
    assert u1.put(CAL1 + "m.ics", meeting()).status == 201
    only(u2, CAL2)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/calendars/anna/work/", ("work",)),
        ("/calendars/anna/a%20b/c", ("a b", "c")),
        ("/dav/calendars/anna/calendars/", ("calendars",)),
        ("https://here.example/calendars/anna/work/", ("work",)),
        ("../work/", ("work",)),
        ("/calendars/bert/work/", None),
        ("/other/anna/work/", None),
        ("http://[/", None),
        ("", ("inbox",)),
    ],
)
def test_where_a_stored_default_leads(href: str, path: tuple[str, ...] | None) -> None:
    xml = f'<C:x xmlns:C="c:" xmlns:D="DAV:"><D:href>{href}</D:href></C:x>'.encode()
    prop = StoredProperty(Owner("collection", 1), 0, *DEFAULT_CALENDAR_URL, xml)
    assert default_of([prop], "anna") == path
    assert default_of([replace(prop, xml=b"<")], "anna") is None


def test_a_to_do_goes_to_a_calendar_for_to_dos(u1: Client, u2: Client) -> None:
    text = invited("mailto:u2@example.org", component="VTODO")
    assert u1.put("/calendars/u1/tasks/m.ics", text).status == 201
    assert count(u2, CAL2) == 0
    assert "BEGIN:VTODO" in only(u2, "/calendars/u2/tasks/")[1]
    for name in ("tasks", "calendar"):
        assert u2.request("DELETE", f"/calendars/u2/{name}/").status in (204, 403)


def test_where_no_calendar_takes_it_the_organizer_is_told(store: Store, u1: Client, u2: Client) -> None:
    remove(store, "u2/tasks")
    text = invited("mailto:u2@example.org", "mailto:u3@example.org", component="VTODO")
    assert u1.put("/calendars/u1/tasks/m.ics", text).status == 201
    mine = stored(u1, "/calendars/u1/tasks/m.ics")
    assert "SCHEDULE-STATUS=3.14" in line_of(mine, "mailto:u2@example.org")
    assert "SCHEDULE-STATUS=1.2" in line_of(mine, "mailto:u3@example.org")
    assert methods(u2) == ["REQUEST"], "they can still see what they were asked"


def test_who_has_no_calendar_at_all(store: Store, u1: Client, u3: Client) -> None:
    remove(store, "u2/tasks", "u2/calendar", "u2/inbox")
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"))).status == 201
    assert "SCHEDULE-STATUS=5.1" in line_of(stored(u1), "mailto:u2@example.org")
    only(u3, CAL3)


# --- what does not stop the others


def test_a_full_home_is_a_status(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    u2_home = store.run(lambda tx: tx.homes.of("u2"), write=False)
    assert u2_home is not None

    def limit(tx: Transaction, quota: int | None) -> None:
        tx.homes.lock_of(["u2"])
        tx.homes.set_quota(u2_home.id, quota)

    store.run(lambda tx: limit(tx, 100), write=True)
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"))).status == 201
    assert "SCHEDULE-STATUS=5.1" in line_of(stored(u1), "mailto:u2@example.org")
    assert (count(u2, CAL2), count(u2, "/calendars/u2/inbox/"), count(u3, CAL3)) == (0, 0, 1)
    store.run(lambda tx: limit(tx, 700), write=True)  # enough for the meeting, not for the inbox item as well
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"), start="20260311T120000Z")).status == 204
    assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), "mailto:u2@example.org")
    assert (count(u2, CAL2), count(u2, "/calendars/u2/inbox/")) == (1, 0)
    store.run(lambda tx: limit(tx, 10), write=True)
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0, "what makes the home smaller always goes"
    assert list(store.check()) == []


def test_a_full_organizer_is_a_status_for_the_answer(store: Store, u1: Client, u2: Client) -> None:
    u1.put(CAL1 + "m.ics", meeting().replace("PARTSTAT=NEEDS-ACTION;", ""))
    before = stored(u1)

    def limit(tx: Transaction) -> None:
        tx.homes.set_quota(tx.homes.lock_of(["u1"])["u1"].id, 1)

    store.run(limit, write=True)
    href, text = only(u2, CAL2)
    mine = line_of(text, "mailto:u2@example.org")
    assert u2.put(href, text.replace(mine, mine.replace("ATTENDEE", "ATTENDEE;PARTSTAT=TENTATIVE"))).status == 204
    assert stored(u1) == before
    assert "ORGANIZER;SCHEDULE-STATUS=5.1:" in stored(u2, href)


def test_a_lock_on_a_copy_does_not_hold_a_delivery_up(u1: Client, u2: Client) -> None:
    u1.put(CAL1 + "m.ics", meeting())
    href, _ = only(u2, CAL2)
    info = (
        '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        "</D:lockinfo>"
    )
    etag = u2.request("GET", href).headers["ETag"]
    token = u2.request("LOCK", href, info, Depth="0").headers["Lock-Token"]
    assert u1.put(CAL1 + "m.ics", meeting(start="20260312T120000Z")).status == 204
    assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), "mailto:u2@example.org")
    text = stored(u2, href)
    assert "DTSTART:20260312T120000Z" in text
    # Whoever holds the lock has an older state in hand: their ETag says so.
    assert u2.put(href, text, If=f"({token} [{etag}])").status == 412
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0
    assert u2.request("LOCK", CAL2, info, Depth="infinity").status == 200
    assert u2.put(CAL2 + "own.ics", meeting(uid="own")).status == 423
    assert u1.put(CAL1 + "m.ics", meeting()).status == 201
    assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), "mailto:u2@example.org")
    assert count(u2, CAL2) == 1, "an invitation goes into a locked calendar as well"


def test_people_who_were_removed(store: Store, u1: Client, u3: Client) -> None:
    def leave(tx: Transaction) -> None:
        found = tx.principals.by_name("u2")
        assert found is not None
        tx.principals.remove(found.id)

    u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3")))
    store.run(leave, write=True)
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"), start="20260312T120000Z")).status == 204
    assert "SCHEDULE-STATUS=5.2" in line_of(stored(u1), "mailto:u2@example.org")
    assert "DTSTART:20260312T120000Z" in only(u3, CAL3)[1]


def test_who_removes_a_meeting_silently_does_not_get_it_back_by_an_answer(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3")))
    href, _ = only(u3, CAL3)
    assert u3.request("DELETE", href, Schedule_Reply="F").status == 204
    href, text = only(u2, CAL2)
    mine = line_of(text, "mailto:u2@example.org")
    assert u2.put(href, text.replace(mine, mine.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert count(u3, CAL3) == 0
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"), start="20260312T120000Z")).status == 204
    assert count(u3, CAL3) == 1, "a new time is another question"


def test_a_calendar_of_meetings_with_different_people(
    store: Store, u1: Client, as_user: Callable[[str], Client]
) -> None:
    names = [f"x{number}" for number in range(12)]

    def furnish(tx: Transaction) -> None:
        for name in names:
            new = provision.NewPrincipal(name=name, addresses=(f"mailto:{name}@example.org",), schedules=True)
            provision.create(tx, new, Provisioning())

    store.run(furnish, write=True)
    u1.request("MKCALENDAR", "/calendars/u1/second/")
    for name in names:
        assert u1.put(f"/calendars/u1/second/{name}.ics", meeting(uid=name, attendees=(name,))).status == 201
    assert u1.request("DELETE", "/calendars/u1/second/").status == 204
    assert [methods(as_user(name)) for name in names] == [["REQUEST", "CANCEL"]] * 12


def test_an_inbox_that_takes_nothing_from_the_sender(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    everything = ("{urn:ietf:params:xml:ns:caldav}schedule-deliver",)
    set_aces(store, "u2/inbox", Ace("principal", False, everything, principal_id=principal(store, "u1").id))
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "u3"))).status == 201
    assert "SCHEDULE-STATUS=3.8" in line_of(stored(u1), "mailto:u2@example.org")
    assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), "mailto:u3@example.org")
    href, copy = only(u3, CAL3)
    mine = line_of(copy, "mailto:u3@example.org")
    assert u3.put(href, copy.replace(mine, mine.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert (count(u2, CAL2), methods(u2)) == (0, [])


# --- whom an address means


@pytest.mark.parametrize(
    "address",
    [
        "MAILTO:U2@Example.ORG",
        "mailto:%75%32@example.org",
        "mailto:u2@example.org?subject=x",
        "/principals/u2/",
        "/principals/u2",
        "https://cal.example.org/principals/u2/",
        "urn:uuid:6F1F11EF-92DD-4DDF-9F4B-1A6B8B9E0F3A",
    ],
)
def test_ways_to_write_the_same_person(store: Store, u1: Client, u2: Client, address: str) -> None:
    def name(tx: Transaction) -> None:
        found = tx.principals.by_name("u2")
        assert found is not None
        uri = provision.address("urn:uuid:6f1f11ef-92dd-4ddf-9f4b-1a6b8b9e0f3a")
        tx.principals.update(replace(found, addresses=(*found.addresses, Address(uri, preferred=False))))

    store.run(name, write=True)
    assert u1.put(CAL1 + "m.ics", invited(address)).status == 201
    line = line_of(stored(u1), address)
    assert "SCHEDULE-STATUS=1.2" in line
    href, text = only(u2, CAL2)
    mine = line_of(text, address)
    assert u2.put(href, text.replace(mine, mine.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), address)
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://other.example.org/principals/u2/",
        "/principals/",
        "/principals/u2/x",
        "/calendars/u2/",
        "mailto:u2@example.com",
        "urn:uuid:0",
        "mailto:\N{PILE OF POO}@example.org",
        "mailto:%0Au2@example.org",
        'mailto:"u2"@example.org',
        "not an address",
    ],
)
def test_who_is_nobody_here(u1: Client, u2: Client, address: str) -> None:
    assert u1.put(CAL1 + "m.ics", invited(address, "mailto:u3@example.org")).status == 201
    assert "SCHEDULE-STATUS=5.2" in line_of(stored(u1), address)
    assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), "mailto:u3@example.org")
    assert count(u2, CAL2) == 0


def test_the_prefix_is_part_of_a_principal_url() -> None:
    site = Site("/dav", frozenset({"cal.example.org"}))
    assert site.name_in("/dav/principals/u2") == "u2"
    assert site.name_in("/principals/u2") == "u2"
    assert site.name_in("https://cal.example.org/dav/principals/u2") == "u2"
    assert site.name_in("https://cal.example.org:8443/dav/principals/u2") is None
    assert site.name_in("ftp://cal.example.org/principals/u2") is None
    assert site.name_in("principals/u2") is None


def test_an_organizer_by_the_url_of_the_principal(u1: Client, u2: Client) -> None:
    text = meeting().replace("ORGANIZER:mailto:u1@example.org", "ORGANIZER:https://cal.example.org/principals/u1/")
    assert u1.put(CAL1 + "m.ics", text).status == 201
    href, copy = only(u2, CAL2)
    mine = line_of(copy, "mailto:u2@example.org")
    assert u2.put(href, copy.replace(mine, mine.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), "mailto:u2@example.org")


def test_a_person_under_two_addresses_has_it_once(store: Store, u1: Client, u2: Client) -> None:
    def name(tx: Transaction) -> None:
        found = tx.principals.by_name("u2")
        assert found is not None
        more = Address("mailto:second@example.org", preferred=False)
        tx.principals.update(replace(found, addresses=(*found.addresses, more)))

    store.run(name, write=True)
    text = invited("mailto:u2@example.org", "mailto:second@example.org", "/principals/u2/", "mailto:u1@example.org")
    text = text.replace("ATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org\r\n", "")
    assert u1.put(CAL1 + "m.ics", text).status == 201
    only(u2, CAL2)
    assert methods(u2) == ["REQUEST"]
    for address in ("mailto:u2@example.org", "mailto:second@example.org", "/principals/u2/"):
        assert "SCHEDULE-STATUS=1.2" in line_of(stored(u1), address)
    assert methods(u1) == []
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0


@pytest.mark.parametrize("uid", ["a/b", "..", "\N{PILE OF POO}", "x" * 2000, "'; DROP TABLE objects; --", "%00", " "])
def test_hostile_uids(u1: Client, u2: Client, uid: str) -> None:
    put = u1.put(CAL1 + "m.ics", meeting(uid=uid))
    if uid == " ":
        assert put.status in (201, 403)
        return
    assert put.status == 201, put.body
    href, _ = only(u2, CAL2)
    assert len(href.removeprefix(CAL2)) == 36
    assert u1.put(CAL1 + "m.ics", meeting(uid=uid, start="20260312T120000Z")).status == 204
    assert "DTSTART:20260312T120000Z" in only(u2, CAL2)[1]
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert count(u2, CAL2) == 0


# --- groups


def furnish_groups(store: Store) -> None:
    """``all`` = staff (u1, u2), itself and u3; ``empty`` has nobody."""

    def work(tx: Transaction) -> None:
        def make(name: str) -> int:
            new = provision.NewPrincipal(
                name=name, kind=PrincipalKind.GROUP, addresses=(f"mailto:{name}@example.org",), schedules=True
            )
            return provision.create(tx, new, Provisioning()).id

        found = tx.principals.by_names(["staff", "u3"])
        everybody = make("all")
        make("empty")
        tx.principals.set_members(everybody, [found["staff"].id, found["u3"].id, everybody])

    store.run(work, write=True)


def test_a_group_stands_for_its_members(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    furnish_groups(store)
    text = invited("mailto:all@example.org", "mailto:empty@example.org")
    assert u1.put(CAL1 + "m.ics", text).status == 201
    mine = stored(u1)
    assert "SCHEDULE-STATUS=2.7" in line_of(mine, "mailto:all@example.org")
    assert "SCHEDULE-STATUS=5.1" in line_of(mine, "mailto:empty@example.org")
    for name, client, calendar in (("u2", u2, CAL2), ("u3", u3, CAL3)):
        line = line_of(mine, f"mailto:{name}@example.org")
        assert 'MEMBER="mailto:all@example.org"' in line
        assert "SCHEDULE-STATUS=1.2" in line
        assert methods(client) == ["REQUEST"]
        assert "mailto:all@example.org" in only(client, calendar)[1]
    assert mine.count("mailto:u1@example.org") == 2, "the organizer is no member of their own meeting"
    # The client that knows nothing of the members sends what it had; nobody loses anything by it.
    href, copy = only(u2, CAL2)
    line = line_of(copy, "mailto:u2@example.org")
    assert u2.put(href, copy.replace(line, line.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert u1.put(CAL1 + "m.ics", text.replace("SUMMARY:Plan", "SUMMARY:New plan")).status == 204
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), "mailto:u2@example.org")
    assert "SUMMARY:New plan" in only(u3, CAL3)[1]


def test_members_who_come_later_are_invited_with_the_next_change(
    store: Store, u1: Client, u2: Client, u3: Client
) -> None:
    assert u1.put(CAL1 + "m.ics", invited("mailto:staff@example.org")).status == 201
    assert (count(u2, CAL2), count(u3, CAL3)) == (1, 0)

    def change(tx: Transaction) -> None:
        found = tx.principals.by_names(["staff", "u1", "u3"])
        tx.principals.set_members(found["staff"].id, [found["u1"].id, found["u3"].id])

    store.run(change, write=True)
    assert u1.put(CAL1 + "m.ics", stored(u1).replace("SUMMARY:Plan", "SUMMARY:New")).status == 204
    assert (count(u2, CAL2), count(u3, CAL3)) == (1, 1), "who has left stays invited until they are taken off"


def test_who_is_named_beside_the_group_is_invited_once(u1: Client, u2: Client) -> None:
    assert u1.put(CAL1 + "m.ics", invited("mailto:staff@example.org", "/principals/u2/")).status == 201
    assert "mailto:u2@example.org" not in stored(u1)
    assert methods(u2) == ["REQUEST"]


def test_the_members_count_as_attendees(application: Application, u2: Client, store: Store) -> None:
    furnish_groups(store)
    small = Client(replace(application, scheduler=Scheduler(most_attendees=3)), "u1")
    answer = small.put(CAL1 + "m.ics", invited("mailto:all@example.org"))
    assert answer.status == 403
    assert answer.conditions == ["max-attendees-per-instance"]
    assert count(u2, CAL2) == 0


# --- very many


def test_in_a_crowd_everybody_sees_themselves(application: Application, as_user: Callable[[str], Client]) -> None:
    scheduling = replace(application, scheduler=Scheduler(most_shown=3))
    u1, u2, u3, admin = (Client(scheduling, name) for name in ("u1", "u2", "u3", "admin"))
    text = meeting(attendees=("u2", "u3", "admin", "stranger")).replace(
        "END:VEVENT", "ATTENDEE;CUTYPE=ROOM;PARTSTAT=NEEDS-ACTION:mailto:room1@example.org\r\nEND:VEVENT"
    )
    assert u1.put(CAL1 + "m.ics", text).status == 201
    href, copy = only(u2, CAL2)
    assert [line.rpartition(":")[2] for line in copy.splitlines() if line.startswith("ATTENDEE")] == [
        "u2@example.org", "room1@example.org",
    ]  # fmt: skip
    assert "PARTSTAT=ACCEPTED" in line_of(copy, "mailto:room1@example.org")
    assert "stranger" in only(admin, "/calendars/room1/calendar/")[1], "the room sees who comes"
    before = stored(u3, only(u3, CAL3)[0])
    mine = line_of(copy, "mailto:u2@example.org")
    assert u2.put(href, copy.replace(mine, mine.replace("NEEDS-ACTION", "ACCEPTED"))).status == 204
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), "mailto:u2@example.org")
    assert only(u3, CAL3)[1] == before
    assert methods(u3) == ["REQUEST"]
    assert u1.put(CAL1 + "m.ics", stored(u1).replace("DTSTART:20260310", "DTSTART:20260312")).status == 204
    assert "DTSTART:20260312" in only(u3, CAL3)[1]
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert [count(u2, CAL2), count(u3, CAL3), count(admin, "/calendars/room1/calendar/")] == [0, 0, 0]


def test_10000_attendees(with_limits: Callable[..., Client], u1: Client, u2: Client) -> None:
    names = ("u2", *(f"stranger{number}" for number in range(10_000)))
    refused = u1.put(CAL1 + "m.ics", meeting(attendees=names))
    assert refused.status == 403
    assert refused.conditions == ["max-attendees-per-instance"]
    raised = with_limits(max_attendees_per_instance=20_000)
    assert raised.put(CAL1 + "m.ics", meeting(attendees=names)).status == 201
    assert stored(u1).count("SCHEDULE-STATUS=5.2") == 10_000
    assert len(only(u2, CAL2)[1]) < 1000


# --- rooms


def test_the_others_get_one_request_with_the_rooms_answer(u1: Client, u2: Client) -> None:
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "room1"))).status == 201
    line = line_of(stored(u1), "mailto:room1@example.org")
    assert "PARTSTAT=ACCEPTED" in line
    assert "SCHEDULE-STATUS=2.0" in line
    assert "PARTSTAT=ACCEPTED" in line_of(only(u2, CAL2)[1], "mailto:room1@example.org")
    assert methods(u2) == ["REQUEST"]
    assert methods(u1) == []
    etag = u1.request("GET", CAL1 + "m.ics").headers["ETag"]
    assert u1.put(CAL1 + "other.ics", meeting(uid="n", attendees=("u2", "room1"))).status == 201
    assert "PARTSTAT=DECLINED" in line_of(stored(u1, CAL1 + "other.ics"), "mailto:room1@example.org")
    moved = stored(u1).replace("20260310T120000Z", "20260310T150000Z")
    assert u1.put(CAL1 + "m.ics", moved, If_Match=etag).status == 204
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), "mailto:room1@example.org")
    assert methods(u2) == ["REQUEST"] * 3


# --- from outside


def receive(store: Store, text: str, sender: str, recipient: str) -> Received:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    message = itip.received(text.encode(), sender=sender, recipient=recipient, now=now)
    return run_locked(store, (), lambda tx, held: Scheduler().receive(tx, message, held=held))


def test_messages_from_outside(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("u2", "stranger"))).status == 201
    reply = (
        "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:m\r\n"
        "DTSTAMP:20260102T000000Z\r\nORGANIZER:mailto:u1@example.org\r\n"
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:stranger@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    stranger = "mailto:stranger@example.org"
    for _ in range(2):  # a mail may come twice
        got = receive(store, reply, stranger, "mailto:u1@example.org")
        assert (got.owner, got.status[:1]) == ("u1", "1")
        assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), stranger)
        assert "PARTSTAT=ACCEPTED" in line_of(only(u2, CAL2)[1], stranger), "the others are told"
        assert methods(u1) == ["REPLY"]
    forged = receive(store, reply.replace("ACCEPTED", "DECLINED"), "mailto:evil@example.org", "mailto:u1@example.org")
    assert forged.action == "ignore"
    assert "PARTSTAT=ACCEPTED" in line_of(stored(u1), stranger)

    counter = reply.replace("METHOD:REPLY", "METHOD:COUNTER").replace(
        "DTSTAMP:20260102T000000Z", "DTSTAMP:20260102T000000Z\r\nDTSTART:20260310T150000Z"
    )
    for _ in range(2):
        receive(store, counter, stranger, "mailto:u1@example.org")
        assert sorted(methods(u1)) == ["COUNTER", "REPLY"]

    nobody = receive(store, reply, stranger, "mailto:nobody@example.org")
    assert (nobody.owner, nobody.status, nobody.action) == ("", "3.7", "ignore")

    request = (
        reply.replace("METHOD:REPLY", "METHOD:REQUEST").replace("UID:m", "UID:from-outside")
        .replace("DTSTAMP:20260102T000000Z", "DTSTAMP:20260102T000000Z\r\nDTSTART:20260401T120000Z")
        .replace("ORGANIZER:mailto:u1@example.org", f"ORGANIZER:{stranger}")
        .replace("END:VEVENT", "ATTENDEE:mailto:u3@example.org\r\nEND:VEVENT")
    )  # fmt: skip
    for _ in range(2):
        receive(store, request, stranger, "mailto:u3@example.org")
        only(u3, CAL3)
        assert methods(u3) == ["REQUEST"]
    cancel = request.replace("METHOD:REQUEST", "METHOD:CANCEL").replace("END:VEVENT", "SEQUENCE:1\r\nEND:VEVENT")
    assert receive(store, cancel, "mailto:evil@example.org", "mailto:u3@example.org").action == "ignore"
    assert receive(store, cancel, stranger, "mailto:u3@example.org").action == "delete"
    assert count(u3, CAL3) == 0


def test_a_message_that_comes_again_when_its_item_was_deleted(store: Store, u1: Client) -> None:
    """The item is as if it had never been gone: for who syncs, and for who deletes it once more."""
    assert u1.put(CAL1 + "m.ics", meeting(attendees=("stranger",))).status == 201
    counter = (
        "BEGIN:VCALENDAR\r\nMETHOD:COUNTER\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:m\r\n"
        "DTSTAMP:20260102T000000Z\r\nDTSTART:20260310T150000Z\r\nORGANIZER:mailto:u1@example.org\r\n"
        "ATTENDEE:mailto:stranger@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    token = u1.sync(INBOX1).xpath("string(/D:multistatus/D:sync-token)")
    for _ in range(3):
        receive(store, counter, "mailto:stranger@example.org", "mailto:u1@example.org")
        changed = u1.sync(INBOX1, token)
        assert len(changed.hrefs) == 1, changed
        assert changed.status_of(changed.hrefs[0]) is None
        assert u1.request("DELETE", changed.hrefs[0]).status == 204
        assert u1.sync(INBOX1, token).status_of(changed.hrefs[0]) == 404


def test_a_room_answers_people_elsewhere(store: Store, as_user: Callable[[str], Client]) -> None:
    text = (
        "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:r\r\n"
        "DTSTAMP:20260102T000000Z\r\nDTSTART:20260401T120000Z\r\nORGANIZER:mailto:x@else.example\r\n"
        "ATTENDEE:mailto:room1@example.org\r\nATTENDEE:mailto:x@else.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert receive(store, text, "mailto:x@else.example", "mailto:room1@example.org").action == "create"
    assert "PARTSTAT=ACCEPTED" in only(as_user("admin"), "/calendars/room1/calendar/")[1]
    log = store.run(lambda tx: tx.journal.of_uid("r", limit=10), write=False)
    assert [(entry.actor, entry.method) for _, entry in log if entry.method == "REPLY"] == [
        ("mailto:room1@example.org", "REPLY"), ("mailto:room1@example.org", "REPLY"),
    ]  # fmt: skip
