# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FastDFS that stumbles under a tree, a download or a question: what was done is told, and the next run mends it."""

from __future__ import annotations

import io
import os

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.download import FdfsDownload
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import Manifest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = [pytest.mark.server, pytest.mark.fastdfs]
LARGE = os.urandom(700_000)


def quick(action):
    """Options of a task that does not try again, and does not wait for long where nothing comes."""
    return {"timeout": 3 if action == "hang" else 30, "connect_timeout": 10, "retries": 0}


class Place:
    """A tree with two files, its manifest, and a file of nobody's."""

    def __init__(self, server, home):
        self.server, self.home = server, home
        self.top, self.path = home / "tree", str(home / "files.json")
        self.top.mkdir()
        for name in ("a", "b"):
            (self.top / name).write_bytes(name.encode() * 100)
        self.options = {"src": str(self.top), "manifest": self.path}
        self.client = client_for(CONNECTION, server.connection(), 8, {})

    def sync(self, **more):
        return run_task(SyncResource, self.server, **{**self.options, **more})

    def mended(self):
        """Without faults the next run leads to what is declared, and the one after it has nothing to do."""
        self.server.clear_faults()
        run_ok(SyncResource, self.server, **self.options)
        assert run_ok(SyncResource, self.server, **self.options)["changed"] is False
        manifest = Manifest.load(self.path)
        assert manifest.leftovers() == []
        for name, entry in manifest.entries.items():
            assert self.client.read(entry["id"]) == (self.top / name).read_bytes()
        assert sorted(manifest.entries) == sorted(os.listdir(self.top))


@pytest.fixture
def place(fdfs_server, tmp_path):
    return Place(fdfs_server, tmp_path)


def told(result):
    """The first failure of a result that failed for a reason of the server's."""
    assert result["failed"] is True, result
    assert "exception" not in result
    failure = result["failures"][0]
    assert failure["operation"] and failure["message"] and failure["hint"]
    return failure


# (fault, its method, what more of it, the code and a word of the message)
REFUSALS = [
    ("status", "upload", {"status": 28}, 28, "ENOSPC"),
    ("status", "upload", {"status": 5}, 5, "EIO"),
    ("status", "upload", {"status": 22}, 22, "EINVAL"),
    ("status", "upload", {"status": 1}, 1, "EPERM"),
    ("status", "upload", {"status": 77}, 77, "errno 77"),
    ("status", "query_store", {"status": 28}, 28, "ENOSPC"),
    ("status", "query_store", {"status": 2}, 2, "no active storage"),
    ("close", "upload", {}, None, "closed the connection"),
    ("close_after", "upload", {}, None, "closed the connection"),
    ("cut_upload", "upload", {"bytes": 3}, None, "upload"),
    ("hang", "upload", {}, None, "no answer in 3 s"),
    ("hang", "query_store", {}, None, "no answer in 3 s"),
    ("cut", "upload", {"bytes": 4}, None, "upload"),
]


@pytest.mark.parametrize(("action", "method", "more", "code", "words"), REFUSALS, ids=lambda value: str(value)[:20])
def test_an_upload_that_fails(place, action, method, more, code, words):
    place.server.fault(action, method=method, count=None, **more)
    result = place.sync(**quick(action), parallel=1)
    failure = told(result)
    assert failure["code"] == code and words in failure["message"] + failure["server_message"]
    assert Manifest.load(place.path).entries == {}
    place.mended()


@pytest.mark.parametrize("status", [11, 16, 12])
def test_what_passes_is_asked_again(place, status):
    place.server.fault("status", method="upload", count=1, status=status)
    assert place.sync()["summary"]["created"] == 2
    place.mended()


def test_an_upload_is_not_repeated_when_it_may_have_arrived(place):
    """Its answer was lost: nothing can be known, and the manifest says so."""
    place.server.fault("close_after", method="upload", count=1)
    mark = place.server.mark()
    result = place.sync(parallel=1)
    assert told(result)["item"] in ("a", "b") and result["summary"]["created"] == 1
    assert len(place.server.writes(mark)) == 2
    (doubt,) = Manifest.load(place.path).doubts or Manifest.load(place.path).heard
    assert doubt["size"] == 100
    place.mended()


