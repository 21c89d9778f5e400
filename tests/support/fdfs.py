# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS for tests: the sandbox's stand-in, or the real one at FDFS_TRACKERS behind forwarders."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.polystore.storage.tests.support.sandboxes import FILES, Server, start, started

# Commands that change something.
WRITING = (
    *("upload", "upload_appender", "upload_slave", "delete", "set_metadata"),
    *("append", "modify", "truncate", "regenerate"),
)
ENOSPC = 28


class FdfsServer(Server):
    """FastDFS: trackers, and two groups of two storages, that behave as the version that was asked for, or a real one.

    An entry of its log has method (the command's name: "query_store", "upload"), path ("group1/M00/...", what an upload
    got; "group1/*.txt" where it got nothing), status (0, an errno; None: no answer was sent), bytes_in and bytes_out
    (of the bodies), client, server ("tracker1", or a storage's "127.0.0.3:23000") and fault.
    """

    _numbers = itertools.count(1)

    def __init__(self, home: Path, services: dict[str, Any]) -> None:
        super().__init__(home, "fastdfs", services["fastdfs"])
        self.trackers: list[str] = self.info["trackers"]
        self.groups: dict[str, list[str]] = self.info["groups"]
        self.version: str = self.info["version"]
        self.first: dict[str, Any] = {}

    def connection(self) -> dict[str, Any]:
        """trackers."""
        return {"trackers": list(self.trackers)}

    def storages(self, group: str = "group1") -> list[str]:
        """The addresses of a group's storages, without ports: their names in settings."""
        return [where.rpartition(":")[0] for where in self.groups[group]]

    def writes(self, since: int = 0, path: str = "") -> list[dict[str, Any]]:
        """Those of `requests` that may change something: uploads, appends, deletions, metadata and so on."""
        return [entry for entry in self.requests(since, path=path) if entry["method"] in WRITING]

    refusal = "no space left"

    def refuse_writes(self, words: str) -> Any:
        """From now on every write is refused, as by a storage without space (FastDFS has no words)."""
        self.fault("status", method="|".join(WRITING), count=None, status=ENOSPC)
        return ENOSPC

    def fault(self, action: str, **order: Any) -> None:
        """Orders a fault: `method` is a regular expression of a command's name, `path` is searched in SERVER/PATH.

        So in "tracker1/group1/M00/..." and "127.0.0.3:23000/group1/*.txt".

        status       refuses with the errno `status` (5, EIO); nothing is applied
        delay        waits `seconds`
        hang         never answers (until the faults are cleared); nothing is applied
        close        closes the connection without an answer; nothing is applied
        close_after  applies it, then closes the connection without an answer
        cut          closes the connection after `bytes` bytes of the answer's body
        cut_upload   closes the connection after `bytes` bytes of the request's body; nothing is applied
        """
        if action == "status":
            order.setdefault("status", 5)
        super().fault(action, **order)

    def behave(self, **settings: Any) -> dict[str, Any]:
        """The stand-in's settings (polystore_sandbox.fastdfs.settings.Settings). They end with the test."""
        if not self.first:
            self.first = self._control("POST", "/behaviour", {})
        changed: dict[str, Any] = self._control("POST", "/behaviour", settings)
        return changed

    def end_faults(self) -> None:
        """Takes back faults and settings."""
        self.clear_faults()
        if self.first:
            self._control("POST", "/behaviour", self.first)

    def copies(self, file_id: Any) -> list[Path]:
        """The files that hold that file, on all storages; AssertionError where there are none."""
        name = str(file_id).rpartition("/")[2]
        found = [path for path in (self.home / "fastdfs").rglob(name) if path.is_file()]
        assert found, file_id
        return found

    def new_name(self, prefix: str = "t") -> str:
        """A name that nothing in this process has."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"

    new_container_name = new_name


class RealServer(FdfsServer):
    """The FastDFS at FDFS_TRACKERS, behind forwarders of this process's own."""

    def __init__(self, trackers: str) -> None:
        home = Path(tempfile.mkdtemp(prefix="polystore-fdfs-", dir="/tmp"))
        command = [sys.executable, str(Path(__file__).with_name("fdfs_forward.py")), "--remove"]
        path = os.pathsep.join([str(FILES), str(Path(__file__).parents[5])])
        self.forward = subprocess.Popen(
            [*command, "--home", str(home), "--to", trackers],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        ready = home / "fastdfs" / "forward.json"
        while not ready.exists():
            if self.forward.poll() is not None:
                raise RuntimeError(f"there is no FastDFS at {trackers} (FDFS_TRACKERS)")
            time.sleep(0.05)
        info = json.loads(ready.read_text(encoding="utf-8"))
        super().__init__(home, {"fastdfs": {**info, "pid": self.forward.pid}})

    def behave(self, **settings: Any) -> dict[str, Any]:
        """Skips the test: these are settings of the stand-in."""
        if settings:
            pytest.skip(f"a real FastDFS has no setting for {', '.join(settings)}")
        return {}

    def copies(self, file_id: Any) -> list[Path]:
        """Skips the test: they are elsewhere."""
        pytest.skip("the disks of a real FastDFS are its own")


def start_fdfs(version: str = "6.16.1", **options: Any) -> FdfsServer:
    """The process's own FastDFS of that version; options: of the stand-in's service, and nothing else has them."""
    trackers = os.environ.get("FDFS_TRACKERS")
    if trackers and version == "6.16.1" and not options:
        key = (os.getpid(), "real fastdfs")
        if key not in started:
            started[key] = RealServer(trackers)
        return cast(FdfsServer, started[key])
    given = {"version": version, **options}
    return cast(FdfsServer, start("fastdfs", FdfsServer, *(f"--option=fastdfs.{k}={v}" for k, v in given.items())))


def _ended(server: FdfsServer) -> Iterator[FdfsServer]:
    yield server
    server.end_faults()


@pytest.fixture
def fdfs_server() -> Iterator[FdfsServer]:
    """A FastDFS 6.16.1. Faults and settings end with the test; files stay."""
    yield from _ended(start_fdfs("6.16.1"))


@pytest.fixture
def fdfs_wide_server() -> Iterator[FdfsServer]:
    """A FastDFS 6.16.1 with addresses of 46 bytes."""
    yield from _ended(start_fdfs("6.16.1", address_size=46))


@pytest.fixture
def fdfs_v615_server() -> Iterator[FdfsServer]:
    """A FastDFS 6.15.5."""
    yield from _ended(start_fdfs("6.15.5"))


@pytest.fixture
def fdfs_v612_server() -> Iterator[FdfsServer]:
    """A FastDFS 6.12.2: addresses of 46 bytes, and deaf after an EINVAL."""
    yield from _ended(start_fdfs("6.12.2"))


@pytest.fixture
def fdfs_v606_server() -> Iterator[FdfsServer]:
    """A FastDFS 6.06."""
    yield from _ended(start_fdfs("6.06"))


@pytest.fixture
def fdfs_v511_server() -> Iterator[FdfsServer]:
    """A FastDFS 5.11: checksums of its own, and no regenerating."""
    yield from _ended(start_fdfs("5.11"))


@pytest.fixture
def fdfs_v503_server() -> Iterator[FdfsServer]:
    """A FastDFS 5.03: records without counters of connections."""
    yield from _ended(start_fdfs("5.03"))
