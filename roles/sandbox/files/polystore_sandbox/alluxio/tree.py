# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inodes: a tree in memory, written through to a sqlite file, so that it outlives the process however it ends."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NOT_PERSISTED, TO_BE_PERSISTED, PERSISTED = "NOT_PERSISTED", "TO_BE_PERSISTED", "PERSISTED"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(eq=False)
class Inode:
    """A file or a directory. What is not in `KEPT` is not written to the file as it is."""

    id: int
    name: str
    folder: bool
    parent: Inode | None = None
    children: dict[str, Inode] = field(default_factory=dict)
    owner: str = ""
    group: str = ""
    mode: int = 0o755
    pinned: bool = False
    media: list[str] = field(default_factory=list)
    ttl: int = -1
    ttl_action: str = "DELETE"
    replication_min: int = 0
    replication_max: int = 0
    xattr: dict[str, str] = field(default_factory=dict)
    created: int = 0
    modified: int = 0
    accessed: int = 0
    completed: bool = True
    length: int = 0
    block_size: int = 0
    state: str = NOT_PERSISTED
    cached: bool = False  # the worker has its content, in a file of the inode's id
    loaded: bool = False  # a directory whose children were looked up in the store below
    fingerprint: dict[str, str] = field(default_factory=dict)  # of the store below, when it was last looked at
    begun: bool = False  # a file of which something was written into the worker
    mount: int = 0  # a mount point: the mount's id

    @property
    def path(self) -> str:
        """Absolute, without a trailing slash."""
        if self.parent is None:
            return "/"
        above = self.parent.path
        return above + self.name if above == "/" else f"{above}/{self.name}"

    @property
    def persisted(self) -> bool:
        """Whether Alluxio says so."""
        return self.state == PERSISTED

    def ancestors(self) -> list[Inode]:
        """All directories above, the nearest first."""
        return [] if self.parent is None else [self.parent, *self.parent.ancestors()]

    def below(self) -> Iterator[Inode]:
        """Everything below, parents first."""
        for child in list(self.children.values()):
            yield child
            yield from child.below()


KEPT = tuple(item.name for item in fields(Inode) if item.name not in ("id", "parent", "children"))


class Tree:
    """All inodes. The caller has the lock, and calls `commit` when a change is whole."""

    def __init__(self, file: Path) -> None:
        self._base = sqlite3.connect(str(file), check_same_thread=False, isolation_level=None)
        for line in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=OFF",
            "CREATE TABLE IF NOT EXISTS inodes (id INTEGER PRIMARY KEY, parent INTEGER, kept TEXT)",
            "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT)",
        ):
            self._base.execute(line).fetchall()
        self._changed: dict[int, Inode] = {}
        self._dropped: set[int] = set()
        self._told: set[str] = set()
        self._facts: dict[str, Any] = {
            name: json.loads(value) for name, value in self._base.execute("SELECT name, value FROM facts")
        }
        self.root = self._load()

    def _load(self) -> Inode:
        rows = self._base.execute("SELECT id, parent, kept FROM inodes").fetchall()
        found = {number: Inode(number, **json.loads(kept)) for number, _parent, kept in rows}
        for number, parent, _kept in rows:
            if parent is not None:
                inode = found[number]
                inode.parent = found[parent]
                found[parent].children[inode.name] = inode
        if found:
            return next(inode for inode in found.values() if inode.parent is None)
        root = Inode(0, "", True, state=PERSISTED, created=now_ms(), modified=now_ms(), mount=1)
        self.changed(root)
        self.commit()
        return root

    def fact(self, name: str, default: Any = None) -> Any:
        """A value that is kept beside the inodes."""
        return self._facts.get(name, default)

    def set_fact(self, name: str, value: Any) -> None:
        """Keeps a value, with the next commit."""
        self._facts[name] = value
        self._told.add(name)

    def changed(self, inode: Inode) -> None:
        """To be written at the next commit."""
        self._changed[inode.id] = inode

    def add(self, parent: Inode, name: str, folder: bool, **values: Any) -> Inode:
        """A new inode."""
        moment = now_ms()
        number = int(self.fact("next", 1))
        self.set_fact("next", number + 1)
        values = {"created": moment, "modified": moment, "accessed": moment, **values}
        inode = Inode(number if folder else number << 24 | 0xFFFFFF, name, folder, parent, **values)
        parent.children[name] = inode
        parent.modified = moment
        self.changed(inode)
        self.changed(parent)
        return inode

    def known(self, inode: Inode) -> bool:
        """Whether the inode is still in the tree."""
        while inode.parent is not None:
            if inode.parent.children.get(inode.name) is not inode:
                return False
            inode = inode.parent
        return inode is self.root

    def drop(self, inode: Inode) -> list[int]:
        """Takes an inode and all below it out; returns the ids."""
        parent = inode.parent
        if parent is not None:
            parent.children.pop(inode.name, None)
            parent.modified = now_ms()
            self.changed(parent)
        ids = [inode.id, *(one.id for one in inode.below())]
        self._dropped.update(ids)
        return ids

    def move(self, inode: Inode, parent: Inode, name: str) -> None:
        """Puts an inode elsewhere."""
        for place in (inode.parent, parent):
            if place is not None:
                place.modified = now_ms()
                self.changed(place)
        if inode.parent is not None:
            inode.parent.children.pop(inode.name, None)
        inode.parent, inode.name = parent, name
        parent.children[name] = inode
        self.changed(inode)

    def commit(self) -> None:
        """Writes what changed."""
        if not self._changed and not self._dropped and not self._told:
            return
        rows = [
            (number, None if inode.parent is None else inode.parent.id, _text(inode))
            for number, inode in self._changed.items()
            if number not in self._dropped
        ]
        self._base.execute("BEGIN")
        self._base.executemany("REPLACE INTO inodes VALUES (?, ?, ?)", rows)
        self._base.executemany("DELETE FROM inodes WHERE id = ?", [(number,) for number in self._dropped])
        facts = [(name, json.dumps(self._facts[name])) for name in self._told]
        self._base.executemany("REPLACE INTO facts VALUES (?, ?)", facts)
        self._base.execute("COMMIT")
        self._changed.clear()
        self._dropped.clear()
        self._told.clear()


def _text(inode: Inode) -> str:
    return json.dumps({name: getattr(inode, name) for name in KEPT})


def split(path: str) -> list[str]:
    """The names in an absolute path."""
    return [part for part in path.split("/") if part]
