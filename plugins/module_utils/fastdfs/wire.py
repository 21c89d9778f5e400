# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's packets: requests, replies from 4.06 to 6.16, metadata, errors.

A packet is a body behind 10 bytes: its length, a command, a status.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    FileId,
    check_extension,
    check_group,
    check_prefix,
)

HEADER = struct.Struct("!QBB")
REPLY = 100  # the command of every answer
UPLOAD, DELETE, SET_METADATA, DOWNLOAD, GET_METADATA = 11, 12, 13, 14, 15
UPLOAD_SLAVE, INFO, UPLOAD_APPENDER, APPEND, MODIFY, TRUNCATE, REGENERATE = 21, 22, 23, 24, 34, 36, 38
LIST_GROUP, LIST_GROUPS, LIST_STORAGES, LEADER, ACTIVE_TEST = 90, 91, 92, 95, 111
STORE, FETCH, UPDATE, STORE_IN, FETCH_ALL, STORE_ALL, STORE_ALL_IN = 101, 102, 103, 104, 105, 106, 107
NO_CRC32, NO_LOG = 1, 2  # flags of INFO

WORDS = {
    UPLOAD: "upload", DELETE: "delete", SET_METADATA: "set metadata", DOWNLOAD: "download",
    GET_METADATA: "get metadata", UPLOAD_SLAVE: "upload slave", INFO: "query file info",
    UPLOAD_APPENDER: "upload appender", APPEND: "append", MODIFY: "modify", TRUNCATE: "truncate",
    REGENERATE: "regenerate appender name", LIST_GROUP: "list group", LIST_GROUPS: "list groups",
    LIST_STORAGES: "list storages", LEADER: "get leader", ACTIVE_TEST: "active test", STORE: "query store",
    FETCH: "query fetch", UPDATE: "query update", STORE_IN: "query store", FETCH_ALL: "query fetch all",
    STORE_ALL: "query store all", STORE_ALL_IN: "query store all",
}  # fmt: skip
WRITES = frozenset((UPLOAD, DELETE, SET_METADATA, UPLOAD_SLAVE, UPLOAD_APPENDER, APPEND, MODIFY, TRUNCATE, REGENERATE))
ONCE = frozenset((UPLOAD, UPLOAD_SLAVE, UPLOAD_APPENDER, APPEND, REGENERATE))  # a second time is not the same
USABLE = frozenset((DELETE, SET_METADATA, DOWNLOAD, GET_METADATA, INFO))  # after ENOENT the connection still is
# The longest reply that is believed, in bytes; an echo of a request that changed nothing is below the default.
MOST = {LIST_GROUPS: 1 << 17, LIST_STORAGES: 1 << 20, GET_METADATA: 1 << 22, FETCH_ALL: 1 << 16, STORE_ALL: 1 << 16,
        STORE_ALL_IN: 1 << 16}  # fmt: skip
MOST_OTHERS = 512
PACKET = 1 << 18  # a storage's buff_size: a request that is not a stream has to be smaller
LARGEST = (1 << 63) - 1

ERRNO = {
    1: ("EPERM", "not permitted"), 2: ("ENOENT", "no such file"), 4: ("EINTR", "interrupted"),
    5: ("EIO", "disk error"), 9: ("EBADF", "bad descriptor"), 11: ("EAGAIN", "not ready yet"),
    12: ("ENOMEM", "no memory left there"), 13: ("EACCES", "no permission on its disk"),
    16: ("EBUSY", "the name is taken or in work"), 17: ("EEXIST", "there is one already"),
    20: ("ENOTDIR", "not a directory"), 21: ("EISDIR", "a directory"), 22: ("EINVAL", "bad argument or wrong state"),
    24: ("EMFILE", "too many open files"), 27: ("EFBIG", "too large"), 28: ("ENOSPC", "no space left"),
    30: ("EROFS", "read-only file system"), 36: ("ENAMETOOLONG", "name too long"), 61: ("ENODATA", "no data"),
    95: ("EOPNOTSUPP", "not supported"), 104: ("ECONNRESET", "connection reset"), 110: ("ETIMEDOUT", "timed out"),
    111: ("ECONNREFUSED", "connection refused"), 113: ("EHOSTUNREACH", "no way to a host"),
    114: ("EALREADY", "in work already"),
}  # fmt: skip
TRANSIENT = frozenset((4, 11, 12, 16, 24, 104, 110, 111, 113, 114))
HINTS = {
    ("storage", 2): "The file is not there, or it has been deleted",
    ("storage", 11): "Its trunk server is not chosen yet: ask again in a few seconds",
    ("storage", 17): "Delete the slave with this prefix and extension before another takes its place",
    ("storage", 28): "Free space there, add a storage, or lower reserved_storage_space",
    ("tracker", 2): "Is there such a group, and is one of its storages active? See fdfs_info with gather: storages",
    ("tracker", 22): "The tracker may be too old for this",
    ("tracker", 28): "Every storage that may be used is below reserved_storage_space",
}
STATES = {0: "INIT", 1: "WAIT_SYNC", 2: "SYNCING", 3: "IP_CHANGED", 4: "DELETED", 5: "OFFLINE", 6: "ONLINE",
          7: "ACTIVE", 9: "RECOVERY", 99: "NONE"}  # fmt: skip
