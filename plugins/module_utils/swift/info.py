# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to Swift that change nothing."""

from __future__ import annotations

import dataclasses as dc
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive, shown
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, fingerprint, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.swift import common, containers

GATHER = ("account", "containers", "container", "objects", "object", "capabilities")


def _limit(value: int) -> int:
    if value < 1:
        raise ValueError("%d rows are none: give 1 or more" % value)
    return value


@dc.dataclass
class Question(Item):
    """What to ask for."""

    gather: Any = directive("list", elements="str", choices=GATHER)
    container: str = directive(parse=common.container_name)
    name: str = directive(parse=common.object_name)
    prefix: str = directive(parse=plain_text, default="")
    delimiter: str = directive(parse=plain_text, default="")
    limit: int = directive("int", parse=_limit)

    def wanted(self) -> list[str]:
        """What is to be gathered: what was said, or what the other options suggest."""
        if self.gather is not KEEP:
            return list(self.gather)
        return ["object" if self.name is not KEEP else "container" if self.container is not KEEP else "account"]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a container's listing under the names that swift_object uses."""
    if "subdir" in row:
        return {"name": row["subdir"], "subdir": True}
    slo = row.get("slo_etag", "").strip('"')
    found = {
        "name": row["name"],
        "size": row.get("bytes", 0),
        "checksum": slo or row.get("hash", ""),
        "content_type": row.get("content_type", ""),
        "last_modified": row.get("last_modified", ""),
    }
    if slo:
        found["large_object"] = "slo"
    if row.get("symlink_path"):
        found["symlink_to"] = unquote(row["symlink_path"]).split("/", 3)[-1]
    return found


class Info(Query):
    """The module swift_info."""

    connection = common.CONNECTION
    Options = Question

    @classmethod
    def validate(cls, options: Question) -> None:
        for what in options.wanted():
            if what in ("container", "objects", "object") and options.container is KEEP:
                raise OptionError("container", "is needed to gather %s" % what)
            if what == "object" and options.name is KEEP:
                raise OptionError("name", "is needed to gather object")

    @classmethod
    def fetch(cls, client: Any, options: Question) -> dict[str, Any]:
        try:
            return {what: getattr(cls, "_" + what)(client, options) for what in options.wanted()}
        except StorageError as error:
            if error.code == 404:
                error.hint = error.hint or "There is no container %s" % options.container
            raise

    @staticmethod
    def _head(client: Any, *place: str, **query: str) -> dict[str, str] | None:
        try:
            headers: dict[str, str] = client.request("HEAD", *place, query=query, operation="read").headers
        except StorageError as error:
            if error.code != 404:
                raise
            return None
        return headers

    @classmethod
    def _account(cls, client: Any, options: Question) -> dict[str, Any]:
        state = common.account_state(cls._head(client) or {})
        keys = [fingerprint(key) if key else "" for key in state["temp_url_keys"]]
        return {**state, "temp_url_keys": keys, "storage_url": client.storage_url}

    @staticmethod
    def _how(options: Question) -> dict[str, Any]:
        limit = None if options.limit is KEEP else options.limit
        return {"prefix": options.prefix, "delimiter": options.delimiter, "limit": limit}

    @classmethod
    def _containers(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        rows = client.listing(operation="list containers", **cls._how(options))
        names = {"name": "name", "count": "object_count", "bytes": "bytes_used", "last_modified": "last_modified"}
        return [
            {"name": row["subdir"], "subdir": True}
            if "subdir" in row
            else {new: row[old] for old, new in names.items() if old in row}
            for row in rows
        ]

    @classmethod
    def _container(cls, client: Any, options: Question) -> dict[str, Any] | None:
        headers = cls._head(client, options.container)
        if headers is None:
            return None
        return shown(containers.Container(name=options.container), containers.state_of(headers))

    @classmethod
    def _objects(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        return [_row(row) for row in client.listing(options.container, operation="list objects", **cls._how(options))]

    @classmethod
    def _object(cls, client: Any, options: Question) -> dict[str, Any] | None:
        place = (options.container, options.name)
        own = cls._head(client, *place, symlink="get")
        if own is None:
            return None
        target = unquote(own.get("x-symlink-target", ""))
        headers = (cls._head(client, *place) if target else None) or own
        found: dict[str, Any] = {
            "container": options.container,
            "name": options.name,
            "size": int(headers.get("content-length", 0)),
            "checksum": headers.get("etag", "").strip('"'),
            "content_type": headers.get("content-type", ""),
            "last_modified": headers.get("last-modified", ""),
            "metadata": common.meta_from(headers, "x-object-meta-"),
        }
        for name in ("content-encoding", "content-disposition", "cache-control"):
            if headers.get(name):
                found[name.replace("-", "_")] = headers[name]
        if own.get("x-delete-at"):
            found["expires"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(own["x-delete-at"])))
        if own.get("x-object-version-id"):
            found["version_id"] = own["x-object-version-id"]
        elif target:
            found["symlink_to"] = target
        if "x-static-large-object" in headers:
            found["large_object"] = "slo"
        elif "x-object-manifest" in headers:
            found["large_object"] = "dlo"
        return found

    @staticmethod
    def _capabilities(client: Any, options: Question) -> dict[str, Any]:
        capabilities: dict[str, Any] = client.info()
        return capabilities
