# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of Pegasus: read and written partition by partition, in as few requests as their times of expiry allow."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, Optional, Union

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    Scope,
    State,
    about,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.common import PegasusConnection
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.rows import KvItem, Pair, prepare, within
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Order, Range
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import Moment, PegasusError

CONNECTION = PegasusConnection(PegasusClient)
MANY = 64  # rows of one hash key from which on they are asked for by that
Ttl = Optional[Union[int, Moment]]
Place = tuple[str, bytes, Range]


class Write(NamedTuple):
    """What a row is written with. ttl: seconds, a Moment, or None: without an end."""

    data: bytes
    ttl: Ttl


def _moment(expires: int) -> str:
    """A time of expiry, as people write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires + wire.EPOCH)) if expires else "never"


class KvResource(Resource):
    """What the module pegasus_kv declares."""

    Item = KvItem
    connection = CONNECTION
    noun = "row"

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._values: dict[Key, bytes] = {}  # what is there, conditions' rows too
        self._declared: dict[Key, str] = {}  # their state
        self._pruned: list[KvItem] = []
        self._scopes: dict[Place, tuple[KvItem, list[bytes]]] = {}
        self._defaults: dict[str, int] = {}

    @classmethod
    def validate(cls, item: Any) -> None:
        prepare(item)

    def expand(self, items: list[Any]) -> list[Any]:
        found: list[KvItem] = []
        self._pruned = [item for item in items if item.rows is not None]
        for item in items:
            found += [item] if item.many is None else (item.single(*row) for row in item.many.items())
        self._declared = {item.key: item.state for item in found}
        if self.run.shard and any(item.condition is not None and item.many is not None for item in items):
            raise OptionError("shard", "cannot be given together with only_if and values: they are changed together")
        return found

    # --- what is there

    def read(self, items: list[Any]) -> dict[Key, State]:
        tables: dict[str, list[KvItem]] = {}
        for item in items:
            tables.setdefault(item.table, []).append(item)
        found: dict[Key, State] = {}
        for item in self._pruned:
            tables.setdefault(item.table, [])
        for table, rows in tables.items():
            self.client.cluster.forget(table)  # whoever goes by an old configuration may be told what was dropped
            try:
                self._scan([item for item in self._pruned if item.table == table])
                found.update(self._read(table, rows))
            except PegasusError as error:
                if not error.no_table:
                    raise
                self._no_table(table, rows, error)
        return found

    def _no_table(self, table: str, rows: Iterable[KvItem], error: PegasusError) -> None:
        """There is nothing; in check mode a warning, it may be about to be made."""
        if all(item.state == "absent" for item in rows) or ("table", (table,)) in self.run.expected:
            return
        if not self.run.check:
            error.hint = "Create it first, with polystore.storage.pegasus_table"
            raise error
        warning = "The table %s does not exist yet: the task will fail unless it is created before." % table
        self.run.warnings.append(warning)

    def _read(self, table: str, items: list[KvItem]) -> dict[Key, State]:
        pairs = dict.fromkeys(item.pair for item in items)
        for item in items:
            if item.condition is not None:
                pairs.setdefault((item.pair[0], item.condition.sort_key))
        self._values.update(((table, *pair), data) for pair, data in self._get(table, list(pairs)).items())
        asked = [item.pair for item in items if self._dated(item)]
        orders = [self._dating(pair) for pair in asked]
        dates = dict(zip(asked, self.client.all(table, orders))) if orders else {}
        found: dict[Key, State] = {}
        for item in items:
            data, reply = self._values.get(item.key), dates.get(item.pair)
            if data is None:
                continue
            state: State = {"value": data, "size": len(data)}
            if reply is not None:
                expires = self._expires(table, item.pair, reply)
                if expires is None:  # it has expired meanwhile
                    del self._values[item.key]
                    continue
                state.update(expires=_moment(expires), _expires=expires)
            found[item.key] = state
        return found

    def _get(self, table: str, pairs: list[Pair]) -> dict[Pair, bytes]:
        """The rows that are there."""
        found: dict[Pair, bytes] = {}
        named: dict[bytes, list[bytes]] = {}
        for key, sort_key in pairs:
            named.setdefault(key, []).append(sort_key)
        whole = {key: names for key, names in named.items() if key and len(names) >= MANY}

        def one(key: bytes) -> None:
            for sort_key, data in self.client.multi_get(table, key, whole[key]).items():
                found[key, sort_key] = data

        self.run.workers.each(one, whole)
        rest = [pair for pair in pairs if pair[0] not in whole]
        if rest:
            values = zip(rest, self.client.get_many(table, rest))
            found.update((pair, data) for pair, data in values if data is not None)
        return found

    def _dated(self, item: KvItem) -> bool:
        """Whether it matters when a row expires: it is said how long it lives, or it is to be written."""
        data = self._values.get(item.key)
        if data is None or item.state == "absent":
            return False
        return item.ttl is not KEEP or (item.data is not KEEP and item.data != data)

    @staticmethod
    def _dating(pair: Pair) -> Order:
        """The question when a row expires: to the second, where a ttl would be counted from an unknown moment."""
        raw = wire.raw_key(*pair)
        scan = schema.Scan(raw, stop_inclusive=True, no_value=True, expire=True, batch=2)
        return scan.order(raw, True, wire.key_hash(*pair), None, "%.60r" % (pair,))

    def _expires(self, table: str, pair: Pair, reply: Mapping[str, Any]) -> int | None:
        """The answer: seconds since 2016, 0: never; None: there is no such row."""
        if reply["rows"]:
            return int(reply["rows"][0][2])
        if reply["error"] != wire.INCOMPLETE:
            return None
        ttl = self.client.ttl(table, *pair)  # it took the server too long
        return None if ttl is None else 0 if ttl < 0 else int(time.time()) - wire.EPOCH + ttl

    def _scan(self, items: list[KvItem]) -> None:
        for item in items:
            hash_key, rows = item.rows or (b"", schema.EVERY)
            if (item.table, hash_key, rows) not in self._scopes:
                with about(item):
                    found = self.client.scan(item.table, hash_key, rows, no_value=True)
                    self._scopes[item.table, hash_key, rows] = item, [row.sort_key for row in found]

    # --- what differs

    def plan(self, item: Any, present: State | None) -> Change | None:
        change = self._planned(item, present)
        if change is None or item.condition is None:
            return change
        try:
            met = item.condition.holds(self._values.get((item.table, item.pair[0], item.condition.sort_key)))
        except ValueError as error:
            told = "only_if: %s" % error
            raise StorageError(told, operation="check condition", code="InvalidArgument") from None
        item.condition.met = item.condition.met and met
        return change if met else None

    def _planned(self, item: KvItem, present: State | None) -> Change | None:
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        data: Any = item.data
        fields: State = {}
        if present is None and data is KEEP:
            hint = "Give value, value_b64, value_src or values"
            raise StorageError("there is no such row, and no value is declared", code="NotFound", hint=hint)
        if data is not KEEP and (present is None or data != present["value"]):
            fields.update(value=data, size=len(data))
        if item.ttl is not KEEP and (fields or present is None or self._off(item, present["_expires"])):
            fields["ttl"] = "never" if item.ttl == NEVER else item.ttl
        if not fields:
            return None
        ttl: Ttl = None
        if item.ttl is not KEEP:
            ttl = None if item.ttl == NEVER else item.ttl
        elif present is not None:
            ttl = Moment(present["_expires"]) if present["_expires"] else None
        if ttl is None and (present is not None or item.ttl is not KEEP):
            self._endless(item.table)
        if present is None:
            return Change(item, "created", None, fields, fields, Write(data, ttl))
        after = {name: value for name, value in present.items() if name != "expires" or "ttl" not in fields}
        write = Write(present["value"] if data is KEEP else data, ttl)
        return Change(item, "updated", present, {**after, **fields}, fields, write)

    @staticmethod
    def _off(item: KvItem, expires: int) -> bool:
        """Whether a row does not expire when it should."""
        if item.ttl == NEVER or not expires:
            return bool(expires) if item.ttl == NEVER else True
        return abs(expires + wire.EPOCH - time.time() - item.ttl) > item.tolerance

    def _endless(self, table: str) -> None:
        """Raises StorageError where a row cannot be written without an end."""
        if table not in self._defaults:
            text = ((self.client.table(table) or {}).get("envs") or {}).get("default_ttl", "")
            self._defaults[table] = int(text) if text.isdigit() else 0
        if self._defaults[table]:
            told = "the row shall not expire, and whatever is written to %s without a ttl does, after %d s"
            raise StorageError(
                told % (table, self._defaults[table]),
                operation="check ttl",
                code="DEFAULT_TTL",
                hint="Give a ttl, or set the table's env default_ttl to 0",
            )

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        for (table, hash_key, rows), (item, names) in self._scopes.items():
            here = [key for key in self._declared if key[:2] == (table, hash_key) and within(rows, key[2])]
            wanted = sum(self._declared[key] == "present" for key in here)
            surplus = []
            for name in names:
                if (table, hash_key, name) not in self._declared:
                    piece = item.single(name, None)
                    piece.pair = (hash_key, name)
                    surplus.append(Change(piece, "deleted", {}, None))
            most = (10, True) if item.max_delete is KEEP else item.max_delete
            yield Scope(item.label(), wanted, len(names), surplus, most, item.allow_empty)

    # --- what is done

    def group(self, change: Change) -> Hashable:
        item = change.item
        if item.condition is not None:
            return id(item.condition)
        count = len(self.client.cluster.route(item.table).partitions)
        return item.table, wire.key_hash(*item.pair) % count, change.action == "deleted"

    def make(self, group: list[Change]) -> list[Made]:
        if group[0].item.condition is not None:
            return self._once(group)
        orders: list[Order] = []
        owners: list[list[Change]] = []
        made: list[Made] = []
        for part in self._parts(group):
            try:
                orders.append(self._order(part))
                owners.append(part)
            except PegasusError as wrong:
                made += [Made(change, error=wrong) for change in part]
        if made:  # it does not even fit into a request: nothing of all this is sent
            told = StorageError("was not begun, because another row cannot be written", code="not_begun")
            return made + [Made(change, error=told) for part in owners for change in part]
        for part, reply in zip(owners, self.client.many(group[0].item.table, orders)):
            error = reply if isinstance(reply, PegasusError) else None
            made += [Made(change, error=error) for change in part]
        return made

    @staticmethod
    def _parts(group: list[Change]) -> Iterable[list[Change]]:
        """Changes that one request can make together."""
        bundles: dict[Any, list[Change]] = {}
        for change in group:
            hash_key = change.item.pair[0]
            ttl = change.detail.ttl if change.detail else None
            place = (hash_key, isinstance(ttl, Moment), ttl) if hash_key else id(change)
            bundles.setdefault(place, []).append(change)
        for bundle in bundles.values():
            yield from schema.portions(bundle[0].item.pair[0], bundle, _size)

    @staticmethod
    def _order(part: list[Change]) -> Order:
        key, sort_key = part[0].item.pair
        write = part[0].detail
        if write is None:
            if len(part) == 1:
                return schema.remove(key, sort_key)
            return schema.multi_remove(key, [change.item.pair[1] for change in part])
        if len(part) == 1:
            return schema.put(key, sort_key, write.data, write.ttl)
        return schema.multi_put(key, [(change.item.pair[1], change.detail.data) for change in part], write.ttl)

    def _once(self, group: list[Change]) -> list[Made]:
        """Rows that hang on one condition: all of them, or none."""
        item = group[0].item
        condition: Any = item.condition
        asked = item.pair[0], condition.sort_key, condition.op, condition.operand
        if len(group) == 1 and group[0].detail:
            write = group[0].detail
            order = schema.check_and_set(*asked, item.pair[1], write.data, write.ttl, False)
        else:
            parts = [(c.item.pair[1], c.detail.data if c.detail else None, c.detail and c.detail.ttl) for c in group]
            order = schema.check_and_mutate(*asked, parts, False)
        if not self.client.check(item.table, order).met:
            condition.met = False
            for change in group:
                change.action = "unchanged"
            return [Made(change, change.before or {}) for change in group]
        return [Made(change) for change in group]


def _size(change: Change) -> int:
    return len(change.item.pair[1]) + (len(change.detail.data) if change.detail else 0)
