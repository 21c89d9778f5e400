# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables' environments: which a meta takes, in whose words it refuses, and what replica servers make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Optional

from polystore_sandbox.pegasus.keys import integer

TTL, VALIDATE, DENY = "default_ttl", "replica.split.validate_partition_hash", "replica.deny_client_request"
ONCE = "manual_compact.once."
Check = Optional[Callable[[str], str]]  # "" or the hint of a refusal
_DENIED = (
    "Invalid deny client args, valid include: timeout*all, timeout*write, timeout*read; "
    "reconfig*all, reconfig*write, reconfig*read"
)
_WRONG_SIZE = "wrong format, you can set like 20000 or 20K"


def boolean(value: str) -> bool | None:
    """true or false in any case; None for anything else."""
    return {"true": True, "false": False}.get(value.lower())


def _unsigned(value: str) -> int | None:
    found = integer(value, 65)
    return found if found is not None and 0 <= found < 1 << 64 else None


def units(value: str) -> int | None:
    """20, 20K, 20M; None for anything else."""
    factor = {"K": 1000, "M": 1000000}.get(value[-1:], 1)
    found = integer(value if factor == 1 else value[:-1])
    return None if found is None or found < 0 else found * factor


def _slow(value: str) -> str:
    found = _unsigned(value)
    return "" if found is not None and found >= 20 else "Slow query threshold must be >= 20ms"


def _iteration(value: str) -> str:
    return "" if _unsigned(value) is not None else "Rocksdb iteration threshold must be greater than zero"


def _throttling(value: str) -> str:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        return "The value shouldn't be empty"
    seen = set()
    for part in parts:
        words = [word.strip() for word in part.split("*")]
        if len(words) != 3:
            return f"The field count of {part} should be 3"
        if units(words[0]) is None:
            return f"{words[0].rstrip('KM')} should be non-negative int"
        if words[1] in seen:
            return f"duplicate {words[1]} config"
        if words[1] not in ("delay", "reject"):
            return f'{words[1]} should be "delay" or "reject"'
        seen.add(words[1])
        if (integer(words[2]) or 0) < 0 or integer(words[2]) is None:
            return f"{words[2]} should be non-negative int"
    return ""


def reject_size(value: str) -> int | None:
    """The bytes a second of a read_throttling_by_size; 0: it is off; None: it is not well-formed."""
    if (plain := units(value)) is not None and plain > 0:
        return plain
    if "delay" in value and "reject" not in value:
        return 0
    comma, star = value.find(","), value.find("*reject")
    if star < 0:
        return None
    return units(value[comma + 1 : star]) or None


def _size_throttling(value: str) -> str:
    return "" if reject_size(value) is not None else _WRONG_SIZE


def _deny(value: str) -> str:
    words = [word.strip() for word in value.split("*")]
    good = len(words) == 2 and words[0] in ("timeout", "reconfig") and words[1] in ("all", "write", "read")
    return "" if good else _DENIED


def _boolean(value: str) -> str:
    return "" if boolean(value) is not None else f'invalid string {value}, should be "true" or "false"'


def _buffer(value: str) -> str:
    found = _unsigned(value)
    if found is None:
        return f"rocksdb.write_buffer_size cannot set this val: {value}"
    good = 16 << 20 <= found <= 512 << 20
    return "" if good else "rocksdb.write_buffer_size suggest set val in range [16777216, 536870912]"


def _levels(value: str) -> str:
    found = integer(value, 32)
    if found is None:
        return f"rocksdb.num_levels cannot set this val: {value}"
    return "" if 1 <= found <= 10 else "rocksdb.num_levels suggest set val in range [1 , 10]"


_UNCHECKED = (
    *("user_specified_compaction", "business.info", TTL, "rocksdb.usage_scenario"),
    *("rocksdb.checkpoint.reserve_min_count", "rocksdb.checkpoint.reserve_time_seconds"),
    *("manual_compact.disabled", "manual_compact.max_concurrent_running_count"),
    *(f"manual_compact.{when}.{what}" for when in ("once", "periodic") for what in ("trigger_time", "target_level")),
    *(f"manual_compact.{when}.bottommost_level_compaction" for when in ("once", "periodic")),
    *("replica_access_controller.allowed_users", "replica_access_controller.ranger_policies"),
)
CHECKS: dict[str, Check] = {
    **dict.fromkeys(_UNCHECKED),
    "replica.slow_query_threshold": _slow,
    "replica.write_throttling": _throttling,
    "replica.write_throttling_by_size": _throttling,
    "replica.read_throttling": _throttling,
    "replica.backup_request_throttling": _throttling,
    "replica.read_throttling_by_size": _size_throttling,
    "replica.rocksdb_iteration_threshold_time_ms": _iteration,
    "replica.rocksdb_block_cache_enabled": _boolean,
    "rocksdb.allow_ingest_behind": _boolean,
    VALIDATE: _boolean,
    DENY: _deny,
    "rocksdb.write_buffer_size": _buffer,
    "rocksdb.num_levels": _levels,
}


