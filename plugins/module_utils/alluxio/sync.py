# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local tree and a directory of Alluxio: one listing for each directory, and only what differs is sent."""

from __future__ import annotations

import dataclasses as dc
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import (
    COMPARE,
    FRAIL,
    Writer,
    content_of,
    mark,
    refused,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source, TreeItem, scan
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    Scope,
    State,
    differences,
    directive,
    key,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Selection


@dc.dataclass
class Tree(TreeItem, common.Attributes):
    """A local directory and where its files belong."""

    path: str = key(parse=common.path)
    compare: str = directive(choices=COMPARE, default="checksum")

    def __post_init__(self) -> None:
        self.base = self.path.rstrip("/") + "/"
        self.files = 0
        self.chosen: Selection = self.selection()

    def relative(self, path: str) -> str:
        """The name below the tree's directory, "" when path is not below it."""
        return path[len(self.base) :] if path.startswith(self.base) else ""

    def excluded(self, path: str) -> bool:
        """Whether a directory below is excluded, itself or one above it."""
        name = self.relative(path)
        return self.chosen.excludes(name) or self.chosen.excludes(name + "/")


@dc.dataclass
class Piece(Item):
    """One file of a tree and the file in Alluxio, or a file or directory there to which none belongs."""

    path: str = key()
    tree: Any = None
    source: Any = None
    folder: bool = False


class SyncResource(Resource):
    """What the module alluxio_sync declares."""

    Item = Tree
    connection = common.CONNECTION
    noun = "file"
    single = False
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.writer = Writer(client, run)
        self.trees: list[Any] = []
        self.needed: set[str] = set()  # directories that hold a file of a tree, and those above them
        self.due: set[str] = set()  # those of them that have to be there
        self.pieces: list[Any] = []
        self.listed: dict[str, list[State]] = {}
        self.rows: dict[str, State] = {}
        self.mounts: set[str] = set()
        self.going: set[str] = set()  # what is pruned
        self._lock = threading.Lock()

    @classmethod
    def validate(cls, item: Any) -> None:
        common.validate(item)

    def expand(self, items: list[Any]) -> Iterator[Any]:
        self.trees = items
        for tree in items:
            folders = {tree.path}
            for relative, path in scan(tree):
                try:
                    whole = common.path(tree.base + relative)
                except ValueError as error:
                    raise OptionError("src", "%s: %s" % (path, error), "Rename it, or exclude it") from None
                tree.files += 1
                folder = common.parent(whole)
                while folder not in folders:
                    folders.add(folder)
                    folder = common.parent(folder)
                yield Piece(tree.state, whole, tree, Source(path))
            self.needed |= folders
            self.due |= folders if tree.state == "present" and tree.files else set()

    # --- read

    def read(self, items: list[Any]) -> dict[Key, State]:
        self.pieces = items
        level: set[str] = {tree.path for tree in self.trees if tree.files or tree.prune}
        while level:
            self.run.workers.each(self._list, sorted(level))
            below = set()
            for folder in level:
                for info in self.listed.get(folder, ()):
                    if info["folder"] and info["path"] not in self.listed and self._matters(info["path"]):
                        below.add(info["path"])
            level = below
        for path in self.needed:
            if path not in self.listed:
                self.writer.seen(path, ())
            if path in self.rows and not self.rows[path]["folder"] and path in self.due:
                raise StorageError(
                    "%s is a file, where a directory of the tree belongs" % path,
                    operation="list directory",
                    hint="Nothing is replaced by it: remove it first",
                )
        return {piece.key: content_of(self.rows[piece.path]) for piece in items if piece.path in self.rows}

    def _list(self, folder: str) -> None:
        sync = any(t.sync_metadata and (folder + "/").startswith(t.base) for t in self.trees)
        try:
            found = self.client.list_status(folder, sync=sync)
        except StorageError as error:
            if error.code != "NOT_FOUND":
                raise
            return
        kept = self.writer.seen(folder, found)
        with self._lock:
            self.rows.update((info["path"], info) for info in kept)
            self.mounts.update(info["path"] for info in kept if info["mount_point"])
            if folder not in self.rows or self.rows[folder]["folder"]:  # the listing of a file is the file
                self.listed[folder] = kept

    def _matters(self, folder: str) -> bool:
        return folder in self.needed or any(
            tree.prune and tree.state == "present" and self._prunable(tree, folder) for tree in self.trees
        )

    def _prunable(self, tree: Any, folder: str) -> bool:
        """Whether what is in a directory below the tree's own may be pruned: no mount point is on the way to it."""
        if not tree.relative(folder):
            return bool(folder == tree.path)
        while folder != tree.path:
            if folder in self.mounts or tree.excluded(folder):
                return False
            folder = common.parent(folder)
        return True

    # --- plan

    def plan(self, item: Any, present: State | None) -> Change | None:
        if present is not None and present["_info"]["folder"]:
            raise refused(item.path)
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        fields = self.writer.differs(item.tree.compare, item.source, present and present["_info"])
        if not fields:
            return None
        if present is None:
            fields.update(differences(common.settled(item.tree, None), None))
            common.supported(self.client, fields)
            return Change(item, "created", None, dict(fields), fields, item.source)
        after = {n: v for n, v in present.items() if n not in FRAIL}
        return Change(item, "updated", present, {**after, **fields}, fields, item.source)

    # --- prune

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        wanted = {piece.path for piece in pieces}
        for tree in items:
            if not tree.prune or tree.state == "absent":
                continue
            self._foreign_mounts(tree)
            folders = [folder for folder in sorted(self.listed) if self._prunable(tree, folder)]
            have = [
                info["path"]
                for folder in folders
                for info in self.listed[folder]
                if not info["folder"] and tree.relative(info["path"]) in tree.chosen and self.run.mine((info["path"],))
            ]
            surplus = {path for path in have if path not in wanted}
            wanted |= surplus
            changes = [
                Change(Piece("absent", path, tree), "deleted", content_of(self.rows[path]), None) for path in surplus
            ]
            empty = self._emptied(tree, folders, surplus) if self.run.shard is None else []
            changes += [
                Change(Piece("absent", path, tree, folder=True), "deleted", {"directory": True}, None) for path in empty
            ]
            changes.sort(key=lambda change: change.item.path)
            yield Scope(tree.path, tree.files, len(have) + len(empty), changes, **tree.brakes())

    def _foreign_mounts(self, tree: Any) -> None:
        """Raises StorageError for a mount point that would have to go."""
        for path in sorted(self.mounts - self.needed):
            if tree.relative(path) and self._prunable(tree, common.parent(path)) and not tree.excluded(path):
                raise StorageError(
                    "%s is a mount point inside the tree, and no file of the tree belongs below it" % path,
                    operation="prune",
                    hint="Exclude it (exclude: %s/), or unmount it with alluxio_mount" % tree.relative(path),
                    fatal=True,
                )

    def _emptied(self, tree: Any, folders: list[str], surplus: set[str]) -> list[str]:
        """The directories below the tree in which nothing is left and none is needed, the deepest first."""
        gone: list[str] = []
        self.going |= surplus
        for folder in sorted(folders, key=lambda path: path.count("/"), reverse=True):
            inside = {info["path"] for info in self.listed[folder]}
            if folder in self.needed or folder in self.going:
                continue
            if inside <= self.going and (inside or not tree.include):
                gone.append(folder)
                self.going.add(folder)
        return gone

    # --- make

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """First what is sent, then files that go, then directories, the deepest first."""
        waves: dict[int, list[list[Change]]] = {}
        for group in groups:
            change = group[0]
            depth = -change.item.path.count("/") if change.item.folder else -(10**9)
            waves.setdefault(depth if change.action == "deleted" else -(10**10), []).append(group)
        return [waves[depth] for depth in sorted(waves)]

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, source = change.item, change.detail
        if change.action == "deleted":
            strays = self.writer.strays(item.path) if item.folder else {}
            while strays:
                for stray in strays.popitem()[1]:
                    self.writer.remove(stray)
            try:
                self.writer.remove(item.path)
            except StorageError as error:
                if error.code == "FAILED_PRECONDITION":
                    error.hint = "Something came into it meanwhile: run again, with sync_metadata: true if from below"
                raise
            return [Made(change)]
        before, want = None, item.tree
        if change.before is not None:  # the tree's attributes are for new files
            before = common.state(change.before["_info"])
            want = common.Attributes(write_type=item.tree.write_type)
        made = self.writer.put(item.path, source, want, before, change.fields)
        return [Made(change, {**(change.after or {}), "size": made["size"], "checksum": made["checksum"]})]

    def finish(self, complete: bool) -> None:
        self.writer.finish()
        left = {folder: strays for folder in self.listed for strays in [self.writer.strays(folder)] if strays}
        if not left:
            return
        ours = {mark(piece.path) for piece in self.pieces}
        doomed: list[str] = []
        for folder, strays in left.items():
            pruned = any(t.prune and t.state == "present" and self._prunable(t, folder) for t in self.trees)
            doomed += [stray for own, found in strays.items() for stray in found if own in ours or pruned]
        self.run.workers.each(self.writer.remove, doomed)
