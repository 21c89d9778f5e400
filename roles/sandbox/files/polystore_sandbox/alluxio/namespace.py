# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding inodes by path: what is loaded from the store below, what was looked for in vain, what a sync does."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.store import Mounts, Place, content_mark, etag_of, owner_of
from polystore_sandbox.alluxio.tree import NOT_PERSISTED, PERSISTED, Inode, Tree, split
from polystore_sandbox.alluxio.versions import Dialect, Refusal

TEMPORARY = (".alluxio_", ".tmp")


class Namespace:
    """The tree with the store below it. Every method wants the caller to have the lock."""

    def __init__(self, dialect: Dialect, tree: Tree, mounts: Mounts, worker: Path) -> None:
        self.dialect, self.tree, self.mounts, self.worker = dialect, tree, mounts, worker
        self._absent: set[str] = set(tree.fact("absent", []))

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

    def find(self, path: str, options: dict[str, Any] | None = None) -> Inode:
        """The inode, synced or loaded as the options say; Refusal when there is none."""
        given = options or {}
        if self.wants_sync(given):
            self.sync(path)
        inode = self.peek(path)
        if inode is None:
            inode = self.load(path, str(given.get("loadMetadataType", "ONCE")).upper())
        if inode is None:
            raise Refusal("missing", f'Path "{path}" does not exist.')
        return inode

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
            child = self._adopt(above, name)
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
        self.tree.set_fact("absent", sorted(self._absent))

    def now_present(self, path: str) -> None:
        """Forgets that the path, or one above it, was looked for in vain."""
        names = split(path)
        found = {"/" + "/".join(names[: n + 1]) for n in range(len(names))} & self._absent
        if found:
            self._absent -= found
            self.tree.set_fact("absent", sorted(self._absent))

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
            "mode": stat.S_IMODE(found.st_mode) & 0o777,
            "state": PERSISTED,
            "modified": int(found.st_mtime * 1000),
            "fingerprint": self.fingerprint(place),
            "pinned": parent.pinned,
            "ttl_action": self.dialect.ttl_action,
        }
        if not folder:
            length = found.st_size
            values["xattr"] = {"s3_etag": etag_of(Path(place.file))} if self.dialect.has("etag") else {}
            values.update(length=length, block_size=self.dialect.block, replication_max=-1)
        inode = self.tree.add(parent, name, folder, **values)
        inode.modified = values["modified"]
        self.now_present(path)
        for one in self._not_persisted_above(inode):
            one.state = PERSISTED
            self.tree.changed(one)
        return inode

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
        for name in self.names_below(folder):
            if name not in folder.children:
                self._adopt(folder, name)
        if folder.mount and folder.parent is not None and self.dialect.has("etag"):
            folder.xattr = {**folder.xattr, "s3_etag": ""}
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

    def fingerprint(self, place: Place) -> str:
        """As the server writes it; "" when there is nothing."""
        found = place.stat()
        if found is None:
            return ""
        owner, group = owner_of(found)
        mode = stat.S_IMODE(found.st_mode) & 0o777
        mark = ":" if self.dialect.old else "|"
        kind = "DIRECTORY" if stat.S_ISDIR(found.st_mode) else "FILE"
        parts = [("TYPE", kind), ("UFS", "local"), ("OWNER", owner), ("GROUP", group), ("MODE", str(mode))]
        if kind == "FILE":
            content = content_mark(found)
            parts.append(("CONTENT_HASH", content.replace(":", "_") if self.dialect.old else content))
        return " ".join(f"{name}{mark}{value}" for name, value in parts) + " "

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
        if not inode.persisted or not inode.completed:
            return inode
        path, parent = inode.path, inode.parent
        place = self.mounts.place(path)
        found = place.stat()
        if found is None:
            self.forget(inode)
            return None
        new = self.fingerprint(place)
        same = inode.folder == stat.S_ISDIR(found.st_mode)
        if same and not inode.folder and inode.fingerprint:
            old, now = inode.fingerprint.split("CONTENT_HASH"), new.split("CONTENT_HASH")
            same = old[-1] == now[-1]
        if not same and parent is not None:
            self.forget(inode)
            return self._adopt(parent, inode.name)
        if inode.fingerprint != new or inode.stale:
            if inode.stale and not self.dialect.old:  # the trap: the ttl is lost when mode was set by Alluxio itself
                inode.ttl, inode.ttl_action = -1, self.dialect.ttl_action
            owner, group = owner_of(found)
            inode.owner, inode.group = owner, group
            inode.mode = stat.S_IMODE(found.st_mode) & 0o777
            inode.fingerprint, inode.stale = new, False
            self.tree.changed(inode)
        return inode

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
