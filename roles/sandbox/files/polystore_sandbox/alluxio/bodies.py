# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON bodies of the operations: the words with which each version refuses what it does not know."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from polystore_sandbox.alluxio.fields import BASE64, BITS, ENUMS_OLD, NAMES, NEW, OLD, PARTS, Fields
from polystore_sandbox.alluxio.versions import SINCE, Dialect, Refusal


class BadBody(Exception):
    """The body is refused before the operation begins: an answer with `status` and plain text."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


class Body:
    """Reads the bodies of one operation of one version."""

    def __init__(self, dialect: Dialect, operation: str) -> None:
        self._kinds: OldKinds | NewKinds = OldKinds(dialect) if dialect.old else NewKinds(dialect)
        self._fields = (OLD if dialect.old else NEW)[operation]
        self._class = self._kinds.package + NAMES[operation] + self._kinds.suffix

    def read(self, data: bytes) -> dict[str, Any]:
        """The fields that were given; what null is, differs. Raises BadBody; Refusal for a null that 1.x falls over."""
        text = data.decode("utf-8", "replace").lstrip()
        if not text:
            return {}
        try:
            value, _end = json.JSONDecoder().raw_decode(text)  # the server too reads no further
        except ValueError as exc:
            raise BadBody(self._kinds.broken(text, getattr(exc, "pos", 0))) from exc
        return {} if value is None else self._kinds.message(value, self._fields, self._class)


TOKENS = {bool: "VALUE_TRUE", int: "VALUE_NUMBER_INT", float: "VALUE_NUMBER_FLOAT", str: "VALUE_STRING"}


def _token(value: Any) -> str:
    """Jackson's name for the first token of a value."""
    if value is None:
        return "VALUE_NULL"
    if value is False:
        return "VALUE_FALSE"
    return "START_OBJECT" if isinstance(value, dict) else TOKENS.get(type(value), "START_ARRAY")


class Kinds:
    """What is common to both dialects: one method a kind, (value, field, the message's class) -> value."""

    package = suffix = ""
    markers = ("", "")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def message(self, value: Any, fields: Fields, name: str) -> dict[str, Any]:
        """An object with known fields only."""
        if not isinstance(value, dict):
            raise BadBody(self.no_message(value, name))
        known = {key: kind[0] if _since(kind) else kind for key, kind in fields.items() if self._has(kind)}
        found = {}
        for key, item in value.items():
            if key not in known:
                raise BadBody(f'Unrecognized field "{key}" (class {name}), not marked as ignorable{self.told(known)}')
            given = self._null(key, known[key]) if item is None else self._value(item, known[key], key, name)
            if given is not None:
                found[key] = given
        return found

    def broken(self, text: str, position: int) -> str:
        """What Jackson says about a body that is no JSON, without where."""
        rest = text[position:]
        if not rest.strip():
            marker = self.markers[0]
            if text.rstrip() in ("{", "["):
                return f"Unexpected end-of-input: expected close marker for {marker}"
            return f"Unexpected end-of-input within/between {marker} entries"
        word = re.match(r"[A-Za-z0-9_$]+", rest)
        if word:
            return f"Unrecognized token '{word[0]}': was expecting {self.markers[1]}"
        letter = f"Unexpected character ('{rest[0]}' (code {ord(rest[0])}))"
        return f"{letter}: was expecting double-quote to start field name"

    def no_message(self, value: Any, name: str) -> str:
        """The words about a value that should have been an object."""
        raise NotImplementedError

    def told(self, known: Fields) -> str:
        """The known fields, where they are told."""
        return ""

    def _null(self, key: str, kind: Any) -> Any:
        """What null means: nothing was given."""
        return None

    def _has(self, kind: Any) -> bool:
        feature = _since(kind)
        return not feature or self._dialect.has(feature)

    def _value(self, item: Any, kind: Any, key: str, name: str) -> Any:
        if isinstance(kind, tuple):
            return self.enum(item, kind, key)
        if isinstance(kind, dict):
            return self.message(item, kind, self.inner(key))
        return getattr(self, "_" + kind)(item, key, name)

    def inner(self, key: str) -> str:
        """The class of a nested message."""
        raise NotImplementedError

    def enum(self, item: Any, names: tuple[str, ...], key: str) -> str:
        """One of the names."""
        raise NotImplementedError

    def _bool(self, item: Any, key: str, name: str) -> bool:
        if isinstance(item, (bool, int)):
            return bool(item)
        if isinstance(item, str) and item.lower() in ("true", "false", ""):
            return item.lower() == "true"
        raise BadBody(self.no_scalar("boolean", item, key, name))

    def _long(self, item: Any, key: str, name: str) -> int:
        try:
            if isinstance(item, (int, float, str)) and not isinstance(item, bool):
                number = int(item)
                if -(2**63) <= number < 2**63:
                    return number
                limits = "(-9223372036854775808 - 9223372036854775807)"
                raise BadBody(f"Numeric value ({number}) out of range of long {limits}")
        except (ValueError, OverflowError):
            pass
        raise BadBody(self.no_scalar("long", item, key, name))

    _int = _long

    def no_scalar(self, kind: str, item: Any, key: str, name: str) -> str:
        """The words about a value that should have been a boolean or a number."""
        raise NotImplementedError

    def _text(self, item: Any, key: str, name: str) -> str:
        if isinstance(item, (dict, list)):
            raise BadBody(self.no_scalar("java.lang.String", item, key, name))
        return item if isinstance(item, str) else json.dumps(item)

    def _map(self, item: Any, key: str, name: str) -> dict[str, str]:
        if not isinstance(item, dict):
            raise BadBody(self.no_map(item))
        return {one: self._text(value, key, name) for one, value in item.items()}

    def no_map(self, item: Any) -> str:
        """The words about a value that should have been an object of texts."""
        raise NotImplementedError

    def _any(self, item: Any, _key: str, _name: str) -> Any:
        return item


