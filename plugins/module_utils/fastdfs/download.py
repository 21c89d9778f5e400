# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of FastDFS as local files: by their id, by their name in a manifest, or all that a manifest names."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core import values
from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import (
    BLOCK,
    DownloadItem,
    Downloads,
    Remote,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import State, directive, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    Crc32,
    FileId,
    Manifest,
    manifest_path,
)


def entry_id(path: str, name: str, entry: Any) -> FileId:
    """The id in an entry of a manifest. Raises StorageError."""
    try:
        return FileId.parse(entry["id"])
    except ValueError as error:
        raise StorageError("%s in the manifest %s: %s" % (name, path, error), operation="read manifest") from None


def some(value: Any) -> int:
    """A number of bytes that is not none. Raises ValueError."""
    found = values.size(value)
    if not found:
        raise ValueError("0 bytes are nothing: leave it out for all up to the end")
    return found


@dc.dataclass
class FdfsDownloadItem(DownloadItem):
    """What is downloaded: a file or a part of it, or all that a manifest has, or has below a name."""

    name: str = key(parse=values.plain_text, default="")
    manifest: str = key("path", parse=manifest_path, default=KEEP)
    file_id: FileId = key(parse=FileId.parse, default=KEEP)
    offset: int = key("raw", parse=values.size, default=0)
    bytes: int = key("raw", parse=some, default=KEEP)
    verify: bool = directive("bool", default=True)

    def label(self) -> str:
        return str(self.file_id or self.name or self.manifest)


@dc.dataclass
class Wanted:
    """What of a file is wanted. mark: what tells this state of a file that can change from others.

    legacy: its id may carry the checksum of servers up to 5.11; out: the descriptor of what has come.
    """

    file: FileId
    offset: int
    mark: str
    legacy: bool = False
    out: int = -1


class Checked(Crc32):
    """A checksum that is zlib's; where that is not the due one, that of older servers over what came, read again."""

    def __init__(self, due: str, wanted: Wanted) -> None:
        super().__init__()
        self._due, self._wanted = due, wanted

    def hexdigest(self) -> str:
        found, out = super().hexdigest(), self._wanted.out
        if found == self._due or out < 0:
            return found
        older, place = Crc32(legacy=True), 0
        while block := os.pread(out, BLOCK, place):
            older.update(block)
            place += len(block)
        return self._due if older.hexdigest() == self._due else found


