# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for tables of Pegasus and for questions, on 2.5.0 and on what is to follow."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.tables import Tables
from ansible_collections.polystore.storage.tests.contract.harness import Case, Question, World
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import new_table

SERVERS = {"2.5.0": "pegasus_server", "master": "pegasus_master_server"}


def named(world: World) -> dict[str, Any]:
    return {"name": world.name}


def on(name: str, args: Any, changed: Any, versions: str = "2.5.0 master", **more: Any) -> list[Case]:
    rows = versions.split()
    return [
        Case("pegasus table %s, %s" % (name, v), Tables, named, args, changed, server=SERVERS[v], **more) for v in rows
    ]


CASES = [
    *on("bare", lambda world: {}, lambda world: {"replica_count": 1}),
    *on(
        "everything",
        lambda world: {
            "partition_count": 4,
            "replica_count": 2,
            "envs": {"default_ttl": 600, "business.info": "ü", "replica.write_throttling": "20K*delay*100"},
        },
        lambda world: {"envs": {"default_ttl": None, "rocksdb.usage_scenario": "prefer_write"}},
    ),
    *on(
        "purged",
        lambda world: {"partition_count": 1, "envs": {"business.info": "x", "replica.slow_query_threshold": 20}},
        lambda world: {"envs": {"business.info": "y"}, "purge_envs": True},
        "2.5.0",
    ),
    *on(
        "not waited for",
        lambda world: {"wait": False, "envs": {"manual_compact.disabled": True}},
        lambda world: {"wait": False, "envs": {"manual_compact.disabled": False}},
        "2.5.0",
    ),
]


def filled(world: World) -> None:
    """A table with rows."""
    new_table(world.server, world.name, 2)
    client = world.client()
    client.multi_put(world.name, b"h", {b"a": b"1", b"b": b"2"})
    client.put(world.name, b"other", b"", b"3")


def asking(**options: Any) -> Any:
    return lambda world: {"table": world.name, **options}


ASKED = {
    "tables": lambda world: {"gather": ["tables", "nodes", "cluster"]},
    "one": asking(gather=["table", "partitions"]),
    "row": asking(gather=["value", "exists"], hash_key="h", sort_key="a"),
    "range": asking(gather=["range", "sort_keys"], hash_key="h", start="a", reverse=True, limit=1),
    "scan": asking(gather=["scan", "count"], match="prefix", pattern="b", batch_size=1),
}
QUESTIONS = [
    Question("pegasus %s, %s" % (name, version), Info, args, filled, server=server)
    for name, args in ASKED.items()
    for version, server in SERVERS.items()
]
