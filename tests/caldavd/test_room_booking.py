"""A room is never booked twice: parallel bookings over HTTP, on two server processes and each database.

Single times, series that overlap partly, moves between rooms, cancellations between bookings; and two people who invite
each other at the same moment never end in an error either.
"""

from __future__ import annotations

import http.client
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event
from urllib.parse import urlsplit

import pytest

from conformance import server as throwaway
from tests.caldavd.client import DECLARATIONS, basic
from tests.storage.databases import KINDS, Databases

PEOPLE = [f"user{number:02}" for number in range(1, 21)]
#: When the rooms are wanted.
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
#: Instances of an hour, and of somebody: start, end, UID.
Taken = tuple[datetime, datetime, str]


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest, databases: Databases) -> Iterator[int]:
    variables = {"CALDAVD_SCHEDULING__ENABLED": "true"}
    with throwaway.start(workers=2, database=databases.url(request.param), variables=variables) as running:
        yield int(urlsplit(running.url).port or 0)


def meeting(organizer: str, attendee: str, uid: str, *, start: datetime = NOON, weeks: int = 1) -> str:
    """An event of one hour, at that time of ``weeks`` weeks."""
    rule = f"RRULE:FREQ=WEEKLY;COUNT={weeks}\r\n" if weeks > 1 else ""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start:%Y%m%dT%H%M%SZ}\r\nDURATION:PT1H\r\n{rule}"
        f"ORGANIZER:mailto:{organizer}@example.com\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}@example.com\r\n"
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{attendee}@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def exchange(port: int, user: str, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        usual = {"Authorization": basic(user), "Content-Type": "text/calendar"}
        connection.request(method, path, body, usual | headers)
        response = connection.getresponse()
        return response.status, response.read().decode().replace("\r\n ", "")
    finally:
        connection.close()


def book(port: int, user: str, uid: str, room: str, *, start: datetime = NOON, weeks: int = 1) -> str:
    """Books the room; the organizer's own copy when the PUT has returned."""
    path = f"/calendars/{user}/calendar/{uid}.ics"
    status, answer = exchange(port, user, "PUT", path, meeting(user, room, uid, start=start, weeks=weeks))
    assert status in (201, 204), answer
    status, text = exchange(port, user, "GET", path)
    assert status == 200, text
    return text


def answers(text: str, room: str) -> list[str]:
    """The room's PARTSTATs, that to the series first."""
    return re.findall(rf"ATTENDEE[^:]*PARTSTAT=([A-Z-]+)[^:]*:mailto:{room}@", text)


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def accepted(text: str, room: str) -> list[Taken]:
    """The instances that the room has accepted; series are weekly, without EXDATE."""
    uid = re.search(r"UID:(\S+)", text)
    assert uid is not None
    by_rid: dict[datetime, tuple[datetime, str]] = {}
    for component in text.split("BEGIN:VEVENT")[1:]:
        (partstat,) = answers(component, room)
        starts = re.search(r"DTSTART:(\w+)", component)
        assert starts is not None
        start = instant(starts[1])
        rid = re.search(r"RECURRENCE-ID:(\w+)", component)
        count = re.search(r"COUNT=(\d+)", component)
        if rid is not None:
            by_rid[instant(rid[1])] = start, partstat
        else:
            for week in range(int(count[1]) if count else 1):
                at = start + timedelta(weeks=week)
                by_rid.setdefault(at, (at, partstat))
    hour = timedelta(hours=1)
    return [(start, start + hour, uid[1]) for start, said in by_rid.values() if said == "ACCEPTED"]


def diary(port: int, room: str) -> list[str]:
    """All copies in the room's calendar, as one transaction sees them."""
    query = (
        f"<C:calendar-query {DECLARATIONS}><D:prop><C:calendar-data/></D:prop>"
        '<C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>'
    )
    status, answer = exchange(
        port, "admin", "REPORT", f"/calendars/{room}/calendar/", query, Depth="1", **{"Content-Type": "text/xml"}
    )
    assert status == 207, answer
    text = answer.replace("&#13;", "").replace("\r", "").replace("\n ", "")
    return re.findall(r"BEGIN:VCALENDAR.*?END:VCALENDAR", text, re.DOTALL)


def overlaps(taken: Sequence[Taken]) -> list[tuple[Taken, Taken]]:
    ordered = sorted(taken)
    return [(one, other) for one, other in pairwise(ordered) if other[0] < one[1]]


def taken_in(port: int, room: str) -> list[Taken]:
    return [one for text in diary(port, room) for one in accepted(text, room)]


def test_exactly_one_booking_wins(port: int) -> None:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        texts = list(pool.map(lambda user: book(port, user, f"room-{user}", "location01"), PEOPLE))
    said = [one for text in texts for one in answers(text, "location01")]
    assert sorted(said) == ["ACCEPTED"] + ["DECLINED"] * (len(PEOPLE) - 1)
    assert all("SCHEDULE-STATUS=2.0" in text for text in texts)
    assert len(taken_in(port, "location01")) == 1


def test_exactly_one_of_two_hundred_wins(port: int) -> None:
    bookings = [(user, f"many-{user}-{number}") for number in range(10) for user in PEOPLE]
    with ThreadPoolExecutor(len(bookings)) as pool:
        texts = list(pool.map(lambda one: book(port, one[0], one[1], "location02"), bookings))
    said = [one for text in texts for one in answers(text, "location02")]
    assert sorted(said) == ["ACCEPTED"] + ["DECLINED"] * (len(bookings) - 1)


def test_series_that_overlap_partly_share_the_room(port: int) -> None:
    """Each gets the weeks that are free when it comes; nothing that is free is declined."""
    room, begin = "location03", datetime(2026, 4, 6, 9, tzinfo=UTC)

    def when(place: int) -> datetime:
        return begin + timedelta(weeks=place % 4, minutes=30 * (place % 3))

    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        texts = list(
            pool.map(
                lambda one: book(port, one[1], f"series-{one[1]}", room, start=when(one[0]), weeks=5), enumerate(PEOPLE)
            )
        )
    taken = taken_in(port, room)
    assert overlaps(taken) == []
    assert sorted(taken) == sorted(one for text in texts for one in accepted(text, room))
    for place, text in enumerate(texts):
        mine = {start for start, _, _ in accepted(text, room)}
        for week in range(5):
            start = when(place) + timedelta(weeks=week)
            met = [one for one in taken if one[0] < start + timedelta(hours=1) and start < one[1]]
            assert met, f"{start} is free and was declined"
            assert (start in mine) is (met[0][2] == f"series-{PEOPLE[place]}")


def test_moves_between_rooms(port: int) -> None:
    rooms, weeks = ("location04", "location05"), 3

    def wander(user: str) -> None:
        chance = random.Random(user)
        for _ in range(4):
            start = datetime(2026, 5, 4, 9, tzinfo=UTC) + timedelta(hours=chance.randrange(3))
            book(port, user, f"moving-{user}", chance.choice(rooms), start=start, weeks=weeks)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(wander, PEOPLE[:8]))
    for room in rooms:
        assert overlaps(taken_in(port, room)) == []
    # Everybody is in one room at most, and each room has what the organizers see.
    for user in PEOPLE[:8]:
        _, text = exchange(port, user, "GET", f"/calendars/{user}/calendar/moving-{user}.ics")
        (room,) = {one for one in rooms if f"{one}@" in text}
        other = rooms[1 - rooms.index(room)]
        assert not any(f"UID:moving-{user}\n" in one for one in diary(port, other))
        mine = sorted(one for one in taken_in(port, room) if one[2] == f"moving-{user}")
        assert mine == sorted(accepted(text, room))


