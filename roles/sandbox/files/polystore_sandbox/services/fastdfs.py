# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for FastDFS: trackers, and groups of storages, as clients of 5.03 to 6.16 know them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

from polystore_sandbox.fastdfs.server import FastDfs, settings_of
from polystore_sandbox.fastdfs.wire import ANSWER, HEADER, PROBE
from polystore_sandbox.home import Home, SandboxError
from polystore_sandbox.registry import Running

ACTIVE_TEST = 111


class Fastdfs:
    """See polystore_sandbox.registry.Service. Options: polystore_sandbox.fastdfs.settings.Settings."""

    name = "fastdfs"
    order = 50
    requirements: dict[str, str] = {}

    def prepare(self) -> None:
        """Nothing is needed."""

    def answers(self, address: str, port: int) -> bool:
        """Sends an active test, which no log counts."""
        try:
            with socket.create_connection((address, port), timeout=5) as connection:
                connection.sendall(HEADER.pack(0, ACTIVE_TEST, PROBE))
                return connection.recv(HEADER.size, socket.MSG_WAITALL) == HEADER.pack(0, ANSWER, 0)
        except OSError:
            return False

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """The trackers, as the modules take them, and the storages by group."""
        known = home.read(f"{self.name}/known.json")
        trackers = known.get("trackers", [])
        return {
            "trackers": trackers,
            "version": known.get("version", ""),
            "address_size": known.get("address_size", 0),
            "groups": known.get("groups", {}),
            "env": {"FDFS_TRACKERS": ",".join(trackers)},
        }

    def serve(self, running: Running) -> None:
        """Serves until the process is ended; what it knows besides its files is saved then."""
        folder = running.home.service(self.name)
        settings = settings_of(running.options)
        try:
            server = FastDfs(settings, folder, running.faults, running.log, running.address)
        except ValueError as exc:
            raise SandboxError(str(exc)) from exc
        server.cluster.remember(running.home.read(f"{self.name}/state.json"))
        known = running.home.read(f"{self.name}/known.json")
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: ended.set())
        port = server.open(running.port, known.get("ports", {}))
        about = {"version": settings.version, "address_size": settings.width, "ports": server.numbers()}
        running.home.write(f"{self.name}/known.json", {**about, **server.where()})
        running.ready(port, server.listen, server.behave)
        ended.wait()
        server.listen(False)
        running.home.write(f"{self.name}/state.json", server.cluster.known())
        os._exit(0)  # no waiting for connections that wait themselves


SERVICE = Fastdfs()