ACTIVE = 7


class FdfsError(StorageError):
    """What a tracker or storage did not do. code: its errno, as in Linux; name: "ENOENT" and such; role: "tracker" or
    "storage"; begun: some of the request had left us; whole: all, so it may have been carried out."""

    name = ""
    role = ""
    begun = False
    whole = False

    @property
    def missing(self) -> bool:
        """Whether a storage said that it has no such file. (A tracker's ENOENT says nothing about files.)"""
        return self.role == "storage" and self.code == 2


class RequestError(FdfsError):
    """What was asked for cannot be right; nothing was sent."""


class RefusedError(FdfsError):
    """Nothing was done. whole: an earlier try of the same may have been."""


class LostError(FdfsError):
    """There is no connection, or it broke, or nothing came in time."""


class ReplyError(FdfsError):
    """A server answered what makes no sense here."""


def refused(code: int, command: int, role: str, server: Any, what: str = "") -> RefusedError:
    """The error for a status that is not 0. what: the file or group it was about."""
    name, words = ERRNO.get(code, ("errno %d" % code, ""))
    if role == "tracker" and code == 2:
        words = "no such group, or no active storage in it"
    operation = WORDS.get(command, "command %d" % command)
    told = "%s: %s %s answered %d (%s)" % (" ".join(filter(None, (operation, what))), role, server, code, name)
    hint = HINTS.get((role, code), "The log of that %s tells more" % role)
    if role == "storage" and code == 22:
        hint = "Is the id whole, the range inside the file, and the file an appender where it has to be one?"
        if command == REGENERATE:
            hint = "Only an appender gets a new name, on servers from 6.02 on"
    error = RefusedError(
        told, operation=operation, code=code, server_message=words, hint=hint, transient=code in TRANSIENT
    )
    error.name, error.role = name, role
    return error


class Server(NamedTuple):
    """Where a tracker or storage listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % self


class FileInfo(NamedTuple):
    """What a storage says of a file. changed: seconds since 1970. crc32: see tells_crc32; 0 where it was not asked
    for. source: who took the file."""

    size: int
    changed: int
    crc32: int
    source: str


class Order(NamedTuple):
    """One request. body: without the content, which has size bytes; what: for errors; flags: the header's status; due:
    how long a download's reply has to be."""

    command: int
    body: bytes = b""
    size: int = 0
    what: str = ""
    flags: int = 0
    due: int | None = None

    @property
    def head(self) -> bytes:
        """Header and body."""
        return HEADER.pack(len(self.body) + self.size, self.command, self.flags) + self.body

    @property
    def most(self) -> int:
        """The longest reply that is believed."""
        return MOST.get(self.command, MOST_OTHERS)


# --- requests


