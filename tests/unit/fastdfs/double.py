# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracker and storage in one that does what a test tells it to, and keeps what it was asked. It has no state."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import Server, Settings
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster

CONTENT = b"hello fastdfs\n"
NORMAL = "group1/M00/00/00/fwAAAWsBb8OAAxZzAAAADg4Qul0309.txt"
EMPTY = "group1/M00/00/00/fwAAAWsBb8OAof4TAAAAAAAAAAA032.txt"
APPENDER = "group1/M00/00/00/fwAAAWsBdLeEFtveAAAAAKaEx8Y671.log"
SLAVE = "group1/M00/00/00/fwAAAWsBb8OAAxZzAAAADg4Qul0309_150x150.jpg"
EAGER = 1 << 16  # longer bodies are left to whoever answers


class Seen(NamedTuple):
    """One request. connection: the client's port; length: of the body, of which body may be only a part."""

    command: int
    flags: int
    body: bytes
    length: int
    connection: int


class Gone(Exception):
    """The connection is over."""


class Call:
    """A request being answered."""

    def __init__(self, double: Double, stream: socket.socket, seen: Seen) -> None:
        self.double, self.stream, self.seen = double, stream, seen

    def reply(self, body: bytes = b"", status: int = 0) -> None:
        """Answer as servers do."""
        self.send(wire.HEADER.pack(len(body), wire.REPLY, status) + body)

    def send(self, data: bytes) -> None:
        """Send any bytes."""
        self.stream.sendall(data)

    def take(self, count: int) -> bytes:
        """Read count bytes of what was left of the body."""
        return self.double.exactly(self.stream, count)

    def drop(self, reset: bool = False) -> None:
        """Close the connection; reset: at once, whatever there is to read."""
        if reset:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def wait(self) -> None:
        """Be silent until the client goes away."""
        self.double.readable(self.stream, closing=True)
        raise Gone


Answer = Callable[[Call], Any]


def says(body: bytes = b"", status: int = 0) -> Answer:
    """A plain answer."""
    return lambda call: call.reply(body, status)


def drops(call: Call) -> None:
    """No answer."""
    call.drop()


def waits(call: Call) -> None:
    """No answer, and no end."""
    call.wait()


def place(*servers: Server, width: int = 15) -> bytes:
    """A tracker's answer to 102, 103 and 105."""
    return b"group1".ljust(16, b"\0") + b"".join(
        server.host.encode().ljust(width, b"\0") + server.port.to_bytes(8, "big") for server in servers
    )


def info(size: int, crc32: int = 0) -> bytes:
    """A storage's answer to 22."""
    return struct.pack("!qqq", size, 1700000000, crc32) + b"127.0.0.1".ljust(16, b"\0")


def stored(file_id: str) -> bytes:
    """A storage's answer to an upload."""
    group, _slash, name = file_id.partition("/")
    return group.encode().ljust(16, b"\0") + name.encode()


class Double:
    """on: what is answered by command: an Answer, or a list of them whose last one stays."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.listener = socket.create_server((host, 0))
        self.server = Server(*self.listener.getsockname()[:2])
        self.seen: list[Seen] = []
        self.connections = 0
        here = place(self.server)
        self.on: dict[int, Any] = {
            **dict.fromkeys((wire.FETCH, wire.UPDATE, wire.FETCH_ALL), says(here)),
            **dict.fromkeys((wire.STORE, wire.STORE_IN, wire.STORE_ALL, wire.STORE_ALL_IN), says(here + b"\0")),
            wire.ACTIVE_TEST: says(),
        }
        self._end, self._wake = socket.socketpair()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Double:
        return self

    def __exit__(self, *_what: object) -> None:
        self._wake.close()
        for thread in self._threads:
            thread.join()
        self.listener.close()
        self._end.close()

    def over(self, seconds: float) -> bool:
        """Whether the test ends within so many seconds."""
        return bool(select.select([self._end], [], [], seconds)[0])

    def ended(self, connections: int) -> None:
        """Wait until there have been so many connections and all of them are over."""
        while self.connections < connections:
            self._threads[-1].join(0.01)
        for thread in self._threads[1:]:
            thread.join()

    def commands(self) -> list[int]:
        """Which requests came, in order."""
        return [seen.command for seen in self.seen]

    def of(self, command: int) -> list[Seen]:
        """The requests of one kind."""
        return [seen for seen in self.seen if seen.command == command]

    def readable(self, stream: socket.socket, closing: bool = False) -> None:
        """Wait until there is something to read (closing: until it is over); Gone at the test's end."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        poll.register(stream, select.POLLRDHUP if closing else select.POLLIN)
        if any(number == self._end.fileno() for number, _event in poll.poll()):
            raise Gone

    def exactly(self, stream: socket.socket, count: int) -> bytes:
        """count bytes, or Gone."""
        data = b""
        while len(data) < count:
            self.readable(stream)
            more = stream.recv(min(count - len(data), EAGER))
            if not more:
                raise Gone
            data += more
        return data

    def _accept(self) -> None:
        with contextlib.suppress(Gone):
            while True:
                self.readable(self.listener)
                stream, peer = self.listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(stream, peer[1]))
                self._threads.append(thread)
                thread.start()

    def _serve(self, stream: socket.socket, number: int) -> None:
        with stream, contextlib.suppress(Gone, OSError):
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                length, command, flags = wire.HEADER.unpack(self.exactly(stream, 10))
                seen = Seen(command, flags, self.exactly(stream, min(length, EAGER)), length, number)
                self.seen.append(seen)
                answer = self.on[command]
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                answer(Call(self, stream, seen))


@contextlib.contextmanager
def serving(*trackers: Server, timeout: float = 30.0, retries: int = 2) -> Iterator[tuple[Double, Cluster]]:
    """A double, and a client that uses it (or other trackers) and never pauses."""
    with Double() as double:
        client = Cluster(Settings(trackers or (double.server,), 5.0, timeout, retries))
        client._retry._sleep = lambda seconds: None
        try:
            yield double, client
        finally:
            client.close()


def of(data: bytes = CONTENT) -> Callable[[], Any]:
    """A source of content, opened anew for each try."""
    return lambda: io.BytesIO(data)


def nowhere() -> Server:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return Server(*taken.getsockname()[:2])


def still_used(double: Double, client: Cluster, before: int) -> bool:
    """Whether the next request goes over the connection of the one numbered before."""
    connection = double.seen[before].connection
    client.ping(double.server, "storage")
    return double.seen[-1].connection == connection
