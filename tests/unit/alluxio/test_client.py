# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Alluxio client: what each operation sends in each dialect, what it makes of answers, how it keeps connections."""

from __future__ import annotations

import io
import os
import pickle
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import client
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import Settings
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Workers
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.tests.unit.alluxio.double import (
    INFO,
    Answer,
    Double,
    close,
    refusal,
    serving,
)

CT = {"writeType": "CACHE_THROUGH"}
MODE = {"ownerBits": "ALL", "groupBits": "READ_EXECUTE", "otherBits": "READ_EXECUTE"}


@pytest.fixture
def double() -> Iterator[Double]:
    with serving() as running:
        yield running


@pytest.fixture
def old() -> Iterator[Double]:
    with serving("1.8.1") as running:
        yield running


# method and its arguments, path and operation on the wire, the body in 1.8.1, the body in 2.9.6, writes
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str, Any, Any, int]] = [
    ("get_status", ("/",), {}, "//get-status", {}, {}, 0),
    ("get_status", ("/a b",), {"sync": True}, "/a%20b/get-status", {"commonOptions": {"syncIntervalMs": 0}}, ..., 0),
    ("exists", ("/a",), {}, "/a/exists", {}, {}, 0),
    ("list_status", ("/",), {}, "//list-status", {}, {}, 0),
    ("list_status", ("/d",), {"recursive": True}, "/d/list-status", {"recursive": True}, ..., 0),
    ("create_directory", ("/d",), {}, "/d/create-directory", {"recursive": True, **CT}, ..., 1),
    ("create_directory", ("/d", False), {"mode": "0755", "ttl": 5, "ttl_action": "delete"}, "/d/create-directory",
     {"recursive": False, **CT, "mode": MODE, "ttl": 5, "ttlAction": "DELETE"},
     {"recursive": False, **CT, "mode": MODE, "commonOptions": {"ttl": 5, "ttlAction": "DELETE"}}, 1),
    ("create_directory", ("/d",), {"write_type": "MUST_CACHE", "xattr": {"k": b"v"}}, "/d/create-directory", None,
     {"recursive": True, "writeType": "MUST_CACHE", "xattr": {"k": "dg=="}, "xattrPropStrat": "LEAF_NODE"}, 1),
    ("delete", ("/d",), {}, "/d/delete", {"recursive": False}, ..., 1),
    ("delete", ("/d",), {"recursive": True, "unchecked": True}, "/d/delete", {"recursive": True, "unchecked": True},
     ..., 1),
    ("rename", ("/a", "/b c&d"), {}, "/a/rename?dst=/b%20c%26d", {}, {}, 1),
    ("rename", ("/a", "/b"), {"overwrite": True}, "/a/rename?dst=/b", None,
     {"s3SyntaxOptions": {"overwrite": True}}, 1),
    ("set_attribute", ("/a",), {}, "/a/set-attribute", {}, {}, 1),
    ("set_attribute", ("/a", True), {"mode": "0755", "owner": "o", "group": "g", "pinned": False}, "/a/set-attribute",
     {"mode": MODE, "owner": "o", "group": "g", "pinned": False, "recursive": True}, ..., 1),
    ("set_attribute", ("/a",), {"ttl": -1}, "/a/set-attribute", {"ttl": -1, "ttlAction": "FREE"},
     {"commonOptions": {"ttl": -1, "ttlAction": "FREE"}}, 1),
    ("set_attribute", ("/a",), {"replication_min": 1, "replication_max": 2}, "/a/set-attribute", None,
     {"replicationMin": 1, "replicationMax": 2}, 1),
    ("set_attribute", ("/a",), {"xattr": {"k": b""}, "xattr_strategy": "DELETE_KEYS"}, "/a/set-attribute", None,
     {"xattr": {"k": ""}, "xattrUpdateStrategy": "DELETE_KEYS"}, 1),
    ("set_attribute", ("/a",), {"xattr": {"k": b"v"}}, "/a/set-attribute", None,
     {"xattr": {"k": "dg=="}, "xattrUpdateStrategy": "UNION_REPLACE"}, 1),
    ("mount", ("/m", "s3://b/x y?z&w"), {}, "/m/mount?src=s3://b/x%20y%3Fz%26w", {}, {}, 1),
    ("mount", ("/m", "/data"), {"read_only": True, "shared": False, "properties": {"k": "v"}}, "/m/mount?src=/data",
     {"readOnly": True, "shared": False, "properties": {"k": "v"}}, ..., 1),
    ("unmount", ("/m",), {}, "/m/unmount", {}, {}, 1),
    ("free", ("/a",), {}, "/a/free", {"recursive": False}, ..., 1),
    ("free", ("/a", True, True), {}, "/a/free", {"recursive": True, "forced": True}, ..., 1),
]  # fmt: skip


