# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_download against the newest pachd and one whose hashes are others, calls counted in its own log."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import path, reference
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.download import PachydermDownload
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.hashes import ContentHash
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
PART = 1 << 20


def digest(content: bytes) -> str:
    """The server's hash of a content."""
    found = ContentHash()
    found.update(content)
    return found.hexdigest()


class Shelf:
    """A repo of its own, filled through the client."""

    def __init__(self, server: Any) -> None:
        self.server, self.repo = server, server.new_name()
        self.client = client_for(common.CONNECTION, server.connection(), 8, {})
        self.hashes = self.client.can("hash")
        repo = self.client.repo("default", self.repo)
        self.call("pfs_v2.API/CreateRepo", "pfs_v2.CreateRepoRequest", repo=repo)

    def call(self, method: str, request: str, **fields: Any) -> Any:
        return self.client.call(method, self.client.message(request, **fields))

    def put(self, files: dict[str, bytes], branch: str = "master") -> str:
        """One commit with these files, the old ones replaced. Returns its id."""

        def messages() -> Iterator[Any]:
            for name, content in files.items():
                yield self.client.message("pfs_v2.ModifyFileRequest", delete_file={"path": "/" + name})
                for start in range(0, len(content) or 1, PART):
                    part = {"path": "/" + name, "raw": {"value": content[start : start + PART]}}
                    yield self.client.message("pfs_v2.ModifyFileRequest", add_file=part)

        self.client.modify(self.client.branch("default", self.repo, branch), messages())
        commit = self.client.commit("default", self.repo, branch)
        return str(self.client.finished(commit, 60).commit.id)

    def begin(self, branch: str = "master") -> Any:
        """Opens a commit; returns what finishes it."""
        target = self.client.branch("default", self.repo, branch)
        commit = self.call("pfs_v2.API/StartCommit", "pfs_v2.StartCommitRequest", branch=target)
        mine = self.client.commit("default", self.repo, branch, commit.id)
        return lambda: self.call("pfs_v2.API/FinishCommit", "pfs_v2.FinishCommitRequest", commit=mine)

    def asked(self, mark: Any) -> list[str]:
        """The calls since then, without that for the version."""
        calls = [entry["method"].rsplit("/", 1)[-1] for entry in self.server.requests(mark)]
        return [call for call in calls if call != "GetVersion"]

    def download(self, ok: bool = True, **options: Any) -> dict[str, Any]:
        options = {"repo": self.repo, **options}
        return (run_ok if ok else run_task)(PachydermDownload, self.server, **options)

    def end(self) -> None:
        self.server.clear_faults()
        repo = self.client.repo("default", self.repo)
        self.call("pfs_v2.API/DeleteRepo", "pfs_v2.DeleteRepoRequest", repo=repo, force=True)


