# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in Alluxio: how content is compared and replaced without a reader seeing half of it, and alluxio_file."""

from __future__ import annotations

import contextlib
import copy
import dataclasses as dc
import functools
import hashlib
import secrets
import threading
from collections.abc import Iterable
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioError
from ansible_collections.polystore.storage.plugins.module_utils.core import values
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import ContentItem, Source, only_one
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    State,
    differences,
    directive,
    key,
    merged,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.streams import Beside
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP

BYTES = ("src", "content", "content_b64")
SMALL = 1 << 20  # up to so many bytes a file is hashed before it is sent: that is cheaper than one more request
KEPT = ("mode", "owner", "group", "pinned", "ttl", "ttl_action", "replication_min", "replication_max")
FRAIL = ("completed", "lost", "checksum")  # what new content does away with
COMPARE = ("checksum", "content", "size", "exists")


def mark(path: str) -> str:
    """What tells the temporary files of one path from those of others."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def damaged(info: State) -> State:
    """What is told of a file that cannot be read: incomplete, or its content is neither in Alluxio nor below."""
    if not info["completed"]:
        return {"completed": False}
    nowhere = info["length"] and not info["persisted"] and not info["in_alluxio"]
    return {"lost": True} if nowhere or info["persistence_state"] == "LOST" else {}


def content_of(info: State) -> State:
    """What is told of a file's content, and its FileInfo."""
    checksum = common.digest_of(info)
    found: State = {"size": info["length"], "_info": info, **damaged(info)}
    return {**found, "checksum": checksum} if checksum else found


def state(info: State) -> State:
    """What is told of a file, and its FileInfo."""
    return {**common.state(info), **content_of(info)}


def refused(path: str) -> StorageError:
    """A directory is where a file belongs."""
    return StorageError(
        "%s is a directory" % path,
        operation="look at file",
        code="ALREADY_EXISTS",
        hint="Nothing is replaced by it: choose another path, or remove it with alluxio_directory",
    )


