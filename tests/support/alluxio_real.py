# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Alluxio servers for tests: fetched from Maven Central once, started on free loopback ports, killed at the end.

Needs a JDK (11 or newer) and Maven. What is fetched lies below $POLYSTORE_CACHE/alluxio (else ~/.cache/
polystore.storage/alluxio), never in the checkout. Clients talk to a forwarder (tests/support/forward.py), which logs
and spoils; RealAlluxio.direct_url is the way round it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import getpass
import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import AlluxioServer

HERE = Path(__file__).parent
PROJECT = HERE.parent / "real" / "alluxio"
SANDBOX = HERE.parents[1] / "roles" / "sandbox" / "files"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
# Two bindings of slf4j would be one too many; without this one 2.x logs by log4j2. reload4j itself stays: the master
# of 2.9.6 needs its classes to log what it cannot synchronise, such as names with "%" (else: NoClassDefFoundError).
UNWANTED = ("slf4j-reload4j",)
OPENED = ("java.lang", "java.util", "java.nio", "sun.nio.ch")  # 1.x on Java 17
PARTS = ("master", "worker", "proxy")
START_SECONDS = 240.0
USUAL = {"mode": "normal", "outage_seconds": 120, "stream_timeout": 3600, "ttl_interval": 3600}


def cache() -> Path:
    """Where Alluxio is kept."""
    return Path(os.environ.get("POLYSTORE_CACHE") or Path.home() / ".cache" / "polystore.storage") / "alluxio"


def java(name: str = "java") -> str:
    """Path of a JDK's program: of JAVA_HOME when it is set, else the first on PATH; "" when there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(name, path=os.path.join(home, "bin")) or "" if home else shutil.which(name) or ""


def need_real(version: str) -> None:
    """Skips the test when a real Alluxio cannot be had here; in CI that is a failure."""
    missing = [name for name in ("java", "javac") if not java(name)] + ["mvn"] * (not shutil.which("mvn"))
    reason = "A real Alluxio needs %s on PATH (a JDK of at least 11, and Maven)" % ", ".join(missing)
    if not missing:
        try:
            resolve(version)
            return
        except RuntimeError as exc:
            reason = str(exc)
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def resolve(version: str) -> Path:
    """The directory with an Alluxio's jars (lib/) and our main (classes/), filled at the first use.

    Raises RuntimeError with the last words of Maven or javac. Two processes may ask at once.
    """
    recipe = [PROJECT / "pom.xml", PROJECT / "Parts.java"]
    parts = [*(path.read_bytes() for path in recipe), repr(UNWANTED).encode()]
    key = hashlib.sha256(b"".join(parts)).hexdigest()[:8]
    place = cache() / version / key
    if not (place / ".ready").exists():
        with _locked(cache() / "resolve.lock"):  # one for all: Maven's repository is not made for two
            if not (place / ".ready").exists():
                _fetch(version, place)
                (place / ".ready").touch()
    return place


def _fetch(version: str, place: Path) -> None:
    started = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    (place / "classes").mkdir(parents=True)
    maven = ["mvn", "-B", "-q", "-f", str(PROJECT / "pom.xml"), "-Dalluxio.version=%s" % version]
    maven += ["-Dmaven.repo.local=%s" % (cache() / "maven"), *(["-P", "one"] if version.startswith("1.") else [])]
    maven += [COPY, "-DincludeScope=runtime", "-DoutputDirectory=%s" % (place / "lib")]
    compiler = [java("javac"), "-d", str(place / "classes"), str(PROJECT / "Parts.java")]
    for command in (maven, compiler):
        done = subprocess.run(
            command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-8:]
            raise RuntimeError("Alluxio %s cannot be had from Maven Central:\n  %s" % (version, "\n  ".join(said)))
    for jar in (place / "lib").glob("*.jar"):
        if jar.name.startswith(tuple(name + "-" for name in UNWANTED)):
            jar.unlink()
    print("Fetched Alluxio %s in %.0f s" % (version, time.monotonic() - started), file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on, below those that outgoing connections get."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            sock = held.enter_context(socket.socket())
            try:
                sock.bind(("127.0.0.1", random.randrange(15000, 32000)))
            except OSError:
                continue  # taken
            found.append(int(sock.getsockname()[1]))
    return found


def ask(url: str, seconds: float = 5.0) -> dict[str, Any]:
    """The JSON object that a GET answers; {} when there is none."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=seconds) as answer:
            value = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass
