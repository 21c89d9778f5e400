# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and their partitions: what the metas know of them, and what replica servers hold."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from polystore_sandbox.pegasus.envs import DENY, TTL, VALIDATE, boolean
from polystore_sandbox.pegasus.keys import EPOCH, integer
from polystore_sandbox.pegasus.rows import Row, Rows
from polystore_sandbox.pegasus.throttling import Limits

AVAILABLE, DROPPED = 1, 6
PRIMARY, SECONDARY = "primary", "secondary"


def now_ts() -> int:
    """The server's clock as expiry times count."""
    return int(time.time()) - EPOCH


@dataclass
class Scan:
    """A scan that waits for its client: the rows that are left, as they were when it began."""

    keys: list[bytes]
    rows: list[Row]
    ends: bool  # a row lies beyond the last one, so that the server has to look whether it is out of the range
    request: dict[str, Any]
    made: float = field(default_factory=time.monotonic)
    at: int = 0


class Scans:
    """A replica's scans by their handles, which change with each batch."""

    def __init__(self, negative: bool) -> None:
        high = 1 << 31 if negative else 0
        self._next = (random.getrandbits(31) | 1 | high) << 32  # half of all real ones are negative
        self._kept: dict[int, Scan] = {}

    def keep(self, scan: Scan) -> int:
        """A new handle for it."""
        handle = self._next
        self._next += 1
        scan.made = time.monotonic()
        handle = handle - (1 << 64) if handle >> 63 else handle
        self._kept[handle] = scan
        return handle

    def take(self, handle: int, seconds: float) -> Scan | None:
        """The scan, which has to be kept again; None when it is not known, or was idle for longer."""
        oldest = time.monotonic() - seconds
        for old in [number for number, scan in self._kept.items() if scan.made < oldest]:
            del self._kept[old]
        return self._kept.pop(handle, None)


class Partition:
    """One partition. The rows are everywhere the same."""

    def __init__(self, table: Table, index: int) -> None:
        self.table, self.index = table, index
        self.ballot = 0
        self.primary = ""  # names of servers, as the metas know it
        self.secondaries: list[str] = []
        self.last_drops: list[str] = []
        self.holders: dict[str, str] = {}  # by server: what it is, as the servers know it
        self.decree = 0
        self.rows = Rows()
        self.lock = threading.RLock()
        self.limits = Limits()
        self.splits = False  # it refuses everything while its child is registered
        self.scans = self._no_scans()

    def _no_scans(self) -> Scans:
        return Scans(bool(self.index % 2) or self.table.partition_count == 1)

    @property
    def members(self) -> list[str]:
        """All servers that have it."""
        return [self.primary] * bool(self.primary) + self.secondaries

    def settle(self) -> None:
        """The servers learn what the metas have decided; whoever becomes primary knows no scans."""
        holders = dict.fromkeys(self.secondaries, SECONDARY)
        if self.primary:
            holders[self.primary] = PRIMARY
        if self.holders.get(self.primary) != PRIMARY:
            self.scans = self._no_scans()
        self.holders = holders

    def put(self, key: bytes, value: bytes, expire: int) -> None:
        """Sets a row. expire: as it was asked for; the table's default_ttl stands for 0."""
        if not expire and self.table.applied.default_ttl:
            expire = now_ts() + self.table.applied.default_ttl
        self.rows.put(key, Row(value, expire & 0xFFFFFFFF))


@dataclass
class Applied:
    """What replica servers have made of a table's environment."""

    envs: dict[str, str] = field(default_factory=dict)
    default_ttl: int = 0
    validate: bool = False
    denied: tuple[str, str] = ("", "")  # "timeout" or "reconfig", and "all", "write" or "read"

    def learned(self, envs: dict[str, str]) -> Applied:
        """After another environment. A default_ttl that is no longer there stays in force, as on real servers."""
        ttl = integer(envs.get(TTL, ""), 32)
        words = envs.get(DENY, "*").split("*")
        return Applied(
            dict(envs),
            ttl if ttl is not None and ttl >= 0 else self.default_ttl,
            bool(boolean(envs.get(VALIDATE, "false"))),
            (words[0], words[-1]) if len(words) == 2 else ("", ""),
        )


@dataclass
class Table:
    """One table, dropped or not."""

    app_id: int
    name: str
    partition_count: int
    max_replica_count: int
    app_type: str = "pegasus"
    is_stateful: bool = True
    envs: dict[str, str] = field(default_factory=dict)
    status: int = AVAILABLE
    create_second: int = 0
    drop_second: int = 0
    expire_second: int = 0
    init_partition_count: int = -1
    atomic_idempotent: bool = False
    opened: bool = False  # its first primaries have been there
    deadly: bool = False  # it was told that servers die of it
    splitting: bool = False
    partitions: list[Partition] = field(default_factory=list)
    applied: Applied = field(default_factory=Applied)

    def __post_init__(self) -> None:
        self.partitions = [Partition(self, index) for index in range(self.partition_count)]

    @property
    def version(self) -> int:
        """What replica servers mask hashes with."""
        return (self.partition_count // 2 if self.splitting else self.partition_count) - 1

    def about(self, later: bool) -> dict[str, Any]:
        """As LIST_APPS tells it."""
        return {
            "status": self.status,
            "app_type": self.app_type,
            "app_name": self.name,
            "app_id": self.app_id,
            "partition_count": self.partition_count,
            "envs": dict(self.envs),
            "is_stateful": self.is_stateful,
            "max_replica_count": self.max_replica_count,
            "expire_second": self.expire_second,
            "create_second": self.create_second,
            "drop_second": self.drop_second,
            "init_partition_count": self.init_partition_count,
            "atomic_idempotent": self.atomic_idempotent if later else None,
        }
