# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a FastDFS file id tells, slaves' ids, the two checksums in ids, and manifests, which give names to ids.

Nothing here sends anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import zlib
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import plain_text

GROUP = re.compile(r"[A-Za-z0-9]{1,16}\Z")
EXTENSION = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,5}\Z")
PREFIX = re.compile(r"[A-Za-z0-9._-]{1,16}\Z")
NAME = re.compile(r"M([0-9A-F]{2})/[0-9A-F]{2}/[0-9A-F]{2}/([A-Za-z0-9_-]{27})([A-Za-z0-9._-]*)\Z")
NAME_MOST = 127  # bytes of a name without its group
DIRECTORIES, HASH, TRUNK, TAIL = 10, 27, 16, 7  # characters of a name's parts
PLAIN, APPENDER, IN_TRUNK = 1 << 63, 1 << 58, 1 << 59  # of the size word; PLAIN: random bits stand above the size
ID_BELOW = 1 << 24  # smaller sources are storage ids, the others IPv4 addresses


class Trunk(NamedTuple):
    """Where in which trunk file a small file lies. size: bytes allocated there."""

    file: int
    offset: int
    size: int


class FileId(NamedTuple):
    """A decoded file id, which does not prove that there is such a file.

    kind: normal, trunk, appender or slave. source: the storage that took it, an IPv4 address or an id. created: seconds
    since 1970. size, crc32: None for appenders and slaves, whose id does not tell them. extension: without its dot.
    """

    text: str
    group: str
    name: str
    path: int
    kind: str
    source: str
    created: int
    size: int | None
    crc32: int | None
    extension: str
    trunk: Trunk | None

    def __str__(self) -> str:
        return self.text

    @property
    def fixed(self) -> bool:
        """Whether the content behind this id can never change."""
        return self.kind in ("normal", "trunk")

    @classmethod
    def parse(cls, text: Any) -> FileId:
        """Decode "group1/M00/00/00/…". Raises ValueError."""
        group, _slash, name = text.partition("/") if isinstance(text, str) else ("", "", "")
        match = NAME.match(name)
        if not GROUP.match(group) or not match or len(name) > NAME_MOST:
            raise ValueError("%.200r is no file id: it should look like group1/M00/00/00/wKg…AAA123.txt" % (text,))
        data, rest = _unpacked(match.group(2)), match.group(3)
        number = int.from_bytes(data[:4], "little")
        word = int.from_bytes(data[8:16], "big")
        size = word & 0xFFFFFFFF if word & PLAIN else word & (APPENDER - 1)
        trunk, kind = None, "appender" if word & APPENDER else "normal"
        if word & IN_TRUNK:
            if not re.match(r"[A-Za-z0-9_-]{16}", rest):
                raise ValueError("%r is no file id: it lacks its place in a trunk file" % text)
            where = _unpacked(rest[:TRUNK])
            trunk = Trunk(*(int.from_bytes(where[at : at + 4], "big") for at in (0, 4, 8)))
            kind, rest = "trunk", rest[TRUNK:]
        if len(rest) > TAIL:
            kind = "slave"
        known = kind in ("normal", "trunk")
        return cls(
            text, group, name, int(match.group(1), 16), kind,
            str(number) if 0 < number < ID_BELOW else ".".join(map(str, data[:4])),
            int.from_bytes(data[4:8], "big"),
            size if known else None, int.from_bytes(data[16:20], "big") if known else None,
            rest.partition(".")[2] if len(rest) <= TAIL else rest.rpartition(".")[2] if "." in rest else "",
            trunk,
        )  # fmt: skip

    def slave(self, prefix: str, extension: str = "") -> FileId:
        """The id that a slave of this file gets. Raises ValueError."""
        check_prefix(prefix, extension)
        stem, dot = self.name, self.name.rfind(".", len(self.name) - TAIL)
        name = (stem if dot < 0 else stem[:dot]) + prefix + ("." + extension if extension else "")
        if len(name) > NAME_MOST:
            raise ValueError("the slave's name %s has %d bytes; at most %d go" % (name, len(name), NAME_MOST))
        found = self.parse("%s/%s" % (self.group, name))
        if found.kind != "slave":  # servers tell slaves by their length alone
            raise ValueError("the slave's name %s is too short to be told from a master's: use a longer prefix" % name)
        return found


def check_group(group: str) -> str:
    """A group's name as it came. Raises ValueError."""
    if not isinstance(group, str) or not GROUP.match(group):
        raise ValueError("%.60r is no group: 1 to 16 letters and digits" % (group,))
    return group


def check_extension(extension: str) -> str:
    """An extension, without its dot, as it came; empty is none. Raises ValueError."""
    if not isinstance(extension, str) or (extension and not EXTENSION.match(extension)):
        raise ValueError("%.60r is no extension: up to 6 letters, digits, - _ . and no dot first" % (extension,))
    return extension


