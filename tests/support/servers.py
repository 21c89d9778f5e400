# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for tests: started at the first use in a process, ended with it, also when it is killed.

The server runs with the interpreter named by POLYSTORE_SERVER_PYTHON, else with the one that runs the tests.
"""

from __future__ import annotations

import atexit
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

FILES = Path(__file__).parents[2] / "roles" / "sandbox" / "files"
WRITES = ("PUT", "POST", "DELETE", "COPY")
# Alluxio's operations that change nothing; what a stream that is read is closed with neither.
ASKING = ("exists", "get-status", "list-status", "open-file", "read")


def server_python() -> str:
    """The interpreter that servers run with."""
    return os.environ.get("POLYSTORE_SERVER_PYTHON") or sys.executable


def need(*packages: str) -> None:
    """Skips the test when the servers' interpreter lacks a package; in CI that is a failure."""
    code = "import importlib.util, sys; print(' '.join(n for n in sys.argv[1:] if not importlib.util.find_spec(n)))"
    done = subprocess.run([server_python(), "-c", code, *packages], capture_output=True, text=True, check=False)
    missing = done.stdout.strip() if done.returncode == 0 else done.stderr.strip() or "an interpreter that runs"
    if not missing:
        return
    reason = (
        f"{server_python()} lacks: {missing}. Set POLYSTORE_SERVER_PYTHON to a Python with these packages "
        "(pip install swift; for Keystone also keystone keystonemiddleware waitress)"
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
        if self.name in ("swift", "alluxio"):
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
        asking = "|".join(ASKING)
        self.fault(
            "status",
            method="POST",
            path=rf"^[^?]*/(?!({asking}|close)(\?|$))[^/?]*(\?.*)?$",
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


_started: dict[tuple[int, str], Any] = {}


def start_swift(services: str = "swift") -> SwiftServer:
    """The process's own server with these services (comma separated)."""
    return cast(SwiftServer, _start(services, SwiftServer))


def start_alluxio(version: str = "2.9.6") -> AlluxioServer:
    """The process's own Alluxio of that version."""
    if os.environ.get("POLYSTORE_ALLUXIO") == "real":
        key = (os.getpid(), "real alluxio " + version)
        if key not in _started:
            module = importlib.import_module("ansible_collections.polystore.storage.tests.support.alluxio_real")
            _started[key] = module.start(version)
        return cast(AlluxioServer, _started[key])
    return start_stand_in(version)


def start_stand_in(version: str = "2.9.6") -> AlluxioServer:
    """The process's own stand-in for an Alluxio of that version."""
    return cast(AlluxioServer, _start("alluxio", AlluxioServer, f"--option=alluxio.version={version}"))


def _start(services: str, kind: Any, *more: str) -> Any:
    key = (os.getpid(), " ".join((services, *more)))
    if key not in _started:
        home = Path(tempfile.mkdtemp(prefix="polystore-test-", dir="/tmp"))
        arguments = ["--dir", str(home), "--services", services, "--owner", str(os.getpid()), "--remove"]
        sandbox("start", *arguments, *more)
        _started[key] = kind(home, endpoints(home))
        atexit.register(_stop, os.getpid(), home)
    return _started[key]


def _stop(pid: int, home: Path) -> None:
    if os.getpid() == pid:  # not in a fork
        sandbox("absent", "--dir", str(home))


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
    "AlluxioServer",
    "Server",
    "SwiftServer",
    "_alluxio",
    "_alluxio_v1",
    "_swift",
    "_swift_and_keystone",
    "alluxio_server",
    "alluxio_v1_server",
    "endpoints",
    "need",
    "sandbox",
    "server_python",
    "start_alluxio",
    "start_stand_in",
    "start_swift",
    "swift_and_keystone",
    "swift_server",
]
