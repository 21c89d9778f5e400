# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarders in front of a real FastDFS that log its clients' requests and carry out ordered faults.

    PYTHONPATH=roles/sandbox/files:ROOT python tests/support/fdfs_forward.py --home DIR --to HOST:PORT,... [--remove]

ROOT is where ansible_collections lies. One forwarder stands for each tracker, one for each storage; trackers' answers
name the storages' forwarders: under the storage's own address where that is of this host (127.*), else under another of
127.*. It lays what tests.support.fdfs.FdfsServer wants below DIR/fastdfs: access.jsonl, control.json, and forward.json
with addresses and version. It ends when its standard input does; --remove: then DIR is deleted.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import secrets
import select
import shutil
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import records as client_records
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import Settings as ClientSettings
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster as ClientCluster
from polystore_sandbox.control import start_control
from polystore_sandbox.fastdfs import storage, tracker
from polystore_sandbox.fastdfs.settings import Settings
from polystore_sandbox.fastdfs.wire import ACTIONS, ANSWER, HEADER, PIECE, QUIT, Gone, Port, Request, Session
from polystore_sandbox.faults import FaultPlan, RequestLog

FIRST = 1024  # bytes of a request by which it is known what it is about
MADE = (11, 21, 23, 38)  # whose answer is a file id
GROUP = 16
SECONDS = 30.0  # to connect
Place = tuple[str, int]


class Way:
    """The server behind a forwarder (what of polystore_sandbox.fastdfs.wire.Server a port wants of it)."""

    first: int | None = None
    deaf = forgives = False

    def __init__(self, what: str, to: Place, group: str, rewrite: Callable[[int, bytes], bytes]) -> None:
        self.what, self.to, self.group, self.rewrite = what, to, group, rewrite

    def describe(self, request: Request) -> None:
        """Name and path."""
        if self.group:
            storage.describe(request, self.group)
        else:
            tracker.describe(request)

    def length(self, told: int) -> int | None:
        """Bytes of a request's body; None: that is between client and server."""
        if self.group:
            return None if told + HEADER.size >> 63 else told
        return None if told & 0xFFFFFFFF > 1 << 12 else told & 0xFFFFFFFF

    def answer(self, request: Request) -> Any:
        """Never asked: forwarders answer nothing themselves."""
        raise NotImplementedError(request)


class Forward(Port):
    """A port that hands on what it gets."""

    server: Way

    def _serve(self, session: Session) -> None:
        try:
            with socket.create_connection(self.server.to, timeout=SECONDS) as behind:
                behind.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                session.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                behind.settimeout(None)
                Both(self, session, behind).serve()
        except OSError:
            return  # one of both went away, or a fault was ordered
        finally:
            session.connection.close()
            with self._lock:
                self.sessions.discard(session)