@pytest.mark.parametrize("version", ["1.8.1", "2.9.6"])
@pytest.mark.parametrize(("method", "args", "options", "wire", "first", "second", "writes"), CALLS)
def test_every_operation(
    version: str, method: str, args: Any, options: Any, wire: str, first: Any, second: Any, writes: int
) -> None:
    due = first if version == "1.8.1" or second is ... else second
    with serving(version) as double:
        proxy = double.client()
        if due is None:  # this dialect has no such field: nothing is sent
            with pytest.raises(StorageError, match=r"needs Alluxio 2\.\d\.\d, this one speaks as 1\.8\.1"):
                getattr(proxy, method)(*args, **options)
            assert double.asked() == []
            return
        getattr(proxy, method)(*args, **options)
        seen = double.log[-1]
        assert (seen.method, seen.path, seen.json) == ("POST", "/api/v1/paths/" + wire, due)
        assert seen.headers["content-type"] == "application/json" and "gzip" not in seen.headers["accept-encoding"]
        assert proxy.counters.snapshot()["writes"] == writes and len(double.log) == 2


def test_a_status_and_nothing_there(double: Double) -> None:
    proxy = double.client()
    found = proxy.get_status("/a")
    assert found and (found["mode"], found["length"], found["ttl"]) == ("0644", 7, -1)
    below = "Traversal failed for path /f/x. Component 1(f) is a file, not a directory"
    for gone in (refusal("NOT_FOUND"), refusal("INVALID_ARGUMENT", below), refusal("UNKNOWN", below, "status")):
        double.tell("get-status", gone)
        assert proxy.get_status("/f/x") is None
    for other in (refusal("INVALID_ARGUMENT", "no"), refusal("PERMISSION_DENIED"), Answer(500, b"HTTP 404 Not Found")):
        double.tell("get-status", other)
        with pytest.raises(StorageError):
            proxy.get_status("/f/x")


def test_a_listing_is_sorted_and_missing_is_an_error(double: Double) -> None:
    proxy = double.client()
    double.tell("list-status", Answer(body=[{**INFO, "path": "/d/b"}, {**INFO, "path": "/d/a"}]))
    assert [row["path"] for row in proxy.list_status("/d")] == ["/d/a", "/d/b"]
    double.tell("list-status", refusal("INVALID_ARGUMENT", "Traversal failed for path /f/x. Component 1(f) is a file"))
    with pytest.raises(client.AlluxioError) as caught:
        proxy.list_status("/f/x")
    assert caught.value.code == "NOT_FOUND" and "Traversal" in caught.value.server_message


def test_a_recursive_listing_is_walked_where_the_server_cannot() -> None:
    with serving("1.7.1") as double:
        folders = [{**INFO, "path": "/d/s", "folder": True}, {**INFO, "path": "/d/a"}]
        double.tell("list-status", Answer(body=folders), Answer(body=[{**INFO, "path": "/d/s/f"}]))
        assert [row["path"] for row in double.client().list_status("/d", True)] == ["/d/a", "/d/s", "/d/s/f"]
        assert [seen.json for seen in double.log[1:]] == [{}, {}]


def test_the_version_is_asked_once_by_many(double: Double) -> None:
    proxy = double.client()
    assert (proxy.version, proxy.can("xattr"), proxy.dialect.number) == ((2, 9, 6), True, 2)
    other = double.client()
    Workers(8).each(lambda _n: other.create_directory("/d"), range(40))
    assert len([seen for seen in double.log if seen.operation == "info"]) == 2
    assert other.info()["startTimeMs"] == 1 and len(double.asked()) == 40


def test_a_forced_dialect(double: Double) -> None:
    proxy = double.client(dialect="1")
    proxy.set_attribute("/a", ttl=5)
    assert double.last("set-attribute").json == {"ttl": 5, "ttlAction": "FREE"}
    assert proxy.version == (2, 9, 6) and not proxy.can("xattr")


def test_the_master_is_asked_when_its_address_is_known(double: Double) -> None:
    assert double.client().master_info() is None and double.log == []
    with serving() as master:
        mounts = {"mountPoints": {"/": {"ufsUri": "/u"}}}
        master.tell("info", Answer(body=mounts))
        proxy = double.client(master_url=master.url + "/", headers=(("X-Token", "for the proxy"),))
        assert proxy.master_info() == mounts
        assert [seen.path for seen in master.log] == ["/api/v1/master/info"]
        assert "x-token" not in master.log[0].headers


