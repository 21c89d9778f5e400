# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a meta answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from polystore_sandbox.pegasus.cluster import Cluster, Node
from polystore_sandbox.pegasus.envs import refusal, refused_at_creation
from polystore_sandbox.pegasus.keys import Abort
from polystore_sandbox.pegasus.schema import DATA, MASTER_META, META
from polystore_sandbox.pegasus.tables import AVAILABLE, DROPPED, Table
from polystore_sandbox.pegasus.wire import Refused, Request

OK, BAD, MISSING, EXISTS = "ERR_OK", "ERR_INVALID_PARAMETERS", "ERR_APP_NOT_EXIST", "ERR_APP_EXIST"
READ_LEVEL = 10000
MOST, LEAST = 5, 1  # replicas
Answer = dict[str, Any]
# By type: all, exact, anywhere, prefix, postfix, regular expression.
_MATCHES: dict[int, Callable[[str, str], object]] = {
    1: lambda name, pattern: True,
    2: lambda name, pattern: name == pattern,
    3: lambda name, pattern: pattern in name,
    4: lambda name, pattern: name.startswith(pattern),
    5: lambda name, pattern: name.endswith(pattern),
    6: lambda name, pattern: re.fullmatch(pattern, name),
}


class Meta:
    """One meta."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.cluster, self.node = cluster, node
        self.what = node.name

    def describe(self, request: Request) -> None:
        """What it is about, for the log."""
        args = request.args if isinstance(request.args, dict) else {}
        request.path = str(args.get("app_name", args.get("old_name", args.get("app_id", ""))))

    def answer(self, request: Request) -> Answer:
        """Carries it out; raises Refused or Abort."""
        if request.rpc.startswith(DATA):
            raise Abort("a data request to a meta, which has no threads for it")
        cluster = self.cluster
        handler = self._handlers().get(request.rpc.removeprefix(META))
        if handler is None or (request.rpc.removeprefix(META) in MASTER_META and not cluster.settings.later):
            raise Refused("ERR_HANDLER_NOT_FOUND")
        with cluster.lock:
            if cluster.leader != self.node.name:
                return self._forward(request)
            return handler(request.args)

    def _handlers(self) -> dict[str, Callable[[Any], Answer]]:
        return {
            "QUERY_PARTITION_CONFIG_BY_INDEX": self._query,
            "CREATE_APP": self._create,
            "DROP_APP": self._drop,
            "RECALL_APP": self._recall,
            "RENAME_APP": self._rename,
            "LIST_APPS": self._list,
            "LIST_NODES": self._nodes,
            "CLUSTER_INFO": self._info,
            "UPDATE_APP_ENV": self._envs,
            "GET_MAX_REPLICA_COUNT": self._get_count,
            "SET_MAX_REPLICA_COUNT": self._set_count,
            "CONTROL_META": self._control,
            "START_PARTITION_SPLIT": self._split,
            "GET_ATOMIC_IDEMPOTENT": self._get_idempotent,
            "SET_ATOMIC_IDEMPOTENT": self._set_idempotent,
        }

    def _forward(self, request: Request) -> Answer:
        """Another one leads; only the answer to a query says which."""
        cluster = self.cluster
        answer: Answer = {"err": "ERR_FORWARD_TO_OTHERS"}
        if request.rpc.endswith("_BY_INDEX") and cluster.leader:
            leader: Answer = {"primary": cluster.address(cluster.leader)}
            if cluster.settings.later:
                leader["hp_primary"] = cluster.host_port(cluster.leader)
            answer["partitions"] = [leader]
        return answer

    # --- reading -------------------------------------------------------------------------------------------------

    def _query(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": "ERR_OBJECT_NOT_FOUND"}
        wanted = [index for index in args["indices"] if 0 <= index < len(table.partitions)]
        return {
            "app_id": table.app_id,
            "partition_count": table.partition_count,
            "is_stateful": table.is_stateful,
            "partitions": [self._partition(table, index) for index in wanted or range(len(table.partitions))],
        }

    def _partition(self, table: Table, index: int) -> Answer:
        cluster, partition = self.cluster, table.partitions[index]
        made: Answer = {
            "pid": (table.app_id, index),
            "ballot": partition.ballot,
            "max_replica_count": table.max_replica_count if partition.ballot >= 0 else 0,
            "primary": cluster.address(partition.primary),
            "secondaries": [cluster.address(name) for name in partition.secondaries],
            "last_drops": [cluster.address(name) for name in partition.last_drops],
        }
        if cluster.settings.later:
            made["hp_primary"] = cluster.host_port(partition.primary)
            made["hp_secondaries"] = [cluster.host_port(name) for name in partition.secondaries]
            made["hp_last_drops"] = [cluster.host_port(name) for name in partition.last_drops]
        return made

    def _list(self, args: Answer) -> Answer:
        later = self.cluster.settings.later
        tables = [table for table in self.cluster.tables.values() if args["status"] in (0, table.status)]
        if later and args["pattern"]:
            matches = _MATCHES.get(args["match"] or 0)
            if matches is None:
                return {"err": BAD, "hint": "invalid match type"}
            tables = [table for table in tables if matches(table.name, args["pattern"])]
        return {"infos": [table.about(later) for table in tables]}

    def _nodes(self, args: Answer) -> Answer:
        cluster = self.cluster
        infos: list[Answer] = []
        for node in cluster.nodes:
            if args["status"] in (0, 1 if node.alive else 2):
                infos.append({"status": 1 if node.alive else 2, "node": cluster.address(node.name)})
                if cluster.settings.later:
                    infos[-1]["hp_node"] = cluster.host_port(node.name)
        return {"infos": infos}

    def _info(self, _args: Answer) -> Answer:
        cluster = self.cluster
        later = cluster.settings.later
        counts = {"copy_pri": 0, "copy_sec": 0, "move_pri": 0, "total": 0}
        old = ",".join(f"{name}={counts[name]}" for name in ("move_pri", "copy_pri", "copy_sec", "total"))
        found = {
            "meta_servers": ",".join(meta.where(later) for meta in cluster.metas),
            "primary_meta_server": self.node.where(later),
            "zookeeper_hosts": "127.0.0.1:22181",
            "zookeeper_root": "/pegasus/onebox/127.0.0.1",
            "meta_function_level": self._level_name(),
            "balance_operation_count": json.dumps(counts, indent=2) if later else old,
            "primary_replica_count_stddev": cluster.spread(False),
            "total_replica_count_stddev": cluster.spread(True),
            "cluster_name": "onebox",
        }
        return {"keys": list(found), "values": list(found.values())}

    def _level_name(self) -> str:
        level = 300 if self.cluster.frozen() and self.cluster.level > 300 else self.cluster.level
        return {100: "stopped", 200: "blind", 300: "freezed", 400: "steady", 500: "lively"}[level]

    def _control(self, args: Answer) -> Answer:
        old = self.cluster.level
        if args["level"] != READ_LEVEL:
            if args["level"] not in (100, 200, 300, 400, 500):
                return {"err": BAD, "old": old}
            self.cluster.level = args["level"]
        return {"old": old}

    # --- tables --------------------------------------------------------------------------------------------------

    def _too_many(self, count: int) -> str:
        """Why a table cannot have so many replicas."""
        if not LEAST <= count <= MOST:
            return f"requested replica count({count}) must be within the range of [min={LEAST}, max={MOST}]"
        alive = self.cluster.alive()
        if count > alive:
            return f"there are not enough alive replica servers({alive}) for the requested replica count({count})"
        return ""

    def _create(self, args: Answer) -> Answer:
        cluster, options = self.cluster, args["options"]
        if cluster.frozen():
            return {"err": "ERR_STATE_FREEZED"}
        if options["partition_count"] <= 0 or self._too_many(options["replica_count"]):
            return {"err": BAD}
        if refused_at_creation(options["envs"], cluster.settings.later):
            return {"err": BAD}
        about = {
            "partition_count": options["partition_count"],
            "max_replica_count": options["replica_count"],
            "app_type": options["app_type"],
            "is_stateful": options["is_stateful"],
            "envs": options["envs"],
        }
        table = cluster.found(args["app_name"])
        if table is not None:
            if not options["success_if_exist"]:
                return {"err": EXISTS}
            if any(getattr(table, name) != value for name, value in about.items()):
                return {"err": BAD}
            return {"appid": table.app_id}
        about["atomic_idempotent"] = bool(options["atomic_idempotent"]) and cluster.settings.later
        made = cluster.create(args["app_name"], init_partition_count=options["partition_count"], **about)
        return {"appid": made.app_id}

    def _drop(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": OK if args["options"]["success_if_not_exist"] else MISSING}
        if table.splitting:
            return {"err": "ERR_SPLITTING"}
        self.cluster.drop(table, args["options"]["reserve"] or 0)
        return {}

    def _recall(self, args: Answer) -> Answer:
        cluster = self.cluster
        table = cluster.tables.get(args["app_id"])
        if table is None:
            return {"err": MISSING}
        if table.status != DROPPED:
            return {"err": EXISTS}
        if table.expire_second < time.time():
            return {"err": MISSING}
        name = args["new_name"] or table.name
        if cluster.found(name):
            return {"err": BAD}
        cluster.recall(table, name)
        return {"info": table.about(cluster.settings.later)}

    def _rename(self, args: Answer) -> Answer:
        old, new = args["old_name"], args["new_name"]
        table = self.cluster.found(old)
        if table is None:
            return {"err": MISSING, "hint": f"ERROR: app({old}) not exist!"}
        if self.cluster.found(new):
            return {"err": BAD, "hint": f"ERROR: app({new}) already exist!"}
        table.name = new
        return {}

    def _split(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": MISSING, "hint": "app not existed"}
        if args["partition_count"] != table.partition_count * 2:
            return {"err": BAD, "hint": f"wrong partition_count, should be {table.partition_count * 2}"}
        if table.splitting:
            return {"err": "ERR_BUSY", "hint": f"app({table.name}) is already executing partition split"}
        self.cluster.split(table)
        return {}

    # --- environments and replica counts -------------------------------------------------------------------------

    def _envs(self, args: Answer) -> Answer:
        later = self.cluster.settings.later
        keys, values, op = args["keys"], args["values"], args["op"]
        if op == 1:
            if not keys or values is None or len(keys) != len(values):
                return {"err": BAD}
            for key, value in zip(keys, values):
                if hint := refusal(key, value, later):
                    return {"err": BAD, "hint": hint}
        elif (op == 2 and not keys) or (op == 3 and args["prefix"] is None) or op not in (1, 2, 3):
            return {"err": BAD}
        table = self.cluster.found(args["app_name"])
        if table is None:
            return (
                {"err": MISSING, "hint": "app cannot be found"} if later else {"err": BAD, "hint": "invalid app name"}
            )
        if op == 1:
            table.envs.update(zip(keys, values))
            self.cluster.changed(table)
            return {}
        if op == 2:
            gone = [key for key in dict.fromkeys(keys) if key in table.envs]
        else:
            prefix = args["prefix"]
            gone = [
                key
                for key in sorted(table.envs)
                if not prefix or (key.startswith(f"{prefix}.") and len(key) > len(prefix) + 1)
            ]
        if not gone:
            return {"hint": "no key needs to be deleted" if later else "no key need to delete"}
        for key in gone:
            del table.envs[key]
        self.cluster.changed(table)
        return {"hint": "".join(["deleted keys:", *(f"\n    {key}" for key in gone)])}

    def _get_count(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": MISSING, "hint": f"app({args['app_name']}) does not exist"}
        return {"count": table.max_replica_count}

    def _set_count(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": MISSING, "hint": f"app({args['app_name']}) does not exist"}
        old = table.max_replica_count
        if self.cluster.frozen():
            hint = "current meta function level is freezed, since there are too few alive nodes"
            return {"err": "ERR_STATE_FREEZED", "old": old, "hint": hint}
        if hint := self._too_many(args["count"]):
            return {"err": BAD, "old": old, "hint": hint}
        if args["count"] == old:
            return {"old": old, "hint": "no need to update max_replica_count since it's not changed"}
        table.max_replica_count = args["count"]
        if table.opened:
            self.cluster.after(self.cluster.settings.secondaries_seconds, lambda: self.cluster.complete(table))
        return {"old": old}

    def _get_idempotent(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None:
            return {"err": MISSING, "hint": f"app({args['app_name']}) does not exist"}
        return {"on": table.atomic_idempotent}

    def _set_idempotent(self, args: Answer) -> Answer:
        table = self.cluster.found(args["app_name"])
        if table is None or table.status != AVAILABLE:
            return {"err": MISSING, "hint": f"app({args['app_name']}) does not exist"}
        old, table.atomic_idempotent = table.atomic_idempotent, args["on"]
        return {"old": old}
