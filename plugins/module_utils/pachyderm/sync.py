# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local tree and a directory of a branch: one walk, and one commit for all that differs."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import functools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

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
    key,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Selection
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, hashes
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.commits import (
    Branches,
    OnBranch,
    Place,
    Row,
    above,
    named,
    path,
    refused,
    repaired,
)

STEP = 64  # files that a thread hashes at a time


def _hash(sources: list[Source]) -> None:
    for source in sources:
        with contextlib.suppress(StorageError):  # whoever needs it meets the error again
            hashes.of(source)


@dc.dataclass
class Tree(TreeItem, OnBranch):
    """A local directory and where its files belong."""

    path: str = key(parse=lambda value: path(value).rstrip("/") or "/", default="/")

    def __post_init__(self) -> None:
        self.base = self.path.rstrip("/") + "/"
        self.files = 0
        self.chosen: Selection = self.selection()

    def holds(self, name: str) -> bool:
        """Whether a path belongs to the tree: below it, and neither it nor a directory on the way is excluded."""
        if not name.startswith(self.base):
            return False
        relative = name[len(self.base) :]
        parts = relative.split("/")
        folders = ("/".join(parts[:number]) for number in range(1, len(parts)))
        if any(self.chosen.excludes(folder) or self.chosen.excludes(folder + "/") for folder in folders):
            return False
        return relative in self.chosen


@dc.dataclass
class Piece(Item):
    """One file of a tree and the file on the branch, or a file there to which none belongs."""

    project: str = key()
    repo: str = key()
    branch: str = key()
    path: str = key()
    tree: Any = None
    source: Any = None

    def label(self) -> str:
        return "%s:%s" % (named(self.tree.place), self.path)


class SyncResource(Resource):
    """What the module pachyderm_sync declares."""

    Item = Tree
    connection = common.CONNECTION
    noun = "file"
    single = False
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.branches = Branches(client, run)
        self.trees: list[Any] = []
        self.rows: dict[Place, dict[str, Row]] = {}

    def expand(self, items: list[Any]) -> Iterator[Any]:
        self.trees = items
        self.branches.agree(items)
        for tree in items:
            for relative, local in scan(tree):
                try:
                    whole = path(tree.base + relative)
                except ValueError as error:
                    raise OptionError("src", "%s: %s" % (local, error), "Rename it, or exclude it") from None
                tree.files += 1
                yield Piece(tree.state, tree.project, tree.repo, tree.branch, whole, tree, Source(local))

    def read(self, items: list[Any]) -> dict[Key, State]:
        branches = self.branches
        tops: dict[Place, list[Any]] = {}
        for tree in sorted(self.trees, key=lambda tree: str(tree.base)):
            if tree.files or tree.prune:
                known = tops.setdefault(tree.place, [])
                if not any(tree.base.startswith(one.base) for one in known):
                    known.append(tree)

        def look(place: Place) -> None:
            needed = any(tree.place == place and tree.state == "present" for tree in self.trees)
            branches.heads[place] = branches.look(place, tops[place][0], needed)
            self.rows[place] = {}

        def walk(place: Place) -> None:
            for tree in tops[place]:
                self.rows[place].update(branches.walk(place, tree.path))
                branches.blocking(place, tree.path)

        self.run.workers.each(look, tops)
        jobs: list[Callable[[], Any]] = [functools.partial(walk, place) for place in tops]
        self.run.workers.each(lambda job: job(), jobs + self._ahead(items))
        if len(self.trees) > 1:
            self._apart(items)
        found = {piece.key: self._row(piece) for piece in items}
        return {key: branches.state(row) for key, row in found.items() if row is not None}

    def _ahead(self, items: list[Any]) -> list[Callable[[], Any]]:
        """What hashes, while a walk waits for the server, the files that plan() hashes in any case."""
        heads, can = self.branches.heads, functools.lru_cache(None)(self.client.can)
        sources = [
            item.source
            for item in items
            if item.state == "present"
            and item.tree.compare == "checksum"
            and item.source.size < hashes.LEAST
            and heads[item.tree.place].commit is not None
            and can("hash")
        ]
        return [functools.partial(_hash, sources[at : at + STEP]) for at in range(0, len(sources), STEP)]

    @staticmethod
    def _apart(items: list[Any]) -> None:
        """Raises when a file of one tree lies where another tree has a directory."""
        names = {(item.tree.place, item.path) for item in items if item.state == "present"}
        for place, name in names:
            for folder in above(name):
                if (place, folder) in names:
                    raise OptionError("batch", "%s is a file of one tree, and a directory of another" % folder)

    def _row(self, item: Any) -> Row | None:
        return self.rows[item.tree.place].get(item.path)

    def plan(self, item: Any, present: State | None) -> Change | None:
        branches, tree, row = self.branches, item.tree, self._row(item)
        error = branches.heads[tree.place].error
        if item.state == "absent":
            if row is not None and not row.folder:
                return Change(item, "deleted", present, None, detail=True)
            return repaired(item, None, error)
        if row is not None and row.folder:
            below = item.path + "/"
            inside = {name for name, one in self.rows[tree.place].items() if name.startswith(below) and not one.folder}
            self._instead(item, inside, "is a directory")
            row = present = None
        elif row is None:
            blocking = branches.blocking(tree.place, item.path)
            if blocking:
                self._instead(item, {blocking}, "cannot be there: %s is a file" % blocking)
        fields = branches.differs(tree.compare, item.source, row, tree.place, item.path)
        if not fields:
            return repaired(item, present, error)
        send = functools.partial(branches.sent, item.path, item.source)
        if present is None:
            return Change(item, "created", None, fields, fields, send)
        return Change(item, "updated", present, fields, fields, send)

    def _instead(self, item: Any, names: set[str], why: str) -> None:
        """What is in the way may be pruned in the same commit, else that file cannot be sent."""
        tree = item.tree
        if not tree.prune or self.run.shard is not None or not all(tree.holds(name) for name in names):
            raise refused(item.path, why)

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        wanted = {piece.key for piece in pieces} if any(tree.prune for tree in items) else set()
        for tree in items:
            if not tree.prune or tree.state == "absent":
                continue
            have = [
                (name, row)
                for name, row in sorted(self.rows[tree.place].items())
                if not row.folder and tree.holds(name) and self.run.mine((*tree.place, name))
            ]
            surplus = []
            for name, row in have:
                piece = Piece("absent", tree.project, tree.repo, tree.branch, name, tree)
                if piece.key not in wanted:
                    wanted.add(piece.key)
                    surplus.append(Change(piece, "deleted", self.branches.state(row), None, detail=True))
            label = "%s:%s" % (named(tree.place), tree.path)
            yield Scope(label, tree.files, len(have), surplus, **tree.brakes())

    def group(self, change: Change) -> Hashable:
        return tuple(change.item.tree.place)

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """All at once: a branch's deletions belong to its commit."""
        return [groups]

    def make(self, group: list[Change]) -> list[Made]:
        self.branches.commit(group[0].item.tree.place, group)
        return [Made(change) for change in group]
