# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does to delete: each inode by itself, children first, with what cannot be deleted left behind."""

from __future__ import annotations

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.tree import Inode
from polystore_sandbox.alluxio.versions import Refusal

NOT_IN_SYNC = "UFS dir not in sync. Sync UFS, or delete with unchecked flag."
# As many failures as a message names.
TOLD = 20


class Deleting(Base):
    """Part of Master."""

    def delete(self, path: str, options: Options) -> None:
        """What is below a mount point goes too, before 2.9.0."""
        with self.change():
            keep, recursive = bool(options.get("alluxioOnly")), bool(options.get("recursive"))
            if self.names.wants_sync(options) and not keep:
                self.names.sync(path, True, recursive)
            self.names.walk(path)
            if not keep:
                self.mounts.place(path).writable(path)
            inode = self.names.need(path)
            points = ["/"] if path == "/" else self.mounts.holds(path)
            if recursive and points and self.dialect.has("mount_guard") and not options.get("deleteMountPoint"):
                words = "which is or contains a mount point without --deleteMountPoint/-m option specified"
                raise Refusal("denied", f"Cannot delete path {path} {words}")
            if inode.folder and inode.children and not recursive:
                words = f"Cannot delete non-empty directory {inode.name} because recursive is set to false"
                raise Refusal("not_empty", words)
            if inode.parent is None:
                raise Refusal("delete_root", "Cannot delete the root directory")
            self._delete(inode, keep, bool(options.get("unchecked")))

    def _delete(self, top: Inode, keep: bool, unchecked: bool) -> None:
        wanted = [top, *top.below()]
        safe = {one.id for one in wanted} if unchecked else self._in_sync(wanted)
        unsafe: set[int] = set()
        failed: list[tuple[str, str]] = []
        gone = []
        for one in reversed(wanted):
            reason = "Directory not empty" if one.id in unsafe else ""
            path = one.path
            if not reason and one.persisted and path in self.mounts.table:
                self.mounts.remove(path, forget=not self.dialect.old)  # 1.x does not write it down
            elif not reason and one.persisted and not keep:
                reason = self._delete_below(one, top, safe)
            if not reason:
                gone.append(one)
                continue
            failed.append((path, reason))
            unsafe.add(one.id)
            if one.parent is not None:
                unsafe.add(one.parent.id)
        for one in gone:
            self.names.forget(one)
        if failed:
            raise Refusal("not_empty", self._told(failed))

    def _in_sync(self, wanted: list[Inode]) -> set[int]:
        """The directories below which the store has nothing that the tree has not."""
        found: set[int] = set()
        for one in wanted:
            if not one.folder or not one.persisted or one.path in self.mounts.table:
                continue
            if set(self.names.names_below(one)) <= set(one.children):
                found.add(one.id)
                continue
            above = one.parent
            while above is not None and above.id in found:
                found.discard(above.id)
                above = above.parent
        return found

    def _delete_below(self, one: Inode, top: Inode, safe: set[int]) -> str:
        """Deletes in the store what does not go with the directory above; why it could not."""
        if one is not top and one.parent is not None and one.parent.id in safe:
            return ""
        place = self.mounts.place(one.path)
        if place.mount.read_only:
            return f"Operation WRITE not allowed on ufs path {place.uri} under maintenance mode READ_ONLY"
        if one.folder and one.id not in safe:
            return NOT_IN_SYNC
        place.remove()
        return ""

    def _told(self, failed: list[tuple[str, str]]) -> str:
        if self.dialect.old:
            parts = ", ".join(f"{path} ({reason})" for path, reason in failed)
            return f"Failed to delete {parts} from the under file system"
        parts = ", ".join(f"{path} ({reason})" for path, reason in failed[:TOLD])
        more = "...(only 20 errors shown)" if len(failed) > TOLD else ""
        return f"Failed to delete {len(failed)} paths from the under file system: {parts}{more}"
