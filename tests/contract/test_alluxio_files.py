# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""alluxio_file on both dialects: every write and every read counted in the server's own log."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource, Writer, damaged, mark
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.tests.support.alluxio_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

pytestmark = pytest.mark.server
LARGE = bytes(range(256)) * 5000  # 1.28 MB: hashed while it is sent
NAME = "grün/a b%41#+;&.txt"


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.getfixturevalue(request.param))


@pytest.fixture
def new(alluxio_server: Any) -> Shelf:
    """Only the newest."""
    return Shelf(alluxio_server)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "again", Retry(2, sleep=lambda seconds: None))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def kept(shelf: Shelf, name: str) -> str | None:
    """The digest that the server has, where it can keep one."""
    return common.digest_of(shelf.status(name))


def test_content_of_each_kind(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    result = shelf.contract(
        FileResource,
        batch=[
            {"path": shelf.at("deep/er/" + NAME), "src": str(source)},
            {"path": shelf.at("text"), "content": "grün"},
            {"path": shelf.at("bytes"), "content_b64": base64.b64encode(b"\0\xff").decode()},
            {"path": shelf.at("empty"), "content": ""},
        ],
    )
    wanted = {"deep/er/" + NAME: LARGE, "text": "grün".encode(), "bytes": b"\0\xff", "empty": b""}
    assert shelf.files() == wanted
    assert [r["size"] for r in result["resources"]] == [len(LARGE), 5, 2, 0]
    assert [r["checksum"] for r in result["resources"]] == [
        sha256(LARGE),
        sha256("grün".encode()),
        sha256(b"\0\xff"),
        sha256(b""),
    ]
    if shelf.client.can("xattr"):
        assert {name: kept(shelf, name) for name in wanted} == {name: sha256(data) for name, data in wanted.items()}


def test_unchanged_is_few_requests(new: Shelf) -> None:
    batch: list[dict[str, Any]] = [{"path": new.at("d/f%d" % n), "content": str(n)} for n in range(50)]
    run_ok(FileResource, new.server, batch=batch)
    since = new.server.mark()
    result = run_ok(FileResource, new.server, batch=batch)
    assert result["changed"] is False
    assert new.operations(since) == ["list-status"]
    since = new.server.mark()
    run_ok(FileResource, new.server, **batch[0])
    assert new.operations(since) == ["get-status"]


def test_a_new_file_is_few_requests(new: Shelf) -> None:
    since = new.server.mark()
    run_ok(FileResource, new.server, path=new.at("f"), content="x", mode="0600", xattr={"a": "b"})
    assert new.operations(since) == [
        *("get-status", "list-status", "create-file", "write", "close", "get-status", "rename"),
    ]
    info = new.status("f")
    assert (info["mode"], info["xattr"]["a"]) == ("0600", b"b")


def test_what_is_left_out_stays_when_the_content_is_replaced(shelf: Shelf) -> None:
    args: dict[str, Any] = {"path": shelf.at("f"), "mode": "0604", "pinned": True, "ttl": "7d", "ttl_action": "free"}
    if shelf.client.can("xattr"):
        args.update(xattr={"own": "kept", "other": "goes"}, replication_max=3)
    run_ok(FileResource, shelf.server, content="old", **args)
    before = shelf.status("f")
    changes: dict[str, Any] = {"xattr": {"other": None, "new": "n"}} if shelf.client.can("xattr") else {}
    result = shelf.contract(FileResource, path=shelf.at("f"), content="the new one", **changes)
    after = shelf.status("f")
    assert shelf.files() == {"f": b"the new one"}
    names = ("mode", "owner", "group", "pinned", "ttl", "ttl_action", "replication_min", "replication_max")
    assert {n: before[n] for n in names} == {n: after[n] for n in names}
    assert (after["mode"], after["pinned"], after["ttl"]) == ("0604", True, 7 * 86400000)
    assert result["resource"]["mode"] == "0604"
    if shelf.client.can("xattr"):
        assert common.state(after)["xattr"] == {"own": "kept", "new": "n"}
        assert kept(shelf, "f") == sha256(b"the new one")


def test_owner_is_kept_too(shelf: Shelf) -> None:
    run_ok(FileResource, shelf.server, path=shelf.at("f"), content="old", owner="daemon")
    shelf.contract(FileResource, path=shelf.at("f"), content="new one", mode="0640")
    assert (shelf.status("f")["owner"], shelf.status("f")["mode"]) == ("daemon", "0640")
    shelf.contract(FileResource, path=shelf.at("f"), mode="0600")
    assert shelf.files() == {"f": b"new one"}


def test_a_file_without_digest_is_compared_once(new: Shelf, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    new.put("f", LARGE)
    args: dict[str, Any] = {"path": new.at("f"), "src": str(source)}
    since = new.server.mark()
    assert run_ok(FileResource, new.server, True, True, **args)["changed"] is False
    assert new.server.writes(since) == []
    assert kept(new, "f") is None
    first = run_ok(FileResource, new.server, **args)
    assert (first["changed"], first["summary"]["writes"]) == (False, 1)
    assert kept(new, "f") == sha256(LARGE)
    since = new.server.mark()
    assert run_ok(FileResource, new.server, **args)["changed"] is False
    assert new.operations(since) == ["get-status"]


def test_a_digest_that_cannot_be_kept_is_told(new: Shelf) -> None:
    new.put("f", b"content")
    for words in ("not the owner", "still not"):
        body = json.dumps({"message": words, "statusCode": "PERMISSION_DENIED"})
        new.server.fault("status", path="/set-attribute", status=500, body=body)
        result = run_ok(FileResource, new.server, path=new.at("f"), content="content")
        assert result["changed"] is False
        assert "digests of 1 files could not be kept" in result["warnings"][0] and words in result["warnings"][0]
    assert "warnings" not in run_ok(FileResource, new.server, path=new.at("f"), content="content", compare="content")


def test_without_xattr_the_content_is_compared_each_time(alluxio_v1_server: Any) -> None:
    shelf = Shelf(alluxio_v1_server)
    shelf.put("f", b"content")
    for _time in range(2):
        since = shelf.server.mark()
        result = run_ok(FileResource, shelf.server, path=shelf.at("f"), content="content")
        assert (result["changed"], result["summary"]["writes"]) == (False, 0)
        assert shelf.operations(since)[-3:] == ["open-file", "read", "close"]
    since = shelf.server.mark()
    run_ok(FileResource, shelf.server, path=shelf.at("f"), content="content", compare="size")
    assert shelf.operations(since) == ["get-status"]
    shelf.contract(FileResource, path=shelf.at("f"), content="CONTENT")
    assert shelf.files() == {"f": b"CONTENT"}


@pytest.mark.parametrize(
    ("compare", "same_size", "other_size"),
    [("checksum", True, True), ("content", True, True), ("size", False, True), ("exists", False, False)],
)
def test_compare(shelf: Shelf, compare: str, same_size: bool, other_size: bool) -> None:
    for name in ("a", "b"):
        shelf.put(name, b"abc")
    run: dict[str, Any] = {"path": shelf.at("a"), "compare": compare}
    assert shelf.contract(FileResource, content="abd", **run)["changed"] is same_size
    run["path"] = shelf.at("b")
    assert shelf.contract(FileResource, content="abcd", **run)["changed"] is other_size


def test_a_digest_of_another_length_says_nothing(new: Shelf) -> None:
    new.put("f", b"abc", xattr={common.DIGEST: common.digest(sha256(b"xyz1"), 4)})
    new.put("g", b"abc", xattr={common.DIGEST: b"nonsense"})
    for name in ("f", "g"):
        assert run_ok(FileResource, new.server, path=new.at(name), content="abc")["changed"] is False
        assert kept(new, name) == sha256(b"abc")


@pytest.mark.parametrize("content", ["whole", ""])
@pytest.mark.parametrize("compare", ["checksum", "exists"])
def test_an_incomplete_file_is_replaced(shelf: Shelf, content: str, compare: str) -> None:
    shelf.begin("f")
    assert shelf.status("f")["completed"] is False
    result = shelf.contract(FileResource, path=shelf.at("f"), content=content, compare=compare)
    assert result["resource"]["action"] == "updated"
    assert result["diff"][0]["before"]["completed"] is False
    assert shelf.files() == {"f": content.encode()}
    assert "completed" not in result["resource"]


def test_content_that_is_nowhere() -> None:
    here = {"completed": True, "length": 5, "persisted": False, "in_alluxio": 100, "persistence_state": "NOT_PERSISTED"}
    assert (
        damaged(here) == damaged({**here, "in_alluxio": 0, "persisted": True}) == damaged({**here, "length": 0}) == {}
    )
    assert damaged({**here, "completed": False}) == {"completed": False}
    assert damaged({**here, "in_alluxio": 0}) == damaged({**here, "persistence_state": "LOST"}) == {"lost": True}


@pytest.mark.parametrize("write_type", ["must_cache", "through", "async_through"])
def test_each_write_type_is_found_again(shelf: Shelf, write_type: str) -> None:
    batch = [{"path": shelf.at("f%d" % n), "content": "content"} for n in range(9)]
    shelf.contract(FileResource, batch=batch, write_type=write_type)
    shelf.contract(FileResource, batch=[{**batch[0], "content": "changed"}], write_type=write_type)
    assert shelf.read("f0") == b"changed"


def test_absent(shelf: Shelf) -> None:
    shelf.put("f", b"1")
    shelf.begin("g")
    args = [{"path": shelf.at(name), "state": "absent"} for name in ("f", "g", "none", "f/below")]
    assert [r["action"] for r in shelf.contract(FileResource, batch=args)["resources"]] == [
        *("deleted", "deleted", "unchanged", "unchanged")
    ]
    assert shelf.rows() == []


def test_a_directory_is_never_touched(shelf: Shelf) -> None:
    shelf.put("d/inside", b"1")
    for more in ({"content": "x"}, {"state": "absent"}, {"mode": "0700"}):
        told = shelf.fails(FileResource, path=shelf.at("d"), **more)
        assert shelf.at("d") + " is a directory" in told and "alluxio_directory" in told
    told = run_task(FileResource, shelf.server, path=shelf.at("d/inside/below"), content="x")["msg"]
    assert shelf.at("d/inside/below") in told
    assert shelf.files() == {"d/inside": b"1"}


def test_a_directory_that_comes_meanwhile_is_not_touched(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put("f", b"old")
    real = Writer._arrived

    def arrived(self: Writer, temporary: str, path: str, size: int) -> Any:
        shelf.client.delete(path)
        shelf.put("f/inside", b"1")
        return real(self, temporary, path, size)

    monkeypatch.setattr(Writer, "_arrived", arrived)
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), content="new")
    assert result["failed"] and "is a directory" in result["msg"]
    assert shelf.files() == {"f/inside": b"1"}


def test_a_file_that_comes_meanwhile_is_not_replaced(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Writer._arrived

    def arrived(self: Writer, temporary: str, path: str, size: int) -> Any:
        shelf.put("f", b"somebody's")
        return real(self, temporary, path, size)

    monkeypatch.setattr(Writer, "_arrived", arrived)
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), content="ours")
    assert result["failed"] and result["failures"][0]["code"] == "ALREADY_EXISTS"
    assert shelf.files() == {"f": b"somebody's"}


