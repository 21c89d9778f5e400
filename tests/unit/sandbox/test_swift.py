# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Swift: its log, its faults, and what tests rely on."""

from __future__ import annotations

import concurrent.futures
import http.client
import os
import pathlib
import threading
import time
import urllib.parse
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer
from polystore_sandbox.services.swift import only_changed

Answer = tuple[int, dict[str, str], bytes]


class Client:
    """A bare keep-alive client of the ordinary user, or of the reseller's administrator."""

    def __init__(self, server: SwiftServer, admin: bool = False, timeout: float = 30.0) -> None:
        auth = server.auth_v1(admin)["auth"]
        place = urllib.parse.urlsplit(server.url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)
        headers = {"X-Storage-User": auth["username"], "X-Storage-Pass": auth["password"]}
        _status, got, _body = self.send("GET", "/auth/v1.0", **headers)
        self.path, self.token = urllib.parse.urlsplit(got["x-storage-url"]).path, got["x-auth-token"]

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request, as it is."""
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request below the account."""
        return self.send(method, self.path + path, body, **{"X-Auth-Token": self.token, **headers})


@pytest.fixture
def client(swift_server: SwiftServer) -> Client:
    """A client that has its token."""
    return Client(swift_server)


@pytest.fixture
def container(swift_server: SwiftServer, client: Client) -> str:
    """A container with the object `o`, ten bytes."""
    name = "/" + swift_server.new_container_name()
    assert client("PUT", name, b"")[0] == 201
    assert client("PUT", name + "/o", b"0123456789")[0] == 201
    return name


def last(server: SwiftServer, mark: int) -> dict[str, Any]:
    """The one request since the mark."""
    (entry,) = server.requests(mark)
    return entry


def test_the_log_has_every_request_of_clients_and_no_other(
    swift_server: SwiftServer, client: Client, container: str
) -> None:
    mark = swift_server.mark()
    client("PUT", container + "/a%20b?x=1", b"12345")
    client("HEAD", container + "/o")
    client("GET", container + "/o")
    client("GET", container + "/none")
    client("DELETE", container + "/o")
    found = swift_server.requests(mark)
    base = client.path + container
    assert [(e["method"], e["path"], e["status"], e["bytes_in"]) for e in found] == [
        ("PUT", base + "/a%20b?x=1", 201, 5),
        ("HEAD", base + "/o", 200, 0),
        ("GET", base + "/o", 200, 0),
        ("GET", base + "/none", 404, 0),
        ("DELETE", base + "/o", 204, 0),
    ]
    assert found[2]["bytes_out"] == 10
    assert len({entry["client"] for entry in found}) == 1  # one connection
    assert [entry["method"] for entry in swift_server.writes(mark)] == ["PUT", "DELETE"]
    assert swift_server.requests(mark, method="GET", path="/none")[0]["status"] == 404


def test_status_hits_the_nth_match_once_and_applies_nothing(
    swift_server: SwiftServer, client: Client, container: str
) -> None:
    swift_server.fault("status", method="PUT", path=container + "/x", nth=3, status=503, headers={"Retry-After": "1"})
    answers = [client("PUT", f"{container}/x{number}", b"data") for number in range(4)]
    assert [answer[0] for answer in answers] == [201, 201, 503, 201]
    assert answers[2][1]["retry-after"] == "1"
    assert client("HEAD", container + "/x2")[0] == 404
    (state,) = swift_server.faults()
    assert (state["seen"], state["hit"]) == (4, 1)


@pytest.mark.parametrize("status", [401, 429])
def test_status_401_and_429(swift_server: SwiftServer, client: Client, container: str, status: int) -> None:
    swift_server.fault("status", status=status, body="words of the server")
    assert client("GET", container + "/o")[::2] == (status, b"words of the server")
    assert client("GET", container + "/o")[0] == 200


def test_redirect(swift_server: SwiftServer, client: Client, container: str) -> None:
    swift_server.fault("redirect", location="http://127.0.0.1:1{path}", count=None)
    for _time in range(2):
        status, headers, _body = client("HEAD", container + "/o?a=b")
        assert (status, headers["location"]) == (302, f"http://127.0.0.1:1{client.path}{container}/o?a=b")


def test_delay_applies_afterwards(swift_server: SwiftServer, client: Client, container: str) -> None:
    swift_server.fault("delay", seconds=0.3)
    begun = time.monotonic()
    assert client("PUT", container + "/late", b"x")[0] == 201
    assert time.monotonic() - begun >= 0.3


def test_cut_gives_the_first_bytes_only(swift_server: SwiftServer, client: Client, container: str) -> None:
    swift_server.fault("cut", method="GET", bytes=4)
    mark = swift_server.mark()
    with pytest.raises(http.client.IncompleteRead) as cut:
        client("GET", container + "/o")
    assert cut.value.partial == b"0123"
    assert (last(swift_server, mark)["bytes_out"], last(swift_server, mark)["fault"]) == (4, "cut")


