# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of Pegasus: the order that no server dies of, waiting, rename, recall, and what cannot be changed in place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Settings
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.tables import Tables
from ansible_collections.polystore.storage.tests.support.run import Tasks

pytestmark = pytest.mark.server


class Place(Tasks):
    """Tables of one test."""

    def __init__(self, server: Any) -> None:
        self.server, self.subject = server, Tables
        self.another()
        settings = Settings.resolve(server.connection(), {})
        self.admin, self.data = PegasusAdmin(settings), PegasusClient(settings)

    def another(self) -> None:
        """From now on another table."""
        self.name = self.server.new_name()
        self.options = {"name": self.name}

    def sent(self, mark: int) -> list[str]:
        return [entry["method"] for entry in self.server.writes(mark)]

    def envs(self, name: str = "") -> Any:
        """The envs as the server has them."""
        row = self.admin.table(name or self.name)
        return row and row["envs"]


@pytest.fixture(params=["pegasus_server", "pegasus_master_server"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    found = Place(request.getfixturevalue(request.param))
    yield found
    found.admin.close()
    found.data.close()


@pytest.fixture
def slow(place: Place) -> Place:
    """Primaries come after a while."""
    place.server.behave(primaries_seconds=0.6, secondaries_seconds=0.3)
    return place


# --- the order that no server dies of (the fixture fails a test in which one would have)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    "envs",
    [
        {"default_ttl": 600},
        {"manual_compact.once.trigger_time": 1700000000, "manual_compact.once.target_level": -1},
        {"replica.read_throttling": "1K*delay*10", "business.info": "x"},
    ],
)
def test_envs_that_may_harm_wait_for_primaries(slow: Place, envs: dict[str, Any], wait: bool) -> None:
    mark = slow.server.mark()
    result = slow.ok(partition_count=2, envs=envs, wait=wait)
    assert result["resource"]["envs"] == {name: str(value).replace("1K", "1000") for name, value in envs.items()}
    entries = [(e["method"], e["time"]) for e in slow.server.requests(mark) if e["path"] == slow.name]
    methods = [method for method, _time in entries]
    assert methods[0] == "CREATE_APP" and methods.count("UPDATE_APP_ENV") == 1
    set_at = methods.index("UPDATE_APP_ENV")
    assert methods[1:set_at].count("QUERY_PARTITION_CONFIG_BY_INDEX") >= 2  # it was looked, and looked again
    assert slow.admin.cluster.config(slow.name).ready
    slow.same(partition_count=2, envs=envs, wait=wait)


def test_a_table_is_created_without_envs(place: Place) -> None:
    envs = {"business.info": "x", "rocksdb.num_levels": 6}
    mark = place.server.mark()
    place.twice(envs=envs)
    assert place.sent(mark) == ["CREATE_APP", "UPDATE_APP_ENV"]
    assert place.envs() == {"business.info": "x", "rocksdb.num_levels": "6"}


@pytest.mark.parametrize("wait", [True, False])
def test_waiting(slow: Place, wait: bool) -> None:
    slow.ok(partition_count=3, wait=wait)
    assert slow.admin.cluster.config(slow.name).ready is wait


def test_a_table_that_was_there_is_waited_for_too(slow: Place) -> None:
    slow.ok(wait=False)
    slow.same(wait=False)
    assert not slow.admin.cluster.config(slow.name).ready
    slow.same()
    assert slow.admin.cluster.config(slow.name).ready


def test_envs_of_a_table_that_is_not_ready(slow: Place) -> None:
    slow.ok(wait=False)
    slow.twice(envs={"default_ttl": 5}, wait=False)
    slow.twice(envs={"default_ttl": None}, wait=False)


def test_a_table_that_never_has_primaries(place: Place) -> None:
    place.server.behave(primaries_seconds=1000)
    args: dict[str, Any] = {"partition_count": 5, "envs": {"default_ttl": 9}, "wait_timeout": 1}
    result = place.run(**args)
    assert result["failed"] is True and result["changed"] is True
    assert "the table was created, but then: after 1 s 5 of 5 partitions have no primary" in result["msg"]
    assert "wait_timeout" in result["msg"] and result["failures"][0]["code"] == "NO_PRIMARY"
    assert place.envs() == {} and result["resource"]["envs"] == {}
    mark = place.server.mark()
    again = place.run(partition_count=5, wait_timeout=1)
    assert again["failed"] is True and again["changed"] is False
    assert "after 1 s 5 of 5 partitions have no primary" in again["msg"] and place.sent(mark) == []
    place.same(partition_count=5, wait=False)
    place.ok(state="absent")


# --- envs


def test_envs_that_mean_the_same_are_equal(place: Place) -> None:
    written = {
        "replica.write_throttling": "3000*reject*200, 20K*delay*100",
        "replica.deny_client_request": "reconfig * write",
        "replica.rocksdb_block_cache_enabled": "TRUE",
        "replica.slow_query_threshold": "0100",
        "replica.read_throttling_by_size": "20K",
    }
    place.ok()
    place.admin.set_envs(place.name, {n: t for n, t in written.items() if n != "replica.deny_client_request"})
    place.same(
        envs={
            "replica.write_throttling": "20000*delay*100,3000*reject*200",
            "replica.rocksdb_block_cache_enabled": True,
            "replica.slow_query_threshold": 100,
            "replica.read_throttling_by_size": 20000,
        }
    )
    result = place.same(envs=written | {"replica.deny_client_request": None})
    assert result["resource"]["envs"]["replica.write_throttling"] == "20000*delay*100,3000*reject*200"


def test_only_what_differs_is_set(place: Place) -> None:
    place.ok(envs={"business.info": "a", "rocksdb.num_levels": 5, "replica.slow_query_threshold": 50})
    mark = place.server.mark()
    result = place.twice(envs={"business.info": "a", "rocksdb.num_levels": 6, "replica.slow_query_threshold": None})
    assert place.sent(mark) == ["UPDATE_APP_ENV", "UPDATE_APP_ENV"]
    assert place.envs() == result["resource"]["envs"] == {"business.info": "a", "rocksdb.num_levels": "6"}
    place.same(envs={"no.such.env": None})


def test_a_default_ttl_that_goes_is_set_to_nothing(place: Place) -> None:
    """Servers that run go on with one that is only removed."""
    place.ok(envs={"default_ttl": 600})
    place.data.put(place.name, b"h", b"1", b"x")
    assert place.data.ttl(place.name, b"h", b"1") > 500
    result = place.twice(envs={"default_ttl": None})
    assert "default_ttl" not in result["resource"]["envs"] and place.envs() == {"default_ttl": "0"}
    place.data.put(place.name, b"h", b"2", b"x")
    assert place.data.ttl(place.name, b"h", b"2") == -1
    place.same(envs={"default_ttl": 0})
    place.same(envs={}, purge_envs=True)
    place.twice(envs={"default_ttl": 60})
    place.twice(envs={}, purge_envs=True)
    assert place.envs() == {"default_ttl": "0"}


def test_a_purge_leaves_what_servers_set_themselves(place: Place) -> None:
    place.ok(partition_count=2)
    place.server.do(f"split {place.name}")
    place.server.wait_for(lambda: len(place.admin.cluster.config(place.name).partitions) == 4)
    place.admin.set_envs(place.name, {"business.info": "x"})
    validates = {"replica.split.validate_partition_hash": "true"}
    assert place.twice(purge_envs=True, envs={})["resource"]["envs"] == place.envs() == validates
    place.same(purge_envs=True)
    assert place.same()["resource"]["partition_count"] == 4
    place.twice(purge_envs=True, envs={"replica.split.validate_partition_hash": None})
    assert place.envs() == {}


def test_an_env_that_the_server_does_not_know(place: Place) -> None:
    result = place.run(envs={"no.such.env": 1})
    assert "the table was created, but then: " in result["msg"] and "no.such.env" in result["msg"]
    assert result["changed"] is True and result["resource"]["envs"] == {}
    assert result["failures"][0]["code"] == "ERR_INVALID_PARAMETERS" and result["failures"][0]["hint"]
    mark = place.server.mark()
    result = place.run(envs={"no.such.env": 1, "business.info": "x"})
    assert (result["failed"], result["changed"]) == (True, False) and place.sent(mark) == ["UPDATE_APP_ENV"]
    assert place.envs() == {}
    place.same()


# --- partitions and replicas


def test_partitions_cannot_be_changed_in_place(place: Place) -> None:
    place.ok(partition_count=4)
    told = place.refused(partition_count=8)
    assert "it has 4 partitions, and 8 are wanted" in told and "partition_split" in told
    told = place.refused(partition_count=3)
    assert "copy the data" in told and "partition_split" not in told
    place.same(partition_count=4)


def test_replicas(place: Place) -> None:
    assert place.ok()["resource"]["replica_count"] == 3
    mark = place.server.mark()
    place.twice(replica_count=1)
    assert place.sent(mark) == ["SET_MAX_REPLICA_COUNT"]
    place.server.wait_for(lambda: not any(p.secondaries for p in place.admin.cluster.config(place.name).partitions))
    assert place.same()["resource"]["replica_count"] == 1
    assert "4 replicas are asked for, and 3 replica servers live" in place.refused(replica_count=4)
    place.another()
    assert "replica_count of 3 or less" in place.refused(replica_count=4)
    place.server.behave(dead=["replica3"])
    place.server.do("hurry")
    assert "3 replicas are asked for, and 2 replica servers live" in place.refused()
    place.twice(replica_count=2)


def test_a_frozen_cluster(place: Place) -> None:
    place.server.behave(dead=["replica2", "replica3"])
    place.server.do("hurry")
    result = place.run(replica_count=1)
    assert result["failures"][0]["code"] == "ERR_STATE_FREEZED" and "65 %" in result["msg"]
    assert place.admin.table(place.name) is None


# --- rename, drop, recall


def test_rename(place: Place) -> None:
    old = place.server.new_name()
    place.ok(name=old, partition_count=2, envs={"business.info": "x"})
    place.data.put(old, b"h", b"", b"kept")
    result = place.twice(renamed_from=old, replica_count=2, envs={"business.info": "y"})
    assert result["resource"]["action"] == "updated" and result["resource"]["partition_count"] == 2
    assert result["diff"][0]["before"]["name"] == old and result["diff"][0]["after"]["name"] == place.name
    assert place.data.get(place.name, b"h", b"") == b"kept" and place.admin.table(old) is None
    place.ok(name=old)
    assert "both it and %s" % old in place.refused(renamed_from=old)
    place.ok(name=old, state="absent")
    place.another()
    assert place.ok(renamed_from=old)["resource"]["action"] == "created"  # neither was there


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ([{"name": "a", "renamed_from": "c"}, {"name": "b", "renamed_from": "c"}], "two items have renamed_from: c"),
        ([{"name": "a", "renamed_from": "b"}, {"name": "b"}], "b is declared, and is to be renamed to a"),
        ([{"name": "a", "renamed_from": "b"}, {"name": "b", "state": "absent"}], "b is declared, and is to be"),
    ],
)
def test_renames_that_contradict_each_other(place: Place, batch: list[dict[str, Any]], told: str) -> None:
    assert told in place.refused(batch=batch)


