# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of FastDFS by name: normal ones, appenders and slaves; and files by id."""

from __future__ import annotations

import dataclasses as dc
import functools
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import ContentItem, only_one
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    State,
    about,
    differences,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER, duration, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    Entry,
    FileId,
    check_extension,
    check_group,
    manifest_path,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.manifest import (
    Kept,
    Note,
    Step,
    crc_of,
    ending,
    known,
    opened,
    spans,
    steps_to,
)

BYTES = ("src", "content", "content_b64")
PLACE = ("type", "extension", "file_group")  # what of a file cannot be changed
SLAVE = ("master", "prefix")


def file_id(value: Any) -> str:
    """A file id as an option. Raises ValueError."""
    return FileId.parse(value).text


def extension(value: str) -> str:
    """An extension as an option, with or without its dot. Raises ValueError."""
    return check_extension(value[1:] if value.startswith(".") else value)


def _name(value: Any) -> str:
    if not plain_text(value):
        raise ValueError("it is empty")
    return str(value)


@dc.dataclass
class FileItem(ContentItem):
    """One file, by its name in a manifest or by its id."""

    name: str = key(parse=_name, default=KEEP)
    manifest: str = key("path", parse=manifest_path, default=KEEP)
    file_id: str = key(parse=file_id, default=KEEP)
    type: str = wanted(choices=("normal", "appender", "slave"))
    master: str = directive(parse=_name)
    prefix: str = directive()
    extension: str = wanted(parse=extension)
    file_group: str = wanted(parse=check_group)
    metadata: dict[str, Any] = wanted("dict", parse=wire.metadata_of, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    verify: bool = directive("bool", default=True)
    compare: str = directive(choices=("checksum", "content", "size", "exists"), default="checksum")
    lock_timeout: int = directive("raw", parse=duration, default=600)

    def identity(self) -> State:
        return {"file_id": self.file_id} if self.name is KEEP else {"name": self.name, "manifest": self.manifest}

    def label(self) -> str:
        return self.file_id if self.name is KEEP else self.name

    @property
    def ending(self) -> str:
        """A new file's extension."""
        return self.extension if self.extension is not KEEP else ending(self.src or "") or ending(self.name)

    @property
    def described(self) -> bool:
        """Whether metadata are declared."""
        return self.state == "present" and (self.metadata is not KEEP or self.purge_metadata)


class Work(NamedTuple):
    """How a change is made. fresh: as a new file."""

    source: Any = None
    fresh: bool = False
    steps: tuple[Step, ...] = ()


def wrong(told: str, code: str, hint: str, operation: str = "look at file") -> StorageError:
    """The error for what cannot be done."""
    return StorageError(told, operation=operation, code=code, hint=hint)


class FileResource(Kept):
    """What the module fdfs_file declares."""

    Item = FileItem
    noun = "file"
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._sources: dict[Key, Any] = {}
        self._named: dict[tuple[str, str], FileItem] = {}
        self._above: dict[Key, FileItem] = {}  # a slave's master, where both are declared
        self._plans: dict[Key, Change | None] = {}
        self._mend: list[Note] = []

    # --- options

    @classmethod
    def validate(cls, item: Any) -> None:
        only_one(item, BYTES)
        by_id = only_one(item, ("name", "file_id"), needed=True) == "file_id"
        if not by_id and item.manifest is KEEP:
            raise OptionError("manifest", "is missing", "name is a name in it")
        if item.type is KEEP and item.master is not KEEP:
            item.type = "slave"
        for name in ("manifest", *SLAVE, *PLACE):
            if getattr(item, name) is not KEEP and (by_id or (name in SLAVE and item.type != "slave")):
                raise OptionError(name, "goes with name, not with file_id" if by_id else "goes with type: slave")
        if item.type == "slave" and item.state == "present":
            for name in SLAVE:
                if getattr(item, name) is KEEP:
                    raise OptionError(name, "is missing", "A slave has both")
            if item.file_group is not KEEP:
                raise OptionError("file_group", "a slave is where its master is")
            try:
                FileId.parse("g/M00/00/00/%s0000000.x" % ("A" * 27)).slave(item.prefix, item.ending)
            except ValueError as error:
                raise OptionError("prefix", str(error)) from None

    def expand(self, items: list[Any]) -> list[Any]:
        named = [item for item in items if item.name is not KEEP]
        waits = [item.lock_timeout for item in named]
        self.hold((item.manifest for item in named), float("inf") if NEVER in waits else max(waits, default=0))
        slots: dict[Any, FileItem] = {}
        self._sources = {item.key: item.source() if item.state == "present" else None for item in items}
        for item in named:
            place = self.manifest(item.manifest).path
            slave = item.type == "slave" and item.state == "present"
            slot = (place, item.master, item.prefix, item.ending) if slave else item.key
            if self._named.setdefault((place, item.name), item) is not item or slots.setdefault(slot, item) is not item:
                raise OptionError("batch", "%s is declared twice, in one way or another" % item.label())
        for item in named:
            above = self._named.get((self.manifest(item.manifest).path, item.master))
            if above is not None and item.state == "present":
                if above.state == "absent":
                    raise OptionError("master", "%s is absent, and %s is its slave" % (above.name, item.name))
                self._above[item.key] = above
        for item in named:
            if self._depth(item) > len(named):
                raise OptionError("master", "%s is a slave of its own slaves" % item.name)
        return items

    def _depth(self, item: FileItem) -> int:
        """How many masters it has above it."""
        depth, above = 0, self._above.get(item.key)
        while above is not None and depth <= len(self._named):
            depth, above = depth + 1, self._above.get(above.key)
        return depth

    # --- what is there

    def read(self, items: list[Any]) -> dict[Key, State]:
        found: dict[Key, State] = {}
        asking = []
        for item in items:
            entry = self._entry(item)
            if entry is not None and self._believed(item, entry):
                found[item.key] = self._state(self._parsed(entry["id"]), entry)
            else:
                asking.append(item)

        def ask(item: FileItem) -> None:
            with about(item):
                state = self._asked(item, self._entry(item))
            if state is not None:
                found[item.key] = state

        self.run.workers.each(ask, asking)
        for item in sorted(self._above.values(), key=self._depth):
            if item.key not in self._plans:
                with about(item):
                    self._plans[item.key] = self._planned(item, found.get(item.key))
        return found

    def _entry(self, item: FileItem) -> Any:
        return None if item.name is KEEP else self.manifest(item.manifest).entries.get(item.name)

    def _open(self, item: FileItem, entry: Entry) -> bool:
        """Whether the entry tells too little."""
        return "size" not in entry or item.name in self.manifest(item.manifest).pending

    def _believed(self, item: FileItem, entry: Entry) -> bool:
        """Whether the manifest answers all that is asked."""
        if item.verify or self._open(item, entry) or (item.described and "metadata" not in entry):
            return False
        how = item.compare if self._sources[item.key] is not None else "exists"
        return how != "content" and (how != "checksum" or "crc32" in entry)

    @staticmethod
    def _parsed(text: str) -> FileId:
        try:
            return FileId.parse(text)
        except ValueError as error:
            raise StorageError("the manifest: %s" % error, operation="read manifest") from None

    def _asked(self, item: FileItem, entry: Any) -> State | None:
        """The state that its storage tells."""
        text = entry["id"] if entry else item.file_id
        if text is KEEP:
            slot = self._slot(item) if item.type == "slave" and item.state == "present" and item.verify else None
            if slot is None:
                return None
            text = slot.text
        file = self._parsed(text)
        crc = self._sources[item.key] is not None and item.compare == "checksum" and self.client.tells_crc32(file)
        info = self.client.info(file, crc32=crc)
        if info is None:
            if item.state == "absent" and entry:
                self._mend.append(Note(item.manifest, item.name, None))
            return None
        told: Entry = {"id": text, "size": info.size}
        if file.fixed:
            told["crc32"] = (entry or {}).get("crc32") or "%08x" % (file.crc32 or 0)
        elif crc:
            told["crc32"] = "%08x" % (info.crc32 if info.size else 0)
        if entry and "master" in entry:
            told["master"] = entry["master"]
        if item.described:
            told["metadata"] = self.client.get_metadata(file)
        if entry and self._open(item, entry):
            self._mend.append(Note(item.manifest, item.name, told))
        state = self._state(file, told)
        return state if entry or item.name is KEEP else {**state, "recorded": False}

    @staticmethod
    def _state(file: FileId, entry: Entry) -> State:
        kind = "normal" if file.kind == "trunk" else file.kind
        state: State = {"file_id": file.text, "type": kind, "extension": file.extension, "file_group": file.group}
        state.update((name, entry[name]) for name in ("size", "crc32", "master", "metadata") if name in entry)
        return {**state, "_file": file}

    def _master(self, item: FileItem) -> FileId | None:
        """A slave's master, where it is known."""
        try:
            return FileId.parse(item.master)
        except ValueError:
            entry = self.manifest(item.manifest).entries.get(item.master)
            return None if entry is None else self._parsed(entry["id"])

    def _slot(self, item: FileItem, extension: str = "") -> FileId | None:
        """A slave's id, where that of its master is known."""
        master = self._master(item)
        try:
            return master and master.slave(item.prefix, extension or item.ending)
        except ValueError as error:
            raise wrong(str(error), "INVALID", "Use a shorter prefix", "name slave") from None

    # --- what differs

    def plan(self, item: Any, present: State | None) -> Change | None:
        return self._plans[item.key] if item.key in self._plans else self._planned(item, present)

    def _planned(self, item: FileItem, present: State | None) -> Change | None:
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        source = self._sources[item.key]
        if item.type == "slave" and item.key not in self._above and self._master(item) is None:
            told = "its master %s is not in the manifest" % item.master
            raise wrong(told, "NOT_FOUND", "Declare the master too", "look at master")
        fields = differences(item, present)
        if present is None:
            if item.file_id is not KEEP:
                raise wrong("there is no such file", "NOT_FOUND", "To store one, give name and manifest")
            only_one(item, BYTES, needed=True)
            fields = {"type": "normal", **fields, "extension": item.ending, **known(source)}
            if item.master is not KEEP:
                fields["master"] = item.master
            return Change(item, "created", None, fields, fields, Work(source, True))
        content: State = {}
        steps: tuple[Step, ...] = ()
        fresh = any(name in fields for name in PLACE) or self._moved(item, present)
        if fresh and source is None:
            told = "it has to be stored anew, and its content is not declared"
            raise wrong(told, "CONTENT_MISSING", "Give src, content or content_b64")
        if fresh:
            content = known(source)
        elif source is not None:
            content, steps = self._content(item, source, present)
            fresh = bool(content) and present["type"] == "normal"
        if fresh and item.file_id is not KEEP:
            told = "it has other content, and what is behind its id never changes"
            hint = "Declare it by name and manifest, and it is stored anew"
            raise wrong(told, "CONTENT_DIFFERS", hint, "compare content")
        fields.update(content)
        if present.get("recorded") is False:
            fields["recorded"] = True
        if not fields:
            return None
        stale = {"_file", *(("size", "crc32") if content else ()), *(("file_id",) if fresh else ())}
        after = {**{name: value for name, value in present.items() if name not in stale}, **fields}
        return Change(item, "updated", present, after, fields, Work(source if content else None, fresh, steps))

    def _moved(self, item: FileItem, present: State) -> bool:
        """Whether a slave has another id now."""
        if item.type != "slave":
            return False
        above = self._above.get(item.key)
        change = self._plans.get(above.key) if above else None
        if change is not None and change.detail.fresh:
            return True
        slot = self._slot(item, present["extension"] if item.extension is KEEP else "")
        return slot is None or slot.text != present["file_id"]

    def _content(self, item: FileItem, source: Any, present: State) -> tuple[State, tuple[Step, ...]]:
        """How the content will be, {} when it is so; an appender's steps."""
        how, file, crc = item.compare, present["_file"], present.get("crc32")
        if how == "exists" or (how == "size" and source.size == present["size"]):
            return {}, ()
        crc = crc if how == "checksum" else None
        if present["type"] == "appender":
            steps = tuple(steps_to(self.client, source, file, present["size"], crc and int(crc, 16)))
            return ({"size": source.size, "crc32": crc_of(source)} if steps else {}), steps
        if source.size != present["size"]:
            return known(source), ()
        if crc:  # servers up to 5.11 put another checksum into ids
            odd = file.crc32 is not None and crc == "%08x" % file.crc32
            same = crc == crc_of(source) or (odd and crc == crc_of(source, legacy=True))
        else:
            same = not source.size or not next(spans(self.client, source, file, source.size), None)
        return ({} if same else {"size": source.size, "crc32": crc_of(source)}), ()

    # --- how it is made

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Masters before their slaves, deletions last."""
        waves: dict[int, list[list[Change]]] = {}
        for group in groups:
            number = 1 << 30 if group[0].action == "deleted" else self._depth(group[0].item)
            waves.setdefault(number, []).append(group)
        return [waves[number] for number in sorted(waves)]

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, before, work = change.item, change.before or {}, change.detail
        named = item.name is not KEEP
        if change.action == "deleted":
            self.client.delete(before["_file"])
            return [Made(change, old=Note(item.manifest, item.name, None) if named else None)]
        manifest, was = (self.manifest(item.manifest), self._entry(item)) if named else (None, None)
        if work.fresh:
            entry = self._fresh(change, manifest)
            old = (was["id"],) if was and was["id"] != entry["id"] else ()
            return [
                Made(change, self._state(self._parsed(entry["id"]), entry), Note(item.manifest, item.name, entry, old))
            ]
        file = before["_file"]
        if manifest is not None and change.fields.keys() != {"recorded"}:
            manifest.touch(item.name)
        entry = {"id": file.text, **{n: before[n] for n in ("size", "crc32", "master", "metadata") if n in before}}
        if work.steps:
            self._stepped(file, before["size"], work)
        elif work.source is not None:
            self._again(item, file, before, work.source)
        if work.source is not None:
            entry.update(size=work.source.size, crc32=crc_of(work.source))
        if "metadata" in change.fields:
            self.describe(file, before["metadata"], change.fields["metadata"])
            entry["metadata"] = change.fields["metadata"]
        state = self._state(file, entry)
        if "recorded" in before:
            state["recorded"] = True
        return [Made(change, state, Note(item.manifest, item.name, entry) if named else None)]

    def _fresh(self, change: Change, manifest: Any) -> Entry:
        """Store a new file; what is left out is as before."""
        item, before, after, source = change.item, change.before or {}, change.after or {}, change.detail.source
        pairs = after.get("metadata")
        if before and pairs is None:
            pairs = self.client.get_metadata(before["_file"])
        pairs = {name: text for name, text in (pairs or {}).items() if text is not None}
        if after["type"] == "slave":
            entry = self._slave(item, manifest, source, after["extension"], pairs)
        else:
            file, entry = self.store(
                manifest, item.name, source, extension=after["extension"], group=after.get("file_group"),
                appender=after["type"] == "appender", metadata=pairs,
            )  # fmt: skip
        return {**entry, "metadata": pairs} if item.described else entry

    def _slave(self, item: FileItem, manifest: Any, source: Any, extension: str, pairs: dict[str, str]) -> Entry:
        slot = self._slot(item, extension)
        if slot is None:
            raise wrong("its master %s is not in the manifest" % item.master, "NOT_FOUND", "Run again", "name slave")
        if manifest.ours(slot.text):
            self.client.delete(slot)
        elif self.client.info(slot, crc32=False) is not None:
            hint = "Set verify: true, and it is compared and recorded"
            raise wrong("there is a slave %s already" % slot.text, "EEXIST", hint, "upload slave")
        manifest.new(item.name, slot.text, durable=True)
        with self.discarding(manifest, slot.text):
            self._upload(item, extension, source, slot, pairs)
        return {"id": slot.text, "size": source.size, "crc32": crc_of(source), "master": item.master}

    def _upload(self, item: FileItem, extension: str, source: Any, slot: FileId, pairs: dict[str, str]) -> None:
        read, master = functools.partial(opened, source), self._master(item)
        try:
            self.client.upload_slave(
                master, item.prefix, read, source.size, extension=extension, check=source.unchanged
            )
        except wire.RefusedError as error:
            if error.missing:
                error.hint = "Its master is gone: declare it too"
            raise
        if pairs:
            self.client.set_metadata(slot, pairs)

    def _again(self, item: FileItem, file: FileId, before: State, source: Any) -> None:
        """A slave with its old id: that one goes first."""
        if item.master is KEEP:
            hint = "Give name, manifest, master and prefix"
            raise wrong("a slave needs its master", "MASTER_MISSING", hint, "upload slave")
        pairs = before["metadata"] if "metadata" in before else self.client.get_metadata(file)
        self.client.delete(file)
        self._upload(item, file.extension, source, file, pairs)

    def _stepped(self, file: FileId, size: int, work: Work) -> None:
        """Change an appender in place."""
        source, info = work.source, self.client.info(file, crc32=False)
        if info is None or info.size != size:
            told = "it has %s bytes now; there were %d" % (info.size if info else "no", size)
            raise wrong(told, "CHANGED", "Somebody else writes to it. Run again", "change appender")
        for what, start, length in work.steps:
            read = functools.partial(opened, source, start)
            if what == "modify":
                self.client.modify(file, start, read, length, source.unchanged)
            elif what == "append":
                self.client.append(file, read, length, source.unchanged)
            else:
                self.client.truncate(file, start)

    def finish(self, complete: bool) -> None:
        for note in self._mend:  # what was found out, and what nothing else has put right
            manifest = self.manifest(note.manifest)
            entry = manifest.entries.get(note.name)
            if entry is not None and (note.entry is None or note.name in manifest.pending or "size" not in entry):
                manifest.record([note])
        super().finish(complete)
