# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to Pegasus that change nothing."""

from __future__ import annotations

import base64
import contextlib
import dataclasses as dc
import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, size
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.common import (
    RANGE,
    PegasusConnection,
    data_of,
    data_of_b64,
    either,
    range_of,
    table_name,
)
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Range, Row
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import EPOCH, PegasusError, hash_key

GATHER = ("tables", "table", "nodes", "cluster", "partitions",
          "value", "ttl", "exists", "range", "scan", "count", "sort_keys")  # fmt: skip
SINGLE, ROWS = ("value", "ttl", "exists"), ("range", "scan", "sort_keys")
BOUNDS = ("start", "start_b64", "stop", "stop_b64", "start_inclusive", "stop_inclusive")
FILTER, HASH_FILTER = ("match", "pattern", "pattern_b64"), ("hash_match", "hash_pattern", "hash_pattern_b64")
OF_TABLES = ("table", "partitions", *SINGLE, *ROWS, "count")
# What an option is for. One that nothing of what is gathered heeds is refused, but for table and encoding, which may
# stand in module_defaults.
USES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("hash_key", "hash_key_b64"), (*SINGLE, *ROWS, "count")),
    **dict.fromkeys(("sort_key", "sort_key_b64"), SINGLE),
    **dict.fromkeys(("named", "named_b64"), ("range",)),
    **dict.fromkeys((*BOUNDS, *FILTER), (*ROWS, "count")),
    **dict.fromkeys(HASH_FILTER, ("scan", "count")),
    "reverse": ("range", "sort_keys"),
    "no_value": ("range", "scan"),
    "with_ttl": ("scan",),
    "batch_size": ("scan", "count"),
    **dict.fromkeys(("limit", "max_bytes"), ROWS),
}
PAGE = 1000  # rows, where they are asked for from the end
MOST = 1 << 30


def _least(value: int) -> int:
    if not 0 < value <= MOST:
        raise ValueError("%d is out of bounds: 1 to %d" % (value, MOST))
    return value


def _bytes(value: Any) -> int:
    return _least(size(value))


def _batch(value: int) -> int:
    if not 0 < value <= 1000:
        raise ValueError("%d is out of bounds: 1 to 1000 rows" % value)
    return value


@dc.dataclass
class Question(Item):
    """What to ask for."""

    gather: Any = directive("list", elements="str", choices=GATHER)
    table: str = directive(parse=table_name)
    hash_key: str = directive()
    hash_key_b64: str = directive()
    sort_key: str = directive()
    sort_key_b64: str = directive()
    named: list[str] = directive("list", elements="str")
    named_b64: list[str] = directive("list", elements="str")
    start: str = directive()
    start_b64: str = directive()
    stop: str = directive()
    stop_b64: str = directive()
    start_inclusive: bool = directive("bool")
    stop_inclusive: bool = directive("bool")
    match: str = directive(choices=tuple(RANGE["match"]["choices"]))
    pattern: str = directive()
    pattern_b64: str = directive()
    hash_match: str = directive(choices=tuple(RANGE["match"]["choices"]))
    hash_pattern: str = directive()
    hash_pattern_b64: str = directive()
    reverse: bool = directive("bool")
    no_value: bool = directive("bool")
    with_ttl: bool = directive("bool")
    batch_size: int = directive("int", parse=_batch)
    limit: int = directive("int", parse=_least)
    max_bytes: int = directive("raw", parse=_bytes)
    encoding: str = directive(choices=("text", "b64"))

    def said(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name, value in vars(self).items() if value is not KEEP}

    def wanted(self) -> list[str]:
        """What is to be gathered: what was said, or what the other options suggest."""
        if self.gather is not KEEP:
            return list(dict.fromkeys(self.gather))
        said = self.said()
        if not {"hash_key", "hash_key_b64"}.isdisjoint(said):
            return ["value" if not {"sort_key", "sort_key_b64"}.isdisjoint(said) else "range"]
        return ["tables" if self.table is KEEP else "table"]

    def names(self) -> list[bytes] | None:
        """The sort keys that are named. Raises OptionError."""
        said = self.said()
        if "named" in said and "named_b64" in said:
            raise OptionError("named_b64", "cannot be given together with named", "Give one of them")
        for option, parse in (("named", data_of), ("named_b64", data_of_b64)):
            if option in said:
                try:
                    return [parse(text) for text in said[option]]
                except ValueError as error:
                    raise OptionError(option, str(error)) from None
        return None


class _Client(PegasusClient, PegasusAdmin):
    """Data and tables."""


def moment(seconds: int) -> str | None:
    """A time in ISO 8601, UTC; None for none."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds > 0 else None


def facts(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table by the names that pegasus_table uses."""
    found = {name: table[name] for name in ("name", "app_id", "status", "partition_count", "replica_count")}
    found["envs"] = dict(sorted(table["envs"].items()))
    found.update((name, moment(table[name])) for name in ("created", "dropped", "expires"))
    return found


