# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thrift's binary protocol by schema, with the placeholder structs that Pegasus writes in a way of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Union

STOP, BOOL, BYTE, DOUBLE, I16, I32, I64, STRING, STRUCT, MAP, SET, LIST = 0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15
CALL, REPLY, ONEWAY = 1, 2, 4
STRICT = 0x80010000
_I32, _I64, _FIELD, _LIST = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">bh"), struct.Struct(">bi")
_FIXED = {BOOL: 1, BYTE: 1, DOUBLE: 8, I16: 2, I32: 4, I64: 8}


class Broken(ValueError):
    """Bytes that are not what they should be."""


class Field(NamedTuple):
    """A field of a struct. kind: a name of KINDS, a Struct, or [kind] for a list of these."""

    number: int
    name: str
    kind: Kind
    default: Any = None  # None: the kind's own
    optional: bool = False  # left out of what is written when it is None


class Struct:
    """Fields by number."""

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self.by_number = {field.number: field for field in fields}

    def new(self) -> dict[str, Any]:
        """With all defaults; optional fields are None."""
        return {field.name: None if field.optional else default(field) for field in self.fields}


Kind = Union[str, Struct, "list[Any]"]


def field(number: int, name: str, kind: Kind, default: Any = None) -> Field:
    """One that is always written."""
    return Field(number, name, kind, default)


def optional(number: int, name: str, kind: Kind) -> Field:
    """One that may be left out."""
    return Field(number, name, kind, None, True)


# --- kinds ---------------------------------------------------------------------------------------------------------

_TYPES = {
    "bool": BOOL,
    "byte": BYTE,
    "i16": I16,
    "i32": I32,
    "i64": I64,
    "string": STRING,
    "map": MAP,
    **dict.fromkeys(("blob", "code", "gpid", "address", "host_port"), STRUCT),
}
_DEFAULTS: dict[str, Any] = {
    "bool": False,
    "byte": 0,
    "i16": 0,
    "i32": 0,
    "i64": 0,
    "string": "",
    "blob": b"",
    "code": "ERR_OK",
    "gpid": (0, 0),
    "address": 0,
    "host_port": ("", 0),
}


def type_of(kind: Kind) -> int:
    """The type that stands in a field's header."""
    if isinstance(kind, str):
        return _TYPES[kind]
    return LIST if isinstance(kind, list) else STRUCT


def default(field: Field) -> Any:
    """A field's value when it was left out."""
    if field.default is not None:
        return field.default
    if isinstance(field.kind, Struct):
        return field.kind.new()
    if isinstance(field.kind, list):
        return []
    return {} if field.kind == "map" else _DEFAULTS[field.kind]


