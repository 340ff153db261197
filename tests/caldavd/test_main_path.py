"""What every client does first: find the calendar, write an event, read it back, sync, delete."""

from __future__ import annotations

from tests.caldavd.client import Client, event

CAL = "/calendars/u1/calendar/"


def test_discovery(u1: Client) -> None:
    assert u1.request("PROPFIND", "/.well-known/caldav").headers["Location"].endswith("/")
    root = u1.propfind("/", "<D:current-user-principal/><D:resourcetype/>")
    assert root.status == 207
    principal = root.xpath("string(//D:current-user-principal/D:href)")
    assert principal == "/principals/u1/"
    home = u1.propfind(principal, "<C:calendar-home-set/>").xpath("string(//C:calendar-home-set/D:href)")
    assert home == "/calendars/u1/"
    listing = u1.propfind(home, "<D:resourcetype/><D:displayname/><CS:getctag/><D:sync-token/>", depth=1)
    boxes = ["/calendars/u1/inbox/", "/calendars/u1/outbox/"]
    assert listing.hrefs == ["/calendars/u1/", CAL, *boxes, "/calendars/u1/tasks/"]
    assert [listing.prop(href, "D:resourcetype/C:calendar") for href in boxes] == [None, None]
    assert listing.prop(CAL, "D:resourcetype/C:calendar") is not None


def test_write_read_sync_delete(u1: Client) -> None:
    empty = u1.sync(CAL)
    assert empty.status == 207
    assert empty.hrefs == []
    token = empty.xpath("string(/D:multistatus/D:sync-token)")

    made = u1.put(CAL + "a@b.ics", event("a@b"), If_None_Match="*")
    assert made.status == 201
    got = u1.request("GET", CAL + "a%40b.ics")
    assert got.status == 200
    assert got.body == event("a@b").encode()
    assert got.headers["ETag"] == made.headers["ETag"]

    changed = u1.sync(CAL, token)
    assert changed.hrefs == [CAL + "a@b.ics"]
    token = changed.xpath("string(/D:multistatus/D:sync-token)")

    assert u1.put(CAL + "a@b.ics", event("a@b", summary="Dinner"), If_Match='"nothing"').status == 412
    assert u1.put(CAL + "a@b.ics", event("a@b", summary="Dinner"), If_Match=made.headers["ETag"]).status == 204
    inner = (
        f"<D:prop><D:getetag/><C:calendar-data/></D:prop><D:href>{CAL}a%40b.ics</D:href><D:href>{CAL}no.ics</D:href>"
    )
    multi = u1.report(CAL, "C:calendar-multiget", inner)
    assert b"SUMMARY:Dinner" in multi.body
    assert multi.status_of(CAL + "no.ics") == 404

    assert u1.request("DELETE", CAL + "a@b.ics").status == 204
    gone = u1.sync(CAL, token)
    assert gone.status_of(CAL + "a@b.ics") == 404
