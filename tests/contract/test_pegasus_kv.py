# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pegasus_kv: every write and every question counted in the server's own log, every row looked at in the table."""

from __future__ import annotations

import base64
import collections
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import MANY, KvResource
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.rows import MOST
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf, new_table
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = pytest.mark.server
DAY = 86400


@pytest.fixture(scope="module")
def made() -> dict[str, Shelf]:
    """One table a server, for all tests of this file that leave no rows."""
    return {}


@pytest.fixture(params=["pegasus_server", "pegasus_master_server"])
def shelf(request: pytest.FixtureRequest, made: dict[str, Shelf]) -> Iterator[Shelf]:
    server = request.getfixturevalue(request.param)
    found = made.get(request.param) or made.setdefault(request.param, Shelf(server))
    yield found
    for key in {key for key, _sort_key in found.rows() if key}:
        found.client.multi_remove(found.table, key, [name for name, _value in found.client.rows(found.table, key)])
    for _key, sort_key in found.rows():
        found.client.remove(found.table, b"", sort_key)


@pytest.fixture
def new(pegasus_server: Any) -> Iterator[Shelf]:
    """A table of the test's own, on 2.5."""
    found = Shelf(pegasus_server)
    yield found
    found.close()


def methods(shelf: Shelf, mark: int) -> list[str]:
    """The requests since then that are about data, by name."""
    asked = shelf.server.requests(mark)
    return sorted(e["method"] for e in asked if not e["method"].startswith("QUERY_") and e["method"] != "LIST_APPS")


# --- values and keys


