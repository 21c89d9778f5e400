# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's stand-in answers as real servers of 17 versions did: byte for byte where a server has no choice."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer, start_fdfs
from ansible_collections.polystore.storage.tests.unit.sandbox.fastdfs_calls import HEADER, Wire, vectors

pytestmark = [pytest.mark.server, pytest.mark.fastdfs]

VECTORS = vectors()
ANSWERS: dict[str, dict[str, tuple[str | None, str]]] = {}
for _one in VECTORS["answers"]:
    for _run in _one["runs"]:
        ANSWERS.setdefault(_run, {})[_one["step"]] = (_one["reply"], _one["after"])
PORT = struct.pack(">Q", 23000).hex()  # of the recorded storages
CONTENT = bytes(number % 250 for number in range(6000)).hex()  # what was recorded is cut after 4,096 bytes
COUNTED = ["upload", "append", "modify", "truncate", "set_meta", "delete", "download", "get_meta"]
COUNTED += ["create_link", "delete_link"]
COUNTED += [f"{name}_bytes" for name in ("upload", "append", "modify", "download", "sync_in", "sync_out")]
COUNTED += ["file_open", "file_read", "file_write"]
# What was counted before the recording began.
BEFORE = {
    "ids": {"upload": 2, "upload_bytes": 28, "file_open": 2, "file_write": 2},
    "trunk": {"upload": 1, "upload_bytes": 14, "file_write": 1},
}
ALONE = [run for run in ANSWERS if not run.endswith("two")]


def settings_of(run: str) -> dict[str, Any]:
    """How the stand-in behaves as that server."""
    version, size, *mode = run.split("-")
    return {
        "version": version,
        "address_size": int(size),
        "storage_ids": mode == ["ids"],
        "trunk": mode == ["trunk"],
        "trunk_ready": True,
        "dead": [],
    }


def version_of(run: str) -> tuple[int, ...]:
    return tuple(int(part) for part in run.split("-")[0].split("."))


def groups_of(data: bytes, run: str) -> list[Any]:
    """The records of groups: what is not a matter of the machine."""
    size = 113 if version_of(run) >= (6, 13, 1) else 105
    assert data and len(data) % size == 0
    found = []
    for begin in range(0, len(data), size):
        name, values = (
            data[begin : begin + 17],
            list(struct.unpack(f">{size // 8 - 2}q", data[begin + 17 :][: size - 17])),
        )
        del values[: 3 if size == 113 else 2]  # space
        values[2] = values[-2] = 0  # port, directories
        found.append((name, values))
    return found


def storages_of(data: bytes, run: str) -> list[dict[str, Any]]:
    """The records of storages: what is not a matter of the machine."""
    version, wide = version_of(run), run.split("-")[1] == "46"
    old = version < (6, 13)
    width = (46 if wide else 16) + (128 if old else 0)
    texts = 8 if version >= (6, 12) else 6
    numbers = 10 + old + (version >= (6, 13, 1)) - 1
    size = 1 + (not old) + 16 + width + 16 + texts + 8 * numbers + (12 if version >= (5, 4) else 0) + 8 * 42 + 1
    assert data and len(data) % size == 0, (len(data), size)
    found = []
    for begin in range(0, len(data), size):
        record = data[begin : begin + size]
        head = 1 + (not old) + 16 + width + 16 + texts
        counts = struct.unpack(">42Q", record[-8 * 42 - 1 : -1])
        space = 3 if version >= (6, 13, 1) else 2
        values = struct.unpack(f">{numbers}Q", record[head : head + 8 * numbers])
        assert counts[0:32:2] == counts[1:32:2]  # a trunk file's opening can fail
        found.append(
            {
                "status and texts": record[:head],
                "no up_time": not values[1],
                "priority, paths": values[2 + space : 4 + space],
                "write path": values[5 + space],
                "http port": values[7 + space :],
                "counts": dict(zip(COUNTED, counts[0:38:2], strict=True)),
                "trunk server": record[-1],
            }
        )
    return found


def shape(name: str) -> tuple[Any, ...]:
    """What is the same in the names that two servers give to the same upload."""
    data = base64.urlsafe_b64decode(name[10:37] + "=")
    word = int.from_bytes(data[8:16], "big")
    rest = re.sub(r"[0-9]", "0", name[53:] if word >> 59 & 1 else name[37:])
    return name[:3], data[:4], word & ~(0x7FFFFF << 32), data[16:], len(name), rest


