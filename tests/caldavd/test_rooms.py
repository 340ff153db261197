"""Rooms over HTTP: what stands in everybody's copy when the PUT has returned, who is let in, and why (scheduling log).

The rules one by one are in ``tests/scheduling/rooms/test_rules.py``, many bookings at once in ``test_room_booking.py``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from caldavd import provision
from caldavd.app import Application
from caldavd.cli import room_rules
from caldavd.cli.room_rules import Said
from caldavd.schedulers import scheduler_of
from config.settings import Provisioning, Settings
from scheduling import itip
from scheduling.delivery import second_chances
from scheduling.delivery.running import run_locked
from scheduling.delivery.scheduler import Scheduler, scheduled_row
from scheduling.mail.posting import MAIL, Postbox, decoded
from scheduling.rooms.bookings import Defaults
from storage.rows import Beyond, BookingPolicy, JournalEntry, PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import Client
from tests.caldavd.sharing import statements

#: A Monday in some weeks, 10:00 UTC.
MONDAY = (datetime.now(UTC) + timedelta(days=60)).replace(hour=10, minute=0, second=0, microsecond=0)
MONDAY -= timedelta(days=MONDAY.weekday())


def at(*, days: int = 0, hours: float = 0) -> str:
    return (MONDAY + timedelta(days=days, hours=hours)).strftime("%Y%m%dT%H%M%SZ")


def meeting(
    *lines: str, organizer: str = "u1", uid: str = "m", start: str = "", to: Sequence[str] = ("room1",), more: str = ""
) -> str:
    """An event of one hour; ``more`` are further components."""
    who = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{name}@example.org\r\n" for name in to)
    extra = "".join(f"{line}\r\n" for line in lines)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start or at()}\r\nDURATION:PT1H\r\nSUMMARY:Secret plan\r\n"
        f"ORGANIZER:mailto:{organizer}@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}@example.org\r\n"
        f"{who}{extra}END:VEVENT\r\n{more}END:VCALENDAR\r\n"
    )


class House:
    """The server with ``room1`` and ``room2``, and short ways to book and to look."""

    def __init__(self, application: Application, store: Store) -> None:
        self.application = application
        self.store = store

    def client(self, name: str) -> Client:
        return Client(self.application, name)

    def rules(self, **defaults: object) -> None:
        scheduler = Scheduler(rooms=Defaults(**defaults))  # type: ignore[arg-type]
        self.application = replace(self.application, scheduler=scheduler)

    def set(self, room: str, **said: object) -> None:
        def work(tx: Transaction) -> None:
            tx.homes.lock_of([room])
            principal = tx.principals.by_name(room)
            assert principal is not None
            room_rules.apply(tx, principal, Said(**said))  # type: ignore[arg-type]

        self.store.run(work, write=True)

    def put(self, text: str, *, user: str = "u1", name: str = "m", **headers: str) -> str:
        """Books, and returns the organizer's copy, unfolded."""
        path = f"/calendars/{user}/calendar/{name}.ics"
        answer = self.client(user).put(path, text, **headers)
        assert answer.status in (201, 204), answer.body
        return self.get(path, user)

    def get(self, path: str, user: str) -> str:
        return self.client(user).request("GET", path).body.decode().replace("\r\n ", "")

    def copies(self, owner: str, collection: str = "calendar") -> list[str]:
        """The texts in somebody's calendar, unfolded, as the administrator sees them."""
        path = f"/calendars/{owner}/{collection}/"
        hrefs = self.client("admin").propfind(path, "<D:getetag/>", depth=1).hrefs
        return [self.get(href, "admin") for href in hrefs if href != path]

    def log(self, uid: str = "m") -> list[JournalEntry]:
        return [entry for _, entry in self.store.run(lambda tx: tx.journal.of_uid(uid, limit=1000), write=False)]

    def why(self, room: str, uid: str = "m") -> str:
        """What the log says last of the room's own answer."""
        said = [entry.reason for entry in self.log(uid) if entry.actor == f"mailto:{room}@example.org"]
        return said[-1]


@pytest.fixture
def house(application: Application, store: Store) -> House:
    def work(tx: Transaction) -> None:
        new = provision.NewPrincipal(
            name="room2", kind=PrincipalKind.ROOM, addresses=("mailto:room2@example.org",), schedules=True
        )
        provision.create(tx, new, Provisioning())

    store.run(work, write=True)
    return House(application, store)


