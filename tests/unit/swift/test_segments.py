# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments: how content is cut, what their names are, which are in use; without a server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Run, Workers
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source
from ansible_collections.polystore.storage.plugins.module_utils.swift import segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.client import Answer, Bulk
from ansible_collections.polystore.storage.plugins.module_utils.swift.segments import Content, Writer
from hypothesis import given
from hypothesis import strategies as st

WORKERS = Workers(4)
DELETED = "application/x-deleted;swift_versions_deleted=1"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def content(data: bytes, part: int, name: str = "o") -> Content:
    return Content(WORKERS, Source(data=data), ("c", name, "c_segments"), part)


class Account:
    """An account as far as these functions ask for it: containers of rows, manifests, and what is deleted."""

    def __init__(self, **containers: list[dict[str, Any]]) -> None:
        self.containers = containers
        self.deleted: list[str] = []
        self.limits: dict[str, Any] = {"slo": {"min_segment_size": 10, "max_manifest_segments": 3}}
        self.refuse: StorageError | None = None

    def info(self) -> dict[str, Any]:
        return self.limits

    def listing(self, container: str | None = None, *, prefix: str = "", **_how: Any) -> Iterator[dict[str, Any]]:
        if self.refuse is not None:
            raise self.refuse
        if container is None:
            yield from ({"name": name} for name in self.containers)
        elif container not in self.containers:
            raise StorageError("no such container", code=404)
        else:
            yield from (row for row in self.containers[container] if row["name"].startswith(prefix))

    def request(self, method: str, container: str, name: str, **_how: Any) -> Answer:
        row = next(row for row in self.containers[container] if row["name"] == name)
        if row.get("gone"):
            raise StorageError("gone", code=404)
        if method == "HEAD":
            return Answer(200, row.get("head", {}), b"")
        return Answer(200, {"x-static-large-object": "True"}, json.dumps(row["manifest"]).encode())

    def bulk_delete(self, names: list[str]) -> Bulk:
        self.deleted += names
        return Bulk(len(names), 0, tuple((name, "403 Forbidden") for name in names if "locked" in name))


def slo(name: str, *parts: str, **more: Any) -> dict[str, Any]:
    rows = [{"path": "/" + part, "etag": "0" * 32, "size_bytes": 1} for part in parts]
    return {"name": name, "bytes": len(parts), "hash": "1" * 32, "slo_etag": '"x"', "manifest": rows, **more}


def empty(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "bytes": 0, "hash": segments.EMPTY, "content_type": "text/plain", **more}


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=120))
def test_parts_cover_the_content(data: bytes, part: int) -> None:
    found = content(data, part)
    assert b"".join(data[at : at + length] for at, length in found.parts()) == data
    assert found.large is (len(data) > part)
    pieces = [data[at : at + part] for at in range(0, len(data), part)]
    if found.large:
        assert found.digests() == [md5(piece) for piece in pieces]
        assert found.etag() == md5("".join(map(md5, pieces)).encode())
        assert found.names() == ["o/slo/%s-%d" % (md5(piece), len(piece)) for piece in pieces]
    else:
        assert (found.etag(), found.names()) == (md5(data), [])


def test_home() -> None:
    assert segments.home("c", "a/b", "c_segments") == "a/b/slo/"
    assert segments.home("c", "a/b", "elsewhere") == "c/a/b/slo/"
    long = segments.home("c", "ü" * 512, "c_segments")
    assert len(long) == 64 + len("/slo/")
    assert long != segments.home("c", "ü" * 511 + "u", "c_segments")


def test_same() -> None:
    data, client = b"0123456789" * 5, Account()
    assert content(data, 100).same(client, 50, md5(data), "")
    assert not content(data, 100).same(client, 49, md5(data), "")
    assert content(data, 20).same(client, 50, content(data, 20).etag(), "slo")
    pieces = [data[:15], data[15:40], data[40:]]
    rows = [{"path": "/p/%d" % n, "etag": md5(p), "size_bytes": len(p)} for n, p in enumerate(pieces)]
    etag = md5("".join(map(md5, pieces)).encode())
    client.containers["c"] = [{**slo("o"), "manifest": rows}]
    for part in (20, 100):
        assert content(data, part).same(client, 50, etag, "slo")
        assert not content(data[:-1] + b"?", part).same(client, 50, etag, "slo")
    rows[1]["range"] = "0-9"
    assert not content(data, 20).same(client, 50, etag, "slo")


