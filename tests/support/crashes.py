# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of a task, and what has to hold then.

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
import time
from collections.abc import Callable
from typing import Any, Protocol

from ansible_collections.polystore.storage.tests.support.run import connection, run_ok

# A process that forks one for each task it reads: no thread is alive in it, and everything is imported once.
NURSERY = """
import importlib, json, os, sys
from ansible_collections.polystore.storage.tests.support.run import run_task
subjects = {name: getattr(importlib.import_module(module), name) for module, name in json.loads(sys.argv[1])}
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if not pid:
        result = run_task(subjects[order["subject"]], order["connection"], **order["args"])
        os._exit(1 if result.get("failed") else 0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Forks:
    """Has a program fork a process for each order, and kills those. program: it reads an order on a line, and tells the
    process and its end, as NURSERY does; writes: the fault's method and path that tell a write."""

    def __init__(self, server: Any, program: str, *words: str, **writes: str) -> None:
        self.server, self.writes = server, writes
        top = str(pathlib.Path(__file__).resolve().parents[5])
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": top},
        )

    def _started(self, order: dict[str, Any]) -> tuple[int, Callable[[], bool]]:
        """The process that works on an order, and what tells whether it has ended."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        proc = pathlib.Path("/proc/%d/stat" % pid)

        def ended() -> bool:
            try:
                return proc.read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                return True

        return pid, ended

    def _killed(self, pid: int, due: bool) -> bool:
        """Kill it where that is due; whether that ended it, and not its own success."""
        if due:
            os.kill(pid, signal.SIGKILL)
        assert self.process.stdout
        status = int(self.process.stdout.readline())
        assert status in ((0, signal.SIGKILL) if due else (0,))
        return status == signal.SIGKILL

    def frozen(self, order: dict[str, Any], after: int) -> bool:
        """Run an order until `after` of its writes are through, then kill it; False when it had no more of them."""
        self.server.fault("hang", skip=after, count=None, **self.writes)
        pid, ended = self._started(order)

        def state() -> str:
            there = ended()
            return "frozen" if any(f["hit"] for f in self.server.faults()) else "ended" if there else ""

        killed = self._killed(pid, self.server.wait_for(state, 120) == "frozen")
        self.server.clear_faults()
        return killed

    def timed(self, order: dict[str, Any], seconds: float) -> bool:
        """Run an order and kill it after that time; False when it had ended."""
        pid, ended = self._started(order)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not ended():
            time.sleep(0.001)
        return self._killed(pid, not ended())

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


class Nursery(Forks):
    """Runs tasks in processes of their own and kills them."""

    def __init__(self, server: Any, subjects: list[Any], **writes: str) -> None:
        super().__init__(server, NURSERY, json.dumps([(s.__module__, s.__name__) for s in subjects]), **writes)

    def killed(self, subject: Any, args: dict[str, Any], after: int) -> bool:
        """Run a task until `after` of its writes are through, then kill it; False when it had no more of them."""
        return self.frozen({"subject": subject.__name__, "connection": connection(self.server), "args": args}, after)


class Place(Protocol):
    """Where a campaign happens."""

    server: Any

    def contents(self) -> dict[str, bytes]:
        """All that a reader sees, by name."""

    def tidy(self) -> None:
        """Asserts that nothing else is there."""


@dataclasses.dataclass
class Side:
    """One of two worlds between which a campaign goes to and fro. objects: what is in the place."""

    args: dict[str, Any]
    objects: dict[str, bytes]


def campaign(
    nursery: Nursery, place: Place, subject: Any, sides: list[Side], even: bool = False, window: bool = False
) -> list[int]:
    """From one side to the other and back, killed after no write, after one, and so on; the number of points each way.

    At any time a reader sees old or new content, and nothing is deleted before all that is new is there. The next run
    finishes, and leaves nothing behind. even: both ways are alike, each point is tried in one of them. window: what is
    replaced may be missing for a moment, that is all that the system can do.
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
                    if name in there or name in new.objects:
                        replaced = window and name not in there and new.objects[name] != data
                        assert replaced or there[name] in (data, new.objects.get(name))
                    else:
                        assert complete
                for name in there.keys() - old.objects.keys():
                    assert there[name] == new.objects[name]
            run_ok(subject, place.server, **new.args)
            if not all(through):
                assert place.contents() == new.objects
                place.tidy()
        if all(through):
            return points
    raise AssertionError("still not through")