def test_each_kind_of_value(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    (tmp_path / "source").write_bytes(bytes(range(256)))
    result = shelf.contract(
        KvResource,
        batch=[
            {"hash_key": "text", "value": "grün"},
            {"hash_key": "empty", "value": ""},
            {"hash_key": "number", "value": 5},
            {"hash_key": "b64", "value_b64": "AP8="},
            {"hash_key": "file", "value_src": str(tmp_path / "source")},
            {"hash_key": "many", "values": {"": "none", "ü": "x", "n": 7, "b": True}},
        ],
    )
    assert shelf.rows() == {
        (b"text", b""): "grün".encode(),
        (b"empty", b""): b"",
        (b"number", b""): b"5",
        (b"b64", b""): b"\0\xff",
        (b"file", b""): bytes(range(256)),
        (b"many", b""): b"none",
        (b"many", "ü".encode()): b"x",
        (b"many", b"n"): b"7",
        (b"many", b"b"): b"True",
    }
    assert [row["size"] for row in result["resources"]] == [5, 0, 1, 2, 256, 4, 1, 1, 4]
    assert all(str(row["value"]).startswith("(hidden, ") for row in result["resources"] if row["size"])


def test_keys_that_are_no_text(shelf: Shelf) -> None:
    keys = [(b"\xff\0", b"\xfe"), (b"text", b"\xff" * 300), (b"", b"alone"), (b"\0" * 8, b""), (b"a", b"")]
    batch = [
        {"hash_key_b64": base64.b64encode(key).decode(), "sort_key_b64": base64.b64encode(name).decode(), "value": "v"}
        for key, name in keys
    ]
    result = shelf.contract(KvResource, batch=batch)
    assert shelf.rows() == dict.fromkeys(keys, b"v")
    assert [row["hash_key_b64"] for row in result["resources"]] == [row["hash_key_b64"] for row in batch]
    again = shelf.run(KvResource, batch=[{"hash_key": "a"}, {"hash_key": "", "sort_key": "alone"}])
    assert again["summary"]["unchanged"] == 2 and again["resources"][1]["sort_key"] == "alone"
    shelf.contract(KvResource, state="absent", batch=[{k: v for k, v in row.items() if k != "value"} for row in batch])
    assert shelf.rows() == {}


def test_one_row_named_in_two_ways_is_declared_twice(new: Shelf) -> None:
    both = [{"hash_key": "a", "value": "1"}, {"hash_key_b64": "YQ==", "value": "2"}]
    mark = new.server.mark()
    assert "declared twice" in new.fails(KvResource, batch=both)["msg"]
    both = [{"hash_key": "a", "values": {"s": "1", "t": "1"}}, {"hash_key": "a", "sort_key": "s", "value": "2"}]
    assert "declared twice" in new.fails(KvResource, batch=both)["msg"]
    assert new.server.writes(mark) == []


def test_the_largest_row(new: Shelf) -> None:
    args = {"hash_key": "h" * 1000, "sort_key": "s" * 1000, "value": "v" * (MOST - 2000)}
    new.contract(KvResource, **args)
    assert new.rows() == {(b"h" * 1000, b"s" * 1000): b"v" * (MOST - 2000)}
    mark = new.server.mark()
    result = new.fails(KvResource, **{**args, "value": args["value"] + "v"})
    assert "value: " in result["msg"] and "at most %d go" % MOST in result["msg"] and new.server.requests(mark) == []
    new.contract(KvResource, hash_key="k" * 65534, value="v")


def test_a_row_that_is_not_there_needs_a_value(shelf: Shelf) -> None:
    result = shelf.fails(KvResource, hash_key="a", ttl="1h")
    assert "no value is declared" in result["msg"] and shelf.rows() == {}
    shelf.run(KvResource, hash_key="a", value="x")
    assert shelf.run(KvResource, hash_key="a")["changed"] is False


def test_null_removes(shelf: Shelf) -> None:
    shelf.contract(KvResource, hash_key="a", values={"x": "1", "y": "2", "z": "3"})
    result = shelf.contract(KvResource, hash_key="a", values={"x": None, "y": "two", "w": None})
    assert [row["action"] for row in result["resources"]] == ["deleted", "updated", "unchanged"]
    assert shelf.rows() == {(b"a", b"y"): b"two", (b"a", b"z"): b"3"}
    shelf.contract(KvResource, hash_key="a", values={"y": "whatever", "z": None}, state="absent")
    assert shelf.rows() == {}


def test_nothing_of_the_values_is_told(shelf: Shelf) -> None:
    secret = "do not tell it"
    seen = [shelf.run(KvResource, hash_key="a", values={"s": secret, "t": "x"})]
    seen.append(shelf.run(KvResource, hash_key="a", values={"s": "other", "t": secret}))
    seen.append(shelf.fails(KvResource, hash_key="a", value=secret, value_b64="eA=="))
    shelf.server.refuse_writes("")
    seen.append(shelf.fails(KvResource, hash_key="b", value=secret))
    shelf.server.clear_faults()
    text = json.dumps(seen)
    assert secret not in text and base64.b64encode(secret.encode()).decode() not in text


# --- how many requests


def test_ten_thousand_rows(new: Shelf) -> None:
    batch = [{"hash_key": "k%d" % number, "value": "v%d" % number} for number in range(10_000)]
    mark = new.server.mark()
    first = new.run(KvResource, batch=batch)
    assert first["summary"]["created"] == 10_000 and first["resources"] != []
    count = collections.Counter(entry["method"] for entry in new.server.requests(mark))
    assert count["PUT"] == 10_000 and sum(count.values()) <= 10_000 + 110
    again = new.run(KvResource, batch=batch)
    assert again["summary"]["unchanged"] == 10_000 and again["summary"]["writes"] == 0 and again["resources"] == []
    assert again["summary"]["requests"] <= 110
    assert new.client.count(new.table, b"k7") == 1


def test_rows_of_one_hash_key_go_together(new: Shelf) -> None:
    values = {"s%05d" % number: "v" * 100 for number in range(2500)}
    mark = new.server.mark()
    new.run(KvResource, hash_key="h", values=values)
    assert methods(new, mark) == ["MULTI_GET"] * 3 + ["MULTI_PUT"] * 3
    mark = new.server.mark()
    assert new.run(KvResource, hash_key="h", values=values)["changed"] is False
    assert methods(new, mark) == ["MULTI_GET"] * 3
    mark = new.server.mark()
    gone = new.run(KvResource, hash_key="h", values=dict.fromkeys(list(values)[:2000]))
    assert methods(new, mark) == ["MULTI_GET"] * 2 + ["MULTI_REMOVE"] * 2
    assert gone["summary"]["deleted"] == 2000 and new.client.count(new.table, b"h") == 500


def test_large_values_are_split_into_requests_that_fit(new: Shelf) -> None:
    values = {"s%d" % number: "%d" % number * 400_000 for number in range(7)}
    mark = new.server.mark()
    new.contract(KvResource, hash_key="h", values={**values, "full": "x" * (MOST - 5)})
    sizes = [entry["bytes_in"] for entry in new.server.writes(mark)]
    assert len(sizes) == 5 and max(sizes) <= (1 << 20) + 48
    assert new.client.get(new.table, b"h", b"s3") == b"3" * 400_000


def test_times_of_expiry_part_what_goes_together(new: Shelf) -> None:
    mark = new.server.mark()
    new.run(
        KvResource,
        hash_key="h",
        batch=[{"sort_key": "s%d" % n, "value": "v", **({"ttl": n % 3 * DAY} if n % 3 else {})} for n in range(30)],
    )
    assert methods(new, mark) == ["BATCH_GET"] + ["MULTI_PUT"] * 3
    lives = {new.left(b"h", b"s%d" % number) for number in range(30)}
    assert {None if left is None else round(left / DAY) for left in lives} == {None, 1, 2}


def test_partitions_are_written_in_parallel(new: Shelf) -> None:
    new.server.fault("delay", method="PUT", path=new.table, count=None, seconds=0.2)
    batch = [{"hash_key": "k%d" % number, "value": "v"} for number in range(120)]
    assert new.run(KvResource, batch=batch)["summary"]["created"] == 120
    starts = [entry["time"] for entry in new.server.requests(method="PUT", path=new.table)]
    assert len(starts) == 120 and max(starts) - min(starts) < 24


def test_many_names_of_one_hash_key_are_asked_for_by_it(new: Shelf) -> None:
    for count, asked in ((MANY - 1, "BATCH_GET"), (MANY, "MULTI_GET")):
        mark = new.server.mark()
        new.run(KvResource, hash_key="h%d" % count, values={"s%d" % n: None for n in range(count)})
        assert methods(new, mark) == [asked]


def test_two_tables_in_one_task(new: Shelf) -> None:
    other = Shelf(new.server)
    batch = [{"table": shelf.table, "hash_key": "a", "value": shelf.table} for shelf in (new, other)]
    new.contract(KvResource, batch=batch)
    assert (new.contents(), other.contents()) == ({"a": new.table.encode()}, {"a": other.table.encode()})
    other.close()


def test_shards_part_the_rows(new: Shelf) -> None:
    batch = [{"hash_key": "k%d" % number, "value": "v"} for number in range(60)]
    counts = [new.run(KvResource, batch=batch, shard={"index": n, "count": 3})["summary"]["created"] for n in range(3)]
    assert sum(counts) == 60 and min(counts) > 5 and len(new.rows()) == 60


# --- times to live


def test_left_out_means_left_alone(shelf: Shelf) -> None:
    shelf.run(KvResource, hash_key="a", value="1", ttl=DAY)
    shelf.run(KvResource, hash_key="b", value="1")
    assert shelf.left(b"b") is None
    before = next(row.expires for row in shelf.client.scan_all(shelf.table, expire=True) if row.hash_key == b"a")
    shelf.contract(KvResource, batch=[{"hash_key": "a", "value": "2"}, {"hash_key": "b", "value": "2"}])
    after = {row.hash_key: row.expires for row in shelf.client.scan_all(shelf.table, expire=True)}
    assert after == {b"a": before, b"b": 0} and shelf.contents() == {"a": b"2", "b": b"2"}


@pytest.mark.parametrize(
    ("lives", "more", "changes"),
    [
        (DAY, {"ttl": "1d"}, False),
        (DAY, {"ttl": DAY + 8000}, False),
        (DAY, {"ttl": DAY - 7000}, False),
        (DAY, {"ttl": DAY + 11_000}, True),
        (DAY, {"ttl": DAY - 9000}, True),
        (DAY, {"ttl": DAY + 100, "ttl_tolerance": "1m"}, True),
        (DAY, {"ttl": DAY + 30, "ttl_tolerance": "1m"}, False),
        (DAY, {"ttl": "2d", "ttl_tolerance": "2d"}, False),
        (70, {"ttl": 20}, False),
        (200, {"ttl": 20}, True),
        (DAY, {"ttl": "never"}, True),
        (None, {"ttl": "never"}, False),
        (None, {"ttl": "10d"}, True),
        (None, {}, False),
    ],
)
def test_a_ttl_is_compared_with_a_tolerance(new: Shelf, lives: int | None, more: dict[str, Any], changes: bool) -> None:
    new.client.put(new.table, b"a", b"", b"v", lives)
    result = new.contract(KvResource, hash_key="a", **more)
    assert result["changed"] is changes and new.contents() == {"a": b"v"}
    left, wanted = new.left(b"a"), result["resource"].get("ttl", lives)
    assert left is None if wanted in (None, "never") else abs((left or 0) - wanted) < 5
    if changes:
        assert result["diff"][0]["before"]["expires"] and result["diff"][0]["after"]["ttl"] == result["resource"]["ttl"]
        assert "expires" not in result["diff"][0]["after"]


def test_a_default_ttl_of_the_table(new: Shelf) -> None:
    new.client.put(new.table, b"old", b"", b"v")
    new.admin.set_envs(new.table, {"default_ttl": "5000"})
    new.server.do("hurry")
    new.contract(KvResource, hash_key="new", value="v")
    assert 4900 < (new.left(b"new") or 0) <= 5000
    new.contract(KvResource, hash_key="new", value="w", ttl="3d")
    assert (new.left(b"new") or 0) > 2 * DAY
    new.contract(KvResource, hash_key="new", value="x")
    assert (new.left(b"new") or 0) > 2 * DAY
    assert new.run(KvResource, hash_key="old", ttl="never", value="v")["changed"] is False
    mark = new.server.mark()
    for args in ({"hash_key": "old", "value": "w"}, {"hash_key": "new", "ttl": "never"}):
        result = new.fails(KvResource, **args)
        assert "after 5000 s" in result["msg"] and "default_ttl" in result["msg"]
    assert "default_ttl" in new.fails(KvResource, hash_key="other", value="v", ttl="never")["msg"]
    assert new.server.writes(mark) == []
    new.contract(KvResource, hash_key="old", value="w", ttl=3000)
    assert new.contents() == {"old": b"w", "new": b"x"}


def test_a_row_that_has_expired_is_made_anew(new: Shelf) -> None:
    new.client.put(new.table, b"a", b"", b"v", 1)
    new.server.wait_for(lambda: new.client.get(new.table, b"a", b"") is None, 30)
    assert new.run(KvResource, hash_key="a", value="v")["resource"]["action"] == "created"
    assert new.left(b"a") is None


# --- prune


def fill(shelf: Shelf, key: bytes = b"h", count: int = 20) -> None:
    shelf.client.multi_put(shelf.table, key, {b"s%02d" % number: b"v" for number in range(count)})


def names(shelf: Shelf, key: bytes = b"h") -> list[str]:
    return [name.decode() for name, _value in shelf.client.rows(shelf.table, key)]


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ({}, ["s03"]),
        ({"start": "s10"}, ["s%02d" % n for n in range(10)]),
        ({"start": "s03", "start_inclusive": False, "stop": "s18"}, ["s00", "s01", "s02", "s03", "s18", "s19"]),
        ({"stop": "s03", "stop_inclusive": True}, ["s%02d" % n for n in range(3, 20)]),
        ({"start_b64": "czE1"}, ["s%02d" % n for n in range(15)]),
        ({"match": "postfix", "pattern": "3"}, ["s%02d" % n for n in range(20) if n != 13]),
        ({"match": "prefix", "pattern": "s1", "start": "s15"}, ["s%02d" % n for n in range(15)]),
        ({"match": "anywhere", "pattern_b64": "MQ=="}, [f"s{n:02}" for n in range(20) if "1" not in f"{n:02}"]),
    ],
)
def test_prune_takes_what_is_in_the_scope(new: Shelf, scope: dict[str, Any], left: list[str]) -> None:
    fill(new)
    fill(new, b"other")
    args = {"hash_key": "h", "values": {"s03": "v"}, "prune": True, "scope": scope, "max_delete": "100%"}
    result = new.contract(KvResource, **args, allow_empty=True)
    assert names(new) == left and len(names(new, b"other")) == 20
    assert result["summary"]["deleted"] == 20 - len(left)
    assert all(row["hash_key"] == "h" for row in result["resources"])


