# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real 2.5.0 answered to 75 requests with the old header and to three of the Java client's, byte for byte."""

from __future__ import annotations

import json
import pathlib
import re
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer, endpoints, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import Client, Wire, parsed
from polystore_sandbox.pegasus.keys import EPOCH

pytestmark = [pytest.mark.server, pytest.mark.pegasus]

CALLS: list[dict[str, Any]] = json.loads(
    (pathlib.Path(__file__).parents[2] / "support" / "pegasus_vectors.json").read_text(encoding="utf-8")
)
AT_THE_LAST = ("get at a secondary", "unknown app", "unknown rpc", "meta rpc at a replica")
# Numbers that are the time's: creating, dropping and expiring second.
SECONDS = ("list apps", "list apps, dropped", "recall")


def unfolded(text: str) -> bytes:
    """Where <5 * 78> stands for the byte 78 five times."""
    return bytes.fromhex(re.sub(r"<(\d+) \* (..)>", lambda found: found[2] * int(found[1]), text))


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[PegasusServer]:
    """A cluster without other tables; new ones get their replicas when that is ordered."""
    home = tmp_path / "box"
    slow = [
        "--option=pegasus.primaries_seconds=1000",
        "--option=pegasus.secondaries_seconds=1000",
        "--option=pegasus.metas=1",
    ]
    sandbox("start", "--dir", str(home), "--services", "pegasus", *slow)
    yield PegasusServer(home, endpoints(home))
    sandbox("absent", "--dir", str(home))


class Replay:
    """The recorded calls with this cluster's ports for the recorded ones."""

    def __init__(self, server: PegasusServer) -> None:
        self.server = server
        self.where = {"meta1": server.meta_servers[0], **server.nodes}
        ports = {34601: "meta1", 34801: "replica1", 34802: "replica2", 34803: "replica3"}
        self.ports = {recorded: int(self.where[name].rpartition(":")[2]) for recorded, name in ports.items()}
        self.wires = {name: Wire(where) for name, where in self.where.items()}
        self.context = b""

    def target(self, call: dict[str, Any]) -> str:
        """Whom it was sent to."""
        if call["role"] == "meta":
            return "meta1"
        last = call["step"] in AT_THE_LAST or call["request"][56:64] == "00000001"
        return "replica3" if last else "replica2"

    def ours(self, data: bytes) -> bytes:
        """Recorded bytes with this cluster's ports; the length of texts with ports stays, as all have five digits."""
        changes = {b"127.0.0.1:%d" % recorded: b"127.0.0.1:%05d" % port for recorded, port in self.ports.items()}
        for recorded, port in self.ports.items():
            changes[bytes((127, 0, 0, 1)) + struct.pack(">H", recorded)] = bytes((127, 0, 0, 1)) + struct.pack(
                ">H", port
            )
        return re.sub(b"|".join(map(re.escape, changes)), lambda found: changes[found[0]], data)

    def request(self, call: dict[str, Any]) -> bytes:
        """The bytes to send."""
        data, step = unfolded(call["request"]), call["step"]
        if step == "put ttl":
            expire = struct.pack(">i", int(time.time()) - EPOCH + 100)
            data = data[: -len(expire) - 2] + expire + data[-2:]
        elif step in ("scan", "scan old context"):
            data = data[:-10] + self.context + data[-2:]
        return data

    def compare(self, call: dict[str, Any], data: bytes) -> None:
        """The answer with the recorded one."""
        step, expected = call["step"], self.ours(bytes.fromhex(call["reply"]))
        if step == "get_scanner batch 1":
            answer = parsed(data)[2]
            assert answer is not None
            self.context = struct.pack(">q", answer["context"])
            assert self.context[4:] == bytes(4)  # as the recorded one: the first of a primary
            data, expected = (re.sub(rb"\n\x00\x03.{8}", b"", one, flags=re.DOTALL) for one in (data, expected))
        elif step == "query config, complete":
            # The second partition's decree had been told to the meta before it was asked; the first one's had not.
            data, expected = (re.sub(rb"\n\x00\x07.{8}", b"", one, flags=re.DOTALL) for one in (data, expected))
        elif step in SECONDS:
            now = int(time.time())
            for found in re.findall(rb"\n\x00[\t\n\v](.{8})", data, flags=re.DOTALL):
                second = int.from_bytes(found, "big")
                assert second == 0 or now - 60 < second < now + 604800 + 60
            data, expected = (
                re.sub(rb"\n\x00([\t\n\v])\x00{4}[^\x00].{3}", rb"\1", one, flags=re.DOTALL) for one in (data, expected)
            )
        assert data.hex() == expected.hex(), step


def test_it_answers_as_a_real_one(server: PegasusServer) -> None:
    replay = Replay(server)
    client = Client(server)
    number = 0
    for call in CALLS:
        if call["version"] != 0:
            continue
        step = call["step"]
        if step == "query config, complete":
            server.do("hurry")
        data = replay.wires[replay.target(call)].raw(replay.request(call))
        replay.compare(call, data)
        number += 1
    assert number == 75
    client.close()
    assert server.crashes(0) == []


def test_it_answers_the_java_client(server: PegasusServer) -> None:
    calls = [call for call in CALLS if call["version"] == 1]
    assert len(calls) == 3
    wire = Wire(server.meta_servers[0])
    for call in calls:
        data, expected = wire.raw(bytes.fromhex(call["request"])), bytes.fromhex(call["reply"])
        if b"CREATE" in expected:  # the id of the table
            data, expected = data[:-6], expected[:-6]
        assert data.hex() == expected.hex()
    both = bytes.fromhex(calls[2]["request"]) * 2
    assert [wire.raw(both), wire.frame()] == [bytes.fromhex(calls[2]["reply"])] * 2
    wire.close()
    assert server.crashes(0) == []
