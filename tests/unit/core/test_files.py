# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local files as sources: read once, in pieces, and never while they change."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import socket
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import (
    CHUNK,
    ContentItem,
    Source,
    TreeItem,
    only_one,
    scan,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.core.streams import Beside, Sink
from hypothesis import given
from hypothesis import strategies as st


def everything(source: Source, offset: int = 0, length: int | None = None, step: int = -1) -> bytes:
    with source.reader(offset, length) as part:
        return b"".join(iter(lambda: part.read(step), b""))


@given(st.binary(max_size=50), st.integers(0, 50), st.integers(1, 60))
def test_parts_of_bytes(data: bytes, offset: int, step: int) -> None:
    source = Source(data=data)
    offset = min(offset, len(data))
    assert everything(source, offset, step=step) == data[offset:]
    assert everything(source, 0, offset) == data[:offset]
    assert source.md5() == hashlib.md5(data).hexdigest()
    assert source.md5(offset) == hashlib.md5(data[offset:]).hexdigest()


def test_a_file_is_read_in_pieces(tmp_path: pathlib.Path) -> None:
    data = os.urandom(3 * CHUNK + 5)
    path = tmp_path / "file"
    path.write_bytes(data)
    source = Source(str(path))
    assert source.size == len(data)
    digest = hashlib.md5()
    with source.reader(1, 2 * CHUNK, digest) as part:
        assert part.readable()
        assert len(part.read(10 * CHUNK)) <= 2 * CHUNK
        while part.read():
            pass
    assert digest.hexdigest() == source.md5(1, 2 * CHUNK) == hashlib.md5(data[1 : 2 * CHUNK + 1]).hexdigest()
    assert everything(source) == data


@pytest.mark.parametrize("how", ["longer", "shorter", "other", "replaced", "gone"])
def test_a_file_that_changes_is_noticed(tmp_path: pathlib.Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    source = Source(str(path))
    if how == "replaced":
        (tmp_path / "new").write_bytes(b"12345")
        (tmp_path / "new").replace(path)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes({"longer": b"123456", "shorter": b"1234", "other": b"abcde"}[how])
        os.utime(path, ns=(1, 1))
    with pytest.raises(StorageError, match="cannot be read" if how == "gone" else "changed while it was read"):
        everything(source)


def test_a_file_that_changes_in_the_middle_is_noticed_at_the_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with Source(str(path)).reader() as part:
        assert part.read(2) == b"12"
        path.write_bytes(b"12")
        with pytest.raises(StorageError, match="changed while it was read"):
            while part.read(2):
                pass


@pytest.mark.parametrize("what", ["nothing", "directory", "fifo", "nul"])
def test_what_cannot_be_a_source(tmp_path: pathlib.Path, what: str) -> None:
    path = {"directory": str(tmp_path), "nul": "a\0b"}.get(what, str(tmp_path / what))
    if what == "fifo":
        os.mkfifo(path)
    with pytest.raises(OptionError, match="^src: "):
        Source(path)


def test_content_of_an_item(tmp_path: pathlib.Path) -> None:
    (tmp_path / "f").write_bytes(b"file")
    raws: list[dict[str, Any]] = [{"src": str(tmp_path / "f")}, {"content": "grün"}, {"content_b64": "AAE="}]
    found = [build(ContentItem, raw).source() for raw in raws]
    assert [everything(source) for source in found if source] == [b"file", "grün".encode(), b"\0\1"]
    assert build(ContentItem, {}).source() is None
    with pytest.raises(OptionError, match="content_b64: it is not valid base64"):
        build(ContentItem, {"content_b64": "AA=E"})
    empty = build(ContentItem, {"content": ""}).source()
    assert empty is not None
    assert (everything(empty), empty.size) == (b"", 0)


def test_exactly_one_of_several_options() -> None:
    names = ("src", "content", "content_b64")
    assert only_one(build(ContentItem, {"content": "a"}), names) == "content"
    assert only_one(build(ContentItem, {}), names) is None
    with pytest.raises(OptionError, match="^src: is missing"):
        only_one(build(ContentItem, {}), names, needed=True)
    with pytest.raises(OptionError, match="content_b64: cannot be given together with content"):
        only_one(build(ContentItem, {"content": "a", "content_b64": base64.b64encode(b"a").decode()}), names)


# --- trees


def tree(path: pathlib.Path, **raw: Any) -> list[str]:
    """The names that a scan yields; each with the path it stands for."""
    found = list(scan(build(TreeItem, {"src": str(path), **raw})))
    assert all(os.path.samefile(path / name, place) for name, place in found)
    return [name for name, _place in found]


@pytest.fixture
def garden(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("b.txt", "a/c.txt", "a/d.log", "a/.hidden", "ü/x y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_tree(garden: pathlib.Path) -> None:
    assert tree(garden) == ["a/.hidden", "a/c.txt", "a/d.log", "b.txt", "ü/x y"]
    assert tree(garden, include=["*.txt"]) == ["a/c.txt", "b.txt"]
    assert tree(garden, include=["a/"], exclude=["*.log"]) == ["a/.hidden", "a/c.txt"]
    assert tree(garden, exclude=["a/"]) == ["b.txt", "ü/x y"]


def test_links_are_followed_only_when_asked(garden: pathlib.Path) -> None:
    (garden / "link").symlink_to(garden / "b.txt")
    (garden / "dir").symlink_to(garden / "a")
    with pytest.raises(OptionError, match="is a symbolic link"):
        tree(garden)
    assert "link" not in tree(garden, exclude=["link", "dir"])
    assert {"link", "dir/c.txt"} <= set(tree(garden, follow=True))
    (garden / "a" / "up").symlink_to(garden)
    with pytest.raises(OptionError, match="leads back"):
        tree(garden, follow=True)


def test_what_cannot_be_sent(garden: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as special:
        special.bind(str(garden / "socket"))
        with pytest.raises(OptionError, match="socket is not a regular file"):
            tree(garden)
        assert "socket" not in tree(garden, exclude=["socket"])
    (garden / "socket").unlink()
    with open(os.path.join(os.fsencode(garden), b"\xff"), "wb"):
        pass
    with pytest.raises(OptionError, match="is not valid UTF-8"):
        tree(garden)


def test_what_is_no_tree(garden: pathlib.Path) -> None:
    with pytest.raises(OptionError, match="is not a directory"):
        tree(garden / "b.txt")
    with pytest.raises(OptionError, match="does not exist"):
        tree(garden / "nothing")


def test_the_brakes_of_a_tree() -> None:
    assert build(TreeItem, {"src": "/"}).brakes() == {"max_delete": (10, True), "allow_empty": False}
    item = build(TreeItem, {"src": "/", "max_delete": "5", "allow_empty": True})
    assert item.brakes() == {"max_delete": (5, False), "allow_empty": True}


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_digest_beside(factor: int) -> None:
    """Small content is hashed at once, large content in a thread."""
    pieces = [bytes([n]) * n * factor for n in range(100)]
    with Beside(hashlib.md5()) as beside:
        for piece in pieces:
            beside.update(piece)
    assert beside.hexdigest() == hashlib.md5(b"".join(pieces)).hexdigest()


def test_a_digest_of_nothing_beside() -> None:
    unused = Beside(hashlib.md5())
    unused.close()
    assert unused.hexdigest() == hashlib.md5().hexdigest()


def test_a_sink_writes_all(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the system takes a part at a time, and beyond the size from which flushing begins early."""
    wrote = os.write
    monkeypatch.setattr(os, "write", lambda file, data: wrote(file, data[:3_000_001]))
    blocks = [bytes([n]) * 5_000_000 for n in range(4)]
    file = os.open(tmp_path / "sink", os.O_WRONLY | os.O_CREAT)
    sink = Sink(file)
    for block in blocks:
        sink.write(block)
    os.close(file)
    assert (tmp_path / "sink").read_bytes() == b"".join(blocks)
