# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift containers: what they have, what they should have, and how a full one is removed."""

from __future__ import annotations

import dataclasses as dc
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    compare,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, plain_text, size
from ansible_collections.polystore.storage.plugins.module_utils.swift import common, segments

FEW = 20  # so many are asked for one by one; of more, one listing tells first which exist
META = "x-container-meta-"
# What Swift keeps among the metadata and has an option of its own here: (option, part of it).
OWN: dict[str, tuple[str, Any]] = {
    "quota-bytes": ("quota_bytes", None),
    "quota-count": ("quota_count", None),
    "web-index": ("web", "index"),
    "web-error": ("web", "error"),
    "web-listings": ("web", "listings"),
    "web-listings-css": ("web", "listings_css"),
    "access-control-allow-origin": ("cors", "allow_origin"),
    "access-control-max-age": ("cors", "max_age"),
    "access-control-expose-headers": ("cors", "expose_headers"),
    "temp-url-key": ("temp_url_keys", 0),
    "temp-url-key-2": ("temp_url_keys", 1),
}
HEADERS = {
    "read_acl": "x-container-read",
    "write_acl": "x-container-write",
    "storage_policy": "x-storage-policy",
    "sync_to": "x-container-sync-to",
    "sync_key": "x-container-sync-key",
}
NEEDS = {
    "versioning": "object_versioning",
    "quota_bytes": "container_quotas",
    "quota_count": "container_quotas",
    "web": "staticweb",
    "sync_to": "container_sync",
    "temp_url_keys": "tempurl",
}
FACTS = ("object_count", "bytes_used")  # told, never compared
TRUE, FALSE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n", "")


def _text(value: Any) -> str:
    return plain_text(str(value)).strip()


def _words(value: Any) -> str:
    """Several words as Swift wants them in one header: with blanks between them."""
    parts = value if isinstance(value, (list, tuple)) else str(value).replace(",", " ").split()
    return " ".join(_text(part) for part in parts)


def _number(value: Any) -> int:
    if not str(value).isdigit():
        raise ValueError("%r is no number of 0 or more" % (value,))
    return int(value)


