# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests and replies of Pegasus 2.5.0 and of what came after, field by field, and how requests are made.

Whatever takes a server down or cannot be right is found here, in the making: what has been made may be sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple, TypeVar

from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import (
    INCOMPLETE,
    NOT_FOUND,
    OK,
    TRY_AGAIN,
    WRITE_MOST,
    RequestError,
    Rpc,
    Server,
    Struct,
    crc64,
    expires,
    hash_key,
    key_hash,
    next_key,
    raw_key,
    some,
)

T = TypeVar("T")

CHECKS = {"none": 0, "not_exist": 1, "not_exist_or_empty": 2, "exist": 3, "not_empty": 4, "match_anywhere": 5,
          "match_prefix": 6, "match_postfix": 7, "bytes_less": 8, "bytes_less_or_equal": 9, "bytes_equal": 10,
          "bytes_greater_or_equal": 11, "bytes_greater": 12, "int_less": 13, "int_less_or_equal": 14, "int_equal": 15,
          "int_greater_or_equal": 16, "int_greater": 17}  # fmt: skip
FILTERS = {"none": 0, "anywhere": 1, "prefix": 2, "postfix": 3}
STATES = ("invalid", "available", "creating", "create_failed", "dropping", "drop_failed", "dropped", "recalling")

_RRDB, _CM = "RPC_RRDB_RRDB_", "RPC_CM_"


def _data(code: str, words: str, ask: Struct, answer: Struct, *more: int, kind: str = "read") -> Rpc:
    return Rpc(_RRDB + code, words, ask, answer, (OK, *more), kind)


def _args(text: str, **more: Struct) -> Struct:
    return Struct("1 request request", {"request": Struct(text, more)})


# --- data

_PAIR = Struct("1 key blob, 2 value blob, 3 expires i32", row=True)
_KEYS = Struct("1 hash_key blob, 2 sort_key blob", row=True)
_FULL = Struct("1 hash_key blob, 2 sort_key blob, 3 value blob", row=True)
_MUTATION = Struct("1 op i32, 2 sort_key blob, 3 value blob, 4 expires i32", row=True)
_BARE = Struct("1 request blob")  # the argument is the blob itself
_UPDATED = Struct("1 error! i32, 5 server text, 4 decree i64")
_REMOVED = Struct("1 error! i32, 2 count i64, 6 server text")
_CHECKED = Struct("1 error! i32, 2 returned bool, 3 exists bool, 4 value blob, 8 server text")
_ROWS = Struct("1 error! i32, 2 rows [pair], 6 server text", {"pair": _PAIR})
_SCANNED = Struct("1 error! i32, 2 rows [pair], 3 context! i64, 6 server text, 7 count i32", {"pair": _PAIR})