def test_renamed_from(shelf: Shelf) -> None:
    shelf.put("old", b"content", mode="0604")
    args: dict[str, Any] = {"path": shelf.at("new/dir/f"), "renamed_from": shelf.at("old")}
    result = shelf.contract(FileResource, **args)
    assert result["resource"]["action"] == "updated"
    assert (result["diff"][0]["before"]["path"], result["diff"][0]["after"]["path"]) == (shelf.at("old"), args["path"])
    assert shelf.files() == {"new/dir/f": b"content"}
    assert shelf.status("new/dir/f")["mode"] == "0604"
    shelf.put("old", b"again")
    told = shelf.fails(FileResource, **args)
    assert "both" in told and shelf.at("old") in told
    args = {
        "path": shelf.at("third"),
        "renamed_from": shelf.at("old"),
        "content": "more",
        "mode": "0640",
    }
    shelf.contract(FileResource, **args)
    assert shelf.files() == {"new/dir/f": b"content", "third": b"more"}
    assert shelf.status("third")["mode"] == "0640"
    assert "content" in shelf.fails(FileResource, path=shelf.at("x"), renamed_from=shelf.at("y"))
    shelf.contract(FileResource, path=shelf.at("x"), renamed_from=shelf.at("y"), content="made")
    assert "is a directory" in shelf.fails(FileResource, path=shelf.at("z"), renamed_from=shelf.at("new"))


