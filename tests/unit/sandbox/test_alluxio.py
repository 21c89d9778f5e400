# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Alluxio stand-in as a store: what is dangerous about the real one is so here too, in each version as it was."""

from __future__ import annotations

import base64
import concurrent.futures
import pathlib
import time
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import start_stand_in
from ansible_collections.polystore.storage.tests.unit.sandbox.alluxio_calls import (
    OCTETS,
    THROUGH,
    Proxy,
    each,
    proxy,
    proxy_of,
    top,
)

__all__ = ["each", "proxy", "top"]
SYNC = {"commonOptions": {"syncIntervalMs": 0}}


@pytest.fixture(params=["1.7.1", "2.1.0", "2.7.3", "2.9.0", "2.9.1", "2.9.3"])
def between(request: pytest.FixtureRequest) -> Any:
    """The versions between the two that everybody has."""
    yield from proxy_of(request.param)


def accepted(proxy: Proxy, path: str, operation: str, body: dict[str, Any], **query: str) -> bool:
    """Whether the operation knows the fields, whatever comes of it."""
    return proxy.op(path, operation, body, **query)[0] != 400


def test_since_when_there_is_what(between: Proxy) -> None:
    version = tuple(int(part) for part in between.server.version.split("."))
    assert between.send("GET", "/api/v1/proxy/info")[1]["version"] == between.server.version
    new, xattr = version >= (2,), {"xattr": {"a": "MQ=="}}
    assert accepted(between, "/", "list-status", {"recursive": True}) is new
    assert accepted(between, "/zz", "delete", {"deleteMountPoint": False}) is (version >= (2, 9))
    assert accepted(between, "/zz", "set-attribute", xattr) is (version >= (2, 9))
    over = {"s3SyntaxOptions": {"overwrite": True}}
    assert accepted(between, "/zz", "rename", over, dst="/y") is (version >= (2, 9, 1))
    assert accepted(between, "/", "create-file", {"overwrite": True}) is (version >= (2, 9, 3))
    assert accepted(between, "/zz", "set-attribute", {"commonOptions": {"ttl": 1, "ttlAction": "FREE"}}) is new
    assert accepted(between, "/zz", "set-attribute", {"ttl": 1}) is not new
    assert accepted(between, "/zz", "exists", {"loadMetadataType": "ONCE"}) is new
    status, body = between.op("/zz", "get-status")
    assert (status, sorted(body)) == (500, ["message", "statusCode" if new else "status"])
    assert between.send("GET", "/api/v1/nosuch")[0] == (500 if version >= (2, 9) else 404)
    path = between.server.new_path()
    between.put(path + "/f")
    assert (between.send("GET", f"/api/v1/paths/{path}/f/download-file")[0] == 200) is new
    found = between.status(path + "/f")
    assert ("xattr" in found) is (version >= (2, 3))
    assert ("replicationMin" in found) is new
    between.made(path, "create-directory", {"allowExists": True})
    between.made(path + "/t", "create-directory", {"commonOptions": {"ttl": 99999}} if new else {"ttl": 99999})
    assert between.status(path + "/t")["ttlAction"] == ("FREE" if version >= (2, 9, 3) else "DELETE")


@pytest.mark.parametrize(("version", "guarded"), [("1.8.1", False), ("2.7.3", False), ("2.9.0", True)])
def test_deleting_a_mount_point(version: str, guarded: bool, tmp_path: pathlib.Path) -> None:
    (tmp_path / "years of work").write_text("x")
    (tmp_path / "sub").mkdir()
    client = Proxy(start_stand_in(version))
    path = client.server.new_path()
    client.made(path + "/m", "mount", src=str(tmp_path))
    client.made(path + "/m", "list-status")
    status, _body = client.op(path, "delete", {"recursive": True})
    assert status == (500 if guarded else 200)
    assert [one.name for one in tmp_path.iterdir()] != [] if guarded else list(tmp_path.iterdir()) == []
    assert client.op(path + "/m", "exists") == (200, guarded)


def test_a_read_only_mount_is_safe(each: Proxy, top: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "kept").write_text("x")
    each.made(top + "/m", "mount", {"readOnly": True}, src=str(tmp_path))
    each.made(top + "/m", "list-status")
    for operation, body in (("delete", {"recursive": True}), ("create-directory", None)):
        path = top + "/m" if operation == "delete" else top + "/m/x"
        assert each.name(path, operation, body) == "PERMISSION_DENIED"
    assert (tmp_path / "kept").exists()
    each.made(top + "/m", "unmount")


