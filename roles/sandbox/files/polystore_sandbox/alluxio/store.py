# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts, and the local directories below them."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.tree import Tree
from polystore_sandbox.alluxio.versions import Refusal


@dataclass
class Mount:
    """One mount. source: as it was given, without a trailing slash."""

    id: int
    source: str
    read_only: bool = False
    shared: bool = False
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The local directory."""
        return self.source[len("file://") :] if self.source.startswith("file://") else self.source


@dataclass(frozen=True)
class Place:
    """Where a path of Alluxio is in the store below."""

    mount: Mount
    point: str
    file: str  # the local path
    uri: str  # as ufsPath shows it

    def stat(self) -> os.stat_result | None:
        """None when there is nothing."""
        try:
            return os.stat(self.file)
        except (OSError, ValueError):
            return None

    def writable(self, path: str) -> None:
        """Raises Refusal when the mount is read-only. path: as Alluxio has it."""
        if self.mount.read_only:
            words = f"A write operation on {path} under a readonly mount point {self.point} is not allowed"
            raise Refusal("denied", words)

    def make_folder(self, mode: int) -> None:
        """Makes the directory; its parents too."""
        try:
            os.makedirs(self.file, exist_ok=True)
            os.chmod(self.file, mode)
        except OSError as exc:
            raise Refusal("unknown", f"Cannot create or load UFS directory {self.uri}.") from exc

    def put(self, content: Path, mode: int) -> None:
        """A copy of a local file, whole at once."""
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        beside = os.path.join(os.path.dirname(self.file), f".alluxio_{os.path.basename(content)}.tmp")
        shutil.copyfile(content, beside)
        os.chmod(beside, mode)
        os.replace(beside, self.file)

    def remove(self) -> None:
        """Deletes what is there, if anything is."""
        if os.path.isdir(self.file) and not os.path.islink(self.file):
            shutil.rmtree(self.file, ignore_errors=True)
        elif os.path.lexists(self.file):
            os.unlink(self.file)

    def marks(self) -> dict[str, str]:
        """What tells one state of it from another; {} when there is nothing."""
        found = self.stat()
        if found is None:
            return {}
        owner, group = owner_of(found)
        kind = "DIRECTORY" if stat.S_ISDIR(found.st_mode) else "FILE"
        marks = {"TYPE": kind, "UFS": "local", "OWNER": owner, "GROUP": group, "MODE": str(found.st_mode & 0o777)}
        if kind == "FILE":
            marks["CONTENT_HASH"] = f"(len:{found.st_size}, modtime:{int(found.st_mtime * 1000)})"
        return marks


class Mounts:
    """The mount table, kept as a fact of the tree."""

    def __init__(self, tree: Tree, root: str) -> None:
        self._tree = tree
        kept = tree.fact("mounts") or {"/": asdict(Mount(1, root))}
        self.table = {path: Mount(**values) for path, values in kept.items()}
        self._kept = dict(self.table)

    def _keep(self) -> None:
        self._tree.set_fact("mounts", {path: asdict(mount) for path, mount in self._kept.items()})

    def place(self, path: str) -> Place:
        """The store's place for a path."""
        point = max(
            (p for p in self.table if p == "/" or path == p or path.startswith(p + "/")),
            key=len,
        )
        mount = self.table[point]
        rest = path[len(point) :].strip("/") if point != "/" else path.strip("/")
        tail = "/" + rest if rest else ""
        return Place(mount, point, mount.folder + tail, mount.source + tail)

    def holds(self, path: str) -> list[str]:
        """Mount points at a path or below it, but not the root's."""
        return [p for p in self.table if p != "/" and (p == path or path == "/" or p.startswith(path + "/"))]

    def add(self, path: str, mount: Mount) -> None:
        """A new mount; the caller has checked it."""
        self.table[path] = self._kept[path] = mount
        self._keep()

    def remove(self, path: str, forget: bool = True) -> None:
        """Takes a mount away; its data stays. forget=False: it comes back with the next start."""
        self.table.pop(path)
        if forget:
            self._kept.pop(path, None)
            self._keep()

    def describe(self, masked: bool) -> dict[str, Any]:
        """As the master's info shows it."""
        found = {}
        for path, mount in self.table.items():
            usage = shutil.disk_usage(mount.folder) if os.path.isdir(mount.folder) else None
            found[path] = {
                "ufsUri": mount.source,
                "ufsType": "local",
                "ufsCapacityBytes": usage.total if usage else -1,
                "ufsUsedBytes": usage.used if usage else -1,
                "readOnly": mount.read_only,
                "shared": mount.shared,
                "properties": {
                    name: "******" if masked and _secret(name) else value for name, value in mount.properties.items()
                },
            }
            if masked:
                found[path]["mountId"] = mount.id
        return found


def _secret(name: str) -> bool:
    return any(word in name.lower() for word in ("secret", "password", "credential", "accesskeyid", "key"))


def owner_of(found: os.stat_result) -> tuple[str, str]:
    """Names of the owner and the group; numbers where the system has no names."""
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return owner, group
