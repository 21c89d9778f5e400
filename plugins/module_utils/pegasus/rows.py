# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pegasus_kv is told of a row: its keys, value, time to live, the condition it has and the scope it lies in."""

from __future__ import annotations

import base64
import copy
import dataclasses as dc
import operator
import os
import re
import stat
import time
from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, Key, State, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import key as key_option
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER, duration, share
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.common import (
    RANGE,
    data_of,
    either,
    range_of,
    table_name,
)
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import CHECKS, Range

VALUES = ("value", "value_b64", "value_src", "values")
# Bytes of hash key, sort key and value together: what one put may have.
MOST = wire.WRITE_MOST - schema.put(b"", b"", b"").size
INTEGER = re.compile(rb"[+-]?[0-9]{1,20}\Z")
Pair = tuple[bytes, bytes]
_COMPARED: tuple[Callable[[Any, Any], bool], ...] = (
    operator.lt, operator.le, operator.eq, operator.ge, operator.gt,
)  # fmt: skip
_HOLDS: dict[str, Callable[[bytes, bytes], bool]] = {
    "anywhere": lambda pattern, data: pattern in data,
    "prefix": lambda pattern, data: data.startswith(pattern),
    "postfix": lambda pattern, data: data.endswith(pattern),
}


def _ttl(value: Any) -> int:
    found = duration(value)
    if found != NEVER:
        wire.expires(found, time.time())
    return found


def _tolerance(value: Any) -> int:
    found = duration(value)
    if found == NEVER:
        raise ValueError('"never" is no tolerance: write seconds, or such as "15m"')
    return found


def _number(data: bytes) -> int | None:
    """A number as servers read it, None where it is none for them."""
    number = int(data) if INTEGER.match(data) else None
    return number if number is not None and -(1 << 63) <= number < 1 << 63 else None


class Condition:
    """What only_if says. met: whether what it is about is as it should be, or could be made so."""

    def __init__(self, sort_key: bytes, op: str, operand: bytes) -> None:
        self.sort_key, self.op, self.operand, self.met = sort_key, op, operand, True

    def holds(self, data: bytes | None) -> bool:
        """Whether it is met by a row with this value; None: there is none. Raises ValueError where none can tell."""
        number = CHECKS[self.op]
        if number <= 4:
            return (True, data is None, not data, data is not None, bool(data))[number]
        if data is None:
            return False
        if number <= 7:
            return tuple(_HOLDS.values())[number - 5](self.operand, data)
        if number <= 12:
            return _COMPARED[number - 8](data, self.operand)
        have, want = _number(data), _number(self.operand)
        if have is None or want is None:
            raise ValueError("the value is no whole number of 64 bits, and %s compares two" % self.op)
        return _COMPARED[number - 13](have, want)


def within(rows: Range, sort_key: bytes) -> bool:
    """Whether a sort key is in a range, as servers see it."""
    if rows.start is not None and (sort_key, rows.start_inclusive) < (rows.start, True):
        return False
    if rows.stop is not None and (sort_key, not rows.stop_inclusive) > (rows.stop, False):
        return False
    return rows.match == "none" or _HOLDS[rows.match](rows.pattern, sort_key)


_ONLY_IF: dict[str, Any] = {
    "op": {"type": "str", "choices": list(CHECKS)[1:], "required": True},
    **{name: {"type": "str", "no_log": False} for name in ("sort_key", "sort_key_b64", "operand", "operand_b64")},
}
_SCOPE: dict[str, Any] = {**{n: {"type": "str", "no_log": False} for n in ("hash_key", "hash_key_b64")}, **RANGE}


