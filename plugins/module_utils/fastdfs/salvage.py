# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a damaged manifest still tells."""

from __future__ import annotations

import contextlib
import json
from typing import Any


def salvage(path: str) -> dict[str, dict[str, Any]]:
    """The entries that a damaged manifest and its journal still tell; {} when there are none."""
    found: dict[str, dict[str, Any]] = {}
    for part in (path, path + ".journal"):
        with contextlib.suppress(OSError), open(part, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                line = line.strip().rstrip(",")
                with contextlib.suppress(ValueError, AttributeError):
                    row = json.loads(line if line.startswith("{") else "{%s}" % line)
                    pairs = {row["name"]: row.get("entry")} if row.get("op") == "set" else row
                    found.update({n: e for n, e in pairs.items() if e is None or (isinstance(e, dict) and "id" in e)})
    return {name: entry for name, entry in found.items() if entry}
