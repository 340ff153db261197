"""A place for mail on the loopback interface: it shows whether Thunderbird mailed an invitation itself."""

from __future__ import annotations

import email
import socketserver
import threading
from email.message import Message


class Sink(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on a free port and keeps what it is given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.messages: list[str] = []


class Session(socketserver.StreamRequestHandler):
    """Enough of SMTP (RFC 5321) for a client that wants to get rid of a message."""

    timeout = 60

    def handle(self) -> None:
        """Answer the commands of one connection."""
        self.say("220 ready")
        while line := self.rfile.readline():
            command = line.strip().upper()
            if command.startswith(b"DATA"):
                self.say("354 go on")
                self.keep()
            elif command.startswith(b"QUIT"):
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def keep(self) -> None:
        """Take a message up to the line with the single dot."""
        data = b""
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            data += line
        if isinstance(self.server, Sink):
            self.server.messages.append(data.decode("utf-8", "replace"))
        self.say("250 kept")

    def say(self, text: str) -> None:
        """Send one line."""
        self.wfile.write(text.encode() + b"\r\n")


class Mailbox:
    """What was mailed since it was made."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.port = int(self.sink.server_address[1])
        threading.Thread(target=self.sink.serve_forever, args=(0.2,), daemon=True).start()

    @property
    def messages(self) -> list[str]:
        """The messages as they came, oldest first."""
        return self.sink.messages

    def close(self) -> None:
        """Stop listening."""
        self.sink.shutdown()
        self.sink.server_close()


def text_of(message: str) -> str:
    """The decoded text of all parts of a message."""
    parts = email.message_from_string(message).walk()
    return "\n".join(decoded(part) for part in parts if not part.is_multipart())


def decoded(part: Message) -> str:
    """The text of one part."""
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
