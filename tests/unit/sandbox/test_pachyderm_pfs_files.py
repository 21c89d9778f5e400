# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd's stand-in: files, with the codes, words and hashes of a real 2.12."""

from __future__ import annotations

import base64
import hashlib
import http.server
import importlib.util
import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import pytest
from ansible_collections.polystore.storage.tests.support.servers import FILES, PachdServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import Calls, failure
from polystore_sandbox.pachyderm.messages import message

ANSWERED = {  # by a real 2.12: SHAKE128(b"polystore") of that many bytes, and as many "a"
    ("shake", 0): "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
    ("shake", 1): "66561cc22404ba489eaa99acbcb72d1ffd8c0fe4dd27e505e37e6f6cace06cb6",
    ("shake", 999999): "cc7fc877a068d7b34377c8f86330280d836b0e9e470258f50f795aa9dd4dcc24",
    ("shake", 1000000): "49d808208bbeb45e5b9da50b3e64cce4e215e37eb3c4ca085984e801a017f72b",
    ("shake", 1048576): "10f904e3eb6b90bc66f77de6d9e1466a440e8bd52e15d1822eddb3d701846d52",
    ("shake", 5000000): "a609e89f1333694c84098127223a26fd459b9d72814056542c6767ba7560fe68",
}
MIB = 2**20


@pytest.fixture
def calls(pachd_server: PachdServer) -> Iterator[Calls]:
    with Calls(pachd_server.address) as made:
        yield made


