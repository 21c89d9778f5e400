# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forwarder in front of a real HTTP/1.1 server that logs its clients' requests and carries out ordered faults.

    PYTHONPATH=roles/sandbox/files python tests/support/forward.py --home DIR --name NAME --to HOST:PORT [--remove]

It lays what tests.support.servers.Server wants below DIR/NAME: access.jsonl, control.json, and forward.json with its
URL. What passes is not touched: heads and bodies are handed on byte by byte, both ways at once, over one connection
to the server for each one of a client; when the server closes its end, the client's is closed. It ends when its
standard input does; --remove: then DIR is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import select
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

from polystore_sandbox.control import start_control
from polystore_sandbox.faults import Fault, FaultPlan, RequestLog

BLOCK = 65536
HEAD_LIMIT = 1 << 20
REASONS = {200: "OK", 302: "Found", 401: "Unauthorized", 429: "Too Many Requests", 503: "Service Unavailable"}
MANY = 1 << 62


class Gone(Exception):
    """One side has closed its connection, or is to be closed."""


class Body:
    """Finds the end of a message's body in the bytes that come by, and counts what is in it."""

    def __init__(self, length: int | None, chunked: bool = False) -> None:
        """length: None is until the connection's end."""
        self.left = 0 if chunked else (MANY if length is None else length)
        self.chunked = chunked
        self.open_ended = length is None and not chunked
        self.done = not chunked and self.left == 0
        self.count = 0
        self._line, self._trailer = b"", False

    def take(self, data: bytes, most: int = MANY) -> int:
        """How many of these bytes belong to the message; stops once `most` bytes of content have been counted."""
        at = 0
        while at < len(data) and not self.done and self.count < most:
            if self.left:  # a chunk's own line end is part of it
                inside = self.left - 2 if self.chunked else self.left
                size = min(self.left, len(data) - at)
                if inside > most - self.count:
                    size = min(size, most - self.count)
                self.count += max(0, min(size, inside))
                self.left -= size
                at += size
                self.done = not self.chunked and self.left == 0
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            at = end or len(data)
            if end:
                self._chunk_line(self._line.strip())
                self._line = b""
        return at

    def _chunk_line(self, line: bytes) -> None:
        if self._trailer:
            self.done = not line
            return
        size = int(line.split(b";")[0], 16)
        self._trailer = size == 0
        self.left = size + 2 if size else 0


