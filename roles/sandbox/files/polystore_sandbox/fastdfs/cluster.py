# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All storages with their groups: which of them are there, where clients are sent, and how changes get around."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polystore_sandbox.fastdfs.names import FileName
from polystore_sandbox.fastdfs.settings import Settings
from polystore_sandbox.fastdfs.store import Storage
from polystore_sandbox.home import SandboxError

ACTIVE, OFFLINE = 7, 5
BOTH, READ_ONLY = 6, 4
FIRST_ADDRESS = 3  # 127.0.0.1 and .2 are usual for trackers


@dataclass
class Group:
    """Storages that hold the same."""

    name: str
    storages: list[Storage]
    lock: threading.RLock = field(default_factory=threading.RLock)
    turn: Any = field(default_factory=itertools.count)
    read_turn: Any = field(default_factory=itertools.count)


@dataclass
class Change:
    """A file that a storage has yet to get, or to lose, as another one did."""

    made: float  # when
    source: str
    name: str


class Cluster:
    """Groups and storages. Safe among threads."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.trackers: list[tuple[str, int]] = []
        self._turn = itertools.count()
        addresses = settings.addresses or [
            f"127.0.0.{FIRST_ADDRESS + number}" for number in range(settings.groups * settings.storages)
        ]
        if len(set(addresses)) != settings.groups * settings.storages:
            raise SandboxError(f"fastdfs needs {settings.groups * settings.storages} different addresses")
        self.groups: dict[str, Group] = {}
        for index, address in enumerate(addresses):
            name = f"group{index // settings.storages + 1}"
            group = self.groups.setdefault(name, Group(name, []))
            group.storages.append(Storage(name, address, 100001 + index, folder / name / address))
        self._pending: dict[str, deque[Change]] = {storage.address: deque() for storage in self.storages}
        self._more = threading.Condition()
        threading.Thread(target=self._carry, daemon=True).start()

    @property
    def storages(self) -> list[Storage]:
        """All of all groups."""
        return [storage for group in self.groups.values() for storage in group.storages]

    def check(self, settings: Settings) -> None:
        """ValueError when settings name what there is not."""
        addresses = {storage.address for storage in self.storages}
        trackers = {f"tracker{number + 1}" for number in range(settings.trackers)}
        for name, known in {
            "read_only": set(self.groups),
            "full": set(self.groups) | addresses,
            "dead": addresses | trackers,
            "lost": addresses,
        }.items():
            if unknown := sorted(set(getattr(settings, name)) - known):
                raise ValueError(f"{name}: there is no {', '.join(unknown)}; there are {', '.join(sorted(known))}")

    # --- what is there -------------------------------------------------------------------------------------------

    def runs(self, storage: Storage) -> bool:
        """Its port is open."""
        return storage.address not in (*self.settings.dead, *self.settings.lost)

    def active(self, storage: Storage) -> bool:
        """The trackers offer it."""
        return storage.address not in self.settings.dead

    def full(self, storage: Storage) -> bool:
        """It has no space above the reserved one."""
        return storage.address in self.settings.full or storage.group in self.settings.full

    def writable(self, group: Group) -> list[Storage]:
        """Those that a change can be sent to."""
        return [] if group.name in self.settings.read_only else self.readable(group)

    def readable(self, group: Group) -> list[Storage]:
        """Those that can be read from."""
        return [storage for storage in group.storages if self.active(storage)]

    def space(self, storage: Storage) -> tuple[int, int, int]:
        """MiB in all, free and reserved."""
        found = os.statvfs(self.folder)
        total = found.f_blocks * found.f_frsize >> 20
        return total, 0 if self.full(storage) else max(found.f_bavail * found.f_frsize >> 20, total // 50), total // 100

    # --- where a client is sent ----------------------------------------------------------------------------------

    def store_group(self) -> Group | None:
        """Where an upload goes that names no group; None when no group has a storage that takes one."""
        usable = [group for group in self.groups.values() if self.writable(group)]
        roomy = [group for group in usable if self.with_space(group)]
        chosen = roomy or usable
        if not chosen:
            return None
        return chosen[next(self._turn) % len(chosen)] if self.settings.store_lookup == 0 else chosen[0]

    def with_space(self, group: Group) -> list[Storage]:
        """Those that take an upload."""
        return [storage for storage in self.writable(group) if not self.full(storage)]

    def store(self, group: Group) -> Storage:
        """The storage that the next upload goes to; there has to be one."""
        found = self.with_space(group)
        return found[0] if self.settings.store_server == 1 else found[next(group.turn) % len(found)]

    def source(self, group: Group, name: FileName | None) -> Storage | None:
        """The storage that a file was uploaded to."""
        for storage in group.storages:
            if name and name.source in (storage.source(True), storage.source(False)):
                return storage
        return None

    def update(self, group: Group, name: FileName | None) -> Storage | None:
        """Where a change is sent: to the source, or where it is away to another one; None when there is none."""
        source, found = self.source(group, name), self.writable(group)
        return source if source in found else next(iter(found), None)

    def fetch(self, group: Group, name: FileName | None) -> list[Storage]:
        """Those that a file can be read from, the one whose turn it is first."""
        source, found = self.source(group, name), self.readable(group)
        if name and source in found and source:
            if name.appender or name.slave:
                return [source]
            old = name.created <= time.time() - self.settings.offer_seconds
            found = [
                storage
                for storage in found
                if storage is source or old or storage.synced.get(source.address, 0) > name.created
            ]
        turn = next(group.read_turn) % len(found) if len(found) > 1 else 0
        return found[turn:] + found[:turn]

    # --- replication ---------------------------------------------------------------------------------------------

    def changed(self, storage: Storage, *names: str) -> None:
        """These were made, changed or deleted on a storage; the others of its group will have it so."""
        now = time.time()
        storage.counts["last_source_update"] = int(now)
        for other in self.groups[storage.group].storages:
            if other is storage:
                continue
            waiting = self._pending[other.address]
            with self._more:
                for name in names:
                    waiting.append(Change(now, storage.address, name))
                self._more.notify_all()
            if self.settings.replication_seconds <= 0:
                self._bring(other)

    def _carry(self) -> None:
        """Brings what is due, for as long as the process is there."""
        while True:
            for storage in self.storages:
                self._bring(storage)
            with self._more:
                # What waits for a dead storage is looked at again when the settings change.
                coming = [change for storage in self.storages if (change := self._next(storage))]
                self._more.wait(max(0.0, min(map(self._due, coming))) if coming else None)

    def _due(self, change: Change) -> float:
        """In how many seconds."""
        return change.made + self.settings.replication_seconds - time.time()

    def _next(self, storage: Storage) -> Change | None:
        """The first that a storage has yet to get, where it and the one that has it run."""
        waiting = self._pending[storage.address]
        away = (*self.settings.dead, *self.settings.lost)
        return waiting[0] if waiting and not {storage.address, waiting[0].source} & set(away) else None

    def settled(self) -> None:
        """The settings were changed."""
        with self._more:
            self._more.notify_all()

    def _bring(self, storage: Storage) -> None:
        group, waiting = self.groups[storage.group], self._pending[storage.address]
        with group.lock:
            while (change := self._next(storage)) and self._due(change) <= 0:
                source = next(other for other in group.storages if other.address == change.source)
                name = FileName.of(change.name.encode())
                storage.copy(source, change.name, name is None or name.appender)
                storage.synced[source.address] = int(change.made)
                storage.counts["last_sync_update"] = int(time.time())
                storage.counts["last_synced_timestamp"] = int(change.made)
                waiting.popleft()

    # --- what outlives the process -------------------------------------------------------------------------------

    def known(self) -> dict[str, Any]:
        """For `remember`."""
        with self._more:
            return {
                "storages": {storage.address: storage.known() for storage in self.storages},
                "pending": {
                    address: [[change.source, change.name, change.made] for change in waiting]
                    for address, waiting in self._pending.items()
                },
            }

    def remember(self, known: dict[str, Any]) -> None:
        """What an earlier process knew, of the storages that are there still."""
        sources = {storage.address for storage in self.storages}
        for storage in self.storages:
            storage.remember(known.get("storages", {}).get(storage.address, {}))
            for source, name, made in known.get("pending", {}).get(storage.address, []):
                if source in sources:
                    self._pending[storage.address].append(Change(made, source, name))
        self.settled()