def _number(bits: int, good: Callable[[int], bool], limit: str) -> Check:
    """A check as later servers have them."""

    def check(value: str) -> str:
        found = integer(value, bits)
        if found is None:
            return f"invalid value '{value}', should be an {bits} bits integer"
        return "" if good(found) else f"invalid value '{value}', should be '{limit}'"

    return check


def _later_boolean(value: str) -> str:
    return "" if boolean(value) is not None else f"invalid value '{value}', should be a boolean"


def _one_of(*values: str) -> Check:
    words = " | ".join(sorted(values))
    return lambda value: "" if value in values else words


_LEVEL = _number(64, lambda n: n == -1 or n >= 1, "-1 or >= 1")
_ONCE_TIME = "> 0, timestamp (in seconds) to trigger the once manual compaction"
# Where what came after 2.5 differs.
LATER_CHECKS: dict[str, Check] = {
    **CHECKS,
    "replica.slow_query_threshold": _number(64, lambda n: n >= 20, ">= 20"),
    "replica.rocksdb_iteration_threshold_time_ms": _number(64, lambda n: n >= 0, ">= 0"),
    **dict.fromkeys(("replica.rocksdb_block_cache_enabled", "rocksdb.allow_ingest_behind", VALIDATE), _later_boolean),
    "manual_compact.disabled": _later_boolean,
    "rocksdb.write_buffer_size": _number(64, lambda n: 16 << 20 <= n <= 512 << 20, "In range [16777216, 536870912]"),
    "rocksdb.num_levels": _number(64, lambda n: 1 <= n <= 10, "In range [1, 10]"),
    TTL: _number(32, lambda n: n >= 0, ">= 0"),
    "rocksdb.usage_scenario": _one_of("normal", "prefer_write", "bulk_load"),
    "rocksdb.checkpoint.reserve_min_count": _number(32, lambda n: n > 0, "> 0"),
    "rocksdb.checkpoint.reserve_time_seconds": _number(32, lambda n: n >= 0, ">= 0"),
    "manual_compact.max_concurrent_running_count": _number(32, lambda n: n >= 0, ">= 0"),
    f"{ONCE}trigger_time": _number(64, lambda n: n >= 0, _ONCE_TIME),
    f"{ONCE}target_level": _LEVEL,
    "manual_compact.periodic.target_level": _LEVEL,
    f"{ONCE}bottommost_level_compaction": _one_of("force", "skip"),
    "manual_compact.periodic.bottommost_level_compaction": _one_of("force", "skip"),
    **dict.fromkeys(("duplication.master_cluster", "duplication.master_metas")),
}


def refusal(name: str, value: str, later: bool) -> str:
    """The hint with which UPDATE_APP_ENV refuses it; "" when it does not."""
    checks = LATER_CHECKS if later else CHECKS
    if name not in checks:
        return f"app_env '{name}' is not supported" if later else f'app_env "{name}" is not supported'
    check = checks[name]
    return check(value) if check else ""


def refused_at_creation(envs: Mapping[str, str], later: bool) -> bool:
    """True when CREATE_APP refuses them: it looks at two names alone."""
    return any(refusal(name, envs[name], later) for name in envs if name in _STATIC)


_STATIC = ("rocksdb.write_buffer_size", "rocksdb.num_levels")


def deadly(envs: Mapping[str, str]) -> str:
    """Why a replica server dies that opens its first replica of a table with them; "" when it lives."""
    ttl = integer(envs.get(TTL, ""), 32)
    if ttl is not None and ttl >= 0:
        return f"{TTL}={envs[TTL]} before the first primary"
    if f"{ONCE}trigger_time" in envs and f"{ONCE}target_level" in envs:
        return f"{ONCE}* before the first primary"
    return ""
