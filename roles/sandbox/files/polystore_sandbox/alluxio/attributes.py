# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the master does with attributes: set-attribute, free, and what becomes of a ttl."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
from typing import Any

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.tree import PERSISTED, Inode, now_ms
from polystore_sandbox.alluxio.versions import Refusal


class Attributes(Base):
    """Part of Master."""

    def set_attribute(self, path: str, options: Options) -> None:
        """See view.py for how it is shown."""
        with self.change():
            inode = self.names.find(path, options)
            self.mounts.place(path).writable() if inode.parent is not None else None
            wanted = [inode, *(inode.below() if options.get("recursive") else ())]
            self._check_attributes(inode, options)
            for one in wanted:
                self._set(one, options)
            if "pinned" in options:
                for one in (inode, *inode.below()):
                    self._pin(one, bool(options["pinned"]))

    def _check_attributes(self, inode: Inode, options: Options) -> None:
        owner, group = options.get("owner"), options.get("group")
        if owner == "" and self.dialect.old:
            raise Refusal("invalid", "It is not allowed to set owner to empty.")
        if owner and inode.persisted and not _known(pwd.getpwnam, owner):
            uri = self.mounts.place(inode.path).uri
            raise Refusal("denied", f"Could not setOwner for UFS file {uri}. Aborting the setAttribute operation.")
        if owner and group and _known(pwd.getpwnam, owner) and not _member(owner, group):
            raise Refusal("unknown", f"Could not update owner: Owner {owner} does not belong to the group {group}")
        if options.get("persisted") and inode.folder:
            raise Refusal("unknown", "Only files can be persisted")
        if options.get("persisted") is False:
            raise Refusal("unknown", "Cannot set the state of a file to not-persisted")
        low, high = options.get("replicationMin"), options.get("replicationMax")
        if not inode.folder and (low is not None or high is not None):
            low = inode.replication_min if low is None else low
            high = inode.replication_max if high is None else high
            if high != -1 and low > high:
                raise Refusal("unknown", f"Cannot set min replication larger than max: {low} > {high}")

    def _set(self, one: Inode, options: Options) -> None:
        common = options if self.dialect.old else options.get("commonOptions", {})
        place = self.mounts.place(one.path)
        if "mode" in options:
            one.mode = options["mode"]
            one.stale = one.persisted
            if one.persisted:
                with contextlib.suppress(OSError):
                    os.chmod(place.file, one.mode)
        for name in ("owner", "group"):
            if options.get(name):
                setattr(one, name, options[name])
        if one.persisted and (options.get("owner") or options.get("group")):
            with contextlib.suppress(OSError, LookupError):
                if options.get("group"):
                    shutil.chown(place.file, group=options["group"])
                if options.get("owner"):
                    shutil.chown(place.file, user=options["owner"])
        if "ttl" in common:
            one.ttl = common["ttl"]
            one.ttl_action = common.get("ttlAction", self.dialect.ttl_action if self.dialect.old else one.ttl_action)
        elif "ttlAction" in common and not self.dialect.old:
            one.ttl_action = common["ttlAction"]
        if options.get("persisted") and not one.folder:
            one.state = PERSISTED
        if not one.folder and "replicationMax" in options:
            one.replication_max = options["replicationMax"]
        if not one.folder and "replicationMin" in options:
            one.replication_min = options["replicationMin"]
            one.pinned = one.replication_min > 0
        if options.get("xattr"):
            one.xattr = _merged(one.xattr, options["xattr"], options.get("xattrUpdateStrategy", "TRUNCATE"))
        if options:
            one.modified = now_ms()
        self.tree.changed(one)

    def _pin(self, one: Inode, pinned: bool) -> None:
        one.pinned = pinned
        if not one.folder and not self.dialect.old:
            one.replication_min = max(one.replication_min, 1) if pinned else 0
        self.tree.changed(one)

    def free(self, path: str, options: Options) -> None:
        """Takes content out of the worker."""
        with self.change():
            inode = self.names.find(path)
            if inode.folder and inode.children and not options.get("recursive"):
                raise Refusal("unknown", f"Cannot free non-empty directory {path} because recursive is set to false")
            files = [one for one in (inode, *inode.below()) if not one.folder]
            for one in files:
                if not one.persisted:
                    raise Refusal("unknown", f"Cannot free file {one.path} which is not persisted")
                if one.pinned and not options.get("forced"):
                    raise Refusal(
                        "unknown",
                        f"Cannot free file {one.path} which is pinned. Please unpin it first or set forced flag",
                    )
            for one in files:
                if one.pinned:
                    self._pin(one, False)
                one.cached = False
                (self.worker / str(one.id)).unlink(missing_ok=True)
                self.tree.changed(one)

    def expire(self) -> None:
        """Deletes or frees what has outlived its ttl."""
        with self.change():
            for one in list(self.tree.root.below()):
                if one.ttl < 0 or one.created + one.ttl > now_ms() or self.names.peek(one.path) is not one:
                    continue
                if one.ttl_action == "FREE":
                    with contextlib.suppress(Refusal):
                        self.free(one.path, {"recursive": True, "forced": True})
                        one.ttl, one.ttl_action = -1, "DELETE"
                        self.tree.changed(one)
                else:
                    with contextlib.suppress(Refusal):
                        alone = one.ttl_action == "DELETE_ALLUXIO"
                        self.delete(one.path, {"recursive": True, "unchecked": True, "alluxioOnly": alone})


def _merged(old: dict[str, str], new: dict[str, str], strategy: str) -> dict[str, str]:
    if strategy == "UNION_REPLACE":
        return {**old, **new}
    if strategy == "UNION_PRESERVE":
        return {**new, **old}
    if strategy == "DELETE_KEYS":
        return {name: value for name, value in old.items() if name not in new}
    return dict(new)


def _known(ask: Any, name: str) -> bool:
    try:
        ask(name)
    except KeyError:
        return False
    return True


def _member(user: str, group: str) -> bool:
    try:
        found = grp.getgrnam(group)
    except KeyError:
        return False
    return user in found.gr_mem or pwd.getpwnam(user).pw_gid == found.gr_gid
