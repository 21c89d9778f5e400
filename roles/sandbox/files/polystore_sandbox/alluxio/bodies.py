# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON bodies of the operations: which fields each version knows, and the words with which it refuses others."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from polystore_sandbox.alluxio.versions import SINCE, Dialect

BITS = ("NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL")
WRITE_TYPES = ("MUST_CACHE", "TRY_CACHE", "CACHE_THROUGH", "THROUGH", "ASYNC_THROUGH", "NONE")
READ_TYPES = ("NO_CACHE", "CACHE", "CACHE_PROMOTE")
LOAD_OLD = ("Never", "Once", "Always")
LOAD = ("NEVER", "ONCE", "ALWAYS")
STRATEGIES = ("TRUNCATE", "UNION_REPLACE", "UNION_PRESERVE", "DELETE_KEYS")
PROPAGATIONS = ("LEAF_NODE", "NEW_PATHS")

Fields = dict[str, Any]

# A field is a kind, or a kind and the feature (of versions.SINCE) that brought it. A tuple of texts is an enum.
_OLD_COMMON: Fields = {"syncIntervalMs": "long"}
_OLD_CREATE: Fields = {
    "commonOptions": _OLD_COMMON,
    "mode": "mode",
    "recursive": "bool",
    "ttl": "long",
    "ttlAction": ("DELETE", "FREE"),
    "writeType": WRITE_TYPES,
}
OLD: dict[str, Fields] = {
    "create-directory": {"allowExists": "bool", **_OLD_CREATE},
    "create-file": {"blockSizeBytes": "long", "locationPolicyClass": "text", **_OLD_CREATE, "writeTier": "int"},
    "open-file": {
        "cacheLocationPolicyClass": "text",
        "locationPolicyClass": "text",
        "maxUfsReadConcurrency": "int",
        "readType": READ_TYPES,
        "ufsReadLocationPolicyClass": "text",
    },
    "delete": {"alluxioOnly": "bool", "commonOptions": _OLD_COMMON, "recursive": "bool", "unchecked": "bool"},
    "rename": {"commonOptions": _OLD_COMMON},
    "exists": {"commonOptions": _OLD_COMMON, "loadMetadataType": LOAD_OLD},
    "get-status": {"commonOptions": _OLD_COMMON, "loadMetadataType": LOAD_OLD},
    "list-status": {
        "commonOptions": _OLD_COMMON,
        "loadMetadataType": LOAD_OLD,
        "recursive": ("bool", "list_recursive"),
    },
    "free": {"commonOptions": _OLD_COMMON, "forced": "bool", "recursive": "bool"},
    "mount": {"commonOptions": _OLD_COMMON, "properties": "map", "readOnly": "bool", "shared": "bool"},
    "unmount": {"commonOptions": _OLD_COMMON},
    "set-attribute": {
        "commonOptions": _OLD_COMMON,
        "group": "text",
        "mode": "mode",
        "owner": "text",
        "persisted": "bool",
        "pinned": "bool",
        "recursive": "bool",
        "ttl": "long",
        "ttlAction": ("DELETE", "FREE"),
    },
}
_COMMON: Fields = {
    "syncIntervalMs": "long",
    "ttl": "long",
    "ttlAction": "ttl_action",
    "operationId": ("any", "operation_id"),
}
_CREATE: Fields = {
    "commonOptions": _COMMON,
    "mode": "mode",
    "recursive": "bool",
    "writeType": WRITE_TYPES,
    "xattr": ("xattr", "xattr"),
    "xattrPropStrat": (PROPAGATIONS, "xattr"),
}
NEW: dict[str, Fields] = {
    "create-directory": {"allowExists": "bool", **_CREATE},
    "create-file": {
        "blockSizeBytes": "long",
        **_CREATE,
        "overwrite": ("bool", "create_overwrite"),
        "persistenceWaitTime": "long",
        "replicationDurable": "int",
        "replicationMax": "int",
        "replicationMin": "int",
        "writeTier": "int",
    },
    "open-file": {
        "commonOptions": _COMMON,
        "maxUfsReadConcurrency": "int",
        "readType": READ_TYPES,
        "updateLastAccessTime": "bool",
    },
    "delete": {
        "alluxioOnly": "bool",
        "commonOptions": _COMMON,
        "deleteMountPoint": ("bool", "mount_guard"),
        "recursive": "bool",
        "syncParentNextTime": ("bool", "create_overwrite"),
        "unchecked": "bool",
    },
    "rename": {
        "commonOptions": _COMMON,
        "persist": "bool",
        "s3SyntaxOptions": ({"isMultipartUpload": "bool", "overwrite": "bool"}, "rename_overwrite"),
    },
    "exists": {"commonOptions": _COMMON, "loadMetadataType": LOAD},
    "get-status": {
        "accessMode": "mode_bits",
        "commonOptions": _COMMON,
        "includeRealContentHash": ("bool", "etag"),
        "loadMetadataType": LOAD,
        "updateTimestamps": "bool",
    },
    "list-status": {
        "commonOptions": _COMMON,
        "loadDirectChildren": "bool",
        "loadMetadataOnly": ("bool", "load_metadata_only"),
        "loadMetadataType": LOAD,
        "recursive": "bool",
    },
    "free": {"commonOptions": _COMMON, "forced": "bool", "recursive": "bool"},
    "mount": {
        "commonOptions": _COMMON,
        "properties": "map",
        "readOnly": "bool",
        "remount": ("bool", "etag"),
        "shared": "bool",
    },
    "unmount": {"commonOptions": _COMMON},
    "set-attribute": {
        "commonOptions": _COMMON,
        "group": "text",
        "mode": "mode",
        "owner": "text",
        "persisted": "bool",
        "pinned": "bool",
        "pinnedMedia": "texts",
        "recursive": "bool",
        "replicationMax": "int",
        "replicationMin": "int",
        "xattr": ("xattr", "xattr"),
        "xattrUpdateStrategy": (STRATEGIES, "xattr"),
    },
}
_NAMES = {
    "create-directory": "CreateDirectory",
    "create-file": "CreateFile",
    "open-file": "OpenFile",
    "delete": "Delete",
    "rename": "Rename",
    "exists": "Exists",
    "get-status": "GetStatus",
    "list-status": "ListStatus",
    "free": "Free",
    "mount": "Mount",
    "unmount": "Unmount",
    "set-attribute": "SetAttribute",
}


