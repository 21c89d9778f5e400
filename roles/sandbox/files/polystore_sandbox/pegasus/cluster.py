# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All servers and tables: who leads, who is primary of what, and what comes of deaths, moves and splits."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from polystore_sandbox.pegasus.envs import VALIDATE, deadly
from polystore_sandbox.pegasus.keys import key_hash
from polystore_sandbox.pegasus.settings import Settings
from polystore_sandbox.pegasus.tables import AVAILABLE, DROPPED, Partition, Table

BUILT_IN = ("stat", "temp")
STEADY, FREEZED = 400, 300


@dataclass
class Node:
    """A replica server."""

    name: str
    address: str = ""
    port: int = 0
    alive: bool = True  # for the metas

    def where(self, later: bool) -> str:
        """The text of its address."""
        host = "localhost" if later and self.address.startswith("127.") else self.address
        return f"{host}:{self.port}"


class Cluster:
    """The state behind all ports. Whoever uses it holds its lock."""

    def __init__(self, settings: Settings, crashed: Callable[[str, str, str], None]) -> None:
        self.settings = settings
        self.crashed = crashed  # told of a server's death: its name, the table, the reason
        self.lock = threading.RLock()
        self.nodes = [Node(f"replica{number + 1}") for number in range(settings.nodes)]
        self.metas = [Node(f"meta{number + 1}") for number in range(settings.metas)]
        self.leader = settings.leader or "meta1"
        self.level = STEADY
        self.tables: dict[int, Table] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    # --- time ----------------------------------------------------------------------------------------------------

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Lets it happen then, at the latest when somebody looks."""
        if seconds <= 0:
            event()
        else:
            heapq.heappush(self._events, (time.monotonic() + seconds, next(self._number), event))

    def settle(self) -> None:
        """Lets happen what is due."""
        if self._events and self._events[0][0] <= time.monotonic():
            with self.lock:
                while self._events and self._events[0][0] <= time.monotonic():
                    heapq.heappop(self._events)[2]()

    def hurry(self) -> None:
        """Lets happen what is not due yet, too."""
        with self.lock:
            while self._events:
                heapq.heappop(self._events)[2]()

    # --- tables --------------------------------------------------------------------------------------------------

    def found(self, name: str) -> Table | None:
        """The table of that name that is not dropped."""
        return next((t for t in self.tables.values() if t.name == name and t.status != DROPPED), None)

    def create(self, name: str, **about: Any) -> Table:
        """A new table, without primaries yet."""
        app_id = max(self.tables, default=0) + 1
        table = self.tables[app_id] = Table(app_id, name, create_second=int(time.time()), **about)
        self.after(self.settings.primaries_seconds, lambda: self.open(table))
        return table

    def open(self, table: Table) -> None:
        """Gives each partition its primary, and later the rest. A server may die of what it opens."""
        if table.status != AVAILABLE:
            return
        reason = "" if table.opened else deadly(table.envs)
        if table.app_type != "pegasus":
            reason = f"app_type {table.app_type!r}"
        if reason:
            table.deadly = True
            for node in self.nodes:
                self.crashed(node.name, table.name, reason)
            return
        self.learn(table)
        table.opened = True
        for partition in table.partitions:
            if partition.ballot >= 0 and not partition.primary:
                self._first(partition)
        self.after(self.settings.secondaries_seconds, lambda: self.complete(table))

    def _first(self, partition: Partition) -> None:
        table = partition.table
        alive = [node.name for node in self.nodes if node.alive]
        if not alive:
            return
        before = [name for name in partition.last_drops if name in alive]
        first = (table.app_id + partition.index + 1) % len(self.nodes)
        names = [node.name for node in self.nodes[first:] + self.nodes[:first] if node.alive]
        partition.primary = before[-1] if before else names[0]
        partition.last_drops = [name for name in partition.last_drops if name != partition.primary]
        partition.ballot += 1
        partition.decree += 1  # an empty write is the first thing that a primary does
        partition.settle()

    def complete(self, table: Table) -> None:
        """Gives each partition as many replicas as it is to have."""
        for partition in table.partitions if table.status == AVAILABLE else []:
            if partition.ballot < 0:
                continue
            if not partition.primary:
                self._first(partition)
            if not partition.primary:
                continue
            first = [node.name for node in self.nodes].index(partition.primary)
            for node in self.nodes[first + 1 :] + self.nodes[:first]:
                there = node.name in partition.members or len(partition.members) >= table.max_replica_count
                if node.alive and not there:
                    partition.secondaries.append(node.name)
                    partition.last_drops = [name for name in partition.last_drops if name != node.name]
                    partition.ballot += 1
            while len(partition.members) > table.max_replica_count and partition.secondaries:
                partition.secondaries.pop()
                partition.ballot += 1
            partition.settle()

    def learn(self, table: Table) -> None:
        """The replica servers learn the table's environment."""
        table.applied = table.applied.learned(table.envs)

    def changed(self, table: Table) -> None:
        """The table's environment is another one."""
        envs = dict(table.envs)

        def learn() -> None:
            table.applied = table.applied.learned(envs)

        if table.opened:
            self.after(self.settings.env_seconds, learn)

    def drop(self, table: Table, reserve: int) -> None:
        """Drops it; for some time its servers do not know."""
        table.status = DROPPED
        table.drop_second = int(time.time())
        table.expire_second = table.drop_second + (reserve if reserve > 0 else 604800)
        for partition in table.partitions:
            partition.last_drops = [*partition.last_drops, *reversed(partition.members)]
            partition.primary, partition.secondaries = "", []
            partition.ballot += 1
        self.after(self.settings.linger_seconds, lambda: self.forget(table))

    def forget(self, table: Table) -> None:
        """The servers of a dropped table serve it no longer."""
        if table.status == DROPPED:
            for partition in table.partitions:
                partition.settle()

    def recall(self, table: Table, name: str) -> None:
        """Brings a dropped table back."""
        self.forget(table)
        table.name, table.status = name, AVAILABLE
        self.after(self.settings.primaries_seconds, lambda: self.open(table))

    def doomed(self) -> None:
        """Tells of the deaths that are bound to come, though their time has not: for the end of a test."""
        for table in self.tables.values():
            if table.opened or table.deadly or table.status != AVAILABLE:
                continue
            if reason := deadly(table.envs):
                table.deadly = True
                self.crashed(self.nodes[0].name, table.name, reason)

    # --- servers -------------------------------------------------------------------------------------------------

    def alive(self) -> int:
        """How many replica servers the metas know to be alive."""
        return sum(node.alive for node in self.nodes)

    def frozen(self) -> bool:
        """Too few servers are alive for changes."""
        return self.level <= FREEZED or self.alive() * 100 < 65 * len(self.nodes)

    def address(self, name: str) -> int:
        """A server's address as it is written; 0: there is none."""
        node = next((node for node in [*self.nodes, *self.metas] if node.name == name), None)
        if node is None:
            return 0
        host = 0
        for part in node.address.split("."):
            host = host << 8 | int(part)
        return host << 32 | node.port << 16 | 1

    def host_port(self, name: str) -> tuple[str, int]:
        """The same with the host's name."""
        node = next((node for node in [*self.nodes, *self.metas] if node.name == name), None)
        if node is None:
            return "", 0
        host, _colon, port = node.where(True).rpartition(":")
        return host, int(port)

    def arrange(self, before: Settings) -> None:
        """After other settings: who has died, who has come back, and who leads."""
        settings = self.settings
        for node in self.nodes:
            if (node.name in settings.dead) != (node.name in before.dead):
                self.after(settings.failover_seconds, self._noticing(node))
        if settings.leader and settings.leader != before.leader:
            self.leader = settings.leader
        if self.leader in settings.dead or (before.leader and not settings.leader):
            self.after(settings.failover_seconds, self._elect)

    def reset(self) -> None:
        """Leader and level as at the start."""
        self.leader, self.level = self.settings.leader or "meta1", STEADY

    def _elect(self) -> None:
        running = [meta.name for meta in self.metas if meta.name not in self.settings.dead]
        if self.leader in self.settings.dead or self.leader != self.settings.leader:
            self.leader = self.settings.leader or next(iter(running), "")

    def _noticing(self, node: Node) -> Callable[[], None]:
        def notice() -> None:
            alive = node.name not in self.settings.dead
            if alive == node.alive:
                return
            node.alive = alive
            for table in self.tables.values():
                for partition in table.partitions:
                    if not alive:
                        self.leave(partition, node.name)
                    elif node.name in partition.last_drops and not partition.primary and table.status == AVAILABLE:
                        self._first(partition)
                if alive and table.opened:
                    self.after(self.settings.secondaries_seconds, self._completing(table))

        return notice

    def _completing(self, table: Table) -> Callable[[], None]:
        return lambda: self.complete(table)

    def leave(self, partition: Partition, name: str) -> None:
        """A server is no longer one of the partition's; a secondary becomes primary for it."""
        if name not in partition.members:
            return
        if name == partition.primary:
            partition.primary = partition.secondaries.pop(0) if partition.secondaries else ""
        else:
            partition.secondaries.remove(name)
        partition.last_drops.append(name)
        partition.ballot += 1
        if partition.primary:
            partition.decree += 1
        partition.settle()

    # --- what is ordered -----------------------------------------------------------------------------------------

    def move(self, partition: Partition) -> None:
        """Primary and first secondary change places: the old primary answers ERR_INVALID_STATE from now on."""
        if partition.secondaries:
            partition.secondaries.append(partition.primary)
            partition.primary = partition.secondaries.pop(0)
            partition.ballot += 2
            partition.decree += 1
            partition.settle()

    def expel(self, partition: Partition) -> None:
        """The primary's server loses the partition: it answers ERR_OBJECT_NOT_FOUND from now on."""
        if partition.secondaries:
            self.leave(partition, partition.primary)

    def split(self, table: Table) -> None:
        """Doubles the partitions; the new ones have no ballot until they are there."""
        if table.splitting:
            raise ValueError(f"{table.name} is being split")
        if table.init_partition_count <= 0:
            table.init_partition_count = table.partition_count
        table.splitting = True
        old = table.partition_count
        table.partition_count = 2 * old
        table.envs[VALIDATE] = "true"
        self.learn(table)
        for index in range(old, 2 * old):
            table.partitions.append(Partition(table, index))
            table.partitions[index].ballot = -1
        self.after(self.settings.split_seconds, lambda: self._register(table, old))

    def _register(self, table: Table, old: int) -> None:
        for parent in table.partitions[:old]:
            parent.splits = True
        self.after(self.settings.splitting_seconds, lambda: self._divide(table, old))

    def _divide(self, table: Table, old: int) -> None:
        for parent, child in zip(table.partitions[:old], table.partitions[old:]):
            with parent.lock:
                for key in [key for key in parent.rows.data if key_hash(key) % (2 * old) == child.index]:
                    child.rows.put(key, parent.rows.data[key])
                    parent.rows.remove(key)
                parent.ballot += 1
                child.ballot, child.decree = parent.ballot, parent.decree
                child.primary, child.secondaries = parent.primary, list(parent.secondaries)
                child.settle()
                parent.splits = False
        table.splitting = False

    # --- figures -------------------------------------------------------------------------------------------------

    def spread(self, all_replicas: bool) -> str:
        """How unevenly replicas, or primaries alone, lie on the servers that are alive."""
        counts = dict.fromkeys((node.name for node in self.nodes if node.alive), 0)
        for table in self.tables.values():
            for partition in table.partitions:
                for name in partition.members if all_replicas else [partition.primary]:
                    if name in counts:
                        counts[name] += 1
        values = list(counts.values())
        mean = sum(values) / len(values) if values else 0.0
        return f"{math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) if values else 0.0:.2f}"
