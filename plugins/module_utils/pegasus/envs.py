# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envs of Pegasus's tables: what they may be, and the one form in which two that mean the same are equal.

Source of fact: what the meta servers of 2.5.0 take and refuse, and what its replica servers make of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.polystore.storage.plugins.module_utils.core.values import plain_text
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import LARGEST, expires

DEFAULT_TTL = "default_ttl"
KEPT = ("replica.split.", "duplication.")  # what servers set themselves: a purge leaves it alone

Normal = Callable[[str], str]


def _number(low: int, high: int = (1 << 63) - 1) -> Normal:
    def normal(text: str) -> str:
        if not re.match(r"-?[0-9]{1,19}\Z", text) or not low <= int(text) <= high:
            raise ValueError("%r is no whole number from %d to %d" % (text, low, high))
        return str(int(text))

    return normal


def _word(*words: str) -> Normal:
    def normal(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("%r is none of %s" % (text, ", ".join(words)))
        return text.lower()

    return normal


def _ttl(text: str) -> str:
    number = _number(0, LARGEST)(text)
    if number != "0":
        expires(int(number), time.time())
    return number


def _level(text: str) -> str:
    number = _number(-1)(text)
    if number == "0":
        raise ValueError("'0' is no level: -1, or 1 and more")
    return number


def _units(text: str) -> str:
    found = re.match(r"([0-9]{1,15})([KM]?)\Z", text)
    if not found:
        raise ValueError("%r is no number such as 20000, 20K or 20M" % text)
    return str(int(found.group(1)) * {"": 1, "K": 1000, "M": 1000000}[found.group(2)])


def _throttling(text: str) -> str:
    rules = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        words = [word.strip() for word in part.split("*")]
        if len(words) != 3 or words[1] not in ("delay", "reject") or words[1] in rules:
            raise ValueError("%r is not such as 2000*delay*100,3000*reject*200, each of both at most once" % text)
        rules[words[1]] = "%s*%s*%s" % (_units(words[0]), words[1], _number(0)(words[2]))
    if not rules:
        raise ValueError("it is empty")
    return ",".join(rules[word] for word in sorted(rules))


def _size_throttling(text: str) -> str:
    """Servers look for pieces of it, so that of all that they take only a plain number has one normal form."""
    if re.match(r"[0-9]+[KM]?\Z", text):
        text = _units(text)
    if text == "0" or not re.search(r"[0-9]", text):
        raise ValueError("%r is not such as 20000, 20K or 20000*delay*100,30000*reject*200" % text)
    return text


def _deny(text: str) -> str:
    found = re.match(r"(timeout|reconfig)\s*\*\s*(all|write|read)\Z", text)
    if not found:
        raise ValueError("%r is not such as timeout*all or reconfig*write" % text)
    return "*".join(found.groups())


def _clock(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.match(r"([01]?[0-9]|2[0-3]):[0-5][0-9]\Z", part) for part in parts):
        raise ValueError("%r is no time of day such as 3:00,21:00" % text)
    return ",".join(parts)


_BOOL = _word("true", "false")
# What a value may be, and its one form. Servers take some of what is not among it, and then ignore it.
NORMAL: dict[str, Normal] = {
    DEFAULT_TTL: _ttl,
    "manual_compact.disabled": _BOOL,
    "manual_compact.max_concurrent_running_count": _number(0, LARGEST),
    "manual_compact.once.trigger_time": _number(0),
    "manual_compact.periodic.trigger_time": _clock,
    **{"manual_compact.%s.target_level" % when: _level for when in ("once", "periodic")},
    **{
        "manual_compact.%s.bottommost_level_compaction" % when: _word("force", "skip")
        for when in ("once", "periodic")
    },
    "replica.deny_client_request": _deny,
    "replica.read_throttling_by_size": _size_throttling,
    "replica.rocksdb_block_cache_enabled": _BOOL,
    "replica.rocksdb_iteration_threshold_time_ms": _number(0),
    "replica.slow_query_threshold": _number(20),
    "replica.split.validate_partition_hash": _BOOL,
    "rocksdb.allow_ingest_behind": _BOOL,
    "rocksdb.checkpoint.reserve_min_count": _number(1, LARGEST),
    "rocksdb.checkpoint.reserve_time_seconds": _number(0, LARGEST),
    "rocksdb.num_levels": _number(1, 10),
    "rocksdb.usage_scenario": _word("normal", "prefer_write", "bulk_load"),
    "rocksdb.write_buffer_size": _number(16 << 20, 512 << 20),
}  # fmt: skip
for _what in ("write_throttling", "write_throttling_by_size", "read_throttling", "backup_request_throttling"):
    NORMAL["replica." + _what] = _throttling


def envs(value: Mapping[str, Any]) -> dict[str, str | None]:
    """Envs in their normal form; null, and a default_ttl of 0, which is none, mean removal. Raises ValueError."""
    found: dict[str, str | None] = {}
    for name, given in value.items():
        if not plain_text(name).strip() or name != name.strip():
            raise ValueError("%r is no name" % name)
        if isinstance(given, (dict, list, float)):
            raise ValueError("%s: %r is no text, whole number, true or false" % (name, given))
        text = ("true" if given else "false") if isinstance(given, bool) else str(given)
        normal = NORMAL.get(name)
        try:
            text.encode("utf-8")
            text = normal(text.strip()) if normal and given is not None else text
        except UnicodeEncodeError:
            raise ValueError("%s: it is not valid UTF-8" % name) from None
        except ValueError as error:
            raise ValueError("%s: %s" % (name, error)) from None
        found[name] = None if given is None or (name == DEFAULT_TTL and text == "0") else text
    return found


def told(have: Mapping[str, str]) -> dict[str, str]:
    """The envs that a server tells, in the same form; what has none stays as it is."""
    found: dict[str, str] = {}
    for name, text in sorted(have.items()):
        try:
            normal = envs({name: text})[name]
        except ValueError:
            normal = text
        if normal is not None:
            found[name] = normal
    return found
