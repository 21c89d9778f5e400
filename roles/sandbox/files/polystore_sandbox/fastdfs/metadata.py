# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a file: one text of records, sorted by name."""

from __future__ import annotations

RECORD, FIELD = b"\x01", b"\x02"
NAME, VALUE = 64, 256


def parse(data: bytes) -> dict[bytes, bytes]:
    """What is in a text, cut to what a storage keeps; what has no FIELD is none."""
    found = {}
    for record in data.split(RECORD):
        name, field, value = record.partition(FIELD)
        if field:
            found[name[:NAME]] = value[:VALUE]
    return found


def joined(metadata: dict[bytes, bytes]) -> bytes:
    """The text of a file's metadata."""
    return RECORD.join(name + FIELD + metadata[name] for name in sorted(metadata))


def replaced(data: bytes) -> bytes:
    """What a storage writes that got this text: where something was cut, the end of what it got stays behind it."""
    text = joined(parse(data))
    return text + b"\0" + data[len(text) + 1 :] if len(text) < len(data) else text
