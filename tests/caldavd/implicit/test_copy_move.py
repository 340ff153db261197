"""COPY, MOVE and DELETE of scheduling objects, one by one and in collections (RFC 6638 sections 3.2.3.2 to 3.2.3.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caldavd import provision
from config.settings import Provisioning
from storage.store import Store, Transaction
from tests.caldavd.client import Answer, Client, event
from tests.caldavd.implicit.scene import (
    calendar,
    copy_of,
    empty_inbox,
    inbox,
    meeting,
    members,
    messages,
    needed,
    only,
    outbox,
    param,
    reply,
    tag,
    text,
)
from tests.caldavd.sharing import grant

AsUser = Callable[[str | None], Client]
HOME = "/calendars/u1/"
CAL1, CAL2, CAL3 = (calendar(name) for name in ("u1", "u2", "u3"))
WORK, FILES = HOME + "work/", HOME + "files/"
HREF, FILE = CAL1 + "m.ics", FILES + "m.ics"


@pytest.fixture
def u3(as_user: AsUser) -> Client:
    return as_user("u3")


@pytest.fixture(autouse=True)
def _places(u1: Client) -> None:
    assert u1.request("MKCALENDAR", WORK).status == 201
    assert u1.request("MKCOL", FILES).status == 201


@pytest.fixture
def invited(u1: Client, u2: Client) -> str:
    """u1 has invited u2, who has accepted; what has arrived is read and gone."""
    assert u1.put(HREF, meeting("u2")).status == 201
    reply(u2, "ACCEPTED")
    empty_inbox(u1)
    empty_inbox(u2)
    return HREF


def move(client: Client, source: str, target: str, **headers: str) -> Answer:
    return client.request("MOVE", source, Destination=target, **headers)


def copy(client: Client, source: str, target: str, **headers: str) -> Answer:
    return client.request("COPY", source, Destination=target, **headers)


def quiet(*clients: Client) -> bool:
    """Whether nothing has arrived at anybody."""
    return not any(messages(client) for client in clients)


# Between the calendars of one home


def test_a_move_between_calendars_schedules_nothing(u1: Client, u2: Client, invited: str) -> None:
    before = u1.request("GET", invited)
    answer = move(u1, invited, WORK + "x.ics")
    assert (answer.status, answer.headers["Schedule-Tag"]) == (201, tag(u1, WORK + "x.ics"))
    assert answer.headers["Schedule-Tag"] != before.headers["Schedule-Tag"]  # "MUST change" (3.2.10)
    after = u1.request("GET", WORK + "x.ics")
    assert (after.headers["ETag"], after.body) == (before.headers["ETag"], before.body)
    assert quiet(u1, u2)
    assert param(text(u2, only(u2, CAL2)), "u2", "PARTSTAT") == "ACCEPTED"
    # It still is the meeting: answers reach it, and it is cancelled from there.
    reply(u2, "DECLINED")
    assert param(text(u1, WORK + "x.ics"), "u2", "PARTSTAT") == "DECLINED"
    assert u1.request("DELETE", WORK + "x.ics").status == 204
    assert members(u2, CAL2) == []


def test_the_attendee_moves_it_as_well(u1: Client, u2: Client, invited: str) -> None:
    u2.request("MKCALENDAR", "/calendars/u2/work/")
    mine = only(u2, CAL2)
    before = tag(u2, mine)
    answer = move(u2, mine, "/calendars/u2/work/mine.ics")
    assert (answer.status, answer.headers["Schedule-Tag"]) == (201, tag(u2, "/calendars/u2/work/mine.ics"))
    assert answer.headers["Schedule-Tag"] != before
    assert quiet(u1, u2)
    u1.put(invited, text(u1, invited).replace("SUMMARY:Plan", "SUMMARY:Else"))
    assert "SUMMARY:Else" in text(u2, "/calendars/u2/work/mine.ics")  # updates find it there
    assert members(u2, CAL2) == []


def test_renaming_within_a_calendar(u1: Client, u2: Client, invited: str) -> None:
    before = tag(u1, invited)
    after = move(u1, invited, CAL1 + "renamed.ics").headers["Schedule-Tag"]
    assert before != after == tag(u1, CAL1 + "renamed.ics")
    assert quiet(u1, u2)


def test_a_copy_within_the_home_would_double_it(u1: Client, u2: Client, invited: str) -> None:
    """Note 2 of section 3.2.3.3: rejected as section 3.2.4.1 allows; in the same calendar by RFC 4791."""
    answer = copy(u1, invited, WORK + "m.ics")
    assert (answer.status, answer.conditions) == (403, ["unique-scheduling-object-resource"])
    assert answer.xpath("string(//C:unique-scheduling-object-resource/D:href)") == invited
    answer = copy(u1, invited, CAL1 + "again.ics")
    assert (answer.status, answer.conditions) == (403, ["no-uid-conflict"])
    assert quiet(u1, u2)
    assert members(u1, WORK) == []


def test_what_is_no_scheduling_object_is_copied(u1: Client) -> None:
    for uid, body in (("a", event("a")), ("b", meeting("u2", organizer="u3", uid="b"))):
        assert u1.put(f"{CAL1}{uid}.ics", body).status == 201
        answer = copy(u1, f"{CAL1}{uid}.ics", f"{WORK}{uid}.ics")
        assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)


# Into plain collections and back


def test_out_of_a_calendar_is_like_a_delete(u1: Client, u2: Client, invited: str) -> None:
    """Note 2 of section 3.2.3.4."""
    answer = move(u1, invited, FILE)
    assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)
    assert messages(u2) == ["CANCEL"]
    assert members(u2, CAL2) == []
    # … and back is like a PUT (note 1): the invitation goes out again.
    empty_inbox(u2)
    answer = move(u1, FILE, HREF)
    assert answer.status == 201, answer
    assert answer.headers["Schedule-Tag"] == tag(u1, HREF)
    assert messages(u2) == ["REQUEST"]
    assert param(text(u2, only(u2, CAL2)), "u2", "PARTSTAT") == "NEEDS-ACTION"


def test_an_attendee_moves_it_out(u1: Client, u2: Client, invited: str) -> None:
    u2.request("MKCOL", "/calendars/u2/files/")
    assert move(u2, only(u2, CAL2), "/calendars/u2/files/m.ics").status == 201
    assert param(text(u1, invited), "u2", "PARTSTAT") == "DECLINED"


def test_an_attendee_moves_it_out_without_a_reply(u1: Client, u2: Client, invited: str) -> None:
    """Section 8.1 is about removing, and that is what this is."""
    u2.request("MKCOL", "/calendars/u2/files/")
    assert move(u2, only(u2, CAL2), "/calendars/u2/files/m.ics", Schedule_Reply="F").status == 201
    assert param(text(u1, invited), "u2", "PARTSTAT") == "ACCEPTED"


def test_a_copy_to_a_file_schedules_nothing(u1: Client, u2: Client, invited: str) -> None:
    answer = copy(u1, invited, FILE)
    assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)
    assert u1.request("GET", FILE).body == u1.request("GET", invited).body
    assert quiet(u1, u2)
    # Back again there are two: refused.
    answer = copy(u1, FILE, WORK + "m.ics")
    assert answer.conditions == ["unique-scheduling-object-resource"]


def test_a_copy_of_a_file_into_a_calendar_is_like_a_put(u1: Client, u2: Client) -> None:
    """Note 1 of section 3.2.3.3."""
    u1.put(FILE, meeting("u2"), Content_Type="text/calendar")
    assert quiet(u2)
    answer = copy(u1, FILE, HREF)
    assert (answer.status, answer.headers["Schedule-Tag"]) == (201, tag(u1, HREF))
    assert messages(u2) == ["REQUEST"]
    assert param(text(u1, HREF), "u2", "SCHEDULE-STATUS") == "1.2"


def test_a_file_over_a_meeting_is_a_change_of_it(u1: Client, u2: Client, invited: str) -> None:
    u1.put(FILE, meeting("u2", summary="Else"), Content_Type="text/calendar")
    assert copy(u1, FILE, invited).status == 204
    assert "SUMMARY:Else" in text(u2, only(u2, CAL2))
    u1.put(FILE, meeting("u2", summary="Once more"), Content_Type="text/calendar")
    assert move(u1, FILE, invited).status == 204
    assert "SUMMARY:Once more" in text(u2, only(u2, CAL2))
    u1.put(FILE, event("m"), Content_Type="text/calendar")
    assert copy(u1, FILE, invited).status == 204
    assert members(u2, CAL2) == []


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_the_preconditions_count(u1: Client, u2: Client, invited: str, method: str) -> None:
    """Sections 3.2.4.2 to 3.2.4.4 "apply to PUT, COPY, and MOVE"."""
    mine = only(u2, CAL2)
    u2.request("MKCOL", "/calendars/u2/files/")
    forbidden = text(u2, mine).replace("SUMMARY:Plan", "SUMMARY:Mine")
    u2.put("/calendars/u2/files/m.ics", forbidden, Content_Type="text/calendar")
    answer = u2.request(method, "/calendars/u2/files/m.ics", Destination=mine)
    assert (answer.status, answer.conditions) == (403, ["allowed-attendee-scheduling-object-change"])
    other = text(u1, invited).replace("ORGANIZER:mailto:u1@", "ORGANIZER:mailto:u2@")
    u1.put(FILE, other, Content_Type="text/calendar")
    answer = u1.request(method, FILE, Destination=invited)
    assert (answer.status, answer.conditions) == (403, ["allowed-organizer-scheduling-object-change"])
    assert u1.request("GET", FILE).status == 200
    assert quiet(u1, u2)


# Into another's home


@pytest.fixture
def assistant(store: Store) -> None:
    """u3 keeps the calendars of u1 and u2."""
    for name in ("u1", "u2"):
        grant(store, name, "u3", ["{DAV:}all"])


@pytest.mark.usefixtures("assistant")
def test_into_the_calendar_of_somebody_who_has_no_part_in_it(u1: Client, u2: Client, u3: Client, invited: str) -> None:
    """Removed there (all are told), an event like any other here."""
    answer = move(u3, invited, CAL3 + "m.ics")
    assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)
    assert messages(u2) == ["CANCEL"]
    assert members(u2, CAL2) == []
    assert "SUMMARY:Plan" in text(u3, CAL3 + "m.ics")
    assert u3.propfind(CAL3 + "m.ics", "<C:schedule-tag/>").status_of(CAL3 + "m.ics", "C:schedule-tag") == 404
    assert u3.request("DELETE", CAL3 + "m.ics").status == 204
    assert messages(u2) == ["CANCEL"]


@pytest.mark.usefixtures("assistant")
def test_a_copy_for_somebody_who_has_no_part_in_it(u1: Client, u2: Client, u3: Client, invited: str) -> None:
    answer = copy(u3, invited, CAL3 + "m.ics")
    assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)
    assert quiet(u1, u2)


@pytest.mark.usefixtures("assistant")
def test_a_copy_for_an_attendee_who_has_it(u2: Client, u3: Client, invited: str) -> None:
    u2.request("MKCALENDAR", "/calendars/u2/work/")
    answer = copy(u3, invited, "/calendars/u2/work/m.ics")
    assert answer.conditions == ["unique-scheduling-object-resource"]
    assert answer.xpath("string(//D:href)") == only(u2, CAL2)
    assert copy(u3, invited, CAL2 + "other.ics").conditions == ["no-uid-conflict"]


@pytest.mark.usefixtures("assistant")
def test_a_meeting_that_is_moved_to_its_attendee(u1: Client, u2: Client, u3: Client, invited: str) -> None:
    """The organizer's is removed, which cancels it; then the attendee has what was brought, with their answer in it."""
    answer = move(u3, invited, CAL2 + "m.ics")
    assert answer.status == 201, answer
    assert members(u1, CAL1) == []
    assert members(u2, CAL2) == [CAL2 + "m.ics"]
    assert answer.headers["Schedule-Tag"] == tag(u2, CAL2 + "m.ics")
    assert messages(u2) == ["CANCEL"]


