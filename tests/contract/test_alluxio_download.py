# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""alluxio_download in both dialects, requests counted in the server's own log."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import AlluxioDownload
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server


class Shelf:
    """A directory of its own, filled through the client."""

    def __init__(self, server):
        self.server, self.top = server, server.new_path()
        self.client = client_for(common.CONNECTION, server.connection(), 8, {})
        self.digests = self.client.can("xattr")

    def put(self, name, content=b"", xattr=None):
        path = "%s/%s" % (self.top, name)
        if xattr is None and self.digests:
            xattr = {common.DIGEST: common.digest(hashlib.sha256(content).hexdigest(), len(content))}
        self.client.upload(path, lambda: io.BytesIO(content), len(content), xattr=xattr)

    def replace(self, name, content):
        self.client.delete("%s/%s" % (self.top, name))
        self.put(name, content)

    def folder(self, name):
        self.client.create_directory("%s/%s" % (self.top, name))

    def post(self, place, body=b"{}"):
        request = urllib.request.Request(self.server.url + "/api/v1/" + place, data=body, method="POST")
        request.add_header("Content-Type", "application/json")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.read()

    def begin(self, name):
        """A file that is being written; returns what ends it."""
        place = urllib.parse.quote("paths/%s/%s/create-file" % (self.top, name))
        number = int(self.post(place, b'{"writeType": "CACHE_THROUGH"}'))
        return lambda: self.post("streams/%d/close" % number)

    def asked(self, mark):
        """The operations of the requests since then, without that for the version."""
        paths = [r["path"].partition("?")[0] for r in self.server.requests(mark)]
        return [path.rsplit("/", 1)[-1] for path in paths if not path.endswith("/proxy/info")]

    def download(self, ok=True, **options):
        options = {"path": self.top, **options}
        return (run_ok if ok else run_task)(AlluxioDownload, self.server, **options)


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def shelf(request):
    found = Shelf(request.getfixturevalue(request.param))
    yield found
    found.server.clear_faults()
    found.client.delete(found.top, recursive=True)


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


def test_a_file(shelf, tmp_path):
    shelf.put("dir/my bird #1 50% ü&;+.txt", b"tweet")
    dest = tmp_path / "sub" / "bird"
    options = {"path": shelf.top + "/dir/my bird #1 50% ü&;+.txt", "dest": str(dest)}
    done = contract(shelf, {"sub/bird": b"tweet"}, tmp_path, **options)
    assert done["resource"].get("digest") == (hashlib.sha256(b"tweet").hexdigest() if shelf.digests else None)
    mark = shelf.server.mark()
    shelf.download(**options)
    read = [] if shelf.digests else ["get-status", "open-file", "read", "close"]
    assert shelf.asked(mark) == ["get-status", *read]
    into = tmp_path / "into"
    into.mkdir()
    shelf.download(path=options["path"], dest=str(into))
    assert files(into) == {"my bird #1 50% ü&;+.txt": b"tweet"}


def test_a_tree(shelf, tmp_path):
    wanted = {"plain": b"p" * 5000, "empty": b"", "ünï/cödé": "grüße".encode(), "a/b/c/deep": os.urandom(300_000)}
    for name, content in wanted.items():
        shelf.put("t/" + name, content)
    shelf.folder("t/hollow/inner")
    shelf.put("tea", b"not below t")
    dest = tmp_path / "x"
    done = contract(shelf, wanted, dest, path=shelf.top + "/t/", dest=str(dest))
    assert (dest / "hollow" / "inner").is_dir()
    assert done["summary"]["created"] == len(wanted) + 1
    for name in wanted:
        if wanted[name]:
            changed = bytearray(wanted[name])
            changed[-1] ^= 1
            (dest / name).write_bytes(changed)
    again = shelf.download(path=shelf.top + "/t", dest=str(dest))
    assert again["summary"]["updated"] == len(wanted) - 1
    assert files(dest) == wanted


def test_an_unchanged_tree_costs_one_listing(shelf, tmp_path):
    for number in range(20):
        shelf.put("t%d/%d" % (number % 3, number), b"content %d" % number)
    shelf.download(dest=str(tmp_path))
    assert len(files(tmp_path)) == 20
    mark = shelf.server.mark()
    again = shelf.download(dest=str(tmp_path))
    assert not again["changed"] and again["summary"]["unchanged"] == 20
    assert shelf.asked(mark)[:2] == ["get-status", "list-status"]
    if shelf.digests:
        assert len(shelf.asked(mark)) == 2
    shelf.replace("t1/7", b"another 7")
    assert shelf.download(dest=str(tmp_path))["summary"]["updated"] == 1
    assert files(tmp_path)["t1/7"] == b"another 7"


