"""Requests that are made to be costly are refused, or answered, in little time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from caldavd.methods.proppatch import MAX_INSTRUCTIONS, MAX_STORED
from caldavd.router import MAX_SEGMENTS
from caldavd.xml.parse import MAX_ATTRIBUTES, MAX_ELEMENTS, MAX_PREFIXES
from tests.caldavd.client import DECLARATIONS, Client, event

CAL = "/calendars/u1/calendar/"
#: CPU seconds that no request of these tests comes near to; without the bounds each takes a minute and more.
SOON = 5


@pytest.fixture
def soon() -> Callable[[Callable[[], int]], int]:
    """Runs a request and returns its status; fails where it took long."""

    def run(request: Callable[[], int]) -> int:
        began = time.process_time()
        status = request()
        assert time.process_time() - began < SOON
        return status

    return run


def _propfind(inner: str) -> str:
    return f"<D:propfind {DECLARATIONS}><D:prop>{inner}</D:prop></D:propfind>"


BODIES = {
    "a document type that begins again and again": "<!DOCTYPE a [" + "<!ENTITY " * 500_000,
    "too many elements": _propfind("<a/>" * MAX_ELEMENTS),
    "too many attributes": _propfind("<a " + " ".join(f'b{n}=""' for n in range(MAX_ATTRIBUTES + 1)) + "/>"),
    "too many prefixes": _propfind("".join(f'<p{n}:a xmlns:p{n}="urn:{n}"/>' for n in range(MAX_PREFIXES + 1))),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_xml_beyond_the_bounds_is_refused(u1: Client, soon: Callable[[Callable[[], int]], int], body: str) -> None:
    assert soon(lambda: u1.request("PROPFIND", CAL, body, Depth="0").status) == 400


def test_a_propfind_of_many_names(u1: Client, soon: Callable[[Callable[[], int]], int]) -> None:
    u1.proppatch(CAL, set='<here xmlns="urn:x">1</here>')
    names = "".join(f'<X:n{number} xmlns:X="urn:x"/>' for number in range(40_000)) + '<here xmlns="urn:x"/>'
    answer = u1.propfind(CAL, names)
    assert answer.status == 207
    assert b">1</here>" in answer.body.replace(b"X:", b"")


def test_a_request_sets_so_many_properties(u1: Client) -> None:
    many = "".join(f'<n{number} xmlns="urn:x"/>' for number in range(MAX_INSTRUCTIONS + 1))
    assert u1.proppatch(CAL, set=many).status == 413


def test_a_resource_has_so_many_properties(u1: Client) -> None:
    first = "".join(f'<n{number} xmlns="urn:x"/>' for number in range(MAX_STORED - 10))
    assert u1.proppatch(CAL, set=first).status == 207
    second = "".join(f'<m{number} xmlns="urn:x"/>' for number in range(20))
    assert u1.proppatch(CAL, set=second).status == 507
    assert u1.propfind(CAL, '<m0 xmlns="urn:x"/>').status_of(CAL, "*[local-name()='m0']") == 404
    assert u1.proppatch(CAL, remove='<n0 xmlns="urn:x"/>').status == 207


def test_properties_have_so_many_bytes(u1: Client) -> None:
    assert u1.proppatch(CAL, set=f"<D:displayname>{'x' * (1 << 20)}</D:displayname>").status == 507


def test_a_path_has_so_many_segments(u1: Client, soon: Callable[[Callable[[], int]], int]) -> None:
    deep = "/calendars/u1/" + "a/" * MAX_SEGMENTS
    assert u1.request("PROPFIND", deep, Depth="0").status == 400
    hrefs = "".join(f"<D:href>{deep}{number}.ics</D:href>" for number in range(2000))
    status = soon(
        lambda: u1.report("/calendars/u1/", "C:calendar-multiget", f"<D:prop><D:getetag/></D:prop>{hrefs}").status
    )
    assert status == 207


@pytest.mark.parametrize(
    "date", ["Sun, 99 Nov 99999999999 22:00:00 GMT", "Sun, 22 Nov 2026 22:00:00 +99999999999999999999"]
)
def test_a_date_of_no_calendar_does_not_count(u1: Client, date: str) -> None:
    u1.put(CAL + "a.ics", event("a"))
    assert u1.request("GET", CAL + "a.ics", If_Modified_Since=date).status == 200
    assert u1.request("DELETE", CAL + "a.ics", If_Unmodified_Since=date).status == 204


def test_a_query_that_is_not_utf8(u1: Client) -> None:
    assert u1.request("GET", "/?%FF=%FE").status == 200


RANGE = 'start="20260101T000000Z" end="20270101T000000Z"'


def _expand(client: Client) -> int:
    return client.report(
        CAL,
        "C:calendar-query",
        f"<D:prop><C:calendar-data><C:expand {RANGE}/></C:calendar-data></D:prop>"
        '<C:filter><C:comp-filter name="VCALENDAR"/></C:filter>',
        depth=1,
    ).status


def test_many_endless_recurrences(u1: Client, soon: Callable[[Callable[[], int]], int]) -> None:
    for number in range(36):
        u1.put(f"{CAL}{number}.ics", event(f"often{number}", extra="RRULE:FREQ=MINUTELY\r\n"))
    assert soon(lambda: _expand(u1)) == 507
    question = f"<C:time-range {RANGE}/>"
    assert soon(lambda: u1.report(CAL, "C:free-busy-query", question, depth=1).status) == 507
    one_day = '<C:time-range start="20260401T000000Z" end="20260402T000000Z"/>'
    assert u1.report(CAL, "C:free-busy-query", one_day, depth=1).status == 200


def test_a_large_event_that_recurs(u1: Client, soon: Callable[[Callable[[], int]], int]) -> None:
    """Every instance has the whole text: this one would make ten gigabytes of it."""
    u1.put(CAL + "a.ics", event("a", extra=f"DESCRIPTION:{'x' * 500_000}\r\nRRULE:FREQ=MINUTELY\r\n"))
    assert soon(lambda: _expand(u1)) == 507
