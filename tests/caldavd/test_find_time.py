"""Finding a time over HTTP: the worked example, who may learn what, rooms, what cannot be asked, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from caldavd import provision
from caldavd.access import READ, Access
from caldavd.finding import finder_of, readable
from config.settings import FindTime, Provisioning, Rooms
from scheduling.finding.finder import Finder
from scheduling.finding.slots import Candidate, Ranking, Settings, Wish
from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index_redis import RedisIndex
from storage.rows import Ace, Booking, BookingPolicy, PrincipalKind
from storage.store import Transaction
from tests.caldavd.client import Answer, Client
from tests.caldavd.meeting_world import (
    MONDAY,
    NOW,
    ZONES,
    MeetingWorld,
    ask,
    at,
    attendee,
    calendar,
    invited,
    meeting,
    question,
    utc,
)
from tests.caldavd.sharing import grant, principal, set_aces, statements
from tests.scheduling.freebusy.redis_servers import Server
from tests.storage.databases import KINDS, Databases

DOCUMENT = Path(__file__).parents[2] / "docs" / "find-time.md"
NS = {"F": "urn:caldavd:ns", "D": "DAV:"}
ROOM = "<F:room/>"
FREEBUSY = "{urn:ietf:params:xml:ns:caldav}schedule-query-freebusy"
INVITE = "{urn:ietf:params:xml:ns:caldav}schedule-deliver-invite"
#: As the example: half hours, and what was answered in eight weeks.
SETTINGS = FindTime(learn_weeks=8, step_minutes=30)


def finder(**settings: object) -> Finder:
    return finder_of(SETTINGS.model_copy(update=settings), Rooms())


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeetingWorld]:
    """The worked example; tests do not change it."""
    world = MeetingWorld(tmp_path_factory.mktemp("example") / "caldavd.db")
    world.fill()
    yield world
    world.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MeetingWorld]:
    """The same people without any appointments."""
    made = MeetingWorld(tmp_path / "caldavd.db")
    yield made
    made.store.close()


def found(answer: Answer, path: str) -> list[Any]:
    """What an XPath finds in an answer."""
    result = answer.xml.xpath(path, namespaces=NS)
    assert isinstance(result, list)
    return result


def asked(world: MeetingWorld, body: str, name: str = "olga", **settings: object) -> Answer:
    answer = ask(world.application(finder=finder(**settings)), name, body)
    assert answer.status == 200, answer.body
    return answer


def starts(answer: Answer, element: str = "slot") -> list[str]:
    return [str(one) for one in found(answer, f"F:{element}/@start")]


def texts(answer: Answer, path: str) -> list[str]:
    return [str(one) for one in found(answer, f"{path}/text()")]


class TestTheWorkedExample:
    """Section 5 of the system's design; the order of its suggestions, and its reasons."""

    ORDER = (at(1, "09:00"), at(3, "09:30"), at(0, "10:30"), at(2, "11:00"), at(4, "10:00"))
    FOUR = tuple(attendee(name) for name in ("alice", "bob", "carol", "dave"))

    def test_the_order(self, example: MeetingWorld) -> None:
        body = question(*self.FOUR, attendee("olga"), attendee("admin", "NON-PARTICIPANT"), ROOM)
        answer = asked(example, body, "admin")
        assert starts(answer) == [utc(one) for one in self.ORDER]
        scores = [float(one) for one in found(answer, "F:slot/@score")]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 5
        tuesday, _, _, wednesday, friday = (texts(answer, f"F:slot[{number}]/F:reason") for number in range(1, 6))
        assert {"at a time that everybody likes", "Boardroom is free"} <= set(tuesday)
        assert "no suitable room is free" in wednesday
        assert any("seldom takes meetings on Friday mornings" in why for why in friday)
        assert texts(answer, "F:slot[1]/F:room/D:href") == ["mailto:boardroom@example.org"]
        assert texts(answer, "F:slot[4]/F:room/D:href") == []

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sqlite"])
    def test_the_order_on_other_databases(self, databases: Databases, kind: str) -> None:
        world = MeetingWorld(databases.url(kind))
        world.fill()
        body = question(*self.FOUR, attendee("olga"), attendee("admin", "NON-PARTICIPANT"), ROOM)
        assert starts(asked(world, body, "admin")) == [utc(one) for one in self.ORDER]
        world.store.close()

    def test_as_the_organizer_asks_who_comes_as_well(self, example: MeetingWorld) -> None:
        """The first four are the same; of the habits of others only a coarse idea is in the score, and no name."""
        answer = asked(example, question(*self.FOUR, ROOM))
        assert starts(answer)[:4] == [utc(one) for one in self.ORDER[:4]]
        assert not any("seldom" in why for why in texts(answer, "//F:reason"))

    def test_the_example_of_the_document(self, example: MeetingWorld) -> None:
        body, shown = re.findall(r"```xml\n(.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL)
        answer = ask(example.application(finder=finder()), "olga", body)
        assert answer.status == 200, answer.body
        promised = etree.fromstring(shown.encode())
        assert etree.QName(promised) == etree.QName(answer.xml)
        first, slot = promised[0], answer.xml[0]
        assert (first.get("start"), first.get("end")) == (slot.get("start"), slot.get("end"))
        assert {one.tag for one in first.iter()} <= {one.tag for one in slot.iter()}
        assert {one.text for one in promised.iter("{urn:caldavd:ns}reason")} <= set(texts(answer, "F:slot[1]/F:reason"))
        assert len(starts(answer)) == 2

    def test_nothing_of_others_is_told_but_when_they_are_busy(self, example: MeetingWorld) -> None:
        answer = asked(example, question(*self.FOUR, ROOM), max_slots=20)
        assert b"Secret" not in answer.body
        assert b"plan" not in answer.body
        assert b"elsewhere" not in answer.body

    @pytest.mark.parametrize("learn", ["nothing", "free-busy"])
    def test_what_is_learned_is_a_setting(self, example: MeetingWorld, learn: str) -> None:
        body = question(*self.FOUR, attendee("olga"), attendee("admin", "NON-PARTICIPANT"), ROOM)
        answer = asked(example, body, "admin", learn=learn)
        assert not any("seldom" in why for why in texts(answer, "//F:reason")), "nobody is known to have declined"
        liked = any("everybody likes" in why for why in texts(answer, "//F:reason"))
        assert liked is (learn == "free-busy")


# --- what may be learned ---------------------------------------------------------------------------------------------


def friday_decliner(world: MeetingWorld) -> None:
    for week in range(1, 9):
        for day in range(5):
            start = at(day, "09:30", week=-week)
            lines = invited("bob", "DECLINED" if day == 4 else "ACCEPTED")
            world.put("bob", f"p{week}{day}", meeting(f"p{week}{day}", start, start + timedelta(hours=1), *lines))


def test_habits_are_said_with_a_name_where_the_asker_may_read(world: MeetingWorld) -> None:
    friday_decliner(world)
    friday = question(attendee("bob"), start=at(4, "06:00"), days=0.25)
    before = asked(world, friday)
    assert not any("Bob" in why for why in texts(before, "//F:reason"))
    assert any("not when everybody is in the habit of meeting" in why for why in texts(before, "//F:reason"))
    for path in ("calendar", "tasks"):
        grant(world.store, f"bob/{path}", "olga", [READ])
    after = asked(world, friday)  # nine o'clock is noon where Bob is
    assert any("Bob seldom takes meetings on Friday afternoons" in why for why in texts(after, "//F:reason"))


def test_who_is_busy_is_all_that_an_answer_about_a_habit_depends_on(world: MeetingWorld) -> None:
    """With "free-busy" an invitation that was declined makes no difference at all."""
    body = question(attendee("bob"), start=at(4, "06:00"), days=0.25)
    before = asked(world, body, learn="free-busy").body
    start = at(4, "09:30", week=-1)
    world.put("bob", "d", meeting("d", start, start + timedelta(hours=1), *invited("bob", "DECLINED")))
    assert asked(world, body, learn="free-busy").body == before


def test_where_somebody_is_counts_only_if_the_asker_may_read_it(world: MeetingWorld) -> None:
    world.put("bob", "far", meeting("far", at(1, "09:00"), at(1, "10:00"), "LOCATION:Harbour"))
    body = question(attendee("bob"), "<F:location>Castle</F:location>", start=at(1, "10:00"), days=0.0209)
    server = world.application(finder=finder(travel_minutes={"Harbour <> Castle": 30}, learn="nothing"))
    blind = ask(server, "olga", body)
    assert starts(blind) == [utc(at(1, "10:00"))]
    assert not any("get there" in why for why in texts(blind, "//F:reason"))
    assert b"Harbour" not in blind.body
    for path in ("calendar", "tasks"):
        grant(world.store, f"bob/{path}", "olga", [READ])
    told = ask(server, "olga", body)
    assert "too little time for Bob to get there" in texts(told, "//F:reason")
    mine = ask(server, "bob", body.replace("bob@", "olga@"))
    assert "too little time for Bob to get there" in texts(mine, "//F:reason"), "and of the asker's own calendars"


def test_what_may_be_read_is_asked_of_the_home_and_of_each_calendar(world: MeetingWorld) -> None:
    bob = Client(world.application(), "bob")
    assert bob.request("MKCALENDAR", "/calendars/bob/closed/").status == 201
    olga, home = principal(world.store, "olga"), principal(world.store, "bob").home_id

    def read() -> set[str]:
        def work(tx: Transaction) -> set[str]:
            may_read = readable(tx, Access(tx, olga))([home, olga.home_id])
            return {one.name for one in tx.collections.of_home(home) if one.id in may_read}

        return world.store.run(work, write=False)

    assert read() == set()
    set_aces(world.store, "bob", Ace("principal", grant=True, privileges=(READ,), principal_id=olga.id))
    set_aces(world.store, "bob/closed", Ace("principal", grant=False, privileges=(READ,), principal_id=olga.id))
    assert read() == {"calendar", "tasks"}


def test_by_positions(world: MeetingWorld) -> None:
    world.put("olga", "far", meeting("far", at(1, "09:00"), at(1, "10:00"), "LOCATION:Potsdam", "GEO:52.39;13.065"))
    body = question('<F:location geo="52.52;13.405">Berlin</F:location>', start=at(1, "10:30"), days=0.0209)
    assert "too little time for Olga to get there" in texts(asked(world, body), "//F:reason")
    assert "time enough to get there" in texts(asked(world, body, kilometres_an_hour=1000), "//F:reason")


def test_who_does_not_let_the_asker_ask_is_unknown(world: MeetingWorld) -> None:
    world.put("bob", "all", meeting("all", MONDAY, MONDAY + timedelta(days=5)))
    body = question(attendee("bob"), attendee("nobody"))
    assert starts(asked(world, body, beyond_hours=False)) == []
    set_aces(world.store, "bob/inbox", Ace("authenticated", grant=False, privileges=(FREEBUSY,)))
    answer = asked(world, body)
    assert len(starts(answer)) == 5
    assert texts(answer, "F:unknown/D:href") == ["mailto:nobody@example.org", "mailto:bob@example.org"]
    assert texts(answer, "F:unknown/F:reason")[1] == "You may not ask when they are busy."
    assert not any("Bob" in why for why in texts(answer, "F:slot/F:reason"))


def test_an_outbox_is_used_by_its_owner(world: MeetingWorld) -> None:
    application = world.application()
    client = Client(application, "bob")
    answer = client.request("POST", "/calendars/olga/outbox/", question(), Content_Type="application/xml")
    assert answer.status == 404
    set_aces(
        world.store,
        "olga/outbox",
        Ace("principal", grant=True, privileges=("{DAV:}all",), principal_id=principal(world.store, "bob").id),
    )
    world.put("olga", "far", meeting("far", at(1, "09:00"), at(1, "10:00"), "LOCATION:Harbour"))
    body = question("<F:location>Castle</F:location>", start=at(1, "10:00"), days=0.0209)
    slow = world.application(finder=finder(travel_minutes={"Harbour <> Castle": 30}))
    answer = Client(slow, "bob").request("POST", "/calendars/olga/outbox/", body, Content_Type="text/xml")
    assert answer.status == 200, answer.body
    assert not any("get there" in why for why in texts(answer, "//F:reason")), "it is bob who reads the answer"


# --- who comes -------------------------------------------------------------------------------------------------------


def test_roles(world: MeetingWorld) -> None:
    morning = partial(question, start=at(1, "09:00"), days=0.125)
    world.put("bob", "b", meeting("b", at(1, "09:00"), at(1, "11:30")))
    answer = asked(world, morning(attendee("bob", "OPT-PARTICIPANT"), attendee("olga", "opt-participant")))
    assert starts(answer)[0] == utc(at(1, "11:30"))
    assert len(starts(answer)) == 5
    assert texts(answer, "F:slot[2]/F:absent/D:href") == ["mailto:bob@example.org"]
    assert "without Bob" in texts(answer, "F:slot[2]/F:reason")
    world.put("olga", "o", meeting("o", at(1, "11:30"), at(1, "12:00")))
    needed = asked(world, morning(attendee("bob")), beyond_hours=False)
    assert starts(needed) == []
    without = morning(attendee("bob"), attendee("olga", "NON-PARTICIPANT"))
    assert starts(asked(world, without)) == [utc(at(1, "11:30"))]


def test_a_group_is_who_is_in_it(world: MeetingWorld) -> None:
    def make(tx: Transaction) -> None:
        for name, members in (("inner", ["carol"]), ("team", ["bob", "inner"])):
            new = provision.NewPrincipal(
                name=name, kind=PrincipalKind.GROUP, addresses=(f"mailto:{name}@example.org",), displayname=name
            )
            made = provision.create(tx, new, Provisioning())
            found = tx.principals.by_names(members)
            tx.principals.set_members(made.id, [one.id for one in found.values()])

    world.store.run(make, write=True)
    world.put("carol", "c", meeting("c", MONDAY, MONDAY + timedelta(days=5)))
    answer = asked(world, question(attendee("team")))
    assert starts(answer) == []
    assert {why for why in texts(answer, "F:alternative/F:reason") if "busy" in why} == {"only Carol is busy"}
    assert texts(answer, "F:alternative[1]/F:busy/D:href") == ["mailto:carol@example.org"]


def test_the_meeting_that_is_moved_is_not_in_the_way(world: MeetingWorld) -> None:
    world.put("bob", "m", meeting("m", at(1, "09:00"), at(1, "10:00")))
    hour = partial(question, start=at(1, "09:00"), days=1 / 24)
    assert starts(asked(world, hour(attendee("bob")))) == []
    moved = hour(attendee("bob"), "<F:masked-uid>m</F:masked-uid>")
    assert starts(asked(world, moved)) == [utc(at(1, "09:00")), utc(at(1, "09:30"))]


def test_nobody_is_free_and_who_is_to_blame(world: MeetingWorld) -> None:
    world.put("bob", "b", meeting("b", at(1, "09:00"), at(1, "10:00")))
    world.put("carol", "c", meeting("c", at(1, "10:00"), at(1, "11:00")))
    world.put("dave", "d", meeting("d", at(1, "10:00"), at(1, "11:00")))
    body = question(*map(attendee, ("bob", "carol", "dave")), start=at(1, "09:00"), days=2 / 24, duration="PT1H")
    for name in ("bob", "carol", "dave", "olga"):
        world.state(name, calendar("UID:h", "DTSTAMP:20260101T000000Z", kind="VAVAILABILITY"))
    answer = asked(world, body)
    assert starts(answer) == []
    first, second = (texts(answer, f"F:alternative[{number}]/F:reason")[0] for number in (1, 2))
    assert (first, second) == ("only Bob is busy", "Carol and Dave are busy")
    assert starts(answer, "alternative") == [utc(at(1, "09:00")), utc(at(1, "10:00"))]


# --- rooms -----------------------------------------------------------------------------------------------------------


def rule(world: MeetingWorld, **said: object) -> None:
    id_ = principal(world.store, "boardroom").id
    booking = Booking(principal_id=id_, **said)  # type: ignore[arg-type]
    world.store.run(lambda tx: tx.bookings.set(booking), write=True)


NAMED = "<F:room><D:href>mailto:boardroom@example.org</D:href></F:room>"


@pytest.mark.parametrize(
    ("said", "inner", "rooms"),
    [
        ({"capacity": 6}, ROOM, 5),
        ({}, ROOM, 5),
        ({"capacity": 6}, "<F:capacity>7</F:capacity>", 0),
        ({}, "<F:capacity>7</F:capacity>", 0),
        ({"equipment": ("screen",)}, "<F:equipment>screen</F:equipment>", 5),
        ({}, "<F:equipment>screen</F:equipment>", 0),
        ({"policy": BookingPolicy.DECLINE}, ROOM, 0),
        ({"window_days": 1}, ROOM, 0),
    ],
)
def test_rooms_that_fit(world: MeetingWorld, said: dict[str, object], inner: str, rooms: int) -> None:
    rule(world, **said)
    answer = asked(world, question(attendee("bob"), inner, start=at(1, "00:00"), days=2))
    assert len(starts(answer)) == 5
    assert len(texts(answer, "F:slot/F:room/F:name")) == rooms
    needed = inner.replace("<F:room/>", '<F:room required="yes"/>')
    if needed != inner:
        assert len(starts(asked(world, question(needed, start=at(1, "00:00"), days=2)))) == rooms


def test_a_room_that_is_named_has_to_be_free(world: MeetingWorld) -> None:
    admin = Client(world.application(), "admin")
    text = meeting("taken", at(1, "06:00"), at(1, "16:00"))
    assert admin.put("/calendars/boardroom/calendar/taken.ics", text).status == 201
    answer = asked(world, question(NAMED, start=at(1, "00:00"), days=1))
    assert sorted(starts(answer)) == [utc(at(1, "16:00")), utc(at(1, "16:30"))]
    full = asked(world, question(NAMED, start=at(1, "09:00"), days=2 / 24))
    assert starts(full) == []
    assert texts(full, "F:alternative[1]/F:reason")[0] == "no suitable room is free"


def test_a_room_that_the_asker_may_not_invite_is_not_offered(world: MeetingWorld) -> None:
    set_aces(world.store, "boardroom/inbox", Ace("authenticated", grant=False, privileges=(INVITE,)))
    assert texts(asked(world, question(ROOM)), "//F:room") == []
    answer = ask(world.application(finder=finder()), "olga", question(NAMED))
    assert answer.conditions == ["valid-rooms"]
    assert "You cannot book Boardroom." in answer.body.decode()


def test_what_is_offered_can_be_booked(world: MeetingWorld) -> None:
    """Until nothing is offered any more: nobody, and no room, is ever taken twice."""
    rule(world, capacity=6)
    olga = Client(world.application(), "olga")
    body = question(attendee("alice"), NAMED, start=at(1, "09:00"), days=2 / 24)
    taken: list[str] = []
    while slots := starts(asked(world, body, beyond_hours=False)):
        uid = f"booked{len(taken)}"
        taken.append(slots[0])
        who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{name}@example.org|" for name in ("alice", "boardroom"))
        lines = (
            f"DTSTART:{slots[0]}",
            "DURATION:PT30M",
            "ORGANIZER:mailto:olga@example.org",
            *who.strip("|").split("|"),
        )
        text = calendar(f"UID:{uid}", "DTSTAMP:20260101T000000Z", "SUMMARY:Plan", *lines)
        assert olga.put(f"/calendars/olga/calendar/{uid}.ics", text).status == 201
        mine = olga.request("GET", f"/calendars/olga/calendar/{uid}.ics").body.decode().replace("\r\n ", "")
        (room,) = [line for line in mine.splitlines() if line.endswith(":mailto:boardroom@example.org")]
        assert "PARTSTAT=ACCEPTED" in room
    assert sorted(taken) == [utc(at(1, clock)) for clock in ("09:00", "09:30", "10:00", "10:30")]


# --- what cannot be asked --------------------------------------------------------------------------------------------


WHO = attendee("bob")


@pytest.mark.parametrize(
    ("body", "condition"),
    [
        ("<propfind xmlns='DAV:'/>", "valid-find-time"),
        (question("<F:rom/>"), "valid-find-time"),
        (question("<F:timezone>Mars/Base</F:timezone>"), "valid-find-time"),
        (question('<F:location geo="up">x</F:location>'), "valid-find-time"),
        (question("<F:step>PT5M</F:step><F:step>PT5M</F:step>"), "valid-find-time"),
        (question(duration="soon"), "valid-duration"),
        (question(duration="PT0S"), "valid-duration"),
        (question(duration="-PT30M"), "valid-duration"),
        (question(duration="P6D"), "valid-duration"),
        (question("<F:step>PT0S</F:step>"), "valid-duration"),
        (question("<F:step>P2D</F:step>"), "valid-duration"),
        (re.sub("<C:time-range[^>]*>", "", question(WHO)), "valid-window"),
        (question(days=93), "valid-window"),
        (question("<F:step>PT1M</F:step>", days=8), "valid-window"),
        (question(start=NOW - timedelta(days=9)), "valid-window"),
        (question(attendee("bob", "BOSS")), "valid-attendees"),
        (question("<F:attendee/>"), "valid-attendees"),
        (question(*(attendee(f"x{number}") for number in range(101))), "valid-attendees"),
        (question(attendee("olga", "NON-PARTICIPANT")), "valid-attendees"),
        (question("<F:capacity>many</F:capacity>"), "valid-rooms"),
        (question("<F:capacity>0</F:capacity>"), "valid-rooms"),
        (question("<F:room><D:href>mailto:alice@example.org</D:href></F:room>"), "valid-rooms"),
        (question("<F:room><D:href>mailto:nowhere@example.org</D:href></F:room>"), "valid-rooms"),
        (question(NAMED * 101), "valid-rooms"),
        (question("<D:limit><D:nresults>21</D:nresults></D:limit>"), "valid-number"),
        (question("<D:limit><D:nresults>0</D:nresults></D:limit>"), "valid-number"),
        (question("<D:limit><D:nresults>-1</D:nresults></D:limit>"), "valid-number"),
    ],
)
def test_what_cannot_be_asked(example: MeetingWorld, body: str, condition: str) -> None:
    answer = ask(example.application(finder=finder()), "olga", body)
    assert (answer.status, answer.conditions) == (403, [condition])
    assert answer.xml[0].tag == f"{{urn:caldavd:ns}}{condition}"
    assert len(answer.xpath("string(//D:responsedescription)")) > 20


@pytest.mark.parametrize("body", ["", "<", "<a>" * 100 + "</a>" * 100])
def test_what_is_no_xml(example: MeetingWorld, body: str) -> None:
    assert ask(example.application(), "olga", body).status == 400


def test_a_range_that_ends_before_it_begins(example: MeetingWorld) -> None:
    answer = ask(example.application(), "olga", question(days=-1))
    assert answer.status == 403
    assert len(answer.xpath("string(//D:responsedescription)")) > 20


def test_the_documents_preconditions_are_those_of_the_server(example: MeetingWorld) -> None:
    from caldavd import errors

    named = set(re.findall(r"`(valid-[a-z-]+)`", DOCUMENT.read_text("utf-8")))
    assert named == {one.local for one in errors.CONDITIONS.values() if one.name.startswith("{urn:caldavd:ns}")}


def test_the_past_is_not_offered(world: MeetingWorld) -> None:
    answer = asked(world, question(start=NOW - timedelta(days=1), days=1.5, duration="PT1H"), working_hours="")
    assert min(starts(answer)) >= utc(NOW)


def test_somebody_with_too_much_is_named(world: MeetingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduling.freebusy.busy.STEPS_OF_ONE", 1)
    for number in range(3):
        world.put("bob", f"x{number}", meeting(f"x{number}", MONDAY, MONDAY + timedelta(hours=1)))
    answer = ask(world.application(finder=finder()), "olga", question(WHO))
    assert (answer.status, answer.conditions) == (403, ["valid-window"])
    assert "Bob has too much in that time for an answer" in answer.body.decode()


# --- another ranker, and what it costs -------------------------------------------------------------------------------


def latest(candidate: Candidate, wish: Wish, settings: Settings) -> Ranking:
    """A toy of a plug-in."""
    assert settings.weights.hours > 0
    return Ranking((candidate.start - wish.start) / (wish.end - wish.start), ("the later the better",))


def test_a_ranker_of_somebody_else(world: MeetingWorld) -> None:
    answer = asked(world, question(start=at(1, "00:00"), days=1), ranker=f"{__name__}:latest")
    assert starts(answer)[0] == utc(at(1, "16:30"))
    assert texts(answer, "F:slot[1]/F:reason") == ["the later the better"]


@pytest.mark.parametrize(
    "name", ["nowhere:rank", "scheduling.finding.ranking:nothing", "scheduling.finding.ranking:_BAD"]
)
def test_a_ranker_that_there_is_not(name: str) -> None:
    with pytest.raises(ValueError, match="ranker"):
        finder(ranker=name)


def many(world: MeetingWorld, number: int) -> list[str]:
    names = [f"p{at}" for at in range(number)]

    def make(tx: Transaction) -> None:
        for name in names:
            address = f"mailto:{name}@example.org"
            new = provision.NewPrincipal(name=name, addresses=(address,), timezone="Europe/Berlin", schedules=True)
            provision.create(tx, new, Provisioning())

    world.store.run(make, write=True)
    for at_, name in enumerate(names):
        world.put(name, "m", meeting(f"m{name}", at(at_ % 5, "09:00"), at(at_ % 5, "09:15"), "RRULE:FREQ=WEEKLY"))
    return names


def test_fifty_people_cost_no_more_statements_than_five(world: MeetingWorld, tmp_path: Path) -> None:
    """With a month, rooms and places. Two questions to the index, and once more to fill it where it was empty."""
    names = many(world, 50)
    seen: dict[int, list[str]] = {}
    inner = (ROOM, "<F:location>Castle</F:location>")
    with Server(tmp_path) as server, closing(RedisIndex(server.url, timeout=2)) as index:
        application = world.application(finder=finder(learn_weeks=4), freebusy=FreeBusy(index))
        for number in (50, 5):
            body = question(*(attendee(name) for name in names[:number]), *inner, days=28)
            for trips in (3, 2) if number == 50 else (2,):
                before = index.round_trips
                with statements() as run:
                    answer = ask(application, "olga", body)
                assert answer.status == 200, answer.body
                assert len(starts(answer)) == 5
                assert index.round_trips - before == trips
                assert len(run) <= STATEMENTS, run
                seen[number] = run
    assert len(seen[50]) == len(seen[5]) == STATEMENTS - 1, "what the index did not know is not read again"
    objects = [one for one in seen[50] if "FROM objects" in one]
    assert sum("objects.body" in one for one in objects) <= 1, "where the asker may read, for places"


#: The login and the outbox 2; people, their calendars, ACEs of their inboxes and what the index does not know 4; rooms
#: 2, ACEs of their inboxes and their rules 2; what may be read 2; habits 1; places 1.
STATEMENTS = 14


def test_no_home_is_locked(world: MeetingWorld) -> None:
    with statements() as run:
        asked(world, question())
    assert not any(one.startswith(("UPDATE", "INSERT", "DELETE")) for one in run)


def test_the_answer_does_not_depend_on_the_index(example: MeetingWorld) -> None:
    body = question(*(attendee(name) for name in ZONES), attendee("admin", "NON-PARTICIPANT"), ROOM, days=21)
    cold = FreeBusy()
    warm = example.application(finder=finder(), freebusy=cold)
    first = ask(warm, "admin", body)
    assert len(starts(first)) == 5
    assert ask(warm, "admin", body).body == first.body
    beyond = replace(cold, days_back=0, days_ahead=0)
    assert ask(example.application(finder=finder(), freebusy=beyond), "admin", body).body == first.body
