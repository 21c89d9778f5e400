# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of an upload, a replacement and a sync: nothing old is lost, the next run finishes.

The server stops answering at the n-th write, and everything that comes after it; then the run is killed. So for n = 1,
2, ... it dies between any two of its writes, until it is through.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift import segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource
from ansible_collections.polystore.storage.plugins.module_utils.swift.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok

WRITES = "PUT|POST|DELETE|COPY"
pytestmark = pytest.mark.crash
# A process that forks one for each task it reads: no thread is alive in it, and everything is imported once.
NURSERY = """
import json, os, sys
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource
from ansible_collections.polystore.storage.plugins.module_utils.swift.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.run import run_task
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if not pid:
        result = run_task(globals()[order["subject"]], order["connection"], **order["args"])
        os._exit(1 if result.get("failed") else 0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
OLD = b"".join(b"old%05d" % n for n in range(112))  # 896 bytes, nine segments
NEW = b"".join(b"new%05d" % n for n in range(112))
SMALL = b"small"


class Nursery:
    """Runs tasks in processes of their own and kills them."""

    def __init__(self, server: Any) -> None:
        self.server = server
        top = str(pathlib.Path(__file__).resolve().parents[5])
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": top},
        )

    def killed(self, subject: Any, args: dict[str, Any], after: int) -> bool:
        """Run a task until `after` of its writes are through, then kill it; False when it had no more of them."""
        self.server.fault("hang", method=WRITES, skip=after, count=None)
        order = {"subject": subject.__name__, "connection": connection(self.server), "args": args}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        proc = pathlib.Path("/proc/%d/stat" % pid)

        def state() -> str:
            try:
                ended = proc.read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                ended = True
            return "frozen" if any(f["hit"] for f in self.server.faults()) else "ended" if ended else ""

        frozen = self.server.wait_for(state) == "frozen"
        if frozen:
            os.kill(pid, signal.SIGKILL)
        status = int(self.process.stdout.readline())
        self.server.clear_faults()
        assert status == (signal.SIGKILL if frozen else 0)
        return bool(frozen)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


@pytest.fixture
def nursery(swift_server: Any) -> Iterator[Nursery]:
    found = Nursery(swift_server)
    yield found
    found.close()


class Place:
    """A container, and what is in it."""

    def __init__(self, server: Any) -> None:
        self.server, self.name = server, server.new_container_name()
        self.client = client_for(ObjectResource.connection, connection(server), 8, {})
        self.client.request("PUT", self.name)

    def contents(self) -> dict[str, bytes]:
        """Every object, as a reader sees it."""
        names = [row["name"] for row in segments.listed(self.client, self.name)]
        return {name: self.client.request("GET", self.name, name).body for name in names}

    def tidy(self) -> None:
        """Each segment is used by a manifest, and each manifest has its segments."""
        rows = segments.listed(self.client, self.name)
        used = {
            s.name[1] for r in rows if "slo_etag" in r for s in segments.manifest(self.client, self.name, r["name"])
        }
        assert {row["name"] for row in segments.listed(self.client, self.name + "_segments")} == used


@dataclasses.dataclass
class Side:
    """One of two worlds between which a campaign goes to and fro. objects: what is in the container."""

    args: dict[str, Any]
    objects: dict[str, bytes]


def campaign(nursery: Nursery, place: Place, subject: Any, sides: list[Side], even: bool = False) -> list[int]:
    """From one side to the other and back, killed after no write, after one, and so on; the number of points each way.

    At any time a reader sees old or new content, and nothing is deleted before all that is new is there. The next run
    finishes, and leaves no segment that nothing uses. even: both ways are alike, each point is tried in one of them.
    """
    run_ok(subject, place.server, **sides[0].args)
    points, through = [0, 0], [False, False]
    for after in range(100):
        for way in (after % 2,) if even else (0, 1):
            old, new = sides[way], sides[1 - way]
            if not through[way]:
                through[way] = not nursery.killed(subject, new.args, after)
                points[way] += not through[way]
                there = place.contents()
                complete = all(there.get(name) == data for name, data in new.objects.items())
                for name, data in old.objects.items():
                    assert (name not in there and name not in new.objects and complete) or (
                        there[name] in (data, new.objects.get(name))
                    )
            run_ok(subject, place.server, **new.args)
            if not all(through):
                assert place.contents() == new.objects
                place.tidy()
        if all(through):
            return points
    raise AssertionError("still not through")


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [(None, NEW, [10, 2]), (OLD, NEW, [5, 5]), (SMALL, NEW[:300], [4, 2])],
    ids=["upload and delete", "replace", "small and large"],
)
def test_object(nursery: Nursery, tmp_path: pathlib.Path, one: bytes | None, other: bytes, least: list[int]) -> None:
    place, sides = Place(nursery.server), []
    for number, data in enumerate((one, other)):
        source = tmp_path / str(number)
        source.write_bytes(data or b"")
        args: dict[str, Any] = {"container": place.name, "name": "o", "segment_size": 100, "parallel": 1}
        args.update({"state": "absent"} if data is None else {"src": str(source)})
        sides.append(Side(args, {} if data is None else {"o": data}))
    points = campaign(nursery, place, ObjectResource, sides, even=one is OLD)
    assert all(found >= wanted for found, wanted in zip(points, least, strict=True)), points


def test_sync(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    """New files, replaced ones, one that becomes small or large, and deletions, on three connections."""
    place, sides = Place(nursery.server), []
    trees = [
        {"file": OLD[:200], "resized": OLD[:150], "text": b"old", "kept": OLD[:120], "gone": b"-", "gone 2": OLD[:110]},
        {"file": NEW[:200], "resized": b"small", "text": b"new", "kept": OLD[:120], "new": b"1", "new 2": b"2"},
    ]
    for number, files in enumerate(trees):
        for name, data in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        args: dict[str, Any] = {"container": place.name, "src": str(tmp_path / str(number)), "segment_size": 100}
        sides.append(Side({**args, "prune": True, "max_delete": "100%", "parallel": 3}, files))
    points = campaign(nursery, place, SyncResource, sides, even=True)
    assert sum(points) >= 10, points