def sized(number: Any, name: str = "size") -> int:
    """A number of bytes as it came. Raises ValueError."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST:
        raise ValueError("%r is no %s: 0 to 2^63 - 1 bytes" % (number, name))
    return number


def _padded(text: str, width: int) -> bytes:
    return text.encode("ascii").ljust(width, b"\0")


def group_order(command: int, group: str | None = None, storage: str = "") -> Order:
    """A question to a tracker about a group, or about all."""
    if group is None:
        return Order(command)
    if not storage.isascii() or not storage.isprintable() or len(storage) > 15:
        raise ValueError("%.60r is no storage: its id or IPv4 address, at most 15 characters" % storage)
    return Order(command, _padded(check_group(group), 16) + storage.encode("ascii"), 0, group)


def file_order(command: int, file: FileId, flags: int = 0) -> Order:
    """A request that names a file and nothing else."""
    name = file.name.encode("ascii")
    return Order(command, name if command == REGENERATE else _padded(file.group, 16) + name, 0, file.text, flags)


def download_order(file: FileId, offset: int, count: int) -> Order:
    """count bytes from offset on. ValueError for 0: servers disagree, one hangs."""
    if not sized(count, "count"):
        raise ValueError("nothing to download")
    head = struct.pack("!QQ", sized(offset, "offset"), count)
    return Order(DOWNLOAD, head + _padded(file.group, 16) + file.name.encode("ascii"), 0, file.text, 0, count)


def upload_order(size: int, extension: str, appender: bool, path: int = 255) -> Order:
    """A new file of size bytes on store path number path (255: the storage chooses)."""
    body = struct.pack("!BQ", path, sized(size)) + _padded(check_extension(extension), 6)
    return Order(UPLOAD_APPENDER if appender else UPLOAD, body, size)


def slave_order(master: FileId, size: int, prefix: str, extension: str) -> Order:
    """A new slave of size bytes."""
    check_prefix(prefix, extension)
    name = master.name.encode("ascii")
    body = struct.pack("!QQ", len(name), sized(size)) + _padded(prefix, 16) + _padded(extension, 6)
    return Order(UPLOAD_SLAVE, body + name, size, master.text)


def appender_order(command: int, file: FileId, *numbers: int) -> Order:
    """APPEND (size), MODIFY (offset, size) or TRUNCATE (new size)."""
    name = file.name.encode("ascii")
    body = struct.pack("!%dQ" % (len(numbers) + 1), len(name), *map(sized, numbers)) + name
    return Order(command, body, 0 if command == TRUNCATE else numbers[-1], file.text)


def metadata_order(file: FileId, metadata: Mapping[str, str], merge: bool) -> Order:
    """Metadata to set, or with merge to add. Raises ValueError."""
    name, packed = file.name.encode("ascii"), pack_metadata(metadata)
    head = struct.pack("!QQc", len(name), len(packed), b"M" if merge else b"O") + _padded(file.group, 16)
    order = Order(SET_METADATA, head + name + packed, 0, file.text)
    if len(order.head) >= PACKET:
        raise ValueError("metadata of %d bytes do not fit: a storage takes less than 256 KiB at once" % len(packed))
    return order


# --- metadata

RECORD, FIELD = b"\x01", b"\x02"
NAME_MOST, VALUE_MOST = 64, 256


def pack_metadata(metadata: Mapping[str, str]) -> bytes:
    """Sorted by name. Raises ValueError for what a storage would cut or mix up."""
    pairs = []
    for key, content in metadata.items():
        pair = []
        for text, kind, most in ((key, "name", NAME_MOST), (content, "value", VALUE_MOST)):
            if not isinstance(text, str):
                raise ValueError("metadata: the %s %.80r is no text" % (kind, text))
            try:
                data = text.encode("utf-8")
            except UnicodeEncodeError:
                raise ValueError("metadata: the %s %.80r is not valid UTF-8" % (kind, text)) from None
            if len(data) > most:
                raise ValueError("metadata: the %s %.80r has %d bytes; at most %d go" % (kind, text, len(data), most))
            if any(byte < 3 for byte in data):
                raise ValueError("metadata: the %s %.80r holds one of the bytes 0, 1 and 2" % (kind, text))
            pair.append(data)
        if not pair[0]:
            raise ValueError("metadata: a name is empty")
        pairs.append((pair[0], pair[1]))
    return RECORD.join(key + FIELD + content for key, content in sorted(pairs))


def metadata_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of an option; None removes a name. Raises ValueError."""
    found = {}
    for name, text in value.items():
        if isinstance(text, (dict, list)):
            raise ValueError("the value of %.80r is no text" % name)
        found[name] = str(text).lower() if isinstance(text, bool) else text if text is None else str(text)
    pack_metadata({name: text or "" for name, text in found.items()})
    return found


