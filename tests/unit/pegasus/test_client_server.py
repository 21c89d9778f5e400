# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pegasus client against the sandbox's stand-in, as 2.5.0 and as what is to follow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    Range,
    RefusedError,
    RequestError,
    Settings,
)
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Whole

pytestmark = [pytest.mark.server, pytest.mark.pegasus]


@pytest.fixture(params=["pegasus_server", "pegasus_master_server"])
def server(request: pytest.FixtureRequest) -> PegasusServer:
    found: PegasusServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: PegasusServer) -> Iterator[Whole]:
    client = Whole(Settings.resolve({**server.connection(), "timeout": 20, "retries": 6}, {}))
    yield client
    client.close()


def created(server: PegasusServer, client: Whole, partitions: int = 4) -> str:
    name = server.new_name()
    client.create(name, partitions, 3)
    server.wait_for(lambda: all(len(part.secondaries) == 2 for part in client.cluster.config(name).partitions))
    return name


@pytest.fixture
def table(server: PegasusServer, client: Whole) -> str:
    return created(server, client)


def test_a_row_from_its_first_value_to_its_end(client: Whole, table: str) -> None:
    for key, sort_key in [(b"h", b"s"), (b"h", b""), (b"", b"s"), (b"", b""), (b"\xff\0", bytes(range(256)))]:
        assert client.get(table, key, sort_key) is None
        assert client.ttl(table, key, sort_key) is None
        client.put(table, key, sort_key, b"value")
        assert client.get(table, key, sort_key) == b"value"
        assert client.ttl(table, key, sort_key) == -1
        client.put(table, key, sort_key, b"", ttl=3600)
        assert client.get(table, key, sort_key) == b""
        assert client.ttl(table, key, sort_key) in range(3590, 3601)
        client.put(table, key, sort_key, b"again")
        assert client.ttl(table, key, sort_key) == -1
        client.remove(table, key, sort_key)
        client.remove(table, key, sort_key)
        assert client.get(table, key, sort_key) is None
        assert client.count(table, key or b"none") == 0


def test_a_million_bytes_and_the_longest_hash_key(client: Whole, table: str) -> None:
    value, key = b"v" * 980_000, b"k" * 65534
    client.put(table, key, b"s", value)
    assert client.get(table, key, b"s") == value
    assert client.rows(table, key) == [(b"s", value)]
    assert client.get_many(table, [(key, b"s"), (key, b"none")]) == [value, None]
    assert [(row.hash_key, row.value) for row in client.scan_all(table)] == [(key, value)]


def test_many_rows_of_one_hash_key(client: Whole, table: str) -> None:
    rows = {b"%04d" % number: b"v%d" % number for number in range(5000)}
    client.multi_put(table, b"m", rows, ttl=5000)
    assert client.count(table, b"m") == 5000
    assert dict(client.rows(table, b"m")) == rows
    assert client.ttl(table, b"m", b"2500") in range(4900, 5001)
    names = [b"4999", b"none", b"0000", b"4999"]
    assert client.multi_get(table, b"m", names) == {b"4999": b"v4999", b"0000": b"v0"}
    assert len(client.multi_get(table, b"m", rows)) == 5000
    assert client.rows(table, b"m", limit=2, reverse=True) == [(b"4998", b"v4998"), (b"4999", b"v4999")]
    assert len(client.rows(table, b"m", limit=4000)) == 4000
    within = Range(b"1000", b"1002", False, True)
    assert client.rows(table, b"m", within, no_value=True) == [(b"1001", b""), (b"1002", b"")]
    assert [row.sort_key for row in client.scan(table, b"m", within)] == [b"1001", b"1002"]
    client.multi_remove(table, b"m", list(rows)[10:])
    assert client.count(table, b"m") == 10


@pytest.mark.parametrize("match", ["anywhere", "prefix", "postfix"])
def test_filters(client: Whole, table: str, match: str) -> None:
    rows = dict.fromkeys((b"ab", b"abc", b"xab", b"xabc", b"other", b""), b"")
    client.multi_put(table, b"m", rows)
    fits = {
        "anywhere": lambda n: b"ab" in n,
        "prefix": lambda n: n.startswith(b"ab"),
        "postfix": lambda n: n.endswith(b"ab"),
    }
    wanted = [name for name in sorted(rows) if fits[match](name)]
    within = Range(match=match, pattern=b"ab")
    assert [name for name, _value in client.rows(table, b"m", within)] == wanted
    assert [name for name, _value in client.rows(table, b"m", within, 1, True)] == wanted[-1:]
    assert [row.sort_key for row in client.scan(table, b"m", within, batch=2)] == wanted
    assert [row.sort_key for row in client.scan_all(table, match=match, pattern=b"ab")] == wanted
    client.put(table, b"other", b"ab", b"")
    found = [row.hash_key for row in client.scan_all(table, match, b"m" if match == "anywhere" else b"m", match, b"ab")]
    assert found == [b"m"] * len(wanted)