@pytest.mark.usefixtures("assistant")
def test_over_the_attendees_own_copy(u1: Client, u2: Client, u3: Client, invited: str) -> None:
    """What is at the destination goes with the cancellation; nothing is left half."""
    theirs = only(u2, CAL2)
    answer = move(u3, invited, theirs)
    assert answer.status in (201, 204), answer
    assert members(u2, CAL2) == [theirs]
    assert members(u1, CAL1) == []


@pytest.mark.usefixtures("assistant")
def test_a_file_of_ones_own_into_the_organizers_calendar(u1: Client, u2: Client, u3: Client) -> None:
    """Created there: messages are the owner's."""
    u3.request("MKCOL", "/calendars/u3/files/")
    u3.put("/calendars/u3/files/m.ics", meeting("u2"), Content_Type="text/calendar")
    assert move(u3, "/calendars/u3/files/m.ics", HREF).status == 201
    assert messages(u2) == ["REQUEST"]
    assert "ORGANIZER:mailto:u1@example.org" in text(u2, only(u2, CAL2))


def test_without_the_privilege_to_send(store: Store, u1: Client, u2: Client, u3: Client, invited: str) -> None:
    """Section 6.2.2, on the outbox of whose calendar the meeting leaves, or comes into."""
    grant(store, "u1/calendar", "u3", ["{DAV:}read", "{DAV:}write"])
    missing = [(outbox("u1"), "schedule-send-invite")]
    assert needed(move(u3, invited, CAL3 + "m.ics")) == missing
    u3.put(CAL3 + "n.ics", meeting("u2", uid="n"))
    for method in ("COPY", "MOVE"):
        assert needed(u3.request(method, CAL3 + "n.ics", Destination=CAL1 + "n.ics")) == missing
    assert quiet(u1, u2)
    assert members(u1, CAL1) == [invited]


