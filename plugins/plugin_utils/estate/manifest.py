# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of an estate: read and checked as a whole, every mistake with its place, before any server is asked."""

from __future__ import annotations

import dataclasses as dc
import difflib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import faults
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.document import At, Document, Raw
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import (
    SYSTEMS,
    Kind,
    connection_of,
    kinds_of,
)
from ansible_collections.polystore.storage.plugins.plugin_utils.masking import masked

TOP = ("estate", "connections", "vars", *SYSTEMS)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
OWN = {"protect": "bool", "connection": "str"}  # what an item has besides its module's options
SECRETIVE = re.compile("pass|secret|token|key|auth|header", re.I)


@dc.dataclass
class Declared:
    """One item of a manifest. at: its place there."""

    kind: Kind
    connection: str
    item: Any
    protect: bool
    at: At


@dc.dataclass
class Manifest:
    """A manifest without mistakes. connections: (system, options) by name; digest: of all but the connections."""

    name: str
    connections: dict[str, tuple[str, dict[str, Any]]]
    items: list[Declared]
    digest: str
    secrets: set[str]


class Mistakes(StorageError):
    """What is wrong in a manifest, all of it. found: rows of path, line (None: unknown) and message."""

    def __init__(self, source: str, found: list[dict[str, Any]]) -> None:
        found.sort(key=lambda row: row["line"] or 0)
        told = ["%s%s" % ("line %d, " % row["line"] if row["line"] else "", _said(row)) for row in found]
        count = "a mistake" if len(found) == 1 else "%d mistakes" % len(found)
        text = "%s has %s; nothing was asked of any server:\n%s" % (source, count, "\n".join(told))
        super().__init__(text, operation="check manifest", fatal=True)
        self.found = found


def _said(row: Mapping[str, Any]) -> str:
    return "%s: %s" % (row["path"], row["message"]) if row["path"] else str(row["message"])


