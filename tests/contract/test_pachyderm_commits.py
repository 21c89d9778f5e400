# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to the commits of pachyderm_file: branches that are not ours, bad commits, faults."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import commits
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.files import FileResource
from ansible_collections.polystore.storage.tests.support.pachyderm_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = pytest.mark.server
LARGE = bytes(range(256)) * 14_000  # 3.4 MiB


@pytest.fixture(params=["pachd_server", "pachd_v20_server"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    found = Shelf(request.getfixturevalue(request.param))
    yield found
    found.end()


@pytest.fixture
def newest(pachd_server: Any) -> Iterator[Shelf]:
    found = Shelf(pachd_server)
    yield found
    found.end()


def files(shelf: Shelf, *batch: dict[str, Any], **more: Any) -> dict[str, Any]:
    return shelf.once(FileResource, batch=list(batch), **more)


def wrong(shelf: Shelf, *batch: dict[str, Any], **more: Any) -> str:
    return str(shelf.fails(FileResource, **({"batch": list(batch)} if batch else {}), **more)["msg"])


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {row["path"]: row["action"] for row in result["resources"]}


# --- branches that cannot be written


def test_output_branches_are_refused(shelf: Shelf) -> None:
    """pachd would say OK and lose the files with the job; or it says no, but only at the end."""
    repo = shelf.follow()
    told = shelf.fails(FileResource, repo=repo, path="/f", content="a")
    assert told["failures"][0]["code"] == "OUTPUT_BRANCH"
    shelf.fails(FileResource, repo=repo, path="/f", state="absent")
    assert shelf.run(FileResource, repo=repo, branch="own", path="/f", content="a")["changed"]


def test_an_open_head_is_refused(shelf: Shelf) -> None:
    commit = shelf.start()
    failure = shelf.fails(FileResource, path="/f", content="a")["failures"][0]
    assert failure["code"] == "OPEN" and commit.id in failure["message"] and "wait: true" in failure["hint"]
    told = run_task(FileResource, shelf.server, repo=shelf.repo, path="/f", content="a", wait=True, wait_timeout=1)
    assert "not finished after 1 seconds" in told["msg"]
    shelf.call("FinishCommit", commit=commit)
    files(shelf, {"path": "/f", "content": "a"})


def test_an_open_head_is_waited_for(shelf: Shelf) -> None:
    commit = shelf.start()
    waiting = threading.Timer(0.5, lambda: shelf.call("FinishCommit", commit=commit))
    waiting.start()
    result = run_task(FileResource, shelf.server, repo=shelf.repo, path="/f", content="a", wait=True)
    waiting.join()
    assert result["changed"], result["msg"]
    assert shelf.contents() == {"/f": b"a"}


def test_a_head_that_opens_meanwhile(newest: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can prevent it, but it is told: what was sent is part of that commit."""
    newest.put({"/old": b"1"})
    still = commits.Branches._modify

    def late(self: Any, *args: Any) -> None:
        newest.start()
        still(self, *args)

    monkeypatch.setattr(commits.Branches, "_modify", late)
    result = run_task(FileResource, newest.server, repo=newest.repo, path="/f", content="a")
    assert result["failures"][0]["code"] == "OPEN" and "part of it" in result["msg"]


# --- commits that are found bad


def spoil(shelf: Shelf) -> None:
    """A commit that pachd accepts and then finds bad."""
    assert "collision" in shelf.put({"/d": b"x", "/lost": b"x"}).error


def test_a_bad_head_is_mended(shelf: Shelf) -> None:
    """It is compared with what the next commit will start from, and any task makes one."""
    shelf.put({"/d/x": b"1", "/f": b"1"})
    spoil(shelf)
    mark = shelf.server.mark()
    result = shelf.once(FileResource, path="/f", content="1")
    assert shelf.written(mark) == ["ModifyFile"]
    assert result["resource"]["action"] == "updated"
    assert "collision" in result["diff"][0]["before"]["commit_error"]
    assert shelf.contents() == {"/d/x": b"1", "/f": b"1"}


def test_a_bad_head_is_mended_by_a_change(shelf: Shelf) -> None:
    shelf.put({"/d/x": b"1", "/f": b"1"})
    spoil(shelf)
    spoil(shelf)
    result = files(shelf, {"path": "/f", "content": "2"}, {"path": "/lost", "state": "absent"})
    assert actions(result) == {"/f": "updated", "/lost": "deleted"}
    assert shelf.contents() == {"/d/x": b"1", "/f": b"2"}


def test_a_first_commit_that_is_bad(shelf: Shelf) -> None:
    assert shelf.put({"/d": b"1", "/d/x": b"1"}).error
    files(shelf, {"path": "/d/x", "content": "1"})
    assert shelf.contents() == {"/d/x": b"1"}


def test_our_own_commit_is_bad(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes a directory of it between our look and our commit."""
    shelf.put({"/f": b"1"})
    still = commits.Branches._modify

    def late(self: Any, *args: Any) -> None:
        if "/new/x" not in shelf.names():
            shelf.put({"/new/x": b"theirs"})
        still(self, *args)

    batch = [{"path": "/new", "content": "a"}, {"path": "/f", "content": "2"}]
    with monkeypatch.context() as patch:
        patch.setattr(commits.Branches, "_modify", late)
        result = run_task(FileResource, shelf.server, repo=shelf.repo, batch=batch)
    assert (result["changed"], result["summary"]["failed"]) == (False, 2)
    assert [row["item"].rsplit(":")[-1] for row in result["failures"]] == ["/new", "/f"]
    assert result["failures"][0]["code"] == "COMMIT_FAILED"
    assert "collision" in result["failures"][0]["server_message"]
    assert result["resources"][1]["size"] == 1  # what was there before
    assert "/new is a directory" in wrong(shelf, *batch)
    files(shelf, batch[1])
    assert shelf.contents() == {"/new/x": b"theirs", "/f": b"2"}


# --- description


def test_a_description(shelf: Shelf) -> None:
    files(shelf, {"path": "/f", "content": "a"}, description="the first")
    assert shelf.head().description == "the first"
    assert len(shelf.commits()) == 1
    files(shelf, {"path": "/f", "state": "absent"}, description="the second")
    assert [info.description for info in shelf.commits()] == ["the second", "the first"]


def test_two_descriptions_are_refused(newest: Shelf) -> None:
    batch = [{"path": "/%s" % text, "content": "x", "description": text} for text in "ab"]
    assert "has two of them" in wrong(newest, *batch)
    files(newest, *({**item, "branch": item["description"]} for item in batch))


@pytest.mark.parametrize("method", ["ModifyFile", "FinishCommit"])
def test_a_described_commit_that_fails_is_dropped(shelf: Shelf, method: str) -> None:
    shelf.put({"/old": b"1"})
    head = shelf.head().commit.id
    shelf.server.fault("status", method="pfs_v2.API/" + method, status="PERMISSION_DENIED", body="no luck")
    result = run_task(FileResource, shelf.server, repo=shelf.repo, path="/f", content="a", description="x")
    assert "no luck" in result["msg"] and result["changed"] is False
    assert (shelf.head().commit.id, len(shelf.commits())) == (head, 1)
    files(shelf, {"path": "/f", "content": "a"}, description="x")


def test_a_described_commit_that_was_left(newest: Shelf) -> None:
    newest.put({"/old": b"1"})
    commit = newest.start(description="%s: x" % commits.MARK)
    message = newest.fails(FileResource, path="/f", content="a")["msg"]
    assert commit.id in message and commits.MARK in message and "drop" in message


# --- faults


@pytest.mark.parametrize("size", [0, 1_500_000])
def test_a_stream_that_is_cut_off_is_sent_again(shelf: Shelf, tmp_path: pathlib.Path, size: int) -> None:
    """It left nothing, and that was looked at first."""
    (tmp_path / "f").write_bytes(LARGE)
    shelf.server.fault("cut_upload", method=r"pfs_v2\.API/ModifyFile", bytes=size)
    files(shelf, {"path": "/f", "src": str(tmp_path / "f")})
    assert len(shelf.commits()) == 1
    assert shelf.read("/f") == LARGE


@pytest.mark.parametrize("method", ["ModifyFile", "StartCommit", "FinishCommit"])
def test_what_the_database_took_back_is_sent_again(shelf: Shelf, method: str) -> None:
    words = "commit unexpectedly resulted in rollback"
    shelf.server.fault("status", method="pfs_v2.API/" + method, status="UNKNOWN", body=words)
    files(shelf, {"path": "/f", "content": "a"}, **({} if method == "ModifyFile" else {"description": "why"}))
    assert (shelf.contents(), len(shelf.commits())) == ({"/f": b"a"}, 1)


def test_a_stream_whose_answer_is_lost_is_not_sent_again(shelf: Shelf) -> None:
    shelf.server.fault("close_after", method=r"pfs_v2\.API/ModifyFile")
    result = run_task(FileResource, shelf.server, repo=shelf.repo, path="/f", content="a")
    assert result["failed"] and result["failures"][0]["code"] == "UNAVAILABLE"
    assert len(shelf.commits()) == 1
    assert not shelf.run(FileResource, path="/f", content="a")["changed"]


def test_a_stream_that_is_always_cut_off(shelf: Shelf) -> None:
    shelf.put({"/f": b"1"})
    shelf.server.fault("cut_upload", method=r"pfs_v2\.API/ModifyFile", count=None)
    result = run_task(FileResource, shelf.server, repo=shelf.repo, path="/f", content="a", retries=1)
    assert result["failures"][0]["code"] == "UNAVAILABLE"
    shelf.server.clear_faults()
    assert (shelf.contents(), len(shelf.commits())) == ({"/f": b"1"}, 1)


def test_a_local_file_that_changes_while_it_is_read(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(LARGE)
    sent = commits.Branches.sent

    def meddled(self: Any, *args: Any) -> Iterator[Any]:
        for message in sent(self, *args):
            yield message
            path.write_bytes(LARGE + b"!")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commits.Branches, "sent", meddled)
        batch = [{"path": "/a", "content": "a"}, {"path": "/f", "src": str(path)}]
        result = run_task(FileResource, shelf.server, repo=shelf.repo, batch=batch)
    assert "changed while it was read" in result["msg"]
    assert (result["changed"], shelf.commits()) == (False, [])
