# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys as a replica server sees them: hashes, bounds, filters, and the numbers that values are taken for."""

from __future__ import annotations

import functools
import re

EPOCH = 1451606400  # what expiry times count from
LONGEST = 65535  # bytes of a hash key that abort whoever builds a raw key from it
_POLYNOMIAL = 0x9A6C9329AC4BC9B5
_MASK = (1 << 64) - 1


def _table() -> list[int]:
    found = []
    for value in range(256):
        for _bit in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return found


_TABLE = _table()


@functools.lru_cache(maxsize=8192)
def crc64(data: bytes) -> int:
    """CRC-64/NVME, by which keys are spread."""
    value, table = _MASK, _TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ _MASK


class Abort(Exception):
    """A real server's assertion would fail here, and end its process. The text says which."""


def joined(hash_key: bytes, sort_key: bytes = b"") -> bytes:
    """The raw key; Abort where the server asserts."""
    if len(hash_key) >= LONGEST:
        raise Abort(f"a hash key of {len(hash_key)} bytes")
    return len(hash_key).to_bytes(2, "big") + hash_key + sort_key


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Hash key and sort key; Abort where the server asserts."""
    if len(raw) < 2:
        raise Abort(f"a raw key of {len(raw)} bytes")
    end = 2 + int.from_bytes(raw[:2], "big")
    if len(raw) < end:
        raise Abort(f"a raw key of {len(raw)} bytes whose hash key has {end - 2}")
    return raw[2:end], raw[end:]


def key_hash(raw: bytes) -> int:
    """The hash by which the key's partition is chosen."""
    hash_key, sort_key = parted(raw)
    return crc64(hash_key or sort_key)


def after(raw: bytes) -> bytes:
    """The least key above all that begin with this one."""
    kept = raw.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,))


NO_FILTER, ANYWHERE, PREFIX, POSTFIX = range(4)


def passes(kind: int, pattern: bytes, value: bytes) -> bool:
    """True when the filter lets the value through."""
    if kind == NO_FILTER or not pattern:
        return True
    if kind == ANYWHERE:
        return pattern in value
    return value.startswith(pattern) if kind == PREFIX else value.endswith(pattern)


_INTEGER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def integer(data: bytes | str, bits: int = 64) -> int | None:
    """The number that C's strtoll reads (in base 16 after 0x, in base 8 after 0); None where there is none."""
    data = data.encode() if isinstance(data, str) else data
    found = _INTEGER.fullmatch(data)
    if not found:
        return None
    digits = found[2].lower()
    base = 16 if digits.startswith(b"0x") else 8 if digits.startswith(b"0") else 10
    value = int(digits, base) * (-1 if found[1] == b"-" else 1)
    return value if -1 << bits - 1 <= value < 1 << bits - 1 else None