PUT = _data("PUT", "put", _args("1 key blob, 2 value blob, 3 expires i32"), _UPDATED, kind="write")
REMOVE = _data("REMOVE", "remove", _BARE, _UPDATED, kind="write")
MULTI_PUT = _data(
    "MULTI_PUT", "multi_put", _args("1 hash_key blob, 2 rows [pair], 3 expires i32", pair=_PAIR), _UPDATED, kind="write"
)
MULTI_REMOVE = _data(
    "MULTI_REMOVE", "multi_remove", _args("1 hash_key blob, 2 sort_keys [blob], 3 most i64"), _REMOVED, kind="write"
)
INCR = _data(
    "INCR", "incr", _args("1 key blob, 2 by i64, 3 expires i32"),
    Struct("1 error! i32, 2 value! i64, 6 server text"), kind="once",
)  # fmt: skip
CHECK_AND_SET = _data(
    "CHECK_AND_SET", "check_and_set",
    _args("1 hash_key blob, 2 check_sort_key blob, 3 check i32, 4 operand blob, 5 other bool, 6 sort_key blob, "
          "7 value blob, 8 expires i32, 9 return_value bool"), _CHECKED, TRY_AGAIN, kind="once",
)  # fmt: skip
CHECK_AND_MUTATE = _data(
    "CHECK_AND_MUTATE", "check_and_mutate",
    _args("1 hash_key blob, 2 check_sort_key blob, 3 check i32, 4 operand blob, 5 mutations [mutation], "
          "6 return_value bool", mutation=_MUTATION), _CHECKED, TRY_AGAIN, kind="once",
)  # fmt: skip
GET = _data("GET", "get", _BARE, Struct("1 error! i32, 2 value! blob, 6 server text"), NOT_FOUND)
TTL = _data("TTL", "ttl", _BARE, Struct("1 error! i32, 2 ttl! i32, 6 server text"), NOT_FOUND)
SORTKEY_COUNT = _data("SORTKEY_COUNT", "sortkey_count", _BARE, Struct("1 error! i32, 2 count! i64, 6 server text"))
MULTI_GET = _data(
    "MULTI_GET", "multi_get",
    _args("1 hash_key blob, 2 sort_keys [blob], 3 most_rows i32, 4 most_bytes i32, 5 no_value bool, 6 start blob, "
          "7 stop blob, 8 start_inclusive bool, 9 stop_inclusive bool, 10 match i32, 11 pattern blob, 12 reverse bool"),
    _ROWS, INCOMPLETE,
)  # fmt: skip
BATCH_GET = _data(
    "BATCH_GET", "batch_get", _args("1 keys [keys]", keys=_KEYS),
    Struct("1 error! i32, 2 rows [full], 6 server text", {"full": _FULL}),
)  # fmt: skip
GET_SCANNER = _data(
    "GET_SCANNER", "get_scanner",
    _args("1 start blob, 2 stop blob, 3 start_inclusive bool, 4 stop_inclusive bool, 5 batch i32, 6 no_value bool, "
          "7 hash_match i32, 8 hash_pattern blob, 9 match i32, 10 pattern blob, 11 validate bool, 12 expire bool, "
          "13 full bool, 14 only_count bool"), _SCANNED, INCOMPLETE,
)  # fmt: skip
SCAN = _data("SCAN", "scan", _args("1 context i64"), _SCANNED, NOT_FOUND, INCOMPLETE)
CLEAR_SCANNER = Rpc(_RRDB + "CLEAR_SCANNER", "clear_scanner", Struct("1 request i64"), None)  # one way: no answer

# --- meta servers


def meta(code: str, words: str, ask: str, answer: str, kind: str = "read", **more: Struct) -> Rpc:
    reply = Struct("1 err! code, " + answer, more)
    return Rpc(_CM + code, words, _args(ask, **more), reply, (), kind, True)


_PARTITION = Struct(
    "1 pid! gpid, 2 ballot! i64, 3 replicas i32, 4 primary address, 5 secondaries [address], 6 drops [address], "
    "7 decree i64, 8 flags i32, 9 hp_primary host_port, 10 hp_secondaries [host_port], 11 hp_drops [host_port]"
)
TABLE = Struct(
    "1 status! i32, 2 type text, 3 name! text, 4 app_id! i32, 5 partition_count i32, 6 envs map, 7 stateful bool, "
    "8 replica_count i32, 9 expires i64, 10 created i64, 11 dropped i64, 12 duplicating bool, 13 first_partitions i32, "
    "14 bulk_loading bool, 15 atomic_idempotent bool"
)
QUERY_CONFIG = meta(
    "QUERY_PARTITION_CONFIG_BY_INDEX", "query configuration", "1 name text, 2 indices [i32]",
    "2 app_id i32, 3 count i32, 4 stateful bool, 5 partitions [partition]", partition=_PARTITION,
)  # fmt: skip
LIST_APPS = meta("LIST_APPS", "list tables", "1 status i32", "2 tables [table]", table=TABLE)

# --- requests for data, checked


