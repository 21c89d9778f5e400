# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a Pachyderm commit as local files: one file, or everything below a directory."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import DownloadItem, Downloads, Remote
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import directive, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, duration
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.hashes import ContentHash


@dc.dataclass
class PachydermDownloadItem(DownloadItem):
    """What is downloaded: a file of a commit, or all below a directory of it."""

    project: str = key(parse=common.project_name, default="default")
    repo: str = key(parse=common.name)
    branch: str = key(parse=common.name, default=KEEP)
    commit: str = key(default=KEEP)
    path: str = key(parse=common.path, default="/")
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
        common.check_commit(item)

    def _commit(self, item: Any) -> Any:
        """The commit of an item, asked for once in a run: a batch gets all its files from the same one."""
        place = (item.project, item.repo, item.branch, item.commit)
        with self._turn:
            if place not in self._commits:
                timeout = item.wait_timeout if item.wait else 0
                self._commits[place] = common.finished(self.client, item, item.wait, timeout).commit
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
        if len(rows) == 1 and rows[0][1] != common.DIRECTORY and rows[0][0] == item.path:
            if item.prune:
                raise OptionError("prune", "is for trees, and %s is a file" % item.path, "Leave prune out")
            return False, [self._file(commit, item, rows[0], item.path.rsplit("/", 1)[-1])]
        start = len(item.path.rstrip("/")) + 1
        return True, [self._file(commit, item, row, row[0][start:]) for row in rows if row[1] != common.DIRECTORY]

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
        with contextlib.closing(common.content(self.client, remote.detail, remote.size or 0, offset)) as parts:
            mine = self._mark(remote.size or 0, bytes.fromhex(remote.digest or ""))
            yield mine, self._rest(remote, parts, offset)

    def _mark(self, size: int, digest: bytes) -> str:
        return "%d %s" % (size, digest.hex() if self.client.can("hash") else "")

    @staticmethod
    def _rest(remote: Remote, parts: Iterable[bytes], place: int) -> Iterator[bytes]:
        for data in parts:
            place += len(data)
            yield data
        if remote.size is not None and place < remote.size:
            raise StorageError(
                "%s ended after %d of %d bytes" % (remote.source, place, remote.size),
                operation="download",
                transient=True,
            )
