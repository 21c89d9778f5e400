# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a FastDFS file id tells (nothing is sent), the names of slaves, and the two checksums that ids carry."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import Any, NamedTuple

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
    """A decoded file id. That it can be decoded does not prove that there is such a file.

    kind: normal, trunk, appender or slave. source: the storage that took it, an IPv4 address or a storage id.
    created: seconds since 1970, by the storage's clock. size, crc32: of the content; None where the id does not tell
    them (an appender changes, a slave's id carries its master's). extension: without its dot.
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
        """The id that a slave of this file gets, always the same. Raises ValueError for what a storage refuses."""
        check_prefix(prefix, extension)
        stem, dot = self.name, self.name.rfind(".", len(self.name) - TAIL)
        name = (stem if dot < 0 else stem[:dot]) + prefix + ("." + extension if extension else "")
        if len(name) > NAME_MOST:
            raise ValueError("the slave's name %s has %d bytes; at most %d go" % (name, len(name), NAME_MOST))
        found = self.parse("%s/%s" % (self.group, name))
        if found.kind != "slave":  # servers tell slaves by their length, and take this one's content for its master's
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
    """count runs of RUN bytes side by side, a byte of each at a time; all is linear, so their ends can be joined."""

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
    """The checksum of content in pieces. legacy: the one of servers up to 5.11 instead of zlib's."""

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
    """The checksum of data that its id carries. legacy: where the server is 5.11 or older."""
    check = Crc32(legacy)
    check.update(data)
    return check.value