def test_renamed_and_digest_kept(new: Shelf) -> None:
    new.put("old", b"content")
    new.contract(FileResource, path=new.at("f"), renamed_from=new.at("old"), content="content")
    assert kept(new, "f") == sha256(b"content")


def test_a_source_that_changes_replaces_nothing(
    shelf: Shelf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    shelf.put("f", b"old")
    monkeypatch.setattr(Writer, "sweep", lambda self, path: source.write_bytes(LARGE + b"more"))
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), src=str(source))
    assert result["failed"] and "changed while it was read; nothing was replaced" in result["msg"]
    assert shelf.files() == {"f": b"old"}


@pytest.mark.parametrize(
    ("action", "where"),
    [("close", "/write"), ("close_after", "/write"), ("close", "/close"), ("close_after", "/close")]
    + [("cut_upload", "/write"), ("close", "/rename"), ("close_after", "/rename"), ("close_after", "/create-file")],
)
def test_an_upload_is_repeated_after_a_lost_connection(shelf: Shelf, action: str, where: str) -> None:
    shelf.put("f", b"old")
    more = {"bytes": 1000} if action == "cut_upload" else {}
    shelf.server.fault(action, path=where + r"(\?|$)", **more)
    result = run_ok(FileResource, shelf.server, path=shelf.at("f"), content=LARGE[:50000].decode("latin-1"))
    assert result["changed"] is True
    wanted = LARGE[:50000].decode("latin-1").encode()
    left = {name for name in shelf.files() if name != "f"}
    assert shelf.read("f") == wanted
    if where != "/create-file":  # nobody knows that file's stream
        assert left == set()


