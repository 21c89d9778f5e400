# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's Java, Node and Rust clients see what they saw on real servers of six versions (answers/fastdfs.json).

A run there is VERSION-WIDTH of addresses, with -two where the group had two storages. What Node's client shows of the
records that it knows is what Java's showed of the same ones, or in 5.03's list of storages what the packet held.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.fdfs_clients import driver, environment
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer, start_fdfs

RECORDED = json.loads((Path(__file__).parent / "answers" / "fastdfs.json").read_text(encoding="utf-8"))
CLIENTS = ("java", "java-pool", "node", "rust")
# Of the versions that the Rust client knows, the one with a server's records.
KNOWN_TO_RUST = {"5.03": "5.11", "5.11": "5.11", "6.06": "6.6", "6.12.2": "6.12", "6.15.5": "6.15", "6.16.1": "6.15"}
PORT = "23000"  # of the recorded storages

pytestmark = [pytest.mark.second, pytest.mark.server, pytest.mark.fastdfs]


def recorded(client: str, run: str) -> list[dict[str, Any]]:
    """What a client printed on that real server."""
    found = []
    for step, *answers in RECORDED["clients"][client]:
        for answer in answers:
            shown = dict(answer)
            if run in shown.pop("runs", run).split():
                found.append({"step": step, **shown})
    return found


def drive(client: str, server: FdfsServer, version: str) -> list[dict[str, Any]]:
    """What a client prints, with the recorded storages' port in place of these."""
    name, _dash, pool = client.partition("-")
    words = [pool] if pool else [KNOWN_TO_RUST[version]] if name == "rust" else []
    command = [*driver(name), ",".join(server.trackers), *words]
    done = subprocess.run(command, capture_output=True, check=False, env=environment(name), timeout=120)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    [port] = {where.rpartition(":")[2] for where in server.groups["group1"]}
    text = re.sub(rf"\b{port}\b", PORT, done.stdout.decode("utf-8"))
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def group(run: str) -> Iterator[FdfsServer]:
    """One group as that run had it. Of two storages the first gets all files, and the other one has them later."""
    version, width, *two = run.split("-")
    options = {"storages": 2, "store_server": 1} if two else {"storages": 1, "addresses": "127.0.0.1"}
    server = start_fdfs("6.16.1", groups=1, **options)
    server.behave(version=version, address_size=int(width), replication_seconds=5)
    yield server
    server.end_faults()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("run", RECORDED["runs"])
def test_a_client_sees_what_it_saw_on_a_real_server(group: FdfsServer, client: str, run: str) -> None:
    lines = recorded(client, run)
    assert len(lines) > 20
    assert drive(client, group, run.split("-")[0]) == lines
