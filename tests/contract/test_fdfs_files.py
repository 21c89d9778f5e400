# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fdfs_file: every write and every question counted in the server's own log."""

from __future__ import annotations

import base64
import io
import json
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.files import FileResource
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import Manifest, crc32
from ansible_collections.polystore.storage.tests.support.fdfs_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = pytest.mark.server
LARGE = bytes(range(256)) * 5000
OLD = ("fdfs_v511_server", "fdfs_v606_server", "fdfs_v612_server")


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def shelf(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Shelf:
    return Shelf(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def new(fdfs_server: Any, tmp_path: pathlib.Path) -> Shelf:
    """Only the newest."""
    return Shelf(fdfs_server, tmp_path)


def methods(shelf: Shelf, mark: int) -> list[str]:
    return [entry["method"] for entry in shelf.server.writes(mark)]


def test_content_of_each_kind(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(LARGE)
    result = shelf.contract(
        FileResource,
        manifest=str(shelf.path),
        batch=[
            {"name": "deep/er/grün %#.txt", "src": str(source)},
            {"name": "text.html", "content": "grün"},
            {"name": "bytes", "content_b64": base64.b64encode(b"\0\xff").decode(), "extension": ".tar"},
            {"name": "empty", "content": ""},
        ],
    )
    wanted = {"deep/er/grün %#.txt": LARGE, "text.html": "grün".encode(), "bytes": b"\0\xff", "empty": b""}
    assert shelf.contents() == wanted
    assert [row["extension"] for row in result["resources"]] == ["bin", "html", "tar", ""]
    assert [row["size"] for row in result["resources"]] == [len(LARGE), 5, 2, 0]
    legacy = shelf.server.version < "5.12"
    sums = [row["crc32"] for row in result["resources"]]
    assert sums[1:] == ["%08x" % crc32(data) for data in list(wanted.values())[1:]]
    assert sums[0] == "%08x" % crc32(LARGE, legacy)  # of large content it is what the storage says
    shelf.tidy()


def test_it_is_replaced_before_the_old_one_goes(shelf: Shelf) -> None:
    args = {**shelf.at("a"), "content": "one", "metadata": {"k": "v"}}
    first = shelf.contract(FileResource, **args)["resource"]["file_id"]
    mark = shelf.server.mark()
    second = shelf.contract(FileResource, **shelf.at("a"), content="two")["resource"]["file_id"]
    assert methods(shelf, mark) == ["upload", "set_metadata", "delete"]
    assert not shelf.there(first) and shelf.client.get_metadata(second) == {"k": "v"}
    assert shelf.contents() == {"a": b"two"}
    shelf.tidy()


def test_a_trusted_manifest_asks_nothing(new: Shelf) -> None:
    batch = [{"name": str(n), "content": str(n), "metadata": {"n": n}} for n in range(30)]
    args: dict[str, Any] = {"manifest": str(new.path), "batch": batch, "verify": False}
    new.run(FileResource, **args)
    mark = new.server.mark()
    again = new.run(FileResource, **args)
    assert again["changed"] is False and again["summary"]["requests"] == 0 and new.server.requests(mark) == []
    verified = new.run(FileResource, **{**args, "verify": True, "batch": [{"name": str(n)} for n in range(30)]})
    assert verified["summary"]["unchanged"] == 30
    asked = [entry["method"] for entry in new.server.requests(mark)]
    assert asked.count("query_file_info") == 30 and len(asked) <= 30 + 2 * 8


def test_what_is_gone_is_stored_again(shelf: Shelf) -> None:
    args = {**shelf.at("a"), "content": "x"}
    text = shelf.contract(FileResource, **args)["resource"]["file_id"]
    shelf.client.delete(text)
    assert shelf.run(FileResource, verify=False, **args)["changed"] is False
    result = shelf.contract(FileResource, **args)["resource"]
    assert result["action"] == "created" and result["file_id"] != text
    shelf.client.delete(result["file_id"])
    gone = shelf.run(FileResource, **shelf.at("a"), state="absent")
    assert gone["changed"] is False and shelf.ids() == {}
    shelf.tidy()


def test_other_group_extension_or_type_is_another_file(new: Shelf) -> None:
    args = {**new.at("a.txt"), "content": "x" * 100}
    new.contract(FileResource, **args)
    for more in ({"file_group": "group2"}, {"extension": "log"}, {"type": "appender"}, {"type": "normal"}):
        before = new.ids()["a.txt"]
        result = new.contract(FileResource, **args, **more)["resource"]
        assert result["file_id"] != before and {k: result[k] for k in more} == more and not new.there(before)
    left = new.fails(FileResource, **new.at("a.txt"), file_group="group1")
    assert left["failures"][0]["code"] == "CONTENT_MISSING" and "content" in left["msg"]
    new.tidy()


STEPS: list[tuple[str, str, list[str], int]] = [  # before, after, the writes, and how much is sent at most
    ("0123456789" * 50, "0123456789" * 51, ["append"], 10),
    ("0123456789" * 51, "0123456789" * 50, ["truncate"], 0),
    ("x" * 9000, "x" * 4000 + "yz" + "x" * 4998, ["modify"], 2),
    ("x" * 90_000, "y" + "x" * 89_998 + "y", ["modify", "modify"], 2),
    ("x" * 90_000, "x" * 40_000 + "y" + "x" * 100, ["modify", "truncate"], 1),
    ("x" * 5000, "y" + "x" * 5000 + "end", ["modify", "append"], 5),
    ("abc", "", ["truncate"], 0),
    ("", "abc", ["append"], 3),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "+".join(step[2]))
@pytest.mark.parametrize("compare", ["checksum", "content"])
def test_an_appender_gets_the_least(shelf: Shelf, step: tuple[str, str, list[str], int], compare: str) -> None:
    before, after, writes, most = step
    text = shelf.contract(FileResource, **shelf.at("a"), type="appender", content=before)["resource"]["file_id"]
    mark = shelf.server.mark()
    result = shelf.contract(FileResource, **shelf.at("a"), content=after, compare=compare)
    assert methods(shelf, mark) == writes and result["summary"]["bytes_sent"] <= most
    assert result["resource"]["file_id"] == text and result["resource"]["size"] == len(after)
    assert shelf.contents() == {"a": after.encode()}


def test_an_appender_that_grew_or_shrank_is_hardly_read(new: Shelf) -> None:
    text = "0123456789" * 100_000
    new.run(FileResource, **new.at("a"), type="appender", content=text)
    grown = new.run(FileResource, **new.at("a"), content=text + "more")
    assert grown["changed"] is True and grown["summary"]["bytes_received"] == 0
    cut = new.run(FileResource, **new.at("a"), content=text[:-10])
    assert cut["changed"] is True and cut["summary"]["bytes_received"] == 14
    same = new.run(FileResource, **new.at("a"), content=text[:-10])
    assert same["changed"] is False and same["summary"]["bytes_received"] == 0


@pytest.mark.parametrize("fixture", ["fdfs_server", *OLD])
@pytest.mark.parametrize("kind", ["appender", "slave"])
def test_what_somebody_else_changed_is_seen(
    fixture: str, kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """Also where the storage tells an old checksum, or that of the master."""
    shelf = Shelf(request.getfixturevalue(fixture), tmp_path)
    shelf.run(FileResource, **shelf.at("master"), content="the same")
    more = {"type": "appender"} if kind == "appender" else {"master": "master", "prefix": "_x"}
    args = {**shelf.at("a"), **more, "content": "the same"}
    text = shelf.contract(FileResource, **args)["resource"]["file_id"]
    if kind == "appender":
        shelf.client.truncate(text, 0)
        shelf.client.append(text, lambda: io.BytesIO(b"an other"), 8)
    else:
        shelf.client.delete(text)
        shelf.client.upload_slave(shelf.ids()["master"], "_x", lambda: io.BytesIO(b"an other"), 8)
    assert shelf.contract(FileResource, **args)["resource"]["action"] == "updated"
    assert shelf.contents()["a"] == b"the same" and shelf.ids()["a"] == text
    shelf.tidy()


def family(shelf: Shelf, master: str, *slaves: str) -> dict[str, Any]:
    """A master and slaves of it, each the slave of the one before, in the wrong order."""
    names = ["m", *("s%d" % number for number in range(len(slaves)))]
    rows: list[dict[str, Any]] = [
        {"name": name, "master": names[number], "prefix": "_%d" % number, "extension": "png", "content": slaves[number]}
        for number, name in enumerate(names[1:])
    ]
    return {"manifest": str(shelf.path), "batch": [*rows[::-1], {"name": "m", "content": master, "extension": "jpg"}]}


def test_slaves_follow_their_master(shelf: Shelf) -> None:
    shelf.contract(FileResource, **family(shelf, "old", "a", "b"))
    before = shelf.ids()
    assert before["s0"] == before["m"].replace(".jpg", "_0.png")
    assert before["s1"] == before["s0"].replace(".png", "_1.png")
    mark = shelf.server.mark()
    shelf.contract(FileResource, **family(shelf, "new", "a", "b"))
    after = shelf.ids()
    assert methods(shelf, mark) == ["upload", "delete", "upload_slave", "delete", "upload_slave", "delete"]
    assert not {*before.values()} & {*after.values()} and not any(map(shelf.there, before.values()))
    assert shelf.contents() == {"m": b"new", "s0": b"a", "s1": b"b"}
    # What is not declared with its master stays as it is, until it is.
    shelf.run(FileResource, manifest=str(shelf.path), batch=[{"name": "m", "content": "newer"}])
    assert shelf.contents() == {"m": b"newer", "s0": b"a", "s1": b"b"} and shelf.ids()["s0"] == after["s0"]
    shelf.contract(FileResource, **family(shelf, "newer", "a", "b"))
    assert shelf.ids()["s0"] == shelf.ids()["m"].replace(".jpg", "_0.png")
    shelf.tidy()


def test_a_slave_that_is_there_and_not_recorded(new: Shelf) -> None:
    new.run(FileResource, **family(new, "m", "a"))
    document = json.loads(new.path.read_text())
    lost = document["files"].pop("s0")["id"]
    new.path.write_text(json.dumps(document))
    args = family(new, "m", "a")
    known = new.fails(FileResource, **{**args, "verify": False})
    assert known["failures"][0]["code"] == "EEXIST" and "verify" in known["msg"]
    mark = new.server.mark()
    result = new.contract(FileResource, **args)
    assert methods(new, mark) == [] and new.ids()["s0"] == lost
    assert result["diff"][0]["before"]["recorded"] is False and result["diff"][0]["after"]["recorded"] is True
    new.tidy()


def test_files_by_their_id(shelf: Shelf) -> None:
    shelf.run(FileResource, **shelf.at("n"), content="normal")
    shelf.run(FileResource, **shelf.at("a"), type="appender", content="appender")
    normal, appender = shelf.ids()["n"], shelf.ids()["a"]
    result = shelf.contract(FileResource, file_id=normal, metadata={"a": 1, "b": True})
    assert result["resource"]["metadata"] == {"a": "1", "b": "true"} == shelf.client.get_metadata(normal)
    shelf.contract(FileResource, file_id=appender, content="appender and more")
    assert shelf.contents()["a"] == b"appender and more"
    assert shelf.run(FileResource, file_id=normal, content="normal")["changed"] is False
    for more, code in (({"content": "other"}, "CONTENT_DIFFERS"), ({"content": "NORMAL"}, "CONTENT_DIFFERS")):
        assert shelf.fails(FileResource, file_id=normal, **more)["failures"][0]["code"] == code
    shelf.contract(FileResource, file_id=normal, state="absent")
    assert not shelf.there(normal)
    missing = shelf.fails(FileResource, file_id=normal, metadata={})
    assert missing["failures"][0]["code"] == "NOT_FOUND"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": "a", "file_id": "group1/M00/00/00/wKgBQ2cL4VyABCDEAAAAC7f3YtE123.txt"}, "file_id"),
    ({"name": "a", "manifest": None}, "manifest"),
    ({"name": "", "content": "x"}, "name"),
    ({"name": "a\n", "content": "x"}, "control character"),
    ({"file_id": "group1/M00/x", "manifest": None}, "file_id"),
    ({"name": "a", "content": "x", "content_b64": "eA=="}, "content_b64"),
    ({"name": "a", "content_b64": "?"}, "base64"),
    ({"name": "a", "src": "/nowhere/at/all"}, "/nowhere/at/all"),
    ({"name": "a", "src": "/tmp"}, "directory"),
    ({"name": "a", "content": "x", "extension": "toolong"}, "extension"),
    ({"name": "a", "content": "x", "extension": "a b"}, "extension"),
    ({"name": "a", "content": "x", "file_group": "no-group"}, "file_group"),
    ({"name": "a", "content": "x", "type": "trunk"}, "trunk"),
    ({"name": "a", "content": "x", "type": "slave"}, "master"),
    ({"name": "a", "content": "x", "master": "b"}, "prefix"),
    ({"name": "a", "content": "x", "prefix": "_b"}, "type: slave"),
    ({"name": "a", "content": "x", "type": "normal", "master": "b", "prefix": "_b"}, "type: slave"),
    ({"name": "a", "content": "x", "master": "b", "prefix": "a/b"}, "prefix"),
    ({"name": "a", "content": "x", "master": "b", "prefix": "_b", "file_group": "group1"}, "file_group"),
    ({"name": "a", "content": "x", "metadata": {"n" * 65: "x"}}, "65"),
    ({"name": "a", "content": "x", "metadata": {"n": "ä" * 129}}, "258"),
    ({"name": "a", "content": "x", "metadata": {"n": "a\x01b"}}, "bytes 0, 1 and 2"),
    ({"name": "a", "content": "x", "metadata": {"n": [1]}}, "no text"),
    ({"name": "a", "content": "x", "metadata": {"": "x"}}, "empty"),
    ({"name": "a", "content": "x", "lock_timeout": "soon"}, "lock_timeout"),
    ({"name": "a", "content": "x", "compare": "magic"}, "compare"),
    ({"content": "x", "batch": [{"name": "a"}, {"name": "a"}]}, "declared twice"),
    ({"content": "x", "prefix": "_", "batch": [{"name": "a", "master": "a"}]}, "its own slaves"),
    ({"content": "x", "prefix": "_", "batch": [{"name": "a", "master": "b"}, {"name": "b", "master": "a"}]}, "slaves"),
    ({"content": "x", "prefix": "_", "master": "m", "batch": [{"name": "a"}, {"name": "b"}]}, "declared twice"),
    (
        {"content": "x", "batch": [{"name": "a", "master": "b", "prefix": "_"}, {"name": "b", "state": "absent"}]},
        "absent",
    ),
    ({"name": "a"}, "src"),
    ({"name": "a", "content": "x", "master": "nobody", "prefix": "_"}, "nobody"),
]


@pytest.mark.parametrize(("args", "told"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input_is_refused(new: Shelf, args: dict[str, Any], told: str) -> None:
    mark = new.server.mark()
    given = {"manifest": str(new.path), **args}
    result = run_task(FileResource, new.server, **{k: v for k, v in given.items() if v is not None})
    assert result["failed"] is True and "exception" not in result and told in result["msg"], result["msg"]
    assert new.server.writes(mark) == [] and not new.path.exists()


@pytest.mark.parametrize("action", ["status", "close", "close_after", "cut_upload"])
@pytest.mark.parametrize("method", ["upload", "set_metadata", "delete"])
def test_faults_lose_nothing(new: Shelf, action: str, method: str) -> None:
    """The old file or the new one is there; the next run finishes; what nobody heard of is told."""
    args = {**new.at("a"), "metadata": {"k": "v"}, "retries": 0}
    new.run(FileResource, **args, content="old")
    new.server.fault(action, method=method, count=1, **({"bytes": 20} if action == "cut_upload" else {}))
    result = run_task(FileResource, new.server, **args, content="new")
    new.server.clear_faults()
    assert "exception" not in result
    assert new.contents() in ({"a": b"old"}, {"a": b"new"})
    if method == "delete" and not result.get("failed"):
        assert new.contents() == {"a": b"new"}
    new.run(FileResource, **args, content="new")
    assert new.contents() == {"a": b"new"} and new.client.get_metadata(new.ids()["a"]) == {"k": "v"}
    new.unheard_of()
    assert not new.unheard or (method, action) == ("upload", "close_after")
    new.tidy()


def test_a_storage_without_space_leaves_the_old_one(new: Shelf) -> None:
    new.run(FileResource, **new.at("a"), content="old", file_group="group1")
    new.server.behave(full=["group1"])
    result = new.fails(FileResource, **new.at("a"), content="new")
    assert result["failures"][0]["code"] == 28 and result["failures"][0]["item"] == "a"
    assert new.contents() == {"a": b"old"} and Manifest.load(str(new.path)).doubts == []


def test_a_group_that_is_down_is_not_an_absent_file(new: Shelf) -> None:
    new.run(FileResource, **new.at("a"), content="old", file_group="group2")
    new.server.behave(dead=new.server.storages("group2"))
    for more in ({"content": "old"}, {"state": "absent"}):
        result = new.fails(FileResource, **new.at("a"), retries=0, **more)
        assert "active" in result["msg"] or "active" in result["failures"][0]["server_message"]
    assert set(new.ids()) == {"a"}


def test_a_damaged_manifest_stops_all(new: Shelf) -> None:
    new.run(FileResource, **new.at("a"), content="x")
    text = new.path.read_text()
    new.path.write_text(text[:-20])
    mark = new.server.mark()
    for check in (False, True):
        result = run_task(FileResource, new.server, check, **new.at("b"), content="x")
        assert result["failed"] and "fdfs_info" in result["msg"] and "damaged" in result["msg"]
    assert new.server.requests(mark) == [] and new.path.read_text() == text[:-20]
    new.path.write_text(json.dumps({"schema": 1, "files": {"a": {"id": json.loads(text)["files"]["a"]["id"]}}}))
    assert new.run(FileResource, **new.at("a"), content="x")["changed"] is False
    assert Manifest.load(str(new.path)).entries["a"]["size"] == 1  # what it lacked was asked for
    new.tidy()


def test_a_large_batch_records_in_few_bytes(new: Shelf) -> None:
    batch = [{"name": "f%d" % n, "content": str(n)} for n in range(300)]
    result = new.run(FileResource, manifest=str(new.path), batch=batch)
    assert result["summary"]["created"] == 300
    assert new.contents() == {row["name"]: row["content"].encode() for row in batch}
    new.tidy()