class NewKinds(Kinds):
    """2.x: builders of protobuf messages."""

    package, suffix = "alluxio.grpc.", "POptions$Builder"
    markers = ("Object", "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')")

    def no_message(self, value: Any, name: str) -> str:
        token = _token(value)
        if isinstance(value, list):
            token = _token(value[0]) if value else "END_ARRAY"
        return f"Unexpected token ({token}), expected FIELD_NAME: "

    def inner(self, key: str) -> str:
        names = {"commonOptions": "FileSystemMasterCommonPOptions", "s3SyntaxOptions": "S3SyntaxOptions"}
        return f"alluxio.grpc.{names[key]}$Builder"

    def _value(self, item: Any, kind: Any, key: str, name: str) -> Any:
        if isinstance(item, list) and kind not in ("texts", "xattr", "map"):
            outer = name.replace("alluxio.grpc.", "alluxio.grpc.file.").replace("$Builder", "")
            raise BadBody(f"Encountered START_ARRAY token for non-repeated field {outer}.{key}")
        return super()._value(item, kind, key, name)

    def enum(self, item: Any, names: tuple[str, ...], key: str) -> str:
        kind = "Cannot deserialize value of type `com.google.protobuf.Descriptors$EnumDescriptor` from "
        if isinstance(item, int) and not isinstance(item, bool):  # not the ordinal, but the message's own number
            if 1 <= item <= len(names):
                return names[item - 1]
            numbers = ",".join(str(number) for number in range(len(names)))
            raise BadBody(f"{kind}number {item}: index value outside legal index range [{numbers}]")
        if not isinstance(item, str):
            token = _token(item)
            words = f"Can not deserialize instance of ENUM out of {token} token"
            raise BadBody(f"Unexpected token ({token}), expected VALUE_STRING: {words}")
        if item not in names:
            raise BadBody(f"{kind}String {json.dumps(item)}: value not one of declared Enum instance names")
        return item

    def no_scalar(self, kind: str, item: Any, key: str, name: str) -> str:
        words = f"Cannot deserialize value of type `{kind}` from "
        if isinstance(item, str):
            known = '"true"/"True"/"TRUE" or "false"/"False"/"FALSE"'
            reason = f"only {known} recognized" if kind == "boolean" else f"not a valid `{kind}` value"
            return f"{words}String {json.dumps(item)}: {reason}"
        names = {dict: "Object", float: "Floating-point", bool: "Boolean", int: "Integer"}
        return f"{words}{names.get(type(item), 'Array')} value (token `JsonToken.{_token(item)}`)"

    def no_map(self, item: Any) -> str:
        token = _token(item)
        return f"Unexpected token ({token}), expected START_OBJECT: Can't parse map field out of {token} token"

    def _texts(self, item: Any, key: str, name: str) -> list[str]:
        return [self._text(one, key, name) for one in (item if isinstance(item, list) else [item])]

    def _ttl_action(self, item: Any, key: str, _name: str) -> str:
        more = ("DELETE_ALLUXIO",) if self._dialect.has("create_overwrite") else ()
        return self.enum(item, ("DELETE", "FREE", *more), key)

    def _xattr(self, item: Any, key: str, name: str) -> dict[str, str]:
        found = self._map(item, key, name)
        for value in found.values():
            for letter in value:
                if letter not in BASE64:
                    words = f"Illegal character '{letter}' (code 0x{ord(letter):x}) in base64 content"
                    raise BadBody(words, 500)
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError) as exc:
                raise BadBody("Unexpected end of base64-encoded String", 500) from exc
        return found

    def _mode_bits(self, item: Any, key: str, _name: str) -> int:
        return BITS.index(self.enum(item, BITS, key))

    def _mode(self, item: Any, _key: str, _name: str) -> int:
        found = self.message(item, dict.fromkeys(PARTS, "mode_bits"), "alluxio.grpc.PMode$Builder")
        missing = [part for part in PARTS if part not in found]
        if missing:
            raise BadBody("Message missing required fields: " + ", ".join(missing), 500)
        return int(found[PARTS[0]] << 6 | found[PARTS[1]] << 3 | found[PARTS[2]])


