# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does to rename."""

from __future__ import annotations

import os

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.tree import NOT_PERSISTED, TO_BE_PERSISTED, Inode, now_ms
from polystore_sandbox.alluxio.versions import Refusal


class Renaming(Base):
    """Part of Master."""

    def rename(self, path: str, target: str, options: Options) -> None:
        """The target may be replaced with s3SyntaxOptions.overwrite, whatever it is."""
        with self.change():
            if self.names.wants_sync(options):
                self.names.sync(path, True)
                self.names.sync(target, True)
            source, missing = self.names.walk(path)
            above, rest = self.names.walk(target)
            for place in (path, target):
                self.mounts.place(place).writable(place)
            if len(rest) > 1:
                raise Refusal("missing", f'Path "{os.path.dirname(target)}" does not exist.')
            if missing:
                raise Refusal("missing", f'Path "{path}" does not exist.')
            if path == target:
                return
            self._check(source, path, target)
            if not rest:
                if not options.get("s3SyntaxOptions", {}).get("overwrite"):
                    words = f"Cannot rename because destination already exists. src: {path} dst: {target}"
                    raise Refusal("rename_exists", f"{target} already exists" if self.dialect.old else words)
                self.names.forget(above)
                above, rest = self.names.walk(target)
            self._move(source, path, target, above, rest[0])
            if options.get("persist"):
                for one in (source, *source.below()):
                    if not one.folder and one.state == NOT_PERSISTED:
                        one.state = TO_BE_PERSISTED
                        self.tree.changed(one)

    def _check(self, source: Inode, path: str, target: str) -> None:
        if source.parent is None:
            raise Refusal("rename_bad", "The root directory cannot be renamed")
        if target == "/":
            raise Refusal("rename_bad", "Cannot rename a path to the root directory")
        if self.mounts.place(path).point != self.mounts.place(target).point:
            raise Refusal("rename_bad", f"Renaming {path} to {target} is a cross mount operation")
        if target in self.mounts.table:
            raise Refusal("rename_bad", f"{target} is a mount point and cannot be renamed onto")
        if target.startswith(path + "/"):
            raise Refusal("rename_bad", f"Cannot rename because {path} is a prefix of {target}")

    def _move(self, inode: Inode, path: str, target: str, above: Inode, name: str) -> None:
        if inode.persisted:
            old, new = self.mounts.place(path), self.mounts.place(target)
            self.persist_folders(above)
            try:
                os.rename(old.file, new.file)
            except OSError as exc:
                words = f"Failed to rename {old.uri} to {new.uri} in the under file system"
                raise Refusal("unknown", words) from exc
            self.names.now_present(target)
        self.tree.move(inode, above, name)
        if self.dialect.old:
            inode.modified = now_ms()
