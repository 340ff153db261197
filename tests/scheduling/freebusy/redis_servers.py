"""Redis processes of our own, alone and as a cluster, and a wire that can be slow or cut."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

SECONDS_TO_START = 20


def required() -> str:
    """The program; skips where there is none."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server (or the package of your system)")
    return found


def free_port() -> int:
    """A port whose number leaves room for that of the cluster bus, 10,000 above."""
    while True:
        with closing(socket.socket()) as one, closing(socket.socket()) as bus:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if port > 55_000:
                continue
            with suppress(OSError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port


class Server:
    """One redis-server without persistence; a restart forgets everything."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [required(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        log = self._folder / f"{self.port}.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._folder), *self._arguments], stdout=output, stderr=output
            )
        until = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                with closing(self.client()) as client:
                    client.ping()
                    return
            except RedisError:
                if time.monotonic() > until or self._process.poll() is not None:
                    self.stop()
                    raise AssertionError(f"redis-server did not start: {log.read_text()}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self) -> Any:
        return Redis(port=self.port, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Cluster:
    """Three nodes that share the slots."""

    SLOTS = 16_384

    def __init__(self, folder: Path) -> None:
        self.nodes: list[Server] = []
        try:
            for number in range(3):
                file = f"nodes-{number}.conf"
                self.nodes.append(Server(folder, "--cluster-enabled", "yes", "--cluster-config-file", file))
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self) -> None:
        bounds = [self.SLOTS * at // 3 for at in range(4)]
        for at, node in enumerate(self.nodes):
            with closing(node.client()) as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[at], bounds[at + 1] - 1)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        until = time.monotonic() + SECONDS_TO_START
        for node in self.nodes:
            with closing(node.client()) as client:
                while b"cluster_state:ok" not in _bytes(client.execute_command("CLUSTER", "INFO")):
                    assert time.monotonic() < until, "the cluster did not come up"
                    time.sleep(0.05)

    def move_slots(self) -> None:
        """Gives most slots of the first (empty) node to the second one."""
        clients = [node.client() for node in self.nodes]
        second = _bytes(clients[1].execute_command("CLUSTER", "MYID")).decode()
        for slot in range(self.SLOTS // 4):
            for client in clients:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", second)
        for client in clients:
            client.close()

    def flush(self) -> None:
        for node in self.nodes:
            with closing(node.client()) as client:
                client.flushall()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _bytes(answer: object) -> bytes:
    if isinstance(answer, dict):
        return b"\n".join(f"{name}:{value}".encode() for name, value in answer.items())
    return answer if isinstance(answer, bytes) else str(answer).encode()


class Wire:
    """A TCP proxy before a server: as it is, or with a delay, or cut after some bytes of an answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.delay = 0.0
        #: Bytes of answers that still pass before every connection is cut; None: no end.
        self.remaining: int | None = None
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            self._run(self._pump, near, far, False)
            self._run(self._pump, far, near, True)

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                if answers and self.delay:
                    time.sleep(self.delay)
                limit = self.remaining if answers else None
                if limit is not None:
                    self.remaining = max(0, limit - len(data))
                    sink.sendall(data[:limit])
                    if len(data) >= limit:
                        break
                    continue
                sink.sendall(data)
        for one in (source, sink):
            self._open.discard(one)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut(self) -> None:
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)


def mishaps(server: Server, wire: Wire) -> list[Callable[[Random], None]]:
    """What befalls a Redis and the way to it; the more frequent ones stand there twice."""

    def flush(_random: Random) -> None:
        with closing(server.client()) as client:
            client.flushall()

    def evict(random: Random) -> None:
        with closing(server.client()) as client:
            keys = sorted(client.keys("caldavd:*"))
            for key in random.sample(keys, len(keys) // 3):
                client.delete(key)

    def restart(_random: Random) -> None:
        server.restart()

    def slow(random: Random) -> None:
        wire.delay = random.choice((0, 0, 0.01, 0.3))

    def cut(random: Random) -> None:
        wire.remaining = random.choice((None, None, 0, 20, 200, 2000))
        if wire.remaining is None:
            wire.cut()

    return [flush, evict, restart, slow, slow, cut, cut]
