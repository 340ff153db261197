"""A logging reverse proxy between a real client and the server, on the loopback interface (standard library only).

The Host header goes through unchanged, so a server that builds absolute URLs from it points back at the proxy. A
request for `/__mark__/<text>` is answered here (204) and labels the exchanges that follow, for drivers whose client
runs in another process. Accept-Encoding is cut down to what can be logged decoded. What is kept of an exchange, and
how to read a log, is in `conformance.exchanges`.
"""

from __future__ import annotations

import gzip
import http.client
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
import zlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TextIO

from conformance.exchanges import Exchange, Headers, dump, without_credentials

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
MARK = "/__mark__/"
TIMEOUT = 120  # seconds


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection; a client that goes away is no error."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    proxy: LogProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, apart from lost connections."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class LogProxy:
    """The proxy; `start` returns once it listens, `port` is where. Give it a `log` to keep the exchanges there."""

    def __init__(self, upstream: str, log: Path | None = None) -> None:
        parts = urllib.parse.urlsplit(upstream)
        self.host = parts.hostname or "127.0.0.1"
        self.upstream_port = parts.port or 80
        self.upstream_origin = f"{parts.scheme}://{parts.netloc}"
        self.lock = threading.Lock()
        self.exchanges: list[Exchange] = []
        self.mark = ""
        self.log: TextIO | None = log.open("w", encoding="utf-8") if log else None
        self.server = Server(("127.0.0.1", 0), Relay)
        self.server.proxy = self
        self.port = int(self.server.server_address[1])

    @property
    def url(self) -> str:
        """The origin of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> LogProxy:
        """Serve in a thread of this process."""
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving and close the log."""
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            if self.log:
                self.log.close()
                self.log = None

    def set_mark(self, text: str) -> None:
        """Label the exchanges that follow."""
        with self.lock:
            self.mark = text

    def count(self) -> int:
        """How many exchanges there were."""
        with self.lock:
            return len(self.exchanges)

    def since(self, count: int) -> list[Exchange]:
        """The exchanges after the first `count`."""
        with self.lock:
            return self.exchanges[count:]

    def keep(self, exchange: Exchange) -> None:
        """Number the exchange and write it down."""
        with self.lock:
            exchange.number = len(self.exchanges) + 1
            exchange.mark = self.mark
            self.exchanges.append(exchange)
            if self.log:
                self.log.write(dump(exchange) + "\n")
                self.log.flush()


class Relay(BaseHTTPRequestHandler):
    """One connection of the client: any method is relayed."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    upstream: http.client.HTTPConnection | None = None

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, Server)
        self.proxy = self.server.proxy
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def finish(self) -> None:
        if self.upstream:
            self.upstream.close()
        try:
            super().finish()
        except OSError:
            return  # the client has gone, there is nobody left to tell

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Say nothing: the exchanges are the log."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.relay
        raise AttributeError(name)

    def relay(self) -> None:
        body = read_body(self)
        if self.path.startswith(MARK):
            self.proxy.set_mark(urllib.parse.unquote(self.path[len(MARK) :]))
            self.send_response_only(204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begun = time.monotonic()
        headers: Headers = list(self.headers.items())
        status, reason, answered, data = self.forward(headers, body)
        exchange = Exchange(
            0,
            "",
            self.command,
            self.path,
            without_credentials(headers),
            body.decode("utf-8", "replace"),
            status,
            reason,
            answered,
            decoded(data, answered).decode("utf-8", "replace"),
            int((time.monotonic() - begun) * 1000),
        )
        self.proxy.keep(exchange)
        self.answer(status, reason, answered, data)

    def answer(self, status: int, reason: str, headers: Headers, data: bytes) -> None:
        here = f"http://{self.headers.get('Host', '')}"
        bodyless = self.command == "HEAD" or status in {204, 304} or status < 200
        self.send_response_only(status, reason)
        for name, value in headers:
            key = name.lower()
            if key in HOP_BY_HOP or (key == "content-length" and self.command != "HEAD"):
                continue
            self.send_header(name, value.replace(self.proxy.upstream_origin, here) if key == "location" else value)
        if not bodyless:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not bodyless:
            self.wfile.write(data)

    def forward(self, headers: Headers, body: bytes) -> tuple[int, str, Headers, bytes]:
        """Send it on; a kept connection that the server has closed meanwhile is opened again, once."""
        for fresh in (self.upstream is None, True):
            if self.upstream is None:
                self.upstream = http.client.HTTPConnection(self.proxy.host, self.proxy.upstream_port, timeout=TIMEOUT)
            try:
                return self.exchange(self.upstream, headers, body)
            except (OSError, http.client.HTTPException) as error:
                self.upstream.close()
                self.upstream = None
                if fresh:
                    text = f"The server did not answer the proxy: {error!r}\n".encode()
                    return 502, "Bad Gateway", [("Content-Type", "text/plain")], text
        raise AssertionError("the second attempt is always a fresh one")

    def exchange(
        self, upstream: http.client.HTTPConnection, headers: Headers, body: bytes
    ) -> tuple[int, str, Headers, bytes]:
        here = f"http://{self.headers.get('Host', '')}"
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            key = name.lower()
            sent = value
            if key in HOP_BY_HOP:
                continue
            if key == "accept-encoding":
                sent = loggable(value)
            if key in {"destination", "if"}:
                sent = value.replace(self.proxy.upstream_origin, here)
            if sent:
                upstream.putheader(name, sent)
        if body and "Content-Length" not in self.headers:
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body or None)
        response = upstream.getresponse()
        data = response.read()
        if response.will_close:
            upstream.close()
            self.upstream = None
        return response.status, response.reason, response.getheaders(), data


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, with its length or in chunks (RFC 9112 7.1)."""
    if "chunked" not in (request.headers.get("Transfer-Encoding") or "").lower():
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return body


def loggable(value: str) -> str:
    """The codings of an Accept-Encoding header that the proxy can undo for the log."""
    codings = [part.strip() for part in value.split(",")]
    return ", ".join(each for each in codings if each.split(";")[0].strip() in {"gzip", "deflate", "identity"})


def decoded(data: bytes, headers: Headers) -> bytes:
    """A response body without its content coding."""
    coding = next((value.lower() for name, value in headers if name.lower() == "content-encoding"), "")
    if not data:
        return data
    if "gzip" in coding:
        return gzip.decompress(data)
    if "deflate" in coding:
        return zlib.decompress(data)
    return data