class BadBody(Exception):
    """The body is refused before the operation begins: an answer with `status` and plain text."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


class Body:
    """Reads the bodies of one operation of one version."""

    def __init__(self, dialect: Dialect, operation: str) -> None:
        self._dialect, self._operation = dialect, operation
        name = _NAMES[operation]
        self._class = f"alluxio.client.file.options.{name}Options" if dialect.old else f"alluxio.grpc.{name}POptions"

    def read(self, data: bytes) -> dict[str, Any]:
        """The fields that were given (null: not given); raises BadBody."""
        if not data.strip():
            return {}
        try:
            value = json.loads(data)
        except ValueError as exc:
            raise BadBody(f"Unexpected character in JSON: {exc}") from exc
        if value is None:
            return {}
        known = (OLD if self._dialect.old else NEW)[self._operation]
        return self._object(value, known, self._class)

    def _object(self, value: Any, fields: Fields, name: str) -> dict[str, Any]:
        builder = name if self._dialect.old else name + "$Builder"
        if not isinstance(value, dict):
            token = "START_ARRAY" if isinstance(value, list) else "VALUE"
            raise BadBody(f"Cannot deserialize instance of `{builder}` out of {token} token")
        known = {key: kind[0] if _since(kind) else kind for key, kind in fields.items() if self._has(kind)}
        found = {}
        for key, item in value.items():
            if key not in known:
                listed = ""
                if self._dialect.old:
                    count = f"{len(known)} known properties: " if len(known) > 1 else "one known property: "
                    listed = f" ({count}{', '.join(chr(34) + k + chr(34) for k in known)}])"
                raise BadBody(f'Unrecognized field "{key}" (class {builder}), not marked as ignorable{listed}')
            if item is not None or (key == "writeType" and self._dialect.old):
                found[key] = self._value(item, known[key], key)
        return found

    def _has(self, kind: Any) -> bool:
        feature = _since(kind)
        return not feature or self._dialect.has(feature)

    def _value(self, item: Any, kind: Any, key: str) -> Any:
        if item is None:
            return None
        if kind == "ttl_action":
            kind = ("DELETE", "FREE", "DELETE_ALLUXIO") if self._dialect.has("create_overwrite") else ("DELETE", "FREE")
        if isinstance(kind, dict):
            name = {"commonOptions": "FileSystemMasterCommonPOptions", "s3SyntaxOptions": "S3SyntaxOptions"}[key]
            return self._object(
                item, kind, "alluxio.wire.CommonOptions" if self._dialect.old else "alluxio.grpc." + name
            )
        if isinstance(kind, tuple):
            return _enum(item, kind, key)
        return getattr(self, "_" + kind)(item, key)

    def _bool(self, item: Any, key: str) -> bool:
        if isinstance(item, bool):
            return item
        if isinstance(item, int):
            return item != 0
        if isinstance(item, str) and item in ("true", "false", ""):
            return item == "true"
        raise BadBody(f"Cannot deserialize value of type `boolean` from {item!r} ({key})")

    def _long(self, item: Any, key: str) -> int:
        try:
            if isinstance(item, (int, float, str)) and not isinstance(item, bool):
                return int(item)
        except (ValueError, OverflowError):
            pass
        raise BadBody(f"Cannot deserialize value of type `long` from {item!r} ({key})")

    _int = _long

    def _text(self, item: Any, key: str) -> str:
        if isinstance(item, (dict, list)):
            raise BadBody(f"Cannot deserialize instance of `java.lang.String` ({key})")
        if item == "" and key in ("owner", "group") and self._dialect.old:
            chain = f'through reference chain: {self._class}["{key}"]'
            raise BadBody(f"It is not allowed to set {key} to empty ({chain})")
        return item if isinstance(item, str) else json.dumps(item)

    def _texts(self, item: Any, key: str) -> list[str]:
        if not isinstance(item, list):
            raise BadBody(f"Cannot deserialize instance of `java.util.ArrayList` ({key})")
        return [self._text(one, key) for one in item]

    def _map(self, item: Any, key: str) -> dict[str, str]:
        if not isinstance(item, dict):
            raise BadBody(f"Cannot deserialize instance of `java.util.LinkedHashMap` ({key})")
        return {name: self._text(value, key) for name, value in item.items()}

    def _xattr(self, item: Any, key: str) -> dict[str, str]:
        found = self._map(item, key)
        for value in found.values():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError) as exc:
                raise BadBody(f"Illegal base64: {exc}", 500) from exc
        return found

    def _any(self, item: Any, _key: str) -> Any:
        return item

    def _mode_bits(self, item: Any, key: str) -> int:
        return BITS.index(_enum(item, BITS, key))

    def _mode(self, item: Any, key: str) -> int:
        if not isinstance(item, dict):
            raise BadBody(f"Cannot construct instance of mode from {item!r} ({key})")
        parts = ("ownerBits", "groupBits", "otherBits")
        for name in item:
            if name not in parts:
                raise BadBody(
                    f'Unrecognized field "{name}" (class alluxio.grpc.PMode$Builder), not marked as ignorable'
                )
        missing = [name for name in parts if item.get(name) is None]
        if missing and not self._dialect.old:
            raise BadBody("Message missing required fields: " + ", ".join(missing), 500)
        bits = [BITS.index(_enum(item[name], BITS, name)) if item.get(name) is not None else 0 for name in parts]
        return bits[0] << 6 | bits[1] << 3 | bits[2]


def _since(kind: Any) -> str:
    """The feature that brought a field; "" when it was always there."""
    paired = isinstance(kind, tuple) and len(kind) == 2 and isinstance(kind[1], str) and kind[1] in SINCE
    return str(kind[1]) if paired else ""


def _enum(item: Any, names: tuple[str, ...], key: str) -> str:
    """An enum's name, or its ordinal number."""
    if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < len(names):
        return names[item]
    if item not in names:
        raise BadBody(
            f"Cannot deserialize value of type {key} from String {json.dumps(item)}: value not one of declared Enum "
            f"instance names: [{', '.join(names)}]"
        )
    return str(item)