def test_content_of_others_is_compared_as_it_comes(shelf, tmp_path):
    shelf.put("plain", b"theirs" * 1000, xattr={})
    if shelf.digests:
        shelf.put("lying", b"theirs", xattr={common.DIGEST: common.digest(hashlib.sha256(b"other").hexdigest(), 5)})
    shelf.download(dest=str(tmp_path))
    mark = shelf.server.mark()
    assert not shelf.download(dest=str(tmp_path))["changed"]
    assert shelf.server.writes(mark) == []
    (tmp_path / "plain").write_bytes(b"theirS" * 1000)
    assert shelf.download(dest=str(tmp_path))["summary"]["updated"] == 1
    assert files(tmp_path)["plain"] == b"theirs" * 1000


def test_prune_with_brakes(shelf, tmp_path):
    for number in range(5):
        shelf.put("t/%d" % number, b"x")
    options = {"path": shelf.top + "/t", "dest": str(tmp_path), "prune": True}
    shelf.download(**options)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "old").write_bytes(b"old")
    refused = shelf.download(ok=False, **options)
    assert refused["failed"] and "max_delete 10%" in refused["msg"]
    contract(shelf, {str(n): b"x" for n in range(5)}, tmp_path, max_delete="50%", **options)
    assert not (tmp_path / "sub").exists()
    shelf.folder("none")
    refused = shelf.download(ok=False, **{**options, "path": shelf.top + "/none"})
    assert refused["failed"] and "allow_empty" in refused["msg"]
    refused = shelf.download(ok=False, **{**options, "path": shelf.top + "/t/1"})
    assert refused["failed"] and "prune: is for trees" in refused["msg"]


def content_of(shelf):
    """What matches the requests that carry content."""
    return "/download-file|/streams/[0-9]+/read"


@pytest.mark.parametrize("digest", [True, False])
def test_a_cut_download_begins_anew(shelf, tmp_path, monkeypatch, digest):
    monkeypatch.setattr(AlluxioDownload, "again", Retry(5, base=0.0))
    content = os.urandom(2_000_000)
    shelf.put("big", content, xattr=None if digest else {})
    for size in (1_300_000, 700_000):
        shelf.server.fault("cut", path=content_of(shelf), bytes=size)
    mark = shelf.server.mark()
    shelf.download(path=shelf.top + "/big", dest=str(tmp_path / "big"))
    assert files(tmp_path) == {"big": content}
    assert len([one for one in shelf.asked(mark) if one in ("download-file", "read")]) == 3
    assert shelf.server.writes(mark) == []


def test_a_file_replaced_between_two_pieces_replaces_nothing(shelf, tmp_path, monkeypatch):
    def meanwhile(pause):
        shelf.replace("big", b"2" * 2_000_000)

    monkeypatch.setattr(AlluxioDownload, "again", Retry(5, base=0.0, sleep=meanwhile))
    shelf.put("big", b"1" * 2_000_000)
    (tmp_path / "big").write_bytes(b"old")
    shelf.server.fault("cut", path=content_of(shelf), bytes=1_300_000)
    options = {"path": shelf.top + "/big", "dest": str(tmp_path / "big")}
    result = shelf.download(ok=False, **options)
    # With a digest that alone decides; without one what has come is compared before it is gone on with.
    words = "has another digest than was announced" if shelf.digests else "was replaced on the server while it was read"
    assert result["failed"] and words in result["msg"]
    assert files(tmp_path) == {"big": b"old"}
    shelf.download(**options)
    assert files(tmp_path) == {"big": b"2" * 2_000_000}


