# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio's classic REST client (PyPI alluxio 0.1.4) does the same on the stand-in and on real servers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

STEPS = Path(__file__).parent / "alluxio_client_steps.py"
WORDS = "Alluxio works with Python!\n"
KEY, HERE = "builtins.KeyError", "alluxio.exceptions."  # 1.x says `status` where this client reads `statusCode`
NO_JSON = "requests.exceptions.JSONDecodeError"  # text/plain: a field or a value that is not known

# The step, and its outcome on 2.x and on 1.x; one where both are the same.
OUTCOMES: list[tuple[str, Any] | tuple[str, Any, Any]] = [
    ("mkdir", None),
    ("write", len(WORDS)),
    ("status", ["f", len(WORDS), True, False, True]),
    ("rename", None),
    ("read", WORDS),
    ("list", ["/py"]),
    ("list below", ["/py/example/g"]),
    ("ls", ["g"]),
    ("delete", None),
    ("exists", False),
    ("mkdir mode", None),
    ("status mode", [0o750, True]),
    ("mkdir again", HERE + "AlreadyExistsError", KEY),
    ("mkdir allowed", None),
    ("special", 5),
    ("special read", "12345"),
    ("set-attribute", None),
    ("status pinned", [True]),
    ("unpin", None),
    ("delete non-empty", HERE + "FailedPreconditionError", KEY),
    ("delete missing", HERE + "NotFoundError", KEY),
    ("status missing", HERE + "NotFoundError", KEY),
    ("read missing", HERE + "NotFoundError", KEY),
    ("write again", HERE + "AlreadyExistsError", KEY),
    ("ttl", NO_JSON, 1),
    ("load ALWAYS", ["/m"], NO_JSON),
    ("mount", None),
    ("mount again", HERE + "UnknownError", KEY),
    ("status mount", [True, "mount"]),
    ("unmount", None),
    ("free", None),
    ("end", None),
]


def interpreter() -> str:
    """The interpreter that has the client; skips without one, in CI fails."""
    found = os.environ.get("POLYSTORE_ALLUXIO_CLIENT")
    if found:
        return found
    reason = "POLYSTORE_ALLUXIO_CLIENT names no Python with alluxio==0.1.4 (python tools/venvs.py alluxio-client)"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(server: Any, source: Path) -> list[Any]:
    """What the client's steps came to."""
    host, _colon, port = server.url.split("//", 1)[1].partition(":")
    command = [interpreter(), str(STEPS), host, port, server.new_path(), str(source)]
    environment = {**os.environ, "NO_PROXY": "*", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_2(alluxio_server: Any, tmp_path: Path) -> None:
    assert run(alluxio_server, tmp_path) == [[row[0], row[1]] for row in OUTCOMES]


def test_1(alluxio_v1_server: Any, tmp_path: Path) -> None:
    assert run(alluxio_v1_server, tmp_path) == [[row[0], row[-1]] for row in OUTCOMES]
