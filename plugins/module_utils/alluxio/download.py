# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio files as local files: one file, or everything below a directory."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import DownloadItem, Downloads, Remote
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import directive, key

NAMED = 5  # how many incomplete files a message names


@dc.dataclass
class AlluxioDownloadItem(DownloadItem):
    """What is downloaded: a file, or all below a directory."""

    path: str = key(parse=common.path)
    sync_metadata: bool = directive("bool", default=False)

    def label(self) -> str:
        return self.path


def _no_crc(_data: bytes, seen: int) -> int:
    return seen


def complete(rows: Iterable[dict[str, Any]]) -> None:
    """Raises StorageError, which names them, when files have not been written to their end."""
    open_ones = [row["path"] for row in rows if not row["folder"] and not row["completed"]]
    if not open_ones:
        return
    more = ", and %d more" % (len(open_ones) - NAMED) if len(open_ones) > NAMED else ""
    several = len(open_ones) > 1
    raise StorageError(
        "%s%s %s incomplete" % (", ".join(open_ones[:NAMED]), more, "are" if several else "is"),
        operation="read status",
        code="INCOMPLETE",
        hint="Somebody is writing still, or died while writing: wait, or remove %s with alluxio_file, state: absent"
        % ("them" if several else "it"),
    )


class AlluxioDownload(Downloads):
    """Files of Alluxio that the local file system should hold."""

    Item = AlluxioDownloadItem
    connection = common.CONNECTION

    def remote(self, item: Any) -> tuple[bool, Iterable[Remote]]:
        found = self.client.get_status(item.path, sync=item.sync_metadata)
        if found is None:
            behind = "" if item.sync_metadata else ", or set sync_metadata: true when it was made behind Alluxio"
            raise StorageError(
                "There is no file or directory %s" % item.path,
                operation="read status",
                code="NOT_FOUND",
                hint="Check the path%s" % behind,
            )
        if not found["folder"]:
            if item.prune:
                raise OptionError("prune", "is for trees, and %s is a file" % item.path, "Leave prune out")
            complete([found])
            return False, [self._file(found, item.path.rsplit("/", 1)[-1])]
        rows = self.client.list_status(item.path, recursive=True, sync=item.sync_metadata)
        rows = [row for row in rows if not common.TEMPORARY.search(row["path"])]  # uploads, running or dead
        complete(rows)
        start = len(item.path.rstrip("/")) + 1
        parents = {row["path"].rpartition("/")[0] for row in rows}
        files = []
        for row in rows:
            if not row["folder"]:
                files.append(self._file(row, row["path"][start:]))
            elif row["path"] not in parents:  # an empty one; the others come with their files
                files.append(Remote(row["path"][start:], 0, None, row["path"], directory=True))
        return True, files

    @staticmethod
    def _file(row: dict[str, Any], name: str) -> Remote:
        """detail: the CRC of what has come so far, where no digest will tell."""
        return Remote(name, row["length"], common.digest_of(row), row["path"], [0])

    def hasher(self, remote: Remote) -> Any:
        return hashlib.sha256() if remote.digest else None

    @contextlib.contextmanager
    def open(self, remote: Remote, offset: int, mark: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Alluxio cannot begin in the middle: what is there already is read once more, and has to be the same."""
        try:
            with self.client.stream(remote.source) as chunks:
                yield "", self._rest(remote, chunks, offset)
        except StorageError as error:
            if error.code == "NOT_FOUND":
                error.hint = "It was there a moment ago: run again"
            raise

    def _rest(self, remote: Remote, chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
        place = seen = 0
        crc = _no_crc if remote.digest else zlib.crc32
        for chunk in chunks:
            if place < offset:
                head, chunk = chunk[: offset - place], chunk[offset - place :]
                place, seen = place + len(head), crc(head, seen)
                if place == offset and seen != remote.detail[0]:
                    raise self._moved(remote)
            if chunk:
                place, seen = place + len(chunk), crc(chunk, seen)
                remote.detail[0] = seen
                yield chunk
        if place < offset:
            raise self._moved(remote)
        if remote.size is not None and place < remote.size:
            raise StorageError(
                "%s ended after %d of %d bytes" % (remote.source, place, remote.size),
                operation="download",
                hint="It was probably changed meanwhile: run again",
                transient=True,
            )

    def _moved(self, remote: Remote) -> StorageError:
        return StorageError(
            "%s was replaced on the server while it was read; nothing was replaced here" % remote.source,
            operation="download",
            hint="Run again",
        )
