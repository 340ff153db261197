"""Small servers on loopback that speak as much of their protocol as a login needs."""

from __future__ import annotations

import base64
import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qs

ACCOUNTS = {"u1": "right:ß", "u2": "right too"}


class Imap(socketserver.StreamRequestHandler):
    """RFC 9051, with AUTHENTICATE PLAIN (RFC 4616)."""

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, command, *rest = line.decode().split()
            if command == "CAPABILITY":
                self.wfile.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            elif command == "AUTHENTICATE" and rest == ["PLAIN"]:
                self.wfile.write(b"+ \r\n")
                _, login, password = base64.b64decode(self.rfile.readline()).decode().split("\0")
                if ACCOUNTS.get(login) != password:
                    self.wfile.write(f"{tag} NO wrong password\r\n".encode())
                    continue
            elif command == "LOGOUT":
                self.wfile.write(f"* BYE now\r\n{tag} OK done\r\n".encode())
                return
            self.wfile.write(f"{tag} OK done\r\n".encode())


class Dovecot(socketserver.StreamRequestHandler):
    """Dovecot's authentication protocol 1.1."""

    asked: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tab\nDONE\n")
        for line in self.rfile:
            parts = line.decode().rstrip("\n").split("\t")
            if parts[0] == "AUTH":
                self.asked.append(line.decode())
                response = next(part for part in parts if part.startswith("resp="))
                _, login, password = base64.b64decode(response[len("resp=") :]).decode().split("\0")
                verdict = f"OK\t{parts[1]}\tuser={login}" if ACCOUNTS.get(login) == password else f"FAIL\t{parts[1]}"
                self.wfile.write(f"{verdict}\n".encode())
                return


class OAuth2(http.server.BaseHTTPRequestHandler):
    """The password grant of RFC 6749 section 4.3."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = ACCOUNTS.get(form["username"][0]) == form["password"][0] and form["grant_type"] == ["password"]
        body = b'{"access_token": "abc", "token_type": "bearer"}' if right else b'{"error": "invalid_grant"}'
        self.send_response(200 if right else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Ldap(socketserver.BaseRequestHandler):
    """RFC 4511: simple bind, a search for one uid, unbind. Encoded by the library that the client uses."""

    READER = ("cn=reader,dc=example,dc=org", "reader's")
    #: The uid that is logged in with, and the name in the attribute ``calendarName``.
    NAMES: ClassVar[dict[str, str]] = {"u1": "u1", "u2": "second"}

    def handle(self) -> None:
        from ldap3.protocol.rfc4511 import LDAPMessage
        from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]
        from pyasn1.error import SubstrateUnderrunError  # type: ignore[import-untyped]

        buffer = b""
        while data := self.request.recv(65536):
            buffer += data
            try:
                message, buffer = decoder.decode(buffer, asn1Spec=LDAPMessage())
            except SubstrateUnderrunError:
                continue
            for answer in self._answers(message):
                answer["messageID"] = message["messageID"]
                self.request.sendall(encoder.encode(answer))

    def _answers(self, message: Any) -> Iterator[Any]:
        from ldap3.protocol import rfc4511

        def done(kind: str, result: int) -> Any:
            reply = rfc4511.LDAPMessage()
            reply["protocolOp"][kind]["resultCode"] = result
            reply["protocolOp"][kind]["matchedDN"] = ""
            reply["protocolOp"][kind]["diagnosticMessage"] = ""
            return reply

        operation = message["protocolOp"]
        if operation.getName() == "bindRequest":
            dn = str(operation["bindRequest"]["name"])
            password = bytes(operation["bindRequest"]["authentication"]["simple"]).decode()
            users = {f"uid={uid},dc=example,dc=org": secret for uid, secret in ACCOUNTS.items()}
            yield done("bindResponse", 0 if dict([self.READER], **users).get(dn) == password else 49)
        elif operation.getName() == "searchRequest":
            uid = str(operation["searchRequest"]["filter"]["equalityMatch"]["assertionValue"])
            if uid in self.NAMES:
                entry = rfc4511.LDAPMessage()
                entry["protocolOp"]["searchResEntry"]["object"] = f"uid={uid},dc=example,dc=org"
                attribute = entry["protocolOp"]["searchResEntry"]["attributes"][0]
                attribute["type"] = "calendarName"
                attribute["vals"][0] = self.NAMES[uid]
                yield entry
            yield done("searchResDone", 0)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server with this handler on a free port of 127.0.0.1."""
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port of 127.0.0.1 at which nobody answers."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler, bind_and_activate=False) as server:
        server.server_bind()  # bound, not listening: connections are refused, and nobody else gets the port
        yield server.server_address[1]
