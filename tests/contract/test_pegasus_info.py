# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pegasus_info tells of clusters, tables and rows, on 2.5.0 and on what is to follow."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf, new_table
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
NAMES = ["a", "b", "b1", "b2", "c", "ü"]
BINARY = b"\0\xff\xfe"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def untimed(told: Any) -> Any:
    """The same without the seconds that rows have left: another second may begin between two questions."""
    if isinstance(told, list):
        return [untimed(part) for part in told]
    if not isinstance(told, dict):
        return told
    return {name: "some" if name == "ttl" and isinstance(part, int) else untimed(part) for name, part in told.items()}


class Asking(Shelf):
    """A table with rows, and questions that may not write."""

    def ask(self, **args: Any) -> dict[str, Any]:
        mark = self.server.mark()
        check, real = self.run(Info, True, **args), self.run(Info, **args)
        assert self.server.writes(mark) == [] and real.pop("changed") is False
        assert untimed({name: check[name] for name in real}) == untimed(real)
        return real

    def refused(self, **args: Any) -> str:
        return str(self.fails(Info, **args)["msg"])


@pytest.fixture(params=["pegasus_server", "pegasus_master_server"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Asking]:
    found = Asking(request.getfixturevalue(request.param))
    found.client.multi_put(found.table, b"h", {name.encode(): ("v" + name).encode() for name in NAMES})
    found.client.put(found.table, b"bin" + BINARY, BINARY, BINARY)
    found.client.put(found.table, b"lives", b"", b"", 1000)
    found.client.put(found.table, b"", b"empty hash key", b"x")
    yield found
    found.close()


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["sort_key"] for row in rows]


# --- the cluster


def test_tables_nodes_and_cluster(shelf: Asking) -> None:
    gone = shelf.server.new_name()
    new_table(shelf.server, gone, 2)
    shelf.admin.drop(gone, 1000)
    shelf.admin.set_envs(shelf.table, {"default_ttl": "0", "business.info": "x"})
    found = run_ok(Info, shelf.server)
    assert set(found) == {"changed", "tables", "dropped_tables"}
    mine = next(row for row in found["tables"] if row["name"] == shelf.table)
    assert (mine["status"], mine["partition_count"], mine["replica_count"]) == ("available", 4, 3)
    assert mine["envs"] == {"business.info": "x", "default_ttl": "0"}  # as it is, not as it is compared
    assert mine["created"].endswith("Z") and mine["dropped"] is None
    assert gone not in [row["name"] for row in found["tables"]]
    kept = next(row for row in found["dropped_tables"] if row["name"] == gone)
    assert kept["status"] == "dropped" and kept["expires"] > kept["dropped"] >= kept["created"]
    one = shelf.ask()["table"]
    assert one == {**mine, "ready": True, "without_primary": []}
    found = run_ok(Info, shelf.server, gather=["nodes", "cluster"], table=shelf.table, encoding="b64")
    assert len(found["nodes"]) == 3 and {row["status"] for row in found["nodes"]} == {"alive"}
    assert len(found["cluster"]["meta_servers"]) == 2
    assert found["cluster"]["primary_meta_server"] in found["cluster"]["meta_servers"]


def test_partitions_and_who_has_them(shelf: Asking) -> None:
    rows = shelf.ask(gather=["partitions"])["partitions"]
    assert [row["partition"] for row in rows] == [0, 1, 2, 3]
    nodes = {row["address"] for row in run_ok(Info, shelf.server, gather=["nodes"])["nodes"]}
    for row in rows:
        assert row["primary"] in nodes and nodes.issuperset(row["secondaries"])
        assert row["primary"] not in row["secondaries"] and row["replica_count"] == 3 and row["ballot"] > 0


def test_a_dead_node_and_a_table_without_primaries(pegasus_server: Any) -> None:
    shelf = Asking(pegasus_server)
    pegasus_server.behave(dead=["replica2"])
    pegasus_server.do("hurry")
    states = [row["status"] for row in run_ok(Info, pegasus_server, gather=["nodes"])["nodes"]]
    assert sorted(states) == ["alive", "alive", "unalive"]
    pegasus_server.behave(primaries_seconds=1000)
    name = pegasus_server.new_name()
    shelf.admin.create(name, 3, 1)
    found = run_ok(Info, pegasus_server, gather=["table", "partitions"], table=name)
    assert found["table"]["ready"] is False and found["table"]["without_primary"] == [0, 1, 2]
    assert [(row["primary"], row["secondaries"]) for row in found["partitions"]] == [(None, [])] * 3
    shelf.close()


def test_a_table_that_is_not_there(shelf: Asking) -> None:
    assert run_ok(Info, shelf.server, table="no such")["table"] is None
    for what in ("partitions", "value", "ttl", "exists", "range", "scan", "count", "sort_keys"):
        key = {} if what == "partitions" else {"hash_key": "h"}
        result = run_task(Info, shelf.server, gather=[what], table="no such", **key)
        assert "there is no such table" in result["msg"] and "pegasus_table" in result["msg"]
        assert result["failures"][0]["code"] == "ERR_OBJECT_NOT_FOUND"