@pytest.fixture
def repo(pachd_server: PachdServer, calls: Calls) -> str:
    """A new repo."""
    name = pachd_server.new_name()
    calls.pfs("CreateRepo", repo=calls.repo(name))
    return name


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A web server with /a.txt."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/a.txt" else 404)
            self.end_headers()
            self.wfile.write(b"from the web" if self.path == "/a.txt" else b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def add(path: str, data: bytes = b"x") -> dict[str, Any]:
    """A part of a file."""
    return {"add_file": {"path": path, "raw": base64.b64encode(data).decode()}}


def delete(path: str) -> dict[str, Any]:
    """A deletion."""
    return {"delete_file": {"path": path}}


def ended(calls: Calls, repo: str, branch: str = "master") -> Any:
    """The branch's head when it is finished."""
    return calls.pfs("InspectCommit", commit=calls.commit(repo, branch), wait="FINISHED")


def put(calls: Calls, repo: str, *changes: dict[str, Any], branch: str = "master") -> str:
    """One stream; how its commit ended."""
    calls.modify(calls.branch(repo, branch), changes)
    return str(ended(calls, repo, branch).error)


def read(calls: Calls, repo: str, path: str, **more: Any) -> bytes:
    """A file's bytes."""
    return b"".join(part.value for part in calls.pfs("GetFile", file=calls.file(repo, path), **more))


def paths(infos: Iterable[Any]) -> list[str]:
    """The paths of FileInfos."""
    return [info.file.path for info in infos]


def walked(calls: Calls, repo: str) -> list[str]:
    """All paths of master."""
    return paths(calls.pfs("WalkFile", file=calls.file(repo, "/")))


def commits(calls: Calls, repo: str) -> int:
    """How many there are."""
    return len(calls.pfs("ListCommit", repo=calls.repo(repo)))


def test_adding_appends_and_deleting_first_overwrites(calls: Calls, repo: str) -> None:
    put(calls, repo, add("/a", b"1"), add("/b", b"-"), add("/a", b"2"))
    assert read(calls, repo, "/a") == b"12"
    put(calls, repo, add("/a", b"3"))
    assert read(calls, repo, "/a") == b"123"
    put(calls, repo, delete("/a"), add("/a", b"new"))
    assert read(calls, repo, "/a") == b"new"
    put(calls, repo, add("/c"), delete("/c"))
    assert walked(calls, repo) == ["/", "/a", "/b"]


def test_deleting_a_tree_needs_the_slash(calls: Calls, repo: str) -> None:
    put(calls, repo, add("/t/a"), add("/t/u/b"), add("/o"))
    put(calls, repo, delete("/t"))
    assert walked(calls, repo) == ["/", "/o", "/t/", "/t/a", "/t/u/", "/t/u/b"]
    put(calls, repo, delete("/t/"))
    assert walked(calls, repo) == ["/", "/o"]
    put(calls, repo, delete("/"))
    assert walked(calls, repo) == []


def test_nothing_is_there_and_how_that_is_told(calls: Calls, repo: str) -> None:
    put(calls, repo)
    root, gone = calls.file(repo, "/"), calls.file(repo, "/no")
    for rpc in ("ListFile", "WalkFile"):
        assert calls.pfs(rpc, file=root) == []
    assert calls.pfs("GlobFile", commit=calls.commit(repo, "master"), pattern="/*") == []
    assert calls.pfs("ListFile", file=gone) == []
    there = f"not found in repo default/{repo} at commit "
    assert failure(lambda: calls.pfs("InspectFile", file=root)) == ("NOT_FOUND", f"file / {there}")
    assert failure(lambda: calls.pfs("GetFile", file=gone)) == ("NOT_FOUND", f"file /no {there}")
    words = f"commit/{ended(calls, repo).commit.id} does not contain item: (/no)"
    assert failure(lambda: calls.pfs("WalkFile", file=gone)) == ("NOT_FOUND", words)


def test_a_collision_is_told_by_the_commit_alone(calls: Calls, repo: str) -> None:
    assert put(calls, repo, add("/f", b"1"), add("/d/x", b"2")) == ""
    assert put(calls, repo, add("/f/x", b"3"), add("/g")) == "file / directory path collision (/f/x)"
    words = ("UNKNOWN", "file / directory path collision (/f/x)")
    assert failure(lambda: walked(calls, repo)) == words
    assert failure(lambda: calls.pfs("GlobFile", commit=calls.commit(repo, "master"), pattern="/*")) == words
    assert failure(lambda: read(calls, repo, "/f")) == words
    assert read(calls, repo, "/d/x") == b"2"
    assert read(calls, repo, "/f/x") == b"3"
    assert put(calls, repo, add("/h")) == ""
    assert walked(calls, repo) == ["/", "/d/", "/d/x", "/f", "/h"]  # from the last good one: /g is gone


def test_set_commit(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    put(calls, repo, add("/a"))
    done = ended(calls, repo).commit.id

    def to(branch: str, commit_id: str) -> Any:
        first = calls.make("pfs_v2.ModifyFileRequest", set_commit=calls.commit(repo, branch, commit_id))
        return calls.call("pfs_v2.API/ModifyFile", iter([first]))

    assert failure(lambda: to("", done)) == ("UNKNOWN", f"commit default/{repo}@{done} has already finished")
    unknown = "0" * 12 + "4" + "0" * 19
    to("", unknown)
    assert ended(calls, repo, unknown).error == ""  # a branch of that name
    to("master", unknown)
    pachd_server.behave(version="2.11.6")
    words = f"invalid commit ID given with a branch (default/{repo}@master): {unknown}"
    assert failure(lambda: to("master", unknown)) == ("UNKNOWN", words)


def test_streams_that_are_not_as_they_should_be(calls: Calls, repo: str) -> None:
    def send(*bodies: dict[str, Any]) -> Any:
        made = [calls.make("pfs_v2.ModifyFileRequest", **body) for body in bodies]
        return calls.call("pfs_v2.API/ModifyFile", iter(made))

    first = {"set_commit": calls.commit(repo, "master")}
    for bodies, words in {
        (): "EOF",
        ("add",): "first message must be a commit",
        ("set", "set"): "cannot set commit",
    }.items():
        given = [first if body == "set" else add("/a") for body in bodies]
        assert failure(lambda given=given: send(*given)) == ("UNKNOWN", words)
    assert commits(calls, repo) == 0
    send(first)
    send(first, delete("/no"))
    ended(calls, repo)
    assert commits(calls, repo) == 2
    missing = {"set_commit": calls.commit(repo + "-no", "master")}
    assert failure(lambda: send(missing)) == ("NOT_FOUND", f"repo default/{repo}-no not found")


@pytest.mark.parametrize(
    "path", ["", "/x*", "/a?", "/[x]", "/{x}", "/a!", "/(x)", "/a@", "/a+", "/a^", "/../x", "/./x", "/ü"]
)
def test_bad_paths_undo_the_whole_stream(calls: Calls, repo: str, path: str) -> None:
    for change in (add(path), delete(path)):
        code, words = failure(lambda change=change: put(calls, repo, add("/good"), change))
        assert code == "UNKNOWN"
        assert words.startswith(f"path ({path}) invalid: ")
    assert commits(calls, repo) == 0
    assert failure(lambda: ended(calls, repo))[0] == "NOT_FOUND"


def test_odd_paths(calls: Calls, repo: str) -> None:
    put(calls, repo, add("a/b"), add("//c///d"), add("/e/"), add("/..."), add("/back\\slash"), add("/"))
    assert walked(calls, repo) == ["/", "/...", "/a/", "/a/b", "/back\\slash", "/c/", "/c/d", "/e"]
    assert failure(lambda: read(calls, repo, "/back\\slash"))[0] == "NOT_FOUND"


def test_a_stream_that_is_broken_off_leaves_nothing(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    pachd_server.fault("cut_upload", method=".*/ModifyFile", path=repo, bytes=2 * MIB)
    parts = (add("/big", bytes(MIB)) for _number in range(8))
    assert failure(lambda: calls.modify(calls.branch(repo), parts))[0] == "UNAVAILABLE"

    def broken() -> Iterator[Any]:
        yield calls.make("pfs_v2.ModifyFileRequest", set_commit=calls.commit(repo, "master"))
        yield calls.make("pfs_v2.ModifyFileRequest", **add("/a"))
        raise ValueError("the client died")

    with pytest.raises(grpc.RpcError):
        calls.call("pfs_v2.API/ModifyFile", broken())
    with pytest.raises(grpc.RpcError) as late:
        endless = itertools.chain([next(broken())], iter(threading.Event().wait, True))
        request = (value for value in endless if value)
        calls.channel.stream_unary(
            "/pfs_v2.API/ModifyFile", request_serializer=lambda value: value.SerializeToString()
        )(request, timeout=0.3)
    assert late.value.code().name == "DEADLINE_EXCEEDED"
    pachd_server.wait_for(lambda: len(pachd_server.requests(path=repo)) >= 3)
    assert commits(calls, repo) == 0


def test_parallel_writers_each_make_a_commit(calls: Calls, repo: str) -> None:
    branch = calls.branch(repo)
    futures = [calls.threads.submit(calls.modify, branch, [add(f"/{number}")]) for number in range(6)]
    for future in futures:
        future.result()
    assert ended(calls, repo).error == ""
    assert commits(calls, repo) == 6
    assert walked(calls, repo) == ["/", *(f"/{number}" for number in range(6))]


@pytest.mark.parametrize(("kind", "size"), list(ANSWERED))
def test_hashes(calls: Calls, repo: str, kind: str, size: int) -> None:
    data = hashlib.shake_128(b"polystore").digest(size)
    put(calls, repo, *[add("/f", data[at : at + 700_001]) for at in range(0, max(size, 1), 700_001)])
    info = calls.pfs("InspectFile", file=calls.file(repo, "/f"))
    assert (info.size_bytes, info.hash.hex()) == (size, ANSWERED[kind, size])
    assert read(calls, repo, "/f") == data
    assert read(calls, repo, "/f", offset=max(size - 3, 0)) == data[max(size - 3, 0) :]
    assert calls.pfs("GetFile", file=calls.file(repo, "/f"), offset=size + 3) == []


def test_big_messages(calls: Calls, repo: str) -> None:
    too_big = failure(lambda: calls.modify(calls.branch(repo), [add("/f", bytes(21 * MIB))]))
    assert too_big[0] == "RESOURCE_EXHAUSTED"
    put(calls, repo, add("/f", bytes(19 * MIB)), add("/f", bytes(6 * MIB)))
    parts = calls.pfs("GetFile", file=calls.file(repo, "/f"))
    assert [len(part.value) for part in parts] == [19922944, 6 * MIB]


def test_reading_what_is_not_one_file(calls: Calls, repo: str) -> None:
    put(calls, repo, add("/d/x"), add("/d/y"))
    tar = "Use GetFileTAR instead"
    for path in ("/d", "/d/", "/"):
        words = f"cannot get directory or non-regular file. {tar}"
        assert failure(lambda path=path: read(calls, repo, path)) == ("UNKNOWN", words)
    assert failure(lambda: read(calls, repo, "/d/*")) == ("UNKNOWN", f"matched multiple files. {tar}")
    assert read(calls, repo, "/d/[x]") == b"x"


def test_patterns(calls: Calls, repo: str) -> None:
    put(calls, repo, *[add(path) for path in ("/a.txt", "/b.txt", "/d/x", "/d/y", "/d2/x", "/d2/e/z")])

    def matching(pattern: str) -> list[str]:
        return paths(calls.pfs("GlobFile", commit=calls.commit(repo, "master"), pattern=pattern))

    assert matching("/") == ["/"]
    assert matching("/*") == ["/a.txt", "/b.txt", "/d/", "/d2/"]
    assert matching("*.txt") == ["/a.txt", "/b.txt"]
    assert matching("/**.txt") == ["/a.txt", "/b.txt"]
    assert matching("/d*/x") == ["/d/x", "/d2/x"]
    assert matching("/d2/**") == ["/d2/e/", "/d2/e/z", "/d2/x"]
    assert matching("/[!a]*.txt") == ["/b.txt"]
    assert matching("/{a,b}.txt") == ["/a.txt", "/b.txt"]
    assert matching("/@(a|c).txt") == ["/a.txt"]
    assert matching("/!(a).txt") == ["/b.txt"]
    assert matching("/?.txt") == ["/a.txt", "/b.txt"]
    assert matching("/d") == ["/d/"]
    assert failure(lambda: matching("/[")) == ("UNKNOWN", "unexpected end of input")


def test_copies(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    put(calls, repo, add("/a", b"1"), add("/d/x", b"2"), add("/d2/y", b"3"))

    def copy(source: str, to: str, append: bool = False) -> str:
        return put(calls, repo, {"copy_file": {"dst": to, "src": reference(source), "append": append}})

    def reference(path: str) -> Any:
        repository = {"name": repo, "type": "user", "project": {"name": "default"}}
        commit = {"branch": {"repo": repository, "name": "master"}, "repo": repository}
        return {"path": path, "commit": commit}

    copy("/a", "/c")
    copy("/a", "/c", append=True)
    assert read(calls, repo, "/c") == b"11"
    copy("/a", "/c")
    copy("/d", "/d2/")
    assert walked(calls, repo) == ["/", "/a", "/c", "/d/", "/d/x", "/d2/", "/d2/x", "/d2/y"]
    assert read(calls, repo, "/c") == b"1"
    before = commits(calls, repo)
    copy("/no", "/e")
    copy("/*", "/e")
    assert commits(calls, repo) == before + 2
    assert "/e" not in walked(calls, repo)
    bare = reference("/a")
    del bare["commit"]["repo"]
    change = {"copy_file": {"dst": "/e", "src": bare}}
    words = "pick commit tx: cannot pick commit with no repo"
    assert failure(lambda: put(calls, repo, change)) == ("UNKNOWN", words)
    pachd_server.behave(version="2.11.6")
    assert failure(lambda: put(calls, repo, change))[0] == "ABORTED"
    pachd_server.behave(version="2.4.6")
    assert put(calls, repo, change) == ""


def test_urls(calls: Calls, repo: str, web: str) -> None:
    def fetch(url: str) -> str:
        return put(calls, repo, {"add_file": {"path": "/w", "url": {"URL": url}}})

    assert fetch(web + "/a.txt") == ""
    assert read(calls, repo, "/w") == b"from the web"
    words = f'error retrieving content from "{web}/no": 404 Not Found'
    assert failure(lambda: fetch(web + "/no")) == ("UNKNOWN", words)
    assert failure(lambda: fetch("ftp://x/y")) == ("UNKNOWN", "unrecognized object store: ftp")
    assert "connection refused" in failure(lambda: fetch("http://127.0.0.1:9/"))[1]
    assert commits(calls, repo) == 1


def test_differences(calls: Calls, repo: str) -> None:
    put(calls, repo, add("/a", b"1"), add("/d/x"))
    put(calls, repo, add("/a", b"2"), add("/n"), delete("/d/x"))
    found = calls.pfs("DiffFile", new_file=calls.file(repo, "/"))
    sides = [[side.file.path for side in (each.old_file, each.new_file)] for each in found]
    assert sides == [["/", "/"], ["/a", "/a"], ["/d/", ""], ["/d/x", ""], ["", "/n"]]


def test_what_is_in_a_directory(calls: Calls, repo: str) -> None:
    put(calls, repo, add("/d/x"), add("/d/e/y"), add("/d-x"), add("/d.x"))
    assert walked(calls, repo) == ["/", "/d-x", "/d.x", "/d/", "/d/e/", "/d/e/y", "/d/x"]
    listed = calls.pfs("ListFile", file=calls.file(repo, "/d"))
    assert [(info.file.path, info.file_type, info.size_bytes) for info in listed] == [("/d/e/", 2, 1), ("/d/x", 1, 1)]
    assert listed[0].hash == hashlib.blake2b(listed_hash(calls, repo, "/d/e/y"), digest_size=32).digest()
    assert paths(calls.pfs("WalkFile", file=calls.file(repo, "/d/x"))) == ["/d/x"]
    page = calls.pfs("WalkFile", file=calls.file(repo, "/"), number=2, paginationMarker={"path": "/d.x"})
    assert paths(page) == ["/d/", "/d/e/"]


def listed_hash(calls: Calls, repo: str, path: str) -> bytes:
    """A file's hash."""
    return bytes(calls.pfs("InspectFile", file=calls.file(repo, path)).hash)


def test_a_stream_of_an_answer_can_be_cut(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    put(calls, repo, add("/f", bytes(19 * MIB)), add("/f", bytes(6 * MIB)))
    pachd_server.fault("cut", method=".*/GetFile", path=repo, bytes=MIB)
    stream = calls.channel.unary_stream(
        "/pfs_v2.API/GetFile",
        request_serializer=lambda value: value.SerializeToString(),
        response_deserializer=message("google.protobuf.BytesValue").FromString,
    )(calls.make("pfs_v2.GetFileRequest", file=calls.file(repo, "/f")), timeout=60)
    assert len(next(stream).value) == 19 * MIB
    assert failure(lambda: next(stream))[0] == "UNAVAILABLE"
    assert len(read(calls, repo, "/f")) == 25 * MIB


@pytest.mark.parametrize("fast", [True, False])
def test_hashes_with_and_without_numpy(fast: bool) -> None:
    path = FILES / "polystore_sandbox" / "pachyderm" / "hashing.py"
    found = importlib.util.spec_from_file_location("hashing", path)
    assert found and found.loader
    hashing = importlib.util.module_from_spec(found)
    found.loader.exec_module(hashing)
    if fast and hashing.numpy is None:
        pytest.skip("there is no numpy here")
    hashing.numpy = hashing.numpy if fast else None
    for (_kind, size), wanted in ANSWERED.items():
        data = hashlib.shake_128(b"polystore").digest(size)
        if size in range(1, 1_500_000):
            assert hashing.content_hash(data[at : at + 70_000] for at in range(0, size, 70_000)).hex() == wanted
    for even in (
        True,
        False,
    ):  # a byte again and again: an end is at every place, or, with an odd number of bits, at none
        byte = next(at for at, word in enumerate(hashing.TABLE) if (bin(word).count("1") % 2 == 0) is even)
        found = [len(chunk) for chunk in hashing.chunks([bytes([byte]) * 1_000_001])]
        assert found == ([1_000_000, 1] if even else [1_000_001])
