# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sandboxes for tests: started at the first use in a process, ended with it, also when it is killed.

The server runs with the interpreter named by POLYSTORE_SERVER_PYTHON, else with the one that runs the tests.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

FILES = Path(__file__).parents[2] / "roles" / "sandbox" / "files"
WRITES = ("PUT", "POST", "DELETE", "COPY")


def server_python() -> str:
    """The interpreter that servers run with."""
    return os.environ.get("POLYSTORE_SERVER_PYTHON") or sys.executable


def need(*packages: str) -> None:
    """Skips the test when the servers' interpreter lacks a package; in CI that is a failure."""
    code = (
        "import importlib.util, sys\n"
        "there = lambda name: importlib.util.find_spec(name.split('.')[0]) and importlib.util.find_spec(name)\n"
        "print(' '.join(name for name in sys.argv[1:] if not there(name)))"
    )
    done = subprocess.run([server_python(), "-c", code, *packages], capture_output=True, text=True, check=False)
    missing = done.stdout.strip() if done.returncode == 0 else done.stderr.strip() or "an interpreter that runs"
    if not missing:
        return
    reason = (
        f"{server_python()} lacks: {missing}. Set POLYSTORE_SERVER_PYTHON to a Python with these packages "
        "(pip install swift grpcio protobuf; for Keystone also keystone keystonemiddleware waitress)"
    )
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def sandbox(*arguments: str) -> dict[str, Any]:
    """Runs `python -m polystore_sandbox` and returns what it printed; RuntimeError with its message when it fails."""
    done = subprocess.run(
        [server_python(), "-m", "polystore_sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def endpoints(home: Path) -> dict[str, Any]:
    """All about the services that run in a sandbox, by name."""
    found: dict[str, Any] = json.loads((home / "endpoints.json").read_text(encoding="utf-8"))
    return found


class Server:
    """One service of a sandbox, its request log and its faults."""

    def __init__(self, home: Path, name: str, info: dict[str, Any]) -> None:
        self.home, self.name, self.info = home, name, info
        self.url: str = info["url"]
        self.pid: int = info["pid"]
        self.log = home / name / "access.jsonl"

    def connection(self) -> dict[str, Any]:
        """The options by which the collection's modules connect to this server."""
        raise NotImplementedError(f"{self.name} has no modules of its own")

    def environment(self) -> dict[str, str]:
        """The same as variables."""
        return dict(self.info["env"])

    def secrets(self) -> list[str]:
        """Texts of the connection that no result may hold."""
        return []

    def end_faults(self) -> None:
        """Takes back all that a test may have ordered."""
        self.clear_faults()

    def wait_for(self, condition: Any, seconds: float = 20.0) -> Any:
        """Calls until the result is true and returns it; fails the test after `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            result = condition()
            if result:
                return result
            time.sleep(0.05)
        pytest.fail(f"not true after {seconds} s: {condition}")

    # --- the log -------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """A point in the log, for `since`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def requests(self, since: int = 0, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """The clients' requests: time, method, path (with query), status (None: no answer was sent), bytes_in,
        bytes_out, client (address:port, so one a connection), fault. `method` is exact, `path` a part of it."""
        with self.log.open("rb") as file:
            file.seek(since)
            found = [json.loads(line) for line in file.read().splitlines()]
        return [entry for entry in found if (not method or entry["method"] == method) and path in entry["path"]]

    def writes(self, since: int = 0, path: str = "") -> list[dict[str, Any]]:
        """Those of `requests` that may change something: PUT, POST, DELETE, COPY, but not the asking for tokens."""
        return [
            entry
            for entry in self.requests(since, path=path)
            if entry["method"] in WRITES and not entry["path"].endswith("/auth/tokens")
        ]

    def refuse_writes(self, words: str) -> Any:
        """From now on every write is refused with these words; returns the code that an error has then."""
        self.fault("status", method="|".join(WRITES), count=None, status=403, body=words)
        return 403

    # --- faults --------------------------------------------------------------------------------------------------

    def fault(self, action: str, **order: Any) -> None:
        """Orders a fault: see polystore_sandbox.faults.Fault. `nth=3` is `skip=2`; `count=None` hits every request.

        fault("status", method="PUT", path="/c/", nth=3, status=503, headers={"Retry-After": "1"})
        """
        if "nth" in order:
            order["skip"] = order.pop("nth") - 1
        self._control("POST", "/faults", {"action": action, **order})

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force: action, path, seen, hit."""
        result: list[dict[str, Any]] = self._control("GET", "/faults")
        return result

    def clear_faults(self) -> None:
        """Takes all faults back and opens the port again."""
        self._control("DELETE", "/faults")
        if self.name in ("swift", "alluxio", "pachyderm", "fastdfs", "pegasus"):
            self.listen(True)

    def listen(self, on: bool) -> None:
        """Closes the server's port (connections are refused) or opens it."""
        self._control("POST", "/listen", {"on": on})

    def _control(self, method: str, path: str, value: Any = None) -> Any:
        control = json.loads((self.home / self.name / "control.json").read_text(encoding="utf-8"))
        request = urllib.request.Request(
            control["url"] + path,
            data=None if value is None else json.dumps(value).encode(),
            method=method,
            headers={"X-Control-Token": control["token"]},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            raise ValueError(json.load(exc)["error"]) from exc


started: dict[tuple[int, str], Any] = {}


def _place() -> str:
    """In memory where there is room: Swift syncs all it writes, for which a busy disk takes seconds."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return str(memory) if roomy else "/tmp"


def start(services: str, kind: Any, *more: str) -> Any:
    """The process's own sandbox with these services (comma separated) and options, as kind(home, endpoints)."""
    key = (os.getpid(), " ".join((services, *more)))
    if key not in started:
        home = Path(tempfile.mkdtemp(prefix="polystore-test-", dir=_place()))
        arguments = ["--dir", str(home), "--services", services, "--owner", str(os.getpid()), "--remove"]
        sandbox("start", *arguments, *more)
        started[key] = kind(home, endpoints(home))
        atexit.register(_stop, os.getpid(), home)
    return started[key]


def _stop(pid: int, home: Path) -> None:
    if os.getpid() == pid:  # not in a fork
        sandbox("absent", "--dir", str(home))
