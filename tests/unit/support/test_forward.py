# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarder in front of real servers: what passes is not touched, but logged, and faults are carried out."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import FILES, Server

FORWARD = Path(__file__).parents[2] / "support" / "forward.py"
LARGE = b"0123456789abcdef" * 65536


class Origin(BaseHTTPRequestHandler):
    """Answers with what it was asked, large or in chunks where the path says so."""

    protocol_version = "HTTP/1.1"
    seen: list[str] = []

    def _handle(self) -> None:
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append("%s %s" % (self.command, self.path))
        data = LARGE if "large" in self.path else b"%s %d" % (self.path.encode(), len(body))
        self.send_response(500 if "bad" in self.path else 200, "As it is")
        self.send_header("X-Peer", "%d" % self.client_address[1])
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (data[:5], data[5:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def forward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A forwarder in front of an Origin."""
    home = tmp_path_factory.mktemp("forward") / "home"
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    origin.daemon_threads = True
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    process = subprocess.Popen(
        [sys.executable, str(FORWARD), "--home", str(home), "--name", "it", "--remove"]
        + ["--to", "127.0.0.1:%d" % origin.server_address[1]],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(FILES)},
    )
    ready = home / "it" / "forward.json"
    until(ready.exists)
    yield Server(home, "it", {**read(ready), "pid": process.pid})
    assert process.stdin
    process.stdin.close()
    process.wait(30)
    assert not home.exists()  # it cleans up behind its owner
    origin.shutdown()
    origin.server_close()


@pytest.fixture
def client(forward: Server) -> Iterator[http.client.HTTPConnection]:
    """A connection to the forwarder; what was ordered ends with it."""
    found = http.client.HTTPConnection(forward.url.split("//")[1], timeout=30)
    yield found
    found.close()
    forward.clear_faults()


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return value


def until(condition: Callable[[], Any]) -> None:
    """Waits for a condition."""
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def ask(client: http.client.HTTPConnection, path: str, body: Any = None, method: str = "POST") -> tuple[int, bytes]:
    """Status and body of an answer."""
    client.request(method, path, body, encode_chunked=not isinstance(body, bytes | None))
    answer = client.getresponse()
    return answer.status, answer.read()


def test_nothing_is_touched(client: http.client.HTTPConnection, forward: Server) -> None:
    mark = forward.mark()
    path = "/api//v1/paths//%C3%BC%20a/./x/../y;z=1?dst=//b%2Fc"
    assert ask(client, path, b"12345") == (200, path.encode() + b" 5")
    assert ask(client, "/bad", b"") == (500, b"/bad 0")
    entry, other = forward.requests(mark)
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", path, 200)
    assert (entry["bytes_in"], entry["bytes_out"], entry["fault"]) == (5, len(path) + 2, None)
    assert entry["client"] == other["client"]  # one connection, kept after the error


def test_chunks_pass_both_ways(client: http.client.HTTPConnection, forward: Server) -> None:
    mark = forward.mark()
    client.request("POST", "/chunked", iter([b"1" * 7, b"2" * 300000]), encode_chunked=True)
    assert client.getresponse().read() == b"/chunked 300007"
    assert ask(client, "/large/chunked", LARGE) == (200, LARGE)
    assert [(e["bytes_in"], e["bytes_out"]) for e in forward.requests(mark)] == [(300007, 15), (len(LARGE), len(LARGE))]


def test_one_connection_for_each_client(client: http.client.HTTPConnection, forward: Server) -> None:
    peers = []
    for _again in range(2):
        client.request("GET", "/")
        answer = client.getresponse()
        peers.append(answer.headers["X-Peer"])
        answer.read()
    other = http.client.HTTPConnection(forward.url.split("//")[1], timeout=30)
    other.request("HEAD", "/large")
    answer = other.getresponse()
    assert (answer.headers["Content-Length"], answer.read()) == (str(len(LARGE)), b"")
    peers.append(answer.headers["X-Peer"])
    other.close()
    assert peers[0] == peers[1] != peers[2]


def test_pipelined_requests_are_answered_in_turn(forward: Server) -> None:
    host, _colon, port = forward.url.split("//")[1].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 2 + b"GET /2 HTTP/1.0\r\n\r\n")
        text = b""
        while data := sock.recv(65536):
            text += data
    assert text.count(b"/1 3") == 2
    assert text.endswith(b"/2 0")


@pytest.mark.parametrize("action", ["close", "close_after", "cut", "cut_upload", "status", "redirect", "delay"])
def test_faults(action: str, client: http.client.HTTPConnection, forward: Server) -> None:
    mark, before = forward.mark(), len(Origin.seen)
    forward.fault(action, path="/large", nth=2, bytes=1000, status=503, location="{path}?again", seconds=0.01)
    assert ask(client, "/large", b"1") == (200, LARGE)
    if action in ("status", "redirect"):
        assert ask(client, "/large", b"1")[0] == 503
    elif action == "delay":
        assert ask(client, "/large", b"1") == (200, LARGE)
    elif action == "cut":
        with pytest.raises(http.client.IncompleteRead) as raised:
            ask(client, "/large", b"1")
        assert raised.value.partial == LARGE[:1000]
    else:
        with pytest.raises(ConnectionError):
            ask(client, "/large", LARGE)
    reached = 2 if action in ("close_after", "cut", "delay") else 1
    assert Origin.seen[before:] == ["POST /large"] * reached
    entry = forward.requests(mark)[1]
    assert entry["fault"] == action
    if action == "cut_upload":
        assert entry["bytes_in"] == 1000
    client.close()
    assert ask(client, "/large", b"1") == (200, LARGE)


def test_hang_ends_with_the_faults(client: http.client.HTTPConnection, forward: Server) -> None:
    forward.fault("hang")
    client.request("GET", "/")
    until(lambda: forward.faults()[0]["hit"])
    forward.clear_faults()
    with pytest.raises(ConnectionError):
        client.getresponse()


def test_a_closed_port_refuses_and_ends_connections(client: http.client.HTTPConnection, forward: Server) -> None:
    assert ask(client, "/")[0] == 200
    forward.listen(False)
    with pytest.raises(ConnectionError):
        ask(client, "/")
    client.close()
    with pytest.raises(ConnectionRefusedError):
        ask(client, "/")
    forward.listen(True)
    client.close()
    assert ask(client, "/")[0] == 200


def test_an_upload_that_is_broken_off_is_told_to_the_server(forward: Server) -> None:
    mark = forward.mark()
    host, _colon, port = forward.url.split("//")[1].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(b"POST /off HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    until(lambda: forward.requests(mark))
    (entry,) = forward.requests(mark)
    assert (entry["status"], entry["bytes_in"]) == (None, 3)
