# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for tests: started at the first use in a process, ended with it, also when it is killed.

The server runs with the interpreter named by POLYSTORE_SERVER_PYTHON, else with the one that runs the tests.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.polystore.storage.tests.support.fdfs import (
    FdfsServer,
    fdfs_server,
    fdfs_v503_server,
    fdfs_v511_server,
    fdfs_v606_server,
    fdfs_v612_server,
    fdfs_v615_server,
    fdfs_wide_server,
    start_fdfs,
)
from ansible_collections.polystore.storage.tests.support.pachd import (
    PachdServer,
    _pachd,
    _pachd_v20,
    _pachd_v24,
    _pachd_v27,
    _pachd_v28,
    pachd_server,
    pachd_v20_server,
    pachd_v24_server,
    pachd_v27_server,
    pachd_v28_server,
    start_pachd,
)
from ansible_collections.polystore.storage.tests.support.pegasus import (
    PegasusServer,
    pegasus_master_server,
    pegasus_server,
    start_pegasus,
)
from ansible_collections.polystore.storage.tests.support.sandboxes import (
    FILES,
    Server,
    endpoints,
    need,
    sandbox,
    server_python,
    start,
    started,
)

# Alluxio's operations that change nothing; what a stream that is read is closed with neither.
ASKING = ("exists", "get-status", "list-status", "open-file", "read")


class SwiftServer(Server):
    """Swift, with the options by which the collection connects to it."""

    _numbers = itertools.count(1)

    def __init__(self, home: Path, services: dict[str, Any]) -> None:
        super().__init__(home, "swift", services["swift"])
        self.keystone = Server(home, "keystone", services["keystone"]) if "keystone" in services else None

    def auth_v1(self, admin: bool = False) -> dict[str, Any]:
        """Connection options; `admin` is the reseller's administrator."""
        return {"auth_type": "v1", "auth": dict(self.info["admin_auth" if admin else "auth"])}

    def auth_v3(self, admin: bool = False) -> dict[str, Any]:
        """Connection options for Keystone: user demo in project demo, or the cloud's administrator."""
        if self.keystone is None:
            raise ValueError("this server has no Keystone: use the fixture swift_and_keystone")
        info = self.keystone.info
        return {"auth_type": info["auth_type"], "auth": dict(info["admin_auth" if admin else "auth"])}

    def auth_credential(self) -> dict[str, Any]:
        """Connection options with the application credential of user demo."""
        if self.keystone is None:
            raise ValueError("this server has no Keystone: use the fixture swift_and_keystone")
        return {"auth_type": "v3applicationcredential", "auth": dict(self.keystone.info["credential_auth"])}

    def auth(self) -> dict[str, Any]:
        """Connection options: Keystone's where there is one."""
        return self.auth_v3() if self.keystone else self.auth_v1()

    def connection(self) -> dict[str, Any]:
        """As auth()."""
        return self.auth()

    def secrets(self) -> list[str]:
        """The password."""
        return [str(self.auth()["auth"]["password"])]

    def environment(self) -> dict[str, str]:
        """The connection as variables: OS_* with Keystone, else ST_*."""
        info = self.keystone.info if self.keystone else self.info
        return dict(info["env"])

    def end_faults(self) -> None:
        """Takes back the faults of Swift and of Keystone."""
        self.clear_faults()
        if self.keystone:
            self.keystone.clear_faults()

    def new_container_name(self, prefix: str = "c") -> str:
        """A name that nothing in this process has."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"


# What may change something, but for the end of a stream, which a reading has too.
ALLUXIO_WRITES = r"^[^?]*/(?!(%s|close)(\?|$))[^/?]*(\?.*)?$" % "|".join(ASKING)


class AlluxioServer(Server):
    """Alluxio: a stand-in of the version that was asked for, or a real one (POLYSTORE_ALLUXIO=real)."""

    _numbers = itertools.count(1)

    def __init__(self, home: Path, services: dict[str, Any]) -> None:
        super().__init__(home, "alluxio", services["alluxio"])
        self.version: str = self.info["version"]
        self.ufs = Path(self.info["ufs"])

    def connection(self) -> dict[str, Any]:
        """proxy_url and master_url."""
        return {"proxy_url": self.info["proxy_url"], "master_url": self.info["master_url"]}

    def writes(self, since: int = 0, path: str = "") -> list[dict[str, Any]]:
        """Those of `requests` that may change something: no asking, no opening, no reading and what closes that.

        A client that has read enough closes its stream before the server has logged the reading.
        """
        asked = [(entry, *self._operation(entry)) for entry in self.requests(since, path=path)]
        read = {stream for _entry, stream, operation in asked if operation == "read"}
        made = any(operation == "create-file" for _entry, _stream, operation in asked)
        return [
            entry
            for entry, stream, operation in asked
            if entry["method"] == "POST"
            and operation not in ASKING
            and not (operation == "close" and (stream in read or not made))
        ]

    @staticmethod
    def _operation(entry: dict[str, Any]) -> tuple[str, str]:
        """What a request is for (a path, or a stream), and what it does with it."""
        place, _slash, operation = urllib.parse.urlsplit(entry["path"]).path.rpartition("/")
        return place, operation

    def refuse_writes(self, words: str) -> Any:
        """As if the proxy's user had no right to."""
        key = "status" if self.version.startswith("1.") else "statusCode"
        self.fault(
            "status",
            method="POST",
            path=ALLUXIO_WRITES,
            count=None,
            status=500,
            headers={"Content-Type": "application/json"},
            body=json.dumps({"message": words, key: "PERMISSION_DENIED"}),
        )
        return "PERMISSION_DENIED"

    def call(self, path: str, operation: str, body: Any = None, **query: str) -> Any:
        """One operation past all faults' paths of tests: the JSON of the answer (None: empty); RuntimeError with it."""
        query_text = "?" + urllib.parse.urlencode(query) if query else ""
        url = f"{self.url}/api/v1/paths/{urllib.parse.quote(path)}/{operation}{query_text}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=180) as answer:
                text = answer.read()
        except urllib.error.HTTPError as exc:
            raise RuntimeError(exc.read().decode(errors="replace")) from exc
        return json.loads(text) if text.strip() else None

    def new_path(self) -> str:
        """A new directory, which the store below has too."""
        path = f"/t-{os.getpid()}-{next(self._numbers)}"
        self.call(path, "create-directory", {"writeType": "CACHE_THROUGH"})
        return path

    def new_container_name(self, prefix: str = "t") -> str:
        """A name that nothing in this process has."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"

    def behave(self, **settings: Any) -> dict[str, Any]:
        """The stand-in's settings: mode (normal, shadowed, no-master, no-worker), outage_seconds, stream_timeout and
        ttl_interval (seconds). They end with the test."""
        changed: dict[str, Any] = self._control("POST", "/behaviour", settings)
        return changed

    def end_faults(self) -> None:
        """Takes back faults and settings."""
        self.clear_faults()
        self.behave(mode="normal", outage_seconds=120, stream_timeout=3600, ttl_interval=3600)


def start_swift(services: str = "swift") -> SwiftServer:
    """The process's own server with these services (comma separated)."""
    return cast(SwiftServer, start(services, SwiftServer))


