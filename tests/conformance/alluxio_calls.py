# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw calls to an Alluxio proxy, as stories: lists of steps, each story in a directory of its own.

In a path, `~` is the name of the story's directory in Alluxio; in a mount's source it is the story's directory on
disk. Every story is told to 1.x and to 2.x: what one of them refuses is an answer too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

JSON = "application/json"


@dataclass(frozen=True)
class Step:
    """One request, or something that is done behind the server (`behind`, with the directory and its under store)."""

    url: str = ""
    method: str = "POST"
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    keep: str = ""  # the name under which an answered stream id is kept; {name} in a later url is that id
    words: bool = True  # whether the message is compared
    behind: Callable[[Path, Path], Any] | None = None


def op(
    name: str, path: str, body: Any = None, query: str = "", keep: str = "", words: bool = True, method: str = "POST"
) -> Step:
    """An operation on a path, encoded here. body: an object for JSON, bytes as they are, or None for none."""
    url = "/api/v1/paths/%s/%s" % (quote(path, safe="/~"), name) + ("?" + query if query else "")
    return at(url, body, keep, words, method)


def at(url: str, body: Any = None, keep: str = "", words: bool = True, method: str = "POST", **headers: str) -> Step:
    """A request to a URL as it stands. headers: content_type, accept."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-").title(): value for name, value in headers.items()}
    if data is not None and "Content-Type" not in given:
        given["Content-Type"] = JSON
    return Step(url, method, data, {k: v for k, v in given.items() if v}, keep, words)


def write(stream: str, data: bytes) -> Step:
    """Bytes to an open stream."""
    return at("/api/v1/streams/{%s}/write" % stream, data, content_type="application/octet-stream")


def close(stream: str) -> Step:
    """The end of a stream."""
    return at("/api/v1/streams/{%s}/close" % stream)


def read(stream: str) -> Step:
    """The rest of a stream."""
    return at("/api/v1/streams/{%s}/read" % stream, words=False)


def behind(action: Callable[[Path, Path], Any]) -> Step:
    """Something done on disk: called with the story's own directory and with the under store of its Alluxio one."""
    return Step(behind=action)


def mode(owner: str, group: str, other: str) -> dict[str, str]:
    """A mode as the options want it."""
    return {"ownerBits": owner, "groupBits": group, "otherBits": other}


THROUGH = {"writeType": "CACHE_THROUGH"}
SYNC = {"commonOptions": {"syncIntervalMs": 0}}
M750 = mode("ALL", "READ_EXECUTE", "NONE")


def made(path: str, data: bytes = b"hello", **options: Any) -> list[Step]:
    """A whole file."""
    body = {"recursive": True, **THROUGH, **options}
    return [op("create-file", path, body, keep="made"), *([write("made", data)] if data else []), close("made")]


def folder(path: str, **options: Any) -> Step:
    """A directory that is in the under store too."""
    return op("create-directory", path, {"recursive": True, **THROUGH, **options})


def enums(name: str, option: str, values: tuple[str, ...], path: str) -> list[Step]:
    """One call for each value of an option; `*` in the path is its number."""
    return [op(name, path.replace("*", str(n)), {option: value}, words=False) for n, value in enumerate(values)]


WRITE_TYPES = ("MUST_CACHE", "TRY_CACHE", "CACHE_THROUGH", "THROUGH", "ASYNC_THROUGH", "NONE", "through", "SOME")
# Every field that any operation of any version has, and a few that none has.
FIELDS = [
    "allowExists",
    "recursive",
    "mode",
    "ttl",
    "ttlAction",
    "writeType",
    "commonOptions",
    "xattr",
    "xattrPropStrat",
    "xattrUpdateStrategy",
    "blockSizeBytes",
    "locationPolicyClass",
    "writeTier",
    "replicationMax",
    "replicationMin",
    "replicationDurable",
    "persistenceWaitTime",
    "overwrite",
    "readType",
    "cacheLocationPolicyClass",
    "ufsReadLocationPolicyClass",
    "maxUfsReadConcurrency",
    "updateLastAccessTime",
    "alluxioOnly",
    "unchecked",
    "syncParentNextTime",
    "syncDirNextTime",
    "deleteMountPoint",
    "persist",
    "s3SyntaxOptions",
    "loadMetadataType",
    "loadDirectChildren",
    "loadMetadataOnly",
    "accessMode",
    "updateTimestamps",
    "forced",
    "readOnly",
    "shared",
    "properties",
    "remount",
    "pinned",
    "pinnedMedia",
    "persisted",
    "owner",
    "group",
    "nosuch",
]
OPERATIONS = [
    "create-directory",
    "create-file",
    "open-file",
    "delete",
    "rename",
    "exists",
    "get-status",
    "list-status",
    "free",
    "mount",
    "unmount",
    "set-attribute",
]
BITS = ("NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL", "READ_ALL")