class Order(NamedTuple):
    """A request that may be sent. hash: of the key it is about; what: for errors; partition: where it has to go, if
    that is not for the hash to say."""

    rpc: Rpc
    args: bytes
    hash: int
    what: str
    partition: int | None = None

    @property
    def size(self) -> int:
        """Bytes of its message, which for a write are limited."""
        return 12 + len(self.rpc.code) + len(self.args)


def checked(rpc: Rpc, make: Callable[[], tuple[Any, int]], key: Any) -> Order:
    """The order of what make() gives: (arguments, hash). Raises RequestError: nothing is sent."""
    what = "%.60r" % (key,)
    operation = "%s %s" % (rpc.words, what)
    try:
        values, partition_hash = make()
        order = Order(rpc, rpc.ask.write((values,)), partition_hash, what)
        if rpc.kind != "read" and order.size > WRITE_MOST:
            raise ValueError("%d bytes in one write: at most %d go" % (order.size, WRITE_MOST))
    except ValueError as error:
        raise RequestError("%s: %s" % (operation, error), operation=operation) from None
    return order


def _single(rpc: Rpc, key: bytes, sort_key: bytes, more: Callable[[], tuple[Any, ...]] | None = None) -> Order:
    def make() -> tuple[Any, int]:
        raw = raw_key(key, sort_key)
        return (raw, *more()) if more else raw, key_hash(key, sort_key)

    return checked(rpc, make, (key, sort_key))


def _number(value: Any, bits: int = 64) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError("%.40r is no number of %d bits" % (value, bits))
    return value


def put(key: bytes, sort_key: bytes, value: bytes, ttl: int | None = None) -> Order:
    """Set a value; ttl: seconds from now, None: it stays (or has the table's default_ttl). Raises RequestError."""
    return _single(PUT, key, sort_key, lambda: (some(value, "a value"), expires(ttl, time.time())))


def get(key: bytes, sort_key: bytes) -> Order:
    """Ask for a value. Raises RequestError."""
    return _single(GET, key, sort_key)


def ttl_of(key: bytes, sort_key: bytes) -> Order:
    """Ask for the seconds that a row has left. Raises RequestError."""
    return _single(TTL, key, sort_key)


def remove(key: bytes, sort_key: bytes) -> Order:
    """Remove a row; that there is none is no error. Raises RequestError."""
    return _single(REMOVE, key, sort_key)


def incr(key: bytes, sort_key: bytes, by: int, ttl: int | None = 0) -> Order:
    """Add to a number. ttl: 0 leaves its time of expiry, None clears it. Raises RequestError."""

    def more() -> tuple[int, int]:
        return _number(by), -1 if ttl is None else 0 if ttl == 0 else expires(ttl, time.time())

    return _single(INCR, key, sort_key, more)


def count(key: bytes) -> Order:
    """Ask for the number of rows under a hash key. Raises RequestError."""
    return checked(SORTKEY_COUNT, lambda: (hash_key(key, empty=False), crc64(key)), key)


def _several(values: Sequence[Any]) -> Sequence[Any]:
    if not values:
        raise ValueError("nothing is named: servers take no empty list")
    return values


def multi_put(key: bytes, rows: Iterable[tuple[bytes, bytes]], ttl: int | None = None) -> Order:
    """Set (sort key, value) of one hash key, all or none of them. Raises RequestError."""

    def make() -> tuple[Any, int]:
        pairs = _several([(some(name), some(value, "a value"), None) for name, value in rows])
        return (hash_key(key, empty=False), pairs, expires(ttl, time.time())), crc64(key)

    return checked(MULTI_PUT, make, key)


def multi_remove(key: bytes, sort_keys: Iterable[bytes]) -> Order:
    """Remove rows of one hash key, all or none of them. Raises RequestError."""

    def make() -> tuple[Any, int]:
        return (hash_key(key, empty=False), _several([some(name) for name in sort_keys]), 0), crc64(key)

    return checked(MULTI_REMOVE, make, key)


