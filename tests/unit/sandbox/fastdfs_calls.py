# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare client of FastDFS's protocol, for the tests beside it: bytes out, bytes in."""

from __future__ import annotations

import contextlib
import json
import pathlib
import select
import socket
import struct
from typing import Any

from ansible_collections.polystore.storage.tests.support.servers import FdfsServer

HEADER = struct.Struct(">QBB")
VECTORS = pathlib.Path(__file__).parents[2] / "support" / "fdfs_vectors.json"
ACTIVE = HEADER.pack(0, 111, 0)
OK = HEADER.pack(0, 100, 0)
SILENCE = 0.05  # seconds in which nothing has to come
Answer = tuple[int, bytes]


def vectors() -> dict[str, Any]:
    """What real servers were asked and answered."""
    found: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found


def padded(text: str, size: int = 16) -> bytes:
    """A text in its field."""
    return text.encode().ljust(size, b"\0")


def number(value: int) -> bytes:
    """8 bytes."""
    return struct.pack(">q", value)


def split(name: str) -> tuple[bytes, bytes]:
    """A file id as the field of its group, and its name."""
    group, _slash, rest = name.partition("/")
    return padded(group), rest.encode()


class Wire:
    """One connection."""

    def __init__(self, where: str, timeout: float = 20.0) -> None:
        host, _colon, port = where.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)

    def send(self, data: bytes) -> None:
        """As it is."""
        self.socket.sendall(data)

    def exactly(self, count: int) -> bytes:
        """ConnectionError when the server closes."""
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data

    def answer(self) -> Answer:
        """Status and body."""
        length, command, status = HEADER.unpack(self.exactly(HEADER.size))
        assert command == 100
        return status, self.exactly(length)

    def answer_to(self, packet: bytes) -> Answer:
        """A packet and its answer."""
        self.send(packet)
        return self.answer()

    def ask(self, command: int, body: bytes = b"", flags: int = 0) -> Answer:
        """A request and its answer."""
        self.send(HEADER.pack(len(body), command, flags) + body)
        return self.answer()

    def after(self) -> str:
        """What the connection is good for: open, closed or deaf."""
        try:
            self.send(ACTIVE)
            if not select.select([self.socket], [], [], SILENCE if self.deaf_is_possible else 20)[0]:
                return "deaf"
            return "open" if self.exactly(HEADER.size) == OK else "confused"
        except ConnectionError:
            return "closed"

    deaf_is_possible = True

    def close(self) -> None:
        """Ends it."""
        with contextlib.suppress(OSError):
            self.socket.close()


class Client:
    """Asks trackers and storages; keeps a connection to each."""

    def __init__(self, server: FdfsServer) -> None:
        self.server = server
        self.wires: dict[str, Wire] = {}

    def wire(self, where: str = "") -> Wire:
        """The connection to a server; to the first tracker."""
        where = where or self.server.trackers[0]
        if where not in self.wires:
            self.wires[where] = Wire(where)
        return self.wires[where]

    def fresh(self, where: str = "") -> Wire:
        """Another connection, in place of the one that was there."""
        where = where or self.server.trackers[0]
        if where in self.wires:
            self.wires.pop(where).close()
        return self.wire(where)

    def close(self) -> None:
        """Ends all connections."""
        for wire in self.wires.values():
            wire.close()

    def where(self, command: int, body: bytes) -> str:
        """The storage that a query names."""
        status, found = self.wire().ask(command, body)
        assert status == 0, status
        width = 45 if len(found) in (69, 70) else 15
        return f"{found[16 : 16 + width].rstrip(bytes(1)).decode()}:{struct.unpack('>Q', found[16 + width :][:8])[0]}"

    def upload(self, data: bytes = b"hello", extension: str = "txt", appender: bool = False, group: str = "") -> str:
        """The new file's id."""
        where = self.where(104, padded(group)) if group else self.where(101, b"")
        body = b"\0" + number(len(data)) + padded(extension, 6) + data
        return self.made(self.wire(where).ask(23 if appender else 11, body))

    @staticmethod
    def made(answer: Answer) -> str:
        """The id in an answer."""
        status, body = answer
        assert status == 0, status
        return body[:16].rstrip(b"\0").decode() + "/" + body[16:].decode()

    def source(self, name: str) -> str:
        """Where a file's changes go."""
        return self.where(103, b"".join(split(name)))

    def slave(self, master: str, prefix: str, data: bytes = b"small", extension: str = "jpg") -> Answer:
        """Uploads one."""
        _group, rest = split(master)
        head = number(len(rest)) + number(len(data)) + padded(prefix) + padded(extension, 6)
        return self.wire(self.source(master)).ask(21, head + rest + data)

    def get(self, name: str, offset: int = 0, count: int = 0, where: str = "") -> Answer:
        """Content."""
        body = number(offset) + number(count) + b"".join(split(name))
        return self.wire(where or self.where(102, b"".join(split(name)))).ask(14, body)

    def info(self, name: str, flags: int = 0, where: str = "") -> tuple[int, int, int, str]:
        """Size, time, crc32 and source address; the status in place of the size when there is none."""
        status, body = self.wire(where or self.source(name)).ask(22, b"".join(split(name)), flags)
        if status:
            return status, 0, 0, ""
        size, when, crc32 = struct.unpack(">QQQ", body[:24])
        return size, when, crc32 & 0xFFFFFFFF, body[24:].rstrip(b"\0").decode()

    def delete(self, name: str, where: str = "") -> int:
        """The status."""
        return self.wire(where or self.source(name)).ask(12, b"".join(split(name)))[0]

    def change(self, command: int, name: str, *numbers: int, data: bytes = b"") -> Answer:
        """append (24), modify (34) and truncate (36): name length, the numbers, name, data."""
        _group, rest = split(name)
        head = b"".join(map(number, (len(rest), *numbers)))
        return self.wire(self.source(name)).ask(command, head + rest + data)

    def set_metadata(self, name: str, text: bytes, how: str = "O") -> int:
        """The status."""
        group, rest = split(name)
        head = number(len(rest)) + number(len(text)) + how.encode()
        return self.wire(self.source(name)).ask(13, head + group + rest + text)[0]

    def metadata(self, name: str, where: str = "") -> Answer:
        """Status and text."""
        return self.wire(where or self.source(name)).ask(15, b"".join(split(name)))
