# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire: ports, connections, requests and answers, the log and the faults that were ordered."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Union

from polystore_sandbox import ports
from polystore_sandbox.fastdfs.settings import Settings
from polystore_sandbox.faults import Fault, FaultPlan, RequestLog

HEADER = struct.Struct(">QBB")
ANSWER, QUIT = 100, 82
PROBE = 0x7F  # the status of a request that is not logged: no client sends it
PIECE = 1 << 18
ACTIONS = ("status", "delay", "hang", "close", "close_after", "cut", "cut_upload")
EINVAL = 22


class Refused(Exception):
    """The answer is a status and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Gone(OSError):
    """The client went away, or was idle for too long."""


@dataclass
class Content:
    """A part of a file, as an answer's body."""

    path: Path
    offset: int
    size: int


@dataclass
class Request:
    """One request. data: of its body what was read before it was looked at."""

    session: Session
    length: int
    command: int
    flags: int
    data: bytes = b""
    read: int = 0  # bytes of the body
    name: str = ""  # of the command
    path: str = ""  # what it is about: "group1/M00/..."
    stored: str = ""  # what an upload has made
    fault: Fault | None = None
    logged: bool = False

    @property
    def whole(self) -> bytes:
        """The body; Refused when it is more than the server reads at once."""
        if len(self.data) < self.length:
            raise Refused(EINVAL)
        return self.data

    def stream(self, begin: int, each: Callable[[memoryview], object]) -> None:
        """Hands on the body from that byte on, piece by piece, reading what has not been read."""
        each(memoryview(self.data)[begin:])
        piece = memoryview(bytearray(PIECE))
        while self.read < self.length:
            count = self.session.some(piece[: min(PIECE, self.length - self.read)])
            self.read += count
            self.cut("cut_upload")
            each(piece[:count])

    def cut(self, action: str) -> None:
        """Ends the connection when that was ordered, and as many bytes were read."""
        if self.fault and self.fault.action == action and self.read >= self.fault.bytes:
            raise Gone("as it was ordered")


Body = Union[bytes, Content, None]  # None: no answer at all


class Server(Protocol):
    """What answers the requests of a port."""

    what: str  # in the log: "tracker1", or a storage's address and port
    first: int | None  # bytes of a request that are read before it is looked at; None: all
    deaf: bool  # an EINVAL leaves a connection open that is never heard again
    forgives: bool  # an EINVAL leaves a connection usable

    def length(self, told: int) -> int | None:
        """Bytes of the body of a request that tells this length; None: the connection is closed at once."""

    def describe(self, request: Request) -> None:
        """Fills in name and path."""

    def answer(self, request: Request) -> Body:
        """Carries it out; raises Refused."""


@dataclass(eq=False)
class Session:
    """One connection."""

    port: Port
    connection: socket.socket
    client: str
    heard: bool = field(default=True)

    # --- reading -------------------------------------------------------------------------------------------------

    def some(self, into: memoryview) -> int:
        """Reads at least a byte; raises Gone."""
        try:
            count = self.connection.recv_into(into)
        except OSError as exc:
            raise Gone(str(exc)) from exc
        if not count:
            raise Gone("the client went away")
        return count

    def exactly(self, count: int) -> bytes:
        """Reads as many bytes; raises Gone."""
        data = bytearray(count)
        view, have = memoryview(data), 0
        while have < count:
            have += self.some(view[have:])
        return bytes(data)

    # --- requests ------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Until the connection ends."""
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while self.heard:
            self.connection.settimeout(self.port.settings().network_timeout)
            told, command, flags = HEADER.unpack(self.exactly(HEADER.size))
            length = self.port.server.length(told)
            if command == QUIT or length is None:
                return
            request = Request(self, length, command, flags)
            try:
                self._one(request)
            except Gone:
                self.log(request, None)
                raise

    def _one(self, request: Request) -> None:
        server = self.port.server
        first = server.first
        count = request.length if first is None else min(request.length, first - HEADER.size)
        request.data = self.exactly(count)
        request.read = count
        try:
            server.describe(request)
            self._order(request)
            body = server.answer(request)
        except Refused as exc:
            self._refuse(request, exc.status)
            return
        except Gone:
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self._refuse(request, 5)
            return
        if request.fault and request.fault.action == "close_after":
            raise Gone("as it was ordered")
        if body is not None:
            self._answer(request, body)
        else:
            self.log(request, None)

    def _order(self, request: Request) -> None:
        """Carries out the fault that hits the request."""
        port = self.port
        if request.flags == PROBE:
            return
        request.fault = fault = port.faults.match(request.name, f"{port.server.what}/{request.path}")
        if fault is None:
            return
        if fault.action == "status":
            raise Refused(fault.status)
        if fault.action == "delay":
            time.sleep(fault.seconds)
        if fault.action == "hang":
            self.log(request, None)
            port.faults.hang()
        if fault.action in ("hang", "close"):
            raise Gone("as it was ordered")
        request.cut("cut_upload")

    def _refuse(self, request: Request, status: int) -> None:
        server = self.port.server
        closes = status == EINVAL and not server.forgives
        self.log(request, status)
        with contextlib.suppress(OSError):
            self.connection.sendall(HEADER.pack(0, ANSWER, status))
        if closes and server.deaf:
            self._wait()
        if closes:
            self.heard = False

    def _answer(self, request: Request, body: bytes | Content) -> None:
        size = len(body) if isinstance(body, bytes) else body.size
        cut = request.fault.bytes if request.fault and request.fault.action == "cut" else None
        send = size if cut is None else min(cut, size)
        self.log(request, 0, send)
        header = HEADER.pack(size, ANSWER, 0)
        try:
            if isinstance(body, bytes):
                self.connection.sendall(header + body[:send])
            else:
                with body.path.open("rb") as file:
                    self.connection.sendall(header)
                    if send:
                        self.connection.sendfile(file, body.offset, send)
        except OSError as exc:
            raise Gone(str(exc)) from exc
        if cut is not None:
            raise Gone("as it was ordered")

    def _wait(self) -> None:
        """Reads nothing until the client goes away or the port is closed."""
        gone = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
        poll = select.poll()
        poll.register(self.connection, gone)
        while not poll.poll(500):
            if self.connection.fileno() < 0:
                return

    def log(self, request: Request, status: int | None, sent: int = 0) -> None:
        """Writes the request's line, once."""
        if request.logged or request.flags == PROBE:
            return
        request.logged = True
        self.port.log.write(
            method=request.name or f"command {request.command}",
            path=request.stored or request.path,
            status=status,
            bytes_in=request.read,
            bytes_out=sent,
            client=self.client,
            server=self.port.server.what,
            fault=request.fault.action if request.fault else None,
        )


class Port(ports.Port["Session"]):
    """A server's port."""

    service, others = "fastdfs", "storage_port and addresses"

    def __init__(
        self, server: Server, settings: Callable[[], Settings], faults: FaultPlan, log: RequestLog, address: str
    ) -> None:
        super().__init__(address)
        self.server, self.settings, self.faults, self.log = server, settings, faults, log

    def session(self, connection: socket.socket, client: str) -> Session:
        return Session(self, connection, client)
