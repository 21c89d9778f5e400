# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio mount points: stores mounted below a path, compared as far as Alluxio tells, mounted again when asked to."""

from __future__ import annotations

import dataclasses as dc
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
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
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP

MASK = "******"  # what a master says instead of a secret
ALIASES = {"aws.accessKeyId": "s3a.accessKeyId", "aws.secretKey": "s3a.secretKey"}
TOLD = ("read_only", "shared", "properties")  # what only the master tells


def source(value: Any) -> str:
    """The address of a store, without the slash at its end, which Alluxio drops too. Raises ValueError."""
    text = str(value)
    found = re.match(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:/|/)", text)
    if not found or re.search(r"[\0\r\n]", text):
        raise ValueError("%r is no store: write a path, or a URI such as s3://bucket/data" % (value,))
    if re.match(r"^[^/]+://[^/]*:[^/]*@", text):
        raise ValueError("it holds a password: give that in properties")
    return text.rstrip("/") if text.rstrip("/") and not text.rstrip("/").endswith(":") else text


def normal(text: str) -> str:
    """One form for what is the same store: file:///d is /d."""
    return re.sub(r"^file:/+", "/", text).rstrip("/") or "/"


def properties(value: Mapping[str, Any]) -> dict[str, str]:
    """Properties as Alluxio has them: text. Raises ValueError."""
    if any(isinstance(part, (dict, list)) for part in value.values()):
        raise ValueError("not a dictionary of texts")
    texts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items() if v is not None}
    return dict(sorted(texts.items()))


def same_source(have: Any, want: str) -> bool:
    """Whether two addresses are of one store."""
    return have is not None and normal(have) == normal(want)


def same_properties(have: Any, want: Mapping[str, str]) -> bool:
    """Whether these can be the same. A masked value is taken for equal, and so is an equal value under an alias."""
    if have is None:
        return not want
    left = {ALIASES.get(k, k): v for k, v in have.items()}
    missing = []
    for name, value in {ALIASES.get(k, k): v for k, v in want.items()}.items():
        if name not in left:
            missing.append(value)
        elif left.pop(name) not in (value, MASK):
            return False
    rest = sorted(left.values(), key=lambda v: v == MASK)  # the masked ones last: they fit everything
    for value in missing:
        fits = next((v for v in rest if v in (value, MASK)), None)
        if fits is None:
            return False
        rest.remove(fits)
    return not rest


@dc.dataclass
class Mount(Item):
    """One mount point."""

    path: str = key(parse=common.path)
    source: str = wanted(parse=source, same=same_source)
    read_only: bool = wanted("bool")
    shared: bool = wanted("bool")
    properties: Any = wanted("dict", parse=properties, same=same_properties, secret=True)
    remount: bool = directive("bool", default=False)


