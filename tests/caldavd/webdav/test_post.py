"""POST to a collection adds a member (RFC 5995)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.store import Store
from tests.caldavd.client import Client, event, todo
from tests.caldavd.webdav.sharing import CAL, HOME, TASKS, doctor, grant, hrefs_in_error

PLAIN = HOME + "plain/"


@pytest.fixture(autouse=True)
def plain(u1: Client) -> None:
    assert u1.request("MKCOL", PLAIN).status == 201


def test_discovery(u1: Client) -> None:
    for path in (CAL, PLAIN):
        found = u1.propfind(path, "<D:add-member/><D:supported-live-property-set/>")
        assert found.xpath("string(//D:add-member/D:href)") == path
        assert found.xpath("count(//D:supported-live-property/D:prop/D:add-member)") == 1
        assert u1.request("PROPFIND", path, Depth="0").xpath("count(//D:add-member)") == 0


def test_calendar_object(u1: Client, store: Store) -> None:
    answer = u1.request("POST", CAL, event("a"), Content_Type="text/calendar; charset=utf-8")
    assert (answer.status, answer.body) == (201, b"")
    location = answer.headers["Location"]
    assert location.startswith(CAL)
    assert location.endswith(".ics")
    got = u1.request("GET", location)
    assert (got.body, got.headers["ETag"]) == (event("a").encode(), answer.headers["ETag"])
    assert doctor(store) == []


def test_plain_file(u1: Client) -> None:
    locations = set()
    for _ in range(3):
        answer = u1.request("POST", PLAIN, b"\x00\xff", Content_Type="image/png")
        assert answer.status == 201
        got = u1.request("GET", answer.headers["Location"])
        assert (got.body, got.headers["Content-Type"]) == (b"\x00\xff", "image/png")
        locations.add(answer.headers["Location"])
    assert len(locations) == 3


def test_representation(u1: Client) -> None:
    answer = u1.request("POST", CAL, event("a"), Content_Type="text/calendar", Prefer="return=representation")
    assert (answer.status, answer.body) == (201, event("a").encode())
    assert answer.headers["Content-Location"] == answer.headers["Location"]


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("Sample Title", "Sample-Title"),
        ("na%C3%AFve.txt", "na%C3%AFve.txt"),
        ("../../etc/passwd", "etc-passwd"),
        ("a/b%2Fc", "a-b-c"),
        ("x" * 300, "x" * 80),
    ],
)
def test_slug(u1: Client, slug: str, name: str) -> None:
    answer = u1.request("POST", PLAIN, b"x", Content_Type="text/plain", Slug=slug)
    assert (answer.status, answer.headers["Location"]) == (201, PLAIN + name)


@pytest.mark.parametrize("slug", ["", "..", "%FF", "%00", " "])
def test_slug_that_is_no_name(u1: Client, slug: str) -> None:
    assert u1.request("POST", PLAIN, b"x", Content_Type="text/plain", Slug=slug).status == 201


def test_slug_of_a_calendar_object(u1: Client) -> None:
    answers = [
        u1.request("POST", CAL, event(uid), Content_Type="text/calendar", Slug="lunch").headers["Location"]
        for uid in "ab"
    ]
    assert answers[0] == CAL + "lunch.ics"
    assert answers[1] not in (CAL + "lunch.ics", CAL + "lunch")


@pytest.mark.parametrize(
    ("path", "body", "content_type", "condition"),
    [
        (CAL, "nonsense", "text/calendar", "valid-calendar-data"),
        (CAL, event("x"), "image/png", "supported-calendar-data"),
        (TASKS, event("x"), "text/calendar", "supported-calendar-component"),
    ],
)
def test_the_preconditions_of_put(u1: Client, path: str, body: str, content_type: str, condition: str) -> None:
    answer = u1.request("POST", path, body, Content_Type=content_type)
    assert (answer.status, answer.conditions) == (403, [condition])
    assert u1.sync(path).hrefs == []


def test_uid_conflict(u1: Client) -> None:
    u1.put(CAL + "a.ics", event("a"))
    answer = u1.request("POST", CAL, event("a"), Content_Type="text/calendar")
    assert (answer.conditions, hrefs_in_error(answer)) == (["no-uid-conflict"], [CAL + "a.ics"])


def test_too_large(with_limits: Callable[..., Client]) -> None:
    answer = with_limits(max_resource_size=10).request("POST", CAL, todo("a"), Content_Type="text/calendar")
    assert answer.conditions == ["max-resource-size"]


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8"])
def test_requests_that_are_not_known(u1: Client, content_type: str) -> None:
    """Sharing and push send XML to a calendar: an answer that says so, and no 5xx."""
    assert u1.request("POST", CAL, "<x/>", Content_Type=content_type).status == 415


@pytest.mark.parametrize("path", ["/", "/principals/u1/", HOME, CAL + "a.ics"])
def test_elsewhere(u1: Client, path: str) -> None:
    u1.put(CAL + "a.ics", event("a"))
    answer = u1.request("POST", path, event("b"), Content_Type="text/calendar")
    assert answer.status == 405
    assert "POST" not in answer.headers["Allow"].split(", ")


def test_needs_bind(u2: Client, store: Store) -> None:
    assert u2.request("POST", CAL, event("a"), Content_Type="text/calendar").status == 404
    grant(store, CAL, "u2", "read", "write-content")
    refused = u2.request("POST", CAL, event("a"), Content_Type="text/calendar")
    assert (refused.status, refused.xpath("count(//D:privilege/D:bind)")) == (403, 1)
    grant(store, CAL, "u2", "bind")
    assert u2.request("POST", CAL, event("a"), Content_Type="text/calendar").status == 201
