# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept when the stand-in is stopped: its tables in a JSON file, their rows in one of length and bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import BinaryIO

from polystore_sandbox.pegasus.cluster import Cluster
from polystore_sandbox.pegasus.rows import Row
from polystore_sandbox.pegasus.tables import AVAILABLE, DROPPED, Table

_ROW = struct.Struct(">iiIII")  # table, partition, lengths of key and value, expiry
TABLES, ROWS = "tables.json", "rows.bin"
_FIELDS = (
    *("app_id", "name", "partition_count", "max_replica_count", "app_type", "is_stateful", "envs", "status"),
    *("create_second", "drop_second", "expire_second", "init_partition_count", "atomic_idempotent"),
)


def to_keep(cluster: Cluster, folder: Path) -> None:
    """Writes tables and rows; a table that is being split is finished first."""
    with cluster.lock:
        cluster.hurry()
        about = [
            {
                **{name: getattr(table, name) for name in _FIELDS},
                "decrees": [partition.decree for partition in table.partitions],
                "ballots": [partition.ballot for partition in table.partitions],
                "drops": [partition.last_drops for partition in table.partitions],
            }
            for table in cluster.tables.values()
        ]
        beside = folder / f"{ROWS}.new"
        with beside.open("wb") as file:
            for table in cluster.tables.values():
                _write_rows(table, file)
        beside.replace(folder / ROWS)
        beside = folder / f"{TABLES}.new"
        beside.write_text(json.dumps({"tables": about}), encoding="utf-8")
        beside.replace(folder / TABLES)


def _write_rows(table: Table, file: BinaryIO) -> None:
    for partition in table.partitions:
        for key, row in partition.rows.data.items():
            file.write(_ROW.pack(table.app_id, partition.index, len(key), len(row.value), row.expire))
            file.write(key + row.value)


def remember(cluster: Cluster, folder: Path) -> bool:
    """Takes up what was kept; False when there is nothing."""
    try:
        kept = json.loads((folder / TABLES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    with cluster.lock:
        for about in kept["tables"]:
            table = Table(**{name: about[name] for name in _FIELDS})
            cluster.tables[table.app_id] = table
            for partition, decree, ballot, drops in zip(
                table.partitions, about["decrees"], about["ballots"], about["drops"]
            ):
                partition.decree, partition.ballot, partition.last_drops = decree, ballot, drops
        _read_rows(cluster, folder / ROWS)
        for table in cluster.tables.values():
            table.opened = table.status == DROPPED or any(partition.ballot > 0 for partition in table.partitions)
            if table.status == AVAILABLE:
                cluster.open(table)
        cluster.hurry()
    return True


def _read_rows(cluster: Cluster, path: Path) -> None:
    with path.open("rb") as file:
        while head := file.read(_ROW.size):
            app_id, index, key, value, expire = _ROW.unpack(head)
            cluster.tables[app_id].partitions[index].rows.put(file.read(key), Row(file.read(value), expire))
