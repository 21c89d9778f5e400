# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Alluxio client and a server with a state, in both dialects: the stand-in, or the real one (POLYSTORE_ALLUXIO)."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioClient, Settings
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.tests.support.servers import AlluxioServer

pytestmark = pytest.mark.server


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def server(request: pytest.FixtureRequest) -> AlluxioServer:
    found: AlluxioServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(server: AlluxioServer) -> Iterator[AlluxioClient]:
    client = AlluxioClient(Settings(**server.connection()))
    yield client
    client.close()


def refused(call: Any, *args: Any, **options: Any) -> StorageError:
    with pytest.raises(StorageError) as caught:
        call(*args, **options)
    return caught.value


def put(proxy: AlluxioClient, path: str, content: bytes, **options: Any) -> None:
    assert proxy.upload(path, lambda: io.BytesIO(content), len(content), **options) == len(content)


def read(proxy: AlluxioClient, path: str, length: int | None = None) -> bytes:
    with proxy.stream(path, length) as chunks:
        return b"".join(chunks)


def test_who_is_there(server: AlluxioServer, proxy: AlluxioClient) -> None:
    assert ".".join(map(str, proxy.version)) == server.version == proxy.info()["version"]
    master = proxy.master_info()
    assert master and "/" in master["mountPoints"]


def test_the_life_of_a_directory(server: AlluxioServer, proxy: AlluxioClient) -> None:
    top = server.new_path()
    path = top + "/deep/in ü%/d"
    assert not proxy.exists(path) and proxy.get_status(path) is None
    assert refused(proxy.create_directory, path, False).code == "NOT_FOUND"
    proxy.create_directory(path, mode="0751", ttl=86400000, ttl_action="free")
    found = proxy.get_status(path)
    assert found and found["path"] == path and found["folder"] and found["persisted"]
    assert (found["mode"], found["ttl"], found["ttl_action"]) == ("0751", 86400000, "free")
    assert (server.ufs / path[1:]).is_dir()
    assert refused(proxy.create_directory, path).code == "ALREADY_EXISTS"
    proxy.set_attribute(path, mode="0700", ttl=-1, pinned=True)
    after = proxy.get_status(path) or {}
    assert (after["mode"], after["ttl"], after["pinned"]) == ("0700", -1, True)
    assert refused(proxy.delete, top + "/deep").code == "FAILED_PRECONDITION"
    assert [row["path"] for row in proxy.list_status(top)] == [top + "/deep"]
    below = [top + "/deep", top + "/deep/in ü%", path]
    assert [row["path"] for row in proxy.list_status(top, recursive=True)] == below
    proxy.rename(path, top + "/moved & gone?"[:-1])
    assert [row["path"] for row in proxy.list_status(top)] == [top + "/deep", top + "/moved & gone"]
    proxy.delete(top + "/deep", recursive=True)
    assert refused(proxy.delete, top + "/deep").code == "NOT_FOUND"
    assert refused(proxy.list_status, top + "/deep").code == "NOT_FOUND"
    proxy.delete(top, recursive=True)
    assert proxy.get_status(top, sync=True) is None and not (server.ufs / top[1:]).exists()


@pytest.mark.parametrize("length", [0, 1, 600_000])
def test_the_life_of_a_file(server: AlluxioServer, proxy: AlluxioClient, length: int) -> None:
    top, content = server.new_path(), os.urandom(length)
    path = top + "/new/f"
    put(proxy, path, content, mode="0640", ttl=86400000, ttl_action="delete")
    found = proxy.get_status(path) or {}
    assert (found["length"], found["completed"], found["folder"], found["mode"]) == (length, True, False, "0640")
    assert (found["ttl"], found["ttl_action"]) == (86400000, "delete")
    assert read(proxy, path, length) == content == (server.ufs / path[1:]).read_bytes()
    assert [row["path"] for row in proxy.list_status(path)] == [path]
    assert refused(put, proxy, path, b"").code == "ALREADY_EXISTS" and read(proxy, path) == content
    assert proxy.get_status(path + "/below") is None
    assert refused(proxy.list_status, path + "/below").code == "NOT_FOUND"
    assert refused(proxy.create_directory, path + "/below").code == "INVALID_ARGUMENT"
    put(proxy, top + "/other", b"new")
    assert refused(proxy.rename, top + "/other", path).code == "ALREADY_EXISTS"
    if proxy.can("rename_overwrite"):
        proxy.rename(top + "/other", path, overwrite=True)
    else:
        assert refused(proxy.rename, top + "/other", path, overwrite=True).code == "UNIMPLEMENTED"
        proxy.delete(path)
        proxy.rename(top + "/other", path)
    assert read(proxy, path, 3) == b"new" and (server.ufs / path[1:]).read_bytes() == b"new"
    assert refused(proxy.stream(top).__enter__).operation == "open-file"
    assert refused(proxy.stream(top + "/none").__enter__).code == "NOT_FOUND"
    proxy.delete(path)
    assert not proxy.exists(path)