class Mounts(Resource):
    """Mount points of one Alluxio."""

    Item = Mount
    connection = common.CONNECTION
    noun = "mount"

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.infos: dict[str, common.Info] = {}
        self.table: Mapping[str, Any] | None = None  # what the master tells, where it is asked
        self.coming: set[str] = set()

    @classmethod
    def validate(cls, item: Mount) -> None:
        if item.path == "/":
            raise OptionError(
                "path",
                "the root's store is no mount point",
                "alluxio.master.mount.table.root.ufs on the master sets it",
            )

    def expand(self, items: list[Mount]) -> list[Mount]:
        self.coming = {item.path for item in items if item.state == "present"}
        return items

    def read(self, items: list[Mount]) -> dict[Key, State]:
        paths = {up for item in items for up in (item.path, *common.above(item.path)) if up != "/"}
        self.infos = common.look(self.client, self.run.workers, paths)
        if any(item.state == "present" and item.path in self.infos for item in items):
            told = self.client.master_info()
            self.table = None if told is None else told.get("mountPoints") or {}
        there = (item for item in items if item.path in self.infos)
        return {item.key: self._state(self.infos[item.path]) for item in there}

    def _state(self, info: common.Info) -> State:
        found: State = {"source": info["ufs_path"]}
        row = (self.table or {}).get(info["path"])
        if row is not None:
            found["source"] = row.get("ufsUri") or found["source"]
            found.update(read_only=bool(row.get("readOnly")), shared=bool(row.get("shared")))
            found["properties"] = {str(k): str(v) for k, v in sorted((row.get("properties") or {}).items())}
        return found

    # --- planning

    def plan(self, item: Mount, present: State | None) -> Change | None:
        info = self.infos.get(item.path)
        if info is not None and not info["mount_point"]:
            what = "directory" if info["folder"] else "file"
            raise StorageError(
                "a %s that is no mount point is there" % what,
                operation="read mount",
                code="ALREADY_EXISTS" if item.state == "present" else "INVALID_ARGUMENT",
                hint="Mount at a path where nothing is, or remove it with alluxio_%s" % what
                if item.state == "present"
                else "alluxio_%s removes it" % what,
            )
        if item.state == "absent":
            return compare(item, present)
        if present is None:
            self._place(item)
            return compare(item, None)
        known = dc.replace(item, **{name: KEEP for name in TOLD if name not in present})
        change = compare(known, present)
        if change is None:
            return None
        change.item = item
        names = ", ".join(sorted(change.fields))
        if not item.remount:
            raise StorageError(
                "its %s differs, and Alluxio cannot change a mount" % names,
                operation="compare mount",
                code="FAILED_PRECONDITION",
                hint="Set remount: true to unmount it and mount it again; the data in both stores stays as it is",
            )
        change.after = self._again(item, present)
        return change

    def _again(self, item: Mount, present: State) -> State:
        """All that the mount should be after it was made anew, what was left out as it is."""
        given = {name: getattr(item, name) for name in ("source", *TOLD) if getattr(item, name) is not KEEP}
        if "properties" not in given and MASK in (present.get("properties") or {}).values():
            raise StorageError(
                "it has properties that Alluxio does not show, which mounting it again would lose",
                operation="compare mount",
                hint="Give properties, all of them",
            )
        lost = [name for name in TOLD if name not in given and name not in present]
        if lost:
            told = "mount %s: without master_url its %s cannot be known, and mounting it again sets Alluxio's defaults"
            self.run.warnings.append(told % (item.path, ", ".join(lost)))
        return {**present, **given}

    def _place(self, item: Mount) -> None:
        """Raises StorageError when nothing can be mounted there."""
        if item.source is KEEP:
            raise OptionError("source", "is required where nothing is mounted yet", "Give the store to mount")
        ups = [up for up in common.above(item.path) if up != "/"]
        here = self.infos.keys() | self.coming
        if ups and ups[0] not in here and ("directory", (ups[0],)) not in self.run.expected:
            raise StorageError(
                "the directory %s, in which it should be, does not exist" % ups[0],
                operation="mount",
                code="NOT_FOUND",
                hint="Make it first with alluxio_directory",
            )
        outer = [up for up in ups if up in self.coming or self.infos.get(up, {}).get("mount_point")]
        if outer and self.client.version < (2, 0, 0):
            told = ".".join(str(number) for number in self.client.version)
            raise StorageError(
                "it lies in the mount %s, and this server (Alluxio %s) has no mounts within mounts" % (outer[0], told),
                operation="mount",
                code="FAILED_PRECONDITION",
                hint="Mount it elsewhere, or upgrade to Alluxio 2",
            )

    # --- making

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Mounts come after those they lie in; an unmount before."""
        waves: dict[tuple[bool, int], list[list[Change]]] = {}
        for group in groups:
            last, depth = group[0].action == "deleted", len(common.above(group[0].item.path))
            waves.setdefault((last, -depth if last else depth), []).append(group)
        return [waves[place] for place in sorted(waves)]

    def make(self, group: list[Change]) -> list[Made]:
        for change in group:
            try:
                if change.action != "created":
                    self._unmount(change.item.path)
                if change.action == "updated":
                    self._remount(change)
                elif change.action == "created":
                    self._mount(change.item.path, change.after or {})
            except StorageError as error:
                raise self._masked(error, change) from None
        return [Made(change) for change in group]

    def _mount(self, path: str, after: State) -> None:
        options = {name: after[name] for name in TOLD if name in after}
        try:
            self.client.mount(path, after["source"], **options)
        except StorageError as error:
            info = self._seen(path, error)
            if info is None or not info["mount_point"] or not same_source(info["ufs_path"], after["source"]):
                raise
            # its answer was lost, or somebody else was quicker

    def _unmount(self, path: str) -> None:
        try:
            self.client.unmount(path)
        except StorageError as error:
            info = self._seen(path, error)
            if info is not None and info["mount_point"]:
                error.hint = error.hint or "When there are mounts below it, unmount those first"
                raise

    def _remount(self, change: Change) -> None:
        path, before = change.item.path, change.before or {}
        try:
            self._mount(path, change.after or {})
        except StorageError as error:
            error.message = "it was unmounted, and mounting it anew failed: %s" % error.message
            known = all(name in before for name in TOLD) and MASK not in before["properties"].values()
            error.hint = "It is not mounted now: mend what is said here and run again. %s" % error.hint
            if known and not (error.fatal or error.transient):
                self._mount(path, before)
                error.hint = "It is mounted as it was before: mend what is said here and run again"
            raise

    def _seen(self, path: str, error: StorageError) -> common.Info | None:
        """What is there after an error; their names say too little. Raises the error when it cannot be told."""
        if error.fatal or error.transient:
            raise error
        try:
            found: common.Info | None = self.client.get_status(path)
        except StorageError:
            raise error from None
        return found

    @staticmethod
    def _masked(error: StorageError, change: Change) -> StorageError:
        """The error without the values of properties, which Alluxio repeats in its messages."""
        for state in (change.before or {}, change.after or {}):
            for value in (state.get("properties") or {}).values():
                if len(value) > 2 and value not in (MASK, "true", "false"):
                    error.message = error.message.replace(value, MASK)
                    error.server_message = error.server_message.replace(value, MASK)
        error.args = (error.message,)
        return error
