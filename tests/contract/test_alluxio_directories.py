# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of an Alluxio of either dialect: their attributes, and those of whole trees."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.tests.contract.alluxio_place import GONE, Place
from ansible_collections.polystore.storage.tests.contract.cases_alluxio_directories import GROUP, OWNER, SERVERS
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = pytest.mark.server


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    """A place on a server of either dialect."""
    yield Place(request.getfixturevalue(SERVERS[request.param]), tmp_path)


@pytest.fixture
def two(alluxio_server: Any, tmp_path: pathlib.Path) -> Place:
    """A place on Alluxio 2."""
    return Place(alluxio_server, tmp_path)


@pytest.fixture
def one(alluxio_v1_server: Any, tmp_path: pathlib.Path) -> Place:
    """A place on Alluxio 1.8."""
    return Place(alluxio_v1_server, tmp_path)


# --- what comes back in another form than it was sent


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"mode": "750"}, {"mode": "0o750"}),
        ({"ttl": "2h"}, {"ttl": 7200}),
        ({"ttl": "7d", "ttl_action": "delete"}, {"ttl": "1w"}),
        ({"ttl": "never"}, {"ttl": "never", "ttl_action": "delete"}),
        ({"pinned": True}, {"pinned": "yes"}),
        ({"owner": OWNER, "group": GROUP}, {"owner": OWNER}),
        ({"ttl_action": "delete"}, {"ttl_action": "free"}),
        ({"write_type": "must_cache"}, {"write_type": "through"}),
    ],
)
def test_another_spelling_is_no_change(place: Place, first: dict[str, Any], second: dict[str, Any]) -> None:
    assert place.ok(**first)["resource"]["action"] == "created"
    place.same(**first)
    place.same(**second)
    place.same("d/", **second)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/a?b", "Alluxio cuts paths at it"),
        ("/a\\b", "takes it for a slash"),
        ("/a/../b", '".."'),
        ("/a/./b", '"."'),
        ("/a//b", '"//"'),
        ("//a", '"//"'),
        ("/a\0b", "which no path can"),
        ("a/b", "write /a/b"),
        ("alluxio://host/a", "is a URI"),
        ("/" + "x" * 256, "255 bytes"),
        ("/" + "ü" * 128, "255 bytes"),
        ("/\udcff", "not valid UTF-8"),
        ("", "is no path"),
    ],
)
def test_paths_that_servers_misread_are_never_sent(two: Place, path: str, words: str) -> None:
    mark = two.server.mark()
    for given in ({"path": path}, {"path": "/a", "renamed_from": path}):
        assert words in run_task(Directories, two.server, **given)["msg"]
    assert two.server.requests(mark) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"ttl": 0}, "at once"),
        ({"ttl": "soon"}, "is no duration"),
        ({"mode": "1777"}, "sticky"),
        ({"mode": "rwx"}, "is no mode"),
        ({"owner": ""}, "owner: is empty"),
        ({"xattr": {"s3_etag": "x"}}, "kept by others"),
        ({"xattr": {"polystore.digest": "x"}}, "kept by others"),
        ({"xattr": {"a": ["x"]}}, "neither text nor"),
        ({"xattr": {"a": {"b64": "?"}}}, "is not valid"),
        ({"replication_min": 1}, "a directory has none"),
        ({"replication_min": 3, "replication_max": 2, "attributes_recursive": True}, "more than replication_max"),
        ({"replication_min": 0, "pinned": True, "attributes_recursive": True}, "contradicts"),
        ({"ttl_action": "delete", "attributes_recursive": True}, "needs a ttl"),
        ({"renamed_from": "/"}, "the root cannot be renamed"),
        ({"path": "/", "state": "absent"}, "the root cannot be absent"),
        ({"path": "/a/b", "renamed_from": "/a"}, "cannot become"),
        ({"max_delete": -1}, "less than 0"),
    ],
)
def test_options_that_cannot_be_are_refused(two: Place, args: dict[str, Any], words: str) -> None:
    mark = two.server.mark()
    assert words in two.run(**args)["msg"]
    assert two.server.requests(mark) == []


# --- attributes


def test_only_what_differs_is_sent(place: Place) -> None:
    place.ok(mode="0700", ttl="1h", pinned=True)
    mark = place.server.mark()
    result = place.ok(mode="0700", ttl="2h", pinned=True)
    assert place.sent(mark) == ["set-attribute"]
    assert result["diff"][0]["before"]["ttl"] == 3600
    assert result["diff"][0]["after"]["ttl"] == 7200
    assert (place.info()["mode"], place.info()["pinned"], place.info()["ttl"]) == ("0700", True, 7200000)


