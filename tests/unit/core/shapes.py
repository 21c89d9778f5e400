# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five small systems in memory, one for each shape that the engine has to carry."""

from __future__ import annotations

import contextlib
import copy
import dataclasses as dc
import itertools
import json
import pathlib
import threading
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    Scope,
    State,
    compare,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, Counters


class World:
    """What a fake client talks to. refuse: label -> error of the next write; log: what happened, in order."""

    def __init__(self, tmp: pathlib.Path | None = None) -> None:
        self.counters = Counters()
        self.things: dict[Key, State] = {}
        self.refuse: dict[str, BaseException] = {}
        self.log: list[Any] = []
        self.manifest = tmp / "manifest.json" if tmp else pathlib.Path()
        self.ids = itertools.count()
        self._lock = threading.Lock()

    def write(self, label: str, *told: Any) -> None:
        """One write request; raises what was ordered for this label."""
        with self._lock:
            self.counters.add(requests=1, writes=1)
            if label in self.refuse:
                raise self.refuse[label]
            self.log.append(told or label)


class Shape(Resource):
    """What all fakes share: the world is the client, and reading it counts one request."""

    def __init__(self, client: World, run: Any) -> None:
        super().__init__(client, run)
        self.world = client

    def read(self, items: list[Any]) -> dict[Key, State]:
        self.world.counters.add(requests=1)
        return copy.deepcopy(self.world.things)


# --- one by one (Swift)


@dc.dataclass
class Container(Item):
    name: str = key()
    metadata: Any = wanted("dict", merge=True)
    purge_metadata: bool = directive("bool", default=False)
    read_acl: str = wanted(same=lambda have, want: (have or "") == want)
    secret: str = wanted(secret=True)
    data: bytes = wanted("raw", binary=True)
    quota: int = wanted("int", nullable=True)


class Containers(Shape):
    Item = Container
    noun = "container"
    finished: bool | None = None

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        self.world.write(change.item.name, change.action, change.item.name)
        if change.action == "deleted":
            del self.world.things[change.item.key]
            return [Made(change)]
        self.world.things[change.item.key] = copy.deepcopy(change.after or {})
        return [Made(change, {**(change.after or {}), "fact": 1})]

    def finish(self, complete: bool) -> None:
        self.world.log.append(("finish", complete))
        if "finish" in self.world.refuse:
            raise self.world.refuse["finish"]


# --- all files of a branch in one commit (Pachyderm)


@dc.dataclass
class RepoFile(Item):
    branch: str = key()
    path: str = key()
    content: str = wanted()


class RepoFiles(Shape):
    Item = RepoFile
    noun = "file"

    def group(self, change: Change) -> Hashable:
        return change.item.branch

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        return [groups]

    def make(self, group: list[Change]) -> list[Made]:
        self.world.write(group[0].item.branch, "commit", len(group))
        made = []
        for change in group:
            if change.item.path in self.world.refuse:
                made.append(Made(change, error=StorageError("bad path", code=3)))
                continue
            if change.action == "deleted":
                del self.world.things[change.item.key]
            else:
                self.world.things[change.item.key] = dict(change.after or {})
            made.append(Made(change))
        return made


# --- by partition, with an expiry that stays when it is not said (Pegasus)


def close(have: int | None, want: int) -> bool:
    return have is not None and abs(have - want) <= 60


@dc.dataclass
class Pair(Item):
    hash_key: str = key()
    sort_key: str = key(default="")
    value: str = wanted()
    ttl: int = wanted("int", same=close)
    prune: bool = directive("bool", default=False)
    max_delete: Any = directive("raw", default=(10, True))
    allow_empty: bool = directive("bool", default=False)


class Pairs(Shape):
    Item = Pair
    noun = "key"

    def group(self, change: Change) -> Hashable:
        return (change.action, change.item.hash_key, None if change.item.ttl is KEEP else change.item.ttl)

    def plan(self, item: Any, present: State | None) -> Change | None:
        return compare(item, present)

    def make(self, group: list[Change]) -> list[Made]:
        self.world.write(group[0].item.hash_key, group[0].action, len(group))
        for change in group:
            if change.action == "deleted":
                del self.world.things[change.item.key]
            else:
                self.world.things[change.item.key] = dict(change.after or {})
        return [Made(change) for change in group]

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        known = {piece.key for piece in pieces if piece.state == "present"}
        for item in items:
            if item.prune:
                surplus = [
                    Change(Pair(hash_key=k[0], sort_key=k[1], state="absent"), "deleted", present[k], None)
                    for k in sorted(present)
                    if k not in known
                ]
                yield Scope("table", len(known), len(present), surplus, item.max_delete, item.allow_empty)


# --- the server names it, a manifest remembers (FastDFS)


@dc.dataclass
class Stored(Item):
    name: str = key()
    content: str = wanted()


class StoredFiles(Shape):
    Item = Stored
    noun = "file"

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        path = self.world.manifest
        self.ids: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        self.world.log.append("locked")
        yield
        self.world.log.append("unlocked")

    def read(self, items: list[Any]) -> dict[Key, State]:
        return {(name,): dict(self.world.things[(file_id,)]) for name, file_id in self.ids.items()}

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        if change.action == "deleted":
            return [Made(change, old=self.ids[change.item.name])]
        self.world.write(change.item.name, "upload", change.item.name)
        file_id = "id%d" % next(self.world.ids)
        self.world.things[(file_id,)] = dict(change.after or {})
        return [Made(change, {**(change.after or {}), "file_id": file_id}, old=self.ids.get(change.item.name))]

    def record(self, made: list[Made]) -> None:
        for one in made:
            self.world.write("record %s" % one.change.item.name, "record", one.change.item.name)
            if one.change.action == "deleted":
                del self.ids[one.change.item.name]
            else:
                self.ids[one.change.item.name] = (one.state or {})["file_id"]
        self.world.manifest.write_text(json.dumps(self.ids))

    def retire(self, made: Made) -> None:
        if made.old:
            self.world.write("retire %s" % made.change.item.name, "retire", made.old)
            del self.world.things[(made.old,)]


# --- written beside and renamed, in a dialect that the first answer tells; it takes a while to be seen (Alluxio)


@dc.dataclass
class Path(Item):
    path: str = key()
    content: str = wanted()


class Paths(Shape):
    Item = Path
    noun = "path"
    dialect = 0

    def read(self, items: list[Any]) -> dict[Key, State]:
        self.dialect = 2
        return {k: v for k, v in super().read(items).items() if not k[0].endswith(".new")}

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        path = change.item.path
        if change.action != "deleted":
            self.world.write(path, "write", path, self.dialect)
            self.world.things[(path + ".new",)] = dict(change.after or {})
        return [Made(change)]

    def record(self, made: list[Made]) -> None:
        for one in made:
            path = one.change.item.path
            self.world.write("rename %s" % path, "rename", path)
            self.world.things.pop((path,), None)
            if one.change.action != "deleted":
                self.world.things[(path,)] = self.world.things.pop((path + ".new",))

    def settle(self, made: Made) -> None:
        self.world.log.append(("seen", made.change.item.path, made.change.item.key in self.world.things))

    def finish(self, complete: bool) -> None:
        for found in [k for k in self.world.things if k[0].endswith(".new")]:
            self.world.write("tidy", "tidy", found[0])
            del self.world.things[found]