def test_incomplete_files_are_an_error_that_names_them(shelf, tmp_path):
    shelf.put("whole", b"whole")
    ends = [shelf.begin(name) for name in ("half", "third")]
    try:
        result = shelf.download(ok=False, dest=str(tmp_path))
        assert result["failed"] and result["failures"][0]["code"] == "INCOMPLETE"
        assert "%s/half, %s/third are incomplete" % (shelf.top, shelf.top) in result["msg"]
        result = shelf.download(ok=False, path=shelf.top + "/half", dest=str(tmp_path / "half"))
        assert result["failed"] and "%s/half is incomplete" % shelf.top in result["msg"]
        assert files(tmp_path) == {}
    finally:
        for end in ends:
            end()


def test_uploads_that_run_or_have_died_are_left_out(shelf, tmp_path):
    shelf.put("t/whole", b"whole")
    shelf.put("t/.polystore-0123456789abcdef-01234567", b"died before the rename")
    shelf.put("t/.polystore-notes", b"not ours")
    end = shelf.begin("t/.polystore-0123456789abcdef-76543210")
    try:
        shelf.download(path=shelf.top + "/t", dest=str(tmp_path))
        assert files(tmp_path) == {"whole": b"whole", ".polystore-notes": b"not ours"}
    finally:
        end()


def test_what_is_not_there(shelf, tmp_path):
    shelf.put("file", b"x")
    for name in ("none", "file/below"):
        result = shelf.download(ok=False, path="%s/%s" % (shelf.top, name), dest=str(tmp_path / "x"))
        assert result["failed"] and "There is no file or directory %s/%s" % (shelf.top, name) in result["msg"]
        assert "sync_metadata" in result["msg"]
    mark = shelf.server.mark()
    for path in ("relative", shelf.top + "/a?b", shelf.top + "/../x", "alluxio://master" + shelf.top):
        result = shelf.download(ok=False, path=path, dest=str(tmp_path / "x"))
        assert result["failed"] and "path: " in result["msg"]
    assert shelf.server.requests(mark) == [] and files(tmp_path) == {}


def test_a_change_behind_alluxio(shelf, tmp_path):
    shelf.put("file", b"before")
    dest = str(tmp_path / "file")
    shelf.download(path=shelf.top + "/file", dest=dest, sync_metadata=True)  # Alluxio takes note of what is below
    behind = os.path.join(str(shelf.server.ufs), shelf.top.lstrip("/"), "file")
    with open(behind, "wb") as stream:
        stream.write(b"after that")
    done = shelf.download(path=shelf.top + "/file", dest=dest, sync_metadata=True)
    assert done["changed"] and files(tmp_path) == {"file": b"after that"}
    with open(os.path.join(os.path.dirname(behind), "new"), "wb") as stream:
        stream.write(b"new")
    shelf.download(dest=str(tmp_path), sync_metadata=True)
    assert files(tmp_path) == {"file": b"after that", "new": b"new"}


def test_a_batch_of_paths(shelf, tmp_path):
    for number in range(4):
        shelf.put("f%d" % number, b"%d" % number)
    batch = [{"path": "%s/f%d" % (shelf.top, number)} for number in range(4)]
    wanted = {"f%d" % n: b"%d" % n for n in range(4)}
    contract(shelf, wanted, tmp_path, dest=str(tmp_path) + "/", mode="0640", batch=batch)
    shelf.put("other/f1", b"clash")
    clash = shelf.download(ok=False, dest=str(tmp_path) + "/", batch=[*batch, {"path": shelf.top + "/other/f1"}])
    assert clash["failed"] and "cannot both be at" in clash["msg"]


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import AlluxioDownload
from ansible_collections.polystore.storage.tests.support.memory import peak
from ansible_collections.polystore.storage.tests.support.run import run_task
connection, options = json.loads(sys.argv[2])
result = run_task(AlluxioDownload, connection, **options)
print(json.dumps([result, peak()]))
"""


def child(shelf, collection, **options):
    """The result and the peak memory (MiB) of a process of its own."""
    given = json.dumps([shelf.server.connection(), options])
    command = [sys.executable, "-c", CHILD, str(collection.parents[2]), given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_memory_stays_flat(shelf, tmp_path, collection):
    content = os.urandom(1 << 20) * 80
    shelf.put("big", content)
    shelf.put("small", b"small")
    _result, small = child(shelf, collection, path=shelf.top + "/small", dest=str(tmp_path / "small"))
    result, big = child(shelf, collection, path=shelf.top + "/big", dest=str(tmp_path / "big"))
    assert result["resource"]["size"] == len(content) == (tmp_path / "big").stat().st_size
    assert big - small < 64
