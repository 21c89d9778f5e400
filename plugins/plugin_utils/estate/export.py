# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest of what exists: found, read by the modules themselves, and written with its content beside it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any

import yaml
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import State, build
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import How
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.finding import FINDERS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import (
    MODULES,
    Kind,
    kinds_of,
)
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import write_atomic

LONGEST = 180  # characters of a content file's name
CONTENT = "src"
INLINE = {"value", "value_b64"}  # content that is in the manifest itself


def escaped(value: Any) -> Any:
    """A value in which nothing looks like a template."""
    if isinstance(value, Mapping):
        return {name: escaped(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(part) for part in value]
    if not isinstance(value, str) or ("{{" not in value and "{%" not in value):
        return value
    return "{{ %s }}" % json.dumps(value, ensure_ascii=False)


def nothing(value: Any) -> bool:
    """Whether a value says no more than leaving it out would."""
    return value is None or value is False or value in ("", [], {})


def file_name(label: str) -> str:
    """A name for a content file that is like no other, whatever a thing is called."""
    name = urllib.parse.quote(label.lstrip("/"), safe=" +,=@")
    if len(name) > LONGEST:
        name = "%s-%s" % (name[:LONGEST], hashlib.sha256(label.encode("utf-8", "surrogateescape")).hexdigest()[:16])
    return name


class Export:
    """One export. dest: the path of the manifest; contents: none, digests or files."""

    def __init__(self, dest: str, contents: str, how: How) -> None:
        self.dest, self.contents, self.how = dest, contents, how
        self.folder = os.path.dirname(dest)
        self.beside = os.path.splitext(os.path.basename(dest))[0] + ".files"
        self.warnings: list[str] = []
        self.digests: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.options: Mapping[str, Any] = {}
        self.changed = False

    def add(self, system: str, options: Mapping[str, Any], filters: list[str] | None) -> None:
        """Take in a system. Raises StorageError."""
        finder = FINDERS[system]
        self.options = options
        client = self._client(finder.info)
        found: dict[str, list[dict[str, Any]]] = {}
        chosen = list(finder.everything) if filters is None else filters
        for name, identity in finder.find(client, chosen, self.warnings):
            found.setdefault(name, []).append(identity)
        lists: dict[str, Any] = {}
        for name, kind in kinds_of(system).items():
            if found.get(name) and not (self.contents == "none" and self._has_content(kind)):
                self.how.tell("%s %s: %d found" % (system, name, len(found[name])))
                found[name].sort(key=json.dumps)  # some systems list by age
                lists[name] = self._items(kind, found[name], finder.probe.get(name, {}))
        if lists:
            self.data[system] = lists
        for name, rows in lists.items() if self.contents == "files" else ():
            if CONTENT in kinds_of(system)[name].options:
                self._fetch(kinds_of(system)[name], rows, finder.download)

    @staticmethod
    def _has_content(kind: Kind) -> bool:
        return CONTENT in kind.options or bool(kind.options.keys() & INLINE)

    def _client(self, module: str) -> Any:
        subject = importlib.import_module(MODULES + module).SUBJECT
        return client_for(subject.connection, self.options, self.how.parallel, self.how.environ)

    def _run(self) -> Run:
        return Run(parallel=self.how.parallel, detail="none", tell=self.how.tell)

    def _items(self, kind: Kind, identities: list[dict[str, Any]], probe: Mapping[str, Any]) -> list[dict[str, Any]]:
        run = self._run()
        run.check = True
        items = [build(kind.subject.Item, {**identity, **probe}) for identity in identities]
        for item in items:
            kind.subject.validate(item)
        resource = kind.subject(self._client(kind.module), run)
        with resource.session():
            present = resource.read(list(resource.expand(items)))
        rows = []
        for item, identity in zip(items, identities):
            state = present.get(item.key)
            if state is not None:
                rows.append(self._row(kind, item, identity, state))
        return rows

    def _row(self, kind: Kind, item: Any, identity: Mapping[str, Any], state: State) -> dict[str, Any]:
        skipped = INLINE if self.contents == "digests" else ()
        row = {n: v for n, v in identity.items() if v != kind.options[n].default and n not in skipped}
        for name, opt in kind.options.items():
            if opt.role == "wanted" and name in state and name not in kind.told and not nothing(state[name]):
                if not opt.secret:
                    row[name] = state[name]
                elif state[name] != ["", ""]:
                    self.warnings.append("%s %s: %s is secret, and left out" % (kind.place, item.label(), name))
        if state.get("stopped"):
            row["state"] = "stopped"
        if self._has_content(kind):
            known = {name: state[name] for name in ("size", "checksum", "crc32") if name in state}
            self.digests.setdefault(kind.place, {})[item.label()] = known
            if state.get("symlink_to"):
                row["symlink_to"] = state["symlink_to"]
        for name, opt in kind.options.items():
            if opt.type == "path" and name in row:
                row[name] = os.path.relpath(row[name], self.folder)
        return row

    def _fetch(self, kind: Kind, rows: list[dict[str, Any]], module: str) -> None:
        """Bring content, and name it in its item."""
        subject = importlib.import_module(MODULES + module).SUBJECT
        keys = [name for name, opt in kind.options.items() if opt.role == "key"]
        items = []
        for row in rows:
            if "symlink_to" in row:
                continue
            identity = {name: row[name] for name in keys if name in row}
            for name in keys:
                if kind.options[name].type == "path" and name in identity:
                    identity[name] = os.path.join(self.folder, identity[name])
            known = build(kind.subject.Item, identity)
            name = os.path.join(self.beside, kind.system, file_name(known.label()))
            row[CONTENT] = name
            wanted = {n: v for n, v in known.identity().items() if v is not None and isinstance(v, str)}
            items.append(build(subject.Item, {**wanted, "dest": os.path.join(self.folder, name)}))
        if not items:
            return
        run = self._run()
        run.check = self.how.check
        if not run.check:
            os.makedirs(os.path.join(self.folder, self.beside, kind.system), exist_ok=True)
        result = Engine(subject(self._client(module), run), run).execute(items)
        self.changed = self.changed or result["changed"]
        if result.get("failed"):
            raise StorageError(result["msg"], operation="download", fatal=True)

    def write(self, name: str) -> None:
        """Write the manifest where it is another one."""
        data = {"estate": name, **{system: self.data[system] for system in FINDERS if system in self.data}}
        self._write(self.dest, escaped(data))
        if self.contents == "digests":
            self._write(os.path.splitext(self.dest)[0] + ".digests.json", self.digests)

    def _write(self, path: str, data: Any) -> None:
        data = json.loads(json.dumps(data, default=str))
        if path.endswith(".json"):
            text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        else:
            text = "---\n" + yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)
        try:
            with open(path, encoding="utf-8") as stream:
                if stream.read() == text:
                    return
        except (OSError, UnicodeDecodeError):
            pass
        self.changed = True
        if not self.how.check:
            write_atomic(path, text)
