# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Pachyderm's pachd: its gRPC services as clients of 2.0 to 2.12 know them."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from polystore_sandbox.home import Home
from polystore_sandbox.registry import Running

PROBE = "/versionpb_v2.API/Probe"  # unknown to every pachd, and answered by one


class Pachyderm:
    """See polystore_sandbox.registry.Service. Options: version, and the settings of its services."""

    name = "pachyderm"
    order = 40
    requirements = {"grpc": "grpcio>=1.60", "google.protobuf": "protobuf>=4.25"}

    def prepare(self) -> None:
        """Nothing is needed."""

    def answers(self, address: str, port: int) -> bool:
        """True when a call is answered."""
        import grpc  # the program that only lists services has it not

        with grpc.insecure_channel(f"{address}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            try:
                channel.unary_unary(PROBE)(b"", timeout=5)
            except grpc.RpcError as exc:
                return bool(exc.code() is grpc.StatusCode.UNIMPLEMENTED)
        return True

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """The address, as the modules and pachctl take it."""
        known = home.read(f"{self.name}/known.json")
        address = "grpc://" + url.split("//", 1)[1]
        return {"address": address, "version": known.get("version", ""), "env": {"PACHD_ADDRESS": address}}

    def serve(self, running: Running) -> None:
        """Serves until the process is ended; what it knows is saved."""
        from polystore_sandbox.pachyderm.server import Server
        from polystore_sandbox.pachyderm.settings import Settings
        from polystore_sandbox.pachyderm.state import State

        state = State(running.home.service(self.name))
        server = Server(state, running.faults, running.log)
        settings = Settings(state)
        settings.behave(running.options)
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: ended.set())
        port = server.open(running.address, running.port)
        running.home.write(f"{self.name}/known.json", {"version": state.settings["version"]})
        server.keep_saving()
        running.ready(port, lambda on: server.listen(running.address, on), settings.behave)
        ended.wait()
        server.listen(running.address, False)
        state.save()
        os._exit(0)  # no waiting for calls that wait themselves


SERVICE = Pachyderm()
