# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes: each takes the partition's next decree, whatever comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polystore_sandbox.pegasus.keys import integer, joined, parted, passes
from polystore_sandbox.pegasus.ranges import INVALID, OK, alive
from polystore_sandbox.pegasus.tables import Partition, now_ts

TRY_AGAIN = 13
PUT, DELETE = 0, 1
Answer = dict[str, Any]


def put(partition: Partition, args: Answer) -> Answer:
    """One row."""
    parted(args["key"])
    partition.put(args["key"], args["value"], args["expire_ts"])
    return {}


def remove(partition: Partition, key: bytes) -> Answer:
    """One row, whether it is there or not."""
    parted(key)
    partition.rows.remove(key)
    return {}


def multi_put(partition: Partition, args: Answer) -> Answer:
    """Rows of one hash key."""
    if not args["rows"]:
        return {"error": INVALID}
    prefix = joined(args["hash_key"])
    for row in args["rows"]:
        partition.put(prefix + row["key"], row["value"], args["expire_ts"])
    return {}


def multi_remove(partition: Partition, args: Answer) -> Answer:
    """Rows of one hash key; the count is how many were asked for."""
    if not args["sort_keys"]:
        return {"error": INVALID}
    prefix = joined(args["hash_key"])
    for sort_key in args["sort_keys"]:
        partition.rows.remove(prefix + sort_key)
    return {"count": len(args["sort_keys"])}


def incr(partition: Partition, args: Answer) -> Answer:
    """Adds to a number."""
    parted(args["key"])
    old, increment, expire = _value(partition, args["key"]), args["increment"], args["expire_ts"]
    kept = 0 if old is None else partition.rows.data[args["key"]].expire
    value = integer(old) if old else 0
    if value is None:
        return {"error": INVALID}
    made = value + increment
    if not -(1 << 63) <= made < 1 << 63:
        return {"error": INVALID, "new_value": value}
    partition.put(args["key"], str(made).encode(), kept if expire == 0 else max(expire, 0))
    return {"new_value": made}


def _value(partition: Partition, key: bytes) -> bytes | None:
    row = partition.rows.data.get(key)
    return row.value if row is not None and alive(row.expire, now_ts()) else None


# --- checks --------------------------------------------------------------------------------------------------------

_EXISTENCE: dict[int, Callable[[bytes | None], bool]] = {
    0: lambda value: True,
    1: lambda value: value is None,
    2: lambda value: not value,
    3: lambda value: value is not None,
    4: bool,
}
_COMPARED: list[Callable[[Any, Any], bool]] = [
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a == b,
    lambda a, b: a >= b,
    lambda a, b: a > b,
]


def _checked(kind: int, operand: bytes, value: bytes | None) -> int:
    """OK, TRY_AGAIN where it does not hold, INVALID where it cannot be decided."""
    if not 0 <= kind <= 17:
        return INVALID
    if kind in _EXISTENCE:
        return OK if _EXISTENCE[kind](value) else TRY_AGAIN
    if value is None:
        return TRY_AGAIN
    if kind <= 7:
        return OK if passes(kind - 4, operand, value) else TRY_AGAIN
    if kind <= 12:
        return OK if _COMPARED[kind - 8](value, operand) else TRY_AGAIN
    left, right = integer(value), integer(operand)
    if left is None or right is None:
        return INVALID
    return OK if _COMPARED[kind - 13](left, right) else TRY_AGAIN


def _check(partition: Partition, args: Answer) -> Answer:
    if not 0 <= args["check"] <= 17:
        return {"error": INVALID}
    value = _value(partition, joined(args["hash_key"], args["check_key"]))
    answer: Answer = {"error": _checked(args["check"], args["operand"], value)}
    if args["return_value"]:
        answer |= {"returned": True, "exists": value is not None, "value": value or b""}
    return answer


def check_and_set(partition: Partition, args: Answer) -> Answer:
    """Sets a row when another one, or the same, is as it should be."""
    answer = _check(partition, args)
    if answer["error"] == OK:
        sort_key = args["set_key"] if args["other_key"] else args["check_key"]
        partition.put(joined(args["hash_key"], sort_key), args["set_value"], args["expire_ts"])
    return answer


def check_and_mutate(partition: Partition, args: Answer) -> Answer:
    """Sets and removes rows when one is as it should be."""
    mutations = args["mutations"]
    if not mutations or any(mutation["operation"] not in (PUT, DELETE) for mutation in mutations):
        return {"error": INVALID}
    answer = _check(partition, args)
    if answer["error"] == OK:
        for mutation in mutations:
            key = joined(args["hash_key"], mutation["sort_key"])
            if mutation["operation"] == PUT:
                partition.put(key, mutation["value"], mutation["expire_ts"])
            else:
                partition.rows.remove(key)
    return answer


WRITES: dict[str, Callable[[Partition, Any], Answer]] = {
    "PUT": put,
    "REMOVE": remove,
    "MULTI_PUT": multi_put,
    "MULTI_REMOVE": multi_remove,
    "INCR": incr,
    "CHECK_AND_SET": check_and_set,
    "CHECK_AND_MUTATE": check_and_mutate,
}