HTTP: dict[str, list[Step]] = {
    "urls that are none": [
        at("/api/v1/nosuch", method="GET", words=False),
        at("/api/v1/paths//~/no-such-op", words=False),
        at("/api/v1/streams/1/nosuch", words=False),
        at("/api/v1/paths//~/get-status", method="GET", words=False),
        at("/api/v1/paths//~/get-status", method="PUT", words=False),
        at("/api/v1/proxy/info", words=False),
        at("/api/v1/proxy/nosuch", method="GET", words=False),
    ],
    "content types": [
        op("create-directory", "/~/a", {}),
        at("/api/v1/paths//~/b/create-directory", {}, content_type="", words=False),
        at("/api/v1/paths//~/b/create-directory", {}, content_type="text/plain", words=False),
        at("/api/v1/paths//~/b/create-directory", {}, content_type="application/json; charset=utf-8"),
        at("/api/v1/paths//~/get-status", accept="text/html", words=False),
        at("/api/v1/paths//~/get-status", accept="application/json"),
        at("/api/v1/paths//~/get-status", accept="*/*"),
        at("/api/v1/paths//~/c/create-directory", content_type="application/json"),
    ],
    "bodies": [
        op("create-directory", "/~/a"),
        op("create-directory", "/~/b", b""),
        op("create-directory", "/~/c", b"null"),
        op("create-directory", "/~/d", b"  {}  "),
        op("create-directory", "/~/e", b"[]", words=False),
        op("create-directory", "/~/e", b'"text"', words=False),
        op("create-directory", "/~/e", b"7", words=False),
        op("create-directory", "/~/e", b"{", words=False),
        op("create-directory", "/~/e", b"{'recursive': true}", words=False),
        op("create-directory", "/~/e", {"nosuch": 1}),
        op("create-directory", "/~/e", {"recursive": "true"}),
        op("create-directory", "/~/f", {"recursive": 1}),
        op("create-directory", "/~/g", {"recursive": None}),
        op("create-directory", "/~/h", {"recursive": "perhaps"}, words=False),
        op("create-directory", "/~/h", {"recursive": [True]}, words=False),
        op("create-directory", "/~/h", {"writeType": None}, words=False),
        op("create-directory", "/~/i", {"mode": None}),
        op("get-status", "/~/a", {"mode": 1}, words=False),
        op("list-status", "/~", words=False),
    ],
}

PATHS: dict[str, list[Step]] = {
    "forms of a path": [
        op("create-directory", "/~/a/b", {"recursive": True}),
        at("/api/v1/paths/~rel/get-status"),
        at("/api/v1/paths/~rel/create-directory"),
        at("/api/v1/paths/~rel/exists"),
        at("/api/v1/paths/~rel/delete"),
        at("/api/v1/paths/~rel/list-status"),
        at("/api/v1/paths/~rel/create-file"),
        at("/api/v1/paths/%2F~%2Fa/get-status"),
        at("/api/v1/paths///~/get-status"),
        at("/api/v1/paths////~/get-status"),
        at("/api/v1/paths///get-status"),
        at("/api/v1/paths//get-status", words=False),
        op("get-status", "/~/a/"),
        op("get-status", "/~/a/../a/./b"),
        op("get-status", "/~//a"),
        op("get-status", "/~\\a"),
        op("exists", "/../x", words=False),
        at("/api/v1/paths//~/a;x=1/get-status"),
        at("/api/v1/paths//~/%zz/get-status", words=False),
        at("/api/v1/paths//~/%00/get-status", words=False),
    ],
    "a question mark cuts": [
        op("create-directory", "/~/q?zz"),
        op("list-status", "/~"),
        op("delete", "/~/q?other"),
        op("list-status", "/~"),
        op("create-directory", "/~/r"),
        op("rename", "/~/r", query="dst=/~/s%3Fzz"),
        op("list-status", "/~"),
    ],
    "special characters": [
        *(
            step
            for name in (" a b ", "ü€😀", "50%", "#+&;:*", "'\"", "[]{}^|`<>$!", "new\nline\ttab", "@=,()", "%41")
            for step in (op("create-directory", "/~/" + name, THROUGH), op("get-status", "/~/" + name))
        ),
        op("create-directory", "/~/" + "n" * 255, THROUGH),
        op("create-directory", "/~/" + "n" * 256, THROUGH, words=False),
        op("exists", "/~/" + "n" * 256),
    ],
}