def answers(text: str, room: str = "room1") -> dict[str, str]:
    """The room's PARTSTAT and SCHEDULE-STATUS by RECURRENCE-ID ("" for the series)."""
    found = {}
    for component in text.split("BEGIN:VEVENT")[1:]:
        rid = re.search(r"^RECURRENCE-ID[^:]*:(.*)$", component.replace("\r", ""), re.MULTILINE)
        line = re.search(rf"^ATTENDEE([^:]*):mailto:{room}@", component, re.MULTILINE)
        if line is not None:
            params = dict(one.split("=") for one in line[1].strip(";").split(";"))
            found[rid[1] if rid else ""] = f"{params.get('PARTSTAT')} {params.get('SCHEDULE-STATUS')}"
    return found


YES, NO = "ACCEPTED 2.0", "DECLINED 2.0"


def test_each_instance_is_answered_by_itself(house: House) -> None:
    assert answers(house.put(meeting(start=at(days=7, hours=0.5)))) == {"": YES}
    series = meeting("RRULE:FREQ=WEEKLY;COUNT=3", organizer="u2", uid="s", to=("room1", "u3"))
    mine = house.put(series, user="u2", name="s")
    assert answers(mine) == {"": YES, at(days=7): NO}
    assert mine.count("X-CALENDARSERVER-ATTENDEE-COMMENT") == 1
    assert "Busy with another booking" in mine
    assert "Secret plan" in mine  # its own
    # The others hear of it once, with the room's answer in it, and read no comments.
    (theirs,) = house.copies("u3")
    assert {rid: said.split()[0] for rid, said in answers(theirs).items()} == {"": "ACCEPTED", at(days=7): "DECLINED"}
    assert "Busy with" not in theirs
    assert len(house.copies("u3", "inbox")) == 1
    assert house.copies("u2", "inbox") == []
    when = (MONDAY + timedelta(days=7)).strftime("%Y-%m-%d")
    assert re.fullmatch(
        rf"accepted 2 of 3 times; declined: busy with another booking on {when} 1\d:00-1\d:00 \(Europe/Berlin\)",
        house.why("room1", "s"),
    )
    assert not any("Secret" in entry.reason + entry.destination for entry in house.log("s"))


def test_the_same_again_changes_no_answer(house: House) -> None:
    house.put(meeting(start=at(days=7)))
    first = house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=3", organizer="u2", uid="s"), user="u2", name="s")
    (room_before,) = (text for text in house.copies("room1") if "UID:s" in text)
    entries = len(house.log("s"))
    # As it was sent first, and as it is stored; the slot that was taken is free meanwhile.
    assert house.client("u1").request("DELETE", "/calendars/u1/calendar/m.ics").status == 204
    for again in (first, meeting("RRULE:FREQ=WEEKLY;COUNT=3", organizer="u2", uid="s")):
        assert answers(house.put(again, user="u2", name="s")) == answers(first)
    assert house.copies("room1") == [room_before]
    assert len(house.log("s")) == entries


def test_a_change_is_answered_again(house: House) -> None:
    house.put(meeting(start=at(days=7)))
    first = house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=3", organizer="u2", uid="s"), user="u2", name="s")
    assert answers(first) == {"": YES, at(days=7): NO}
    # The other one gives the slot up: the next change of the series asks for it again.
    house.put(meeting(start=at(days=8)))
    changed = house.put(first.replace("SUMMARY:Secret plan", "SUMMARY:Another"), user="u2", name="s")
    assert {rid: said.split()[0] for rid, said in answers(changed).items()} == {"": "ACCEPTED", at(days=7): "ACCEPTED"}
    # One instance is moved to where the other one is now.
    moved = changed.replace(f"DTSTART:{at(days=7)}", f"DTSTART:{at(days=8, hours=0.5)}")
    assert answers(house.put(moved, user="u2", name="s"))[at(days=7)] == NO
    assert answers(house.put(meeting(start=at(days=7)))) == {"": YES}


