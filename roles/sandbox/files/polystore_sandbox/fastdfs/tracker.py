# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracker answers: it knows groups and storages, and nothing of files."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from polystore_sandbox.fastdfs.cluster import ACTIVE, BOTH, OFFLINE, READ_ONLY, Cluster, Group
from polystore_sandbox.fastdfs.names import CODE, LONGEST, PLACE, FileName
from polystore_sandbox.fastdfs.records import GROUP_NAME, PAIRS, TIMES, group_record, number, padded, storage_record
from polystore_sandbox.fastdfs.store import Storage
from polystore_sandbox.fastdfs.wire import HEADER, Body, Refused, Request

# Command -> its name in the log.
COMMANDS = {
    90: "list_one_group",
    91: "list_all_groups",
    92: "list_storages",
    95: "query_leader",
    101: "query_store",
    102: "query_fetch_one",
    103: "query_update",
    104: "query_store_group",
    105: "query_fetch_all",
    106: "query_store_all",
    107: "query_store_all_group",
    111: "active_test",
}
BARE = (91, 95, 101, 106, 111)  # without a body
HEART_BEAT = 30
TRUNK_FREE = 63  # of a trunk file's 64 MiB


class Tracker:
    """See polystore_sandbox.fastdfs.wire.Server."""

    first = None
    deaf = False

    def __init__(self, cluster: Cluster, what: str) -> None:
        self.cluster, self.what = cluster, what
        self.answers: dict[int, Callable[[Request], Body]] = {
            90: self._one_group,
            91: self._all_groups,
            92: self._storages,
            95: self._leader,
            101: self._store,
            102: self._fetch,
            103: self._fetch,
            104: self._store,
            105: self._fetch,
            106: self._store,
            107: self._store,
            111: lambda _request: b"",
        }

    @property
    def forgives(self) -> bool:
        """Whether an EINVAL leaves the connection usable."""
        return self.cluster.settings.dialect.has("tracker_forgives")

    def length(self, told: int) -> int | None:
        """A tracker counts in 32 bits and takes 8 KiB, from 6.10 on 256 KiB."""
        low = told & 0xFFFFFFFF
        return low if low + HEADER.size <= (1 << 18 if self.forgives else 1 << 13) else None

    def describe(self, request: Request) -> None:
        """Name and path."""
        describe(request)

    def answer(self, request: Request) -> Body:
        """Raises Refused."""
        known = self.answers.get(request.command)
        if known is None or (request.command in BARE and request.length):
            raise Refused(errno.EINVAL)
        return known(request)

    def _group(self, request: Request) -> Group:
        group = self.cluster.groups.get(_text(request.data[:GROUP_NAME]))
        if group is None:
            raise Refused(errno.ENOENT)
        return group

    # --- where to go ---------------------------------------------------------------------------------------------

    def _address(self, storage: Storage) -> bytes:
        return padded(storage.address, self.cluster.settings.width - 1)

    def _place(self, storage: Storage) -> bytes:
        return self._address(storage) + number(storage.port)

    def _store(self, request: Request) -> Body:
        cluster, every = self.cluster, request.command in (106, 107)
        if request.command in (101, 106):
            group = cluster.store_group()
        elif request.length != GROUP_NAME:
            raise Refused(errno.EINVAL)
        else:
            group = self._group(request)
        if group is None or not cluster.writable(group):
            raise Refused(errno.ENOENT)
        roomy = cluster.with_space(group)
        if not roomy:
            raise Refused(errno.ENOSPC)
        chosen = roomy if every else [cluster.store(group)]
        return padded(group.name, GROUP_NAME) + b"".join(self._place(storage) for storage in chosen) + b"\0"

    def _fetch(self, request: Request) -> Body:
        name = request.data[GROUP_NAME:]
        if not PLACE + CODE <= len(name) <= LONGEST:
            raise Refused(errno.EINVAL)
        group, known = self._group(request), FileName.of(name)
        if request.command == 103:
            update = self.cluster.update(group, known)
            found = [update] if update else []
        else:
            found = self.cluster.fetch(group, known)
        if not found:
            raise Refused(errno.ENOENT)
        if request.command == 105:  # the source first
            found.sort(key=lambda storage: storage is not self.cluster.source(group, known))
        else:
            found = found[:1]
        head = padded(group.name, GROUP_NAME) + self._place(found[0])
        dialect = self.cluster.settings.dialect
        if dialect.unpadded:
            begin, end = GROUP_NAME + len(found[0].address) + 1, GROUP_NAME + self.cluster.settings.width - 1
            head = head[:begin] + request.data[begin:end] + head[end:]
        with_port = dialect.has("ports_of_all")
        return head + b"".join(map(self._place if with_port else self._address, found[1:]))

    def _leader(self, _request: Request) -> Body:
        if not self.cluster.settings.dialect.has("leader"):
            raise Refused(errno.EINVAL)
        return "{}:{}".format(*self.cluster.trackers[0]).encode()

    # --- lists ---------------------------------------------------------------------------------------------------

    def _one_group(self, request: Request) -> Body:
        if request.length != GROUP_NAME:
            raise Refused(errno.EINVAL)
        return self._group_record(self._group(request))

    def _all_groups(self, _request: Request) -> Body:
        return b"".join(self._group_record(group) for group in self.cluster.groups.values())

    def _group_record(self, group: Group) -> bytes:
        cluster, settings = self.cluster, self.cluster.settings
        spaces = [cluster.space(storage) for storage in group.storages]
        total, free, reserved = (min(space[index] for space in spaces) for index in range(3))
        values = {
            "total_mb": total,
            "free_mb": free,
            "reserved_mb": reserved,
            "trunk_free_mb": TRUNK_FREE if settings.trunk and settings.trunk_ready else 0,
            "storage_count": len(group.storages),
            "storage_port": group.storages[0].port,
            "readable": len(cluster.readable(group)),
            "writable": len(cluster.writable(group)),
            "current_write_server": 0,
            "store_path_count": settings.store_paths,
            "subdir_count": settings.subdirs,
            "trunk_file": int(settings.trunk_ready) if settings.trunk else -1,
        }
        return group_record(settings.dialect, group.name, values)

    def _storages(self, request: Request) -> Body:
        if not GROUP_NAME <= request.length <= GROUP_NAME + 15:
            raise Refused(errno.EINVAL)
        group, wanted = self._group(request), _text(request.data[GROUP_NAME:])
        by_number = self.cluster.settings.storage_ids
        found = [storage for storage in group.storages if not wanted or storage.id(by_number) == wanted]
        if not found:
            raise Refused(errno.ENOENT)
        return b"".join(self._storage_record(group, storage) for storage in found)

    def _storage_record(self, group: Group, storage: Storage) -> bytes:
        cluster, settings = self.cluster, self.cluster.settings
        first, active, now = group.storages[0], cluster.active(storage), int(time.time())
        total, free, reserved = cluster.space(storage)
        by_number = settings.storage_ids
        texts = {
            "id": storage.id(by_number),
            "ip_addr": storage.address,
            "src_id": "" if storage is first else first.id(by_number),
        }
        values = {
            "status": ACTIVE if active else OFFLINE,
            "rw_mode": READ_ONLY if group.name in settings.read_only else BOTH,
            "join_time": storage.joined,
            "up_time": storage.up if active else 0,
            "total_mb": total,
            "free_mb": free,
            "reserved_mb": reserved,
            "upload_priority": 10,
            "store_path_count": settings.store_paths,
            "subdir_count": settings.subdirs,
            "current_write_path": 0,
            "storage_port": storage.port,
            "conn_alloc": 64 if settings.dialect.has("tracker_forgives") else 256,
            "conn_current": len(storage.door.sessions) if storage.door else 0,
            "conn_max": storage.door.most if storage.door else 0,
            "if_trunk_server": int(settings.trunk and settings.trunk_ready and storage is first),
            **{name: storage.counts[name] for name in (*PAIRS, *TIMES)},
        }
        values["last_heart_beat_time"] = now if active else max(storage.up, now - HEART_BEAT)
        return storage_record(settings.dialect, settings.width, texts, values)


def describe(request: Request) -> None:
    """Fills in name and path of a request to a tracker."""
    request.name = COMMANDS.get(request.command, "")
    if request.name and request.command not in BARE:
        group = _text(request.data[:GROUP_NAME])
        rest = _text(request.data[GROUP_NAME:])
        request.path = f"{group}/{rest}" if rest else group


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "backslashreplace")
