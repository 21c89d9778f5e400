# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests and answers that a Pegasus knows, by the names of their RPCs."""

from __future__ import annotations

from typing import NamedTuple

from polystore_sandbox.pegasus.thrift import Kind, Struct, field, optional

DATA, META = "RPC_RRDB_RRDB_", "RPC_CM_"

# --- data ----------------------------------------------------------------------------------------------------------

ROW = Struct(field(1, "key", "blob"), field(2, "value", "blob"), optional(3, "expire_ts", "i32"))
FULL_KEY = Struct(field(1, "hash_key", "blob"), field(2, "sort_key", "blob"))
FULL_ROW = Struct(*FULL_KEY.fields, field(3, "value", "blob"))
MUTATE = Struct(
    field(1, "operation", "i32"), field(2, "sort_key", "blob"), field(3, "value", "blob"), field(4, "expire_ts", "i32")
)


def _written(*between: tuple[str, str]) -> Struct:
    """The answer to a write, with what it has of its own."""
    rest = [("app_id", "i32"), ("partition", "i32"), ("decree", "i64"), ("server", "string")]
    fields = [("error", "i32"), *between, *rest]
    return Struct(*(field(number, name, kind) for number, (name, kind) in enumerate(fields, 1)))


def _read(*own: tuple[str, Kind]) -> Struct:
    """The answer to a read. There is no fifth field."""
    rest: list[tuple[str, Kind]] = [("app_id", "i32"), ("partition", "i32")]
    fields = [("error", "i32"), *own, *rest]
    numbered = [field(number, name, kind) for number, (name, kind) in enumerate(fields, 1)]
    return Struct(*numbered, field(6, "server", "string"))


CHECKED = _written(("returned", "bool"), ("exists", "bool"), ("value", "blob"))
SCANNED = Struct(
    field(1, "error", "i32"),
    field(2, "rows", [ROW]),
    field(3, "context", "i64"),
    field(4, "app_id", "i32"),
    field(5, "partition", "i32"),
    field(6, "server", "string"),
    optional(7, "count", "i32"),
)
_CHECK = (
    field(1, "hash_key", "blob"),
    field(2, "check_key", "blob"),
    field(3, "check", "i32"),
    field(4, "operand", "blob"),
)


class Rpc(NamedTuple):
    """request: the kind of the first argument. answer: the result's field 0; None: there is none."""

    request: Kind
    answer: Struct | None
    writes: bool = False


_DATA = {
    "PUT": Rpc(
        Struct(field(1, "key", "blob"), field(2, "value", "blob"), field(3, "expire_ts", "i32")), _written(), True
    ),
    "REMOVE": Rpc("blob", _written(), True),
    "MULTI_PUT": Rpc(
        Struct(field(1, "hash_key", "blob"), field(2, "rows", [ROW]), field(3, "expire_ts", "i32")), _written(), True
    ),
    "MULTI_REMOVE": Rpc(
        Struct(field(1, "hash_key", "blob"), field(2, "sort_keys", ["blob"]), field(3, "max_count", "i64")),
        _written(("count", "i64")),
        True,
    ),
    "INCR": Rpc(
        Struct(field(1, "key", "blob"), field(2, "increment", "i64"), field(3, "expire_ts", "i32")),
        _written(("new_value", "i64")),
        True,
    ),
    "CHECK_AND_SET": Rpc(
        Struct(
            *_CHECK,
            field(5, "other_key", "bool"),
            field(6, "set_key", "blob"),
            field(7, "set_value", "blob"),
            field(8, "expire_ts", "i32"),
            field(9, "return_value", "bool"),
        ),
        CHECKED,
        True,
    ),
    "CHECK_AND_MUTATE": Rpc(
        Struct(*_CHECK, field(5, "mutations", [MUTATE]), field(6, "return_value", "bool")), CHECKED, True
    ),
    "GET": Rpc("blob", _read(("value", "blob"))),
    "TTL": Rpc("blob", _read(("ttl", "i32"))),
    "SORTKEY_COUNT": Rpc("blob", _read(("count", "i64"))),
    "MULTI_GET": Rpc(
        Struct(
            field(1, "hash_key", "blob"),
            field(2, "sort_keys", ["blob"]),
            field(3, "max_count", "i32"),
            field(4, "max_size", "i32"),
            field(5, "no_value", "bool"),
            field(6, "start", "blob"),
            field(7, "stop", "blob"),
            field(8, "start_inclusive", "bool"),
            field(9, "stop_inclusive", "bool"),
            field(10, "filter", "i32"),
            field(11, "pattern", "blob"),
            field(12, "reverse", "bool"),
        ),
        _read(("rows", [ROW])),
    ),
    "BATCH_GET": Rpc(Struct(field(1, "keys", [FULL_KEY])), _read(("rows", [FULL_ROW]))),
    "GET_SCANNER": Rpc(
        Struct(
            field(1, "start", "blob"),
            field(2, "stop", "blob"),
            field(3, "start_inclusive", "bool"),
            field(4, "stop_inclusive", "bool"),
            field(5, "batch_size", "i32"),
            field(6, "no_value", "bool"),
            field(7, "hash_filter", "i32"),
            field(8, "hash_pattern", "blob"),
            field(9, "sort_filter", "i32"),
            field(10, "sort_pattern", "blob"),
            field(11, "validate_hash", "bool", True),
            field(12, "return_expire_ts", "bool"),
            field(13, "full_scan", "bool"),
            field(14, "only_count", "bool"),
        ),
        SCANNED,
    ),
    "SCAN": Rpc(Struct(field(1, "context", "i64")), SCANNED),
    "CLEAR_SCANNER": Rpc("i64", None),
}

