"""Where meetings are, by LOCATION and GEO."""

from __future__ import annotations

import pytest

from scheduling.finding.slots import Engagement, Place
from scheduling.finding.whereabouts import engagements, geo_in
from scheduling.ical.timezones import UTC
from tests.scheduling.freebusy.busy_world import HOUR, MONDAY, object_of

START = "DTSTART:20260302T090000Z"
APPLE = 'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE="Castle":geo:52.5,13.4'


def places(*lines: str, owner: frozenset[str] = frozenset()) -> list[Engagement]:
    body = object_of("x", START, "DURATION:PT1H", *lines)
    return list(engagements(body, MONDAY, MONDAY + 24 * HOUR, UTC, owner))


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (("LOCATION:Room 5\\, Castle",), Place("Room 5, Castle")),
        (("LOCATION:  Castle\\n Gate 3 ",), Place("Castle Gate 3")),
        (("GEO:52.5;13.4",), Place("", (52.5, 13.4))),
        (("LOCATION:Castle", "GEO:-52.5 ; +13.4"), Place("Castle", (-52.5, 13.4))),
        (("LOCATION:Castle", APPLE), Place("Castle", (52.5, 13.4))),
        (("LOCATION:Castle", "GEO:up"), Place("Castle")),
        (("LOCATION:Castle", "GEO:91;0"), Place("Castle")),
    ],
)
def test_where_it_is(lines: tuple[str, ...], place: Place) -> None:
    assert places(*lines) == [Engagement(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR, place)]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("LOCATION:",),
        ("GEO:nowhere",),
        ("LOCATION:Castle", "TRANSP:TRANSPARENT"),
        ("LOCATION:Castle", "STATUS:CANCELLED"),
        ("LOCATION:Castle", "ORGANIZER:mailto:b@x.org", "ATTENDEE;PARTSTAT=DECLINED:mailto:a@x.org"),
    ],
)
def test_nobody_is_anywhere(lines: tuple[str, ...]) -> None:
    assert places(*lines, owner=frozenset({"mailto:a@x.org"})) == []


def test_each_instance() -> None:
    body = object_of("x", START, "DURATION:PT1H", "LOCATION:Castle", "RRULE:FREQ=DAILY")
    found = list(engagements(body, MONDAY, MONDAY + 72 * HOUR, UTC, ()))
    assert [(one.start - MONDAY) // HOUR for one in found] == [9, 33, 57]


def test_what_costs_too_much_or_cannot_be_read_ends() -> None:
    body = object_of("x", START, "DURATION:PT1S", "LOCATION:Castle", "RRULE:FREQ=SECONDLY")
    assert len(list(engagements(body, MONDAY, MONDAY + 24 * HOUR * 30, UTC, ()))) <= 2_000
    assert list(engagements(b"LOCATION of nothing", MONDAY, MONDAY + 1, UTC, ())) == []


def test_a_position_in_words() -> None:
    assert geo_in("52.5;13.4") == (52.5, 13.4)
    assert geo_in(" -1 ; 0 ") == (-1.0, 0.0)
    for wrong in ("", "52.5", "52,5;13", "a;b", "0;181", "1e3;0", "٣;٤"):
        assert geo_in(wrong) is None
