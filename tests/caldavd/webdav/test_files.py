"""Plain files: any bytes with their type, parts of them, and conditions (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import gzip
from email.utils import formatdate

import pytest

from tests.caldavd.client import Client, event
from tests.caldavd.webdav.sharing import CAL, HOME, put_file

FILE = HOME + "file.bin"
BYTES = bytes(range(256)) * 8


@pytest.fixture
def etag(u1: Client) -> str:
    answer = u1.request("PUT", FILE, BYTES, Content_Type="application/x-thing")
    assert answer.status == 201
    return answer.headers["ETag"]


class TestPutAndGet:
    @pytest.mark.parametrize("path", [FILE, HOME + "a b+c%25d@e.txt", HOME + "%C3%A4.txt", HOME + "plain/x/y.bin"])
    def test_any_bytes_anywhere(self, u1: Client, path: str) -> None:
        for folder in ("plain/", "plain/x/"):
            u1.request("MKCOL", HOME + folder)
        assert u1.request("PUT", path, BYTES, Content_Type="image/png").status == 201
        got = u1.request("GET", path)
        assert (got.status, got.body, got.headers["Content-Type"]) == (200, BYTES, "image/png")
        listed = u1.propfind(path, "<D:getcontenttype/><D:getcontentlength/><D:getetag/><D:resourcetype/>")
        assert listed.xpath("string(//D:getcontenttype)") == "image/png"
        assert listed.xpath("string(//D:getcontentlength)") == str(len(BYTES))
        assert listed.xpath("string(//D:getetag)") == got.headers["ETag"]
        assert listed.xpath("count(//D:resourcetype/*)") == 0

    def test_without_a_type(self, u1: Client) -> None:
        assert u1.request("PUT", FILE, b"x").status == 201
        assert u1.request("GET", FILE).headers["Content-Type"] == "application/octet-stream"

    def test_type_and_content_change(self, u1: Client, etag: str) -> None:
        answer = u1.request("PUT", FILE, b"new", Content_Type="text/plain; charset=iso-8859-15")
        assert answer.status == 204
        assert answer.headers["ETag"] != etag
        got = u1.request("GET", FILE)
        assert (got.body, got.headers["Content-Type"]) == (b"new", "text/plain; charset=iso-8859-15")

    def test_a_type_too_long_to_keep(self, u1: Client) -> None:
        assert u1.request("PUT", FILE, b"x", Content_Type="text/plain; x=" + "y" * 400).status == 403

    def test_nothing_in_it_runs_as_part_of_the_site(self, u1: Client) -> None:
        u1.request("PUT", FILE, b"<script>alert(1)</script>", Content_Type="text/html")
        got = u1.request("GET", FILE)
        assert got.headers["Content-Security-Policy"] == "sandbox"
        assert got.headers["X-Content-Type-Options"] == "nosniff"

    def test_head(self, u1: Client, etag: str) -> None:
        got = u1.request("HEAD", FILE, Range="bytes=0-1")
        assert (got.status, got.body, got.headers["Content-Length"]) == (200, b"", str(len(BYTES)))
        assert got.headers["ETag"] == etag

    def test_calendar_data_in_a_plain_place_is_a_file(self, u1: Client) -> None:
        for name in "ab":
            assert u1.put(HOME + name, event("same")).status == 201
        assert u1.put(HOME + "a", "no calendar at all").status == 204

    def test_over_a_collection(self, u1: Client) -> None:
        u1.request("MKCOL", HOME + "plain/")
        assert put_file(u1, HOME + "plain").status == 405

    def test_below_a_file(self, u1: Client, etag: str) -> None:
        assert put_file(u1, FILE + "/x").status == 409

    def test_delete(self, u1: Client, etag: str) -> None:
        assert u1.request("DELETE", FILE).status == 204
        assert u1.request("GET", FILE).status == 404


class TestRanges:
    def test_part(self, u1: Client, etag: str) -> None:
        got = u1.request("GET", FILE, Range="bytes=10-19")
        assert (got.status, got.body) == (206, BYTES[10:20])
        assert got.headers["Content-Range"] == f"bytes 10-19/{len(BYTES)}"
        assert got.headers["Content-Length"] == "10"
        assert got.headers["ETag"] == etag
        assert got.headers["Content-Type"] == "application/x-thing"

    def test_offered(self, u1: Client, etag: str) -> None:
        assert u1.request("GET", FILE).headers["Accept-Ranges"] == "bytes"

    def test_not_satisfiable(self, u1: Client, etag: str) -> None:
        got = u1.request("GET", FILE, Range="bytes=9999-")
        assert (got.status, got.headers["Content-Range"]) == (416, f"bytes */{len(BYTES)}")

    def test_if_range(self, u1: Client, etag: str) -> None:
        assert u1.request("GET", FILE, Range="bytes=0-0", If_Range=etag).status == 206
        for other in ('"other"', f"W/{etag}", formatdate(usegmt=True)):
            got = u1.request("GET", FILE, Range="bytes=0-0", If_Range=other)
            assert (got.status, got.body) == (200, BYTES)

    def test_of_a_calendar_object(self, u1: Client) -> None:
        u1.put(CAL + "a.ics", event("a"))
        assert u1.request("GET", CAL + "a.ics", Range="bytes=0-14").body == b"BEGIN:VCALENDAR"

    def test_never_parts_of_what_others_get_compressed(self, u1: Client) -> None:
        text = b"some text that goes compressed\n" * 100
        u1.request("PUT", FILE, text, Content_Type="text/plain")
        whole = u1.request("GET", FILE, Range="bytes=0-9", Accept_Encoding="gzip")
        assert (whole.status, gzip.decompress(whole.body)) == (200, text)
        assert "Accept-Ranges" not in whole.headers
        assert u1.request("GET", FILE, Range="bytes=0-9").body == text[:10]


class TestConditions:
    def test_get(self, u1: Client, etag: str) -> None:
        assert u1.request("GET", FILE, If_None_Match=etag).status == 304
        assert u1.request("GET", FILE, If_None_Match='"other"').status == 200
        assert u1.request("GET", FILE, If_Match=etag).status == 200
        assert u1.request("GET", FILE, If_Match='"other"').status == 412

    @pytest.mark.parametrize(
        ("offset", "modified_since", "unmodified_since"), [(-3600, 200, 412), (0, 304, 200), (3600, 304, 200)]
    )
    def test_dates(self, u1: Client, etag: str, offset: int, modified_since: int, unmodified_since: int) -> None:
        from email.utils import parsedate_to_datetime

        modified = parsedate_to_datetime(u1.request("GET", FILE).headers["Last-Modified"]).timestamp()
        date = formatdate(modified + offset, usegmt=True)
        assert u1.request("GET", FILE, If_Modified_Since=date).status == modified_since
        assert u1.request("GET", FILE, If_Unmodified_Since=date).status == unmodified_since
        written = u1.request("PUT", FILE, BYTES, If_Unmodified_Since=date).status
        assert written == (204 if unmodified_since == 200 else 412)

    def test_etags_win_over_dates(self, u1: Client, etag: str) -> None:
        future, past = formatdate(4e9, usegmt=True), formatdate(0, usegmt=True)
        assert u1.request("GET", FILE, If_None_Match='"other"', If_Modified_Since=future).status == 200
        assert u1.request("PUT", FILE, BYTES, If_Match=etag, If_Unmodified_Since=past).status == 204

    @pytest.mark.parametrize(
        "date", ["nonsense", "", "Sun, 99 Nov 1994 08:49:37 GMT", "Mon, 01 Jan 0001 00:00:00 +2359"]
    )
    def test_unreadable_dates(self, u1: Client, etag: str, date: str) -> None:
        assert u1.request("GET", FILE, If_Modified_Since=date).status == 200

    @pytest.mark.parametrize("date", ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
    def test_obsolete_formats(self, u1: Client, etag: str, date: str) -> None:
        assert u1.request("PUT", FILE, BYTES, If_Unmodified_Since=date).status == 412


class TestLanguage:
    """RFC 4918 section 15.3: the header and the property are one."""

    @pytest.mark.parametrize("path", [FILE, CAL + "a.ics"])
    def test_by_put_and_by_proppatch(self, u1: Client, path: str) -> None:
        u1.put(path, event("a"), Content_Language="de-AT, en")
        assert u1.request("GET", path).headers["Content-Language"] == "de-AT, en"
        assert u1.propfind(path, "<D:getcontentlanguage/>").xpath("string(//D:getcontentlanguage)") == "de-AT, en"
        u1.put(path, event("a", summary="B"))
        assert u1.request("GET", path).headers["Content-Language"] == "de-AT, en"
        u1.proppatch(path, set="<D:getcontentlanguage>fr</D:getcontentlanguage>")
        assert u1.request("HEAD", path).headers["Content-Language"] == "fr"
        u1.proppatch(path, remove="<D:getcontentlanguage/>")
        assert "Content-Language" not in u1.request("GET", path).headers

    @pytest.mark.parametrize("language", ["d\u00e9", "a b", "x" * 9, "de;q=1", "de\nX: 1", "de," * 200 + "de"])
    def test_what_is_no_language(self, u1: Client, etag: str, language: str) -> None:
        answer = u1.proppatch(FILE, set=f"<D:getcontentlanguage>{language}</D:getcontentlanguage>")
        assert answer.status_of(FILE, "D:getcontentlanguage") == 409
        assert "Content-Language" not in u1.request("GET", FILE).headers
        if "\n" not in language:
            assert u1.request("PUT", FILE, b"x", Content_Language=language).status == 400
            assert u1.request("GET", FILE).body == BYTES


def test_a_part_is_not_the_whole(u1: Client, etag: str) -> None:
    """RFC 9110 section 14.5."""
    assert u1.request("PUT", FILE, b"x", Content_Range="bytes 0-0/100").status == 400
    assert u1.request("GET", FILE).body == BYTES


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("DELETE", {}),
        ("COPY", {"Destination": HOME + "b"}),
        ("MOVE", {"Destination": HOME + "b"}),
        ("UNLOCK", {"Lock_Token": "<urn:uuid:1>"}),
    ],
)
def test_bodies_that_would_be_ignored(u1: Client, etag: str, method: str, headers: dict[str, str]) -> None:
    """RFC 4918 section 8.4."""
    assert u1.request(method, FILE, "<x/>", **headers).status == 415
    assert u1.request("GET", FILE).body == BYTES
