# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus: rows read, written and scanned on the servers that lead their partitions.

A request is repeated where that does no harm: what only asks, what sets a state, and what a server refused before it
did anything. Who gets an error with whole = True cannot know whether that request was carried out.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Connected, Settings, unknown
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import (
    EVERY,
    Checked,
    Order,
    Range,
    Route,
    Row,
    Scan,
)
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import (
    LostError,
    PegasusError,
    RefusedError,
    ReplyError,
    RequestError,
    Server,
)

__all__ = ("LostError", "PegasusClient", "PegasusError", "Range", "RefusedError", "ReplyError", "RequestError",
           "Server", "Settings")  # fmt: skip
WINDOW = 32  # requests that are on their way at once
BATCH = 128  # keys in one batch_get, whose values are as long as they are
NAMED = 1000  # sort keys in one multi_get: servers look at no more than 3,000 rows
STUCK = 3  # pages without a row or an end before a scan is given up
MISUSED = "ERR_PARENT_PARTITION_MISUSED"


class PegasusClient(Connected):
    """One Pegasus cluster. Thread-safe; a fork gets its own connections. All methods raise PegasusError.

    Hash keys, sort keys and values are bytes. ttl: seconds from now, None: no time of expiry.
    """

    # --- how requests for data go

    def many(self, table: str, orders: Sequence[Order]) -> list[Any]:
        """What each order gave, in their order: the answer's fields (a dict), or the PegasusError instead.

        All are on their way at once, on one connection a server; what was refused for a while, or went to the wrong
        server, is sent again. Raises nothing for single orders; RefusedError where there is no such table.
        """
        found: list[Any] = [None] * len(orders)
        todo, lost, attempt, silences = list(range(len(orders))), set[int](), 0, 0
        while todo:
            try:
                route = self.cluster.route(table)
            except PegasusError as error:
                if not lost and len(todo) == len(orders):
                    raise
                for index in todo:
                    if index not in lost:
                        found[index] = copy.copy(error)
                break
            self._round(table, route, orders, todo, found)
            lost.update(i for i in todo if isinstance(found[i], PegasusError) and found[i].whole)
            for index in lost.intersection(todo):
                if orders[index].rpc.kind == "once" and isinstance(found[index], PegasusError):
                    unknown(found[index])
            todo = [i for i in todo if isinstance(found[i], PegasusError) and found[i].transient]
            silences += any(found[i].late for i in todo)
            if any(found[i].stale for i in todo):
                self.cluster.forget(table, route)
            if not todo or attempt >= self.settings.retries or silences > 1:
                break
            if attempt or not all(found[i].stale for i in todo):
                time.sleep(max(self.cluster.retry.pause(attempt, found[i]) for i in todo))
            attempt += 1
        for index in lost:
            if isinstance(found[index], PegasusError) and orders[index].rpc.kind != "read":
                unknown(found[index])
        return found

    def _round(self, table: str, route: Route, orders: Sequence[Order], todo: Sequence[int], found: list[Any]) -> None:
        """Send them all and take what comes; into found."""
        flight: collections.deque[tuple[int, Any, Any]] = collections.deque()
        dead: dict[Server, PegasusError] = {}

        def settle() -> None:
            index, line, call = flight.popleft()
            try:
                found[index] = self._judged(orders[index], line.result(call), call.operation, line.server)
            except PegasusError as error:
                if error.code == MISUSED and orders[index].partition is not None:
                    error.transient = False
                elif error.late and isinstance(error, LostError):  # not to be waited for once more by each of the rest
                    dead[line.server] = copy.copy(error)
                    dead[line.server].whole = dead[line.server].begun = False
                found[index] = error

        for index in todo:
            order = orders[index]
            operation = "%s %s %s" % (order.rpc.words, table, order.what)
            count = len(route.partitions)
            number = order.hash % count if order.partition is None else order.partition
            if number >= count:
                found[index] = ReplyError("%s: partition %d is gone" % (operation, number), operation=operation)
                continue
            number = route.serving(number)
            server = route.partitions[number].primary
            if server is None:
                found[index] = self._headless(operation, number)
                continue
            try:
                if server in dead:
                    raise copy.copy(dead[server])
                target = {"app_id": route.app_id, "partition": number, "partition_hash": order.hash}
                line, call = self.cluster.nodes.send(server, "replica", order.rpc, order.args, operation, **target)
                flight.append((index, line, call))
            except PegasusError as error:
                found[index] = error
                if not error.begun:
                    dead[server] = error
            if len(flight) >= WINDOW:
                settle()
        while flight:
            settle()

    @staticmethod
    def _headless(operation: str, number: int) -> PegasusError:
        told = "%s: partition %d has no primary now" % (operation, number)
        hint = "A new one is chosen some 10 s after a server died; without enough replicas there is none to choose"
        error = RefusedError(told, operation=operation, hint=hint, transient=True)
        error.role, error.stale = "replica", True
        return error

    @staticmethod
    def _judged(order: Order, reply: dict[str, Any], operation: str, server: Server) -> dict[str, Any]:
        status = reply["error"]
        if status in order.rpc.fine:
            return reply
        name = wire.STATUS[status] if 0 <= status < len(wire.STATUS) else "status %d" % status
        error = wire.refused(name, operation, "replica", server)
        error.transient = order.rpc.kind == "read" and name in ("TimedOut", "Aborted", "Busy")
        raise error

    def one(self, table: str, order: Order) -> dict[str, Any]:
        """The answer's fields."""
        return self.all(table, [order])[0]

    def all(self, table: str, orders: Sequence[Order]) -> list[dict[str, Any]]:
        """The answers' fields; the first error is raised."""
        found = self.many(table, orders)
        for each in found:
            if isinstance(each, PegasusError):
                raise each
        return found

    # --- rows

    def get(self, table: str, key: bytes, sort_key: bytes) -> bytes | None:
        """A value; None: there is no such row."""
        reply = self.one(table, schema.get(key, sort_key))
        return reply["value"] if reply["error"] == wire.OK else None

    def ttl(self, table: str, key: bytes, sort_key: bytes) -> int | None:
        """The seconds that a row has left, -1: no end; None: there is no such row."""
        reply = self.one(table, schema.ttl_of(key, sort_key))
        return reply["ttl"] if reply["error"] == wire.OK else None

    def put(self, table: str, key: bytes, sort_key: bytes, value: bytes, ttl: int | None = None) -> None:
        """Set a value and its time of expiry."""
        self.one(table, schema.put(key, sort_key, value, ttl))

    def remove(self, table: str, key: bytes, sort_key: bytes) -> None:
        """Remove a row; whether there was one is not told."""
        self.one(table, schema.remove(key, sort_key))

    def multi_put(self, table: str, key: bytes, rows: Mapping[bytes, bytes], ttl: int | None = None) -> None:
        """Set many rows of one hash key; all or none where they fit into one request, below 1 MiB and 1,000 rows."""
        parts = schema.portions(key, rows.items(), lambda row: len(row[0]) + len(row[1]))
        self.all(table, [schema.multi_put(key, part, ttl) for part in parts])

    def multi_remove(self, table: str, key: bytes, sort_keys: Iterable[bytes]) -> None:
        """Remove many rows of one hash key, as multi_put sets them."""
        self.all(table, [schema.multi_remove(key, part) for part in schema.portions(key, sort_keys, len)])

    def incr(self, table: str, key: bytes, sort_key: bytes, by: int = 1, ttl: int | None = 0) -> int:
        """Add to a decimal number, 0 where there is none; the sum. ttl: 0 leaves the time of expiry, None clears it."""
        return int(self.one(table, schema.incr(key, sort_key, by, ttl))["value"])

    def check(self, table: str, order: Order) -> Checked:
        """Carry out an order of schema.check_and_set or check_and_mutate."""
        reply = self.one(table, order)
        back = (reply["exists"], reply["value"]) if reply["returned"] else (None, None)
        return Checked(reply["error"] == wire.OK, *back)

    def get_many(self, table: str, keys: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
        """The values of (hash key, sort key), None where there is no such row."""
        found: dict[tuple[bytes, bytes], bytes] = {}
        # By twice the number of partitions: keys that part when one is split go in two requests, so that the server
        # which no longer has the second half refuses that request. It would not look at the single keys.
        modulus = 2 * len(self.cluster.route(table).partitions)
        groups: dict[int, list[tuple[bytes, bytes]]] = {}
        singles, orders, alone = [], [], []
        for pair in dict.fromkeys(keys):
            order = schema.get(*pair)
            if pair[0]:
                groups.setdefault(order.hash % modulus, []).append(pair)
            else:
                singles.append(pair)
                alone.append(order)
        for pairs in groups.values():
            orders += [schema.batch_get(pairs[at : at + BATCH]) for at in range(0, len(pairs), BATCH)]
        count = len(orders)
        orders += alone
        replies = self.all(table, orders)
        for reply in replies[:count]:
            found.update(((key, sort_key), value) for key, sort_key, value in reply["rows"])
        for pair, reply in zip(singles, replies[count:]):
            if reply["error"] == wire.OK:
                found[pair] = reply["value"]
        if len(self.cluster.route(table).partitions) > modulus:  # it was split twice
            return self.get_many(table, keys)
        return [found.get(pair) for pair in keys]

    def count(self, table: str, key: bytes) -> int:
        """How many rows there are under a hash key."""
        number = int(self.one(table, schema.count(key))["count"])
        return number if number >= 0 else sum(1 for _row in self.scan(table, key, no_value=True))  # it took too long

    # --- ranges and scans

    def multi_get(
        self, table: str, key: bytes, sort_keys: Iterable[bytes], no_value: bool = False
    ) -> dict[bytes, bytes]:
        """The rows of one hash key that are there, of those named."""
        names, alone, found = list(dict.fromkeys(sort_keys)), list[bytes](), dict[bytes, bytes]()
        while names:
            parts = [names[at : at + NAMED] for at in range(0, len(names), NAMED)]
            names = []
            replies = self.all(table, [schema.multi_get(key, part, no_value=no_value) for part in parts])
            for part, reply in zip(parts, replies):
                found.update((name, value) for name, value, _expires in reply["rows"])
                if reply["error"] == wire.INCOMPLETE:  # rows come in the order of the names
                    last = reply["rows"][-1][0] if reply["rows"] else None
                    if last in part:
                        names += part[part.index(last) + 1 :]
                    else:
                        alone += part
        for name, reply in zip(alone, self.all(table, [schema.get(key, name) for name in alone])):
            if reply["error"] == wire.OK:
                found[name] = b"" if no_value else reply["value"]
        return found

    def rows(
        self, table: str, key: bytes, within: Range = EVERY, limit: int | None = None, reverse: bool = False,
        no_value: bool = False,
    ) -> list[tuple[bytes, bytes]]:  # fmt: skip
        """(sort key, value) of a range of one hash key, sorted. limit: the first so many, with reverse the last."""
        pages, have, more = list[list[tuple[bytes, bytes]]](), 0, True
        while more and not within.empty and (limit is None or have < limit):
            left, page = None if limit is None else limit - have, list[tuple[bytes, bytes]]()
            if within.stop != b"":  # which a server takes for none
                reply = self.one(table, schema.multi_get(key, (), within, left or 0, no_value, reverse))
                page = [(name, value) for name, value, _expires in reply["rows"]]
                more = reply["error"] == wire.INCOMPLETE
            if more and not page:  # nothing of what the server looked at passed the filter: only a scan goes on there
                rest = ((row.sort_key, row.value) for row in self.scan(table, key, within, no_value))
                page, more = list(collections.deque(rest, left) if reverse else itertools.islice(rest, left)), False
            pages.append(page)
            have += len(page)
            if more and reverse:
                within = within._replace(stop=page[0][0], stop_inclusive=False)
            elif more:
                within = within._replace(start=page[-1][0], start_inclusive=False)
        return [row for page in (reversed(pages) if reverse else pages) for row in page]

    def scan(
        self, table: str, key: bytes, within: Range = EVERY, no_value: bool = False, expire: bool = False,
        batch: int = 1000,
    ) -> Iterator[Row]:  # fmt: skip
        """The rows of a range of one hash key, sorted, in bounded memory. expire: with their times of expiry."""
        start, inclusive, scan = schema.hash_scan(key, within)
        scan = scan._replace(no_value=no_value, expire=expire, batch=batch)
        if within.empty:
            return
        app_id = self.cluster.route(table).app_id
        for page in self._pages(table, scan, app_id, [start, inclusive], wire.crc64(key)):
            for raw, value, expires in page:
                yield Row(*wire.split_key(raw), value, expires)

    def scan_all(
        self, table: str, hash_match: str = "none", hash_pattern: bytes = b"", match: str = "none",
        pattern: bytes = b"", no_value: bool = False, expire: bool = False, batch: int = 1000,
    ) -> Iterator[Row]:  # fmt: skip
        """The rows of a table, sorted within each partition, in bounded memory; filters: schema.FILTERS.

        Each partition is asked for in the name of the one that a split would make of it: a server that has lost half
        of its rows to that one refuses then, where it would have left them out without a word.
        """
        scan = Scan(b"\xff\xff", False, True, hash_match, hash_pattern, match, pattern, no_value, expire, batch)
        route, tries = self.cluster.config(table), 0
        parts = collections.deque((number, modulus, [b"\0\0", True]) for number, modulus in route.parts())
        while parts:
            number, modulus, where = parts.popleft()
            half = number + modulus
            try:
                for page in self._pages(table, scan, route.app_id, where, half, number):
                    for raw, value, expires in page:
                        yield Row(*wire.split_key(raw), value, expires)
            except RefusedError as error:
                if error.code != MISUSED or tries > self.settings.retries:
                    raise
                halves = (number, 2 * modulus), (half, 2 * modulus)
                if set(halves) <= set(self.cluster.config(table).parts()):
                    parts.extend((each, double, list(where)) for each, double in halves)
                else:
                    time.sleep(self.cluster.retry.pause(tries, error))
                    parts.append((number, modulus, where))
                    tries += 1

    def _pages(
        self, table: str, scan: Scan, app_id: int, where: list[Any], partition_hash: int, partition: int | None = None
    ) -> Iterator[list[tuple[bytes, bytes, int]]]:
        """Pages from where on, which is [raw key, inclusive] and moved along; a lost context is begun anew there."""
        context, idle, what = None, 0, "" if partition is None else "partition %d" % partition
        try:
            while True:
                order = scan.order(where[0], where[1], partition_hash, partition, what)
                if context is not None:
                    args = schema.SCAN.ask.write(((context,),))
                    order = order._replace(rpc=schema.SCAN, args=args)
                reply = self.one(table, order)
                if self.cluster.route(table).app_id != app_id:
                    told = "scan %s: it was dropped and made anew meanwhile" % table
                    raise ReplyError(told, operation="scan")
                rows, context = reply["rows"], reply["context"] if reply["error"] == wire.OK else None
                if rows:
                    where[:], idle = (rows[-1][0], False), 0
                    yield rows
                elif context is None:
                    idle += 1
                if context == -1 or context == 0 and not rows:  # any other number can be a context, below 0 as well
                    context = None
                    return
                if idle > STUCK:
                    told = "scan %s %s: the server gave up %d times without a row" % (table, what, idle)
                    hint = "The filter leaves out too many rows for its time limit, rocksdb_iteration_threshold_time_ms"
                    raise RefusedError(told, operation="scan", code="Incomplete", hint=hint)
        except GeneratorExit:
            if context is not None:
                with contextlib.suppress(PegasusError):  # it ends by itself after 5 minutes
                    self._clear(table, order, context)
            raise

    def _clear(self, table: str, order: Order, context: int) -> None:
        """Tell a server to forget a scan."""
        route = self.cluster.route(table)
        number = order.hash % len(route.partitions) if order.partition is None else order.partition
        server = route.partitions[route.serving(number)].primary
        if server is not None:
            args = schema.CLEAR_SCANNER.ask.write((context,))
            target = {"app_id": route.app_id, "partition": number, "partition_hash": order.hash}
            self.cluster.nodes.send(server, "replica", schema.CLEAR_SCANNER, args, "clear_scanner", **target)