def test_what_is_cancelled_is_free_again(house: House) -> None:
    series = meeting("RRULE:FREQ=WEEKLY;COUNT=3")
    house.put(series)
    assert answers(house.put(meeting(organizer="u2", uid="o", start=at(days=7)), user="u2", name="o")) == {"": NO}
    # One instance is taken out of the series,
    house.put(series.replace("COUNT=3\r\n", f"COUNT=3\r\nEXDATE:{at(days=7)}\r\n"))
    assert answers(house.put(meeting(organizer="u2", uid="p", start=at(days=7)), user="u2", name="p")) == {"": YES}
    # then the room,
    house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=3", to=("u3",)))
    assert answers(house.put(meeting(organizer="u2", uid="q"), user="u2", name="q")) == {"": YES}
    # then a booking by STATUS, another one by DELETE.
    house.put(meeting("STATUS:CANCELLED", organizer="u2", uid="q"), user="u2", name="q")
    assert house.client("u2").request("DELETE", "/calendars/u2/calendar/p.ics").status == 204
    whole = house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=3", organizer="u3", uid="w"), user="u3", name="w")
    assert answers(whole) == {"": YES}


def test_this_and_future(house: House) -> None:
    """A client shortens the series, then makes another one of the rest."""
    house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=4"))
    until = (MONDAY + timedelta(days=13)).strftime("%Y%m%dT%H%M%SZ")
    assert answers(house.put(meeting(f"RRULE:FREQ=WEEKLY;UNTIL={until}"))) == {"": YES}
    rest = meeting("RRULE:FREQ=WEEKLY;COUNT=2", uid="rest", start=at(days=14, hours=0.5))
    assert answers(house.put(rest, name="rest")) == {"": YES}


def test_the_rest_before_the_series_is_shortened(house: House) -> None:
    """Another client makes the rest first: it gets the room when the series lets go of it."""
    house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=4"))
    rest = meeting("RRULE:FREQ=WEEKLY;COUNT=2", uid="rest", start=at(days=14, hours=0.5), to=("room1", "u3"))
    assert answers(house.put(rest, name="rest")) == {"": NO}
    other = house.put(meeting(organizer="u2", uid="o", start=at(days=14, hours=-0.5)), user="u2", name="o")
    assert answers(other) == {"": NO}
    until = (MONDAY + timedelta(days=13)).strftime("%Y%m%dT%H%M%SZ")
    assert answers(house.put(meeting(f"RRULE:FREQ=WEEKLY;UNTIL={until}"))) == {"": YES}
    assert answers(house.get("/calendars/u1/calendar/rest.ics", "u1")) == {"": YES}
    (theirs,) = house.copies("u3")
    assert "ACCEPTED" in answers(theirs)[""]
    # It is the same organizer's, and nobody else's.
    assert answers(house.get("/calendars/u2/calendar/o.ics", "u2")) == {"": NO}
    assert any(entry.reason.startswith("The series before it has given the room free.") for entry in house.log("rest"))


def test_what_was_declined_long_ago_is_not_asked_for_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=4"))
    house.put(meeting(uid="rest", start=at(days=14)), name="rest")
    monkeypatch.setattr(second_chances, "RECENT", -1)
    house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=2"))
    assert answers(house.get("/calendars/u1/calendar/rest.ics", "u1")) == {"": NO}
    assert answers(house.put(meeting(organizer="u2", uid="o", start=at(days=14)), user="u2", name="o")) == {"": YES}


def test_one_room_for_another_in_one_change(house: House) -> None:
    house.put(meeting())
    text = house.put(meeting(to=("room2",)))
    assert answers(text, "room2") == {"": YES}
    assert house.copies("room1") == []
    assert answers(house.put(meeting(organizer="u2", uid="o"), user="u2", name="o")) == {"": YES}


def test_two_rooms_answer_each_by_itself(house: House) -> None:
    house.put(meeting())
    text = house.put(meeting(organizer="u2", uid="o", to=("room1", "room2", "u3")), user="u2", name="o")
    assert (answers(text, "room1"), answers(text, "room2")) == ({"": NO}, {"": YES})
    (theirs,) = house.copies("u3")
    assert "DECLINED" in answers(theirs, "room1")[""]
    assert "ACCEPTED" in answers(theirs, "room2")[""]
    assert len(house.copies("u3", "inbox")) == 1