def shown(name: str, data: bytes, encoding: Any) -> dict[str, str]:
    """{name: text}, or {name_b64: base64} where that is wanted or it is no text."""
    if encoding != "b64":
        with contextlib.suppress(UnicodeDecodeError):
            return {name: data.decode()}
    return {name + "_b64": base64.b64encode(data).decode()}


def alone(name: str, data: bytes, encoding: Any) -> str:
    """The text, or base64 where that is wanted. Raises StorageError."""
    found = shown(name, data, encoding)
    if name + "_b64" in found and encoding != "b64":
        raise StorageError(
            "the %s is not valid UTF-8" % name.replace("_", " "),
            operation="gather %s" % name,
            hint="Set encoding: b64",
        )
    return next(iter(found.values()))


class Info(Query):
    """The module pegasus_info."""

    connection = PegasusConnection(_Client)
    Options = Question

    @classmethod
    def validate(cls, options: Question) -> None:
        wanted, said = options.wanted(), options.said()
        for name in said:
            if name in USES and not set(USES[name]).intersection(wanted):
                raise OptionError(name, "goes with gather: %s" % ", ".join(USES[name]))
        key, within, names = either(said, "hash_key"), range_of(said), options.names()
        either(said, "sort_key")
        try:
            hash_key(key or b"")
            hash_key(cls._hash_filter(options)[1])
        except ValueError as error:
            raise OptionError("hash_key" if key and len(key) > 65534 else "hash_pattern", str(error)) from None
        for what in wanted:
            if what in OF_TABLES and options.table is KEEP:
                raise OptionError("table", "is needed to gather %s" % what)
            if what in (*SINGLE, "range", "sort_keys") and key is None:
                raise OptionError("hash_key", "is needed to gather %s" % what)
            if what in (*ROWS, "count") and key == b"":
                raise OptionError("hash_key", "it is empty: the rows of the empty one are spread over the partitions")
            if what in ("scan", "count") and key is None:
                given = next((name for name in BOUNDS if name in said), None)
                if given:
                    raise OptionError(
                        given, "goes with hash_key: a whole table has no order", "Use match or hash_match"
                    )
        if key is not None and cls._hash_filter(options)[0] != "none":
            raise OptionError("hash_match", "is for whole tables", "Leave hash_key out")
        if names is not None and (options.reverse is True or within != Range()):
            raise OptionError("named", "cannot be given together with a range", "Leave out start, stop, match, reverse")

    @classmethod
    def fetch(cls, client: Any, options: Question) -> dict[str, Any]:
        found: dict[str, Any] = {}
        incomplete: list[str] = []
        if options.table is not KEEP:  # whoever goes by an old configuration may be told what was dropped meanwhile
            client.cluster.forget(options.table)
        try:
            for what in options.wanted():
                if what in ROWS:
                    rows, more = cls._cut(options, cls._rows(client, options, what))
                    incomplete += [what] if more else []
                    found[what] = [cls._told(options, what, row) for row in rows]
                else:
                    found.update(getattr(cls, "_" + what)(client, options))
        except PegasusError as error:
            if error.no_table:
                error.hint = "Is its name right? pegasus_table makes it, gather: tables tells what there is"
            raise
        return {**found, "incomplete": incomplete} if set(found).intersection(ROWS) else found

    # --- the cluster

    @staticmethod
    def _tables(client: Any, _options: Question) -> dict[str, Any]:
        rows = sorted(map(facts, client.tables()), key=lambda row: (row["name"], row["app_id"]))
        there = [row for row in rows if row["status"] != "dropped"]
        return {"tables": there, "dropped_tables": [row for row in rows if row["status"] == "dropped"]}

    @staticmethod
    def _table(client: Any, options: Question) -> dict[str, Any]:
        row = client.table(options.table)
        if row is None:
            return {"table": None}
        route = client.cluster.config(options.table)
        missing = [part.number for part in route.partitions if part.ballot >= 0 and not part.primary]
        return {"table": {**facts(row), "ready": not missing, "without_primary": missing}}

    @staticmethod
    def _nodes(client: Any, _options: Question) -> dict[str, Any]:
        rows = sorted((str(server), state) for server, state in client.nodes())
        return {"nodes": [{"address": server, "status": state} for server, state in rows]}

    @staticmethod
    def _cluster(client: Any, _options: Question) -> dict[str, Any]:
        found: dict[str, Any] = client.info()
        servers = found.get("meta_servers", "").split(",")
        return {"cluster": {**found, "meta_servers": [part.strip() for part in servers if part.strip()]}}

    @staticmethod
    def _partitions(client: Any, options: Question) -> dict[str, Any]:
        route = client.cluster.config(options.table)
        rows = [
            {
                "partition": part.number,
                "primary": part.primary and str(part.primary),
                "secondaries": sorted(map(str, part.secondaries)),
                "replica_count": part.replica_count,
                "ballot": part.ballot,
            }
            for part in route.partitions
        ]
        return {"partitions": rows}

    # --- single rows

    @staticmethod
    def _pair(options: Question) -> tuple[bytes, bytes]:
        said = options.said()
        return either(said, "hash_key") or b"", either(said, "sort_key") or b""

    @classmethod
    def _value(cls, client: Any, options: Question) -> dict[str, Any]:
        value = client.get(options.table, *cls._pair(options))
        return {"value": None if value is None else alone("value", value, options.encoding)}

    @classmethod
    def _ttl(cls, client: Any, options: Question) -> dict[str, Any]:
        seconds = client.ttl(options.table, *cls._pair(options))
        return {"ttl": "never" if seconds == -1 else seconds}

    @classmethod
    def _exists(cls, client: Any, options: Question) -> dict[str, Any]:
        return {"exists": client.ttl(options.table, *cls._pair(options)) is not None}

    # --- many rows

    @staticmethod
    def _hash_filter(options: Question) -> tuple[str, bytes]:
        said = options.said()
        names = {"match": "hash_match", "pattern": "hash_pattern", "pattern_b64": "hash_pattern_b64"}
        try:
            found = range_of({name: said[option] for name, option in names.items() if option in said})
        except OptionError as error:
            raise OptionError("hash_" + error.option, error.message.split(": ", 1)[1], error.hint) from None
        return found.match, found.pattern

    @classmethod
    def _scanned(cls, client: Any, options: Question, no_value: bool) -> Generator[Row, None, None]:
        """The rows of a hash key, or of the whole table, page by page."""
        said = options.said()
        key, within = either(said, "hash_key"), range_of(said)
        more = {"no_value": no_value, "expire": options.with_ttl is True, "batch": said.get("batch_size", 1000)}
        if key is not None:
            found: Generator[Row, None, None] = client.scan(options.table, key, within, **more)
            return found
        match, pattern = cls._hash_filter(options)
        rows: Generator[Row, None, None] = client.scan_all(
            options.table, match, pattern, within.match, within.pattern, **more
        )
        return rows

    @classmethod
    def _rows(cls, client: Any, options: Question, what: str) -> Iterable[Row]:
        """What is to be told, one row more than the limit, so that it is known whether there are more."""
        no_value = what == "sort_keys" or options.no_value is True
        if what == "scan":
            return cls._scanned(client, options, no_value)
        said, names = options.said(), options.names()
        key, within = either(said, "hash_key") or b"", range_of(said)
        if what == "range" and names is not None:
            there = client.multi_get(options.table, key, names, no_value)
            return [Row(key, name, there[name], 0) for name in dict.fromkeys(names) if name in there]
        if options.reverse is True:
            return cls._backwards(client, options, key, no_value)
        if options.limit is KEEP or options.max_bytes is not KEEP:
            scan: Generator[Row, None, None] = client.scan(options.table, key, within, no_value=no_value)
            return scan
        rows = client.rows(options.table, key, within, options.limit + 1, no_value=no_value)
        return [Row(key, name, value, 0) for name, value in rows]

    @staticmethod
    def _backwards(client: Any, options: Question, key: bytes, no_value: bool) -> Generator[Row, None, None]:
        """The rows of a range from its end."""
        within = range_of(options.said())
        left = MOST if options.limit is KEEP else options.limit + 1
        while left > 0 and not within.empty:
            page = client.rows(options.table, key, within, min(left, PAGE), True, no_value)
            yield from (Row(key, name, value, 0) for name, value in reversed(page))
            left -= PAGE
            if len(page) < PAGE:
                return
            within = within._replace(stop=page[0][0], stop_inclusive=False)

    @staticmethod
    def _cut(options: Question, rows: Iterable[Row]) -> tuple[list[Row], bool]:
        """(rows in their order, whether there are more): as many as limit and max_bytes allow, one at least."""
        most = MOST if options.limit is KEEP else options.limit
        room = options.max_bytes if options.max_bytes is not KEEP else None
        found: list[Row] = []
        more = False
        with contextlib.closing(rows) if isinstance(rows, Generator) else contextlib.nullcontext(rows) as each:
            for row in each:
                if room is not None:
                    room -= len(row.hash_key) + len(row.sort_key) + len(row.value)
                more = bool(len(found) >= most or (room is not None and room < 0 and found))
                if more:
                    break
                found.append(row)
        return (found[::-1] if options.reverse is True else found), more

    @staticmethod
    def _told(options: Question, what: str, row: Row) -> Any:
        """A row as pegasus_kv takes it, or its sort key alone."""
        if what == "sort_keys":
            return alone("sort_key", row.sort_key, options.encoding)
        found: dict[str, Any] = {}
        for name in ("hash_key", "sort_key", *(() if options.no_value is True else ("value",))):
            found.update(shown(name, getattr(row, name), options.encoding))
        if what == "scan" and options.with_ttl is True:
            found["ttl"] = max(row.expires + EPOCH - int(time.time()), 1) if row.expires else "never"
        return found

    @classmethod
    def _count(cls, client: Any, options: Question) -> dict[str, Any]:
        said = options.said()
        key = either(said, "hash_key")
        if key is not None and range_of(said) == Range() and "batch_size" not in said:
            return {"count": client.count(options.table, key)}
        with contextlib.closing(cls._scanned(client, options, True)) as rows:
            return {"count": sum(1 for _row in rows)}
