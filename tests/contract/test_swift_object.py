# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""swift_object against a real Swift: what the table of the contract does not say."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift import segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

DATA = bytes(range(256)) * 8  # 2,048 bytes


class Box:
    """A container of its own, and a task's view of it."""

    def __init__(self, server: Any, tmp: pathlib.Path, **headers: str) -> None:
        self.server, self.name, self.file = server, server.new_container_name(), tmp / "file"
        self.client = client_for(ObjectResource.connection, connection(server), 8, {})
        self.client.request("PUT", self.name, headers=headers)

    def task(self, name: str = "o", **args: Any) -> dict[str, Any]:
        return run_ok(ObjectResource, self.server, False, True, container=self.name, name=name, **args)

    def silent(self, name: str = "o", **args: Any) -> dict[str, Any]:
        mark = self.server.mark()
        result = self.task(name, **args)
        assert self.server.writes(mark) == []
        assert result["changed"] is False
        return result

    def fails(self, name: str = "o", **args: Any) -> dict[str, Any]:
        result = run_task(ObjectResource, self.server, container=self.name, name=name, **args)
        assert result["failed"] is True
        return result

    def send(self, data: bytes, name: str = "o", **args: Any) -> dict[str, Any]:
        """The file with this content, in segments of 100 bytes."""
        self.file.write_bytes(data)
        return self.task(name, **{"src": str(self.file), "segment_size": 100, **args})

    def get(self, name: str = "o") -> bytes:
        body: bytes = self.client.request("GET", self.name, name).body
        return body

    def head(self, name: str = "o") -> dict[str, str]:
        headers: dict[str, str] = self.client.request("HEAD", self.name, name).headers
        return headers

    def segments(self, container: str = "") -> list[str]:
        return sorted(row["name"] for row in segments.listed(self.client, container or self.name + "_segments"))

    def slo(self, name: str, parts: list[str], container: str = "") -> None:
        """An SLO that somebody else made, of objects that are there."""
        rows = [{"path": "/%s/%s" % (container or self.name, part)} for part in parts]
        query = {"multipart-manifest": "put"}
        self.client.request("PUT", self.name, name, query=query, body=json.dumps(rows).encode())


@pytest.fixture
def box(swift_server: Any, tmp_path: pathlib.Path) -> Box:
    return Box(swift_server, tmp_path)


@pytest.fixture
def versioned(swift_server: Any, tmp_path: pathlib.Path) -> Box:
    return Box(swift_server, tmp_path, **{"X-Versions-Enabled": "true"})


def puts(server: Any, mark: int) -> list[str]:
    return [entry["path"] for entry in server.requests(mark, method="PUT")]


# --- small content and metadata


@pytest.mark.parametrize(
    "name", ["a b", "q?x=1", "h#frag", "p%41", "grün/ß", "a//b", "trailing/", "+&;=,'\"\\", "日本"]
)
def test_names(box: Box, name: str) -> None:
    box.task(name, content=name)
    assert box.get(name) == name.encode()
    box.silent(name, content=name)
    assert box.task(name, state="absent")["changed"] is True
    assert list(box.client.listing(box.name)) == []


def test_no_change_is_a_head_and_a_listing(box: Box) -> None:
    box.task(content="x", metadata={"a": "b"})
    mark = box.server.mark()
    box.task(content="x", metadata={"a": "b"})
    assert [entry["method"] for entry in box.server.requests(mark)] == ["HEAD", "GET"]


def test_metadata_alone_does_not_send_the_content_again(box: Box) -> None:
    box.task(content="x" * 5000)
    result = box.task(content="x" * 5000, metadata={"a": "b"}, cache_control="no-cache")
    assert result["summary"]["bytes_sent"] == 0
    assert box.get() == b"x" * 5000


def test_what_no_option_names_stays(box: Box) -> None:
    at = str(int(time.time()) + 5000)
    own = {"X-Robots-Tag": "noindex", "Content-Language": "de", "X-Delete-At": at, "Content-Encoding": "gzip"}
    own["Content-Type"] = "text/x-odd"
    box.client.request("PUT", box.name, "o", body=b"1", headers=own)
    box.task(metadata={"a": "b"})
    box.task(content="2")
    head = box.head()
    assert {name: head[name.lower()] for name in own} == own
    assert head["x-object-meta-a"] == "b"


