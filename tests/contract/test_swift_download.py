# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""swift_download against a real Swift: every kind of object, requests counted in the server's own log."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.swift.download import Joined, SwiftDownload
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task


class Shelf:
    """A container of its own and its segments, filled through the client."""

    def __init__(self, server):
        self.server, self.name = server, server.new_container_name("download")
        self.segments = self.name + "_segments"
        self.client = client_for(CONNECTION, server.auth(), 8, {})
        for name in (self.name, self.segments):
            self.client.request("PUT", name)

    def put(self, name, content=b"", **headers):
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        self.client.request("PUT", self.name, name, body=content, headers=headers)

    def segment(self, name, content):
        self.client.request("PUT", self.segments, name, body=content)

    def slo(self, name, rows):
        rows = [dict(row, path="%s/%s" % (self.segments, row["path"])) if "path" in row else row for row in rows]
        body = json.dumps(rows).encode()
        self.client.request("PUT", self.name, name, query={"multipart-manifest": "put"}, body=body)

    def requests(self, mark, *methods):
        found = [r for r in self.server.requests(mark) if r["path"].startswith(("/v1/AUTH_", "/v1/KEY_"))]
        return [r for r in found if r["method"] in methods] if methods else found


@pytest.fixture
def shelf(swift_server):
    return Shelf(swift_server)


def files(path):
    found = {}
    for top, _folders, names in os.walk(path):
        for name in names:
            whole = os.path.join(top, name)
            with open(whole, "rb") as stream:
                found[os.path.relpath(whole, path)] = stream.read()
    return found


def contract(shelf, wanted, place, **options):
    """Check mode, the run, the run again: each as the contract of a state module says. Returns the run's result."""
    before = files(place)
    mark = shelf.server.mark()
    foretold = run_ok(SwiftDownload, shelf.server, check=True, diff=True, **options)
    assert files(place) == before
    done = run_ok(SwiftDownload, shelf.server, diff=True, **options)
    assert files(place) == wanted
    assert foretold["changed"] and done["changed"] and foretold["diff"] == done["diff"]
    assert foretold["resources"] == done["resources"]
    again = run_ok(SwiftDownload, shelf.server, diff=True, **options)
    assert not again["changed"] and again["diff"] == []
    assert shelf.server.writes(mark) == []
    return done


def test_an_object(shelf, tmp_path):
    shelf.put("dir/my snake?#%.txt", b"hiss")
    dest = tmp_path / "sub" / "snake"
    options = {"container": shelf.name, "name": "dir/my snake?#%.txt", "dest": str(dest)}
    done = contract(shelf, {"sub/snake": b"hiss"}, tmp_path, **options)
    assert done["resource"]["digest"] == hashlib.md5(b"hiss").hexdigest()
    mark = shelf.server.mark()
    run_ok(SwiftDownload, shelf.server, **options)
    assert [r["method"] for r in shelf.requests(mark)] == ["HEAD"]


def test_a_tree_with_every_kind_of_object(shelf, tmp_path):
    shelf.put("t/plain", b"p" * 5000)
    shelf.put("t/empty")
    shelf.put("t/ünï/cödé", "grüße".encode())
    shelf.put("t/marker", Content_Type="application/directory")
    shelf.put("t/folder/", Content_Type="application/x-directory")
    shelf.put("tea", b"not below t")
    shelf.segment("s/1", b"1" * 3000)
    shelf.segment("s/2", b"2" * 2000)
    shelf.slo("t/slo", [{"path": "s/1"}, {"path": "s/2"}])
    shelf.slo("t/ranges", [{"path": "s/1", "range": "10-19"}, {"path": "s/2"}])
    shelf.slo("t/data", [{"path": "s/1"}, {"data": "aGVsbG8="}])
    shelf.put("t/dlo", X_Object_Manifest=shelf.segments + "/s/")
    shelf.put("t/soft", X_Symlink_Target=shelf.name + "/t/plain")
    shelf.put("t/softslo", X_Symlink_Target=shelf.name + "/t/slo")
    md5 = hashlib.md5(b"p" * 5000).hexdigest()
    shelf.put("t/hard", X_Symlink_Target=shelf.name + "/t/plain", X_Symlink_Target_Etag=md5)
    large = b"1" * 3000 + b"2" * 2000
    wanted = {
        "plain": b"p" * 5000,
        "empty": b"",
        "ünï/cödé": "grüße".encode(),
        "slo": large,
        "ranges": b"1" * 10 + b"2" * 2000,
        "data": b"1" * 3000 + b"hello",
        "dlo": large,
        "soft": b"p" * 5000,
        "softslo": large,
        "hard": b"p" * 5000,
    }
    dest = tmp_path / "x"
    contract(shelf, wanted, dest, container=shelf.name, prefix="t", dest=str(dest))
    assert (dest / "marker").is_dir() and (dest / "folder").is_dir()
    for name in wanted:
        if wanted[name]:
            changed = bytearray(wanted[name])
            changed[-1] ^= 1
            (dest / name).write_bytes(changed)
    again = run_ok(SwiftDownload, shelf.server, container=shelf.name, prefix="t/", dest=str(dest))
    assert again["summary"]["updated"] == len(wanted) - 1
    assert files(dest) == wanted


