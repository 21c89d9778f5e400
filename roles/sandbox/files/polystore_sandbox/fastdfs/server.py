# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of a FastDFS in one process: its trackers, its storages and their ports."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polystore_sandbox.fastdfs.cluster import Cluster
from polystore_sandbox.fastdfs.settings import Settings
from polystore_sandbox.fastdfs.storage import StorageServer
from polystore_sandbox.fastdfs.tracker import Tracker
from polystore_sandbox.fastdfs.wire import ACTIONS, Port
from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.home import SandboxError

TRIES = 50  # to find a port that is free on every storage's address


class FastDfs:
    """Opens and closes the ports, and changes the settings while they are open."""

    def __init__(self, settings: Settings, folder: Path, faults: FaultPlan, log: RequestLog, address: str) -> None:
        faults.actions = ACTIONS
        self.cluster = Cluster(settings, folder)
        self._lock = threading.Lock()
        self._on = True

        def port(server: Any, at: str) -> Port:
            return Port(server, lambda: self.cluster.settings, faults, log, at)

        names = [f"tracker{number + 1}" for number in range(settings.trackers)]
        self.trackers = {name: port(Tracker(self.cluster, name), address) for name in names}
        self.storages: dict[str, Port] = {}
        for group in self.cluster.groups.values():
            for storage in group.storages:
                storage.door = port(StorageServer(self.cluster, group, storage), storage.address)
                self.storages[storage.address] = storage.door
        self.cluster.check(settings)

    def open(self, number: int, known: dict[str, int]) -> int:
        """Takes every port, opens those that are not dead, and returns the first tracker's.

        number: that tracker's port; 0 is a free one. known: an earlier process's, which are tried first.
        Raises SandboxError.
        """
        settings = self.cluster.settings
        bound = {}
        for index, (name, port) in enumerate(self.trackers.items()):
            later = settings.tracker_port + index - 1 if settings.tracker_port else 0
            bound[name] = self._bind([port], later if index else number, known.get(name, 0))[0]
        found = self._bind(list(self.storages.values()), settings.storage_port, known.get("storage", 0))
        bound |= {name: found[index] for index, name in enumerate(self.storages)}
        self.cluster.trackers = [(port.address, port.number) for port in self.trackers.values()]
        for name, port in self._ports().items():
            if self._runs(name):
                port.open(bound[name])
            else:
                bound[name].close()
        return next(iter(self.trackers.values())).number

    @staticmethod
    def _bind(ports: list[Port], wanted: int, known: int) -> list[Any]:
        """Takes the same port on each address."""
        for number in [wanted] if wanted else [known] * bool(known) + [0] * TRIES:
            taken_here: list[Any] = []
            try:
                for port in ports:
                    taken_here.append(port.bind(ports[0].number if taken_here else number))
            except OSError as exc:
                error = ports[len(taken_here)].taken(number, exc)
                for sock in taken_here:
                    sock.close()
                if exc.errno in (99, 49):  # not an address of this host: no other port is
                    break
            else:
                return taken_here
        raise error

    def _ports(self) -> dict[str, Port]:
        return {**self.trackers, **self.storages}

    def _runs(self, name: str) -> bool:
        settings = self.cluster.settings
        return self._on and name not in (*settings.dead, *settings.lost)

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

    def behave(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes some settings and tells all; ValueError names what is wrong."""
        with self._lock:
            made = self.cluster.settings.changed(changes, running=True)
            self.cluster.check(made)
            self.cluster.settings = made
            self._arrange()
            self.cluster.settled()
            return asdict(made)

    def where(self) -> dict[str, Any]:
        """Where everything is, for clients."""
        return {
            "trackers": [f"{address}:{number}" for address, number in self.cluster.trackers],
            "groups": {
                group.name: [storage.where for storage in group.storages] for group in self.cluster.groups.values()
            },
        }

    def numbers(self) -> dict[str, int]:
        """For the `known` of `open`."""
        return {name: port.number for name, port in self.trackers.items()} | {
            "storage": next(iter(self.storages.values())).number
        }


def settings_of(options: dict[str, Any]) -> Settings:
    """From the options of the service; SandboxError names what is wrong."""
    try:
        return Settings().changed(options, running=False)
    except ValueError as exc:
        raise SandboxError(str(exc)) from exc
