# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy's open streams: numbers from 1 upward in each process, which only this process knows."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.master import THROUGH, Master
from polystore_sandbox.alluxio.tree import Inode, now_ms
from polystore_sandbox.alluxio.versions import Refusal

CHUNK = 1 << 20


class Stream:
    """One open file, being written or being read."""

    def __init__(self, inode: Inode, path: str, file: Any, write_type: str = "") -> None:
        self.inode, self.path, self.file, self.write_type = inode, path, file, write_type
        self.mode = inode.mode  # as it was then: what it becomes meanwhile does not reach the store below
        self.used = time.monotonic()
        self.lock = threading.Lock()
        self.failed = False


class Streams:
    """All streams of this process. timeout: seconds after which an unused one is taken away at the next operation."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._open: dict[int, Stream] = {}
        self._next = 1
        self._lock = threading.Lock()
        self.timeout = 3600.0
        self.worker = True

    def _add(self, stream: Stream) -> int:
        with self._lock:
            number = self._next
            self._next += 1
            self._open[number] = stream
        return number

    def expire(self) -> None:
        """2.x closes what was not used for too long; 1.x forgets it."""
        with self._lock:
            until = time.monotonic() - self.timeout
            old = {number: stream for number, stream in self._open.items() if stream.used < until}
            for number in old:
                del self._open[number]
        for stream in old.values():
            if stream.write_type and not self._master.dialect.old:
                self._complete(stream)
            stream.file.close()

    def _get(self, number: int) -> Stream:
        self.expire()
        with self._lock:
            stream = self._open.get(number)
        if stream is None:
            raise Refusal("internal", "stream does not exist")
        stream.used = time.monotonic()
        return stream

    def writing(self, number: int) -> bool:
        """Whether this is a stream that writes."""
        with self._lock:
            return number in self._open and bool(self._open[number].write_type)

    # --- writing -------------------------------------------------------------------------------------------------

    def create(self, path: str, options: dict[str, Any]) -> int:
        """The number of a new stream for a new file."""
        self.expire()
        write_type = options.get("writeType", self._master.dialect.write_type)
        if not self.worker and write_type in THROUGH:
            words = "No available Alluxio worker found" if self._master.dialect.old else "io exception"
            raise Refusal("unavailable", words)
        inode = self._master.create_file(path, options)
        file = open(self._master.worker / str(inode.id), "wb")  # noqa: SIM115
        return self._add(Stream(inode, path, file, write_type))

    def write(self, number: int, body: Any) -> int:
        """Appends the request's body, also what came before the client went away; the count."""
        stream = self._get(number)
        count = 0
        with stream.lock:
            if not stream.write_type:
                raise Refusal("internal", "stream does not exist")
            if not self.worker:
                stream.failed = True
                raise Refusal("unknown", "Failed to cache: io exception")
            while True:
                chunk = body.read(CHUNK)
                if not chunk:
                    break
                stream.file.write(chunk)
                count += len(chunk)
                stream.used = time.monotonic()
            stream.file.flush()
        if count and stream.write_type not in ("THROUGH", "NONE") and not stream.inode.begun:
            with self._master.change():
                stream.inode.begun = True
        return count

    def close(self, number: int) -> None:
        """The file is complete, however much of it was written."""
        stream = self._get(number)
        with self._lock:
            self._open.pop(number, None)
        with stream.lock:
            if stream.write_type and not stream.failed:
                self._complete(stream)
            stream.file.close()

    def _complete(self, stream: Stream) -> None:
        master, inode = self._master, stream.inode
        stream.file.close()
        if stream.write_type == "NONE":
            return
        content = master.worker / str(inode.id)
        if not content.exists():  # deleted meanwhile: the content is still in the stream, and comes back
            self._resurrect(stream)
            return
        size = content.stat().st_size
        through = stream.write_type in THROUGH
        with master.lock:
            gone = master.names.peek(stream.path) is not inode
        if gone:
            return  # renamed, and it stays incomplete
        place = master.mounts.place(stream.path)
        if through:
            with master.lock:
                master.persist_folders(inode.parent)
            place.put(content, stream.mode)
        with master.change():
            inode.length, inode.completed, inode.begun = size, True, False
            inode.modified = inode.accessed = now_ms()
            # With one worker there is no second copy, and then there is none at all.
            inode.cached = stream.write_type != "THROUGH" and inode.replication_min <= 1
            if through:
                inode.fingerprint = place.marks()
                added = master.names.etag(inode.fingerprint)
                for one in (inode, *master.sharing.pop(inode.id, [])):
                    one.xattr = {**one.xattr, **added}
                    if master.tree.known(one):
                        master.tree.changed(one)
            if stream.write_type == "ASYNC_THROUGH":
                self._persist_later(inode, content, place)
            if not inode.cached:
                content.unlink()
            master.tree.changed(inode)

    def _persist_later(self, inode: Inode, content: Path, place: Any) -> None:
        """1.x does it at once; 2.x needs a job service, which there is not."""
        inode.state = "TO_BE_PERSISTED"
        if self._master.dialect.old:
            self._master.persist_folders(inode.parent)
            place.put(content, inode.mode)
            inode.state, inode.fingerprint = "PERSISTED", place.marks()

    def _resurrect(self, stream: Stream) -> None:
        if stream.write_type not in THROUGH:
            return
        master = self._master
        place = master.mounts.place(stream.path)
        kept = master.worker / f"{stream.inode.id}.deleted"
        if kept.exists():
            place.put(kept, stream.mode)
            kept.unlink()

    # --- reading -------------------------------------------------------------------------------------------------

    def open(self, path: str, options: dict[str, Any]) -> int:
        """The number of a new stream that reads."""
        self.expire()
        inode, file = self.reader(path, options)
        return self._add(Stream(inode, path, file))

    def reader(self, path: str, options: dict[str, Any]) -> tuple[Inode, Any]:
        """A file and its content, opened; Refusal for what cannot be read."""
        master = self._master
        with master.change():
            inode = master.names.find(path, options)
            old = master.dialect.old
            if inode.folder:
                words = f"Cannot read from {inode.name if old else path} because it is a directory"
                raise Refusal("open_directory", words)
            if not inode.completed and master.dialect.has("refuse_incomplete"):
                words = "Wait for the file to be marked as complete by the writing thread or application."
                raise Refusal("unknown", f"Cannot read from {path} because it is incomplete. {words}")
            return inode, self._content(inode, path, options.get("readType", "CACHE"))

    def _content(self, inode: Inode, path: str, read_type: str) -> Any:
        master = self._master
        content = master.worker / str(inode.id)
        if not inode.completed:
            return open("/dev/null", "rb")
        if not inode.cached and inode.persisted and read_type != "NO_CACHE" and inode.length:
            with contextlib.suppress(OSError):
                shutil.copyfile(master.mounts.place(path).file, content)
                inode.cached = True
                master.tree.changed(inode)
        if inode.cached:
            return open(content, "rb")
        try:
            return open(master.mounts.place(path).file, "rb")
        except OSError as exc:
            raise Lost(str(exc)) from exc

    def read(self, number: int) -> Iterator[bytes]:
        """The rest of a stream."""
        stream = self._get(number)
        if stream.write_type:
            raise Refusal("internal", "stream does not exist")
        return chunks(stream.file)


class Lost(Exception):
    """The content cannot be read."""


def chunks(file: Any) -> Iterator[bytes]:
    """The rest of a file."""
    while True:
        chunk = file.read(CHUNK)
        if not chunk:
            return
        yield chunk
