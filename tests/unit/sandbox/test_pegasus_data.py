# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows, times to live, ranges, scans and checks of the Pegasus stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import (
    Client,
    RpcError,
    body_of,
    framed,
    in_seconds,
)
from polystore_sandbox.pegasus.keys import after, crc64, integer, joined
from polystore_sandbox.pegasus.schema import DATA

pytestmark = [pytest.mark.server, pytest.mark.pegasus]

LETTERS = {letter.encode(): letter.upper().encode() for letter in "abcdef"}
RANGE = {"sort_keys": [], "start_inclusive": True}


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[Client]:
    made = Client(pegasus_server)
    yield made
    made.close()


@pytest.fixture
def table(client: Client) -> str:
    """A new table of one partition and one replica, where everything meets."""
    name = client.server.new_name()
    client.create(name, 1, 1)
    return name


def keys_of(answer: dict[str, Any]) -> list[bytes]:
    return [row["key"] for row in answer["rows"]]


def test_hashes_and_numbers() -> None:
    assert crc64(b"123456789") == 0xAE8B14860A799888
    assert crc64(b"") == 0
    assert crc64(b"h") == 0x555D9839ECEA8B30
    assert after(b"\0\2a\xff") == b"\0\2b"
    assert [integer(text) for text in (b" 12", b"0x1f", b"010", b"-5", b"", b"12 ", b"1a", b"9" * 19)] == [
        *(12, 31, 8, -5, None, None, None, None),
    ]


# --- single rows -----------------------------------------------------------------------------------------------------


def test_empty_parts_of_keys_and_values(client: Client, table: str) -> None:
    for hash_key, sort_key in ((b"h", b""), (b"", b"s"), (b"", b""), (b"\0\xff", b"\xff\0")):
        assert client.put(table, hash_key, sort_key, b"") == 0
        assert client.get(table, hash_key, sort_key) == b""
        assert client.single(table, "REMOVE", hash_key, sort_key)["error"] == 0
        assert client.get(table, hash_key, sort_key) is None


def test_only_a_key_is_needed(client: Client, table: str) -> None:
    answer = client.data(table, "PUT", {"key": joined(b"h", b"k"), "value": None, "expire_ts": None}, crc64(b"h"))
    assert answer["error"] == 0
    assert client.get(table, b"h", b"k") == b""


def test_times_to_live(client: Client, table: str) -> None:
    def ttl() -> int | None:
        answer = client.single(table, "TTL", b"h", b"k")
        return None if answer["error"] else answer["ttl"]

    client.put(table, b"h", b"k", b"v", in_seconds(100))
    assert ttl() in (99, 100)
    client.put(table, b"h", b"k", b"v")
    assert ttl() == -1
    client.put(table, b"h", b"k", b"v", in_seconds(-1))
    assert ttl() is None
    assert client.get(table, b"h", b"k") is None
    client.put(table, b"h", b"k", b"v", -1)  # unsigned for the server: the year 2152
    assert (ttl() or 0) < -300000000
    assert client.get(table, b"h", b"k") == b"v"


def test_increments(client: Client, table: str) -> None:
    def incr(amount: int, expire: int = 0) -> tuple[int, int]:
        args = {"key": joined(b"h", b"n"), "increment": amount, "expire_ts": expire}
        answer = client.data(table, "INCR", args, crc64(b"h"))
        return answer["error"], answer["new_value"]

    def ttl() -> int:
        return int(client.single(table, "TTL", b"h", b"n")["ttl"])

    assert incr(5, in_seconds(100)) == (0, 5)
    assert incr(-7) == (0, -2)
    assert ttl() > 90
    assert incr(0, -1) == (0, -2)
    assert ttl() == -1
    client.put(table, b"h", b"n", b" 12")
    assert incr(1) == (0, 13)
    client.put(table, b"h", b"n", b"%d" % ((1 << 63) - 1))
    assert incr(1) == (4, (1 << 63) - 1)
    client.put(table, b"h", b"n", b"word")
    assert incr(1) == (4, 0)
    assert client.get(table, b"h", b"n") == b"word"


def test_what_is_too_large_for_one_write(client: Client, table: str) -> None:
    client.put(table, b"h", b"big", b"old")
    most = 1048521 - len(joined(b"h", b"big"))
    with pytest.raises(RpcError, match="ERR_INVALID_DATA"):
        client.put(table, b"h", b"big", b"x" * (most + 1))
    assert client.get(table, b"h", b"big") == b"old"
    assert client.put(table, b"h", b"big", b"x" * most) == 0
    assert len(client.get(table, b"h", b"big") or b"") == most


