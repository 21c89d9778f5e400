# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What alluxio_info tells, in both dialects."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.info import Info, _plain_url, masked
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server


class Shelf:
    """A directory of its own with two files, a directory and a mount in it."""

    def __init__(self, server: Any, store: pathlib.Path) -> None:
        self.server, self.top, self.store = server, server.new_path(), store
        self.client = client_for(common.CONNECTION, server.connection(), 8, {})
        self.put("file ü #1", b"12345", mode="0640", ttl=7_200_000, ttl_action="free")
        self.put("dir/sub/deep", b"678")
        self.secrets = {"aws.accessKeyId": "AKIDNOTTOLD", "aws.secretKey": "sEcReTnOtToLd", "some.option": "told"}
        store.mkdir()
        self.client.mount(self.top + "/mount", str(store), read_only=True, properties=self.secrets)

    def put(self, name: str, content: bytes, **options: Any) -> None:
        if self.client.can("xattr"):
            digest = common.digest(hashlib.sha256(content).hexdigest(), len(content))
            options["xattr"] = {common.DIGEST: digest, "team": "birds ü".encode(), "raw": b"\xff"}
        self.client.upload("%s/%s" % (self.top, name), lambda: io.BytesIO(content), len(content), **options)

    def end(self) -> None:
        self.client.unmount(self.top + "/mount")
        self.client.delete(self.top, recursive=True)

    def ask(self, **args: Any) -> Any:
        """What one gathering tells; nothing is written."""
        mark = self.server.mark()
        result = run_ok(Info, self.server, **args)
        assert (result.pop("changed"), self.server.writes(mark)) == (False, [])
        json.dumps(result)
        return result.popitem()[1] if len(result) == 1 else result


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def shelf(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Shelf]:
    found = Shelf(request.getfixturevalue(request.param), tmp_path / "store")
    yield found
    found.end()


def names(shelf: Shelf, rows: list[dict[str, Any]]) -> list[str]:
    """The paths below the top."""
    return [row["path"][len(shelf.top) + 1 :] for row in rows]


def test_the_proxy(shelf: Shelf) -> None:
    told = shelf.ask()
    old = shelf.client.version[0] == 1
    assert told["version"] == ".".join(map(str, shelf.client.version))
    assert told["dialect"] == (1 if old else 2)
    assert told["features"]["xattr"] is not old
    assert told["uptime_seconds"] >= 0 and told["started"].endswith("Z")
    assert set(told) == {"version", "dialect", "features", "started", "uptime_seconds", "settings"}
    assert all(name.startswith("alluxio.") for name in told["settings"])


def test_a_file(shelf: Shelf) -> None:
    told = shelf.ask(path=shelf.top + "/file ü #1")
    wanted = {"type": "file", "size": 5, "completed": True, "mode": "0640", "pinned": False, "ttl": 7200}
    wanted.update(ttl_action="free", mount_point=False, persistence_state="PERSISTED")
    assert {name: told[name] for name in wanted} == wanted
    assert told["ufs_path"].endswith(shelf.top + "/file ü #1")
    if shelf.client.can("xattr"):
        assert told["xattr"] == {"team": "birds ü", "raw": {"b64": "/w=="}}
        assert told["checksum"] == hashlib.sha256(b"12345").hexdigest()
    else:
        assert told["xattr"] == {} and "checksum" not in told


def test_directories_and_nothing(shelf: Shelf) -> None:
    told = shelf.ask(path=shelf.top + "/dir/")
    assert (told["type"], told["path"], told["ttl"]) == ("directory", shelf.top + "/dir", "never")
    assert "size" not in told
    assert shelf.ask(path="/")["path"] == "/"
    assert shelf.ask(path=shelf.top + "/mount")["mount_point"] is True
    assert shelf.ask(path=shelf.top + "/none") is None
    assert shelf.ask(path=shelf.top + "/file ü #1/below") is None


