# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fdfs_sync against the newest FastDFS and one whose checksums are others."""

from __future__ import annotations

import io
import json
import os
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId, Manifest, crc32
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ALL: dict[str, Any] = {"prune": True, "max_delete": "100%"}


class Tree:
    """A local directory, and a manifest beside it."""

    def __init__(self, server: Any, home: pathlib.Path) -> None:
        self.server, self.top, self.path = server, home / "tree", home / "files.json"
        self.top.mkdir()
        self.client = client_for(CONNECTION, server.connection(), 8, {})
        self.legacy = server.version < "5.12"

    # --- what is there

    def write(self, *names: str, **files: bytes) -> None:
        """Local files: by name (their content is their name), and name=content."""
        for name, data in {**{n: n.encode() for n in names}, **files}.items():
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def unlink(self, *names: str) -> None:
        for name in names:
            (self.top / name).unlink()

    def local(self, prefix: str = "") -> dict[str, bytes]:
        return {prefix + str(p.relative_to(self.top)): p.read_bytes() for p in self.top.rglob("*") if p.is_file()}

    def ids(self) -> dict[str, str]:
        """Names and ids, as the manifest has them."""
        manifest = Manifest.load(str(self.path))
        assert (manifest.leftovers(), manifest.doubts) == ([], [])
        return {name: entry["id"] for name, entry in manifest.entries.items()}

    def contents(self) -> dict[str, bytes]:
        return {name: self.client.read(text) for name, text in self.ids().items()}

    def there(self, text: str) -> bool:
        return self.client.info(text, crc32=False) is not None

    def add(self, name: str, file: FileId | str) -> None:
        """An entry that somebody else has made."""
        known = {one: {"id": text} for one, text in self.ids().items()}
        self.path.write_text(json.dumps({"schema": 1, "files": {**known, name: {"id": str(file)}}}))
        pathlib.Path(str(self.path) + ".journal").unlink(missing_ok=True)

    # --- tasks

    def run(self, **more: Any) -> dict[str, Any]:
        return run_ok(
            SyncResource, self.server, diff=True, **{"src": str(self.top), "manifest": str(self.path), **more}
        )

    def sync(self, **more: Any) -> dict[str, str]:
        """The contract of a state module; what was done, by name."""
        mark = self.server.mark()
        check = self.run(check=True, **more)
        assert self.server.writes(mark) == []
        done = self.run(**more)
        assert (check["changed"], check["diff"]) == (done["changed"], done["diff"])
        mark, before = self.server.mark(), self.path.read_bytes() if self.path.exists() else None
        again = self.run(**more)
        assert (again["changed"], self.server.writes(mark)) == (False, [])
        assert before == (self.path.read_bytes() if self.path.exists() else None)
        return {row["name"]: row["action"] for row in done["resources"] if row["action"] != "unchanged"}

    def fails_to(self, **more: Any) -> str:
        """The message of a run that fails before it writes; check mode says the same."""
        mark, given = self.server.mark(), {"src": str(self.top), "manifest": str(self.path), "parallel": 1, **more}
        check, result = (run_task(SyncResource, self.server, mode, **given) for mode in (True, False))
        assert result.get("failed") and check["msg"] == result["msg"]
        assert "This is a fault in" not in result["msg"], result["exception"]
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return str(result["msg"])

    def asked(self, mark: int) -> list[str]:
        return [entry["method"] for entry in self.server.requests(mark)]


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def tree(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Tree:
    return Tree(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def newest(fdfs_server: Any, tmp_path: pathlib.Path) -> Tree:
    return Tree(fdfs_server, tmp_path)


def test_a_tree(tree: Tree) -> None:
    tree.write("index.html", "a b/q#x%41;&=", "deep/er/ünd/deeper.bin", empty=b"", large=bytes(range(256)) * 9000)
    assert set(tree.sync().values()) == {"created"}
    assert tree.contents() == tree.local()
    before = tree.ids()
    assert [before[n].rpartition(".")[2] for n in ("index.html", "deep/er/ünd/deeper.bin")] == ["html", "bin"]
    tree.write(**{"index.html": b"INDEX.html", "deep/er/new": b"1"})
    assert tree.sync() == {"index.html": "updated", "deep/er/new": "created"}
    assert tree.contents() == tree.local()
    after = tree.ids()
    assert after["large"] == before["large"] and not tree.there(before["index.html"])


def test_what_is_told(tree: Tree) -> None:
    tree.write("a.txt")
    check, done = tree.run(check=True), tree.run()
    assert check["resources"] == [
        {"name": "a.txt", "manifest": str(tree.path), "action": "created", "size": 5, "crc32": "%08x" % crc32(b"a.txt")}
    ]
    (row,) = done["resources"]
    assert row["file_id"] == tree.ids()["a.txt"] and row["file_id"].startswith(row["file_group"] + "/M00/")
    assert row["crc32"] == "%08x" % crc32(b"a.txt", tree.legacy) and done["diff"][0]["after"]["size"] == 5
    assert "resource" not in done and done["summary"]["created"] == 1
    (again,) = tree.run()["resources"]
    assert again == {**row, "action": "unchanged"}


def test_unchanged_is_one_query_a_file_or_none(newest: Tree) -> None:
    newest.write(*("d%d/f%d" % (number % 7, number) for number in range(150)))
    result = newest.run()
    assert (result["summary"]["created"], len(result["resources"])) == (150, 150)
    mark = newest.server.mark()
    again = newest.run()
    assert (again["changed"], again["resources"]) == (False, [])
    asked = newest.asked(mark)
    assert asked.count("query_file_info") == 150 and len(asked) <= 150 + 2 * 8
    mark = newest.server.mark()
    assert newest.run(verify=False)["summary"]["unchanged"] == 150
    assert newest.asked(mark) == []


def test_what_others_have_deleted(tree: Tree) -> None:
    tree.write("a", "b")
    tree.sync()
    before = tree.ids()
    tree.client.delete(before["a"])
    assert tree.run(verify=False)["changed"] is False
    assert tree.sync() == {"a": "created"}
    assert tree.contents() == tree.local() and tree.ids()["b"] == before["b"]
    tree.client.delete(tree.ids()["a"])
    tree.write(a=b"other")
    assert tree.sync(verify=False) == {"a": "updated"}
    assert tree.contents() == tree.local()


def test_compare(tree: Tree) -> None:
    tree.write("a", "b")
    tree.sync()
    tree.write(a=b"A", b=b"longer")
    assert tree.sync(compare="exists") == {}
    assert tree.sync(compare="size") == {"b": "updated"}
    assert tree.sync() == {"a": "updated"}
    assert tree.contents() == tree.local()


def test_prefixes(tree: Tree) -> None:
    tree.write("a", "b/c")
    tree.sync(prefix="in")
    tree.sync(prefix="other/place/")
    wanted = {**tree.local("in/"), **tree.local("other/place/")}
    assert tree.contents() == wanted
    tree.unlink("a")
    assert tree.sync(prefix="in/", **ALL) == {"in/a": "deleted"}
    wanted.pop("in/a")
    assert tree.contents() == wanted


def test_prune(tree: Tree) -> None:
    tree.write("keep", "gone", "sub/gone", "sub/deeper/gone", "half/gone", "half/keep")
    tree.sync()
    for name in ("excluded.tmp", "sub/deeper/cache/x", "alone/cache/there/x", "alone/gone"):
        tree.add(name, tree.client.upload(lambda: io.BytesIO(b"1"), 1))
    before = tree.ids()
    tree.unlink("gone", "sub/gone", "sub/deeper/gone", "half/gone")
    tree.write(new=b"1")
    rules: dict[str, Any] = {"prune": True, "exclude": ["*.tmp", "cache"]}
    told = tree.fails_to(**rules)
    assert "would remove 5 of 7" in told and "max_delete" in told
    gone = dict.fromkeys(["gone", "sub/gone", "sub/deeper/gone", "half/gone", "alone/gone"], "deleted")
    assert tree.sync(max_delete=5, **rules) == {**gone, "new": "created"}
    kept = {"alone/cache/there/x", "excluded.tmp", "sub/deeper/cache/x"}
    assert set(tree.ids()) == kept | {"half/keep", "keep", "new"}
    assert {name for name in before if not tree.there(before[name])} == set(gone)
    tree.unlink("keep", "half/keep", "new")
    assert "allow_empty" in tree.fails_to(max_delete="100%", **rules)
    tree.sync(max_delete="100%", allow_empty=True, **rules)
    assert set(tree.ids()) == kept


def test_include_and_prune(newest: Tree) -> None:
    """What is not included is no part of the tree."""
    newest.write("a.txt", "sub/b.txt", "sub/b.bin")
    newest.sync()
    newest.unlink("a.txt", "sub/b.txt", "sub/b.bin")
    newest.write("c.txt", "c.bin")
    done = newest.sync(include=["*.txt"], **ALL)
    assert done == {"a.txt": "deleted", "sub/b.txt": "deleted", "c.txt": "created"}
    assert set(newest.ids()) == {"c.txt", "sub/b.bin"}


def test_shards(newest: Tree) -> None:
    newest.write(*("old%02d" % number for number in range(20)))
    newest.sync()
    newest.unlink(*("old%02d" % number for number in range(20)))
    newest.write(*("f%02d" % number for number in range(20)))
    done = [newest.sync(shard={"index": index, "count": 3}, **ALL) for index in range(3)]
    assert all(done) and sum(map(len, done)) == 40
    assert newest.contents() == newest.local()


def test_absent(tree: Tree) -> None:
    tree.write("a", "sub/b")
    tree.sync()
    tree.add("own", tree.client.upload(lambda: io.BytesIO(b"1"), 1))
    before = tree.ids()
    tree.client.delete(before["a"])
    assert tree.sync(state="absent") == {"sub/b": "deleted"}
    assert set(tree.ids()) == {"own"} and not tree.there(before["sub/b"])


def test_file_group(tree: Tree) -> None:
    tree.write("a", "b")
    tree.sync(file_group="group2")
    assert {text.split("/")[0] for text in tree.ids().values()} == {"group2"}
    before = tree.ids()
    assert tree.sync() == {} and tree.ids() == before
    assert tree.sync(file_group="group1") == {"a": "updated", "b": "updated"}
    assert {text.split("/")[0] for text in tree.ids().values()} == {"group1"}
    assert tree.contents() == tree.local() and not any(map(tree.there, before.values()))
    given = {"src": str(tree.top), "manifest": str(tree.path), "file_group": "group9"}
    assert "group9" in run_task(SyncResource, tree.server, **given)["msg"]
    assert tree.contents() == tree.local()


def test_metadata(tree: Tree) -> None:
    tree.write("a", "b")
    tree.sync()
    tree.client.set_metadata(tree.ids()["a"], {"own": "1", "team": "cats"})
    assert tree.sync(metadata={"team": "birds"}) == {"a": "updated", "b": "updated"}
    found = {name: tree.client.get_metadata(text) for name, text in tree.ids().items()}
    assert found == {"a": {"own": "1", "team": "birds"}, "b": {"team": "birds"}}
    tree.write(a=b"new content")
    before = tree.ids()
    assert tree.sync() == {"a": "updated"}
    assert tree.ids()["a"] != before["a"] and tree.ids()["b"] == before["b"]
    assert tree.client.get_metadata(tree.ids()["a"]) == {"own": "1", "team": "birds"}
    assert tree.sync(metadata={"team": None, "n": 5, "yes": True}) == {"a": "updated", "b": "updated"}
    assert tree.client.get_metadata(tree.ids()["a"]) == {"own": "1", "n": "5", "yes": "true"}
    mark = tree.server.mark()
    assert tree.run(metadata={"n": 5}, verify=False)["changed"] is False
    assert tree.asked(mark) == []


def test_appenders_and_slaves_are_left_alone(tree: Tree) -> None:
    tree.write("a.txt")
    tree.sync()
    log = tree.client.upload(lambda: io.BytesIO(b"1"), 1, appender=True)
    thumb = tree.client.upload_slave(tree.ids()["a.txt"], "_small", lambda: io.BytesIO(b"2"), 1)
    tree.add("log", log)
    tree.add("thumb", thumb)
    assert tree.sync(**ALL) == {}
    assert set(tree.ids()) == {"a.txt", "log", "thumb"}
    tree.write("log")
    told = tree.fails_to()
    assert "log" in told and "is an appender or a slave in the manifest" in told and "fdfs_file" in told
    assert tree.sync(exclude=["log"]) == {}


def test_two_trees_and_two_manifests(newest: Tree, tmp_path: pathlib.Path) -> None:
    newest.write("a", "b")
    other = str(tmp_path / "other.json")
    rows: list[dict[str, Any]] = [{"prefix": "x"}, {"prefix": "y", "compare": "size"}, {"manifest": other}]
    done = newest.run(batch=rows)
    assert done["summary"]["created"] == 6
    assert newest.run(batch=rows)["changed"] is False
    assert set(newest.ids()) == {"x/a", "x/b", "y/a", "y/b"}
    assert set(Manifest.load(other).entries) == {"a", "b"}
    told = newest.fails_to(batch=[{"prefix": "x"}, {"prefix": "x/"}])
    assert "declared twice" in told


def test_one_that_fails_does_not_stop_the_others(tree: Tree) -> None:
    tree.write("a", "b.bad", "c")
    tree.server.fault("status", method="upload", path=".bad", count=None, status=28)
    result = run_task(SyncResource, tree.server, src=str(tree.top), manifest=str(tree.path), retries=0)
    assert result["failed"] and result["changed"] and result["summary"]["failed"] == 1
    (failure,) = result["failures"]
    assert (failure["item"], failure["code"]) == ("b.bad", 28) and "reserved_storage_space" in failure["hint"]
    assert set(tree.ids()) == {"a", "c"}
    tree.server.clear_faults()
    assert tree.sync() == {"b.bad": "created"}


def test_a_deletion_that_fails_is_tried_again(newest: Tree) -> None:
    """The new file is recorded; the old one is a leftover, which the next run deletes."""
    newest.write("a")
    newest.run()
    old = newest.ids()["a"]
    newest.write(a=b"new")
    newest.server.fault("status", method="delete", count=None, status=5)
    result = newest.run(retries=0)
    assert result["changed"] and old in result["warnings"][0] and newest.there(old)
    assert newest.client.read(Manifest.load(str(newest.path)).entries["a"]["id"]) == b"new"
    newest.server.clear_faults()
    assert newest.run()["changed"] is False
    assert not newest.there(old) and newest.contents() == newest.local()


def test_a_damaged_manifest_is_never_overwritten(newest: Tree) -> None:
    newest.write("a")
    newest.run()
    text = newest.path.read_text()[:-4]
    newest.path.write_text(text)
    told = newest.fails_to()
    assert "is damaged" in told and "fdfs_info" in told and newest.path.read_text() == text
    newest.path.unlink()
    told = newest.fails_to()
    assert "is gone" in told and not newest.path.exists()


def test_damage_on_a_storage_is_mended(newest: Tree) -> None:
    """A file that is shorter there than its id tells is stored anew."""
    newest.write("a")
    newest.run()
    for path in newest.server.copies(newest.ids()["a"]):
        path.write_bytes(b"")
    assert newest.run(verify=False)["changed"] is False
    assert newest.sync() == {"a": "updated"}
    assert newest.contents() == newest.local()


def test_a_file_that_changes_while_it_is_sent(newest: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    newest.write(a=os.urandom(300_000))
    ask, asked = newest.client._store_order, []

    def meanwhile(*what: Any, **more: Any) -> Any:
        if not asked:
            with (newest.top / "a").open("ab") as file:
                file.write(b"more")
        asked.append(what)
        return ask(*what, **more)

    monkeypatch.setattr(newest.client, "_store_order", meanwhile)
    result = run_task(SyncResource, newest.server, src=str(newest.top), manifest=str(newest.path))
    assert result["failed"] and "changed while it was read" in result["msg"] and asked and newest.ids() == {}
    assert newest.sync() == {"a": "created"} and newest.contents() == newest.local()