class Writer:
    """Compares content and puts it in place, for one run."""

    again = Retry(2)  # whole uploads, after a connection that failed; each under a new name
    settled = Retry(8, base=0.05, cap=1.0)  # the status after an upload: 1.8 may tell it a moment late

    def __init__(self, client: Any, run: Any) -> None:
        self.client, self.run = client, run
        self._lock = threading.Lock()
        self._turns: dict[str, Any] = {}
        self._strays: dict[str, dict[str, list[str]]] = {}  # directory -> mark -> temporary files of dead runs
        self._missing: set[str] = set()  # directories that were not there when they were listed
        self._failed: list[str] = []
        self._unrecorded: list[tuple[State, str]] = []

    # --- compare

    def differs(self, how: str, source: Source, info: State | None) -> State:
        """{} when the file holds the content, else what it will be. how: an option compare."""
        same_size = info is not None and info["length"] == source.size
        if info is not None and not damaged(info):
            if how == "exists" or (same_size and (how == "size" or not source.size)):
                return {}
            if same_size and self._same(how, source, info):
                return {}
        checksum = {"checksum": source.sha256()} if same_size or source.size <= SMALL else {}
        return {"size": source.size, **checksum}

    def _same(self, how: str, source: Source, info: State) -> bool:
        known = common.digest_of(info) if how == "checksum" else None
        if known:
            return known == source.sha256()
        found = self._streamed(source, info["path"])
        if found and how == "checksum" and self.client.can("xattr"):
            with self._lock:
                self._unrecorded.append((info, found))
        return bool(found)

    def _streamed(self, source: Source, path: str) -> str:
        """The SHA-256 of a file that has the content of source, "" of another; read in pieces, up to what differs."""

        def once() -> str:
            digest = hashlib.sha256()
            with source.reader(digest=digest) as local, self.client.stream(path, source.size) as chunks:
                for chunk in chunks:
                    if local.read(len(chunk)) != chunk:
                        return ""
                return "" if local.read(1) else str(digest.hexdigest())

        return self.again.call(once)

    # --- replace

    def put(self, path: str, source: Source, want: Any, before: State | None, planned: State) -> State:
        """Send source to path; returns what is there then. want: an item with attributes; before: the file's state.

        It is written beside, its length is asked for, and it is renamed. What want leaves out stays as it was.
        """
        filled = self._filled(want, before)
        self.sweep(path)
        return self.again.call(lambda: self._attempt(path, source, filled, planned.get("checksum"), before is None))

    @staticmethod
    def _filled(want: Any, before: State | None) -> Any:
        """want, with the attributes that it leaves out as they are before."""
        found = copy.copy(common.settled(want, before))
        if before is None:
            return found
        for name in KEPT:
            if getattr(found, name) is KEEP and before.get(name) is not None:
                setattr(found, name, before[name])
        if found.ttl == "never":
            found.ttl_action = KEEP
        if want.pinned is not KEEP:  # the server couples the two
            found.replication_min = want.replication_min
        elif want.replication_min is not KEEP:
            found.pinned = KEEP
        found.xattr = merged(before["xattr"], want.xattr or {}, want.purge_xattr) or KEEP
        return found

    def _attempt(self, path: str, source: Source, want: Any, checksum: str | None, new: bool) -> State:
        folder = common.parent(path).rstrip("/")
        temporary = "%s/.polystore-%s-%s" % (folder, mark(path), secrets.token_hex(4))
        digest = Beside(hashlib.sha256())
        kwargs = common.creation(want, file=True)
        keep = self.client.can("xattr")
        if keep and checksum:
            kwargs["xattr"] = {**(kwargs.get("xattr") or {}), common.DIGEST: common.digest(checksum, source.size)}
        block_size = getattr(want, "block_size", KEEP)
        if common.parent(path) in self._missing:
            common.homes(self.client, path, kwargs)
        try:
            size = None if block_size is KEEP else block_size
            with digest:
                read = functools.partial(source.reader, digest=None if checksum else digest)
                self.client.upload(temporary, read, source.size, recursive=True, block_size=size, **kwargs)
            info = self.settled.call(lambda: self._arrived(temporary, path, source.size))
            found = checksum or digest.hexdigest()
            if keep and not checksum:
                self._record(temporary, found, source.size)
            late = differences(want, common.state(info))
            common.apply(self.client, temporary, common.state(info), late)
            self._publish(temporary, path, info, new)
        except StorageError as error:
            with self._lock:
                self._failed.append(temporary)
            # a lost connection is no reason to give up: what was sent went to a name of its own
            lost = error.transient or (isinstance(error, AlluxioError) and error.code is None)
            error.transient = lost and not error.fatal
            raise
        return {**state({**info, "path": path}), **late, "checksum": found}

    def _arrived(self, temporary: str, path: str, size: int) -> State:
        info: State | None = self.client.get_status(temporary)
        if info is None or not info["completed"] or info["length"] != size:
            have = "nothing" if info is None else "%d%s" % (info["length"], "" if info["completed"] else ", incomplete")
            raise StorageError(
                "of %d bytes for %s the server has %s; nothing was replaced" % (size, path, have),
                operation="check upload",
                hint="Look at the workers' capacity and logs, and run again",
                transient=info is not None and not info["completed"],
            )
        return info

    def _record(self, path: str, checksum: str, size: int) -> None:
        self.client.set_attribute(path, xattr={common.DIGEST: common.digest(checksum, size)})

    def _publish(self, temporary: str, path: str, info: State, new: bool) -> None:
        """Rename the complete file to its own name. new: nothing may be there; else a file, or nothing."""
        there: State | None = None if new else self.client.get_status(path)
        if there is not None and there["folder"]:
            raise refused(path)
        over = False
        if there is not None:  # in a store below, what is only in Alluxio would leave the old content
            over = self.client.can("rename_overwrite") and (info["persisted"] or not there["persisted"])
            if not over:
                self.remove(path)
        try:
            self.client.rename(temporary, path, overwrite=over)
        except StorageError:
            there = None
            with contextlib.suppress(StorageError):
                there = self.client.get_status(path)
            if there is None or there["file_id"] != info["file_id"]:  # else only the answer was lost
                raise

    def remove(self, path: str) -> None:
        """Delete a file; one that has gone meanwhile is as good."""
        try:
            self.client.delete(path)
        except StorageError as error:
            if error.code != "NOT_FOUND":
                raise

    # --- tidy

    def sweep(self, path: str) -> None:
        """Remove what dead runs left beside path. A directory is listed once a run, before we write into it."""
        parent = common.parent(path)
        with self._lock:
            turn = self._turns.setdefault(parent, threading.Lock())
        with turn:
            if parent not in self._strays:
                try:
                    self.seen(parent, self.client.list_status(parent))
                except StorageError as error:
                    if error.code != "NOT_FOUND":
                        raise
                    self.seen(parent, ())
                    self._missing.add(parent)
        for stray in self._strays[parent].pop(mark(path), ()):
            self.remove(stray)

    def seen(self, folder: str, infos: Iterable[State]) -> list[State]:
        """Remember what dead runs left in a directory that has been listed; returns the rest of the listing."""
        kept: list[State] = []
        strays: dict[str, list[str]] = {}
        for info in infos:
            found = common.TEMPORARY.search(info["path"])
            if found and not info["folder"]:
                strays.setdefault(found.group(1), []).append(info["path"])
            else:
                kept.append(info)
        self._strays[folder] = strays
        return kept

    def strays(self, folder: str) -> dict[str, list[str]]:
        """The temporary files that are left in a listed directory, by the mark of their path."""
        return self._strays.get(folder, {})

    def finish(self) -> None:
        """Remove what failed uploads of this run left, and keep the digests that comparing content has found."""
        self.run.workers.each(self.remove, self._failed)
        unkept: list[StorageError] = []

        def record(known: tuple[State, str]) -> None:
            info, checksum = known
            try:
                now = self.client.get_status(info["path"])
                if now and now["file_id"] == info["file_id"]:  # a file is written once: it still is what was compared
                    self._record(info["path"], checksum, info["length"])
            except StorageError as error:
                if error.code != "PERMISSION_DENIED":
                    raise
                unkept.append(error)

        self.run.workers.each(record, self._unrecorded)
        if unkept:
            self.run.warnings.append(
                "The digests of %d files could not be kept, so their content is compared in every run (compare: size "
                "does not): %s" % (len(unkept), unkept[0].server_message or unkept[0].message)
            )