# Whole collections


@pytest.fixture
def full(u1: Client, u2: Client) -> list[str]:
    """Some meetings with u2, and something else, in a calendar of u1."""
    uids = [f"m{number}" for number in range(3)]
    for uid in uids:
        assert u1.put(f"{WORK}{uid}.ics", meeting("u2", uid=uid)).status == 201
    assert u1.put(WORK + "own.ics", event("own")).status == 201
    empty_inbox(u2)
    return uids


def test_a_calendar_is_deleted(u1: Client, u2: Client, full: list[str]) -> None:
    """Section 3.2.3.2: Remove for all scheduling objects in it."""
    assert u1.request("DELETE", WORK).status == 204
    assert messages(u2) == ["CANCEL"] * len(full)
    assert members(u2, CAL2) == []


def test_an_attendees_calendar_is_deleted(u1: Client, u2: Client) -> None:
    for number, headers in enumerate(({}, {"Schedule_Reply": "F"})):
        theirs = f"/calendars/u2/c{number}/"
        u2.request("MKCALENDAR", theirs)
        href = f"{CAL1}x{number}.ics"
        u1.put(href, meeting("u2", uid=f"x{number}"))
        found = copy_of(u2, f"x{number}")
        assert found is not None
        assert move(u2, found, theirs + "x.ics").status == 201
        assert u2.request("DELETE", theirs, **headers).status == 204
        assert param(text(u1, href), "u2", "PARTSTAT") == ("NEEDS-ACTION" if headers else "DECLINED")


