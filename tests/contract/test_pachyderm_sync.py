# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync against the newest pachd and one whose hashes are others."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.pachyderm_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ALL: dict[str, Any] = {"prune": True, "max_delete": "100%"}


class Tree(Shelf):
    """A local directory, and a repo."""

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

    def local(self, base: str = "/") -> dict[str, bytes]:
        return {base + str(p.relative_to(self.top)): p.read_bytes() for p in self.top.rglob("*") if p.is_file()}

    def sync(self, **more: Any) -> dict[str, str]:
        """The contract of a state module; what was done, by path."""
        result = self.once(SyncResource, **{"src": str(self.top), **more})
        return {row["path"]: row["action"] for row in result["resources"] if row["action"] != "unchanged"}

    def fails_to(self, **more: Any) -> str:
        return str(self.fails(SyncResource, **{"src": str(self.top), **more})["msg"])


@pytest.fixture(params=["pachd_server", "pachd_v20_server"])
def tree(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Tree]:
    found = Tree(request.getfixturevalue(request.param), tmp_path / "tree")
    yield found
    found.end()


@pytest.fixture
def newest(pachd_server: Any, tmp_path: pathlib.Path) -> Iterator[Tree]:
    found = Tree(pachd_server, tmp_path / "tree")
    yield found
    found.end()


def test_a_tree(tree: Tree) -> None:
    tree.write("index.html", "a b/q#x%41;&=", "deep/er/and/deeper.bin", empty=b"", large=bytes(range(256)) * 9000)
    mark = tree.server.mark()
    assert set(tree.sync().values()) == {"created"}
    assert tree.written(mark) == ["ModifyFile"]
    assert tree.contents() == tree.local()
    tree.write(**{"index.html": b"INDEX.html", "deep/er/new": b"1"})
    assert tree.sync() == {"/index.html": "updated", "/deep/er/new": "created"}
    assert tree.contents() == tree.local()
    assert len(tree.commits()) == 2


def test_unchanged_is_one_walk(newest: Tree) -> None:
    newest.write(*("d%d/f%d" % (number % 7, number) for number in range(150)))
    newest.put({"/beside/%d" % number: b"not of the tree" for number in range(9)})
    args = {"src": str(newest.top), "path": "/in", "repo": newest.repo}
    result = run_ok(SyncResource, newest.server, **args)
    assert (result["summary"]["created"], len(result["resources"])) == (150, 150)
    assert "resource" not in result
    mark = newest.server.mark()
    again = run_ok(SyncResource, newest.server, **args)
    assert (again["changed"], again["resources"]) == (False, [])
    assert newest.asked(mark) == ["InspectBranch", "InspectCommit", "WalkFile"]


def test_below_a_path_on_a_branch(tree: Tree) -> None:
    tree.write("a", "b/c")
    tree.put({"/in/own": b"1", "/own": b"1"}, "other")
    assert tree.sync(branch="other", path="in/", description="why") == {"/in/a": "created", "/in/b/c": "created"}
    assert tree.contents("other") == {**tree.local("/in/"), "/in/own": b"1", "/own": b"1"}
    assert tree.head("other").description == "why"
    assert tree.sync(branch="other", path="/in", description="pruned", **ALL) == {"/in/own": "deleted"}
    assert tree.names("other") == ["/in/a", "/in/b/c", "/own"]


def test_prune(tree: Tree) -> None:
    tree.write("keep", "gone", "sub/gone", "sub/deeper/gone", "half/gone", "half/keep")
    tree.sync()
    tree.put({"/excluded.tmp": b"1", "/sub/deeper/cache/x": b"1", "/alone/cache/there/x": b"1", "/alone/gone": b"1"})
    tree.unlink("gone", "sub/gone", "sub/deeper/gone", "half/gone")
    tree.write(new=b"1")
    rules: dict[str, Any] = {"prune": True, "exclude": ["*.tmp", "cache"]}
    told = tree.fails_to(**rules)
    assert "would remove 5 of 7" in told and "max_delete" in told
    mark = tree.server.mark()
    gone = dict.fromkeys(["/gone", "/sub/gone", "/sub/deeper/gone", "/half/gone", "/alone/gone"], "deleted")
    assert tree.sync(max_delete=5, **rules) == {**gone, "/new": "created"}
    assert tree.written(mark) == ["ModifyFile"]
    kept = ["/alone/cache/there/x", "/excluded.tmp", "/sub/deeper/cache/x"]
    assert tree.names() == sorted([*kept, "/half/keep", "/keep", "/new"])
    tree.unlink("keep", "half/keep", "new")
    assert "allow_empty" in tree.fails_to(max_delete="100%", **rules)
    tree.sync(max_delete="100%", allow_empty=True, **rules)
    assert tree.names() == kept


def test_include_and_prune(tree: Tree) -> None:
    """What is not included is no part of the tree."""
    tree.put({"/a.txt": b"1", "/sub/b.txt": b"1", "/sub/b.bin": b"1"})
    tree.write("c.txt", "c.bin")
    assert tree.sync(include=["*.txt"], **ALL) == {"/a.txt": "deleted", "/sub/b.txt": "deleted", "/c.txt": "created"}
    assert tree.names() == ["/c.txt", "/sub/b.bin"]


