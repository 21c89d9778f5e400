# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline documents as pachd reads them: its parser's complaints, one spelling of the keys, and merging."""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-]))'
    r"|(?P<word>(?:true|false|null)(?![\w.+-]))|(?P<mark>[\[\]{}:,])"
)
_ODD = re.compile(r"[-+._a-zA-Z0-9]{1,32}|.", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_SECONDS = re.compile(r"-?(\d+)(\.\d{1,9})?s")
_INTS = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}
_KINDS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 11: "message"}
_KINDS |= {12: "bytes", 13: "uint32", 14: "enum"}
_WRAPPERS = {"Int64Value": "int64", "BytesValue": "bytes", "StringValue": "string", "BoolValue": "bool"}


class DocumentError(ValueError):
    """A document that pachd refuses; the text is what its parser says."""


@dataclass
class Node:
    """A JSON value and where it is: `value` of an object is a list of (name, node) pairs of nodes."""

    kind: str  # object, list, string, number, word
    at: int
    raw: str
    value: Any


class Reader:
    """Reads JSON strictly and remembers places."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def where(self, at: int) -> str:
        """Line and column, from 1."""
        before = self.text[:at]
        return "(line %d:%d)" % (before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1)

    def syntax(self, at: int, words: str) -> DocumentError:
        """What is not JSON."""
        return DocumentError(f"syntax error {self.where(at)}: {words}")

    def unexpected(self, node: Node) -> DocumentError:
        """JSON, but of another kind than what belongs there."""
        return self.syntax(node.at, f"unexpected token {node.raw}")

    def token(self) -> Node:
        """The next one; kind "end" after the last."""
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1
        if self.at == len(self.text):
            return Node("end", self.at, "", None)
        found = _TOKEN.match(self.text, self.at)
        if not found:
            if self.text[self.at] == '"':
                raise DocumentError("unexpected EOF")
            odd = _ODD.match(self.text, self.at)
            raise self.syntax(self.at, f"invalid value {odd.group() if odd else ''}")
        node = Node(str(found.lastgroup), self.at, found.group(), None)
        if node.kind == "string":
            node.value = _ESCAPE.sub(_unescaped, node.raw[1:-1])
        elif node.kind == "number":
            node.value = number(node.raw)
        elif node.kind == "word":
            node.value = {"true": True, "false": False}.get(node.raw)
        self.at = found.end()
        return node

    def value(self, first: Node | None = None) -> Node:
        """One value."""
        node = first or self.token()
        if node.kind == "end":
            raise DocumentError("unexpected EOF")
        if node.raw == "{" and node.kind == "mark":
            node.kind, node.value = "object", self._members()
        elif node.raw == "[" and node.kind == "mark":
            node.kind, node.value = "list", self._elements()
        elif node.kind == "mark":
            raise self.unexpected(node)
        return node

    def _members(self) -> list[tuple[Node, Node]]:
        members: list[tuple[Node, Node]] = []
        name = self.token()
        while name.raw != "}":
            if name.kind == "end":
                raise DocumentError("unexpected EOF")
            if name.kind != "string":
                raise self.unexpected(name)
            self._need(":", self.token())
            members.append((name, self.value()))
            after = self._need(",}", self.token())
            name = after if after.raw == "}" else self.token()
            if name is not after and name.raw == "}":
                raise self.unexpected(name)
        return members

    def _elements(self) -> list[Node]:
        elements: list[Node] = []
        node = self.token()
        while node.raw != "]":
            elements.append(self.value(node))
            after = self._need(",]", self.token())
            node = after if after.raw == "]" else self.token()
            if node is not after and node.raw == "]":
                raise self.unexpected(node)
        return elements

    def _need(self, marks: str, node: Node) -> Node:
        if node.kind == "end":
            raise DocumentError("unexpected EOF")
        if node.kind != "mark" or node.raw not in marks:
            raise self.unexpected(node)
        return node


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[2])


def number(text: str) -> int | float:
    """A JSON number; whole ones as int."""
    value = decimal.Decimal(text)
    return int(value) if value == value.to_integral_value() and abs(value) < 2**64 else float(value)


class Checker:
    """Holds a document against a message type; the first thing that does not fit is the complaint."""

    def __init__(self, text: str) -> None:
        self.reader = Reader(text)

    def check(self, descriptor: Any) -> dict[str, Any]:
        """The document, one spelling of all keys; DocumentError."""
        root = self.reader.token()
        if root.raw != "{":
            raise self.reader.unexpected(root)
        root = self.reader.value(root)
        after = self.reader.token()
        if after.kind != "end":
            raise self.reader.unexpected(after)
        found: dict[str, Any] = self._message(root, descriptor)
        return found

    def _complain(self, node: Node, words: str) -> DocumentError:
        return DocumentError(f"{self.reader.where(node.at)}: {words}")

    def _message(self, node: Node, descriptor: Any) -> Any:
        if descriptor.full_name.startswith("google.protobuf."):
            return self._known(node, descriptor.name)
        if node.kind != "object":
            raise self.reader.unexpected(node)
        fields = names(descriptor)
        found: dict[str, Any] = {}
        chosen: set[str] = set()
        for name, value in node.value:
            field = fields.get(name.value)
            if field is None:
                raise self._complain(name, f"unknown field {name.raw}")
            if field.json_name in found:
                raise self._complain(name, f"duplicate field {name.raw}")
            if value.kind == "word" and value.value is None:
                found[field.json_name] = None
                continue
            oneof = field.containing_oneof
            if oneof is not None and oneof.full_name in chosen:
                raise self._complain(name, f"error parsing {name.raw}, oneof {oneof.full_name} is already set")
            if oneof is not None:
                chosen.add(oneof.full_name)
            found[field.json_name] = self._field(value, field)
        return found

    def _field(self, node: Node, field: Any) -> Any:
        if is_map(field):
            if node.kind != "object":
                raise self.reader.unexpected(node)
            inner = field.message_type.fields_by_name["value"]
            return {name.value: self._single(value, inner) for name, value in node.value}
        if is_list(field):
            if node.kind != "list":
                raise self.reader.unexpected(node)
            return [self._single(value, field) for value in node.value]
        return self._single(node, field)

    def _single(self, node: Node, field: Any) -> Any:
        if field.message_type is not None:
            return self._message(node, field.message_type)
        kind = _KINDS.get(field.type, "?")
        names_of = field.enum_type.values_by_name if kind == "enum" else {}
        if not fits(kind, node, names_of):
            raise self._complain(node, f"invalid value for {kind} type: {node.raw}")
        return node.value

    def _known(self, node: Node, name: str) -> Any:
        """Duration, Timestamp and the wrappers."""
        if name in _WRAPPERS:
            if not fits(_WRAPPERS[name], node, {}):
                raise self._complain(node, f"invalid value for {_WRAPPERS[name]} type: {node.raw}")
            return node.value
        if node.kind != "string":
            raise self.reader.unexpected(node)
        good = _SECONDS.fullmatch(node.value) if name == "Duration" else instant(node.value)
        if not good:
            raise self._complain(node, f"invalid google.protobuf.{name} value {node.raw}")
        return node.value


def fits(kind: str, node: Node, names_of: Any) -> bool:
    """True when a value may stand for a field of that kind."""
    if kind == "string":
        return node.kind == "string"
    if kind == "bool":
        return isinstance(node.value, bool)
    if kind == "enum":
        return node.value in names_of if node.kind == "string" else isinstance(node.value, int)
    if kind == "bytes":
        try:
            base64.b64decode(node.value, validate=True) if node.kind == "string" else None
        except (binascii.Error, ValueError):
            return False
        return node.kind == "string"
    value = node.value
    if node.kind == "string":
        if not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value):
            return kind in ("float", "double") and value in ("NaN", "Infinity", "-Infinity")
        value = number(value)
    elif node.kind != "number":
        return False
    if kind in _INTS:
        low, high = _INTS[kind]
        return isinstance(value, int) and low <= value < high
    return kind in ("float", "double")


def instant(text: str) -> datetime.datetime | None:
    """A time as RFC 3339 has it, or None."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        return None
    try:
        return datetime.datetime.fromisoformat(found[1] + (found[3] if found[3] != "Z" else "+00:00"))
    except ValueError:
        return None