def test_prune_comes_last_and_has_brakes(new: Shelf) -> None:
    fill(new)
    args = {"hash_key": "h", "prune": True, "scope": {}, "values": {"s%02d" % n: "w" for n in range(10)}}
    mark = new.server.mark()
    assert "would remove 10 of 20, and max_delete 10% allows 2" in new.fails(KvResource, **args)["msg"]
    assert "max_delete 9 allows 9" in new.fails(KvResource, **args, max_delete=9)["msg"]
    nothing = new.fails(KvResource, **{**args, "values": {"x": None}}, max_delete=100)
    assert "nothing is declared" in nothing["msg"] and new.server.writes(mark) == []
    new.contract(KvResource, **args, max_delete=10)
    assert [entry["method"] for entry in new.server.writes(mark)] == ["MULTI_PUT", "MULTI_REMOVE"]
    new.contract(KvResource, **{**args, "values": {}}, max_delete=100, allow_empty=True)
    assert names(new) == []


def test_prune_with_scopes_of_several_hash_keys(new: Shelf) -> None:
    for key in (b"a", b"b", b"c"):
        fill(new, key, 5)
    batch = [
        {"hash_key": "a", "sort_key": "s00", "value": "v"},
        {"hash_key": "a", "sort_key": "s01", "value": "v"},
        {"hash_key": "b", "values": {"s04": "v", "t": "v"}},
    ]
    new.contract(KvResource, batch=batch, prune=True, scope={}, max_delete="80%")
    assert (names(new, b"a"), names(new, b"b"), len(names(new, b"c"))) == (["s00", "s01"], ["s04", "t"], 5)
    new.contract(KvResource, values={"x": "v"}, prune=True, scope={"hash_key": "c"}, max_delete=5)
    assert names(new, b"c") == ["x"]