def test_a_ttl_keeps_its_action_and_a_new_one_frees(place: Place) -> None:
    assert place.ok(ttl="1h")["resource"]["ttl_action"] == "free"
    assert place.info()["ttl_action"] == "free"
    place.ok(ttl="1h", ttl_action="delete")
    assert place.info()["ttl_action"] == "delete"
    place.ok(ttl="2h")
    assert (place.info()["ttl"], place.info()["ttl_action"]) == (7200000, "delete")
    place.ok(ttl_action="free")
    assert (place.info()["ttl"], place.info()["ttl_action"]) == (7200000, "free")
    assert "ttl_action" not in place.ok(ttl="never")["resource"]
    assert place.info()["ttl"] == -1


def test_owner_and_group_are_set_afterwards(place: Place) -> None:
    mark = place.server.mark()
    place.ok(owner=OWNER, group=GROUP, mode="0711")
    assert place.sent(mark) == ["create-directory", "set-attribute"]
    assert (place.info()["owner"], place.info()["group"], place.info()["mode"]) == (OWNER, GROUP, "0711")


def test_what_failed_after_the_creation_is_said_and_done_later(place: Place) -> None:
    body = json.dumps({**GONE["2" if place.two else "1"], "message": "No such luck"})
    place.server.fault("status", path="set-attribute", status=500, body=body)
    result = place.run(group=GROUP, pinned=True)
    assert "it was created, but its attributes could not be set" in result["msg"]
    assert place.exists()
    assert place.ok(group=GROUP, pinned=True)["resource"]["action"] == "updated"
    place.same(group=GROUP, pinned=True)


def test_a_pinned_tree_has_an_exception(place: Place) -> None:
    place.many({"path": "d", "pinned": True}, {"path": "d/e", "pinned": False})
    assert (place.info()["pinned"], place.info("d/e")["pinned"]) == (True, False)


def test_synchronising_does_not_lose_the_ttl(place: Place) -> None:
    """The server forgets the ttl when it looks at the store below after a change of mode."""
    args = {"mode": "0700", "ttl": "1h", "sync_metadata": True}
    place.ok(mode="0755")
    place.ok(**args)
    place.same(**args)
    place.ok(**{**args, "mode": "0711"})
    place.same(**{**args, "mode": "0711"})
    assert (place.info()["mode"], place.info()["ttl"]) == ("0711", 3600000)
    place.ok(mode="0701", sync_metadata=True)
    assert (place.info()["mode"], place.info()["ttl"]) == ("0701", 3600000)


def test_what_appeared_behind_alluxio_is_seen(place: Place) -> None:
    assert not place.exists()
    (place.server.ufs / place.top[1:] / "d").mkdir(mode=0o755)
    assert place.same(sync_metadata=True)["resource"]["action"] == "unchanged"
    place.ok("e")
    (place.server.ufs / place.top[1:] / "e").rmdir()
    assert place.same("e", state="absent", sync_metadata=True)["changed"] is False


def test_the_root_has_attributes(place: Place) -> None:
    now = place.client.get_status("/")["mode"]
    place.same(path="/", mode=now)


# --- extended attributes, and servers without


def test_extended_attributes_merge_go_and_are_purged(two: Place) -> None:
    two.ok(xattr={"a": "1", "b": "2", "raw": {"b64": "/w=="}, "text": {"b64": "dGV4dA=="}})
    assert two.info()["xattr"] == {"a": b"1", "b": b"2", "raw": b"\xff", "text": b"text"}
    two.same(xattr={"text": "text", "raw": {"b64": "/w=="}, "a": 1, "none": None})
    mark = two.server.mark()
    result = two.ok(xattr={"a": "2", "b": None})
    assert two.sent(mark) == ["set-attribute", "set-attribute"]
    assert result["resource"]["xattr"] == {"a": "2", "raw": {"b64": "/w=="}, "text": "text"}
    two.ok(xattr={"c": "3"}, purge_xattr=True)
    assert two.info()["xattr"] == {"c": b"3"}
    two.same(xattr={"c": "3"}, purge_xattr=True)
    two.ok(purge_xattr=True)
    assert two.same(purge_xattr=True)["resource"]["xattr"] == {}


