"""What reports tell straight from rows is, byte by byte, what the table of properties renders.

Compared are calendar-multiget and calendar-query in both ways, and each of the pieces with what it stands in for: hrefs
that need no decoding with the router, escaped UTF-8 with escaped text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from caldavd import calendardata
from caldavd.access import READ
from caldavd.calendardata import DataRequest, from_rows
from caldavd.properties.listing import DIRECT
from caldavd.reports import multiget
from caldavd.router import (
    MAX_SEGMENT_BYTES,
    MAX_SEGMENTS,
    BadPath,
    Location,
    OtherServer,
    Router,
    Space,
    plain_names,
)
from caldavd.xml.fragment import text, text_of_utf8
from caldavd.xml.names import dav, tag
from storage.rows import NewObject
from storage.store import Store, Transaction
from tests.caldavd.client import Answer, Client, event, todo
from tests.caldavd.implicit.scene import calendar, inbox, meeting, members
from tests.caldavd.sharing import grant

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
ONE, TWO = f"{HOME}calendar/", f"{HOME}two/"
TEXTS = {
    "a.ics": event("a"),
    "with space & amp.ics": event("b", summary="1 < 2 & 3 > 2, ]]>"),
    "per%cent'quote\".ics": todo("c"),
    "ümläut-日本.ics": event("d", summary="Größe 日本 \U0001f600 \ufffd"),
    "at@home~.ics": event("e", extra="RRULE:FREQ=DAILY;COUNT=3\r\n"),
    "a+b;c=d,(e)!*$:.ics": event("f", summary="line\u2028separator"),
}
#: What no PUT takes, and another way in may have left in the store.
STORED = {
    "controls.ics": b"BEGIN:VCALENDAR\r\nX:\x00\x07\x0b\x1f\x7f\r\nEND:VCALENDAR\r\n",
    "no-characters.ics": "BEGIN:VCALENDAR\nX:\uffff\ufffe\ufffd\uffe8\nEND:VCALENDAR".encode(),
    "empty.ics": b"",
}
DATA = "<C:calendar-data/>"
PROPS = [
    *(
        "".join(f"<{tag(name)[0]}/>" for name in names) + data
        for size in range(len(DIRECT) + 1)
        for names in permutations(DIRECT, size)
        for data in ("", DATA)
        if names or data
    ),
    f"{DATA}<D:getetag/>",
    f"<D:getetag/>{DATA}{DATA}<D:getetag/>",
    '<D:getetag/><C:calendar-data content-type="text/calendar; charset=utf-8" version="2.0"/>',
]
#: What the table of properties alone can tell.
OTHERS = [
    f"<D:getetag/><D:displayname/>{DATA}",
    "<D:getetag/><D:resource-id/>",
    '<C:calendar-data content-type="application/calendar+json"/>',
    '<C:calendar-data><C:comp name="VCALENDAR"/></C:calendar-data>',
    '<C:calendar-data><C:expand start="20260101T000000Z" end="20270101T000000Z"/></C:calendar-data>',
    '<C:calendar-data><C:limit-recurrence-set start="20260101T000000Z" end="20270101T000000Z"/></C:calendar-data>',
    '<C:calendar-data><C:limit-freebusy-set start="20260101T000000Z" end="20270101T000000Z"/></C:calendar-data>',
]


@pytest.fixture
def filled(u1: Client, store: Store) -> Client:
    """u1 with two calendars of objects with awkward names and texts."""
    assert u1.request("MKCALENDAR", TWO).status == 201
    for number, (name, body) in enumerate(TEXTS.items()):
        assert u1.put((ONE, TWO)[number % 3 == 2] + quote(name), body).status == 201

    def leave(tx: Transaction) -> None:
        tx.homes.lock_of(["u1"])
        found = tx.collections.find("u1", ("calendar",))
        assert found is not None
        for name, body in STORED.items():
            tx.objects.put(found.collection, name, NewObject(body, "text/calendar", component="VEVENT"), replaces=None)

    store.run(leave, write=True)
    return u1


@pytest.fixture
def both_ways(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Answer]], Answer]:
    """Asks in both ways, compares, and returns the answer."""

    def ask(request: Callable[[], Answer]) -> Answer:
        quick = request()
        with monkeypatch.context() as patch:
            for place in (multiget, calendardata):
                patch.setattr(place, "from_rows", lambda asked, data: None)
            usual = request()
        assert quick.status == usual.status == 207
        assert quick.body == usual.body
        assert quick.headers.keys() == usual.headers.keys()
        return quick

    return ask


Both = Callable[[Callable[[], Answer]], Answer]


def _hrefs(*hrefs: str) -> str:
    return "".join(f"<D:href>{text(href)}</D:href>" for href in hrefs)


EVERYTHING = _hrefs(
    ONE + "none.ics",
    *(ONE + quote(name) for name in (*TEXTS, *STORED)),
    *(TWO + quote(name) for name in TEXTS),
    ONE + "a.ics",
    ONE + "%61.ics",
    "http://localhost" + ONE + "a.ics",
    "a.ics",
    ONE + "a.ics/",
    ONE + "no.ics/",
    "/calendars/u2/calendar/a.ics",
    "http://elsewhere.example/a.ics",
    ONE,
    "%FF",
    ONE + "..",
    "",
)


def test_multiget(filled: Client, both_ways: Both) -> None:
    there = {ONE: 4 + len(STORED), TWO: 2, HOME: 6 + len(STORED)}
    for props in (*PROPS, *OTHERS):
        asked = f"<D:prop>{props}</D:prop>{EVERYTHING}"
        for path, count in there.items():
            told = both_ways(partial(filled.report, path, "C:calendar-multiget", asked))
            assert len(told.xpath("//D:response[D:propstat]")) == count
            assert len(told.xpath("//D:response[D:status]")) > 10


@pytest.mark.parametrize("header", ["return=minimal", "return=representation, depth-noroot"])
def test_multiget_with_a_preference(filled: Client, both_ways: Both, header: str) -> None:
    for props in (PROPS[-1], f"<D:displayname/>{DATA}"):
        asked = f"<D:prop>{props}</D:prop>{EVERYTHING}"
        both_ways(partial(filled.report, HOME, "C:calendar-multiget", asked, Prefer=header))


def test_multiget_on_the_object(filled: Client, both_ways: Both) -> None:
    asked = f"<D:prop><D:getetag/>{DATA}</D:prop>" + _hrefs(ONE + "a.ics", ONE + "a.icsx", ONE + "at@home~.ics")
    told = both_ways(lambda: filled.report(ONE + "a.ics", "C:calendar-multiget", asked))
    assert told.status_of(ONE + "a.ics", "C:calendar-data") == 200
    assert [told.status_of(ONE + name) for name in ("a.icsx", "at@home~.ics")] == [404, 404]


def test_multiget_of_messages(u1: Client, u2: Client, both_ways: Both) -> None:
    u1.put(calendar("u1") + "m.ics", meeting("u2"))
    (message,) = members(u2, inbox("u2"))
    for props in PROPS:
        asked = f"<D:prop>{props}</D:prop>{_hrefs(message, inbox('u2') + 'none')}"
        told = both_ways(partial(u2.report, inbox("u2"), "C:calendar-multiget", asked))
        assert told.hrefs == [message, inbox("u2") + "none"]


def test_multiget_of_what_somebody_shares(filled: Client, as_user: AsUser, store: Store, both_ways: Both) -> None:
    grant(store, "u1/two", "u3", [READ])
    asked = f"<D:prop><D:getetag/>{DATA}</D:prop>{EVERYTHING}"
    told = both_ways(partial(as_user("u3").report, TWO, "C:calendar-multiget", asked))
    assert told.body.count(b"BEGIN:VCALENDAR") == len(TEXTS) // 3


def test_query(filled: Client, both_ways: Both) -> None:
    everything = '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter>'
    for props in (*PROPS, *OTHERS):
        asked = f"<D:prop>{props}</D:prop>{everything}"
        for path in (ONE, HOME, ONE + "a.ics"):
            told = both_ways(partial(filled.report, path, "C:calendar-query", asked, depth=1))
            assert ONE + "a.ics" in told.hrefs


def test_what_the_table_alone_knows_is_left_to_it() -> None:
    etag = (dav("getetag"),)
    assert from_rows(etag, None) is not None
    assert from_rows(etag, DataRequest()) is not None
    assert from_rows((), DataRequest()) is not None
    assert from_rows((), None) is None
    assert from_rows((*etag, dav("displayname")), DataRequest()) is None
    assert from_rows(etag, DataRequest(jcal=True)) is None


# --- hrefs that need no decoding -------------------------------------------------------------------------------------

_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)
_BASES = st.builds(
    lambda router, owner, names: (router, router.below_home(owner, tuple(names), collection=True)),
    st.sampled_from([Router(), Router("/dav"), Router("/a.b/c~d")]),
    _NAMES,
    st.lists(_NAMES, max_size=3),
)
_RESTS = st.one_of(
    _NAMES,
    _NAMES.map(quote),
    _NAMES.map(lambda name: quote(name, safe="")),
    st.text("ab.~@%2F/?#;:&=+ \t\n\\", max_size=8),
    st.sampled_from(["", ".", "..", "./a", "../a", "a/", "/a", "a//b", "%2e%2E", "%2F", "a?b", "a#b", "a;b", "@", "~"]),
    st.integers(MAX_SEGMENT_BYTES - 1, MAX_SEGMENT_BYTES + 1).map(lambda size: "a" * size),
)


def _located(router: Router, base: str, href: str) -> Location | None:
    try:
        return router.locate_href(href, base=base, authorities=frozenset({"localhost"}))
    except (BadPath, OtherServer):
        return None


@given(_BASES, _RESTS)
def test_what_is_plain_is_where_the_router_finds_it(place: tuple[Router, str], rest: str) -> None:
    router, base = place
    collection = _located(router, base, base)
    for href in (base + rest, rest, "http://localhost" + base + rest):
        found = plain_names([href], base)
        if href in found and collection is not None:
            at = _located(router, base, href)
            assert at == Location(Space.HOME, collection.owner, (*collection.names, found[href]), slash=False)


def test_nearly_all_are_plain() -> None:
    hrefs = [f"{ONE}event-{number}.ics" for number in range(3)]
    assert plain_names(hrefs, ONE) == {href: href.rpartition("/")[2] for href in hrefs}
    assert plain_names([ONE, ONE + "a/b", ONE + "..", ONE + "a%20b", TWO + "a"], ONE) == {}


def test_a_path_that_is_too_long_is_the_routers() -> None:
    for depth in range(MAX_SEGMENTS - 4, MAX_SEGMENTS + 2):
        base = HOME + "a/" * depth
        assert not plain_names([base + "b"], base) or _located(Router(), base, base + "b") is not None


# --- texts -----------------------------------------------------------------------------------------------------------


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=40),
        st.text("a<>&]\"'\r\n\t\x00\x08\x0b\x0c\x0e\x1f\x7f\x80\ufffd\ufffe\uffff\uffc0\U0001f600", max_size=40),
    )
)
def test_bytes_are_escaped_as_text_is(value: str) -> None:
    assert text_of_utf8(value.encode()) == text(value).encode()


def test_what_is_no_utf8_is_an_error() -> None:
    for value in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\x00\xff"):
        with pytest.raises(UnicodeDecodeError):
            text_of_utf8(value)
