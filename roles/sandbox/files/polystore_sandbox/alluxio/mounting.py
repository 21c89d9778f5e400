# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does with mounts: mount and unmount."""

from __future__ import annotations

import os

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.store import Mount
from polystore_sandbox.alluxio.tree import PERSISTED
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
            values = {"mode": mode, "state": PERSISTED, "mount": number, "ttl_action": self.dialect.ttl_action}
            self.new_inode(parent, rest[0], True, **values)

    def _check_mount(self, path: str, source: str) -> None:
        head = f"mount command: alluxio fs mount {path} {source}: " if self.dialect.has("mount_unknown") else ""
        parent, rest = self.names.walk(path)
        old = self.dialect.old

        def refuse(words: str) -> Refusal:
            return Refusal("mount_failed", head + words)

        if path in self.mounts.table:
            raise refuse(
                f"Mount point {path} already exists"
                if old
                else f"Mount point target path {path} already exists in Alluxio namespace"
            )
        if not rest or self.names.load(path) is not None:
            raise refuse(f"Mount point target path {path} already exists in Alluxio namespace")
        if len(rest) > 1:
            raise Refusal("mount_failed", head + f'Path "{os.path.dirname(path)}" does not exist.')
        for point, mount in self.mounts.table.items():
            if old and point != "/" and path.startswith(point + "/"):
                raise refuse(f"Mount point {point} is a prefix of {path}")
            one, other = mount.source, source
            if one == other or one.startswith(other + "/") or other.startswith(one + "/"):
                first, second = (one, other) if other.startswith(one) else (other, one)
                raise refuse(f"Mount point {first} is a prefix of {second}")
        if not source.startswith(("/", "file:///")):
            raise refuse(f"No Under File System Factory found for: {source}")
        if not os.path.isdir(Mount(0, source).folder):
            raise refuse(f"Ufs path {source} does not exist")

    def unmount(self, path: str, _options: Options) -> None:
        """The data stays."""
        with self.change():
            inode = self.names.peek(path)
            if inode is None and path not in self.mounts.table:
                raise Refusal("unmount_missing", f'Path "{path}" does not exist.')
            if path == "/" or path not in self.mounts.table:
                words = f"Failed to unmount {path}. Please ensure the path is an existing mount point."
                raise Refusal("unmount_bad", words)
            if [point for point in self.mounts.holds(path) if point != path]:
                words = f"Failed to unmount {path}. Please ensure the path is an existing mount point and not root."
                raise Refusal("unmount_bad", words)
            self.mounts.remove(path)
            if inode is not None:
                self.names.forget(inode)
