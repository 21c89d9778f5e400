# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding inodes by path: what is loaded from the store below, what was looked for in vain, what a sync does."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.store import Mounts, Place, owner_of
from polystore_sandbox.alluxio.tree import NOT_PERSISTED, PERSISTED, TO_BE_PERSISTED, Inode, Tree, split
from polystore_sandbox.alluxio.versions import Dialect, Refusal

TEMPORARY = (".alluxio_", ".tmp")


class Namespace:
    """The tree with the store below it. Every method wants the caller to have the lock."""

    def __init__(self, dialect: Dialect, tree: Tree, mounts: Mounts, worker: Path) -> None:
        self.dialect, self.tree, self.mounts, self.worker = dialect, tree, mounts, worker
        self._absent: set[str] = set()  # forgotten with the process, as the server's is

    # --- by path -------------------------------------------------------------------------------------------------

    def walk(self, path: str, case: str = "below_file") -> tuple[Inode, list[str]]:
        """The deepest inode on the way, and the names that are missing below it; Refusal below a file."""
        inode = self.tree.root
        names = split(path)
        for number, name in enumerate(names):
            if not inode.folder:
                text = f"Component {number}({inode.name}) is a file"
                where = "" if self.dialect.old else f" for path {path}"
                more = "" if self.dialect.old else ", not a directory."
                raise Refusal(case, f"Traversal failed{where}. {text}{more}")
            child = inode.children.get(name)
            if child is None:
                return inode, names[number:]
            inode = child
        return inode, []

    def peek(self, path: str) -> Inode | None:
        """The inode, when it is in the tree."""
        inode, rest = self.walk(path)
        return None if rest else inode

    def need(self, path: str) -> Inode:
        """The inode that is in the tree; Refusal when there is none. Nothing is loaded."""
        inode = self.peek(path)
        if inode is None:
            shown = path[1:] if path[2:3] == ":" and path[1].isalpha() else path  # taken for a drive
            raise Refusal("missing", f'Path "{shown}" does not exist.')
        return inode

    def find(self, path: str, options: dict[str, Any] | None = None) -> Inode:
        """The inode, synced or loaded as the options say; Refusal when there is none."""
        given = options or {}
        if self.wants_sync(given):
            self.sync(path)
        elif self.peek(path) is None:
            self.load(path, str(given.get("loadMetadataType", "ONCE")).upper())
        return self.need(path)

    @staticmethod
    def wants_sync(options: dict[str, Any]) -> bool:
        """Whether the options say: now."""
        return bool(options.get("commonOptions", {}).get("syncIntervalMs", -1) == 0)

    # --- the store below -----------------------------------------------------------------------------------------

    def load(self, path: str, how: str = "ONCE") -> Inode | None:
        """Takes a path that the tree lacks from the store below, with its parents; None when it is not there either."""
        if how == "NEVER" or (how == "ONCE" and self.known_absent(path)):
            return None
        above, rest = self.walk(path)
        if not above.folder or not rest:
            return above if not rest else None
        for name in rest:
            child = self._adopt(above, name) or self._above_a_mount(above, name)
            if child is None:
                self._note_absent(f"{above.path.rstrip('/')}/{name}")
                return None
            above = child
            if not above.folder and name is not rest[-1]:
                return None
        return above

    def known_absent(self, path: str) -> bool:
        """Whether the path, or one above it, was looked for in vain."""
        names = split(path)
        return any("/" + "/".join(names[: n + 1]) in self._absent for n in range(len(names)))

    def _note_absent(self, path: str) -> None:
        self._absent.add(path)

    def now_present(self, path: str) -> None:
        """Forgets that the path, or one above it, was looked for in vain."""
        names = split(path)
        self._absent -= {"/" + "/".join(names[: n + 1]) for n in range(len(names))}

    def _adopt(self, parent: Inode, name: str) -> Inode | None:
        path = f"{parent.path.rstrip('/')}/{name}"
        place = self.mounts.place(path)
        found = place.stat()
        if found is None:
            return None
        folder = stat.S_ISDIR(found.st_mode)
        owner, group = owner_of(found)
        values: dict[str, Any] = {
            "owner": owner,
            "group": group,
            "mode": shared_mode(found.st_mode & 0o777, place.mount.shared),
            "state": PERSISTED,
            "fingerprint": place.marks(),
            "pinned": parent.pinned,
            "ttl_action": self.dialect.ttl_action,
        }
        if not folder:
            values.update(length=found.st_size, block_size=self.dialect.block, replication_max=-1)
            values["xattr"] = self.etag(values["fingerprint"])
            values["replication_min"] = int(parent.pinned)
        if path in self.mounts.table:
            values["mount"] = self.mounts.table[path].id
        moment, changed = parent.modified, int(found.st_mtime * 1000)
        inode = self.tree.add(parent, name, folder, **values)
        inode.modified, parent.modified = changed, max(moment, changed)
        if changed >= moment and inode.xattr:  # as at a creation, the directory above loses its own
            parent.xattr = dict(inode.xattr)
        self.now_present(path)
        for one in self._not_persisted_above(inode):
            one.state = PERSISTED
            self.tree.changed(one)
        return inode

    def _above_a_mount(self, parent: Inode, name: str) -> Inode | None:
        """A directory that was renamed away from above a mount point comes back, in the store too."""
        path = f"{parent.path.rstrip('/')}/{name}"
        if not self.mounts.holds(path):
            return None
        self.mounts.place(path).make_folder(0o755)
        return self._adopt(parent, name)

    def etag(self, marks: dict[str, str]) -> dict[str, str]:
        """The extended attribute that the server gives a file of the store below."""
        if not self.dialect.has("etag") or "CONTENT_HASH" not in marks:
            return {}
        return {"s3_etag": base64.b64encode(marks["CONTENT_HASH"].encode()).decode()}

    @staticmethod
    def _not_persisted_above(inode: Inode) -> list[Inode]:
        found = []
        parent = inode.parent
        while parent is not None and parent.state == NOT_PERSISTED:
            found.append(parent)
            parent = parent.parent
        return found

    def load_children(self, folder: Inode, how: str = "ONCE") -> None:
        """Takes what the store below has in a directory and the tree has not."""
        if how == "NEVER" or not folder.persisted or (how == "ONCE" and folder.loaded):
            return
        new = sorted(name for name in self.names_below(folder) if name not in folder.children)
        for name in new:
            self._adopt(folder, name)
        if not folder.loaded:
            folder.loaded = True
            self.tree.changed(folder)

    def names_below(self, folder: Inode) -> list[str]:
        """What the store has in a directory."""
        place = self.mounts.place(folder.path)
        try:
            found = os.listdir(place.file)
        except OSError:
            return []
        return [name for name in found if not (name.startswith(TEMPORARY[0]) and name.endswith(TEMPORARY[1]))]

    # --- sync ----------------------------------------------------------------------------------------------------

    def sync(self, path: str, children: bool = False, deep: bool = False) -> None:
        """Makes the tree what the store below is, at a path, its children or all below."""
        try:
            inode, rest = self.walk(path)
        except Refusal:
            return
        if rest:
            self.load(path, "ALWAYS")
            inode, rest = self.walk(path)
            if rest:
                return
        if inode.parent is not None and not inode.mount:
            synced = self._sync_one(inode)
            if synced is None:
                return
            inode = synced
        if inode.folder and (children or deep):
            self.load_children(inode, "ALWAYS")
            for child in list(inode.children.values()):
                if deep and child.folder:
                    self.sync(child.path, children, deep)
                elif not child.mount:
                    self._sync_one(child)

    def _sync_one(self, inode: Inode) -> Inode | None:
        """The inode as it is now; None when it is gone."""
        parent, old = inode.parent, inode.fingerprint
        if parent is None or (not inode.folder and (not inode.completed or inode.state == TO_BE_PERSISTED)):
            return inode
        place = self.mounts.place(inode.path)
        new = place.marks()
        if not inode.persisted and not new:
            return inode
        if inode.folder and (new.get("TYPE") == "DIRECTORY" or self.mounts.holds(inode.path)):
            content = True
        else:
            content = inode.persisted and bool(old) and all(old.get(k) == new.get(k) for k in ("TYPE", "CONTENT_HASH"))
        metadata = bool(old) and all(old.get(name) == new.get(name) for name in ("OWNER", "GROUP", "MODE"))
        if not content:
            self.forget(inode)
            return self._adopt(parent, inode.name) if new else None
        if not metadata and new:
            self._take_over(inode, place, new)
        return inode

    def _take_over(self, inode: Inode, place: Place, marks: dict[str, str]) -> None:
        """Owner, group and mode are the store's; in 2.x the ttl is lost, also when Alluxio itself had set the mode."""
        if not self.dialect.old:
            inode.ttl, inode.ttl_action = -1, self.dialect.ttl_action
        inode.owner, inode.group = marks["OWNER"], marks["GROUP"]
        inode.mode = shared_mode(int(marks["MODE"]), place.mount.shared)
        inode.fingerprint = marks
        self.tree.changed(inode)

    def forget(self, inode: Inode) -> None:
        """Takes an inode and all below it out of the tree and out of the worker.

        What a stream is still writing is kept aside: closing it brings the file back.
        """
        writing = {one.id for one in (inode, *inode.below()) if not one.completed}
        for number in self.tree.drop(inode):
            content = self.worker / str(number)
            with contextlib.suppress(FileNotFoundError):
                if number in writing:
                    content.rename(f"{content}.deleted")
                else:
                    content.unlink()


def shared_mode(mode: int, shared: bool) -> int:
    """In a shared mount everybody may what the owner may."""
    return mode | mode >> 6 if shared else mode
