# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches: what the newest good commit holds, and one commit for all that differs."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import functools
import posixpath
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, State, directive, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import duration
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, hashes

COMPARE = ("checksum", "content", "size", "exists")
FEW = 25  # files are asked for one by one
MARK = "polystore.storage is writing"  # describes a commit that a run holds open
FINISHED = 4  # CommitState
Place = tuple[str, str, str]  # project, repo, branch
Send = Callable[[], Iterator[Any]]  # the messages that replace one file


def path(value: Any) -> str:
    """As common.path(), but a "/" at the end stays there."""
    found = common.path(value)
    return found + "/" if value.endswith("/") and found != "/" else found


def above(name: str) -> Iterator[str]:
    """The directories above a path, the nearest first, without "/"."""
    while (name := posixpath.dirname(name)) != "/":
        yield name


@dc.dataclass
class OnBranch(common.InProject):
    """The options of what lies on a branch."""

    repo: str = key(parse=common.name)
    branch: str = key(parse=common.name, default="master")
    description: str = directive(parse=common.text)
    compare: str = directive(choices=COMPARE, default="checksum")
    wait: bool = directive("bool", default=False)
    wait_timeout: int = directive("raw", parse=duration, default=300)

    @property
    def place(self) -> Place:
        """The branch."""
        return (self.project, self.repo, self.branch)

    def label(self) -> str:
        return "%s:%s" % (named(self.place), getattr(self, "path", ""))


def named(place: Place) -> str:
    """How messages call a branch."""
    return "%s/%s@%s" % place


class Row(NamedTuple):
    """What is told of a file or directory of a commit."""

    size: int
    digest: bytes
    folder: bool


@dc.dataclass
class Head:
    """What a branch holds. commit: the newest good one, from which the next will start, or None.

    last: the id of the newest one; error: why it is not good.
    """

    commit: Any = None
    last: str = ""
    error: str = ""