def test_lists(shelf: Shelf) -> None:
    rows = shelf.ask(gather=["list"], path=shelf.top)
    assert names(shelf, rows) == ["dir", "file ü #1", "mount"]
    assert rows[1]["size"] == 5
    rows = shelf.ask(gather="list", path=shelf.top, recursive=True)
    assert names(shelf, rows) == ["dir", "dir/sub", "dir/sub/deep", "file ü #1", "mount"]
    assert names(shelf, shelf.ask(gather="list", path=shelf.top, recursive=True, limit=2)) == ["dir", "dir/sub"]
    assert names(shelf, shelf.ask(gather="list", path=shelf.top + "/dir/sub/deep")) == ["dir/sub/deep"]
    failed = run_task(Info, shelf.server, gather="list", path=shelf.top + "/none")
    assert failed["failed"] and "There is no file or directory %s/none" % shelf.top in failed["msg"]
    assert failed["failures"][0]["code"] == "NOT_FOUND"


def test_mounts_of_the_master(shelf: Shelf) -> None:
    result = run_ok(Info, shelf.server, gather=["mounts"])
    rows = {row["path"]: row for row in result["mounts"]}
    row = rows[shelf.top + "/mount"]
    assert (row["source"].rstrip("/"), row["read_only"], row["shared"]) == (str(shelf.store), True, False)
    assert row["properties"]["some.option"] == "told"
    assert set(row["properties"].values()) == {"told", "******"}
    assert "nOtToLd" not in json.dumps(result) and "NOTTOLD" not in json.dumps(result)
    assert "/" in rows and [r["path"] for r in result["mounts"]] == sorted(rows)
    assert names(shelf, shelf.ask(gather="mounts", path=shelf.top)) == ["mount"]
    assert shelf.ask(gather="mounts", path=shelf.top + "/dir") == []
    assert len(shelf.ask(gather="mounts", limit=1)) == 1


def test_mounts_without_a_master(shelf: Shelf) -> None:
    connection = {**shelf.server.connection(), "master_url": None}

    def told(**args: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = run_ok(Info, connection, gather=["mounts"], **args)["mounts"]
        assert all(set(row) == {"path", "source"} for row in rows)
        return rows

    (row,) = told(path=shelf.top)
    assert (row["path"], row["source"].rstrip("/")) == (shelf.top + "/mount", str(shelf.store))
    assert told(path=shelf.top + "/mount")[0] == row
    assert told(path=shelf.top + "/none") == [] == told(path=shelf.top + "/dir")
    assert told()[0]["path"] == "/" and row not in told()
    assert row in told(recursive=True)


def test_what_was_made_behind(shelf: Shelf) -> None:
    (pathlib.Path(str(shelf.server.ufs)) / shelf.top.lstrip("/") / "dir" / "behind").write_bytes(b"b")
    path = shelf.top + "/dir/behind"
    shelf.ask(path=path)
    assert shelf.ask(path=path, sync_metadata=True)["size"] == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"gather": ["status"]}, "path: is needed to gather status"),
        ({"gather": ["proxy", "list"]}, "path: is needed to gather list"),
        ({"gather": ["everything"]}, "gather"),
        ({"path": "/a", "limit": 0}, "limit: 0"),
        ({"path": "a/b"}, "path: "),
        ({"path": "/a?b"}, "path: "),
        ({"path": "/a/../b"}, "path: "),
    ],
)
def test_questions_that_cannot_be_asked(shelf: Shelf, args: dict[str, Any], words: str) -> None:
    mark = shelf.server.mark()
    result = run_task(Info, shelf.server, **args)
    assert result["failed"] is True
    assert words in result["msg"]
    assert shelf.server.requests(mark) == []


def test_secrets_by_name() -> None:
    names = ("s3a.secretKey", "fs.azure.account.key.x", "fs.swift.password", "fs.oss.accessKeySecret", "sasToken")
    assert set(masked(dict.fromkeys(names, "secret")).values()) == {"******"}
    assert masked({"alluxio.underfs.version": 2, "a": "b"}) == {"a": "b", "alluxio.underfs.version": "2"}
    assert _plain_url("s3://key:secret@bucket/dir") == "s3://key:******@bucket/dir"
    assert _plain_url("hdfs://name:8020/a@b:c@d") == "hdfs://name:8020/a@b:c@d"