def test_headers_go_along_and_stay_secret(double: Double) -> None:
    proxy = double.client(headers=(("Authorization", "Basic c2VjcmV0"), ("Host", "alluxio.example")))
    double.tell("delete", refusal("PERMISSION_DENIED", "no: Basic c2VjcmV0"))
    with pytest.raises(client.AlluxioError) as caught:
        proxy.delete("/a")
    seen = double.last("delete")
    assert (seen.headers["authorization"], seen.headers["host"]) == ("Basic c2VjcmV0", "alluxio.example")
    assert "c2VjcmV0" not in caught.value.told() + repr(proxy.settings) + proxy.settings.identity()
    assert "alluxio.security.login.username" in caught.value.hint and not caught.value.fatal


def test_what_a_mount_error_repeats_is_hidden(double: Double) -> None:
    text = "mount command: alluxio fs mount --option k=SECRET1 /m /d\nThe key SECRET1 is wrong"
    double.tell("mount", refusal("UNKNOWN", text))
    with pytest.raises(StorageError) as caught:
        double.client().mount("/m", "/d", properties={"k": "SECRET1"})
    assert caught.value.server_message == "The key *** is wrong"


@pytest.mark.parametrize("dst", ["/a?b", "b", "/a/../b", "/a\\b"])
def test_no_path_leaves_that_a_server_would_misread(double: Double, dst: str) -> None:
    proxy = double.client()
    calls: list[Any] = [
        (proxy.rename, "/a", dst),
        (proxy.delete, dst),
        (proxy.get_status, dst),
        (proxy.mount, dst, "/x"),
    ]
    calls += [(proxy.upload, dst, io.BytesIO, 0), (proxy.unmount, dst), (proxy.create_directory, dst)]
    for call, *args in calls:
        with pytest.raises(StorageError, match="would take the path"):
            call(*args)
    assert double.asked() == []


# --- streams


def test_an_upload(double: Double) -> None:
    proxy = double.client()
    content = os.urandom(1_300_000)
    assert proxy.upload("/d/f", lambda: io.BytesIO(content), len(content), mode="0644", block_size=4096) == len(content)
    assert double.asked() == ["create-file", "write", "close"]
    create, write, end = double.log[1:]
    bits = {"ownerBits": "READ_WRITE", "groupBits": "READ", "otherBits": "READ"}
    assert create.json == {"recursive": True, **CT, "mode": bits, "blockSizeBytes": 4096}
    assert (write.path, write.length, write.body) == ("/api/v1/streams/7/write", len(content), content[:100000])
    assert write.headers["content-type"] == "application/octet-stream" and "transfer-encoding" not in write.headers
    assert (end.path, end.length) == ("/api/v1/streams/7/close", 0)
    told = proxy.counters.snapshot()
    assert told["writes"] == 3 and told["bytes_sent"] == len(content) + create.length


def test_an_empty_upload_writes_nothing(double: Double) -> None:
    assert double.client().upload("/f", io.BytesIO, 0) == 0
    assert double.asked() == ["create-file", "close"]


def test_an_upload_in_the_old_dialect(old: Double) -> None:
    old.client().upload("/f", lambda: io.BytesIO(b"x"), 1, ttl=5, ttl_action="delete", recursive=False)
    assert old.log[1].json == {"recursive": False, **CT, "ttl": 5, "ttlAction": "DELETE"}
    with pytest.raises(StorageError, match="replication_min needs"):
        old.client().upload("/f", lambda: io.BytesIO(b"x"), 1, replication_min=1)