def test_nothing_is_pruned_where_a_write_failed(new: Shelf) -> None:
    fill(new)
    new.server.fault("status", method="MULTI_PUT", path=new.table, body="ERR_INVALID_DATA", count=None)
    result = new.fails(KvResource, hash_key="h", values={"a": "1", "b": "2"}, prune=True, scope={}, max_delete=100)
    assert result["summary"]["failed"] == 22 and result["changed"] is False and len(names(new)) == 20
    assert {f["code"] for f in result["failures"]} == {"ERR_INVALID_DATA", "not_begun"}


# --- conditions


def test_a_lease(shelf: Shelf) -> None:
    args = {"hash_key": "lease", "ttl": "1h", "only_if": {"op": "not_exist"}}
    mark = shelf.server.mark()
    mine = shelf.contract(KvResource, value="me", **args)
    assert mine["resource"]["condition_met"] is True and methods(shelf, mark).count("CHECK_AND_SET") == 1
    mark = shelf.server.mark()
    other = shelf.run(KvResource, value="you", **args)
    assert other["changed"] is False and other["diff"] == [] and other["resource"]["condition_met"] is False
    assert other["resource"]["action"] == "unchanged" and shelf.server.writes(mark) == []
    assert shelf.contents() == {"lease": b"me"}
    free = {"hash_key": "lease", "state": "absent"}
    assert shelf.run(KvResource, **free, only_if={"op": "bytes_equal", "operand": "you"})["changed"] is False
    shelf.contract(KvResource, **free, only_if={"op": "bytes_equal", "operand": "me"})
    assert shelf.rows() == {}