def test_an_unchanged_tree_costs_one_listing(shelf, tmp_path):
    for number in range(30):
        shelf.put("t/%d" % number, b"content %d" % number)
    options = {"container": shelf.name, "dest": str(tmp_path)}
    run_ok(SwiftDownload, shelf.server, **options)
    assert len(files(tmp_path / "t")) == 30
    mark = shelf.server.mark()
    again = run_ok(SwiftDownload, shelf.server, **options)
    assert not again["changed"] and again["summary"]["unchanged"] == 30
    assert [r["method"] for r in shelf.requests(mark)] == ["GET"]
    shelf.put("t/7", b"another 7")
    mark = shelf.server.mark()
    assert run_ok(SwiftDownload, shelf.server, **options)["summary"]["updated"] == 1
    assert len(shelf.requests(mark)) == 2


def test_prune_with_brakes(shelf, tmp_path):
    for number in range(5):
        shelf.put("t/%d" % number, b"x")
    options = {"container": shelf.name, "prefix": "t", "dest": str(tmp_path), "prune": True}
    run_ok(SwiftDownload, shelf.server, **options)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "old").write_bytes(b"old")
    refused = run_task(SwiftDownload, shelf.server, **options)
    assert refused["failed"] and "max_delete 10%" in refused["msg"]
    contract(shelf, {str(n): b"x" for n in range(5)}, tmp_path, max_delete="50%", **options)
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize("large", [False, True])
def test_a_cut_download_goes_on_with_a_range(shelf, tmp_path, monkeypatch, large):
    monkeypatch.setattr(SwiftDownload, "again", Retry(5, base=0.0))
    content = os.urandom(900_000)
    if large:
        shelf.segment("1", content[:500_000])
        shelf.segment("2", content[500_000:])
        shelf.slo("big", [{"path": "1"}, {"path": "2"}])
    else:
        shelf.put("big", content)
    path = "%s/big$" % shelf.name
    shelf.server.fault("cut", method="GET", path=path, bytes=300_000)
    shelf.server.fault("cut", method="GET", path=path, bytes=300_000)
    mark = shelf.server.mark()
    run_ok(SwiftDownload, shelf.server, container=shelf.name, name="big", dest=str(tmp_path / "big"))
    assert files(tmp_path) == {"big": content}
    gets = [r["status"] for r in shelf.requests(mark, "GET") if "multipart-manifest" not in r["path"]]
    assert gets == [200, 206, 206]


