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
import time
from typing import Any

from polystore_sandbox.alluxio.base import Base, Options
from polystore_sandbox.alluxio.fields import BITS
from polystore_sandbox.alluxio.tree import PERSISTED, Inode, now_ms
from polystore_sandbox.alluxio.versions import Refusal

FREE_SECONDS = 1.0
MEDIA = ("MEM", "SSD", "HDD")


class Attributes(Base):
    """Part of Master."""

    def set_attribute(self, path: str, options: Options) -> None:
        """See view.py for how it is shown."""
        with self.change():
            if self.names.wants_sync(options):
                self.names.sync(path, False, bool(options.get("recursive")))
            self.names.walk(path)
            if self.dialect.old or {"owner", "group", "mode"} & set(options):
                self.mounts.place(path).writable(path)
            inode = self.names.need(path)
            self._check_owner(path, options)
            for one in [inode, *(inode.below() if options.get("recursive") else ())]:
                self._set(one, options)
                self.tree.changed(one)

    def _check_owner(self, path: str, options: Options) -> None:
        owner, group = options.get("owner"), options.get("group")
        if owner and group and _known(pwd.getpwnam, owner) and not _member(owner, group):
            words = f"Could not update owner:group for {path} to {owner}:{group}. "
            cause = f"Owner {owner} does not belong to the group {group}"
            raise Refusal("unknown", f"{words}alluxio.exception.status.FailedPreconditionException: {cause}")

    def _set(self, one: Inode, options: Options) -> None:
        if "pinned" in options:
            for inode in (one, *one.below()):
                self._pin(inode, options["pinned"], options.get("pinnedMedia", []))
        if "replicationMin" in options or "replicationMax" in options:
            self._replicate(one, options)
        self._set_ttl(one, options if self.dialect.old else options.get("commonOptions", {}))
        if options.get("xattr"):
            one.xattr = _merged(one.xattr, options["xattr"], options.get("xattrUpdateStrategy", "TRUNCATE"))
        if "persisted" in options:
            self._persisted(one, options["persisted"])
        if {"owner", "group", "mode"} & set(options):
            self._set_owner(one, options)

    def _set_ttl(self, one: Inode, given: Options) -> None:
        if "ttl" in given:
            if self.dialect.old:
                one.ttl_action = "DELETE"
            one.ttl, one.modified = given["ttl"], now_ms()
        if "ttlAction" in given and ("ttl" in given or not self.dialect.old):
            one.ttl_action = given["ttlAction"]

    def _replicate(self, one: Inode, options: Options) -> None:
        """Of files only; coupled with pinned."""
        low, high = options.get("replicationMin"), options.get("replicationMax")
        if low is not None and low < 0:
            raise Refusal("unknown", "Min replication must be a non-negative integer")
        if one.folder:
            return
        low = one.replication_min if low is None else low
        high = one.replication_max if high is None else high
        if high != -1 and low > high:
            words = "min replication must be smaller or equal than max replication"
            raise Refusal("unknown", f"Cannot set min and max replication to be {low} and {high}: {words}")
        one.replication_min, one.replication_max = low, high
        if "replicationMin" in options:
            one.pinned = low > 0

    def _persisted(self, one: Inode, wanted: bool) -> None:
        """Only claimed: nothing is written into the store below."""
        if one.folder:
            raise Refusal("unknown", "Only files can be persisted")
        if not one.completed:
            raise Refusal("unknown", "File being persisted must be complete")
        if not wanted:
            raise Refusal("unknown", "Cannot set the state of a file to not-persisted")
        one.state = PERSISTED

    def _set_owner(self, one: Inode, options: Options) -> None:
        owned = "owner" in options or "group" in options
        if one.persisted and (one.folder or one.completed):
            place = self.mounts.place(one.path)
            marks = {}
            if owned:
                marks = {"OWNER": options.get("owner", one.owner), "GROUP": options.get("group", one.group)}
                try:
                    shutil.chown(place.file, marks["OWNER"] or None, marks["GROUP"] or None)  # type: ignore[arg-type]
                except (OSError, LookupError, ValueError) as exc:
                    more = "Aborting the setAttribute operation in Alluxio."
                    if marks["OWNER"] or marks["GROUP"]:
                        raise Refusal("denied", f"Could not setOwner for UFS file {place.uri} . {more}") from exc
            if "mode" in options:
                with contextlib.suppress(OSError):
                    os.chmod(place.file, options["mode"])
                marks["MODE"] = self._mode_mark(options["mode"])
            self._mark(one, marks)
        for name in ("owner", "group"):
            if name in options and (options[name] or not self.dialect.has("keeps_owner")):
                setattr(one, name, options[name])
        if "mode" in options:
            one.mode = options["mode"]

    def _mark(self, one: Inode, marks: dict[str, str]) -> None:
        """What the server notes about the store after it changed it itself; wrong in 2.x for the mode."""
        if not one.fingerprint:
            one.fingerprint = self.mounts.place(one.path).marks()
            return
        kept = {name: value.rstrip("\n") for name, value in one.fingerprint.items()}
        one.fingerprint = {**kept, **{name: value or "_" for name, value in marks.items()}}

    def _mode_mark(self, mode: int) -> str:
        if self.dialect.old:
            return str(mode)
        parts = zip(("ownerBits", "groupBits", "otherBits"), (mode >> 6, mode >> 3 & 7, mode & 7))
        return "".join(f"{name}:_{BITS[bits]}\n" for name, bits in parts)

    def _pin(self, one: Inode, pinned: bool, media: list[str] | None = None) -> None:
        if media and not set(media) <= set(MEDIA):
            raise Refusal("unknown", None)
        one.pinned = pinned
        one.media = list(media or []) if pinned else []
        if not one.folder and not self.dialect.old:
            one.replication_min = max(one.replication_min, 1) if pinned else 0
        self.tree.changed(one)

    def free(self, path: str, options: Options) -> None:
        """Takes content out of the worker."""
        with self.change():
            inode = self.names.need(path)
            if inode.folder and inode.children and not options.get("recursive"):
                words = 'which is not empty. Please set the "recursive" flag of free operation to true'
                raise Refusal("unknown", f"Cannot free directory {path} {words}")
            files = [one for one in (inode, *inode.below()) if not one.folder]
            for one in files:
                if not one.persisted:
                    raise Refusal("unknown", f"Cannot free file {one.path} which is not persisted")
                if one.pinned and not options.get("forced"):
                    words = 'which is pinned. Please unpin it first or set the "forced" flag of free operation to true'
                    raise Refusal("unknown", f"Cannot free file {one.path} {words}")
                if one.pinned:
                    self._pin(one, False)
                if one.completed:
                    self.freeing.append((time.monotonic() + FREE_SECONDS, one))
                self.tree.changed(one)

    def free_now(self, wait: bool = True) -> None:
        """The worker hears of it later, with its next heartbeat."""
        if not self.freeing:
            return
        with self.change():
            due = [(at, one) for at, one in self.freeing if not wait or at <= time.monotonic()]
            self.freeing = [entry for entry in self.freeing if entry not in due]
            for _at, one in due:
                one.cached = False
                (self.worker / str(one.id)).unlink(missing_ok=True)
                if self.tree.known(one):
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
