"""A calendar that is shared by an ACE, as the person sees it with whom it is shared (u2), and as others do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.rows import Ace
from storage.store import Store
from tests.caldavd.client import Client, event
from tests.caldavd.sharing import ace, acl, grant, principal, set_aces, statements

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
CAL, TASKS = HOME + "calendar/", HOME + "tasks/"
BOXES = [HOME + "inbox/", HOME + "outbox/"]
#: The homes that u2 has in its list without any sharing: its group's and its own.
OWN = ["/calendars/staff/", "/calendars/u2/"]
EVERY_KIND = "<D:resourcetype/><D:displayname/><D:current-user-privilege-set/><CS:getctag/><D:sync-token/><D:owner/>"


def privileges(client: Client, path: str) -> list[str]:
    """The local names in current-user-privilege-set."""
    found = client.propfind(path, "<D:current-user-privilege-set/>").prop(path, "D:current-user-privilege-set")
    assert found is not None
    return [privilege[0].tag.partition("}")[2] for privilege in found]


def listed(client: Client) -> list[str]:
    """The homes in the list of homes."""
    first, *homes = client.propfind("/calendars/", "<D:resourcetype/>", depth=1).hrefs
    assert first == "/calendars/"
    return homes


@pytest.fixture
def read_only(u1: Client) -> None:
    """u1's calendar with one event, which u2 may read."""
    assert u1.put(CAL + "a.ics", event("a")).status == 201
    assert u1.request("ACL", CAL, acl(ace("u2", "read"))).status == 200


@pytest.mark.usefixtures("read_only")
def test_reading_works(u2: Client) -> None:
    assert u2.request("GET", CAL + "a.ics").body == event("a").encode()
    assert u2.request("GET", CAL).status == 200
    assert u2.propfind(CAL, "<D:getetag/>", depth=1).hrefs == [CAL, CAL + "a.ics"]
    assert u2.sync(CAL).hrefs == [CAL + "a.ics"]
    inner = f"<D:prop><C:calendar-data/></D:prop><D:href>{CAL}a.ics</D:href>"
    assert b"SUMMARY:Lunch" in u2.report(CAL, "C:calendar-multiget", inner).body
    assert privileges(u2, CAL) == ["read", "read-free-busy", "read-current-user-privilege-set"]
    assert u2.propfind(CAL, "<D:owner/>").xpath("string(//D:owner/D:href)") == "/principals/u1/"


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    ("method", "path", "privilege"),
    [
        ("PUT", CAL + "a.ics", "write-content"),
        ("PUT", CAL + "new.ics", "bind"),
        ("DELETE", CAL + "a.ics", "unbind"),
        ("PROPPATCH", CAL, "write-properties"),
        ("DELETE", CAL, "unbind"),
        ("ACL", CAL, "write-acl"),
    ],
)
def test_writing_does_not(u1: Client, u2: Client, method: str, path: str, privilege: str) -> None:
    body = {"PUT": event("a", summary="B"), "ACL": acl()}.get(method, "")
    answer = u2.request(method, path, body, Content_Type="text/calendar" if method == "PUT" else "text/xml")
    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert answer.xpath(f"//D:need-privileges/D:resource/D:privilege/D:{privilege}")
    assert u1.request("GET", CAL + "a.ics").body == event("a").encode()


@pytest.mark.usefixtures("read_only")
def test_others_know_nothing_of_it(as_user: AsUser) -> None:
    u3 = as_user("u3")
    for path in (HOME, CAL, CAL + "a.ics", TASKS, HOME + "never/", "/calendars/nobody/"):
        for method in ("OPTIONS", "GET", "PROPFIND", "PUT", "DELETE", "ACL", "LOCK", "PROPPATCH", "REPORT", "UNLOCK"):
            assert u3.request(method, path, Depth="0").status == 404, (method, path)


@pytest.mark.usefixtures("read_only")
def test_the_home_shows_what_is_shared_and_no_more(u2: Client) -> None:
    listing = u2.propfind(HOME, EVERY_KIND, depth=1)
    assert listing.hrefs == [HOME, CAL]
    assert listing.prop(CAL, "CS:getctag") is not None
    # The home is on the way: that it is there, whose it is, and nothing of what goes on in it.
    assert listing.prop(HOME, "D:resourcetype/D:collection") is not None
    assert listing.prop(HOME, "D:owner/D:href") is not None
    assert listing.status_of(HOME, "CS:getctag") == 403
    assert listing.status_of(HOME, "D:sync-token") == 403
    assert privileges(u2, HOME) == ["read-current-user-privilege-set"]
    assert u2.request("OPTIONS", HOME).status == 200
    assert u2.request("PROPFIND", HOME, Depth="1").hrefs == [HOME, CAL]
    assert u2.propfind(HOME + "tasks/", "<D:owner/>").status == 404
    assert u2.request("MKCALENDAR", HOME + "new/").status == 404
    for method in ("GET", "PROPPATCH", "ACL"):
        assert u2.request(method, HOME).conditions == ["need-privileges"], method
    assert u2.sync(HOME).conditions == ["need-privileges"]


