# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fdfs_info tells, in every layout of records, of files of every kind, and of manifests, damaged ones too."""

from __future__ import annotations

import io
import json
import pathlib
import re
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId, Manifest, crc32
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ALL = ["fdfs_server", "fdfs_wide_server", *("fdfs_v%d_server" % number for number in (615, 612, 606, 511, 503))]


def steady(found: Any) -> Any:
    """An answer without what passes: free space, counters, which storages have a file already."""
    passing = ("free_mb", "counters", "read_from", "conn_alloc", "conn_current", "conn_max", "last_heart_beat_time")
    if isinstance(found, dict):
        return {name: steady(value) for name, value in found.items() if name not in passing}
    return [steady(part) for part in found] if isinstance(found, list) else found


class Shelf:
    """Files of one test, a manifest, and questions that may not write."""

    def __init__(self, server: Any, home: pathlib.Path) -> None:
        self.server, self.path = server, home / "files.json"
        self.client = client_for(CONNECTION, server.connection(), 8, {})
        self.legacy = server.version < "5.12"

    def put(self, data: bytes, **more: Any) -> FileId:
        return self.client.upload(lambda: io.BytesIO(data), len(data), **more)

    def slave(self, master: FileId, data: bytes) -> FileId:
        return self.client.upload_slave(master, "_small", lambda: io.BytesIO(data), len(data), extension="txt")

    def ask(self, **options: Any) -> dict[str, Any]:
        mark = self.server.mark()
        check, real = run_ok(Info, self.server, True, **options), run_ok(Info, self.server, **options)
        assert self.server.writes(mark) == [] and real.pop("changed") is False
        assert steady(check) == steady({**real, "changed": False})
        return real

    def fails(self, **options: Any) -> str:
        result = run_task(Info, self.server, **options)
        assert result["failed"] and "This is a fault in" not in result["msg"], result
        return str(result["msg"])

    def write(self, **entries: Any) -> str:
        self.path.write_text(json.dumps({"schema": 1, "files": entries}))
        return str(self.path)


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def shelf(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Shelf:
    return Shelf(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def newest(fdfs_server: Any, tmp_path: pathlib.Path) -> Shelf:
    return Shelf(fdfs_server, tmp_path)


# --- the cluster


@pytest.mark.parametrize("fixture", ALL)
def test_groups_and_storages(fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    shelf = Shelf(request.getfixturevalue(fixture), tmp_path)
    shelf.put(b"x", group="group2")
    (rows,) = shelf.ask().values()
    assert [row["name"] for row in rows] == ["group1", "group2"]
    assert all(row["storage_count"] == 2 and row["free_mb"] > 0 for row in rows)
    assert steady(shelf.ask(gather=["groups"], group="group2")) == steady({"groups": [rows[1]]})
    every = shelf.ask(gather="storages")["storages"]
    assert [(row["group"], row["state"]) for row in every] == [
        *[("group1", "ACTIVE")] * 2, *[("group2", "ACTIVE")] * 2,
    ]  # fmt: skip
    assert {"%s:%d" % (row["ip_addr"], row["storage_port"]) for row in every} == {
        where for places in shelf.server.groups.values() for where in places
    }
    some = shelf.ask(group="group2")["storages"]
    assert [row["id"] for row in some] == [row["id"] for row in every if row["group"] == "group2"]
    for row in every:
        assert row["version"] and shelf.server.version.startswith(row["version"].rstrip("."))
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["join_time"])
        assert row["rw_mode"] == ("both" if shelf.server.version >= "6.13" else None)
        assert "status" not in row and row["counters"].keys() >= {"total_upload", "success_download_bytes"}

    def uploads() -> int:
        return sum(row["counters"]["success_upload"] for row in shelf.ask(gather="storages")["storages"])

    shelf.server.wait_for(uploads)  # a real storage tells its tracker from time to time


def test_a_storage_that_is_down(newest: Shelf) -> None:
    gone = newest.server.storages("group2")[0]
    newest.server.behave(dead=[gone])
    states = {row["ip_addr"]: row["state"] for row in newest.ask(group="group2")["storages"]}
    assert states.pop(gone) == "OFFLINE" and set(states.values()) == {"ACTIVE"}


def test_groups_that_are_not_there(shelf: Shelf) -> None:
    assert "no such group" in shelf.fails(group="group9")
    assert "no such group" in shelf.fails(gather="groups", group="group9")


# --- a file


def test_a_file(shelf: Shelf) -> None:
    file = shelf.put(b"content", extension="txt")
    shelf.client.set_metadata(file, {"author": "Jane", "\u00fc": ""})
    found = shelf.ask(file_id=file.text)["file"]
    known = {"file_id": file.text, "file_group": file.group, "type": "normal", "extension": "txt", "exists": True}
    assert found == {**found, **known, "size": 7, "crc32": "%08x" % crc32(b"content", shelf.legacy)}
    assert found["metadata"] == {"author": "Jane", "\u00fc": ""} and found["trunk"] is None
    assert found["storage"] == file.source and found["change_at"][0].startswith(file.source + ":")
    assert found["read_from"] and found["created"] <= found["last_modified"]
    path = shelf.write(**{"a name": {"id": file.text}})
    assert steady(shelf.ask(manifest=path, name="a name")["file"]) == steady({"name": "a name", **found})
    assert shelf.ask(manifest=path, name="another")["file"] is None
    shelf.client.delete(file)
    gone = shelf.ask(file_id=file.text)["file"]
    assert gone["exists"] is False and gone["size"] == 7 and "metadata" not in gone


def test_other_kinds(shelf: Shelf) -> None:
    """What an id tells of these is of another time or file; where a server does so too, nothing is told."""
    log = shelf.put(b"first", appender=True)
    shelf.client.append(log, lambda: io.BytesIO(b" second"), 7)
    found = shelf.ask(file_id=log.text)["file"]
    told = None if shelf.legacy else "%08x" % crc32(b"first second")
    assert (found["type"], found["size"], found["crc32"], found["metadata"]) == ("appender", 12, told, {})
    small = shelf.slave(shelf.put(b"the master", extension="txt"), b"small")
    found = shelf.ask(file_id=small.text)["file"]
    told = None if shelf.legacy else "%08x" % crc32(b"small")
    assert (found["type"], found["size"], found["crc32"], found["extension"]) == ("slave", 5, told, "txt")
    shelf.client.delete(log)
    gone = shelf.ask(file_id=log.text)["file"]
    assert (gone["exists"], gone["size"], gone["crc32"]) == (False, None, None)


def test_a_file_in_a_trunk(newest: Shelf) -> None:
    newest.server.behave(trunk=True)
    found = newest.ask(file_id=newest.put(b"small").text)["file"]
    assert found["type"] == "normal" and found["trunk"].keys() == {"file", "offset", "size"} and found["size"] == 5


# --- manifests


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in found["manifest"]["entries"]}


def test_each_entry_is_checked(shelf: Shelf) -> None:
    master = shelf.put(b"the master", extension="txt")
    log, small, gone = shelf.put(b"12345", appender=True), shelf.slave(master, b"small"), shelf.put(b"gone")
    tagged = shelf.put(b"tagged")
    shelf.client.set_metadata(tagged, {"a": "1"})
    shelf.client.delete(gone)
    entries = {
        "by hand": {"id": master.text},
        "master": {"id": master.text, "size": 10, "crc32": "%08x" % crc32(b"the master")},
        "log": {"id": log.text, "size": 5, "crc32": "%08x" % crc32(b"12345")},
        "log, longer": {"id": log.text, "size": 6, "crc32": "00000000"},
        "small": {"id": small.text, "size": 5, "crc32": "%08x" % crc32(b"small"), "master": "master"},
        "gone": {"id": gone.text, "size": 4},
        "tagged": {"id": tagged.text, "size": 6, "metadata": {"a": "1"}},
        "tagged, otherwise": {"id": tagged.text, "size": 6, "metadata": {"a": "2"}},
        "no id": {"id": "group1/M00/no"},
        "elsewhere": {"id": "group9/" + master.name, "size": 10},
    }
    found = shelf.ask(manifest=shelf.write(**entries))
    assert statuses(found) == {
        "by hand": "ok", "master": "ok", "log": "ok", "log, longer": "differs", "small": "ok", "gone": "missing",
        "tagged": "ok", "tagged, otherwise": "differs", "no id": "missing", "elsewhere": "unknown",
    }  # fmt: skip
    told = found["manifest"]
    assert told["summary"] == {"ok": 5, "missing": 2, "differs": 2, "unknown": 1}
    problems = {row["name"]: row["problem"] for row in told["entries"]}
    assert "size" in problems["log, longer"] and "metadata" in problems["tagged, otherwise"]
    assert "no such group" in problems["elsewhere"] and "no file id" in problems["no id"] and problems["log"] is None
    assert told["document"]["files"].keys() == entries.keys() - {"gone", "no id"}
    assert told["document"]["files"]["tagged, otherwise"] == {"id": tagged.text}
    assert (told["exists"], told["error"], told["leftovers"], told["doubts"]) == (True, None, [], [])
    assert statuses(shelf.ask(gather="manifest", manifest=str(shelf.path), name="log")) == {"log": "ok"}


def test_checksums_that_servers_do_not_tell(shelf: Shelf) -> None:
    """Up to 6.01 an appender's, up to 6.15.0 a slave's: nothing is said against what the manifest has of them."""
    log = shelf.put(b"12345", appender=True)
    found = shelf.ask(manifest=shelf.write(log={"id": log.text, "size": 5, "crc32": "00000001"}))
    assert statuses(found) == {"log": "ok" if shelf.legacy else "differs"}


def test_one_query_an_entry(newest: Shelf) -> None:
    path = newest.write(**{"f%d" % number: {"id": newest.put(b"x").text} for number in range(50)})
    mark = newest.server.mark()
    run_ok(Info, newest.server, manifest=path)
    methods = [entry["method"] for entry in newest.server.requests(mark)]
    assert methods.count("query_file_info") == 50 and len(methods) <= 50 + 16


def test_a_damaged_or_lost_manifest_is_rebuilt(newest: Shelf, tmp_path: pathlib.Path) -> None:
    """What was told of it and what somebody else knows make a manifest that the other modules take."""
    top = tmp_path / "tree"
    top.mkdir()
    for name in ("a", "b", "c", "d"):
        (top / name).write_text(name)
    path = str(newest.path)
    run_ok(SyncResource, newest.server, src=str(top), manifest=path)
    whole = newest.path.read_text()
    ids = {name: entry["id"] for name, entry in Manifest.load(path).entries.items()}
    cut = whole[: whole.index('"c"') + 9]
    newest.path.write_text(cut)
    damaged = newest.ask(manifest=path)
    assert "is damaged" in damaged["manifest"]["error"] and statuses(damaged) == {"a": "ok", "b": "ok"}
    known = {"c": ids["c"], "d": ids["d"]}
    found = newest.ask(gather="manifest", manifest=path, known=known)
    assert statuses(found) == dict.fromkeys("abcd", "ok") and newest.path.read_text() == cut
    newest.path.unlink()
    lost = newest.ask(manifest=path, known={**known, "a": ids["a"], "b": ids["b"]})
    assert "is gone" in lost["manifest"]["error"] and lost["manifest"]["exists"] is False
    for one in (found, lost):
        rebuilt = tmp_path / "rebuilt.json"
        rebuilt.write_text(json.dumps(one["manifest"]["document"]))
        result = run_ok(SyncResource, newest.server, src=str(top), manifest=str(rebuilt))
        assert result["changed"] is False and result["summary"]["unchanged"] == 4
    only = newest.ask(known=known)["manifest"]
    assert only["path"] is None and only["summary"]["ok"] == 2


def test_a_manifest_that_is_not_there_is_empty(newest: Shelf) -> None:
    found = newest.ask(manifest=str(newest.path))["manifest"]
    assert (found["exists"], found["error"], found["entries"]) == (False, None, [])
    assert not newest.path.exists() and not pathlib.Path(str(newest.path) + ".journal").exists()


def test_nobody_answers(newest: Shelf) -> None:
    path = newest.write(a={"id": newest.put(b"x").text})
    newest.server.listen(False)
    told = newest.fails(manifest=path, retries=0, connect_timeout=2)
    assert "tracker" in told and "Does it run" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gather": "file"}, "file_id: is needed to gather file"),
        ({"gather": "manifest"}, "manifest: is needed to gather manifest"),
        ({"name": "a"}, "manifest: is missing"),
        ({"file_id": "group1/M00/x"}, "file_id: 'group1/M00/x' is no file id"),
        ({"known": {"a": "x"}}, "known: 'x' is no file id"),
        ({"group": "a b"}, "group: 'a b' is no group"),
    ],
)
def test_questions_that_make_no_sense(newest: Shelf, options: dict[str, Any], told: str) -> None:
    mark = newest.server.mark()
    assert told in newest.fails(**options)
    assert newest.server.requests(mark) == []
