# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's rows, against the sandbox's stand-in: see rows.py for what a row is."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.polystore.storage.tests.benchmarks.bench import Bench, Missing, Sample

COUNT, SIZE, ENTRIES = 1000, 10 * 1024, 10000
THREADS = 8  # as many as the modules use by themselves
LARGE = 512
HEADER = struct.Struct("!QBB")
QUERY_STORE, UPLOAD, QUERY_FETCH, DOWNLOAD = 101, 11, 102, 14


class Loop:
    """One thread of a bare socket loop: its connections, a tracker's and those of storages, kept open."""

    def __init__(self, tracker: str) -> None:
        host, _colon, port = tracker.rpartition(":")
        self.tracker = (host, int(port))
        self.open: dict[tuple[str, int], socket.socket] = {}

    def line(self, where: tuple[str, int]) -> socket.socket:
        """The connection to a server."""
        if where not in self.open:
            self.open[where] = socket.create_connection(where)
            self.open[where].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.open[where]

    def close(self) -> None:
        """Close them all."""
        for line in self.open.values():
            line.close()

    def answer(self, line: socket.socket) -> bytes:
        """The body of a reply."""
        length = self.length(line)
        body = bytearray()
        while len(body) < length:
            body += line.recv(length - len(body))
        return bytes(body)

    @staticmethod
    def length(line: socket.socket) -> int:
        """How long the body is that comes."""
        length, _command, status = HEADER.unpack(line.recv(HEADER.size, socket.MSG_WAITALL))
        if status:
            raise Missing("the stand-in answered %d" % status)
        return int(length)

    def place(self, command: int, body: bytes = b"") -> tuple[tuple[str, int], bytes]:
        """(the storage that the tracker names, the reply)."""
        line = self.line(self.tracker)
        line.sendall(HEADER.pack(len(body), command, 0) + body)
        found = self.answer(line)
        port = int.from_bytes(found[31:39], "big")
        return (found[16:31].rstrip(b"\0").decode("ascii"), port), found

    def upload(self, path: pathlib.Path) -> bytes:
        """Send one file. Returns the reply: group and name."""
        where, found = self.place(QUERY_STORE)
        line, size = self.line(where), path.stat().st_size
        head = HEADER.pack(15 + size, UPLOAD, 0) + struct.pack("!BQ6s", found[39], size, b"")
        with path.open("rb") as file:
            if size <= 65536:
                line.sendall(head + file.read())
            else:
                line.sendall(head)
                line.sendfile(file)
        return self.answer(line)

    def download(self, file: bytes, path: pathlib.Path) -> None:
        """Receive one file."""
        where, _found = self.place(QUERY_FETCH, file)
        line, buffer = self.line(where), memoryview(bytearray(256 * 1024))
        line.sendall(HEADER.pack(16 + len(file), DOWNLOAD, 0) + struct.pack("!QQ", 0, 0) + file)
        left = self.length(line)
        with path.open("wb", buffering=0) as out:
            while left:
                number = line.recv_into(buffer, min(left, len(buffer)))
                out.write(buffer[:number])
                left -= number


def bare(tracker: str, paths: list[pathlib.Path], threads: int = THREADS) -> float:
    """Seconds for sending files in so many threads, with as little else as can be."""
    left = iter(paths)
    turn = threading.Lock()
    loops = [Loop(tracker) for _number in range(threads)]

    def work(loop: Loop) -> None:
        while True:
            with turn:
                path = next(left, None)
            if path is None:
                return
            loop.upload(path)

    crew = [threading.Thread(target=work, args=(loop,)) for loop in loops]
    started = time.monotonic()
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    spent = time.monotonic() - started
    for loop in loops:
        loop.close()
    return spent


def connections(bench: Bench, job: Callable[[], Any]) -> tuple[Any, int]:
    """What a job gives, and how many connections the servers saw meanwhile."""
    mark = bench.fdfs.mark()
    found = job()
    return found, len({entry["client"] for entry in bench.fdfs.requests(mark)})


def place(bench: Bench, word: str) -> dict[str, Any]:
    """Options of tasks that have a manifest of their own."""
    return {**bench.fdfs.connection(), "manifest": str(bench.directory / (bench.name(word) + ".json"))}