@dc.dataclass
class KvItem(Item):
    """One row, or with `values` many of one hash key, which expand() makes single ones of."""

    table: str = key_option(parse=table_name)
    hash_key: str = key_option(default=KEEP)
    hash_key_b64: str = directive()
    sort_key: str = key_option(default="")
    sort_key_b64: str = directive()
    value: str = directive()
    value_b64: str = directive()
    value_src: str = directive("path")
    values: dict[str, Any] = directive("dict")
    ttl: int = directive("raw", parse=_ttl)
    ttl_tolerance: int = directive("raw", parse=_tolerance)
    only_if: dict[str, Any] = directive("dict", options=_ONLY_IF)
    prune: bool = directive("bool", default=False)
    scope: dict[str, Any] = directive("dict", options=_SCOPE)
    max_delete: tuple[int, bool] = directive("raw", parse=share)
    allow_empty: bool = directive("bool", default=False)
    # What was made of these: hash key and sort key; the value, KEEP without one; with `values` all of them
    pair: Pair = (b"", b"")
    data: Any = KEEP
    many: dict[bytes, bytes | None] | None = None
    condition: Condition | None = None
    rows: tuple[bytes, Range] | None = None

    @property
    def key(self) -> Key:
        return (self.table, id(self)) if self.many is not None else (self.table, *self.pair)

    def identity(self) -> State:
        found: State = {"table": self.table}
        typed = (self.hash_key_b64, self.sort_key_b64)
        for name, data, b64 in zip(("hash_key", "sort_key"), self.pair, typed):
            if self.many is None or name == "hash_key":
                found.update(told(name, data, b64 is not KEEP))
        if self.condition is not None:
            found["condition_met"] = self.condition.met
        return found

    def label(self) -> str:
        return "/".join([self.table, *(_readable(data) for data in self.pair)])

    def single(self, sort_key: bytes, data: bytes | None) -> KvItem:
        """One of the rows that this is about. data: None: it is absent."""
        found = copy.copy(self)
        found.pair, found.many, found.sort_key_b64 = (self.pair[0], sort_key), None, KEEP
        found.data, found.state = KEEP if data is None else data, "absent" if data is None else self.state
        return found

    @property
    def tolerance(self) -> int:
        """Seconds by which a time to live may be off."""
        return max(60, self.ttl // 10) if self.ttl_tolerance is KEEP else self.ttl_tolerance


def told(name: str, data: bytes, b64: bool = False) -> State:
    """A key under the option that it could have been given with."""
    try:
        if not b64:
            return {name: data.decode("utf-8")}
    except UnicodeDecodeError:
        pass
    return {name + "_b64": base64.b64encode(data).decode("ascii")}


def _readable(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def prepare(item: KvItem) -> None:
    """Make bytes of what an item was given, and check it against what servers take. Raises OptionError."""
    scope = {} if item.scope is KEEP else item.scope
    hash_key = either(vars(item), "hash_key")
    if hash_key is None:
        hash_key = either(scope, "hash_key", "scope.")
    if hash_key is None:
        raise OptionError("hash_key", "is missing", "Give hash_key or hash_key_b64")
    item.pair = (_checked("hash_key", hash_key), _sort_key(item))
    present = item.state == "present"
    given = [name for name in VALUES if getattr(item, name) is not KEEP]
    if len(given) > 1:
        raise OptionError(given[1], "cannot be given together with %s" % given[0], "Give one of %s" % ", ".join(VALUES))
    if item.values is not KEEP:
        _many(item)
    elif given and present:
        item.data = _value(item, given[0])
    for sort_key, data in item.many.items() if item.many is not None else [(item.pair[1], item.data)]:
        size = len(hash_key) + len(sort_key) + len(data or b"")
        if size > MOST:
            told = "%s has %d bytes with its keys: at most %d go" % (_readable(sort_key)[:40] or "it", size, MOST)
            raise OptionError(given[0] if given and data else "sort_key", told)
    if item.ttl_tolerance is not KEEP and item.ttl in (KEEP, NEVER):
        raise OptionError("ttl_tolerance", "goes with a ttl that is not never")
    if item.only_if is not KEEP:
        _conditional(item)
    _scope(item, scope)


def _checked(option: str, hash_key: bytes, empty: bool = True) -> bytes:
    try:
        return wire.hash_key(hash_key, empty)
    except ValueError as error:
        raise OptionError(option, str(error)) from None


def _sort_key(item: KvItem) -> bytes:
    options = dict(vars(item))
    if item.sort_key == "":
        options["sort_key"] = KEEP
    if item.values is not KEEP and (item.sort_key or item.sort_key_b64 is not KEEP):
        raise OptionError("sort_key", "cannot be given together with values", "The names of values are the sort keys")
    return either(options, "sort_key") or b""


def _many(item: KvItem) -> None:
    item.many = {}
    for name, value in item.values.items():
        if isinstance(value, (dict, list)):
            raise OptionError("values", "the value of %.40r is no text" % name, "Write it with to_json")
        text = value if isinstance(value, str) or value is None else str(value)
        try:
            item.many[data_of(name)] = None if text is None or item.state == "absent" else data_of(text)
        except ValueError as error:
            raise OptionError("values", "%.40r: %s" % (name, error)) from None


def _value(item: KvItem, option: str) -> bytes | None:
    if option != "value_src":
        return either(vars(item), "value")
    try:
        found = os.stat(item.value_src)
        if not stat.S_ISREG(found.st_mode):
            raise OptionError(option, "%s is no regular file" % item.value_src)
        with open(item.value_src, "rb") as stream:
            return stream.read(MOST + 1)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        raise OptionError(option, "%s cannot be read: %s" % (item.value_src, words)) from None


def _conditional(item: KvItem) -> None:
    """The condition, and whether all that hangs on it fits into one request."""
    options: Mapping[str, Any] = item.only_if
    if not options.get("op"):
        raise OptionError("only_if.op", "is missing", "Known are %s" % ", ".join(list(CHECKS)[1:]))
    if options["op"] not in CHECKS or options["op"] == "none":
        raise OptionError("only_if.op", "%.40r is none of %s" % (options["op"], ", ".join(list(CHECKS)[1:])))
    _checked("hash_key", item.pair[0], empty=False)
    sort_key, operand = (either(options, name, "only_if.") for name in ("sort_key", "operand"))
    number = CHECKS[options["op"]]
    if (operand is None) != (number <= 4):
        told = "is missing: %s compares with it" if operand is None else "%s compares with nothing"
        raise OptionError("only_if.operand", told % options["op"])
    if number > 12 and _number(operand or b"") is None:
        raise OptionError("only_if.operand", "it is no whole number of 64 bits, and %s compares two" % options["op"])
    if sort_key is None and item.many is not None:
        raise OptionError("only_if.sort_key", "is missing", "With values, say whose value is looked at")
    if item.prune:
        raise OptionError("prune", "cannot be given together with only_if")
    item.condition = Condition(item.pair[1] if sort_key is None else sort_key, options["op"], operand or b"")
    rows = item.many or {item.pair[1]: item.data}
    parts = [(name, data or b"", None) for name, data in rows.items()]
    try:
        schema.check_and_mutate(item.pair[0], item.condition.sort_key, item.condition.op, operand or b"", parts)
    except wire.RequestError as error:
        raise OptionError("only_if", error.message) from None


def _scope(item: KvItem, scope: Mapping[str, Any]) -> None:
    if item.scope is not KEEP and not item.prune:
        raise OptionError("scope", "goes with prune: true")
    if not item.prune:
        return
    if item.scope is KEEP:
        raise OptionError("scope", "is missing", "Say what is pruned; {} is all of the hash key")
    hash_key = either(scope, "hash_key", "scope.")
    found = item.pair[0] if hash_key is None else hash_key
    rows = range_of(scope, "scope.")
    if rows.empty:
        raise OptionError("scope", "nothing can be in it: start is not before stop")
    item.rows = (_checked("scope.hash_key", found, empty=False), rows)