def test_the_question_mark_and_the_other_forms(each: Proxy, top: str) -> None:
    each.made(top + "/a", "create-directory", THROUGH)
    each.made(top + "/a/../b\\c/", "create-directory", {**THROUGH, "recursive": True})
    assert each.op(top + "/b/c", "exists") == (200, True)
    assert each.op(top + "/a?zz", "delete") == (200, b"")
    assert each.op(top + "/a", "exists") == (200, False)
    assert each.op("rel", "exists") == (200, False)
    assert each.name("rel", "delete") == ("UNKNOWN" if each.old else "INVALID_ARGUMENT")
    assert each.send("POST", f"/api/v1/paths/%2F{top[1:]}/exists") == (200, True)


def test_streams_are_numbered_and_closing_brings_back(each: Proxy, top: str) -> None:
    first = each.made(top + "/a", "create-file", THROUGH)
    assert each.made(top + "/b", "create-file", THROUGH) == first + 1
    each.stream(first, "write", b"back")
    each.made(top + "/a", "delete")
    each.stream(first, "close")
    assert each.op(top + "/a", "exists") == (200, True)
    assert each.get(top + "/a") == (200, b"back")
    assert each.stream(first, "close")[1] == {
        "message": "stream does not exist",
        "status" if each.old else "statusCode": "INTERNAL",
    }


def test_an_unused_stream_ends(each: Proxy, top: str) -> None:
    number = each.made(top + "/f", "create-file", THROUGH)
    each.stream(number, "write", b"12345")
    each.server.behave(stream_timeout=0.05)
    time.sleep(0.1)
    assert each.stream(number, "write", b"x")[0] == 500
    found = each.status(top + "/f")
    assert (found["completed"], found["length"]) == ((False, 0) if each.old else (True, 5))
    assert each.name(top + "/f", "create-file", THROUGH) == "ALREADY_EXISTS"


def test_what_lies_below_is_seen_as_it_is_by_the_real_one(each: Proxy, top: str) -> None:
    below = each.server.ufs / top[1:]
    assert each.op(top + "/late", "exists") == (200, False)
    (below / "late").write_text("12345")
    once, always = ("Once", "Always") if each.old else ("ONCE", "ALWAYS")
    assert each.op(top + "/late", "exists", {"loadMetadataType": once}) == (200, False)
    assert each.op(top + "/late", "exists", {"loadMetadataType": always}) == (200, True)
    (below / "late").write_text("changed")
    assert each.status(top + "/late")["length"] == 5
    assert each.status(top + "/late", **SYNC)["length"] == 7
    (below / "late").unlink()
    assert each.op(top + "/late", "exists") == (200, True)
    assert each.op(top + "/late", "exists", SYNC) == (200, False)
    each.put(top + "/f", b"through")
    assert (below / "f").read_bytes() == b"through"
    (below / "unknown").write_text("x")
    assert each.name(top, "delete", {"recursive": True}) == "FAILED_PRECONDITION"
    each.made(top, "delete", {"recursive": True, "unchecked": True})
    assert not below.exists()


def test_a_sync_takes_the_ttl_after_the_mode_was_set(each: Proxy, top: str) -> None:
    mode = dict.fromkeys(("ownerBits", "groupBits", "otherBits"), "ALL")
    each.made(top, "set-attribute", {"mode": mode, **each.ttl(1000000, "FREE")})
    assert each.status(top)["ttl"] == 1000000
    assert each.status(top, **SYNC)["ttl"] == (1000000 if each.old else -1)
    each.made(top, "set-attribute", each.ttl(2000000, "FREE"))
    assert each.status(top, **SYNC)["ttl"] == 2000000


def test_ttl_and_extended_attributes_reach_the_parents(proxy: Proxy, top: str) -> None:
    proxy.made(top, "set-attribute", {"xattr": {"own": "MQ=="}})
    body = {"recursive": True, **THROUGH, **proxy.ttl(1000000, "DELETE"), "xattr": {"a": "MQ=="}}
    proxy.made(top + "/p/d", "create-directory", body)
    assert [(proxy.status(path)["ttl"], proxy.status(path)["xattr"]) for path in (top, top + "/p")] == [
        (-1, {"a": "MQ=="}),
        (1000000, {"a": "MQ=="}),
    ]
    proxy.put(top + "/f", xattrPropStrat="LEAF_NODE", xattr={"b": "MQ=="})
    assert proxy.status(top)["xattr"] == {"a": "MQ=="}


