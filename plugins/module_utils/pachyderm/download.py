# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a Pachyderm commit as local files: one file, or everything below a directory. And how commits are named."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import DownloadItem, Downloads, Remote
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import directive, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, duration
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.hashes import ContentHash

DIRECTORY = 2  # FileType DIR
REFERENCE = re.compile(r"\A([A-Za-z0-9_-]*)((?:[\^~][0-9]*)*)\Z")
IDENTIFIER = re.compile(r"\A[0-9a-f]{32}\Z")


def path(value: Any) -> str:
    """A path in a commit: absolute, without "/" at its end. Raises ValueError for what the server cannot hold."""
    if not isinstance(value, str):
        raise ValueError("%r is no path" % (value,))
    wrong = sorted({char for char in value if char in "*?[]{}!()@+^\\" or not " " <= char <= "~"})
    if wrong:
        raise ValueError("%r holds %r, which no path in Pachyderm can" % (value, wrong[0]))
    parts = [part for part in value.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ValueError('%r holds "." or ".."' % (value,))
    return "/" + "/".join(parts)


def reference(value: Any) -> tuple[str, str, int]:
    """(branch, id, how many commits back) of "master", a commit's id of 32 digits, or either with "^2" or "~1" behind
    it. Raises ValueError."""
    match = REFERENCE.match(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(
            '%r is no commit: write an id of 32 digits, a branch, or either with "^2" behind it' % (value,)
        )
    name, back = match.group(1), 0
    for number in re.findall(r"[\^~]([0-9]*)", match.group(2)):
        back += int(number) if number else 1
    return ("", name, back) if IDENTIFIER.match(name) else (name, "", back)


def commit_of(client: Any, item: Any) -> Any:
    """The Commit message that `branch` or `commit` of an item name, in a form that 2.0 to 2.12 understand."""
    branch, number, back = ("", "", 0) if item.commit is KEEP else reference(item.commit)
    if item.branch is not KEEP and item.commit is not KEEP and branch not in ("", item.branch):
        raise OptionError("commit", "%s is on another branch than %s" % (item.commit, item.branch))
    if not number and not branch:
        branch = "master" if item.branch is KEEP else item.branch
    return client.commit(item.project, item.repo, branch, number + ("^%d" % back if back else ""))


def finished(client: Any, item: Any, wait: bool = False, timeout: float = 0) -> Any:
    """The CommitInfo of the finished commit that an item names; its `commit` has an id and never changes again.

    A commit that is finishing is waited for at most `timeout` seconds, an open one only with `wait`; reading either
    could hang without end. Raises StorageError when it is open, has failed, or is not there.
    """
    wanted = commit_of(client, item)
    told = item.commit if item.commit is not KEEP else wanted.branch.name
    said = "%s/%s@%s" % (item.project, item.repo, told)
    request = client.message("pfs_v2.InspectCommitRequest", commit=wanted)
    info = client.maybe("pfs_v2.API/InspectCommit", request, operation="inspect commit")
    if info is None:
        raise StorageError(
            "There is no commit %s" % said,
            operation="inspect commit",
            code="NOT_FOUND",
            hint="Check project, repo, and branch or commit",
        )
    if not info.HasField("finished") and not info.error:
        if not info.HasField("finishing") and not wait:
            raise StorageError(
                "The commit %s is open: somebody, or a job, is writing to it" % said,
                operation="inspect commit",
                code="OPEN",
                hint='Wait until it is finished (wait: true), or name the commit before it (commit: "%s^")' % told,
            )
        timeout = timeout or client.settings.timeout
        try:
            info = client.finished(info.commit, timeout)
        except StorageError as error:
            if error.code == "DEADLINE_EXCEEDED":
                error.message = "The commit %s was not finished within %g s" % (said, timeout)
                error.hint = "Raise wait_timeout, or name the commit before it"
            raise
    if info.error:
        raise StorageError(
            "The commit %s has failed" % said,
            operation="inspect commit",
            code="FAILED",
            server_message=info.error,
            hint='What is in it is not to be trusted: name the commit before it (commit: "%s^")' % told,
        )
    return info


@dc.dataclass
class PachydermDownloadItem(DownloadItem):
    """What is downloaded: a file of a commit, or all below a directory of it."""

    project: str = key(parse=common.project_name, default="default")
    repo: str = key(parse=common.name)
    branch: str = key(parse=common.name, default=KEEP)
    commit: str = key(default=KEEP)
    path: str = key(parse=path, default="/")
    wait: bool = directive("bool", default=False)
    wait_timeout: int = directive("raw", parse=duration, default=300)

    def label(self) -> str:
        return "%s/%s:%s" % (self.project, self.repo, self.path)


class PachydermDownload(Downloads):
    """Files of a commit that the local file system should hold."""

    Item = PachydermDownloadItem
    connection = common.CONNECTION

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._commits: dict[tuple[Any, ...], Any] = {}
        self._turn = threading.Lock()

    @classmethod
    def validate(cls, item: Any) -> None:
        super().validate(item)
        if item.commit is not KEEP:
            try:
                reference(item.commit)
            except ValueError as error:
                raise OptionError("commit", str(error)) from None

    def _commit(self, item: Any) -> Any:
        """The commit of an item, asked for once in a run: a batch gets all its files from the same one."""
        place = (item.project, item.repo, item.branch, item.commit)
        with self._turn:
            if place not in self._commits:
                timeout = item.wait_timeout if item.wait else 0
                self._commits[place] = finished(self.client, item, item.wait, timeout).commit
            return self._commits[place]

    def remote(self, item: Any) -> tuple[bool, Iterable[Remote]]:
        commit = self._commit(item)
        request = self.client.message("pfs_v2.WalkFileRequest", file=self.client.file(commit, item.path))
        rows = []
        try:
            for row in self.client.stream("pfs_v2.API/WalkFile", request):
                rows.append((row.file.path, row.file_type, row.size_bytes, row.hash))
        except StorageError as error:
            if getattr(error, "kind", "") == "missing":
                error.hint = "There is no file or directory %s in that commit" % item.path
            raise
        if len(rows) == 1 and rows[0][1] != DIRECTORY and rows[0][0] == item.path:
            if item.prune:
                raise OptionError("prune", "is for trees, and %s is a file" % item.path, "Leave prune out")
            return False, [self._file(commit, item, rows[0], item.path.rsplit("/", 1)[-1])]
        start = len(item.path.rstrip("/")) + 1
        return True, [self._file(commit, item, row, row[0][start:]) for row in rows if row[1] != DIRECTORY]

    def _file(self, commit: Any, item: Any, row: tuple[str, int, int, bytes], name: str) -> Remote:
        """detail: the File to get. Before 2.1.6 hashes were others, and content has to be compared."""
        place, _kind, size, digest = row
        source = "%s/%s@%s:%s" % (item.project, item.repo, commit.id, place)
        known = digest.hex() if self.client.can("hash") and digest else None
        return Remote(name, size, known, source, self.client.file(commit, place))

    def hasher(self, remote: Remote) -> Any:
        return ContentHash() if remote.digest else None

    @contextlib.contextmanager
    def open(self, remote: Remote, offset: int, mark: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """From offset on. A finished commit never changes, but its id may be gone, or be another's after a restore."""
        if offset and mark:
            request = self.client.message("pfs_v2.InspectFileRequest", file=remote.detail)
            now = self.client.maybe("pfs_v2.API/InspectFile", request, operation="inspect file")
            if now is None or self._mark(now.size_bytes, now.hash) != mark:
                raise StorageError(
                    "%s was replaced on the server while it was read; nothing was replaced here" % remote.source,
                    operation="download",
                    hint="Run again",
                )
        request = self.client.message("pfs_v2.GetFileRequest", file=remote.detail, offset=offset)
        with contextlib.closing(self.client.stream("pfs_v2.API/GetFile", request)) as parts:
            mine = self._mark(remote.size or 0, bytes.fromhex(remote.digest or ""))
            yield mine, self._rest(remote, parts, offset)

    def _mark(self, size: int, digest: bytes) -> str:
        return "%d %s" % (size, digest.hex() if self.client.can("hash") else "")

    @staticmethod
    def _rest(remote: Remote, parts: Iterable[Any], place: int) -> Iterator[bytes]:
        for part in parts:
            place += len(part.value)
            yield part.value
        if remote.size is not None and place < remote.size:
            raise StorageError(
                "%s ended after %d of %d bytes" % (remote.source, place, remote.size),
                operation="download",
                transient=True,
            )