class Head:
    """The first line and the few header fields that tell where a message ends."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *lines = raw.decode("latin-1").split("\r\n")
        self.words = first.split(" ", 2)
        if len(self.words) < 2:
            raise Gone(first)
        fields = {
            name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)
        }
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        length = fields.get("content-length", "")
        self.length = int(length) if length.isdigit() else None

    def request_body(self) -> Body:
        """The body of a request with this head."""
        return Body(self.length or 0, self.chunked)

    def answer_body(self, method: str) -> Body:
        """The body of an answer with this head."""
        empty = method == "HEAD" or self.status in (204, 304)
        return Body(0) if empty else Body(self.length, self.chunked)

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.words[1])


class Side:
    """One socket with what came and what is still to be sent."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.came, self.to_send = b"", b""
        self.ended = False

    def read(self) -> None:
        """Takes what is there."""
        try:
            data = self.sock.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.came += data
        self.ended = self.ended or not data

    def write(self) -> None:
        """Sends what can be sent."""
        try:
            self.to_send = self.to_send[self.sock.send(self.to_send) :]
        except BlockingIOError:
            return
        except OSError as exc:
            raise Gone(str(exc)) from exc

    def head(self) -> Head | None:
        """The next message's head, when all of it is there."""
        end = self.came.find(b"\r\n\r\n")
        if end < 0:
            if len(self.came) > HEAD_LIMIT:
                raise Gone("no head")
            return None
        raw, self.came = self.came[: end + 4], self.came[end + 4 :]
        return Head(raw)

    def close(self) -> None:
        """Closes the connection."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.ended = True
        self.sock.close()


def wait(reading: list[Side], writing: list[Side]) -> None:
    """Waits until one of them can be read or written, and does so."""
    poll = select.poll()
    sides = {side.sock.fileno(): side for side in [*reading, *writing]}
    if -1 in sides or not sides:
        raise Gone("closed")
    for number, side in sides.items():
        poll.register(number, (select.POLLIN if side in reading else 0) | (select.POLLOUT if side in writing else 0))
    for number, event in poll.poll():
        side = sides[number]
        if event & select.POLLOUT and side in writing:
            side.write()
        if event & ~select.POLLOUT and side in reading:
            side.read()
        elif event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            raise Gone("reset")


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self.connection, self.head = connection, head
        self.client = connection.client
        self.method, self.target = head.words[0], head.words[1]
        self.body = head.request_body()
        self.answer: Body | None = None
        self.status: int | None = None
        self.fault = connection.forward.faults.match(self.method, self.target)
        self.logged = False

    def run(self) -> None:
        """Carries the request out; raises Gone when the connection is not to be used any more."""
        fault = self.fault
        action = fault.action if fault else ""
        try:
            if fault and action in ("status", "redirect"):
                self._drain(MANY)
                self._make_up(fault)
                return
            if fault and action in ("hang", "close", "cut_upload"):
                self._drain(fault.bytes if action == "cut_upload" else 0)
                self._log()
                if action == "hang":
                    self.connection.forward.faults.hang()
                raise Gone(action)
            if fault and action == "delay":
                time.sleep(fault.seconds)
            self._pass(self.connection.server())
        finally:
            self._log()

    def _drain(self, most: int) -> None:
        while not self.body.done and self.body.count < most:
            if not self.client.came:
                if self.client.ended:
                    raise Gone("client")
                wait([self.client], [])
            self.client.came = self.client.came[self.body.take(self.client.came, most) :]

    def _make_up(self, fault: Fault) -> None:
        content = fault.body.encode()
        fields = {"Content-Type": "text/plain", "Content-Length": str(len(content)), **fault.headers}
        if fault.action == "redirect":
            fields["Location"] = fault.location.replace("{path}", self.target)
        lines = ["HTTP/1.1 %d %s" % (fault.status, REASONS.get(fault.status, "Ordered"))]
        lines += ["%s: %s" % field for field in fields.items()]
        self.status = fault.status
        self.answer = Body(0 if self.method == "HEAD" else len(content))
        self.answer.take(content)
        self._log()
        self.client.to_send += "\r\n".join([*lines, "", ""]).encode() + (b"" if self.method == "HEAD" else content)
        while self.client.to_send:
            wait([], [self.client])

    def _pass(self, server: Side) -> None:
        server.to_send += self.head.raw
        while not (self.answer and self.answer.done and self.body.done and not self.client.to_send):
            self._upwards(server)
            self._downwards(server)
            if self.answer and self.answer.done and self.body.done and not self.client.to_send:
                return
            if server.ended and not self.client.to_send:
                if self.answer and self.answer.open_ended:
                    self._log()
                raise Gone("server")
            reading = [] if self.client.to_send or server.ended else [server]
            if not self.body.done and not server.to_send:
                reading.append(self.client)
            wait(reading, [side for side in (server, self.client) if side.to_send])

    def _upwards(self, server: Side) -> None:
        if self.body.done or server.to_send:
            return
        size = self.body.take(self.client.came)
        server.to_send, self.client.came = self.client.came[:size], self.client.came[size:]
        if self.client.ended and not self.body.done and not size:
            raise Gone("client")

    def _downwards(self, server: Side) -> None:
        fault = self.fault if self.fault and self.fault.action in ("cut", "close_after") else None
        while server.came and not self.client.to_send:
            if self.answer is None:
                head = server.head()
                if head is None:
                    return
                if head.status >= 200:
                    self.status, self.answer = head.status, head.answer_body(self.method)
                self._hand_on(head.raw)
            elif self.answer.done:
                return
            else:
                most = fault.bytes if fault and fault.action == "cut" else MANY
                size = self.answer.take(server.came, most)
                data, server.came = server.came[:size], server.came[size:]
                if self.answer.count >= most and not self.answer.done:
                    self._last(data)
                self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        ended = self.answer is not None and self.answer.done
        if ended:
            self._log()
        if not (self.fault and self.fault.action == "close_after"):
            self.client.to_send += data
        elif ended:
            raise Gone("close_after")

    def _last(self, data: bytes) -> None:
        """Sends these bytes of an answer that is cut, and closes."""
        self._log()
        self.client.to_send += data
        while self.client.to_send:
            wait([], [self.client])
        raise Gone("cut")

    def _log(self) -> None:
        if self.logged:
            return
        self.logged = True
        self.connection.forward.log.write(
            method=self.method,
            path=self.target,
            status=self.status,
            bytes_in=self.body.count,
            bytes_out=self.answer.count if self.answer else 0,
            client=self.connection.peer,
            fault=self.fault.action if self.fault else None,
        )


class Connection:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, forward: Forward, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.forward, self.peer = forward, "%s:%d" % peer
        self.client = Side(sock)
        self._server: Side | None = None

    def server(self) -> Side:
        """The connection to the server, opened at the first use."""
        if self._server is None:
            try:
                self._server = Side(socket.create_connection(self.forward.to, timeout=30))
            except OSError as exc:
                raise Gone(str(exc)) from exc
        return self._server

    def serve(self) -> None:
        """Request after request, until one side is gone."""
        try:
            while True:
                head = self.client.head()
                if head:
                    Exchange(self, head).run()
                elif self.client.ended or (self._server and self._server.ended):
                    return
                else:
                    wait([self.client, *([self._server] if self._server else [])], [])
        except Gone:
            return  # an ending like any other; the log has it
        finally:
            self.close()
            self.forward.connections.discard(self)

    def close(self) -> None:
        """Closes both ends."""
        for side in (self.client, self._server):
            if side:
                side.close()


class Forward:
    """The listening end."""

    def __init__(self, folder: Path, to: tuple[str, int]) -> None:
        self.to = to
        self.log = RequestLog(str(folder / "access.jsonl"))
        self.faults = FaultPlan()
        self.connections: set[Connection] = set()
        self.port = 0
        self._listening: socket.socket | None = None

    def listen(self, on: bool) -> None:
        """Opens the port, or closes it with every connection."""
        if on and not self._listening:
            self._listening = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self.port = self._listening.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()
        elif not on and self._listening:
            sock, self._listening = self._listening, None
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
            for connection in list(self.connections):
                connection.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, peer = listening.accept()
            except OSError:
                return  # closed by listen(False)
            connection = Connection(self, sock, peer)
            self.connections.add(connection)
            threading.Thread(target=connection.serve, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--remove", action="store_true")
    wanted = parser.parse_args()
    folder = wanted.home / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    host, _colon, port = wanted.to.rpartition(":")
    forward = Forward(folder, (host, int(port)))
    forward.listen(True)
    token = secrets.token_urlsafe(24)
    control = start_control("127.0.0.1", token, forward.faults, forward.listen)
    (folder / "control.json").write_text(json.dumps({"url": "http://127.0.0.1:%d" % control, "token": token}))
    beside = folder / "forward.json.new"
    beside.write_text(json.dumps({"url": "http://127.0.0.1:%d" % forward.port, "port": forward.port}))
    beside.rename(folder / "forward.json")
    while sys.stdin.buffer.read(BLOCK):
        continue
    if wanted.remove:
        for _again in range(20):  # the server, which ends as we do, may still be writing
            shutil.rmtree(wanted.home, ignore_errors=True)
            time.sleep(0.1)
            if not wanted.home.exists():
                break
    os._exit(0)


if __name__ == "__main__":
    main()
