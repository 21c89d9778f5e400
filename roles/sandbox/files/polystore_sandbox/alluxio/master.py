# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does: one method an operation, with the options of its body."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.alluxio.attributes import Attributes
from polystore_sandbox.alluxio.base import Options
from polystore_sandbox.alluxio.deleting import Deleting
from polystore_sandbox.alluxio.mounting import MountTable
from polystore_sandbox.alluxio.renaming import Renaming
from polystore_sandbox.alluxio.tree import NOT_PERSISTED, PERSISTED, TO_BE_PERSISTED, Inode
from polystore_sandbox.alluxio.versions import Refusal
from polystore_sandbox.alluxio.view import file_info

THROUGH = ("CACHE_THROUGH", "THROUGH")


class Master(Attributes, Deleting, Renaming, MountTable):
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
            how = str(options.get("loadMetadataType", "ONCE")).upper()
            if self.names.wants_sync(options):
                self.names.sync(path, True, deep)
                how = "NEVER"
            inode = self.names.find(path, {"loadMetadataType": how})
            found = self._listed(inode, how, deep) if inode.folder else [inode]
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
            above, rest = self._for_creation(path, options)
            if not rest:
                self._directory_exists(path, above, bool(options.get("allowExists")))
                return
            through = options.get("writeType") in THROUGH
            above = self._parents(path, above, rest, options, bool(options.get("recursive")), through)
            values = {"mode": options.get("mode", 0o755), **self._given(options)}
            place = self.mounts.place(path)
            existing = place.marks() if through else {}
            if existing:
                values.update(mode=int(existing["MODE"]), owner=existing["OWNER"], group=existing["GROUP"])
            elif through:
                place.make_folder(values["mode"])
            inode = self.new_inode(above, rest[-1], True, **values)
            if through:
                inode.state, inode.fingerprint = PERSISTED, place.marks()

    def _directory_exists(self, path: str, inode: Inode, allowed: bool) -> None:
        """What is said about a path that is there already; nothing where that is allowed."""
        old = self.dialect.old
        if path == "/" and not old:
            raise Refusal("exists", "Not allowed to create existing root path: /")
        if not allowed or (old and (path == "/" or not inode.folder)):
            words = "Not allowed to create directory because path already exists: " + path
            raise Refusal("exists", f"{path} already exists" if old else words)
        if not inode.folder:
            raise Refusal("file_in_the_way", f"Inode {inode.name} is not a directory")

    def _for_creation(self, path: str, options: Options) -> tuple[Inode, list[str]]:
        """The deepest inode on the way, and what is missing. Nothing is loaded from the store below."""
        if self.names.wants_sync(options):
            self.names.sync(path, True)
        found = self.names.walk(path, "create_below_file")
        self.mounts.place(path).writable(path)
        return found

    def _parents(
        self, path: str, above: Inode, rest: list[str], options: Options, recursive: bool, through: bool
    ) -> Inode:
        """Makes the missing parents; those above that are not in the store yet are put there when it has to be."""
        if len(rest) > 1 and not recursive:
            raise self.no_parent(path, rest)
        if through:
            self.persist_folders(above)
        given = self._given(options)
        marked = bool(given["xattr"]) and options.get("xattrPropStrat", "NEW_PATHS") == "NEW_PATHS"
        if marked:  # also the one that was there, which loses its own
            above.xattr = dict(given["xattr"])
            self.tree.changed(above)
        given = {name: value for name, value in given.items() if name != "xattr" or marked}
        if self.dialect.old:  # in 2.x the parents get the ttl too
            given = {"ttl_action": self.dialect.ttl_action}
        for name in rest[:-1]:
            above = self.new_inode(above, name, True, mode=0o755, **given)
            if through:
                self.persist_folders(above)
        return above

    def _given(self, options: Options) -> dict[str, Any]:
        """What a new inode has of the options: ttl and extended attributes."""
        given = options if self.dialect.old else options.get("commonOptions", {})
        return {
            "ttl": given.get("ttl", -1),
            "ttl_action": given.get("ttlAction", self.dialect.ttl_action),
            "xattr": dict(options.get("xattr", {})),
        }

    def create_file(self, path: str, options: Options) -> Inode:
        """An incomplete file; the caller makes the stream."""
        with self.change():
            block = options.get("blockSizeBytes", self.dialect.block)
            above, rest = self._for_creation(path, options)
            if not rest:
                above, rest = self._over(above, path, options)
            if block <= 0:
                raise Refusal("invalid", f"Invalid block size {block}")
            write_type = options.get("writeType", self.dialect.write_type)
            through = write_type in THROUGH
            recursive = bool(options.get("recursive", self.dialect.old))
            above = self._parents(path, above, rest, options, recursive, through)
            low, high = options.get("replicationMin", 0), options.get("replicationMax", -1)
            if high != -1 and low > high:
                raise Refusal("unknown", None)
            low = 0 if self.dialect.old else max(low, int(above.pinned))
            state = PERSISTED if through else NOT_PERSISTED
            if write_type == "ASYNC_THROUGH" and not self.dialect.old:
                state = TO_BE_PERSISTED
            values: dict[str, Any] = {
                "mode": options.get("mode", 0o644),
                "block_size": block,
                "completed": False,
                "state": state,
                "replication_min": low,
                "replication_max": high,
                **self._given(options),
            }
            inode = self.new_inode(above, rest[-1], False, **values)
            inode.pinned = inode.pinned or low > 0
            if options.get("xattrPropStrat", "NEW_PATHS") == "NEW_PATHS":
                self.sharing[inode.id] = inode.ancestors()[: len(rest) - 1]
            return inode

    def _over(self, inode: Inode, path: str, options: Options) -> tuple[Inode, list[str]]:
        """Makes room for a file that is to replace another."""
        if self.dialect.old:
            raise Refusal("exists", f"{path} already exists")
        if not options.get("overwrite"):
            more = "If you want to overwrite the file, you need to specify the overwrite option."
            raise Refusal("exists", f"{path} already exists. {more}")
        if inode.folder or inode.parent is None:
            raise Refusal("exists", f"{path} already exists. Directories cannot be overwritten with create")
        parent, name = inode.parent, inode.name
        self.mounts.place(path).remove()
        self.names.forget(inode)
        return parent, [name]
