# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens that the workers of one playbook share: every task is a fork of its own, and a login costs more than the task.

They live in anonymous shared memory, made in the controller before the forks, under a digest of all connection
options. They never reach a disk, and end with the playbook.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

SIZE = 256 * 1024
HEAD = 8


class SharedTokens:
    """get() and put() of small JSON values between a process and all that it forks later."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._memory = mmap.mmap(-1, size)
        self._gate, path = tempfile.mkstemp()  # stays empty: only its lock is used, which ends with its holder
        os.unlink(path)
        self._threads = threading.Lock()

    @contextlib.contextmanager
    def _held(self) -> Iterator[dict[str, Any]]:
        with self._threads:
            fcntl.lockf(self._gate, fcntl.LOCK_EX)
            try:
                length = int.from_bytes(self._memory[:HEAD], "big")
                yield json.loads(self._memory[HEAD : HEAD + length]) if length else {}
            finally:
                fcntl.lockf(self._gate, fcntl.LOCK_UN)

    def get(self, place: str) -> Any:
        """What was put there, or None."""
        with self._held() as kept:
            return kept.get(place)

    def put(self, place: str, value: Any) -> None:
        """Keep value; when there is no room the oldest ones go."""
        with self._held() as kept:
            kept.pop(place, None)
            kept[place] = value
            data = json.dumps(kept).encode()
            while len(data) > self._size - HEAD and kept:
                kept.pop(next(iter(kept)))
                data = json.dumps(kept).encode()
            self._memory[:HEAD] = (0).to_bytes(HEAD, "big")  # a death in between leaves an empty store
            self._memory[HEAD : HEAD + len(data)] = data
            self._memory[:HEAD] = len(data).to_bytes(HEAD, "big")
