# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records by which a tracker describes groups and storages, in each version's layout."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from polystore_sandbox.fastdfs.versions import Dialect

GROUP_NAME = 16
HTTP_PORT = 8888

# What a storage counts, in a record's order: each as a total and as a number of successes.
PAIRS = (
    *("upload", "append", "modify", "truncate", "set_meta", "delete", "download", "get_meta"),
    *("create_link", "delete_link"),
    *("upload_bytes", "append_bytes", "modify_bytes", "download_bytes", "sync_in_bytes", "sync_out_bytes"),
    *("file_open", "file_read", "file_write"),
)
TIMES = ("last_source_update", "last_sync_update", "last_synced_timestamp", "last_heart_beat_time")

Values = Mapping[str, int]


def padded(text: str, size: int) -> bytes:
    """Text in a field of that size."""
    return text.encode()[:size].ljust(size, b"\0")


def number(value: int) -> bytes:
    """As every number of 8 bytes is sent; a negative one too."""
    return struct.pack(">Q", value & 0xFFFFFFFFFFFFFFFF)


def group_record(dialect: Dialect, name: str, values: Values) -> bytes:
    """One group.

    values: total_mb, free_mb, reserved_mb, trunk_free_mb, storage_count, storage_port, readable, writable,
    current_write_server, store_path_count, subdir_count, trunk_file (-1: none).
    """
    values = dict(values)
    values["http_port"] = HTTP_PORT
    if values["trunk_file"] < 0 and not dialect.has("no_trunk_is_minus_one"):
        values["trunk_file"] = 0
    fields = ["total_mb", "free_mb", *(["reserved_mb"] if dialect.has("reserved") else []), "trunk_free_mb"]
    fields += ["storage_count", "storage_port"]
    fields += ["readable", "writable"] if dialect.has("no_http") else ["http_port", "readable"]
    fields += ["current_write_server", "store_path_count", "subdir_count", "trunk_file"]
    return padded(name, GROUP_NAME + 1) + b"".join(number(values[field]) for field in fields)


def storage_record(dialect: Dialect, width: int, texts: Mapping[str, str], values: Values) -> bytes:
    """One storage.

    width: of an address. texts: id, ip_addr, src_id. values: status, rw_mode, join_time, up_time, total_mb, free_mb,
    reserved_mb, upload_priority, store_path_count, subdir_count, current_write_path, storage_port, conn_alloc,
    conn_current, conn_max, if_trunk_server, PAIRS and TIMES.
    """
    parts = [bytes([values["status"]])]
    if dialect.has("rw_mode"):
        parts.append(bytes([values["rw_mode"]]))
    parts += [padded(texts["id"], 16), padded(texts["ip_addr"], width)]
    if not dialect.has("no_http"):
        parts.append(bytes(128))  # the domain name
    parts += [padded(texts["src_id"], 16), padded(dialect.shown, 8 if dialect.has("long_version") else 6)]
    fields = ["join_time", "up_time", "total_mb", "free_mb", *(["reserved_mb"] if dialect.has("reserved") else [])]
    fields += ["upload_priority", "store_path_count", "subdir_count", "current_write_path", "storage_port"]
    parts += [number(values[field]) for field in fields]
    if not dialect.has("no_http"):
        parts.append(number(HTTP_PORT))
    if dialect.has("connection_counters"):
        parts.append(struct.pack(">III", values["conn_alloc"], values["conn_current"], values["conn_max"]))
    for name in PAIRS:
        parts += [number(values[name])] * 2  # what was refused is in neither
    parts += [number(values[name]) for name in TIMES]
    return b"".join(parts) + bytes([values["if_trunk_server"]])
