# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ranges: multi_get, and scans."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pegasus.keys import NO_FILTER, PREFIX, Abort, after, joined, key_hash, parted, passes
from polystore_sandbox.pegasus.settings import Settings
from polystore_sandbox.pegasus.tables import Partition, Scan, now_ts
from polystore_sandbox.pegasus.thrift import written_rows

OK, NOT_FOUND, INVALID, INCOMPLETE = 0, 1, 4, 7
DONE = -1  # the context of a scan that has ended
Answer = dict[str, Any]


def alive(expire: int, now: int) -> bool:
    """True when a row has not expired."""
    return not expire or expire > now


def multi_get(partition: Partition, args: Answer, settings: Settings) -> Answer:
    """Rows of one hash key, by their sort keys or by a range of these."""
    if not NO_FILTER <= args["filter"] <= 3:
        return {"error": INVALID}
    return _by_keys(partition, args, settings) if args["sort_keys"] else _by_range(partition, args, settings)


def _by_keys(partition: Partition, args: Answer, settings: Settings) -> Answer:
    most = min(args["max_count"], settings.multi_get_rows) if args["max_count"] > 0 else settings.multi_get_rows
    largest = args["max_size"] if args["max_size"] > 0 else (1 << 31) - 1
    found: list[tuple[bytes, ...]] = []
    size, now, prefix = 0, now_ts(), joined(args["hash_key"])
    for sort_key in args["sort_keys"]:
        row = partition.rows.data.get(prefix + sort_key)
        if row is None or not alive(row.expire, now):
            continue
        if len(found) >= most or size >= largest:
            return {"error": INCOMPLETE, "rows": written_rows(found)}
        value = b"" if args["no_value"] else row.value
        found.append((sort_key, value))
        size += len(sort_key) + len(value)
    return {"rows": written_rows(found)}


def _bounds(args: Answer) -> tuple[bytes, bool, bytes, bool]:
    """The range that a multi_get asks for."""
    hash_key = args["hash_key"]
    start, with_start = joined(hash_key, args["start"]), args["start_inclusive"]
    if args["stop"]:
        stop, with_stop = joined(hash_key, args["stop"]), args["stop_inclusive"]
    else:
        stop, with_stop = after(joined(hash_key)), False
    if args["filter"] == PREFIX and args["pattern"]:
        prefix = joined(hash_key, args["pattern"])
        if prefix > start:
            start, with_start = prefix, True
        if after(prefix) <= stop:
            stop, with_stop = after(prefix), False
    return start, with_start, stop, with_stop


def _by_range(partition: Partition, args: Answer, settings: Settings) -> Answer:
    start, with_start, stop, with_stop = _bounds(args)
    if start > stop or (start == stop and not (with_start and with_stop)):
        return {}
    rows = partition.rows
    keys = rows.keys()
    first, last = rows.span(start, with_start, stop, with_stop)
    order = range(last - 1, first - 1, -1) if args["reverse"] else range(first, last)
    most = min(args["max_count"], settings.multi_get_rows) if args["max_count"] > 0 else settings.multi_get_rows
    largest = min(args["max_size"], settings.multi_get_bytes) if args["max_size"] > 0 else settings.multi_get_bytes
    looks = min(settings.multi_get_rows, settings.slow_rows or settings.multi_get_rows)
    found: list[tuple[bytes, ...]] = []
    size = looked = 0
    now, skip, plain = now_ts(), 2 + len(args["hash_key"]), args["filter"] == NO_FILTER
    end_key = start if args["reverse"] else stop
    for index in order:
        if len(found) >= most or looked >= looks or size >= largest:
            break
        looked += 1
        key = keys[index]
        row = rows.data[key]
        if alive(row.expire, now) and (plain or passes(args["filter"], args["pattern"], key[skip:])):
            value = b"" if args["no_value"] else row.value
            found.append((key[skip:], value))
            size += len(key) - skip + len(value)
        if key == end_key:
            looked = -1  # the range's last key ends it, whatever lies beyond
            break
    if args["reverse"]:
        found.reverse()
    cut = len(found) >= most or looked >= looks or size >= largest
    # Forwards, the end of the hash key ends it too. Backwards something always lies before: a row that primaries write.
    beyond = looked != -1 and cut and (args["reverse"] or _more(keys, first + looked, joined(args["hash_key"])))
    return {"error": INCOMPLETE if beyond else OK, "rows": written_rows(found)}