def test_an_object_replaced_between_two_pieces_replaces_nothing(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(
        SwiftDownload, "again", Retry(5, base=0.0, sleep=lambda pause: shelf.put("big", b"2" * 900_000))
    )
    shelf.put("big", b"1" * 900_000)
    (tmp_path / "big").write_bytes(b"old")
    shelf.server.fault("cut", method="GET", path="%s/big$" % shelf.name, bytes=300_000)
    result = run_task(SwiftDownload, shelf.server, container=shelf.name, name="big", dest=str(tmp_path / "big"))
    assert result["failed"] and "was replaced on the server while it was read" in result["msg"]
    assert files(tmp_path) == {"big": b"old"}
    run_ok(SwiftDownload, shelf.server, container=shelf.name, name="big", dest=str(tmp_path / "big"))
    assert files(tmp_path) == {"big": b"2" * 900_000}


def test_names_that_lead_out_of_dest(shelf, tmp_path):
    for name in ("t/fine", "t/../../evil"):
        shelf.put(name, b"evil")
    result = run_task(SwiftDownload, shelf.server, container=shelf.name, prefix="t", dest=str(tmp_path / "in"))
    assert result["failed"] and "t/../../evil" in result["msg"] and "leads out of dest" in result["msg"]
    assert files(tmp_path) == {}


def test_what_is_not_there(shelf, tmp_path):
    dest = str(tmp_path / "x")
    told = run_task(SwiftDownload, shelf.server, container=shelf.name, name="none", dest=dest)["msg"]
    assert "There is no object none in container %s" % shelf.name in told
    told = run_task(SwiftDownload, shelf.server, container=shelf.name + "x", prefix="none", dest=dest)["msg"]
    assert "There is no container %sx" % shelf.name in told
    told = run_task(SwiftDownload, shelf.server, container=shelf.name, prefix="none", dest=dest)["msg"]
    assert "There is nothing below none/" in told
    options = {"container": shelf.name, "prefix": "none", "dest": dest, "allow_empty": True}
    assert not run_ok(SwiftDownload, shelf.server, **options)["changed"]
    assert not run_ok(SwiftDownload, shelf.server, container=shelf.name, dest=dest)["changed"]
    assert files(tmp_path) == {}


def test_a_batch_of_names(shelf, tmp_path):
    for number in range(4):
        shelf.put("f%d" % number, b"%d" % number)
    batch = [{"name": "f%d" % number} for number in range(4)]
    wanted = {"f%d" % n: b"%d" % n for n in range(4)}
    contract(shelf, wanted, tmp_path, container=shelf.name, dest=str(tmp_path) + "/", mode="0640", batch=batch)


CHILD = """
import itertools, json, os, resource, signal, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.polystore.storage.plugins.module_utils.swift.download import SwiftDownload
from ansible_collections.polystore.storage.tests.support.memory import peak
from ansible_collections.polystore.storage.tests.support.run import run_task
given = json.loads(sys.argv[2])
if given["most"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (given["most"], given["most"]))
if given["kill"]:
    name, number = given["kill"]
    real, calls = getattr(os, name), itertools.count(1)
    def last(*args, **options):
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    setattr(os, name, last)
result = run_task(SwiftDownload, given["connection"], **given["options"])
print(json.dumps({"result": result, "peak": peak()}))
"""


def child(shelf, collection, most=0, kill=None, **options):
    """The result and the peak memory (MiB) of a process of its own, None of one that was killed.

    most: the largest file it may write; kill: (function of os, at which call) where it is to be killed.
    """
    given = {"connection": shelf.server.auth(), "options": options, "most": most, "kill": kill}
    command = [sys.executable, "-c", CHILD, str(collection.parents[2]), json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
    return None if kill else json.loads(done.stdout)


def test_no_room_for_the_file(shelf, tmp_path, collection):
    """A limit on the size of files stands in for the full disk: the system call fails in the same place."""
    shelf.put("big", b"b" * 700_000)
    (tmp_path / "big").write_bytes(b"old")
    options = {"container": shelf.name, "name": "big", "dest": str(tmp_path / "big")}
    result = child(shelf, collection, most=400_000, **options)["result"]
    assert result["failed"] and "cannot be written: File too large" in result["msg"] and "Make room" in result["msg"]
    assert files(tmp_path) == {"big": b"old"}
    assert files(tmp_path).keys() == set(os.listdir(tmp_path))


@pytest.mark.parametrize(
    ("function", "number"),
    [("write", 1), ("write", 3), ("write", 5), ("fsync", 1), ("fsync", 2), ("rename", 1), ("rename", 2), ("unlink", 1)],
)
def test_a_killed_run_is_finished_by_the_next(shelf, tmp_path, collection, function, number):
    wanted = {"a": b"a" * 700_000, "sub/b": b"b" * 700_000}
    old = {"a": b"old", "sub/b": b"b" * 699_999 + b"x", "gone": b"gone"}
    for name, content in wanted.items():
        shelf.put("t/" + name, content)
    for name, content in old.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    options = {"container": shelf.name, "prefix": "t", "dest": str(tmp_path), "prune": True, "max_delete": 1}
    child(shelf, collection, kill=(function, number), parallel=1, **options)
    left = {name: content for name, content in files(tmp_path).items() if ".polystore-" not in name}
    assert left.keys() == old.keys()
    assert all(content in (old[name], wanted.get(name)) for name, content in left.items())
    assert run_ok(SwiftDownload, shelf.server, **options)["changed"]
    assert files(tmp_path) == wanted
    assert not run_ok(SwiftDownload, shelf.server, **options)["changed"]


def test_memory_stays_flat(shelf, tmp_path, collection):
    part = os.urandom(1 << 20) * 24
    for number in range(4):
        shelf.segment("%d" % number, part)
    shelf.slo("big", [{"path": "%d" % number} for number in range(4)])
    shelf.put("small", b"small")
    small = child(shelf, collection, container=shelf.name, name="small", dest=str(tmp_path / "small"))
    big = child(shelf, collection, container=shelf.name, name="big", dest=str(tmp_path / "big"))
    assert big["result"]["resource"]["size"] == 4 * len(part) == (tmp_path / "big").stat().st_size
    assert big["peak"] - small["peak"] < 64


def test_joined_is_the_etag_of_a_large_object():
    parts = [os.urandom(n) for n in (10, 1, 500)]
    wanted = hashlib.md5("".join(hashlib.md5(p).hexdigest() for p in parts).encode()).hexdigest()
    content = b"".join(parts)
    for step in (1, 7, 10, 11, 600):
        joined = Joined(len(p) for p in parts)
        for at in range(0, len(content), step):
            joined.update(content[at : at + step])
        assert joined.hexdigest() == wanted
    assert Joined([3]).hexdigest() == ""
    for wrong in (content[:-1], content + b"x"):
        joined = Joined(len(p) for p in parts)
        joined.update(wrong)
        assert joined.hexdigest() == ""
