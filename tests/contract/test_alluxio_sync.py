# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""alluxio_sync on both dialects."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import mark
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.alluxio_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ALL: dict[str, Any] = {"prune": True, "max_delete": "100%"}


class Tree(Shelf):
    """A local directory, and one in Alluxio."""

    def __init__(self, server: Any, top: pathlib.Path) -> None:
        super().__init__(server)
        self.top = top
        top.mkdir()

    def write(self, *names: str, **files: bytes) -> None:
        """Local files: by name (their content is their name), and name=content."""
        for name, data in {**{n: n.encode() for n in names}, **files}.items():
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def unlink(self, *names: str) -> None:
        for name in names:
            (self.top / name).unlink()

    def local(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.top)): p.read_bytes() for p in self.top.rglob("*") if p.is_file()}

    def args(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"src": str(self.top), "path": self.path, **more}

    def sync(self, **more: Any) -> dict[str, str]:
        """The contract of a state module; what was done, by name below the tree."""
        return self.actions(self.contract(SyncResource, **self.args(more)))

    def actions(self, result: dict[str, Any]) -> dict[str, str]:
        return {r["path"][len(self.path) + 1 :]: r["action"] for r in result["resources"] if r["action"] != "unchanged"}

    def fails_to(self, **more: Any) -> str:
        return self.fails(SyncResource, **self.args(more))


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def tree(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Tree:
    return Tree(request.getfixturevalue(request.param), tmp_path / "tree")


@pytest.fixture
def mounted(tree: Tree, tmp_path: pathlib.Path) -> Iterator[Tree]:
    """The same with a mount point m that holds f and sub/g."""
    store = tmp_path / "store"
    (store / "sub").mkdir(parents=True)
    (store / "f").write_bytes(b"mounted")
    (store / "sub" / "g").write_bytes(b"mounted")
    tree.client.mount(tree.at("m"), str(store))
    yield tree
    tree.client.unmount(tree.at("m"))


def test_a_tree(tree: Tree) -> None:
    tree.write("index.html", "a b/q#x%41;&+=", "grün/ß/日本.txt", "deep/er/and/deeper.bin", empty=b"")
    result = tree.contract(SyncResource, **tree.args({}))
    assert result["summary"]["created"] == 5
    assert "resource" not in result
    assert tree.files() == tree.local()
    tree.write(**{"index.html": b"other", "deep/er/new": b"1"})
    assert tree.sync() == {"index.html": "updated", "deep/er/new": "created"}
    assert tree.files() == tree.local()


def test_unchanged_is_one_listing_a_directory(alluxio_server: Any, tmp_path: pathlib.Path) -> None:
    tree = Tree(alluxio_server, tmp_path / "tree")
    tree.write(*("d%d/f%d" % (number % 7, number) for number in range(300)))
    result = run_ok(SyncResource, tree.server, **tree.args({}))
    assert (result["summary"]["created"], len(result["resources"])) == (300, 300)
    for number in range(3):
        tree.put("beside%d/x/y" % number, b"not of the tree")
    since = tree.server.mark()
    again = run_ok(SyncResource, tree.server, **tree.args({}))
    assert (again["changed"], again["resources"]) == (False, [])
    assert tree.operations(since) == ["list-status"] * 8


def test_what_a_file_costs(alluxio_server: Any, tmp_path: pathlib.Path) -> None:
    tree = Tree(alluxio_server, tmp_path / "tree")
    tree.write("a", "d/b")
    since = tree.server.mark()
    run_ok(SyncResource, tree.server, **tree.args({"mode": "0640"}))
    found = tree.operations(since)
    assert found[:1] == ["list-status"]
    assert sorted(found[1:]) == sorted(["create-file", "write", "close", "get-status", "rename"] * 2)


def test_what_is_kept_and_what_new_files_get(tree: Tree) -> None:
    tree.put("old", b"else", mode="0604", ttl=86400000, ttl_action="free")
    tree.put("own", b"not of the tree")
    tree.write("old", "new")
    assert tree.sync(mode="0640", pinned=True) == {"old": "updated", "new": "created"}
    old, new = tree.status("old"), tree.status("new")
    assert (old["mode"], old["ttl"], old["ttl_action"], old["pinned"]) == ("0604", 86400000, "free", False)
    assert (new["mode"], new["ttl"], new["pinned"]) == ("0640", -1, True)
    assert tree.read("own") == b"not of the tree"
    assert tree.sync(mode="0600") == {}


def test_prune(tree: Tree) -> None:
    tree.write("keep", "gone", "sub/gone", "sub/deeper/gone", "half/gone", "half/keep")
    tree.sync()
    for name in ("excluded.tmp", "sub/deeper/cache/x", "alone/gone", "alone/there/gone"):
        tree.put(name, b"1")
    tree.client.create_directory(tree.at("empty/inside"))
    tree.unlink("gone", "sub/gone", "sub/deeper/gone", "half/gone")
    rules: dict[str, Any] = {"prune": True, "exclude": ["*.tmp", "**/cache/"]}
    told = tree.fails_to(**rules)
    # 6 of 8 files, and alone/there, alone, empty/inside, empty
    assert "would remove 10 of 12" in told and "max_delete" in told
    assert tree.sync(max_delete=10, **rules) == dict.fromkeys(
        ["gone", "sub/gone", "sub/deeper/gone", "half/gone", "alone/gone", "alone/there/gone"]
        + ["alone/there", "alone", "empty/inside", "empty"],
        "deleted",
    )
    assert sorted(tree.files()) == ["excluded.tmp", "half/keep", "keep", "sub/deeper/cache/x"]
    assert tree.folders() == ["half", "sub", "sub/deeper", "sub/deeper/cache"]
    tree.unlink("keep", "half/keep")
    assert "allow_empty" in tree.fails_to(max_delete="100%", **rules)
    tree.sync(max_delete="100%", allow_empty=True, **rules)
    assert sorted(tree.files()) == ["excluded.tmp", "sub/deeper/cache/x"]


def test_include_and_prune(tree: Tree) -> None:
    """What is not included is no part of the tree, and neither are directories that are empty already."""
    for name in ("a.txt", "sub/b.txt", "sub/b.bin", "only/c.txt"):
        tree.put(name, b"1")
    tree.client.create_directory(tree.at("empty"))
    tree.write("here.txt", "here.bin")
    assert tree.sync(include=["*.txt"], **ALL) == {
        "here.txt": "created",
        **dict.fromkeys(["a.txt", "sub/b.txt", "only/c.txt", "only"], "deleted"),
    }
    assert sorted(tree.files()) == ["here.txt", "sub/b.bin"]
    assert tree.folders() == ["empty", "sub"]


def test_a_mount_point_is_never_pruned(mounted: Tree, tmp_path: pathlib.Path) -> None:
    tree = mounted
    tree.write("keep")
    tree.put("gone/x", b"1")
    told = tree.fails_to(**ALL)
    assert tree.at("m") + " is a mount point inside the tree" in told and "m/" in told
    assert tree.sync(exclude=["m/"], **ALL) == {"keep": "created", "gone": "deleted", "gone/x": "deleted"}
    tree.write("m/new", "m/sub/new")
    assert tree.sync(**ALL) == {"m/new": "created", "m/sub/new": "created"}
    tree.unlink("m/sub/new")
    assert tree.sync(**ALL) == {}
    tree.unlink("m/new", "keep")
    assert "is a mount point" in tree.fails_to(allow_empty=True, **ALL)
    names = sorted(str(p.relative_to(tmp_path / "store")) for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert names == ["f", "m/new"[2:], "sub/g", "sub/new"]


def test_a_tree_below_a_mount_point_is_pruned_like_any(mounted: Tree, tmp_path: pathlib.Path) -> None:
    tree = mounted
    tree.write("new")
    assert tree.sync(path=tree.at("m"), **ALL) == {
        "m/new": "created",
        **dict.fromkeys(["m/f", "m/sub/g", "m/sub"], "deleted"),
    }
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["new"]


def test_trees_in_one_another_do_not_prune_each_other(tree: Tree) -> None:
    tree.write("a/1", "b/2")
    tree.put("in/b/old", b"x")
    tree.put("in/old", b"x")
    both: list[Any] = [
        {"src": str(tree.top / "a"), "path": tree.at("in")},
        {"src": str(tree.top / "b"), "path": tree.at("in/b")},
    ]
    result = tree.contract(SyncResource, batch=both, **ALL)
    assert tree.actions(result) == dict.fromkeys(["in/1", "in/b/2"], "created") | dict.fromkeys(
        ["in/b/old", "in/old"], "deleted"
    )
    assert "declared twice" in tree.fails(SyncResource, batch=[{**both[0], "path": tree.at("in") + "/"}, both[0]])


def test_what_two_trees_prune_is_told_once(tree: Tree) -> None:
    tree.write("a/1", "b/2")
    tree.client.create_directory(tree.at("in/b/empty"))
    tree.put("in/b/old/x", b"x")
    both = [{"src": str(tree.top / "b"), "path": tree.at("in/b")}, {"src": str(tree.top / "a"), "path": tree.at("in")}]
    result = tree.contract(SyncResource, batch=both, **ALL)
    told = [r["path"] for r in result["resources"] if r["action"] == "deleted"]
    assert sorted(told) == [tree.at("in/b/" + name) for name in ("empty", "old", "old/x")]
    assert tree.files() == {"in/1": b"a/1", "in/b/2": b"b/2"}


def test_what_comes_into_a_directory_meanwhile_stays(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.write("keep")
    tree.put("gone/x", b"x")
    real = tree.client.delete

    def delete(path: str, **options: Any) -> None:
        real(path, **options)
        if path == tree.at("gone/x"):
            tree.put("gone/new", b"somebody's")

    monkeypatch.setattr(tree.client, "delete", delete)
    result = run_task(SyncResource, tree.server, **tree.args(ALL))
    assert [(f["code"], f["item"]) for f in result["failures"]] == [("FAILED_PRECONDITION", tree.at("gone"))]
    assert "run again" in result["msg"]
    assert sorted(tree.files()) == ["gone/new", "keep"]


def test_deletions_come_last(tree: Tree) -> None:
    for number in range(10):
        tree.put("old/%d" % number, b"x")
    tree.write("new", "bad")
    tree.server.fault(
        "status", path="/create-file", status=500, body='{"message": "no", "status": "INTERNAL"}', count=1
    )
    result = run_task(SyncResource, tree.server, **tree.args({"parallel": 1, **ALL}))
    assert result["failed"] is True
    assert len([f for f in result["failures"] if f["code"] == "not_begun"]) == 11
    assert len(tree.files()) == 11
    assert len(tree.sync(**ALL)) == 12
    assert tree.files() == tree.local()


@pytest.mark.parametrize(
    ("compare", "changed"), [("checksum", True), ("content", True), ("size", False), ("exists", False)]
)
def test_compare(tree: Tree, compare: str, changed: bool) -> None:
    tree.write(f=b"abc")
    tree.sync()
    tree.write(f=b"abd")
    assert bool(tree.sync(compare=compare)) is changed
    tree.write(f=b"abcd")
    assert bool(tree.sync(compare=compare)) is (compare != "exists")


def test_files_of_others_are_compared_once(tree: Tree) -> None:
    tree.write("a", "d/b", "d/c")
    for name in ("a", "d/b"):
        tree.put(name, name.encode())
    tree.put("d/c", b"???")
    result = tree.contract(SyncResource, **tree.args({}))
    assert tree.actions(result) == {"d/c": "updated"}
    since = tree.server.mark()
    assert tree.sync() == {}
    assert ("list-status" in tree.operations(since)) and bool(
        {"open-file", "download-file"} & set(tree.operations(since))
    ) is not tree.client.can("xattr")


def test_incomplete_files_and_what_dead_runs_left(tree: Tree) -> None:
    tree.write("a", "d/b", "d/c")
    tree.sync()
    tree.begin("d/.polystore-%s-00c0ffee" % mark(tree.at("d/b")))
    other = ".polystore-%s-00c0ffee" % mark(tree.at("else"))
    tree.put(other, b"another's")
    assert run_ok(SyncResource, tree.server, **tree.args({}))["changed"] is False
    assert [name for name in tree.files() if ".polystore-" in name] == [other]
    tree.client.delete(tree.at("a"))
    tree.begin("a")
    assert tree.sync(**ALL) == {"a": "updated"}
    assert tree.files() == tree.local()
    tree.begin("gone/.polystore-%s-00c0ffee" % mark(tree.at("gone/x")))
    tree.begin("gone/y")
    assert tree.sync(**ALL) == {"gone/y": "deleted", "gone": "deleted"}


def test_absent_deletes_what_the_files_stand_for(tree: Tree) -> None:
    tree.write("a", "b/c", "skipped")
    tree.sync()
    tree.put("own", b"stays")
    assert tree.sync(state="absent", exclude=["skipped"], prune=True) == {"a": "deleted", "b/c": "deleted"}
    assert sorted(tree.files()) == ["own", "skipped"]
    assert tree.sync(state="absent", path=tree.at("none")) == {}
    assert tree.sync(state="absent", path=tree.at("own")) == {}


def test_shards_share_the_work(tree: Tree) -> None:
    tree.write(*("d/f%d" % number for number in range(30)))
    tree.put("old/f", b"x")
    done: list[str] = []
    for index in range(3):
        done += tree.sync(shard={"index": index, "count": 3}, prune=True, max_delete=1)
    assert len(done) == len(set(done)) == 31
    assert tree.files() == tree.local()
    assert tree.sync(**ALL) == {"old": "deleted"}


def test_files_and_directories_in_each_others_place(tree: Tree) -> None:
    tree.write("f", "d/x")
    tree.put("d", b"a file")
    assert "%s is a file, where a directory of the tree belongs" % tree.at("d") in tree.fails_to(**ALL)
    tree.unlink("d/x")
    tree.put("f/inside", b"1")
    assert tree.at("f") + " is a directory" in tree.fails_to(**ALL)
    tree.unlink("f")
    tree.write("x")
    assert tree.at("d") + " is a file" in tree.fails_to(path=tree.at("d"))
    assert run_task(SyncResource, tree.server, **tree.args({"path": tree.at("d/e")}))["failed"] is True
    assert tree.files() == {"d": b"a file", "f/inside": b"1"}


def test_what_was_changed_behind(tree: Tree) -> None:
    tree.write("a", "b")
    tree.sync(sync_metadata=True)
    behind = pathlib.Path(tree.server.ufs) / tree.path.lstrip("/")
    (behind / "a").write_bytes(b"other and longer")
    (behind / "c").write_bytes(b"new")
    os.unlink(behind / "b")
    result = run_ok(SyncResource, tree.server, **tree.args({"sync_metadata": True, **ALL}))
    assert tree.actions(result) == {"a": "updated", "b": "created", "c": "deleted"}
    assert {p.name: p.read_bytes() for p in behind.iterdir()} == tree.local()


def test_wrong_options(tree: Tree, tmp_path: pathlib.Path) -> None:
    tree.write("f")
    (tree.top / "link").symlink_to("f")
    assert "symbolic link" in tree.fails_to()
    assert "exist" in tree.fails_to(src=str(tmp_path / "none"))
    assert "path" in tree.fails_to(path="relative")
    assert "max_delete" in tree.fails_to(prune=True, max_delete="many")
    assert sorted(tree.sync(follow=True)) == ["f", "link"]
    tree.write("what?")
    assert "what?" in tree.fails_to(follow=True)
    if not tree.client.can("xattr"):
        assert "xattr" in tree.fails_to(xattr={"a": "b"}, path=tree.at("new"), include=["f"], exclude=["link"])