def is_list(field: Any) -> bool:
    """A repeated field, also a map."""
    try:
        return bool(field.is_repeated)
    except AttributeError:  # protobuf before 6
        return bool(field.label == 3)


def is_map(field: Any) -> bool:
    """A map field."""
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def names(descriptor: Any) -> dict[str, Any]:
    """A message's fields by both spellings."""
    found = {field.name: field for field in descriptor.fields}
    return {**found, **{field.json_name: field for field in descriptor.fields}}


def parse(text: str, descriptor: Any) -> dict[str, Any]:
    """A document in camelCase, nulls kept; DocumentError with the parser's own words."""
    return Checker(text).check(descriptor)


def without_nulls(document: Any) -> Any:
    """What the parser makes of a null: nothing."""
    if isinstance(document, dict):
        return {name: without_nulls(value) for name, value in document.items() if value is not None}
    return [without_nulls(value) for value in document] if isinstance(document, list) else document


def check_nulls(document: dict[str, Any], descriptor: Any) -> None:
    """A null is no list and no map: DocumentError in the canonicalizer's words, from the outside in."""
    for name in sorted(document):
        field, value = names(descriptor)[name], document[name]
        words = ""
        if value is None and is_list(field):
            kind = "map[string]any" if is_map(field) else "[]any"
            raise DocumentError(f"expected {kind}; got <nil> in {field.full_name}")
        if field.message_type is None or is_map(field) or field.message_type.full_name.startswith("google.protobuf."):
            continue
        for inner in value if isinstance(value, list) else [value]:
            try:
                check_nulls(inner or {}, field.message_type)
            except DocumentError as exc:
                words = f"could not canonicalize field {field.full_name} ({go(value)}): {exc}"
        if words:
            raise DocumentError(words)


def go(value: Any) -> str:
    """A value as Go's %v writes it."""
    if isinstance(value, dict):
        return "map[%s]" % " ".join(f"{name}:{go(value[name])}" for name in sorted(value))
    if isinstance(value, list):
        return "[%s]" % " ".join(map(go, value))
    if value is None or isinstance(value, bool):
        return {None: "<nil>", True: "true", False: "false"}[value]
    return str(value)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: the patch over the target, neither changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
