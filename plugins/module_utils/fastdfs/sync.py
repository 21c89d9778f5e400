# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local tree and the names of a manifest: what differs is stored anew, recorded, and then the old one goes."""

from __future__ import annotations

import dataclasses as dc
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source, TreeItem, scan
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Scope,
    State,
    about,
    directive,
    key,
    merged,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import (
    KEEP,
    NEVER,
    Selection,
    duration,
    plain_text,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    FileId,
    check_group,
    manifest_path,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.manifest import (
    Kept,
    Note,
    crc_of,
    ending,
    known,
)


def start(value: str) -> str:
    """What the names of a tree begin with, with "/" at its end; "" is nothing. Raises ValueError."""
    return plain_text(value).rstrip("/") + "/" if value.strip("/") else ""


@dc.dataclass
class Tree(TreeItem):
    """A local directory and the names that its files have."""

    manifest: str = key("path", parse=manifest_path)
    prefix: str = key(parse=start, default="")
    file_group: str = directive(parse=check_group)
    metadata: dict[str, Any] = directive("dict", parse=wire.metadata_of)
    verify: bool = directive("bool", default=True)
    compare: str = directive(choices=("checksum", "size", "exists"), default="checksum")
    lock_timeout: int = directive("raw", parse=duration, default=600)

    def __post_init__(self) -> None:
        self.files = 0
        self.held: Any = None  # the manifest, opened
        self.chosen: Selection = self.selection()
        self.place = os.path.realpath(self.manifest) if self.manifest else ""

    def holds(self, name: str) -> bool:
        """Whether a name belongs to the tree: below it, and neither it nor a directory on the way is excluded."""
        if not name.startswith(self.prefix):
            return False
        relative = name[len(self.prefix) :]
        parts = relative.split("/")
        folders = ("/".join(parts[:number]) for number in range(1, len(parts)))
        if any(self.chosen.excludes(folder) or self.chosen.excludes(folder + "/") for folder in folders):
            return False
        return relative in self.chosen


@dc.dataclass
class Piece(Item):
    """One file of a tree and its name, or a name to which no file belongs."""

    name: str = key()
    manifest: str = key()
    tree: Any = None
    source: Any = None

    def label(self) -> str:
        return self.name


class SyncResource(Kept):
    """What the module fdfs_sync declares."""

    Item = Tree
    noun = "file"
    single = False
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._seen: list[tuple[Any, Any]] = []  # (item, its metadata; None: it should not be there, and is not)
        self._lock = threading.Lock()

    def expand(self, items: list[Any]) -> Iterator[Any]:
        waits = [item.lock_timeout for item in items]
        self.hold((item.manifest for item in items), float("inf") if NEVER in waits else max(waits, default=0))
        for tree in items:
            tree.held = self.manifest(tree.manifest)
            for relative, path in scan(tree):
                try:
                    name = plain_text(tree.prefix + relative)
                except ValueError as error:
                    raise OptionError("src", "%s: %s" % (path, error), "Rename it, or exclude it") from None
                tree.files += 1
                yield Piece(tree.state, name, tree.place, tree, Source(path))

    # --- what is there

    def read(self, items: list[Any]) -> dict[Key, State]:
        found: dict[Key, State] = {}
        asking = []
        for item in items:
            tree = item.tree
            entry = tree.held.entries.get(item.name)
            if entry is None:
                continue
            state = self._state(item, entry)
            told = tree.metadata is KEEP or ("metadata" in entry and item.name not in tree.held.pending)
            if tree.verify or (tree.state == "present" and not told):
                asking.append((item, state))
            else:
                found[item.key] = state

        def ask(one: tuple[Any, State]) -> None:
            item, state = one
            with about(item):
                there = self._asked(item, state)
            if there:
                found[item.key] = state
            with self._lock:
                if not there and item.state == "absent":
                    self._seen.append((item, None))
                elif "metadata" in state:
                    self._seen.append((item, state["metadata"]))

        self.run.workers.each(ask, asking)
        return found

    def _state(self, item: Any, entry: dict[str, Any], file: FileId | None = None) -> State:
        try:
            file = file or FileId.parse(entry["id"])
        except ValueError as error:
            raise StorageError("%s: %s" % (item.name, error), operation="read manifest") from None
        state: State = {"file_id": file.text, "file_group": file.group, "_file": file, "size": file.size}
        if file.crc32 is not None:
            state["crc32"] = "%08x" % file.crc32
        if item.tree.metadata is not KEEP and "metadata" in entry:
            state["metadata"] = entry["metadata"]
        return state

    def _asked(self, item: Any, state: State) -> bool:
        """Whether the storage has it; what it tells is put into the state."""
        file: FileId = state["_file"]
        info = self.client.info(file, crc32=False)
        if info is None:
            return False
        if info.size != state["size"]:
            state.pop("crc32", None)  # it was damaged there
        state["size"] = info.size
        if item.tree.metadata is not KEEP and item.state == "present":
            state["metadata"] = self.client.get_metadata(file)
        return True

    # --- what differs

    def plan(self, item: Any, present: State | None) -> Change | None:
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        tree, source = item.tree, item.source
        if present is None:
            after = known(source)
            if tree.file_group is not KEEP:
                after["file_group"] = tree.file_group
            if tree.metadata is not KEEP:
                after["metadata"] = merged({}, tree.metadata, False)
            return Change(item, "created", None, after, after)
        if not present["_file"].fixed:
            raise StorageError(
                "it is an appender or a slave in the manifest",
                operation="look at file",
                code="KIND",
                hint="Exclude it: those are declared with fdfs_file",
            )
        fields: State = {}
        if tree.file_group is not KEEP and tree.file_group != present["file_group"]:
            fields["file_group"] = tree.file_group
        if fields or not self._same(tree.compare, source, present):
            fields.update(size=source.size, crc32=crc_of(source))
        if tree.metadata is not KEEP:
            wanted = merged(present["metadata"], tree.metadata, False)
            if wanted != present["metadata"]:
                fields["metadata"] = wanted
        if not fields:
            return None
        after = {**present, **fields}
        if "size" in fields:
            after.pop("file_id")
        return Change(item, "updated", present, after, fields)

    @staticmethod
    def _same(how: str, source: Source, present: State) -> bool:
        if how == "exists":
            return True
        if source.size != present["size"] or "crc32" not in present:
            return False
        due = present["crc32"]
        # Servers up to 5.11 put another checksum into ids.
        return how == "size" or crc_of(source) == due or crc_of(source, legacy=True) == due

    # --- prune

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        wanted = {piece.key for piece in pieces}
        for tree in items:
            if not tree.prune or tree.state == "absent":
                continue
            entries = tree.held.entries
            have, surplus = 0, []
            for name in sorted(name for name in entries if tree.holds(name)):
                piece = Piece("absent", name, tree.place, tree)
                state = self._state(piece, entries[name])
                if not state["_file"].fixed or not self.run.mine(piece.key):
                    continue
                have += 1
                if piece.key not in wanted:
                    wanted.add(piece.key)
                    surplus.append(Change(piece, "deleted", state, None))
            label = "%s: %s" % (tree.manifest, tree.prefix or "all names")
            yield Scope(label, tree.files, have, surplus, **tree.brakes())

    # --- how it is made

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, before = change.item, change.before or {}
        manifest = item.tree.held
        old = before.get("_file")
        if change.action == "deleted":
            self.client.delete(old)
            return [Made(change, old=Note(item.manifest, item.name, None))]
        want = (change.after or {}).get("metadata")
        if "size" not in change.fields:
            return [self._described(change, manifest, want)]
        pairs = want if want is not None or old is None else self._kept(old)
        group_name = (change.after or {}).get("file_group")
        file, entry = self.store(
            manifest, item.name, item.source, extension=ending(item.name), group=group_name, metadata=pairs
        )
        if want is not None:
            entry["metadata"] = want
        was = manifest.entries.get(item.name)
        note = Note(item.manifest, item.name, entry, (was["id"],) if was else ())
        return [Made(change, {**(change.after or {}), **self._state(item, entry, file)}, note)]

    def _kept(self, old: FileId) -> dict[str, str]:
        """The metadata of a file that is replaced."""
        try:
            found: dict[str, str] = self.client.get_metadata(old)
            return found
        except wire.RefusedError as error:
            if not error.missing:
                raise
            return {}

    def _described(self, change: Change, manifest: Any, want: Any) -> Made:
        item = change.item
        manifest.touch(item.name)
        self.client.set_metadata((change.before or {})["_file"], want)
        entry = {**manifest.entries[item.name], "metadata": want}
        return Made(change, None, Note(item.manifest, item.name, entry))

    def finish(self, complete: bool) -> None:
        for item, pairs in self._seen:  # what was found out, and what nothing else has put right
            held = item.tree.held
            entry = held.entries.get(item.name)
            if entry is not None and (pairs is None or item.name in held.pending or "metadata" not in entry):
                new = None if pairs is None else {**entry, "metadata": pairs}
                held.record([Note(item.manifest, item.name, new)])
        super().finish(complete)