def parse_metadata(body: bytes) -> dict[str, str]:
    """The pairs; what is not UTF-8 (storages cut anywhere) with backslashes."""
    found = {}
    for record in filter(None, body.split(RECORD)):
        key, _field, content = record.partition(FIELD)
        found[key.decode("utf-8", "backslashreplace")] = content.decode("utf-8", "backslashreplace")
    return found


# --- replies; all raise ReplyError


def text_of(data: bytes) -> str:
    text = data.split(b"\0", 1)[0].decode("latin-1")
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError(text)
    return text


def _group(body: bytes) -> str:
    try:
        return check_group(text_of(body[:16]))
    except ValueError:
        raise ReplyError("The reply names no group") from None


@functools.lru_cache(256)
def server_of(data: bytes, port: bytes) -> Server:
    """Raises ValueError."""
    host, number = text_of(data), int.from_bytes(port, "big")
    ipaddress.ip_address(host)
    if not 0 < number < 65536:
        raise ValueError(number)
    return Server(host, number)


def _servers(body: bytes, bare: bool = False) -> list[Server]:
    """Addresses in the first width that makes sense. bare: the port follows the first only."""
    for width in (15, 45):
        full = width + 8
        left, step = len(body) - full, width if bare else full
        if left < 0 or left % step:
            continue
        port = body[width:full]
        try:
            found = [server_of(body[:width], port)]
            for at in range(full, len(body), step):
                found.append(server_of(body[at : at + width], port if bare else body[at + width : at + full]))
        except ValueError:
            continue
        return found
    raise ReplyError("A reply of %d bytes holds no addresses that are understood" % (len(body) + 16))


def parse_store(body: bytes) -> tuple[str, list[Server], int]:
    """(group, storages, store path number): where to upload (101, 104, 106, 107)."""
    return _group(body), _servers(body[16:-1]), body[-1]


def parse_place(body: bytes) -> list[Server]:
    """The storages of a file (102, 103, 105). Before 6.16 the port came once, before all other addresses."""
    _group(body)
    try:
        return _servers(body[16:])
    except ReplyError:
        return _servers(body[16:], bare=True)


def parse_info(body: bytes) -> FileInfo:
    """What a storage says of a file; 40 or 70 bytes."""
    if len(body) not in (40, 70):
        raise ReplyError("A file's info has 40 or 70 bytes, not %d" % len(body))
    size, changed, crc32 = struct.unpack("!qqq", body[:24])
    try:
        source = text_of(body[24:])
    except ValueError:
        size = -1
    if size < 0 or changed < 0:
        raise ReplyError("A file's info holds what cannot be")
    return FileInfo(size, changed, crc32 & 0xFFFFFFFF, source)


def parse_id(body: bytes) -> FileId:
    """The id of what was uploaded."""
    try:
        return FileId.parse("%s/%s" % (_group(body), body[16:].decode("ascii")))
    except ValueError:
        raise ReplyError("The reply holds no file id") from None


# Where the state is 1 byte, in what length of record the version stands where, in how many bytes.
_VERSIONS = {600: (177, 6), 612: (177, 6), 642: (207, 6), 644: (207, 8), 509: (80, 8), 517: (80, 8), 487: (50, 8)}


def parse_versions(body: bytes) -> list[dict[str, Any]]:
    """state and version of the storages in a list (records has the rest)."""
    for length, (at, width) in _VERSIONS.items():
        rows = [body[start : start + length] for start in range(0, len(body), length)]
        found = [(STATES.get(row[0]), row[at : at + width].split(b"\0")[0]) for row in rows if len(row) == length]
        if len(found) == len(rows) and all(state and re.match(rb"[0-9.]*\Z", text) for state, text in found):
            return [{"state": state, "version": text.decode()} for state, text in found]
    raise ReplyError("A list of %d bytes holds no versions that are understood" % len(body))


OWN_CRC32 = {"appender": [6, 2], "slave": [6, 15, 1]}  # the first versions that tell their own, as it is now


def tells_crc32(kind: str, storages: list[dict[str, Any]]) -> bool:
    """Whether these storages tell the CRC32 of what such a file holds now."""
    versions = [row["version"] for row in storages if row["state"] == "ACTIVE"]
    return all([int(n) for n in text.split(".") if n.isdigit()] >= OWN_CRC32.get(kind, []) for text in versions)
