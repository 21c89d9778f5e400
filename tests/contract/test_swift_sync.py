# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""swift_sync against a real Swift."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift import segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

LARGE = b"".join(b"%04d" % n for n in range(250))  # 1,000 bytes


class Tree:
    """A local directory, and a container of its own."""

    def __init__(self, server: Any, top: pathlib.Path, **headers: str) -> None:
        self.server, self.name, self.top = server, server.new_container_name(), top
        self.client = client_for(SyncResource.connection, connection(server), 8, {})
        self.client.request("PUT", self.name, headers=headers)

    def write(self, **files: bytes) -> None:
        for name, data in files.items():
            self.put(name.replace("__", "/"), data)

    def put(self, name: str, data: bytes) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def args(self, **more: Any) -> dict[str, Any]:
        return {"src": str(self.top), "container": self.name, "segment_size": 300, **more}

    def sync(self, **more: Any) -> dict[str, Any]:
        """Check mode, then the task, then the task again: the promises of the contract hold each time."""
        mark = self.server.mark()
        check = run_ok(SyncResource, self.server, True, True, **self.args(**more))
        assert self.server.writes(mark) == []
        result = run_ok(SyncResource, self.server, False, True, **self.args(**more))
        assert (check["changed"], check["diff"]) == (result["changed"], result["diff"])
        assert actions(check) == actions(result)
        mark = self.server.mark()
        again = run_ok(SyncResource, self.server, False, True, **self.args(**more))
        assert self.server.writes(mark) == []
        assert (again["changed"], again["diff"]) == (False, [])
        return result

    def fails(self, **more: Any) -> str:
        mark = self.server.mark()
        result = run_task(SyncResource, self.server, **self.args(**more))
        assert result["failed"] is True
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def remote(self, container: str = "") -> dict[str, bytes]:
        rows = segments.listed(self.client, container or self.name)
        return {r["name"]: self.client.request("GET", container or self.name, r["name"]).body for r in rows}


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {r["name"]: r["action"] for r in result["resources"] if r["action"] != "unchanged"}


@pytest.fixture
def tree(swift_server: Any, tmp_path: pathlib.Path) -> Tree:
    return Tree(swift_server, tmp_path / "tree")


def test_a_tree(tree: Tree) -> None:
    names = ["index.html", "empty", "a b/q?x#1%41", "grün/ß/日本.txt", "deep/er/and/deeper.bin"]
    for name in names:
        tree.put(name, b"" if name == "empty" else name.encode())
    tree.put("large.bin", LARGE)
    result = tree.sync()
    assert result["summary"]["created"] == 6
    assert "resource" not in result
    assert set(actions(result).values()) == {"created"}
    assert tree.remote() == {**{n: b"" if n == "empty" else n.encode() for n in names}, "large.bin": LARGE}
    tree.put("index.html", b"other")
    tree.put("large.bin", b"?" + LARGE[1:])
    mark = tree.server.mark()
    assert actions(tree.sync()) == {"index.html": "updated", "large.bin": "updated"}
    assert len(tree.server.requests(mark, method="PUT")) == 3  # the object; a segment and the manifest
    assert tree.remote()["large.bin"] == b"?" + LARGE[1:]
    assert len(tree.remote(tree.name + "_segments")) == 4


def test_unchanged_is_one_listing(tree: Tree) -> None:
    for number in range(300):
        tree.put("d%d/f%d" % (number % 7, number), b"content of %d" % number)
    result = run_ok(SyncResource, tree.server, **tree.args())
    assert result["summary"]["created"] == 300
    assert len(result["resources"]) == 300
    mark = tree.server.mark()
    again = run_ok(SyncResource, tree.server, **tree.args())
    assert again["changed"] is False
    assert again["resources"] == []  # above a hundred, what did not change is not told
    # one listing; and one HEAD, to see that there are no segments that a dead run left
    assert [(e["method"], e["path"].split("/")[3].split("?")[0]) for e in tree.server.requests(mark)] == [
        ("GET", tree.name),
        ("HEAD", tree.name + "_segments"),
    ]


def test_prefix_and_what_is_kept(tree: Tree) -> None:
    for name in ("other", "p/own", "p.txt"):
        tree.client.request("PUT", tree.name, name, body=b"stays")
    headers = {"Content-Type": "text/x-odd", "X-Object-Meta-A": "b", "Cache-Control": "no-cache"}
    tree.client.request("PUT", tree.name, "p/file.txt", body=b"old", headers=headers)
    tree.write(**{"file.txt": b"new", "sub__two": b"2"})
    assert actions(tree.sync(prefix="p")) == {"p/file.txt": "updated", "p/sub/two": "created"}
    assert sorted(tree.remote()) == ["other", "p.txt", "p/file.txt", "p/own", "p/sub/two"]
    head = tree.client.request("HEAD", tree.name, "p/file.txt").headers
    assert {name: head[name.lower()] for name in headers} == headers