class Both:
    """A client's connection and the one that stands for it at the server."""

    def __init__(self, port: Forward, session: Session, behind: socket.socket) -> None:
        self.port, self.session, self.client, self.behind = port, session, session.connection, behind
        self.way = port.server

    def serve(self) -> None:
        """Until one of both closes."""
        while True:
            # The server closes idle connections, and some after a refusal: so is the client's then.
            if self.behind in self._readable(self.client, self.behind):
                self._raw()
            head = self.session.exactly(HEADER.size)
            told, command, flags = HEADER.unpack(head)
            length = self.way.length(told)
            if command == QUIT or length is None:
                self.behind.sendall(head)
                self._raw()
            request = Request(self.session, length, command, flags)
            try:
                self._one(request)
            except OSError:
                self.session.log(request, None)
                raise

    @staticmethod
    def _readable(*sockets: socket.socket) -> list[socket.socket]:
        return select.select(sockets, [], [])[0]

    def _one(self, request: Request) -> None:
        request.data = self.session.exactly(min(request.length, FIRST))
        request.read = len(request.data)
        self.way.describe(request)
        request.fault = self.port.faults.match(request.name, f"{self.way.what}/{request.path}")
        if self._ordered(request):
            return
        self.behind.sendall(HEADER.pack(request.length, request.command, request.flags) + request.data)
        early = self._rest(request)
        size, kind, status = HEADER.unpack(self._exactly(HEADER.size))
        if kind != ANSWER:
            raise Gone("this is no FastDFS")
        if request.fault and request.fault.action == "close_after":
            self._exactly(size)
            raise Gone("as it was ordered")
        self._answer(request, size, status)
        # What a server that refuses has not read of a request it takes for the next ones.
        if early or (status and HEADER.size + request.length > PIECE):
            self._raw()

    def _ordered(self, request: Request) -> bool:
        """Carries out the fault that hits the request; True when it is answered."""
        fault = request.fault
        if fault is None:
            return False
        if fault.action == "status":
            self.session.log(request, fault.status)
            self.client.sendall(HEADER.pack(0, ANSWER, fault.status))
            self._drain(request, request.length)
            return True
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action == "hang":
            self.session.log(request, None)
            self.port.faults.hang()
        elif fault.action == "cut_upload":
            self._drain(request, min(fault.bytes, request.length))
        if fault.action in ("hang", "close", "cut_upload"):
            raise Gone("as it was ordered")
        return False

    def _drain(self, request: Request, until: int) -> None:
        piece = memoryview(bytearray(PIECE))
        while request.read < until:
            request.read += self.session.some(piece[: min(PIECE, until - request.read)])

    def _rest(self, request: Request) -> bool:
        """Hands on what else the request has; True when the server answered before it had all."""
        piece = memoryview(bytearray(PIECE))
        while request.read < request.length:
            found = self._readable(self.client, self.behind)
            if self.behind in found:
                return True
            count = self.session.some(piece[: min(PIECE, request.length - request.read)])
            request.read += count
            try:
                self.behind.sendall(piece[:count])
            except (BrokenPipeError, ConnectionResetError):
                return True  # its answer may be there still
        while self.behind not in self._readable(self.client, self.behind):
            self.session.exactly(0 if self.client.recv(1, socket.MSG_PEEK) else 1)  # the client went away
            time.sleep(0.01)  # or it sends what nobody has asked for
        return False

    def _exactly(self, count: int) -> bytes:
        data = b"".join(self._pieces(count))
        if len(data) < count:
            raise Gone("the server went away")
        return data

    def _pieces(self, count: int) -> Iterator[bytes]:
        while count and (piece := self.behind.recv(min(PIECE, count))):
            count -= len(piece)
            yield piece

    def _answer(self, request: Request, size: int, status: int) -> None:
        fault = request.fault
        send = min(fault.bytes, size) if fault and fault.action == "cut" else size
        body: Iterator[bytes]
        if self.way.group and request.command not in MADE:
            body = self._pieces(size)
        else:
            whole = self._exactly(size)
            if status == 0 and self.way.group:
                request.stored = f"{whole[:GROUP].rstrip(bytes(1)).decode()}/{whole[GROUP:].decode()}"
            elif status == 0:
                whole = self.way.rewrite(request.command, whole)
            body = iter([whole])
        self.session.log(request, status, send)
        self.client.sendall(HEADER.pack(size, ANSWER, status))
        for piece in body:
            self.client.sendall(piece[:send])
            send -= min(send, len(piece))
        if fault and fault.action == "cut":
            raise Gone("as it was ordered")

    def _raw(self) -> NoReturn:
        """Whatever else comes, from both sides, until one of them closes; raises Gone then."""
        while True:
            for one in self._readable(self.client, self.behind):
                data = one.recv(PIECE)
                if not data:
                    raise Gone("closed")
                (self.behind if one is self.client else self.client).sendall(data)


