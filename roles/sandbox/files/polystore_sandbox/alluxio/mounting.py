# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does with mounts: mount and unmount."""

from __future__ import annotations

import os
from collections.abc import Callable

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.store import Mount
from polystore_sandbox.alluxio.tree import PERSISTED, split
from polystore_sandbox.alluxio.versions import Refusal


class MountTable(Base):
    """Part of Master."""

    def mount(self, path: str, source: str, options: Options) -> None:
        """Over a local directory: /dir or file:///dir."""
        with self.change():
            source = source.rstrip("/") or "/"
            self._check_mount(path, source)
            parent, rest = self.names.walk(path)
            number = int(self.tree.fact("mount", 1)) + 1
            self.tree.set_fact("mount", number)
            made = Mount(
                number,
                source,
                bool(options.get("readOnly")),
                bool(options.get("shared")),
                dict(options.get("properties", {})),
            )
            self.mounts.add(path, made)
            place = self.mounts.place(path)
            found = place.stat()
            mode = found.st_mode & 0o777 if found else 0o755
            mode |= 0o007 if made.shared else 0
            values = {"mode": mode, "state": PERSISTED, "mount": number, "ttl_action": self.dialect.ttl_action}
            self.new_inode(parent, rest[0], True, **values)

    def _check_mount(self, path: str, source: str) -> None:
        parent, rest = self.names.walk(path)
        old, mount = self.dialect.old, Mount(0, source)
        refuse = self._refusal(path, source)
        if not rest or self.names.load(path) is not None or path in self.mounts.table:
            words = f"Mount point target path {path} already exists in Alluxio namespace. Try mounting to another path."
            raise refuse(f"Mount point {path} already exists" if old else words)
        if old:
            self._check_source(mount, refuse)
        for point, other in self.mounts.table.items():
            if old and point != "/" and path.startswith(point + "/"):
                raise refuse(f"Mount point {point} is a prefix of {path}")
            first, second = sorted((other.source, source), key=len)
            if first == second or second.startswith(first + "/"):
                raise refuse(f"Mount point {first} is a prefix of {second}")
        if not old:
            self._check_source(mount, refuse)
        if len(rest) > 1:
            depth = len(split(path)) - len(rest) + 1
            raise refuse(f"File {path} creation failed. Component {depth}({rest[0]}) does not exist")

    def _refusal(self, path: str, source: str) -> Callable[[str], Refusal]:
        head = f"mount command: alluxio fs mount {path} {source}\n" if self.dialect.has("mount_unknown") else ""
        return lambda words: Refusal("mount_failed", head + words)

    @staticmethod
    def _check_source(mount: Mount, refuse: Callable[[str], Refusal]) -> None:
        if not mount.source.startswith(("/", "file:///")):
            raise refuse(f"No Under File System Factory found for: {mount.source}")
        if not os.path.isdir(mount.folder):
            raise refuse(f"Ufs path {mount.source} does not exist")

    def unmount(self, path: str, _options: Options) -> None:
        """The data stays."""
        with self.change():
            inode, old = self.names.peek(path), self.dialect.old
            if inode is None and path not in self.mounts.table:
                words = f"Failed to unmount: Path {path} does not exist"
                raise Refusal("unmount_missing", f'Path "{path}" does not exist.' if old else words)
            nested = [point for point in self.mounts.holds(path) if point != path]
            if path == "/" or path not in self.mounts.table or nested:
                more = " and not root" if old or path == "/" or nested else ""
                words = f"Failed to unmount {path}. Please ensure the path is an existing mount point{more}."
                raise Refusal("unmount_bad", words)
            self.mounts.remove(path)
            if inode is not None:
                self.names.forget(inode)