def test_the_same_room_by_two_names(house: House) -> None:
    text = house.put(meeting("ATTENDEE:/principals/room1/", "ATTENDEE:MAILTO:Room1@Example.org"))
    lines = [line for line in text.splitlines() if "room1" in line.lower()]
    assert len(lines) == 3
    assert all("PARTSTAT=ACCEPTED" in line for line in lines)
    assert len(house.copies("room1")) == 1


def test_more_rooms_are_read_with_no_more_statements(house: House) -> None:
    counts = []
    for to in (("room1",), ("room1", "room2")):
        house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=3", uid="w", to=to), name="w")
        assert house.client("u1").request("DELETE", "/calendars/u1/calendar/w.ics").status == 204
        with statements() as seen:
            assert house.client("u1").put("/calendars/u1/calendar/n.ics", meeting(uid="n", to=to)).status == 201
        counts.append(sum(one.startswith("SELECT") for one in seen))
        assert house.client("u1").request("DELETE", "/calendars/u1/calendar/n.ics").status == 204
    assert counts[0] == counts[1]


def test_many_bookings_cost_no_more_statements_and_hardly_more_time(house: House, store: Store) -> None:
    def fill(tx: Transaction) -> None:
        tx.homes.lock_of(["room1"])
        found = tx.collections.find("room1", ("calendar",))
        assert found is not None
        bookings = []
        for number in range(1500):
            text = meeting(organizer="u3", uid=f"b{number}", start=at(hours=2 * number + 1))
            text = text.replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED")
            bookings.append((f"b{number}.ics", scheduled_row(text.encode(), "tag")))
        tx.objects.put_many(found.collection, bookings)

    store.run(fill, write=True)
    counts = {}
    series = "RRULE:FREQ=WEEKLY;COUNT=20"
    for room in ("room2", "room1"):
        with statements() as seen:
            begun = time.process_time()
            house.put(meeting(series, uid=room, to=(room,)), name=room)
            assert time.process_time() - begun < 2
        counts[room] = len(seen)
    assert counts["room1"] <= counts["room2"]
    # Every second hour is taken; the one before is free.
    assert answers(house.get("/calendars/u1/calendar/room1.ics", "u1")) == {"": YES}
    taken = house.put(meeting(series, uid="t", start=at(hours=1)), name="t")
    assert answers(taken)[""] == NO


# --- who, and by whom


def test_who_may_book(house: House) -> None:
    house.set("room1", booked_by=("staff",))  # u1 and u2
    assert answers(house.put(meeting())) == {"": YES}
    refused = house.put(meeting(organizer="u3", uid="o", start=at(days=1)), user="u3", name="o")
    assert answers(refused) == {"": "NEEDS-ACTION 3.8"}
    assert len(house.copies("room1")) == 1
    assert answers(house.put(meeting(organizer="admin", uid="a", start=at(days=2)), user="admin", name="a")) == {
        "": YES
    }
    house.set("room1", booked_by=("@all",))
    again = refused.replace("RSVP=TRUE", "SCHEDULE-FORCE-SEND=REQUEST;RSVP=TRUE")
    assert answers(house.put(again, user="u3", name="o")) == {"": YES}


def test_a_delegate_answers(house: House) -> None:
    house.set("room1", delegate="u3")
    asked = house.put(meeting("RRULE:FREQ=WEEKLY;COUNT=2"))
    assert answers(asked) == {"": "NEEDS-ACTION 1.2"}
    assert [text.split("METHOD:")[1].split("\r")[0] for text in house.copies("u3", "inbox")] == ["REQUEST"]
    assert "(u3 answers for it)" in " ".join(entry.reason for entry in house.log())
    # Somebody else asks for the same time: that is for the delegate as well.
    house.put(meeting(organizer="u2", uid="o"), user="u2", name="o")
    path = "/calendars/room1/calendar/"
    delegate = house.client("u3")
    hrefs = [href for href in delegate.propfind(path, "<D:getetag/>", depth=1).hrefs if href != path]
    (href,) = (one for one in hrefs if b"UID:m\r\n" in delegate.request("GET", one).body)
    text = house.get(href, "u3")
    mine = re.sub(r"ATTENDEE;PARTSTAT=NEEDS-ACTION(.*:mailto:room1@)", r"ATTENDEE;PARTSTAT=ACCEPTED\1", text)
    assert delegate.put(href, mine).status == 204
    assert answers(house.get("/calendars/u1/calendar/m.ics", "u1")) == {"": YES}
    # What was accepted is taken, and declined without anybody's doing.
    assert answers(house.put(meeting(organizer="u2", uid="p"), user="u2", name="p")) == {"": NO}
    # A change of the name is none of the time: the delegate is not asked again.
    text = house.get("/calendars/u1/calendar/m.ics", "u1")
    assert "ACCEPTED" in answers(house.put(text.replace("Secret", "Open")))[""]
    assert len(house.copies("u3", "inbox")) == 2


