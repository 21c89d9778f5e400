# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest and its files in FastDFS, for tests; and kill -9 at every step that a run takes outside of Python."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import Manifest
from ansible_collections.polystore.storage.tests.support.fdfs import WRITING
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

WRITES = "|".join(WRITING)
STORING = ("upload", "upload_appender", "upload_slave")

# A process that forks one for each line. `kill` is the number of the step before which that one dies; odd things about
# a step: what is written is written half.
STEPS = """
import importlib, json, os, signal, sys
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import FdfsClient
from ansible_collections.polystore.storage.tests.support.run import run_task
subjects = {name: getattr(importlib.import_module(module), name) for module, name in json.loads(sys.argv[1])}

def hooked(owner, names, left):
    def step():
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
    def hook(name):
        real = getattr(owner, name)
        def function(*args, **kwargs):
            step()
            if name == "write" and not left[0]:
                real(args[0], bytes(args[1])[: len(args[1]) // 2])
            if name == "write":
                step()
            result = real(*args, **kwargs)
            step()
            return result
        setattr(owner, name, function)
    for name in names:
        hook(name)

for line in sys.stdin:
    order = json.loads(line)
    pids = []
    for task in order["tasks"]:
        pids.append(os.fork())
        if not pids[-1]:
            if order["kill"] is not None:
                left = [order["kill"]]
                hooked(os, ("write", "fsync", "rename", "ftruncate", "unlink"), left)
                names = "upload upload_slave delete set_metadata append modify truncate".split()
                hooked(FdfsClient, names, left)
            result = run_task(subjects[order["subject"]], order["connection"], **task)
            if result.get("failed"):
                sys.stderr.write(result["msg"] + "\\n")
            os._exit(1 if result.get("failed") else 0)
    print(json.dumps([os.waitpid(pid, 0)[1] for pid in pids]), flush=True)
"""


class Shelf:
    """One manifest of a server."""

    def __init__(self, server: Any, home: pathlib.Path) -> None:
        self.server, self.path, self.mark = server, home / "files.json", server.mark()
        self.client: Any = client_for(CONNECTION, connection(server), 8, {})
        self.unheard: set[str] = set()
        self._doubts = 0
        self._gone: set[str] = set()

    def at(self, name: str) -> dict[str, Any]:
        """The identity of a file."""
        return {"name": name, "manifest": str(self.path)}

    def ids(self) -> dict[str, str]:
        """Names and ids, as the manifest and its journal have them."""
        return {name: entry["id"] for name, entry in Manifest.load(str(self.path)).entries.items()}

    def there(self, text: str) -> bool:
        """Whether a storage has a file."""
        return self.client.info(text, crc32=False) is not None

    def contents(self) -> dict[str, bytes]:
        """What a reader finds under each name; a name whose file is gone is left out."""
        return {name: self.client.read(text) for name, text in self.ids().items() if self.there(text)}

    def orphans(self) -> set[str]:
        """Files that were stored since this shelf is there, that still are, and that no name stands for."""
        entries = self.server.requests(self.mark)
        made = {entry["path"] for entry in entries if entry["method"] in STORING and "*" not in entry["path"]}
        loose = made - self._gone - self.unheard - {*self.ids().values()}
        found = {text for text in loose if self.there(text)}
        self._gone |= loose - found
        return found

    def unheard_of(self) -> None:
        """Asserts that there are no more new orphans than doubts; those are not counted any more."""
        doubts, orphans = len(Manifest.load(str(self.path)).doubts), self.orphans()
        assert len(orphans) <= doubts - self._doubts
        self.unheard |= orphans
        self._doubts = doubts

    def tidy(self) -> None:
        """Asserts that the manifest is folded, and that there are no orphans."""
        found = Manifest.load(str(self.path))
        assert (found.leftovers(), found.pending) == ([], set())
        journal = pathlib.Path(str(self.path) + ".journal").read_text("utf-8")
        assert len(journal.splitlines()) < 2
        assert self.orphans() == set()

    def run(self, subject: Any, check: bool = False, **args: Any) -> dict[str, Any]:
        """A task that has to succeed, with diff."""
        return run_ok(subject, self.server, check, True, **args)

    def contract(self, subject: Any, **args: Any) -> dict[str, Any]:
        """In check mode, for real, once more: as the contract says. Returns the real run's result."""
        mark = self.server.mark()
        before = self.path.read_bytes() if self.path.exists() else None
        check = self.run(subject, True, **args)
        assert self.server.writes(mark) == []
        assert (self.path.read_bytes() if self.path.exists() else None) == before
        real = self.run(subject, **args)
        assert (check["changed"], check["diff"]) == (real["changed"], real["diff"])
        mark = self.server.mark()
        again = self.run(subject, **args)
        assert again["changed"] is False and self.server.writes(mark) == []
        return real

    def fails(self, subject: Any, **args: Any) -> dict[str, Any]:
        """A task that has to fail, and to say where."""
        result = run_task(subject, self.server, False, True, **args)
        assert result.get("failed") is True and "exception" not in result, result
        return result


class Stepper:
    """Runs tasks in processes of their own, and kills them at a step."""

    def __init__(self, server: Any, subjects: list[Any]) -> None:
        self.server = server
        self.process = subprocess.Popen(
            [sys.executable, "-c", STEPS, json.dumps([(s.__module__, s.__name__) for s in subjects])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).resolve().parents[5])},
        )

    def _ordered(self, subject: Any, tasks: list[dict[str, Any]], kill: int | None) -> list[int]:
        order = {"subject": subject.__name__, "connection": connection(self.server), "tasks": tasks, "kill": kill}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        found: list[int] = json.loads(self.process.stdout.readline())
        return found

    def killed(self, subject: Any, args: dict[str, Any], step: int) -> bool:
        """Run a task and kill it before its step of this number; False when it had no more of them."""
        [status] = self._ordered(subject, [args], step)
        assert status in (0, signal.SIGKILL)
        return status != 0

    def together(self, subject: Any, tasks: list[dict[str, Any]]) -> None:
        """Run tasks at the same time; all have to succeed."""
        assert self._ordered(subject, tasks, None) == [0] * len(tasks)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)
