# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in knows: projects, repos, branches and commits, and the tables of the other services."""

from __future__ import annotations

import functools
import io
import os
import pickle
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polystore_sandbox.pachyderm.base import Call, Refused
from polystore_sandbox.pachyderm.content import Store, Tree
from polystore_sandbox.pachyderm.messages import message

RepoKey = tuple[str, str, str]  # project, name, type
BranchKey = tuple[RepoKey, str]
CommitKey = tuple[RepoKey, str]
USER, AUTO, FSCK = 1, 2, 3
NEWEST = (2, 12, 1)


@dataclass
class Project:
    """A project."""

    name: str
    created: int
    description: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    created_by: str = ""


@dataclass
class Branch:
    """A branch; its trigger is the bytes of pfs_v2.Trigger."""

    repo: RepoKey
    name: str
    head: str
    created: int
    updated: int
    provenance: list[BranchKey] = field(default_factory=list)
    trigger: bytes = b""
    metadata: dict[str, str] = field(default_factory=dict)
    created_by: str = ""


@dataclass
class Commit:
    """A commit with all files as they are in it."""

    repo: RepoKey
    id: str
    branch: str
    origin: int
    started: int
    parent: str = ""
    description: str = ""
    finishing: int = 0
    finished: int = 0
    due: float = 0.0  # when a finishing one is finished (time.time())
    error: str = ""
    files: Tree = field(default_factory=Tree)
    provenance: list[CommitKey] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    created_by: str = ""

    @property
    def key(self) -> CommitKey:
        """The repo and the id."""
        return self.repo, self.id


def settled(commit: Commit) -> bool:
    """Not on its way to being finished."""
    return bool(commit.finished or not commit.finishing)


@dataclass
class Repo:
    """A repo; commits and branches in the order in which they were made."""

    key: RepoKey
    created: int
    description: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    branches: dict[str, Branch] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    created_by: str = ""


def show_repo(key: RepoKey, typed: bool = False) -> str:
    """As the server's texts name it: default/r, default/p.spec; typed: default/r.user."""
    return f"{key[0]}/{key[1]}" + (f".{key[2]}" if typed or key[2] != "user" else "")


def show_branch(key: BranchKey, typed: bool = False) -> str:
    """default/r@master, typed: default/r.user@master; commits are shown the same way."""
    return f"{show_repo(key[0], typed)}@{key[1]}"


def stamp(nanoseconds: int) -> Any:
    """google.protobuf.Timestamp; None for 0."""
    if not nanoseconds:
        return None
    return message("google.protobuf.Timestamp")(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)


@functools.lru_cache(64)
def _version(text: str) -> tuple[int, int, int]:
    parts = [int(part) for part in text.split(".")]
    return parts[0], parts[1], parts[2] if len(parts) > 2 else 0


class _Reader(pickle.Unpickler):
    """Python 3.13 takes persistent_load only from a class."""

    def __init__(self, data: io.BytesIO, trees: list[Tree]) -> None:
        super().__init__(data)
        self.trees = trees

    def persistent_load(self, pid: Any) -> Tree:
        tree: Tree = self.trees[pid]
        return tree


class Snapshot(pickle.Pickler):
    """What the tables were; the trees of files, which never change, are not copied."""

    def __init__(self, tables: Any) -> None:
        self.trees: list[Tree] = []
        self.data = io.BytesIO()
        super().__init__(self.data, pickle.HIGHEST_PROTOCOL)
        self.dump(tables)

    def persistent_id(self, obj: Any) -> int | None:
        """A tree is its place in a list."""
        if not isinstance(obj, Tree):
            return None
        self.trees.append(obj)
        return len(self.trees) - 1

    def tables(self) -> dict[str, dict[Any, Any]]:
        """A copy of them."""
        self.data.seek(0)
        found: dict[str, dict[Any, Any]] = _Reader(self.data, self.trees).load()
        return found