def test_a_delegate_need_not_ask_themselves(house: House) -> None:
    house.set("room1", delegate="u3")
    house.put(meeting(organizer="u2", uid="o"), user="u2", name="o")  # this one waits
    mine = house.put(meeting(organizer="u3", uid="d"), user="u3", name="d")
    assert answers(mine) == {"": YES}
    assert answers(house.put(meeting(organizer="u3", uid="e"), user="u3", name="e")) == {"": NO}


def test_a_group_answers(house: House) -> None:
    house.set("room1", delegate="staff")
    house.put(meeting(organizer="u3"), user="u3")
    assert "(staff answers for it)" in " ".join(entry.reason for entry in house.log())
    path = "/calendars/room1/calendar/"
    assert len(house.client("u2").propfind(path, "<D:getetag/>", depth=1).hrefs) == 2
    assert house.client("u3").propfind(path, "<D:getetag/>", depth=1).status == 404


def test_without_a_delegate_any_more_nobody_answers(house: House, store: Store) -> None:
    house.set("room1", delegate="u3")

    def work(tx: Transaction) -> None:
        found = tx.principals.by_name("u3")
        assert found is not None
        tx.homes.lock([found.home_id])
        tx.principals.remove(found.id)

    store.run(work, write=True)
    assert answers(house.put(meeting())) == {"": "NEEDS-ACTION 1.2"}


def test_nobody_answers_where_the_policy_is_none(house: House) -> None:
    house.set("room1", policy="none")
    assert answers(house.put(meeting())) == {"": "NEEDS-ACTION 1.2"}
    assert house.log()[-1].reason == "left to who keeps this calendar"


def test_administrators_are_bound_to_no_window(house: House) -> None:
    house.rules(window_days=10)
    refused = house.put(meeting(start=at(days=10)))
    assert answers(refused) == {"": NO}
    assert "It cannot be booked beyond" in refused
    theirs = house.put(meeting(organizer="admin", uid="a", start=at(days=10)), user="admin", name="a")
    assert answers(theirs) == {"": YES}


def test_a_room_has_hours(house: House) -> None:
    """VAVAILABILITY of its inbox (RFC 7953 7.2.4), as a person has it."""
    hours = (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VAVAILABILITY\nUID:h\nDTSTAMP:20260101T000000Z\n"
        "BEGIN:AVAILABLE\nUID:a\nDTSTAMP:20260101T000000Z\nDTSTART:20240101T080000Z\nDTEND:20240101T110000Z\n"
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TU\nEND:AVAILABLE\nEND:VAVAILABILITY\nEND:VCALENDAR\n"
    )
    said = f"<C:calendar-availability>{hours}</C:calendar-availability>"
    assert b"200 OK" in house.client("admin").proppatch("/calendars/room1/inbox/", set=said).body
    text = house.put(meeting("RRULE:FREQ=DAILY;COUNT=3"))
    assert answers(text) == {"": YES, at(days=2): NO}
    assert "Outside of its hours" in text
    house.set("room2", hours="Mon 00:00-24:00; Wed 00:00-24:00")
    second = house.put(meeting("RRULE:FREQ=DAILY;COUNT=3", organizer="u2", uid="o", to=("room2",)), user="u2", name="o")
    assert answers(second, "room2") == {"": YES, at(days=1): NO}


def test_a_series_without_an_end(house: House) -> None:
    assert answers(house.put(meeting("RRULE:FREQ=WEEKLY"))) == {"": NO}
    house.rules(beyond=Beyond.CUT, most_exceptions=3)
    text = house.put(meeting("RRULE:FREQ=WEEKLY", organizer="u2", uid="c"), user="u2", name="c")
    assert answers(text) == {"": NO, at(): YES, at(days=7): YES, at(days=14): YES}
    later = meeting(organizer="u3", uid="l", start=at(days=21))
    assert answers(house.put(later, user="u3", name="l")) == {"": YES}


