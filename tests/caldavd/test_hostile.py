"""Mutated requests of every method: never a 5xx, XML wherever XML is claimed, and a database that is still sound.

The requests are mutations of good ones (so that they get past the first check), of real calendar texts and of
plain noise.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings, strategies as st
from lxml import etree

from caldavd import formats
from caldavd.app import Application
from caldavd.kinds import ALL_METHODS
from storage.store import Store
from tests.caldavd.client import DECLARATIONS, Answer, Client, event, todo

CAL = "/calendars/u1/calendar/"
PATHS = (
    "/", "/principals/", "/principals/u1/", "/principals/nobody/", "/calendars/", "/calendars/u1/", CAL, CAL + "a.ics",
    CAL + "new.ics", CAL + "x/y.ics", "/calendars/u1/tasks/t.ics", "/calendars/u1/plain/", "/calendars/u1/plain/f.txt",
    "/calendars/u1/new/", "/calendars/u2/", "/calendars/u2/calendar/", "/calendars/u1/inbox/", "/nowhere", "/api/v1/",
    CAL + "%00.ics", CAL + "%FF", CAL + "..", CAL + "%C3%A4.ics", "/calendars/u1/" + "n" * 300,
    "/.well-known/caldav", "/.well-known/caldav/", "/?%FF=%FE&a", CAL + "a.ics?x=%00", "/calendars/" + "a/" * 40,
)  # fmt: skip
ELEMENTS = (
    "D:propfind D:prop D:allprop D:propname D:include D:propertyupdate D:set D:remove D:getetag D:displayname "
    "D:resourcetype D:collection D:lockinfo D:lockscope D:exclusive D:shared D:locktype D:write D:owner D:href D:acl "
    "D:ace D:principal D:grant D:deny D:privilege D:read D:all D:self D:authenticated D:property D:invert "
    "D:sync-collection D:sync-token D:sync-level D:limit D:nresults D:mkcol D:expand-property D:principal-match "
    "D:principal-property-search D:property-search D:match D:principal-search-property-set D:acl-principal-prop-set "
    "C:calendar-query C:calendar-multiget C:free-busy-query C:filter C:comp-filter C:prop-filter C:param-filter "
    "C:text-match C:time-range C:is-not-defined C:calendar-data C:expand C:limit-recurrence-set C:limit-freebusy-set "
    "C:comp C:allcomp C:allprop C:timezone C:mkcalendar C:calendar C:supported-calendar-component-set "
    "C:calendar-timezone C:schedule-calendar-transp C:opaque CS:getctag CS:source CS:subscribed "
    "CS:calendarserver-principal-search CS:search-token A:calendar-color X:unknown"
).split()
HEADERS = {
    "Depth": ("0", "1", "infinity", "2", "", "x"),
    "If": ("(<urn:x>)", '(["e"])', "(Not <DAV:no-lock>)", "(", '</a> (<urn:y> ["z"])', "x" * 300),
    "If-Match": ("*", '"x"', "x", '"', 'W/"x"', '\\"x\\"'),
    "If-None-Match": ("*", '"x"', ""),
    "If-Schedule-Tag-Match": ('"x"', "x"),
    "Destination": (
        CAL + "b.ics", "http://elsewhere.example/x", "%", "http://[", "/calendars/u1/plain/", CAL, "/", "\tx",
    ),
    "Overwrite": ("T", "F", "x"),
    "Timeout": ("Second-10", "Infinite", "x", "Second-99999999999999999999"),
    "Lock-Token": ("<urn:x>", "x", ""),
    "Prefer": ("return=minimal", "return=representation", "depth-noroot", ";;;"),
    "Brief": ("t", "x"),
    "Content-Type": (
        "text/calendar", "application/xml", "text/xml", "application/calendar+json", "x", "",
        "text/calendar; charset=latin-1",
    ),
    "Content-Encoding": ("gzip",),
    "Range": ("bytes=0-3", "bytes=-1", "bytes=9-1", "x"),
    "If-Modified-Since": ("Sun, 22 Nov 2026 22:00:00 GMT", "x", "Sun, 99 Nov 99999999999 22:00:00 GMT", "()"),
    "If-Unmodified-Since": ("Sun, 22 Nov 2026 22:00:00 +9999999999999999999", "1 Jan 0001 00:00:00 +2359"),
    "Accept": ("application/calendar+json", "text/calendar", "*/*;q=0", "x/"),
    "Accept-Encoding": ("gzip", "zstd;q=0.1", "gzip;q=x", "*"),
    "Slug": ("x",),
}  # fmt: skip
#: RFC 5323 and friends have more methods than we do; a few nobody has.
METHODS = (*ALL_METHODS, "SEARCH", "PATCH", "BIND", "G\u00e9T")
TEXTS = (
    event("a"),
    todo("t"),
    event("r", extra="RRULE:FREQ=DAILY;COUNT=5\r\n"),
    "BEGIN:VCALENDAR",
    "",
    "\x00",
    "[1,2]",
    event(
        "z",
        extra="EXDATE;TZID=Europe/Berlin:20260310T120000,20260311T120000\r\nRDATE;VALUE=PERIOD:20260401T000000Z/P1D\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER;RELATED=END:-PT15M\r\nEND:VALARM\r\n",
    ),
    formats.to_jcal(event("a").encode()).decode(),
    formats.to_jcal(
        event("j", extra="RRULE:FREQ=WEEKLY;BYDAY=MO,-1SU;UNTIL=20261231\r\nGEO:1.5;2\r\n").encode()
    ).decode(),
)


@st.composite
def xml_trees(draw: st.DrawFn, depth: int = 4) -> str:
    """An element out of the protocol's vocabulary with children that mostly make no sense."""
    name = draw(st.sampled_from(ELEMENTS))
    attributes = draw(
        st.dictionaries(
            st.sampled_from(
                ("name", "start", "end", "collation", "negate-condition", "test", "match-type", "namespace")
            ),
            st.sampled_from(
                ("VCALENDAR", "VEVENT", "VALARM", "SUMMARY", "20260101T000000Z", "i;octet", "yes", "x", "")
            ),
            max_size=2,
        )
    )
    inner = draw(
        st.one_of(
            st.sampled_from(("", "1", "infinite", CAL + "a.ics", "urn:x", "-5", "&#233;", "<!-- c -->", "&lol;")),
            st.lists(xml_trees(depth=depth - 1), max_size=3).map("".join) if depth else st.just(""),
        )
    )
    written = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{written}>{inner}</{name}>"