def test_rows_of_a_table_that_was_dropped_are_not_told(shelf: Asking) -> None:
    shelf.server.behave(linger_seconds=1000)
    assert shelf.ask(hash_key="h", sort_key="a") == {"value": "va"}
    shelf.admin.drop(shelf.table)
    assert "there is no such table" in shelf.refused(hash_key="h", sort_key="a")
    new_table(shelf.server, shelf.table)
    assert shelf.ask(hash_key="h", sort_key="a") == {"value": None}


# --- single rows


def test_value_ttl_and_exists(shelf: Asking) -> None:
    everything = ["value", "ttl", "exists"]
    assert shelf.ask(hash_key="h", sort_key="ü") == {"value": "vü"}
    assert shelf.ask(gather=everything, hash_key="h", sort_key="a") == {"value": "va", "ttl": "never", "exists": True}
    assert shelf.ask(gather=everything, hash_key="h") == {"value": None, "ttl": None, "exists": False}
    found = shelf.ask(gather=everything, hash_key="lives")
    assert (found["value"], found["exists"]) == ("", True) and 990 < found["ttl"] <= 1000
    assert shelf.ask(gather=["value"], hash_key="", sort_key="empty hash key") == {"value": "x"}
    binary = {"hash_key_b64": b64(b"bin" + BINARY), "sort_key_b64": b64(BINARY)}
    assert shelf.ask(**binary, encoding="b64") == {"value": b64(BINARY)}
    assert "is not valid UTF-8. Set encoding: b64" in shelf.refused(**binary)


# --- ranges


RANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, NAMES),
    ({"start": "b"}, ["b", "b1", "b2", "c", "ü"]),
    ({"start": "b", "start_inclusive": False}, ["b1", "b2", "c", "ü"]),
    ({"stop": "c"}, ["a", "b", "b1", "b2"]),
    ({"stop": "c", "stop_inclusive": True}, ["a", "b", "b1", "b2", "c"]),
    ({"start": "b", "stop": "b", "stop_inclusive": True}, ["b"]),
    ({"start": "b", "stop": "b"}, []),
    ({"start": "c", "stop": "a"}, []),
    ({"stop": ""}, []),
    ({"start_b64": b64(b"b1"), "stop_b64": b64(b"b2"), "stop_inclusive": True}, ["b1", "b2"]),
    ({"match": "prefix", "pattern": "b"}, ["b", "b1", "b2"]),
    ({"match": "postfix", "pattern": "2"}, ["b2"]),
    ({"match": "anywhere", "pattern_b64": b64("ü".encode())}, ["ü"]),
    ({"match": "anywhere", "pattern": "b", "start": "b", "start_inclusive": False}, ["b1", "b2"]),
    ({"match": "prefix", "pattern": "nothing"}, []),
]


@pytest.mark.parametrize(("args", "found"), RANGES)
def test_ranges(shelf: Asking, args: dict[str, Any], found: list[str]) -> None:
    rows = [{"hash_key": "h", "sort_key": name, "value": "v" + name} for name in found]
    asked = ["range", "scan", "sort_keys", "count"]
    told = {"range": rows, "scan": rows, "sort_keys": found, "count": len(found), "incomplete": []}
    assert shelf.ask(gather=asked, hash_key="h", **args) == told
    assert names(shelf.ask(gather=["range"], hash_key="h", reverse=True, **args)["range"]) == found
    for limit in (1, 2, 100):
        cut = ["range", "scan", "sort_keys"] if limit < len(found) else []
        told = shelf.ask(gather=asked[:3], hash_key="h", limit=limit, **args)
        assert told == {"range": rows[:limit], "scan": rows[:limit], "sort_keys": found[:limit], "incomplete": cut}
        back = shelf.ask(gather=["range", "sort_keys"], hash_key="h", limit=limit, reverse=True, **args)
        told = {"range": rows[-limit:], "sort_keys": found[-limit:], "incomplete": [n for n in cut if n != "scan"]}
        assert back == told


def test_named_rows_come_in_the_order_of_their_names(shelf: Asking) -> None:
    found = shelf.ask(hash_key="h", named=["c", "none", "a", "c"])
    assert names(found["range"]) == ["c", "a"] and found["incomplete"] == []
    assert shelf.ask(hash_key="h", named_b64=[b64(b"b")], no_value=True)["range"] == [
        {"hash_key": "h", "sort_key": "b"}
    ]
    found = shelf.ask(hash_key="h", named=NAMES, limit=2)
    assert names(found["range"]) == NAMES[:2] and found["incomplete"] == ["range"]