def test_what_is_written_by_hand_is_not_asked_and_takes_the_time(house: House) -> None:
    admin = house.client("admin")
    house.put(meeting())
    by_hand = meeting(uid="h").replace("ORGANIZER", "X-NOT").replace("ATTENDEE", "X-NOT")
    for uid, start in (("h", at()), ("i", at(days=1))):
        text = by_hand.replace("UID:h", f"UID:{uid}").replace(at(), start)
        assert admin.put(f"/calendars/room1/calendar/{uid}.ics", text).status == 201
    note = (
        by_hand.replace("UID:h", "UID:n").replace(at(), at(days=2)).replace("SUMMARY", "TRANSP:TRANSPARENT\r\nSUMMARY")
    )
    assert admin.put("/calendars/room1/calendar/n.ics", note).status == 201
    for days, said in ((1, NO), (2, YES)):
        asked = meeting(organizer="u2", uid=f"o{days}", start=at(days=days))
        assert answers(house.put(asked, user="u2", name=f"o{days}")) == {"": said}


def test_a_room_that_organizes_is_busy_and_invites_others(house: House) -> None:
    admin = house.client("admin")
    text = meeting(organizer="room1", to=("u2", "room2"))
    assert admin.put("/calendars/room1/calendar/own.ics", text).status == 201
    assert answers(house.get("/calendars/room1/calendar/own.ics", "admin"), "room2") == {"": YES}
    assert len(house.copies("u2")) == 1
    assert answers(house.put(meeting(organizer="u3", uid="o"), user="u3", name="o")) == {"": NO}


def test_a_todo_is_declined(house: House) -> None:
    todo = meeting(uid="t").replace("VEVENT", "VTODO").replace("DURATION:PT1H\r\n", "")
    text = house.client("u1").put("/calendars/u1/tasks/t.ics", todo)
    assert text.status == 201
    stored = house.get("/calendars/u1/tasks/t.ics", "u1")
    assert "ACCEPTED" not in next(line for line in stored.splitlines() if "room1@" in line)


def test_the_settings_reach_the_rooms() -> None:
    said: dict[str, object] = {"policy": "accept", "beyond": "cut", "window_days": 7, "check_capacity": True}
    scheduler = scheduler_of(Settings.model_validate({"rooms": said}), None)
    assert scheduler.rooms == Defaults(
        policy=BookingPolicy.ACCEPT, beyond=Beyond.CUT, window_days=7, check_capacity=True
    )  # fmt: skip
    assert scheduler_of(Settings(), None).rooms == Defaults()


# --- from elsewhere


def test_who_invites_from_outside_gets_the_answer_by_mail(house: House, store: Store) -> None:
    house.put(meeting(start=at(days=7)))
    request = meeting("RRULE:FREQ=WEEKLY;COUNT=2", organizer="eve", uid="x").replace("example.org", "elsewhere.example")
    request = request.replace("room1@elsewhere.example", "room1@example.org")
    request = request.replace("VERSION:2.0", "METHOD:REQUEST\r\nVERSION:2.0")
    scheduler = Scheduler(Postbox())

    def receive(tx: Transaction, held: frozenset[str]) -> None:
        message = itip.received(
            request.encode(),
            sender="mailto:eve@elsewhere.example",
            recipient="mailto:room1@example.org",
            now=datetime.now(UTC),
        )
        scheduler.receive(tx, message, held=held)

    run_locked(store, (), receive)
    jobs = store.run(lambda tx: list(tx.queue.lease(MAIL, limit=9, until=tx.now + 60)), write=True)
    (reply,) = (decoded(job.payload, job.text).message for job in jobs)
    text = reply.text.decode().replace("\r\n ", "")
    assert (reply.method, reply.recipient) == ("REPLY", "mailto:eve@elsewhere.example")
    assert text.count("PARTSTAT=ACCEPTED") == 1
    assert text.count("PARTSTAT=DECLINED") == 1
    assert "\r\nCOMMENT:Busy with another booking" in text