def test_shards(newest: Tree) -> None:
    newest.write(*("f%02d" % number for number in range(20)))
    newest.put({"/old%02d" % number: b"1" for number in range(20)})
    done = [newest.sync(shard={"index": index, "count": 3}, **ALL) for index in range(3)]
    assert all(done) and sum(map(len, done)) == 40
    assert newest.contents() == newest.local()


def test_absent(tree: Tree) -> None:
    tree.write("a", "sub/b", "never")
    tree.put({"/a": b"else", "/sub/b": b"1", "/sub/own": b"1"})
    assert tree.sync(state="absent") == {"/a": "deleted", "/sub/b": "deleted"}
    assert tree.names() == ["/sub/own"]


def test_files_and_directories_change_places(tree: Tree) -> None:
    tree.write("was_file/x", "was_tree")
    tree.put({"/was_file": b"1", "/was_tree/a": b"1", "/was_tree/b/c": b"1"})
    assert "/was_file is a file" in tree.fails_to(include=["was_file/"])
    assert "/was_tree is a directory" in tree.fails_to(include=["was_tree"])
    assert "/was_tree is a directory" in tree.fails_to(exclude=["was_tree/b"], include=["was_tree", "was_tree/"], **ALL)
    mark = tree.server.mark()
    assert tree.sync(**ALL) == {
        **dict.fromkeys(("/was_file", "/was_tree/a", "/was_tree/b/c"), "deleted"),
        **dict.fromkeys(("/was_file/x", "/was_tree"), "created"),
    }
    assert tree.written(mark) == ["ModifyFile"]
    assert tree.contents() == tree.local()


def test_a_file_above_the_tree(tree: Tree) -> None:
    tree.put({"/f": b"1"})
    tree.write("x")
    for path in ("/f", "/f/in", "/f/in/deep"):
        assert "/f is a file" in tree.fails_to(path=path)


def test_several_trees_are_one_commit(newest: Tree) -> None:
    newest.write("a/1", "a/2", "b/1", "c")
    batch = [{"src": str(newest.top / name), "path": "/in/" + name} for name in "ab"]
    mark = newest.server.mark()
    done = newest.once(SyncResource, batch=batch)
    assert newest.written(mark) == ["ModifyFile"]
    assert done["summary"]["created"] == 3
    assert newest.names() == ["/in/a/1", "/in/a/2", "/in/b/1"]
    clash = [{"src": str(newest.top), "path": "/"}, {"src": str(newest.top / "a"), "path": "/c"}]
    told = newest.fails(SyncResource, batch=clash)["msg"]
    assert "/c is a file of one tree" in told
    inner = [{"src": str(newest.top), "path": "/in", **ALL}, batch[1]]
    newest.once(SyncResource, batch=inner[:1])
    assert newest.names() == ["/in/a/1", "/in/a/2", "/in/b/1", "/in/c"]


def test_a_bad_head_is_mended(tree: Tree) -> None:
    tree.write("f", "d/x")
    tree.sync()
    assert tree.put({"/d": b"1"}).error
    mark = tree.server.mark()
    assert set(tree.sync().values()) == {"updated"}
    assert tree.written(mark) == ["ModifyFile"]
    assert tree.contents() == tree.local()


@pytest.mark.parametrize("name", ["a*", "ü", "a\nb", "a\\b", "x/a@b"])
def test_names_that_cannot_be_sent(newest: Tree, name: str) -> None:
    newest.write("ok", name)
    assert "Rename it, or exclude it" in newest.fails_to()
    newest.sync(exclude=["[ax]*", "ü", "x/"])
    assert newest.names() == ["/ok"]


def test_links(newest: Tree) -> None:
    newest.write("a")
    os.symlink("a", newest.top / "link")
    assert "symbolic link" in newest.fails_to()
    assert newest.sync(follow=True) == {"/a": "created", "/link": "created"}


def test_what_is_refused(tree: Tree) -> None:
    tree.write("a")
    assert "does not exist" in tree.fails_to(src="/no/such/directory")
    assert "There is no repo" in tree.fails_to(repo="no-such-repo")
    assert "path:" in tree.fails_to(path="/a*")
    assert tree.follow() and "the output of a pipeline" in tree.fails_to(repo=tree.repo + "-out")
    commit = tree.start()
    assert "is open" in tree.fails_to()
    tree.call("FinishCommit", commit=commit)
    tree.sync()


def test_a_failure_names_every_file(tree: Tree) -> None:
    tree.write("a", "b")
    tree.server.refuse_writes("no luck")
    result = run_task(SyncResource, tree.server, src=str(tree.top), repo=tree.repo)
    tree.server.clear_faults()
    assert [row["item"].rsplit(":")[-1] for row in result["failures"]] == ["/a", "/b"]
    assert (result["changed"], tree.commits()) == (False, [])


@pytest.mark.parametrize(("how", "seen"), [("checksum", True), ("content", True), ("size", False), ("exists", False)])
def test_compare(tree: Tree, how: str, seen: bool) -> None:
    tree.write("a", "b")
    tree.put({"/a": b"x", "/b": b"b"})
    assert tree.sync(compare=how) == ({"/a": "updated"} if seen else {})
