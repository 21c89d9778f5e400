# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes in files of their own, where the file system's are too small for Swift (ext4: 4 KiB an inode)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

METADATA = b"user.swift.metadata"
LARGEST = 16384


def _name(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


class FileAttributes:
    """Stands in for the module `xattr` in swift.obj.diskfile. Attributes belong to an inode and outlive the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, item: Any) -> Path:
        inode = os.stat(item if isinstance(item, (int, str, bytes)) else item.fileno()).st_ino
        folder = self._folder / f"{inode % 256:02x}"
        folder.mkdir(exist_ok=True)
        return folder / str(inode)

    @staticmethod
    def _read(path: Path) -> dict[bytes, bytes]:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return {}
        found: dict[bytes, bytes] = {}
        while data:
            head, data = data.split(b"\n", 1)
            name, size = head.split(b" ")
            found[name], data = data[: int(size)], data[int(size) :]
        return found

    @staticmethod
    def _write(path: Path, found: dict[bytes, bytes]) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(b"".join(b"%s %d\n%s" % (name, len(value), value) for name, value in found.items()))
        beside.replace(path)

    def getxattr(self, item: Any, key: Any, *_more: Any) -> bytes:
        """The value; OSError(ENODATA) when there is none."""
        found = self._read(self._path(item))
        if _name(key) not in found:
            raise OSError(errno.ENODATA, "No data available")
        return found[_name(key)]

    def setxattr(self, item: Any, key: Any, value: bytes, *_more: Any) -> None:
        """Keeps the value. Swift writes METADATA first: what another file left under a used inode goes then."""
        path = self._path(item)
        found = {} if _name(key) == METADATA else self._read(path)
        found[_name(key)] = bytes(value)
        self._write(path, found)


def large_enough(folder: Path) -> bool:
    """True when the folder's file system takes an attribute of 16 KiB."""
    probe = folder / ".attributes"
    try:
        probe.touch()
        os.setxattr(probe, METADATA, b"x" * LARGEST)
    except (OSError, AttributeError):
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
