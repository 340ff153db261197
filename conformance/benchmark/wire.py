"""The client: HTTP/1.1 over kept connections, with as little of its own as can be.

Requests are made before the clock runs. Several connections are served by one loop in one thread, each with one request
under way; what the client itself costs is measured beside (``Spent.client``, seconds of CPU).
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

_LENGTH: Final = re.compile(rb"\r\nContent-Length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\nTransfer-Encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSES: Final = re.compile(rb"\r\nConnection:[ \t]*close", re.IGNORECASE)
_ROOM: Final = 1 << 18
_TIMEOUT: Final = 300  # seconds


class WrongAnswer(Exception):
    """A server answered something else than it should have."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where a server listens on the loopback interface, and as whom to log in (Basic)."""

    port: int
    user: str
    password: str

    def request(self, method: str, path: str, body: bytes | str = b"", /, **headers: str) -> bytes:
        """The bytes of a request; underscores in header names stand for hyphens."""
        sent = body.encode() if isinstance(body, str) else body
        secret = b64encode(f"{self.user}:{self.password}".encode()).decode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Authorization: Basic {secret}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        if sent or method in ("PUT", "POST", "PROPFIND", "REPORT"):
            lines.append(f"Content-Length: {len(sent)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + sent


@dataclass(frozen=True, slots=True)
class Answer:
    """``head`` is the status line and the header fields; the body has no transfer coding any more."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header field, ``None`` where it is not there."""
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb":[ \t]*([^\r]*)", self.head, re.IGNORECASE)
        return found.group(1).decode("latin-1") if found else None


@dataclass(slots=True)
class Connection:
    """A kept connection; one that the server has closed is opened again with the next request."""

    port: int
    sock: socket.socket | None = None
    buffer: bytearray = field(default_factory=bytearray)
    _sent: bytes = b""

    def ask(self, request: bytes) -> Answer:
        """Sends a request and waits for its answer."""
        self.send(request)
        while True:
            answer = self.received()
            if answer is not None:
                return answer

    def send(self, request: bytes) -> None:
        """Sends a request."""
        self._sent = request
        if self.sock is None:
            self._open()
        assert self.sock is not None
        try:
            self.sock.sendall(request)
        except OSError:
            self._open()
            self.sock.sendall(request)

    def received(self) -> Answer | None:
        """Takes what has arrived; the answer if it is whole now."""
        assert self.sock is not None
        data = self.sock.recv(_ROOM)
        # Without it the kernel holds the acknowledgement back, and a server without TCP_NODELAY waits for it.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not data and not self.buffer:  # it was closed between two requests
            self._open()
            self.sock.sendall(self._sent)
            return None
        self.buffer += data
        answer = _whole(self.buffer, ended=not data)
        if answer is None:
            return None
        self.buffer.clear()
        if _CLOSES.search(answer.head):
            self.close()
        return answer

    def _open(self) -> None:
        self.close()
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """Ends the connection."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        self.buffer.clear()


def _whole(buffer: bytearray, *, ended: bool) -> Answer | None:
    """The answer in the buffer once all of it is there."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[: end + 2])
    status = int(head[9:12])
    if status == 100:  # an interim answer
        del buffer[: end + 4]
        return _whole(buffer, ended=ended)
    length = _LENGTH.search(head)
    if length is not None:
        stop = end + 4 + int(length.group(1))
        return Answer(status, head, bytes(buffer[end + 4 : stop])) if len(buffer) >= stop else None
    if _CHUNKED.search(head):
        body = _dechunked(buffer, end + 4) if buffer.endswith(b"0\r\n\r\n") else None
        return Answer(status, head, body) if body is not None else None
    if status in (204, 304):
        return Answer(status, head, b"")
    return Answer(status, head, bytes(buffer[end + 4 :])) if ended else None


def _dechunked(buffer: bytearray, start: int) -> bytes | None:
    """The chunks together; ``None`` where the last one is not there yet."""
    pieces: list[bytes] = []
    view = memoryview(buffer)
    try:
        while True:
            end = buffer.find(b"\r\n", start)
            if end < 0:
                return None
            size = int(bytes(view[start:end]).partition(b";")[0], 16)
            if size == 0:
                return b"".join(pieces)
            pieces.append(bytes(view[end + 2 : end + 2 + size]))
            start = end + 4 + size
            if start > len(buffer):
                return None
    finally:
        view.release()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a series of requests took: each request, all of them by the clock, and the client's own CPU; seconds."""

    each: Sequence[float]
    wall: float
    client: float


def one_by_one(
    connection: Connection, requests: Sequence[bytes], *, seconds: float = _TIMEOUT
) -> tuple[Spent, list[Answer]]:
    """Sends requests one after the other, and no further one when ``seconds`` are over."""
    answers, each = [], []
    cpu, began = time.process_time(), time.perf_counter()
    before = began
    for request in requests:
        answers.append(connection.ask(request))
        now = time.perf_counter()
        each.append(now - before)
        before = now
        if now - began > seconds:
            break
    return Spent(each, before - began, time.process_time() - cpu), answers


def side_by_side(
    connections: Sequence[Connection], requests: Sequence[bytes], *, seconds: float = _TIMEOUT
) -> tuple[Spent, list[Answer]]:
    """Sends requests over several connections, each with one under way; the answers in no certain order.

    No further request is sent when ``seconds`` are over.
    """
    answers: list[Answer] = []
    each: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    todo = _until(began + seconds, requests)
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            _next(selector, connection, todo)
        while selector.get_map():
            ready = selector.select(_TIMEOUT)
            if not ready:
                raise WrongAnswer(f"nothing was answered for {_TIMEOUT} seconds")
            for key, _ in ready:
                connection, sent_at = key.data
                selector.unregister(key.fileobj)
                answer = connection.received()
                if answer is None:
                    selector.register(connection.sock, selectors.EVENT_READ, (connection, sent_at))
                    continue
                answers.append(answer)
                each.append(time.perf_counter() - sent_at)
                _next(selector, connection, todo)
    return Spent(each, time.perf_counter() - began, time.process_time() - cpu), answers


def _until(deadline: float, requests: Iterable[bytes]) -> Iterator[bytes]:
    return takewhile(lambda _: time.perf_counter() < deadline, requests)


def _next(selector: selectors.BaseSelector, connection: Connection, todo: Iterator[bytes]) -> None:
    request = next(todo, None)
    if request is not None:
        at = time.perf_counter()
        connection.send(request)
        assert connection.sock is not None
        selector.register(connection.sock, selectors.EVENT_READ, (connection, at))
