# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does with mounts: mount and unmount."""

from __future__ import annotations

import os
import secrets

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.namespace import shared_mode
from polystore_sandbox.alluxio.store import Mount
from polystore_sandbox.alluxio.tree import PERSISTED, Inode
from polystore_sandbox.alluxio.versions import Refusal

ALIASES = {"aws.secretKey": "s3a.secretKey", "aws.accessKeyId": "s3a.accessKeyId"}
ACQUIRED = "Acquired mount ID for the new mount point: {}\n"


class MountTable(Base):
    """Part of Master."""

    def mount(self, path: str, source: str, options: Options) -> None:
        """Over a local directory: /dir or file:///dir."""
        with self.change():
            number = secrets.randbits(62)
            told = self.recorded(path, source, options)
            source = source.rstrip("/") or ("" if self.dialect.old and not source else "/")
            mount = Mount(
                number,
                source,
                bool(options.get("readOnly")),
                bool(options.get("shared")),
                {self._known_as(name): value for name, value in options.get("properties", {}).items()},
            )
            parent, rest = self._check_mount(path, mount, told)
            self.mounts.add(path, mount)
            place = self.mounts.place(path)
            marks = place.marks()
            values = {
                "owner": marks["OWNER"],
                "group": marks["GROUP"],
                "mode": shared_mode(int(marks["MODE"]), mount.shared),
                "state": PERSISTED,
                "fingerprint": marks,
                "mount": number,
                "ttl_action": self.dialect.ttl_action,
            }
            inode = self.new_inode(parent, rest[0], True, **values)
            found = place.stat()
            inode.modified = int(found.st_mtime * 1000) if found else inode.modified

    def _known_as(self, name: str) -> str:
        """Some properties have another name from 2.9.0 on."""
        return ALIASES.get(name, name) if self.dialect.has("mount_guard") else name

    def recorded(self, path: str, source: str, options: Options) -> str:
        """What 2.9.1 and later put before the reason of a failed mount."""
        if not self.dialect.has("mount_unknown"):
            return ""
        lines = [f"readOnly: {str(bool(options.get('readOnly'))).lower()}\n"]
        for name, value in options.get("properties", {}).items():
            lines.append(f'properties {{\n  key: "{name}"\n  value: "{value}"\n}}\n')
        lines.append(f"shared: {str(bool(options.get('shared'))).lower()}\n")
        lines.append(f"commonOptions {{\n  ttl: -1\n  ttlAction: {self.dialect.ttl_action}\n}}\n")
        return f"mount command: alluxio fs mount {path} {source} option MountContext{{ProtoOptions={''.join(lines)}}}\n"

    def _check_mount(self, path: str, mount: Mount, told: str) -> tuple[Inode, list[str]]:
        """The inode above and the missing names; Refusal, in the order in which the server finds what is wrong."""
        try:
            above, rest = self.names.walk(path)
        except Refusal as refusal:
            raise Refusal("mount_failed", f"{told}{refusal.message}") from refusal
        if not rest:
            words = f"Mount point target path {path} already exists in Alluxio namespace. Try mounting to another path."
            raise Refusal("mount_failed", told + (f"Mount point {path} already exists" if self.dialect.old else words))
        self.mounts.place(path).writable(path)
        checks = [self._nested(path, mount), self._without_store(mount)]
        if self.dialect.old:
            checks.reverse()
        if any(checks):
            first = ACQUIRED.format(mount.id) if told and not checks[0] else ""
            raise Refusal("mount_failed", told + first + (checks[0] or checks[1]))
        if len(rest) > 1:
            words = str(self.no_parent(path, rest).message)
            failed = ACQUIRED.format(mount.id) + f"Failed to mount {mount.source} at {path}: \n" if told else ""
            raise Refusal("mount_failed", told + failed + words)
        return above, rest

    def _nested(self, path: str, mount: Mount) -> str:
        """What a mount of the same store, or of a part of it, is refused with."""
        for point, other in self.mounts.table.items():
            if self.dialect.old and point != "/" and path.startswith(point + "/"):
                return f"Mount point {point} is a prefix of {path}"
            for one, two in ((other.source, mount.source), (mount.source, other.source)):
                if one == two or two.startswith(one.rstrip("/") + "/"):
                    return f"Mount point {one} is a prefix of {two}"
        if not mount.source.startswith("/") and "://" not in mount.source and not self.dialect.old:
            return f'Path "{mount.source}" is invalid.'
        return ""

    def _without_store(self, mount: Mount) -> str:
        """What a store that there is not is refused with."""
        if "://" in mount.source and not mount.source.startswith("file:///"):
            return f"No Under File System Factory found for: {mount.source}"
        if not os.path.isabs(mount.folder) or not os.path.isdir(mount.folder):
            return f"Ufs path {mount.folder if self.dialect.old else mount.source} does not exist"
        return ""

    def unmount(self, path: str, _options: Options) -> None:
        """The data stays."""
        with self.change():
            old = self.dialect.old
            _above, rest = self.names.walk(path)
            if rest:
                words = f"Failed to unmount: Path {path} does not exist"
                raise Refusal("unmount_missing", f'Path "{path}" does not exist.' if old else words)
            words = f"Failed to unmount {path}. Please ensure the path is an existing mount point"
            if path not in self.mounts.table:
                raise Refusal("unmount_bad", words + (" and not root." if old else "."))
            if path == "/" or self.mounts.holds(path) != [path]:
                raise Refusal("unmount_bad", words + " and not root.")
            self.mounts.remove(path)
            self.names.forget(self.names.need(path))