class Reader:
    """Takes values from bytes, one after the other."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> bytes:
        """The next bytes; Broken when there are not as many."""
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise Broken("it ends too early")
        data, self.at = self.data[self.at : end], end
        return data

    def number(self) -> int:
        """4 bytes, signed."""
        return int(_I32.unpack(self.take(4))[0])

    def binary(self) -> bytes:
        """A length and as many bytes."""
        return self.take(self.number())

    def text(self) -> str:
        """The same as UTF-8, where bytes that are none survive."""
        return self.binary().decode("utf-8", "surrogateescape")

    def struct(self, schema: Struct) -> dict[str, Any]:
        """A struct up to its STOP; what the schema does not know is skipped."""
        found = schema.new()
        while True:
            kind = self.take(1)[0]
            if kind == STOP:
                return found
            number = int.from_bytes(self.take(2), "big", signed=True)
            known = schema.by_number.get(number)
            if known is not None and type_of(known.kind) == kind:
                found[known.name] = self.value(known.kind)
            else:
                self.skip(kind)

    def value(self, kind: Kind) -> Any:
        """One value."""
        if isinstance(kind, str):
            return _READERS[kind](self)
        if isinstance(kind, Struct):
            return self.struct(kind)
        element, count = self.take(1)[0], self.number()
        if element != type_of(kind[0]):
            raise Broken(f"a list of type {element}")
        return [self.value(kind[0]) for _number in range(count)]

    def skip(self, kind: int) -> None:
        """A value that nobody wants, as Thrift itself skips it."""
        if kind in _FIXED:
            self.take(_FIXED[kind])
        elif kind == STRING:
            self.binary()
        elif kind == STRUCT:
            while (inner := self.take(1)[0]) != STOP:
                self.take(2)
                self.skip(inner)
        elif kind in (LIST, SET):
            element, count = self.take(1)[0], self.number()
            for _number in range(count):
                self.skip(element)
        elif kind == MAP:
            key, value, count = *self.take(2), self.number()
            for _number in range(count):
                self.skip(key)
                self.skip(value)
        else:
            raise Broken(f"type {kind}")


def _map(reader: Reader) -> dict[str, str]:
    reader.take(2)
    return {reader.text(): reader.text() for _number in range(reader.number())}


def _gpid(reader: Reader) -> tuple[int, int]:
    number = int.from_bytes(reader.take(8), "big")
    return number & 0xFFFFFFFF, number >> 32


_READERS: dict[str, Callable[[Reader], Any]] = {
    "bool": lambda reader: reader.take(1) != b"\0",
    "byte": lambda reader: int.from_bytes(reader.take(1), "big", signed=True),
    "i16": lambda reader: int.from_bytes(reader.take(2), "big", signed=True),
    "i32": Reader.number,
    "i64": lambda reader: _I64.unpack(reader.take(8))[0],
    "string": Reader.text,
    "code": Reader.text,
    "blob": Reader.binary,
    "map": _map,
    "gpid": _gpid,
    "address": lambda reader: int.from_bytes(reader.take(8), "big"),
    "host_port": lambda reader: (reader.text(), int.from_bytes(reader.take(2), "big"), reader.take(1))[:2],
}


# --- writing -------------------------------------------------------------------------------------------------------


def binary(data: bytes) -> bytes:
    """A length and these bytes."""
    return _I32.pack(len(data)) + data


def text(value: str) -> bytes:
    """The same of a text."""
    return binary(value.encode("utf-8", "surrogateescape"))


def _write_map(value: dict[str, str]) -> bytes:
    rows = b"".join(text(key) + text(value[key]) for key in sorted(value))
    return bytes((STRING, STRING)) + _I32.pack(len(value)) + rows


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "bool": lambda value: b"\1" if value else b"\0",
    "byte": lambda value: int(value).to_bytes(1, "big", signed=True),
    "i16": lambda value: int(value).to_bytes(2, "big", signed=True),
    "i32": _I32.pack,
    "i64": _I64.pack,
    "string": text,
    "code": text,
    "blob": binary,
    "map": _write_map,
    "gpid": lambda value: (value[1] << 32 | value[0]).to_bytes(8, "big"),
    "address": lambda value: int(value).to_bytes(8, "big"),
    "host_port": lambda value: text(value[0]) + int(value[1]).to_bytes(2, "big") + (b"\1" if value[0] else b"\0"),
}


class Written(bytes):
    """A list that was written already, by whoever could do it quicker."""


def write(kind: Kind, value: Any) -> bytes:
    """One value."""
    if isinstance(kind, str):
        return _WRITERS[kind](value)
    if isinstance(kind, Struct):
        return write_struct(kind, value)
    if isinstance(value, Written):
        return value
    return _LIST.pack(type_of(kind[0]), len(value)) + b"".join([write(kind[0], item) for item in value])


def write_struct(schema: Struct, values: dict[str, Any]) -> bytes:
    """A struct with its STOP."""
    parts = []
    for known in schema.fields:
        value = values.get(known.name)
        if value is None:
            if known.optional:
                continue
            value = default(known)
        parts.append(_FIELD.pack(type_of(known.kind), known.number) + write(known.kind, value))
    return b"".join(parts) + b"\0"


def written_rows(rows: list[tuple[bytes, ...]]) -> Written:
    """A list of structs whose fields are blobs, numbered from 1 on."""
    pack = _I32.pack
    parts = [_LIST.pack(STRUCT, len(rows))]
    for row in rows:
        for number, data in enumerate(row, 1):
            parts.append(b"\x0c\x00%c" % number)
            parts.append(pack(len(data)))
            parts.append(data)
        parts.append(b"\0")
    return Written(b"".join(parts))