def portions(key: bytes, rows: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Rows in lists that one multi_put or multi_remove takes each: below 1 MiB, and at most 1,000. size: of a row."""
    left, found = 0, list[T]()
    for row in rows:
        need = 22 + size(row)
        if found and (need > left or len(found) >= 1000):
            yield found
            found = []
        if not found:
            left = WRITE_MOST - 100 - len(key)
        found.append(row)
        left -= need
    if found:
        yield found


def _named(name: str, numbers: Mapping[str, int], option: str) -> int:
    if name not in numbers:
        raise ValueError("%s: %.40r is none of %s" % (option, name, ", ".join(numbers)))
    return numbers[name]


def check_and_set(
    key: bytes, check_sort_key: bytes, check: str, operand: bytes, sort_key: bytes, value: bytes,
    ttl: int | None = None, return_value: bool = True,
) -> Order:  # fmt: skip
    """Set a row if the row check_sort_key passes a check (of CHECKS). Raises RequestError."""

    def make() -> tuple[Any, int]:
        asked = (hash_key(key, empty=False), some(check_sort_key), _named(check, CHECKS, "check"), some(operand))
        done = (sort_key != check_sort_key, some(sort_key), some(value, "a value"), expires(ttl, time.time()))
        return (*asked, *done, return_value), crc64(key)

    return checked(CHECK_AND_SET, make, key)


def check_and_mutate(
    key: bytes, check_sort_key: bytes, check: str, operand: bytes,
    mutations: Iterable[tuple[bytes, bytes | None, int | None]], return_value: bool = True,
) -> Order:  # fmt: skip
    """Set and remove rows (sort key, value or None to remove it, ttl) if one passes a check. Raises RequestError."""

    def make() -> tuple[Any, int]:
        asked = (hash_key(key, empty=False), some(check_sort_key), _named(check, CHECKS, "check"), some(operand))
        done = []
        for name, value, ttl in mutations:
            new = b"" if value is None else some(value, "a value")
            done.append((int(value is None), some(name), new, expires(ttl, time.time())))
        return (*asked, _several(done), return_value), crc64(key)

    return checked(CHECK_AND_MUTATE, make, key)


def batch_get(keys: Sequence[tuple[bytes, bytes]]) -> Order:
    """Ask for rows that all are in the partition of the first. Raises RequestError."""

    def make() -> tuple[Any, int]:
        pairs = [(hash_key(key, empty=False), some(sort_key)) for key, sort_key in _several(keys)]
        return (pairs,), crc64(pairs[0][0])

    return checked(BATCH_GET, make, "%d keys" % len(keys))


class Range(NamedTuple):
    """Rows of one hash key. start, stop: sort keys, None: the first, the last; match: one of FILTERS."""

    start: bytes | None = None
    stop: bytes | None = None
    start_inclusive: bool = True
    stop_inclusive: bool = False
    match: str = "none"
    pattern: bytes = b""

    @property
    def empty(self) -> bool:
        """Whether no row can be in it: servers answer that with what looks like a scan that never ends."""
        start, stop = self.start or b"", self.stop
        inclusive = self.stop_inclusive and (self.start_inclusive or self.start is None)
        return stop is not None and (start > stop or start == stop and not inclusive)


EVERY = Range()


def multi_get(
    key: bytes, sort_keys: Iterable[bytes] = (), rows: Range = EVERY, most: int = 0, no_value: bool = False,
    reverse: bool = False,
) -> Order:  # fmt: skip
    """Ask for rows of one hash key: those named, or those of a range that is not empty. Raises RequestError."""

    def make() -> tuple[Any, int]:
        names = [some(name) for name in sort_keys]
        start, stop = (b"" if bound is None else some(bound, "a bound") for bound in (rows.start, rows.stop))
        if rows.stop == b"":
            raise ValueError("servers take an empty stop for none")
        bounds = (start, stop, rows.start_inclusive or rows.start is None, rows.stop_inclusive)
        filters = (_named(rows.match, FILTERS, "match"), some(rows.pattern, "a pattern"), reverse)
        return (hash_key(key, empty=False), names, _number(most, 32), 0, no_value, *bounds, *filters), crc64(key)

    return checked(MULTI_GET, make, key)


class Scan(NamedTuple):
    """What a scanner looks for: raw keys up to stop. full: of all hash keys, which may have a filter of their own.

    A filter for hash keys without full, or one that is too long for a hash key, makes servers abort.
    """

    stop: bytes
    stop_inclusive: bool = False
    full: bool = False
    hash_match: str = "none"
    hash_pattern: bytes = b""
    match: str = "none"
    pattern: bytes = b""
    no_value: bool = False
    expire: bool = False
    batch: int = 1000

    def order(self, start: bytes, inclusive: bool, partition_hash: int, partition: int | None, what: str) -> Order:
        """The request for the first rows from the raw key start on. Raises RequestError."""

        def make() -> tuple[Any, int]:
            pattern, match = hash_key(self.hash_pattern), _named(self.hash_match, FILTERS, "hash_match")
            if match and not self.full:
                raise ValueError("a filter for hash keys is for scans over all of them")
            if not 0 < _number(self.batch) <= 1000:
                raise ValueError("batch: 1 to 1000 rows")
            bounds = (some(start), some(self.stop), inclusive, self.stop_inclusive, self.batch, self.no_value)
            filters = (match, pattern, _named(self.match, FILTERS, "match"), some(self.pattern, "a pattern"))
            return (*bounds, *filters, self.full, self.expire, self.full, None), partition_hash

        return checked(GET_SCANNER, make, what)._replace(partition=partition, what=what)


def hash_scan(key: bytes, within: Range) -> tuple[bytes, bool, Scan]:
    """(first raw key, whether it counts, scan) of a range of one hash key. Raises RequestError."""
    try:
        first = raw_key(hash_key(key, empty=False), b"")
        start = first + (b"" if within.start is None else some(within.start, "a bound"))
        inclusive = within.start_inclusive or within.start is None
        scan = Scan(next_key(first), match=within.match, pattern=within.pattern)
        if within.stop is not None:
            scan = scan._replace(stop=first + some(within.stop, "a bound"), stop_inclusive=within.stop_inclusive)
    except ValueError as error:
        raise RequestError("scan %.60r: %s" % (key, error), operation="scan") from None
    return start, inclusive, scan


class Row(NamedTuple):
    """expires: seconds since 2016, 0: never; only where it was asked for."""

    hash_key: bytes
    sort_key: bytes
    value: bytes
    expires: int


class Checked(NamedTuple):
    """What check_and_set and check_and_mutate found. exists, value: None where not returned."""

    met: bool
    exists: bool | None
    value: bytes | None


class Partition(NamedTuple):
    """One of a table's. primary: who takes requests, None: nobody now; ballot: below 0, its parent still serves it."""

    number: int
    ballot: int
    primary: Server | None
    secondaries: tuple[Server, ...]
    replica_count: int


class Route(NamedTuple):
    """A table's configuration."""

    app_id: int
    partitions: tuple[Partition, ...]

    @property
    def ready(self) -> bool:
        """Whether every partition has a primary."""
        return all(partition.primary for partition in self.partitions if partition.ballot >= 0)

    def serving(self, number: int) -> int:
        """The partition itself, or its parent where it has just been split off and is not ready."""
        return number - len(self.partitions) // 2 if self.partitions[number].ballot < 0 else number

    def parts(self) -> list[tuple[int, int]]:
        """(number, modulus): all hashes that leave this number are served by the partition of this number."""
        count = len(self.partitions)
        double = {partition.number - count // 2 for partition in self.partitions if partition.ballot < 0}
        return [(p.number, count // 2 if p.number in double else count) for p in self.partitions if p.ballot >= 0]
