# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two dialects: what bodies look like, what a status says, what an error is called. Tables as seen on servers."""

from __future__ import annotations

import json
import posixpath
from typing import Any
from urllib.parse import unquote

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import dialect
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.dialect import Dialect
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = Dialect((1, 8, 1)), Dialect((2, 9, 6))
MINUTE = {"ttl": 60000, "ttlAction": "FREE"}
MODE = {"ownerBits": "ALL", "groupBits": "READ_EXECUTE", "otherBits": "NONE"}

# options, the body of 1.8.1, the body of 2.9.6
BODIES: list[tuple[dict[str, Any], Any, Any]] = [
    ({}, {}, {}),
    ({"recursive": True, "unchecked": False}, {"recursive": True, "unchecked": False}, ...),
    ({"recursive": None, "mode": None, "ttl": None, "xattr": None}, {}, {}),
    ({"mode": "0750"}, {"mode": MODE}, ...),
    ({"write_type": "must_cache"}, {"writeType": "MUST_CACHE"}, ...),
    ({"ttl": 60000}, MINUTE, {"commonOptions": MINUTE}),
    ({"ttl": 0, "ttl_action": "delete"}, {"ttl": 0, "ttlAction": "DELETE"}, ...),
    ({"ttl": -1, "ttl_action": "FREE"}, {"ttl": -1, "ttlAction": "FREE"}, ...),
    ({"ttl": 60000, "sync": True}, ..., {"commonOptions": {"syncIntervalMs": 0, **MINUTE}}),
    ({"sync": True}, {"commonOptions": {"syncIntervalMs": 0}}, {"commonOptions": {"syncIntervalMs": 0}}),
    ({"sync": False}, {}, {}),
    ({"pinned": False, "owner": "o", "group": "g"}, {"pinned": False, "owner": "o", "group": "g"}, ...),
    ({"block_size": 5}, {"blockSizeBytes": 5}, ...),
    ({"read_only": True, "shared": False, "properties": {"a": "b"}},
     {"readOnly": True, "shared": False, "properties": {"a": "b"}}, ...),
    ({"forced": True}, {"forced": True}, ...),
    ({"overwrite": False}, {}, {}),
    ({"overwrite": True}, StorageError, {"s3SyntaxOptions": {"overwrite": True}}),
    ({"xattr": {"k": b"\0v"}, "xattr_strategy": "DELETE_KEYS"}, StorageError,
     {"xattr": {"k": "AHY="}, "xattrUpdateStrategy": "DELETE_KEYS"}),
    ({"xattr": {"k": b"v"}}, StorageError, {"xattr": {"k": "dg=="}, "xattrPropStrat": "LEAF_NODE"}),
    ({"replication_min": 0, "replication_max": -1}, StorageError, {"replicationMin": 0, "replicationMax": -1}),
    ({"ttl": 1, "ttl_action": "delete_alluxio"}, StorageError,
     {"commonOptions": {"ttl": 1, "ttlAction": "DELETE_ALLUXIO"}}),
    ({"ttl_action": "free"}, StorageError, StorageError),
    ({"ttl": 1, "ttl_action": "persist"}, StorageError, StorageError),
    ({"write_type": "NOW"}, StorageError, StorageError),
    ({"mode": "1755"}, StorageError, StorageError),
]  # fmt: skip


@pytest.mark.parametrize(("options", "old", "new"), BODIES, ids=str)
def test_bodies(options: dict[str, Any], old: Any, new: Any) -> None:
    if old is ...:
        old = {"commonOptions": {"syncIntervalMs": 0}, **MINUTE}
    if new is ...:
        times = {key: value for key, value in old.items() if key in ("ttl", "ttlAction")}
        new = {key: value for key, value in old.items() if key not in times}
        new.update({"commonOptions": times} if times else {})
    for one, due in ((OLD, old), (NEW, new)):
        if due is StorageError:
            with pytest.raises(StorageError) as caught:
                one.body(**options)
            assert caught.value.operation == "check options" and not caught.value.transient
        else:
            assert one.body(**options) == due


@pytest.mark.parametrize("number", range(8))
def test_bits(number: int) -> None:
    names = ["NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL"]
    assert list(dialect.bits("0%d%d%d" % (number, 7 - number, 0)).values()) == [
        names[number],
        names[7 - number],
        "NONE",
    ]