class OldKinds(Kinds):
    """1.x: beans. What is null is null there, and some operations fall over it."""

    package, suffix = "alluxio.client.file.options.", "Options"
    markers = ("OBJECT", "'null', 'true', 'false' or NaN")

    def no_message(self, value: Any, name: str) -> str:
        if isinstance(value, list):
            return f"Can not deserialize instance of {name} out of START_ARRAY token"
        words = {
            bool: f"Boolean value ({json.dumps(value)}); no single-boolean/Boolean-arg",
            int: f"Integral number ({value}); no single-int-arg",
            float: f"Floating-point number ({value}); no one-double/Double-arg",
            str: f"String value ('{value}'); no single-String",
        }[type(value)]
        return f"Can not instantiate value of type [simple type, class {name}] from {words} constructor/factory method"

    def told(self, known: Fields) -> str:
        listed = ", ".join(f'"{name}"' for name in known)
        return f" ({len(known)} known properties: {listed}])" if len(known) > 1 else f" (one known property: {listed}])"

    def _null(self, key: str, kind: Any) -> Any:
        nobody = {
            "writeType": ("alluxio.client.WriteType.isThrough()", "this.mWriteType"),
            "commonOptions": ("alluxio.wire.CommonOptions.toThrift()", "this.mCommonOptions"),
        }
        if key in nobody:
            raise Refusal("internal", 'Cannot invoke "%s" because "%s" is null' % nobody[key])
        return 0 if kind in ("long", "int") else None

    def inner(self, key: str) -> str:
        return "alluxio.wire.CommonOptions"

    def enum(self, item: Any, names: tuple[str, ...], key: str) -> str:
        kind, told = ENUMS_OLD[key]
        if isinstance(item, int) and not isinstance(item, bool):
            if 0 <= item < len(names):
                return names[item]
            words = f"number value ({item}): index value outside legal index range [0..{len(names) - 1}]"
            raise BadBody(f"Can not construct instance of {kind} from {words}")
        if not isinstance(item, str):
            raise BadBody(f"Can not deserialize instance of {kind} out of {_token(item)} token")
        if item not in names:
            words = f"value not one of declared Enum instance names: [{', '.join(told)}]"
            raise BadBody(f"Can not construct instance of {kind} from String value '{item}': {words}")
        return item

    def no_scalar(self, kind: str, item: Any, key: str, name: str) -> str:
        if isinstance(item, str):
            reason = 'only "true" or "false" recognized' if kind == "boolean" else f"not a valid {kind} value"
            return f"Can not construct instance of {kind} from String value '{item}': {reason}"
        return f"Can not deserialize instance of {kind} out of {_token(item)} token"

    def no_map(self, item: Any) -> str:
        return f"Can not deserialize instance of java.util.LinkedHashMap out of {_token(item)} token"

    def _owner(self, item: Any, key: str, name: str) -> str:
        text = self._text(item, key, name)
        if not text:
            words = "empty." if key == "owner" else "empty"
            raise BadBody(f'It is not allowed to set {key} to {words} (through reference chain: {name}["{key}"])')
        return text

    def _mode(self, item: Any, _key: str, _name: str) -> int:
        found = self.message(item, dict.fromkeys(PARTS, BITS), "alluxio.security.authorization.Mode")
        bits = [BITS.index(found.get(part, "NONE")) for part in PARTS]
        return bits[0] << 6 | bits[1] << 3 | bits[2]


def _since(kind: Any) -> str:
    """The feature that brought a field; "" when it was always there."""
    paired = isinstance(kind, tuple) and len(kind) == 2 and isinstance(kind[1], str) and kind[1] in SINCE
    return str(kind[1]) if paired else ""
