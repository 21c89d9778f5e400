# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_file against the newest pachd and one whose hashes are others."""

from __future__ import annotations

import http.server
import os
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.files import FileResource
from ansible_collections.polystore.storage.tests.support.pachyderm_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
LARGE = bytes(range(256)) * 9_000  # 2.2 MiB


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


# --- one commit


def test_everything_of_a_task_is_one_commit(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    shelf.put({"/old": b"1", "/tree/a": b"1", "/tree/b/c": b"1", "/same": b"same", "/other": b"longer than new"})
    number, mark = len(shelf.commits()), shelf.server.mark()
    result = files(
        shelf,
        {"path": "/new", "content": "ü"},
        {"path": "deep//er/bin", "content_b64": "AAEC/w=="},
        {"path": "/large", "src": str(tmp_path / "large")},
        {"path": "/empty", "content": ""},
        {"path": "/same", "content": "same"},
        {"path": "/other", "content": "new"},
        {"path": "/old", "state": "absent"},
        {"path": "/tree/", "state": "absent"},
        {"path": "/never", "state": "absent"},
    )
    assert shelf.written(mark) == ["ModifyFile"]
    assert len(shelf.commits()) == number + 1
    assert actions(result) == {
        **dict.fromkeys(("/new", "/deep/er/bin", "/large", "/empty"), "created"),
        **dict.fromkeys(("/same", "/never"), "unchanged"),
        **dict.fromkeys(("/old", "/tree/"), "deleted"),
        "/other": "updated",
    }
    assert shelf.contents() == {
        "/new": "ü".encode(),
        "/deep/er/bin": b"\0\1\2\xff",
        "/large": LARGE,
        "/empty": b"",
        "/same": b"same",
        "/other": b"new",
    }


def test_two_branches_are_two_commits(newest: Shelf) -> None:
    mark = newest.server.mark()
    files(newest, *({"path": "/%d" % n, "branch": "b%d" % (n % 2), "content": "x"} for n in range(6)))
    assert newest.written(mark) == ["ModifyFile"] * 2
    assert (newest.names("b0"), newest.names("b1")) == (["/0", "/2", "/4"], ["/1", "/3", "/5"])


def test_what_is_asked(newest: Shelf) -> None:
    """A few files one by one, many with one walk over what lies around them."""
    few = [{"path": "/d/%d" % n, "content": str(n)} for n in range(3)]
    many = [{"path": "/d/%02d" % n, "content": str(n)} for n in range(40)]
    newest.put({"/else/%d" % n: b"x" for n in range(9)})
    files(newest, *few)
    files(newest, *many)
    head = ["InspectBranch", "InspectCommit"]
    for batch, asked in ((few, ["InspectFile"] * 3), (many, ["WalkFile"])):
        mark = newest.server.mark()
        newest.run(FileResource, batch=batch)
        assert newest.asked(mark) == head + asked
    mark = newest.server.mark()
    newest.run(FileResource, path="/d/0", content="other")
    asked = newest.asked(mark)
    assert asked[:4] == [*head, "InspectFile", "ModifyFile"]
    assert set(asked[4:]) == {"InspectCommit"}


def test_large_content_goes_in_parts(newest: Shelf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    sizes: list[int] = []
    write = newest.client._write
    monkeypatch.setattr(type(newest.client), "_write", lambda self, m: sizes.append(m.ByteSize()) or write(m))
    newest.client._calls.clear()
    run_ok(FileResource, newest.server, repo=newest.repo, path="/f", src=str(tmp_path / "f"))
    newest.client._calls.clear()
    assert max(sizes) < common.PART + 100
    assert sum(size > common.PART for size in sizes) == len(LARGE) // common.PART
    assert newest.read("/f") == LARGE


def test_overwriting_never_appends(shelf: Shelf) -> None:
    for text in ("a long text", "short", "s", "", "again"):
        files(shelf, {"path": "/f", "content": text})
        assert shelf.read("/f") == text.encode()


def test_result(newest: Shelf) -> None:
    result = newest.once(FileResource, path="/f", content="a")
    assert result["resource"] == {
        "project": "default",
        "repo": newest.repo,
        "branch": "master",
        "path": "/f",
        "size": 1,
        "checksum": "3d4b9478848e85771d9d678f2d80966bf9ea36f0d05b44fe5b23433e14a3eace",
        "action": "created",
    }
    assert newest.run(FileResource, path="/f")["resource"]["checksum"] == result["resource"]["checksum"]


# --- compare


@pytest.mark.parametrize("how", ["checksum", "content", "size", "exists"])
def test_compare(shelf: Shelf, how: str) -> None:
    for have, want, seen in (
        ("abc", "abd", {"checksum", "content"}),
        ("abc", "abcd", {"checksum", "content", "size"}),
        ("abc", "abc", set()),
        ("", "", set()),
    ):
        shelf.put({"/f": have.encode()})
        result = shelf.run(FileResource, path="/f", content=want, compare=how)
        assert result["changed"] is (how in seen), (have, want)
        assert shelf.read("/f") == (want if how in seen else have).encode()


def test_large_files_are_compared(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    """By the hash; before 2.1.6 what is there is read."""
    (tmp_path / "f").write_bytes(LARGE)
    args = {"path": "/f", "src": str(tmp_path / "f")}
    shelf.once(FileResource, **args)
    mark = shelf.server.mark()
    shelf.run(FileResource, **args)
    assert ("GetFile" in shelf.asked(mark)) is not shelf.hashes
    (tmp_path / "f").write_bytes(LARGE[:-1] + b"x")
    assert shelf.once(FileResource, **args)["resource"]["action"] == "updated"
    assert shelf.read("/f") == LARGE[:-1] + b"x"


# --- paths


@pytest.mark.parametrize(
    "path", [*("/a%sb" % char for char in "*?[]{}!()@+^\\"), "/ü", "/a\nb", "/a\x7f", "", "/", "/.", "/a/../b", "/d/"]
)
def test_bad_path(newest: Shelf, path: str) -> None:
    assert "path" in wrong(newest, path=path, content="x")
    assert newest.commits() == []


def test_odd_paths(shelf: Shelf) -> None:
    names = ["/...", "/..a", "/a b", "/#%&=;:,'\"<>|~`$", "/-", "/a.b/_", "/" + "x" * 300]
    files(shelf, *({"path": name, "content": name} for name in names))
    assert shelf.contents() == {name: name.encode() for name in names}


@pytest.mark.parametrize(
    "batch",
    [
        [{"path": "/a", "content": "1"}, {"path": "/a/b", "content": "1"}],
        [{"path": "/a/b", "content": "1"}, {"path": "/a/b/c/d", "content": "1"}],
        [{"path": "/a/", "state": "absent"}, {"path": "/a/b/c", "content": "1"}],
    ],
)
def test_paths_that_contradict_each_other(newest: Shelf, batch: list[dict[str, Any]]) -> None:
    assert "cannot be there together with" in wrong(newest, *batch)


def test_a_file_where_a_directory_is(shelf: Shelf) -> None:
    shelf.put({"/d/x": b"1", "/f": b"1"})
    assert "/d is a directory" in wrong(shelf, {"path": "/ok", "content": "1"}, {"path": "/d", "content": "1"})
    for path in ("/f/x", "/f/x/y/z"):
        assert "/f is a file" in wrong(shelf, path=path, content="1")
    many = [{"path": "/n%d" % n, "content": "1"} for n in range(30)]
    assert "/f is a file" in wrong(shelf, *many, {"path": "/f/x/y", "content": "1"})
    shelf.put({"/deep/f": b"1"})
    many = [{"path": "/deep/f/in/%d" % n, "content": "1"} for n in range(30)]
    assert "/deep/f is a file" in wrong(shelf, *many)
    # what is in the way may go in the same commit
    files(
        shelf,
        {"path": "/d/", "state": "absent"},
        {"path": "/d", "content": "now a file"},
        {"path": "/f", "state": "absent"},
        {"path": "/f/x", "content": "now a directory"},
    )
    assert shelf.contents() == {"/d": b"now a file", "/f/x": b"now a directory", "/deep/f": b"1"}


def test_absent(shelf: Shelf) -> None:
    shelf.put({"/t/a": b"1", "/t/b": b"1", "/f": b"1", "/tt": b"1"})
    assert "Write /t/ to remove it" in wrong(shelf, path="/t", state="absent")
    assert actions(files(shelf, {"path": "/f/", "state": "absent"})) == {"/f/": "unchanged"}
    assert actions(files(shelf, {"path": "/t/", "state": "absent"})) == {"/t/": "deleted"}
    assert shelf.names() == ["/f", "/tt"]
    assert actions(files(shelf, {"path": "/f", "state": "absent"})) == {"/f": "deleted"}
    assert shelf.names() == ["/tt"]
    assert not shelf.run(FileResource, repo=shelf.repo + "-no", path="/f", state="absent")["changed"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "src: is missing"),
        ({"content": "a", "src": "/dev/null"}, "cannot be given together"),
        ({"url": "http://x/y", "copy_from": {"path": "/x"}}, "cannot be given together"),
        ({"url": "no url"}, "url: it is no URL"),
        ({"src": "/no/such/file"}, "/no/such/file cannot be read"),
        ({"content_b64": "!"}, "content_b64: it is not valid base64"),
        ({"copy_from": {"repo": "x"}}, "copy_from: path is missing in it"),
        ({"copy_from": {"path": "/d/"}}, "copy_from: /d/ is a directory"),
        ({"copy_from": {"path": "/a*"}}, "copy_from:"),
        ({"content": "a", "wait_timeout": "soon"}, "wait_timeout:"),
        ({"content": "a", "branch": "a.b"}, "branch:"),
        ({"content": "a", "repo": "no such"}, "repo:"),
        ({"content": "a", "repo": "no-such-repo"}, "There is no repo default/no-such-repo"),
        ({"content": "a", "compare": "md5"}, "compare"),
    ],
)
def test_bad_options(newest: Shelf, args: dict[str, Any], told: str) -> None:
    assert told in wrong(newest, path="/f", **args)
    assert newest.commits() == []


def test_a_project_that_is_too_new(pachd_v24_server: Any) -> None:
    shelf = Shelf(pachd_v24_server)
    if shelf.client.can("projects"):
        pytest.skip("this server is none of those")
    assert "needs Pachyderm 2.5" in wrong(shelf, path="/f", content="a", project="other")
    shelf.end()


# --- copies and URLs


def test_copies(shelf: Shelf) -> None:
    shelf.put({"/a": b"1", "/large": LARGE, "/d/x": b"1"}, "inbox")
    batch = [
        {"path": "/b", "copy_from": {"path": "/a", "branch": "inbox"}},
        {"path": "/large", "copy_from": {"path": "large", "branch": "inbox", "repo": shelf.repo, "project": "default"}},
    ]
    mark = shelf.server.mark()
    assert set(actions(files(shelf, *batch)).values()) == {"created"}
    assert shelf.written(mark) == ["ModifyFile"]
    assert shelf.contents() == {"/b": b"1", "/large": LARGE}
    shelf.put({"/a": b"2"}, "inbox")
    assert set(actions(files(shelf, *batch)).values()) == {"updated", "unchanged"}
    assert shelf.read("/b") == b"2"
    files(shelf, {"path": "/b2", "copy_from": {"path": "/b"}})
    assert shelf.read("/b2") == b"2"


def test_copies_of_nothing(shelf: Shelf) -> None:
    """pachd says OK, and copies nothing."""
    shelf.put({"/d/x": b"1"}, "inbox")
    for path in ("/no", "/d", "/d/x/y"):
        told = wrong(shelf, path="/b", copy_from={"branch": "inbox", "path": path})
        assert "There is no file %s" % path in told
    assert "There is no repo" in wrong(shelf, path="/b", copy_from={"repo": "no-such-repo", "path": "/x"})
    assert "There is no file" in wrong(shelf, path="/b", copy_from={"branch": "nowhere", "path": "/x"})


@pytest.fixture
def web() -> Iterator[str]:
    """A server that has /data and nothing else. WEB_HOST: the name that a real pachd knows this machine by."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/data") else 404)
            self.end_headers()
            self.wfile.write(b"fetched")

        def log_message(self, *_args: Any) -> None:
            pass

    host = os.environ.get("WEB_HOST", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("" if "WEB_HOST" in os.environ else host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield "http://%s:%d" % (host, server.server_port)
    server.shutdown()
    server.server_close()
    thread.join()


def test_urls(shelf: Shelf, web: str) -> None:
    result = files(shelf, {"path": "/f", "url": web + "/data?token=SECRET"}, {"path": "/g", "content": "x"})
    assert "SECRET" not in str(result)
    assert shelf.contents() == {"/f": b"fetched", "/g": b"x"}
    assert not shelf.run(FileResource, path="/f", url=web + "/elsewhere")["changed"]
    number = len(shelf.commits())
    batch = [{"path": "/n", "url": web + "/no?token=SECRET"}, {"path": "/g", "content": "y"}]
    told = run_task(FileResource, shelf.server, repo=shelf.repo, batch=batch)
    assert "404" in told["msg"] and "SECRET" not in str(told)
    assert (len(shelf.commits()), told["changed"]) == (number, False)
    assert shelf.contents() == {"/f": b"fetched", "/g": b"x"}
