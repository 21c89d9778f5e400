# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio directories: created, renamed, given their attributes (or those of a whole tree), deleted with care."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    State,
    about,
    compare,
    differences,
    directive,
    key,
    merged,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP

ATTRIBUTES = ("mode", "owner", "group", "pinned", "ttl", "ttl_action", *common.REPLICATION, "xattr")
BELOW = "differing_below"  # how many things below a directory differ, by attribute; only ever in a "before"


def _count(value: int) -> int:
    if value < 0:
        raise ValueError("%d is less than 0" % value)
    return value


@dc.dataclass
class Directory(common.Attributes):
    """One directory."""

    path: str = key(parse=common.path)
    parents: bool = directive("bool", default=True)
    attributes_recursive: bool = directive("bool", default=False)
    renamed_from: str = directive(parse=common.path)
    recursive: bool = directive("bool", default=False)
    unchecked: bool = directive("bool", default=False)
    max_delete: int = directive("int", parse=_count)

    def itself(self) -> Any:
        """The item without what a directory does not have, and only the files below it can be given."""
        return dc.replace(self, **dict.fromkeys(common.REPLICATION, KEEP))


class Directories(Resource):
    """Directories of one Alluxio."""

    Item = Directory
    connection = common.CONNECTION
    noun = "directory"

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.infos: dict[str, common.Info] = {}
        self.rows: dict[str, list[common.Info]] = {}  # what is below, where that matters
        self.moves: dict[str, str] = {}  # directories that will be renamed: new path to old
        self.places: dict[str, str] = {}  # where they and what is in them are until then
        self.going: set[str] = set()
        self.coming: set[str] = set()

    @classmethod
    def validate(cls, item: Directory) -> None:
        common.validate(item)
        if item.state == "absent":
            if item.path == "/":
                raise OptionError("path", "the root cannot be absent")
            return
        for name in common.REPLICATION:
            if getattr(item, name) is not KEEP and not item.attributes_recursive:
                raise OptionError(name, "a directory has none", "Set attributes_recursive: true for the files below it")
        if item.attributes_recursive and item.ttl_action is not KEEP and item.ttl is KEEP:
            raise OptionError("ttl_action", "with attributes_recursive it needs a ttl", "Give ttl too")
        if item.renamed_from is KEEP:
            return
        if "/" in (item.path, item.renamed_from):
            raise OptionError("renamed_from", "the root cannot be renamed")
        if item.path == item.renamed_from or common.inside(item.path, item.renamed_from):
            raise OptionError("renamed_from", "%s cannot become %s" % (item.renamed_from, item.path))

    def expand(self, items: list[Directory]) -> Iterable[Directory]:
        """The items; those inside a tree with attributes_recursive have its attributes too. Refuses contradictions."""
        self.going = {item.path for item in items if item.state == "absent"}
        self.coming = {item.path for item in items if item.state == "present"}
        trees = {item.path: item for item in items if item.state == "present" and item.attributes_recursive}
        olds: set[str] = set()
        for item in items:
            if item.state == "present" and item.renamed_from is not KEEP:
                if item.renamed_from in olds:
                    raise OptionError("batch", "two items have renamed_from: %s" % item.renamed_from)
                olds.add(item.renamed_from)
        found = []
        for item in items:
            above = common.above(item.path)
            old = next((up for up in (item.path, *above) if up in olds), None)
            if old is not None:
                raise OptionError("batch", "%s is declared, and %s is to be renamed" % (item.path, old))
            if item.state == "present":
                gone = next((up for up in above if up in self.going), None)
                if gone is not None:
                    raise OptionError("batch", "%s should be there, and %s should not" % (item.path, gone))
                if item.renamed_from is not KEEP and any(up in olds for up in common.above(item.renamed_from)):
                    raise OptionError("batch", "%s lies in what is renamed itself" % item.renamed_from)
                for up in above:
                    item = self._part_of(item, trees[up]) if up in trees else item
            found.append(item)
        return found

    @staticmethod
    def _part_of(item: Directory, tree: Directory) -> Directory:
        own: dict[str, Any] = {}
        for name in ATTRIBUTES:
            value, mine = getattr(tree, name), getattr(item, name)
            if value is KEEP or (name in common.REPLICATION and not item.attributes_recursive):
                continue
            if mine is KEEP:
                own[name] = value
            elif mine != value:
                told = "%s has another %s than %s, whose attributes_recursive is true"
                raise OptionError("batch", told % (item.path, name, tree.path), "Give both the same, or two tasks")
        return dc.replace(item, **own)

    # --- reading

    def read(self, items: list[Directory]) -> dict[Key, State]:
        wanted: dict[bool, set[str]] = {True: set(), False: set()}
        for item in items:
            paths = wanted[item.sync_metadata]
            paths.add(item.path)
            if item.state == "present":
                paths.update([] if item.renamed_from is KEEP else [item.renamed_from])
                paths.update([] if item.parents else [common.parent(item.path)])
        for sync, paths in wanted.items():
            self.infos.update(common.look(self.client, self.run.workers, paths, sync))
        for item in items:
            if item.state == "present" and item.renamed_from in self.infos and item.path not in self.infos:
                self.moves[item.path] = item.renamed_from
        for item in items:
            for up in (item.path, *common.above(item.path)):
                if up in self.moves and item.path not in self.infos:
                    self.places[item.path] = self.moves[up] + item.path[len(up) :]
                    break
        there = common.look(self.client, self.run.workers, self.places.values())
        self.infos.update({new: there[old] for new, old in self.places.items() if old in there})
        self.run.workers.each(self._below, [item for item in items if item.path in self.infos])
        present: dict[Key, State] = {}
        for item in items:
            if item.path in self.infos:
                present[item.key] = common.state(self.infos[item.path])
            if item.path in self.moves:
                present[item.key]["path"] = self.moves[item.path]
        return present

    def _now(self, path: str) -> str:
        """Where something is before this run's renames."""
        return self.places.get(path, path)

    def _below(self, item: Directory) -> None:
        """What is below an item, where its change depends on that."""
        info, now = self.infos[item.path], self._now(item.path)
        if not info["folder"]:
            return
        with about(item):
            if item.state == "absent" and not item.recursive and not info["mount_point"]:
                self.rows[item.path] = self.client.list_status(now)
            elif item.state == "absent":
                self.rows[item.path] = common.guard(self.client, now, info=info)
            elif item.path in self.moves:
                self.rows[item.path] = common.guard(self.client, now, "renamed", info)
            elif item.attributes_recursive:
                self.rows[item.path] = self.client.list_status(now, recursive=True, sync=item.sync_metadata)

    # --- planning

    def plan(self, item: Directory, present: State | None) -> Change | None:
        info = self.infos.get(item.path)
        if info is not None and not info["folder"]:
            raise StorageError(
                "%s is a file" % self._now(item.path),
                operation="read directory",
                code="ALREADY_EXISTS",
                hint="Remove it with alluxio_file and state: absent, or give another path",
            )
        if item.state == "absent":
            return self._going(item, present)
        if item.renamed_from is not KEEP and item.path not in self.moves and item.renamed_from in self.infos:
            raise StorageError(
                "both it and %s, from which it should be renamed, are there" % item.renamed_from,
                operation="rename directory",
                code="ALREADY_EXISTS",
                hint="Remove one of them, or leave renamed_from out",
            )
        if present is None or item.path in self.moves:
            self._home(item)
        return self._update(item, present) if present is not None else common.plan(self.client, item.itself(), None)

    def _home(self, item: Directory) -> None:
        """Raises StorageError when what is to hold the new directory neither exists nor may be made."""
        home = common.parent(item.path)
        if not item.parents and home not in self.infos and home not in self.coming:
            raise StorageError(
                "the directory %s, in which it should be, does not exist" % home,
                operation="create directory",
                code="NOT_FOUND",
                hint="Declare it too, or set parents: true",
            )

    def _going(self, item: Directory, present: State | None) -> Change | None:
        if present is None:
            return None
        rows, now = self.rows[item.path], self._now(item.path)
        left = [row for row in rows if item.path + row["path"][len(now) :] not in self.going]
        if left and not item.recursive:
            raise StorageError(
                "it is not empty, it holds %s" % left[0]["path"],
                operation="delete directory",
                code="FAILED_PRECONDITION",
                hint="Set recursive: true to delete what is in it too",
            )
        if item.max_delete is not KEEP and len(rows) > item.max_delete:
            raise StorageError(
                "%d files and directories would be deleted with it, and max_delete allows %d"
                % (len(rows), item.max_delete),
                operation="delete directory",
                hint="Raise max_delete when that is meant",
            )
        return compare(item, {**present, "entries": len(rows)})

    def _update(self, item: Directory, present: State) -> Change | None:
        counts, removed = self._differing(item) if item.attributes_recursive else ({}, set())
        before = {**present, BELOW: counts} if counts else present
        change = common.plan(self.client, item.itself(), before)
        if change is None and (counts or item.path in self.moves):
            change = Change(item, "updated", before, dict(before), {})
        if change is None:
            return None
        change.item, after = item, change.after or {}
        after.pop(BELOW, None)
        if item.path in self.moves:
            after["path"] = item.path
        if item.attributes_recursive:
            meant = common.settled(item, present)
            change.detail = {name: getattr(meant, name) for name in {*change.fields, *counts} if name in ATTRIBUTES}
            removed.update(k for k in present["xattr"] if k not in after["xattr"])
            common.supported(self.client, change.detail)
            if "xattr" in change.detail:
                change.detail["xattr"] = merged({}, item.xattr or {}, False)
                change.detail["_removed"] = sorted(removed)
        return change

    def _differing(self, item: Directory) -> tuple[dict[str, int], set[str]]:
        """How many things below differ from the item, by attribute; which of their extended attributes are to go."""
        counts: dict[str, int] = {}
        removed: set[str] = set()
        for row in self.rows.get(item.path, ()):
            have = common.state(row)
            meant = common.settled(item.itself() if row["folder"] else item, have)
            for name, value in differences(meant, have).items():
                counts[name] = counts.get(name, 0) + 1
                if name == "xattr":
                    removed.update(k for k in have["xattr"] if k not in value)
        return counts, removed

    # --- making

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """A directory comes after those it lies in, so that each is made with its own attributes; deletions last."""
        there = {group[0].item.path for group in groups if group[0].action != "deleted"}
        waves: dict[tuple[bool, int], list[list[Change]]] = {}
        for group in groups:
            above, last = common.above(group[0].item.path), group[0].action == "deleted"
            number = -len(above) if last else sum(up in there for up in above)
            waves.setdefault((last, number), []).append(group)
        return [waves[place] for place in sorted(waves)]

    def make(self, group: list[Change]) -> list[Made]:
        for change in group:
            item = change.item
            if change.action == "deleted":
                self._delete(item)
            elif change.action == "created":
                self._create(change)
            else:
                self._change(change)
        return [Made(change) for change in group]

    def _delete(self, item: Directory) -> None:
        try:
            self.client.delete(item.path, recursive=item.recursive, unchecked=item.unchecked)
        except StorageError as error:
            if self._seen(item.path, error) is not None:
                if error.code == "FAILED_PRECONDITION" and not item.unchecked:
                    error.hint = "Alluxio has not seen all that lies in the store below: set sync_metadata: true, or"
                    error.hint += " unchecked: true to delete that too"
                raise

    def _seen(self, path: str, error: StorageError) -> common.Info | None:
        """What is there after an error; their names say too little. Raises the error when it cannot be told."""
        if error.fatal or error.transient:
            raise error
        try:
            found: common.Info | None = self.client.get_status(path)
        except StorageError:
            raise error from None
        return found

    def _create(self, change: Change) -> None:
        item = change.item
        fields, before = {n: v for n, v in change.fields.items() if n in common.LATER}, dict(change.fields)
        given = common.creation(item)
        if item.parents:
            common.homes(self.client, item.path, given)
        try:
            self.client.create_directory(item.path, recursive=item.parents, **given)
        except StorageError as error:
            info = self._seen(item.path, error)
            if info is None or not info["folder"]:
                raise
            before = common.state(info)  # somebody else was quicker
            fields = differences(common.settled(item.itself(), before), before)
        self._after("created", lambda: common.apply(self.client, item.path, before, fields, item.sync_metadata))

    def _change(self, change: Change) -> None:
        item, before = change.item, change.before or {}
        fields, recursive = dict(change.fields), False
        if change.detail is not None:
            fields, recursive = dict(change.detail), True
            before = {**before, "xattr": dict.fromkeys(fields.pop("_removed", ()))}
        done = ""
        if item.path in self.moves:
            home = common.parent(item.path)
            if item.parents and self.client.get_status(home) is None:
                self.client.create_directory(home, recursive=True)
            self.client.rename(self.moves[item.path], item.path)
            done = "renamed"
        self._after(done, lambda: common.apply(self.client, item.path, before, fields, item.sync_metadata, recursive))

    @staticmethod
    def _after(done: str, step: Callable[[], None]) -> None:
        """Do a step; its error tells what had been done before."""
        try:
            step()
        except StorageError as error:
            if done:
                error.message = "it was %s, but its attributes could not be set: %s" % (done, error.message)
            raise