def check_prefix(prefix: str, extension: str) -> str:
    """What tells a slave from its master, as it came. Raises ValueError."""
    check_extension(extension)
    if not isinstance(prefix, str) or not PREFIX.match(prefix):
        raise ValueError("%.60r is no prefix of a slave: 1 to 16 letters, digits, - _ ." % (prefix,))
    if prefix == "-m" and not extension:
        raise ValueError("the prefix -m without an extension is where the master's metadata are")
    return prefix


def _unpacked(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("%r is not base64" % text) from None


# --- the checksum of servers up to 5.11: a signed shift made theirs another one than zlib's

RUN = 512  # bytes that one lane takes
_TABLE: list[int] = []
_PLANES: list[bytes] = []  # byte k of all entries of the table, as tables for bytes.translate
_JUMP: list[list[int]] = []  # what RUN zero bytes make of each byte of a state


def _prepare() -> None:
    if _JUMP:
        return
    for number in range(256):
        for _bit in range(8):
            number = number >> 1 ^ (0xEDB88320 if number & 1 else 0)
        _TABLE.append(number)
    _PLANES.extend(bytes(entry >> 8 * plane & 255 for entry in _TABLE) for plane in range(4))
    bits = [_slowly(1 << bit, bytes(RUN)) for bit in range(32)]
    for plane in range(4):
        row = [0]
        for number in range(1, 256):
            low = number & -number
            row.append(row[number ^ low] ^ bits[8 * plane + low.bit_length() - 1])
        _JUMP.append(row)


def _slowly(state: int, data: bytes) -> int:
    table = _TABLE
    for byte in data:
        state = table[(state ^ byte) & 255] ^ state >> 8 ^ (0xFF000000 if state & 0x80000000 else 0)
    return state


def _lanes(state: int, data: bytes, count: int) -> int:
    """count runs of RUN bytes side by side; all is linear, so their ends can be joined."""

    def number(lane: bytes) -> int:
        return int.from_bytes(lane, "little")

    ones = number(b"\1" * count)
    first = second = third = fourth = 0  # byte k of every lane's state
    one, two, three, four = _PLANES
    for at in range(RUN):
        index = (first ^ number(data[at::RUN])).to_bytes(count, "little")
        sign = (fourth >> 7 & ones) * 255
        first = number(index.translate(one)) ^ second
        second = number(index.translate(two)) ^ third
        third = number(index.translate(three)) ^ fourth
        fourth = number(index.translate(four)) ^ sign
    a, b, c, d = _JUMP
    for ends in zip(*(plane.to_bytes(count, "little") for plane in (first, second, third, fourth))):
        state = a[state & 255] ^ b[state >> 8 & 255] ^ c[state >> 16 & 255] ^ d[state >> 24]
        state ^= int.from_bytes(bytes(ends), "little")
    return state


class Crc32:
    """The checksum of content in pieces. legacy: that of servers up to 5.11."""

    def __init__(self, legacy: bool = False) -> None:
        self.legacy, self._value = legacy, 0xFFFFFFFF if legacy else 0
        if legacy:
            _prepare()

    def update(self, data: bytes) -> None:
        """Take more content."""
        if not self.legacy:
            self._value = zlib.crc32(data, self._value)
            return
        count = len(data) // RUN
        if count > 7:
            self._value = _lanes(self._value, data[: count * RUN], count)
            data = data[count * RUN :]
        self._value = _slowly(self._value, data)

    @property
    def value(self) -> int:
        """The checksum so far, 0 to 2^32 - 1."""
        return self._value ^ 0xFFFFFFFF if self.legacy else self._value

    def hexdigest(self) -> str:
        """The same as eight hexadecimal digits."""
        return "%08x" % self.value


def crc32(data: bytes, legacy: bool = False) -> int:
    """The same of data at once."""
    check = Crc32(legacy)
    check.update(data)
    return check.value


# --- the names that people give them

SCHEMA = 1
DOUBTS = 100  # the newest are kept
REBUILD = (
    "Restore it from a backup, or write it anew with what fdfs_info (gather: manifest) told or still tells of it: "
    '{"schema": 1, "files": {"NAME": {"id": "group1/M00/..."}}}'
)
Entry = dict[str, Any]


def manifest_path(value: Any) -> str:
    """A manifest's path as an option, absolute. Raises ValueError."""
    return os.path.abspath(plain_text(value))


class Manifest:
    """The files that names stand for; manifest.Held can write it.

    entries: by name {id, size, crc32 (hexadecimal), perhaps metadata and master}; one written by hand has an id.
    pending: names whose file was being changed in place, so that the rest of their entry may not hold.
    doubts: uploads whose end nobody heard of.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.journal = self.path + ".journal"
        self._clear()

    def _clear(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.pending: set[str] = set()
        self.doubts: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []  # the last run's
        self._loose: dict[str, None] = {}
        self._sending: dict[str, dict[str, Any]] = {}
        self._revision = self._id = ""
        self._end = self._rows = 0

    @classmethod
    def load(cls, path: str) -> Manifest:
        """What it tells now; nothing is locked. Raises StorageError when it is lost or damaged."""
        found = cls(path)
        found._read()
        return found

    def _read(self) -> None:
        marks: Any = self
        while marks != (marks := self._marks()):  # until nobody folds the journal meanwhile
            self._clear()
            document, rows = self._document(), self._noted()
        if document is not None:
            self._take(document)
        head = rows.pop(0) if rows else {}
        self._id, base = head.get("journal", ""), head.get("base", "")
        if document is None and base:
            raise self._bad("is gone, and its journal is not", "FILE_LOST")
        if document is not None and self._id and self._id == document.get("folded"):
            self._end, rows = 0, []  # killed between the two steps of folding
        elif base != self._revision:
            if rows:
                hint = "Restore the one that it belongs to; or move the journal away, if this one is right"
                raise self._bad("is not the one that its journal belongs to", "MISMATCH", hint)
            self._end = 0
        self._rows = len(rows)
        try:
            for row in rows:
                self._apply(row)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._bad("has a damaged journal (%r)" % error, "DAMAGED") from None
        self.heard, self._sending = list(self._sending.values()), {}
        self.doubts = (self.doubts + self.heard)[-DOUBTS:]

    def _marks(self) -> Any:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble("read", error) from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _bytes(self, path: str) -> bytes | None:
        try:
            with open(path, "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble("read", error) from None

    def _document(self) -> dict[str, Any] | None:
        data = self._bytes(self.path)
        if data is None:
            return None
        try:
            found = json.loads(data)
        except ValueError as error:
            raise self._bad("is damaged: %s" % error, "DAMAGED") from None
        if not isinstance(found, dict) or not isinstance(found.get("files"), dict) or "schema" not in found:
            raise self._bad("is no manifest", "DAMAGED")
        if found["schema"] != SCHEMA:
            told = "has schema %r; %d is understood" % (found["schema"], SCHEMA)
            raise self._bad(told, "SCHEMA", "Use a newer version of this collection")
        return found

    def _take(self, document: dict[str, Any]) -> None:
        self.entries = document["files"]
        for name, entry in self.entries.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                raise self._bad("is damaged: the entry %r has no id" % name, "DAMAGED")
        try:
            self._revision = str(document.get("revision") or "")
            self.pending = set(document.get("pending") or ())
            self._loose = dict.fromkeys(document.get("leftovers") or ())
            self.doubts = list(document.get("doubts") or ())
        except TypeError:
            raise self._bad("is damaged", "DAMAGED") from None

    def _noted(self) -> list[dict[str, Any]]:
        """The journal's complete lines."""
        data = self._bytes(self.journal) or b""
        self._end = data.rfind(b"\n") + 1
        try:
            rows = [json.loads(line) for line in data[: self._end].splitlines()]
            if rows and "journal" not in rows[0]:
                raise ValueError("it has no head")
        except (TypeError, ValueError) as error:
            raise self._bad("has a damaged journal %s: %s" % (self.journal, error), "DAMAGED") from None
        return rows

    def _bad(self, what: str, code: str, hint: str = REBUILD) -> StorageError:
        return StorageError(
            "the manifest %s %s; it is left as it is" % (self.path, what),
            operation="read manifest", code=code, hint=hint, fatal=True,
        )  # fmt: skip

    def _trouble(self, what: str, error: OSError) -> StorageError:
        told = "the manifest %s cannot be %s: %s" % (self.path, what, error.strerror or error)
        hint = "Its directory has to be there and writable, for the journal beside it"
        return StorageError(told, operation="open manifest", code=error.errno, hint=hint, fatal=True)

    def _apply(self, row: dict[str, Any]) -> None:
        kind, name = row["op"], row.get("name", "")
        if kind == "sending":
            self._sending[name] = {key: row[key] for key in ("name", "size", "time")}
        elif kind == "unsent":
            self._sending.pop(name, None)
        elif kind == "new":
            self._sending.pop(name, None)
            self._loose[row["id"]] = None
        elif kind == "touch":
            self.pending.add(name)
        elif kind == "gone":
            self._loose.pop(row["id"], None)
        elif kind == "set":
            self.pending.discard(name)
            self._loose.update(dict.fromkeys(row["old"]))
            if row["entry"] is None:
                self.entries.pop(name, None)
            else:
                self._loose.pop(row["entry"]["id"], None)
                self.entries[name] = row["entry"]

    def leftovers(self) -> list[str]:
        """Ids of files that were stored or replaced, and that no name stands for."""
        used = {entry["id"] for entry in self.entries.values()}
        return [text for text in self._loose if text not in used]
