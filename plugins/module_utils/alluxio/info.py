# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to Alluxio that change nothing."""

from __future__ import annotations

import dataclasses as dc
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP

GATHER = ("proxy", "status", "list", "mounts")
MASK = "******"  # what servers from 2.1.0 on show for a secret themselves
SECRET = re.compile(r"secret|passw|credential|token|key", re.IGNORECASE)
# What of the proxy's configuration (400 to 900 properties, secrets among them) decides how it behaves.
SETTINGS = (
    "alluxio.master.hostname",
    "alluxio.master.rpc.addresses",
    "alluxio.proxy.s3.v2.version.enabled",
    "alluxio.proxy.stream.cache.timeout",
    "alluxio.security.authentication.type",
    "alluxio.security.authorization.permission.enabled",
    "alluxio.security.login.username",
    "alluxio.user.block.size.bytes.default",
    "alluxio.user.file.writetype.default",
    "alluxio.user.rpc.retry.max.duration",
)
# What a playbook may want to know before it asks for it; the client's own names.
FEATURES = ("xattr", "replication", "rename_overwrite", "delete_alluxio", "mount_guard")
# Facts of a file or directory that no module sets, by the names of the normal form.
FACTS = ("persistence_state", "mount_point", "ufs_path", "in_alluxio", "file_id")


def _limit(value: int) -> int:
    if value < 1:
        raise ValueError("%d rows are none: give 1 or more" % value)
    return value


@dc.dataclass
class Question(Item):
    """What to ask for."""

    gather: Any = directive("list", elements="str", choices=GATHER)
    path: str = directive(parse=common.path)
    recursive: bool = directive("bool", default=False)
    limit: int = directive("int", parse=_limit)
    sync_metadata: bool = directive("bool", default=False)

    def wanted(self) -> list[str]:
        """What is to be gathered: what was said, or what the other options suggest."""
        if self.gather is not KEEP:
            return list(self.gather)
        return ["proxy" if self.path is KEEP else "status"]


def facts(info: Mapping[str, Any]) -> dict[str, Any]:
    """A file or directory under the names that the other modules use."""
    kind = "directory" if info["folder"] else "file"
    found: dict[str, Any] = {"path": info["path"], "type": kind}
    found.update(common.state(info))
    if not info["folder"]:
        found.update(size=info["length"], block_size=info["block_size"], completed=info["completed"])
        digest = common.digest_of(info)
        if digest:
            found["checksum"] = digest
    found["last_modified"] = _time(info["modified_ms"])
    found.update((name, info[name]) for name in FACTS)
    return found


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(int(milliseconds), 1000)
    return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)), rest)


def masked(properties: Mapping[str, Any]) -> dict[str, str]:
    """A mount's properties; 1.x tells secrets in clear, 2.x masks them itself."""
    return {name: MASK if SECRET.search(name) else str(properties[name]) for name in sorted(properties)}


def _plain_url(source: str) -> str:
    """A source without the password that it may hold: s3://key:secret@bucket/."""
    return re.sub(r"^([a-z0-9+.-]+://[^/@:]*):[^/@]*@", r"\1:%s@" % MASK, source, flags=re.IGNORECASE)


class Info(Query):
    """The module alluxio_info."""

    connection = common.CONNECTION
    Options = Question

    @classmethod
    def validate(cls, options: Question) -> None:
        for what in options.wanted():
            if what in ("status", "list") and options.path is KEEP:
                raise OptionError("path", "is needed to gather %s" % what)

    @classmethod
    def fetch(cls, client: Any, options: Question) -> dict[str, Any]:
        return {what: getattr(cls, "_" + what)(client, options) for what in options.wanted()}

    @staticmethod
    def _proxy(client: Any, options: Question) -> dict[str, Any]:
        told = client.info()
        configuration = told.get("configuration") or {}
        return {
            "version": told["version"],
            "dialect": client.dialect.number,
            "features": {name: client.can(name) for name in FEATURES},
            "started": _time(told.get("startTimeMs") or 0),
            "uptime_seconds": int(told.get("uptimeMs") or 0) // 1000,
            "settings": {name: configuration[name] for name in SETTINGS if configuration.get(name) is not None},
        }

    @staticmethod
    def _status(client: Any, options: Question) -> dict[str, Any] | None:
        found = client.get_status(options.path, sync=options.sync_metadata)
        return None if found is None else facts(found)

    @staticmethod
    def _rows(client: Any, options: Question, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.list_status(path, recursive=options.recursive, sync=options.sync_metadata)
        return rows

    @classmethod
    def _list(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        try:
            rows = cls._rows(client, options, options.path)
        except StorageError as error:
            if error.code == "NOT_FOUND":
                error.hint = "There is no file or directory %s" % options.path
            raise
        return [facts(row) for row in (rows if options.limit is KEEP else rows[: options.limit])]

    @classmethod
    def _mounts(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        path = "/" if options.path is KEEP else options.path
        told = client.master_info()
        rows = list(cls._seen(client, options, path) if told is None else cls._table(told, path))
        return rows if options.limit is KEEP else rows[: options.limit]

    @staticmethod
    def _table(told: Mapping[str, Any], path: str) -> Iterable[dict[str, Any]]:
        """The master's mount table."""
        for place, row in sorted((told.get("mountPoints") or {}).items()):
            if path not in ("/", place) and not place.startswith(path + "/"):
                continue
            yield {
                "path": place,
                "source": _plain_url(row["ufsUri"]),
                "type": row.get("ufsType", ""),
                "read_only": bool(row.get("readOnly")),
                "shared": bool(row.get("shared")),
                "properties": masked(row.get("properties") or {}),
                "capacity_bytes": row.get("ufsCapacityBytes", -1),
                "used_bytes": row.get("ufsUsedBytes", -1),
            }

    @classmethod
    def _seen(cls, client: Any, options: Question, path: str) -> Iterable[dict[str, Any]]:
        """What the files and directories tell: the root, the path, and what was looked at below it."""
        top = client.get_status(path, sync=options.sync_metadata)
        rows = [] if top is None else [top]
        if top is not None and top["folder"]:
            rows += cls._rows(client, options, path)
        for row in rows:
            if row["mount_point"] or row["path"] == "/":  # of the root no server says that it is one
                yield {"path": row["path"], "source": _plain_url(row["ufs_path"])}