@pytest.mark.usefixtures("read_only")
def test_names_of_properties_of_a_home_on_the_way(u2: Client) -> None:
    body = '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
    names = u2.request("PROPFIND", HOME, body, Depth="0").xpath("//D:prop/*")
    assert {name.tag for name in names} >= {"{DAV:}resourcetype", "{DAV:}owner"}
    assert "{DAV:}sync-token" not in {name.tag for name in names}


@pytest.mark.usefixtures("read_only")
def test_the_list_of_homes(u1: Client, u2: Client, as_user: AsUser, admin: Client) -> None:
    assert listed(u2) == sorted([HOME, *OWN])
    assert listed(u1) == ["/calendars/staff/", HOME]
    assert {"/calendars/room1/", "/calendars/staff/", "/calendars/u3/"} < set(listed(admin))
    # Shared with a group: each member has it in the list. With everybody who is logged in: nobody has.
    u1.request("ACL", CAL, acl(ace("staff", "read"), ace("<D:authenticated/>", "read")))
    assert HOME in listed(u2)
    assert HOME not in listed(as_user("u3"))
    assert as_user("u3").propfind(HOME, "<D:owner/>", depth=1).hrefs == [HOME, CAL]


def test_the_list_of_homes_costs_the_same_with_many(store: Store, u2: Client, admin: Client) -> None:
    def count() -> int:
        with statements() as seen:
            assert u2.propfind("/calendars/", EVERY_KIND, depth=1).status == 207
        return len(seen)

    to = principal(store, "u2").id
    read = Ace("principal", True, ("{DAV:}read",), principal_id=to)
    set_aces(store, "u1/calendar", read)
    count()
    one = count()
    for path in ("u3/calendar", "room1/calendar", "admin/calendar", "u1/tasks", "u3/tasks"):
        set_aces(store, path, read)
    names = ("admin", "room1", "staff", "u1", "u2", "u3")
    assert listed(u2) == [f"/calendars/{name}/" for name in names]
    assert count() == one
    assert admin.propfind("/calendars/", EVERY_KIND, depth=1).status == 207


def test_a_denied_calendar_in_a_shared_home(store: Store, u1: Client, u2: Client) -> None:
    """A home may be shared as a whole, and a calendar in it kept back."""
    grant(store, "u1", "u2", ["{DAV:}read"])
    assert u2.propfind(HOME, "<D:owner/>", depth=1).hrefs == [HOME, CAL, *BOXES, TASKS]
    u1.request("ACL", TASKS, acl(ace("u2", "all", verb="deny")))
    assert u2.propfind(HOME, EVERY_KIND, depth=1).hrefs == [HOME, CAL, *BOXES]
    assert u2.propfind(TASKS, "<D:owner/>").status == 404
    token = u2.sync(HOME, level="infinite").xpath("string(//D:sync-token)")
    assert TASKS not in u2.sync(HOME, level="infinite").hrefs
    u1.put(TASKS + "t.ics", "BEGIN:VCALENDAR", Content_Type="text/calendar")
    u1.put(CAL + "a.ics", event("a"))
    assert u2.sync(HOME, token, level="infinite").hrefs == [CAL + "a.ics"]


def test_removals_in_a_denied_calendar_are_not_told(store: Store, u1: Client, u2: Client) -> None:
    grant(store, "u1", "u2", ["{DAV:}read"])
    u1.request("ACL", CAL, acl(ace("u2", "all", verb="deny")))
    u1.put(CAL + "secret.ics", event("secret"))
    token = u2.sync(HOME, level="infinite").xpath("string(//D:sync-token)")
    assert u1.request("DELETE", CAL + "secret.ics").status == 204
    answer = u2.sync(HOME, token, level="infinite")
    assert answer.status == 207
    assert b"secret" not in answer.body


def test_what_lies_deep_is_reached_step_by_step(store: Store, u1: Client, u2: Client) -> None:
    outer, inner = HOME + "outer/", HOME + "outer/inner/"
    for path in (outer, inner, HOME + "hidden/", outer + "hidden/"):
        assert u1.request("MKCOL", path).status == 201
    u1.put(outer + "hidden.txt", "x", Content_Type="text/plain")
    grant(store, "u1/outer/inner", "u2", ["{DAV:}read"])
    assert u2.propfind(HOME, EVERY_KIND, depth=1).hrefs == [HOME, outer]
    assert u2.propfind(outer, EVERY_KIND, depth=1).hrefs == [outer, inner]
    assert u2.propfind(inner, EVERY_KIND, depth=1).hrefs == [inner]
    assert u2.request("GET", outer + "hidden.txt").status == 404
    assert listed(u2) == sorted([HOME, *OWN])


# Free/busy only