def _document(inner: str) -> bytes:
    head, _, rest = inner.partition(">")
    return f'{head} {DECLARATIONS} xmlns:X="urn:x">{rest}'.encode()


@st.composite
def mutated(draw: st.DrawFn, source: bytes) -> bytes:
    """``source`` with a few bytes, lines or tags changed, doubled or dropped."""
    rng = random.Random(draw(st.integers(0, 1 << 30)))
    data = bytearray(source)
    for _ in range(rng.randint(0, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randrange(1, 20)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
            case _:
                data[at:at] = rng.choice(
                    (
                        b"\r\n",
                        b"\x00",
                        b"&",
                        b"<",
                        b"\xff",
                        b";X=",
                        b"99999999",
                        b"[]",
                        b'"',
                        b"null",
                        b"1e999",
                        b"\\ud800",
                    )
                )
    return bytes(data)


BODIES = st.one_of(
    xml_trees().map(_document).flatmap(mutated),
    xml_trees().map(_document),
    st.sampled_from(TEXTS).map(str.encode).flatmap(mutated),
    st.binary(max_size=40),
    st.just(b""),
)
REQUESTS = st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from(PATHS),
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in HEADERS.items()}),
    BODIES,
    st.sampled_from(("u1", "u1", "u1", "u2", "admin", None)),
)


@pytest.fixture
def prepared(application: Application, store: Store) -> Iterator[Callable[[], Any]]:
    """Objects for the requests to meet; afterwards the database has to be sound."""
    client = Client(application)
    client.put(CAL + "a.ics", event("a"))
    client.put("/calendars/u1/tasks/t.ics", todo("t"))
    client.request("MKCOL", "/calendars/u1/plain/")
    client.put("/calendars/u1/plain/f.txt", "hello", Content_Type="text/plain")
    yield lambda: None
    assert list(store.check()) == []


@settings(
    max_examples=1500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(request=REQUESTS)
def test_no_request_makes_a_5xx(
    application: Application, prepared: object, request: tuple[str, str, dict[str, str], bytes, str | None]
) -> None:
    method, path, headers, body, user = request
    names = {name.replace("-", "_"): value for name, value in headers.items()}
    answer = Client(application, user).request(method, path, body, **names)
    # 501 says that the method is not known, 502 that a Destination is on another server, 507 that there is more.
    assert answer.status < 500 or answer.status in (501, 502, 507), (answer.status, answer.body)
    ours = answer.status == 207 or answer.status >= 400  # else it may be a file that somebody called XML
    if ours and method != "HEAD" and "xml" in answer.headers.get("Content-Type", ""):
        etree.fromstring(decoded(answer))


def decoded(answer: Answer) -> bytes:
    """The body without its content coding."""
    match answer.headers.get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(answer.body)
        case "zstd":
            return zstandard.ZstdDecompressor().decompress(answer.body)
    return answer.body