def test_drop_and_recall(place: Place) -> None:
    place.ok(partition_count=2, replica_count=2, envs={"default_ttl": 600})
    place.data.put(place.name, b"h", b"", b"kept")
    first = place.same()["resource"]["app_id"]
    assert place.twice(state="absent", reserve="1h")["resource"]["action"] == "deleted"
    row = next(row for row in place.admin.tables("dropped") if row["app_id"] == first)
    assert 3500 < row["expires"] - row["dropped"] <= 3600
    result = place.twice(recall=True, envs={"business.info": "x"}, replica_count=1)
    resource = result["resource"]
    assert (resource["action"], resource["recalled"], resource["app_id"]) == ("created", True, first)
    assert resource["envs"] == {"default_ttl": "600", "business.info": "x"} and resource["replica_count"] == 1
    assert place.data.get(place.name, b"h", b"") == b"kept"
    # Without recall it is another one, and the one that was dropped last is what comes back.
    place.ok(state="absent")
    second = place.ok()["resource"]["app_id"]
    place.data.cluster.forget(place.name)  # servers answer those for some seconds who know the old one
    assert second != first and place.data.get(place.name, b"h", b"") is None
    row = next(row for row in place.admin.tables("dropped") if row["app_id"] == first)
    assert row["expires"] - row["dropped"] > 600000  # the servers' own 7 days
    place.server.wait_for(lambda: time.time() >= row["dropped"] + 1)
    place.ok(state="absent")
    assert "the dropped table has 8 partitions, and 2 are wanted" in place.refused(recall=True, partition_count=2)
    assert place.ok(recall=True)["resource"]["app_id"] == second


