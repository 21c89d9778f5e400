# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Pegasus server that a test plays: it gets what the client sends, and answers whatever the test says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.pegasus import admin, schema
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient, Settings
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import HEADER, Rpc, Server

BY_CODE = {rpc.code: rpc for rpc in [*vars(schema).values(), *vars(admin).values()] if isinstance(rpc, Rpc)}


class Whole(PegasusClient, PegasusAdmin):
    """All that a client can."""


class Asked(NamedTuple):
    """A request. header: the fields of version 0; asked: what its arguments mean; kind: CALL or ONEWAY."""

    code: str
    header: tuple[Any, ...]
    kind: int
    seqid: int
    asked: Any
    raw: bytes
    connection: socket.socket

    @property
    def rpc(self) -> Rpc:
        return BY_CODE[self.code]

    def reply(self, *values: Any, error: str = "ERR_OK", body: bytes | None = None, code: str = "") -> bytes:
        """A whole reply. values: of the answer's fields, in their order; body: the answer as bytes instead."""
        assert self.rpc.answer
        name = (code or self.code + "_ACK").encode()
        head = struct.pack(">i", len(error)) + error.encode() + b"\x80\1\0\2" + struct.pack(">i", len(name)) + name
        result = b""
        if error == "ERR_OK":
            result = b"\x0c\0\0" + (body if body is not None else self.rpc.answer.write(values)) + b"\0"
        data = head + struct.pack(">i", self.seqid) + result
        return struct.pack(">I", len(data) + 4) + data


def address(server: Server | None) -> bytes:
    """As it stands in a reply."""
    if server is None:
        return b"\0" * 8
    host = int.from_bytes(socket.inet_aton(server.host), "big")
    return struct.pack(">Q", host << 32 | server.port << 16 | 1)


def configuration(app_id: int, partitions: Sequence[tuple[int, Server | None]], err: str = "ERR_OK") -> bytes:
    """The answer to a query for a table's configuration; partitions: (ballot, primary)."""
    parts = [b"\x0c\0\1" + struct.pack(">i", len(err)) + err.encode(), b"\x08\0\2" + struct.pack(">i", app_id)]
    parts += [b"\x08\0\3" + struct.pack(">i", len(partitions)), b"\x02\0\4\1"]
    parts.append(b"\x0f\0\5\x0c" + struct.pack(">i", len(partitions)))
    for number, (ballot, primary) in enumerate(partitions):
        parts += [b"\x0c\0\1" + struct.pack(">Q", number << 32 | app_id), b"\x0a\0\2" + struct.pack(">q", ballot)]
        parts += [b"\x08\0\3\0\0\0\3", b"\x0c\0\4" + address(primary), b"\0"]
    return b"".join(parts) + b"\0"


Answer = Callable[[Asked], "bytes | None"]


class Double:
    """A server on a port of its own. answer: gives what is sent back; None: nothing, EOFError: it hangs up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections: list[socket.socket] = []
        self.arrived = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.server = Server(*self._listener.getsockname())
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _peer = self._listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            stream = connection.makefile("rb")
            while head := stream.read(HEADER.size):
                fields = HEADER.unpack(head)
                body = stream.read(fields[4])
                (size,) = struct.unpack_from(">i", body, 4)
                code, (seqid,) = body[8 : 8 + size].decode(), struct.unpack_from(">i", body, 8 + size)
                values = list(BY_CODE[code].ask.read(body, 12 + size)[0].values())
                asked = Asked(code, fields, body[3], seqid, values[0] if values else None, head + body, connection)
                with self.arrived:
                    self.asked.append(asked)
                    self.arrived.notify_all()
                data = self.answer(asked)
                if data:
                    connection.sendall(data)

    def wait(self, count: int) -> None:
        """Until so many requests have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.asked) >= count, 20), [asked.code for asked in self.asked]

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Nothing is taken any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


@contextlib.contextmanager
def playing(*answers: Answer) -> Iterator[list[Double]]:
    """Servers for the time of a test."""
    doubles = [Double(answer) for answer in answers]
    try:
        yield doubles
    finally:
        for double in doubles:
            double.stop()


FINE = {schema.GET.code: (0, b"v", "s"), schema.TTL.code: (0, -1, "s"), schema.INCR.code: (0, 5, "s")}


class Played:
    """One meta server and one replica server, of whose table "t" every partition is the latter's."""

    def __init__(self, meta: Double, replica: Double) -> None:
        self.meta, self.replica, self.partitions, self.app_id = meta, replica, 4, 3
        self.ready = True
        self.answers: dict[str, Callable[[Asked], bytes | None]] = {}
        meta.answer = replica.answer = self.answer
        self.client = Whole(Settings((meta.server,), timeout=5.0, retries=3))

    def answer(self, asked: Asked) -> bytes | None:
        if asked.code in self.answers:
            return self.answers[asked.code](asked)
        if asked.rpc is schema.QUERY_CONFIG:
            one = (3, self.replica.server) if self.ready else (0, None)
            return asked.reply(body=configuration(self.app_id, [one] * self.partitions))
        if asked.rpc is schema.CLEAR_SCANNER:
            return None
        if asked.rpc.meta:
            return asked.reply("ERR_OK")
        return asked.reply(*FINE.get(asked.code, (0,)))

    def sent(self) -> list[Asked]:
        """To both servers, without the queries."""
        return [each for each in self.meta.asked + self.replica.asked if each.rpc is not schema.QUERY_CONFIG]


def after(count: int, first: Callable[[Asked], bytes | None]) -> Callable[[Asked], bytes | None]:
    """first for so many requests, then the usual answer."""
    left = [count]

    def answer(asked: Asked) -> bytes | None:
        left[0] -= 1
        return first(asked) if left[0] >= 0 else asked.reply(*FINE.get(asked.code, (0,)))

    return answer


def hangs_up(_asked: Asked) -> bytes | None:
    raise EOFError