def test_it_is_the_server_that_decides(shelf: Shelf) -> None:
    """Somebody else is quicker, between reading and writing."""
    client, get_many = shelf.client, KvResource._get

    def beaten(self: Any, table: str, pairs: Any) -> Any:
        found = get_many(self, table, pairs)
        client.put(table, b"lease", b"", b"you")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KvResource, "_get", beaten)
        result = shelf.run(KvResource, hash_key="lease", value="me", only_if={"op": "not_exist"})
    assert result["changed"] is False and result["resource"]["condition_met"] is False and result["diff"] == []
    assert result["summary"]["unchanged"] == 1 and shelf.contents() == {"lease": b"you"}


def test_all_rows_or_none(shelf: Shelf) -> None:
    args: dict[str, Any] = {"hash_key": "h", "values": {"a": "1", "b": "2", "old": None}}
    shelf.client.put(shelf.table, b"h", b"old", b"x")
    shelf.client.put(shelf.table, b"h", b"version", b"7")
    condition = {"sort_key": "version", "op": "int_equal", "operand": "6"}
    refused = shelf.run(KvResource, **args, only_if=condition)
    assert refused["changed"] is False and [r["condition_met"] for r in refused["resources"]] == [False] * 3
    mark = shelf.server.mark()
    shelf.contract(KvResource, **args, only_if={**condition, "operand": "7"})
    assert [entry["method"] for entry in shelf.server.writes(mark)] == ["CHECK_AND_MUTATE"]
    assert shelf.rows() == {(b"h", b"a"): b"1", (b"h", b"b"): b"2", (b"h", b"version"): b"7"}