def test_no_more_bytes_than_were_asked_for(shelf: Asking) -> None:
    asked = {"gather": ["range", "scan", "sort_keys"], "hash_key": "h"}
    found = shelf.ask(**asked, max_bytes=9)  # a row of "a" has 4 bytes, of "b1" 6; their keys alone 2 and 3
    assert names(found["range"]) == names(found["scan"]) == ["a", "b"] and found["sort_keys"] == ["a", "b", "b1"]
    assert found["incomplete"] == ["range", "scan", "sort_keys"]
    assert names(shelf.ask(**asked, max_bytes=1)["range"]) == ["a"]
    assert shelf.ask(**asked, max_bytes="1k")["incomplete"] == []
    found = shelf.ask(gather=["range"], hash_key="h", max_bytes=12, reverse=True)
    assert names(found["range"]) == ["c", "ü"]


def test_what_is_no_text_is_base64(shelf: Asking) -> None:
    key = {"hash_key_b64": b64(b"bin" + BINARY)}
    row = {**key, "sort_key_b64": b64(BINARY), "value_b64": b64(BINARY)}
    assert shelf.ask(gather=["range"], **key)["range"] == [row]
    assert "sort key is not valid UTF-8" in shelf.refused(gather=["sort_keys"], **key)
    assert shelf.ask(gather=["sort_keys"], encoding="b64", **key)["sort_keys"] == [b64(BINARY)]
    rows = shelf.ask(gather=["range"], hash_key="h", encoding="b64", limit=1)["range"]
    assert rows == [{"hash_key_b64": b64(b"h"), "sort_key_b64": b64(b"a"), "value_b64": b64(b"va")}]


# --- whole tables


def test_a_whole_table(shelf: Asking) -> None:
    found = shelf.ask(gather=["scan", "count"], with_ttl=True, encoding="b64")
    rows = {(row["hash_key_b64"], row["sort_key_b64"]): row for row in found["scan"]}
    assert len(rows) == len(found["scan"]) == found["count"] == len(NAMES) + 3
    lives = rows[b64(b"lives"), ""]
    assert lives["value_b64"] == "" and 900 < lives["ttl"] <= 1000
    assert {row["ttl"] for key, row in rows.items() if row is not lives} == {"never"}
    assert rows["", b64(b"empty hash key")]["value_b64"] == b64(b"x")


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"hash_match": "prefix", "hash_pattern": "li"}, 1),
        ({"hash_match": "postfix", "hash_pattern_b64": b64(BINARY)}, 1),
        ({"hash_match": "anywhere", "hash_pattern": "h"}, len(NAMES)),
        ({"match": "prefix", "pattern": "b"}, 3),
        ({"hash_match": "prefix", "hash_pattern": "h", "match": "postfix", "pattern": "1"}, 1),
        ({"match": "prefix", "pattern": "none"}, 0),
    ],
)
def test_filters_of_a_whole_table(shelf: Asking, args: dict[str, Any], found: int) -> None:
    told = shelf.ask(gather=["scan", "count"], no_value=True, batch_size=2, **args)
    assert len(told["scan"]) == told["count"] == found
    assert all("value" not in row and "value_b64" not in row for row in told["scan"])


def test_rows_can_be_declared_elsewhere(shelf: Asking) -> None:
    other = shelf.server.new_name()
    new_table(shelf.server, other)
    rows = [row for row in shelf.ask(gather=["scan"], with_ttl=True)["scan"] if row.get("hash_key") != ""]
    result = run_ok(KvResource, shelf.server, table=other, batch=rows)
    assert result["summary"]["created"] == len(rows) == len(NAMES) + 2
    found = run_ok(Info, shelf.server, gather=["scan"], table=other)["scan"]
    key = sorted(str(sorted(row.items())) for row in found)
    for row in rows:
        row.pop("ttl")
    assert key == sorted(str(sorted(row.items())) for row in rows)


def test_a_scan_ends_where_the_limit_is(shelf: Asking) -> None:
    rows = {b"%06d" % number: b"x" for number in range(5000)}
    shelf.client.multi_put(shelf.table, b"many", rows)
    mark = shelf.server.mark()
    found = run_ok(Info, shelf.server, table=shelf.table, gather=["scan"], hash_key="many", limit=10, batch_size=100)
    assert [row["sort_key"] for row in found["scan"]] == ["%06d" % number for number in range(10)]
    asked = [entry["method"] for entry in shelf.server.requests(mark) if entry["server"].startswith("replica")]
    assert asked[0] == "GET_SCANNER" and "SCAN" not in asked
    shelf.server.wait_for(lambda: [e for e in shelf.server.requests(mark) if e["method"] == "CLEAR_SCANNER"])
    mark = shelf.server.mark()
    assert shelf.ask(gather=["count"], hash_key="many") == {"count": 5000}
    assert shelf.ask(gather=["count"], hash_key="many", start="004000")["count"] == 1000
    found = shelf.ask(gather=["sort_keys"], hash_key="many", reverse=True, limit=2500)
    assert found["sort_keys"] == ["%06d" % number for number in range(2500, 5000)]
    assert found["incomplete"] == ["sort_keys"]
    assert len(shelf.ask(gather=["range"], hash_key="many", no_value=True)["range"]) == 5000
