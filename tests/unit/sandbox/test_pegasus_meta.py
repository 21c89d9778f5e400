# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the Pegasus stand-in: making, dropping, recalling, renaming, environments, and what master says else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import OPTIONS, Client, RpcError
from polystore_sandbox.pegasus.envs import CHECKS, refusal, refused_at_creation

pytestmark = [pytest.mark.server, pytest.mark.pegasus]
BAD = "ERR_INVALID_PARAMETERS"
THROTTLED = "2000*delay*100,3000*reject*200"
DENIED = "Invalid deny client args, valid include: timeout*all, timeout*write, timeout*read; "


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[Client]:
    made = Client(pegasus_server)
    yield made
    made.close()


@pytest.fixture
def name(pegasus_server: PegasusServer) -> str:
    return pegasus_server.new_name()


def create(client: Client, name: str, partitions: int = 4, replicas: int = 3, **options: Any) -> tuple[str, int]:
    given = {**OPTIONS, "partition_count": partitions, "replica_count": replicas, **options}
    answer = client.meta("CREATE_APP", app_name=name, options=given)
    return answer["err"], answer["appid"]


def envs(client: Client, name: str, op: int, keys: list[str] | None = None, **args: Any) -> tuple[str, str]:
    answer = client.meta("UPDATE_APP_ENV", app_name=name, op=op, keys=keys, **args)
    return answer["err"], answer["hint"]


def listed(client: Client, name: str, status: int = 0) -> list[dict[str, Any]]:
    return [info for info in client.meta("LIST_APPS", status=status)["infos"] if info["app_name"] == name]


# --- creating --------------------------------------------------------------------------------------------------------


def test_creating_twice(client: Client, name: str) -> None:
    error, number = create(client, name)
    assert error == "ERR_OK"
    assert create(client, name) == ("ERR_APP_EXIST", 0)
    assert create(client, name, success_if_exist=True) == ("ERR_OK", number)
    for other in ({"partitions": 8}, {"replicas": 2}, {"envs": {"business.info": "x"}}):
        assert create(client, name, success_if_exist=True, **other) == (BAD, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        *({"partitions": 0}, {"replicas": 0}, {"replicas": 4}, {"replicas": 6}),
        *({"envs": {"rocksdb.num_levels": "11"}}, {"envs": {"rocksdb.write_buffer_size": "1"}}),
    ],
)
def test_what_cannot_be_created(client: Client, name: str, options: dict[str, Any]) -> None:
    assert create(client, name, **options) == (BAD, 0)
    assert listed(client, name) == []


def test_other_environments_are_stored_as_they_are(client: Client, name: str) -> None:
    given = {"no.such.env": "1", "replica.slow_query_threshold": "1"}
    assert create(client, name, partitions=3, replicas=2, envs=given)[0] == "ERR_OK"
    (info,) = listed(client, name, 1)
    assert (info["envs"], info["status"], info["init_partition_count"]) == (given, 1, 3)


def test_primaries_come_with_time(client: Client, name: str) -> None:
    client.server.behave(primaries_seconds=1000, secondaries_seconds=1000)
    create(client, name)
    (first, *_rest) = client.config(name)["partitions"]
    assert (first["ballot"], first["primary"], first["secondaries"], first["max_replica_count"]) == (0, 0, [], 3)
    with pytest.raises(RpcError, match="ERR_OBJECT_NOT_FOUND"):
        app_id = client.config(name)["app_id"]
        where = next(iter(client.server.nodes.values()))
        client.call(where, "RPC_RRDB_RRDB_GET", b"\0\1h", app_id=app_id)
    client.server.behave(primaries_seconds=0, secondaries_seconds=1000)
    client.server.do("hurry")
    assert client.complete(name)["partitions"][0]["ballot"] == 3


