# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of FastDFS by name: normal ones, appenders and slaves; and files by id."""

from __future__ import annotations

import dataclasses as dc
import functools
import os
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import ContentItem, Source, only_one
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    State,
    about,
    differences,
    directive,
    key,
    merged,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER, duration, plain_text
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
    opened,
    spans,
    steps_to,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import RefusedError, pack_metadata

BYTES = ("src", "content", "content_b64")
TYPES = ("normal", "appender", "slave")
PLACE = ("type", "extension", "file_group")  # what of a file cannot be changed
SMALL = 1 << 16


def file_id(value: Any) -> str:
    """A file id as an option. Raises ValueError."""
    return FileId.parse(value).text


def metadata(value: dict[str, Any]) -> dict[str, Any]:
    """Metadata as an option; None removes a name. Raises ValueError for what a storage cannot hold."""
    found = {}
    for name, text in value.items():
        if isinstance(text, (dict, list)):
            raise ValueError("metadata: the value of %.80r is no text" % name)
        found[name] = str(text).lower() if isinstance(text, bool) else text if text is None else str(text)
    pack_metadata({name: text or "" for name, text in found.items()})
    return found


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
    type: str = wanted(choices=TYPES)
    master: str = directive(parse=_name)
    prefix: str = directive()
    extension: str = wanted(parse=extension)
    file_group: str = wanted(parse=check_group)
    metadata: dict[str, Any] = wanted("dict", parse=metadata, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    verify: bool = directive("bool", default=True)
    compare: str = directive(choices=("checksum", "content", "size", "exists"), default="checksum")
    lock_timeout: int = directive("raw", parse=duration, default=600)

    def identity(self) -> State:
        if self.name is KEEP:
            return {"file_id": self.file_id}
        return {"name": self.name, "manifest": self.manifest}

    def label(self) -> str:
        return self.file_id if self.name is KEEP else self.name

    @property
    def ending(self) -> str:
        """The extension that a new file gets."""
        if self.extension is not KEEP:
            return self.extension
        for text in (self.src, self.name):
            try:
                return check_extension(os.path.splitext(text)[1][1:]) if text else ""
            except ValueError:
                continue
        return ""


class Work(NamedTuple):
    """How a change is made. fresh: as a new file; steps: of an appender."""

    source: Source | None = None
    fresh: bool = False
    steps: tuple[Step, ...] = ()


class FileResource(Kept):
    """What the module fdfs_file declares."""

    Item = FileItem
    noun = "file"
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._sources: dict[Key, Source | None] = {}
        self._named: dict[tuple[str, str], FileItem] = {}
        self._masters: dict[Key, FileItem] = {}  # of a slave that is declared together with its master
        self._plans: dict[Key, Change | None] = {}
        self._mend: list[Note] = []

    # --- options

    @classmethod
    def validate(cls, item: Any) -> None:
        only_one(item, BYTES)
        if only_one(item, ("name", "file_id"), needed=True) == "file_id":
            for name in ("manifest", "master", "prefix", *PLACE):
                if getattr(item, name) is not KEEP:
                    raise OptionError(name, "goes with name, not with file_id")
            return
        if item.manifest is KEEP:
            raise OptionError("manifest", "is missing", "name is a name in a manifest: give its path")
        if item.type is KEEP and item.master is not KEEP:
            item.type = "slave"
        if item.type == "slave" and item.state == "present":
            for name in ("master", "prefix"):
                if getattr(item, name) is KEEP:
                    raise OptionError(name, "is missing", "A slave has a master and a prefix")
            if item.file_group is not KEEP:
                raise OptionError("file_group", "a slave is where its master is")
            try:
                FileId.parse("g/M00/00/00/%s0000000.x" % ("A" * 27)).slave(item.prefix, item.ending)
            except ValueError as error:
                raise OptionError("prefix", str(error)) from None
        elif item.type != "slave":
            for name in ("master", "prefix"):
                if getattr(item, name) is not KEEP:
                    raise OptionError(name, "goes with type: slave")

    def expand(self, items: list[Any]) -> list[Any]:
        for item in items:
            if item.name is not KEEP:
                place = (os.path.realpath(item.manifest), item.name)
                if place in self._named:
                    raise OptionError("batch", "%s is declared twice in one manifest" % item.name)
                self._named[place] = item
            self._sources[item.key] = item.source() if item.state == "present" else None
        named = [item for item in items if item.name is not KEEP]
        for item in named:
            seen, above = {item.name}, self._above(item)
            while above is not None:
                if above.name in seen or above.state == "absent":
                    wrong = "a slave of itself" if above.name in seen else "absent, and %s is its slave" % item.name
                    raise OptionError("master", "%s is %s" % (above.name, wrong))
                seen.add(above.name)
                self._masters.setdefault(item.key, above)
                above = self._above(above)
        waits = [item.lock_timeout for item in named]
        self.hold((item.manifest for item in named), float("inf") if NEVER in waits else max(waits, default=0))
        return items

    def _above(self, item: FileItem) -> FileItem | None:
        if item.state == "absent" or item.master is KEEP:
            return None
        return self._named.get((os.path.realpath(item.manifest), item.master))

    # --- what is there

    def read(self, items: list[Any]) -> dict[Key, State]:
        found: dict[Key, State] = {}
        asking = []
        for item in items:
            entry = self._entry(item)
            if entry is not None and self._believed(item, entry):
                found[item.key] = self._state(self._parsed(entry["id"]), entry, entry.get("metadata"))
            else:
                asking.append(item)

        def ask(item: FileItem) -> None:
            with about(item):
                state = self._asked(item, self._entry(item))
            if state is not None:
                found[item.key] = state

        self.run.workers.each(ask, asking)
        for item in sorted(self._masters.values(), key=self._depth):
            if item.key not in self._plans:
                with about(item):
                    self._plans[item.key] = self._planned(item, found.get(item.key))
        return found

    def _entry(self, item: FileItem) -> Entry | None:
        if item.name is KEEP:
            return None
        found: Entry | None = self.manifest(item.manifest).entries.get(item.name)
        return found

    def _believed(self, item: FileItem, entry: Entry) -> bool:
        """Whether the manifest answers all that is asked of it, and may."""
        if item.verify or "size" not in entry or item.name in self.manifest(item.manifest).pending:
            return False
        if item.state == "present" and (item.metadata is not KEEP or item.purge_metadata) and "metadata" not in entry:
            return False
        how = item.compare if self._sources[item.key] is not None else "exists"
        return how != "content" and (how != "checksum" or "crc32" in entry)

    @staticmethod
    def _parsed(text: str) -> FileId:
        try:
            return FileId.parse(text)
        except ValueError as error:
            raise StorageError("the manifest: %s" % error, operation="read manifest") from None

    def _asked(self, item: FileItem, entry: Entry | None) -> State | None:
        """The state of a file by what its storage says; None where it is not."""
        if item.file_id is not KEEP:
            text = item.file_id
        elif entry is not None:
            text = entry["id"]
        else:
            slot = self._slot(item) if item.type == "slave" and item.state == "present" and item.verify else None
            if slot is None:
                return None
            text = slot.text
        file, named = self._parsed(text), item.name is not KEEP
        source = self._sources[item.key]
        crc = not file.fixed and source is not None and item.compare == "checksum" and self.client.tells_crc32(file)
        info = self.client.info(file, crc32=crc)
        if info is None:
            if item.state == "absent" and named and entry is not None:
                self._mend.append(Note(item.manifest, item.name, None))
            return None
        known: Entry = {"id": text, "size": info.size}
        if crc:
            known["crc32"] = "%08x" % info.crc32 if info.size else "00000000"
        elif file.fixed:
            known["crc32"] = (entry or {}).get("crc32") or "%08x" % (file.crc32 or 0)
        if entry is not None and "master" in entry:
            known["master"] = entry["master"]
        if item.state == "present" and (item.metadata is not KEEP or item.purge_metadata):
            known["metadata"] = self.client.get_metadata(file)
        state = self._state(file, known, known.get("metadata"))
        if named and entry is None:
            state["recorded"] = False
        elif entry is not None and ("size" not in entry or item.name in self.manifest(item.manifest).pending):
            self._mend.append(Note(item.manifest, item.name, known))
        return state

    @staticmethod
    def _state(file: FileId, entry: Entry, pairs: dict[str, str] | None) -> State:
        kind = "normal" if file.kind == "trunk" else file.kind
        state: State = {"file_id": file.text, "type": kind, "extension": file.extension, "file_group": file.group}
        state.update((name, entry[name]) for name in ("size", "crc32", "master") if name in entry)
        if pairs is not None:
            state["metadata"] = pairs
        state["_file"] = file
        return state

    def _master(self, item: FileItem) -> FileId | None:
        """The master of a slave, None where it is not known."""
        try:
            return FileId.parse(item.master)
        except ValueError:
            entry = self.manifest(item.manifest).entries.get(item.master)
            return None if entry is None else self._parsed(entry["id"])

    def _slot(self, item: FileItem, ending: str | None = None) -> FileId | None:
        """The id of a slave; it follows from that of its master."""
        master = self._master(item)
        try:
            return master and master.slave(item.prefix, item.ending if ending is None else ending)
        except ValueError as error:
            raise StorageError(str(error), operation="name slave", code="INVALID") from None

    def _depth(self, item: FileItem) -> int:
        above = self._masters.get(item.key)
        return 0 if above is None else 1 + self._depth(above)

    # --- what differs

    def plan(self, item: Any, present: State | None) -> Change | None:
        return self._plans[item.key] if item.key in self._plans else self._planned(item, present)

    def _planned(self, item: FileItem, present: State | None) -> Change | None:
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        source = self._sources[item.key]
        if present is None:
            if item.file_id is not KEEP:
                hint = "A file is only made under a name in a manifest; FastDFS chooses its id"
                raise StorageError("there is no such file", operation="look at file", code="NOT_FOUND", hint=hint)
            only_one(item, BYTES, needed=True)
        if item.type == "slave" and item.key not in self._masters and self._master(item) is None:
            told = "its master %s is not in the manifest" % item.master
            raise StorageError(told, operation="look at master", code="NOT_FOUND", hint="Declare the master as well")
        fields = differences(item, present)
        if present is None:
            fields.update({"type": fields.get("type", "normal"), "extension": item.ending})
            if item.master is not KEEP:
                fields["master"] = item.master
            return Change(item, "created", None, {**fields, **_known(source)}, fields, Work(source, True))
        moved = any(name in fields for name in PLACE) or self._moved(item, present)
        steps: tuple[Step, ...] = ()
        content: State = {}
        if moved:
            if item.file_id is not KEEP or source is None:
                told = "it has to be stored anew, and its content is not declared"
                hint = "Give src, content or content_b64"
                raise StorageError(told, operation="look at file", code="CONTENT_MISSING", hint=hint)
            content = _known(source)
        elif source is not None:
            content, steps = self._content(item, source, present)
        fresh = moved or (bool(content) and present["type"] == "normal")
        if content and fresh and item.file_id is not KEEP:
            told = "it has other content, and what is behind this id can never change"
            hint = "Declare it by name and manifest: then it is stored anew, under another id"
            raise StorageError(told, operation="compare content", code="CONTENT_DIFFERS", hint=hint)
        fields.update(content)
        if present.get("recorded") is False:
            fields["recorded"] = True
        if not fields and not fresh:
            return None
        after = {**present, **fields}
        for name in ("_file", "file_id", "size", "crc32") if fresh else ("_file", "size", "crc32") if content else ():
            after.pop(name, None)
        after.update(content)
        return Change(item, "updated", present, after, fields, Work(source if content or fresh else None, fresh, steps))

    def _moved(self, item: FileItem, present: State) -> bool:
        """Whether a slave belongs elsewhere, because it has another master or prefix."""
        if item.type != "slave":
            return False
        above = self._masters.get(item.key)
        change = None if above is None else self._plans.get(above.key)
        if change is not None and (change.action == "created" or change.detail.fresh):
            return True
        ending = item.extension if item.extension is not KEEP else present["extension"]
        slot = self._slot(item, ending)
        return slot is None or slot.text != present["file_id"]

    def _content(self, item: FileItem, source: Source, present: State) -> tuple[State, tuple[Step, ...]]:
        """How the content will be, {} when it is so; and the steps that lead there, for an appender."""
        how, file = item.compare, present["_file"]
        if how == "exists" or (how == "size" and source.size == present["size"]):
            return {}, ()
        if present["type"] == "appender":
            crc = present.get("crc32") if how == "checksum" else None
            steps = tuple(steps_to(self.client, source, file, present["size"], crc and int(crc, 16)))
            return ({"size": source.size, "crc32": crc_of(source)} if steps else {}), steps
        if source.size != present["size"]:
            return _known(source), ()
        if how == "checksum" and "crc32" in present:
            same = crc_of(source) == present["crc32"]
            if not same and file.crc32 is not None and "%08x" % file.crc32 == present["crc32"]:
                same = crc_of(source, legacy=True) == present["crc32"]  # stored by a server up to 5.11
        else:
            same = not source.size or not next(spans(self.client, source, file, source.size), None)
        return ({} if same else {"size": source.size, "crc32": crc_of(source)}), ()

    # --- how it is made

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Masters before their slaves, deletions last."""
        waves: dict[int, list[list[Change]]] = {}
        for group in groups:
            deleted = group[0].action == "deleted"
            waves.setdefault(1 << 30 if deleted else self._depth(group[0].item), []).append(group)
        return [waves[number] for number in sorted(waves)]

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, before = change.item, change.before or {}
        named = item.name is not KEEP
        manifest, entry = (self.manifest(item.manifest), self._entry(item)) if named else (None, None)
        if change.action == "deleted":
            self.client.delete(before["_file"])
            return [Made(change, old=Note(item.manifest, item.name, None) if named else None)]
        if change.detail.fresh:
            file, kept = self._fresh(change, manifest)
            old = () if entry is None or entry["id"] == file.text else (entry["id"],)
            return [
                Made(change, self._state(file, kept, kept.get("metadata")), Note(item.manifest, item.name, kept, old))
            ]
        file, work = before["_file"], change.detail
        if manifest is not None and (work.source is not None or "metadata" in change.fields):
            manifest.touch(item.name)
        kept = {name: before[name] for name in ("size", "crc32", "metadata", "master") if name in before}
        kept["id"] = file.text
        if work.source is not None:
            if work.steps:
                self._stepped(file, before["size"], work)
            else:
                self._again(item, file, before, work.source)
            kept.update(size=work.source.size, crc32=crc_of(work.source))
        if "metadata" in change.fields:
            self._described(file, before["metadata"], change.fields["metadata"])
            kept["metadata"] = change.fields["metadata"]
        state = {
            **self._state(file, kept, kept.get("metadata")),
            **({"recorded": True} if "recorded" in before else {}),
        }
        return [Made(change, state, Note(item.manifest, item.name, kept) if named else None)]

    def _fresh(self, change: Change, manifest: Any) -> tuple[FileId, Entry]:
        """Store a new file; what is left out is as with the one that it replaces."""
        item, before, source = change.item, change.before or {}, change.detail.source
        want = (change.after or {}).get("metadata")
        if before and want is None and before.get("recorded") is not False:
            want = self.client.get_metadata(before["_file"])
        pairs = merged({}, want or {}, False)
        ending = item.extension if item.extension is not KEEP else before.get("extension", item.ending)
        kind = (change.after or {})["type"]
        if kind == "slave":
            file, kept = self._slave(item, manifest, source, ending, pairs)
            kept["master"] = item.master
        else:
            group = item.file_group if item.file_group is not KEEP else before.get("file_group")
            file, kept = self.store(
                manifest, item.name, source, extension=ending, group=group, appender=kind == "appender", metadata=pairs
            )
        if want is not None:
            kept["metadata"] = pairs
        return file, kept

    def _slave(
        self, item: FileItem, manifest: Any, source: Source, ending: str, pairs: dict[str, str]
    ) -> tuple[FileId, Entry]:
        slot, master = self._slot(item, ending), self._master(item)
        if slot is None or master is None:
            raise StorageError("its master %s is not in the manifest" % item.master, operation="name slave")
        text = slot.text
        if text in manifest.leftovers():
            self.client.delete(slot)
            manifest.gone(text)
        elif self.client.info(slot, crc32=False) is not None:
            told, hint = "there is a slave %s already" % text, "Set verify: true, and it is compared and recorded"
            raise StorageError(told, operation="upload slave", code="EEXIST", hint=hint)
        manifest.new(item.name, text)
        with self.discarding(manifest, text):
            self._upload_slave(item, master, ending, source)
            if pairs:
                self.client.set_metadata(slot, pairs)
        return slot, {"id": text, "size": source.size, "crc32": crc_of(source)}

    def _upload_slave(self, item: FileItem, master: FileId, ending: str, source: Source) -> None:
        read = functools.partial(opened, source)
        try:
            self.client.upload_slave(master, item.prefix, read, source.size, extension=ending, check=source.unchanged)
        except RefusedError as error:
            if error.missing:
                error.hint = "Its master is gone: declare that as well"
            raise

    def _again(self, item: FileItem, file: FileId, before: State, source: Source) -> None:
        """A slave's id is fixed, so the old one goes before the new one comes."""
        master = self._master(item) if item.master is not KEEP else None
        if master is None:
            hint = "Declare it by name, manifest, master and prefix"
            raise StorageError("a slave needs its master", operation="upload slave", code="MASTER_MISSING", hint=hint)
        pairs = before["metadata"] if "metadata" in before else self.client.get_metadata(file)
        self.client.delete(file)
        self._upload_slave(item, master, file.extension, source)
        if pairs:
            self.client.set_metadata(file, pairs)

    def _stepped(self, file: FileId, size: int, work: Work) -> None:
        """Change an appender in place."""
        source, info = work.source, self.client.info(file, crc32=False)
        if source is None or info is None or info.size != size:
            told = "it has %s bytes now; there were %d" % (info.size if info else "no", size)
            hint = "Somebody else writes to it. Run again"
            raise StorageError(told, operation="change appender", code="CHANGED", hint=hint)
        for what, start, length in work.steps:
            read = functools.partial(opened, source, start)
            if what == "modify":
                self.client.modify(file, start, read, length, source.unchanged)
            elif what == "append":
                self.client.append(file, read, length, source.unchanged)
            else:
                self.client.truncate(file, start)

    def _described(self, file: FileId, before: dict[str, str], after: dict[str, str]) -> None:
        """Set metadata: only what is new, unless something has to go."""
        if before.keys() <= after.keys():
            self.client.set_metadata(file, {n: v for n, v in after.items() if before.get(n) != v}, merge=True)
        else:
            self.client.set_metadata(file, after)

    def finish(self, complete: bool) -> None:
        for note in self._mend:  # what was found out, and what nothing else has put right
            manifest = self.manifest(note.manifest)
            entry = manifest.entries.get(note.name)
            if entry is not None and (note.entry is None or note.name in manifest.pending or "size" not in entry):
                manifest.record([note])
        super().finish(complete)


def _known(source: Source | None) -> State:
    """What is known of content that is stored anew, without reading much."""
    if source is None:
        return {}
    return {"size": source.size, **({"crc32": crc_of(source)} if source.size <= SMALL else {})}
