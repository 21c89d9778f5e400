# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Alluxio stand-in as a server: connections, log, faults, and the states that a proxy can be in."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
import urllib.request
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.unit.sandbox.alluxio_calls import (
    OCTETS,
    THROUGH,
    Proxy,
    each,
    proxy,
    top,
)

__all__ = ["each", "proxy", "top"]
SEVERAL = [("status", {"status": 503}, 503), ("redirect", {"location": "http://127.0.0.1:1{path}"}, 302)]


def test_one_connection_is_kept_whatever_is_answered(each: Proxy, top: str) -> None:
    mark = each.server.mark()
    each.op(top + "/none", "get-status")
    each.op(top, "no-such-operation")
    each.op(top, "delete", {"nosuch": 1})
    each.send("GET", "/api/v1/proxy/info")
    each.op(top, "exists")
    found = each.server.requests(mark)
    assert [entry["status"] for entry in found] == [500, 404 if each.old else 500, 400, 200, 200]
    assert len({entry["client"] for entry in found}) == 1
    assert found[0]["path"] == f"/api/v1/paths/{top}/none/get-status"  # with its two slashes
    assert each.server.writes(mark) == [found[1], found[2]]


def test_what_counts_as_a_write(proxy: Proxy, top: str) -> None:
    proxy.put(top + "/f")
    mark = proxy.server.mark()
    proxy.get(top + "/f")
    proxy.made(top, "list-status")
    assert proxy.server.writes(mark) == []
    proxy.put(top + "/g")
    assert [entry["path"].rsplit("/", 1)[1] for entry in proxy.server.writes(mark)] == ["create-file", "write", "close"]


@pytest.mark.parametrize(("action", "order", "status"), SEVERAL)
def test_answers_that_are_made_up(proxy: Proxy, top: str, action: str, order: dict[str, Any], status: int) -> None:
    proxy.server.fault(action, path="create-directory", **order)
    assert proxy.op(top + "/d", "create-directory", THROUGH)[0] == status
    assert proxy.op(top + "/d", "exists") == (200, False)


def test_refused_writes_leave_reading_alone(each: Proxy, top: str) -> None:
    each.put(top + "/f")
    assert each.server.refuse_writes("not today") == "PERMISSION_DENIED"
    assert each.get(top + "/f") == (200, b"hello")
    assert each.name(top + "/d", "create-directory") == "PERMISSION_DENIED"
    assert each.name(top + "/f", "rename", dst=top + "/g") == "PERMISSION_DENIED"


@pytest.mark.parametrize(("action", "applied"), [("close", False), ("cut_upload", False), ("close_after", True)])
def test_connections_that_end_without_an_answer(proxy: Proxy, top: str, action: str, applied: bool) -> None:
    proxy.server.fault(action, path="create-directory", bytes=3)
    mark = proxy.server.mark()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        proxy.op(top + "/d", "create-directory", THROUGH)
    (entry,) = proxy.server.requests(mark)
    assert (entry["status"], entry["fault"]) == (200 if applied else None, action)
    assert proxy.op(top + "/d", "exists") == (200, applied)


def test_an_upload_that_is_cut_is_short_and_complete_once_closed(each: Proxy, top: str) -> None:
    number = each.made(top + "/f", "create-file", THROUGH)
    with each.socket() as sock:
        head = f"POST /api/v1/streams/{number}/write HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
        sock.sendall(head.encode() + b"x" * 1000)
    each.server.wait_for(lambda: any(e["bytes_in"] == 1000 for e in each.server.requests(path=f"/{number}/write")))
    assert each.stream(number, "close")[0] == 200
    found = each.status(top + "/f")
    assert (found["completed"], found["length"]) == (True, 1000)


