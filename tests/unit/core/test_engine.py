# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, with five shapes of systems: what it promises whatever the system is."""

from __future__ import annotations

import dataclasses as dc
import pathlib
import threading
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core import engine
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run, brake
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, Made, Scope
from ansible_collections.polystore.storage.tests.unit.core import shapes
from ansible_collections.polystore.storage.tests.unit.core.shapes import (
    Container,
    Containers,
    Pair,
    Pairs,
    Path,
    Paths,
    RepoFile,
    RepoFiles,
    Stored,
    StoredFiles,
    World,
)
from hypothesis import given
from hypothesis import strategies as st


def run(shape: type[shapes.Shape], world: World, items: list[Any], **how: Any) -> dict[str, Any]:
    """One run of the engine, with diff."""
    plan = Run(diff=True, **how)
    return Engine(shape(world, plan), plan).execute(items)


SHAPES = {
    "one by one": (
        Containers,
        [
            Container(name="a", metadata={"x": "1"}, read_acl="", secret="very-secret"),
            *(Container(name="b%d" % n, quota=n) for n in range(20)),
        ],
        [Container(name="a", metadata={"x": None, "y": "2"}), Container(name="b1", quota=None)],
        [Container(name="b2", state="absent"), Container(name="nobody", state="absent")],
    ),
    "one commit": (
        RepoFiles,
        [RepoFile(branch="m", path="/%d" % n, content="x") for n in range(5)],
        [RepoFile(branch="m", path="/0", content="y"), RepoFile(branch="n", path="/0", content="x")],
        [RepoFile(branch="m", path="/1", state="absent")],
    ),
    "by partition": (
        Pairs,
        [Pair(hash_key="h%d" % (n % 3), sort_key=str(n), value="v", ttl=3600) for n in range(12)],
        [Pair(hash_key="h0", sort_key="0", value="w"), Pair(hash_key="h1", sort_key="1", ttl=9000)],
        [Pair(hash_key="h2", sort_key="2", state="absent")],
    ),
    "by manifest": (
        StoredFiles,
        [Stored(name="a", content="1"), Stored(name="b", content="2")],
        [Stored(name="a", content="3")],
        [Stored(name="b", state="absent")],
    ),
    "beside and renamed": (
        Paths,
        [Path(path="/a", content="1"), Path(path="/b", content="2")],
        [Path(path="/a", content="3")],
        [Path(path="/b", state="absent")],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_keeps_the_contract(name: str, tmp_path: pathlib.Path) -> None:
    shape, created, changed, absent = SHAPES[name]
    world = World(tmp_path)
    for items, action in ((created, "created"), (changed, "updated"), (absent, "deleted")):
        check = run(shape, world, items, check=True)
        assert check["summary"]["writes"] == 0
        real = run(shape, world, items)
        assert (check["changed"], check["diff"]) == (real["changed"], real["diff"])
        assert check["changed"] is True
        assert check["resources"][0]["action"] == real["resources"][0]["action"] == action
        assert "very-secret" not in str((check, real))
        again = run(shape, world, items)
        assert (again["changed"], again["diff"], again["summary"]["writes"]) == (False, [], 0)
        assert again["summary"]["unchanged"] == len(items)


def test_one_commit_holds_creations_and_deletions() -> None:
    world = World()
    run(RepoFiles, world, [RepoFile(branch="m", path="/old", content="x")])
    world.log.clear()
    items = [RepoFile(branch="m", path="/%d" % n, content="x") for n in range(9)]
    run(RepoFiles, world, [*items, RepoFile(branch="m", path="/old", state="absent")])
    assert world.log == [("commit", 10)]


def test_one_of_a_group_may_fail_alone() -> None:
    world = World()
    world.refuse["/1"] = StorageError("unused")
    result = run(RepoFiles, world, [RepoFile(branch="m", path="/%d" % n, content="x") for n in range(3)])
    assert [r["action"] for r in result["resources"]] == ["created", "failed", "created"]
    assert (result["failed"], result["changed"], len(result["diff"])) == (True, True, 2)
    assert result["msg"] == "1 of 3 files failed. file m//1, create file: bad path"


def test_a_change_that_the_server_did_not_make_is_none() -> None:
    """Such as one that hangs on a condition, which only the server can tell."""

    class Refused(Containers):
        def make(self, group: list[Change]) -> list[Any]:
            if group[0].item.name != "a":
                return super().make(group)
            group[0].action = "unchanged"
            return [Made(group[0], group[0].before or {})]

    result = run(Refused, World(), [Container(name="a", quota=1)])
    assert result["changed"] is False and result["diff"] == [] and result["resource"]["action"] == "unchanged"
    both = run(Refused, World(), [Container(name="a", quota=1), Container(name="b", quota=1)])
    assert both["changed"] is True and [row["action"] for row in both["resources"]] == ["unchanged", "created"]
    assert (both["summary"]["unchanged"], both["summary"]["created"], len(both["diff"])) == (1, 1, 1)


def test_a_partition_is_written_at_once_and_keeps_its_expiry() -> None:
    world = World()
    run(Pairs, world, [Pair(hash_key="h%d" % (n % 3), sort_key=str(n), value="v", ttl=3600) for n in range(30)])
    assert sorted(world.log) == [("created", 10)] * 3
    run(Pairs, world, [Pair(hash_key="h0", sort_key="0", value="w")])
    assert world.things[("h0", "0")] == {"value": "w", "ttl": 3600}
    assert run(Pairs, world, [Pair(hash_key="h0", sort_key="0", ttl=3590)])["changed"] is False


def test_made_recorded_retired_in_this_order(tmp_path: pathlib.Path) -> None:
    world = World(tmp_path)
    run(StoredFiles, world, [Stored(name="a", content="1")])
    world.log.clear()
    result = run(StoredFiles, world, [Stored(name="a", content="2")])
    kinds = [entry if isinstance(entry, str) else entry[0] for entry in world.log]
    assert kinds == ["locked", "upload", "record", "retire", "unlocked"]
    assert len(world.things) == 1
    assert result["resource"]["file_id"].startswith("id")


def test_what_could_not_be_recorded_retires_nothing(tmp_path: pathlib.Path) -> None:
    world = World(tmp_path)
    run(StoredFiles, world, [Stored(name="a", content="1"), Stored(name="b", content="1")])
    world.refuse["record a"] = StorageError("disk full")
    result = run(StoredFiles, world, [Stored(name="a", content="2")])
    assert result["failures"][0]["message"] == "disk full"
    assert not [entry for entry in world.log if entry[0] == "retire"]
    world.refuse.clear()
    run(StoredFiles, world, [Stored(name="a", content="2")])
    contents = sorted(state["content"] for state in world.things.values())
    assert contents == ["1", "2", "2"]  # the orphan of the failed run is still there, nothing that is in use was lost


def test_renamed_then_seen_and_leftovers_tidied() -> None:
    world = World()
    world.things[("/dead.new",)] = {"content": "half"}
    run(Paths, world, [Path(path="/a", content="1")])
    assert world.log == [("write", "/a", 2), ("rename", "/a"), ("seen", "/a", True), ("tidy", "/dead.new")]
    assert world.things == {("/a",): {"content": "1"}}


# --- failures


def test_the_others_go_on_and_deletions_wait() -> None:
    world = World()
    run(Containers, world, [Container(name="old")])
    world.refuse["b"] = StorageError("no", code=507, server_message="disk full", hint="Buy one.")
    items = [Container(name="a"), Container(name="b"), Container(name="c"), Container(name="old", state="absent")]
    result = run(Containers, world, items, parallel=1)
    assert [r["action"] for r in result["resources"]] == ["created", "failed", "created", "failed"]
    assert ("old",) in world.things
    assert result["summary"] | {"requests": 0} == {
        "created": 2,
        "updated": 0,
        "deleted": 0,
        "unchanged": 0,
        "failed": 2,
        "requests": 0,
        "writes": 3,
        "bytes_sent": 0,
        "bytes_received": 0,
    }
    assert [f["code"] for f in result["failures"]] == [507, "not_begun"]
    assert result["failures"][0] == {
        "item": "b",
        "operation": "create container",
        "code": 507,
        "server_message": "disk full",
        "hint": "Buy one.",
        "message": "no",
    }
    assert result["msg"] == "2 of 4 containers failed. container b, create container: no: disk full. Buy one."
    assert ("finish", False) in world.log


def test_a_fatal_error_stops_the_rest() -> None:
    world = World()
    world.refuse["c1"] = StorageError("wrong password", code=401, fatal=True)
    result = run(Containers, world, [Container(name="c%d" % n) for n in range(50)], parallel=1)
    assert (result["summary"]["created"], result["summary"]["failed"], result["summary"]["writes"]) == (1, 49, 2)
    assert {f["code"] for f in result["failures"]} == {401, "not_begun"}
    assert "wrong password" in result["msg"]
    assert not [entry for entry in world.log if entry[0] == "finish"]


def test_a_failed_update_shows_what_is_still_there() -> None:
    world = World()
    run(Containers, world, [Container(name="a", metadata={"x": "1"})])
    world.refuse["a"] = StorageError("no")
    result = run(Containers, world, [Container(name="a", metadata={"x": "2"})])
    assert result["resource"] == {"name": "a", "metadata": {"x": "1"}, "action": "failed"}
    assert (result["changed"], result["diff"]) == (False, [])


def test_a_plan_that_cannot_be_is_said_before_anything_is_sent() -> None:
    class Picky(Containers):
        def plan(self, item: Any, present: Any) -> Change | None:
            if item.name == "b":
                raise OptionError("quota", "is too much", "Take less")
            return super().plan(item, present)

    world = World()
    with pytest.raises(StorageError) as caught:
        run(Picky, world, [Container(name="a"), Container(name="b")])
    assert (caught.value.item, caught.value.message) == ("b", "container b: quota: is too much")
    assert world.log == []


@pytest.mark.parametrize(("slow", "others"), [(3600.0, False), (-1.0, True)])
def test_workers_help_to_plan_only_what_takes_long(slow: float, others: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    threads = set()

    class Hashed(Containers):
        hashing = True

        def plan(self, item: Any, present: Any) -> Change | None:
            threads.add(threading.current_thread())
            if others and item.name in ("c5", "c6"):
                both.wait(60)  # one thread alone would never get past it
            return super().plan(item, present)

    monkeypatch.setattr(engine, "SLOW", slow)
    result = run(Hashed, World(), [Container(name="c%d" % n) for n in range(40)], parallel=2)
    assert result["summary"]["created"] == 40
    assert (threads != {threading.main_thread()}) is others


def test_trouble_at_the_end_is_reported_beside_the_changes() -> None:
    world = World()
    world.refuse["finish"] = StorageError("cannot tidy up", hint="Look.")
    result = run(Containers, world, [Container(name="a")])
    assert (result["failed"], result["changed"], result["resource"]["action"]) == (True, True, "created")
    assert result["failures"][0]["operation"] == "tidy up"
    assert "cannot tidy up" in result["msg"]


def test_two_items_with_one_identity_are_refused() -> None:
    world = World()
    with pytest.raises(OptionError, match="a is declared twice"):
        run(Containers, world, [Container(name="a"), Container(name="b"), Container(name="a")])
    assert world.counters.snapshot()["requests"] == 0


def test_a_fault_of_ours_is_not_swallowed() -> None:
    world = World()
    world.refuse["a"] = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        run(Containers, world, [Container(name="a")])


# --- what is shown


def test_secrets_and_bytes_are_shown_as_digests() -> None:
    world = World()
    result = run(Containers, world, [Container(name="a", secret="hunter2-hunter2", data=b"\0\1")])
    assert "hunter2" not in str(result)
    assert result["resource"]["secret"].startswith("(hidden, ")
    assert result["diff"][0]["after"]["data"].startswith("(hidden, ")
    other = run(Containers, world, [Container(name="a", secret="hunter3-hunter3")])["diff"][0]
    assert other["before"]["secret"] != other["after"]["secret"]


def test_made_states_are_told_and_diffs_are_as_planned() -> None:
    result = run(Containers, World(), [Container(name="a", quota=1)])
    assert result["resource"] == {"name": "a", "quota": 1, "fact": 1, "action": "created"}
    assert result["diff"] == [
        {
            "before": {},
            "after": {"name": "a", "quota": 1},
            "before_header": "container a",
            "after_header": "container a",
        }
    ]


@pytest.mark.parametrize(
    ("number", "detail", "shown"),
    [(100, None, 100), (101, None, 1), (3, "changed", 1), (101, "all", 101), (3, "none", 0)],
)
def test_how_much_is_shown(number: int, detail: str | None, shown: int) -> None:
    world = World()
    world.things = {("c%d" % n,): {} for n in range(1, number)}
    result = run(Containers, world, [Container(name="c%d" % n) for n in range(number)], detail=detail)
    assert len(result["resources"]) == shown
    assert result["summary"]["unchanged"] == number - 1
    assert "resource" not in result


# --- shares and prunes


@given(st.lists(st.text(max_size=5), max_size=20, unique=True), st.integers(1, 7))
def test_each_key_belongs_to_one_share(names: list[str], count: int) -> None:
    shares = [Run(shard=(index, count)) for index in range(count)]
    for name in names:
        assert sum(share.mine((name, "x")) for share in shares) == 1
        assert Run().mine((name, "x"))


def test_shares_do_it_all_together_and_prune_only_their_own() -> None:
    world = World()
    world.things = {("h", "old%d" % n): {"value": "x"} for n in range(40)}
    items = [Pair(hash_key="h", sort_key=str(n), value="v") for n in range(40)]
    items[0] = dc.replace(items[0], prune=True, max_delete=(100, True))
    deleted = [run(Pairs, world, items, shard=(index, 3))["summary"]["deleted"] for index in range(3)]
    assert sum(deleted) == 40
    assert all(deleted)
    assert set(world.things) == {item.key for item in items}


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 100), st.booleans(), st.booleans())
def test_the_brake(wanted: int, surplus: int, number: int, percent: bool, empty: bool) -> None:
    changes = [Change(None, "deleted", {}, None) for _number in range(surplus)]
    present = wanted + surplus
    scope = Scope("s", wanted, present, changes, (number, percent), empty)
    if surplus <= (present * number // 100 if percent else number) or not surplus:
        brake(scope)
    else:
        with pytest.raises(StorageError, match="would remove %d of %d" % (surplus, present)):
            brake(scope)
    nothing = dc.replace(scope, wanted=0, max_delete=(100, True))
    if surplus and not empty:
        with pytest.raises(StorageError, match="would remove everything"):
            brake(nothing)
    else:
        brake(nothing)


def test_a_prune_that_is_too_much_changes_nothing() -> None:
    world = World()
    world.things = {("h", str(n)): {"value": "v"} for n in range(20)}
    items = [Pair(hash_key="h", sort_key=str(n), value="new", prune=n == 0) for n in range(17)]
    with pytest.raises(StorageError, match="would remove 3 of 20, and max_delete 10% allows 2"):
        run(Pairs, world, items)
    assert world.log == []
    items[0] = dc.replace(items[0], max_delete=(3, False))
    check = run(Pairs, world, items, check=True)
    assert check["summary"]["deleted"] == 3
    assert run(Pairs, world, items)["diff"] == check["diff"]
    assert [entry[0] for entry in world.log] == ["updated", "deleted"]
