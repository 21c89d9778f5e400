# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's rows, against the pachd of PACHD_ADDRESS or the sandbox's: see rows.py for what a row is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import hashes
from ansible_collections.polystore.storage.tests.benchmarks.bench import MIB, Bench, Missing, Sample, pachyderm_python

SDK = pathlib.Path(__file__).resolve().parent / "sdk_worker.py"


def sdk(bench: Bench, repo: str, what: str, path: object) -> float:
    """Seconds of the official SDK, without those of its start."""
    spent = bench.spend(pachyderm_python(), SDK, bench.pachd, repo, what, str(path))
    return float(spent.output.split()[-1])


@contextlib.contextmanager
def repos(bench: Bench, *words: str) -> Iterator[list[dict[str, Any]]]:
    """Options of tasks that use a new repo each."""
    found = [{"address": bench.pachd, "repo": bench.name(word)} for word in words]
    rows = {"address": bench.pachd, "batch": [{"name": row["repo"]} for row in found]}
    bench.work(["pachyderm_repo", rows])
    try:
        yield found
    finally:
        bench.work(["pachyderm_repo", {**rows, "state": "absent", "force": True}])


def row_pachyderm_files(bench: Bench) -> Iterator[Sample]:
    """1,000 files of 1 KiB in one task, and once more; the SDK in one commit."""
    src = bench.tree(1000, 1024)
    with repos(bench, "mine", "theirs") as (mine, theirs):
        warm = ["pachyderm_file", {**mine, "path": "/warm", "content": "x"}]
        task = ["pachyderm_sync", {**mine, "src": str(src)}]
        _warm, first, again = bench.work(warm, task, task)
        yield Sample("pachyderm_sync, 1,000 files", first["seconds"], "s")
        yield Sample("again", again["seconds"], "s")
        yield Sample("again, writes", again["result"]["summary"]["writes"], "", 0)
        peer = sdk(bench, theirs["repo"], "put", src)
        yield Sample("1,000 files / SDK, one commit", first["seconds"] / peer, budget=1.0)


def row_pachyderm_tree(bench: Bench) -> Iterator[Sample]:
    """10,000 files of 1 KiB: the first time, and again without a change."""
    src = bench.tree(10000, 1024)
    with repos(bench, "tree") as (mine,):
        task = ["pachyderm_sync", {**mine, "src": str(src)}]
        first, again = bench.work(task, task)
        yield Sample("pachyderm_sync, 10,000 files, first", first["seconds"], "s")
        yield Sample("no change", again["seconds"], "s")
        yield Sample("no change / first", again["seconds"] / first["seconds"], budget=0.2)
        yield Sample("no change, requests", again["result"]["summary"]["requests"], "")
        yield Sample("no change, writes", again["result"]["summary"]["writes"], "", 0)
    shutil.rmtree(src)


def row_pachyderm_large(bench: Bench) -> Iterator[Sample]:
    """1 GiB up and down beside the SDK, and the memory that it adds."""
    source, down = bench.large(), bench.directory / "down"
    with repos(bench, "large", "theirs") as (mine, theirs):
        small = bench.directory / "small"
        small.write_bytes(os.urandom(2 * MIB))
        rows = [{**mine, "path": "/" + path.name, "src": str(path)} for path in (small, source)]
        warm, upload = bench.work(*[["pachyderm_file", row] for row in rows])
        yield Sample("pachyderm_file, 1 GiB, memory added", upload["peak"] - warm["peak"], "MiB", 64)
        rows = [{**mine, "path": row["path"], "dest": str(down)} for row in rows]
        warm, download = bench.work(*[["pachyderm_download", row] for row in rows])
        yield Sample("pachyderm_download, 1 GiB, memory added", download["peak"] - warm["peak"], "MiB", 64)
        yield Sample("pachyderm_file", source.stat().st_size / MIB / upload["seconds"], "MiB/s")
        yield Sample("pachyderm_download", source.stat().st_size / MIB / download["seconds"], "MiB/s")
        yield Sample("upload, seconds / SDK's", upload["seconds"] / sdk(bench, theirs["repo"], "up", source))
        yield Sample("download, seconds / SDK's", download["seconds"] / sdk(bench, theirs["repo"], "down", down))
    for path in (down, small):
        path.unlink(missing_ok=True)


def speed(make: Callable[[], Any], data: bytes, seconds: float = 1.0) -> float:
    """MB/s of a hash over these bytes, again and again for so long; of processor time, all in this thread."""
    started, done = time.thread_time(), 0
    while time.thread_time() - started < seconds:
        hasher = make()
        hasher.update(data)
        hasher.hexdigest()
        done += len(data)
    return done / 1e6 / (time.thread_time() - started)


def row_pachyderm_hash(bench: Bench) -> Iterator[Sample]:
    """The content hash: below 1 MB beside hashlib's, above it in Python alone and with numpy."""
    data = random.Random(5).randbytes(24_000_000)
    small = data[:900_000]
    plain = speed(lambda: hashlib.blake2b(digest_size=32), small)
    yield Sample("below 1 MB, hashlib's speed / ours", plain / speed(hashes.ContentHash, small), budget=1.1)
    alone = speed(lambda: hashes.ContentHash(hashes.INTEGERS), data)
    yield Sample("above 1 MB, Python alone", alone, "MB/s")
    yield Sample("6 MB/s / Python alone", 6 / alone, budget=1.0)
    try:
        import numpy
    except ImportError:
        raise Missing("numpy is not installed") from None
    scan = hashes.numpy_scan(numpy)
    fast = speed(lambda: hashes.ContentHash(scan), data)
    yield Sample("above 1 MB, numpy", fast, "MB/s")
    yield Sample("50 MB/s / numpy", 50 / fast, budget=1.0)
