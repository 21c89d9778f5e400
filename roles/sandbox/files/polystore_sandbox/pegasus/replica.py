# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica server answers: who may ask it what, and single rows. Ranges and writes have modules of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polystore_sandbox.pegasus.cluster import Cluster, Node
from polystore_sandbox.pegasus.keys import Abort, after, joined, key_hash, parted
from polystore_sandbox.pegasus.ranges import INVALID, NOT_FOUND, alive, get_scanner, multi_get, scan
from polystore_sandbox.pegasus.schema import DATA, RPCS
from polystore_sandbox.pegasus.settings import Settings
from polystore_sandbox.pegasus.tables import PRIMARY, Partition, now_ts
from polystore_sandbox.pegasus.thrift import written_rows
from polystore_sandbox.pegasus.throttling import Throttled
from polystore_sandbox.pegasus.wire import Refused, Request, Silent
from polystore_sandbox.pegasus.writing import WRITES

Answer = dict[str, Any]


def get(partition: Partition, key: bytes, _settings: Settings) -> Answer:
    """One value."""
    parted(key)
    row = partition.rows.data.get(key)
    if row is None or not alive(row.expire, now_ts()):
        return {"error": NOT_FOUND}
    return {"value": row.value}


def ttl(partition: Partition, key: bytes, _settings: Settings) -> Answer:
    """The seconds that a row has left; -1: it stays."""
    parted(key)
    row, now = partition.rows.data.get(key), now_ts()
    if row is None or not alive(row.expire, now):
        return {"error": NOT_FOUND}
    left = row.expire - now if row.expire else -1
    return {"ttl": left - (1 << 32) if left >= 1 << 31 else left}


def sortkey_count(partition: Partition, hash_key: bytes, settings: Settings) -> Answer:
    """How many rows a hash key has; -1 when there was no time to count."""
    rows, now = partition.rows, now_ts()
    first, last = rows.span(joined(hash_key), True, after(joined(hash_key)), False)
    if settings.slow_rows and last - first > settings.slow_rows:
        return {"count": -1}
    return {"count": sum(alive(rows.data[key].expire, now) for key in rows.keys()[first:last])}


def batch_get(partition: Partition, args: Answer, _settings: Settings) -> Answer:
    """Rows of any hash keys; those that are missing are left out."""
    if not args["keys"]:
        return {"error": INVALID}
    found: list[tuple[bytes, ...]] = []
    now = now_ts()
    for key in args["keys"]:
        row = partition.rows.data.get(joined(key["hash_key"], key["sort_key"]))
        if row is not None and alive(row.expire, now):
            found.append((key["hash_key"], key["sort_key"], row.value))
    return {"rows": written_rows(found)}


def clear_scanner(partition: Partition, handle: int, settings: Settings) -> Answer:
    """Forgets a scan; nobody is told."""
    partition.scans.take(handle, settings.scan_seconds)
    raise Silent


READS: dict[str, Callable[[Partition, Any, Settings], Answer]] = {
    "GET": get,
    "TTL": ttl,
    "SORTKEY_COUNT": sortkey_count,
    "MULTI_GET": multi_get,
    "BATCH_GET": batch_get,
    "GET_SCANNER": get_scanner,
    "SCAN": scan,
    "CLEAR_SCANNER": clear_scanner,
}


