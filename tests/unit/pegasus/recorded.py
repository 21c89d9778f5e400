# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""78 calls as a Pegasus 2.5.0 with three replicas got and answered them (tests/support/pegasus_vectors.json).

asked and answered are what the bytes mean, as Python literals; 75 have the header of version 0, three of version 1.
"""

from __future__ import annotations

import ast
import json
import pathlib
import re
import struct
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.pegasus import admin, schema
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import HEADER, Rpc

FILE = pathlib.Path(__file__).parents[2] / "support" / "pegasus_vectors.json"


class Call(NamedTuple):
    """rpc: None for one that no server knows. error: what stands in the reply's head."""

    step: str
    version: int
    role: str
    rpc: Rpc | None
    asked: Any
    request: bytes
    error: str
    answered: Any
    reply: bytes

    @property
    def header(self) -> tuple[Any, ...]:
        """Of version 0, its fields."""
        return HEADER.unpack(self.request[: HEADER.size])

    @property
    def message(self) -> bytes:
        """What follows the header."""
        return self.request[HEADER.size if not self.version else 16 + struct.unpack_from(">I", self.request, 8)[0] :]

    @property
    def seqid(self) -> int:
        name = struct.unpack_from(">I", self.message, 4)[0]
        return int(struct.unpack_from(">i", self.message, 8 + name)[0])


def _unfolded(text: str) -> bytes:
    """<5 * 78>: the byte 78 five times."""
    return bytes.fromhex(re.sub(r"<(\d+) \* (..)>", lambda match: match.group(2) * int(match.group(1)), text))


def _calls() -> list[Call]:
    found = []
    for row in json.loads(FILE.read_text("utf-8")):
        rpc = getattr(schema, row["rpc"], None) or getattr(admin, row["rpc"]) if row["rpc"] else None
        asked, answered = (ast.literal_eval(row[name]) if row[name] else None for name in ("asked", "answered"))
        if asked is None and rpc is not None:  # a value as large as its request
            asked = (b"\0\1hbig", b"x" * 1100000, 0)
        request, reply = _unfolded(row["request"]), bytes.fromhex(row["reply"])
        found.append(Call(row["step"], row["version"], row["role"], rpc, asked, request, row["error"], answered, reply))
    return found


CALLS = _calls()