def test_what_others_keep_among_them_is_neither_shown_nor_purged(two: Place) -> None:
    two.ok(xattr={"mine": "1"})
    theirs = {"s3_etag": b"etag", "polystore.digest": b"md5:00:0"}
    two.client.set_attribute(two / "d", xattr=theirs, xattr_strategy="UNION_REPLACE")
    assert two.same()["resource"]["xattr"] == {"mine": "1"}
    two.ok(purge_xattr=True)
    assert two.info()["xattr"] == theirs


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"xattr": {"a": "1"}}, "xattr"),
        ({"replication_min": 1, "attributes_recursive": True}, "replication"),
        ({"ttl": "1h", "ttl_action": "delete_alluxio"}, "delete_alluxio"),
    ],
)
def test_what_this_server_does_not_know_is_refused_before_anything(one: Place, args: Any, words: str) -> None:
    one.file("d/file")
    message = one.refused(**args)
    assert "Alluxio 1.8.1" in message
    assert "does not know " + words in message
    one.same(xattr={"a": None}, purge_xattr=True)


def test_delete_alluxio(two: Place) -> None:
    two.ok(ttl="1h", ttl_action="delete_alluxio")
    two.same(ttl="1h", ttl_action="delete_alluxio")
    assert two.info()["ttl_action"] == "delete_alluxio"


# --- trees


def test_a_tree_takes_one_listing_and_one_request(place: Place) -> None:
    for name in ("d/a", "d/a/b", "d/c"):
        place.client.create_directory(place / name, mode="0755")
    place.file("d/a/file")
    mark = place.server.mark()
    result = place.ok(mode="0750", ttl="1h", attributes_recursive=True)
    assert place.sent(mark) == ["set-attribute"]
    assert result["diff"][0]["before"]["differing_below"] == {"mode": 4, "ttl": 4, "ttl_action": 4}
    for name in ("d", "d/a", "d/a/b", "d/c", "d/a/file"):
        assert (place.info(name)["mode"], place.info(name)["ttl"]) == ("0750", 3600000)
    mark = place.server.mark()
    place.same(mode="0750", ttl="1h", attributes_recursive=True)
    assert len(place.server.requests(mark)) == 2


def test_something_deep_in_a_tree_differs(place: Place) -> None:
    place.client.create_directory(place / "d/a/b")
    place.ok(mode="0750", pinned=True, attributes_recursive=True)
    place.client.set_attribute(place / "d/a/b", mode="0700")
    result = place.ok(mode="0750", pinned=True, attributes_recursive=True)
    assert result["diff"][0]["before"]["differing_below"] == {"mode": 1}
    place.same(mode="0750", pinned=True, attributes_recursive=True)


def test_synchronising_a_tree_does_not_lose_its_ttls(place: Place) -> None:
    place.client.create_directory(place / "d/a/b")
    args = {"mode": "0700", "ttl": "1h", "attributes_recursive": True, "sync_metadata": True}
    place.ok(**args)
    place.same(**args)
    assert [place.info(name)["ttl"] for name in ("d", "d/a", "d/a/b")] == [3600000] * 3


def test_extended_attributes_and_copies_of_a_tree(two: Place) -> None:
    two.ok("d/a")
    two.file("d/file")
    two.client.set_attribute(two / "d/a", xattr={"old": b"1"}, xattr_strategy="UNION_REPLACE")
    args = {"xattr": {"new": "1"}, "purge_xattr": True, "replication_min": 1, "attributes_recursive": True}
    assert two.ok(**args)["changed"] is True
    assert (two.info("d/a")["xattr"], two.info("d/file")["xattr"]["new"]) == ({"new": b"1"}, b"1")
    assert (two.info("d/file")["replication_min"], two.info("d/file")["pinned"]) == (1, True)
    two.same(**args)


def test_what_a_batch_makes_in_a_tree_has_the_trees_attributes(place: Place) -> None:
    items: list[dict[str, Any]] = [{"path": "d/a/b"}, {"path": "d/a"}]
    place.ok()
    place.many({"path": "d", "mode": "0750", "attributes_recursive": True}, *items)
    assert [place.info(name)["mode"] for name in ("d", "d/a", "d/a/b")] == ["0750"] * 3
    mark = place.server.mark()
    place.many({"path": "d", "mode": "0750", "attributes_recursive": True}, *items)
    assert place.server.writes(mark) == []
    batch = [
        {"path": place / "d", "mode": "0700", "attributes_recursive": True},
        {"path": place / "d/a", "mode": "0711"},
    ]
    assert "another mode than" in place.refused(batch=batch)
