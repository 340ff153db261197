"""Long answers: spooled into a file, the same to the byte as in memory, whole or not at all, and gone afterwards."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pytest
import zstandard

from caldavd import app, spool
from caldavd.app import Application
from caldavd.spool import IN_MEMORY, PIECE, NoRoom, Outlets, Spool, spooled, spooled_text
from scheduling.delivery.running import run_locked
from scheduling.indexing import object_row
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS, Answer, Client, basic, event

_PATH = "/calendars/u1/long/"
_ALL = '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter>'
_ETAG = "<D:prop><D:getetag/></D:prop>"
_DATA = "<D:prop><D:getetag/><C:calendar-data/></D:prop>"


@dataclass
class Files:
    """The files that were made for spools."""

    made: list[BinaryIO] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many of them take room."""
        return sum(not one.closed for one in self.made)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Makes nearly every answer a long one, and keeps account of the files."""
    found = Files()

    def made(**options: Any) -> BinaryIO:
        file: BinaryIO = TemporaryFile(**options)  # noqa: SIM115 - the spool closes it
        found.made.append(file)
        return file

    monkeypatch.setattr(spool, "TemporaryFile", made)
    monkeypatch.setattr(spool, "IN_MEMORY", 600)
    return found


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Files:
    """As ``files``, on a disk that takes nothing."""
    found = Files()

    def made(*, buffering: int) -> BinaryIO:
        found.made.append(open("/dev/full", "r+b", buffering=buffering))  # noqa: PTH123, SIM115
        return found.made[-1]

    monkeypatch.setattr(spool, "TemporaryFile", made)
    monkeypatch.setattr(spool, "IN_MEMORY", 600)
    return found


def _filled(store: Store, client: Client, count: int) -> None:
    assert client.request("MKCALENDAR", _PATH).status == 201
    text = event("uid-?").encode()
    row = object_row(text, supported=("VEVENT",), limits=None)
    new = []
    for number in range(count):
        uid = f"uid-{number:05}"
        new.append((f"{number:05}.ics", replace(row, uid=uid, body=text.replace(b"uid-?", uid.encode()))))

    def work(tx: Transaction) -> None:
        tx.homes.lock_of(["u1"])
        found = tx.collections.find("u1", ("long",))
        assert found is not None
        tx.objects.put_many(found.chain[-1], new)

    store.run(work, write=True)


def _questions() -> Iterator[tuple[str, str, dict[str, str]]]:
    yield "GET", "", {}
    for inner in (_ETAG, "<D:prop><D:getetag/><D:getlastmodified/></D:prop>", "<D:allprop/>", "<D:propname/>"):
        yield "PROPFIND", f"<D:propfind {DECLARATIONS}>{inner}</D:propfind>", {"Depth": "1"}
    sync = "<D:sync-token/><D:sync-level>1</D:sync-level>"
    hrefs = "".join(f"<D:href>{_PATH}{number:05}.ics</D:href>" for number in range(12))
    for root, inner in (
        ("D:sync-collection", sync + _ETAG),
        ("D:sync-collection", sync + "<D:prop><D:getetag/><D:getlastmodified/></D:prop>"),
        ("C:calendar-query", _ETAG + _ALL),
        ("C:calendar-query", _DATA + _ALL),
        ("C:calendar-multiget", _DATA + hrefs),
    ):
        yield "REPORT", f"<{root} {DECLARATIONS}>{inner}</{root}>", {"Depth": "1"}


@dataclass
class Sent:
    """An answer as the server gets it, not yet read."""

    status: str
    headers: dict[str, str]
    pieces: Iterable[bytes]

    def close(self) -> None:
        """What the server does at the end, or when the client is gone."""
        close = getattr(self.pieces, "close", None)
        if close is not None:
            close()


def _asked(application: Application, method: str, body: str, headers: dict[str, str]) -> Sent:
    raw = body.encode()
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": _PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(raw),
        "CONTENT_LENGTH": str(len(raw)),
        "HTTP_AUTHORIZATION": basic("u1"),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    told: list[tuple[str, list[tuple[str, str]]]] = []
    pieces = application(environ, lambda status, fields: told.append((status, fields)))
    return Sent(told[0][0], dict(told[0][1]), pieces)


def test_what_is_short_stays_in_memory() -> None:
    assert spooled([]) == b""
    assert spooled(iter([b"a", b"", b"b"])) == b"ab"
    assert spooled_text(iter(["ä"] * 1000)) == "ä".encode() * 1000
    assert spooled([bytes(IN_MEMORY)]) == bytes(IN_MEMORY)


def test_what_is_long_is_in_a_file_until_it_is_closed() -> None:
    pieces = [bytes([number % 251]) * 1000 for number in range(IN_MEMORY // 1000 + 5000)]
    found = spooled(iter(pieces))
    assert isinstance(found, Spool)
    assert len(found) == sum(map(len, pieces)) > IN_MEMORY
    for size in (PIECE, 1234, len(found)):
        read = list(found.pieces(size))
        assert max(map(len, read)) == size
        assert b"".join(read) == b"".join(pieces)
    found.close()
    found.close()
    with pytest.raises(ValueError, match="closed"):
        list(found.pieces())


def test_what_goes_wrong_on_the_way_leaves_no_file(files: Files) -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(1000)
        raise LookupError

    with pytest.raises(LookupError):
        Spool(pieces())
    assert len(files.made) == 1
    assert files.open == 0


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_the_same_answers_as_in_memory(
    store: Store, u1: Client, files: Files, monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    _filled(store, u1, 40)
    for method, body, headers in _questions():
        asked = headers | ({"Accept_Encoding": coding} if coding else {})
        before = len(files.made)
        long = u1.request(method, _PATH, body, **asked)
        assert len(files.made) > before, (method, body)
        assert files.open == 0
        with monkeypatch.context() as patch:
            patch.setattr(spool, "IN_MEMORY", IN_MEMORY)
            before = len(files.made)
            short = u1.request(method, _PATH, body, **asked)
            assert len(files.made) == before
        assert long.status == short.status == (200 if method == "GET" else 207)
        assert long.headers.get("Content-Encoding", "") == short.headers.get("Content-Encoding", "") == coding
        assert long.headers["Vary"] == short.headers["Vary"]
        assert int(long.headers["Content-Length"]) == len(long.body)
        assert _decoded(long, coding) == _decoded(short, coding)


def _decoded(answer: Answer, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.decompress(answer.body)
    return zstandard.ZstdDecompressor().decompress(answer.body) if coding else answer.body


def test_head_says_how_long_it_is_and_keeps_no_file(store: Store, u1: Client, files: Files) -> None:
    _filled(store, u1, 40)
    head, got = u1.request("HEAD", _PATH), u1.request("GET", _PATH)
    assert head.body == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.body))
    assert len(files.made) == 2
    assert files.open == 0


def test_no_room_is_503_and_no_half_answer(store: Store, u1: Client, full: Files) -> None:
    _filled(store, u1, 40)
    for method, body, headers in _questions():
        answer = u1.request(method, _PATH, body, **headers)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "60"
        assert "no room" in answer.xpath("string(//D:responsedescription)")
    assert full.made
    assert full.open == 0
    assert u1.request("GET", f"{_PATH}00000.ics").status == 200


def test_where_nothing_can_be_made_it_is_503_too(
    store: Store, u1: Client, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(store, u1, 40)

    def refused(**options: Any) -> BinaryIO:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(spool, "TemporaryFile", refused)
    assert u1.request("GET", _PATH).status == 503


def test_without_room_for_a_second_file_it_goes_out_as_it_is(
    store: Store, u1: Client, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(store, u1, 40)
    plain = u1.request("GET", _PATH)

    def refused(*args: object) -> None:
        raise NoRoom(OSError("full"))

    monkeypatch.setattr("caldavd.compression.spooled", refused)
    answer = u1.request("GET", _PATH, Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    assert answer.body == plain.body
    assert files.open == 0


def test_a_client_that_goes_away_leaves_no_file(
    store: Store, u1: Client, application: Application, files: Files
) -> None:
    _filled(store, u1, 900)
    for read in (0, 1):
        sent = _asked(application, "GET", "", {})
        assert sent.status.startswith("200")
        pieces = iter(sent.pieces)
        for _ in range(read):
            assert len(next(pieces)) == PIECE < int(sent.headers["Content-Length"])
        assert files.open == 1
        sent.close()
        del pieces, sent
        assert files.open == 0


def test_an_attempt_that_is_run_again_leaves_no_file(
    store: Store, u1: Client, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(store, u1, 40)

    def twice(store: Store, owners: Iterable[str], work: Callable[..., Any], *, write: bool) -> Any:
        def again(tx: Transaction, held: frozenset[str]) -> Any:
            work(tx, held)
            return work(tx, held)

        return run_locked(store, owners, again, write=write)

    monkeypatch.setattr(app, "run_locked", twice)
    assert u1.request("GET", _PATH).status == 200
    assert len(files.made) == 2
    assert files.open == 0


def test_who_finds_no_outlet_gets_it_whole(files: Files) -> None:
    outlets = Outlets(1)
    body = bytes(3 * PIECE)
    first, second, third = (outlets.send(Spool([body])) for _ in range(3))
    assert len(next(first)) == PIECE
    assert list(second) == [body]
    assert sum(map(len, first)) == 2 * PIECE
    assert list(map(len, third)) == [PIECE] * 3
    assert files.open == 0
    assert [len(piece) for piece in Outlets(0).send(Spool([body]))] == [len(body)]


def _peak(application: Application, method: str, body: str, headers: dict[str, str]) -> tuple[int, int]:
    """How many bytes an answer has, and how many were in memory at most while it was made and sent."""
    tracemalloc.start()
    sent = _asked(application, method, body, headers)
    size = sum(map(len, sent.pieces))
    sent.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent.status[:3] in ("200", "207")
    assert size == int(sent.headers["Content-Length"])
    return size, peak


def test_memory_does_not_grow_with_a_listing(
    store: Store, u1: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As rows and text in lists, these took 7 to 12 MB."""
    _filled(store, u1, 20_000)
    monkeypatch.setattr(spool, "IN_MEMORY", 1 << 18)
    for method, body, headers in _questions():
        if method == "GET" or (_ETAG in body and "query" not in body):
            size, peak = _peak(application, method, body, headers)
            assert size > 2_000_000 > peak, (method, body, size, peak)


def test_memory_does_not_grow_with_the_answer(
    store: Store, u1: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With resources and texts in lists, these took 10 to 16 MB."""
    _filled(store, u1, 6_000)
    monkeypatch.setattr(spool, "IN_MEMORY", 1 << 18)
    for method, body, headers in _questions():
        if method == "GET" or "multiget" in body or "propname" in body:
            continue
        _, peak = _peak(application, method, body, headers)
        assert peak < 6_000_000, (method, body, peak)