# feature, first seen, the last without it: section 11 of the page
SINCE = [
    ("sync", "1.7.1", "1.7.0"),
    ("recursive_listing", "1.8.1", "1.7.1"),
    ("common_ttl", "2.1.0", "1.8.1"),
    ("download_file", "2.1.0", "1.8.1"),
    ("replication", "2.1.0", "1.8.1"),
    ("rename_persist", "2.1.0", "1.8.1"),
    ("masked_secrets", "2.1.0", "1.8.1"),
    ("refuses_incomplete", "2.3.0", "2.1.0"),
    ("metadata_only", "2.5.0", "2.3.0"),
    ("operation_id", "2.7.3", "2.5.0"),
    ("xattr", "2.9.0", "2.7.3"),
    ("mount_guard", "2.9.0", "2.7.3"),
    ("rename_overwrite", "2.9.1", "2.9.0"),
    ("create_overwrite", "2.9.3", "2.9.1"),
    ("default_ttl_free", "2.9.3", "2.9.1"),
    ("delete_alluxio", "2.9.3", "2.9.1"),
    ("s3_etag", "2.9.6", "2.9.3"),
]


@pytest.mark.parametrize(("feature", "first", "without"), SINCE)
def test_since_when(feature: str, first: str, without: str) -> None:
    assert Dialect(dialect.version_of(first)).can(feature)
    assert not Dialect(dialect.version_of(without)).can(feature)
    assert Dialect((2, 10, 0)).can(feature)


def test_the_table_is_whole() -> None:
    assert {feature for feature, _first, _without in SINCE} == set(dialect.SINCE)


def test_what_a_server_lacks_is_named() -> None:
    with pytest.raises(StorageError) as caught:
        Dialect((2, 7, 3)).body(xattr={"a": b""})
    assert caught.value.told() == (
        "xattr needs Alluxio 2.9.0, this one speaks as 2.7.3. Leave xattr out, or upgrade Alluxio."
    )
    assert caught.value.code == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.9.6", (2, 9, 6)),
        ("1.8.1", (1, 8, 1)),
        ("2.10.0-SNAPSHOT", (2, 10, 0)),
        ("enterprise-2.9.1-1.0", (2, 9, 1)),
        ("2.9", (2, 9, 0)),
        ("304-SNAPSHOT", None),
        ("", None),
        (None, None),
        (2.9, None),
    ],
)
def test_versions(text: Any, version: Any) -> None:
    assert dialect.version_of(text) == version


@pytest.mark.parametrize(
    ("told", "forced", "number", "version"),
    [
        ((1, 8, 1), "auto", 1, (1, 8, 1)),
        ((2, 9, 6), "auto", 2, (2, 9, 6)),
        ((2, 9, 6), "2", 2, (2, 9, 6)),
        ((2, 9, 6), "1", 1, (1, 7, 1)),
        ((1, 8, 1), "2", 2, (2, 0, 0)),
        (None, "2", 2, (2, 0, 0)),
        (None, "1", 1, (1, 7, 1)),
    ],
)
def test_a_dialect_is_chosen_or_forced(told: Any, forced: str, number: int, version: Any) -> None:
    found = Dialect(told, forced)
    assert (found.number, found.version) == (number, version)


# --- paths


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/100%/a+b&c;d=1#e", "/100%25/a%2Bb%26c%3Bd%3D1%23e"),
        ("/ a/\n/\t", "/%20a/%0A/%09"),
        ("/.a/..b/c..", "/.a/..b/c.."),
        ("/a:b*c|d^e<f>", "/a%3Ab%2Ac%7Cd%5Ee%3Cf%3E"),
        ("/😀", "/%F0%9F%98%80"),
    ],
)
def test_paths_are_encoded_by_segment(path: str, sent: str) -> None:
    assert dialect.quoted(path) == sent


MISREAD = ["", "a", "rel/a", "/a?b", "/a\\b", "//a", "/a//b", "/a/", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "/a\0b"]


@pytest.mark.parametrize("path", [*MISREAD, "alluxio://h/a", None, "/\udcff"])
def test_paths_that_a_server_would_misread_are_refused(path: Any) -> None:
    with pytest.raises(StorageError) as caught:
        dialect.quoted(path)
    assert caught.value.operation == "check path"


@given(st.text(max_size=30).map(lambda text: "/" + text))
def test_a_path_that_passes_is_the_one_that_is_meant(path: str) -> None:
    try:
        sent = dialect.quoted(path)
    except StorageError:
        return
    assert unquote(sent) == path and sent.isascii() and "?" not in path
    assert posixpath.normpath(path) == path and sent.count("/") == path.count("/")


# --- statuses

