"""A room is never booked twice: parallel bookings of one slot, over HTTP, on two server processes and each database.

Two people who invite each other at the same moment never end in an error either.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from conformance import server as throwaway
from tests.caldavd.client import basic
from tests.storage.databases import KINDS, Databases

PEOPLE = [f"user{number:02}" for number in range(1, 21)]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    found = Databases(tmp_path_factory.mktemp("databases"))
    yield found
    found.drop()


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest, databases: Databases) -> Iterator[int]:
    variables = {"CALDAVD_SCHEDULING__ENABLED": "true"}
    with throwaway.start(workers=2, database=databases.url(request.param), variables=variables) as running:
        yield int(urlsplit(running.url).port or 0)


def meeting(organizer: str, attendee: str, uid: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260310T120000Z\r\nDURATION:PT1H\r\n"
        f"ORGANIZER:mailto:{organizer}@example.com\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}@example.com\r\n"
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{attendee}@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def exchange(port: int, user: str, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Authorization": basic(user), "Content-Type": "text/calendar"})
        response = connection.getresponse()
        return response.status, response.read().decode().replace("\r\n ", "")
    finally:
        connection.close()


def book(port: int, user: str) -> str:
    """Books the room for the slot; the answer that stands in the organizer's own copy when the PUT has returned."""
    path = f"/calendars/{user}/calendar/room.ics"
    status, answer = exchange(port, user, "PUT", path, meeting(user, "location01", f"room-{user}"))
    assert status == 201, answer
    _, text = exchange(port, user, "GET", path)
    line = next(line for line in text.splitlines() if "location01@" in line)
    found = re.search(r"PARTSTAT=([A-Z-]+)", line)
    assert found is not None, line
    return found[1]


def test_exactly_one_booking_wins(port: int) -> None:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        answers = list(pool.map(lambda user: book(port, user), PEOPLE))
    assert sorted(answers) == ["ACCEPTED"] + ["DECLINED"] * (len(PEOPLE) - 1)


def test_people_who_invite_each_other_at_the_same_moment(port: int) -> None:
    pairs = [(one, other) for one, other in zip(PEOPLE[::2], PEOPLE[1::2], strict=True) for _ in range(2)]
    invitations = [pair if place % 2 else pair[::-1] for place, pair in enumerate(pairs)]

    def invite(names: tuple[str, str]) -> int:
        organizer, attendee = names
        path = f"/calendars/{organizer}/calendar/each-other.ics"
        return exchange(port, organizer, "PUT", path, meeting(organizer, attendee, f"by-{organizer}"))[0]

    with ThreadPoolExecutor(len(invitations)) as pool:
        assert set(pool.map(invite, invitations)) == {201}