class Replica:
    """One replica server."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.cluster, self.node = cluster, node

    @property
    def what(self) -> str:
        """In the log."""
        return self.node.name

    def describe(self, request: Request) -> None:
        """What it is about, for the log: table/partition, and the hash key where there is one."""
        table = self.cluster.tables.get(request.app_id)
        if not request.rpc.startswith(DATA) or table is None:
            return
        args = request.args
        if isinstance(args, dict):
            keys = args.get("keys")
            hash_key = args.get("hash_key", keys[0]["hash_key"] if keys else b"")
            raw = args.get("key", args.get("start", b""))
        else:
            hash_key, raw = (args, b"") if request.name == "SORTKEY_COUNT" else (b"", args)
        if isinstance(raw, bytes) and len(raw) > 2:
            hash_key = raw[2 : 2 + int.from_bytes(raw[:2], "big")]
        words = hash_key.decode("utf-8", "backslashreplace") if isinstance(hash_key, bytes) else ""
        request.path = f"{table.name}/{request.partition}/{words}"

    def partition(self, request: Request) -> Partition | None:
        """The one that a request is for, if this cluster has it."""
        table = self.cluster.tables.get(request.app_id)
        if table is None or not 0 <= request.partition < len(table.partitions):
            return None
        return table.partitions[request.partition]

    def answer(self, request: Request) -> Answer:
        """Carries it out; raises Refused, Silent, Throttled or Abort."""
        if not request.rpc.startswith(DATA) or request.rpc not in RPCS:
            raise Refused("ERR_HANDLER_NOT_FOUND")
        partition = self.partition(request)
        role = partition.holders.get(self.node.name) if partition else None
        if partition is None or role is None:
            raise Refused("ERR_OBJECT_NOT_FOUND")
        with partition.lock:
            if request.name in WRITES:
                answer = self._write(request, partition, role)
            else:
                answer = self._read(request, partition, role)
        server = self.node.where(self.cluster.settings.later)
        return {"app_id": request.app_id, "partition": request.partition, "server": server, **answer}

    def _admit(self, request: Request, partition: Partition, kind: str) -> None:
        """Who is denied by the table's environment."""
        how, what = partition.table.applied.denied
        if what in ("all", kind):
            if how == "reconfig":
                raise Refused("ERR_INVALID_STATE")
            raise Silent

    def _right_partition(self, request: Request, partition: Partition) -> None:
        """Where hashes are checked: whose key went to a child is told so."""
        if partition.table.applied.validate:
            if partition.splits:
                raise Refused("ERR_SPLITTING")
            if request.partition_hash & partition.table.version != partition.index:
                raise Refused("ERR_PARENT_PARTITION_MISUSED")

    def _read(self, request: Request, partition: Partition, role: str) -> Answer:
        table, settings = partition.table, self.cluster.settings
        self._admit(request, partition, "read")
        self._right_partition(request, partition)
        if request.backup:
            if not request.patient:
                self._backup(request, partition)
        else:
            if not request.patient:
                self._throttle(request, partition, "replica.read_throttling", 1)
            if role != PRIMARY:
                raise Refused("ERR_INVALID_STATE")
        envs, count = table.applied.envs, table.partition_count
        if request.name != "CLEAR_SCANNER" and not partition.limits.readable(envs, count):
            raise Refused("ERR_BUSY")
        answer = READS[request.name](partition, request.args, settings)
        if "replica.read_throttling_by_size" in envs:
            partition.limits.read(len(answer.get("rows") or answer.get("value") or b""))
        return answer

    def _backup(self, request: Request, partition: Partition) -> None:
        """A backup request that is too much is never answered."""
        try:
            self._throttle(request, partition, "replica.backup_request_throttling", 1)
        except Throttled as exc:
            if exc.reject:
                raise Silent from exc
            raise

    def _throttle(self, request: Request, partition: Partition, name: str, amount: int) -> None:
        table = partition.table
        partition.limits.check(table.applied.envs, name, table.partition_count, amount, request.timeout)

    def _write(self, request: Request, partition: Partition, role: str) -> Answer:
        table, settings = partition.table, self.cluster.settings
        if request.thread_hash is not None and request.thread_hash != request.app_id * 7919 + request.partition:
            raise Abort(f"a write with the thread hash {request.thread_hash}")
        self._admit(request, partition, "write")
        if request.size > settings.write_bytes:
            raise Refused("ERR_INVALID_DATA")
        self._right_partition(request, partition)
        if role != PRIMARY:
            raise Refused("ERR_INVALID_STATE")
        least = 1 if table.max_replica_count <= 2 else table.max_replica_count // 2 + 1
        if len(partition.members) < least:
            raise Refused("ERR_NOT_ENOUGH_MEMBER")
        if not request.patient:
            self._throttle(request, partition, "replica.write_throttling", 1)
            self._throttle(request, partition, "replica.write_throttling_by_size", request.size)
        if request.partition_hash and request.name in ("PUT", "REMOVE"):
            key = request.args["key"] if isinstance(request.args, dict) else request.args
            if key_hash(key) != request.partition_hash:
                raise Abort("a write with a partition hash that is not the key's")
        partition.decree += 1
        return {**WRITES[request.name](partition, request.args), "decree": partition.decree}
