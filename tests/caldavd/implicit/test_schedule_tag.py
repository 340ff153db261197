"""Schedule-Tag and If-Schedule-Tag-Match (RFC 6638 sections 3.2.10, 8.2, 8.3, 9.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.caldavd.client import Client, event
from tests.caldavd.implicit.scene import answered, calendar, meeting, members, only, param, reply, tag, text

AsUser = Callable[[str | None], Client]
CAL1, CAL2 = calendar("u1"), calendar("u2")
HREF = CAL1 + "m.ics"
WORK = "/calendars/u1/work/"
ALARM = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"


@pytest.fixture
def u3(as_user: AsUser) -> Client:
    return as_user("u3")


def test_the_tag_is_the_same_wherever_it_is_told(u1: Client) -> None:
    made = u1.put(HREF, meeting("u2")).headers["Schedule-Tag"]
    assert made.startswith('"')
    assert tag(u1, HREF) == made  # GET, HEAD, PROPFIND
    data = "<D:prop><D:getetag/><C:schedule-tag/></D:prop>"
    for inner in (data + f"<D:href>{HREF}</D:href>",):
        assert u1.report(CAL1, "C:calendar-multiget", inner).xpath("string(//C:schedule-tag)") == made
    query = data + '<C:filter><C:comp-filter name="VCALENDAR"/></C:filter>'
    assert u1.report(CAL1, "C:calendar-query", query, depth=1).xpath("string(//C:schedule-tag)") == made
    jcal = u1.request("GET", HREF, Accept="application/calendar+json")
    assert jcal.headers["Schedule-Tag"] == made
    unchanged = u1.request("GET", HREF, If_None_Match=u1.request("GET", HREF).headers["ETag"])
    assert (unchanged.status, unchanged.headers["Schedule-Tag"]) == (304, made)


def test_it_is_protected_and_not_in_allprop(u1: Client) -> None:
    u1.put(HREF, meeting("u2"))
    answer = u1.proppatch(HREF, set='<C:schedule-tag>"mine"</C:schedule-tag>')
    assert answer.status_of(HREF, "C:schedule-tag") == 403
    assert b"schedule-tag" not in u1.request("PROPFIND", HREF, Depth="0").body


# When it changes


def test_an_answer_changes_neither_the_organizers_tag_nor_the_others(u1: Client, u2: Client, u3: Client) -> None:
    """Organizer's rule 1 and attendee's rule 2: only participation statuses have changed. The ETags do change."""
    u1.put(HREF, meeting("u2", "u3"))
    theirs = only(u3, calendar("u3"))
    before = tag(u1, HREF), tag(u3, theirs)
    etags = u1.request("GET", HREF).headers["ETag"], u3.request("GET", theirs).headers["ETag"]
    for partstat in ("ACCEPTED", "TENTATIVE", "DECLINED"):
        reply(u2, partstat)
        assert param(text(u3, theirs), "u2", "PARTSTAT") == partstat
        assert (tag(u1, HREF), tag(u3, theirs)) == before
    assert u1.request("GET", HREF).headers["ETag"] != etags[0]
    assert u3.request("GET", theirs).headers["ETag"] != etags[1]


def test_the_organizers_put_changes_it(u1: Client) -> None:
    """Organizer's rule 2, whatever is put."""
    seen = {u1.put(HREF, meeting("u2")).headers["Schedule-Tag"]}
    for body in (meeting("u2", summary="Else"), text(u1, HREF), meeting("u2", more=ALARM)):
        seen.add(u1.put(HREF, body).headers["Schedule-Tag"])
    assert len(seen) == 4


def test_a_change_by_the_organizer_changes_the_attendees_tag(u1: Client, u2: Client) -> None:
    """Attendee's rule 1."""
    u1.put(HREF, meeting("u2"))
    theirs = only(u2, CAL2)
    before = tag(u2, theirs)
    u1.put(HREF, text(u1, HREF).replace("SUMMARY:Plan", "SUMMARY:Else"))
    assert tag(u2, theirs) != before