def test_where_a_filter_leaves_nothing_of_three_thousand(client: Whole, table: str) -> None:
    rows = [schema.multi_put(b"m", part) for part in schema.portions(
        b"m", [(b"%05d" % number, b"") for number in range(7000)], lambda row: 5)]  # fmt: skip
    client.all(table, rows)
    client.put(table, b"m", b"00001x", b"")
    client.put(table, b"m", b"06500x", b"")
    within = Range(match="postfix", pattern=b"x")
    assert [name for name, _value in client.rows(table, b"m", within)] == [b"00001x", b"06500x"]
    assert [name for name, _value in client.rows(table, b"m", within, reverse=True)] == [b"00001x", b"06500x"]
    assert [name for name, _value in client.rows(table, b"m", within, 1, reverse=True)] == [b"06500x"]


def test_all_rows_of_a_table_in_small_pages(client: Whole, table: str) -> None:
    pairs = [(b"k%d" % number, b"s%d" % (number % 3)) for number in range(700)] + [(b"", b"e%d" % n) for n in range(20)]
    assert {type(each) for each in client.many(table, [schema.put(*pair, b"v", 900) for pair in pairs])} == {dict}
    found = list(client.scan_all(table, batch=7, expire=True))
    assert len(found) == 720
    assert {(row.hash_key, row.sort_key) for row in found} == set(pairs)
    assert {row.value for row in found} == {b"v"}
    assert len({row.expires for row in found}) <= 5
    assert client.get_many(table, [*pairs, (b"none", b"")]) == [b"v"] * 720 + [None]
    assert list(client.scan_all(table, "prefix", b"nothing")) == []
    one = next(client.scan_all(table, batch=1))
    assert (one.hash_key, one.sort_key) in pairs


CHECKS: list[tuple[str, Any, bytes, bool]] = [
    ("none", None, b"", True), ("not_exist", None, b"", True), ("not_exist", b"", b"", False),
    ("not_exist_or_empty", b"", b"", True), ("not_exist_or_empty", b"x", b"", False), ("exist", b"", b"", True),
    ("exist", None, b"", False), ("not_empty", b"", b"", False), ("not_empty", b"x", b"", True),
    ("match_anywhere", b"abc", b"b", True), ("match_anywhere", b"abc", b"d", False),
    ("match_prefix", b"abc", b"a", True),
    ("match_postfix", b"abc", b"c", True), ("bytes_less", b"b", b"c", True), ("bytes_less", b"c", b"c", False),
    ("bytes_less_or_equal", b"c", b"c", True), ("bytes_equal", b"c", b"c", True), ("bytes_equal", None, b"", False),
    ("bytes_greater_or_equal", b"c", b"c", True), ("bytes_greater", b"c", b"b", True), ("int_less", b"9", b"10", True),
    ("int_less_or_equal", b"10", b"10", True), ("int_equal", b"+10", b"10", True), ("int_greater", b"10", b"9", True),
    ("int_greater_or_equal", b"-1", b"0", False),
]  # fmt: skip


@pytest.mark.parametrize(("check", "value", "operand", "met"), CHECKS)
def test_checks(client: Whole, table: str, check: str, value: Any, operand: bytes, met: bool) -> None:
    if value is not None:
        client.put(table, b"h", b"checked", value)
    order = schema.check_and_set(b"h", b"checked", check, operand, b"set", b"new", ttl=500)
    found = client.check(table, order)
    assert (found.met, found.exists, found.value or b"") == (met, value is not None, value or b"")
    assert client.get(table, b"h", b"set") == (b"new" if met else None)
    mutations = [(b"one", b"1", None), (b"set", None, None), (b"two", b"2", 60)]
    order = schema.check_and_mutate(b"h", b"checked", check, operand, mutations, return_value=False)
    assert client.check(table, order) == (met, None, None)
    assert client.multi_get(table, b"h", [b"one", b"two", b"set"]) == ({b"one": b"1", b"two": b"2"} if met else {})


