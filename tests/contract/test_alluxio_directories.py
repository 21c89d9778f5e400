# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories against an Alluxio of either dialect: what its semantics ask of the module, and what it never does."""

from __future__ import annotations

import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.contract.cases_alluxio_directories import GROUP, OWNER, SERVERS
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
GONE = {"1": {"status": "NOT_FOUND"}, "2": {"statusCode": "NOT_FOUND"}}


class Place:
    """A directory of one test's own on a server, and what a test does in it."""

    def __init__(self, server: Any, tmp: pathlib.Path) -> None:
        self.server, self.tmp, self.top = server, tmp, server.new_path()
        self.client = client_for(Directories.connection, server.connection(), 8, {})
        self.two = self.client.version[0] == 2

    def __truediv__(self, name: str) -> str:
        return "%s/%s" % (self.top, name)

    def run(self, name: str = "d", **args: Any) -> dict[str, Any]:
        given = {"path": self / name, "diff": True, **args}
        return run_task(Directories, self.server, **given)

    def ok(self, name: str = "d", **args: Any) -> dict[str, Any]:
        given = {"path": self / name, "diff": True, **args}
        return run_ok(Directories, self.server, **given)

    def many(self, *items: dict[str, Any], **args: Any) -> dict[str, Any]:
        """A batch, whose paths are below this place."""
        batch = [{**item, "path": self / item["path"]} for item in items]
        return run_ok(Directories, self.server, batch=batch, **args)

    def same(self, name: str = "d", **args: Any) -> dict[str, Any]:
        """A run that may not change or write anything."""
        mark = self.server.mark()
        result = self.ok(name, **args)
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return result

    def refused(self, name: str = "d", **args: Any) -> str:
        """The message of a run that fails before it writes; check mode says the same."""
        mark = self.server.mark()
        result, check = self.run(name, **args), self.run(name, check=True, **args)
        assert result["failed"] is True
        assert check["msg"] == result["msg"]
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def sent(self, mark: int) -> list[str]:
        """The operations that changed something."""
        return [entry["path"].split("?")[0].rsplit("/", 1)[-1] for entry in self.server.writes(mark)]

    def info(self, name: str = "d") -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_status(self / name)
        assert found is not None, name
        return found

    def exists(self, name: str = "d") -> bool:
        return self.client.get_status(self / name) is not None

    def file(self, name: str, data: bytes = b"text") -> None:
        self.client.upload(self / name, lambda: io.BytesIO(data), len(data))

    def store(self, name: str = "store") -> pathlib.Path:
        """A local directory with a file deep in it, to be mounted."""
        found = self.tmp / name
        (found / "deep").mkdir(parents=True)
        (found / "deep" / "precious").write_text("all we have")
        return found


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


# --- many


def test_many_are_one_listing_and_one_request_each(place: Place) -> None:
    items = [{"path": "many/%03d" % number} for number in range(60)]
    mark = place.server.mark()
    assert place.many(*items)["summary"]["created"] == 60
    assert place.sent(mark) == ["create-directory"] * 60
    assert len(place.server.requests(mark)) <= 62
    mark = place.server.mark()
    assert place.many(*items, result_detail="none")["summary"]["unchanged"] == 60
    assert [entry["path"].split("/")[-1] for entry in place.server.requests(mark)] == ["list-status"]


def test_many_nested_are_a_listing_a_parent(place: Place) -> None:
    items = [{"path": "n/%d/%d" % (up, down)} for up in range(9) for down in range(9)]
    place.many(*items)
    mark = place.server.mark()
    assert place.many(*items)["summary"]["unchanged"] == 81
    assert len(place.server.requests(mark)) == 10


def test_each_has_its_own_attributes_in_whatever_order(place: Place) -> None:
    items = [{"path": "a/b/c/d", "mode": "0701"}, {"path": "a/b", "mode": "0711"}, {"path": "a", "ttl": "1h"}]
    mark = place.server.mark()
    place.many(*items)
    assert len(place.sent(mark)) == 3
    assert (place.info("a/b/c/d")["mode"], place.info("a/b")["mode"], place.info("a")["ttl"]) == (
        "0701",
        "0711",
        3600000,
    )
    mark = place.server.mark()
    place.many(*items)
    assert place.server.writes(mark) == []


