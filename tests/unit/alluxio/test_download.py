# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A download from Alluxio that is cut: it begins anew, writes nothing twice, and notices another content."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import AlluxioDownload, complete
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters


class Proxy:
    """One file, and what each stream of it gives: (content, chunk, where it is cut)."""

    def __init__(self, length, *streams, digest=None):
        self.counters = Counters()
        xattr = {"polystore.digest": digest} if digest else {}
        self.info = {"path": "/f", "folder": False, "completed": True, "length": length, "xattr": xattr}
        self.streams = list(streams)

    def get_status(self, path, sync=False):
        return dict(self.info, path=path)

    @contextlib.contextmanager
    def stream(self, path):
        yield self._chunks(*self.streams.pop(0))

    @staticmethod
    def _chunks(content, step=10, cut=None):
        whole = content if cut is None else content[:cut]
        for at in range(0, len(whole), step):
            yield whole[at : at + step]
        if cut is not None:
            raise StorageError("cut", transient=True)


class Download(AlluxioDownload):
    again = Retry(5, base=0.0)


def fetch(proxy, dest):
    run = Run()
    return Engine(Download(proxy, run), run).execute([build(Download.Item, {"path": "/f", "dest": str(dest)})])


ONE, TWO = bytes(range(100)), bytes(range(100, 200))


@pytest.mark.parametrize("step", [1, 7, 10, 100])
@pytest.mark.parametrize("cut", [0, 1, 49, 50, 99, 100])
def test_a_cut_stream_begins_anew(tmp_path, step, cut):
    proxy = Proxy(100, (ONE, 10, cut), (ONE, step, cut // 2), (ONE, step, None))
    result = fetch(proxy, tmp_path / "f")
    assert not result.get("failed"), result
    assert (tmp_path / "f").read_bytes() == ONE
    assert proxy.streams == []


@pytest.mark.parametrize("second", [TWO, ONE[:40], ONE[:49] + b"x" + ONE[50:]])
def test_another_content_after_a_cut_is_an_error(tmp_path, second):
    (tmp_path / "f").write_bytes(b"old")
    result = fetch(Proxy(100, (ONE, 10, 50), (second, 10, None)), tmp_path / "f")
    assert result["failed"] and "/f was replaced on the server while it was read" in result["msg"]
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("f", b"old")]


def test_a_change_behind_the_cut_is_told_by_the_digest(tmp_path):
    digest = b"sha256:%s:100" % hashlib.sha256(ONE).hexdigest().encode()
    changed = ONE[:-1] + b"x"
    result = fetch(Proxy(100, (ONE, 10, 50), (changed, 10, None), digest=digest), tmp_path / "f")
    assert result["failed"] and "another digest" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_ends_early_is_asked_for_again(tmp_path):
    assert not fetch(Proxy(100, (ONE[:60], 10, None), (ONE, 10, None)), tmp_path / "f").get("failed")
    assert (tmp_path / "f").read_bytes() == ONE
    result = fetch(Proxy(100, *[(TWO[:60], 10, None)] * 6), tmp_path / "g")
    assert result["failed"] and "/f ended after 60 of 100 bytes" in result["msg"]
    result = fetch(Proxy(100, (ONE + b"more", 10, None)), tmp_path / "g")
    assert result["failed"] and "104 bytes arrived where 100 were due" in result["msg"]
    assert [f.name for f in tmp_path.iterdir()] == ["f"]


def test_a_digest_for_another_length_is_not_believed(tmp_path):
    (tmp_path / "f").write_bytes(ONE)
    digest = b"sha256:%s:99" % hashlib.sha256(ONE).hexdigest().encode()
    proxy = Proxy(100, (ONE, 10, 30), (ONE, 7, None), digest=digest)
    assert fetch(proxy, tmp_path / "f")["changed"] is False
    assert proxy.streams == []


def test_content_is_compared_as_far_as_it_differs(tmp_path):
    (tmp_path / "f").write_bytes(TWO)
    proxy = Proxy(100, (ONE, 10, 90), (ONE, 10, None))
    result = fetch(proxy, tmp_path / "f")
    assert result["resource"]["action"] == "updated" and proxy.streams == []
    assert (tmp_path / "f").read_bytes() == ONE


def test_incomplete_files_are_named():
    rows = [{"path": "/d", "folder": True, "completed": True}, {"path": "/ok", "folder": False, "completed": True}]
    complete(rows)
    rows += [{"path": "/i%d" % number, "folder": False, "completed": False} for number in range(7)]
    with pytest.raises(StorageError) as caught:
        complete(rows)
    assert "/i0, /i1, /i2, /i3, /i4, and 2 more are incomplete" in caught.value.message
    assert "alluxio_file" in caught.value.hint
