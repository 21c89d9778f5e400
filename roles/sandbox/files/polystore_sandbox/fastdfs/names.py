# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The id of a file: what is in it, and how one is made."""

from __future__ import annotations

import base64
import random
import re
import socket
import struct
import zlib
from dataclasses import dataclass

PLACE = 10  # "M00/00/00/"
CODE = 27
TRUNK = 16
TAIL = 7
NORMAL = PLACE + CODE + TAIL
LONGEST = 127
SLOT, SLOT_HEAD = 256, 24

_MARKED, _TRUNK, _APPENDER = 1 << 63, 1 << 59, 1 << 58
_NAME = re.compile(rb"M([0-9A-F]{2})/([0-9A-F]{2})/([0-9A-F]{2})/([A-Za-z0-9_.-]+)")
_WORD = re.compile(rb"[A-Za-z0-9_.-]*")


def _table() -> list[int]:
    """CRC-32's, as signed numbers."""
    found = []
    for number in range(256):
        for _bit in range(8):
            number = number >> 1 ^ (0xEDB88320 if number & 1 else 0)
        found.append(number - (1 << 32) if number >> 31 else number)
    return found


_SIGNED = _table()


class Checksum:
    """A running CRC-32. old: as up to 5.11, where a signed number was shifted."""

    def __init__(self, old: bool) -> None:
        self._old = old
        self._value = -1 if old else 0

    def add(self, data: bytes | memoryview) -> None:
        """Goes on with more of the content."""
        if not self._old:
            self._value = zlib.crc32(data, self._value)
            return
        value, table = self._value, _SIGNED
        for byte in data:
            value = table[(value ^ byte) & 255] ^ (value >> 8)
        self._value = value

    @property
    def value(self) -> int:
        """Of all that was added, without a sign."""
        return (~self._value if self._old else self._value) & 0xFFFFFFFF


@dataclass(frozen=True)
class FileName:
    """A name without its group, taken apart."""

    text: str
    path_index: int
    source: int  # the storage's number, or its address as a number in little endian
    created: int
    size: int
    crc32: int
    appender: bool
    trunk: bool

    @classmethod
    def of(cls, name: bytes) -> FileName | None:
        """None for what is no name."""
        found = _NAME.fullmatch(name)
        if not found or not PLACE + CODE <= len(name) <= LONGEST:
            return None
        code = name[PLACE : PLACE + CODE]
        if b"." in code:
            return None
        data = base64.urlsafe_b64decode(code + b"=")
        source = int.from_bytes(data[:4], "little")
        created, word, crc32 = struct.unpack(">IQI", data[4:])
        size = word & 0xFFFFFFFF if word & _MARKED else word
        return cls(
            name.decode(), int(found[1], 16), source, created, size, crc32, bool(word & _APPENDER), bool(word & _TRUNK)
        )

    @property
    def own(self) -> int:
        """How long a name is that is not a slave's."""
        return NORMAL + TRUNK if self.trunk else NORMAL

    @property
    def slave(self) -> bool:
        """Uploaded as another file's slave (or, with -m, another file's metadata)."""
        return len(self.text) > self.own

    @property
    def metadata(self) -> bool:
        """The file that another file's metadata are kept in."""
        return self.slave and self.text.endswith("-m")


def source_number(number: int, address: str) -> int:
    """What a name says of its source: a storage's own number, or (0) its address."""
    return number or int.from_bytes(socket.inet_aton(address), "little")


def new_name(
    place: str, source: int, created: int, size: int, crc32: int, extension: str, appender: bool, slot: bytes = b""
) -> str:
    """A new file's name. place: "M00/00/00/"; slot: where it is in a trunk file, 12 bytes."""
    word = size if size >= 1 << 32 else size | _MARKED | random.getrandbits(23) << 32
    if appender:
        word = _MARKED | _APPENDER | random.getrandbits(23) << 32
    elif slot:
        word |= _TRUNK
    code = source.to_bytes(4, "little") + struct.pack(">IQI", created, word, crc32)
    ending = "." + extension if extension else ""
    digits = TAIL - len(ending)
    tail = f"{random.randrange(10**digits):0{digits}}" if digits else ""
    return place + _text(code) + _text(slot) + tail + ending


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def slot(offset: int, size: int) -> tuple[bytes, int]:
    """Where a file of that size is in the trunk file, and where the next one will be."""
    taken = -(-(size + SLOT_HEAD) // SLOT) * SLOT
    return struct.pack(">III", 1, offset, taken), offset + taken


def slave_name(master: str, prefix: str, extension: str) -> str:
    """The name that a slave gets."""
    dot = master.find(".", len(master) - TAIL)
    ending = "." + extension if extension else ""
    return (master[:dot] if dot >= 0 else master) + prefix + ending


def is_word(data: bytes) -> bool:
    """Whether an extension or a prefix may be this."""
    return _WORD.fullmatch(data) is not None