def test_prune(tree: Tree) -> None:
    tree.write(**{"keep": b"1", "gone": b"2", "sub__gone.bin": LARGE})
    tree.sync(prefix="t/")
    for name in ("beside", "t/excluded.tmp", "t/cache/x", "u/other"):
        tree.client.request("PUT", tree.name, name, body=b"stays")
    tree.client.request("PUT", tree.name, "t/sub", body=b"", headers={"Content-Type": "application/directory"})
    tree.client.request("PUT", tree.name, "t/sub/", body=b"")
    (tree.top / "gone").unlink()
    (tree.top / "sub" / "gone.bin").unlink()
    rules = {"prefix": "t/", "prune": True, "exclude": ["*.tmp", "cache/"]}
    told = tree.fails(**rules)
    assert "would remove 2 of 3" in told and "max_delete" in told
    assert actions(tree.sync(max_delete=2, **rules)) == {"t/gone": "deleted", "t/sub/gone.bin": "deleted"}
    assert sorted(tree.remote()) == ["beside", "t/cache/x", "t/excluded.tmp", "t/keep", "t/sub", "t/sub/", "u/other"]
    assert tree.remote(tree.name + "_segments") == {}
    (tree.top / "keep").unlink()
    assert "allow_empty" in tree.fails(max_delete="100%", **rules)
    assert actions(tree.sync(max_delete="100%", allow_empty=True, **rules)) == {"t/keep": "deleted"}


def test_prune_leaves_what_a_large_object_is_made_of(tree: Tree) -> None:
    tree.write(large=LARGE, other=b"x")
    tree.sync(segment_container=tree.name)
    assert len(tree.remote()) == 2 + 4
    tree.client.request("PUT", tree.name, "part", body=b"part")
    body = b'[{"path": "/%s/part"}]' % tree.name.encode()
    tree.client.request("PUT", tree.name, "other", query={"multipart-manifest": "put"}, body=body)
    tree.write(other=b"part")
    tree.sync(segment_container=tree.name, prune=True, max_delete="100%")
    assert "part" in tree.remote()
    assert tree.remote()["large"] == LARGE


def test_trees_in_one_container_do_not_prune_each_other(tree: Tree) -> None:
    tree.write(a__1=b"1", b__2=b"2")
    both = [{"src": str(tree.top / "a")}, {"src": str(tree.top / "b"), "prefix": "b/"}]
    tree.client.request("PUT", tree.name, "b/old", body=b"x")
    args = {"container": tree.name, "prune": True, "max_delete": 1, "batch": both}
    result = run_ok(SyncResource, tree.server, **args)
    assert actions(result) == {"1": "created", "b/2": "created", "b/old": "deleted"}
    assert run_ok(SyncResource, tree.server, **args)["changed"] is False
    overlap = [{"src": str(tree.top / "b")}, {"src": str(tree.top / "b"), "prefix": ""}]
    assert "declared twice" in run_task(SyncResource, tree.server, container=tree.name, batch=overlap)["msg"]


def test_deletions_come_last_and_together(tree: Tree) -> None:
    for number in range(40):
        tree.put("old/%d ?#%%" % number, b"x")
    tree.sync()
    for path in (tree.top / "old").iterdir():
        path.unlink()
    tree.write(new=b"y")
    mark = tree.server.mark()
    run_ok(SyncResource, tree.server, **tree.args(prune=True, max_delete="100%"))
    writes = [(e["method"], e["path"].split("?")[-1]) for e in tree.server.writes(mark)]
    assert len(writes) == 2
    assert writes[1] == ("POST", "bulk-delete")
    assert list(tree.remote()) == ["new"]
    tree.put("bad", b"x")
    tree.put("good", b"x")
    (tree.top / "new").unlink()
    tree.server.fault("status", method="PUT", path="/bad", status=403, count=None)
    result = run_task(SyncResource, tree.server, **tree.args(prune=True, max_delete="100%"))
    assert result["failed"] is True
    assert sorted(tree.remote()) == ["good", "new"]  # nothing is deleted when something could not be created
    assert {f["item"].split("/")[-1]: f["code"] for f in result["failures"]} == {"bad": 403, "new": "not_begun"}


def test_content_types_and_metadata(tree: Tree) -> None:
    tree.write(**{"a.mjs": b"1", "sub__b.mjs": b"2", "c.html": b"3", "d.unknown-ending": b"4"})
    kinds = {"sub/*.mjs": "text/x-sub; charset=utf-8", "*.mjs": "text/x-module"}
    tree.sync()
    assert actions(tree.sync(content_types=kinds)) == {"a.mjs": "updated", "sub/b.mjs": "updated"}
    types = {row["name"]: row["content_type"] for row in tree.client.listing(tree.name)}
    assert types == {
        "a.mjs": "text/x-module",
        "sub/b.mjs": "text/x-sub;charset=utf-8",  # how a listing writes it
        "c.html": "text/html",
        "d.unknown-ending": "application/octet-stream",
    }
    tree.put("new.mjs", b"5")
    result = tree.sync(metadata={"Run_by": "nightly", "old": None}, content_types=kinds)
    assert (result["summary"]["created"], result["summary"]["updated"]) == (1, 4)
    head = tree.client.request("HEAD", tree.name, "sub/b.mjs").headers
    assert (head["x-object-meta-run-by"], head["content-type"]) == ("nightly", "text/x-sub; charset=utf-8")
    assert tree.remote()["sub/b.mjs"] == b"2"
    tree.put("a.mjs", b"changed")
    tree.sync()
    assert tree.client.request("HEAD", tree.name, "a.mjs").headers["x-object-meta-run-by"] == "nightly"