def test_writes_need_two_of_three(client: Client, name: str) -> None:
    client.server.behave(primaries_seconds=0, secondaries_seconds=1000)
    create(client, name)
    assert client.config(name)["partitions"][0]["primary"]
    with pytest.raises(RpcError, match="ERR_NOT_ENOUGH_MEMBER"):
        client.put(name, b"h", b"k", b"v")
    assert client.get(name, b"h", b"k") is None
    client.server.do("hurry")
    assert client.put(name, b"h", b"k", b"v") == 0


# --- dropping, recalling, renaming -----------------------------------------------------------------------------------


def test_dropping_and_recalling(client: Client, name: str) -> None:
    number = client.create(name, envs={"business.info": "me"})
    client.put(name, b"h", b"k", b"v")
    old = client.config(name)
    drop = {"options": {"success_if_not_exist": False}}
    assert client.meta("RECALL_APP", app_id=number, new_name="")["err"] == "ERR_APP_EXIST"
    assert client.meta("DROP_APP", app_name=name, **drop)["err"] == "ERR_OK"
    assert client.meta("DROP_APP", app_name=name, **drop)["err"] == "ERR_APP_NOT_EXIST"
    drop["options"]["success_if_not_exist"] = True
    assert client.meta("DROP_APP", app_name=name, **drop)["err"] == "ERR_OK"
    assert client.config(name)["err"] == "ERR_OBJECT_NOT_FOUND"
    assert envs(client, name, 1, ["business.info"], values=["x"]) == (BAD, "invalid app name")
    (info,) = listed(client, name, 6)
    assert (info["app_id"], info["expire_second"] - info["drop_second"]) == (number, 604800)

    index = next(i for i, part in enumerate(old["partitions"]) if part["primary"])
    where = client.where(old["partitions"][index]["primary"])
    client.call(where, "RPC_RRDB_RRDB_GET", b"\0\1hk", app_id=number, partition=index)  # still served
    client.server.do("hurry")
    with pytest.raises(RpcError, match="ERR_OBJECT_NOT_FOUND"):
        client.call(where, "RPC_RRDB_RRDB_GET", b"\0\1hk", app_id=number, partition=index)

    assert client.create(name) != number  # the name is free
    assert client.meta("RECALL_APP", app_id=number, new_name="")["err"] == BAD
    answer = client.meta("RECALL_APP", app_id=number, new_name=f"{name}-back")
    assert (answer["err"], answer["info"]["status"], answer["info"]["envs"]) == ("ERR_OK", 1, {"business.info": "me"})
    client.complete(f"{name}-back")
    assert client.get(f"{name}-back", b"h", b"k") == b"v"
    unknown = client.meta("RECALL_APP", app_id=999999, new_name="")
    assert (unknown["err"], unknown["info"]["init_partition_count"]) == ("ERR_APP_NOT_EXIST", -1)


def test_a_dropped_table_expires(client: Client, name: str) -> None:
    number = client.create(name)
    client.meta("DROP_APP", app_name=name, options={"success_if_not_exist": False, "reserve": 1})
    (info,) = listed(client, name)
    assert info["expire_second"] - info["drop_second"] == 1
    client.server.wait_for(lambda: time.time() > info["expire_second"])
    assert client.meta("RECALL_APP", app_id=number, new_name="")["err"] == "ERR_APP_NOT_EXIST"


def test_renaming(client: Client, name: str) -> None:
    client.create(name)
    client.put(name, b"h", b"k", b"v")

    def rename(old: str, new: str) -> tuple[str, str]:
        answer = client.meta("RENAME_APP", old_name=old, new_name=new)
        return answer["err"], answer["hint"]

    new = f"{name}-new"
    assert rename(name, name) == (BAD, f"ERROR: app({name}) already exist!")
    assert rename(name, "temp") == (BAD, "ERROR: app(temp) already exist!")
    assert rename(name, new) == ("ERR_OK", "")
    assert rename(name, new) == ("ERR_APP_NOT_EXIST", f"ERROR: app({name}) not exist!")
    assert client.get(new, b"h", b"k") == b"v"