@dc.dataclass
class FileItem(ContentItem, common.Attributes):
    """One file."""

    path: str = key(parse=common.path)
    block_size: int = directive("raw", parse=values.size)
    renamed_from: str = directive(parse=common.path)
    compare: str = directive(choices=COMPARE, default="checksum")


class FileResource(Resource):
    """What the module alluxio_file declares."""

    Item = FileItem
    connection = common.CONNECTION
    noun = "file"
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.writer = Writer(client, run)
        self._old: dict[str, State] = {}

    @classmethod
    def validate(cls, item: Any) -> None:
        only_one(item, BYTES)
        common.validate(item)
        if item.renamed_from is not KEEP and item.renamed_from == item.path:
            raise OptionError("renamed_from", "is the path itself")

    def expand(self, items: list[Any]) -> list[Any]:
        paths, olds = {item.path for item in items}, set()
        for item in items:
            if item.src is not KEEP and item.state == "present":
                item.source()  # a file that cannot be read is said before anything is sent
            if self._moves(item):
                if item.renamed_from in paths or item.renamed_from in olds:
                    told = "%s is to be renamed, and is declared once more" % item.renamed_from
                    raise OptionError("batch", told, "Do that in another task")
                olds.add(item.renamed_from)
        return items

    def read(self, items: list[Any]) -> dict[Key, State]:
        infos: dict[str, State] = {}
        for sync in (False, True):
            meant = [item for item in items if item.sync_metadata == sync]
            paths = [item.path for item in meant]
            paths += [item.renamed_from for item in meant if self._moves(item)]
            if paths:
                infos.update(common.look(self.client, self.run.workers, paths, sync))
        for item in items:
            if self._moves(item) and item.renamed_from in infos:
                self._old[item.renamed_from] = state(infos[item.renamed_from])
        return {item.key: state(infos[item.path]) for item in items if item.path in infos}

    @staticmethod
    def _moves(item: Any) -> bool:
        return item.state == "present" and item.renamed_from is not KEEP

    def plan(self, item: Any, present: State | None) -> Change | None:
        old = self._old.get(item.renamed_from) if self._moves(item) else None
        for found, path in ((present, item.path), (old, item.renamed_from)):
            if found is not None and found["_info"]["folder"]:
                raise refused(path)
        if item.state == "absent":
            return common.plan(self.client, item, present)
        extra: State = {}
        if old is not None:
            if present is not None:
                raise StorageError(
                    "both %s and %s, which it is renamed from, exist" % (item.path, item.renamed_from),
                    operation="rename file",
                    code="ALREADY_EXISTS",
                    hint="Remove one of them, or leave renamed_from out",
                )
            present, extra = {**old, "path": item.renamed_from}, {"path": item.path}
        source = item.source()
        if present is None:
            only_one(item, BYTES, needed=True)
        if source is not None:
            content = self.writer.differs(item.compare, source, present and present["_info"])
            source = source if content else None
            extra.update(content)
        change = common.plan(self.client, item, present, extra)
        if change is not None and change.after is not None:
            change.detail = source
            if source is not None:
                for name in {*FRAIL} - {*extra}:
                    change.after.pop(name, None)
        return change

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, before, source = change.item, change.before, change.detail
        if change.action == "deleted":
            self.writer.sweep(item.path)
            self.writer.remove(item.path)
            return [Made(change)]
        fields = {n: v for n, v in change.fields.items() if n not in ("path", "size", "checksum")}
        if "path" in change.fields and before is not None:
            self._rename(item, before["_info"])
        if source is not None:
            made = self.writer.put(item.path, source, item, before, change.fields)
            return [Made(change, {**(change.after or {}), **made})]
        common.apply(self.client, item.path, before, fields, item.sync_metadata)
        return [Made(change)]

    def tidy(self, items: list[Any]) -> None:
        """Remove what dead runs left of files that they never put in place."""
        for item in items:
            self.writer.sweep(item.path)

    def _rename(self, item: Any, info: State) -> None:
        if self.client.get_status(common.parent(item.path)) is None:
            self.client.create_directory(common.parent(item.path), recursive=True)
        self.client.rename(item.renamed_from, item.path)
        info["path"] = item.path  # a digest that waits to be kept goes with it

    def finish(self, complete: bool) -> None:
        self.writer.finish()
