# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's lists of groups and storages, in every layout from 4.06 to 6.16, and the client that asks for them.

Apart from wire and client, because only a module that lists something has to ship it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import (
    FdfsClient,
    FdfsConnection,
    File,
    FileId,
    Server,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import check_group
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import STATES, Order, ReplyError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import text_of as _text


class _Layout:
    """A record's fields as (name, format), for struct and by name."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self.names, self.forms = [name for name, _form in fields], [form for _name, form in fields]
        self.struct = struct.Struct("!" + "".join(self.forms))

    def records(self, body: bytes) -> Iterator[dict[str, Any]]:
        """Raises ValueError where text is no text or a port none."""
        for row in self.struct.iter_unpack(body):
            found: dict[str, Any] = dict(zip(self.names, (_text(x) if isinstance(x, bytes) else x for x in row)))
            if not 0 <= found["storage_port"] < 65536:
                raise ValueError(found["storage_port"])
            yield found


def _numbers(names: str) -> list[tuple[str, str]]:
    return [(name, "q") for name in names.split()]


def _group_layout(names: str) -> _Layout:
    return _Layout(("name", "17s"), *_numbers(names))


_FIRST = "total_mb free_mb %strunk_free_mb storage_count storage_port "
_LAST = " current_write_server store_path_count subdir_count_per_path current_trunk_file_id"
_COUNTED = (
    "upload append modify truncate set_meta delete download get_meta create_link delete_link upload_bytes append_bytes "
    "modify_bytes download_bytes sync_in_bytes sync_out_bytes file_open file_read file_write"
)


def _storage_layout(width: int, version: int, rw: bool, reserved: bool, connections: bool) -> _Layout:
    old = not rw
    return _Layout(
        ("status", "B"), *[("rw_mode", "B")] * rw, ("id", "16s"), ("ip_addr", "%ds" % width),
        *[("domain_name", "128s")] * old, ("src_id", "16s"), ("version", "%ds" % version),
        *_numbers("join_time up_time total_mb free_mb" + " reserved_mb" * reserved),
        *_numbers("upload_priority store_path_count subdir_count current_write_path storage_port"),
        *_numbers("http_port" * old),
        *[(name, "i") for name in ("conn_alloc", "conn_current", "conn_max") if connections],
        *_numbers(" ".join("total_%s success_%s" % (name, name) for name in _COUNTED.split())),
        *_numbers("last_source_update last_sync_update last_synced_timestamp last_heart_beat_time"),
        ("if_trunk_server", "B"),
    )  # fmt: skip


GROUPS = {
    105: _group_layout(_FIRST % "" + "http_port active_count" + _LAST),
    113: _group_layout(_FIRST % "reserved_mb " + "readable_count writable_count" + _LAST),
}
STORAGES = {
    600: _storage_layout(16, 6, False, False, False),  # up to 5.03
    612: _storage_layout(16, 6, False, False, True),  # 5.04 to 6.10
    642: _storage_layout(46, 6, False, False, True),  # 6.11
    644: _storage_layout(46, 8, False, False, True),  # 6.12
    509: _storage_layout(46, 8, True, False, True),  # 6.13.0
    517: _storage_layout(46, 8, True, True, True),  # 6.13.1 to 6.14, and later ones with IPv6
    487: _storage_layout(16, 8, True, True, True),  # from 6.15 on
}
GROUP_KEYS = tuple(dict.fromkeys(name for layout in (GROUPS[113], GROUPS[105]) for name in layout.names))
STORAGE_KEYS = tuple(dict.fromkeys(name for size in (487, 612) for name in STORAGES[size].names))


def parse_groups(body: bytes) -> list[dict[str, Any]]:
    """Groups under the keys GROUP_KEYS; None for what this server's version does not tell."""
    found = []
    for row in _records(body, GROUPS, "group", _is_group):
        port = row.get("http_port")
        if port and port <= 32:  # 6.13.0 has other numbers in these two places, and no port is so small
            row.update(readable_count=port, writable_count=row["active_count"], http_port=None)
        found.append({key: row.get(key) for key in GROUP_KEYS})
    return found


def parse_storages(body: bytes) -> list[dict[str, Any]]:
    """Storages under the keys STORAGE_KEYS and state (a name of STATES); None for what the version does not tell."""
    found = []
    for row in _records(body, STORAGES, "storage", lambda row: row["status"] in STATES):
        row["if_trunk_server"] = bool(row["if_trunk_server"])
        found.append({"state": STATES[row["status"]], **{key: row.get(key) for key in STORAGE_KEYS}})
    return found


def _is_group(row: dict[str, Any]) -> bool:
    check_group(row["name"])
    return True


def _records(body: bytes, layouts: dict[int, _Layout], noun: str, fits: Any) -> list[dict[str, Any]]:
    """Rows of the one layout whose length divides the body's and that makes sense of it."""
    for length, layout in layouts.items():
        if len(body) % length == 0:
            try:
                rows = list(layout.records(body))
                if all(map(fits, rows)):
                    return rows
            except ValueError:
                continue
    raise ReplyError(
        "A list of %d bytes holds no %s records that are understood" % (len(body), noun),
        hint="Records of FastDFS 4.06 to 6.16 are; this server is of another version",
    )


def parse_leader(body: bytes) -> Server:
    """The leading tracker, told as text (from 6.15.5 on)."""
    try:
        host, _colon, port = _text(body).rpartition(":")
        return wire.server_of(host.strip("[]").encode("ascii"), int(port).to_bytes(8, "big"))
    except (ValueError, OverflowError):
        raise ReplyError("The reply names no leader") from None


# --- who asks for them


class Cluster(FdfsClient):
    """A client that asks about the cluster too, and can do what no module does."""

    def groups(self) -> list[dict[str, Any]]:
        """All groups; the keys are GROUP_KEYS, None for what the version does not tell."""
        return self._asked(Order(wire.LIST_GROUPS), parse_groups)

    def group(self, name: str) -> dict[str, Any]:
        """One group, as in groups(). Raises RefusedError, code 2, where there is none."""
        order = self._right(wire.LIST_GROUP, wire.group_order, wire.LIST_GROUP, name)

        def single(body: bytes) -> dict[str, Any]:
            rows: list[dict[str, Any]] = parse_groups(body)
            if len(rows) != 1:
                raise ReplyError("The reply holds %d groups" % len(rows))
            return rows[0]

        return self._asked(order, single)

    def storages(self, group: str, storage: str = "") -> list[dict[str, Any]]:
        """The storages of a group, or the one with this id; the keys are state and STORAGE_KEYS."""
        order = self._right(wire.LIST_STORAGES, wire.group_order, wire.LIST_STORAGES, group, storage)
        return self._asked(order, parse_storages)

    def leader(self) -> Server:
        """The leading tracker; RefusedError, code 22, before 6.15.5."""
        return self._asked(Order(wire.LEADER), parse_leader)

    def ping(self, server: Server, role: str = "tracker") -> None:
        """Raises FdfsError where no tracker or storage answers."""
        self._exchange(server, role, Order(wire.ACTIVE_TEST))

    def store(self, group: str | None = None, every: bool = False) -> tuple[str, list[Server], int]:
        """(group, storages, store path number) for an upload. every: all storages that could take it."""
        return self._asked(self._store_order(group, every), wire.parse_store)

    def places(self, file_id: File, which: str = "fetch") -> list[Server]:
        """Storages for a file, whether it exists or not. which: fetch (one to read), update (one to change), all."""
        command = {"fetch": wire.FETCH, "update": wire.UPDATE, "all": wire.FETCH_ALL}[which]
        return self._asked(wire.file_order(command, self._file(file_id, command)), wire.parse_place)

    def regenerate(self, file_id: File) -> FileId:
        """Make an appender a normal file; its new id, the old one is gone (from 6.02 on)."""
        file = self._file(file_id, wire.REGENERATE)
        order = wire.file_order(wire.REGENERATE, file)
        body, server = self._change(order, file)
        return self._parsed(wire.parse_id, body, order, "storage", server)


class ClusterConnection(FdfsConnection):
    """The same connection options, and this client."""

    connect = staticmethod(Cluster)


CONNECTION = ClusterConnection()