def test_at_no_time_is_the_room_taken_twice(port: int) -> None:
    """Bookings, changes and cancellations by many, while somebody looks at the room's calendar all the time."""
    room, begin = "location06", datetime(2026, 6, 1, 9, tzinfo=UTC)
    done = Event()

    def work(user: str) -> int:
        chance, booked = random.Random(user), 0
        for step in range(8):
            uid = f"mixed-{user}-{chance.randrange(2)}"
            if chance.random() < 0.3:
                status, answer = exchange(port, user, "DELETE", f"/calendars/{user}/calendar/{uid}.ics")
                assert status in (204, 404), (step, answer)
            else:
                start = begin + timedelta(minutes=30 * chance.randrange(6), weeks=chance.randrange(3))
                booked += "ACCEPTED" in answers(
                    book(port, user, uid, room, start=start, weeks=chance.choice((1, 4))), room
                )
        return booked

    def look() -> int:
        seen = 0
        while not done.is_set():
            assert overlaps(taken_in(port, room)) == []
            seen += 1
        return seen

    with ThreadPoolExecutor(13) as pool:
        watcher = pool.submit(look)
        try:
            booked = sum(pool.map(work, PEOPLE[:12]))
        finally:
            done.set()
        assert watcher.result() > 2
    assert booked > 10
    taken = taken_in(port, room)
    assert overlaps(taken) == []
    seen = []
    for user in PEOPLE[:12]:
        for number in range(2):
            status, text = exchange(port, user, "GET", f"/calendars/{user}/calendar/mixed-{user}-{number}.ics")
            seen += accepted(text, room) if status == 200 else []
    assert sorted(seen) == sorted(taken)


def test_people_who_invite_each_other_at_the_same_moment(port: int) -> None:
    pairs = [(one, other) for one, other in zip(PEOPLE[::2], PEOPLE[1::2], strict=True) for _ in range(2)]
    invitations = [pair if place % 2 else pair[::-1] for place, pair in enumerate(pairs)]

    def invite(names: tuple[str, str]) -> int:
        organizer, attendee = names
        path = f"/calendars/{organizer}/calendar/each-other.ics"
        return exchange(port, organizer, "PUT", path, meeting(organizer, attendee, f"by-{organizer}"))[0]

    with ThreadPoolExecutor(len(invitations)) as pool:
        assert set(pool.map(invite, invitations)) == {201}