def test_default_ttl(client: Client, table: str) -> None:
    def ttl(sort_key: bytes) -> int:
        return int(client.single(table, "TTL", b"h", sort_key)["ttl"])

    client.put(table, b"h", b"before", b"v")
    client.meta("UPDATE_APP_ENV", app_name=table, op=1, keys=["default_ttl"], values=["600"])
    client.put(table, b"h", b"k", b"v")
    client.put(table, b"h", b"own", b"v", in_seconds(50))
    assert ttl(b"before") == -1
    assert 590 < ttl(b"k") <= 600
    assert ttl(b"own") <= 50
    client.meta("UPDATE_APP_ENV", app_name=table, op=2, keys=["default_ttl"])
    client.put(table, b"h", b"k", b"v")
    assert ttl(b"k") > 0  # taking it away does not switch it off
    client.meta("UPDATE_APP_ENV", app_name=table, op=1, keys=["default_ttl"], values=["0"])
    client.put(table, b"h", b"k", b"v")
    assert ttl(b"k") == -1


# --- one hash key ----------------------------------------------------------------------------------------------------


def test_ranges_of_one_hash_key(client: Client, table: str) -> None:
    def get(**args: Any) -> tuple[int, bytes]:
        answer = client.many(table, "MULTI_GET", b"m", **{**RANGE, **args})
        return answer["error"], b"".join(keys_of(answer))

    client.fill(table, b"m", LETTERS)
    client.fill(table, b"m2", LETTERS)
    assert get() == (0, b"abcdef")
    assert get(start=b"b", stop=b"d") == (0, b"bc")
    assert get(start=b"b", stop=b"d", start_inclusive=False, stop_inclusive=True) == (0, b"cd")
    assert get(max_count=6) == (0, b"abcdef")
    assert get(max_count=5) == (7, b"abcde")
    assert get(stop=b"c", max_count=2) == (7, b"ab")  # the server does not look whether the next row is in the range
    assert get(max_size=5) == (7, b"abc")
    assert get(reverse=True, max_count=2) == (7, b"ef")
    assert get(reverse=True, max_count=6) == (7, b"abcdef")
    assert get(reverse=True, start=b"a", stop=b"c", stop_inclusive=True, max_count=3) == (0, b"abc")
    assert get(reverse=True, start=b"c") == (0, b"cdef")
    assert get(start=b"d", stop=b"b") == (0, b"")
    assert get(filter=2, pattern=b"c") == (0, b"c")
    assert get(filter=1, pattern=b"zz") == (0, b"")
    assert get(filter=9) == (4, b"")
    assert get(sort_keys=[b"c", b"x", b"a", b"c"]) == (0, b"cac")
    assert get(sort_keys=[b"c", b"x", b"a"], max_count=1) == (7, b"c")
    assert client.data(table, "SORTKEY_COUNT", b"m", crc64(b"m"))["count"] == 6


def test_a_page_may_be_empty(client: Client, table: str) -> None:
    client.server.behave(multi_get_rows=10)
    client.fill(table, b"m", {b"%02d" % number: b"v" for number in range(30)})
    client.fill(table, b"gone", {b"%02d" % number: b"v" for number in range(11)}, in_seconds(-1))
    answer = client.many(table, "MULTI_GET", b"m", **RANGE, filter=3, pattern=b"9")
    assert (answer["error"], keys_of(answer)) == (7, [b"09"])
    answer = client.many(table, "MULTI_GET", b"m", **RANGE, filter=1, pattern=b"x")
    assert (answer["error"], keys_of(answer)) == (7, [])
    answer = client.many(table, "MULTI_GET", b"gone", **RANGE)
    assert (answer["error"], keys_of(answer)) == (7, [])
    assert client.data(table, "SORTKEY_COUNT", b"gone", crc64(b"gone"))["count"] == 0
    answer = client.many(table, "MULTI_GET", b"m", sort_keys=[b"%02d" % number for number in range(30)])
    assert (answer["error"], len(keys_of(answer))) == (7, 10)


def test_reading_out_of_time(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS)
    client.server.behave(slow_rows=2)
    answer = client.many(table, "MULTI_GET", b"m", **RANGE)
    assert (answer["error"], keys_of(answer)) == (7, [b"a", b"b"])
    assert client.data(table, "SORTKEY_COUNT", b"m", crc64(b"m"))["count"] == -1
    answer = scanner(client, table, batch_size=10)
    assert (answer["error"], len(answer["rows"]), answer["context"]) == (7, 2, 0)