def near(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is unknown."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, 1)
    return "Did you mean %s?" % close[0] if close else "Known here: %s" % ", ".join(known)


def leaves(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def secrets_of(spec: Mapping[str, Any], options: Any) -> set[str]:
    """The values of connection options that nobody may see."""
    found: set[str] = set()
    if not isinstance(options, Mapping):
        return set(leaves(options))
    for name, value in options.items():
        option = spec.get(name)
        if option is not None and option.get("options") and isinstance(value, Mapping):
            found |= secrets_of(option["options"], value)
        elif (option or {}).get("no_log", bool(SECRETIVE.search(str(name)))) or (option or {}).get("options"):
            found.update(leaves(value))
    return found


class Reader:
    """Makes a Manifest of a document. environ: for connections; render: a template with the manifest's vars."""

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        render: Callable[[str, Mapping[str, Any]], Any],
        systems: Iterable[str] | None = None,
    ) -> None:
        self.document, self.environ, self.render = document, environ, render
        self.chosen = set(SYSTEMS if systems is None else systems)
        self.found: list[dict[str, Any]] = []
        self.vars: Mapping[str, Any] = {}
        self.secrets: set[str] = set()
        self.unusable: set[Any] = set()  # connections with mistakes

    def read(self) -> Manifest:
        """The manifest. Raises Mistakes."""
        data = self.document.data
        for at, told in self.document.faults:
            self.wrong(at, told)
        if not isinstance(data, Mapping):
            if not self.found:
                self.wrong((), "a manifest is a mapping", "It begins with estate: NAME")
            raise self._mistakes()
        for name in data:
            if name not in TOP:
                self.wrong((name,), "unknown here", near(name, TOP))
        self._vars(data.get("vars"))
        estate = self._name(data)
        connections = self._connections(data.get("connections"))
        items = [d for system in SYSTEMS if system in data for d in self._system(system, data[system], connections)]
        self._twice(items)
        self._resolve(connections, items)
        if self.found:
            raise self._mistakes()
        kept = {name: part for name, part in data.items() if name != "connections"}
        told = json.dumps([kept, sorted(self.chosen)], sort_keys=True, default=str)
        items = [declared for declared in items if declared.kind.system in self.chosen]
        return Manifest(estate, connections, items, hashlib.sha256(told.encode()).hexdigest(), self.secrets)

    def wrong(self, at: At, told: str, hint: str = "", line: int | None = None) -> None:
        """Note a mistake."""
        message = "%s. %s" % (told.rstrip("."), hint) if hint else told
        message = str(masked(message, self.secrets))
        path = "".join("[%d]" % part if isinstance(part, int) else ".%s" % part for part in at).lstrip(".")
        self.found.append({"path": path, "line": line or self.document.line(at), "message": message})

    def _mistakes(self) -> Mistakes:
        return Mistakes(self.document.source, self.found)

    def _name(self, data: Mapping[str, Any]) -> str:
        if "estate" not in data:
            self.wrong((), "estate is missing", "Give the estate a name: estate: NAME")
            return ""
        name = self._rendered(data["estate"], ("estate",))
        if not isinstance(name, str) or not NAME.match(name):
            self.wrong(("estate",), "%r is no name" % (name,), "Use letters, digits, dots, dashes and underscores")
        return str(name)

    def _vars(self, given: Any) -> None:
        if given is None:
            return
        if not isinstance(given, Mapping):
            self.wrong(("vars",), "is no dictionary", "Write name: value")
            return
        self.vars = dict(given)
        rendered: dict[str, Any] = {}
        for name, value in given.items():
            rendered[name] = self._rendered(value, ("vars", name))
            self.vars = {**given, **rendered}

    def _rendered(self, value: Any, at: At) -> Any:
        """A value with its templates filled in."""
        if isinstance(value, Mapping):
            return {name: self._rendered(part, (*at, name)) for name, part in value.items()}
        if isinstance(value, list):
            return [self._rendered(part, (*at, number)) for number, part in enumerate(value)]
        if not isinstance(value, str) or isinstance(value, Raw) or ("{{" not in value and "{%" not in value):
            return value
        try:
            return self.render(value, self.vars)
        except StorageError as error:
            self.wrong(at, error.message, error.hint)
            return None

    # --- connections

    def _connections(self, given: Any) -> dict[str, tuple[str, dict[str, Any]]]:
        found: dict[str, tuple[str, dict[str, Any]]] = {system: (system, {}) for system in SYSTEMS}
        if given is None:
            return found
        if not isinstance(given, Mapping):
            self.secrets |= set(leaves(given))
            self.wrong(("connections",), "is no dictionary", "Write a system's name: its connection options")
            return found
        for name, raw in given.items():
            at: At = ("connections", name)
            guess = raw.get("system", name) if isinstance(raw, Mapping) else name
            spec = connection_of(guess).spec if guess in SYSTEMS else {}
            self.secrets |= secrets_of(spec, raw)  # before anything is told of it
            options = self._rendered(raw, at)
            if options is None and raw is None:
                options = {}
            if not isinstance(options, Mapping):
                self.secrets |= set(leaves(options))
                self.wrong(at, "is no dictionary", "Write connection options as name: value")
                continue
            options = dict(options)
            system = options.pop("system", name)
            if system not in SYSTEMS:
                hint = "An alias says which it is: system: %s" % SYSTEMS[0] if system == name else ""
                self.wrong(at, "%s is no system" % system, hint or near(system, SYSTEMS))
                continue
            if name in SYSTEMS and system != name:
                self.wrong((*at, "system"), "%s is itself a system" % name, "Give the alias another name")
                continue
            found[str(name)] = (system, self._checked(system, options, at))
        return found

    def _checked(self, system: str, options: dict[str, Any], at: At) -> dict[str, Any]:
        spec = connection_of(system).spec
        self.secrets |= secrets_of(spec, options)
        for name in [name for name in options if name not in spec]:
            self.wrong((*at, name), "unknown option", near(name, [*spec, "system"]))
            del options[name]
        options = self._placed(options, [name for name, option in spec.items() if option.get("type") == "path"])
        good: dict[str, Any] = {}
        for name, value in options.items():
            validation = ArgumentSpecValidator({name: spec[name]}).validate({name: value})
            for message in validation.error_messages[:1]:
                self.wrong((*at, name), str(message))
                self.unusable.add(at[-1])
            if not validation.error_messages:
                good[name] = validation.validated_parameters[name]
        return good

    def _resolve(self, connections: Mapping[str, tuple[str, dict[str, Any]]], items: Iterable[Declared]) -> None:
        """What the options of a connection that is used, and the environment, do not say."""
        for name in dict.fromkeys(d.connection for d in items if d.kind.system in self.chosen):
            if name in self.unusable:
                continue
            system, options = connections[name]
            connection = connection_of(system)
            try:
                connection.resolve({option: options.get(option) for option in connection.spec}, self.environ)
            except StorageError as error:
                self.wrong(("connections", name), error.message, error.hint)

    # --- items

    def _system(self, system: str, raw: Any, connections: Mapping[str, Any]) -> Iterator[Declared]:
        kinds = kinds_of(system)
        if raw is None:
            return
        if not isinstance(raw, Mapping):
            self.wrong((system,), "is no dictionary", "It holds lists: %s" % ", ".join(kinds))
            return
        for name, rows in raw.items():
            if name not in kinds:
                self.wrong((system, name), "%s has none of these" % system, near(name, kinds))
            elif rows is not None and not isinstance(rows, list):
                self.wrong((system, name), "is no list", "Write - before every item")
            else:
                for number, row in enumerate(rows or ()):
                    declared = self._item(kinds[name], row, (system, name, number), connections)
                    if declared is not None:
                        yield declared

    def _item(self, kind: Kind, raw: Any, at: At, connections: Mapping[str, Any]) -> Declared | None:
        if not isinstance(raw, Mapping):
            self.wrong(at, "is no dictionary", "Every item is a dictionary of options of %s" % kind.module)
            return None
        before = len(self.found)
        row: dict[str, Any] = {}
        unknown: set[str] = set()  # options whose templates cannot be filled in
        for name, value in raw.items():
            count = len(self.found)
            row[str(name)] = self._rendered(value, (*at, name))
            if len(self.found) > count:
                unknown.add(str(name))
                del row[str(name)]
        protect, connection = row.pop("protect", False), row.pop("connection", kind.system)
        if not isinstance(protect, bool):
            self.wrong((*at, "protect"), "%r is neither true nor false" % (protect,))
        if not isinstance(connection, str) or connection not in connections:
            self.wrong((*at, "connection"), "there is no connection %s" % (connection,), near(connection, connections))
        elif connections[connection][0] != kind.system:
            told = "%s is a connection to %s" % (connection, connections[connection][0])
            self.wrong((*at, "connection"), told, "These items are %s's" % kind.system)
        known = kind.options
        for name in [n for n in row if n not in known and not any(n in o.aliases for o in known.values())]:
            self.wrong((*at, name), "unknown option", near(name, [*known, *OWN]))
            del row[name]
        row = self._placed(row, [name for name, option in known.items() if option.type == "path"])
        found: dict[str, Any] = {}
        for fault in faults(kind.subject.Item, row, "", found):
            if fault.option not in unknown:
                self._fault(at, fault)
        if len(self.found) > before:
            return None
        item = kind.subject.Item(**found)
        try:
            kind.subject.validate(item)
        except OptionError as error:
            self._fault(at, error)
            return None
        if protect and item.state == "absent":
            self.wrong((*at, "protect"), "what is protected cannot be absent", "Take one of them away")
        return Declared(kind, connection, item, protect, at)

    def _fault(self, at: At, error: OptionError) -> None:
        hint = "" if error.hint.startswith("Give it in the task") else error.hint
        self.wrong((*at, error.option), error.message.split(": ", 1)[1], hint)

    def _placed(self, options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """Options with relative paths made absolute: they are relative to where the manifest is."""
        found = dict(options)
        for name in names:
            value = found.get(name)
            if isinstance(value, str) and value:
                path = os.path.expanduser(os.path.expandvars(value))
                found[name] = os.path.normpath(os.path.join(self.document.folder, path))
        return found

    def _twice(self, items: Iterable[Declared]) -> None:
        seen: dict[Any, Declared] = {}
        for declared in items:
            key = (declared.connection, declared.kind.name, declared.kind.system, declared.item.key)
            first = seen.setdefault(key, declared)
            if first is not declared:
                line = self.document.line(first.at)
                told = "%s is declared twice" % declared.item.label()
                where = "on line %d" % line if line else "as %s[%s]" % (declared.kind.place, first.at[-1])
                self.wrong(declared.at, told, "The first time it is %s" % where)