class Branches:
    """Reads branches and commits to them."""

    def __init__(self, client: Any, run: Any) -> None:
        self.client, self.run = client, run
        self.again = Retry(min(2, client.settings.retries))  # whole streams that were cut off
        self.heads: dict[Place, Head] = {}
        self.options: dict[Place, Any] = {}  # an item of each: they agree
        self._rows: dict[tuple[Place, str], Row | None] = {}
        self._walked: dict[Place, list[str]] = {}
        self._turn = threading.Lock()

    def agree(self, items: Iterable[Any]) -> None:
        """Raises OptionError when items of one branch, hence of one commit, disagree."""
        for item in items:
            first = self.options.setdefault(item.place, item)
            for name in ("description", "wait", "wait_timeout"):
                if getattr(first, name) != getattr(item, name):
                    raise OptionError(
                        name,
                        "%s has two of them" % named(item.place),
                        "All that one task puts on a branch is one commit: give it once",
                    )

    def look(self, place: Place, options: Any, needed: bool, writing: bool = True) -> Head:
        """The head of a branch. needed: its repo has to exist. Raises StorageError where it cannot be used."""
        client, info = self.client, None
        for _turn in range(10):
            request = client.message("pfs_v2.InspectBranchRequest", branch=client.branch(*place))
            found = client.maybe("pfs_v2.API/InspectBranch", request, operation="inspect branch")
            if found is None:
                self._repo(place, needed)
                break
            if writing and len(found.direct_provenance):
                raise StorageError(
                    "%s is the output of a pipeline, or follows other branches: pachd alone writes there"
                    % named(place),
                    operation="inspect branch",
                    code="OUTPUT_BRANCH",
                    hint="Write to a branch without provenance",
                )
            head = client.commit(place[0], place[1], found.head.branch.name or place[2], found.head.id)
            info = self._info(head)
            if info.HasField("finishing"):
                break
            if not options.wait:
                raise self._open(place, info)
            self._info(head, options.wait_timeout)
        return self._good(place, info, options.wait_timeout)

    def _good(self, place: Place, info: Any, timeout: float) -> Head:
        """The newest good commit: pachd starts the next one from it."""
        if info is None:
            return Head()
        if not info.HasField("finished"):
            info = self._info(self._complete(place, info.commit), timeout)
        head = Head(None, info.commit.id, info.error)
        while info.error:
            if not info.HasField("parent_commit"):
                return head
            info = self._info(self._complete(place, info.parent_commit), timeout)
        head.commit = self._complete(place, info.commit)
        return head

    def _complete(self, place: Place, commit: Any) -> Any:
        return self.client.commit(place[0], place[1], commit.branch.name or place[2], commit.id)

    def _info(self, commit: Any, timeout: float | None = None) -> Any:
        """The CommitInfo; with a timeout (seconds) that of a finished commit."""
        request = self.client.message("pfs_v2.InspectCommitRequest", commit=commit)
        if timeout is None:
            return self.client.call("pfs_v2.API/InspectCommit", request, operation="inspect commit")
        request.wait = FINISHED
        try:
            return self.client.call("pfs_v2.API/InspectCommit", request, timeout=timeout, operation="wait for commit")
        except StorageError as error:
            if error.code == "DEADLINE_EXCEEDED":
                error.message = "The commit %s is not finished after %d seconds" % (commit.id or "made", timeout)
                error.hint = "Look at it with pachctl inspect commit; wait_timeout says how long to wait"
            raise

    def _open(self, place: Place, info: Any) -> StorageError:
        ours = info.description.startswith(MARK)
        return StorageError(
            "The head %s of %s is open: %s"
            % (info.commit.id, named(place), info.description if ours else "somebody is writing to it"),
            operation="inspect commit",
            code="OPEN",
            hint="Whatever is sent now would become part of that commit. Wait for it (wait: true), or if its writer "
            "has died finish it (pachctl finish commit) or drop it (pachctl drop commit)",
        )

    def _repo(self, place: Place, needed: bool) -> None:
        needed = needed and ("repo", place[:2]) not in self.run.expected
        request = self.client.message("pfs_v2.InspectRepoRequest", repo=self.client.repo(*place[:2]))
        if self.client.maybe("pfs_v2.API/InspectRepo", request, operation="inspect repo") is None and needed:
            raise StorageError(
                "There is no repo %s/%s" % place[:2],
                operation="inspect repo",
                code="NOT_FOUND",
                hint="Make it with pachyderm_repo",
            )

    def fetch(self, place: Place, names: Iterable[str]) -> None:
        """Ask for these paths: a few one by one, many with one walk."""
        wanted = sorted({name.rstrip("/") for name in names})
        if len(wanted) > FEW:
            around = {folder for name in wanted for folder in above(name)}
            self.walk(place, posixpath.commonpath([posixpath.dirname(name) for name in wanted]), around.union(wanted))
        else:
            self.run.workers.each(functools.partial(self.row, place), wanted)

    def row(self, place: Place, name: str) -> Row | None:
        """What is at a path, or None."""
        if (place, name) not in self._rows:
            row = None
            if self.heads[place].commit is not None and not self._covered(place, name):
                request = self.client.message("pfs_v2.InspectFileRequest", file=self.file(place, name))
                info = self.client.maybe("pfs_v2.API/InspectFile", request, operation="inspect file")
                row = info and Row(info.size_bytes, info.hash, info.file_type == common.DIRECTORY)
            self._rows[place, name] = row
        return self._rows[place, name]

    def _covered(self, place: Place, name: str) -> bool:
        return any((name + "/").startswith(top.rstrip("/") + "/") for top in self._walked.get(place, ()))

    def walk(self, place: Place, top: str, only: Container[str] | None = None) -> dict[str, Row]:
        """All at or below a path, or only these, by path without a "/" at the end."""
        head, found = self.heads[place], {}
        if head.commit is not None:
            request = self.client.message("pfs_v2.WalkFileRequest", file=self.client.file(head.commit, top))
            try:
                for info in self.client.stream("pfs_v2.API/WalkFile", request):
                    name = info.file.path.rstrip("/") or "/"
                    if only is None or name in only:
                        found[name] = Row(info.size_bytes, info.hash, info.file_type == common.DIRECTORY)
            except StorageError as error:
                if getattr(error, "kind", "") != "missing":
                    raise
        with self._turn:
            self._rows.update(((place, name), row) for name, row in found.items())
            self._walked.setdefault(place, []).append(top)
        return found

    def blocking(self, place: Place, name: str) -> str:
        """The file that is where a directory above belongs, or ""."""
        for folder in above(name):
            row = self.row(place, folder)
            if row is not None:
                return "" if row.folder else folder
        return ""

    def file(self, place: Place, name: str) -> Any:
        """A File of the newest good commit."""
        return self.client.file(self.heads[place].commit, name)

    def state(self, row: Row) -> State:
        """Of a result."""
        found: State = {"size": row.size}
        if row.folder:
            return {**found, "directory": True}
        return {**found, "checksum": row.digest.hex()} if self.client.can("hash") else found

    def differs(self, how: str, source: Source, row: Row | None, place: Place, name: str) -> State:
        """{} when the file has the content of source, else what it will be."""
        if row is not None and not row.folder:
            if how == "exists" or (row.size == source.size and (how == "size" or not source.size)):
                return {}
            if row.size == source.size:
                if how == "content" or not self.client.can("hash"):
                    with self._content(self.file(place, name), row) as parts, source.reader() as local:
                        if all(local.read(len(part)) == part for part in parts) and not local.read(1):
                            return {}
                elif hashes.of(source) == row.digest.hex():
                    return {}
        known = source.size < hashes.LEAST or (row is not None and row.size == source.size)  # else it takes too long
        return {"size": source.size, **({"checksum": hashes.of(source)} if known else {})}

    def _content(self, file: Any, row: Row) -> Any:
        return contextlib.closing(common.content(self.client, file, row.size))

    def same_file(self, one: Any, row: Row, other: Any, its: Row) -> bool:
        """Whether two files in pachd have the same content."""
        if row.folder or its.folder or row.size != its.size:
            return False
        if self.client.can("hash"):
            return row.digest == its.digest
        found = []
        for file in (one, other):
            total = hashes.ContentHash()
            with self._content(file, row) as parts:
                for part in parts:
                    total.update(part)
            found.append(total.digest())
        return found[0] == found[1]

    def sent(self, name: str, source: Source) -> Iterator[Any]:
        """The messages that make a file from local content."""
        yield self._delete(name)
        with source.reader() as local:
            data = local.read(common.PART)
            while True:
                message = self.client.message("pfs_v2.ModifyFileRequest")
                message.add_file.path = name
                message.add_file.raw.value = data  # set, also where it is empty: that makes an empty file
                yield message
                data = local.read(common.PART)
                if not data:
                    return

    def _delete(self, name: str) -> Any:
        message = self.client.message("pfs_v2.ModifyFileRequest")
        message.delete_file.path = name
        return message

    def _messages(self, changes: list[Change]) -> Iterator[Any]:
        """Deletions first: they make room."""
        for change in changes:
            if change.action == "deleted" and change.detail is not None:
                yield self._delete(change.item.path)
        for change in changes:
            if change.action != "deleted" and change.detail is not None:
                yield from change.detail()

    def commit(self, place: Place, changes: list[Change]) -> None:
        """Make these changes of a branch in one commit, and wait until it is known to be good."""
        options = self.options[place]

        def attempt() -> None:
            try:
                if options.description:
                    self._described(place, changes, options.description)
                else:
                    self._modify(place, changes)
            except StorageError as error:
                # a stream that was cut leaves nothing; where only its answer was lost, the branch has moved on
                if error.code == "UNAVAILABLE" and not getattr(error, "kind", ""):
                    error.transient = self._still(place)
                raise

        self.again.call(attempt)
        self._check(place, options.wait_timeout)

    def _modify(self, place: Place, changes: list[Change]) -> None:
        self.client.modify(self.client.branch(*place), self._messages(changes), operation="write files")

    def _still(self, place: Place) -> bool:
        request = self.client.message("pfs_v2.InspectBranchRequest", branch=self.client.branch(*place))
        try:
            found = self.client.maybe("pfs_v2.API/InspectBranch", request, operation="inspect branch")
        except StorageError:
            return False
        return bool((found.head.id if found else "") == self.heads[place].last)

    def _described(self, place: Place, changes: list[Change], description: str) -> None:
        """The same with a description, which only a commit that we open and finish can have."""
        client = self.client
        request = client.message("pfs_v2.StartCommitRequest", branch=client.branch(*place))
        request.description = "%s: %s" % (MARK, description)
        commit = self._complete(place, client.call("pfs_v2.API/StartCommit", request, operation="start commit"))
        try:
            self._modify(place, changes)
            request = client.message("pfs_v2.FinishCommitRequest", commit=commit, description=description)
            client.call("pfs_v2.API/FinishCommit", request, operation="finish commit")
        except BaseException:
            self._drop(commit)
            raise

    def _drop(self, commit: Any) -> None:
        if self.client.can("drop_commit"):
            request = self.client.message("pfs_v2.DropCommitRequest", commit=commit)
            self.client.call("pfs_v2.API/DropCommit", request, operation="drop commit")
        else:
            request = self.client.message("pfs_v2.DropCommitSetRequest", commit_set={"id": commit.id})
            self.client.call("pfs_v2.API/DropCommitSet", request, operation="drop commit")

    def _check(self, place: Place, timeout: float) -> None:
        """pachd says OK first: whether a commit is good, only the commit tells."""
        last, info = self.heads[place].last, self._info(self.client.commit(*place))
        if not info.HasField("finishing"):
            error = self._open(place, info)
            error.message = (
                "Another writer opened a commit meanwhile, and what was sent is part of it. " + error.message
            )
            raise error
        for number in range(100):  # others may have committed meanwhile
            if not info.HasField("finished"):
                info = self._info(self._complete(place, info.commit), timeout)
            if info.error:
                raise StorageError(
                    "pachd took the commit %s of %s, and then found it bad" % (info.commit.id, named(place)),
                    operation="check commit",
                    code="COMMIT_FAILED",
                    server_message=info.error,
                    hint="Nothing of it stays: the next commit starts from the one before. Until then reading %s "
                    "fails. Correct what the error names and run again%s"
                    % (named(place), "; others wrote at the same time, it may be theirs" if number else ""),
                )
            if not info.HasField("parent_commit") or info.parent_commit.id == last or not last:
                return
            info = self._info(self._complete(place, info.parent_commit))


def repaired(item: Any, present: State | None, error: str) -> Change | None:
    """A change of what needs none, where the newest commit is bad: any new one mends that."""
    if not error:
        return None
    before = {**(present or {}), "commit_error": error}
    if item.state == "absent":
        return Change(item, "deleted", before, None)
    return Change(item, "updated", before, dict(present or {}))


def refused(name: str, why: str) -> StorageError:
    return StorageError(
        "%s %s" % (name, why),
        operation="look at file",
        code="COLLISION",
        hint="pachd would take it and then find the whole commit bad: choose another path, or remove that one",
    )
