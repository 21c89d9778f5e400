# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Pegasus behind forwarders: one for each of its servers, which log requests and carry out the faults of a test.

Clients are told the forwarders' addresses instead of the servers' own, so that all they send comes by.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "roles" / "sandbox" / "files"))
from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.pegasus.schema import DATA, RPCS
from polystore_sandbox.pegasus.thrift import CALL, STRICT, Reader, Struct, field, text, type_of, write
from polystore_sandbox.pegasus.wire import ACTIONS, MAGIC, ORDERS, V0, Port, Refused, Request, Silent

SECONDS = 60.0
ADDRESS = "127.0.0.1"


def _nothing(_port: Port, _action: str, _request: Request) -> None:
    """The orders that change a cluster are the stand-in's."""


class Forward:
    """What answers a forwarder's requests: the server behind it. Each connection has one of its own to it."""

    def __init__(self, cluster: Forwarded, what: str, host: str, port: int) -> None:
        self.cluster, self.what, self.to = cluster, what, (host, port)
        self._own = threading.local()

    def describe(self, request: Request) -> None:
        """The table, or its number and the partition."""
        args = request.args if isinstance(request.args, dict) else {}
        name = self.cluster.names.get(request.app_id, str(request.app_id))
        raw = args.get("hash_key", args.get("key", request.args if isinstance(request.args, bytes) else b""))
        key = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else ""
        path = f"{name}/{request.partition}/{key}" if request.rpc.startswith(DATA) else args.get("app_name", "")
        request.path = str(path)

    def answer(self, request: Request) -> dict[str, Any]:
        """Asks the server; raises Refused with its error, Silent when it does not answer."""
        rpc = RPCS.get(request.rpc)
        if rpc is None:
            raise Refused("ERR_HANDLER_NOT_FOUND")
        head = (STRICT | CALL).to_bytes(4, "big") + text(request.rpc) + struct.pack(">i", request.number)
        body = head + struct.pack(">bh", type_of(rpc.request), 1) + write(rpc.request, request.args) + b"\0"
        threads = request.app_id * 7919 + request.partition if request.thread_hash is None else request.thread_hash
        target = (max(request.app_id, 0), max(request.partition, 0), request.timeout, threads, request.partition_hash)
        try:
            data = self._exchange(V0.pack(MAGIC, 0, 48, 0, len(body), 0, *target) + body, rpc.answer is not None)
        except OSError as exc:
            self._own.line = None
            raise Silent from exc
        if rpc.answer is None:
            raise Silent
        reader = Reader(data, 4)
        error = reader.text()
        if error != "ERR_OK":
            raise Refused(error)
        reader.take(4)
        reader.binary()
        reader.number()
        answer: dict[str, Any] = reader.struct(Struct(field(0, "success", rpc.answer)))["success"]
        self.cluster.retold(request, answer)
        return answer

    def _exchange(self, data: bytes, answered: bool) -> bytes:
        line = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = socket.create_connection(self.to, timeout=SECONDS)
        line.sendall(data)
        return self._frame(line) if answered else b""

    @staticmethod
    def _frame(line: socket.socket) -> bytes:
        data, size = b"", 4
        while len(data) < size:
            piece = line.recv(size - len(data))
            if not piece:
                raise ConnectionError("the server went away")
            data += piece
            size = int.from_bytes(data[:4], "big") if len(data) >= 4 else 4
        return data


class Forwarded:
    """All forwarders of a cluster."""

    def __init__(self, metas: list[str], log: Path) -> None:
        self.faults = FaultPlan(tuple(action for action in ACTIONS if action not in ORDERS))
        self.names: dict[int, str] = {}
        self._log = RequestLog(str(log))
        self._ports: dict[tuple[str, int], Port] = {}
        self._lock = threading.Lock()
        self.metas = []
        for number, meta in enumerate(metas, 1):
            host, _colon, port = meta.rpartition(":")
            forward = self._forward(f"meta{number}", socket.gethostbyname(host), int(port))
            self.metas.append(f"{ADDRESS}:{forward.number}")

    def _forward(self, what: str, host: str, number: int) -> Port:
        with self._lock:
            if (host, number) not in self._ports:
                server = Forward(self, what or f"replica{len(self._ports)}", host, number)
                made = Port(server, self.faults, self._log, ADDRESS, lambda: None, _nothing)
                made.open(made.bind(0))
                self._ports[host, number] = made
            return self._ports[host, number]

    def listen(self, on: bool) -> None:
        """Closes all forwarders, or opens them."""
        for port in self._ports.values():
            if on:
                port.open()
            else:
                port.close()

    def _address(self, address: int) -> int:
        """The forwarder's for a server's."""
        if not address:
            return 0
        host = socket.inet_ntoa((address >> 32).to_bytes(4, "big"))
        port = self._forward("", host, address >> 16 & 0xFFFF).number
        return int.from_bytes(socket.inet_aton(ADDRESS), "big") << 32 | port << 16 | address & 0xFFFF

    def retold(self, request: Request, answer: dict[str, Any]) -> None:
        """Puts forwarders' addresses into a configuration; those of metas that lead, too."""
        if not request.rpc.endswith("_CONFIG_BY_INDEX"):
            return
        if answer["app_id"]:
            self.names[answer["app_id"]] = request.args["app_name"]
        for part in answer["partitions"]:
            part["primary"] = self._address(part["primary"])
            for name in ("secondaries", "last_drops"):
                part[name] = [self._address(address) for address in part[name]]
            for name, plain in (("hp_secondaries", "secondaries"), ("hp_last_drops", "last_drops")):
                if part[name] is not None:
                    part[name] = [(ADDRESS, address >> 16 & 0xFFFF) for address in part[plain]]
            if part["hp_primary"] is not None:
                port = part["primary"] >> 16 & 0xFFFF
                part["hp_primary"] = (ADDRESS, port) if port else ("", 0)