@pytest.mark.parametrize(("compare", "changed"), [("checksum", True), ("size", False), ("exists", False)])
def test_compare(tree: Tree, compare: str, changed: bool) -> None:
    tree.write(f=b"abc", large=LARGE)
    tree.sync()
    tree.write(f=b"abd", large=b"?" + LARGE[1:])
    assert tree.sync(compare=compare)["changed"] is changed
    tree.write(f=b"abcd", large=LARGE + b"?")
    assert tree.sync(compare=compare)["changed"] is (compare != "exists")


def test_what_was_made_otherwise(tree: Tree) -> None:
    """DLOs, symlinks and large objects with other segments, by their content."""
    store = tree.name + "_segments"
    tree.client.request("PUT", store)
    for number in range(2):
        tree.client.request("PUT", store, "dlo/%d" % number, body=LARGE[number * 500 : (number + 1) * 500])
    tree.client.request("PUT", tree.name, "dlo", body=b"", headers={"X-Object-Manifest": store + "/dlo/"})
    tree.client.request("PUT", tree.name, "link", body=b"", headers={"X-Symlink-Target": tree.name + "/dlo"})
    tree.write(dlo=LARGE, link=b"now a file", empty=b"")
    assert actions(tree.sync()) == {"link": "updated", "empty": "created"}
    assert tree.remote() == {"dlo": LARGE, "link": b"now a file", "empty": b""}
    tree.write(dlo=b"small")
    tree.sync()
    assert tree.remote(store) == {}


def test_versioned_container(swift_server: Any, tmp_path: pathlib.Path) -> None:
    tree = Tree(swift_server, tmp_path / "tree", **{"X-Versions-Enabled": "true"})
    tree.write(small=b"1", large=LARGE, empty=b"")
    kinds = {"small": "text/x-odd; charset=utf-8"}
    tree.sync(content_types=kinds)
    tree.write(small=b"2", large=b"?" + LARGE[1:])
    assert tree.sync(content_types=kinds)["summary"]["updated"] == 2
    assert tree.remote() == {"small": b"2", "large": b"?" + LARGE[1:], "empty": b""}
    assert len(tree.remote(tree.name + "_segments")) == 5  # the old version's too
    (tree.top / "large").unlink()
    tree.sync(prune=True, max_delete=1)
    assert len(tree.remote(tree.name + "_segments")) == 5


def test_absent_deletes_what_the_files_stand_for(tree: Tree) -> None:
    tree.write(a=b"1", b__c=LARGE, skipped=b"2")
    tree.sync()
    tree.client.request("PUT", tree.name, "own", body=b"stays")
    tree.write(never__sent=b"3")
    result = tree.sync(state="absent", exclude=["skipped"])
    assert actions(result) == {"a": "deleted", "b/c": "deleted"}
    assert sorted(tree.remote()) == ["own", "skipped"]
    assert tree.remote(tree.name + "_segments") == {}


def test_shards_share_the_work(tree: Tree) -> None:
    for number in range(30):
        tree.put("f%d" % number, b"x")
    tree.client.request("PUT", tree.name, "old", body=b"x")
    done: list[str] = []
    for index in range(3):
        shard = {"index": index, "count": 3}
        done += actions(tree.sync(shard=shard, prune=True, max_delete=1))
    assert len(done) == len(set(done)) == 31
    assert len(tree.remote()) == 30


def test_wrong_options(tree: Tree, tmp_path: pathlib.Path) -> None:
    tree.write(f=b"1")
    (tree.top / "link").symlink_to("f")
    assert "symbolic link" in tree.fails()
    assert "exist" in tree.fails(src=str(tmp_path / "none"))
    assert "content_types" in tree.fails(content_types={"*": "nonsense"})
    assert "prefix" in tree.fails(prefix="x" * 1025)
    assert "name" in tree.fails(prefix="x" * 1023, exclude=["link"])
    assert "metadata" in tree.fails(metadata={"a": []}, exclude=["link"])
    assert "max_delete" in tree.fails(prune=True, max_delete="many")
    assert actions(tree.sync(follow=True)) == {"f": "created", "link": "created"}
    told = tree.fails(container="none-such", follow=True)
    assert "none-such does not exist" in told and "swift_container" in told
