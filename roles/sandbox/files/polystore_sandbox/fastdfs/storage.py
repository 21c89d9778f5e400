# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage answers."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from polystore_sandbox.fastdfs import metadata
from polystore_sandbox.fastdfs.cluster import Cluster, Group
from polystore_sandbox.fastdfs.names import (
    LONGEST,
    PLACE,
    TAIL,
    Checksum,
    FileName,
    is_word,
    new_name,
    slave_name,
    slot,
)
from polystore_sandbox.fastdfs.records import GROUP_NAME, number, padded
from polystore_sandbox.fastdfs.store import PIECE, Storage
from polystore_sandbox.fastdfs.wire import HEADER, Body, Content, Refused, Request

# Command -> its name in the log.
COMMANDS = {
    11: "upload",
    12: "delete",
    13: "set_metadata",
    14: "download",
    15: "get_metadata",
    21: "upload_slave",
    22: "query_file_info",
    23: "upload_appender",
    24: "append",
    34: "modify",
    36: "truncate",
    38: "regenerate",
    111: "active_test",
}
EXTENSION, PREFIX = 6, 16
ANY_PATH = 255
NO_CRC = 1
LARGEST_IN_TRUNK = 16 << 20


class StorageServer:
    """See polystore_sandbox.fastdfs.wire.Server."""

    forgives = False

    def __init__(self, cluster: Cluster, group: Group, storage: Storage) -> None:
        self.cluster, self.group, self.storage = cluster, group, storage
        self.answers: dict[int, Callable[[Request], Body]] = {
            11: self._upload,
            12: self._delete,
            13: self._set_metadata,
            14: self._download,
            15: self._get_metadata,
            21: self._upload_slave,
            22: self._info,
            23: self._upload,
            24: self._append,
            34: self._modify,
            36: self._truncate,
            38: self._regenerate,
            111: self._active,
        }

    @property
    def what(self) -> str:
        """In the log and in faults."""
        return self.storage.where

    @property
    def first(self) -> int:
        """Bytes of a request that are read before it is looked at."""
        return self.cluster.settings.buff_size

    @property
    def deaf(self) -> bool:
        """Whether an EINVAL leaves the connection open, never to be heard again."""
        return self.cluster.settings.dialect.deaf

    def length(self, told: int) -> int | None:
        """A storage counts in 64 bits with a sign."""
        return None if told + HEADER.size >> 63 else told

    def describe(self, request: Request) -> None:
        """Name and path, as far as a request is well formed."""
        describe(request, self.group.name)

    def answer(self, request: Request) -> Body:
        """Raises Refused."""
        known = self.answers.get(request.command)
        if known is None:
            raise Refused(errno.EINVAL)
        return known(request)

    def _active(self, request: Request) -> Body:
        _must(not request.length)
        return b""

    # --- names ---------------------------------------------------------------------------------------------------

    def _name(self, data: bytes) -> FileName:
        """A well-formed name."""
        found = FileName.of(data)
        settings = self.cluster.settings
        if found is None or found.path_index >= settings.store_paths:
            raise Refused(errno.EINVAL)
        return found

    def _in_group(self, data: bytes) -> FileName:
        """A name that follows the group's."""
        _must(_text(data[:GROUP_NAME]) == self.group.name)
        return self._name(data[GROUP_NAME:])

    def _there(self, name: FileName) -> os.stat_result:
        found = self.storage.stat(name.text)
        if found is None:
            raise Refused(errno.ENOENT)
        return found

    def _appender(self, data: bytes) -> tuple[FileName, int]:
        """An appender that is there, and its size."""
        name = self._name(data)
        if not name.appender:
            raise Refused(errno.ENOENT if name.trunk else errno.EINVAL)
        return name, self._there(name).st_size

    def _given(self, name: str) -> bytes:
        return padded(self.group.name, GROUP_NAME) + name.encode()

    # --- uploads -------------------------------------------------------------------------------------------------

    def _upload(self, request: Request) -> Body:
        appender, data, settings = request.command == 23, request.data, self.cluster.settings
        _must(len(data) >= 15)
        index, size = struct.unpack(">BQ", data[:9])
        _must(request.length == 15 + size)
        index = 0 if index == ANY_PATH else index
        extension = data[9:15].rstrip(b"\0")
        _must(index < settings.store_paths and is_word(extension))
        in_trunk = settings.trunk and not appender and size <= LARGEST_IN_TRUNK
        if in_trunk and not settings.trunk_ready:
            raise Refused(errno.EAGAIN)
        self._space()
        came, crc32 = self._receive(request, 15, Checksum(not settings.dialect.has("zlib_crc")))
        storage = self.storage
        with self.group.lock:
            place = storage.place(index, settings.subdirs)
            where = b""
            if in_trunk:
                where, storage.trunk_offset = slot(storage.trunk_offset, size)
            source = storage.source(settings.storage_ids)
            name = ""
            while not name or storage.stat(name):
                name = new_name(place, source, int(time.time()), size, crc32, extension.decode(), appender, where)
            self._keep(came, name, size)
        request.stored = f"{self.group.name}/{name}"
        return self._given(name)

    def _upload_slave(self, request: Request) -> Body:
        data = request.data
        _must(len(data) >= 38)
        length, size = struct.unpack(">QQ", data[:16])
        prefix, extension = data[16:32].rstrip(b"\0"), data[32:38].rstrip(b"\0")
        _must(length <= LONGEST and request.length == 38 + length + size and len(data) >= 38 + length)
        _must(bool(prefix) and is_word(prefix) and is_word(extension) and not (prefix == b"-m" and not extension))
        master = self._name(data[38 : 38 + length])
        name = slave_name(master.text, prefix.decode(), extension.decode())
        _must(len(name) <= LONGEST)
        self._there(master)
        if self.storage.stat(name):
            raise Refused(errno.EEXIST)
        self._space()
        came, _crc32 = self._receive(request, 38 + length)
        with self.group.lock:
            if self.storage.stat(name):
                came.unlink()
                raise Refused(errno.EEXIST)
            self._keep(came, name, size)
        request.stored = f"{self.group.name}/{name}"
        return self._given(name)

    def _space(self) -> None:
        if self.cluster.full(self.storage):
            raise Refused(errno.ENOSPC)

    def _receive(self, request: Request, begin: int, checksum: Checksum | None = None) -> tuple[Path, int]:
        """What comes after that byte of the body, as a temporary file, with its checksum."""
        came = self.storage.temporary()
        try:
            with came.open("wb", buffering=0) as file:

                def each(piece: memoryview) -> None:
                    file.write(piece)
                    if checksum:
                        checksum.add(piece)

                request.stream(begin, each)
        except BaseException:
            came.unlink()
            raise
        return came, checksum.value if checksum else 0

    def _keep(self, came: Path, name: str, size: int) -> None:
        self.storage.keep(came, name)
        self._count("upload", file_write=1, upload_bytes=size)
        self.cluster.changed(self.storage, name)

    def _count(self, what: str, **more: int) -> None:
        """Counts an operation, for which a file was opened."""
        with self.group.lock:
            self.storage.counts.update({what: 1, "file_open": 1, **more})

    # --- reading -------------------------------------------------------------------------------------------------

    def _download(self, request: Request) -> Body:
        data = request.whole
        _must(len(data) > 16 + GROUP_NAME)
        offset, count = struct.unpack(">qq", data[:16])
        name = self._in_group(data[16:])
        _must(offset >= 0 and count >= 0)
        size = self._there(name).st_size
        if self.cluster.settings.dialect.has("ranges_clamped"):
            _must(offset < size)
            count = min(count or size, size - offset)
        else:
            _must(not count or offset + count <= size)
            count = count or size - offset
        self._count("download", file_read=1, download_bytes=count)
        if count < 0:
            return None  # an old storage waits for what there is not
        return Content(self.storage.path(name.text), offset, count)

    def _get_metadata(self, request: Request) -> Body:
        name = self._in_group(request.whole)
        self._there(name)
        path = self.storage.path(name.text + "-m")
        with self.group.lock:
            if not path.exists():
                raise Refused(errno.ENOENT)
            self._count("get_meta", file_read=1)
            return path.read_bytes()

    def _info(self, request: Request) -> Body:
        name = self._in_group(request.whole)
        found, settings = self._there(name), self.cluster.settings
        crc32 = name.crc32
        if name.slave and settings.dialect.has("slave_crc"):
            crc32 = self._crc_of(name, request.flags)
        elif name.appender and not name.slave and settings.dialect.has("appender_crc"):
            crc32 = self._crc_of(name, request.flags if settings.dialect.has("slave_crc") else 0)
        source = self.cluster.source(self.group, name)
        signed = crc32 - (1 << 32) if crc32 >> 31 else crc32
        head = number(found.st_size) + number(int(found.st_mtime)) + number(signed)
        return head + padded(source.address if source else "", settings.width)

    def _crc_of(self, name: FileName, flags: int) -> int:
        if flags & NO_CRC:
            return 0
        self._count("file_read")
        checksum = Checksum(old=False)
        with self.storage.path(name.text).open("rb") as file:
            while piece := file.read(PIECE):
                checksum.add(piece)
        return checksum.value

    # --- changing ------------------------------------------------------------------------------------------------

    def _delete(self, request: Request) -> Body:
        name = self._in_group(request.whole)
        with self.group.lock:
            self._there(name)
            self.storage.remove(name.text)
            self.storage.remove(name.text + "-m")
            self.storage.counts["delete"] += 1
            self.cluster.changed(self.storage, name.text, name.text + "-m")
        return b""

    def _set_metadata(self, request: Request) -> Body:
        data = request.whole
        _must(HEADER.size + len(data) < self.cluster.settings.buff_size and len(data) >= 17 + GROUP_NAME)
        length, size = struct.unpack(">QQ", data[:16])
        end = 17 + GROUP_NAME + length
        _must(len(data) == end + size)
        name = self._in_group(data[17:end])
        _must(data[16:17] in (b"O", b"M"))
        beside, given = name.text + "-m", data[end:]
        with self.group.lock:
            self._there(name)
            if data[16:17] == b"O" and not given:
                self.storage.remove(beside)
            elif data[16:17] == b"O":
                self.storage.write(beside, metadata.replaced(given))
            elif given:
                path = self.storage.path(beside)
                known = metadata.parse(path.read_bytes()) if path.exists() else {}
                self.storage.write(beside, metadata.joined({**known, **metadata.parse(given)}))
            self.storage.counts["set_meta"] += 1
            self.cluster.changed(self.storage, beside)
        return b""

    def _change(self, request: Request, name: FileName, begin: int, offset: int, what: str) -> Body:
        """Puts what comes with a request into an appender."""
        came, _crc32 = self._receive(request, begin)
        try:
            with self.group.lock:
                now = self._there(name).st_size
                at = now if what == "append" else offset
                _must(at <= now)
                size = came.stat().st_size
                self.storage.put(came, name.text, at)
                self._count(what, **{"file_write": 1, what + "_bytes": size})
                self.cluster.changed(self.storage, name.text)
        finally:
            came.unlink()
        return b""

    def _append(self, request: Request) -> Body:
        data = request.data
        _must(len(data) >= 16)
        length, size = struct.unpack(">QQ", data[:16])
        _must(length <= LONGEST and request.length == 16 + length + size and len(data) >= 16 + length)
        name, _now = self._appender(data[16 : 16 + length])
        return self._change(request, name, 16 + length, 0, "append") if size else data

    def _modify(self, request: Request) -> Body:
        data = request.data
        _must(len(data) >= 24)
        length, offset, size = struct.unpack(">QQQ", data[:24])
        _must(length <= LONGEST and request.length == 24 + length + size and len(data) >= 24 + length)
        name, now = self._appender(data[24 : 24 + length])
        _must(offset <= now)
        return self._change(request, name, 24 + length, offset, "modify") if size else data

    def _truncate(self, request: Request) -> Body:
        data = request.whole
        _must(len(data) >= 16)
        length, size = struct.unpack(">QQ", data[:16])
        _must(length <= LONGEST and len(data) == 16 + length and not size >> 62)
        with self.group.lock:
            name, now = self._appender(data[16:])
            if size == now:
                return data
            _must(size < now or self.cluster.settings.dialect.has("truncate_grows"))
            os.truncate(self.storage.path(name.text), size)
            self._count("truncate")
            self.cluster.changed(self.storage, name.text)
        return b""

    def _regenerate(self, request: Request) -> Body:
        settings, storage = self.cluster.settings, self.storage
        _must(settings.dialect.has("regenerate"))
        with self.group.lock:
            old, size = self._appender(request.whole)
            _must(not old.slave)
            crc32, changed = self._crc_of(old, 0), int(storage.path(old.text).stat().st_mtime)
            new = new_name(old.text[:PLACE], old.source, changed, size, crc32, "", False)[:-TAIL] + old.text[-TAIL:]
            for ending in ("", "-m"):
                if storage.stat(old.text + ending):
                    os.rename(storage.path(old.text + ending), storage.path(new + ending))
                self.cluster.changed(storage, new + ending, old.text + ending)
        request.stored = f"{self.group.name}/{new}"
        return self._given(new)


def describe(request: Request, group: str) -> None:
    """Fills in name and path of a request to a storage of that group, as far as it is well formed."""
    command, data = request.command, request.data
    request.name = COMMANDS.get(command, "")
    if command in (11, 23):
        extension = _text(data[9:15])
        request.path = f"{group}/*.{extension}" if extension else f"{group}/*"
    elif command in (12, 13, 14, 15, 22):
        skip = {13: 17, 14: 16}.get(command, 0)
        rest = data[skip + GROUP_NAME :]
        if command == 13 and len(data) >= 17:
            rest = rest[: int.from_bytes(data[:8], "big")]
        request.path = f"{_text(data[skip : skip + GROUP_NAME])}/{_text(rest)}"
    elif command in (21, 24, 34, 36):
        skip = {21: 38, 34: 24}.get(command, 16)
        request.path = f"{group}/{_text(data[skip : skip + int.from_bytes(data[:8], 'big')])}"
    elif command == 38:
        request.path = f"{group}/{_text(data)}"


def _must(well: bool) -> None:
    if not well:
        raise Refused(errno.EINVAL)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "backslashreplace")
