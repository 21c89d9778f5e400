# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm for tests: the sandbox's stand-in, or the real one at PACHD_ADDRESS behind a forwarder."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.polystore.storage.tests.support.sandboxes import FILES, Server, need, start, started

PART = 1 << 20
# Calls that change nothing.
READING = (
    r"[^/]*/(?:(?:Inspect|List|Get|Glob|Walk|Diff|Find|Subscribe|Render|Check)\w*"
    r"|WhoAmI|Authorize|\w*Summary|\w+ \(dry run\))"
)


class PachdServer(Server):
    """Pachyderm: a stand-in that behaves as the version that was asked for, or the one at PACHD_ADDRESS.

    An entry of its log has method ("pfs_v2.API/CreateRepo", and " (dry run)" where it is one), path
    ("default/repo@branch:/path", as far as the request names these), status (the code's name, "OK"), bytes_in,
    bytes_out, client and fault.
    """

    _numbers = itertools.count(1)

    def __init__(self, home: Path, services: dict[str, Any]) -> None:
        super().__init__(home, "pachyderm", services["pachyderm"])
        self.address: str = self.info["address"]
        self.url = self.address
        self.version: str = self.info["version"]
        self.token = ""
        self.first: dict[str, Any] = {}

    def connection(self) -> dict[str, Any]:
        """address, and the token that a real one may want."""
        return {"address": self.address, **({"auth_token": self.token} if self.token else {})}

    def environment(self) -> dict[str, str]:
        """The same as variables."""
        return {**super().environment(), **({"PACHD_AUTH_TOKEN": self.token} if self.token else {})}

    def secrets(self) -> list[str]:
        """The token."""
        return [self.token] if self.token else []

    def writes(self, since: int = 0, path: str = "") -> list[dict[str, Any]]:
        """Those of `requests` that may change something: all but Inspect*, List*, Get*, Glob*, Walk*, Diff*, WhoAmI."""
        return [entry for entry in self.requests(since, path=path) if not re.fullmatch(READING, entry["method"])]

    def refuse_writes(self, words: str) -> Any:
        """As if the user had no right to."""
        self.fault("status", method=rf"(?!{READING}$).*", count=None, status="PERMISSION_DENIED", body=words)
        return "PERMISSION_DENIED"

    def fault(self, action: str, **order: Any) -> None:
        """Orders a fault: `method` is a regular expression of "pfs_v2.API/CreateRepo", `path` of the entry's path.

        status       answers with the code `status` (a name; UNAVAILABLE) and the words `body`; nothing is applied
        delay        waits `seconds`
        hang         never answers (until the faults are cleared)
        close_after  applies it, then ends it with UNAVAILABLE
        cut          ends with UNAVAILABLE after `bytes` bytes of the answer's stream, or of the request's if it is one
        cut_upload   ends with UNAVAILABLE after `bytes` bytes of the request's stream; nothing is applied
        """
        if action == "status":
            order.setdefault("status", "UNAVAILABLE")
        super().fault(action, **order)

    def behave(self, **settings: Any) -> dict[str, Any]:
        """The stand-in's settings: version, finish_seconds, message_bytes, auth, tokens. They end with the test."""
        if not self.first:
            self.first = self._control("POST", "/behaviour", {})
        changed: dict[str, Any] = self._control("POST", "/behaviour", settings)
        return changed

    def in_messages(self) -> int:
        """Bytes that GetFile sends in three messages; few, as the stand-in makes them smaller from now on."""
        self.behave(message_bytes=PART)
        return 5 * PART // 2

    def end_faults(self) -> None:
        """Takes back faults and settings."""
        self.clear_faults()
        if self.first:
            self._control("POST", "/behaviour", self.first)

    def new_name(self, prefix: str = "t") -> str:
        """A name that no repo, project or pipeline has."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"

    new_container_name = new_name


class RealServer(PachdServer):
    """The Pachyderm at PACHD_ADDRESS (with PACHD_AUTH_TOKEN), behind a forwarder of this process's own."""

    def __init__(self, address: str) -> None:
        home = Path(tempfile.mkdtemp(prefix="polystore-pachd-", dir="/tmp"))
        command = [sys.executable, str(Path(__file__).with_name("grpc_forward.py")), "--remove"]
        self.forward = subprocess.Popen(
            [*command, "--home", str(home), "--to", address],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        ready = home / "pachyderm" / "forward.json"
        while not ready.exists():
            if self.forward.poll() is not None:
                raise RuntimeError(f"there is no Pachyderm at {address} (PACHD_ADDRESS)")
            time.sleep(0.05)
        info = json.loads(ready.read_text(encoding="utf-8"))
        super().__init__(home, {"pachyderm": {**info, "pid": self.forward.pid}})
        self.token = os.environ.get("PACHD_AUTH_TOKEN", "")

    def in_messages(self) -> int:
        """Bytes that GetFile sends in two messages, which have up to 19 MiB."""
        return 25 * PART

    def behave(self, **settings: Any) -> dict[str, Any]:
        """Skips the test: these are settings of the stand-in."""
        if settings:
            pytest.skip(f"a real Pachyderm has no setting for {', '.join(settings)}")
        return {}


def start_pachd(version: str = "2.12.1") -> PachdServer:
    """The process's own Pachyderm of that version."""
    address = os.environ.get("PACHD_ADDRESS")
    if address and version == "2.12.1":
        key = (os.getpid(), "real pachd")
        if key not in started:
            started[key] = RealServer(address)
        return cast(PachdServer, started[key])
    return cast(PachdServer, start("pachyderm", PachdServer, f"--option=pachyderm.version={version}"))


@pytest.fixture(scope="session")
def _pachd() -> PachdServer:
    need("grpc", "google.protobuf")
    return start_pachd("2.12.1")


@pytest.fixture
def pachd_server(_pachd: PachdServer) -> Iterator[PachdServer]:
    """A Pachyderm 2.12.1. Faults and settings end with the test; repos stay, so use new_name()."""
    yield _pachd
    _pachd.end_faults()


@pytest.fixture(scope="session")
def _pachd_v20() -> PachdServer:
    need("grpc", "google.protobuf")
    return start_pachd("2.0.8")


@pytest.fixture
def pachd_v20_server(_pachd_v20: PachdServer) -> Iterator[PachdServer]:
    """A Pachyderm 2.0.8. Faults and settings end with the test; repos stay, so use new_name()."""
    yield _pachd_v20
    _pachd_v20.end_faults()


@pytest.fixture(scope="session")
def _pachd_v24() -> PachdServer:
    need("grpc", "google.protobuf")
    return start_pachd("2.4.6")


@pytest.fixture
def pachd_v24_server(_pachd_v24: PachdServer) -> Iterator[PachdServer]:
    """A Pachyderm 2.4.6. Faults and settings end with the test; repos stay, so use new_name()."""
    yield _pachd_v24
    _pachd_v24.end_faults()


@pytest.fixture(scope="session")
def _pachd_v27() -> PachdServer:
    need("grpc", "google.protobuf")
    return start_pachd("2.7.6")


@pytest.fixture
def pachd_v27_server(_pachd_v27: PachdServer) -> Iterator[PachdServer]:
    """A Pachyderm 2.7.6. Faults and settings end with the test; repos stay, so use new_name()."""
    yield _pachd_v27
    _pachd_v27.end_faults()


@pytest.fixture(scope="session")
def _pachd_v28() -> PachdServer:
    need("grpc", "google.protobuf")
    return start_pachd("2.8.10")


@pytest.fixture
def pachd_v28_server(_pachd_v28: PachdServer) -> Iterator[PachdServer]:
    """A Pachyderm 2.8.10. Faults and settings end with the test; repos stay, so use new_name()."""
    yield _pachd_v28
    _pachd_v28.end_faults()
