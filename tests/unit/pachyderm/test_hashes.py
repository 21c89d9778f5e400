# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a file, against what a real server answered, with and without numpy."""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import hashes

VECTORS = json.loads((pathlib.Path(__file__).parent / "hash_vectors.json").read_text())["files"]
SHAKE = hashlib.shake_128(b"polystore").digest(60_000_000)


def numpy_scan() -> hashes.Scan:
    return hashes.numpy_scan(pytest.importorskip("numpy"))


SCANS = [pytest.param(lambda: hashes.INTEGERS, id="integers"), pytest.param(numpy_scan, id="numpy")]


def content(kind: str, size: int) -> bytes:
    return {"shake": SHAKE[:size], "a": b"a" * size, "zero": bytes(size)}[kind]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def hashed(data: bytes, scan: hashes.Scan | None, size: int = 1 << 20) -> str:
    found = hashes.ContentHash(scan)
    for piece in pieces(data, size):
        found.update(piece)
    return found.hexdigest()


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("row", VECTORS, ids=lambda row: "%(content)s-%(size)d" % row)
def test_vector(row: dict[str, Any], scan: Any) -> None:
    assert hashed(content(row["content"], row["size"]), scan()) == row["hash"]


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 23


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("size", [65_536, 1_000_003, 999])
def test_pieces_of_any_size(scan: Any, size: int) -> None:
    """The first cut of this content is at 1,519,895: the pieces end before, at and after what matters."""
    whole = SHAKE[:1_600_000]
    assert hashed(whole, scan(), size) == hashed(whole, scan(), len(whole))


@pytest.mark.parametrize("scan", SCANS)
def test_a_cut_is_where_the_sum_says(scan: Any) -> None:
    """Byte 1,519,895 ends a chunk, wherever it lies in the window; the sum over one byte more or less does not."""
    find = scan().find
    for before in [*range(64, 200), 1000, 4095]:
        window = SHAKE[1_519_895 - before : 1_519_895 + 100]
        assert find(window) == before
        assert find(window[: before + 1]) == before
        assert find(window[:before]) == -1
    broken = bytearray(SHAKE[1_519_895 - 64 : 1_519_895 + 1])
    broken[1] ^= 1
    assert find(bytes(broken)) == -1


def test_a_hash_can_go_on() -> None:
    found = hashes.ContentHash()
    assert found.hexdigest() == VECTORS[0]["hash"]
    found.update(b"a")
    assert found.digest() == found.digest() == bytes.fromhex(VECTORS[14]["hash"])
    found.update(bytearray(b"b"))
    assert found.hexdigest() == hashed(b"ab", None)


def test_of_a_source(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(SHAKE[:5_000_000])
    assert hashes.of(Source(str(path))) == next(r["hash"] for r in VECTORS if r["size"] == 5_000_000)
    assert hashes.of(Source(data=b"a")) == VECTORS[14]["hash"]
    assert hashes.of(Source(data=b"")) == VECTORS[0]["hash"]


def test_of_a_source_is_worked_out_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1000)
    source, made = Source(str(tmp_path / "f")), list[int]()
    monkeypatch.setattr(source, "reader", lambda *what: made.append(1) or Source.reader(source, *what))
    assert hashes.of(source) == hashes.of(source)
    assert made == [1]


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes.best_scan.cache_clear()
    monkeypatch.setitem(sys.modules, "numpy", None)
    try:
        assert hashes.best_scan() is hashes.INTEGERS
    finally:
        hashes.best_scan.cache_clear()


def test_numpy_is_not_imported_for_small_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Any:
        raise AssertionError("scanned")

    monkeypatch.setattr(hashes, "best_scan", never)
    hashed(SHAKE[:999_999], None)
    with pytest.raises(AssertionError, match="scanned"):
        hashed(SHAKE[:1_000_000], None)


@pytest.mark.parametrize("scan", SCANS)
def test_memory_is_flat(scan: Any) -> None:
    found = hashes.ContentHash(scan())
    found.update(SHAKE[:1_200_000])  # the tables are there now
    view = memoryview(SHAKE)
    tracemalloc.start()
    for at in range(1_200_000, 4_000_000, 1 << 18):
        found.update(view[at : at + (1 << 18)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