def test_numbers(client: Whole, table: str) -> None:
    assert client.incr(table, b"h", b"n", 5, ttl=100) == 5
    assert client.incr(table, b"h", b"n", -7) == -2
    assert client.ttl(table, b"h", b"n") in range(95, 101)
    assert client.incr(table, b"h", b"n", 0, ttl=None) == -2
    assert client.ttl(table, b"h", b"n") == -1
    client.put(table, b"h", b"n", b"word")
    with pytest.raises(RefusedError, match="InvalidArgument"):
        client.incr(table, b"h", b"n")


# --- tables


def test_a_table_from_creation_to_recall(server: PegasusServer, client: Whole) -> None:
    name = server.new_name()
    assert client.table(name) is None
    with pytest.raises(RefusedError) as caught:
        client.get(name, b"h", b"s")
    assert caught.value.no_table
    app_id = client.create(name, 3, 3)
    with pytest.raises(RefusedError) as caught:
        client.create(name, 3, 3)
    assert caught.value.code == "ERR_APP_EXIST"
    assert client.create(name, 3, 3, exist_ok=True) == app_id
    server.wait_for(lambda: client.cluster.config(name).ready)
    server.wait_for(lambda: all(len(p.secondaries) == 2 for p in client.cluster.config(name).partitions))
    client.put(name, b"h", b"s", b"v")
    client.set_envs(name, {"default_ttl": "86400", "business.info": "x"})
    client.delete_envs(name, ["business.info", "not.there"])
    told = client.table(name)
    assert told is not None
    assert (told["app_id"], told["partition_count"], told["replica_count"]) == (app_id, 3, 3)
    assert (told["envs"], told["status"]) == ({"default_ttl": "86400"}, "available")
    assert client.replica_count(name) == 3
    assert client.set_replica_count(name, 2) == 3
    assert client.replica_count(name) == 2
    other = server.new_name()
    client.rename(name, other)
    server.wait_for(lambda: client.get(other, b"h", b"s") == b"v")
    client.drop(other)
    client.drop(other)
    assert client.table(other) is None
    (gone,) = [table for table in client.tables("dropped") if table["app_id"] == app_id]
    assert (gone["name"], gone["status"]) == (other, "dropped")
    back = client.recall(app_id)
    assert (back["name"], back["status"]) == (other, "available")
    server.wait_for(lambda: client.cluster.config(other).ready)
    assert client.get(other, b"h", b"s") == b"v"
    with pytest.raises(RefusedError) as caught:
        client.recall(app_id)
    assert caught.value.code == "ERR_APP_EXIST"


def test_envs_wait_until_the_table_is_open(server: PegasusServer, client: Whole) -> None:
    server.behave(primaries_seconds=30.0)
    name = server.new_name()
    client.create(name, 4, 3)
    with pytest.raises(RequestError, match="default_ttl may crash servers"):
        client.set_envs(name, {"default_ttl": "60"})
    client.set_envs(name, {"business.info": "harmless"})
    server.do("hurry")
    client.set_envs(name, {"default_ttl": "60"})
    table = client.table(name)
    assert table is not None
    assert table["envs"] == {"default_ttl": "60", "business.info": "harmless"}


def test_refusals_of_tables(server: PegasusServer, client: Whole, table: str) -> None:
    for call in (
        lambda: client.create(server.new_name(), 0, 3), lambda: client.create(server.new_name(), 4, 9),
        lambda: client.set_envs(table, {"no.such.env": "1"}), lambda: client.set_replica_count(table, 9),
        lambda: client.rename(table, "temp"),
    ):  # fmt: skip
        with pytest.raises(RefusedError) as caught:
            call()
        assert caught.value.code == "ERR_INVALID_PARAMETERS"
    with pytest.raises(RefusedError, match="ERR_APP_NOT_EXIST"):
        client.recall(99999)


def test_the_cluster(server: PegasusServer, client: Whole) -> None:
    assert sorted(str(node) for node, state in client.nodes() if state == "alive") == sorted(server.nodes.values())
    info = client.info()
    assert info["primary_meta_server"].rpartition(":")[2] == server.meta_servers[0].rpartition(":")[2]
    assert client.level() == "steady"
    assert {"stat", "temp"} <= {table["name"] for table in client.tables()}


def test_one_connection_a_server(server: PegasusServer, client: Whole, table: str) -> None:
    mark = server.mark()
    client.many(table, [schema.put(b"%d" % number, b"", b"v") for number in range(200)])
    seen = {(entry["server"], entry["client"]) for entry in server.requests(mark)}
    assert len(seen) == len({name for name, _client in seen})
    assert len([entry for entry in server.requests(mark) if entry["method"] == "PUT"]) == 200
