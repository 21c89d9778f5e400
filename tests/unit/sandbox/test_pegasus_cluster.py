# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pegasus stand-in's servers: leaders, deaths, moves, splits, throttles and faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.pegasus import RealServer
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import (
    OPTIONS,
    PUT,
    Client,
    RpcError,
    Wire,
    body_of,
    environment,
    framed,
    parsed,
    primary,
    refused,
)
from polystore_sandbox.pegasus.keys import crc64, joined
from polystore_sandbox.pegasus.schema import DATA, META, V1_META
from polystore_sandbox.pegasus.thrift import text, write_struct
from polystore_sandbox.pegasus.wire import MAGIC, V1

pytestmark = [pytest.mark.server, pytest.mark.pegasus]


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[Client]:
    made = Client(pegasus_server)
    yield made
    made.close()


@pytest.fixture
def table(client: Client) -> str:
    name = client.server.new_name()
    client.create(name)
    return name


# --- who leads, who is primary ---------------------------------------------------------------------------------------


def test_a_meta_that_does_not_lead(client: Client, table: str) -> None:
    answer = client.meta("QUERY_PARTITION_CONFIG_BY_INDEX", 1, app_name=table)
    assert answer["err"] == "ERR_FORWARD_TO_OTHERS"
    assert client.where(answer["partitions"][0]["primary"]) == client.server.meta_servers[0]
    assert client.meta("LIST_APPS", 1, status=0)["err"] == "ERR_FORWARD_TO_OTHERS"
    client.server.behave(leader="meta2")
    assert client.meta("LIST_APPS", 0, status=0)["err"] == "ERR_FORWARD_TO_OTHERS"
    assert client.meta("LIST_APPS", 1, status=0)["err"] == "ERR_OK"


def test_the_leader_dies(client: Client, table: str) -> None:
    client.server.behave(dead=["meta1"], failover_seconds=1000)
    answer = client.meta("QUERY_PARTITION_CONFIG_BY_INDEX", 1, app_name=table)
    assert answer["err"] == "ERR_FORWARD_TO_OTHERS"
    with pytest.raises(ConnectionError):
        Wire(client.server.meta_servers[0])
    client.server.do("hurry")
    assert client.meta("LIST_APPS", 1, status=0)["err"] == "ERR_OK"
    client.server.behave(dead=[])
    client.close()
    assert client.meta("LIST_APPS", 0, status=0)["err"] == "ERR_FORWARD_TO_OTHERS"