V1 = {
    "blockIds": [1], "blockSizeBytes": 536870912, "cacheable": True, "completed": True, "creationTimeMs": 5,
    "fileBlockInfos": [], "fileId": 33554431, "folder": False, "group": "root", "inAlluxioPercentage": 100,
    "inMemoryPercentage": 100, "lastModificationTimeMs": 1511, "length": 11, "mode": 420, "mountId": 1,
    "mountPoint": False, "name": "f", "owner": "root", "path": "/d/f", "persisted": True,
    "persistenceState": "PERSISTED", "pinned": False, "ttl": -1, "ttlAction": "DELETE", "ufsFingerprint": "",
    "ufsPath": "/ufs/d/f",
}  # fmt: skip
NORMAL = {
    "path": "/d/f", "folder": False, "length": 11, "completed": True, "mode": "0644", "owner": "root", "group": "root",
    "pinned": False, "ttl": -1, "ttl_action": "delete", "replication_min": None, "replication_max": None, "xattr": {},
    "persisted": True, "persistence_state": "PERSISTED", "mount_point": False, "ufs_path": "/ufs/d/f",
    "in_alluxio": 100, "modified_ms": 1511, "file_id": 33554431, "block_size": 536870912,
}  # fmt: skip


def test_the_normal_form_of_a_status() -> None:
    assert dialect.normal(V1) == NORMAL
    more = {"replicationMin": 0, "replicationMax": -1, "xattr": {"k": "AHY=", "odd": "%"}, "fileInfo": V1, "acl": {}}
    new = dialect.normal({**V1, **more, "ttl": -5, "mode": 493, "ttlAction": "FREE"})
    same = {"replication_min": 0, "replication_max": -1, "ttl_action": "free", "mode": "0755"}
    assert new == {**NORMAL, **same, "xattr": {"k": b"\0v", "odd": b""}}


def test_a_status_with_nulls() -> None:
    bare = dialect.normal({"path": "/x", "xattr": None, "group": None, "ttlAction": None, "folder": True})
    assert (bare["xattr"], bare["group"], bare["ttl_action"], bare["folder"]) == ({}, "", "free", True)
    assert set(bare) == set(NORMAL)


# --- errors

# status, body, code, a part of the words
ERRORS: list[tuple[int, Any, Any, str]] = [
    (500, {"message": 'Path "/zz" does not exist.', "status": "NOT_FOUND"}, "NOT_FOUND", '"/zz"'),
    (500, {"message": 'Path "/zz" does not exist.', "statusCode": "NOT_FOUND"}, "NOT_FOUND", '"/zz"'),
    (500, {"message": None, "statusCode": "UNKNOWN"}, "UNKNOWN", ""),
    (500, {"message": "/r2 already exists", "status": "UNKNOWN"}, "ALREADY_EXISTS", "/r2"),
    (500, {"message": "Mount point /m already exists", "status": "UNKNOWN"}, "ALREADY_EXISTS", "/m"),
    (500, {"message": "File /p/q creation failed. Component 1(p) does not exist", "status": "UNKNOWN"},
     "NOT_FOUND", "creation failed"),
    (500, {"message": "Traversal failed. Component 1(file) is a file", "status": "UNKNOWN"}, "INVALID_ARGUMENT", ""),
    (500, {"message": 'Path "rel" is invalid.', "status": "UNKNOWN"}, "INVALID_ARGUMENT", ""),
    (500, {"message": "Path is no longer valid, possibly due to a concurrent delete.", "status": "UNKNOWN"},
     "NOT_FOUND", ""),
    (500, {"message": "Ufs path /x does not exist", "statusCode": "UNKNOWN"}, "UNKNOWN", "Ufs path"),
    (500, {"message": "Inode file is not a directory", "statusCode": "UNKNOWN"}, "UNKNOWN", "Inode"),
    (500, {"message": "mount command: alluxio fs mount --option key=SECRET /m s3://b\nMount point X is a prefix of Y",
           "statusCode": "UNKNOWN"}, "UNKNOWN", "Mount point X is a prefix of Y"),
    (500, b"HTTP 404 Not Found", 404, "HTTP 404 Not Found"),
    (500, b"HTTP 405 Method Not Allowed", 405, "405"),
    (500, b"HTTP 500 Internal Server Error", 500, "HTTP 500"),
    (500, b"Message missing required fields: groupBits, otherBits", 500, "groupBits"),
    (400, b'Unrecognized field "nosuch" (class alluxio.grpc.X)', 400, "nosuch"),
    (404, b"<html><head><title>Error 404</title></head><body><h2>HTTP ERROR 404</h2></body></html>", 404, "ERROR 404"),
    (400, b"<h1>Bad Message 400</h1><pre>reason: Bad</pre>", 400, "Bad Message 400 reason: Bad"),
    (500, b'<?xml version="1.0"?><Error><Code>InternalError</Code></Error>', 500, "InternalError"),
    (502, {"statusCode": 502, "message": "m"}, 502, "502"),
    (500, b"[1]", 500, "[1]"),
    (500, b"", 500, ""),
    (500, b"\xff\xfe" * 9999, 500, "\ufffd"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "code", "text"), ERRORS)
def test_errors_have_the_name_that_is_meant(status: int, body: Any, code: Any, text: str) -> None:
    found, words = dialect.refusal(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert found == code and text in words and len(words) <= 300
    assert "SECRET" not in words and "<h" not in words