def row_fdfs_files(bench: Bench) -> Iterator[Sample]:
    """1,000 files of 10 KiB in one task, and once more; a bare socket loop sending the same."""
    src, mine, tracker = bench.tree(COUNT, SIZE), place(bench, "files"), bench.fdfs.trackers[0]
    paths = sorted(path for path in src.rglob("*") if path.is_file())
    bare(tracker, paths[:200])  # both sides and the server are warm
    warm = ["fdfs_file", {**mine, "batch": [{"name": "w%d" % n, "content": "%d" % n} for n in range(200)]}]
    task = ["fdfs_sync", {**mine, "src": str(src)}]
    (_warm, first, again), mine_open = connections(bench, lambda: bench.work(warm, task, task))
    loop, bare_open = connections(bench, lambda: bare(tracker, paths))
    yield Sample("fdfs_sync, 1,000 files of 10 KiB", first["seconds"], "s")
    yield Sample("bare loop", loop, "s")
    yield Sample("fdfs_sync / bare loop", first["seconds"] / loop, budget=1.3)
    yield Sample("connections, all tasks", mine_open, "")
    yield Sample("connections, bare loop", bare_open, "")
    yield Sample("again", again["seconds"], "s")
    yield Sample("again, requests", again["result"]["summary"]["requests"], "")
    yield Sample("again, writes", again["result"]["summary"]["writes"], "", 0)


def row_fdfs_large(bench: Bench) -> Iterator[Sample]:
    """512 MiB up and down beside a bare loop on one connection, and the memory that it adds."""
    source, mine, down = bench.large(LARGE), place(bench, "large"), bench.directory / "down"
    small = ["fdfs_file", {**mine, "name": "small", "content": "x"}]
    warm, upload = bench.work(small, ["fdfs_file", {**mine, "name": "large", "src": str(source)}])
    yield Sample("fdfs_file, 512 MiB, memory added", upload["peak"] - warm["peak"], "MiB", 64)
    rows = [{**mine, "name": name, "dest": str(down) + name} for name in ("small", "large")]
    warm, download = bench.work(*[["fdfs_download", row] for row in rows])
    yield Sample("fdfs_download, 512 MiB, memory added", download["peak"] - warm["peak"], "MiB", 64)
    yield Sample("fdfs_file", LARGE / upload["seconds"], "MiB/s")
    yield Sample("fdfs_download", LARGE / download["seconds"], "MiB/s")
    loop = Loop(bench.fdfs.trackers[0])
    started = time.monotonic()
    file = loop.upload(source)
    sent = time.monotonic() - started
    started = time.monotonic()
    loop.download(file, down)
    got = time.monotonic() - started
    with down.open("rb+") as out:
        os.fsync(out.fileno())
    flushed = time.monotonic() - started
    loop.close()
    yield Sample("fdfs_file, seconds / bare loop's", upload["seconds"] / sent, budget=1.3)
    yield Sample("fdfs_download, seconds / bare loop's", download["seconds"] / got)
    yield Sample("fdfs_download, seconds / bare loop's and fsync's", download["seconds"] / flushed, budget=1.3)
    rows = [{**mine, "batch": [{"name": name} for name in ("small", "large")], "state": "absent"}]
    bench.work(*[["fdfs_file", row] for row in rows])
    for end in ("", "small", "large"):
        pathlib.Path(str(down) + end).unlink(missing_ok=True)


def row_fdfs_entries(bench: Bench) -> Iterator[Sample]:
    """10,000 entries of a manifest: the first time, and again without a change, with verify and without."""
    src, mine = bench.tree(ENTRIES, 64), place(bench, "entries")
    task = ["fdfs_sync", {**mine, "src": str(src)}]
    trusting = ["fdfs_sync", {**mine, "src": str(src), "verify": False}]
    batch = [{"name": str(path.relative_to(src)), "content": "x"} for path in sorted(src.rglob("*")) if path.is_file()]
    named = ["fdfs_file", {**mine, "verify": False, "compare": "exists", "batch": batch}]
    first, trusted, checked, listed = bench.work(task, trusting, task, named)
    summary = checked["result"]["summary"]
    yield Sample("fdfs_sync, 10,000 files, first", first["seconds"], "s")
    yield Sample("no change, without verify", trusted["seconds"], "s", 1.0)
    yield Sample("no change, without verify, requests", trusted["result"]["summary"]["requests"], "", 0)
    yield Sample("no change, without verify, fdfs_file in a batch", listed["seconds"], "s", 1.0)
    yield Sample("the same, requests", listed["result"]["summary"]["requests"], "", 0)
    yield Sample("no change, with verify", checked["seconds"], "s")
    yield Sample("no change, with verify, requests for each", summary["requests"] / ENTRIES, "", 1.1)
    yield Sample("no change, with verify, writes", summary["writes"], "", 0)
    shutil.rmtree(src)
