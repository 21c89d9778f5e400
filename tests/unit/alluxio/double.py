# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy that answers what a test tells it to, and keeps what it was asked. It has no state: the stand-in has."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioClient, Settings

INFO = {
    "path": "/a",
    "folder": False,
    "length": 7,
    "completed": True,
    "mode": 420,
    "owner": "o",
    "group": "g",
    "ttl": -1,
    "ttlAction": "FREE",
}


class Seen(NamedTuple):
    """One request. path: raw, with its query; connection: the client's port; length: of the body."""

    method: str
    path: str
    operation: str
    headers: dict[str, str]
    body: bytes
    length: int
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What is answered: a status, a body, more headers. cut: so many bytes of the body are not sent."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = {}
    cut: int = 0


def refusal(code: str, message: str | None = "words", key: str = "statusCode") -> Answer:
    """A failure as Alluxio tells it."""
    return Answer(500, {"message": message, key: code}, {"Content-Type": "application/json"})


def page(status: int, text: str, **headers: str) -> Answer:
    """A page of HTML."""
    body = "<!DOCTYPE html><html><head><title>t</title><style>x{}</style></head><body><h1>%s</h1></body></html>" % text
    return Answer(status, body.encode(), {"Content-Type": "text/html", **headers})


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Double

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the double keeps its own log."""

    def answer(self) -> None:
        operation = self.path.split("?")[0].rsplit("/", 1)[-1]
        given = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, operation, given, b"", 0, self.client_address[1])
        with self.server.turn:  # in the order in which requests begin, whatever becomes of their bodies
            place = len(self.server.log)
            self.server.log.append(seen)
        due = length = int(self.headers.get("content-length", 0))
        kept = b""
        while due:
            block = self.rfile.read(min(due, 65536))
            if not block:
                break
            due -= len(block)
            kept = (kept + block)[:100000]
        seen = self.server.log[place] = seen._replace(body=kept, length=length - due)
        told = self.server.next(seen)
        if callable(told):
            told(self)
            return
        body = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        self.send_response(told.status)
        for name, value in {"Content-Length": str(len(body)), **told.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) - told.cut])
        self.close_connection = bool(told.cut)

    do_GET = do_POST = answer


def close(handler: Handler) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """There is no answer until the test ends."""
    handler.server.end.wait()
    handler.close_connection = True


class Double(http.server.ThreadingHTTPServer):
    """The server. log: what was asked; answers: what is told, by operation."""

    daemon_threads = True
    request_queue_size = 50

    def __init__(self, version: str = "2.9.6") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server_port
        self.log: list[Seen] = []
        self.turn = threading.Lock()
        self.end = threading.Event()
        self.answers: dict[str, list[Answer | Callable[[Handler], None]]] = {
            "info": [Answer(body={"version": version, "configuration": {}, "startTimeMs": 1, "uptimeMs": 2})],
            "get-status": [Answer(body=INFO)],
            "list-status": [Answer(body=[])],
            "exists": [Answer(body=True)],
            "create-file": [Answer(body=7)],
            "open-file": [Answer(body=8)],
            "read": [Answer(body=b"content")],
            "download-file": [Answer(body=b"content")],
        }

    def tell(self, operation: str, *answers: Answer | Callable[[Handler], None]) -> None:
        """The answers to the next requests for an operation; the last one stays."""
        self.answers[operation] = list(answers)

    def next(self, seen: Seen) -> Answer | Callable[[Handler], None]:
        """What is answered now."""
        waiting = self.answers.get(seen.operation) or self.answers.get("*")
        if waiting:
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Answer(body=seen.length) if seen.operation == "write" else Answer()

    def asked(self) -> list[str]:
        """The operations that were asked for, without proxy/info."""
        return [seen.operation for seen in self.log if seen.operation != "info"]

    def last(self, operation: str) -> Seen:
        """The last request for an operation."""
        return next(seen for seen in reversed(self.log) if seen.operation == operation)

    def client(self, **settings: Any) -> AlluxioClient:
        """A client of its own."""
        return AlluxioClient(Settings(**{"proxy_url": self.url, "timeout": 20.0, **settings}))


@contextlib.contextmanager
def serving(version: str = "2.9.6") -> Iterator[Double]:
    """A double that runs."""
    with Double(version) as double:
        thread = threading.Thread(target=double.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield double
        finally:
            double.end.set()
            double.shutdown()
            thread.join()
