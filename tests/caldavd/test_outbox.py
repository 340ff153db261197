"""Questions to the outbox (RFC 6638 section 5): in which forms, who may ask, what counts, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index_redis import RedisIndex
from storage.rows import Address
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS, Answer, Client, event, question
from tests.caldavd.sharing import ace, acl, principal, statements
from tests.scheduling.freebusy.redis_servers import Server

CAL = "/calendars/u1/calendar/"
BUSY = "FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T130000Z"


def post(client: Client, body: str, path: str = "", **headers: str) -> Answer:
    headers = {"Content_Type": "text/calendar; charset=utf-8", **headers}
    return client.request("POST", path or f"/calendars/{client.user}/outbox/", body, **headers)


def told(answer: Answer) -> list[tuple[str, str, list[str]]]:
    """Of each response: recipient, status, and the FREEBUSY lines, unfolded."""
    assert answer.status == 200, answer.body
    assert answer.xml.tag == "{urn:ietf:params:xml:ns:caldav}schedule-response"
    found = []
    for one in answer.xml:
        text = (one.findtext("{urn:ietf:params:xml:ns:caldav}calendar-data") or "").replace("\r\n ", "")
        busy = [line for line in text.split("\r\n") if line.startswith("FREEBUSY")]
        recipient = one.findtext("{urn:ietf:params:xml:ns:caldav}recipient/{DAV:}href")
        status = one.findtext("{urn:ietf:params:xml:ns:caldav}request-status")
        found.append((recipient or "", status or "", busy))
    return found


def busy_of(answer: Answer) -> list[str]:
    """The FREEBUSY lines of a question about one."""
    ((_, status, busy),) = told(answer)
    assert status == "2.0;Success"
    return busy


# --- forms


def test_many_in_their_order_each_as_often_as_asked(u1: Client, u2: Client) -> None:
    """Clients.md rule 31: one response for each attendee, in order."""
    u1.put(CAL + "a.ics", event("a"))
    asked = ["mailto:u1@example.org", "mailto:nobody@example.org", "MAILTO:U3@Example.org", "mailto:u1@example.org"]
    found = told(post(u2, question(*asked)))
    assert [one for one, _, _ in found] == asked
    assert [status for _, status, _ in found] == [
        "2.0;Success",
        "3.7;Invalid calendar user",
        "2.0;Success",
        "2.0;Success",
    ]
    assert [busy for _, _, busy in found] == [[BUSY], [], [], [BUSY]]


@pytest.mark.parametrize(
    ("attendee", "headers"),
    [
        ("mailto:u1@example.org", {}),
        ("mailto:u1@example.org", {"Originator": "mailto:u2@example.org", "Recipient": "mailto:u1@example.org"}),
        ("mailto:u1@example.org", {"Originator": "mailto:x@y", "Recipient": "mailto:a@b, mailto:c@d"}),
        (";ROLE=CHAIR;CN=\"Eve, O.\":mailto:u1@example.org", {}),
        (";PARTSTAT=NEEDS-ACTION;CUTYPE=INDIVIDUAL:mailto:U1@EXAMPLE.ORG", {}),
        ("mailto:u1%40example.org", {}),
        ("/principals/u1/", {}),
        ("http://localhost/principals/u1", {}),
        ("mailto:u1@example.org", {"Content_Type": "text/calendar"}),
        ("mailto:u1@example.org", {"Content_Type": 'text/calendar; component=vfreebusy; method="REQUEST"'}),
        ("mailto:u1@example.org", {"Content_Type": ""}),
    ],
)  # fmt: skip
def test_forms_of_one(u1: Client, u2: Client, attendee: str, headers: dict[str, str]) -> None:
    u1.put(CAL + "a.ics", event("a"))
    assert busy_of(post(u2, question(attendee), **headers)) == [BUSY]


def test_the_answer_is_a_reply(u1: Client, u2: Client) -> None:
    """RFC 6638 appendix B.5, RFC 5546 section 3.3.3."""
    u1.put(CAL + "a.ics", event("a"))
    answer = post(u2, question(";CN=One:mailto:u1@example.org"))
    assert answer.headers["Content-Type"].startswith("application/xml")
    text = str(answer.xpath("string(//C:calendar-data)"))
    lines = text.replace("\r\n ", "").split("\r\n")
    assert {"METHOD:REPLY", "UID:q", "DTSTART:20260310T000000Z", "DTEND:20260311T000000Z", BUSY} <= set(lines)
    assert {"ORGANIZER:mailto:u2@example.org", "ATTENDEE;CN=One:mailto:u1@example.org"} <= set(lines)
    assert "Lunch" not in text


def test_times_in_a_zone_and_with_a_duration(u1: Client, u2: Client) -> None:
    """RFC 5546 asks for UTC and DTEND; what is meant otherwise is clear as well."""
    u1.put(CAL + "a.ics", event("a"))
    body = question("mailto:u1@example.org")
    zoned = body.replace("DTSTART:20260310T000000Z", "DTSTART;TZID=Europe/Berlin:20260310T130000")
    lasting = zoned.replace("DTEND:20260311T000000Z", "DURATION:PT30M")
    assert busy_of(post(u2, lasting)) == ["FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T123000Z"]


@pytest.mark.parametrize(
    ("change", "status", "condition"),
    [
        (("METHOD:REQUEST", "METHOD:PUBLISH"), 400, "valid-scheduling-message"),
        (("METHOD:REQUEST\r\n", ""), 400, "valid-scheduling-message"),
        (("ATTENDEE", "X-ATTENDEE"), 400, "valid-scheduling-message"),
        (("ORGANIZER", "X-ORGANIZER"), 400, "valid-scheduling-message"),
        (("DTEND", "X-END"), 400, "valid-scheduling-message"),
        (("DTEND:20260311", "DTEND:20260310"), 400, "valid-scheduling-message"),
        (("DTEND:20260311", "DTEND:20260309"), 400, "valid-scheduling-message"),
        (("VFREEBUSY", "VEVENT"), 400, "valid-scheduling-message"),
        (("DTSTART:2026", "DTSTART:x"), 403, "valid-calendar-data"),
        (("END:VFREEBUSY\r\n", ""), 403, "valid-calendar-data"),
        (("ORGANIZER:mailto:u2", "ORGANIZER:mailto:u1"), 403, "valid-organizer"),
        (("ORGANIZER:mailto:u2@example.org", "ORGANIZER:mailto:stranger@example.org"), 403, "valid-organizer"),
    ],
)
def test_what_is_no_question(u2: Client, change: tuple[str, str], status: int, condition: str) -> None:
    answer = post(u2, question("mailto:u1@example.org").replace(*change))
    assert (answer.status, answer.conditions) == (status, [condition])


def test_other_types_and_too_many(u2: Client, with_limits: Callable[..., Client]) -> None:
    assert post(u2, question("mailto:u1@example.org"), Content_Type="application/json").conditions == [
        "supported-calendar-data"
    ]
    few = with_limits(max_attendees_per_instance=2)
    body = question(*["mailto:u2@example.org"] * 3, organizer="mailto:u1@example.org")
    assert post(few, body).conditions == ["max-attendees-per-instance"]


# --- who may ask


def test_who_may_ask(application: Application, u1: Client, u2: Client, as_user: Callable[[str], Client]) -> None:
    """RFC 6638 sections 6.1.4 and 6.2.4: on the inbox of who is asked, on the outbox of who asks."""
    u1.put(CAL + "a.ics", event("a"))
    asked = question("mailto:u1@example.org", "mailto:u3@example.org")
    assert [status for _, status, _ in told(post(u2, asked))] == ["2.0;Success"] * 2
    inbox = "/calendars/u1/inbox/"
    denied = ace("u2", "C:schedule-query-freebusy", verb="deny")
    everybody = ace("<D:authenticated/>", "C:schedule-deliver")
    assert u1.request("ACL", inbox, acl(denied, everybody)).status == 200
    found = told(post(u2, asked))
    assert [(status, busy) for _, status, busy in found] == [("3.8;No authority", []), ("2.0;Success", [])]
    assert busy_of(post(as_user("u3"), question("mailto:u1@example.org", organizer="mailto:u3@example.org"))) == [BUSY]
    # An outbox is somebody's own ...
    u3 = as_user("u3")
    assert post(u3, question("mailto:u1@example.org"), "/calendars/u2/outbox/").status == 404
    # ... unless its owner lets others ask, in the owner's name.
    assert u2.request("ACL", "/calendars/u2/outbox/", acl(ace("u3", "C:schedule-send-freebusy"))).status == 200
    found = told(post(u3, question("mailto:u1@example.org"), "/calendars/u2/outbox/"))
    assert [status for _, status, _ in found] == ["3.8;No authority"], "it is u2 who asks"
    assert post(
        u3, question("mailto:u1@example.org", organizer="mailto:u3@example.org"), "/calendars/u2/outbox/"
    ).conditions == ["valid-organizer"]


def test_of_a_group_nothing_is_told(u1: Client, u2: Client, store: Store) -> None:
    """Its members may be busy: "free" would be wrong (RFC 5546 section 3.6, 5.3)."""
    u1.put(CAL + "a.ics", event("a"))

    def address(tx: Transaction) -> None:
        staff = tx.principals.by_name("staff")
        assert staff is not None
        tx.principals.update(replace(staff, addresses=(Address("mailto:staff@example.org", preferred=True),)))

    store.run(address, write=True)
    found = told(post(u2, question("mailto:staff@example.org", "mailto:u1@example.org")))
    assert found == [
        ("mailto:staff@example.org", "5.3;No scheduling support for user", []),
        ("mailto:u1@example.org", "2.0;Success", [BUSY]),
    ]


def test_nothing_is_stored_or_locked(u1: Client, u2: Client, store: Store) -> None:
    before = u2.sync("/calendars/u2/").xpath("string(//D:sync-token)")
    with statements() as seen:
        post(u2, question("mailto:u1@example.org"))
    assert not [one for one in seen if not one.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert u2.sync("/calendars/u2/").xpath("string(//D:sync-token)") == before


# --- what counts


def test_the_meeting_that_is_moved_is_left_out(u1: Client, u2: Client) -> None:
    u1.put(CAL + "a.ics", event("a,b"))
    u1.put(CAL + "b.ics", event("other", start="20260310T150000Z"))
    other = "FREEBUSY;FBTYPE=BUSY:20260310T150000Z/20260310T160000Z"
    for _ in range(2):
        found = busy_of(post(u2, question("mailto:u1@example.org", more="X-CALENDARSERVER-MASK-UID:a,b\r\n")))
        assert found == [other]
    assert len(busy_of(post(u2, question("mailto:u1@example.org")))[0].split(",")) == 2


def test_what_is_transparent_tentative_cancelled_declined(u1: Client, u2: Client) -> None:
    for at, extra in enumerate(
        (
            "TRANSP:TRANSPARENT",
            "STATUS:CANCELLED",
            "STATUS:TENTATIVE",
            "ORGANIZER:mailto:x@y\r\nATTENDEE;PARTSTAT=DECLINED:mailto:u1@example.org",
            "ORGANIZER:mailto:x@y\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:u1@example.org",
            "ORGANIZER:mailto:x@y\r\nATTENDEE:mailto:u1@example.org",
        )
    ):
        assert (
            u1.put(f"{CAL}{at}.ics", event(f"e{at}", start=f"20260310T{at + 8:02}0000Z", extra=f"{extra}\r\n")).status
            == 201
        )
    for _ in range(2):
        assert busy_of(post(u2, question("mailto:u1@example.org"))) == [
            "FREEBUSY;FBTYPE=BUSY:20260310T120000Z/20260310T130000Z",
            "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260310T100000Z/20260310T110000Z,20260310T130000Z/20260310T140000Z",
        ]


def test_calendars_and_zones_of_the_owner_are_seen_at_once(u1: Client, u2: Client, store: Store) -> None:
    """All-day and floating times are where the owner is; every change counts for the next question."""
    whole = event("day").replace("DTSTART:20260310T120000Z\r\nDURATION:PT1H", "DTSTART;VALUE=DATE:20260310")
    u1.put(CAL + "day.ics", whole)

    def ask() -> list[str]:
        return busy_of(post(u2, question("mailto:u1@example.org", start="20260309", end="20260312")))

    def day(start: str, end: str) -> list[str]:
        return [f"FREEBUSY;FBTYPE=BUSY:{start}/{end}"]

    berlin = day("20260309T230000Z", "20260310T230000Z")
    assert ask() == ask() == berlin
    u1.proppatch(CAL, set="<C:calendar-timezone-id>America/New_York</C:calendar-timezone-id>")
    assert ask() == ask() == day("20260310T040000Z", "20260311T040000Z")
    u1.proppatch(CAL, remove="<C:calendar-timezone-id/>")
    assert ask() == berlin
    transparent = "<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>"
    u1.proppatch(CAL, set=transparent)
    assert ask() == []
    u1.proppatch(CAL, set=transparent.replace("transparent/", "opaque/"))
    assert ask() == berlin
    one = principal(store, "u1")
    store.run(lambda tx: tx.principals.update(replace(one, timezone="Asia/Tokyo")), write=True)
    assert ask() == day("20260309T150000Z", "20260310T150000Z")


def test_another_address_makes_another_answer(u1: Client, u2: Client, store: Store) -> None:
    meeting = "ORGANIZER:mailto:x@y\r\nATTENDEE;PARTSTAT=DECLINED:mailto:one@example.org\r\n"
    u1.put(CAL + "a.ics", event("a", extra=meeting))
    assert busy_of(post(u2, question("mailto:u1@example.org"))) == [BUSY]
    one = principal(store, "u1")
    more = replace(one, addresses=(*one.addresses, Address("mailto:one@example.org", preferred=False)))
    store.run(lambda tx: tx.principals.update(more), write=True)
    assert busy_of(post(u2, question("mailto:u1@example.org"))) == []


def test_every_way_of_writing_is_seen_at_once(u1: Client, u2: Client) -> None:
    def busy() -> int:
        return len(busy_of(post(u2, question("mailto:u1@example.org"))))

    def both(expected: int) -> None:
        assert busy() == busy() == expected

    both(0)
    u1.put(CAL + "a.ics", event("a"))
    both(1)
    u1.request("MOVE", CAL + "a.ics", Destination="http://localhost/calendars/u1/calendar/b.ics")
    both(1)
    u1.put(CAL + "b.ics", event("a", start="20260411T120000Z"))
    both(0)
    u1.put(CAL + "b.ics", event("a"))
    both(1)
    u1.request("MKCALENDAR", "/calendars/u1/other/")
    u1.request("MOVE", CAL + "b.ics", Destination="http://localhost/calendars/u1/other/b.ics")
    both(1)
    u1.request("COPY", "/calendars/u1/other/", Destination="http://localhost/calendars/u1/third/")
    both(1)
    u1.request("DELETE", "/calendars/u1/other/")
    both(1)
    u1.request("MOVE", "/calendars/u1/third/", Destination="http://localhost/calendars/u1/fourth/")
    both(1)
    u1.request("DELETE", "/calendars/u1/fourth/b.ics")
    both(0)
    # A delivery is a change of the attendee's calendar as well.
    meeting = event("m", extra="ORGANIZER:mailto:u2@example.org\r\nATTENDEE:mailto:u1@example.org\r\n")
    assert u2.put("/calendars/u2/calendar/m.ics", meeting).status == 201
    both(1)
    u2.request("DELETE", "/calendars/u2/calendar/m.ics")
    both(0)


# --- what it costs


def fifty(application: Application, store: Store) -> tuple[str, ...]:
    def make(tx: Transaction) -> None:
        for number in range(50):
            address = f"mailto:p{number}@example.org"
            new = provision.NewPrincipal(
                name=f"p{number}", addresses=(address,), timezone="Europe/Berlin", schedules=True
            )
            provision.create(tx, new, Provisioning())

    store.run(make, write=True)
    for number in range(50):
        client = Client(application, f"p{number}")
        for at in range(3):
            daily = "RRULE:FREQ=WEEKLY\r\n" if at else ""
            body = event(f"{number}-{at}", start=f"202603{10 + at}T{8 + number % 9:02}0000Z", extra=daily)
            assert client.put(f"/calendars/p{number}/calendar/{at}.ics", body).status == 201
    return tuple(f"mailto:p{number}@example.org" for number in range(50))


def test_fifty_attendees_over_a_month_are_four_statements_and_two_round_trips(
    application: Application, store: Store, tmp_path: Path
) -> None:
    """Those of every request are to find the user and the outbox."""
    with Server(tmp_path) as server, closing(RedisIndex(server.url, timeout=2)) as index:
        freebusy = FreeBusy(index, days_back=4000, days_ahead=4000)
        wired = replace(application, freebusy=freebusy)
        store.watch(freebusy.written)
        asked = fifty(wired, store)
        u2 = Client(wired, "u2")
        with statements() as every_request:
            assert u2.request("POST", "/calendars/u2/outbox/", "nothing that is a question").status == 403
        answers = []
        for most_statements, round_trips in ((4, 2), (3, 1)):
            before = index.round_trips
            with statements() as seen:
                answers.append(told(post(u2, question(*asked, start="20260301", end="20260401"))))
            assert len(seen) - len(every_request) <= most_statements, seen
            assert index.round_trips - before == round_trips
        assert answers[0] == answers[1]
        assert sum(bool(busy) for _, _, busy in answers[0]) == 50
        # A write is one more round trip, and afterwards only what it touched is read again.
        before = index.round_trips
        assert Client(wired, "p7").request("DELETE", "/calendars/p7/calendar/0.ics").status == 204
        assert index.round_trips == before + 1
        with statements() as seen:
            again = told(post(u2, question(*asked, start="20260301", end="20260401")))
        assert len(seen) - len(every_request) == 4
        assert [one for one, two in zip(answers[0], again, strict=True) if one != two] == [answers[0][7]]


def test_a_question_about_too_much_is_told_so_for_that_person_alone(
    application: Application, u1: Client, u2: Client
) -> None:
    for at in range(40):
        u1.put(f"{CAL}{at}.ics", event(f"often{at}", extra="RRULE:FREQ=MINUTELY\r\n"))
    Client(application, "u3").put("/calendars/u3/calendar/a.ics", event("a"))
    century = question("mailto:u1@example.org", "mailto:u3@example.org", start="20000101", end="21000101")
    began = time.process_time()
    answer = post(u2, century)
    assert time.process_time() - began < 5
    found = told(answer)
    assert [status for _, status, _ in found] == ["3.10;Request entity too large", "2.0;Success"]
    assert found[1][2] == [BUSY]
    assert "ask for a shorter one" in answer.xpath("string(//D:responsedescription)")
    assert [status for _, status, _ in told(post(u2, question("mailto:u1@example.org")))] == ["2.0;Success"]


def test_xml_in_the_body_is_no_way_in(u2: Client) -> None:
    body = question(f"mailto:<x {DECLARATIONS}/>@example.org", ';CN="]]>&amp;":mailto:u1@example.org')
    assert [status for _, status, _ in told(post(u2, body))] == ["3.7;Invalid calendar user", "2.0;Success"]