class Broken(io.BytesIO):
    """Fails after its content."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise OSError(5, "Input/output error")
        return data


@pytest.mark.parametrize(
    ("operation", "answer", "length", "source", "told"),
    [
        ("write", refusal("UNKNOWN", "Failed to cache: io exception"), 10, io.BytesIO(b"x" * 10), "Failed to cache"),
        ("write", Answer(body=9), 10, io.BytesIO(b"x" * 10), "9 of 10 bytes were stored"),
        ("write", Answer(), 10, io.BytesIO(b"x" * 10), "the answer is empty"),
        ("write", close, 10, io.BytesIO(b"x" * 10), "broke"),
        ("close", refusal("INTERNAL", "stream does not exist"), 10, io.BytesIO(b"x" * 10), "stream does not exist"),
        ("none", Answer(), 10, io.BytesIO(b"x" * 9), "not 10 bytes long"),
        ("none", Answer(), 10, Broken(b"x" * 9), "Input/output error"),
    ],
)
def test_a_failed_upload_is_closed_and_then_deleted(
    double: Double, operation: str, answer: Any, length: int, source: Any, told: str
) -> None:
    double.tell(operation, answer, Answer())
    with pytest.raises(StorageError) as caught:
        double.client().upload("/d/f", lambda: source, length)
    assert told in caught.value.told() and "may be left" not in caught.value.hint
    asked = [seen for seen in double.asked() if seen != "write"]  # which may come in after its stream was closed
    assert asked[-2:] == ["close", "delete"] and source.closed
    assert double.last("delete").path == "/api/v1/paths//d/f/delete"


def test_an_upload_that_cannot_even_be_cleared_away_says_so(double: Double) -> None:
    double.tell("write", refusal("UNKNOWN"))
    double.tell("delete", close)
    with pytest.raises(StorageError, match="write /f: UNKNOWN") as caught:
        double.client().upload("/f", lambda: io.BytesIO(b"x"), 1)
    assert "An incomplete /f may be left" in caught.value.hint


def test_an_interrupted_upload_is_cleared_away_too(double: Double) -> None:
    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        double.client().upload("/f", Interrupted, 5)
    assert double.asked()[-2:] == ["close", "delete"]


def test_a_source_that_does_not_open_makes_no_file(double: Double) -> None:
    def factory() -> Any:
        raise OptionError("src", "it is gone")

    with pytest.raises(OptionError):
        double.client().upload("/f", factory, 5)
    assert double.asked() == []


def test_a_file_that_exists_is_not_touched(double: Double) -> None:
    double.tell("create-file", refusal("ALREADY_EXISTS"))
    with pytest.raises(StorageError) as caught:
        double.client().upload("/f", io.BytesIO, 0)
    assert caught.value.code == "ALREADY_EXISTS" and double.asked() == ["create-file"]


def test_a_download(double: Double) -> None:
    content = os.urandom(1_300_000)
    double.tell("download-file", Answer(body=content))
    proxy = double.client()
    with proxy.stream("/d/f", len(content)) as chunks:
        assert b"".join(chunks) == content
    assert double.asked() == ["download-file"] and double.log[-1].method == "GET"
    assert proxy.counters.snapshot()["bytes_received"] >= len(content)


def test_a_download_in_the_old_dialect(old: Double) -> None:
    with old.client().stream("/d/f", 7) as chunks:
        assert b"".join(chunks) == b"content"
    assert old.asked() == ["get-status", "open-file", "read", "close"]
    assert [seen.path for seen in old.log[-2:]] == ["/api/v1/streams/8/read", "/api/v1/streams/8/close"]
    old.tell("get-status", Answer(body={**INFO, "completed": False}))
    with pytest.raises(StorageError, match="/d/f is incomplete"), old.client().stream("/d/f"):
        pass
    old.tell("get-status", Answer(body=INFO))
    old.tell("read", Answer(500, b"<html>Request failed.</html>"))
    with pytest.raises(StorageError, match="read /d/f: HTTP 500") as caught, old.client().stream("/d/f"):
        pass
    assert "cannot be read" in caught.value.hint and old.asked()[-1] == "close"


def test_the_reason_of_a_refused_download_is_asked_for(double: Double) -> None:
    double.tell("download-file", Answer(500, b"HTTP 500 Internal Server Error"))
    double.tell("open-file", refusal("UNKNOWN", "Cannot read from /f because it is incomplete"), Answer(body=8))
    with pytest.raises(StorageError) as caught, double.client().stream("/f"):
        pass
    assert "incomplete" in caught.value.server_message and double.asked() == ["download-file", "open-file"]
    with pytest.raises(StorageError) as caught, double.client().stream("/f"):
        pass
    assert caught.value.code == 500 and double.asked()[-2:] == ["open-file", "close"]


@pytest.mark.parametrize(("cut", "length"), [(3, None), (3, 7), (0, 8), (0, 6)])
def test_a_download_that_is_not_whole(double: Double, cut: int, length: int | None) -> None:
    double.tell("download-file", Answer(body=b"content", cut=cut))
    with pytest.raises(client.AlluxioError) as caught, double.client().stream("/f", length) as chunks:
        list(chunks)
    assert caught.value.transient and caught.value.operation == "download-file"


def test_a_download_that_is_left_early_costs_its_connection_alone(double: Double) -> None:
    double.tell("download-file", Answer(body=b"x" * 5_000_000))
    proxy = double.client()
    with proxy.stream("/f") as chunks:
        next(chunks)
    assert proxy.exists("/f") and double.log[-1].connection != double.log[-2].connection


def test_streams_take_little_memory(double: Double) -> None:
    class Zeros:
        left = 40_000_000

        def read(self, size: int) -> bytes:
            size, self.left = min(size, self.left), self.left - min(size, self.left)
            return bytes(size)

        def close(self) -> None:
            pass

    proxy = double.client()
    proxy.version  # noqa: B018
    double.tell("download-file", Answer(body=bytes(40_000_000)))
    tracemalloc.start()
    try:
        proxy.upload("/f", Zeros, 40_000_000)
        with proxy.stream("/f") as chunks:
            assert sum(map(len, chunks)) == 40_000_000
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


# --- connections


def test_one_connection_serves_many_calls(double: Double) -> None:
    proxy = double.client()
    double.tell("delete", refusal("NOT_FOUND"))
    for _again in range(3):
        proxy.create_directory("/d")
        proxy.upload("/f", lambda: io.BytesIO(b"x"), 1)
        with proxy.stream("/f") as chunks:
            list(chunks)
        with pytest.raises(StorageError):
            proxy.delete("/d")
    assert len({seen.connection for seen in double.log}) == 1


def test_a_connection_that_was_idle_for_long_is_not_used_again(double: Double, monkeypatch: Any) -> None:
    proxy, now = double.client(), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for pause in (0.0, 19.0, 21.0, 1.0):
        now[0] += pause
        proxy.create_directory("/d")
    used = [seen.connection for seen in double.log[1:]]
    assert used[0] == used[1] != used[2] == used[3]


def test_a_connection_that_the_server_has_closed_does_not_fail_a_call(double: Double) -> None:
    def ends(handler: Any) -> None:  # says keep-alive and closes, as a server does after 30 s
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        handler.close_connection = True
        handler.server.closed.set()

    double.closed = threading.Event()  # type: ignore[attr-defined]
    double.tell("unmount", ends)
    proxy = double.client(retries=0)
    proxy.unmount("/m")
    assert double.closed.wait(10)  # type: ignore[attr-defined]
    for line in [line for _since, line in proxy._idle]:  # until the end of the connection has arrived here
        pool = line.poolmanager.connection_from_url(double.url)
        connection = pool._get_conn()
        assert connection.sock is None or connection.sock.recv(1) == b""
        pool._put_conn(connection)
    proxy.create_directory("/d")
    assert double.asked() == ["unmount", "create-directory"]


def test_no_more_connections_than_workers(double: Double) -> None:
    proxy = double.client(timeout=30.0)
    Workers(4).each(lambda n: proxy.create_directory("/d%d" % n), range(60))
    assert 1 <= len({seen.connection for seen in double.log}) <= 4
    proxy.close()
    assert proxy._idle == [] and proxy.exists("/d")


def test_a_fork_has_connections_of_its_own(double: Double) -> None:
    proxy = double.client()
    proxy.create_directory("/before")
    child = os.fork()
    if not child:
        try:
            proxy.create_directory("/child")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    proxy.create_directory("/after")
    before, inside, after = (seen.connection for seen in double.log[1:])
    assert before == after != inside


# --- settings


@pytest.mark.parametrize(
    "url", ["http://h:39999", "http://h:39999/", "http://h:39999/api/v1", "http://h:39999/api/v1/"]
)
def test_addresses_have_one_form(url: str) -> None:
    assert Settings(proxy_url=url, master_url=url) == Settings("http://h:39999", "http://h:39999")
    assert Settings("https://gate/alluxio/").proxy_url == "https://gate/alluxio"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(
            ("proxy_url", url)
            for url in ("", "h:39999", "alluxio://h:19998", "http://", "http://h:99999", "http://h?a=b")
        ),
        *(("proxy_url", url) for url in ("http://u:secret@h", "http://h h", "http://h#x", "http://[::1")),
        ("master_url", "m:19999"),
        ("headers", (("a b", "v"),)),
        ("headers", (("A", "secret\r\nB: c"),)),
        ("headers", (("A", "ключ secret"),)),
    ],
)
def test_settings_that_cannot_be_right(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        Settings(**{option: value})
    assert caught.value.option == option and "secret" not in caught.value.told()


def test_settings_are_a_key() -> None:
    one = Settings(headers=(("A", "secret"),))
    assert one.identity() == Settings(headers=(("A", "secret"),)).identity() != Settings().identity()
    assert hash(one) and pickle.loads(pickle.dumps(one)) == one
