"""Scheduling privileges over HTTP (RFC 6638 sections 6 and 11.2): who may send, who may deliver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.rows import Ace
from storage.store import Store
from tests.caldavd.client import Client, event
from tests.caldavd.implicit.scene import (
    answered,
    calendar,
    copy_of,
    inbox,
    line,
    meeting,
    members,
    messages,
    needed,
    only,
    outbox,
    param,
    reply,
    text,
)
from tests.caldavd.sharing import ace, acl, grant, principal, set_aces

AsUser = Callable[[str | None], Client]
CAL1 = calendar("u1")
DELIVER = ("schedule-deliver", "schedule-deliver-invite", "schedule-deliver-reply", "schedule-query-freebusy")
SEND = ("schedule-send", "schedule-send-invite", "schedule-send-reply", "schedule-send-freebusy")


@pytest.fixture
def u3(as_user: AsUser) -> Client:
    return as_user("u3")


def caldav(name: str) -> str:
    return f"{{urn:ietf:params:xml:ns:caldav}}{name}"


@pytest.fixture
def shared(store: Store) -> None:
    """u3 may read and write u1's calendar, and no more."""
    grant(store, "u1/calendar", "u3", ["{DAV:}read", "{DAV:}write"])


# What there is, and who holds it


@pytest.mark.parametrize(("path", "family"), [(inbox("u1"), DELIVER), (outbox("u1"), SEND)])
def test_supported_and_held(u1: Client, admin: Client, path: str, family: tuple[str, ...]) -> None:
    """Section 6: non-abstract and in supported-privilege-set; aggregated as in section 6.3, in DAV:all."""
    for client in (u1, admin):
        answer = client.propfind(path, "<D:supported-privilege-set/><D:current-user-privilege-set/>")
        held = {one.tag.rpartition("}")[2] for one in answer.xpath("//D:current-user-privilege-set/D:privilege/*")}
        assert held >= set(family)
        root = answer.xpath("//D:supported-privilege-set/D:supported-privilege")[0]
        assert root.find("{DAV:}privilege/{DAV:}all") is not None
        [top] = [
            one
            for one in root.findall("{DAV:}supported-privilege")
            if one.find(f"{{DAV:}}privilege/{caldav(family[0])}") is not None
        ]
        inner = [one.find("{DAV:}privilege")[0].tag for one in top.findall("{DAV:}supported-privilege")]
        assert inner == [caldav(name) for name in family[1:]]
        assert not top.findall(".//{DAV:}abstract")


@pytest.mark.parametrize("path", [CAL1, "/calendars/u1/", "/principals/u1/"])
def test_they_count_nowhere_else(u1: Client, path: str) -> None:
    """Section 6.1: "ignored if applied to a resource other than" an inbox or outbox."""
    answer = u1.propfind(path, "<D:supported-privilege-set/><D:current-user-privilege-set/>")
    assert b"schedule-" not in answer.body


@pytest.mark.parametrize(
    ("path", "name"), [(inbox("u1"), "schedule-send"), (outbox("u1"), "schedule-deliver"), (CAL1, "schedule-send")]
)
def test_they_are_granted_only_where_they_count(u1: Client, path: str, name: str) -> None:
    answer = u1.request("ACL", path, acl(ace("u2", f"C:{name}")))
    assert (answer.status, answer.conditions) == (403, ["not-supported-privilege"])


def test_the_default_is_seen_and_can_be_changed(u1: Client, u2: Client) -> None:
    """Everybody with an account may deliver at first; the ACL method replaces that."""
    answer = u1.propfind(inbox("u1"), "<D:acl/>")
    granted = answer.xpath("//D:ace[D:principal/D:authenticated]/D:grant/D:privilege/*")
    assert [one.tag for one in granted] == [caldav("schedule-deliver")]
    assert u1.request("ACL", inbox("u1"), acl(ace("u2", "C:schedule-deliver-reply"))).status == 200
    answer = u1.propfind(inbox("u1"), "<D:acl/>")
    assert not answer.xpath("//D:ace[D:principal/D:authenticated]")
    held = u2.propfind(inbox("u1"), "<D:current-user-privilege-set/>")
    assert held.conditions == ["need-privileges"]  # it may deliver, not look