def test_the_attendees_own_put_changes_it(u1: Client, u2: Client) -> None:
    """Attendee's rule 3."""
    u1.put(HREF, meeting("u2"))
    theirs = only(u2, CAL2)
    before = tag(u2, theirs)
    after = reply(u2, "ACCEPTED").headers["Schedule-Tag"]
    assert before != after == tag(u2, theirs)


def test_an_instance_that_is_answered_changes_no_tag_of_others(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(HREF, meeting("u2", "u3", more="RRULE:FREQ=DAILY;COUNT=3\r\n"))
    theirs, mine = only(u3, calendar("u3")), only(u2, CAL2)
    before = tag(u1, HREF), tag(u3, theirs)
    body = text(u2, mine)
    assert u2.put(mine, body.replace("END:VEVENT", "EXDATE:20270311T120000Z\r\nEND:VEVENT", 1)).status == 204
    assert "RECURRENCE-ID:20270311T120000Z" in text(u1, HREF)
    assert (tag(u1, HREF), tag(u3, theirs)) == before


# If-Schedule-Tag-Match


def test_put_with_the_tag_takes_in_what_came_meanwhile(u1: Client, u2: Client, u3: Client) -> None:
    """Section 3.2.10.1: "the server MUST take any ATTENDEE property changes for all Attendees other than the owner"."""
    u1.put(HREF, meeting("u2", "u3"))
    known, schedule_tag = text(u1, HREF), tag(u1, HREF)
    etag = u1.request("GET", HREF).headers["ETag"]
    reply(u2, "ACCEPTED")
    changed = known.replace("SUMMARY:Plan", "SUMMARY:Better plan")
    assert u1.put(HREF, changed, If_Match=etag).status == 412
    answer = u1.put(HREF, changed, If_Schedule_Tag_Match=schedule_tag)
    assert answer.status == 204, answer
    assert answer.headers["Schedule-Tag"] != schedule_tag
    assert "ETag" not in answer.headers
    for client, href in ((u1, HREF), (u2, only(u2, CAL2)), (u3, only(u3, calendar("u3")))):
        body = text(client, href)
        assert "SUMMARY:Better plan" in body
        assert param(body, "u2", "PARTSTAT") == "ACCEPTED"


def test_an_attendee_with_the_tag(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(HREF, meeting("u2", "u3"))
    mine = only(u2, CAL2)
    known, schedule_tag = text(u2, mine), tag(u2, mine)
    reply(u3, "DECLINED")
    body = answered(known, "u2", "ACCEPTED")
    assert u2.put(mine, body, If_Schedule_Tag_Match=schedule_tag).status == 204
    now = text(u2, mine)
    assert (param(now, "u2", "PARTSTAT"), param(now, "u3", "PARTSTAT")) == ("ACCEPTED", "DECLINED")
    assert param(text(u1, HREF), "u3", "PARTSTAT") == "DECLINED"


def test_if_match_any_says_nothing_of_what_the_client_knows(u1: Client, u2: Client) -> None:
    """With ``If-Match: *`` beside the tag answers are taken in as well."""
    u1.put(HREF, meeting("u2"))
    known, schedule_tag = text(u1, HREF), tag(u1, HREF)
    reply(u2, "ACCEPTED")
    changed = known.replace("SUMMARY:Plan", "SUMMARY:Better plan")
    assert u1.put(HREF, changed, If_Schedule_Tag_Match=schedule_tag, If_Match="*").status == 204
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "ACCEPTED"


@pytest.mark.parametrize("value", ['"stale"', "stale", '""'])
def test_another_tag_is_refused(u1: Client, value: str) -> None:
    """412, and nothing has happened (sections 3.2.10.1 and 3.2.10.2)."""
    u1.put(HREF, meeting("u2"))
    u1.request("MKCALENDAR", WORK)
    before = u1.request("GET", HREF)
    assert u1.put(HREF, meeting("u2", summary="X"), If_Schedule_Tag_Match=value).status == 412
    assert u1.request("DELETE", HREF, If_Schedule_Tag_Match=value).status == 412
    for method in ("COPY", "MOVE"):
        answer = u1.request(method, HREF, Destination=WORK + "m.ics", If_Schedule_Tag_Match=value)
        assert answer.status == 412
    after = u1.request("GET", HREF)
    assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])


