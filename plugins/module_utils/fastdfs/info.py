# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to FastDFS that change nothing."""

from __future__ import annotations

import dataclasses as dc
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Workers
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import records
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    SCHEMA,
    FileId,
    Manifest,
    check_group,
    manifest_path,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.salvage import salvage

GATHER = ("groups", "storages", "file", "manifest")
MOMENTS = (
    *("join_time", "up_time", "last_source_update", "last_sync_update"),
    *("last_synced_timestamp", "last_heart_beat_time"),
)
RW_MODES = {0: "none", 2: "write only", 4: "read only", 6: "both"}


def _known(value: Mapping[str, Any]) -> dict[str, FileId]:
    return {plain_text(name): FileId.parse(text) for name, text in value.items()}


@dc.dataclass
class Question(Item):
    """What to ask for."""

    gather: Any = directive("list", elements="str", choices=GATHER)
    group: str = directive(parse=check_group)
    file_id: FileId = directive(parse=FileId.parse)
    name: str = directive(parse=plain_text)
    manifest: str = directive("path", parse=manifest_path)
    known: dict[str, FileId] = directive("dict", parse=_known)

    def wanted(self) -> list[str]:
        """What is to be gathered: what was said, or what the other options suggest."""
        if self.gather is not KEEP:
            return list(self.gather)
        pairs = (("file_id", "file"), ("name", "file"), ("manifest", "manifest"), ("known", "manifest"))
        for option, what in (*pairs, ("group", "storages")):
            if getattr(self, option) is not KEEP:
                return [what]
        return ["groups"]