class FdfsDownload(Downloads):
    """Files of FastDFS that the local file system should hold."""

    Item = FdfsDownloadItem
    connection = CONNECTION

    @classmethod
    def validate(cls, item: Any) -> None:
        super().validate(item)
        if item.file_id is KEEP and item.manifest is KEEP:
            raise OptionError("manifest" if item.name else "file_id", "is missing", "Give file_id, or manifest")
        if item.file_id is not KEEP and item.name:
            raise OptionError("name", "cannot be given together with file_id", "Give one of them")
        if item.file_id is not KEEP and item.prune:
            raise OptionError("prune", "is for trees, and file_id is one file", "Leave prune out")

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._turn = threading.Lock()
        self._manifests: dict[str, dict[str, Any]] = {}

    def _entries(self, path: str) -> dict[str, Any]:
        """The entries of a manifest, read once in a run."""
        with self._turn:
            if path not in self._manifests:
                self._manifests[path] = Manifest.load(path).entries
            return self._manifests[path]

    def remote(self, item: Any) -> tuple[bool, Iterable[Remote]]:
        if item.file_id is not KEEP:
            return False, [self._file(item, item.file_id, item.file_id.name.rpartition("/")[2])]
        entries = self._entries(item.manifest)
        if item.name in entries:
            if item.prune:
                raise OptionError("prune", "is for trees, and %s is one file" % item.name, "Leave prune out")
            return False, [self._entry(item, item.name, entries, item.name.rpartition("/")[2])]
        start = item.name.rstrip("/") + "/" if item.name else ""
        names = [name for name in sorted(entries) if name.startswith(start)]
        if start and not names:
            raise StorageError(
                "The manifest %s has neither a file %s nor any below it" % (item.manifest, item.name),
                operation="read manifest",
                code="NOT_FOUND",
                hint="fdfs_info with gather: manifest shows the names that it has",
            )
        if item.offset or item.bytes is not KEEP:
            option = "offset" if item.offset else "bytes"
            raise OptionError(option, "is for single files, and %s is a tree" % (start or item.manifest))
        files: list[Any] = [None] * len(names)

        def one(number: int) -> None:
            name = names[number]
            files[number] = self._entry(item, name, entries, name[len(start) :])

        self.run.workers.each(one, range(len(names)))
        return True, files

    def _entry(self, item: Any, name: str, entries: dict[str, Any], local: str) -> Remote:
        return self._file(item, entry_id(item.manifest, name, entries[name]), local, name)

    def _file(self, item: Any, file: FileId, local: str, name: str = "") -> Remote:
        """A file, or the part that is asked for, as far as it can be known without reading it."""
        size, crc32, mark = file.size, file.crc32, ""
        if item.verify or not file.fixed:
            trusts = self.client.tells_crc32(file)
            found = self.client.info(file, crc32=trusts)
            told = "%s (%s)" % (name, file) if name else str(file)
            if found is None:
                raise StorageError(
                    "There is no file %s" % told,
                    operation="query file info",
                    code=2,
                    hint="It was deleted, or the id is wrong: check it, or declare the file anew with fdfs_file",
                )
            if size is not None and found.size != size:
                raise StorageError(
                    "%s has %d bytes on its storage, and its id says %d" % (told, found.size, size),
                    operation="query file info",
                    hint="It was damaged there: another storage of the group may still have it whole",
                )
            if not file.fixed:
                size, crc32, mark = found.size, found.crc32 if trusts else None, "%d %d" % found[:2]
        size = size or 0
        if item.offset > size:
            raise OptionError("offset", "%d is beyond the end of %s, which has %d bytes" % (item.offset, file, size))
        count = size - item.offset
        count = count if item.bytes is KEEP else min(item.bytes, count)
        digest = None if crc32 is None or count != size else "%08x" % crc32
        return Remote(local, count, digest, file.text, Wanted(file, item.offset, mark))

    def hasher(self, remote: Remote) -> Any:
        if not remote.digest:
            return None
        return Crc32(legacy=True) if remote.detail.legacy else Checked(remote.digest, remote.detail)

    def _same(self, item: Any, present: State) -> bool:
        """Ids of servers up to 5.11 carry another checksum, which takes longer: it is tried last."""
        if super()._same(item, present):
            return True
        wanted, found = item.remote.detail, present.get("digest")
        if found is None or not wanted.file.fixed:
            return False
        wanted.legacy = True
        same = super()._same(item, present)
        wanted.legacy = False
        present["digest"] = present["digest"] if same else found
        return same

    def _fetch(self, remote: Remote, out: int, path: str) -> tuple[int, str]:
        remote.detail.out = out if remote.detail.file.fixed else -1
        try:
            return super()._fetch(remote, out, path)
        finally:
            remote.detail.out = -1

    @contextlib.contextmanager
    def open(self, remote: Remote, offset: int, mark: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """What can change is looked at once more after it, and before it goes on: no two states are put together."""
        wanted: Wanted = remote.detail
        try:
            left = None if remote.size is None else remote.size - offset
            if offset:
                self._still(remote)
            with self.client.stream(wanted.file, wanted.offset + offset, left) as blocks:
                yield wanted.mark, self._rest(remote, blocks)
        except StorageError as error:
            if getattr(error, "missing", False):
                error.hint = "It was there a moment ago: run again" if wanted.mark else "It was deleted"
            raise

    def _rest(self, remote: Remote, blocks: Iterable[bytes]) -> Iterator[bytes]:
        yield from blocks
        self._still(remote)

    def _still(self, remote: Remote) -> None:
        """Raises StorageError when a file that can change is no longer what was seen first."""
        wanted: Wanted = remote.detail
        if not wanted.mark:
            return
        found = self.client.info(wanted.file, crc32=False)
        if found is None or "%d %d" % found[:2] != wanted.mark:
            raise StorageError(
                "%s was changed on the server while it was read; nothing was replaced here" % remote.source,
                operation="download",
                hint="Run again",
            )
