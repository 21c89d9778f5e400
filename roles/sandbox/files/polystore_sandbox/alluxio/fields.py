# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that each operation's JSON body may have, by dialect, as data."""

from __future__ import annotations

from typing import Any

BITS = ("NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL")
WRITE_TYPES = ("MUST_CACHE", "TRY_CACHE", "CACHE_THROUGH", "THROUGH", "ASYNC_THROUGH", "NONE")
READ_TYPES = ("NO_CACHE", "CACHE", "CACHE_PROMOTE")
LOAD_OLD = ("Never", "Once", "Always")
LOAD = ("NEVER", "ONCE", "ALWAYS")
STRATEGIES = ("TRUNCATE", "UNION_REPLACE", "UNION_PRESERVE", "DELETE_KEYS")
PROPAGATIONS = ("LEAF_NODE", "NEW_PATHS")

PARTS = ("ownerBits", "groupBits", "otherBits")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BITS_OLD = (
    "alluxio.security.authorization.Mode$Bits",
    ("ALL", "EXECUTE", "READ", "NONE", "READ_EXECUTE", "WRITE", "WRITE_EXECUTE", "READ_WRITE"),
)
# 1.x: the class of an enum, and its names in the order in which the server tells them.
ENUMS_OLD = {
    "writeType": (
        "alluxio.client.WriteType",
        ("ASYNC_THROUGH", "THROUGH", "CACHE_THROUGH", "MUST_CACHE", "TRY_CACHE", "NONE"),
    ),
    "readType": ("alluxio.client.ReadType", ("CACHE", "CACHE_PROMOTE", "NO_CACHE")),
    "ttlAction": ("alluxio.wire.TtlAction", ("DELETE", "FREE")),
    "loadMetadataType": ("alluxio.wire.LoadMetadataType", ("Never", "Once", "Always")),
    **dict.fromkeys(PARTS, _BITS_OLD),
}

Fields = dict[str, Any]

# A field is a kind, or a kind and the feature (of versions.SINCE) that brought it. An enum is a tuple of texts.
# The fields of 1.x stand in the order in which the server tells them.
_OLD_COMMON: Fields = {"syncIntervalMs": "long"}
_OLD_TTL = ("DELETE", "FREE")
OLD: dict[str, Fields] = {
    "create-directory": {
        "ttlAction": _OLD_TTL,
        "commonOptions": _OLD_COMMON,
        "allowExists": "bool",
        "writeType": WRITE_TYPES,
        "ttl": "long",
        "recursive": "bool",
        "mode": "mode",
    },
    "create-file": {
        "writeTier": "int",
        "ttlAction": _OLD_TTL,
        "commonOptions": _OLD_COMMON,
        "writeType": WRITE_TYPES,
        "ttl": "long",
        "blockSizeBytes": "long",
        "locationPolicyClass": "text",
        "recursive": "bool",
        "mode": "mode",
    },
    "open-file": {
        "readType": READ_TYPES,
        "locationPolicyClass": "text",
        "cacheLocationPolicyClass": "text",
        "ufsReadLocationPolicyClass": "text",
        "maxUfsReadConcurrency": "int",
    },
    "delete": {"recursive": "bool", "commonOptions": _OLD_COMMON, "unchecked": "bool", "alluxioOnly": "bool"},
    "rename": {"commonOptions": _OLD_COMMON},
    "exists": {"commonOptions": _OLD_COMMON, "loadMetadataType": LOAD_OLD},
    "get-status": {"commonOptions": _OLD_COMMON, "loadMetadataType": LOAD_OLD},
    "list-status": {
        "recursive": ("bool", "list_recursive"),
        "commonOptions": _OLD_COMMON,
        "loadMetadataType": LOAD_OLD,
    },
    "free": {"forced": "bool", "recursive": "bool", "commonOptions": _OLD_COMMON},
    "mount": {"readOnly": "bool", "commonOptions": _OLD_COMMON, "shared": "bool", "properties": "map"},
    "unmount": {"commonOptions": _OLD_COMMON},
    "set-attribute": {
        "ttlAction": _OLD_TTL,
        "commonOptions": _OLD_COMMON,
        "pinned": "bool",
        "ttl": "long",
        "group": "owner",
        "persisted": "bool",
        "owner": "owner",
        "recursive": "bool",
        "mode": "mode",
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
NAMES = {
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