def test_a_primary_dies_and_comes_back(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    name = next(name for name, at in client.server.nodes.items() if at == where)
    client.server.behave(dead=[name], failover_seconds=1000, secondaries_seconds=1000)
    with pytest.raises(ConnectionError):
        Wire(where)
    assert primary(client, table, b"h")[0] == where  # the metas do not know yet
    client.server.do("hurry")
    part = client.config(table)["partitions"][header["partition"]]
    assert client.where(part["primary"]) != where
    assert [client.where(drop) for drop in part["last_drops"]] == [where]
    assert [node["status"] for node in client.meta("LIST_NODES", status=2)["infos"]] == [2]
    assert client.get(table, b"h", b"k") == b"v"
    assert client.put(table, b"h", b"k", b"w") == 0  # with two of three
    client.server.behave(dead=[])
    client.server.do("hurry")
    client.complete(table)


def test_without_a_primary(client: Client) -> None:
    table = client.server.new_name()
    client.create(table, 1, 1)
    client.put(table, b"h", b"k", b"v")
    where, _header = primary(client, table, b"h")
    name = next(name for name, at in client.server.nodes.items() if at == where)
    client.server.behave(dead=[name], failover_seconds=0)
    (part,) = client.config(table)["partitions"]
    assert part["primary"] == 0
    client.server.behave(dead=[])
    client.close()
    assert client.get(table, b"h", b"k") == b"v"


def test_too_few_nodes(client: Client, table: str) -> None:
    client.server.behave(dead=["replica1", "replica2"], failover_seconds=0, secondaries_seconds=1000)
    given = {**OPTIONS, "partition_count": 4, "replica_count": 1}
    assert client.meta("CREATE_APP", app_name="x", options=given)["err"] == "ERR_STATE_FREEZED"
    with pytest.raises(RpcError, match="ERR_NOT_ENOUGH_MEMBER"):
        client.put(table, b"h", b"k", b"v")


@pytest.mark.parametrize(("act", "error"), [("move", "ERR_INVALID_STATE"), ("expel", "ERR_OBJECT_NOT_FOUND")])
def test_a_configuration_grows_old(client: Client, table: str, act: str, error: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    client.server.behave(secondaries_seconds=1000)
    client.server.do(f"{act} {table} {header['partition']}")
    assert refused(client, where, header) == error
    assert refused(client, where, header, "PUT", PUT) == error
    assert client.get(table, b"h", b"k") == b"v"


def test_whom_not_to_ask(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    assert refused(client, where, {**header, "app_id": 999}) == "ERR_OBJECT_NOT_FOUND"
    assert refused(client, where, {**header, "partition": 4}) == "ERR_OBJECT_NOT_FOUND"
    with pytest.raises(RpcError, match="ERR_HANDLER_NOT_FOUND"):
        client.call(where, f"{META}LIST_APPS", {"status": 0})
    with pytest.raises(RpcError, match="ERR_HANDLER_NOT_FOUND"):
        client.call(where, "RPC_NO_SUCH", {})
    with pytest.raises(RpcError, match="ERR_HANDLER_NOT_FOUND"):
        client.call(client.server.meta_servers[0], "RPC_NO_SUCH", {})


# --- splits ----------------------------------------------------------------------------------------------------------


def test_a_split(client: Client, table: str) -> None:
    hash_keys = [b"hash%d" % number for number in range(32)]
    for hash_key in hash_keys:
        client.put(table, hash_key, b"s", hash_key)
    before = client.config(table)
    client.server.behave(split_seconds=1000, splitting_seconds=1000)
    client.server.do(f"split {table}")
    config = client.config(table)
    assert config["partition_count"] == 8
    assert [part["ballot"] > 0 for part in config["partitions"]] == [True] * 4 + [False] * 4
    moved = next(key for key in hash_keys if crc64(key) % 8 >= 4)
    parent = crc64(moved) % 4
    header = {"app_id": config["app_id"], "partition": parent, "hashed": crc64(moved)}
    where = client.where(before["partitions"][parent]["primary"])
    assert client.call(where, f"{DATA}GET", joined(moved, b"s"), **header)["value"] == moved
    drop = {"app_name": table, "options": {"success_if_not_exist": False}}
    assert client.meta("DROP_APP", **drop)["err"] == "ERR_SPLITTING"

    client.server.behave(split_seconds=0)
    client.server.do("hurry")
    config = client.complete(table)
    assert len(config["partitions"]) == 8
    assert refused(client, where, header, "GET", joined(moved, b"s")) == "ERR_PARENT_PARTITION_MISUSED"
    for hash_key in hash_keys:
        assert client.get(table, hash_key, b"s") == hash_key
    found = []
    for index in range(8):
        given = {"start": b"\0\0", "stop": b"\xff\xff", "full_scan": True}
        found += client.data(table, "GET_SCANNER", given, index, index)["rows"]
    assert sorted(row["value"] for row in found) == sorted(hash_keys)
    (info,) = [info for info in client.meta("LIST_APPS", status=1)["infos"] if info["app_name"] == table]
    assert info["envs"] == {"replica.split.validate_partition_hash": "true"}


def test_parents_refuse_at_the_end_of_a_split(client: Client, table: str) -> None:
    where, header = primary(client, table, b"h")
    client.server.behave(split_seconds=0, splitting_seconds=1000)
    answer = client.meta("START_PARTITION_SPLIT", app_name=table, partition_count=8)
    assert answer["err"] == "ERR_OK"
    assert client.meta("START_PARTITION_SPLIT", app_name=table, partition_count=16)["err"] == "ERR_BUSY"
    assert client.meta("START_PARTITION_SPLIT", app_name=table, partition_count=9)["err"] == "ERR_INVALID_PARAMETERS"
    assert refused(client, where, header) == "ERR_SPLITTING"
    client.server.do("hurry")
    assert client.put(table, b"h", b"k", b"v") == 0


# --- environments that decide ----------------------------------------------------------------------------------------


def test_throttling(client: Client) -> None:
    table = client.server.new_name()
    client.create(table, 1, 1)
    environment(client, table, replica__write_throttling="1*reject*1")
    errors = []
    for _turn in range(40):
        try:
            client.put(table, b"h", b"k", b"v")
        except RpcError as exc:
            errors.append(str(exc))
    assert set(errors) == {"ERR_BUSY"}
    environment(client, table, replica__write_throttling="1*delay*1")
    assert [client.put(table, b"h", b"k", b"v") for _turn in range(5)] == [0] * 5
    environment(client, table, replica__read_throttling_by_size="100")
    client.put(table, b"h", b"k", b"x" * 5000)
    assert client.get(table, b"h", b"k") == b"x" * 5000
    with pytest.raises(RpcError, match="ERR_BUSY"):
        client.get(table, b"h", b"k")


def test_denying(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    environment(client, table, replica__deny_client_request="reconfig*write")
    assert refused(client, where, header, "PUT", PUT) == "ERR_INVALID_STATE"
    assert client.get(table, b"h", b"k") == b"v"
    environment(client, table, replica__deny_client_request="timeout*all")
    wire = Wire(where)
    wire.socket.sendall(framed(body_of(f"{DATA}GET", joined(b"h", b"k")), **header))
    assert wire.silent()
    client.meta("UPDATE_APP_ENV", app_name=table, op=2, keys=["replica.deny_client_request"])
    assert client.get(table, b"h", b"k") == b"v"
    wire.close()


def test_environments_take_time(client: Client, table: str) -> None:
    client.server.behave(env_seconds=1000)
    environment(client, table, replica__deny_client_request="reconfig*all")
    assert client.put(table, b"h", b"k", b"v") == 0
    client.server.do("hurry")
    with pytest.raises(RpcError, match="ERR_INVALID_STATE"):
        client.put(table, b"h", b"k", b"v")


# --- the wire --------------------------------------------------------------------------------------------------------


def test_requests_in_one_segment(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    wire = Wire(where)
    requests = [framed(body_of(f"{DATA}GET", joined(b"h", b"k"), number), **header) for number in range(50)]
    sender = threading.Thread(target=wire.socket.sendall, args=(b"".join(requests),))
    sender.start()
    answers = [parsed(wire.frame()) for _turn in range(50)]
    sender.join()
    assert [number for _error, number, _answer in answers] == list(range(50))
    for piece in requests[0][:20], requests[0][20:60], requests[0][60:]:
        wire.socket.sendall(piece)
    assert parsed(wire.frame())[0] == "ERR_OK"
    wire.close()


def test_the_old_envelope(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    body = body_of(f"{DATA}GET", joined(b"h", b"k"), 7)
    name = text(f"{DATA}GET")
    old = name + b"\1" + body[4 + len(name) :]
    wire = Wire(where)
    error, number, answer = parsed(wire.raw(framed(old, **header)))
    assert (error, number, answer and answer["value"]) == ("ERR_OK", 7, b"v")
    wire.close()


def test_the_java_client_s_header(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    target = {"app_id": header["app_id"], "partition": header["partition"], "timeout": 5000}

    def ask(at: str, name: str, args: Any, backup: bool) -> tuple[str, Any]:
        hashed = crc64(b"h") - ((crc64(b"h") >> 63) << 64)
        meta = write_struct(V1_META, {**target, "partition_hash": hashed, "backup": backup})
        body = body_of(DATA + name, args)
        wire = Wire(at)
        error, _number, answer = parsed(wire.raw(V1.pack(MAGIC, 1, len(meta), len(body)) + meta + body))
        wire.close()
        return error, answer

    other = next(at for at in client.server.nodes.values() if at != where)
    assert ask(where, "PUT", {**PUT, "value": b"w"}, False)[0] == "ERR_OK"
    assert ask(other, "GET", PUT["key"], False) == ("ERR_INVALID_STATE", None)
    error, answer = ask(other, "GET", PUT["key"], True)
    assert (error, answer["value"]) == ("ERR_OK", b"w")


@pytest.mark.parametrize(
    "data",
    [
        b"garbage that is none",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"THFT\0\0\0\7" + bytes(40),
        b"THFT\0\0\0\0\0\0\0\x31" + bytes(36),
        b"THFT" + bytes(4) + b"\0\0\0\x30" + bytes(4) + b"\0\0\0\4" + bytes(28) + b"\xff\xff\xff\xff",
    ],
)
def test_foreign_bytes(client: Client, data: bytes) -> None:
    for where in (client.server.meta_servers[0], client.server.nodes["replica1"]):
        wire = Wire(where)
        assert wire.raw(data) == b""
        wire.close()
    assert client.meta("LIST_APPS", status=0)["err"] == "ERR_OK"


def test_http(client: Client) -> None:
    wire = Wire(client.server.meta_servers[0])
    wire.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    expected = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 28\r\n\r\n"
    expected += b'service not found for "none"'
    assert wire.exactly(len(expected)) == expected
    assert wire.silent()
    wire.close()


# --- faults ----------------------------------------------------------------------------------------------------------


def test_faults(client: Client, table: str) -> None:
    server = client.server
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    server.fault("status", method="GET", path=table, body="ERR_BUSY")
    assert refused(client, where, header) == "ERR_BUSY"
    server.fault("status", method="MULTI_GET", status=7)
    assert client.many(table, "MULTI_GET", b"h", sort_keys=[])["error"] == 7
    server.fault("status", method="CREATE_APP", body="err=ERR_BUSY_CREATING")
    given = {**OPTIONS, "partition_count": 1, "replica_count": 1}
    assert client.meta("CREATE_APP", app_name="never", options=given)["err"] == "ERR_BUSY_CREATING"
    server.fault("close", method="PUT")
    assert refused(client, where, header, "PUT", {**PUT, "value": b"w"}) == "closed"
    assert client.get(table, b"h", b"k") == b"v"
    server.fault("close_after", method="PUT")
    assert refused(client, where, header, "PUT", {**PUT, "value": b"w"}) == "closed"
    assert client.get(table, b"h", b"k") == b"w"
    server.fault("cut", method="GET", bytes=20)
    wire = Wire(where)
    wire.socket.sendall(framed(body_of(f"{DATA}GET", PUT["key"]), **header))
    assert wire.exactly(20)[4:14] == text("ERR_OK")
    assert wire.exactly(1) == b""
    wire.close()
    server.fault("garbage", method="GET", body="HTTP/1.1 400\r\n")
    wire = Wire(where)
    wire.socket.sendall(framed(body_of(f"{DATA}GET", PUT["key"]), **header))
    assert wire.exactly(14) == b"HTTP/1.1 400\r\n"
    assert wire.exactly(1) == b""
    wire.close()


def test_a_slow_answer_overtakes_nobody_and_is_overtaken(client: Client, table: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    client.server.fault("delay", method="GET", seconds=0.3)
    client.server.fault("hang", method="TTL")
    mark = client.server.mark()
    wire = Wire(where)
    names = ("TTL", "GET", "GET")
    wire.socket.sendall(
        b"".join(framed(body_of(DATA + name, PUT["key"], number), **header) for number, name in enumerate(names, 1))
    )
    assert [parsed(wire.frame())[1] for _turn in range(2)] == [3, 2]
    (asked,) = client.server.requests(mark, "TTL")
    assert (asked["status"], asked["fault"]) == (None, "hang")
    wire.close()


@pytest.mark.parametrize(
    ("action", "error"),
    [("move", "ERR_INVALID_STATE"), ("expel", "ERR_OBJECT_NOT_FOUND"), ("kill", "closed"), ("split", "")],
)
def test_the_cluster_changes_at_a_request(client: Client, table: str, action: str, error: str) -> None:
    client.put(table, b"h", b"k", b"v")
    where, header = primary(client, table, b"h")
    client.server.behave(secondaries_seconds=1000, split_seconds=0)
    client.server.fault(action, method="PUT", nth=2)
    assert client.put(table, b"h", b"k", b"v") == 0
    if error:
        assert refused(client, where, header, "PUT", {**PUT, "value": b"w"}) == error
    else:
        assert crc64(b"h") % 8 < 4 or refused(client, where, header, "PUT", PUT) == "ERR_PARENT_PARTITION_MISUSED"
    client.server.wait_for(lambda: client.where(client.config(table)["partitions"][0]["primary"]))
    client.server.do("hurry")
    assert client.put(table, b"h", b"k", b"x") == 0
    assert client.get(table, b"h", b"k") == b"x"


def test_the_leader_changes_at_a_request(client: Client, table: str) -> None:
    client.server.fault("leader", method="LIST_APPS")
    assert client.meta("LIST_APPS", status=0)["err"] == "ERR_FORWARD_TO_OTHERS"
    assert client.meta("LIST_APPS", 1, status=0)["err"] == "ERR_OK"


# --- a real server's forwarders --------------------------------------------------------------------------------------


def test_forwarders_log_and_carry_out_faults(client: Client, table: str) -> None:
    real = RealServer(client.server.meta_servers)
    through = Client(real)
    mark = real.mark()
    assert through.put(table, b"h", b"k", b"v") == 0
    assert client.get(table, b"h", b"k") == b"v"
    assert through.get(table, b"h", b"none") is None
    assert [(entry["method"], entry["path"].partition("/")[0]) for entry in real.writes(mark)] == [("PUT", table)]
    assert through.wire(through.where(through.config(table)["partitions"][0]["primary"]))
    there = {client.where(part["primary"]) for part in client.config(table)["partitions"]}
    here = {through.where(part["primary"]) for part in through.config(table)["partitions"]}
    assert len(here) == len(there)
    assert not here & there
    real.fault("status", method="PUT", body="ERR_BUSY")
    with pytest.raises(RpcError, match="ERR_BUSY"):
        through.put(table, b"h", b"k", b"w")
    with pytest.raises(RpcError, match="ERR_OBJECT_NOT_FOUND"):
        where, header = primary(through, table, b"h")
        through.call(where, f"{DATA}GET", b"\0\1hk", **{**header, "partition": 77})
    real.listen(False)
    with pytest.raises(ConnectionError):
        Wire(real.meta_servers[0])
    real.end_faults()
    through.close()
    through = Client(real)
    assert through.meta("QUERY_PARTITION_CONFIG_BY_INDEX", 1, app_name=table)["err"] == "ERR_FORWARD_TO_OTHERS"
    assert through.get(table, b"h", b"k") == b"v"
    through.close()
    real.listen(False)
