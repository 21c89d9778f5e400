# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus for tests: the sandbox's stand-in, or the real one at PEGASUS_META_SERVERS behind forwarders."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.polystore.storage.tests.support.pegasus_real import Forwarded
from ansible_collections.polystore.storage.tests.support.sandboxes import Server, start, started
from polystore_sandbox.pegasus.wire import ORDERS

# Requests that change something.
WRITING = (
    *("PUT", "REMOVE", "MULTI_PUT", "MULTI_REMOVE", "INCR", "CHECK_AND_SET", "CHECK_AND_MUTATE"),
    *("CREATE_APP", "DROP_APP", "RECALL_APP", "RENAME_APP", "UPDATE_APP_ENV", "SET_MAX_REPLICA_COUNT"),
    *("START_PARTITION_SPLIT", "SET_ATOMIC_IDEMPOTENT"),
)


class PegasusServer(Server):
    """Pegasus: two metas and three replica servers, that behave as the version that was asked for.

    An entry of its log has method (the RPC without its prefix: "PUT", "CREATE_APP", "QUERY_PARTITION_CONFIG_BY_INDEX"),
    path ("table/partition/hash key", or the table's name), status (0 or RocksDB's number of an answer to a data
    request, "ERR_OK" or another name; None: no answer was sent), bytes_in, bytes_out, client, server ("meta1",
    "replica2"), fault, and `crashed` where a real server would have aborted: a test during which that happens fails.
    """

    _numbers = itertools.count(1)
    refusal = "not allowed"  # what the client says of ERR_ACL_DENY: Pegasus itself has no words

    def __init__(self, home: Path, services: dict[str, Any]) -> None:
        super().__init__(home, "pegasus", services["pegasus"])
        self.meta_servers: list[str] = self.info["meta_servers"]
        self.nodes: dict[str, str] = self.info["nodes"]
        self.version: str = self.info["version"]
        self.first: dict[str, Any] = {}
        self.seen = 0
        self.expected = 0

    def connection(self) -> dict[str, Any]:
        """meta_servers."""
        return {"meta_servers": list(self.meta_servers)}

    def writes(self, since: int = 0, path: str = "") -> list[dict[str, Any]]:
        """Those of `requests` that may change something."""
        return [entry for entry in self.requests(since, path=path) if entry["method"] in WRITING]

    def refuse_writes(self, words: str) -> Any:
        """From now on every write is refused, as by a user without rights (Pegasus has no words)."""
        self.fault("status", method="|".join(WRITING), count=None, body="ERR_ACL_DENY")
        return "ERR_ACL_DENY"

    def fault(self, action: str, **order: Any) -> None:
        """Orders a fault: `method` is a regular expression of the RPC, `path` is searched in SERVER/TABLE/PART/KEY.

        status       body="ERR_BUSY": an error of the framework; body="err=ERR_BUSY_CREATING": one in a meta's answer;
                     status=7: RocksDB's number in a data answer without rows. Nothing is applied
        delay        waits `seconds`; requests behind it on the connection are answered meanwhile
        hang         never answers (until the faults are cleared); nothing is applied
        close        closes the connection without an answer; nothing is applied
        close_after  applies it, then closes the connection without an answer
        cut          applies it, then closes the connection after `bytes` bytes of the answer
        garbage      applies it, then sends `body` instead of the answer, and closes unless `bytes` is 1
        move, expel, split, kill, leader: before the request is looked at, its partition gets another primary (the old
                     one becomes secondary; loses it), its table is split, the server dies, another meta leads
        """
        if action == "status":
            order.setdefault("status", 0)
        if action in ORDERS:
            self.behave()  # what it is to be brought back to
        super().fault(action, **order)

    def behave(self, **settings: Any) -> dict[str, Any]:
        """The stand-in's settings (polystore_sandbox.pegasus.settings.Settings). They end with the test."""
        if not self.first:
            told = self._control("POST", "/behaviour", {})
            self.first = {name: value for name, value in told.items() if name != "now_leading"}
        changed: dict[str, Any] = self._control("POST", "/behaviour", settings)
        return changed

    def do(self, *acts: str) -> dict[str, Any]:
        """What is to happen now: "move TABLE [PARTITION]", "expel TABLE [PARTITION]", "split TABLE", "hurry"."""
        return self.behave(do=list(acts))

    def crashes(self, since: int | None = None) -> list[dict[str, Any]]:
        """Where a real server would have aborted, since then or since the test began."""
        self._control("POST", "/behaviour", {"do": ["check"]})
        return [entry for entry in self.requests(self.seen if since is None else since) if "crashed" in entry]

    def expect_crash(self) -> list[dict[str, Any]]:
        """The crashes of this test, which is not failed for them."""
        found = self.crashes()
        self.expected = len(found)
        return found

    def end_faults(self) -> None:
        """Takes back faults and settings, and brings all servers back."""
        self.clear_faults()
        if self.first:
            self._control("POST", "/behaviour", self.first)
            self._control("POST", "/behaviour", {"do": ["hurry", "reset"]})

    def new_name(self, prefix: str = "t") -> str:
        """A name that no table has."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"

    new_container_name = new_name


class RealServer(PegasusServer):
    """The Pegasus whose metas are named, behind forwarders of this process's own."""

    def __init__(self, metas: list[str]) -> None:
        home = Path(tempfile.mkdtemp(prefix="polystore-pegasus-", dir="/tmp"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        (home / "pegasus").mkdir()
        self.forwarded = Forwarded(metas, home / "pegasus" / "access.jsonl")
        told = self.forwarded.metas
        info = {"meta_servers": told, "nodes": {}, "version": "real", "url": f"http://{told[0]}", "pid": os.getpid()}
        super().__init__(home, {"pegasus": {**info, "env": {"PEGASUS_META_SERVERS": ",".join(told)}}})

    def fault(self, action: str, **order: Any) -> None:
        """As the stand-in's, but for those that change the cluster: they skip the test."""
        if action in ORDERS:
            pytest.skip(f"a real Pegasus cannot be told to {action}")
        super().fault(action, **order)

    def behave(self, **settings: Any) -> dict[str, Any]:
        """Skips the test: these are settings of the stand-in."""
        if settings:
            pytest.skip(f"a real Pegasus has no setting for {', '.join(settings)}")
        return {}

    def crashes(self, since: int | None = None) -> list[dict[str, Any]]:
        """None: a real one shows it by not answering."""
        return []

    def _control(self, method: str, path: str, value: Any = None) -> Any:
        plan = self.forwarded.faults
        if (method, path) == ("POST", "/faults"):
            plan.add(value)
        elif path == "/faults":
            plan.clear() if method == "DELETE" else None
        elif path == "/listen":
            self.forwarded.listen(value["on"])
        return plan.state()


def start_pegasus(version: str = "2.5.0", **options: Any) -> PegasusServer:
    """The process's own stand-in for a Pegasus of that version, with these options of its service.

    For 2.5.0 without options it is the real one at PEGASUS_META_SERVERS, if that is set.
    """
    metas = os.environ.get("PEGASUS_META_SERVERS")
    if metas and version == "2.5.0" and not options:
        key = (os.getpid(), "real pegasus")
        if key not in started:
            started[key] = RealServer(metas.split(","))
        return cast(PegasusServer, started[key])
    given = {"version": version, **options}
    arguments = [f"--option=pegasus.{name}={value}" for name, value in given.items()]
    return cast(PegasusServer, start("pegasus", PegasusServer, *arguments))


def guarded(server: PegasusServer) -> Iterator[PegasusServer]:
    """The server for one test, which fails when a real one would have aborted."""
    server.seen, server.expected = server.mark(), 0
    yield server
    found = server.crashes()
    server.end_faults()
    assert len(found) == server.expected, f"a real server would have aborted: {found}"


@pytest.fixture
def pegasus_server() -> Iterator[PegasusServer]:
    """A Pegasus 2.5.0. Faults and settings end with the test; tables stay."""
    yield from guarded(start_pegasus("2.5.0"))


@pytest.fixture
def pegasus_master_server() -> Iterator[PegasusServer]:
    """What is to follow Pegasus 2.5, with host names in its answers."""
    yield from guarded(start_pegasus("master"))
