# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One storage: its files on the disk, and what it counts."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from polystore_sandbox.fastdfs.names import source_number
from polystore_sandbox.fastdfs.wire import Port

FILES_OF_A_FOLDER = 100
PIECE = 1 << 20


class Storage:
    """One storage of a group. Its files lie below its folder under their names."""

    def __init__(self, group: str, address: str, number: int, folder: Path) -> None:
        self.group, self.address, self.number, self.folder = group, address, number, folder
        self.door: Port | None = None
        self.counts: Counter[str] = Counter()
        self.joined = self.up = int(time.time())
        self.trunk_offset = 256
        self.synced: dict[str, int] = {}  # the newest change that came from a storage, by its address
        self._numbers = itertools.count(1)
        self._made = 0
        self._folders: set[str] = set()
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        for left in (folder / "tmp").iterdir():
            left.unlink()

    @property
    def port(self) -> int:
        """Its port's number."""
        return self.door.number if self.door else 0

    @property
    def where(self) -> str:
        """Address and port."""
        return f"{self.address}:{self.port}"

    def id(self, by_number: bool) -> str:
        """As the trackers know it."""
        return str(self.number) if by_number else self.address

    def source(self, by_number: bool) -> int:
        """As the names of its files have it."""
        return source_number(self.number if by_number else 0, self.address)

    # --- files ---------------------------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.folder / name

    def stat(self, name: str) -> os.stat_result | None:
        """None when there is no such file."""
        try:
            return os.stat(self.path(name))
        except OSError:
            return None

    def temporary(self) -> Path:
        """A new path for what is coming in."""
        return self.folder / "tmp" / str(next(self._numbers))

    def place(self, path_index: int, subdirs: int) -> str:
        """The folder of the next new file: "M00/00/00/"."""
        number, self._made = self._made // FILES_OF_A_FOLDER, self._made + 1
        return f"M{path_index:02X}/{number // subdirs % subdirs:02X}/{number % subdirs:02X}/"

    def keep(self, came: Path, name: str) -> None:
        """What came in is a file from now on."""
        self._make_folder(name)
        os.replace(came, self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Replaces a small file."""
        came = self.temporary()
        came.write_bytes(data)
        self.keep(came, name)

    def remove(self, name: str) -> None:
        """Deletes a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def put(self, came: Path, name: str, offset: int) -> None:
        """Writes what came in into a file."""
        with came.open("rb") as source, self.path(name).open("r+b") as target:
            target.seek(offset)
            shutil.copyfileobj(source, target, PIECE)

    def copy(self, other: Storage, name: str, changes: bool) -> None:
        """Has the same as another storage under a name. changes: the content may, so that it has to be its own."""
        came = self.temporary()
        try:
            if changes:
                shutil.copy2(other.path(name), came)
            else:
                os.link(other.path(name), came)
        except FileNotFoundError:
            self.remove(name)
        else:
            self.keep(came, name)
            came.unlink(missing_ok=True)  # a link to what is there already is not moved

    def _make_folder(self, name: str) -> None:
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            self.path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    # --- what outlives the process -------------------------------------------------------------------------------

    def known(self) -> dict[str, Any]:
        """For `remember`."""
        return {
            "counts": dict(self.counts),
            "joined": self.joined,
            "trunk_offset": self.trunk_offset,
            "made": self._made,
            "synced": self.synced,
        }

    def remember(self, known: dict[str, Any]) -> None:
        """What an earlier process knew."""
        with contextlib.suppress(KeyError):
            self.counts.update(known["counts"])
            self.joined, self.trunk_offset = known["joined"], known["trunk_offset"]
            self._made, self.synced = known["made"], dict(known["synced"])