def test_read_free_busy_alone(u1: Client, u2: Client) -> None:
    """RFC 4791 section 6.1.1: GET, HEAD, OPTIONS and PROPFIND are not implied."""
    u1.put(CAL + "a.ics", event("a"))
    u1.request("ACL", CAL, acl(ace("u2", "C:read-free-busy")))
    for method in ("OPTIONS", "GET", "PROPFIND", "PUT", "DELETE", "PROPPATCH"):
        answer = u2.request(method, CAL + "a.ics", Depth="0")
        assert (answer.status, answer.conditions) == (403, ["need-privileges"]), method
    assert u2.propfind(CAL, "<D:displayname/>").conditions == ["need-privileges"]
    assert u2.sync(CAL).conditions == ["need-privileges"]
    # The calendar is in no listing, and its home is as if nothing were shared: a client could do nothing with it.
    assert u2.propfind(HOME, "<D:owner/>", depth=1).status == 404
    assert listed(u2) == OWN


# Read and write


def test_read_and_write(store: Store, u1: Client, u2: Client) -> None:
    grant(store, "u1/calendar", "u2", ["{DAV:}read", "{DAV:}write"])
    assert u2.put(CAL + "a.ics", event("a")).status == 201
    assert u2.put(CAL + "a.ics", event("a", summary="B")).status == 204
    assert u2.proppatch(CAL, set="<D:displayname>Ours</D:displayname>").status == 207
    assert {"read", "write", "bind", "unbind", "write-content", "write-properties"} <= set(privileges(u2, CAL))
    assert u1.sync(CAL).hrefs == [CAL + "a.ics"]
    # The calendar itself is a member of the home, of which u2 holds nothing.
    assert u2.request("DELETE", CAL).conditions == ["need-privileges"]
    assert u2.request("DELETE", CAL + "a.ics").status == 204


def test_the_owner_and_the_administrator_hold_everything(u1: Client, admin: Client) -> None:
    """Golden request 5: the aggregates and what they contain."""
    held = privileges(u1, CAL)
    assert held[0] == "all"
    assert {"read", "write", "bind", "unbind", "write-content", "write-properties", "read-acl"} < set(held)
    assert privileges(admin, CAL) == held


# Groups, rooms


def test_members_of_a_group_use_its_home(u1: Client, as_user: AsUser) -> None:
    """What a new group's members may do is an ACE that an administrator can change."""
    home = "/calendars/staff/"
    assert u1.request("MKCALENDAR", home + "team/").status == 201
    assert as_user("u2").put(home + "team/a.ics", event("a")).status == 201
    assert as_user("u2").request("ACL", home, acl()).conditions == ["need-privileges"]
    assert as_user("u3").propfind(home, "<D:owner/>").status == 404
    assert home in listed(u1)
    shown = as_user("admin").propfind(home, "<D:acl/>").xpath("//D:ace")
    assert [one.xpath("string(D:principal/D:href)", namespaces={"D": "DAV:"}) for one in shown] == [
        "/principals/staff/"
    ]


def test_the_home_of_a_room_is_nobody_elses(u1: Client, admin: Client) -> None:
    assert u1.propfind("/calendars/room1/", "<D:owner/>").status == 404
    assert admin.propfind("/calendars/room1/", "<D:owner/>").status == 207


# Queries


def test_free_busy_of_a_person_needs_something_shared(u1: Client, u2: Client) -> None:
    """RFC 4791 section 7.10: who may not know is not told "free"."""
    u1.put(CAL + "a.ics", event("a", start="20260310T120000Z"))
    year = "<C:time-range start='20260101T000000Z' end='20270101T000000Z'/>"
    for path, depth in (("/principals/u1/", "infinity"), (HOME, "1"), (CAL, "1")):
        assert u2.report(path, "C:free-busy-query", year, depth=depth).status == 404
    u1.request("ACL", CAL, acl(ace("u2", "C:read-free-busy")))
    for path in ("/principals/u1/", CAL):
        answer = u2.report(path, "C:free-busy-query", year, depth="infinity")
        assert answer.status == 200
        assert b"20260310T120000Z" in answer.body
        assert b"Lunch" not in answer.body
    assert u2.request("GET", CAL + "a.ics").conditions == ["need-privileges"]
    assert u1.report("/principals/u1/", "C:free-busy-query", year).status == 200


def test_a_query_of_a_home_finds_what_may_be_read(store: Store, u1: Client, u2: Client) -> None:
    u1.put(CAL + "a.ics", event("a"))
    u1.request("MKCALENDAR", HOME + "hidden/")
    u1.put(HOME + "hidden/b.ics", event("b"))
    grant(store, "u1", "u2", ["{DAV:}read"])
    u1.request("ACL", HOME + "hidden/", acl(ace("u2", "read", verb="deny")))
    query = "<D:prop><D:getetag/></D:prop><C:filter><C:comp-filter name='VCALENDAR'/></C:filter>"
    assert u2.report(HOME, "C:calendar-query", query, depth="infinity").hrefs == [CAL + "a.ics"]
    inner = f"<D:prop><D:getetag/></D:prop><D:href>{CAL}a.ics</D:href><D:href>{HOME}hidden/b.ics</D:href>"
    answer = u2.report(HOME, "C:calendar-multiget", inner)
    assert answer.prop(CAL + "a.ics", "D:getetag") is not None
    assert answer.status_of(HOME + "hidden/b.ics") == 404
    assert u1.report(HOME, "C:calendar-query", query, depth="infinity").hrefs == [CAL + "a.ics", HOME + "hidden/b.ics"]