def moment(seconds: int) -> str | None:
    """A time in ISO 8601, UTC; None for none."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds > 0 else None


def facts(file: FileId) -> dict[str, Any]:
    """What an id tells by itself."""
    return {
        "file_id": file.text,
        "file_group": file.group,
        "type": "normal" if file.kind == "trunk" else file.kind,
        "extension": file.extension,
        "storage": file.source,
        "store_path": file.path,
        "created": moment(file.created),
        "trunk": file.trunk and file.trunk._asdict(),
        "size": file.size,
        "crc32": None if file.crc32 is None else "%08x" % file.crc32,
    }


class Info(Query):
    """The module fdfs_info."""

    connection = records.CONNECTION
    Options = Question

    @classmethod
    def validate(cls, options: Question) -> None:
        if options.file_id is not KEEP and options.name is not KEEP:
            raise OptionError("name", "cannot be given together with file_id", "Give one of them")
        if options.name is not KEEP and options.manifest is KEEP:
            raise OptionError("manifest", "is missing", "name is a name in a manifest: give its path")
        for what in options.wanted():
            if what == "file" and options.file_id is KEEP and options.name is KEEP:
                raise OptionError("file_id", "is needed to gather file, or name with manifest")
            if what == "manifest" and options.manifest is KEEP and options.known is KEEP:
                raise OptionError("manifest", "is needed to gather manifest, or known")

    @classmethod
    def fetch(cls, client: Any, options: Question) -> dict[str, Any]:
        return {what: getattr(cls, "_" + what)(client, options) for what in options.wanted()}

    # --- the cluster

    @staticmethod
    def _groups(client: Any, options: Question) -> list[dict[str, Any]]:
        rows = client.groups() if options.group is KEEP else [client.group(options.group)]
        return sorted(rows, key=lambda row: str(row["name"]))

    @classmethod
    def _storages(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        names = [row["name"] for row in cls._groups(client, options)] if options.group is KEEP else [options.group]
        return [cls._storage(name, row) for name in names for row in client.storages(name)]

    @staticmethod
    def _storage(group: str, row: dict[str, Any]) -> dict[str, Any]:
        """Counters are apart, times are readable."""
        found: dict[str, Any] = {"group": group, "counters": {}}
        for name in ("state", *records.STORAGE_KEYS):
            if name.startswith(("total_", "success_")) and name != "total_mb":
                found["counters"][name] = row[name]
            elif name != "status":
                found[name] = moment(row[name]) if name in MOMENTS else row[name]
        found["rw_mode"] = RW_MODES.get(row["rw_mode"])
        return found

    # --- files

    @classmethod
    def _file(cls, client: Any, options: Question) -> dict[str, Any] | None:
        name = {} if options.name is KEEP else {"name": options.name}
        file = options.file_id
        if file is KEEP:
            entry = Manifest.load(options.manifest).entries.get(options.name)
            if entry is None:
                return None
            file = cls._parsed(options.name, entry)
        found = {**name, **facts(file), **cls._seen(client, file)}
        if found["exists"]:
            found["metadata"] = client.get_metadata(file)
        found["read_from"] = sorted(str(server) for server in client.places(file, "all"))
        found["change_at"] = [str(server) for server in client.places(file, "update")]
        return found

    @staticmethod
    def _parsed(name: str, entry: Mapping[str, Any]) -> FileId:
        try:
            return FileId.parse(entry["id"])
        except ValueError as error:
            raise StorageError("%s: %s" % (name, error), operation="read manifest", code="DAMAGED") from None

    @staticmethod
    def _seen(client: Any, file: FileId) -> dict[str, Any]:
        """What the storage tells that takes its changes."""
        tells = client.tells_crc32(file)
        info = client.info(file, crc32=tells)
        if info is None:
            return {"exists": False}
        found = {"exists": True, "size": info.size, "last_modified": moment(info.changed)}
        if not file.fixed:  # of the others it would only be read out of the id
            found["crc32"] = "%08x" % info.crc32 if tells else None
        return found

    # --- manifests

    @classmethod
    def _manifest(cls, client: Any, options: Question) -> dict[str, Any]:
        found: dict[str, Any] = {"path": None, "exists": False, "error": None, "leftovers": [], "doubts": []}
        entries: dict[str, Any] = {}
        pending: set[str] = set()
        if options.manifest is not KEEP:
            found.update(path=options.manifest, exists=os.path.exists(options.manifest))
            try:
                manifest = Manifest.load(options.manifest)
                entries, pending = manifest.entries, manifest.pending
                found.update(leftovers=manifest.leftovers(), doubts=manifest.doubts)
            except StorageError as error:
                found["error"] = error.told()
                entries = salvage(options.manifest)
        if options.known is not KEEP:
            entries = {**entries, **{name: {"id": file.text} for name, file in options.known.items()}}
        names = sorted(name for name in entries if options.name in (KEEP, name))
        rows: list[dict[str, Any]] = [{} for _name in names]

        def check(number: int) -> None:
            name = names[number]
            rows[number] = cls._checked(client, name, entries[name], name in pending)

        Workers(client.parallel).each(check, range(len(names)))
        states = [row["status"] for row in rows]
        found["entries"] = rows
        found["summary"] = {word: states.count(word) for word in ("ok", "missing", "differs", "unknown")}
        kept = {row["name"]: entries[row["name"]] for row in rows if row["status"] in ("ok", "unknown")}
        kept.update((row["name"], {"id": row["file_id"]}) for row in rows if row["status"] == "differs")
        found["document"] = {"schema": SCHEMA, "files": kept}
        return found

    @classmethod
    def _checked(cls, client: Any, name: str, entry: Mapping[str, Any], pending: bool) -> dict[str, Any]:
        """One entry, and whether the servers have what it says."""
        try:
            file = cls._parsed(name, entry)
        except StorageError as error:
            return {"name": name, "file_id": entry["id"], "status": "missing", "problem": error.message}
        row: dict[str, Any] = {"name": name, **facts(file), "status": "ok", "problem": None}
        row.update((key, entry[key]) for key in ("size", "crc32", "metadata", "master") if key in entry)
        try:
            seen = cls._seen(client, file)
            if not seen["exists"]:
                return {**row, "status": "missing", "problem": "its storage has no such file"}
            wrong = cls._differences(row, seen, pending)
            if "metadata" in entry and not pending and client.get_metadata(file) != entry["metadata"]:
                wrong.append("metadata")
        except StorageError as error:
            if error.fatal:
                raise
            return {**row, "status": "unknown", "problem": error.told()}
        if wrong:
            row.update(status="differs", problem="other than recorded: %s" % ", ".join(wrong))
        return row

    @staticmethod
    def _differences(row: Mapping[str, Any], seen: Mapping[str, Any], pending: bool) -> list[str]:
        """What is not as recorded, or as the id tells. pending: somebody was changing the file, so it may be."""
        if pending:
            return []
        names = [name for name in ("size", "crc32") if row[name] is not None and seen.get(name) is not None]
        return [name for name in names if row[name] != seen[name]]