def test_without_parents_the_parent_must_be_there(place: Place) -> None:
    assert "parents: true" in place.refused("x/y", parents=False)
    place.many({"path": "x/y"}, {"path": "x"}, parents=False)
    place.ok("x/z", parents=False)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([{"path": "/a", "state": "absent"}, {"path": "/a/b"}], "and /a should not"),
        ([{"path": "/a", "renamed_from": "/b"}, {"path": "/b"}], "/b is to be renamed"),
        ([{"path": "/a", "renamed_from": "/b"}, {"path": "/b/c", "state": "absent"}], "/b is to be renamed"),
        ([{"path": "/a", "renamed_from": "/c"}, {"path": "/b", "renamed_from": "/c"}], "two items have renamed_from"),
        ([{"path": "/a", "renamed_from": "/c"}, {"path": "/b", "renamed_from": "/c/d"}], "lies in what is renamed"),
    ],
)
def test_a_batch_that_contradicts_itself(two: Place, items: list[dict[str, Any]], words: str) -> None:
    mark = two.server.mark()
    assert words in run_task(Directories, two.server, batch=items)["msg"]
    assert two.server.requests(mark) == []


def test_somebody_else_was_quicker(place: Place) -> None:
    place.client.create_directory(place / "d", mode="0755")
    body = json.dumps({**GONE["2" if place.two else "1"], "message": "gone"})
    place.server.fault("status", path="get-status", status=500, headers={"Content-Type": "application/json"}, body=body)
    assert place.ok(mode="0700")["resource"]["action"] == "created"
    assert place.info()["mode"] == "0700"


# --- renaming


def test_renaming(place: Place) -> None:
    place.client.create_directory(place / "old/inside", mode="0755")
    check = place.ok("new", renamed_from=place / "old", mode="0700", check=True)
    mark = place.server.mark()
    result = place.ok("new", renamed_from=place / "old", mode="0700")
    assert place.sent(mark) == ["rename", "set-attribute"]
    assert result["diff"] == check["diff"]
    before, after = result["diff"][0]["before"], result["diff"][0]["after"]
    assert (before["path"], after["path"], after["mode"]) == (place / "old", place / "new", "0700")
    assert result["resource"]["action"] == "updated"
    assert (place.exists("old"), place.exists("new/inside"), place.info("new")["mode"]) == (False, True, "0700")
    place.same("new", renamed_from=place / "old", mode="0700")


def test_both_names_are_there(place: Place) -> None:
    place.many({"path": "old"}, {"path": "new"})
    assert "both it and %s" % (place / "old") in place.refused("new", renamed_from=place / "old")
    place.ok("old", state="absent")
    place.same("new", renamed_from=place / "old")


def test_neither_name_is_there(place: Place) -> None:
    assert place.ok("new", renamed_from=place / "old")["resource"]["action"] == "created"


def test_renaming_into_what_is_not_there_yet(place: Place) -> None:
    place.ok("old")
    assert "parents: true" in place.refused("x/y/new", renamed_from=place / "old", parents=False)
    place.ok("x/y/new", renamed_from=place / "old")
    assert (place.exists("old"), place.exists("x/y/new")) == (False, True)


def test_what_is_in_a_renamed_directory_can_be_declared_with_it(place: Place) -> None:
    place.client.create_directory(place / "old/kept", mode="0755")
    place.client.create_directory(place / "old/gone/deep")
    items = [
        {"path": "new/kept", "mode": "0700"},
        {"path": "new/gone", "state": "absent", "recursive": True},
        {"path": "new", "renamed_from": place / "old"},
        {"path": "new/more"},
    ]
    result = place.many(*items)
    assert [row["action"] for row in result["resources"]] == ["updated", "deleted", "updated", "created"]
    assert sorted(row["path"] for row in place.client.list_status(place / "new")) == [
        place / "new/kept",
        place / "new/more",
    ]
    assert place.info("new/kept")["mode"] == "0700"
    assert place.many(*items)["changed"] is False


# --- removal


def test_absent_is_said_and_kept(place: Place) -> None:
    place.same(state="absent")
    place.ok()
    assert place.ok(state="absent")["resource"] == {"path": place / "d", "action": "deleted"}
    place.same(state="absent")
    assert not (place.server.ufs / place.top[1:] / "d").exists()