def start_alluxio(version: str = "2.9.6") -> AlluxioServer:
    """The process's own Alluxio of that version."""
    if os.environ.get("POLYSTORE_ALLUXIO") == "real":
        key = (os.getpid(), "real alluxio " + version)
        if key not in started:
            module = importlib.import_module("ansible_collections.polystore.storage.tests.support.alluxio_real")
            started[key] = module.start(version)
        return cast(AlluxioServer, started[key])
    return start_stand_in(version)


def start_stand_in(version: str = "2.9.6") -> AlluxioServer:
    """The process's own stand-in for an Alluxio of that version."""
    return cast(AlluxioServer, start("alluxio", AlluxioServer, f"--option=alluxio.version={version}"))


@pytest.fixture(scope="session")
def _swift() -> SwiftServer:
    if os.environ.get("POLYSTORE_AUTH") == "v3":
        need("swift", "eventlet", "keystone", "keystonemiddleware", "waitress")
        return start_swift("swift,keystone")
    need("swift", "eventlet")
    return start_swift()


@pytest.fixture(scope="session")
def _swift_and_keystone() -> SwiftServer:
    need("swift", "eventlet", "keystone", "keystonemiddleware", "waitress")
    return start_swift("swift,keystone")


@pytest.fixture
def swift_server(_swift: SwiftServer) -> Iterator[SwiftServer]:
    """A real Swift. Its auth() is v1, or v3 when POLYSTORE_AUTH=v3 puts a Keystone before the whole suite.

    Faults end with the test; containers stay, so use new_container_name().
    """
    yield _swift
    _swift.end_faults()


@pytest.fixture
def swift_and_keystone(_swift_and_keystone: SwiftServer) -> Iterator[SwiftServer]:
    """A real Swift with a real Keystone (and v1 beside it)."""
    yield _swift_and_keystone
    _swift_and_keystone.end_faults()


@pytest.fixture(scope="session")
def _alluxio() -> AlluxioServer:
    return start_alluxio()


@pytest.fixture(scope="session")
def _alluxio_v1() -> AlluxioServer:
    return start_alluxio("1.8.1")


@pytest.fixture
def alluxio_server(_alluxio: AlluxioServer) -> Iterator[AlluxioServer]:
    """An Alluxio 2.9.6: the stand-in, or a real one with POLYSTORE_ALLUXIO=real.

    Faults and settings end with the test; files stay, so use new_path().
    """
    yield _alluxio
    _alluxio.end_faults()


@pytest.fixture
def alluxio_v1_server(_alluxio_v1: AlluxioServer) -> Iterator[AlluxioServer]:
    """The same as 1.8.1, the other dialect."""
    yield _alluxio_v1
    _alluxio_v1.end_faults()


__all__ = [
    "FILES",
    "AlluxioServer",
    "FdfsServer",
    "PachdServer",
    "PegasusServer",
    "Server",
    "SwiftServer",
    "_alluxio",
    "_alluxio_v1",
    "_pachd",
    "_pachd_v20",
    "_pachd_v24",
    "_pachd_v27",
    "_pachd_v28",
    "_swift",
    "_swift_and_keystone",
    "alluxio_server",
    "alluxio_v1_server",
    "endpoints",
    "fdfs_server",
    "fdfs_v503_server",
    "fdfs_v511_server",
    "fdfs_v606_server",
    "fdfs_v612_server",
    "fdfs_v615_server",
    "fdfs_wide_server",
    "need",
    "pachd_server",
    "pachd_v20_server",
    "pachd_v24_server",
    "pachd_v27_server",
    "pachd_v28_server",
    "pegasus_master_server",
    "pegasus_server",
    "sandbox",
    "server_python",
    "start_alluxio",
    "start_fdfs",
    "start_pachd",
    "start_pegasus",
    "start_stand_in",
    "start_swift",
    "swift_and_keystone",
    "swift_server",
]
