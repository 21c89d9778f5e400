# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenStack Swift in one process: proxy, account, container and object server, and the container updater."""

from __future__ import annotations

import getpass
import importlib
import logging
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from polystore_sandbox.attributes import FileAttributes, large_enough
from polystore_sandbox.front import CONNECTION, Front
from polystore_sandbox.home import Home, SandboxError
from polystore_sandbox.keystone_api import register_swift
from polystore_sandbox.registry import Running
from polystore_sandbox.swift_conf import USERS, write_conf, write_rings

UPDATE_SECONDS = 1.0


class Swift:
    """See polystore_sandbox.registry.Service."""

    name = "swift"
    order = 20
    requirements: dict[str, str] = {"swift": "swift>=2.33,<3", "eventlet": "eventlet>=0.36,<1"}

    def prepare(self) -> None:
        """Makes sockets, threads and sleep green."""
        importlib.import_module("swift.common.utils").monkey_patch()
        importlib.import_module("eventlet").patcher.monkey_patch(all=False, time=True)

    def answers(self, address: str, port: int) -> bool:
        """Asks the healthcheck, which no log counts."""
        try:
            with urllib.request.urlopen(f"http://{address}:{port}/healthcheck", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """Authentication v1 as the ordinary user and as the reseller's administrator."""
        user, admin = "test:tester", "admin:admin"
        auth = {"auth_url": f"{url}/auth/v1.0", "username": user, "password": USERS[user][0]}
        environment = {"ST_AUTH": auth["auth_url"], "ST_USER": user, "ST_KEY": auth["password"]}
        return {
            "storage_url": f"{url}/v1/AUTH_test",
            "auth_type": "v1",
            "auth": auth,
            "admin_auth": {**auth, "username": admin, "password": USERS[admin][0]},
            # beside a Keystone, env.sh and the cloud "sandbox" are Keystone's
            "env": {} if "keystone" in peers else environment,
            "clouds": {"sandbox-v1" if "keystone" in peers else "sandbox": {"auth_type": "v1password", "auth": auth}},
        }

    def serve(self, running: Running) -> None:
        """Serves until the process is ended."""
        eventlet = importlib.import_module("eventlet")
        wsgi = importlib.import_module("eventlet.wsgi")
        folder = running.home.service(self.name)
        keystone = None
        if "keystone" in running.peers:
            password = running.home.secret("keystone.swift")
            keystone = {"url": running.peers["keystone"] + "/v3", "username": "swift", "password": password}
        write_conf(folder, getpass.getuser(), keystone)
        sockets = {kind: eventlet.listen(("127.0.0.1", 0), backlog=4096) for kind in ("account", "container", "object")}
        importlib.import_module("swift.common.utils").set_swift_dir(str(folder / "etc"))
        write_rings(folder, {kind: sock.getsockname()[1] for kind, sock in sockets.items()})
        _adapt_diskfile(folder)
        load = importlib.import_module("swift.common.wsgi").loadapp
        constraints = importlib.import_module("swift.common.constraints")
        protocol = importlib.import_module("swift.common.http_protocol").SwiftHttpProtocol
        quiet = logging.getLogger("polystore_sandbox.quiet")
        quiet.setLevel(logging.CRITICAL)

        def serve(sock: Any, application: Any, kind: Any) -> Any:
            return eventlet.spawn(
                wsgi.server,
                sock,
                application,
                quiet,
                protocol=kind,
                custom_pool=eventlet.GreenPool(1024),
                socket_timeout=300,
                capitalize_response_headers=False,
                url_length_limit=constraints.MAX_REQUEST_LINE,
                log_output=False,
                debug=False,
            )

        for kind, sock in sockets.items():
            serve(sock, load(str(folder / "etc" / f"{kind}-server.conf")), protocol)
        front = Front(load(str(folder / "etc" / "proxy-server.conf")), running.faults, running.log, "/healthcheck")
        port = _Port(running, lambda sock: serve(sock, front, _protocol(protocol)))
        port.listen(True)
        if keystone:
            register_swift(running.peers["keystone"], f"http://{running.address}:{port.number}")
        running.ready(port.number, port.listen)
        self._update(folder)

    @staticmethod
    def _update(folder: Path) -> None:
        """Carries containers' totals to their accounts, each second."""
        eventlet = importlib.import_module("eventlet")
        module = importlib.import_module("swift.container.updater")
        conf = {
            "swift_dir": str(folder / "etc"),
            "devices": str(folder / "data"),
            "mount_check": "false",
            "recon_cache_path": str(folder / "cache"),
            "containers_per_second": "1000",
            "conn_timeout": "30",
            "node_timeout": "60",
            "log_level": "ERROR",
            "log_custom_handlers": "polystore_sandbox.swift_conf.log_to_stderr",
        }
        updater = only_changed(module.ContainerUpdater)(conf)
        while True:
            eventlet.sleep(UPDATE_SECONDS)
            updater.run_once()


def only_changed(base: Any) -> Any:
    """An updater that opens a container's database again only after a change of it.

    With the hundreds of containers of a long life it would take a third of a processor otherwise.
    """

    def __init__(self: Any, conf: dict[str, str]) -> None:
        base.__init__(self, conf)
        self.settled = {}

    def process_container(self: Any, dbfile: str) -> None:
        found = [_stamp(dbfile), _stamp(dbfile + ".pending")]
        if self.settled.get(dbfile) == found:
            return
        done = self.successes + self.no_changes
        base.process_container(self, dbfile)
        # What is as young as the clock of a file system is coarse may change once more unnoticed.
        if self.successes + self.no_changes > done and max(found)[0] < time.time_ns() - 10**9:
            self.settled[dbfile] = found

    return type("Updater", (base,), {"__init__": __init__, "process_container": process_container})


def _stamp(path: str) -> tuple[int, int]:
    """When a file was changed, in ns, and its size; zeros where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class _Port:
    """The storage port, which a fault may close for a while."""

    def __init__(self, running: Running, serve: Any) -> None:
        self._running, self._serve = running, serve
        self.number = running.port
        self._open: tuple[Any, Any] | None = None

    def listen(self, on: bool) -> None:
        """Opens or closes the port."""
        eventlet = importlib.import_module("eventlet")
        if on and not self._open:
            address = self._running.address
            try:
                sock = eventlet.listen((address, self.number), backlog=4096, reuse_port=False)
            except OSError as exc:
                raise SandboxError(
                    f"swift cannot listen on {address}:{self.number}: {exc.strerror}; another port is chosen with "
                    "--port swift=PORT (sandbox_ports in the role)"
                ) from exc
            self.number = sock.getsockname()[1]
            self._open = (sock, self._serve(sock))
        elif not on and self._open:
            sock, thread = self._open
            self._open = None
            eventlet.spawn(thread.kill)
            eventlet.sleep(0)
            sock.close()


def _protocol(base: Any) -> Any:
    """The proxy's HTTP protocol, which tells the front its connection."""

    def get_environ(self: Any) -> Any:
        environ = base.get_environ(self)
        environ[CONNECTION] = self.connection
        return environ

    return type("Protocol", (base,), {"get_environ": get_environ})


def _adapt_diskfile(folder: Path) -> None:
    diskfile: Any = importlib.import_module("swift.obj.diskfile")
    if not large_enough(folder / "data"):
        diskfile.xattr = FileAttributes(folder / "attributes")
    # A sandbox outlives its process, not a power cut: without fsync a small PUT costs a third.
    for name in ("fsync", "fsync_dir", "fdatasync"):
        if hasattr(diskfile, name):
            setattr(diskfile, name, lambda _item: None)


SERVICE = Swift()
os.environ.setdefault("TZ", "UTC+0")