def test_others_may_not_look_into_the_boxes(u1: Client, u2: Client) -> None:
    u2.put(calendar("u2") + "m.ics", meeting("u1", organizer="u2"))
    item = only(u1, inbox("u1"))
    assert u2.propfind(inbox("u1"), "<D:getetag/>", depth=1).status == 403
    assert u2.request("GET", item).status == 404
    assert u2.request("DELETE", item).status in (403, 404)
    assert u2.propfind(outbox("u1"), "<D:getetag/>").status == 404


# Sending in somebody's name (section 6.2)


@pytest.mark.usefixtures("shared")
def test_the_example_of_the_rfc(u1: Client, u3: Client) -> None:
    """Appendix B.6: who may write into a calendar may not invite in its owner's name."""
    answer = u3.put(CAL1 + "def456.ics", meeting("u2"), If_None_Match="*")
    assert needed(answer) == [(outbox("u1"), "schedule-send-invite")]
    assert members(u1, CAL1) == []


@pytest.mark.usefixtures("shared")
def test_a_delegate_invites_as_the_owner(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    grant(store, "u1/outbox", "u3", [caldav("schedule-send-invite")])
    assert u3.put(CAL1 + "m.ics", meeting("u2")).status == 201
    copy = text(u2, only(u2, calendar("u2")))
    assert "ORGANIZER:mailto:u1@example.org" in copy
    assert "u3@" not in copy
    assert param(text(u1, CAL1 + "m.ics"), "u2", "SCHEDULE-STATUS") == "1.2"
    assert u3.request("DELETE", CAL1 + "m.ics").status == 204
    assert members(u2, calendar("u2")) == []


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("privilege", ["schedule-send-reply", "schedule-send-freebusy"])
def test_the_other_privileges_are_not_enough_to_invite(store: Store, u3: Client, privilege: str) -> None:
    grant(store, "u1/outbox", "u3", [caldav(privilege)])
    assert needed(u3.put(CAL1 + "m.ics", meeting("u2"))) == [(outbox("u1"), "schedule-send-invite")]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("privileges", [["schedule-send"], ["schedule-send-invite"]])
def test_with_the_privilege_or_what_contains_it(store: Store, u3: Client, privileges: list[str]) -> None:
    grant(store, "u1/outbox", "u3", map(caldav, privileges))
    assert u3.put(CAL1 + "m.ics", meeting("u2")).status == 201


def test_all_on_the_home_contains_it(store: Store, u3: Client) -> None:
    grant(store, "u1", "u3", ["{DAV:}all"])
    assert u3.put(CAL1 + "m.ics", meeting("u2")).status == 201


@pytest.mark.usefixtures("shared")
def test_changing_and_deleting_need_it_as_well(u1: Client, u2: Client, u3: Client) -> None:
    u1.put(CAL1 + "m.ics", meeting("u2"))
    moved = text(u1, CAL1 + "m.ics").replace("T120000Z", "T150000Z")
    missing = [(outbox("u1"), "schedule-send-invite")]
    assert needed(u3.put(CAL1 + "m.ics", moved)) == missing
    assert needed(u3.request("DELETE", CAL1 + "m.ics")) == missing
    assert needed(u3.request("POST", CAL1, meeting("u2", uid="n"), Content_Type="text/calendar")) == missing
    assert "T120000Z" in text(u2, only(u2, calendar("u2")))


@pytest.mark.usefixtures("shared")
def test_what_nobody_is_told_of_needs_nothing(u1: Client, u3: Client) -> None:
    """Section 6.2.2: only what "will trigger the CalDAV server to deliver scheduling messages"."""
    assert u3.put(CAL1 + "own.ics", event("own")).status == 201
    assert u3.request("DELETE", CAL1 + "own.ics").status == 204
    u1.put(CAL1 + "m.ics", meeting("u2"))
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"
    body = text(u1, CAL1 + "m.ics").replace("END:VEVENT", alarm + "END:VEVENT")
    assert u3.put(CAL1 + "m.ics", body).status == 204
    alone = meeting(uid="alone")  # an organizer and nobody else
    assert u3.put(CAL1 + "alone.ics", alone).status == 201


@pytest.mark.usefixtures("shared")
def test_answers_need_their_own_privilege(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    u2.put(calendar("u2") + "m.ics", meeting("u1", organizer="u2"))
    href = only(u1, CAL1)
    accepted = answered(text(u1, href), "u1", "ACCEPTED")
    missing = [(outbox("u1"), "schedule-send-reply")]
    assert needed(u3.put(href, accepted)) == missing
    grant(store, "u1/outbox", "u3", [caldav("schedule-send-invite")])
    assert needed(u3.put(href, accepted)) == missing
    assert needed(u3.request("DELETE", href)) == missing
    grant(store, "u1/outbox", "u3", [caldav("schedule-send-reply")])
    assert u3.put(href, accepted).status == 204
    assert param(text(u2, calendar("u2") + "m.ics"), "u1", "PARTSTAT") == "ACCEPTED"


@pytest.mark.usefixtures("shared")
def test_to_delegate_is_to_invite(store: Store, u1: Client, u2: Client, u3: Client) -> None:
    """Appendix A.2: a REQUEST needs ``schedule-send-invite``, also where an attendee sends it."""
    u2.put(calendar("u2") + "m.ics", meeting("u1", organizer="u2"))
    href = only(u1, CAL1)
    grant(store, "u1/outbox", "u3", [caldav("schedule-send-reply")])
    assert needed(u3.put(href, _delegated(text(u1, href), "u1", "u3"))) == [(outbox("u1"), "schedule-send-invite")]
    assert members(u3, calendar("u3")) == []
    grant(store, "u1/outbox", "u3", [caldav("schedule-send")])
    assert u3.put(href, _delegated(text(u1, href), "u1", "u3")).status == 204
    assert copy_of(u3) is not None


def _delegated(body: str, name: str, to: str) -> str:
    mine = line(body, name)
    return body.replace(mine, f'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:{to}@example.org":' + mine[-21:])


@pytest.mark.usefixtures("shared")
def test_without_a_reply_nothing_is_sent(u1: Client, u2: Client, u3: Client) -> None:
    u2.put(calendar("u2") + "m.ics", meeting("u1", organizer="u2"))
    assert u3.request("DELETE", only(u1, CAL1), Schedule_Reply="F").status == 204
    assert param(text(u2, calendar("u2") + "m.ics"), "u1", "PARTSTAT") == "NEEDS-ACTION"


@pytest.mark.usefixtures("shared")
def test_the_authorization_comes_first(u1: Client, u2: Client, u3: Client) -> None:
    """Section 11.4: authorization errors "MUST take preference over other errors"."""
    u2.put(calendar("u2") + "m.ics", meeting("u1", organizer="u2"))
    href = only(u1, CAL1)
    forbidden = text(u1, href).replace("SUMMARY:Plan", "SUMMARY:Mine")
    assert needed(u3.put(href, forbidden)) == [(outbox("u1"), "schedule-send-reply")]
    assert u1.put(href, forbidden).conditions == ["allowed-attendee-scheduling-object-change"]


def test_an_administrator_writes_for_everybody(admin: Client, u2: Client) -> None:
    assert admin.put(CAL1 + "m.ics", meeting("u2")).status == 201
    assert "ORGANIZER:mailto:u1@example.org" in text(u2, only(u2, calendar("u2")))


def test_a_group_sends_nothing(u1: Client, u3: Client) -> None:
    """Section 11.2, item 1: its principal has no schedule-outbox-URL."""
    team = "/calendars/staff/team/"
    assert u1.request("MKCALENDAR", team).status == 201
    made = u1.put(team + "m.ics", meeting("u3", organizer="staff"))
    assert (made.status, "Schedule-Tag" in made.headers, "ETag" in made.headers) == (201, False, True)
    assert members(u3, calendar("u3")) == []
    answer = u1.propfind("/principals/staff/", "<C:schedule-outbox-URL/><C:schedule-inbox-URL/>")
    assert answer.status_of("/principals/staff/", "C:schedule-outbox-URL") == 404
    assert answer.status_of("/principals/staff/", "C:schedule-inbox-URL") == 404


# Delivering into somebody's inbox (section 6.1)


def test_who_may_not_invite_is_told(u1: Client, u2: Client, u3: Client) -> None:
    """Section 3.2.9: 3.8 for the one, delivery for the other."""
    keep_out = ace("u1", "C:schedule-deliver-invite", verb="deny")
    others = ace("<D:authenticated/>", "C:schedule-deliver")
    assert u2.request("ACL", inbox("u2"), acl(keep_out, others)).status == 200
    assert u1.put(CAL1 + "m.ics", meeting("u2", "u3")).status == 201
    mine = text(u1, CAL1 + "m.ics")
    assert param(mine, "u2", "SCHEDULE-STATUS") == "3.8"
    assert param(mine, "u3", "SCHEDULE-STATUS") == "1.2"
    assert (members(u2, calendar("u2")), members(u2, inbox("u2"))) == ([], [])
    assert u3.put(calendar("u3") + "n.ics", meeting("u2", organizer="u3", uid="n")).status == 201
    assert copy_of(u2, "n") is not None


def test_who_is_kept_out_later_cannot_change_or_cancel(u1: Client, u2: Client) -> None:
    u1.put(CAL1 + "m.ics", meeting("u2"))
    u2.request("ACL", inbox("u2"), acl(ace("u1", "C:schedule-deliver-invite", verb="deny")))
    moved = text(u1, CAL1 + "m.ics").replace("T120000Z", "T150000Z")
    assert u1.put(CAL1 + "m.ics", moved).status == 204
    assert param(text(u1, CAL1 + "m.ics"), "u2", "SCHEDULE-STATUS") == "3.8"
    assert "T120000Z" in text(u2, only(u2, calendar("u2")))
    assert u1.request("DELETE", CAL1 + "m.ics").status == 204
    assert "T120000Z" in text(u2, only(u2, calendar("u2")))


def test_answers_can_be_kept_out(u1: Client, u2: Client) -> None:
    u1.request("ACL", inbox("u1"), acl(ace("<D:authenticated/>", "C:schedule-deliver-invite")))
    u1.put(CAL1 + "m.ics", meeting("u2"))
    reply(u2, "ACCEPTED")
    href = copy_of(u2)
    assert href is not None
    assert param(text(u2, href), "u1", "SCHEDULE-STATUS", of="ORGANIZER") == "3.8"
    assert param(text(u1, CAL1 + "m.ics"), "u2", "PARTSTAT") == "NEEDS-ACTION"
    assert messages(u1) == []


def test_an_attendee_who_delegates_invites(u1: Client, u2: Client, u3: Client) -> None:
    """Appendix A.1: the REPLY and the REQUEST of a delegation are asked for separately."""
    u3.request("ACL", inbox("u3"), acl(ace("<D:authenticated/>", "C:schedule-deliver-reply")))
    u1.request("ACL", inbox("u1"), acl(ace("<D:authenticated/>", "C:schedule-deliver-reply")))
    u1.put(CAL1 + "m.ics", meeting("u2"))
    href = only(u2, calendar("u2"))
    assert u2.put(href, _delegated(text(u2, href), "u2", "u3")).status == 204
    assert param(text(u1, CAL1 + "m.ics"), "u2", "PARTSTAT") == "DELEGATED"
    assert (members(u3, calendar("u3")), members(u3, inbox("u3"))) == ([], [])
    mine = text(u2, href)
    assert param(mine, "u1", "SCHEDULE-STATUS", of="ORGANIZER") == "1.2"
    assert param(mine, "u3", "SCHEDULE-STATUS", of="ATTENDEE;PARTSTAT=NEEDS-ACTION") == "3.8"


def test_the_privileges_of_the_calendar_do_not_count(store: Store, u1: Client, u2: Client) -> None:
    """Section 4: a message may change what its sender could neither read nor write."""
    deny = Ace("principal", False, ("{DAV:}all",), principal_id=principal(store, "u1").id)
    set_aces(store, "u2/calendar", deny)
    u1.put(CAL1 + "m.ics", meeting("u2"))
    assert len(members(u2, calendar("u2"))) == 1


@pytest.mark.usefixtures("shared")
def test_the_owner_of_the_calendar_delivers_not_the_delegate(store: Store, u2: Client, u3: Client) -> None:
    """Section 11.2, item 3."""
    grant(store, "u1/outbox", "u3", [caldav("schedule-send")])
    u2.request("ACL", inbox("u2"), acl(ace("u1", "C:schedule-deliver")))
    assert u3.put(CAL1 + "m.ics", meeting("u2")).status == 201
    assert line(text(u2, only(u2, calendar("u2"))), "u1", of="ORGANIZER")
    u2.request("ACL", inbox("u2"), acl(ace("u3", "C:schedule-deliver")))
    assert u3.put(CAL1 + "n.ics", meeting("u2", uid="n")).status == 201
    assert copy_of(u2, "n") is None