DIRECTORIES: dict[str, list[Step]] = {
    "create a directory": [
        op("create-directory", "/~/a", {"recursive": False, **THROUGH}),
        op("get-status", "/~/a"),
        op("create-directory", "/~/a", {}),
        op("create-directory", "/~/a", {"allowExists": True, "mode": M750}),
        op("get-status", "/~/a"),
        op("create-directory", "/~/p/q", {"recursive": False}),
        op("create-directory", "/~/p/q", {}),
        op("create-directory", "/~/p/q", {"recursive": True, "mode": M750, **THROUGH}),
        op("get-status", "/~/p"),
        op("get-status", "/~/p/q"),
        op("create-directory", "/", {"allowExists": True}),
        op("create-directory", "/", {}),
        *made("/~/file"),
        op("create-directory", "/~/file", {}),
        op("create-directory", "/~/file", {"allowExists": True}),
        op("create-directory", "/~/file/below", {}),
        op("create-directory", "/~/file/below/more", {"recursive": True}),
    ],
    "modes": [
        op("create-directory", "/~/a", {"mode": {"ownerBits": "ALL"}}, words=False),
        op("get-status", "/~/a"),
        op("create-directory", "/~/b", {"mode": 493}, words=False),
        op("create-directory", "/~/b", {"mode": "0755"}, words=False),
        op("create-directory", "/~/b", {"mode": mode("ALL", "READ_EXECUTE", "read")}, words=False),
        op("create-directory", "/~/b", {"mode": {**M750, "more": "ALL"}}, words=False),
        op("create-directory", "/~/c", {"mode": mode("ALL", "ALL", "ALL")}),
        op("get-status", "/~/c"),
        *(
            step
            for bits in BITS
            for step in (
                op("set-attribute", "/~/c", {"mode": mode(bits, "NONE", "NONE")}, words=False),
                op("get-status", "/~/c"),
            )
        ),
    ],
    "write types": [
        *enums("create-directory", "writeType", WRITE_TYPES, "/~/d*"),
        *(op("get-status", "/~/d%d" % n) for n in range(len(WRITE_TYPES))),
    ],
    "ttl at creation": [
        op("create-directory", "/~/a", {"ttl": 3600000, "ttlAction": "FREE"}),
        op("create-directory", "/~/b", {"commonOptions": {"ttl": 3600000, "ttlAction": "DELETE"}}),
        op("create-directory", "/~/c", {"commonOptions": {"ttl": 3600000}}),
        op("create-directory", "/~/d", {"ttl": 3600000}),
        op("create-directory", "/~/e", {"commonOptions": {"ttl": -5, "ttlAction": "DELETE_ALLUXIO"}}),
        op("create-directory", "/~/f", {"commonOptions": {"ttl": 1, "ttlAction": "Delete"}}, words=False),
        op("create-directory", "/~/g", {"commonOptions": {"nosuch": 1}}),
        op("create-directory", "/~/h", SYNC),
        *(op("get-status", "/~/" + name) for name in "abcdefgh"),
    ],
    "xattr at creation": [
        op("create-directory", "/~/a/b", {"recursive": True, "xattr": {"k": "dg=="}}),
        op("create-directory", "/~/c", {"xattr": {"k": "no base64"}}, words=False),
        op("create-directory", "/~/d/e", {"recursive": True, "xattr": {"k": "dg=="}, "xattrPropStrat": "NEW_PATHS"}),
        op("create-directory", "/~/f", {"xattr": {}, "xattrPropStrat": "LEAF_NODE"}),
        op("create-directory", "/~/g", {"xattrPropStrat": "SOME"}, words=False),
        *(op("get-status", "/~/" + name) for name in ("a", "a/b", "d", "d/e", "f")),
    ],
    "status, list, exists": [
        folder("/~/d/e"),
        *made("/~/d/f"),
        *made("/~/g", b""),
        op("get-status", "/"),
        op("get-status", "/~"),
        op("get-status", "/~/d/f"),
        op("get-status", "/~/zz"),
        op("get-status", "/~/zz/zz"),
        op("get-status", "/~/g/below"),
        op("list-status", "/~"),
        op("list-status", "/~/d/f"),
        op("list-status", "/~/d/e"),
        op("list-status", "/~/zz"),
        op("list-status", "/~/g/below"),
        op("list-status", "/~", {"recursive": True}),
        op("list-status", "/~", {"recursive": False}),
        op("list-status", "/~", {"loadMetadataOnly": True}),
        op("exists", "/~/d"),
        op("exists", "/~/d/f"),
        op("exists", "/~/zz"),
        op("exists", "/~/g/below"),
        op("exists", "/"),
    ],
    "loading from the under store": [
        op("get-status", "/~/late"),
        behind(lambda _disk, ufs: (ufs / "late").write_text("12345")),
        op("exists", "/~/late"),
        op("get-status", "/~/late"),
        *enums("get-status", "loadMetadataType", ("NEVER", "Never", "ONCE", "Once", "never"), "/~/late"),
        *enums("get-status", "loadMetadataType", ("ALWAYS", "Always"), "/~/late"),
        op("get-status", "/~/late"),
        behind(lambda _disk, ufs: (ufs / "late").write_text("1234567")),
        op("get-status", "/~/late"),
        op("get-status", "/~/late", SYNC),
        behind(lambda _disk, ufs: (ufs / "late").unlink()),
        op("exists", "/~/late"),
        op("exists", "/~/late", SYNC),
        behind(lambda _disk, ufs: (ufs / "new").write_text("1")),
        op("get-status", "/~/new"),
        behind(lambda _disk, ufs: (ufs / "tree").mkdir()),
        behind(lambda _disk, ufs: (ufs / "tree" / "leaf").write_text("1")),
        op("list-status", "/~", SYNC),
        op("list-status", "/~/tree"),
    ],
}
