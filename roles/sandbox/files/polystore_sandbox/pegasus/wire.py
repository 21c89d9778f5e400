# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire: ports, connections, frames in both versions of the header, the log and the faults that were ordered."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from polystore_sandbox import ports
from polystore_sandbox.faults import Fault, FaultPlan, RequestLog
from polystore_sandbox.pegasus.keys import Abort
from polystore_sandbox.pegasus.schema import DATA, META, RPCS, V1_META
from polystore_sandbox.pegasus.thrift import (
    CALL,
    ONEWAY,
    REPLY,
    STOP,
    STRICT,
    Broken,
    Reader,
    text,
    type_of,
    write_struct,
)
from polystore_sandbox.pegasus.throttling import Throttled

MAGIC = b"THFT"
V0 = struct.Struct(">4sIIIIIiiIiQ")
V1 = struct.Struct(">4sIII")
MOST = 64 << 20  # bytes of a frame
PROBE = 0x7F70726F  # the sequence number of a request that is not logged: no client sends it
# The last five change the cluster before the request is looked at.
ORDERS = ("move", "expel", "split", "kill", "leader")
ACTIONS = ("status", "delay", "hang", "close", "close_after", "cut", "garbage", *ORDERS)
PIECE = 1 << 18


class Refused(Exception):
    """The answer is an error of the framework, and no body."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Silent(Exception):
    """There is no answer."""


class Gone(OSError):
    """The connection has ended."""


@dataclass
class Request:
    """One request. size: of its body."""

    rpc: str
    number: int
    app_id: int
    partition: int
    timeout: int
    partition_hash: int
    size: int
    thread_hash: int | None = None  # None: the server reckons it itself
    backup: bool = False
    args: Any = None
    path: str = ""  # what it is about: "table/3/hash key", or the table's name
    fault: Fault | None = None
    patient: bool = False  # it was throttled already
    busy: bool = False  # and is refused for it

    @property
    def name(self) -> str:
        """Of the RPC, without what all have."""
        return self.rpc.removeprefix(DATA).removeprefix(META)


class Server(Protocol):
    """What answers the requests of a port."""

    @property
    def what(self) -> str:
        """In the log: "meta1", "replica1"."""

    def describe(self, request: Request) -> None:
        """Fills in the path."""

    def answer(self, request: Request) -> dict[str, Any]:
        """Carries it out; raises Refused, Silent, Throttled or Abort."""


def parse_body(body: bytes, request: Request) -> Request:
    """Name, number and arguments; Broken when they are not."""
    reader = Reader(body)
    first = reader.number() & 0xFFFFFFFF
    if first >> 31:
        if first & 0xFFFF0000 != STRICT:
            raise Broken(f"version {first >> 16:x} of the protocol")
        kind = first & 0xFF
        request.rpc = reader.text()
    else:  # as old clients do it
        request.rpc = reader.take(first).decode("utf-8", "surrogateescape")
        kind = reader.take(1)[0]
    request.number = reader.number()
    if kind not in (CALL, ONEWAY):
        raise Broken(f"a message of type {kind}")
    rpc = RPCS.get(request.rpc)
    if rpc is None:
        return request
    request.args = _default(rpc.request)
    while (found := reader.take(1)[0]) != STOP:
        number = int.from_bytes(reader.take(2), "big")
        if number == 1 and found == type_of(rpc.request):
            request.args = reader.value(rpc.request)
        else:
            reader.skip(found)
    return request


def _default(kind: Any) -> Any:
    return {"blob": b"", "i64": 0}[kind] if isinstance(kind, str) else kind.new()


def frame(request: Request, error: str, answer: dict[str, Any] | None) -> bytes:
    """An answer's bytes. answer: None where there is no body."""
    rpc = RPCS.get(request.rpc)
    head = (
        (STRICT | REPLY).to_bytes(4, "big")
        + text(f"{request.rpc}_ACK")
        + request.number.to_bytes(4, "big", signed=True)
    )
    body = b""
    if answer is not None and rpc is not None and rpc.answer is not None:
        body = b"\x0c\0\0" + write_struct(rpc.answer, answer) + b"\0"
    made = text(error) + head + body
    return (len(made) + 4).to_bytes(4, "big") + made


