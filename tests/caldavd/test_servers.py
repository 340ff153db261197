"""The WSGI callable under real HTTP servers: granian (the default, by `caldavd serve`) and gunicorn.

What only a socket shows: chunked bodies, ``Expect: 100-continue``, HEAD, a 401 before the body, several workers, a stop
in the middle of nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from conformance import gunicorn, server as throwaway
from tests.caldavd.client import basic, event

HOME = "/calendars/user01/"
CAL = HOME + "calendar/"
AUTH = {"Authorization": basic("user01"), "Content-Type": "text/calendar"}


@pytest.fixture(scope="module", params=["granian", "gunicorn"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a running server with the fixed accounts; gunicorn runs on the database of the other one."""
    with throwaway.start(workers=2) as running, contextlib.ExitStack() as stack:
        under_gunicorn = request.param == "gunicorn"
        url = stack.enter_context(gunicorn.beside(running)).url if under_gunicorn else running.url
        yield int(urlsplit(url).port or 0)


def exchange(
    port: int, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, AUTH | named, encode_chunked=not isinstance(body, bytes | None))
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_write_and_read(port: int) -> None:
    text = event(f"one-{port}").encode()
    made, _ = exchange(port, "PUT", f"{CAL}one-{port}.ics", text, If_None_Match="*")
    assert made.status == 201
    got, body = exchange(port, "GET", f"{CAL}one-{port}.ics")
    assert (got.status, body) == (200, text)
    head, nothing = exchange(port, "HEAD", f"{CAL}one-{port}.ics")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["ETag"] == got.headers["ETag"] == made.headers["ETag"]
    assert head.headers["Content-Length"] == str(len(text))


def test_chunked_body(port: int) -> None:
    text = event(f"chunked-{port}", extra="DESCRIPTION:" + "x" * 5000 + "\r\n").encode()
    parts = iter([text[:100], text[100:4000], text[4000:]])
    made, _ = exchange(port, "PUT", f"{CAL}chunked-{port}.ics", parts, Transfer_Encoding="chunked")
    assert made.status == 201
    assert exchange(port, "GET", f"{CAL}chunked-{port}.ics")[1] == text


def test_a_chunked_body_that_breaks_off_is_not_stored(port: int) -> None:
    """granian takes the part that has come for the whole, and says nothing (seen with 2.8.7)."""
    text = event(f"cut-{port}").encode()
    for path, part in ((f"{CAL}cut-{port}.ics", text[:-20]), (f"{HOME}cut-{port}.txt", b"hello")):
        head = (
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {AUTH['Authorization']}\r\n"
            f"Content-Type: text/calendar\r\nTransfer-Encoding: chunked\r\n\r\n{len(part):x}\r\n"
        )
        for end in (b"", b"\r\n", b"\r\nzz\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(head.encode() + part + end)
        time.sleep(0.5)
        assert exchange(port, "GET", path)[0].status == 404


def test_expect_100_continue(port: int) -> None:
    text = event(f"expect-{port}").encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = (
            f"PUT {CAL}expect-{port}.ics HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nConnection: close\r\n"
            f"Authorization: {AUTH['Authorization']}\r\nContent-Type: text/calendar\r\n"
            f"Content-Length: {len(text)}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        connection.sendall(text)
        assert b"HTTP/1.1 201" in connection.recv(4096)


def test_every_method_gets_the_same_challenge(port: int) -> None:
    challenges = set()
    for method in ("OPTIONS", "GET", "PUT", "PROPFIND", "REPORT", "MKCALENDAR", "DELETE", "LOCK"):
        body = b"x" * 200000 if method == "PUT" else None
        answer, _ = exchange(port, method, CAL + "x.ics", body, Authorization="")
        assert answer.status == 401, method
        challenges.add(answer.headers["WWW-Authenticate"])
    assert len(challenges) == 1


def test_workers_see_each_others_writes(port: int) -> None:
    for number in range(20):
        path = f"{CAL}many-{port}-{number}.ics"
        assert exchange(port, "PUT", path, event(f"many-{port}-{number}").encode())[0].status == 201
        assert exchange(port, "GET", path)[0].status == 200


def test_well_known(port: int) -> None:
    for path in ("/.well-known/caldav", "/.well-known/caldav/"):
        answer, _ = exchange(port, "PROPFIND", path, Authorization="")
        assert answer.status == 301
        assert answer.headers["Location"] == "/"