def test_a_calendar_is_renamed(u1: Client, u2: Client, full: list[str]) -> None:
    """Nothing is scheduled, the tags stay, and answers find the meetings there."""
    before = [tag(u1, f"{WORK}{uid}.ics") for uid in full]
    assert move(u1, WORK, HOME + "renamed/").status == 201
    assert quiet(u1, u2)
    assert [tag(u1, f"{HOME}renamed/{uid}.ics") for uid in full] == before
    reply(u2, "ACCEPTED", "m1")
    assert param(text(u1, HOME + "renamed/m1.ics"), "u2", "PARTSTAT") == "ACCEPTED"


def test_a_calendar_with_meetings_is_not_copied_within_the_home(u1: Client, full: list[str]) -> None:
    answer = copy(u1, WORK, HOME + "twice/")
    assert (answer.status, answer.conditions) == (403, ["unique-scheduling-object-resource"])
    assert answer.xpath("string(//D:href)") in [f"{WORK}{uid}.ics" for uid in full]
    assert u1.request("GET", HOME + "twice/").status == 404
    assert copy(u1, WORK, HOME + "shallow/", Depth="0").status == 201
    for uid in full:
        u1.request("DELETE", f"{WORK}{uid}.ics")
    assert copy(u1, WORK, HOME + "twice/").status == 201


@pytest.mark.usefixtures("assistant")
def test_a_calendar_moves_to_another_home(u2: Client, u3: Client, full: list[str]) -> None:
    assert move(u3, WORK, "/calendars/u3/work/").status == 201
    assert messages(u2) == ["CANCEL"] * len(full)
    hrefs = members(u3, "/calendars/u3/work/")
    assert len(hrefs) == len(full) + 1
    assert not any("Schedule-Tag" in u3.request("GET", href).headers for href in hrefs)