def _more(keys: list[bytes], index: int, prefix: bytes) -> bool:
    return index < len(keys) and keys[index].startswith(prefix)


# --- scans ---------------------------------------------------------------------------------------------------------


def get_scanner(partition: Partition, args: Answer, settings: Settings) -> Answer:
    """Begins a scan."""
    if not (NO_FILTER <= args["hash_filter"] <= 3 and NO_FILTER <= args["sort_filter"] <= 3):
        return {"error": INVALID}
    hash_key = parted(args["start"])[0]
    start, with_start, stop = args["start"], args["start_inclusive"], args["stop"]
    whole = not hash_key or args["full_scan"]
    if args["hash_filter"] == PREFIX and args["hash_pattern"]:
        prefix = joined(args["hash_pattern"])
        if prefix > start:
            start, with_start = prefix, True
            if not whole:
                raise Abort("a hash key's scan with a prefix of hash keys above it")
    if start > stop or (start == stop and not (with_start and args["stop_inclusive"])):
        return {}
    rows = partition.rows
    keys = rows.keys()
    first, last = rows.span(start, with_start, stop, args["stop_inclusive"])
    if not whole:  # a scan of one hash key ends where that ends, however far its bounds reach
        last = min(last, rows.span(joined(hash_key), True, after(joined(hash_key)), False)[1])
        last = max(first, last)
    ends = last < len(keys) and (whole or keys[last].startswith(joined(hash_key)))
    if last > first and keys[last - 1] == stop:
        ends = False
    scanned = keys[first:last]
    return _batch(partition, Scan(scanned, [rows.data[key] for key in scanned], ends, args), settings)


def scan(partition: Partition, args: Answer, settings: Settings) -> Answer:
    """Goes on with one."""
    kept = partition.scans.take(args["context"], settings.scan_seconds)
    return {"error": NOT_FOUND} if kept is None else _batch(partition, kept, settings)


def _batch(partition: Partition, kept: Scan, settings: Settings) -> Answer:
    args, table = kept.request, partition.table
    most = min(args["batch_size"], settings.scan_rows) if args["batch_size"] > 0 else settings.scan_rows
    looks = most if kept.at else settings.scan_rows
    slow = settings.slow_rows
    validate = args["validate_hash"] and table.applied.validate
    filtered = args["hash_filter"] != NO_FILTER or args["sort_filter"] != NO_FILTER
    found: list[tuple[bytes, Any]] = []
    looked, now = 0, now_ts()
    while kept.at < len(kept.keys) and len(found) < most and looked < looks and not (slow and looked >= slow):
        key, row = kept.keys[kept.at], kept.rows[kept.at]
        kept.at += 1
        looked += 1
        if not alive(row.expire, now) or (validate and key_hash(key) & table.version != partition.index):
            continue
        if filtered:
            hash_key, sort_key = parted(key)
            if not passes(args["hash_filter"], args["hash_pattern"], hash_key):
                continue
            if not passes(args["sort_filter"], args["sort_pattern"], sort_key):
                continue
        found.append((key, row))
    answer = _told(args, found)
    if slow and looked >= slow and kept.at < len(kept.keys):
        return {**answer, "error": INCOMPLETE}  # and no context
    if kept.at < len(kept.keys) or (kept.ends and (len(found) >= most or looked >= looks)):
        answer["context"] = partition.scans.keep(kept)
    else:
        answer["context"] = DONE
    return answer


def _told(args: Answer, found: list[tuple[bytes, Any]]) -> Answer:
    if args["only_count"]:
        return {"count": len(found)}
    if args["return_expire_ts"]:
        return {
            "rows": [
                {
                    "key": key,
                    "value": b"" if args["no_value"] else row.value,
                    "expire_ts": row.expire - (1 << 32) if row.expire >> 31 else row.expire,
                }
                for key, row in found
            ]
        }
    if args["no_value"]:
        return {"rows": written_rows([(key, b"") for key, _row in found])}
    return {"rows": written_rows([(key, row.value) for key, row in found])}