class Cluster:
    """All forwarders. Raises OSError when no port can be had."""

    def __init__(self, folder: Path, to: str) -> None:
        self.faults, self.log = FaultPlan(ACTIONS), RequestLog(str(folder / "access.jsonl"))
        client = ClientCluster(ClientSettings.resolve({"trackers": to.split(",")}, {}))
        self.trackers = [(server.host, server.port) for server in client.settings.trackers]
        self.groups = {group["name"]: client.storages(group["name"]) for group in client.groups()}
        client.close()
        rows = [row for group in self.groups.values() for row in group]
        self.version: str = rows[0]["version"]
        spare = (f"127.0.0.{number}" for number in itertools.count(3))
        self.here: dict[Place, Place] = {}  # a storage's forwarder
        self.ports: dict[Place, Forward] = {}
        for place in self._bind([(row["ip_addr"], row["storage_port"]) for row in rows], spare):
            self.ports[place[0]] = place[1]
        for number, tracker_place in enumerate(self.trackers, 1):
            port = self._port(Way(f"tracker{number}", tracker_place, "", self._rewrite), "127.0.0.1")
            port.open(port.bind(0))
            self.ports[tracker_place] = port

    def _port(self, way: Way, address: str) -> Forward:
        settings = Settings()
        return Forward(way, lambda: settings, self.faults, self.log, address)

    def _bind(self, places: list[Place], spare: Iterator[str]) -> list[tuple[Place, Forward]]:
        """A port for each storage: all have the same number, for older trackers tell it once for all addresses."""
        groups = [name for name, rows in self.groups.items() for _row in rows]
        for place in places:
            self.here[place] = (place[0] if place[0].startswith("127.") else next(spare), 0)
        alike = len({here[0] for here in self.here.values()}) == len(places)
        for _try in range(50):
            made, number = [], 0
            try:
                for place, group in zip(places, groups, strict=True):
                    address = self.here[place][0]
                    port = self._port(Way("", place, group, lambda _command, body: body), address)
                    bound = port.bind(number)
                    made.append((place, port, bound))
                    number = port.number if alike else 0
            except OSError:
                for _place, _port, bound in made:
                    bound.close()
                continue
            for place, port, bound in made:
                self.here[place] = (port.address, port.number)
                port.server.what = f"{port.address}:{port.number}"
                port.open(bound)
            return [(place, port) for place, port, _bound in made]
        raise OSError("no port is free on every address")

    # --- what trackers tell

    def _moved(self, address: bytes, port: bytes) -> tuple[bytes, bytes]:
        """Both fields with a storage's forwarder in place of the storage."""
        place = (address.split(b"\0")[0].decode(), int.from_bytes(port, "big"))
        if place not in self.here:
            return address, port
        host, number = self.here[place]
        told = address if host == place[0] else host.encode().ljust(len(address), b"\0")
        return told, number.to_bytes(8, "big")

    def _rewrite(self, command: int, body: bytes) -> bytes:
        if 101 <= command <= 107:
            return self._places(body, GROUP, len(body) - (command in (101, 104, 106, 107)))
        if command == 92:
            return self._records(body, client_records.STORAGES)
        if command in (90, 91):
            return self._records(body, client_records.GROUPS)
        return body

    def _places(self, body: bytes, begin: int, end: int) -> bytes:
        for width in (15, 45):
            step = width + 8
            first = body[begin : begin + width].split(b"\0")[0].decode("latin-1")
            port = body[begin + width : begin + step]
            if (first, int.from_bytes(port, "big")) not in self.here:
                continue
            paired = (end - begin) % step == 0
            told = bytearray(body)
            for at in range(begin, end, step) if paired else (begin,):
                moved = self._moved(body[at : at + width], body[at + width : at + step])
                told[at : at + step] = b"".join(moved)
            for at in () if paired else range(begin + step, end, width):
                told[at : at + width] = self._moved(body[at : at + width], port)[0]
            return bytes(told)
        return body

    def _records(self, body: bytes, layouts: dict[int, Any]) -> bytes:
        for size, layout in layouts.items():
            if not body or len(body) % size:
                continue
            told = []
            for row in layout.struct.iter_unpack(body):
                row = list(row)
                at = layout.names.index("storage_port")
                if "ip_addr" in layout.names:
                    where = layout.names.index("ip_addr")
                    row[where], port = self._moved(row[where], struct.pack(">q", row[at]))
                    row[at] = int.from_bytes(port, "big")
                else:
                    row[at] = next((here[1] for place, here in self.here.items() if place[1] == row[at]), row[at])
                told.append(layout.struct.pack(*row))
            return b"".join(told)
        return body

    # --- what the tests ask

    def listen(self, on: bool) -> None:
        """Closes all ports and connections, or opens them."""
        for port in self.ports.values():
            if on:
                port.open()
            else:
                port.close()

    def where(self) -> dict[str, Any]:
        """Where clients find it all."""
        trackers = ["{}:{}".format(self.ports[place].address, self.ports[place].number) for place in self.trackers]
        groups = {
            name: ["{}:{}".format(*self.here[row["ip_addr"], row["storage_port"]]) for row in rows]
            for name, rows in self.groups.items()
        }
        env = {"FDFS_TRACKERS": ",".join(trackers)}
        return {"trackers": trackers, "groups": groups, "version": self.version, "env": env, "url": trackers[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--remove", action="store_true")
    wanted = parser.parse_args()
    folder = wanted.home / "fastdfs"
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, wanted.to)
    token = secrets.token_urlsafe(24)
    control = start_control("127.0.0.1", token, cluster.faults, cluster.listen)
    (folder / "control.json").write_text(json.dumps({"url": f"http://127.0.0.1:{control}", "token": token}))
    beside = folder / "forward.json.new"
    beside.write_text(json.dumps(cluster.where()))
    beside.rename(folder / "forward.json")
    while sys.stdin.buffer.read(PIECE):
        continue
    if wanted.remove:
        with contextlib.suppress(OSError):
            shutil.rmtree(wanted.home)
    os._exit(0)


if __name__ == "__main__":
    main()