def test_a_refused_upload_leaves_the_old(shelf: Shelf) -> None:
    shelf.put("f", b"old")
    shelf.server.fault(
        "status", path="/streams/.*/write", status=500, body='{"message": "no room", "status": "UNKNOWN"}'
    )
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), content="new")
    assert result["failed"] and result["changed"] is False
    assert shelf.files() == {"f": b"old"}


def test_a_short_upload_leaves_the_old(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put("f", b"old")
    real = shelf.client.get_status

    def lies(path: str, sync: bool = False) -> Any:
        found = real(path, sync)
        return {**found, "length": found["length"] - 1} if found and "/.polystore-" in path else found

    monkeypatch.setattr(shelf.client, "get_status", lies)
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), content="new content")
    assert "of 11 bytes for %s the server has 10; nothing was replaced" % shelf.at("f") in result["msg"]
    assert shelf.files() == {"f": b"old"}


@pytest.mark.parametrize("late", [3, 100])
def test_a_status_that_comes_late_is_waited_for(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    """Seen on a real 1.8.1 with async_through: for a moment after its close a file still is incomplete."""
    real, asked = shelf.client.get_status, []

    def is_late(path: str, sync: bool = False) -> Any:
        found = real(path, sync)
        if "/.polystore-" not in path or len(asked) == late:
            return found
        asked.append(path)
        return {**found, "length": 0, "completed": False}

    monkeypatch.setattr(shelf.client, "get_status", is_late)
    monkeypatch.setattr(Writer, "settled", Retry(8, sleep=lambda seconds: None))
    result = run_task(FileResource, shelf.server, path=shelf.at("f"), content="content")
    if late == 3:
        assert result["changed"] is True
        assert shelf.files() == {"f": b"content"}
    else:
        assert "the server has 0, incomplete" in result["msg"]
        assert shelf.files() == {}


def test_what_dead_runs_left_is_removed(shelf: Shelf) -> None:
    own, other = ("d/.polystore-%s-00c0ffee" % mark(shelf.at("d/" + name)) for name in ("f", "g"))
    shelf.begin(own)
    shelf.put(other, b"somebody else's")
    shelf.put("d/.polystore-my-own", b"named like it")
    shelf.contract(FileResource, path=shelf.at("d/f"), content="x")
    assert {row["name"] for row in shelf.rows() if not row["folder"]} == {"d/f", other, "d/.polystore-my-own"}


def test_a_store_that_was_changed_behind(shelf: Shelf) -> None:
    args: dict[str, Any] = {"path": shelf.at("f"), "content": "old", "sync_metadata": True}
    shelf.contract(FileResource, **args)
    behind = pathlib.Path(shelf.server.ufs) / shelf.at("f").lstrip("/")
    assert behind.read_bytes() == b"old"
    behind.unlink()
    behind.write_bytes(b"else, and longer")
    assert run_ok(FileResource, shelf.server, **args)["changed"] is True
    assert run_ok(FileResource, shelf.server, **args)["changed"] is False
    assert behind.read_bytes() == b"old"


def test_what_is_only_in_alluxio_leaves_nothing_old_below(shelf: Shelf) -> None:
    shelf.contract(FileResource, path=shelf.at("f"), content="old")
    behind = pathlib.Path(shelf.server.ufs) / shelf.at("f").lstrip("/")
    assert behind.read_bytes() == b"old"
    shelf.contract(FileResource, path=shelf.at("f"), content="new", write_type="must_cache")
    assert shelf.files() == {"f": b"new"}
    assert not behind.exists()
    shelf.contract(FileResource, path=shelf.at("f"), content="third")
    assert behind.read_bytes() == b"third"


def test_wrong_options(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    path = shelf.at("f")
    assert "content" in shelf.fails(FileResource, path=path)
    assert "together" in shelf.fails(FileResource, path=path, content="a", content_b64="YQ==")
    assert "path" in shelf.fails(FileResource, path=path + "?x", content="a")
    assert "renamed_from" in shelf.fails(FileResource, path=path, content="a", renamed_from=path)
    assert "cannot be read" in shelf.fails(FileResource, path=path, src=str(tmp_path / "none"))
    assert "block_size" in shelf.fails(FileResource, path=path, content="a", block_size="many")
    if not shelf.client.can("xattr"):
        assert "xattr" in shelf.fails(FileResource, path=path, content="a", xattr={"a": "b"})
    batch: list[dict[str, Any]] = [{"path": path, "renamed_from": path + "0"}, {"path": path + "0", "content": "a"}]
    assert "declared once more" in shelf.fails(FileResource, batch=batch)
    assert "declared twice" in shelf.fails(FileResource, content="a", batch=[{"path": path}, {"path": path + "/"}])


def test_block_size(shelf: Shelf) -> None:
    shelf.contract(FileResource, path=shelf.at("f"), content="a", block_size="1M")
    assert shelf.status("f")["block_size"] == 1 << 20


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.tests.support.memory import peak
from ansible_collections.polystore.storage.tests.support.run import run_task
given = json.loads(sys.argv[2])
result = run_task(FileResource, given["connection"], **given["options"])
print(json.dumps({"result": result, "peak": peak()}))
"""


def child(shelf: Shelf, collection: pathlib.Path, **options: Any) -> Any:
    """The result and the peak memory (MiB) of a process of its own."""
    given = json.dumps({"connection": connection(shelf.server), "options": options})
    command = [sys.executable, "-c", CHILD, str(collection.parents[2]), given]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_stays_flat(shelf: Shelf, tmp_path: pathlib.Path, collection: pathlib.Path) -> None:
    """96 MiB are sent, compared, and sent again."""
    source = tmp_path / "big"
    with source.open("wb") as stream:
        for _part in range(96):
            stream.write(LARGE[: 1 << 20])
    small = child(shelf, collection, path=shelf.at("small"), content="small")
    for more in ({}, {"compare": "content"}):
        big = child(shelf, collection, path=shelf.at("big"), src=str(source), **more)
        assert big["result"]["resource"]["size"] == 96 << 20
        assert big["result"]["changed"] is not bool(more)
        assert big["peak"] - small["peak"] < 64