def test_removing_and_batches(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS)
    assert client.many(table, "MULTI_REMOVE", b"m", sort_keys=[b"a", b"none"])["count"] == 2
    assert client.many(table, "MULTI_PUT", b"m", rows=[])["error"] == 4
    assert client.many(table, "MULTI_REMOVE", b"m", sort_keys=[])["error"] == 4
    wanted = [{"hash_key": b"m", "sort_key": key} for key in (b"b", b"a", b"c")]
    answer = client.data(table, "BATCH_GET", {"keys": wanted}, 0)
    assert [(row["sort_key"], row["value"]) for row in answer["rows"]] == [(b"b", b"B"), (b"c", b"C")]
    assert client.data(table, "BATCH_GET", {"keys": []}, 0)["error"] == 4
    row = {"key": b"b", "value": b"1"}
    assert client.many(table, "MULTI_PUT", b"m", rows=[row, {**row, "value": b"2"}])["error"] == 0
    assert client.get(table, b"m", b"b") == b"2"


# --- scans -----------------------------------------------------------------------------------------------------------


def scanner(client: Client, table: str, **args: Any) -> dict[str, Any]:
    """A scan of the hash key m."""
    given = {"start": joined(b"m"), "stop": after(joined(b"m")), "start_inclusive": True, **args}
    return client.data(table, "GET_SCANNER", given, 0)


def test_a_scan_in_batches(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS)
    client.fill(table, b"n", LETTERS)
    first = scanner(client, table, batch_size=4)
    assert first["context"] < -1  # of a table with one partition
    client.put(table, b"m", b"bb", b"later")
    client.many(table, "MULTI_REMOVE", b"m", sort_keys=[b"f"])
    second = client.data(table, "SCAN", {"context": first["context"]}, 0)
    assert [row["value"] for row in [*first["rows"], *second["rows"]]] == list(LETTERS.values())
    assert second["context"] == -1
    assert client.data(table, "SCAN", {"context": first["context"]}, 0)["error"] == 1


def test_handles_change_and_can_be_cleared(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS)
    contexts = [scanner(client, table, batch_size=2)["context"]]
    contexts.append(client.data(table, "SCAN", {"context": contexts[0]}, 0)["context"])
    assert contexts[0] != contexts[1]
    config = client.config(table)
    where = client.where(config["partitions"][0]["primary"])
    wire = client.wire(where)
    wire.socket.sendall(framed(body_of(f"{DATA}CLEAR_SCANNER", contexts[1]), config["app_id"]))
    assert wire.silent()
    assert client.data(table, "SCAN", {"context": contexts[1]}, 0)["error"] == 1


def test_scans_expire(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS)
    kept = scanner(client, table, batch_size=2)["context"]
    client.server.behave(scan_seconds=0)
    assert client.data(table, "SCAN", {"context": kept}, 0) == {
        **client.data(table, "SCAN", {"context": 12345}, 0),
        "error": 1,
    }


def test_what_a_scan_can_leave_out(client: Client, table: str) -> None:
    client.fill(table, b"m", LETTERS, in_seconds(100))
    whole = scanner(client, table, no_value=True, return_expire_ts=True)
    assert {row["value"] for row in whole["rows"]} == {b""}
    assert all(in_seconds(90) < row["expire_ts"] for row in whole["rows"])
    counted = scanner(client, table, only_count=True)
    assert (counted["rows"], counted["count"], counted["context"]) == ([], 6, -1)
    empty = scanner(client, table, start=joined(b"m", b"z"), stop=joined(b"m", b"a"))
    assert (empty["error"], empty["rows"], empty["context"]) == (0, [], 0)
    assert scanner(client, table, sort_filter=7)["error"] == 4


def test_a_scan_of_everything(client: Client) -> None:
    table = client.server.new_name()
    client.create(table)
    for number in range(40):
        client.put(table, b"hash%d" % number, b"s", b"v")
    client.put(table, b"", b"alone", b"v")
    found, negative = [], 0
    for index in range(4):
        given = {"start": b"\0\0", "stop": b"\xff\xff", "start_inclusive": True, "batch_size": 3, "full_scan": True}
        answer = client.data(table, "GET_SCANNER", given, index, index)
        while True:
            found += keys_of(answer)
            negative += answer["context"] < -1
            if answer["context"] == -1:
                break
            answer = client.data(table, "SCAN", {"context": answer["context"]}, index, index)
    assert len(found) == len(set(found)) == 41
    assert negative
    given = {"start": b"\0\0", "stop": b"\xff\xff", "full_scan": True, "hash_filter": 2, "hash_pattern": b"hash3"}
    found = [key for index in range(4) for key in keys_of(client.data(table, "GET_SCANNER", given, index, index))]
    assert len(found) == 11