def test_a_full_directory_needs_recursive(place: Place) -> None:
    place.file("d/file")
    message = place.refused(state="absent")
    assert "not empty" in message
    assert "recursive: true" in message
    place.client.create_directory(place / "d/sub")
    assert "2 files and directories would be deleted" in place.refused(state="absent", recursive=True, max_delete=1)
    result = place.ok(state="absent", recursive=True, max_delete=2)
    assert result["diff"][0]["before"]["entries"] == 2
    assert not place.exists()


def test_a_tree_goes_item_by_item(place: Place) -> None:
    place.ok("d/a/b")
    place.many(*({"path": name, "state": "absent"} for name in ("d", "d/a", "d/a/b")))
    assert not place.exists()


def test_an_answer_that_got_lost_is_no_failure(place: Place) -> None:
    place.ok()
    place.server.fault("close_after", path="/delete")
    assert place.ok(state="absent")["resource"]["action"] == "deleted"
    place.server.fault("close_after", path="/create-directory")
    assert place.ok(mode="0711")["resource"]["action"] == "created"
    place.same(mode="0711")


def test_a_refusal_is_not_taken_for_success(place: Place) -> None:
    place.ok()
    body = json.dumps({**GONE["2" if place.two else "1"], "message": "gone, or so it says"})
    place.server.fault("status", path="/delete", status=500, headers={"Content-Type": "application/json"}, body=body)
    assert "or so it says" in place.run(state="absent")["msg"]
    place.ok(state="absent")


def test_what_alluxio_has_not_seen_needs_unchecked(place: Place) -> None:
    place.file("d/file")
    place.client.list_status(place / "d")  # once it has, Alluxio does not look there again by itself
    (place.server.ufs / place.top[1:] / "d" / "unknown").mkdir()
    result = place.run(state="absent", recursive=True)
    assert result["failures"][0]["code"] == "FAILED_PRECONDITION"
    assert "unchecked: true" in result["msg"]
    place.ok(state="absent", recursive=True, unchecked=True)
    assert not (place.server.ufs / place.top[1:] / "d").exists()


def test_files_are_no_directories(place: Place) -> None:
    place.file("d")
    for args in ({}, {"state": "absent"}, {"state": "absent", "recursive": True}):
        assert "is a file" in place.refused(**args)
    assert place.exists()
    assert "is a file" in place.refused("new", renamed_from=place / "d")


# --- mount points


@pytest.mark.parametrize("args", [{}, {"recursive": True}, {"recursive": True, "unchecked": True}])
def test_a_mount_point_or_what_holds_one_is_never_deleted(place: Place, args: dict[str, Any]) -> None:
    store = place.store()
    place.ok("d/x")
    place.client.mount(place / "d/x/m", str(store))
    for name in ("d/x/m", "d/x", "d"):
        if name == "d/x/m" or args:
            message = place.refused(name, state="absent", **args)
            assert "is a mount point" in message or "holds the mount point %s" % (place / "d/x/m") in message
            assert "alluxio_mount with state: absent" in message
        else:
            assert "not empty" in place.refused(name, state="absent", **args)
    for name in ("d", "d/x", "d/x/m"):
        assert "is not renamed" in place.refused("new", renamed_from=place / name)
    assert (store / "deep" / "precious").read_text() == "all we have"
    place.client.unmount(place / "d/x/m")
    place.ok(state="absent", recursive=True)
    assert (store / "deep" / "precious").read_text() == "all we have"


def test_on_1_8_the_server_would_have_deleted_what_is_mounted(one: Place) -> None:
    """So it is the module that has to refuse."""
    store = one.store()
    one.ok("d")
    one.client.mount(one / "d/m", str(store))
    assert "holds the mount point" in one.refused(state="absent", recursive=True)
    for name in ("d/m", "d/m/deep"):
        one.client.list_status(one / name)  # its children are loaded, as any user's look does
    assert (store / "deep" / "precious").exists()
    one.server.call(one / "d/m", "delete", {"recursive": True})
    assert not (store / "deep" / "precious").exists()


def test_on_2_9_the_server_refuses_too(two: Place) -> None:
    store = two.store()
    two.ok("d")
    two.client.mount(two / "d/m", str(store))
    two.client.list_status(two.top, recursive=True)
    with pytest.raises(StorageError) as caught:
        two.client.delete(two / "d", recursive=True)
    assert caught.value.code == "PERMISSION_DENIED"
    two.client.unmount(two / "d/m")