class Last(Gone):
    """The connection ends with these bytes, after all answers before it."""

    def __init__(self, data: bytes) -> None:
        super().__init__("as it was ordered")
        self.data = data


@dataclass(eq=False)
class Session:
    """One connection."""

    port: Port
    connection: socket.socket
    client: str

    def __post_init__(self) -> None:
        self._sending = threading.Lock()
        self._buffer = bytearray()

    def serve(self) -> None:
        """Until the connection ends: all requests that are there are answered at once."""
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            answers = []
            try:
                while (request := self._next()) is not None:
                    answers.append(self._one(request))
            except Last as last:
                answers.append(last.data)
                raise
            finally:
                self.send(b"".join(answers))
            self._read()

    def _read(self) -> None:
        data = self.connection.recv(PIECE)
        if not data:
            raise Gone("the client went away")
        self._buffer += data

    def send(self, data: bytes) -> None:
        """Sends it, whoever else sends."""
        if data:
            with self._sending:
                self.connection.sendall(data)

    # --- frames --------------------------------------------------------------------------------------------------

    def _next(self) -> Request | None:
        """The next whole request; None when more has to be read. Gone when it is none."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        if bytes(buffer[:4]) != MAGIC:
            if not MAGIC.startswith(bytes(buffer[:4])):
                self._foreign()
            return None
        if len(buffer) < 8:
            return None
        version = int.from_bytes(buffer[4:8], "big")
        if version not in (0, 1):
            raise Gone(f"version {version} of the header")
        try:
            return self._v1() if version else self._v0()
        except (Broken, ValueError, IndexError) as exc:
            self.port.note(self, f"no Thrift: {exc}")
            raise Gone(str(exc)) from exc

    def _taken(self, head: int, size: int) -> bytes | None:
        if size > MOST:
            raise Broken(f"{size} bytes")
        if len(self._buffer) < head + size:
            return None
        body = bytes(memoryview(self._buffer)[head : head + size])
        del self._buffer[: head + size]
        return body

    def _v0(self) -> Request | None:
        if len(self._buffer) < V0.size:
            return None
        fields = V0.unpack_from(self._buffer)
        _magic, _version, length, _crc, size, _body_crc, app_id, partition, timeout, thread_hash, hashed = fields
        if length != V0.size:
            raise Broken(f"a header of {length} bytes")
        body = self._taken(V0.size, size)
        if body is None:
            return None
        return parse_body(body, Request("", 0, app_id, partition, timeout, hashed, size, thread_hash))

    def _v1(self) -> Request | None:
        if len(self._buffer) < V1.size:
            return None
        _magic, _version, about, size = V1.unpack_from(self._buffer)
        data = self._taken(V1.size, about + size)
        if data is None:
            return None
        meta = Reader(data[:about]).struct(V1_META)
        request = Request("", 0, meta["app_id"], meta["partition"], meta["timeout"], 0, size)
        request.partition_hash, request.backup = meta["partition_hash"] & (1 << 64) - 1, meta["backup"]
        return parse_body(data[about:], request)

    def _foreign(self) -> None:
        """HTTP is answered, anything else ends the connection."""
        words = bytes(self._buffer[:4096]).split(b"\r\n", 1)[0].split()
        if not bytes(self._buffer).startswith(b"GET ") or b"\r\n\r\n" not in self._buffer or len(words) < 2:
            if bytes(self._buffer).startswith(b"GET ") and len(self._buffer) < 4096:
                return
            raise Gone("not the protocol")
        self._buffer.clear()
        service = words[1].strip(b"/").split(b"/")[0].decode("latin-1") or "none"
        body = f'service not found for "{service}"'
        head = f"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.send((head + body).encode())

    # --- requests ------------------------------------------------------------------------------------------------

    def _one(self, request: Request) -> bytes:
        """What is to be sent at once."""
        port = self.port
        port.server.describe(request)
        if request.number != PROBE:
            request.fault = port.faults.match(request.name, f"{port.server.what}/{request.path}")
        fault = request.fault
        action = fault.action if fault else ""
        if action == "hang":
            self.log(request, None)
        if fault and action in ("delay", "hang"):
            self._later(lambda: port.faults.hang() if action == "hang" else time.sleep(fault.seconds), request)
            return b""
        if fault and action in ORDERS:
            port.order(action, request)
        if action == "close":
            self.log(request, None)
            raise Gone("as it was ordered")
        return self._carried_out(request)

    def _later(self, wait: Callable[[], None], request: Request) -> None:
        """Answers from another thread, so that what follows is not kept waiting."""

        def answer() -> None:
            wait()
            if request.fault and request.fault.action == "hang":
                return
            with contextlib.suppress(OSError):
                try:
                    self.send(self._carried_out(request))
                except OSError as exc:
                    self.send(exc.data if isinstance(exc, Last) else b"")
                    self.connection.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=answer, daemon=True).start()

    def _carried_out(self, request: Request) -> bytes:
        fault = request.fault
        error, answer = "ERR_OK", None
        try:
            if request.busy:
                error = "ERR_BUSY"
            elif fault and fault.action == "status":
                error, answer = self._made_up(fault)
            else:
                self.port.settle()
                answer = self.port.server.answer(request)
        except Refused as exc:
            error = exc.error
        except Silent:
            self.log(request, None)
            return b""
        except Throttled as exc:
            return self._throttled(exc, request)
        except Abort as exc:
            self.log(request, None, crashed=str(exc))
            self.port.crash()
            raise Gone(str(exc)) from exc
        except Exception as exc:
            traceback.print_exc(file=sys.stderr)
            raise Gone("an error of the stand-in") from exc
        return self._finished(request, error, answer)

    def _throttled(self, exc: Throttled, request: Request) -> bytes:
        request.patient = True
        if exc.reject and not exc.seconds:
            return self._finished(request, "ERR_BUSY", None)
        request.busy = exc.reject
        self._later(lambda: time.sleep(exc.seconds), request)
        return b""

    @staticmethod
    def _made_up(fault: Fault) -> tuple[str, dict[str, Any] | None]:
        """body: an error of the framework, or after "err=" one in a meta's answer; else status is the answer's."""
        if fault.body.startswith("err="):
            return "ERR_OK", {"err": fault.body[4:]}
        if fault.body:
            return fault.body, None
        return "ERR_OK", {"error": fault.status}

    def _finished(self, request: Request, error: str, answer: dict[str, Any] | None) -> bytes:
        fault = request.fault
        action = fault.action if fault else ""
        made = frame(request, error, answer)
        status: Any = error
        if answer is not None:
            status = answer.get("err", "ERR_OK") if request.rpc.startswith(META) else answer.get("error", 0)
        if fault and action in ("close_after", "cut", "garbage"):
            self.log(request, None)
            data = {"close_after": b"", "cut": made[: fault.bytes], "garbage": fault.body.encode("latin-1")}[action]
            if action == "garbage" and fault.bytes:
                return data  # the connection stays open
            raise Last(data)
        self.log(request, status, len(made))
        return made

    def log(self, request: Request, status: Any, sent: int = 0, **more: Any) -> None:
        """Writes the request's line."""
        if request.number == PROBE:
            return
        self.port.log.write(
            method=request.name,
            path=request.path,
            status=status,
            bytes_in=request.size,
            bytes_out=sent,
            client=self.client,
            server=self.port.server.what,
            fault=request.fault.action if request.fault else None,
            **more,
        )


class Port(ports.Port["Session"]):
    """A server's port."""

    service, others = "pegasus", "meta_port and replica_port"

    def __init__(
        self,
        server: Server,
        faults: FaultPlan,
        log: RequestLog,
        address: str,
        settle: Callable[[], None],
        order: Callable[[Port, str, Request], None],
    ) -> None:
        super().__init__(address)
        self.server, self.faults, self.log = server, faults, log
        self.settle = settle
        self._order = order

    def order(self, action: str, request: Request) -> None:
        """Changes the cluster, as a fault orders."""
        self._order(self, action, request)

    def note(self, session: Session, words: str) -> None:
        """Writes a line for bytes that are no request."""
        self.log.write(method="", path="", status=None, client=session.client, server=self.server.what, broken=words)

    def session(self, connection: socket.socket, client: str) -> Session:
        return Session(self, connection, client)

    def leave(self, session: Session) -> None:
        with contextlib.suppress(OSError):
            session.connection.shutdown(socket.SHUT_RDWR)
        super().leave(session)