class RealAlluxio:
    """A master, a worker and a proxy, in one JVM or (split) one each, with a forwarder in front of the proxy.

    home/alluxio holds access.jsonl and control.json, as a sandbox's service has them.
    """

    version: str
    split: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    home: Path = Path()
    info: dict[str, Any] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ufs(self) -> Path:
        """The local directory behind "/"."""
        return self.home / "ufs"

    @property
    def direct_url(self) -> str:
        """The proxy itself, without the forwarder."""
        return "http://127.0.0.1:%d" % self._ports["proxy"]

    @property
    def master_url(self) -> str:
        """The master's web address."""
        return "http://127.0.0.1:%d" % self._ports["master_web"]

    def begin(self) -> None:
        """Starts everything and waits until it answers; RuntimeError or TimeoutError with its last words."""
        self.home = Path(tempfile.mkdtemp(prefix="polystore-alluxio-", dir="/tmp"))
        for name in ("ufs", "worker", "journal", "logs", "conf", "web/WEB-INF", "alluxio"):
            (self.home / name).mkdir(parents=True)
        names = ("master", "master_web", "worker", "worker_data", "worker_web", "proxy")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        for part in self._groups():
            self._launch(part, "format")
        self._forward()
        self._wait(self.ready)
        url = self.info["url"]
        self.info |= {"version": self.version, "ufs": str(self.ufs), "proxy_url": url, "master_url": self.master_url}
        self.info["env"] = {"ALLUXIO_PROXY_URL": url, "ALLUXIO_MASTER_URL": self.master_url}

    def ready(self) -> bool:
        """True when REST answers and a worker is registered."""
        if "version" not in ask(self.direct_url + "/api/v1/proxy/info"):
            return False
        return bool(ask(self.master_url + "/api/v1/master/info").get("workers"))

    def kill(self, part: str = "") -> None:
        """SIGKILL to the master, worker or proxy (split), or to all of it (without a name)."""
        for name in self._chosen(part):
            process = self._running.pop(name, None)
            if process:
                process.kill()
                process.wait()

    def restart(self, part: str = "", wait: bool = True) -> None:
        """Starts what was killed again, with its old ports and state, and waits until all is ready again."""
        self.kill(part)
        for name in self._chosen(part):
            self._launch(name)
        if wait:
            self._wait(lambda: self.ready() and self._writes())

    def stop(self) -> None:
        """Ends all of it and removes its state."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()
        if self.home != Path():
            shutil.rmtree(self.home, ignore_errors=True)

    # --- inside --------------------------------------------------------------------------------------------------

    def _groups(self) -> dict[str, tuple[str, ...]]:
        return {part: (part,) for part in PARTS} if self.split else {"all": PARTS}

    def _chosen(self, part: str) -> list[str]:
        if part and part not in self._groups():
            raise ValueError("%r cannot be had alone: launch(version, split=True)" % part)
        return [part] if part else list(self._groups())

    def _writes(self) -> bool:
        """True when a file can be made: a master goes on listing a worker that has died."""
        path = "%s/api/v1/paths//.harness-%d/" % (self.direct_url, os.getpid())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        words = {"Content-Type": "application/json"}
        body = b'{"writeType": "CACHE_THROUGH"}'
        try:
            with opener.open(urllib.request.Request(path + "create-file", body, words), timeout=60) as answer:
                number = int(answer.read())
            close = urllib.request.Request("%s/api/v1/streams/%d/close" % (self.direct_url, number), method="POST")
            for request in (close, urllib.request.Request(path + "delete", method="POST")):
                opener.open(request, timeout=60).close()
        except (OSError, ValueError, http.client.HTTPException):
            return False
        return True

    def _launch(self, group: str, *words: str) -> None:
        place, log = resolve(self.version), self.home / "logs" / ("%s.log" % group)
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
        options += ["--add-opens=java.base/%s=ALL-UNNAMED" % name for name in OPENED]
        options += ["-D%s=%s" % item for item in {**self._settings(), **self.properties}.items()]
        # By name: "lib/*" is in the directory's order, and of two generations of JAX-RS the newer has to come first.
        path = os.pathsep.join([str(place / "classes"), *map(str, sorted((place / "lib").glob("*.jar")))])
        with log.open("ab") as output:
            self._running[group] = subprocess.Popen(
                [java(), *options, "-cp", path, "Parts", *words, *self._groups()[group]],
                stdin=subprocess.PIPE,  # held open: it ends with us
                stdout=output,
                stderr=output,
                cwd=self.home,
                start_new_session=True,
            )

    def _forward(self) -> None:
        command = [sys.executable, str(HERE / "forward.py"), "--home", str(self.home), "--name", "alluxio", "--remove"]
        log = self.home / "logs" / "forward.log"
        with log.open("wb") as output:
            process = self._running["forward"] = subprocess.Popen(
                [*command, "--to", "127.0.0.1:%d" % self._ports["proxy"]],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(SANDBOX), "PYTHONDONTWRITEBYTECODE": "1"},
            )
        ready = self.home / "alluxio" / "forward.json"
        self._wait(ready.exists)
        self.info = {**json.loads(ready.read_text(encoding="utf-8")), "pid": process.pid}

    def _wait(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if condition():
                return
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise RuntimeError(
                        "Alluxio %s: %s ended while it started:\n%s" % (self.version, name, self._said())
                    )
            time.sleep(0.1)
        raise TimeoutError("Alluxio %s is not ready after %g s:\n%s" % (self.version, START_SECONDS, self._said()))

    def _said(self) -> str:
        logs = [(path.name, path.read_text("utf-8", "replace")[-2000:]) for path in (self.home / "logs").glob("*.log")]
        return "\n".join("%s: %s" % item for item in logs)

    def _settings(self) -> dict[str, str]:
        home, ports, here = self.home, self._ports, "127.0.0.1"
        found = {
            "alluxio.home": str(home),
            "alluxio.work.dir": str(home),
            "alluxio.conf.dir": str(home / "conf"),
            "alluxio.logs.dir": str(home / "logs"),
            "alluxio.master.journal.type": "UFS",
            "alluxio.master.journal.folder": str(home / "journal"),
            "alluxio.master.journal.tailer.shutdown.quiet.wait.time": "50ms",
            "alluxio.master.journal.tailer.sleep.time": "50ms",
            "alluxio.master.mount.table.root.ufs": str(self.ufs),
            "alluxio.master.web.port": str(ports["master_web"]),
            "alluxio.worker.web.port": str(ports["worker_web"]),
            "alluxio.proxy.web.port": str(ports["proxy"]),
            "alluxio.worker.tieredstore.levels": "1",
            "alluxio.worker.tieredstore.level0.alias": "SSD",
            "alluxio.worker.tieredstore.level0.dirs.path": str(home / "worker"),
            # Every stream that a killed client left open holds a whole block: room for hundreds of them.
            "alluxio.worker.tieredstore.level0.dirs.quota": "64GB",
            "alluxio.security.login.username": getpass.getuser(),
            "alluxio.user.rpc.retry.max.duration": "5s",
        }
        for name in ("master", "master.web", "worker", "worker.web", "proxy.web"):
            found["alluxio.%s.hostname" % name] = found["alluxio.%s.bind.host" % name] = here
        if self.version.startswith("1."):
            return found | {
                "alluxio.underfs.address": str(self.ufs),
                "alluxio.master.port": str(ports["master"]),
                "alluxio.master.worker.connect.wait.time": "100ms",
                "alluxio.worker.port": str(ports["worker"]),
                "alluxio.worker.data.port": str(ports["worker_data"]),
                "alluxio.worker.data.bind.host": here,
                "alluxio.worker.data.hostname": here,
                "alluxio.worker.memory.size": "64MB",
                "alluxio.web.resources": str(home / "web"),
            }
        return found | {
            "alluxio.master.rpc.port": str(ports["master"]),
            "alluxio.master.worker.connect.wait.time": "0",
            "alluxio.master.metastore": "HEAP",
            "alluxio.worker.rpc.port": str(ports["worker"]),
            "alluxio.worker.tieredstore.level0.dirs.mediumtype": "SSD",
            "alluxio.proxy.s3.v2.version.enabled": "false",
            "alluxio.web.ui.enabled": "false",
            "log4j.configurationFile": "",
        }


class RealServer(AlluxioServer):
    """A real Alluxio for tests; `real` is the way to its processes."""

    def __init__(self, real: RealAlluxio) -> None:
        super().__init__(real.home, {"alluxio": real.info})
        self.real = real

    def behave(self, **settings: Any) -> dict[str, Any]:
        """Skips the test: these are settings of the stand-in. What they begin with is what a real one does."""
        if wanted := {name: value for name, value in settings.items() if USUAL.get(name) != value}:
            pytest.skip("a real Alluxio has no setting for %s" % wanted)
        return dict(settings)


def start(version: str) -> RealServer:
    """The interface of tests.support.servers.AlluxioServer for a real one; skips, or fails in CI, where none is had."""
    need_real(version)
    return RealServer(launch(version))


def launch(version: str, split: bool = False, properties: Mapping[str, str] | None = None) -> RealAlluxio:
    """A running Alluxio that ends with this process, also when it is killed. split: its parts can be killed alone.

    properties: Alluxio's own, over those that are set here. Raises RuntimeError, TimeoutError.
    """
    for again in (2, 1, 0):  # another process may have taken a port
        server = RealAlluxio(version, split, dict(properties or {}))
        try:
            server.begin()
        except RuntimeError:
            server.stop()
            if not again:
                raise
        except BaseException:
            server.stop()
            raise
        else:
            break
    atexit.register(_stop, os.getpid(), server)
    return server


def _stop(pid: int, server: RealAlluxio) -> None:
    if os.getpid() == pid:  # not in a fork
        server.stop()