@pytest.mark.usefixtures("assistant")
def test_a_calendar_is_copied_for_the_organizer(u1: Client, u2: Client, u3: Client) -> None:
    """Somebody has prepared meetings in a calendar of their own: they are created where they are copied to."""
    prepared = "/calendars/u3/prepared/"
    u3.request("MKCALENDAR", prepared)
    for number in range(3):
        u3.put(f"{prepared}{number}.ics", meeting("u2", uid=f"p{number}"))
    assert quiet(u2)
    assert copy(u3, prepared, HOME + "prepared/").status == 201
    assert messages(u2) == ["REQUEST"] * 3
    for number in range(3):
        assert param(text(u1, f"{HOME}prepared/{number}.ics"), "u2", "SCHEDULE-STATUS") == "1.2"
        assert tag(u1, f"{HOME}prepared/{number}.ics")
    # A second time would double them.
    answer = copy(u3, prepared, HOME + "again/")
    assert answer.conditions == ["unique-scheduling-object-resource"]
    assert messages(u2) == ["REQUEST"] * 3


def test_what_a_collection_overwrites_is_removed(u1: Client, u2: Client, full: list[str]) -> None:
    u1.request("MKCALENDAR", HOME + "empty/")
    assert move(u1, HOME + "empty/", WORK, Overwrite="F").status == 412
    assert quiet(u2)
    assert move(u1, HOME + "empty/", WORK).status == 204
    assert messages(u2) == ["CANCEL"] * len(full)
    assert members(u1, WORK) == []


def test_inbox_items_are_neither_copied_nor_moved(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    item = only(u2, inbox("u2"))
    for method in ("COPY", "MOVE"):
        assert u2.request(method, item, Destination=CAL2 + "item.ics").status == 405
        assert u2.request(method, only(u2, CAL2), Destination=item).status == 403
    assert messages(u2) == ["REQUEST"]


# Many people


@pytest.fixture
def crowd(store: Store) -> list[str]:
    """Ten more people."""
    names = [f"c{number:02}" for number in range(10)]

    def work(tx: Transaction) -> None:
        for name in names:
            address = (f"mailto:{name}@example.org",)
            provision.create(tx, provision.NewPrincipal(name=name, addresses=address, schedules=True), Provisioning())

    store.run(work, write=True)
    return names


def test_each_meeting_with_somebody_else(u1: Client, as_user: AsUser, crowd: list[str]) -> None:
    """The homes of all of them are found out together, not one more with each meeting."""
    for name in crowd:
        assert u1.put(f"{WORK}{name}.ics", meeting(name, uid=name)).status == 201
    assert move(u1, WORK, HOME + "renamed/").status == 201
    assert u1.request("DELETE", HOME + "renamed/").status == 204
    for name in crowd:
        assert messages(as_user(name)) == ["CANCEL", "REQUEST"]


def test_an_attendee_of_many_organizers_leaves(u2: Client, as_user: AsUser, crowd: list[str]) -> None:
    """Their answers reach each organizer, and whom these have invited besides."""
    theirs = "/calendars/u2/others/"
    u2.request("MKCALENDAR", theirs)
    for name, other in zip(crowd, crowd[1:] + crowd[:1], strict=True):
        path = f"{calendar(name)}{name}.ics"
        assert as_user(name).put(path, meeting("u2", other, uid=name, organizer=name)).status == 201
        found = copy_of(u2, name)
        assert found is not None
        assert move(u2, found, f"{theirs}{name}.ics").status == 201
    assert u2.request("DELETE", theirs).status == 204
    for name, other in zip(crowd, crowd[1:] + crowd[:1], strict=True):
        for client in (as_user(name), as_user(other)):
            href = copy_of(client, name)
            assert href is not None
            assert param(text(client, href), "u2", "PARTSTAT") == "DECLINED"


@pytest.mark.usefixtures("assistant")
def test_prepared_meetings_with_many(u3: Client, as_user: AsUser, crowd: list[str]) -> None:
    prepared = "/calendars/u3/prepared/"
    u3.request("MKCALENDAR", prepared)
    for name in crowd:
        u3.put(f"{prepared}{name}.ics", meeting(name, uid=name))
    assert move(u3, prepared, HOME + "prepared/").status == 201
    for name in crowd:
        assert messages(as_user(name)) == ["REQUEST"]