@pytest.fixture(params=["pachd_server", "pachd_v20_server"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    found = Shelf(request.getfixturevalue(request.param))
    yield found
    found.end()


def files(place: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def contract(shelf: Shelf, wanted: dict[str, bytes], place: pathlib.Path, **options: Any) -> dict[str, Any]:
    """Check mode, the run, the run again: each as the contract of a state module says. Returns the run's result."""
    before = files(place)
    mark = shelf.server.mark()
    foretold = shelf.download(check=True, diff=True, **options)
    assert files(place) == before
    done = shelf.download(diff=True, **options)
    assert files(place) == wanted
    assert foretold["changed"] and done["changed"] and foretold["diff"] == done["diff"]
    assert foretold["resources"] == done["resources"]
    again = shelf.download(diff=True, **options)
    assert not again["changed"] and again["diff"] == []
    assert shelf.server.writes(mark) == []
    return done


def test_a_file(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    commit = shelf.put({"dir/my bird #1 50% &;,'~.txt": b"tweet", "empty": b""})
    dest = tmp_path / "sub" / "bird"
    options = {"path": "dir//my bird #1 50% &;,'~.txt", "dest": str(dest)}
    done = contract(shelf, {"sub/bird": b"tweet"}, tmp_path, **options)
    assert done["resource"].get("digest") == (digest(b"tweet") if shelf.hashes else None)
    assert done["resource"]["source"] == "default/%s@%s:/dir/my bird #1 50%% &;,'~.txt" % (shelf.repo, commit)
    mark = shelf.server.mark()
    again = shelf.download(**options)
    assert shelf.asked(mark) == ["InspectCommit", "WalkFile"] + ([] if shelf.hashes else ["GetFile"])
    assert again["summary"]["bytes_received"] < 5000 and again["summary"]["writes"] == 0
    into = tmp_path / "into"
    into.mkdir()
    shelf.download(path="/empty", dest=str(into))
    shelf.download(path="/empty", dest=str(into))
    assert files(into) == {"empty": b""}


def test_a_tree(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    wanted = {"plain": b"p" * 5000, "empty": b"", "a/b/c/deep": os.urandom(1_300_000), "ab": b"another"}
    shelf.put({**{"t/" + name: content for name, content in wanted.items()}, "tea": b"not below t"})
    dest = tmp_path / "x"
    done = contract(shelf, wanted, dest, path="/t/", dest=str(dest))
    assert done["summary"]["created"] == len(wanted)
    for name in wanted:
        if wanted[name]:
            changed = bytearray(wanted[name])
            changed[-1] ^= 1
            (dest / name).write_bytes(changed)
    mark = shelf.server.mark()
    assert shelf.download(path="/t", dest=str(dest))["summary"]["updated"] == len(wanted) - 1
    assert shelf.asked(mark)[:2] == ["InspectCommit", "WalkFile"] and shelf.asked(mark).count("WalkFile") == 1
    assert files(dest) == wanted
    whole = tmp_path / "whole"
    shelf.download(dest=str(whole))
    assert files(whole) == {**{"t/" + name: content for name, content in wanted.items()}, "tea": b"not below t"}


def test_prune_with_brakes(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    shelf.put({"t/%d" % number: b"x" for number in range(5)})
    options: dict[str, Any] = {"path": "/t", "dest": str(tmp_path), "prune": True}
    shelf.download(**options)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "old").write_bytes(b"old")
    refused = shelf.download(ok=False, **options)
    assert refused["failed"] and "max_delete 10%" in refused["msg"]
    contract(shelf, {str(n): b"x" for n in range(5)}, tmp_path, max_delete="50%", **options)
    assert not (tmp_path / "sub").exists()
    refused = shelf.download(ok=False, **{**options, "path": "/t/1"})
    assert refused["failed"] and "prune: is for trees" in refused["msg"]
    refused = shelf.download(ok=False, **{**options, "branch": "void", "path": "/"})
    assert refused["failed"] and files(tmp_path) == {str(n): b"x" for n in range(5)}


def test_commits_by_id_and_ancestry(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    ids = [shelf.put({"f": b"%d" % number}) for number in range(4)]
    shelf.put({"f": b"other"}, branch="side")
    dest = tmp_path / "f"
    named = {
        "master": b"3",
        "master^": b"2",
        "master^2": b"1",
        "master~3": b"0",
        "master^^": b"1",
        "side": b"other",
        ids[1]: b"1",
        ids[3] + "^": b"2",
        ids[3] + "~2": b"1",
    }
    for commit, content in named.items():
        shelf.download(commit=commit, path="/f", dest=str(dest))
        assert dest.read_bytes() == content, commit
    shelf.download(branch="side", path="/f", dest=str(dest))
    assert dest.read_bytes() == b"other"
    shelf.download(branch="master", commit="^2", path="/f", dest=str(dest))
    assert dest.read_bytes() == b"1"
    mark = shelf.server.mark()
    batch = [{"path": "/f", "dest": str(tmp_path / ("%d" % n))} for n in range(3)]
    shelf.download(batch=batch)
    assert shelf.asked(mark).count("InspectCommit") == 1


@pytest.mark.parametrize("commit", ["master^9", "0" * 32, "nowhere", "1234567"])
def test_commits_that_are_not_there(shelf: Shelf, tmp_path: pathlib.Path, commit: str) -> None:
    shelf.put({"f": b"x"})
    result = shelf.download(ok=False, commit=commit, path="/f", dest=str(tmp_path / "f"))
    assert result["failed"] and commit.partition("^")[0] in result["msg"] and files(tmp_path) == {}
    assert "This is a fault" not in result["msg"]


def test_what_is_not_there(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    shelf.put({"file": b"x"})
    for name in ("/none", "/file/below"):
        result = shelf.download(ok=False, path=name, dest=str(tmp_path / "x"))
        assert result["failed"] and "There is no file or directory %s in that commit" % name in result["msg"]
    result = shelf.download(ok=False, repo=shelf.repo + "-none", dest=str(tmp_path / "x"))
    assert result["failed"] and "There is no commit default/%s-none@master" % shelf.repo in result["msg"]
    mark = shelf.server.mark()
    wrong = [{"path": p} for p in ("/a*", "/a\\b", "/../x", "/\u00fc", "/a\n")]
    wrong += [{"commit": c} for c in ("master^x", "a.b", "")] + [{"branch": "a b"}, {"repo": "a.b"}]
    for options in wrong:
        result = shelf.download(ok=False, **{"dest": str(tmp_path / "x"), **options})
        assert result["failed"] and next(iter(options)) + ": " in result["msg"], options
    assert shelf.server.requests(mark) == [] and files(tmp_path) == {}


def test_an_open_commit_is_an_error_or_waited_for(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    shelf.put({"f": b"1"})
    end = shelf.begin()
    dest = tmp_path / "f"
    result = shelf.download(ok=False, path="/f", dest=str(dest))
    assert result["failed"] and "is open" in result["msg"] and 'commit: "master^"' in result["msg"]
    shelf.download(commit="master^", path="/f", dest=str(dest))
    assert dest.read_bytes() == b"1"
    result = shelf.download(ok=False, path="/f", dest=str(dest), wait=True, wait_timeout=1)
    assert result["failed"] and "This is a fault" not in result["msg"]
    timer = threading.Timer(0.5, end)
    timer.start()
    shelf.download(path="/f", dest=str(dest), wait=True)
    timer.join()


def test_a_commit_that_has_failed(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    shelf.put({"f": b"1"})
    with pytest.raises(Exception, match="failed"):
        shelf.put({"d": b"1", "d/x": b"2"})
    result = shelf.download(ok=False, dest=str(tmp_path))
    assert result["failed"] and "has failed" in result["msg"] and "collision" in result["msg"]
    assert files(tmp_path) == {}


def test_a_cut_download_goes_on(shelf: Shelf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PachydermDownload, "again", Retry(5, base=0.0))
    content = os.urandom(shelf.server.in_messages())
    shelf.put({"big": content})
    shelf.server.fault("cut", method=".*/GetFile", count=1, bytes=500_000)
    mark = shelf.server.mark()
    shelf.download(path="/big", dest=str(tmp_path / "big"))
    assert files(tmp_path) == {"big": content}
    assert shelf.asked(mark)[2:] == ["GetFile", "InspectFile", "GetFile"]
    assert shelf.server.writes(mark) == []


def test_a_file_replaced_between_two_pieces_replaces_nothing(
    shelf: Shelf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is gone when the download would go on."""

    def meanwhile(_pause: float) -> None:
        repo = shelf.client.repo("default", shelf.repo)
        shelf.call("pfs_v2.API/DeleteRepo", "pfs_v2.DeleteRepoRequest", repo=repo, force=True)
        shelf.call("pfs_v2.API/CreateRepo", "pfs_v2.CreateRepoRequest", repo=repo)
        shelf.put({"big": b"2" * size})

    monkeypatch.setattr(PachydermDownload, "again", Retry(5, base=0.0, sleep=meanwhile))
    size = shelf.server.in_messages()
    shelf.put({"big": b"1" * size})
    (tmp_path / "big").write_bytes(b"old")
    shelf.server.fault("cut", method=".*/GetFile", count=1, bytes=500_000)
    result = shelf.download(ok=False, path="/big", dest=str(tmp_path / "big"))
    assert result["failed"] and "was replaced on the server while it was read" in result["msg"]
    assert files(tmp_path) == {"big": b"old"}


def test_a_batch_of_paths(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    shelf.put({**{"f%d" % number: b"%d" % number for number in range(4)}, "other/f1": b"clash"})
    batch = [{"path": "/f%d" % number} for number in range(4)]
    wanted = {"f%d" % n: b"%d" % n for n in range(4)}
    contract(shelf, wanted, tmp_path, dest=str(tmp_path) + "/", mode="0640", batch=batch)
    clash = shelf.download(ok=False, dest=str(tmp_path) + "/", batch=[*batch, {"path": "/other/f1"}])
    assert clash["failed"] and "cannot both be at" in clash["msg"]


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.download import PachydermDownload
from ansible_collections.polystore.storage.tests.support.memory import peak
from ansible_collections.polystore.storage.tests.support.run import run_task
connection, options = json.loads(sys.argv[2])
result = run_task(PachydermDownload, connection, **options)
print(json.dumps([result, peak()]))
"""


def child(shelf: Shelf, collection: pathlib.Path, **options: Any) -> Any:
    """The result and the peak memory (MiB) of a process of its own."""
    given = json.dumps([shelf.server.connection(), {"repo": shelf.repo, **options}])
    command = [sys.executable, "-c", CHILD, str(collection.parents[2]), given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("shelf", ["pachd_server"], indirect=True)
def test_memory_stays_flat(shelf: Shelf, tmp_path: pathlib.Path, collection: pathlib.Path) -> None:
    """A message has up to 19 MiB, and gRPC has it three times while it comes: one, and no more of many."""
    content, peaks = os.urandom(1 << 20) * 120, []
    shelf.put({"small": content[: 2 << 20], "big": content})
    for name, size in {"small": 2 << 20, "big": 120 << 20}.items():
        result, peak = child(shelf, collection, path="/" + name, dest=str(tmp_path / name))
        assert result.get("resource", {}).get("size") == size == (tmp_path / name).stat().st_size, result
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 64, peaks


def test_references_and_paths() -> None:
    assert reference("master") == ("master", "", 0) and reference("master^") == ("master", "", 1)
    assert reference("a-b_c^^~3") == ("a-b_c", "", 5) and reference("^2") == ("", "", 2)
    assert reference("0123456789abcdef" * 2 + "~1") == ("", "0123456789abcdef" * 2, 1)
    assert path("") == "/" == path("///") and path("a//b/") == "/a/b" and path("/...") == "/..."
    for wrong in ("", "a.b", "master.1", "^x", "a b", "\u00fc", None):
        with pytest.raises(ValueError, match="is no commit"):
            reference(wrong)