def test_replica_counts(client: Client, name: str) -> None:
    client.create(name)

    def put(count: int, app_name: str = name) -> tuple[str, int, str]:
        answer = client.meta("SET_MAX_REPLICA_COUNT", app_name=app_name, count=count)
        return answer["err"], answer["old"], answer["hint"]

    assert put(2) == ("ERR_OK", 3, "")
    client.complete(name, 2)
    assert client.meta("GET_MAX_REPLICA_COUNT", app_name=name)["count"] == 2
    assert put(2) == ("ERR_OK", 2, "no need to update max_replica_count since it's not changed")
    assert put(9) == (BAD, 2, "requested replica count(9) must be within the range of [min=1, max=5]")
    assert put(4) == (BAD, 2, "there are not enough alive replica servers(3) for the requested replica count(4)")
    missing = f"{name}-no"
    assert put(1, missing) == ("ERR_APP_NOT_EXIST", 0, f"app({missing}) does not exist")
    assert client.meta("GET_MAX_REPLICA_COUNT", app_name=missing)["err"] == "ERR_APP_NOT_EXIST"


# --- environments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "good", "bad", "hint"),
    [
        (
            "replica.slow_query_threshold",
            ["20", "100"],
            ["19", "0", "-1", "abc", "", "20ms"],
            "Slow query threshold must be >= 20ms",
        ),
        ("replica.write_throttling", [THROTTLED, "20K*delay*100"], [""], "The value shouldn't be empty"),
        ("replica.write_throttling", [], ["20"], "The field count of 20 should be 3"),
        ("replica.read_throttling", [], ["1*delay*1,2*delay*2"], "duplicate delay config"),
        ("replica.backup_request_throttling", [], ["1*x*1"], 'x should be "delay" or "reject"'),
        ("replica.write_throttling_by_size", ["200K*delay*100"], ["x*delay*1"], "x should be non-negative int"),
        (
            "replica.read_throttling_by_size",
            ["20000", "20K", "20000*delay*100", "2000000*delay*100,3000000*reject*100"],
            ["", "abc"],
            "wrong format, you can set like 20000 or 20K",
        ),
        (
            "replica.deny_client_request",
            [f"{how}*{what}" for how in ("timeout", "reconfig") for what in ("all", "write", "read")],
            ["", "x*all", "reconfig"],
            f"{DENIED}reconfig*all, reconfig*write, reconfig*read",
        ),
        (
            "rocksdb.write_buffer_size",
            ["16777216", "536870912"],
            ["16777215", "536870913"],
            "rocksdb.write_buffer_size suggest set val in range [16777216, 536870912]",
        ),
        ("rocksdb.num_levels", ["1", "10"], ["0", "11"], "rocksdb.num_levels suggest set val in range [1 , 10]"),
        (
            "replica.rocksdb_block_cache_enabled",
            ["true", "TRUE", "False"],
            ["yes"],
            'invalid string yes, should be "true" or "false"',
        ),
        ("default_ttl", ["abc", "-1", "0", "86400"], [], ""),
        ("rocksdb.usage_scenario", ["nonsense", ""], [], ""),
        ("max_replica_count.update", [], ["1"], 'app_env "max_replica_count.update" is not supported'),
        ("no.such.env", [], ["x"], 'app_env "no.such.env" is not supported'),
    ],
)
def test_values_of_environments(env: str, good: list[str], bad: list[str], hint: str) -> None:
    assert [refusal(env, value, False) for value in good] == [""] * len(good)
    assert [refusal(env, value, False) for value in bad] == [hint] * len(bad)


def test_there_are_29_environments() -> None:
    assert len(CHECKS) == 29
    assert refused_at_creation({"rocksdb.num_levels": "0"}, False)
    assert not refused_at_creation({"replica.slow_query_threshold": "1", "x": "y"}, False)


