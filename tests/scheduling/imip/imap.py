"""An IMAP server for tests with one mailbox: what ``scheduling.imip.poll`` asks, and no more."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Message:
    raw: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class Store:
    """Folders by name; ``keywords``: flags of one's own are kept; ``moves``: there is MOVE (RFC 6851)."""

    folders: dict[str, dict[int, Message]] = field(default_factory=lambda: {"INBOX": {}})
    keywords: bool = True
    moves: bool = True
    logins: int = 0
    port: int = 0
    fail: str = ""
    following: int = 1

    def put(self, raw: bytes, folder: str = "INBOX", *flags: str) -> int:
        uid, self.following = self.following, self.following + 1
        self.folders[folder][uid] = Message(raw, set(flags))
        return uid

    def flags(self, folder: str = "INBOX") -> list[set[str]]:
        return [one.flags for one in self.folders[folder].values()]


class _Session(socketserver.StreamRequestHandler):
    store: Store
    folder = ""

    def say(self, *lines: str | bytes) -> None:
        for line in lines:
            self.wfile.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def handle(self) -> None:
        self.say("* OK ready")
        for line in self.rfile:
            tag, _, rest = line.decode().strip().partition(" ")
            command = rest.upper()
            if self.store.fail and self.store.fail in command:
                self.say(f"{tag} NO it is broken")
            elif command.startswith("CAPABILITY"):
                self.say(f"* CAPABILITY IMAP4rev1{' MOVE' if self.store.moves else ''}", f"{tag} OK done")
            elif command.startswith("LOGIN"):
                good = '"secret"' in rest
                self.store.logins += good
                self.say(f"{tag} OK done" if good else f"{tag} NO wrong password")
            elif command.startswith("SELECT"):
                self.select(tag, rest.split(" ", 1)[1].strip('"'))
            elif command.startswith("LOGOUT"):
                self.say("* BYE", f"{tag} OK done")
                return
            elif command.startswith("UID "):
                self.uid(tag, rest[4:])
            else:
                self.say(f"{tag} BAD unknown")

    def select(self, tag: str, name: str) -> None:
        if name not in self.store.folders:
            self.say(f"{tag} NO there is no such folder")
            return
        self.folder = name
        flags = r"\Seen \Deleted \*" if self.store.keywords else r"\Seen \Deleted"
        self.say(f"* {len(self.store.folders[name])} EXISTS", f"* OK [PERMANENTFLAGS ({flags})] x", f"{tag} OK done")

    def uid(self, tag: str, rest: str) -> None:
        command, _, arguments = rest.partition(" ")
        messages = self.store.folders[self.folder]
        if command.upper() == "SEARCH":
            words = arguments.split()
            without = {words[index + 1] for index, word in enumerate(words) if word == "UNKEYWORD"}
            without |= {r"\Seen"} if "UNSEEN" in words else set()
            found = [uid for uid, one in messages.items() if not one.flags & (without | {r"\Deleted"})]
            self.say(f"* SEARCH {' '.join(map(str, found))}".rstrip(), f"{tag} OK done")
            return
        number, _, what = arguments.partition(" ")
        message = messages.get(int(number))
        if message is not None and command.upper() == "FETCH":
            if "SIZE" in what:
                self.say(f"* 1 FETCH (UID {number} RFC822.SIZE {len(message.raw)})")
            else:
                self.wfile.write(f"* 1 FETCH (UID {number} BODY[] {{{len(message.raw)}}}\r\n".encode())
                self.wfile.write(message.raw + b")\r\n")
        elif message is not None and command.upper() == "STORE":
            message.flags |= set(re.findall(r"[\\$A-Za-z]+", what.partition("(")[2]))
        elif message is not None:
            target = what.strip('"')
            if target not in self.store.folders:
                self.say(f"{tag} NO [TRYCREATE] there is no such folder")
                return
            self.store.put(message.raw, target, *message.flags)
            if command.upper() == "MOVE":
                del messages[int(number)]
        self.say(f"{tag} OK done")


@contextmanager
def serving(store: Store) -> Iterator[Store]:
    """``store`` behind a port of this machine."""
    kind = type("Session", (_Session,), {"store": store})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind, bind_and_activate=False) as server:
        server.daemon_threads = True
        server.server_bind()
        server.server_activate()
        store.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
