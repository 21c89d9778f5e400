# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's two official clients see what they saw on real servers (answers/CLIENT.VERSION.jsonl)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.pachd import PachdServer, start_pachd

HERE = Path(__file__).parent
DRIVERS = {"pachyderm-sdk": "drive_sdk.py", "python-pachyderm": "drive_classic.py"}
# The 2.11 that was asked has no transactions, and a panic's text is another one each time: these were not recorded.
NOT_RECORDED = {
    ("pachyderm-sdk", "2.11"): [
        "transaction",
        "transaction that fails",
        "transaction missing",
        "transaction result",
    ],
    ("python-pachyderm", "2.11"): ["copy", "transaction", "transaction batch"],
}


def interpreter(client: str) -> str:
    """The interpreter that has the client; skips without one, in CI fails."""
    name = "POLYSTORE_" + client.replace("-", "_").upper()
    found = os.environ.get(name)
    if found:
        return found
    reason = f"{name} names no Python with {client} (python tools/venvs.py {client})"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def drive(server: PachdServer, client: str) -> list[dict[str, Any]]:
    """The lines that a client's steps print."""
    command = [interpreter(client), str(HERE / "pachyderm" / DRIVERS[client])]
    address = {"PACHD_ADDRESS": server.address, "NO_PROXY": "*", "no_grpc_proxy": "*", "PYTHONUTF8": "1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **address, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def recorded(client: str, version: str) -> list[dict[str, Any]]:
    """What a real server of that version made them print."""
    lines = (HERE / "answers" / f"{client}.{version}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.second
@pytest.mark.parametrize("client", DRIVERS)
@pytest.mark.parametrize("version", ["2.12", "2.11"])
def test_a_client_sees_what_it_saw_on_a_real_server(pachd_server: PachdServer, client: str, version: str) -> None:
    server = pachd_server
    if version == "2.11":
        server = start_pachd("2.11.6")
    elif not server.version.startswith(version):
        pytest.skip(f"the server is a {server.version}")
    printed = drive(server, client)
    left_out = NOT_RECORDED.get((client, version), [])
    assert [line["step"] for line in printed if line["step"] in left_out] == left_out
    assert [line for line in printed if line["step"] not in left_out] == recorded(client, version)