# --- meta ----------------------------------------------------------------------------------------------------------

PARTITION = Struct(
    field(1, "pid", "gpid"),
    field(2, "ballot", "i64"),
    field(3, "max_replica_count", "i32"),
    field(4, "primary", "address"),
    field(5, "secondaries", ["address"]),
    field(6, "last_drops", ["address"]),
    field(7, "decree", "i64"),
    field(8, "flags", "i32"),
    optional(9, "hp_primary", "host_port"),
    optional(10, "hp_secondaries", ["host_port"]),
    optional(11, "hp_last_drops", ["host_port"]),
)
APP = Struct(
    field(1, "status", "i32"),
    field(2, "app_type", "string"),
    field(3, "app_name", "string"),
    field(4, "app_id", "i32"),
    field(5, "partition_count", "i32"),
    field(6, "envs", "map"),
    field(7, "is_stateful", "bool"),
    field(8, "max_replica_count", "i32"),
    field(9, "expire_second", "i64"),
    field(10, "create_second", "i64"),
    field(11, "drop_second", "i64"),
    field(12, "duplicating", "bool"),
    field(13, "init_partition_count", "i32", -1),
    field(14, "is_bulk_loading", "bool"),
    optional(15, "atomic_idempotent", "bool"),
)
NODE = Struct(field(1, "status", "i32"), field(2, "node", "address"), optional(3, "hp_node", "host_port"))
OPTIONS = Struct(
    field(1, "partition_count", "i32"),
    field(2, "replica_count", "i32"),
    field(3, "success_if_exist", "bool"),
    field(4, "app_type", "string"),
    field(5, "is_stateful", "bool"),
    field(6, "envs", "map"),
    optional(7, "atomic_idempotent", "bool"),
)
_NAME = field(1, "app_name", "string")
_ERR = field(1, "err", "code")


def _hinted(number: int, *between: tuple[str, Kind]) -> Struct:
    """An answer that ends with a hint."""
    own = [field(index, name, kind) for index, (name, kind) in enumerate(between, 2)]
    return Struct(_ERR, *own, field(number, "hint", "string"))


_META = {
    "QUERY_PARTITION_CONFIG_BY_INDEX": Rpc(
        Struct(_NAME, field(2, "indices", ["i32"])),
        Struct(
            _ERR,
            field(2, "app_id", "i32"),
            field(3, "partition_count", "i32"),
            field(4, "is_stateful", "bool"),
            field(5, "partitions", [PARTITION]),
        ),
    ),
    "CREATE_APP": Rpc(Struct(_NAME, field(2, "options", OPTIONS)), Struct(_ERR, field(2, "appid", "i32")), True),
    "DROP_APP": Rpc(
        Struct(
            _NAME,
            field(2, "options", Struct(field(1, "success_if_not_exist", "bool"), optional(2, "reserve", "i64"))),
        ),
        Struct(_ERR),
        True,
    ),
    "RECALL_APP": Rpc(
        Struct(field(1, "app_id", "i32"), field(2, "new_name", "string")), Struct(_ERR, field(2, "info", APP)), True
    ),
    "RENAME_APP": Rpc(Struct(field(1, "old_name", "string"), field(2, "new_name", "string")), _hinted(2), True),
    "LIST_APPS": Rpc(
        Struct(field(1, "status", "i32"), optional(2, "pattern", "string"), optional(3, "match", "i32")),
        Struct(_ERR, field(2, "infos", [APP]), optional(3, "hint", "string")),
    ),
    "LIST_NODES": Rpc(Struct(field(1, "status", "i32")), Struct(_ERR, field(2, "infos", [NODE]))),
    "CLUSTER_INFO": Rpc(Struct(), Struct(_ERR, field(2, "keys", ["string"]), field(3, "values", ["string"]))),
    "UPDATE_APP_ENV": Rpc(
        Struct(
            _NAME,
            field(2, "op", "i32"),
            optional(3, "keys", ["string"]),
            optional(4, "values", ["string"]),
            optional(5, "prefix", "string"),
        ),
        _hinted(2),
        True,
    ),
    "GET_MAX_REPLICA_COUNT": Rpc(Struct(_NAME), _hinted(3, ("count", "i32"))),
    "SET_MAX_REPLICA_COUNT": Rpc(Struct(_NAME, field(2, "count", "i32")), _hinted(3, ("old", "i32")), True),
    "CONTROL_META": Rpc(Struct(field(1, "level", "i32")), Struct(_ERR, field(2, "old", "i32"))),
    "START_PARTITION_SPLIT": Rpc(Struct(_NAME, field(2, "partition_count", "i32")), _hinted(2), True),
}
MASTER_META = {
    "GET_ATOMIC_IDEMPOTENT": Rpc(Struct(_NAME), _hinted(3, ("on", "bool"))),
    "SET_ATOMIC_IDEMPOTENT": Rpc(Struct(_NAME, field(2, "on", "bool")), _hinted(3, ("old", "bool")), True),
}

RPCS = {DATA + name: rpc for name, rpc in _DATA.items()} | {
    META + name: rpc for name, rpc in {**_META, **MASTER_META}.items()
}
V1_META = Struct(
    field(1, "app_id", "i32"),
    field(2, "partition", "i32"),
    field(3, "timeout", "i32"),
    field(4, "partition_hash", "i64"),
    field(5, "backup", "bool"),
)
