# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local files as the source of content: one file, text or bytes in the playbook, or a whole tree."""

from __future__ import annotations

import base64
import binascii
import dataclasses as dc
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, Selection, new_md5, share

CHUNK = 256 * 1024


class Reader(io.RawIOBase):
    """A part of a source being read once, in bounded memory; it counts, hashes and notices a file that changes."""

    def __init__(self, source: Source, offset: int, length: int, digest: Any = None) -> None:
        super().__init__()
        self._source, self._left, self.length = source, length, length
        self.digest = digest
        self._stream: Any = io.BytesIO(source.data or b"")  # there is always something to close
        self._stream = source.opened() if source.data is None else self._stream
        if offset:
            self._stream.seek(offset)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most size bytes; b"" at the end of the part. Raises StorageError when the file has changed."""
        number = min(self._left, CHUNK if size is None or size < 0 else size)
        data: bytes = self._stream.read(number) if number else b""
        if len(data) < number or (data and len(data) == self._left):
            self._source.unchanged(self._stream)
            if len(data) < number:
                raise self._source.changed()
        self._left -= len(data)
        if self.digest is not None:
            self.digest.update(data)
        return data

    def close(self) -> None:
        self._stream.close()
        super().close()


class Source:
    """Content to send. path: a regular file, whose size and time are taken now; or data: bytes."""

    def __init__(self, path: str | None = None, data: bytes | None = None, option: str = "src") -> None:
        self.path, self.data = path, data
        self.size = len(data or b"")
        self._digests: dict[str, str] = {}
        if path is not None:
            try:
                found = os.stat(path)
            except (OSError, ValueError) as error:
                raise OptionError(option, "%s cannot be read: %s" % (path, getattr(error, "strerror", error))) from None
            if not stat.S_ISREG(found.st_mode):
                kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
                raise OptionError(option, "%s is %s" % (path, kind), "Give the path of a file")
            self.size, self._seen = found.st_size, self._marks(found)

    @staticmethod
    def _marks(found: os.stat_result) -> tuple[int, ...]:
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def opened(self) -> Any:
        """The file, open for reading and still the one that was seen first."""
        try:
            stream = io.FileIO(self.path or "")
        except OSError as error:
            raise OptionError("src", "%s cannot be read: %s" % (self.path, error.strerror)) from None
        try:
            self.unchanged(stream)
        except StorageError:
            stream.close()
            raise
        return stream

    def unchanged(self, stream: Any) -> None:
        """Raises StorageError when the open file is no longer what was seen first."""
        if self.path is not None and self._marks(os.fstat(stream.fileno())) != self._seen:
            raise self.changed()

    def changed(self) -> StorageError:
        return StorageError(
            "%s changed while it was read; nothing was replaced" % self.path,
            operation="read local file",
            hint="Run again when nobody writes to it",
        )

    def reader(self, offset: int = 0, length: int | None = None, digest: Any = None) -> Reader:
        """A Reader of length bytes from offset; digest: an object of hashlib that is fed while reading."""
        return Reader(self, offset, self.size - offset if length is None else length, digest)

    def md5(self, offset: int = 0, length: int | None = None) -> str:
        """The MD5 of a part, in hexadecimal; of the whole it is computed once."""
        if offset == 0 and length is None:
            return self.digest("md5", new_md5)
        return self._hashed(new_md5(), offset, length)

    def sha256(self) -> str:
        """The SHA-256 of the whole, in hexadecimal, computed once."""
        return self.digest("sha256", hashlib.sha256)

    def digest(self, name: str, make: Callable[[], Any]) -> str:
        """A digest of the whole, in hexadecimal, computed once. name: its name; make: as hashlib's constructors."""
        if name not in self._digests:
            self._digests[name] = self._hashed(make(), 0, None)
        return self._digests[name]

    def _hashed(self, digest: Any, offset: int, length: int | None) -> str:
        with self.reader(offset, length, digest) as part:
            while part.read(CHUNK):
                pass
        return str(digest.hexdigest())