class Replay:
    """Sends what was recorded, with the names that this server gave."""

    def __init__(self, server: FdfsServer, run: str) -> None:
        self.server, self.run = server, run
        self.kind = (
            "old"
            if version_of(run) < (6, 2)
            else {"ids": "ids", "trunk": "trunk"}.get(run[-5:].split("-")[-1], "usual")
        )
        self.names: dict[str, str] = {}
        self.wires: dict[str, Wire] = {}
        self.where = {"tracker": server.trackers[0], "storage": server.groups["group1"][0]}
        self.port = struct.pack(">Q", int(self.where["storage"].rpartition(":")[2])).hex()
        self.counts = self._counts()

    def _counts(self) -> dict[str, int]:
        wire = Wire(self.where["tracker"])
        status, body = wire.ask(92, b"group1".ljust(16, b"\0"))
        wire.close()
        assert status == 0
        return dict(storages_of(body, self.run)[0]["counts"])

    def filled(self, text: str) -> str:
        """With this server's names."""
        for step, name in self.names.items():
            text = text.replace(f"<{step}>", name.encode().hex()).replace(f"<{step}.code>", name[10:37].encode().hex())
        return text

    def request(self, step: str, text: str) -> bytes:
        """The bytes to send."""
        text = self.filled(text)
        if step == "upload_6000_bytes":
            text = text[:50] + CONTENT
        assert "<" not in text, (step, text)
        return bytes.fromhex(text)

    def step(self, step: str, to: str, text: str) -> None:
        """Sends a request, and compares the answer and what the connection is good for then."""
        wire = self.wires.get(to) or Wire(self.where[to])
        self.wires[to] = wire
        expected, after = ANSWERS[self.run].get(step, (None, ""))
        if step == "upload_before_trunk_ready":
            self.server.behave(trunk_ready=False)
        elif step.endswith(("_down", "_no_active")):
            self.server.behave(dead=self.server.storages())
        wire.send(self.request(step, text))
        known = step in ANSWERS[self.run]
        if known and expected is None:
            # No answer at all, which the log tells: an empty one cannot be told from the active test's.
            assert wire.after() == after, step
        else:
            status, body = wire.answer()
            if "<" in (expected or "") or not known:
                self.learn(step, status, body)
            if known:
                self.compare(step, status, body, expected or "")
                wire.deaf_is_possible = after == "deaf"
                assert wire.after() == after, step
            elif status == 22:
                after = "closed"
        if after in ("closed", "deaf"):
            self.wires.pop(to).close()
        if step == "upload_before_trunk_ready":
            self.server.behave(trunk_ready=True)

    def learn(self, step: str, status: int, body: bytes) -> None:
        """Keeps the name that an upload got."""
        if status == 0 and step.startswith(("upload", "regenerate")):
            self.names[step] = body[16:].decode()

    def compare(self, step: str, status: int, body: bytes, expected: str) -> None:
        """The answer with the recorded one."""
        if expected.startswith("00") and "<time>" not in expected and f"<{step}>" in expected:
            recorded = VECTORS["names"][self.run][step]
            assert shape(self.names[step]) == shape(recorded), step
        if step.startswith("list_all_groups") and status == 0:
            assert groups_of(body, self.run) == groups_of(bytes.fromhex(expected)[10:], self.run), step
        elif step.startswith("list_storages_") and "by_" not in step and status == 0:
            ours, theirs = storages_of(body, self.run), storages_of(bytes.fromhex(expected)[10:], self.run)
            for one in ours:
                one["counts"] = {name: value - self.counts[name] for name, value in one["counts"].items()}
            for name, times in BEFORE.get(self.kind, {}).items():
                theirs[0]["counts"][name] -= times
            if self.kind == "trunk":  # where more is opened than a file
                del ours[0]["counts"]["file_open"], theirs[0]["counts"]["file_open"]
            assert ours == theirs, step
        elif step == "query_leader" and status == 0:
            assert body.decode() == self.where["tracker"]
        else:
            got = (HEADER.pack(len(body), 100, status) + body).hex()
            wanted = self.filled(expected).replace(PORT, self.port)
            if "<time>" in wanted:
                got = got[:36] + "<time>" + got[52:]
            if step == "download_6000":
                got = got[: len(wanted)]
            assert got == wanted, step

    def end(self) -> None:
        """Closes what is open."""
        for wire in self.wires.values():
            wire.close()


@pytest.fixture(scope="module")
def alone() -> FdfsServer:
    """One storage, at the recorded one's address."""
    return start_fdfs(groups=1, storages=1, addresses="127.0.0.1")


@pytest.fixture
def replay(request: pytest.FixtureRequest, alone: FdfsServer) -> Iterator[Replay]:
    alone.behave(**settings_of(request.param))
    made = Replay(alone, request.param)
    yield made
    made.end()
    alone.end_faults()


@pytest.mark.parametrize("replay", ALONE, indirect=True)
def test_it_answers_as_a_real_one(replay: Replay) -> None:
    seen = set()
    for index in VECTORS["sequences"][replay.kind]:
        step, to, text = VECTORS["requests"][index]
        if not step.startswith("quit"):
            replay.step(step, to, text)
            seen.add(step)
    assert set(ANSWERS[replay.run]) - seen <= {"quit_storage", "quit_tracker"}
