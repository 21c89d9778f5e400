# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What content goes through on its way: a digest that is fed beside it, and a local file that takes it."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import Any

ALONE = 1024 * 1024
FLUSHED = 8 * 1024 * 1024


class Beside:
    """Feeds a digest in a thread of its own, so that hashing and the network go on at the same time; close() it.

    The first MiB is hashed at once: for small content a thread costs more than it saves.
    """

    def __init__(self, digest: Any) -> None:
        self._digest = digest
        self._seen = 0
        self._pieces: queue.Queue[bytes] = queue.Queue(8)
        self._thread: threading.Thread | None = None

    def update(self, data: bytes) -> None:
        """Hash data, soon."""
        if self._thread is None:
            if self._seen < ALONE:
                self._seen += len(data)
                self._digest.update(data)
                return
            self._thread = threading.Thread(target=self._feed, daemon=True)
            self._thread.start()
        if data:
            self._pieces.put(data)

    def _feed(self) -> None:
        for data in iter(self._pieces.get, b""):
            self._digest.update(data)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_what: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait until all is hashed."""
        if self._thread is not None:
            self._pieces.put(b"")
            self._thread.join()
            self._thread = None

    def hexdigest(self) -> str:
        """The digest of all that was given."""
        self.close()
        return str(self._digest.hexdigest())


class Sink:
    """A descriptor that is written from its start on, and that the kernel begins to bring to disk meanwhile.

    So the fsync at the end finds little left to wait for. written: how many bytes it has taken.
    """

    def __init__(self, file: int) -> None:
        self._file, self.written, self._begun = file, 0, 0

    def write(self, data: bytes) -> None:
        """All of data, or OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self.written += len(data)
        length = self.written - self._begun
        if length >= FLUSHED:
            with contextlib.suppress(OSError, AttributeError):  # not every system and file system has it
                os.posix_fadvise(self._file, self._begun, length, os.POSIX_FADV_DONTNEED)
            self._begun = self.written