class State:
    """All of it, shared by the services; the lock is held by whoever looks or writes."""

    def __init__(self, folder: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.settings: dict[str, Any] = {"version": "2.12.1", "finish_seconds": 0.02}
        self.tables: dict[str, dict[Any, Any]] = {}
        self.listeners: list[Callable[[Commit], None]] = []
        self.calls: dict[str, Callable[..., Any]] = {}  # by method, for those who make one within another
        self.admit: Callable[[str, Call], None] = lambda _method, _call: None  # before each call: auth
        self.permit: Callable[[Call, str, str, str], None] = lambda _call, _permission, _kind, _name: None
        self.file = folder / "state.pickle" if folder else None
        self.store = Store(folder / "blobs" if folder else None)
        self.dirty = self.nested = False
        self.last = 0
        self._load()
        if not self.projects:
            self.projects["default"] = Project("default", self.now())

    # --- tables --------------------------------------------------------------------------------------------------

    def table(self, name: str) -> dict[Any, Any]:
        """The lasting dict of that name."""
        return self.tables.setdefault(name, {})

    @property
    def projects(self) -> dict[str, Project]:
        """By name."""
        return self.table("projects")

    @property
    def repos(self) -> dict[RepoKey, Repo]:
        """By project, name and type."""
        return self.table("repos")

    def _load(self) -> None:
        if self.file and self.file.exists():
            with self.file.open("rb") as file:
                self.tables = pickle.load(file)

    def save(self) -> None:
        """Writes what has changed."""
        with self.lock:
            if not self.dirty or not self.file:
                return
            self.dirty = False
            data = pickle.dumps(self.tables)
            beside = self.file.with_suffix(".new")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
            beside.replace(self.file)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Takes everything back when the block raises; within another one that is left to the outer one."""
        if self.nested:
            yield
            return
        kept, self.nested = Snapshot(self.tables), True
        try:
            yield
        except BaseException:
            self._restore(kept)
            raise
        finally:
            self.nested = False

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Takes everything back."""
        kept = Snapshot(self.tables)
        try:
            yield
        finally:
            self._restore(kept)

    def _restore(self, snapshot: Snapshot) -> None:
        """Whoever keeps a commit or a branch over a wait has to look it up again: it is another object now."""
        kept = snapshot.tables()
        for name in set(self.tables) | set(kept):
            table = self.table(name)
            table.clear()
            table.update(kept.get(name, {}))
        self.changed.notify_all()

    # --- time and ids --------------------------------------------------------------------------------------------

    @property
    def version(self) -> tuple[int, int, int]:
        """As which version it behaves."""
        return _version(str(self.settings["version"]))

    def since(self, minor: int) -> bool:
        """True when it behaves as 2.MINOR or newer."""
        return self.version >= (2, minor, 0)

    def now(self) -> int:
        """Nanoseconds, to the microsecond, always later than the last ones."""
        self.last = max(time.time_ns() // 1000, self.last + 1)
        return self.last * 1000

    def new_id(self) -> str:
        """A commit's id."""
        return uuid.uuid4().hex

    def wait(self, condition: Callable[[], Any], call: Call | None = None) -> Any:
        """Under the lock: the first true value of the condition; ends when the caller has gone."""
        while True:
            self.settle()
            if value := condition():
                return value
            if call and not call.active():
                raise Refused("CANCELLED", "context canceled")
            self.changed.wait(0.02)

    def again(self, commit: Commit) -> Commit:
        """The commit as it is now."""
        found = getattr(self.repos.get(commit.repo), "commits", {}).get(commit.id)
        if found is None:
            raise Refused("NOT_FOUND", f"commit {show_branch(commit.key)} not found")
        return found  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Finishes the commits whose time has come."""
        finish = self.finishers
        if not finish:
            return
        now = time.time()
        for commit in [commit for commit in finish if commit.due <= now]:
            finish.remove(commit)
            self.on_due(commit)
            self.dirty = True
            self.changed.notify_all()

    @property
    def finishers(self) -> list[Commit]:
        """The finishing commits."""
        waiting: list[Commit] = self.table("finishers").setdefault("", [])
        return waiting

    on_due: Callable[[Commit], None] = staticmethod(lambda _commit: None)
