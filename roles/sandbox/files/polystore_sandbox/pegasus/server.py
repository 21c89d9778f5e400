# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of a Pegasus in one process: its metas, its replica servers and their ports."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.home import SandboxError
from polystore_sandbox.pegasus.cluster import BUILT_IN, Cluster, Node
from polystore_sandbox.pegasus.meta import Meta
from polystore_sandbox.pegasus.replica import Replica
from polystore_sandbox.pegasus.settings import Settings
from polystore_sandbox.pegasus.tables import Partition, Table
from polystore_sandbox.pegasus.wire import ACTIONS, ORDERS, Port, Request

DO = "do"  # of `behave`: what is to happen now, besides settings
ACTS = ("move", "expel", "split", "hurry", "check", "reset")


class Pegasus:
    """Opens and closes the ports, and changes the settings while they are open."""

    def __init__(self, settings: Settings, faults: FaultPlan, log: RequestLog, address: str) -> None:
        faults.actions = ACTIONS
        self.cluster = Cluster(settings, self._crashed)
        self._log = log
        self._lock = threading.Lock()
        self._on = True

        def port(node: Node, kind: Any) -> Port:
            node.address = address
            return Port(kind(self.cluster, node), faults, log, address, self.cluster.settle, self._ordered)

        self.metas = {node.name: port(node, Meta) for node in self.cluster.metas}
        self.replicas = {node.name: port(node, Replica) for node in self.cluster.nodes}

    # --- ports ---------------------------------------------------------------------------------------------------

    def _ports(self) -> dict[str, Port]:
        return {**self.metas, **self.replicas}

    def open(self, number: int, known: dict[str, int]) -> int:
        """Takes every port, opens those that are not dead, and returns the first meta's.

        number: that meta's port; 0 is a free one. known: an earlier process's, which are tried first.
        Raises SandboxError.
        """
        settings = self.cluster.settings
        bound = {}
        for group, first in ((self.metas, settings.meta_port), (self.replicas, settings.replica_port)):
            for index, (name, port) in enumerate(group.items()):
                ahead = group is self.metas
                wanted = number if name == "meta1" else first + index - ahead if first else 0
                bound[name] = self._bind(port, wanted, known.get(name, 0))
        for node in [*self.cluster.metas, *self.cluster.nodes]:
            node.port = self._ports()[node.name].number
        for name, port in self._ports().items():
            if self._runs(name):
                port.open(bound[name])
            else:
                bound[name].close()
        return self.metas["meta1"].number

    @staticmethod
    def _bind(port: Port, wanted: int, known: int) -> Any:
        for number in [wanted] if wanted else [known, 0] if known else [0]:
            try:
                return port.bind(number)
            except OSError as exc:
                error = port.taken(number, exc)
        raise error

    def _runs(self, name: str) -> bool:
        return self._on and name not in self.cluster.settings.dead

    def _arrange(self) -> None:
        for name, port in self._ports().items():
            if self._runs(name):
                port.open()
            else:
                port.close()

    def listen(self, on: bool) -> None:
        """Closes all ports and connections, or opens those that are not dead."""
        with self._lock:
            self._on = on
            self._arrange()

    def numbers(self) -> dict[str, int]:
        """For the `known` of `open`."""
        return {name: port.number for name, port in self._ports().items()}

    def where(self) -> dict[str, Any]:
        """Where everything is, for clients."""
        return {
            "meta_servers": [f"{port.address}:{port.number}" for port in self.metas.values()],
            "nodes": {name: f"{port.address}:{port.number}" for name, port in self.replicas.items()},
        }

    # --- tables that are there from the start --------------------------------------------------------------------

    def furnish(self) -> None:
        """Creates the tables that every cluster has."""
        with self.cluster.lock:
            for name in BUILT_IN:
                self.cluster.create(name, partition_count=4, max_replica_count=min(3, len(self.replicas)))
            self.cluster.hurry()

    # --- changes -------------------------------------------------------------------------------------------------

    def behave(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes some settings, lets happen what stands in "do", and tells all; ValueError names what is wrong.

        do: ["move TABLE [PARTITION]", "expel TABLE [PARTITION]", "split TABLE", "hurry", "check", "reset"]; without a
        partition it is all of them. hurry: what is due later happens now; check: deaths that are to come are told now;
        reset: leader and level are as at the start.
        """
        changes = dict(changes)
        acts = changes.pop(DO, [])
        with self._lock, self.cluster.lock:
            before = self.cluster.settings
            self.cluster.settings = before.changed(changes, running=True)
            if "dead" in changes:
                self._arrange()
            self.cluster.arrange(before)
            self.cluster.settle()
            for act in acts:
                self._act(act.split(" "))
            return {**asdict(self.cluster.settings), "now_leading": self.cluster.leader}

    def _act(self, words: list[str]) -> None:
        if words[0] not in ACTS:
            raise ValueError(f"do: there is no {words[0]}; there are {', '.join(ACTS)}")
        simple = {"hurry": self.cluster.hurry, "check": self.cluster.doomed, "reset": self.cluster.reset}
        if words[0] in simple:
            simple[words[0]]()
            return
        table = self.cluster.found(words[1]) if len(words) > 1 else None
        if table is None:
            raise ValueError(f"{words[0]}: there is no table {' '.join(words[1:2])!r}")
        if words[0] == "split":
            self.cluster.split(table)
            return
        wanted = [table.partitions[int(words[2])]] if len(words) > 2 else table.partitions
        for partition in wanted:
            self._shift(words[0], partition)

    def _shift(self, word: str, partition: Partition) -> None:
        self.cluster.move(partition) if word == "move" else self.cluster.expel(partition)

    def _ordered(self, port: Port, action: str, request: Request) -> None:
        """Carries out one of ORDERS before the request is looked at."""
        with self.cluster.lock:
            server, settings = port.server, self.cluster.settings
            if action == "leader":
                names = [meta.name for meta in self.cluster.metas if meta.name not in settings.dead]
                others = [name for name in names if name != self.cluster.leader]
                self.cluster.leader = next(iter(others), self.cluster.leader)
                return
            if action == "kill":
                before = settings
                self.cluster.settings = before.changed({"dead": [*before.dead, server.what]}, running=True)
                threading.Thread(target=self._close, args=(port,), daemon=True).start()
                self.cluster.arrange(before)
                raise OSError("it was killed")
            partition = server.partition(request) if isinstance(server, Replica) else None
            if partition is None:
                return
            if action == "split":
                self._split_now(partition.table)
            else:
                self._shift(action, partition)

    @staticmethod
    def _close(port: Port) -> None:
        port.close()

    def _split_now(self, table: Table) -> None:
        if not table.splitting:
            self.cluster.split(table)

    def _crashed(self, server: str, table: str, reason: str) -> None:
        """A server died of what it opened."""
        self._log.write(method="OPEN", path=table, status=None, server=server, crashed=reason)
        if server in self.replicas:
            self.replicas[server].crash()


def settings_of(options: dict[str, Any]) -> Settings:
    """From the options of the service; SandboxError names what is wrong."""
    try:
        return Settings().changed(options, running=False)
    except ValueError as exc:
        raise SandboxError(str(exc)) from exc


__all__ = ["ORDERS", "Pegasus", "settings_of"]
