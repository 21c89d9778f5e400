# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Apache Pegasus: metas and replica servers, as clients of 2.5.0 and of what follows it know them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

from polystore_sandbox.home import Home, SandboxError
from polystore_sandbox.pegasus.kept import remember, to_keep
from polystore_sandbox.pegasus.schema import META
from polystore_sandbox.pegasus.server import Pegasus as Cluster
from polystore_sandbox.pegasus.server import settings_of
from polystore_sandbox.pegasus.thrift import CALL, STRICT, text
from polystore_sandbox.pegasus.wire import MAGIC, PROBE, V0
from polystore_sandbox.registry import Running


class Pegasus:
    """See polystore_sandbox.registry.Service. Options: polystore_sandbox.pegasus.settings.Settings."""

    name = "pegasus"
    order = 60
    requirements: dict[str, str] = {}

    def prepare(self) -> None:
        """Nothing is needed."""

    def answers(self, address: str, port: int) -> bool:
        """Asks for the cluster's facts, which no log counts."""
        head = (STRICT | CALL).to_bytes(4, "big") + text(f"{META}CLUSTER_INFO") + PROBE.to_bytes(4, "big")
        body = head + b"\x0c\0\1\0\0"
        try:
            with socket.create_connection((address, port), timeout=5) as connection:
                connection.sendall(V0.pack(MAGIC, 0, V0.size, 0, len(body), 0, 0, 0, 5000, 0, 0) + body)
                return connection.recv(14, socket.MSG_WAITALL)[4:] == text("ERR_OK")
        except OSError:
            return False

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """The metas, as the modules take them, and the replica servers by name."""
        known = home.read(f"{self.name}/known.json")
        metas = known.get("meta_servers", [])
        return {
            "meta_servers": metas,
            "version": known.get("version", ""),
            "nodes": known.get("nodes", {}),
            "env": {"PEGASUS_META_SERVERS": ",".join(metas)},
        }

    def serve(self, running: Running) -> None:
        """Serves until the process is ended; tables and rows are saved then."""
        folder = running.home.service(self.name)
        settings = settings_of(running.options)
        try:
            server = Cluster(settings, running.faults, running.log, running.address)
        except ValueError as exc:
            raise SandboxError(str(exc)) from exc
        known = running.home.read(f"{self.name}/known.json")
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: ended.set())
        if not remember(server.cluster, folder):
            server.furnish()
        port = server.open(running.port, known.get("ports", {}))
        about = {"version": settings.version, "ports": server.numbers()}
        running.home.write(f"{self.name}/known.json", {**about, **server.where()})
        running.ready(port, server.listen, server.behave)
        ended.wait()
        server.listen(False)
        to_keep(server.cluster, folder)
        os._exit(0)  # no waiting for connections that wait themselves


SERVICE = Pegasus()