def test_nothing_is_recalled_that_is_not_kept(place: Place) -> None:
    result = place.twice(recall=True, partition_count=1)
    assert "recalled" not in result["resource"]
    place.twice(state="absent", reserve=1)
    row = max((row for row in place.admin.tables("dropped") if row["name"] == place.name), key=lambda r: r["app_id"])
    place.server.wait_for(lambda: time.time() > row["expires"] + 1)
    assert "recalled" not in place.twice(recall=True)["resource"]


# --- many


def test_many_are_read_with_one_call(place: Place) -> None:
    batch = [{"name": f"{place.name}-{number}"} for number in range(6)]
    more: dict[str, Any] = {"partition_count": 1, "replica_count": 1, "wait": False}
    assert place.ok(batch=batch, **more)["summary"]["created"] == 6
    mark = place.server.mark()
    assert place.same(batch=batch, **more)["summary"]["unchanged"] == 6
    assert [entry["method"] for entry in place.server.requests(mark)] == ["LIST_APPS"]
    assert place.ok(batch=batch, state="absent")["summary"]["deleted"] == 6


def test_one_of_many_fails(place: Place) -> None:
    batch = [{"name": place.name}, {"name": place.name + "-bad", "envs": {"no.such": 1}}, {"name": place.name + "-2"}]
    result = place.run(batch=batch, partition_count=1)
    assert result["failed"] is True and result["changed"] is True
    actions = {row["name"]: row["action"] for row in result["resources"]}
    assert actions == {place.name: "created", place.name + "-bad": "failed", place.name + "-2": "created"}
    assert [row["item"] for row in result["failures"]] == [place.name + "-bad"]