def test_a_duration_given_again_is_the_same(box: Box) -> None:
    box.task(content="x", expires="7d")
    week = 7 * 86400
    for spent, changed in ((0, False), (week // 20, False), (week // 5, True)):
        headers = {"X-Delete-At": str(int(time.time()) + week - spent)}
        box.client.request("POST", box.name, "o", headers=headers)
        assert box.task(content="x", expires="7d")["changed"] is changed
    assert abs(int(box.head()["x-delete-at"]) - time.time() - week) < 120


def test_content_type(box: Box) -> None:
    assert box.task("a.html", content="x")["resource"]["content_type"] == "text/html"
    assert box.task("a.tar.gz", content="x")["resource"]["content_type"] == "application/gzip"
    box.task("a.html", content_type="text/plain; charset=utf-8")
    assert box.silent("a.html", content="x", content_type="Text/plain;charset=utf-8")
    assert box.task("a.html", content="y")["resource"]["content_type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("compare", "changed"), [("checksum", True), ("size", False), ("exists", False)])
def test_compare_other_bytes_of_one_size(box: Box, compare: str, changed: bool) -> None:
    box.task(content="abc")
    assert box.task(content="abd", compare=compare)["changed"] is changed
    assert box.task(content="abcd", compare=compare)["changed"] is (compare != "exists")


def test_compare_content_downloads(box: Box) -> None:
    box.task(content="abc")
    mark = box.server.mark()
    box.silent(content="abc", compare="content")
    assert len(box.server.requests(mark, method="GET", path="/%s/o" % box.name)) == 1
    assert box.task(content="abd", compare="content")["changed"] is True


def test_missing_container(swift_server: Any) -> None:
    mark = swift_server.mark()
    result = run_task(ObjectResource, swift_server, container="none-such", name="o", content="x")
    assert "The container none-such does not exist" in result["msg"]
    assert "swift_container" in result["msg"]
    assert swift_server.writes(mark) == []
    check = run_ok(ObjectResource, swift_server, check=True, container="none-such", name="o", content="x")
    assert check["changed"] is True
    assert "none-such" in check["warnings"][0]
    assert run_ok(ObjectResource, swift_server, container="none-such", name="o", state="absent")["changed"] is False


def test_bad_options_send_nothing(box: Box, tmp_path: pathlib.Path) -> None:
    mark = box.server.mark()
    for args, word in (
        ({"content": "a", "src": "/etc/hosts"}, "src"),
        ({"content": "a", "copy_from": "a/b"}, "copy_from"),
        ({"copy_from": "nowhere"}, "container/object"),
        ({"symlink_to": box.name + "/o"}, "is the object itself"),
        ({"content_b64": "%%%"}, "content_b64"),
        ({"content": "a", "expires": "soon"}, "expires"),
        ({"content": "a", "expires": 0}, "never"),
        ({"content": "a", "segment_size": "0"}, "segment_size"),
        ({"content": "a", "segment_size": "some"}, "segment_size"),
        ({"content": "a", "metadata": {"a": {}}}, "metadata"),
        ({"content": "a", "metadata": {"k%d" % n: 1 for n in range(91)}}, "91 keys"),
        ({"content": "a", "segment_container": "a/b"}, "segment_container"),
        ({"content": "a", "cache_control": "a\nb"}, "cache_control"),
    ):
        assert word in box.fails(**args)["msg"], args
    assert box.server.requests(mark) == []
    for args, word in (
        ({"src": str(tmp_path)}, "is a directory"),
        ({"src": str(tmp_path / "none")}, "No such file"),
        ({}, "Give one of src"),
        ({"copy_from": box.name + "/none"}, "does not exist"),
        ({"content": "x" * 1001, "segment_size": 1}, "This server takes 1000"),
    ):
        assert word in box.fails(**args)["msg"], args
    assert box.server.writes(mark) == []


# --- large objects


def test_one_changed_byte_sends_one_segment(box: Box) -> None:
    box.send(DATA)
    assert len(box.segments()) == 21
    changed = DATA[:1234] + b"!" + DATA[1235:]
    mark = box.server.mark()
    result = box.send(changed)
    paths = puts(box.server, mark)
    assert [path.split("?")[-1] for path in paths[1:]] == ["multipart-manifest=put"]
    assert paths[0].split("/")[3] == box.name + "_segments"
    assert len(box.server.writes(mark)) == 3  # and one bulk delete of the old segment
    assert result["summary"]["bytes_sent"] < 100 + 21 * 200
    assert box.get() == changed
    assert len(box.segments()) == 21


def test_an_upload_goes_on_where_it_stopped(box: Box) -> None:
    box.task(content="old content")
    box.file.write_bytes(DATA)
    args: dict[str, Any] = {"src": str(box.file), "segment_size": 100}
    box.server.fault("status", method="PUT", path="_segments/o/slo/", nth=12, status=403, count=None)
    failed = box.fails(parallel=1, **args)
    box.server.clear_faults()
    assert failed["failures"][0]["operation"] == "upload segment"
    assert len(box.segments()) == 11
    assert box.get() == b"old content"
    mark = box.server.mark()
    box.task(**args)
    assert len(puts(box.server, mark)) == 21 - 11 + 1
    assert box.get() == DATA
    box.silent(**args)


def test_equal_parts_are_sent_once(box: Box) -> None:
    box.send(b"0" * 1000)
    assert len(box.segments()) == 1
    assert box.get() == b"0" * 1000


def test_small_large_small(box: Box) -> None:
    for data in (b"small", DATA, b"small again", DATA[:500], b""):
        box.send(data)
        assert box.get() == data
        assert len(box.segments()) == (-(-len(data) // 100) if len(data) > 100 else 0)
        box.silent(src=str(box.file), segment_size=100)


def test_other_segment_sizes_are_the_same_content(box: Box) -> None:
    box.send(DATA)
    for size in (100, 150, 1000, "1G"):
        box.silent(src=str(box.file), segment_size=size)
    box.file.write_bytes(DATA[:-1] + b"!")
    assert box.task(src=str(box.file), segment_size=1000)["changed"] is True
    assert box.get() == DATA[:-1] + b"!"
    assert len(box.segments()) == 3


def test_a_foreign_large_object(box: Box) -> None:
    for number in range(3):
        box.client.request("PUT", box.name, "part%d" % number, body=DATA[number * 500 : (number + 1) * 500])
    box.slo("o", ["part0", "part1", "part2"])
    box.file.write_bytes(DATA[:1500])
    box.silent(src=str(box.file))
    box.silent(src=str(box.file), segment_size=100)
    box.slo("other", ["part1"])
    box.task(content="now small")
    names = [row["name"] for row in box.client.listing(box.name)]
    assert names == ["o", "other", "part1"]  # what the other manifest uses has stayed


def test_local_file_changes_while_it_is_read(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.send(DATA)
    digests: Callable[[Any], list[str]] = segments.Content.digests

    def disturbed(content: Any) -> list[str]:
        found = digests(content)
        os.utime(box.file, (1, 1))
        return found

    monkeypatch.setattr(segments.Content, "digests", disturbed)
    box.file.write_bytes(DATA + b"more")
    result = box.fails(src=str(box.file), segment_size=100)
    assert "changed while it was read" in result["msg"]
    assert box.get() == DATA


def test_segments_take_the_storage_policy(swift_server: Any, tmp_path: pathlib.Path) -> None:
    box = Box(swift_server, tmp_path, **{"X-Storage-Policy": "reduced"})
    box.send(DATA)
    for name in (box.name, box.name + "_segments"):
        assert box.client.request("HEAD", name).headers["x-storage-policy"] == "reduced"


def test_segment_container(box: Box) -> None:
    store = box.name + "-parts"
    box.send(DATA, segment_container=store)
    assert len(box.segments(store)) == 21
    assert box.segments() == []
    box.silent(src=str(box.file), segment_size=100, segment_container=store)
    box.task(state="absent", segment_container=store)
    assert box.segments(store) == []


def test_long_names(box: Box) -> None:
    name = "ü" * 512
    box.send(DATA, name)
    assert box.get(name) == DATA
    box.silent(name, src=str(box.file), segment_size=100)


def test_a_copy_shares_segments_and_keeps_them(box: Box) -> None:
    box.send(DATA, metadata={"own": "x"})
    mark = box.server.mark()
    box.task("copy", copy_from=box.name + "/o")
    assert len(box.server.writes(mark)) == 1
    assert box.task("copy", copy_from=box.name + "/o")["changed"] is False
    assert "x-object-meta-own" not in box.head("copy")
    box.send(b"?" + DATA[1:])
    assert len(box.segments()) == 22
    box.task(state="absent")
    assert box.get("copy") == DATA
    assert len(box.segments()) == 21
    box.task("copy", state="absent")
    assert box.segments() == []


def test_old_versions_keep_their_segments(versioned: Box) -> None:
    versioned.send(DATA)
    versioned.send(b"?" + DATA[1:])
    versioned.silent(src=str(versioned.file), segment_size=100)
    versioned.task(state="absent")
    assert len(versioned.segments()) == 22
    rows = list(versioned.client.listing(versioned.name, versions=True))
    old = min((r for r in rows if "slo_etag" in r), key=lambda r: str(r["version_id"]))
    found = versioned.client.request("GET", versioned.name, "o", query={"version-id": old["version_id"]})
    assert found.body == DATA


@pytest.mark.parametrize("state", ["unchanged", "changed", "small", "absent", "gone"])
def test_what_a_dead_run_left_is_removed(box: Box, state: str) -> None:
    box.send(DATA)
    store = box.name + "_segments"
    stray = ["o/slo/%s-3" % ("0" * 32), "o/slo/%s-4" % ("1" * 32)]
    others = ["o/slo/other/slo/%s-3" % ("0" * 32), "o2/slo/%s-3" % ("0" * 32), "o/slo/notes.txt"]
    for name in stray + others:
        box.client.request("PUT", store, name, body=b"abc")
    if state == "gone":
        box.client.request("DELETE", box.name, "o")
    if state in ("absent", "gone"):
        box.task(state="absent")
    else:
        box.send({"unchanged": DATA, "changed": DATA[:700], "small": b"small"}[state])
        assert box.head()["content-length"] == str(box.file.stat().st_size)
    left = box.segments()
    assert [name for name in left if name in stray] == []
    assert [name for name in left if name in others] == sorted(others)
    assert len(left) - len(others) == {"unchanged": 21, "changed": 7}.get(state, 0)


def test_dlo(box: Box) -> None:
    store = box.name + "_segments"
    box.client.request("PUT", store)
    for number in range(4):
        box.client.request("PUT", store, "o/%d" % number, body=DATA[number * 512 : (number + 1) * 512])
    headers = {"X-Object-Manifest": store + "/o/", "X-Object-Meta-Own": "x"}
    box.client.request("PUT", box.name, "o", body=b"", headers=headers)
    box.task(metadata={"a": "b"})
    assert box.get() == DATA  # a POST would have made it an empty object
    assert box.head()["x-object-meta-own"] == "x"
    box.file.write_bytes(DATA)
    box.silent(src=str(box.file))
    box.task("copy", copy_from=box.name + "/o")
    box.silent("copy", copy_from=box.name + "/o")
    assert box.get("copy") == DATA
    box.task(content="new")
    assert box.get() == b"new"
    assert len(box.segments()) == 4  # the copy uses them
    box.task("copy", state="absent")
    assert "x-object-manifest" not in box.head()


def test_a_dlo_that_is_a_view_leaves_what_it_shows(box: Box) -> None:
    for number in range(2):
        box.client.request("PUT", box.name, "logs/%d" % number, body=b"line\n")
    box.client.request("PUT", box.name, "all", body=b"", headers={"X-Object-Manifest": box.name + "/logs/"})
    assert box.get("all") == b"line\nline\n"
    box.task("all", state="absent")
    assert [row["name"] for row in box.client.listing(box.name)] == ["logs/0", "logs/1"]


# --- symlinks and copies


def test_a_symlink_is_declared_not_what_it_leads_to(box: Box) -> None:
    box.task("target", content="target")
    box.task(symlink_to=box.name + "/target", metadata={"a": "b"})
    assert box.get() == b"target"
    box.task(metadata={"a": "c"})
    assert "x-object-meta-a" not in box.head("target")
    box.silent(symlink_to=box.name + "/target", metadata={"a": "c"})
    box.task(content="target")
    assert box.head()["content-type"] == "application/octet-stream"
    assert "content-location" not in box.head()
    box.task(symlink_to=box.name + "/target")
    box.task(state="absent")
    assert box.get("target") == b"target"


def test_a_copy_follows_its_source(box: Box) -> None:
    box.task("a?b", content="1", content_type="text/x-a", metadata={"own": "x"})
    args = {"copy_from": "%s/a?b" % box.name}
    box.task(**args)
    assert (box.get(), box.head()["content-type"]) == (b"1", "text/x-a")
    assert "x-object-meta-own" not in box.head()
    box.task("a?b", content="2")
    mark = box.server.mark()
    result = box.task(metadata={"mine": "y"}, **args)
    assert (result["summary"]["bytes_sent"], len(box.server.writes(mark))) == (0, 1)
    assert (box.get(), box.head()["x-object-meta-mine"]) == (b"2", "y")
    box.silent(**args)


def test_etags_are_checked(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives otherwise than it was sent is refused, and the old content stays."""
    box.task(content="old")
    monkeypatch.setattr(Source, "md5", lambda *args: hashlib.md5(b"another").hexdigest())
    assert "422" in box.fails(content="x" * 300, segment_size=100)["msg"]
    assert box.get() == b"old"
