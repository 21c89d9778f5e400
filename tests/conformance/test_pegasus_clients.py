# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus's official Go client and pypegasus3 see what they saw on a real 2.5.0, and read what our client writes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Settings
from ansible_collections.polystore.storage.tests.support.pegasus import PegasusServer

HERE = Path(__file__).parent
DRIVERS = {"pegasus-go": (), "pypegasus3": (str(HERE / "pegasus" / "drive_python.py"),)}
MADE_BY = {"pegasus-go": "golang.py", "pypegasus3": "venvs.py"}
ANSWERS = {"pegasus-go": "pegasus-go.2.5.jsonl", "pypegasus3": "pypegasus3.2.5.jsonl"}
Row = tuple[bytes, bytes]
# What each writes with "fill", and how long the row that dies lives.
TTL = 5000
WRITTEN: dict[str, dict[Row, bytes]] = {
    "pegasus-go": {
        (b"go", b"text"): "häuser".encode(),
        (b"\xff\0", b"\0\xff"): b"\0\1\xfe",
        (b"go", b""): b"",
        (b"go", b"short"): b"lived",
        (b"go", b"count"): b"7",
        **{(b"go many", key): value for key, value in ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))},
    },
    "pypegasus3": {
        (b"py", b"text"): "häuser".encode(),
        (b"py", b""): b"",
        (b"", b"alone"): b"1",
        (b"py", b"short"): b"lived",
        **{(b"py many", key): value for key, value in ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))},
    },
}
# What our client writes for them. Pypegasus3 takes every key for UTF-8.
OURS: dict[Row, bytes] = {
    **{(b"hash %d" % (number % 7), b"%03d" % number): b"value %d" % number for number in range(60)},
    (b"odd", b""): b"",
    (b"odd", "ü".encode()): bytes(range(256)),
    (b"", b"no hash key"): b"1",
}


def program(name: str) -> list[str]:
    """The command of a client's driver; skips where it cannot run, in CI fails."""
    variable = "POLYSTORE_" + name.replace("-", "_").upper()
    if found := os.environ.get(variable):
        return [found, *DRIVERS[name]]
    reason = f"{variable} names no program or Python with {name} (python tools/{MADE_BY[name]} {name})"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def drive(server: PegasusServer, folder: Path, name: str, what: str, table: str) -> list[dict[str, Any]]:
    """The lines that a client's driver prints. It runs in a folder of its own, where it may leave logs."""
    done = subprocess.run(
        [*program(name), ",".join(server.meta_servers), what, table],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[PegasusClient]:
    made = PegasusClient(Settings.resolve(pegasus_server.connection(), {}))
    yield made
    made.close()


@pytest.fixture
def table(pegasus_server: PegasusServer, client: PegasusClient) -> str:
    """A new table of four partitions, with all its replicas."""
    name = pegasus_server.new_name()
    admin = PegasusAdmin(client.settings)
    admin.create(name, 4, 3)
    admin.close()
    pegasus_server.wait_for(
        lambda: all(part.primary and len(part.secondaries) == 2 for part in client.cluster.config(name).partitions)
    )
    return name


@pytest.mark.second
def test_the_go_client_sees_what_it_saw_on_a_real_server(pegasus_server: PegasusServer, tmp_path: Path) -> None:
    # Slowly, as it sets a default_ttl before the primaries are there, and takes it back.
    pegasus_server.behave(primaries_seconds=3, secondaries_seconds=0.5)
    printed = drive(pegasus_server, tmp_path, "pegasus-go", "steps", pegasus_server.new_name())
    assert printed == recorded("pegasus-go")


@pytest.mark.second
def test_pypegasus3_sees_what_it_saw_on_a_real_server(
    pegasus_server: PegasusServer, table: str, tmp_path: Path
) -> None:
    assert drive(pegasus_server, tmp_path, "pypegasus3", "steps", table) == recorded("pypegasus3")


def recorded(name: str) -> list[dict[str, Any]]:
    """What a real 2.5.0 with three replicas made the driver print."""
    lines = (HERE / "answers" / ANSWERS[name]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.second
@pytest.mark.parametrize("name", DRIVERS)
def test_we_read_what_they_write(
    pegasus_server: PegasusServer, client: PegasusClient, table: str, name: str, tmp_path: Path
) -> None:
    lines = drive(pegasus_server, tmp_path, name, "fill", table)
    assert lines and not [line for line in lines if "err" in line or line.get("code")]
    expected = WRITTEN[name]
    found = list(client.scan_all(table))
    assert {(row.hash_key, row.sort_key): row.value for row in found} == expected
    assert len(found) == len(expected)
    keys = sorted(expected)
    assert client.get_many(table, keys) == [expected[key] for key in keys]
    for hash_key, sort_key in keys:
        seconds = client.ttl(table, hash_key, sort_key)
        assert seconds is not None
        assert TTL - 60 < seconds <= TTL if sort_key == b"short" else seconds == -1


@pytest.mark.second
@pytest.mark.parametrize("name", DRIVERS)
def test_they_read_what_we_write(
    pegasus_server: PegasusServer, client: PegasusClient, table: str, name: str, tmp_path: Path
) -> None:
    for (hash_key, sort_key), value in OURS.items():
        if hash_key.startswith(b"hash"):
            client.multi_put(table, hash_key, {sort_key: value}, 7200)
        else:
            client.put(table, hash_key, sort_key, value)
    lines = drive(pegasus_server, tmp_path, name, "dump", table)
    found = {tuple(bytes.fromhex(line[part]) for part in ("hash_key", "sort_key")): line for line in lines}
    assert {key: bytes.fromhex(line["value"]) for key, line in found.items()} == OURS
    assert len(lines) == len(OURS)
    for (hash_key, _sort_key), line in found.items():
        if "ttl" in line:  # the Go client tells it of keys with a hash key
            assert 7100 < line["ttl"] <= 7200 if hash_key.startswith(b"hash") else line["ttl"] == -1