def test_a_tag_of_the_time_before_a_change_of_consequence(u1: Client, u2: Client) -> None:
    u1.put(HREF, meeting("u2"))
    mine = only(u2, CAL2)
    known, schedule_tag = text(u2, mine), tag(u2, mine)
    u1.put(HREF, text(u1, HREF).replace("T120000Z", "T150000Z"))
    answer = u2.put(mine, answered(known, "u2", "ACCEPTED"), If_Schedule_Tag_Match=schedule_tag)
    assert answer.status == 412
    assert param(text(u1, HREF), "u2", "PARTSTAT") == "NEEDS-ACTION"


def test_what_has_no_tag_matches_none(u1: Client) -> None:
    u1.put(HREF, event("m"))
    assert u1.put(HREF, event("m", summary="X"), If_Schedule_Tag_Match='"x"').status == 412
    assert u1.put(CAL1 + "new.ics", event("n"), If_Schedule_Tag_Match='"x"').status == 412
    assert u1.put(CAL1 + "new.ics", event("n"), If_Schedule_Tag_Match="*").status == 412


def test_delete_with_the_tag(u1: Client, u2: Client) -> None:
    """Section 3.2.10.2: an answer that came in meanwhile does not stand in the way."""
    u1.put(HREF, meeting("u2"))
    schedule_tag = tag(u1, HREF)
    reply(u2, "ACCEPTED")
    assert u1.request("DELETE", HREF, If_Schedule_Tag_Match=schedule_tag).status == 204
    assert members(u2, CAL2) == []


def test_move_with_the_tag(u1: Client, u2: Client) -> None:
    """The header is about the Request-URI. The tag at the destination is another one (section 3.2.10)."""
    u1.put(HREF, meeting("u2"))
    u1.request("MKCALENDAR", WORK)
    schedule_tag = tag(u1, HREF)
    reply(u2, "ACCEPTED")
    answer = u1.request("MOVE", HREF, Destination=WORK + "m.ics", If_Schedule_Tag_Match=schedule_tag)
    assert (answer.status, answer.headers["Schedule-Tag"]) == (201, tag(u1, WORK + "m.ics"))
    assert answer.headers["Schedule-Tag"] != schedule_tag
    assert param(text(u1, WORK + "m.ics"), "u2", "PARTSTAT") == "ACCEPTED"


def test_proppatch_with_the_tag(u1: Client, u2: Client) -> None:
    """Section 8.3: the header makes methods conditional; so does If-Match (RFC 9110 section 13.2)."""
    u1.put(HREF, meeting("u2"))
    note = "<X:note xmlns:X='urn:x'>1</X:note>"
    for headers in ({"If_Schedule_Tag_Match": '"stale"'}, {"If_Match": '"stale"'}, {"If_None_Match": "*"}):
        assert u1.proppatch(HREF, set=note, **headers).status == 412
        assert b"urn:x" not in u1.request("PROPFIND", HREF, Depth="0").body
    etag = u1.request("GET", HREF).headers["ETag"]
    answer = u1.proppatch(HREF, set=note, If_Schedule_Tag_Match=tag(u1, HREF), If_Match=etag)
    assert answer.status == 207
    assert b"urn:x" in u1.request("PROPFIND", HREF, Depth="0").body


def test_copy_with_the_tag(u1: Client, u2: Client) -> None:
    """To a file; a calendar of the same home would refuse it."""
    u1.put(HREF, meeting("u2"))
    u1.request("MKCOL", "/calendars/u1/files/")
    destination = "/calendars/u1/files/m.ics"
    answer = u1.request("COPY", HREF, Destination=destination, If_Schedule_Tag_Match=tag(u1, HREF))
    assert (answer.status, "Schedule-Tag" in answer.headers) == (201, False)
    assert "Schedule-Tag" not in u1.request("GET", destination).headers
