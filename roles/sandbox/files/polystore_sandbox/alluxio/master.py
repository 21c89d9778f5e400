# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does: one method an operation, with the options of its body."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from polystore_sandbox.alluxio.attributes import Attributes
from polystore_sandbox.alluxio.base import Options
from polystore_sandbox.alluxio.mounting import MountTable
from polystore_sandbox.alluxio.tree import NOT_PERSISTED, PERSISTED, TO_BE_PERSISTED, Inode, now_ms
from polystore_sandbox.alluxio.versions import Refusal
from polystore_sandbox.alluxio.view import file_info

THROUGH = ("CACHE_THROUGH", "THROUGH")


class Master(Attributes, MountTable):
    """The namespace and its operations. Safe among threads."""

    # --- asking --------------------------------------------------------------------------------------------------

    def exists(self, path: str, options: Options) -> bool:
        """False also below a file."""
        with self.change():
            try:
                self.names.find(path, options)
            except Refusal as refusal:
                if refusal.case in ("missing", "below_file"):
                    return False
                raise
            return True

    def get_status(self, path: str, options: Options) -> dict[str, Any]:
        """FileInfo."""
        with self.change():
            return file_info(self.names.find(path, options), self.names)

    def list_status(self, path: str, options: Options) -> list[dict[str, Any]]:
        """FileInfos of the children; of a file: its own."""
        with self.change():
            deep = bool(options.get("recursive"))
            if self.names.wants_sync(options):
                self.names.sync(path, True, deep)
            how = str(options.get("loadMetadataType", "ONCE")).upper()
            inode = self.names.find(path, {"loadMetadataType": how})
            found = [inode] if not inode.folder else self._listed(inode, how, deep)
            if options.get("loadMetadataOnly"):
                return []
            return [file_info(one, self.names) for one in found]

    def _listed(self, folder: Inode, how: str, deep: bool) -> list[Inode]:
        self.names.load_children(folder, how)
        found = []
        for name in sorted(folder.children):
            child = folder.children[name]
            below = self._listed(child, how, deep) if deep and child.folder else []
            found += [*below, child] if self.dialect.old else [child, *below]
        return found

    # --- making --------------------------------------------------------------------------------------------------

    def create_directory(self, path: str, options: Options) -> None:
        """Only the leaf gets the mode."""
        with self.change():
            parent, rest = self._for_creation(path)
            if not rest:
                if path != "/" and options.get("allowExists") and parent.folder:
                    return
                raise self._in_the_way(path, parent, bool(options.get("allowExists")))
            through = options.get("writeType") in THROUGH
            place = self.mounts.place(path)
            place.writable()
            parent = self._parents(path, parent, rest, bool(options.get("recursive")), through, _spread(options))
            existing = place.stat() if through else None
            values: dict[str, Any] = {"mode": options.get("mode", 0o755), "ttl_action": self.dialect.ttl_action}
            values.update(self._ttl(options), xattr=dict(options.get("xattr", {})))
            if through:
                if existing is None:
                    place.make_folder(values["mode"])
                else:
                    values["mode"] = existing.st_mode & 0o777
                values["state"] = PERSISTED
            inode = self.new_inode(parent, rest[-1], True, **values)
            inode.loaded = existing is None

    def _in_the_way(self, path: str, inode: Inode, allowed: bool) -> Refusal:
        if self.dialect.old:
            return Refusal("exists", f"{path} already exists")
        if path == "/":
            return Refusal("exists", "Not allowed to create existing root path: /")
        if allowed and not inode.folder:
            return Refusal("file_in_the_way", "Inode file is not a directory")
        return Refusal("exists", f"Not allowed to create directory because path already exists: {path}")

    def _for_creation(self, path: str) -> tuple[Inode, list[str]]:
        """What is there already on the way to a path; looks into the store below once."""
        inode, rest = self.names.walk(path, "create_below_file")
        if rest and not self.names.known_absent(path) and self.names.load(path) is not None:
            return self.names.walk(path, "create_below_file")
        return self.names.walk(path, "create_below_file") if rest else (inode, rest)

    def _parents(
        self, path: str, above: Inode, rest: list[str], recursive: bool, through: bool, xattr: dict[str, str]
    ) -> Inode:
        """Makes the missing parents; those above that are not in the store yet are put there when it has to be."""
        missing = rest[:-1]
        if missing and not recursive:
            depth = len([part for part in path.split("/") if part]) - len(rest) + 1
            raise Refusal("parent_missing", self._no_parent(path, depth, missing[0]))
        if through:
            self.persist_folders(above)
        for name in missing:
            values = {"ttl_action": self.dialect.ttl_action, "xattr": dict(xattr)}
            above = self.new_inode(above, name, True, mode=0o755, **values)
            above.loaded = True
            if through:
                self.mounts.place(above.path).make_folder(0o755)
                above.state = PERSISTED
        return above

    def _no_parent(self, path: str, depth: int, name: str) -> str:
        return f"File {path} creation failed. Component {depth}({name}) does not exist"

    def persist_folders(self, inode: Inode | None) -> None:
        """Puts a directory and those above it into the store below."""
        if inode is None or inode.state == PERSISTED:
            return
        self.persist_folders(inode.parent)
        self.mounts.place(inode.path).make_folder(inode.mode)
        inode.state = PERSISTED
        self.tree.changed(inode)

    def _ttl(self, options: Options) -> dict[str, Any]:
        given = options if self.dialect.old else options.get("commonOptions", {})
        found: dict[str, Any] = {}
        if "ttl" in given:
            found["ttl"] = given["ttl"]
        if "ttlAction" in given:
            found["ttl_action"] = given["ttlAction"]
        return found

    def create_file(self, path: str, options: Options) -> Inode:
        """An incomplete file; the caller makes the stream."""
        with self.change():
            above, rest = self._for_creation(path)
            if not rest:
                above, rest = self._over(above, path, options)
            write_type = options.get("writeType", self.dialect.write_type)
            through = write_type in THROUGH
            place = self.mounts.place(path)
            place.writable()
            recursive = bool(options.get("recursive", self.dialect.old))
            above = self._parents(path, above, rest, recursive, through, _spread(options))
            lowest = options.get("replicationMin", 0)
            highest = options.get("replicationMax", -1)
            values: dict[str, Any] = {
                "mode": options.get("mode", 0o644),
                "ttl_action": self.dialect.ttl_action,
                "block_size": options.get("blockSizeBytes", self.dialect.block),
                "completed": False,
                "state": PERSISTED if through else NOT_PERSISTED,
                "replication_min": 0 if self.dialect.old else lowest,
                "replication_max": highest,
                "xattr": dict(options.get("xattr", {})),
                **self._ttl(options),
            }
            if through and len(rest[-1].encode()) > 255:
                raise Refusal("unknown", f"Cannot create or load UFS directory {place.uri}")
            if values["replication_min"] > 0:
                values["pinned"] = True
            return self.new_inode(above, rest[-1], False, **values)

    def _over(self, inode: Inode, path: str, options: Options) -> tuple[Inode, list[str]]:
        """Makes room for a file that is to replace another."""
        if options.get("overwrite") and not inode.folder and inode.parent is not None:
            parent, name = inode.parent, inode.name
            self.mounts.place(path).remove()
            self.names.forget(inode)
            return parent, [name]
        if self.dialect.old:
            raise Refusal("exists", f"{path} already exists")
        if options.get("overwrite"):
            raise Refusal("exists", f"{path} already exists. Directories cannot be overwritten with create")
        more = " If you want to overwrite the file, you need to specify the overwrite option."
        raise Refusal("exists", f"{path} already exists." + more)

    # --- deleting and moving -------------------------------------------------------------------------------------

    def delete(self, path: str, options: Options) -> None:
        """What is below a mount point goes too, before 2.9.0."""
        with self.change():
            if self.names.wants_sync(options):
                self.names.sync(path, True, True)
            inode = self.names.find(path)
            recursive = bool(options.get("recursive"))
            if inode.folder and not recursive:
                self.names.load_children(inode)
                if inode.children:
                    words = f"Cannot delete non-empty directory {inode.name} because recursive is set to false"
                    raise Refusal("not_empty", words)
            points = [] if inode.parent is None else self.mounts.holds(path)
            if inode.parent is None:
                words = "Cannot delete the root directory" if self.dialect.old else _guarded(path)
                raise Refusal("delete_root", words)
            self.mounts.place(path).writable()
            if points and self.dialect.has("mount_guard") and not options.get("deleteMountPoint"):
                raise Refusal("denied", _guarded(path))
            for point in points:
                self.mounts.place(point).writable()
            keep = bool(options.get("alluxioOnly"))
            if not keep and not options.get("unchecked"):
                self._in_sync(inode)
            self._delete(inode, keep)

    def _in_sync(self, inode: Inode) -> None:
        """Refuses when the store below has what the tree has not."""
        for one in (inode, *inode.below()):
            if one.folder and one.persisted and not one.mount and set(self.names.names_below(one)) - set(one.children):
                words = f"{one.path} (UFS dir not in sync. Sync UFS, or delete with unchecked flag.)"
                raise Refusal("not_empty", f"Cannot delete {inode.path}: {words}")

    def _delete(self, inode: Inode, keep: bool) -> None:
        for point in self.mounts.holds(inode.path):
            at = self.names.peek(point)
            if at is not None and not keep:
                for child in list(at.children.values()):
                    self.mounts.place(child.path).remove()
            self.mounts.remove(point)
        if inode.persisted and not keep and not inode.mount:
            self.mounts.place(inode.path).remove()
        self.names.forget(inode)

    def rename(self, path: str, target: str, options: Options) -> None:
        """The target may be replaced with s3SyntaxOptions.overwrite, whatever it is."""
        with self.change():
            inode = self.names.find(path)
            if path == target:
                return
            if inode.parent is None or target == "/":
                raise Refusal(
                    "rename_bad",
                    "Cannot rename a path to the root directory"
                    if target == "/"
                    else "The root directory cannot be renamed",
                )
            if target.startswith(path + "/"):
                raise Refusal("rename_bad", f"Cannot rename because {path} is a prefix of {target}")
            if inode.mount or self.mounts.place(path).point != self.mounts.place(target).point:
                words = f"Renaming {path} to {target} is a cross mount operation"
                raise Refusal("rename_bad", words)
            self.mounts.place(path).writable()
            above, rest = self._for_rename(target)
            if not rest:
                if not options.get("s3SyntaxOptions", {}).get("overwrite"):
                    words = f"Cannot rename because destination already exists. src: {path} dst: {target}"
                    raise Refusal("rename_exists", f"{target} already exists" if self.dialect.old else words)
                if above.persisted:
                    self.mounts.place(target).remove()
                self.names.forget(above)
                above, rest = self.names.walk(target)
            if len(rest) > 1 or not above.folder:
                raise Refusal("missing", f'Path "{os.path.dirname(target)}" does not exist.')
            self._move(inode, path, target, above, rest[0], bool(options.get("persist")))

    def _for_rename(self, target: str) -> tuple[Inode, list[str]]:
        above, rest = self.names.walk(target)
        if rest and self.names.load(target) is not None:
            return self.names.walk(target)
        return self.names.walk(target) if rest else (above, rest)

    def _move(self, inode: Inode, path: str, target: str, above: Inode, name: str, persist: bool) -> None:
        old, new = self.mounts.place(path), self.mounts.place(target)
        if inode.persisted:
            if not inode.completed and not inode.folder:
                raise Refusal("unknown", f"Failed to rename {old.uri} to {new.uri} in the under file system")
            self.persist_folders(above)
            with contextlib.suppress(FileNotFoundError):
                os.rename(old.file, new.file)
        self.tree.move(inode, above, name)
        inode.modified = now_ms()
        self.names.now_present(target)
        if persist and inode.state == NOT_PERSISTED:
            inode.state = TO_BE_PERSISTED


def _spread(options: Options) -> dict[str, str]:
    """The extended attributes that the parents get which are made on the way: the leaf's, unless told otherwise."""
    return {} if options.get("xattrPropStrat") == "LEAF_NODE" else dict(options.get("xattr", {}))


def _guarded(path: str) -> str:
    words = "which is or contains a mount point without --deleteMountPoint/-m option specified"
    return f"Cannot delete path {path} {words}"