OPS = [
    ("not_exist", None, [None]),
    ("not_exist_or_empty", None, [None, b""]),
    ("exist", None, [b"", b"abc", b"7", b"-9", b"x7"]),
    ("not_empty", None, [b"abc", b"7", b"-9", b"x7"]),
    ("match_anywhere", "b", [b"abc"]),
    ("match_prefix", "ab", [b"abc"]),
    ("match_postfix", "7", [b"7", b"x7"]),
    ("match_postfix", "", [b"", b"abc", b"7", b"-9", b"x7"]),
    ("bytes_less", "7", [b"", b"-9"]),
    ("bytes_less_or_equal", "7", [b"", b"7", b"-9"]),
    ("bytes_equal", "7", [b"7"]),
    ("bytes_greater_or_equal", "7", [b"abc", b"7", b"x7"]),
    ("bytes_greater", "7", [b"abc", b"x7"]),
    ("int_less", "7", [b"-9"]),
    ("int_less_or_equal", "7", [b"7", b"-9"]),
    ("int_equal", "7", [b"7"]),
    ("int_greater_or_equal", "7", [b"7"]),
    ("int_greater", "-10", [b"7", b"-9"]),
]


@pytest.mark.parametrize(("op", "operand", "met"), OPS, ids=lambda value: str(value)[:12])
def test_what_we_foretell_is_what_the_server_does(
    new: Shelf, op: str, operand: str | None, met: list[bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of check mode, and that of a server which is asked without ours."""
    condition = {"op": op, "sort_key": "c", **({} if operand is None else {"operand": operand})}
    for number, value in enumerate((None, b"", b"abc", b"7", b"-9", b"x7")):
        args = {"hash_key": "h%d" % number, "value": "done", "only_if": condition}
        if value is not None:
            new.client.put(new.table, b"h%d" % number, b"c", value)
        if op.startswith("int_") and value in (b"", b"abc", b"x7"):
            assert "no whole number" in new.fails(KvResource, **args)["msg"]
            continue
        told = new.run(KvResource, True, **args)["changed"]
        with monkeypatch.context() as patch:
            patch.setattr("%s.Condition.holds" % KvResource.Item.__module__, lambda self, data: True)
            real = new.run(KvResource, **args)
        assert told is real["changed"] is (value in met), value
        assert real["resource"]["condition_met"] is (value in met)


# --- what is wrong


def test_a_table_that_is_not_there(new: Shelf) -> None:
    args = {"table": "none-" + new.table, "hash_key": "a", "value": "v"}
    result = new.fails(KvResource, **args)
    assert "pegasus_table" in result["msg"]
    check = run_task(KvResource, new.server, True, True, **args)
    assert check["changed"] is True and "does not exist yet" in check["warnings"][0]
    assert new.run(KvResource, table=args["table"], hash_key="a", state="absent")["changed"] is False


def test_a_table_that_was_made_anew_since_the_last_task(new: Shelf) -> None:
    args = {"hash_key": "a", "values": {"x": "v", "y": "v"}}
    assert new.run(KvResource, **args)["changed"] is True
    assert len(new.rows()) == 2
    new.server.behave(linger_seconds=600.0)
    new.admin.drop(new.table)
    assert new.fails(KvResource, **args)["failures"][0]["code"] == "ERR_OBJECT_NOT_FOUND"
    new_table(new.server, new.table)
    assert new.client.get(new.table, b"a", b"x") == b"v"  # who has the old configuration is told so
    assert new.contract(KvResource, **args)["changed"] is True
    assert new.rows() == {(b"a", b"x"): b"v", (b"a", b"y"): b"v"}


def test_one_bad_row_of_many_is_told_by_name_and_nothing_is_sent(new: Shelf) -> None:
    mark = new.server.mark()
    batch = [{"hash_key": "a", "value": "v"}, {"hash_key": "x" * 65535, "value": "v"}]
    result = new.fails(KvResource, batch=batch)
    assert "batch[1].hash_key" in result["msg"] and new.server.requests(mark) == []
