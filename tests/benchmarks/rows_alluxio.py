# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio's rows, against a real 2.9.6: see rows.py for what a row is."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from ansible_collections.polystore.storage.tests.benchmarks.bench import MIB, Bench, Missing, Sample

DIRECTORIES, FILES = 1000, 10000
BARE = {"recursive": True, "writeType": "CACHE_THROUGH"}


def bare_loop(bench: Bench, top: str) -> float:
    """Seconds of as many create-directory calls, one after the other on one connection, as little else as can be."""
    there = urlsplit(bench.alluxio)
    connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=120)
    body, headers = json.dumps(BARE), {"Content-Type": "application/json"}
    started = time.monotonic()
    for number in range(DIRECTORIES):
        connection.request("POST", "/api/v1/paths/%s/d%04d/create-directory" % (top, number), body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise Missing("create-directory answered %d" % answer.status)
    spent = time.monotonic() - started
    connection.close()
    return spent


def row_directories(bench: Bench) -> Iterator[Sample]:
    """1,000 new directories in one task, and once more."""
    top = "/" + bench.name("alluxio")
    link = {"proxy_url": bench.alluxio}
    # Both the server's and our own code are warm before either is measured.
    warm = ["alluxio_directory", {**link, "batch": [{"path": "%s/w/d%d" % (top, n)} for n in range(300)]}]
    bare_loop(bench, "/" + bench.name("alluxio"))
    task = ["alluxio_directory", {**link, "batch": [{"path": "%s/a/d%04d" % (top, n)} for n in range(DIRECTORIES)]}]
    mine = bench.work(warm, task, task)
    bare = bare_loop(bench, "/" + bench.name("alluxio"))
    first, again = mine[1], mine[2]
    yield Sample("1,000 directories / bare keep-alive loop", first["seconds"] / bare, budget=1.2)
    yield Sample("1,000 directories", first["seconds"], "s")
    yield Sample("again, requests", again["result"]["summary"]["requests"], "")
    yield Sample("again, writes", again["result"]["summary"]["writes"], "", 0)
    yield Sample("again", again["seconds"], "s")


def row_alluxio_tree(bench: Bench) -> Iterator[Sample]:
    """10,000 files of 1 KiB: the first time, and again without a change."""
    src = bench.tree(FILES, 1024)
    args: dict[str, Any] = {"proxy_url": bench.alluxio, "src": str(src), "path": "/" + bench.name("alluxio")}
    first, again = bench.work(["alluxio_sync", args], ["alluxio_sync", args])
    yield Sample("alluxio_sync, 10,000 files, first", first["seconds"], "s")
    yield Sample("alluxio_sync, no change", again["seconds"], "s", 3)
    yield Sample("alluxio_sync, no change, processor time of the client", again["cpu"], "s", 3)
    yield Sample("alluxio_sync, no change, requests", again["result"]["summary"]["requests"], "")
    yield Sample("alluxio_sync, no change, writes", again["result"]["summary"]["writes"], "", 0)
    shutil.rmtree(src)


def row_alluxio_large(bench: Bench) -> Iterator[Sample]:
    """1 GiB up and down beside curl on the same proxy, and the memory that it adds."""
    curl = shutil.which("curl")
    source, down, top = bench.large(), bench.directory / "down", "/" + bench.name("alluxio")
    link = {"proxy_url": bench.alluxio}
    small = ["alluxio_file", {**link, "path": top + "/small", "content": "x"}]
    up = ["alluxio_file", {**link, "path": top + "/large", "src": str(source)}]
    warm, upload = bench.work(small, up)
    yield Sample("alluxio_file, 1 GiB, memory added", upload["peak"] - warm["peak"], "MiB", 64)
    get = [{**link, "path": top + "/" + name, "dest": str(down) + name} for name in ("small", "large")]
    warm, download = bench.work(*[["alluxio_download", args] for args in get])
    yield Sample("alluxio_download, 1 GiB, memory added", download["peak"] - warm["peak"], "MiB", 64)
    yield Sample("alluxio_file", source.stat().st_size / MIB / upload["seconds"], "MiB/s")
    yield Sample("alluxio_download", source.stat().st_size / MIB / download["seconds"], "MiB/s")
    if curl is None:
        raise Missing("curl is not installed")
    body = json.dumps({"writeType": "CACHE_THROUGH"})
    post = (curl, "-sS", "-X", "POST", "-H", "Content-Type: application/json")
    base = bench.alluxio + "/api/v1"
    path = base + "/paths/" + quote(top + "/curl")
    started = time.monotonic()
    stream = bench.spend(*post, "-d", body, path + "/create-file").output.strip()
    octets = ("-H", "Content-Type: application/octet-stream", "-T", str(source))
    bench.spend(curl, "-sS", "-X", "POST", *octets, "%s/streams/%s/write" % (base, stream))
    bench.spend(*post, "%s/streams/%s/close" % (base, stream))
    sent = time.monotonic() - started
    yield Sample("alluxio_file, seconds / curl's", upload["seconds"] / sent, budget=1.25)
    got = bench.spend(curl, "-sS", "-o", str(down), path + "/download-file").seconds
    started = time.monotonic()
    with down.open("rb+") as file:
        os.fsync(file.fileno())
    flushed = got + time.monotonic() - started
    yield Sample("alluxio_download, seconds / curl's", download["seconds"] / got, budget=1.25)
    yield Sample("alluxio_download, seconds / curl's and fsync's", download["seconds"] / flushed, budget=1.25)
    for name in ("", "small", "large"):
        (bench.directory / ("down" + name)).unlink(missing_ok=True)
    bench.work(["alluxio_directory", {**link, "path": top, "state": "absent", "recursive": True}])