def test_setting_and_deleting_environments(client: Client, name: str) -> None:
    client.create(name)
    assert envs(client, name, 1, ["business.info", "no.such"], values=["a", "b"])[0] == BAD
    assert listed(client, name)[0]["envs"] == {}
    names = ["business.info", "manual_compact.disabled", "manual_compact.periodic.trigger_time"]
    assert envs(client, name, 1, names, values=["a", "b", "c"]) == ("ERR_OK", "")
    assert envs(client, name, 1, names, values=["a"])[0] == BAD
    assert envs(client, name, 3, prefix="manual") == ("ERR_OK", "no key need to delete")
    both = "deleted keys:\n    manual_compact.disabled\n    manual_compact.periodic.trigger_time"
    assert envs(client, name, 3, prefix="manual_compact") == ("ERR_OK", both)
    assert envs(client, name, 2, ["x", "business.info"]) == ("ERR_OK", "deleted keys:\n    business.info")
    assert envs(client, name, 2, ["business.info"]) == ("ERR_OK", "no key need to delete")
    assert envs(client, name, 3, prefix="") == ("ERR_OK", "no key need to delete")
    for wrong in ({"op": 1}, {"op": 2}, {"op": 3}, {"op": 7}):
        assert client.meta("UPDATE_APP_ENV", app_name=name, **wrong)["err"] == BAD


# --- the cluster -----------------------------------------------------------------------------------------------------


def test_levels(client: Client, name: str) -> None:
    assert client.meta("CONTROL_META", level=10000)["old"] == 400
    assert client.meta("CONTROL_META", level=300)["old"] == 400
    assert create(client, name) == ("ERR_STATE_FREEZED", 0)
    assert client.meta("CONTROL_META", level=400)["old"] == 300
    assert client.meta("CONTROL_META", level=7)["err"] == BAD


def test_facts(client: Client) -> None:
    nodes = client.meta("LIST_NODES", status=0)["infos"]
    assert [(node["status"], client.where(node["node"])) for node in nodes] == [
        (1, where) for where in client.server.nodes.values()
    ]
    info = client.meta("CLUSTER_INFO")
    told = dict(zip(info["keys"], info["values"], strict=True))
    assert told["meta_servers"] == ",".join(client.server.meta_servers)
    assert told["balance_operation_count"] == "move_pri=0,copy_pri=0,copy_sec=0,total=0"
    with pytest.raises(RpcError, match="ERR_HANDLER_NOT_FOUND"):
        client.meta("GET_ATOMIC_IDEMPOTENT", app_name="temp")


def test_what_follows_2_5(pegasus_master_server: PegasusServer) -> None:
    client, name = Client(pegasus_master_server), pegasus_master_server.new_name()
    client.create(name, atomic_idempotent=True)
    (part, *_rest) = client.config(name)["partitions"]
    host, port = part["hp_primary"]
    assert (host, port) == ("localhost", part["primary"] >> 16 & 0xFFFF)
    assert [port for _host, port in part["hp_secondaries"]] == [at >> 16 & 0xFFFF for at in part["secondaries"]]
    assert part["hp_last_drops"] == []
    nodes = client.meta("LIST_NODES", status=1)["infos"]
    assert [node["hp_node"][0] for node in nodes] == ["localhost"] * 3
    assert client.single(name, "GET", b"h", b"k")["server"].startswith("localhost:")
    info = client.meta("CLUSTER_INFO")
    told = dict(zip(info["keys"], info["values"], strict=True))
    assert json.loads(told["balance_operation_count"])["total"] == 0
    assert listed(client, name)[0]["atomic_idempotent"] is True
    assert client.meta("GET_ATOMIC_IDEMPOTENT", app_name=name)["on"] is True
    assert client.meta("SET_ATOMIC_IDEMPOTENT", app_name=name, on=False)["old"] is True
    assert envs(client, name, 1, ["default_ttl"], values=["abc"])[0] == BAD
    assert envs(client, name, 2, ["default_ttl"]) == ("ERR_OK", "no key needs to be deleted")
    assert envs(client, f"{name}-no", 1, ["default_ttl"], values=["1"]) == ("ERR_APP_NOT_EXIST", "app cannot be found")
    found = client.meta("LIST_APPS", status=0, pattern=name, match=2)["infos"]
    assert [info["app_name"] for info in found] == [name]
    client.close()
