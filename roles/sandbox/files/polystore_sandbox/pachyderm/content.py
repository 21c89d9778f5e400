# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents of files: small ones in memory, the others on disk; never changed once they are made."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polystore_sandbox.pachyderm.hashing import Hasher, content_hash

SMALL = 16384
PIECE = 19 * 2**20  # what one message of GetFile holds at most: 19,922,944 bytes
EMPTY_HASH = hashlib.blake2b(digest_size=32).digest()


class Content:
    """One file's content."""

    def __init__(self, size: int, data: bytes | None, blob: str) -> None:
        self.size, self.data, self.blob = size, data, blob
        self.digest = b""


class Tree(dict[str, Content]):
    """Contents by path; a new one is made for each change, so that what was found out of it stays true."""

    sound: bool | None = None  # no file lies below another
    looked: Any = None  # a directory that was asked for, and what was in it

    def __getstate__(self) -> None:
        """What was found out is not saved."""


class Store:
    """Where contents are."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Made at its first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="polystore-pachd-"))
        self._folder.mkdir(exist_ok=True, mode=0o700)
        return self._folder

    def writer(self) -> Writer:
        """Something to write a new content with."""
        return Writer(self)

    def of(self, data: bytes) -> Content:
        """The content of these bytes."""
        writer = self.writer()
        writer.write(data)
        return writer.done()

    def read(self, content: Content, offset: int = 0, piece: int = PIECE) -> Iterator[bytes]:
        """The bytes from an offset on, in pieces."""
        if content.data is not None:
            if offset < content.size:
                yield content.data[offset:]
            return
        with (self.folder / content.blob).open("rb") as file:
            file.seek(offset)
            while data := file.read(piece):
                yield data

    def hash(self, content: Content) -> bytes:
        """As the server gives it; worked out once."""
        if not content.digest:
            pieces = self.read(content, piece=2**20)
            content.digest = content_hash(pieces) if content.size else EMPTY_HASH
        return content.digest


class Writer:
    """Takes a content piece by piece; on disk from a certain size on."""

    def __init__(self, store: Store) -> None:
        self.store, self.size = store, 0
        self.parts: list[bytes] = []
        self.blob = ""
        self.file: Any = None
        self.hasher: Hasher | None = None  # what is large is hashed as it comes: no reader waits for it

    def write(self, data: bytes) -> None:
        """Appends."""
        self.size += len(data)
        if self.file is None and self.size <= SMALL:
            self.parts.append(data)
            return
        if self.file is None:
            self.blob = uuid.uuid4().hex
            path = self.store.folder / self.blob
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self.file = os.fdopen(descriptor, "wb")
            self.hasher = Hasher()
            parts, self.parts = [*self.parts, data], []
        else:
            parts = [data]
        self.file.writelines(parts)
        if self.hasher:
            for part in parts:
                self.hasher.add(part)

    def done(self) -> Content:
        """The content."""
        if self.file is None:
            return Content(self.size, b"".join(self.parts), "")
        self.file.close()
        content = Content(self.size, None, self.blob)
        content.digest = self.hasher.digest() if self.hasher else b""
        return content

    def drop(self) -> None:
        """Forgets it."""
        if self.file is not None:
            self.file.close()
            (self.store.folder / self.blob).unlink(missing_ok=True)