def test_cut_gives_the_first_bytes_only(proxy: Proxy, top: str) -> None:
    for size in (10, 100_000):  # with a length, and chunked
        proxy.put(f"{top}/{size}", b"0123456789" * (size // 10))
        proxy.server.fault("cut", path="download-file", bytes=4)
        with pytest.raises(http.client.IncompleteRead) as cut:
            proxy.send("GET", f"/api/v1/paths/{top}/{size}/download-file")
        assert cut.value.partial == b"0123"
        proxy.connection.close()


def test_delay_and_hang(proxy: Proxy, top: str) -> None:
    proxy.server.fault("delay", seconds=0.2)
    begun = time.monotonic()
    assert proxy.op(top, "exists") == (200, True)
    assert time.monotonic() - begun >= 0.2
    proxy.server.clear_faults()
    proxy.server.fault("hang", path="delete")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Proxy(proxy.server).op, top, "delete")
        proxy.server.wait_for(lambda: proxy.server.faults()[0]["hit"] == 1)
        assert proxy.op(top, "exists") == (200, True)
        assert not waiting.done()
        proxy.server.clear_faults()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            waiting.result(timeout=30)
    assert proxy.op(top, "exists") == (200, True)


def test_a_closed_port(proxy: Proxy, top: str) -> None:
    proxy.server.listen(False)
    proxy.connection.close()
    with pytest.raises(ConnectionRefusedError):
        proxy.op(top, "exists")
    proxy.connection.close()
    proxy.server.listen(True)
    assert proxy.op(top, "exists") == (200, True)


def test_chunked_bodies_and_those_that_wait_for_a_word(proxy: Proxy, top: str) -> None:
    number = proxy.made(top + "/f", "create-file", THROUGH)
    proxy.connection.request(
        "POST", f"/api/v1/streams/{number}/write", iter([b"ab", b"cde"]), OCTETS, encode_chunked=True
    )
    answer = proxy.connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"5")
    with proxy.socket() as sock:
        head = f"POST /api/v1/streams/{number}/write HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        sock.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"fgh")
        assert sock.recv(1000).endswith(b"3")
    proxy.stream(number, "close")
    assert proxy.get(top + "/f") == (200, b"abcdefgh")


def test_a_shadowed_proxy_says_yes_to_everything_and_does_nothing(proxy: Proxy, top: str) -> None:
    proxy.server.behave(mode="shadowed")
    for answer in (
        proxy.op(top, "delete", {"recursive": True}),
        proxy.op(top, "get-status"),
        proxy.stream(1, "write", b"x"),
        proxy.send("GET", "/api/v1/proxy/info"),
    ):
        assert answer == (200, b"")
    proxy.server.behave(mode="normal")
    assert proxy.op(top, "exists") == (200, True)


def test_without_a_master(each: Proxy, top: str) -> None:
    each.server.behave(mode="no-master", outage_seconds=0.2)
    begun = time.monotonic()
    assert each.name(top, "exists") == "UNAVAILABLE"
    assert time.monotonic() - begun >= 0.2
    assert each.send("GET", "/api/v1/proxy/info")[0] == 200
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(each.server.info["master_url"] + "/api/v1/master/info", timeout=10)
    each.server.behave(mode="normal")
    assert each.op(top, "exists") == (200, True)


def test_without_a_worker(each: Proxy, top: str) -> None:
    each.put(top + "/f")
    number = each.made(top + "/f", "open-file")
    each.server.behave(mode="no-worker")
    assert each.name(top + "/g", "create-file", THROUGH) == "UNAVAILABLE"
    assert each.op(top + "/g", "exists") == (200, False)
    lost = each.made(top + "/m", "create-file", {"writeType": "MUST_CACHE"})
    assert each.stream(lost, "write", b"x")[0] == 500
    assert each.stream(lost, "close")[0] == 200
    assert each.status(top + "/m")["completed"] is False
    if each.old:
        assert each.stream(number, "read")[0] == 500
    else:
        with pytest.raises(TimeoutError):
            Proxy(each.server, timeout=0.3).stream(number, "read")
    each.server.behave(mode="normal")


def test_settings_that_there_are_not(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="mode must be one of normal, shadowed, no-master, no-worker"):
        proxy.server.behave(mode="broken")
    with pytest.raises(ValueError, match="unknown setting speed"):
        proxy.server.behave(speed=1)


def test_the_masters_info(each: Proxy, tmp_path: Any) -> None:
    with urllib.request.urlopen(each.server.info["master_url"] + "/api/v1/master/info", timeout=10) as answer:
        found = json.load(answer)
    assert found["mountPoints"]["/"]["ufsUri"] == str(each.server.ufs)
    path = f"/{each.server.new_container_name('m')}"
    secret = {"properties": {"aws.secretKey": "SECRET"}}
    each.made(path, "mount", secret, src=str(tmp_path))
    with urllib.request.urlopen(each.server.info["master_url"] + "/api/v1/master/info", timeout=10) as answer:
        told = json.load(answer)["mountPoints"][path]["properties"]
    assert told == ({"aws.secretKey": "SECRET"} if each.old else {"s3a.secretKey": "******"})
    each.made(path, "unmount")