def test_in_use() -> None:
    names = {("s", "a"), ("s", "b"), ("s", "old"), ("s", "linked"), ("s", "dlo/1"), ("s", "free"), ("s", "gone")}
    account = Account(
        c=[
            slo("o", "s/a"),
            slo("older", "s/old", version_id="1.0"),
            slo("vanished", "s/gone", gone=True),
            empty("dlo", head={"x-object-manifest": "s/dlo"}),
            empty("plain"),
            {"name": "link", "symlink_path": "/v1/AUTH_a/s/linked", "bytes": 0, "hash": segments.EMPTY},
            empty("deleted", content_type=DELETED, gone=True),
        ],
        d=[slo("o", "s/b")],
        s=[],
    )
    assert segments.in_use(account, WORKERS, names) == names - {("s", "free"), ("s", "gone")}
    assert ("s", "b") not in segments.in_use(account, WORKERS, names, frozenset({"d"}))
    assert segments.in_use(account, WORKERS, set()) == set()
    assert segments.sweep(account, WORKERS, names) == {("s", "free"), ("s", "gone")}
    assert account.deleted == ["s/free", "s/gone"]


def test_what_cannot_be_deleted_is_told() -> None:
    with pytest.raises(StorageError, match="locked") as caught:
        segments.sweep(Account(s=[]), WORKERS, {("s", "a"), ("s", "locked")})
    assert caught.value.code == 403


def test_segments_of() -> None:
    account = Account(
        c=[
            slo("o", "s/a", "t/b"),
            empty("view", head={"x-object-manifest": "logs/2026"}),
            empty("dlo", head={"x-object-manifest": "x_segments/dlo/"}),
            empty("own", head={"x-object-manifest": "c/own/"}),
            empty("own/1"),
        ],
        logs=[{"name": "2026-01", "bytes": 5, "hash": "0" * 32}],
        x_segments=[{"name": "dlo/1", "bytes": 5, "hash": "0" * 32}],
    )
    found = segments.segments_of(account, WORKERS, "c", account.containers["c"])
    assert found == {("s", "a"), ("t", "b"), ("x_segments", "dlo/1"), ("c", "own/1")}


def test_own_segments_are_told_from_others() -> None:
    good = ["a/slo/%s-5" % ("0" * 32), "a/slo/b/slo/%s-5" % ("1" * 32)]
    bad = ["a/slo/%s-x" % ("0" * 32), "a/slo/%s" % ("0" * 31), "a/slow", "slo/%s-5" % ("0" * 32)]
    account = Account(c_segments=[{"name": name, "bytes": 5, "hash": "0" * 32} for name in good + bad])
    writer = Writer(account, Run())
    writer.look([("c", "a", "c_segments"), ("c", "a/slo/b", "c_segments"), ("d", "x", "none")])
    assert writer.own["c_segments", "a/slo/"].keys() == {good[0]}
    assert writer.own["c_segments", "a/slo/b/slo/"].keys() == {good[1]}
    writer.obsolete(("c", "a", "c_segments"), kept=[], old={("other", "z")})
    assert writer.doomed == {("c_segments", good[0]), ("other", "z")}


def test_limits_of_the_server() -> None:
    writer = Writer(Account(), Run())
    with pytest.raises(OptionError, match="too small"):
        writer.part(9, 100)
    assert writer.part(9, 5) == 9  # nothing is cut, nobody need be asked
    assert writer.part(6 << 30, 7 << 30) == 5 << 30
    writer.check(content(b"x" * 30, 10))
    with pytest.raises(StorageError, match="4 segments"):
        writer.check(content(b"x" * 31, 10))


def test_segments_stay_where_their_use_cannot_be_seen() -> None:
    account, run = Account(), Run()
    account.refuse = StorageError("no", code=403, server_message="Forbidden")
    writer = Writer(account, run)
    writer.doomed = {("s", "a")}
    writer.finish()
    assert account.deleted == []
    assert "1 obsolete segments were left" in run.warnings[0]
