# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many directories of an Alluxio at once, renamed ones, and what goes and what never does."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.tests.contract.alluxio_place import GONE, Place
from ansible_collections.polystore.storage.tests.contract.cases_alluxio_directories import SERVERS
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