def _web(value: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {k: _text(v) or None for k, v in value.items() if v is not None}
    if found.get("listings") is not None:
        if found["listings"].lower() not in TRUE + FALSE:
            raise ValueError("listings is neither true nor false")
        found["listings"] = found["listings"].lower() in TRUE or None
    return found


def _cors(value: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {k: _words(v) or None for k, v in value.items() if v is not None}
    if found.get("max_age") is not None:
        found["max_age"] = _number(found["max_age"])
    return found


def _same_text(have: Any, want: str) -> bool:
    return (have or "") == want


def _same_truth(have: Any, want: bool) -> bool:
    return bool(have) == want


def _given(value: Any) -> bool:
    """Whether a value says anything; 0 does."""
    return value is not None and value is not False and value not in ("", {}, ["", ""])


@dc.dataclass
class Container(Item):
    """One container."""

    name: str = key(parse=common.container_name)
    metadata: Any = wanted("dict", parse=common.metadata, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    read_acl: Any = wanted("raw", parse=common.acl, same=_same_text)
    write_acl: Any = wanted("raw", parse=common.acl, same=_same_text)
    storage_policy: str = wanted(parse=_text)
    versioning: bool = wanted("bool", same=_same_truth)
    quota_bytes: Any = wanted("raw", parse=size, nullable=True)
    quota_count: Any = wanted("int", parse=_number, nullable=True)
    web: Any = wanted(
        "dict",
        parse=_web,
        merge=True,
        options={
            "index": {"type": "str"},
            "error": {"type": "str"},
            "listings": {"type": "bool"},
            "listings_css": {"type": "str"},
        },
    )
    cors: Any = wanted(
        "dict",
        parse=_cors,
        merge=True,
        options={"allow_origin": {"type": "raw"}, "max_age": {"type": "raw"}, "expose_headers": {"type": "raw"}},
    )
    sync_to: str = wanted(parse=_text, same=_same_text)
    sync_key: str = wanted(parse=_text, same=_same_text, secret=True)
    temp_url_keys: Any = wanted("list", elements="raw", parse=common.temp_url_keys, same=common.same_keys, secret=True)
    force: bool = directive("bool", default=False)
    max_delete: int = directive("int", parse=_number)


def state_of(headers: Mapping[str, str]) -> State:
    """The state that a container's headers tell."""
    state: State = {"metadata": common.meta_from(headers, META), "web": {}, "cors": {}, "temp_url_keys": ["", ""]}
    state.update((field, headers.get(header, "")) for field, header in HEADERS.items())
    state["versioning"] = headers.get("x-versions-enabled", "").lower() in TRUE
    for name, (field, part) in OWN.items():
        value: Any = state["metadata"].pop(name, "")
        if name in ("quota-bytes", "quota-count", "access-control-max-age"):
            value = int(value) if value.isdigit() else None
        elif name == "web-listings":
            value = value.lower() in TRUE
        if part is None:
            state[field] = value
        elif _given(value) or field == "temp_url_keys":
            state[field][part] = value
    state["object_count"] = int(headers.get("x-container-object-count", 0))
    state["bytes_used"] = int(headers.get("x-container-bytes-used", 0))
    return state


def headers_of(state: Mapping[str, Any]) -> dict[str, str]:
    """The headers that make a container so; what has no value has no header."""
    found = {META + k: v for k, v in state.get("metadata", {}).items()}
    for name, (field, part) in OWN.items():
        value = state.get(field)
        if part is not None and value:
            value = value.get(part) if isinstance(value, dict) else value[part]
        if _given(value):
            found[META + name] = "true" if value is True else str(value)
    found.update((header, state[field]) for field, header in HEADERS.items() if state.get(field))
    if "versioning" in state:
        found["x-versions-enabled"] = "true" if state["versioning"] else "false"
    return found


class Containers(Resource):
    """Containers of one account."""

    Item = Container
    connection = common.CONNECTION
    noun = "container"
    told = FACTS

    @classmethod
    def validate(cls, item: Container) -> None:
        common.no_own_options(item.metadata, {name: option for name, (option, _part) in OWN.items()})
        if any(part.startswith(".r:") for part in (item.write_acl or "").split(",")):
            raise OptionError("write_acl", "referrers (.r:) may only read", "Name users or projects")

    def read(self, items: list[Container]) -> dict[Key, State]:
        if len(items) > FEW:
            prefix = os.path.commonprefix([item.name for item in items])
            there = {row["name"] for row in self.client.listing(prefix=prefix, operation="list containers")}
            items = [item for item in items if item.name in there]
        going = frozenset(item.name for item in items if item.state == "absent" and item.force)
        found: dict[Key, State] = {}

        def one(item: Container) -> None:
            try:
                headers = self.client.request("HEAD", item.name, operation="read container").headers
                state = state_of(headers)
                if item.state == "absent":
                    state.update(self._content(item, headers, going))
                found[item.key] = state
            except StorageError as error:
                if error.code != 404:
                    error.item = item.name
                    raise

        self.run.workers.each(one, items)
        return found

    def _content(self, item: Container, headers: Mapping[str, str], going: frozenset[str]) -> State:
        """What goes with the container: its objects, their versions, and segments that nothing else uses."""
        versions = "x-versions-enabled" in headers
        if not item.force:
            inside = int(headers.get("x-container-object-count", 0)) > 0
            if versions and not inside:
                inside = any(True for _row in self.client.listing(item.name, versions=True, limit=1))
            return {"_inside": inside}
        names: list[tuple[str, str | None]] = []

        def rows() -> Iterable[dict[str, Any]]:
            for row in self.client.listing(item.name, versions=versions, operation="list container"):
                names.append((row["name"], row.get("version_id", "null") if versions else None))
                yield row

        workers = self.run.workers
        parts = segments.segments_of(self.client, workers, item.name, rows())
        parts = {part for part in parts if part[0] not in going}
        parts -= segments.in_use(self.client, workers, parts, going)
        legacy = any("x-%s-location" % kind in headers for kind in ("versions", "history"))
        return {
            "objects": len(names),
            "segments": len(parts),
            "_names": names,
            "_segments": sorted(parts),
            "_legacy": legacy,
        }

    def plan(self, item: Container, present: State | None) -> Change | None:
        known = None if present is None else {k: v for k, v in present.items() if k not in FACTS}
        if item.state == "absent":
            self._may_go(item, present)
            return compare(item, known)
        item = dc.replace(
            item,
            storage_policy=self._policy(item.storage_policy, (present or {}).get("storage_policy", "")),
            temp_url_keys=common.merged_keys(present, item.temp_url_keys),
        )
        change = compare(item, known)
        if change is not None:
            change.detail = {k: (present or {}).get(k, 0) for k in FACTS}
            self._supported(change)
        return change

    @staticmethod
    def _may_go(item: Container, present: State | None) -> None:
        if present is None:
            return
        if present.get("_inside"):
            raise StorageError(
                "it is not empty",
                operation="delete container",
                code=409,
                hint="Set force: true to delete what is in it, old versions too",
            )
        total = present.get("objects", 0) + present.get("segments", 0)
        if item.max_delete is not KEEP and total > item.max_delete:
            raise StorageError(
                "%d objects and segments would be deleted with it, and max_delete allows %d" % (total, item.max_delete),
                operation="delete container",
                hint="Raise max_delete when that is meant",
            )

    def _policy(self, want: Any, have: str) -> Any:
        """The policy's own name, of which an alias may be wanted."""
        if want is KEEP or want.lower() == have.lower():
            return have if have and want is not KEEP else want
        policies = self.client.info().get("swift", {}).get("policies") or [{"name": want}]
        for policy in policies:
            names = [policy["name"], *str(policy.get("aliases", "")).split(",")]
            if want.lower() in [name.strip().lower() for name in names]:
                if have and have != policy["name"]:
                    raise StorageError(
                        "storage_policy: the container has %s, which cannot be changed to %s" % (have, policy["name"]),
                        operation="check options",
                        hint="Copy the objects to a new container with that policy, or delete this one first",
                    )
                return policy["name"]
        known = ", ".join(policy["name"] for policy in policies)
        raise OptionError("storage_policy", "this server has no policy %s" % want, "Known are %s" % known)

    def _supported(self, change: Change) -> None:
        """Raises OptionError for what this server cannot do, before anything is sent."""
        known = self.client.info() if change.fields else {}
        for field, middleware in NEEDS.items():
            if known and middleware not in known and _given(change.fields.get(field)):
                raise OptionError(
                    field,
                    "this server has no %s" % middleware,
                    "Its operator can switch that on; without it leave the option out",
                )
        limits = known.get("swift", {})
        if len(change.item.name.encode()) > limits.get("max_container_name_length", 256):
            raise OptionError("name", "it is longer than this server allows")
        after = headers_of(change.after or {})
        common.check_limits("metadata", {k[len(META) :]: v for k, v in after.items() if k.startswith(META)}, limits)

    def make(self, group: list[Change]) -> list[Made]:
        made = []
        for change in group:
            name, state = change.item.name, None
            if change.action == "deleted":
                self._delete(change)
            else:
                headers = common.meta_changes("", headers_of(change.before or {}), headers_of(change.after or {}))
                new = change.action == "created"
                operation = "%s container" % ("create" if new else "update")
                self.client.request("PUT" if new else "POST", name, headers=headers, operation=operation)
                state = {**(state_of({}) if new else {}), **(change.after or {}), **change.detail}
                if not state["storage_policy"]:
                    del state["storage_policy"]  # the server has chosen one
            made.append(Made(change, state))
        return made

    def _delete(self, change: Change) -> None:
        name, force = change.item.name, change.item.force
        if force:
            self._empty(name, change.before or {})

        def once() -> None:
            try:
                self.client.request("DELETE", name, operation="delete container")
            except StorageError as error:
                if error.code == 404:
                    return
                if error.code == 409:
                    error.transient = force  # listings lag behind for a moment
                    error.hint = "Something was put into it meanwhile: run again" if force else "Set force: true"
                raise

        Retry(4).call(once)

    def _empty(self, name: str, before: State) -> None:
        """Delete the segments, then what refers to them: a run that dies in between leaves them to be found again."""
        if before["_legacy"]:  # or each deletion would bring an older version back
            off = {"X-Remove-Versions-Location": "x", "X-Remove-History-Location": "x"}
            self.client.request("POST", name, headers=off, operation="end versioning")
        self._all_gone(name, segments.bulk_delete(self.client, before["_segments"]))
        plain = [(name, found) for found, version in before["_names"] if version is None]
        self._all_gone(name, segments.bulk_delete(self.client, plain))

        def one(found: tuple[str, str | None]) -> None:
            version = {"version-id": found[1]}
            try:
                self.client.request("DELETE", name, found[0], query=version, operation="delete version")
            except StorageError as error:
                if error.code != 404:
                    raise

        self.run.workers.each(one, (found for found in before["_names"] if found[1] is not None))

    @staticmethod
    def _all_gone(name: str, failed: Mapping[tuple[str, str], StorageError]) -> None:
        for place, error in failed.items():
            raise StorageError(
                "%d of what is in it could not be deleted, the first is %s" % (len(failed), "/".join(place)),
                operation="empty container",
                code=error.code,
                server_message=error.server_message,
                hint="Everything else in it is gone; the container is still there",
            )