def test_the_end_of_a_ttl(each: Proxy, top: str) -> None:
    each.put(top + "/delete", **each.ttl(1, "DELETE"))
    each.put(top + "/free", **each.ttl(1, "FREE"))
    each.server.behave(ttl_interval=0.05)
    each.server.wait_for(lambda: each.op(top + "/delete", "exists") == (200, False))
    each.server.wait_for(lambda: each.status(top + "/free")["inAlluxioPercentage"] == 0)
    assert (each.status(top + "/free")["ttl"], each.status(top + "/free")["ttlAction"]) == (-1, "DELETE")
    assert not (each.server.ufs / top[1:] / "delete").exists()
    assert each.get(top + "/free") == (200, b"hello")


def test_pinned_and_replication(proxy: Proxy, top: str) -> None:
    proxy.put(top + "/f")
    proxy.made(top, "set-attribute", {"pinned": True})
    found = proxy.status(top + "/f")
    assert (found["pinned"], found["replicationMin"]) == (True, 1)
    proxy.made(top + "/f", "set-attribute", {"replicationMin": 0})
    assert proxy.status(top + "/f")["pinned"] is False
    proxy.made(top + "/f", "set-attribute", {"replicationMin": 1})
    assert proxy.status(top + "/f")["pinned"] is True
    assert proxy.name(top + "/f", "free") == "UNKNOWN"


def test_extended_attributes_are_truncated_unless_told(proxy: Proxy, top: str) -> None:
    value = base64.b64encode(b"\0v").decode()
    proxy.made(top, "set-attribute", {"xattr": {"a": value}})
    proxy.made(top, "set-attribute", {"xattr": {"b": value}, "xattrUpdateStrategy": "UNION_REPLACE"})
    assert proxy.status(top)["xattr"] == {"a": value, "b": value}
    proxy.made(top, "set-attribute", {"xattr": {"c": value}})
    assert proxy.status(top)["xattr"] == {"c": value}


def test_renaming_over_a_file(proxy: Proxy, top: str) -> None:
    proxy.put(top + "/old", b"old")
    proxy.put(top + "/new", b"new")
    assert proxy.name(top + "/new", "rename", dst=top + "/old") == "ALREADY_EXISTS"
    proxy.made(top + "/new", "rename", {"s3SyntaxOptions": {"overwrite": True}}, dst=top + "/old")
    assert proxy.get(top + "/old") == (200, b"new")
    assert (proxy.server.ufs / top[1:] / "old").read_bytes() == b"new"


def test_eight_at_once_are_one(each: Proxy, top: str) -> None:
    def create(_number: int) -> int:
        return Proxy(each.server).op(top + "/one", "create-directory", THROUGH)[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [200] + [500] * 7


def test_jackson_says_what_it_does_not_know(each: Proxy, top: str) -> None:
    status, said = each.op(top, "delete", {"nosuch": 1})
    assert status == 400
    name = "alluxio.client.file.options.DeleteOptions" if each.old else "alluxio.grpc.DeletePOptions$Builder"
    known = ' (4 known properties: "recursive", "commonOptions", "unchecked", "alluxioOnly"])' if each.old else ""
    assert said.decode() == f'Unrecognized field "nosuch" (class {name}), not marked as ignorable{known}'
    for body, words in (
        ({"recursive": "yes"}, "yes"),
        ({"commonOptions": []}, "START_ARRAY"),
        ([1], "START_ARRAY" if each.old else "VALUE_NUMBER_INT"),
    ):
        status, said = each.op(top, "delete", body)
        assert (status, words in said.decode()) == (400, True)
    status, said = each.send("POST", f"/api/v1/paths/{top}/delete", b"{}", OCTETS)
    assert status == (415 if each.old else 500)


def test_a_file_that_is_loaded_takes_the_parents_extended_attributes(proxy: Proxy, top: str) -> None:
    proxy.made(top, "set-attribute", {"xattr": {"own": "MQ=="}})
    (proxy.server.ufs / top[1:] / "new").write_text("x")
    proxy.status(top + "/new")
    assert list(proxy.status(top)["xattr"]) == ["s3_etag"]


def test_a_mount_point_below_a_renamed_directory_is_in_two_places(
    each: Proxy, top: str, tmp_path: pathlib.Path
) -> None:
    each.made(top + "/d", "create-directory", THROUGH)
    each.made(top + "/d/m", "mount", src=str(tmp_path))
    each.made(top + "/d", "rename", dst=top + "/e")
    assert each.status(top + "/e/m")["ufsPath"] == f"{each.server.ufs}{top}/e/m"
    assert each.status(top + "/d/m")["ufsPath"] == str(tmp_path)
    each.made(top + "/d/m", "unmount")