@pytest.mark.parametrize(("action", "applied"), [("close", False), ("cut_upload", False), ("close_after", True)])
def test_connections_that_end_without_an_answer(
    swift_server: SwiftServer, client: Client, container: str, action: str, applied: bool
) -> None:
    swift_server.fault(action, method="PUT", bytes=3)
    mark = swift_server.mark()
    with pytest.raises(http.client.RemoteDisconnected):
        client("PUT", container + "/new", b"abcdef")
    entry = last(swift_server, mark)
    assert entry["bytes_in"] == {"close": 0, "cut_upload": 3, "close_after": 6}[action]
    client.connection.close()
    assert (client("HEAD", container + "/new")[0] == 200) is applied


def test_hang_answers_nothing_until_it_is_cleared(swift_server: SwiftServer, client: Client, container: str) -> None:
    swift_server.fault("hang", method="DELETE")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client, "DELETE", container + "/o")
        swift_server.wait_for(lambda: swift_server.faults()[0]["hit"] == 1)
        other = Client(swift_server)
        assert other("HEAD", container + "/o")[0] == 200
        assert not waiting.done()
        swift_server.clear_faults()
        with pytest.raises(http.client.RemoteDisconnected):
            waiting.result(timeout=30)


def test_refused_connections(swift_server: SwiftServer, client: Client, container: str) -> None:
    swift_server.listen(False)
    client.connection.close()
    with pytest.raises(ConnectionRefusedError):
        client("HEAD", container + "/o")
    client.connection.close()
    swift_server.listen(True)
    assert client("HEAD", container + "/o")[0] == 200


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"action": "explode"}, "action must be one of status, redirect"),
        ({"action": "redirect"}, "redirect needs a location"),
        ({"action": "delay", "minutes": 1}, "unknown field minutes"),
        ({"action": "close", "path": "("}, "regular expressions"),
    ],
)
def test_faults_that_cannot_be_ordered(swift_server: SwiftServer, order: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        swift_server.fault(**order)
    assert swift_server.faults() == []


def test_policies_users_and_account_totals(swift_server: SwiftServer, client: Client, container: str) -> None:
    name = "/" + swift_server.new_container_name()
    assert client("PUT", name, b"", **{"X-Storage-Policy": "reduced-redundancy"})[0] == 201
    assert client("HEAD", name)[1]["x-storage-policy"] == "reduced"
    quota = {"X-Account-Meta-Quota-Bytes": "1000000000"}
    assert client("POST", "", b"", **quota)[0] == 403
    admin = Client(swift_server, admin=True)
    account = client.path
    assert admin.send("POST", account, b"", **{"X-Auth-Token": admin.token, **quota})[0] == 204
    assert admin.send("POST", account, b"", **{"X-Auth-Token": admin.token, "X-Account-Meta-Quota-Bytes": ""})[0] == 204
    assert swift_server.wait_for(lambda: int(client("HEAD", "")[1]["x-account-object-count"]) > 0)


class Updater:
    """What the sandbox relies on of Swift's container updater; `works`: whether an account server answers."""

    def __init__(self, conf: dict[str, str]) -> None:
        self.conf, self.successes, self.no_changes, self.works = conf, 0, 0, True
        self.opened: list[str] = []

    def process_container(self, dbfile: str) -> None:
        self.opened.append(dbfile)
        self.no_changes += self.works


def test_a_database_that_did_not_change_stays_closed(tmp_path: pathlib.Path) -> None:
    updater = only_changed(Updater)({"name": "value"})
    assert updater.conf == {"name": "value"}
    path, pending = tmp_path / "a.db", tmp_path / "a.db.pending"
    path.write_bytes(b"")

    def opened(moment: float) -> bool:
        for each in tmp_path.iterdir():
            os.utime(each, (moment, moment))
        count = len(updater.opened)
        updater.process_container(str(path))
        return len(updater.opened) > count

    now = time.time()
    assert [opened(now), opened(now)] == [True, True], "it may change again without another time"
    updater.works = False
    assert [opened(now - 60), opened(now - 60)] == [True, True], "its totals are not carried yet"
    updater.works = True
    assert [opened(now - 60), opened(now - 60), opened(now - 30), opened(now - 30)] == [True, False, True, False]
    for changed in (path, pending):
        changed.write_bytes(b"more")
        assert [opened(now - 30), opened(now - 30)] == [True, False], changed


def test_many_threads_of_small_objects(swift_server: SwiftServer, client: Client, container: str) -> None:
    local = threading.local()

    def put(number: int) -> int:
        if not hasattr(local, "client"):
            local.client = Client(swift_server)
        status: int = local.client("PUT", f"{container}/many-{number:03}", b"x" * 4096)[0]
        return status

    mark = swift_server.mark()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(put, range(200))) == {201}
    assert len(swift_server.writes(mark)) == 200
    listing = client("GET", container + "?prefix=many-")[2].split()
    assert len(listing) == 200