@pytest.mark.parametrize(
    ("action", "method", "more"),
    [
        ("status", "query_file_info", {"status": 5}),
        ("status", "query_update", {"status": 2}),
        ("close", "query_file_info", {}),
        ("hang", "query_file_info", {}),
        ("cut", "query_file_info", {"bytes": 7}),
    ],
)
def test_a_question_that_fails_changes_nothing(place, action, method, more):
    """What cannot be looked at is not taken for missing."""
    run_ok(SyncResource, place.server, **place.options)
    before = Manifest.load(place.path).entries
    place.server.fault(action, method=method, count=None, **more)
    mark = place.server.mark()
    client_for(CONNECTION, {**place.server.connection(), **quick(action)}, 8, {})._homes.clear()
    result = place.sync(**quick(action))
    told(result)
    assert (result["changed"], place.server.writes(mark)) == (False, [])
    assert Manifest.load(place.path).entries == before
    place.mended()


@pytest.mark.parametrize(
    ("action", "more"), [("status", {"status": 5}), ("close", {}), ("close_after", {}), ("hang", {})]
)
def test_metadata_that_cannot_be_set(place, action, more):
    """A new file whose metadata were refused is no file of the manifest's, and does not stay."""
    place.server.fault(action, method="set_metadata", count=None, **more)
    mark = place.server.mark()
    told(place.sync(metadata={"team": "birds"}, parallel=1, **quick(action)))
    assert Manifest.load(place.path).entries == {}
    stored = [entry["path"] for entry in place.server.writes(mark) if entry["method"] == "upload"]
    place.server.clear_faults()
    assert stored and not any(place.client.info(path, crc32=False) for path in stored)
    place.mended()


@pytest.mark.parametrize(("action", "more"), [("status", {"status": 5}), ("close", {}), ("hang", {})])
def test_an_old_file_that_cannot_be_deleted(place, action, more):
    """It is a leftover, of which the task warns, and which the next run deletes."""
    run_ok(SyncResource, place.server, **place.options)
    old = Manifest.load(place.path).entries["a"]["id"]
    (place.top / "a").write_bytes(b"new")
    place.server.fault(action, method="delete", count=None, **more)
    result = place.sync(**quick(action))
    assert not result.get("failed") and old in result["warnings"][0]
    place.mended()
    assert place.client.info(old) is None


@pytest.mark.parametrize(
    ("action", "more", "words"),
    [
        ("status", {"status": 5}, "EIO"),
        ("close", {}, "closed the connection"),
        ("hang", {}, "no answer in 3 s"),
        ("cut", {"bytes": 100}, "closed the connection"),
    ],
)
def test_a_download_that_fails_replaces_nothing(place, action, more, words, monkeypatch):
    monkeypatch.setattr(FdfsDownload, "again", type(FdfsDownload.again)(1, base=0.0))
    file = place.client.upload(lambda: io.BytesIO(LARGE), len(LARGE))
    dest = place.home / "x"
    dest.write_bytes(b"old")
    place.server.fault(action, method="download", count=None, **more)
    failure = told(run_task(FdfsDownload, place.server, file_id=file.text, dest=str(dest), **quick(action)))
    assert words in failure["message"] + failure["server_message"]
    assert dest.read_bytes() == b"old" and sorted(os.listdir(place.home)) == ["tree", "x"]
    place.server.clear_faults()
    run_ok(FdfsDownload, place.server, file_id=file.text, dest=str(dest))
    assert dest.read_bytes() == LARGE


@pytest.mark.parametrize(("action", "more"), [("status", {"status": 5}), ("close", {}), ("hang", {})])
def test_a_manifest_is_checked_as_far_as_it_goes(place, action, more):
    run_ok(SyncResource, place.server, **place.options)
    path = Manifest.load(place.path).entries["a"]["id"]
    place.server.fault(action, method="query_file_info", path=path, count=None, **more)
    found = run_ok(Info, place.server, manifest=place.path, **quick(action))["manifest"]
    assert found["summary"] == {"ok": 1, "missing": 0, "differs": 0, "unknown": 1}
    assert found["entries"][0]["problem"]


@pytest.mark.parametrize("subject", [SyncResource, FdfsDownload, Info])
def test_nobody_answers(place, subject):
    """No tracker: one error, which names it, and not one for each file."""
    run_ok(SyncResource, place.server, **place.options)
    more = {SyncResource: place.options, FdfsDownload: {"dest": str(place.home / "d")}}.get(subject, {})
    options = {"manifest": place.path, **more, **quick("")}
    place.server.listen(False)
    (failure,) = run_task(subject, place.server, **options)["failures"]
    assert "tracker" in failure["message"] and "Does it run" in failure["hint"]
