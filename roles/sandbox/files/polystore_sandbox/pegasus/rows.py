# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one partition, in the order of their keys."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import NamedTuple

FEW = 16  # new keys that are put in their places one by one


class Row(NamedTuple):
    """A value and when it is gone (seconds from keys.EPOCH; 0: never)."""

    value: bytes
    expire: int


class Rows:
    """A dictionary whose keys are put in order when somebody wants them so. Its owner locks it."""

    def __init__(self) -> None:
        self.data: dict[bytes, Row] = {}
        self._keys: list[bytes] = []
        self._new: list[bytes] = []
        self._gone: set[bytes] = set()

    def put(self, key: bytes, row: Row) -> None:
        """Sets a row."""
        if key not in self.data:
            if key in self._gone:
                self._gone.discard(key)
            else:
                self._new.append(key)
        self.data[key] = row

    def remove(self, key: bytes) -> None:
        """Removes a row, if it is there."""
        if self.data.pop(key, None) is not None:
            self._gone.add(key)

    def keys(self) -> list[bytes]:
        """All keys in order; not to be changed."""
        if self._gone:
            self._keys = [key for key in self._keys if key not in self._gone]
            self._new = [key for key in self._new if key not in self._gone]
            self._gone = set()
        if len(self._new) <= FEW:
            for key in self._new:
                insort(self._keys, key)
        else:
            self._keys = [*self._keys, *self._new]
            self._keys.sort()
        self._new = []
        return self._keys

    def span(self, start: bytes, with_start: bool, stop: bytes, with_stop: bool) -> tuple[int, int]:
        """Where in keys() the range begins, and where it ends."""
        keys = self.keys()
        first = bisect_left(keys, start) if with_start else bisect_right(keys, start)
        return first, max(first, bisect_right(keys, stop) if with_stop else bisect_left(keys, stop))

    def fill(self, pairs: Iterable[tuple[bytes, Row]]) -> None:
        """Sets many rows."""
        for key, row in pairs:
            self.put(key, row)
