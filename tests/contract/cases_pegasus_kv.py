# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for rows in Pegasus."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.tests.contract.harness import Case, World
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import new_table

SECRET = "the value itself, which no result shows"
LARGE = "".join("%08d" % n for n in range(100_000))
SERVERS = {"2.5": "pegasus_server", "master": "pegasus_master_server"}


def table(world: World) -> None:
    new_table(world.server, world.name)


def at(world: World) -> dict[str, Any]:
    return {"table": world.name, "hash_key": "ä key/with #%&", "sort_key": "ö"}


def binary(world: World) -> dict[str, Any]:
    keys = (b"\0\xff\xfe", b"\xff" * 20)
    both = [base64.b64encode(key).decode() for key in keys]
    return {"table": world.name, "hash_key_b64": both[0], "sort_key_b64": both[1]}


def alone(world: World) -> dict[str, Any]:
    return {"table": world.name, "hash_key": "", "sort_key": "spread"}


def row(name: str, version: str, args: Any, changed: Any, identity: Any = at, **more: Any) -> Case:
    options = {"volatile": ("size", "value", "expires"), "setup": table, "server": SERVERS[version], **more}
    return Case("pegasus kv, %s, %s" % (name, version), KvResource, identity, args, changed, **options)


CASES = [
    *(row("bare", version, lambda world: {"value": SECRET}, lambda world: {"value": "b"}, secrets=(SECRET,))
      for version in SERVERS),
    *(row("lives", version, lambda world: {"value": "", "ttl": "2h"}, lambda world: {"ttl": "never"})
      for version in SERVERS),
    row("binary", "2.5", lambda world: {"value_b64": "AP8="}, lambda world: {"value": LARGE, "ttl": 3600}, binary),
    row("no hash key", "2.5", lambda world: {"value": "1"}, lambda world: {"value": "2"}, alone),
    row("conditional", "2.5", lambda world: {"value": "1", "only_if": {"op": "not_exist", "sort_key": "other"}},
        lambda world: {"value": "2", "only_if": {"op": "int_less", "operand": "2"}}),
]  # fmt: skip
