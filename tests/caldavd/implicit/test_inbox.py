"""What is in an inbox, and the reports on it (RFC 6638 sections 2.2, 2.3 and 4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.rows import NewObject
from storage.store import Store, Transaction
from tests.caldavd.client import Answer, Client
from tests.caldavd.implicit.scene import (
    calendar,
    copy_of,
    empty_inbox,
    inbox,
    meeting,
    members,
    messages,
    only,
    outbox,
    reply,
    text,
)
from tests.caldavd.sharing import remove, statements

AsUser = Callable[[str | None], Client]
CAL1 = calendar("u1")
HREF = CAL1 + "m.ics"
BOX = inbox("u2")
DATA = "<D:prop><D:getetag/><C:calendar-data/></D:prop>"


@pytest.fixture
def u3(as_user: AsUser) -> Client:
    return as_user("u3")


def query(client: Client, path: str, inner: str, *, depth: int = 1) -> Answer:
    """A calendar-query with these filters below VCALENDAR."""
    filtered = f'<C:filter><C:comp-filter name="VCALENDAR">{inner}</C:comp-filter></C:filter>'
    return client.report(path, "C:calendar-query", DATA + filtered, depth=depth)


def events_in(year: int) -> str:
    span = f'<C:time-range start="{year}0101T000000Z" end="{year + 1}0101T000000Z"/>'
    return f'<C:comp-filter name="VEVENT">{span}</C:comp-filter>'


def test_what_arrives(u1: Client, u2: Client) -> None:
    """Section 4: each message once it has been processed, with its METHOD."""
    u1.put(HREF, meeting("u2"))
    item = only(u2, BOX)
    body = text(u2, item)
    assert "METHOD:REQUEST" in body
    assert "SCHEDULE-STATUS" not in body  # section 7.3: not in messages
    assert "Schedule-Tag" not in u2.request("GET", item).headers
    reply(u2, "ACCEPTED")
    assert messages(u1) == ["REPLY"]
    assert "METHOD" not in text(u2, str(copy_of(u2)))


def test_many_messages_of_one_uid(u1: Client, u2: Client) -> None:
    """Section 2.2: UIDs need not be unique in an inbox."""
    u1.put(HREF, meeting("u2"))
    for number in range(3):
        u1.put(HREF, text(u1, HREF).replace("SUMMARY:Plan", f"SUMMARY:Plan {number}"))
    u1.request("DELETE", HREF)
    assert messages(u2) == ["CANCEL"] + ["REQUEST"] * 4


def test_the_answer_of_another_leaves_nothing_in_the_inbox(u1: Client, u2: Client, u3: Client) -> None:
    """Only a participation status has changed: the copy says it, nobody has to acknowledge it."""
    u1.put(HREF, meeting("u2", "u3"))
    empty_inbox(u3)
    reply(u2, "ACCEPTED")
    assert messages(u3) == []


def test_items_are_deleted_and_nothing_else_happens(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    item = only(u2, BOX)
    etag = u2.request("GET", item).headers["ETag"]
    assert u2.request("DELETE", item, If_Match='"other"').status == 412
    assert u2.request("DELETE", item, If_Match=etag).status == 204
    assert u2.request("DELETE", item).status == 404
    assert len(members(u2, calendar("u2"))) == 1
    assert messages(u1) == []


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_item_is_not_overwritten(u1: Client, u2: Client, method: str) -> None:
    u1.put(HREF, meeting("u2"))
    item = only(u2, BOX)
    answer = u2.request(method, item, meeting("u2", summary="X"), Content_Type="text/calendar")
    assert answer.status == 405
    assert "DELETE" in answer.headers["Allow"]


# Reports (section 2.3)


def test_calendar_query(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    [item] = members(u2, BOX)
    for depth in (0, 1):
        answer = query(u2, BOX, '<C:comp-filter name="VEVENT"/>', depth=depth)
        assert answer.hrefs == [item]
        assert "METHOD:REQUEST" in answer.xpath("string(//C:calendar-data)")
    assert query(u2, BOX, events_in(2027)).hrefs == [item]
    assert query(u2, BOX, events_in(2030)).hrefs == []
    assert query(u2, BOX, '<C:comp-filter name="VTODO"/>').hrefs == []


def test_without_a_start_it_always_matches(store: Store, u2: Client) -> None:
    """ "such components MUST always match the time-range query test"."""
    body = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:m\r\n"
        "DTSTAMP:20260101T000000Z\r\nORGANIZER:mailto:u2@example.org\r\n"
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:x@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )

    def work(tx: Transaction) -> None:
        tx.homes.lock_of(["u2"])
        found = tx.collections.find("u2", ("inbox",))
        assert found is not None
        new = NewObject(body.encode(), "text/calendar; charset=utf-8", component="VEVENT")
        tx.objects.put(found.collection, "item.ics", new, replaces=None)

    store.run(work, write=True)
    for year in (1999, 2027, 2099):
        assert query(u2, BOX, events_in(year)).hrefs == [BOX + "item.ics"]


def test_multiget_and_sync(u1: Client, u2: Client) -> None:
    first = u2.sync(BOX)
    token = first.xpath("string(//D:sync-token)")
    assert first.hrefs == []
    u1.put(HREF, meeting("u2"))
    answer = u2.sync(BOX, token)
    [item] = answer.hrefs
    inner = f"{DATA}<D:href>{item}</D:href><D:href>{BOX}gone.ics</D:href>"
    got = u2.report(BOX, "C:calendar-multiget", inner)
    assert got.hrefs == [item, BOX + "gone.ics"]
    assert got.status_of(BOX + "gone.ics") == 404
    assert "METHOD:REQUEST" in got.xpath("string(//C:calendar-data)")
    token = answer.xpath("string(//D:sync-token)")
    assert u2.propfind(BOX, "<D:sync-token/>").xpath("string(//D:sync-token)") == token
    u2.request("DELETE", item)
    after = u2.sync(BOX, token)
    assert (after.hrefs, after.status_of(item)) == ([item], 404)


def test_free_busy_query_is_not_supported(u1: Client) -> None:
    """ "the CALDAV:free-busy-query REPORT is not supported on scheduling Inbox collections"."""
    inner = '<C:time-range start="20270101T000000Z" end="20280101T000000Z"/>'
    answer = u1.report(inbox("u1"), "C:free-busy-query", inner, depth=1)
    assert (answer.status, answer.conditions) == (403, ["supported-report"])
    told = u1.propfind(inbox("u1"), "<D:supported-report-set/>")
    assert not told.xpath("//D:report/C:free-busy-query")
    assert told.xpath("//D:report/C:calendar-query")
    assert told.xpath("//D:report/C:calendar-multiget")


def test_a_report_on_the_home_does_not_reach_into_the_inbox(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    answer = query(u2, "/calendars/u2/", '<C:comp-filter name="VEVENT"/>', depth=1)
    assert answer.hrefs == members(u2, calendar("u2"))


def test_items_are_busy_nowhere(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    u2.request("DELETE", only(u2, calendar("u2")), Schedule_Reply="F")
    assert messages(u2) == ["REQUEST"]
    inner = '<C:time-range start="20270101T000000Z" end="20280101T000000Z"/>'
    answer = u2.report("/calendars/u2/", "C:free-busy-query", inner, depth=1)
    assert b"FREEBUSY;" not in answer.body


# Properties of the boxes


@pytest.mark.parametrize(
    "name",
    ["supported-calendar-data", "max-resource-size", "min-date-time", "max-date-time", "max-attendees-per-instance"],
)
def test_limits_are_told_on_both(u1: Client, name: str) -> None:
    """Sections 2.1 and 2.2, and 11.1."""
    for path in (inbox("u1"), outbox("u1")):
        assert u1.propfind(path, f"<C:{name}/>").prop(path, f"C:{name}") is not None
    answer = u1.propfind(inbox("u1"), "<C:max-instances/>")
    assert answer.prop(inbox("u1"), "C:max-instances") is not None


def test_no_box_looks_like_a_calendar(u1: Client) -> None:
    """Neither by its type nor by a component set, by which some clients choose."""
    for path, kind in ((inbox("u1"), "schedule-inbox"), (outbox("u1"), "schedule-outbox")):
        answer = u1.propfind(path, "<D:resourcetype/><C:supported-calendar-component-set/>")
        types = [one.tag.rpartition("}")[2] for one in answer.xpath("//D:resourcetype/*")]
        assert types == ["collection", kind]
        assert answer.status_of(path, "C:supported-calendar-component-set") == 404


@pytest.mark.parametrize("kind", ["u1", "room1"])
def test_where_the_boxes_are(admin: Client, kind: str) -> None:
    """Sections 2.1.1 and 2.2.1: on the principal; protected, and not in allprop."""
    principal = f"/principals/{kind}/"
    answer = admin.propfind(principal, "<C:schedule-inbox-URL/><C:schedule-outbox-URL/>")
    assert answer.xpath("string(//C:schedule-inbox-URL/D:href)") == inbox(kind)
    assert answer.xpath("string(//C:schedule-outbox-URL/D:href)") == outbox(kind)
    for path in (inbox(kind), outbox(kind)):
        assert admin.propfind(path, "<D:owner/>").xpath("string(//D:owner/D:href)") == principal
    assert b"schedule-" not in admin.request("PROPFIND", principal, Depth="0").body
    changed = admin.proppatch(principal, set="<C:schedule-inbox-URL><D:href>/x/</D:href></C:schedule-inbox-URL>")
    assert changed.status_of(principal, "C:schedule-inbox-URL") == 403


def test_who_has_no_boxes_is_promised_none(store: Store, u1: Client) -> None:
    """For instance because something else has the name (an import)."""
    remove(store, "u3/inbox")
    answer = u1.propfind("/principals/u3/", "<C:schedule-inbox-URL/><C:schedule-outbox-URL/>")
    assert answer.status_of("/principals/u3/", "C:schedule-inbox-URL") == 404
    assert answer.xpath("string(//C:schedule-outbox-URL/D:href)") == outbox("u3")


def test_the_boxes_of_a_listing_are_read_at_once(u1: Client) -> None:
    def count(path: str, depth: int) -> int:
        with statements() as seen:
            answer = u1.propfind(path, "<C:schedule-inbox-URL/><C:schedule-outbox-URL/>", depth=depth)
            assert answer.xpath("//C:schedule-inbox-URL/D:href")
        return len(seen)

    count("/principals/", 1)
    assert count("/principals/", 1) <= count("/principals/u2/", 0) + 2


def test_the_header_tells_of_it_everywhere(u1: Client) -> None:
    """Section 2: "any resource that supports any scheduling operations, properties, privileges, or methods"."""
    u1.put(HREF, meeting("u2"))
    for path in ("/", "/principals/u1/", "/calendars/u1/", CAL1, HREF, inbox("u1"), outbox("u1")):
        answer = u1.request("OPTIONS", path)
        assert "calendar-auto-schedule" in [one.strip() for one in answer.headers["DAV"].split(",")]
        assert answer.headers["DAV"].startswith("1, ")
        assert answer.status == 200
