# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare keep-alive client of an Alluxio proxy, and the stand-ins that the tests beside it talk to."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import AlluxioServer, start_stand_in

THROUGH = {"writeType": "CACHE_THROUGH"}
OCTETS = {"Content-Type": "application/octet-stream"}
Answer = tuple[int, Any]


class Proxy:
    """What is asked and answered, as it is."""

    def __init__(self, server: AlluxioServer, timeout: float = 30.0) -> None:
        self.server = server
        place = urllib.parse.urlsplit(server.url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)
        self.old = server.version.startswith("1.")

    def send(self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Status and body: JSON where it is some."""
        self.connection.request(method, url, body, headers or {})
        answer = self.connection.getresponse()
        data = answer.read()
        if (answer.getheader("Content-Type") or "").startswith("application/json"):
            try:
                return answer.status, json.loads(data)
            except ValueError:
                return answer.status, data
        return answer.status, data

    def socket(self) -> socket.socket:
        """A connection for a request that no library sends."""
        place = urllib.parse.urlsplit(self.server.url)
        return socket.create_connection((place.hostname, place.port), timeout=30)

    def op(self, path: str, operation: str, body: Any = None, **query: str) -> Answer:
        """One operation."""
        url = f"/api/v1/paths/{urllib.parse.quote(path)}/{operation}"
        url += "?" + urllib.parse.urlencode(query) if query else ""
        data = None if body is None else json.dumps(body)
        return self.send("POST", url, data, {"Content-Type": "application/json"} if data else {})

    def name(self, path: str, operation: str, body: Any = None, **query: str) -> str:
        """The status name of an operation that is refused."""
        status, value = self.op(path, operation, body, **query)
        assert status == 500
        return str(value["status" if self.old else "statusCode"])

    def made(self, path: str, operation: str, body: Any = None, **query: str) -> Any:
        """What an operation answers that has to succeed."""
        status, value = self.op(path, operation, body, **query)
        assert status == 200, value
        return value

    def stream(self, number: int, operation: str, data: bytes | None = None) -> Answer:
        """An operation on a stream."""
        return self.send("POST", f"/api/v1/streams/{number}/{operation}", data, OCTETS if data is not None else {})

    def put(self, path: str, data: bytes = b"hello", **options: Any) -> None:
        """A whole file."""
        number = self.made(path, "create-file", {**THROUGH, **options})
        assert self.stream(number, "write", data) == (200, len(data))
        assert self.stream(number, "close")[0] == 200

    def get(self, path: str) -> Answer:
        """A file's content by open-file, read and close."""
        number = self.made(path, "open-file")
        found = self.stream(number, "read")
        assert self.stream(number, "close")[0] == 200
        return found

    def status(self, path: str, **options: Any) -> dict[str, Any]:
        """FileInfo."""
        found: dict[str, Any] = self.made(path, "get-status", options or None)
        return found

    def ttl(self, milliseconds: int, action: str) -> dict[str, Any]:
        """As the dialect has it."""
        given = {"ttl": milliseconds, "ttlAction": action}
        return given if self.old else {"commonOptions": given}


def proxy_of(version: str) -> Iterator[Proxy]:
    """A client of a stand-in; faults and settings end with the test."""
    server = start_stand_in(version)
    made = Proxy(server)
    yield made
    made.connection.close()
    server.end_faults()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """2.9.6."""
    yield from proxy_of("2.9.6")


@pytest.fixture(params=["2.9.6", "1.8.1"])
def each(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """Each dialect."""
    yield from proxy_of(request.param)


@pytest.fixture
def top(request: pytest.FixtureRequest) -> str:
    """A new directory of the test's server."""
    made = request.getfixturevalue("each" if "each" in request.fixturenames else "proxy")
    return str(made.server.new_path())
