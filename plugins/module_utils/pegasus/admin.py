# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus's tables and servers: created, dropped, recalled, renamed, their envs and replicas, and who is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.values import plain_text
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Connected, shown, word
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import TABLE, meta
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import RequestError, Server, Struct

NODE_STATES = ("all", "alive", "unalive")
LEVELS = {0: "invalid", 100: "stopped", 200: "blind", 300: "freezed", 400: "steady", 500: "lively"}

_NODE = Struct("1 status! i32, 2 node address, 3 hp_node host_port")
_OPTIONS = Struct("1 partitions i32, 2 replicas i32, 3 exist_ok bool, 4 type text, 5 stateful bool, 6 envs map")
_DROP = Struct("1 missing_ok bool, 2 reserve i64")

CREATE = meta("CREATE_APP", "create table", "1 name text, 2 options options", "2 app_id i32", "once", options=_OPTIONS)
DROP = meta("DROP_APP", "drop table", "1 name text, 2 options options", "", "write", options=_DROP)
RECALL = meta("RECALL_APP", "recall table", "1 app_id i32, 2 name text", "2 table table", "once", table=TABLE)
RENAME = meta("RENAME_APP", "rename table", "1 old text, 2 new text", "2 hint text", "once")
LIST_NODES = meta("LIST_NODES", "list nodes", "1 status i32", "2 nodes [node]", node=_NODE)
CLUSTER_INFO = meta("CLUSTER_INFO", "query cluster", "", "2 keys [text], 3 values [text]")
UPDATE_ENV = meta(
    "UPDATE_APP_ENV", "update envs", "1 name text, 2 op i32, 3 keys [text], 4 values [text], 5 prefix text",
    "2 hint text", "write",
)  # fmt: skip
GET_REPLICAS = meta("GET_MAX_REPLICA_COUNT", "query replica count", "1 name text", "2 count i32, 3 hint text")
SET_REPLICAS = meta(
    "SET_MAX_REPLICA_COUNT", "set replica count", "1 name text, 2 count i32", "2 old i32, 3 hint text", "write"
)
CONTROL = meta("CONTROL_META", "query level", "1 level i32", "2 old i32")
READ_LEVEL = 10000  # the level that changes nothing
ENV_SET, ENV_DELETE, ENV_CLEAR = 1, 2, 3
# What may be in the meta servers before a partition is opened for the first time. Anything else may crash whoever
# opens it: default_ttl and manual_compact.once.* do, again after each restart, until the table is dropped.
HARMLESS = frozenset(("replica.slow_query_threshold", "business.info", "rocksdb.usage_scenario",
                      "manual_compact.disabled", "rocksdb.num_levels", "replica.deny_client_request",
                      "user_specified_compaction"))  # fmt: skip


class PegasusAdmin(Connected):
    """The tables of one Pegasus cluster. Thread-safe. All methods raise PegasusError."""

    def create(self, name: str, partitions: int, replicas: int, exist_ok: bool = False) -> int:
        """Create a table; its id. It can be used some seconds later, when config(name).ready.

        exist_ok: an equal one may exist. There are no envs: some crash every server that opens the new table.
        """
        options: tuple[Any, ...] = (partitions, replicas, exist_ok, "pegasus", True, {})
        reply = self.cluster.meta(CREATE, _new(name), options, what=name)
        self.cluster.forget(name)
        return int(reply["app_id"])

    def drop(self, name: str, reserve: int | None = None) -> None:
        """Drop a table, if there is one. reserve: seconds for which it can be recalled; None: the servers' 7 days."""
        if reserve is not None and reserve < 1:
            raise RequestError("drop table %s: it is kept for 1 second at least" % name, operation="drop table")
        self.cluster.meta(DROP, name, (True, reserve), what=name)
        self.cluster.forget(name)

    def recall(self, app_id: int, name: str = "") -> dict[str, Any]:
        """Bring back the dropped table with this id, under its old name or another."""
        reply = self.cluster.meta(RECALL, app_id, name and _new(name), what=str(app_id))
        self.cluster.forget(reply["table"]["name"])
        return shown(reply["table"])

    def rename(self, old: str, new: str) -> None:
        """Give a table another name (from 2.5 on)."""
        self.cluster.meta(RENAME, old, _new(new), what=old)
        self.cluster.forget(old)
        self.cluster.forget(new)

    def set_envs(self, name: str, envs: Mapping[str, str]) -> None:
        """Set envs of a table, all or none of them.

        Raises RequestError for those that may crash the servers of a table which has not been opened everywhere.
        """
        risky = sorted(set(envs) - HARMLESS)
        if risky and not self.cluster.config(name).ready:
            told = "update envs %s: %s may crash servers while a partition has no primary" % (name, risky[0])
            raise RequestError(told, operation="update envs", hint="Wait until every partition has one", transient=True)
        keys, values = list(envs), list(envs.values())
        self.cluster.meta(UPDATE_ENV, name, ENV_SET, keys, values, None, what=name)

    def delete_envs(self, name: str, keys: Sequence[str]) -> None:
        """Remove envs of a table; one that is not set is no error."""
        self.cluster.meta(UPDATE_ENV, name, ENV_DELETE, list(keys), None, None, what=name)

    def replica_count(self, name: str) -> int:
        """How many replicas each partition of a table shall have."""
        return int(self.cluster.meta(GET_REPLICAS, name, what=name)["count"])

    def set_replica_count(self, name: str, count: int) -> int:
        """Set it (from 2.4 on); the count that it was before."""
        return int(self.cluster.meta(SET_REPLICAS, name, count, what=name)["old"])

    def nodes(self) -> list[tuple[Server | None, str]]:
        """(address, "alive" or "unalive") of the replica servers."""
        found = self.cluster.meta(LIST_NODES, 0)["nodes"]
        return [(row["node"] or row["hp_node"], word(NODE_STATES, row["status"])) for row in found]

    def info(self) -> dict[str, str]:
        """What the meta servers say of the cluster: its name, who leads, its level, and more."""
        reply = self.cluster.meta(CLUSTER_INFO)
        return dict(zip(reply["keys"], reply["values"]))

    def level(self) -> str:
        """What the meta servers may do by themselves, one of LEVELS."""
        number = self.cluster.meta(CONTROL, READ_LEVEL)["old"]
        return LEVELS.get(number, "level %d" % number)


def _new(name: str) -> str:
    """A name for a table: servers take anything, and then there is no way to write it."""
    try:
        if not plain_text(name).strip() or name != name.strip():
            raise ValueError("%r is empty, or has blanks around it" % name)
    except ValueError as error:
        raise RequestError("table: %s" % error, operation="check name") from None
    return name