def _decoded(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not valid base64") from None
    return value


@dc.dataclass
class ContentItem(Item):
    """The content options of a file-like item."""

    src: str = directive("path")
    content: str = directive()
    content_b64: str = directive(parse=_decoded)

    def source(self) -> Source | None:
        """The declared content, or None when none of the options was given. Raises OptionError."""
        if self.src is not KEEP:
            return Source(self.src)
        if self.content is not KEEP:
            return Source(data=self.content.encode("utf-8", "surrogateescape"))
        if self.content_b64 is not KEEP:
            return Source(data=base64.b64decode(self.content_b64))
        return None


def only_one(item: Any, names: tuple[str, ...], needed: bool = False) -> str | None:
    """The one of these options that was given. Raises OptionError when there are two, or none and one is needed."""
    given = [name for name in names if getattr(item, name) is not KEEP]
    if len(given) > 1:
        raise OptionError(given[1], "cannot be given together with %s" % given[0], "Give one of %s" % ", ".join(names))
    if needed and not given:
        raise OptionError(names[0], "is missing", "Give one of %s" % ", ".join(names))
    return given[0] if given else None


@dc.dataclass
class TreeItem(Item):
    """The options of a tree that is declared as a whole."""

    src: str = directive("path", required=True)
    include: list[str] = directive("list", elements="str", default=None)
    exclude: list[str] = directive("list", elements="str", default=None)
    follow: bool = directive("bool", default=False)
    prune: bool = directive("bool", default=False)
    max_delete: tuple[int, bool] = directive("raw", parse=share)
    allow_empty: bool = directive("bool", default=False)

    def selection(self) -> Selection:
        """Which relative names belong to the tree."""
        return Selection(self.include or (), self.exclude or ())

    def brakes(self) -> dict[str, Any]:
        """max_delete and allow_empty for a Scope."""
        return {
            "max_delete": (10, True) if self.max_delete is KEEP else self.max_delete,
            "allow_empty": self.allow_empty,
        }


def scan(tree: TreeItem) -> Iterator[tuple[str, str]]:
    """(relative name with "/", path) of every selected regular file below tree.src, sorted within each directory.

    Raises OptionError: no directory, a symlink that is neither excluded nor followed, a name that is not UTF-8, a
    special file, a circle of followed links.
    """
    if not os.path.isdir(tree.src):
        wrong = "is not a directory" if os.path.exists(tree.src) else "does not exist"
        raise OptionError("src", "%s %s" % (tree.src, wrong), "Give the directory whose files are to be sent")
    yield from _below(tree, tree.selection(), tree.src, "", ())


def _below(
    tree: TreeItem, selection: Selection, top: str, prefix: str, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, str]]:
    try:
        here = os.stat(top)
        entries = sorted(os.scandir(top), key=lambda entry: entry.name)
    except OSError as error:
        raise OptionError("src", "%s cannot be read: %s" % (top, error.strerror)) from None
    if (here.st_dev, here.st_ino) in above:
        raise OptionError("src", "%s leads back to a directory above it" % top, "Exclude that link")
    above += ((here.st_dev, here.st_ino),)
    for entry in entries:
        name = prefix + entry.name
        if selection.excludes(name):
            continue
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise OptionError(
                "src", "the name %r below %s is not valid UTF-8" % (entry.name, top), "Rename it"
            ) from None
        if entry.is_symlink() and not tree.follow:
            raise OptionError("src", "%s is a symbolic link" % entry.path, "Set follow: true, or exclude it")
        if entry.is_dir():
            if not selection.excludes(name + "/"):
                yield from _below(tree, selection, entry.path, name + "/", above)
        elif name in selection:
            if not entry.is_file():
                raise OptionError("src", "%s is not a regular file" % entry.path, "Exclude it")
            yield name, entry.path