def test_how_many_rows_one_call_gives(client: Client, table: str) -> None:
    client.fill(table, b"m", {b"%05d" % number: b"" for number in range(3500)})
    assert len(scanner(client, table, batch_size=5000)["rows"]) == 1000
    assert len(scanner(client, table, batch_size=0)["rows"]) == 1000
    answer = client.many(table, "MULTI_GET", b"m", **RANGE, max_count=4000)
    assert (answer["error"], len(answer["rows"])) == (7, 3000)
    assert client.data(table, "SORTKEY_COUNT", b"m", crc64(b"m"))["count"] == 3500


# --- checks ----------------------------------------------------------------------------------------------------------

MET, NOT_MET, UNDECIDED = 0, 13, 4


@pytest.mark.parametrize(
    ("check", "operand", "results"),  # of a missing value, of b"", of b"12"
    [
        (0, b"", (MET, MET, MET)),
        (1, b"", (MET, NOT_MET, NOT_MET)),
        (2, b"", (MET, MET, NOT_MET)),
        (3, b"", (NOT_MET, MET, MET)),
        (4, b"", (NOT_MET, NOT_MET, MET)),
        (5, b"2", (NOT_MET, NOT_MET, MET)),
        (6, b"1", (NOT_MET, NOT_MET, MET)),
        (6, b"2", (NOT_MET, NOT_MET, NOT_MET)),
        (7, b"2", (NOT_MET, NOT_MET, MET)),
        (8, b"13", (NOT_MET, MET, MET)),
        (9, b"12", (NOT_MET, MET, MET)),
        (10, b"12", (NOT_MET, NOT_MET, MET)),
        (11, b"12", (NOT_MET, NOT_MET, MET)),
        (12, b"111", (NOT_MET, NOT_MET, MET)),
        (13, b"100", (NOT_MET, UNDECIDED, MET)),
        (14, b"12", (NOT_MET, UNDECIDED, MET)),
        (15, b"0xc", (NOT_MET, UNDECIDED, MET)),
        (16, b"13", (NOT_MET, UNDECIDED, NOT_MET)),
        (17, b"9", (NOT_MET, UNDECIDED, MET)),
        (17, b"word", (NOT_MET, UNDECIDED, UNDECIDED)),
        (18, b"", (UNDECIDED, UNDECIDED, UNDECIDED)),
    ],
)
def test_checks(client: Client, table: str, check: int, operand: bytes, results: tuple[int, ...]) -> None:
    for value, expected in zip((None, b"", b"12"), results, strict=True):
        client.many(table, "MULTI_REMOVE", b"c", sort_keys=[b"k", b"to"])
        if value is not None:
            client.put(table, b"c", b"k", value)
        about = {"check_key": b"k", "check": check, "operand": operand, "return_value": True}
        answer = client.many(
            table, "CHECK_AND_SET", b"c", **about, other_key=True, set_key=b"to", set_value=b"new", expire_ts=0
        )
        assert answer["error"] == expected
        if check < 18:
            told = (answer["returned"], answer["exists"], answer["value"])
            assert told == (True, value is not None, value or b"")
        assert client.get(table, b"c", b"to") == (b"new" if expected == MET else None)


def test_check_and_mutate(client: Client, table: str) -> None:
    client.put(table, b"c", b"k", b"1")
    client.put(table, b"c", b"old", b"1")
    changes = [
        {"operation": 0, "sort_key": b"new", "value": b"2", "expire_ts": in_seconds(100)},
        {"operation": 1, "sort_key": b"old", "value": b"", "expire_ts": 0},
    ]
    about = {"check_key": b"k", "check": 10, "operand": b"1"}
    assert client.many(table, "CHECK_AND_MUTATE", b"c", **about, mutations=changes)["error"] == 0
    assert (client.get(table, b"c", b"new"), client.get(table, b"c", b"old")) == (b"2", None)
    assert client.single(table, "TTL", b"c", b"new")["ttl"] > 90
    odd = [{"operation": 2, "sort_key": b"new", "value": b"", "expire_ts": 0}]
    for wrong in ([], odd):
        assert client.many(table, "CHECK_AND_MUTATE", b"c", **about, mutations=wrong)["error"] == 4
    about["operand"] = b"2"
    assert client.many(table, "CHECK_AND_MUTATE", b"c", **about, mutations=changes)["error"] == 13