def test_attributes_of_the_newer_versions(server: AlluxioServer, proxy: AlluxioClient) -> None:
    path = server.new_path() + "/f"
    if not proxy.can("xattr"):
        assert refused(put, proxy, path, b"x", xattr={"k": b"v"}).code == "UNIMPLEMENTED"
        assert proxy.get_status(path) is None
        return
    put(proxy, path, b"x", xattr={"k": b"\0v", "l": b"w"}, replication_min=0, replication_max=3)
    found = proxy.get_status(path) or {}
    assert {key: found["xattr"].get(key) for key in "kl"} == {"k": b"\0v", "l": b"w"}
    assert (found["replication_min"], found["replication_max"]) == (0, 3)
    proxy.set_attribute(path, xattr={"m": b"1", "k": b"2"})
    proxy.set_attribute(path, xattr={"l": b""}, xattr_strategy="DELETE_KEYS")
    own = {key: value for key, value in (proxy.get_status(path) or {})["xattr"].items() if key != "s3_etag"}
    assert own == {"k": b"2", "m": b"1"}


def test_mounts(server: AlluxioServer, proxy: AlluxioClient, tmp_path: Any) -> None:
    (tmp_path / "inside").write_bytes(b"below")
    top = server.new_path()
    proxy.mount(top + "/m", str(tmp_path), read_only=True)
    try:
        found = proxy.get_status(top + "/m") or {}
        assert found["mount_point"] and found["ufs_path"].rstrip("/").endswith(str(tmp_path))
        assert read(proxy, top + "/m/inside") == b"below"
        error = refused(put, proxy, top + "/m/new", b"x")
        assert (error.code, error.hint) == ("PERMISSION_DENIED", "It is mounted read-only there.")
        if proxy.can("mount_guard"):
            assert "Unmount it first" in refused(proxy.delete, top, recursive=True).hint
        assert refused(proxy.mount, top + "/m", str(tmp_path)).server_message
        master = proxy.master_info() or {}
        assert master["mountPoints"][top + "/m"]["readOnly"] is True
    finally:
        proxy.unmount(top + "/m")
    assert proxy.get_status(top + "/m") is None and (tmp_path / "inside").exists()
    assert refused(proxy.unmount, top).server_message


def test_free(server: AlluxioServer, proxy: AlluxioClient) -> None:
    path = server.new_path() + "/f"
    put(proxy, path, b"x" * 1000)
    proxy.free(path)
    until = time.monotonic() + 30
    while (proxy.get_status(path) or {})["in_alluxio"] and time.monotonic() < until:
        time.sleep(0.05)
    assert (proxy.get_status(path) or {})["in_alluxio"] == 0 and read(proxy, path) == b"x" * 1000


def test_an_upload_whose_content_ends_early_leaves_nothing(server: AlluxioServer, proxy: AlluxioClient) -> None:
    path = server.new_path() + "/f"
    mark = server.mark()
    error = refused(proxy.upload, path, lambda: io.BytesIO(b"x" * 700_000), 900_000)
    assert "not 900000 bytes long" in error.message
    assert proxy.get_status(path, sync=True) is None and not (server.ufs / path[1:]).exists()
    asked = [entry["path"].rsplit("/", 1)[-1] for entry in server.writes(mark)]
    assert [one for one in asked if one != "write"] == ["create-file", "close", "delete"]  # a cut one is logged late


def test_changes_behind_are_seen_when_asked_for(server: AlluxioServer, proxy: AlluxioClient) -> None:
    top = server.new_path()
    assert proxy.get_status(top + "/f") is None
    (server.ufs / top[1:] / "f").write_bytes(b"behind")
    assert (proxy.get_status(top + "/f", sync=True) or {})["length"] == 6
    assert [row["length"] for row in proxy.list_status(top, sync=True)] == [6]
